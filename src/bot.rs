//! What a command sees, and the turn: run the commands of one take-in, commit, settle the answers.

use std::fmt::Display;
use std::time::Instant;

use time::OffsetDateTime;

use crate::config::Config;
use crate::delivery::Delivery;
use crate::irc::history::SLACK;
use crate::irc::{Form, MAX_CLOCK_SKEW};
use crate::journal::{Action, Event, Journal};
use crate::link::{self, Link};
use crate::log;
use crate::publish::Publisher;
use crate::title;

pub use crate::irc::Request;

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

const PRIVATE: &str = "only in a channel: what is said here stays here";

/// Takes a line that is no command. What it answers is paced like a look, what it saves is committed like a save.
pub type Heard = fn(&mut Bot, &Request) -> Option<Answer>;

/// The reply, or what was wrong; each line becomes one IRC line. A reply begins with fixed words, never with text
/// that a user chose: a bot with rights could be made to give orders to channel services.
pub type Answer = Result<String, String>;

/// What became of a request.
pub struct Outcome {
    pub request: Request,
    pub answer: Answer,
    /// It is a [`Run::Save`]'s, or something was written.
    pub saves: bool,
    /// For the log only.
    pub silent: bool,
    /// How many links are new.
    pub links: usize,
}

impl Outcome {
    /// As it is said: what was wrong begins with the nick of who is meant.
    pub fn text(&self) -> String {
        match &self.answer {
            Err(wrong) if self.request.channel.is_some() => {
                format!("{}: {wrong}", self.request.nick)
            }
            Ok(text) | Err(text) => text.clone(),
        }
    }
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
    pub heard: [&'static [Heard]; 2],
    pub started: Instant,
    /// What the request that runs now has written.
    pub written: Vec<Action>,
    /// It is told from history, which may tell what is in the journal.
    pub history: bool,
}

impl Bot<'_> {
    /// Runs the commands among `requests`, puts on disk what they wrote, and only then says what they answer.
    pub fn run_batch(
        &mut self,
        requests: Vec<Request>,
        mut may_look: impl FnMut(&Request) -> bool,
    ) -> Vec<Outcome> {
        if self.journal.check(self.delivery.as_ref().map(|delivery| delivery.cursor)) {
            self.config
                .irc
                .channels
                .iter()
                .for_each(|channel| self.publisher.mark_dirty(&channel.name));
            self.delivery.iter_mut().for_each(Delivery::wake);
        }
        let mut replies: Vec<Outcome> =
            requests.into_iter().filter_map(|request| self.run(request, &mut may_look)).collect();
        if let Err(why) = self.journal.commit() {
            let failed = could_not_save(why);
            for reply in replies.iter_mut().filter(|reply| reply.saves && reply.answer.is_ok()) {
                reply.answer = Err(failed.clone());
            }
        }
        replies
    }

    /// `None`: nothing is to be said, and nothing was written.
    fn run(
        &mut self,
        mut request: Request,
        may_look: &mut impl FnMut(&Request) -> bool,
    ) -> Option<Outcome> {
        if request.form == Form::Named && self.command(&request.name).is_none() {
            // Who calls it by its name gets an answer: an address is kept, anything else is a question for help.
            let args = format!("{} {}", request.name, request.args);
            let (name, args) =
                if is_address(&args) { ("url", args) } else { ("help", String::new()) };
            (request.name, request.args) = (name.to_owned(), args);
        }
        self.written.clear();
        self.history = request.history;
        let answer = self.answer(&request, || !request.history && may_look(&request));
        let written = self.written.len();
        let heard = || (written > 0).then(|| Ok(format!("captured: {written}")));
        let silent = answer.is_none() || request.history;
        let saves = written > 0
            || matches!(self.command(&request.name), Some(Command { run: Run::Save(_), .. }));
        let links = self.written.iter().filter(|action| **action == Action::Add).count();
        Some(Outcome { answer: answer.or_else(heard)?, saves, silent, links, request })
    }

    fn answer(&mut self, request: &Request, mut may_look: impl FnMut() -> bool) -> Option<Answer> {
        let Some(command) = self.command(&request.name) else {
            // Other bots share the prefix, so what is no command here gets no answer.
            let heard = self.heard.into_iter().flatten().filter(|_| request.form == Form::Talk);
            // Each hears it, and the first that answers is told.
            return heard
                .map(|heard| heard(self, request))
                .fold(None, Option::or)
                .filter(|_| may_look());
        };
        match command.run {
            // A link whispered to the bot must not become public.
            _ if request.channel.is_none() && command.name != "help" => {
                may_look().then(|| Err(PRIVATE.into()))
            }
            Run::Look(look) => may_look().then(|| look(self, request)),
            Run::Save(save) => Some(save(self, request)),
        }
    }

    pub fn command(&self, name: &str) -> Option<&'static Command> {
        self.commands.iter().copied().find(|command| command.name.eq_ignore_ascii_case(name))
    }

    /// The link that the words of `request` make: an address, and then a title. An error says how it is done.
    pub fn link(&self, request: &Request) -> Result<Link, String> {
        let usage = |wrong: &str| {
            let example = self.command(&request.name).map_or("", |command| command.example);
            format!("{wrong}; usage: {}{example}", self.config.irc.prefix)
        };
        // What ends the address goes with the title: it may be a colour, with digits behind it.
        let end = request.args.find(ends_word).filter(|&end| end > 0).unwrap_or(request.args.len());
        let (address, title) = request.args.split_at(end);
        if address.is_empty() {
            return Err(usage("the address and the title are missing"));
        }
        if !is_address(address) && title.split_whitespace().any(is_address) {
            return Err(usage("the address comes first"));
        }
        let url = link::address(address).map_err(|wrong| usage(&wrong))?;
        let title = title::normalize(title);
        if link::split_tags(&title).0.is_empty() {
            return Err(usage("the title is missing"));
        }
        Ok(link_of(request, url, title))
    }

    /// Writes an event of `link` to the journal. An error is for the person who made the request.
    pub fn save(&mut self, action: Action, link: &Link) -> Result<(), String> {
        if action != Action::Remove && self.is_told(link)? {
            return Ok(());
        }
        self.journal.append(action, link, OffsetDateTime::now_utc()).map_err(could_not_save)?;
        self.written.push(action);
        self.publisher.mark_dirty(&link.channel);
        self.delivery.iter_mut().for_each(Delivery::wake);
        Ok(())
    }

    /// Whether history tells what the journal has: the link, what its poster said of it later, or its removal since
    /// then. Without an address: whether the poster has just removed any.
    pub fn is_told(&self, link: &Link) -> Result<bool, String> {
        let key = link::comparison_key(&link.url);
        for event in self.history.then(|| self.journal.events()).into_iter().flatten() {
            let Event { time, action, link: other } = event.map_err(could_not_save)?;
            // So much may the clocks differ.
            if time < link.posted - MAX_CLOCK_SKEW - SLACK {
                break;
            }
            let later = other.posted - link.posted;
            let is_same = link::comparison_key(&other.url) == key;
            let is_posters = other.nick == link.nick && later >= -SLACK;
            let is_it = match action {
                Action::Remove if key.is_empty() => is_posters && later <= SLACK,
                Action::Remove => is_same && later.is_positive(),
                _ => is_same && is_posters,
            };
            if is_it && other.channel == link.channel {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether a word is an address, or `<an address>`.
fn is_address(word: &str) -> bool {
    link::begins_address(word.strip_prefix('<').unwrap_or(word))
}

/// White space, and what nobody sees at the end of an address that was copied.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '\u{200b}' | '\u{feff}')
}

pub fn link_of(request: &Request, url: String, title: String) -> Link {
    let Request { channel, nick, account, posted, .. } = request;
    let channel = channel.clone().unwrap_or_default();
    Link { channel, nick: nick.clone(), account: account.clone(), url, title, posted: *posted }
}

pub fn could_not_save(why: impl Display) -> String {
    format!("could not save: {}", log::os_error(why))
}
