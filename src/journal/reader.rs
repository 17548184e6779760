//! Reads a part of the journal line by line, forward or backward, and returns its events.

use std::{
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Take},
    ops::Range,
};

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

/// Reads a part of the file from its end, skipping a partial first line. Iterates over the events.
pub struct ReverseReader<'a> {
    file: &'a File,
    /// Where reading stops. Inside the file this is one byte early, to see if a line ends there.
    pub from: u64,
    /// Where `buf` starts in the file.
    at: u64,
    /// The bytes read so far; `buf[..end]` has not been returned yet.
    pub buf: Vec<u8>,
    end: usize,
    /// The end of an address; only lines that contain it are returned.
    address_end: String,
}

impl<'a> ReverseReader<'a> {
    pub fn new(file: &'a File, from: u64, to: u64) -> ReverseReader<'a> {
        ReverseReader {
            file,
            from: from.saturating_sub(1),
            at: to,
            buf: Vec::new(),
            end: 0,
            address_end: String::new(),
        }
    }

    /// Reads `text` first, as if it followed the part of the file.
    pub fn followed_by(self, text: String) -> ReverseReader<'a> {
        ReverseReader { end: text.len(), buf: text.into(), ..self }
    }

    /// Returns only events whose address may compare as equal to `url`. Does not parse the other
    /// lines, because every save looks through up to 1 MiB of them.
    pub fn about(self, url: &str) -> ReverseReader<'a> {
        let key = link::comparison_key(url);
        let address = key.split(['?', '#']).next().unwrap_or_default();
        // The standard library searches for up to 32 bytes with SIMD.
        let address_end = address[address.len().saturating_sub(32)..].to_owned();
        ReverseReader { address_end, ..self }
    }

    /// The offset of the last returned line.
    pub fn offset(&self) -> u64 {
        self.at + self.end as u64
    }

    /// Returns the previous line as a range in `buf`, with its newline.
    pub fn line(&mut self) -> io::Result<Option<Range<usize>>> {
        let end_before = loop {
            // A newline at the end belongs to this line.
            let newline = bytes::rfind(b'\n', &self.buf[..self.end.saturating_sub(1)]);
            if newline.is_some() || self.at == self.from {
                break newline;
            }
            self.read_block()?;
        };
        let start = match end_before {
            Some(newline) => newline + 1,
            // At the start of the file this is a whole line; elsewhere it is the end of a partial
            // one.
            None if self.at == 0 && self.end > 0 => 0,
            None => return Ok(None),
        };
        let line = start..self.end;
        self.end = start;
        Ok(Some(line))
    }

    /// Reads the block before `buf`.
    fn read_block(&mut self) -> io::Result<()> {
        // Keep one byte too many of an overlong line, which makes it malformed.
        self.end = self.end.min(BLOCK + 1);
        let length = (self.at - self.from).min(BLOCK as u64) as usize;
        self.at -= length as u64;
        let mut block = vec![0; length];
        self.file.read_exact_at(&mut block, self.at)?;
        block.extend(&self.buf[..self.end]);
        self.end = block.len();
        self.buf = block;
        Ok(())
    }
}

impl Iterator for ReverseReader<'_> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let end = self.offset();
            let line = match self.line() {
                Ok(line) => &self.buf[line?],
                Err(e) => return Some(Err(e)),
            };
            if str::from_utf8(line).is_ok_and(|line| line.contains(&self.address_end))
                && let Ok(Some(event)) = parse_line(line)
            {
                return Some(Ok(Line { event, start: self.offset(), end }));
            }
        }
    }
}

/// Reads a part of the file forward, skipping a partial first line. Iterates over the events.
pub struct ForwardReader<'a> {
    reader: BufReader<Take<&'a File>>,
    line: Vec<u8>,
    /// Where the next line starts.
    position: u64,
}

impl<'a> ForwardReader<'a> {
    /// Uses the file's position, so reads of one file by two of these must not be interleaved.
    pub fn new(mut file: &'a File, from: u64, to: u64) -> io::Result<ForwardReader<'a>> {
        // One byte early, to see whether a line ends there.
        let position = from.saturating_sub(1);
        file.seek(SeekFrom::Start(position))?;
        let reader = BufReader::new(file.take(to.saturating_sub(position)));
        let mut lines = ForwardReader { reader, line: Vec::new(), position };
        if from > 0 {
            lines.read_line()?;
        }
        Ok(lines)
    }

    /// Reads the next line. It is empty at the end.
    fn read_line(&mut self) -> io::Result<()> {
        self.line.clear();
        // One byte too many makes the line malformed.
        let mut part = (&mut self.reader).take(BLOCK as u64 + 1);
        self.position += part.read_until(b'\n', &mut self.line)? as u64;
        if !self.line.ends_with(b"\n") {
            self.position += self.reader.skip_until(b'\n')? as u64;
        }
        Ok(())
    }
}

impl Iterator for ForwardReader<'_> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let start = self.position;
            if let Err(e) = self.read_line() {
                return Some(Err(e));
            }
            if self.line.is_empty() {
                return None;
            }
            if let Ok(Some(event)) = parse_line(&self.line) {
                return Some(Ok(Line { event, start, end: self.position }));
            }
        }
    }
}
