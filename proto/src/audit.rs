//! The audit: who asked akkd for which change, and what came of it. No text that anybody wrote, and no secret, is in it.

use crate::{ConversationId, RequestId, Timestamp};
use serde::{Deserialize, Serialize};

/// Days that a row is kept at most.
pub const KEPT_DAYS: u32 = 90;
/// Rows that are kept at most; past it the oldest go.
pub const KEPT_ROWS: u32 = 100_000;

/// [`AuditRow::result`] of a call that did what it was asked for.
pub const OK: &str = "ok";
/// [`AuditRow::result`] of a call whose caller left before its answer. What it asked for may have been done.
pub const UNANSWERED: &str = "unanswered";
/// [`AuditRow::result`] of a call that goes on, or went on when akkd ended. What it asked for may have been done.
pub const UNFINISHED: &str = "unfinished";

/// Parameters of `daemon.audit`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct AuditParams {
    /// Only calls from this moment on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Rows at most, the newest of them; 1 to 1000, 100 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only calls about this conversation. One that was deleted has to be named by its full id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
}

/// Answer of `daemon.audit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditAnswer {
    /// The newest rows that fit, the oldest of them first.
    pub rows: Vec<AuditRow>,
    /// Whether there are older ones.
    pub more: bool,
}

/// A call that was to change something, also one that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditRow {
    /// When it came.
    pub at: Timestamp,
    /// On which way.
    pub via: AuditWay,
    /// What was asked for.
    pub method: String,
    /// The conversation that it is about, where it is about one that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    /// The caller's own name for the call, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// [`OK`], the kind of the error, [`UNANSWERED`] or [`UNFINISHED`].
    pub result: String,
    /// Who asked; none for what was left in a drop folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<AuditPeer>,
}

/// A way into akkd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AuditWay {
    /// The control socket.
    Control,
    /// The callback socket.
    Callback,
    /// The drop folder of the conversation.
    Spool,
}

impl AuditWay {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Control, Self::Callback, Self::Spool];

    /// Its word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Callback => "callback",
            Self::Spool => "spool",
        }
    }

    /// The way with this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.as_str() == word)
    }
}

/// The process that connected, as it was at that moment. It may have handed the connection on since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditPeer {
    /// Its process id, where the system tells it and akkd's pid namespace has one for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its effective user id.
    pub uid: u32,
    /// The file that it ran; none where that could not be seen: it had ended already, say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
}
