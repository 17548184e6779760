use std::{
    fs,
    time::{Duration, Instant},
};

use time::OffsetDateTime;

use crate::{
    config::Config, config::tests::good, journal::Action, journal::Journal, link::Link, publish::*,
    view::View,
};

const SECOND: Duration = Duration::from_secs(1);

/// A journal, and a feed for each channel in its own directory.
struct Place {
    dir: tempfile::TempDir,
    journal: Journal,
    config: Option<Config>,
}

impl Place {
    fn new(channels: &[&str]) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let view = |channel: &&str| {
            let feed_dir = dir.path().join(channel);
            fs::create_dir(&feed_dir).unwrap();
            let (channels, title) = (vec![channel.to_string()], "Links".into());
            let (about, path) = ("irc://irc.example.org/".into(), feed_dir.join("links.xml"));
            View { path, url: None, channels, title, about, items: 100, is_page: false }
        };
        let views = channels.iter().map(view).collect();
        let journal = Journal::open(&dir.path().join("links.tsv")).unwrap();
        Place { dir, journal, config: Some(Config { views, ..good("") }) }
    }

    fn add(&mut self, channel: &str) {
        let (nick, account, url) =
            ("alice".into(), String::new(), "http://www.example.com/".into());
        let posted = OffsetDateTime::now_utc();
        let link = Link {
            channel: channel.into(),
            nick,
            account,
            url,
            title: "Title For Link".into(),
            posted,
        };
        self.journal.append(Action::Add, &link, posted).unwrap();
        self.journal.commit().unwrap();
    }

    /// The number of links in the channel's feed; `None` if there is no such file.
    fn shown(&self, channel: &str) -> Option<usize> {
        let text = fs::read_to_string(self.dir.path().join(channel).join("links.xml")).ok()?;
        Some(text.matches("<item>").count())
    }
}

#[test]
fn at_startup_every_file_is_updated() {
    let mut place = Place::new(&["a", "b"]);
    place.add("a");
    let config = place.config.take().unwrap();
    let now = Instant::now();
    let mut publisher = Publisher::new(&config, SECOND, now);
    assert_eq!(publisher.deadline(), Some(now));
    publisher.publish(&place.journal, now);
    assert_eq!((place.shown("a"), place.shown("b")), (Some(1), Some(0)));
    assert_eq!((publisher.deadline(), publisher.is_failing()), (None, false));
}

#[test]
fn a_file_is_written_at_once_after_a_quiet_second_else_once_a_second() {
    let mut place = Place::new(&["a", "b"]);
    let config = place.config.take().unwrap();
    let start = Instant::now();
    let mut publisher = Publisher::new(&config, SECOND, start);
    publisher.publish(&place.journal, start);
    let quiet = start + SECOND;
    for (after, shown) in [(0, 1), (1, 1), (999, 1), (1000, 4), (1001, 4)] {
        place.add("a");
        publisher.mark_dirty("a");
        publisher.publish(&place.journal, quiet + Duration::from_millis(after));
        assert_eq!(place.shown("a"), Some(shown), "{after} ms");
    }
    assert_eq!(publisher.deadline(), Some(quiet + 2 * SECOND));
    publisher.publish(&place.journal, quiet + 2 * SECOND);
    assert_eq!((place.shown("a"), publisher.deadline()), (Some(5), None));
    // The other channel's file was not written in this time.
    place.add("b");
    publisher.mark_dirty("b");
    publisher.publish(&place.journal, quiet + 2 * SECOND);
    assert_eq!(place.shown("b"), Some(1));
}

#[test]
fn a_file_of_another_channel_is_not_written() {
    let mut place = Place::new(&["a", "b"]);
    let config = place.config.take().unwrap();
    let now = Instant::now();
    let mut publisher = Publisher::new(&config, Duration::ZERO, now);
    publisher.publish(&place.journal, now);
    place.add("a");
    publisher.mark_dirty("b");
    publisher.publish(&place.journal, now);
    assert_eq!(place.shown("a"), Some(0));
}

#[test]
fn a_file_that_cannot_be_written_is_retried_with_backoff_and_blocks_no_other() {
    let mut place = Place::new(&["a", "b"]);
    let config = place.config.take().unwrap();
    let feed_dir = place.dir.path().join("a");
    fs::remove_dir(&feed_dir).unwrap();
    let mut now = Instant::now();
    let mut publisher = Publisher::new(&config, SECOND, now);
    // After the first attempt, waits 1, 2, 4 and 8 minutes, then 15 minutes each time.
    for (n, wait) in [60, 120, 240, 480, 900, 900].into_iter().enumerate() {
        place.add("b");
        publisher.mark_dirty("a");
        publisher.mark_dirty("b");
        publisher.publish(&place.journal, now);
        assert_eq!((place.shown("a"), place.shown("b")), (None, Some(n + 1)));
        assert!(publisher.is_failing());
        now += Duration::from_secs(wait);
        assert_eq!(publisher.deadline(), Some(now));
    }
    fs::create_dir(&feed_dir).unwrap();
    publisher.publish(&place.journal, now - Duration::from_millis(1));
    assert_eq!(place.shown("a"), None);
    publisher.publish(&place.journal, now);
    assert_eq!(
        (place.shown("a"), publisher.deadline(), publisher.is_failing()),
        (Some(0), None, false)
    );
    // The next failure waits one minute again.
    fs::remove_dir_all(&feed_dir).unwrap();
    now += SECOND;
    publisher.mark_dirty("a");
    publisher.publish(&place.journal, now);
    assert_eq!(publisher.deadline(), Some(now + Duration::from_secs(60)));
}
