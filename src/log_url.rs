//! The address of a link in the channel's web log, down to the second in which it was posted.

use time::format_description::OwnedFormatItem;
use time::{OffsetDateTime, UtcOffset};

use crate::link::{Link, address, with_channel};

/// The zone in which the channel's log counts its time.
#[derive(Clone, Copy, Debug)]
pub enum Zone {
    Fixed(UtcOffset),
    /// The machine's; its offset is the one at the link's own moment.
    Local,
}

impl Zone {
    /// `time` as clocks there show it.
    pub fn at(self, time: OffsetDateTime) -> OffsetDateTime {
        let offset = match self {
            Zone::Fixed(offset) => offset,
            Zone::Local => UtcOffset::local_offset_at(time).unwrap_or(UtcOffset::UTC),
        };
        // In another zone the last day that there is may have no name.
        time.checked_to_offset(offset).unwrap_or(time)
    }
}

/// Where the channel's web log tells of a given second: `log_url` and `timezone` of bot.conf.
#[derive(Clone, Debug)]
pub struct LogUrl {
    pattern: OwnedFormatItem,
    zone: Zone,
}

impl LogUrl {
    /// `pattern` is a format description of the time crate, version 1 (a literal `[` is `[[`).
    pub fn new(pattern: &str, zone: Zone) -> Result<LogUrl, String> {
        let pattern =
            time::format_description::parse_owned::<1>(pattern).map_err(|e| e.to_string())?;
        let example = OffsetDateTime::UNIX_EPOCH.format(&pattern).map_err(|e| e.to_string())?;
        address(&with_channel(&example, ""))?;
        Ok(LogUrl { pattern, zone })
    }

    /// The address of the second in which `link` was posted.
    pub fn of(&self, link: &Link) -> String {
        // `new` has tried the pattern; a year out of range is all that could fail here.
        let text = self.zone.at(link.posted).format(&self.pattern).unwrap_or_default();
        with_channel(&text, &link.channel)
    }
}

#[cfg(test)]
#[path = "../tests/unit/log_url.rs"]
mod tests;
