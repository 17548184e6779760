//! The connection to IRC, or the wait for the next one: takes in what is said, sends what is answered.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use crate::bot::{Request, Settled};
use crate::config::Config;
use crate::irc::connection::{Backoff, Connection, End, Retry};
use crate::irc::message::{self, Lines};
use crate::irc::outbox::Kind;
use crate::irc::{Now, Session};
use crate::log;

/// How much is taken in before what was said in it is committed and answered.
const MOST_AT_ONCE: usize = 64 * 1024;

pub struct Network<'a> {
    config: &'a Config,
    /// Log the raw lines.
    verbose: bool,
    online: Option<Online<'a>>,
    backoff: Backoff,
    /// When to connect, while not connected.
    next_try: Instant,
    /// The last wait came back with nothing.
    pub idle: bool,
    buffer: Vec<u8>,
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
            backoff: Backoff::new(config.reconnect),
            next_try: Instant::now(),
            idle: true,
            buffer: vec![0; 16 * 1024],
        }
    }

    /// Waits for bytes until `until` or the connection's own deadline, and returns the commands among them.
    /// This is the only place that blocks for long.
    ///
    /// An error is final: no new try could go better.
    pub fn take_in(&mut self, until: Option<Instant>) -> Result<Vec<Request>, String> {
        self.idle = true;
        let Some(online) = &mut self.online else {
            self.wait_and_connect(until);
            return Ok(Vec::new());
        };
        let mut requests = Vec::new();
        let mut until = until.map_or(online.session.deadline(), |other| other.min(online.session.deadline()));
        let mut taken = 0;
        let result = loop {
            match online.connection.read(&mut self.buffer, Some(until)) {
                Ok(None) => break Ok(()),
                Ok(Some(n)) => {
                    self.idle = false;
                    taken += n;
                    online.receive(&self.buffer[..n], self.verbose, &mut requests);
                }
                Err(e) => break Err(e),
            }
            // Commands share one commit. TLS hands over one record a read, so ask for what is there already.
            if requests.is_empty() || taken >= MOST_AT_ONCE {
                break Ok(());
            }
            until = Instant::now();
        };
        match result {
            Ok(()) => Ok(requests),
            Err(e) => self.lost(e).map(|()| requests),
        }
    }

    /// Sends the answers, and whatever else is due.
    pub fn answer(&mut self, replies: Vec<Settled>) -> Result<(), String> {
        for reply in replies {
            let (Ok(text) | Err(text)) = &reply.answer;
            let target = reply.request.channel.as_ref().unwrap_or(&reply.request.nick);
            let kind = match (reply.saves, &reply.answer) {
                (true, Ok(_)) => Kind::Saved,
                (_, Err(_)) => Kind::Failed,
                (false, Ok(_)) => Kind::Look,
            };
            if reply.saves {
                log::line(format_args!("{target} {}: {text}", reply.request.nick));
            }
            if let Some(online) = &mut self.online {
                online.session.answer(target, text, kind);
            }
        }
        let Some(online) = &mut self.online else { return Ok(()) };
        online.session.tick(Instant::now());
        match online.flush(self.verbose) {
            Err(e) => self.lost(e),
            Ok(()) => match online.session.end().cloned() {
                Some(end) => self.ended(end),
                None => Ok(()),
            },
        }
    }

    /// Whether this person may make us look something up now.
    pub fn may_look(&mut self, request: &Request) -> bool {
        self.online.as_mut().is_some_and(|online| online.session.may_look(&request.host, Instant::now()))
    }

    fn wait_and_connect(&mut self, until: Option<Instant>) {
        let wake = until.map_or(self.next_try, |other| other.min(self.next_try));
        std::thread::sleep(wake.saturating_duration_since(Instant::now()));
        if Instant::now() < self.next_try {
            return;
        }
        let server = &self.config.server;
        log::line(format_args!("connecting to {}:{}", server.host, server.port));
        match Connection::open(server) {
            Ok(connection) => {
                let session = Session::new(&self.config.irc, now());
                self.online = Some(Online { connection, session, lines: Lines::default() });
            }
            Err(end) => self.plan(end, Duration::ZERO),
        }
    }

    /// The connection broke. What the server said last tells more than how it broke.
    fn lost(&mut self, error: io::Error) -> Result<(), String> {
        let said = self.online.as_ref().and_then(|online| online.session.end().cloned());
        self.ended(said.unwrap_or_else(|| End::new(Retry::Soon, log::os(&error))))
    }

    fn ended(&mut self, end: End) -> Result<(), String> {
        let Some(mut online) = self.online.take() else { return Ok(()) };
        online.session.take_log().into_iter().for_each(log::line);
        if end.retry == Retry::Never {
            return Err(end.why);
        }
        self.plan(end, online.session.registered(Instant::now()));
        Ok(())
    }

    fn plan(&mut self, end: End, registered: Duration) {
        // Each RandomState is seeded anew: the standard library's only source of chance.
        let random = RandomState::new().build_hasher().finish();
        let wait = self.backoff.wait(end.retry, registered, random);
        log::line(format_args!("not connected: {}; next try in {} s", end.why, wait.as_secs()));
        self.next_try = Instant::now() + wait;
    }
}

impl Online<'_> {
    fn receive(&mut self, bytes: &[u8], verbose: bool, requests: &mut Vec<Request>) {
        self.lines.push(bytes);
        let now = now();
        while let Some(line) = self.lines.next() {
            if verbose {
                log::line(format_args!("<- {}", message::text(line)));
            }
            requests.extend(self.session.receive(line, now).map(Request::new));
        }
    }

    fn flush(&mut self, verbose: bool) -> io::Result<()> {
        let bytes = self.session.take();
        if verbose {
            bytes.lines().for_each(|line| log::line(format_args!("-> {line}")));
        }
        self.session.take_log().into_iter().for_each(log::line);
        if bytes.is_empty() { Ok(()) } else { self.connection.write(bytes.as_bytes()) }
    }
}

fn now() -> Now {
    Now { instant: Instant::now(), clock: OffsetDateTime::now_utc() }
}
