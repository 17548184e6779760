use std::{collections::HashMap, io::Write, net::TcpListener};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use time::macros::datetime;

use super::Verdict::{AlreadyThere, Done, Refused, RefusedOrThere, TryLater};
use super::*;
use crate::config::tests::good;

const ADD: Change = Change::Add;
const NOW: OffsetDateTime = datetime!(2026-11-22 10:31:19 UTC);

fn settings() -> Settings {
    Settings {
        add: Url::parse("https://api.example.org/v1/posts/add").unwrap(),
        authorization: None,
        token: None,
        secrets: vec![],
        tags: vec!["irc".into(), "links".into()],
        shared: None,
        interval: Duration::from_secs(3),
        scuttle: false,
        user_agent: "linkbot/0.1.0 (alice)".into(),
    }
}

/// The settings with the login that these lines of bot.conf set.
fn with_login(lines: &str) -> Settings {
    let account = good(&format!("delicious = https://x.example/posts/add\n{lines}")).account;
    let Settings { authorization, token, secrets, .. } = account.unwrap();
    Settings { authorization, token, secrets, ..settings() }
}

fn account(login: &str) -> Account {
    Account::new(with_login(login))
}

fn link() -> Link {
    Link {
        channel: "#dev".into(),
        nick: "bob".into(),
        account: String::new(),
        url: "http://www.example.com/?a=1&b=%20+#c".into(),
        title: "C++ & <b>ü</b> 🦀".into(),
        posted: NOW,
    }
}

/// The arguments as a service reads them.
fn sent(settings: &Settings, link: &Link, log_url: Option<&str>) -> HashMap<String, String> {
    arguments(&settings.request(ADD, link, log_url.map(str::to_owned), NOW).unwrap())
}

fn arguments(url: &Url) -> HashMap<String, String> {
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let map: HashMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(map.len(), pairs.len(), "an argument twice in {url}");
    map
}

fn verdict(status: u16, body: &str) -> Verdict {
    account("").judge(ADD, status, None, &body.to_ascii_lowercase())
}

fn later(why: &str, cause: Cause) -> Verdict {
    TryLater { why: why.into(), cause, at_least: Duration::ZERO }
}

fn cause(verdict: &Verdict) -> Option<Cause> {
    match verdict {
        TryLater { cause, .. } => Some(*cause),
        _ => None,
    }
}

// ---- The request

#[test]
fn a_request_contains_the_link_and_nothing_that_is_not_set() {
    let sent = sent(&settings(), &link(), Some("http://logs.example.org/#1"));
    let expected = [
        ("url", "http://www.example.com/?a=1&b=%20+#c"),
        ("description", "C++ & <b>ü</b> 🦀"),
        ("extended", "posted by bob: http://logs.example.org/#1"),
        ("tags", "irc links"),
        ("dt", "2026-11-22T10:31:19Z"),
        ("replace", "no"),
    ];
    assert_eq!(sent, expected.map(|(k, v)| (k.to_string(), v.to_string())).into());
}

#[test]
fn without_a_log_the_note_names_only_the_nick() {
    assert_eq!(sent(&settings(), &link(), None)["extended"], "posted by bob");
}

#[test]
fn shared_and_the_token_are_sent_if_they_are_set() {
    let login = with_login("delicious_token = alice:0A&b");
    let sent = sent(&Settings { shared: Some(false), ..login }, &link(), None);
    assert_eq!((sent["shared"].as_str(), sent["auth_token"].as_str()), ("no", "alice:0A&b"));
}

#[test]
fn for_scuttle_shared_is_also_sent_as_status() {
    for (scuttle, shared, status) in [
        (true, Some(true), Some("0")),
        (true, Some(false), Some("2")),
        (true, None, None),
        (false, Some(true), None),
        (false, Some(false), None),
    ] {
        let sent = sent(&Settings { scuttle, shared, ..settings() }, &link(), None);
        assert_eq!(sent.get("status").map(String::as_str), status, "{scuttle} {shared:?}");
    }
}

#[test]
fn a_query_in_the_add_address_is_kept() {
    let add = Url::parse("http://example.org/api.php?method=add").unwrap();
    let sent = sent(&Settings { add, ..settings() }, &link(), None);
    assert_eq!((sent["method"].as_str(), sent["replace"].as_str()), ("add", "no"));
}

#[test]
fn a_title_is_cut_to_255_characters_not_bytes() {
    let sent = sent(&settings(), &Link { title: "ü".repeat(300), ..link() }, None);
    assert_eq!(sent["description"], "ü".repeat(255));
}

#[test]
fn a_request_over_2000_bytes_loses_the_log_address_first_then_the_end_of_the_title() {
    let log_url = "http://logs.example.org/?".to_string() + &"x".repeat(800);
    let long = Link { url: format!("http://example.com/{}", "y".repeat(981)), ..link() };
    let note_lost = sent(&settings(), &long, Some(&log_url));
    assert_eq!(
        (note_lost["extended"].as_str(), &note_lost["description"]),
        ("posted by bob", &long.title)
    );

    let longer = Link { title: "🦀".repeat(255), ..long.clone() };
    let url = settings().request(ADD, &longer, Some(log_url.clone()), NOW).unwrap();
    let target = url[url::Position::BeforePath..].len();
    assert!((1980..=2000).contains(&target), "{target}");
    let title_cut = sent(&settings(), &longer, Some(&log_url));
    assert!(longer.title.starts_with(&title_cut["description"]));
    assert_eq!(title_cut["url"], longer.url);

    let hopeless = Link { url: format!("http://example.com/?{}", "&".repeat(980)), ..longer };
    assert_eq!(sent(&settings(), &hopeless, None)["description"], "🦀");
}

#[test]
fn the_posting_time_sent_is_at_most_ten_minutes_ahead() {
    for (ahead, dt) in [(599, "2026-11-22T10:41:18Z"), (700, "2026-11-22T10:41:19Z")] {
        let link = Link { posted: NOW + time::Duration::seconds(ahead), ..link() };
        assert_eq!(sent(&settings(), &link, None)["dt"], dt);
    }
}

#[test]
fn scuttle_gets_the_right_address_though_it_decodes_twice() {
    let scuttle = Settings { scuttle: true, ..settings() };
    let sent = sent(&scuttle, &Link { nick: "b🦀b".into(), ..link() }, None);
    let twice: Vec<_> =
        url::form_urlencoded::parse(format!("u={}", sent["url"].replace('&', "%26")).as_bytes())
            .into_owned()
            .collect();
    assert_eq!(twice[0].1, link().url);
    assert_eq!(sent["description"], "C++ & <b>ü</b> \u{fffd}");
    assert_eq!(sent["extended"], "posted by b\u{fffd}b");
}

#[test]
fn a_new_title_is_sent_like_an_add_with_replace() {
    let url = settings().request(Change::Replace, &link(), None, NOW).unwrap();
    let mut expected = sent(&settings(), &link(), None);
    assert_eq!(expected.insert("replace".into(), "yes".into()).as_deref(), Some("no"));
    assert_eq!(arguments(&url), expected);
}

#[test]
fn a_delete_sends_only_the_address_and_the_login() {
    for (add, delete) in [
        ("https://api.example.org/v1/posts/add", "https://api.example.org/v1/posts/delete?url="),
        (
            "https://add.example.org/add/posts_add.php",
            "https://add.example.org/add/posts_delete.php?url=",
        ),
        ("http://example.org/api.php?method=add", "http://example.org/api.php?method=delete&url="),
    ] {
        let add = Url::parse(add).unwrap();
        // In posts/delete, even Scuttle decodes the address only once.
        let scuttle = Settings { add, scuttle: true, shared: Some(true), ..settings() };
        let url = scuttle.request(Change::Delete, &link(), None, NOW).unwrap();
        assert!(url.as_str().starts_with(delete), "{url}");
        assert_eq!(arguments(&url)["url"], link().url);
        assert_eq!(arguments(&url).len(), 1 + usize::from(delete.contains("method")));
    }
    let login = with_login("delicious_token = alice:0A");
    let url = login.request(Change::Delete, &link(), None, NOW).unwrap();
    assert_eq!(arguments(&url)["auth_token"], "alice:0A");
}

#[test]
fn without_an_address_of_posts_delete_a_delete_is_refused_and_nothing_is_sent() {
    let add = Url::parse("http://add.example.invalid/put").unwrap();
    let verdict =
        Account::new(Settings { add, ..settings() }).send(Change::Delete, &link(), None, NOW);
    assert!(matches!(verdict, Refused(_)), "{verdict:?}");
}

#[test]
fn the_tags_in_a_title_are_moved_after_the_tags_of_bot_conf() {
    let tags = ["irc", "{channel}", "links"].map(String::from).to_vec();
    let link = Link { title: "Why #1 is #best #rust #c++".into(), ..link() };
    let sent = sent(&Settings { tags, ..settings() }, &link, None);
    assert_eq!(
        (sent["description"].as_str(), sent["tags"].as_str()),
        ("Why #1 is", "irc dev links best rust c++")
    );
}

#[test]
fn tags_of_bot_conf_and_channels_contain_only_what_services_can_store() {
    for (tags, channel, expected) in [
        (&["irc", "{channel}"][..], "#-dev", "irc dev"),
        (&["-irc", "a'b", "~", "x-{channel}"], "##c++", "irc ab x-c++"),
        (&["{channel}"], "#-", "irc"),
        (
            &["{channel}"],
            "#ein-sehr-langer-name-eines-kanals-hier",
            "ein-sehr-langer-name-eines-kanal",
        ),
    ] {
        let settings =
            Settings { tags: tags.iter().map(|t| t.to_string()).collect(), ..settings() };
        let link = Link { channel: channel.into(), ..link() };
        assert_eq!(sent(&settings, &link, None)["tags"], expected);
    }
}

// ---- The response

#[test]
fn a_result_of_done_means_stored_however_it_is_wrapped() {
    for body in [
        "<?xml version=\"1.0\"?>\r\n<result code=\"done\" />",
        "<br />\n<b>Warning</b>: something < here\n<?xml version=\"1.0\"?><result code=\"done\" />",
        "<result code='done' />",
        "<result>done</result>",
        "<result\n  class=\"x > y\" code = \" Done \">",
        "<RESULT CODE=\"OK\"/>",
        "<results><result code=\"done\"/></results>",
        "{\"result_code\":\"done\"}",
        "\u{feff} {\"result\" : \"done\"}",
        "{\"result\": \"something else\", \"result_code\": \"done\"}",
        // Truncated, but only after a complete result.
        "<result code=\"done\"",
    ] {
        assert_eq!(verdict(200, body), Done, "{body}");
        assert_eq!(verdict(201, body), Done, "{body}");
    }
}

#[test]
fn a_200_response_without_a_complete_result_is_unclear() {
    for body in [
        "",
        "done",
        "<html><body>It works!</body></html>",
        "<html><script>{\"result\":\"done\"}</script>",
        "<result",
        "<result code=\"don",
        "<result code=done>",
        "<result code=\"\" />",
        "<result>do",
        "<result/><p class=\"done\">",
        "{\"result\":\"do",
        "{\"result\":true}",
        "{\"message\":\"\\\"result\\\":\\\"done\\\"\"}",
        "\u{0}\u{1}\u{fffd}",
    ] {
        assert_eq!(cause(&verdict(200, body)), Some(Cause::Unclear), "{body}");
    }
}

#[test]
fn a_known_address_is_already_there() {
    for (status, body) in [
        (200, "<result code=\"item already exists\" />"),
        (200, "<result code=\"bookmark does already exist\" />"),
        (409, "<result code=\"bookmark does already exist\" />"),
        (409, ""),
    ] {
        assert_eq!(verdict(status, body), AlreadyThere, "{status} {body}");
    }
}

#[test]
fn a_refused_login_is_a_configuration_error() {
    for (status, body) in [
        (401, "Please log in"),
        (401, "{\"errors\":{\"detail\":\"Unauthorized\"}}"),
        (403, ""),
        (200, "<result code=\"access denied\" />"),
        (200, "<result code=\"bad auth token\" />"),
    ] {
        assert!(cause(&verdict(status, body)) == Some(Cause::Misconfigured), "{status} {body}");
    }
}

#[test]
fn a_refused_login_names_the_keys_to_check() {
    let TryLater { why, .. } = verdict(401, "") else { panic!() };
    for key in ["delicious_user", "delicious_password", "delicious_token", "delicious_bearer"] {
        assert!(why.contains(key), "{why}");
    }
}

#[test]
fn a_refusal_with_a_result_is_final_and_one_by_the_status_alone_is_not() {
    for (status, body, by_status, why) in [
        (200, "<result code=\"missing url\" />", false, "HTTP 200: missing url"),
        (200, "<result code=\"error adding link\" />", false, "HTTP 200: error adding link"),
        (200, "<result code=\"frobnicated\" />", false, "HTTP 200: frobnicated"),
        (400, "<result code=\"Description missing\" />", false, "HTTP 400: description missing"),
        (400, "<result code=\"done\" />", false, "HTTP 400: done"),
        (400, "Bad Request", true, "HTTP 400"),
        (410, "", true, "HTTP 410"),
        (414, "<html>", true, "HTTP 414"),
        (418, "", true, "HTTP 418"),
        (499, "", true, "HTTP 499"),
        (501, "", true, "HTTP 501"),
    ] {
        let expected = match by_status {
            true => later(&format!("{why}{CHECK_ADDRESS}"), Cause::RefusedByStatus),
            false => Refused(why.into()),
        };
        assert_eq!(verdict(status, body), expected, "{status} {body}");
    }
    let body = "<result code=\"something went wrong\" />";
    let why = "HTTP 200: something went wrong".to_owned();
    assert_eq!(verdict(200, body), RefusedOrThere(why.clone()));
    let verdict = account("").judge(Change::Replace, 200, None, body);
    assert_eq!(verdict, RefusedOrThere(why), "a new title");
}

#[test]
fn a_missing_bookmark_counts_as_deleted() {
    let judge = |status, body: &str| account("").judge(Change::Delete, status, None, body);
    assert_eq!(judge(200, "<result code=\"done\" />"), Done);
    for (status, body) in [
        (200, "<result code=\"item not found\" />"),
        (404, "<result code=\"item not found\" />"),
        (404, ""),
        (200, "<result code=\"something went wrong\" />"),
    ] {
        assert_eq!(judge(status, body), Done, "{status} {body}");
    }
    for status in [405, 409, 501] {
        assert!(matches!(judge(status, ""), Refused(_)), "{status}");
    }
    for status in [401, 403, 429, 500] {
        assert!(matches!(judge(status, ""), TryLater { .. }), "{status}");
    }
}

#[test]
fn a_server_error_is_retried_and_may_have_stored_the_link() {
    for status in [500, 502, 503, 504, 599, 999] {
        for body in ["", "<html>", "<result code=\"done\" />"] {
            assert_eq!(cause(&verdict(status, body)), Some(Cause::Unclear), "{status} {body}");
        }
    }
    for status in [408, 425, 429] {
        assert_eq!(cause(&verdict(status, "")), Some(Cause::Busy), "{status}");
    }
}

#[test]
fn a_service_that_asks_us_to_wait_says_nothing_about_the_link() {
    let cause = |status, after| cause(&account("").judge(ADD, status, after, ""));
    let now = Some(Duration::ZERO);
    assert_eq!(
        (cause(503, None), cause(503, now)),
        (Some(Cause::Unclear), Some(Cause::Overloaded))
    );
    assert_eq!(
        (cause(200, None), cause(200, now)),
        (Some(Cause::Unclear), Some(Cause::Overloaded))
    );
    assert_eq!(
        (cause(420, None), cause(420, now)),
        (Some(Cause::RefusedByStatus), Some(Cause::Busy))
    );
    assert_eq!(
        (cause(403, None), cause(403, now)),
        (Some(Cause::Misconfigured), Some(Cause::Misconfigured))
    );
    for status in [408, 425, 429] {
        assert_eq!(cause(status, None), Some(Cause::Busy));
    }
}

#[test]
fn a_wrong_address_is_a_configuration_error() {
    for status in [300, 301, 302, 303, 304, 307, 308, 404, 405, 406] {
        assert!(
            cause(&verdict(status, "<result code=\"done\" />")) == Some(Cause::Misconfigured),
            "{status}"
        );
    }
}

#[test]
fn retry_after_is_seconds_or_a_date_and_at_most_an_hour() {
    for (text, seconds) in [
        ("0", Some(0)),
        ("120", Some(120)),
        ("86400", Some(3600)),
        ("Sun, 22 Nov 2026 10:33:19 GMT", Some(120)),
        ("Sun, 22 Nov 2026 10:31:18 GMT", Some(0)),
        ("Mon, 22 Nov 2027 10:33:19 GMT", Some(3600)),
        ("-1", None),
        ("soon", None),
        ("", None),
    ] {
        assert_eq!(wait_for(text, NOW), seconds.map(Duration::from_secs), "{text}");
    }
}

// ---- The service's message

#[test]
fn a_plain_message_is_shown_as_is() {
    let account = account("delicious_token = alice:0A1B2C");
    assert_eq!(
        account.service_message("tag <x> is \"too\" long, sorry!"),
        "tag <x> is \"too\" long, sorry!"
    );
    assert_eq!(account.service_message(&"x".repeat(300)), "x".repeat(200));
}

#[test]
fn a_message_is_cut_where_it_is_no_longer_plain() {
    let account = account("");
    for rest in ["\x1b[2J", "\n", "&#10;", "%0A", "\\u000a", "\u{202e}", "\u{fffd}", "\u{7f}"] {
        assert_eq!(
            account.service_message(&format!("bad title{rest}more")),
            "bad title",
            "{rest:?}"
        );
    }
    assert_eq!(account.service_message("\u{fffd}"), "message not shown");
}

#[test]
fn a_message_with_a_login_or_the_start_of_one_is_not_shown() {
    let basic = "delicious_user = alice\ndelicious_password = open sesame\" <now>";
    let pair = STANDARD.encode("alice:open sesame\" <now>");
    let logins = [
        (basic, "open sesame\" <now>"),
        (basic, "OPEN+SESAME"),
        (basic, pair.as_str()),
        (basic, pair.trim_end_matches('=')),
        ("delicious_token = alice:0A1B2C", "0a1b2c"),
        ("delicious_token = alice:0A1B2C", "alice:0A"),
        ("delicious_bearer = t0k", "T0K"),
    ];
    for (login, echo) in logins {
        let account = account(login);
        for message in [
            format!("wrong: {echo}"),
            format!("{echo} is wrong"),
            echo.into(),
            echo[..echo.len().min(4)].into(),
        ] {
            assert_eq!(
                account.service_message(&message.to_lowercase()),
                "message not shown",
                "{message}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]
    #[test]
    fn any_answer_gets_a_verdict(
        status in 100..1000u16,
        body in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            "[<>/='\"{}:,\\\\ a-c%&#;xu0-9]{0,40}(<result|\"result\"|code=)?[<>/='\"{}:,\\\\ a-c%&#;xu0-9]{0,40}".prop_map(String::into_bytes),
        ],
    ) {
        account("delicious_token = a:b").judge(ADD, status, None, &String::from_utf8_lossy(&body).to_ascii_lowercase());
    }

    #[test]
    fn at_most_three_characters_of_a_login_are_shown(
        password in "[!-~äß€🦀]{8,20}",
        shown in 0..20usize,
        escape in prop_oneof![Just("%41"), Just("&amp;"), Just("\\u00e4"), Just(""), Just("...")],
    ) {
        let account = account(&format!("delicious_bearer = {password}"));
        let echo: String = password.chars().take(shown).collect();
        let message = account.service_message(&format!("wrong token [{echo}{escape}]").to_ascii_lowercase());
        let start: String = password.chars().take(4).collect();
        // That would be shown whatever the service says.
        prop_assume!(!"message not shown".contains(&start.to_lowercase()));
        prop_assert!(!message.contains(&start.to_lowercase()), "{} {}", echo, message);
    }
}

// ---- Over a socket

/// Serves one request with `response`, then closes. Returns the verdict and the request.
fn over_http(settings: Settings, response: &'static [u8]) -> (Verdict, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let add =
        Url::parse(&format!("http://{}/v1/posts/add", listener.local_addr().unwrap())).unwrap();
    let service = std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            request.push(byte[0]);
        }
        // The client may have read enough and closed the connection.
        let _ = stream.write_all(response);
        String::from_utf8(request).unwrap()
    });
    let verdict = Account::new(Settings { add, ..settings }).send(ADD, &link(), None, NOW);
    (verdict, service.join().unwrap())
}

#[test]
fn a_request_is_a_get_with_headers_that_all_services_accept() {
    let login = with_login("delicious_user = alice\ndelicious_password = s:ü");
    let response = b"HTTP/1.0 200 OK\r\n\r\n<result code=\"done\" />";
    let (verdict, request) = over_http(login, response);
    assert_eq!(verdict, Done);
    let mut lines = request.trim_end().lines();
    let first = lines.next().unwrap();
    assert!(
        first.starts_with(
            "GET /v1/posts/add?url=http%3A%2F%2Fwww.example.com%2F%3Fa%3D1%26b%3D%2520%2B%23c&"
        ),
        "{first}"
    );
    let headers: HashMap<_, _> = lines
        .filter_map(|l| l.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    assert_eq!(headers["authorization"], "Basic YWxpY2U6czrDvA==");
    assert_eq!(headers["user-agent"], "linkbot/0.1.0 (alice)");
    assert_eq!(headers["accept"], "application/xml");
    assert_eq!(headers.len(), 4, "more than these and Host: {headers:?}");
}

#[test]
fn a_bearer_token_is_sent_in_its_header() {
    let (_, request) =
        over_http(with_login("delicious_bearer = t0ken"), b"HTTP/1.1 200 OK\r\n\r\n");
    assert!(
        request.to_ascii_lowercase().contains("\r\nauthorization: bearer t0ken\r\n"),
        "{request}"
    );
}

#[test]
fn a_response_is_read_as_far_as_it_arrives() {
    let chunked =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n<result \r\nd\r\ncode=\"done\"/>\r\n0\r\n\r\n";
    assert_eq!(over_http(settings(), chunked).0, Done);
    let complete = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<result code=\"done\" />";
    assert_eq!(over_http(settings(), complete).0, Done);
    for unclear in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<result code=\"do"[..],
        b"HTTP/1.1 200 OK\r\nContent-",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 999 Slow Down\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"",
    ] {
        let verdict = over_http(settings(), unclear).0;
        assert!(
            cause(&verdict) == Some(Cause::Unclear),
            "{verdict:?} {}",
            String::from_utf8_lossy(unclear)
        );
    }
}

#[test]
fn at_most_64_kib_of_a_response_and_of_its_header_are_read() {
    let late =
        format!("HTTP/1.1 200 OK\r\n\r\n{}<result code=\"done\" />", " ".repeat(65_536 - 18));
    assert!(matches!(over_http(settings(), late.leak().as_bytes()).0, TryLater { .. }));
    let in_time =
        format!("HTTP/1.1 200 OK\r\n\r\n{}<result code=\"done\" />", " ".repeat(65_536 - 19));
    assert_eq!(over_http(settings(), in_time.leak().as_bytes()).0, Done);
    let header = format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(20_000));
    assert!(matches!(over_http(settings(), header.leak().as_bytes()).0, TryLater { .. }));
}

#[test]
fn a_slow_service_is_given_more_time_and_a_quick_one_less() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let add = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let service = std::thread::spawn(move || {
        // The first request hangs until the client goes away.
        let _ = listener.accept().unwrap().0.read_to_end(&mut Vec::new());
        for _ in 0..2 {
            let mut stream = listener.accept().unwrap().0;
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n<result code=\"done\" />").unwrap();
            // Wait for the client: an early close could lose the response.
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    let mut account = Account::new(Settings { add, ..settings() });
    let hung = TryLater {
        why: "no response in time".into(),
        cause: Cause::Unclear,
        at_least: Duration::from_secs(30),
    };
    assert_eq!(account.send(ADD, &link(), None, NOW), hung);
    assert_eq!(account.response_timeout, SHORTEST_TIMEOUT * 2);
    assert_eq!(account.send(ADD, &link(), None, NOW), Done);
    assert_eq!(account.response_timeout, SHORTEST_TIMEOUT);
    assert_eq!(account.send(ADD, &link(), None, NOW), Done);
    assert_eq!(account.response_timeout, SHORTEST_TIMEOUT, "never shorter");
    service.join().unwrap();
}

#[test]
fn a_redirect_is_not_followed() {
    for status in ["301 Moved", "302 Found", "304 Not Modified", "308 Permanent Redirect"] {
        let response =
            format!("HTTP/1.1 {status}\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
        let verdict = over_http(settings(), response.leak().as_bytes()).0;
        assert_eq!(cause(&verdict), Some(Cause::Misconfigured), "{status} {verdict:?}");
    }
}

#[test]
fn retry_after_reaches_the_verdict() {
    let response = b"HTTP/1.1 429 Slow\r\nRetry-After: Sun, 22 Nov 2026 10:32:19 GMT\r\n\r\n";
    let at_least = Duration::from_secs(60);
    let expected = TryLater { why: "HTTP 429".into(), cause: Cause::Busy, at_least };
    assert_eq!(over_http(settings(), response).0, expected);
}

#[test]
fn a_refused_connection_has_stored_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let add = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let verdict = Account::new(Settings { add, ..settings() }).send(ADD, &link(), None, NOW);
    assert_eq!(verdict, later("Connection refused", Cause::Busy));
}

#[test]
fn a_failed_dns_lookup_has_stored_nothing() {
    // The message that std uses.
    let why = "failed to lookup address information: Name or service not known";
    let verdict = failed(ureq::Error::Io(std::io::Error::other(why)));
    assert_eq!(verdict, later(why, Cause::Busy));
}

#[test]
fn a_login_that_fits_in_no_header_is_a_configuration_error() {
    let authorization = Some("Bearer line\nbreak".into());
    let verdict =
        Account::new(Settings { authorization, ..settings() }).send(ADD, &link(), None, NOW);
    let TryLater { why, cause, .. } = verdict else { panic!("{verdict:?}") };
    assert!(cause == Cause::Misconfigured && !why.contains("break"), "{why}");
}

#[test]
fn an_extreme_retry_after_does_not_crash_linkbot() {
    let now = OffsetDateTime::UNIX_EPOCH;
    for (text, seconds) in [
        ("18446744073709551615", Some(3600)),
        ("18446744073709551616", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", Some(3600)),
        ("Sat, 01 Jan 1900 00:00:00 +2359", Some(0)),
        ("Mon, 01 Jan 0000 00:00:00 GMT", None),
    ] {
        assert_eq!(wait_for(text, now).map(|wait| wait.as_secs()), seconds, "{text}");
    }
}
