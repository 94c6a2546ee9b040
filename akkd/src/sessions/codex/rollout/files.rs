//! Which rollouts a home has, and which one is a thread's.

use super::super::home::CodexHome;
use std::io;
use std::path::{Path, PathBuf};

/// A rollout, by its name alone: not opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutFile {
    /// The thread, as the name says it.
    pub thread_id: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Whether it is `.jsonl.zst`. Codex compresses what is cold.
    pub compressed: bool,
    /// Whether it lies among those that were put away.
    pub archived: bool,
}

/// Every rollout of a home, in no order; empty where there are none. A folder that cannot be read is in the second
/// list, with the reason.
pub fn list(home: &CodexHome) -> (Vec<RolloutFile>, Vec<(PathBuf, io::Error)>) {
    let _ = home;
    (Vec::new(), Vec::new())
}

/// The rollout of thread `id`: at `noted` (what the thread's row says), else its compressed twin, else where its id's
/// date or a search of the folders finds it.
pub fn find(home: &CodexHome, id: &str, noted: Option<&Path>) -> Option<RolloutFile> {
    let _ = (home, id, noted);
    None
}

/// The thread that a rollout's name tells: `rollout-<local time>-<id>.jsonl` or `.jsonl.zst`.
pub fn thread_id_of(path: &Path) -> Option<&str> {
    let _ = path;
    None
}
