//! The links of some channels as an RSS 2.0 file.
//!
//! Follows RSS 2.0 and the RSS Advisory Board's profile of it, with `atom:link` and `dc:creator`.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::journal::{Entry, format_time};
use crate::link::percent_encode;
use crate::view::{View, escape, reposters_html, uri};

/// `changed` is the time of the newest event, so an unchanged journal gives an unchanged feed.
pub fn render(
    view: &View,
    about: &str,
    changed: Option<OffsetDateTime>,
    entries: &[Entry],
) -> String {
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<rss version=\"2.0\" xmlns:atom=\"http://www.w3.org/2005/Atom\" \
xmlns:dc=\"http://purl.org/dc/elements/1.1/\">
<channel>
<title>{title}</title>
<link>{link}</link>
<description>Links posted in {channels}</description>
",
        title = escape(&view.title),
        link = escape(&uri(about)),
        channels = escape(&view.channels.join(", ")),
    );
    if let Some(url) = &view.url {
        let url = escape(&uri(url));
        out += &format!("<atom:link rel=\"self\" type=\"application/rss+xml\" href=\"{url}\"/>\n");
    }
    if let Some(changed) = changed {
        out += &date("lastBuildDate", changed);
    }
    for entry in entries {
        out += &item(view, entry);
    }
    out + "</channel>\n</rss>\n"
}

fn item(view: &View, entry: &Entry) -> String {
    let link = &entry.link;
    let (title, tags) = link.title_and_tags();
    let log_uri = view.log_uri(link);
    let mut out = format!(
        "<item>
<title>{title}</title>
<link>{url}</link>
<description>{description}</description>
<dc:creator>{nick}</dc:creator>
<guid isPermaLink=\"false\">linkbot:{guid_channel}/{time}</guid>
<category>{channel}</category>
",
        title = escape(title),
        url = escape(&uri(&link.url)),
        description = escape(&description(entry, log_uri.as_deref())),
        nick = escape(&link.nick),
        guid_channel = percent_encode(&link.channel),
        time = format_time(entry.time),
        channel = escape(&link.channel),
    );
    for tag in tags {
        out += &element("category", tag);
    }
    if let Some(log_uri) = log_uri {
        out += &element("comments", &log_uri);
    }
    out + &date("pubDate", link.posted) + "</item>\n"
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
