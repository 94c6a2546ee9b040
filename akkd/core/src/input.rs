//! What is asked of a conversation, or learned about it.

use akk_proto::conversation::Transport;
use akk_proto::event::{Activity, CancelStep, Exit, SessionEnsured};
use akk_proto::permission::PermissionRequest;
use akk_proto::{LaunchId, TurnId};
use serde::{Deserialize, Serialize};

/// What an executor learned.
#[derive(Debug, Clone, PartialEq)]
pub enum ExecutorReport {
    /// An agent process was started.
    Launched {
        /// This start.
        launch_id: LaunchId,
        /// How it is spoken to.
        transport: Transport,
        /// Its pid.
        pid: u32,
        /// The command line's words, redacted.
        command: Vec<String>,
    },
    /// The agent session is there.
    SessionReady(SessionEnsured),
    /// The prompt was handed over, whole.
    PromptSent {
        /// The turn.
        turn_id: TurnId,
        /// Bytes of the prompt.
        bytes: u64,
    },
    /// The agent did something.
    Activity {
        /// The turn.
        turn_id: TurnId,
        /// What.
        activity: Activity,
    },
    /// The agent asks for a permission that a person is to decide about.
    PermissionAsked {
        /// The turn.
        turn_id: TurnId,
        /// What for.
        request: Box<PermissionRequest>,
    },
    /// The agent took a request back.
    PermissionWithdrawn {
        /// The turn.
        turn_id: TurnId,
        /// The start that the request came from.
        launch_id: LaunchId,
        /// The agent's id of the request.
        request: serde_json::Value,
    },
    /// The agent was told the answer to a request.
    PermissionAnswered {
        /// The turn.
        turn_id: TurnId,
        /// The start that the request came from.
        launch_id: LaunchId,
        /// The agent's id of the request.
        request: serde_json::Value,
    },
    /// A running agent was found again after a restart of akkd.
    Readopted {
        /// The start that it comes from.
        launch_id: LaunchId,
        /// Its pid.
        pid: u32,
    },
    /// A step to stop the agent was taken.
    CancelStep {
        /// The turn.
        turn_id: TurnId,
        /// Which.
        step: CancelStep,
    },
    /// Nothing was heard for as long as the conversation allows. The turn stays open.
    Inactive {
        /// The turn.
        turn_id: TurnId,
        /// Minutes of silence.
        minutes: u32,
    },
    /// An agent process ended, in or after a turn. Never ends a turn: `TurnEnded` does.
    Exited {
        /// The start that it comes from.
        launch_id: LaunchId,
        /// Exit code or signal, where it could be learned.
        exit: Option<Exit>,
        /// Why akkd ended it, if it did.
        reason: Option<String>,
    },
    /// The turn is over. Said exactly once per turn; a repeat changes nothing.
    TurnEnded {
        /// The turn.
        turn_id: TurnId,
        /// How.
        ended: Box<Ended>,
    },
}

/// How a turn ended, as the transport saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// How.
    pub how: How,
    /// Exit code or signal, where a process ended with it.
    pub exit: Option<Exit>,
    /// What the agent said after its last tool call, without marked warnings, 64 KiB at most.
    pub text: Option<String>,
    /// Whether `text` was cut.
    pub text_truncated: bool,
    /// Tokens and cost, as the agent told them.
    pub usage: Option<serde_json::Value>,
    /// Pieces of private thinking that were seen and not kept.
    pub thoughts: u64,
    /// A short, redacted tail of what the agent printed, when it failed.
    pub trace: Option<String>,
    /// Whether the agent showed any sign of working on the prompt (text, thought, tool, plan).
    pub activity_seen: bool,
}

impl Ended {
    /// An end without text or activity.
    pub fn bare(how: How) -> Self {
        Self {
            how,
            exit: None,
            text: None,
            text_truncated: false,
            usage: None,
            thoughts: 0,
            trace: None,
            activity_seen: false,
        }
    }
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// The protocol or exit code 0 says so. `stop_reason` is the protocol's (`end_turn`, `refusal`, `max_tokens` …).
    Normal {
        /// The protocol's word.
        stop_reason: String,
    },
    /// It was stopped on request: the protocol said `cancelled`, or akkd ended the process for a cancel.
    Cancelled,
    /// A signal, an exit code, or a protocol error after the prompt was handed over.
    Failed {
        /// A sentence, redacted.
        reason: String,
    },
    /// The agent refused the model.
    ModelRefused {
        /// The refused model, where it is known.
        attempted: Option<String>,
        /// The models that the agent named.
        available: Vec<String>,
        /// What it said, redacted.
        reason: String,
    },
    /// The agent could not be started, or it does not let us in (not installed, crash at start, authentication,
    /// rate limit). Nothing was prompted.
    CannotStart {
        /// A sentence, redacted.
        reason: String,
    },
    /// The agent session could not be loaded or resumed, or the prompt was refused before any activity.
    SessionLost {
        /// A sentence, redacted.
        reason: String,
    },
    /// Whether the prompt arrived cannot be known.
    Uncertain {
        /// A sentence.
        reason: String,
    },
}
