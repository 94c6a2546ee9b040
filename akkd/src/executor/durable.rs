//! The store as the record of launches and prompts.

use super::ledger::{LaunchLedger, LedgerError, LedgerFuture};
use crate::store::{Checkpoint, LaunchRow, PromptRow, Store, StoreError};
use akk_proto::{ConversationId, LaunchId, TurnId};
use futures_util::{FutureExt as _, TryFutureExt as _};
use serde_json::Value;

/// A call of the store that lives as long as its answer is waited for.
macro_rules! ask {
    ($store:expr, |$name:ident| $call:expr) => {{
        let $name: Store = $store.clone();
        async move { $call.await }.map_err(|e: StoreError| LedgerError(e.to_string())).boxed()
    }};
}

impl LaunchLedger for Store {
    fn launch_begin(&self, row: LaunchRow) -> LedgerFuture<()> {
        ask!(self, |store| store.launch_begin(row))
    }

    fn launch_live(&self, launch: LaunchId, identity: Value) -> LedgerFuture<()> {
        ask!(self, |store| store.launch_live(&launch, identity))
    }

    fn launch_facts(&self, launch: LaunchId, facts: Value) -> LedgerFuture<()> {
        ask!(self, |store| store.launch_facts(&launch, facts))
    }

    fn launch_gone(&self, launch: LaunchId) -> LedgerFuture<()> {
        ask!(self, |store| store.launch_gone(&launch))
    }

    fn launch_checkpoint(&self, checkpoint: Checkpoint) -> LedgerFuture<()> {
        ask!(self, |store| store.launch_checkpoint(checkpoint))
    }

    fn live_launches(&self) -> LedgerFuture<Vec<LaunchRow>> {
        ask!(self, |store| store.live_launches())
    }

    fn prompt_put(&self, row: PromptRow) -> LedgerFuture<()> {
        ask!(self, |store| store.prompt_put(row))
    }

    fn prompts_of(&self, conversation: ConversationId, turn: TurnId) -> LedgerFuture<Vec<PromptRow>> {
        ask!(self, |store| store.prompts_of(&conversation, &turn))
    }
}
