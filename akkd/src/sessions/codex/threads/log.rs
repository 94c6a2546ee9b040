//! The write-ahead log that a killed Codex left, read without SQLite (SQLite file format, 4: the WAL format).
//!
//! SQLite itself would first make a new `-shm` beside it, in a home that is not ours.

use std::ops::Range;

const HEADER: usize = 32;
const FRAME: usize = 24;

/// Puts what was committed in `log` into `database`, as a checkpoint would. Of a log that was cut, what is whole counts.
pub(super) fn apply(database: &mut Vec<u8>, log: &[u8]) {
    let Some(mut reader) = Reader::new(log) else { return };
    let mut pages: Vec<(usize, Range<usize>)> = Vec::new();
    while let Some(frame) = reader.next() {
        pages.push((frame.page, frame.content));
        // The last frame of a transaction says how many pages there are after it.
        if frame.pages_after_commit > 0 {
            database.resize(frame.pages_after_commit.saturating_mul(reader.page_size), 0);
            for (page, content) in pages.drain(..) {
                let at = (page - 1).saturating_mul(reader.page_size);
                if let Some(place) = database.get_mut(at..at.saturating_add(reader.page_size)) {
                    place.copy_from_slice(&log[content]);
                }
            }
        }
    }
}

struct Reader<'a> {
    log: &'a [u8],
    at: usize,
    page_size: usize,
    /// Of this log: frames of a former one that was overwritten have others.
    salts: &'a [u8],
    /// Of all frames so far.
    sum: (u32, u32),
    word: fn([u8; 4]) -> u32,
}

struct Frame {
    page: usize,
    pages_after_commit: usize,
    content: Range<usize>,
}

impl<'a> Reader<'a> {
    /// None when it is no log.
    fn new(log: &'a [u8]) -> Option<Self> {
        let header = log.get(..HEADER)?;
        let word: fn([u8; 4]) -> u32 = match number(header, 0)? {
            0x377f_0682 => u32::from_le_bytes,
            0x377f_0683 => u32::from_be_bytes,
            _ => return None,
        };
        let page_size = usize::try_from(number(header, 8)?).ok()?;
        let sum = checksum((0, 0), &header[..24], word);
        let is_log = sum == (number(header, 24)?, number(header, 28)?);
        let is_size = page_size.is_power_of_two() && (512..=65_536).contains(&page_size);
        (is_log && is_size).then_some(Self { log, at: HEADER, page_size, salts: &header[16..24], sum, word })
    }

    /// The next frame; none at the end of what is whole and of this log.
    fn next(&mut self) -> Option<Frame> {
        let content = self.at + FRAME..self.at + FRAME + self.page_size;
        let header = self.log.get(self.at..content.start)?;
        let page = self.log.get(content.clone())?;
        let sum = checksum(checksum(self.sum, &header[..8], self.word), page, self.word);
        if &header[8..16] != self.salts || sum != (number(header, 16)?, number(header, 20)?) {
            return None;
        }
        self.sum = sum;
        self.at = content.end;
        let frame = Frame {
            page: usize::try_from(number(header, 0)?).ok()?,
            pages_after_commit: usize::try_from(number(header, 4)?).ok()?,
            content,
        };
        (frame.page > 0).then_some(frame)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn checksum(sum: (u32, u32), bytes: &[u8], word: fn([u8; 4]) -> u32) -> (u32, u32) {
    let (pairs, _) = bytes.as_chunks::<8>();
    pairs.iter().fold(sum, |(a, b), [x0, x1, x2, x3, y0, y1, y2, y3]| {
        let a = a.wrapping_add(word([*x0, *x1, *x2, *x3])).wrapping_add(b);
        let b = b.wrapping_add(word([*y0, *y1, *y2, *y3])).wrapping_add(a);
        (a, b)
    })
}
