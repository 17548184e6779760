use proptest::prelude::*;
use time::macros::{datetime, offset};

use super::*;

fn link(posted: OffsetDateTime) -> Link {
    let (url, title) = ("http://www.example.com/".into(), "Title For Link".into());
    Link { channel: "#dev".into(), nick: "alice".into(), account: String::new(), url, title, posted }
}

#[test]
fn an_address_is_stored_as_the_url_crate_prints_it() {
    for (given, stored) in [
        ("http://www.example.com/", "http://www.example.com/"),
        ("HTTPS://EXAMPLE.com", "https://example.com/"),
        ("<http://example.com/a>", "http://example.com/a"),
        ("http://bücher.example/straße?q=ü#ä", "http://xn--bcher-kva.example/stra%C3%9Fe?q=%C3%BC#%C3%A4"),
        ("http://example.com:80/a/../b", "http://example.com/b"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
    ] {
        assert_eq!(address(given).as_deref(), Ok(stored), "{given}");
    }
}

#[test]
fn what_is_no_public_address_is_refused_with_the_reason() {
    for (given, reason) in [
        ("www.example.com", "must begin with http:// or https://"),
        ("ftp://example.com/", "must begin with http:// or https://"),
        ("javascript:alert(1)", "must begin with http:// or https://"),
        ("", "must begin with http:// or https://"),
        ("http://", "not an address"),
        ("http://exa mple.com/", "not an address"),
        ("http://example.com:99999/", "not an address"),
        ("http://alice@example.com/", "user name or password"),
        ("http://alice:hunter2@example.com/", "user name or password"),
        ("http://:hunter2@example.com/", "user name or password"),
    ] {
        let error = address(given).unwrap_err();
        assert!(error.contains(reason) && !error.contains("hunter2"), "{given}: {error}");
    }
}

#[test]
fn an_address_has_at_most_1000_bytes_as_stored() {
    let of = |length: usize| address(&format!("http://example.com/{}", "a".repeat(length - 19)));
    assert_eq!(of(1000).unwrap().len(), 1000);
    assert!(of(1001).unwrap_err().contains("longer than 1000 bytes"));
    // 400 characters as given, 1,200 bytes of percent-encoding.
    assert!(address(&format!("http://example.com/{}", " ".repeat(398) + "a")).is_err());
}

#[test]
fn a_title_has_no_formatting_no_controls_and_single_blanks() {
    for (given, kept) in [
        ("Title For Link", "Title For Link"),
        ("  two \t\u{3000} blanks \r\n", "two blanks"),
        (
            "\x02bold\x02 \x1ditalic\x1d \x1funder\x1f \x1estrike\x1e \x11mono\x11 \x16reverse\x16 plain\x0f",
            "bold italic under strike mono reverse plain",
        ),
        ("\x0304,12red\x03 \x034red\x03, 5 \x03123 \x03,7", "red red, 5 3 ,7"),
        ("\x04ff00aa,00ff00hex\x04 \x04FF00AAhex", "hex hex"),
        ("\x01ACTION waves\x01\x7f\u{80}\u{85}\u{9f}", "ACTION waves"),
        ("a\u{85}b", "ab"),
        ("\u{202e}evil\u{202c} \u{2066}iso\u{2069}\u{feff}\u{fffe}\u{ffff}", "evil iso"),
        ("\u{200b} \u{200b}title\u{200b} ", "title"),
        ("👩\u{200d}💻 می\u{200c}خواهم \u{200e}e\u{301}", "👩\u{200d}💻 می\u{200c}خواهم \u{200e}e\u{301}"),
        ("\x02\x03\u{200b}\u{2028}", ""),
        ("]]> &amp; <b>", "]]> &amp; <b>"),
    ] {
        assert_eq!(title(given), kept, "{given:?}");
    }
}

#[test]
fn all_but_unreserved_characters_are_percent_encoded() {
    assert_eq!(percent_encode("AZaz09-._~"), "AZaz09-._~");
    assert_eq!(percent_encode("#a b+ü/%"), "%23a%20b%2B%C3%BC%2F%25");
}

#[test]
fn a_channel_in_an_address_loses_its_first_sign_only() {
    assert_eq!(with_channel("http://x/{channel}/{channel}", "#dev"), "http://x/dev/dev");
    assert_eq!(with_channel("{channel}", "##c++"), "%23c%2B%2B");
    assert_eq!(with_channel("none", "#dev"), "none");
}

#[test]
fn a_log_url_names_the_second_in_its_zone() {
    let pattern = "http://logs/?y=[year]&m=[month]&d=[day]&c={channel}#[year][month][day][hour][minute][second]";
    let of = |zone| LogUrl::new(pattern, zone).unwrap().of(&link(datetime!(2026-12-31 23:31:19.999 UTC)));
    assert_eq!(of(Zone::Fixed(UtcOffset::UTC)), "http://logs/?y=2026&m=12&d=31&c=dev#20261231233119");
    assert_eq!(of(Zone::Fixed(offset!(+1))), "http://logs/?y=2027&m=01&d=01&c=dev#20270101003119");
    assert_eq!(
        LogUrl::new("http://x/[[a]", Zone::Local).unwrap().of(&link(datetime!(2026-01-01 0:00 UTC))),
        "http://x/[a]"
    );
}

#[test]
fn the_last_second_that_there_is_has_a_log_url_in_every_zone() {
    for zone in [offset!(+1), offset!(-1)] {
        let log_url = LogUrl::new("http://x/[year]", Zone::Fixed(zone)).unwrap();
        assert_eq!(log_url.of(&link(datetime!(9999-12-31 23:59:59 UTC))), "http://x/9999");
    }
}

#[test]
fn a_bad_pattern_is_an_error() {
    for bad in ["[yaer]", "http://x/[year", "[offset_hour"] {
        assert!(LogUrl::new(bad, Zone::Local).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn a_stored_title_is_one_line_and_stays_as_it_is(text in any::<String>()) {
        let stored = title(&text);
        prop_assert!(!stored.contains(|c: char| c.is_control()));
        prop_assert!(!stored.contains("  ") && stored.trim() == stored);
        prop_assert_eq!(title(&stored), stored);
    }

    #[test]
    fn formatting_leaves_nothing_behind(text in "[\\x02-\\x06\\x0f\\x11\\x16\\x1d-\\x1f0-9a-f, ]{0,40}") {
        let stored = title(&text);
        prop_assert!(stored.bytes().all(|b| (b' '..0x7f).contains(&b)), "{stored:?}");
        prop_assert_eq!(title(&stored), stored);
    }

    #[test]
    fn a_stored_address_is_ascii_and_stays_as_it_is(text in "(?i:https?)://\\PC{1,40}") {
        if let Ok(stored) = address(&text) {
            prop_assert!(stored.bytes().all(|b| b.is_ascii_graphic()), "{stored}");
            prop_assert!(stored.starts_with("http") && stored.len() <= LONGEST_ADDRESS);
            prop_assert_eq!(address(&stored), Ok(stored));
        }
    }

    #[test]
    fn no_text_and_no_pattern_is_a_panic(text in any::<String>()) {
        let _ = address(&text);
        let _ = LogUrl::new(&text, Zone::Local).map(|log_url| log_url.of(&link(datetime!(2026-01-01 0:00 UTC))));
    }

    #[test]
    fn what_is_percent_encoded_decodes_to_itself(text in any::<String>()) {
        let address = Url::parse(&format!("http://x/?q={}", percent_encode(&text))).unwrap();
        prop_assert_eq!(address.query_pairs().next().unwrap().1, text);
    }
}
