use crate::irc::names::*;

fn same(mapping: CaseMapping, a: &str, b: &str) -> bool {
    mapping.eq(a.as_bytes(), b.as_bytes())
}

fn fits(mask: &str, name: &str) -> bool {
    CaseMapping::Rfc1459.fits(mask.as_bytes(), name.as_bytes())
}

#[test]
fn every_mapping_folds_letters() {
    for mapping in [CaseMapping::Ascii, CaseMapping::Rfc1459, CaseMapping::Rfc1459Strict] {
        assert!(same(mapping, "LinkBot", "lINKbOT"));
        assert!(!same(mapping, "linkbot", "linkbot_"));
        assert!(!same(mapping, "@", "`"));
    }
}

#[test]
fn names_that_are_not_ascii_compare_by_unicode_lower_case() {
    for mapping in [CaseMapping::Ascii, CaseMapping::Rfc1459, CaseMapping::Rfc1459Strict] {
        for (a, b) in [
            ("#\u{c4}rger", "#\u{e4}RGER"),
            ("#\u{427}\u{410}\u{422}", "#\u{447}\u{430}\u{442}"),
            // The lower case of these differs in length.
            ("#\u{130}x", "#i\u{307}x"),
            ("#\u{1e9e}", "#\u{df}"),
        ] {
            assert!(same(mapping, a, b) && same(mapping, b, a), "{a} {b}");
        }
        for (a, b) in
            [("#\u{e4}rger", "#arger"), ("#\u{e4}", "#\u{f6}"), ("#\u{e4}", "#\u{e4}\u{e4}")]
        {
            assert!(!same(mapping, a, b) && !same(mapping, b, a), "{a} {b}");
        }
        // Not UTF-8, so Latin-1.
        assert!(mapping.eq(b"#\xe4A", b"#\xe4a") && mapping.eq(b"#\xc4", b"#\xe4"));
    }
}

#[test]
fn rfc1459_folds_four_more_characters_and_its_strict_form_three() {
    assert!(same(CaseMapping::Rfc1459, r"[]\~", "{}|^"));
    assert!(same(CaseMapping::Rfc1459Strict, r"[]\", "{}|"));
    assert!(!same(CaseMapping::Rfc1459Strict, "~", "^"));
    assert!(["[{", "]}", r"\|", "~^"].iter().all(|pair| !same(
        CaseMapping::Ascii,
        &pair[..1],
        &pair[1..]
    )));
}

#[test]
fn an_unknown_mapping_counts_as_rfc1459() {
    assert_eq!(CaseMapping::named("ascii"), CaseMapping::Ascii);
    assert_eq!(CaseMapping::named("rfc1459"), CaseMapping::Rfc1459);
    assert_eq!(CaseMapping::named("rfc1459-strict"), CaseMapping::Rfc1459Strict);
    assert_eq!(CaseMapping::named("strict-rfc1459"), CaseMapping::Rfc1459Strict);
    assert_eq!(CaseMapping::named("rfc8265"), CaseMapping::Rfc1459);
}

#[test]
fn a_mask_matches_whole_names_in_any_case() {
    assert!(fits("*!*@spam.example", "Bob!b@SPAM.example"));
    assert!(fits("bob[1]!*@*", "BOB{1}!b@h"));
    assert!(fits("b?b", "bob") && !fits("b?b", "bb") && !fits("b?b", "boob"));
    assert!(fits("*", "") && fits("", "") && !fits("", "x") && !fits("?", ""));
    assert!(fits("a*b*c", "aXbYbZc") && !fits("a*b*c", "aXbYbZ"));
    assert!(!fits("*!*@spam", "bob!b@spam.example"));
}
