//! The links of some channels as a page: for people without a feed reader.
//!
//! HTML with the classes of microformats2 (h-feed, h-entry). Nothing in it runs, and nothing is fetched for it.

use std::io;

use time::OffsetDateTime;
use time::macros::format_description;

use crate::feed::{Escape, View, again, uri};
use crate::journal::{Entry, Journal};
use crate::link::Zone;

/// The SHA-256 of [`style`] in base64: the page's policy allows this style and nothing else.
const STYLE_HASH: &str = "LrllUI8n43n40viLTe51WU42wuKVTzXFZV9pTB1v9IA=";

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
    /// What to type where nothing is shown yet.
    pub example: String,
}

#[derive(Clone, Debug)]
pub struct Alternate {
    pub title: String,
    /// The feed's public address, or the name of its file.
    pub href: String,
}

impl Page {
    pub fn render(&self, view: &View, journal: &Journal) -> io::Result<String> {
        Ok(self.document(view, &view.newest_first(journal).collect::<io::Result<Vec<_>>>()?))
    }

    fn document(&self, view: &View, entries: &[Entry]) -> String {
        let mut out = self.head(view);
        out += &format!("<main class=\"h-feed\">\n<h1 class=\"p-name\">{}</h1>\n", Escape(&view.title));
        if entries.is_empty() {
            let channels = view.channels.join(" or ");
            let (channels, example) = (Escape(&channels), Escape(&self.example));
            out += &format!("<p>No links yet. Share one in {channels}:</p>\n<p><code>{example}</code></p>\n");
        } else {
            out += &format!("<p>Newest first, times in {}.</p>\n", self.zones(entries));
        }
        let feeds = self
            .feeds
            .iter()
            .map(|feed| format!("<a rel=\"{REL}\" href=\"{}\">{}</a>", Escape(&feed.href), Escape(&feed.title)));
        out += &format!("<p>For feed readers: {}</p>\n", feeds.collect::<Vec<_>>().join(", "));
        let day = |entry: &Entry| self.zone.at(entry.link.posted).date();
        for entries in entries.chunk_by(|a, b| day(a) == day(b)) {
            out += &heading(self.zone.at(entries[0].link.posted));
            out += "<ul>\n";
            for entry in entries {
                out += &self.item(view, entry);
            }
            out += "</ul>\n";
        }
        out += "</main>\n</body>\n</html>\n";
        out
    }

    fn head(&self, view: &View) -> String {
        let mut out = format!(
            concat!(
                "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
                "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ",
                "style-src 'sha256-{}'; base-uri 'none'; form-action 'none'\">\n",
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n",
            ),
            STYLE_HASH,
            Escape(&view.title),
        );
        for feed in &self.feeds {
            let (title, href) = (Escape(&feed.title), Escape(&feed.href));
            out +=
                &format!("<link rel=\"alternate\" type=\"application/rss+xml\" title=\"{title}\" href=\"{href}\">\n");
        }
        out += &format!("<style>{}</style>\n</head>\n<body>\n", style());
        out
    }

    /// The offsets of the times on the page: more than one where clocks were changed meanwhile.
    fn zones(&self, entries: &[Entry]) -> String {
        let mut offsets: Vec<_> = entries.iter().map(|entry| self.zone.at(entry.link.posted).offset()).collect();
        offsets.dedup();
        let name = |offset: &time::UtcOffset| {
            let hours = format_description!("[offset_hour sign:mandatory]:[offset_minute]");
            if offset.is_utc() { "UTC".to_owned() } else { offset.format(hours).unwrap_or_default() }
        };
        offsets.iter().map(name).collect::<Vec<_>>().join(" and ")
    }

    fn item(&self, view: &View, entry: &Entry) -> String {
        let link = &entry.link;
        let (title, tags) = link.named();
        let posted = self.zone.at(link.posted);
        let mut time = format!(
            "<time datetime=\"{}\">{:02}:{:02}</time>",
            link.posted.format(format_description!("[year]-[month]-[day]T[hour]:[minute]Z")).unwrap_or_default(),
            posted.hour(),
            posted.minute(),
        );
        if let Some(log_uri) = view.log_uri(link) {
            time = format!("<a rel=\"{REL}\" href=\"{}\">{time}</a>", Escape(&log_uri));
        }
        let mut out = format!(
            concat!(
                "<li class=\"h-entry\">{}\n<a class=\"p-name u-url\" rel=\"{}\" href=\"{}\">{}</a>\n",
                "<p><b>{}</b>",
            ),
            time,
            REL,
            Escape(&uri(&link.url)),
            Escape(title),
            Escape(&link.nick),
        );
        if view.channels.len() > 1 {
            out += &format!(" in {}", Escape(&link.channel));
        }
        out += &format!("{} · {}", again(entry), Escape(link.host()));
        for tag in tags {
            out += &format!(" #{}", Escape(tag));
        }
        out += "</p></li>\n";
        out
    }
}

/// In one line: the Nu validator's idea of a hash ends with the first.
fn style() -> String {
    include_str!("page.css").lines().map(str::trim).collect()
}

fn heading(day: OffsetDateTime) -> String {
    let words = format_description!("[weekday], [day padding:none] [month repr:long] [year]");
    format!("<h2><time datetime=\"{}\">{}</time></h2>\n", day.date(), day.format(words).unwrap_or_default())
}

#[cfg(test)]
#[path = "../tests/unit/page.rs"]
mod tests;
