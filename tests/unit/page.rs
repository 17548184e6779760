use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use time::{OffsetDateTime, macros::datetime};

use crate::{
    config::Config, config::tests::good, journal::Entry, link::Link, view::View, view::page::*,
};

fn config(more: &str) -> Config {
    good(&format!("feed_title = Links from #dev\n{more}"))
}

fn view() -> View {
    View {
        path: "links.html".into(),
        url: None,
        channels: vec!["#dev".into()],
        title: "Links from #dev".into(),
        about: String::new(),
        items: 100,
        is_page: true,
    }
}

fn entry() -> Entry {
    let link = Link {
        channel: "#dev".into(),
        nick: "alice".into(),
        account: String::new(),
        url: "http://www.example.com/".into(),
        title: "Title For Link".into(),
        posted: datetime!(2026-11-22 10:31:17.5 UTC),
    };
    Entry { time: datetime!(2026-11-22 10:31:19.123 UTC), link, reposters: Vec::new() }
}

fn at(posted: OffsetDateTime) -> Entry {
    Entry { link: Link { posted, ..entry().link }, ..entry() }
}

fn titled(title: &str) -> Entry {
    Entry { link: Link { title: title.into(), ..entry().link }, ..entry() }
}

/// The page with a web log.
fn render(entries: &[Entry]) -> String {
    let log = "log_url = http://logs.example.org/?y=[year]&m=[month]&d=[day]#[year][month][day][hour][minute][second]";
    crate::view::page::render(&config(log), &view(), entries, false)
}

/// The page without a web log, and with `more` in bot.conf.
fn with(more: &str, view: &View, entries: &[Entry]) -> String {
    crate::view::page::render(&config(more), view, entries, false)
}

#[track_caller]
fn holds(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} is not in {text}");
}

#[test]
fn the_policy_allows_the_page_its_own_style_and_nothing_else() {
    let html = render(&[entry()]);
    let hash = BASE64_STANDARD.encode(openssl::sha::sha256(style().as_bytes()));
    assert_eq!(STYLE_HASH, hash, "page.css has changed; this is its hash");
    holds(
        &html,
        &format!(
            "\"default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'\""
        ),
    );
    holds(&html, &format!("<style>{}</style>", style()));
    assert!(!html.contains("style=") && !html.contains("src=") && !html.contains("<script"));
    assert!(!style().contains("url(") && !style().contains("@import") && !style().contains('<'));
}

#[test]
fn no_text_is_smaller_than_11_pixels() {
    let css = style();
    // Sizes are in rem; 1 rem is 16 px.
    let sizes = css.split("font-size: ").skip(1).map(|rest| rest.split("rem").next().unwrap());
    assert!(sizes.map(|size| size.parse::<f32>().unwrap()).all(|rem| rem * 16.0 >= 11.0), "{css}");
}

/// WCAG's relative luminance of `#rrggbb`.
fn luminance(color: &str) -> f64 {
    let channel = |i: usize| {
        let c = f64::from(u8::from_str_radix(&color[i..i + 2], 16).unwrap()) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

#[test]
fn every_text_color_has_enough_contrast_in_light_and_dark_mode() {
    let css = style();
    let themes: Vec<_> = css.split("--paper: ").skip(1).collect();
    assert_eq!(themes.len(), 2);
    for theme in themes {
        let paper = luminance(&theme[..7]);
        for name in ["ink", "quiet", "link", "seen"] {
            let text = luminance(&theme.split_once(&format!("--{name}: ")).unwrap().1[..7]);
            let contrast = (paper.max(text) + 0.05) / (paper.min(text) + 0.05);
            assert!(contrast >= 4.5, "{name}: {contrast}");
        }
    }
}

#[test]
fn an_item_shows_when_who_what_and_where() {
    let mut entry = titled("Title & <b> #rust #c++");
    entry.reposters = vec!["bob".into(), "<carol>".into()];
    let html = render(&[entry.clone()]);
    let log = "http://logs.example.org/?y=2026&#x26;m=11&#x26;d=22#20261122103117";
    for part in [
        "<html lang=\"en\">",
        "<link rel=\"alternate\" type=\"application/rss+xml\" title=\"Links from #dev\" href=\"links.xml\">",
        "<main class=\"h-feed\">\n<h1 class=\"p-name\">Links from #dev</h1>",
        "times in UTC",
        "<h2><time datetime=\"2026-11-22\">Sunday, 22 November 2026</time></h2>\n<ul role=\"list\">\n<li class=\"h-entry\">",
        &format!(
            "<a rel=\"noopener nofollow ugc\" href=\"{log}\"><time class=\"dt-published\" datetime=\"2026-11-22T10:31:17Z\">10:31</time></a>"
        ),
        "<a class=\"p-name u-url\" rel=\"noopener nofollow ugc\" href=\"http://www.example.com/\">Title &#x26; &#x3C;b&#x3E;</a>",
        "<b class=\"p-author\">alice</b>; again by bob, &#x3C;carol&#x3E; · example.com #rust #c++</p>",
    ] {
        holds(&html, part);
    }
    assert_eq!(html.matches("<h1").count(), 1);
    assert_eq!(html.matches("<a ").count(), html.matches("rel=\"noopener nofollow ugc\"").count());
    let without_log = with("", &view(), &[entry.clone()]);
    holds(
        &without_log,
        "<li class=\"h-entry\"><time class=\"dt-published\" datetime=\"2026-11-22T10:31:17Z\">10:31</time>\n",
    );
    // With several channels, each item names its own.
    let channels = vec!["#dev".into(), "#ops".into()];
    holds(
        &with("", &View { channels, ..view() }, &[entry]),
        "<b class=\"p-author\">alice</b> in #dev; again by",
    );
}

#[test]
fn what_people_write_stays_text() {
    let mut entry = titled("<script>alert(1)</script>");
    entry.link.url = "http://www.example.com/?a=\"onclick=\"alert(1)&b='".into();
    entry.link.nick = "<b>".into();
    let html = render(&[entry]);
    assert!(!html.contains("<script"));
    holds(&html, ">&#x3C;script&#x3E;alert(1)&#x3C;/script&#x3E;</a>");
    holds(&html, "href=\"http://www.example.com/?a=%22onclick=%22alert(1)&#x26;b='\"");
    holds(&html, "<b class=\"p-author\">&#x3C;b&#x3E;</b>");
}

#[test]
fn links_are_grouped_by_day_in_the_pages_zone() {
    let entries = [at(datetime!(2026-11-22 23:30 UTC)), at(datetime!(2026-11-22 22:59 UTC))];
    let html = with("timezone = +01:00", &view(), &entries);
    assert_eq!(html.matches("<h2>").count(), 2);
    holds(&html, "Monday, 23 November 2026</time></h2>");
    holds(&html, "datetime=\"2026-11-22T23:30:00Z\">00:30</time>");
    holds(&html, "Sunday, 22 November 2026</time></h2>");
    holds(&html, "times in +01:00.");
    assert_eq!(render(&entries).matches("<h2>").count(), 1);
    let west = with("timezone = -03:30", &view(), &entries);
    holds(&west, "times in -03:30.");
}

#[test]
fn an_empty_page_says_what_to_type() {
    let channels = vec!["#dev".into(), "#ops".into()];
    let html = with("prefix = <", &View { channels, ..view() }, &[]);
    holds(
        &html,
        "<p>No links yet. Share one in #dev or #ops:</p>\n<p><code>&#x3C;url http://www.example.com/ Title For Link</code></p>",
    );
    assert!(!html.contains("<h2") && !html.contains("times in"));
}

#[test]
fn a_page_that_does_not_show_all_links_says_how_to_find_older_ones() {
    let page = |has_older| {
        crate::view::page::render(&config("prefix = !"), &view(), &[entry()], has_older)
    };
    holds(&page(true), "<p>Older links: !find in the channel</p>");
    assert!(!page(false).contains("Older links"));
}

#[test]
fn a_single_feed_is_called_rss_not_by_its_title() {
    let html = render(&[]);
    holds(&html, "<p><a rel=\"noopener nofollow ugc\" href=\"links.xml\">RSS</a></p>");
    assert_eq!(html.matches("Links from #dev").count(), 3, "title, alternate, heading: {html}");
}

#[test]
fn a_page_of_all_channels_names_the_feed_of_each() {
    let feeds = "feed = {channel}.xml\nfeed_title = {channel}\n\
                 feed_url = https://x.example/{channel}.xml?a&b";
    let config = good(feeds);
    let html = crate::view::page::render(&config, &config.views[2], &[], false);
    for name in ["dev", "Rust"] {
        holds(&html, &format!("title=\"{name}\" href=\"https://x.example/{name}.xml?a&#x26;b\">"));
        holds(&html, &format!("href=\"https://x.example/{name}.xml?a&#x26;b\">{name}</a>"));
    }
    assert_eq!(html.matches("rel=\"alternate\"").count(), 2);
}

#[test]
fn a_hundred_links_fit_into_40_kilobytes() {
    let entry = |n: i64| {
        let mut entry = at(datetime!(2026-11-22 10:31 UTC) - time::Duration::minutes(20 * n));
        entry.link.url = format!("http://www.example.com/articles/{n}");
        entry.link.title = format!("Title For Link {n} #rust");
        entry
    };
    let html = render(&(0..100).map(entry).collect::<Vec<_>>());
    assert!(html.len() < 40_000, "{}", html.len());
}

proptest! {
    #[test]
    fn no_user_text_becomes_markup(
        title in any::<String>(),
        nick in any::<String>(),
        again in any::<String>(),
        url in prop_oneof![any::<String>(), "https?://\\PC{1,40}"],
        year in 1i32..=9999,
    ) {
        let mut entry = titled(&title);
        (entry.link.nick, entry.link.url, entry.reposters) = (nick, url, vec![again]);
        entry.link.posted = entry.link.posted.replace_year(year).unwrap();
        let (html, plain) = (render(&[entry]), render(&[self::entry()]));
        // Any content gives as many tags and attributes as plain text.
        prop_assert_eq!(html.matches('<').count(), plain.matches('<').count());
        prop_assert_eq!(html.matches('"').count(), plain.matches('"').count());
    }
}
