//! The links of some channels as an RSS 2.0 file, and what it shares with the page.
//!
//! Follows RSS 2.0 and the RSS Advisory Board's profile of it, with `atom:link` and `dc:creator`.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::io;

use time::OffsetDateTime;
use time::macros::format_description;
use url::Url;

use crate::journal::{Entry, Journal, format_time};
use crate::link::{Link, LogUrl, percent_encode};

/// What a feed and a page show alike.
#[derive(Clone, Debug)]
pub struct View {
    /// The channels whose links it holds, spelt as in bot.conf.
    pub channels: Vec<String>,
    pub title: String,
    /// How many of the newest links it shows.
    pub items: usize,
    pub log_url: Option<LogUrl>,
}

impl View {
    pub fn newest_first(&self, journal: &Journal) -> impl Iterator<Item = io::Result<Entry>> {
        let is_ours = |entry: &io::Result<Entry>| entry.as_ref().map_or(true, |entry| self.shows(&entry.link));
        journal.newest_first().filter(is_ours).take(self.items)
    }

    fn shows(&self, link: &Link) -> bool {
        self.channels.contains(&link.channel)
    }

    /// The place in the channel's log, ready to be escaped.
    pub fn log_uri(&self, link: &Link) -> Option<String> {
        self.log_url.as_ref().map(|log_url| uri(&log_url.of(link)).into_owned())
    }
}

/// What a feed has besides.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The public address of the feed, if it is known.
    pub url: Option<String>,
    /// What the feed is about: the page's public address, or the channel's `ircs://host/channel`.
    pub about: String,
}

impl Feed {
    pub fn render(&self, view: &View, journal: &Journal) -> io::Result<String> {
        let mut events = journal.events().skip_while(|event| event.as_ref().is_ok_and(|e| !view.shows(&e.link)));
        let changed = events.next().transpose()?.map(|event| event.time);
        self.document(view, changed, view.newest_first(journal))
    }

    /// `changed` is the time of the newest event, so that an unchanged journal gives an unchanged file.
    fn document(
        &self,
        view: &View,
        changed: Option<OffsetDateTime>,
        entries: impl Iterator<Item = io::Result<Entry>>,
    ) -> io::Result<String> {
        let mut out = format!(
            concat!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
                "<rss version=\"2.0\" xmlns:atom=\"http://www.w3.org/2005/Atom\"",
                " xmlns:dc=\"http://purl.org/dc/elements/1.1/\">\n<channel>\n",
                "<title>{}</title>\n<link>{}</link>\n<description>Links posted in {}</description>\n"
            ),
            Escape(&view.title),
            Escape(&uri(&self.about)),
            Escape(&view.channels.join(", ")),
        );
        if let Some(url) = &self.url {
            let href = uri(url);
            out += &format!("<atom:link rel=\"self\" type=\"application/rss+xml\" href=\"{}\"/>\n", Escape(&href));
        }
        if let Some(changed) = changed {
            out += &format!("<lastBuildDate>{}</lastBuildDate>\n", date(changed));
        }
        for entry in entries {
            out += &item(view, &entry?);
        }
        out.push_str("</channel>\n</rss>\n");
        Ok(out)
    }
}

fn item(view: &View, entry: &Entry) -> String {
    let link = &entry.link;
    let (title, tags) = link.named();
    let log_uri = view.log_uri(link);
    let mut out = format!(
        concat!(
            "<item>\n<title>{}</title>\n<link>{}</link>\n<description>{}</description>\n",
            "<dc:creator>{}</dc:creator>\n",
        ),
        Escape(title),
        Escape(&uri(&link.url)),
        Escape(&description(entry, log_uri.as_deref())),
        Escape(&link.nick),
    );
    for category in [link.channel.as_str()].into_iter().chain(tags) {
        out += &format!("<category>{}</category>\n", Escape(category));
    }
    if let Some(log_uri) = log_uri {
        out += &format!("<comments>{}</comments>\n", Escape(&log_uri));
    }
    out += &format!(
        "<guid isPermaLink=\"false\">linkbot:{}/{}</guid>\n<pubDate>{}</pubDate>\n</item>\n",
        percent_encode(&link.channel),
        format_time(entry.time),
        date(link.posted),
    );
    out
}

/// HTML: who posted it, that being the link into the log, and who posted it again.
fn description(entry: &Entry, log_uri: Option<&str>) -> String {
    let (nick, channel) = (Escape(&entry.link.nick), Escape(&entry.link.channel));
    let mut html = match log_uri {
        None => format!("posted by {nick} in {channel}"),
        Some(log_uri) => format!("<a href=\"{}\">posted by {nick} in {channel}</a>", Escape(log_uri)),
    };
    html += &again(entry);
    html
}

/// HTML: who posted it again; nothing, if nobody did.
pub fn again(entry: &Entry) -> String {
    let nicks = entry.again.join(", ");
    if nicks.is_empty() { nicks } else { format!("; again by {}", Escape(&nicks)) }
}

/// Text for an element of XML or HTML, or for an attribute in double quotes. What XML 1.0 forbids is left
/// out: a reference would not make it legal. The references are numeric, as the RSS profile has them for titles.
pub struct Escape<'a>(pub &'a str);

impl Display for Escape<'_> {
    fn fmt(&self, out: &mut Formatter) -> fmt::Result {
        let mut rest = self.0;
        let may_stand = |c| match c {
            '&' | '<' | '>' | '"' => false,
            _ => matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..),
        };
        while let Some((at, c)) = rest.char_indices().find(|&(_, c)| !may_stand(c)) {
            out.write_str(&rest[..at])?;
            if matches!(c, '&' | '<' | '>' | '"') {
                write!(out, "&#x{:X};", c as u32)?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        out.write_str(rest)
    }
}

/// `address` as RFC 3986 wants it: the `url` crate follows the WHATWG's standard, which lets more stand as it is.
pub fn uri(address: &str) -> Cow<'_, str> {
    // A stored address is ASCII already; one of bot.conf may name its host in another script.
    let parsed = if address.is_ascii() { None } else { Url::parse(address).ok() };
    let address = parsed.map_or(Cow::Borrowed(address), |url| Cow::Owned(url.into()));
    // Brackets may stand around an IPv6 address and nowhere else.
    let host = address.find("//").map_or(0, |slashes| slashes + 2);
    let path = address[host..].find(['/', '?', '#']).map_or(address.len(), |end| host + end);
    let fragment = address.find('#');
    let bytes = address.as_bytes();
    let may_stand = |i: usize| match bytes[i] {
        b'[' | b']' => i < path,
        b'#' => fragment == Some(i),
        b'%' => bytes.len() > i + 2 && bytes[i + 1..i + 3].iter().all(u8::is_ascii_hexdigit),
        b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => false,
        byte => byte.is_ascii_graphic(),
    };
    if (0..bytes.len()).all(may_stand) {
        return address;
    }
    let mut out = String::with_capacity(2 * address.len());
    for (i, &byte) in bytes.iter().enumerate() {
        if may_stand(i) {
            out.push(byte as char);
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out.into()
}

/// `time`, which is UTC, as RFC 822 has it, with a year of four digits as in RFC 1123.
fn date(time: OffsetDateTime) -> String {
    let rfc822 =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    time.format(rfc822).unwrap_or_default()
}

#[cfg(test)]
#[path = "../tests/unit/feed.rs"]
mod tests;
