//! Reads a part of the journal line by line, forward or backward, and returns its events. A line
//! that is too long counts as malformed.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Take};

use super::*;

/// The bytes to read at once. linkbot never writes a longer line.
pub const BLOCK: usize = 32 << 10;

/// An event, and the offsets of its line in the file.
#[derive(Debug)]
pub struct Line {
    pub event: Event,
    pub start: u64,
    pub end: u64,
}

const TOO_LONG: &str = "longer than 32 KiB";

/// Reads a part of the file from its end, skipping a partial first line. Iterates over the events.
pub struct ReverseReader<'a> {
    file: &'a File,
    /// Where reading stops: in the middle of the file one byte early, to see if a line ends there.
    pub from: u64,
    /// Where `buf` starts in the file.
    at: u64,
    /// The bytes read so far; `buf[..end]` has not been returned yet.
    buf: Vec<u8>,
    end: usize,
}

impl<'a> ReverseReader<'a> {
    pub fn new(file: &'a File, from: u64, to: u64) -> ReverseReader<'a> {
        ReverseReader { file, from: from.saturating_sub(1), at: to, buf: Vec::new(), end: 0 }
    }

    /// Reads `text` first, as if it followed the part of the file.
    pub fn followed_by(mut self, text: Vec<u8>) -> ReverseReader<'a> {
        self.end = text.len();
        self.buf = text;
        self
    }

    /// The offset of the last returned line.
    pub fn offset(&self) -> u64 {
        self.at + self.end as u64
    }

    /// The line before the last returned one, without its newline; an error if it is too long.
    pub fn line(&mut self) -> io::Result<Option<Result<&[u8], &'static str>>> {
        let mut is_too_long = false;
        loop {
            let unread = &self.buf[..self.end];
            // A newline at the end belongs to this line.
            let text = unread.strip_suffix(b"\n").unwrap_or(unread);
            let start = match last_newline(text) {
                Some(newline) => newline + 1,
                None if self.at > self.from => {
                    if self.end > BLOCK {
                        is_too_long = true;
                        self.buf = vec![b'\n'];
                        self.end = 1;
                    }
                    self.read_block()?;
                    continue;
                }
                // At the start of the file this is a whole line; elsewhere it is the end of a
                // partial one.
                None if self.at == 0 && self.end > 0 => 0,
                None => return Ok(None),
            };
            let line = start..text.len();
            is_too_long |= self.end - start > BLOCK;
            self.end = start;
            return Ok(Some(if is_too_long { Err(TOO_LONG) } else { Ok(&self.buf[line]) }));
        }
    }

    /// Reads the block before `buf`.
    fn read_block(&mut self) -> io::Result<()> {
        let length = (self.at - self.from).min(BLOCK as u64) as usize;
        self.at -= length as u64;
        let mut block = vec![0; length];
        self.file.read_exact_at(&mut block, self.at)?;
        block.extend(&self.buf[..self.end]);
        self.end = block.len();
        self.buf = block;
        Ok(())
    }

    /// Returns the next event whose line `is_wanted`. Does not parse the other lines.
    pub fn find(&mut self, is_wanted: impl Fn(&[u8]) -> bool) -> io::Result<Option<Line>> {
        loop {
            let end = self.offset();
            let Some(line) = self.line()? else { return Ok(None) };
            if let Ok(line) = line
                && is_wanted(line)
                && let Ok(Some(event)) = parse_line(line)
            {
                return Ok(Some(Line { event, start: self.offset(), end }));
            }
        }
    }
}

impl Iterator for ReverseReader<'_> {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.find(|_| true).transpose()?;
        Some(line.map(|line| line.event))
    }
}

/// The index of the last newline. Every save looks through up to 1 MiB of lines for its address, and
/// the compiler compares 16 bytes at once here.
fn last_newline(text: &[u8]) -> Option<usize> {
    let has_newline = |block: &[u8; 16]| block.iter().fold(false, |found, &b| found | (b == b'\n'));
    let blocks = text.as_rchunks().1.iter().rev();
    let passed = 16 * blocks.take_while(|block| !has_newline(block)).count();
    text[..text.len() - passed].iter().rposition(|&b| b == b'\n')
}

/// Reads forward from the start of a line. Iterates over the events.
pub struct ForwardReader<'a> {
    reader: BufReader<Take<&'a File>>,
    line: Vec<u8>,
    /// Where the next line starts.
    position: u64,
}

impl<'a> ForwardReader<'a> {
    /// Uses the file's position, so two of these cannot read one file in turns.
    pub fn new(mut file: &'a File, from: u64, to: u64) -> io::Result<ForwardReader<'a>> {
        file.seek(SeekFrom::Start(from))?;
        let reader = BufReader::new(file.take(to.saturating_sub(from)));
        Ok(ForwardReader { reader, line: Vec::new(), position: from })
    }

    /// Reads from an offset in the middle of the file, skipping a partial first line.
    pub fn from_middle(file: &'a File, from: u64, to: u64) -> io::Result<ForwardReader<'a>> {
        // One byte early, to see whether a line ends there.
        let mut lines = ForwardReader::new(file, from.saturating_sub(1), to)?;
        if from > 0 {
            lines.line()?;
        }
        Ok(lines)
    }

    pub fn line(&mut self) -> io::Result<Option<Parsed>> {
        self.line.clear();
        self.position +=
            (&mut self.reader).take(BLOCK as u64).read_until(b'\n', &mut self.line)? as u64;
        if self.line.is_empty() {
            return Ok(None);
        }
        if self.line.len() == BLOCK && !self.line.ends_with(b"\n") {
            self.position += self.reader.skip_until(b'\n')? as u64;
            return Ok(Some(Err(TOO_LONG)));
        }
        Ok(Some(parse_line(self.line.strip_suffix(b"\n").unwrap_or(&self.line))))
    }

    fn event(&mut self) -> io::Result<Option<Line>> {
        loop {
            let start = self.position;
            match self.line()? {
                None => return Ok(None),
                Some(Ok(Some(event))) => {
                    return Ok(Some(Line { event, start, end: self.position }));
                }
                // A partial last line is read again once it is complete.
                Some(_) if !self.line.ends_with(b"\n") && self.line.len() < BLOCK => {
                    return Ok(None);
                }
                Some(_) => {}
            }
        }
    }
}

impl Iterator for ForwardReader<'_> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        self.event().transpose()
    }
}
