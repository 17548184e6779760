//! What is still owed to the bookmark account, and when to try next. The clock is an argument.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::delicious::Verdict;
use crate::journal::{Entry, Journal};

pub struct Delivery {}

impl Delivery {
    /// Reads the cursor at `path`; everything may be owed until a look into the journal shows otherwise.
    pub fn new(_path: PathBuf, _interval: Duration, _now: Instant) -> Delivery {
        todo!()
    }

    /// Something was written to the journal.
    pub fn wake(&mut self) {
        todo!()
    }

    /// When [`Delivery::next`] wants to be asked; `None`: nothing is owed.
    pub fn deadline(&self) -> Option<Instant> {
        todo!()
    }

    /// The link to offer now, and whether an earlier try of it may have stored it.
    pub fn next(&mut self, _journal: &mut Journal, _now: Instant) -> Option<(Entry, bool)> {
        todo!()
    }

    /// Takes the service's verdict on `entry`; `now` is the end of the try.
    pub fn settle(&mut self, _entry: &Entry, _verdict: Verdict, _now: Instant, _clock: OffsetDateTime) {
        todo!()
    }

    /// For `.status`: what is owed, since when, the last error, when the next try is.
    pub fn status(&self, _journal: &Journal, _now: Instant, _clock: OffsetDateTime) -> String {
        todo!()
    }
}
