//! The files that linkbot writes: where they may be, and the feeds and pages with their public
//! addresses.

use std::path::{Path, PathBuf};

use url::Url;

use super::lines::Lines;
use super::values::number;
use crate::irc;
use crate::link::{address, percent_encode};
use crate::log_url::{LogUrl, Zone};
use crate::page::{FeedLink, Page};
use crate::view::{Format, View};

const CHANNEL: &str = "{channel}";

/// The feeds, then the pages: one for all channels, or one for each if the file's name contains
/// `{channel}`.
pub fn views(
    lines: &mut Lines,
    irc: &irc::Settings,
    zone: Zone,
    log_url: Option<&LogUrl>,
) -> Result<Vec<View>, String> {
    let feed = lines.value("feed").unwrap_or("links.xml");
    let page = lines.value("page").unwrap_or("links.html");
    let feed_url = lines.value("feed_url").unwrap_or(feed);
    if feed_url.contains(CHANNEL) != feed.contains(CHANNEL) {
        let what = "must contain {channel} if feed does, and only then";
        return Err(lines.error("feed_url", what));
    }
    let items = lines.get("feed_items", "100", number(1, 10_000))? as usize;
    let channels: Vec<String> = irc.channels.iter().map(|channel| channel.name.clone()).collect();
    let mut views: Vec<View> = Vec::new();
    for (key, pattern) in [("feed", feed), ("page", page)] {
        let group_size = if pattern.contains(CHANNEL) { 1 } else { channels.len() };
        for group in channels.chunks(group_size) {
            let name = file_name(&group[0]);
            let feed_url = |url: &str| address(&url.replace(CHANNEL, &percent_encode(&name)));
            let feed_url = lines.option("feed_url", feed_url)?;
            let page_url = page_url(feed_url.as_deref(), &page.replace(CHANNEL, &name));
            let (url, format) = if key == "feed" {
                let about = page_url.unwrap_or_else(|| channel_url(lines, &group[0]));
                (feed_url, Format::Feed { about })
            } else {
                let feeds = feed_links(&views, group);
                (page_url, Format::Page(Page { feeds, zone, prefix: irc.prefix.clone() }))
            };
            let all_channels = format!("Links from {}", group.join(", "));
            let title = lines.value("feed_title").unwrap_or(&all_channels);
            views.push(View {
                path: own_file(lines, key, &pattern.replace(CHANNEL, &name))?,
                url,
                channels: group.to_vec(),
                title: title.replace(CHANNEL, &group[0][1..]),
                items,
                log_url: log_url.cloned(),
                format,
            });
        }
    }
    Ok(views)
}

/// The value of `{channel}` in a file's name and in the address of that file.
fn file_name(channel: &str) -> String {
    let is_other = |c: char| !c.is_alphanumeric() && c != '-' && c != '_';
    channel[1..].replace(is_other, "_")
}

/// Feeds and pages are served from one directory.
fn page_url(feed_url: Option<&str>, page: &str) -> Option<String> {
    let page = relative_url(Path::new(page));
    Some(Url::parse(feed_url?).ok()?.join(&page).ok()?.into())
}

fn relative_url(path: &Path) -> String {
    percent_encode(&path.file_name().unwrap_or_default().to_string_lossy())
}

/// The address that a feed is about if its page has none.
fn channel_url(lines: &Lines, channel: &str) -> String {
    let scheme = if lines.value("tls") == Some("no") { "irc" } else { "ircs" };
    let server = lines.value("server").unwrap_or_default();
    format!("{scheme}://{server}/{}", percent_encode(channel))
}

/// The feeds that contain the links of `group`. No two pages have a channel in common.
fn feed_links(views: &[View], group: &[String]) -> Vec<FeedLink> {
    let feeds = views.iter().filter(|view| group.iter().any(|channel| view.shows(channel)));
    let link = |feed: &View| FeedLink {
        title: feed.title.clone(),
        href: feed.url.clone().unwrap_or_else(|| relative_url(&feed.path)),
    };
    feeds.map(link).collect()
}

/// The path of a file that linkbot writes: in a directory that exists, and not used for anything
/// else.
pub fn own_file(lines: &mut Lines, key: &str, name: &str) -> Result<PathBuf, String> {
    let name = Path::new(name);
    // Without a leading `./`, equal paths compare equal.
    let path = lines.path.with_file_name(name.strip_prefix(".").unwrap_or(name));
    let directory = Path::new(".").join(path.parent().unwrap_or(&path));
    let (file, directory_name) = (path.display(), directory.display());
    let what = if path.file_name().is_none() {
        "must be the name of a file".to_owned()
    } else if !directory.is_dir() {
        format!("the directory {directory_name} does not exist; create it")
    } else if path == lines.path || lines.files.contains(&path) {
        format!("linkbot already uses {file} for something else; choose another name")
    } else {
        lines.files.push(path.clone());
        return Ok(path);
    };
    Err(lines.error(key, &what))
}
