//! Titles and tags: cleans what people typed, and makes a title of the words around an address.

use std::borrow::Cow;

/// The placeholder for an address while the rest of its line becomes a title: OBJECT REPLACEMENT
/// CHARACTER.
pub const ADDRESS: &str = "\u{fffc}";

/// Marks that people and programs put around an address (`@`), and between several addresses.
const AROUND: &str = "(@)/( @ )/(@.)/(@,)/(@;)/(@:)/[@]/{@}/<@>/<URL:@>/\"@\"/'@'/`@`/*@*/_@_/~@~/\
    $@$/|@|/“@”/„@“/„@”/”@”/«@»/« @ »/»@«/‹@›/‘@’/「@」/『@』/（@）/【@】/《@》/〈@〉/\
    @:/@;/;@/; @/@ @/@, @";

/// Separators before or after a title; `@` is the start or the end of the line.
const SEPARATORS: &str = "@ /@- /@-- /@–/@—/@: /@:: /@|/@,/@;/@>/@-> /@=> /@→ /@. /@... /@… /@! /\
    @? /@。/@，/@：/@* /@• /@· /@< /@) /@] /@} /@.@/@\"\"@/@''@/@“”@/ @/\
    -@/–@/—@/:@/|@/,@/;@/ >@/ ->@/ =>@/ →@/ ·@/ <@/ (@/ [@/ {@";

/// An address (`@`) that would leave an extra space next to a mark: `(see http://example.com/)`.
const SPACED: &str =
    " @)/ @]/ @}/ @>/ @!/ @?/ @*/ @\"/ @”/ @»/(@ /[@ /{@ /<@ /*@ /_@ /\"@ /“@ /„@ /«@ ";

/// Brackets, or marks for emphasis, around a whole title (`…`).
const BRACKETS: &str = "@(…)@ @[[…]]@ @[…]@ @{…}@ @<…>@ @（…）@ @「…」@ @**…**@ @*…*@ @_…_@";

/// Returns the title as it is stored: with single spaces, without IRC formatting, control
/// characters, bidirectional overrides and what XML forbids. Empty if nothing is left.
pub fn normalize(text: &str) -> String {
    // This runs for every line of the journal that is read, and most titles are clean.
    if text.bytes().all(|b| matches!(b, b' '..=b'~')) && !text.contains("  ") {
        return text.trim().to_owned();
    }
    let is_dropped = |c: char| {
        // U+0085 is both a control and white space.
        c.is_control() && !c.is_whitespace()
            || "\u{85}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\
                \u{feff}\u{fffe}\u{ffff}"
                .contains(c)
    };
    let text = without_colors(text).replace(is_dropped, "");
    let words: Vec<&str> = text.split_whitespace().collect();
    // A zero-width space may be between words, but a title that has nothing else is empty.
    words.join(" ").trim_matches([' ', '\u{200b}']).to_owned()
}

/// Returns the title in a line in which [`ADDRESS`] replaces each address. Empty if nothing is
/// visible.
pub fn tidy(line: &str) -> String {
    // Slack writes `<address|Title>`, Markdown `[Title](address)`.
    let mut line = without_pair(collapse(normalize(line), AROUND), "<@|…> […]@");
    for pattern in SPACED.split('/') {
        line = line.replace(&pattern.replace('@', ADDRESS), pattern.trim_matches([' ', '@']));
    }
    let line = normalize(&line.replace(ADDRESS, " ")) + " ";
    let line = line.replace(" , ", ", ").replace(" . ", ". ");
    let (words, _) = split_tags(line.trim_end());
    let tags = &line[words.len()..];
    // The semicolon of `&lt;` is not a separator.
    let last = words.rsplit(' ').next().unwrap_or_default();
    let end = if last.starts_with('&') && last.ends_with(';') { ";" } else { "" };
    let words = collapse(format!("{ADDRESS}{words}{ADDRESS}"), SEPARATORS);
    let words = without_pair(words, BRACKETS).replace(ADDRESS, "");
    let title = normalize(&(words + end + tags));
    let shows = |c| c != ' ' && c != '\u{fe0f}' && !is_invisible(c);
    if title.contains(shows) { title } else { String::new() }
}

/// Replaces each pattern with its address, even if patterns are nested or contain invisible
/// characters.
fn collapse(mut line: String, patterns: &str) -> String {
    let patterns = patterns.replace('@', ADDRESS);
    for _ in 0..4 {
        let pieces = line.split(ADDRESS).map(|piece| piece.trim_matches(is_invisible));
        let mut shorter = pieces.collect::<Vec<_>>().join(ADDRESS);
        for pattern in patterns.split('/') {
            // Most patterns are not in the line, and `contains` is faster than `replace`.
            if shorter.contains(pattern) {
                shorter = shorter.replace(pattern, ADDRESS);
            }
        }
        if shorter == line {
            break;
        }
        line = shorter;
    }
    line
}

/// Removes the first of these pairs that the line contains, and keeps the text inside it. `@` is an
/// address.
fn without_pair(line: String, pairs: &str) -> String {
    for pair in pairs.replace('@', ADDRESS).split(' ') {
        let (open, close) = pair.split_once('…').unwrap_or_default();
        if let Some((before, rest)) = line.split_once(open)
            && let Some((inner, after)) = rest.split_once(close)
            && !inner.contains(open.trim_start_matches(ADDRESS))
        {
            return format!("{before}{inner}{after}");
        }
    }
    line
}

/// Splits a title into its words and the tags at its end, which are returned without their `#`.
///
/// Spaces or commas separate the tags: `Title #rust, #web`. A tag like `#node.js` starts with a
/// letter or digit and has at least one letter.
pub fn split_tags(title: &str) -> (&str, Vec<&str>) {
    let mut tags = Vec::new();
    let mut words = title;
    loop {
        let rest = words.trim_end_matches(|c| " ,;.:!?".contains(c));
        let start = rest.rfind([' ', ',']).map_or(0, |separator| separator + 1);
        let Some(tag) = rest[start..].strip_prefix('#') else { break };
        if !tag.contains(char::is_alphabetic) || clean_tag(tag) != tag {
            break;
        }
        tags.push(tag);
        words = &rest[..start];
    }
    tags.reverse();
    // Without tags, punctuation at the end belongs to the title.
    (words.trim_end_matches(' '), tags)
}

/// Drops the characters that a tag cannot contain. Returns an empty tag if nothing is left.
pub fn clean_tag(text: &str) -> String {
    let text = text.trim_start_matches(|c: char| !c.is_alphanumeric());
    let tag = text.chars().filter(|&c| c.is_alphanumeric() || "-_+.".contains(c));
    // Scuttle cannot store a longer one.
    tag.take(32).collect::<String>().trim_end_matches('.').to_owned()
}

/// True for invisible characters: controls, fillers, joiners, and marks for the direction of text.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{e0000}'..='\u{e0fff}')
        || "\u{ad}\u{34f}\u{61c}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{180e}\u{2800}\u{3164}\u{feff}\
            \u{ffa0}\u{fff9}\u{fffa}\u{fffb}\u{fffc}\u{fffe}\u{ffff}"
            .contains(c)
}

/// True for white space, formatting codes and invisible characters.
pub fn is_blank(c: char) -> bool {
    c.is_whitespace() || is_invisible(c)
}

/// Replaces every IRC color code with a plain control character: its digits are not text.
pub fn without_colors(text: &str) -> Cow<'_, str> {
    // Few of the lines that get here contain a color code.
    if !text.contains(['\x03', '\x04']) {
        return text.into();
    }
    without_codes(&without_codes(text, '\x03', 2, 10), '\x04', 6, 16).into()
}

/// Replaces each code with a plain control character. A code is `control`, followed by up to two
/// numbers of at most `most` digits each, separated by a comma: `12,34`.
fn without_codes(text: &str, control: char, most: usize, radix: u32) -> String {
    let count = |text: &str| text.chars().take(most).take_while(|c| c.is_digit(radix)).count();
    let mut pieces = text.split(control);
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let foreground = count(piece);
        let mut rest = &piece[foreground..];
        let background = rest.strip_prefix(',').map_or(0, count);
        if foreground > 0 && background > 0 {
            rest = &rest[1 + background..];
        }
        plain = plain + "\x0f" + rest;
    }
    plain
}
