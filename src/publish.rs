//! Writes the feeds and pages when the journal has changed: at most once a second, and again after
//! a failure.

use std::cmp::Reverse;
use std::io;
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

    /// True if the last write of a file failed.
    pub fn is_failing(&self) -> bool {
        self.files.iter().any(|file| !file.backoff.is_zero())
    }

    /// The public address of the page that shows `channel`, if it is known.
    pub fn page(&self, channel: &str) -> Option<&str> {
        let views = self.files.iter().map(|file| file.view);
        let mut pages = views.filter(|view| matches!(view.format, Format::Page(_)));
        pages.find(|page| page.shows(channel))?.url.as_deref()
    }

    /// Writes the files that are due. Logs a failure and tries again later.
    pub fn publish(&mut self, journal: &Journal, now: Instant) {
        for file in &mut self.files {
            if !file.dirty || now < file.next {
                continue;
            }
            let path = file.view.path.display();
            if let Err(e) = write(file.view, journal) {
                file.backoff = (file.backoff * 2).clamp(FIRST_BACKOFF, FIRST_BACKOFF * 15);
                file.next = now + file.backoff;
                let (why, wait) = (log::os_error(e), file.backoff.as_secs());
                log!("{ERROR}{path}: {why}; next try in {wait} s");
                continue;
            }
            if !file.backoff.is_zero() {
                log!("{path}: can be written again");
            }
            file.dirty = false;
            file.next = now + self.pause;
            file.backoff = Duration::ZERO;
        }
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
