//! Getting in: capabilities, SASL, the welcome, and the own nick.

use std::fmt::Display;
use std::sync::Once;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::connection::Retry;
use super::message::{self, Message};
use super::names::CaseMapping;
use super::{Phase, Sasl, Session, VERSION};

/// The capabilities that are asked for where they are offered, besides `sasl`.
const CAPABILITIES: [&str; 3] = ["account-tag", "message-tags", "server-time"];
/// Of use only together: a server grants a request as a whole.
const HISTORY: &str = "batch draft/chathistory message-tags server-time";
/// How long services may take to answer `on_connect` before channels are joined without them.
const SERVICES: Duration = Duration::from_secs(5);
/// How often a nick that someone else holds is asked for.
const RECLAIM: Duration = Duration::from_secs(5 * 60);
/// How many nicks are tried before the connection is given up.
const NICK_TRIES: usize = 12;

impl Sasl {
    /// What answers the server's `AUTHENTICATE +` (RFC 4616), in base64, cut as it is sent; nothing for EXTERNAL.
    pub fn pieces(&self) -> Vec<String> {
        let Sasl::Plain { user, password } = self else { return Vec::new() };
        let payload = BASE64.encode(format!("{user}\0{user}\0{password}"));
        payload.as_bytes().chunks(400).map(|piece| message::text(piece).into_owned()).collect()
    }
}

impl Session<'_> {
    pub(super) fn register(&mut self) {
        let settings = self.settings;
        if let Some(password) = &settings.server_password {
            self.send("PASS", &[password]);
        }
        self.send("CAP", &["LS", "302"]);
        self.send("NICK", &[&settings.nick]);
        let owner = &settings.owner;
        let realname =
            if owner.is_empty() { VERSION } else { &format!("{VERSION}, run by {owner}") };
        self.send("USER", &["linkbot", "0", "*", realname]);
    }

    pub(super) fn cap(&mut self, message: &Message) {
        let list = message.last();
        let listing = self.phase == Phase::Capabilities;
        self.keeps_history |= message.param(1) == b"ACK" && list.contains("draft/chathistory");
        match message.param(1) {
            b"LS" if listing => {
                self.request(&list);
                // An asterisk says that more lines follow.
                let more = message.param(2) == b"*" && message.params().count() > 3;
                if self.unanswered == 0 && !more {
                    self.begin_login();
                }
            }
            b"NEW" if self.registered.is_some() => self.request(&list),
            b"NAK" if listing && list.trim() == "sasl" => {
                self.login_failed("the server refuses the capability sasl")
            }
            b"ACK" | b"NAK" if listing && self.unanswered > 0 => {
                self.unanswered -= 1;
                if self.unanswered == 0 {
                    self.begin_login();
                }
            }
            _ => {}
        }
    }

    /// Asks for what is used of what is offered, for each by itself: a server refuses a request as a whole.
    fn request(&mut self, offered: &str) {
        let is_wanted = |name| {
            CAPABILITIES.contains(&name)
                || self.settings.catch_up && HISTORY.split(' ').any(|h| h == name)
        };
        for item in offered.split_whitespace() {
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            if name == "sasl" && self.sasl.is_some() {
                self.mechanisms = Some(value.to_owned());
            } else if !is_wanted(name) {
                continue;
            }
            self.unanswered += 1;
            self.send("CAP", &["REQ", if name == "draft/chathistory" { HISTORY } else { name }]);
        }
    }

    /// Every CAP REQ was answered.
    fn begin_login(&mut self) {
        let Some(sasl) = self.sasl else { return self.end_capabilities() };
        let mechanism = if matches!(sasl, Sasl::External) { "EXTERNAL" } else { "PLAIN" };
        let offers =
            |known: &String| known.is_empty() || known.split(',').any(|name| name == mechanism);
        if !self.mechanisms.as_ref().is_some_and(offers) {
            return self.login_failed(format_args!("the server offers no SASL {mechanism}"));
        }
        self.phase = Phase::Login;
        self.send("AUTHENTICATE", &[mechanism]);
    }

    /// The server is ready for the login, and gets it once.
    pub(super) fn authenticate(&mut self) {
        let Some(sasl) = self.sasl.take() else { return };
        let pieces = sasl.pieces();
        for piece in &pieces {
            self.send("AUTHENTICATE", &[piece]);
        }
        // It ends with a piece that is not a whole one, be it an empty one.
        if pieces.last().is_none_or(|piece| piece.len() == 400) {
            self.send("AUTHENTICATE", &["+"]);
        }
    }

    pub(super) fn logged_in(&mut self) {
        self.log.push("logged in".to_owned());
        self.end_capabilities();
    }

    /// To join unidentified would be worse than not to join.
    pub(super) fn login_failed(&mut self, why: impl Display) {
        self.close(
            Retry::Slow,
            format_args!("login failed: {why}; check sasl, sasl_user and sasl_password"),
        );
    }

    fn end_capabilities(&mut self) {
        self.phase = Phase::Welcome;
        self.send("CAP", &["END"]);
    }

    pub(super) fn welcome(&mut self, message: &Message, now: Instant) {
        if self.settings.sasl.is_some() && self.phase != Phase::Welcome {
            return self.login_failed("the server goes on without it");
        }
        self.phase = Phase::Burst;
        self.registered = Some(now);
        self.nick = message.text(0).into_owned();
        self.plan_reclaim(now);
        let (nick, wanted) = (&self.nick, &self.settings.nick);
        let why = if self.nick_tries > 0 { "is taken" } else { "was not given" };
        let why = self
            .reclaim
            .map(|_| format!(": {wanted} {why}, asked for every 5 min"))
            .unwrap_or_default();
        self.log.push(format!("registered as {nick}{why}"));
    }

    /// ISUPPORT: what this server does otherwise than others.
    pub(super) fn isupport(&mut self, message: &Message) {
        for token in message.params().skip(1) {
            let token = message::text(token);
            let (name, value) = token.split_once('=').unwrap_or((&token, ""));
            match name {
                "BOT" => self.bot_mode = value.chars().next().filter(char::is_ascii_alphabetic),
                "CASEMAPPING" => self.case = CaseMapping::named(value),
                // 0: as many as one likes.
                "CHATHISTORY" => self.page = value.parse().unwrap_or(0),
                // Below the protocol's own 512 there would be no room left for a text.
                "LINELEN" => self.line_length = value.parse().unwrap_or(512).clamp(512, 8191),
                _ => {}
            }
        }
    }

    pub(super) fn burst_over(&mut self, now: Instant) {
        if self.phase != Phase::Burst {
            return;
        }
        if let Some(mode) = self.bot_mode {
            let nick = self.nick.clone();
            self.send("MODE", &[&nick, &format!("+{mode}")]);
        }
        if self.settings.catch_up && !self.keeps_history {
            static SAID: Once = Once::new();
            let what = "links said while linkbot is away are lost, unless the server replays them";
            SAID.call_once(|| {
                self.log.push(format!("this network offers no history (draft/chathistory): {what}"))
            });
        }
        for line in &self.settings.on_connect {
            self.send(line, &[]);
        }
        let services = if self.settings.on_connect.is_empty() { Duration::ZERO } else { SERVICES };
        self.phase = Phase::Home;
        self.next_join = now + services;
        self.memberships.iter_mut().filter(|m| m.since.is_none()).for_each(|m| m.again = Some(now));
    }

    pub(super) fn error(&mut self, message: &Message) {
        let words = message.text(0);
        let lower = words.to_ascii_lowercase();
        let ban = ["k-line", "g-line", "z-line", "d-line", "kline", "akill", "banned"];
        let retry =
            if ban.iter().any(|word| lower.contains(word)) { Retry::Banned } else { Retry::Soon };
        self.close(retry, format_args!("the server says: {words}"));
    }

    /// Tries another: the wanted one with `_`, then its beginning with a number.
    pub(super) fn nick_refused(&mut self, message: &Message) {
        let (wanted, words) = (&self.settings.nick, message.last());
        self.nick_tries += 1;
        // Of a nick that is not the wanted one it says at most that it is too long.
        if message.verb == b"432" && self.nick_tries == 1 {
            let remedy = "change nick, unless services hold it only for now";
            return self.close(
                Retry::Slow,
                format_args!("the server refuses the nick {wanted}: {words}; {remedy}"),
            );
        }
        if self.nick_tries >= NICK_TRIES {
            return self.close(
                Retry::Soon,
                format_args!("{NICK_TRIES} nicks were refused, the last one: {words}"),
            );
        }
        let nick = match self.nick_tries {
            1 => format!("{wanted}_"),
            // Nine characters are allowed everywhere (RFC 2812).
            n => format!("{wanted:.7}{}", n - 1),
        };
        self.send("NICK", &[&nick]);
        self.nick = nick;
    }

    /// Whether it is the configured nick, or as much of it as the server allows.
    fn is_wanted(&self, nick: &[u8]) -> bool {
        let wanted = self.settings.nick.as_bytes().get(..nick.len());
        !nick.is_empty() && wanted.is_some_and(|wanted| self.case.eq(nick, wanted))
    }

    fn plan_reclaim(&mut self, now: Instant) {
        self.reclaim = (!self.is_wanted(self.nick.as_bytes())).then(|| now + RECLAIM);
    }

    pub(super) fn ask_for_nick(&mut self, now: Instant) {
        self.send("NICK", &[&self.settings.nick]);
        self.plan_reclaim(now);
    }

    /// Someone gave up a nick: if it is the one we want, take it.
    pub(super) fn nick_is_free(&mut self, nick: &[u8], now: Instant) {
        if self.reclaim.is_some() && self.is_wanted(nick) {
            self.ask_for_nick(now);
        }
    }

    pub(super) fn renamed(&mut self, message: &Message, now: Instant) {
        self.nick = message.text(0).into_owned();
        self.log.push(format!("the nick is now {}", self.nick));
        self.plan_reclaim(now);
    }
}
