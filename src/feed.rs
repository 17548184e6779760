//! The links of some channels as an RSS 2.0 file.

use std::path::PathBuf;

use crate::journal::Journal;
use crate::link::LogUrl;

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
