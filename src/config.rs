//! bot.conf: `key = value` lines.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::link::LogUrl;
use crate::{delicious, feed, irc};

/// bot.conf, read and found good.
pub struct Config {
    pub server: irc::connection::Settings,
    pub irc: irc::Settings,
    /// Before the first new try of a lost connection.
    pub reconnect: Duration,
    pub journal: PathBuf,
    pub feeds: Vec<feed::Feed>,
    pub log_url: Option<LogUrl>,
    pub account: Option<delicious::Settings>,
    /// What no log line may show.
    pub secrets: Vec<String>,
    /// What the operator should hear once at start.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads bot.conf and the PEM files that it names.
    ///
    /// An error is one line, `bot.conf:12: key: what is wrong, what would be right`.
    pub fn read(_path: &Path) -> Result<Config, String> {
        todo!()
    }
}
