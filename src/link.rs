//! One link, and its address: as it is stored, compared with others, and shown to people.

use time::OffsetDateTime;
use url::{
    Url,
    form_urlencoded::{self, byte_serialize},
    quirks::domain_to_unicode,
};

use crate::title::{is_blank, split_tags};

/// The longest address that is saved, in bytes as stored.
pub const LONGEST_ADDRESS: usize = 1000;

/// A link that someone posted. It is valid: `url` comes from [`address`], `title` from
/// [`normalize`](crate::title::normalize).
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The channel, spelled as in bot.conf.
    pub channel: String,
    pub nick: String,
    /// The poster's services account; empty if unknown.
    pub account: String,
    pub url: String,
    pub title: String,
    /// When it was posted, UTC, to the millisecond.
    pub posted: OffsetDateTime,
}

impl Link {
    /// The title as people see it, without its tags, and the tags. If there are only tags, the
    /// address is the title.
    pub fn title_and_tags(&self) -> (&str, Vec<&str>) {
        let (title, tags) = split_tags(&self.title);
        (if title.is_empty() { &self.url } else { title }, tags)
    }

    /// True if its title is only its address.
    pub fn is_untitled(&self) -> bool {
        self.title_and_tags().0 == readable(&self.url)
    }

    /// The host of its address, without `www.`.
    pub fn host(&self) -> &str {
        let host = self.url.split(['/', '?', '#']).nth(2).unwrap_or_default();
        host.trim_start_matches("www.")
    }

    /// The text that `.find` searches, in lower case: the title, the poster, and the address as
    /// stored, as compared, and decoded with its host in Unicode.
    pub fn search_text(&self) -> String {
        let Link { title, nick, url, .. } = self;
        let host = domain_to_unicode(self.host());
        let readable = readable(url).replacen(self.host(), &host, 1);
        format!("{title} {nick} {url} {} {readable}", comparison_key(url)).to_lowercase()
    }
}

/// Returns the address as it is stored: the `url` crate normalizes it, with punycode and
/// percent-encoding.
///
/// An error is a few words for the poster.
pub fn address(mut text: &str) -> Result<String, String> {
    // `http://http://example.com/`: a browser's address bar adds a second scheme.
    while let Some((_, rest)) = text.split_once("://")
        && begins_address(rest)
    {
        text = rest;
    }
    if !begins_address(text) {
        return Err("the address must begin with http:// or https://".into());
    }
    let url = Url::parse(text).map_err(|e| format!("not an address: {e}"))?;
    if url.authority().contains('@') {
        return Err(
            "the user name or password in the address would be published; leave it out".into()
        );
    }
    if !url.domain().is_none_or(is_host) {
        return Err("not an address: the host name is not valid".into());
    }
    if url.as_str().len() > LONGEST_ADDRESS {
        return Err(format!("the address is longer than {LONGEST_ADDRESS} bytes"));
    }
    Ok(url.into())
}

/// False for a name that is obviously not a host: `http`, `example,com`, `a..b`, `$HOST`.
fn is_host(name: &str) -> bool {
    name.split_terminator('.').all(|label| label.contains(char::is_alphanumeric))
        && !name.contains([',', '$', '{'])
        && !["http", "https"].contains(&name.trim_end_matches('.'))
}

/// Returns a key that is the same for all spellings of one address. Ignores the scheme, `www.`, the
/// trailing slash, tracking parameters and text fragments.
pub fn comparison_key(url: &str) -> String {
    let (page, fragment) = url.split_once('#').unwrap_or((url, ""));
    let is_own = |part: &&str| {
        let name = part.split('=').next().unwrap_or_default();
        let tracking = ["", "fbclid", "gclid", "igshid", "mc_cid", "mc_eid", "si"];
        !tracking.contains(&name) && !name.starts_with("utm_")
    };
    let parts: Vec<&str> = page.split(['?', '&']).filter(is_own).collect();
    let page = parts.join("&").replacen('&', "?", 1);
    // `#:~:text=` makes the browser scroll to the matching text.
    let fragment = fragment.split(":~:").next().unwrap_or_default();
    let key = format!("{}#{fragment}", page.trim_end_matches('/'));
    let bare = without_scheme(&key).trim_start_matches("www.");
    bare.trim_end_matches(['#', '/']).to_owned()
}

fn without_scheme(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

/// Returns the title of a link that was posted without one: its address without scheme and trailing
/// slash, decoded.
pub fn readable(url: &str) -> String {
    let bare = without_scheme(url);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    bare.split('/').map(decode).collect::<Vec<_>>().join("/")
}

/// Decodes the percent-encoding of a part of a path. Spaces and invisible characters stay encoded,
/// and so does a part that is not UTF-8.
pub fn decode(part: &str) -> String {
    // In a form these three have a meaning of their own.
    let form = part.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    let (decoded, _) = form_urlencoded::parse(form.as_bytes()).next().unwrap_or_default();
    if decoded.contains(char::REPLACEMENT_CHARACTER) {
        return part.to_owned();
    }
    let shown = |c: char| {
        let text = c.to_string();
        if is_blank(c) { percent_encode(&text) } else { text }
    };
    decoded.chars().map(shown).collect()
}

/// True if `text` begins with `http://` or `https://`, in any case.
pub fn begins_address(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// Percent-encodes all but letters, digits and `*-._`.
pub fn percent_encode(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Replaces `{channel}` in an address with the channel without its first `#`, percent-encoded.
pub fn with_channel(pattern: &str, channel: &str) -> String {
    pattern.replace("{channel}", &percent_encode(channel.strip_prefix('#').unwrap_or(channel)))
}
