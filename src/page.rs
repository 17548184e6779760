//! The links of some channels as a page: for people without a feed reader.
//!
//! HTML with the classes of microformats2 (h-feed, h-entry). Nothing in it runs, and nothing is fetched for it.

use std::io::{self, Write};

use time::{OffsetDateTime, UtcOffset};

use crate::journal::{Entry, format_time};
use crate::log_url::Zone;
use crate::view::{Escape, View, reposters_html, uri};

/// The SHA-256 of [`style`] in base64: the page's policy allows this style and nothing else.
const STYLE_HASH: &str = "Z2pxpP0xL8EusxtvLPcwuEMqViTg3X1DvLzUrVsqvBM=";

/// For every link that leads away: people chose them, so they are not our recommendation.
const REL: &str = "noopener nofollow ugc";

/// What a page has besides.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its public address, if it is known.
    pub url: Option<String>,
    /// The feeds of its channels.
    pub feeds: Vec<Alternate>,
    /// The zone of the times that it shows.
    pub zone: Zone,
    /// What commands start with.
    pub prefix: String,
}

#[derive(Clone, Debug)]
pub struct Alternate {
    pub title: String,
    /// The feed's public address, or the name of its file.
    pub href: String,
}

impl Page {
    pub fn render(&self, view: &View, entries: &[Entry]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        self.head(&mut out, view)?;
        writeln!(
            out,
            "<main class=\"h-feed\">\n<h1 class=\"p-name\">{}</h1>",
            Escape(&view.title)
        )?;
        if entries.is_empty() {
            let channels = view.channels.join(" or ");
            let example = format!("{}url http://www.example.com/ Title For Link", self.prefix);
            let (channels, example) = (Escape(&channels), Escape(&example));
            writeln!(
                out,
                "<p>No links yet. Share one in {channels}:</p>\n<p><code>{example}</code></p>"
            )?;
        }
        let feed = |it: &Alternate| {
            format!("<a rel=\"{REL}\" href=\"{}\">{}</a>", Escape(&it.href), Escape(&it.title))
        };
        writeln!(
            out,
            "<p>For feed readers: {}</p>",
            self.feeds.iter().map(feed).collect::<Vec<_>>().join(", ")
        )?;
        if let Some(newest) = entries.first() {
            // The same for all, also where clocks were changed meanwhile.
            let offset = self.zone.at(newest.link.posted).offset();
            list(&mut out, view, entries, offset)?;
        }
        writeln!(out, "</main>\n</body>\n</html>")?;
        Ok(out)
    }

    fn head(&self, out: &mut Vec<u8>, view: &View) -> io::Result<()> {
        let csp = format!(
            "default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; form-action 'none'"
        );
        writeln!(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
        writeln!(out, "<meta http-equiv=\"Content-Security-Policy\" content=\"{csp}\">")?;
        writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
        writeln!(out, "<title>{}</title>", Escape(&view.title))?;
        for feed in &self.feeds {
            let (title, href) = (Escape(&feed.title), Escape(&feed.href));
            writeln!(
                out,
                "<link rel=\"alternate\" type=\"application/rss+xml\" title=\"{title}\" href=\"{href}\">"
            )?;
        }
        writeln!(out, "<style>{}</style>\n</head>\n<body>", style())
    }
}

/// The links day by day, newest first.
fn list(out: &mut Vec<u8>, view: &View, entries: &[Entry], offset: UtcOffset) -> io::Result<()> {
    // Without its seconds.
    let name = if offset.is_utc() { "UTC" } else { &offset.to_string()[..6] };
    writeln!(out, "<p>Newest first, times in {name}.</p>")?;
    let posted = |entry: &Entry| Zone::Fixed(offset).at(entry.link.posted);
    for entries in entries.chunk_by(|a, b| posted(a).date() == posted(b).date()) {
        let day = posted(&entries[0]).date();
        let words = format!("{}, {} {} {}", day.weekday(), day.day(), day.month(), day.year());
        writeln!(out, "<h2><time datetime=\"{day}\">{words}</time></h2>\n<ul>")?;
        for entry in entries {
            item(out, view, entry, posted(entry))?;
        }
        writeln!(out, "</ul>")?;
    }
    Ok(())
}

fn item(out: &mut Vec<u8>, view: &View, entry: &Entry, posted: OffsetDateTime) -> io::Result<()> {
    let link = &entry.link;
    let (title, tags) = link.title_and_tags();
    // Without its seconds: nobody looks at them here.
    let utc = &format_time(link.posted)[..16];
    let mut time =
        format!("<time datetime=\"{utc}Z\">{:02}:{:02}</time>", posted.hour(), posted.minute());
    if let Some(log_uri) = view.log_uri(link) {
        time = format!("<a rel=\"{REL}\" href=\"{}\">{time}</a>", Escape(&log_uri));
    }
    let (href, title, nick) = (uri(&link.url), Escape(title), Escape(&link.nick));
    writeln!(out, "<li class=\"h-entry\">{time}")?;
    writeln!(
        out,
        "<a class=\"p-name u-url\" rel=\"{REL}\" href=\"{}\">{title}</a>",
        Escape(&href)
    )?;
    write!(out, "<p><b>{nick}</b>")?;
    if view.channels.len() > 1 {
        write!(out, " in {}", Escape(&link.channel))?;
    }
    write!(out, "{} · {}", reposters_html(entry), Escape(link.host()))?;
    for tag in tags {
        write!(out, " #{}", Escape(tag))?;
    }
    writeln!(out, "</p></li>")
}

/// In one line: the Nu validator's idea of a hash ends with the first.
fn style() -> String {
    include_str!("page.css").lines().map(str::trim).collect()
}

#[cfg(test)]
#[path = "../tests/unit/page.rs"]
mod tests;
