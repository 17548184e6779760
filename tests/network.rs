//! The bot on IRC.

mod common;

use common::bookmarks::{Answer, Bookmarks};
use common::bot::{Bot, Home};
use common::irc::{Client, IrcServer};
use common::tls::{Authority, self_signed};

const USAGE: &str = "usage: .url http://www.example.com/ Title For Link";

/// A bot in #dev, on a server without TLS.
fn bot_in_dev() -> (Home, Bot, IrcServer, Client) {
    let server = IrcServer::plain();
    let home = Home::new(&server.conf());
    let bot = home.start();
    let client = server.welcome();
    (home, bot, server, client)
}

#[test]
fn it_registers_joins_every_channel_and_answers_ping() {
    let server = IrcServer::plain();
    let conf = server.conf().replace("#dev", "#dev, #Secret key, #ops");
    let home = Home::new(&(conf + "owner = alice@example.com\nserver_password = 5ecre7\n"));
    let mut bot = home.start();
    let mut client = server.accept();
    client.expect("PASS 5ecre7");
    client.expect("CAP LS 302");
    assert_eq!(client.line(), "NICK linkbot");
    assert!(client.expect("USER ").contains("alice@example.com"));
    client.send("PING :before-001");
    assert!(client.expect("PONG ").ends_with("before-001"));
    client.send(":irc.test CAP * LS :");
    client.expect("CAP END");
    client.numeric("001", ":Welcome");
    client.numeric("422", ":MOTD File is missing");
    for (join, channel) in
        [("JOIN #dev", "#dev"), ("JOIN #Secret key", "#Secret"), ("JOIN #ops", "#ops")]
    {
        assert_eq!(client.line(), join);
        client.let_in(channel);
    }
    client.barrier();
    client.say("bob", "#secret", ".url http://www.example.com/ Title For Link");
    assert_eq!(client.line(), "PRIVMSG #Secret :saved: Title For Link");
    assert_eq!(home.journal()[0][2], "#Secret");
    bot.logs("#dev");
}

#[test]
fn saved_means_the_link_is_in_the_journal() {
    let (home, mut bot, _server, mut client) = bot_in_dev();
    client.say("alice", "#dev", ".url http://www.example.com/ Title For Link");
    assert_eq!(client.line(), "PRIVMSG #dev :saved: Title For Link");
    bot.kill();
    let line = &home.journal()[0];
    assert_eq!(
        line[1..],
        ["add", "#dev", "alice", "", "http://www.example.com/", "Title For Link"]
    );
}

#[test]
fn a_command_begins_with_the_prefix_or_with_the_bots_name() {
    let (_home, _bot, _server, mut client) = bot_in_dev();
    for said in [
        ".url http://a.example/ One",
        "linkbot: url http://b.example/ One",
        "LinkBot, url http://c.example/ One",
    ] {
        client.say("alice", "#dev", said);
        assert_eq!(client.line(), "PRIVMSG #dev :saved: One");
    }
}

#[test]
fn a_renamed_bot_answers_to_its_new_name() {
    let (_home, _bot, _server, mut client) = bot_in_dev();
    client.send(":linkbot!~linkbot@127.0.0.1 NICK :marvin");
    client.say("alice", "#dev", "marvin: url http://a.example/ One");
    client.until("PRIVMSG #dev :saved: One");
}

#[test]
fn a_usage_error_is_one_line_that_begins_with_the_senders_nick() {
    let (home, _bot, _server, mut client) = bot_in_dev();
    for (said, why) in [
        (".url", "the address is missing"),
        (".url http://www.example.com/", "the title is missing"),
        (".url .deop alice", "the address is missing"),
    ] {
        client.say("alice", "#dev", said);
        let line = client.expect(&format!("PRIVMSG #dev :alice: {why}; "));
        assert!(line.ends_with(USAGE), "{line}");
    }
    client.barrier();
    assert_eq!(home.journal().len(), 0);
}

#[test]
fn lines_not_for_the_bot_are_ignored() {
    let (home, _bot, _server, mut client) = bot_in_dev();
    client.say("alice", "#dev", ".weather Berlin");
    client.say("alice", "#dev", "http://www.example.com/ is nice");
    client.say("alice", "#other", ".url http://www.example.com/ Not configured");
    client.say("alice", "@#dev", ".url http://www.example.com/ For operators");
    client.say("linkbot", "#dev", ".url http://www.example.com/ My own");
    client.send(":alice!a@host.example NOTICE #dev :.url http://www.example.com/ Notice");
    client.send("@bot :robot!r@host.example PRIVMSG #dev :.url http://www.example.com/ A bot");
    client.barrier();
    assert_eq!(home.journal().len(), 0);
}

#[test]
fn help_gets_a_reply_in_private_too() {
    let (_home, _bot, _server, mut client) = bot_in_dev();
    client.say("alice", "linkbot", ".help");
    client.expect("PRIVMSG alice :say .url ADDRESS TITLE in #dev; .help there lists the rest");
    client.say("alice", "#dev", ".help url");
    assert!(
        client.expect("PRIVMSG #dev :").contains(".url http://www.example.com/ Title For Link")
    );
}

#[test]
fn reply_may_be_notice_or_quiet() {
    for (reply, saved) in [("notice", Some("NOTICE #dev :saved: T")), ("quiet", None)] {
        let server = IrcServer::plain();
        let home = Home::new(&(server.conf() + "reply = " + reply));
        let _bot = home.start();
        let mut client = server.welcome();
        client.say("alice", "#dev", ".url http://www.example.com/ T");
        match saved {
            Some(saved) => assert_eq!(client.line(), saved),
            None => client.barrier(),
        }
        assert_eq!(home.titles(), ["T"]);
        client.say("alice", "#dev", ".url");
        assert!(client.line().ends_with(USAGE), "errors are always sent");
    }
}

#[test]
fn the_journal_has_the_server_time_and_the_account_tag() {
    let (home, _bot, _server, mut client) = bot_in_dev();
    let posted = time::OffsetDateTime::now_utc() - time::Duration::minutes(2);
    let format = time::macros::format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
    );
    let posted = posted.format(format).unwrap();
    client.send(&format!(
        "@time={posted};account=alice1 :alice!a@host.example PRIVMSG #dev :.url http://a.example/ T"
    ));
    assert_eq!(client.line(), "PRIVMSG #dev :saved: T");
    let line = &home.journal()[0];
    assert_eq!(
        (line[0].as_str(), line[3].as_str(), line[4].as_str()),
        (posted.as_str(), "alice", "alice1")
    );
}

#[test]
fn it_reconnects_and_rejoins_after_the_server_goes_away() {
    let (home, mut bot, server, mut client) = bot_in_dev();
    client.say("alice", "#dev", ".url http://www.example.com/ Before");
    assert_eq!(client.line(), "PRIVMSG #dev :saved: Before");
    client.send("ERROR :Closing Link: server shuts down");
    client.close();
    assert!(bot.logs("not connected").contains("server shuts down"));
    let mut client = server.welcome();
    client.say("alice", "#dev", ".url http://www.example.com/ After");
    assert_eq!(client.line(), "PRIVMSG #dev :title changed: After");
    assert_eq!(home.titles(), ["Before", "After"]);
}

#[test]
fn a_wrong_server_password_is_logged_and_retried_slowly() {
    let server = IrcServer::plain();
    let home = Home::new(&(server.conf() + "server_password = 5ecre7\n"));
    let mut bot = home.start();
    let mut client = server.accept();
    client.expect("PASS ");
    client.numeric("464", ":Password incorrect");
    let line = bot.logs("not connected");
    assert!(line.contains("server_password") && line.contains("retrying in 15 min"), "{line}");
}

#[test]
fn the_log_has_one_timestamped_line_per_event() {
    let server = IrcServer::plain();
    // One address: a name may have several, and each attempt is logged.
    let home = Home::new(&server.conf().replace("localhost", "127.0.0.1"));
    let mut bot = home.start();
    let mut client = server.welcome();
    client.say("alice", "#dev", ".url http://www.example.com/ Title\x07 For\x1b[31m Link");
    client.expect("PRIVMSG #dev :saved: ");
    client.barrier();
    client.close();
    // Kept open: its end would be logged too.
    let _client = server.welcome();
    let log = bot.kill();
    let stamp =
        time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z ");
    for line in log.lines() {
        let (time, text) = line.split_at_checked("2026-11-22 10:31:19Z ".len()).expect(line);
        assert!(time::PrimitiveDateTime::parse(time, stamp).is_ok() && !text.is_empty(), "{line}");
        assert!(!text.contains(char::is_control), "{line:?}");
    }
    // Connecting, registered, no history, joined, the link, not connected; then the first four
    // again.
    assert_eq!(log.lines().count(), 10, "{log}");
}

#[test]
fn garbage_and_lines_of_any_length_do_no_harm() {
    let (home, mut bot, _server, mut client) = bot_in_dev();
    // A fixed seed, to make failures reproducible.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut garbage: Vec<u8> = Vec::new();
    while garbage.len() < 256 * 1024 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        garbage.extend(state.to_le_bytes());
    }
    client.send_bytes(&garbage);
    client.send_bytes(
        b"\r\n\n\r\r\n:\r\n@\r\n: \r\n@ :\r\n:a PRIVMSG\r\nPRIVMSG #dev\r\n001\r\n353\r\nPING\r\n",
    );
    client.send_bytes(
        b"@time=9999999999-99-99T99:99:99Z :a!b@c PRIVMSG #dev :.url http://a.example/ Odd time\r\n",
    );
    client.until("PRIVMSG #dev :saved: Odd time");
    let before = bot.peak_memory();
    let endless = vec![b'a'; 1 << 20];
    for _ in 0..32 {
        client.send_bytes(&endless);
    }
    client.send_bytes(b" .url http://a.example/ The tail of a line\r\n");
    client.say("alice", "#dev", ".url http://www.example.com/ Alive");
    client.until("PRIVMSG #dev :saved: Alive");
    assert_eq!(home.titles(), ["Odd time", "Alive"]);
    assert!(bot.peak_memory() < before + 4096, "{} KiB, from {before}", bot.peak_memory());
    assert!(bot.is_running());
}

fn survives_stop(server: IrcServer, trusted: &str) {
    let home = Home::new(&server.conf());
    home.write("ca.pem", trusted);
    let mut bot = home.start();
    let mut client = server.welcome();
    for (title, done) in [("One", "saved"), ("Two", "title changed")] {
        bot.stop();
        bot.cont();
        bot.stop();
        client.say("alice", "#dev", format!(".url http://www.example.com/ {title}"));
        bot.cont();
        assert_eq!(client.line(), format!("PRIVMSG #dev :{done}: {title}"));
    }
    assert!(!bot.log().contains("not connected"), "{}", bot.log());
}

#[test]
fn stopping_and_continuing_it_keeps_the_connection() {
    survives_stop(IrcServer::plain(), "");
}

#[test]
fn stopping_and_continuing_it_keeps_a_tls_connection() {
    let authority = Authority::new();
    survives_stop(IrcServer::tls(&authority.certificate()), &authority.pem());
}

#[test]
fn a_hundred_links_in_a_hundred_records_share_commits_and_replies() {
    let authority = Authority::new();
    let server = IrcServer::tls(&authority.certificate());
    let home = Home::new(&server.conf());
    home.write("ca.pem", authority.pem());
    let traced = home.start_traced("fdatasync");
    let mut client = server.welcome();
    let before = traced.so_far().matches("fdatasync(").count();
    traced.bot.stop();
    for n in 0..100 {
        client.say("alice", "#dev", format!(".url http://www.example.com/{n} Number {n}"));
    }
    traced.bot.cont();
    let mut confirmed = 0;
    while confirmed < 100 {
        let line = client.expect("PRIVMSG #dev :saved: ");
        let words: Vec<_> = line.split(' ').collect();
        confirmed +=
            if words.ends_with(&["more", "links"]) { words[3].parse::<u32>().unwrap() } else { 1 };
    }
    assert_eq!(confirmed, 100);
    let expected: Vec<_> = (0..100).map(|n| format!("Number {n}")).collect();
    assert_eq!(home.titles(), expected);
    let trace = traced.kill();
    let syncs = trace.matches("fdatasync(").count() - before;
    assert!((1..=5).contains(&syncs), "{syncs} syncs:\n{trace}");
}

#[test]
fn no_secret_is_logged_even_with_v() {
    let server = IrcServer::plain();
    // A response that echoes the request and its credentials.
    let bookmarks = Bookmarks::plain(|request| {
        let sent =
            format!("{} {}", request.line, request.header("authorization").unwrap_or_default());
        Answer::http(
            "400 Bad Request",
            &format!("<result code=\"bad: {}\" />", sent.replace('"', "")),
        )
    });
    let home = Home::new(
        &(server.conf().replace("#dev", "#dev ch4nnelkey")
            + &bookmarks.conf()
            + "server_password = s3rverpass\n\
               delicious_user = alice\ndelicious_password = d3l/icious%pass\n"),
    );
    let mut bot = Bot::spawn(home.linkbot(&["-v", "bot.conf"]));
    let mut client = server.accept();
    client.expect("PASS s3rverpass");
    client.register("");
    client.expect("JOIN #dev ch4nnelkey");
    client.numeric("475", "#dev :Cannot join channel, your key ch4nnelkey is bad");
    client.send("NOTICE linkbot :you said PASS S3RVERPASS");
    client.let_in("#dev");
    client.barrier();
    client.say("alice", "#dev", ".url http://www.example.com/ Title");
    client.until("PRIVMSG #dev :saved: Title");
    bookmarks.request();
    bot.logs("skipped");
    let log = bot.kill();
    assert!(log.contains("-> PASS ***") && log.contains("-> JOIN #dev ***"), "{log}");
    let basic = "YWxpY2U6ZDNsL2ljaW91cyVwYXNz";
    for secret in ["s3rverpass", "ch4nnelkey", "d3l/icious%pass", "d3l%2ficious%25pass", basic] {
        assert!(!log.to_lowercase().contains(&secret.to_lowercase()), "{secret} in:\n{log}");
    }
}

#[test]
fn if_every_nick_is_invalid_the_log_says_what_to_do_without_a_secret() {
    let server = IrcServer::plain();
    let home = Home::new(&(server.conf() + "server_password = s3rverpass\n"));
    let mut bot = home.start();
    let mut client = server.accept();
    while let Some(line) = client.next_line() {
        if let Some(nick) = line.strip_prefix("NICK ") {
            client.send(&format!(":irc.test 432 * {nick} :Erroneous, \x1b[31mas is s3rverpass"));
        }
    }
    let line = bot.logs("not connected");
    assert!(
        line.contains(
            "the server refuses the nick linkbot: Erroneous,  [31mas is ***; change nick"
        ),
        "{line}"
    );
    assert!(line.contains("retrying in 15 min"), "{line}");
    assert!(bot.is_running());
}

#[test]
fn after_12_refused_nicks_it_gives_up_and_retries_slowly() {
    let server = IrcServer::plain();
    let home = Home::new(&server.conf());
    let mut bot = home.start();
    let mut client = server.accept();
    let mut attempts = 0;
    while let Some(line) = client.next_line() {
        if let Some(nick) = line.strip_prefix("NICK ") {
            attempts += 1;
            client.send(&format!(":irc.test 433 * {nick} :Nickname is already in use"));
        }
    }
    assert_eq!(attempts, 12);
    let why = "the server refuses the nick linkbot: Nickname is already in use; change nick";
    assert!(bot.logs(why).contains("retrying in 15 min"));
}

#[test]
fn a_refused_join_is_logged_and_retried() {
    let server = IrcServer::plain();
    let home = Home::new(&server.conf());
    let mut bot = home.start();
    let mut client = server.accept();
    client.register("");
    client.expect("JOIN #dev");
    client.numeric("520", "#dev :Only operators may enter");
    assert!(bot.logs("not in #dev").contains("520 Only operators may enter"));
    client.expect("JOIN #dev");
    client.let_in("#dev");
    bot.logs("joined #dev");
}

#[test]
fn a_notice_from_services_is_logged() {
    let (_home, mut bot, _server, mut client) = bot_in_dev();
    client.send(":NickServ!services@irc.test NOTICE linkbot :Password incorrect.");
    bot.logs("notice from NickServ: Password incorrect.");
    client.barrier();
}

#[test]
fn a_bad_certificate_is_refused_before_a_byte_is_sent() {
    let authority = Authority::new();
    let untrusted = "is self-signed or from an unknown issuer; see tls_pin (";
    let cases = [
        (Authority::new().certificate(), untrusted),
        (self_signed(), untrusted),
        (authority.expired(), "has expired; ask the network to renew it ("),
        (authority.future(), "is not yet valid; check this machine's clock ("),
        (authority.misnamed(), "was issued for another name; check server in bot.conf ("),
    ];
    for (certificate, why) in cases {
        let server = IrcServer::tls(&certificate);
        let home = Home::new(&server.conf());
        home.write("ca.pem", authority.pem());
        let mut bot = home.start();
        if let Ok(mut client) = server.try_accept() {
            assert_eq!(client.next_line(), None, "{why}");
        }
        let line = bot.logs("not connected");
        assert!(
            line.contains(&format!("not connected: localhost: the certificate {why}")),
            "{line}"
        );
        assert!(line.ends_with("; retrying in 15 min"), "{line}");
        assert!(bot.is_running());
    }
}

#[test]
fn a_wrong_pin_logs_the_fingerprint_and_the_command_in_bot_conf_fetches_the_certificate() {
    let certificate = self_signed();
    let server = IrcServer::tls(&certificate);
    let home = Home::new(&(server.conf() + "tls_pin = server.pem\n"));
    home.write("server.pem", self_signed().pem);
    let mut bot = home.start();
    assert_eq!(server.accept().next_line(), None);
    let line = bot.logs(
        "not connected: localhost presented a different certificate from the one in tls_pin: \
         SHA-256 ",
    );
    bot.kill();

    // The command that bot.conf shows.
    let example = include_str!("../bot.conf");
    let command =
        example.lines().find_map(|line| line.strip_prefix("#   openssl s_client ")).unwrap();
    let command = format!("openssl s_client {command}");
    let command = command.replace("irc.example.org:6697", &format!("localhost:{}", server.port()));
    let mut shell =
        home.program("sh", &["-c", &command]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let _ = server.try_accept();
    assert!(shell.wait().unwrap().success());
    let arguments = ["x509", "-in", "server.pem", "-noout", "-fingerprint", "-sha256"];
    let printed = home.program("openssl", &arguments).output().unwrap().stdout;
    let printed = String::from_utf8(printed).unwrap();
    let (_, fingerprint) = printed.trim().split_once('=').unwrap();
    assert!(line.contains(&format!(": SHA-256 {fingerprint}; ")), "{line} {fingerprint}");

    let _bot = home.start();
    let _client = server.welcome();
}

#[test]
fn a_port_without_tls_is_logged_as_such() {
    let server = IrcServer::plain();
    let home = Home::new(&server.conf().replace("tls = no\n", ""));
    let mut bot = home.start();
    let mut client = server.accept();
    client.send(":irc.test NOTICE * :*** Looking up your hostname...");
    let line = bot.logs("not connected: localhost: this port does not speak TLS; ");
    assert!(line.contains("tls = no") && line.ends_with(" s"), "{line}");
}

#[test]
fn plain_text_to_a_tls_port_makes_the_log_suggest_tls() {
    let tls = IrcServer::tls(&self_signed());
    let home = Home::new(&tls.conf().replace("tls = yes", "tls = no"));
    let mut bot = home.start();
    assert!(tls.try_accept().is_err());
    let line = bot.logs("not connected: ");
    assert!(
        line.contains("; the server sent no line of IRC: if this port speaks TLS, set tls = yes"),
        "{line}"
    );
    bot.kill();

    // A TLS alert may end in a newline.
    let server = IrcServer::plain();
    home.configure(&server.conf());
    let mut bot = home.start();
    let mut client = server.accept();
    client.until("USER ");
    client.send_bytes(b"\x15\x03\x01\x00\x02\x02\n");
    client.close();
    bot.logs("if this port speaks TLS, set tls = yes");
    let mut client = server.accept();
    client.until("USER ");
    client.send("NOTICE * :*** Looking up your hostname...");
    client.close();
    assert!(!bot.logs("not connected: ").contains("tls"));
}

#[test]
fn a_login_that_once_worked_is_retried_soon_without_services_or_after_a_refusal() {
    let server = IrcServer::plain();
    let sasl = "sasl = plain\nsasl_user = linkbot\nsasl_password = 5ecre7\n";
    let home = Home::new(&(server.conf() + sasl));
    let mut bot = home.start();
    let log_in = |numeric: &str| {
        let mut client = server.accept();
        client.until("USER ");
        client.send(":irc.test CAP * LS :sasl=PLAIN");
        client.until("CAP REQ sasl");
        client.send(":irc.test CAP * ACK :sasl");
        client.until("AUTHENTICATE PLAIN");
        client.send("AUTHENTICATE +");
        client.until("AUTHENTICATE ");
        client.numeric(numeric, ":The server's words");
        client
    };
    let mut client = log_in("903");
    client.until("CAP END");
    client.numeric("001", ":Welcome");
    client.close();
    bot.logs("not connected");

    let mut client = server.accept();
    client.until("USER ");
    client.send(":irc.test CAP * LS :multi-prefix");
    client.until("QUIT");
    let line = bot.logs("not connected: login failed: the server offers no SASL PLAIN");
    assert!(line.contains(" (are services down?); retrying in ") && line.ends_with(" s"), "{line}");

    log_in("904");
    let line = bot.logs("login failed: 904 The server's words; check sasl_user and sasl_password");
    assert!(line.ends_with(" s"), "{line}");
}

#[test]
fn without_sasl_on_connect_is_sent_and_channels_are_joined_when_services_reply() {
    let server = IrcServer::plain();
    let home = Home::new(&(server.conf() + "on_connect = PRIVMSG NickServ :IDENTIFY 5ecre7\n"));
    let _bot = home.start();
    let mut client = server.accept();
    client.register("");
    assert_eq!(client.line(), "PRIVMSG NickServ :IDENTIFY 5ecre7");
    client.send(":NickServ!services@irc.test NOTICE linkbot :You are now identified");
    assert_eq!(client.line(), "JOIN #dev");
}

#[test]
fn sasl_plain_finishes_before_a_channel_is_joined() {
    let server = IrcServer::plain();
    let home =
        Home::new(&(server.conf() + "sasl = plain\nsasl_user = linkbot\nsasl_password = 5ecre7\n"));
    let _bot = home.start();
    let mut client = server.accept();
    client.until("USER ");
    client.send(":irc.test CAP * LS :sasl=EXTERNAL,PLAIN");
    assert_eq!(client.line(), "CAP REQ sasl");
    client.send(":irc.test CAP * ACK :sasl");
    assert_eq!(client.line(), "AUTHENTICATE PLAIN");
    client.send("AUTHENTICATE +");
    // linkbot NUL linkbot NUL 5ecre7
    assert_eq!(client.line(), "AUTHENTICATE bGlua2JvdABsaW5rYm90ADVlY3JlNw==");
    client.numeric("903", ":SASL authentication successful");
    assert_eq!(client.line(), "CAP END");
    client.numeric("001", ":Welcome");
    client.numeric("376", ":End of MOTD");
    assert_eq!(client.line(), "JOIN #dev");
}

#[test]
fn an_ignored_person_gets_no_reply_and_saves_no_link() {
    let server = IrcServer::plain();
    let home = Home::new(&(server.conf() + "ignore = *!*@spam.example\nignore = otherbot\n"));
    let _bot = home.start();
    let mut client = server.welcome();
    client.send(":eve!e@spam.example PRIVMSG #dev :.url http://www.example.com/1 One");
    client.say("otherbot", "#dev", ".url http://www.example.com/2 Two");
    client.barrier();
    client.say("alice", "#dev", ".url http://www.example.com/3 Three");
    assert_eq!(client.line(), "PRIVMSG #dev :saved: Three");
    assert_eq!(home.titles(), ["Three"]);
}

/// The bot has its own /etc/hosts, in which `localhost` is ::1 and then 127.0.0.1.
#[test]
#[ignore = "needs root, to mount an /etc/hosts"]
fn if_an_address_fails_before_the_welcome_the_next_one_is_tried() {
    let server = IrcServer::plain();
    let silent = std::net::TcpListener::bind(("::1", server.port())).unwrap();
    let home = Home::new(&server.conf());
    home.write("hosts", "::1 localhost\n127.0.0.1 localhost\n");
    let script = "mount --bind hosts /etc/hosts && exec \"$0\" bot.conf";
    let bot = env!("CARGO_BIN_EXE_linkbot");
    let mut bot = Bot::spawn(home.program("unshare", &["--mount", "sh", "-c", script, bot]));
    bot.logs(&format!("connecting to localhost at [::1]:{}", server.port()));
    drop(silent.accept().unwrap());
    bot.logs("not connected: ");
    bot.logs(&format!("connecting to localhost at 127.0.0.1:{}", server.port()));
    let client = server.welcome();
    bot.logs("joined #dev");
    client.close();
    bot.logs(&format!("connecting to localhost at [::1]:{}", server.port()));
}
