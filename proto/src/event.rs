//! The history of a conversation: an append-only list from which its state can be rebuilt.

use crate::conversation::{BudgetLevel, PermissionPolicy, RecoveryPolicy, Transport};
use crate::delivery::{ParkReason, Recipient, SinkKind};
use crate::import::Imported;
use crate::message::{Actor, Message};
use crate::permission::{PermissionRequested, PermissionSettled};
use crate::session::{ForkOrigin, NativeAttachment};
use crate::{ConversationId, DeliveryId, LaunchId, MessageId, Timestamp, TurnId};
use serde::{Deserialize, Serialize};

/// One entry of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventRecord {
    /// Rises by one per conversation, from 1.
    pub seq: u64,
    /// Rises over all conversations: orders everything.
    pub cursor: u64,
    /// When it was recorded.
    pub ts: Timestamp,
    /// Whose history it is.
    pub conversation_id: ConversationId,
    /// The turn it belongs to, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<TurnId>,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventBody {
    /// The conversation was recorded.
    ConversationCreated(Box<Created>),
    /// A message was recorded.
    Message(Box<MessageRecorded>),
    /// A message that waited behind an open turn was sent.
    MessageSent {
        /// The message, recorded earlier.
        message_id: MessageId,
        /// The round that it opened or belongs to.
        round: u32,
    },
    /// Messages that waited were dropped.
    MessagesDropped {
        /// Which ones, oldest first.
        message_ids: Vec<MessageId>,
        /// Why.
        reason: String,
    },
    /// A prompt is to be handed to the agent.
    TurnStarted(TurnStart),
    /// The agent session is there.
    ExecutorSessionEnsure(SessionEnsured),
    /// An agent process was started.
    ExecutorLaunch {
        /// This start.
        launch_id: LaunchId,
        /// How it is spoken to.
        transport: Transport,
        /// Its pid at that time.
        pid: u32,
        /// The command line's words, redacted.
        command: Vec<String>,
    },
    /// The prompt was handed over, whole.
    PromptSent {
        /// Bytes of the prompt.
        bytes: u64,
    },
    /// A running agent was found again after a restart of akkd.
    ExecutorReadopted {
        /// The start that it comes from.
        launch_id: LaunchId,
        /// Its pid.
        pid: u32,
    },
    /// An agent process ended.
    ExecutorExit {
        /// The start that it comes from.
        launch_id: LaunchId,
        /// Exit code or signal, where it could be learned.
        exit: Option<Exit>,
        /// Why it was ended, when akkd ended it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Cancel or close was asked for while a turn was open.
    CancelRequested {
        /// The reason to close with; none for a mere cancel.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        close_reason: Option<String>,
    },
    /// akkd took a step to stop the agent.
    ExecutorCancelRequested {
        /// Which step.
        step: CancelStep,
    },
    /// What the agent did: structured, never its private thinking.
    AgentActivity(Activity),
    /// The agent asks for a permission and waits for a person.
    PermissionRequested(Box<PermissionRequested>),
    /// A permission request has its answer. Said once for each.
    PermissionSettled(PermissionSettled),
    /// The agent has been told the answer.
    PermissionAnswered {
        /// Which request.
        nonce: String,
    },
    /// The turn is over.
    TurnEnded(Box<TurnEnd>),
    /// Nothing that settles the turn came.
    ConversationStalled {
        /// Why.
        reason: String,
    },
    /// The agent session is gone and the user must choose.
    ConversationNeedsRecovery {
        /// Why.
        reason: String,
        /// The message that waits for the choice.
        pending_message: MessageId,
    },
    /// The agent refused the model.
    ConversationNeedsModelSelection {
        /// The refused model, where it is known.
        attempted: Option<String>,
        /// The models that the agent named.
        available: Vec<String>,
        /// What it said, redacted.
        reason: String,
        /// The message that is sent again with the chosen model.
        pending_message: MessageId,
    },
    /// A fresh agent session gets a replay of what akkd knows. Not a native resume.
    RecoveryStarted {
        /// Whether akkd did it by itself.
        automatic: bool,
        /// akkd's name of the session that is given up.
        former_session: String,
        /// akkd's name of the new one.
        session: String,
        /// Why.
        reason: String,
    },
    /// The conversation ended.
    ConversationClosed {
        /// Why.
        reason: String,
        /// Whether its work was cancelled for it.
        cancelled: bool,
    },
    /// The share of the budget that is used reached another level.
    BudgetLevel {
        /// The level.
        level: BudgetLevel,
    },
    /// The limits were changed.
    LimitsChanged {
        /// Rounds.
        soft_limit: u32,
        /// Rounds.
        hard_limit: u32,
    },
    /// Another model was chosen.
    ModelSelected {
        /// The model.
        model: String,
    },
    /// A report of a turn that is over, or of a closed conversation. Changes no status.
    LateCallback(Box<MessageRecorded>),
    /// A report that was recorded before.
    DuplicateCallback {
        /// The first one.
        message_id: MessageId,
    },
    /// The agent got its answer inside the turn in which it asked, and works on.
    QuestionAnswered {
        /// The question.
        question: MessageId,
        /// The message that was told; `message_sent` of it stands right before.
        answer: MessageId,
    },
    /// A file in the drop folder was set aside. It lies there with `.refused` behind its name.
    DropRefused {
        /// Its name, printable, 200 characters at most.
        file: String,
        /// Why, as a sentence.
        reason: String,
    },
    /// The conversation goes on with a session that the user had started.
    NativeSessionAttached(Box<NativeAttachment>),
    /// The conversation begins with a summary of a session that the user had started.
    NativeSessionForked(Box<ForkOrigin>),
    /// The attached session has taken its first prompt from akkd.
    NativeSessionBootstrapped,
    /// The new session has taken its first prompt, with the summary.
    ForkSessionBootstrapped,
    /// The history up to here is the predecessor's; from here on the conversation is akkd's.
    ConversationImported(Box<Imported>),
    /// The predecessor noted it; changes nothing.
    PredecessorEvent {
        /// The predecessor's name for it.
        name: String,
        /// What it said, redacted, 400 characters at most.
        detail: String,
    },
    /// A delivery to the orchestrator was tried.
    DeliveryAttempt {
        /// Which.
        delivery_id: DeliveryId,
        /// From 1.
        attempt: u32,
        /// Why it failed; none when it did not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The orchestrator has it.
    DeliveryAccepted {
        /// Which.
        delivery_id: DeliveryId,
        /// Whether a person said so, and not the sink.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        by_hand: bool,
    },
    /// A delivery waits for a person now; those behind it go on.
    DeliveryParked {
        /// Which.
        delivery_id: DeliveryId,
        /// Why.
        reason: ParkReason,
        /// Why, as a sentence.
        detail: String,
    },
    /// A delivery has waited for more than ten minutes.
    DeliveryOverdue {
        /// Which.
        delivery_id: DeliveryId,
        /// Since when.
        waiting_since: Timestamp,
    },
}

impl EventBody {
    /// Its wire name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ConversationCreated(_) => "conversation_created",
            Self::Message(_) => "message",
            Self::MessageSent { .. } => "message_sent",
            Self::MessagesDropped { .. } => "messages_dropped",
            Self::TurnStarted(_) => "turn_started",
            Self::ExecutorSessionEnsure(_) => "executor_session_ensure",
            Self::ExecutorLaunch { .. } => "executor_launch",
            Self::PromptSent { .. } => "prompt_sent",
            Self::ExecutorReadopted { .. } => "executor_readopted",
            Self::ExecutorExit { .. } => "executor_exit",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::ExecutorCancelRequested { .. } => "executor_cancel_requested",
            Self::AgentActivity(_) => "agent_activity",
            Self::PermissionRequested(_) => "permission_requested",
            Self::PermissionSettled(_) => "permission_settled",
            Self::PermissionAnswered { .. } => "permission_answered",
            Self::TurnEnded(_) => "turn_ended",
            Self::ConversationStalled { .. } => "conversation_stalled",
            Self::ConversationNeedsRecovery { .. } => "conversation_needs_recovery",
            Self::ConversationNeedsModelSelection { .. } => "conversation_needs_model_selection",
            Self::RecoveryStarted { .. } => "recovery_started",
            Self::ConversationClosed { .. } => "conversation_closed",
            Self::BudgetLevel { .. } => "budget_level",
            Self::LimitsChanged { .. } => "limits_changed",
            Self::ModelSelected { .. } => "model_selected",
            Self::LateCallback(_) => "late_callback",
            Self::DuplicateCallback { .. } => "duplicate_callback",
            Self::QuestionAnswered { .. } => "question_answered",
            Self::DropRefused { .. } => "drop_refused",
            Self::NativeSessionAttached(_) => "native_session_attached",
            Self::NativeSessionForked(_) => "native_session_forked",
            Self::NativeSessionBootstrapped => "native_session_bootstrapped",
            Self::ForkSessionBootstrapped => "fork_session_bootstrapped",
            Self::ConversationImported(_) => "conversation_imported",
            Self::PredecessorEvent { .. } => "predecessor_event",
            Self::DeliveryAttempt { .. } => "delivery_attempt",
            Self::DeliveryAccepted { .. } => "delivery_accepted",
            Self::DeliveryParked { .. } => "delivery_parked",
            Self::DeliveryOverdue { .. } => "delivery_overdue",
        }
    }
}

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
