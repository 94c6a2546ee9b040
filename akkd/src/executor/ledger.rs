//! What is recorded of launches and prompts, so that they can be found and judged after a crash.

use crate::store::{Checkpoint, LaunchRow, PromptRow};
use akk_proto::{ConversationId, LaunchId, TurnId};
use futures_util::future::BoxFuture;
use serde_json::Value;

/// The record could not be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct LedgerError(pub String);

/// The answer of a [`LaunchLedger`]: ready when it is durable.
pub type LedgerFuture<T> = BoxFuture<'static, Result<T, LedgerError>>;

/// Records launches and prompts. Every answer means: durable.
pub trait LaunchLedger: Send + Sync {
    /// A launch is about to be spawned.
    fn launch_begin(&self, row: LaunchRow) -> LedgerFuture<()>;
    /// Its process is known.
    fn launch_live(&self, launch: LaunchId, identity: Value) -> LedgerFuture<()>;
    /// What its adoption needs has changed.
    fn launch_facts(&self, launch: LaunchId, facts: Value) -> LedgerFuture<()>;
    /// Its process tree is proven gone.
    fn launch_gone(&self, launch: LaunchId) -> LedgerFuture<()>;
    /// How far its output has been read, where no report goes with it.
    fn launch_checkpoint(&self, checkpoint: Checkpoint) -> LedgerFuture<()>;
    /// Every launch that is not gone.
    fn live_launches(&self) -> LedgerFuture<Vec<LaunchRow>>;
    /// Sets how far a prompt came; one row per turn and attempt.
    fn prompt_put(&self, row: PromptRow) -> LedgerFuture<()>;
    /// The attempts of a turn's prompt, in order.
    fn prompts_of(&self, conversation: ConversationId, turn: TurnId) -> LedgerFuture<Vec<PromptRow>>;
}
