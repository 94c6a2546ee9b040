//! What a rollout's end says: where the thread stands now.

use super::compressed::{is_compressed, open, stream};
use super::lines::{Backward, Forward, Line};
use super::mark::{Mark, TurnSettings, mark};
use super::record::Record;
use akk_proto::Timestamp;
use std::io;
use std::path::Path;

/// The records of a turn's beginning lie near each other; where the settings were found, this many bytes before them
/// tell when the turn began. Versions before 0.16x did not record that.
const AROUND_SETTINGS: u64 = 4 << 20;

/// Where a thread stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail {
    /// The settings of its newest turn.
    pub settings: Option<TurnSettings>,
    /// Whether a turn runs, by its records. A killed process leaves a turn open for ever.
    pub turn: TurnState,
    /// When the newest record was written.
    pub last_record_at: Option<Timestamp>,
    /// Records that could not be read, of those that were looked at.
    pub skipped: u64,
    /// Bytes up to the end of the last whole record: where [`scan_from`](super::scan_from) goes on. For a compressed
    /// rollout its size.
    pub offset: u64,
}

/// Whether a turn runs, as the records tell it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TurnState {
    /// One was begun and has not ended.
    Running,
    /// None runs.
    Ended,
    /// The records do not say.
    #[default]
    Unknown,
}

/// Reads the end of a rollout, backwards, until the settings of the newest turn are found: a few blocks as a rule, all
/// of it (about a second for a gigabyte) where one turn is that long. A compressed one is read from its beginning.
///
/// # Errors
/// The file cannot be opened, read or decoded.
pub fn tail(path: &Path) -> io::Result<Tail> {
    if is_compressed(path) { of_compressed(path) } else { of_plain(path) }
}

fn of_plain(path: &Path) -> io::Result<Tail> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    let mut lines = Backward::new(file, length);
    let mut tail = Tail { offset: length, ..Tail::default() };
    let mut settings_at = None;
    while let Some(line) = lines.next()? {
        match line {
            // Half of a record, as long as nobody says otherwise.
            Line::Open(line) => tail.offset = length - line.len() as u64,
            Line::TooLong { open: true } => tail.offset = lines.position(),
            Line::TooLong { open: false } => tail.skipped += 1,
            Line::Whole(line) => tail.take_older(line),
        }
        if tail.settings.is_some() {
            let found = *settings_at.get_or_insert_with(|| lines.position());
            if tail.turn != TurnState::Unknown || found - lines.position() > AROUND_SETTINGS {
                break;
            }
        }
    }
    Ok(tail)
}

fn of_compressed(path: &Path) -> io::Result<Tail> {
    let mut lines = Forward::new(stream(path)?);
    let mut tail = Tail { offset: std::fs::metadata(path)?.len(), ..Tail::default() };
    let mut last = Vec::new();
    while let Some(line) = lines.next()? {
        match line {
            Line::Open(_) | Line::TooLong { open: true } => {}
            Line::TooLong { open: false } => tail.skipped += 1,
            Line::Whole(line) => {
                tail.take_newer(line);
                last.clear();
                last.extend_from_slice(line);
            }
        }
    }
    tail.last_record_at = Record::parse(&last).and_then(|r| r.at());
    Ok(tail)
}

impl Tail {
    /// What stands before all that was taken.
    fn take_older(&mut self, line: &[u8]) {
        if self.last_record_at.is_none() {
            self.last_record_at = Record::parse(line).and_then(|r| r.at());
        }
        match mark(line) {
            Ok(Some(Mark::Settings(settings))) if self.settings.is_none() => self.settings = Some(settings),
            Ok(Some(Mark::Started)) if self.turn == TurnState::Unknown => self.turn = TurnState::Running,
            Ok(Some(Mark::Ended)) if self.turn == TurnState::Unknown => self.turn = TurnState::Ended,
            Ok(_) => {}
            Err(_) => self.skipped += 1,
        }
    }

    /// What stands after all that was taken.
    fn take_newer(&mut self, line: &[u8]) {
        match mark(line) {
            Ok(Some(Mark::Settings(settings))) => self.settings = Some(settings),
            Ok(Some(Mark::Started)) => self.turn = TurnState::Running,
            Ok(Some(Mark::Ended)) => self.turn = TurnState::Ended,
            Ok(None) => {}
            Err(_) => self.skipped += 1,
        }
    }
}
