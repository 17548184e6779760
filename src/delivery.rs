//! Delivers the journal's events to the bookmark account. Decides which event is next and when its
//! request may start; main.rs sends the request and hands back the verdict. The clock is an
//! argument.
//!
//! Works like TCP acknowledgment. Every event up to the cursor, a time, is done. The cursor is
//! saved after the response, so a restart may repeat requests. That is harmless: an `add` never
//! replaces anything, and the events after it are sent again too.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Write};
use std::mem;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::delicious::{Cause, Change, Failure, Verdict};
use crate::file;
use crate::journal::{Action, Event, Journal, Position, format_time, parse_time};
use crate::link::Link;
use crate::log::{self, ERROR, WARNING};
use crate::pending::{Item, Need, Pending};

/// The wait after the first failure; it doubles with each failure in a row.
const SHORTEST_WAIT: Duration = Duration::from_secs(3);
/// The longest wait, and the one after an error that only the operator can fix.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// How often the log repeats why delivery is stopped.
const REMINDER: Duration = Duration::from_secs(6 * 3600);
/// After this many failures in a row, an address lets the others go first.
const MAX_FAILURES: u32 = 3;
/// A change with this many strikes is skipped.
const MAX_STRIKES: u32 = 3;
/// After this many accepted links, a deferred address goes next even if new events are waiting.
const LONGEST_QUEUE: u64 = 100;
/// Why a bookmark that is already there is left alone.
const NOT_OURS: &str = "; it was in the account before linkbot, which leaves it alone";

pub struct Delivery {
    cursor_file: PathBuf,
    saved_cursor: OffsetDateTime,
    /// True if the last attempt to save the cursor failed.
    is_cursor_failing: bool,
    interval: Duration,
    pending: Pending,
    /// [`Journal::edits`] when `pending` was read.
    edits: u64,
    /// `pending` must be read again.
    is_stale: bool,
    /// The address of the next request.
    current: Option<Address>,
    /// Addresses deferred after failures; the first has waited longest.
    given_way: VecDeque<Address>,
    /// The number of links accepted in this run.
    accepted: u64,
    /// The earliest start of the next request.
    next_request: Instant,
    /// The last wait after a failure; zero once a link is accepted.
    backoff: Duration,
    /// When the log said that delivery stopped; `None` while it works.
    stopped: Option<Instant>,
    /// The last logged reason, and when it was logged.
    last_stop: Option<(String, Instant)>,
    skipped: u64,
    /// The last error, as `.status` shows it; empty if there was none.
    last_error: String,
    /// True once the log has explained why titles cannot be changed.
    explained_titles: bool,
    log: fn(&str),
}

/// An address, and its events that [`Pending::next`] has returned, oldest first. They are sent only
/// in this order.
struct Address {
    items: VecDeque<Item>,
    record: FailureRecord,
}

/// The failures of an address's first event.
#[derive(Default)]
struct FailureRecord {
    /// In a row.
    failures: u32,
    /// How often the link itself was probably the cause, because others were accepted.
    strikes: u32,
    /// True if the link may have caused the last failure.
    is_suspect: bool,
    /// The number of links accepted before the last failure.
    accepted_before: u64,
}

impl FailureRecord {
    fn add(&mut self, failure: &Failure, accepted: u64) {
        self.is_suspect = !matches!(failure.cause, Cause::Busy | Cause::Overloaded);
        if self.is_suspect && self.strikes > 0 && self.accepted_before < accepted {
            self.strikes += 1;
        }
        self.failures += 1;
        self.accepted_before = accepted;
    }

    /// Counts the first strike: another link was accepted while this one was deferred.
    fn other_accepted(&mut self) {
        if self.is_suspect && self.strikes == 0 {
            self.strikes = 1;
        }
    }
}

impl Address {
    fn new(item: Item) -> Address {
        Address { items: VecDeque::from([item]), record: FailureRecord::default() }
    }

    fn is_of(&self, url: &str) -> bool {
        self.items.front().is_some_and(|item| item.event.link.url == url)
    }
}

impl Delivery {
    /// Reads the cursor at `cursor_file`. Without one, everything in the journal is pending.
    pub fn new(
        cursor_file: PathBuf,
        interval: Duration,
        journal: &mut Journal,
        now: Instant,
    ) -> Delivery {
        let cursor = read_cursor(&cursor_file).unwrap_or_else(|why| {
            let path = cursor_file.display();
            log!("{path}: {why}: starting with the first link");
            create_cursor(&cursor_file)
        });
        // Times up to the cursor are taken, even if a clock that ran ahead assigned them.
        journal.not_before(cursor);
        let mut delivery = Delivery {
            cursor_file,
            saved_cursor: cursor,
            is_cursor_failing: false,
            interval,
            pending: Pending::new(cursor, journal.last(), 0),
            edits: u64::MAX,
            is_stale: true,
            current: None,
            given_way: VecDeque::new(),
            accepted: 0,
            next_request: now,
            backoff: Duration::ZERO,
            stopped: None,
            last_stop: None,
            skipped: 0,
            last_error: String::new(),
            explained_titles: false,
            log: |text| log::line(text),
        };
        delivery.refresh(journal, now);
        delivery
    }

    /// Reads what was written to the journal since the last call.
    pub fn refresh(&mut self, journal: &Journal, now: Instant) {
        if let Err(e) = self.read(journal) {
            self.cannot_read(e, now);
        }
    }

    fn read(&mut self, journal: &Journal) -> io::Result<()> {
        self.is_stale = true;
        let pending_before = self.pending.count;
        let was_edited = self.edits != journal.edits();
        if was_edited {
            // The offsets of all lines may have changed, so this is like a restart.
            let start = journal.find_after(self.pending.cursor())?;
            self.pending.restart(start);
            self.current = None;
            self.given_way.clear();
            self.edits = journal.edits();
        }
        if let Some((count, url)) = self.pending.scan(journal)? {
            let cursor = format_time(self.pending.cursor());
            (self.log)(&format!(
                "lines that will not be delivered, because they are not later than the \
                 cursor {cursor}: {count}; the first: {url}"
            ));
        }
        let gone = pending_before.saturating_sub(self.pending.count);
        if was_edited && gone > 0 {
            (self.log)(&format!(
                "pending links that are gone from the journal and will not be delivered: {gone} \
                 (to rotate it, move it; copytruncate loses links)"
            ));
        }
        self.is_stale = false;
        Ok(())
    }

    fn cannot_read(&mut self, error: io::Error, now: Instant) {
        let why = log::os_error(&error);
        (self.log)(&format!("{ERROR}delivery paused: the journal cannot be read: {why}"));
        self.is_stale = true;
        self.next_request = now + LONGEST_WAIT;
    }

    /// The part of the journal that is pending.
    pub fn position(&self) -> Position {
        Position { offset: self.pending.start(), after: self.pending.cursor() }
    }

    /// The time to call [`Delivery::next`]; `None` if nothing is pending.
    pub fn deadline(&self) -> Option<Instant> {
        let is_idle = self.current.is_none()
            && self.given_way.is_empty()
            && !self.pending.has_unread()
            && !self.is_stale;
        (!is_idle).then_some(self.next_request)
    }

    /// Returns the next request, once the deadline has come. [`Delivery::record`] must follow.
    pub fn next(&mut self, journal: &Journal, now: Instant) -> Option<(Change, Link)> {
        if self.is_stale {
            self.refresh(journal, now);
        }
        if self.is_stale {
            return None;
        }
        self.find_request(journal).unwrap_or_else(|e| {
            self.cannot_read(e, now);
            None
        })
    }

    fn find_request(&mut self, journal: &Journal) -> io::Result<Option<(Change, Link)>> {
        while let Some(address) = self.next_address(journal)? {
            match self.pending.need(&address.items[0], journal) {
                Ok(Need::Nothing) => self.done(address, false),
                Ok(Need::LeaveAlone) => {
                    let url = &address.items[0].event.link.url;
                    (self.log)(&format!("left alone: {url}: it was in the account before linkbot"));
                    self.done(address, true);
                }
                Ok(Need::Send(change, link)) => {
                    self.current = Some(address);
                    return Ok(Some((change, link)));
                }
                Err(e) => {
                    self.current = Some(address);
                    return Err(e);
                }
            }
        }
        self.save_cursor();
        Ok(None)
    }

    /// Chooses the next address: the one in progress, then new events, then the deferred addresses.
    fn next_address(&mut self, journal: &Journal) -> io::Result<Option<Address>> {
        if let Some(address) = self.current.take() {
            return Ok(Some(address));
        }
        let has_waited =
            |address: &Address| self.accepted - address.record.accepted_before >= LONGEST_QUEUE;
        if self.given_way.front().is_some_and(has_waited) {
            return Ok(self.given_way.pop_front());
        }
        while let Some(item) = self.pending.next(journal)? {
            let url = &item.event.link.url;
            match self.given_way.iter_mut().find(|address| address.is_of(url)) {
                Some(address) => address.items.push_back(item),
                None => return Ok(Some(Address::new(item))),
            }
        }
        Ok(self.given_way.pop_front())
    }

    /// Records the verdict on the request that [`Delivery::next`] returned. `now` is when the
    /// request ended.
    pub fn record(
        &mut self,
        change: Change,
        verdict: Verdict,
        journal: &mut Journal,
        now: Instant,
        clock: OffsetDateTime,
    ) {
        self.next_request = now + self.interval;
        let Some(mut address) = self.current.take() else { return };
        let is_done = verdict == Verdict::Done;
        let refusal = match verdict {
            Verdict::Done | Verdict::AlreadyThere => None,
            Verdict::RefusedOrThere { .. } if self.pending.is_unclear(&address.items[0].event) => {
                None
            }
            Verdict::RefusedOrThere { why } if change == Change::Replace => {
                Some(self.explain_titles(why))
            }
            Verdict::RefusedOrThere { why } => Some(format!("refused, or already there: {why}")),
            Verdict::Refused { why } => Some(why),
            Verdict::TryLater(failure) => {
                address.record.add(&failure, self.accepted);
                if matches!(failure.cause, Cause::Overloaded | Cause::Unclear) {
                    self.pending.set_unclear(&address.items[0].event);
                }
                if address.record.strikes < MAX_STRIKES {
                    return self.wait(address, failure, now, clock);
                }
                let why = failure.why;
                Some(format!("the service accepts other links but not this one: {why}"))
            }
        };
        let is_foreign = match self.disown(&address, is_done, journal, clock) {
            Ok(is_foreign) => is_foreign,
            // That the bookmark is not ours must survive a restart, so try the link again later.
            Err(why) => {
                let why = format!("the journal cannot be written: {why}");
                let failure = Failure { why, cause: Cause::Busy, at_least: Duration::ZERO };
                return self.wait(address, failure, now, clock);
            }
        };
        self.resume();
        match (refusal, change) {
            (Some(why), _) => {
                self.set_last_error(&why, clock);
                self.skip(address, &why);
            }
            (None, _) if is_foreign => self.accept(address, "already there", NOT_OURS),
            (None, _) if !is_done => {
                self.accept(address, "already there", "; its title is unchanged");
            }
            (None, Change::Add) => self.accept(address, "delivered", ""),
            (None, Change::Replace) => self.accept(address, "title changed", ""),
            (None, Change::Delete) => self.accept(address, "deleted", ""),
        }
        self.save_cursor();
    }

    fn accept(&mut self, address: Address, what: &str, note: &str) {
        self.accepted += 1;
        for waiting in &mut self.given_way {
            waiting.record.other_accepted();
        }
        let url = &address.items[0].event.link.url;
        (self.log)(&format!("{what}: {url}{note}"));
        self.done(address, true);
    }

    /// Writes to the journal that the bookmark of a new link is not ours, if that is certain.
    /// Returns true if so.
    ///
    /// It is uncertain if an earlier request of ours may have stored the bookmark.
    fn disown(
        &mut self,
        address: &Address,
        is_done: bool,
        journal: &mut Journal,
        clock: OffsetDateTime,
    ) -> Result<bool, String> {
        let item = &address.items[0];
        if is_done
            || item.event.action != Action::Add
            || self.pending.may_be_stored(&item.event)
            || self.pending.is_ours(item, journal).map_err(log::os_error)?
        {
            return Ok(false);
        }
        let link = Link { title: String::new(), posted: clock, ..item.event.link.clone() };
        journal.append(Action::Foreign, &link, clock).map_err(log::os_error)?;
        journal.commit()?;
        self.is_stale = true;
        Ok(true)
    }

    fn skip(&mut self, address: Address, why: &str) {
        let Event { time, link, .. } = &address.items[0].event;
        let Link { channel, nick, url, title, .. } = link;
        let time = format_time(*time);
        (self.log)(&format!("{WARNING}skipped: {why}: {time} {channel} {nick} {url} {title}"));
        self.skipped += 1;
        self.done(address, true);
    }

    /// Marks the first event of `address` as done. `was_counted`: it is included in
    /// `Pending::count`.
    fn done(&mut self, mut address: Address, was_counted: bool) {
        if let Some(item) = address.items.pop_front() {
            self.pending.done(&item, was_counted);
        }
        if address.items.is_empty() {
            return;
        }
        address.record = FailureRecord::default();
        match self.current {
            None => self.current = Some(address),
            Some(_) => self.given_way.push_back(address),
        }
    }

    /// Schedules another attempt for the first event of `address`.
    fn wait(&mut self, address: Address, failure: Failure, now: Instant, clock: OffsetDateTime) {
        let Failure { why, cause, at_least } = failure;
        self.backoff = match cause {
            Cause::Misconfigured => LONGEST_WAIT,
            _ => (self.backoff * 2).clamp(SHORTEST_WAIT, LONGEST_WAIT),
        };
        self.next_request = self.next_request.max(now + self.backoff.max(at_least));
        self.set_last_error(&why, clock);
        self.log_stop(&address.items[0].event.link.url, &why, now);
        let is_judged_by_status = matches!(cause, Cause::Misconfigured | Cause::RefusedByStatus);
        if address.record.failures >= MAX_FAILURES || is_judged_by_status {
            self.given_way.push_back(address);
        } else {
            self.current = Some(address);
        }
    }

    /// Explains why a new title was refused. Names the likely cause only once.
    fn explain_titles(&mut self, why: String) -> String {
        let is_explained = mem::replace(&mut self.explained_titles, true);
        if is_explained { why } else { why + " (Scuttle cannot change a title)" }
    }

    /// Logs a new reason at once, and repeats the same one every [`REMINDER`].
    fn log_stop(&mut self, url: &str, why: &str, now: Instant) {
        if let Some((reason, logged)) = &self.last_stop
            && reason == why
            && now < *logged + REMINDER
        {
            return;
        }
        let since = match self.stopped {
            Some(since) => format!(" for {}", describe_wait(now - since)),
            None => String::new(),
        };
        self.stopped.get_or_insert(now);
        self.last_stop = Some((why.to_owned(), now));
        let (pending, next) = (self.pending.count, describe_wait(self.next_request - now));
        let priority = if self.backoff == LONGEST_WAIT { ERROR } else { WARNING };
        (self.log)(&format!(
            "{priority}delivery stopped{since}: {url}: {why}; {pending} pending, none lost; \
             next try in {next}"
        ));
    }

    /// The service works: it took a link, or said what is wrong with one.
    fn resume(&mut self) {
        // A service whose rate limit is slower than our interval refuses every other request: log
        // that once.
        if self.backoff.is_zero() {
            self.last_stop = None;
        }
        self.backoff = Duration::ZERO;
        if self.stopped.take().is_some() {
            (self.log)(&format!("delivery resumed; pending: {}", self.pending.count));
        }
    }

    /// If the cursor cannot be saved, delivery continues: a restart would only repeat requests.
    fn save_cursor(&mut self) {
        let cursor = self.pending.cursor();
        if cursor == self.saved_cursor {
            return;
        }
        self.saved_cursor = cursor;
        let text = format_time(cursor) + "\n";
        let path = self.cursor_file.display();
        let written = file::overwrite(&self.cursor_file, text.as_bytes());
        if let Err(e) = &written {
            let why = log::os_error(e);
            (self.log)(&format!(
                "{ERROR}{path}: {why}; a restart will send links again, but duplicate none"
            ));
        } else if self.is_cursor_failing {
            (self.log)(&format!("{path}: can be written again"));
        }
        self.is_cursor_failing = written.is_err();
    }

    fn set_last_error(&mut self, why: &str, clock: OffsetDateTime) {
        self.last_error = format!("; last error: {why} ({})", format_time(clock));
    }

    /// One line for `.status`: what is pending, the next request, the last error.
    pub fn status(&self, journal: &Journal, now: Instant) -> String {
        let count = self.pending.count;
        let mut text = format!("pending: {count}");
        let waiting = self.current.iter().chain(&self.given_way);
        let oldest = waiting.map(|address| address.items[0].event.time).min();
        if count > 0
            && let Some(oldest) = oldest.or_else(|| self.pending.first_unread(journal))
        {
            let next = describe_wait(self.next_request.saturating_duration_since(now));
            text += &format!(" since {}; next try in {next}", format_time(oldest));
        }
        format!("{text}{}; skipped: {}", self.last_error, self.skipped)
    }
}

/// Reads the cursor from its file.
pub fn read_cursor(path: &Path) -> Result<OffsetDateTime, String> {
    let text = fs::read_to_string(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => "no delivery recorded yet".to_owned(),
        _ => log::os_error(e),
    })?;
    parse_time(text.trim_end()).ok_or("not a time".into())
}

/// Creates the cursor file, which is on disk when this returns. Later writes overwrite it in place.
fn create_cursor(path: &Path) -> OffsetDateTime {
    let cursor = OffsetDateTime::UNIX_EPOCH;
    let text = format_time(cursor) + "\n";
    let created = file::write_durably(path, 0o644, |file| file.write_all(text.as_bytes()));
    if let Err(e) = created {
        log!("{}: {}", path.display(), log::os_error(&e));
    }
    cursor
}

pub fn describe_wait(wait: Duration) -> String {
    match wait.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7200 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
#[path = "../tests/unit/delivery.rs"]
mod tests;
