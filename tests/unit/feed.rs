use proptest::prelude::*;
use time::macros::datetime;
use url::Url;

use crate::{
    config::tests::good,
    journal::{Action, Entry, Journal},
    link::Link,
    publish,
    title::normalize,
    view::{View, uri},
};

const LOG: &str =
    "log_url = http://logs.example.org/{channel}?y=[year]&m=[month]#[hour][minute][second]";

fn view() -> View {
    View {
        path: "links.xml".into(),
        url: None,
        channels: vec!["#dev".into()],
        title: "Links from #dev".into(),
        about: "ircs://irc.example.org/%23dev".into(),
        items: 100,
        is_page: false,
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

fn titled(title: &str) -> Entry {
    Entry { link: Link { title: title.into(), ..entry().link }, ..entry() }
}

fn with_log(entry: Entry) -> String {
    crate::view::feed::render(&good(LOG), &view(), Some(entry.time), &[entry])
}

fn render(view: &View, entries: Vec<Entry>) -> String {
    let changed = entries.first().map(|entry| entry.time);
    crate::view::feed::render(&good(""), view, changed, &entries)
}

fn parse(xml: &str) -> feed_rs::model::Feed {
    feed_rs::parser::parse(xml.as_bytes()).unwrap_or_else(|e| panic!("{e}: {xml}"))
}

/// The item of a feed with only this entry, as text.
fn item(view: &View, entry: Entry) -> String {
    only_item(&render(view, vec![entry]))
}

fn only_item(xml: &str) -> String {
    let begin = xml.find("<item>").unwrap();
    xml[begin..xml.find("</item>").unwrap()].to_owned()
}

#[track_caller]
fn holds(text: &str, part: &str) {
    assert!(text.contains(part), "{part:?} is not in {text}");
}

#[test]
fn the_document_begins_with_its_declaration_and_rss() {
    let xml = render(&view(), vec![]);
    assert!(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<rss version=\"2.0\""));
    let parsed = parse(&xml);
    assert_eq!(parsed.title.unwrap().content, "Links from #dev");
    assert_eq!(parsed.links[0].href, "ircs://irc.example.org/%23dev");
    assert!(!parsed.description.unwrap().content.is_empty() && parsed.entries.is_empty());
    assert!(!xml.contains("lastBuildDate") && !xml.contains("atom:link"));
}

#[test]
fn a_known_address_is_the_feeds_self_link() {
    let url = Some("https://example.org/f/links.xml?a=1&b=[2]".to_owned());
    let xml = render(&View { url, ..view() }, vec![]);
    holds(
        &xml,
        "<atom:link rel=\"self\" type=\"application/rss+xml\" href=\"https://example.org/f/links.xml?a=1&#x26;b=%5B2%5D\"/>",
    );
    parse(&xml);
}

#[test]
fn an_item_describes_its_link() {
    let parsed = parse(&with_log(entry()));
    assert_eq!(
        parsed.updated,
        parsed.entries[0].published.map(|_| "2026-11-22T10:31:19Z".parse().unwrap())
    );
    let item = &parsed.entries[0];
    assert_eq!(item.title.as_ref().unwrap().content, "Title For Link");
    assert_eq!(item.links[0].href, "http://www.example.com/");
    assert_eq!(item.id, "linkbot:%23dev/2026-11-22T10:31:19.123Z");
    assert_eq!(item.published, Some("2026-11-22T10:31:17Z".parse().unwrap()));
    assert_eq!(item.authors[0].name, "alice");
    assert_eq!(item.categories.iter().map(|c| c.term.as_str()).collect::<Vec<_>>(), ["#dev"]);
    let xml = only_item(&with_log(entry()));
    holds(&xml, "<guid isPermaLink=\"false\">linkbot:%23dev/2026-11-22T10:31:19.123Z</guid>");
    holds(&xml, "<pubDate>Sun, 22 Nov 2026 10:31:17 +0000</pubDate>");
    holds(&xml, "<comments>http://logs.example.org/dev?y=2026&#x26;m=11#103117</comments>");
    holds(&xml, "<dc:creator>alice</dc:creator>");
}

#[test]
fn dates_that_rss_cannot_express_are_left_out() {
    let at = |posted| Entry { link: Link { posted, ..entry().link }, time: posted, ..entry() };
    for (time, is_shown) in [
        (datetime!(0001-01-01 0:00 UTC), false),
        (datetime!(1899-12-31 23:59:59 UTC), false),
        (datetime!(1900-01-01 0:00 UTC), true),
        (datetime!(9999-12-31 23:59:59.999 UTC), true),
    ] {
        let xml = render(&view(), vec![at(time)]);
        assert!(!xml.contains("Date></") && !xml.contains("Date/>"), "{xml}");
        for element in ["<pubDate>", "<lastBuildDate>"] {
            assert_eq!(xml.matches(element).count(), usize::from(is_shown), "{time}: {xml}");
        }
        assert_eq!(parse(&xml).entries.len(), 1);
    }
}

#[test]
fn the_description_is_html_that_links_into_the_log() {
    let html = |xml: &str| parse(xml).entries[0].summary.clone().unwrap().content;
    let without_log = render(&view(), vec![entry()]);
    assert_eq!(html(&without_log), "posted by alice in #dev");
    let log = "http://logs.example.org/dev?y=2026&#x26;m=11#103117";
    assert_eq!(html(&with_log(entry())), format!("<a href=\"{log}\">posted by alice in #dev</a>"));
    let again = Entry { reposters: vec!["bob".into(), "<carol>".into()], ..entry() };
    assert_eq!(
        html(&render(&view(), vec![again])),
        "posted by alice in #dev; again by bob, &#x3C;carol&#x3E;"
    );
    assert!(!without_log.contains("<comments>"));
}

#[test]
fn tags_at_the_end_of_a_title_are_moved_to_categories() {
    let xml = item(&view(), titled("C++ #1 in #lists, again #rust #c++ #0day"));
    holds(&xml, "<title>C++ #1 in #lists, again</title>");
    holds(
        &xml,
        "<category>#dev</category>\n<category>rust</category>\n<category>c++</category>\n<category>0day</category>",
    );
    holds(&item(&view(), titled("#only #tags")), "<title>http://www.example.com/</title>");
}

#[test]
fn a_reader_gets_titles_of_every_kind_unchanged() {
    for text in [
        "]]>",
        "&amp;",
        "<b>bold</b>",
        "a & b < c > d \"e\" 'f'",
        "emoji 👩\u{200d}💻 🎉",
        "שלום עולם مرحبا",
        "J\u{f6}rg",
        &"long ".repeat(80),
        "\u{3}04,12red\u{3} \u{2}bold",
    ] {
        let stored = normalize(text);
        let parsed = parse(&render(&view(), vec![titled(&stored)]));
        assert_eq!(parsed.entries[0].title.as_ref().unwrap().content, stored);
    }
    holds(&item(&view(), titled("a & <b>")), "<title>a &#x26; &#x3C;b&#x3E;</title>");
}

#[test]
fn characters_that_xml_forbids_are_left_out() {
    let mut entry = titled("a\u{0}b\u{1f}c\u{fffe}d\u{ffff}e");
    entry.link.nick = "al\u{1}ice".into();
    entry.reposters = vec!["\u{8}bob".into()];
    let xml = render(&View { title: "x\u{b}y".into(), ..view() }, vec![entry]);
    holds(&xml, "<title>xy</title>");
    holds(&xml, "<title>abcde</title>");
    holds(&xml, "<description>posted by alice in #dev; again by bob</description>");
}

#[test]
fn links_are_ascii_uris_as_in_rfc_3986() {
    for (address, printed) in [
        (
            "http://example.com/a?q=[1]{2}|3^4`5",
            "http://example.com/a?q=%5B1%5D%7B2%7D%7C3%5E4%605",
        ),
        ("http://[::1]:8080/[x]#[y]#z", "http://[::1]:8080/%5Bx%5D#%5By%5D%23z"),
        ("https://example.org?c=[dev]", "https://example.org?c=%5Bdev%5D"),
        ("https://example.org#[dev]", "https://example.org#%5Bdev%5D"),
        ("http://example.com/100%", "http://example.com/100%25"),
        ("http://example.com/%zz%4a%4", "http://example.com/%25zz%4a%254"),
        ("http://example.com/ü?ü#ü", "http://example.com/%C3%BC?%C3%BC#%C3%BC"),
        ("http://example.com/~a!$&'()*+,;=:@?/?", "http://example.com/~a!$&'()*+,;=:@?/?"),
        ("no address ü", "no%20address%20%C3%BC"),
        ("ircs://[::1]:7000/%23dev", "ircs://[::1]:7000/%23dev"),
    ] {
        assert_eq!(uri(address), printed);
    }
}

#[test]
fn a_feed_contains_the_newest_links_of_its_channels_as_they_are_now() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&dir.path().join("links.tsv")).unwrap();
    let config = good("");
    let of = |view: &View, journal: &Journal| publish::text(&config, view, journal).unwrap();
    let view = View { items: 2, ..view() };
    assert!(!of(&view, &journal).contains("lastBuildDate"));
    let mut add = |action, channel: &str, title: &str, second: i64| {
        let posted = datetime!(2026-11-22 10:00 UTC) + time::Duration::seconds(second);
        let link = Link { channel: channel.into(), title: title.into(), posted, ..entry().link };
        journal.append(action, &link, posted).unwrap();
    };
    add(Action::Add, "#dev", "one", 1);
    add(Action::Add, "#dev", "two", 2);
    add(Action::Add, "#other", "foreign", 3);
    add(Action::Add, "#dev", "three", 4);
    add(Action::Title, "#dev", "three!", 5);
    add(Action::Add, "#dev", "four", 6);
    add(Action::Remove, "#dev", "", 7);
    add(Action::Add, "#other", "foreign", 8);
    let xml = of(&view, &journal);
    let parsed = parse(&xml);
    let titles: Vec<_> =
        parsed.entries.iter().map(|e| e.title.as_ref().unwrap().content.as_str()).collect();
    assert_eq!(titles, ["three!", "two"]);
    // A new title or a removal keeps the guid and date of its link, but changes the feed.
    assert_eq!(parsed.entries[0].id, "linkbot:%23dev/2026-11-22T10:00:04.000Z");
    holds(&xml, "<pubDate>Sun, 22 Nov 2026 10:00:04 +0000</pubDate>");
    holds(&xml, "<lastBuildDate>Sun, 22 Nov 2026 10:00:07 +0000</lastBuildDate>");
    // The limit counts the links of all channels together.
    let both = View { channels: vec!["#dev".into(), "#other".into()], ..view };
    let parsed = parse(&of(&both, &journal));
    let titles: Vec<_> =
        parsed.entries.iter().map(|e| e.title.as_ref().unwrap().content.as_str()).collect();
    assert_eq!(titles, ["foreign", "three!"]);
    let page = View { is_page: true, ..both };
    assert!(of(&page, &journal).contains("Older links"));
    assert!(!of(&View { items: 100, ..page }, &journal).contains("Older links"));
}

proptest! {
    #[test]
    fn a_reader_understands_a_feed_with_any_text(
        text in any::<String>(),
        nick in any::<String>(),
        channel in any::<String>(),
        again in prop::collection::vec(any::<String>(), 0..3),
        url in prop_oneof![any::<String>(), "https?://\\PC{1,40}"],
        year in 1900i32..=9999,
    ) {
        let mut entry = titled(&text);
        (entry.link.nick, entry.link.channel, entry.link.url, entry.reposters) = (nick, channel, url, again);
        entry.link.posted = entry.link.posted.replace_year(year).unwrap();
        let legal = |c: &char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
        let xml = with_log(entry);
        prop_assert!(xml.chars().all(|c| legal(&c)));
        let parsed = parse(&xml);
        prop_assert_eq!(parsed.entries.len(), 1);
        // Readers collapse white space; titles in the journal have single spaces.
        let collapse = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let expected = collapse(crate::title::split_tags(&text).0.chars().filter(legal).collect());
        if !expected.is_empty() {
            prop_assert_eq!(collapse(parsed.entries[0].title.clone().unwrap().content), expected);
        }
    }

    #[test]
    fn a_printed_link_is_a_uri_and_stays_the_same(text in "https?://(\\PC{1,30}|\\[::1\\][ -~]{0,30})") {
        let printed = uri(&text);
        prop_assert!(printed.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b)), "{printed}");
        prop_assert!(printed.matches('#').count() <= 1);
        // Text that is not an address is only escaped.
        if Url::parse(&text).is_ok() {
            prop_assert_eq!(uri(&printed), printed);
        }
    }
}
