//! The address in the channel's web log of the second in which a link was posted.

use time::format_description::{self, OwnedFormatItem};
use time::{OffsetDateTime, UtcOffset};

use crate::config::Config;
use crate::link::{Link, address, with_channel};
use crate::view::uri;

/// The address of the second in which `link` was posted, if the log's is known.
pub fn of(config: &Config, link: &Link) -> Option<String> {
    let text = in_zone(link.posted, config.zone).format(config.log_url.as_ref()?).ok()?;
    Some(uri(&address(&with_channel(&text, &link.channel)).ok()?))
}

/// Converts `time` to a time zone. `None`: the machine's, with the offset in effect at that time.
pub fn in_zone(time: OffsetDateTime, zone: Option<UtcOffset>) -> OffsetDateTime {
    let machines = || UtcOffset::local_offset_at(time).unwrap_or(UtcOffset::UTC);
    // On the last day of year 9999 the local date may be out of range.
    time.checked_to_offset(zone.unwrap_or_else(machines)).unwrap_or(time)
}

/// `text` is a format description of the time crate, version 1 (a literal `[` is `[[`).
pub fn pattern(text: &str) -> Option<OwnedFormatItem> {
    let pattern = format_description::parse_owned::<1>(text).ok()?;
    let example = OffsetDateTime::UNIX_EPOCH.format(&pattern).ok()?;
    address(&with_channel(&example, "")).ok().map(|_| pattern)
}
