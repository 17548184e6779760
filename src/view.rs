//! A feed or a page: which links it shows, and how their text is escaped.
//!
//! Reads links from the journal; escapes text and addresses for XML and HTML.

use std::io;
use std::path::PathBuf;

use time::OffsetDateTime;
use url::Url;

use crate::journal::{Entry, Journal, VIEW_WINDOW};
use crate::link::Link;
use crate::log_url::LogUrl;
use crate::page::Page;

/// A file that shows the newest links of some channels.
pub struct View {
    pub path: PathBuf,
    /// The file's public address, if it is known.
    pub url: Option<String>,
    /// The channels whose links it shows, as spelled in bot.conf.
    pub channels: Vec<String>,
    pub title: String,
    /// The most links that it shows: the newest.
    pub items: usize,
    pub log_url: Option<LogUrl>,
    pub format: Format,
}

pub enum Format {
    /// RSS. `about` is the address of the page, or else of the channel: `ircs://host/channel`.
    Feed {
        about: String,
    },
    Page(Page),
}

impl View {
    /// The links to show, newest first, and true if the journal has older ones.
    pub fn links(&self, journal: &Journal) -> io::Result<(Vec<Entry>, bool)> {
        let mut links = journal.links(VIEW_WINDOW, |channel| self.shows(channel));
        let newest = links.by_ref().take(self.items).collect::<io::Result<_>>()?;
        Ok((newest, links.next().is_some()))
    }

    /// The time of the newest event.
    pub fn changed(&self, journal: &Journal) -> io::Result<Option<OffsetDateTime>> {
        for event in journal.events(VIEW_WINDOW) {
            let event = event?;
            if self.shows(&event.link.channel) {
                return Ok(Some(event.time));
            }
        }
        Ok(None)
    }

    pub fn shows(&self, channel: &str) -> bool {
        self.channels.iter().any(|own| own == channel)
    }

    /// The address of the link's second in the channel's log.
    pub fn log_uri(&self, link: &Link) -> Option<String> {
        self.log_url.as_ref().map(|log_url| uri(&log_url.of(link)))
    }
}

/// HTML: the nicks of later posters, if there are any.
pub fn reposters_html(entry: &Entry) -> String {
    match &entry.reposters[..] {
        [] => String::new(),
        nicks => format!("; again by {}", escape(&nicks.join(", "))),
    }
}

/// Escapes text for an element of XML or HTML, or for an attribute in double quotes. Leaves out
/// control characters and what XML 1.0 forbids, even as a reference. The references are numeric, as the RSS profile wants
/// them in titles.
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out += "&#x26;",
            '<' => out += "&#x3C;",
            '>' => out += "&#x3E;",
            '"' => out += "&#x22;",
            ..' ' | '\u{fffe}' | '\u{ffff}' => {}
            c => out.push(c),
        }
    }
    out
}

/// Percent-encodes what RFC 3986 forbids in `address`; the `url` crate allows more.
pub fn uri(address: &str) -> String {
    // Stored addresses are ASCII. An address in bot.conf may have its host in another script.
    let parsed = if address.is_ascii() { None } else { Url::parse(address).ok() };
    let address = parsed.as_ref().map_or(address, Url::as_str);
    // Brackets are allowed around an IPv6 address only.
    let path = address.match_indices('/').nth(2).map_or(0, |(slash, _)| slash);
    let bytes = address.as_bytes();
    let mut out = String::new();
    for (i, &byte) in bytes.iter().enumerate() {
        let is_allowed = match byte {
            b'[' | b']' => i < path,
            b'#' => !out.contains('#'),
            b'%' => {
                bytes.get(i + 1..i + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
            }
            byte => byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte),
        };
        if is_allowed {
            out.push(byte.into());
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}
