//! The files that linkbot writes: the feeds and pages with their public addresses, and where they
//! may be.

use std::path::{Component, Path, PathBuf};

use url::Url;

use super::lines::Lines;
use super::values::number;
use crate::feed::Feed;
use crate::irc;
use crate::link::{address, percent_encode};
use crate::log_url::{LogUrl, Zone};
use crate::page::{Alternate, Page};
use crate::publish::{Kind, Output};
use crate::view::View;

const CHANNEL: &str = "{channel}";

/// The feeds, then the pages: one for all channels, or one for each if the file's name contains
/// `{channel}`.
pub fn outputs(
    lines: &Lines,
    irc: &irc::Settings,
    zone: Zone,
    log_url: Option<&LogUrl>,
    taken: &mut Vec<PathBuf>,
) -> Result<Vec<Output>, String> {
    let feed = lines.value("feed").unwrap_or("links.xml");
    let page = lines.value("page").unwrap_or("links.html");
    let feed_url = lines.value("feed_url");
    if feed_url.is_some_and(|url| url.contains(CHANNEL) != feed.contains(CHANNEL)) {
        let what = "must contain {channel} if feed does, and only then";
        return Err(lines.error("feed_url", what));
    }
    let items = lines.get("feed_items", "100", number(1, 10_000))? as usize;
    let channels: Vec<String> = irc.channels.iter().map(|channel| channel.name.clone()).collect();
    let mut outputs: Vec<Output> = Vec::new();
    for (key, pattern) in [("feed", feed), ("page", page)] {
        let group_size = if pattern.contains(CHANNEL) { 1 } else { channels.len() };
        for group in channels.chunks(group_size) {
            let name = file_name(&group[0]);
            let url = |url: &str| address(&url.replace(CHANNEL, &percent_encode(&name)));
            let url = lines.option("feed_url", url)?;
            let page_url = page_url(url.as_deref(), &page.replace(CHANNEL, &name));
            let kind = if key == "feed" {
                let about = page_url.unwrap_or_else(|| channel_url(lines, &group[0]));
                Kind::Feed(Feed { url, about })
            } else {
                let feeds = alternates(&outputs, group);
                Kind::Page(Page { url: page_url, feeds, zone, prefix: irc.prefix.clone() })
            };
            let (channels, title) = (group.to_vec(), title(lines, group));
            let view = View { channels, title, items, log_url: log_url.cloned() };
            let path = own_file(lines, key, &pattern.replace(CHANNEL, &name), taken)?;
            outputs.push(Output { path, view, kind });
        }
    }
    Ok(outputs)
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

/// The path of a file that linkbot writes: in a directory that exists, and none of the `taken`
/// ones.
pub fn own_file(
    lines: &Lines,
    key: &str,
    name: &str,
    taken: &mut Vec<PathBuf>,
) -> Result<PathBuf, String> {
    let path = without_dots(&lines.directory.join(name));
    let directory = Path::new(".").join(path.parent().unwrap_or(&path));
    let (file, directory_name) = (path.display(), directory.display());
    let what = if path.file_name().is_none() {
        "must be the name of a file".to_owned()
    } else if !directory.is_dir() {
        format!("the directory {directory_name} does not exist; create it")
    } else if taken.contains(&path) {
        format!("linkbot already uses {file} otherwise; choose another name")
    } else {
        taken.push(path.clone());
        return Ok(path);
    };
    Err(lines.error(key, &what))
}

/// Equal paths compare equal then.
pub fn without_dots(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}
