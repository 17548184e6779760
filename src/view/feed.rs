//! The links of some channels as an RSS 2.0 file.
//!
//! Follows RSS 2.0 and the RSS Advisory Board's profile of it, with `atom:link` and `dc:creator`.

use time::format_description::well_known::Rfc2822;

use super::*;

/// `changed` is the time of the newest event, so an unchanged journal gives an unchanged feed.
pub fn render(
    config: &Config,
    view: &View,
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
        link = escape(&uri(&view.about)),
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
        out += &item(config, entry);
    }
    out + "</channel>\n</rss>\n"
}

fn item(config: &Config, entry: &Entry) -> String {
    let link = &entry.link;
    let (title, tags) = link.title_and_tags();
    let (nick, channel) = (escape(&link.nick), escape(&link.channel));
    let log_url = config.log_url(link);
    // HTML: who posted it, with a link to the log, and who posted it again.
    let mut description = format!("posted by {nick} in {channel}");
    if let Some(url) = &log_url {
        description = format!("<a href=\"{}\">{description}</a>", escape(url));
    }
    description += &reposters_html(entry);
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
        description = escape(&description),
        guid_channel = percent_encode(&link.channel),
        time = format_time(entry.time),
    );
    for tag in tags {
        out += &element("category", tag);
    }
    if let Some(url) = log_url {
        out += &element("comments", &url);
    }
    out + &date("pubDate", link.posted) + "</item>\n"
}

fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>\n", escape(text))
}

/// Empty for a time that RFC 2822 cannot express: before 1900.
fn date(name: &str, time: OffsetDateTime) -> String {
    time.format(&Rfc2822).map_or(String::new(), |date| element(name, &date))
}
