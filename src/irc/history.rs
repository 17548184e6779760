//! What was said in our absence: asked of a server that keeps it (IRCv3 draft/chathistory), or replayed by a server
//! or a bouncer by itself.

use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::message::Message;
use super::talk::{MAX_CLOCK_SKEW, server_time};
use super::{Membership, Now, Session};

/// How far back is asked, and how many lines of a channel are taken.
const LONGEST: time::Duration = time::Duration::days(7);
const MOST: usize = 1000;
/// The lines of a page where the server names no limit.
const PAGE: usize = 100;
/// After so much silence no more is expected.
const SILENCE: Duration = Duration::from_secs(10);
/// What was heard already may be told with a time that is a little older: some servers keep the second only.
pub const SLACK: time::Duration = time::Duration::seconds(2);

/// A channel's past, by the server's clock.
#[derive(Default)]
pub(super) struct Past {
    /// Up to when the channel was heard; `None`: it is new to us, and we do not dig in its past.
    pub(super) heard: Option<OffsetDateTime>,
    /// The newest of what was told that is listened for. Other lines tell nothing of live ones in the same moment.
    pub(super) told: Option<OffsetDateTime>,
    /// What `heard` was when the telling began, and when a page was asked for last.
    pub(super) began: Option<OffsetDateTime>,
    pub(super) asked: Option<OffsetDateTime>,
    /// The batch of that page.
    pub(super) batch: Vec<u8>,
    /// What is told is over then, unless more of it comes.
    pub(super) until: Option<Instant>,
    pub(super) lines: usize,
    pub(super) links: usize,
}

impl Session<'_> {
    /// Up to when each channel was heard, for the next session.
    pub fn heard(&self) -> Vec<Option<OffsetDateTime>> {
        (0..self.memberships.len()).map(|index| self.heard_in(index)).collect()
    }

    /// In a channel whose past was told, that is up to the last line that came from anywhere.
    pub(super) fn heard_in(&self, index: usize) -> Option<OffsetDateTime> {
        let membership = &self.memberships[index];
        let heard = membership.past.heard?;
        let is_live = membership.since().is_some() && membership.past.until.is_none();
        let last = || Message::parse(&self.last_line).and_then(|line| server_time(&line));
        if is_live { last().max(membership.since()).max(Some(heard)) } else { Some(heard) }
    }

    /// We have joined: what was said since the channel was heard is to be told.
    pub(super) fn catch_up(&mut self, index: usize, since: OffsetDateTime, now: Now) {
        let past = &mut self.memberships[index].past;
        if !self.settings.catch_up {
            return;
        }
        if (since - now.clock).abs() > MAX_CLOCK_SKEW {
            let name = &self.memberships[index].channel.name;
            let why = "by a clock that is wrong, the server's or this machine's, nobody can tell what is missing";
            return self.log.push(format!("not caught up in {name}: {why}"));
        }
        past.began = past.heard.map(|heard| heard.clamp(now.clock - LONGEST, since));
        past.heard = past.began.or(Some(since));
        if past.began.is_some() {
            self.ask(index, now.instant);
        }
    }

    /// Expects more, and asks for it where history is kept.
    fn ask(&mut self, index: usize, now: Instant) {
        let Membership { channel, past, .. } = &mut self.memberships[index];
        past.until = Some(now + SILENCE);
        // A page may end in the middle of a millisecond, or a second. One of a single line would only tell that again.
        let is_next = past.asked.is_some() && self.page != 1;
        past.asked = past.heard;
        if let Some(heard) = past.heard.filter(|_| self.keeps_history) {
            let after = if is_next { heard - time::Duration::MILLISECOND } else { heard };
            let (h, m, s, ms) = after.to_hms_milli();
            let after = format!("timestamp={}T{h:02}:{m:02}:{s:02}.{ms:03}Z", after.date());
            let lines = if self.page == 0 { PAGE } else { self.page }.min(MOST - past.lines);
            let name = &channel.name;
            self.send("CHATHISTORY", &["AFTER", name, &after, &lines.to_string()]);
        }
    }

    /// `BATCH +reference chathistory #channel` begins a page, `BATCH -reference` ends it.
    pub(super) fn batch(&mut self, message: &Message, now: Instant) {
        let Some((sign, reference)) = message.param(0).split_first() else { return };
        if let (b'+', Some(index)) = (sign, self.configured(message.param(2))) {
            let past = &mut self.memberships[index].past;
            past.batch = reference.to_vec();
            past.until = past.began.map(|_| now + SILENCE);
        }
        let ends =
            |m: &Membership| *sign == b'-' && m.past.until.is_some() && m.past.batch == reference;
        let Some(index) = self.memberships.iter().position(ends) else { return };
        let past = &mut self.memberships[index].past;
        past.until = Some(now);
        // A page that is not full need not be the last, for servers leave out what is no message; one without news is.
        if self.keeps_history && past.heard > past.asked && past.lines < MOST {
            self.ask(index, now);
        }
    }

    /// Whether a line in a channel is told from history; `None`: it is not to be heard.
    pub(super) fn told(
        &mut self,
        index: usize,
        message: &Message,
        is_heard: bool,
        now: Now,
    ) -> Option<bool> {
        let membership = &mut self.memberships[index];
        let since = membership.since()?;
        let past = &mut membership.past;
        let said = server_time(message);
        // A line that is merely late is live: the server's time of it is held against that of our JOIN.
        if message.tag("batch").is_none() && said.is_none_or(|said| said >= since) {
            // Unless history has told it already.
            return Some(said.is_some() && said <= past.told);
        }
        let (said, began) = said.zip(past.began)?;
        if said < began - SLACK || said > now.clock + MAX_CLOCK_SKEW || past.lines == MOST {
            return None;
        }
        past.lines += 1;
        past.heard = past.heard.max(Some(said));
        if is_heard {
            past.told = past.told.max(Some(said));
        }
        past.until = Some(now.instant + SILENCE);
        Some(true)
    }

    /// So many links came of a line of history.
    pub fn caught(&mut self, channel: &str, links: usize) {
        if let Some(index) = self.configured(channel.as_bytes()) {
            self.memberships[index].past.links += links;
        }
    }

    /// Tells what came of it, where all is told.
    pub(super) fn end_history(&mut self, now: Instant) {
        for Membership { channel, past, .. } in &mut self.memberships {
            let Some(began) = past.began.filter(|_| past.until.is_some_and(|until| now >= until))
            else {
                continue;
            };
            past.until = None;
            if past.lines > 0 {
                let (links, lines, s) = (past.links, past.lines, |n| if n == 1 { "" } else { "s" });
                let since = format!("{} {:02}:{:02}Z", began.date(), began.hour(), began.minute());
                let what =
                    format!("{links} link{} from {lines} line{} since {since}", s(links), s(lines));
                let end = if lines == MOST { ", and no more are taken" } else { "" };
                self.log.push(format!("caught up in {}: {what}{end}", channel.name));
            }
        }
    }
}
