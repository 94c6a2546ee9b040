//! Errors as they cross the wire: a JSON-RPC code, one sentence, and `data: {kind, hint, …}`.

use serde::{Deserialize, Serialize};

/// The stable word for what went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// No such conversation, turn, delivery.
    NotFound,
    /// A shortened id fits several conversations, or an answer several requests.
    AmbiguousId,
    /// The operation is not possible in this status.
    WrongStatus,
    /// The turn of a stalled conversation is still open.
    TurnStillOpen,
    /// The message is not one that may be recorded.
    InvalidMessage,
    /// This sender may not send this type to this receiver.
    InvalidRoute,
    /// A parameter is missing or out of its range.
    InvalidParams,
    /// No ticket, a wrong one, or one that was revoked.
    TicketRefused,
    /// The conversation was closed; the report was recorded as late.
    ConversationClosed,
    /// Soft or hard limit of rounds.
    BudgetExhausted,
    /// The agent is unknown, not installed, or could not be started.
    AgentUnavailable,
    /// No such native session.
    SessionNotFound,
    /// The process is not the one that was confirmed.
    ExpectedPidMismatch,
    /// The evidence is too weak to end a process.
    TakeoverNotConfirmable,
    /// The session lives in a process that serves others too.
    SharedHolder,
    /// The process did not end.
    TargetStillActive,
    /// Another process writes this session.
    ActiveWriter,
    /// The plan that was confirmed is used up, too old, or unknown.
    PlanExpired,
    /// A turn runs in the session.
    SessionWorking,
    /// The process is one of akkd's own, or an ancestor of the caller.
    ProtectedProcess,
    /// Past a limit of size or count.
    TooLarge,
    /// Client and daemon do not speak the same protocol.
    VersionMismatch,
    /// The configuration file is wrong.
    BadConfig,
    /// The store cannot take or give data: disk full, read-only, corrupt row.
    Storage,
    /// akkd is stopping.
    Stopping,
    /// A defect in akkd.
    Internal,
    /// What was sent is not a JSON-RPC 2.0 request.
    InvalidRequest,
    /// akkd has no such method on this socket.
    UnknownMethod,
    /// The peer belongs to another user.
    PeerRefused,
}

impl ErrorKind {
    /// Every kind, in the order of its code.
    pub const ALL: [Self; 29] = [
        Self::NotFound,
        Self::AmbiguousId,
        Self::WrongStatus,
        Self::TurnStillOpen,
        Self::InvalidMessage,
        Self::InvalidRoute,
        Self::InvalidParams,
        Self::TicketRefused,
        Self::ConversationClosed,
        Self::BudgetExhausted,
        Self::AgentUnavailable,
        Self::SessionNotFound,
        Self::ExpectedPidMismatch,
        Self::TakeoverNotConfirmable,
        Self::SharedHolder,
        Self::TargetStillActive,
        Self::ActiveWriter,
        Self::TooLarge,
        Self::VersionMismatch,
        Self::BadConfig,
        Self::Storage,
        Self::Stopping,
        Self::Internal,
        Self::InvalidRequest,
        Self::UnknownMethod,
        Self::PeerRefused,
        Self::PlanExpired,
        Self::SessionWorking,
        Self::ProtectedProcess,
    ];

    /// The JSON-RPC error code: -32000 upward in absolute value, one per kind. What JSON-RPC itself names keeps its
    /// own code: -32600 for the request, -32601 for the method, -32602 for parameters, -32603 for defects.
    pub fn code(self) -> i32 {
        match self {
            Self::InvalidParams => -32602,
            Self::Internal => -32603,
            Self::InvalidRequest => -32600,
            Self::UnknownMethod => -32601,
            other => -32000 - Self::ALL.iter().position(|k| *k == other).map_or(99, |p| p as i32),
        }
    }

    /// Its word on the wire.
    pub fn word(self) -> String {
        // A unit variant is written as its name.
        serde_json::to_value(self).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// The process exit code of akkctl for it: 4 not found, 2 usage, 5 refused by a rule, 1 failed.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::NotFound | Self::SessionNotFound => 4,
            Self::InvalidParams | Self::AmbiguousId => 2,
            Self::AgentUnavailable
            | Self::BadConfig
            | Self::Storage
            | Self::Stopping
            | Self::Internal
            | Self::InvalidRequest
            | Self::UnknownMethod => 1,
            _ => 5,
        }
    }
}

/// The `data` member of an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorData {
    /// The stable word.
    pub kind: ErrorKind,
    /// What to do next; a sentence.
    pub hint: String,
    /// Further facts, by kind.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub details: serde_json::Map<String, serde_json::Value>,
}

/// An error for the user: what was wrong, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The stable word.
    pub kind: ErrorKind,
    /// One sentence without a full stop: what was wrong, with the offending value.
    pub message: String,
    /// One sentence: what to do next.
    pub hint: String,
    /// Further facts, by kind.
    pub details: serde_json::Map<String, serde_json::Value>,
}

impl Failure {
    /// An error without further facts.
    pub fn new(kind: ErrorKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: hint.into(), details: serde_json::Map::new() }
    }

    /// The same with one further fact.
    pub fn with(mut self, key: &str, value: impl Into<serde_json::Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// The line, with its newline, that tells a peer of this error outside of any call: a JSON-RPC error response
    /// whose id is null.
    pub fn to_line(&self) -> String {
        let data = ErrorData { kind: self.kind, hint: self.hint.clone(), details: self.details.clone() };
        let error = serde_json::json!({ "code": self.kind.code(), "message": self.message, "data": data });
        format!("{}\n", serde_json::json!({ "jsonrpc": "2.0", "id": null, "error": error }))
    }
}

#[cfg(feature = "server")]
impl From<Failure> for jsonrpsee::types::ErrorObjectOwned {
    fn from(f: Failure) -> Self {
        let data = ErrorData { kind: f.kind, hint: f.hint, details: f.details };
        Self::owned(f.kind.code(), f.message, Some(data))
    }
}

#[cfg(test)]
mod tests {
    use super::{ErrorData, ErrorKind, Failure};

    #[test]
    fn a_failure_outside_of_a_call_is_one_line_of_json_rpc() {
        let line = Failure::new(ErrorKind::Stopping, "akkd\nstops", "Wait.").with("pid", 7).to_line();
        assert_eq!(line.find('\n'), Some(line.len() - 1));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&value["id"], &value["error"]["code"]),
            (&serde_json::Value::Null, &ErrorKind::Stopping.code().into())
        );
        let data: ErrorData = serde_json::from_value(value["error"]["data"].clone()).unwrap();
        assert_eq!((data.kind, data.details["pid"].as_i64()), (ErrorKind::Stopping, Some(7)));
    }

    #[test]
    fn every_kind_has_a_code_of_its_own() {
        let codes: std::collections::BTreeSet<i32> = ErrorKind::ALL.iter().map(|k| k.code()).collect();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
    }
}
