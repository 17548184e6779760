//! The links of some channels as an RSS 2.0 file.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::journal::Journal;
use crate::link::LogUrl;
use crate::log;

/// One feed file: where it is, and what goes into it.
#[derive(Clone, Debug)]
pub struct Feed {
    pub path: PathBuf,
    /// The channels whose links it holds, spelt as in bot.conf.
    pub channels: Vec<String>,
    pub title: String,
    /// The public address of the feed, if it is known.
    pub url: Option<String>,
    /// What the feed is about, where `url` is not known: `ircs://host/channel`.
    pub channel_url: String,
    /// How many of the newest links it shows.
    pub items: usize,
    pub log_url: Option<LogUrl>,
}

impl Feed {
    /// Brings the file up to date with the journal; a file that would not change is not touched.
    ///
    /// An error names the file and says what is wrong with it.
    pub fn publish(&self, _journal: &Journal) -> Result<(), String> {
        todo!()
    }
}

/// Keeps the feed files up to date with the journal.
pub struct Publisher<'a> {
    feeds: &'a [Feed],
    /// Which feeds are out of date.
    stale: Vec<bool>,
    /// The wait after a failure; zero while all goes well.
    wait: Duration,
    again: Option<Instant>,
}

impl<'a> Publisher<'a> {
    /// Brings every feed up to date. An error names the file and says what is wrong with it.
    pub fn new(feeds: &'a [Feed], journal: &Journal) -> Result<Publisher<'a>, String> {
        feeds.iter().try_for_each(|feed| feed.publish(journal))?;
        Ok(Publisher { feeds, stale: vec![false; feeds.len()], wait: Duration::ZERO, again: None })
    }

    /// When a failed write is tried again; `None`: all is well.
    pub fn deadline(&self) -> Option<Instant> {
        self.again
    }

    /// Writes the feeds of the channels `touched`, and those that failed before once it is time again:
    /// after 1 min, doubling to 15.
    pub fn publish(&mut self, journal: &Journal, touched: Vec<String>, now: Instant) {
        for (feed, stale) in self.feeds.iter().zip(&mut self.stale) {
            *stale |= feed.channels.iter().any(|channel| touched.contains(channel));
        }
        if !self.stale.contains(&true) || self.again.is_some_and(|again| now < again) {
            return;
        }
        self.again = None;
        for (feed, stale) in self.feeds.iter().zip(&mut self.stale).filter(|(_, stale)| **stale) {
            match feed.publish(journal) {
                Ok(()) => *stale = false,
                Err(why) => {
                    if self.again.is_none() {
                        self.wait = (self.wait * 2).clamp(Duration::from_secs(60), Duration::from_secs(15 * 60));
                        self.again = Some(now + self.wait);
                    }
                    log::line(format_args!("{why}; next try in {} s", self.wait.as_secs()));
                }
            }
        }
        if self.again.is_none() {
            if !self.wait.is_zero() {
                log::line("the feed is written again");
            }
            self.wait = Duration::ZERO;
        }
    }
}
