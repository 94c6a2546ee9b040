//! The Codex processes of this user, and what each of them runs.

use crate::platform::ProcessIdentity;
use crate::sessions::Relative;
use akk_proto::session::{Evidence, ProcessKind};
use akk_proto::{ConversationId, Timestamp};
use std::path::PathBuf;

/// A Codex process that runs sessions, or could.
#[derive(Debug, Clone, PartialEq)]
pub struct CodexProcess {
    /// Who it is, for ever.
    pub identity: ProcessIdentity,
    /// When it was started, by wall time.
    pub started_at: Option<Timestamp>,
    /// What kind of program it is.
    pub kind: ProcessKind,
    /// Its executable, where it can be read.
    pub executable: Option<PathBuf>,
    /// Its command line's words, not redacted.
    pub command: Vec<String>,
    /// Its working directory, where it can be read.
    pub cwd: Option<PathBuf>,
    /// The Codex home that its environment names, canonical; none when that cannot be read.
    pub home: Option<PathBuf>,
    /// The sessions that it holds for certain.
    pub held: Vec<Held>,
    /// The session that its command line resumes.
    pub resumes: Option<String>,
    /// The directory of which some session may be the one that it runs, canonical; none when it holds a session for
    /// certain, when its command line names one, and when it is a program that runs none by itself.
    pub may_work_in: Option<PathBuf>,
    /// What it started, and they, and a wrapper that started it, without itself.
    pub relatives: Vec<Relative>,
    /// The conversation that it works for, when akkd started it.
    pub conversation: Option<ConversationId>,
}

/// A session that a process holds for certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The home that the session lies in: one of those that were asked for, canonical.
    pub home: PathBuf,
    /// Its id.
    pub session_id: String,
    /// By what: [`Evidence::Lock`] or [`Evidence::Rollout`].
    pub evidence: Evidence,
}
