//! One line of the journal: defines an event, and converts it to a line and back.

use std::array;

use time::format_description::well_known::Rfc3339;

use super::*;
use crate::{link::LONGEST_ADDRESS, title};

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    Add,
    Repost,
    Title,
    Remove,
    /// The bookmark account had this address before linkbot. Views ignore this event.
    Foreign,
}

/// In the order of [`Action`].
pub const ACTIONS: [(&str, Action); 5] = [
    ("add", Action::Add),
    ("again", Action::Repost),
    ("title", Action::Title),
    ("remove", Action::Remove),
    ("foreign", Action::Foreign),
];

/// One line of the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// UTC, to the millisecond; strictly increasing, so it identifies the event permanently.
    pub time: OffsetDateTime,
    pub action: Action,
    pub link: Link,
}

/// Formats an event as a line, with its newline.
pub fn format_line(Event { time, action, link }: &Event) -> String {
    let (name, _) = ACTIONS[*action as usize];
    let mut line = format!("{}\t{name}", format_time(*time));
    for field in [&link.channel, &link.nick, &link.account, &link.url, &link.title] {
        line.push('\t');
        // The nick comes from the server: a tab or a newline in it would start a new column or
        // line.
        line.extend(field.chars().filter(|c| !c.is_control()));
    }
    let posted = link.posted.truncate_to_millisecond();
    if posted != *time {
        line += &format!("\t{}", format_time(posted));
    }
    line + "\n"
}

/// Parses a line, with its newline or without. `None` for a comment or an empty line; an error says
/// what is wrong.
pub fn parse_line(line: &[u8]) -> Result<Option<Event>, &'static str> {
    if line.len() > BLOCK {
        return Err("longer than 32 KiB");
    }
    // A byte-order mark, which some editors write at the beginning of a file.
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii_end();
    if line.is_empty() || line[0] == b'#' {
        return Ok(None);
    }
    let mut columns = str::from_utf8(line).map_err(|_| "not UTF-8")?.split('\t');
    let [time, action, channel, nick, account, url, title, posted] =
        array::from_fn(|_| columns.next().unwrap_or_default());
    let posted = if posted.is_empty() { time } else { posted };
    let (Some(time), Some(posted)) = (parse_time(time), parse_time(posted)) else {
        return Err("not a time");
    };
    let &(_, action) = ACTIONS.iter().find(|(name, _)| *name == action).ok_or("unknown action")?;
    // A cheap check for what link::address returns: parsing 100,000 addresses would be slow.
    if !link::begins_address(url)
        || url.len() > LONGEST_ADDRESS
        || !url.bytes().all(|b| b.is_ascii_graphic())
    {
        return Err("not an address");
    }
    // An edited title may contain two spaces in a row, and an editor may strip an empty last
    // column.
    let title = title::normalize(title);
    if matches!(action, Action::Add | Action::Title) && title.is_empty() {
        return Err("no title");
    }
    let link = Link {
        channel: channel.into(),
        nick: nick.into(),
        account: account.into(),
        url: url.into(),
        title,
        posted,
    };
    Ok(Some(Event { time, action, link }))
}

/// Formats a time as in the journal, the feed's guid and the cursor file:
/// `2026-11-22T10:31:19.123Z`.
pub fn format_time(time: OffsetDateTime) -> String {
    let time = time.to_utc();
    let (h, m, s, ms) = time.as_hms_milli();
    format!("{}T{h:02}:{m:02}:{s:02}.{ms:03}Z", time.date())
}

/// Parses the format of [`format_time`].
pub fn parse_time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .filter(|_| text.len() == 24 && text.ends_with('Z'))
        // The time crate parses a leap second as the last nanosecond before it.
        .map(OffsetDateTime::truncate_to_millisecond)
}
