//! The journal's events that are not in the bookmark account yet. Reads them oldest first, and
//! decides which request each of them needs.
//!
//! A million may be pending, so the events stay on disk. Memory holds only what later events say
//! about earlier ones: a link was removed, has a newer title, or its bookmark is not ours.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::mem;

use time::{Duration, OffsetDateTime};

use crate::delicious::Change;
use crate::journal::{Action, Event, Journal, Line, VIEW_WINDOW, is_after, is_far_ahead};
use crate::link::Link;

/// A pending event that [`Pending::next`] returned.
#[derive(Clone, Debug)]
pub struct Item {
    pub event: Event,
    /// The offset of its line in the journal, which identifies the event.
    start: u64,
}

/// What to do for an event.
#[derive(Debug)]
pub enum Need {
    /// A later event makes it unnecessary.
    Nothing,
    /// The bookmark was in the account before linkbot.
    LeaveAlone,
    Send(Change, Link),
}

pub struct Pending {
    /// No earlier run has sent an event that is later than this.
    written_since: OffsetDateTime,
    /// The times of events after the cursor that a request of this run may have stored.
    maybe_stored: HashSet<OffsetDateTime>,
    /// The events before this offset have been returned.
    read_to: u64,
    /// The newest time among the returned events.
    newest: OffsetDateTime,
    /// The offsets of events that were returned and are not done, each with the cursor before it.
    waiting: BTreeMap<u64, OffsetDateTime>,
    /// The lines before this offset have been scanned.
    scanned_to: u64,
    newest_scanned: OffsetDateTime,
    /// The oldest time among the scanned lines that are not later than a line above them, and the
    /// offset of the last such line.
    unordered: Option<(OffsetDateTime, u64)>,
    /// The number of changes to send, as known now.
    pub count: usize,
    /// The `add`s that pending `remove`s undo, and whether each may be stored.
    removed: HashMap<u64, bool>,
    /// These pending `remove`s, and the `add` of each.
    removes: HashMap<u64, u64>,
    /// The newest pending `title` of each channel's address, and its text.
    titles: HashMap<(String, String), (u64, String)>,
    /// Addresses whose bookmark is not ours, according to events after `read_to`.
    foreign: HashSet<String>,
}

impl Pending {
    /// Every event after `cursor` is pending. The first of them starts at the offset `start`.
    pub fn new(cursor: OffsetDateTime, written_since: OffsetDateTime, start: u64) -> Pending {
        Pending {
            written_since,
            maybe_stored: HashSet::new(),
            read_to: start,
            newest: cursor,
            waiting: BTreeMap::new(),
            scanned_to: start,
            newest_scanned: cursor,
            unordered: None,
            count: 0,
            removed: HashMap::new(),
            removes: HashMap::new(),
            titles: HashMap::new(),
            foreign: HashSet::new(),
        }
    }

    /// Starts again after an edit of the journal. The first pending event is now at the offset
    /// `start`.
    pub fn restart(&mut self, start: u64) {
        let maybe_stored = mem::take(&mut self.maybe_stored);
        *self = Pending { maybe_stored, ..Pending::new(self.cursor(), self.written_since, start) };
    }

    /// Scans the lines written since the last scan. Returns how many of them are too old to be
    /// delivered, and the address of the first of these.
    pub fn scan(&mut self, journal: &Journal) -> io::Result<Option<(usize, String)>> {
        let mut too_old: Option<(usize, String)> = None;
        for line in journal.read_from(self.scanned_to) {
            let Line { event, start, end } = line?;
            if is_after(event.time, self.cursor()) {
                self.take_in(event, start, journal)?;
            } else if event.action != Action::Foreign {
                too_old.get_or_insert((0, event.link.url)).0 += 1;
            }
            self.scanned_to = end;
        }
        Ok(too_old)
    }

    fn take_in(&mut self, event: Event, start: u64, journal: &Journal) -> io::Result<()> {
        if event.time <= self.newest_scanned {
            let oldest = self.unordered.map_or(event.time, |(oldest, _)| oldest.min(event.time));
            self.unordered = Some((oldest, start));
        }
        self.newest_scanned = newer(self.newest_scanned, event.time);
        let key = key(&event.link);
        match event.action {
            Action::Add => self.count += 1,
            Action::Repost => {}
            Action::Title => {
                let older = self.titles.insert(key, (start, event.link.title));
                self.count += usize::from(older.is_none());
            }
            Action::Remove => {
                let add = self.pending_add(&event.link, start, journal)?;
                if self.titles.remove(&key).is_some() {
                    self.count -= 1;
                }
                self.count += 1;
                let Some(add) = add else { return Ok(()) };
                let may_be_stored = self.may_be_stored(&add.event);
                self.removed.insert(add.start, may_be_stored);
                self.removes.insert(start, add.start);
                self.count -= if may_be_stored { 1 } else { 2 };
            }
            Action::Foreign => {
                self.foreign.insert(event.link.url);
            }
        }
        Ok(())
    }

    /// Returns the `add` of the link that the `remove` at `start` removes, if that `add` is
    /// pending.
    fn pending_add(&self, link: &Link, start: u64, journal: &Journal) -> io::Result<Option<Line>> {
        let mut removes = 1;
        for line in journal.about(&link.url, start, start - self.start()) {
            let line = line?;
            match line.event.action {
                _ if line.event.link.channel != link.channel => {}
                Action::Remove => removes += 1,
                Action::Add if removes > 1 => removes -= 1,
                Action::Add => {
                    let is_pending = line.start >= self.read_to && self.is_pending(&line.event)
                        || self.waiting.contains_key(&line.start);
                    return Ok(Some(line).filter(|_| is_pending));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// The offset of the first event that is not done.
    pub fn start(&self) -> u64 {
        self.waiting.first_key_value().map_or(self.read_to, |(&start, _)| start)
    }

    /// Every event up to this time is done.
    pub fn cursor(&self) -> OffsetDateTime {
        self.waiting.first_key_value().map_or(self.cursor_read(), |(_, &cursor)| cursor)
    }

    /// The cursor if no event is waiting.
    fn cursor_read(&self) -> OffsetDateTime {
        match self.unordered {
            Some((oldest, _)) => self.newest.min(oldest - Duration::MILLISECOND),
            None => self.newest,
        }
    }

    /// True if there are scanned events that have not been returned.
    pub fn has_unread(&self) -> bool {
        self.read_to < self.scanned_to
    }

    /// The time of the first pending change that has not been returned.
    pub fn first_unread(&self, journal: &Journal) -> Option<OffsetDateTime> {
        let events = journal.read_from(self.read_to).map_while(Result::ok).map(|line| line.event);
        let is_change = |event: &Event| !matches!(event.action, Action::Repost | Action::Foreign);
        let mut changes = events.filter(|event| is_change(event) && self.is_pending(event));
        changes.next().map(|event| event.time)
    }

    /// Returns the next event, in the journal's order.
    pub fn next(&mut self, journal: &Journal) -> io::Result<Option<Item>> {
        for line in journal.read_from(self.read_to) {
            let Line { event, start, end } = line?;
            if end > self.scanned_to {
                break;
            }
            let cursor = self.cursor_read();
            self.read_to = end;
            let is_pending = self.is_pending(&event);
            if self.unordered.is_some_and(|(_, last)| last < end) {
                self.unordered = None;
            }
            if is_pending {
                self.newest = newer(self.newest, event.time);
                self.waiting.insert(start, cursor);
                return Ok(Some(Item { event, start }));
            }
        }
        Ok(None)
    }

    /// False for an event that was too old when it was scanned.
    fn is_pending(&self, event: &Event) -> bool {
        is_after(event.time, self.newest)
            || self.unordered.is_some_and(|(oldest, _)| event.time >= oldest)
    }

    /// Decides what to do for `item`, given the journal as it is now.
    pub fn need(&self, item: &Item, journal: &Journal) -> io::Result<Need> {
        let Item { event: Event { action, link, .. }, start } = item;
        let newest_title = self.titles.get(&key(link));
        match action {
            Action::Repost | Action::Foreign => Ok(Need::Nothing),
            Action::Add if self.removed.contains_key(start) => Ok(Need::Nothing),
            Action::Remove
                if self.removes.get(start).is_some_and(|add| self.was_never_stored(*add)) =>
            {
                Ok(Need::Nothing)
            }
            // A newer title follows, or the link was removed.
            Action::Title if newest_title.is_none_or(|(newest, _)| newest != start) => {
                Ok(Need::Nothing)
            }
            Action::Add => {
                let title = newest_title.map_or(&link.title, |(_, title)| title).clone();
                Ok(Need::Send(Change::Add, Link { title, ..link.clone() }))
            }
            Action::Title => {
                let before = self.before(item, journal, |known| known.channel == link.channel)?;
                if before.is_foreign {
                    return Ok(Need::LeaveAlone);
                }
                // The new title with the rest of its link.
                let own = before.link.unwrap_or_else(|| link.clone());
                Ok(Need::Send(Change::Replace, Link { title: link.title.clone(), ..own }))
            }
            Action::Remove => {
                let before = self.before(item, journal, |_| true)?;
                if before.is_foreign {
                    return Ok(Need::LeaveAlone);
                }
                match before.link {
                    // Another link with this address still exists: bookmark that one.
                    Some(other) => Ok(Need::Send(Change::Replace, other)),
                    None => Ok(Need::Send(Change::Delete, link.clone())),
                }
            }
        }
    }

    /// True for an `add` whose link was removed before a request could store it.
    fn was_never_stored(&self, add: u64) -> bool {
        self.removed.get(&add) == Some(&false)
    }

    /// True if the bookmark is ours because of an earlier link with the address of `item`, an
    /// `add`.
    pub fn is_ours(&self, item: &Item, journal: &Journal) -> io::Result<bool> {
        let before = self.before(item, journal, |_| true)?;
        Ok(before.link.is_some() && !before.is_foreign)
    }

    /// True if an earlier run, or a request without a clear response, may have stored `event`.
    pub fn may_be_stored(&self, event: &Event) -> bool {
        event.time <= self.written_since || is_far_ahead(event.time) || self.is_unclear(event)
    }

    /// True if a request of this run may have stored `event`.
    pub fn is_unclear(&self, event: &Event) -> bool {
        self.maybe_stored.contains(&event.time)
    }

    /// Records that a request for `event` got no clear response.
    pub fn set_unclear(&mut self, event: &Event) {
        self.maybe_stored.insert(event.time);
    }

    /// Searches the events before `item` for a link with its address that `is_wanted`, and for the
    /// owner of the bookmark.
    fn before(
        &self,
        item: &Item,
        journal: &Journal,
        is_wanted: impl Fn(&Link) -> bool,
    ) -> io::Result<Before> {
        let link = &item.event.link;
        let mut before = Before { link: None, is_foreign: self.foreign.contains(&link.url) };
        // The newest link decides who owns the bookmark. A `foreign` event refers to the links
        // before it.
        let mut is_decided = false;
        let mut removes: HashMap<String, usize> = HashMap::new();
        let mut titles: HashMap<String, String> = HashMap::new();
        if item.event.action == Action::Remove {
            removes.insert(link.channel.clone(), 1);
        }
        for line in journal.about(&link.url, item.start, VIEW_WINDOW) {
            let Line { event, start, .. } = line?;
            let Event { action, link: mut known, .. } = event;
            let removes = removes.entry(known.channel.clone()).or_default();
            match action {
                Action::Foreign => before.is_foreign |= !is_decided,
                Action::Repost => {}
                Action::Remove => *removes += 1,
                Action::Title if *removes > 0 => {}
                Action::Title => {
                    titles.entry(known.channel).or_insert(known.title);
                }
                Action::Add if *removes > 0 => {
                    *removes -= 1;
                    // If `item` is a `remove`, this is the link that it removes.
                    is_decided |= item.event.action == Action::Remove
                        && *removes == 0
                        && known.channel == link.channel;
                }
                Action::Add if self.was_never_stored(start) => {}
                Action::Add => {
                    is_decided = true;
                    known.title = titles.remove(&known.channel).unwrap_or(known.title);
                    if is_wanted(&known) {
                        before.link = Some(known);
                        break;
                    }
                }
            }
        }
        Ok(before)
    }

    /// Marks `item` as done. `was_counted`: it is included in `count`.
    pub fn done(&mut self, item: &Item, was_counted: bool) {
        let Item { event: Event { time, action, link }, start } = item;
        let cursor_before = self.cursor();
        self.waiting.remove(start);
        // While the event is after the cursor, an edit of the journal makes it pending again.
        // What needed nothing was not sent.
        if was_counted {
            self.maybe_stored.insert(*time);
        }
        let cursor = self.cursor();
        if cursor != cursor_before {
            self.maybe_stored.retain(|time| *time > cursor);
        }
        self.count = self.count.saturating_sub(usize::from(was_counted));
        match action {
            Action::Remove => {
                if let Some(add) = self.removes.remove(start) {
                    self.removed.remove(&add);
                }
            }
            Action::Title => {
                let key = key(link);
                if self.titles.get(&key).is_some_and(|(newest, _)| newest == start) {
                    self.titles.remove(&key);
                }
            }
            Action::Add | Action::Repost => {}
            // For later events, `before` finds it in the journal.
            Action::Foreign => {
                self.foreign.remove(&link.url);
            }
        }
    }
}

struct Before {
    link: Option<Link>,
    is_foreign: bool,
}

/// The key that all events of one link share.
fn key(link: &Link) -> (String, String) {
    (link.channel.clone(), link.url.clone())
}

/// The later of two times. A newest time far ahead of the clock is a mistake and gives way to the
/// other.
fn newer(newest: OffsetDateTime, time: OffsetDateTime) -> OffsetDateTime {
    if is_far_ahead(newest) { time } else { newest.max(time) }
}
