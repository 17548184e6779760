//! linkbot on real IRC servers. `.ci/run` installs them; plain `cargo test` skips these tests.

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

/// Turns these functions into tests against one server.
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
    a_link_gets_there_over_tls_with_a_pinned_certificate
    a_certificate_other_than_the_pin_is_refused
    an_unpinned_self_signed_certificate_is_refused
    a_taken_nick_is_claimed_when_its_holder_leaves
    a_kicked_bot_stays_out_until_invited
    with_rejoin_a_kicked_bot_comes_back
    the_bot_comes_back_after_a_server_restart
    a_line_cut_by_the_server_is_never_saved_with_half_an_address
}

on! { inspircd, "needs InspIRCd and Atheme (.ci/run installs them)":
    a_link_reaches_the_channel_the_feed_and_the_account
    a_link_gets_there_over_tls_with_a_pinned_certificate
    a_certificate_other_than_the_pin_is_refused
    a_taken_nick_is_claimed_when_its_holder_leaves
    a_kicked_bot_stays_out_until_invited
    the_bot_comes_back_after_a_server_restart
    sasl_plain_logs_in_before_the_channel_is_joined
    sasl_external_logs_in_with_the_certificate
    a_wrong_password_keeps_the_bot_out
    the_bot_waits_for_services_that_start_late
    the_posters_account_is_in_the_journal
    missed_links_are_caught_up_from_a_replay
    a_line_cut_by_the_server_is_never_saved_with_half_an_address
}

on! { hybrid, "needs ircd-hybrid (.ci/run unpacks it)":
    a_link_reaches_the_channel_the_feed_and_the_account
    a_link_gets_there_over_tls_with_a_pinned_certificate
    a_certificate_other_than_the_pin_is_refused
    a_taken_nick_is_claimed_when_its_holder_leaves
    a_kicked_bot_stays_out_until_invited
    the_bot_comes_back_after_a_server_restart
    a_line_cut_by_the_server_is_never_saved_with_half_an_address
}

on! { ergo, "needs Ergo (.ci/run unpacks it)":
    a_link_reaches_the_channel_the_feed_and_the_account
    a_link_gets_there_over_tls_with_a_pinned_certificate
    a_certificate_other_than_the_pin_is_refused
    a_taken_nick_is_claimed_when_its_holder_leaves
    a_kicked_bot_stays_out_until_invited
    the_bot_comes_back_after_a_server_restart
    sasl_plain_logs_in_before_the_channel_is_joined
    sasl_external_logs_in_with_the_certificate
    a_wrong_password_keeps_the_bot_out
    a_bridge_may_use_relaymsg_and_an_account_makes_a_moderator
    the_posters_account_is_in_the_journal
    missed_links_are_caught_up_on_request
    after_busy_talk_only_missed_lines_are_caught_up
    a_line_cut_by_the_server_is_never_saved_with_half_an_address
}

fn a_link_reaches_the_channel_the_feed_and_the_account(ircd: Ircd) {
    a_link_is_delivered(&ircd, &ircd.conf());
}

fn a_link_gets_there_over_tls_with_a_pinned_certificate(ircd: Ircd) {
    a_link_is_delivered(&ircd, &format!("{}tls_pin = pin.pem\n", ircd.tls_conf()));
}

/// End to end: a posted link gets a reply and is in the journal, the feed and the bookmark account.
fn a_link_is_delivered(ircd: &Ircd, conf: &str) {
    let bookmarks = Bookmarks::plain(|_| Answer::done());
    let home = home(ircd, &format!("{conf}{}", bookmarks.conf()));
    let mut alice = Person::enter(ircd, "alice");
    let mut bot = home.start();
    bot.logs("joined #dev");
    alice.says(".url http://www.example.com/ Title For Link");
    alice.gets_reply("saved: Title For Link");

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

fn a_certificate_other_than_the_pin_is_refused(ircd: Ircd) {
    let home = home(&ircd, &format!("{}tls_pin = pin.pem\n", ircd.tls_conf()));
    home.write("pin.pem", tls::self_signed().pem);
    let mut bot = home.start();
    bot.logs("a different certificate from the one in tls_pin: SHA-256 ");
    assert_bot_is_offline(&ircd);
}

fn an_unpinned_self_signed_certificate_is_refused(ircd: Ircd) {
    let home = home(&ircd, &ircd.tls_conf());
    let mut bot = home.start();
    bot.logs("is self-signed or from an unknown issuer; see tls_pin");
    assert_bot_is_offline(&ircd);
}

fn assert_bot_is_offline(ircd: &Ircd) {
    let mut alice = Person::connect(ircd, "alice");
    alice.send("ISON alice linkbot");
    let online = alice.hears("the reply to ISON", |line| line.contains(" 303 "));
    assert!(online.contains("alice") && !online.contains("linkbot"), "{online}");
}

fn a_taken_nick_is_claimed_when_its_holder_leaves(ircd: Ircd) {
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

fn a_kicked_bot_stays_out_until_invited(ircd: Ircd) {
    let home = home(&ircd, &ircd.conf());
    let (mut alice, mut bot) = kicked(&ircd, &home);
    alice.send("NAMES #dev");
    let names = alice.hears("the list of names", |line| line.contains(" 353 "));
    assert!(names.contains("alice") && !names.contains("linkbot"), "{names}");
    alice.send("INVITE linkbot #dev");
    bot.logs("joined #dev");
    // A line posted while the bot requests history may reach it as history first. Then it is
    // saved, but gets no reply.
    if alice.server_keeps_history() {
        bot.logs("caught up in #dev");
    }
    a_link_is_saved(&mut alice);
}

/// This takes a minute.
fn with_rejoin_a_kicked_bot_comes_back(ircd: Ircd) {
    let home = home(&ircd, &format!("{}rejoin = yes\n", ircd.conf()));
    let (mut alice, mut bot) = kicked(&ircd, &home);
    let joins = |line: &str| line.starts_with(":linkbot!") && line.contains(" JOIN ");
    alice.hears_within(Duration::from_secs(90), "JOIN", joins);
    bot.logs("joined #dev");
    a_link_is_saved(&mut alice);
}

/// alice has kicked the bot.
fn kicked(ircd: &Ircd, home: &Home) -> (Person, Bot) {
    let mut alice = Person::enter(ircd, "alice");
    let mut bot = home.start();
    bot.logs("joined #dev");
    alice.send("KICK #dev linkbot :enough");
    alice.hears("KICK", |line| line.contains(" KICK #dev linkbot "));
    bot.logs("out of #dev: KICK by alice: enough");
    (alice, bot)
}

fn the_bot_comes_back_after_a_server_restart(mut ircd: Ircd) {
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
    let mut owner = Person::connect(&ircd, "linkbot");
    owner.register_account("open-sesame");
    owner.quit();
    let conf =
        "tls_pin = pin.pem\nsasl = plain\nsasl_user = linkbot\nsasl_password = open-sesame\n";
    logs_in(&ircd, home(&ircd, &format!("{}{conf}", ircd.tls_conf())));
}

fn sasl_external_logs_in_with_the_certificate(ircd: Ircd) {
    let own = tls::self_signed();
    let mut owner = Person::connect(&ircd, "linkbot");
    owner.register_account("open-sesame");
    owner.add_certificate(&own);
    owner.quit();
    let conf = "tls_pin = pin.pem\nsasl = external\ntls_cert = own.pem\n";
    let home = home(&ircd, &format!("{}{conf}", ircd.tls_conf()));
    home.write("own.pem", own.pem + &own.key);
    fs::set_permissions(home.path("own.pem"), Permissions::from_mode(0o600)).unwrap();
    logs_in(&ircd, home);
}

/// The channel admits only people with an account.
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
    let mut owner = Person::connect(&ircd, "linkbot");
    owner.register_account("open-sesame");
    owner.quit();
    let conf =
        "tls_pin = pin.pem\nsasl = plain\nsasl_user = linkbot\nsasl_password = open-barley\n";
    let home = home(&ircd, &format!("{}{conf}", ircd.tls_conf()));
    let mut bot = home.start();
    let line = bot.logs("not connected: ");
    assert!(line.contains("904"), "{line}");
    assert!(line.contains("retrying in 15 min"), "{line}");
    assert!(!bot.log().contains("open-barley"));
    assert_bot_is_offline(&ircd);
}

fn the_bot_waits_for_services_that_start_late(mut ircd: Ircd) {
    let mut owner = Person::connect(&ircd, "linkbot");
    owner.register_account("open-sesame");
    owner.quit();
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

fn the_posters_account_is_in_the_journal(ircd: Ircd) {
    let home = home(&ircd, &ircd.conf());
    let mut alice = Person::enter(&ircd, "alice");
    let mut bot = home.start();
    bot.logs("joined #dev");
    a_link_is_saved(&mut alice);
    alice.register_account("my-own-password");
    alice.send("NICK alice_away");
    alice.says(".url http://www.example.com/second Second");
    alice.gets_reply("saved: Second");
    let posters: Vec<_> =
        home.journal().into_iter().map(|columns| columns[3..5].join(" ")).collect();
    assert_eq!(posters, ["alice ", "alice_away alice"]);
}

fn a_bridge_may_use_relaymsg_and_an_account_makes_a_moderator(ircd: Ircd) {
    let home = home(&ircd, &(ircd.conf() + "moderators = alice\n"));
    // The first person in a channel is its operator, who may use RELAYMSG.
    let mut alice = Person::enter(&ircd, "alice");
    let mut bot = home.start();
    bot.logs("joined #dev");
    alice.send("RELAYMSG #dev bob/discord :.url http://www.example.com/ Relayed");
    alice.gets_reply("saved: Relayed");
    alice.says(".undo http://www.example.com/");
    alice.gets_reply("alice: not yours: posted by bob/discord");
    alice.register_account("my-own-password");
    alice.says(".undo http://www.example.com/");
    alice.gets_reply("removed: Relayed");
    let posters: Vec<_> =
        home.journal().into_iter().map(|columns| columns[3..5].join(" ")).collect();
    assert_eq!(posters, ["bob/discord ", "alice alice"]);
}

/// Ergo sends history only on request (draft/chathistory).
fn missed_links_are_caught_up_on_request(ircd: Ircd) {
    let alice = Person::enter(&ircd, "alice");
    missed_links_are_caught_up(&ircd, alice);
}

/// InspIRCd replays its history without a request, in a batch, with times.
fn missed_links_are_caught_up_from_a_replay(ircd: Ircd) {
    let mut alice = Person::enter(&ircd, "alice");
    alice.send("MODE #dev +H 50:1d");
    alice.hears("the mode", |line| line.contains(" MODE #dev "));
    missed_links_are_caught_up(&ircd, alice);
}

/// Three links are posted while the bot is away; one of them is removed.
fn missed_links_are_caught_up(ircd: &Ircd, mut alice: Person) {
    let bookmarks = Bookmarks::plain(|_| Answer::done());
    let home = home(ircd, &format!("{}{}", ircd.conf(), bookmarks.conf()));
    let mut bot = home.start();
    bot.logs("joined #dev");
    a_link_is_saved(&mut alice);
    bookmarks.request();
    home.await_cursor(&home.journal()[0][0]);
    kill_bot(bot, &mut alice);
    let heard = home.read("links.tsv.heard");

    let begun = seconds_now();
    for n in ["one", "two", "three"] {
        alice.says(&format!(".url http://www.example.com/{n} Link {n}"));
    }
    alice.says(".undo");
    alice.send("PING :said");
    alice.hears("PONG", |line| line.contains(" PONG "));
    let said = seconds_now();
    // InspIRCd truncates its times to the second.
    let is_said = |time: f64| (begun - 1.0..=said).contains(&time);
    // Makes the save time differ from the posting time.
    while seconds_now() - said < 2.0 {
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut bot = home.start();
    bot.logs("caught up in #dev: 3 links from ");
    let titles = ["Link two", "Link one", "Title For Link"];
    let feed = home.await_feed(&titles);
    let published: Vec<f64> =
        feed.entries[..2].iter().map(|e| e.published.unwrap().timestamp() as f64).collect();
    assert!(published.iter().all(|&time| is_said(time)), "{begun} {published:?}");
    let journal = home.journal();
    assert_eq!(
        journal.iter().map(|c| &c[1][..]).collect::<Vec<_>>(),
        ["add", "add", "add", "add", "remove"]
    );
    for columns in &journal[1..] {
        assert!(is_said(posted(columns)), "{begun} {columns:?}");
    }
    for title in ["Link one", "Link two"] {
        let request = bookmarks.request();
        assert_eq!(request.argument("description").unwrap(), title);
        assert!(is_said(seconds(request.argument("dt").unwrap())), "{begun} {request:?}");
    }
    kill_bot(bot, &mut alice);
    nothing_is_caught_up_twice(&home, &heard, &mut alice, &titles);
}

/// As after a kill in the middle of catch-up: the journal ends after the first of the three links.
fn nothing_is_caught_up_twice(home: &Home, heard: &str, alice: &mut Person, titles: &[&str]) {
    home.write("links.tsv.heard", heard);
    let whole = home.read("links.tsv");
    home.write(
        "links.tsv",
        whole.lines().take(2).map(|line| format!("{line}\n")).collect::<String>(),
    );
    let mut bot = home.start();
    bot.logs("caught up in #dev: 2 links from ");
    home.await_feed(titles);
    kill_bot(bot, alice);
    home.write("links.tsv.heard", heard);
    let mut bot = home.start();
    bot.logs("caught up in #dev: 0 links from ");
    assert_eq!(home.journal().len(), 5);
    // The bot has not replied to anything that it caught up on.
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

/// The bot sees talk with 1,500 addresses live, loses the connection and is killed. Then the
/// journal is emptied, capture is switched on, and alice posts three links, a removal and a new
/// title, 0.2 s apart.
fn after_busy_talk_only_missed_lines_are_caught_up(ircd: Ircd) {
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
    alice.hears("the bot's QUIT", |line| line.starts_with(":linkbot!") && line.contains(" QUIT "));
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
    // The second round replays everything again, as after a crash.
    for caught in ["3 links from ", "0 links from "] {
        let mut bot = home.start();
        bot.logs(&format!("caught up in #dev: {caught}"));
        kill_bot(bot, &mut alice);
        home.write("links.tsv.heard", &heard);
    }
    let saved: Vec<_> = home.journal().iter().map(|c| format!("{} {}", c[1], c[6])).collect();
    assert_eq!(saved, ["add Wrong", "remove ", "add One", "add Two", "title Three"]);
}

fn kill_bot(mut bot: Bot, alice: &mut Person) {
    bot.kill();
    alice.hears("the bot's QUIT", |line| line.starts_with(":linkbot!") && line.contains(" QUIT "));
}

#[test]
#[ignore = "needs ZNC and ngircd (.ci/run installs them)"]
fn on_a_shared_bouncer_other_channels_are_ignored_but_not_left() {
    let ircd = Ircd::ngircd();
    let mut alice = Person::enter(&ircd, "alice");
    alice.send("JOIN #private,#other");
    let znc = Znc::on(&ircd);
    alice.hears("the bouncer's JOIN", |line| {
        line.starts_with(":linkbot!") && line.contains(" JOIN ") && line.ends_with("#other")
    });
    let home = Home::new(&znc.conf());
    for n in 0..2 {
        let mut bot = home.start();
        bot.logs("joined #dev");
        alice.send("PRIVMSG #private :.url http://www.example.com/ Private");
        alice.says(&format!(".url http://www.example.com/{n} Title {n}"));
        alice.gets_reply(&format!("saved: Title {n}"));
        let log = bot.kill();
        for name in ["#private", "#other"] {
            let line = format!("in {name}, which is not in bot.conf: ignoring what is said there");
            assert_eq!(log.matches(&line).count(), 1, "{log}");
        }
        alice.send("NAMES #private");
        let names = alice.hears("the list of names", |line| line.contains(" 353 "));
        assert!(names.contains("linkbot"), "{names}");
    }
    assert_eq!(home.titles(), ["Title 0", "Title 1"]);
}

/// ZNC replays its buffer in a batch, after a JOIN without a time.
#[test]
#[ignore = "needs ZNC and ngircd (.ci/run installs them)"]
fn a_bouncers_replay_is_saved_only_with_catch_up() {
    for (catch_up, saved) in [("no", vec!["Live"]), ("yes", vec!["Missed", "Live"])] {
        let ircd = Ircd::ngircd();
        let mut alice = Person::enter(&ircd, "alice");
        let znc = Znc::on(&ircd);
        alice.hears("the bouncer's JOIN", |line| {
            line.starts_with(":linkbot!") && line.contains(" JOIN ")
        });
        let home = Home::new(&format!("{}catch_up = {catch_up}\n", znc.conf()));
        let hour_ago = time::OffsetDateTime::now_utc() - time::Duration::HOUR;
        let (date, (h, m, s)) = (hour_ago.date(), hour_ago.to_hms());
        let heard = format!("#dev\t{date}T{h:02}:{m:02}:{s:02}.000Z\n");
        home.write("links.tsv.heard", heard);
        alice.says(".url http://www.example.com/missed Missed");
        alice.send("PING :said");
        alice.hears("PONG", |line| line.contains(" PONG "));
        // Gives the live line a different time.
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
fn a_non_ascii_channel_is_joined_once_in_any_case() {
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

/// The posting time: the eighth column if there is one, or else the first.
fn posted(columns: &[String]) -> f64 {
    seconds(columns.get(7).unwrap_or(&columns[0]))
}

fn seconds(time: &str) -> f64 {
    let time =
        time::OffsetDateTime::parse(time, &time::format_description::well_known::Rfc3339).unwrap();
    time.unix_timestamp_nanos() as f64 / 1e9
}

fn a_line_cut_by_the_server_is_never_saved_with_half_an_address(ircd: Ircd) {
    let home = home(&ircd, &format!("{}capture = yes\n", ircd.conf()));
    let mut alice = Person::enter(&ircd, "alice");
    let mut bot = home.start();
    bot.logs("joined #dev");
    // The longest line that a client may send; the server adds alice's mask.
    let full = |text: &str, filler: &str| {
        let left = 510 - "PRIVMSG #dev :".len() - text.len();
        format!("{text}{}", filler.repeat(left / filler.len()))
    };
    alice.says(&full("Title http://www.example.com/1", "a"));
    alice.says(&full(".url Title http://www.example.com/2", "a"));
    alice.hears("an error", |line| line.contains(":alice: the address may be incomplete: IRC cut"));
    // One of the two is cut in the middle of a character.
    for number in ["1", "22"] {
        alice.says(&full(&format!(".url http://www.example.com/K\u{f6}ln/{number} "), "\u{fc}"));
        alice.hears("a reply", |line| line.contains(" PRIVMSG #dev :saved: \u{fc}"));
    }
    for (event, number) in home.journal().iter().zip(["1", "22"]) {
        assert_eq!(event[5], format!("http://www.example.com/K%C3%B6ln/{number}"));
        assert!(event[6].chars().all(|c| c == '\u{fc}'), "{event:?}");
    }
    assert_eq!(home.journal().len(), 2);
}

fn a_link_is_saved(person: &mut Person) {
    person.says(".url http://www.example.com/ Title For Link");
    person.gets_reply("saved: Title For Link");
}

/// A directory for the bot, with the server's certificate in pin.pem.
fn home(ircd: &Ircd, conf: &str) -> Home {
    let home = Home::new(conf);
    home.write("pin.pem", &ircd.certificate.pem);
    home
}

/// A proxy to a server, which can cut its connections.
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

    /// Cuts the oldest connection.
    fn cut(&self) {
        let _ = self.ends.recv().unwrap().shutdown(Shutdown::Both);
    }
}
