//! Calls of agents, on the callback socket.

use crate::conversation::{BudgetLevel, Status};
use crate::message::Message;
use crate::{ConversationId, MessageId, RequestId, TurnId};
use serde::{Deserialize, Serialize};

/// Parameters of `callback.report`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReportParams {
    /// The conversation, by its full id.
    pub conversation_id: ConversationId,
    /// The secret from the agent's environment.
    pub ticket: String,
    /// The turn that the agent works on; the open one by default.
    #[serde(default)]
    pub turn_id: Option<TurnId>,
    /// Made once by the reporting command, the same on each of its attempts.
    #[serde(default)]
    pub attempt_id: Option<RequestId>,
    /// What the agent wrote: JSON, or text with JSON in it. 256 KiB at most.
    pub message: String,
    /// `callback.await_answer` follows at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
}

/// Answer of `callback.report`: the message is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReportAnswer {
    /// The message as it was recorded (for a duplicate: the first one).
    pub message_id: MessageId,
    /// Whether it had been recorded before.
    pub duplicate: bool,
    /// Whether its turn was over: recorded, status unchanged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// The conversation's status now.
    pub status: Status,
    /// How near the limit it is.
    pub budget_level: BudgetLevel,
}

/// Parameters of `callback.await_answer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AwaitParams {
    /// The conversation, by its full id.
    pub conversation_id: ConversationId,
    /// The secret of the agent's launch.
    pub ticket: String,
    /// The question, as `callback.report` named it.
    pub message_id: MessageId,
    /// Milliseconds to wait at most; cut at 50,000.
    pub wait_ms: u64,
}

/// Answer of `callback.await_answer`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AwaitAnswer {
    /// The message that goes to the agent next. It waits like any other until `callback.confirm_answer` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Message>,
    /// Nothing will come inside this turn any more: it was stopped, or went on another way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over: bool,
    /// The conversation's status now.
    pub status: Status,
}

/// Parameters of `callback.confirm_answer`: the agent is being told, in the turn in which it asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfirmParams {
    /// The conversation, by its full id.
    pub conversation_id: ConversationId,
    /// The secret of the agent's launch.
    pub ticket: String,
    /// The question.
    pub message_id: MessageId,
    /// The message that answers it.
    pub answer_id: MessageId,
}

/// Answer of `callback.confirm_answer`: durable. Repeats are answered the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfirmAnswer {
    /// Whether it counts as sent. If not, it goes to the agent another way, and must not be told here.
    pub confirmed: bool,
    /// The conversation's status now.
    pub status: Status,
}
