//! The state of a conversation.

use crate::budget;
use akk_proto::conversation::{BudgetLevel, Status};
use akk_proto::event::{Created, SessionReached, TurnOutcome};
use akk_proto::import::Imported;
use akk_proto::message::MessageType;
use akk_proto::permission::{PermissionRequested, PermissionSettled};
use akk_proto::session::{ForkOrigin, NativeAttachment};
use akk_proto::{LaunchId, MessageId, Timestamp, TurnId};
use serde::{Deserialize, Serialize};

/// A conversation: what is stored beside its history, and can be rebuilt from it.
///
/// Bodies of messages are not part of it: they stand in the history and are read where a prompt or a view needs them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// What was fixed when it began; limits and model change later.
    pub settings: Created,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Its newest event.
    pub updated_at: Timestamp,
    /// Where it stands.
    pub phase: Phase,
    /// Rounds that needed an answer.
    pub rounds_used: u32,
    /// The highest level that was announced to the agent since the limits were last changed.
    pub announced: BudgetLevel,
    /// The agent's own id of its session, once known; none again after recovery began.
    pub native_session: Option<String>,
    /// How the session was reached for the open turn, or else the last one; none while it was not.
    pub session_reached: Option<SessionReached>,
    /// Whether the agent session has seen the bootstrap and the task.
    pub bootstrapped: bool,
    /// Turns so far.
    pub turns: u32,
    /// The open turn.
    pub open_turn: Option<OpenTurn>,
    /// The turn that ended last.
    pub last_turn: Option<EndedTurn>,
    /// Messages that wait behind the open turn, oldest first.
    pub queue: Vec<QueuedMessage>,
    /// What identifies repeats of reports, newest last.
    pub heard: Vec<Heard>,
    /// The agent's newest report that wakes the orchestrator.
    pub last_report: Option<MessageId>,
    /// Sessions that were given up, oldest first.
    pub former_sessions: Vec<String>,
    /// Where it came from, when it did not begin with a request.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// When the orchestrator last said something; none in states of before that was noted.
    #[serde(default)]
    pub asked_at: Option<Timestamp>,
    /// That its history began with the predecessor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Box<Imported>>,
}

/// The native session that a conversation came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
pub enum Origin {
    /// It goes on with that session.
    Attached {
        /// How it came by it.
        attachment: Box<NativeAttachment>,
        /// Whether the session has not taken a prompt of akkd yet.
        needs_bootstrap: bool,
    },
    /// It began with a summary of that session.
    Forked {
        /// What was carried over.
        fork: Box<ForkOrigin>,
        /// Whether the summary has not been told yet.
        needs_bootstrap: bool,
    },
}

impl Origin {
    /// Whether its first prompt is still to be taken by the agent.
    pub fn needs_bootstrap(&self) -> bool {
        match self {
            Self::Attached { needs_bootstrap, .. } | Self::Forked { needs_bootstrap, .. } => *needs_bootstrap,
        }
    }
}

/// Where a conversation stands, with what belongs to that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Phase {
    /// Recorded, nothing sent yet.
    Created,
    /// A message that needs no answer is the latest word.
    Running,
    /// The agent has the ball.
    WaitingForAgent,
    /// The agent asked, or is blocked.
    WaitingForOpenclaw {
        /// Whether it said `blocked`.
        blocked: bool,
    },
    /// The round is complete.
    Idle {
        /// Since when.
        since: Timestamp,
    },
    /// Cancel or close was asked for; the turn has not ended yet.
    Cancelling {
        /// The reason to close with; none for a mere cancel.
        close_reason: Option<String>,
    },
    /// The turn ended without a word that settles it, or nothing was heard for too long.
    Stalled {
        /// Why.
        reason: String,
    },
    /// The agent session is gone.
    NeedsRecovery {
        /// Why.
        reason: String,
        /// The message that waits for the choice.
        pending: MessageId,
    },
    /// The agent refused the model.
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
    /// The agent reported an error, or the hard budget was hit.
    Failed {
        /// Why.
        reason: String,
        /// Whether the hard budget was hit.
        hard_stop: bool,
    },
    /// Closed while its work was being cancelled.
    Cancelled {
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
    /// Closed.
    Closed {
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
}

/// The turn that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenTurn {
    /// Which.
    pub turn_id: TurnId,
    /// When it was opened.
    pub started_at: Timestamp,
    /// The message that its prompt carries.
    pub message_id: MessageId,
    /// Whether the prompt replays the history into a fresh session.
    pub replay: bool,
    /// Whether the prompt was handed over, whole.
    pub prompted: bool,
    /// The report that settles it, so far.
    pub settled_by: Option<Settled>,
    /// The process that works on it.
    pub process: Option<TurnProcess>,
    /// Permission requests of the agent that it has no answer to yet, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<PendingPermission>,
    /// What the agent was refused last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// A permission request that the agent has no answer to yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingPermission {
    /// What is asked for; its text is shorter than in the history.
    pub requested: PermissionRequested,
    /// Since when.
    pub asked_at: Timestamp,
    /// The answer, from when it is decided until the agent was told.
    pub settled: Option<PermissionSettled>,
}

/// The process that works on a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnProcess {
    /// The start that it comes from.
    pub launch_id: LaunchId,
    /// Its pid.
    pub pid: u32,
    /// The command line's words, redacted.
    pub command: Vec<String>,
}

/// The report that settles a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The report.
    pub message_id: MessageId,
    /// `done`, `question`, `blocked` or `error`.
    pub kind: MessageType,
}

/// A turn that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedTurn {
    /// Which.
    pub turn_id: TurnId,
    /// When it was opened.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// What it came to.
    pub outcome: TurnOutcome,
    /// Why, where the outcome alone does not say it.
    pub reason: Option<String>,
    /// The message that its prompt carried.
    pub message_id: MessageId,
    /// The report that settled it.
    pub settled_by: Option<Settled>,
    /// Whether a late report still counts for the status: the conversation stalled with this turn.
    pub stalled: bool,
}

/// A message that waits behind the open turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedMessage {
    /// Which.
    pub message_id: MessageId,
    /// Its type.
    pub kind: MessageType,
    /// Whether it needs an answer: opens a round when it is sent.
    pub requires_response: bool,
    /// The question of the open turn that waited for an answer when it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said_to: Option<MessageId>,
}

/// A report that was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The message.
    pub message_id: MessageId,
    /// Digest of the agent's own id and the content.
    pub named: Option<String>,
    /// Digest of the reporting command's id and the content.
    pub attempt: Option<String>,
    /// Digest of the content; none once a message went to the agent after it.
    pub content: Option<String>,
}

impl Phase {
    /// The status that clients see.
    pub fn status(&self) -> Status {
        match self {
            Self::Created => Status::Created,
            Self::Running => Status::Running,
            Self::WaitingForAgent => Status::WaitingForAgent,
            Self::WaitingForOpenclaw { .. } => Status::WaitingForOpenclaw,
            Self::Idle { .. } => Status::Idle,
            Self::Cancelling { .. } => Status::Cancelling,
            Self::Stalled { .. } => Status::Stalled,
            Self::NeedsRecovery { .. } => Status::NeedsRecovery,
            Self::NeedsModelSelection { .. } => Status::NeedsModelSelection,
            Self::Failed { .. } => Status::Failed,
            Self::Cancelled { .. } => Status::Cancelled,
            Self::Closed { .. } => Status::Closed,
        }
    }

    /// Whether nothing can happen any more.
    pub fn is_terminal(&self) -> bool {
        self.status().is_terminal()
    }
}

impl Conversation {
    /// The native session that it goes on with, as long as that was not given up for a fresh one.
    pub fn attachment(&self) -> Option<&NativeAttachment> {
        match &self.origin {
            Some(Origin::Attached { attachment, .. }) if self.former_sessions.is_empty() => Some(attachment),
            _ => None,
        }
    }

    /// The status that clients see.
    pub fn status(&self) -> Status {
        self.phase.status()
    }

    /// How near the limit of rounds it is.
    pub fn budget_level(&self) -> BudgetLevel {
        budget::level(self.rounds_used, self.settings.soft_limit, self.settings.hard_limit)
    }

    /// The permission requests that wait for a person, oldest first.
    pub fn pending_permissions(&self) -> impl Iterator<Item = &PendingPermission> {
        let all = self.open_turn.as_ref().map(|open| open.permissions.as_slice()).unwrap_or_default();
        all.iter().filter(|p| p.settled.is_none())
    }

    /// Whether its open turn is to be stopped: a cancel, a close, a budget that is used up, a silence that is not waited
    /// out.
    pub fn is_being_stopped(&self) -> bool {
        match self.phase {
            Phase::Cancelling { .. } | Phase::Failed { hard_stop: true, .. } => true,
            Phase::Stalled { .. } => self.settings.stop_on_timeout,
            _ => false,
        }
    }

    /// When something is to be done about it, by wall time: it is closed for idleness, or a permission request has
    /// waited long enough.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.pending_permissions().filter_map(|p| p.requested.deadline).chain(self.idle_deadline()).min()
    }

    /// When it is to be closed for idleness, by wall time; none while it is not idle or something is open or waits.
    pub fn idle_deadline(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Idle { since } if self.open_turn.is_none() && self.queue.is_empty() => {
                Some(since.plus_millis(i64::from(self.settings.idle_timeout_minutes) * 60_000))
            }
            _ => None,
        }
    }
}
