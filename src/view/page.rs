//! The links of some channels as a page, for people without a feed reader.
//!
//! HTML with the classes of microformats2 (h-feed, h-entry). The page has no scripts and
//! loads nothing.

use super::*;
use crate::config::in_zone;

/// The SHA-256 of [`style`] in base64: the page's policy allows this style and nothing else.
pub const STYLE_HASH: &str = "H6l/jG2HXZzNcmDGB40jzSQw3TvgCnRk90IFI5ttaAk=";

/// On every link: most lead to what people posted, and linkbot does not vouch for that.
const REL: &str = "noopener nofollow ugc";

/// `entries` are newest first; `has_older` is true if the journal has older ones.
pub fn render(config: &Config, view: &View, entries: &[Entry], has_older: bool) -> String {
    let (title, prefix) = (escape(&view.title), escape(&config.irc.prefix));
    let (alternates, feeds) = links_to_feeds(config, view);
    let style = style();
    let mut out = format!(
        "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; form-action 'none'\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>{title}</title>
{alternates}<style>{style}</style>
</head>
<body>
<main class=\"h-feed\">
<h1 class=\"p-name\">{title}</h1>
<p>{feeds}</p>
"
    );
    if entries.is_empty() {
        let channels = escape(&view.channels.join(" or "));
        out += &format!(
            "<p>No links yet. Share one in {channels}:</p>\n\
             <p><code>{prefix}url http://www.example.com/ Title For Link</code></p>\n"
        );
    } else {
        out += &list(config, view, entries);
    }
    if has_older {
        out += &format!("<p>Older links: {prefix}find in the channel</p>\n");
    }
    out + "</main>\n</body>\n</html>\n"
}

/// The links to the feeds of the page's channels: for feed readers in the head, and for people in
/// the body.
fn links_to_feeds(config: &Config, view: &View) -> (String, String) {
    let is_ours =
        |feed: &&View| !feed.is_page && feed.channels.iter().any(|channel| view.shows(channel));
    let feeds: Vec<_> = config.views.iter().filter(is_ours).collect();
    let (mut alternates, mut links) = (String::new(), Vec::new());
    for feed in &feeds {
        let (title, href) = (escape(&feed.title), escape(&feed.href()));
        alternates += &format!(
            "<link rel=\"alternate\" type=\"application/rss+xml\" title=\"{title}\" \
             href=\"{href}\">\n"
        );
        // The title of a lone feed would repeat the page's.
        let name = if feeds.len() == 1 { "RSS" } else { &title };
        links.push(format!("<a rel=\"{REL}\" href=\"{href}\">{name}</a>"));
    }
    (alternates, links.join(", "))
}

/// The links day by day, newest first.
fn list(config: &Config, view: &View, entries: &[Entry]) -> String {
    // Use one offset for all times on the page, even across a daylight-saving change.
    let offset = in_zone(entries[0].link.posted, config.zone).offset();
    // Drop the seconds.
    let zone = if offset.is_utc() { "UTC" } else { &offset.to_string()[..6] };
    let mut out = format!("<p>Newest first, times in {zone}.</p>\n");
    let posted = |entry: &Entry| in_zone(entry.link.posted, Some(offset));
    for entries in entries.chunk_by(|a, b| posted(a).date() == posted(b).date()) {
        let date = posted(&entries[0]).date();
        let (year, month, day) = date.to_calendar_date();
        out += &format!(
            "<h2><time datetime=\"{date}\">{}, {day} {month} {year}</time></h2>\n\
             <ul role=\"list\">\n",
            date.weekday()
        );
        for entry in entries {
            out += &item(config, view, entry, posted(entry));
        }
        out += "</ul>\n";
    }
    out
}

fn item(config: &Config, view: &View, entry: &Entry, posted: OffsetDateTime) -> String {
    let link = &entry.link;
    let (title, tags) = link.title_and_tags();
    // Drop the milliseconds.
    let utc = &format_time(link.posted)[..19];
    let (hour, minute, _) = posted.to_hms();
    let mut time =
        format!("<time class=\"dt-published\" datetime=\"{utc}Z\">{hour:02}:{minute:02}</time>");
    if let Some(url) = config.log_url(link) {
        time = format!("<a rel=\"{REL}\" href=\"{}\">{time}</a>", escape(&url));
    }
    let (href, title) = (escape(&uri(&link.url)), escape(title));
    let mut note = format!("<b class=\"p-author\">{}</b>", escape(&link.nick));
    if view.channels.len() > 1 {
        note += &format!(" in {}", escape(&link.channel));
    }
    note += &format!("{} · {}", reposters_html(entry), escape(link.host()));
    for tag in tags {
        note += &format!(" #{}", escape(tag));
    }
    // HTML does not need `</li>`.
    format!(
        "<li class=\"h-entry\">{time}
<a class=\"p-name u-url\" rel=\"{REL}\" href=\"{href}\">{title}</a>
<p>{note}</p>
"
    )
}

/// On one line: the Nu validator hashes only the first line.
pub fn style() -> String {
    include_str!("page.css").lines().map(str::trim).collect()
}
