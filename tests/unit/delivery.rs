use std::{
    collections::{BTreeMap, HashSet},
    fs,
    io::Write,
    path::PathBuf,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use time::{OffsetDateTime, macros::datetime};

use crate::tests::open;
use crate::{
    delicious::{Cause, Change, Verdict},
    delivery::*,
    journal::{Action, Journal, VIEW_WINDOW, format_time},
    link::Link,
    tests::log::LOG,
};

type Request = (Change, Link);

const START: OffsetDateTime = datetime!(2026-11-22 10:00 UTC);
const INTERVAL: Duration = Duration::from_secs(3);
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// The cursor before the first delivery.
const NEVER: &[u8] = b"1970-01-01T00:00:00.000Z\n";

/// A delivery, its journal and a clock that moves only on command.
struct World {
    dir: tempfile::TempDir,
    journal: Journal,
    delivery: Delivery,
    boot: Instant,
    now: Duration,
    /// When each request was sent, and its name.
    attempts: Vec<(Duration, String)>,
}

impl World {
    fn new(links: usize) -> World {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&dir.path().join("links.tsv")).unwrap();
        for i in 1..=links {
            journal
                .append(Action::Add, &link(i), START + time::Duration::minutes(i as i64))
                .unwrap();
        }
        journal.commit().unwrap();
        let boot = Instant::now();
        let delivery = Delivery::new(dir.path().join("cursor"), INTERVAL, &mut journal, boot);
        World { dir, journal, delivery, boot, now: Duration::ZERO, attempts: Vec::new() }
    }

    fn restart(&mut self) {
        self.delivery =
            Delivery::new(self.cursor_path(), INTERVAL, &mut self.journal, self.boot + self.now);
    }

    fn cursor_path(&self) -> PathBuf {
        self.dir.path().join("cursor")
    }

    fn cursor(&self) -> String {
        fs::read_to_string(self.cursor_path()).unwrap_or_default()
    }

    fn post(&mut self, i: usize) {
        self.write(Action::Add, link(i));
    }

    fn title(&mut self, i: usize, title: &str) {
        self.write(Action::Title, Link { title: title.into(), ..link(i) });
    }

    fn remove(&mut self, i: usize) {
        self.write(Action::Remove, link(i));
    }

    fn write(&mut self, action: Action, link: Link) {
        self.journal.append(action, &link, link.posted).unwrap();
        self.journal.commit().unwrap();
        self.delivery.refresh(&self.journal, self.boot + self.now);
    }

    /// Accepts every request; returns their names.
    fn deliver(&mut self) -> Vec<String> {
        let names = self.deliver_unordered();
        let last = self.journal.raise_last(OffsetDateTime::UNIX_EPOCH);
        assert_eq!(self.cursor(), format_time(last) + "\n", "the cursor is at the last event");
        names
    }

    /// As `deliver`, but the last line may not have the newest time.
    fn deliver_unordered(&mut self) -> Vec<String> {
        let before = self.attempts.len();
        self.run(self.now + WEEK, |_, _| Verdict::Done);
        assert_eq!(self.delivery.deadline(), None);
        self.tried()[before..].iter().map(|name| name.to_string()).collect()
    }

    /// Sleeps until the delivery's deadline and lets `service` respond. False if nothing is
    /// pending.
    fn serve(&mut self, service: &mut dyn FnMut(&Request) -> Verdict) -> bool {
        self.step_with(&mut |item, _, _| service(item))
    }

    fn step(&mut self, service: &mut dyn FnMut(&str, Duration) -> Verdict) -> bool {
        self.step_with(&mut |_, name, now| service(name, now))
    }

    fn step_with(&mut self, service: &mut dyn FnMut(&Request, &str, Duration) -> Verdict) -> bool {
        let Some(deadline) = self.delivery.deadline() else { return false };
        self.now = self.now.max(deadline - self.boot);
        let Some(request) = self.delivery.next(&self.journal, self.boot + self.now) else {
            return true;
        };
        let (change, link) = &request;
        let number = link.url.rsplit('/').next().unwrap_or_default();
        let name = match change {
            Change::Add => link.title.clone(),
            Change::Replace => format!("{number}: {}", link.title),
            Change::Delete => format!("-{number}"),
        };
        self.attempts.push((self.now, name.clone()));
        let verdict = service(&request, &name, self.now);
        self.now += Duration::from_secs(1);
        let clock = START + time::Duration::hours(1) + self.now;
        let ended = self.boot + self.now;
        self.delivery.record(request.0, verdict, &mut self.journal, ended, clock);
        true
    }

    /// Runs until nothing is pending, or until `end`.
    fn run(&mut self, end: Duration, mut service: impl FnMut(&str, Duration) -> Verdict) {
        while self.delivery.deadline().is_some_and(|at| at - self.boot < end)
            && self.step(&mut service)
        {}
    }

    fn tried(&self) -> Vec<&str> {
        self.attempts.iter().map(|(_, name)| name.as_str()).collect()
    }

    /// The seconds from the end of each attempt to the start of the next.
    fn waits(&self) -> Vec<u64> {
        self.attempts.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs() - 1).collect()
    }

    fn status(&self) -> String {
        self.delivery.status(&self.journal, self.boot + self.now)
    }
}

fn link(i: usize) -> Link {
    let posted = START + time::Duration::minutes(i as i64);
    let url = format!("http://example.com/{i}");
    Link {
        channel: "#dev".into(),
        nick: "bob".into(),
        account: String::new(),
        url,
        title: i.to_string(),
        posted,
    }
}

fn failure(why: &str, cause: Cause, seconds: u64) -> Verdict {
    let at_least = Duration::from_secs(seconds);
    Verdict::TryLater { why: why.into(), cause, at_least }
}

fn later() -> Verdict {
    failure("HTTP 500", Cause::Unclear, 0)
}

fn too_fast(seconds: u64) -> Verdict {
    failure("HTTP 429", Cause::Busy, seconds)
}

fn refused_by_status() -> Verdict {
    failure("HTTP 400", Cause::RefusedByStatus, 0)
}

fn misconfigured() -> Verdict {
    failure("HTTP 403", Cause::Misconfigured, 0)
}

fn refused() -> Verdict {
    Verdict::Refused("HTTP 400".into())
}

fn logged(text: &str) -> usize {
    LOG.with_borrow(|log| log.iter().filter(|line| line.contains(text)).count())
}

const HOUR: Duration = Duration::from_secs(3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

#[test]
fn links_are_sent_in_order_one_interval_apart_then_delivery_sleeps() {
    let mut world = World::new(4);
    world.run(HOUR, |name, _| if name == "2" { Verdict::AlreadyThere } else { Verdict::Done });
    assert_eq!(world.tried(), ["1", "2", "3", "4"]);
    assert_eq!(world.waits(), [3, 3, 3]);
    assert_eq!(world.delivery.deadline(), None);
    assert_eq!(world.cursor(), "2026-11-22T10:04:00.000Z\n");
    assert_eq!(
        (
            logged("delivered: http://example.com/"),
            logged("already there; its title is unchanged: http://example.com/2")
        ),
        (3, 1)
    );
    world.post(5);
    world.step(&mut |_, _| Verdict::Done);
    assert_eq!(world.tried()[4], "5");
}

#[test]
fn a_restart_continues_after_the_cursor() {
    let mut world = World::new(3);
    world.step(&mut |_, _| Verdict::Done);
    world.restart();
    world.run(HOUR, |_, _| Verdict::Done);
    assert_eq!(world.tried(), ["1", "2", "3"]);
}

#[test]
fn an_unreadable_cursor_makes_delivery_start_over() {
    for text in [&b"yesterday\n"[..], b"\xff\xfe", b""] {
        let mut world = World::new(2);
        fs::write(world.cursor_path(), text).unwrap();
        world.restart();
        world.run(HOUR, |_, _| Verdict::Done);
        assert_eq!(world.tried(), ["1", "2"]);
    }
}

#[test]
fn a_cursor_that_cannot_be_written_is_logged_and_stops_nothing() {
    let mut world = World::new(3);
    fs::remove_file(world.cursor_path()).unwrap();
    fs::create_dir(world.cursor_path()).unwrap();
    world.run(HOUR, |_, _| Verdict::Done);
    assert_eq!(world.tried(), ["1", "2", "3"]);
    assert_eq!(logged("a restart will send links again"), 1);
    fs::remove_dir(world.cursor_path()).unwrap();
    world.post(4);
    world.step(&mut |_, _| Verdict::Done);
    assert_eq!(world.cursor(), "2026-11-22T10:04:00.000Z\n");
    world.post(5);
    world.step(&mut |_, _| Verdict::Done);
    assert_eq!(logged("can be written again"), 1);
}

#[test]
fn try_later_doubles_the_wait_from_3_s_to_15_min_and_success_resets_it() {
    let mut world = World::new(2);
    let mut count = 0;
    world.run(WEEK, |_, _| {
        count += 1;
        if count <= 12 { later() } else { Verdict::Done }
    });
    assert_eq!(world.waits(), [3, 6, 12, 24, 48, 96, 192, 384, 768, 900, 900, 900, 3]);
    // After three failures each, the links take turns.
    assert_eq!(world.tried()[..6], ["1", "1", "1", "2", "2", "2"]);
    assert_eq!(world.tried()[6..], ["1", "2", "1", "2", "1", "2", "1", "2"]);
}

#[test]
fn retry_after_lengthens_a_wait_and_never_shortens_it() {
    let mut world = World::new(1);
    let mut responses = [60, 1, 3600].into_iter();
    world.run(WEEK, |_, _| responses.next().map_or(Verdict::Done, too_fast));
    assert_eq!(world.waits(), [60, 6, 3600]);
}

#[test]
fn after_an_unclear_response_refused_or_there_means_there() {
    for (first, skipped) in [
        (too_fast(0), 1),
        (failure("refused", Cause::RefusedByStatus, 0), 1),
        (later(), 0),
        (failure("HTTP 503", Cause::Overloaded, 1), 0),
    ] {
        LOG.take();
        let mut world = World::new(1);
        let mut responses = [first].into_iter();
        let no = || Verdict::RefusedOrThere("HTTP 200: something went wrong".into());
        world.run(HOUR, |_, _| responses.next().unwrap_or_else(no));
        assert_eq!(
            (
                logged("skipped: refused, or already there: HTTP"),
                logged("already there; its title is unchanged: http")
            ),
            (skipped, 1 - skipped)
        );
        assert_eq!(world.cursor(), "2026-11-22T10:01:00.000Z\n");
    }
}

#[test]
fn an_outage_of_a_week_loses_nothing_and_is_logged_every_six_hours() {
    let mut world = World::new(40);
    let mut stored = Vec::new();
    world.run(2 * WEEK, |name, now| {
        if now < WEEK {
            return later();
        }
        stored.push(name.to_string());
        Verdict::Done
    });
    stored.sort_by_key(|name| name.parse::<u32>().unwrap());
    stored.dedup();
    assert_eq!(stored.len(), 40);
    assert_eq!((logged("skipped"), logged("resumed; pending: 40")), (0, 1));
    assert_eq!(world.delivery.deadline(), None);
    let stopped = "HTTP 500; 40 pending, none lost; next try in";
    assert_eq!(logged(&format!("delivery stopped: http://example.com/1: {stopped} 3 s")), 1);
    // Every six hours.
    assert!((25..=30).contains(&logged(&format!("{stopped} 15 min"))), "{:?}", LOG.take());
    assert_eq!(logged("delivery stopped"), 1 + logged(&format!("{stopped} 15 min")));
}

#[test]
fn no_link_is_skipped_if_one_request_in_ten_fails_for_a_week() {
    let mut world = World::new(200);
    // A fixed seed (xorshift), to make failures reproducible.
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    world.run(WEEK, |_, _| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if random.is_multiple_of(10) { later() } else { Verdict::Done }
    });
    assert_eq!((logged("skipped"), logged("delivered")), (0, 200));
}

#[test]
fn a_new_reason_is_logged_at_once_with_the_address() {
    let mut world = World::new(1);
    world.step(&mut |_, _| later());
    world.step(&mut |_, _| too_fast(0));
    world.step(&mut |_, _| too_fast(0));
    let one = "http://example.com/1";
    assert_eq!(
        (
            logged(&format!(
                "delivery stopped: {one}: HTTP 500; 1 pending, none lost; next try in 3 s"
            )),
            logged(&format!(
                "delivery stopped: {one}: HTTP 429; 1 pending, none lost; next try in 6 s"
            )),
            logged("delivery stopped"),
        ),
        (1, 1, 2)
    );
}

#[test]
fn a_rate_limit_above_the_interval_is_logged_once_not_for_every_link() {
    let mut world = World::new(20);
    let mut count = 0;
    world.run(HOUR, |_, _| {
        count += 1;
        if count % 2 == 1 { too_fast(0) } else { Verdict::Done }
    });
    assert_eq!(
        (logged("delivery stopped"), logged("delivery resumed"), logged("delivered")),
        (1, 1, 20)
    );
    // After two links without a failure, the next stop is logged again.
    world.post(21);
    world.post(22);
    world.step(&mut |_, _| Verdict::Done);
    world.step(&mut |_, _| too_fast(0));
    assert_eq!(logged("delivery stopped"), 2);
}

/// Delivers to a service that always responds `no` to the `poison` links and accepts all others.
/// Posts three more links, hours apart. Returns the links accepted before the last one.
fn deliver_around(links: usize, poison: &[usize], no: fn() -> Verdict) -> (World, Vec<String>) {
    let mut world = World::new(links);
    let mut stored: Vec<String> = Vec::new();
    for new in links + 1..links + 4 {
        let end = world.now + 2 * HOUR * poison.len() as u32;
        world.run(end, |name, _| {
            if poison.contains(&name.parse().unwrap()) {
                return no();
            }
            stored.push(name.into());
            Verdict::Done
        });
        world.post(new);
    }
    world.run(world.now + 2 * HOUR, |name, _| {
        if poison.contains(&name.parse().unwrap()) { no() } else { Verdict::Done }
    });
    (world, stored)
}

#[test]
fn a_poison_link_does_not_block_others_and_is_skipped() {
    for no in [later, refused_by_status] {
        LOG.take();
        let (world, stored) = deliver_around(4, &[2], no);
        assert_eq!(stored, ["1", "3", "4", "5", "6"]);
        let line = "skipped: the service accepts other links but not this one: HTTP";
        assert_eq!(
            (logged(line), logged("2026-11-22T10:02:00.000Z #dev bob http://example.com/2 2")),
            (1, 1)
        );
        assert!(world.status().ends_with("; skipped: 1"), "{}", world.status());
        assert_eq!(
            (world.delivery.deadline(), world.cursor().as_str()),
            (None, "2026-11-22T10:07:00.000Z\n")
        );
    }
}

#[test]
fn a_link_is_skipped_after_three_failures_with_accepted_links_between_them() {
    for (no, first_attempts) in [(later as fn() -> Verdict, 3), (refused_by_status, 1)] {
        let mut world = World::new(1);
        for _ in 0..first_attempts {
            world.step(&mut |_, _| no());
        }
        for new in 2..4 {
            assert!(world.status().ends_with("skipped: 0"), "{}", world.status());
            world.post(new);
            world.step(&mut |name, _| if name == "1" { no() } else { Verdict::Done });
            assert_eq!(world.tried().last(), Some(&new.to_string().as_str()));
            world.step(&mut |_, _| no());
            assert_eq!(world.tried().last(), Some(&"1"));
        }
        assert!(world.status().ends_with("skipped: 1"), "{}", world.status());
    }
}

#[test]
fn any_number_of_poison_links_are_skipped() {
    for no in [later, refused_by_status] {
        LOG.take();
        let (_, stored) = deliver_around(6, &[1, 2, 3, 5], no);
        assert_eq!(stored, ["4", "6", "7", "8"]);
        assert_eq!(logged("skipped"), 4);
    }
}

#[test]
fn a_hundred_poison_links_do_not_block_later_links() {
    let mut world = World::new(105);
    let good = |name: &str| name.parse::<usize>().unwrap() > 101;
    let end = 105 * LONGEST_WAIT;
    world.run(end, |name, _| if good(name) { Verdict::Done } else { refused_by_status() });
    assert_eq!((logged("delivered"), logged("skipped")), (4, 0));
    let status = world.status();
    assert!(status.starts_with("pending: 101 since 2026-11-22T10:01:00.000Z"), "{status}");
}

#[test]
fn a_poison_link_alone_is_never_skipped() {
    for no in [later, refused_by_status] {
        LOG.take();
        let mut world = World::new(1);
        world.run(WEEK, |_, _| no());
        assert_eq!((logged("skipped"), world.cursor().as_bytes()), (0, NEVER));
        assert_eq!(world.waits().into_iter().max(), Some(900));
    }
}

#[test]
fn a_long_rate_limit_skips_no_link() {
    let (world, _) = deliver_around(3, &[1], || too_fast(0));
    assert_eq!((logged("skipped"), logged("delivered")), (0, 5));
    assert!(
        world.status().starts_with("pending: 1 since 2026-11-22T10:01:00.000Z"),
        "{}",
        world.status()
    );
}

#[test]
fn the_cursor_waits_for_a_link_that_others_have_overtaken() {
    let mut world = World::new(3);
    world.step(&mut |_, _| refused_by_status());
    world.step(&mut |_, _| Verdict::Done);
    assert_eq!((world.tried(), world.cursor().as_bytes()), (vec!["1", "2"], NEVER));
    world.step(&mut |_, _| later());
    world.step(&mut |_, _| Verdict::Done);
    world.step(&mut |_, _| Verdict::Done);
    assert_eq!(world.tried(), ["1", "2", "3", "3", "1"]);
    assert_eq!(world.cursor(), "2026-11-22T10:03:00.000Z\n");
    assert_eq!(world.delivery.deadline(), None);
}

#[test]
fn after_a_crash_links_done_past_the_cursor_are_sent_again() {
    let mut world = World::new(2);
    world.step(&mut |_, _| refused_by_status());
    world.step(&mut |_, _| Verdict::Done);
    world.restart();
    world.run(HOUR, |_, _| Verdict::AlreadyThere);
    assert_eq!(world.tried(), ["1", "2", "1", "2"]);
}

#[test]
fn a_new_link_goes_before_those_that_have_failed() {
    let mut world = World::new(2);
    world.run(HOUR, |_, _| refused_by_status());
    world.post(3);
    world.step(&mut |_, _| Verdict::Done);
    assert_eq!(world.tried().last(), Some(&"3"));
}

#[test]
fn links_to_one_address_keep_their_order() {
    let mut world = World::new(1);
    let twice = Link { title: "again".into(), ..link(1) };
    world.journal.append(Action::Add, &twice, START + HOUR).unwrap();
    world.post(2);
    world.run(HOUR, |name, _| if name == "2" { Verdict::Done } else { refused_by_status() });
    assert!(!world.tried().contains(&"again"), "{:?}", world.tried());
}

#[test]
fn any_number_of_links_refused_with_a_result_are_skipped() {
    let mut world = World::new(5);
    world.run(HOUR, |_, _| refused());
    assert_eq!(world.tried(), ["1", "2", "3", "4", "5"]);
    assert_eq!(world.cursor(), "2026-11-22T10:05:00.000Z\n");
}

#[test]
fn a_captive_portal_that_refuses_everything_loses_nothing_and_is_not_hammered() {
    let mut world = World::new(5);
    let portal = |_: &str, now| if now < HOUR { refused_by_status() } else { Verdict::Done };
    world.step(&mut |_, _| Verdict::Done);
    world.run(2 * HOUR, portal);
    assert_eq!(world.tried()[..9], ["1", "2", "3", "4", "5", "2", "3", "4", "5"]);
    assert_eq!(world.waits()[..8], [3, 3, 6, 12, 24, 48, 96, 192]);
    assert!(world.waits().contains(&900), "{:?}", world.waits());
    assert_eq!(
        (
            logged(
                "delivery stopped: http://example.com/2: HTTP 400; 4 pending, none lost; next try in 3 s"
            ),
            logged("resumed; pending: 4")
        ),
        (1, 1)
    );
    assert_eq!((logged("delivered"), logged("skipped")), (5, 0));
}

#[test]
fn a_refusal_with_a_result_resumes_delivery() {
    let mut world = World::new(2);
    world.run(HOUR, |name, now| match name {
        _ if now < HOUR / 4 => refused_by_status(),
        "1" => refused(),
        _ => Verdict::Done,
    });
    assert_eq!((logged("delivery resumed"), logged("skipped"), logged("delivered")), (1, 1, 1));
}

#[test]
fn after_an_error_only_the_operator_can_fix_requests_are_15_min_apart_and_it_is_logged_once() {
    let mut world = World::new(3);
    let wrong = |_: &str, _| failure("HTTP 401: check delicious_token", Cause::Misconfigured, 0);
    world.run(HOUR, wrong);
    assert_eq!(world.tried(), ["1", "2", "3", "1"]);
    assert_eq!(world.waits(), [900; 3]);
    assert_eq!(
        logged(
            "delivery stopped: http://example.com/1: HTTP 401: check delicious_token; 3 pending, none lost; next try in 15 min"
        ),
        1
    );
    // A new link does not shorten the wait.
    world.post(4);
    assert_eq!(world.delivery.deadline(), Some(world.boot + world.now + LONGEST_WAIT));
    world.restart();
    world.run(world.now + HOUR, wrong);
    assert_eq!(logged("delivery stopped"), 2);
    world.run(world.now + HOUR, |_, _| Verdict::Done);
    assert_eq!((logged("delivery stopped"), logged("delivery resumed; pending: 4")), (2, 1));
}

#[test]
fn a_failure_after_an_error_only_the_operator_can_fix_has_the_same_wait() {
    let mut world = World::new(1);
    let mut count = 0;
    world.run(5 * HOUR, |_, _| {
        count += 1;
        if count % 2 == 0 { later() } else { misconfigured() }
    });
    assert!(world.waits().iter().all(|wait| *wait == 900));
}

#[test]
fn the_status_shows_what_is_pending_since_when_and_what_comes_next() {
    let mut world = World::new(3);
    assert_eq!(
        world.status(),
        "pending: 3 since 2026-11-22T10:01:00.000Z; next try in 0 s; skipped: 0"
    );
    world.run(HOUR, |_, now| if now < HOUR / 8 { later() } else { refused() });
    assert_eq!(
        world.status(),
        "pending: 0; last error: HTTP 400 (2026-11-22T11:13:02.000Z); skipped: 3"
    );
    let mut world = World::new(3);
    world.step(&mut |_, _| Verdict::Done);
    world.step(&mut |_, _| failure("HTTP 401", Cause::Misconfigured, 0));
    let expected = "pending: 2 since 2026-11-22T10:02:00.000Z; next try in 15 min; last error: HTTP 401 (2026-11-22T11:00:05.000Z); skipped: 0";
    assert_eq!(world.status(), expected);
}

// ---- New titles and removals

#[test]
fn a_new_title_and_a_removal_are_sent_after_their_link() {
    let mut world = World::new(2);
    assert_eq!(world.deliver(), ["1", "2"]);
    world.title(1, "one");
    world.remove(2);
    assert!(world.status().starts_with("pending: 2 since"), "{}", world.status());
    assert_eq!(world.deliver(), ["1: one", "-2"]);
    assert_eq!(
        (logged("title changed: http://example.com/1"), logged("deleted: http://example.com/2")),
        (1, 1)
    );
    world.write(Action::Repost, Link { nick: "carol".into(), ..link(1) });
    assert_eq!(world.deliver(), [""; 0]);
}

#[test]
fn a_new_title_is_sent_with_its_links_channel_and_nick() {
    let mut world = World::new(1);
    world.write(Action::Add, Link { channel: "#ops".into(), nick: "dave".into(), ..link(1) });
    world.deliver();
    world.write(Action::Title, Link { title: "one".into(), nick: "carol".into(), ..link(1) });
    let (_, sent) = world.delivery.next(&world.journal, world.boot + world.now + INTERVAL).unwrap();
    assert_eq!(sent, Link { title: "one".into(), ..link(1) });
}

#[test]
fn only_the_last_of_several_titles_is_sent_and_none_of_a_removed_link() {
    let mut world = World::new(2);
    world.deliver();
    world.title(1, "uno");
    world.title(2, "due");
    world.title(1, "one");
    world.remove(2);
    assert_eq!(world.deliver(), ["1: one", "-2"]);
}

#[test]
fn a_link_whose_title_changed_before_it_was_sent_is_never_sent_with_the_old_one() {
    let mut world = World::new(2);
    world.title(1, "uno");
    world.title(1, "one");
    assert_eq!(world.deliver(), ["one", "2", "1: one"]);
}

#[test]
fn a_link_that_was_already_there_gets_its_new_title_afterwards() {
    let mut world = World::new(3);
    world.title(1, "one");
    world.step(&mut |_, _| Verdict::AlreadyThere);
    assert_eq!(world.cursor(), "2026-11-22T10:01:00.000Z\n");
    assert_eq!(world.deliver(), ["2", "3", "1: one"]);
}

#[test]
fn a_link_removed_before_it_was_sent_is_never_sent() {
    let mut world = World::new(1);
    world.deliver();
    world.post(2);
    world.title(2, "two");
    world.remove(2);
    assert!(world.status().starts_with("pending: 0; skipped"), "{}", world.status());
    assert_eq!(logged("gone from the journal"), 0);
    assert_eq!(world.deliver(), [""; 0]);
}

#[test]
fn a_removed_link_that_may_be_stored_is_deleted() {
    // Perhaps by an earlier run.
    let mut world = World::new(1);
    world.remove(1);
    assert_eq!(world.deliver(), ["-1"]);
    // Perhaps by a request with an unclear response.
    world.post(2);
    world.step(&mut |_, _| later());
    world.remove(2);
    assert_eq!(world.deliver(), ["-2"]);
}

#[test]
fn no_title_change_is_sent_for_a_pending_link() {
    let mut world = World::new(2);
    world.step(&mut |_, _| refused_by_status());
    world.title(1, "one");
    world.run(HOUR, |name, _| if name == "one" { refused_by_status() } else { Verdict::Done });
    assert!(
        world.tried().iter().all(|name| ["1", "2", "one"].contains(name)),
        "{:?}",
        world.tried()
    );
}

#[test]
fn a_link_that_another_channel_has_is_not_deleted() {
    let mut world = World::new(1);
    let elsewhere = Link { channel: "#ops".into(), title: "ops".into(), ..link(1) };
    world.write(Action::Add, elsewhere.clone());
    world.deliver();
    world.remove(1);
    assert_eq!(world.deliver(), ["1: ops"], "the account shows the remaining link");
    world.write(Action::Remove, elsewhere);
    assert_eq!(world.deliver(), ["-1"]);
}

#[test]
fn a_link_removed_and_posted_again_is_deleted_and_added() {
    let mut world = World::new(1);
    world.deliver();
    world.remove(1);
    world.write(Action::Add, Link { title: "again".into(), ..link(1) });
    // If the delete fails, the add must wait for it.
    let mut countdown = 12;
    world.run(WEEK, |name, _| {
        countdown -= 1;
        if countdown > 0 && name == "-1" { later() } else { Verdict::Done }
    });
    assert_eq!(world.tried()[world.attempts.len() - 2..], ["-1", "again"]);
    assert!(!world.tried()[..world.attempts.len() - 2].contains(&"again"));
}

// ---- Bookmarks that are not ours

impl World {
    /// The `foreign` events in the journal.
    fn foreign(&self) -> Vec<String> {
        let text = fs::read_to_string(self.dir.path().join("links.tsv")).unwrap();
        let lines = text.lines().filter(|line| line.contains("\tforeign\t"));
        lines.map(|line| line.split_once('\t').unwrap().1.to_owned()).collect()
    }
}

const LEFT_ALONE: &str = "left alone: http://example.com/1: it was in the account before linkbot";

#[test]
fn a_bookmark_that_was_there_before_is_never_changed_or_deleted_even_after_a_restart() {
    let refused_or_there = || Verdict::RefusedOrThere("something went wrong".into());
    for there in [|| Verdict::AlreadyThere, refused_or_there, refused] {
        for restarts in [false, true] {
            LOG.take();
            let mut world = World::new(0);
            world.post(1);
            world.step(&mut |_, _| there());
            assert_eq!(world.foreign(), ["foreign\t#dev\tbob\t\thttp://example.com/1\t"]);
            if restarts {
                world.restart();
            }
            world.title(1, "one");
            assert_eq!(world.deliver(), [""; 0]);
            assert_eq!(logged(LEFT_ALONE), 1);
            world.remove(1);
            assert_eq!(world.deliver(), [""; 0]);
            assert_eq!(logged(LEFT_ALONE), 2);
            assert!(world.status().starts_with("pending: 0;"), "{}", world.status());
            // The owner has deleted it, and someone posts the link again: the new bookmark is ours.
            world.post(1);
            world.remove(2);
            assert_eq!(world.deliver(), ["1", "-2"]);
            world.remove(1);
            assert_eq!(world.deliver(), ["-1"]);
        }
    }
}

#[test]
fn changes_pending_when_a_bookmark_turns_out_foreign_are_not_sent() {
    let mut world = World::new(0);
    world.post(1);
    world.step(&mut |_, _| too_fast(0));
    world.title(1, "one");
    world.remove(1);
    // The only request before the removal certainly did not store the link.
    world.run(HOUR, |_, _| Verdict::Done);
    assert_eq!(world.tried(), ["1"]);
    assert!(world.status().starts_with("pending: 0;"), "{}", world.status());
    world.post(2);
    world.title(2, "two");
    world.step(&mut |_, _| Verdict::AlreadyThere);
    world.remove(2);
    assert_eq!(world.deliver(), [""; 0]);
}

#[test]
fn a_link_that_was_never_stored_does_not_make_a_bookmark_ours() {
    let mut world = World::new(0);
    let elsewhere = Link { channel: "#ops".into(), title: "ops".into(), ..link(1) };
    world.post(1);
    world.write(Action::Add, elsewhere.clone());
    world.remove(1);
    world.write(Action::Title, Link { title: "one".into(), ..elsewhere.clone() });
    world.run(HOUR, |_, _| Verdict::AlreadyThere);
    world.write(Action::Remove, elsewhere);
    assert_eq!(world.deliver(), [""; 0]);
    assert_eq!(world.tried(), ["one"]);
    assert_eq!(world.foreign(), ["foreign\t#ops\tbob\t\thttp://example.com/1\t"]);
}

#[test]
fn a_link_that_was_never_stored_does_not_replace_a_removed_one() {
    let mut world = World::new(0);
    world.post(1);
    // After a restart the link may have been stored.
    world.restart();
    let elsewhere = Link { channel: "#ops".into(), title: "ops".into(), ..link(1) };
    world.write(Action::Add, elsewhere.clone());
    world.remove(1);
    world.write(Action::Remove, elsewhere);
    assert_eq!(world.deliver(), ["-1"]);
}

#[test]
fn a_removed_link_that_may_be_stored_is_replaced_by_the_remaining_one() {
    let mut world = World::new(0);
    let elsewhere = Link { channel: "#ops".into(), title: "ops".into(), ..link(1) };
    world.post(1);
    world.write(Action::Add, elsewhere);
    world.step(&mut |_, _| later());
    world.remove(1);
    world.step(&mut |_, _| Verdict::AlreadyThere);
    assert_eq!(world.deliver(), ["1: ops"]);
    assert_eq!(world.foreign(), [""; 0]);
}

#[test]
fn after_an_edit_a_bookmark_is_ours_only_if_this_run_may_have_stored_it() {
    let mut world = World::new(0);
    (1..=4).for_each(|i| world.post(i));
    // The first lets others go first, the second is done past the cursor, the third is unclear.
    for _ in 0..3 {
        world.step(&mut |_, _| too_fast(0));
    }
    world.step(&mut |_, _| Verdict::Done);
    world.step(&mut |_, _| later());
    assert_eq!(world.tried(), ["1", "1", "1", "2", "3"]);
    let path = world.dir.path().join("links.tsv");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\tbob\t", "\tbobby\t")).unwrap();
    assert!(world.journal.check(world.delivery.position()));
    world.delivery.refresh(&world.journal, world.boot + world.now);
    world.run(HOUR, |_, _| Verdict::AlreadyThere);
    let foreign = |i| world.foreign().iter().any(|line| line.contains(&link(i).url));
    assert_eq!([1, 2, 3, 4].map(foreign), [true, false, false, true]);
    (1..=4).for_each(|i| world.remove(i));
    assert_eq!(world.deliver(), ["-2", "-3"]);
}

#[test]
fn what_an_earlier_run_may_have_sent_stays_ours_even_below_later_times() {
    // An import: two lines older than the cursor's line, in rising, equal or falling order.
    let older = |i, minutes| Link { posted: START - time::Duration::minutes(minutes), ..link(i) };
    for minutes in [[2, 1], [2, 2], [1, 2]] {
        let mut world = World::new(1);
        let path = world.dir.path().join("links.tsv");
        let mut text = fs::read_to_string(&path).unwrap();
        for (i, minutes) in [(2, minutes[0]), (3, minutes[1])] {
            let Link { posted, url, title, .. } = older(i, minutes);
            text += &format!("{}\tadd\t#dev\tbob\t\t{url}\t{title}\n", format_time(posted));
        }
        fs::write(&path, text).unwrap();
        world.journal.check(world.delivery.position());
        world.restart();
        assert_eq!(world.deliver_unordered(), ["1", "2", "3"]);
        world.restart();
        world.run(HOUR + world.now, |_, _| Verdict::AlreadyThere);
        assert_eq!(world.foreign(), [""; 0], "{minutes:?}");
        world.write(Action::Remove, older(2, -5));
        world.write(Action::Title, Link { title: "New".into(), ..older(3, -6) });
        assert_eq!(world.deliver_unordered(), ["-2", "3: New"], "{minutes:?}");
    }
}

#[test]
fn a_link_that_is_always_rate_limited_blocks_no_other() {
    for seconds in [0, 20, 3600] {
        let mut world = World::new(60);
        let respond = |name: &str, _| if name == "1" { too_fast(seconds) } else { Verdict::Done };
        while !world.tried().contains(&"60") {
            world.step(&mut |name, now| respond(name, now));
        }
        assert!(world.attempts.len() <= 63, "{:?}", world.tried());
    }
}

#[test]
fn a_foreign_bookmark_becomes_ours_once_we_store_it_even_while_a_link_is_stuck() {
    let mut world = World::new(2);
    world.restart();
    world.deliver();
    (3..=4).for_each(|i| world.post(i));
    // The third is never accepted, and the fourth is already there.
    let mut others = Verdict::AlreadyThere;
    for act in 0..4 {
        match act {
            0 => {}
            1 | 3 => world.remove(4),
            // The owner has deleted the bookmark by hand.
            _ => world.write(Action::Add, Link { title: "4 again".into(), ..link(4) }),
        }
        let others = std::mem::replace(&mut others, Verdict::Done);
        let verdicts = &mut [others, Verdict::Done, Verdict::Done, Verdict::Done].into_iter();
        for _ in 0..8 {
            world.step(&mut |name, _| match name {
                "3" => too_fast(0),
                _ => verdicts.next().unwrap(),
            });
        }
        let is_deleted = world.tried().contains(&"-4");
        assert_eq!(is_deleted, act == 3, "{act}: {:?}", world.tried());
    }
}

#[test]
fn after_an_edit_a_link_that_was_never_sent_is_not_deleted() {
    let mut world = World::new(0);
    world.post(1);
    for _ in 0..3 {
        world.step(&mut |_, _| too_fast(0));
    }
    // The first link lets others go first. The second needs no request.
    world.post(2);
    world.remove(2);
    world.step(&mut |_, _| too_fast(0));
    let path = world.dir.path().join("links.tsv");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\tbob\t", "\tbobby\t")).unwrap();
    assert!(world.journal.check(world.delivery.position()));
    world.delivery.refresh(&world.journal, world.boot + world.now);
    assert_eq!(world.deliver(), ["1"]);
}

#[test]
fn lines_with_the_same_time_are_all_delivered() {
    let mut world = World::new(1);
    world.deliver();
    let path = world.dir.path().join("links.tsv");
    let mut text = fs::read_to_string(&path).unwrap();
    for i in 2..=4 {
        let time = format_time(link(9).posted);
        text += &format!("{time}\tadd\t#dev\tbob\t\t{}\t{i}\n", link(i).url);
    }
    fs::write(&path, text).unwrap();
    assert!(world.journal.check(world.delivery.position()));
    world.delivery.refresh(&world.journal, world.boot + world.now);
    assert_eq!(world.deliver(), ["2", "3", "4"]);
    assert!(world.status().starts_with("pending: 0;"), "{}", world.status());
}

#[test]
fn a_restart_loses_nothing_of_an_unordered_import_with_few_different_times() {
    let mut world = World::new(0);
    for i in 1..=900 {
        world.append_by_hand(START + time::Duration::days(i as i64 * 7 % 3), &link(i));
    }
    world.check();
    for _ in 0..2 {
        for _ in 0..20 {
            world.step(&mut |_, _| Verdict::Done);
        }
        world.start_again();
    }
    world.run(WEEK, |_, _| Verdict::Done);
    let tried: HashSet<&str> = world.tried().into_iter().collect();
    assert_eq!(tried.len(), 900);
}

#[test]
fn a_bookmark_is_foreign_even_if_an_imported_line_with_an_old_time_asks_for_it() {
    let mut world = World::new(2);
    world.deliver();
    world.append_by_hand(link(1).posted, &link(3));
    world.check();
    world.step(&mut |_, _| Verdict::AlreadyThere);
    world.remove(3);
    assert_eq!(world.deliver(), [""; 0]);
    assert_eq!(world.foreign().len(), 1);
}

#[test]
fn a_removed_link_is_not_logged_as_gone() {
    let mut world = World::new(0);
    world.post(1);
    world.post(2);
    world.remove(2);
    assert_eq!(logged("gone from the journal"), 0);
}

#[test]
fn what_our_own_request_may_have_stored_is_ours() {
    // After an unclear response.
    let mut world = World::new(0);
    world.post(1);
    world.step(&mut |_, _| later());
    world.step(&mut |_, _| Verdict::AlreadyThere);
    // After a restart, which may repeat requests.
    world.post(2);
    world.restart();
    world.run(HOUR, |_, _| Verdict::AlreadyThere);
    // After another channel's link has stored it.
    let elsewhere = Link { channel: "#ops".into(), title: "ops".into(), ..link(2) };
    world.write(Action::Add, elsewhere);
    world.step(&mut |_, _| Verdict::AlreadyThere);
    // Without a cursor.
    fs::remove_file(world.cursor_path()).unwrap();
    world.restart();
    world.run(world.now + HOUR, |_, _| Verdict::AlreadyThere);
    assert_eq!(world.foreign(), [""; 0]);
    world.remove(1);
    world.remove(2);
    assert_eq!(world.deliver(), ["-1", "2: ops"]);
}

/// The account already has the next link, and the journal cannot record that, because it was moved.
fn fail_to_disown(world: &mut World) {
    fs::rename(world.path(), world.path().with_extension("moved")).unwrap();
    world.step(&mut |_, _| Verdict::AlreadyThere);
    assert_eq!(logged("delivery paused"), 1);
}

#[test]
fn if_the_journal_cannot_be_written_the_link_waits() {
    let mut world = World::new(0);
    world.post(1);
    fail_to_disown(&mut world);
    assert_eq!(
        (logged("the journal cannot be read or written"), world.cursor().as_bytes()),
        (1, NEVER)
    );
    fs::rename(world.path().with_extension("moved"), world.path()).unwrap();
    world.journal.check(u64::MAX);
    world.step(&mut |_, _| Verdict::AlreadyThere);
    assert_eq!(world.foreign().len(), 1);
}

#[test]
fn a_bookmark_stays_ours_if_the_journal_cannot_be_read_at_start() {
    let World { dir, journal, boot, .. } = World::new(1);
    drop(journal);
    let path = dir.path().join("links.tsv");
    let mut journal = open(&path);
    let text = fs::read(&path).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    file.set_len(0).unwrap();
    let delivery = Delivery::new(dir.path().join("cursor"), INTERVAL, &mut journal, boot);
    assert_eq!(logged("delivery paused"), 1);
    fs::write(&path, &text).unwrap();
    file.set_modified(modified).unwrap();
    assert!(!journal.check(u64::MAX));
    let (now, attempts) = (Duration::ZERO, Vec::new());
    let mut world = World { dir, journal, delivery, boot, now, attempts };
    world.run(HOUR, |_, _| Verdict::AlreadyThere);
    assert_eq!((world.tried(), world.foreign()), (vec!["1"], vec![]));
}

#[test]
fn a_line_appended_just_before_a_commit_is_delivered_whole() {
    let mut world = World::new(0);
    world.check();
    let title = "A much longer title than that of the other link, as people write them";
    world.append_by_hand(link(1).posted, &Link { title: title.into(), ..link(1) });
    world.post(2);
    world.step(&mut |_, _| Verdict::Done);
    world.check();
    world.run(WEEK, |_, _| Verdict::Done);
    assert_eq!(world.tried(), [title, "2"]);
}

#[test]
fn a_line_appended_during_a_request_survives_a_failed_commit() {
    let mut world = World::new(1);
    world.deliver();
    world.post(2);
    world.append_by_hand(link(3).posted, &link(3));
    fail_to_disown(&mut world);
    world.check();
    world.run(WEEK, |_, _| Verdict::Done);
    assert_eq!(world.tried(), ["1", "2", "2", "3"]);
}

#[test]
fn a_pause_long_after_a_rotation_repeats_no_request() {
    let mut world = World::new(1);
    world.deliver();
    world.move_away(false);
    world.post(2);
    world.deliver();
    world.post(3);
    fail_to_disown(&mut world);
    fs::rename(world.path().with_extension("moved"), world.path()).unwrap();
    world.check();
    world.run(WEEK, |_, _| Verdict::AlreadyThere);
    assert_eq!(world.tried(), ["1", "2", "3", "3"]);
    assert_eq!(world.foreign().len(), 1);
}

#[test]
fn a_bookmark_is_not_ours_even_if_the_journal_was_moved_during_the_request() {
    let mut world = World::new(3);
    world.deliver();
    world.post(4);
    fail_to_disown(&mut world);
    world.check();
    world.run(WEEK, |_, _| Verdict::AlreadyThere);
    assert_eq!(world.tried(), ["1", "2", "3", "4", "4"]);
    assert_eq!(world.foreign().len(), 1);
}

proptest! {
    // Every case writes files.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases / 4,
        failure_persistence: None,
        ..Default::default()
    })]
    #[test]
    fn whatever_the_service_says_every_link_is_accepted_or_logged_as_skipped(
        links in 1..25usize,
        failures in proptest::collection::vec((0..8u8, 1..12usize), 0..30),
        crashes in proptest::collection::vec(any::<proptest::sample::Index>(), 0..4),
    ) {
        LOG.take();
        let failures: Vec<u8> = failures.into_iter().flat_map(|(kind, length)| vec![kind; length]).collect();
        let crashes: Vec<usize> = crashes.iter().map(|at| at.index(failures.len() + 1)).collect();
        let mut world = World::new(links);
        let mut stored: HashSet<String> = HashSet::new();
        for step in 0.. {
            if crashes.contains(&step) {
                world.restart();
            }
            let before = world.now;
            // After the random failures, the service accepts everything.
            let is_pending = world.step(&mut |name, _| {
                let verdict = match failures.get(step) {
                    Some(0..=2) => later(),
                    Some(3) => too_fast(3600),
                    Some(4) => refused_by_status(),
                    Some(5) => refused(),
                    Some(6) => misconfigured(),
                    _ => Verdict::Done,
                };
                if verdict == Verdict::Done {
                    stored.insert(name.into());
                }
                verdict
            });
            if !is_pending {
                break;
            }
            prop_assert!(world.now - before <= HOUR + Duration::from_secs(1), "a wait of more than an hour");
            prop_assert!(step < failures.len() + 3 * links + 100, "it never ends");
        }
        for i in 1..=links {
            let named = logged(&format!(": {} #dev bob ", format_time(link(i).posted))) > 0;
            prop_assert!(stored.contains(&i.to_string()) || named, "link {} is lost: {:?}", i, world.attempts);
        }
        prop_assert_eq!(world.cursor(), format_time(link(links).posted) + "\n");
    }

    #[test]
    fn in_the_end_the_service_has_the_links_in_the_journal(
        acts in proptest::collection::vec((0..9u8, 1..4usize, 0..4usize), 1..25),
        states in proptest::collection::vec(0..6u8, 0..40),
    ) {
        LOG.take();
        let mut world = World::new(0);
        let mut bookmarks: BTreeMap<String, String> = BTreeMap::new();
        let mut states = states.into_iter();
        let mut service = |request: &Request| serve(&mut bookmarks, request, states.next().unwrap_or(0));
        for (act, i, who) in acts {
            match act {
                0..=3 => world.act(act, i, who),
                4 => world.restart(),
                _ => drop(world.serve(&mut service)),
            }
        }
        for step in 0.. {
            if !world.serve(&mut service) {
                break;
            }
            prop_assert!(step < 200, "it never ends");
        }
        world.assert_has_links(&bookmarks, &[])?;
    }

    /// Holds for any times of appended lines, and whatever happens to the file and to linkbot.
    #[test]
    fn every_line_that_is_appended_is_delivered(
        acts in proptest::collection::vec((0..12u8, 0..8usize), 1..40),
        states in proptest::collection::vec(0..6u8, 0..40),
    ) {
        LOG.take();
        let mut world = World::new(0);
        let mut bookmarks: BTreeMap<String, String> = BTreeMap::new();
        let mut states = states.into_iter();
        let mut service = |request: &Request| serve(&mut bookmarks, request, states.next().unwrap_or(0));
        let mut last = 0;
        for (act, n) in acts {
            let is_posted = act < 3;
            match act {
                // The clock jumps by minutes.
                0..=2 => {
                    last += 1;
                    let link = Link { posted: link(n).posted, ..link(last) };
                    world.check();
                    world.write(Action::Add, link);
                }
                3 | 4 => {
                    let times = world.journal.events(VIEW_WINDOW).map(|event| event.unwrap().time);
                    let now = OffsetDateTime::now_utc();
                    let times: Vec<_> = times
                        .chain([START, link(n).posted, now + time::Duration::days(2 + n as i64 % 2)])
                        .collect();
                    for i in 0..1 + n / 4 {
                        last += 1;
                        world.append_by_hand(times[(n + i) % times.len()], &link(last));
                    }
                }
                5 => world.edit(|text| text.replace("\tbob\t", "\tbobby\t")),
                6 => world.replace(n % 2 == 0),
                7 => world.move_away(n % 2 == 0),
                8 => {
                    // Killed after the response, before the cursor is written.
                    if let Some(deadline) = world.delivery.deadline()
                        && let Some(request) = world.delivery.next(&world.journal, deadline)
                    {
                        service(&request);
                    }
                    world.start_again();
                }
                9 => world.start_again(),
                _ => drop(world.serve(&mut service)),
            }
            if !is_posted && n % 3 > 0 {
                world.check();
            }
        }
        world.check();
        for step in 0.. {
            if !world.serve(&mut service) {
                break;
            }
            prop_assert!(step < 2000, "it never ends");
        }
        for i in 1..=last {
            let url = link(i).url;
            let is_logged = LOG.with_borrow(|log| log.iter().any(|line| line.contains("skipped: ") && line.contains(&url)));
            prop_assert!(bookmarks.contains_key(&url) || is_logged, "{} is lost: {:?}", url, world.attempts);
        }
        prop_assert!(world.status().starts_with("pending: 0;"), "{}", world.status());
    }

    /// Every request before a restart gets a response, so it is known who owns each bookmark.
    #[test]
    fn a_bookmark_from_before_linkbot_is_never_lost(
        acts in proptest::collection::vec((0..9u8, 1..4usize, 0..4usize), 1..25),
        states in proptest::collection::vec(prop_oneof![3 => Just(0u8), 1 => Just(5u8)], 0..40),
    ) {
        LOG.take();
        let mut world = World::new(0);
        let owners = link(1).url;
        let mut bookmarks = BTreeMap::from([(owners.clone(), "the owner's".to_owned())]);
        let mut states = states.into_iter();
        let mut service = |request: &Request| serve(&mut bookmarks, request, states.next().unwrap_or(0));
        for (act, i, who) in acts {
            match act {
                0..=3 => world.act(act, i, who),
                4 => {
                    while world.serve(&mut service) {}
                    world.restart();
                }
                _ => drop(world.serve(&mut service)),
            }
        }
        while world.serve(&mut service) {}
        prop_assert_eq!(&bookmarks[&owners], "the owner's", "{:?}", world.tried());
        world.assert_has_links(&bookmarks, &[owners])?;
    }
}

impl World {
    fn path(&self) -> PathBuf {
        self.dir.path().join("links.tsv")
    }

    /// Checks the journal as before each batch.
    fn check(&mut self) {
        if self.journal.check(self.delivery.position()) {
            self.delivery.refresh(&self.journal, self.boot + self.now);
        }
    }

    /// Reopens the journal and restarts.
    fn start_again(&mut self) {
        self.journal = open(&self.dir.path().join("aside"));
        self.journal = open(&self.path());
        self.restart();
    }

    fn append_by_hand(&self, time: OffsetDateTime, link: &Link) {
        let Link { channel, nick, url, title, .. } = link;
        let line = format!("{}\tadd\t{channel}\t{nick}\t\t{url}\t{title}\n", format_time(time));
        fs::File::options()
            .append(true)
            .open(self.path())
            .unwrap()
            .write_all(line.as_bytes())
            .unwrap();
    }

    fn edit(&self, change: impl Fn(&str) -> String) {
        fs::write(self.path(), change(&fs::read_to_string(self.path()).unwrap())).unwrap();
    }

    /// Replaces the file like an editor. The new file may lack a line that was written meanwhile.
    fn replace(&mut self, has_all: bool) {
        self.check();
        let text = fs::read_to_string(self.path()).unwrap();
        let newest = text.lines().last().unwrap_or_default().get(..24).unwrap_or("-");
        // Keep the cursor's line: without it, delivery could not know that an older line below
        // is new.
        let is_cursor = self.cursor().starts_with(newest);
        let lacks_newest = !has_all && !is_cursor && text.matches(newest).count() == 1;
        let keep = text.lines().count() - usize::from(lacks_newest);
        let text: String = text.split_inclusive('\n').take(keep).collect();
        fs::write(self.path().with_extension("new"), text).unwrap();
        fs::rename(self.path().with_extension("new"), self.path()).unwrap();
        self.check();
    }

    fn move_away(&mut self, leaves_a_file: bool) {
        fs::rename(self.path(), self.path().with_extension("1")).unwrap();
        if leaves_a_file {
            fs::write(self.path(), "").unwrap();
        }
        self.check();
    }

    /// What people do with a link in one of two channels. Like linkbot, writes no second `add` of a
    /// current link.
    fn act(&mut self, act: u8, i: usize, who: usize) {
        let channel = ["#dev", "#ops"][who / 2].to_owned();
        let mut links =
            self.journal.links(VIEW_WINDOW, "", |_| true).map(|entry| entry.unwrap().link);
        let is_current = links.any(|known| known.url == link(i).url && known.channel == channel);
        let title =
            format!("title {}", self.attempts.len() + self.journal.events(VIEW_WINDOW).count());
        let link = Link { channel, nick: ["bob", "carol"][who % 2].into(), title, ..link(i) };
        drop(links);
        match act {
            0..=2 if !is_current => self.write(Action::Add, link),
            0 => self.write(Action::Repost, link),
            1 => self.write(Action::Title, link),
            2 => self.write(Action::Remove, link),
            _ => {}
        }
    }

    /// Asserts that the service has the addresses of all current links and no others, each with the
    /// title of one of its links. Ignores the addresses in `others`.
    fn assert_has_links(
        &self,
        bookmarks: &BTreeMap<String, String>,
        others: &[String],
    ) -> Result<(), TestCaseError> {
        // A change that failed three times while others were accepted was skipped and logged.
        let is_checked = |url: &String| {
            let is_logged = |line: &String| line.contains("skipped: ") && line.contains(url);
            !others.contains(url) && !LOG.with_borrow(|log| log.iter().any(is_logged))
        };
        let current =
            self.journal.links(VIEW_WINDOW, "", |_| true).map(|entry| entry.unwrap().link);
        let current: HashSet<_> = current.map(|link| (link.url, link.title)).collect();
        for (url, title) in bookmarks.iter().filter(|(url, _)| is_checked(url)) {
            prop_assert!(current.contains(&(url.clone(), title.clone())), "{} {}", url, title);
        }
        for (url, _) in current.iter().filter(|(url, _)| is_checked(url)) {
            prop_assert!(bookmarks.contains_key(url), "{}", url);
        }
        Ok(())
    }
}

/// A service in one of six states: 0 to 2 work, 3 stores the link but fails, 4 and 5 fail.
fn serve(bookmarks: &mut BTreeMap<String, String>, (change, link): &Request, state: u8) -> Verdict {
    let Link { url, title, .. } = link.clone();
    let cause = if state == 5 { Cause::Busy } else { Cause::Unclear };
    let failed = failure(&format!("state {state}"), cause, 0);
    if state > 3 {
        return failed;
    }
    let is_known = bookmarks.contains_key(&url);
    match change {
        Change::Add if is_known => {}
        Change::Add | Change::Replace => drop(bookmarks.insert(url, title)),
        Change::Delete => drop(bookmarks.remove(&url)),
    }
    match change {
        _ if state == 3 => failed,
        Change::Add if is_known => Verdict::AlreadyThere,
        _ => Verdict::Done,
    }
}
