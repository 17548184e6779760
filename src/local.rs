//! The commands of YOUR fork. Upstream never edits this file, so merging upstream never conflicts here.
//!
//! A command is one function and one row of the table; a row here wins over one of the same name that
//! comes with linkbot. It returns what the bot shall say: begin with fixed words, not with a user's.
//! Uncomment every line that begins with two slashes and a blank for a working `.hello`.

// use crate::bot::{Answer, Bot, Request, Run};
use crate::bot::Command;

pub const COMMANDS: &[Command] = &[
    // Command { name: "hello", example: "hello", help: "greets you", run: Run::Look(hello) },
];

// fn hello(_: &Bot, request: &Request) -> Answer {
//     Ok(format!("hello, {}", request.nick))
// }
