//! The address in the channel's web log of the second in which a link was posted.

use time::format_description::OwnedFormatItem;
use time::{OffsetDateTime, UtcOffset};

use crate::link::{Link, address, with_channel};

/// The time zone of the channel's web log.
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
#[derive(Clone)]
pub struct LogUrl {
    pattern: OwnedFormatItem,
    zone: Zone,
}

impl LogUrl {
    /// `pattern` is a format description of the time crate, version 1 (a literal `[` is `[[`).
    pub fn new(pattern: &str, zone: Zone) -> Option<LogUrl> {
        let pattern = time::format_description::parse_owned::<1>(pattern).ok()?;
        let example = OffsetDateTime::UNIX_EPOCH.format(&pattern).ok()?;
        address(&with_channel(&example, "")).ok()?;
        Some(LogUrl { pattern, zone })
    }

    /// Returns the address of the second in which `link` was posted.
    pub fn of(&self, link: &Link) -> String {
        // `new` has tried the pattern; only a year out of range can fail here.
        let text = self.zone.at(link.posted).format(&self.pattern).unwrap_or_default();
        with_channel(&text, &link.channel)
    }
}
