//! The links of some channels as an RSS 2.0 file.
//!
//! Follows RSS 2.0 and the RSS Advisory Board's profile of it, with `atom:link` and `dc:creator`.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::journal::{Entry, format_time};
use crate::link::percent_encode;
use crate::view::{View, escape, reposters_html, uri};

const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel>
"#;

/// What a feed has and a page does not.
pub struct Feed {
    /// The public address of the feed, if it is known.
    pub url: Option<String>,
    /// The address of what the feed is about: the page, or else the channel, `ircs://host/channel`.
    pub about: String,
}

impl Feed {
    /// `changed` is the time of the newest event, so an unchanged journal gives an unchanged feed.
    pub fn render(
        &self,
        view: &View,
        changed: Option<OffsetDateTime>,
        entries: &[Entry],
    ) -> String {
        let mut out = HEAD.to_owned();
        out += &element("title", &view.title);
        out += &element("link", &uri(&self.about));
        out += &element("description", &format!("Links posted in {}", view.channels.join(", ")));
        if let Some(url) = &self.url {
            let url = escape(&uri(url));
            out +=
                &format!("<atom:link rel=\"self\" type=\"application/rss+xml\" href=\"{url}\"/>\n");
        }
        if let Some(changed) = changed {
            out += &date("lastBuildDate", changed);
        }
        for entry in entries {
            out += &item(view, entry);
        }
        out + "</channel>\n</rss>\n"
    }
}

fn item(view: &View, entry: &Entry) -> String {
    let link = &entry.link;
    let (title, tags) = link.title_and_tags();
    let log_uri = view.log_uri(link);
    let mut out = "<item>\n".to_owned();
    out += &element("title", title);
    out += &element("link", &uri(&link.url));
    out += &element("description", &description(entry, log_uri.as_deref()));
    out += &element("dc:creator", &link.nick);
    out += &element("category", &link.channel);
    for tag in tags {
        out += &element("category", tag);
    }
    if let Some(log_uri) = log_uri {
        out += &element("comments", &log_uri);
    }
    let (channel, time) = (percent_encode(&link.channel), format_time(entry.time));
    out += &format!("<guid isPermaLink=\"false\">linkbot:{channel}/{time}</guid>\n");
    out += &date("pubDate", link.posted);
    out + "</item>\n"
}

fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>\n", escape(text))
}

/// HTML: who posted the link, itself a link into the log, and who posted it again.
fn description(entry: &Entry, log_uri: Option<&str>) -> String {
    let (nick, channel) = (escape(&entry.link.nick), escape(&entry.link.channel));
    let mut html = format!("posted by {nick} in {channel}");
    if let Some(log_uri) = log_uri {
        html = format!("<a href=\"{}\">{html}</a>", escape(log_uri));
    }
    html + &reposters_html(entry)
}

/// Empty for a time that RFC 2822 cannot express: before 1900.
fn date(name: &str, time: OffsetDateTime) -> String {
    time.format(&Rfc2822).map_or(String::new(), |date| element(name, &date))
}

#[cfg(test)]
#[path = "../tests/unit/feed.rs"]
mod tests;
