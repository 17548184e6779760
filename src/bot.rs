//! What a command sees, and the turn: run the commands of one take-in, commit, settle the answers.

use std::time::Instant;

use time::OffsetDateTime;

use crate::config::Config;
use crate::delivery::Delivery;
use crate::irc::Said;
use crate::journal::{Action, Journal};
use crate::link::Link;
use crate::log;
use crate::publish::Publisher;

/// A command is one function and one row of a table.
pub struct Command {
    pub name: &'static str,
    /// The command as a person would type it, without the prefix.
    pub example: &'static str,
    pub help: &'static str,
    pub run: Run,
}

#[derive(Clone, Copy)]
pub enum Run {
    /// Only looks: may be skipped under pressure.
    Look(fn(&Bot, &Request) -> Answer),
    /// Writes to the journal: never skipped; its answer waits for the commit.
    Save(fn(&mut Bot, &Request) -> Answer),
}

/// The reply, or what was wrong; each line becomes one IRC line. Begins with fixed words, never with text
/// that a user chose: a bot with rights could be made to give orders to channel services.
pub type Answer = Result<String, String>;

/// A command that someone gave.
pub struct Request {
    /// As bot.conf spells it; `None`: in private.
    pub channel: Option<String>,
    pub nick: String,
    /// `user@host`; empty in the console.
    pub host: String,
    /// The services account; empty where unknown.
    pub account: String,
    pub posted: OffsetDateTime,
    pub name: String,
    /// What follows the name.
    pub args: String,
}

impl Request {
    /// Takes what was said apart into the command's name and what follows it.
    pub fn new(said: Said) -> Request {
        let Said { channel, nick, host, account, text, posted } = said;
        let (name, args) = text.split_once(char::is_whitespace).unwrap_or((&text, ""));
        Request { channel, nick, host, account, posted, name: name.to_owned(), args: args.trim().to_owned() }
    }
}

/// What became of a request that was a command.
pub struct Settled {
    pub request: Request,
    pub answer: Answer,
    /// It was a [`Run::Save`].
    pub saves: bool,
}

/// What a command sees of linkbot.
pub struct Bot<'a> {
    pub config: &'a Config,
    pub journal: Journal,
    /// `None`: no account is configured.
    pub delivery: Option<Delivery>,
    pub publisher: Publisher<'a>,
    /// No two of one name.
    pub commands: Vec<&'static Command>,
    pub started: Instant,
}

impl Bot<'_> {
    /// Runs the commands among `requests`, puts on disk what they wrote, and only then says what they answer.
    /// Other bots share the prefix, so what is no command here gets no answer.
    pub fn turn(&mut self, requests: Vec<Request>, mut may_look: impl FnMut(&Request) -> bool) -> Vec<Settled> {
        if self.journal.check(self.delivery.as_ref().map(Delivery::cursor)) {
            self.config.irc.channels.iter().for_each(|channel| self.publisher.touch(&channel.name));
            self.delivery.iter_mut().for_each(Delivery::wake);
        }
        let mut replies = Vec::new();
        for request in requests {
            let Some(command) = self.command(&request.name) else { continue };
            // A link whispered to the bot must not become public: in private there is only help.
            if request.channel.is_none() && command.name != "help" {
                continue;
            }
            let answer = match command.run {
                Run::Look(_) if !may_look(&request) => continue,
                Run::Look(look) => look(self, &request),
                Run::Save(save) => save(self, &request),
            };
            replies.push(Settled { request, answer, saves: matches!(command.run, Run::Save(_)) });
        }
        if let Err(why) = self.journal.commit() {
            let failed = could_not_save(&why);
            for reply in replies.iter_mut().filter(|reply| reply.saves && reply.answer.is_ok()) {
                reply.answer = Err(failed.clone());
            }
        }
        replies
    }

    pub fn command(&self, name: &str) -> Option<&'static Command> {
        self.commands.iter().copied().find(|command| command.name.eq_ignore_ascii_case(name))
    }

    /// Writes an event of `link` to the journal. An error is for the person who gave the command.
    pub fn save(&mut self, action: Action, link: &Link) -> Result<(), String> {
        self.journal.append(action, link, OffsetDateTime::now_utc()).map_err(|why| could_not_save(&why))?;
        self.publisher.touch(&link.channel);
        if let Some(delivery) = &mut self.delivery {
            delivery.wake();
        }
        Ok(())
    }

    /// What was wrong, and how the command is used.
    pub fn usage(&self, request: &Request, wrong: &str) -> String {
        let example = self.command(&request.name).map_or("", |command| command.example);
        format!("{wrong}; usage: {}{example}", self.config.irc.prefix)
    }
}

fn could_not_save(why: &std::io::Error) -> String {
    format!("could not save: {}", log::os(why))
}
