//! The journal's events that are not in the bookmark account yet: all below a certain line, except
//! those that delivery has done out of order. Reads them oldest first, and decides which request
//! each of them needs.
//!
//! A million may be pending, so the events stay on disk. Memory holds only what later events say
//! about earlier ones: a link was removed, has a newer title, or its bookmark is not ours.

use std::collections::{BTreeMap, HashMap};

use super::*;
use crate::journal::{Event, VIEW_WINDOW, is_far_ahead, key};

pub struct Pending {
    /// The times of events after the cursor that a request of this run may have stored.
    pub maybe_stored: HashSet<OffsetDateTime>,
    /// No earlier run has sent the events from this offset on.
    pub new_from: u64,
    /// The events before this offset have been returned.
    read_to: u64,
    /// The newest time above `read_to`.
    newest: OffsetDateTime,
    /// The offsets of events that were returned and are not done, each with the newest time above
    /// it.
    waiting: BTreeMap<u64, OffsetDateTime>,
    /// The lines before this offset have been scanned.
    pub scanned_to: u64,
    /// The newest time above `scanned_to`.
    newest_scanned: OffsetDateTime,
    /// The lines between this offset and `scanned_to` are later than all lines above them.
    pub ordered_from: u64,
    /// The number of changes to send, as known now.
    pub count: usize,
    /// The offsets of events that need no request, because of their action or a later event.
    unnecessary: HashSet<u64>,
    /// The offsets of `add`s that were removed before a request could store their links.
    never_stored: HashSet<u64>,
    /// The newest pending `title` event for each channel and address: its offset and its title.
    titles: HashMap<(String, String), (u64, String)>,
    /// Addresses whose bookmark is not ours, according to pending events.
    foreign: HashSet<String>,
}

impl Pending {
    /// Every event from the offset `start` on is pending. `newest` is the newest time above it.
    pub fn new(
        maybe_stored: HashSet<OffsetDateTime>,
        new_from: u64,
        start: u64,
        newest: OffsetDateTime,
    ) -> Pending {
        Pending {
            maybe_stored,
            new_from,
            read_to: start,
            newest,
            waiting: BTreeMap::new(),
            scanned_to: start,
            newest_scanned: newest,
            ordered_from: start,
            count: 0,
            unnecessary: HashSet::new(),
            never_stored: HashSet::new(),
            titles: HashMap::new(),
            foreign: HashSet::new(),
        }
    }

    /// Scans the lines written since the last scan.
    pub fn scan(&mut self, journal: &Journal) -> io::Result<()> {
        for line in journal.read_from(self.scanned_to)? {
            let Line { event: Event { time, action, link }, start, end } = line?;
            self.count += 1;
            let mut obsolete = None;
            match action {
                Action::Add => {}
                Action::Title => {
                    obsolete = self.titles.insert(key(&link), (start, link.title));
                }
                Action::Remove => {
                    self.skip_removed(&link, start, journal)?;
                    obsolete = self.titles.remove(&key(&link));
                }
                Action::Repost => self.skip(start),
                Action::Foreign => {
                    self.foreign.insert(link.url);
                    self.skip(start);
                }
            }
            if let Some((title, _)) = obsolete {
                self.skip(title);
            }
            if time <= self.newest_scanned {
                self.ordered_from = end;
            }
            self.newest_scanned = newer(self.newest_scanned, time);
            self.scanned_to = end;
        }
        Ok(())
    }

    fn skip(&mut self, start: u64) {
        self.unnecessary.insert(start);
        self.count -= 1;
    }

    /// Skips the `add` of the link that the `remove` at `start` removes, if it is pending. If the
    /// link was certainly never stored, skips the `remove` too.
    fn skip_removed(&mut self, link: &Link, start: u64, journal: &Journal) -> io::Result<()> {
        for found in journal.about(&link.url, start, start - self.start().0) {
            let (add, known) = found?;
            if known.is_none_or(|known| known.channel != link.channel) {
                continue;
            }
            if add.start >= self.read_to || self.waiting.contains_key(&add.start) {
                self.skip(add.start);
                if !self.may_be_stored(&add) {
                    self.skip(start);
                    self.never_stored.insert(add.start);
                }
            }
            break;
        }
        Ok(())
    }

    /// True if an earlier run, or a request without a clear response, may have stored the link.
    pub fn may_be_stored(&self, add: &Line) -> bool {
        add.start < self.new_from || self.maybe_stored.contains(&add.event.time)
    }

    /// The offset of the first event that is not done, and the newest time above it.
    pub fn start(&self) -> (u64, OffsetDateTime) {
        let first = self.waiting.first_key_value();
        let (start, newest) = first.unwrap_or((&self.read_to, &self.newest));
        (*start, *newest)
    }

    /// Returns the next event, in the journal's order. The journal must be scanned to its end.
    pub fn next(&mut self, journal: &Journal) -> io::Result<Option<Line>> {
        let line = journal.read_from(self.read_to)?.next().transpose()?;
        if let Some(line) = &line {
            self.waiting.insert(line.start, self.newest);
            self.newest = newer(self.newest, line.event.time);
            self.read_to = line.end;
        }
        Ok(line)
    }

    /// Returns the request that an event needs, given the journal as it is now.
    pub fn request(&self, line: &Line, journal: &Journal) -> io::Result<Option<(Change, Link)>> {
        let Event { action, link, .. } = &line.event;
        if self.unnecessary.contains(&line.start) {
            return Ok(None);
        }
        let mut link = link.clone();
        if *action == Action::Add {
            if let Some((_, title)) = self.titles.get(&key(&link)) {
                link.title.clone_from(title);
            }
            return Ok(Some((Change::Add, link)));
        }
        let (mut known, is_ours) = self.known(line, journal)?;
        if !is_ours {
            log!("left alone: {}: it was in the account before linkbot", link.url);
            return Ok(None);
        }
        let own =
            known.iter().position(|known| known.channel == link.channel).map(|at| known.remove(at));
        if *action == Action::Title {
            // Only the title changes; the rest of the link stays as it was posted.
            let title = link.title.clone();
            return Ok(Some((Change::Replace, Link { title, ..own.unwrap_or(link) })));
        }
        // The account shows the newest link that exists after this event.
        Ok(Some(match known.into_iter().next() {
            Some(newest) => (Change::Replace, newest),
            None => (Change::Delete, link),
        }))
    }

    /// Returns the links to an event's address that exist before the event, newest first, and true
    /// if the bookmark is ours or does not exist.
    pub fn known(&self, line: &Line, journal: &Journal) -> io::Result<(Vec<Link>, bool)> {
        let url = &line.event.link.url;
        let mut links = Vec::new();
        let mut is_ours = !self.foreign.contains(url);
        for found in journal.about(url, line.start, VIEW_WINDOW) {
            let (earlier, link) = found?;
            // The newest link decides: a `foreign` event refers to the links before it.
            is_ours &= earlier.event.action != Action::Foreign || !links.is_empty();
            links.extend(link.filter(|_| !self.never_stored.contains(&earlier.start)));
        }
        Ok((links, is_ours))
    }

    /// Marks an event as done.
    pub fn done(&mut self, Line { event: Event { action, link, .. }, start, .. }: &Line) {
        self.waiting.remove(start);
        if !self.unnecessary.remove(start) {
            self.count -= 1;
            if *action == Action::Title {
                self.titles.remove(&key(link));
            }
        }
        // For later events, `known` finds it in the journal.
        if *action == Action::Foreign {
            self.foreign.remove(&link.url);
        }
        if self.start().0 == self.scanned_to {
            self.never_stored.clear();
        }
    }
}

/// The later of two times. If `newest` is far ahead of the clock, it is a mistake: returns `time`.
fn newer(newest: OffsetDateTime, time: OffsetDateTime) -> OffsetDateTime {
    if is_far_ahead(newest) { time } else { newest.max(time) }
}
