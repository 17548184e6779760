//! From the journal into the bookmark account.

mod common;
mod failures;

use std::{
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
};

use common::Refusing;
use common::bookmarks::{Answer, Bookmarks, Request};
use common::bot::{Bot, Home};
use common::irc::IrcServer;
use common::tls::{Authority, self_signed};

/// A bot that owes links to the service. It has connected to IRC, but nobody there answers: delivery needs none.
struct Owing {
    home: Home,
    bot: Bot,
    server: IrcServer,
}

impl Owing {
    fn start(bookmarks: &Bookmarks, more: &str, links: &[&str]) -> Owing {
        Owing::trusting("", bookmarks, more, links)
    }

    fn trusting(ca: &str, bookmarks: &Bookmarks, more: &str, links: &[&str]) -> Owing {
        let server = IrcServer::plain();
        let home = Home::new(&(server.conf() + &bookmarks.conf() + more));
        home.write("ca.pem", ca);
        let said: String = links.iter().map(|link| format!("<alice> .url {link}\n")).collect();
        let saved = home.console(said);
        assert_eq!(saved.stdout.matches("saved: ").count(), links.len(), "{saved:?}");
        let bot = home.start();
        Owing { home, bot, server }
    }

    /// The time of the link with this number.
    fn time(&self, number: usize) -> String {
        self.home.journal()[number][0].clone()
    }

    fn cursor(&self) -> Option<String> {
        std::fs::read_to_string(self.home.path("links.tsv.delivered")).ok()
    }

    /// The bot still lives, and the service was asked no more.
    fn holds(&mut self, bookmarks: &Bookmarks) {
        // Every turn of the loop that this takes could have brought a request.
        self.server.welcome();
        assert!(self.bot.is_running());
        assert_eq!(bookmarks.unasked().len(), 0);
    }
}

/// The cursor before the first delivery.
const NEVER: &str = "1970-01-01T00:00:00.000Z\n";

const ONE: &str = "http://www.example.com/1 One";
const TWO: &str = "http://www.example.com/2 Two";

fn asked_for(request: &Request) -> &str {
    request.argument("description").unwrap()
}

#[test]
fn the_request_holds_the_link_and_who_posted_it() {
    let bookmarks = Bookmarks::answering([]);
    let more = "log_url = http://logs.example/{channel}?[year]-[month]-[day]#[hour][minute][second]&x\nowner = Ann (ann@example.com)\n";
    let owing = Owing::start(
        &bookmarks,
        more,
        &["http://www.example.com/?a=1&b=%20+# R&D + \"q\" = 100% é"],
    );
    let request = bookmarks.request();
    let posted = owing.time(0);
    let (date, time) = (&posted[..10], &posted[11..19]);
    assert!(request.line.starts_with("GET "), "{}", request.line);
    assert_eq!(request.path, "/v1/posts/add");
    let log = format!("http://logs.example/dev?{date}#{}&x", time.replace(':', ""));
    let expected = [
        ("url", "http://www.example.com/?a=1&b=%20+#"),
        ("description", "R&D + \"q\" = 100% é"),
        ("extended", &format!("posted by alice: {log}")),
        ("tags", "irc"),
        ("dt", &format!("{date}T{time}Z")),
        ("replace", "no"),
    ];
    let mut query = request.query.clone();
    query.sort_by_key(|(name, _)| expected.iter().position(|(n, _)| n == name));
    assert_eq!(query, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(request.header("accept"), Some("application/xml"));
    let agent = request.header("user-agent").unwrap();
    assert!(agent.starts_with(concat!("linkbot/", env!("CARGO_PKG_VERSION"), " (")), "{agent}");
    assert_eq!(agent.matches(['(', ')']).count(), 2, "{agent}");
    assert_eq!((request.header("cookie"), request.header("authorization")), (None, None));
}

#[test]
fn what_is_said_on_irc_is_delivered_with_the_time_of_its_posting() {
    let bookmarks = Bookmarks::answering([]);
    let mut owing = Owing::start(&bookmarks, "", &[]);
    let mut client = owing.server.welcome();
    let posted = time::OffsetDateTime::now_utc() - time::Duration::minutes(2);
    let second = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let posted = posted.format(second).unwrap();
    client.send(&format!("@time={posted}.250Z :alice!a@host.example PRIVMSG #dev :.url {ONE}"));
    client.expect("PRIVMSG #dev :saved: One");
    let request = bookmarks.request();
    assert_eq!(
        (asked_for(&request), request.argument("dt")),
        ("One", Some(format!("{posted}Z").as_str()))
    );
    owing.bot.logs("delivered: http://www.example.com/1");
    assert_eq!(
        owing.home.await_feed(&["One"]).entries[0].published.unwrap().to_rfc3339(),
        format!("{posted}+00:00")
    );
}

#[test]
fn tags_and_shared_are_as_bot_conf_says_and_without_a_log_the_note_is_short() {
    let bookmarks = Bookmarks::answering([]);
    let _owing = Owing::start(
        &bookmarks,
        "delicious_tags = irc, dev links\ndelicious_shared = no\n",
        &[ONE],
    );
    let request = bookmarks.request();
    assert_eq!(request.argument("tags"), Some("irc dev links"));
    assert_eq!(request.argument("shared"), Some("no"));
    assert_eq!(request.argument("extended"), Some("posted by alice"));
}

#[test]
fn a_title_is_cut_to_255_characters_and_the_request_to_2000_bytes() {
    let bookmarks = Bookmarks::answering([]);
    let _owing = Owing::start(
        &bookmarks,
        "",
        &[&format!("http://www.example.com/1 {}", "é".repeat(300)), TWO],
    );
    let request = bookmarks.request();
    assert_eq!(asked_for(&request), "é".repeat(255));
    assert!(request.line.len() <= "GET ".len() + 2000);
}

#[test]
fn each_form_of_login_is_sent_in_its_own_way() {
    let logins = [
        (
            "delicious_user = alice\ndelicious_password = pä:ss %\n",
            Some("Basic YWxpY2U6cMOkOnNzICU="),
            None,
        ),
        ("delicious_token = alice:0123ABC+/&=\n", None, Some("alice:0123ABC+/&=")),
        ("delicious_bearer = 0123abc\n", Some("Bearer 0123abc"), None),
    ];
    for (login, header, token) in logins {
        let bookmarks = Bookmarks::answering([]);
        let _owing = Owing::start(&bookmarks, login, &[ONE]);
        let request = bookmarks.request();
        assert_eq!(
            (request.header("authorization"), request.argument("auth_token")),
            (header, token),
            "{login}"
        );
    }
}

#[test]
fn stored_links_move_the_cursor_and_are_never_sent_again() {
    let bookmarks = Bookmarks::answering([]);
    let mut owing = Owing::start(&bookmarks, "", &[ONE, TWO]);
    assert_eq!(asked_for(&bookmarks.request()), "One");
    assert_eq!(asked_for(&bookmarks.request()), "Two");
    let last = owing.time(1);
    owing.home.await_cursor(&last);
    assert_eq!(owing.cursor(), Some(last + "\n"), "one line");
    owing.bot.kill();
    owing.home.console("<alice> .url http://www.example.com/3 Three\n");
    let _again = owing.home.start();
    assert_eq!(asked_for(&bookmarks.request()), "Three");
}

#[test]
fn a_new_title_and_a_removal_reach_the_account() {
    let bookmarks = Bookmarks::answering([]);
    let mut owing = Owing::start(
        &bookmarks,
        "delicious_token = alice:0A\ndelicious_tags = irc {channel}\n",
        &[ONE, TWO],
    );
    bookmarks.request();
    assert_eq!(bookmarks.request().argument("replace"), Some("no"));
    owing.home.await_cursor(&owing.time(1));
    owing.bot.kill();
    let later = |event: &str| format!("2100-01-01T00:00:0{event}\n");
    let events = [
        later("1.000Z\ttitle\t#dev\talice\t\thttp://www.example.com/1\tUno #rust"),
        later("2.000Z\tremove\t#dev\talice\t\thttp://www.example.com/2\t"),
    ];
    let journal = owing.home.path("links.tsv");
    let saved = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, saved + &events.concat()).unwrap();
    let mut again = owing.home.start();
    let title = bookmarks.request();
    assert_eq!(
        ["description", "tags", "replace"].map(|name| title.argument(name).unwrap()),
        ["Uno", "irc dev rust", "yes"]
    );
    let delete = bookmarks.request();
    assert_eq!(delete.path, "/v1/posts/delete");
    let expected = [("url", "http://www.example.com/2"), ("auth_token", "alice:0A")];
    assert_eq!(delete.query, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    again.logs("title changed: http://www.example.com/1");
    again.logs("deleted: http://www.example.com/2");
    owing.home.await_cursor("2100-01-01T00:00:02.000Z");
}

#[test]
fn what_people_do_on_irc_reaches_the_account() {
    let bookmarks = Bookmarks::answering([]);
    let mut owing = Owing::start(&bookmarks, "delicious_tags = irc {channel}\n", &[]);
    let mut client = owing.server.welcome();
    client.say("alice", "#dev", format!(".url {ONE} #rust"));
    assert_eq!(client.line(), "PRIVMSG #dev :saved: One");
    let request = bookmarks.request();
    let said = |request: &Request| {
        ["url", "description", "tags", "replace"]
            .map(|name| request.argument(name).unwrap().to_owned())
    };
    assert_eq!(said(&request), ["http://www.example.com/1", "One", "irc dev rust", "no"]);
    client.say("alice", "#dev", ".url https://www.example.com/1/ Uno");
    assert_eq!(client.line(), "PRIVMSG #dev :title changed: Uno");
    assert_eq!(said(&bookmarks.request()), ["http://www.example.com/1", "Uno", "irc dev", "yes"]);
    client.say("bob", "#dev", format!(".url {ONE}"));
    client.expect("PRIVMSG #dev :saved before: ");
    client.say("alice", "#dev", ".undo");
    assert_eq!(client.line(), "PRIVMSG #dev :removed: Uno");
    let delete = bookmarks.request();
    assert_eq!(delete.path, "/v1/posts/delete", "that bob posted it again is not sent");
    assert_eq!(delete.query, [("url".to_owned(), "http://www.example.com/1".to_owned())]);
    owing.bot.logs("deleted: http://www.example.com/1");
    owing.home.await_cursor(&owing.time(3));
    client.say("alice", "#dev", ".status");
    assert!(client.line().contains("pending: 0;"));
}

#[test]
fn a_link_is_delivered_whatever_else_is_said_in_the_same_moment() {
    let bookmarks = Bookmarks::plain(|_| Answer::done());
    let owing = Owing::start(&bookmarks, "", &[]);
    let mut client = owing.server.welcome();
    let lines =
        ":alice!a@h PRIVMSG #dev :.url http://a.example/ A\r\n:bob!b@h PRIVMSG #dev :.help\r\n";
    client.send_bytes(lines.as_bytes());
    assert_eq!(bookmarks.request().argument("description").unwrap(), "A");
}

#[test]
fn what_was_taken_back_before_it_was_sent_is_never_sent() {
    let is_open = Arc::new(AtomicBool::new(false));
    let bookmarks = {
        let is_open = is_open.clone();
        Bookmarks::plain(move |_| match is_open.load(Ordering::Relaxed) {
            true => Answer::done(),
            false => Answer::http("503 Service Unavailable", ""),
        })
    };
    let mut owing = Owing::start(&bookmarks, "", &[ONE]);
    let mut client = owing.server.welcome();
    owing.bot.logs("delivery stopped: http://www.example.com/1: HTTP 503");
    client.say("alice", "#dev", format!(".url {TWO}"));
    client.say("alice", "#dev", ".undo");
    client.say("alice", "#dev", ".url http://www.example.com/3 Three");
    client.say("alice", "#dev", ".url http://www.example.com/3 Tres");
    for answer in ["saved: Two", "removed: Two", "saved: Three", "title changed: Tres"] {
        assert_eq!(client.line(), format!("PRIVMSG #dev :{answer}"));
    }
    is_open.store(true, Ordering::Relaxed);
    owing.home.await_cursor(&owing.time(4));
    let mut sent: Vec<_> =
        bookmarks.unasked().iter().map(|request| asked_for(request).to_owned()).collect();
    sent.dedup();
    assert_eq!(sent, ["One", "Tres"], "with the title that it had in the end");
}

#[test]
fn without_its_cursor_the_delivery_starts_over_and_says_so() {
    let bookmarks = Bookmarks::answering([]);
    let mut owing = Owing::start(&bookmarks, "", &[ONE]);
    bookmarks.request();
    owing.home.await_cursor(&owing.time(0));
    owing.bot.kill();
    owing.home.write("links.tsv.delivered", "yesterday\n");
    let mut again = owing.home.start();
    assert_eq!(asked_for(&bookmarks.request()), "One");
    again.logs("links.tsv.delivered");
}

#[test]
fn already_there_is_as_good_as_stored() {
    let answers = [
        Answer::result("item already exists"),
        Answer::http("409 Conflict", "<result code=\"bookmark does already exist\" />"),
    ];
    let bookmarks = Bookmarks::answering(answers);
    let mut owing = Owing::start(&bookmarks, "", &[ONE, TWO]);
    owing.bot.logs("already there; its title is unchanged: http://www.example.com/1");
    owing.bot.logs("already there; its title is unchanged: http://www.example.com/2");
    owing.home.await_cursor(&owing.time(1));
}

#[test]
fn try_later_keeps_the_order_and_tries_the_same_link_again() {
    let bookmarks = Bookmarks::answering([Answer::http("500 Internal Server Error", "")]);
    let mut owing = Owing::start(&bookmarks, "", &[ONE, TWO]);
    assert_eq!(asked_for(&bookmarks.request()), "One");
    let line = owing.bot.logs("delivery stopped: http://www.example.com/1: HTTP 500");
    assert!(line.ends_with("; 2 pending, none lost; next try in 3 s"), "{line}");
    assert_eq!(owing.cursor().as_deref(), Some(NEVER));
    assert_eq!(asked_for(&bookmarks.request()), "One");
    assert_eq!(asked_for(&bookmarks.request()), "Two");
    owing.bot.logs("delivery resumed; pending: 2");
    owing.home.await_cursor(&owing.time(1));
}

#[test]
fn retry_after_lengthens_the_wait() {
    let bookmarks =
        Bookmarks::answering([Answer::http("429 Too Many Requests\r\nRetry-After: 60", "")]);
    let mut owing = Owing::start(&bookmarks, "", &[ONE]);
    let line = owing.bot.logs("delivery stopped");
    assert!(line.contains("429") && line.contains("next try in 60 s"), "{line}");
}

#[test]
fn what_is_no_clear_answer_is_tried_later() {
    let done = "<result code=\"done\" />";
    let endless = format!("HTTP/1.1 200 OK\r\n{}\r\n{done}", "X-Noise: noise\r\n".repeat(100_000));
    let unclear = [
        // Of 64 KiB is the answer that counts.
        Answer::http("200 OK", &(" ".repeat(64 << 10) + done)),
        Answer::Bytes(endless.into_bytes()),
        Answer::http(
            "200 OK\r\nContent-Type: text/html",
            "<html><body>Down for maintenance</body></html>",
        ),
        Answer::http("200 OK", ""),
        Answer::close(),
        Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<result co".to_vec()),
        Answer::Bytes(b"220 smtp.example ESMTP\r\n".to_vec()),
        Answer::http("503 Service Unavailable", done),
        Answer::http("999 Unable to process request", ""),
    ];
    for (number, answer) in unclear.into_iter().enumerate() {
        let bookmarks = Bookmarks::answering([answer]);
        let mut owing = Owing::start(&bookmarks, "", &[ONE]);
        let line = owing.bot.logs("delivery stopped");
        assert!(line.contains("next try in 3 s"), "{number}: {line}");
        assert_eq!(owing.cursor().as_deref(), Some(NEVER));
    }
}

#[test]
fn a_result_counts_wherever_it_stands() {
    let done = "<br /><b>Warning</b>: old PHP\n<?xml version=\"1.0\"?>\r\n<result code='done' />";
    let results = [
        Answer::Bytes(format!("HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\n\r\n{done}").into_bytes()),
        Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n<result code=\"done\" />\n".to_vec()),
        Answer::Bytes(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n<result>\r\nd\r\ndone</result>\r\n0\r\n\r\n"
                .to_vec(),
        ),
        Answer::http("200 OK\r\nContent-Type: application/json", "{\"result_code\":\"done\"}"),
    ];
    for answer in results {
        let bookmarks = Bookmarks::answering([answer.clone()]);
        let mut owing = Owing::start(&bookmarks, "", &[ONE]);
        owing.bot.log_until(|line| {
            assert!(!line.contains("delivery stopped"), "{answer:?}: {line}");
            line.contains("delivered: http://www.example.com/1")
        });
    }
}

#[test]
fn bad_credentials_hold_the_queue_and_say_what_to_do() {
    for answer in [
        Answer::http("401 Unauthorized", "nope"),
        Answer::http("403 Forbidden", ""),
        Answer::result("access denied"),
    ] {
        let bookmarks = Bookmarks::answering([answer]);
        let mut owing = Owing::start(&bookmarks, "delicious_token = 0123abc\n", &[ONE, TWO]);
        assert_eq!(asked_for(&bookmarks.request()), "One");
        let line = owing.bot.logs("delivery stopped");
        assert!(line.contains("delicious_token") && line.contains("next try in 15 min"), "{line}");
        owing.holds(&bookmarks);
        assert_eq!(owing.cursor().as_deref(), Some(NEVER));
        assert_eq!(owing.bot.kill().matches("delivery stopped").count(), 1);
    }
}

#[test]
fn a_refused_link_is_logged_with_the_services_message_and_skipped() {
    let too_long = Answer::http("414 URI Too Long", "<result code=\"too long\" />");
    let bookmarks = Bookmarks::answering([Answer::result("URL smells"), too_long]);
    let mut owing = Owing::start(&bookmarks, "", &[ONE, TWO, "http://www.example.com/3 Three"]);
    let line = owing.bot.logs("skipped");
    assert!(line.contains("url smells") && line.contains("http://www.example.com/1 One"), "{line}");
    assert!(owing.bot.logs("skipped").contains("HTTP 414: too long"));
    owing.bot.logs("delivered: http://www.example.com/3");
    owing.home.await_cursor(&owing.time(2));
}

#[test]
fn a_link_refused_by_the_status_alone_stays_owed_and_lets_the_next_one_go_first() {
    let bookmarks = Bookmarks::answering([Answer::http("400 Bad Request", "<html>")]);
    let mut owing = Owing::start(&bookmarks, "", &[ONE, TWO]);
    assert_eq!([(); 3].map(|()| asked_for(&bookmarks.request()).to_owned()), ["One", "Two", "One"]);
    owing.bot.logs("delivered: http://www.example.com/2");
    owing.bot.logs("delivered: http://www.example.com/1");
    owing.home.await_cursor(&owing.time(1));
}

#[test]
fn a_redirect_is_a_configuration_fault_and_is_not_followed() {
    let elsewhere = Bookmarks::answering([]);
    let location = format!("302 Found\r\nLocation: {}", elsewhere.address());
    let bookmarks = Bookmarks::answering([Answer::http(&location, "")]);
    let mut owing = Owing::start(&bookmarks, "delicious_bearer = 0123abc\n", &[ONE]);
    assert_eq!(bookmarks.request().header("authorization"), Some("Bearer 0123abc"));
    let line = owing.bot.logs("delivery stopped");
    assert!(line.contains("302") && line.contains("next try in 15 min"), "{line}");
    owing.holds(&bookmarks);
    assert_eq!(elsewhere.unasked().len(), 0);
}

#[test]
fn a_wrong_address_is_a_configuration_fault() {
    let bookmarks = Bookmarks::answering([Answer::http("404 Not Found", "<html>")]);
    let mut owing = Owing::start(&bookmarks, "", &[ONE]);
    let line = owing.bot.logs("delivery stopped");
    assert!(line.contains("404") && line.contains("next try in 15 min"), "{line}");
}

#[test]
fn https_works_with_a_trusted_certificate() {
    let authority = Authority::new();
    let bookmarks = Bookmarks::tls(&authority.certificate(), |_| Answer::done());
    let mut owing = Owing::trusting(&authority.pem(), &bookmarks, "", &[ONE]);
    assert_eq!(asked_for(&bookmarks.request()), "One");
    owing.bot.logs("delivered: http://www.example.com/1");
}

#[test]
fn an_untrusted_certificate_is_a_configuration_fault_and_nothing_is_sent() {
    let authority = Authority::new();
    for certificate in
        [self_signed(), authority.expired(), authority.misnamed(), Authority::new().certificate()]
    {
        let bookmarks = Bookmarks::tls(&certificate, |_| Answer::done());
        let mut owing =
            Owing::trusting(&authority.pem(), &bookmarks, "delicious_bearer = 0123abc\n", &[ONE]);
        let line = owing.bot.logs("delivery stopped");
        assert!(line.contains("TLS") && line.contains("next try in 15 min"), "{line}");
        owing.holds(&bookmarks);
        assert!(!owing.bot.kill().contains("panicked"));
    }
}

#[test]
fn links_are_delivered_while_irc_is_down() {
    let nobody = Refusing::new();
    let bookmarks = Bookmarks::answering([]);
    let conf = format!("server = localhost:{}\ntls = no\nchannels = #dev\n", nobody.port());
    let home = Home::new(&(conf + &bookmarks.conf()));
    home.console(format!(".url {ONE}\n"));
    let mut bot = home.start();
    assert_eq!(asked_for(&bookmarks.request()), "One");
    bot.logs("delivered: http://www.example.com/1");
    assert!(bot.kill().contains("not connected"));
}

#[test]
fn a_service_that_is_not_there_is_tried_later() {
    let nobody = Refusing::new();
    let server = IrcServer::plain();
    let home = Home::new(&format!(
        "{}delicious = http://localhost:{}/add\n",
        server.conf(),
        nobody.port()
    ));
    home.console(format!(".url {ONE}\n"));
    let line = home.start().logs("delivery stopped");
    assert!(line.contains("refused") && line.contains("next try in 3 s"), "{line}");
}

/// A service that holds bookmarks, those of its owner included, and the bot in its channels.
#[test]
fn the_owners_bookmark_is_left_alone_also_after_a_restart() {
    let shelf = failures::Shelf::default();
    let service = shelf.open();
    let owners = [("http://www.example.com/1".to_owned(), "The owner's words".to_owned())];
    shelf.put(&owners[0].0, &owners[0].1);
    let mut owing = Owing::start(&service, "", &[]);
    let mut client = owing.server.welcome();
    client.say("alice", "#dev", format!(".url {ONE}"));
    client.expect("PRIVMSG #dev :saved: One");
    owing.bot.logs("already there; its title is unchanged: http://www.example.com/1");
    client.say("alice", "#dev", ".url http://www.example.com/1 Uno");
    client.expect("PRIVMSG #dev :title changed: Uno");
    owing.bot.logs("left alone: http://www.example.com/1: it was in the account before linkbot");
    owing.bot.kill();
    let mut again = owing.home.start();
    let mut client = owing.server.welcome();
    client.say("alice", "#dev", ".undo");
    client.expect("PRIVMSG #dev :removed: Uno");
    again.logs("left alone: http://www.example.com/1: it was in the account before linkbot");
    assert_eq!(shelf.links(), owners);
    assert!(
        owing
            .home
            .read("links.tsv")
            .contains("\tforeign\t#dev\talice\t\thttp://www.example.com/1\t")
    );
    owing.home.await_feed(&[]);
    assert_eq!(service.unasked().len(), 1, "one request, which changed nothing");
}

#[test]
fn of_two_channels_links_the_account_shows_the_one_that_is_left() {
    let shelf = failures::Shelf::default();
    let service = shelf.open();
    let mut owing = Owing::start(&service, "", &[]);
    owing.bot.kill();
    let conf = owing.home.read("bot.conf").replace("channels = #dev", "channels = #dev, #ops");
    owing.home.configure(&conf);
    let mut bot = owing.home.start();
    let mut client = owing.server.welcome();
    client.let_in("#ops");
    client.say("alice", "#dev", ".url http://www.example.com/1 Oops, wrong window");
    client.expect("PRIVMSG #dev :saved: ");
    client.say("carol", "#ops", ".url http://www.example.com/1 The right words");
    client.expect("PRIVMSG #ops :saved: ");
    bot.logs("already there; its title is unchanged: http://www.example.com/1");
    client.say("alice", "#dev", ".undo");
    client.expect("PRIVMSG #dev :removed: ");
    bot.logs("title changed: http://www.example.com/1");
    let held = [("http://www.example.com/1".to_owned(), "The right words".to_owned())];
    assert_eq!(shelf.links(), held);
    client.say("carol", "#ops", ".undo");
    bot.logs("deleted: http://www.example.com/1");
    assert_eq!(shelf.links(), []);
}

#[test]
fn a_body_that_does_not_arrive_in_time_is_no_answer_in_time() {
    let answer = Answer::Drip("HTTP/1.1 200 OK\r\n\r\n<?xml version=\"1.0\"?>\r\n<resu");
    let bookmarks = Bookmarks::answering([answer]);
    let mut owing = Owing::start(&bookmarks, "", &[ONE]);
    let line = owing.bot.logs("delivery stopped");
    assert!(
        line.contains(": no response in time; ") && line.ends_with("next try in 30 s"),
        "{line}"
    );
}

#[test]
fn a_link_that_fails_three_times_gives_way_to_the_next() {
    let bookmarks = Bookmarks::plain(|request| match request.argument("url") {
        Some("http://www.example.com/1") => Answer::http("500 Internal Server Error", ""),
        _ => Answer::done(),
    });
    let mut owing = Owing::start(&bookmarks, "", &[ONE, TWO]);
    let tried = [(); 4].map(|()| asked_for(&bookmarks.request()).to_owned());
    assert_eq!(tried, ["One", "One", "One", "Two"], "after its third failure it gives way");
    owing.bot.logs("delivered: http://www.example.com/2");
}

#[test]
fn a_journal_that_is_truncated_in_place_says_how_many_pending_links_went_with_it() {
    let bookmarks = Bookmarks::plain(|_| Answer::http("503 Service Unavailable", ""));
    let mut owing = Owing::start(&bookmarks, "", &[ONE, TWO]);
    let mut client = owing.server.welcome();
    owing.bot.logs("delivery stopped");
    owing.home.write("links.tsv", "");
    client.send("PING :look");
    owing.bot.logs("pending links that are gone from the journal and will not be delivered: 2");
}

#[test]
fn lines_that_someone_appends_are_delivered_whatever_their_times() {
    let bookmarks = Bookmarks::answering([]);
    let mut owing = Owing::start(&bookmarks, "", &[]);
    let mut client = owing.server.welcome();
    client.say("alice", "#dev", format!(".url {ONE}"));
    owing.bot.logs("delivered: http://www.example.com/1");
    let line = |time: &str, n| format!("{time}\tadd\t#dev\tann\t\thttp://old.example/{n}\tOld\n");
    let append = |numbers: std::ops::RangeInclusive<u8>| {
        let old: String = numbers.map(|n| line("2020-01-01T00:00:00.000Z", n)).collect();
        // At the end of the file, as `>>` does it.
        let file = std::fs::File::options().append(true).open(owing.home.path("links.tsv"));
        std::io::Write::write_all(&mut file.unwrap(), old.as_bytes()).unwrap();
    };
    append(1..=3);
    client.send("PING :look");
    owing.bot.logs("delivered: http://old.example/3");
    owing.bot.kill();
    append(4..=5);
    let mut again = owing.home.start();
    owing.server.welcome();
    again.logs("delivered: http://old.example/5");
}
