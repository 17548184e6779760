//! Writes the feeds and pages when the journal has changed: at most once a second, and again after
//! a failure.

use std::{
    cmp::Reverse,
    io,
    time::{Duration, Instant},
};

use crate::{
    config::Config,
    file::replace,
    journal::{Journal, VIEW_WINDOW},
    log::{self, ERROR},
    view::{View, feed, page},
};

/// Keeps all feeds and pages up to date. A file that cannot be written does not hold up the others.
pub struct Publisher<'a> {
    config: &'a Config,
    files: Vec<Watched<'a>>,
    /// The shortest time between two writes of a file.
    pause: Duration,
}

struct Watched<'a> {
    view: &'a View,
    /// The journal may have changed since the last write.
    dirty: bool,
    /// The earliest time of the next write.
    next: Instant,
    /// The wait after the last failure, in seconds; zero if the last write succeeded. It doubles
    /// from one minute up to 15.
    backoff: u64,
}

impl<'a> Publisher<'a> {
    /// Marks every file as dirty: the journal or bot.conf may have changed.
    pub fn new(config: &'a Config, pause: Duration, now: Instant) -> Publisher<'a> {
        let watched = |view| Watched { view, dirty: true, next: now, backoff: 0 };
        Publisher { config, files: config.views.iter().map(watched).collect(), pause }
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
        self.files.iter().any(|file| file.backoff > 0)
    }

    /// Writes the files that are due. Logs a failure and tries again later.
    pub fn publish(&mut self, journal: &Journal, now: Instant) {
        for file in &mut self.files {
            if !file.dirty || now < file.next {
                continue;
            }
            let path = file.view.path.display();
            let written = text(self.config, file.view, journal)
                .and_then(|text| replace(&file.view.path, &text));
            if let Err(e) = written {
                let wait = (file.backoff * 2).clamp(60, 900);
                file.backoff = wait;
                file.next = now + Duration::from_secs(wait);
                log!("{ERROR}{path}: {}; next try in {wait} s", log::os_error(e));
                continue;
            }
            if file.backoff > 0 {
                log!("{path}: can be written again");
            }
            file.dirty = false;
            file.next = now + self.pause;
            file.backoff = 0;
        }
    }
}

/// The text of a file: the newest links of its channels.
pub fn text(config: &Config, view: &View, journal: &Journal) -> io::Result<String> {
    // Reads only as far as the last link that is shown: the whole window would take tens of
    // milliseconds, and the bot waits.
    let mut links = journal.links(VIEW_WINDOW, "", |channel| view.shows(channel));
    let mut entries: Vec<_> = links.by_ref().take(view.items).collect::<io::Result<_>>()?;
    if view.is_page {
        // In the journal, links saved by catch-up may follow links that were posted later.
        entries.sort_by_key(|entry| Reverse(entry.link.posted));
        return Ok(page::render(config, view, &entries, links.next().is_some()));
    }
    let mut events = journal.events(VIEW_WINDOW).map_while(Result::ok);
    let newest = events.find(|event| view.shows(&event.link.channel));
    Ok(feed::render(config, view, newest.map(|event| event.time), &entries))
}
