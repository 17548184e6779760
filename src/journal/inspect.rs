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
    let mut count = 0;
    // By kind of problem: the number of lines, the first of them counted from the end, its details.
    let mut problems: BTreeMap<&str, (usize, usize, String)> = BTreeMap::new();
    let mut later = BTreeMap::new();
    let mut lines = ReverseReader::new(file, from.min(to.saturating_sub(VIEW_WINDOW)), to);
    while let Some(line) = lines.line()? {
        let is_new = lines.offset() >= from;
        // Titles and removals may belong to links before this part.
        if !is_new && later.is_empty() {
            break;
        }
        count += usize::from(is_new);
        let (what, why) = match parse_line(&lines.buf[line]) {
            Ok(Some(event)) => {
                let latest = event.time.max(event.link.posted);
                let is_change = matches!(event.action, Action::Title | Action::Remove);
                if is_new && is_change || !later.is_empty() && later.contains_key(&key(&event.link))
                {
                    fold(&mut later, event);
                }
                if latest <= limit {
                    continue;
                }
                let latest = format_time(latest);
                ("dated in the future", format!("{latest}; correct it, or this machine's clock"))
            }
            Ok(None) => continue,
            Err(why) => ("skipped", why.to_owned()),
        };
        if is_new {
            let problem = problems.entry(what).or_default();
            *problem = (problem.0 + 1, count, why);
        }
    }
    let warning = |(what, (lines, first, why))| {
        let first = match from {
            0 => format!("line {}", count + 1 - first),
            _ => format!("line {first} from the end"),
        };
        format!("lines {what}: {lines}; the first is {first}: {why}")
    };
    let mut warnings: Vec<String> = problems.into_iter().map(warning).collect();
    warnings.extend(later.into_keys().map(|(channel, address)| {
        format!("a title or remove matches no link: check {address} and {channel}")
    }));
    Ok((count, warnings))
}
