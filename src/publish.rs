//! Keeps the files that show the links up to date with the journal.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::feed::Feed;
use crate::journal::Journal;
use crate::log;

/// All files that show links. One that cannot be written holds up no other.
pub struct Publisher<'a> {
    files: Vec<File<'a>>,
    /// The least time between two writes of one file.
    pause: Duration,
}

struct File<'a> {
    feed: &'a Feed,
    /// The journal knows of more than the file shows.
    stale: bool,
    /// When it may be written again.
    next: Instant,
    /// The wait after a failure; zero while all goes well.
    wait: Duration,
}

impl<'a> Publisher<'a> {
    /// Every file is due: links or settings may be newer than it.
    pub fn new(feeds: &'a [Feed], pause: Duration, now: Instant) -> Publisher<'a> {
        let file = |feed| File { feed, stale: true, next: now, wait: Duration::ZERO };
        Publisher { files: feeds.iter().map(file).collect(), pause }
    }

    /// Something has changed in `channel`.
    pub fn touch(&mut self, channel: &str) {
        for file in &mut self.files {
            file.stale |= file.feed.channels.iter().any(|own| own == channel);
        }
    }

    /// When the next file is to be written; `None`: all are up to date.
    pub fn deadline(&self) -> Option<Instant> {
        self.files.iter().filter(|file| file.stale).map(|file| file.next).min()
    }

    /// A file that could not be written when it was tried last.
    pub fn failing(&self) -> Option<&Path> {
        self.files.iter().find(|file| !file.wait.is_zero()).map(|file| file.feed.path.as_path())
    }

    /// Writes what is due. What fails is logged and tried again after 1 min, doubling to 15.
    pub fn publish(&mut self, journal: &Journal, now: Instant) {
        for file in self.files.iter_mut().filter(|file| file.stale && file.next <= now) {
            match file.feed.publish(journal) {
                Ok(()) => {
                    if !file.wait.is_zero() {
                        log::line(format_args!("{}: written again", file.feed.path.display()));
                    }
                    (file.stale, file.next, file.wait) = (false, now + self.pause, Duration::ZERO);
                }
                Err(why) => {
                    file.wait = (file.wait * 2).clamp(Duration::from_secs(60), Duration::from_secs(15 * 60));
                    file.next = now + file.wait;
                    log::line(format_args!("{why}; next try in {} s", file.wait.as_secs()));
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "../tests/unit/publish.rs"]
mod tests;
