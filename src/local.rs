//! The commands of YOUR fork. Upstream never edits this file, so merging upstream never conflicts here.
//!
//! A command is one function and one row of the table; a row here wins over one of the same name that
//! comes with linkbot. It returns what the bot shall say: begin with fixed words, not with a user's.
//! Uncomment every line that begins with two slashes and a blank: `.hello` looks, `.read` saves, and the
//! last function hears every line that is no command.

// use crate::bot::{Answer, Bot, Request, Run};
// use crate::journal::Action;
use crate::bot::{Command, Heard};

pub const COMMANDS: &[Command] = &[
    // Command { name: "hello", example: "hello", help: "greets you", run: Run::Look(hello) },
    // Command { name: "read", example: "read http://www.example.com/ A Book", help: "to read", run: Run::Save(read) },
];

pub const HEARD: &[Heard] = &[
    // Heard::Look(thanked),
];

// fn hello(bot: &Bot, request: &Request) -> Answer {
//     let greeting = bot.config.local.get("greeting").map_or("hello", String::as_str);
//     Ok(format!("{greeting}, {}", request.nick))
// }

// fn read(bot: &mut Bot, request: &Request) -> Answer {
//     let mut link = bot.link(request)?;
//     link.title += " #toread";
//     bot.save(Action::Add, &link)?;
//     Ok(format!("to read: {}", link.title_and_tags().0))
// }

// fn thanked(_: &Bot, request: &Request) -> Option<Answer> {
//     request.args.contains("thanks").then(|| Ok("you are welcome".into()))
// }
