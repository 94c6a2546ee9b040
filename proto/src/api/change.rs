//! Calls that change a conversation.

use crate::conversation::{BudgetLevel, ConversationView, PermissionPolicy, RecoveryPolicy};
use crate::delivery::{Recipient, SinkKind};
use crate::message::MessageType;
use crate::permission::Permit;
use crate::{ConversationId, MessageId, RequestId, TurnId};
use serde::{Deserialize, Serialize};

/// Parameters of `conversation.delegate`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct DelegateParams {
    /// The client's own name for this call: a repeat is answered, not repeated.
    pub request_id: Option<RequestId>,
    /// What to do; not empty, 8 MiB at most. An alias and a colon in front select the agent.
    pub request: String,
    /// The agent kind or an alias.
    pub agent: Option<String>,
    /// Absolute path of an existing directory.
    pub workspace: String,
    /// An agent session name to use again.
    pub session: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// A proxy address without a password.
    pub proxy: Option<String>,
    /// Rounds, 1 or more.
    pub soft_limit: Option<u32>,
    /// Rounds, the soft limit or more.
    pub hard_limit: Option<u32>,
    /// Minutes of silence after which a turn counts as stalled; 1 or more.
    pub agent_timeout_minutes: Option<u32>,
    /// Minutes of idleness after which the conversation is closed; 1 or more.
    pub idle_timeout_minutes: Option<u32>,
    /// Where callbacks go: an OpenClaw session key such as `agent:main:main`.
    pub orchestrator: Option<String>,
    /// Where that session stands; OpenClaw's plugin fills it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Recipient>,
    /// How callbacks travel; by default `plugin` with an orchestrator, else `command` where one is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink: Option<SinkKind>,
    /// A name for people, 200 characters at most.
    pub label: Option<String>,
    /// What happens when the agent session is lost.
    pub recovery_policy: Option<RecoveryPolicy>,
    /// What happens to permission requests.
    pub permissions: Option<PermissionPolicy>,
    /// Deliver `progress` too.
    pub deliver_progress: bool,
}

/// Answer of `conversation.delegate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DelegateAnswer {
    /// The conversation.
    pub conversation: ConversationView,
    /// Its first turn.
    pub turn_id: TurnId,
    /// Whether this answers a repeated call.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

/// Parameters of `conversation.send`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct SendParams {
    /// The client's own name for this call.
    pub request_id: Option<RequestId>,
    /// An id, a unique prefix or suffix of one, or `@last`.
    pub conversation_id: String,
    /// What to say; may be left out only with `model` in `needs_model_selection`.
    pub message: Option<String>,
    /// `answer`, `task`, `control` or `error`; by default what the status asks for.
    #[serde(rename = "type")]
    pub kind: Option<MessageType>,
    /// The model from now on.
    pub model: Option<String>,
    /// A new soft limit.
    pub soft_limit: Option<u32>,
    /// A new hard limit.
    pub hard_limit: Option<u32>,
    /// Cancel the open turn first, as `conversation.cancel` does: what waits behind it is dropped.
    pub cancel_first: bool,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SendState {
    /// A turn was started with it.
    Sent,
    /// It waits behind the open turn.
    Queued,
}

/// Answer of `conversation.send` and `conversation.recover`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SendAnswer {
    /// The conversation after it.
    pub conversation: ConversationView,
    /// The message.
    pub message_id: MessageId,
    /// The turn that carries it; none while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<TurnId>,
    /// What became of it.
    pub state: SendState,
    /// How near the limit it is.
    pub budget_level: BudgetLevel,
    /// Whether the agent session was gone and akkd replayed its history into a fresh one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub auto_recovered: bool,
    /// With `cancel_first`: messages that waited and were dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<MessageId>,
    /// Whether this answers a repeated call.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

/// Answer of `conversation.cancel` and `conversation.close`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CancelAnswer {
    /// The conversation after it.
    pub conversation: ConversationView,
    /// There was no open turn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nothing_to_cancel: bool,
    /// Messages that waited and were dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<MessageId>,
}

/// Parameters of `conversation.close`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct CloseParams {
    /// The client's own name for this call.
    pub request_id: Option<RequestId>,
    /// An id, a unique prefix or suffix of one, or `@last`.
    pub conversation_id: String,
    /// Why; by default `closed by request`.
    pub reason: Option<String>,
}

/// Parameters of `conversation.permit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PermitParams {
    /// The client's own name for this call.
    #[serde(default)]
    pub request_id: Option<RequestId>,
    /// An id, a unique prefix or suffix of one, or `@last`.
    #[serde(default)]
    pub conversation_id: String,
    /// Which request; may be left out where only one waits.
    #[serde(default)]
    pub nonce: Option<String>,
    /// The answer.
    pub decision: Permit,
}

/// Answer of `conversation.permit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PermitAnswer {
    /// The conversation after it.
    pub conversation: ConversationView,
    /// The request that was answered; none where a repeated call named none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The answer.
    pub decision: Permit,
    /// Whether this answers a repeated call.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

/// Answer of `conversation.delete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeleteAnswer {
    /// What is gone, for good.
    pub conversation_id: ConversationId,
}
