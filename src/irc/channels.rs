//! The configured channels: each is asked for until our own JOIN says that we are in it.

use std::time::{Duration, Instant};

use super::message::{self, Message};
use super::talk::server_time;
use super::{Channel, Membership, Now, Past, Phase, Session};

/// Between two JOINs.
const APART: Duration = Duration::from_millis(500);
/// Before the first new try of a JOIN, whatever became of it; doubles up to the longest.
const AGAIN: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// After a KICK, where the operator wants it.
const REJOIN: Duration = Duration::from_secs(60);
const WAITING: &str = "waiting for an INVITE or a restart";

impl<'a> Membership<'a> {
    pub(super) fn new(
        (channel, heard): (&'a Channel, &Option<time::OffsetDateTime>),
    ) -> Membership<'a> {
        let past = Past { heard: *heard, ..Past::default() };
        Membership {
            channel,
            since: None,
            again: None,
            wait: Some(AGAIN),
            asked: None,
            refusal: String::new(),
            past,
        }
    }
}

impl Session<'_> {
    /// 900 or a private NOTICE: services have read `on_connect`, so nothing more is waited for.
    pub(super) fn services_answered(&mut self, now: Instant) {
        self.next_join = self.next_join.min(now + APART);
    }

    pub(super) fn join_due(&self) -> Option<Instant> {
        self.memberships.iter().filter_map(|m| m.again).min().map(|at| at.max(self.next_join))
    }

    /// Asks for the channel that is due first.
    pub(super) fn join(&mut self, now: Instant) {
        let waiting = self.memberships.iter_mut().filter(|m| m.again.is_some());
        let Some(membership) = waiting.min_by_key(|m| m.again) else { return };
        membership.asked = Some(now);
        membership.again = membership.wait.map(|wait| now + wait);
        membership.wait = membership.wait.map(|wait| LONGEST.min(wait * 2));
        self.next_join = now + APART;
        let Channel { name, key } = membership.channel;
        let params: Vec<&str> = std::iter::once(name).chain(key).map(String::as_str).collect();
        self.send("JOIN", &params);
    }

    /// Our own JOIN is the server's word that we are in.
    pub(super) fn joined(&mut self, message: &Message, now: Now) {
        let Some(index) = self.configured(message.param(0)) else {
            let name = message.text(0);
            self.log.push(format!("{name} is not a configured channel: left it"));
            return self.send("PART", &[&name]);
        };
        let heard = self.heard_in(index);
        let membership = &mut self.memberships[index];
        let since = server_time(message).unwrap_or(now.clock - time::Duration::minutes(5));
        *membership =
            Membership { since: Some(since), ..Membership::new((membership.channel, &heard)) };
        self.log.push(format!("joined {}", membership.channel.name));
        self.catch_up(index, since, now);
    }

    /// A numeric that names one of our channels. It changes nothing: the operator reads it, once.
    pub(super) fn refused(&mut self, message: &Message) {
        // UnrealIRCd names it among its words.
        let mut words = message.params().skip(1).flat_map(|param| param.split(|&b| b == b' '));
        let Some(index) = words.find_map(|name| self.configured(name)) else { return };
        let membership = &mut self.memberships[index];
        let name = &membership.channel.name;
        let why = format!("{} {}", message::text(message.verb), message.last());
        if membership.since.is_some() {
            self.log.push(format!("what was said in {name} was refused: {why}"));
        } else if membership.refusal != why {
            let then = if membership.again.is_some() {
                "asked for again, ever more rarely"
            } else {
                WAITING
            };
            self.log.push(format!("not in {name}: {why}; {then}"));
            membership.refusal = why;
        }
    }

    /// A KICK, or a PART that others made us do.
    pub(super) fn put_out(&mut self, message: &Message, now: Instant) {
        let Some(index) = self.configured(message.param(0)) else { return };
        let returns = message.verb == b"KICK" && self.settings.rejoin;
        let heard = self.heard_in(index);
        let membership = &mut self.memberships[index];
        (membership.since, membership.past.heard) = (None, heard);
        membership.again = returns.then(|| now + REJOIN);
        membership.wait = None;
        let (name, by) = (&membership.channel.name, message::text(message.nick()));
        let then = if returns { "one try to return in 60 s" } else { WAITING };
        self.log.push(format!(
            "out of {name}: {} by {by}: {}; {then}",
            message::text(message.verb),
            message.last()
        ));
    }

    /// An INVITE never adds a channel, and makes us ask for one no more than every 10 s.
    pub(super) fn invited(&mut self, message: &Message, now: Instant) {
        let Some(index) = self.configured(message.param(1)) else { return };
        let membership = &mut self.memberships[index];
        // Before that the first JOIN comes by itself.
        if self.phase != Phase::Home || membership.since.is_some() {
            return;
        }
        let soonest = membership.asked.map_or(now, |asked| now.max(asked + AGAIN));
        if membership.again.is_none_or(|at| at > soonest) {
            membership.again = Some(soonest);
            membership.wait = Some(AGAIN);
            let name = &membership.channel.name;
            self.log.push(format!("invited to {name} by {}", message::text(message.nick())));
        }
    }
}
