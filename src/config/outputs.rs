//! The files that linkbot writes: where they may be, and the feeds and pages with their public
//! addresses.

use super::*;

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
        let group_size = if lines.value(key).contains("{channel}") { 1 } else { channels.len() };
        for group in channels.chunks(group_size) {
            let name =
                group[0][1..].replace(|c: char| !c.is_alphanumeric() && !"-_".contains(c), "_");
            let feed_url = lines.option("feed_url", |url| {
                let is_right =
                    url.contains("{channel}") == lines.value("feed").contains("{channel}");
                address(&with_channel(url, &name)).ok().filter(|_| is_right)
            })?;
            // Feeds and pages are served from one directory.
            let page_url = feed_url.as_ref().map(|url| {
                let directory = url.trim_end_matches(|c| c != '/');
                let page = lines.value("page").replace("{channel}", &name);
                format!("{directory}{}", relative_url(&page))
            });
            let (url, format) = if key == "feed" {
                let channel = percent_encode(&group[0]);
                let channel = format!("{scheme}://{}/{channel}", lines.value("server"));
                (feed_url, Format::Feed { about: page_url.unwrap_or(channel) })
            } else {
                // No two pages have a channel in common.
                let shows_some = |feed: &&View| group.iter().any(|channel| feed.shows(channel));
                let feeds = views.iter().filter(shows_some).map(|feed| FeedLink {
                    title: feed.title.clone(),
                    href: feed.url.clone().unwrap_or(relative_url(&feed.path.to_string_lossy())),
                });
                let feeds = feeds.collect();
                (page_url, Format::Page(Page { feeds, zone, prefix: irc.prefix.clone() }))
            };
            let title = lines.value("feed_title").replace("{channels}", &group.join(", "));
            views.push(View {
                path: lines.get(key, |pattern| {
                    own_file(&lines.path, files, &pattern.replace("{channel}", &name))
                })?,
                url,
                channels: group.to_vec(),
                title: title.replace("{channel}", &group[0][1..]),
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
    // Without a leading `./`, equal paths compare equal.
    let path = config.with_file_name(name.trim_start_matches("./"));
    if !Path::new(".").join(path.parent()?).is_dir() || path == config || files.contains(&path) {
        return None;
    }
    files.push(path.clone());
    Some(path)
}
