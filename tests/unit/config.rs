use std::{fs, os::unix::fs::PermissionsExt};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::prelude::*;
use time::macros::datetime;

use super::*;
use crate::{irc::ReplyStyle, irc::message, link::Link, log, view::page};

/// The two lines that every bot.conf needs.
const BASE: &str = "server = localhost:6667\nchannels = #dev, #Rust key\n";

pub fn good(more: &str) -> Config {
    Config::parse(Path::new("bot.conf"), &format!("{BASE}{more}")).unwrap_or_else(|e| panic!("{e}"))
}

/// The warnings that a valid bot.conf logs, without their times.
fn warnings(conf: &str) -> Vec<String> {
    crate::tests::log::LOG.take();
    Config::parse(Path::new("bot.conf"), conf).unwrap_or_else(|e| panic!("{e}"));
    let text = |line: String| line.split_once("Z ").unwrap().1.to_owned();
    crate::tests::log::LOG.take().into_iter().map(text).collect()
}

/// The error of a bot.conf in which `more` starts in line 3.
fn error(more: &str) -> String {
    let result = Config::parse(Path::new("bot.conf"), &format!("{BASE}{more}"));
    result.err().unwrap_or_else(|| panic!("accepted: {more}"))
}

#[track_caller]
fn refused(more: &str, start: &str) {
    let error = error(more);
    assert!(error.starts_with(&format!("bot.conf:{start}")), "{more:?}: {error:?}");
    assert!(!error.contains(['\n', '\r']) && !error.contains("os error"), "{error:?}");
}

#[test]
fn a_minimal_file_gets_the_defaults() {
    let config = good("");
    assert_eq!((config.server.host.as_str(), config.server.port), ("localhost", 6667));
    assert!(config.server.tls && config.server.pin.is_none() && config.server.identity.is_none());
    assert_eq!((config.irc.nick.as_str(), config.irc.prefix.as_str()), ("linkbot", "."));
    assert_eq!(config.irc.reply, ReplyStyle::Privmsg);
    assert!(!config.capture && config.irc.catch_up && config.local.is_empty());
    assert!(!config.irc.rejoin && config.irc.sasl.is_none() && config.irc.on_connect.is_empty());
    assert_eq!(config.reconnect, Duration::from_secs(20));
    assert_eq!(config.journal, Path::new("links.tsv"));
    assert!(config.log_pattern.is_none() && config.account.is_none());
    assert_eq!(warnings(BASE), [""; 0]);
    let [feed, page] = &config.views[..] else { panic!("expected one feed and one page") };
    assert_eq!(
        (feed.path.as_path(), page.path.as_path()),
        (Path::new("links.xml"), Path::new("links.html"))
    );
    for view in [feed, page] {
        assert_eq!((view.title.as_str(), view.items), ("Links from #dev, #Rust", 100));
        assert_eq!(view.channels, ["#dev", "#Rust"]);
    }
    let account = good("delicious = https://example.org/posts/add").account.unwrap();
    assert_eq!(
        (account.tags, account.shared, account.scuttle),
        (vec!["irc".to_owned()], None, false)
    );
    assert_eq!(account.interval, Duration::from_secs(3));
}

#[test]
fn channels_may_have_keys_and_start_with_two_hashes() {
    let channels = channels("#dev,  ##rust   hunter2 , #ümlaut").unwrap();
    let channels: Vec<_> = channels.iter().map(|c| (c.name.as_str(), c.key.as_str())).collect();
    assert_eq!(channels, [("#dev", ""), ("##rust", "hunter2"), ("#ümlaut", "")]);
}

#[test]
fn a_missing_key_is_reported_without_a_line_and_an_empty_one_is_unset() {
    let error = |text| Config::parse(Path::new("tests/bot.conf"), text).err().unwrap();
    let server = "server: must be host:port, for example irc.libera.chat:6697 or [::1]:6697";
    assert_eq!(error("# nothing\n\nchannels = #dev\n"), format!("tests/bot.conf: {server}"));
    assert_eq!(error("channels = #dev\nserver =\n"), format!("tests/bot.conf:2: {server}"));
    assert_eq!(error(""), format!("tests/bot.conf: {server}"));
    assert!(error("server = localhost:1\n").starts_with("tests/bot.conf: channels: must be #name"));
    let config = good("tls =\nprefix =\n");
    assert!(config.server.tls && config.irc.prefix == ".");
}

#[test]
fn an_unknown_key_is_reported_before_other_errors() {
    refused("nick = 1\nreply = loud\nwhat = 1", "5: what: unknown key");
}

#[test]
fn an_unknown_key_is_named_unless_it_might_be_a_secret() {
    for key in ["local", "title", "password", "port", "hostname"] {
        let remedy = "the bot.conf that comes with linkbot lists them all";
        assert_eq!(
            error(&format!("{key} = x")),
            format!("bot.conf:3: {key}: unknown key; {remedy}")
        );
    }
    for line in
        ["hunter2", "= hunter2", "hunter2 = x", "my pass = hunter2", "feed-url = x", "nick linkbot"]
    {
        let what = "expected a line like key = value; a key has only letters and _, and a comment starts with #";
        assert_eq!(error(line), format!("bot.conf:3: {what}"));
    }
}

#[test]
fn a_misspelled_key_is_reported_with_the_known_one() {
    for (key, known) in [
        ("channel", "channels"),
        ("chanells", "channels"),
        ("delicious_tokn", "delicious_token"),
        ("Nick", "nick"),
        ("nik", "nick"),
        ("log_uri", "log_url"),
        ("catchup", "catch_up"),
        ("feeditems", "feed_items"),
        ("sevrer", "server"),
        ("erver", "server"),
        ("page_", "page"),
        ("delicious_useer", "delicious_user"),
    ] {
        assert_eq!(
            error(&format!("{key} = x")),
            format!("bot.conf:3: {key}: unknown key; did you mean {known}?")
        );
    }
}

#[test]
fn the_keys_of_a_fork_are_passed_on_unchanged() {
    let config = good("local.greeting = #hello = you\nlocal.a-b_c.2 =\n");
    let local = |name: &str| config.local.get(name).map(String::as_str);
    assert_eq!(
        (local("greeting"), local("a-b_c.2"), config.local.len()),
        (Some("#hello = you"), Some(""), 2)
    );
    refused(
        "local.a = 1\nlocal.a = 2",
        "4: local.a: already set in line 3; remove one of the two lines",
    );
}

#[test]
fn a_key_may_be_set_once_but_on_connect_and_ignore_several_times() {
    refused("nick = a\nnick = b", "4: nick: already set in line 3; remove one of the two lines");
    let config = good(
        "on_connect = MODE x +B\nignore = a\non_connect = PRIVMSG Q :AUTH a b\nignore = *!*@b, c!*@*\n",
    );
    assert_eq!(config.irc.on_connect, ["MODE x +B", "PRIVMSG Q :AUTH a b"]);
    assert_eq!(config.irc.ignore, ["a", "*!*@b", "c!*@*"]);
}

#[test]
fn a_bad_value_is_reported_with_what_is_allowed() {
    for (line, start) in [
        ("tls = maybe", "3: tls: must be yes or no"),
        ("nick = 9lives", "3: nick: must be a nick"),
        ("nick = a b", "3: nick: must be a nick"),
        ("reply = loud", "3: reply: must be privmsg, notice or quiet"),
        ("reconnect = 0", "3: reconnect: must be a number from 1 to 600"),
        ("reconnect = soon", "3: reconnect: must be a number from 1 to 600"),
        ("feed_items = 0", "3: feed_items: must be a number from 1 to 10000"),
        ("feed_items = 10001", "3: feed_items: must be a number from 1 to 10000"),
        ("delicious_interval = -1", "3: delicious_interval: must be a number from 0 to 86400"),
        ("rejoin = 1", "3: rejoin: must be yes or no"),
        ("capture = on", "3: capture: must be yes or no"),
        ("catch_up = 7 d", "3: catch_up: must be yes or no"),
        (
            "journal = /",
            "3: journal: must be a file that is used for nothing else, in a directory that exists",
        ),
        ("timezone = CET", "3: timezone: must be utc, local, or an offset"),
        ("log_url = [year]", "3: log_url: must be an address like https://"),
        ("log_url = http://x/[yaer]", "3: log_url: must be an address like https://"),
        ("log_url = http://x/[year", "3: log_url: must be an address like https://"),
        ("log_url = [offset_hour", "3: log_url: must be an address like https://"),
        ("feed_url = links.xml", "3: feed_url: must be the address of the feed: http://"),
        ("feed_url = http://alice:hunter2@example.org/", "3: feed_url: must be the address of"),
        ("feed_url = http://x/{channel}.xml", "3: feed_url: must be the address of the feed"),
        ("feed = {channel}.xml\nfeed_url = http://x/", "4: feed_url: must be the address of"),
        ("delicious = ftp://example.org/", "3: delicious: must be the full http://"),
        ("delicious = https://", "3: delicious: must be the full http://"),
        ("delicious = https://a:b@example.org/", "3: delicious: must be the full http://"),
        ("delicious = https://x/posts/add?auth_token=a:b", "3: delicious: must be the full"),
        ("delicious_tags = ,", "3: delicious_tags: must be at least one tag"),
        ("delicious_tags = ~", "3: delicious_tags: must be at least one tag"),
        ("delicious_shared = maybe", "3: delicious_shared: must be yes or no"),
    ] {
        refused(line, start);
    }
}

#[test]
fn a_channel_starts_with_a_hash_and_is_listed_once() {
    for bad in ["dev", "#dev, rust", "#", "#a,,#b", "#a,", "#a key more", "&local", "#a #b"] {
        let text = format!("server = localhost:1\nchannels = {bad}\n");
        let error = Config::parse(Path::new("bot.conf"), &text).err().unwrap();
        assert_eq!(
            error,
            "bot.conf:2: channels: must be #name or #name key, without quotes; separate several with commas, and name each once (case makes no difference)"
        );
    }
    // RFC 1459: {}| are the lower case of []\.
    assert!(channels("#a[b], #A{B}").is_none());
    // Non-ASCII letters: Unicode lower case.
    assert!(channels("#\u{c4}rger, #dev, #\u{e4}RGER").is_none());
    assert!(channels("#\u{c4}rger, #arger, #\u{f6}rger").is_some());
}

#[test]
fn the_placeholders_of_the_shipped_file_are_errors() {
    let (_, block) = shipped_examples();
    let replaced = |names: &[(&str, &str)]| {
        let text = names.iter().fold(block.clone(), |text, (from, to)| text.replace(from, to));
        Config::parse(Path::new("bot.conf"), &text).map(|_| ())
    };
    let (channel, nick) = (("#your-channel", "#dev"), ("nick = your-linkbot", "nick = ours"));
    let user = ("sasl_user = your-linkbot", "sasl_user = ours");
    for (names, error) in [
        (
            &[nick, user],
            "bot.conf:3: channels: put your own name in place of #your-channel or your-linkbot",
        ),
        (&[channel, user], "bot.conf:4: nick: put your own name"),
        (&[channel, nick], "bot.conf:7: sasl_user: put your own name"),
    ] {
        let found = replaced(names).unwrap_err();
        assert!(found.starts_with(error), "{found}");
    }
    assert_eq!(replaced(&[channel, nick, user]), Ok(()));
}

#[test]
fn a_value_in_quotes_gets_a_warning_that_does_not_show_it() {
    let more = "server_password = \"hunter2\"\nignore = 'a'\nowner = Al \"Smith\"\n\
                local.x = a\nfeed_title = It's\nrelay = b\nrelay = “c”\n";
    let what = "the quotes are part of the value; remove them unless you mean them";
    assert_eq!(
        warnings(&format!("{BASE}{more}")),
        ["4: ignore", "9: relay", "3: server_password"]
            .map(|place| format!("bot.conf:{place}: {what}"))
    );
    // If there is an error, no warning is logged.
    refused("nick = \"a\"", "3: nick: must be a nick");
    assert_eq!(crate::tests::log::LOG.take(), [""; 0]);
}

#[test]
fn a_server_is_a_host_and_a_port() {
    let parts = |value: &str| {
        let text = format!("server = {value}\nchannels = #a");
        let server = Config::parse(Path::new("bot.conf"), &text).ok()?.server;
        Some(format!("{} {}", server.host, server.port))
    };
    assert_eq!(parts("irc.libera.chat:6697").as_deref(), Some("irc.libera.chat 6697"));
    assert_eq!(parts("[::1]:6697").as_deref(), Some("::1 6697"));
    assert_eq!(parts("127.0.0.1:1").as_deref(), Some("127.0.0.1 1"));
    assert_eq!(parts("bücher.example:6697").as_deref(), Some("xn--bcher-kva.example 6697"));
    for bad in
        ["", "localhost", "localhost:", "localhost:65536", ":6667", "::1", "a b:1", "irc://a:1"]
    {
        assert_eq!(parts(bad), None, "{bad}");
    }
}

#[test]
fn passwords_without_tls_are_refused_or_warned_about_except_on_loopback() {
    let parse = |host: &str, tls: &str, login: &str| {
        let text = format!("server = {host}:6667\nchannels = #a\n{login}\ntls = {tls}\n");
        Config::parse(Path::new("bot.conf"), &text)
    };
    let hosts = [
        ("localhost", true),
        ("127.8.9.1", true),
        ("[::1]", true),
        ("10.0.0.1", false),
        ("irc.example.org", false),
    ];
    for (host, is_loopback) in hosts {
        for login in
            ["sasl = plain\nsasl_user = u\nsasl_password = p", "on_connect = IDENTIFY hunter2"]
        {
            let plain = parse(host, "no", login);
            assert_eq!(plain.is_ok(), is_loopback, "{host} {login}");
            assert!(
                plain.err().is_none_or(|e| e.contains("tls: must be yes or no; it must be yes ")
                    && !e.contains("hunter2"))
            );
            assert!(parse(host, "yes", login).is_ok());
        }
        // Internal servers often have a password but no certificate.
        let warnings = |tls: &str| {
            let text = format!("server = {host}:6667\nchannels = #a\nserver_password = hunter2");
            warnings(&format!("{text}\ntls = {tls}\n"))
        };
        assert!(warnings("yes").is_empty());
        let plain = warnings("no").concat();
        assert_eq!(
            plain.starts_with("bot.conf:3: server_password: crosses the network unencrypted"),
            !is_loopback
        );
        assert!(!plain.contains("hunter2"), "{plain}");
        assert!(parse(host, "no", "on_connect = MODE linkbot +B").is_ok());
    }
}

#[test]
fn sasl_needs_its_own_keys_and_allows_no_others() {
    let config = good("sasl = plain\nsasl_user = u\nsasl_password = p p");
    assert!(
        matches!(config.irc.sasl, Some(Sasl { mechanism: "PLAIN", login }) if login == "u\0u\0p p")
    );
    let right = "must be plain, with sasl_user and sasl_password, or external, with tls_cert";
    for bad in [
        "sasl = plain\nsasl_user = u",
        "sasl = external",
        "sasl = external\nsasl_user = u",
        "sasl = scram",
    ] {
        assert_eq!(error(bad), format!("bot.conf:3: sasl: {right}"), "{bad}");
    }
    assert_eq!(error("sasl_user = u"), format!("bot.conf: sasl: {right}"));
    assert_eq!(error("sasl_password = p"), format!("bot.conf: sasl: {right}"));
}

#[test]
fn the_account_has_one_login_or_none() {
    let login = |more: &str| {
        let account = good(&format!("delicious = https://x.example/add\n{more}")).account.unwrap();
        (account.authorization, account.token, account.secrets)
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(login(""), (None, None, vec![]));
    let secrets = vec!["a:B".to_owned(), "B".to_owned()];
    assert_eq!(login("delicious_token = a:B"), (None, text("a:B"), secrets));
    assert_eq!(login("delicious_bearer = b"), (text("Bearer b"), None, vec!["b".to_owned()]));
    let basic = login("delicious_user = u\ndelicious_password = p:q");
    let secrets = vec!["dTpwOnE=".to_owned(), "p:q".to_owned()];
    assert_eq!(basic, (text("Basic dTpwOnE="), None, secrets));
    let refused =
        |more: &str, start| refused(&format!("delicious = https://x.example/add\n{more}"), start);
    for bad in [
        "delicious_user = u",
        "delicious_password = p",
        "delicious_token = t\ndelicious_bearer = b",
        "delicious_token = t\ndelicious_user = u\ndelicious_password = p",
    ] {
        refused(
            bad,
            "3: delicious: must be the full http:// or https:// address of the service's posts/add",
        );
    }
}

#[test]
fn a_login_over_http_gets_a_warning_except_on_loopback() {
    let warnings =
        |address: &str| warnings(&format!("{BASE}delicious = {address}\ndelicious_token = s3cr3t"));
    let [warning] = &warnings("http://scuttle.lan/add")[..] else { panic!("expected one warning") };
    assert!(
        warning.starts_with("bot.conf:3: delicious: the login crosses the network unencrypted")
    );
    assert!(!warning.contains("s3cr3t"));
    for address in [
        "https://scuttle.lan/add",
        "http://localhost/add",
        "http://127.0.0.1:80/add",
        "http://[::1]/add",
    ] {
        assert!(warnings(address).is_empty(), "{address}");
    }
}

#[test]
fn an_account_that_looks_wrong_gets_a_warning() {
    let warnings = |address: &str, more: &str| {
        warnings(&format!("{BASE}delicious = https://{address}\n{more}"))
    };
    let token = "delicious_token = t";
    for (address, more, what) in [
        ("api.pinboard.in/v1/posts/add", "", "no login is set"),
        ("api.pinboard.in/v1/", token, "does not end in posts/add"),
        ("api.pinboard.in/v1/posts/add/", token, "does not end in posts/add"),
        ("x.example/scuttle/api/posts_add.php", token, "looks like Scuttle"),
        ("x.example/api/posts/add", token, "looks like Scuttle"),
    ] {
        let [warning] = &warnings(address, more)[..] else {
            panic!("expected one warning: {address}")
        };
        assert!(warning.starts_with(&format!("bot.conf:3: delicious: {what}")), "{warning}");
    }
    for good in [
        "api.pinboard.in/v1/posts/add",
        "x.example/_/v1/posts/add",
        "x.example:3000/api/v1/posts/add?x=y",
    ] {
        assert!(warnings(good, token).is_empty(), "{good}");
    }
    let scuttle = format!("{token}\ndelicious_scuttle = yes");
    assert!(warnings("x.example/api/posts_add.php", &scuttle).is_empty());
}

#[test]
fn a_file_with_a_secret_that_others_can_access_is_refused_with_the_fix() {
    let read = |more: &str, mode| {
        let dir = directory(more, &[]);
        let conf = dir.path().join("bot.conf");
        fs::set_permissions(conf, fs::Permissions::from_mode(mode)).unwrap();
        read_in(&dir).err()
    };
    let account = "delicious = https://x.example/add";
    for more in [
        "server_password = s3cr3t".into(),
        "on_connect = MODE bot +B\non_connect = OPER a s3cr3t".into(),
        "sasl_password = s3cr3t\nsasl = plain\nsasl_user = a".into(),
        format!("{account}\ndelicious_token = s3cr3t"),
        format!("{account}\ndelicious_bearer = s3cr3t"),
        format!("{account}\ndelicious_user = a\ndelicious_password = s3cr3t"),
    ] {
        let what = "bot.conf contains a secret but every user can access it; fix it with: chmod o-rwx bot.conf";
        assert_eq!(read(&more, 0o644).as_deref(), Some(what));
        assert_eq!(read(&more, 0o601).as_deref(), Some(what));
        assert_eq!(read(&more, 0o640), None);
    }
    assert_eq!(read(account, 0o644), None);
    let dir = directory("", &[("key.conf", BASE, 0o644)]);
    let with_key = Config::read(&dir.path().join("key.conf")).err().unwrap();
    assert!(with_key.contains("key.conf contains a secret"), "{with_key}");
}

#[test]
fn an_on_connect_line_is_secret_only_if_it_has_a_password() {
    let config = |line: &str| {
        let text = format!("server = localhost:1\nchannels = #a\non_connect = {line}");
        Config::parse(Path::new("bot.conf"), &text).unwrap_or_else(|e| panic!("{e}"))
    };
    for (line, shown) in [
        ("PRIVMSG NickServ :IDENTIFY hunter2", "PRIVMSG NickServ :IDENTIFY ***"),
        ("PRIVMSG NickServ :IDENTIFY linkbot hunter2", "PRIVMSG NickServ :IDENTIFY linkbot ***"),
        ("privmsg nickserv :identify LinkBot hunter2", "privmsg nickserv :identify LinkBot ***"),
        (
            "PRIVMSG NickServ@services. :GHOST linkbot hunter2",
            "PRIVMSG NickServ@services. :GHOST linkbot ***",
        ),
        ("NICKSERV IDENTIFY hunter2", "NICKSERV IDENTIFY ***"),
        ("NS IDENTIFY :hunter2", "NS IDENTIFY :***"),
        ("NS IDENTIFY hunter:2", "NS IDENTIFY ***"),
        (
            "PRIVMSG Q@CServe.quakenet.org :AUTH alice hunter2",
            "PRIVMSG Q@CServe.quakenet.org :AUTH *** ***",
        ),
        ("AUTH linkbot hunter2", "AUTH linkbot ***"),
        (
            "PRIVMSG X@channels.undernet.org :LOGIN alice hunter2",
            "PRIVMSG X@channels.undernet.org :LOGIN *** ***",
        ),
        (
            "PRIVMSG AuthServ@Services.GameSurge.net :AUTH al hunter2",
            "PRIVMSG AuthServ@Services.GameSurge.net :AUTH al ***",
        ),
        ("PRIVMSG ChanServ :IDENTIFY #linkbot hunter2", "PRIVMSG ChanServ :IDENTIFY #linkbot ***"),
        ("OPER linkbot hunter2", "OPER linkbot ***"),
        ("PASS hunter2", "PASS ***"),
        ("PRIVMSG UserServ :LOGIN linkbot hunter2pass", "PRIVMSG UserServ :LOGIN linkbot ***"),
        ("SQUERY Any :login hunter2", "SQUERY Any :login ***"),
        ("/msg NickServ IDENTIFY hunter2", "/msg NickServ IDENTIFY ***"),
        ("IDENTIFY hunter2", "IDENTIFY ***"),
        ("LOGIN linkbot hunter2", "LOGIN linkbot ***"),
        ("PRIVMSG a-bot :hunter2", "PRIVMSG a-bot :***"),
        ("JOIN #secret hunter2", "JOIN #secret ***"),
        ("JOIN #hunter2,#b k1,k2", "JOIN #hunter2,#b ***"),
        ("MODE #dev +k hunter2", "MODE #dev +k ***"),
    ] {
        assert_eq!(log::redact(line, &config(line).secrets), shown);
    }
    for line in [
        "MODE linkbot +B",
        "PRIVMSG ChanServ :INVITE #linkbot",
        "PRIVMSG Q@CServe.quakenet.org :INVITE #linkbot",
        "PRIVMSG NickServ :RECOVER linkbot",
        "MODE X +x",
        "MODE linkbot +xBT-i",
        "JOIN #another",
        "JOIN #another,#one",
        "PRIVMSG #another :linkbot",
    ] {
        assert_eq!(config(line).secrets, [""; 0], "{line}");
    }
}

#[test]
fn every_form_of_a_secret_is_hidden() {
    let hidden = |more: &str, text: &str| log::redact(text, &good(more).secrets);
    let all = "server_password = se ver\non_connect = PRIVMSG NickServ :IDENTIFY bot hunter2\n\
               sasl = plain\nsasl_user = jilles\nsasl_password = sesame\n";
    let text = "PASS :se ver, se+ver, se%20ver; IDENTIFY bot hunter2; sesame; amlsbGVzAGppbGxlcwBzZXNhbWU=; JOIN #Rust key";
    assert_eq!(
        hidden(all, text),
        "PASS :***, ***, ***; IDENTIFY bot ***; ***; ***; JOIN #Rust ***"
    );
    let account = |login| format!("delicious = https://x.example/add\n{login}");
    let basic = account("delicious_user = aladdin\ndelicious_password = open sesame");
    assert_eq!(
        hidden(&basic, "open%20sesame YWxhZGRpbjpvcGVuIHNlc2FtZQ== aladdin"),
        "*** *** aladdin"
    );
    let token = account("delicious_token = user:0123AB");
    assert_eq!(
        hidden(&token, "auth_token=user%3A0123AB, 0123ab; user:0123AB"),
        "auth_token=***, ***; ***"
    );
    assert_eq!(hidden(&account("delicious_bearer = b+c"), "Bearer b+c"), "Bearer ***");
    let line = message::text(b"NOTICE x :you said PASS s\xc3\xa9same \xff");
    assert_eq!(
        hidden("server_password = s\u{e9}same", &line),
        "NOTICE x :you said PASS *** \u{ff}"
    );
}

#[test]
fn every_piece_of_a_long_sasl_payload_is_hidden() {
    let password = "p".repeat(600);
    let config = good(&format!("sasl = plain\nsasl_user = u\nsasl_password = {password}"));
    let payload = BASE64.encode(format!("u\0u\0{password}"));
    for piece in payload.as_bytes().chunks(400) {
        let line = format!("AUTHENTICATE {}", str::from_utf8(piece).unwrap());
        assert_eq!(log::redact(&line, &config.secrets), "AUTHENTICATE ***");
    }
}

#[test]
fn no_error_quotes_a_secret() {
    for more in [
        "server_password = s3cr3t\ntls = no\nserver = s3cr3t",
        "channel_key = s3cr3t",
        "delicious_token = s3cr3t\ndelicious_user = a",
        "sasl_password = s3cr3t",
        "sasl = s3cr3t",
        "tls = s3cr3t",
    ] {
        assert!(!error(more).contains("s3cr3t"), "{more}");
    }
}

#[test]
fn each_channels_feed_has_its_own_path_and_title() {
    let config = good(
        "feed = tests/{channel}.xml\nfeed_title = News of {channel}\nfeed_url = https://example.org/f/{channel}.xml\nfeed_items = 7",
    );
    let [dev, rust, page] = &config.views[..] else {
        panic!("expected one feed for each channel, and one page")
    };
    assert_eq!(
        (dev.path.as_path(), rust.path.as_path()),
        (Path::new("tests/dev.xml"), Path::new("tests/Rust.xml"))
    );
    assert_eq!((dev.title.as_str(), dev.items), ("News of dev", 7));
    assert_eq!(dev.channels, ["#dev"]);
    assert_eq!(rust.url.as_deref(), Some("https://example.org/f/Rust.xml"));
    assert_eq!(rust.about, "https://example.org/f/links.html");
    assert_eq!(page.channels, ["#dev", "#Rust"]);
    assert_eq!(
        alternates(&config, 2),
        ["https://example.org/f/dev.xml", "https://example.org/f/Rust.xml"]
    );
    assert_eq!(good("feed = {channel}.xml").views[1].title, "Links from #Rust");
    let outputs = |channels: &str| {
        let text = format!(
            "server = localhost:1\nchannels = {channels}\nfeed = {{channel}}.xml\nfeed_url = http://x/{{channel}}"
        );
        Config::parse(Path::new("tests/bot.conf"), &text).map(|config| config.views)
    };
    let output = &outputs("##c++/ü").unwrap()[0];
    assert_eq!(output.path, Path::new("tests/_c___ü.xml"));
    assert_eq!(output.url.as_deref(), Some("http://x/_c___%C3%BC"));
    let clash = outputs("#c+, #c-, #c*").err().unwrap();
    assert_eq!(
        clash,
        "tests/bot.conf:3: feed: must be a file that is used for nothing else, in a directory that exists; with {channel}, a different file for each channel"
    );
}

/// The feed addresses in a page.
fn alternates(config: &Config, page: usize) -> Vec<String> {
    let html = page::render(config, &config.views[page], &[], false);
    let links = html.split("<link rel=\"alternate\"").skip(1);
    let hrefs = links.map(|link| link.split("href=\"").nth(1).unwrap());
    hrefs.map(|href| href.split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn a_page_for_each_channel_names_the_feed_with_its_links() {
    let config = good("page = tests/{channel}.html\nfeed = tests/all links.xml");
    let [_, dev, rust] = &config.views[..] else {
        panic!("expected one feed, and one page for each channel")
    };
    assert_eq!(
        (dev.path.as_path(), rust.path.as_path()),
        (Path::new("tests/dev.html"), Path::new("tests/Rust.html"))
    );
    assert_eq!(
        (alternates(&config, 1), alternates(&config, 2)),
        (vec!["all%20links.xml".to_owned()], vec!["all%20links.xml".to_owned()])
    );
    let config = good("page = {channel}.html\nfeed = {channel}.xml");
    assert_eq!(alternates(&config, 2), ["dev.xml"]);
    let clash = "server = localhost:1\nchannels = #c+, #c*\npage = {channel}.html";
    let error = Config::parse(Path::new("bot.conf"), clash).err().unwrap();
    assert_eq!(
        error,
        "bot.conf:3: page: must be a file that is used for nothing else, in a directory that exists; with {channel}, a different file for each channel"
    );
}

#[test]
fn a_feed_without_an_address_links_to_its_channel() {
    let of = |server: &str, tls: &str| {
        let text = format!("server = {server}\nchannels = #dev, #b\ntls = {tls}");
        Config::parse(Path::new("bot.conf"), &text).unwrap().views.remove(0)
    };
    let of = |server, tls| of(server, tls).about;
    assert_eq!(of("irc.libera.chat:6697", "yes"), "ircs://irc.libera.chat:6697/%23dev");
    assert_eq!(of("localhost:6667", "no"), "irc://localhost:6667/%23dev");
    assert_eq!(of("[::1]:7000", "no"), "irc://[::1]:7000/%23dev");
}

#[test]
fn linkbot_uses_no_file_for_two_purposes() {
    for (more, key) in [
        ("journal = links.xml", "feed"),
        ("feed = ./links.tsv", "feed"),
        ("journal = bot.conf", "journal"),
        ("feed = bot.conf", "feed"),
        ("feed = links.tsv.delivered", "feed"),
        ("journal = a.tsv\npage = a.tsv.heard", "page"),
    ] {
        let error = error(more);
        let what = format!(
            "{key}: must be a file that is used for nothing else, in a directory that exists"
        );
        assert!(error.contains(&what), "{more}: {error}");
    }
}

#[test]
fn the_directory_of_each_file_must_exist() {
    for (line, key) in [
        ("journal = nowhere/links.tsv", "journal"),
        ("feed = nowhere/{channel}.xml", "feed"),
        ("feed = {channel}/links.xml", "feed"),
    ] {
        refused(
            line,
            &format!(
                "3: {key}: must be a file that is used for nothing else, in a directory that exists"
            ),
        );
    }
}

#[test]
fn paths_are_relative_to_the_directory_of_bot_conf() {
    let config = Config::parse(
        Path::new("tests/bot.conf"),
        &format!("{BASE}journal = unit/a.tsv\nfeed = /tmp/a.xml"),
    );
    let config = config.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(config.journal, Path::new("tests/unit/a.tsv"));
    assert_eq!(config.views[0].path, Path::new("/tmp/a.xml"));
}

#[test]
fn the_user_agent_is_ascii_with_the_owner_as_its_comment() {
    let version = env!("CARGO_PKG_VERSION");
    let user_agent = |owner: &str| {
        let more = format!("delicious = https://x.example/add\nowner = {owner}");
        good(&more).account.unwrap().user_agent
    };
    assert_eq!(user_agent(""), format!("linkbot/{version}"));
    assert_eq!(
        user_agent("alice (at) example.org"),
        format!("linkbot/{version} (alice at example.org)")
    );
    assert_eq!(user_agent("(Zoë\\)"), format!("linkbot/{version} (Zo)"));
    assert_eq!(user_agent("()ë"), format!("linkbot/{version}"));
    assert_eq!(user_agent("日本 語"), format!("linkbot/{version}"));
    assert_eq!(user_agent("日本 bob"), format!("linkbot/{version} (bob)"));
}

fn link() -> Link {
    Link {
        channel: "#dev".into(),
        nick: String::new(),
        account: String::new(),
        url: String::new(),
        title: String::new(),
        posted: datetime!(2026-11-22 23:45:19 UTC),
    }
}

#[test]
fn a_zone_is_utc_local_or_an_offset() {
    let link = link();
    let of = |zone: &str| {
        let more = format!(
            "log_url = http://x/{{channel}}?[year][month][day]#[hour][minute][second]\ntimezone = {zone}"
        );
        good(&more).log_url(&link).unwrap()
    };
    assert_eq!(of("utc"), "http://x/dev?20261122#234519");
    assert_eq!(of("+01:00"), "http://x/dev?20261123#004519");
    assert_eq!(of("-00:30"), "http://x/dev?20261122#231519");
    assert!(of("local").starts_with("http://x/dev?202611"));
    for bad in ["1:00", "+1:00", "+01:60", "+0100", "+-1:00", "UTC"] {
        refused(&format!("timezone = {bad}"), "3: timezone: must be utc, local, or an offset");
    }
    let bracket = good("log_url = http://x/[[[year]");
    assert_eq!(bracket.log_url(&link).unwrap(), "http://x/%5B2026");
}

#[test]
fn tags_are_separated_by_spaces_or_commas() {
    assert_eq!(list(" irc, {channel}  c++,x"), ["irc", "{channel}", "c++", "x"]);
}

#[test]
fn windows_newlines_are_accepted() {
    let config = Config::parse(Path::new("bot.conf"), "server = localhost:1\r\nchannels = #a\r\n");
    assert_eq!(config.unwrap().irc.channels[0].name, "#a");
}

/// A directory with bot.conf, mode 0640, and other files, each with its mode.
fn directory(more: &str, files: &[(&str, &str, u32)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let conf = format!("server = localhost:6697\nchannels = #a\n{more}");
    for (name, text, mode) in files.iter().chain(&[("bot.conf", conf.as_str(), 0o640)]) {
        fs::write(dir.path().join(name), text).unwrap();
        fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(*mode)).unwrap();
    }
    dir
}

/// Reads bot.conf, and removes the directory's name from an error.
fn read_in(dir: &tempfile::TempDir) -> Result<Config> {
    Config::read(&dir.path().join("bot.conf"))
        .map_err(|e| e.replace(&format!("{}/", dir.path().display()), ""))
}

#[test]
fn an_unreadable_file_is_reported_in_plain_words() {
    assert_eq!(
        Config::read(Path::new("/no/such/bot.conf")).err().unwrap(),
        "/no/such/bot.conf: No such file or directory"
    );
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("bot.conf")).unwrap();
    assert_eq!(read_in(&dir).err().unwrap(), "bot.conf: Is a directory");
    fs::write(dir.path().join("latin.conf"), b"server = localhost:1\n\nowner = J\xf6rg\n").unwrap();
    let error = Config::read(&dir.path().join("latin.conf")).err().unwrap();
    assert!(error.ends_with("latin.conf: stream did not contain valid UTF-8"), "{error}");
}

#[test]
fn a_certificate_and_its_key_may_be_in_one_file_in_either_order() {
    let made = rcgen::generate_simple_self_signed(["linkbot".to_owned()]).unwrap();
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    for pem in [format!("{cert}{key}"), format!("comment\n{key}\n{cert}")] {
        let dir = directory("sasl = external\ntls_cert = both.pem", &[("both.pem", &pem, 0o600)]);
        let config = read_in(&dir).unwrap_or_else(|e| panic!("{e}"));
        assert!(config.server.identity.is_some());
        assert!(matches!(config.irc.sasl, Some(Sasl { mechanism: "EXTERNAL", .. })));
    }
    let files = [("a.pem", cert.as_str(), 0o644), ("a.key", key.as_str(), 0o640)];
    assert!(read_in(&directory("tls_cert = a.pem\ntls_key = a.key", &files)).is_ok());
    let missing = read_in(&directory("tls_cert = a.pem", &files)).err().unwrap();
    assert!(missing.starts_with("bot.conf:3: tls_cert: must be a readable PEM file"), "{missing}");
    let gone = read_in(&directory("tls_cert = a.pem\ntls_key = b.key", &files)).err().unwrap();
    assert!(gone.starts_with("bot.conf:3: tls_cert: must be a readable PEM file"), "{gone}");
    let swapped = read_in(&directory("tls_cert = a.key\ntls_key = a.key", &files)).err().unwrap();
    assert!(
        swapped.starts_with("bot.conf:3: tls_cert: must be a readable PEM file that contains a well-formed certificate"),
        "{swapped}"
    );
    let plain =
        read_in(&directory("tls = no\ntls_cert = a.pem\ntls_key = a.key", &files)).err().unwrap();
    assert!(
        plain.starts_with(
            "bot.conf:3: tls: must be yes or no; it must be yes with tls_pin or tls_cert"
        ),
        "{plain}"
    );
}

#[test]
fn a_key_file_that_others_can_read_is_refused_with_the_fix() {
    let made = rcgen::generate_simple_self_signed(["linkbot".to_owned()]).unwrap();
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let fix = "but every user can access it; fix it with: chmod o-rwx";
    let files = [("a.pem", cert.as_str(), 0o644), ("a.key", key.as_str(), 0o644)];
    let error = read_in(&directory("tls_cert = a.pem\ntls_key = a.key", &files)).err().unwrap();
    assert_eq!(error, format!("a.key contains a secret {fix} a.key"));
    let both = format!("{cert}{key}");
    let error = read_in(&directory("tls_cert = b.pem", &[("b.pem", &both, 0o604)])).err().unwrap();
    assert_eq!(error, format!("b.pem contains a secret {fix} b.pem"));
}

#[test]
fn a_key_in_another_format_gets_the_command_to_convert_it() {
    let made = rcgen::generate_simple_self_signed(["linkbot".to_owned()]).unwrap();
    let cert = made.cert.pem();
    let rsa = openssl::rsa::Rsa::generate(1024).unwrap();
    let rsa_pem = String::from_utf8(rsa.private_key_to_pem().unwrap()).unwrap();
    let pkey = openssl::pkey::PKey::from_rsa(rsa).unwrap();
    let cipher = openssl::symm::Cipher::aes_128_cbc();
    let encrypted =
        String::from_utf8(pkey.private_key_to_pem_pkcs8_passphrase(cipher, b"pass").unwrap())
            .unwrap();
    for key in [rsa_pem, encrypted] {
        let error =
            read_in(&directory("tls_cert = a.pem", &[("a.pem", &format!("{cert}{key}"), 0o600)]))
                .err()
                .unwrap();
        assert!(error.contains("key, there or in tls_key, must be in plain PKCS#8"), "{error}");
        assert!(
            error.ends_with(": openssl pkcs8 -topk8 -nodes -in OLD.key -out NEW.key"),
            "{error}"
        );
    }
    let damaged = cert.replace("MII", "MIJ");
    let files = [("a.pem", damaged.as_str(), 0o600)];
    let error = read_in(&directory("tls_pin = a.pem", &files)).err().unwrap();
    assert_eq!(
        error,
        "bot.conf:3: tls_pin: must be a readable PEM file that contains a well-formed certificate"
    );
}

#[test]
fn a_pin_is_the_first_certificate() {
    let pem = || rcgen::generate_simple_self_signed(["irc.example".to_owned()]).unwrap().cert;
    let (cert, other) = (pem(), pem());
    let file = format!("{}{}", cert.pem(), other.pem());
    let config = read_in(&directory("tls_pin = a.pem", &[("a.pem", &file, 0o644)]))
        .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(config.server.pin.as_deref(), Some(cert.der().as_ref()));
    let error = read_in(&directory("tls_pin = a.pem", &[("a.pem", "", 0o644)])).err().unwrap();
    assert_eq!(
        error,
        "bot.conf:3: tls_pin: must be a readable PEM file that contains a well-formed certificate"
    );
}

const SHIPPED: &str = include_str!("../../bot.conf");

#[test]
fn the_shipped_file_works_as_is() {
    let config = Config::parse(Path::new("bot.conf"), SHIPPED).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((config.server.host.as_str(), config.server.port), ("localhost", 6667));
    assert!(!config.server.tls && config.account.is_none());
    assert_eq!(config.irc.channels[0].name, "#linkbot");
}

/// The shipped file's commented-out keys with their values above the Libera.Chat block, and the
/// block itself, uncommented.
fn shipped_examples() -> (Vec<(String, String)>, String) {
    let (above, libera) = SHIPPED.split_once("# --- Libera.Chat").unwrap();
    let example = |line: &str| {
        let (key, value) = line.strip_prefix('#')?.split_once(" = ")?;
        (!key.contains(' ')).then(|| (key.to_owned(), value.to_owned()))
    };
    let block: Vec<_> =
        libera.lines().filter(|line| example(line).is_some()).map(|line| &line[1..]).collect();
    (above.lines().filter_map(example).collect(), block.join("\n"))
}

#[test]
fn the_shipped_file_names_every_key_and_no_other() {
    let (examples, block) = shipped_examples();
    let block = block.replace("your-", "my-");
    Config::parse(Path::new("bot.conf"), &block)
        .unwrap_or_else(|e| panic!("the Libera.Chat block: {e}"));
    let mut shown: Vec<&str> = examples
        .iter()
        .map(|(key, _)| key.as_str())
        .filter(|key| !key.starts_with("local."))
        .chain(["server", "tls", "channels"])
        .collect();
    shown.sort();
    let mut known: Vec<_> =
        KEYS.lines().map(|line| line.trim().split(' ').next().unwrap()).collect();
    known.sort();
    assert_eq!(shown, known);
    // An example may fail for lack of related keys or a file, but for no other reason.
    for (key, value) in &examples {
        let error =
            Config::parse(Path::new("bot.conf"), &format!("{SHIPPED}\n{key} = {value}")).err();
        let is_alone = |e: &String| {
            let login = ["PEM file", ": sasl: ", ": delicious: "];
            key != "delicious" && login.iter().any(|what| e.contains(what))
        };
        assert!(error.as_ref().is_none_or(is_alone), "{key}: {error:?}");
    }
}

#[test]
fn the_defaults_in_the_shipped_file_are_correct() {
    let (examples, _) = shipped_examples();
    let example = |key: &str| examples.iter().find(|(k, _)| k == key).unwrap().1.clone();
    let config = good("delicious = https://x.example/add");
    assert_eq!(example("nick"), config.irc.nick);
    assert_eq!(example("prefix"), config.irc.prefix);
    assert_eq!(example("reconnect"), config.reconnect.as_secs().to_string());
    assert_eq!(Path::new(&example("journal")), config.journal);
    assert_eq!(Path::new(&example("feed")), config.views[0].path);
    assert_eq!(example("feed_items"), config.views[0].items.to_string());
    let account = config.account.unwrap();
    assert_eq!(example("delicious_tags"), account.tags.join(" "));
    assert_eq!(example("delicious_interval"), account.interval.as_secs().to_string());
    assert_eq!(
        (example("reply"), example("rejoin"), example("delicious_scuttle")),
        ("privmsg".into(), "no".into(), "no".into())
    );
    assert_eq!((example("capture"), example("catch_up")), ("no".into(), "yes".into()));
    assert_eq!(example("timezone"), "utc");
}

/// Lines that are nearly valid, with a few arbitrary ones between.
fn conf_text() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        prop::sample::select(vec![
            "server",
            "tls",
            "nick",
            "owner",
            "channels",
            "server_password",
            "sasl",
            "sasl_user",
            "sasl_password",
            "on_connect",
            "prefix",
            "reply",
            "ignore",
            "rejoin",
            "capture",
            "catch_up",
            "local.x",
            "reconnect",
            "journal",
            "feed",
            "feed_title",
            "feed_url",
            "feed_items",
            "log_url",
            "timezone",
            "delicious",
            "delicious_user",
            "delicious_password",
            "delicious_token",
            "delicious_bearer",
            "delicious_tags",
            "delicious_interval",
            "tls_pin",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,8}",
    ];
    let value = prop_oneof![
        prop::sample::select(vec![
            "localhost:6667",
            "[::1]:6697",
            "#dev, #rust key",
            "#dev",
            "yes",
            "no",
            "plain",
            "external",
            "10",
            "http://x/{channel}",
            "https://x.example/[year]",
            "{channel}.xml",
            "links.tsv",
            "+01:00",
            "a b,c",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,20}",
        any::<String>(),
    ];
    let line = prop_oneof![8 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")), 1 => any::<String>()];
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn no_text_causes_a_panic_and_errors_name_the_path_and_an_existing_line(text in conf_text()) {
        if let Err(error) = Config::parse(Path::new("tests/bot.conf"), &text) {
            let place = error.strip_prefix("tests/bot.conf").and_then(|rest| rest.split_once(": ")).expect(&error).0;
            let line = place.strip_prefix(':').map(|line| line.parse().expect(&error));
            prop_assert!(line.is_none_or(|line| (1..=text.lines().count()).contains(&line)), "{error}");
        }
    }

    #[test]
    fn no_pattern_causes_a_panic(text in any::<String>(), prefix in "|http://x/") {
        let text = format!("{BASE}log_url = {prefix}{text}");
        if let Ok(config) = Config::parse(Path::new("bot.conf"), &text) {
            let _ = config.log_url(&link());
        }
    }
}
