//! What people do with links: repost, retitle, remove, keep and find them, or just talk.

mod common;

use common::bot::{Bot, Home};
use common::irc::{Client, IrcServer};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

const CONF: &str = "server = localhost:6667\ntls = no\nchannels = #dev, #other\n";
const CAPTURE: &str = "server = localhost:6667\ntls = no\nchannels = #dev\ncapture = yes\n";

/// The console's replies to `input`, line by line.
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

/// Writes a journal with links that were posted in #dev this long ago.
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

fn bot_in_dev(conf: &str) -> (Home, Bot, IrcServer, Client) {
    let server = IrcServer::plain();
    let home = Home::new(&(server.conf() + conf));
    let bot = home.start();
    let client = server.welcome();
    (home, bot, server, client)
}

#[test]
fn your_own_link_with_another_title_gets_that_title() {
    let home = Home::new(CONF);
    let input = "<alice> .url http://www.example.com/ First\n\
                 <Alice> .url https://example.com?utm_source=x#:~:text=top Second\n";
    assert_eq!(console(&home, input), ["saved: First", "title changed: Second"]);
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
fn someone_elses_link_is_reposted_once_per_person() {
    let home = Home::new(CONF);
    posted(&home, &[(Duration::days(3), "alice", "http://www.example.com/", "Title")]);
    let input = "<bob> .url http://www.example.com/ Other\n\
                 <carol> .url http://example.com Third\n\
                 <BOB> .url http://www.example.com/ Other\n";
    assert_eq!(
        console(&home, input),
        ["saved before: a\u{200b}lice, 3 d ago: Title (title kept)"; 3]
    );
    assert_eq!(actions(&home), ["add alice", "again bob", "again carol"]);
    assert!(home.read("links.xml").contains("again by bob, carol"));
}

#[test]
fn only_the_newest_mebibyte_is_searched_whatever_feed_items_says() {
    let home = Home::new(&format!("{CONF}feed_items = 2\n"));
    let padding = "x".repeat(900);
    let line = |n: usize, url: &str| {
        let minute = n / 60;
        let time = format!("2026-01-01T{:02}:{:02}:{:02}.000Z", minute / 60, minute % 60, n % 60);
        format!("{time}\tadd\t#dev\talice\t\t{url}\t{padding}\n")
    };
    // The first line begins before the newest MiB, the second one is in it.
    let mut journal = line(0, "http://far.example/");
    journal += &line(1, "http://near.example/");
    let mut n = 2;
    while journal.len() < (1 << 20) + 300 {
        journal += &line(n, &format!("http://{n}.example/"));
        n += 1;
    }
    home.write("links.tsv", journal);
    let said = console(
        &home,
        "<bob> .undo http://near.example/\n<bob> .undo http://far.example/\n\
         <bob> .url http://near.example/ N\n<bob> .url http://far.example/ F\n",
    );
    assert_eq!(said[..2], ["bob: not yours: posted by alice", "bob: not among the newest links"]);
    assert!(said[2].starts_with("saved before: a\u{200b}lice, "), "{}", said[2]);
    assert_eq!(said[3], "saved: F");
}

#[test]
fn after_a_day_a_nick_alone_proves_nothing() {
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
        ["saved before: a\u{200b}lice, 1 d ago: Old (title kept)"]
    );
}

#[test]
fn an_account_always_owns_its_links_whatever_the_nick() {
    let (home, _bot, _server, mut client) = bot_in_dev("");
    let say = |client: &mut Client, account: &str, nick: &str, text: &str| {
        let tags = if account.is_empty() { String::new() } else { format!("@account={account} ") };
        client.send(&format!("{tags}:{nick}!u@h PRIVMSG #dev :{text}"));
        client.line().split_once(" :").unwrap().1.to_owned()
    };
    home.write(
        "links.tsv",
        "2020-01-01T00:00:00.000Z\tadd\t#dev\talice\tann\thttp://old.example/\tOld\n",
    );
    assert_eq!(
        say(&mut client, "ann", "other", ".url http://old.example/ New"),
        "title changed: New"
    );
    assert_eq!(
        say(&mut client, "eve", "alice", ".undo http://old.example/"),
        "alice: not yours: posted by alice"
    );
    assert_eq!(say(&mut client, "ann", "someone", ".undo"), "removed: New");
    assert_eq!(actions(&home), ["add alice", "title other", "remove someone"]);
}

#[test]
fn undo_removes_your_latest_link_or_the_named_one() {
    let home = Home::new(CONF);
    let input = "<alice> .url http://a.example/ A\n<alice> .url http://b.example/ B #tag\n\
                 <bob> .url http://c.example/ C\n<alice> .undo\n\
                 <alice> .undo https://www.a.example\n<alice> .undo\n\
                 <alice> .undo http://c.example/\n\
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
fn find_lists_the_newest_three_with_every_word_newest_last() {
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
fn find_shortens_the_title_of_a_line_that_is_too_long() {
    let (_home, _bot, _server, mut client) = bot_in_dev("");
    let url = format!("http://www.example.com/{}", "a".repeat(200));
    client.say("alice", "#dev", format!(".url {url} {}", "ü".repeat(120)));
    client.until("PRIVMSG #dev :saved: ");
    client.say("bob", "#dev", ".find");
    let line = client.line();
    assert!(line.ends_with(&format!("ü {url}")), "{line}");
    assert!(format!(":linkbot!1234567890@{} {line}\r\n", "h".repeat(63)).len() <= 512, "{line}");
}

#[test]
fn an_address_with_nothing_to_compare_is_not_every_address() {
    let home = Home::new(CONF);
    let said =
        console(&home, ".url http://a.example/ A\n.url http://www./ W\n.undo http://www./\n");
    assert_eq!(said, ["saved: A", "saved: W", "removed: W"]);
}

#[test]
fn find_never_cuts_an_address() {
    let home = Home::new(CONF);
    for (length, is_shown) in [(350, true), (351, false), (1000, false)] {
        let start = format!("http://{length}.example/");
        let url = format!("{start}{}", "a".repeat(length - start.len()));
        let said = console(&home, &format!(".url {url} Title\n.find {start}\n"));
        let shown = said[1].ends_with(&url);
        let explained = said[1].ends_with(": Title (its address is too long for IRC)");
        assert_eq!((shown, explained), (is_shown, !is_shown), "{said:?}");
        console(&home, ".undo\n");
    }
}

#[test]
fn tags_are_in_the_journal_but_not_in_replies() {
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
fn the_bots_name_makes_an_address_a_command_or_a_question_a_request_and_nothing_else() {
    let saved = ["saved: Title"];
    // The reply starts with the list of commands, which in a fork includes its own.
    let help = ["; details: .help url"];
    let nothing: [&str; 0] = [];
    let usage = "usage: .url http://www.example.com/ Title For Link \
                 (saves a link; use it again to change the title)";
    for (said, expected) in [
        ("linkbot: http://www.example.com/ Title", &saved[..]),
        ("linkbot http://www.example.com/ Title", &saved),
        ("linkbot, url http://www.example.com/ Title", &saved),
        ("@linkbot .url http://www.example.com/ Title", &saved),
        (".url: http://www.example.com/ Title", &saved),
        (".URL, http://www.example.com/ Title", &saved),
        (".url\u{a0}http://www.example.com/ Title", &saved),
        (".url\u{3000}http://www.example.com/ Title", &saved),
        ("  \u{2}.url http://www.example.com/ Title", &saved),
        (".urlhttp://www.example.com/ Title", &saved),
        (".url; http://www.example.com/ Title", &saved),
        (".url. http://www.example.com/ Title", &saved),
        (".url_http://www.example.com/_ Title", &saved),
        (".url[http://www.example.com/] Title", &saved),
        (".url`http://www.example.com/` Title", &saved),
        (".url“http://www.example.com/” Title", &saved),
        ("linkbot", &help),
        ("linkbot:", &help),
        ("linkbot, weather?", &help),
        ("linkbot?", &help),
        ("linkbot: Helpful!", &help),
        ("linkbot help me", &help),
        (".help nothing", &help),
        ("linkbot: help url", &[usage]),
        (".help .url", &[usage]),
        ("linkbot, good morning", &nothing),
        ("linkbot is great", &nothing),
        ("linkbots: url http://www.example.com/ Title", &nothing),
        (".weather Berlin", &nothing),
        (".NET 9 is out https://dot.net/", &nothing),
        (".tell bob see https://example.com/", &nothing),
        (".oO( https://example.com/ )", &nothing),
        (".urls http://www.example.com/ Title", &nothing),
        (".url's http://www.example.com/ Title", &nothing),
        (".keep-alive and .find/.undo", &nothing),
        (".find/.undo http://www.example.com/ Title", &nothing),
        ("...", &nothing),
    ] {
        let replies = console(&Home::new(CONF), &format!("{said}\n"));
        assert_eq!(replies.len(), expected.len(), "{said}: {replies:?}");
        assert!(
            replies.iter().zip(expected).all(|(reply, end)| reply.ends_with(end)),
            "{replies:?}"
        );
    }
}

#[test]
fn another_bots_command_is_captured_as_talk_unless_it_says_off() {
    for (said, title) in [
        (".NET 9 is out https://dot.net/9", ".NET 9 is out"),
        (".tell bob see https://dot.net/9", ".tell bob see"),
    ] {
        let home = Home::new(CAPTURE);
        assert_eq!(console(&home, &format!("{said}\n")), Vec::<String>::new());
        assert_eq!(home.titles(), [title]);
    }
    let home = Home::new(CAPTURE);
    for off in [
        "[off] https://a.example/",
        "https://a.example/ is secret [off]",
        "https://a.example/ [OFF] ",
        "\u{2}[off]\u{2} https://a.example/",
        "<bob> [off] https://a.example/",
        "[net] <bob> [off] https://a.example/",
        "bob: [off] https://a.example/",
        "> [off] https://a.example/",
        "https://a.example/ is secret [off].",
        "*[off]* https://a.example/",
    ] {
        // The console would read a leading `<...>` as the speaker.
        assert_eq!(console(&home, &format!("<alice> {off}\n.keep\n")).len(), 1, "{off}");
    }
    let refused = ["you: not saved: you said [off]"];
    assert_eq!(console(&home, ".url https://a.example/ T [off]\n"), refused);
    assert_eq!(console(&home, "linkbot: [off] https://a.example/ T\n"), refused);
    assert_eq!(home.journal().len(), 0);
}

const NOTHING_TO_KEEP: &str = "you: nothing to keep: no link was posted here lately";

#[test]
fn keep_saves_the_last_link_under_its_posters_nick() {
    let home = Home::new(CONF);
    let input = ".keep\n<alice> see http://a.example/ for more\n<bob> http://b.example/ is good\n\
                 <carol> nothing\n.keep\n.keep\n<alice> .undo\n<bob> .undo\n.keep\n";
    let said = console(&home, input);
    assert_eq!(said[0], NOTHING_TO_KEEP);
    assert_eq!(said[1], "saved: is good");
    assert_eq!(said[2], NOTHING_TO_KEEP, "already kept");
    assert_eq!(
        said[3..5],
        ["alice: no link of yours in the last 24 hours here", "removed: is good"]
    );
    assert_eq!(said[5], NOTHING_TO_KEEP, "after .undo");
    assert_eq!(events(&home)[0], ["add", "bob", "http://b.example/", "is good"].map(str::to_owned));
}

#[test]
fn keep_accepts_a_title_and_acts_like_url_with_an_address() {
    let home = Home::new(CONF);
    let input = "<bob> http://b.example/ is good\n<alice> .keep A better  title #tag\n\
                 <bob> https://c.example/ [off]\n.keep\n\
                 <bob> see http://b.example\n<alice> .keep Mine\n\
                 <alice> .keep http://d.example/ D\n\
                 <bob> http://e.example/\n<alice> .keep \u{3164}\n";
    let before = "saved before: b\u{200b}ob, just now: A better title (title kept)";
    assert_eq!(
        console(&home, input),
        ["saved: A better title", NOTHING_TO_KEEP, before, "saved: D", "saved: e.example"]
    );
    assert_eq!(actions(&home), ["add bob", "add alice", "add bob"]);
    assert_eq!(home.titles()[0], "A better title #tag");
}

#[test]
fn with_capture_there_is_nothing_left_to_keep() {
    let home = Home::new(CAPTURE);
    assert_eq!(console(&home, "<bob> http://b.example/ is good\n.keep\n"), [NOTHING_TO_KEEP]);
    assert_eq!(actions(&home), ["add bob"]);
}

#[test]
fn keep_works_per_channel_and_skips_bots_notices_and_ignored_nicks() {
    let server = IrcServer::plain();
    let conf = server.conf().replace("#dev", "#dev, #ops");
    let home = Home::new(&format!("{conf}ignore = eve\n"));
    let _bot = home.start();
    let mut client = server.accept();
    client.login_to(&["#dev", "#ops"]);
    client.say("alice", "#dev", "http://a.example/ A");
    client.say("eve", "#dev", "http://eve.example/ E");
    client.send("@bot :rob!a@h PRIVMSG #dev :http://rob.example/ R");
    client.send(":carol!a@h NOTICE #dev :http://carol.example/ C");
    client.say("bob", "#ops", ".keep");
    client.expect("PRIVMSG #ops :bob: nothing to keep: ");
    client.say("bob", "#dev", ".keep");
    assert_eq!(client.line(), "PRIVMSG #dev :saved: A");
    assert_eq!(actions(&home), ["add alice"]);
}

#[test]
fn a_link_belongs_to_its_account_and_moderators_may_change_any() {
    let (home, _bot, _server, mut client) =
        bot_in_dev("moderators = Mod, other\nmoderators = third\n");
    home.write(
        "links.tsv",
        "2020-01-01T00:00:00.000Z\tadd\t#dev\talice\tann\thttp://old.example/\tOld\n",
    );
    let say = |client: &mut Client, account: &str, nick: &str, text: &str| {
        let tags = if account.is_empty() { String::new() } else { format!("@account={account} ") };
        client.send(&format!("{tags}:{nick}!{nick}@{nick}.example PRIVMSG #dev :{text}"));
        client.line().split_once(" :").unwrap().1.to_owned()
    };
    let not_yours = "alice: not yours: posted by alice";
    assert_eq!(say(&mut client, "", "alice", ".undo https://www.old.example"), not_yours);
    let kept = say(&mut client, "", "alice", ".url http://old.example/ New");
    assert!(kept.ends_with(": Old (title kept)"), "{kept}");
    // A nick that equals a moderator's account gives no rights.
    let not_yours = "mod: not yours: posted by alice";
    assert_eq!(say(&mut client, "", "mod", ".undo http://old.example/"), not_yours);
    assert_eq!(
        say(&mut client, "mod", "op", ".undo"),
        "op: no link of yours in the last 24 hours here"
    );
    assert_eq!(
        say(&mut client, "mod", "op", ".url http://old.example/ Fixed"),
        "title changed: Fixed"
    );
    assert_eq!(say(&mut client, "THIRD", "op", ".undo http://old.example/"), "removed: Fixed");
    assert_eq!(actions(&home), ["add alice", "title op", "remove op"]);
}

#[test]
fn a_relayed_line_belongs_to_the_person_that_it_names() {
    let (home, _bot, _server, mut client) = bot_in_dev("relay = bridge\nrelay = *!*@m.example\n");
    let say = |client: &mut Client, text: &str| {
        client.send(&format!("@bot;account=br :bridge!b@h PRIVMSG #dev :{text}"));
    };
    say(&mut client, "<alice>: .url http://a.example/ A");
    assert_eq!(client.line(), "PRIVMSG #dev :saved: A");
    say(&mut client, "[discord] <bob> .undo http://a.example/");
    assert_eq!(client.line(), "PRIVMSG #dev :bob: not yours: posted by alice");
    say(&mut client, "<!kick> .undo http://a.example/");
    assert_eq!(client.line(), "PRIVMSG #dev :kick: not yours: posted by alice");
    say(&mut client, "alice: .undo");
    assert_eq!(client.line(), "PRIVMSG #dev :removed: A");
    say(&mut client, "<carol> http://c.example/ C");
    say(&mut client, "<dave> [off] http://d.example/ D");
    say(&mut client, "[xmpp] alice: linkbot: keep");
    assert_eq!(client.line(), "PRIVMSG #dev :saved: C");
    say(&mut client, "<linkbot> found: http://e.example/ E");
    say(&mut client, ".url http://b.example/ B");
    assert_eq!(client.line(), "PRIVMSG #dev :saved: B");
    let accounts: Vec<_> =
        home.journal().into_iter().map(|c| format!("{} {}", c[3], c[4])).collect();
    assert_eq!(accounts, ["alice ", "alice ", "carol ", "bridge br"]);
}

#[test]
fn a_flooding_host_gets_20_links_captured_but_url_is_never_limited() {
    let (home, mut bot, _server, mut client) = bot_in_dev("capture = yes\n");
    // The last one is over the limit.
    for n in 0..21 {
        let nick = ["alice", "bob"][n % 2];
        client.say(nick, "#dev", format!("http://{n}.example/ talk {n}"));
    }
    bot.logs("too many links from host.example");
    client.say("alice", "#dev", "http://again.example/ talk");
    client.send(":carol!c@elsewhere.example PRIVMSG #dev :http://carol.example/ by carol");
    client.barrier();
    assert_eq!(home.titles().len(), 21);
    assert_eq!(home.titles()[20], "by carol");
    client.say("alice", "#dev", ".url http://url.example/ Said");
    client.until("PRIVMSG #dev :saved: Said");
    assert_eq!(bot.log().matches("too many links").count(), 1);
}

#[test]
fn a_saved_link_is_confirmed_before_replies_to_lookups() {
    let (_home, _bot, _server, mut client) = bot_in_dev("");
    let mut lines = String::new();
    for nick in ["a", "b", "c"] {
        lines += &format!(":{nick}!{nick}@{nick} PRIVMSG #dev :.help\r\n").repeat(3);
    }
    lines += ":d!d@d PRIVMSG #dev :.url http://d.example/ D\r\n";
    client.send_bytes(lines.as_bytes());
    assert_eq!(client.line(), "PRIVMSG #dev :saved: D");
}

#[test]
fn a_long_title_is_shortened_in_replies_only() {
    let home = Home::new(CONF);
    let title = "ü".repeat(121);
    let cut = format!("{}…", "ü".repeat(119));
    let said = console(&home, &format!(".url http://a.example/ {title}\n.find\n.undo\n"));
    let found = format!("found: just now, y\u{200b}ou: {cut} http://a.example/");
    assert_eq!(said, [format!("saved: {cut}"), found, format!("removed: {cut}")]);
    assert_eq!(home.titles()[0], title);
    let title = "ü".repeat(120);
    assert_eq!(
        console(&home, &format!(".url http://b.example/ {title}\n")),
        [format!("saved: {title}")]
    );
}

#[test]
fn find_accepts_phrases_and_addresses() {
    let home = Home::new(CONF);
    let input = ".url http://www.a.example/x/ The quick brown fox\n\
                 .url http://b.example/x The brown quick fox\n";
    assert_eq!(console(&home, input).len(), 2);
    let found = |words: &str| {
        let said = console(&home, &format!(".find {words}\n"));
        said.into_iter()
            .map(|line| line.split(' ').next_back().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(found("quick brown").len(), 2);
    assert_eq!(found("\"quick brown\""), ["http://www.a.example/x/"]);
    assert_eq!(found("“Quick  brown” fox"), ["http://www.a.example/x/"]);
    assert_eq!(found("\"quick brown"), ["http://www.a.example/x/"]);
    for punctuated in ["fox, brown quick.", "\"quick brown fox?\"", "fox; quick: brown!"] {
        assert!(found(punctuated).contains(&"http://www.a.example/x/".into()), "{punctuated}");
    }
    assert_eq!(console(&home, "linkbot: find the brown?\n").len(), 2);
    assert_eq!(found("https://a.example/x"), ["http://www.a.example/x/"]);
    assert_eq!(found("<https://www.a.example/x?utm_source=y>"), ["http://www.a.example/x/"]);
    assert_eq!(found("www.a.example/x/"), ["http://www.a.example/x/"]);
    assert_eq!(found("b.example/x/"), ["http://b.example/x"]);
    assert_eq!(found("https://a.example/"), ["http://www.a.example/x/"]);
    assert_eq!(found("https://a.example/y"), ["found"]);
}

#[test]
fn status_and_help_show_no_file_names() {
    let (home, mut bot, _server, mut client) = bot_in_dev("page = pages.html\n");
    client.say("alice", "#dev", ".help");
    let help = client.line();
    assert!(help.ends_with("; details: .help url"), "{help}");
    std::fs::remove_file(home.path("pages.html")).unwrap();
    std::fs::create_dir(home.path("pages.html")).unwrap();
    client.say("alice", "#dev", ".url http://a.example/ A");
    client.until("PRIVMSG #dev :saved: A");
    bot.logs("pages.html: ");
    client.say("alice", "#dev", ".status");
    let status = client.line();
    assert!(status.ends_with("; the feed or page cannot be written: see the log"), "{status}");
    assert!(!status.contains('/') && !status.contains("html"), "{status}");
}

#[test]
fn help_ends_with_the_pages_address() {
    let home = Home::new(&format!("{CONF}feed_url = https://example.org/feeds/links.xml\n"));
    assert!(
        console(&home, ".help\n")[0].ends_with("; links: https://example.org/feeds/links.html")
    );
    let home = Home::new(CONF);
    assert!(!console(&home, ".help\n")[0].contains("links:"));
    let home = Home::new(&format!(
        "{CONF}feed = {{channel}}.xml\npage = {{channel}}.html\n\
         feed_url = https://example.org/{{channel}}.xml\n"
    ));
    assert!(console(&home, ".help\n")[0].ends_with("; links: https://example.org/dev.html"));
}

#[test]
fn in_private_every_line_gets_one_line_of_help_and_saves_nothing() {
    const HELP: &str = "PRIVMSG alice :say .url ADDRESS TITLE in #dev; .help there lists the rest";
    let (home, _bot, _server, mut client) = bot_in_dev("capture = yes\n");
    for line in
        [".url http://www.example.com/ T", "hello, http://www.example.com/ is good", ".help"]
    {
        client.say("alice", "linkbot", line);
        assert_eq!(client.line(), HELP);
    }
    // The rate limit is reached. Bots, notices and CTCP get no such reply either.
    client.say("alice", "linkbot", "hello?");
    client.send("@bot :rob!a@h PRIVMSG linkbot :hello");
    client.send(":bob!a@h NOTICE linkbot :hello");
    client.say("carol", "linkbot", "\x01FINGER\x01");
    client.barrier();
    assert_eq!(home.journal().len(), 0);
}

#[test]
fn no_reply_on_irc_highlights_a_links_poster() {
    let (_home, _bot, _server, mut client) = bot_in_dev("");
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
fn a_merged_reply_says_that_removed_links_are_removed() {
    let (home, _bot, _server, mut client) = bot_in_dev("");
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
        let merged =
            line.strip_prefix("PRIVMSG #dev :removed: ").unwrap().strip_suffix(" more links");
        removed += merged.map_or(1, |count| count.parse().unwrap());
    }
    assert_eq!(removed, 10);
    assert_eq!(client.line(), "PRIVMSG #dev :saved: Saved");
    home.await_feed(&["Saved"]);
}

#[test]
fn capture_saves_what_anyone_posts_without_a_reply() {
    let (home, _bot, _server, mut client) = bot_in_dev("capture = yes\n");
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
fn capture_skips_lines_marked_off_private_lines_notices_bots_and_ignored_nicks() {
    let (home, _bot, _server, mut client) = bot_in_dev("capture = yes\nignore = eve\n");
    for said in ["[off] http://a.example/", "[OFF]http://a.example/", "http://a.example/ [off]"] {
        client.say("alice", "#dev", said);
    }
    client.say("alice", "linkbot", "http://a.example/");
    client.expect("PRIVMSG alice :say .url ");
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
fn a_link_captured_without_a_title_gets_the_first_one_given() {
    let home = Home::new(CAPTURE);
    let input = "<alice> http://www.example.com/\n<bob> .url http://www.example.com/ Title\n\
                 <carol> .url http://www.example.com/ Other\n";
    assert_eq!(
        console(&home, input),
        ["title changed: Title", "saved before: a\u{200b}lice, just now: Title (title kept)"]
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
fn without_capture_talk_is_not_saved() {
    let home = Home::new(CONF);
    assert_eq!(console(&home, "look: http://www.example.com/\n"), Vec::<String>::new());
    assert_eq!(home.journal().len(), 0);
}

#[test]
fn a_failed_capture_is_logged_but_gets_no_reply() {
    let (home, mut bot, _server, mut client) = bot_in_dev("capture = yes\n");
    // A directory in the journal's place: linkbot can neither open nor recreate the journal.
    std::fs::rename(home.path("links.tsv"), home.path("old")).unwrap();
    std::fs::create_dir(home.path("links.tsv")).unwrap();
    client.say("alice", "#dev", "http://www.example.com/");
    client.barrier();
    bot.logs("#dev alice: could not save");
    client.say("alice", "#dev", ".url http://www.example.com/ T");
    assert!(client.line().starts_with("PRIVMSG #dev :alice: could not save: "));
}
