//! Writes the feeds and pages when the journal has changed: at most once a second, and again after
//! a failure.

use std::cmp::Reverse;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::feed::Feed;
use crate::file::replace;
use crate::journal::Journal;
use crate::log::{self, ERROR};
use crate::page::Page;
use crate::view::View;

pub struct Output {
    pub path: PathBuf,
    pub view: View,
    pub kind: Kind,
}

pub enum Kind {
    Feed(Feed),
    Page(Page),
}

impl Output {
    /// Brings the file up to date with the journal. Does not touch a file that would not change.
    fn write(&self, journal: &Journal) -> io::Result<()> {
        let mut entries = self.view.links(journal)?;
        let has_older = entries.len() > self.view.items;
        entries.truncate(self.view.items);
        let text = match &self.kind {
            Kind::Feed(feed) => feed.render(&self.view, self.view.changed(journal)?, &entries),
            Kind::Page(page) => {
                // Links that were caught up are after later ones in the journal.
                entries.sort_by_key(|entry| Reverse(entry.link.posted));
                page.render(&self.view, &entries, has_older)
            }
        };
        replace(&self.path, text.as_bytes())
    }
}

/// Keeps all outputs up to date. A file that cannot be written does not hold up the others.
pub struct Publisher<'a> {
    outputs: Vec<Watched<'a>>,
    /// The shortest time between two writes of a file.
    pause: Duration,
}

struct Watched<'a> {
    output: &'a Output,
    /// The journal may have changed since the last write.
    dirty: bool,
    /// The next write is not before this.
    next: Instant,
    /// The wait after the last failure; zero if the last write succeeded.
    backoff: Duration,
}

impl<'a> Publisher<'a> {
    /// Every output is dirty: links or settings may be newer than its file.
    pub fn new(outputs: &'a [Output], pause: Duration, now: Instant) -> Publisher<'a> {
        let watched = |output| Watched { output, dirty: true, next: now, backoff: Duration::ZERO };
        Publisher { outputs: outputs.iter().map(watched).collect(), pause }
    }

    pub fn mark_dirty(&mut self, channel: &str) {
        for watched in &mut self.outputs {
            watched.dirty |= watched.output.view.shows(channel);
        }
    }

    /// When the next write is due; `None` if every file is up to date.
    pub fn deadline(&self) -> Option<Instant> {
        self.outputs.iter().filter(|watched| watched.dirty).map(|watched| watched.next).min()
    }

    /// A file whose last write failed.
    pub fn failing(&self) -> Option<&Path> {
        let failing = self.outputs.iter().find(|watched| !watched.backoff.is_zero());
        failing.map(|watched| watched.output.path.as_path())
    }

    /// The public address of the page that shows `channel`, if it is known.
    pub fn page(&self, channel: &str) -> Option<&str> {
        self.outputs.iter().find_map(|watched| match &watched.output.kind {
            Kind::Page(page) if watched.output.view.shows(channel) => page.url.as_deref(),
            _ => None,
        })
    }

    /// Writes the files that are due. Logs a failure, and tries again after 1 min, doubling to 15.
    pub fn publish(&mut self, journal: &Journal, now: Instant) {
        for watched in &mut self.outputs {
            if watched.dirty && watched.next <= now {
                watched.write(journal, now, self.pause);
            }
        }
    }
}

impl Watched<'_> {
    fn write(&mut self, journal: &Journal, now: Instant, pause: Duration) {
        let path = self.output.path.display();
        if let Err(e) = self.output.write(journal) {
            const SHORTEST: Duration = Duration::from_secs(60);
            self.backoff = (self.backoff * 2).clamp(SHORTEST, SHORTEST * 15);
            self.next = now + self.backoff;
            let (why, wait) = (log::os_error(&e), self.backoff.as_secs());
            return log::line(format_args!("{ERROR}{path}: {why}; next try in {wait} s"));
        }
        if !self.backoff.is_zero() {
            log::line(format_args!("{path}: can be written again"));
        }
        self.dirty = false;
        self.next = now + pause;
        self.backoff = Duration::ZERO;
    }
}

#[cfg(test)]
#[path = "../tests/unit/publish.rs"]
mod tests;
