//! The journal: an append-only text file of what was posted, the only state of linkbot.
//!
//! One event a line, columns separated by tabs: time, action, channel, nick, account, url, title, and
//! in an eighth the time of posting where it is not the event's. People read it with `grep` and `awk`,
//! edit it, move it away and append to it with `>>`, all of it while linkbot runs: nothing here trusts
//! the file to be as it was left.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime, UtcOffset};

use crate::link::{self, LONGEST_ADDRESS, Link};
use crate::log;

/// How far back a view reads, in bytes: about 130,000 links.
pub const REACH: u64 = 16 << 20;

/// What is read at once, in bytes. A line that is longer is not one of linkbot's.
const BLOCK: usize = 64 << 10;
const TOO_LONG: &str = "longer than 64 KiB";

const TIME: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// What an event says of its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Add,
    Again,
    Title,
    Remove,
}

impl Action {
    const NAMES: [(&str, Action); 4] =
        [("add", Action::Add), ("again", Action::Again), ("title", Action::Title), ("remove", Action::Remove)];
}

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
    pub again: Vec<String>,
}

/// The open journal, locked against a second linkbot.
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Device and inode, by which a file put in its place is noticed.
    id: (u64, u64),
    /// How long the file is, with what is not committed yet.
    len: u64,
    committed: u64,
    /// The time of the last event, or later: the next one's is greater.
    last: OffsetDateTime,
    /// Behind `len` stands something that could not be cut off.
    cut_due: bool,
    /// Why the batch that is under way cannot be committed any more.
    lost: Option<&'static str>,
}

impl Journal {
    /// Opens the journal, or creates it, and locks it. A torn last line is cut off and logged.
    ///
    /// An error is one line that names the file and the remedy.
    pub fn open(path: &Path) -> Result<Journal, String> {
        let remedy = "the journal must be a file that linkbot may create, read and write";
        let failed = |e: io::Error| format!("{}: {}; {remedy}", path.display(), log::os(&e));
        let file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(format!("{}: not a regular file; {remedy}", path.display()));
        }
        match file.try_lock() {
            Ok(()) => Self::recover(path, file).map_err(failed),
            Err(TryLockError::WouldBlock) => {
                Err(format!("{}: in use by another linkbot; stop that one first", path.display()))
            }
            Err(TryLockError::Error(e)) => Err(failed(e)),
        }
    }

    fn recover(path: &Path, file: File) -> io::Result<Journal> {
        let meta = file.metadata()?;
        let len = Lines::new(&file, 0, meta.len()).drop_partial()?;
        let torn = meta.len() - len;
        if torn > 0 {
            let mut bytes = vec![0; torn.min(1000) as usize];
            file.read_exact_at(&mut bytes, len)?;
            let (path, bytes) = (path.display(), bytes.escape_ascii());
            log::line(format_args!("{path}: cut off a torn last line of {torn} bytes: {bytes}"));
            file.set_len(len)?;
        }
        // What stands in it counts as saved from here on; so does its name in the folder.
        file.sync_all()?;
        let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
        let last = last_time(&file, len)?;
        Ok(Journal {
            path: path.to_owned(),
            file,
            id: id(&meta),
            len,
            committed: len,
            last,
            cut_due: false,
            lost: None,
        })
    }

    /// Writes one event and returns its time; it is on disk only after [`Journal::commit`].
    ///
    /// An error's text is for the person who posted the link: `No space left on device`.
    pub fn append(&mut self, action: Action, link: &Link, now: OffsetDateTime) -> io::Result<OffsetDateTime> {
        self.look()?;
        let next = self.last.checked_add(Duration::MILLISECOND);
        let next = next.ok_or_else(|| io::Error::other("the journal's last time is the last there is"))?;
        let time = now.to_offset(UtcOffset::UTC).truncate_to_millisecond().max(next);
        // Someone's half line must not become one with ours.
        let mut line = String::new();
        if !self.ends_with_newline()? {
            line.push('\n');
        }
        format_line(&mut line, time, action, link);
        if let Err(e) = write_at_once(&self.file, line.as_bytes()) {
            if self.file.set_len(self.len).is_err() {
                // Then the batch cannot be kept apart from the rubbish behind it: all of it goes.
                let batch = self.len > self.committed;
                self.lost = self.lost.or(batch.then_some("a later line could not be written"));
                self.len = self.committed;
                self.cut_due = true;
            }
            return Err(e);
        }
        self.len += line.len() as u64;
        self.last = time;
        Ok(time)
    }

    /// Puts on disk what was appended since the last commit. After an error none of it is saved.
    ///
    /// An error's text is for the persons who posted the links.
    pub fn commit(&mut self) -> io::Result<()> {
        let lost = self.lost.take();
        if self.cut_due {
            self.cut_back()?;
        }
        if self.len == self.committed && lost.is_none() {
            return Ok(());
        }
        if let Err(e) = lost.map_or_else(|| self.sync(), |why| Err(io::Error::other(why))) {
            self.len = self.committed;
            self.cut_due = true;
            // If this fails too, it is tried again before anything else is written.
            let _ = self.cut_back();
            return Err(e);
        }
        self.committed = self.len;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()?;
        // Safe on disk, but in a file that was moved away or emptied meanwhile, is not saved.
        match self.len_there()? {
            Some(len) if len >= self.len => Ok(()),
            _ => Err(io::Error::other("the journal was replaced or cut short meanwhile")),
        }
    }

    /// Nothing that is still wanted stands behind `len` here: an error of this `sync_data` is the only
    /// word of it, a later one may well succeed over pages that never reached the disk.
    fn cut_back(&mut self) -> io::Result<()> {
        // A file that someone has made shorter must not be filled up with zeros.
        let len = self.file.metadata()?.len().min(self.len);
        self.file.set_len(len)?;
        self.file.sync_data()?;
        self.cut_due = false;
        Ok(())
    }

    /// Looks whether the file is still the one, and as long, as linkbot left it, and goes on with what is there.
    fn look(&mut self) -> io::Result<()> {
        let Some(len) = self.len_there()? else { return self.exchange() };
        if self.cut_due {
            self.cut_back()?;
            return self.look();
        }
        if len == self.len {
            return Ok(());
        }
        let path = self.path.display();
        let batch = self.len > self.committed;
        if len > self.len {
            log::line(format_args!("{path}: someone else has appended {} bytes; they stay", len - self.len));
        } else {
            log::line(format_args!("{path}: someone else has cut off {} bytes; going on there", self.len - len));
            self.lost = self.lost.or(batch.then_some("the journal was cut short meanwhile"));
        }
        self.last = self.last.max(last_time(&self.file, len)?);
        self.len = len;
        if !batch || len < self.committed {
            self.committed = len;
        }
        Ok(())
    }

    /// The length of the file at the journal's path; `None` if that is no longer the one that is open.
    fn len_there(&self) -> io::Result<Option<u64>> {
        match fs::metadata(&self.path) {
            Ok(meta) => Ok((id(&meta) == self.id).then_some(meta.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Opens the file that now stands where the journal was; if there is none, a new one.
    fn exchange(&mut self) -> io::Result<()> {
        let mut new = Journal::open(&self.path).map_err(io::Error::other)?;
        log::line(format_args!("{}: moved away or replaced; going on with the file there now", self.path.display()));
        // The cursor still holds a time of the old file; what comes now must be later.
        new.last = new.last.max(self.last);
        let batch = self.len > self.committed;
        new.lost = self.lost.or(batch.then_some("the journal was replaced meanwhile"));
        *self = new;
        Ok(())
    }

    fn ends_with_newline(&self) -> io::Result<bool> {
        let mut byte = [b'\n'];
        if self.len > 0 {
            self.file.read_exact_at(&mut byte, self.len - 1)?;
        }
        Ok(byte == [b'\n'])
    }

    /// Where reading begins: the end of the file, with what others have appended.
    fn end(&self) -> io::Result<u64> {
        let len = self.file.metadata()?.len();
        Ok(if self.cut_due { len.min(self.len) } else { len })
    }

    fn newest(&self) -> impl Iterator<Item = io::Result<(u64, Event)>> {
        let (events, failed) = match self.end() {
            Ok(end) => (Some(Events(Lines::new(&self.file, end.saturating_sub(REACH), end))), None),
            Err(e) => (None, Some(Err(e))),
        };
        events.into_iter().flatten().chain(failed)
    }

    /// The events of the newest [`REACH`] bytes, newest first.
    pub fn events(&self) -> impl Iterator<Item = io::Result<Event>> {
        self.newest().map(|event| event.map(|(_, event)| event))
    }

    /// The links of the newest [`REACH`] bytes as they stand now, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = io::Result<Entry>> {
        standing(self.events())
    }

    /// All events after `cursor`, newest first.
    pub fn after(&self, cursor: OffsetDateTime) -> impl Iterator<Item = io::Result<Event>> {
        let (events, failed) = match self.end() {
            Ok(end) => (Some(Events(Lines::new(&self.file, 0, end))), None),
            Err(e) => (None, Some(Err(e))),
        };
        let events = events.into_iter().flatten().chain(failed).map(|event| event.map(|(_, event)| event));
        let here = move |event: &io::Result<Event>| event.as_ref().map_or(true, |event| event.time != cursor);
        events.take_while(here).filter(move |event| event.as_ref().map_or(true, |event| event.time > cursor))
    }

    /// What is appended next gets a later time.
    pub fn not_before(&mut self, time: OffsetDateTime) {
        self.last = self.last.max(time);
    }
}

fn id(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// The greatest time among the last events: a line appended by hand may be older than those above it.
fn last_time(file: &File, end: u64) -> io::Result<OffsetDateTime> {
    let mut last = OffsetDateTime::UNIX_EPOCH;
    for event in Events(Lines::new(file, 0, end)).take(100) {
        last = last.max(event?.1.time);
    }
    Ok(last)
}

/// One write, whole or an error.
fn write_at_once(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    match file.write(bytes)? {
        n if n == bytes.len() => Ok(()),
        // Why it was short is told only to who tries on.
        n => file.write(&bytes[n..]).and(Err(io::Error::other("the disk took only a part of the line"))),
    }
}

/// The lines of a part of the file, the last one first. What follows the last line end is left out, and so is
/// a first line that begins before the part.
struct Lines<'a> {
    file: &'a File,
    /// Where reading stops; from the middle of the file on one byte early, to see whether a line ends there.
    from: u64,
    /// Where `buf` begins in the file.
    at: u64,
    buf: Vec<u8>,
    /// How much of `buf` is still to be given.
    left: usize,
}

struct Line<'a> {
    start: u64,
    /// Behind its line end.
    end: u64,
    /// Without its line end; or why it is not held.
    bytes: Result<&'a [u8], &'static str>,
}

impl<'a> Lines<'a> {
    fn new(file: &'a File, from: u64, to: u64) -> Lines<'a> {
        Lines { file, from: from.saturating_sub(1), at: to, buf: Vec::new(), left: 0 }
    }

    /// Reads the block before `buf`; `false` if there is none.
    fn load(&mut self) -> io::Result<bool> {
        let n = (self.at - self.from).min(BLOCK as u64) as usize;
        self.buf.resize(n + self.left, 0);
        self.buf.copy_within(..self.left, n);
        self.file.read_exact_at(&mut self.buf[..n], self.at - n as u64)?;
        self.at -= n as u64;
        self.left += n;
        Ok(n > 0)
    }

    /// Drops what follows the last line end; tells where that is.
    fn drop_partial(&mut self) -> io::Result<u64> {
        loop {
            self.left = last_newline(&self.buf[..self.left]).map_or(0, |i| i + 1);
            if self.left > 0 || !self.load()? {
                return Ok(self.at + self.left as u64);
            }
        }
    }

    fn back(&mut self) -> io::Result<Option<Line<'_>>> {
        let end = self.drop_partial()?;
        let begin = loop {
            if let Some(i) = last_newline(&self.buf[..self.left.saturating_sub(1)]) {
                break i + 1;
            }
            if self.left > BLOCK {
                self.left = 0;
                let start = self.drop_partial()?;
                let inside = self.left > 0 || self.from == 0;
                return Ok(inside.then_some(Line { start, end, bytes: Err(TOO_LONG) }));
            }
            if !self.load()? {
                // At the beginning of the file a line begins, elsewhere this is the end of one.
                if self.left == 0 || self.from > 0 {
                    return Ok(None);
                }
                break 0;
            }
        };
        let bytes = if self.left - begin > BLOCK { Err(TOO_LONG) } else { Ok(&self.buf[begin..self.left - 1]) };
        self.left = begin;
        Ok(Some(Line { start: self.at + begin as u64, end, bytes }))
    }
}

fn last_newline(bytes: &[u8]) -> Option<usize> {
    bytes.iter().rposition(|&b| b == b'\n')
}

/// The events of [`Lines`], each with the end of its line. After an error there are no more.
struct Events<'a>(Lines<'a>);

impl Iterator for Events<'_> {
    type Item = io::Result<(u64, Event)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.0.back() {
                Ok(None) => return None,
                Ok(Some(line)) => {
                    if let Ok(Some(event)) = line.bytes.and_then(parse_line) {
                        return Some(Ok((line.end, event)));
                    }
                }
                Err(e) => {
                    (self.0.at, self.0.left) = (self.0.from, 0);
                    return Some(Err(e));
                }
            }
        }
    }
}

/// What later events say of a channel's address, before its `add` is met on the way back.
#[derive(Default)]
struct Later {
    /// How many of the next `add`s are removed.
    removes: usize,
    title: Option<String>,
    /// Newest first.
    again: Vec<String>,
}

/// Makes links of events that come newest first: `title`, `again` and `remove` belong to the nearest earlier
/// `add` of their channel and address that is not removed.
pub fn standing(events: impl Iterator<Item = io::Result<Event>>) -> impl Iterator<Item = io::Result<Entry>> {
    let mut later = HashMap::new();
    events.filter_map(move |event| event.map(|event| settle(&mut later, event)).transpose())
}

fn settle(later: &mut HashMap<(String, String), Later>, event: Event) -> Option<Entry> {
    let Event { time, action, mut link } = event;
    let key = (link.channel.clone(), link.url.clone());
    if action == Action::Add {
        if let Some(later) = later.get_mut(&key).filter(|l| l.removes > 0) {
            later.removes -= 1;
            return None;
        }
        let Later { title, mut again, .. } = later.remove(&key).unwrap_or_default();
        link.title = title.unwrap_or(link.title);
        again.reverse();
        return Some(Entry { time, link, again });
    }
    let later = later.entry(key).or_default();
    match action {
        Action::Remove => later.removes += 1,
        // What was said of a link before it was removed went with it.
        _ if later.removes > 0 => {}
        Action::Title => later.title = later.title.take().or(Some(link.title)),
        _ => later.again.push(link.nick),
    }
    None
}

fn format_line(line: &mut String, time: OffsetDateTime, action: Action, link: &Link) {
    let name = Action::NAMES.iter().find(|(_, a)| *a == action).map_or("", |(name, _)| name);
    *line += &format!("{}\t{name}", format_time(time));
    for field in [&link.channel, &link.nick, &link.account, &link.url, &link.title] {
        line.push('\t');
        // A nick or an account is the server's word; were there a tab or a line end in it, it would
        // write a column or a line of its own.
        line.extend(field.chars().filter(|c| !c.is_control()));
    }
    if (link.posted - time).abs() > Duration::SECOND {
        *line += &format!("\t{}", format_time(link.posted));
    }
    line.push('\n');
}

/// Reads a line without its line end: `None` for a comment or an empty line; an error says what is wrong.
fn parse_line(line: &[u8]) -> Result<Option<Event>, &'static str> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() || line[0] == b'#' {
        return Ok(None);
    }
    let text = std::str::from_utf8(line).map_err(|_| "not UTF-8")?;
    let columns: Vec<&str> = text.splitn(9, '\t').collect();
    let [time, action, channel, nick, account, url, title, rest @ ..] = &columns[..] else {
        return Err("fewer than seven columns");
    };
    let time = parse_time(time).ok_or("not a time")?;
    let posted = match rest {
        [] => time,
        [posted] => parse_time(posted).ok_or("not a time of posting")?,
        _ => return Err("more than eight columns"),
    };
    let &(_, action) = Action::NAMES.iter().find(|(name, _)| name == action).ok_or("unknown action")?;
    if [channel, nick, account].iter().any(|field| field.contains(char::is_control)) {
        return Err("a control character");
    }
    // As link::address leaves it, but without the cost of parsing a hundred thousand of them.
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")).unwrap_or_default();
    if rest.is_empty() || url.len() > LONGEST_ADDRESS || !url.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("not an address");
    }
    // Who edits a title may well leave two blanks in it, and another program colours.
    let title = link::title(title);
    if matches!(action, Action::Add | Action::Title) && title.is_empty() {
        return Err("no title");
    }
    let [channel, nick, account, url] = [channel, nick, account, url].map(|&field| field.to_owned());
    Ok(Some(Event { time, action, link: Link { channel, nick, account, url, title, posted } }))
}

/// What is wrong with the lines of the journal that are skipped: one sentence, `None` if there are none.
///
/// Looks at the newest [`REACH`] bytes, and does not lock: a linkbot may be at work on the file.
pub fn skipped(path: &Path) -> io::Result<Option<String>> {
    const NAMED: usize = 5;
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let len = file.metadata()?.len();
    let from = len.saturating_sub(REACH);
    let mut lines = Lines::new(&file, from, len);
    let end = lines.drop_partial()?;
    // Each with how many lines stand below it, where it starts, and what is wrong.
    let mut bad = VecDeque::new();
    let (mut seen, mut count) = (0, 0);
    if end < len {
        bad.push_front((0, end, "torn: it has no line end"));
        (seen, count) = (1, 1);
    }
    while let Some(line) = lines.back()? {
        if let Err(why) = line.bytes.and_then(parse_line) {
            bad.push_front((seen, line.start, why));
            bad.truncate(NAMED);
            count += 1;
        }
        seen += 1;
    }
    if bad.is_empty() {
        return Ok(None);
    }
    let named = bad.iter().map(|&(below, start, why)| match from {
        0 => format!("line {} ({why})", seen - below),
        _ => format!("the line at byte {start} ({why})"),
    });
    let named = named.collect::<Vec<_>>().join(", ");
    let more = if count > NAMED { format!(", and {} more", count - NAMED) } else { String::new() };
    let are = if count == 1 { "1 line is".to_owned() } else { format!("{count} lines are") };
    Ok(Some(format!("{}: {are} skipped: {named}{more}", path.display())))
}

/// An event's time as the journal, the feed's guid and the cursor spell it: `2026-11-22T10:31:19.123Z`.
pub fn format_time(time: OffsetDateTime) -> String {
    time.to_offset(UtcOffset::UTC).format(TIME).expect("every time has these parts")
}

/// Reads what [`format_time`] wrote, and nothing else: no sign before the year either.
pub fn parse_time(text: &str) -> Option<OffsetDateTime> {
    let time = PrimitiveDateTime::parse(text, TIME).ok().filter(|_| text.len() == 24)?;
    Some(time.assume_utc())
}

#[cfg(test)]
#[path = "../tests/unit/journal.rs"]
mod tests;
