use proptest::prelude::*;

use crate::{
    link::address,
    scan::*,
    title::without_colors,
    title::{normalize, split_tags},
};

/// The addresses in a line, as spelled there.
fn spans(text: &str) -> Vec<String> {
    let text = without_colors(text);
    addresses(&text).into_iter().map(|span| text[span].to_owned()).collect()
}

#[test]
fn an_address_in_a_line_ends_where_people_mean_it_to() {
    for (line, address) in [
        ("http://x.example/a", "http://x.example/a"),
        ("see http://x.example/a now", "http://x.example/a"),
        ("HTTPS://X.example/a", "HTTPS://X.example/a"),
        // Punctuation after it.
        ("http://x.example/a.", "http://x.example/a"),
        ("http://x.example/a, b", "http://x.example/a"),
        ("http://x.example/a;:!?'*...", "http://x.example/a"),
        ("*http://x.example/a*", "http://x.example/a"),
        ("'http://x.example/a'", "http://x.example/a"),
        ("http://x.example/it's.html", "http://x.example/it's.html"),
        // Brackets that are balanced in it belong to it.
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
        // Other scripts inside.
        ("http://bücher.example/straße?q=ü#ä", "http://bücher.example/straße?q=ü#ä"),
        ("http://ja.example/wiki/人々・〇", "http://ja.example/wiki/人々・〇"),
        ("http://x.example/a\u{3000}b", "http://x.example/a"),
        // Formatting codes and invisible characters around it.
        ("\x0304http://x.example/a\x03", "http://x.example/a"),
        ("\x0304,12http://x.example/a\x0f b", "http://x.example/a"),
        ("\x04ff00aahttp://x.example/a\x04", "http://x.example/a"),
        ("\x02http://x.example/a\x02.", "http://x.example/a"),
        ("http://x.example/a\u{200b}", "http://x.example/a"),
        ("\u{200b}http://x.example/a\u{feff}b", "http://x.example/a"),
        ("http://x.example/a\u{2060}b", "http://x.example/a"),
        // Another address inside belongs to it. Bars and backticks end it.
        ("http://x.example/?u=http://y.example/&b", "http://x.example/?u=http://y.example/&b"),
        ("http://x.example/web/https://y.example/", "http://x.example/web/https://y.example/"),
        ("http://x.example/a|http://y.example/", "http://x.example/a"),
        ("`http://x.example/a`", "http://x.example/a"),
        ("|http://x.example/a|", "http://x.example/a"),
        // A mark at its end belongs to it unless the same mark is before it.
        ("_http://x.example/a_", "http://x.example/a"),
        ("__http://x.example/a__", "http://x.example/a"),
        ("_http://x.example/a__", "http://x.example/a_"),
        ("http://x.example/a_", "http://x.example/a_"),
        ("~http://x.example/a_", "http://x.example/a_"),
        ("~~http://x.example/~~", "http://x.example/"),
        ("$http://x.example/a$", "http://x.example/a"),
        ("http://x.example/$", "http://x.example/$"),
        ("**_http://x.example/a_**:", "http://x.example/a"),
        ("(_http://x.example/a_).", "http://x.example/a"),
        ("_http://x.example/a_b", "http://x.example/a_b"),
        ("_http://x.example/a_._", "http://x.example/a_"),
        ("_http://x.example/(a_)", "http://x.example/(a_)"),
        // A bracket that opened before the address closes after it.
        ("(http://x.example/a)b", "http://x.example/a"),
        ("[Title](http://x.example/a)[Other](http://y.example/)", "http://x.example/a"),
        ("(see http://x.example/(a))b", "http://x.example/(a)"),
        ("http://x.example/a)(b", "http://x.example/a)(b"),
        // Other punctuation after it.
        ("http://x.example/a…", "http://x.example/a"),
        ("http://x.example/a— and", "http://x.example/a"),
        ("http://x.example/a–b", "http://x.example/a–b"),
        ("http://x.example/a،", "http://x.example/a"),
        ("http://x.example/a؟", "http://x.example/a"),
        ("http://x.example/a।", "http://x.example/a"),
        ("\"http://x.example/a\\\"", "http://x.example/a"),
        // Joiners are part of words and emoji.
        ("http://x.example/می\u{200c}خواهم", "http://x.example/می\u{200c}خواهم"),
        ("http://x.example/👩\u{200d}💻", "http://x.example/👩\u{200d}💻"),
        ("http://x.example/❤\u{fe0f}", "http://x.example/❤\u{fe0f}"),
        ("http://x.example/ö\u{200c}", "http://x.example/ö"),
        // Only a Latin letter or a digit before an address makes it part of a word.
        ("これhttp://x.example/", "http://x.example/"),
        ("смотриhttp://x.example/", "http://x.example/"),
        ("×http://x.example/", "http://x.example/"),
        ("http://http://x.example/", "http://http://x.example/"),
        ("http://x.example/\u{3164}", "http://x.example/"),
        ("http://x.example/\u{2800}T", "http://x.example/"),
        ("view-source:http://x.example/a", "http://x.example/a"),
        ("[url]http://x.example/a[/url]", "http://x.example/a"),
    ] {
        assert_eq!(spans(line).first().map(String::as_str), Some(address), "{line:?}");
    }
}

#[test]
fn a_line_may_contain_several_addresses_or_none() {
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
fn the_title_of_a_link_is_the_rest_of_its_line() {
    let one = |line: &str| {
        let found = links_in(&without_colors(line), false);
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
        ("<http://x.example/ü>!", "http://x.example/%C3%BC", "x.example/ü"),
        ("\x0304http://x.example/\x03 :-)", "http://x.example/", "x.example"),
        // Duplicates count once. A refused address is not left in the title either.
        ("a http://x.example/ b http://X.example b", "http://x.example/", "a b b"),
        ("a http://x.example/ b http://user:secret@y.example/ c", "http://x.example/", "a b c"),
    ] {
        assert_eq!(one(line), (url.to_owned(), title.to_owned()), "{line:?}");
    }
    assert_eq!(links_in("talk of http:// and http://user:secret@y.example/ and ://", false), []);
    let two = links_in("http://a.example/1, http://b.example/2/", false);
    let two: Vec<_> = two.iter().map(|(_, title)| title.as_str()).collect();
    assert_eq!(two, ["a.example/1", "b.example/2"]);
}

/// The address and title of a line. Asserts that `.url` and capture agree on them.
fn shared(line: &str) -> (String, String) {
    let plain = &without_colors(line);
    let (found, title) = read(plain, false);
    let captured = links_in(plain, false).pop().unwrap();
    assert_eq!((found, title), (vec![Ok(captured.0.clone())], captured.1.clone()), "{line:?}");
    captured
}

#[test]
fn decoration_around_an_address_is_not_in_the_title() {
    for line in [
        "http://x.example/a Title A",
        "Title http://x.example/a A",
        "Title A http://x.example/a",
        "<http://x.example/a> Title A",
        "<Title A> http://x.example/a",
        "\"http://x.example/a\" Title A",
        "'http://x.example/a' Title A",
        "“http://x.example/a” Title A",
        "„http://x.example/a“ Title A",
        "« http://x.example/a » Title A",
        "»http://x.example/a« Title A",
        "「http://x.example/a」Title A",
        "(http://x.example/a) Title A",
        "( http://x.example/a ) Title A",
        "(http://x.example/a.) Title A",
        "[http://x.example/a] Title A",
        "[http://x.example/a Title A]",
        "{http://x.example/a} Title A",
        "([\"<http://x.example/a>\"]) Title A",
        "*http://x.example/a* Title A",
        "**http://x.example/a**: Title A",
        "__http://x.example/a__ Title A",
        "~~http://x.example/a~~ Title A",
        "$http://x.example/a$ Title A",
        "`http://x.example/a` Title A",
        "||http://x.example/a|| Title A",
        "| http://x.example/a | Title A |",
        "http://x.example/a, Title A",
        "http://x.example/a: Title A",
        "http://x.example/a; Title A",
        "http://x.example/a - Title A",
        "http://x.example/a -- Title A",
        "http://x.example/a – Title A",
        "http://x.example/a — Title A",
        "http://x.example/a — Title A —",
        "http://x.example/a | Title A",
        "http://x.example/a |Title A",
        "http://x.example/a|Title A",
        "http://x.example/a > Title A",
        "http://x.example/a :: Title A",
        "http://x.example/a -> Title A",
        "http://x.example/a (Title A)",
        "http://x.example/a [Title A]",
        "http://x.example/a: [Title A]",
        "> http://x.example/a Title A",
        "Title A: http://x.example/a",
        "Title A - http://x.example/a",
        "Title A | http://x.example/a",
        "Title A, http://x.example/a",
        "Title A (http://x.example/a)",
        "Title A (<http://x.example/a>)",
        "Title A <http://x.example/a>",
        "<Title A>: http://x.example/a",
        "(Title A) http://x.example/a",
        "<http://x.example/a|Title A>",
        "[Title A](http://x.example/a)",
        "[Title A](<http://x.example/a>)",
        "[Title](http://x.example/a) A",
        "<http://x.example/a|Title> A",
        "http://x.example/a <http://x.example/a> Title A",
        "[http://x.example/a](http://x.example/a) Title A",
        "\u{200b}http://x.example/a Title A",
        "http://x.example/a\u{200b} Title A",
        "\u{2060}http://x.example/a\u{2060} Title A",
        "\u{feff}http://x.example/a\u{feff} Title A",
        "\u{2068}http://x.example/a\u{2069} Title A",
        "\u{200e}http://x.example/a\u{200f} Title A\u{200f}",
        "http://x.example/a\u{ad} Title A",
        "http://x.example/a\u{a0}Title A",
        "http://x.example/a\u{3000}Title\u{3000}A",
        "\x0304http://x.example/a\x03 Title A",
        "(\x0304,12http://x.example/a\x0f) Title A",
        "\x02(\x02http://x.example/a\x02)\x02 \x1dTitle A",
        "\x04ff0000http://x.example/a\x04 Title A",
        "http://x.example/a\x0304 Title A",
        "\x16http://x.example/a\x0fTitle A",
        "http://x.example/a. Title A",
        "http://x.example/a… Title A",
        "http://x.example/a ... Title A",
        "http://x.example/a) Title A",
        ">http://x.example/a< Title A",
        "http://x.example/a => Title A",
        "http://x.example/a → Title A",
        "http://x.example/a · Title A",
        "http://x.example/a Title A;",
        "Title A → http://x.example/a",
        "Title A (http://x.example/a",
        "Title A <http://x.example/a",
        "*http://x.example/a Title A*",
        "*Title A http://x.example/a*",
        "_http://x.example/a Title A_",
        "<http://x.example/a Title A>",
        "*Title A* http://x.example/a",
        "**Title A**: http://x.example/a",
        "_Title A_ - http://x.example/a",
        "[[http://x.example/a Title A]]",
        "http://http://x.example/a Title A",
        "HTTP://X.EXAMPLE/a Title A",
    ] {
        assert_eq!(shared(line), ("http://x.example/a".into(), "Title A".into()), "{line:?}");
    }
}

#[test]
fn cleaning_leaves_the_words_of_a_title_alone() {
    for (line, title) in [
        ("http://x.example/a main() and f(x)", "main() and f(x)"),
        ("http://x.example/a (One) and (Two)", "(One) and (Two)"),
        ("http://x.example/a (Foo (bar))", "(Foo (bar))"),
        ("http://x.example/a \"Title\"", "\"Title\""),
        ("http://x.example/a --help explained", "--help explained"),
        ("http://x.example/a :tada: a release :)", ":tada: a release :)"),
        (":) nice http://x.example/a :-)", ":) nice :-)"),
        ("http://x.example/a C++, C# and .NET", "C++, C# and .NET"),
        ("see http://x.example/a .NET", "see .NET"),
        ("http://x.example/a well-known: a, b", "well-known: a, b"),
        ("[RFC] http://x.example/a [PDF]", "[RFC] [PDF]"),
        ("look at http://x.example/a, great!", "look at, great!"),
        ("Read this http://x.example/a.", "Read this."),
        ("it (http://x.example/a) is", "it is"),
        ("Title (via http://x.example/a)", "Title (via)"),
        ("http://x.example/a. Title", "Title"),
        ("* http://x.example/a Title", "Title"),
        ("Title; http://x.example/a", "Title"),
        ("foo http://x.example/a: bar", "foo bar"),
        ("http://x.example/a -Wall", "-Wall"),
        ("(see http://x.example/a) wiki", "(see) wiki"),
        ("Title (http://x.example/a by alice)", "Title (by alice)"),
        ("Read this http://x.example/a!", "Read this!"),
        ("\"Title http://x.example/a\"", "\"Title\""),
        ("“http://x.example/a Title”", "“Title”"),
        ("«Title http://x.example/a»", "«Title»"),
        ("http://x.example/a *One* and *Two*", "*One* and *Two*"),
        ("http://x.example/a __init__", "__init__"),
        ("http://x.example/a f ( x )", "f ( x )"),
        ("see [the page](http://x.example/a) now", "see the page now"),
        ("see <http://x.example/a|the page> now", "see the page now"),
        ("Title: http://x.example/a #rust", "Title #rust"),
        ("(Title) http://x.example/a #rust", "Title #rust"),
        ("Links (http://x.example/a): http://x.example/a", "Links"),
        ("Ünï – 日本語 http://x.example/a – עברית", "Ünï – 日本語 – עברית"),
        ("\"One\" http://x.example/a \"Two\"", "\"One\" \"Two\""),
    ] {
        assert_eq!(shared(line), ("http://x.example/a".into(), title.into()), "{line:?}");
    }
}

#[test]
fn an_invisible_title_counts_as_no_title() {
    for nothing in [
        "",
        "\u{3164}",
        "\u{2800}",
        "\u{ad}",
        "\u{200e}",
        "\u{200f}\u{200e}",
        "\u{fe0f}",
        "\u{200d}",
        "\u{e0041}",
        "()",
        "-",
        ": |",
    ] {
        let line = format!("http://x.example/a {nothing} {nothing}");
        assert_eq!(read(&line, false).1.trim_matches(['(', ')', ' ']), "", "{nothing:?}");
        assert_eq!(links_in(&line, false)[0].1, "x.example/a", "{nothing:?}");
    }
    for quotes in ["\"\"", "''", "“”"] {
        assert_eq!(read(&format!("http://x.example/a {quotes}"), false).1, "", "{quotes}");
    }
}

#[test]
fn a_refused_address_is_neither_saved_nor_in_the_title() {
    for (line, urls) in [
        ("http://example,com/ T", 0),
        ("https://$HOST/x T", 0),
        ("http://http/ T", 0),
        ("http://https./ T", 0),
        ("http:// T", 0),
        ("http://a.example/1 T http://b.example/2", 2),
        ("http://a.example/1 T http://user:secret@b.example/2", 1),
        ("hxxp://a.example/ T", 0),
        ("http:/a.example/ T", 0),
        ("javascript:alert(1) T", 0),
    ] {
        let (found, title) = read(line, false);
        assert_eq!(found.iter().flatten().count(), urls, "{line:?}");
        assert!(!title.contains("http://"), "{line:?}: {title}");
    }
}

#[test]
fn an_address_at_the_end_of_a_cut_line_is_ignored() {
    let line = "http://a.example/1 and http://b.example/2";
    assert_eq!(links_in(line, true), [("http://a.example/1".into(), "and".into())]);
    assert_eq!(links_in(line, false).len(), 2);
    assert_eq!(links_in(&format!("{line} words"), true).len(), 2);
    // The cut may have left punctuation of the address at the end.
    assert_eq!(links_in(&format!("{line}."), true).len(), 1);
    for after in ["\u{3000}標題", "，标题", "「标题」", "|title", "\ttitle", "\"", ">"] {
        assert_eq!(links_in(&format!("{line}{after}"), true).len(), 2, "{after}");
    }
}

#[test]
fn addresses_after_the_fifth_are_no_links_and_in_no_title() {
    let line: String = (1..8).map(|n| format!("http://x.example/{n} ")).collect();
    let found = links_in(&format!("many: {line}"), false);
    assert_eq!(found.len(), 5);
    assert_eq!(found[4], ("http://x.example/5".into(), "many".into()));
}

#[test]
fn a_line_crafted_to_be_slow_is_not_slow() {
    // Looking back at every bracket would take 10^10 steps.
    let long = 100_000;
    for piece in [
        "(",
        ")",
        "()",
        "[(",
        "http://(",
        ",http:/",
        ".",
        "http://x,",
        "\x03",
        "h",
        "_",
        "~ ",
        "\"",
        ": ",
        "<http://x|",
        "](http://x)",
        "[](http://x)",
        "http://x\u{200b}",
        "http://x ",
        "(http://x) ",
        "#a ",
    ] {
        let many = piece.repeat(long / piece.len());
        let line = format!("{many}http://x.example/{many} http://y.example/");
        assert_eq!(spans(&line).last().unwrap(), "http://y.example/", "{piece}");
        assert!(links_in(&line, false).len() <= 5);
    }
    assert_eq!(split_tags(&" #a".repeat(long)).1.len(), long);
}

/// What people and programs put around an address.
const DECORATIONS: &[(&str, &str)] = &[
    ("", ""),
    ("<", ">"),
    ("(", ")"),
    ("[", "]"),
    ("{", "}"),
    ("\"", "\""),
    ("'", "'"),
    ("`", "`"),
    ("*", "*"),
    ("**", "**"),
    ("_", "_"),
    ("__", "__"),
    ("~~", "~~"),
    ("$", "$"),
    ("||", "||"),
    ("“", "”"),
    ("„", "“"),
    ("«", "»"),
    ("「", "」"),
    ("（", "）"),
    ("**_", "_**"),
    ("(<", ">)"),
    ("", ","),
    ("", ";"),
    ("", ":"),
    ("(*", "*)"),
    ("\"<", ">\""),
];

/// Invisible characters and formatting codes.
const INVISIBLE: &[&str] = &[
    "",
    "",
    "",
    "\u{200b}",
    "\u{feff}",
    "\u{2060}",
    "\u{200e}",
    "\u{2069}",
    "\u{ad}",
    "\x02",
    "\x0f",
    "\x1d",
    "\x0304\x03",
    "\x04ff00aa\x04",
    "\x0312,04\x0f",
];

proptest! {
    #[test]
    fn addresses_found_in_any_text_start_like_one_and_are_in_order(
        text in "(https?://|HTTP://|[()\\[\\]{},.;<>\"'* \x02-\x04\u{200b}«»]|[a-z0-9]|\\PC){0,60}",
    ) {
        let mut end = 0;
        let text = without_colors(&text);
        for span in addresses(&text) {
            prop_assert!(span.start >= end && span.end <= text.len());
            end = span.end;
            let address = text[span].to_lowercase();
            prop_assert!(address.starts_with("http://") || address.starts_with("https://"), "{address}");
            prop_assert!(!address.contains([' ', '<', '>', '"', '\u{200b}']), "{address:?}");
            prop_assert!(!address.ends_with(['.', ',', ';', ':', '!', '?', '\'', '*', '(', '[', '{']), "{address:?}");
        }
        for (url, named) in links_in(&text, false) {
            prop_assert_eq!(address(&url), Ok(url));
            prop_assert!(!named.is_empty() && normalize(&named) == named, "{named:?}");
        }
    }

    #[test]
    fn url_and_capture_see_the_same_address_and_the_same_title(
        address in "(http|https|HTTP|Https)://(x|bücher|日本)\\.example(:80|/[a-z]{1,3}(_\\([a-z]{1,3}\\))?|/ä/|\\?q=[a-z]{1,3}&r|/#L1)?",
        words in "[A-ZÄ日][a-zö]{0,5}( [a-z0-9é]{1,5}){0,3}",
        around in prop::sample::select(DECORATIONS),
        form in 0..7usize,
        codes in prop::collection::vec(prop::sample::select(INVISIBLE), 3),
    ) {
        let (open, close) = around;
        let inner = format!("{}{address}{}", codes[0], codes[1]);
        let decorated = format!("{}{open}{inner}{close}", codes[2]);
        let line = match form {
            0 => format!("{decorated} {words}"),
            1 => format!("{words} {decorated}"),
            2 => format!("{words}: {decorated}"),
            3 => format!("{decorated} - {words}"),
            4 => format!("{words} ({decorated})"),
            5 => format!("<{address}|{words}>"),
            _ => format!("[{words}]({address})"),
        };
        let stored = crate::link::address(&address).unwrap();
        prop_assert_eq!(shared(&line), (stored, words), "{:?}", line);
    }

    #[test]
    fn an_address_among_words_is_found_whole(
        before in "([a-z]{1,5} ){0,3}[(\"«*]?",
        path in "[a-z0-9/~_=&%+-]{0,20}(\\([a-z]{1,5}\\))?[a-z0-9/]",
        after in "[).,;:!?'\"*»]{0,4}( [a-z]{1,5}){0,3}",
    ) {
        let address = format!("http://x.example/{path}");
        let text = format!("{before}{address}{after}");
        prop_assert_eq!(spans(&text), [address]);
    }
}
