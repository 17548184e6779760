//! Finds lines of the journal that a person should check: reads a part of the file, and returns
//! warnings of one line each.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use time::{Duration, OffsetDateTime};

use super::line::{Action, format_time};
use super::reader::{ForwardReader, ReverseReader};
use super::{Later, VIEW_WINDOW, fold, key};
use crate::file::what_is_at;
use crate::link::Link;

/// The number of lines in a part of the file, and which of them a person should check.
#[derive(Default)]
pub struct Findings {
    pub lines: usize,
    pub malformed: Vec<(usize, &'static str)>,
    in_future: Vec<(usize, OffsetDateTime)>,
}

pub fn inspect(file: &File, from: u64, to: u64) -> io::Result<Findings> {
    // Events of one batch get times a little ahead of the clock.
    let limit = OffsetDateTime::now_utc() + Duration::MINUTE;
    let mut found = Findings::default();
    let mut lines = ForwardReader::from_middle(file, from, to)?;
    loop {
        let Some(line) = lines.line()? else { return Ok(found) };
        found.lines += 1;
        let event = match line {
            Ok(Some(event)) => event,
            Ok(None) => continue,
            Err(why) => {
                found.malformed.push((found.lines, why));
                continue;
            }
        };
        let latest = event.time.max(event.link.posted);
        if latest > limit {
            found.in_future.push((found.lines, latest));
        }
    }
}

/// The `title` and `remove` events after byte `from` that match no link.
pub fn unmatched(file: &File, from: u64, to: u64) -> io::Result<Vec<String>> {
    let mut lines = ReverseReader::new(file, to.saturating_sub(VIEW_WINDOW), to);
    let (mut later, mut unmatched) = (BTreeMap::new(), Vec::new());
    while let Some(event) = lines.next().transpose()? {
        let is_new = lines.offset() >= from;
        if is_new && matches!(event.action, Action::Title | Action::Remove) {
            unmatched.push(event.link.clone());
        }
        fold(&mut later, event);
        if !is_new && later.is_empty() {
            break;
        }
    }
    let is_left = |later: &Later| later.removes > 0 || later.title.is_some();
    unmatched.retain(|link| later.get(&key(link)).is_some_and(is_left));
    let warning = |Link { channel, url, .. }: Link| {
        format!("a title or remove matches no link: check {url} and {channel}")
    };
    Ok(unmatched.into_iter().map(warning).collect())
}

/// Returns warnings about the newest `within` bytes of the journal: skipped lines, times in the
/// future, and titles and removals that match no link. Takes no lock, because linkbot may be
/// running.
pub fn warnings(path: &Path, within: u64) -> io::Result<Vec<String>> {
    let mut warnings = Vec::new();
    let Some(meta) = what_is_at(path)? else { return Ok(warnings) };
    let from = meta.len().saturating_sub(within);
    let file = File::open(path)?;
    let found = inspect(&file, from, meta.len())?;
    for warning in unmatched(&file, from, meta.len())? {
        warnings.push(format!("{}: {warning}", path.display()));
    }
    let mut warn = |lines: usize, what: &str, first: usize, why: &str| {
        let (path, lines) = (path.display(), count(lines));
        let first = match from {
            0 => format!("line {first}"),
            _ => format!("line {} from the end", found.lines + 1 - first),
        };
        warnings.push(format!("{path}: {lines} {what}; the first is {first}: {why}"));
    };
    if let Some(&(first, why)) = found.malformed.first() {
        warn(found.malformed.len(), "skipped", first, why);
    }
    if let Some(&(first, time)) = found.in_future.first() {
        let why = format!("{}; correct it, or this machine's clock", format_time(time));
        warn(found.in_future.len(), "in the future", first, &why);
    }
    Ok(warnings)
}

pub fn count(lines: usize) -> String {
    if lines == 1 { "1 line".into() } else { format!("{lines} lines") }
}
