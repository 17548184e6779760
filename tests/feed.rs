//! The feed, as a reader sees it.

mod common;

use std::{fs, process::Command};

use common::bot::{Ended, Home};
use common::irc::IrcServer;

const CONF: &str = "server = localhost:6667\ntls = no\nchannels = #dev\n";

fn titles(feed: &feed_rs::model::Feed) -> Vec<String> {
    feed.entries.iter().map(|entry| entry.title.as_ref().unwrap().content.clone()).collect()
}

#[test]
fn any_title_reaches_the_feed_as_it_was_meant() {
    let long = "x".repeat(400);
    let cases: &[(&[u8], &str)] = &[
        (b"]]> and <![CDATA[", "]]> and <![CDATA["),
        (b"&amp; is no &", "&amp; is no &"),
        (b"<b>bold</b> <script>alert(1)</script>", "<b>bold</b> <script>alert(1)</script>"),
        ("emoji 🦀 👩‍👩‍👧 😀".as_bytes(), "emoji 🦀 👩‍👩‍👧 😀"),
        ("مرحبا بالعالم שלום".as_bytes(), "مرحبا بالعالم שלום"),
        ("over\u{202e}ride\u{2066}d".as_bytes(), "overrided"),
        (
            b"\x02bold\x02 \x0304,12colour\x03 \x04ff00ffhex\x04 \x1ditalic\x0f",
            "bold colour hex italic",
        ),
        (b"Latin-1: caf\xe9 \xfcber", "Latin-1: café über"),
        (b"tab\there   and  there", "tab here and there"),
        ("e\u{301} combining".as_bytes(), "e\u{301} combining"),
        (b"quotes \" ' and \\ / &lt;", "quotes \" ' and \\ / &lt;"),
        (long.as_bytes(), &long),
    ];
    let server = IrcServer::plain();
    let home = Home::new(&server.conf());
    let _bot = home.start();
    let mut client = server.welcome();
    for (n, (posted, _)) in cases.iter().enumerate() {
        let url = format!(".url http://www.example.com/?a={n}&b=ü ");
        client.say("alice", "#dev", [url.as_bytes(), posted].concat());
    }
    let meant: Vec<_> = cases.iter().map(|(_, meant)| meant.to_string()).collect();
    common::eventually("all titles", || (home.titles() == meant).then_some(()));
    let links: Vec<_> = meant.iter().rev().map(String::as_str).collect();
    for (n, entry) in home.await_feed(&links).entries.iter().rev().enumerate() {
        assert_eq!(entry.links[0].href, format!("http://www.example.com/?a={n}&b=%C3%BC"));
        assert_eq!(entry.authors[0].name, "alice");
        assert!(entry.summary.as_ref().unwrap().content.contains("posted by alice in"));
    }
}

#[test]
fn a_restart_does_not_rewrite_an_unchanged_feed() {
    let home = Home::new(CONF);
    home.console(".url http://www.example.com/1 One\n<bob> .url http://www.example.com/2 Two\n");
    let (before, written) = (home.read("links.xml"), fs::metadata(home.path("links.xml")).unwrap());
    home.console("hello\n");
    assert_eq!(home.read("links.xml"), before);
    let after = fs::metadata(home.path("links.xml")).unwrap();
    assert_eq!(after.modified().unwrap(), written.modified().unwrap());
    assert_eq!(
        std::os::unix::fs::MetadataExt::ino(&after),
        std::os::unix::fs::MetadataExt::ino(&written)
    );
    // A missing feed is rebuilt from the journal alone.
    fs::remove_file(home.path("links.xml")).unwrap();
    home.console("");
    assert_eq!(home.read("links.xml"), before);
}

#[test]
fn an_empty_journal_makes_an_empty_feed_and_new_settings_change_it() {
    let home = Home::new(CONF);
    home.console("");
    assert_eq!(home.feed().entries.len(), 0);
    home.console(".url http://www.example.com/1 One\n.url http://www.example.com/2 Two\n");
    home.configure(&format!("{CONF}feed_title = Our links\nfeed_items = 1\n"));
    home.console("");
    let feed = home.feed();
    assert_eq!(feed.title.as_ref().unwrap().content, "Our links");
    assert_eq!(titles(&feed), ["Two"]);
}

#[test]
fn an_item_links_to_its_second_in_the_channels_log() {
    let log_url =
        "http://logs.example/?c={channel}&d=[year]-[month]-[day]#[hour]:[minute]:[second]";
    let home = Home::new(&format!("{CONF}log_url = {log_url}\ntimezone = +01:00\n"));
    let line =
        |time, title| format!("{time}\tadd\t#dev\talice\t\thttp://www.example.com/\t{title}\n");
    home.write(
        "links.tsv",
        line("2026-12-31T23:31:19.123Z", "One") + &line("2027-01-01T10:00:00.000Z", "Two"),
    );
    home.console("");
    let text = home.read("links.xml");
    assert!(
        text.contains("<comments>http://logs.example/?c=dev&#x26;d=2027-01-01#00:31:19</comments>"),
        "{text}"
    );
    assert!(
        text.contains("<guid isPermaLink=\"false\">linkbot:%23dev/2026-12-31T23:31:19.123Z</guid>"),
        "{text}"
    );
    assert!(text.contains("<pubDate>Thu, 31 Dec 2026 23:31:19 "), "{text}");
    assert!(text.contains("<lastBuildDate>Fri, 01 Jan 2027 10:00:00 "), "{text}");
    assert!(
        text.contains("<category>#dev</category>")
            && text.contains("<dc:creator>alice</dc:creator>"),
        "{text}"
    );
    let published = home.feed().entries[1].published.unwrap();
    assert_eq!(published.to_rfc3339(), "2026-12-31T23:31:19+00:00");
}

#[test]
fn with_channel_in_feed_each_channel_has_its_own_feed() {
    let server = IrcServer::plain();
    let conf = server.conf().replace("#dev", "#dev, ##c++");
    let home = Home::new(&(conf + "feed = {channel}.xml\nfeed_title = Links\n"));
    let _bot = home.start();
    let mut client = server.accept();
    client.register("");
    for channel in ["#dev", "##c++"] {
        assert_eq!(client.line(), format!("JOIN {channel}"));
        client.let_in(channel);
    }
    client.barrier();
    client.say("alice", "#dev", ".url http://www.example.com/1 One");
    client.expect("PRIVMSG #dev :saved: One");
    client.say("alice", "##c++", ".url http://www.example.com/2 Two");
    client.expect("PRIVMSG ##c++ :saved: Two");
    for (name, title) in [("dev.xml", "One"), ("_c__.xml", "Two")] {
        common::eventually(name, || {
            let feed = feed_rs::parser::parse(home.read(name).as_bytes()).unwrap();
            (titles(&feed) == [title]).then_some(())
        });
    }
}

#[test]
fn a_feed_that_becomes_unwritable_is_logged_and_the_bot_keeps_saving() {
    let server = IrcServer::plain();
    let home = Home::new(&(server.conf() + "feed = public/links.xml\n"));
    fs::create_dir(home.path("public")).unwrap();
    let mut bot = home.start();
    let mut client = server.welcome();
    fs::remove_dir_all(home.path("public")).unwrap();
    client.say("alice", "#dev", ".url http://www.example.com/1 One");
    client.expect("PRIVMSG #dev :saved: One");
    assert!(bot.logs("links.xml").contains("No such file or directory"));
    client.say("alice", "#dev", ".url http://www.example.com/2 Two");
    client.expect("PRIVMSG #dev :saved: Two");
    client.barrier();
    assert_eq!(home.titles(), ["One", "Two"]);
    client.say("alice", "#dev", ".status");
    let status = client.until("PRIVMSG #dev :status: ");
    assert!(status.ends_with("; the feed or page cannot be written: see the log"), "{status}");
}

#[test]
fn a_feed_unwritable_at_start_does_not_stop_anything_else() {
    let home =
        Home::new(&format!("{CONF}feed = {{channel}}/links.xml\n").replace("#dev", "#dev, #ops"));
    fs::create_dir(home.path("ops")).unwrap();
    // A directory in the feed's place.
    fs::create_dir_all(home.path("dev/links.xml")).unwrap();
    let ended = home.console(".url http://www.example.com/1 One\n.status\n");
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(
        ended.stdout.starts_with("saved: One\nstatus: ")
            && ended.stdout.ends_with("; the feed or page cannot be written: see the log\n"),
        "{ended:?}"
    );
    assert!(
        ended.stderr.contains("dev/links.xml: not a regular file; next try in 60 s"),
        "{ended:?}"
    );
    assert!(home.path("ops/links.xml").exists());
}

/// The list of articles that newsboat shows after a reload. newsboat keeps everything in `cache`
/// permanently.
fn newsboat(home: &Home, cache: &str) -> String {
    home.write("urls", format!("file://{}\n", home.path("links.xml").display()));
    // newsboat does not redraw a character that is already in its place on the screen, so the list
    // of feeds must have none in common with a title.
    home.write("newsboat.conf", "feedlist-format \"-\"\narticlelist-format \"%t\"\n");
    let newsboat = format!("newsboat -q -u urls -C newsboat.conf -c {cache}");
    let mut ended = None;
    // Reloads, then opens the first feed in a terminal and quits.
    for (command, keys) in [(format!("{newsboat} -x reload"), ""), (newsboat, "\nqq")] {
        let mut script = Command::new("script");
        script.args(["-qec", &command, "/dev/null"]).current_dir(home.path("")).env_clear();
        script
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", home.path(""))
            .env("TERM", "xterm")
            .env("LC_ALL", "C.UTF-8");
        ended = Some(Ended::of(script, keys.as_bytes()));
        assert_eq!(ended.as_ref().unwrap().status, Some(0), "apt-get install newsboat: {ended:?}");
    }
    ended.unwrap().stdout
}

#[test]
#[ignore = "needs Debian's package newsboat (.ci/run runs it)"]
fn newsboat_shows_new_titles_and_no_removed_links() {
    let home = Home::new(CONF);
    home.console(".url http://a.example/ First <b>&amp; \u{fc}\n.url http://b.example/ Second\n");
    let shown = newsboat(&home, "cache.db");
    assert!(shown.contains("First <b>&amp; \u{fc}") && shown.contains("Second"), "{shown}");
    home.console(".url http://a.example/ Another title\n.url http://c.example/ Third\n.undo http://b.example/\n");
    let shown = newsboat(&home, "cache.db");
    assert!(
        shown.contains("Another title") && shown.contains("Third") && !shown.contains("First"),
        "{shown}"
    );
    let shown = newsboat(&home, "new.db");
    assert!(shown.contains("Another title") && !shown.contains("Second"), "{shown}");
}
