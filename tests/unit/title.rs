use proptest::prelude::*;

use super::*;

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
        (
            "👩\u{200d}💻 می\u{200c}خواهم \u{200e}e\u{301}",
            "👩\u{200d}💻 می\u{200c}خواهم \u{200e}e\u{301}",
        ),
        ("\x02\x03\u{200b}\u{2028}", ""),
        ("]]> &amp; <b>", "]]> &amp; <b>"),
    ] {
        assert_eq!(normalize(given), kept, "{given:?}");
    }
}

proptest! {
    #[test]
    fn a_stored_title_is_one_line_and_stays_as_it_is(text in any::<String>()) {
        let stored = normalize(&text);
        prop_assert!(!stored.contains(|c: char| c.is_control()));
        prop_assert!(!stored.contains("  ") && stored.trim() == stored);
        prop_assert_eq!(normalize(&stored), stored);
    }

    #[test]
    fn formatting_leaves_nothing_behind(text in "[\\x02-\\x06\\x0f\\x11\\x16\\x1d-\\x1f0-9a-f, ]{0,40}") {
        let stored = normalize(&text);
        prop_assert!(stored.bytes().all(|b| (b' '..0x7f).contains(&b)), "{stored:?}");
        prop_assert_eq!(normalize(&stored), stored);
    }
}
