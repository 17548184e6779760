use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::prelude::*;
use time::{format_description::well_known::Rfc3339, macros::datetime};

use super::*;
use crate::tests::log::LOG;

/// Our clock when a [`Talk`] begins.
const START: OffsetDateTime = datetime!(2026-11-22 10:30:00 UTC);

fn settings() -> Settings {
    Settings {
        nick: "linkbot".into(),
        owner: String::new(),
        channels: vec![channel("#dev", None)],
        server_password: None,
        sasl: None,
        on_connect: Vec::new(),
        prefix: ".".into(),
        ignore: Vec::new(),
        relay: Vec::new(),
        rejoin: false,
        catch_up: false,
        reply: ReplyStyle::Privmsg,
        hears_all: false,
    }
}

fn channel(name: &str, key: Option<&str>) -> Channel {
    Channel { name: name.into(), key: key.unwrap_or_default().into() }
}

fn plain(user: &str, password: &str) -> Settings {
    let sasl = Sasl { mechanism: "PLAIN", login: format!("{user}\0{user}\0{password}") };
    Settings { sasl: Some(sasl), ..settings() }
}

fn external() -> Settings {
    let sasl = Sasl { mechanism: "EXTERNAL", login: String::new() };
    Settings { sasl: Some(sasl), ..settings() }
}

impl Request {
    /// The command as it was said.
    fn text(&self) -> String {
        self.args.clone()
    }
}

/// A conversation with a simulated server and clock.
struct Talk {
    session: Session<'static>,
    now: Now,
}

impl Talk {
    /// Connected; [`sent`](Talk::sent) returns the first lines.
    fn new(settings: Settings) -> Talk {
        Talk::after(settings, &[None; 9])
    }

    /// The same, but each channel was last seen at its time in `last_seen`.
    fn after(settings: Settings, last_seen: &[Option<OffsetDateTime>]) -> Talk {
        let now = Now { instant: Instant::now(), clock: START };
        Talk { session: Session::new(Box::leak(Box::new(settings)), last_seen, now), now }
    }

    /// When its only channel was last seen.
    fn last_seen(&mut self) -> Option<OffsetDateTime> {
        self.session.last_seen(self.now).next().unwrap()
    }

    /// The first lines are sent, and the server has listed its capabilities.
    fn offered(settings: Settings, capabilities: &str) -> Talk {
        let mut talk = Talk::new(settings);
        talk.sent();
        talk.says(&format!(":server CAP * LS :{capabilities}"));
        talk
    }

    /// Registered, but before the end of the welcome burst.
    fn welcomed(settings: Settings) -> Talk {
        let mut talk = Talk::offered(settings, "");
        talk.says(":server 001 linkbot :Welcome");
        talk.forget();
        talk
    }

    /// In all its channels, as `linkbot!bot@host`.
    fn in_channels(settings: Settings) -> Talk {
        let channels: Vec<String> = settings.channels.iter().map(|c| c.name.clone()).collect();
        let mut talk = Talk::welcomed(settings);
        talk.says(":server 376 linkbot :End");
        for name in channels {
            talk.says(&format!(":linkbot!bot@host JOIN {name}"));
        }
        talk.forget();
        talk
    }

    /// The server sends a line.
    fn says(&mut self, line: &str) -> Option<Request> {
        self.says_bytes(line.as_bytes())
    }

    fn says_bytes(&mut self, line: &[u8]) -> Option<Request> {
        let said = self.session.receive(line, self.now);
        self.session.tick(self.now.instant);
        said
    }

    /// The server sends a line with this server-time.
    fn says_at(&mut self, time: OffsetDateTime, line: &str) -> Option<Request> {
        self.says(&format!("@time={} {line}", time.format(&Rfc3339).unwrap()))
    }

    /// Time passes without a line from the server.
    fn passes(&mut self, seconds: i64) {
        self.passes_ms(seconds * 1000);
    }

    fn passes_ms(&mut self, milliseconds: i64) {
        self.now.instant += Duration::from_millis(milliseconds as u64);
        self.now.clock += time::Duration::milliseconds(milliseconds);
        self.session.tick(self.now.instant);
    }

    /// The lines sent within `seconds`, while the server only sends PING.
    fn sends_within(&mut self, seconds: u64) -> Vec<String> {
        let mut sent = self.sent();
        for _ in 0..seconds {
            self.says("PING x");
            self.passes(1);
            sent.extend(self.sent());
        }
        sent.retain(|line| line != "PONG x");
        sent
    }

    /// The lines sent since the last call.
    fn sent(&mut self) -> Vec<String> {
        std::mem::take(&mut self.session.out).split_terminator("\r\n").map(str::to_owned).collect()
    }

    /// The lines logged since the last call.
    fn logged(&mut self) -> String {
        let text = |line: String| {
            let priority = line.strip_prefix("<6>").or(line.strip_prefix(WARNING));
            // Without a priority, the line starts with a time of 21 characters.
            priority.unwrap_or_else(|| &line[21..]).to_owned()
        };
        LOG.take().into_iter().map(text).collect::<Vec<_>>().join("\n")
    }

    fn forget(&mut self) {
        self.sent();
        self.logged();
    }

    /// How the connection ended.
    fn end(&self) -> (Retry, &str) {
        let End(retry, why) = self.session.end.as_ref().expect("the connection should be closed");
        (*retry, why)
    }

    fn is_open(&self) -> bool {
        self.session.end.is_none()
    }

    /// The time to the session's deadline, in seconds.
    fn wakes_in(&self) -> u64 {
        (self.session.deadline() - self.now.instant).as_secs()
    }
}

fn nothing() -> Vec<String> {
    Vec::new()
}

/// The payload of these AUTHENTICATE lines, and the length of each chunk.
fn payload(lines: &[String]) -> (String, Vec<usize>) {
    let chunks: Vec<&str> =
        lines.iter().map(|line| line.strip_prefix("AUTHENTICATE ").unwrap()).collect();
    let sizes = chunks.iter().map(|chunk| if *chunk == "+" { 0 } else { chunk.len() }).collect();
    let all: String = chunks.into_iter().filter(|&chunk| chunk != "+").collect();
    (String::from_utf8(BASE64.decode(all).unwrap()).unwrap(), sizes)
}

// Registration.

#[test]
fn cap_ls_302_nick_and_user_are_sent_at_once() {
    let version = env!("CARGO_PKG_VERSION");
    let user = format!("USER linkbot 0 * :linkbot {version}");
    assert_eq!(Talk::new(settings()).sent(), ["CAP LS 302", "NICK linkbot", user.as_str()]);
}

#[test]
fn pass_is_the_first_line_if_a_server_password_is_set() {
    let mut talk =
        Talk::new(Settings { server_password: Some("open sesame".into()), ..settings() });
    assert_eq!(talk.sent()[..2], ["PASS :open sesame", "CAP LS 302"]);
}

#[test]
fn the_owner_goes_into_the_realname() {
    let mut talk = Talk::new(Settings { owner: "alice, alice@example.org".into(), ..settings() });
    assert!(talk.sent()[2].ends_with(", run by alice, alice@example.org"));
}

#[test]
fn a_list_without_useful_capabilities_gets_cap_end_alone() {
    for list in [":", ": ", "", ":multi-prefix sts=port=6697 echo-message"] {
        let mut talk = Talk::new(settings());
        talk.sent();
        talk.says(&format!(":server CAP * LS {list}"));
        assert_eq!(talk.sent(), ["CAP END"], "{list:?}");
    }
}

#[test]
fn only_used_and_offered_capabilities_are_requested() {
    let mut talk = Talk::offered(
        settings(),
        "sts=port=6697 sasl=PLAIN away-notify server-time account-tag=x chathistory",
    );
    assert_eq!(talk.sent(), ["CAP REQ server-time", "CAP REQ account-tag", "CAP END"]);
    talk.says(":server CAP linkbot ACK :server-time");
    talk.says(":server CAP linkbot ACK :account-tag");
    assert_eq!(talk.sent(), nothing());
}

#[test]
fn a_list_of_capabilities_may_come_in_several_lines() {
    let mut talk = Talk::new(plain("bot", "secret"));
    talk.sent();
    talk.says(":server CAP * LS * :multi-prefix server-time");
    talk.says(":server CAP * LS * :account-tag sasl=EXTERNAL,PLAIN");
    talk.says(":server CAP * LS :message-tags");
    let requested =
        ["CAP REQ server-time", "CAP REQ account-tag", "CAP REQ sasl", "CAP REQ message-tags"];
    assert_eq!(talk.sent(), requested);

    let mut talk = Talk::new(settings());
    talk.sent();
    talk.says(":server CAP * LS * :multi-prefix");
    assert_eq!(talk.sent(), nothing());
    talk.says(":server CAP * LS :echo-message");
    assert_eq!(talk.sent(), ["CAP END"]);
}

#[test]
fn a_refused_capability_does_not_affect_the_others() {
    let mut talk = Talk::offered(plain("bot", "secret"), "server-time account-tag sasl");
    assert_eq!(talk.sent(), ["CAP REQ server-time", "CAP REQ account-tag", "CAP REQ sasl"]);
    talk.says(":server CAP * NAK :server-time");
    talk.says(":server CAP * ACK :account-tag");
    assert_eq!(talk.sent(), nothing());
    talk.says(":server CAP * ACK :sasl ");
    assert_eq!(talk.sent(), ["AUTHENTICATE PLAIN"]);
}

#[test]
fn a_nak_of_everything_does_no_harm() {
    let mut talk = Talk::offered(settings(), "server-time");
    assert_eq!(talk.sent(), ["CAP REQ server-time", "CAP END"]);
    talk.says(":server CAP * NAK :server-time");
    talk.says(":server 001 linkbot :Welcome");
    talk.says(":server 376 linkbot :End");
    assert_eq!(talk.sent(), ["JOIN #dev"]);
}

#[test]
fn registration_works_without_cap() {
    let mut talk = Talk::new(settings());
    talk.sent();
    talk.says(":server 421 * CAP :Unknown command");
    talk.says(":server 001 linkbot :Welcome");
    talk.says(":server 422 linkbot :No MOTD");
    assert_eq!(talk.sent(), ["JOIN #dev"]);
}

#[test]
fn a_new_capability_is_requested_and_a_deleted_one_ignored() {
    let mut talk = Talk::offered(settings(), "message-tags");
    talk.says(":server CAP * ACK :message-tags");
    talk.says(":server 001 linkbot :Welcome");
    talk.sent();
    talk.says(":server CAP linkbot DEL :server-time account-tag sasl");
    talk.says(
        ":server CAP linkbot NEW :account-tag sts=port=6697 sasl=PLAIN echo-message server-time",
    );
    assert_eq!(talk.sent(), ["CAP REQ account-tag", "CAP REQ server-time"]);
    talk.says(":server CAP linkbot ACK :account-tag");
    talk.says(":server CAP linkbot NAK :server-time");
    assert_eq!(talk.sent(), nothing());
    assert!(talk.is_open());
}

#[test]
fn ping_is_answered_at_once_even_before_001() {
    let mut talk = Talk::new(settings());
    talk.sent();
    talk.says("PING :a b");
    talk.says("PING 12345");
    assert_eq!(talk.sent(), ["PONG :a b", "PONG 12345"]);
}

#[test]
fn the_burst_ends_with_376_or_422() {
    for numeric in ["376", "422"] {
        let mut talk = Talk::welcomed(settings());
        assert_eq!(talk.sent(), nothing());
        talk.says(&format!(":server {numeric} linkbot :x"));
        assert_eq!(talk.sent(), ["JOIN #dev"]);
        talk.says(":server 422 linkbot :again");
        assert_eq!(talk.sent(), nothing());
    }
}

#[test]
fn registration_times_out_after_60_s() {
    let mut talk = Talk::offered(settings(), "");
    assert_eq!(talk.wakes_in(), 60);
    talk.passes(59);
    talk.says("PING x");
    assert!(talk.is_open());
    talk.passes(1);
    assert_eq!(talk.end().0, Retry::Soon);
}

#[test]
fn the_time_of_registration_is_that_of_001() {
    let mut talk = Talk::offered(settings(), "");
    talk.passes(30);
    assert_eq!(talk.session.registered, None);
    talk.says(":server 001 linkbot :Welcome");
    talk.passes(80);
    assert_eq!(talk.session.registered, Some(talk.now.instant - Duration::from_secs(80)));
}

#[test]
fn a_refused_server_password_is_retried_slowly() {
    let mut talk = Talk::new(Settings { server_password: Some("hunter2".into()), ..settings() });
    talk.says(":server 464 * :Password incorrect");
    let (retry, why) = talk.end();
    assert_eq!(retry, Retry::Slow);
    assert!(why.contains("server_password") && !why.contains("hunter2"));

    let mut talk = Talk::in_channels(settings());
    talk.says(":server 464 linkbot :Password incorrect");
    assert!(talk.is_open(), "an OPER line of on_connect was refused, not the connection");
}

// Login.

/// PLAIN, up to the server's `AUTHENTICATE +`.
fn ready_for_plain(user: &str, password: &str) -> Talk {
    let mut talk = Talk::offered(plain(user, password), "sasl=PLAIN,EXTERNAL");
    assert_eq!(talk.sent(), ["CAP REQ sasl"]);
    talk.says(":server CAP * ACK :sasl");
    assert_eq!(talk.sent(), ["AUTHENTICATE PLAIN"]);
    talk.says("AUTHENTICATE +");
    talk
}

#[test]
fn plain_sends_the_user_as_authzid_and_authcid_and_joins_only_after_login() {
    let mut talk = ready_for_plain("bot", "secret");
    assert_eq!(payload(&talk.sent()), ("bot\0bot\0secret".to_owned(), vec![20]));
    talk.says(":server 900 * *!*@* bot :You are now logged in as bot");
    assert_eq!(talk.sent(), nothing());
    talk.says(":server 903 * :SASL authentication successful");
    assert_eq!(talk.sent(), ["CAP END"]);
    talk.says(":server 001 linkbot :Welcome");
    assert_eq!(talk.sent(), nothing());
    talk.says(":server 376 linkbot :End");
    assert_eq!(talk.sent(), ["JOIN #dev"]);
}

#[test]
fn a_password_of_600_bytes_is_sent_in_chunks_of_400() {
    let password = "x".repeat(600);
    let mut talk = ready_for_plain("bot", &password);
    assert_eq!(payload(&talk.sent()), (format!("bot\0bot\0{password}"), vec![400, 400, 12]));
}

#[test]
fn a_payload_of_exactly_400_or_800_ends_with_a_plus() {
    for (length, chunks) in [
        (292, vec![400, 0]),
        (592, vec![400, 400, 0]),
        (591, vec![400, 400, 0]),
        (589, vec![400, 396]),
    ] {
        let password = "x".repeat(length);
        let mut talk = ready_for_plain("bot", &password);
        assert_eq!(payload(&talk.sent()), (format!("bot\0bot\0{password}"), chunks), "{length}");
    }
}

#[test]
fn a_password_may_be_non_ascii() {
    let mut talk = ready_for_plain("b\u{f6}t", "p\u{e4}\u{df}w\u{f6}rd \u{1f511}");
    assert_eq!(payload(&talk.sent()).0, "b\u{f6}t\0b\u{f6}t\0p\u{e4}\u{df}w\u{f6}rd \u{1f511}");
}

#[test]
fn external_answers_with_a_plus() {
    let mut talk = Talk::offered(external(), "sasl=PLAIN,EXTERNAL");
    talk.says(":server CAP * ACK :sasl");
    assert_eq!(talk.sent(), ["CAP REQ sasl", "AUTHENTICATE EXTERNAL"]);
    talk.says("AUTHENTICATE +");
    assert_eq!(talk.sent(), ["AUTHENTICATE +"]);
    talk.says(":server 903 * :ok");
    assert_eq!(talk.sent(), ["CAP END"]);
}

#[test]
fn without_a_list_of_mechanisms_sasl_is_tried() {
    let mut talk = Talk::offered(external(), "sasl");
    talk.says(":server CAP * ACK :sasl");
    assert_eq!(talk.sent(), ["CAP REQ sasl", "AUTHENTICATE EXTERNAL"]);
}

#[test]
fn a_mechanism_that_is_not_offered_ends_the_connection() {
    let mut talk = Talk::offered(external(), "sasl=PLAIN,SCRAM-SHA-256");
    assert_eq!(talk.sent(), ["CAP REQ sasl", "QUIT"]);
    let why = "login failed: the server offers no SASL EXTERNAL (are services down?)";
    assert_eq!(talk.end(), (Retry::Soon, why));
}

#[test]
fn refused_credentials_end_the_connection_with_a_clear_message() {
    for numeric in ["902", "904", "905"] {
        let mut talk = ready_for_plain("bot", "secret");
        talk.sent();
        talk.says(&format!(":server {numeric} * :The server's words"));
        assert_eq!(talk.sent(), ["QUIT"], "{numeric}");
        let remedy = "check sasl_user and sasl_password, or tls_cert for sasl = external";
        let why = format!("login failed: {numeric} The server's words; {remedy}");
        assert_eq!(talk.end(), (Retry::Refused, why.as_str()));
    }
    let mut talk = Talk::offered(external(), "sasl");
    for line in [":server CAP * ACK :sasl", "AUTHENTICATE +", ":server 904 * :No"] {
        talk.says(line);
    }
    assert_eq!(talk.end().0, Retry::Refused);
    assert!(talk.end().1.contains("904 No; check "), "{}", talk.end().1);
}

#[test]
fn a_login_that_fails_for_another_reason_is_retried_soon() {
    let fails = [
        ":server 906 * :SASL authentication aborted",
        ":server 907 * :You have already authenticated",
        ":server 908 * EXTERNAL :are available SASL mechanisms",
        ":server 904 * :SASL authentication failed: services are down",
        ":server 905 * :Authentication is temporarily unavailable",
        ":server 902 * :Login not possible: Services are offline, try again later",
        ":server FAIL AUTHENTICATE ACCOUNT_UNVERIFIED :The server's words",
    ];
    for line in fails {
        let mut talk = ready_for_plain("bot", "secret");
        talk.says(line);
        let (retry, why) = talk.end();
        assert_eq!(retry, Retry::Soon, "{line}");
        let words = line.rsplit(':').next().unwrap();
        assert!(why.contains(words) && why.ends_with("(are services down?)"), "{why}");
    }
}

#[test]
fn a_refusal_while_services_are_down_does_not_blame_the_credentials() {
    let away = [
        ":server NOTICE * :*** Services are currently unavailable",
        ":server NOTICE linkbot :SASL is temporarily offline",
        ":SaslServ!s@services NOTICE linkbot :The login service is not available",
    ];
    let other = [
        ":server NOTICE * :*** Looking up your hostname...",
        ":server NOTICE * :*** Could not resolve your hostname: Request timed out; using your IP",
        ":server NOTICE * :*** You are logged in to no services account",
    ];
    let notices = away.map(|line| (line, Retry::Soon)).into_iter();
    for (notice, retry) in notices.chain(other.map(|line| (line, Retry::Refused))) {
        let mut talk = ready_for_plain("bot", "secret");
        talk.says(notice);
        talk.says(":server 904 * :SASL authentication failed");
        assert_eq!(talk.end().0, retry, "{notice}");
    }
}

#[test]
fn a_refusal_before_the_credentials_does_not_blame_them() {
    let mut talk = Talk::offered(plain("bot", "secret"), "sasl");
    talk.says(":server CAP * ACK :sasl");
    talk.says(":server 904 * :SASL authentication failed");
    assert_eq!(talk.end().0, Retry::Soon);
}

#[test]
fn a_login_fails_once_however_often_the_server_says_so() {
    let mut talk = ready_for_plain("bot", "secret");
    talk.sent();
    talk.says(":server 908 * EXTERNAL :are available SASL mechanisms");
    talk.says(":server 904 * :SASL authentication failed");
    talk.passes(30);
    assert_eq!(talk.sent(), ["QUIT"]);
}

#[test]
fn a_login_is_sent_once_however_often_the_server_asks() {
    let mut talk = ready_for_plain("bot", "secret");
    assert_eq!(talk.sent().len(), 1);
    (0..1000).for_each(|_| drop(talk.says("AUTHENTICATE +")));
    assert_eq!(talk.sent(), nothing());
    talk.says(":server 903 * :ok");
    assert_eq!(talk.sent(), ["CAP END"]);
}

#[test]
fn a_login_without_a_reply_times_out() {
    let mut talk = ready_for_plain("bot", "secret");
    assert_eq!(talk.wakes_in(), 60);
    talk.passes(59);
    assert!(talk.is_open());
    talk.passes(1);
    assert_eq!(talk.end(), (Retry::Soon, "login failed: no answer for 60 s (are services down?)"));
    assert_eq!(talk.sent().last().unwrap(), "QUIT");
}

#[test]
fn without_the_configured_login_nothing_is_joined() {
    let mut no_sasl = Talk::offered(plain("bot", "secret"), "server-time");
    no_sasl.says(":server CAP * ACK :server-time");
    let no_capabilities = Talk::offered(plain("bot", "secret"), "");
    let mut refused = Talk::offered(plain("bot", "secret"), "sasl=PLAIN");
    refused.says(":server CAP * NAK :sasl");
    let mut no_cap = Talk::new(plain("bot", "secret"));
    no_cap.says(":server 421 * CAP :Unknown command");
    no_cap.says(":server 001 linkbot :Welcome");
    let mut ignored = Talk::new(plain("bot", "secret"));
    ignored.says(":server 001 linkbot :Welcome");
    let mut hasty = ready_for_plain("bot", "secret");
    hasty.says(":server 001 linkbot :Welcome");
    for mut talk in [no_sasl, no_capabilities, refused, no_cap, ignored, hasty] {
        assert_eq!(talk.end().0, Retry::Soon);
        assert!(talk.end().1.ends_with("(are services down?)"), "{}", talk.end().1);
        let sent = talk.sent();
        assert_eq!(sent.last().unwrap(), "QUIT");
        assert!(!sent.iter().any(|line| line.starts_with("JOIN")));
    }
}

#[test]
fn on_connect_lines_follow_the_burst_and_joins_follow_the_reply_of_services() {
    let lines = vec!["PRIVMSG NickServ :IDENTIFY secret".to_owned(), "MODE linkbot +R".to_owned()];
    for reply in [
        ":NickServ!s@services NOTICE linkbot :You are now identified",
        ":server 900 linkbot x bot :ok",
    ] {
        let mut talk = Talk::welcomed(Settings { on_connect: lines.clone(), ..settings() });
        talk.says(":server 376 linkbot :End");
        assert_eq!(talk.sent(), lines);
        talk.says(":server NOTICE linkbot :Highest connection count: 7");
        talk.says(":ChanServ!s@services NOTICE #dev :Welcome");
        assert_eq!(talk.sent(), nothing());
        talk.says(reply);
        talk.passes_ms(500);
        assert_eq!(talk.sent(), ["JOIN #dev"]);
        talk.says(reply);
        talk.passes(1);
        assert_eq!(talk.sent(), nothing());
    }
}

#[test]
fn channels_are_joined_after_5_s_if_services_do_not_reply() {
    let mut talk = Talk::welcomed(Settings { on_connect: vec!["X".into()], ..settings() });
    talk.says(":server 376 linkbot :End");
    assert_eq!(talk.wakes_in(), 5);
    talk.passes(4);
    assert_eq!(talk.sent(), ["X"]);
    talk.passes(1);
    assert_eq!(talk.sent(), ["JOIN #dev"]);
}

// The nick.

#[test]
fn our_nick_is_the_first_parameter_of_001() {
    let mut talk = Talk::offered(settings(), "");
    talk.says(":server 001 Guest42 :Welcome");
    talk.says(":server 376 Guest42 :End");
    talk.says(":Guest42!bot@host JOIN #dev");
    assert_eq!(talk.says(":a!a@h PRIVMSG #dev :Guest42: url x").unwrap().text(), "url x");
    assert_eq!(talk.says(":a!a@h PRIVMSG #dev :linkbot: url x").unwrap().text(), "url x");
    assert_eq!(talk.says(":Guest42!bot@host PRIVMSG #dev :.url x"), None, "our own line");
}

#[test]
fn a_line_without_a_nick_or_a_second_welcome_keeps_our_nick() {
    let mut talk = Talk::in_channels(settings());
    for line in ["001", "NICK", ":linkbot!bot@host NICK", ":server 001 other :Welcome"] {
        talk.says(line);
        assert_eq!(
            talk.says(":a!a@h PRIVMSG #dev :linkbot: url x").unwrap().text(),
            "url x",
            "{line}"
        );
    }
    let mut talk = Talk::offered(settings(), "");
    for line in ["001", "376", ":linkbot!bot@host JOIN #dev"] {
        talk.says(line);
    }
    assert!(talk.says(":a!a@h PRIVMSG #dev :linkbot: url x").is_some(), "a welcome without a nick");
}

/// Registers with a server that refuses every nick. Returns the nicks that were tried.
fn nicks_tried(wanted: &str, refusal: impl Fn(&str) -> String) -> (Talk, Vec<String>) {
    let mut talk = Talk::new(Settings { nick: wanted.into(), ..settings() });
    talk.sent();
    let mut tried = vec![wanted.to_owned()];
    for _ in 0..50 {
        talk.says(&refusal(tried.last().unwrap()));
        let sent = talk.sent();
        tried.extend(sent.iter().filter_map(|line| line.strip_prefix("NICK ")).map(str::to_owned));
    }
    (talk, tried)
}

#[test]
fn a_taken_nick_gets_an_underscore_and_then_numbers_12_in_all() {
    for numeric in ["433", "436", "437"] {
        let (talk, tried) =
            nicks_tried("linkbotty", |nick| format!(":server {numeric} * {nick} :No"));
        let expected = ["linkbotty", "linkbotty_"].map(str::to_owned).into_iter();
        let expected: Vec<_> = expected.chain((1..=10).map(|n| format!("linkbot{n}"))).collect();
        assert_eq!(tried, expected, "{numeric}");
        let (retry, why) = talk.end();
        assert_eq!(retry, Retry::Slow, "{numeric}");
        assert!(why.contains("the server refuses the nick linkbotty: No; change nick"), "{why}");
    }
}

#[test]
fn at_least_11_nicks_differ_and_are_valid_if_the_server_cuts_them_to_9() {
    for wanted in ["linkbot", "linkbotty", "alonglinkbot", "rob", "r"] {
        let (_, tried) = nicks_tried(wanted, |nick| format!(":server 433 * {:.9} :No", nick));
        let cut: std::collections::HashSet<&str> =
            tried.iter().map(|nick| &nick[..nick.len().min(9)]).collect();
        assert!(cut.len() >= 11 && cut.iter().all(|nick| is_nick(nick)), "{cut:?}");
    }
}

#[test]
fn an_erroneous_nick_is_replaced_like_a_taken_one() {
    let mut talk = Talk::offered(settings(), "");
    talk.sent();
    talk.says(":server 432 * linkbot :Nickname is held by services");
    assert_eq!(talk.sent(), ["NICK linkbot_"]);
    talk.says(":server 001 linkbot_ :Welcome");
    let name = "registered as linkbot_, not as linkbot: asking for that nick every 5 min";
    assert_eq!(talk.logged(), name);
    talk.says(":server 376 linkbot_ :End");
    talk.says(":linkbot_!bot@host JOIN #dev");
    let sent = talk.sends_within(5 * 60);
    assert_eq!(sent, ["JOIN #dev", "NICK linkbot"]);
    talk.says(":server 432 linkbot_ linkbot :Nickname is held by services");
    assert_eq!(talk.sends_within(5 * 60), ["NICK linkbot"]);
    assert!(talk.is_open());
}

#[test]
fn if_all_nicks_are_refused_the_retry_is_slow_and_the_log_says_what_to_do() {
    for others in ["432", "433"] {
        let numeric = |nick: &str| if nick == "linkbot" { "432" } else { others };
        let (talk, tried) = nicks_tried("linkbot", |nick| {
            format!(":server {} * {nick} :Erroneous {nick}", numeric(nick))
        });
        assert_eq!(tried.len(), 12);
        let remedy = "change nick, unless services are only holding it temporarily";
        let why = format!("the server refuses the nick linkbot: Erroneous linkbot10; {remedy}");
        assert_eq!(talk.end(), (Retry::Slow, why.as_str()));
    }
}

#[test]
fn after_an_erroneous_longer_nick_the_next_one_is_tried() {
    let mut talk = Talk::new(settings());
    talk.says(":server 433 * linkbot :No");
    talk.sent();
    talk.says(":server 432 * linkbot_ :Erroneous nickname");
    assert_eq!(talk.sent(), ["NICK linkbot1"]);
    assert!(talk.is_open());
}

#[test]
fn a_nick_other_than_the_wanted_one_is_logged() {
    let registered = |refusals: usize, nick: &str| {
        let mut talk = Talk::offered(settings(), "");
        (0..refusals).for_each(|_| drop(talk.says(":server 433 * x :No")));
        talk.says(&format!(":server 001 {nick} :Welcome"));
        talk.logged()
    };
    assert_eq!(registered(0, "linkbot"), "registered as linkbot");
    assert_eq!(
        registered(1, "linkbot_"),
        "registered as linkbot_, not as linkbot: asking for that nick every 5 min"
    );
    assert_eq!(
        registered(0, "Guest42"),
        "registered as Guest42, not as linkbot: asking for that nick every 5 min"
    );
}

#[test]
fn an_erroneous_nick_is_ignored_once_registered() {
    let mut talk = Talk::in_channels(settings());
    talk.says(":server 432 linkbot linkbot :Erroneous nickname");
    assert!(talk.is_open());
}

/// In its channel, but not with the wanted nick.
fn misnamed() -> Talk {
    let mut talk = Talk::offered(settings(), "");
    talk.says(":server 433 * linkbot :No");
    talk.says(":server 001 linkbot_ :Welcome");
    talk.says(":server 376 linkbot_ :End");
    talk.says(":linkbot_!bot@host JOIN #dev");
    talk.forget();
    talk
}

#[test]
fn the_wanted_nick_is_requested_every_5_minutes() {
    let mut talk = misnamed();
    for _ in 0..3 {
        let mut requested = Vec::new();
        for _ in 0..5 {
            talk.passes(60);
            talk.says("PING x");
            requested.extend(talk.sent().into_iter().filter(|line| line.starts_with("NICK")));
        }
        assert_eq!(requested, ["NICK linkbot"]);
        talk.says(":server 433 linkbot_ linkbot :No");
    }
    talk.says(":linkbot_!bot@host NICK linkbot");
    talk.forget();
    assert_eq!(talk.wakes_in(), 90, "nothing more to request");
}

#[test]
fn the_wanted_nick_is_requested_when_its_holder_leaves() {
    for leaving in [":LINKBOT!x@y QUIT :bye", ":linkbot!x@y NICK away"] {
        let mut talk = misnamed();
        talk.says(":other!x@y QUIT :bye");
        talk.says(":other!x@y NICK another");
        assert_eq!(talk.sent(), nothing());
        talk.says(leaving);
        assert_eq!(talk.sent(), ["NICK linkbot"]);
    }
}

#[test]
fn a_nick_that_we_have_is_not_requested() {
    let mut talk = Talk::in_channels(settings());
    talk.says(":linkbot!x@y QUIT :bye");
    assert_eq!(talk.sent(), nothing());
    assert_eq!(talk.wakes_in(), 90);
}

#[test]
fn the_bot_answers_to_a_nick_that_the_server_gives_it() {
    let mut talk = Talk::in_channels(settings());
    talk.says(":linkbot!bot@host NICK :linkaccount");
    assert!(talk.logged().contains("linkaccount"));
    assert!(talk.says(":a!a@h PRIVMSG #dev :linkaccount, url x").is_some());
    assert!(talk.says(":a!a@h PRIVMSG #dev :linkbot, url x").is_some(), "the configured nick");
    talk.says(":op!o@h KICK #dev linkaccount :out");
    assert!(talk.logged().contains("out of #dev"));
}

#[test]
fn the_bot_sets_the_bot_mode_of_a_network() {
    let mut talk = Talk::welcomed(settings());
    talk.says(":server 005 linkbot NICKLEN=30 BOT=B CHANTYPES=# :are supported");
    talk.says(":server 376 linkbot :End");
    assert_eq!(talk.sent(), ["MODE linkbot +B", "JOIN #dev"]);

    // A nick may be spelled like a feature.
    let mut talk = Talk::welcomed(settings());
    talk.says(":server 005 BOT NICKLEN=30 :are supported");
    talk.says(":server 376 BOT :End");
    assert_eq!(talk.sent(), ["JOIN #dev"]);
}

// Channels.

/// Registered, with the first JOIN sent.
fn joining(settings: Settings) -> Talk {
    let mut talk = Talk::welcomed(settings);
    talk.says(":server 376 linkbot :End");
    talk
}

#[test]
fn each_channel_gets_its_own_join_with_its_key_half_a_second_after_the_last() {
    let channels = vec![channel("#a", None), channel("#b", Some("kb")), channel("#c", None)];
    let mut talk = joining(Settings { channels, ..settings() });
    assert_eq!(talk.sent(), ["JOIN #a"]);
    talk.passes_ms(499);
    assert_eq!(talk.sent(), nothing());
    talk.passes_ms(1);
    assert_eq!(talk.sent(), ["JOIN #b kb"]);
    talk.says(":linkbot!bot@host JOIN #a");
    talk.says(":linkbot!bot@host JOIN #b");
    talk.passes_ms(500);
    assert_eq!(talk.sent(), ["JOIN #c"]);
    talk.says(":linkbot!bot@host JOIN #c");
    assert_eq!(talk.wakes_in(), 90, "an idle bot sleeps");
}

#[test]
fn joins_that_waited_while_the_bot_was_stopped_are_half_a_second_apart_too() {
    let channels: Vec<_> = (0..9).map(|n| channel(&format!("#{n}"), None)).collect();
    let mut talk = joining(Settings { channels, ..settings() });
    assert_eq!(talk.sent(), ["JOIN #0"]);
    talk.passes(3600);
    let mut joined = Vec::new();
    for _ in 0..8 {
        let sent = talk.sent();
        let joins: Vec<_> = sent.into_iter().filter(|line| line.starts_with("JOIN")).collect();
        assert_eq!(joins.len(), 1);
        joined.extend(joins);
        talk.passes_ms(500);
    }
    joined.sort();
    assert_eq!(joined, (1..9).map(|n| format!("JOIN #{n}")).collect::<Vec<_>>());
}

#[test]
fn join_is_retried_with_backoff_until_our_own_join_comes_whatever_the_reply() {
    let refusals = [
        "471", "473", "474", "475", "477", "480", "403", "405", "407", "437", "489", "495", "500",
        "520", "609", "926",
    ];
    let refusals =
        refusals.map(|numeric| Some(format!(":server {numeric} linkbot #DEV :The server's words")));
    for refusal in refusals.into_iter().chain([None]) {
        let mut talk =
            joining(Settings { channels: vec![channel("#dev", Some("key"))], ..settings() });
        assert_eq!(talk.sent(), ["JOIN #dev key"]);
        for wait in [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600] {
            refusal.iter().for_each(|line| drop(talk.says(line)));
            assert_eq!(talk.sends_within(wait - 1), nothing(), "{refusal:?} before {wait} s");
            assert_eq!(talk.sends_within(1), ["JOIN #dev key"], "{refusal:?} after {wait} s");
        }
        assert_eq!(
            talk.logged().matches("not in #dev: no reply to JOIN; still trying").count(),
            usize::from(refusal.is_none()),
            "{refusal:?}"
        );
        talk.says(OWN_JOIN);
        assert_eq!(talk.sends_within(3600), nothing(), "{refusal:?}");
    }
}

#[test]
fn each_refusal_of_a_join_is_logged_once_with_the_servers_message() {
    let mut talk = joining(settings());
    talk.forget();
    for numeric in ["403", "407", "471", "475", "477", "495", "500", "520", "609", "926"] {
        let refusal = format!(":server {numeric} linkbot #DEV :The server's words");
        talk.says(&refusal);
        let logged = talk.logged();
        assert_eq!(
            logged,
            format!("not in #dev: {numeric} The server's words; retrying with backoff")
        );
        talk.says(&refusal);
        assert_eq!(talk.logged(), "");
    }
    // As UnrealIRCd sends it.
    talk.says(":server 520 linkbot :Cannot join channel #dev (IRCops only)");
    assert!(talk.logged().starts_with("not in #dev: 520 Cannot join channel #dev (IRCops only); "));
    for other in [
        "353 linkbot = #dev :alice",
        "366 linkbot #dev :End",
        "475 linkbot #other :Bad key",
        "421 linkbot X :Unknown",
    ] {
        talk.says(&format!(":server {other}"));
        assert_eq!(talk.logged(), "", "{other}");
    }
}

#[test]
fn after_joining_a_refusal_is_logged_as_a_refused_message() {
    for numeric in ["404", "477"] {
        let mut talk = Talk::in_channels(settings());
        talk.says(&format!(":server {numeric} linkbot #dev :You need voice"));
        assert_eq!(
            talk.logged(),
            format!("the server refused a message to #dev: {numeric} You need voice")
        );
        assert!(talk.says(URL).is_some());
        assert_eq!(talk.sends_within(60), nothing());
    }
}

#[test]
fn a_channel_that_the_server_puts_us_in_is_not_joined_again() {
    let mut talk = Talk::welcomed(settings());
    talk.says(OWN_JOIN);
    talk.says(":server 376 linkbot :End");
    assert_eq!((talk.sent(), talk.wakes_in()), (nothing(), 90));

    let mut talk = joining(settings());
    talk.says(":server 471 linkbot #dev :Full");
    talk.says(OWN_JOIN);
    assert_eq!(talk.wakes_in(), 90);
}

#[test]
fn each_target_of_a_forward_is_ignored_and_logged_once() {
    let mut talk = Talk::welcomed(settings());
    talk.says(":server 376 linkbot :End");
    talk.forget();
    let forward = |target: &str| {
        [
            format!(":server 470 linkbot #dev {target} :Forwarding to another channel"),
            format!(":linkbot!bot@host JOIN {target}"),
        ]
    };
    let expected = |target: &str| {
        format!(
            "not in #dev: 470 Forwarding to another channel ({target}); retrying with backoff\n\
             in {target}, which is not in bot.conf: ignoring what is said there"
        )
    };
    for target in ["##dev-guests", "##dev-others"] {
        forward(target).iter().for_each(|line| drop(talk.says(line)));
        assert_eq!(talk.logged(), expected(target));
    }
    for _ in 0..3 {
        forward("##dev-guests").iter().for_each(|line| drop(talk.says(line)));
        assert_eq!(talk.logged(), "");
    }
    assert_eq!(talk.sends_within(60), ["JOIN #dev"; 2], "no PART");
    assert_eq!(talk.says(":a!a@h PRIVMSG ##dev-guests :.url x"), None);
}

#[test]
fn an_unconfigured_channel_is_ignored_but_not_left() {
    let mut talk = Talk::welcomed(settings());
    for _ in 0..2 {
        talk.says(":linkbot!bot@host JOIN #elsewhere");
    }
    talk.says(":linkbot!bot@host JOIN #private");
    talk.says(":alice!a@h JOIN #third");
    let logged = talk.logged();
    let lines: Vec<&str> = logged.lines().collect();
    let ignoring = "which is not in bot.conf: ignoring what is said there";
    assert_eq!(lines, [format!("in #elsewhere, {ignoring}"), format!("in #private, {ignoring}")]);
    for name in ["#elsewhere", "#private"] {
        assert_eq!(talk.says(&format!(":a!a@h PRIVMSG {name} :.url x")), None);
    }
    assert_eq!(talk.sent(), nothing());
}

/// Registered, with the first JOINs of these channels sent.
fn joining_all(names: &[&str]) -> Talk {
    let channels = names.iter().map(|name| channel(name, None)).collect();
    let mut talk = joining(Settings { channels, ..settings() });
    let sent = talk.sends_within(names.len() as u64);
    assert_eq!(sent, names.iter().map(|name| format!("JOIN {name}")).collect::<Vec<_>>());
    talk.forget();
    talk
}

#[test]
fn a_non_ascii_channel_is_recognized_in_any_case() {
    let mut talk = joining_all(&["#\u{c4}rger"]);
    talk.says(":linkbot!bot@host JOIN #\u{e4}rger");
    assert_eq!(talk.logged(), "joined #\u{c4}rger");
    let said = talk.says(":a!a@h PRIVMSG #\u{e4}RGER :.url x").unwrap();
    assert_eq!(said.channel.unwrap(), "#\u{c4}rger");
    assert_eq!(talk.sends_within(60), nothing());
}

#[test]
fn the_reply_to_our_join_is_ours_however_the_server_spells_a_non_ascii_name() {
    let mut talk = joining_all(&["#dev", "#stra\u{df}e"]);
    talk.says(":linkbot!bot@host JOIN #strasse");
    assert_eq!(talk.logged(), "joined #stra\u{df}e");
    let said = talk.says(":a!a@h PRIVMSG #STRASSE :.url x").unwrap();
    assert_eq!(said.channel.unwrap(), "#stra\u{df}e");
    talk.says(":linkbot!bot@host JOIN #other");
    assert_eq!(talk.logged(), "in #other, which is not in bot.conf: ignoring what is said there");
    talk.says(":op!o@h KICK #strasse linkbot :out");
    assert!(talk.logged().starts_with("out of #stra\u{df}e: KICK by op: out; "));
}

#[test]
fn a_join_of_another_name_is_ignored_if_ours_was_refused_or_unsent_or_is_ascii() {
    let unknown = ":linkbot!bot@host JOIN #guests";
    let mut forwarded = joining_all(&["#stra\u{df}e"]);
    forwarded.says(":server 470 linkbot #stra\u{df}e #guests :Forwarding");
    forwarded.forget();
    let early =
        Talk::welcomed(Settings { channels: vec![channel("#stra\u{df}e", None)], ..settings() });
    let ascii = joining_all(&["#dev"]);
    for mut talk in [forwarded, early, ascii] {
        talk.says(unknown);
        let logged = talk.logged();
        assert_eq!(logged, "in #guests, which is not in bot.conf: ignoring what is said there");
        assert_eq!(talk.says(":a!a@h PRIVMSG #guests :.url x"), None);
    }
}

#[test]
fn standard_replies_are_logged_with_their_text_once_per_reason() {
    let mut talk = Talk::in_channels(settings());
    let replies = [
        ("WARN * LOW_SPACE :Disk is nearly full", "WARN * LOW_SPACE: Disk is nearly full"),
        ("NOTE JOIN SLOW #dev :Wait 1 s", "NOTE JOIN SLOW: Wait 1 s"),
        ("FAIL JOIN SLOW #dev :Wait 2 s", "FAIL JOIN SLOW: Wait 2 s"),
        ("FAIL", "FAIL  :"),
    ];
    for (line, logged) in replies {
        talk.says(&format!(":server {line}"));
        assert_eq!(talk.logged(), format!("the server says: {logged}"));
        talk.says(&format!(":server {line}, again"));
        assert_eq!(talk.logged(), "", "{line}");
    }
    assert!(talk.is_open());
    for n in 0..5000 {
        talk.says(&format!(":server NOTE X {n} :x"));
    }
    assert!(talk.logged().lines().count() < 1000, "bounded");
}

#[test]
fn only_configured_channels_are_read_and_only_while_in_them() {
    let mut talk = Talk::welcomed(settings());
    talk.says(":server 376 linkbot :End");
    let line = ":a!a@h PRIVMSG #dev :.url x";
    assert_eq!(talk.says(line), None, "not joined yet");
    talk.says(":linkbot!bot@host JOIN #dev");
    assert!(talk.says(line).is_some());
    for other in ["#other", "@#dev", "+#dev", "$$*", "someone"] {
        assert_eq!(talk.says(&format!(":a!a@h PRIVMSG {other} :.url x")), None, "{other}");
    }
    talk.says(":linkbot!bot@host PART #dev :made to");
    assert_eq!(talk.says(line), None);
}

#[test]
fn a_kick_keeps_the_bot_out() {
    let mut talk = Talk::in_channels(settings());
    talk.says(":op!o@h KICK #dev alice :not us");
    assert!(talk.says(":a!a@h PRIVMSG #dev :.url x").is_some());
    talk.says(":op!o@h KICK #DEV LinkBot :too loud");
    let logged = talk.logged();
    assert!(
        logged.contains("#dev") && logged.contains("op") && logged.contains("too loud"),
        "{logged}"
    );
    assert_eq!(talk.says(":a!a@h PRIVMSG #dev :.url x"), None);
    assert_eq!((talk.sent(), talk.wakes_in()), (nothing(), 90));
}

#[test]
fn rejoin_allows_one_attempt_60_s_after_a_kick() {
    let mut talk = Talk::in_channels(Settings { rejoin: true, ..settings() });
    talk.says(":op!o@h KICK #dev linkbot :out");
    assert_eq!(talk.wakes_in(), 60);
    talk.passes(60);
    assert_eq!(talk.sent(), ["JOIN #dev"]);
    talk.says(":server 471 linkbot #dev :Full");
    assert!(talk.logged().ends_with("471 Full; waiting for an INVITE or a restart"));
    assert_eq!(talk.sends_within(7200), nothing(), "one attempt only");
}

#[test]
fn an_invite_to_a_configured_channel_is_followed() {
    let mut talk = Talk::in_channels(settings());
    talk.passes(1);
    talk.says(":op!o@h KICK #dev linkbot :out");
    talk.says(":op!o@h INVITE linkbot #DEV");
    assert_eq!(talk.sent(), ["JOIN #dev"]);
    talk.says(":linkbot!bot@host JOIN #dev");
    assert!(talk.says(":a!a@h PRIVMSG #dev :.url x").is_some());
}

#[test]
fn an_invite_never_adds_a_channel() {
    let mut talk = Talk::in_channels(settings());
    talk.passes(60);
    talk.says(":op!o@h INVITE linkbot #other");
    talk.says(":op!o@h INVITE linkbot #dev");
    assert_eq!(talk.sent(), nothing(), "another channel, and one that it is in");
}

#[test]
fn an_invite_after_a_refusal_is_followed_at_once_and_resets_the_backoff() {
    let mut talk = joining(settings());
    talk.says(":server 473 linkbot #dev :Invite only");
    talk.says(":ChanServ!s@services INVITE linkbot #dev");
    assert_eq!(talk.sends_within(1), ["JOIN #dev"; 2], "the first JOIN is from before the refusal");
    assert_eq!(talk.sends_within(9), nothing());
    assert_eq!(talk.sends_within(1), ["JOIN #dev"]);
}

#[test]
fn an_invite_before_the_first_join_changes_nothing() {
    let mut talk = Talk::new(plain("bot", "secret"));
    talk.sent();
    talk.says(":ChanServ!s@services INVITE linkbot #dev");
    assert_eq!(talk.sent(), nothing());
}

#[test]
fn a_forced_part_keeps_the_bot_out_until_invited() {
    let mut talk = Talk::in_channels(Settings { rejoin: true, ..settings() });
    talk.says(":linkbot!bot@host PART #dev :made to");
    assert_eq!(
        talk.logged(),
        "out of #dev: PART by linkbot: made to; waiting for an INVITE or a restart"
    );
    assert_eq!(talk.sends_within(7200), nothing());
    talk.says(":op!o@h INVITE linkbot #dev");
    assert_eq!(talk.sent(), ["JOIN #dev"]);
}

// What people say.

#[test]
fn a_command_begins_with_the_prefix_or_the_bots_name() {
    let mut talk = Talk::in_channels(settings());
    for line in [
        ".url x",
        "  .url x",
        "\u{3}04,01.url x",
        "\u{2}\u{200b}\u{feff}.url x ",
        "\u{a0}\u{3000}.url x",
        "linkbot: url x",
        "LINKBOT, url x",
        "linkbot:url x",
        "linkbot: .url x",
        "linkbot url x",
        "linkbot .url x",
        "@linkbot: url x",
        "@LinkBot url x",
        "\u{2}linkbot\u{2}: url x",
        "linkbot：url x",
        "linkbot\u{a0}url x",
    ] {
        let said = talk.says(&format!(":a!a@h PRIVMSG #dev :{line}")).expect(line);
        assert_eq!(said.args.trim_start_matches('.'), "url x", "{line}");
        assert!(said.is_named || said.args.starts_with('.'), "{line}");
    }
    for line in ["linkbot", "linkbot:", "linkbot?", "@linkbot"] {
        let said = talk.says(&format!(":a!a@h PRIVMSG #dev :{line}")).expect(line);
        assert!(said.is_named && said.args.trim_start_matches('?').is_empty(), "{line}");
    }
    for line in ["url x", "linkbots: url x", "x .url", "", "link", "my linkbot: url x"] {
        assert_eq!(talk.says(&format!(":a!a@h PRIVMSG #dev :{line}")), None, "{line}");
    }
}

#[test]
fn a_relayed_line_belongs_to_the_person_it_names_without_an_account() {
    let relay = vec!["Bridge".to_owned(), "*!*@matrix.example".to_owned()];
    let mut talk = Talk::in_channels(Settings { relay, ..settings() });
    let relayed = |talk: &mut Talk, line: &str| {
        let said = talk.says(&format!("@bot;account=br :bridge!b@h PRIVMSG #dev :{line}"));
        said.map(|said| (said.nick, said.account, said.args))
    };
    for (head, nick) in [
        ("<alice> ", "alice"),
        ("<alice>", "alice"),
        ("[discord] <alice> ", "alice"),
        ("[discord]<alice> ", "alice"),
        ("alice: ", "alice"),
        ("\u{2}<\u{3}04al\u{200b}ice\u{f}>\u{2} ", "alice"),
        ("<a\u{200d}lice\u{feff}> ", "alice"),
        ("<@alice> ", "alice"),
        ("<Alice Smith> ", "Alice_Smith"),
        ("<Алиса> ", "Алиса"),
        ("<alice/discord> ", "alice_discord"),
        ("<!op> ", "op"),
        ("<.op> ", "op"),
        ("<1337> ", "1337"),
        ("\u{200b}alice: ", "alice"),
    ] {
        let said = relayed(&mut talk, &format!("{head}.url x")).expect(head);
        assert_eq!(said, (nick.to_owned(), String::new(), ".url x".to_owned()), "{head}");
    }
    let long = relayed(&mut talk, &format!("<{}> .url x", "a".repeat(100))).unwrap();
    assert_eq!(long.0.len(), 32);
    // If no nick is left, the request is the relay's, but without an account: anyone may have
    // said it.
    let said = relayed(&mut talk, "<💥> .url x").unwrap();
    assert_eq!(said, ("bridge".to_owned(), String::new(), ".url x".to_owned()));
    // A line without a nick is the relay's own.
    for own in
        [".url x", "linkbot: url x", "<https://example.com/> see", "see https://example.com/"]
    {
        let said = relayed(&mut talk, own).expect(own);
        assert_eq!((said.0.as_str(), said.1.as_str()), ("bridge", "br"), "{own}");
    }
    // `[OFF]` stays in front of the line.
    let said = relayed(&mut talk, "[OFF] <alice> https://example.com/").unwrap();
    assert_eq!(said.2, "[OFF] <alice> https://example.com/");
    let by_mask = talk.says(":x!y@matrix.example PRIVMSG #dev :<bob> .url x").unwrap();
    assert_eq!((by_mask.nick.as_str(), by_mask.host.as_str()), ("bob", "bob!y@matrix.example"));
    let private = talk.says(":bridge!b@h PRIVMSG linkbot :<bob> hello").unwrap();
    assert_eq!(private.nick, "bridge");
    assert_eq!(relayed(&mut talk, "<linkbot> saved: http://example.com/"), None, "our own echo");
    assert_eq!(talk.says(":other!b@h PRIVMSG #dev :<alice> .url x"), None, "no relay");
    let ignore = vec!["alice".to_owned()];
    let relay = vec!["bridge".to_owned()];
    let mut talk = Talk::in_channels(Settings { relay, ignore, ..settings() });
    assert_eq!(relayed(&mut talk, "<alice> .url x"), None);
    assert!(relayed(&mut talk, "<bob> .url x").is_some());
}

#[test]
fn a_bouncers_private_replay_is_ignored() {
    let mut talk = Talk::in_channels(settings());
    assert!(talk.says_at(START, ":a!a@h PRIVMSG linkbot :hello").is_some());
    assert_eq!(talk.says_at(START - minutes(11), ":a!a@h PRIVMSG linkbot :hello"), None);
}

#[test]
fn a_request_has_its_speaker_and_channel() {
    let mut talk = Talk::in_channels(settings());
    let said = talk.says("@account=al;msgid=1 :alice!a@host PRIVMSG #DEV :.url x").unwrap();
    let expected = Request {
        channel: Some("#dev".into()),
        nick: "alice".into(),
        host: "!a@host".into(),
        account: "al".into(),
        case: CaseMapping::Rfc1459,
        posted: START,
        history: false,
        same_moment: false,
        is_named: false,
        example: "",
        args: ".url x".into(),
        is_cut: false,
    };
    assert_eq!(said, expected);
    assert_eq!(talk.says(":alice!a@host PRIVMSG #dev :.url x").unwrap().account, "");
}

#[test]
fn a_line_as_long_as_the_server_allows_counts_as_cut() {
    let mut talk = Talk::in_channels(settings());
    let mut is_cut = |length: usize| {
        let start = ":alice!a@host PRIVMSG #dev :.url ";
        let line = format!("{start}{}", "x".repeat(length - start.len()));
        talk.says(&format!("@time=2026-11-22T10:31:19.123Z;account=alice {line}")).unwrap().is_cut
    };
    // 512 with the newline; up to three bytes of a character may not have fit.
    assert_eq!([506, 507, 510].map(&mut is_cut), [false, true, true]);
}

#[test]
fn a_private_line_has_no_channel() {
    let mut talk = Talk::in_channels(settings());
    assert_eq!(talk.says(":alice!a@host PRIVMSG LinkBot :.help").unwrap().channel, None);
}

#[test]
fn text_is_utf_8_or_else_latin_1() {
    let mut talk = Talk::in_channels(settings());
    assert_eq!(talk.says(":a!a@h PRIVMSG #dev :.url caf\u{e9}").unwrap().text(), ".url caf\u{e9}");
    assert_eq!(
        talk.says_bytes(b":a!a@h PRIVMSG #dev :.url caf\xe9").unwrap().text(),
        ".url caf\u{e9}"
    );
}

#[test]
fn names_compare_under_the_servers_casemapping() {
    let channels = || vec![channel("#dev[1]", None)];
    let line = ":a!a@h PRIVMSG #DEV{1} :.url x";
    let mut talk = Talk::in_channels(Settings { channels: channels(), ..settings() });
    assert_eq!(talk.says(line).unwrap().channel.unwrap(), "#dev[1]", "rfc1459 by default");
    talk.says(":server 005 linkbot CASEMAPPING=ascii :are supported");
    assert_eq!(talk.says(line), None);
}

#[test]
fn once_registered_a_437_for_a_nick_is_ignored_and_for_a_channel_is_logged() {
    let mut talk = misnamed();
    talk.says(":op!o@h KICK #dev linkbot_ :out");
    talk.forget();
    talk.says(":server 437 linkbot_ linkbot :Unavailable");
    assert_eq!((talk.logged(), talk.sent()), (String::new(), nothing()));
    talk.says(":server 437 linkbot_ #dev :Unavailable");
    assert!(talk.logged().starts_with("not in #dev: 437 Unavailable"));
}

#[test]
fn at_most_ten_private_notices_a_minute_are_logged() {
    let mut talk = Talk::in_channels(settings());
    talk.says(":NickServ!s@services NOTICE LinkBot :Password incorrect.");
    assert_eq!(talk.logged(), "notice from NickServ: Password incorrect.");
    for other in
        [":server NOTICE linkbot :*** Looking up", ":a!a@h NOTICE #dev :hello", "NOTICE linkbot :x"]
    {
        talk.says(other);
        assert_eq!(talk.logged(), "", "{other}");
    }
    let mut logged = Vec::new();
    for second in 0..600 {
        talk.passes(1);
        (0..5).for_each(|_| drop(talk.says(":a!a@h NOTICE linkbot :hello")));
        logged.extend(talk.logged().lines().map(|_| second));
    }
    let most = (0..540)
        .map(|from| logged.iter().filter(|&&at| (from..from + 60).contains(&at)).count())
        .max();
    assert_eq!(most, Some(9), "the first was logged before");
    assert!(logged.len() >= 50, "{}", logged.len());
    assert_eq!(talk.sent(), nothing());
}

#[test]
fn notices_our_own_lines_other_bots_and_ignored_masks_get_no_reply() {
    let ignore = vec!["Spam".to_owned(), "*!*@*.bad.example".to_owned()];
    let mut talk = Talk::in_channels(Settings { ignore, ..settings() });
    let ignored = [
        ":a!a@h NOTICE #dev :.url x",
        ":a!a@h NOTICE linkbot :\x01VERSION\x01",
        ":linkbot!bot@host PRIVMSG #dev :.url x",
        ":linkbot!bot@host PRIVMSG linkbot :\x01VERSION\x01",
        "@bot :b!b@h PRIVMSG #dev :.url x",
        "@draft/bot :b!b@h PRIVMSG #dev :.url x",
        "@inspircd.org/bot :b!b@h PRIVMSG #dev :.url x",
        "@bot :b!b@h PRIVMSG linkbot :\x01VERSION\x01",
        ":spam!b@h PRIVMSG #dev :.url x",
        ":spam!b@h PRIVMSG linkbot :\x01VERSION\x01",
        ":b!b@pc.BAD.example PRIVMSG #dev :.url x",
    ];
    for line in ignored {
        assert_eq!(talk.says(line), None, "{line}");
        assert_eq!(talk.sent(), nothing(), "{line}");
    }
    assert!(talk.says(":spammer!b@h PRIVMSG #dev :.url x").is_some());
}

#[test]
fn three_ctcp_queries_are_answered_by_notice_in_private() {
    let mut talk = Talk::in_channels(settings());
    talk.says(":a!a@h PRIVMSG linkbot :\x01VERSION\x01");
    talk.says(":b!b@h PRIVMSG linkbot :\x01PING 1 2\x01");
    talk.says(":c!c@h PRIVMSG linkbot :\x01clientinfo");
    let version = format!("NOTICE a :\x01VERSION linkbot {}\x01", env!("CARGO_PKG_VERSION"));
    let expected = [
        &version,
        "NOTICE b :\x01PING 1 2\x01",
        "NOTICE c :\x01CLIENTINFO ACTION CLIENTINFO PING VERSION\x01",
    ];
    assert_eq!(talk.sent(), expected);
}

#[test]
fn other_ctcp_queries_and_those_to_a_channel_get_no_reply() {
    let mut talk = Talk::in_channels(settings());
    for query in [
        "linkbot :\x01TIME\x01",
        "linkbot :\x01\x01",
        "linkbot :\x01",
        "#dev :\x01VERSION\x01",
        "linkbot :\x01DCC SEND x\x01",
    ] {
        assert_eq!(talk.says(&format!(":a!a@h PRIVMSG {query}")), None);
        assert_eq!(talk.sent(), nothing(), "{query}");
    }
}

#[test]
fn a_ctcp_ping_is_capped_and_ctcp_is_rate_limited() {
    let mut talk = Talk::in_channels(settings());
    let ping = format!(":a!a@h PRIVMSG linkbot :\x01PING {}\x01", "x".repeat(400));
    let mut replies = Vec::new();
    for _ in 0..10 {
        (0..10).for_each(|_| drop(talk.says(&ping)));
        replies.extend(talk.sent());
        talk.passes(1);
    }
    // Like all replies: four at once, and one more every 2 s.
    assert_eq!(replies, vec![format!("NOTICE a :\x01PING {}\x01", "x".repeat(100)); 8]);
}

#[test]
fn an_action_is_text() {
    let mut talk = Talk::in_channels(settings());
    assert_eq!(talk.says(":a!a@h PRIVMSG #dev :\x01ACTION .url x\x01").unwrap().text(), ".url x");
    assert_eq!(talk.says(":a!a@h PRIVMSG #dev :\x01ACTION .url x").unwrap().text(), ".url x");
}

// Replay and time.

fn minutes(n: i64) -> time::Duration {
    time::Duration::minutes(n)
}

const URL: &str = ":a!a@h PRIVMSG #dev :.url x";
const OWN_JOIN: &str = ":linkbot!bot@host JOIN #dev";

/// In the channel; the server's clock differs from ours by `off`.
fn talk_with_server(off: time::Duration) -> Talk {
    let mut talk = Talk::welcomed(settings());
    talk.says(":server 376 linkbot :End");
    talk.says_at(START + off, OWN_JOIN);
    talk.forget();
    talk
}

#[test]
fn a_line_from_before_our_join_is_replay_whatever_the_servers_clock_says() {
    for off in [minutes(-180), minutes(-6), minutes(0), minutes(6), minutes(180)] {
        let mut talk = talk_with_server(off);
        let joined = START + off;
        assert_eq!(
            talk.says_at(joined - time::Duration::milliseconds(1), URL),
            None,
            "replay, {off}"
        );
        assert!(talk.says_at(joined, URL).is_some(), "live, {off}");
        assert!(talk.says_at(joined + minutes(1), URL).is_some(), "live, {off}");
        assert!(talk.says(URL).is_some(), "a line without a time, {off}");
    }
}

#[test]
fn replay_depends_on_our_join_of_each_channel() {
    let mut talk = Talk::welcomed(Settings {
        channels: vec![channel("#dev", None), channel("#late", None)],
        ..settings()
    });
    talk.says_at(START, OWN_JOIN);
    talk.says_at(START + minutes(2), ":linkbot!bot@host JOIN #late");
    assert!(talk.says_at(START + minutes(1), URL).is_some());
    assert_eq!(talk.says_at(START + minutes(1), ":a!a@h PRIVMSG #late :.url x"), None);
}

#[test]
fn after_a_join_without_a_time_lines_over_5_minutes_older_are_replay() {
    let mut talk = Talk::in_channels(settings());
    talk.passes(3600);
    assert_eq!(talk.says_at(START - minutes(5) - time::Duration::milliseconds(1), URL), None);
    assert!(talk.says_at(START - minutes(5), URL).is_some());
}

#[test]
fn a_line_that_is_late_because_the_bot_was_stopped_is_live() {
    let mut talk = talk_with_server(minutes(0));
    talk.passes(20 * 60);
    let said = START + minutes(10);
    assert_eq!(talk.says_at(said, URL).unwrap().posted, said, "ten minutes late");
    assert_eq!(
        talk.says_at(START + minutes(9), URL).unwrap().posted,
        talk.now.clock,
        "eleven minutes late"
    );
}

#[test]
fn server_time_is_the_posting_time() {
    for off in [minutes(-10), minutes(-6), minutes(6), minutes(10)] {
        let mut talk = talk_with_server(off);
        assert_eq!(talk.says_at(START + off, URL).unwrap().posted, START + off);
        assert_eq!(talk.logged(), "");
    }
    let mut talk = Talk::in_channels(settings());
    let said = talk.says(&format!("@time=2026-11-22T10:29:58.123Z {URL}")).unwrap();
    assert_eq!(said.posted, datetime!(2026-11-22 10:29:58.123 UTC));
}

#[test]
fn a_server_time_more_than_10_minutes_off_is_not_used() {
    for off in [minutes(-180), minutes(-11), minutes(11), minutes(180)] {
        let mut talk = talk_with_server(off);
        assert_eq!(talk.says_at(START + off, URL).unwrap().posted, START);
    }
}

#[test]
fn an_invalid_time_is_not_used() {
    let mut talk = Talk::in_channels(settings());
    for time in ["", "=", "=yesterday", "=2026-13-45T99:99:99Z", "=2026-11-22T10:29:58"] {
        assert_eq!(talk.says(&format!("@time{time} {URL}")).unwrap().posted, START, "{time}");
    }
}

// Catch-up.

const GOOD_MORNING: &str = ":a!a@h PRIVMSG #dev :good morning";
const HISTORY_CAPABILITIES: &str = "batch=x draft/chathistory message-tags server-time";

/// In the channel since [`START`], on a server with history. The channel was last seen `before`
/// that.
fn back(before: time::Duration) -> Talk {
    let settings = Settings { catch_up: true, ..settings() };
    let mut talk = Talk::after(settings, &[Some(START - before)]);
    for line in [
        "CAP * LS :draft/chathistory",
        "CAP * ACK :server-time batch message-tags draft/chathistory ",
        "001 linkbot :Welcome",
        "376 linkbot :End",
    ] {
        talk.says(&format!(":server {line}"));
    }
    talk.forget();
    talk.says_at(START, OWN_JOIN);
    talk
}

/// A replayed line with this time.
fn line_of_history(time: OffsetDateTime) -> String {
    format!("@batch=x;time={} {URL}", time.format(&Rfc3339).unwrap())
}

#[test]
fn history_is_requested_with_all_it_needs_or_not_at_all() {
    let all = "CAP REQ :batch draft/chathistory message-tags server-time";
    let settings = || Settings { catch_up: true, ..settings() };
    let mut talk = Talk::offered(settings(), HISTORY_CAPABILITIES);
    let single = ["CAP REQ message-tags", "CAP REQ server-time", "CAP END"];
    assert_eq!(talk.sent(), [&["CAP REQ batch", all], &single[..]].concat());
    for reply in [
        "ACK :batch",
        "NAK :batch draft/chathistory message-tags server-time",
        "ACK :message-tags",
        "ACK :server-time",
    ] {
        talk.says(&format!(":server CAP * {reply}"));
        assert_eq!(talk.sent(), nothing());
    }
    talk.says(":server 001 linkbot :Welcome");
    talk.says(":server 376 linkbot :End");
    talk.forget();
    talk.says_at(START, OWN_JOIN);
    assert_eq!(talk.sent(), nothing(), "it was refused");

    let mut talk = Talk::offered(Settings { catch_up: false, ..settings() }, HISTORY_CAPABILITIES);
    let requested = [&["CAP REQ batch"], &single[..]].concat();
    assert_eq!(talk.sent(), requested, "a batch marks a replay");
    let mut talk = Talk::offered(settings(), "chathistory draft/chathistory-targets batches");
    assert_eq!(talk.sent(), ["CAP END"]);
}

#[test]
fn at_most_seven_days_are_requested() {
    let requests = |days, time| {
        let sent = back(time::Duration::days(days)).sent();
        assert_eq!(sent, [format!("CHATHISTORY AFTER #dev timestamp={time} 100")]);
    };
    requests(1, "2026-11-21T10:30:00.000Z");
    requests(7, "2026-11-15T10:30:00.000Z");
    requests(30, "2026-11-15T10:30:00.000Z");
    let mut talk = back(time::Duration::days(30));
    assert_eq!(talk.says(&line_of_history(START - time::Duration::days(8))), None);
    assert!(talk.says(&line_of_history(START - time::Duration::days(6))).is_some());
}

#[test]
fn a_line_of_history_needs_a_time_that_is_not_in_the_future() {
    let mut talk = back(minutes(60));
    let said = talk.says(&line_of_history(START - minutes(40))).unwrap();
    assert!(said.history && said.posted == START - minutes(40));
    assert_eq!(talk.says(&line_of_history(START + minutes(11))), None);
    assert_eq!(talk.says(&format!("@batch=x {URL}")), None, "no time");
    let said = talk.says_at(START + minutes(1), URL).unwrap();
    assert!(!said.history, "live");
}

#[test]
fn a_line_of_history_by_the_configured_nick_is_ours() {
    let mut talk = back(minutes(60));
    let line = ":linkbot!a@h PRIVMSG #dev :.url x";
    talk.says(":linkbot!bot@host NICK linkbot_");
    assert_eq!(talk.says_at(START - minutes(30), line), None);
    assert!(talk.says_at(START, line).is_some(), "someone else took the nick");
}

#[test]
fn after_a_late_page_the_next_one_is_requested() {
    let mut talk = back(minutes(60));
    talk.passes(12);
    talk.forget();
    talk.says(":server BATCH +x chathistory #dev");
    talk.says(&line_of_history(START - minutes(40)).replace(".url", "good morning,"));
    talk.says(":server BATCH -x");
    assert!(talk.sent()[0].starts_with("CHATHISTORY AFTER #dev "));
}

#[test]
fn a_replayed_line_is_not_live_when_it_comes_again() {
    let mut talk = back(minutes(60));
    talk.says(":server BATCH +x chathistory #dev");
    let replayed = START + time::Duration::SECOND;
    talk.passes(1);
    assert!(talk.says(&line_of_history(replayed)).unwrap().history);
    talk.says(":server BATCH -x");
    assert!(talk.says_at(replayed, URL).unwrap().history);
    assert!(!talk.says_at(replayed + time::Duration::SECOND, URL).unwrap().history);
}

/// Ergo's history includes JOINs, and people often post right after joining.
#[test]
fn a_live_line_with_the_time_of_replayed_talk_is_live() {
    let mut talk = back(minutes(60));
    for moment in [START, START + time::Duration::SECOND] {
        let joined = line_of_history(moment)
            .replace(URL, ":HistServ!h@h PRIVMSG #dev :alice joined the channel");
        assert_eq!(talk.says(&joined), None);
        assert!(!talk.says_at(moment, URL).unwrap().history);
    }
}

#[test]
fn while_the_clocks_differ_nothing_is_caught_up() {
    for off in [minutes(-11), minutes(11)] {
        let mut talk = back(minutes(60));
        talk.says_at(START, ":op!o@h KICK #dev linkbot :enough");
        talk.forget();
        talk.says_at(START + off, OWN_JOIN);
        assert_eq!(talk.sent(), nothing(), "{off}");
        assert!(
            talk.logged()
                .contains("not caught up in #dev: the server's clock and this machine's differ"),
            "{off}"
        );
        assert_eq!(talk.says(&line_of_history(START - minutes(40))), None, "{off}");
    }
}

#[test]
fn a_page_has_at_most_100_lines_or_the_servers_limit_and_all_pages_1000() {
    for (isupport, lines) in [
        ("CHATHISTORY=0", 100),
        ("CHATHISTORY", 100),
        ("CHATHISTORY=7", 7),
        ("CHATHISTORY=99999", 100),
    ] {
        let mut talk = back(minutes(60));
        talk.says(&format!(":server 005 linkbot {isupport} :are supported"));
        talk.forget();
        talk.says_at(START, ":op!o@h KICK #dev linkbot :enough");
        talk.says_at(START, OWN_JOIN);
        let sent = talk.sent();
        assert!(sent[0].ends_with(&format!("Z {lines}")), "{isupport}: {sent:?}");
    }
    let mut talk = back(minutes(60));
    talk.says(":server 005 linkbot CHATHISTORY=600 :are supported");
    // The second page repeats a line.
    for (page, end, lines) in [(600, 401, 100), (401, 1, 0)] {
        talk.forget();
        talk.says(":server BATCH +x chathistory #dev");
        for n in 1..=page {
            let time = START - time::Duration::seconds(end + page - n);
            talk.says(&line_of_history(time).replace(".url", "good morning,"));
        }
        talk.says(":server BATCH -x");
        // A millisecond early: a page may end between two lines with the same time.
        let request = format!("CHATHISTORY AFTER #dev timestamp=2026-11-22T10:23:18.999Z {lines}");
        assert_eq!(talk.sent(), if lines > 0 { vec![request] } else { nothing() });
    }
    let caught = "caught up in #dev: 0 links from 1000 lines since 2026-11-22 09:30Z; \
                  that is the limit: the lines from 2026-11-22 10:29Z on are missing";
    assert_eq!(talk.logged(), caught);
    assert_eq!(talk.says(&line_of_history(START)), None, "over the limit");
    assert_eq!(talk.last_seen(), Some(START - time::Duration::SECOND), "the last line read");
    talk.says_at(START + minutes(1), GOOD_MORNING);
    assert_eq!(talk.last_seen(), Some(START + minutes(1)));
}

#[test]
fn a_page_that_is_out_of_order_loses_no_line() {
    let mut talk = back(minutes(60));
    let time = START - minutes(30);
    let line = |name: &str, time| line_of_history(time).replace(".url x", &format!(".url {name}"));
    let mut urls = vec![];
    // Of the first page's two lines, the second page repeats one.
    let pages = [
        [line("a.example", time), line("b.example", time), String::new()],
        [
            line("a.example", time),
            line("c.example", time + time::Duration::SECOND),
            line("d.example", time),
        ],
    ];
    for page in pages {
        talk.says(":server BATCH +x chathistory #dev");
        for line in page {
            urls.extend(talk.says(&line).map(|request| request.args));
        }
        talk.says(":server BATCH -x");
    }
    let urls = urls.join(" ");
    for name in ["a.example", "b.example", "c.example", "d.example"] {
        assert_eq!(urls.matches(name).count(), 1, "{name} {urls}");
    }
}

#[test]
fn refused_history_is_requested_again_on_the_next_connection_only() {
    let fail = ":server FAIL CHATHISTORY MESSAGE_ERROR AFTER #dev :Messages could not be retrieved";
    for fail in [fail, ":server FAIL CHATHISTORY NEED_MORE_PARAMS :Missing parameters"] {
        let mut talk = back(minutes(60));
        talk.says(&line_of_history(START - minutes(40)));
        talk.forget();
        talk.says(fail);
        let log = talk.logged();
        assert!(log.starts_with("the server says: FAIL CHATHISTORY "), "{log}");
        talk.says_at(START + minutes(1), GOOD_MORNING);
        talk.passes(10);
        let log = talk.logged();
        let since = "since 2026-11-22 09:30Z";
        let not_all = "the server did not send the rest: asking again on the next connection";
        assert!(log.ends_with(&format!("0 links from 1 line {since}; {not_all}")), "{log}");
        assert_eq!(talk.sent(), nothing());
        assert_eq!(talk.last_seen(), Some(START - minutes(60)));
    }
    // A FAIL of another command changes nothing.
    let mut talk = back(minutes(60));
    talk.forget();
    talk.says(":server FAIL JOIN CHANNEL_JOIN_FAILED #dev :No");
    talk.says(":server BATCH +x chathistory #dev");
    talk.says(":server BATCH -x");
    assert_eq!(talk.last_seen(), Some(START));
}

#[test]
fn a_page_that_never_comes_is_requested_on_the_next_connection() {
    let mut talk = back(minutes(60));
    talk.says_at(START + minutes(1), GOOD_MORNING);
    talk.forget();
    talk.passes(10);
    let log = talk.logged();
    assert!(log.contains("the server did not send the rest: asking again"), "{log}");
    assert_eq!(talk.last_seen(), Some(START - minutes(60)));
    // A late page is accepted.
    talk.says(":server BATCH +x chathistory #dev");
    talk.says(":server BATCH -x");
    assert_eq!(talk.last_seen(), Some(START + minutes(1)));
}

#[test]
fn unsaved_links_are_requested_again_and_the_log_counts_the_saved_ones() {
    let mut talk = back(minutes(60));
    talk.says(":server BATCH +x chathistory #dev");
    for (minute, links) in [(40, Some(1)), (39, None), (38, None), (37, Some(2))] {
        let request = talk.says(&line_of_history(START - minutes(minute))).unwrap();
        talk.session.record_replayed(&request, links);
    }
    talk.forget();
    talk.says(":server BATCH -x");
    talk.says(":server BATCH +x chathistory #dev");
    talk.says(":server BATCH -x");
    let log = "caught up in #dev: 3 links from 4 lines since 2026-11-22 09:30Z; \
               2 could not be saved: asking again on the next connection";
    assert_eq!(talk.logged(), log);
    talk.says_at(START + minutes(1), GOOD_MORNING);
    assert_eq!(talk.last_seen(), Some(START - minutes(60)));
}

#[test]
fn a_live_line_that_is_not_saved_does_not_stop_catch_up() {
    let mut talk = back(minutes(60));
    let live = talk.says_at(START, URL).unwrap();
    talk.session.record_replayed(&live, None);
    talk.says(":server BATCH +x chathistory #dev");
    talk.says(":server BATCH -x");
    assert_eq!(talk.last_seen(), Some(START), "its poster saw the error");
}

#[test]
fn a_line_on_two_pages_counts_once_and_two_with_one_time_are_two() {
    let mut talk = back(minutes(60));
    let page = |talk: &mut Talk, minutes_ago: &[i64]| {
        talk.says(":server BATCH +x chathistory #dev");
        let mut requests = vec![];
        for &ago in minutes_ago {
            requests.extend(talk.says(&line_of_history(START - minutes(ago))));
        }
        talk.says(":server BATCH -x");
        requests.iter().map(|request| request.same_moment).collect::<Vec<_>>()
    };
    assert_eq!(page(&mut talk, &[40, 30, 30]), [false, false, true]);
    assert_eq!(page(&mut talk, &[30, 30, 30, 20]), [true, false], "the third line of that time");
    assert_eq!(page(&mut talk, &[20]), [false; 0]);
    assert!(talk.logged().contains("caught up in #dev: 0 links from 5 lines"));
}

/// The server truncates replayed times to the second.
#[test]
fn a_page_with_only_the_last_seen_second_is_the_last() {
    let mut talk = back(minutes(60) - time::Duration::milliseconds(123));
    talk.forget();
    talk.says(":server BATCH +x chathistory #dev");
    assert!(talk.says(&line_of_history(START - minutes(60))).is_some());
    talk.says(":server BATCH -x");
    assert_eq!(talk.sent(), nothing());
}

#[test]
fn a_line_of_history_in_the_future_does_not_silence_live_ones() {
    let mut talk = back(minutes(60));
    assert!(talk.says(&line_of_history(START + minutes(9))).unwrap().history);
    assert!(!talk.says_at(START + minutes(1), URL).unwrap().history);
}

#[test]
fn an_extreme_server_time_does_not_crash_linkbot() {
    let times = [
        "9999-12-31T23:59:59-23:59",
        "9999-12-31T23:59:59.999Z",
        "9999-12-31T23:59:60Z",
        "0000-01-01T00:00:00+23:59",
        "0000-01-01T00:00:00Z",
        "-9999-01-01T00:00:00Z",
        "2026-11-22T10:30:00+99:99",
        "99999-01-01T00:00:00Z",
        "2026-02-30T10:30:00Z",
        "",
        "now",
    ];
    for catch_up in [true, false] {
        for time in times {
            let mut talk = Talk::after(Settings { catch_up, ..settings() }, &[Some(START)]);
            let tagged = |line: &str| format!("@time={time} {line}");
            talk.says(":server CAP * LS :draft/chathistory batch server-time message-tags");
            talk.says(":server CAP * ACK :server-time batch message-tags draft/chathistory");
            talk.says(":server 001 linkbot :Welcome");
            talk.says(
                ":server 005 linkbot CHATHISTORY=18446744073709551616 LINELEN=-1 :are supported",
            );
            talk.says(":server 376 linkbot :End");
            talk.says_at(START, OWN_JOIN);
            talk.says(&tagged(URL));
            talk.says(&format!("@batch=x;time={time} {URL}"));
            talk.says(&tagged(":alice!a@host PRIVMSG linkbot :help"));
            talk.says(&tagged(":alice!a@host NOTICE #dev :hello"));
            talk.says(&tagged(":op!o@h KICK #dev linkbot :enough"));
            talk.says(&tagged(OWN_JOIN));
            talk.says(&tagged(URL));
            talk.passes(10);
            assert!(talk.last_seen().is_none_or(|seen| seen <= START + minutes(10)), "{time}");
        }
    }
}

#[test]
fn last_seen_is_the_last_live_line_unless_history_is_missing() {
    let mut talk = back(minutes(60));
    assert_eq!(talk.last_seen(), Some(START - minutes(60)), "nothing was replayed yet");
    talk.says(":server BATCH +x chathistory #dev");
    talk.says(&line_of_history(START - minutes(40)));
    talk.says_at(START + minutes(1), GOOD_MORNING);
    assert_eq!(talk.last_seen(), Some(START - minutes(60)), "not all was replayed yet");
    talk.says(":server BATCH -x");
    assert_eq!(talk.last_seen(), Some(START - minutes(60)), "nor with this page");
    talk.says(":server BATCH +x chathistory #dev");
    talk.says(":server BATCH -x");
    assert_eq!(talk.last_seen(), Some(START + minutes(1)));
    talk.says_at(START + minutes(2), &GOOD_MORNING.replace("PRIVMSG", "NOTICE"));
    assert_eq!(talk.last_seen(), Some(START + minutes(2)));
    talk.says_at(START + minutes(3), &GOOD_MORNING.replace("#dev", "#other"));
    talk.says(GOOD_MORNING);
    talk.says_at(START + minutes(30), GOOD_MORNING);
    assert_eq!(
        talk.last_seen(),
        Some(START + minutes(2)),
        "another channel, no time, or a bad one"
    );
    talk.says_at(START + minutes(3), ":op!o@h KICK #dev linkbot :enough");
    talk.says_at(START + minutes(4), GOOD_MORNING);
    assert_eq!(talk.last_seen(), Some(START + minutes(2)), "kicked");
    talk.forget();
    talk.says_at(START + minutes(5), OWN_JOIN);
    assert_eq!(talk.sent(), ["CHATHISTORY AFTER #dev timestamp=2026-11-22T10:32:00.000Z 100"]);
}

#[test]
fn a_new_channel_is_seen_from_our_join_on_without_a_request() {
    for seen in [None, Some(START + minutes(11))] {
        let mut talk = Talk::after(Settings { catch_up: true, ..settings() }, &[seen]);
        talk.says(":server CAP * LS :draft/chathistory");
        talk.says(":server CAP * ACK :server-time batch message-tags draft/chathistory ");
        talk.says(":server 001 linkbot :Welcome");
        talk.says(":server 376 linkbot :End");
        talk.forget();
        talk.says_at(START, OWN_JOIN);
        assert_eq!((talk.sent(), talk.last_seen()), (nothing(), Some(START)));
        assert_eq!(talk.says(&line_of_history(START - minutes(1))), None);
    }
}

/// soju and ZNC send our JOIN without a time, and replay in a batch.
#[test]
fn without_catch_up_replayed_lines_are_ignored() {
    let mut talk = Talk::after(Settings { catch_up: false, ..settings() }, &[Some(START)]);
    talk.says(":server CAP * LS :batch server-time message-tags");
    talk.says(":server CAP * ACK :batch");
    talk.says(":server 001 linkbot :Welcome");
    talk.says(":server 376 linkbot :End");
    talk.says(OWN_JOIN);
    for batch in ["chathistory", "znc.in/playback"] {
        talk.says(&format!(":server BATCH +x {batch} #dev"));
        assert_eq!(talk.says(&line_of_history(START - minutes(1))), None);
        talk.says(":server BATCH -x");
    }
    assert_eq!(talk.says_at(START - minutes(6), URL), None);
    assert!(talk.says_at(START, URL).is_some());
    // Recorded in case catch_up is switched on later.
    assert_eq!(talk.last_seen(), Some(START));
}

// What the bot sends.

/// One reply as it is sent.
fn reply_sent(talk: &mut Talk, text: &str) -> String {
    talk.session.answer("#dev", text, ReplyKind::Saved);
    talk.session.tick(talk.now.instant);
    let mut sent = talk.sent();
    assert_eq!(sent.len(), 1);
    sent.remove(0)
}

#[test]
fn each_line_of_a_reply_is_one_line() {
    let mut talk = Talk::in_channels(settings());
    talk.session.answer("#dev", "one\ntwo\r\nthree", ReplyKind::Look);
    talk.session.tick(talk.now.instant);
    assert_eq!(talk.sent(), ["PRIVMSG #dev one", "PRIVMSG #dev two", "PRIVMSG #dev three"]);
}

#[test]
fn reply_notice_sends_notices_and_quiet_sends_only_errors() {
    let mut talk = Talk::in_channels(Settings { reply: ReplyStyle::Notice, ..settings() });
    assert_eq!(reply_sent(&mut talk, "saved: x"), "NOTICE #dev :saved: x");
    let mut talk = Talk::in_channels(Settings { reply: ReplyStyle::Quiet, ..settings() });
    talk.session.answer("#dev", "saved: x", ReplyKind::Saved);
    talk.session.answer("#dev", "commands: x", ReplyKind::Look);
    talk.session.answer("#dev", "could not save: x", ReplyKind::Failed);
    talk.session.tick(talk.now.instant);
    assert_eq!(talk.sent(), ["PRIVMSG #dev :could not save: x"]);
}

#[test]
fn a_reply_leaves_room_for_the_longest_mask_that_a_server_adds() {
    // As others receive it: `:linkbot!MASK PRIVMSG #dev :` and CR LF around the text.
    let mask = format!("{}@{}", "u".repeat(10), "h".repeat(63));
    let room = |line: usize| line - format!(":linkbot!{mask} PRIVMSG #dev :\r\n").len();
    let text = |talk: &mut Talk| {
        reply_sent(talk, &"long ".repeat(600)).strip_prefix("PRIVMSG #dev :").unwrap().len()
    };
    let mut talk = Talk::in_channels(settings());
    assert_eq!(text(&mut talk), room(512) - 1);
    talk.says(":server 005 linkbot LINELEN=2048 :are supported");
    assert_eq!(text(&mut talk), room(2048) - 1);
    for least in ["100", "0", "x", ""] {
        talk.passes(60);
        talk.says(&format!(":server 005 linkbot LINELEN={least} :are supported"));
        talk.sent();
        assert_eq!(text(&mut talk), room(512) - 1, "never less than 512");
    }
}

#[test]
fn no_line_is_longer_than_510_bytes_and_cr_lf() {
    let long = "\u{e4}".repeat(600);
    let mut talk = Talk::new(Settings {
        owner: long.clone(),
        on_connect: vec![format!("PRIVMSG X :{long}")],
        ..settings()
    });
    talk.says(&format!("PING :{long}"));
    talk.says(":server 001 linkbot :Welcome");
    talk.says(":server 376 linkbot :End");
    let sent = talk.sent();
    for verb in ["USER", "PONG", "PRIVMSG"] {
        let line = sent.iter().find(|line| line.starts_with(verb)).expect(verb);
        assert!((509..=510).contains(&line.len()), "{verb}: {}", line.len());
    }
    assert!(sent.iter().all(|line| line.len() <= 510));
}

#[test]
fn a_burst_of_100_saves_gets_four_lines_at_once() {
    let mut talk = Talk::in_channels(settings());
    (1..=100).for_each(|n| talk.session.answer("#dev", &format!("saved: {n}"), ReplyKind::Saved));
    talk.session.tick(talk.now.instant);
    let lines = ["saved: 1", "saved: 2", "saved: 3", "saved: 97 more links"]
        .map(|text| format!("PRIVMSG #dev :{text}"));
    assert_eq!(talk.sent(), lines);
    assert_eq!(talk.wakes_in(), 90, "nothing is left to send");
}

#[test]
fn replies_are_rate_limited_but_pong_is_not() {
    let mut talk = Talk::in_channels(settings());
    (0..9).for_each(|n| talk.session.answer("#dev", &n.to_string(), ReplyKind::Look));
    talk.session.tick(talk.now.instant);
    assert_eq!((talk.sent().len(), talk.wakes_in()), (4, 2));
    talk.says("PING now");
    assert_eq!(talk.sent(), ["PONG now"]);
    talk.passes(2);
    assert_eq!(talk.sent(), ["PRIVMSG #dev 4"]);
}

#[test]
fn only_replies_count_toward_the_rate_limit() {
    let mut talk = Talk::in_channels(Settings {
        channels: (0..20).map(|n| channel(&format!("#{n}"), None)).collect(),
        ..settings()
    });
    (0..20).for_each(|n| drop(talk.says(&format!("PING {n}"))));
    (0..4).for_each(|n| talk.session.answer("#1", &n.to_string(), ReplyKind::Look));
    talk.session.tick(talk.now.instant);
    assert_eq!(talk.sent().len(), 24);
}

// Keepalive and closing.

#[test]
fn after_90_s_of_silence_comes_a_ping_and_after_60_s_more_the_end() {
    let mut talk = Talk::in_channels(settings());
    assert_eq!(talk.wakes_in(), 90);
    talk.passes(90);
    assert_eq!((talk.sent(), talk.wakes_in()), (vec!["PING linkbot".to_owned()], 60));
    talk.passes(59);
    assert!(talk.is_open() && talk.sent().is_empty());
    talk.passes(1);
    assert_eq!(talk.end().0, Retry::Soon);
    assert!(talk.end().1.contains("no answer from the server"));
}

#[test]
fn any_line_is_a_sign_of_life() {
    let mut talk = Talk::in_channels(settings());
    talk.passes(90);
    talk.passes(59);
    talk.says(":server PONG server linkbot");
    talk.passes(89);
    talk.says(":alice!a@h PRIVMSG #dev :hello");
    assert_eq!(talk.sent(), ["PING linkbot"]);
    assert_eq!(talk.wakes_in(), 90);
    assert!(talk.is_open());
}

#[test]
fn a_bot_that_was_stopped_does_not_take_its_own_pause_for_silence() {
    let mut talk = Talk::in_channels(settings());
    talk.passes(600);
    assert!(talk.is_open());
    assert_eq!((talk.sent(), talk.wakes_in()), (vec!["PING linkbot".to_owned()], 60));
    talk.passes(59);
    assert!(talk.is_open());
    talk.passes(1);
    assert_eq!(talk.end().0, Retry::Soon);
}

#[test]
fn the_servers_error_is_the_reason_for_the_end() {
    let mut talk = Talk::in_channels(settings());
    talk.says("ERROR :Closing Link: linkbot (Server shutting down)");
    let (retry, why) = talk.end();
    assert_eq!(retry, Retry::Soon);
    assert!(why.contains("Server shutting down"));
}

#[test]
fn a_ban_is_recognized() {
    for words in [
        "K-Lined: spam",
        "G-lined",
        "Z-Lined",
        "d-line active",
        "You are banned",
        "User has been AKILLed",
    ] {
        let mut talk = Talk::in_channels(settings());
        talk.says(&format!("ERROR :Closing Link: linkbot ({words})"));
        assert_eq!(talk.end().0, Retry::Banned, "{words}");
    }
    let mut talk = Talk::new(settings());
    talk.says(":server 465 * :You are not welcome: open proxy");
    talk.says("ERROR :Closing Link: too many of you");
    assert_eq!(talk.end().0, Retry::Banned);
    assert!(talk.end().1.contains("open proxy") && talk.logged().contains("too many of you"));
}

#[test]
fn a_465_counts_as_a_ban_without_an_error_line() {
    let mut talk = Talk::new(settings());
    talk.says(":server 465 * :You are not welcome");
    assert_eq!(talk.end().0, Retry::Banned);
}

#[test]
fn no_secret_is_logged() {
    let secrets = ["s3rver", "s4sl", "s5key", "s6line"];
    let mut talk = Talk::new(Settings {
        server_password: Some(secrets[0].into()),
        sasl: plain("bot", secrets[1]).sasl,
        channels: vec![channel("#dev", Some(secrets[2]))],
        on_connect: vec![format!("PRIVMSG NickServ :IDENTIFY {}", secrets[3])],
        ..settings()
    });
    let lines = [
        ":s CAP * LS :sasl",
        ":s CAP * ACK :sasl",
        "AUTHENTICATE +",
        ":s 903 * :ok",
        ":s 001 linkbot :Hi",
        ":s 376 linkbot :End",
        ":s 900 linkbot x bot :ok",
        ":s 475 linkbot #dev :Bad key",
        ":s 477 linkbot #dev :Register",
        "ERROR :Closing Link",
    ];
    lines.iter().for_each(|line| drop(talk.says(line)));
    let logged = format!("{} {}", talk.logged(), talk.end().1);
    assert!(secrets.iter().all(|secret| !logged.contains(secret)), "{logged}");
}

#[test]
fn a_nick_is_what_rfc_2812_allows() {
    assert!(["alice", "[x]", "_", "a-1", "`^{|}\\"].into_iter().all(is_nick));
    assert!(
        ["", "1a", "-a", "http://x/", "a b", "\u{e4}", "a!b"]
            .into_iter()
            .all(|name| !is_nick(name))
    );
}

#[test]
fn a_line_that_is_not_for_us_allocates_nothing() {
    let mut talk = Talk::in_channels(Settings { ignore: vec!["*!*@bad".into()], ..settings() });
    let lines = [
        "@time=2026-11-22T10:30:01.000Z;account=al;msgid=x :alice!a@host PRIVMSG #dev :good morning",
        "@batch=x;time=2026-11-22T10:30:01.000Z :alice!a@host PRIVMSG #dev :.url http://example.com/ Unknown past",
        "@account=al :alice!a@host PRIVMSG #other :.url http://example.com/ Not our channel",
        "@bot;time=2026-11-22T10:30:01.000Z :b!b@h PRIVMSG #dev :.url http://example.com/ From a bot",
        "@time=2026-11-22T09:30:01.000Z :alice!a@host PRIVMSG #dev :.url http://example.com/ From history",
        ":alice!a@bad PRIVMSG #dev :.url http://example.com/ Ignored",
        ":alice!a@host PRIVMSG #dev :and/or, http:/x, see /usr/share/doc // or http:",
        ":alice!a@host PRIVMSG #dev :caf\u{e9} \u{2603}",
        ":alice!a@host JOIN #dev",
        ":alice!a@host PART #dev :bye",
        ":alice!a@host QUIT :bye",
        ":alice!a@host NICK bob",
        ":alice!a@host NOTICE #dev :.url x",
        ":server 353 linkbot = #dev :alice bob carol",
        ":op!o@h MODE #dev +v alice",
    ];
    for line in lines {
        let now = talk.now;
        let counted = allocation_counter::measure(|| {
            assert_eq!(talk.session.receive(line.as_bytes(), now), None)
        });
        assert_eq!(counted.count_total, 0, "{line}");
    }
}

// Arbitrary input.

/// Invariants after any line: output is whole lines, and the deadline is in the future.
fn check_invariants(talk: &mut Talk) -> Result<(), TestCaseError> {
    let out = std::mem::take(&mut talk.session.out);
    prop_assert!(out.is_empty() || out.ends_with("\r\n"));
    for line in out.split_terminator("\r\n") {
        prop_assert!(line.len() <= talk.session.line_length - 2);
        prop_assert!(!line.is_empty() && !line.contains(['\r', '\n', '\0']), "{:?}", line);
    }
    prop_assert!(!talk.is_open() || talk.session.deadline() > talk.now.instant);
    Ok(())
}

/// Lines that are nearly valid.
fn almost_valid() -> impl Strategy<Value = Vec<u8>> {
    let tags = prop::sample::select(vec![
        "",
        "@bot ",
        "@time=2026-11-22T10:30:00.000Z ",
        "@time=x;batch=1 ",
        "@account=\\ ",
    ]);
    let source =
        prop::sample::select(vec!["", ":server ", ":a!a@h ", ":linkbot!b@h ", ":linkbot ", ": "]);
    let verb = prop::sample::select(vec![
        "001",
        "005",
        "376",
        "421",
        "432",
        "433",
        "437",
        "464",
        "465",
        "470",
        "471",
        "473",
        "477",
        "520",
        "900",
        "903",
        "904",
        "AUTHENTICATE",
        "BATCH",
        "CAP",
        "ERROR",
        "FAIL",
        "INVITE",
        "JOIN",
        "KICK",
        "NICK",
        "NOTICE",
        "PART",
        "PING",
        "PRIVMSG",
        "QUIT",
    ]);
    let param = prop_oneof![
        6 => prop::sample::select(vec![
            "linkbot", "linkbot_", "li", "#dev", "#Other", "*", "LS", "ACK", "NAK", "NEW", "DEL",
            "+", "+1", "-1", "chathistory", ".url", "CHATHISTORY=0", "sasl", "server-time",
            "NICKLEN=2", "NICKLEN=99999999999", "LINELEN=0", "BOT=B", "CHANTYPES=",
            "CASEMAPPING=ascii", "a@b@c",
        ]).prop_map(|s| s.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    let last = prop_oneof![
        Just(":".to_owned()),
        Just(":sasl=PLAIN server-time account-tag".to_owned()),
        Just(":.url \u{e4}".to_owned()),
        Just(":\x01VERSION\x01".to_owned()),
        Just(":\x01PING \u{1f511}".to_owned()),
        ".{0,20}",
    ];
    (tags, source, verb, prop::collection::vec(param, 0..4), last).prop_map(
        |(tags, source, verb, params, last)| {
            let mut line = format!("{tags}{source}{verb} ").into_bytes();
            params.iter().for_each(|p| line.extend([p.as_slice(), b" "].concat()));
            line.extend(last.into_bytes());
            line
        },
    )
}

/// A session in one of six states.
fn session_at(step: usize) -> Talk {
    let everything = || Settings {
        channels: vec![channel("#dev", None), channel("#key", Some("k"))],
        on_connect: vec!["X".into()],
        rejoin: true,
        ..settings()
    };
    match step {
        0 => Talk::new(everything()),
        1 => ready_for_plain("bot", "secret"),
        2 => Talk::welcomed(everything()),
        3 => misnamed(),
        4 => back(minutes(60)),
        _ => Talk::in_channels(Settings { on_connect: Vec::new(), ..everything() }),
    }
}

proptest! {
    #[test]
    fn any_bytes_never_panic(lines: Vec<Vec<u8>>, step in 0..6usize) {
        let mut talk = session_at(step);
        for line in lines {
            talk.says_bytes(&line);
            check_invariants(&mut talk)?;
        }
    }

    #[test]
    fn almost_valid_lines_never_panic(
        lines in prop::collection::vec((almost_valid(), 0..100i64), 0..30),
        step in 0..6usize,
    ) {
        let mut talk = session_at(step);
        for (line, seconds) in lines {
            if let Some(said) = talk.says_bytes(&line) {
                let target = said.channel.as_ref().unwrap_or(&said.nick);
                talk.session.answer(target, "saved: x", ReplyKind::Saved);
            }
            talk.passes(seconds);
            check_invariants(&mut talk)?;
        }
    }

    #[test]
    fn a_reply_is_cut_between_characters_and_no_shorter_than_it_must_be(
        text in r"[^\x01\r\n\x00][^\r\n\x00]{0,600}",
    ) {
        let mut talk = Talk::in_channels(settings());
        let sent = reply_sent(&mut talk, &text);
        let mask = format!("{}@{}", "u".repeat(10), "h".repeat(63));
        let relayed = |text: &str| format!(":linkbot!{mask} PRIVMSG #dev :{text}\r\n").len();
        let message = Message::parse(sent.as_bytes()).unwrap();
        let said = message.text(1);
        prop_assert!(relayed(&said) <= 512);
        let rest = text.strip_prefix(said.as_ref()).expect("a beginning of the text");
        prop_assert!(rest.chars().next().is_none_or(|c| relayed(&said) + c.len_utf8() >= 512));
    }
}
