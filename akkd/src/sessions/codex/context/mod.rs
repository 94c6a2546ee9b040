//! What a summary of a thread can be made of: its first and newest messages and its newest commands, bounded.
//!
//! The newest are read from the end of the rollout backwards, the first from its beginning, whatever lies between. A fork
//! does not copy the history that it begins with: it is read where it lies.

mod chain;
mod choose;
mod injected;
mod portion;
mod said;
#[cfg(test)]
mod tests;

use super::home::CodexHome;
use crate::sessions::ContextLimits;
use akk_proto::session::ForkContext;
use portion::Portion;
use std::io;
use std::path::Path;

/// Bytes that are read from the ends of the rollouts.
const NEWEST: u64 = 64 << 20;

/// Bytes that are read from the beginning of the oldest one.
const FIRST: u64 = 8 << 20;

/// Reads it from the rollout, and from those that it begins with where it is a fork. A gigabyte costs what a hundred
/// megabytes cost. A compressed rollout is read whole, in constant memory.
///
/// # Errors
/// The rollout cannot be opened, read or decoded.
pub fn context(home: &CodexHome, rollout: &Path, limits: ContextLimits) -> io::Result<ForkContext> {
    let chain = chain::of(home, rollout)?;
    let mut newest = Portion::default();
    let mut budget = NEWEST;
    let mut segments = chain.segments.iter();
    // Where the reading from the end stopped, as long as something lies before it.
    let mut stopped_at = None;
    for segment in segments.by_ref() {
        let read = segment.newest(limits, &mut budget)?;
        stopped_at = read.stopped_at;
        newest.put_before(read.portion);
        if stopped_at.is_some() || newest.is_full(limits) {
            break;
        }
    }
    let firsts = match segments.last() {
        Some(oldest) => Some(oldest.first(limits, FIRST.min(oldest.length()?))?),
        None => match (chain.segments.last(), stopped_at) {
            (Some(oldest), Some(at)) => Some(oldest.first(limits, FIRST.min(at))?),
            _ => None,
        },
    };
    Ok(choose::choose(newest, firsts, chain.complete, limits))
}
