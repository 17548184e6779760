//! Finds lines of the journal that a person should check: reads a part of the file, and returns
//! warnings of one line each.

use super::*;

/// Returns warnings about the newest `within` bytes of the journal. Takes no lock, because linkbot
/// may be running.
pub fn warnings(path: &Path, within: u64) -> io::Result<Vec<String>> {
    let Some(meta) = what_is_at(path)? else { return Ok(Vec::new()) };
    let from = meta.len().saturating_sub(within);
    let (_, warnings) = inspect(&File::open(path)?, from, meta.len())?;
    Ok(warnings.into_iter().map(|warning| format!("{}: {warning}", path.display())).collect())
}

/// Returns the number of lines in a part of the file, and warnings about them: skipped lines, times
/// in the future, and titles and removals that match no link.
pub fn inspect(file: &File, from: u64, to: u64) -> io::Result<(usize, Vec<String>)> {
    // Events of one batch get times a little ahead of the clock.
    let limit = OffsetDateTime::now_utc() + Duration::MINUTE;
    let (mut count, mut has_changes) = (0, false);
    // What is wrong; in how many lines; the first of them, and its details.
    let mut problems: BTreeMap<&str, (usize, usize, String)> = BTreeMap::new();
    let mut lines = ForwardReader::new(file, from, to)?;
    while let Some(line) = lines.line()? {
        count += 1;
        let (what, why) = match line {
            Err(why) => ("skipped", why.to_owned()),
            Ok(None) => continue,
            Ok(Some(Event { time, action, link })) => {
                has_changes |= matches!(action, Action::Title | Action::Remove);
                let latest = time.max(link.posted);
                if latest <= limit {
                    continue;
                }
                let latest = format_time(latest);
                ("in the future", format!("{latest}; correct it, or this machine's clock"))
            }
        };
        problems.entry(what).or_insert((0, count, why)).0 += 1;
    }
    let warning = |(what, (lines, first, why))| {
        let first = match from {
            0 => format!("line {first}"),
            _ => format!("line {} from the end", count + 1 - first),
        };
        format!("lines {what}: {lines}; the first is {first}: {why}")
    };
    let mut warnings: Vec<String> = problems.into_iter().map(warning).collect();
    if has_changes {
        warnings.extend(unmatched(file, from, to)?);
    }
    Ok((count, warnings))
}

/// Warns about the `title` and `remove` events from the offset `from` on that match no link.
fn unmatched(file: &File, from: u64, to: u64) -> io::Result<impl Iterator<Item = String>> {
    let mut later = BTreeMap::new();
    for line in ReverseReader::new(file, to.saturating_sub(VIEW_WINDOW), to) {
        let Line { event, start, .. } = line?;
        let is_new = start >= from;
        if !is_new && later.is_empty() {
            break;
        }
        if event.action != Action::Repost && (is_new || later.contains_key(&key(&event.link))) {
            fold(&mut later, event);
        }
    }
    Ok(later.into_keys().map(|(channel, address)| {
        format!("a title or remove matches no link: check {address} and {channel}")
    }))
}
