//! Finds the addresses in a line, and the title that the rest of the line makes. `.url` and capture
//! both use it, so they agree.

use std::ops::Range;

use crate::{
    link::{address, begins_address, readable},
    title::{ADDRESS, is_blank, is_invisible, normalize, split_tags, tidy},
};

/// An address does not end with these: punctuation, and the joiners of letters and emoji.
const PUNCTUATION: &str = ".,;:!?'*\\…–—،؛؟۔।\u{200c}\u{200d}";

/// An address ends before these: quotes, and the punctuation of CJK text.
const DELIMITERS: &str =
    "<>\"`|«»‹›‘’‚‛“”„‟、。〃〈〉《》「」『』【】〒〓〔〕〖〗〘〙〚〛〜〝〞〟〠";

/// Returns the addresses in `text`, each as stored or with the reason it is refused, and the title.
/// Returns at most five different addresses. `is_cut`: the line may have lost its end.
pub fn read(text: &str, is_cut: bool) -> (Vec<Result<String, String>>, String) {
    let mut found = Vec::new();
    let mut words = String::new();
    let mut end = 0;
    for span in addresses(text) {
        words += &text[end..span.start];
        words += ADDRESS;
        end = span.end;
        let address = if is_cut && !text[end..].contains(ends_address) {
            Err("the address may be incomplete: IRC cut your line at 512 bytes".to_owned())
        } else {
            address(&text[span])
        };
        if found.len() < 5 && !found.contains(&address) {
            found.push(address);
        }
    }
    words += &text[end..];
    (found, tidy(&words))
}

/// Returns the links in a line of talk: address and title. Without other words, the address is the
/// title.
pub fn links_in(text: &str, is_cut: bool) -> Vec<(String, String)> {
    let (found, title) = read(text, is_cut);
    let (words, _) = split_tags(&title);
    let tags = &title[words.len()..];
    let has_words = words.contains(char::is_alphanumeric);
    let named = |url: String| {
        let bare = format!("{} {tags}", readable(&url));
        (url, if has_words { title.clone() } else { normalize(&bare) })
    };
    found.into_iter().flatten().map(named).collect()
}

/// True if something in `text` starts like an address.
pub fn has_address(text: &str) -> bool {
    !addresses(text).is_empty()
}

/// Returns the ranges of the addresses in a line, in linear time.
pub fn addresses(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut depth = 0;
    let mut is_in_word = false;
    while let Some(c) = text[at..].chars().next() {
        if !is_in_word && begins_address(&text[at..]) {
            let end = end_of_address(text, at, depth);
            found.push(at..end);
            at = end;
            continue;
        }
        at += c.len_utf8();
        depth = (depth + bracket(c)).max(0);
        // A Latin letter or a digit.
        is_in_word = c.is_alphanumeric() && matches!(c, '0'..='ɏ' | 'Ḁ'..='ỿ');
    }
    found
}

/// Returns where the address at `start` ends. `outer`: how many brackets are open before it.
/// Punctuation and brackets without a partner are part of the address only if something else
/// follows.
fn end_of_address(text: &str, start: usize, outer: i32) -> usize {
    let mut inner = 0;
    let mut length = 0;
    let address = &text[start..];
    for (i, c) in address.char_indices() {
        let step = bracket(c);
        let closes_outer = step < 0 && inner == 0 && outer > 0;
        // `[url]http://example.com/[/url]`
        let is_markup = address[i..].starts_with("[/");
        let begins_next = c == ',' && begins_address(&address[i + 1..]);
        if ends_address(c) || closes_outer || is_markup || begins_next {
            break;
        }
        let has_partner = step < 0 && inner > 0;
        if has_partner || step == 0 && !PUNCTUATION.contains(c) {
            length = i + c.len_utf8();
        }
        inner = (inner + step).max(0);
    }
    // `_http://example.com/_`: a mark is dropped if the same mark is directly before the address.
    let mut address = &address[..length];
    let before = text[..start].trim_end_matches(is_invisible).chars().rev();
    for mark in before.take_while(|c| "_*~$'".contains(*c)) {
        address = address.strip_suffix(mark).unwrap_or(address);
        address = address.trim_end_matches(|c| PUNCTUATION.contains(c) || bracket(c) > 0);
    }
    start + address.len()
}

/// Returns by how much a character changes the number of open brackets.
fn bracket(c: char) -> i32 {
    i32::from("([{".contains(c)) - i32::from(")]}".contains(c))
}

fn ends_address(c: char) -> bool {
    is_blank(c) && !PUNCTUATION.contains(c) || DELIMITERS.contains(c) || matches!(c, '！'..='･')
}
