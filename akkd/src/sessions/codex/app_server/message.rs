//! What goes over the connection.

use akk_core::redact;
use serde::Deserialize;
use serde_json::Value;

/// Longest message of an error, in characters: an unknown method is answered with the list of all methods.
const MAX_ERROR_CHARS: usize = 400;

/// An error as the daemon told it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcError {
    /// The code; 0.169 says -32600 to nearly everything.
    #[serde(default)]
    pub code: i64,
    /// The message; 400 characters at most. Not redacted.
    #[serde(default)]
    pub message: String,
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The daemon refused it.
    #[error(transparent)]
    Refused(#[from] RpcError),
    /// The connection is over; what became of the call is not known.
    #[error("the connection to the Codex daemon ended: {0}")]
    Closed(String),
    /// No answer came in time; what became of the call is not known.
    #[error("the Codex daemon did not answer `{0}` in time")]
    Late(&'static str),
    /// The answer says something else than it should.
    #[error("the Codex daemon's answer to `{0}` cannot be read: {1}")]
    Unreadable(&'static str, String),
}

/// A message from the daemon.
#[derive(Debug, Deserialize)]
pub(super) struct Message {
    #[serde(default)]
    pub(super) id: Option<Value>,
    #[serde(default)]
    pub(super) method: Option<String>,
    #[serde(default)]
    pub(super) params: Value,
    #[serde(default)]
    pub(super) result: Option<Value>,
    #[serde(default)]
    pub(super) error: Option<RpcError>,
}

impl Message {
    /// The outcome of a call of ours.
    pub(super) fn outcome(self) -> Result<Value, CallError> {
        match self.error {
            Some(error) => Err(CallError::Refused(RpcError {
                code: error.code,
                message: redact::cut(&error.message, MAX_ERROR_CHARS),
            })),
            None => Ok(self.result.unwrap_or_default()),
        }
    }
}
