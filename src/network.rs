//! The connection to IRC, or the wait before the next one. Reads bytes and returns requests; takes
//! outcomes and sends the replies.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::time::Instant;

use time::OffsetDateTime;

use crate::bot::{Outcome, Request};
use crate::config::Config;
use crate::delivery::describe_wait;
use crate::irc::connection::{Backoff, Connection, End, Retry};
use crate::irc::message::{self, AT_ONCE, Lines};
use crate::irc::{Now, Session};
use crate::last_seen::LastSeen;
use crate::log;

pub struct Network<'a> {
    config: &'a Config,
    verbose: bool,
    online: Option<Online<'a>>,
    last_seen: LastSeen<'a>,
    backoff: Backoff,
    /// The address of the last attempt, unless that got as far as 001.
    failed_address: Option<SocketAddr>,
    /// When to connect, while not connected.
    next_attempt: Instant,
    /// No bytes are waiting to be read.
    pub idle: bool,
}

struct Online<'a> {
    connection: Connection,
    session: Session<'a>,
    lines: Lines,
}

impl<'a> Network<'a> {
    pub fn new(config: &'a Config, verbose: bool) -> Network<'a> {
        Network {
            config,
            verbose,
            online: None,
            last_seen: LastSeen::read(config),
            backoff: Backoff::new(config.reconnect),
            failed_address: None,
            next_attempt: Instant::now(),
            idle: true,
        }
    }

    /// Waits for lines, until `until` or the connection's own deadline, and returns the requests
    /// among them.
    pub fn take_in(&mut self, until: Option<Instant>) -> Vec<Request> {
        self.idle = true;
        let mut requests = Vec::new();
        let Some(online) = &mut self.online else {
            self.wait_and_connect(until);
            return requests;
        };
        let mut until = until.into_iter().fold(online.session.deadline(), Instant::min);
        let mut taken = 0;
        loop {
            match online.connection.read(online.lines.space(), until) {
                Ok(Some(n)) => {
                    online.lines.filled(n);
                    taken += n;
                }
                Ok(None) => break,
                Err(e) => break online.broken(&e),
            }
            let now = now();
            while let Some(line) = online.lines.next() {
                if self.verbose {
                    log!("<- {}", message::text(line));
                }
                if let Some(request) = online.session.receive(line, now) {
                    requests.push(request);
                }
            }
            // All requests share one commit. TLS returns one record per read, so read what is
            // there.
            if requests.is_empty() || taken >= AT_ONCE {
                self.idle = false;
                break;
            }
            until = Instant::now();
        }
        requests
    }

    /// Sends the replies, and everything else that is due.
    pub fn answer(&mut self, outcomes: Vec<Outcome>) {
        let Some(online) = &mut self.online else { return };
        for outcome in outcomes {
            let Outcome { request, answer, is_look, links } = &outcome;
            let target = request.channel.as_ref().unwrap_or(&request.nick);
            online.session.record_replayed(request, outcome.is_saved().then_some(*links));
            // One line sums up what was caught up.
            if !(*is_look || request.history && answer.is_ok()) {
                let (Ok(text) | Err(text)) = answer;
                let text = if text.is_empty() { "captured" } else { text };
                log!("{target} {}: {text}", request.nick);
            }
            if let Some(kind) = outcome.kind() {
                online.session.answer(target, &outcome.text(), kind);
            }
        }
        online.session.tick(Instant::now());
        let bytes = mem::take(&mut online.session.out);
        if self.verbose {
            bytes.lines().for_each(|line| log!("-> {line}"));
        }
        online.session.log.drain(..).for_each(log::line);
        online.connection.write(bytes.as_bytes()).unwrap_or_else(|e| online.broken(&e));
        let end = online.session.end.take();
        let now = now();
        self.last_seen.update(online.session.last_seen(now), now.instant, end.is_some());
        if let Some(end) = end {
            self.lost(&end);
        }
    }

    fn wait_and_connect(&mut self, until: Option<Instant>) {
        let wake = until.into_iter().fold(self.next_attempt, Instant::min);
        std::thread::sleep(wake.saturating_duration_since(Instant::now()));
        if Instant::now() < self.next_attempt {
            return;
        }
        match Connection::open(&self.config.server, &mut self.failed_address) {
            Ok(connection) => {
                let session = Session::new(&self.config.irc, &self.last_seen.times, now());
                self.online = Some(Online { connection, session, lines: Lines::new() });
            }
            Err(end) => self.lost(&end),
        }
    }

    /// Handles a failed or lost connection: schedules the next attempt.
    fn lost(&mut self, end: &End) {
        let mut registered = None;
        let mut hint = "";
        if let Some(online) = self.online.take() {
            registered = online.session.registered.map(|since| since.elapsed());
            if !online.session.is_irc && !self.config.server.tls {
                hint = "; the server sent no line of IRC: if this port speaks TLS, set tls = yes";
            }
        }
        if registered.is_some() {
            self.failed_address = None;
        }
        // Each RandomState has a new seed: the standard library's only source of randomness.
        let random = RandomState::new().build_hasher().finish();
        let wait = self.backoff.wait(end.retry, registered, random);
        let priority = if end.retry == Retry::Soon { log::WARNING } else { log::ERROR };
        let (why, retry) = (&end.why, describe_wait(wait));
        log!("{priority}not connected: {why}{hint}; retrying in {retry}");
        self.next_attempt = Instant::now() + wait;
    }
}

impl Online<'_> {
    /// Ends the connection. Prefers the server's last message to the socket error.
    fn broken(&mut self, error: &io::Error) {
        self.session.end.get_or_insert_with(|| End::new(Retry::Soon, log::os_error(error)));
    }
}

fn now() -> Now {
    Now { instant: Instant::now(), clock: OffsetDateTime::now_utc() }
}
