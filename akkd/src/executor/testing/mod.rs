//! Stand-ins for the rest of akkd in this room's tests.

mod house;

pub(in crate::executor) use house::{House, ended};

use crate::executor::ledger::{LaunchLedger, LedgerError, LedgerFuture};
use crate::store::{Checkpoint, LaunchRow, LaunchState, PromptFate, PromptRow};
use akk_proto::{ConversationId, LaunchId, TurnId};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// A store in memory: survives the executors of a test, as a database survives akkd.
pub(in crate::executor) struct MemoryLedger {
    launches: Mutex<BTreeMap<LaunchId, LaunchRow>>,
    prompts: Arc<Mutex<Vec<PromptRow>>>,
    refusal: Mutex<Option<String>>,
    /// Whether `finishing` is recorded and never answered, as if akkd died there.
    die_after_finishing: AtomicBool,
    /// Whether prompt records wait, and how many do.
    hold: watch::Sender<bool>,
    held: watch::Sender<usize>,
}

impl Default for MemoryLedger {
    fn default() -> Self {
        Self {
            launches: Mutex::default(),
            prompts: Arc::default(),
            refusal: Mutex::default(),
            die_after_finishing: AtomicBool::new(false),
            hold: watch::Sender::new(false),
            held: watch::Sender::new(0),
        }
    }
}

impl MemoryLedger {
    /// From now on nothing can be recorded.
    pub(in crate::executor) fn refuse(&self, why: &str) {
        *self.refusal.lock().unwrap() = Some(why.to_owned());
    }

    /// From now on `finishing` is not recorded until [`release_prompts`](Self::release_prompts).
    pub(in crate::executor) fn hold_prompts(&self) {
        self.hold.send_replace(true);
    }

    /// From now on the record of `finishing` is the last that akkd does with a prompt.
    pub(in crate::executor) fn die_after_finishing(&self, die: bool) {
        self.die_after_finishing.store(die, Ordering::SeqCst);
    }

    pub(in crate::executor) fn release_prompts(&self) {
        self.hold.send_replace(false);
    }

    pub(in crate::executor) async fn wait_for_held_prompt(&self) {
        self.held.subscribe().wait_for(|n| *n > 0).await.unwrap();
    }

    /// Every record of a prompt, in order.
    pub(in crate::executor) fn fates(&self) -> Vec<PromptFate> {
        self.prompts.lock().unwrap().iter().map(|p| p.fate).collect()
    }

    pub(in crate::executor) fn rows(&self) -> Vec<LaunchRow> {
        self.launches.lock().unwrap().values().cloned().collect()
    }

    /// Puts a row as if it had been left by a former akkd.
    pub(in crate::executor) fn leave_launch(&self, row: LaunchRow) {
        self.launches.lock().unwrap().insert(row.launch_id.clone(), row);
    }

    fn change(&self, launch: &LaunchId, change: impl FnOnce(&mut LaunchRow)) -> LedgerFuture<()> {
        let refused = self.refused();
        if refused.is_none()
            && let Some(row) = self.launches.lock().unwrap().get_mut(launch)
        {
            change(row);
        }
        Box::pin(async move { refused.map_or(Ok(()), Err) })
    }

    fn refused(&self) -> Option<LedgerError> {
        self.refusal.lock().unwrap().clone().map(LedgerError)
    }

    pub(in crate::executor) fn take_checkpoint(&self, c: &Checkpoint) {
        if let Some(row) = self.launches.lock().unwrap().get_mut(&c.launch_id) {
            (row.offset, row.reader) = (c.offset, c.reader.clone());
        }
    }
}

impl LaunchLedger for MemoryLedger {
    fn launch_begin(&self, row: LaunchRow) -> LedgerFuture<()> {
        let refused = self.refused();
        if refused.is_none() {
            self.leave_launch(row);
        }
        Box::pin(async move { refused.map_or(Ok(()), Err) })
    }

    fn launch_live(&self, launch: LaunchId, identity: Value) -> LedgerFuture<()> {
        self.change(&launch, |row| (row.state, row.identity) = (LaunchState::Live, Some(identity)))
    }

    fn launch_facts(&self, launch: LaunchId, facts: Value) -> LedgerFuture<()> {
        self.change(&launch, |row| row.facts = facts)
    }

    fn launch_gone(&self, launch: LaunchId) -> LedgerFuture<()> {
        self.change(&launch, |row| row.state = LaunchState::Gone)
    }

    fn launch_checkpoint(&self, c: Checkpoint) -> LedgerFuture<()> {
        self.change(&c.launch_id.clone(), |row| (row.offset, row.reader) = (c.offset, c.reader))
    }

    fn live_launches(&self) -> LedgerFuture<Vec<LaunchRow>> {
        let live = self.rows().into_iter().filter(|r| r.state != LaunchState::Gone).collect();
        Box::pin(async move { Ok(live) })
    }

    fn prompt_put(&self, row: PromptRow) -> LedgerFuture<()> {
        let (refused, prompts) = (self.refused(), Arc::clone(&self.prompts));
        let (mut hold, held) = (self.hold.subscribe(), self.held.clone());
        let die = self.die_after_finishing.load(Ordering::SeqCst);
        Box::pin(async move {
            if row.fate == PromptFate::Finishing && *hold.borrow_and_update() {
                held.send_modify(|n| *n += 1);
                // A test that ends lets go of it.
                let _ = hold.wait_for(|hold| !hold).await;
            }
            if let Some(error) = refused {
                return Err(error);
            }
            let die = die && row.fate == PromptFate::Finishing;
            prompts.lock().unwrap().push(row);
            if die {
                held.send_modify(|n| *n += 1);
                return std::future::pending().await;
            }
            Ok(())
        })
    }

    fn prompts_of(&self, conversation: ConversationId, turn: TurnId) -> LedgerFuture<Vec<PromptRow>> {
        // The newest record of an attempt is its fate.
        let mut rows: BTreeMap<u32, PromptRow> = BTreeMap::new();
        for row in self.prompts.lock().unwrap().iter() {
            if row.conversation_id == conversation && row.turn_id == turn {
                rows.insert(row.attempt, row.clone());
            }
        }
        Box::pin(async move { Ok(rows.into_values().collect()) })
    }
}
