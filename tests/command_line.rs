//! The arguments, `--check`, and starts that fail.

mod common;

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

use common::Refusing;
use common::bot::{Bot, Ended, Home};

const CONF: &str = "server = localhost:6667\ntls = no\nchannels = #dev\n";

/// Asserts that linkbot failed with one line on standard error, which contains `words`, and did not
/// panic.
#[track_caller]
fn assert_refused(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(!ended.stderr.contains("crashed"), "{ended:?}");
    for word in words {
        assert!(ended.stderr.contains(word), "no {word:?} in {ended:?}");
    }
}

#[test]
fn bad_usage_gets_a_usage_line_and_status_2() {
    let home = Home::new(CONF);
    for wrong in
        [&[][..], &["bot.conf", "bot.conf"], &["--nonsense", "bot.conf"], &["--check"], &["-x"]]
    {
        let ended = home.run(wrong);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{wrong:?}");
        assert!(
            ended.stderr.starts_with("usage: linkbot ") && ended.stderr.lines().count() == 1,
            "{ended:?}"
        );
    }
}

#[test]
fn help_and_version_need_no_bot_conf() {
    let home = Home::new(CONF);
    let help = home.run(&["--help"]);
    assert_eq!((help.status, help.stderr.as_str()), (Some(0), ""));
    for flag in ["-v", "--console", "--check", "--version", "--help"] {
        assert!(help.stdout.contains(flag), "{flag}");
    }
    let version = home.run(&["--version"]);
    assert_eq!(
        (version.status, version.stdout),
        (Some(0), format!("linkbot {}\n", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn failing_to_print_is_an_error() {
    let home = Home::new(CONF);
    for arguments in [&["--help"][..], &["--version"], &["--check", "bot.conf"]] {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "exec \"$@\" >/dev/full", "sh", env!("CARGO_BIN_EXE_linkbot")]);
        shell.args(arguments).current_dir(home.path(""));
        let ended = Ended::of(shell, b"");
        assert_refused(&ended, &["standard output: No space left on device"]);
    }
}

#[test]
fn check_finds_a_directory_in_which_no_file_can_be_created() {
    for (key, file) in [("feed", "/proc/links.xml"), ("page", "/proc/{channel}.html")] {
        let home = Home::new(&format!("{CONF}{key} = {file}\n"));
        let path = file.replace("{channel}", "dev");
        let ended = home.run(&["--check", "bot.conf"]);
        assert_refused(&ended, &[&path, "create files beside it"]);
        assert_eq!(ended.stdout, "");
    }
    // A link to a file that does not exist yet is fine.
    let home = Home::new(CONF);
    fs::create_dir(home.path("web")).unwrap();
    std::os::unix::fs::symlink("web/links.xml", home.path("links.xml")).unwrap();
    assert_eq!(home.run(&["--check", "bot.conf"]).stdout, "bot.conf: ok\n");
    assert_eq!(fs::read_dir(home.path("web")).unwrap().count(), 0);
}

#[test]
fn a_pipe_in_place_of_a_file_is_an_error_at_once() {
    let home = Home::new(CONF);
    for name in ["links.xml", "links.html", "links.tsv.heard"] {
        let made = std::process::Command::new("mkfifo").arg(home.path(name)).status();
        assert!(made.unwrap().success());
        let ended = home.run(&["--check", "bot.conf"]);
        assert_refused(&ended, &[&format!("{name}: not a regular file")]);
        fs::remove_file(home.path(name)).unwrap();
    }
    // As root, linkbot could replace /dev/null.
    let home = Home::new(&format!("{CONF}page = /dev/null\n"));
    assert_refused(&home.run(&["--check", "bot.conf"]), &["/dev/null: not a regular file"]);
}

/// `linkbot --check bot.conf` as the user nobody.
fn check_as_nobody(home: &Home) -> Ended {
    let mut setpriv = std::process::Command::new("setpriv");
    setpriv.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    setpriv.args(["./linkbot", "--check", "bot.conf"]).current_dir(home.path(""));
    Ended::of(setpriv, b"")
}

#[test]
#[ignore = "needs root (.ci/run runs it)"]
fn check_finds_each_file_that_its_user_may_not_write() {
    use std::os::unix::fs::chown;

    let home = Home::new(CONF);
    let own = |name: &str, user, mode| {
        chown(home.path(name), Some(user), Some(user)).unwrap();
        fs::set_permissions(home.path(name), Permissions::from_mode(mode)).unwrap();
    };
    fs::copy(env!("CARGO_BIN_EXE_linkbot"), home.path("linkbot")).unwrap();
    own("linkbot", 0, 0o755);
    own("bot.conf", 65534, 0o600);
    let nobody = 65534;

    // In root's directory, owning a file is not enough, because linkbot replaces its files.
    for name in ["links.tsv", "links.xml"] {
        home.write(name, "");
        own(name, nobody, 0o644);
    }
    own("", 0, 0o755);
    let why = "Permission denied; linkbot must be able to write it, and to create files beside it";
    assert_refused(&check_as_nobody(&home), &["links.tsv: ", why]);

    // A sticky directory, as docs/operating.md sets up for systemd (there with mode 1775).
    own("", 0, 0o1777);
    assert_eq!(check_as_nobody(&home).stdout, "bot.conf: ok\n");

    // In a sticky directory, linkbot cannot replace another user's file.
    own("links.xml", 0, 0o644);
    assert_refused(&check_as_nobody(&home), &["links.xml: ", why]);
    own("links.xml", nobody, 0o600);

    for name in ["links.tsv", "links.tsv.delivered"] {
        home.write(name, "");
        own(name, 0, 0o644);
        assert_refused(&check_as_nobody(&home), &[&format!("{name}: {why}")]);
        own(name, nobody, 0o600);
    }
    assert_eq!(check_as_nobody(&home).stdout, "bot.conf: ok\n");
    assert_eq!(
        home.files(),
        ["bot.conf", "linkbot", "links.tsv", "links.tsv.delivered", "links.xml"]
    );
}

#[test]
fn under_systemd_a_line_has_a_priority_and_no_date() {
    let nobody = Refusing::new();
    let conf = CONF.replace("6667", &nobody.port().to_string());
    let home = Home::new(&format!("{conf}owner = \"Alice\"\n"));
    let mut linkbot = home.linkbot(&["bot.conf"]);
    linkbot.env("JOURNAL_STREAM", "8:12345");
    let mut bot = Bot::spawn(linkbot);
    bot.logs("<6>connecting to ");
    bot.logs("<4>not connected: ");
    let log = bot.kill();
    assert!(log.starts_with("<4>bot.conf:4: owner: the quotes are part of"), "{log}");
    let mut linkbot = home.linkbot(&["nowhere.conf"]);
    linkbot.env("JOURNAL_STREAM", "8:12345");
    let ended = Ended::of(linkbot, b"");
    assert_eq!(ended.stderr, "<3>nowhere.conf: No such file or directory\n");
}

#[test]
fn check_says_ok_and_touches_nothing() {
    let home = Home::new(CONF);
    for arguments in [["--check", "bot.conf"], ["bot.conf", "--check"]] {
        let ended = home.run(&arguments);
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("bot.conf: ok\n", ""));
        assert_eq!(ended.status, Some(0));
    }
    assert_eq!(home.files(), ["bot.conf"]);
    // `--check` leaves a torn last line alone; the next start truncates it.
    home.write(
        "links.tsv",
        "2026-11-22T10:31:19.123Z\tadd\t#dev\talice\t\thttp://www.example.com/\tTit",
    );
    let before = fs::metadata(home.path("links.tsv")).unwrap().modified().unwrap();
    home.run(&["--check", "bot.conf"]);
    assert!(home.read("links.tsv").ends_with("\tTit"));
    assert_eq!(fs::metadata(home.path("links.tsv")).unwrap().modified().unwrap(), before);
    assert_eq!(home.files(), ["bot.conf", "links.tsv"]);
}

#[test]
fn an_error_in_bot_conf_names_the_line_the_key_and_what_would_be_right() {
    let errors = [
        ("tls = no\nchannels = #dev\n", "bot.conf:", "server"),
        ("server = localhost:6667\ntls = no\n", "bot.conf:", "channels"),
        ("server = localhost:6667\ntls = no\nchannels =\n", "bot.conf:3: channels: ", "#"),
        ("tls = no\nchannels = #dev\nserver = localhost:99999\n", "bot.conf:3: server: ", "port"),
        ("tls = no\nchannels = #dev\nserver = localhost\n", "bot.conf:3: server: ", "port"),
        (
            "server = localhost:6667\n\n# hm\ntls = maybe\nchannels = #dev\n",
            "bot.conf:4: tls: ",
            "yes",
        ),
        ("server = localhost:6667\ntls = no\nchannels = dev\n", "bot.conf:3: channels: ", "#"),
        (&format!("{CONF}chanels = #dev\n"), "bot.conf:4: chanels: ", "unknown"),
        (&format!("{CONF}tls = no\n"), "bot.conf:4: tls: ", "already"),
        (&format!("{CONF}just words\n"), "bot.conf:4: ", "="),
        (&format!("{CONF}nick = 1st\n"), "bot.conf:4: nick: ", ""),
        (&format!("{CONF}reconnect = soon\n"), "bot.conf:4: reconnect: ", "number"),
        (&format!("{CONF}reply = loud\n"), "bot.conf:4: reply: ", "privmsg"),
        (&format!("{CONF}timezone = Berlin\n"), "bot.conf:4: timezone: ", "utc"),
        (&format!("{CONF}log_url = http://a.example/[yaer]\n"), "bot.conf:4: log_url: ", ""),
        (&format!("{CONF}feed_items = many\n"), "bot.conf:4: feed_items: ", "number"),
        (&format!("{CONF}delicious = ftp://a.example/\n"), "bot.conf:4: delicious: ", "http"),
        (&format!("{CONF}delicious_interval = -1\n"), "bot.conf:4: delicious_interval: ", "number"),
    ];
    for (conf, place, remedy) in errors {
        let home = Home::new(conf);
        let ended = home.run(&["--check", "bot.conf"]);
        assert_refused(&ended, &[place, remedy]);
        assert!(ended.stderr.starts_with(place), "{ended:?}");
        // A start fails the same way and creates nothing.
        assert_eq!(home.console("").stderr, ended.stderr);
        assert_eq!(home.files(), ["bot.conf"]);
    }
}

#[test]
fn a_missing_bot_conf_is_a_one_line_error() {
    let home = Home::new(CONF);
    assert_refused(&home.run(&["nowhere.conf"]), &["nowhere.conf"]);
    assert_refused(&home.run(&["--check", "."]), &["."]);
}

#[test]
fn a_secret_that_others_may_read_is_refused_with_the_chmod_that_fixes_it() {
    let account =
        "delicious = https://bookmarks.example/posts/add\ndelicious_token = alice:5ecre7\n";
    let secrets = [
        format!("{CONF}server_password = 5ecre7\n"),
        format!("{CONF}{account}"),
        CONF.replace("#dev", "#dev 5ecre7"),
    ];
    for conf in secrets {
        let home = Home::new(&conf);
        for (mode, good) in
            [(0o600, true), (0o640, true), (0o644, false), (0o602, false), (0o601, false)]
        {
            fs::set_permissions(home.path("bot.conf"), Permissions::from_mode(mode)).unwrap();
            let ended = home.run(&["--check", "bot.conf"]);
            if good {
                assert_eq!(
                    (ended.status, ended.stdout.as_str()),
                    (Some(0), "bot.conf: ok\n"),
                    "{mode:o} {ended:?}"
                );
            } else {
                assert_refused(&ended, &["chmod o", "bot.conf"]);
                assert!(!ended.stderr.contains("5ecre7"), "{ended:?}");
            }
        }
    }
    let home = Home::new(CONF);
    fs::set_permissions(home.path("bot.conf"), Permissions::from_mode(0o644)).unwrap();
    assert_eq!(
        home.run(&["--check", "bot.conf"]).status,
        Some(0),
        "without a secret everyone may read it"
    );
}

#[test]
fn a_plain_text_login_to_another_machine_is_an_error_or_warning() {
    let check = |host: &str, login: &str| {
        let home =
            Home::new(&format!("server = {host}:6667\ntls = no\nchannels = #dev\n{login}\n"));
        home.run(&["--check", "bot.conf"])
    };
    let (identify, server_password) =
        ("on_connect = NS IDENTIFY 5ecre7", "server_password = 5ecre7");
    for host in ["irc.example.org", "192.0.2.1", "[2001:db8::1]", "127.example.org"] {
        let refused = check(host, identify);
        assert_refused(&refused, &["bot.conf:2: tls: ", "on_connect"]);
        let warned = check(host, server_password);
        assert_eq!((warned.status, warned.stdout.as_str()), (Some(0), "bot.conf: ok\n"));
        assert!(warned.stderr.contains("bot.conf:4: server_password: "), "{warned:?}");
        assert!(!format!("{refused:?}{warned:?}").contains("5ecre7"));
    }
    for host in ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"] {
        for login in [identify, server_password] {
            let ended = check(host, login);
            assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{host}");
        }
    }
}

#[test]
fn an_unusable_proxy_is_refused_if_there_is_an_account() {
    let account = "delicious = https://bookmarks.example/posts/add\ndelicious_token = 5ecre7\n";
    let check = |conf: &str, proxy: &str, value: &str| {
        let home = Home::new(conf);
        let mut linkbot = home.linkbot(&["--check", "bot.conf"]);
        linkbot.env(proxy, value);
        Ended::of(linkbot, b"")
    };
    let with_account = format!("{CONF}{account}");
    for proxy in
        ["ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"]
    {
        for value in [
            "socks5://127.0.0.1:1080",
            "socks5h://a:5ecre7@127.0.0.1:1080",
            "SOCKS4://127.0.0.1",
            "foo://127.0.0.1",
            "ftp://127.0.0.1",
            "http://",
        ] {
            let ended = check(&with_account, proxy, value);
            assert_refused(&ended, &["bot.conf:4: delicious: ", proxy, "SOCKS", "http://"]);
            assert!(!ended.stderr.contains("5ecre7"), "{ended:?}");
        }
        for value in ["http://127.0.0.1:3128", "127.0.0.1:3128", ""] {
            assert_eq!(check(&with_account, proxy, value).status, Some(0), "{value}");
        }
        assert_eq!(
            check(CONF, proxy, "socks5://127.0.0.1:1080").status,
            Some(0),
            "IRC uses no proxy"
        );
    }
}

#[test]
fn a_login_over_http_to_another_machine_is_a_warning() {
    let conf = |host: &str| {
        format!(
            "{CONF}delicious = http://{host}/posts/add\ndelicious_user = alice\ndelicious_password = 5ecre7\n"
        )
    };
    let ended = Home::new(&conf("bookmarks.example")).run(&["--check", "bot.conf"]);
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), "bot.conf: ok\n"));
    assert!(ended.stderr.contains("delicious") && ended.stderr.lines().count() == 1, "{ended:?}");
    assert!(!ended.stderr.contains("5ecre7"), "{ended:?}");
    assert_eq!(Home::new(&conf("localhost:8080")).run(&["--check", "bot.conf"]).stderr, "");
}

#[test]
fn a_bad_journal_or_feed_path_is_a_one_line_error() {
    let home = Home::new(&format!("{CONF}journal = nowhere/links.tsv\n"));
    assert_refused(&home.console(""), &["bot.conf:4: journal: ", "in a directory that exists"]);
    assert_refused(
        &home.run(&["--check", "bot.conf"]),
        &["bot.conf:4: journal: ", "in a directory that exists"],
    );

    let home = Home::new(CONF);
    fs::create_dir(home.path("links.tsv")).unwrap();
    assert_refused(&home.console(""), &["links.tsv"]);

    let home = Home::new(&format!("{CONF}feed = nowhere/links.xml\n"));
    assert_refused(&home.console(""), &["bot.conf:4: feed: ", "in a directory that exists"]);
    assert_refused(
        &home.run(&["--check", "bot.conf"]),
        &["bot.conf:4: feed: ", "in a directory that exists"],
    );
}

#[test]
fn a_second_linkbot_on_the_same_journal_ends_at_once() {
    let nobody = Refusing::new();
    let home = Home::new(&CONF.replace("6667", &nobody.port().to_string()));
    let mut first = home.start();
    first.logs("connecting to");
    for arguments in [&["bot.conf"][..], &["--console", "bot.conf"]] {
        assert_refused(&home.run(arguments), &["links.tsv", "another linkbot"]);
    }
    assert_eq!(home.run(&["--check", "bot.conf"]).status, Some(0), "a check needs no lock");
    assert!(first.is_running());
}

#[test]
fn invalid_journal_lines_are_skipped_and_logged_once() {
    let good = |second: u32, title: &str| {
        format!(
            "2026-11-22T10:31:{second}.123Z\tadd\t#dev\talice\t\thttp://www.example.com/{second}\t{title}\n"
        )
    };
    let mut journal = format!("# a comment\n{}hello\n", good(10, "One")).into_bytes();
    journal.extend(
        b"2026-11-22T10:31:11.123Z\tadd\t#dev\talice\t\thttp://www.example.com/\tCaf\xe9\n",
    );
    journal.extend(good(12, "Two").replace("add", "praise").bytes());
    journal.extend(good(13, "Three").bytes());
    journal.extend(b"2026-11-22T10:31:14.123Z\tadd\t#d");
    let home = Home::new(CONF);
    home.write("links.tsv", journal);

    let check = home.run(&["--check", "bot.conf"]);
    assert_eq!((check.status, check.stdout.as_str()), (Some(0), "bot.conf: ok\n"));
    assert!(check.stderr.contains("links.tsv") && check.stderr.contains("skipped"), "{check:?}");
    assert_eq!(check.stderr.lines().count(), 1, "{check:?}");

    let console = home.console(".url http://www.example.com/ Four\n");
    assert_eq!((console.stdout.as_str(), console.status), ("saved: Four\n", Some(0)));
    assert!(console.stderr.contains("skipped") && console.stderr.contains("torn"), "{console:?}");
    let titles: Vec<_> =
        home.feed().entries.into_iter().map(|entry| entry.title.unwrap().content).collect();
    assert_eq!(titles, ["Four", "Three", "One"]);
}
