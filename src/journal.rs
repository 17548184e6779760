//! The journal: an append-only text file of what people posted, and the only file that holds all
//! links. Events come in and are on disk after a commit; links and events go out.
//!
//! Each line is one event, in columns separated by tabs: time, action, channel, nick, account, url,
//! title, and the posting time if that is not the event's. While linkbot runs, people read the file
//! with `grep` and `awk`, edit it, move it away and append to it with `>>`, so nothing here assumes
//! that the file is as linkbot left it.

mod inspect;
mod line;
mod reader;

use std::{
    collections::{BTreeMap, HashSet},
    fs::{File, Metadata, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use time::{Duration, OffsetDateTime};

use crate::{
    bytes,
    file::{self, what_is_at},
    irc::MAX_CLOCK_SKEW,
    link::{self, Link},
    log::{self, WARNING},
};

pub use inspect::*;
pub use line::*;
pub use reader::*;

/// How far back a view reads, in bytes: about 130,000 links.
pub const VIEW_WINDOW: u64 = 16 << 20;

/// The current state of a link: its `add` with later titles applied, and who posted it again.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The time of its `add` event, which identifies the link in the feed and in delivery.
    pub time: OffsetDateTime,
    pub link: Link,
    /// Nicks, oldest first.
    pub reposters: Vec<String>,
}

/// The open journal, locked against a second linkbot.
pub struct Journal {
    path: PathBuf,
    file: File,
    /// The length of the file as of the last commit or check.
    pub len: u64,
    /// The number of edits and replacements of the file; offsets are valid only while this number
    /// stays the same.
    pub edits: u64,
    /// True if the last edit or replacement left only events that linkbot copied into the file.
    pub is_fresh: bool,
    /// As of the last commit or check, to detect that another file has replaced this one, and an
    /// edit that does not change the length.
    meta: Metadata,
    /// The lines of the next commit.
    unwritten: String,
    /// Where a failed commit may have left part of its lines.
    failed_at: Option<u64>,
    /// The time of the last event, or a later time. The next event must be later.
    last: OffsetDateTime,
    /// The error says why nothing can be saved until the next [`Journal::check`].
    usable: Result<(), String>,
    /// True if the last commit or check failed.
    is_failing: bool,
}

impl Journal {
    /// Opens or creates the journal, and locks it. Removes and logs a torn last line.
    ///
    /// An error is one line that names the file and the remedy.
    pub fn open(path: &Path) -> Result<Journal, String> {
        Self::recover(path).map_err(|e| {
            format!(
                "{}: {}; linkbot must be able to read and write it, and no other linkbot may use \
                 it",
                path.display(),
                log::os_error(e)
            )
        })
    }

    fn recover(path: &Path) -> io::Result<Journal> {
        what_is_at(path)?;
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        file.try_lock().map_err(|_| {
            io::Error::other("in use by another linkbot, or on a file system without locks")
        })?;
        let len = file.metadata()?.len();
        let mut lines = ReverseReader::new(&file, 0, len);
        if !ends_with_newline(&file, len)?
            && let Some(last) = lines.line()?
        {
            let last = &lines.buf[last];
            if parse_line(last).is_ok() {
                // A complete event stays: an editor left out the newline. Add it, to keep the next
                // line separate.
                (&file).write_all(b"\n")?;
            } else {
                log!(
                    "{WARNING}{}: truncated a torn last line: {:.1000}",
                    path.display(),
                    last.escape_ascii().to_string()
                );
                file.set_len(lines.offset())?;
            }
        }
        // From here on, the contents of the file and its name in the directory count as saved.
        file.sync_all()?;
        let directory = Path::new(".").join(path.parent().unwrap_or(path));
        File::open(directory)?.sync_all()?;
        let meta = file.metadata()?;
        Ok(Journal {
            path: path.to_owned(),
            last: last_time(&file, meta.len())?,
            len: meta.len(),
            file,
            meta,
            edits: 0,
            is_fresh: false,
            unwritten: String::new(),
            failed_at: None,
            usable: Ok(()),
            is_failing: false,
        })
    }

    /// Gives the next event a time later than `time`, unless `time` is too far ahead of the clock.
    /// Returns the time that the next event must exceed.
    pub fn raise_last(&mut self, time: OffsetDateTime) -> OffsetDateTime {
        if !is_far_ahead(time) {
            self.last = self.last.max(time);
        }
        self.last
    }

    /// Adds an event to the next commit and returns its time: the posting time, if that is
    /// plausible and later than the last event's. The event is on disk only after
    /// [`Journal::commit`].
    pub fn append(
        &mut self,
        action: Action,
        link: &Link,
        now: OffsetDateTime,
    ) -> io::Result<OffsetDateTime> {
        if is_far_ahead(self.last) {
            // The clock was set back.
            self.last = last_time(&self.file, self.len)?;
        }
        let next = self.last + Duration::MILLISECOND;
        let posted = link.posted.truncate_to_millisecond();
        let is_believable = (posted - now).abs() <= MAX_CLOCK_SKEW;
        let time = if is_believable && posted >= next {
            posted
        } else {
            now.truncate_to_millisecond().max(next)
        };
        self.unwritten += &format_line(&Event { time, action, link: link.clone() });
        self.last = time;
        Ok(time)
    }

    /// Writes the events since the last commit to disk. After an error none of them is saved.
    ///
    /// An error is for the people who posted the links: `No space left on device`.
    pub fn commit(&mut self) -> Result<(), String> {
        let lines = std::mem::take(&mut self.unwritten);
        if lines.is_empty() {
            return Ok(());
        }
        let usable = self.usable.clone();
        let written = usable.and_then(|()| self.write(&lines).map_err(log::os_error));
        log::written(&mut self.is_failing, &self.path, &written, "nothing can be saved");
        // If this fails too, it is tried again before anything else is written.
        let _ = self.truncate_to_committed();
        written
    }

    fn write(&mut self, lines: &str) -> io::Result<()> {
        self.truncate_to_committed()?;
        // Someone may have appended since the last check, even an unfinished line. Keep our first
        // line separate from that.
        let start = self.file.metadata()?.len().max(self.len);
        let line_end = if ends_with_newline(&self.file, start)? { "" } else { "\n" };
        let lines = [line_end, lines].concat();
        let end = start + lines.len() as u64;
        self.failed_at = Some(start);
        (&self.file).write_all(lines.as_bytes())?;
        self.file.sync_data()?;
        // The lines are on disk, but not saved if the file was moved or truncated in the meantime.
        let meta = self
            .own_meta()?
            .filter(|meta| meta.len() >= end)
            .ok_or_else(|| io::Error::other("the journal was replaced or truncated"))?;
        self.failed_at = None;
        // If others have appended too, leave `len`: the next check then finds their lines and ours.
        if start == self.len && meta.len() == end {
            self.meta = meta;
            self.len = end;
        }
        Ok(())
    }

    fn truncate_to_committed(&mut self) -> io::Result<()> {
        let Some(start) = self.failed_at else { return Ok(()) };
        // If someone has shortened the file, `set_len` must not extend it with zeros.
        self.file.set_len(self.file.metadata()?.len().min(start))?;
        // A failed sync is reported only once: a later one may succeed although these lines are not
        // on disk. So they must be gone before the next commit.
        self.file.sync_data()?;
        self.meta = self.file.metadata()?;
        self.failed_at = None;
        Ok(())
    }

    /// Checks before each batch whether the file is as linkbot left it, and accepts what others
    /// have changed. After an error nothing can be saved until a later check succeeds.
    ///
    /// Returns true if someone else has changed the file. If they have replaced it, copies the
    /// events from the offset `pending` on into the new file.
    pub fn check(&mut self, pending: u64) -> bool {
        let changed = self.resync(pending).map_err(log::os_error);
        if changed.is_err() {
            log::written(&mut self.is_failing, &self.path, &changed, "nothing can be saved");
        }
        let is_changed = changed == Ok(true);
        self.usable = changed.map(drop);
        is_changed
    }

    fn resync(&mut self, pending: u64) -> io::Result<bool> {
        self.truncate_to_committed()?;
        let Some(meta) = self.own_meta()? else { return self.reopen(pending).and(Ok(true)) };
        let len = meta.len();
        if len == self.len && meta.modified()? == self.meta.modified()? {
            return Ok(false);
        }
        let path = self.path.display();
        if len > self.len && ends_with_newline(&self.file, self.len)? {
            let (lines, warnings) = inspect(&self.file, self.len, len)?;
            log!("{path}: lines appended: {lines}");
            for warning in warnings {
                log!("{WARNING}{path}: {warning}");
            }
        } else {
            self.edits += 1;
            self.is_fresh = false;
            log!("{path}: edited");
        }
        self.raise_last(last_time(&self.file, len)?);
        self.len = len;
        self.meta = meta;
        Ok(true)
    }

    /// The metadata of the file at the journal's path; `None` unless that is the open file.
    fn own_meta(&self) -> io::Result<Option<Metadata>> {
        let meta = what_is_at(&self.path)?;
        let id = |meta: &Metadata| (meta.dev(), meta.ino());
        Ok(meta.filter(|meta| id(meta) == id(&self.meta)))
    }

    /// Opens the file that is now at the journal's path, or creates one. Copies the pending events
    /// into it, because delivery reads no other file.
    fn reopen(&mut self, pending: u64) -> io::Result<()> {
        let meta = self.file.metadata()?;
        // Someone may have appended to the old file before moving it.
        self.len = meta.len();
        let pending = pending.min(self.len);
        let (mut copied, mut present) = (0, HashSet::new());
        let is_gone = what_is_at(&self.path)?.is_none();
        if is_gone {
            // The new file must have all pending events as soon as it appears: after a crash
            // linkbot would not find the old one.
            file::replace_with(&self.path, meta.mode(), |new| {
                copied = self.copy_pending(pending, &present, new)?;
                Ok(())
            })?;
        }
        let mut new = Journal::recover(&self.path)?;
        if !is_gone {
            // An editor's copy already has the pending events, except links saved while the editor
            // was open. A pending link that someone deleted on purpose looks the same, so it comes
            // back.
            let from = new.len.saturating_sub(VIEW_WINDOW + self.len - pending);
            for line in ForwardReader::new(&new.file, from, new.len)? {
                present.insert(line?.event.time);
            }
            copied = self.copy_pending(pending, &present, &new.file)?;
            new.meta = new.file.metadata()?;
            new.len = new.meta.len();
        }
        let path = self.path.display();
        log!("{path}: was moved or replaced; continuing with the new file");
        if copied > 0 {
            log!("{path}: pending links copied into it: {copied}");
        }
        // The cursor may still be a time from the old file; new events must be later.
        new.raise_last(self.last);
        new.is_failing = self.is_failing;
        new.edits = self.edits + 1;
        new.is_fresh = present.is_empty();
        *self = new;
        Ok(())
    }

    /// Copies the events from the offset `pending` on into `new`, except those with a time in
    /// `present`. If `present` is empty, also copies the earlier `foreign` events. Syncs the file,
    /// and returns the number of pending events copied.
    fn copy_pending(
        &self,
        pending: u64,
        present: &HashSet<OffsetDateTime>,
        new: &File,
    ) -> io::Result<usize> {
        let mut writer = BufWriter::new(new);
        let mut copied = 0;
        let from = pending.saturating_sub(VIEW_WINDOW);
        for line in ForwardReader::new(&self.file, from, self.len)? {
            let Line { event, start, .. } = line?;
            let is_pending = start >= pending;
            let is_wanted = is_pending || event.action == Action::Foreign && present.is_empty();
            if is_wanted && !present.contains(&event.time) {
                writer.write_all(format_line(&event).as_bytes())?;
                copied += usize::from(is_pending);
            }
        }
        writer.flush()?;
        new.sync_data()?;
        Ok(copied)
    }

    /// The events of the newest `window` bytes, newest first, starting with those of the next
    /// commit.
    fn backwards(&self, window: u64) -> ReverseReader<'_> {
        let lines = ReverseReader::new(&self.file, self.len.saturating_sub(window), self.len);
        // The file's last line may lack a newline.
        lines.followed_by(["\n", &self.unwritten].concat())
    }

    /// The events of the newest `window` bytes, newest first, without events that concern only
    /// delivery.
    pub fn events(&self, window: u64) -> impl Iterator<Item = io::Result<Event>> {
        let events = self.backwards(window).map(|line| Ok(line?.event));
        events.filter(|event| !event.as_ref().is_ok_and(|e| e.action == Action::Foreign))
    }

    /// The current links of some channels in the newest `window` bytes, newest first: those whose
    /// address compares as equal to `url`, or all if that is empty.
    pub fn links(
        &self,
        window: u64,
        url: &str,
        shows: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = io::Result<Entry>> {
        let key = link::comparison_key(url);
        // Usually empty, and an empty tree is cheaper than an empty hash map.
        let mut later = BTreeMap::new();
        self.backwards(window).about(url).filter_map(move |line| match line {
            Ok(Line { event: Event { link, .. }, .. })
                if !shows(&link.channel)
                    || !url.is_empty() && link::comparison_key(&link.url) != key =>
            {
                None
            }
            Ok(line) => fold(&mut later, line.event).map(Ok),
            Err(e) => Some(Err(e)),
        })
    }

    /// Returns the offset after the cursor's line: the last line with the time `cursor`. A line in
    /// the [`BLOCK`] before it whose time is the same or later takes precedence, because the last
    /// line may be a copy that someone made.
    ///
    /// If the cursor's line is gone, returns the offset of the first line with a later time. Older
    /// lines that someone appended may be below that one, so this reads on through [`VIEW_WINDOW`]
    /// bytes of older lines. If the cursor is too far ahead of the clock, returns 0.
    pub fn find_after(&self, cursor: OffsetDateTime) -> io::Result<u64> {
        let mut lines = ReverseReader::new(&self.file, 0, self.len);
        let mut start = self.len;
        let mut is_met = false;
        while let Some(line) = lines.next().transpose()? {
            let time = line.event.time;
            if time == cursor {
                start = line.end;
                is_met = true;
            } else if time > cursor && !(is_met && is_far_ahead(time)) {
                start = line.start;
                if !is_met {
                    // The older lines are counted again from here.
                    lines.from = 0;
                }
                continue;
            }
            // `from` never passes the reader's offset, because it reads one BLOCK at a time.
            let window = if is_met { BLOCK as u64 } else { VIEW_WINDOW };
            lines.from = lines.from.max(line.start.saturating_sub(window));
        }
        Ok(if is_met || !is_far_ahead(cursor) { start } else { 0 })
    }

    /// The committed events from an offset on, oldest first.
    pub fn read_from(&self, offset: u64) -> io::Result<ForwardReader<'_>> {
        ForwardReader::new(&self.file, offset, self.len)
    }

    /// The events for an address in the `within` bytes before an offset, newest first. An `add`
    /// comes with the link as it is at that offset, unless the link is removed by then.
    pub fn about(
        &self,
        url: &str,
        before: u64,
        within: u64,
    ) -> impl Iterator<Item = io::Result<(Line, Option<Link>)>> {
        let is_other = move |line: &Line| line.event.link.url != url;
        let mut later = BTreeMap::new();
        ReverseReader::new(&self.file, before.saturating_sub(within), before)
            .about(url)
            .filter(move |line| !line.as_ref().is_ok_and(is_other))
            .map(move |line| {
                let line = line?;
                let entry = fold(&mut later, line.event.clone());
                Ok((line, entry.map(|entry| entry.link)))
            })
    }
}

/// True if a time is so far ahead of the clock that it must be a mistake: new events and the
/// bookmark account's cursor need not be later than it.
pub fn is_far_ahead(time: OffsetDateTime) -> bool {
    time > OffsetDateTime::now_utc() + Duration::DAY
}

fn ends_with_newline(file: &File, len: u64) -> io::Result<bool> {
    let mut byte = [b'\n'];
    if len > 0 {
        file.read_at(&mut byte, len - 1)?;
    }
    Ok(byte == [b'\n'])
}

/// The latest time among the last 100 events: a line appended by hand may be older than the lines
/// above it. Ignores times too far ahead of the clock.
fn last_time(file: &File, end: u64) -> io::Result<OffsetDateTime> {
    let mut last = OffsetDateTime::UNIX_EPOCH;
    for line in ReverseReader::new(file, 0, end).take(100) {
        let time = line?.event.time;
        if !is_far_ahead(time) {
            last = last.max(time);
        }
    }
    Ok(last)
}

/// What later events say about a channel's address, until its `add` is found further back.
#[derive(Default, PartialEq)]
struct Later {
    /// The number of earlier `add`s that are removed.
    removes: usize,
    title: Option<String>,
    /// Newest first.
    reposters: Vec<String>,
}

/// The key by which an event finds its link.
pub fn key(link: &Link) -> (String, String) {
    (link.channel.clone(), link::comparison_key(&link.url))
}

/// Builds links from events that come newest first. `title`, `again` and `remove` refer to the
/// nearest earlier `add` of their channel and address that is not removed.
fn fold(later: &mut BTreeMap<(String, String), Later>, event: Event) -> Option<Entry> {
    let Event { time, action, mut link } = event;
    // Most links have no later events, and then their keys are not needed.
    if action == Action::Add && later.is_empty() {
        return Some(Entry { time, link, reposters: Vec::new() });
    }
    let key = key(&link);
    let mut changes = later.remove(&key).unwrap_or_default();
    match action {
        Action::Add if changes.removes == 0 => {
            link.title = changes.title.unwrap_or(link.title);
            changes.reposters.reverse();
            return Some(Entry { time, link, reposters: changes.reposters });
        }
        Action::Add => changes.removes -= 1,
        Action::Remove => changes.removes += 1,
        Action::Foreign => {}
        // These belong to a removed link.
        _ if changes.removes > 0 => {}
        Action::Title => changes.title = changes.title.or(Some(link.title)),
        Action::Repost => changes.reposters.push(link.nick),
    }
    if changes != Later::default() {
        later.insert(key, changes);
    }
    None
}

#[cfg(test)]
#[path = "../tests/unit/journal.rs"]
mod tests;
