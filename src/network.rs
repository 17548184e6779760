//! The connection to IRC, or the wait before the next one. Reads bytes and returns requests; takes
//! outcomes and sends the replies.

pub mod last_seen;

use std::{
    hash::{BuildHasher, RandomState},
    time::Instant,
};

use time::OffsetDateTime;

use crate::{
    bot::{Outcome, Request},
    config::Config,
    irc::{
        Now, Session,
        connection::{self, Addresses, Backoff, Connection, End, MINUTE, Retry},
        message::{self, AT_ONCE, Lines},
    },
    log::{self, ERROR, WARNING},
};

use last_seen::LastSeen;

pub struct Network<'a> {
    config: &'a Config,
    verbose: bool,
    /// While connected. `Lines` holds the bytes that have arrived but are not parsed yet.
    online: Option<(Box<dyn Connection>, Session<'a>, Lines)>,
    last_seen: LastSeen<'a>,
    backoff: Backoff,
    /// The server's addresses that no attempt has used yet.
    addresses: Addresses,
    /// When to connect, while not connected.
    next_attempt: Instant,
    /// The last read got nothing, so no bytes are waiting.
    pub idle: bool,
}

impl<'a> Network<'a> {
    pub fn new(config: &'a Config, verbose: bool) -> Network<'a> {
        Network {
            config,
            verbose,
            online: None,
            last_seen: LastSeen::read(config),
            backoff: Backoff::new(config.reconnect),
            addresses: Addresses::default(),
            next_attempt: Instant::now(),
            idle: true,
        }
    }

    /// Waits for lines, until `until` or the connection's own deadline, and returns the requests
    /// among them.
    pub fn take_in(&mut self, until: impl Iterator<Item = Instant>) -> Vec<Request> {
        self.idle = true;
        let Some((connection, session, lines)) = &mut self.online else {
            let wake = until.fold(self.next_attempt, Instant::min);
            std::thread::sleep(wake.saturating_duration_since(Instant::now()));
            if Instant::now() >= self.next_attempt {
                self.connect();
            }
            return Vec::new();
        };
        let mut requests = Vec::new();
        let mut until = until.fold(session.deadline(), Instant::min);
        let mut taken = 0;
        loop {
            let length = match connection.receive(lines.space(), until) {
                Ok(0) => return requests,
                Ok(length) => length,
                Err(e) => {
                    let mut why = log::os_error(e);
                    if !session.is_irc && !self.config.server.tls {
                        why += "; the server sent no line of IRC: if this port speaks TLS, \
                                set tls = yes";
                    }
                    // Prefer the server's last message to this error.
                    session.end.get_or_insert(End(Retry::Soon, why));
                    return requests;
                }
            };
            lines.end += length;
            taken += length;
            let now = now();
            while let Some(line) = lines.next() {
                if self.verbose {
                    log!("<- {}", message::text(line));
                }
                // Unlike `extend`, this costs nothing for a line that is not for us.
                if let Some(request) = session.receive(line, now) {
                    requests.push(request);
                }
            }
            // All requests share one commit. TLS returns one record per read, so read until nothing
            // is left.
            if requests.is_empty() || taken >= AT_ONCE {
                self.idle = false;
                return requests;
            }
            until = now.instant;
        }
    }

    /// Sends the replies, and everything else that is due.
    pub fn answer(&mut self, outcomes: Vec<Outcome>) {
        let Some((connection, session, _)) = &mut self.online else { return };
        for outcome in outcomes {
            let Outcome { request, answer, is_look, links } = &outcome;
            let target = request.channel.as_ref().unwrap_or(&request.nick);
            session.record_replayed(request, outcome.is_saved().then_some(*links));
            // Lookups are not logged, and catch-up logs one summary at its end.
            if !(*is_look || request.history && answer.is_ok()) {
                let (Ok(text) | Err(text)) = answer;
                let text = if text.is_empty() { "captured" } else { text };
                log!("{target} {}: {text}", request.nick);
            }
            if let Some(kind) = outcome.kind() {
                session.answer(target, &outcome.text(), kind);
            }
        }
        let now = now();
        session.tick(now.instant);
        if self.verbose {
            for line in session.out.lines() {
                log!("-> {line}");
            }
        }
        if let Err(e) = connection.write_all(session.out.as_bytes()) {
            let why = format!("cannot send to the server: {}", log::os_error(e));
            session.end.get_or_insert(End(Retry::Soon, why));
        }
        session.out.clear();
        let end = session.end.take();
        self.last_seen.update(session.last_seen(now), now.instant, end.is_some());
        if let Some(end) = end {
            self.lost(end);
        }
    }

    fn connect(&mut self) {
        match connection::open(&self.config.server, &mut self.addresses) {
            Ok(connection) => {
                let session = Session::new(&self.config.irc, &self.last_seen.times, now());
                self.online = Some((connection, session, Lines::new()));
            }
            Err(end) => self.lost(end),
        }
    }

    /// Handles a failed or lost connection: schedules the next attempt.
    fn lost(&mut self, End(retry, why): End) {
        let registered =
            self.online.take().and_then(|(_, session, _)| Some(session.registered?.elapsed()));
        // Each RandomState has a new seed: the standard library's only source of randomness.
        let wait = self.backoff.wait(retry, registered, RandomState::new().hash_one(""));
        let priority = if retry == Retry::Soon { WARNING } else { ERROR };
        log!(
            "{priority}not connected: {why}; retrying in {}",
            crate::delivery::describe_wait(wait)
        );
        self.next_attempt = Instant::now() + wait;
    }
}

fn now() -> Now {
    Now { instant: Instant::now(), clock: OffsetDateTime::now_utc() }
}
