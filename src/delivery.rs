//! What is still owed to the bookmark account, and when to try next. The clock is an argument.
//!
//! As TCP acknowledges selectively: up to the cursor, a time, all is settled, and what is settled beyond it is known
//! in memory only. The cursor moves after the service has answered, so a restart may repeat requests: an `add` comes
//! with `replace=no`, and what followed it follows again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::macros::format_description;

use crate::delicious::{Change, Verdict};
use crate::file;
use crate::journal::{Action, Event, Journal, format_time, parse_time};
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

/// An event for which something is to be sent.
#[derive(Clone, Debug)]
pub struct Item {
    pub time: OffsetDateTime,
    pub change: Change,
    pub link: Link,
    /// The time of the `title` that the link of an `add` has already.
    title: Option<OffsetDateTime>,
}

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
    /// The newest event at the start: what came later and was not tried was never sent.
    newest: Option<OffsetDateTime>,
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

/// The events after the cursor that are not settled.
#[derive(Default)]
struct Owed {
    count: usize,
    /// The next ones in the order of their turns: first those that never gave way to others.
    window: BTreeMap<(Option<Instant>, OffsetDateTime), Item>,
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

/// What later events say of a channel's address, before its `add` is met on the way back.
#[derive(Default)]
struct Later {
    /// Each takes away the next `add`.
    removes: Vec<Event>,
    title: Option<Event>,
}

impl Owed {
    fn oldest(&self) -> Option<OffsetDateTime> {
        self.window.values().map(|item| item.time).chain(self.rest).min()
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
            newest: None,
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

    /// What to offer now.
    pub fn next(&mut self, journal: &Journal, now: Instant) -> Option<Item> {
        while self.deadline().is_some_and(|at| at <= now) {
            // Not for each one: a million may be owed.
            if self.stale || self.owed.window.is_empty() {
                self.walk(journal, now);
            }
            let Some(item) = self.owed.window.values().next().filter(|_| !self.stale) else { continue };
            let unclear = self.tried.get(&item.link.url).is_some_and(|tried| tried.unclear);
            let item = item.clone();
            let Some(item) = in_full(item.clone(), unclear, journal) else {
                self.done(&item);
                continue;
            };
            if let Some(why) = self.no_cursor.take() {
                (self.say)(&format!("{}: {why}; the delivery starts with the first link", self.path.display()));
            }
            return Some(item);
        }
        None
    }

    /// Reads what is owed, and moves the cursor past what needs no request.
    fn walk(&mut self, journal: &Journal, now: Instant) {
        let owed = self.survey(journal);
        self.stale = owed.is_err();
        match owed {
            Ok(owed) => self.owed = owed,
            Err(e) => return self.later(format!("the journal cannot be read: {}", log::os(&e)), Duration::ZERO, now),
        }
        let newest = || journal.events().flatten().next().map(|event| event.time);
        self.newest = self.newest.or_else(newest).or(Some(self.cursor));
        let times = journal.after(self.cursor).flatten().map(|event| event.time);
        let oldest = self.owed.oldest();
        self.settled.extend(times.filter(|time| oldest.is_none_or(|oldest| *time < oldest)).max());
        self.advance();
    }

    /// Walks over the events after the cursor, newest first.
    fn survey(&self, journal: &Journal) -> io::Result<Owed> {
        let mut owed = Owed::default();
        let mut later: HashMap<_, Later> = HashMap::new();
        for event in journal.after(self.cursor) {
            let event = event?;
            let key = (event.link.channel.clone(), event.link.url.clone());
            match event.action {
                Action::Again => {}
                Action::Remove => later.entry(key).or_default().removes.push(event),
                Action::Title => {
                    let later = later.entry(key).or_default();
                    later.title = later.title.take().or(Some(event).filter(|_| later.removes.is_empty()));
                }
                Action::Add => self.survey_add(&mut owed, event, later.get_mut(&key)),
            }
        }
        // What is left belongs to links from before the cursor.
        for Later { removes, title } in later.into_values() {
            removes.into_iter().for_each(|remove| self.owe(&mut owed, Change::Delete, remove, None));
            title.into_iter().for_each(|title| self.owe(&mut owed, Change::Replace, title, None));
        }
        Ok(owed)
    }

    fn survey_add(&self, owed: &mut Owed, mut add: Event, mut later: Option<&mut Later>) {
        let is_settled = self.settled.contains(&add.time);
        if let Some(remove) = later.as_mut().and_then(|later| later.removes.pop()) {
            let is_new = self.newest.is_some_and(|newest| add.time > newest);
            let never_sent = is_new && !is_settled && !self.tried.contains_key(&add.link.url);
            if !never_sent {
                self.owe(owed, Change::Delete, remove, None);
            }
            return;
        }
        match later.and_then(|later| later.title.take()) {
            Some(title) if is_settled => self.owe(owed, Change::Replace, title, None),
            Some(title) => {
                add.link.title = title.link.title;
                self.owe(owed, Change::Add { unclear: false }, add, Some(title.time));
            }
            None => self.owe(owed, Change::Add { unclear: false }, add, None),
        }
    }

    fn owe(&self, owed: &mut Owed, change: Change, event: Event, title: Option<OffsetDateTime>) {
        let Event { time, link, .. } = event;
        if self.settled.contains(&time) {
            return;
        }
        owed.count += 1;
        let turn = self.tried.get(&link.url).and_then(|tried| tried.turn);
        owed.window.insert((turn, time), Item { time, change, link, title });
        if owed.window.len() > WINDOW {
            let last = owed.window.pop_last().map(|(_, item)| item.time);
            owed.rest = last.into_iter().chain(owed.rest).min();
        }
    }

    /// Takes the service's verdict on `item`, which was the next one; `now` is the end of the try.
    pub fn settle(&mut self, item: &Item, verdict: Verdict, now: Instant, clock: OffsetDateTime) {
        self.at = now + self.interval;
        if let Some(why) = verdict.why() {
            self.error = Some((clock, why.to_owned()));
        }
        match verdict {
            Verdict::Stored => self.accept(item, true),
            Verdict::AlreadyThere => self.accept(item, false),
            Verdict::Refused { why, by_status: false } => {
                self.resume();
                self.pass_over(item, &why);
            }
            Verdict::Hold { why } => {
                self.stop(why, LONGEST_WAIT, Duration::ZERO, now);
                // From now on it is the first link's turn.
                self.tried.values_mut().for_each(|tried| tried.turn = None);
                self.stale = true;
            }
            Verdict::TryLater { why, at_least, unclear, suspect } => {
                if self.fails(item, &why, unclear, suspect) {
                    self.later(why, at_least, now);
                    if self.wait == LONGEST_WAIT {
                        self.give_way(item, now);
                    }
                }
            }
            Verdict::Refused { why, .. } => {
                if self.fails(item, &why, false, true) {
                    self.give_way(item, now);
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

    fn accept(&mut self, item: &Item, is_new: bool) {
        self.resume();
        self.accepted += 1;
        self.refusals = 0;
        let url = &item.link.url;
        (self.say)(&match (item.change, is_new, item.title) {
            (Change::Add { .. }, true, _) => format!("delivered: {url}"),
            (Change::Add { .. }, false, None) => format!("already there: {url}; the title there stays"),
            (Change::Add { .. }, false, Some(_)) => format!("already there: {url}"),
            (Change::Replace, ..) => format!("title changed: {url}"),
            (Change::Delete, true, _) => format!("deleted: {url}"),
            (Change::Delete, false, _) => format!("already gone: {url}"),
        });
        let mut item = item.clone();
        if let Some(time) = item.title.take_if(|_| !is_new) {
            self.owed.count += 1;
            self.owed.window.insert((None, time), Item { time, change: Change::Replace, ..item.clone() });
        }
        self.done(&item);
    }

    /// `item` failed; `false` if that was once too often.
    fn fails(&mut self, item: &Item, why: &str, unclear: bool, suspect: bool) -> bool {
        let tried = self.tried.entry(item.link.url.clone()).or_default();
        tried.unclear |= unclear;
        tried.failures += u32::from(suspect && tried.accepted < self.accepted);
        tried.accepted = self.accepted;
        let stays = tried.failures < PROOFS;
        if !stays {
            self.pass_over(item, &format!("the service takes other links, but of this one it says {why}"));
        }
        stays
    }

    /// Lets the others have their turns. What else is owed of the same address keeps its place behind `item`.
    fn give_way(&mut self, item: &Item, now: Instant) {
        let url = &item.link.url;
        self.tried.entry(url.clone()).or_default().turn = Some(now);
        self.owed.window.retain(|_, other| other.link.url != *url);
        self.owed.rest = self.owed.rest.into_iter().chain([item.time]).min();
    }

    fn pass_over(&mut self, item: &Item, why: &str) {
        let Link { channel, nick, url, title, .. } = &item.link;
        let time = format_time(item.time);
        (self.say)(&format!("passed over: {why}: {time} {channel} {nick} {url} {title}"));
        self.passed_over += 1;
        self.done(item);
    }

    fn done(&mut self, item: &Item) {
        self.tried.remove(&item.link.url);
        self.owed.window.retain(|_, other| other.time != item.time);
        self.owed.count -= 1;
        self.settled.extend(item.title);
        self.settled.insert(item.time);
        self.advance();
    }

    /// Moves the cursor as far as all is settled. If it cannot be written, the delivery goes on: only after a restart
    /// it would repeat what is there already.
    fn advance(&mut self) {
        let oldest = self.owed.oldest();
        let before = self.settled.iter().take_while(|time| oldest.is_none_or(|oldest| **time < oldest));
        let Some(&cursor) = before.last() else { return };
        self.cursor = cursor;
        self.settled.retain(|time| *time > cursor);
        let saved = file::replace(&self.path, (format_time(cursor) + "\n").as_bytes());
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

/// A new title with the rest of its link, as the journal has it now. `None`: nothing is to be deleted, for an earlier
/// link with the same address still stands.
fn in_full(mut item: Item, unclear: bool, journal: &Journal) -> Option<Item> {
    let (time, Link { channel, url, .. }) = (item.time, item.link.clone());
    let mut earlier = journal.newest_first().flatten().filter(|entry| entry.link.url == url && entry.time < time);
    match item.change {
        Change::Add { .. } => item.change = Change::Add { unclear },
        Change::Delete if earlier.next().is_some() => return None,
        Change::Delete => {}
        Change::Replace => {
            item.link = earlier.find(|entry| entry.link.channel == channel).map_or(item.link, |entry| entry.link);
        }
    }
    Some(item)
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
