//! The links of some channels as an RSS 2.0 file.
//!
//! Follows RSS 2.0 and the RSS Advisory Board's profile of it, with `atom:link` and `dc:creator`.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::macros::format_description;
use url::{Position, Url};

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
        let mut out = String::from(concat!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
            "<rss version=\"2.0\" xmlns:atom=\"http://www.w3.org/2005/Atom\"",
            " xmlns:dc=\"http://purl.org/dc/elements/1.1/\">\n<channel>\n"
        ));
        // The page that the feed belongs to is the folder it is served from.
        let page = self.url.as_ref().and_then(|url| Some(Url::parse(url).ok()?.join(".").ok()?.into()));
        element(&mut out, "title", &self.title);
        element(&mut out, "link", &uri(&page.unwrap_or(self.channel_url.clone())));
        element(&mut out, "description", &format!("Links posted in {}", self.channels.join(", ")));
        if let Some(url) = &self.url {
            let href = escape(&uri(url));
            out += &format!("<atom:link rel=\"self\" type=\"application/rss+xml\" href=\"{href}\"/>\n");
        }
        if let Some(changed) = changed {
            element(&mut out, "lastBuildDate", &date(changed));
        }
        for entry in entries {
            self.item(&mut out, &entry?);
        }
        out.push_str("</channel>\n</rss>\n");
        Ok(out)
    }

    fn item(&self, out: &mut String, entry: &Entry) {
        let link = &entry.link;
        let log_url = self.log_url.as_ref().map(|log_url| uri(&log_url.of(link)));
        out.push_str("<item>\n");
        // A title can only be blank where someone has edited the journal.
        let title = if escape(&link.title).trim().is_empty() { &link.url } else { &link.title };
        element(out, "title", title);
        element(out, "link", &uri(&link.url));
        element(out, "description", &description(entry, log_url.as_deref()));
        element(out, "dc:creator", &link.nick);
        element(out, "category", &link.channel);
        if let Some(log_url) = &log_url {
            element(out, "comments", log_url);
        }
        let (channel, time) = (percent_encode(&link.channel), format_time(entry.time));
        *out += &format!("<guid isPermaLink=\"false\">linkbot:{channel}/{time}</guid>\n");
        element(out, "pubDate", &date(link.posted));
        out.push_str("</item>\n");
    }
}

/// HTML: who posted it, that being the link into the log, and who posted it again.
fn description(entry: &Entry, log_url: Option<&str>) -> String {
    let mut html = escape(&format!("posted by {} in {}", entry.link.nick, entry.link.channel));
    if let Some(log_url) = log_url {
        html = format!("<a href=\"{}\">{html}</a>", escape(log_url));
    }
    if !entry.again.is_empty() {
        html += &format!("; again by {}", escape(&entry.again.join(", ")));
    }
    html
}

fn element(out: &mut String, name: &str, text: &str) {
    *out += &format!("<{name}>{}</{name}>\n", escape(text));
}

/// `text` for an element of XML or HTML, or for an attribute in double quotes. What XML 1.0 forbids is left
/// out: a reference would not make it legal. The references are numeric, as the RSS profile has them for titles.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' => out += &format!("&#x{:X};", c as u32),
            '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'.. => out.push(c),
            _ => {}
        }
    }
    out
}

/// `address` as RFC 3986 wants it: the `url` crate follows the WHATWG's standard, which lets more stand as it is.
fn uri(address: &str) -> String {
    let (address, host_end) = match Url::parse(address) {
        Ok(url) => (url.to_string(), url[..Position::BeforePath].len()),
        Err(_) => (address.to_owned(), 0),
    };
    let bytes = address.as_bytes();
    let fragment = address.find('#');
    let mut out = String::with_capacity(address.len());
    for (i, &byte) in bytes.iter().enumerate() {
        let may_stand = match byte {
            // Around an IPv6 address and nowhere else.
            b'[' | b']' => i < host_end,
            b'#' => fragment == Some(i),
            b'%' => bytes.len() > i + 2 && bytes[i + 1..i + 3].iter().all(u8::is_ascii_hexdigit),
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => false,
            _ => byte.is_ascii_graphic(),
        };
        if may_stand {
            out.push(byte as char);
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

/// `time`, which is UTC, as RFC 822 has it, with a year of four digits as in RFC 1123.
fn date(time: OffsetDateTime) -> String {
    let rfc822 =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    time.format(rfc822).unwrap_or_default()
}

/// Keeps the feed files up to date with the journal.
pub struct Publisher<'a> {
    feeds: &'a [Feed],
    /// Which feeds are out of date.
    stale: Vec<bool>,
    /// The wait after a failure; zero while all goes well.
    wait: Duration,
    again: Option<Instant>,
}

impl<'a> Publisher<'a> {
    /// Brings every feed up to date. An error names the file and says what is wrong with it.
    pub fn new(feeds: &'a [Feed], journal: &Journal) -> Result<Publisher<'a>, String> {
        feeds.iter().try_for_each(|feed| feed.publish(journal))?;
        Ok(Publisher { feeds, stale: vec![false; feeds.len()], wait: Duration::ZERO, again: None })
    }

    /// When a failed write is tried again; `None`: all is well.
    pub fn deadline(&self) -> Option<Instant> {
        self.again
    }

    /// Writes the feeds of the channels `touched`, and those that failed before once it is time again:
    /// after 1 min, doubling to 15.
    pub fn publish(&mut self, journal: &Journal, touched: Vec<String>, now: Instant) {
        for (feed, stale) in self.feeds.iter().zip(&mut self.stale) {
            *stale |= feed.channels.iter().any(|channel| touched.contains(channel));
        }
        if !self.stale.contains(&true) || self.again.is_some_and(|again| now < again) {
            return;
        }
        self.again = None;
        for (feed, stale) in self.feeds.iter().zip(&mut self.stale).filter(|(_, stale)| **stale) {
            match feed.publish(journal) {
                Ok(()) => *stale = false,
                Err(why) => {
                    if self.again.is_none() {
                        self.wait = (self.wait * 2).clamp(Duration::from_secs(60), Duration::from_secs(15 * 60));
                        self.again = Some(now + self.wait);
                    }
                    log::line(format_args!("{why}; next try in {} s", self.wait.as_secs()));
                }
            }
        }
        if self.again.is_none() {
            if !self.wait.is_zero() {
                log::line("the feed is written again");
            }
            self.wait = Duration::ZERO;
        }
    }
}

#[cfg(test)]
#[path = "../tests/unit/feed.rs"]
mod tests;
