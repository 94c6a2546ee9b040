//! A conversation as clients see it.

use crate::delivery::Recipient;
use crate::event::TurnOutcome;
use crate::import::Imported;
use crate::message::{Actor, Message};
use crate::permission::PermissionView;
use crate::session::{AttachmentView, ForkView};
use crate::{ConversationId, LaunchId, MessageId, Timestamp, TurnId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a conversation stands. See `spec/01`: the table of statuses is the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Recorded, nothing sent yet.
    Created,
    /// A message that needs no answer is the latest word.
    Running,
    /// The agent has the ball.
    WaitingForAgent,
    /// The agent asked, or is blocked.
    WaitingForOpenclaw,
    /// The agent reported `done`; it can be used again.
    Idle,
    /// Cancel or close was asked for and the turn has not ended yet.
    Cancelling,
    /// The turn ended without a word that settles it, or nothing was heard for too long.
    Stalled,
    /// The agent session is gone and the user must choose.
    NeedsRecovery,
    /// The agent refused the model.
    NeedsModelSelection,
    /// The agent reported `error`, or the hard budget was hit.
    Failed,
    /// Closed while its work was being cancelled. Terminal.
    Cancelled,
    /// Closed by request or by idle timeout. Terminal.
    Closed,
}

impl Status {
    /// Every status, in the order of the specification.
    pub const ALL: [Self; 12] = [
        Self::Created,
        Self::Running,
        Self::WaitingForAgent,
        Self::WaitingForOpenclaw,
        Self::Idle,
        Self::Cancelling,
        Self::Stalled,
        Self::NeedsRecovery,
        Self::NeedsModelSelection,
        Self::Failed,
        Self::Cancelled,
        Self::Closed,
    ];

    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::WaitingForAgent => "waiting_for_agent",
            Self::WaitingForOpenclaw => "waiting_for_openclaw",
            Self::Idle => "idle",
            Self::Cancelling => "cancelling",
            Self::Stalled => "stalled",
            Self::NeedsRecovery => "needs_recovery",
            Self::NeedsModelSelection => "needs_model_selection",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Closed => "closed",
        }
    }

    /// The status with this wire name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// Whether nothing can happen any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Cancelled | Self::Closed)
    }

    /// What a waiting person is told, if this status needs someone or is an end.
    pub fn need(self) -> Option<Need> {
        match self {
            Self::Created | Self::Running | Self::WaitingForAgent | Self::Cancelling => None,
            Self::WaitingForOpenclaw => Some(Need::Question),
            Self::Idle => Some(Need::Done),
            Self::Stalled => Some(Need::Stalled),
            Self::NeedsRecovery => Some(Need::NeedsRecovery),
            Self::NeedsModelSelection => Some(Need::NeedsModelSelection),
            Self::Failed => Some(Need::Failed),
            Self::Cancelled | Self::Closed => Some(Need::Closed),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a conversation waits for, as `wait` reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// The agent finished its round (also after a cancelled turn: `idle`).
    Done,
    /// The agent asked.
    Question,
    /// The agent cannot go on.
    Blocked,
    /// The agent waits for a permission.
    Permission,
    /// The turn ended without result, or nothing was heard for too long.
    Stalled,
    /// The agent session is gone.
    NeedsRecovery,
    /// The agent refused the model.
    NeedsModelSelection,
    /// The agent reported an error, or the budget is used up.
    Failed,
    /// The conversation was closed.
    Closed,
}

impl Need {
    /// The exit code of `akkctl wait`: 0 done, 1 failed or closed, 3 needs someone.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed | Self::Closed => 1,
            _ => 3,
        }
    }
}

/// How an agent is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// The Agent Client Protocol, spoken by akkd itself.
    Acp,
    /// Through the `acpx` command line.
    Acpx,
    /// `codex exec resume` of a native session.
    Codex,
}

impl Transport {
    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acp => "acp",
            Self::Acpx => "acpx",
            Self::Codex => "codex",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happens to an agent's permission requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PermissionPolicy {
    /// Ask a person. Over ACP only, where it is the default.
    Ask,
    /// Allow every request.
    All,
    /// Allow what only reads or searches, refuse the rest.
    Reads,
    /// Refuse every request.
    Deny,
}

impl PermissionPolicy {
    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::All => "all",
            Self::Reads => "reads",
            Self::Deny => "deny",
        }
    }
}

/// What happens when the agent session cannot be reached before the agent showed any activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RecoveryPolicy {
    /// A fresh agent session gets a replay of what akkd knows.
    #[default]
    Auto,
    /// The user chooses: `needs_recovery`.
    Explicit,
}

/// How near a conversation is to its limit of rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BudgetLevel {
    /// Below 60 % of the soft limit.
    #[default]
    Normal,
    /// From 60 %: list what is left, take the shortest way.
    Converge,
    /// From 80 %: finish, degrade or explain.
    Warning,
    /// At the soft limit: `send` is refused unless it raises the limit.
    SoftStop,
    /// At the hard limit.
    HardStop,
}

impl BudgetLevel {
    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Converge => "converge",
            Self::Warning => "warning",
            Self::SoftStop => "soft_stop",
            Self::HardStop => "hard_stop",
        }
    }
}

/// Who works on a conversation, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecutorView {
    /// The agent kind: what a user types.
    pub kind: String,
    /// Who speaks in messages.
    pub actor: Actor,
    /// akkd's name for the agent session.
    pub session: String,
    /// How it is spoken to.
    pub transport: Transport,
    /// The agent's own id of its session, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native_session_id: Option<String>,
}

/// Identity of a process: pid alone is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProcessView {
    /// The launch it belongs to.
    pub launch_id: LaunchId,
    /// Process id in akkd's pid namespace.
    pub pid: u32,
    /// The command line's words, redacted.
    pub command: Vec<String>,
}

/// The open turn, or the last one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TurnView {
    /// Which turn.
    pub turn_id: TurnId,
    /// When it was opened.
    pub started_at: Timestamp,
    /// When it ended; none while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// What it came to; none while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<TurnOutcome>,
    /// Why, where the outcome alone does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The process that works on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessView>,
}

/// What `needs_recovery` waits for, and what became of former sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecoveryView {
    /// Why the session could not be used.
    pub reason: String,
    /// The message that waits for the choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_message: Option<MessageId>,
    /// The sessions that were given up, oldest first, 20 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_sessions: Vec<String>,
}

/// What `needs_model_selection` waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelSelectionView {
    /// The model that was refused, where it is known.
    pub attempted: Option<String>,
    /// The models that the agent named; empty when it named none.
    pub available: Vec<String>,
    /// What the agent said, redacted.
    pub reason: String,
    /// The message that is sent again with the chosen model.
    pub pending_message: MessageId,
}

/// A conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConversationView {
    /// Its id.
    pub conversation_id: ConversationId,
    /// The request it began with, cut at 4,000 characters (the transcript has it whole).
    pub user_request: String,
    /// The user's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Absolute, canonical.
    pub workspace: String,
    /// The agent kind.
    pub agent: String,
    /// Who works on it.
    pub executor: ExecutorView,
    /// The model that was asked for, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor_model: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// `permission` while the agent waits for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Need>,
    /// The permission requests that wait for an answer, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permission_requests: Vec<PermissionView>,
    /// Rounds that needed an answer.
    pub response_rounds_used: u32,
    /// Where `send` stops until it is raised.
    pub soft_limit: u32,
    /// Where the conversation fails.
    pub hard_limit: u32,
    /// How near it is to its limit.
    pub budget_level: BudgetLevel,
    /// Where callbacks go: an OpenClaw session key, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orchestrator: Option<String>,
    /// Where that session stood when the conversation began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Recipient>,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Its newest event.
    pub updated_at: Timestamp,
    /// Since when it is idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_since: Option<Timestamp>,
    /// When it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// Why it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close_reason: Option<String>,
    /// Why it is stalled (or failed).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled_reason: Option<String>,
    /// What became of lost agent sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<RecoveryView>,
    /// The choice of a model that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_selection: Option<ModelSelectionView>,
    /// How a native session was taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native_session_takeover: Option<Box<AttachmentView>>,
    /// What was carried over from a forked session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork_context_takeover: Option<Box<ForkView>>,
    /// That it came from the predecessor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Box<Imported>>,
    /// Deliveries that the orchestrator has not acknowledged.
    pub undelivered: u64,
    /// Those of them that wait for more than ten minutes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub overdue: u64,
    /// The open turn, else the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnView>,
    /// Messages that wait behind the open turn, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queued: Vec<MessageId>,
    /// What happens when the agent session is lost.
    pub recovery_policy: RecoveryPolicy,
    /// What happens to permission requests.
    pub permissions: PermissionPolicy,
}

/// One line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConversationSummary {
    /// Its id.
    pub conversation_id: ConversationId,
    /// The agent kind.
    pub agent: String,
    /// Where it stands.
    pub status: Status,
    /// `permission` while the agent waits for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Need>,
    /// The request, cut at 200 characters.
    pub user_request: String,
    /// The user's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Absolute, canonical.
    pub workspace: String,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Its newest event.
    pub updated_at: Timestamp,
    /// Rounds that needed an answer.
    pub response_rounds_used: u32,
    /// Where `send` stops until it is raised.
    pub soft_limit: u32,
    /// Deliveries that the orchestrator has not acknowledged.
    pub undelivered: u64,
    /// Those of them that wait for more than ten minutes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub overdue: u64,
}

/// What a turn came to, in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TurnResult {
    /// Which turn.
    pub turn_id: TurnId,
    /// None while it is open.
    pub outcome: Option<TurnOutcome>,
    /// Why, where the outcome alone does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The report that settled it, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
    /// What the agent said at the end of the turn, 64 KiB at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Tokens and cost, as the agent told them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<serde_json::Value>,
    /// From opening to end, or to now.
    pub duration_ms: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}
