//! The address in the channel's web log of the second in which a link was posted.

use time::format_description::{self, OwnedFormatItem};
use time::{OffsetDateTime, UtcOffset};

use crate::link::{Link, address, with_channel};
use crate::view::uri;

/// The time zone of the channel's web log, and of the page.
#[derive(Clone, Copy)]
pub enum Zone {
    Fixed(UtcOffset),
    /// The machine's time zone, with the offset in effect when the link was posted.
    Local,
}

impl Zone {
    /// Converts `time` to this zone.
    pub fn at(self, time: OffsetDateTime) -> OffsetDateTime {
        let offset = match self {
            Zone::Fixed(offset) => offset,
            Zone::Local => UtcOffset::local_offset_at(time).unwrap_or(UtcOffset::UTC),
        };
        // On the last day of year 9999 the local date may be out of range.
        time.checked_to_offset(offset).unwrap_or(time)
    }
}

/// The settings `log_url` and `timezone` of bot.conf.
pub struct LogUrl {
    pub pattern: Option<OwnedFormatItem>,
    pub zone: Zone,
}

impl LogUrl {
    /// The address of the second in which `link` was posted, if the log's is known.
    pub fn of(&self, link: &Link) -> Option<String> {
        let text = self.zone.at(link.posted).format(self.pattern.as_ref()?).ok()?;
        Some(uri(&with_channel(&text, &link.channel)))
    }
}

/// `text` is a format description of the time crate, version 1 (a literal `[` is `[[`).
pub fn pattern(text: &str) -> Option<OwnedFormatItem> {
    let pattern = format_description::parse_owned::<1>(text).ok()?;
    let example = OffsetDateTime::UNIX_EPOCH.format(&pattern).ok()?;
    address(&with_channel(&example, "")).ok().map(|_| pattern)
}
