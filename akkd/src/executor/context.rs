//! What executors need from the rest of akkd.

use super::TurnOrder;
use super::ledger::LaunchLedger;
use crate::sessions::Sessions;
use crate::store::Checkpoint;
use akk_core::ExecutorReport;
use akk_proto::drops::Place;
use akk_proto::{ConversationId, TurnId};
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Takes what executors learn.
pub trait ReportSink: Send + Sync {
    /// Makes `report` and `checkpoint` durable in one transaction. Reports of one conversation come one after the
    /// other.
    fn report(
        &self,
        conversation: ConversationId,
        report: ExecutorReport,
        checkpoint: Option<Checkpoint>,
    ) -> BoxFuture<'static, Result<(), ReportError>>;
}

/// Gives the text of a prompt.
pub trait PromptSource: Send + Sync {
    /// The whole prompt of this turn. Asked for right before it is written, and again for another attempt.
    fn prompt(&self, conversation: ConversationId, turn: TurnId) -> BoxFuture<'static, Result<String, PromptError>>;
}

/// Why a report was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// It is impossible, or its conversation is gone. Not tried again.
    #[error("the report was refused: {0}")]
    Refused(String),
    /// It could not be made durable. Tried again until it is, with growing pauses; the agent's output waits.
    #[error("the report could not be stored: {0}")]
    Storage(String),
}

/// Why there is no prompt: a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the prompt cannot be made: {0}")]
pub struct PromptError(pub String);

/// The environment of an agent: the allow-listed variables and what the configuration sets, by name.
pub type AgentEnvironment = dyn Fn(&TurnOrder) -> BTreeMap<String, String> + Send + Sync;

/// The drop folder of a conversation, made where it is missing; none where it cannot be had.
pub(super) type DropFolder = dyn Fn(&ConversationId, Place) -> Option<PathBuf> + Send + Sync;

/// What executors need from the rest of akkd.
#[derive(Clone)]
pub struct Context {
    /// Where launches and prompts are recorded.
    pub ledger: Arc<dyn LaunchLedger>,
    /// Takes what is learned.
    pub reports: Arc<dyn ReportSink>,
    /// Gives prompts.
    pub prompts: Arc<dyn PromptSource>,
    /// The native sessions: who runs one, and how it is resumed.
    pub sessions: Sessions,
    /// The environment of agents, without the variables that executors add (`AKK_CONVERSATION`, `AKK_TICKET`,
    /// `AKK_CALLBACK_SOCKET`, `AKK_DROP_DIR`, `AKK_LAUNCH`).
    pub environment: Arc<AgentEnvironment>,
    /// The folder with one folder per launch. Made, 0700, where it is missing.
    pub launches: PathBuf,
    /// What agents get as `AKK_CALLBACK_SOCKET`.
    pub callback_socket: PathBuf,
    /// The akkctl that serves the reporting tools.
    pub akkctl: PathBuf,
    /// What agents get as `AKK_DROP_DIR`.
    pub drop_folder: Arc<DropFolder>,
    /// The time limits.
    pub timings: Timings,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("launches", &self.launches)
            .field("timings", &self.timings)
            .finish_non_exhaustive()
    }
}

/// Time limits of the supervision. All are measured on the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// Until an agent must have answered `initialize`. Long, because `npx` may have to fetch it first.
    pub start: Duration,
    /// Until an agent must have answered any other question before the prompt.
    pub answer: Duration,
    /// Between the steps of a cancel that was under way when akkd went down.
    pub cancel_grace: Duration,
    /// Between SIGTERM and SIGKILL when an agent without a turn is let go.
    pub end_grace: Duration,
    /// How long a killed process may take to vanish before the turn is ended without it.
    pub kill_wait: Duration,
    /// How long a sign of a prompt with unknown fate is waited for before it is settled by a cancel.
    pub settle_sign: Duration,
    /// How long the answer to that cancel is waited for before the process is ended.
    pub settle_answer: Duration,
    /// How long a request for approval that a person may see too is left to that person, before the policy answers.
    pub person: Duration,
    /// How long a shutdown waits for reports that cannot be stored.
    pub wind_up: Duration,
    /// Between looks at the output of an open turn, should the file system's hints fail.
    pub scan: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            start: Duration::from_mins(3),
            answer: Duration::from_mins(2),
            cancel_grace: Duration::from_secs(10),
            end_grace: Duration::from_secs(5),
            kill_wait: Duration::from_secs(5),
            settle_sign: Duration::from_secs(5),
            settle_answer: Duration::from_secs(5),
            person: Duration::from_mins(1),
            wind_up: Duration::from_secs(20),
            scan: Duration::from_secs(2),
        }
    }
}
