//! The history of a conversation: an append-only list from which its state can be rebuilt.

mod parts;

pub use parts::{
    Activity, CancelStep, Created, Exit, Fingerprint, MessageRecorded, Origin, PromptKind, SessionEnsured,
    SessionReached, TurnEnd, TurnOutcome, TurnStart,
};

use crate::conversation::{BudgetLevel, Transport};
use crate::delivery::ParkReason;
use crate::import::Imported;
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

/// The wire names, once: of one event, and all of them.
macro_rules! names {
    ($($event:pat => $name:literal,)*) => {
        /// All wire names.
        pub const NAMES: &'static [&'static str] = &[$($name),*];

        /// Its wire name.
        pub fn name(&self) -> &'static str {
            match self {
                $($event => $name,)*
            }
        }
    };
}

impl EventBody {
    names! {
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
