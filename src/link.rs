//! One link: address, title, poster, and where the channel's log tells of it.

use std::iter::Peekable;
use std::str::Chars;

use time::format_description::OwnedFormatItem;
use time::{OffsetDateTime, UtcOffset};
use url::Url;

/// The longest address that is kept, in bytes as stored.
pub const LONGEST_ADDRESS: usize = 1000;

/// A link that someone posted. One that exists is valid: `url` came from [`address`], `title` from [`title`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The channel, spelt as in bot.conf.
    pub channel: String,
    pub nick: String,
    /// The services account of who posted it; empty where unknown.
    pub account: String,
    pub url: String,
    pub title: String,
    /// When it was posted, UTC, to the millisecond.
    pub posted: OffsetDateTime,
}

impl Link {
    /// The title as people see it, without its tags, and the tags. What would be nothing but tags is named
    /// by its address.
    pub fn named(&self) -> (&str, Vec<&str>) {
        let (title, tags) = split_tags(&self.title);
        (if title.is_empty() { &self.url } else { title }, tags)
    }
}

/// Takes the tags off the end of a title: words like `#rust`, given without their `#`.
pub fn split_tags(title: &str) -> (&str, Vec<&str>) {
    let is_tag = |tag: &str| {
        tag.contains(char::is_alphabetic) && tag.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '+'))
    };
    let (mut rest, mut tags) = (title, Vec::new());
    loop {
        let (before, word) = rest.rsplit_once(' ').unwrap_or(("", rest));
        let Some(tag) = word.strip_prefix('#').filter(|tag| is_tag(tag)) else { break };
        tags.push(tag);
        rest = before;
    }
    tags.reverse();
    (rest, tags)
}

/// The address as it is stored: normalised, punycode and percent-encoded by the `url` crate.
///
/// An error is a few words for the person who posted it.
pub fn address(text: &str) -> Result<String, String> {
    let text = text.strip_prefix('<').and_then(|t| t.strip_suffix('>')).unwrap_or(text);
    let url = Url::parse(text).map_err(|e| match e {
        // Without a scheme the crate calls it a "relative URL without a base", which helps nobody.
        url::ParseError::RelativeUrlWithoutBase => "the address must begin with http:// or https://".into(),
        e => format!("not an address: {e}"),
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("the address must begin with http:// or https://".into());
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("the address has no host".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address with a user name or password in it would be published; leave them out".into());
    }
    if url.as_str().len() > LONGEST_ADDRESS {
        return Err(format!("the address is longer than {LONGEST_ADDRESS} bytes"));
    }
    Ok(url.into())
}

/// The title as it is stored: IRC formatting, control characters and bidirectional overrides removed,
/// white space folded. Empty if nothing is left.
pub fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut blank = false;
    while let Some(c) = rest.next() {
        match c {
            // Colours: \x03 with "12,34" behind it, \x04 with six hex digits, twice.
            '\x03' => skip_colour(&mut rest, 2, |c| c.is_ascii_digit()),
            '\x04' => skip_colour(&mut rest, 6, |c| c.is_ascii_hexdigit()),
            // NEL is white space to Unicode, but a C1 control first.
            c if c.is_whitespace() && c != '\u{85}' => blank = true,
            c if is_unwanted(c) => {}
            c => {
                if std::mem::take(&mut blank) && !out.is_empty() {
                    out.push(' ');
                }
                out.push(c);
            }
        }
    }
    // A zero-width space may stay between words, but a title of nothing else is an empty one.
    let ends = |c: char| c == '\u{200b}' || c == ' ';
    out.trim_matches(ends).to_owned()
}

/// Skips a colour's `most` digits and, where a comma and another digit follow, as many again.
fn skip_colour(rest: &mut Peekable<Chars>, most: usize, digit: fn(&char) -> bool) {
    let skip = |rest: &mut Peekable<Chars>| (0..most).take_while(|_| rest.next_if(digit).is_some()).count();
    if skip(rest) > 0 {
        let mut ahead = rest.clone();
        if ahead.next() == Some(',') && ahead.peek().is_some_and(digit) {
            rest.next();
            skip(rest);
        }
    }
}

/// What is dropped from a title: controls (white space is folded before), bidirectional overrides and
/// isolates, the byte-order mark and the two non-characters that XML forbids.
fn is_unwanted(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Percent-encodes all but RFC 3986's unreserved characters.
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

/// `{channel}` in `pattern`, an address: the channel without its first `#`, percent-encoded.
pub fn with_channel(pattern: &str, channel: &str) -> String {
    pattern.replace("{channel}", &percent_encode(channel.strip_prefix('#').unwrap_or(channel)))
}

/// The zone in which the channel's log counts its time.
#[derive(Clone, Copy, Debug)]
pub enum Zone {
    Fixed(UtcOffset),
    /// The machine's; its offset is the one at the link's own moment.
    Local,
}

/// Where the channel's web log tells of a given second: `log_url` and `timezone` of bot.conf.
#[derive(Clone, Debug)]
pub struct LogUrl {
    pattern: OwnedFormatItem,
    zone: Zone,
}

impl LogUrl {
    /// `pattern` is a format description of the time crate, version 1 (a literal `[` is `[[`).
    ///
    /// An error says what is wrong with the pattern.
    pub fn new(pattern: &str, zone: Zone) -> Result<LogUrl, String> {
        let pattern = time::format_description::parse_owned::<1>(pattern).map_err(|e| e.to_string())?;
        OffsetDateTime::UNIX_EPOCH.format(&pattern).map_err(|e| e.to_string())?;
        Ok(LogUrl { pattern, zone })
    }

    /// The address of the second in which `link` was posted.
    pub fn of(&self, link: &Link) -> String {
        let offset = match self.zone {
            Zone::Fixed(offset) => offset,
            Zone::Local => UtcOffset::local_offset_at(link.posted).unwrap_or(UtcOffset::UTC),
        };
        // In another zone the last day that there is may have no name.
        let posted = link.posted.checked_to_offset(offset).unwrap_or(link.posted);
        // `new` has tried the pattern; a year out of range is all that could fail here.
        let text = posted.format(&self.pattern).unwrap_or_default();
        with_channel(&text, &link.channel)
    }
}

#[cfg(test)]
#[path = "../tests/unit/link.rs"]
mod tests;
