//! One link, and its address: as it is stored, compared with others, and shown to people.

use time::OffsetDateTime;
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

/// What a link without words is called: its address without scheme and final slash.
pub fn without_scheme(url: &str) -> &str {
    let (_, bare) = url.split_once("://").unwrap_or_default();
    bare.strip_suffix('/').unwrap_or(bare)
}

/// Whether `text` begins as every address does.
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
