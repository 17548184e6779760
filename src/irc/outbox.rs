//! The queue of replies: rate-limited, merged and bounded. Takes replies; returns the lines that
//! may be sent now.

use super::*;

/// A token bucket.
pub struct Bucket {
    /// When the next token is available.
    pub next: Instant,
    /// The time between two tokens.
    every: Duration,
    /// How far `next` is in the past if the bucket is full.
    credit: Duration,
}

impl Bucket {
    /// Holds `most` tokens, and gains one every `seconds`.
    pub fn new(most: u32, seconds: u64, now: Instant) -> Bucket {
        let every = Duration::from_secs(seconds);
        let credit = every * (most - 1);
        Bucket { next: now - credit, every, credit }
    }

    pub fn take(&mut self, now: Instant) -> bool {
        let has_token = self.next <= now;
        if has_token {
            self.next = self.next.max(now - self.credit) + self.every;
        }
        has_token
    }
}

/// How replies may be dropped or merged under the rate limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReplyKind {
    /// The reply to a command that only looks: may be dropped. Repeated replies are sent once.
    Look,
    /// `saved: ...`, `removed: ...`: several become `saved: 97 more links`.
    Saved,
    /// An error of any command. Repeated errors are sent once.
    Failed,
}

pub struct Line {
    pub target: String,
    pub text: String,
    kind: ReplyKind,
    /// How many replies are merged in this line.
    count: usize,
}

/// The replies that wait for the bucket, which allows 4 lines at once and one more every 2 s.
pub struct Outbox {
    queue: Vec<Line>,
    bucket: Bucket,
}

impl Outbox {
    pub fn new(now: Instant) -> Outbox {
        Outbox { queue: Vec::new(), bucket: Bucket::new(4, 2, now) }
    }

    /// Merges a reply into the newest one like it if at least 4 are waiting; fewer could be sent at
    /// once. If 32 are waiting, drops the oldest reply to a look, or else this one unless it is
    /// `Saved`.
    pub fn push(&mut self, target: &str, text: String, kind: ReplyKind) {
        let waiting = self.queue.len();
        // Replies of one kind to one target can be merged: saves if their words before the colon
        // are the same, all others if they repeat the text.
        let topic = match kind {
            ReplyKind::Saved => text.split_inclusive(':').next().unwrap_or_default(),
            _ => &text,
        };
        let same = self.queue.iter_mut().rfind(|queued| {
            queued.kind == kind && queued.target == target && queued.text.starts_with(topic)
        });
        if waiting >= 4
            && let Some(same) = same
        {
            same.count += 1;
            if kind == ReplyKind::Saved {
                same.text = format!("{topic} {} more links", same.count);
            }
            return;
        }
        // Replies to saves come before replies to looks.
        let first_look = self.queue.partition_point(|queued| queued.kind != ReplyKind::Look);
        if waiting >= 32 {
            if first_look < waiting {
                self.queue.remove(first_look);
            } else if kind != ReplyKind::Saved {
                return;
            }
        }
        self.queue.push(Line { target: target.to_owned(), text, kind, count: 1 });
        self.queue.sort_by_key(|queued| queued.kind == ReplyKind::Look);
    }

    /// The next line that may be sent now.
    pub fn next(&mut self, now: Instant) -> Option<Line> {
        let may_send = !self.queue.is_empty() && self.bucket.take(now);
        may_send.then(|| self.queue.remove(0))
    }

    /// When the next line may be sent; `None`: nothing waits.
    pub fn deadline(&self) -> Option<Instant> {
        self.queue.first().map(|_| self.bucket.next)
    }
}

#[cfg(test)]
#[path = "../../tests/unit/outbox.rs"]
mod tests;
