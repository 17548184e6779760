use proptest::prelude::*;
use time::macros::{datetime, offset};

use super::*;

fn link(posted: OffsetDateTime) -> Link {
    let (url, title) = ("http://www.example.com/".into(), "Title For Link".into());
    Link {
        channel: "#dev".into(),
        nick: "alice".into(),
        account: String::new(),
        url,
        title,
        posted,
    }
}

#[test]
fn an_address_is_stored_as_the_url_crate_prints_it() {
    for (given, stored) in [
        ("http://www.example.com/", "http://www.example.com/"),
        ("HTTPS://EXAMPLE.com", "https://example.com/"),
        ("<http://example.com/a>", "http://example.com/a"),
        (
            "http://bücher.example/straße?q=ü#ä",
            "http://xn--bcher-kva.example/stra%C3%9Fe?q=%C3%BC#%C3%A4",
        ),
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
        (
            "👩\u{200d}💻 می\u{200c}خواهم \u{200e}e\u{301}",
            "👩\u{200d}💻 می\u{200c}خواهم \u{200e}e\u{301}",
        ),
        ("\x02\x03\u{200b}\u{2028}", ""),
        ("]]> &amp; <b>", "]]> &amp; <b>"),
    ] {
        assert_eq!(title(given), kept, "{given:?}");
    }
}

#[test]
fn all_but_letters_digits_and_a_few_signs_are_percent_encoded() {
    assert_eq!(percent_encode("AZaz09*-._~"), "AZaz09*-._%7E");
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
    let of = |zone| {
        LogUrl::new(pattern, zone).unwrap().of(&link(datetime!(2026-12-31 23:31:19.999 UTC)))
    };
    assert_eq!(
        of(Zone::Fixed(UtcOffset::UTC)),
        "http://logs/?y=2026&m=12&d=31&c=dev#20261231233119"
    );
    assert_eq!(of(Zone::Fixed(offset!(+1))), "http://logs/?y=2027&m=01&d=01&c=dev#20270101003119");
    assert_eq!(
        LogUrl::new("http://x/[[a]", Zone::Local)
            .unwrap()
            .of(&link(datetime!(2026-01-01 0:00 UTC))),
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
fn words_with_a_sign_and_a_letter_at_the_end_are_tags() {
    for (title, named, tags) in [
        ("Title For Link", "Title For Link", &[][..]),
        ("Title #rust", "Title", &["rust"]),
        ("Title #rust #c++ #0day #a-b_c", "Title", &["rust", "c++", "0day", "a-b_c"]),
        ("Mends #123", "Mends #123", &[]),
        ("#rust in the middle", "#rust in the middle", &[]),
        ("Title #rust #123", "Title #rust #123", &[]),
        ("Title #123 #rust", "Title #123", &["rust"]),
        ("Title # #node.js", "Title #", &["node.js"]),
        ("Title #rust, #web", "Title", &["rust", "web"]),
        ("Title #rust,#web,", "Title", &["rust", "web"]),
        ("Title #rust , #web.", "Title", &["rust", "web"]),
        ("Really?! #rust; #web: #c++. #node.js!?", "Really?!", &["rust", "web", "c++", "node.js"]),
        ("Title, #rust", "Title,", &["rust"]),
        ("a,#rust", "a,#rust", &[]),
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
fn what_cannot_be_in_a_tag_is_dropped() {
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

#[test]
fn a_link_of_nothing_but_tags_is_named_by_its_address() {
    let title = "#rust".into();
    let link = Link { title, ..link(datetime!(2026-01-01 0:00 UTC)) };
    assert_eq!(link.title_and_tags(), ("http://www.example.com/", vec!["rust"]));
    assert_eq!(link.host(), "example.com");
}

#[test]
fn two_spellings_of_one_address_have_the_same_key() {
    for (url, key) in [
        ("http://www.example.com/", "example.com"),
        ("https://example.com/", "example.com"),
        ("http://example.com:80/a", "example.com/a"),
        ("https://example.com:443/a", "example.com/a"),
        ("https://example.com:80/a", "example.com:80/a"),
        ("http://example.com/a/#part", "example.com/a"),
        ("http://example.com/a#", "example.com/a"),
        ("http://example.com/#/a", "example.com/#/a"),
        ("http://example.com/#!a", "example.com/#!a"),
        ("http://example.com/a?b=1&c=2", "example.com/a?b=1&c=2"),
        ("http://example.com/a?c=2&b=1", "example.com/a?c=2&b=1"),
        ("http://example.com/?utm_source=x&utm_medium=y", "example.com"),
        ("http://example.com/a/?fbclid=x&b=1&gclid=y&utm_id#top", "example.com/a/?b=1"),
        ("http://example.com/a?utmost=1&fbclid2=1", "example.com/a?utmost=1&fbclid2=1"),
        ("http://example.com/www.b:80/", "example.com/www.b:80"),
        ("http://wwwexample.com/", "wwwexample.com"),
        ("http://www.com/", "com"),
    ] {
        assert_eq!(super::comparison_key(url), key, "{url}");
    }
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
        let _ = (address(&text), comparison_key(&text), links_in(&text), split_tags(&text));
        let _ = LogUrl::new(&text, Zone::Local).map(|log_url| log_url.of(&link(datetime!(2026-01-01 0:00 UTC))));
    }

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
            prop_assert!(!named.is_empty() && title(&named) == named, "{named:?}");
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

    #[test]
    fn a_title_is_its_words_and_its_tags(text in "(#?[a-z0-9+_.,-]{0,4} ){0,8}#?[a-z0-9]{0,4}") {
        let stored = title(&text);
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
    fn a_key_is_the_same_for_every_variant_and_its_own_key(
        host in "[a-v]{1,8}\\.example(:8080)?",
        path in "(/[a-z0-9.]{1,5}){0,3}",
        query in prop_oneof![Just(String::new()), "\\?[a-t]=[0-9]{1,3}(&[a-t]=[0-9]{1,3}){0,2}"],
        page in prop_oneof![Just(String::new()), "#[/!][a-z]{1,5}"],
    ) {
        let known = comparison_key(&address(&format!("http://{host}{path}{query}{page}")).unwrap());
        prop_assert_eq!(comparison_key(&known), known.as_str());
        let join = if query.is_empty() { "?" } else { "&" };
        let mut variants = vec![
            format!("https://{host}{path}{query}{page}"),
            format!("HTTPS://WWW.{host}{path}{query}{page}"),
            format!("http://{host}{path}{query}{join}utm_source=a&fbclid=b{page}"),
        ];
        if page.is_empty() {
            variants.push(format!("http://{host}{path}{query}#part"));
            if query.is_empty() {
                variants.push(format!("http://{host}{path}/"));
            }
        }
        for variant in variants {
            prop_assert_eq!(comparison_key(&address(&variant).unwrap()), known.as_str(), "{}", variant);
        }
    }

    #[test]
    fn what_is_percent_encoded_decodes_to_itself(text in any::<String>()) {
        let address = Url::parse(&format!("http://x/?q={}", percent_encode(&text))).unwrap();
        prop_assert_eq!(address.query_pairs().next().unwrap().1, text);
    }
}
