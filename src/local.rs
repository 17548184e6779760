//! The commands of YOUR fork. Upstream never edits this file, so merging upstream never conflicts
//! here.
//!
//! A command is one function and one row of `COMMANDS`. A row here overrides a built-in row of the
//! same name. The functions in `HEARD` get every line that is not a command: all of them run, in
//! order, and each may reply.
//!
//! A function returns `Ok(reply)`, `Ok(String::new())` to send nothing, or `Err(what was wrong)`.
//! An error of a command is sent with the person's nick in front. In `HEARD`, an error of a
//! `Run::Save` function is logged, and one of a `Run::Look` function is dropped. Start a reply with
//! fixed words, never with a user's. `\n` starts a new line, and a line that is too long for IRC is
//! truncated.
//!
//! - `Run::Look` is for a function that only reads. It is skipped for someone over the rate limit.
//! - `Run::Save` is for a function that changes anything, even a file of your own. It is never
//!   skipped, and its reply waits until the journal is on disk. It also gets replayed lines, which
//!   people wrote while linkbot was away: then `request.history` is true, and no reply is sent.
//!
//! What a function can use:
//!
//! - `request.args`: the text after the command's name, or the whole line in `HEARD`. Also
//!   `request.nick`, `account`, `channel`, `posted` and `history`.
//! - `bot.link(request)?`: the link in the arguments. The error explains what is missing.
//! - `bot.save(Action::Add, &link)?`: writes an event to the journal, which also updates the feed,
//!   the page and the bookmark account.
//! - `bot.channel_links(request, crate::journal::VIEW_WINDOW)`: the links of the channel in the
//!   newest 16 MiB of the journal (about 130,000 links), newest first. Each is an
//!   `io::Result<Entry>`: `entry.map_err(|e| format!("the journal cannot be read: {e}"))?.link`.
//! - `link.url`, `link.nick`, `link.posted`, and `link.title_and_tags()`: the title, and the tags
//!   as people typed them, without `#`.
//! - `unhighlighted(nick)`: the nick in a form that highlights no one.
//! - `age(duration)`: `5 min ago`.
//! - `could_not_save(error)`: the reply when a file cannot be written.
//! - `bot.config.local.get("name")`: the value of `local.name` in bot.conf.
//! - `file::beside(&bot.config.journal, ".thanks")`: the path of a file of your own,
//!   `links.tsv.thanks`.
//!
//! To try the examples, uncomment every line that starts with two slashes and a space. Comment them
//! out again before you commit: `.ci/run` uncomments them itself. Write your own functions below
//! them, and their tests in a new file, tests/local.rs; tests/console.rs shows how.

// use std::fs::OpenOptions;
// use std::io::Write;
//
// use crate::file;
// use crate::journal::Action;
use crate::bot::*;

pub const COMMANDS: &[Command] = &[
    // Command { name: "hello", example: "hello", help: "greets you", run: Run::Look(hello) },
    // Command {
    //     name: "read",
    //     example: "read http://www.example.com/ A Book",
    //     help: "saves a link that you want to read",
    //     run: Run::Save(read),
    // },
];

pub const HEARD: &[Run] = &[
    // Run::Look(welcome),
    // Run::Save(thanked),
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

// fn welcome(_: &Bot, request: &Request) -> Answer {
//     let is_thanked = request.args.contains("thanks");
//     Ok(if is_thanked { "you are welcome".into() } else { String::new() })
// }

// fn thanked(bot: &mut Bot, request: &Request) -> Answer {
//     if request.args.contains("thanks") {
//         let path = file::beside(&bot.config.journal, ".thanks");
//         let file = OpenOptions::new().create(true).append(true).open(path);
//         file.and_then(|mut file| writeln!(file, "{}", request.nick)).map_err(could_not_save)?;
//     }
//     Ok(String::new())
// }
