//! The links of some channels, as the feed and the page show them, and the text that both write.
//!
//! Reads links from the journal; escapes text and addresses for XML and HTML.

use std::fmt::{self, Display, Formatter};
use std::io;

use time::OffsetDateTime;
use url::Url;

use crate::journal::{Entry, Journal};
use crate::link::Link;
use crate::log_url::LogUrl;

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
    pub fn links(&self, journal: &Journal) -> io::Result<Vec<Entry>> {
        let links = journal.links();
        links
            .filter(|entry| entry.as_ref().map_or(true, |e| self.shows(&e.link.channel)))
            .take(self.items)
            .collect()
    }

    /// The time of the newest event, so that an unchanged journal gives an unchanged file.
    pub fn changed(&self, journal: &Journal) -> io::Result<Option<OffsetDateTime>> {
        let newest = journal
            .events()
            .find(|event| event.as_ref().map_or(true, |e| self.shows(&e.link.channel)));
        Ok(newest.transpose()?.map(|event| event.time))
    }

    pub fn shows(&self, channel: &str) -> bool {
        self.channels.iter().any(|own| own == channel)
    }

    /// The place in the channel's log, ready to be escaped.
    pub fn log_uri(&self, link: &Link) -> Option<String> {
        self.log_url.as_ref().map(|log_url| uri(&log_url.of(link)))
    }
}

/// HTML: who posted it again; nothing, if nobody did.
pub fn reposters_html(entry: &Entry) -> String {
    let nicks = entry.reposters.join(", ");
    if nicks.is_empty() { nicks } else { format!("; again by {}", Escape(&nicks)) }
}

/// Text for an element of XML or HTML, or for an attribute in double quotes. What XML 1.0 forbids is left
/// out: a reference would not make it legal. The references are numeric, as the RSS profile has them for titles.
pub struct Escape<'a>(pub &'a str);

impl Display for Escape<'_> {
    fn fmt(&self, out: &mut Formatter) -> fmt::Result {
        let may_change = |c| matches!(c, ..' ' | '&' | '<' | '>' | '"' | '\u{fffe}' | '\u{ffff}');
        let mut end = 0;
        for (start, c) in self.0.match_indices(may_change) {
            out.write_str(&self.0[end..start])?;
            end = start + c.len();
            out.write_str(match c {
                "&" => "&#x26;",
                "<" => "&#x3C;",
                ">" => "&#x3E;",
                "\"" => "&#x22;",
                "\t" | "\n" | "\r" => c,
                _ => "",
            })?;
        }
        out.write_str(&self.0[end..])
    }
}

/// `address` as RFC 3986 wants it: the `url` crate follows the WHATWG's standard, which lets more stand as it is.
pub fn uri(address: &str) -> String {
    // A stored address is ASCII already; one of bot.conf may name its host in another script.
    let parsed = if address.is_ascii() { None } else { Url::parse(address).ok() };
    let address = parsed.as_ref().map_or(address, Url::as_str);
    // Brackets may stand around an IPv6 address and nowhere else.
    let path = address.match_indices('/').nth(2).map_or(0, |(slash, _)| slash);
    let (fragment, bytes) = (address.find('#'), address.as_bytes());
    let mut out = String::with_capacity(address.len());
    for (i, &byte) in bytes.iter().enumerate() {
        let may_stand = match byte {
            b'[' | b']' => i < path,
            b'#' => fragment == Some(i),
            b'%' => bytes.len() > i + 2 && bytes[i + 1..i + 3].iter().all(u8::is_ascii_hexdigit),
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => false,
            byte => byte.is_ascii_graphic(),
        };
        if may_stand {
            out.push(byte as char);
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}
