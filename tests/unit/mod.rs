//! Tests that use only public items of the modules. Other modules declare their own tests, which
//! can use private items too.

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
