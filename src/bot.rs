//! The API for commands, and batches of requests. Requests come in; this module runs their
//! commands, commits what they saved, and returns the outcomes. It uses no sockets: its callers
//! send the replies.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    io, mem,
    time::Instant,
};

use time::OffsetDateTime;

use crate::{
    config::Config,
    delivery::Delivery,
    irc::outbox::{Bucket, ReplyKind},
    journal::{Action, Entry, Event, Journal},
    link::{self, Link, begins_address},
    log,
    publish::Publisher,
    scan, title,
};

pub use crate::irc::Request;

/// A command: one function and one row of a table.
pub struct Command {
    /// In lower case; people may type it in any case.
    pub name: &'static str,
    /// The command as a person would type it, without the prefix.
    pub example: &'static str,
    pub help: &'static str,
    pub run: Run,
}

/// The function of a command, or one in `HEARD`, which gets the lines that are not commands.
#[derive(Clone, Copy)]
pub enum Run {
    /// Read-only. Skipped for replayed lines and for a person over the rate limit.
    Look(fn(&Bot, &Request) -> Answer),
    /// Changes something. Never skipped: it gets replayed lines too. The reply waits for the
    /// commit.
    Save(fn(&mut Bot, &Request) -> Answer),
}

/// How far back to look for an address, or for the event of a replayed line, in bytes: about 8,000
/// links.
pub const ADDRESS_WINDOW: u64 = 1 << 20;

/// The reply, or what was wrong. Each line of it becomes one IRC line; an empty reply is not sent.
/// A reply starts with fixed words, never with a user's text: if the bot has operator rights, that
/// text could be a command that channel services obey.
pub type Answer = Result<String, String>;

/// The outcome of a request.
pub struct Outcome {
    pub request: Request,
    pub answer: Answer,
    pub is_look: bool,
    /// The number of new links.
    pub links: usize,
}

impl Outcome {
    /// How the reply may be dropped or merged. `None`: it is not sent, because the request was
    /// replayed, or because it is an error of a function in `HEARD`.
    pub fn kind(&self) -> Option<ReplyKind> {
        match self.answer {
            _ if self.request.history => None,
            Err(_) if self.request.example.is_empty() => None,
            Err(_) => Some(ReplyKind::Failed),
            Ok(_) if self.is_look => Some(ReplyKind::Look),
            Ok(_) => Some(ReplyKind::Saved),
        }
    }

    /// False if the reply is `could not save: ...`.
    pub fn is_saved(&self) -> bool {
        !matches!(&self.answer, Err(why) if why.starts_with("could not save: "))
    }

    /// The reply. An error starts with the nick of the person it is for.
    pub fn text(&self) -> String {
        match &self.answer {
            Ok(text) => text.clone(),
            Err(wrong) => format!("{}: {wrong}", self.request.nick),
        }
    }
}

/// The parts of linkbot that a command can use.
pub struct Bot<'a> {
    pub config: &'a Config,
    pub journal: Journal,
    /// `None`: no bookmark account is configured.
    pub delivery: Option<Delivery>,
    pub publisher: Publisher<'a>,
    /// By name.
    pub commands: BTreeMap<&'static str, &'static Command>,
    heard: Vec<Run>,
    pub started: Instant,
    /// The actions that the running function wrote.
    saved: Vec<Action>,
    /// True if the running request was replayed: the journal may have it already.
    history: bool,
    /// For `.keep`: the last link posted in each channel without a command.
    pub last_posted: HashMap<Option<String>, Link>,
    /// The times of events that belong to the replayed requests with the current posting time. Any
    /// other event with that posting time belongs to a request that has not been replayed yet.
    replayed: Vec<OffsetDateTime>,
    /// Token buckets by purpose and person.
    buckets: HashMap<String, Bucket>,
}

impl<'a> Bot<'a> {
    pub fn new(
        config: &'a Config,
        journal: Journal,
        delivery: Option<Delivery>,
        publisher: Publisher<'a>,
        commands: BTreeMap<&'static str, &'static Command>,
        heard: Vec<Run>,
    ) -> Self {
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
            buckets: HashMap::new(),
        }
    }

    /// Runs `requests`, commits what they saved, and returns the outcomes. If the commit fails,
    /// every save becomes an error.
    pub fn run_batch(&mut self, requests: Vec<Request>) -> Vec<Outcome> {
        let pending = self.delivery.as_ref().map_or(u64::MAX, Delivery::position);
        let is_edited = self.journal.check(pending);
        if is_edited {
            for channel in &self.config.irc.channels {
                self.publisher.mark_dirty(&channel.name);
            }
        }
        let mut outcomes = Vec::new();
        for request in requests {
            self.history = request.history;
            if !request.same_moment {
                self.replayed.clear();
            }
            self.run(request, &mut outcomes);
        }
        let committed = self.journal.commit();
        if let Some(delivery) = &mut self.delivery
            && (is_edited || !outcomes.is_empty())
        {
            delivery.refresh(&self.journal, Instant::now());
        }
        if let Err(why) = committed {
            for outcome in &mut outcomes {
                if !outcome.is_look && outcome.answer.is_ok() {
                    outcome.answer = Err(could_not_save(&why));
                }
            }
        }
        outcomes
    }

    fn run(&mut self, mut request: Request, outcomes: &mut Vec<Outcome>) {
        let functions = self.functions_for(&mut request);
        // Check the limit first: a look must not run if its reply would be dropped.
        let now = Instant::now();
        let may_look = !request.history && self.lookups(&request).next <= now;
        for run in functions {
            let (answer, is_look) = match run {
                Run::Look(look) if may_look => (look(self, &request), true),
                Run::Look(_) => continue,
                Run::Save(save) => (save(self, &request), false),
            };
            let saved = mem::take(&mut self.saved);
            if saved.is_empty() && answer == Ok(String::new()) {
                continue;
            }
            let links = saved.iter().filter(|&&action| action == Action::Add).count();
            if is_look {
                self.lookups(&request).take(now);
            }
            outcomes.push(Outcome { request: request.clone(), answer, is_look, links });
        }
    }

    /// The rate limit for lookups, per person.
    fn lookups(&mut self, request: &Request) -> &mut Bucket {
        self.bucket("lookups", &request.host, 3, 10)
    }

    /// The bucket of a person or a host for one purpose; `every` is the seconds between two tokens.
    /// In the console, where `who` is empty, it is always full.
    pub fn bucket(&mut self, purpose: &str, who: &str, most: u32, every: u64) -> &mut Bucket {
        // Bounds the memory.
        if self.buckets.len() >= 1024 || who.is_empty() {
            self.buckets.clear();
        }
        self.buckets
            .entry(format!("{purpose} {who}"))
            .or_insert_with(|| Bucket::new(most, every, Instant::now()))
    }

    /// Returns the functions for a request: its command's, or those in `HEARD`. Sets `args` to
    /// what these functions get, and sets `example`.
    fn functions_for(&self, request: &mut Request) -> Vec<Run> {
        let said = mem::take(&mut request.args);
        let unprefixed = said.strip_prefix(&self.config.irc.prefix);
        let (name, args) = split_name(unprefixed.unwrap_or(&said));
        let asks = said.is_empty() || said.contains('?') || name.to_lowercase().starts_with("help");
        let is_addressed = request.is_named || unprefixed.is_some();
        let (name, args) = if request.channel.is_none() {
            // A link sent in private must not become public.
            ("help", args)
        } else if is_addressed && self.command(name).is_some() {
            (name, args)
        } else if request.is_named && scan::has_address(&said) {
            ("url", &*said)
        } else if request.is_named && asks {
            ("help", &*said)
        } else {
            // Other bots may share the prefix.
            ("", &*said)
        };
        request.args = args.to_owned();
        match self.command(name) {
            Some(command) => {
                request.example = command.example;
                vec![command.run]
            }
            None => self.heard.clone(),
        }
    }

    pub fn command(&self, name: &str) -> Option<&'static Command> {
        self.commands.get(name.to_ascii_lowercase().as_str()).copied()
    }

    /// Returns the link in the arguments of `request`: one address, and a title around it. An error
    /// explains what is missing or wrong.
    pub fn link(&self, request: &Request) -> Result<Link, String> {
        if is_off(&request.args) {
            return Err("not saved: you said [off]".into());
        }
        let (found, title) = scan::read(&request.args, request.is_cut);
        let wrong = match &found[..] {
            [] => "the address is missing",
            [Err(wrong)] => wrong,
            [Ok(url)] if !title::split_tags(&title).0.is_empty() => {
                return Ok(link_of(request, url.clone(), title));
            }
            [_] if request.is_cut => "the title is missing: IRC cut your line at 512 bytes",
            [_] => "the title is missing",
            _ => "one address at a time, please",
        };
        Err(format!("{wrong}; usage: {}{}", self.config.irc.prefix, request.example))
    }

    /// The links of the request's channel in the newest `window` bytes of the journal, newest
    /// first.
    pub fn channel_links(
        &self,
        request: &Request,
        window: u64,
    ) -> impl Iterator<Item = io::Result<Entry>> {
        self.journal.links(window, "", |channel| request.channel.as_deref() == Some(channel))
    }

    /// Appends an event for `link` to the journal. An error is for the person who made the request.
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

    /// True if a replayed request was run before: the journal has its event, or a later one that
    /// overrides it. For `.undo` that event is a `remove`, and the address of `link` is empty if
    /// the request has none.
    pub fn already_recorded(&mut self, link: &Link, is_undo: bool) -> Result<bool, String> {
        if !self.history {
            return Ok(false);
        }
        let key = link::comparison_key(&link.url);
        let (mut candidates, mut is_overridden) = (Vec::new(), false);
        for event in self.journal.events(ADDRESS_WINDOW) {
            let Event { time, action, link: other } = event.map_err(could_not_save)?;
            let other_key = link::comparison_key(&other.url);
            if other.channel != link.channel
                || self.replayed.contains(&time)
                || !key.is_empty() && other_key != key
            {
                continue;
            }
            // Some servers truncate the times of replayed lines to the second.
            let is_same_moment =
                [other.posted, other.posted.truncate_to_second()].contains(&link.posted);
            if !is_same_moment {
                is_overridden |= !key.is_empty() && other.posted > link.posted;
            } else if other.nick == link.nick && is_undo == (action == Action::Remove) {
                candidates.push((time, other_key));
            } else if !is_undo {
                is_overridden |= matches!(action, Action::Remove | Action::Title);
            } else if action == Action::Add {
                // The replay has not reached the line that added this link, so its `remove` is not
                // from this `.undo`.
                candidates.retain(|(_, removed)| *removed != other_key);
            }
        }
        // The events came newest first. If several match, use the oldest.
        let recorded = candidates.pop().map(|(time, _)| time);
        self.replayed.extend(recorded);
        Ok(recorded.is_some() || is_overridden)
    }

    /// False if a replayed line, posted at `posted`, would change an `entry` that is newer.
    pub fn may_change(&self, entry: &Entry, posted: OffsetDateTime) -> bool {
        !self.history || entry.link.posted < posted || self.replayed.contains(&entry.time)
    }
}

/// Splits what was said into a command's name and its arguments. `.keep-alive` and `.url's` are
/// words, not commands.
fn split_name(said: &str) -> (&str, &str) {
    let mut ends = said.char_indices();
    let is_end = |&(i, c): &(usize, char)| !c.is_alphanumeric() || begins_address(&said[i..]);
    let end = ends.find(is_end).map_or(said.len(), |(i, _)| i);
    let (name, args) = said.split_at(end);
    if args.starts_with(['-', '/', '\'', '’']) {
        return ("", said);
    }
    (name, args.trim_start_matches(|c| ":,;.!?=".contains(c)).trim())
}

/// True if a line asks not to be saved: it contains `[off]`.
pub fn is_off(text: &str) -> bool {
    title::normalize(text).to_lowercase().contains("[off]")
}

pub fn link_of(request: &Request, url: String, title: String) -> Link {
    let Request { channel, nick, account, posted, .. } = request.clone();
    Link { channel: channel.unwrap_or_default(), nick, account, url, title, posted }
}

/// A nick that highlights no one: with a zero-width space after its first character.
pub fn unhighlighted(nick: &str) -> String {
    format!("{nick:.1}\u{200b}{}", nick.chars().skip(1).collect::<String>())
}

pub fn age(age: time::Duration) -> String {
    match age.whole_minutes() {
        ..1 => "just now".into(),
        minutes @ 1..60 => format!("{minutes} min ago"),
        minutes @ 60..1440 => format!("{} h ago", minutes / 60),
        minutes => format!("{} d ago", minutes / 1440),
    }
}

pub fn could_not_save(why: impl Display) -> String {
    format!("could not save: {}", log::os_error(why))
}
