//! The API for commands, and one batch of requests: run the commands, commit what they wrote, and return
//! the outcomes. Nothing here knows a socket; main.rs says where the outcomes go.

use std::collections::HashMap;
use std::fmt::Display;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::config::Config;
use crate::delivery::Delivery;
use crate::irc::Form;
use crate::irc::outbox::Limiter;
use crate::journal::{Action, Entry, Event, Journal};
use crate::link::{self, Link};
use crate::log;
use crate::publish::Publisher;
use crate::{scan, title};

pub use crate::irc::Request;

/// A command: one function and one row of a table.
pub struct Command {
    pub name: &'static str,
    /// The command as a person would type it, without the prefix.
    pub example: &'static str,
    pub help: &'static str,
    pub run: Run,
}

#[derive(Clone, Copy)]
pub enum Run {
    /// Read-only. Skipped for replayed lines and for a person over the rate limit.
    Look(fn(&Bot, &Request) -> Answer),
    /// Changes something. Never skipped; the reply waits for the commit.
    Save(fn(&mut Bot, &Request) -> Answer),
}

/// A function for the lines that are not commands.
#[derive(Clone, Copy)]
pub enum Heard {
    /// Read-only. Skipped for replayed lines and for a person over the rate limit.
    #[allow(dead_code, reason = "only a fork uses it")]
    Look(fn(&Bot, &Request) -> Option<Answer>),
    /// May save. Never skipped: it hears replayed lines too. The reply waits for the commit.
    Save(fn(&mut Bot, &Request) -> Option<Answer>),
}

/// How an error starts if something was not saved.
const COULD_NOT_SAVE: &str = "could not save: ";

/// How much of the journal's end is compared with a replayed line: about 8,000 links.
const RECOGNITION_WINDOW: u64 = 1 << 20;

/// The reply, or what was wrong; each line becomes one IRC line. A reply starts with fixed words, never
/// with text that a user chose: a bot with operator rights could be made to command channel services.
pub type Answer = Result<String, String>;

/// Where an outcome is reported.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// To the person who asked; may be dropped under the rate limit.
    Reply,
    /// To the person and to the log.
    ReplyAndLog,
    /// To the log only: captured, or replayed.
    Log,
}

/// The outcome of a request.
pub struct Outcome {
    pub request: Request,
    pub answer: Answer,
    pub report: Report,
    /// How many links are new.
    pub links: usize,
}

impl Outcome {
    /// False if the reply is `could not save: ...`.
    pub fn is_saved(&self) -> bool {
        !matches!(&self.answer, Err(why) if why.starts_with(COULD_NOT_SAVE))
    }

    /// The reply. An error in a channel starts with the nick of the person it is for.
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
    /// `None`: no bookmark account is configured.
    pub delivery: Option<Delivery>,
    pub publisher: Publisher<'a>,
    /// Names are unique.
    pub commands: Vec<&'static Command>,
    heard: [&'static [Heard]; 2],
    pub started: Instant,
    /// The actions written in this batch.
    saved: Vec<Action>,
    /// The request that runs now was replayed: the journal may have it already.
    history: bool,
    /// The last line with a link that was posted in each channel, and that is not saved.
    pub last_posted: HashMap<String, Request>,
    /// The events, by time, of the replayed requests with the posting time of the last one. Other events with that
    /// time belong to requests that are still to come.
    replayed: Vec<OffsetDateTime>,
    /// How often each person may make us look something up.
    lookups: Limiter,
    /// How many links of each person are captured.
    captures: Limiter,
    capture_warnings: Limiter,
}

impl<'a> Bot<'a> {
    pub fn new(
        config: &'a Config,
        journal: Journal,
        delivery: Option<Delivery>,
        publisher: Publisher<'a>,
        commands: Vec<&'static Command>,
        heard: [&'static [Heard]; 2],
    ) -> Bot<'a> {
        Bot {
            config,
            journal,
            delivery,
            publisher,
            commands,
            heard,
            started: Instant::now(),
            saved: Vec::new(),
            history: false,
            last_posted: HashMap::new(),
            replayed: Vec::new(),
            lookups: Limiter::new(3, Duration::from_secs(10)),
            captures: Limiter::new(20, Duration::from_secs(20)),
            capture_warnings: Limiter::new(1, Duration::from_secs(600)),
        }
    }

    /// Runs the commands among `requests` and commits what they wrote. Only then the outcomes are certain.
    pub fn run_batch(&mut self, requests: Vec<Request>) -> Vec<Outcome> {
        if self.journal.check(self.delivery.as_ref().map(Delivery::position)) {
            for channel in &self.config.irc.channels {
                self.publisher.mark_dirty(&channel.name);
            }
            self.refresh_delivery();
        }
        self.saved.clear();
        let mut outcomes = Vec::new();
        for request in requests {
            self.history = request.history;
            if !request.same_moment {
                self.replayed.clear();
            }
            self.run(request, &mut outcomes);
        }
        let committed = self.journal.commit();
        if !self.saved.is_empty() {
            self.refresh_delivery();
        }
        if let Err(why) = committed {
            let failed = could_not_save(why);
            for outcome in &mut outcomes {
                if outcome.report != Report::Reply && outcome.answer.is_ok() {
                    outcome.answer = Err(failed.clone());
                }
            }
        }
        outcomes
    }

    fn run(&mut self, mut request: Request, outcomes: &mut Vec<Outcome>) {
        if request.channel.is_none() {
            // A link whispered to the bot must not become public.
            if self.within_rate_limit(&request) {
                let answer = Ok(self.how_to_share());
                outcomes.push(Outcome { request, answer, report: Report::Reply, links: 0 });
            }
            return;
        }
        let Some(command) = self.called(&mut request) else {
            return self.hear(request, outcomes);
        };
        match command.run {
            Run::Look(look) => {
                if !request.history && self.within_rate_limit(&request) {
                    let answer = look(self, &request);
                    outcomes.push(Outcome { request, answer, report: Report::Reply, links: 0 });
                }
            }
            Run::Save(save) => {
                let before = self.saved.len();
                let answer = save(self, &request);
                outcomes.push(self.saved_since(before, request, answer));
            }
        }
    }

    fn how_to_share(&self) -> String {
        let (prefix, channel) = (&self.config.irc.prefix, &self.config.irc.channels[0].name);
        format!("say {prefix}url ADDRESS TITLE in {channel}; {prefix}help there lists the rest")
    }

    /// The command that a request calls, if it calls one.
    fn called(&self, request: &mut Request) -> Option<&'static Command> {
        if request.form == Form::Talk {
            return None;
        }
        let said = &request.args;
        let (name, args) = said.split_at(said.find(ends_name).unwrap_or(said.len()));
        let mut command = self.command(name);
        let mut args = args.trim_start_matches([':', ',']).trim().to_owned();
        if command.is_none() && request.form == Form::Named {
            let is_question = said.is_empty() || said.contains('?');
            if scan::has_address(said) {
                (command, args) = (self.command("url"), said.clone());
            } else if is_question || said.to_ascii_lowercase().starts_with("help") {
                (command, args) = (self.command("help"), String::new());
            }
        }
        request.name = command?.name.to_owned();
        request.args = args;
        command
    }

    /// Passes a line that is not a command to every function in `HEARD`.
    fn hear(&mut self, mut request: Request, outcomes: &mut Vec<Outcome>) {
        request.args.clone_from(&request.text);
        // Asked before they run: nothing runs whose reply would then be dropped.
        let may_look = !request.history && self.lookups.has_token(&request.host, Instant::now());
        let mut has_looked = false;
        for heard in self.heard.into_iter().flatten() {
            let before = self.saved.len();
            match heard {
                Heard::Look(look) if may_look => {
                    let Some(answer) = look(self, &request) else { continue };
                    has_looked = true;
                    let request = request.clone();
                    outcomes.push(Outcome { request, answer, report: Report::Reply, links: 0 });
                }
                Heard::Look(_) => {}
                Heard::Save(save) => {
                    let answer = save(self, &request);
                    let saved = self.saved.len() - before;
                    if let Some(answer) = answer {
                        outcomes.push(self.saved_since(before, request.clone(), answer));
                    } else if saved > 0 {
                        let answer = Ok(format!("captured: {saved}"));
                        let outcome = self.saved_since(before, request.clone(), answer);
                        outcomes.push(Outcome { report: Report::Log, ..outcome });
                    }
                }
            }
        }
        if has_looked {
            self.within_rate_limit(&request);
        }
    }

    /// The outcome of a request that has written `saved[before..]`.
    fn saved_since(&self, before: usize, request: Request, answer: Answer) -> Outcome {
        let is_add = |action: &&Action| **action == Action::Add;
        let links = self.saved[before..].iter().filter(is_add).count();
        let report = if request.history { Report::Log } else { Report::ReplyAndLog };
        Outcome { request, answer, report, links }
    }

    /// True if this person may make us look something up now: 3 times at once, once more every 10 s.
    fn within_rate_limit(&mut self, request: &Request) -> bool {
        self.lookups.take(&request.host, Instant::now())
    }

    /// True if one more link of this person may be captured: 20 at once, one more every 20 s. A catch-up is
    /// bounded already.
    pub fn may_capture(&mut self, request: &Request) -> bool {
        let (host, now) = (&request.host, Instant::now());
        let may = request.history || self.captures.take(host, now);
        if !may && self.capture_warnings.take(host, now) {
            log::line(format_args!("too many links from {host}; not all of them are captured"));
        }
        may
    }

    fn refresh_delivery(&mut self) {
        if let Some(delivery) = &mut self.delivery {
            delivery.refresh(&self.journal, Instant::now());
        }
    }

    pub fn command(&self, name: &str) -> Option<&'static Command> {
        self.commands.iter().copied().find(|command| command.name.eq_ignore_ascii_case(name))
    }

    /// Returns the link in the arguments of `request`: one address, and a title around it. An error says how it is done.
    pub fn link(&self, request: &Request) -> Result<Link, String> {
        let usage = |wrong: &str| {
            let example = self.command(&request.name).map_or("", |command| command.example);
            format!("{wrong}; usage: {}{example}", self.config.irc.prefix)
        };
        let (mut found, title) = scan::read(&request.args, request.is_cut);
        if found.len() > 1 {
            return Err(usage("one address at a time, please"));
        }
        let url = found.pop().ok_or_else(|| usage("the address is missing"))?;
        let url = url.map_err(|wrong| usage(&wrong))?;
        if title::split_tags(&title).0.is_empty() {
            let cut = if request.is_cut { ": IRC cut your line at 512 bytes" } else { "" };
            return Err(usage(&format!("the title is missing{cut}")));
        }
        Ok(link_of(request, url, title))
    }

    /// Writes an event of `link` to the journal. An error is for the person who made the request.
    pub fn save(&mut self, action: Action, link: &Link) -> Result<(), String> {
        if action != Action::Remove && self.already_recorded(link, false)? {
            return Ok(());
        }
        let now = OffsetDateTime::now_utc();
        let time = self.journal.append(action, link, now).map_err(could_not_save)?;
        if self.history {
            self.replayed.push(time);
        }
        self.saved.push(action);
        self.publisher.mark_dirty(&link.channel);
        Ok(())
    }

    /// True if a replayed request was run before: the journal has its event, or a later one that overrides it.
    /// For `.undo` that event is a `remove`; without an address, `link` has an empty one.
    pub fn already_recorded(&mut self, link: &Link, is_undo: bool) -> Result<bool, String> {
        if !self.history {
            return Ok(false);
        }
        let key = link::comparison_key(&link.url);
        let (mut recorded, mut is_overridden) = (None, false);
        for event in self.journal.events(RECOGNITION_WINDOW) {
            let Event { time, action, link: other } = event.map_err(could_not_save)?;
            if other.channel != link.channel
                || other.posted < second_of(link.posted)
                || self.replayed.contains(&time)
                || !(key.is_empty() || link::comparison_key(&other.url) == key)
            {
                continue;
            }
            let is_posters = other.nick == link.nick;
            let is_removal = action == Action::Remove;
            if is_posters && is_removal == is_undo && is_same_moment(other.posted, link.posted) {
                // The events are newest first. Of several in one moment, the first is meant.
                recorded = Some(time);
            } else if !is_undo && other.posted >= link.posted {
                is_overridden |= is_removal || action == Action::Title;
            }
        }
        self.replayed.extend(recorded);
        Ok(recorded.is_some() || is_overridden)
    }

    /// True unless `entry` was posted after the replayed line that is to change it.
    pub fn may_change(&self, entry: &Entry, request: &Request) -> bool {
        !self.history || entry.link.posted < request.posted || self.replayed.contains(&entry.time)
    }
}

/// True for what ends the name of a command.
fn ends_name(c: char) -> bool {
    c.is_whitespace() || c.is_control() || title::is_invisible(c) || ":,<(\"".contains(c)
}

pub fn link_of(request: &Request, url: String, title: String) -> Link {
    let Request { channel, nick, account, posted, .. } = request;
    let channel = channel.clone().unwrap_or_default();
    Link { channel, nick: nick.clone(), account: account.clone(), url, title, posted: *posted }
}

/// True if a posting time of the journal is that of a replayed line: some servers replay whole seconds only.
fn is_same_moment(recorded: OffsetDateTime, replayed: OffsetDateTime) -> bool {
    recorded == replayed || second_of(recorded) == replayed
}

fn second_of(time: OffsetDateTime) -> OffsetDateTime {
    time.truncate_to_second()
}

pub fn could_not_save(why: impl Display) -> String {
    format!("{COULD_NOT_SAVE}{}", log::os_error(why))
}
