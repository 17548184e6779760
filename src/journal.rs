//! The journal: an append-only text file of what was posted, the only state of linkbot.
//!
//! One event a line, columns separated by tabs: time, action, channel, nick, account, url, title, and
//! in an eighth the time of posting where it is not the event's. People read it with `grep` and `awk`,
//! edit it, move it away and append to it with `>>`, all of it while linkbot runs: nothing here trusts
//! the file to be as it was left.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::irc::MAX_CLOCK_SKEW;
use crate::link::{self, LONGEST_ADDRESS, Link};
use crate::log::ERROR;
use crate::title;
use crate::{file, log};

/// How far back a view reads, in bytes: about 130,000 links.
pub const VIEW_WINDOW: u64 = 16 << 20;

/// A later time, counted from now, is a mistake: new events need not be later, nor does the bookmark account's cursor.
const MAX_AHEAD: Duration = Duration::DAY;

/// What is read at once, in bytes. A line that is longer is not one of linkbot's.
const BLOCK: usize = 32 << 10;

/// What an event says of its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Add,
    Repost,
    Title,
    Remove,
}

const ACTIONS: [(&str, Action); 4] = [
    ("add", Action::Add),
    ("again", Action::Repost),
    ("title", Action::Title),
    ("remove", Action::Remove),
];

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// UTC, to the millisecond; strictly increasing, so it names the event for ever.
    pub time: OffsetDateTime,
    pub action: Action,
    pub link: Link,
}

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
            // What is read of the file and not given yet ends where that line begins.
            len = lines.at + lines.buf.len() as u64;
            let torn = meta.len() - len;
            let mut bytes = vec![0; torn.min(1000) as usize];
            file.read_exact_at(&mut bytes, len)?;
            let (path, bytes) = (path.display(), bytes.escape_ascii());
            log::line(format_args!("{path}: truncated a torn last line of {torn} bytes: {bytes}"));
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
            modified,
            unwritten: String::new(),
            needs_truncate: false,
            last,
            usable: Ok(()),
            is_failing: false,
        })
    }

    /// The next event gets a later time than this, unless this is too far ahead of the clock. Returns the time that the
    /// next event must be later than.
    pub fn not_before(&mut self, time: OffsetDateTime) -> OffsetDateTime {
        if time <= OffsetDateTime::now_utc() + MAX_AHEAD {
            self.last = self.last.max(time);
        }
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
        if written.is_ok() && self.is_failing {
            log::line(format_args!("{}: links can be saved again", self.path.display()));
        }
        self.is_failing = written.is_err();
        // If this fails too, the next check tries it again before anything else is written.
        let _ = self.truncate_to_committed();
        written
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
    /// Returns true if someone else has changed the file. A new file gets the events after `cursor`, which are pending,
    /// if there is an account.
    pub fn check(&mut self, cursor: Option<OffsetDateTime>) -> bool {
        let changed = self.resync(cursor).map_err(|e| log::os_error(&e));
        if let Err(why) = &changed
            && !self.is_failing
        {
            log::line(format_args!("{ERROR}{}: nothing can be saved: {why}", self.path.display()));
            self.is_failing = true;
        }
        let is_changed = changed == Ok(true);
        self.usable = changed.map(drop);
        is_changed
    }

    fn resync(&mut self, cursor: Option<OffsetDateTime>) -> io::Result<bool> {
        self.truncate_to_committed()?;
        let Some(meta) = self.meta_there()? else { return self.reopen(cursor).and(Ok(true)) };
        let (len, modified) = (meta.len(), meta.modified().ok());
        if len == self.len && modified == self.modified {
            return Ok(false);
        }
        let path = self.path.display();
        if len < self.len {
            log::line(format_args!("{path}: edited; {} bytes are gone", self.len - len));
        } else if len == self.len || !ends_with_newline(&self.file, self.len)? {
            log::line(format_args!("{path}: edited"));
        } else {
            let Findings { lines, malformed, .. } = inspect(&self.file, self.len, len)?;
            for warning in unmatched(&self.file, self.len, len)? {
                log::line(format_args!("{}: {warning}", self.path.display()));
            }
            let mut what = format!("{} appended", count(lines));
            if let Some((_, why)) = malformed.last() {
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
    fn reopen(&mut self, cursor: Option<OffsetDateTime>) -> io::Result<()> {
        let has_account = cursor.is_some();
        let cursor = cursor.unwrap_or(self.last);
        let meta = self.file.metadata()?;
        // Someone may have appended to it before it went.
        self.len = meta.len();
        let mut owed: Vec<Event> = self.after(cursor).collect::<io::Result<_>>()?;
        owed.reverse();
        if what_is_at(&self.path)?.is_none() {
            // Whole from the beginning: after a crash nobody would know of the old file.
            let lines: String = owed.iter().map(format_line).collect();
            file::replace_durably(&self.path, lines.as_bytes(), meta.mode())?;
        }
        let mut new = Journal::recover(&self.path)?;
        new.is_failing = self.is_failing;
        // An editor's copy has them already, but not a link that was saved while the editor was open. One that was
        // taken out on purpose looks the same, and comes back.
        let there =
            new.after(cursor).map(|event| Ok(event?.time)).collect::<io::Result<HashSet<_>>>()?;
        new.unwritten =
            owed.iter().filter(|event| !there.contains(&event.time)).map(format_line).collect();
        new.commit().map_err(io::Error::other)?;
        let mut what = "was moved or replaced; continuing with the new file".to_owned();
        if has_account {
            what += &format!("; pending links copied into it: {}", owed.len());
        }
        log::line(format_args!("{}: {what}", self.path.display()));
        // The cursor still holds a time of the old file; what comes now must be later.
        new.not_before(self.last);
        *self = new;
        Ok(())
    }

    /// What is pending, and of the file, as the last check found it, the newest `reach` bytes.
    fn backwards(&self, reach: u64) -> ReverseReader<'_> {
        let mut lines = ReverseReader::new(&self.file, self.len.saturating_sub(reach), self.len);
        // The file's last line may have no end.
        lines.buf = ["\n", &self.unwritten].concat().into();
        lines
    }

    /// The events of the newest [`VIEW_WINDOW`] bytes, newest first.
    pub fn events(&self) -> impl Iterator<Item = io::Result<Event>> {
        self.backwards(VIEW_WINDOW)
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

    /// All events after `cursor`, newest first: reads back to the line with that time and past lines above it that someone
    /// has given a later time. If that line is gone, reads [`VIEW_WINDOW`] bytes past the first older one, which may be
    /// appended. While the cursor is too far ahead of the clock, all lines below its own are after it.
    pub fn after(&self, cursor: OffsetDateTime) -> impl Iterator<Item = io::Result<Event>> {
        let (mut lines, mut is_met) = (self.backwards(u64::MAX), false);
        let limit = OffsetDateTime::now_utc() + MAX_AHEAD;
        let next = move || {
            while let Some(event) = lines.next() {
                let Ok(Event { time, .. }) = event else { return Some(event) };
                if time == cursor {
                    is_met = true;
                    if cursor > limit {
                        break;
                    }
                } else if time > cursor || cursor > limit {
                    if !is_met || time <= limit {
                        return Some(event);
                    }
                } else if is_met {
                    break;
                } else {
                    lines.from = lines.from.max(lines.at.saturating_sub(VIEW_WINDOW));
                }
            }
            None
        };
        std::iter::from_fn(next).fuse()
    }
}

/// The file at `path`, if there is one. A pipe must not even be opened: that would wait for who writes into it.
fn what_is_at(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::metadata(path) {
        Ok(meta) if !meta.is_file() => Err(io::Error::other("not a regular file")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        meta => meta.map(Some),
    }
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

/// A part of the file from its end, without a first line that begins before it. As an iterator its events.
struct ReverseReader<'a> {
    file: &'a File,
    /// Where reading stops; from the middle of the file on one byte early, to see whether a line ends there.
    from: u64,
    /// Where `buf` begins in the file.
    at: u64,
    /// What was read and not given yet.
    buf: Vec<u8>,
}

/// `None` for a comment or an empty line; an error says what is wrong.
type Parsed = Result<Option<Event>, &'static str>;

impl<'a> ReverseReader<'a> {
    fn new(file: &'a File, from: u64, to: u64) -> ReverseReader<'a> {
        ReverseReader { file, from: from.saturating_sub(1), at: to, buf: Vec::new() }
    }

    fn line(&mut self) -> io::Result<Option<Parsed>> {
        let mut too_long = false;
        loop {
            // What `buf` ends with is the line's own end, not the one before it.
            let end = self.buf.len() - usize::from(self.buf.ends_with(b"\n"));
            let begin = match self.buf[..end].iter().rposition(|&b| b == b'\n') {
                Some(newline) => newline + 1,
                None if self.at > self.from => {
                    if self.buf.len() > BLOCK {
                        too_long = true;
                        self.buf = vec![b'\n'];
                    }
                    let n = (self.at - self.from).min(BLOCK as u64);
                    self.at -= n;
                    let mut block = vec![0; n as usize];
                    self.file.read_exact_at(&mut block, self.at)?;
                    block.append(&mut self.buf);
                    self.buf = block;
                    continue;
                }
                // At the beginning of the file a line begins, elsewhere this is the end of one.
                None if self.at == 0 && !self.buf.is_empty() => 0,
                None => return Ok(None),
            };
            too_long |= self.buf.len() - begin > BLOCK;
            let line = if too_long {
                Err("longer than 32 KiB")
            } else {
                parse_line(&self.buf[begin..end])
            };
            self.buf.truncate(begin);
            return Ok(Some(line));
        }
    }
}

impl Iterator for ReverseReader<'_> {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut lines = std::iter::from_fn(|| self.line().transpose());
        lines.find_map(|line| line.map(|line| line.ok().flatten()).transpose())
    }
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
        Action::Repost | Action::Add => later.reposters.push(link.nick),
    }
    None
}

fn format_line(Event { time, action, link }: &Event) -> String {
    let name = ACTIONS.iter().find(|(_, a)| a == action).map_or("", |(name, _)| name);
    let mut line = format!("{}\t{name}", format_time(*time));
    for field in [&link.channel, &link.nick, &link.account, &link.url, &link.title] {
        line.push('\t');
        // A nick is the server's word: a tab or a line end in it would make a column or a line.
        line.extend(field.chars().filter(|c| !c.is_control()));
    }
    let posted = link.posted.truncate_to_millisecond();
    if posted != *time {
        line += &format!("\t{}", format_time(posted));
    }
    line + "\n"
}

/// Reads a line without its line end.
fn parse_line(line: &[u8]) -> Parsed {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // A byte-order mark, which some editors write at the beginning of a file.
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    if line.is_empty() || line[0] == b'#' {
        return Ok(None);
    }
    let mut columns =
        line.split(|&b| b == b'\t').map(|column| str::from_utf8(column).map_err(|_| "not UTF-8"));
    let mut next = || columns.next().ok_or("fewer than seven columns")?;
    let (time, action, channel, nick, account, url) =
        (next()?, next()?, next()?, next()?, next()?, next()?);
    let (title, posted) =
        (columns.next().transpose()?.unwrap_or_default(), columns.next().transpose()?);
    let posted = posted.filter(|posted| !posted.is_empty());
    let time = parse_time(time).ok_or("not a time")?;
    let posted = posted.map_or(Some(time), parse_time).ok_or("not a time of posting")?;
    let &(_, action) = ACTIONS.iter().find(|(name, _)| *name == action).ok_or("unknown action")?;
    // As link::address leaves it, but without the cost of parsing a hundred thousand of them.
    if !link::begins_address(url)
        || url.len() > LONGEST_ADDRESS
        || !url.bytes().all(|b| b.is_ascii_graphic())
    {
        return Err("not an address");
    }
    // Who edits a title may well leave two blanks in it, or take the last column away where it is empty.
    let title = title::normalize(title);
    if matches!(action, Action::Add | Action::Title) && title.is_empty() {
        return Err("no title");
    }
    let [channel, nick, account, url] = [channel, nick, account, url].map(str::to_owned);
    Ok(Some(Event { time, action, link: Link { channel, nick, account, url, title, posted } }))
}

/// The lines of a part of the file, and those that a person should look at: counted from the end, last first.
#[derive(Default)]
struct Findings {
    lines: usize,
    malformed: Vec<(usize, &'static str)>,
    in_future: Vec<(usize, OffsetDateTime)>,
}

fn inspect(file: &File, from: u64, to: u64) -> io::Result<Findings> {
    // Events of one batch get times a little ahead of the clock.
    let limit = OffsetDateTime::now_utc() + Duration::MINUTE;
    let mut found = Findings::default();
    let mut part = ReverseReader::new(file, from, to);
    while let Some(line) = part.line()? {
        found.lines += 1;
        match line {
            Err(why) => found.malformed.push((found.lines, why)),
            Ok(Some(event)) if event.time > limit => {
                found.in_future.push((found.lines, event.time));
            }
            Ok(_) => {}
        }
    }
    Ok(found)
}

/// The `title` and `remove` events after byte `from` that match no link.
fn unmatched(file: &File, from: u64, to: u64) -> io::Result<Vec<String>> {
    let mut lines = ReverseReader::new(file, to.saturating_sub(VIEW_WINDOW), to);
    let (mut later, mut unmatched) = (BTreeMap::new(), Vec::new());
    while let Some(event) = lines.next().transpose()? {
        let is_new = lines.at + lines.buf.len() as u64 >= from;
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

/// Warnings about the newest `within` bytes of the journal: lines that are skipped, times in the future. Does not lock: a
/// linkbot may be running.
pub fn warnings(path: &Path, within: u64) -> io::Result<Vec<String>> {
    let mut warnings = Vec::new();
    let Some(meta) = what_is_at(path)? else { return Ok(warnings) };
    let from = meta.len().saturating_sub(within);
    let file = File::open(path)?;
    let found = inspect(&file, from, meta.len())?;
    for warning in unmatched(&file, from, meta.len())? {
        warnings.push(format!("{}: {warning}", path.display()));
    }
    let number = |from_end: usize| match from {
        0 => format!("line {}", found.lines + 1 - from_end),
        _ => format!("line {from_end} from the end"),
    };
    if let Some(&(from_end, why)) = found.malformed.last() {
        let (lines, first) = (count(found.malformed.len()), number(from_end));
        warnings.push(format!("{}: {lines} skipped; the first is {first}: {why}", path.display()));
    }
    if let Some(&(from_end, time)) = found.in_future.last() {
        let (lines, first) = (count(found.in_future.len()), number(from_end));
        let time = format_time(time);
        warnings.push(format!(
            "{}: {lines} in the future; the first is {first}: {time}; correct it, or this machine's clock",
            path.display()
        ));
    }
    Ok(warnings)
}

fn count(lines: usize) -> String {
    if lines == 1 { "1 line".into() } else { format!("{lines} lines") }
}

/// An event's time as the journal, the feed's guid and the cursor spell it: `2026-11-22T10:31:19.123Z`.
pub fn format_time(time: OffsetDateTime) -> String {
    let time = time.to_utc();
    let (h, m, s, ms) = time.as_hms_milli();
    format!("{}T{h:02}:{m:02}:{s:02}.{ms:03}Z", time.date())
}

/// Reads what [`format_time`] wrote.
pub fn parse_time(text: &str) -> Option<OffsetDateTime> {
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .filter(|_| text.len() == 24 && text.ends_with('Z'))?;
    Some(time.truncate_to_millisecond())
}

#[cfg(test)]
#[path = "../tests/unit/journal.rs"]
mod tests;
