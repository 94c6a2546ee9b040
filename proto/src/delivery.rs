//! The outbox as clients see it.

use crate::permission::Permit;
use crate::{ConversationId, DeliveryId, MessageId, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a conversation's reports travel; fixed when it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SinkKind {
    /// Through OpenClaw's plugin, into the session that asked.
    Plugin,
    /// An argv of the configuration gets each as JSON on stdin.
    Command,
    /// Nothing is delivered: the conversation is watched.
    None,
}

impl SinkKind {
    /// Every sink.
    pub const ALL: [Self; 3] = [Self::Plugin, Self::Command, Self::None];

    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plugin => "plugin",
            Self::Command => "command",
            Self::None => "none",
        }
    }

    /// The sink of this wire name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sink| sink.as_str() == name)
    }
}

impl fmt::Display for SinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where the orchestrator's session stood when the conversation began, as OpenClaw told it (2026.9: the context of a
/// tool or a command). The session key itself is `orchestrator`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Recipient {
    /// The installation of OpenClaw, by a name that its plugin keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// The session behind the key at that time; a reset makes another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// OpenClaw's own agent that holds the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The chat channel, such as `telegram`; none for a session without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The chat in that channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The account in that channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The topic or thread in that chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// Where that session stood when the conversation began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Recipient>,
    /// The conversation's label, or the head of its request.
    pub title: String,
    /// The round it belongs to.
    pub round: u32,
    /// When the orchestrator last said something in the conversation: a reset of its session after that leaves nobody
    /// who waits for this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<Timestamp>,
    /// When it was recorded.
    pub ts: Timestamp,
    /// What is to be told. The agent's words: data, never instructions.
    pub text: String,
    /// The request that a `permission` is about: a channel that can ask by itself needs no model for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<PermissionNotice>,
}

/// What a person is asked for, for `conversation.permit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PermissionNotice {
    /// Names the request.
    pub nonce: String,
    /// What for, 200 characters at most. The agent's words.
    pub title: String,
    /// Everything that the agent says of it, 32,000 characters at most.
    pub text: String,
    /// Whether there was more of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// The answers that can be given.
    pub decisions: Vec<Permit>,
    /// When it is refused for want of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
}

/// What OpenClaw accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Handed {
    /// Which attempt, from 1.
    pub attempt: u32,
    /// OpenClaw's name for the run that carries it.
    pub run_id: String,
    /// The session that got it.
    pub session_id: String,
    /// The gateway process that accepted it.
    pub process: String,
    /// When akkd learned of it.
    pub at: Timestamp,
}

/// Why a delivery waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ParkReason {
    /// The session was reset, or is gone.
    RecipientGone,
    /// Whether it arrived cannot be known.
    Uncertain,
}

impl ParkReason {
    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RecipientGone => "recipient_gone",
            Self::Uncertain => "uncertain",
        }
    }

    /// The state of a delivery that waits for it.
    pub fn state(self) -> DeliveryState {
        match self {
            Self::RecipientGone => DeliveryState::Parked,
            Self::Uncertain => DeliveryState::Uncertain,
        }
    }
}

/// One row of the outbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeliveryView {
    /// The row.
    pub delivery_id: DeliveryId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The kind of the body.
    pub kind: String,
    /// The sink.
    pub sink: SinkKind,
    /// Where it goes: an OpenClaw session key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orchestrator: Option<String>,
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
    /// Why it waits for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ParkReason>,
    /// What OpenClaw accepted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed: Option<Handed>,
    /// Why it is not told yet, as a sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// Whether it has waited for more than ten minutes.
    pub overdue: bool,
    /// The head of its text, 200 characters.
    pub preview: String,
}

/// What a subscriber of deliveries is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "item", rename_all = "snake_case")]
pub enum DeliveryItem {
    /// Tell this.
    Offer(Box<Offer>),
    /// It was settled otherwise: do not begin with it any more.
    Withdrawn {
        /// Which.
        delivery_id: DeliveryId,
    },
    /// Say with `delivery.probed` whether the gateway can be reached.
    Probe {
        /// To be given back.
        nonce: String,
    },
    /// A newer subscription of the same gateway has taken the place of this one, which ends.
    Superseded,
}

/// One delivery, offered to the subscriber that can tell it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Offer {
    /// The row.
    pub delivery_id: DeliveryId,
    /// Which attempt, from 1; reports name it.
    pub attempt: u32,
    /// Whether an earlier attempt was begun whose fate akkd does not know: look first whether that one arrived.
    pub look_first: bool,
    /// Whether a person asked for this attempt: tell it whatever is known, to the session that has the key today.
    pub by_person: bool,
    /// What was accepted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed: Option<Handed>,
    /// What it carries.
    pub body: DeliveryBody,
    /// What the session is to read.
    pub text: String,
}

/// Why an attempt did not end well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// Certainly not told: to be tried again later.
    Refused,
    /// The session was reset, or is gone.
    RecipientGone,
    /// Whether it arrived cannot be known.
    Uncertain,
}

/// A subscriber of deliveries, as `daemon.doctor` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PluginView {
    /// The installation of OpenClaw.
    pub gateway: String,
    /// The gateway's process.
    pub process: String,
    /// Version of the plugin.
    pub plugin_version: String,
    /// Version of OpenClaw.
    pub openclaw_version: String,
    /// Since when it is connected.
    pub connected_at: Timestamp,
}
