//! Catch-up: what was said in a channel while linkbot was away. Requests it from a server that
//! keeps history (IRCv3 draft/chathistory); other servers and bouncers may replay it without a
//! request. Takes our JOINs, batches and lines; returns the origin of each line, and when each
//! channel was last seen.

use super::*;
use crate::journal::format_time;

/// The maximum number of lines that catch-up reads in each channel.
const MAX_LINES: usize = 1000;
/// After this much silence a replay is over, and a request for a page has failed.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a line comes from.
#[derive(PartialEq)]
pub enum Origin {
    Live,
    Replayed,
    /// Replayed, with the same posting time as the replayed request before it.
    SameMoment,
}

/// What was replayed in a channel since our JOIN. All times are the server's.
#[derive(Default)]
pub struct Replay {
    /// Everything up to here was seen before; `None`: no catch-up.
    pub since: Option<OffsetDateTime>,
    /// When the replay ends, unless more lines come; `None`: it is over.
    pub until: Option<Instant>,
    /// The value of `newest` when the open page was requested; `None`: no page is open.
    open_page: Option<OffsetDateTime>,
    /// The reference of the last batch.
    batch: Vec<u8>,
    /// The time of the newest line, and the number of lines with that time.
    pub newest: Option<OffsetDateTime>,
    newest_lines: usize,
    /// How many lines with the time `open_page` the open page may still repeat.
    repeated: usize,
    /// The time of the newest line that was for us.
    newest_wanted: Option<OffsetDateTime>,
    lines: usize,
    links: usize,
    /// Requests that could not be saved.
    unsaved: usize,
}

impl Membership<'_> {
    /// Where the next catch-up begins: at the newest live line or, while part of a replay is
    /// missing, at the start of that replay.
    pub fn last_seen(&mut self, now: Now) -> Option<OffsetDateTime> {
        let time = Message::parse(&self.skipped_line).as_ref().and_then(server_time);
        self.record_seen(time, now);
        self.skipped_line.clear();
        match self.replay {
            // Nothing is missing.
            Replay { until: None, open_page: None, unsaved: 0, .. } => self.newest_live,
            Replay { since, .. } => since.or(self.newest_live),
        }
    }

    /// Records the time of a live line or of our JOIN. False if the time is not plausible.
    pub fn record_seen(&mut self, time: Option<OffsetDateTime>, now: Now) -> bool {
        let is_near = time.is_some_and(|time| (time - now.clock).abs() <= MAX_CLOCK_SKEW);
        if is_near {
            self.newest_live = self.newest_live.max(time);
        }
        is_near
    }
}

impl Session<'_> {
    /// Expects more lines, and requests them if the server keeps history.
    pub fn request_history(&mut self, index: usize, now: Instant) {
        let limit = self.history_limit;
        let Membership { channel, replay, .. } = &mut self.memberships[index];
        replay.until = Some(now + REPLAY_TIMEOUT);
        if limit == 0 {
            return;
        }
        let Some(mut after) = replay.newest else { return };
        replay.open_page = replay.newest;
        replay.repeated = replay.newest_lines;
        // A page may end between two lines with the same time, so start a millisecond early, unless
        // the page would then only repeat lines.
        if (1..limit).contains(&replay.repeated) {
            after -= time::Duration::MILLISECOND;
        }
        let name = &channel.name;
        let after = format_time(after);
        self.send(&format!("CHATHISTORY AFTER {name} timestamp={after} {limit}"), "");
    }

    /// `BATCH +reference chathistory #channel` begins a page, `BATCH -reference` ends it.
    pub fn batch(&mut self, message: &Message, now: Instant) {
        let named = self.configured(message.param(2));
        for index in 0..self.memberships.len() {
            let replay = &mut self.memberships[index].replay;
            match message.param(0) {
                [b'+', reference @ ..] if named == Some(index) => {
                    replay.batch = reference.to_vec();
                    replay.until = Some(now + REPLAY_TIMEOUT);
                }
                [b'-', reference @ ..] if replay.until.is_some() && replay.batch == reference => {
                    // The reference may be used again, for another channel.
                    replay.batch.clear();
                    // A page that is not full might not be the last: servers leave out some lines.
                    // A page without a newer line is the last.
                    let is_last = replay.open_page.take() == replay.newest;
                    if is_last || replay.lines == MAX_LINES {
                        replay.until = Some(now);
                    } else {
                        self.request_history(index, now);
                    }
                }
                _ => {}
            }
        }
    }

    /// Counts a line for catch-up, and returns where it comes from; `None`: do not read it. `index`
    /// is the line's channel; `None`: it was sent in private. A line in a batch, or with a time
    /// before our JOIN, is history. Any other line is live, unless it has a time no later than
    /// that of the newest replayed line for us.
    pub fn origin(
        &mut self,
        index: Option<usize>,
        message: &Message,
        is_wanted: bool,
        now: Now,
    ) -> Option<Origin> {
        let said = server_time(message);
        let Some(index) = index else {
            // A bouncer replays what was said in private too.
            let is_live = said.is_none_or(|time| now.clock - time <= MAX_CLOCK_SKEW);
            return is_live.then_some(Origin::Live);
        };
        let membership = &mut self.memberships[index];
        let joined = membership.joined?;
        let newest_wanted = membership.replay.newest_wanted;
        if message.tag("batch").is_none() && said.is_none_or(|time| time >= joined) {
            membership.record_seen(said, now);
            return Some(if said.is_some() && said <= newest_wanted {
                Origin::Replayed
            } else {
                Origin::Live
            });
        }
        let time = said?;
        let replay = &mut membership.replay;
        let since = replay.since?;
        // Some servers truncate replayed times to the second: this line may be after `since`.
        let is_new = time > since || time < since && time == since.truncate_to_second();
        if !is_new || time > now.clock + MAX_CLOCK_SKEW || replay.lines == MAX_LINES {
            return None;
        }
        replay.until = Some(now.instant + REPLAY_TIMEOUT);
        if said == replay.open_page && replay.repeated > 0 {
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
        // Ignore times in the future: they would turn live lines into history.
        if is_wanted && time <= now.clock {
            replay.newest_wanted = newest_wanted.max(said);
        }
        Some(if newest_wanted == said { Origin::SameMoment } else { Origin::Replayed })
    }

    /// Stores a live line unparsed: only the newest one is needed, for the time when the channel
    /// was last seen. During a replay, passes the line to `origin` instead, which counts it.
    pub fn skip_line(&mut self, index: usize, line: &[u8], message: &Message, now: Now) {
        let membership = &mut self.memberships[index];
        if membership.replay.until.is_some() {
            self.origin(Some(index), message, false, now);
        } else if line.starts_with(b"@") && membership.joined.is_some() {
            line.clone_into(&mut membership.skipped_line);
        }
    }

    /// When each channel was last seen, for links.tsv.heard and the next connection. Lazy: parses a
    /// line only if the caller wants the times.
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

    /// Ends each replay that is over, and logs a summary if there were lines or some are missing.
    /// If a page is still open, the next connection requests it again.
    pub fn end_history(&mut self, now: Instant) {
        for membership in &mut self.memberships {
            let replay = &mut membership.replay;
            if replay.until.take_if(|until| now >= *until).is_none() {
                continue;
            }
            let Replay { since: Some(since), newest: Some(newest), links, lines, unsaved, .. } =
                *replay
            else {
                continue;
            };
            let minute = |time| format_time(time)[..16].replace('T', " ") + "Z";
            let plural = |n| if n == 1 { "" } else { "s" };
            let mut rest = String::new();
            if lines == MAX_LINES {
                // The next catch-up begins here, unless a live line is seen before that.
                replay.open_page = None;
                membership.newest_live = Some(newest);
                rest = format!(
                    "; that is the limit: the lines from {} on are missing",
                    minute(newest)
                );
            }
            if unsaved > 0 {
                rest =
                    format!("; {unsaved} could not be saved: asking again on the next connection");
            } else if replay.open_page.is_some() {
                rest = "; the server did not send the rest: asking again on the next connection"
                    .into();
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
