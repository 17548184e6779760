use proptest::prelude::*;
use time::macros::datetime;

use super::*;
use crate::log_url::{LogUrl, Zone};
use crate::scan::links_in;
use crate::title::normalize;

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

proptest! {
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
    fn a_title_is_its_words_and_its_tags(text in "(#?[a-z0-9+_.,-]{0,4} ){0,8}#?[a-z0-9]{0,4}") {
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
