//! The files that linkbot writes: where they may be, and the feeds and pages with their public
//! addresses.

use super::*;

/// The feeds, then the pages: one for all channels, or one for each if the file's name contains
/// `{channel}`.
pub fn views(lines: &Lines, files: &mut Vec<PathBuf>, irc: &irc::Settings) -> Result<Vec<View>> {
    let scheme = if lines.value("tls") == "no" { "irc" } else { "ircs" };
    let mut views = vec![];
    for key in ["feed", "page"] {
        let group_size =
            if lines.value(key).contains("{channel}") { 1 } else { irc.channels.len() };
        for group in irc.channels.chunks(group_size) {
            let channels: Vec<_> = group.iter().map(|channel| channel.name.clone()).collect();
            let channel = &channels[0];
            let name = channel[1..].replace(|c: char| !c.is_alphanumeric() && c != '-', "_");
            let file = |key| lines.value(key).replace("{channel}", &name);
            let feed_url = lines.option("feed_url", |url| {
                address(&with_channel(url, &name)).ok().filter(|_| {
                    url.contains("{channel}") == lines.value("feed").contains("{channel}")
                })
            })?;
            // Feeds and pages are served from one directory.
            let page_url = feed_url.as_ref().map(|url| {
                url.trim_end_matches(|c| c != '/').to_owned() + &relative_url(&file("page"))
            });
            let is_page = key == "page";
            views.push(View {
                path: lines.get(key, |_| own_file(&lines.path, files, &file(key)))?,
                about: page_url.clone().unwrap_or_else(|| {
                    format!("{scheme}://{}/{}", lines.value("server"), percent_encode(channel))
                }),
                url: if is_page { page_url } else { feed_url },
                title: lines
                    .value("feed_title")
                    .replace("{channels}", &channels.join(", "))
                    .replace("{channel}", &channel[1..]),
                channels,
                items: lines.get("feed_items", number(1, 10_000))? as usize,
                is_page,
            });
        }
    }
    Ok(views)
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
