//! What the reader makes of a line.

use akk_proto::event::Activity;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where the lines come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// An agent's stdout: every line is the agent's.
    Agent,
    /// `acpx --format json`: lines of both directions, and acpx' own error records.
    Acpx,
    /// `acpx --format json … sessions watch`: every turn of a session as its owner recorded it. Only the turn of one
    /// prompt counts, and is told as by [`Acpx`](Self::Acpx).
    AcpxWatch,
    /// `codex exec --json`: one session, one turn.
    CodexExec,
}

/// What a line meant.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// Something for the history.
    Activity(Activity),
    /// A piece of text; see [`final_text`](super::StreamReader::final_text).
    Text,
    /// A piece of private thinking; counted, not kept.
    Thought,
    /// An answer to a request of ours.
    Response {
        /// Source `Agent`: the id that we gave, numbers as text. Source `Acpx`: the method that acpx had called, or
        /// [`ACPX_RECORD`](super::ACPX_RECORD) for acpx' own error record, which ends its output. Source `CodexExec`:
        /// [`CODEX_THREAD`](super::CODEX_THREAD) or [`CODEX_TURN`](super::CODEX_TURN).
        id: String,
        /// What it says. A result of more than 512 KiB is cut to `stopReason`, `sessionId` and `usage`.
        outcome: Result<Value, RpcError>,
    },
    /// A request of the agent that needs an answer. Only from source `Agent`: acpx and `codex exec` answer themselves.
    Request {
        /// Its id, to be sent back as it is.
        id: Value,
        /// The method.
        method: String,
        /// Its parameters; null when there are none. Of more than 512 KiB, only what an answer to
        /// `session/request_permission` needs, with [`CUT`](super::CUT) in its tool call.
        params: Value,
    },
    /// The agent takes a request back. Only from source `Agent`.
    Withdrawn {
        /// The request's id.
        id: Value,
    },
    /// acpx hands the prompt to the agent, or `codex exec` began the turn with it.
    PromptSent,
    /// Something odd, or a warning of the agent; redacted, 400 characters at most, 20 in a turn at most.
    Notice(String),
    /// Nothing to act upon.
    Nothing,
}

/// An error as JSON-RPC carries it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RpcError {
    /// The code; 0 when there was none.
    pub code: i64,
    /// The message, 4,000 characters at most. Not redacted.
    pub message: String,
    /// The data, when it is of 64 KiB at most.
    pub data: Option<Value>,
}

impl std::fmt::Display for RpcError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}
