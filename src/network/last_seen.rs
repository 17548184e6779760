//! `links.tsv.heard`: when each channel was last seen, for catch-up after a restart. One line per
//! channel: its name, a tab, and the server's time. Takes those times from the session and gives
//! them to the next one.

use std::{fs, io};

use super::*;
use crate::{
    file,
    journal::{format_time, parse_time},
};

pub struct LastSeen<'a> {
    config: &'a Config,
    /// In the order of bot.conf; `None`: the channel is new to us.
    pub times: Vec<Option<OffsetDateTime>>,
    next_write: Instant,
    /// True if the last write failed.
    is_failing: bool,
}

impl<'a> LastSeen<'a> {
    /// Reads the file. A channel without a valid line is new to us, so we ask for no history.
    pub fn read(config: &'a Config) -> LastSeen<'a> {
        let path = file::beside(&config.journal, ".heard");
        let text = fs::read_to_string(&path).unwrap_or_else(|e| {
            if e.kind() != io::ErrorKind::NotFound {
                log!("{}: {}; linkbot cannot catch up", path.display(), log::os_error(e));
            }
            String::new()
        });
        let times = config.irc.channels.iter().map(|channel| {
            text.lines()
                .find_map(|line| parse_time(line.strip_prefix(&channel.name)?.strip_prefix('\t')?))
        });
        LastSeen { config, times: times.collect(), next_write: Instant::now(), is_failing: false }
    }

    /// Takes new times and writes them if they have changed: at most once a minute, and when the
    /// connection ends. Does not fsync.
    pub fn update(
        &mut self,
        times: impl Iterator<Item = Option<OffsetDateTime>>,
        now: Instant,
        is_end: bool,
    ) {
        if now < self.next_write && !is_end {
            return;
        }
        let times: Vec<_> = times.collect();
        if times == self.times && !self.is_failing {
            return;
        }
        // After a crash, the lines since the last write are replayed, and recognized.
        self.next_write = now + MINUTE;
        let channels = self.config.irc.channels.iter().zip(&times);
        let lines = channels.filter_map(|(channel, time)| {
            Some(format!("{}\t{}\n", channel.name, format_time((*time)?)))
        });
        let path = file::beside(&self.config.journal, ".heard");
        let written = file::replace(&path, &lines.collect::<String>()).map_err(log::os_error);
        log::written(
            &mut self.is_failing,
            &path,
            &written,
            "after a crash, more than the last minute will be replayed",
        );
        self.times = times;
    }
}
