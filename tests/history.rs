//! Links posted while the bot was away: requested from a server with history, or replayed by the
//! server.

mod common;

use std::fs;

use common::bookmarks::{Answer, Bookmarks};
use common::bot::{Bot, Home};
use common::irc::{Client, IrcServer};
use time::{Duration, OffsetDateTime, macros::format_description};

const WITH_HISTORY: &str = "server-time message-tags account-tag batch draft/chathistory";
const WITHOUT_HISTORY: &str = "server-time message-tags account-tag batch";

/// A time as servers and the journal write it.
fn timestamp(time: OffsetDateTime) -> String {
    time.format(format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
    ))
    .unwrap()
}

/// A server, the bot's directory, and the time at which the bot was killed. It had saved one link.
struct Setting {
    server: IrcServer,
    home: Home,
    killed: OffsetDateTime,
}

impl Setting {
    fn new(conf: &str) -> Setting {
        let server = IrcServer::plain();
        let home = Home::new(&(server.conf() + conf));
        let setting =
            Setting { server, home, killed: OffsetDateTime::now_utc() - Duration::hours(3) };
        let first = format!(
            "{}\tadd\t#dev\talice\t\thttp://www.example.com/first\tFirst\n",
            setting.after(0)
        );
        setting.home.write("links.tsv", first);
        setting.set_last_seen(0);
        setting
    }

    /// Sets the time when #dev was last seen to `seconds` after the bot was killed.
    fn set_last_seen(&self, seconds: i64) {
        self.home.write("links.tsv.heard", format!("#dev\t{}\n", self.after(seconds)));
    }

    /// A bot that loses its connection is killed before it connects again.
    fn reconnect_slowly(&self) {
        let conf = self.home.read("bot.conf");
        self.home.configure(&conf.replace("reconnect = 1\n", "reconnect = 600\n"));
    }

    /// `seconds` after the bot was killed.
    fn after(&self, seconds: i64) -> String {
        timestamp(self.killed + Duration::seconds(seconds))
    }

    /// One millisecond before `after`, where the request for the next page starts.
    fn just_before(&self, seconds: i64) -> String {
        timestamp(self.killed + Duration::seconds(seconds) - Duration::MILLISECOND)
    }

    /// Starts the bot on a server with these capabilities, and lets it into #dev.
    fn start(&self, capabilities: &str) -> (Bot, Client) {
        let bot = self.home.start();
        let mut client = self.server.accept();
        client.register(capabilities);
        self.let_in(&mut client);
        (bot, client)
    }

    fn let_in(&self, client: &mut Client) {
        client.expect("JOIN #dev");
        client.send(&format!(
            "@time={} :linkbot!b@h JOIN #dev",
            timestamp(OffsetDateTime::now_utc())
        ));
    }

    /// Starts the bot, which requests its first page.
    fn start_catch_up(&self) -> (Bot, Client) {
        let (bot, mut client) = self.start(WITH_HISTORY);
        client.expect(&format!("CHATHISTORY AFTER #dev timestamp={} 100", self.after(0)));
        (bot, client)
    }

    /// A line from alice, or with `bob: ` in front from bob, `seconds` after the bot was killed.
    fn line(&self, seconds: i64, text: &str) -> String {
        let (nick, text) = text.strip_prefix("bob: ").map_or(("alice", text), |text| ("bob", text));
        format!("time={} :{nick}!{nick}@host.example PRIVMSG #dev :{text}", self.after(seconds))
    }

    /// Sends a page of history.
    fn send_page(&self, client: &mut Client, lines: &[(i64, &str)]) {
        client.send(":irc.test BATCH +x chathistory #dev");
        lines.iter().for_each(|(seconds, text)| {
            client.send(&format!("@batch=x;{}", self.line(*seconds, text)))
        });
        client.send(":irc.test BATCH -x");
    }

    /// Sends the whole history: a page with the lines, then an empty page.
    fn send_history(&self, client: &mut Client, lines: &[(i64, &str)]) {
        self.send_page(client, lines);
        if !lines.is_empty() {
            client.expect("CHATHISTORY AFTER #dev timestamp=");
            self.send_page(client, &[]);
        }
    }

    /// The action, nick and title (or address) of each event after the first link.
    fn saved(&self) -> Vec<String> {
        let what = |c: &Vec<String>| if c[6].is_empty() { c[5].clone() } else { c[6].clone() };
        self.home.journal()[1..].iter().map(|c| format!("{} {} {}", c[1], c[3], what(c))).collect()
    }
}

#[test]
fn links_posted_while_the_bot_is_away_are_saved_silently_with_time_and_poster() {
    let bookmarks = Bookmarks::plain(|_| Answer::done());
    let setting = Setting::new(&bookmarks.conf());
    setting.home.write("links.tsv.delivered", setting.after(0) + "\n");
    let (mut bot, mut client) = setting.start_catch_up();
    setting.send_history(
        &mut client,
        &[
            (10, ".url http://www.example.com/one One"),
            (20, "bob: .url http://www.example.com/two Two"),
            (30, "good morning"),
            (40, ".url http://www.example.com/three Three"),
            (50, ".find one"),
            (60, ".status"),
            (70, "linkbot: help"),
            (80, ".url nonsense"),
            (90, ".undo"),
        ],
    );
    let since = &setting.after(0)[..16].replace('T', " ");
    bot.logs(&format!("caught up in #dev: 3 links from 9 lines since {since}Z"));
    // The bot sent nothing, and replayed lookups did not use up alice's rate limit: she has three
    // left.
    client.barrier();
    for _ in 0..3 {
        client.say("alice", "#dev", ".find one");
        client.expect("PRIVMSG #dev :found: ");
    }

    assert_eq!(
        setting.saved(),
        [
            "add alice One",
            "add bob Two",
            "add alice Three",
            "remove alice http://www.example.com/three"
        ]
    );
    let journal = setting.home.journal();
    let posted: Vec<&String> = journal[1..].iter().map(|columns| &columns[7]).collect();
    assert_eq!(
        posted,
        [&setting.after(10), &setting.after(20), &setting.after(40), &setting.after(90)]
    );
    assert!(journal.is_sorted_by(|a, b| a[0] < b[0]), "{journal:?}");

    let feed = setting.home.await_feed(&["Two", "One", "First"]);
    let published: Vec<i64> =
        feed.entries.iter().map(|entry| entry.published.unwrap().timestamp()).collect();
    let second = |seconds| (setting.killed + Duration::seconds(seconds)).unix_timestamp();
    assert_eq!(published, [second(20), second(10), second(0)]);

    for (title, nick, seconds) in [("One", "alice", 10), ("Two", "bob", 20)] {
        let request = bookmarks.request();
        let arguments = ["description", "extended", "dt"]
            .map(|name| request.argument(name).unwrap().to_owned());
        let dt = format!("{}Z", &setting.after(seconds)[..19]);
        assert_eq!(arguments, [title, &format!("posted by {nick}"), &dt]);
    }
}

#[test]
fn a_replayed_link_belongs_to_the_account_in_its_tag() {
    let setting = Setting::new("");
    let (mut bot, mut client) = setting.start_catch_up();
    let says = |client: &mut Client, seconds, account: &str, text: &str| {
        client.send(&format!("@batch=x;account={account};{}", setting.line(seconds, text)));
    };
    client.send(":irc.test BATCH +x chathistory #dev");
    says(&mut client, 10, "al", ".url http://www.example.com/one One");
    says(&mut client, 20, "someone", ".undo http://www.example.com/one");
    says(&mut client, 30, "bo", "bob: .url http://www.example.com/two Two");
    says(&mut client, 40, "al", "bob: .undo http://www.example.com/one");
    client.send(":irc.test BATCH -x");
    client.expect("CHATHISTORY ");
    setting.send_page(&mut client, &[]);
    bot.logs("2 links from 4 lines");
    assert_eq!(
        setting.saved(),
        ["add alice One", "add bob Two", "remove bob http://www.example.com/one"]
    );
    let accounts: Vec<String> =
        setting.home.journal()[1..].iter().map(|columns| columns[4].clone()).collect();
    assert_eq!(accounts, ["al", "bo", "al"]);
}

#[test]
fn capture_in_history_saves_every_link_except_those_off_the_record_or_from_a_bot() {
    let setting = Setting::new("capture = yes\n");
    let (mut bot, mut client) = setting.start_catch_up();
    client.send(":irc.test BATCH +x chathistory #dev");
    client.send(&format!(
        "@batch=x;{}",
        setting.line(10, "both http://a.example/ and http://b.example/ are good")
    ));
    client.send(&format!("@batch=x;{}", setting.line(20, "[off] http://c.example/")));
    client.send(&format!(
        "@batch=x;time={} :linkbot!b@h PRIVMSG #dev :http://d.example/",
        setting.after(30)
    ));
    client.send(&format!("@batch=x;bot;{}", setting.line(40, "http://e.example/")));
    client.send(":irc.test BATCH -x");
    client.expect("CHATHISTORY ");
    setting.send_page(&mut client, &[]);
    bot.logs("2 links from 4 lines");
    assert_eq!(setting.saved(), ["add alice both and are good", "add alice both and are good"]);
}

#[test]
fn pages_are_requested_until_one_has_nothing_new() {
    let setting = Setting::new("");
    let mut bot = setting.home.start();
    let mut client = setting.server.accept();
    client.register(WITH_HISTORY);
    client.numeric("005", "CHATHISTORY=2 :are supported by this server");
    setting.let_in(&mut client);
    client.expect(&format!("CHATHISTORY AFTER #dev timestamp={} 2", setting.after(0)));
    setting.send_page(&mut client, &[(10, ".url http://www.example.com/one One")]);
    client.expect(&format!("CHATHISTORY AFTER #dev timestamp={} 2", setting.just_before(10)));
    // A NOTICE counts as a line of history too.
    client.send(":irc.test BATCH +y chathistory #dev");
    client.send(&format!("@batch=y;time={} :ci!c@h NOTICE #dev :built", setting.after(20)));
    client.send(":irc.test BATCH -y");
    client.expect(&format!("CHATHISTORY AFTER #dev timestamp={} 2", setting.just_before(20)));
    setting.send_page(&mut client, &[(30, ".url http://www.example.com/two Two")]);
    client.expect(&format!("CHATHISTORY AFTER #dev timestamp={} 2", setting.just_before(30)));
    setting.send_page(&mut client, &[(30, ".url http://www.example.com/two Two")]);
    bot.logs("caught up in #dev: 2 links from 3 lines since");
    client.barrier();
    assert_eq!(setting.saved(), ["add alice One", "add alice Two"]);
}

#[test]
fn a_line_replayed_again_is_not_saved_again_even_after_a_kill_within_a_page() {
    let setting = Setting::new("");
    let lines = [
        (10, ".url http://www.example.com/one One"),
        (20, ".url http://www.example.com/one One"),
        (30, ".url http://www.example.com/one Better"),
        (40, "bob: .url http://www.example.com/one/ One"),
        (50, "bob: .url http://www.example.com/two Two"),
        (60, "bob: .undo"),
        (70, "bob: .url http://www.example.com/three Three"),
        (80, ".url http://www.example.com/four Four"),
    ];
    // Each run catches up a little further before it is killed, and someone also posts a live link.
    for (time, part) in [1, 3, 4, 6, 8].into_iter().enumerate() {
        let (mut bot, mut client) = setting.start(WITH_HISTORY);
        client.expect(&format!("CHATHISTORY AFTER #dev timestamp={}", setting.after(0)));
        client.say("carol", "#dev", format!(".url http://www.example.com/live{time} Live"));
        client.expect("PRIVMSG #dev :saved: Live");
        client.send(":irc.test BATCH +x chathistory #dev");
        lines[..part]
            .iter()
            .for_each(|(s, text)| client.send(&format!("@batch=x;{}", setting.line(*s, text))));
        client.barrier();
        bot.kill();
    }
    let mut saved = setting.saved();
    saved.retain(|line| !line.contains("Live"));
    let expected = [
        "add alice One",
        "title alice Better",
        "again bob One",
        "add bob Two",
        "remove bob http://www.example.com/two",
        "add bob Three",
        "add alice Four",
    ];
    assert_eq!(saved, expected);
}

#[test]
fn replay_does_not_restore_a_removed_link() {
    let setting = Setting::new("");
    let lines = [
        (5, "bob: .url http://b.example/ B"),
        (10, ".url http://www.example.com/one One"),
        (15, ".url http://www.example.com/one One"),
    ];
    let (mut bot, mut client) = setting.start_catch_up();
    setting.send_history(&mut client, &lines);
    bot.logs("caught up");
    client.say("alice", "#dev", ".undo http://www.example.com/one");
    client.expect("PRIVMSG #dev :removed: One");
    bot.kill();
    setting.set_last_seen(0);
    let (mut bot, mut client) = setting.start(WITH_HISTORY);
    client.expect("CHATHISTORY");
    setting.send_history(&mut client, &lines);
    bot.logs("0 links from 3 lines");
    assert_eq!(
        setting.saved(),
        ["add bob B", "add alice One", "remove alice http://www.example.com/one"]
    );
}

#[test]
fn a_line_seen_live_and_replayed_is_handled_once() {
    let setting = Setting::new("capture = yes\n");
    let (mut bot, mut client) = setting.start_catch_up();
    let now = timestamp(OffsetDateTime::now_utc());
    let lines =
        [".url http://a.example/ A", "see http://b.example/", ".url http://c.example/ C", ".undo"];
    let line = |text: &str| format!("time={now} :alice!alice@host PRIVMSG #dev :{text}");
    lines.iter().for_each(|text| client.send(&format!("@{}", line(text))));
    client.send(":irc.test BATCH +x chathistory #dev");
    lines.iter().for_each(|text| client.send(&format!("@batch=x;{}", line(text))));
    client.send(":irc.test BATCH -x");
    for reply in ["saved: A", "saved: C", "removed: C"] {
        client.until(&format!("PRIVMSG #dev :{reply}"));
    }
    setting.send_page(&mut client, &[]);
    bot.logs("0 links from 4 lines");
    assert_eq!(
        setting.saved(),
        ["add alice A", "add alice see", "add alice C", "remove alice http://c.example/"]
    );
}

#[test]
fn undo_in_history_removes_no_link_posted_after_it() {
    let setting = Setting::new("");
    let (mut bot, mut client) = setting.start_catch_up();
    client.say("alice", "#dev", ".url http://www.example.com/live Live");
    client.expect("PRIVMSG #dev :saved: Live");
    let lines = [
        (10, ".url http://www.example.com/one One"),
        (20, ".undo"),
        (30, ".undo http://www.example.com/live"),
    ];
    setting.send_history(&mut client, &lines);
    bot.logs("1 link from 3 lines");
    assert_eq!(
        setting.saved(),
        ["add alice Live", "add alice One", "remove alice http://www.example.com/one"]
    );
}

#[test]
fn undo_replayed_again_removes_no_link_posted_a_second_after_it() {
    let setting = Setting::new("");
    let lines = [
        (10, ".url http://www.example.com/one Wrong"),
        (20, ".undo http://www.example.com/one"),
        (21, ".url http://www.example.com/one Right"),
    ];
    let (mut bot, mut client) = setting.start_catch_up();
    setting.send_history(&mut client, &lines);
    bot.logs("2 links from 3 lines");
    bot.kill();
    setting.set_last_seen(0);
    let (mut bot, mut client) = setting.start(WITH_HISTORY);
    client.expect("CHATHISTORY");
    setting.send_history(&mut client, &lines);
    bot.logs("0 links from 3 lines");
    let removed = "remove alice http://www.example.com/one";
    assert_eq!(setting.saved(), ["add alice Wrong", removed, "add alice Right"]);
}

#[test]
fn a_new_connection_requests_history_from_the_last_live_line_until_it_has_all() {
    let setting = Setting::new("");
    let (mut bot, mut client) = setting.start_catch_up();
    setting.send_page(&mut client, &[]);
    let last_seen = timestamp(OffsetDateTime::now_utc());
    client.send(&format!("@time={last_seen} :alice!a@h PRIVMSG #dev :good night"));
    client.close();
    bot.logs("not connected");
    let mut client = setting.server.accept();
    client.register(WITH_HISTORY);
    setting.let_in(&mut client);
    client.expect(&format!("CHATHISTORY AFTER #dev timestamp={last_seen} "));
    // The connection ends before the page does: the next one requests the page again.
    client.send(":irc.test BATCH +x chathistory #dev");
    let posted = timestamp(OffsetDateTime::now_utc());
    client.send(&format!(
        "@batch=x;time={posted} :alice!a@h PRIVMSG #dev :.url http://www.example.com/one One"
    ));
    client.barrier();
    client.send(":alice!a@h PRIVMSG #dev :good morning");
    client.close();
    let mut client = setting.server.accept();
    client.register(WITH_HISTORY);
    setting.let_in(&mut client);
    client.expect(&format!("CHATHISTORY AFTER #dev timestamp={last_seen} "));
    client.barrier();
    assert_eq!(setting.home.read("links.tsv.heard"), format!("#dev\t{last_seen}\n"));
    assert_eq!(setting.saved(), ["add alice One"]);
}

#[test]
fn links_that_a_server_replays_by_itself_are_saved_too() {
    for batched in [true, false] {
        let setting = Setting::new("");
        for summary in ["2 links from 3 lines", "0 links from 3 lines"] {
            setting.set_last_seen(0);
            let (mut bot, mut client) = setting.start(WITHOUT_HISTORY);
            let begin = if batched { "@batch=x;" } else { "@" };
            if batched {
                client.send(":irc.test BATCH +x znc.in/playback #dev");
            }
            // Lines from before the kill, then missed ones.
            client.send(&format!(
                "{begin}{}",
                setting.line(-60, ".url http://www.example.com/old Old")
            ));
            client.send(&format!(
                "{begin}{}",
                setting.line(0, ".url http://www.example.com/first First")
            ));
            client.send(&format!(
                "{begin}{}",
                setting.line(10, ".url http://www.example.com/one One")
            ));
            client.send(&format!("{begin}{}", setting.line(20, "good morning")));
            client.send(&format!(
                "{begin}{}",
                setting.line(30, ".url http://www.example.com/two Two")
            ));
            if batched {
                client.send(":irc.test BATCH -x");
            }
            client.barrier();
            client.say("alice", "#dev", ".find two");
            client.expect("PRIVMSG #dev :found: ");
            bot.logs(&format!("caught up in #dev: {summary} since"));
            bot.kill();
        }
        assert_eq!(setting.saved(), ["add alice One", "add alice Two"]);
    }
}

#[test]
fn a_channel_without_a_valid_last_seen_time_is_new_and_not_caught_up() {
    let setting = Setting::new("");
    let not_read = "stream did not contain valid UTF-8; linkbot cannot catch up";
    let time = setting.after(0);
    let files = [
        (b"".to_vec(), ""),
        (format!("#ops\t{time}\n#Dev\t{time}\n").into(), ""),
        (format!("#dev {time}\n").into(), ""),
        (b"#dev\t2026-11-26T10:31:19Z\n".to_vec(), ""),
        (b"#dev\t\n\n".to_vec(), ""),
        (b"#dev\t9999-12-31T23:59:59.999Z\n".to_vec(), ""),
        (b"\0\0\0\0".to_vec(), ""),
        (b"\xff\xfe#dev".to_vec(), not_read),
    ];
    for (file, logged) in files {
        setting.home.write("links.tsv.heard", &file);
        let (mut bot, mut client) = setting.start(WITH_HISTORY);
        client.barrier();
        setting.send_page(&mut client, &[(10, ".url http://www.example.com/one One")]);
        client.barrier();
        assert_eq!(setting.saved(), [""; 0]);
        // The log is complete only after the kill.
        let log = bot.kill();
        assert_eq!(log.contains("links.tsv.heard: "), !logged.is_empty(), "{log}");
        assert!(log.contains(logged), "{log}");
        // The channel is now in the file.
        let last_seen = setting.home.read("links.tsv.heard");
        assert!(
            last_seen.starts_with("#dev\t2") && last_seen.len() == "#dev\t\n".len() + 24,
            "{last_seen}"
        );
    }
    fs::remove_file(setting.home.path("links.tsv.heard")).unwrap();
    let (mut bot, mut client) = setting.start(WITH_HISTORY);
    client.barrier();
    client.close();
    bot.logs("not connected");
    let mut client = setting.server.accept();
    client.register(WITH_HISTORY);
    setting.let_in(&mut client);
    client.expect("CHATHISTORY AFTER #dev ");
}

#[test]
fn catch_up_no_requests_nothing_and_ignores_replayed_lines() {
    let setting = Setting::new("catch_up = no\n");
    let (_bot, mut client) = setting.start(WITH_HISTORY);
    client.send(&format!("@{}", setting.line(10, ".url http://www.example.com/one One")));
    // Nothing but PONG comes.
    client.barrier();
    assert_eq!(setting.saved(), [""; 0]);
}

#[test]
fn the_log_says_if_no_history_is_offered() {
    let setting = Setting::new("");
    let (mut bot, _client) = setting.start(WITHOUT_HISTORY);
    bot.logs("links posted while linkbot is away are lost, unless the server replays them");
}

#[test]
fn endless_history_ends_at_a_thousand_lines_and_live_lines_get_replies() {
    let setting = Setting::new("");
    let (mut bot, mut client) = setting.start_catch_up();
    let before = bot.peak_memory();
    for n in 0..100 {
        client.send(&format!(":irc.test BATCH +{n} chathistory #dev"));
        client.send(&format!("@batch={n} :irc.test BATCH +within{n} chathistory #dev"));
    }
    for n in 0..10_000 {
        let line = setting.line(10 + n / 10, &format!(".url http://www.example.com/{n} Link {n}"));
        client.send(&format!("@batch={};{line}", n % 100));
        if n % 1000 == 0 {
            client.say("bob", "#dev", format!(".url http://b.example/{n} Live {n}"));
            client.until(&format!("PRIVMSG #dev :saved: Live {n}"));
        }
    }
    bot.logs("caught up in #dev: 1000 links from 1000 lines");
    client.say("bob", "#dev", ".find live 9000");
    client.until("PRIVMSG #dev :found: ");
    assert_eq!(setting.saved().len(), 1010);
    assert!(bot.peak_memory() < before + 2048, "{} KiB more", bot.peak_memory() - before);
}

/// Links in talk, without a command.
#[test]
fn links_from_before_capture_was_enabled_are_not_captured() {
    let setting = Setting::new("");
    setting.reconnect_slowly();
    let (mut bot, mut client) = setting.start_catch_up();
    setting.send_page(&mut client, &[(10, "http://www.example.com/history")]);
    client.expect("CHATHISTORY");
    setting.send_page(&mut client, &[]);
    bot.logs("caught up in #dev: 0 links from 1 line");
    let posted = timestamp(OffsetDateTime::now_utc());
    let line = format!("time={posted} :alice!a@h PRIVMSG #dev :http://www.example.com/live");
    client.send(&format!("@{line}"));
    client.close();
    bot.logs("not connected");
    bot.kill();
    assert_eq!(setting.home.read("links.tsv.heard"), format!("#dev\t{posted}\n"));

    setting.home.write("bot.conf", setting.home.read("bot.conf") + "capture = yes\n");
    let (mut bot, mut client) = setting.start(WITH_HISTORY);
    client.expect(&format!("CHATHISTORY AFTER #dev timestamp={posted} 100"));
    client.send(":irc.test BATCH +x chathistory #dev");
    client.send(&format!("@batch=x;{}", setting.line(10, "http://www.example.com/history")));
    client.send(&format!("@batch=x;{line}"));
    client.send(&format!(
        "@batch=x;{}",
        line.replace(&posted, &timestamp(OffsetDateTime::now_utc())).replace("live", "missed")
    ));
    client.send(":irc.test BATCH -x");
    client.expect("CHATHISTORY");
    setting.send_page(&mut client, &[]);
    bot.logs("caught up in #dev: 1 link from 1 line");
    assert_eq!(setting.saved(), ["add alice www.example.com/missed"]);
}

#[test]
fn a_link_deleted_by_hand_stays_deleted_and_imported_lines_hide_nothing() {
    let setting = Setting::new("");
    setting.reconnect_slowly();
    let lines =
        [(10, ".url http://www.example.com/one One"), (20, "bob: .url http://b.example/ B")];
    let (mut bot, mut client) = setting.start_catch_up();
    setting.send_history(&mut client, &lines);
    bot.logs("2 links from 2 lines");
    client.barrier();
    client.close();
    bot.logs("not connected");
    bot.kill();
    // Deletes one link, and imports 200 old lines.
    let journal = setting.home.read("links.tsv");
    let kept: String = journal
        .lines()
        .filter(|line| !line.ends_with("One") && !line.contains("\tOne\t"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_ne!(kept, journal);
    let imported = "2020-01-01T00:00:00.000Z\tadd\t#dev\tcarol\t\thttp://c.example/\tC\n";
    setting.home.write("links.tsv", kept.clone() + &imported.repeat(200));
    let (mut bot, mut client) = setting.start(WITH_HISTORY);
    client.until("CHATHISTORY");
    setting.send_page(&mut client, &lines);
    client.barrier();
    bot.kill();
    assert_eq!(setting.home.read("links.tsv"), kept.clone() + &imported.repeat(200));
    // Replayed again, as after a crash: the old lines do not hide the events above them.
    setting.set_last_seen(15);
    let (mut bot, mut client) = setting.start(WITH_HISTORY);
    client.until("CHATHISTORY");
    setting.send_history(&mut client, &lines);
    bot.logs("caught up in #dev: 0 links from 1 line");
    assert_eq!(setting.home.read("links.tsv"), kept + &imported.repeat(200));
}

#[test]
fn a_refused_page_is_requested_again_on_reconnect() {
    let setting = Setting::new("");
    let (mut bot, mut client) = setting.start_catch_up();
    client.send(
        ":irc.test FAIL CHATHISTORY MESSAGE_ERROR AFTER #dev :Messages could not be retrieved",
    );
    bot.logs("the server says: FAIL CHATHISTORY MESSAGE_ERROR: Messages could not be retrieved");
    client.send(&format!(
        "@time={} :alice!a@h PRIVMSG #dev :hello",
        timestamp(OffsetDateTime::now_utc())
    ));
    client.close();
    bot.logs("not connected");
    let mut client = setting.server.accept();
    client.register(WITH_HISTORY);
    setting.let_in(&mut client);
    client.expect(&format!("CHATHISTORY AFTER #dev timestamp={} 100", setting.after(0)));
    setting.send_history(&mut client, &[(10, ".url http://www.example.com/one One")]);
    bot.logs("caught up in #dev: 1 link from 1 line");
}

/// soju sends the bot's JOIN without a time.
#[test]
fn catch_up_no_ignores_what_a_bouncer_replays() {
    let setting = Setting::new("catch_up = no\ncapture = yes\n");
    let _bot = setting.home.start();
    let mut client = setting.server.accept();
    client.register(WITHOUT_HISTORY);
    client.expect("JOIN #dev");
    client.send(":linkbot!b@h JOIN #dev");
    for (batch, seconds_ago) in [("chathistory", 1), ("znc.in/playback", 400)] {
        let posted = timestamp(OffsetDateTime::now_utc() - Duration::seconds(seconds_ago));
        client.send(&format!(":irc.test BATCH +x {batch} #dev"));
        for text in [".url http://www.example.com/one One", ".help", "http://www.example.com/two"] {
            client.send(&format!("@batch=x;time={posted} :alice!a@h PRIVMSG #dev :{text}"));
        }
        client.send(":irc.test BATCH -x");
    }
    client.say("alice", "#dev", ".url http://www.example.com/three Three");
    client.expect("PRIVMSG #dev :saved: Three");
    assert_eq!(setting.saved(), ["add alice Three"]);
}

#[test]
fn the_console_neither_reads_nor_writes_last_seen_times() {
    let setting = Setting::new("");
    setting.home.write("links.tsv.heard", "nonsense");
    let ended = setting.home.console(".url http://www.example.com/one One\n");
    assert!(!ended.stderr.contains("heard"), "{}", ended.stderr);
    assert_eq!(setting.home.read("links.tsv.heard"), "nonsense");
}
