//! The journal: an append-only text file of what was posted, the only state of linkbot.
//!
//! One event a line, columns separated by tabs: time, action, channel, nick, account, url, title, and
//! in an eighth the time of posting where it is not the event's. People read it with `grep` and `awk`,
//! edit it, move it away and append to it with `>>`, all of it while linkbot runs: nothing here trusts
//! the file to be as it was left.

mod inspect;
mod line;
mod reader;

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use time::{Duration, OffsetDateTime};

use crate::file::{self, what_is_at};
use crate::irc::MAX_CLOCK_SKEW;
use crate::link::{self, Link};
use crate::log::{self, ERROR, WARNING};

pub use inspect::warnings;
pub use line::{Action, Event, format_time, parse_time};
pub use reader::Line;

use inspect::{Findings, count, inspect, unmatched};
use line::format_line;
use reader::{ForwardReader, ReverseReader};

/// How far back a view reads, in bytes: about 130,000 links.
pub const VIEW_WINDOW: u64 = 16 << 20;

/// A later time, counted from now, is a mistake: new events need not be later, nor does the bookmark account's cursor.
const MAX_AHEAD: Duration = Duration::DAY;

/// How much is copied into a new file at once, in bytes.
const COPY_BLOCK: usize = 1 << 20;

/// One link as it stands now: its `add`, with later titles applied, and who posted it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The time of its `add` event: the link's name in the feed and for the delivery.
    pub time: OffsetDateTime,
    pub link: Link,
    /// Nicks, oldest first.
    pub reposters: Vec<String>,
}

/// The open journal, locked against a second linkbot.
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Device and inode, by which a file put in its place is noticed.
    id: (u64, u64),
    /// The length of the file as of the last commit or check.
    len: u64,
    /// Counts how often the file was edited or replaced: then an offset in it means nothing any more.
    edits: u64,
    /// The file's mtime, to notice an edit that leaves the length as it is.
    modified: Option<SystemTime>,
    /// The lines of the next commit.
    unwritten: String,
    /// A commit failed, and may have left a part of its lines after `len`.
    needs_truncate: bool,
    /// The time of the last event, or later: the next one's is greater.
    last: OffsetDateTime,
    /// Or why nothing can be saved before the next [`Journal::check`].
    usable: Result<(), String>,
    /// The last save failed, or would have.
    is_failing: bool,
}

impl Journal {
    /// Opens the journal, or creates it, and locks it. Truncates and logs a torn last line.
    ///
    /// An error is one line that names the file and the remedy.
    pub fn open(path: &Path) -> Result<Journal, String> {
        Self::recover(path).map_err(|e| {
            let (path, why) = (path.display(), log::os_error(&e));
            match e.kind() {
                io::ErrorKind::ResourceBusy => format!("{path}: {why}"),
                _ => format!("{path}: {why}; the journal must be a file that linkbot may create, read and write"),
            }
        })
    }

    fn recover(path: &Path) -> io::Result<Journal> {
        what_is_at(path)?;
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let why = "in use by another linkbot; stop that one first";
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, why));
            }
            locked => locked?,
        }
        let meta = file.metadata()?;
        let mut len = meta.len();
        let mut lines = ReverseReader::new(&file, 0, len);
        let lacks_end = !ends_with_newline(&file, len)?;
        if lacks_end && lines.line()?.is_some_and(|line| line.is_err()) {
            len = lines.offset();
            let torn = meta.len() - len;
            let mut bytes = vec![0; torn.min(1000) as usize];
            file.read_exact_at(&mut bytes, len)?;
            let (path, bytes) = (path.display(), bytes.escape_ascii());
            log::line(format_args!(
                "{WARNING}{path}: truncated a torn last line of {torn} bytes: {bytes}"
            ));
            file.set_len(len)?;
        } else if lacks_end {
            // A whole event stays: an editor has left it so. What someone appends must not become one with it.
            (&file).write_all(b"\n")?;
            len += 1;
        }
        // What stands in it counts as saved from here on; so does its name in the folder.
        file.sync_all()?;
        let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
        let last = last_time(&file, len, OffsetDateTime::now_utc())?;
        let id = (meta.dev(), meta.ino());
        let modified = file.metadata()?.modified().ok();
        Ok(Journal {
            path: path.to_owned(),
            file,
            id,
            len,
            edits: 0,
            modified,
            unwritten: String::new(),
            needs_truncate: false,
            last,
            usable: Ok(()),
            is_failing: false,
        })
    }

    /// The next event gets a later time than this, unless this is too far ahead of the clock.
    pub fn not_before(&mut self, time: OffsetDateTime) {
        if time <= OffsetDateTime::now_utc() + MAX_AHEAD {
            self.last = self.last.max(time);
        }
    }

    /// The time that the next event must be later than.
    pub fn last(&self) -> OffsetDateTime {
        self.last
    }

    /// Takes one event in and returns its time; it is on disk only after [`Journal::commit`]. That time is the posting
    /// time, if that is believable and later than the last event's.
    pub fn append(
        &mut self,
        action: Action,
        link: &Link,
        now: OffsetDateTime,
    ) -> io::Result<OffsetDateTime> {
        if self.last > now + MAX_AHEAD {
            // The clock was set back.
            self.last = last_time(&self.file, self.len, now)?;
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

    /// Writes what was appended since the last commit to the disk. After an error none of it is saved.
    ///
    /// An error is for the people who posted the links: `No space left on device`.
    pub fn commit(&mut self) -> Result<(), String> {
        let lines = std::mem::take(&mut self.unwritten);
        if lines.is_empty() {
            return Ok(());
        }
        let written = match &self.usable {
            Ok(()) => self.write(&lines).map_err(|e| log::os_error(&e)),
            Err(why) => Err(why.clone()),
        };
        self.log_failure(written.as_ref().err());
        // If this fails too, the next check tries it again before anything else is written.
        let _ = self.truncate_to_committed();
        written
    }

    /// Logs the first failure of several, and the end of them.
    fn log_failure(&mut self, failure: Option<&String>) {
        let path = self.path.display();
        match failure {
            Some(why) if !self.is_failing => {
                log::line(format_args!("{ERROR}{path}: nothing can be saved: {why}"));
            }
            None if self.is_failing => {
                log::line(format_args!("{path}: links can be saved again"));
            }
            _ => {}
        }
        self.is_failing = failure.is_some();
    }

    fn write(&mut self, lines: &str) -> io::Result<()> {
        // Someone's half line must not become one with ours.
        let line_end = if ends_with_newline(&self.file, self.len)? { "" } else { "\n" };
        let lines = [line_end, lines].concat();
        let end = self.len + lines.len() as u64;
        self.needs_truncate = true;
        (&self.file).write_all(lines.as_bytes())?;
        self.file.sync_data()?;
        // Safe on disk, but in a file that was moved away or emptied meanwhile, is not saved.
        let there = self.meta_there()?.filter(|meta| meta.len() >= end);
        let meta = there
            .ok_or_else(|| io::Error::other("the journal was replaced or truncated meanwhile"))?;
        self.len = end;
        self.modified = meta.modified().ok();
        self.needs_truncate = false;
        Ok(())
    }

    fn truncate_to_committed(&mut self) -> io::Result<()> {
        if !self.needs_truncate {
            return Ok(());
        }
        // A file that someone has made shorter must not be filled up with zeros.
        self.file.set_len(self.file.metadata()?.len().min(self.len))?;
        // Only the first sync after a failed one tells of it: what is wanted must not stand behind `len`.
        self.file.sync_data()?;
        self.modified = self.file.metadata()?.modified().ok();
        self.needs_truncate = false;
        Ok(())
    }

    /// Called before each batch: checks that the file is still the one that linkbot left, and continues with what is
    /// there. If that fails, nothing can be saved until a later check succeeds.
    ///
    /// Returns true if someone else has changed the file. A new file gets the events from `pending` on, if there is an
    /// account.
    pub fn check(&mut self, pending: Option<Position>) -> bool {
        let changed = self.resync(pending).map_err(|e| log::os_error(&e));
        if let Err(why) = &changed {
            self.log_failure(Some(why));
        }
        let is_changed = changed == Ok(true);
        self.usable = changed.map(drop);
        is_changed
    }

    fn resync(&mut self, pending: Option<Position>) -> io::Result<bool> {
        self.truncate_to_committed()?;
        let Some(meta) = self.meta_there()? else { return self.reopen(pending).and(Ok(true)) };
        let (len, modified) = (meta.len(), meta.modified().ok());
        if len == self.len && modified == self.modified {
            return Ok(false);
        }
        let path = self.path.display();
        if len < self.len {
            log::line(format_args!("{WARNING}{path}: edited; {} bytes are gone", self.len - len));
            self.edits += 1;
        } else if len == self.len || !ends_with_newline(&self.file, self.len)? {
            log::line(format_args!("{path}: edited"));
            self.edits += 1;
        } else {
            let Findings { lines, malformed, .. } = inspect(&self.file, self.len, len, None)?;
            for warning in unmatched(&self.file, self.len, len)? {
                log::line(format_args!("{WARNING}{path}: {warning}"));
            }
            let mut what = format!("{} appended", count(lines));
            if let Some((_, why)) = malformed.first() {
                what += &format!(", {} of them skipped: {why}", malformed.len());
            }
            log::line(format_args!("{path}: {what}"));
        }
        self.not_before(last_time(&self.file, len, OffsetDateTime::now_utc())?);
        self.len = len;
        self.modified = modified;
        Ok(true)
    }

    /// The file at the journal's path; `None` if that is not the one that is open.
    fn meta_there(&self) -> io::Result<Option<Metadata>> {
        let meta = what_is_at(&self.path)?;
        Ok(meta.filter(|meta| (meta.dev(), meta.ino()) == self.id))
    }

    /// Opens the file that is now where the journal was; if there is none, a new one. Copies the pending events into it,
    /// because the delivery reads no other file.
    fn reopen(&mut self, pending: Option<Position>) -> io::Result<()> {
        let meta = self.file.metadata()?;
        // Someone may have appended to it before it went.
        self.len = meta.len();
        let mut copied = 0;
        let is_gone = what_is_at(&self.path)?.is_none();
        if is_gone {
            // Whole from the beginning: after a crash nobody would know of the old file.
            file::write_durably(&self.path, meta.mode(), |new| {
                let mut new = BufWriter::new(new);
                self.copy_pending(pending, |event, is_pending| {
                    copied += usize::from(is_pending);
                    new.write_all(format_line(event).as_bytes())
                })?;
                new.flush()
            })?;
        }
        let mut new = Journal::recover(&self.path)?;
        new.is_failing = self.is_failing;
        if let Some(Position { after, .. }) = pending
            && !is_gone
        {
            // An editor's copy has them already, but not a link that was saved while the editor was open. One that was
            // taken out on purpose looks the same, and comes back.
            let mut there = HashSet::new();
            for line in new.read_from(find_after(&new.file, new.len, after)?) {
                there.insert(line?.event.time);
            }
            let was_empty = new.len == 0;
            self.copy_pending(pending, |event, is_pending| {
                copied += usize::from(is_pending);
                if (is_pending || was_empty) && !there.contains(&event.time) {
                    new.unwritten += &format_line(event);
                }
                if new.unwritten.len() > COPY_BLOCK {
                    new.commit().map_err(io::Error::other)?;
                }
                Ok(())
            })?;
            new.commit().map_err(io::Error::other)?;
        }
        let mut what = "was moved or replaced; continuing with the new file".to_owned();
        if pending.is_some() {
            what += &format!("; pending links copied into it: {copied}");
        }
        log::line(format_args!("{}: {what}", self.path.display()));
        // The cursor still holds a time of the old file; what comes now must be later.
        new.not_before(self.last);
        new.edits = self.edits + 1;
        *self = new;
        Ok(())
    }

    /// Passes on what the delivery still needs: which bookmarks are not ours, then the pending events (true).
    fn copy_pending(
        &self,
        pending: Option<Position>,
        mut copy: impl FnMut(&Event, bool) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(Position { offset, after }) = pending else { return Ok(()) };
        let before =
            ForwardReader::from_middle(&self.file, offset.saturating_sub(VIEW_WINDOW), offset)?;
        for line in before {
            let event = line?.event;
            if event.action == Action::Foreign {
                copy(&event, false)?;
            }
        }
        for line in self.read_from(offset) {
            let event = line?.event;
            if is_after(event.time, after) {
                copy(&event, true)?;
            }
        }
        Ok(())
    }

    /// The events of the newest `window` bytes, newest first, after those of the next commit.
    fn backwards(&self, window: u64) -> ReverseReader<'_> {
        let lines = ReverseReader::new(&self.file, self.len.saturating_sub(window), self.len);
        // The file's last line may have no end.
        lines.followed_by(["\n", &self.unwritten].concat().into())
    }

    /// The events of the newest `window` bytes, newest first, without what concerns only the delivery.
    pub fn events(&self, window: u64) -> impl Iterator<Item = io::Result<Event>> {
        let is_foreign = |event: &Event| event.action == Action::Foreign;
        self.backwards(window).filter(move |event| !event.as_ref().is_ok_and(is_foreign))
    }

    /// The current links of some channels in the newest `window` bytes, newest first.
    pub fn links(
        &self,
        window: u64,
        shows: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = io::Result<Entry>> {
        // Mostly empty: then a tree is cheaper than a hash.
        let mut later = BTreeMap::new();
        self.backwards(window).filter_map(move |event| match event {
            Ok(event) if shows(&event.link.channel) => fold(&mut later, event).map(Ok),
            Ok(_) => None,
            Err(e) => Some(Err(e)),
        })
    }

    /// The newest link of a channel whose address compares as equal to `url`, in the newest `window` bytes.
    pub fn newest_with(&self, url: &str, channel: &str, window: u64) -> io::Result<Option<Entry>> {
        let key = link::comparison_key(url);
        let mut later = BTreeMap::new();
        let mut lines = self.backwards(window);
        while let Some(Line { event, .. }) = lines.find(|line| may_be_about(line, &key))? {
            if event.link.channel == channel
                && link::comparison_key(&event.link.url) == key
                && let Some(entry) = fold(&mut later, event)
            {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// How often the file was edited or replaced; an offset is valid only as long as this is the same.
    pub fn edits(&self) -> u64 {
        self.edits
    }

    /// Where the first event after `cursor` starts.
    pub fn find_after(&self, cursor: OffsetDateTime) -> io::Result<u64> {
        find_after(&self.file, self.len, cursor)
    }

    /// The committed events from an offset on, oldest first.
    pub fn read_from(&self, offset: u64) -> impl Iterator<Item = io::Result<Line>> {
        ForwardReader::new(&self.file, offset, self.len)
    }

    /// The events of an address in the `within` bytes before an offset, newest first.
    pub fn about(
        &self,
        url: &str,
        before: u64,
        within: u64,
    ) -> impl Iterator<Item = io::Result<Line>> {
        let mut lines = ReverseReader::new(&self.file, before.saturating_sub(within), before);
        let is_about = move |line: &[u8]| url_column(line) == url.as_bytes();
        std::iter::from_fn(move || lines.find(is_about).transpose())
    }
}

/// The address in a line whose other columns need not be read.
fn url_column(line: &[u8]) -> &[u8] {
    line.split(|&b| b == b'\t').nth(5).unwrap_or_default().trim_ascii_end()
}

/// False if the address in a line cannot have this comparison key: without reading all of its columns.
fn may_be_about(line: &[u8], key: &str) -> bool {
    let host_and_path = key.split(['?', '#']).next().unwrap_or_default();
    let url = url_column(line);
    let start = url.iter().position(|&b| b == b':').map_or(0, |colon| colon + "://".len());
    let rest = url.get(start..).unwrap_or_default();
    rest.strip_prefix(b"www.").unwrap_or(rest).starts_with(host_and_path.as_bytes())
}

/// What of the journal is pending: the events from an offset on that are later than a time.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    pub offset: u64,
    pub after: OffsetDateTime,
}

/// True if a time is so far ahead of the clock that it must be a mistake.
pub fn is_far_ahead(time: OffsetDateTime) -> bool {
    time > OffsetDateTime::now_utc() + MAX_AHEAD
}

/// True if an event with this time is pending after `cursor`, provided that its line is after the cursor's. While one of
/// the two is too far ahead of the clock, only the order of the lines counts.
pub fn is_after(time: OffsetDateTime, cursor: OffsetDateTime) -> bool {
    time > cursor || is_far_ahead(time) || is_far_ahead(cursor)
}

/// Where the first event after `cursor` starts: reads back to the line with that time and past lines above it that someone
/// has given a later time. If that line is gone, reads [`VIEW_WINDOW`] bytes past the first older one, which may be
/// appended. While the cursor is too far ahead of the clock, all lines below its own are after it.
fn find_after(file: &File, len: u64, cursor: OffsetDateTime) -> io::Result<u64> {
    let mut lines = ReverseReader::new(file, 0, len);
    let mut is_met = false;
    let mut start = len;
    while let Some(line) = lines.find(|_| true)? {
        let time = line.event.time;
        if time == cursor {
            is_met = true;
            if is_far_ahead(cursor) {
                break;
            }
        } else if is_after(time, cursor) {
            if !is_met || !is_far_ahead(time) {
                start = line.start;
            }
        } else if is_met {
            break;
        } else {
            lines.from = lines.from.max(line.start.saturating_sub(VIEW_WINDOW));
        }
    }
    Ok(start)
}

fn ends_with_newline(file: &File, len: u64) -> io::Result<bool> {
    let mut byte = [b'\n'];
    if len > 0 {
        file.read_at(&mut byte, len - 1)?;
    }
    Ok(byte == [b'\n'])
}

/// The greatest time among the last events: a line appended by hand may be older than those above it. Ignores times too
/// far ahead of `now`.
fn last_time(file: &File, end: u64, now: OffsetDateTime) -> io::Result<OffsetDateTime> {
    let mut last = OffsetDateTime::UNIX_EPOCH;
    for event in ReverseReader::new(file, 0, end).take(100) {
        let time = event?.time;
        if time <= now + MAX_AHEAD {
            last = last.max(time);
        }
    }
    Ok(last)
}

/// What later events say of a channel's address, before its `add` is met on the way back.
#[derive(Default, PartialEq)]
struct Later {
    /// How many of the next `add`s are removed.
    removes: usize,
    title: Option<String>,
    /// Newest first.
    reposters: Vec<String>,
}

/// By what an event finds its link.
fn key(link: &Link) -> (String, String) {
    (link.channel.clone(), link::comparison_key(&link.url))
}

/// Makes links of events that come newest first: `title`, `again` and `remove` belong to the nearest earlier
/// `add` of their channel and address that is not removed.
fn fold(later: &mut BTreeMap<(String, String), Later>, event: Event) -> Option<Entry> {
    let Event { time, action, mut link } = event;
    if action == Action::Foreign {
        return None;
    }
    if action == Action::Add && later.is_empty() {
        return Some(Entry { time, link, reposters: Vec::new() });
    }
    let key = key(&link);
    if action == Action::Add {
        if let Some(of) = later.get_mut(&key).filter(|later| later.removes > 0) {
            of.removes -= 1;
            if *of == Later::default() {
                later.remove(&key);
            }
            return None;
        }
        let Later { title, mut reposters, .. } = later.remove(&key).unwrap_or_default();
        link.title = title.unwrap_or(link.title);
        reposters.reverse();
        return Some(Entry { time, link, reposters });
    }
    let later = later.entry(key).or_default();
    match action {
        Action::Remove => later.removes += 1,
        // What was said of a link before it was removed went with it.
        _ if later.removes > 0 => {}
        Action::Title => later.title = later.title.take().or(Some(link.title)),
        Action::Repost => later.reposters.push(link.nick),
        Action::Add | Action::Foreign => {}
    }
    None
}

#[cfg(test)]
#[path = "../tests/unit/journal.rs"]
mod tests;
