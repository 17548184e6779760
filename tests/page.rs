//! The page, as a browser sees it.

mod common;

use std::process::Command;

use common::bot::Home;

const CONF: &str = "server = localhost:6667\ntls = no\nchannels = #dev\n\
    log_url = http://logs.example.org/?d=[year]-[month]-[day]#[hour]:[minute]:[second]\n";

#[test]
fn the_page_is_beside_the_feed_and_is_written_only_when_something_changes() {
    let home = Home::new(CONF);
    home.console("");
    assert!(
        home.read("links.html")
            .contains("<code>.url http://www.example.com/ Title For Link</code>")
    );
    home.console(".url http://www.example.com/ Title For Link #rust\n");
    let page = home.read("links.html");
    assert!(page.contains("href=\"http://www.example.com/\">Title For Link</a>"), "{page}");
    assert!(page.contains("rel=\"alternate\"") && page.contains("href=\"links.xml\""), "{page}");
    let written = std::fs::metadata(home.path("links.html")).unwrap().modified().unwrap();
    home.console("");
    assert_eq!(home.read("links.html"), page);
    assert_eq!(std::fs::metadata(home.path("links.html")).unwrap().modified().unwrap(), written);
}

#[test]
fn links_from_catch_up_are_under_the_day_they_were_posted() {
    let home = Home::new(CONF);
    let line = |n, posted| {
        format!(
            "2026-11-23T00:00:0{n}.000Z\tadd\t#dev\tal\t\thttp://x/{n}\t{n}\t2026-11-{posted}Z\n"
        )
    };
    home.write(
        "links.tsv",
        [line(1, "20T10:00:00.000"), line(2, "22T10:00:00.000"), line(3, "20T09:00:00.000")]
            .concat(),
    );
    home.console("");
    let page = home.read("links.html");
    assert_eq!(page.matches("<h2>").count(), 2);
    let order: Vec<_> = [2, 1, 3].map(|n| page.find(&format!("\"http://x/{n}\"")).unwrap()).into();
    assert!(order.is_sorted(), "{order:?}");
}

/// A page with an ordinary link and, on the next day, three difficult ones.
fn difficult_page() -> Home {
    let home = Home::new(CONF);
    let line =
        |time, url, title| format!("2026-11-{time}.123Z\tadd\t#dev\talice\t\t{url}\t{title}\n");
    home.write(
        "links.tsv",
        line("21T23:59:59", "http://www.example.com/", "Title For Link")
            + &line(
                "22T10:00:00",
                "http://www.example.com/?a=\"onclick=\"alert(1)&b='",
                "quotes \"'\"",
            )
            + &line(
                "22T10:31:19",
                "http://www.example.com/a",
                "<script>alert(1)</script> #<b> \u{5e9}\u{5dc} ü #rust",
            )
            + &line("22T10:31:20", "http://www.example.com/b", &"word".repeat(100)),
    );
    home.console("");
    home
}

/// Runs chromium on `page` and returns its standard output. Asserts that its console is empty.
fn chromium(home: &Home, page: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("chromium");
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--v=0",
    ]);
    command.arg(format!("--user-data-dir={}", home.path("profile").display())).args(arguments);
    let output = command.arg(home.path(page)).output().expect("apt-get install chromium");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !log.contains("CONSOLE"), "{log}");
    String::from_utf8(output.stdout).unwrap()
}

/// Chromium's switch for prefers-color-scheme.
const DARK: &str = "--blink-settings=preferredColorScheme=0";
const LIGHT: &str = "--blink-settings=preferredColorScheme=1";

#[test]
#[ignore = "needs Debian's package chromium (.ci/run runs it)"]
fn a_browser_shows_the_page_in_light_and_dark_without_a_console_message() {
    let home = difficult_page();
    for (name, scheme) in [("dark", DARK), ("light", LIGHT)] {
        for width in [320, 1200] {
            let name = format!("{name}-{width}.png");
            let screenshot = format!("--screenshot={}", home.path(&name).display());
            chromium(
                &home,
                "links.html",
                &[scheme, &format!("--window-size={width},900"), &screenshot],
            );
            let image = std::fs::read(home.path(&name)).unwrap();
            // Bytes 16 to 19 of a PNG are its width.
            assert_eq!(image[16..20], u32::to_be_bytes(width), "{name}");
            assert!(image.len() > 5_000, "{name} shows nothing");
        }
    }
}

#[test]
#[ignore = "needs Debian's package chromium (.ci/run runs it)"]
fn what_people_write_never_becomes_markup() {
    let home = difficult_page();
    let dom = chromium(&home, "links.html", &["--dump-dom"]);
    assert_eq!(dom.matches("<li class=\"h-entry\">").count(), 4);
    assert!(
        !dom.contains("<script") && dom.contains("&lt;script&gt;alert(1)&lt;/script&gt;"),
        "{dom}"
    );
    let url = "href=\"http://www.example.com/?a=%22onclick=%22alert(1)&amp;b='\"";
    assert!(dom.contains(url) && !dom.contains("onclick=\""), "{dom}");
}

#[test]
#[ignore = "needs Debian's package chromium (.ci/run runs it)"]
fn nothing_overflows_at_320_px_and_the_background_follows_the_scheme() {
    let home = difficult_page();
    // The page forbids scripts, so a second page measures it in a frame.
    let frame = "<iframe id=page width=320 height=900 style='border: 0' src=links.html></iframe>
    <p id=result></p><script>
        page.onload = () => {
            const { body, documentElement } = page.contentDocument;
            const [, red] = page.contentWindow.getComputedStyle(body).backgroundColor.match(/(\\d+)/);
            const out = documentElement.scrollWidth - documentElement.clientWidth;
            result.textContent = `${out} pixels overflow, ${red > 127 ? 'light' : 'dark'}`;
        };
    </script>";
    home.write("frame.html", frame);
    for (name, scheme) in [("dark", DARK), ("light", LIGHT)] {
        // `--allow-file-access-from-files` lets the second page read the frame. The virtual clock
        // runs until everything is loaded.
        let switches =
            [scheme, "--allow-file-access-from-files", "--virtual-time-budget=5000", "--dump-dom"];
        let dom = chromium(&home, "frame.html", &switches);
        assert!(dom.contains(&format!(">0 pixels overflow, {name}<")), "{dom}");
    }
}

#[test]
#[ignore = "needs Debian's package libxml2-utils (.ci/run runs it)"]
fn xmllint_finds_no_error_in_the_page() {
    let home = difficult_page();
    let mut command = Command::new("xmllint");
    let output = command.args(["--html", "--noout"]).arg(home.path("links.html")).output();
    let messages =
        String::from_utf8(output.expect("apt-get install libxml2-utils").stderr).unwrap();
    // xmllint knows only HTML 4, which lacks these elements.
    let errors = messages.lines().filter(|line| line.contains("error")).filter(|line| {
        !["main", "time"].iter().any(|name| line.ends_with(&format!("Tag {name} invalid")))
    });
    assert_eq!(errors.collect::<Vec<_>>(), [""; 0]);
}
