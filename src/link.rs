//! One link, and its address: as it is stored, compared with others, and shown to people.

use time::OffsetDateTime;
use url::form_urlencoded::byte_serialize;
use url::quirks::domain_to_unicode;
use url::{Host, Url};

use crate::title::{is_invisible, split_tags};

/// The longest address that is kept, in bytes as stored.
pub const LONGEST_ADDRESS: usize = 1000;

/// Query parameters that only follow where a reader came from, as all that begin with `utm_` do.
const TRACKING: [&str; 6] = ["fbclid", "gclid", "igshid", "mc_cid", "mc_eid", "si"];

/// A link that someone posted. One that exists is valid: `url` came from [`address`], `title` from [`normalize`](crate::title::normalize).
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

    /// True if nobody has given it a title of its own.
    pub fn is_untitled(&self) -> bool {
        let (title, _) = self.title_and_tags();
        title == readable(&self.url) || title == without_scheme(&self.url)
    }

    /// The host of its address, without `www.`.
    pub fn host(&self) -> &str {
        let host = without_scheme(&self.url).split(['/', '?', '#']).next().unwrap_or_default();
        host.strip_prefix("www.").unwrap_or(host)
    }
}

/// Returns the address as it is stored: normalized, in punycode and percent-encoding, by the `url` crate.
///
/// An error is a few words for the person who posted it.
pub fn address(text: &str) -> Result<String, String> {
    if !begins_address(text) {
        return Err("the address must begin with http:// or https://".into());
    }
    // `http://http://example.com/`: a browser's address bar adds a second scheme.
    let mut text = text;
    while let Some((_, rest)) = text.split_once("://")
        && begins_address(rest)
    {
        text = rest;
    }
    let url = Url::parse(text).map_err(|e| format!("not an address: {e}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "an address with a user name or password in it would be published; leave them out"
                .into(),
        );
    }
    if !has_host(&url) {
        return Err("not an address: there is no such host".into());
    }
    if url.as_str().len() > LONGEST_ADDRESS {
        return Err(format!("the address is longer than {LONGEST_ADDRESS} bytes"));
    }
    Ok(url.into())
}

/// False for what was never a host: `http://http//example.com`, `http://example,com`, `http://a..b`, `http://$HOST`.
fn has_host(url: &Url) -> bool {
    let Some(Host::Domain(name)) = url.host() else { return true };
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !matches!(name, "http" | "https")
        && name.contains(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(is_allowed)
        && name.split('.').all(|label| !label.is_empty())
}

/// Returns what the spellings of one address have in common: it lacks the scheme, `www.`, the default port, the
/// trailing slash, tracking parameters and text fragments.
pub fn comparison_key(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let host = host.strip_prefix("www.").unwrap_or(host);
    let host = host.strip_suffix(if scheme == "https" { ":443" } else { ":80" }).unwrap_or(host);
    let mut key = [host, path].concat();
    let mut separator = "?";
    for parameter in query.split('&') {
        let name = parameter.split('=').next().unwrap_or_default();
        if !parameter.is_empty() && !TRACKING.contains(&name) && !name.starts_with("utm_") {
            key = key + separator + parameter;
            separator = "&";
        }
    }
    trim_slash(&mut key);
    // `#:~:text=` makes the browser scroll to a text.
    let fragment = fragment.split(":~:").next().unwrap_or_default();
    if !fragment.is_empty() {
        key = key + "#" + fragment;
        trim_slash(&mut key);
    }
    key
}

fn trim_slash(key: &mut String) {
    if key.ends_with('/') {
        key.pop();
    }
}

/// Returns the address without scheme and trailing slash.
pub fn without_scheme(url: &str) -> &str {
    let (_, bare) = url.split_once("://").unwrap_or_default();
    bare.strip_suffix('/').unwrap_or(bare)
}

/// Returns what a link without words is called: its address without scheme and trailing slash, decoded.
pub fn readable(url: &str) -> String {
    decode(without_scheme(url))
}

/// Returns the ways in which people may write the address: as it is stored, and with all of it decoded.
pub fn search_text(url: &str) -> String {
    let bare = without_scheme(url);
    let (host, path) = bare.split_at(bare.find(['/', '?', '#', ':']).unwrap_or(bare.len()));
    format!("{url} {}{}", domain_to_unicode(host), decode(path))
}

/// Decodes percent-encoding, but not what would be a space, invisible, a control character or not UTF-8.
fn decode(text: &str) -> String {
    let mut decoded = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('%') {
        decoded += &rest[..start];
        rest = &rest[start..];
        let bytes: Vec<u8> = rest.as_bytes().chunks(3).map_while(escaped_byte).collect();
        let mut at = 0;
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                let next = at + 3 * c.len_utf8();
                if c.is_whitespace() || c.is_control() || is_invisible(c) {
                    decoded += &rest[at..next];
                } else {
                    decoded.push(c);
                }
                at = next;
            }
            let next = at + 3 * chunk.invalid().len();
            decoded += &rest[at..next];
            at = next;
        }
        if bytes.is_empty() {
            decoded.push('%');
            at = 1;
        }
        rest = &rest[at..];
    }
    decoded + rest
}

/// The byte that `%C3` stands for.
fn escaped_byte(text: &[u8]) -> Option<u8> {
    let digits = text.strip_prefix(b"%")?;
    let digits = str::from_utf8(digits).ok().filter(|digits| digits.len() == 2)?;
    u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
}

/// True if `text` begins with a scheme that is saved.
pub fn begins_address(text: &str) -> bool {
    let begins = |scheme: &str| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    begins("http://") || begins("https://")
}

/// Percent-encodes all but letters, digits and `*-._`.
pub fn percent_encode(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// `{channel}` in `pattern`, an address: the channel without its first `#`, percent-encoded.
pub fn with_channel(pattern: &str, channel: &str) -> String {
    pattern.replace("{channel}", &percent_encode(channel.strip_prefix('#').unwrap_or(channel)))
}

#[cfg(test)]
#[path = "../tests/unit/link.rs"]
mod tests;
