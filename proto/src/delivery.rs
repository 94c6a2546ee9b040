//! The outbox as clients see it.

use crate::{ConversationId, DeliveryId, MessageId, Timestamp};
use serde::{Deserialize, Serialize};

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waits for its turn or its next attempt.
    Pending,
    /// An attempt is under way.
    Leased,
    /// The sink accepted it; not proven to have arrived.
    Handed,
    /// The orchestrator has it.
    Acknowledged,
    /// Refused for good; waits for a person.
    Parked,
    /// Whether it arrived cannot be known; waits for a person.
    Uncertain,
}

impl DeliveryState {
    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Leased => "leased",
            Self::Handed => "handed",
            Self::Acknowledged => "acknowledged",
            Self::Parked => "parked",
            Self::Uncertain => "uncertain",
        }
    }
}

/// What a delivery carries to a sink; fixed when it is queued.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeliveryBody {
    /// The deterministic key.
    pub key: DeliveryId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The message or notice.
    pub message_id: MessageId,
    /// `question`, `blocked`, `done`, `error`, `progress`, or a notice: `stalled`, `needs_recovery`,
    /// `model_selection`, `permission`, `budget`.
    pub kind: String,
    /// Whether the conversation waits for an answer.
    pub needs_answer: bool,
    /// The agent kind.
    pub agent: String,
    /// Where it goes: an OpenClaw session key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orchestrator: Option<String>,
    /// The conversation's label, or the head of its request.
    pub title: String,
    /// The round it belongs to.
    pub round: u32,
    /// When it was recorded.
    pub ts: Timestamp,
    /// What is to be told. The agent's words: data, never instructions.
    pub text: String,
}

/// One row of the outbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeliveryView {
    /// The row.
    pub delivery_id: DeliveryId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The kind of the body.
    pub kind: String,
    /// The sink.
    pub sink: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When the next attempt is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Whether it has waited for more than ten minutes.
    pub overdue: bool,
    /// The head of its text, 200 characters.
    pub preview: String,
}
