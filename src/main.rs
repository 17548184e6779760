#![forbid(unsafe_code)]
mod config;
mod delicious;
mod delivery;
mod feed;
mod irc;
mod journal;
mod link;
mod log;
fn main() {}
