//! Titles and tags: cleans what people typed, and makes a title of the words around an address.

use std::borrow::Cow;

/// The placeholder for an address while the rest of its line becomes a title: OBJECT REPLACEMENT
/// CHARACTER.
pub const ADDRESS: &str = "\u{fffc}";

/// Marks that people and programs put around an address (`@`), and between several addresses.
const AROUND: &str = "(@)/( @ )/(@.)/(@,)/(@;)/(@:)/[@]/{@}/<@>/<URL:@>/\"@\"/'@'/`@`/*@*/_@_/~@~/\
    $@$/|@|/“@”/„@“/„@”/”@”/«@»/« @ »/»@«/‹@›/‘@’/「@」/『@』/（@）/【@】/《@》/〈@〉/\
    @:/@;/;@/; @/@ @/@, @";

/// Separators between a title and the ends of its line (`@`).
const SEPARATORS: &str = "@ /@- /@-- /@–/@—/@: /@:: /@|/@,/@;/@>/@-> /@=> /@→ /@. /@... /@… /@! /\
    @? /@。/@，/@：/@* /@• /@· /@< /@) /@] /@} /@.@/@\"\"@/@''@/@“”@/ @/\
    -@/–@/—@/:@/|@/,@/;@/ >@/ ->@/ =>@/ →@/ ·@/ <@/ (@/ [@/ {@";

/// An address (`@`) that would leave an extra space next to a mark: `(see http://example.com/)`.
const SPACED: &str =
    " @)/ @]/ @}/ @>/ @!/ @?/ @*/ @\"/ @”/ @»/(@ /[@ /{@ /<@ /*@ /_@ /\"@ /“@ /„@ /«@ ";

/// Returns the title as it is stored: with single spaces, without IRC formatting, control
/// characters, bidirectional overrides and what XML forbids. Empty if nothing is left.
pub fn normalize(text: &str) -> String {
    let is_dropped = |c: char| match c {
        // White space in Unicode, but treated as a control character here.
        '\u{85}' => true,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        '\u{feff}' | '\u{fffe}' | '\u{ffff}' => true,
        _ => c.is_control() && !c.is_whitespace(),
    };
    let text = without_colors(text).replace(is_dropped, "");
    let words: Vec<&str> = text.split_whitespace().collect();
    // A zero-width space may be between words, but a title that has nothing else is empty.
    words.join(" ").trim_matches([' ', '\u{200b}']).to_owned()
}

/// Returns the title in a line in which [`ADDRESS`] replaces each address. Empty if nothing is
/// visible.
pub fn tidy(line: &str) -> String {
    let mut line = collapse(normalize(line), AROUND);
    // Slack writes `<address|Title>`, Markdown `[Title](address)`.
    if let Some((before, after)) = line.split_once("<\u{fffc}|") {
        line = format!("{before}{}", after.replacen('>', "", 1));
    }
    if let Some((before, after)) = line.split_once("]\u{fffc}")
        && let Some((start, label)) = before.rsplit_once('[')
    {
        line = format!("{start}{label}{after}");
    }
    for pattern in SPACED.split('/') {
        line = line.replace(&pattern.replace('@', ADDRESS), pattern.trim_matches([' ', '@']));
    }
    let line = normalize(&line.replace(ADDRESS, " ")) + " ";
    let line = line.replace(" , ", ", ").replace(" . ", ". ");
    let (words, _) = split_tags(line.trim_end());
    let tags = &line[words.len()..];
    let words = collapse(format!("{ADDRESS}{words}{ADDRESS}"), SEPARATORS).replace(ADDRESS, "");
    let title = normalize(&format!("{}{tags}", without_brackets(&words)));
    let shows = |c| c != ' ' && c != '\u{fe0f}' && !is_invisible(c);
    if title.contains(shows) { title } else { String::new() }
}

/// Replaces each pattern with its address, even if patterns are nested or contain invisible
/// characters.
fn collapse(mut line: String, patterns: &str) -> String {
    for _ in 0..4 {
        let pieces = line.split(ADDRESS).map(|piece| piece.trim_matches(is_invisible));
        line = pieces.collect::<Vec<_>>().join(ADDRESS);
        for pattern in patterns.split('/') {
            line = line.replace(&pattern.replace('@', ADDRESS), ADDRESS);
        }
    }
    line
}

/// Removes one pair of brackets, or of marks for emphasis, around the whole text.
fn without_brackets(text: &str) -> &str {
    for pair in ["()", "[[]]", "[]", "{}", "<>", "（）", "「」", "****", "**", "__"] {
        let (open, close) = pair.split_at(pair.len() / 2);
        if let Some(inner) = text.strip_prefix(open)
            && let Some(inner) = inner.strip_suffix(close)
            && !inner.contains(open)
        {
            return inner;
        }
    }
    text
}

/// Splits a title into its words and the tags at its end, which are returned without their `#`.
///
/// Spaces or commas separate the tags: `Title #rust, #web`.
pub fn split_tags(title: &str) -> (&str, Vec<&str>) {
    let mut tags = Vec::new();
    let mut words = title;
    loop {
        let rest = words.trim_end_matches([' ', ',']);
        let start = rest.rfind(' ').map_or(0, |space| space + 1);
        let last = rest[start..].trim_end_matches([',', ';', '.', ':', '!', '?']);
        let Some(found) = last.rsplit(',').map(tag).collect::<Option<Vec<_>>>() else { break };
        tags.extend(found);
        words = &rest[..start];
    }
    tags.reverse();
    // Without tags, punctuation at the end belongs to the title.
    (words.trim_end_matches(' '), tags)
}

/// The tag in a word like `#node.js`: it starts with a letter or digit and has at least one letter.
fn tag(word: &str) -> Option<&str> {
    let tag = word.strip_prefix('#')?;
    (tag.contains(char::is_alphabetic) && clean_tag(tag) == tag).then_some(tag)
}

/// The longest tag, in characters: Scuttle cannot store a longer one.
const LONGEST_TAG: usize = 32;

/// Drops the characters that a tag cannot contain. Returns an empty tag if nothing is left.
pub fn clean_tag(text: &str) -> String {
    let can_start = |c: char| c.is_alphanumeric();
    let can_follow = |c: &char| can_start(*c) || matches!(c, '-' | '_' | '+' | '.');
    let tag = text.trim_start_matches(|c| !can_start(c)).chars().filter(can_follow);
    tag.take(LONGEST_TAG).collect::<String>().trim_end_matches('.').to_owned()
}

/// True for invisible characters: controls, fillers, joiners, and marks for the direction of text.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{e0000}'..='\u{e0fff}')
        || "\u{ad}\u{34f}\u{61c}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{180e}\u{2800}\u{3164}\u{feff}\
            \u{ffa0}\u{fff9}\u{fffa}\u{fffb}\u{fffc}\u{fffe}\u{ffff}"
            .contains(c)
}

/// Replaces every IRC color code with a plain control character: its digits are not text.
pub fn without_colors(text: &str) -> Cow<'_, str> {
    // This runs for most lines of every channel.
    if !text.contains(['\x03', '\x04']) {
        return text.into();
    }
    without_codes(&without_codes(text, '\x03', 2, 10), '\x04', 6, 16).into()
}

/// A code is a control character and up to `most` digits twice, as in `12,34`.
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
