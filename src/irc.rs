//! What linkbot says and understands on IRC, as a state machine: lines in, bytes out, the clock as an
//! argument. It knows no socket, so every rule is tested by feeding it lines.
//!
//! Follows the Modern IRC Client Protocol (modern.ircdocs.horse) and IRCv3's capability-negotiation,
//! sasl-3.1, server-time, message-tags, account-tag, batch, bot-mode and chghost.

pub mod connection;
pub mod message;
pub mod names;
pub mod outbox;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::VERSION;
use connection::{End, Retry};
use message::Message;
use names::CaseMapping;
use outbox::{Bucket, Kind, Outbox};

/// The capabilities that are asked for where they are offered, besides `sasl`.
const CAPABILITIES: [&str; 3] = ["account-tag", "message-tags", "server-time"];

/// What servers tag the lines of bots with: the specification's name, and those from before it.
const BOT_TAGS: [&str; 3] = ["bot", "draft/bot", "inspircd.org/bot"];

/// 001 must come within this.
const REGISTER: Duration = Duration::from_secs(60);
const SASL: Duration = Duration::from_secs(30);
/// How long services may take to answer `on_connect` before channels are joined without them.
const SERVICES: Duration = Duration::from_secs(5);
/// After so much silence the server is asked whether it lives, and has `PONG` to say so.
const SILENCE: Duration = Duration::from_secs(90);
const PONG: Duration = Duration::from_secs(60);
/// How often a nick that someone else holds is asked for.
const RECLAIM: Duration = Duration::from_secs(5 * 60);
/// Before the first new try of a JOIN that may succeed later; doubles.
const JOIN_AGAIN: Duration = Duration::from_secs(10);
const JOIN_TRIES: u32 = 6;
const REJOIN: Duration = Duration::from_secs(60);
/// What becomes of a channel that is not tried again.
const WAITING: &str = "waiting for an INVITE or a restart";
/// A server-time is believed within this of the own clock.
const BELIEVABLE: time::Duration = time::Duration::minutes(10);

/// Who linkbot is on the network, and how it behaves there.
#[derive(Clone)]
pub struct Settings {
    pub nick: String,
    /// Who runs the bot; empty if bot.conf does not say.
    pub owner: String,
    pub channels: Vec<Channel>,
    pub server_password: Option<String>,
    pub sasl: Option<Sasl>,
    /// Raw lines sent after login, for networks without SASL.
    pub on_connect: Vec<String>,
    /// What a command begins with.
    pub prefix: String,
    /// Nicks, or `nick!user@host` masks with `*` and `?`.
    pub ignore: Vec<String>,
    /// Whether to try once, after 60 s, to return to a channel after a KICK.
    pub rejoin: bool,
    pub reply: Reply,
}

#[derive(Clone)]
pub struct Channel {
    /// As bot.conf spells it.
    pub name: String,
    pub key: Option<String>,
}

#[derive(Clone)]
pub enum Sasl {
    Plain {
        user: String,
        password: String,
    },
    /// By the TLS client certificate.
    External,
}

impl Sasl {
    /// What answers the server's `AUTHENTICATE +`, in base64 (RFC 4616); nothing for EXTERNAL.
    pub fn payload(&self) -> String {
        match self {
            Sasl::Plain { user, password } => BASE64.encode(format!("{user}\0{user}\0{password}")),
            Sasl::External => String::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Privmsg,
    Notice,
    /// Errors only, by PRIVMSG.
    Quiet,
}

/// The two clocks: one that only runs forward, for deadlines, and the wall's.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub instant: Instant,
    pub clock: OffsetDateTime,
}

/// A command that someone gave, without what made it one (the prefix, or the bot's name).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// As bot.conf spells it; `None`: said in private.
    pub channel: Option<String>,
    pub nick: String,
    /// `user@host`: who it is when the nick changes.
    pub host: String,
    /// The services account; empty where unknown.
    pub account: String,
    pub text: String,
    /// The server's time where it is believable, else the own clock's.
    pub posted: OffsetDateTime,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Capabilities are listed and asked for.
    Capabilities,
    /// AUTHENTICATE was sent, until the moment given.
    Login(Instant),
    /// CAP END was sent.
    Welcome,
    /// 001 was seen; 376 or 422 ends it.
    Burst,
    /// `on_connect` was sent; channels are joined when services answer, or at the moment given.
    Services(Instant),
    /// Channels were joined.
    Home,
}

/// One configured channel.
struct Membership<'a> {
    channel: &'a Channel,
    /// Lines with a server-time before this are replay; `None`: not in the channel.
    since: Option<OffsetDateTime>,
    /// When JOIN is sent again.
    again: Option<Instant>,
    tries: u32,
    /// Before this no INVITE makes us ask again: our JOIN has not been answered, or was refused just now.
    /// `None`: before the first JOIN, which comes by itself.
    invitable: Option<Instant>,
}

/// One connection's conversation with the server. Made anew for every connection.
pub struct Session<'a> {
    settings: &'a Settings,
    phase: Phase,
    started: Instant,
    registered: Option<Instant>,
    /// Why the connection is to be closed, once `take` has been written.
    end: Option<End>,
    out: String,
    log: Vec<String>,
    outbox: Outbox,

    offered: Vec<&'static str>,
    /// The value of the `sasl` capability: the mechanisms, empty where the server names none.
    sasl_offered: Option<String>,
    /// How many CAP REQ have not been answered.
    asked: usize,
    asked_singly: bool,
    sasl_granted: bool,

    nick: String,
    nick_tries: usize,
    reclaim: Option<Instant>,
    /// The length of `user@host` as the server shows it to others.
    mask: usize,
    case: CaseMapping,
    channel_types: Vec<u8>,
    nick_length: Option<usize>,
    line_length: usize,
    bot_mode: Option<char>,

    memberships: Vec<Membership<'a>>,
    /// The open batches that hold history, by their reference.
    history: Vec<Vec<u8>>,
    heard: Instant,
    /// When the server was asked whether it lives; it has not answered yet.
    pinged: Option<Instant>,
    /// The warning that the server's clock is wrong was given.
    warned: bool,
    patience: HashMap<String, Bucket>,
}

impl<'a> Session<'a> {
    /// Begins to register: the first lines are ready to [`take`](Session::take).
    pub fn new(settings: &'a Settings, now: Now) -> Session<'a> {
        let memberships = settings.channels.iter();
        let mut session = Session {
            settings,
            phase: Phase::Capabilities,
            started: now.instant,
            registered: None,
            end: None,
            out: String::new(),
            log: Vec::new(),
            outbox: Outbox::new(now.instant),
            offered: Vec::new(),
            sasl_offered: None,
            asked: 0,
            asked_singly: false,
            sasl_granted: false,
            nick: settings.nick.clone(),
            nick_tries: 0,
            reclaim: None,
            // The longest that servers allow, until the own JOIN tells.
            mask: "@".len() + 10 + 63,
            case: CaseMapping::Rfc1459,
            channel_types: b"#&".to_vec(),
            nick_length: None,
            line_length: 512,
            bot_mode: None,
            memberships: memberships
                .map(|channel| Membership { channel, since: None, again: None, tries: 0, invitable: None })
                .collect(),
            history: Vec::new(),
            heard: now.instant,
            pinged: None,
            warned: false,
            patience: HashMap::new(),
        };
        if let Some(password) = &settings.server_password {
            session.send("PASS", &[password]);
        }
        session.send("CAP", &["LS", "302"]);
        session.send("NICK", &[&settings.nick]);
        let realname = match settings.owner.as_str() {
            "" => VERSION,
            owner => &format!("{VERSION}, run by {owner}"),
        };
        session.send("USER", &["linkbot", "0", "*", realname]);
        session
    }

    /// The bytes that may leave now; the caller writes them all.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    /// What the operator should read, since the last call.
    pub fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    /// Why the connection is to be closed now, after the last bytes.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// For how long it has been registered.
    pub fn registered(&self, now: Instant) -> Duration {
        self.registered.map_or(Duration::ZERO, |since| now - since)
    }

    /// The next moment at which [`tick`](Session::tick) has something to do.
    pub fn deadline(&self) -> Instant {
        // Counted from the PING, not from the last byte: this process may have been stopped in between.
        let silent = self.pinged.map_or(self.heard + SILENCE, |asked| asked + PONG);
        let phase = match self.phase {
            Phase::Login(until) | Phase::Services(until) => Some(until),
            _ => None,
        };
        let register = self.registered.is_none().then(|| self.started + REGISTER);
        let again = self.memberships.iter().filter_map(|m| m.again);
        let others = [phase, register, self.reclaim, self.outbox.deadline()];
        again.chain(others.into_iter().flatten()).fold(silent, Instant::min)
    }

    /// Does what is due at `now`, and lets out what may be said now.
    pub fn tick(&mut self, now: Instant) {
        match self.phase {
            Phase::Login(until) if now >= until => self.login_failed("the server did not answer for 30 s"),
            Phase::Services(until) if now >= until => self.join_all(now),
            _ => {}
        }
        if self.registered.is_none() && now >= self.started + REGISTER {
            self.close(Retry::Soon, "the server did not let us in (no 001) for 60 s");
        }
        match self.pinged {
            Some(asked) if now >= asked + PONG => {
                self.close(Retry::Soon, "the server has been silent for 150 s: the connection is dead");
            }
            None if now >= self.heard + SILENCE => {
                self.pinged = Some(now);
                self.send("PING", &["linkbot"]);
            }
            _ => {}
        }
        if self.reclaim.is_some_and(|at| now >= at) {
            self.ask_for_nick(now);
        }
        for index in 0..self.memberships.len() {
            if self.memberships[index].again.is_some_and(|at| now >= at) {
                self.join(index, now);
            }
        }
        while let Some(line) = self.outbox.next(now) {
            let notice = self.settings.reply == Reply::Notice || line.text.starts_with('\x01');
            let verb = if notice { "NOTICE" } else { "PRIVMSG" };
            let text = self.cut(verb, &line.target, &line.text).to_owned();
            self.send(verb, &[&line.target, &text]);
        }
    }

    /// Takes one line of the server in. `Some`: it was a command for us.
    pub fn receive(&mut self, line: &[u8], now: Now) -> Option<Said> {
        self.heard = now.instant;
        self.pinged = None;
        let message = Message::parse(line)?;
        let registered = self.registered.is_some();
        let logging_in = matches!(self.phase, Phase::Login(_));
        match message.verb {
            b"PRIVMSG" => return self.privmsg(&message, now),
            b"PING" => self.send("PONG", &[&message.text(0)]),
            b"CAP" => self.cap(&message, now.instant),
            b"AUTHENTICATE" if logging_in && message.param(0) == b"+" => self.authenticate(),
            b"NOTICE" | b"900" => self.services_answered(&message, now.instant),
            b"903" if logging_in => self.logged_in(),
            b"902" | b"904" | b"905" | b"906" | b"907" | b"908" if logging_in => {
                self.login_failed(&format!("{} {}", message::text(message.verb), message.last()));
            }
            b"001" if !registered => self.welcome(&message, now.instant),
            b"005" => self.isupport(&message),
            b"376" | b"422" => self.burst_over(now.instant),
            b"396" => self.mask_from(None, &message.text(1)),
            // A server without CAP goes on with 001 by itself.
            b"421" if !registered && self.settings.sasl.is_some() && message.param(1) == b"CAP" => {
                self.login_failed("the server knows no capabilities, hence no SASL");
            }
            b"432" if !registered => self.nick_is_bad(&message),
            b"437" if self.is_channel(message.param(1)) => self.join_refused_for_now(&message, now.instant),
            b"433" | b"436" | b"437" if !registered => self.nick_is_taken(&message),
            // Once registered it answers an OPER among the `on_connect` lines.
            b"464" if !registered => self.close(Retry::Slow, "the server refuses the password: check server_password"),
            b"465" => self.close(Retry::Banned, format!("banned from this server: {}", message.last())),
            b"ERROR" => self.error(&message),
            b"471" | b"477" | b"480" => self.join_refused_for_now(&message, now.instant),
            b"403" | b"405" | b"473" | b"474" | b"475" | b"476" | b"489" => self.join_refused(&message),
            b"470" => self.forwarded(&message),
            b"JOIN" if self.is_me(message.nick()) => self.joined(&message, now),
            b"PART" if self.is_me(message.nick()) => self.left(&message),
            b"KICK" if self.is_me(message.param(1)) => self.kicked(&message, now.instant),
            b"INVITE" if self.is_me(message.param(0)) => self.invited(&message, now.instant),
            b"NICK" if self.is_me(message.nick()) && !message.param(0).is_empty() => {
                self.renamed(&message, now.instant)
            }
            b"NICK" | b"QUIT" => self.nick_is_free(message.nick(), now.instant),
            b"CHGHOST" if self.is_me(message.nick()) => self.mask_from(Some(&message.text(0)), &message.text(1)),
            b"BATCH" => self.batch(&message),
            _ => {}
        }
        None
    }

    /// Answers in a channel or, where `target` is a nick, in private: each line of `text` is one line.
    pub fn answer(&mut self, target: &str, text: &str, kind: Kind) {
        if self.settings.reply == Reply::Quiet && kind != Kind::Failed {
            return;
        }
        for line in text.lines() {
            self.outbox.push(target, line.to_owned(), kind);
        }
    }

    /// Whether this person may make us look something up now: 3 times at once, once more every 10 s.
    pub fn may_look(&mut self, host: &str, now: Instant) -> bool {
        if self.patience.len() >= 256 {
            self.patience.retain(|_, bucket| !bucket.is_full(now));
        }
        if self.patience.len() >= 1024 {
            return false;
        }
        let bucket = || Bucket::new(3, Duration::from_secs(10), now);
        self.patience.entry(host.to_owned()).or_insert_with(bucket).take(now)
    }

    fn send(&mut self, verb: &str, params: &[&str]) {
        self.out.push_str(&message::format(verb, params));
    }

    fn note(&mut self, text: impl Into<String>) {
        self.log.push(text.into());
    }

    /// The first reason decides; what the server adds to it is told too.
    fn close(&mut self, retry: Retry, why: impl Into<String>) {
        match self.end {
            None => self.end = Some(End { why: why.into(), retry }),
            Some(_) => self.note(why),
        }
    }

    /// Ends the connection from our side.
    fn quit(&mut self, retry: Retry, why: String) {
        // Some servers refuse a login in two lines.
        if self.end.is_none() {
            self.send("QUIT", &[]);
            self.close(retry, why);
        }
    }

    fn is_me(&self, nick: &[u8]) -> bool {
        self.case.eq(nick, self.nick.as_bytes())
    }

    fn is_channel(&self, name: &[u8]) -> bool {
        name.first().is_some_and(|b| self.channel_types.contains(b))
    }

    /// The index of a configured channel.
    fn configured(&self, name: &[u8]) -> Option<usize> {
        self.memberships.iter().position(|m| self.case.eq(name, m.channel.name.as_bytes()))
    }

    /// As much of `text` as others will get: the server puts `:nick!user@host ` before it.
    fn cut<'t>(&self, verb: &str, target: &str, text: &'t str) -> &'t str {
        let around = format!(":{}! {verb} {target} :\r\n", self.nick).len() + self.mask;
        let mut end = text.len().min(self.line_length.saturating_sub(around));
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        &text[..end]
    }
}

/// Capabilities and login.
impl Session<'_> {
    fn cap(&mut self, message: &Message, now: Instant) {
        let list = message.last();
        match message.param(1) {
            b"LS" if self.phase == Phase::Capabilities && self.asked == 0 => {
                self.note_offered(&list);
                // An asterisk says that more lines follow.
                if message.param(2) != b"*" || message.params().count() < 4 {
                    self.ask_for_capabilities();
                }
            }
            b"NEW" if !matches!(self.phase, Phase::Capabilities | Phase::Login(_)) => {
                self.offered.clear();
                self.note_offered(&list);
                for capability in std::mem::take(&mut self.offered) {
                    self.request(capability);
                }
            }
            b"ACK" if self.phase == Phase::Capabilities => {
                self.sasl_granted |= list.split_whitespace().any(|name| name == "sasl");
                self.capability_answered(now);
            }
            b"NAK" if self.phase == Phase::Capabilities => {
                // A server refuses a request as a whole: then each is asked for by itself.
                if !std::mem::replace(&mut self.asked_singly, true) && self.wanted().count() > 1 {
                    let wanted: Vec<_> = self.wanted().collect();
                    self.asked += wanted.len();
                    wanted.iter().for_each(|name| self.request(name));
                }
                self.capability_answered(now);
            }
            _ => {}
        }
    }

    fn note_offered(&mut self, list: &str) {
        for item in list.split_whitespace() {
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            if name == "sasl" {
                self.sasl_offered = Some(value.to_owned());
            }
            self.offered.extend(CAPABILITIES.iter().filter(|&&known| known == name));
        }
    }

    /// What is offered and used.
    fn wanted(&self) -> impl Iterator<Item = &'static str> {
        let sasl = self.settings.sasl.is_some() && self.sasl_offered.is_some();
        self.offered.iter().copied().chain(sasl.then_some("sasl"))
    }

    fn ask_for_capabilities(&mut self) {
        if self.settings.sasl.is_some() && self.sasl_offered.is_none() {
            return self.login_failed("the server offers no SASL");
        }
        let wanted = self.wanted().collect::<Vec<_>>().join(" ");
        if wanted.is_empty() {
            return self.end_capabilities();
        }
        self.asked = 1;
        self.request(&wanted);
    }

    /// With the colon, also before a single name, as in the specification's examples.
    fn request(&mut self, capabilities: &str) {
        self.out.push_str(&format!("CAP REQ :{capabilities}\r\n"));
    }

    fn capability_answered(&mut self, now: Instant) {
        self.asked = self.asked.saturating_sub(1);
        if self.asked > 0 {
            return;
        }
        let Some(sasl) = &self.settings.sasl else { return self.end_capabilities() };
        let mechanism = if matches!(sasl, Sasl::External) { "EXTERNAL" } else { "PLAIN" };
        let offered = self.sasl_offered.as_deref().unwrap_or_default();
        if !self.sasl_granted {
            self.login_failed("the server refuses the capability sasl");
        } else if !offered.is_empty() && !offered.split(',').any(|name| name.eq_ignore_ascii_case(mechanism)) {
            let why = format!("the server knows no SASL {mechanism}, only {offered}");
            self.login_failed(&why);
        } else {
            self.phase = Phase::Login(now + SASL);
            self.send("AUTHENTICATE", &[mechanism]);
        }
    }

    fn authenticate(&mut self) {
        let Some(sasl) = &self.settings.sasl else { return };
        let payload = sasl.payload();
        for chunk in payload.as_bytes().chunks(400) {
            self.send("AUTHENTICATE", &[&message::text(chunk)]);
        }
        // It ends with a piece that is not a whole one, be it an empty one.
        if payload.len().is_multiple_of(400) {
            self.send("AUTHENTICATE", &["+"]);
        }
    }

    fn logged_in(&mut self) {
        self.note("logged in");
        self.end_capabilities();
    }

    /// To join unidentified would be worse than not to join.
    fn login_failed(&mut self, why: &str) {
        self.quit(Retry::Slow, format!("login failed: {why}; check sasl, sasl_user and sasl_password"));
    }

    fn end_capabilities(&mut self) {
        self.phase = Phase::Welcome;
        self.send("CAP", &["END"]);
    }

    fn welcome(&mut self, message: &Message, now: Instant) {
        if self.settings.sasl.is_some() && self.phase != Phase::Welcome {
            return self.login_failed("the server goes on without it");
        }
        self.phase = Phase::Burst;
        self.registered = Some(now);
        self.nick = message.text(0).into_owned();
        self.note(format!("registered as {}", self.nick));
    }

    /// ISUPPORT: what this server does otherwise than others.
    fn isupport(&mut self, message: &Message) {
        for token in message.params().skip(1) {
            let mut parts = token.splitn(2, |&b| b == b'=');
            let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let number = || str::from_utf8(value).ok()?.parse::<usize>().ok();
            match name {
                b"BOT" => self.bot_mode = value.first().filter(|b| b.is_ascii_alphabetic()).map(|&b| b.into()),
                b"CASEMAPPING" => self.case = CaseMapping::named(value),
                b"CHANTYPES" => self.channel_types = value.to_vec(),
                b"NICKLEN" => self.nick_length = number().filter(|&n| n > 1),
                // Below the protocol's own 512 there would be no room left for a text.
                b"LINELEN" => self.line_length = number().unwrap_or(512).clamp(512, 8191),
                _ => {}
            }
        }
    }

    fn burst_over(&mut self, now: Instant) {
        if self.phase != Phase::Burst {
            return;
        }
        self.plan_reclaim(now);
        if let Some(mode) = self.bot_mode {
            let nick = self.nick.clone();
            self.send("MODE", &[&nick, &format!("+{mode}")]);
        }
        for line in &self.settings.on_connect {
            self.out.push_str(line);
            self.out.push_str("\r\n");
        }
        if self.settings.on_connect.is_empty() {
            self.join_all(now);
        } else {
            self.phase = Phase::Services(now + SERVICES);
        }
    }

    /// 900, or a NOTICE from someone who is not a server: services have read `on_connect`.
    fn services_answered(&mut self, message: &Message, now: Instant) {
        let answered = message.verb == b"900" || message.source.contains(&b'!') && self.is_me(message.param(0));
        if matches!(self.phase, Phase::Services(_)) && answered {
            self.join_all(now);
        }
    }
}

/// The own name.
impl Session<'_> {
    /// The configured nick, as long as the server allows it to be.
    fn wanted_nick(&self) -> &str {
        let nick = &self.settings.nick;
        &nick[..nick.len().min(self.nick_length.unwrap_or(nick.len()))]
    }

    fn nick_is_bad(&mut self, message: &Message) {
        if self.nick_tries > 0 && self.nick.len() > 2 {
            // The wanted nick was only taken: it is the longer one that this server finds too long.
            self.nick_length = Some(self.nick.len() - 1);
            return self.try_other_nick();
        }
        let why = format!("the server refuses the nick {}: {}; change nick", self.nick, message.last());
        self.quit(Retry::Never, why);
    }

    fn nick_is_taken(&mut self, message: &Message) {
        // Before 005 a server that cuts nicks shows only here how long they may be.
        let refused = message.param(1);
        if refused.len() > 1 && refused.len() < self.nick.len() && self.nick.as_bytes().starts_with(refused) {
            self.nick_length = Some(refused.len());
            self.nick_tries = self.nick_tries.max(1);
        } else {
            self.nick_tries += 1;
        }
        self.try_other_nick();
    }

    fn try_other_nick(&mut self) {
        let nick = self.other_nick();
        self.send("NICK", &[&nick]);
        self.nick = nick;
    }

    /// `_` is appended while it fits; then `_` and digits take the place of the last characters.
    fn other_nick(&self) -> String {
        let wanted = self.wanted_nick();
        let longest = self.nick_length.unwrap_or(usize::MAX);
        let room = longest - wanted.len();
        if self.nick_tries <= room {
            return wanted.to_owned() + &"_".repeat(self.nick_tries);
        }
        let tail = match self.nick_tries - room {
            1 if room == 0 => "_".to_owned(),
            n => (n - 1).to_string(),
        };
        let keep = wanted.len().min(longest.saturating_sub(tail.len())).max(1);
        wanted[..keep].to_owned() + &tail
    }

    fn plan_reclaim(&mut self, now: Instant) {
        let has_it = self.is_me(self.wanted_nick().as_bytes());
        self.reclaim = (self.registered.is_some() && !has_it).then(|| now + RECLAIM);
    }

    fn ask_for_nick(&mut self, now: Instant) {
        let wanted = self.wanted_nick().to_owned();
        self.send("NICK", &[&wanted]);
        self.plan_reclaim(now);
    }

    /// Someone gave up a nick: if it is the one we want, take it.
    fn nick_is_free(&mut self, nick: &[u8], now: Instant) {
        if self.reclaim.is_some() && self.case.eq(nick, self.wanted_nick().as_bytes()) {
            self.ask_for_nick(now);
        }
    }

    fn renamed(&mut self, message: &Message, now: Instant) {
        self.nick = message.text(0).into_owned();
        self.note(format!("the nick is now {}", self.nick));
        self.plan_reclaim(now);
    }

    /// Learns what others see behind the own nick; `user` is `None` where it stays.
    fn mask_from(&mut self, user: Option<&str>, host: &str) {
        // 396 tells the host alone, and at times user@host.
        let user = if host.contains('@') { 0 } else { user.map_or(10, str::len) + 1 };
        self.mask = user + host.len();
    }

    fn error(&mut self, message: &Message) {
        let words = message.text(0);
        let lower = words.to_ascii_lowercase();
        let ban = ["k-line", "g-line", "z-line", "d-line", "kline", "akill", "banned"];
        let retry = if ban.iter().any(|word| lower.contains(word)) { Retry::Banned } else { Retry::Soon };
        self.close(retry, format!("the server says: {words}"));
    }
}

/// Channels.
impl Session<'_> {
    /// Joins all configured channels, several in a line; those with keys first, as JOIN wants it.
    fn join_all(&mut self, now: Instant) {
        self.phase = Phase::Home;
        for membership in &mut self.memberships {
            membership.invitable = Some(now + JOIN_AGAIN);
        }
        let mut channels: Vec<&Channel> = self.settings.channels.iter().collect();
        channels.sort_by_key(|channel| channel.key.is_none());
        // Each name and each key with a comma behind it.
        let (mut names, mut keys) = (String::new(), String::new());
        for channel in channels {
            let name = format!("{},", channel.name);
            let key = channel.key.as_ref().map(|key| format!("{key},")).unwrap_or_default();
            if !names.is_empty() && "JOIN  \r\n".len() + names.len() + keys.len() + name.len() + key.len() > 512 {
                self.send_join(&std::mem::take(&mut names), &std::mem::take(&mut keys));
            }
            names += &name;
            keys += &key;
        }
        self.send_join(&names, &keys);
    }

    fn send_join(&mut self, names: &str, keys: &str) {
        let names = names.trim_end_matches(',');
        match keys.trim_end_matches(',') {
            "" => self.send("JOIN", &[names]),
            keys => self.send("JOIN", &[names, keys]),
        }
    }

    fn join(&mut self, index: usize, now: Instant) {
        let membership = &mut self.memberships[index];
        membership.again = None;
        membership.invitable = Some(now + JOIN_AGAIN);
        let channel = membership.channel;
        self.send_join(&channel.name, channel.key.as_deref().unwrap_or_default());
    }

    /// Our own JOIN is the server's word that we are in.
    fn joined(&mut self, message: &Message, now: Now) {
        let mask = message::text(message.source);
        if let Some((_, user_host)) = mask.split_once('!') {
            self.mask = user_host.len();
        }
        let Some(index) = self.configured(message.param(0)) else {
            let name = message.text(0);
            self.note(format!("{name} is not a configured channel: left it"));
            return self.send("PART", &[&name]);
        };
        let since = server_time(message).unwrap_or(now.clock - time::Duration::minutes(5));
        let membership = &mut self.memberships[index];
        membership.since = Some(since);
        membership.again = None;
        membership.invitable = Some(now.instant);
        let name = &membership.channel.name;
        self.log.push(format!("joined {name}"));
    }

    /// The server tells of one of our channels: which it is, and its words for the log.
    fn refusal(&mut self, message: &Message, then: &str) -> Option<usize> {
        let index = self.configured(message.param(1))?;
        let name = &self.memberships[index].channel.name;
        self.log.push(format!("cannot join {name}: {} {}; {then}", message::text(message.verb), message.last()));
        Some(index)
    }

    /// Full, or only for those whom services know: that may change.
    fn join_refused_for_now(&mut self, message: &Message, now: Instant) {
        let Some(index) = self.configured(message.param(1)) else { return };
        let tries = self.memberships[index].tries;
        if tries >= JOIN_TRIES {
            return self.join_refused(message);
        }
        let wait = JOIN_AGAIN * 2u32.pow(tries);
        self.refusal(message, &format!("next try in {} s", wait.as_secs()));
        let membership = &mut self.memberships[index];
        membership.tries += 1;
        membership.again = Some(now + wait);
    }

    fn join_refused(&mut self, message: &Message) {
        if let Some(index) = self.refusal(message, WAITING) {
            self.memberships[index].again = None;
        }
    }

    fn forwarded(&mut self, message: &Message) {
        let to = format!("forwarded to {}, which is not listened to", message.text(2));
        self.refusal(message, &to);
    }

    fn left(&mut self, message: &Message) {
        if let Some(index) = self.configured(message.param(0)) {
            self.memberships[index].since = None;
            let name = &self.memberships[index].channel.name;
            self.log.push(format!("made to leave {name}: {WAITING}"));
        }
    }

    fn kicked(&mut self, message: &Message, now: Instant) {
        let Some(index) = self.configured(message.param(0)) else { return };
        let membership = &mut self.memberships[index];
        membership.since = None;
        membership.again = self.settings.rejoin.then(|| now + REJOIN);
        // One try only: a refusal of it is final.
        membership.tries = JOIN_TRIES;
        let then = if self.settings.rejoin { "one try to return in 60 s" } else { WAITING };
        let (name, by) = (&membership.channel.name, message::text(message.nick()));
        self.log.push(format!("kicked from {name} by {by}: {}; {then}", message.text(2)));
    }

    /// An INVITE never adds a channel. Where we were refused it makes us ask no more than every 10 s.
    fn invited(&mut self, message: &Message, now: Instant) {
        let Some(index) = self.configured(message.param(1)) else { return };
        let membership = &mut self.memberships[index];
        let Some(soonest) = membership.invitable.filter(|_| membership.since.is_none()) else { return };
        let soonest = soonest.max(now);
        if membership.again.is_none_or(|at| at > soonest) {
            membership.again = Some(soonest);
            membership.tries = 0;
            let name = &membership.channel.name;
            self.log.push(format!("invited to {name} by {}", message::text(message.nick())));
        }
    }
}

/// What people say.
impl Session<'_> {
    fn privmsg(&mut self, message: &Message, now: Now) -> Option<Said> {
        let target = message.param(0);
        let mut text = message.param(1);
        let private = self.is_me(target);
        if let Some(inner) = text.strip_prefix(b"\x01") {
            let inner = inner.strip_suffix(b"\x01").unwrap_or(inner);
            let Some(action) = inner.strip_prefix(b"ACTION ") else {
                if private && !self.is_deaf_to(message, None) {
                    self.ctcp(message, inner, now.instant);
                }
                return None;
            };
            text = action;
        }
        let text = command(text, &self.settings.prefix, &self.nick, self.case)?;
        let channel = if private { None } else { Some(&self.memberships[self.configured(target)?]) };
        let since = channel.and_then(|channel| channel.since);
        if channel.is_some() && since.is_none() || self.is_deaf_to(message, since) {
            return None;
        }
        let source = message::text(message.source);
        Some(Said {
            channel: channel.map(|c| c.channel.name.clone()),
            nick: message::text(message.nick()).into_owned(),
            host: source.split_once('!').map_or(source.as_ref(), |(_, host)| host).to_owned(),
            account: message.tag("account").unwrap_or_default().into_owned(),
            text: message::text(text).into_owned(),
            posted: self.posted(message, now.clock),
        })
    }

    /// The own lines, those of other bots, of whom the operator ignores, and what was said before we came.
    fn is_deaf_to(&self, message: &Message, since: Option<OffsetDateTime>) -> bool {
        self.is_me(message.nick())
            || BOT_TAGS.iter().any(|name| message.tag(name).is_some())
            || self.is_replay(message, since)
            || self.settings.ignore.iter().any(|mask| {
                let name = if mask.contains(['!', '@']) { message.source } else { message.nick() };
                self.case.fits(mask.as_bytes(), name)
            })
    }

    /// Whether it was said before we came. A line that is merely late is not replay: the server's time
    /// of the line is held against the server's time of our JOIN, not against the own clock.
    fn is_replay(&self, message: &Message, since: Option<OffsetDateTime>) -> bool {
        let batch = message.tag("batch");
        batch.is_some_and(|b| self.history.iter().any(|open| open == b.as_bytes()))
            || server_time(message).zip(since).is_some_and(|(said, since)| said < since)
    }

    fn batch(&mut self, message: &Message) {
        let reference = message.param(0);
        if let Some(closed) = reference.strip_prefix(b"-") {
            self.history.retain(|open| open != closed);
        } else if let Some(opened) = reference.strip_prefix(b"+") {
            let kind = message.param(1);
            let history = kind.ends_with(b"chathistory") || kind == b"znc.in/playback" || self.is_replay(message, None);
            if history {
                self.history.insert(0, opened.to_vec());
                // More open batches than any server has: the oldest was never closed.
                self.history.truncate(16);
            }
        }
    }

    fn posted(&mut self, message: &Message, clock: OffsetDateTime) -> OffsetDateTime {
        let Some(said) = server_time(message) else { return clock };
        if (said - clock).abs() <= BELIEVABLE {
            return said;
        }
        if !std::mem::replace(&mut self.warned, true) {
            let minutes = (said - clock).whole_minutes();
            self.note(format!("the server's time is {minutes} min from this machine's: using this machine's"));
        }
        clock
    }

    /// Answers the three queries that every client answers, in private and by NOTICE.
    fn ctcp(&mut self, message: &Message, query: &[u8], now: Instant) {
        let query = message::text(query);
        let (name, argument) = query.split_once(' ').unwrap_or((&query, ""));
        let answer = match name.to_ascii_uppercase().as_str() {
            "VERSION" => format!("VERSION {VERSION}"),
            "CLIENTINFO" => "CLIENTINFO ACTION CLIENTINFO PING VERSION".to_owned(),
            "PING" => format!("PING {}", argument.chars().take(100).collect::<String>()),
            _ => return,
        };
        let nick = message::text(message.nick());
        if self.may_look(&message::text(message.source), now) {
            self.outbox.push(&nick, format!("\x01{answer}\x01"), Kind::Look);
        }
    }
}

/// The command in `text`, if it is one: `.url ...`, `linkbot: url ...` or `linkbot, url ...`.
pub fn command<'t>(text: &'t [u8], prefix: &str, nick: &str, case: CaseMapping) -> Option<&'t [u8]> {
    if let Some(command) = text.strip_prefix(prefix.as_bytes()) {
        return Some(command);
    }
    let (name, rest) = text.split_at_checked(nick.len())?;
    let rest = rest.strip_prefix(b":").or_else(|| rest.strip_prefix(b","))?.trim_ascii_start();
    case.eq(name, nick.as_bytes()).then(|| rest.strip_prefix(prefix.as_bytes()).unwrap_or(rest))
}

/// Whether `name` could be someone's nick: letters, digits and the characters that RFC 2812 allows.
pub fn is_nick(name: &str) -> bool {
    let special = |b: u8| b"[]\\`_^{|}".contains(&b);
    let allowed = name.bytes().all(|b| b.is_ascii_alphanumeric() || special(b) || b == b'-');
    allowed && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || special(b))
}

/// IRCv3 server-time; `None` where the line has none, or one that is no time.
fn server_time(message: &Message) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(&message.tag("time")?, &Rfc3339).ok()
}

#[cfg(test)]
#[path = "../tests/unit/irc.rs"]
mod tests;
