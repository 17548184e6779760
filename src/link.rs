//! One link: address, title, poster, and where the channel's log tells of it.

use std::ops::Range;

use time::format_description::OwnedFormatItem;
use time::{OffsetDateTime, UtcOffset};
use url::Url;
use url::form_urlencoded::byte_serialize;

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
    /// The title as people see it, without its tags, and the tags. What is nothing but tags is named by its address.
    pub fn title_and_tags(&self) -> (&str, Vec<&str>) {
        let (title, tags) = split_tags(&self.title);
        (if title.is_empty() { &self.url } else { title }, tags)
    }

    /// The host of its address, without `www.`.
    pub fn host(&self) -> &str {
        let host = without_scheme(&self.url).split(['/', '?', '#']).next().unwrap_or_default();
        host.strip_prefix("www.").unwrap_or(host)
    }
}

/// Splits a title into its words and the tags at its end, which are given without their `#`.
///
/// Spaces or commas separate the tags: `Title #rust, #web`.
pub fn split_tags(title: &str) -> (&str, Vec<&str>) {
    let mut tags = Vec::new();
    let mut words = title;
    loop {
        let rest = words.trim_end_matches([' ', ',']);
        let start = rest.rfind(' ').map_or(0, |space| space + 1);
        let last = rest[start..].trim_end_matches([',', ';', '.', ':', '!', '?']);
        let Some(found) = last.rsplit(',').map(tag).collect::<Option<Vec<_>>>() else { break };
        tags.extend(found);
        words = &rest[..start];
    }
    tags.reverse();
    // Without tags, the punctuation at its end is the title's own.
    (words.trim_end_matches(' '), tags)
}

/// The tag in a word like `#node.js`: it starts with a letter or digit and has at least one letter.
fn tag(word: &str) -> Option<&str> {
    let tag = word.strip_prefix('#')?;
    (tag.contains(char::is_alphabetic) && clean_tag(tag) == tag).then_some(tag)
}

/// The longest tag, in characters: Scuttle cannot store a longer one.
const LONGEST_TAG: usize = 32;

/// Drops from `text` what cannot be in a tag. Returns an empty tag if nothing is left.
pub fn clean_tag(text: &str) -> String {
    let can_start = |c: char| c.is_alphanumeric();
    let can_follow = |c: &char| can_start(*c) || matches!(c, '-' | '_' | '+' | '.');
    let tag = text.trim_start_matches(|c| !can_start(c)).chars().filter(can_follow);
    tag.take(LONGEST_TAG).collect::<String>().trim_end_matches('.').to_owned()
}

/// The address as it is stored: normalised, punycode and percent-encoded by the `url` crate.
///
/// An error is a few words for the person who posted it.
pub fn address(text: &str) -> Result<String, String> {
    let text = text.strip_prefix('<').and_then(|t| t.strip_suffix('>')).unwrap_or(text);
    if !begins_address(text) {
        return Err("the address must begin with http:// or https://".into());
    }
    let url = Url::parse(text).map_err(|e| format!("not an address: {e}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "an address with a user name or password in it would be published; leave them out"
                .into(),
        );
    }
    if url.as_str().len() > LONGEST_ADDRESS {
        return Err(format!("the address is longer than {LONGEST_ADDRESS} bytes"));
    }
    Ok(url.into())
}

/// What two spellings of one address have in common: it lacks the scheme, `www.`, the default port, a final
/// slash, the fragment, and the parameters by which campaigns are followed.
pub fn comparison_key(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let host = host.strip_prefix("www.").unwrap_or(host);
    let host = host.strip_suffix(if scheme == "https" { ":443" } else { ":80" }).unwrap_or(host);
    let mut key = [host, path].concat();
    let is_own = |parameter: &&str| {
        let name = parameter.split('=').next().unwrap_or_default();
        !parameter.is_empty() && !name.starts_with("utm_") && !matches!(name, "fbclid" | "gclid")
    };
    let mut sign = "?";
    for parameter in query.split('&').filter(is_own) {
        key = key + sign + parameter;
        sign = "&";
    }
    // Such a fragment is a page of an application that runs in the browser.
    if fragment.starts_with(['/', '!']) {
        key = key + "#" + fragment;
    }
    if key.ends_with('/') {
        key.pop();
    }
    key
}

/// The most links that are made of one line.
const MOST_FOUND: usize = 5;

/// The links in a line of talk: each address once, as it is stored, and its title. That is the line without
/// the addresses; if nothing is said in it, the address without its scheme.
pub fn links_in(text: &str) -> Vec<(String, String)> {
    let (mut urls, mut words, mut end) = (Vec::new(), String::new(), 0);
    for span in addresses(text) {
        words += &text[end..span.start];
        end = span.end;
        urls.extend(
            address(&text[span]).ok().filter(|url| urls.len() < MOST_FOUND && !urls.contains(url)),
        );
    }
    let line = title(&(words + &text[end..]));
    let (said, _) = split_tags(&line);
    let named = |url: String| {
        let said_nothing = !said.contains(char::is_alphanumeric);
        let title = if said_nothing {
            title(&[without_scheme(&url), &line[said.len()..]].join(" "))
        } else {
            line.clone()
        };
        (url, title)
    };
    urls.into_iter().map(named).collect()
}

/// What a link without words is called: its address without scheme and final slash.
pub fn without_scheme(url: &str) -> &str {
    let (_, bare) = url.split_once("://").unwrap_or_default();
    bare.strip_suffix('/').unwrap_or(bare)
}

/// Where the addresses in a line of talk are. Every character is looked at once.
pub fn addresses(text: &str) -> impl Iterator<Item = Range<usize>> {
    let (mut rest, mut in_word) = (text, false);
    std::iter::from_fn(move || {
        while let Some(c) = rest.chars().next() {
            if !in_word && begins_address(rest) {
                let start = text.len() - rest.len();
                let (length, next) = end_of_address(rest);
                rest = &rest[next..];
                return Some(start..start + length);
            }
            (rest, in_word) = (after(c, &rest[c.len_utf8()..]), c.is_alphanumeric());
        }
        None
    })
}

/// Whether `text` begins as every address does.
pub fn begins_address(text: &str) -> bool {
    let begins = |scheme: &str| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    begins("http://") || begins("https://")
}

/// How long the address is with which `text` begins, and where to look for the next one.
fn end_of_address(text: &str) -> (usize, usize) {
    // It does not end with punctuation, nor with a bracket that has no partner in it.
    let (mut open, mut length) = ([0; 3], 0);
    for (i, c) in text.char_indices() {
        if ends_address(c) || c == ',' && begins_address(&text[i + 1..]) {
            return (length, i);
        }
        match ("([{".find(c), ")]}".find(c)) {
            (Some(kind), _) => open[kind] += 1,
            (_, Some(kind)) if open[kind] == 0 => {}
            (_, Some(kind)) => (open[kind], length) = (open[kind] - 1, i + 1),
            _ if ".,;:!?'*".contains(c) => {}
            _ => length = i + c.len_utf8(),
        }
    }
    (length, text.len())
}

/// White space, what cannot be seen, and the quotes and punctuation that stand around an address.
fn ends_address(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '<' | '>' | '"' | '«' | '»' | '‹' | '›' | '\u{2018}'..='\u{201f}')
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        // CJK punctuation, and full-width forms.
        || matches!(c, '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3020}' | '\u{ff01}'..='\u{ff65}')
}

/// The title as it is stored: without IRC formatting, control characters, bidirectional overrides and what XML forbids,
/// white space folded. Empty if nothing is left.
pub fn title(text: &str) -> String {
    // NEL is white space to Unicode, but a C1 control first.
    let is_blank = |c: char| c.is_whitespace() && c != '\u{85}';
    let (mut out, mut chars) = (String::with_capacity(text.len()), text.chars());
    while let Some(c) = chars.next() {
        match c {
            '!'..='~' => out.push(c),
            c if is_blank(c) && out.ends_with(' ') => {}
            c if is_blank(c) => out.push(' '),
            c if c.is_control() => chars = after(c, chars.as_str()).chars(),
            '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {}
            c => out.push(c),
        }
    }
    // A zero-width space may stay between words, but a title of nothing else is an empty one.
    out.trim_matches([' ', '\u{200b}']).to_owned()
}

/// What follows a colour's digits, if `c` begins a colour: for \x03 up to "12,34", for \x04 six hex digits, twice.
fn after(c: char, text: &str) -> &str {
    let (most, digit): (_, fn(&u8) -> bool) = match c {
        '\x03' => (2, u8::is_ascii_digit),
        '\x04' => (6, u8::is_ascii_hexdigit),
        _ => return text,
    };
    let digits = |text: &str| text.bytes().take(most).take_while(digit).count();
    let (first, rest) = text.split_at(digits(text));
    match rest.strip_prefix(',') {
        Some(second) if !first.is_empty() && digits(second) > 0 => &second[digits(second)..],
        _ => rest,
    }
}

/// Percent-encodes all but letters, digits and `*-._`.
pub fn percent_encode(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
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
#[path = "../tests/unit/link.rs"]
mod tests;
