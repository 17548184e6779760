//! What is still owed to the bookmark account, and when to try next. The clock is an argument.
//!
//! As TCP acknowledges selectively: up to the cursor, a time, all is settled, and what is settled beyond it is known
//! in memory only. The cursor moves after the service has answered, so a restart may repeat requests, which
//! `replace=no` makes harmless.

use std::collections::{BTreeMap, BTreeSet, HashMap};
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
/// How often the log is told why the delivery still stands.
const REMINDER: Duration = Duration::from_secs(6 * 3600);
/// How often a link must fail, each time after others were accepted, to be given up.
const PROOFS: u32 = 3;
/// How many of the owed links are held in memory.
const WINDOW: usize = 1000;

pub struct Delivery {
    path: PathBuf,
    interval: Duration,
    /// The Unix epoch while nothing is settled.
    cursor: OffsetDateTime,
    /// Why there is no cursor, until the log was told.
    no_cursor: Option<String>,
    /// The cursor could not be written; said once.
    unwritten: bool,
    /// What is settled beyond the cursor.
    settled: BTreeSet<OffsetDateTime>,
    owed: Owed,
    /// Something was written since `owed` was read.
    stale: bool,
    /// The owed addresses that have failed.
    tried: HashMap<String, Tried>,
    /// How many links were accepted in this run.
    accepted: u64,
    /// Refusals by status since the last of them.
    refusals: usize,
    /// The next call starts no sooner.
    at: Instant,
    /// The last wait after "try later"; zero once a link is accepted.
    wait: Duration,
    /// Since when the delivery stands.
    stopped: Option<Instant>,
    /// The reasons that the log was told, and when.
    told: HashMap<String, Instant>,
    passed_over: u64,
    error: Option<(OffsetDateTime, String)>,
    say: fn(&str),
}

/// The links after the cursor that are not settled.
#[derive(Default)]
struct Owed {
    count: usize,
    /// The next ones in the order of their turns: first those that never gave way to others.
    window: BTreeMap<(Option<Instant>, OffsetDateTime), Entry>,
    /// The oldest of the others.
    rest: Option<OffsetDateTime>,
}

#[derive(Default)]
struct Tried {
    /// Failures after others were accepted.
    failures: u32,
    /// How many had been accepted when it last failed.
    accepted: u64,
    /// It may be stored all the same.
    unclear: bool,
    /// When it gave way to the others.
    turn: Option<Instant>,
}

impl Owed {
    fn oldest(&self) -> Option<OffsetDateTime> {
        self.window.values().map(|entry| entry.time).chain(self.rest).min()
    }
}

impl Delivery {
    /// Reads the cursor at `path`; everything may be owed until the journal shows otherwise.
    pub fn new(path: PathBuf, interval: Duration, now: Instant) -> Delivery {
        let cursor = fs::read_to_string(&path).map_err(|e| log::os(&e));
        let cursor = cursor.and_then(|text| parse_time(text.trim_end()).ok_or("not a time".into()));
        Delivery {
            path,
            interval,
            cursor: *cursor.as_ref().unwrap_or(&OffsetDateTime::UNIX_EPOCH),
            no_cursor: cursor.err(),
            unwritten: false,
            settled: BTreeSet::new(),
            owed: Owed::default(),
            stale: true,
            tried: HashMap::new(),
            accepted: 0,
            refusals: 0,
            at: now,
            wait: Duration::ZERO,
            stopped: None,
            told: HashMap::new(),
            passed_over: 0,
            error: None,
            say: |text| log::line(text),
        }
    }

    pub fn cursor(&self) -> OffsetDateTime {
        self.cursor
    }

    /// Something was written to the journal.
    pub fn wake(&mut self) {
        self.stale = true;
    }

    /// When [`Delivery::next`] wants to be asked; `None`: nothing is owed.
    pub fn deadline(&self) -> Option<Instant> {
        (self.stale || self.owed.count > 0).then_some(self.at)
    }

    /// The link to offer now, and whether an earlier try of it may have stored it.
    pub fn next(&mut self, journal: &Journal, now: Instant) -> Option<(Entry, bool)> {
        if self.deadline().is_none_or(|at| now < at) {
            return None;
        }
        // Not for each link: a million may be owed.
        if self.stale || self.owed.window.is_empty() {
            let owed = self.survey(journal);
            self.stale = owed.is_err();
            match owed {
                Ok(owed) => self.owed = owed,
                Err(e) => self.later(format!("the journal cannot be read: {}", log::os(&e)), Duration::ZERO, now),
            }
        }
        let entry = self.owed.window.values().next().filter(|_| !self.stale)?;
        if let Some(why) = self.no_cursor.take() {
            (self.say)(&format!("{}: {why}; the delivery starts with the first link", self.path.display()));
        }
        Some((entry.clone(), self.tried.get(&entry.link.url).is_some_and(|tried| tried.unclear)))
    }

    /// Walks over what is owed, and holds the next ones.
    fn survey(&self, journal: &Journal) -> io::Result<Owed> {
        let mut owed = Owed::default();
        for entry in standing(journal.after(self.cursor)) {
            let entry = entry?;
            if self.settled.contains(&entry.time) {
                continue;
            }
            owed.count += 1;
            let turn = self.tried.get(&entry.link.url).and_then(|tried| tried.turn);
            owed.window.insert((turn, entry.time), entry);
            if owed.window.len() > WINDOW {
                let last = owed.window.pop_last();
                owed.rest = last.map(|(_, entry)| entry.time).into_iter().chain(owed.rest).min();
            }
        }
        Ok(owed)
    }

    /// Takes the service's verdict on `entry`, which was the next one; `now` is the end of the try.
    pub fn settle(&mut self, entry: &Entry, verdict: Verdict, now: Instant, clock: OffsetDateTime) {
        self.at = now + self.interval;
        if let Some(why) = verdict.why() {
            self.error = Some((clock, why.to_owned()));
        }
        match verdict {
            Verdict::Stored => self.accept(entry, format!("delivered: {}", entry.link.url)),
            Verdict::AlreadyThere => {
                self.accept(entry, format!("already there: {}; the title there stays", entry.link.url));
            }
            Verdict::Refused { why, by_status: false } => {
                self.resume();
                self.pass_over(entry, &why);
            }
            Verdict::Hold { why } => {
                self.stop(why, LONGEST_WAIT, Duration::ZERO, now);
                // From now on it is the first link's turn.
                self.tried.values_mut().for_each(|tried| tried.turn = None);
                self.stale = true;
            }
            Verdict::TryLater { why, at_least, unclear, suspect } => {
                if self.fails(entry, &why, unclear, suspect) {
                    self.later(why, at_least, now);
                    if self.wait == LONGEST_WAIT {
                        self.give_way(entry, now);
                    }
                }
            }
            Verdict::Refused { why, .. } => {
                if self.fails(entry, &why, false, true) {
                    self.give_way(entry, now);
                    self.refusals += 1;
                    // A captive portal refuses everything.
                    if self.refusals >= self.owed.count {
                        let advice = "so it is with every link: check delicious, and what stands before the service";
                        self.later(format!("{why}: {advice}"), Duration::ZERO, now);
                    }
                }
            }
        }
    }

    /// One line for `.status`: what is owed, the last error, the next try. `journal` is where the links are.
    pub fn status(&self, journal: &Journal, now: Instant) -> String {
        let stamp = format_description!("[year]-[month]-[day] [hour]:[minute]Z");
        let stamp = |time: OffsetDateTime| time.format(stamp).unwrap_or_default();
        let Ok(owed) = self.survey(journal) else { return "the journal cannot be read".into() };
        let mut text = format!("owed: {}", owed.count);
        if let Some(oldest) = owed.oldest() {
            text += &format!(" since {}", stamp(oldest));
        }
        if let Some((time, why)) = &self.error {
            text += &format!("; last error: {why} ({})", stamp(*time));
        }
        if owed.count > 0 {
            text += &match self.at.saturating_duration_since(now) {
                wait if wait.as_secs() == 0 => "; next try now".into(),
                wait => format!("; next try in {}", words(wait)),
            };
        }
        text + &format!("; passed over: {}", self.passed_over)
    }

    fn accept(&mut self, entry: &Entry, what: String) {
        self.resume();
        (self.say)(&what);
        self.accepted += 1;
        self.refusals = 0;
        self.done(entry);
    }

    /// `entry` failed; `false` if that was once too often.
    fn fails(&mut self, entry: &Entry, why: &str, unclear: bool, suspect: bool) -> bool {
        let tried = self.tried.entry(entry.link.url.clone()).or_default();
        tried.unclear |= unclear;
        tried.failures += u32::from(suspect && tried.accepted < self.accepted);
        tried.accepted = self.accepted;
        let stays = tried.failures < PROOFS;
        if !stays {
            self.pass_over(entry, &format!("the service takes other links, but of this one it says {why}"));
        }
        stays
    }

    /// Lets the others have their turns. What else is owed of the same address keeps its place behind `entry`.
    fn give_way(&mut self, entry: &Entry, now: Instant) {
        let url = &entry.link.url;
        self.tried.entry(url.clone()).or_default().turn = Some(now);
        self.owed.window.retain(|_, other| other.link.url != *url);
        self.owed.rest = self.owed.rest.into_iter().chain([entry.time]).min();
    }

    fn pass_over(&mut self, entry: &Entry, why: &str) {
        let Link { channel, nick, url, title, .. } = &entry.link;
        let time = format_time(entry.time);
        (self.say)(&format!("passed over: {why}: {time} {channel} {nick} {url} {title}"));
        self.passed_over += 1;
        self.done(entry);
    }

    /// Moves the cursor as far as all is settled. If it cannot be written, the delivery goes on: only after a restart
    /// it would repeat what is there already.
    fn done(&mut self, entry: &Entry) {
        self.tried.remove(&entry.link.url);
        self.owed.window.retain(|_, other| other.time != entry.time);
        self.owed.count -= 1;
        self.settled.insert(entry.time);
        let oldest = self.owed.oldest();
        let before = self.settled.iter().take_while(|time| oldest.is_none_or(|oldest| **time < oldest));
        let Some(&cursor) = before.last() else { return };
        self.cursor = cursor;
        self.settled.retain(|time| *time > cursor);
        let saved = file::replace(&self.path, &(format_time(cursor) + "\n"));
        let is_known = std::mem::replace(&mut self.unwritten, saved.is_err());
        if let Err(e) = saved
            && !is_known
        {
            (self.say)(&format!("{}: {}; a restart would deliver links again", self.path.display(), log::os(&e)));
        }
    }

    /// "Try later": waits twice as long as the last time.
    fn later(&mut self, why: String, at_least: Duration, now: Instant) {
        self.stop(why, (self.wait * 2).clamp(SHORTEST_WAIT, LONGEST_WAIT), at_least, now);
    }

    /// Tells why, once for each reason, again when the wait has become the longest, and then from time to time.
    fn stop(&mut self, why: String, wait: Duration, at_least: Duration, now: Instant) {
        let is_longest = self.wait < LONGEST_WAIT && wait == LONGEST_WAIT;
        self.wait = wait;
        self.at = now + wait.max(at_least).max(self.interval);
        let since = now - *self.stopped.get_or_insert(now);
        self.told.retain(|_, at| now < *at + REMINDER);
        if self.told.contains_key(&why) && !is_longest {
            return;
        }
        let since = if since.is_zero() { String::new() } else { format!(" for {}", words(since)) };
        let owed = if self.stale { String::new() } else { format!("; {} owed, none lost", self.owed.count) };
        let rarer = if wait < LONGEST_WAIT { ", then ever rarer" } else { "" };
        let next = words(self.at - now);
        (self.say)(&format!("delivery stopped{since}: {why}{owed}; next try in {next}{rarer}"));
        self.told.insert(why, now);
    }

    /// The service takes links, or says what is wrong with one.
    fn resume(&mut self) {
        self.wait = Duration::ZERO;
        match self.stopped.take() {
            Some(since) if self.told.values().any(|at| *at >= since) => {
                (self.say)(&format!("delivery resumed; owed: {}", self.owed.count));
            }
            // A service whose limit lies above the interval refuses every other request: that is told once.
            Some(_) => {}
            None => self.told.clear(),
        }
    }
}

fn words(wait: Duration) -> String {
    match wait.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7200 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
#[path = "../tests/unit/delivery.rs"]
mod tests;
