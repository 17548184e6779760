//! The tests of the modules whose public items are enough to test them. The others declare their own
//! tests, which see private items too.

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
