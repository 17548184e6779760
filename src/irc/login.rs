//! Registration: capabilities, SASL, the welcome and our nick. Takes in the server's lines about
//! them, and either allows JOIN or ends the connection with a reason and a retry.

use base64::prelude::*;

use super::*;

/// Words, separated by slashes, by which a server says that it cannot check logins now.
pub const OUTAGE: &str = "unavailable/not available/unreachable/offline/are down/is down/temporar/\
    again later/sasl request timed out/authentication timed out";

impl Sasl {
    /// What `AUTHENTICATE` sends: the login in base64, in chunks of 400 bytes. A shorter one,
    /// perhaps empty, ends it.
    pub fn chunks(&self) -> Vec<String> {
        let payload = BASE64_STANDARD.encode(&self.login);
        (0..=payload.len())
            .step_by(400)
            .map(|at| payload[at..].chars().take(400).collect())
            .collect()
    }
}

impl Session<'_> {
    pub fn register(&mut self) {
        let Settings { nick, owner, server_password, .. } = self.settings;
        if let Some(password) = server_password {
            self.send("PASS", password);
        }
        self.send("CAP LS", "302");
        self.send("NICK", nick);
        let realname = format!("{VERSION}, run by {owner}");
        // The owner may be empty.
        self.send("USER linkbot 0 *", realname.trim_end_matches(", run by "));
    }

    pub fn cap(&mut self, message: &Message) {
        let list = message.last();
        match message.param(1) {
            b"LS" => {
                self.request(&list);
                // An asterisk says that more lines follow. A login continues when its ACK arrives.
                if message.param(2) == b"*" || self.is_logging_in {
                    return;
                }
                match self.sasl {
                    None => self.send("CAP", "END"),
                    Some(Sasl { mechanism, .. }) => self
                        .login_unavailable(format_args!("the server offers no SASL {mechanism}")),
                }
            }
            b"NEW" => self.request(&list),
            b"NAK" if list.contains("sasl") => {
                self.login_unavailable("the server rejects the sasl capability");
            }
            b"ACK" if list.contains("draft/chathistory") => self.history_limit = 100,
            b"ACK" if list.contains("sasl") => {
                if let Some(sasl) = self.sasl {
                    self.send("AUTHENTICATE", sasl.mechanism);
                }
            }
            _ => {}
        }
    }

    /// Requests each capability that we use and that is offered, one by one: a server refuses a
    /// request as a whole.
    fn request(&mut self, offered: &str) {
        for item in offered.split_whitespace() {
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            let request = match (name, self.sasl) {
                ("account-tag" | "batch" | "message-tags" | "server-time", _) => name,
                // Useful only together, so requested together.
                ("draft/chathistory", _) if self.settings.catch_up => {
                    "batch draft/chathistory message-tags server-time"
                }
                ("sasl", Some(sasl)) => {
                    // A server need not name its mechanisms.
                    self.is_logging_in |= value.is_empty() || value.contains(sasl.mechanism);
                    name
                }
                _ => continue,
            };
            self.send("CAP REQ", request);
        }
    }

    /// Sends the credentials, once: the server is ready for them.
    pub fn authenticate(&mut self) {
        let Some(sasl) = self.sasl.take() else { return };
        for chunk in sasl.chunks() {
            self.send("AUTHENTICATE", if chunk.is_empty() { "+" } else { &chunk });
        }
    }

    /// 902, 904 and 905 refuse the credentials, if these were sent and services can be reached. Any
    /// other reply that ends the login has another cause.
    pub fn login_refused(&mut self, message: &Message) {
        let why = format!("{} {}", message::text(message.verb), message.last());
        if matches!(message.verb, b"902" | b"904" | b"905")
            && self.sasl.is_none()
            && !self.are_services_away
        {
            self.close(
                Retry::Refused,
                format_args!(
                    "login failed: {why}; check sasl_user and sasl_password, or tls_cert for \
                     sasl = external"
                ),
            );
        } else {
            self.login_unavailable(why);
        }
    }

    /// The login failed, but not because of the credentials. Never joins without it: the channel or
    /// the nick may need it.
    pub fn login_unavailable(&mut self, why: impl Display) {
        self.close(Retry::Soon, format_args!("login failed: {why} (are services down?)"));
    }

    /// Logs FAIL, WARN or NOTE. Their parameters: a command, a code, perhaps more, and a text.
    pub fn standard_reply(&mut self, message: &Message) {
        let reason = format!(
            "the server says: {} {} {}",
            message::text(message.verb),
            message.text(0),
            message.text(1)
        );
        self.log_once(&reason, format_args!(": {}", message.last()));
    }

    pub fn welcome(&mut self, message: &Message, now: Instant) {
        if self.sasl.is_some() || self.is_logging_in {
            return self.login_unavailable("the server did not wait for the login");
        }
        self.registered = Some(now);
        self.is_answer_due = false;
        self.take_nick(message, now);
    }

    /// Handles 005 ISUPPORT: the server's limits and features.
    pub fn isupport(&mut self, message: &Message) {
        for token in message.params().skip(1) {
            let token = message::text(token);
            let (name, value) = token.split_once('=').unwrap_or((&token, ""));
            match name {
                "BOT" => self.send(&format!("MODE {} +{value}", self.nick), ""),
                "CASEMAPPING" => self.case = CaseMapping::named(value),
                // 0: any number.
                "CHATHISTORY" if value != "0" => {
                    self.history_limit = value.parse().unwrap_or(100).min(self.history_limit);
                }
                // Less than the protocol's own 512 would leave no room for text.
                "LINELEN" => self.line_length = value.parse().unwrap_or(512).clamp(512, 8191),
                _ => {}
            }
        }
    }

    pub fn burst_over(&mut self, now: Instant) {
        if self.settings.catch_up && self.history_limit == 0 {
            log!(
                "no history on this network (draft/chathistory): links posted while linkbot is \
                 away are lost, unless the server replays them"
            );
        }
        self.next_join = Some(now);
        for line in &self.settings.on_connect {
            self.send(line, "");
            // Give services time to respond.
            self.next_join = Some(now + Duration::from_secs(5));
        }
    }

    /// Handles ERROR or 465: the server ends the connection.
    pub fn error(&mut self, message: &Message) {
        let words = message.last();
        let retry = if message.verb == b"465" || mentions(&words, "-line/kline/akill/banned") {
            Retry::Banned
        } else {
            Retry::Soon
        };
        self.close(retry, format_args!("the server says: {words}"));
    }

    /// Tries another nick: the wanted one with `_`, then its beginning with a number, 12 in all.
    pub fn nick_refused(&mut self, message: &Message) {
        let wanted = &self.settings.nick;
        if self.nick_refusals == 11 {
            return self.close(
                Retry::Slow,
                format_args!(
                    "the server refuses the nick {wanted}: {}; change nick, unless services are \
                     only holding it temporarily",
                    message.last()
                ),
            );
        }
        let nick = match self.nick_refusals {
            0 => format!("{wanted}_"),
            // Nine characters are allowed everywhere (RFC 2812).
            n => format!("{wanted:.7}{n}"),
        };
        self.nick_refusals += 1;
        self.send("NICK", &nick);
    }

    /// 001 or our own NICK: the first parameter is our nick from now on. If it is not the wanted
    /// one, asks for that later.
    pub fn take_nick(&mut self, message: &Message, now: Instant) {
        let nick = message.text(0);
        if nick.is_empty() {
            return;
        }
        let wanted = &self.settings.nick;
        if self.case.eq(nick.as_bytes(), wanted) {
            self.reclaim = None;
            log!("registered as {nick}");
        } else {
            self.reclaim = Some(now + 5 * MINUTE);
            log!("registered as {nick}, not as {wanted}: asking for that nick every 5 min");
        }
        self.nick = nick.into_owned();
    }
}

/// True if `text` contains any of these words, in any case.
pub fn mentions(text: &str, words: &str) -> bool {
    let text = text.to_ascii_lowercase();
    words.split('/').any(|word| text.contains(word))
}
