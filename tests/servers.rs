//! linkbot on IRC servers that others wrote. `.ci/run` installs them; `cargo test` alone passes over these tests.

mod common;

use std::{
    fs::{self, Permissions},
    io,
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    time::Duration,
};

use common::bookmarks::{Answer, Bookmarks};
use common::bot::{Bot, Home};
use common::servers::{Ircd, Person, Znc};
use common::tls;

/// Makes these functions tests on a server.
macro_rules! on {
    ($name:ident, $reason:literal: $($test:ident)*) => {
        mod $name {
            use super::common::servers::Ircd;
            $(
                #[test]
                #[ignore = $reason]
                fn $test() {
                    super::$test(Ircd::$name());
                }
            )*
        }
    };
}

on! { ngircd, "needs ngircd (.ci/run installs it)":
    a_link_reaches_the_channel_the_feed_and_the_account
    the_same_over_tls_to_the_pinned_certificate
    another_certificate_is_refused_before_a_word
    a_certificate_that_nobody_vouches_for_is_refused
    a_taken_nick_is_taken_back_when_its_holder_leaves
    who_is_kicked_stays_out_until_invited
    with_rejoin_who_is_kicked_comes_back
    a_server_that_comes_back_has_the_bot_back
    a_line_that_the_server_cuts_is_never_saved_with_half_an_address
}

on! { inspircd, "needs InspIRCd and Atheme (.ci/run installs them)":
    a_link_reaches_the_channel_the_feed_and_the_account
    the_same_over_tls_to_the_pinned_certificate
    another_certificate_is_refused_before_a_word
    a_taken_nick_is_taken_back_when_its_holder_leaves
    who_is_kicked_stays_out_until_invited
    a_server_that_comes_back_has_the_bot_back
    sasl_plain_logs_in_before_the_channel_is_joined
    sasl_external_logs_in_by_the_certificate
    a_wrong_password_keeps_the_bot_out
    services_that_start_after_the_server_are_waited_for
    the_account_of_who_posts_is_in_the_journal
    what_was_said_in_the_bots_absence_is_replayed
    a_line_that_the_server_cuts_is_never_saved_with_half_an_address
}

on! { hybrid, "needs ircd-hybrid (.ci/run unpacks it)":
    a_link_reaches_the_channel_the_feed_and_the_account
    the_same_over_tls_to_the_pinned_certificate
    another_certificate_is_refused_before_a_word
    a_taken_nick_is_taken_back_when_its_holder_leaves
    who_is_kicked_stays_out_until_invited
    a_server_that_comes_back_has_the_bot_back
    a_line_that_the_server_cuts_is_never_saved_with_half_an_address
}

on! { ergo, "needs Ergo (.ci/run unpacks it)":
    a_link_reaches_the_channel_the_feed_and_the_account
    the_same_over_tls_to_the_pinned_certificate
    another_certificate_is_refused_before_a_word
    a_taken_nick_is_taken_back_when_its_holder_leaves
    who_is_kicked_stays_out_until_invited
    a_server_that_comes_back_has_the_bot_back
    sasl_plain_logs_in_before_the_channel_is_joined
    sasl_external_logs_in_by_the_certificate
    a_wrong_password_keeps_the_bot_out
    a_bridge_may_use_relaymsg_and_a_moderator_is_known_by_the_account
    the_account_of_who_posts_is_in_the_journal
    what_was_said_in_the_bots_absence_is_asked_for
    after_busy_talk_only_what_was_missed_is_caught_up
    a_line_that_the_server_cuts_is_never_saved_with_half_an_address
}

fn a_link_reaches_the_channel_the_feed_and_the_account(ircd: Ircd) {
    a_link_is_kept(&ircd, &ircd.conf());
}

fn the_same_over_tls_to_the_pinned_certificate(ircd: Ircd) {
    a_link_is_kept(&ircd, &format!("{}tls_pin = pin.pem\n", ircd.tls_conf()));
}

/// The whole job: said, answered, in the journal, in the feed, in the account.
fn a_link_is_kept(ircd: &Ircd, conf: &str) {
    let bookmarks = Bookmarks::plain(|_| Answer::done());
    let home = home(ircd, &format!("{conf}{}", bookmarks.conf()));
    let mut alice = Person::enter(ircd, "alice");
    let mut bot = home.start();
    bot.logs("joined #dev");
    alice.says(".url http://www.example.com/ Title For Link");
    alice.is_told("saved: Title For Link");

    let journal = home.journal();
    assert_eq!(journal.len(), 1);
    assert_eq!(
        journal[0][1..],
        ["add", "#dev", "alice", "", "http://www.example.com/", "Title For Link"]
    );

    let request = bookmarks.request();
    let arguments = ["url", "description", "extended"].map(|name| request.argument(name).unwrap());
    assert_eq!(arguments, ["http://www.example.com/", "Title For Link", "posted by alice"]);

    let feed = home.await_feed(&["Title For Link"]);
    assert_eq!(feed.entries[0].links[0].href, "http://www.example.com/");
}

fn another_certificate_is_refused_before_a_word(ircd: Ircd) {
    let home = home(&ircd, &format!("{}tls_pin = pin.pem\n", ircd.tls_conf()));
    home.write("pin.pem", tls::self_signed().pem);
    let mut bot = home.start();
    bot.logs("a different certificate from the one in tls_pin: SHA-256 ");
    is_not_there(&ircd);
}

fn a_certificate_that_nobody_vouches_for_is_refused(ircd: Ircd) {
    let home = home(&ircd, &ircd.tls_conf());
    let mut bot = home.start();
    bot.logs("is self-signed or from an unknown issuer; see tls_pin");
    is_not_there(&ircd);
}

fn is_not_there(ircd: &Ircd) {
    let mut alice = Person::connect(ircd, "alice");
    alice.send("ISON alice linkbot");
    let there = alice.hears("answer to ISON", |line| line.contains(" 303 "));
    assert!(there.contains("alice") && !there.contains("linkbot"), "{there}");
}

fn a_taken_nick_is_taken_back_when_its_holder_leaves(ircd: Ircd) {
    let home = home(&ircd, &ircd.conf());
    let holder = Person::enter(&ircd, "linkbot");
    let mut alice = Person::enter(&ircd, "alice");
    let mut bot = home.start();
    bot.logs("registered as linkbot_, not as linkbot: asking for that nick every 5 min");
    bot.logs("joined #dev");
    holder.quit();
    bot.logs("registered as linkbot");
    a_link_is_saved(&mut alice);
}

fn who_is_kicked_stays_out_until_invited(ircd: Ircd) {
    let home = home(&ircd, &ircd.conf());
    let (mut alice, mut bot) = kicked(&ircd, &home);
    alice.send("NAMES #dev");
    let names = alice.hears("list of names", |line| line.contains(" 353 "));
    assert!(names.contains("alice") && !names.contains("linkbot"), "{names}");
    alice.send("INVITE linkbot #dev");
    bot.logs("joined #dev");
    // What is said while the bot asks for history may reach it as history first. Then it is saved,
    // but gets no answer.
    if alice.knows_of_history() {
        bot.logs("caught up in #dev");
    }
    a_link_is_saved(&mut alice);
}

/// This one takes its minute.
fn with_rejoin_who_is_kicked_comes_back(ircd: Ircd) {
    let home = home(&ircd, &format!("{}rejoin = yes\n", ircd.conf()));
    let (mut alice, mut bot) = kicked(&ircd, &home);
    let joins = |line: &str| line.starts_with(":linkbot!") && line.contains(" JOIN ");
    alice.hears_within(Duration::from_secs(90), "JOIN", joins);
    bot.logs("joined #dev");
    a_link_is_saved(&mut alice);
}

/// The bot came, and alice has kicked it.
fn kicked(ircd: &Ircd, home: &Home) -> (Person, Bot) {
    let mut alice = Person::enter(ircd, "alice");
    let mut bot = home.start();
    bot.logs("joined #dev");
    alice.send("KICK #dev linkbot :enough");
    alice.hears("KICK", |line| line.contains(" KICK #dev linkbot "));
    bot.logs("out of #dev: KICK by alice: enough");
    (alice, bot)
}

fn a_server_that_comes_back_has_the_bot_back(mut ircd: Ircd) {
    let home = home(&ircd, &ircd.conf());
    let mut bot = home.start();
    bot.logs("joined #dev");
    ircd.kill();
    bot.logs("not connected: ");
    ircd.start_again();
    bot.logs("joined #dev");
    a_link_is_saved(&mut Person::enter(&ircd, "alice"));
}

fn sasl_plain_logs_in_before_the_channel_is_joined(ircd: Ircd) {
    let mut keeper = Person::connect(&ircd, "linkbot");
    keeper.register_account("open-sesame");
    keeper.quit();
    let conf =
        "tls_pin = pin.pem\nsasl = plain\nsasl_user = linkbot\nsasl_password = open-sesame\n";
    logs_in(&ircd, home(&ircd, &format!("{}{conf}", ircd.tls_conf())));
}

fn sasl_external_logs_in_by_the_certificate(ircd: Ircd) {
    let own = tls::self_signed();
    let mut keeper = Person::connect(&ircd, "linkbot");
    keeper.register_account("open-sesame");
    keeper.add_certificate(&own);
    keeper.quit();
    let conf = "tls_pin = pin.pem\nsasl = external\ntls_cert = own.pem\n";
    let home = home(&ircd, &format!("{}{conf}", ircd.tls_conf()));
    home.write("own.pem", own.pem + &own.key);
    fs::set_permissions(home.path("own.pem"), Permissions::from_mode(0o600)).unwrap();
    logs_in(&ircd, home);
}

/// The channel lets in only those whom services know.
fn logs_in(ircd: &Ircd, home: Home) {
    let mut alice = Person::enter(ircd, "alice");
    alice.send("MODE #dev +R");
    alice.hears("the mode", |line| line.contains(" MODE #dev "));
    let mut bot = home.start();
    bot.logs("joined #dev");
    alice.send("WHOIS linkbot");
    alice.hears("the account in WHOIS", |line| line.contains(" 330 alice linkbot linkbot "));
    a_link_is_saved(&mut alice);
}

fn a_wrong_password_keeps_the_bot_out(ircd: Ircd) {
    let mut keeper = Person::connect(&ircd, "linkbot");
    keeper.register_account("open-sesame");
    keeper.quit();
    let conf =
        "tls_pin = pin.pem\nsasl = plain\nsasl_user = linkbot\nsasl_password = open-barley\n";
    let home = home(&ircd, &format!("{}{conf}", ircd.tls_conf()));
    let mut bot = home.start();
    let line = bot.logs("not connected: ");
    assert!(line.contains("904"), "{line}");
    assert!(line.contains("retrying in 15 min"), "{line}");
    assert!(!bot.log().contains("open-barley"));
    is_not_there(&ircd);
}

fn services_that_start_after_the_server_are_waited_for(mut ircd: Ircd) {
    let mut keeper = Person::connect(&ircd, "linkbot");
    keeper.register_account("open-sesame");
    keeper.quit();
    let conf =
        "tls_pin = pin.pem\nsasl = plain\nsasl_user = linkbot\nsasl_password = open-sesame\n";
    let home = home(&ircd, &format!("{}{conf}", ircd.tls_conf()));
    let mut bot = home.start();
    bot.logs("joined #dev");
    ircd.stop_services();
    ircd.kill();
    bot.logs("not connected: ");
    ircd.start_again();
    let line = bot.logs("not connected: login failed: ");
    assert!(line.contains("(are services down?); retrying in ") && line.ends_with(" s"), "{line}");
    ircd.start_services_again();
    bot.logs("joined #dev");
}

fn the_account_of_who_posts_is_in_the_journal(ircd: Ircd) {
    let home = home(&ircd, &ircd.conf());
    let mut alice = Person::enter(&ircd, "alice");
    let mut bot = home.start();
    bot.logs("joined #dev");
    a_link_is_saved(&mut alice);
    alice.register_account("my-own-password");
    alice.send("NICK alice_away");
    alice.says(".url http://www.example.com/second Second");
    alice.is_told("saved: Second");
    let posters: Vec<_> =
        home.journal().into_iter().map(|columns| columns[3..5].join(" ")).collect();
    assert_eq!(posters, ["alice ", "alice_away alice"]);
}

fn a_bridge_may_use_relaymsg_and_a_moderator_is_known_by_the_account(ircd: Ircd) {
    let home = home(&ircd, &(ircd.conf() + "moderators = alice\n"));
    // The first person in a channel is an operator: RELAYMSG is theirs.
    let mut alice = Person::enter(&ircd, "alice");
    let mut bot = home.start();
    bot.logs("joined #dev");
    alice.send("RELAYMSG #dev bob/discord :.url http://www.example.com/ Relayed");
    alice.is_told("saved: Relayed");
    alice.says(".undo http://www.example.com/");
    alice.is_told("alice: not yours: posted by bob/discord");
    alice.register_account("my-own-password");
    alice.says(".undo http://www.example.com/");
    alice.is_told("removed: Relayed");
    let posters: Vec<_> =
        home.journal().into_iter().map(|columns| columns[3..5].join(" ")).collect();
    assert_eq!(posters, ["bob/discord ", "alice alice"]);
}

/// Ergo tells it when asked (draft/chathistory), and only then.
fn what_was_said_in_the_bots_absence_is_asked_for(ircd: Ircd) {
    let alice = Person::enter(&ircd, "alice");
    what_was_said_is_caught_up(&ircd, alice);
}

/// InspIRCd replays its history by itself, in a batch, with times.
fn what_was_said_in_the_bots_absence_is_replayed(ircd: Ircd) {
    let mut alice = Person::enter(&ircd, "alice");
    alice.send("MODE #dev +H 50:1d");
    alice.hears("the mode", |line| line.contains(" MODE #dev "));
    what_was_said_is_caught_up(&ircd, alice);
}

/// The bot is away for three links, one of them undone.
fn what_was_said_is_caught_up(ircd: &Ircd, mut alice: Person) {
    let bookmarks = Bookmarks::plain(|_| Answer::done());
    let home = home(ircd, &format!("{}{}", ircd.conf(), bookmarks.conf()));
    let mut bot = home.start();
    bot.logs("joined #dev");
    a_link_is_saved(&mut alice);
    bookmarks.request();
    home.await_cursor(&home.journal()[0][0]);
    is_killed(bot, &mut alice);
    let heard = home.read("links.tsv.heard");

    for n in ["one", "two", "three"] {
        alice.says(&format!(".url http://www.example.com/{n} Link {n}"));
    }
    alice.says(".undo");
    alice.send("PING :said");
    alice.hears("PONG", |line| line.contains(" PONG "));
    let said = seconds_now();
    // So that the time of saving is another; InspIRCd tells the second only.
    while seconds_now() - said < 2.0 {
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut bot = home.start();
    bot.logs("caught up in #dev: 3 links from ");
    let titles = ["Link two", "Link one", "Title For Link"];
    let feed = home.await_feed(&titles);
    let published: Vec<f64> =
        feed.entries[..2].iter().map(|e| e.published.unwrap().timestamp() as f64).collect();
    assert!(published.iter().all(|time| (said - time).abs() < 2.0), "{said} {published:?}");
    let journal = home.journal();
    assert_eq!(
        journal.iter().map(|c| &c[1][..]).collect::<Vec<_>>(),
        ["add", "add", "add", "add", "remove"]
    );
    for columns in &journal[1..] {
        assert!((posted(columns) - said).abs() < 2.0, "{columns:?}");
    }
    for title in ["Link one", "Link two"] {
        let request = bookmarks.request();
        assert_eq!(request.argument("description").unwrap(), title);
        assert!(
            (seconds(request.argument("dt").unwrap()) - said).abs() < 2.0,
            "{said} {request:?}"
        );
    }
    is_killed(bot, &mut alice);
    nothing_is_told_twice(&home, &heard, &mut alice, &titles);
}

/// The bot is killed again, and in the middle: the journal ends after the first of the three.
fn nothing_is_told_twice(home: &Home, heard: &str, alice: &mut Person, titles: &[&str]) {
    home.write("links.tsv.heard", heard);
    let whole = home.read("links.tsv");
    home.write(
        "links.tsv",
        whole.lines().take(2).map(|line| format!("{line}\n")).collect::<String>(),
    );
    let mut bot = home.start();
    bot.logs("caught up in #dev: 2 links from ");
    home.await_feed(titles);
    is_killed(bot, alice);
    home.write("links.tsv.heard", heard);
    let mut bot = home.start();
    bot.logs("caught up in #dev: 0 links from ");
    assert_eq!(home.journal().len(), 5);
    // The bot has said one thing in all that time.
    alice.says(".status");
    alice.hears("status", |line| {
        assert!(
            !line.starts_with(":linkbot")
                || !line.contains(" PRIVMSG ")
                || line.contains(":status: "),
            "{line}"
        );
        line.contains(":status: ")
    });
}

/// Talk with 1,500 addresses is heard live, and the connection ends. Then a link is deleted by hand, capture is
/// switched on, and alice posts three links and a correction, 0.2 s apart.
fn after_busy_talk_only_what_was_missed_is_caught_up(ircd: Ircd) {
    let mut alice = Person::enter(&ircd, "alice");
    let wire = Wire::to(ircd.port);
    let conf = ircd.conf().replace(&format!(":{}", ircd.port), &format!(":{}", wire.port));
    assert_ne!(conf, ircd.conf());
    let home = home(&ircd, &conf);
    let mut bot = home.start();
    bot.logs("joined #dev");
    for n in 0..1500 {
        alice.says(&format!("talk about http://www.example.com/talk/{n}"));
        // The server drops a client that does not keep up.
        if n % 600 == 599 {
            alice.says(".status");
            alice.hears("status", |line| line.starts_with(":linkbot!"));
        }
    }
    a_link_is_saved(&mut alice);
    wire.cut();
    bot.logs("not connected: ");
    bot.kill();
    home.write("links.tsv", "");
    home.write("bot.conf", home.read("bot.conf") + "capture = yes\n");
    for said in [
        ".url http://www.example.com/one Wrong",
        ".undo",
        ".url http://www.example.com/one One",
        ".url http://www.example.com/two Two",
        ".url http://www.example.com/two Three",
    ] {
        alice.says(said);
        std::thread::sleep(Duration::from_millis(200));
    }
    let heard = home.read("links.tsv.heard");
    // The second time it is all replayed again, as after a crash.
    for caught in ["3 links from ", "0 links from "] {
        let mut bot = home.start();
        bot.logs(&format!("caught up in #dev: {caught}"));
        is_killed(bot, &mut alice);
        home.write("links.tsv.heard", &heard);
    }
    let saved: Vec<_> = home.journal().iter().map(|c| format!("{} {}", c[1], c[6])).collect();
    assert_eq!(saved, ["add Wrong", "remove ", "add One", "add Two", "title Three"]);
}

fn is_killed(mut bot: Bot, alice: &mut Person) {
    bot.kill();
    alice.hears("the end of the bot", |line| {
        line.starts_with(":linkbot!") && line.contains(" QUIT ")
    });
}

#[test]
#[ignore = "needs ZNC and ngircd (.ci/run installs them)"]
fn on_a_bouncer_that_is_shared_other_channels_are_neither_left_nor_listened_to() {
    let ircd = Ircd::ngircd();
    let mut alice = Person::enter(&ircd, "alice");
    alice.send("JOIN #private,#other");
    let znc = Znc::on(&ircd);
    alice.hears("the bouncer", |line| {
        line.starts_with(":linkbot!") && line.contains(" JOIN ") && line.ends_with("#other")
    });
    let home = Home::new(&znc.conf());
    for n in 0..2 {
        let mut bot = home.start();
        bot.logs("joined #dev");
        alice.send("PRIVMSG #private :.url http://www.example.com/ Private");
        alice.says(&format!(".url http://www.example.com/{n} Title {n}"));
        alice.is_told(&format!("saved: Title {n}"));
        let log = bot.kill();
        for name in ["#private", "#other"] {
            let line = format!("in {name}, which is not in bot.conf: ignoring what is said there");
            assert_eq!(log.matches(&line).count(), 1, "{log}");
        }
        alice.send("NAMES #private");
        let names = alice.hears("list of names", |line| line.contains(" 353 "));
        assert!(names.contains("linkbot"), "{names}");
    }
    assert_eq!(home.titles(), ["Title 0", "Title 1"]);
}

/// ZNC replays its buffer in a batch, after a JOIN without a time.
#[test]
#[ignore = "needs ZNC and ngircd (.ci/run installs them)"]
fn what_a_bouncer_replays_is_saved_only_with_catch_up() {
    for (catch_up, saved) in [("no", vec!["Live"]), ("yes", vec!["Missed", "Live"])] {
        let ircd = Ircd::ngircd();
        let mut alice = Person::enter(&ircd, "alice");
        let znc = Znc::on(&ircd);
        alice.hears("the bouncer", |line| line.starts_with(":linkbot!") && line.contains(" JOIN "));
        let home = Home::new(&format!("{}catch_up = {catch_up}\n", znc.conf()));
        let hour_ago = time::OffsetDateTime::now_utc() - time::Duration::HOUR;
        let (date, (h, m, s)) = (hour_ago.date(), hour_ago.to_hms());
        let heard = format!("#dev\t{date}T{h:02}:{m:02}:{s:02}.000Z\n");
        home.write("links.tsv.heard", heard);
        alice.says(".url http://www.example.com/missed Missed");
        alice.send("PING :said");
        alice.hears("PONG", |line| line.contains(" PONG "));
        // What is live has another time than what is replayed.
        std::thread::sleep(Duration::from_millis(1100));
        let mut bot = home.start();
        bot.logs("joined #dev");
        alice.says(".url http://www.example.com/live Live");
        alice.hears("the first reply", |line| {
            let is_reply = line.starts_with(":linkbot!") && line.contains(" PRIVMSG ");
            assert!(!is_reply || line.ends_with(":saved: Live"), "{line}");
            is_reply
        });
        assert_eq!(home.titles(), saved, "{}", bot.log());
    }
}

#[test]
#[ignore = "needs Ergo (.ci/run unpacks it)"]
fn a_channel_whose_name_is_not_ascii_is_joined_once_in_any_case() {
    let ircd = Ircd::ergo_precis();
    let mut alice = Person::connect(&ircd, "alice");
    alice.send("JOIN #\u{e4}rger");
    alice.hears("the list of names", |line| line.contains(" 366 "));
    let home = home(&ircd, &ircd.conf().replace("#dev", "#\u{c4}rger"));
    let mut bot = home.start();
    bot.logs("joined #\u{c4}rger");
    alice.send("PRIVMSG #\u{c4}RGER :.url http://www.example.com/ Title For Link");
    alice.hears("the reply", |line| {
        assert!(!line.contains(" PART "), "{line}");
        line.starts_with(":linkbot!") && line.ends_with(":saved: Title For Link")
    });
    assert_eq!(home.journal()[0][2], "#\u{c4}rger");
    assert_eq!(bot.kill().matches("joined").count(), 1);
}

fn seconds_now() -> f64 {
    time::OffsetDateTime::now_utc().unix_timestamp_nanos() as f64 / 1e9
}

#[test]
#[ignore = "needs InspIRCd and libfaketime (.ci/run installs them)"]
fn the_servers_time_is_the_time_of_posting() {
    let ircd = Ircd::inspircd_off_by("-6m");
    let home = home(&ircd, &ircd.conf());
    let mut alice = Person::enter(&ircd, "alice");
    let mut bot = home.start();
    bot.logs("joined #dev");
    a_link_is_saved(&mut alice);
    let columns = &home.journal()[0];
    assert!((seconds_now() - posted(columns) - 360.0).abs() < 30.0, "{columns:?}");
}

/// The eighth column, or the first where both would be the same.
fn posted(columns: &[String]) -> f64 {
    seconds(columns.get(7).unwrap_or(&columns[0]))
}

fn seconds(time: &str) -> f64 {
    let time =
        time::OffsetDateTime::parse(time, &time::format_description::well_known::Rfc3339).unwrap();
    time.unix_timestamp_nanos() as f64 / 1e9
}

fn a_line_that_the_server_cuts_is_never_saved_with_half_an_address(ircd: Ircd) {
    let home = home(&ircd, &format!("{}capture = yes\n", ircd.conf()));
    let mut alice = Person::enter(&ircd, "alice");
    let mut bot = home.start();
    bot.logs("joined #dev");
    // As long as a client may send it; the server adds alice's mask.
    let full = |text: &str, filler: &str| {
        let room = 510 - "PRIVMSG #dev :".len() - text.len();
        format!("{text}{}", filler.repeat(room / filler.len()))
    };
    alice.says(&full("Title http://www.example.com/1", "a"));
    alice.says(&full(".url Title http://www.example.com/2", "a"));
    alice.hears("an error", |line| line.contains(":alice: the address may be incomplete: IRC cut"));
    // One of the two is cut in the middle of a character.
    for number in ["1", "22"] {
        alice.says(&full(&format!(".url http://www.example.com/K\u{f6}ln/{number} "), "\u{fc}"));
        alice.hears("an answer", |line| line.contains(" PRIVMSG #dev :saved: \u{fc}"));
    }
    for (event, number) in home.journal().iter().zip(["1", "22"]) {
        assert_eq!(event[5], format!("http://www.example.com/K%C3%B6ln/{number}"));
        assert!(event[6].chars().all(|c| c == '\u{fc}'), "{event:?}");
    }
    assert_eq!(home.journal().len(), 2);
}

fn a_link_is_saved(person: &mut Person) {
    person.says(".url http://www.example.com/ Title For Link");
    person.is_told("saved: Title For Link");
}

/// A home for the bot, with the server's certificate in pin.pem.
fn home(ircd: &Ircd, conf: &str) -> Home {
    let home = Home::new(conf);
    home.write("pin.pem", &ircd.certificate.pem);
    home
}

/// A way to a server that can be cut.
struct Wire {
    port: u16,
    ends: std::sync::mpsc::Receiver<TcpStream>,
}

impl Wire {
    fn to(server: u16) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, ends) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for bot in listener.incoming().map_while(Result::ok) {
                let ircd = TcpStream::connect(("127.0.0.1", server)).unwrap();
                for (from, to) in [(&bot, &ircd), (&ircd, &bot)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
                let _ = sender.send(ircd);
            }
        });
        Wire { port, ends }
    }

    /// Ends the connection that was made first.
    fn cut(&self) {
        let _ = self.ends.recv().unwrap().shutdown(Shutdown::Both);
    }
}
