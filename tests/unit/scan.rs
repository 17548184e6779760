use proptest::prelude::*;

use super::*;

fn spans(text: &str) -> Vec<&str> {
    addresses(text).map(|span| &text[span]).collect()
}

#[test]
fn an_address_in_a_line_ends_where_people_mean_it_to() {
    for (line, address) in [
        ("http://x.example/a", "http://x.example/a"),
        ("see http://x.example/a now", "http://x.example/a"),
        ("HTTPS://X.example/a", "HTTPS://X.example/a"),
        // Punctuation behind it.
        ("http://x.example/a.", "http://x.example/a"),
        ("http://x.example/a, b", "http://x.example/a"),
        ("http://x.example/a;:!?'*...", "http://x.example/a"),
        ("*http://x.example/a*", "http://x.example/a"),
        ("'http://x.example/a'", "http://x.example/a"),
        ("http://x.example/it's.html", "http://x.example/it's.html"),
        // Brackets belong to it where they are balanced in it.
        ("http://x.example/Foo_(bar)", "http://x.example/Foo_(bar)"),
        ("(see http://x.example/Foo_(bar)).", "http://x.example/Foo_(bar)"),
        ("(http://x.example/)", "http://x.example/"),
        ("[http://x.example/a] {http://x.example/a}", "http://x.example/a"),
        ("http://x.example/a(", "http://x.example/a"),
        ("http://x.example/a)(b)", "http://x.example/a)(b)"),
        ("http://x.example/a](.)", "http://x.example/a](.)"),
        ("http://x.example/?x=[1]&y={2}", "http://x.example/?x=[1]&y={2}"),
        ("http://x.example/?x=[1]&y={2}].", "http://x.example/?x=[1]&y={2}"),
        ("http://[::1]:80/", "http://[::1]:80/"),
        // Quotes of every kind, and the punctuation of other scripts.
        ("<http://x.example/a>", "http://x.example/a"),
        ("\"http://x.example/a\"", "http://x.example/a"),
        ("“http://x.example/a”", "http://x.example/a"),
        ("„http://x.example/a“", "http://x.example/a"),
        ("‘http://x.example/a’", "http://x.example/a"),
        ("«http://x.example/a»", "http://x.example/a"),
        ("‹http://x.example/a›", "http://x.example/a"),
        ("「http://x.example/a」。", "http://x.example/a"),
        ("http://x.example/a。", "http://x.example/a"),
        ("（http://x.example/a）", "http://x.example/a"),
        // Other scripts in it.
        ("http://bücher.example/straße?q=ü#ä", "http://bücher.example/straße?q=ü#ä"),
        ("http://ja.example/wiki/人々・〇", "http://ja.example/wiki/人々・〇"),
        ("http://x.example/a\u{3000}b", "http://x.example/a"),
        // What IRC and programs put around it.
        ("\x0304http://x.example/a\x03", "http://x.example/a"),
        ("\x0304,12http://x.example/a\x0f b", "http://x.example/a"),
        ("\x04ff00aahttp://x.example/a\x04", "http://x.example/a"),
        ("\x02http://x.example/a\x02.", "http://x.example/a"),
        ("http://x.example/a\u{200b}", "http://x.example/a"),
        ("\u{200b}http://x.example/a\u{feff}b", "http://x.example/a"),
        ("http://x.example/a\u{2060}b", "http://x.example/a"),
        // Another address in it belongs to it.
        ("http://x.example/?u=http://y.example/&b", "http://x.example/?u=http://y.example/&b"),
        ("http://x.example/web/https://y.example/", "http://x.example/web/https://y.example/"),
        ("http://x.example/a|http://y.example/", "http://x.example/a|http://y.example/"),
        ("view-source:http://x.example/a", "http://x.example/a"),
    ] {
        assert_eq!(spans(line).first(), Some(&address), "{line:?}");
    }
}

#[test]
fn a_line_may_hold_several_addresses_or_none() {
    for (line, addresses) in [
        ("http://a.example/ http://b.example/", &["http://a.example/", "http://b.example/"][..]),
        (
            "http://a.example/,http://b.example/, https://c.example",
            &["http://a.example/", "http://b.example/", "https://c.example"],
        ),
        ("http://a.example/,b", &["http://a.example/,b"]),
        ("<http://a.example/><http://b.example/>", &["http://a.example/", "http://b.example/"]),
        ("xhttp://a.example/", &[]),
        ("éhttp://a.example/ 1http://a.example/", &[]),
        ("\x03123http://a.example/", &[]),
        ("http:/a.example/ ftp://a.example/ http//a www.example.com", &[]),
        ("", &[]),
        ("... http://", &["http://"]),
    ] {
        assert_eq!(spans(line), addresses, "{line:?}");
    }
}

#[test]
fn a_link_found_is_titled_by_the_rest_of_its_line() {
    let one = |line: &str| {
        let found = links_in(line);
        assert_eq!(found.len(), 1, "{line:?}: {found:?}");
        found.into_iter().next().unwrap()
    };
    for (line, url, title) in [
        ("Title For Link http://x.example/a", "http://x.example/a", "Title For Link"),
        ("look:  HTTP://X.example \x02now\x02", "http://x.example/", "look: now"),
        ("http://x.example/a #rust", "http://x.example/a", "x.example/a #rust"),
        ("http://x.example/a good #rust #c++", "http://x.example/a", "good #rust #c++"),
        ("http://x.example/", "http://x.example/", "x.example"),
        ("https://x.example/a/", "https://x.example/a/", "x.example/a"),
        ("<http://x.example/ü>!", "http://x.example/%C3%BC", "x.example/%C3%BC"),
        ("\x0304http://x.example/\x03 :-)", "http://x.example/", "x.example"),
        // The same twice is one; what is no good address is not left in the title either.
        ("a http://x.example/ b http://X.example b", "http://x.example/", "a b b"),
        ("a http://x.example/ b http://user:secret@y.example/ c", "http://x.example/", "a b c"),
    ] {
        assert_eq!(one(line), (url.to_owned(), title.to_owned()), "{line:?}");
    }
    assert_eq!(links_in("talk of http:// and http://user:secret@y.example/ and ://"), []);
    let two = links_in("http://a.example/1, http://b.example/2/");
    let two: Vec<_> = two.iter().map(|(_, title)| title.as_str()).collect();
    assert_eq!(two, ["a.example/1", "b.example/2"]);
}

#[test]
fn of_more_than_five_addresses_the_others_are_in_no_title() {
    let line: String = (1..8).map(|n| format!("http://x.example/{n} ")).collect();
    let found = links_in(&format!("many: {line}"));
    assert_eq!(found.len(), 5);
    assert_eq!(found[4], ("http://x.example/5".into(), "many:".into()));
}

#[test]
fn a_line_made_to_take_long_does_not() {
    // With a look back at every bracket this would be 10^10 steps.
    let long = 100_000;
    for piece in ["(", ")", "()", "[(", "http://(", ",http:/", ".", "http://x,", "\x03", "h"] {
        let line =
            format!("http://x.example/{} http://y.example/", piece.repeat(long / piece.len()));
        assert_eq!(spans(&line).last(), Some(&"http://y.example/"), "{piece}");
        assert!(links_in(&line).len() <= 5);
    }
    assert_eq!(split_tags(&" #a".repeat(long)).1.len(), long);
}

proptest! {
    #[test]
    fn what_is_found_in_any_text_begins_as_an_address_and_is_in_order(
        text in "(https?://|HTTP://|[()\\[\\]{},.;<>\"'* \x02-\x04\u{200b}«»]|[a-z0-9]|\\PC){0,60}",
    ) {
        let mut end = 0;
        for span in addresses(&text) {
            prop_assert!(span.start >= end && span.end <= text.len());
            end = span.end;
            let address = text[span].to_lowercase();
            prop_assert!(address.starts_with("http://") || address.starts_with("https://"), "{address}");
            prop_assert!(!address.contains([' ', '<', '>', '"', '\u{200b}']), "{address:?}");
            prop_assert!(!address.ends_with(['.', ',', ';', ':', '!', '?', '\'', '*', '(', '[', '{']), "{address:?}");
        }
        for (url, named) in links_in(&text) {
            prop_assert_eq!(address(&url), Ok(url));
            prop_assert!(!named.is_empty() && normalize(&named) == named, "{named:?}");
        }
    }

    #[test]
    fn an_address_among_words_is_found_whole(
        before in "([a-z]{1,5} ){0,3}[(\"«*]?",
        path in "[a-z0-9/~_=&%+-]{0,20}(\\([a-z]{1,5}\\))?[a-z0-9/]",
        behind in "[).,;:!?'\"*»]{0,4}( [a-z]{1,5}){0,3}",
    ) {
        let address = format!("http://x.example/{path}");
        let text = format!("{before}{address}{behind}");
        prop_assert_eq!(spans(&text), [address]);
    }
}
