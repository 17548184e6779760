use std::cell::RefCell;
use std::collections::HashSet;

use proptest::prelude::*;
use time::macros::datetime;

use super::*;
use crate::journal::Action;
use crate::link::Link;

const START: OffsetDateTime = datetime!(2026-11-22 10:00 UTC);
const INTERVAL: Duration = Duration::from_secs(3);

thread_local! { static LOG: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) }; }

/// A delivery, its journal and a clock that moves only when it is told to.
struct World {
    folder: tempfile::TempDir,
    journal: Journal,
    delivery: Delivery,
    boot: Instant,
    now: Duration,
    /// When each link was offered, and what the service was told of earlier tries.
    tries: Vec<(Duration, String, bool)>,
}

impl World {
    fn new(links: usize) -> World {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&folder.path().join("links.tsv")).unwrap();
        for i in 1..=links {
            journal.append(Action::Add, &link(i), START + time::Duration::minutes(i as i64)).unwrap();
        }
        journal.commit().unwrap();
        let boot = Instant::now();
        let delivery = Delivery::new(folder.path().join("cursor"), INTERVAL, boot);
        let mut world = World { folder, journal, delivery, boot, now: Duration::ZERO, tries: Vec::new() };
        world.listen();
        world
    }

    fn listen(&mut self) {
        self.delivery.say = |text| LOG.with_borrow_mut(|log| log.push(text.into()));
    }

    fn restart(&mut self) {
        self.delivery = Delivery::new(self.cursor_path(), INTERVAL, self.boot + self.now);
        self.listen();
    }

    fn cursor_path(&self) -> PathBuf {
        self.folder.path().join("cursor")
    }

    fn cursor(&self) -> String {
        fs::read_to_string(self.cursor_path()).unwrap_or_default()
    }

    fn post(&mut self, i: usize) {
        self.journal.append(Action::Add, &link(i), START + time::Duration::minutes(i as i64)).unwrap();
        self.journal.commit().unwrap();
        self.delivery.wake();
    }

    /// Sleeps until the delivery wants something, and lets `service` answer; false when nothing is owed.
    fn step(&mut self, service: &mut dyn FnMut(&str, Duration) -> Verdict) -> bool {
        let Some(deadline) = self.delivery.deadline() else { return false };
        self.now = self.now.max(deadline - self.boot);
        let Some((entry, unclear)) = self.delivery.next(&self.journal, self.boot + self.now) else { return true };
        let name = entry.link.title.clone();
        self.tries.push((self.now, name.clone(), unclear));
        let verdict = service(&name, self.now);
        self.now += Duration::from_secs(1);
        let clock = START + time::Duration::days(1) + self.now;
        self.delivery.settle(&entry, verdict, self.boot + self.now, clock);
        true
    }

    /// Until nothing is owed, or `end` has come.
    fn run(&mut self, end: Duration, mut service: impl FnMut(&str, Duration) -> Verdict) {
        while self.delivery.deadline().is_some_and(|at| at - self.boot < end) && self.step(&mut service) {}
    }

    fn tried(&self) -> Vec<&str> {
        self.tries.iter().map(|(_, name, _)| name.as_str()).collect()
    }

    /// From the end of one try to the beginning of the next, in seconds.
    fn waits(&self) -> Vec<u64> {
        self.tries.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs() - 1).collect()
    }

    fn status(&self) -> String {
        self.delivery.status(&self.journal, self.boot + self.now)
    }
}

fn link(i: usize) -> Link {
    let posted = START + time::Duration::minutes(i as i64);
    let url = format!("http://example.com/{i}");
    Link { channel: "#dev".into(), nick: "bob".into(), account: String::new(), url, title: i.to_string(), posted }
}

fn later() -> Verdict {
    Verdict::TryLater { why: "HTTP 500".into(), after: None, unclear: true }
}

fn refused(by_status: bool) -> Verdict {
    Verdict::Refused { why: "HTTP 400".into(), by_status }
}

fn logged(text: &str) -> usize {
    LOG.with_borrow(|log| log.iter().filter(|line| line.contains(text)).count())
}

const HOUR: Duration = Duration::from_secs(3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

#[test]
fn links_are_delivered_in_order_an_interval_apart_and_then_it_sleeps() {
    let mut world = World::new(4);
    world.run(HOUR, |name, _| if name == "2" { Verdict::AlreadyThere } else { Verdict::Stored });
    assert_eq!(world.tried(), ["1", "2", "3", "4"]);
    assert_eq!(world.waits(), [3, 3, 3]);
    assert_eq!(world.delivery.deadline(), None);
    assert_eq!(world.cursor(), "2026-11-22T10:04:00.000Z\n");
    assert_eq!((logged("delivered: http://example.com/"), logged("already there: http://example.com/2")), (3, 1));
    world.post(5);
    world.step(&mut |_, _| Verdict::Stored);
    assert_eq!(world.tried()[4], "5");
}

#[test]
fn a_restart_goes_on_behind_the_cursor() {
    let mut world = World::new(3);
    world.step(&mut |_, _| Verdict::Stored);
    world.restart();
    world.run(HOUR, |_, _| Verdict::Stored);
    assert_eq!(world.tried(), ["1", "2", "3"]);
}

#[test]
fn a_cursor_that_cannot_be_read_means_to_start_over_and_to_say_so() {
    for (text, said) in [(&b"yesterday\n"[..], "not a time"), (b"\xff\xfe", "UTF-8"), (b"", "not a time")] {
        let mut world = World::new(2);
        fs::write(world.cursor_path(), text).unwrap();
        world.restart();
        world.run(HOUR, |_, _| Verdict::Stored);
        assert_eq!(world.tried(), ["1", "2"]);
        assert_eq!((logged(said), logged("starts with the first link")), (1, 1), "{text:?}");
        LOG.take();
    }
}

#[test]
fn without_a_cursor_nothing_is_said_until_something_is_owed() {
    let mut world = World::new(0);
    world.step(&mut |_, _| unreachable!());
    assert_eq!(logged(""), 0);
    world.post(1);
    world.step(&mut |_, _| Verdict::Stored);
    assert_eq!(logged("not there; the delivery starts with the first link"), 1);
}

#[test]
fn a_cursor_that_cannot_be_written_is_said_once_and_stops_nothing() {
    let mut world = World::new(3);
    fs::create_dir(world.folder.path().join("cursor.tmp")).unwrap();
    world.run(HOUR, |_, _| Verdict::Stored);
    assert_eq!(world.tried(), ["1", "2", "3"]);
    assert_eq!(logged("a restart would deliver links again"), 1);
    fs::remove_dir(world.folder.path().join("cursor.tmp")).unwrap();
    world.post(4);
    world.step(&mut |_, _| Verdict::Stored);
    assert_eq!(world.cursor(), "2026-11-22T10:04:00.000Z\n");
}

#[test]
fn try_later_doubles_the_wait_from_3_s_to_15_min_and_a_link_taken_ends_it() {
    let mut world = World::new(2);
    let mut count = 0;
    world.run(WEEK, |_, _| {
        count += 1;
        if count <= 12 { later() } else { Verdict::Stored }
    });
    assert_eq!(world.waits()[..12], [3, 6, 12, 24, 48, 96, 192, 384, 768, 900, 900, 900]);
    // The last of these was the second link's turn; the first one and then the second follow at once.
    assert_eq!(world.waits()[12..], [3, 3]);
    assert_eq!((logged("delivery stopped: HTTP 500; next try in 3 s"), logged("stopped")), (1, 1));
    assert_eq!(logged("delivery resumed; owed: 1"), 1);
}

#[test]
fn retry_after_lengthens_a_wait_and_never_shortens_it() {
    let mut world = World::new(1);
    let mut answers = [60, 1, 3600].into_iter();
    world.run(WEEK, |_, _| match answers.next() {
        Some(seconds) => {
            let after = Some(Duration::from_secs(seconds));
            Verdict::TryLater { why: "HTTP 429".into(), after, unclear: false }
        }
        None => Verdict::Stored,
    });
    assert_eq!(world.waits(), [60, 6, 3600]);
}

#[test]
fn only_a_try_without_a_clear_answer_is_remembered_as_unclear() {
    let mut world = World::new(1);
    let mut answers = [false, true, false].into_iter();
    world.run(HOUR, |_, _| match answers.next() {
        Some(unclear) => Verdict::TryLater { why: String::new(), after: None, unclear },
        None => Verdict::Stored,
    });
    assert_eq!(world.tries.iter().map(|t| t.2).collect::<Vec<_>>(), [false, false, true, true]);
}

#[test]
fn an_outage_of_a_week_loses_nothing() {
    let mut world = World::new(40);
    let mut stored = Vec::new();
    world.run(2 * WEEK, |name, now| {
        if now < WEEK {
            return later();
        }
        stored.push(name.to_string());
        Verdict::Stored
    });
    stored.sort_by_key(|name| name.parse::<u32>().unwrap());
    stored.dedup();
    assert_eq!(stored.len(), 40);
    assert_eq!((logged("passed over"), logged("stopped"), logged("resumed")), (0, 1, 1));
    assert_eq!(world.delivery.deadline(), None);
}

#[test]
fn a_service_that_fails_nine_times_in_ten_for_a_week_loses_nothing_to_suspicion() {
    let mut world = World::new(40);
    // A fixed sequence (xorshift), so that this says the same at every run.
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    world.run(WEEK, |_, _| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if random.is_multiple_of(10) { Verdict::Stored } else { later() }
    });
    assert_eq!(logged("passed over"), 0);
    assert!(world.tries.len() > 100);
}

/// A service that never takes the `poison`, each time "later", and everything else; ends when nothing is owed.
fn deliver_around(links: usize, poison: &[&str]) -> (World, Vec<String>) {
    let mut world = World::new(links);
    let mut stored: Vec<String> = Vec::new();
    world.run(WEEK, |name, _| {
        if poison.contains(&name) {
            later()
        } else if stored.iter().any(|s| s == name) {
            Verdict::AlreadyThere
        } else {
            stored.push(name.into());
            Verdict::Stored
        }
    });
    assert_eq!(world.delivery.deadline(), None, "{:?}", world.tries);
    (world, stored)
}

#[test]
fn a_poison_link_is_passed_over_and_those_behind_it_are_delivered() {
    let (world, stored) = deliver_around(4, &["2"]);
    assert_eq!(stored, ["1", "3", "4"]);
    let line = "HTTP 500: 2026-11-22T10:02:00.000Z #dev bob http://example.com/2 2";
    assert_eq!((logged(line), logged("passed over")), (1, 1));
    assert!(world.status().ends_with("; passed over: 1"), "{}", world.status());
    // At the longest wait the next one is tried; the first is condemned by failing beside it, time and again.
    assert_eq!(world.tried()[11..], ["3", "2", "3", "2", "3", "2", "3", "4"]);
}

#[test]
fn poison_links_side_by_side_are_overcome_one_after_the_other() {
    let (_, stored) = deliver_around(5, &["1", "2", "4"]);
    assert_eq!(stored, ["3", "5"]);
    assert_eq!(logged("passed over"), 3);
}

#[test]
fn a_poison_link_alone_is_never_given_up() {
    let mut world = World::new(1);
    world.run(WEEK, |_, _| later());
    assert_eq!((logged("passed over"), world.cursor().as_str()), (0, ""));
    assert!(world.waits().iter().all(|wait| *wait <= 900));
}

#[test]
fn the_cursor_does_not_move_for_a_link_that_was_taken_out_of_turn() {
    let mut world = World::new(2);
    while !world.tried().contains(&"2") {
        world.step(&mut |name, _| if name == "1" { later() } else { Verdict::Stored });
    }
    assert_eq!(world.cursor(), "");
    // A crash: the second one is offered again in its order.
    world.restart();
    world.run(world.now + HOUR, |_, _| Verdict::AlreadyThere);
    assert_eq!(world.tried()[world.tries.len() - 2..], ["1", "2"]);
}

#[test]
fn a_link_taken_out_of_turn_may_be_said_to_have_gone_wrong_the_second_time() {
    let mut world = World::new(3);
    world.run(WEEK, |name, _| if name == "1" { later() } else { Verdict::Stored });
    let of_second: Vec<bool> = world.tries.iter().filter(|t| t.1 == "2").map(|t| t.2).collect();
    assert_eq!(of_second, [false, true, true, true]);
}

#[test]
fn suspicion_does_not_pass_from_a_removed_link_to_the_next() {
    let mut world = World::new(5);
    let mut service = |name: &str, _| if name < "3" { later() } else { Verdict::Stored };
    while world.delivery.proofs < PROOFS - 1 {
        world.step(&mut service);
    }
    assert_eq!(world.tried().last(), Some(&"1"));
    world.journal.append(Action::Remove, &link(1), START + HOUR).unwrap();
    world.step(&mut service);
    world.step(&mut service);
    assert_eq!(world.tried()[world.tries.len() - 2..], ["2", "3"]);
    assert_eq!(logged("passed over"), 0);
}

#[test]
fn the_end_of_an_outage_during_a_turn_delivers_the_first_link_next() {
    let mut world = World::new(3);
    let mut up = false;
    world.run(WEEK, |name, _| {
        up |= name == "2";
        if up { Verdict::Stored } else { later() }
    });
    assert_eq!(world.tried()[world.tries.len() - 4..], ["2", "1", "2", "3"]);
    assert_eq!(logged("passed over"), 0);
}

#[test]
fn a_refused_link_is_logged_with_its_line_and_passed_over_at_once() {
    let mut world = World::new(3);
    world.run(HOUR, |name, _| if name == "2" { refused(true) } else { Verdict::Stored });
    assert_eq!(world.tried(), ["1", "2", "3"]);
    let line = "passed over: HTTP 400: 2026-11-22T10:02:00.000Z #dev bob http://example.com/2 2";
    assert_eq!((logged(line), logged("stopped")), (1, 0));
}

#[test]
fn any_number_of_refusals_with_a_result_is_passed_over() {
    let mut world = World::new(5);
    world.run(HOUR, |_, _| refused(false));
    assert_eq!(world.tried(), ["1", "2", "3", "4", "5"]);
    assert_eq!(world.cursor(), "2026-11-22T10:05:00.000Z\n");
}

#[test]
fn a_captive_portal_that_refuses_everything_loses_nothing() {
    let mut world = World::new(5);
    let portal = |_: &str, now| if now < HOUR { refused(true) } else { Verdict::Stored };
    world.step(&mut |_, _| Verdict::Stored);
    world.run(2 * HOUR, portal);
    assert_eq!(world.tried(), ["1", "2", "3", "4", "2", "2", "2", "2", "3", "4", "5"]);
    assert_eq!(world.waits()[2..8], [3, 900, 900, 900, 900, 3][..]);
    assert_eq!((logged("stopped"), logged("resumed")), (1, 1));
    assert!(world.status().ends_with("; passed over: 0"), "{}", world.status());
}

#[test]
fn a_crash_in_a_captive_portal_loses_nothing_either() {
    let mut world = World::new(4);
    world.step(&mut |_, _| refused(true));
    world.step(&mut |_, _| refused(true));
    world.restart();
    world.run(HOUR, |_, _| Verdict::Stored);
    assert_eq!(world.tried(), ["1", "2", "1", "2", "3", "4"]);
}

#[test]
fn a_hold_by_refusals_ends_with_a_refusal_that_has_a_result() {
    let mut world = World::new(4);
    world.run(HOUR, |name, now| match name {
        _ if now < HOUR / 4 => refused(true),
        "1" => refused(false),
        _ => Verdict::Stored,
    });
    assert_eq!(world.tried(), ["1", "2", "3", "1", "2", "3", "4"]);
}

#[test]
fn a_hold_by_refusals_ends_when_another_link_is_accepted() {
    let mut world = World::new(4);
    let mut sick = true;
    world.run(WEEK, |name, now| match name {
        _ if now < HOUR / 4 => refused(true),
        "1" if std::mem::take(&mut sick) => later(),
        "1" => refused(true),
        _ => Verdict::Stored,
    });
    assert_eq!(world.tried(), ["1", "2", "3", "1", "2", "1", "2", "3", "4"]);
    assert_eq!(logged("example.com/1 1"), 2);
}

#[test]
fn a_hold_tries_the_first_link_every_15_min_and_is_said_once_and_again_after_a_start() {
    let mut world = World::new(3);
    let wrong = |_: &str, _| Verdict::Credentials { why: "HTTP 401: check delicious_token".into() };
    world.run(HOUR, wrong);
    assert_eq!(world.tried(), ["1"; 4]);
    assert_eq!(world.waits(), [900; 3]);
    assert_eq!(logged("delivery stopped: HTTP 401: check delicious_token; next try in 15 min"), 1);
    // A link that comes meanwhile wakes nobody.
    world.post(4);
    assert_eq!(world.delivery.deadline(), Some(world.boot + world.now + LONGEST_WAIT));
    world.restart();
    world.run(world.now + HOUR, wrong);
    assert_eq!(logged("delivery stopped"), 2);
    world.run(world.now + HOUR, |_, _| Verdict::Stored);
    assert_eq!((logged("delivery stopped"), logged("delivery resumed; owed: 3")), (2, 1));
}

#[test]
fn a_timeout_within_a_hold_does_not_make_it_a_new_one() {
    let mut world = World::new(1);
    let mut turn = 0;
    world.run(WEEK, |_, _| {
        turn += 1;
        if turn % 2 == 0 { later() } else { Verdict::Configuration { why: "HTTP 404".into() } }
    });
    assert_eq!(logged("delivery stopped"), 1);
    assert!(world.waits().iter().all(|wait| *wait == 900));
}

#[test]
fn the_status_says_what_is_owed_since_when_and_what_comes_next() {
    let mut world = World::new(3);
    assert_eq!(world.status(), "owed: 3 since 2026-11-22 10:01Z; next try now; passed over: 0");
    world.run(HOUR, |_, now| if now < HOUR / 8 { later() } else { refused(false) });
    assert_eq!(world.status(), "owed: 0; last error: HTTP 400 (2026-11-23 10:13Z); passed over: 3");
    let mut world = World::new(3);
    world.step(&mut |_, _| Verdict::Stored);
    world.step(&mut |_, _| Verdict::Credentials { why: "HTTP 401".into() });
    let expected =
        "owed: 2 since 2026-11-22 10:02Z; last error: HTTP 401 (2026-11-23 10:00Z); next try in 15 min; passed over: 0";
    assert_eq!(world.status(), expected);
}

#[test]
fn the_status_counts_to_a_thousand() {
    let mut world = World::new(1001);
    world.step(&mut |_, _| later());
    assert!(world.status().starts_with("owed: 1,000 or more since 2026-11-22 10:01Z"), "{}", world.status());
}

proptest! {
    // Every case writes files.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases / 4,
        failure_persistence: None,
        ..Default::default()
    })]
    #[test]
    fn whatever_the_service_says_every_link_is_taken_or_named_as_passed_over(
        links in 1..25usize,
        weather in proptest::collection::vec((0..8u8, 1..12usize), 0..30),
        crashes in proptest::collection::vec(any::<proptest::sample::Index>(), 0..4),
    ) {
        LOG.take();
        let weather: Vec<u8> = weather.into_iter().flat_map(|(kind, length)| vec![kind; length]).collect();
        let crashes: Vec<usize> = crashes.iter().map(|at| at.index(weather.len() + 1)).collect();
        let mut world = World::new(links);
        let mut stored: HashSet<String> = HashSet::new();
        for step in 0.. {
            if crashes.contains(&step) {
                world.restart();
            }
            let (before, ordinary) = (world.now, world.delivery.wait < LONGEST_WAIT);
            // After the weather the sun shines, and everything owed is taken.
            let going = world.step(&mut |name, _| {
                let verdict = match weather.get(step) {
                    Some(0..=2) => later(),
                    Some(3) => Verdict::TryLater { why: "x".into(), after: Some(HOUR), unclear: false },
                    Some(4) => refused(true),
                    Some(5) => refused(false),
                    Some(6) => Verdict::Credentials { why: "x".into() },
                    _ => Verdict::Stored,
                };
                if verdict == Verdict::Stored {
                    stored.insert(name.into());
                }
                verdict
            });
            if !going {
                break;
            }
            if let Some((_, name, _)) = world.tries.last().filter(|_| ordinary) {
                let first = world.delivery.first.is_none_or(|first| link(name.parse().unwrap()).posted == first);
                prop_assert!(first, "{} was offered out of turn: {:?}", name, world.tries);
            }
            prop_assert!(world.now - before <= HOUR + Duration::from_secs(1), "a wait beyond all bounds");
            prop_assert!(step < weather.len() + 3 * links + 100, "it never comes to an end");
        }
        for i in 1..=links {
            let named = logged(&format!("passed over: HTTP 400: {} ", format_time(link(i).posted))) > 0;
            let suspected = logged(&format!("HTTP 500: {} ", format_time(link(i).posted))) > 0;
            let stored = stored.contains(&i.to_string());
            prop_assert!(stored || named || suspected, "link {} is lost: {:?}", i, world.tries);
        }
        // The last refusals by status alone are not final.
        let last = world.delivery.refusals == 0;
        prop_assert!(!last || world.cursor() == format_time(link(links).posted) + "\n");
    }
}
