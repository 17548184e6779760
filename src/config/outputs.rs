//! The files that linkbot writes: the feeds and pages with their public addresses, and where they may be.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use url::Url;

use super::lines::Lines;
use super::values::{number, path_in};
use crate::feed::Feed;
use crate::irc;
use crate::link::{address, percent_encode};
use crate::log_url::{LogUrl, Zone};
use crate::page::{Alternate, Page};
use crate::publish::{Kind, Output};
use crate::view::View;

const CHANNEL: &str = "{channel}";

/// `feed`, `page`, `feed_url` and `feed_title`, each a pattern that may contain `{channel}`.
struct Patterns<'a> {
    directory: &'a Path,
    feed: &'a str,
    page: &'a str,
    feed_url: Option<&'a str>,
    title: Option<&'a str>,
}

/// The feeds, then the pages: one for all channels, or one for each if the file's name contains `{channel}`.
pub fn outputs(
    lines: &Lines,
    irc: &irc::Settings,
    zone: Zone,
    log_url: Option<&LogUrl>,
) -> Result<Vec<Output>, String> {
    let patterns = patterns(lines)?;
    let items = lines.get("feed_items", "100", |value| number(value, 1..=10_000))? as usize;
    let view = |channels: &[String]| View {
        channels: channels.to_vec(),
        title: patterns.title(channels),
        items,
        log_url: log_url.cloned(),
    };
    let channels: Vec<String> = irc.channels.iter().map(|channel| channel.name.clone()).collect();
    let mut outputs = Vec::new();
    for group in groups(&channels, patterns.feed) {
        let about = patterns.page_url(group).unwrap_or_else(|| channel_url(lines, &group[0]));
        let kind = Kind::Feed(Feed { url: patterns.feed_url(group), about });
        outputs.push(Output { path: patterns.path(patterns.feed, group), view: view(group), kind });
    }
    for group in groups(&channels, patterns.page) {
        let mut feeds = Vec::new();
        for of_feed in groups(&channels, patterns.feed) {
            if of_feed.iter().any(|channel| group.contains(channel)) {
                let href = patterns
                    .feed_url(of_feed)
                    .unwrap_or_else(|| patterns.encoded_name(patterns.feed, of_feed));
                feeds.push(Alternate { title: patterns.title(of_feed), href });
            }
        }
        let kind = Kind::Page(Page {
            url: patterns.page_url(group),
            feeds,
            zone,
            prefix: irc.prefix.clone(),
        });
        outputs.push(Output { path: patterns.path(patterns.page, group), view: view(group), kind });
    }
    Ok(outputs)
}

fn patterns<'a>(lines: &Lines<'a>) -> Result<Patterns<'a>, String> {
    let is_file = |value: &str| path_in(lines.directory, value).map(drop);
    let is_address = |value: &str| address(&value.replace(CHANNEL, "")).map(drop);
    lines.option("feed", is_file)?;
    lines.option("page", is_file)?;
    lines.option("feed_url", is_address)?;
    let feed = lines.value("feed").unwrap_or("links.xml");
    let feed_url = lines.value("feed_url");
    if feed_url.is_some_and(|url| url.contains(CHANNEL) != feed.contains(CHANNEL)) {
        let what = "must contain {channel} if feed does, and only then";
        return Err(lines.error("feed_url", what));
    }
    Ok(Patterns {
        directory: lines.directory,
        feed,
        page: lines.value("page").unwrap_or("links.html"),
        feed_url,
        title: lines.value("feed_title"),
    })
}

/// The channels that share a file.
fn groups<'a>(channels: &'a [String], pattern: &str) -> impl Iterator<Item = &'a [String]> {
    channels.chunks(if pattern.contains(CHANNEL) { 1 } else { channels.len() })
}

impl Patterns<'_> {
    fn title(&self, group: &[String]) -> String {
        match self.title {
            Some(title) => title.replace(CHANNEL, without_sign(&group[0])),
            None => format!("Links from {}", group.join(", ")),
        }
    }

    fn path(&self, pattern: &str, group: &[String]) -> PathBuf {
        let name = pattern.replace(CHANNEL, &in_file_name(&group[0]));
        path_in(self.directory, &name).unwrap_or_default()
    }

    /// The name of a file as the last part of its address. Feeds and pages are served from one directory.
    fn encoded_name(&self, pattern: &str, group: &[String]) -> String {
        let path = self.path(pattern, group);
        percent_encode(&path.file_name().unwrap_or_default().to_string_lossy())
    }

    fn feed_url(&self, group: &[String]) -> Option<String> {
        let name = percent_encode(&in_file_name(&group[0]));
        self.feed_url.map(|url| url.replace(CHANNEL, &name))
    }

    fn page_url(&self, group: &[String]) -> Option<String> {
        let feed_url = Url::parse(&self.feed_url(group)?).ok()?;
        Some(feed_url.join(&self.encoded_name(self.page, group)).ok()?.into())
    }
}

/// `{channel}` in a file's name, and in the address of that file.
fn in_file_name(channel: &str) -> String {
    let is_other = |c: char| !c.is_alphanumeric() && c != '-' && c != '_';
    without_sign(channel).replace(is_other, "_")
}

/// The channel without its first `#`.
fn without_sign(channel: &str) -> &str {
    channel.strip_prefix('#').unwrap_or(channel)
}

/// What a feed is about if its page has no known address.
fn channel_url(lines: &Lines, channel: &str) -> String {
    let scheme = if lines.value("tls") == Some("no") { "irc" } else { "ircs" };
    let server = lines.value("server").unwrap_or_default();
    format!("{scheme}://{server}/{}", percent_encode(channel))
}

/// Each file that linkbot writes must be different from the others, in a directory that exists.
pub fn check(lines: &Lines, journal: &Path, outputs: &[Output]) -> Result<(), String> {
    let mut taken = HashSet::from([path_in(Path::new(""), &lines.path.to_string_lossy())?]);
    let mut files = vec![("journal", journal)];
    for output in outputs {
        let key = if matches!(output.kind, Kind::Feed(_)) { "feed" } else { "page" };
        files.push((key, &output.path));
    }
    for (key, path) in files {
        let directory = Path::new(".").join(path.parent().unwrap_or(path));
        if !directory.is_dir() {
            let what = format!("the directory {} does not exist; create it", directory.display());
            return Err(lines.error(key, &what));
        }
        if !taken.insert(path.to_owned()) {
            let path = path.display();
            let what = format!("linkbot already uses {path} otherwise; choose another name");
            return Err(lines.error(key, &what));
        }
    }
    Ok(())
}
