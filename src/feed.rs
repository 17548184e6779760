//! The links of some channels as an RSS 2.0 file, and what it shares with the page.
//!
//! Follows RSS 2.0 and the RSS Advisory Board's profile of it, with `atom:link` and `dc:creator`.

use std::fmt::{self, Display, Formatter};
use std::io::{self, Write};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use url::Url;

use crate::journal::{Entry, Journal, format_time};
use crate::link::{Link, LogUrl, percent_encode};

const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel>
"#;

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

/// What a feed has besides.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The public address of the feed, if it is known.
    pub url: Option<String>,
    /// What the feed is about: the page's public address, or the channel's `ircs://host/channel`.
    pub about: String,
}

impl Feed {
    pub fn render(
        &self,
        view: &View,
        changed: Option<OffsetDateTime>,
        entries: &[Entry],
    ) -> io::Result<Vec<u8>> {
        let mut out = HEAD.as_bytes().to_vec();
        element(&mut out, "title", &view.title)?;
        element(&mut out, "link", &uri(&self.about))?;
        element(&mut out, "description", &format!("Links posted in {}", view.channels.join(", ")))?;
        if let Some(url) = &self.url {
            writeln!(
                out,
                "<atom:link rel=\"self\" type=\"application/rss+xml\" href=\"{}\"/>",
                Escape(&uri(url))
            )?;
        }
        if let Some(changed) = changed {
            element(&mut out, "lastBuildDate", &date(changed))?;
        }
        for entry in entries {
            item(&mut out, view, entry)?;
        }
        writeln!(out, "</channel>\n</rss>")?;
        Ok(out)
    }
}

fn item(out: &mut Vec<u8>, view: &View, entry: &Entry) -> io::Result<()> {
    let link = &entry.link;
    let (title, tags) = link.title_and_tags();
    let log_uri = view.log_uri(link);
    writeln!(out, "<item>")?;
    element(out, "title", title)?;
    element(out, "link", &uri(&link.url))?;
    element(out, "description", &description(entry, log_uri.as_deref()))?;
    element(out, "dc:creator", &link.nick)?;
    for category in [link.channel.as_str()].into_iter().chain(tags) {
        element(out, "category", category)?;
    }
    if let Some(log_uri) = log_uri {
        element(out, "comments", &log_uri)?;
    }
    let (channel, time) = (percent_encode(&link.channel), format_time(entry.time));
    writeln!(out, "<guid isPermaLink=\"false\">linkbot:{channel}/{time}</guid>")?;
    element(out, "pubDate", &date(link.posted))?;
    writeln!(out, "</item>")
}

fn element(out: &mut Vec<u8>, name: &str, text: &str) -> io::Result<()> {
    writeln!(out, "<{name}>{}</{name}>", Escape(text))
}

/// HTML: who posted it, that being the link into the log, and who posted it again.
fn description(entry: &Entry, log_uri: Option<&str>) -> String {
    let mut html =
        format!("posted by {} in {}", Escape(&entry.link.nick), Escape(&entry.link.channel));
    if let Some(log_uri) = log_uri {
        html = format!("<a href=\"{}\">{html}</a>", Escape(log_uri));
    }
    html + &reposters_html(entry)
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

/// With a year of four digits, as in RFC 1123.
fn date(time: OffsetDateTime) -> String {
    time.format(&Rfc2822).unwrap_or_default()
}

#[cfg(test)]
#[path = "../tests/unit/feed.rs"]
mod tests;
