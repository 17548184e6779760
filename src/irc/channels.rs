//! The configured channels. Takes our own JOINs and what the server says about a channel, and sends
//! JOIN until our own JOIN comes back. linkbot never sends PART: others may share the connection.

use super::*;

/// The wait after the first JOIN of a channel; doubles up to an hour.
const FIRST_BACKOFF: Duration = Duration::from_secs(10);
/// Servers penalize many JOINs at once.
const JOIN_INTERVAL: Duration = Duration::from_millis(500);
const WAITING: &str = "waiting for an INVITE or a restart";

/// One configured channel.
pub struct Membership<'a> {
    pub channel: &'a Channel,
    /// As the server spells it.
    pub server_name: Vec<u8>,
    pub presence: Presence,
    /// A JOIN was sent and neither answered nor refused.
    pub is_join_open: bool,
    /// The server's time of the newest line heard live, or of our JOIN; `None`: the channel is new
    /// to us.
    pub newest_live: Option<OffsetDateTime>,
    pub replay: Option<Replay>,
    /// The newest live line that was not for us; empty if it was read.
    pub skipped_line: Vec<u8>,
}

pub enum Presence {
    /// Not in the channel. A JOIN is due at `join_at`, `wait` after the last one, if any.
    Asking { join_at: Instant, wait: Duration },
    /// Kept out until an INVITE or the next connection, but for one JOIN.
    Out { join_at: Option<Instant> },
    /// In the channel. A line with a server-time before `since` is replayed.
    In { since: OffsetDateTime },
}

impl Session<'_> {
    /// The index of a configured channel.
    pub fn configured(&self, name: &[u8]) -> Option<usize> {
        self.memberships.iter().position(|m| self.case.eq(name, &m.server_name))
    }

    /// 900 or a private NOTICE: services have read `on_connect`, so join soon.
    pub fn services_answered(&mut self, now: Instant) {
        self.next_join = self.next_join.min(now + JOIN_INTERVAL);
    }

    /// When the next JOIN is due, and the index of its channel.
    pub fn join_due(&self) -> Option<(Instant, usize)> {
        let due = self.memberships.iter().enumerate().filter_map(|(index, m)| match m.presence {
            Presence::Asking { join_at, .. } | Presence::Out { join_at: Some(join_at) } => {
                Some((join_at, index))
            }
            _ => None,
        });
        let (join_at, index) = due.min().filter(|_| self.phase == Phase::Ready)?;
        Some((join_at.max(self.next_join), index))
    }

    pub fn join(&mut self, index: usize, now: Instant) {
        let membership = &mut self.memberships[index];
        membership.presence = match membership.presence {
            Presence::Asking { wait, .. } => {
                let wait = (wait * 2).clamp(FIRST_BACKOFF, Duration::from_secs(60 * 60));
                Presence::Asking { join_at: now + wait, wait }
            }
            _ => Presence::Out { join_at: None },
        };
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
        let name = message.param(0);
        let index = self.configured(name).or_else(|| {
            // Servers fold names that are not ASCII by rules of their own. ASCII names are exact,
            // so a channel that others make us join is not mistaken for one of them.
            self.memberships.iter().position(|m| m.is_join_open && !m.channel.name.is_ascii())
        });
        let Some(index) = index else {
            let name = message.text(0);
            let what = format!("in {name}, which is not in bot.conf");
            return self.log_once(&what, ": ignoring what is said there");
        };
        let membership = &mut self.memberships[index];
        membership.server_name = name.to_vec();
        membership.is_join_open = false;
        self.log.push(format!("joined {}", membership.channel.name));
        let since = server_time(message).unwrap_or(now.clock - time::Duration::minutes(5));
        self.catch_up(index, since, now);
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
            Presence::Out { .. } => format!("not in {name}: {why}; {WAITING}"),
        };
        self.log_once(&text, "");
    }

    /// A KICK, or a PART that others made us send.
    pub fn removed_from_channel(&mut self, message: &Message, now: Instant) {
        let Some(index) = self.configured(message.param(0)) else { return };
        let returns = message.verb == b"KICK" && self.settings.rejoin;
        let then = if returns { "rejoining once, in 60 s" } else { WAITING };
        let Membership { channel, presence, .. } = &mut self.memberships[index];
        *presence = Presence::Out { join_at: returns.then(|| now + Duration::from_secs(60)) };
        let (verb, why) = (message::text(message.verb), message.last());
        let (name, by) = (&channel.name, message.sender());
        self.log.push(format!("{WARNING}out of {name}: {verb} by {by}: {why}; {then}"));
    }

    /// An INVITE never adds a channel. It changes nothing if a JOIN is due within 10 s anyway.
    pub fn invited(&mut self, message: &Message, now: Instant) {
        let Some(index) = self.configured(message.param(1)) else { return };
        let presence = &mut self.memberships[index].presence;
        match *presence {
            Presence::In { .. } => {}
            Presence::Asking { wait, .. } if wait <= FIRST_BACKOFF => {}
            _ => *presence = Presence::Asking { join_at: now, wait: Duration::ZERO },
        }
    }
}
