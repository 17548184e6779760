//! Catch-up: what was said in a channel while linkbot was away. A server that keeps history (IRCv3
//! draft/chathistory) is asked for it; other servers and bouncers may replay it without being asked.
//! Takes in our JOINs, batches and lines; returns where each line comes from, and up to where each
//! channel was seen.

use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::channels::Presence;
use super::message::Message;
use super::talk::{MAX_CLOCK_SKEW, server_time};
use super::{Membership, Now, Request, Session};

/// How far back catch-up goes, and how many lines of a channel it reads.
const MAX_AGE: time::Duration = time::Duration::days(7);
const MAX_LINES: usize = 1000;
/// The lines of a page if the server names no limit.
const DEFAULT_LIMIT: usize = 100;
/// After this much silence a replay is over, and a request for a page has failed.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a line in a channel comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Live,
    /// Replayed. `same_moment`: it has the posting time of the replayed request before it.
    History {
        same_moment: bool,
    },
    /// Replayed, but not to be read; or we are not in the channel.
    Ignored,
}

/// What is known about a channel's past. All times are the server's.
#[derive(Default)]
pub struct CatchUp {
    /// The newest line heard live, or our JOIN; `None`: the channel is new to us.
    newest_live: Option<OffsetDateTime>,
    /// What was replayed since our JOIN.
    replay: Option<Replay>,
}

struct Replay {
    /// Everything up to here was seen before.
    since: OffsetDateTime,
    /// The replay is over then, unless more comes; `None`: it is over.
    deadline: Option<Instant>,
    /// A page was requested and has not ended.
    is_page_open: bool,
    /// The reference of the last batch.
    batch: Vec<u8>,
    /// The time of the newest line, and the lines with that time.
    newest: OffsetDateTime,
    newest_lines: usize,
    /// The newest line when the last page was requested, and how many lines that page repeats.
    page_start: OffsetDateTime,
    repeated: usize,
    /// The time of the newest request.
    newest_request: Option<OffsetDateTime>,
    lines: usize,
    links: usize,
    /// Requests that could not be saved.
    unsaved: usize,
}

impl CatchUp {
    pub fn new(last_seen: Option<OffsetDateTime>) -> CatchUp {
        CatchUp { newest_live: last_seen, replay: None }
    }

    /// Where the next catch-up begins. Does not advance while anything is missing that was said before.
    pub fn last_seen(&self) -> Option<OffsetDateTime> {
        match &self.replay {
            Some(replay) if replay.deadline.is_some() || replay.is_missing_some() => {
                Some(replay.since)
            }
            _ => self.newest_live,
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.replay.as_ref()?.deadline
    }

    /// Records a live line, and says whether history has replayed it already.
    fn is_new(&mut self, time: OffsetDateTime, clock: OffsetDateTime) -> bool {
        if (time - clock).abs() <= MAX_CLOCK_SKEW {
            self.newest_live = self.newest_live.max(Some(time));
        }
        let newest_request = self.replay.as_ref().and_then(|replay| replay.newest_request);
        newest_request.is_none_or(|newest| time > newest)
    }
}

impl Replay {
    fn new(since: OffsetDateTime) -> Replay {
        Replay {
            since,
            deadline: None,
            is_page_open: false,
            batch: Vec::new(),
            newest: since,
            newest_lines: 0,
            page_start: since,
            repeated: 0,
            newest_request: None,
            lines: 0,
            links: 0,
            unsaved: 0,
        }
    }

    fn is_missing_some(&self) -> bool {
        self.is_page_open || self.unsaved > 0
    }

    /// Counts a replayed line. False if it is not to be read: seen before, in the future, or over the limit.
    fn count(&mut self, time: OffsetDateTime, now: Now) -> bool {
        // Some servers replay whole seconds: this line may be one of those after `since`.
        let is_same_second = time != self.since && time == self.since.truncate_to_second();
        let is_old = time <= self.since && !is_same_second;
        if is_old || time > now.clock + MAX_CLOCK_SKEW || self.lines == MAX_LINES {
            return false;
        }
        self.deadline = Some(now.instant + REPLAY_TIMEOUT);
        if time == self.page_start && self.repeated > 0 {
            self.repeated -= 1;
            return false;
        }
        if time > self.newest {
            self.newest = time;
            self.newest_lines = 0;
        }
        self.newest_lines += usize::from(time == self.newest);
        self.lines += 1;
        true
    }

    /// The line for the log once the replay is over; `None`: nothing was replayed, and nothing is missing.
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
        } else if self.is_page_open {
            Some(format!("{done}; the server did not send the rest: {retry}"))
        } else {
            (self.lines > 0).then_some(done)
        }
    }
}

/// What is asked.
impl Session<'_> {
    /// We have joined: everything since the channel was last seen is missing.
    pub fn catch_up(&mut self, index: usize, joined: OffsetDateTime, now: Now) {
        let Membership { channel, catch_up, .. } = &mut self.memberships[index];
        // A time in the future is a mistake, as if the channel was new to us.
        let last_seen = catch_up.last_seen().filter(|&time| time <= now.clock + MAX_CLOCK_SKEW);
        *catch_up = CatchUp::new(last_seen);
        if (joined - now.clock).abs() > MAX_CLOCK_SKEW {
            let name = &channel.name;
            let why = "the server's clock and this machine's differ by more than 10 min";
            return self.log.push(format!("not caught up in {name}: {why}"));
        }
        catch_up.newest_live = last_seen.max(Some(joined));
        if let Some(since) = last_seen.filter(|_| self.settings.catch_up) {
            catch_up.replay = Some(Replay::new(since.max(now.clock - MAX_AGE)));
            self.request_history(index, now.instant);
        }
    }

    /// Expects more lines, and requests them if the server keeps history.
    fn request_history(&mut self, index: usize, now: Instant) {
        let &mut Membership { channel, ref mut catch_up, .. } = &mut self.memberships[index];
        let Some(replay) = &mut catch_up.replay else { return };
        replay.deadline = Some(now + REPLAY_TIMEOUT);
        if !self.keeps_history {
            return;
        }
        replay.is_page_open = true;
        replay.page_start = replay.newest;
        replay.repeated = 0;
        let mut after = replay.newest;
        // A page may end between two lines with one time. A page of one line would only repeat the last.
        if replay.lines > 0 && self.history_limit != 1 {
            after -= time::Duration::MILLISECOND;
            replay.repeated = replay.newest_lines;
        }
        let (h, m, s, ms) = after.to_hms_milli();
        let after = format!("timestamp={}T{h:02}:{m:02}:{s:02}.{ms:03}Z", after.date());
        let limit = if self.history_limit == 0 { DEFAULT_LIMIT } else { self.history_limit };
        let limit = limit.min(MAX_LINES - replay.lines).to_string();
        self.send("CHATHISTORY", &["AFTER", &channel.name, &after, &limit]);
    }

    /// `BATCH +reference chathistory #channel` begins a page, `BATCH -reference` ends it.
    pub fn batch(&mut self, message: &Message, now: Instant) {
        let Some((sign, reference)) = message.param(0).split_first() else { return };
        if *sign == b'+' {
            let Some(index) = self.configured(message.param(2)) else { return };
            let Some(replay) = &mut self.memberships[index].catch_up.replay else { return };
            replay.batch = reference.to_vec();
            replay.deadline = Some(now + REPLAY_TIMEOUT);
            return;
        }
        for index in 0..self.memberships.len() {
            let Some(replay) = &mut self.memberships[index].catch_up.replay else { continue };
            if replay.deadline.is_none() || replay.batch != reference {
                continue;
            }
            replay.deadline = Some(now);
            replay.is_page_open = false;
            // A page that is not full need not be the last, for servers leave out some lines.
            // A page without a newer line is.
            if replay.newest > replay.page_start && replay.lines < MAX_LINES {
                self.request_history(index, now);
            }
        }
    }
}

/// What counts as history.
impl Session<'_> {
    /// Where a line comes from. History is what is in a batch, or has a time before our JOIN. Any other line
    /// is live, even if it is late.
    pub fn origin(
        &mut self,
        index: usize,
        message: &Message,
        is_request: bool,
        now: Now,
    ) -> Origin {
        let Membership { presence, catch_up, .. } = &mut self.memberships[index];
        let Presence::In { since: joined } = *presence else { return Origin::Ignored };
        let time = server_time(message);
        if message.tag("batch").is_none() && time.is_none_or(|time| time >= joined) {
            return match time {
                Some(time) if !catch_up.is_new(time, now.clock) => {
                    Origin::History { same_moment: false }
                }
                _ => Origin::Live,
            };
        }
        let (Some(time), Some(replay)) = (time, &mut catch_up.replay) else {
            return Origin::Ignored;
        };
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

/// When it is over.
impl Session<'_> {
    /// Up to when each channel was seen, for links.tsv.heard and the next connection.
    pub fn last_seen(&self) -> impl Iterator<Item = Option<OffsetDateTime>> {
        self.memberships.iter().map(|membership| membership.catch_up.last_seen())
    }

    /// The outcome of a request: how many links it added, or `None` if it could not be saved.
    pub fn record_replayed(&mut self, request: &Request, links: Option<usize>) {
        let index = request.channel.as_ref().and_then(|name| self.configured(name.as_bytes()));
        let Some(index) = index else { return };
        let Some(replay) = &mut self.memberships[index].catch_up.replay else { return };
        match links {
            Some(links) if request.history => replay.links += links,
            None if request.history || replay.deadline.is_some() => replay.unsaved += 1,
            _ => {}
        }
    }

    /// FAIL: the server does not send what was requested. Its page stays open, so it is requested again.
    pub fn history_failed(&mut self, message: &Message, now: Instant) {
        let named = message.params().find_map(|name| self.configured(name));
        for (index, membership) in self.memberships.iter_mut().enumerate() {
            if let Some(replay) = &mut membership.catch_up.replay
                && replay.is_page_open
                && named.is_none_or(|named| named == index)
            {
                replay.deadline = Some(now);
            }
        }
    }

    /// Ends each replay that is over, and logs a summary.
    pub fn end_history(&mut self, now: Instant) {
        for Membership { channel, catch_up, .. } in &mut self.memberships {
            let Some(replay) = &mut catch_up.replay else { continue };
            if replay.deadline.is_none_or(|deadline| now < deadline) {
                continue;
            }
            replay.deadline = None;
            self.log.extend(replay.summary(&channel.name));
            if replay.lines == MAX_LINES {
                // The next catch-up begins here, unless something is said before.
                replay.is_page_open = false;
                catch_up.newest_live = Some(replay.newest);
            }
        }
    }
}
