//! Finds the addresses in a line of talk. What is left of the line is their title.

use std::ops::Range;

use crate::link::{address, begins_address, split_tags, without_scheme};
use crate::title::{after, normalize};

/// The most links that are made of one line.
const MOST_FOUND: usize = 5;

/// The links in a line of talk: each address once, as it is stored, and its title. That is the line without
/// the addresses; if nothing is said in it, the address without its scheme.
pub fn links_in(text: &str) -> Vec<(String, String)> {
    let (mut urls, mut words, mut end) = (Vec::new(), String::new(), 0);
    for span in addresses(text) {
        words += &text[end..span.start];
        end = span.end;
        urls.extend(
            address(&text[span]).ok().filter(|url| urls.len() < MOST_FOUND && !urls.contains(url)),
        );
    }
    let line = normalize(&(words + &text[end..]));
    let (said, _) = split_tags(&line);
    let named = |url: String| {
        let said_nothing = !said.contains(char::is_alphanumeric);
        let title = if said_nothing {
            normalize(&[without_scheme(&url), &line[said.len()..]].join(" "))
        } else {
            line.clone()
        };
        (url, title)
    };
    urls.into_iter().map(named).collect()
}

/// Where the addresses in a line of talk are. Every character is looked at once.
pub fn addresses(text: &str) -> impl Iterator<Item = Range<usize>> {
    let (mut rest, mut in_word) = (text, false);
    std::iter::from_fn(move || {
        while let Some(c) = rest.chars().next() {
            if !in_word && begins_address(rest) {
                let start = text.len() - rest.len();
                let (length, next) = end_of_address(rest);
                rest = &rest[next..];
                return Some(start..start + length);
            }
            (rest, in_word) = (after(c, &rest[c.len_utf8()..]), c.is_alphanumeric());
        }
        None
    })
}

/// How long the address is with which `text` begins, and where to look for the next one.
fn end_of_address(text: &str) -> (usize, usize) {
    // It does not end with punctuation, nor with a bracket that has no partner in it.
    let (mut open, mut length) = ([0; 3], 0);
    for (i, c) in text.char_indices() {
        if ends_address(c) || c == ',' && begins_address(&text[i + 1..]) {
            return (length, i);
        }
        match ("([{".find(c), ")]}".find(c)) {
            (Some(kind), _) => open[kind] += 1,
            (_, Some(kind)) if open[kind] == 0 => {}
            (_, Some(kind)) => (open[kind], length) = (open[kind] - 1, i + 1),
            _ if ".,;:!?'*".contains(c) => {}
            _ => length = i + c.len_utf8(),
        }
    }
    (length, text.len())
}

/// White space, what cannot be seen, and the quotes and punctuation that stand around an address.
fn ends_address(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '<' | '>' | '"' | '«' | '»' | '‹' | '›' | '\u{2018}'..='\u{201f}')
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        // CJK punctuation, and full-width forms.
        || matches!(c, '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3020}' | '\u{ff01}'..='\u{ff65}')
}

#[cfg(test)]
#[path = "../tests/unit/scan.rs"]
mod tests;
