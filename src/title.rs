//! Titles: what people typed, as it is stored, and what remains of a line whose address was taken out.

use std::borrow::Cow;

/// Stand between a title and its address.
const SEPARATORS: &str = " -–—:|,;>";

/// Brackets that people put around an address or a whole title.
const BRACKETS: &str = "() [] {} <> （） ［］ ｛｝ ＜＞ 【】 「」 『』 〈〉 《》";

/// Quotes, and the marks that make text bold, italic, struck out, code or a spoiler.
const QUOTES: &str = "\"\" '' `` ** __ ~~ $$ || “” „“ „” ”” «» »« ‹› ›‹ ‘’ ‚‘ ’’";

/// Returns the title as it is stored: without IRC formatting, control characters, bidirectional overrides and
/// what XML forbids, and with single spaces. Empty if nothing is left.
pub fn normalize(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in without_colors(text).chars() {
        match c {
            '!'..='~' => out.push(c),
            // NEL is white space to Unicode, but a C1 control first.
            '\u{85}' => {}
            c if c.is_whitespace() && out.ends_with(' ') => {}
            c if c.is_whitespace() => out.push(' '),
            c if c.is_control() => {}
            '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {}
            c => out.push(c),
        }
    }
    // A zero-width space may be between words, but a title of nothing else is an empty one.
    out.trim_matches([' ', '\u{200b}']).to_owned()
}

/// Returns the title that `words` make, the rest of a line whose address was taken out. Empty if it shows nothing.
pub fn tidy(words: &str) -> String {
    let line = (normalize(words) + " ").replace(" , ", ", ").replace(" . ", ". ");
    let line = line.trim_end();
    let (said, _) = split_tags(line);
    let title = without_separators(without_brackets(without_separators(said)));
    let tags = &line[said.len()..];
    let title = normalize(&[title, tags].concat());
    if title.chars().all(shows_nothing) { String::new() } else { title }
}

/// Removes the separators at both ends. In a smiley, a shortcode (`:tada:`), an option (`--help`), an HTML
/// entity and at the end of `<Title>` they only look like separators.
fn without_separators(text: &str) -> &str {
    let is_separator = |c| SEPARATORS.contains(c) || is_invisible(c);
    let is_word = |word: &str| {
        let is_smiley = !word.contains(char::is_alphanumeric);
        let is_shortcode = word.starts_with(':') && word.ends_with(':');
        let is_option = word.starts_with("--");
        let is_entity = word.contains('&') && word.ends_with(';');
        !word.chars().all(is_separator) && (is_smiley || is_shortcode || is_option || is_entity)
    };
    let rest = text.trim_start_matches(is_separator);
    let start = text[..text.len() - rest.len()].rfind(' ').map_or(0, |space| space + 1);
    let first = text[start..].split(' ').next().unwrap_or_default();
    let text = if is_word(first) { &text[start..] } else { rest };

    let mut end = text.trim_end_matches(is_separator).len();
    let last_end = text[end..].find(' ').map_or(text.len(), |space| end + space);
    let last = text[..last_end].rsplit(' ').next().unwrap_or_default();
    if is_word(last) {
        end = last_end;
    } else if text[end..].starts_with('>') {
        end += 1;
    }
    &text[..end]
}

/// Removes one pair of brackets around the whole text.
fn without_brackets(text: &str) -> &str {
    let mut chars = text.chars();
    let (Some(open), Some(close)) = (chars.next(), chars.next_back()) else { return text };
    if !is_pair(BRACKETS, open, close) {
        return text;
    }
    let mut depth = 1;
    for c in chars.clone() {
        depth += i32::from(c == open) - i32::from(c == close);
        if depth == 0 {
            return text;
        }
    }
    chars.as_str()
}

fn is_pair(pairs: &str, open: char, close: char) -> bool {
    pairs.split(' ').any(|pair| pair.chars().eq([open, close]))
}

/// Finds what was put around an address and is empty without it: brackets or quotes between `before` and `after`.
/// Returns what is left of both.
pub fn without_emptied<'a>(before: &'a str, after: &'a str) -> Option<(&'a str, &'a str)> {
    let is_ignored =
        |c: char| c.is_whitespace() || c.is_control() || is_invisible(c) || ".,;:!?".contains(c);
    let left = before.trim_end_matches(is_ignored);
    let right = after.trim_start_matches(is_ignored);
    let (open, close) = (left.chars().next_back()?, right.chars().next()?);
    let gaps = [&before[left.len()..], &after[..after.len() - right.len()]];
    // French has spaces inside of its quotes.
    let is_adjacent = open == '«' || !gaps.iter().any(|gap| gap.contains(char::is_whitespace));
    if is_pair(BRACKETS, open, close) || is_adjacent && is_pair(QUOTES, open, close) {
        return Some((left.strip_suffix(open)?, right.strip_prefix(close)?));
    }
    None
}

/// Splits a title into its words and the tags at its end, which are given without their `#`.
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
    // Without tags, the punctuation at its end is the title's own.
    (words.trim_end_matches(' '), tags)
}

/// The tag in a word like `#node.js`: it starts with a letter or digit and has at least one letter.
fn tag(word: &str) -> Option<&str> {
    let tag = word.strip_prefix('#')?;
    (tag.contains(char::is_alphabetic) && clean_tag(tag) == tag).then_some(tag)
}

/// The longest tag, in characters: Scuttle cannot store a longer one.
const LONGEST_TAG: usize = 32;

/// Drops from `text` what cannot be in a tag. Returns an empty tag if nothing is left.
pub fn clean_tag(text: &str) -> String {
    let can_start = |c: char| c.is_alphanumeric();
    let can_follow = |c: &char| can_start(*c) || matches!(c, '-' | '_' | '+' | '.');
    let tag = text.trim_start_matches(|c| !can_start(c)).chars().filter(can_follow);
    tag.take(LONGEST_TAG).collect::<String>().trim_end_matches('.').to_owned()
}

/// True for characters that take up no visible space: fillers, joiners, and marks for the direction of text.
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || "\u{ad}\u{34f}\u{61c}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{180e}\u{2800}\u{3164}\u{feff}\u{ffa0}\u{fff9}\u{fffa}\u{fffb}\u{fffc}\u{fffe}\u{ffff}".contains(c)
}

/// Variation selectors and the characters of emoji flags change the look of what is before them.
fn shows_nothing(c: char) -> bool {
    is_invisible(c)
        || c.is_whitespace()
        || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}

/// Replaces every IRC color code with a plain control character: its digits are not text.
///
/// \x03 takes up to two digits twice, as in `12,34`; \x04 takes six hex digits twice.
pub fn without_colors(text: &str) -> Cow<'_, str> {
    let mut rest = text;
    let mut plain = String::new();
    while let Some(start) = rest.bytes().position(|b| matches!(b, b'\x03' | b'\x04')) {
        plain += &rest[..start];
        plain.push('\x0f');
        let (most, digit): (usize, fn(&u8) -> bool) = match rest.as_bytes()[start] {
            b'\x03' => (2, u8::is_ascii_digit),
            _ => (6, u8::is_ascii_hexdigit),
        };
        let digits = |text: &str| text.bytes().take(most).take_while(digit).count();
        let (foreground, after) = rest[start + 1..].split_at(digits(&rest[start + 1..]));
        rest = match after.strip_prefix(',') {
            Some(background) if !foreground.is_empty() && digits(background) > 0 => {
                &background[digits(background)..]
            }
            _ => after,
        };
    }
    if plain.is_empty() { text.into() } else { (plain + rest).into() }
}

#[cfg(test)]
#[path = "../tests/unit/title.rs"]
mod tests;
