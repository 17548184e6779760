use proptest::prelude::*;

use crate::title::*;

#[test]
fn a_title_has_no_formatting_no_controls_and_single_spaces() {
    for (given, kept) in [
        ("Title For Link", "Title For Link"),
        ("  two \t\u{3000} spaces \r\n", "two spaces"),
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

#[test]
fn hash_words_with_a_letter_are_tags_at_the_end_of_a_title() {
    for (title, named, tags) in [
        ("Title For Link", "Title For Link", &[][..]),
        ("Title #rust", "Title", &["rust"]),
        ("Title #rust #c++ #0day #a-b_c", "Title", &["rust", "c++", "0day", "a-b_c"]),
        ("Fixes #123", "Fixes #123", &[]),
        ("#rust in the middle", "#rust in the middle", &[]),
        ("Title #rust #123", "Title #rust #123", &[]),
        ("Title #123 #rust", "Title #123", &["rust"]),
        ("Title # #node.js", "Title #", &["node.js"]),
        ("Title #rust, #web", "Title", &["rust", "web"]),
        ("Title #rust,#web,", "Title", &["rust", "web"]),
        ("Title #rust , #web.", "Title", &["rust", "web"]),
        ("Really?! #rust; #web: #c++. #node.js!?", "Really?!", &["rust", "web", "c++", "node.js"]),
        ("Title, #rust", "Title,", &["rust"]),
        ("a,#rust", "a,", &["rust"]),
        ("Title #rust,#-web", "Title #rust,#-web", &[]),
        ("Title #-rust", "Title #-rust", &[]),
        ("Title #~rust", "Title #~rust", &[]),
        ("Title #.net", "Title #.net", &[]),
        ("Title #_rust", "Title #_rust", &[]),
        ("Title #c#", "Title #c#", &[]),
        ("Title ... #rust", "Title ...", &["rust"]),
        ("Title?", "Title?", &[]),
        ("C# a#b", "C# a#b", &[]),
        ("Title ##rust", "Title ##rust", &[]),
        ("Bücher #bücher #日本", "Bücher", &["bücher", "日本"]),
        ("#rust #c++", "", &["rust", "c++"]),
        ("#rust", "", &["rust"]),
        ("", "", &[]),
    ] {
        assert_eq!(split_tags(title), (named, tags.to_vec()), "{title:?}");
    }
    for (length, tags) in [(32, 1), (33, 0)] {
        let title = format!("Title #{}", "ü".repeat(length));
        assert_eq!(split_tags(&title).1.len(), tags, "{length} characters");
    }
}

#[test]
fn characters_that_cannot_be_in_a_tag_are_dropped() {
    for (text, tag) in [
        ("irc", "irc"),
        ("#-dev", "dev"),
        ("##rust-beginners", "rust-beginners"),
        ("~x'y/z,.", "xyz"),
        (".net", "net"),
        ("#!?", ""),
        ("2600", "2600"),
    ] {
        assert_eq!(clean_tag(text), tag, "{text}");
    }
    assert_eq!(clean_tag(&"a".repeat(40)), "a".repeat(32));
}

proptest! {
    #[test]
    fn a_title_splits_into_words_and_tags(text in "(#?[a-z0-9+_.,-]{0,4} ){0,8}#?[a-z0-9]{0,4}") {
        let stored = normalize(&text);
        let (words, tags) = split_tags(&stored);
        let rest = stored.strip_prefix(words).unwrap();
        let separators = [' ', ',', ';', '.', ':', '!', '?'];
        let found: Vec<_> = rest.split([' ', ',']).filter_map(|word| word.strip_prefix('#')).collect();
        prop_assert!(found.iter().map(|word| word.trim_end_matches(separators)).eq(tags.iter().copied()));
        for tag in tags {
            prop_assert_eq!(clean_tag(tag), tag);
        }
        prop_assert_eq!(split_tags(words).1, Vec::<&str>::new());
    }

    #[test]
    fn a_stored_title_is_one_line_and_stays_the_same(text in any::<String>()) {
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
