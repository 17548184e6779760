//! What is still owed to the bookmark account, and when to try next. The clock is an argument.
//!
//! As TCP acknowledges selectively: up to the cursor, a time, all is settled, and what is settled beyond it is known
//! in memory only. The cursor moves after the service has answered, so a restart may repeat requests: an `add` comes
//! with `replace=no`, and what followed it follows again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::mem;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::delicious::{Change, Verdict};
use crate::file;
use crate::journal::{Action, Event, Journal, VIEW_WINDOW, format_time, parse_time};
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
const WINDOW: usize = 100;

/// An event for which something is to be sent.
#[derive(Clone, Debug)]
pub struct Item {
    pub time: OffsetDateTime,
    pub change: Change,
    pub link: Link,
}

pub struct Delivery {
    path: PathBuf,
    interval: Duration,
    /// Up to here all is settled; the Unix epoch while nothing is.
    pub cursor: OffsetDateTime,
    /// What is settled beyond the cursor.
    settled: BTreeSet<OffsetDateTime>,
    owed: Owed,
    /// Later events were written in this run.
    begun: OffsetDateTime,
    /// `owed` must be read anew: something was written, or a link failed.
    stale: bool,
    /// The owed addresses that have failed.
    tried: HashMap<String, Tried>,
    /// How many links were accepted in this run.
    accepted: u64,
    /// The next call starts no sooner.
    at: Instant,
    /// The last wait after "try later"; zero once a link is accepted.
    wait: Duration,
    /// Since when the delivery stands, as the log was told.
    stopped: Option<Instant>,
    /// What the log was told of stops, and when: the reason, and whether the wait still grows.
    told: HashMap<(String, bool), Instant>,
    passed_over: u64,
    /// The last error, as `.status` tells it; empty while there was none.
    error: String,
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
    /// The removals of what was never sent.
    needless: Vec<OffsetDateTime>,
}

#[derive(Default)]
struct Tried {
    /// Failures after others were accepted.
    proofs: u32,
    /// How many had been accepted when it last failed.
    accepted: u64,
    /// It may be stored all the same.
    unclear: bool,
    /// When it gave way to the others.
    turn: Option<Instant>,
}

impl Owed {
    fn oldest(&self) -> Option<OffsetDateTime> {
        self.window.values().map(|item| item.time).chain(self.rest).min()
    }
}

impl Delivery {
    /// Reads the cursor at `path`; everything may be owed until the journal shows otherwise.
    pub fn new(path: PathBuf, interval: Duration, journal: &mut Journal, now: Instant) -> Delivery {
        let cursor = fs::read_to_string(&path).map_err(|e| log::os_error(&e));
        let cursor = cursor.and_then(|text| parse_time(text.trim_end()).ok_or("not a time".into()));
        if let Err(why) = &cursor {
            log::line(format_args!(
                "{}: {why}; the delivery starts with the first link",
                path.display()
            ));
        }
        let cursor = cursor.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        Delivery {
            path,
            interval,
            cursor,
            settled: BTreeSet::new(),
            owed: Owed::default(),
            // The cursor has used up the times before it: a clock may have run ahead.
            begun: journal.not_before(cursor),
            stale: true,
            tried: HashMap::new(),
            accepted: 0,
            at: now,
            wait: Duration::ZERO,
            stopped: None,
            told: HashMap::new(),
            passed_over: 0,
            error: String::new(),
            say: |text| log::line(text),
        }
    }

    /// Something was written to the journal.
    pub fn wake(&mut self) {
        self.stale = true;
    }

    /// When [`Delivery::next`] wants to be asked; `None`: nothing is owed.
    pub fn deadline(&self) -> Option<Instant> {
        (self.stale || self.owed.count > 0).then_some(self.at)
    }

    /// What to send, now that the deadline has come.
    pub fn next(&mut self, journal: &Journal, now: Instant) -> Option<Item> {
        loop {
            // Not for each one: a million may be owed.
            if self.stale || self.owed.window.is_empty() {
                match self.survey(journal) {
                    Ok(owed) => (self.owed, self.stale) = (owed, false),
                    Err(e) => {
                        (self.say)(&format!(
                            "nothing is delivered: the journal cannot be read: {}",
                            log::os_error(&e)
                        ));
                        self.at = now + LONGEST_WAIT;
                        return None;
                    }
                }
            }
            let item = self.owed.window.values().next()?.clone();
            let needed = Some(&item).filter(|item| !self.owed.needless.contains(&item.time));
            match needed.and_then(|item| in_full(item, journal)) {
                None => self.done(&item),
                item => return item,
            }
        }
    }

    /// Walks over the events after the cursor. Of a removed link only the removal is owed, of titles only the newest.
    fn survey(&self, journal: &Journal) -> io::Result<Owed> {
        let mut owed = Owed::default();
        // Of a channel's address: when the next `add`s are removed, and the title of the next one.
        let mut later: HashMap<_, (Vec<OffsetDateTime>, Option<String>)> = HashMap::new();
        for event in journal.after(self.cursor) {
            let Event { time, action, mut link } = event?;
            let key = (link.channel.clone(), link.url.clone());
            let (mut removes, mut title) = later.remove(&key).unwrap_or_default();
            let tried = self.tried.get(&link.url);
            let change = match action {
                Action::Remove => {
                    removes.push(time);
                    Some(Change::Delete)
                }
                Action::Add if !removes.is_empty() => {
                    // What was never sent need not be deleted; what a former run has sent nobody knows.
                    let is_unsent = time > self.begun && !self.settled.contains(&time);
                    let is_needless = |removed: &_| {
                        is_unsent && tried.is_none() && !self.settled.contains(removed)
                    };
                    owed.needless.extend(removes.pop().filter(is_needless));
                    None
                }
                Action::Add => {
                    // The `title` follows all the same: if the link is already there, this does not change it.
                    link.title = title.take().unwrap_or(link.title);
                    Some(Change::Add { unclear: tried.is_some_and(|tried| tried.unclear) })
                }
                Action::Title if removes.is_empty() && title.is_none() => {
                    title = Some(link.title.clone());
                    Some(Change::Replace)
                }
                Action::Title | Action::Repost => None,
            };
            // A million may be owed, so nothing is kept of an `add` that is dealt with.
            if !removes.is_empty() || title.is_some() {
                later.insert(key, (removes, title));
            }
            let Some(change) = change.filter(|_| !self.settled.contains(&time)) else { continue };
            owed.count += 1;
            owed.window
                .insert((tried.and_then(|tried| tried.turn), time), Item { time, change, link });
            if owed.window.len() > WINDOW {
                let last = owed.window.pop_last().map(|(_, item)| item.time);
                owed.rest = last.into_iter().chain(owed.rest).min();
            }
        }
        Ok(owed)
    }

    /// Takes the service's verdict on `item`, which was the next one; `now` is the end of the try.
    pub fn settle(&mut self, item: &Item, verdict: Verdict, now: Instant, clock: OffsetDateTime) {
        self.at = now + self.interval;
        if let Verdict::TryLater { why, .. }
        | Verdict::Refused { why, .. }
        | Verdict::Hold { why } = &verdict
        {
            self.error = format!("; last error: {why} ({})", format_time(clock));
        }
        let (why, at_least, unclear, by_status) = match verdict {
            Verdict::Stored => return self.accept(item, true),
            Verdict::AlreadyThere => return self.accept(item, false),
            Verdict::Hold { why } => return self.stop(why, LONGEST_WAIT, Duration::ZERO, now),
            Verdict::Refused { why, by_status: false } => {
                self.resume();
                return self.pass_over(item, &why);
            }
            Verdict::Refused { why, .. } => (why, Duration::ZERO, false, true),
            Verdict::TryLater { why, at_least, unclear } => (why, at_least, unclear, false),
        };
        let wait = (self.wait * 2).clamp(SHORTEST_WAIT, LONGEST_WAIT);
        let tried = self.tried.entry(item.link.url.clone()).or_default();
        let others_accepted = tried.accepted < self.accepted;
        tried.accepted = self.accepted;
        tried.unclear |= unclear;
        tried.proofs += u32::from(others_accepted && (unclear || by_status));
        if tried.proofs == PROOFS {
            return self.pass_over(
                item,
                &format!("the service takes other links, but of this one it says {why}"),
            );
        }
        // A captive portal refuses everything: once around there is no hurry any more.
        let waits = !by_status || (tried.turn.is_some() && !others_accepted);
        if by_status || wait == LONGEST_WAIT {
            tried.turn = Some(now);
        }
        self.stale = true;
        if waits {
            self.stop(why, wait, at_least, now);
        }
    }

    /// One line for `.status`: what is owed, the next try, the last error. `journal` is where the links are.
    pub fn status(&self, journal: &Journal, now: Instant) -> String {
        let Ok(owed) = self.survey(journal) else { return "the journal cannot be read".into() };
        let mut text = format!("owed: {}", owed.count - owed.needless.len());
        if let Some(oldest) = owed.oldest().filter(|_| owed.count > owed.needless.len()) {
            let next = words(self.at.saturating_duration_since(now));
            text += &format!(" since {}; next try in {next}", format_time(oldest));
        }
        format!("{text}{}; passed over: {}", self.error, self.passed_over)
    }

    fn accept(&mut self, item: &Item, is_done: bool) {
        self.resume();
        self.accepted += 1;
        let url = &item.link.url;
        (self.say)(&match item.change {
            _ if !is_done => format!("already there: {url}; the title there stays"),
            Change::Add { .. } => format!("delivered: {url}"),
            Change::Replace => format!("title changed: {url}"),
            Change::Delete => format!("deleted: {url}"),
        });
        self.done(item);
    }

    fn pass_over(&mut self, item: &Item, why: &str) {
        let Link { channel, nick, url, title, .. } = &item.link;
        let time = format_time(item.time);
        (self.say)(&format!("passed over: {why}: {time} {channel} {nick} {url} {title}"));
        self.passed_over += 1;
        self.done(item);
    }

    /// Takes `item`, which was the next one, from what is owed, and moves the cursor as far as all is settled. If that
    /// cannot be written, the delivery goes on: only after a restart it would repeat what is there already.
    fn done(&mut self, item: &Item) {
        self.tried.remove(&item.link.url);
        self.owed.window.pop_first();
        self.owed.count -= 1;
        self.settled.insert(item.time);
        let beyond = self.owed.oldest().map(|oldest| self.settled.split_off(&oldest));
        let Some(cursor) = mem::replace(&mut self.settled, beyond.unwrap_or_default()).pop_last()
        else {
            return;
        };
        self.cursor = cursor;
        let text = format_time(cursor) + "\n";
        if let Err(e) = file::replace_durably(&self.path, text.as_bytes(), 0o644) {
            (self.say)(&format!(
                "{}: {}; a restart would deliver links again",
                self.path.display(),
                log::os_error(&e)
            ));
        }
    }

    /// Tells each reason once, again when the wait has become the longest, and then from time to time.
    fn stop(&mut self, why: String, wait: Duration, at_least: Duration, now: Instant) {
        self.wait = wait;
        self.at = self.at.max(now + wait.max(at_least));
        self.told.retain(|_, at| now < *at + REMINDER);
        let grows = wait < LONGEST_WAIT;
        if self.told.contains_key(&(why.clone(), grows)) {
            return;
        }
        let rarer = if grows { ", then ever rarer" } else { "" };
        let since =
            self.stopped.map(|since| format!(" for {}", words(now - since))).unwrap_or_default();
        self.stopped.get_or_insert(now);
        let (owed, next) = (self.owed.count, words(self.at - now));
        (self.say)(&format!(
            "delivery stopped{since}: {why}; {owed} owed, none lost; next try in {next}{rarer}"
        ));
        self.told.insert((why, grows), now);
    }

    /// The service takes links, or says what is wrong with one.
    fn resume(&mut self) {
        // A service whose limit lies above the interval refuses every other request: that is told once.
        if self.wait.is_zero() {
            self.told.clear();
        }
        self.wait = Duration::ZERO;
        if self.stopped.take().is_some() {
            (self.say)(&format!("delivery resumed; owed: {}", self.owed.count));
        }
    }
}

/// A new title with the rest of its link, as the journal has it now. `None`: nothing is to be deleted, for an earlier
/// link with the same address still stands.
fn in_full(item: &Item, journal: &Journal) -> Option<Item> {
    let Link { channel, url, .. } = &item.link;
    let mut earlier = journal
        .links(VIEW_WINDOW, |_| true)
        .flatten()
        .filter(|e| e.link.url == *url && e.time < item.time);
    let link = match item.change {
        Change::Delete if earlier.next().is_some() => return None,
        Change::Replace => {
            earlier.find(|entry| entry.link.channel == *channel).map(|entry| entry.link)
        }
        _ => None,
    };
    Some(Item { link: link.unwrap_or_else(|| item.link.clone()), ..*item })
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
