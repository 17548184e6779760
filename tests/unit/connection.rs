use super::*;

const MINUTE: Duration = Duration::from_secs(60);
/// The number that adds no jitter.
const EVEN: u64 = 250;

fn soon(backoff: &mut Backoff, registered: Duration) -> u64 {
    backoff.wait(Retry::Soon, registered, EVEN).as_secs()
}

#[test]
fn the_wait_begins_at_20_s_and_doubles_to_10_min() {
    let mut backoff = Backoff::new(Duration::from_secs(20));
    let waits: Vec<u64> = (0..8).map(|_| soon(&mut backoff, Duration::ZERO)).collect();
    assert_eq!(waits, [20, 40, 80, 160, 320, 600, 600, 600]);
}

#[test]
fn the_wait_is_short_again_only_after_5_min_registered() {
    let mut backoff = Backoff::new(Duration::from_secs(20));
    let first: Vec<u64> = (0..3).map(|_| soon(&mut backoff, Duration::ZERO)).collect();
    assert_eq!(first, [20, 40, 80]);
    assert_eq!(soon(&mut backoff, 5 * MINUTE - Duration::from_millis(1)), 160);
    assert_eq!(soon(&mut backoff, 5 * MINUTE), 20);
    assert_eq!(soon(&mut backoff, Duration::ZERO), 40);
}

#[test]
fn the_jitter_is_a_quarter_both_ways() {
    let wait = |random| Backoff::new(Duration::from_secs(20)).wait(Retry::Soon, Duration::ZERO, random);
    let waits: Vec<Duration> = (0..2000).chain([u64::MAX]).map(wait).collect();
    assert_eq!(waits.iter().min(), Some(&Duration::from_secs(15)));
    assert_eq!(waits.iter().max(), Some(&Duration::from_secs(25)));
}

#[test]
fn a_first_wait_longer_than_10_min_does_not_shrink() {
    let mut backoff = Backoff::new(30 * MINUTE);
    assert_eq!([soon(&mut backoff, Duration::ZERO), soon(&mut backoff, Duration::ZERO)], [1800, 1800]);
}

#[test]
fn a_failed_login_or_certificate_waits_15_min_and_a_ban_30() {
    let mut backoff = Backoff::new(Duration::from_secs(20));
    assert_eq!(backoff.wait(Retry::Slow, Duration::ZERO, 0), 15 * MINUTE);
    assert_eq!(backoff.wait(Retry::Banned, Duration::ZERO, 0), 30 * MINUTE);
    assert_eq!(soon(&mut backoff, Duration::ZERO), 20, "they do not count as tries of the server");
}
