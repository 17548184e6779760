//! What waits to be said: paced, folded, bounded.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// How many lines may wait.
const LONGEST_QUEUE: usize = 32;

/// How many people a limiter remembers.
const MAX_BUCKETS: usize = 1024;

/// A token bucket.
pub struct Bucket {
    most: u32,
    every: Duration,
    /// When it is full again.
    full: Instant,
}

impl Bucket {
    pub fn new(most: u32, every: Duration, now: Instant) -> Bucket {
        Bucket { most, every, full: now }
    }

    fn level(&self, now: Instant) -> u32 {
        let missing =
            self.full.saturating_duration_since(now).as_nanos().div_ceil(self.every.as_nanos());
        self.most.saturating_sub(missing as u32)
    }

    pub fn take(&mut self, now: Instant) -> bool {
        let is_there = self.level(now) > 0;
        if is_there {
            self.full = self.full.max(now) + self.every;
        }
        is_there
    }

    /// When the next token comes into an empty bucket.
    fn next(&self) -> Instant {
        self.full - self.every * (self.most - 1)
    }
}

/// A bucket for each person.
pub struct Limiter {
    most: u32,
    every: Duration,
    buckets: HashMap<String, Bucket>,
}

impl Limiter {
    pub fn new(most: u32, every: Duration) -> Limiter {
        Limiter { most, every, buckets: HashMap::new() }
    }

    /// Forgets everybody when it knows too many.
    fn bucket(&mut self, host: &str, now: Instant) -> &mut Bucket {
        if self.buckets.len() >= MAX_BUCKETS {
            self.buckets.clear();
        }
        let bucket = || Bucket::new(self.most, self.every, now);
        self.buckets.entry(host.to_owned()).or_insert_with(bucket)
    }

    /// True if a token is left. In the console, where nobody has a host, there always is one.
    pub fn has_token(&mut self, host: &str, now: Instant) -> bool {
        host.is_empty() || self.bucket(host, now).level(now) > 0
    }

    pub fn take(&mut self, host: &str, now: Instant) -> bool {
        host.is_empty() || self.bucket(host, now).take(now)
    }
}

/// What an answer may suffer when there is no time to say all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// To a command that only looks: may be dropped.
    Look,
    /// `saved: ...`, `removed: ...`: several become `saved: 97 more links`.
    Saved,
    /// What was wrong with a command that writes: equal ones are said once.
    Failed,
}

pub struct Line {
    pub target: String,
    pub text: String,
    kind: ReplyKind,
    /// How many answers this line stands for.
    count: usize,
}

impl Line {
    fn stands_for(&self, other: &Line) -> bool {
        let is_same = match self.kind {
            ReplyKind::Look => false,
            ReplyKind::Saved => self.verb() == other.verb(),
            ReplyKind::Failed => self.text == other.text,
        };
        is_same && self.kind == other.kind && self.target == other.target
    }

    fn verb(&self) -> &str {
        self.text.split(':').next().unwrap_or_default()
    }
}

/// The answers that wait for the bucket: 4 lines, one more every 2 s.
pub struct Outbox {
    queue: VecDeque<Line>,
    bucket: Bucket,
}

impl Outbox {
    pub fn new(now: Instant) -> Outbox {
        Outbox { queue: VecDeque::new(), bucket: Bucket::new(4, Duration::from_secs(2), now) }
    }

    /// A full queue drops its oldest answer to a look first, then folds.
    pub fn push(&mut self, target: &str, text: String, kind: ReplyKind) {
        let line = Line { target: target.to_owned(), text, kind, count: 1 };
        if self.queue.len() >= LONGEST_QUEUE {
            if let Some(looked) = self.queue.iter().position(|l| l.kind == ReplyKind::Look) {
                self.queue.remove(looked);
            } else if let Some(same) = self.queue.iter_mut().rfind(|l| l.stands_for(&line)) {
                // The newest of them, so that the older ones are still said in full.
                same.count += 1;
                return;
            } else if kind != ReplyKind::Saved {
                return;
            }
            // A promise is never dropped. What can still be one more is the first of its kind in its channel.
        }
        self.queue.push_back(line);
    }

    /// The next line that may be said now; replies to saves come before replies to looks. The bucket's last
    /// token is spent on all replies that can be merged.
    pub fn next(&mut self, now: Instant) -> Option<Line> {
        let is_last = self.bucket.level(now) == 1;
        if self.queue.is_empty() || !self.bucket.take(now) {
            return None;
        }
        let first = self.queue.iter().position(|line| line.kind != ReplyKind::Look);
        let mut line = self.queue.remove(first.unwrap_or(0))?;
        if is_last {
            self.queue.retain(|other| {
                let same = line.stands_for(other);
                line.count += if same { other.count } else { 0 };
                !same
            });
        }
        if line.kind == ReplyKind::Saved && line.count > 1 {
            line.text = format!("{}: {} more links", line.verb(), line.count);
        }
        Some(line)
    }

    /// When the next line may be said; `None`: nothing waits.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.queue.is_empty()).then(|| self.bucket.next())
    }
}

#[cfg(test)]
#[path = "../../tests/unit/outbox.rs"]
mod tests;
