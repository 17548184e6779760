//! The configured channels. Takes our own JOINs and what the server says about a channel, and sends
//! JOIN until our own JOIN comes back. linkbot never sends PART: others may share the connection.

use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::history::Replay;
use super::message::{self, Message};
use super::talk::server_time;
use super::{Channel, Now, Phase, Session};
use crate::log::WARNING;

/// The shortest time between two JOINs.
const JOIN_INTERVAL: Duration = Duration::from_millis(500);
/// The wait after the first JOIN of a channel; doubles up to the longest.
const FIRST_BACKOFF: Duration = Duration::from_secs(10);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60 * 60);
/// With `rejoin = yes`, the wait after a KICK.
const REJOIN: Duration = Duration::from_secs(60);
const WAITING: &str = "waiting for an INVITE or a restart";

/// One configured channel.
pub struct Membership<'a> {
    pub channel: &'a Channel,
    /// As the server spells it.
    server_name: Vec<u8>,
    pub presence: Presence,
    /// When the last JOIN was sent that has not let us in.
    last_join: Option<Instant>,
    /// That JOIN was not refused either.
    is_join_open: bool,
    /// The server's time of the newest line heard live, or of our JOIN; `None`: the channel is new
    /// to us.
    pub newest_live: Option<OffsetDateTime>,
    pub replay: Option<Replay>,
    /// The newest live line that was not for us, and when it arrived; empty if it was read.
    pub skipped_line: Vec<u8>,
    pub skipped_at: Now,
}

#[derive(Clone, Copy)]
pub enum Presence {
    /// Not in the channel. A JOIN is due at `join_at`, and again each `join_backoff` after it;
    /// `None`: only once.
    Asking { join_at: Instant, join_backoff: Option<Duration> },
    /// Kept out until an INVITE or the next connection.
    Out,
    /// In the channel. A line with a server-time before `since` is replayed.
    In { since: OffsetDateTime },
}

impl<'a> Membership<'a> {
    /// `last_seen`: when the channel was last seen.
    pub fn new(
        channel: &'a Channel,
        last_seen: Option<OffsetDateTime>,
        now: Now,
    ) -> Membership<'a> {
        Membership {
            channel,
            server_name: channel.name.clone().into_bytes(),
            presence: Presence::Asking { join_at: now.instant, join_backoff: Some(FIRST_BACKOFF) },
            last_join: None,
            is_join_open: false,
            newest_live: last_seen,
            replay: None,
            skipped_line: Vec::with_capacity(message::LONGEST_LINE),
            skipped_at: now,
        }
    }
}

impl Session<'_> {
    /// The index of a configured channel.
    pub fn configured(&self, name: &[u8]) -> Option<usize> {
        self.memberships.iter().position(|m| {
            [m.channel.name.as_bytes(), &m.server_name].iter().any(|own| self.case.eq(name, own))
        })
    }

    /// 900 or a private NOTICE: services have read `on_connect`, so join now.
    pub fn services_answered(&mut self, now: Instant) {
        self.next_join = self.next_join.min(now + JOIN_INTERVAL);
    }

    /// When the next JOIN is due, and the index of its channel.
    pub fn join_due(&self) -> Option<(Instant, usize)> {
        if self.phase != Phase::Ready {
            return None;
        }
        let asking =
            self.memberships.iter().enumerate().filter_map(|(index, m)| match m.presence {
                Presence::Asking { join_at, .. } => Some((join_at, index)),
                _ => None,
            });
        asking.min().map(|(join_at, index)| (join_at.max(self.next_join), index))
    }

    pub fn join(&mut self, index: usize, now: Instant) {
        let membership = &mut self.memberships[index];
        let Presence::Asking { join_backoff, .. } = membership.presence else { return };
        membership.presence = match join_backoff {
            Some(wait) => Presence::Asking {
                join_at: now + wait,
                join_backoff: Some(LONGEST_BACKOFF.min(wait * 2)),
            },
            None => Presence::Out,
        };
        membership.last_join = Some(now);
        membership.is_join_open = true;
        self.next_join = now + JOIN_INTERVAL;
        let Channel { name, key } = membership.channel;
        match key {
            Some(key) => self.send("JOIN", &[name, key]),
            None => self.send("JOIN", &[name]),
        }
    }

    /// Our own JOIN: we are in a channel.
    pub fn joined(&mut self, message: &Message, now: Now) {
        self.read_skipped_lines();
        let name = message.param(0);
        let Some(index) = self.configured(name).or_else(|| self.renamed_channel()) else {
            let name = message.text(0);
            let text = format!("in {name}, which is not in bot.conf: ignoring what is said there");
            return self.log_once(text.clone(), text);
        };
        let membership = &mut self.memberships[index];
        let since = server_time(message).unwrap_or(now.clock - time::Duration::minutes(5));
        membership.presence = Presence::In { since };
        membership.server_name = name.to_vec();
        membership.last_join = None;
        membership.is_join_open = false;
        self.log.push(format!("joined {}", membership.channel.name));
        self.catch_up(index, since, now);
    }

    /// The channel whose JOIN the server answers by another name: servers fold names that are not
    /// ASCII by rules of their own. ASCII names are exact, so a channel that others make us join is
    /// not mistaken for one of them.
    fn renamed_channel(&self) -> Option<usize> {
        self.memberships.iter().position(|m| m.is_join_open && !m.channel.name.is_ascii())
    }

    /// A numeric that names one of our channels. It changes nothing but is logged, once per reason.
    pub fn refused(&mut self, message: &Message) {
        // UnrealIRCd puts the channel's name into the text.
        let mut words = message.params().skip(1).flat_map(|param| param.split(|&b| b == b' '));
        let Some(index) = words.find_map(|name| self.configured(name)) else { return };
        let membership = &mut self.memberships[index];
        let name = &membership.channel.name;
        let mut why = format!("{} {}", message::text(message.verb), message.last());
        if message.verb == b"470" {
            why = format!("{why} ({})", message.text(2));
        }
        membership.is_join_open = false;
        let text = match membership.presence {
            Presence::In { .. } => format!("the server refused a message to {name}: {why}"),
            Presence::Asking { .. } => format!("not in {name}: {why}; retrying with backoff"),
            Presence::Out => format!("not in {name}: {why}; {WAITING}"),
        };
        self.log_once(text.clone(), text);
    }

    /// A KICK, or a PART that others made us send.
    pub fn removed_from_channel(&mut self, message: &Message, now: Now) {
        self.read_skipped_lines();
        let Some(index) = self.configured(message.param(0)) else { return };
        let returns = message.verb == b"KICK" && self.settings.rejoin;
        let join_at = now.instant + REJOIN;
        let (presence, then) = if returns {
            (Presence::Asking { join_at, join_backoff: None }, "rejoining once, in 60 s")
        } else {
            (Presence::Out, WAITING)
        };
        let membership = &mut self.memberships[index];
        membership.presence = presence;
        membership.newest_live = membership.last_seen();
        membership.replay = None;
        let name = &membership.channel.name;
        let (verb, by) = (message::text(message.verb), message.sender());
        let why = message.last();
        self.log.push(format!("{WARNING}out of {name}: {verb} by {by}: {why}; {then}"));
    }

    /// An INVITE never adds a channel. It causes at most one JOIN every 10 s.
    pub fn invited(&mut self, message: &Message, now: Instant) {
        let Some(index) = self.configured(message.param(1)) else { return };
        let membership = &mut self.memberships[index];
        let earliest = membership.last_join.map_or(now, |last| now.max(last + FIRST_BACKOFF));
        match membership.presence {
            Presence::In { .. } => return,
            Presence::Asking { join_at, .. } if join_at <= earliest => return,
            _ => {}
        }
        membership.presence =
            Presence::Asking { join_at: earliest, join_backoff: Some(FIRST_BACKOFF) };
        let name = &membership.channel.name;
        self.log.push(format!("invited to {name} by {}", message.sender()));
    }
}
