//! What is still owed to the bookmark account, and when to try next. The clock is an argument.
//!
//! Owed is every link after the cursor, the time of the last link delivered. The cursor moves only after the service
//! has answered, so a crash repeats one request at most, and `replace=no` makes that harmless.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::macros::format_description;

use crate::delicious::Verdict;
use crate::file;
use crate::journal::{Entry, Journal, format_time, parse_time, standing};
use crate::link::Link;
use crate::log;

/// The first wait after "try later"; it doubles from try to try.
const SHORTEST_WAIT: Duration = Duration::from_secs(3);
/// The longest wait, and the one of a hold.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// How many of the owed links take their turn when the first one cannot be delivered.
const TURNS: usize = 16;
/// How often the first link must fail, each time right after another was accepted, to be given up.
const PROOFS: u32 = 3;
/// So many refusals in a row by HTTP status alone are not about the links.
const REFUSALS: u32 = 3;
/// Owed links are counted up to here.
const COUNTED: usize = 1000;

pub struct Delivery {
    path: PathBuf,
    interval: Duration,
    cursor: Option<OffsetDateTime>,
    /// Why there is no cursor, until the log was told.
    no_cursor: Option<String>,
    /// The cursor could not be written; said once.
    unwritten: bool,
    /// Something may be owed.
    owed: bool,
    /// The next call starts no sooner.
    at: Instant,
    /// The last wait after "try later"; zero once a link is taken.
    wait: Duration,
    /// Why the delivery stopped, as the log was told.
    stopped: Option<String>,
    /// It goes on again, which the log is told when the journal is at hand.
    resumed: bool,
    /// The first owed link at the last look.
    first: Option<OffsetDateTime>,
    /// Which of the owed links is offered next.
    turn: usize,
    /// Another link than the first was accepted just now: its turn.
    accepted: Option<usize>,
    /// How often the first has failed right after that.
    proofs: u32,
    /// Links that an earlier try may have stored.
    unclear: Vec<OffsetDateTime>,
    /// Refusals in a row by HTTP status alone, and the cursor before the first of them.
    refusals: u32,
    before: Option<OffsetDateTime>,
    passed_over: u64,
    error: Option<(OffsetDateTime, String)>,
    say: fn(&str),
}

impl Delivery {
    /// Reads the cursor at `path`; everything may be owed until a look into the journal shows otherwise.
    pub fn new(path: PathBuf, interval: Duration, now: Instant) -> Delivery {
        let (cursor, no_cursor) = match fs::read_to_string(&path).map(|text| parse_time(text.trim_end())) {
            Ok(Some(time)) => (Some(time), None),
            Ok(None) => (None, Some("not a time".into())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => (None, Some("not there".into())),
            Err(e) => (None, Some(log::os(&e))),
        };
        Delivery {
            path,
            interval,
            cursor,
            no_cursor,
            unwritten: false,
            owed: true,
            at: now,
            wait: Duration::ZERO,
            stopped: None,
            resumed: false,
            first: None,
            turn: 0,
            accepted: None,
            proofs: 0,
            unclear: Vec::new(),
            refusals: 0,
            before: None,
            passed_over: 0,
            error: None,
            say: |text| log::line(text),
        }
    }

    /// Something was written to the journal.
    pub fn wake(&mut self) {
        self.owed = true;
    }

    /// When [`Delivery::next`] wants to be asked; `None`: nothing is owed.
    pub fn deadline(&self) -> Option<Instant> {
        self.owed.then_some(self.at)
    }

    pub fn cursor(&self) -> OffsetDateTime {
        self.cursor.unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    fn first_owed(&self, journal: &Journal) -> io::Result<VecDeque<Entry>> {
        let mut first = VecDeque::new();
        for entry in standing(journal.after(self.cursor())) {
            first.push_front(entry?);
            first.truncate(TURNS);
        }
        Ok(first)
    }

    /// The link to offer now, and whether an earlier try of it may have stored it.
    pub fn next(&mut self, journal: &Journal, now: Instant) -> Option<(Entry, bool)> {
        if !self.owed || now < self.at {
            return None;
        }
        if std::mem::take(&mut self.resumed) {
            (self.say)(&format!("delivery resumed; owed: {}", count(&self.owed(journal))));
        }
        let owed = match self.first_owed(journal) {
            Ok(owed) => owed,
            Err(e) => {
                self.later(format!("the journal cannot be read: {}", log::os(&e)), None, now);
                return None;
            }
        };
        self.owed = !owed.is_empty();
        if self.owed
            && let Some(why) = self.no_cursor.take()
        {
            (self.say)(&format!("{}: {why}; the delivery starts with the first link", self.path.display()));
        }
        let first = owed.front().map(|entry| entry.time);
        if self.first != first {
            self.first = first;
            self.start_over();
        }
        if self.turn >= owed.len() {
            self.turn = 0;
        }
        let entry = owed.into_iter().nth(self.turn)?;
        let unclear = self.unclear.contains(&entry.time);
        Some((entry, unclear))
    }

    /// Takes the service's verdict on `entry`; `now` is the end of the try.
    pub fn settle(&mut self, entry: &Entry, verdict: Verdict, now: Instant, clock: OffsetDateTime) {
        self.at = now + self.interval;
        match &verdict {
            Verdict::Stored | Verdict::AlreadyThere => {}
            Verdict::TryLater { why, .. }
            | Verdict::Credentials { why }
            | Verdict::Refused { why, .. }
            | Verdict::Configuration { why } => self.error = Some((clock, why.clone())),
        }
        let first = self.first == Some(entry.time);
        match verdict {
            Verdict::Stored | Verdict::AlreadyThere if first => {
                let what = if verdict == Verdict::Stored { "delivered" } else { "already there" };
                (self.say)(&format!("{what}: {}", entry.link.url));
                self.refusals = 0;
                self.advance(entry.time, true);
            }
            // The cursor waits for the first link, which is asked again at once: is it that one alone?
            Verdict::Stored | Verdict::AlreadyThere => {
                self.refusals = 0;
                self.doubt(entry.time);
                self.accepted = Some(std::mem::take(&mut self.turn));
            }
            Verdict::TryLater { why, after, unclear } => {
                if unclear {
                    self.doubt(entry.time);
                }
                match self.accepted.take() {
                    Some(_) if self.proofs + 1 == PROOFS => {
                        let why = format!("the service takes other links, but of this one it says {why}");
                        self.pass_over(entry, &why, true);
                    }
                    Some(other) => {
                        self.proofs += 1;
                        self.turn = other;
                        self.at += after.unwrap_or_default().saturating_sub(self.interval);
                    }
                    None => self.later(why, after, now),
                }
            }
            Verdict::Credentials { why } | Verdict::Configuration { why } => self.hold(why, now),
            // Its own turn comes; until then it proves nothing.
            Verdict::Refused { why, .. } if !first => self.later(why, None, now),
            Verdict::Refused { why, by_status: false } => {
                self.refusals = 0;
                self.pass_over(entry, &why, true);
            }
            Verdict::Refused { why, by_status: true } => self.refused_by_status(entry, why, now),
        }
    }

    /// One line for `.status`: what is owed, the last error, the next try. `journal` is where the links are.
    pub fn status(&self, journal: &Journal, now: Instant) -> String {
        let stamp = format_description!("[year]-[month]-[day] [hour]:[minute]Z");
        let stamp = |time: OffsetDateTime| time.format(stamp).unwrap_or_default();
        let owed = self.owed(journal);
        let mut text = format!("owed: {}", count(&owed));
        // Of very many, only the delivery itself knows the first.
        let oldest = if owed.len() < COUNTED { owed.last().copied() } else { self.first };
        if let Some(oldest) = oldest {
            text += &format!(" since {}", stamp(oldest));
        }
        if let Some((time, why)) = &self.error {
            text += &format!("; last error: {why} ({})", stamp(*time));
        }
        if !owed.is_empty() {
            text += &match self.at.saturating_duration_since(now).as_secs() {
                0 => "; next try now".into(),
                seconds => format!("; next try in {}", words(seconds)),
            };
        }
        text + &format!("; passed over: {}", self.passed_over)
    }

    /// The times of the owed links, newest first, [`COUNTED`] at most.
    fn owed(&self, journal: &Journal) -> Vec<OffsetDateTime> {
        let times = journal.newest_first().map_while(Result::ok).map(|entry| entry.time);
        times.take_while(|time| self.cursor.is_none_or(|cursor| *time > cursor)).take(COUNTED).collect()
    }

    /// "Try later": waits twice as long as the last time; at the longest wait, each further try is another link's turn.
    fn later(&mut self, why: String, after: Option<Duration>, now: Instant) {
        self.proofs = 0;
        self.wait = (self.wait * 2).clamp(SHORTEST_WAIT, LONGEST_WAIT);
        if self.wait == LONGEST_WAIT {
            self.turn += 1;
        }
        self.at = now + self.wait.max(after.unwrap_or_default()).max(self.interval);
        if self.stopped.is_none() {
            self.stop(why, now);
        }
    }

    /// Credentials or configuration: only the operator can mend it.
    fn hold(&mut self, why: String, now: Instant) {
        self.start_over();
        self.wait = LONGEST_WAIT;
        self.at = now + self.wait.max(self.interval);
        // Said once for each hold, also where a timeout came between.
        if self.stopped.as_ref() != Some(&why) {
            self.stop(why, now);
        }
    }

    fn stop(&mut self, why: String, now: Instant) {
        let next = words(self.at.saturating_duration_since(now).as_secs());
        (self.say)(&format!("delivery stopped: {why}; next try in {next}"));
        self.stopped = Some(why);
    }

    /// A captive portal answers 400 to everything: so the first refusals are taken back when they become too many.
    fn refused_by_status(&mut self, entry: &Entry, why: String, now: Instant) {
        if self.refusals == 0 {
            self.before = self.cursor;
        }
        self.refusals += 1;
        if self.refusals < REFUSALS {
            // Not on disk yet, lest a crash make it final.
            self.pass_over(entry, &why, false);
            return;
        }
        if self.refusals == REFUSALS {
            self.cursor = self.before;
            self.passed_over -= u64::from(REFUSALS - 1);
        }
        let advice = "they are kept: check delicious, and what stands before the service";
        self.hold(format!("{REFUSALS} links refused in a row, the last with {why}; {advice}"), now);
    }

    fn pass_over(&mut self, entry: &Entry, why: &str, on_disk: bool) {
        let Link { channel, nick, url, title, .. } = &entry.link;
        let time = format_time(entry.time);
        (self.say)(&format!("passed over: {why}: {time} {channel} {nick} {url} {title}"));
        self.passed_over += 1;
        self.advance(entry.time, on_disk);
    }

    /// The first link is done with; the next one gets its fair chance.
    fn advance(&mut self, time: OffsetDateTime, on_disk: bool) {
        self.resumed |= self.stopped.take().is_some();
        self.start_over();
        self.wait = Duration::ZERO;
        self.cursor = Some(time);
        self.unclear.retain(|unclear| *unclear > time);
        if on_disk {
            self.save();
        }
    }

    fn start_over(&mut self) {
        self.turn = 0;
        self.accepted = None;
        self.proofs = 0;
    }

    fn doubt(&mut self, time: OffsetDateTime) {
        if !self.unclear.contains(&time) {
            self.unclear.push(time);
        }
    }

    /// Writes the cursor. Without it the delivery goes on: only after a restart it would repeat what is there already.
    fn save(&mut self) {
        let Some(cursor) = self.cursor else { return };
        let saved = file::replace(&self.path, &(format_time(cursor) + "\n"));
        let is_known = std::mem::replace(&mut self.unwritten, saved.is_err());
        if let Err(e) = saved
            && !is_known
        {
            (self.say)(&format!("{}: {}; a restart would deliver links again", self.path.display(), log::os(&e)));
        }
    }
}

fn count(owed: &[OffsetDateTime]) -> String {
    if owed.len() < COUNTED { owed.len().to_string() } else { "1,000 or more".into() }
}

fn words(seconds: u64) -> String {
    if seconds < 120 { format!("{seconds} s") } else { format!("{} min", seconds.div_ceil(60)) }
}

#[cfg(test)]
#[path = "../tests/unit/delivery.rs"]
mod tests;
