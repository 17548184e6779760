//! Delivery: from the journal to the bookmark account.

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

/// A bot with pending links. It has connected to IRC, but the server does not respond: delivery
/// does not need it.
struct Setup {
    home: Home,
    bot: Bot,
    server: IrcServer,
}

impl Setup {
    fn start(bookmarks: &Bookmarks, more: &str, links: &[&str]) -> Setup {
        Setup::trusting("", bookmarks, more, links)
    }

    fn trusting(ca: &str, bookmarks: &Bookmarks, more: &str, links: &[&str]) -> Setup {
        let server = IrcServer::plain();
        let home = Home::new(&(server.conf() + &bookmarks.conf() + more));
        home.write("ca.pem", ca);
        let input: String = links.iter().map(|link| format!("<alice> .url {link}\n")).collect();
        let saved = home.console(input);
        assert_eq!(saved.stdout.matches("saved: ").count(), links.len(), "{saved:?}");
        let bot = home.start();
        Setup { home, bot, server }
    }

    /// The time of the link with this number.
    fn time(&self, number: usize) -> String {
        self.home.journal()[number][0].clone()
    }

    fn cursor(&self) -> Option<String> {
        std::fs::read_to_string(self.home.path("links.tsv.delivered")).ok()
    }

    /// Asserts that the bot runs and has sent no more requests.
    fn assert_waiting(&mut self, bookmarks: &Bookmarks) {
        // Registering takes several rounds of the loop. Each could have sent a request.
        self.server.welcome();
        assert!(self.bot.is_running());
        assert_eq!(bookmarks.unasked().len(), 0);
    }
}

/// The cursor before the first delivery.
const NEVER: &str = "1970-01-01T00:00:00.000Z\n";

const ONE: &str = "http://www.example.com/1 One";
const TWO: &str = "http://www.example.com/2 Two";

fn title_of(request: &Request) -> &str {
    request.argument("description").unwrap()
}

#[test]
fn the_request_contains_the_link_and_its_poster() {
    let bookmarks = Bookmarks::answering([]);
    let more = "log_url = http://logs.example/{channel}?[year]-[month]-[day]#[hour][minute][second]&x\nowner = Ann (ann@example.com)\n";
    let setup = Setup::start(
        &bookmarks,
        more,
        &["http://www.example.com/?a=1&b=%20+# R&D + \"q\" = 100% é"],
    );
    let request = bookmarks.request();
    let posted = setup.time(0);
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
fn a_link_from_irc_is_delivered_with_its_posting_time() {
    let bookmarks = Bookmarks::answering([]);
    let mut setup = Setup::start(&bookmarks, "", &[]);
    let mut client = setup.server.welcome();
    let posted = time::OffsetDateTime::now_utc() - time::Duration::minutes(2);
    let second = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let posted = posted.format(second).unwrap();
    client.send(&format!("@time={posted}.250Z :alice!a@host.example PRIVMSG #dev :.url {ONE}"));
    client.expect("PRIVMSG #dev :saved: One");
    let request = bookmarks.request();
    assert_eq!(
        (title_of(&request), request.argument("dt")),
        ("One", Some(format!("{posted}Z").as_str()))
    );
    setup.bot.logs("delivered: http://www.example.com/1");
    assert_eq!(
        setup.home.await_feed(&["One"]).entries[0].published.unwrap().to_rfc3339(),
        format!("{posted}+00:00")
    );
}

#[test]
fn tags_and_shared_are_as_in_bot_conf_and_without_log_url_the_note_is_short() {
    let bookmarks = Bookmarks::answering([]);
    let _setup = Setup::start(
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
fn a_title_is_cut_to_255_characters_and_the_request_fits_2000_bytes() {
    let bookmarks = Bookmarks::answering([]);
    let _setup = Setup::start(
        &bookmarks,
        "",
        &[&format!("http://www.example.com/1 {}", "é".repeat(300)), TWO],
    );
    let request = bookmarks.request();
    assert_eq!(title_of(&request), "é".repeat(255));
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
        let _setup = Setup::start(&bookmarks, login, &[ONE]);
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
    let mut setup = Setup::start(&bookmarks, "", &[ONE, TWO]);
    assert_eq!(title_of(&bookmarks.request()), "One");
    assert_eq!(title_of(&bookmarks.request()), "Two");
    let last = setup.time(1);
    setup.home.await_cursor(&last);
    assert_eq!(setup.cursor(), Some(last + "\n"), "one line");
    setup.bot.kill();
    setup.home.console("<alice> .url http://www.example.com/3 Three\n");
    let _restarted = setup.home.start();
    assert_eq!(title_of(&bookmarks.request()), "Three");
}

#[test]
fn a_new_title_and_a_removal_reach_the_account() {
    let bookmarks = Bookmarks::answering([]);
    let mut setup = Setup::start(
        &bookmarks,
        "delicious_token = alice:0A\ndelicious_tags = irc {channel}\n",
        &[ONE, TWO],
    );
    bookmarks.request();
    assert_eq!(bookmarks.request().argument("replace"), Some("no"));
    setup.home.await_cursor(&setup.time(1));
    setup.bot.kill();
    let later = |event: &str| format!("2100-01-01T00:00:0{event}\n");
    let events = [
        later("1.000Z\ttitle\t#dev\talice\t\thttp://www.example.com/1\tUno #rust"),
        later("2.000Z\tremove\t#dev\talice\t\thttp://www.example.com/2\t"),
    ];
    let journal = setup.home.path("links.tsv");
    let saved = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, saved + &events.concat()).unwrap();
    let mut restarted = setup.home.start();
    let title = bookmarks.request();
    assert_eq!(
        ["description", "tags", "replace"].map(|name| title.argument(name).unwrap()),
        ["Uno", "irc dev rust", "yes"]
    );
    let delete = bookmarks.request();
    assert_eq!(delete.path, "/v1/posts/delete");
    let expected = [("url", "http://www.example.com/2"), ("auth_token", "alice:0A")];
    assert_eq!(delete.query, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    restarted.logs("title changed: http://www.example.com/1");
    restarted.logs("deleted: http://www.example.com/2");
    setup.home.await_cursor("2100-01-01T00:00:02.000Z");
}

#[test]
fn changes_made_on_irc_reach_the_account() {
    let bookmarks = Bookmarks::answering([]);
    let mut setup = Setup::start(&bookmarks, "delicious_tags = irc {channel}\n", &[]);
    let mut client = setup.server.welcome();
    client.say("alice", "#dev", format!(".url {ONE} #rust"));
    assert_eq!(client.line(), "PRIVMSG #dev :saved: One");
    let request = bookmarks.request();
    let arguments = |request: &Request| {
        ["url", "description", "tags", "replace"]
            .map(|name| request.argument(name).unwrap().to_owned())
    };
    assert_eq!(arguments(&request), ["http://www.example.com/1", "One", "irc dev rust", "no"]);
    client.say("alice", "#dev", ".url https://www.example.com/1/ Uno");
    assert_eq!(client.line(), "PRIVMSG #dev :title changed: Uno");
    assert_eq!(
        arguments(&bookmarks.request()),
        ["http://www.example.com/1", "Uno", "irc dev", "yes"]
    );
    client.say("bob", "#dev", format!(".url {ONE}"));
    client.expect("PRIVMSG #dev :saved before: ");
    client.say("alice", "#dev", ".undo");
    assert_eq!(client.line(), "PRIVMSG #dev :removed: Uno");
    let delete = bookmarks.request();
    assert_eq!(delete.path, "/v1/posts/delete", "bob's repost is not sent");
    assert_eq!(delete.query, [("url".to_owned(), "http://www.example.com/1".to_owned())]);
    setup.bot.logs("deleted: http://www.example.com/1");
    setup.home.await_cursor(&setup.time(3));
    client.say("alice", "#dev", ".status");
    assert!(client.line().contains("pending: 0;"));
}

#[test]
fn a_link_is_delivered_even_if_a_command_follows_at_once() {
    let bookmarks = Bookmarks::plain(|_| Answer::done());
    let setup = Setup::start(&bookmarks, "", &[]);
    let mut client = setup.server.welcome();
    let lines =
        ":alice!a@h PRIVMSG #dev :.url http://a.example/ A\r\n:bob!b@h PRIVMSG #dev :.help\r\n";
    client.send_bytes(lines.as_bytes());
    assert_eq!(bookmarks.request().argument("description").unwrap(), "A");
}

#[test]
fn a_link_removed_before_it_was_sent_is_never_sent() {
    let is_open = Arc::new(AtomicBool::new(false));
    let bookmarks = {
        let is_open = is_open.clone();
        Bookmarks::plain(move |_| match is_open.load(Ordering::Relaxed) {
            true => Answer::done(),
            false => Answer::http("503 Service Unavailable", ""),
        })
    };
    let mut setup = Setup::start(&bookmarks, "", &[ONE]);
    let mut client = setup.server.welcome();
    setup.bot.logs("delivery stopped: http://www.example.com/1: HTTP 503");
    client.say("alice", "#dev", format!(".url {TWO}"));
    client.say("alice", "#dev", ".undo");
    client.say("alice", "#dev", ".url http://www.example.com/3 Three");
    client.say("alice", "#dev", ".url http://www.example.com/3 Tres");
    for reply in ["saved: Two", "removed: Two", "saved: Three", "title changed: Tres"] {
        assert_eq!(client.line(), format!("PRIVMSG #dev :{reply}"));
    }
    is_open.store(true, Ordering::Relaxed);
    setup.home.await_cursor(&setup.time(4));
    let mut sent: Vec<_> =
        bookmarks.unasked().iter().map(|request| title_of(request).to_owned()).collect();
    sent.dedup();
    assert_eq!(sent, ["One", "Tres"], "with its last title");
}

#[test]
fn with_an_invalid_cursor_delivery_starts_over_and_logs_it() {
    let bookmarks = Bookmarks::answering([]);
    let mut setup = Setup::start(&bookmarks, "", &[ONE]);
    bookmarks.request();
    setup.home.await_cursor(&setup.time(0));
    setup.bot.kill();
    setup.home.write("links.tsv.delivered", "yesterday\n");
    let mut restarted = setup.home.start();
    assert_eq!(title_of(&bookmarks.request()), "One");
    restarted.logs("links.tsv.delivered");
}

#[test]
fn already_exists_counts_as_stored() {
    let answers = [
        Answer::result("item already exists"),
        Answer::http("409 Conflict", "<result code=\"bookmark does already exist\" />"),
    ];
    let bookmarks = Bookmarks::answering(answers);
    let mut setup = Setup::start(&bookmarks, "", &[ONE, TWO]);
    setup.bot.logs("already there; its title is unchanged: http://www.example.com/1");
    setup.bot.logs("already there; its title is unchanged: http://www.example.com/2");
    setup.home.await_cursor(&setup.time(1));
}

#[test]
fn a_server_error_keeps_the_order_and_retries_the_same_link() {
    let bookmarks = Bookmarks::answering([Answer::http("500 Internal Server Error", "")]);
    let mut setup = Setup::start(&bookmarks, "", &[ONE, TWO]);
    assert_eq!(title_of(&bookmarks.request()), "One");
    let line = setup.bot.logs("delivery stopped: http://www.example.com/1: HTTP 500");
    assert!(line.ends_with("; 2 pending, none lost; next try in 3 s"), "{line}");
    assert_eq!(setup.cursor().as_deref(), Some(NEVER));
    assert_eq!(title_of(&bookmarks.request()), "One");
    assert_eq!(title_of(&bookmarks.request()), "Two");
    setup.bot.logs("delivery resumed; pending: 2");
    setup.home.await_cursor(&setup.time(1));
}

#[test]
fn retry_after_lengthens_the_wait() {
    let bookmarks =
        Bookmarks::answering([Answer::http("429 Too Many Requests\r\nRetry-After: 60", "")]);
    let mut setup = Setup::start(&bookmarks, "", &[ONE]);
    let line = setup.bot.logs("delivery stopped");
    assert!(line.contains("429") && line.contains("next try in 60 s"), "{line}");
}

#[test]
fn an_unclear_response_is_retried_later() {
    let done = "<result code=\"done\" />";
    let endless = format!("HTTP/1.1 200 OK\r\n{}\r\n{done}", "X-Noise: noise\r\n".repeat(100_000));
    let unclear = [
        // Only the first 64 KiB of a response count.
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
        let mut setup = Setup::start(&bookmarks, "", &[ONE]);
        let line = setup.bot.logs("delivery stopped");
        assert!(line.contains("next try in 3 s"), "{number}: {line}");
        assert_eq!(setup.cursor().as_deref(), Some(NEVER));
    }
}

#[test]
fn a_result_counts_wherever_it_is() {
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
        let mut setup = Setup::start(&bookmarks, "", &[ONE]);
        setup.bot.log_until(|line| {
            assert!(!line.contains("delivery stopped"), "{answer:?}: {line}");
            line.contains("delivered: http://www.example.com/1")
        });
    }
}

#[test]
fn bad_credentials_stop_delivery_and_log_what_to_do() {
    for answer in [
        Answer::http("401 Unauthorized", "nope"),
        Answer::http("403 Forbidden", ""),
        Answer::result("access denied"),
    ] {
        let bookmarks = Bookmarks::answering([answer]);
        let mut setup = Setup::start(&bookmarks, "delicious_token = 0123abc\n", &[ONE, TWO]);
        assert_eq!(title_of(&bookmarks.request()), "One");
        let line = setup.bot.logs("delivery stopped");
        assert!(line.contains("delicious_token") && line.contains("next try in 15 min"), "{line}");
        setup.assert_waiting(&bookmarks);
        assert_eq!(setup.cursor().as_deref(), Some(NEVER));
        assert_eq!(setup.bot.kill().matches("delivery stopped").count(), 1);
    }
}

#[test]
fn a_refused_link_is_logged_with_the_services_message_and_skipped() {
    let too_long = Answer::http("414 URI Too Long", "<result code=\"too long\" />");
    let bookmarks = Bookmarks::answering([Answer::result("URL smells"), too_long]);
    let mut setup = Setup::start(&bookmarks, "", &[ONE, TWO, "http://www.example.com/3 Three"]);
    let line = setup.bot.logs("skipped");
    assert!(line.contains("url smells") && line.contains("http://www.example.com/1 One"), "{line}");
    assert!(setup.bot.logs("skipped").contains("HTTP 414: too long"));
    setup.bot.logs("delivered: http://www.example.com/3");
    setup.home.await_cursor(&setup.time(2));
}

#[test]
fn a_link_refused_by_status_alone_stays_pending_and_lets_the_next_go_first() {
    let bookmarks = Bookmarks::answering([Answer::http("400 Bad Request", "<html>")]);
    let mut setup = Setup::start(&bookmarks, "", &[ONE, TWO]);
    assert_eq!([(); 3].map(|()| title_of(&bookmarks.request()).to_owned()), ["One", "Two", "One"]);
    setup.bot.logs("delivered: http://www.example.com/2");
    setup.bot.logs("delivered: http://www.example.com/1");
    setup.home.await_cursor(&setup.time(1));
}

#[test]
fn a_redirect_is_a_configuration_error_and_is_not_followed() {
    let elsewhere = Bookmarks::answering([]);
    let location = format!("302 Found\r\nLocation: {}", elsewhere.address());
    let bookmarks = Bookmarks::answering([Answer::http(&location, "")]);
    let mut setup = Setup::start(&bookmarks, "delicious_bearer = 0123abc\n", &[ONE]);
    assert_eq!(bookmarks.request().header("authorization"), Some("Bearer 0123abc"));
    let line = setup.bot.logs("delivery stopped");
    assert!(line.contains("302") && line.contains("next try in 15 min"), "{line}");
    setup.assert_waiting(&bookmarks);
    assert_eq!(elsewhere.unasked().len(), 0);
}

#[test]
fn a_wrong_address_is_a_configuration_error() {
    let bookmarks = Bookmarks::answering([Answer::http("404 Not Found", "<html>")]);
    let mut setup = Setup::start(&bookmarks, "", &[ONE]);
    let line = setup.bot.logs("delivery stopped");
    assert!(line.contains("404") && line.contains("next try in 15 min"), "{line}");
}

#[test]
fn https_works_with_a_trusted_certificate() {
    let authority = Authority::new();
    let bookmarks = Bookmarks::tls(&authority.certificate(), |_| Answer::done());
    let mut setup = Setup::trusting(&authority.pem(), &bookmarks, "", &[ONE]);
    assert_eq!(title_of(&bookmarks.request()), "One");
    setup.bot.logs("delivered: http://www.example.com/1");
}

#[test]
fn an_untrusted_certificate_is_a_configuration_error_and_nothing_is_sent() {
    let authority = Authority::new();
    for certificate in
        [self_signed(), authority.expired(), authority.misnamed(), Authority::new().certificate()]
    {
        let bookmarks = Bookmarks::tls(&certificate, |_| Answer::done());
        let mut setup =
            Setup::trusting(&authority.pem(), &bookmarks, "delicious_bearer = 0123abc\n", &[ONE]);
        let line = setup.bot.logs("delivery stopped");
        assert!(line.contains("TLS") && line.contains("next try in 15 min"), "{line}");
        setup.assert_waiting(&bookmarks);
        assert!(!setup.bot.kill().contains("crashed"));
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
    assert_eq!(title_of(&bookmarks.request()), "One");
    bot.logs("delivered: http://www.example.com/1");
    assert!(bot.kill().contains("not connected"));
}

#[test]
fn an_unreachable_service_is_retried_later() {
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

#[test]
fn the_owners_bookmark_is_left_alone_even_after_a_restart() {
    let shelf = failures::Shelf::default();
    let service = shelf.open();
    let owners = [("http://www.example.com/1".to_owned(), "The owner's words".to_owned())];
    shelf.put(&owners[0].0, &owners[0].1);
    let mut setup = Setup::start(&service, "", &[]);
    let mut client = setup.server.welcome();
    client.say("alice", "#dev", format!(".url {ONE}"));
    client.expect("PRIVMSG #dev :saved: One");
    setup.bot.logs("already there; its title is unchanged: http://www.example.com/1");
    client.say("alice", "#dev", ".url http://www.example.com/1 Uno");
    client.expect("PRIVMSG #dev :title changed: Uno");
    setup.bot.logs("left alone: http://www.example.com/1: it was in the account before linkbot");
    setup.bot.kill();
    let mut restarted = setup.home.start();
    let mut client = setup.server.welcome();
    client.say("alice", "#dev", ".undo");
    client.expect("PRIVMSG #dev :removed: Uno");
    restarted.logs("left alone: http://www.example.com/1: it was in the account before linkbot");
    assert_eq!(shelf.links(), owners);
    assert!(
        setup
            .home
            .read("links.tsv")
            .contains("\tforeign\t#dev\talice\t\thttp://www.example.com/1\t")
    );
    setup.home.await_feed(&[]);
    assert_eq!(service.unasked().len(), 1, "one request, which changed nothing");
}

#[test]
fn after_undo_the_account_shows_the_other_channels_link() {
    let shelf = failures::Shelf::default();
    let service = shelf.open();
    let server = IrcServer::plain();
    let conf = server.conf().replace("channels = #dev", "channels = #dev, #ops");
    let home = Home::new(&(conf + &service.conf()));
    let mut bot = home.start();
    let mut client = server.accept();
    client.login_to(&["#dev", "#ops"]);
    client.say("alice", "#dev", ".url http://www.example.com/1 Oops, wrong window");
    client.expect("PRIVMSG #dev :saved: ");
    client.say("carol", "#ops", ".url http://www.example.com/1 The right words");
    client.expect("PRIVMSG #ops :saved: ");
    bot.logs("already there; its title is unchanged: http://www.example.com/1");
    client.say("alice", "#dev", ".undo");
    client.expect("PRIVMSG #dev :removed: ");
    bot.logs("title changed: http://www.example.com/1");
    let stored = [("http://www.example.com/1".to_owned(), "The right words".to_owned())];
    assert_eq!(shelf.links(), stored);
    client.say("carol", "#ops", ".undo");
    bot.logs("deleted: http://www.example.com/1");
    assert_eq!(shelf.links(), []);
}

#[test]
fn a_body_that_does_not_arrive_in_time_is_a_timeout() {
    let answer = Answer::Drip("HTTP/1.1 200 OK\r\n\r\n<?xml version=\"1.0\"?>\r\n<resu");
    let bookmarks = Bookmarks::answering([answer]);
    let mut setup = Setup::start(&bookmarks, "", &[ONE]);
    let line = setup.bot.logs("delivery stopped");
    assert!(
        line.contains(": no response in time; ") && line.ends_with("next try in 30 s"),
        "{line}"
    );
}

#[test]
fn after_a_link_fails_three_times_the_next_goes_first() {
    let bookmarks = Bookmarks::plain(|request| match request.argument("url") {
        Some("http://www.example.com/1") => Answer::http("500 Internal Server Error", ""),
        _ => Answer::done(),
    });
    let mut setup = Setup::start(&bookmarks, "", &[ONE, TWO]);
    let tried = [(); 4].map(|()| title_of(&bookmarks.request()).to_owned());
    assert_eq!(
        tried,
        ["One", "One", "One", "Two"],
        "after three failures the next link goes first"
    );
    setup.bot.logs("delivered: http://www.example.com/2");
}

#[test]
fn truncating_the_journal_in_place_logs_how_many_pending_links_are_lost() {
    let bookmarks = Bookmarks::plain(|_| Answer::http("503 Service Unavailable", ""));
    let mut setup = Setup::start(&bookmarks, "", &[ONE, TWO]);
    let mut client = setup.server.welcome();
    setup.bot.logs("delivery stopped");
    setup.home.write("links.tsv", "");
    client.send("PING :look");
    setup.bot.logs("pending links that are gone from the journal and will not be delivered: 2");
}

#[test]
fn appended_lines_are_delivered_whatever_their_times() {
    let bookmarks = Bookmarks::answering([]);
    let mut setup = Setup::start(&bookmarks, "", &[]);
    let mut client = setup.server.welcome();
    client.say("alice", "#dev", format!(".url {ONE}"));
    setup.bot.logs("delivered: http://www.example.com/1");
    let line = |time: &str, n| format!("{time}\tadd\t#dev\tann\t\thttp://old.example/{n}\tOld\n");
    let append = |numbers: std::ops::RangeInclusive<u8>| {
        let old: String = numbers.map(|n| line("2020-01-01T00:00:00.000Z", n)).collect();
        // At the end of the file, like `>>`.
        let file = std::fs::File::options().append(true).open(setup.home.path("links.tsv"));
        std::io::Write::write_all(&mut file.unwrap(), old.as_bytes()).unwrap();
    };
    append(1..=3);
    client.send("PING :look");
    setup.bot.logs("delivered: http://old.example/3");
    setup.bot.kill();
    append(4..=5);
    let mut restarted = setup.home.start();
    setup.server.welcome();
    restarted.logs("delivered: http://old.example/5");
}
