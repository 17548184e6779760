//! What people do with links: post them again, mend them, take them back, find them, and just talk.

mod common;

use common::bot::{Bot, Home};
use common::irc::{Client, IrcServer};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

const CONF: &str = "server = localhost:6667\ntls = no\nchannels = #dev, #other\n";
const CAPTURE: &str = "server = localhost:6667\ntls = no\nchannels = #dev\ncapture = yes\n";

/// What the console answers, line by line.
fn console(home: &Home, input: &str) -> Vec<String> {
    let ended = home.console(input);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    ended.stdout.lines().map(str::to_owned).collect()
}

/// Action, nick, address and title of every event.
fn events(home: &Home) -> Vec<[String; 4]> {
    home.journal()
        .into_iter()
        .map(|c| [c[1].clone(), c[3].clone(), c[5].clone(), c[6].clone()])
        .collect()
}

fn actions(home: &Home) -> Vec<String> {
    events(home).into_iter().map(|[action, nick, ..]| format!("{action} {nick}")).collect()
}

/// Writes links of #dev that were posted before now.
fn posted(home: &Home, links: &[(Duration, &str, &str, &str)]) {
    let lines = links.iter().map(|(age, nick, url, title)| {
        let time = (OffsetDateTime::now_utc() - *age)
            .replace_millisecond(0)
            .unwrap()
            .format(&Rfc3339)
            .unwrap();
        format!("{}.000Z\tadd\t#dev\t{nick}\t\t{url}\t{title}\n", time.trim_end_matches('Z'))
    });
    home.write("links.tsv", lines.collect::<String>());
}

fn at_home(conf: &str) -> (Home, Bot, IrcServer, Client) {
    let server = IrcServer::plain();
    let home = Home::new(&(server.conf() + conf));
    let bot = home.start();
    let client = server.welcome();
    (home, bot, server, client)
}

#[test]
fn your_own_link_with_another_title_gets_that_title() {
    let home = Home::new(CONF);
    let input = "<alice> .url http://www.example.com/ First\n<Alice> .url https://example.com?utm_source=x#:~:text=top Second\n";
    assert_eq!(console(&home, input), ["saved: First", "saved: Second"]);
    let second = ["title", "Alice", "http://www.example.com/", "Second"].map(str::to_owned);
    assert_eq!(events(&home)[1..], [second]);
    let feed = home.feed();
    assert_eq!(feed.entries.len(), 1);
    assert_eq!(feed.entries[0].title.as_ref().unwrap().content, "Second");
}

#[test]
fn your_own_link_with_the_same_title_writes_nothing() {
    let home = Home::new(CONF);
    posted(&home, &[(Duration::minutes(5), "alice", "http://www.example.com/", "Title #tag")]);
    let input = "<alice> .url http://www.example.com/ Title #tag\n";
    assert_eq!(console(&home, input), ["saved before: a\u{200b}lice, 5 min ago: Title"]);
    assert_eq!(events(&home).len(), 1);
}

#[test]
fn a_link_of_someone_else_is_posted_again_once_for_each_of_them() {
    let home = Home::new(CONF);
    posted(&home, &[(Duration::days(3), "alice", "http://www.example.com/", "Title")]);
    let input = "<bob> .url http://www.example.com/ Other\n<carol> .url http://example.com Third\n<BOB> .url http://www.example.com/ Other\n";
    assert_eq!(console(&home, input), ["saved before: a\u{200b}lice, 3 d ago: Title"; 3]);
    assert_eq!(actions(&home), ["add alice", "again bob", "again carol"]);
    assert!(home.read("links.xml").contains("again by bob, carol"));
}

#[test]
fn in_another_channel_or_behind_the_newest_it_is_a_new_link() {
    let home = Home::new(&format!("{CONF}feed_items = 2\n"));
    let hour = Duration::hours(1);
    posted(
        &home,
        &[
            (hour * 3, "alice", "http://a.example/", "A"),
            (hour * 2, "alice", "http://b.example/", "B"),
        ],
    );
    assert_eq!(
        console(&home, "<bob> .url http://a.example/ A\n")[0],
        "saved before: a\u{200b}lice, 3 h ago: A"
    );
    assert_eq!(
        console(&home, "<bob> .url http://c.example/ C\n<bob> .url http://a.example/ A\n"),
        ["saved: C", "saved: A"]
    );
}

#[test]
fn after_a_day_a_nick_alone_is_nobodys_proof() {
    let home = Home::new(CONF);
    posted(&home, &[(Duration::hours(25), "alice", "http://www.example.com/", "Old")]);
    assert_eq!(
        console(&home, "<alice> .undo\n"),
        ["alice: no link of yours in the last 24 hours here"]
    );
    assert_eq!(
        console(&home, "<alice> .undo http://www.example.com/\n"),
        ["alice: not yours: posted by alice"]
    );
    assert_eq!(
        console(&home, "<alice> .url http://www.example.com/ New\n"),
        ["saved before: a\u{200b}lice, 1 d ago: Old"]
    );
}

#[test]
fn an_account_is_a_proof_for_ever_and_against_a_nick() {
    let (home, _bot, _server, mut client) = at_home("");
    let say = |client: &mut Client, account: &str, nick: &str, text: &str| {
        let tags = if account.is_empty() { String::new() } else { format!("@account={account} ") };
        client.send(&format!("{tags}:{nick}!u@h PRIVMSG #dev :{text}"));
        client.line().split_once(" :").unwrap().1.to_owned()
    };
    home.write(
        "links.tsv",
        "2020-01-01T00:00:00.000Z\tadd\t#dev\talice\tann\thttp://old.example/\tOld\n",
    );
    assert_eq!(say(&mut client, "ann", "other", ".url http://old.example/ New"), "saved: New");
    assert_eq!(
        say(&mut client, "eve", "alice", ".undo http://old.example/"),
        "alice: not yours: posted by alice"
    );
    assert_eq!(say(&mut client, "ann", "someone", ".undo"), "removed: New");
    assert_eq!(actions(&home), ["add alice", "title other", "remove someone"]);
}

#[test]
fn undo_takes_back_the_latest_or_the_one_that_is_named() {
    let home = Home::new(CONF);
    let input = "<alice> .url http://a.example/ A\n<alice> .url http://b.example/ B #tag\n<bob> .url http://c.example/ C\n\
                 <alice> .undo\n<alice> .undo https://www.a.example\n<alice> .undo\n<alice> .undo http://c.example/\n\
                 <alice> .undo http://a.example/\n<alice> .undo nonsense\n";
    let none = "alice: not among the newest links";
    let said = console(&home, input);
    assert_eq!(said[3..5], ["removed: B", "removed: A"]);
    assert_eq!(
        said[5..],
        [
            "alice: no link of yours in the last 24 hours here",
            "alice: not yours: posted by bob",
            none,
            none
        ]
    );
    let removed = ["remove", "alice", "http://a.example/", ""].map(str::to_owned);
    assert_eq!(events(&home)[4], removed);
    let titles: Vec<_> =
        home.feed().entries.into_iter().map(|entry| entry.title.unwrap().content).collect();
    assert_eq!(titles, ["C"]);
}

#[test]
fn find_tells_the_newest_three_with_every_word_newest_last() {
    let home = Home::new(CONF);
    posted(
        &home,
        &[
            (Duration::days(2), "alice", "http://one.example/", "Ärger with Rust #borrow"),
            (Duration::hours(2), "bob", "http://two.example/rust", "Two"),
            (Duration::minutes(3), "carol", "http://three.example/", "Three"),
            (Duration::seconds(1), "dave", "http://four.example/", "Four"),
        ],
    );
    let found = |words: &str| console(&home, &format!(".find {words}\n"));
    assert_eq!(
        found("RUST"),
        [
            "found: 2 d ago, a\u{200b}lice: Ärger with Rust http://one.example/",
            "found: 2 h ago, b\u{200b}ob: Two http://two.example/rust",
        ]
    );
    assert_eq!(
        found("ärger borrow"),
        ["found: 2 d ago, a\u{200b}lice: Ärger with Rust http://one.example/"]
    );
    assert_eq!(found("rust bob"), ["found: 2 h ago, b\u{200b}ob: Two http://two.example/rust"]);
    assert_eq!(found("nowhere"), ["nothing found"]);
    let newest = found("");
    assert_eq!(newest.len(), 3);
    assert_eq!(newest[2], "found: just now, d\u{200b}ave: Four http://four.example/");
    assert_eq!(console(&home, "<x> .undo http://two.example/rust\n").len(), 1);
}

#[test]
fn a_found_line_that_is_too_long_loses_the_end_of_its_title() {
    let (_home, _bot, _server, mut client) = at_home("");
    let url = format!("http://www.example.com/{}", "a".repeat(200));
    client.say("alice", "#dev", format!(".url {url} {}", "ü".repeat(120)));
    client.until("PRIVMSG #dev :saved: ");
    client.say("bob", "#dev", ".find");
    let line = client.line();
    assert!(line.ends_with(&format!("ü {url}")), "{line}");
    assert!(format!(":linkbot!1234567890@{} {line}\r\n", "h".repeat(63)).len() <= 512, "{line}");
}

#[test]
fn tags_stay_in_the_journal_and_leave_the_title() {
    let home = Home::new(CONF);
    let input = ".url http://a.example/ Fix of #123 #rust #c++\n.url http://b.example/ #rust\n";
    let said = console(&home, input);
    assert_eq!(said[0], "saved: Fix of #123");
    assert!(said[1].starts_with("you: the title is missing; usage: .url "), "{}", said[1]);
    assert_eq!(events(&home)[0][3], "Fix of #123 #rust #c++");
    let feed = home.feed();
    let terms: Vec<_> =
        feed.entries[0].categories.iter().map(|category| category.term.as_str()).collect();
    assert_eq!(terms, ["#dev", "rust", "c++"]);
}

#[test]
fn its_name_calls_it_also_for_an_address_alone() {
    let home = Home::new(CONF);
    let input = "linkbot: http://www.example.com/ Title For Link\nlinkbot, weather?\n.weather\nlinkbot: look at http://x.example/, T\n";
    let said = console(&home, input);
    assert_eq!(said[0], "saved: Title For Link");
    assert!(
        said[1].starts_with("commands: .url ") && said[2] == "saved: look at, T" && said.len() == 3,
        "{said:?}"
    );
    assert_eq!(
        console(&home, ".url Title http://www.example.com/\n")[0].split(';').next(),
        Some("saved: Title")
    );
}

#[test]
fn help_ends_with_where_the_links_are() {
    let home = Home::new(&format!("{CONF}feed_url = https://example.org/feeds/links.xml\n"));
    assert!(
        console(&home, ".help\n")[0].ends_with("; links: https://example.org/feeds/links.html")
    );
    let home = Home::new(CONF);
    assert!(!console(&home, ".help\n")[0].contains("links:"));
    let home = Home::new(&format!(
        "{CONF}feed = {{channel}}.xml\npage = {{channel}}.html\nfeed_url = https://example.org/{{channel}}.xml\n"
    ));
    assert!(console(&home, ".help\n")[0].ends_with("; links: https://example.org/dev.html"));
}

#[test]
fn in_private_there_is_help_and_no_other_command() {
    let (home, _bot, _server, mut client) = at_home("");
    client.say("alice", "linkbot", ".url http://www.example.com/ T");
    assert_eq!(client.line(), "PRIVMSG alice :only in a channel: what is said here stays here");
    client.say("alice", "linkbot", ".help");
    assert!(client.line().starts_with("PRIVMSG alice :commands: .help"));
    client.say("alice", "linkbot", "hello, http://www.example.com/ is good");
    client.barrier();
    assert_eq!(home.journal().len(), 0);
}

#[test]
fn who_whispers_on_and_on_is_answered_once_in_a_while() {
    let (home, _bot, _server, mut client) = at_home("");
    for _ in 0..8 {
        client.say("alice", "linkbot", ".url http://www.example.com/ T");
    }
    for _ in 0..3 {
        client.expect("PRIVMSG alice :only in a channel");
    }
    client.barrier();
    assert_eq!(home.journal().len(), 0);
}

#[test]
fn no_answer_on_irc_highlights_who_posted_a_link() {
    let (_home, _bot, _server, mut client) = at_home("");
    client.say("alice", "#dev", ".url http://www.example.com/ T");
    assert_eq!(client.line(), "PRIVMSG #dev :saved: T");
    client.say("bob", "#dev", ".url http://www.example.com/ T");
    assert_eq!(client.line(), "PRIVMSG #dev :saved before: a\u{200b}lice, just now: T");
    client.say("bob", "#dev", ".find");
    assert_eq!(
        client.line(),
        "PRIVMSG #dev :found: just now, a\u{200b}lice: T http://www.example.com/"
    );
}

#[test]
fn a_folded_answer_says_of_removed_links_that_they_are_removed() {
    let (home, _bot, _server, mut client) = at_home("");
    let now = OffsetDateTime::now_utc();
    let second =
        time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].000Z");
    let journal = (0..10).map(|n| {
        let time = (now - Duration::minutes(10 - n)).format(second).unwrap();
        format!("{time}\tadd\t#dev\talice\t\thttp://www.example.com/{n}\tNumber {n}\n")
    });
    home.write("links.tsv", journal.collect::<String>());
    let said = ":alice!a@host.example PRIVMSG #dev :.undo\r\n".repeat(10);
    client.send_bytes(
        (said + ":bob!b@host.example PRIVMSG #dev :.url http://www.example.com/ Saved\r\n")
            .as_bytes(),
    );
    let mut removed = 0;
    while removed < 10 {
        let line = client.expect("PRIVMSG #dev :removed: ");
        let folded =
            line.strip_prefix("PRIVMSG #dev :removed: ").unwrap().strip_suffix(" more links");
        removed += folded.map_or(1, |count| count.parse().unwrap());
    }
    assert_eq!(removed, 10);
    assert_eq!(client.line(), "PRIVMSG #dev :saved: Saved");
    home.await_feed(&["Saved"]);
}

#[test]
fn capture_keeps_what_anyone_posts_and_says_nothing() {
    let (home, _bot, _server, mut client) = at_home("capture = yes\n");
    client.say("alice", "#dev", "look at this: http://www.example.com/Foo_(bar), great!");
    client.say("alice", "#dev", "\x01ACTION reads <https://b.example/>\x01");
    client.say("bob", "#dev", "https://example.com/Foo_(bar)");
    client.say("alice", "#dev", "http://www.example.com/Foo_(bar) again");
    client.barrier();
    let expected = [
        ["add", "alice", "http://www.example.com/Foo_(bar)", "look at this:, great!"],
        ["add", "alice", "https://b.example/", "reads"],
        ["again", "bob", "http://www.example.com/Foo_(bar)", "example.com/Foo_(bar)"],
    ];
    assert_eq!(events(&home), expected.map(|event| event.map(str::to_owned)));
}

#[test]
fn capture_is_deaf_to_commands_private_words_notices_and_off() {
    let (home, _bot, _server, mut client) = at_home("capture = yes\nignore = eve\n");
    for said in [
        ".ulr http://a.example/",
        "linkbot: ulr",
        "[off] http://a.example/",
        "[OFF]http://a.example/",
    ] {
        client.say("alice", "#dev", said);
    }
    client.until("PRIVMSG #dev :commands: ");
    client.say("alice", "linkbot", "http://a.example/");
    client.say("eve", "#dev", "http://a.example/");
    client.say("linkbot", "#dev", "http://a.example/");
    client.send(":alice!a@h NOTICE #dev :http://a.example/");
    client.send("@bot :rob!a@h PRIVMSG #dev :http://a.example/");
    client.say("alice", "#dev", "\x01ACTION [off] http://a.example/\x01");
    client.barrier();
    assert_eq!(home.journal().len(), 0);
    client.say("alice", "#dev", "... http://b.example/");
    client.barrier();
    assert_eq!(
        events(&home)[0],
        ["add", "alice", "http://b.example/", "b.example"].map(str::to_owned)
    );
}

#[test]
fn a_captured_link_without_words_takes_the_title_that_someone_gives_it() {
    let home = Home::new(CAPTURE);
    let input = "<alice> http://www.example.com/\n<bob> .url http://www.example.com/ Title\n<carol> .url http://www.example.com/ Other\n";
    assert_eq!(
        console(&home, input),
        ["saved: Title", "saved before: a\u{200b}lice, just now: Title"]
    );
    assert_eq!(actions(&home), ["add alice", "title bob", "again carol"]);
}

#[test]
fn at_most_five_addresses_of_a_line_are_captured() {
    let home = Home::new(CAPTURE);
    let line: String = (1..=6).map(|i| format!("http://{i}.example/ ")).collect();
    assert_eq!(console(&home, &format!("{line}\n")), Vec::<String>::new());
    assert_eq!(home.journal().len(), 5);
}

#[test]
fn without_capture_talk_is_not_kept() {
    let home = Home::new(CONF);
    assert_eq!(console(&home, "look: http://www.example.com/\n"), Vec::<String>::new());
    assert_eq!(home.journal().len(), 0);
}

#[test]
fn what_capture_could_not_save_is_in_the_log_and_not_in_the_channel() {
    let (home, mut bot, _server, mut client) = at_home("capture = yes\n");
    // A folder where the journal was: it can be neither opened nor made anew.
    std::fs::rename(home.path("links.tsv"), home.path("old")).unwrap();
    std::fs::create_dir(home.path("links.tsv")).unwrap();
    client.say("alice", "#dev", "http://www.example.com/");
    client.barrier();
    bot.logs("#dev alice: could not save");
    client.say("alice", "#dev", ".url http://www.example.com/ T");
    assert!(client.line().starts_with("PRIVMSG #dev :alice: could not save: "));
}
