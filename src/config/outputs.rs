//! The files that linkbot writes: the feeds and pages with their public addresses, and where they may be.

use std::collections::HashSet;
use std::path::Path;

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

/// The feeds, then the pages: one for all channels, or one for each if the file's name contains `{channel}`.
pub fn outputs(
    lines: &Lines,
    irc: &irc::Settings,
    zone: Zone,
    log_url: Option<&LogUrl>,
) -> Result<Vec<Output>, String> {
    let feed = pattern(lines, "feed", "links.xml")?;
    let page = pattern(lines, "page", "links.html")?;
    let feed_url = lines.value("feed_url");
    lines.option("feed_url", |value| address(&value.replace(CHANNEL, "")))?;
    if feed_url.is_some_and(|url| url.contains(CHANNEL) != feed.contains(CHANNEL)) {
        let what = "must contain {channel} if feed does, and only then";
        return Err(lines.error("feed_url", what));
    }
    let items = lines.get("feed_items", "100", |value| number(value, 1..=10_000))? as usize;
    let channels: Vec<String> = irc.channels.iter().map(|channel| channel.name.clone()).collect();
    let mut outputs: Vec<Output> = Vec::new();
    for (is_feed, pattern) in [(true, feed), (false, page)] {
        let group_size = if pattern.contains(CHANNEL) { 1 } else { channels.len() };
        for group in channels.chunks(group_size) {
            let name = file_name(&group[0]);
            let url = feed_url.map(|url| url.replace(CHANNEL, &percent_encode(&name)));
            let page_url = page_url(url.as_deref(), &page.replace(CHANNEL, &name));
            let kind = if is_feed {
                let about = page_url.unwrap_or_else(|| channel_url(lines, &group[0]));
                Kind::Feed(Feed { url, about })
            } else {
                let feeds = alternates(&outputs, group);
                Kind::Page(Page { url: page_url, feeds, zone, prefix: irc.prefix.clone() })
            };
            let (channels, title) = (group.to_vec(), title(lines, group));
            let view = View { channels, title, items, log_url: log_url.cloned() };
            let path = path_in(lines.directory, &pattern.replace(CHANNEL, &name))?;
            outputs.push(Output { path, view, kind });
        }
    }
    Ok(outputs)
}

/// A file's name in bot.conf, which may contain `{channel}`.
fn pattern<'a>(lines: &Lines<'a>, key: &str, default: &'a str) -> Result<&'a str, String> {
    lines.option(key, |value| path_in(lines.directory, value))?;
    Ok(lines.value(key).unwrap_or(default))
}

/// `{channel}` in a file's name, and in the address of that file.
fn file_name(channel: &str) -> String {
    let is_other = |c: char| !c.is_alphanumeric() && c != '-' && c != '_';
    channel[1..].replace(is_other, "_")
}

fn title(lines: &Lines, group: &[String]) -> String {
    match lines.value("feed_title") {
        Some(title) => title.replace(CHANNEL, &group[0][1..]),
        None => format!("Links from {}", group.join(", ")),
    }
}

/// Feeds and pages are served from one directory.
fn page_url(feed_url: Option<&str>, page: &str) -> Option<String> {
    let page = relative_url(Path::new(page));
    Some(Url::parse(feed_url?).ok()?.join(&page).ok()?.into())
}

fn relative_url(path: &Path) -> String {
    percent_encode(&path.file_name().unwrap_or_default().to_string_lossy())
}

/// What a feed is about if its page has no known address.
fn channel_url(lines: &Lines, channel: &str) -> String {
    let scheme = if lines.value("tls") == Some("no") { "irc" } else { "ircs" };
    let server = lines.value("server").unwrap_or_default();
    format!("{scheme}://{server}/{}", percent_encode(channel))
}

/// The feeds that contain the links of `group`.
fn alternates(outputs: &[Output], group: &[String]) -> Vec<Alternate> {
    let mut alternates = Vec::new();
    for Output { path, view, kind } in outputs {
        if let Kind::Feed(feed) = kind
            && group.iter().any(|channel| view.shows(channel))
        {
            let href = feed.url.clone().unwrap_or_else(|| relative_url(path));
            alternates.push(Alternate { title: view.title.clone(), href });
        }
    }
    alternates
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
