//! Registration: capabilities, SASL, the welcome and our nick. Takes in the server's lines about
//! them, and either reaches `Phase::Ready` or ends the connection with a reason and a retry.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::*;

/// Useful only together, so requested together: a server grants a request as a whole.
const HISTORY: &str = "batch draft/chathistory message-tags server-time";
/// How long services have to answer `on_connect` before we join channels.
const SERVICES_TIMEOUT: Duration = Duration::from_secs(5);
/// The time between two requests for a nick that we did not get.
const RECLAIM: Duration = Duration::from_secs(5 * 60);
/// The most nicks to try on one connection.
const NICK_TRIES: usize = 12;

impl Sasl {
    /// The payload for `AUTHENTICATE` (RFC 4616) in base64, in chunks of 400 bytes. A shorter one,
    /// perhaps empty, ends the payload.
    pub fn chunks(&self) -> Vec<String> {
        let Sasl::Plain { user, password } = self else { return vec![String::new()] };
        let payload = BASE64.encode(format!("{user}\0{user}\0{password}"));
        (0..=payload.len())
            .step_by(400)
            .map(|at| payload.chars().skip(at).take(400).collect())
            .collect()
    }
}

impl Session<'_> {
    pub fn register(&mut self) {
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

    pub fn cap(&mut self, message: &Message) {
        let list = message.last();
        let listing = self.phase == Phase::Capabilities;
        self.keeps_history |= message.param(1) == b"ACK" && list.contains("draft/chathistory");
        match message.param(1) {
            b"LS" if listing => {
                self.request(&list);
                // An asterisk says that more lines follow.
                if message.param(2) == b"*" {
                    return;
                }
            }
            b"NEW" if self.registered.is_some() => return self.request(&list),
            b"NAK" if listing && list.trim() == "sasl" => {
                return self.login_unavailable("the server rejects the capability sasl");
            }
            b"ACK" | b"NAK" if listing && self.unanswered > 0 => self.unanswered -= 1,
            _ => return,
        }
        if self.unanswered == 0 {
            self.begin_login();
        }
    }

    /// Requests each capability that we use and that is offered, one by one: a server refuses a
    /// request as a whole.
    fn request(&mut self, offered: &str) {
        for item in offered.split_whitespace() {
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            let request = match name {
                "account-tag" | "batch" | "message-tags" | "server-time" => name,
                "draft/chathistory" if self.settings.catch_up => HISTORY,
                "sasl" if self.sasl.is_some() => {
                    self.mechanisms = Some(value.to_owned());
                    name
                }
                _ => continue,
            };
            self.unanswered += 1;
            self.send("CAP", &["REQ", request]);
        }
    }

    /// Called once every CAP REQ was answered.
    fn begin_login(&mut self) {
        let Some(sasl) = self.sasl else { return self.end_capabilities() };
        let mechanism = if matches!(sasl, Sasl::External) { "EXTERNAL" } else { "PLAIN" };
        let includes =
            |list: &String| list.is_empty() || list.split(',').any(|name| name == mechanism);
        if !self.mechanisms.as_ref().is_some_and(includes) {
            return self.login_unavailable(format_args!("the server offers no SASL {mechanism}"));
        }
        self.phase = Phase::Login;
        self.send("AUTHENTICATE", &[mechanism]);
    }

    /// The server is ready for the credentials. They are sent once.
    pub fn authenticate(&mut self) {
        let Some(sasl) = self.sasl.take() else { return };
        for chunk in sasl.chunks() {
            self.send("AUTHENTICATE", &[if chunk.is_empty() { "+" } else { &chunk }]);
        }
    }

    pub fn logged_in(&mut self) {
        self.log.push("logged in".to_owned());
        self.end_capabilities();
    }

    /// 902, 904 and 905 refuse the credentials, if these were sent and services are there. Nothing
    /// else that ends the login is about the credentials.
    pub fn login_refused(&mut self, message: &Message) {
        let words = message.last();
        let why = format!("{} {words}", message::text(message.verb));
        let is_certain = matches!(message.verb, b"902" | b"904" | b"905")
            && self.sasl.is_none()
            && !self.are_services_away
            && !is_outage(&words);
        if !is_certain {
            return self.login_unavailable(why);
        }
        let remedy = "check sasl_user and sasl_password, or tls_cert for sasl = external";
        self.close(Retry::Refused, format_args!("login failed: {why}; {remedy}"));
    }

    /// The login failed, but not because of the credentials. Never join without it: that would be
    /// worse than not joining.
    pub fn login_unavailable(&mut self, why: impl Display) {
        self.close(Retry::Soon, format_args!("login failed: {why} (are services down?)"));
    }

    /// FAIL, WARN or NOTE, then a command, a code, perhaps more, and a text for people.
    pub fn standard_reply(&mut self, message: &Message) {
        let verb = message::text(message.verb);
        let reason = format!("the server says: {verb} {} {}", message.text(0), message.text(1));
        self.log_once(&reason, format_args!(": {}", message.last()));
    }

    fn end_capabilities(&mut self) {
        self.phase = Phase::Welcome;
        self.send("CAP", &["END"]);
    }

    pub fn welcome(&mut self, message: &Message, now: Instant) {
        if self.settings.sasl.is_some() && self.phase != Phase::Welcome {
            return self.login_unavailable("the server goes on without it");
        }
        self.phase = Phase::Burst;
        self.registered = Some(now);
        self.wait_until = now + PING_AFTER;
        self.take_nick(message, now);
        let (nick, wanted) = (&self.nick, &self.settings.nick);
        self.log.push(match self.reclaim {
            Some(_) => {
                format!("registered as {nick}, not as {wanted}: asking for that nick every 5 min")
            }
            None => format!("registered as {nick}"),
        });
    }

    /// 005 ISUPPORT: the server's limits and features.
    pub fn isupport(&mut self, message: &Message) {
        for token in message.params().skip(1) {
            let token = message::text(token);
            let (name, value) = token.split_once('=').unwrap_or((&token, ""));
            match name {
                "BOT" if value.len() == 1 => {
                    self.send(&format!("MODE {} +{value}", self.nick), &[]);
                }
                "CASEMAPPING" => self.case = CaseMapping::named(value),
                "CHATHISTORY" => {
                    if let Ok(limit @ 1..) = value.parse() {
                        self.history_limit = limit;
                    }
                }
                // Less than the protocol's own 512 would leave no room for text.
                "LINELEN" => self.line_length = value.parse().unwrap_or(512).clamp(512, 8191),
                _ => {}
            }
        }
    }

    pub fn burst_over(&mut self, now: Instant) {
        if self.phase != Phase::Burst {
            return;
        }
        if self.settings.catch_up && !self.keeps_history {
            self.log.push(
                "no history on this network (draft/chathistory): links posted while linkbot is \
                 away are lost, unless the server replays them"
                    .to_owned(),
            );
        }
        for line in &self.settings.on_connect {
            self.send(line, &[]);
        }
        if !self.settings.on_connect.is_empty() {
            self.next_join = now + SERVICES_TIMEOUT;
        }
        self.phase = Phase::Ready;
    }

    /// ERROR or 465.
    pub fn error(&mut self, message: &Message) {
        let words = message.last();
        let ban = ["k-line", "g-line", "z-line", "d-line", "kline", "akill", "banned"];
        let is_ban = message.verb == b"465" || mentions(&words, &ban);
        let retry = if is_ban { Retry::Banned } else { Retry::Soon };
        self.close(retry, format_args!("the server says: {words}"));
    }

    /// Tries another nick: the wanted one with `_`, then its beginning with a number.
    pub fn nick_refused(&mut self, message: &Message) {
        let (wanted, words) = (&self.settings.nick, message.last());
        let remedy = "change nick, unless services hold it only for now";
        let why = format_args!("the server refuses the nick {wanted}: {words}; {remedy}");
        let retry = if message.verb == b"432" { Retry::Slow } else { Retry::Soon };
        self.nick_refusals.push(End::new(retry, why));
        if self.nick_refusals.len() >= NICK_TRIES {
            // The first refusal is about the wanted nick. The others may only be too long.
            let End { why, retry } = self.nick_refusals.swap_remove(0);
            return self.close(retry, why);
        }
        let nick = match self.nick_refusals.len() {
            1 => format!("{wanted}_"),
            // Nine characters are allowed everywhere (RFC 2812).
            n => format!("{wanted:.7}{}", n - 1),
        };
        self.send("NICK", &[&nick]);
        self.nick = nick;
    }

    /// True for the configured nick, or as much of it as the server allows.
    fn is_wanted(&self, nick: &[u8]) -> bool {
        let wanted = self.settings.nick.as_bytes().get(..nick.len());
        !nick.is_empty() && wanted.is_some_and(|wanted| self.case.eq(nick, wanted))
    }

    /// The first parameter is our nick from now on. If it is not the wanted one, asks for that
    /// later.
    fn take_nick(&mut self, message: &Message, now: Instant) {
        let nick = message.text(0);
        if !nick.is_empty() {
            self.nick = nick.into_owned();
        }
        let is_wanted = self.is_wanted(self.nick.as_bytes());
        self.reclaim = if is_wanted { None } else { Some(now + RECLAIM) };
    }

    pub fn ask_for_nick(&mut self, now: Instant) {
        self.send("NICK", &[&self.settings.nick]);
        self.reclaim = Some(now + RECLAIM);
    }

    /// Someone gave up a nick: take it if it is the wanted one.
    pub fn nick_is_free(&mut self, nick: &[u8], now: Instant) {
        if self.reclaim.is_some() && self.is_wanted(nick) {
            self.ask_for_nick(now);
        }
    }

    pub fn renamed(&mut self, message: &Message, now: Instant) {
        self.take_nick(message, now);
        self.log.push(format!("the nick is now {}", self.nick));
    }
}

fn mentions(text: &str, words: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    words.iter().any(|word| text.contains(word))
}

/// True if the server says that it cannot check logins now.
#[rustfmt::skip]
pub fn is_outage(text: &str) -> bool {
    mentions(text, &[
        "unavailable", "not available", "unreachable", "offline", "are down", "is down", "temporar",
        "again later", "sasl request timed out", "authentication timed out",
    ])
}
