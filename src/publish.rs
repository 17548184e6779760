//! Keeps the files that show the links up to date with the journal.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::feed::Feed;
use crate::file::replace;
use crate::journal::{Entry, Journal};
use crate::log;
use crate::page::Page;
use crate::view::View;

#[derive(Clone, Debug)]
pub struct Output {
    pub path: PathBuf,
    pub view: View,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Feed(Feed),
    Page(Page),
}

impl Output {
    /// Brings the file up to date with the journal; one that would not change is not touched.
    fn write(&self, journal: &Journal) -> io::Result<()> {
        let entries = self.view.links(journal)?;
        let text = match &self.kind {
            Kind::Feed(feed) => feed.render(&self.view, self.view.changed(journal)?, &entries)?,
            Kind::Page(page) => page.render(&self.view, &by_posting(entries))?,
        };
        replace(&self.path, &text)
    }
}

/// Newest first by the time of posting: what was caught up stands in the journal behind what was said later.
fn by_posting(entries: Vec<Entry>) -> Vec<Entry> {
    let mut sorted: Vec<Entry> = Vec::with_capacity(entries.len());
    for entry in entries {
        // Most often at the end. A sort of the standard library would make the binary 1 % larger.
        let at = sorted.partition_point(|before| before.link.posted >= entry.link.posted);
        sorted.insert(at, entry);
    }
    sorted
}

/// Keeps all outputs up to date. One that cannot be written holds up no other.
pub struct Publisher<'a> {
    outputs: Vec<Watched<'a>>,
    /// The least time between two writes of one output.
    pause: Duration,
}

struct Watched<'a> {
    output: &'a Output,
    /// The journal knows of more than it shows.
    stale: bool,
    /// When it may be written again.
    next: Instant,
    /// The wait after a failure; zero while all goes well.
    wait: Duration,
}

impl<'a> Publisher<'a> {
    /// Every output is due: links or settings may be newer than it.
    pub fn new(outputs: &'a [Output], pause: Duration, now: Instant) -> Publisher<'a> {
        let watched = |output| Watched { output, stale: true, next: now, wait: Duration::ZERO };
        Publisher { outputs: outputs.iter().map(watched).collect(), pause }
    }

    pub fn mark_dirty(&mut self, channel: &str) {
        for watched in &mut self.outputs {
            watched.stale |= watched.output.view.shows(channel);
        }
    }

    /// `None`: all are up to date.
    pub fn deadline(&self) -> Option<Instant> {
        self.outputs.iter().filter(|watched| watched.stale).map(|watched| watched.next).min()
    }

    /// The file of an output that could not be written when it was tried last.
    pub fn failing(&self) -> Option<&Path> {
        self.outputs
            .iter()
            .find(|watched| !watched.wait.is_zero())
            .map(|watched| watched.output.path.as_path())
    }

    /// The public address of the page that shows `channel`, if it is known.
    pub fn page(&self, channel: &str) -> Option<&str> {
        let mut here = self
            .outputs
            .iter()
            .map(|watched| watched.output)
            .filter(|output| output.view.shows(channel));
        here.find_map(
            |output| if let Kind::Page(page) = &output.kind { page.url.as_deref() } else { None },
        )
    }

    /// Writes what is due. What fails is logged and tried again after 1 min, doubling to 15.
    pub fn publish(&mut self, journal: &Journal, now: Instant) {
        for watched in
            self.outputs.iter_mut().filter(|watched| watched.stale && watched.next <= now)
        {
            match watched.output.write(journal) {
                Ok(()) => {
                    (watched.stale, watched.next, watched.wait) =
                        (false, now + self.pause, Duration::ZERO)
                }
                Err(e) => {
                    watched.wait = (watched.wait * 2)
                        .clamp(Duration::from_secs(60), Duration::from_secs(15 * 60));
                    watched.next = now + watched.wait;
                    let (path, why, wait) =
                        (watched.output.path.display(), log::os_error(&e), watched.wait.as_secs());
                    log::line(format_args!("{path}: {why}; next try in {wait} s"));
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "../tests/unit/publish.rs"]
mod tests;
