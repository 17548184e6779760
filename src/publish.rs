//! Writes the feeds and pages when the journal has changed: at most once a second, and again after
//! a failure.

use std::cmp::Reverse;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::feed;
use crate::file::replace;
use crate::journal::Journal;
use crate::log::{self, ERROR};
use crate::view::{Format, View};

/// The wait after the first failure. It doubles up to 15 min.
const FIRST_BACKOFF: Duration = Duration::from_secs(60);

/// Keeps all feeds and pages up to date. A file that cannot be written does not hold up the others.
pub struct Publisher<'a> {
    files: Vec<Watched<'a>>,
    /// The shortest time between two writes of a file.
    pause: Duration,
}

struct Watched<'a> {
    view: &'a View,
    /// The journal may have changed since the last write.
    dirty: bool,
    /// The next write is not before this.
    next: Instant,
    /// The wait after the last failure; zero if the last write succeeded.
    backoff: Duration,
}

impl<'a> Publisher<'a> {
    /// Every file is dirty: links or settings may be newer.
    pub fn new(views: &'a [View], pause: Duration, now: Instant) -> Publisher<'a> {
        let watched = |view| Watched { view, dirty: true, next: now, backoff: Duration::ZERO };
        Publisher { files: views.iter().map(watched).collect(), pause }
    }

    pub fn mark_dirty(&mut self, channel: &str) {
        for file in &mut self.files {
            file.dirty |= file.view.shows(channel);
        }
    }

    /// The time of the next write; `None` if every file is up to date.
    pub fn deadline(&self) -> Option<Instant> {
        self.files.iter().filter(|file| file.dirty).map(|file| file.next).min()
    }

    /// A file whose last write failed.
    pub fn failing(&self) -> Option<&Path> {
        let failing = self.files.iter().find(|file| !file.backoff.is_zero())?;
        Some(&failing.view.path)
    }

    /// The public address of the page that shows `channel`, if it is known.
    pub fn page(&self, channel: &str) -> Option<&str> {
        let mut views = self.files.iter().map(|file| file.view);
        let is_page = |view: &&View| matches!(view.format, Format::Page(_)) && view.shows(channel);
        views.find(is_page)?.url.as_deref()
    }

    /// Writes the files that are due. Logs a failure and tries again later.
    pub fn publish(&mut self, journal: &Journal, now: Instant) {
        for file in &mut self.files {
            if file.dirty && file.next <= now {
                file.update(journal, now, self.pause);
            }
        }
    }
}

impl Watched<'_> {
    fn update(&mut self, journal: &Journal, now: Instant, pause: Duration) {
        let path = self.view.path.display();
        if let Err(e) = write(self.view, journal) {
            self.backoff = (self.backoff * 2).clamp(FIRST_BACKOFF, FIRST_BACKOFF * 15);
            self.next = now + self.backoff;
            let (why, wait) = (log::os_error(&e), self.backoff.as_secs());
            return log!("{ERROR}{path}: {why}; next try in {wait} s");
        }
        if !self.backoff.is_zero() {
            log!("{path}: can be written again");
        }
        self.dirty = false;
        self.next = now + pause;
        self.backoff = Duration::ZERO;
    }
}

/// Brings the file up to date with the journal. Does not touch a file that would not change.
fn write(view: &View, journal: &Journal) -> io::Result<()> {
    let (mut entries, has_older) = view.links(journal)?;
    let text = match &view.format {
        Format::Feed { about } => feed::render(view, about, view.changed(journal)?, &entries),
        Format::Page(page) => {
            // Links that were caught up are after later ones in the journal.
            entries.sort_by_key(|entry| Reverse(entry.link.posted));
            page.render(view, &entries, has_older)
        }
    };
    replace(&view.path, text.as_bytes())
}

#[cfg(test)]
#[path = "../tests/unit/publish.rs"]
mod tests;
