use std::{
    fs,
    time::{Duration, Instant},
};

use time::{OffsetDateTime, macros::datetime};

use crate::{config::Config, network::last_seen::*};

const TIME: OffsetDateTime = datetime!(2026-11-26 10:31:19.123 UTC);

fn config(dir: &std::path::Path) -> Config {
    let path = dir.join("bot.conf");
    fs::write(&path, "server = localhost:1\ntls = no\nchannels = #dev, #ops\n").unwrap();
    Config::read(&path).unwrap()
}

#[test]
fn the_file_is_written_at_most_once_a_minute_and_when_the_connection_ends() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let file = dir.path().join("links.tsv.heard");
    let mut last_seen = LastSeen::read(&config);
    assert_eq!(last_seen.times, [None, None]);
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let seen = |seconds| [None, Some(TIME + time::Duration::seconds(seconds))].into_iter();
    last_seen.update([None, None].into_iter(), start, false);
    assert!(!file.exists(), "no time is known");
    for (seconds, written) in [(0, "19"), (1, "19"), (59, "19"), (60, "19"), (119, "19")] {
        last_seen.update(seen(seconds.min(1)), after(seconds as u64), false);
        let written = if seconds >= 60 { "20" } else { written };
        let line = format!("#ops\t2026-11-26T10:31:{written}.123Z\n");
        assert_eq!(fs::read_to_string(&file).unwrap(), line, "{seconds}");
    }
    last_seen.update(seen(5), after(120), true);
    assert_eq!(LastSeen::read(&config).times, [None, Some(TIME + time::Duration::seconds(5))]);
    // Unchanged times are not written again, even if the file is gone.
    fs::remove_file(&file).unwrap();
    last_seen.update(seen(5), after(200), false);
    assert!(!file.exists());
}

#[test]
fn times_that_could_not_be_written_are_written_later() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let file = dir.path().join("links.tsv.heard");
    let mut last_seen = LastSeen::read(&config);
    fs::create_dir(dir.path().join("links.tsv.heard.tmp")).unwrap();
    last_seen.update([Some(TIME), None].into_iter(), Instant::now(), true);
    assert!(!file.exists());
    fs::remove_dir(dir.path().join("links.tsv.heard.tmp")).unwrap();
    last_seen.update([Some(TIME), None].into_iter(), Instant::now(), true);
    assert_eq!(fs::read_to_string(&file).unwrap(), "#dev\t2026-11-26T10:31:19.123Z\n");
}

#[test]
fn the_next_connection_continues_from_what_was_seen_even_if_the_file_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let mut last_seen = LastSeen::read(&config);
    fs::create_dir(dir.path().join("links.tsv.heard.tmp")).unwrap();
    last_seen.update([Some(TIME), None].into_iter(), Instant::now(), true);
    assert_eq!(last_seen.times, [Some(TIME), None]);
}
