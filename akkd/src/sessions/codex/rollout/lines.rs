//! The lines of a rollout, from its beginning or from its end, in constant memory.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::fs::FileExt as _;

/// A longer line is not looked at: it holds pictures or a tool's output.
const BOUND: usize = 4 << 20;

/// Bytes that are read at once.
const BLOCK: usize = 256 << 10;

/// A line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Line<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// The last one, which has no end yet: it may be half of a record.
    Open(&'a [u8]),
    /// Longer than 4 MiB.
    TooLong {
        /// Whether it is the last one and has no end yet.
        open: bool,
    },
}

/// From the beginning to the end.
pub(in super::super) struct Forward<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    read: u64,
}

impl<R: Read> Forward<R> {
    /// The lines of `reader`.
    pub(in super::super) fn new(reader: R) -> Self {
        Self::in_blocks(BLOCK, reader)
    }

    /// The same, read in blocks of `block` bytes: where only the first line is wanted.
    pub(super) fn in_blocks(block: usize, reader: R) -> Self {
        Self { reader: BufReader::with_capacity(block, reader), line: Vec::new(), read: 0 }
    }

    /// Bytes up to the end of the last line that had an end.
    pub(in super::super) fn read(&self) -> u64 {
        self.read
    }

    /// The next line; none at the end.
    ///
    /// # Errors
    /// It cannot be read or decoded.
    pub(in super::super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let mut length = 0;
        loop {
            let block = match self.reader.fill_buf() {
                Ok(block) => block,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if block.is_empty() {
                return Ok(match length {
                    0 => None,
                    _ if length > BOUND => Some(Line::TooLong { open: true }),
                    _ => Some(Line::Open(&self.line)),
                });
            }
            let end = memchr::memchr(b'\n', block);
            let part = end.unwrap_or(block.len());
            length += part;
            if length <= BOUND {
                self.line.extend_from_slice(&block[..part]);
            }
            let used = part + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                self.read += length as u64 + 1;
                return Ok(Some(if length > BOUND { Line::TooLong { open: false } } else { Line::Whole(&self.line) }));
            }
        }
    }
}

/// From the end to the beginning.
pub(in super::super) struct Backward {
    file: File,
    /// Where `held` begins in the file.
    position: u64,
    /// What was read and not given out yet: its first `end` bytes.
    held: Vec<u8>,
    end: usize,
    /// The line under way is longer than the bound: what was read of it is gone.
    too_long: bool,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing was given out yet.
    End,
    /// The line under way has its end.
    Middle,
    /// All was given out.
    Beginning,
}

impl Backward {
    /// The lines of the first `length` bytes of `file`.
    pub(in super::super) fn new(file: File, length: u64) -> Self {
        Self { file, position: length, held: Vec::new(), end: 0, too_long: false, place: Place::End }
    }

    /// Where the line that was given out last begins.
    pub(in super::super) fn position(&self) -> u64 {
        match self.place {
            Place::Beginning => 0,
            _ => self.position + self.end as u64 + 1,
        }
    }

    /// The line before; none at the beginning.
    ///
    /// # Errors
    /// It cannot be read.
    pub(in super::super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        if self.place == Place::Beginning {
            return Ok(None);
        }
        let mut is_open = false;
        if self.place == Place::End {
            self.read_before()?;
            self.place = Place::Middle;
            match self.held[..self.end].last() {
                None => {
                    self.place = Place::Beginning;
                    return Ok(None);
                }
                Some(b'\n') => self.end -= 1,
                Some(_) => is_open = true,
            }
        }
        let mut searched = self.end;
        let from = loop {
            if let Some(newline) = memchr::memrchr(b'\n', &self.held[..searched]) {
                break newline + 1;
            }
            if self.position == 0 {
                self.place = Place::Beginning;
                break 0;
            }
            if self.end > BOUND {
                self.too_long = true;
                self.end = 0;
            }
            searched = self.read_before()?;
        };
        let line = from..self.end;
        self.end = from.saturating_sub(1);
        if std::mem::take(&mut self.too_long) || line.len() > BOUND {
            return Ok(Some(Line::TooLong { open: is_open }));
        }
        let line = &self.held[line];
        Ok(Some(if is_open { Line::Open(line) } else { Line::Whole(line) }))
    }

    /// Puts the block before in front of what is held, and says how long it is.
    fn read_before(&mut self) -> io::Result<usize> {
        let length = usize::try_from(self.position).unwrap_or(usize::MAX).min(BLOCK.max(self.end / 2));
        self.held.resize(self.held.len().max(length + self.end), 0);
        self.held.copy_within(..self.end, length);
        self.position -= length as u64;
        self.file.read_exact_at(&mut self.held[..length], self.position)?;
        self.end += length;
        Ok(length)
    }
}
