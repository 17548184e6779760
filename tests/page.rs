//! The page, as a browser sees it.

mod common;

use std::process::Command;

use common::bot::Home;

const CONF: &str = "server = localhost:6667\ntls = no\nchannels = #dev\n\
    log_url = http://logs.example.org/?d=[year]-[month]-[day]#[hour]:[minute]:[second]\n";

#[test]
fn the_page_lies_beside_the_feed_and_is_only_written_when_something_changed() {
    let home = Home::new(CONF);
    home.console("");
    assert!(home.read("links.html").contains("<code>.url http://www.example.com/ Title For Link</code>"));
    home.console(".url http://www.example.com/ Title For Link #rust\n");
    let page = home.read("links.html");
    assert!(page.contains("href=\"http://www.example.com/\">Title For Link</a>"), "{page}");
    assert!(page.contains("rel=\"alternate\"") && page.contains("href=\"links.xml\""), "{page}");
    let written = std::fs::metadata(home.path("links.html")).unwrap().modified().unwrap();
    home.console("");
    assert_eq!(home.read("links.html"), page);
    assert_eq!(std::fs::metadata(home.path("links.html")).unwrap().modified().unwrap(), written);
}

/// Links of every kind, three of them over two days.
fn zoo() -> Home {
    let home = Home::new(CONF);
    let line = |time, url, title| format!("2026-11-{time}.123Z\tadd\t#dev\talice\t\t{url}\t{title}\n");
    home.write(
        "links.tsv",
        line("21T23:59:59", "http://www.example.com/", "Title For Link")
            + &line("22T10:00:00", "http://www.example.com/?a=\"onclick=\"alert(1)&b='", "quotes \"'\"")
            + &line("22T10:31:19", "http://www.example.com/a", "<script>alert(1)</script> #<b> \u{5e9}\u{5dc} ü #rust")
            + &line("22T10:31:20", "http://www.example.com/b", &"word".repeat(100)),
    );
    home.console("");
    home
}

/// What chromium writes about `links.html` on standard output, and on its log.
fn chromium(home: &Home, arguments: &[&str]) -> (String, String) {
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]);
    command.arg(format!("--user-data-dir={}", home.path("profile").display())).args(arguments);
    let output = command.arg(home.path("links.html")).output().expect("apt-get install chromium");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
#[ignore = "needs Debian's package chromium (.ci/run runs it)"]
fn a_browser_shows_the_page_in_the_light_and_in_the_dark_and_has_nothing_to_say() {
    let home = zoo();
    // Chromium's own switch for prefers-color-scheme: 0 is dark, 1 is light.
    for scheme in ["--blink-settings=preferredColorScheme=0", "--blink-settings=preferredColorScheme=1"] {
        for width in [320, 1200] {
            let name = format!("{width}{}.png", &scheme[scheme.len() - 1..]);
            let screenshot = format!("--screenshot={}", home.path(&name).display());
            let (_, log) = chromium(&home, &[scheme, &format!("--window-size={width},900"), &screenshot]);
            assert!(!log.contains("CONSOLE"), "{log}");
            assert!(std::fs::metadata(home.path(&name)).unwrap().len() > 5_000, "{name} shows nothing");
        }
    }
    let (dom, log) = chromium(&home, &["--dump-dom"]);
    assert!(!log.contains("CONSOLE"), "{log}");
    assert_eq!(dom.matches("<li class=\"h-entry\">").count(), 4);
    assert!(!dom.contains("<script") && !dom.contains("onclick=\"") && dom.contains("&lt;script&gt;"), "{dom}");
}

#[test]
#[ignore = "needs Debian's package libxml2-utils (.ci/run runs it)"]
fn xmllint_finds_no_fault_in_the_page() {
    let home = zoo();
    let mut command = Command::new("xmllint");
    let output = command.args(["--html", "--noout"]).arg(home.path("links.html")).output();
    let said = String::from_utf8(output.expect("apt-get install libxml2-utils").stderr).unwrap();
    // It knows HTML 4, whose elements these are not yet.
    let faults = said
        .lines()
        .filter(|line| line.contains("error"))
        .filter(|line| !["main", "time"].iter().any(|name| line.ends_with(&format!("Tag {name} invalid"))));
    assert_eq!(faults.collect::<Vec<_>>(), [""; 0]);
}
