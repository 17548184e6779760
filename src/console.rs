//! The console: runs commands from standard input as if typed in the first channel, without a
//! network. Replies go to standard output.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    time::Instant,
};

use crate::{
    bot::{Bot, Request},
    irc::{
        self, Settings, VERSION,
        message::{self, LONGEST_LINE},
    },
    log,
};

/// Runs until standard input ends or standard output is closed.
pub fn run(bot: &mut Bot) -> Result<(), String> {
    let mut you = std::env::var("USER").unwrap_or_default();
    if !irc::is_nick(&you) {
        you = "you".into();
    }
    let Settings { prefix, channels, .. } = &bot.config.irc;
    let channel = &channels[0].name;
    if let Some(page) = bot.config.page(channel)
        && io::stdin().is_terminal()
    {
        let page = page.path.display();
        print(format_args!(
            "{VERSION}: you are {you} in {channel}; {prefix}help lists the commands; \
             your links will be in {page}: open it in a browser"
        ))?;
    }
    for line in io::stdin().lock().split(b'\n') {
        let line = line.map_err(|e| format!("standard input: {}", log::os_error(e)))?;
        if line.len() > LONGEST_LINE {
            log!("the line is longer than {LONGEST_LINE} bytes; nothing was saved");
            continue;
        }
        let outcomes = bot.run_batch(vec![request(bot, &you, &line)]);
        bot.publisher.publish(&bot.journal, Instant::now());
        for outcome in outcomes {
            // An empty reply has no line.
            outcome.text().lines().try_for_each(print)?;
        }
    }
    Ok(())
}

/// Prints a line on standard output.
pub fn print(text: impl std::fmt::Display) -> Result<(), String> {
    writeln!(io::stdout(), "{text}").map_err(|e| format!("standard output: {}", log::os_error(e)))
}

/// Returns the request in a line. `<bob> .url ...` is from bob; `<http://x/>` contains no nick, so
/// that line is yours.
fn request(bot: &Bot, you: &str, line: &[u8]) -> Request {
    let settings = &bot.config.irc;
    let line = message::text(line.trim_ascii());
    let speaker = line.strip_prefix('<').and_then(|line| line.split_once('>'));
    let (nick, text) = speaker.filter(|(nick, _)| irc::is_nick(nick)).unwrap_or((you, &line));
    let case = irc::names::CaseMapping::Rfc1459;
    let (is_named, args) = irc::without_nick(text, &[&settings.nick], case);
    Request {
        channel: Some(settings.channels[0].name.clone()),
        nick: nick.to_owned(),
        host: String::new(),
        account: String::new(),
        case,
        posted: time::OffsetDateTime::now_utc(),
        history: false,
        same_moment: false,
        is_named,
        example: "",
        args: args.to_owned(),
        is_cut: false,
    }
}
