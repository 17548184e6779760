//! Files that someone moves, truncates or edits while linkbot runs, and wrong clocks.

mod common;
mod failures;

use std::{
    fs::{self, OpenOptions},
    io::Write,
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
};

use common::bookmarks::{Answer, Bookmarks};
use common::bot::Home;
use common::irc::IrcServer;
use failures::Shelf;

/// A line of the journal as linkbot writes it.
fn line(time: &str, title: &str) -> String {
    format!("{time}\tadd\t#dev\tbob\t\t{}\t{title}\n", failures::address(title))
}

#[test]
fn a_deleted_journal_is_recreated_by_the_next_link() {
    let server = IrcServer::plain();
    let home = Home::new(&server.conf());
    let mut bot = home.start();
    let mut client = server.welcome();
    failures::post(&mut client, "first").unwrap();
    fs::remove_file(home.path("links.tsv")).unwrap();
    failures::post(&mut client, "second").unwrap();
    assert_eq!(home.titles(), ["second"]);
    bot.logs("links.tsv");
}

#[test]
fn a_journal_moved_away_is_not_appended_to() {
    let (server, shelf) = (IrcServer::plain(), Shelf::default());
    let service = shelf.open();
    let home = Home::new(&(server.conf() + &service.conf()));
    let mut bot = home.start();
    let mut client = server.welcome();
    failures::post(&mut client, "first").unwrap();
    let old = failures::whole_journal(&home, "links.tsv");
    home.await_cursor(&old[0][0]);
    // Like logrotate.
    fs::rename(home.path("links.tsv"), home.path("links.tsv.1")).unwrap();
    failures::post(&mut client, "second").unwrap();
    let new = failures::whole_journal(&home, "links.tsv");
    assert_eq!(home.read("links.tsv.1").lines().count(), 1);
    assert_eq!(new[0][6], "second");
    assert!(new[0][0] > old[0][0], "the new file's times are later than the old one's");
    bot.logs("links.tsv");
    home.await_cursor(&new[0][0]);
    assert_eq!(shelf.urls(), ["first", "second"].map(failures::address));
}

/// Three links are pending when `remove` removes the journal. They must be delivered before the
/// fourth.
fn pending_links_survive(remove: impl FnOnce(&Home)) {
    let (server, shelf) = (IrcServer::plain(), Shelf::default());
    let (open, is_open) = (shelf.clone(), Arc::new(AtomicBool::new(false)));
    let service = {
        let is_open = is_open.clone();
        Bookmarks::plain(move |request| match is_open.load(Ordering::Relaxed) {
            true => open.take(request),
            false => Answer::http("503 Service Unavailable", ""),
        })
    };
    let home = Home::new(&(server.conf() + &service.conf()));
    let mut bot = home.start();
    let mut client = server.welcome();
    let titles = ["one", "two", "three", "four"];
    for title in &titles[..3] {
        failures::post(&mut client, title).unwrap();
    }
    let pending = home.read("links.tsv");
    service.request();
    // Stopped, so it cannot see the journal between two steps.
    bot.stop();
    remove(&home);
    bot.cont();
    is_open.store(true, Ordering::Relaxed);
    failures::post(&mut client, titles[3]).unwrap();
    assert!(home.read("links.tsv").starts_with(&pending));
    bot.logs("links.tsv: was moved or replaced; continuing with the new file");
    bot.logs("links.tsv: pending links copied into it: 3");
    shelf.await_all(&home);
    assert_eq!(shelf.urls(), titles.map(failures::address));
}

#[test]
fn pending_links_survive_a_deletion() {
    pending_links_survive(|home| fs::remove_file(home.path("links.tsv")).unwrap());
}

#[test]
fn pending_links_survive_a_rotation() {
    pending_links_survive(|home| {
        fs::rename(home.path("links.tsv"), home.path("links.tsv.1")).unwrap()
    });
}

#[test]
fn pending_links_survive_a_rotation_that_leaves_an_empty_file() {
    pending_links_survive(|home| {
        fs::rename(home.path("links.tsv"), home.path("links.tsv.1")).unwrap();
        home.write("links.tsv", "");
    });
}

#[test]
fn pending_links_survive_a_rotation_and_a_kill_before_the_next_link() {
    let (server, shelf) = (IrcServer::plain(), Shelf::default());
    let service = Bookmarks::plain(|_| Answer::http("503 Service Unavailable", ""));
    let home = Home::new(&(server.conf() + &service.conf()));
    let mut bot = home.start();
    let mut client = server.welcome();
    failures::post(&mut client, "pending").unwrap();
    fs::rename(home.path("links.tsv"), home.path("links.tsv.1")).unwrap();
    client.barrier();
    bot.kill();
    assert_eq!(home.read("links.tsv"), home.read("links.tsv.1"));
    let good = shelf.open();
    home.configure(&(server.conf() + &good.conf()));
    let _bot = home.start();
    shelf.await_all(&home);
}

#[test]
fn appended_lines_are_logged_published_and_delivered_without_a_new_link() {
    let (server, shelf) = (IrcServer::plain(), Shelf::default());
    let service = shelf.open();
    let home = Home::new(&(server.conf() + &service.conf()));
    let mut bot = home.start();
    let mut client = server.welcome();
    let mut file = OpenOptions::new().append(true).open(home.path("links.tsv")).unwrap();
    let good = line("2026-01-01T00:00:00.000Z", "appended");
    file.write_all((good + "2026-01-01T00:00:01.000Z\tadd\t#dev\n").as_bytes()).unwrap();
    client.send("PING :anything");
    client.expect("PONG ");
    bot.logs("links.tsv: lines appended: 2");
    bot.logs("links.tsv: lines skipped: 1; the first is line 2: not an address");
    client.barrier();
    home.await_feed(&["appended"]);
    home.await_cursor("2026-01-01T00:00:00.000Z");
    assert_eq!(shelf.urls(), [failures::address("appended")]);
    assert_eq!(bot.kill().matches("skipped").count(), 1, "logged once");
}

#[test]
fn a_journal_whose_last_newline_an_editor_removed_loses_nothing() {
    let server = IrcServer::plain();
    let home = Home::new(&server.conf());
    // The editor also removed tabs at line ends.
    let remove = line("2026-01-01T00:00:02.000Z", "first")
        .replace("\tadd\t", "\tremove\t")
        .replace("\tfirst\n", "\n");
    let journal = line("2026-01-01T00:00:00.000Z", "first")
        + &line("2026-01-01T00:00:01.000Z", "last")
        + &remove;
    home.write("links.tsv", journal.trim_end());
    let mut bot = home.start();
    let mut client = server.welcome();
    failures::post(&mut client, "new").unwrap();
    client.barrier();
    assert!(home.read("links.tsv").starts_with(&journal));
    home.await_feed(&["new", "last"]);
    let log = bot.kill();
    assert!(!log.contains("skipped") && !log.contains("torn"), "{log}");
}

#[test]
fn a_journal_that_is_a_pipe_is_refused_at_once() {
    let home = Home::new("server = localhost:6667\ntls = no\nchannels = #dev\n");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(home.path("links.tsv"))
            .status()
            .unwrap()
            .success()
    );
    for arguments in [&["bot.conf"][..], &["--check", "bot.conf"]] {
        let ended = home.run(arguments);
        assert_eq!(ended.status, Some(1));
        assert!(ended.stderr.contains("links.tsv: not a regular file"), "{ended:?}");
    }
}

#[test]
fn the_log_says_when_last_seen_times_can_be_written_again() {
    let server = IrcServer::plain();
    let home = Home::new(&server.conf());
    fs::create_dir(home.path("links.tsv.heard.tmp")).unwrap();
    let mut bot = home.start();
    let client = server.welcome();
    bot.logs(
        "links.tsv.heard: File exists; after a crash, more than the last minute will be replayed",
    );
    fs::remove_dir(home.path("links.tsv.heard.tmp")).unwrap();
    client.close();
    bot.logs("links.tsv.heard: can be written again");
}

#[test]
fn a_replacement_journal_is_used_from_the_next_link_on() {
    let server = IrcServer::plain();
    let home = Home::new(&server.conf());
    let mut bot = home.start();
    let mut client = server.welcome();
    failures::post(&mut client, "lost").unwrap();
    home.write("edited", line("2026-01-01T00:00:00.000Z", "edited"));
    fs::rename(home.path("edited"), home.path("links.tsv")).unwrap();
    failures::post(&mut client, "new").unwrap();
    client.barrier();
    assert_eq!(home.titles(), ["edited", "new"]);
    failures::assert_feed_is_whole(&home);
    bot.logs("links.tsv");
}

#[test]
fn a_journal_that_another_linkbot_has_locked_is_not_written() {
    let (server, other) = (IrcServer::plain(), IrcServer::plain());
    let home = Home::new(&server.conf());
    let elsewhere = Home::new(&other.conf());
    let _bot = home.start();
    let mut client = server.welcome();
    let _other = elsewhere.start();
    // The other bot must be idle from here on. If it ran, it would notice that its file is gone and
    // unlock it.
    let mut others_client = other.welcome();
    others_client.barrier();
    fs::rename(elsewhere.path("links.tsv"), home.path("links.tsv")).unwrap();
    let reply = failures::post(&mut client, "nowhere").unwrap_err();
    assert!(reply.starts_with("could not save: "), "{reply}");
    fs::remove_file(home.path("links.tsv")).unwrap();
    failures::post(&mut client, "here").unwrap();
    assert_eq!(home.titles(), ["here"]);
}

#[test]
fn truncating_the_journal_is_logged_and_the_bot_keeps_saving() {
    let server = IrcServer::plain();
    let home = Home::new(&server.conf());
    let mut bot = home.start();
    let mut client = server.welcome();
    for title in ["one", "two", "three"] {
        failures::post(&mut client, title).unwrap();
    }
    // Truncates it in the middle of the second line.
    let end = home.read("links.tsv").find("two").unwrap() as u64;
    OpenOptions::new().write(true).open(home.path("links.tsv")).unwrap().set_len(end).unwrap();
    failures::post(&mut client, "four").unwrap();
    bot.logs("links.tsv");
    let journal = home.journal();
    let titles: Vec<_> = journal.iter().filter_map(|columns| columns.get(6)).collect();
    assert_eq!(titles, ["one", "four"], "no line is appended to a torn one");
    home.await_feed(&["four", "one"]);
}

#[test]
fn appended_lines_stay_and_are_used() {
    let server = IrcServer::plain();
    let home = Home::new(&server.conf());
    let _bot = home.start();
    let mut client = server.welcome();
    let append = |text: &str| {
        let mut file = OpenOptions::new().append(true).open(home.path("links.tsv")).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    failures::post(&mut client, "one").unwrap();
    let soon = time::OffsetDateTime::now_utc() + time::Duration::HOUR;
    let (h, m, s) = soon.to_hms();
    append(&line(&format!("{}T{h:02}:{m:02}:{s:02}.000Z", soon.date()), "appended"));
    failures::post(&mut client, "two").unwrap();
    // Without its newline.
    append("half a li");
    failures::post(&mut client, "three").unwrap();
    home.await_feed(&["three", "two", "appended", "one"]);
    let journal = home.read("links.tsv");
    assert!(journal.contains("\nhalf a li\n"), "{journal}");
    let times: Vec<_> =
        journal.lines().filter(|l| l.contains('\t')).map(|l| l[..24].to_owned()).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
}

#[test]
fn edits_above_the_cursor_neither_skip_nor_repeat_a_delivery() {
    let (server, shelf) = (IrcServer::plain(), Shelf::default());
    let service = shelf.open();
    let home = Home::new(&(server.conf() + &service.conf()));
    let journal: String =
        (0..9).map(|n| line(&format!("2026-01-01T00:00:0{n}.000Z"), &format!("old {n}"))).collect();
    home.write("links.tsv", &journal);
    home.write("links.tsv.delivered", "2026-01-01T00:00:05.000Z\n");
    let _bot = home.start();
    let mut client = server.welcome();
    let last = |home: &Home| home.journal().last().unwrap()[0].clone();
    home.await_cursor(&last(&home));
    let mut delivered: Vec<_> = (6..9).map(|n| failures::address(&format!("old {n}"))).collect();
    assert_eq!(shelf.urls(), delivered, "lines up to the cursor are not sent");

    type Edit = fn(&str) -> String;
    let edits: [(&str, Edit); 4] = [
        ("deleted", |text| text.split_inclusive('\n').skip(2).collect()),
        ("inserted", |text| {
            line("2025-01-01T00:00:00.000Z", "older still") + "# a comment\n" + text
        }),
        ("edited", |text| text.replace("old 3", "old three, with a longer title")),
        // Deletes the cursor's line too.
        ("all but the last", |text| text.split_inclusive('\n').next_back().unwrap().to_owned()),
    ];
    for (title, edit) in edits {
        // Like `sed -i` and most editors: a new file in the old one's place.
        home.write("edited", edit(&home.read("links.tsv")));
        fs::rename(home.path("edited"), home.path("links.tsv")).unwrap();
        failures::post(&mut client, title).unwrap();
        delivered.push(failures::address(title));
        home.await_cursor(&last(&home));
        assert_eq!(shelf.urls(), delivered, "{title}");
    }
    // An edit in place.
    fs::write(
        home.path("links.tsv"),
        home.read("links.tsv").split_inclusive('\n').skip(1).collect::<String>(),
    )
    .unwrap();
    failures::post(&mut client, "in place").unwrap();
    delivered.push(failures::address("in place"));
    home.await_cursor(&last(&home));
    assert_eq!(shelf.urls(), delivered);
}

/// Starts the bot with four links in the journal and this cursor. Returns the addresses that it
/// sends, and its log.
fn deliveries_with(cursor: Option<&[u8]>) -> (Vec<String>, String) {
    let (server, shelf) = (IrcServer::plain(), Shelf::default());
    let service = shelf.open();
    let home = Home::new(&(server.conf() + &service.conf()));
    let journal: String =
        (0..4).map(|n| line(&format!("2026-01-01T00:00:0{n}.000Z"), &format!("old {n}"))).collect();
    home.write("links.tsv", &journal);
    if let Some(cursor) = cursor {
        home.write("links.tsv.delivered", cursor);
    }
    let mut bot = home.start();
    let _client = server.welcome();
    home.await_cursor("2026-01-01T00:00:03.000Z");
    (shelf.urls(), bot.kill())
}

#[test]
fn without_a_valid_cursor_delivery_starts_over_and_logs_it() {
    let all: Vec<_> = (0..4).map(|n| failures::address(&format!("old {n}"))).collect();
    let garbage: [&[u8]; 5] =
        [b"", b"\n", b"yesterday\n", b"2026-13-01T00:00:03.000Z\n", b"\xff\xfe\x00"];
    for cursor in garbage.into_iter().map(Some).chain([None]) {
        let (urls, log) = deliveries_with(cursor);
        assert_eq!(urls, all, "{cursor:?}");
        let logged: Vec<_> =
            log.lines().filter(|line| line.contains("links.tsv.delivered")).collect();
        assert_eq!(logged.len(), 1, "{cursor:?}: {log}");
    }
    // Control case: a valid cursor.
    assert_eq!(deliveries_with(Some(b"2026-01-01T00:00:01.000Z\n")).0, all[2..]);
}

#[test]
fn a_line_dated_next_year_is_logged_and_shifts_no_times() {
    use time::{Duration, OffsetDateTime, format_description::well_known::Iso8601};

    let (server, shelf) = (IrcServer::plain(), Shelf::default());
    let sent = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let service = {
        let sent = sent.clone();
        common::bookmarks::Bookmarks::plain(move |request| {
            sent.lock().unwrap().push(request.argument("dt").unwrap().to_owned());
            shelf.take(request)
        })
    };
    let home = Home::new(&(server.conf() + &service.conf()));
    let now = OffsetDateTime::now_utc();
    let ahead = format!("{}-12-31T23:59:59.999Z", now.year() + 1);
    home.write("links.tsv", line(&ahead, "from the future"));
    let warning =
        format!("links.tsv: lines dated in the future: 1; the first is line 1: {ahead}; correct");
    assert!(home.run(&["--check", "bot.conf"]).stderr.contains(&warning));
    let mut bot = home.start();
    let mut client = server.welcome();
    bot.logs(&warning);
    for title in ["one", "two"] {
        failures::post(&mut client, title).unwrap();
    }
    let journal = home.journal();
    home.await_cursor(&journal[2][0]);
    let limit = OffsetDateTime::now_utc() + Duration::minutes(10);
    for line in &journal[1..] {
        for time in [&line[0], line.get(7).unwrap_or(&line[0])] {
            let time = OffsetDateTime::parse(time, &Iso8601::DEFAULT).unwrap();
            assert!(time > now - Duration::MINUTE && time < limit, "{line:?}");
        }
    }
    let sent = sent.lock().unwrap();
    assert_eq!(sent.len(), 3);
    for dt in sent.iter() {
        assert!(OffsetDateTime::parse(dt, &Iso8601::DEFAULT).unwrap() <= limit, "{dt}");
    }
    let feed = home.await_feed(&["two", "one", "from the future"]);
    let published = feed.entries.into_iter().map(|entry| entry.published.unwrap().timestamp());
    assert!(
        published.take(2).all(|time| time <= limit.unix_timestamp()),
        "the feed shows posting times"
    );
}

/// Debian's faketime, a library that shifts the clock of the program that loads it.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

#[test]
#[ignore = "needs Debian's package faketime (.ci/run runs it)"]
fn clock_jumps_lose_nothing_and_posting_times_follow_the_clock() {
    use time::{Duration, OffsetDateTime, format_description::well_known::Iso8601};

    assert!(fs::exists(FAKETIME).unwrap(), "apt-get install faketime");
    let (server, shelf) = (IrcServer::plain(), Shelf::default());
    let service = shelf.open();
    let home = Home::new(&(server.conf() + &service.conf()));
    let start = |shift: &str| {
        home.write("clock", shift);
        let mut command = home.linkbot(&["bot.conf"]);
        command.env("LD_PRELOAD", FAKETIME).env("FAKETIME_TIMESTAMP_FILE", home.path("clock"));
        command.env("FAKETIME_NO_CACHE", "1").env("DONT_FAKE_MONOTONIC", "1");
        common::bot::Bot::spawn(command)
    };
    let day = 24 * 60 * 60;
    let shifts = [0, 60, -60, 3600, -3600, 365 * day, -365 * day, 0];
    let mut bot = start("+0");
    let mut client = server.welcome();
    for (n, shift) in shifts.into_iter().enumerate() {
        // The clock steps while the bot runs, and before a start.
        home.write("clock", format!("{shift:+}"));
        if n % 2 == 1 {
            bot.kill();
            bot = start(&format!("{shift:+}"));
            client = server.welcome();
        }
        failures::post(&mut client, &format!("link {n}")).unwrap();
        let journal = home.journal();
        let line = journal.last().unwrap();
        // Times increase, except after the clock was more than a day ahead.
        let is_back = n > 5;
        assert!(n == 0 || is_back || journal[n - 1][0] < line[0], "{shift:+}: {line:?}");
        let posted =
            OffsetDateTime::parse(line.get(7).unwrap_or(&line[0]), &Iso8601::DEFAULT).unwrap();
        let off = posted - OffsetDateTime::now_utc() - Duration::seconds(shift);
        assert!(off.abs() < Duration::MINUTE, "{shift:+}: {line:?}");
        home.await_cursor(&line[0]);
    }
    shelf.await_links(&failures::standing(&home.journal()));
}
