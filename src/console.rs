//! The console: runs commands from standard input as if typed in the first channel, without a
//! network. Replies go to standard output.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Instant;

use time::OffsetDateTime;

use crate::bot::{Bot, Request};
use crate::irc::message::{self, LONGEST_LINE};
use crate::irc::names::CaseMapping;
use crate::irc::{self, VERSION};
use crate::{log, title};

/// Runs until standard input ends or standard output is closed.
pub fn run(bot: &mut Bot) -> Result<(), String> {
    let user = std::env::var("USER").ok().filter(|user| irc::is_nick(user));
    let you = user.unwrap_or_else(|| "you".into());
    if io::stdin().is_terminal() {
        say(&greeting(bot, &you));
    }
    for line in io::stdin().lock().split(b'\n') {
        let line = line.map_err(|e| format!("standard input: {}", log::os_error(&e)))?;
        if line.len() > LONGEST_LINE {
            log!("a line is longer than {LONGEST_LINE} bytes; nothing was saved");
            continue;
        }
        let outcomes = bot.run_batch(vec![request(bot, &you, &line)]);
        bot.publisher.publish(&bot.journal, Instant::now());
        for outcome in outcomes {
            if outcome.kind().is_some() {
                // An empty reply has no line.
                if !outcome.text().lines().all(say) {
                    return Ok(());
                }
            } else if let Err(why) = &outcome.answer {
                log::line(why);
            }
        }
    }
    Ok(())
}

/// False if standard output is closed.
fn say(text: &str) -> bool {
    writeln!(io::stdout(), "{text}").is_ok()
}

fn greeting(bot: &Bot, you: &str) -> String {
    let channel = &bot.config.irc.channels[0].name;
    let prefix = &bot.config.irc.prefix;
    let page =
        bot.config.page(channel).map(|view| view.path.display().to_string()).unwrap_or_default();
    format!(
        "{VERSION}: you are {you} in {channel}; {prefix}help lists the commands; \
         your links will be in {page}: open it in a browser"
    )
}

/// `<bob> .url ...` is from bob. `<http://x/>` is not a nick, so that line is yours.
fn request(bot: &Bot, you: &str, line: &[u8]) -> Request {
    let settings = &bot.config.irc;
    let line = message::text(line.trim_ascii());
    let line = title::without_colors(&line);
    let speaker = line.strip_prefix('<').and_then(|line| line.split_once('>'));
    let (nick, text) = speaker.filter(|(nick, _)| irc::is_nick(nick)).unwrap_or((you, &line));
    let case = CaseMapping::Rfc1459;
    let (form, args) = irc::split_command(text, settings, &settings.nick, case);
    Request {
        channel: Some(settings.channels[0].name.clone()),
        nick: nick.to_owned(),
        host: String::new(),
        account: String::new(),
        case,
        posted: OffsetDateTime::now_utc(),
        history: false,
        same_moment: false,
        form,
        name: String::new(),
        args: args.to_owned(),
        is_cut: false,
        room: usize::MAX,
    }
}
