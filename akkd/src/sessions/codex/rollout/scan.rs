//! What was appended to a rollout since somebody looked.

use super::compressed::{is_compressed, open};
use super::lines::{Forward, Line};
use super::mark::{Mark, TurnSettings, mark};
use super::record::Record;
use akk_proto::Timestamp;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Bytes of one call.
const BOUND: u64 = 16 << 20;

/// Events of one call: the oldest give way.
const EVENTS: usize = 1000;

/// What happened in a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveEvent {
    /// A turn began.
    TurnStarted,
    /// A turn ended, was cut short or failed.
    TurnEnded,
    /// The settings of the turn that began.
    Settings(TurnSettings),
}

/// What was appended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// Where to go on: the end of the last whole record that was read.
    pub offset: u64,
    /// The file was shorter than the offset that was given, or is another one: read from its beginning.
    pub restarted: bool,
    /// There is more: call again with the new offset.
    pub more: bool,
    /// What happened, in order; the newest 1,000.
    pub events: Vec<LiveEvent>,
    /// Whole records that were read, those that could not be parsed included.
    pub records: u64,
    /// Records that could not be read.
    pub skipped: u64,
    /// When the newest record was written.
    pub last_record_at: Option<Timestamp>,
}

/// Reads what was appended since `offset`, at most 16 MiB and the line that goes on there. A half-written last line waits
/// for its end. Of a compressed rollout nothing is read: nobody appends to it.
///
/// # Errors
/// The file cannot be opened or read.
pub fn scan_from(path: &Path, offset: u64) -> io::Result<Scan> {
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    if is_compressed(path) {
        return Ok(Scan { offset: length, ..Scan::default() });
    }
    let fits = offset <= length && is_line_start(&file, offset)?;
    let from = if fits { offset } else { 0 };
    file.seek(SeekFrom::Start(from))?;
    // What is appended while this reads is the next call's.
    let mut lines = Forward::new(file.take(length - from));
    let mut scan = Scan { offset: from, restarted: !fits, ..Scan::default() };
    let mut last = Vec::new();
    while lines.read() < BOUND {
        match lines.next()? {
            None | Some(Line::Open(_) | Line::TooLong { open: true }) => break,
            Some(Line::TooLong { open: false }) => {
                scan.records += 1;
                scan.skipped += 1;
            }
            Some(Line::Whole(line)) => {
                scan.take(line);
                last.clear();
                last.extend_from_slice(line);
            }
        }
    }
    scan.last_record_at = Record::parse(&last).and_then(|r| r.at());
    scan.offset += lines.read();
    scan.more = lines.read() >= BOUND && scan.offset < length;
    Ok(scan)
}

fn is_line_start(file: &File, offset: u64) -> io::Result<bool> {
    let Some(before) = offset.checked_sub(1) else { return Ok(true) };
    let mut byte = [0];
    file.read_exact_at(&mut byte, before)?;
    Ok(byte == *b"\n")
}

impl Scan {
    fn take(&mut self, line: &[u8]) {
        self.records += 1;
        let event = match mark(line) {
            Ok(None) => return,
            Ok(Some(Mark::Started)) => LiveEvent::TurnStarted,
            Ok(Some(Mark::Ended)) => LiveEvent::TurnEnded,
            Ok(Some(Mark::Settings(settings))) => LiveEvent::Settings(settings),
            Err(_) => {
                self.skipped += 1;
                return;
            }
        };
        if self.events.len() == EVENTS {
            self.events.remove(0);
        }
        self.events.push(event);
    }
}
