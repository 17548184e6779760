//! Tests that use only public items of the modules. Other modules declare their own tests, which
//! can use private items too.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::journal::Journal;

mod bytes;
mod commands;
mod connection;
mod delivery;
mod feed;
mod file;
mod last_seen;
mod link;
pub mod log;
mod log_url;
mod message;
mod names;
mod page;
mod publish;
mod scan;
mod title;

/// Opens a journal that was closed a moment ago. A child process that another test starts holds
/// copies of all open files, and so the lock, until it calls exec.
pub fn open(path: &Path) -> Journal {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match Journal::open(path) {
            Err(why) if why.contains("in use") && Instant::now() < deadline => {
                thread::yield_now();
            }
            opened => return opened.unwrap(),
        }
    }
}
