//! Catch-up: what was said in a channel while linkbot was away. Requests it from a server that
//! keeps history (IRCv3 draft/chathistory); other servers and bouncers may replay it without a
//! request. Takes our JOINs, batches and lines; returns the origin of each line, and when each
//! channel was last seen.

use std::mem;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::channels::{Membership, Presence};
use super::message::Message;
use super::talk::{MAX_CLOCK_SKEW, server_time};
use super::{Now, Request, Session};
use crate::journal::format_time;

/// How far back catch-up goes, and how many lines of a channel it reads.
const MAX_AGE: time::Duration = time::Duration::days(7);
const MAX_LINES: usize = 1000;
/// The lines of a page if the server names no limit.
pub const DEFAULT_LIMIT: usize = 100;
/// After this much silence a replay is over, and a request for a page has failed.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a line in a channel comes from.
#[derive(PartialEq)]
pub enum Origin {
    Live,
    /// Replayed. `same_moment`: it has the posting time of the replayed request before it.
    History {
        same_moment: bool,
    },
    /// Replayed, but not to be read; or we are not in the channel.
    Ignored,
}

/// What was replayed in a channel since our JOIN. All times are the server's.
pub struct Replay {
    /// Everything up to here was seen before.
    since: OffsetDateTime,
    /// The replay is over then, unless more comes; `None`: it is over.
    pub deadline: Option<Instant>,
    /// A page was requested and has not ended: `newest` before that page.
    open_page: Option<OffsetDateTime>,
    /// The reference of the last batch.
    batch: Vec<u8>,
    /// The time of the newest line, and the lines with that time.
    newest: OffsetDateTime,
    newest_lines: usize,
    /// How many of those lines the page repeats.
    repeated: usize,
    /// The time of the newest request.
    newest_request: Option<OffsetDateTime>,
    lines: usize,
    links: usize,
    /// Requests that could not be saved.
    unsaved: usize,
}

impl Replay {
    fn new(since: OffsetDateTime) -> Replay {
        Replay {
            since,
            deadline: None,
            open_page: None,
            batch: Vec::new(),
            newest: since,
            newest_lines: 0,
            repeated: 0,
            newest_request: None,
            lines: 0,
            links: 0,
            unsaved: 0,
        }
    }

    /// Counts a replayed line. False if it is not to be read: seen before, in the future, or over
    /// the limit.
    fn count(&mut self, time: OffsetDateTime, now: Now) -> bool {
        // Some servers replay whole seconds: this line may be one of those after `since`.
        let is_same_second = time != self.since && time == self.since.truncate_to_second();
        let is_old = time <= self.since && !is_same_second;
        if is_old || time > now.clock + MAX_CLOCK_SKEW || self.lines == MAX_LINES {
            return false;
        }
        self.deadline = Some(now.instant + REPLAY_TIMEOUT);
        if time == self.newest && self.repeated > 0 {
            self.repeated -= 1;
            return false;
        }
        if time > self.newest {
            self.newest = time;
            self.newest_lines = 0;
            self.repeated = 0;
        }
        self.newest_lines += usize::from(time == self.newest);
        self.lines += 1;
        true
    }

    /// The line for the log once the replay is over; `None`: nothing was replayed, and nothing is
    /// missing.
    fn summary(&self, channel: &str) -> Option<String> {
        let minute = |t: OffsetDateTime| format!("{} {:02}:{:02}Z", t.date(), t.hour(), t.minute());
        let count = |n, what| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let since = minute(self.since);
        let (links, lines) = (count(self.links, "link"), count(self.lines, "line"));
        let done = format!("caught up in {channel}: {links} from {lines} since {since}");
        let retry = "asking again on the next connection";
        if self.unsaved > 0 {
            Some(format!("{done}; {} could not be saved: {retry}", self.unsaved))
        } else if self.lines == MAX_LINES {
            let newest = minute(self.newest);
            Some(format!("{done}; that is the limit: the lines from {newest} on are missing"))
        } else if self.open_page.is_some() {
            Some(format!("{done}; the server did not send the rest: {retry}"))
        } else {
            (self.lines > 0).then_some(done)
        }
    }
}

impl Membership<'_> {
    /// Where the next catch-up begins. Does not advance while anything is missing that was said
    /// before.
    pub fn last_seen(&self) -> Option<OffsetDateTime> {
        match &self.replay {
            Some(Replay { since, deadline, open_page, unsaved, .. })
                if deadline.is_some() || open_page.is_some() || *unsaved > 0 =>
            {
                Some(*since)
            }
            _ => self.newest_live,
        }
    }
}

/// Requests.
impl Session<'_> {
    /// We have joined: everything since the channel was last seen is missing.
    pub fn catch_up(&mut self, index: usize, joined: OffsetDateTime, now: Now) {
        let membership = &mut self.memberships[index];
        // A time in the future is a mistake, as if the channel was new to us.
        let last_seen = membership.last_seen().filter(|&time| time <= now.clock + MAX_CLOCK_SKEW);
        membership.newest_live = last_seen;
        membership.replay = None;
        if (joined - now.clock).abs() > MAX_CLOCK_SKEW {
            let name = &membership.channel.name;
            let why = "the server's clock and this machine's differ by more than 10 min";
            return self.log.push(format!("not caught up in {name}: {why}"));
        }
        membership.newest_live = last_seen.max(Some(joined));
        if let Some(since) = last_seen
            && self.settings.catch_up
        {
            membership.replay = Some(Replay::new(since.max(now.clock - MAX_AGE)));
            self.request_history(index, now.instant);
        }
    }

    /// Expects more lines, and requests them if the server keeps history.
    fn request_history(&mut self, index: usize, now: Instant) {
        let &mut Membership { channel, ref mut replay, .. } = &mut self.memberships[index];
        let Some(replay) = replay else { return };
        replay.deadline = Some(now + REPLAY_TIMEOUT);
        if !self.keeps_history {
            return;
        }
        replay.open_page = Some(replay.newest);
        replay.repeated = 0;
        let mut after = replay.newest;
        // A page may end between two lines with the same time, but must not only repeat lines.
        if (1..self.history_limit).contains(&replay.newest_lines) {
            replay.repeated = replay.newest_lines;
            after -= time::Duration::MILLISECOND;
        }
        let after = format!("timestamp={}", format_time(after));
        let limit = self.history_limit.min(MAX_LINES - replay.lines + replay.repeated).to_string();
        self.send("CHATHISTORY", &["AFTER", &channel.name, &after, &limit]);
    }

    /// `BATCH +reference chathistory #channel` begins a page, `BATCH -reference` ends it.
    pub fn batch(&mut self, message: &Message, now: Instant) {
        let Some((sign, reference)) = message.param(0).split_first() else { return };
        let named = self.configured(message.param(2));
        for index in 0..self.memberships.len() {
            let Some(replay) = &mut self.memberships[index].replay else { continue };
            if *sign == b'+' && named == Some(index) {
                replay.batch = reference.to_vec();
                replay.deadline = Some(now + REPLAY_TIMEOUT);
            } else if *sign == b'-' && replay.deadline.is_some() && replay.batch == reference {
                // A page that is not full need not be the last, for servers leave out some lines.
                // A page without a newer line is the last.
                let is_last = replay.open_page.take() == Some(replay.newest);
                if is_last || replay.lines == MAX_LINES {
                    replay.deadline = Some(now);
                } else {
                    self.request_history(index, now);
                }
            }
        }
    }
}

/// Classification.
impl Session<'_> {
    /// Returns where a line comes from. `index`: its channel; `None`: it was sent in private.
    /// History is what is in a batch, or has a time before our JOIN. Any other line is live, even
    /// if it is late.
    pub fn origin(
        &mut self,
        index: Option<usize>,
        message: &Message,
        is_request: bool,
        now: Now,
    ) -> Origin {
        let time = server_time(message);
        let Some(index) = index else {
            // A bouncer replays what was said in private too.
            let is_old = time.is_some_and(|said| now.clock - said > MAX_CLOCK_SKEW);
            return if is_old { Origin::Ignored } else { Origin::Live };
        };
        let Membership { presence, newest_live, replay, .. } = &mut self.memberships[index];
        let Presence::In { since: joined } = *presence else { return Origin::Ignored };
        if message.tag("batch").is_none() && time.is_none_or(|time| time >= joined) {
            let Some(time) = time else { return Origin::Live };
            if (time - now.clock).abs() <= MAX_CLOCK_SKEW {
                *newest_live = (*newest_live).max(Some(time));
            }
            let replayed = replay.as_ref().and_then(|replay| replay.newest_request);
            return if replayed.is_some_and(|newest| time <= newest) {
                Origin::History { same_moment: false }
            } else {
                Origin::Live
            };
        }
        let (Some(time), Some(replay)) = (time, replay) else { return Origin::Ignored };
        if !replay.count(time, now) {
            return Origin::Ignored;
        }
        let same_moment = replay.newest_request == Some(time);
        // A time in the future must not make live lines history.
        if is_request && time <= now.clock {
            replay.newest_request = replay.newest_request.max(Some(time));
        }
        Origin::History { same_moment }
    }
}

/// Lines that are not for us.
impl Session<'_> {
    /// Keeps a live line without reading it: only the newest says when the channel was last seen.
    /// A replayed line counts.
    pub fn skip_line(&mut self, index: usize, line: &[u8], message: &Message, now: Now) {
        let membership = &mut self.memberships[index];
        if membership.replay.as_ref().is_some_and(|replay| replay.deadline.is_some()) {
            self.origin(Some(index), message, false, now);
        } else if line.starts_with(b"@") {
            line.clone_into(&mut membership.skipped_line);
            membership.skipped_at = now;
        }
    }

    /// Call this before a channel is left or joined again.
    pub fn read_skipped_lines(&mut self) {
        for index in 0..self.memberships.len() {
            let Membership { skipped_line, skipped_at: at, .. } = &mut self.memberships[index];
            let (mut line, at) = (mem::take(skipped_line), *at);
            if let Some(message) = Message::parse(&line) {
                self.origin(Some(index), &message, false, at);
            }
            // Without a new allocation.
            line.clear();
            self.memberships[index].skipped_line = line;
        }
    }
}

/// The end of a replay.
impl Session<'_> {
    /// When each channel was last seen, for links.tsv.heard and the next connection.
    pub fn last_seen(&mut self) -> impl Iterator<Item = Option<OffsetDateTime>> {
        self.read_skipped_lines();
        self.memberships.iter().map(Membership::last_seen)
    }

    /// Records the outcome of a request: how many links it added, or `None` if it could not be
    /// saved.
    pub fn record_replayed(&mut self, request: &Request, links: Option<usize>) {
        let index = request.channel.as_ref().and_then(|name| self.configured(name.as_bytes()));
        let Some(index) = index else { return };
        let Some(replay) = &mut self.memberships[index].replay else { return };
        match links {
            Some(links) if request.history => replay.links += links,
            None if request.history || replay.deadline.is_some() => replay.unsaved += 1,
            _ => {}
        }
    }

    /// FAIL: the server does not send what was requested. The page stays open, so the next
    /// connection requests it again.
    pub fn history_failed(&mut self, message: &Message, now: Instant) {
        let named = message.params().find_map(|name| self.configured(name));
        for (index, membership) in self.memberships.iter_mut().enumerate() {
            if let Some(replay) = &mut membership.replay
                && replay.open_page.is_some()
                && named.is_none_or(|named| named == index)
            {
                replay.deadline = Some(now);
            }
        }
    }

    /// Ends each replay that is over, and logs a summary.
    pub fn end_history(&mut self, now: Instant) {
        for Membership { channel, replay, newest_live, .. } in &mut self.memberships {
            let Some(replay) = replay else { continue };
            if replay.deadline.is_none_or(|deadline| now < deadline) {
                continue;
            }
            replay.deadline = None;
            self.log.extend(replay.summary(&channel.name));
            if replay.lines == MAX_LINES {
                // The next catch-up begins here, unless something is said before.
                replay.open_page = None;
                *newest_live = Some(replay.newest);
            }
        }
    }
}
