//! Messages between the orchestrator and a coding agent.

use crate::{ConversationId, MessageId, Timestamp, TurnId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Who speaks. `openclaw` is the orchestrator; any other name is a coding agent's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Actor(pub String);

impl Actor {
    /// The orchestrator: an OpenClaw session, or a person in a shell.
    pub fn orchestrator() -> Self {
        Self("openclaw".to_owned())
    }

    /// Whether this is the orchestrator.
    pub fn is_orchestrator(&self) -> bool {
        self.0 == "openclaw"
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MessageType {
    /// Work to do; to the agent.
    Task,
    /// A decision; to the agent.
    Answer,
    /// Budget warnings, lifecycle; to the agent.
    Control,
    /// The agent needs a decision.
    Question,
    /// The agent cannot go on without one.
    Blocked,
    /// A report that needs no answer.
    Progress,
    /// This round is complete.
    Done,
    /// Runtime, tool or protocol failure; both ways.
    Error,
}

impl MessageType {
    /// Every type, in the order of the specification.
    pub const ALL: [Self; 8] = [
        Self::Task,
        Self::Answer,
        Self::Control,
        Self::Question,
        Self::Blocked,
        Self::Progress,
        Self::Done,
        Self::Error,
    ];

    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Answer => "answer",
            Self::Control => "control",
            Self::Question => "question",
            Self::Blocked => "blocked",
            Self::Progress => "progress",
            Self::Done => "done",
            Self::Error => "error",
        }
    }

    /// The type with this wire name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str() == text)
    }

    /// Whether such a message needs an answer unless it says otherwise.
    pub fn needs_answer_by_default(self) -> bool {
        matches!(self, Self::Task | Self::Answer | Self::Question | Self::Blocked)
    }

    /// Whether the orchestrator may send it to an agent.
    pub fn goes_to_agent(self) -> bool {
        matches!(self, Self::Task | Self::Answer | Self::Control | Self::Error)
    }

    /// Whether an agent may send it to the orchestrator.
    pub fn goes_to_orchestrator(self) -> bool {
        matches!(self, Self::Question | Self::Blocked | Self::Progress | Self::Done | Self::Error)
    }

    /// Whether such a report settles the turn in which it came.
    pub fn settles_turn(self) -> bool {
        matches!(self, Self::Done | Self::Question | Self::Blocked | Self::Error)
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One message of a conversation, as it is recorded, prompted and delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Message {
    /// Made by akkd.
    pub id: MessageId,
    /// When akkd recorded it.
    pub ts: Timestamp,
    /// The conversation it belongs to.
    pub conversation_id: ConversationId,
    /// Who says it.
    pub from: Actor,
    /// Who is told.
    pub to: Actor,
    /// What it is for.
    #[serde(rename = "type")]
    pub kind: MessageType,
    /// Whether the receiver must answer before the other side goes on.
    pub requires_response: bool,
    /// The round it belongs to. Only messages that need an answer open a new one.
    pub round: u32,
    /// The hard limit of rounds when it was recorded.
    pub max_rounds: u32,
    /// The turn it was said in, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<TurnId>,
    /// What it says; never empty.
    pub body: String,
    /// `workspace`, `task_id`, and whatever else its sender gave.
    #[serde(default)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
}
