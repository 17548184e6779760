//! The configured channels. Takes our own JOINs and what the server says about a channel, and sends
//! JOIN until our own JOIN comes back. linkbot never sends PART: others may share the connection.

use super::*;

/// Servers penalize many JOINs at once.
const JOIN_INTERVAL: Duration = Duration::from_millis(500);
const WAITING: &str = "waiting for an INVITE or a restart";

impl Session<'_> {
    /// The index of a configured channel.
    pub fn configured(&self, name: &[u8]) -> Option<usize> {
        self.memberships.iter().position(|m| self.case.eq(name, &m.server_name))
    }

    /// 900 or a private NOTICE: services have read `on_connect`, so join soon.
    pub fn services_answered(&mut self, now: Instant) {
        // `None`, which is less than any time, stays.
        self.next_join = self.next_join.min(Some(now + JOIN_INTERVAL));
    }

    /// When the next JOIN is due, and the index of its channel.
    pub fn join_due(&self) -> Option<(Instant, usize)> {
        let (join_at, index) = self
            .memberships
            .iter()
            .zip(0..)
            .filter_map(|(membership, index)| Some((membership.join_at?, index)))
            .min()?;
        Some((join_at.max(self.next_join?), index))
    }

    pub fn join(&mut self, index: usize, now: Instant) {
        let membership = &mut self.memberships[index];
        membership.join_at = membership.backoff.map(|wait| now + wait);
        membership.backoff = membership.backoff.map(|wait| (wait * 2).min(60 * MINUTE));
        let Channel { name, key } = membership.channel;
        let was_unanswered = membership.is_unanswered;
        membership.is_unanswered = true;
        if was_unanswered {
            self.log_once(&format!("not in {name}: no reply to JOIN; still trying"), "");
        }
        self.next_join = Some(now + JOIN_INTERVAL);
        self.send(&format!("JOIN {name}"), key);
    }

    /// Handles our own JOIN, and starts to catch up on what was said since the channel was last
    /// seen.
    pub fn joined(&mut self, message: &Message, now: Now) {
        let name = message.param(0);
        let Some(index) = self
            .configured(name)
            // Only a non-ASCII name may come back spelled differently. So a channel that others
            // make us join never passes for a configured one with an ASCII name.
            .or_else(|| {
                self.memberships.iter().position(|m| m.is_unanswered && !m.channel.name.is_ascii())
            })
        else {
            return self.log_once(
                &format!("in {}, which is not in bot.conf", message.text(0)),
                ": ignoring what is said there",
            );
        };
        let membership = &mut self.memberships[index];
        // Without the server's time, allow for a clock that is 5 min off.
        let joined = Some(server_time(message).unwrap_or(now.clock - 5 * MINUTE));
        // A time in the future is a mistake: treat the channel as new to us.
        let last_seen =
            membership.last_seen(now).filter(|&time| time <= now.clock + MAX_CLOCK_SKEW);
        membership.server_name = name.to_vec();
        membership.join_at = None;
        membership.is_unanswered = false;
        membership.joined = joined;
        membership.newest_live = last_seen;
        membership.replay = Replay::default();
        let name = &membership.channel.name;
        log!("joined {name}");
        if !membership.record_seen(joined, now) {
            log!(
                "not caught up in {name}: the server's clock and this machine's differ by more \
                 than 10 min"
            );
        } else if last_seen.is_some() && self.settings.catch_up {
            let since = last_seen.max(Some(now.clock - time::Duration::days(7)));
            membership.replay.since = since;
            membership.replay.newest = since;
            self.request_history(index, now.instant);
        }
    }

    /// Logs a numeric that names one of our channels, once per reason. This also answers a
    /// pending JOIN of that channel.
    pub fn refused(&mut self, message: &Message) {
        // UnrealIRCd puts the channel's name into the text.
        let Some(index) = message
            .params()
            .flat_map(|param| param.split(|&b| b == b' '))
            .find_map(|name| self.configured(name))
        else {
            return;
        };
        let membership = &mut self.memberships[index];
        membership.is_unanswered = false;
        let name = &membership.channel.name;
        let mut why = format!("{} {}", message::text(message.verb), message.last());
        if message.verb == b"470" {
            why += &format!(" ({})", message.text(2));
        }
        let text = if membership.joined.is_some() {
            format!("the server refused a message to {name}: {why}")
        } else if membership.backoff.is_some() {
            format!("not in {name}: {why}; retrying with backoff")
        } else {
            format!("not in {name}: {why}; {WAITING}")
        };
        self.log_once(&text, "");
    }

    /// Handles a KICK, or a PART that others made us send.
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

    /// Handles an INVITE: joins a configured channel that we are not in. Ignores all others.
    pub fn invited(&mut self, message: &Message, now: Instant) {
        let Some(index) = self.configured(message.param(1)) else { return };
        let membership = &mut self.memberships[index];
        if membership.joined.is_none() {
            membership.join_at = Some(now);
            membership.backoff = Some(FIRST_BACKOFF);
        }
    }
}
