//! The links of some channels as an RSS 2.0 file.
//!
//! Follows RSS 2.0 and the RSS Advisory Board's profile of it, with `atom:link` and `dc:creator`.

use std::io::{self, Write};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::journal::{Entry, format_time};
use crate::link::percent_encode;
use crate::view::{Escape, View, reposters_html, uri};

const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel>
"#;

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

/// With a year of four digits, as in RFC 1123.
fn date(time: OffsetDateTime) -> String {
    time.format(&Rfc2822).unwrap_or_default()
}

#[cfg(test)]
#[path = "../tests/unit/feed.rs"]
mod tests;
