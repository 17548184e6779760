//! The title of a link: what people typed, as it is stored.

/// The title as it is stored: without IRC formatting, control characters, bidirectional overrides and what XML forbids,
/// white space folded. Empty if nothing is left.
pub fn normalize(text: &str) -> String {
    // NEL is white space to Unicode, but a C1 control first.
    let is_blank = |c: char| c.is_whitespace() && c != '\u{85}';
    let (mut out, mut chars) = (String::with_capacity(text.len()), text.chars());
    while let Some(c) = chars.next() {
        match c {
            '!'..='~' => out.push(c),
            c if is_blank(c) && out.ends_with(' ') => {}
            c if is_blank(c) => out.push(' '),
            c if c.is_control() => chars = after(c, chars.as_str()).chars(),
            '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {}
            c => out.push(c),
        }
    }
    // A zero-width space may stay between words, but a title of nothing else is an empty one.
    out.trim_matches([' ', '\u{200b}']).to_owned()
}

/// What follows a colour's digits, if `c` begins a colour: for \x03 up to "12,34", for \x04 six hex digits, twice.
pub fn after(c: char, text: &str) -> &str {
    let (most, digit): (_, fn(&u8) -> bool) = match c {
        '\x03' => (2, u8::is_ascii_digit),
        '\x04' => (6, u8::is_ascii_hexdigit),
        _ => return text,
    };
    let digits = |text: &str| text.bytes().take(most).take_while(digit).count();
    let (first, rest) = text.split_at(digits(text));
    match rest.strip_prefix(',') {
        Some(second) if !first.is_empty() && digits(second) > 0 => &second[digits(second)..],
        _ => rest,
    }
}

#[cfg(test)]
#[path = "../tests/unit/title.rs"]
mod tests;
