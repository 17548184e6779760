//! The IRC protocol as a state machine: lines and the clock come in; bytes and requests go out. It
//! has no socket, so tests check every rule by feeding it lines.
//!
//! Follows the Modern IRC Client Protocol (modern.ircdocs.horse) and IRCv3's
//! capability-negotiation, sasl-3.1, server-time, message-tags, account-tag, batch, chathistory and
//! bot-mode.

mod channels;
pub mod connection;
mod history;
mod login;
pub mod message;
pub mod names;
pub mod outbox;
mod talk;

use std::{
    collections::HashSet,
    fmt::Display,
    time::{Duration, Instant},
};

use time::OffsetDateTime;

use connection::{End, MINUTE, Retry};
use history::*;
use message::Message;
use names::CaseMapping;
use outbox::*;

use crate::log::WARNING;
pub use talk::*;

/// The program's name and version, for people.
pub const VERSION: &str = concat!("linkbot ", env!("CARGO_PKG_VERSION"));

/// The wait after the first JOIN of a channel; doubles up to an hour.
const FIRST_BACKOFF: Duration = Duration::from_secs(10);

/// Who linkbot is on the network, and how it behaves there.
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
    /// Bridges, named as in `ignore`: the person named at the start of a line said it.
    pub relay: Vec<String>,
    /// After a KICK, rejoin once, after 60 s.
    pub rejoin: bool,
    /// Request what was said while linkbot was away.
    pub catch_up: bool,
    pub reply: ReplyStyle,
    /// True if lines without a command or an address are wanted too.
    pub hears_all: bool,
}

pub struct Channel {
    /// As bot.conf spells it.
    pub name: String,
    /// Empty if the channel has none.
    pub key: String,
}

/// A login by SASL: PLAIN, or EXTERNAL with the TLS client certificate.
pub struct Sasl {
    pub mechanism: &'static str,
    /// What is sent (RFC 4616), before base64; empty for EXTERNAL.
    pub login: String,
}

#[derive(Debug, PartialEq)]
pub enum ReplyStyle {
    Privmsg,
    Notice,
    /// Errors only, by PRIVMSG.
    Quiet,
}

/// Two clocks: a monotonic one for deadlines, and wall-clock time.
#[derive(Clone, Copy)]
pub struct Now {
    pub instant: Instant,
    pub clock: OffsetDateTime,
}

/// One configured channel.
struct Membership<'a> {
    channel: &'a Channel,
    /// As the server spells it.
    server_name: Vec<u8>,
    /// When the next JOIN is due; `None`: we are in the channel, or waiting for an INVITE.
    join_at: Option<Instant>,
    /// The wait after that JOIN; `None`: do not send another one.
    backoff: Option<Duration>,
    /// A JOIN was sent and neither answered nor refused.
    is_unanswered: bool,
    /// When we joined, by the server's clock; `None`: we are not in the channel. A line with an
    /// earlier server-time is replayed.
    joined: Option<OffsetDateTime>,
    /// The server's time of the newest line received live, or of our JOIN; `None`: the channel is
    /// new to us.
    newest_live: Option<OffsetDateTime>,
    replay: Replay,
    /// The newest live line that was not for us; empty once its time is recorded.
    skipped_line: Vec<u8>,
}

/// The state of one connection.
pub struct Session<'a> {
    settings: &'a Settings,
    /// When 001 arrived.
    pub registered: Option<Instant>,
    /// Why to close the connection, once the last bytes are written.
    pub end: Option<End>,
    /// Bytes to send. The caller takes and writes all of them.
    pub out: String,
    outbox: Outbox,

    /// The credentials, until they are sent.
    sasl: Option<&'a Sasl>,
    /// The server offers our SASL mechanism, and the login is not over.
    is_logging_in: bool,
    /// The server has said that services cannot be reached.
    are_services_away: bool,

    nick: String,
    /// How many nicks the server has refused.
    nick_refusals: usize,
    /// When to ask for the wanted nick again.
    reclaim: Option<Instant>,
    case: CaseMapping,
    line_length: usize,

    memberships: Vec<Membership<'a>>,
    /// The earliest time of the next JOIN; `None` until `on_connect` has been sent.
    next_join: Option<Instant>,
    /// The maximum number of lines in a page of history; 0 until `draft/chathistory` is granted.
    history_limit: usize,
    /// When to give up if 001 or PONG is awaited, or else when to send PING.
    wait_until: Instant,
    is_answer_due: bool,
    /// The server has sent a line of IRC.
    pub is_irc: bool,
    /// The reasons that `log_once` has logged.
    logged_reasons: HashSet<String>,
    /// Limits the log of private notices to five at once, and one more every 12 s.
    notices: Bucket,
}

impl<'a> Session<'a> {
    /// Starts to register: puts the first lines into `out`. `last_seen`: when each channel was last
    /// seen.
    pub fn new(settings: &'a Settings, last_seen: &[Option<OffsetDateTime>], now: Now) -> Self {
        let memberships =
            settings.channels.iter().zip(last_seen).map(|(channel, &newest_live)| Membership {
                channel,
                server_name: channel.name.clone().into(),
                join_at: Some(now.instant),
                backoff: Some(FIRST_BACKOFF),
                is_unanswered: false,
                joined: None,
                newest_live,
                replay: Replay::default(),
                skipped_line: Vec::with_capacity(message::LONGEST_LINE),
            });
        let mut session = Session {
            settings,
            registered: None,
            end: None,
            out: String::new(),
            outbox: Outbox::new(now.instant),
            sasl: settings.sasl.as_ref(),
            is_logging_in: false,
            are_services_away: false,
            nick: settings.nick.clone(),
            nick_refusals: 0,
            reclaim: None,
            case: CaseMapping::Rfc1459,
            line_length: 512,
            memberships: memberships.collect(),
            next_join: None,
            history_limit: 0,
            wait_until: now.instant + MINUTE,
            is_answer_due: true,
            is_irc: false,
            logged_reasons: HashSet::new(),
            notices: Bucket::new(5, 12, now.instant),
        };
        session.register();
        session
    }

    /// The next moment at which [`tick`](Session::tick) has something to do.
    pub fn deadline(&self) -> Instant {
        let replays = self.memberships.iter().map(|m| m.replay.until);
        replays
            .chain([self.reclaim, self.outbox.deadline(), self.join_due().map(|(at, _)| at)])
            .flatten()
            .fold(self.wait_until, Instant::min)
    }

    /// Does what is due at `now`, and moves replies to `out` as the rate limit allows.
    pub fn tick(&mut self, now: Instant) {
        if now >= self.wait_until {
            if self.is_logging_in {
                self.login_unavailable("no answer for 60 s");
            } else if self.is_answer_due {
                self.close(Retry::Soon, "no answer from the server for 60 s");
            } else {
                // Counted from here: this process may have been stopped since the last line.
                self.wait_until = now + MINUTE;
                self.is_answer_due = true;
                self.send("PING", "linkbot");
            }
        }
        if self.reclaim.is_some_and(|at| now >= at) {
            self.send("NICK", &self.settings.nick);
            self.reclaim = Some(now + 5 * MINUTE);
        }
        if let Some((at, index)) = self.join_due()
            && now >= at
        {
            self.join(index, now);
        }
        self.end_history(now);
        // The longest line of ours that reaches everyone uncut. Servers put `:nick!user@host `
        // before it, with at most 10 and 63 bytes for user and host, and may add a `:` before the
        // text.
        let room = self.line_length.saturating_sub(self.nick.len() + 78);
        while let Some(Line { target, text, .. }) = self.outbox.next(now) {
            let verb = if self.settings.reply == ReplyStyle::Notice || text.starts_with('\x01') {
                "NOTICE"
            } else {
                "PRIVMSG"
            };
            self.out += &message::format(&format!("{verb} {target}"), &text, room);
        }
    }

    /// Handles one line from the server. Returns a request if someone said something for us.
    pub fn receive(&mut self, line: &[u8], now: Now) -> Option<Request> {
        let registered = self.registered.is_some();
        if registered {
            self.wait_until = now.instant + Duration::from_secs(90);
            self.is_answer_due = false;
        }
        // Without `?`, which would copy the message.
        let Some(message) = &Message::parse(line) else { return None };
        if message.verb == b"PRIVMSG" {
            return self.privmsg(line, message, now);
        }
        // A TLS server answers plain text with an alert, which may end in a newline.
        self.is_irc |= message.verb[0].is_ascii_alphanumeric();
        let is_ours =
            self.is_me(if message.verb == b"KICK" { message.param(1) } else { message.nick() });
        let logging_in = self.is_logging_in;
        self.are_services_away |= !registered && login::mentions(&message.last(), login::OUTAGE);
        match message.verb {
            b"NOTICE" => self.notice(message, now),
            b"BATCH" => self.batch(message, now.instant),
            b"FAIL" if logging_in && message.param(0) == b"AUTHENTICATE" => {
                self.login_refused(message)
            }
            b"FAIL" | b"WARN" | b"NOTE" => self.standard_reply(message),
            b"PING" => self.send("PONG", &message.text(0)),
            b"ERROR" | b"465" => self.error(message),
            b"CAP" => self.cap(message),
            b"AUTHENTICATE" if logging_in => self.authenticate(),
            b"903" if logging_in => {
                self.is_logging_in = false;
                self.send("CAP", "END");
            }
            [b'9', b'0', b'2'..=b'8'] if logging_in => self.login_refused(message),
            // Once registered, 464 answers an OPER in `on_connect`.
            b"464" if !registered => {
                self.close(Retry::Slow, "the server refuses the password; check server_password")
            }
            b"432" | b"433" | b"436" | b"437" if !registered => self.nick_refused(message),
            b"001" if !registered => self.welcome(message, now.instant),
            b"005" => self.isupport(message),
            b"376" | b"422" if registered && self.next_join.is_none() => {
                self.burst_over(now.instant)
            }
            b"900" => self.services_answered(now.instant),
            b"NICK" if is_ours => self.take_nick(message, now.instant),
            // Someone gives up the nick that we want, so ask for it now.
            b"NICK" | b"QUIT" if self.case.eq(message.nick(), &self.settings.nick) => {
                self.reclaim = self.reclaim.map(|_| now.instant);
            }
            b"JOIN" if is_ours => self.joined(message, now),
            b"PART" | b"KICK" if is_ours => self.removed_from_channel(message, now.instant),
            b"INVITE" => self.invited(message, now.instant),
            [b'4'..=b'9', _, _] => self.refused(message),
            _ => {}
        }
        None
    }

    /// Queues a reply to a channel or a nick. Each line of `text` becomes one IRC line.
    pub fn answer(&mut self, target: &str, text: &str, kind: ReplyKind) {
        if self.settings.reply != ReplyStyle::Quiet || kind == ReplyKind::Failed {
            for line in text.lines() {
                self.outbox.push(target, line.to_owned(), kind);
            }
        }
    }

    fn send(&mut self, start: &str, last: &str) {
        self.out += &message::format(start, last, self.line_length);
    }

    /// Ends the connection. The first reason counts; later ones are only logged.
    fn close(&mut self, retry: Retry, why: impl Display) {
        if self.end.is_some() {
            log!("{why}");
            return;
        }
        self.send("QUIT", "");
        self.end = Some(End(retry, why.to_string()));
    }

    /// Logs a warning, but only once per `reason` and connection.
    fn log_once(&mut self, reason: &str, details: impl Display) {
        // The limit bounds the memory.
        if self.logged_reasons.len() < 1000 && self.logged_reasons.insert(reason.into()) {
            log!("{WARNING}{reason}{details}");
        }
    }

    fn is_me(&self, nick: &[u8]) -> bool {
        self.case.eq(nick, &self.nick)
    }
}

#[cfg(test)]
#[path = "../tests/unit/irc.rs"]
mod tests;
