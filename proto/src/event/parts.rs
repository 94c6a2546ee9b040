//! What the events of a history tell.

use crate::conversation::{PermissionPolicy, RecoveryPolicy, Transport};
use crate::delivery::{Recipient, SinkKind};
use crate::message::{Actor, Message};
use crate::{ConversationId, MessageId, TurnId};
use serde::{Deserialize, Serialize};

/// Everything that is fixed when a conversation begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Created {
    /// Its id. Another name on the wire than the record's own, into which this is flattened.
    #[serde(rename = "id", alias = "conversation_id")]
    pub conversation_id: ConversationId,
    /// The request, cut at 4,000 characters; the first message has it whole.
    pub user_request: String,
    /// The user's own name for it.
    pub label: Option<String>,
    /// Absolute, canonical.
    pub workspace: String,
    /// The agent kind.
    pub agent: String,
    /// Who speaks in messages.
    pub actor: Actor,
    /// akkd's name for the agent session.
    pub session: String,
    /// How the agent is spoken to.
    pub transport: Transport,
    /// The model, if one was asked for.
    pub model: Option<String>,
    /// A proxy without a password.
    pub proxy: Option<String>,
    /// Rounds.
    pub soft_limit: u32,
    /// Rounds.
    pub hard_limit: u32,
    /// Silence after which a turn counts as stalled.
    pub agent_timeout_minutes: u32,
    /// Idle time after which the conversation is closed.
    pub idle_timeout_minutes: u32,
    /// What happens when the agent session is lost.
    pub recovery_policy: RecoveryPolicy,
    /// What happens to permission requests.
    pub permissions: PermissionPolicy,
    /// Minutes that one waits for a person before it is refused; without limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission_minutes: Option<u32>,
    /// Where callbacks go.
    pub orchestrator: Option<String>,
    /// Where that session stood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Recipient>,
    /// The delivery sink, fixed now.
    pub sink: SinkKind,
    /// Whether `progress` is delivered too.
    pub deliver_progress: bool,
    /// The agent's own id of a session to go on with, where one was given.
    pub native_session: Option<String>,
    /// Whether a turn that went silent is ended; otherwise its process is left alone.
    #[serde(default)]
    pub stop_on_timeout: bool,
}

/// A message, and how it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MessageRecorded {
    /// The message.
    pub message: Message,
    /// How it came.
    pub origin: Origin,
    /// What identifies a repeat of it; reports of an agent only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Fingerprint>,
}

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Sent by the orchestrator, to be prompted at once.
    Sent,
    /// Sent by the orchestrator, waits behind the open turn.
    Queued,
    /// Made by akkd for the agent (budget).
    Daemon,
    /// Reported by the agent: callback command, report tool, drop.
    Callback,
    /// The final text of a turn.
    Derived,
    /// From the predecessor's history, either way.
    Imported,
}

/// What identifies a repeat of a report: hex digests of its ids and of its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fingerprint {
    /// Of the id that the agent gave and the content, where it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<String>,
    /// Of the id that the callback command made and the content, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<String>,
    /// Of sender, receiver, type, requires_response and body.
    pub content: String,
}

/// A prompt that is to be handed to the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TurnStart {
    /// The turn. Another name on the wire than the record's own, into which this is flattened.
    #[serde(rename = "opened", alias = "turn_id")]
    pub turn_id: TurnId,
    /// What the prompt holds besides the message.
    pub prompt: PromptKind,
    /// The message that it carries.
    pub message_id: MessageId,
    /// Control messages that go with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controls: Vec<MessageId>,
}

/// What a prompt holds besides its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PromptKind {
    /// The bootstrap: the agent session is new.
    Bootstrap,
    /// Only the message and the way back.
    FollowUp,
    /// The bootstrap and a replay of the history: the former session is gone.
    Replay,
}

/// How the agent session was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionEnsured {
    /// The agent's own id of it.
    pub native_session_id: String,
    /// How.
    pub how: SessionReached,
    /// The model in use, where the agent says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// How an agent session was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SessionReached {
    /// Made now.
    Created,
    /// The agent process still had it.
    Kept,
    /// Loaded, with its history told again.
    Loaded,
    /// Resumed without a replay.
    Resumed,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// A step to stop an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CancelStep {
    /// The protocol's own cancel.
    Cooperative,
    /// SIGTERM to the process group.
    Terminate,
    /// SIGKILL to the process group.
    Kill,
}

/// What the agent did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "activity", rename_all = "snake_case")]
pub enum Activity {
    /// A tool call began or changed its status.
    Tool {
        /// The agent's id of the call.
        id: String,
        /// What it does, 200 characters at most.
        title: String,
        /// The protocol's kind of tool, such as `execute`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<String>,
        /// `pending`, `in_progress`, `completed`, `failed`.
        status: String,
        /// Input or output, redacted, 400 characters at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preview: Option<String>,
    },
    /// A plan was made or changed.
    Plan {
        /// `status text`, 20 at most.
        entries: Vec<String>,
    },
    /// A permission was asked for and answered by the policy.
    Permission {
        /// What for, 200 characters at most.
        title: String,
        /// `allowed`, `refused`, `cancelled`.
        decision: String,
        /// The kind of the chosen option, such as `allow_once`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        option: Option<String>,
    },
    /// Something the transport or akkd noticed, such as junk in the stream.
    Notice {
        /// What, redacted, 400 characters at most.
        text: String,
    },
}

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TurnOutcome {
    /// It was settled by a report or ended with a text.
    Completed,
    /// It was stopped on request.
    Cancelled,
    /// It failed, or ended without a word.
    Failed,
    /// The prompt did not reach the agent.
    NotDelivered,
    /// Whether the prompt reached the agent cannot be known.
    Uncertain,
}

/// The end of a turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TurnEnd {
    /// What it came to.
    pub outcome: TurnOutcome,
    /// Why, where the outcome alone does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Exit code or signal, where a process ended with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// What the agent said after its last tool call, 64 KiB at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Whether `text` was cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub text_truncated: bool,
    /// Tokens and cost, as the agent told them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<serde_json::Value>,
    /// Pieces of private thinking that were seen and not kept.
    #[serde(default)]
    pub thoughts: u64,
    /// A short, redacted tail of what the agent printed, when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Whether the agent showed any sign of working on the prompt.
    #[serde(default)]
    pub activity_seen: bool,
}
