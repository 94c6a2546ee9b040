//! Conversations of the predecessor (Agent Knock Knock 0.1 and 0.2, in TypeScript), as a client hands them over.
//!
//! The client reads the predecessor's files and writes what they say in these words; akkd knows nothing of the files.

use crate::conversation::Status;
use crate::message::Message;
use crate::{ConversationId, MessageId, Timestamp};
use serde::{Deserialize, Serialize};

/// Parameters of `conversation.import`: one conversation, whole. A repeat changes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ImportParams {
    /// Its id, which it keeps.
    pub conversation_id: ConversationId,
    /// The request it began with, whole.
    pub user_request: String,
    /// The agent kind or an alias.
    pub agent: String,
    /// Absolute. It need not exist any more.
    pub workspace: String,
    /// The predecessor's name for the agent session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The agent's own id of a session that it was attached to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native_session: Option<String>,
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Where callbacks went: an OpenClaw session key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orchestrator: Option<String>,
    /// Where it stood.
    pub status: Status,
    /// Why it stood there, for the statuses that have a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `needs_model_selection`: the refused model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempted_model: Option<String>,
    /// `needs_model_selection`: models that the agent named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub available_models: Vec<String>,
    /// Rounds that needed an answer.
    pub rounds_used: u32,
    /// Rounds, 1 or more.
    pub soft_limit: u32,
    /// Rounds, the soft limit or more.
    pub hard_limit: u32,
    /// When it began.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// What happened, oldest first.
    pub history: Vec<ImportEntry>,
}

/// One entry of the predecessor's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum ImportEntry {
    /// A message.
    Message {
        /// The message, with an id of our form.
        message: Box<Message>,
    },
    /// Anything else that was noted.
    Event {
        /// When.
        ts: Timestamp,
        /// The predecessor's name for it, 100 characters at most.
        name: String,
        /// What it says, in a line; redacted and cut at 400 characters by akkd.
        detail: String,
    },
}

/// Answer of `conversation.import`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportAnswer {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// It was there already, from an earlier import; nothing was changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub already: bool,
    /// Where it stands now.
    pub status: Status,
}

/// That a conversation came from the predecessor, and where it stood there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Imported {
    /// Its status there.
    pub former_status: Status,
    /// The predecessor's name for the agent session. It is not gone on with: the agent gets a replay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former_session: Option<String>,
    /// The agent's own id of a session that it was attached to. It is not attached here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native_session: Option<String>,
    /// The newest message to the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_task: Option<MessageId>,
    /// Rounds that needed an answer.
    pub rounds_used: u32,
    /// When it was imported.
    pub imported_at: Timestamp,
    /// Where it stands here.
    pub standing: Standing,
}

/// Where an imported conversation stands when it begins here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Standing {
    /// Nothing was sent.
    Created,
    /// The agent had asked.
    WaitingForOpenclaw {
        /// Whether it said `blocked`.
        blocked: bool,
    },
    /// Its round was complete. Idleness counts from the import.
    Idle,
    /// It was stalled, or its agent worked: that process is not akkd's.
    Stalled {
        /// Why.
        reason: String,
    },
    /// Its agent session was gone.
    NeedsRecovery {
        /// Why.
        reason: String,
        /// The message that waits for the choice.
        pending: MessageId,
    },
    /// The agent had refused the model.
    NeedsModelSelection {
        /// The refused model.
        attempted: Option<String>,
        /// Models that the agent named.
        available: Vec<String>,
        /// What it said.
        reason: String,
        /// The message that is sent again.
        pending: MessageId,
    },
    /// It had failed.
    Failed {
        /// Why.
        reason: String,
        /// Whether its budget was used up.
        hard_stop: bool,
    },
    /// It was closed while it worked.
    Cancelled {
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
    /// It was closed.
    Closed {
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
}
