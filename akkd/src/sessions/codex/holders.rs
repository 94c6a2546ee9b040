//! Which process runs which session, by what evidence.

use super::processes::CodexProcess;
use crate::platform::ProcessIdentity;
use crate::sessions::Holder;
use akk_proto::session::{Evidence, ProcessKind};
use std::io;
use std::path::{Path, PathBuf};

/// The Codex processes of this user at one moment, and what they run.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// Those that run sessions, or could.
    pub processes: Vec<CodexProcess>,
    /// What could not be read, in sentences, whatever the session: while this is not empty, nobody can say that a
    /// session is free.
    pub incomplete: Vec<String>,
}

/// A session that a process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSession {
    /// Its id.
    pub session_id: String,
    /// The surest process that runs it.
    pub process: ProcessIdentity,
    /// What kind of program that is.
    pub kind: ProcessKind,
    /// By what that is known: lock, rollout or argv.
    pub evidence: Evidence,
}

/// Looks at this user's processes now, for sessions that lie in `homes`. Blocking; some ten milliseconds for a few
/// hundred processes on Linux.
///
/// # Errors
/// Not even the processes can be listed.
pub fn look(homes: &[PathBuf]) -> io::Result<Look> {
    let _ = homes;
    Err(io::ErrorKind::Unsupported.into())
}

impl Look {
    /// The processes that run this session or seem to, surest first. `home` need not be canonical. `session_cwd`:
    /// where the session works; without it nobody is suspected for standing in its directory.
    pub fn holders_of(&self, home: &Path, session_id: &str, session_cwd: Option<&Path>) -> Vec<Holder> {
        let _ = (home, session_id, session_cwd);
        Vec::new()
    }

    /// What could not be read that matters for this session, in sentences; [`Look::incomplete`] is part of it.
    pub fn incomplete_for(&self, home: &Path, session_id: &str) -> Vec<String> {
        let _ = (home, session_id);
        self.incomplete.clone()
    }

    /// The sessions of `home` that a process runs by lock, rollout or argv; each once, with its surest process.
    pub fn live_sessions(&self, home: &Path) -> Vec<LiveSession> {
        let _ = home;
        Vec::new()
    }

    /// Directories in which a terminal or a run of `home` works of which nothing else is known: a session of such a
    /// directory may be the one ([`Evidence::Cwd`]).
    pub fn suspected_directories(&self, home: &Path) -> Vec<PathBuf> {
        let _ = home;
        Vec::new()
    }
}
