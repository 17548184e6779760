//! One line of the protocol: bytes are cut into lines, lines are parsed, and our own lines are
//! formatted.
//!
//! Follows the Modern IRC Client Protocol (modern.ircdocs.horse) and IRCv3's message-tags.

use std::borrow::Cow;

use crate::bytes::find;

/// The longest line, in bytes, including tags and newline: 8191 of tags and 512 of message.
pub const LONGEST_LINE: usize = 8191 + 512;

/// The size of the receive buffer, in bytes.
pub const AT_ONCE: usize = 64 << 10;

/// One line as a server sent it. It borrows from the line: parsing allocates nothing.
pub struct Message<'a> {
    tags: &'a [u8],
    /// `nick!user@host` or a server's name; empty if the line has none.
    pub source: &'a [u8],
    /// A verb in capitals, or a numeric.
    pub verb: &'a [u8],
    params: &'a [u8],
    /// Its length without tags and newline, in bytes.
    pub length: usize,
}

impl<'a> Message<'a> {
    /// Parses a line without its newline; `None` if it has no verb.
    pub fn parse(line: &'a [u8]) -> Option<Message<'a>> {
        let (tags, rest) = marked_word(b'@', line);
        let length = rest.len();
        let (source, rest) = marked_word(b':', rest.trim_ascii_start());
        let (verb, params) = word(rest.trim_ascii_start());
        (!verb.is_empty()).then_some(Message { tags, source, verb, params, length })
    }

    /// The parameters. The trailing parameter is just the last one.
    pub fn params(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.params;
        std::iter::from_fn(move || {
            rest = &rest[rest.iter().position(|&b| b != b' ')?..];
            if let Some(trailing) = rest.strip_prefix(b":") {
                rest = b"";
                return Some(trailing);
            }
            let (param, after) = word(rest);
            rest = after;
            Some(param)
        })
    }

    /// The parameter at `index`, counted from 0; empty if there are fewer.
    pub fn param(&self, index: usize) -> &'a [u8] {
        self.params().nth(index).unwrap_or(b"")
    }

    pub fn text(&self, index: usize) -> Cow<'a, str> {
        text(self.param(index))
    }

    /// The last parameter as [`text`]: usually the server's message for people.
    pub fn last(&self) -> Cow<'a, str> {
        text(self.params().last().unwrap_or_default())
    }

    /// The sender's nick, or the server's name.
    pub fn nick(&self) -> &'a [u8] {
        self.source.split(|b| b"!@".contains(b)).next().unwrap_or_default()
    }

    /// [`Message::nick`], decoded.
    pub fn sender(&self) -> Cow<'a, str> {
        text(self.nick())
    }

    /// The value of a tag, unescaped; empty if the tag has none.
    pub fn tag(&self, name: &str) -> Option<Cow<'a, str>> {
        // If a tag is repeated, the last one counts.
        self.tags.split(|&b| b == b';').rev().find_map(|tag| {
            match tag.strip_prefix(name.as_bytes())? {
                [b'=', value @ ..] | value @ [] => Some(unescape(value)),
                _ => None,
            }
        })
    }
}

/// If the first word starts with `mark`, splits after it, and drops the mark.
fn marked_word(mark: u8, text: &[u8]) -> (&[u8], &[u8]) {
    text.strip_prefix(&[mark]).map_or((b"", text), word)
}

/// Splits at the first space.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    find(b' ', text).map_or((text, b""), |end| (&text[..end], &text[end + 1..]))
}

/// Unescapes a tag's value (IRCv3 message-tags). Drops a lone final backslash.
fn unescape(value: &[u8]) -> Cow<'_, str> {
    let value = text(value);
    if !value.contains('\\') {
        return value;
    }
    // No line contains NUL.
    let value = value.replace(r"\\", "\0").replace(r"\:", ";").replace(r"\s", " ");
    let value = value.replace(r"\r", "\r").replace(r"\n", "\n").replace('\\', "");
    value.replace('\0', r"\").into()
}

/// Decodes what a person wrote: UTF-8 where it is valid, all other bytes as Latin-1.
///
/// Servers may cut a long line in the middle of a character. Such a remainder at the end is dropped
/// if the text contains other non-ASCII characters in UTF-8.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return text.into();
    }
    let mut text = String::new();
    let mut has_utf8 = false;
    let mut end: &[u8] = b"";
    for chunk in bytes.utf8_chunks() {
        has_utf8 |= !chunk.valid().is_ascii();
        end = chunk.invalid();
        text += chunk.valid();
        text.extend(end.iter().map(|&byte| char::from(byte)));
    }
    // These bytes begin a character. It is incomplete, because nothing follows.
    if has_utf8 && matches!(end, [0xc2..=0xf4, ..]) {
        for _ in end {
            text.pop();
        }
    }
    text.into()
}

/// Formats a line with its newline: `start`, the verb and all parameters but the last; then `last`,
/// unless it is empty. `last` is the only parameter that may contain spaces. CR, LF and NUL become
/// spaces. A line longer than `most` bytes is cut between characters.
pub fn format(start: &str, last: &str, most: usize) -> String {
    let space = if last.is_empty() {
        ""
    } else if last.starts_with(':') || last.contains([' ', '\r', '\n', '\0']) {
        " :"
    } else {
        " "
    };
    let mut line = format!("{start}{space}{last}");
    // Two bytes are for the newline.
    while line.len() > most.saturating_sub(2) {
        line.pop();
    }
    line.replace(['\r', '\n', '\0'], " ") + "\r\n"
}

/// Cuts the bytes that arrive into lines, however they are split into reads.
pub struct Lines {
    buffer: Vec<u8>,
    /// `start..end` in `buffer` has arrived and has not been returned yet.
    pub start: usize,
    pub end: usize,
}

impl Lines {
    pub fn new() -> Lines {
        Lines { buffer: vec![0; AT_ONCE], start: 0, end: 0 }
    }

    /// Returns the space for the next bytes; the caller adds their number to `end`. First call
    /// [`Lines::next`] until it returns `None`: then more than half of [`AT_ONCE`] is free.
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        &mut self.buffer[self.end..]
    }

    /// The next line without its newline (CR LF or a bare LF). A line that is too long is empty.
    pub fn next(&mut self) -> Option<&[u8]> {
        let held = &self.buffer[self.start..self.end];
        let Some(length) = find(b'\n', held) else {
            // Keep just enough of an overlong line to recognize it as too long.
            self.end = self.end.min(self.start + LONGEST_LINE);
            return None;
        };
        let line = &held[..length];
        self.start += length + 1;
        Some(if length < LONGEST_LINE { line.strip_suffix(b"\r").unwrap_or(line) } else { b"" })
    }
}
