//! The console: the same commands, from standard input and without a network.

mod common;

use std::process::Stdio;

use common::bookmarks::{Answer, Bookmarks};
use common::bot::{Ended, Home};
use common::irc::IrcServer;

const CONF: &str = "server = localhost:6667\ntls = no\nchannels = #dev, #other\n";
const USAGE: &str = "usage: .url http://www.example.com/ Title For Link";

#[test]
fn a_piped_console_prints_only_replies_and_ends_with_status_0() {
    let home = Home::new(CONF);
    let ended = home.console(".url http://www.example.com/ Title For Link\nhello\n");
    assert_eq!(ended.stdout, "saved: Title For Link\n");
    assert_eq!(ended.stderr, "");
    assert_eq!(ended.status, Some(0));
}

#[test]
fn the_journal_and_the_feed_are_written_next_to_bot_conf() {
    let home = Home::new(CONF);
    let mut linkbot = home.linkbot(&["--console", home.path("bot.conf").to_str().unwrap()]);
    linkbot.current_dir("/");
    Ended::of(linkbot, b".url http://www.example.com/ Title For Link\n");
    let line = &home.journal()[0];
    assert_eq!(line[1..], ["add", "#dev", "you", "", "http://www.example.com/", "Title For Link"]);
    assert_eq!(home.feed().entries[0].title.as_ref().unwrap().content, "Title For Link");
}

#[test]
fn a_line_is_from_the_nick_in_front_of_it_or_else_from_user_or_you() {
    let home = Home::new(CONF);
    let as_user = |user: Option<&str>, input: &str| {
        let mut linkbot = home.linkbot(&["--console", "bot.conf"]);
        linkbot.envs(user.map(|user| ("USER", user)));
        assert_eq!(Ended::of(linkbot, input.as_bytes()).status, Some(0));
        home.journal().last().unwrap()[3].clone()
    };
    assert_eq!(as_user(Some("carol"), ".url http://example.com/1 One\n"), "carol");
    assert_eq!(as_user(None, ".url http://example.com/2 Two\n"), "you");
    assert_eq!(as_user(Some("carol"), "<bob> .url http://example.com/3 Three\n"), "bob");
    // A tab in USER would forge a column.
    assert_eq!(as_user(Some("a\tb"), ".url http://example.com/4 Four\n"), "you");
}

#[test]
fn no_network_is_used_whatever_bot_conf_says() {
    let server = IrcServer::plain();
    let bookmarks = Bookmarks::plain(|_| Answer::done());
    let home = Home::new(&(server.conf() + &bookmarks.conf()));
    let input = ".url http://example.com/ One\n.url http://example.com/2 Two\n.help\n.status\n";
    let trace = home.trace("network", &["--console", "bot.conf"], input);
    assert_eq!(home.titles(), ["One", "Two"]);
    // Proves that strace traced the process, so it would show network calls.
    assert!(trace.contains("+++ exited with 0 +++"), "{trace}");
    assert!(!trace.contains("socket(") && !trace.contains("connect("), "{trace}");
}

#[test]
fn on_a_terminal_it_greets_with_one_line() {
    let home = Home::new(&format!("{CONF}page = {{channel}}.html\n"));
    let mut script = std::process::Command::new("script");
    let command = format!("{} --console bot.conf", env!("CARGO_BIN_EXE_linkbot"));
    script
        .args(["-qec", &command, "/dev/null"])
        .current_dir(home.path(""))
        .stderr(Stdio::inherit());
    let ended = Ended::of(script, b"\x04");
    let greeting = ended.stdout.lines().find(|line| line.contains("linkbot")).expect(&ended.stdout);
    assert!(
        [" #dev;", ".help ", " dev.html:"].iter().all(|part| greeting.contains(part)),
        "{greeting}"
    );
    assert_eq!(ended.stdout.matches("#dev").count(), 1);
}

#[test]
fn an_address_may_be_in_brackets_or_end_in_invisible_characters() {
    for (input, saved) in [
        ("linkbot: <http://x.example/1> T", "http://x.example/1"),
        (".url <http://x.example/2> T", "http://x.example/2"),
        (".url http://x.example/3\u{200b} T", "http://x.example/3"),
        (".url http://x.example/4\u{f} T", "http://x.example/4"),
    ] {
        let home = Home::new(CONF);
        home.console(input);
        assert_eq!(home.journal()[0][5], saved, "{input}");
    }
    assert_eq!(Home::new(CONF).console(".url http://x.example/5\u{3}04,01 T").stdout, "saved: T\n");
    let home = Home::new(CONF);
    assert_eq!(home.console(".url T <http://x.example/>").stdout, "saved: T\n");
}

#[test]
fn a_command_begins_with_the_prefix_or_with_the_bots_name() {
    for input in [
        ".url http://x.example/ T",
        "linkbot: url http://x.example/ T",
        "linkbot, url http://x.example/ T",
    ] {
        let home = Home::new(CONF);
        assert_eq!(home.console(input).stdout, "saved: T\n", "{input}");
    }
    let home = Home::new(&format!("{CONF}prefix = !\nnick = marvin\n"));
    let input = "!url http://x.example/ A\nmarvin: url http://x.example/ B\n.url http://x.example/ C\nlinkbot: url D\n";
    assert_eq!(home.console(input).stdout, "saved: A\ntitle changed: B\n");
}

#[test]
fn a_bad_url_command_gets_usage_and_saves_nothing() {
    let long = format!("http://www.example.com/{} T", "a".repeat(1000));
    let refused = [
        ("", "the address is missing"),
        ("http://a.example/ T http://b.example/", "one address at a time, please"),
        ("http://a.example/ T http://user:secret@b.example/", "one address at a time, please"),
        ("http://www.example.com/", "title"),
        ("http://www.example.com/ \x02\x0304 \u{202e}", "title"),
        ("Title For Link", "the address is missing"),
        ("www.example.com Title", "the address is missing"),
        ("ftp://www.example.com/ Title", "the address is missing"),
        ("javascript:alert(1) Title", "the address is missing"),
        ("mailto:alice@example.com Title", "the address is missing"),
        ("http:// Title", "host"),
        ("http://exa,mple/ Title", "host"),
        ("https://$HOST/ Title", "host"),
        ("http://http//www.example.com Title", "host"),
        ("http://www.example.com/ \u{3164}\u{2800}\u{ad}\u{200e}\u{200f}", "title"),
        ("http://www.example.com:99999/ Title", "port"),
        ("http://alice@www.example.com/ Title", "user name"),
        ("http://alice:secret@www.example.com/ Title", "password"),
        (&long, "1000"),
    ];
    let home = Home::new(CONF);
    for (arguments, why) in refused {
        let ended = home.console(format!(".url {arguments}\n"));
        let reply = ended.stdout.strip_suffix('\n').expect("a reply");
        assert!(reply.ends_with(USAGE), "{arguments}: {reply}");
        // An error starts with the nick of the person who asked. Otherwise someone could make the
        // bot command other bots or channel services.
        let error = reply.strip_suffix(USAGE).unwrap().strip_prefix("you: ").expect(reply);
        assert!(error.contains(why), "{arguments}: {reply}");
        assert!(
            ["the ", "an ", "not ", "one "].iter().any(|word| error.starts_with(word)),
            "{reply}"
        );
        assert!(!reply.contains('\n') && !reply.contains("alice"), "{reply}");
    }
    assert_eq!(home.journal().len(), 0);
}

#[test]
fn an_address_is_stored_as_the_url_crate_prints_it() {
    let stored = [
        ("HTTP://WWW.Example.COM", "http://www.example.com/"),
        ("<https://example.com/a>", "https://example.com/a"),
        ("https://bücher.example/ü?q=ä", "https://xn--bcher-kva.example/%C3%BC?q=%C3%A4"),
        ("http://[2001:db8::1]:8080/", "http://[2001:db8::1]:8080/"),
    ];
    let home = Home::new(CONF);
    for (typed, saved) in stored {
        assert_eq!(home.console(format!(".url {typed} T\n")).stdout, "saved: T\n");
        assert_eq!(home.journal().last().unwrap()[5], saved);
    }
}

#[test]
fn help_lists_commands_and_help_url_describes_url_with_an_example() {
    let home = Home::new(CONF);
    let all = home.console(".help\n").stdout;
    assert!(all.contains("url") && all.contains("help") && all.lines().count() == 1, "{all}");
    let one = home.console(".help url\n").stdout;
    assert!(
        one.contains(".url http://www.example.com/ Title For Link") && one.contains("saves a link"),
        "{one}"
    );
    assert_eq!(one.lines().count(), 1);
}

#[test]
fn an_unknown_command_after_the_prefix_or_plain_talk_gets_no_reply() {
    let home = Home::new(CONF);
    let input = ".weather Berlin\n.\n..\nlinkbot, good morning\nurl http://example.com/ T\n<http://x.example/> .url http://a.example/ T\n\n.urls http://a.example/ T\n";
    let ended = home.console(input);
    assert_eq!((ended.stdout.as_str(), ended.status), ("", Some(0)));
    assert_eq!(home.journal().len(), 0);
}

#[test]
fn latin_1_and_a_last_line_without_newline_are_accepted() {
    let home = Home::new(CONF);
    assert_eq!(
        home.console(b".url http://example.com/ Caf\xe9 au lait").stdout,
        "saved: Café au lait\n"
    );
    assert_eq!(home.titles(), ["Café au lait"]);
}

#[test]
fn a_byte_that_is_not_utf_8_is_latin_1_and_a_partial_last_character_is_dropped() {
    for (input, url, title) in [
        (&b".url https://example.org/K\xc3\xb6ln A\xc3"[..], "https://example.org/K%C3%B6ln", "A"),
        (b".url https://example.org/K\xc3\xb6ln A\xe2\x82", "https://example.org/K%C3%B6ln", "A"),
        (
            b".url https://example.org/K\xc3\xb6ln caf\xe9!",
            "https://example.org/K%C3%B6ln",
            "café!",
        ),
        (b".url https://example.org/K\xf6ln A", "https://example.org/K%C3%B6ln", "A"),
    ] {
        let home = Home::new(CONF);
        home.console(input);
        assert_eq!(home.journal()[0][5..7], [url, title], "{input:?}");
    }
}

#[test]
fn a_byte_order_mark_before_bot_conf_or_the_journal_is_ignored() {
    for journal in [
        "\u{feff}2026-11-22T10:31:19.123Z\tadd\t#dev\talice\t\thttp://example.com/\tOld\n",
        "\u{feff}# a comment\n2026-11-22T10:31:19.123Z\tadd\t#dev\talice\t\thttp://example.com/\tOld\n",
    ] {
        let home = Home::new(&format!("\u{feff}{CONF}"));
        home.write("links.tsv", journal);
        let ended = home.console(".url http://example.com/2 New\n");
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("saved: New\n", ""));
        home.await_feed(&["New", "Old"]);
    }
}
