//! Finds the addresses in a line. `.url` and capture both use it, so they agree on where an address ends
//! and on which words are its title.

use std::ops::Range;

use crate::link::{address, begins_address, readable};
use crate::title::{is_invisible, normalize, split_tags, tidy, without_colors, without_emptied};

/// The most links that are made of one line.
const MAX_LINKS: usize = 5;

/// Marks that people put directly before and after an address, and that an address may contain.
const MARKS: &str = "_~$";

/// What a line contains.
#[derive(Default)]
pub struct Found {
    /// Each address once, as it is stored, and at most [`MAX_LINKS`].
    pub urls: Vec<String>,
    /// Why the first address that cannot be saved was refused.
    pub refused: Option<String>,
    /// The words around the addresses; may be empty.
    pub title: String,
    /// An address is the last thing in the line. If the line was cut, so was the address.
    pub ends_in_address: bool,
}

/// Reads one line of talk, or what follows a command's name.
pub fn read(text: &str) -> Found {
    let text = without_colors(text);
    let mut found = Found::default();
    let mut words = String::new();
    let mut end = 0;
    for (index, span) in addresses(&text).enumerate() {
        words += &text[end..span.start];
        end = span.end;
        found.ends_in_address = end == text.len();
        if index < MAX_LINKS {
            end = drop_brackets(&mut words, &text, end);
        }
        words.push(' ');
        match address(&text[span]) {
            Err(wrong) => found.refused = found.refused.or(Some(wrong)),
            Ok(url) if found.urls.contains(&url) || found.urls.len() == MAX_LINKS => {}
            Ok(url) => found.urls.push(url),
        }
    }
    words += &text[end..];
    // Slack writes `<address|Title>`.
    let mut pieces = words.split("< |");
    let mut title = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        title += &piece.replacen('>', "", 1);
    }
    found.title = tidy(&title);
    found
}

/// Drops the brackets and quotes around an address that ends at `end`; `words` are those before it.
/// Returns where in `text` the words continue.
fn drop_brackets(words: &mut String, text: &str, mut end: usize) -> usize {
    let mut is_emptied = false;
    while let Some((before, after)) = without_emptied(words, &text[end..]) {
        (end, is_emptied) = (text.len() - after.len(), true);
        words.truncate(before.len());
    }
    // Markdown writes `[Title](address)`.
    if is_emptied && words.ends_with(']') {
        let mut depth = 0;
        let open = words.rfind(|c| {
            depth += i32::from(c == ']') - i32::from(c == '[');
            depth == 0
        });
        if let Some(open) = open {
            words.pop();
            words.remove(open);
        }
    }
    end
}

/// The links in a line of talk: address and title. The title is the line without its addresses; if that
/// says nothing, the address as people read it. `is_cut`: the line may have lost its end.
pub fn links_in(text: &str, is_cut: bool) -> Vec<(String, String)> {
    let mut found = read(text);
    if is_cut && found.ends_in_address {
        found.urls.pop();
    }
    let (words, _) = split_tags(&found.title);
    let is_said = words.contains(|c: char| c.is_alphanumeric() && !is_invisible(c));
    let mut links = Vec::new();
    for url in found.urls {
        let title = if is_said {
            found.title.clone()
        } else {
            normalize(&[&readable(&url), &found.title[words.len()..]].join(" "))
        };
        links.push((url, title));
    }
    links
}

/// True if something in `text` starts like an address.
pub fn has_address(text: &str) -> bool {
    addresses(&without_colors(text)).next().is_some()
}

/// Where the addresses in a line are. Every character is looked at once.
fn addresses(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut next = 0;
    let mut is_in_word = false;
    let mut open = [0; 3];
    std::iter::from_fn(move || {
        while let Some(c) = text[next..].chars().next() {
            let start = next;
            if !is_in_word && begins_address(&text[start..]) {
                let length;
                (length, next) = end_of_address(text, start, open);
                return Some(start..start + length);
            }
            next += c.len_utf8();
            is_in_word = is_latin(c) || c.is_ascii_digit();
            count_brackets(&mut open, c);
        }
        None
    })
}

fn is_latin(c: char) -> bool {
    let is_letter =
        matches!(c, 'A'..='Z' | 'a'..='z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}');
    is_letter && !matches!(c, '×' | '÷')
}

/// Counts the brackets that are open: round, square, and curly ones.
fn count_brackets(open: &mut [usize; 3], c: char) {
    if let Some(kind) = "([{".find(c) {
        open[kind] += 1;
    } else if let Some(kind) = ")]}".find(c) {
        open[kind] = open[kind].saturating_sub(1);
    }
}

/// Returns the length of the address at `start`, and where to look for the next one. `outer`: the brackets
/// that are open there.
fn end_of_address(text: &str, start: usize, outer: [usize; 3]) -> (usize, usize) {
    let (before, text) = text.split_at(start);
    let mut inner = [0; 3];
    let mut end = text.len();
    // Punctuation, marks and brackets without a partner are part of the address if something else follows.
    let mut length = 0;
    let mut previous = ' ';
    for (i, c) in text.char_indices() {
        if ends_address(c, previous) || c == ',' && begins_address(&text[i + 1..]) {
            end = i;
            break;
        }
        previous = c;
        let closes = ")]}".find(c);
        if closes.is_some_and(|kind| inner[kind] == 0 && outer[kind] > 0) {
            end = i;
            break;
        }
        let has_partner = closes.is_some_and(|kind| inner[kind] > 0);
        count_brackets(&mut inner, c);
        if has_partner
            || !"([{)]}.,;:!?'*\\…–—،؛؟۔।\u{200c}\u{200d}".contains(c) && !MARKS.contains(c)
        {
            length = i + c.len_utf8();
        }
    }
    // A mark at its end is its own unless the same mark is directly before it.
    let mut marks = [0; MARKS.len()];
    let is_mark = |c: &char| "_~$*'\"".contains(*c) || c.is_control() || is_invisible(*c);
    for c in before.chars().rev().take_while(is_mark) {
        if let Some(kind) = MARKS.find(c) {
            marks[kind] += 1;
        }
    }
    for (i, c) in text[length..end].char_indices().rev() {
        match MARKS.find(c) {
            Some(kind) if marks[kind] == 0 => return (length + i + c.len_utf8(), start + end),
            Some(kind) => marks[kind] -= 1,
            None => {}
        }
    }
    (length, start + end)
}

/// White space, invisible characters, and the quotes and punctuation that are around an address.
fn ends_address(c: char, previous: char) -> bool {
    if matches!(c, '\u{200c}' | '\u{200d}') {
        // These join letters and emoji.
        return previous.is_ascii();
    }
    c.is_whitespace()
        || c.is_control()
        || is_invisible(c)
        || matches!(c, '<' | '>' | '"' | '`' | '|' | '«' | '»' | '‹' | '›' | '\u{2018}'..='\u{201f}')
        // CJK punctuation, and full-width forms.
        || matches!(c, '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3020}' | '\u{ff01}'..='\u{ff65}')
}

#[cfg(test)]
#[path = "../tests/unit/scan.rs"]
mod tests;
