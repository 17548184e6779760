use super::*;
use proptest::prelude::*;

/// How many lines may wait.
const LONGEST_QUEUE: usize = 32;

fn after(now: Instant, seconds: u64) -> Instant {
    now + Duration::from_secs(seconds)
}

/// What leaves at `now`.
fn said(outbox: &mut Outbox, now: Instant) -> Vec<String> {
    std::iter::from_fn(|| outbox.next(now)).map(|line| line.text).collect()
}

/// All that ever leaves, waking only at the deadlines.
fn all_said(outbox: &mut Outbox, mut now: Instant) -> Vec<String> {
    let mut all = said(outbox, now);
    while let Some(deadline) = outbox.deadline() {
        assert!(deadline > now, "a deadline that has passed would keep the loop busy");
        now = deadline;
        all.extend(said(outbox, now));
    }
    all
}

#[test]
fn four_lines_leave_at_once_and_one_more_every_2_s() {
    let now = Instant::now();
    let mut outbox = Outbox::new(now);
    for n in 1..=6 {
        outbox.push("#dev", format!("line {n}"), ReplyKind::Look);
    }
    assert_eq!(said(&mut outbox, now), ["line 1", "line 2", "line 3", "line 4"]);
    assert_eq!(outbox.deadline(), Some(after(now, 2)));
    assert_eq!(said(&mut outbox, after(now, 1)), [""; 0]);
    assert_eq!(said(&mut outbox, after(now, 2)), ["line 5"]);
    assert_eq!(said(&mut outbox, after(now, 4)), ["line 6"]);
    assert_eq!(outbox.deadline(), None);
}

#[test]
fn a_bucket_holds_no_more_than_four_however_long_it_was_quiet() {
    let now = Instant::now();
    let mut outbox = Outbox::new(now);
    let later = after(now, 3600);
    (0..9).for_each(|n| outbox.push("#dev", n.to_string(), ReplyKind::Look));
    assert_eq!(said(&mut outbox, later).len(), 4);
    assert_eq!(outbox.deadline(), Some(after(later, 2)));
}

#[test]
fn a_hundred_saves_are_three_answers_and_97_more_links() {
    let now = Instant::now();
    let mut outbox = Outbox::new(now);
    (1..=100).for_each(|n| outbox.push("#dev", format!("saved: link {n}"), ReplyKind::Saved));
    let all = all_said(&mut outbox, now);
    assert_eq!(all, ["saved: link 1", "saved: link 2", "saved: link 3", "saved: 97 more links"]);
}

#[test]
fn a_fold_keeps_to_its_channel_and_its_kind() {
    let now = Instant::now();
    let mut outbox = Outbox::new(now);
    (0..3).for_each(|n| outbox.push("#a", format!("first {n}"), ReplyKind::Failed));
    for target in ["#a", "#b", "#a"] {
        outbox.push(target, "saved: x".into(), ReplyKind::Saved);
        outbox.push(target, "usage: y".into(), ReplyKind::Failed);
    }
    outbox.push("#a", "usage: z".into(), ReplyKind::Failed);
    let all = all_said(&mut outbox, now);
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
fn an_answer_that_waits_is_not_repeated() {
    let now = Instant::now();
    let mut outbox = Outbox::new(now);
    (0..8).for_each(|_| outbox.push("#dev", "commands: ...".into(), ReplyKind::Look));
    assert_eq!(all_said(&mut outbox, now), ["commands: ..."; 4]);
}

#[test]
fn a_full_queue_drops_its_oldest_answer_to_a_look_first() {
    let now = Instant::now();
    let mut outbox = Outbox::new(now);
    outbox.push("#dev", "saved: kept".into(), ReplyKind::Saved);
    (1..LONGEST_QUEUE).for_each(|n| outbox.push("#dev", format!("look {n}"), ReplyKind::Look));
    outbox.push("#dev", "usage: kept".into(), ReplyKind::Failed);
    outbox.push("#dev", "look last".into(), ReplyKind::Look);
    let all = all_said(&mut outbox, now);
    assert_eq!(all.len(), LONGEST_QUEUE);
    assert_eq!(all[..3], ["saved: kept", "usage: kept", "look 3"]);
    assert_eq!(all[LONGEST_QUEUE - 1..], ["look last"]);
}

#[test]
fn an_answer_to_a_look_drives_nothing_else_out() {
    let now = Instant::now();
    let mut outbox = Outbox::new(now);
    (0..LONGEST_QUEUE).for_each(|n| outbox.push("#dev", format!("usage: {n}"), ReplyKind::Failed));
    outbox.push("#dev", "look".into(), ReplyKind::Look);
    let all = all_said(&mut outbox, now);
    assert_eq!((all.len(), all.contains(&"look".to_owned())), (LONGEST_QUEUE, false));
}

#[test]
fn a_bucket_gains_a_token_every_so_often() {
    let now = Instant::now();
    let mut bucket = Bucket::new(3, 10, now);
    assert!((0..3).all(|_| bucket.take(now)) && !bucket.take(now));
    assert!(
        !bucket.take(after(now, 9)) && bucket.take(after(now, 10)) && !bucket.take(after(now, 19))
    );
}

proptest! {
    /// No promise is lost or made twice, and the queue stays short, whatever comes when.
    #[test]
    fn every_save_is_answered_for_once(
        pushes in prop::collection::vec((0..3u8, 0..3usize, prop_oneof![4 => Just(0), 1 => 1..5000u64]), 0..300),
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
            let promised: usize = lines.iter().filter(|l| l.kind == ReplyKind::Saved && l.target == target).map(|l| l.count).sum();
            let saved = pushes.iter().filter(|p| p.0 == 1 && ["#a", "#b", "#c"][p.1] == target).count();
            prop_assert_eq!(promised, saved);
        }
    }
}
