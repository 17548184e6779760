use std::borrow::Cow;

use proptest::prelude::*;

use crate::irc::message::*;

fn params(line: &str) -> Vec<String> {
    Message::parse(line.as_bytes()).unwrap().params().map(|p| text(p).into_owned()).collect()
}

fn tag(line: &str, name: &str) -> Option<String> {
    Message::parse(line.as_bytes()).unwrap().tag(name).map(Cow::into_owned)
}

fn arrive(lines: &mut Lines, bytes: &[u8]) {
    let space = lines.space();
    assert!(space.len() > AT_ONCE / 2);
    space[..bytes.len()].copy_from_slice(bytes);
    lines.end += bytes.len();
}

/// The lines in `pieces` that are not empty. The pieces arrive one by one.
fn lines<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<Vec<u8>> {
    let (mut lines, mut found) = (Lines::new(), Vec::new());
    for piece in pieces {
        arrive(&mut lines, piece);
        while let Some(line) = lines.next() {
            found.extend((!line.is_empty()).then(|| line.to_vec()));
        }
        assert!(lines.end - lines.start <= LONGEST_LINE, "more than the longest line is buffered");
    }
    found
}

#[test]
fn tags_and_a_source_may_precede_any_line() {
    let message =
        Message::parse(b"@time=x;account=bob :alice!a@host PRIVMSG #dev :.url x").unwrap();
    assert_eq!(message.source, b"alice!a@host");
    assert_eq!(message.nick(), b"alice");
    assert_eq!(message.verb, b"PRIVMSG");
    assert_eq!(message.tag("account").unwrap(), "bob");
    assert_eq!(message.param(1), b".url x");

    let bare = Message::parse(b"PING x").unwrap();
    assert_eq!((bare.source, bare.verb, bare.param(0)), (&b""[..], &b"PING"[..], &b"x"[..]));
    assert_eq!(Message::parse(b"@a=b PING x").unwrap().verb, b"PING");
    assert_eq!(Message::parse(b":server  PING   x").unwrap().param(0), b"x");
}

#[test]
fn the_trailing_parameter_is_just_the_last() {
    assert_eq!(params("JOIN #dev"), params("JOIN :#dev"));
    assert_eq!(params("PRIVMSG #dev :a b  c "), ["#dev", "a b  c "]);
    assert_eq!(params("PRIVMSG #dev ::)"), ["#dev", ":)"]);
    assert_eq!(params("PRIVMSG #dev a:b"), ["#dev", "a:b"]);
    assert_eq!(params("CAP * LS :"), ["*", "LS", ""]);
    assert_eq!(params("AWAY  "), Vec::<String>::new());
}

#[test]
fn there_may_be_any_number_of_parameters() {
    let many: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    assert_eq!(params(&format!("005 {}", many.join(" "))), many);
    assert_eq!(Message::parse(b"QUIT").unwrap().param(3), b"");
}

#[test]
fn a_line_without_a_verb_is_no_message() {
    for line in ["", " ", "@a=b", "@a=b ", ":server", ":server ", "@a=b :server"] {
        assert!(Message::parse(line.as_bytes()).is_none(), "{line:?}");
    }
}

#[test]
fn tag_values_are_unescaped() {
    assert_eq!(tag(r"@a=\:\s\\\r\n PING", "a").unwrap(), "; \\\r\n");
    assert_eq!(
        tag(r"@a=x\b\ PING", "a").unwrap(),
        "xb",
        "other escapes only lose their backslash, and a lone last one is dropped"
    );
}

#[test]
fn a_tag_is_found_by_its_whole_name_and_the_last_one_counts() {
    assert_eq!(tag("@bot PING", "bot").unwrap(), "");
    assert_eq!(tag("@bot= PING", "bot").unwrap(), "");
    assert_eq!(tag("@bots=1;+bot=1 PING", "bot"), None);
    assert_eq!(tag("@account=a;account=b PING", "account").unwrap(), "b");
    assert_eq!(tag("PING", "bot"), None);
}

#[test]
fn the_nick_is_the_source_without_user_and_host() {
    let nick = |line: &'static [u8]| Message::parse(line).unwrap().nick();
    assert_eq!(nick(b":alice!a@host QUIT"), b"alice");
    assert_eq!(nick(b":alice@host QUIT"), b"alice");
    assert_eq!(nick(b":irc.example.org NOTICE * :x"), b"irc.example.org");
    assert_eq!(nick(b"PING x"), b"");
}

#[test]
fn text_is_utf_8_and_each_other_byte_is_latin_1() {
    let message = Message::parse(b"PRIVMSG #caf\xe9 :gr\xc3\xbc\xc3\x9f").unwrap();
    assert_eq!(message.text(0), "#caf\u{e9}");
    assert_eq!(message.text(1), "gr\u{fc}\u{df}");
    for (bytes, decoded) in [
        (&b"K\xc3\xb6ln \xe9 \xff K\xc3\xb6ln"[..], "K\u{f6}ln \u{e9} \u{ff} K\u{f6}ln"),
        // Servers cut a line in the middle of a character, here of two, three and four bytes.
        (b"K\xc3\xb6ln A\xc3", "K\u{f6}ln A"),
        (b"K\xc3\xb6ln \xe2", "K\u{f6}ln "),
        (b"K\xc3\xb6ln \xe2\x82", "K\u{f6}ln "),
        (b"\xf0\x9f\x8e\x89\xf0\x9f\x8e", "\u{1f389}"),
        (b"\xc3\xb6 caf\xe9", "\u{f6} caf"),
        // Without other UTF-8 in the line, this is a whole Latin-1 character.
        (b"caf\xe9", "caf\u{e9}"),
        (b"\xe9t\xe9", "\u{e9}t\u{e9}"),
        // These lines do not end with the beginning of a character.
        (b"\xc3\xb6 \xff", "\u{f6} \u{ff}"),
        (b"\xc3\xb6 \xb6", "\u{f6} \u{b6}"),
        (b"\xc3\xb6 \xc3.", "\u{f6} \u{c3}."),
    ] {
        assert_eq!(text(bytes), decoded, "{bytes:?}");
    }
}

#[test]
fn only_a_last_parameter_that_needs_a_colon_gets_one() {
    assert_eq!(format("JOIN #dev", "key", 512), "JOIN #dev key\r\n");
    assert_eq!(format("PRIVMSG #dev", "a b", 512), "PRIVMSG #dev :a b\r\n");
    assert_eq!(format("PRIVMSG #dev", ":)", 512), "PRIVMSG #dev ::)\r\n");
    assert_eq!(format("QUIT", "", 512), "QUIT\r\n");
}

#[test]
fn cr_lf_and_nul_are_never_sent() {
    assert_eq!(format("PRIVMSG #dev", "a\r\nQUIT\0b", 512), "PRIVMSG #dev :a  QUIT b\r\n");
    assert_eq!(format("NICK a\rb", "c\0", 512), "NICK a b :c \r\n");
}

#[test]
fn a_line_that_is_too_long_is_cut_between_characters() {
    let cut = |most| format("PONG", "x \u{e4}\u{e4}", most);
    assert_eq!(cut(14), "PONG :x \u{e4}\u{e4}\r\n");
    assert_eq!(cut(13), "PONG :x \u{e4}\r\n");
    assert_eq!(cut(12), "PONG :x \u{e4}\r\n");
    assert_eq!(cut(0), "\r\n");
}

#[test]
fn a_line_ends_with_cr_lf_or_a_bare_lf() {
    assert_eq!(lines([&b"A\r\nB\n\r\n\n\nC\rD\r\r\n"[..]]), [&b"A"[..], b"B", b"C\rD\r"]);
}

#[test]
fn an_incomplete_line_is_not_returned() {
    assert_eq!(lines([&b"PING x"[..]]), [b""; 0]);
    assert_eq!(lines([&b"PIN"[..], b"G x\r", b"\nPI"]), [b"PING x"]);
}

#[test]
fn a_line_of_8703_bytes_is_returned_and_a_longer_one_is_dropped() {
    let longest = [vec![b'a'; 8703 - 2], b"\r\n".to_vec()].concat();
    let longer = [vec![b'b'; 8703 - 1], b"\r\n".to_vec()].concat();
    let all = [longest.as_slice(), &longer, b"PING x\r\n"].concat();
    for size in [1, 100, 8702, 8703, 8704, all.len()] {
        assert_eq!(lines(all.chunks(size)), [&longest[..8701], b"PING x"], "in pieces of {size}");
    }
}

#[test]
fn an_endless_line_is_not_buffered() {
    let piece = [b'x'; 16 * 1024];
    let mut lines = Lines::new();
    for _ in 0..100 {
        arrive(&mut lines, &piece);
        assert_eq!(lines.next(), None);
        assert!(lines.end - lines.start <= LONGEST_LINE);
    }
    arrive(&mut lines, b"\nPING x\n");
    assert_eq!(lines.next(), Some(&b""[..]));
    assert_eq!(lines.next(), Some(&b"PING x"[..]));
}

proptest! {
    #[test]
    fn any_bytes_parse_without_a_panic(line: Vec<u8>) {
        if let Some(message) = Message::parse(&line) {
            prop_assert!(message.params().all(|p| p.len() < line.len()));
            prop_assert!(message.nick().len() <= message.source.len());
            let _ = (message.tag("time"), message.text(0), message.text(7));
        }
    }

    #[test]
    fn text_in_utf_8_survives_any_other_bytes_around_it(
        before in prop::collection::vec(0x80u8..=0xff, 0..4),
        words in "[a-zö日]{0,5}!",
        after: Vec<u8>,
    ) {
        let line = [before.as_slice(), b" ", words.as_bytes(), &after].concat();
        let decoded = text(&line);
        prop_assert!(decoded.contains(&words), "{decoded:?}");
    }

    #[test]
    fn almost_valid_lines_parse_without_a_panic(
        line in r"(@[a;=\\: ]{0,9} ?)?(:[a!@ ]{0,5} ?)?[A-Z]{0,4}( :?[a ]{0,3}){0,5}",
    ) {
        if let Some(message) = Message::parse(line.as_bytes()) {
            let _ = (message.params().count(), message.tag("a"), message.nick());
        }
    }

    #[test]
    fn a_formatted_line_parses_back_to_itself(
        verb in "[A-Z]{1,8}",
        middle in prop::collection::vec(r"[^ :\r\n\x00][^ \r\n\x00]{0,9}", 0..4),
        last in r"[^\r\n\x00]{1,40}",
    ) {
        let all: Vec<&str> = middle.iter().chain([&last]).map(String::as_str).collect();
        let start = [&[verb.as_str()], &all[..middle.len()]].concat().join(" ");
        let line = format(&start, &last, usize::MAX);
        let found = lines([line.as_bytes()]);
        prop_assert_eq!(found.len(), 1);
        let message = Message::parse(&found[0]).unwrap();
        prop_assert_eq!(message.verb, verb.as_bytes());
        let parsed: Vec<_> = message.params().map(text).collect();
        prop_assert_eq!(parsed, all);
    }

    #[test]
    fn any_text_is_formatted_as_one_line(start in r"(?s).{0,9}", last in r"(?s).{0,9}") {
        let line = format(&start, &last, usize::MAX);
        let inner = line.strip_suffix("\r\n").unwrap();
        prop_assert!(!inner.contains(['\r', '\n', '\0']));
    }

    #[test]
    fn the_lines_do_not_depend_on_the_pieces(
        parts in prop::collection::vec(prop_oneof![
            Just(b"\n".to_vec()), Just(b"\r\n".to_vec()), Just(b"PING x\r\n".to_vec()),
            Just(vec![b'x'; 8699]), prop::collection::vec(any::<u8>(), 0..6),
        ], 0..12),
        sizes in prop::collection::vec(1usize..9000, 1..8),
    ) {
        let all = parts.concat();
        let (mut pieces, mut rest) = (Vec::new(), all.as_slice());
        for &size in sizes.iter().cycle() {
            if rest.is_empty() { break }
            let (piece, after) = rest.split_at(size.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        // The same result, computed another way.
        let whole: Vec<&[u8]> = all.split_inclusive(|&b| b == b'\n')
            .filter(|line| line.ends_with(b"\n") && line.len() <= LONGEST_LINE)
            .map(|line| line.strip_suffix(b"\r\n").or(line.strip_suffix(b"\n")).unwrap())
            .filter(|line| !line.is_empty())
            .collect();
        prop_assert_eq!(lines(pieces), whole);
    }
}
