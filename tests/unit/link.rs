use proptest::prelude::*;
use time::{OffsetDateTime, macros::datetime};
use url::Url;

use crate::{
    link::*,
    scan::links_in,
    title::{is_blank, split_tags},
};

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
        ("http://http://example.com/a", "http://example.com/a"),
        ("HTTP://https://example.com/a", "https://example.com/a"),
        ("http://http://http://example.com/a", "http://example.com/a"),
        ("http://example.com./a", "http://example.com./a"),
        ("http://localhost", "http://localhost/"),
        ("http://my_host.example/", "http://my_host.example/"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/"),
        ("http://[::]/", "http://[::]/"),
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
fn an_invalid_address_is_refused_with_the_reason() {
    for (given, reason) in [
        ("www.example.com", "must begin with http:// or https://"),
        ("ftp://example.com/", "must begin with http:// or https://"),
        ("javascript:alert(1)", "must begin with http:// or https://"),
        ("", "must begin with http:// or https://"),
        ("http://", "not an address"),
        ("http://exa mple.com/", "not an address"),
        ("http://example.com:99999/", "not an address"),
        ("http://http/example.com", "not an address"),
        ("http://http//example.com/a", "not an address"),
        ("https://https", "not an address"),
        ("http://http:80/", "not an address"),
        ("http://example..com/", "not an address"),
        ("http://.example.com/", "not an address"),
        ("http://example.com../", "not an address"),
        ("http://./", "not an address"),
        ("http://-/", "not an address"),
        ("http://_/", "not an address"),
        ("http://example,com/", "not an address"),
        ("http://$HOST/x", "not an address"),
        ("https://${HOST}/x", "not an address"),
        ("https://{{ host }}/x", "not an address"),
        ("https://*.example.com/", "not an address"),
        ("https://%s/x", "not an address"),
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
    // About 400 characters as given, and 1,200 bytes when percent-encoded.
    assert!(address(&format!("http://example.com/{}", " ".repeat(398) + "a")).is_err());
}

#[test]
fn all_but_letters_digits_and_a_few_symbols_are_percent_encoded() {
    assert_eq!(percent_encode("AZaz09*-._~"), "AZaz09*-._%7E");
    assert_eq!(percent_encode("#a b+ü/%"), "%23a%20b%2B%C3%BC%2F%25");
}

#[test]
fn a_channel_in_an_address_loses_only_its_first_hash() {
    assert_eq!(with_channel("http://x/{channel}/{channel}", "#dev"), "http://x/dev/dev");
    assert_eq!(with_channel("{channel}", "##c++"), "%23c%2B%2B");
    assert_eq!(with_channel("none", "#dev"), "none");
}

#[test]
fn a_link_with_only_tags_gets_its_address_as_title() {
    let title = "#rust".into();
    let link = Link { title, ..link(datetime!(2026-01-01 0:00 UTC)) };
    assert_eq!(link.title_and_tags(), ("http://www.example.com/", vec!["rust"]));
    assert_eq!(link.host(), "example.com");
}

#[test]
fn an_address_is_decoded_except_invisible_characters() {
    for (url, shown) in [
        (
            "https://ru.wikipedia.org/wiki/%D0%97%D0%B0%D0%B3%D0%BB%D0%B0%D0%B2%D0%BD%D0%B0%D1%8F_%D1%81",
            "ru.wikipedia.org/wiki/Заглавная_с",
        ),
        ("http://x.example/K%c3%b6ln/", "x.example/Köln"),
        ("http://x.example/100%25", "x.example/100%"),
        ("http://x.example/a%20b%09%00%7f%C2%A0", "x.example/a%20b%09%00%7F%C2%A0"),
        ("http://x.example/%E2%80%AE%E2%80%8B%C3%B6", "x.example/%E2%80%AE%E2%80%8Bö"),
        ("http://x.example/%C3%28%FF%C3/%C3%B6", "x.example/%C3%28%FF%C3/ö"),
        ("http://x.example/%%4%zz%C3%B6%", "x.example/%%4%zzö%"),
        ("http://x.example/?q=%F0%9F%8E%89#%C3%A4", "x.example/?q=🎉#ä"),
    ] {
        assert_eq!(readable(url), shown);
    }
    let url = "http://www.xn--bcher-kva.example/K%C3%B6ln".to_owned();
    let link = Link { url, ..link(datetime!(2026-01-01 0:00 UTC)) };
    let expected = "http://www.xn--bcher-kva.example/k%c3%b6ln xn--bcher-kva.example/k%c3%b6ln \
                 www.bücher.example/köln";
    assert!(link.search_text().ends_with(expected), "{}", link.search_text());
}

#[test]
fn two_spellings_of_one_address_have_the_same_key() {
    for (url, key) in [
        ("http://www.example.com/", "example.com"),
        ("https://example.com/", "example.com"),
        ("http://example.com:80/a", "example.com/a"),
        ("https://example.com:443/a", "example.com/a"),
        ("https://example.com:80/a", "example.com:80/a"),
        ("http://example.com/a/#part", "example.com/a#part"),
        ("http://example.com/a#part", "example.com/a#part"),
        ("http://example.com/main.rs#L10", "example.com/main.rs#L10"),
        ("http://example.com/a#", "example.com/a"),
        ("http://example.com/a#:~:text=some%20words", "example.com/a"),
        ("http://example.com/a#part:~:text=some%20words", "example.com/a#part"),
        ("http://example.com/#/a", "example.com#/a"),
        ("http://example.com/#/a/", "example.com#/a"),
        ("http://example.com/#!a", "example.com#!a"),
        ("http://example.com/a?b=1#part", "example.com/a?b=1#part"),
        ("http://example.com/a?si=x&igshid=y&mc_cid=z&mc_eid=0", "example.com/a"),
        ("http://example.com/a?site=x&sid=1", "example.com/a?site=x&sid=1"),
        ("http://example.com/a?b=1&c=2", "example.com/a?b=1&c=2"),
        ("http://example.com/a?c=2&b=1", "example.com/a?c=2&b=1"),
        ("http://example.com/?utm_source=x&utm_medium=y", "example.com"),
        ("http://example.com/a/?fbclid=x&b=1&gclid=y&utm_id#top", "example.com/a/?b=1#top"),
        ("http://example.com/a?utmost=1&fbclid2=1", "example.com/a?utmost=1&fbclid2=1"),
        ("http://example.com/www.b:80/", "example.com/www.b:80"),
        ("http://wwwexample.com/", "wwwexample.com"),
        ("http://www.com/", "com"),
    ] {
        assert_eq!(crate::link::comparison_key(&address(url).unwrap()), key, "{url}");
    }
    // An operator appended this address by hand.
    assert_eq!(comparison_key("HTTP://www.example.com/"), "example.com");
}

proptest! {
    #[test]
    fn a_stored_address_is_ascii_and_stays_the_same(text in "(?i:https?)://\\PC{1,40}") {
        if let Ok(stored) = address(&text) {
            prop_assert!(stored.bytes().all(|b| b.is_ascii_graphic()), "{stored}");
            prop_assert!(stored.starts_with("http") && stored.len() <= LONGEST_ADDRESS);
            prop_assert_eq!(address(&stored), Ok(stored));
        }
    }

    #[test]
    fn no_text_causes_a_panic(text in any::<String>()) {
        let _ = (address(&text), comparison_key(&text), links_in(&text, false), split_tags(&text));
    }

    #[test]
    fn a_decoded_address_has_no_spaces_or_invisible_characters(path in "(%[0-9a-fA-F]{2}|%[c-f][0-9a-f]%[89ab][0-9a-f]|%|[a-z+/]){0,20}") {
        let decoded = decode(&path);
        prop_assert!(!decoded.contains(is_blank));
    }

    #[test]
    fn every_variant_has_the_same_key_and_a_key_is_its_own_key(
        host in "[a-v]{1,8}\\.example(:8080)?",
        path in "(/[a-z0-9.]{1,5}){0,3}",
        query in prop_oneof![Just(String::new()), "\\?[a-t]=[0-9]{1,3}(&[a-t]=[0-9]{1,3}){0,2}"],
        page in prop_oneof![Just(String::new()), "#[/!][a-z]{1,5}"],
    ) {
        let known = comparison_key(&address(&format!("http://{host}{path}{query}{page}")).unwrap());
        prop_assert_eq!(comparison_key(&known), known.as_str());
        let join = if query.is_empty() { "?" } else { "&" };
        let part = if page.is_empty() { "#:~:text=part" } else { "" };
        let mut variants = vec![
            format!("https://{host}{path}{query}{page}"),
            format!("HTTPS://WWW.{host}{path}{query}{page}"),
            format!("http://{host}{path}{query}{join}utm_source=a&fbclid=b{page}"),
        ];
        if page.is_empty() {
            variants.push(format!("http://{host}{path}{query}#"));
            variants.push(format!("http://{host}{path}{query}{part}"));
            if query.is_empty() {
                variants.push(format!("http://{host}{path}/"));
            }
        }
        for variant in variants {
            prop_assert_eq!(comparison_key(&address(&variant).unwrap()), known.as_str(), "{}", variant);
        }
    }

    #[test]
    fn percent_encoding_is_reversible(text in any::<String>()) {
        let address = Url::parse(&format!("http://x/?q={}", percent_encode(&text))).unwrap();
        prop_assert_eq!(address.query_pairs().next().unwrap().1, text);
    }
}
