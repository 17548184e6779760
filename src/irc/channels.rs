//! The configured channels. Takes our own JOINs and what the server says about a channel, and sends
//! JOIN until our own JOIN comes back. linkbot never sends PART: others may share the connection.

use super::*;

/// The wait after the first JOIN of a channel; doubles up to an hour.
pub const FIRST_BACKOFF: Duration = Duration::from_secs(10);
/// Servers penalize many JOINs at once.
const JOIN_INTERVAL: Duration = Duration::from_millis(500);
const WAITING: &str = "waiting for an INVITE or a restart";

/// One configured channel.
pub struct Membership<'a> {
    pub channel: &'a Channel,
    /// As the server spells it.
    pub server_name: Vec<u8>,
    /// When the next JOIN is due, and the wait after it; `None`: there is none, until an INVITE.
    pub join_at: Option<Instant>,
    pub backoff: Option<Duration>,
    /// A JOIN was sent and neither answered nor refused.
    pub is_join_open: bool,
    /// We are in the channel. A line with a server-time before this one is replayed.
    pub joined: Option<OffsetDateTime>,
    /// The server's time of the newest line heard live, or of our JOIN; `None`: the channel is new
    /// to us.
    pub newest_live: Option<OffsetDateTime>,
    pub replay: Replay,
    /// The newest live line that was not for us; empty if it was read.
    pub skipped_line: Vec<u8>,
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
        let due = self.memberships.iter().zip(0..).filter_map(|(m, i)| Some((m.join_at?, i)));
        let (join_at, index) = due.min().filter(|_| self.phase == Phase::Ready)?;
        Some((join_at.max(self.next_join), index))
    }

    pub fn join(&mut self, index: usize, now: Instant) {
        let membership = &mut self.memberships[index];
        membership.join_at = membership.backoff.map(|wait| now + wait);
        membership.backoff = membership.backoff.map(|wait| (wait * 2).min(60 * MINUTE));
        membership.is_join_open = true;
        self.next_join = now + JOIN_INTERVAL;
        let Channel { name, key } = membership.channel;
        let key = key.as_deref().unwrap_or_default();
        self.send(&format!("JOIN {name}"), key);
    }

    /// Our own JOIN: we are in a channel, and everything since it was last seen is missing.
    pub fn joined(&mut self, message: &Message, now: Now) {
        let name = message.param(0);
        let index = self.configured(name).or_else(|| {
            // Servers fold names that are not ASCII by rules of their own. ASCII names are exact,
            // so a channel that others make us join is not mistaken for one of them.
            self.memberships.iter().position(|m| m.is_join_open && !m.channel.name.is_ascii())
        });
        let Some(index) = index else {
            let text = format!(
                "in {}, which is not in bot.conf: ignoring what is said there",
                message.text(0)
            );
            return self.log_once(&text, "");
        };
        let membership = &mut self.memberships[index];
        let joined = Some(server_time(message).unwrap_or(now.clock - time::Duration::minutes(5)));
        // A time in the future is a mistake, as if the channel was new to us.
        let last_seen =
            membership.last_seen(now).filter(|&time| time <= now.clock + MAX_CLOCK_SKEW);
        membership.server_name = name.to_vec();
        membership.join_at = None;
        membership.is_join_open = false;
        membership.joined = joined;
        membership.newest_live = last_seen;
        membership.replay = Replay::default();
        let name = &membership.channel.name;
        log!("joined {name}");
        if !membership.was_seen(joined, now) {
            log!(
                "not caught up in {name}: the server's clock and this machine's differ by more \
                 than 10 min"
            );
        } else if let Some(last_seen) = last_seen
            && self.settings.catch_up
        {
            let since = Some(last_seen.max(now.clock - time::Duration::days(7)));
            membership.replay.since = since;
            membership.replay.newest = since;
            self.request_history(index, now.instant);
        }
    }

    /// A numeric that names one of our channels. It changes nothing but is logged, once per reason.
    pub fn refused(&mut self, message: &Message) {
        // UnrealIRCd puts the channel's name into the text.
        let mut words = message.params().skip(1).flat_map(|param| param.split(|&b| b == b' '));
        let Some(index) = words.find_map(|name| self.configured(name)) else { return };
        let membership = &mut self.memberships[index];
        membership.is_join_open = false;
        let name = &membership.channel.name;
        let mut why = format!("{} {}", message::text(message.verb), message.last());
        if message.verb == b"470" {
            why += &format!(" ({})", message.text(2));
        }
        let then = if membership.backoff.is_some() { "retrying with backoff" } else { WAITING };
        let text = match membership.joined {
            Some(_) => format!("the server refused a message to {name}: {why}"),
            None => format!("not in {name}: {why}; {then}"),
        };
        self.log_once(&text, "");
    }

    /// A KICK, or a PART that others made us send.
    pub fn removed_from_channel(&mut self, message: &Message, now: Instant) {
        let Some(index) = self.configured(message.param(0)) else { return };
        let returns = message.verb == b"KICK" && self.settings.rejoin;
        let then = if returns { "rejoining once, in 60 s" } else { WAITING };
        let membership = &mut self.memberships[index];
        membership.joined = None;
        membership.join_at = returns.then(|| now + MINUTE);
        membership.backoff = None;
        log!(
            "{WARNING}out of {}: {} by {}: {}; {then}",
            membership.channel.name,
            message::text(message.verb),
            message.sender(),
            message.last()
        );
    }

    /// An INVITE never adds a channel.
    pub fn invited(&mut self, message: &Message, now: Instant) {
        let Some(index) = self.configured(message.param(1)) else { return };
        let membership = &mut self.memberships[index];
        if membership.joined.is_none() {
            membership.join_at = Some(now);
            membership.backoff = Some(FIRST_BACKOFF);
        }
    }
}
