//! The journal: an append-only text file of what was posted, the only state of linkbot.

use std::io;
use std::path::Path;

use time::OffsetDateTime;

use crate::link::Link;

/// How far back a view reads, in bytes: about 130,000 links.
pub const REACH: u64 = 16 << 20;

/// What an event says of its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Add,
    Again,
    Title,
    Remove,
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

pub struct Journal {}

impl Journal {
    /// Opens the journal, or creates it, and locks it.
    pub fn open(_path: &Path) -> Result<Journal, String> {
        todo!()
    }

    /// Writes one event; it is on disk only after [`Journal::commit`].
    pub fn append(&mut self, _action: Action, _link: &Link, _now: OffsetDateTime) -> io::Result<OffsetDateTime> {
        todo!()
    }

    /// Puts on disk what was appended since the last commit.
    pub fn commit(&mut self) -> io::Result<()> {
        todo!()
    }

    /// The events of the newest [`REACH`] bytes, newest first.
    pub fn events(&self) -> impl Iterator<Item = io::Result<Event>> {
        std::iter::empty()
    }

    /// The links of the newest [`REACH`] bytes as they stand now, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = io::Result<Entry>> {
        std::iter::empty()
    }

    /// The first `most` links whose event came after `cursor`, as they stand now, oldest first.
    pub fn after(&mut self, _cursor: Option<OffsetDateTime>, _most: usize) -> io::Result<Vec<Entry>> {
        todo!()
    }
}

/// What is wrong with the lines of the journal that are skipped: one sentence, `None` if there are none.
pub fn skipped(_path: &Path) -> io::Result<Option<String>> {
    todo!()
}

/// An event's time as the journal, the feed's guid and the cursor spell it: `2026-11-22T10:31:19.123Z`.
pub fn format_time(_time: OffsetDateTime) -> String {
    todo!()
}

/// Reads what [`format_time`] wrote.
pub fn parse_time(_text: &str) -> Option<OffsetDateTime> {
    todo!()
}
