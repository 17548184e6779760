use super::*;
use proptest::prelude::*;

/// The queue's limit; only `Saved` replies may exceed it.
const LONGEST_QUEUE: usize = 32;

fn after(now: Instant, seconds: u64) -> Instant {
    now + Duration::from_secs(seconds)
}

/// The lines sent at `now`.
fn sent(outbox: &mut Outbox, now: Instant) -> Vec<String> {
    std::iter::from_fn(|| outbox.next(now)).map(|line| line.text).collect()
}

/// All lines sent, in order, at the deadlines.
fn all_sent(outbox: &mut Outbox, mut now: Instant) -> Vec<String> {
    let mut all = sent(outbox, now);
    while let Some(deadline) = outbox.deadline() {
        assert!(deadline > now, "a deadline in the past would keep the loop busy");
        now = deadline;
        all.extend(sent(outbox, now));
    }
    all
}

#[test]
fn four_lines_are_sent_at_once_then_one_every_2_s() {
    let now = Instant::now();
    let mut outbox = Outbox::new(now);
    for n in 1..=6 {
        outbox.push("#dev", format!("line {n}"), ReplyKind::Look);
    }
    assert_eq!(sent(&mut outbox, now), ["line 1", "line 2", "line 3", "line 4"]);
    assert_eq!(outbox.deadline(), Some(after(now, 2)));
    assert_eq!(sent(&mut outbox, after(now, 1)), [""; 0]);
    assert_eq!(sent(&mut outbox, after(now, 2)), ["line 5"]);
    assert_eq!(sent(&mut outbox, after(now, 4)), ["line 6"]);
    assert_eq!(outbox.deadline(), None);
}

#[test]
fn a_bucket_holds_at_most_four_tokens_after_any_silence() {
    let now = Instant::now();
    let mut outbox = Outbox::new(now);
    let later = after(now, 3600);
    (0..9).for_each(|n| outbox.push("#dev", n.to_string(), ReplyKind::Look));
    assert_eq!(sent(&mut outbox, later).len(), 4);
    assert_eq!(outbox.deadline(), Some(after(later, 2)));
}

#[test]
fn a_hundred_saves_are_three_replies_and_97_more_links() {
    let now = Instant::now();
    let mut outbox = Outbox::new(now);
    (1..=100).for_each(|n| outbox.push("#dev", format!("saved: link {n}"), ReplyKind::Saved));
    let all = all_sent(&mut outbox, now);
    assert_eq!(all, ["saved: link 1", "saved: link 2", "saved: link 3", "saved: 97 more links"]);
}

#[test]
fn only_replies_of_one_channel_and_kind_merge() {
    let now = Instant::now();
    let mut outbox = Outbox::new(now);
    (0..3).for_each(|n| outbox.push("#a", format!("first {n}"), ReplyKind::Failed));
    for target in ["#a", "#b", "#a"] {
        outbox.push(target, "saved: x".into(), ReplyKind::Saved);
        outbox.push(target, "usage: y".into(), ReplyKind::Failed);
    }
    outbox.push("#a", "usage: z".into(), ReplyKind::Failed);
    let all = all_sent(&mut outbox, now);
    let expected = [
        "first 0",
        "first 1",
        "first 2",
        "saved: 2 more links",
        "usage: y",
        "saved: x",
        "usage: y",
        "usage: z",
    ];
    assert_eq!(all, expected);
}

#[test]
fn a_waiting_reply_is_not_repeated() {
    let now = Instant::now();
    let mut outbox = Outbox::new(now);
    (0..8).for_each(|_| outbox.push("#dev", "commands: ...".into(), ReplyKind::Look));
    assert_eq!(all_sent(&mut outbox, now), ["commands: ..."; 4]);
}

#[test]
fn a_full_queue_drops_its_oldest_reply_to_a_look_first() {
    let now = Instant::now();
    let mut outbox = Outbox::new(now);
    outbox.push("#dev", "saved: kept".into(), ReplyKind::Saved);
    (1..LONGEST_QUEUE).for_each(|n| outbox.push("#dev", format!("look {n}"), ReplyKind::Look));
    outbox.push("#dev", "usage: kept".into(), ReplyKind::Failed);
    outbox.push("#dev", "look last".into(), ReplyKind::Look);
    let all = all_sent(&mut outbox, now);
    assert_eq!(all.len(), LONGEST_QUEUE);
    assert_eq!(all[..3], ["saved: kept", "usage: kept", "look 3"]);
    assert_eq!(all[LONGEST_QUEUE - 1..], ["look last"]);
}

#[test]
fn a_reply_to_a_look_displaces_no_other_reply() {
    let now = Instant::now();
    let mut outbox = Outbox::new(now);
    (0..LONGEST_QUEUE).for_each(|n| outbox.push("#dev", format!("usage: {n}"), ReplyKind::Failed));
    outbox.push("#dev", "look".into(), ReplyKind::Look);
    let all = all_sent(&mut outbox, now);
    assert_eq!((all.len(), all.contains(&"look".to_owned())), (LONGEST_QUEUE, false));
}

#[test]
fn a_bucket_gains_one_token_per_interval() {
    let now = Instant::now();
    let mut bucket = Bucket::new(3, 10, now);
    assert!((0..3).all(|_| bucket.take(now)) && !bucket.take(now));
    assert!(
        !bucket.take(after(now, 9)) && bucket.take(after(now, 10)) && !bucket.take(after(now, 19))
    );
}

proptest! {
    /// No `Saved` reply is lost or repeated, and the queue stays short.
    #[test]
    fn every_save_is_reported_once(
        pushes in prop::collection::vec(
            (0..3u8, 0..3usize, prop_oneof![4 => Just(0), 1 => 1..5000u64]), 0..300,
        ),
    ) {
        let mut now = Instant::now();
        let (mut outbox, mut lines) = (Outbox::new(now), Vec::new());
        for (kind, target, wait) in &pushes {
            let kind = [ReplyKind::Look, ReplyKind::Saved, ReplyKind::Failed][usize::from(*kind)];
            outbox.push(["#a", "#b", "#c"][*target], "text".into(), kind);
            prop_assert!(outbox.queue.len() <= LONGEST_QUEUE + 3);
            now += Duration::from_millis(*wait);
            if *wait > 0 {
                lines.extend(std::iter::from_fn(|| outbox.next(now)));
            }
        }
        while let Some(deadline) = outbox.deadline() {
            lines.extend(std::iter::from_fn(|| outbox.next(deadline)));
        }
        for target in ["#a", "#b", "#c"] {
            let replies = lines.iter().filter(|l| l.kind == ReplyKind::Saved && l.target == target);
            let reported: usize = replies.map(|l| l.count).sum();
            let saves = pushes.iter().filter(|p| p.0 == 1 && ["#a", "#b", "#c"][p.1] == target);
            prop_assert_eq!(reported, saves.count());
        }
    }
}
