//! The rollouts in which a thread's history lies: its own, and those of the threads that it was forked from.

use super::super::home::CodexHome;
use super::super::rollout::{self, Backward, Forward, Line, Record, is_compressed, open, stream};
use super::portion::{Direction, Portion};
use crate::sessions::ContextLimits;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Forks of forks that are followed.
const DEPTH: usize = 8;

/// The rollouts of a history, the newest first.
pub(super) struct Chain {
    pub(super) segments: Vec<Segment>,
    /// Whether it reaches back to the beginning.
    pub(super) complete: bool,
}

/// The part of a rollout that belongs to the history.
pub(super) struct Segment {
    path: PathBuf,
    /// Bytes of it, where it is not compressed.
    bytes: Option<u64>,
    /// The first record that does not belong to it.
    end: Option<u64>,
}

/// What a reading from the end found.
pub(super) struct Newest {
    pub(super) portion: Portion,
    /// Bytes before what was read; none when all was read, or all that there is needed to be.
    pub(super) stopped_at: Option<u64>,
}

/// Follows the history of the thread at `rollout`.
///
/// # Errors
/// That rollout cannot be read. What a former thread's cannot do ends the chain.
pub(super) fn of(home: &CodexHome, rollout: &Path) -> io::Result<Chain> {
    let mut segments = vec![Segment { path: rollout.to_owned(), bytes: None, end: None }];
    let mut head = rollout::head(rollout)?;
    while let Some(base) = head.and_then(|head| head.history_base) {
        let found = rollout::find(home, &base.thread_id, None);
        let Some(file) = found.filter(|file| segments.len() < DEPTH && segments.iter().all(|s| s.path != file.path))
        else {
            return Ok(Chain { segments, complete: false });
        };
        head = rollout::head(&file.path).ok().flatten();
        segments.push(Segment { path: file.path, bytes: base.end_byte_offset, end: base.end_ordinal_exclusive });
    }
    Ok(Chain { segments, complete: true })
}

impl Segment {
    /// Bytes of it, as they lie on the disk.
    ///
    /// # Errors
    /// It is gone.
    pub(super) fn length(&self) -> io::Result<u64> {
        let length = std::fs::metadata(&self.path)?.len();
        Ok(if is_compressed(&self.path) { length } else { length.min(self.bytes.unwrap_or(length)) })
    }

    /// Reads from its end, until there is enough or `budget` is used up.
    ///
    /// # Errors
    /// It cannot be opened, read or decoded.
    pub(super) fn newest(&self, limits: ContextLimits, budget: &mut u64) -> io::Result<Newest> {
        let mut portion = Portion::default();
        if is_compressed(&self.path) {
            let mut lines = Forward::new(stream(&self.path)?);
            while let Some(line) = lines.next()? {
                self.take(&mut portion, &line, limits, Direction::Forward);
            }
            portion.settle();
            return Ok(Newest { portion, stopped_at: None });
        }
        let length = self.length()?;
        let mut lines = Backward::new(open(&self.path)?, length);
        while let Some(line) = lines.next()? {
            self.take(&mut portion, &line, limits, Direction::Backward);
            let position = lines.position();
            if position > 0 && (portion.is_full(limits) || length - position > *budget) {
                *budget = budget.saturating_sub(length - position);
                portion.leaves_out = true;
                return Ok(Newest { portion, stopped_at: Some(position) });
            }
        }
        *budget = budget.saturating_sub(length);
        Ok(Newest { portion, stopped_at: None })
    }

    /// Reads its first `bytes` until there is a message of each side.
    ///
    /// # Errors
    /// It cannot be opened, read or decoded.
    pub(super) fn first(&self, limits: ContextLimits, bytes: u64) -> io::Result<Portion> {
        let mut portion = Portion::default();
        let bytes = if is_compressed(&self.path) { u64::MAX } else { bytes };
        let mut lines = Forward::new(stream(&self.path)?.take(bytes));
        while let Some(line) = lines.next()? {
            self.take(&mut portion, &line, limits, Direction::Forward);
            if portion.has_both_firsts() {
                break;
            }
        }
        Ok(portion)
    }

    fn take(&self, portion: &mut Portion, line: &Line<'_>, limits: ContextLimits, direction: Direction) {
        match line {
            Line::Whole(line) => match Record::parse(line) {
                Some(record) if self.is_after(&record) => {}
                Some(record) => portion.take(&record, limits, direction),
                None => portion.skipped += 1,
            },
            // A record that is being written, unless it happens to be whole.
            Line::Open(line) => {
                if let Some(record) = Record::parse(line).filter(|record| !self.is_after(record)) {
                    portion.take(&record, limits, direction);
                }
            }
            Line::TooLong { open } => portion.skipped += u64::from(!open),
        }
    }

    /// Whether a record was written after the fork was made.
    fn is_after(&self, record: &Record<'_>) -> bool {
        self.end.is_some_and(|end| record.ordinal.is_some_and(|ordinal| ordinal >= end))
    }
}
