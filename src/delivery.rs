//! Delivers the journal's events to the bookmark account. Decides which event is next and when its
//! request may start; main.rs sends the request and hands back the verdict. The clock is an
//! argument.
//!
//! Works like TCP acknowledgment. Every event up to the cursor, a time, is done. The cursor is
//! saved after the response, so a restart may repeat requests. That is harmless: an `add` never
//! replaces anything, and the events after it are sent again too.

mod pending;

use std::{
    collections::{HashSet, VecDeque},
    fs,
    io::{self, Write},
    mem,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use time::OffsetDateTime;

use crate::{
    delicious::{Cause, Change, Verdict},
    file,
    journal::{Action, Journal, Line, format_time, parse_time},
    link::Link,
    log::{self, ERROR, WARNING},
};

use pending::Pending;

/// The longest wait, and the one after an error that only the operator can fix.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// After this many failures in a row, an address lets another go first.
const MAX_FAILURES: u32 = 3;

pub struct Delivery {
    cursor_file: PathBuf,
    /// The cursor in that file.
    saved_cursor: OffsetDateTime,
    /// True if the last attempt to save the cursor failed.
    is_cursor_failing: bool,
    /// The newest time in the journal when this run began, or the cursor if that is later.
    began_after: OffsetDateTime,
    interval: Duration,
    pending: Pending,
    /// [`Journal::edits`] when `pending` was read.
    edits: u64,
    /// True if `pending` must be read again: at the start, and after a failure.
    must_reread: bool,
    /// The addresses to try next. Those that let others go first are at the end.
    queue: VecDeque<Address>,
    /// The number of links accepted in this run.
    accepted: u64,
    /// The earliest start of the next request.
    next_request: Instant,
    /// The last wait after a failure; zero once the service works again.
    backoff: Duration,
    /// True from a logged failure until the service works again.
    is_stopped: bool,
    /// The last logged reason, and when it was logged. Empty if the same reason is to be logged
    /// again.
    last_stop: (String, Instant),
    skipped: u64,
    /// The last error, as `.status` shows it; empty if there was none.
    last_error: String,
    /// Why a service may refuse a new title; empty once logged.
    title_hint: &'static str,
}

/// The events of one address that were read and are not done, oldest first. They are sent only in
/// this order. `failures` and `strikes` are those of the first event.
#[derive(Default)]
struct Address {
    lines: VecDeque<Line>,
    /// Failures in a row. From [`MAX_FAILURES`] on, the address takes turns with others.
    failures: u32,
    /// The values of `accepted` at failures that this event may have caused. Each is a strike:
    /// between two strikes, another link was accepted. After three, the event is skipped.
    strikes: HashSet<u64>,
}

impl Delivery {
    /// Reads the cursor at `cursor_file`. Without one, everything in the journal is pending.
    pub fn new(
        cursor_file: PathBuf,
        interval: Duration,
        journal: &mut Journal,
        now: Instant,
    ) -> Delivery {
        let cursor = read_cursor(&cursor_file);
        let mut delivery = Delivery {
            cursor_file,
            saved_cursor: cursor,
            is_cursor_failing: false,
            // New events must be later than the cursor, even if a fast clock set it.
            began_after: journal.raise_last(cursor),
            interval,
            // An earlier run may have sent any event that is in the journal now.
            pending: Pending::new(HashSet::new(), journal.len, 0, cursor),
            edits: journal.edits,
            must_reread: true,
            queue: VecDeque::new(),
            accepted: 0,
            next_request: now,
            backoff: Duration::ZERO,
            is_stopped: false,
            last_stop: (String::new(), now),
            skipped: 0,
            last_error: String::new(),
            title_hint: " (Scuttle cannot change a title)",
        };
        delivery.refresh(journal, now);
        delivery
    }

    /// Reads what was written to the journal since the last call.
    pub fn refresh(&mut self, journal: &Journal, now: Instant) {
        if let Err(e) = self.read(journal) {
            self.pause(e, now);
        }
    }

    fn read(&mut self, journal: &Journal) -> io::Result<()> {
        let is_edited = self.edits != journal.edits;
        if !is_edited && !self.must_reread {
            return self.pending.scan(journal);
        }
        // After an edit the offsets of all lines may have changed, so this is like a restart.
        if is_edited && journal.is_fresh {
            // The cursor's line was not copied into the new file.
            self.save_cursor(OffsetDateTime::UNIX_EPOCH);
        }
        let start = journal.find_after(self.saved_cursor)?;
        let new_from =
            if is_edited { journal.find_after(self.began_after)? } else { self.pending.new_from };
        let maybe_stored = mem::take(&mut self.pending.maybe_stored);
        let count = self.pending.count;
        self.pending = Pending::new(maybe_stored, new_from, start, self.saved_cursor);
        self.queue.clear();
        self.edits = journal.edits;
        self.must_reread = false;
        self.pending.scan(journal)?;
        let gone = count.saturating_sub(self.pending.count);
        if gone > 0 {
            log!(
                "pending links that are gone from the journal and will not be delivered: {gone} \
                 (to rotate it, move it; copytruncate loses links)"
            );
        }
        Ok(())
    }

    /// Logs the error. Delivery starts again from the cursor in 15 min, when the journal may be
    /// usable again.
    fn pause(&mut self, error: io::Error, now: Instant) {
        log!(
            "{ERROR}delivery paused: the journal cannot be read or written: {}; \
             next try in 15 min",
            log::os_error(error)
        );
        self.must_reread = true;
        self.next_request = now + LONGEST_WAIT;
    }

    /// The offset at which the pending part of the journal starts.
    pub fn position(&self) -> u64 {
        self.pending.start().0
    }

    /// The time to call [`Delivery::next`]; `None` if nothing is pending.
    pub fn deadline(&self) -> Option<Instant> {
        let is_pending = self.must_reread || self.position() < self.pending.scanned_to;
        is_pending.then_some(self.next_request)
    }

    /// Returns the next request, once the deadline has come. [`Delivery::record`] must follow.
    pub fn next(&mut self, journal: &Journal, now: Instant) -> Option<(Change, Link)> {
        let found = self.read(journal).and_then(|()| self.find_request(journal));
        found.unwrap_or_else(|e| {
            self.pause(e, now);
            None
        })
    }

    /// Returns the request for the first address in the queue. If that address has failed
    /// [`MAX_FAILURES`] times, new events go first, except after every 100 accepted links.
    fn find_request(&mut self, journal: &Journal) -> io::Result<Option<(Change, Link)>> {
        loop {
            let may_retry = self.backoff.is_zero() && self.accepted.is_multiple_of(100);
            let first_is_next =
                self.queue.front().is_some_and(|a| may_retry || a.failures < MAX_FAILURES);
            if !first_is_next && let Some(line) = self.pending.next(journal)? {
                let url = &line.event.link.url;
                let is_same = |same: &&mut Address| same.lines[0].event.link.url == *url;
                if let Some(same) = self.queue.iter_mut().find(is_same) {
                    same.lines.push_back(line);
                    continue;
                }
                self.queue.push_front(Address { lines: [line].into(), ..Address::default() });
            }
            let Some(address) = self.queue.pop_front() else { return Ok(None) };
            if let Some(request) = self.pending.request(&address.lines[0], journal)? {
                self.queue.push_front(address);
                return Ok(Some(request));
            }
            self.done(address);
        }
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
        let Some(mut address) = self.queue.pop_front() else { return };
        let time = address.lines[0].event.time;
        let is_done = verdict == Verdict::Done;
        let refusal = match verdict {
            Verdict::Done | Verdict::AlreadyThere => None,
            // An earlier request of this run may have stored it.
            Verdict::RefusedOrThere(_) if self.pending.maybe_stored.contains(&time) => None,
            Verdict::RefusedOrThere(why) if change == Change::Replace => {
                Some(why + mem::take(&mut self.title_hint))
            }
            Verdict::RefusedOrThere(why) => Some(format!("refused, or already there: {why}")),
            Verdict::Refused(why) => Some(why),
            Verdict::TryLater { why, cause, at_least } => {
                if matches!(cause, Cause::Overloaded | Cause::Unclear) {
                    self.pending.maybe_stored.insert(time);
                }
                if !matches!(cause, Cause::Busy | Cause::Overloaded) {
                    address.strikes.insert(self.accepted);
                }
                if address.strikes.len() < 3 {
                    return self.wait(address, why, cause, at_least, now, clock);
                }
                Some(format!("the service accepts other links but not this one: {why}"))
            }
        };
        // Record in the journal that the bookmark is not ours: a restart must not forget it.
        if !is_done && let Err(e) = self.disown(&address.lines[0], journal, clock) {
            return self.pause(e, now);
        }
        self.resume();
        let Link { channel, nick, url, title, .. } = &address.lines[0].event.link;
        if let Some(why) = refusal {
            let time = format_time(time);
            log!("{WARNING}skipped: {why}: {time} {channel} {nick} {url} {title}");
            self.last_error = format!("; last error: {why} ({})", format_time(clock));
            self.skipped += 1;
        } else {
            let what = match change {
                _ if !is_done => "already there; its title is unchanged",
                Change::Add => "delivered",
                Change::Replace => "title changed",
                Change::Delete => "deleted",
            };
            log!("{what}: {url}");
            self.accepted += 1;
        }
        // An edit of the journal may make it pending again.
        self.pending.maybe_stored.insert(time);
        self.done(address);
    }

    /// Writes to the journal that the bookmark of a new link is not ours, if that is certain: no
    /// earlier request of ours can have stored it.
    fn disown(
        &mut self,
        line: &Line,
        journal: &mut Journal,
        clock: OffsetDateTime,
    ) -> io::Result<()> {
        if line.event.action != Action::Add || self.pending.may_be_stored(line) {
            return Ok(());
        }
        let (known, is_ours) = self.pending.known(line, journal)?;
        if known.is_empty() || !is_ours {
            let link = Link { title: String::new(), posted: clock, ..line.event.link.clone() };
            journal.append(Action::Foreign, &link, clock)?;
            journal.commit().map_err(io::Error::other)?;
            self.pending.scan(journal)?;
        }
        Ok(())
    }

    /// Marks the first event of `address`, which was the first in the queue, as done.
    fn done(&mut self, Address { mut lines, .. }: Address) {
        self.pending.done(&lines[0]);
        lines.pop_front();
        if !lines.is_empty() {
            self.queue.push_front(Address { lines, ..Address::default() });
        }
        let (start, cursor) = self.pending.start();
        // Do not save the cursor while later lines have older times: its line might not be found
        // again.
        if start >= self.pending.ordered_from {
            self.save_cursor(cursor);
        }
    }

    /// Schedules another attempt for the first event of `address`. Logs a new reason at once, and
    /// repeats the same one every six hours.
    fn wait(
        &mut self,
        mut address: Address,
        why: String,
        cause: Cause,
        at_least: Duration,
        now: Instant,
        clock: OffsetDateTime,
    ) {
        address.failures += match cause {
            Cause::Misconfigured | Cause::RefusedByStatus => MAX_FAILURES,
            _ => 1,
        };
        self.backoff = match cause {
            Cause::Misconfigured => LONGEST_WAIT,
            // Doubles from 3 s.
            _ => (self.backoff * 2).clamp(Duration::from_secs(3), LONGEST_WAIT),
        };
        self.next_request = self.next_request.max(now + self.backoff.max(at_least));
        self.last_error = format!("; last error: {why} ({})", format_time(clock));
        let (last_reason, logged) = &self.last_stop;
        if *last_reason != why || now >= *logged + Duration::from_secs(6 * 3600) {
            let priority = if self.backoff == LONGEST_WAIT { ERROR } else { WARNING };
            log!(
                "{priority}delivery stopped: {}: {why}; {} pending, none lost; next try in {}",
                address.lines[0].event.link.url,
                self.pending.count,
                describe_wait(self.next_request - now)
            );
            self.is_stopped = true;
            self.last_stop = (why, now);
        }
        if address.failures < MAX_FAILURES {
            self.queue.push_front(address);
        } else {
            self.queue.push_back(address);
        }
    }

    /// Called when the service works: it accepted a link, or said why it refuses one.
    fn resume(&mut self) {
        // A service whose rate limit is slower than our interval refuses every other request: log
        // that once.
        if self.backoff.is_zero() {
            self.last_stop.0.clear();
        }
        self.backoff = Duration::ZERO;
        if mem::take(&mut self.is_stopped) {
            log!("delivery resumed; pending: {}", self.pending.count);
        }
    }

    /// If the cursor cannot be saved, delivery continues: a restart would only repeat requests.
    fn save_cursor(&mut self, cursor: OffsetDateTime) {
        if cursor == self.saved_cursor {
            return;
        }
        self.saved_cursor = cursor;
        self.pending.maybe_stored.retain(|time| *time > cursor);
        let text = format_time(cursor) + "\n";
        let path = &self.cursor_file;
        let written = file::overwrite(path, text.as_bytes()).map_err(log::os_error);
        log::written(
            &mut self.is_cursor_failing,
            path,
            &written,
            "a restart will send links again, but create no duplicates",
        );
    }

    /// One line for `.status`: what is pending, the next request, the last error.
    pub fn status(&self, journal: &Journal, now: Instant) -> String {
        let count = self.pending.count;
        let mut text = format!("pending: {count}");
        if count > 0
            && let Ok(mut lines) = journal.read_from(self.position())
            && let Some(Ok(oldest)) = lines.next()
        {
            let next = describe_wait(self.next_request.saturating_duration_since(now));
            text += &format!(" since {}; next try in {next}", format_time(oldest.event.time));
        }
        format!("{text}{}; skipped: {}", self.last_error, self.skipped)
    }
}

/// Reads the cursor from its file. If there is none, creates the file and syncs it: later writes
/// overwrite it in place.
fn read_cursor(path: &Path) -> OffsetDateTime {
    let text = fs::read_to_string(path).unwrap_or_default();
    if let Some(cursor) = parse_time(text.trim_end()) {
        return cursor;
    }
    log!("{}: no delivery recorded yet: starting with the first link", path.display());
    // If that fails, the log says so when the cursor is saved.
    let _ = file::replace_with(path, 0o644, |mut file| {
        file.write_all(b"1970-01-01T00:00:00.000Z\n")?;
        file.sync_data()
    });
    OffsetDateTime::UNIX_EPOCH
}

pub fn describe_wait(wait: Duration) -> String {
    match wait.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}
