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

/// Returns the number of lines in a part of the file, and warnings about them: skipped lines, and
/// times in the future.
pub fn inspect(file: &File, from: u64, to: u64) -> io::Result<(usize, Vec<String>)> {
    // Events of one batch get times a little ahead of the clock.
    let limit = OffsetDateTime::now_utc() + Duration::MINUTE;
    let mut count = 0;
    // What is wrong; in how many lines; the first of them, and its details.
    let mut problems: BTreeMap<&str, (usize, usize, String)> = BTreeMap::new();
    let mut lines = ForwardReader::new(file, from, to)?;
    while let Some(line) = lines.line()? {
        count += 1;
        let (what, why) = match line {
            Err(why) => ("skipped", why.to_owned()),
            Ok(Some(Event { time, link, .. })) if time.max(link.posted) > limit => {
                let latest = format_time(time.max(link.posted));
                ("in the future", format!("{latest}; correct it, or this machine's clock"))
            }
            Ok(_) => continue,
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
    Ok((count, problems.into_iter().map(warning).collect()))
}
