//! Catch-up: what was said in a channel while linkbot was away. Requests it from a server that
//! keeps history (IRCv3 draft/chathistory); other servers and bouncers may replay it without a
//! request. Takes our JOINs, batches and lines; returns the origin of each line, and when each
//! channel was last seen.

use super::*;
use crate::journal::format_time;

/// The most lines of a channel that catch-up reads.
const MAX_LINES: usize = 1000;
/// After this much silence a replay is over, and a request for a page has failed.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a line comes from.
#[derive(PartialEq)]
pub enum Origin {
    Live,
    Replayed,
    /// Replayed, with the posting time of the replayed request before it.
    SameMoment,
}

/// What was replayed in a channel since our JOIN. All times are the server's.
#[derive(Default)]
pub struct Replay {
    /// Everything up to here was seen before; `None`: nothing is caught up.
    since: Option<OffsetDateTime>,
    /// A page was requested and has not ended: `newest` before that page.
    open_page: Option<OffsetDateTime>,
    /// The reference of the last batch.
    batch: Vec<u8>,
    /// The time of the newest line, and the lines with that time.
    newest: Option<OffsetDateTime>,
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

impl Membership<'_> {
    /// Where the next catch-up begins. Does not advance while anything is missing that was said
    /// before.
    pub fn last_seen(&mut self, now: Now) -> Option<OffsetDateTime> {
        let time = Message::parse(&self.skipped_line).as_ref().and_then(server_time);
        self.was_seen(time, now);
        self.skipped_line.clear();
        let Replay { since, open_page, unsaved, .. } = self.replay;
        let is_missing = self.replay_until.is_some() || open_page.is_some() || unsaved > 0;
        since.filter(|_| is_missing).or(self.newest_live)
    }

    /// A live line was said at `time`, or we joined. False if that is not believable.
    fn was_seen(&mut self, time: Option<OffsetDateTime>, now: Now) -> bool {
        let is_near = time.is_some_and(|time| (time - now.clock).abs() <= MAX_CLOCK_SKEW);
        if is_near {
            self.newest_live = self.newest_live.max(time);
        }
        is_near
    }
}

impl Session<'_> {
    /// We are in the channel since `joined`: everything since it was last seen is missing.
    pub fn catch_up(&mut self, index: usize, joined: OffsetDateTime, now: Now) {
        let membership = &mut self.memberships[index];
        // A time in the future is a mistake, as if the channel was new to us.
        let last_seen =
            membership.last_seen(now).filter(|&time| time <= now.clock + MAX_CLOCK_SKEW);
        membership.join_at = None;
        membership.joined = Some(joined);
        membership.newest_live = last_seen;
        membership.replay = Replay::default();
        membership.replay_until = None;
        if !membership.was_seen(membership.joined, now) {
            log!(
                "not caught up in {}: the server's clock and this machine's differ by more than \
                 10 min",
                membership.channel.name
            );
            return;
        }
        if let Some(last_seen) = last_seen
            && self.settings.catch_up
        {
            let since = Some(last_seen.max(now.clock - time::Duration::days(7)));
            membership.replay = Replay { since, newest: since, ..Replay::default() };
            self.request_history(index, now.instant);
        }
    }

    /// Expects more lines, and requests them if the server keeps history.
    fn request_history(&mut self, index: usize, now: Instant) {
        let membership = &mut self.memberships[index];
        membership.replay_until = Some(now + REPLAY_TIMEOUT);
        let replay = &mut membership.replay;
        let Some(mut after) = replay.newest.filter(|_| self.history_limit > 0) else { return };
        replay.open_page = replay.newest;
        replay.repeated = 0;
        // A page may end between two lines with the same time, but must not only repeat lines.
        if (1..self.history_limit).contains(&replay.newest_lines) {
            replay.repeated = replay.newest_lines;
            after -= time::Duration::MILLISECOND;
        }
        let limit = self.history_limit;
        let (name, after) = (&membership.channel.name, format_time(after));
        self.send(&format!("CHATHISTORY AFTER {name} timestamp={after} {limit}"), &[]);
    }

    /// `BATCH +reference chathistory #channel` begins a page, `BATCH -reference` ends it.
    pub fn batch(&mut self, message: &Message, now: Instant) {
        let named = self.configured(message.param(2));
        for index in 0..self.memberships.len() {
            let membership = &mut self.memberships[index];
            let replay = &mut membership.replay;
            match message.param(0) {
                [b'+', reference @ ..] if named == Some(index) => {
                    replay.batch = reference.to_vec();
                    membership.replay_until = Some(now + REPLAY_TIMEOUT);
                }
                [b'-', reference @ ..]
                    if membership.replay_until.is_some() && replay.batch == reference =>
                {
                    // A page that is not full need not be the last, for servers leave out some
                    // lines. A page without a newer line is the last.
                    let is_last = replay.open_page.take() == replay.newest;
                    if is_last || replay.lines == MAX_LINES {
                        membership.replay_until = Some(now);
                    } else {
                        self.request_history(index, now);
                    }
                }
                _ => {}
            }
        }
    }

    /// Returns where a line comes from; `None`: it is not to be read. `index`: its channel, unless
    /// it was sent in private. History is what is in a batch, or has a time before our JOIN. Any
    /// other line is live, even if it is late.
    pub fn origin(
        &mut self,
        index: Option<usize>,
        message: &Message,
        is_request: bool,
        now: Now,
    ) -> Option<Origin> {
        let time = server_time(message);
        let Some(index) = index else {
            // A bouncer replays what was said in private too.
            let is_old = time.is_some_and(|said| now.clock - said > MAX_CLOCK_SKEW);
            return if is_old { None } else { Some(Origin::Live) };
        };
        let membership = &mut self.memberships[index];
        let joined = membership.joined?;
        let newest = membership.replay.newest_request;
        if message.tag("batch").is_none() && time.is_none_or(|time| time >= joined) {
            membership.was_seen(time, now);
            let is_before = |newest| time.is_some_and(|time| time <= newest);
            let is_replayed = newest.is_some_and(is_before);
            return Some(if is_replayed { Origin::Replayed } else { Origin::Live });
        }
        let time = time?;
        let replay = &mut membership.replay;
        let since = replay.since?;
        // Some servers replay whole seconds: this line may be one of those after `since`.
        let is_new = time > since || time < since && time == since.truncate_to_second();
        if !is_new || time > now.clock + MAX_CLOCK_SKEW || replay.lines == MAX_LINES {
            return None;
        }
        membership.replay_until = Some(now.instant + REPLAY_TIMEOUT);
        let said = Some(time);
        if said == replay.newest && replay.repeated > 0 {
            replay.repeated -= 1;
            return None;
        }
        if said > replay.newest {
            replay.newest = said;
            replay.newest_lines = 0;
            replay.repeated = 0;
        }
        replay.newest_lines += usize::from(said == replay.newest);
        replay.lines += 1;
        // A time in the future must not make live lines history.
        if is_request && time <= now.clock {
            replay.newest_request = newest.max(said);
        }
        Some(if newest == said { Origin::SameMoment } else { Origin::Replayed })
    }

    /// Keeps a live line without reading it: only the newest says when the channel was last seen.
    /// A replayed line counts.
    pub fn skip_line(&mut self, index: usize, line: &[u8], message: &Message, now: Now) {
        let membership = &mut self.memberships[index];
        if membership.replay_until.is_some() {
            self.origin(Some(index), message, false, now);
        } else if line.starts_with(b"@") && membership.joined.is_some() {
            line.clone_into(&mut membership.skipped_line);
        }
    }

    /// When each channel was last seen, for links.tsv.heard and the next connection.
    pub fn last_seen(&mut self, now: Now) -> impl Iterator<Item = Option<OffsetDateTime>> {
        self.memberships.iter_mut().map(move |membership| membership.last_seen(now))
    }

    /// Records the outcome of a request: how many links it added, or `None` if it could not be
    /// saved.
    pub fn record_replayed(&mut self, request: &Request, links: Option<usize>) {
        for Membership { channel, replay, .. } in &mut self.memberships {
            if request.history && request.channel.as_ref() == Some(&channel.name) {
                match links {
                    Some(links) => replay.links += links,
                    None => replay.unsaved += 1,
                }
            }
        }
    }

    /// Ends each replay that is over, and says in the log what it brought, unless that is nothing
    /// and nothing is missing. If a page is still open, the next connection requests it again.
    pub fn end_history(&mut self, now: Instant) {
        for membership in &mut self.memberships {
            if membership.replay_until.take_if(|until| now >= *until).is_none() {
                continue;
            }
            let replay = &mut membership.replay;
            let Replay { since: Some(since), newest: Some(newest), links, lines, unsaved, .. } =
                *replay
            else {
                continue;
            };
            let minute = |time| format_time(time)[..16].replace('T', " ") + "Z";
            let plural = |n| if n == 1 { "" } else { "s" };
            let retry = "asking again on the next connection";
            let mut rest = String::new();
            if lines == MAX_LINES {
                // The next catch-up begins here, unless something is said before.
                replay.open_page = None;
                membership.newest_live = Some(newest);
                let newest = minute(newest);
                rest = format!("; that is the limit: the lines from {newest} on are missing");
            }
            if unsaved > 0 {
                rest = format!("; {unsaved} could not be saved: {retry}");
            } else if replay.open_page.is_some() {
                rest = format!("; the server did not send the rest: {retry}");
            } else if lines == 0 {
                continue;
            }
            log!(
                "caught up in {}: {links} link{} from {lines} line{} since {}{rest}",
                membership.channel.name,
                plural(links),
                plural(lines),
                minute(since)
            );
        }
    }
}
