//! The files that linkbot writes: where they may be, and the feeds and pages with their public
//! addresses.

use super::*;

const CHANNEL: &str = "{channel}";

/// The feeds, then the pages: one for all channels, or one for each if the file's name contains
/// `{channel}`.
pub fn views(
    lines: &Lines,
    files: &mut Vec<PathBuf>,
    irc: &irc::Settings,
    zone: Zone,
    log_url: &Option<LogUrl>,
) -> Result<Vec<View>> {
    let scheme = if lines.value("tls") == "no" { "irc" } else { "ircs" };
    let items = lines.get("feed_items", number(1, 10_000))? as usize;
    let channels: Vec<String> = irc.channels.iter().map(|channel| channel.name.clone()).collect();
    let mut views: Vec<View> = vec![];
    for key in ["feed", "page"] {
        let group_size = if lines.value(key).contains(CHANNEL) { 1 } else { channels.len() };
        for group in channels.chunks(group_size) {
            let is_other = |c: char| !c.is_alphanumeric() && c != '-' && c != '_';
            let name = group[0][1..].replace(is_other, "_");
            let feed_url = lines.option("feed_url", |url| {
                let is_right = url.contains(CHANNEL) == lines.value("feed").contains(CHANNEL);
                address(&with_channel(url, &name)).ok().filter(|_| is_right)
            })?;
            // Feeds and pages are served from one directory.
            let page_url = feed_url.as_ref().map(|url| {
                let directory = url.trim_end_matches(|c| c != '/');
                let page = lines.value("page").replace(CHANNEL, &name);
                format!("{directory}{}", relative_url(&page))
            });
            let (url, format) = if key == "feed" {
                let (server, channel) = (lines.value("server"), percent_encode(&group[0]));
                let about = page_url.unwrap_or(format!("{scheme}://{server}/{channel}"));
                (feed_url, Format::Feed { about })
            } else {
                // No two pages have a channel in common.
                let shows_some = |view: &&View| group.iter().any(|channel| view.shows(channel));
                let feeds = views.iter().filter(shows_some).map(|feed| FeedLink {
                    title: feed.title.clone(),
                    href: feed.url.clone().unwrap_or(relative_url(&feed.path.to_string_lossy())),
                });
                let (feeds, prefix) = (feeds.collect(), irc.prefix.clone());
                (page_url, Format::Page(Page { feeds, zone, prefix }))
            };
            let title = lines.value("feed_title").replace("{channels}", &group.join(", "));
            views.push(View {
                path: lines.get(key, |pattern| {
                    own_file(&lines.path, files, &pattern.replace(CHANNEL, &name))
                })?,
                url,
                channels: group.to_vec(),
                title: title.replace(CHANNEL, &group[0][1..]),
                items,
                log_url: log_url.clone(),
                format,
            });
        }
    }
    Ok(views)
}

fn relative_url(file: &str) -> String {
    percent_encode(file.rsplit('/').next().unwrap_or_default())
}

/// The path of a file that linkbot writes: in a directory that exists, and not used for anything
/// else.
pub fn own_file(config: &Path, files: &mut Vec<PathBuf>, name: &str) -> Option<PathBuf> {
    let name = Path::new(name);
    // Without a leading `./`, equal paths compare equal.
    let path = config.with_file_name(name.strip_prefix(".").unwrap_or(name));
    let directory = Path::new(".").join(path.parent()?);
    if !directory.is_dir() || path == config || files.contains(&path) {
        return None;
    }
    files.push(path.clone());
    Some(path)
}
