//! The links of some channels as an RSS 2.0 file.
//!
//! Follows RSS 2.0 and the RSS Advisory Board's profile of it, with `atom:link` and `dc:creator`.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::io;
use std::path::PathBuf;

use time::OffsetDateTime;
use time::macros::format_description;
use url::Url;

use crate::file::replace;
use crate::journal::{Entry, Journal, format_time};
use crate::link::{Link, LogUrl, percent_encode};
use crate::log;

/// One feed file: where it is, and what goes into it.
#[derive(Clone, Debug)]
pub struct Feed {
    pub path: PathBuf,
    /// The channels whose links it holds, spelt as in bot.conf.
    pub channels: Vec<String>,
    pub title: String,
    /// The public address of the feed, if it is known.
    pub url: Option<String>,
    /// What the feed is about, where `url` is not known: `ircs://host/channel`.
    pub channel_url: String,
    /// How many of the newest links it shows.
    pub items: usize,
    pub log_url: Option<LogUrl>,
}

impl Feed {
    /// Brings the file up to date with the journal; a file that would not change is not touched.
    ///
    /// An error names the file and says what is wrong with it.
    pub fn publish(&self, journal: &Journal) -> Result<(), String> {
        let write = || replace(&self.path, &self.read(journal)?);
        write().map_err(|e| format!("{}: {}", self.path.display(), log::os(&e)))
    }

    fn read(&self, journal: &Journal) -> io::Result<String> {
        let is_other = |link: &Link| !self.channels.contains(&link.channel);
        let mut events = journal.events().skip_while(|event| event.as_ref().is_ok_and(|e| is_other(&e.link)));
        let changed = events.next().transpose()?.map(|event| event.time);
        let entries = journal.newest_first().filter(|entry| entry.as_ref().map_or(true, |e| !is_other(&e.link)));
        self.render(changed, entries.take(self.items))
    }

    /// `changed` is the time of the newest event, so that an unchanged journal gives an unchanged file.
    fn render(
        &self,
        changed: Option<OffsetDateTime>,
        entries: impl Iterator<Item = io::Result<Entry>>,
    ) -> io::Result<String> {
        // The page that the feed belongs to is the folder it is served from.
        let page = self.url.as_ref().and_then(|url| Some(Url::parse(url).ok()?.join(".").ok()?.into()));
        let mut out = format!(
            concat!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
                "<rss version=\"2.0\" xmlns:atom=\"http://www.w3.org/2005/Atom\"",
                " xmlns:dc=\"http://purl.org/dc/elements/1.1/\">\n<channel>\n",
                "<title>{}</title>\n<link>{}</link>\n<description>Links posted in {}</description>\n"
            ),
            Escape(&self.title),
            Escape(&uri(&page.unwrap_or(self.channel_url.clone()))),
            Escape(&self.channels.join(", ")),
        );
        if let Some(url) = &self.url {
            let href = uri(url);
            out += &format!("<atom:link rel=\"self\" type=\"application/rss+xml\" href=\"{}\"/>\n", Escape(&href));
        }
        if let Some(changed) = changed {
            out += &format!("<lastBuildDate>{}</lastBuildDate>\n", date(changed));
        }
        for entry in entries {
            out += &self.item(&entry?);
        }
        out.push_str("</channel>\n</rss>\n");
        Ok(out)
    }

    fn item(&self, entry: &Entry) -> String {
        let link = &entry.link;
        let log_url = self.log_url.as_ref().map(|log_url| log_url.of(link));
        let log_url = log_url.as_deref().map(uri);
        // A title can only be blank where someone has edited the journal.
        let title = if link.title.trim().is_empty() { &link.url } else { &link.title };
        let mut out = format!(
            concat!(
                "<item>\n<title>{}</title>\n<link>{}</link>\n<description>{}</description>\n",
                "<dc:creator>{}</dc:creator>\n<category>{}</category>\n",
            ),
            Escape(title),
            Escape(&uri(&link.url)),
            Escape(&description(entry, log_url.as_deref())),
            Escape(&link.nick),
            Escape(&link.channel),
        );
        if let Some(log_url) = log_url {
            out += &format!("<comments>{}</comments>\n", Escape(&log_url));
        }
        out += &format!(
            "<guid isPermaLink=\"false\">linkbot:{}/{}</guid>\n<pubDate>{}</pubDate>\n</item>\n",
            percent_encode(&link.channel),
            format_time(entry.time),
            date(link.posted),
        );
        out
    }
}

/// HTML: who posted it, that being the link into the log, and who posted it again.
fn description(entry: &Entry, log_url: Option<&str>) -> String {
    let (nick, channel) = (Escape(&entry.link.nick), Escape(&entry.link.channel));
    let mut html = match log_url {
        None => format!("posted by {nick} in {channel}"),
        Some(log_url) => format!("<a href=\"{}\">posted by {nick} in {channel}</a>", Escape(log_url)),
    };
    if !entry.again.is_empty() {
        html += &format!("; again by {}", Escape(&entry.again.join(", ")));
    }
    html
}

/// Text for an element of XML or HTML, or for an attribute in double quotes. What XML 1.0 forbids is left
/// out: a reference would not make it legal. The references are numeric, as the RSS profile has them for titles.
struct Escape<'a>(&'a str);

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
fn uri(address: &str) -> Cow<'_, str> {
    let address = match Url::parse(address) {
        Ok(url) if !address.is_ascii() => Cow::Owned(url.into()),
        _ => Cow::Borrowed(address),
    };
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
