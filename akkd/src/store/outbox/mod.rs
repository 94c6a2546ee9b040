//! The outbox: what the orchestrator is to be told, until it has it.
//!
//! Per conversation in order: a row is due only when no older one of its conversation still waits. What was refused
//! for good (`parked`) or cannot be known (`uncertain`) waits for a person and lets the following ones go.
//!
//! An *attempt* of the `plugin` sink lasts from its lease until the sink says what became of it, whatever connection
//! or process ends meanwhile: it has one number and so one key, under which OpenClaw can know it again. Only what is
//! certainly not told, or what a person asks for, gets the next number.

mod attempts;
mod look;
mod settle;

pub use attempts::{DueDelivery, Lease, Leased};
pub use look::{DeliveryRow, OverdueRow, Waiting};
pub(super) use look::{overdue_before, undelivered};

use super::commit;
use super::error::StoreError;
use akk_proto::ConversationId;
use akk_proto::delivery::{DeliveryBody, SinkKind};
use rusqlite::Connection;
use std::time::Duration;

/// Time after which a delivery that was not acknowledged is overdue.
pub const OVERDUE: Duration = Duration::from_mins(10);

/// No pause between attempts is as long: a later one was set before the wall clock was set back. In milliseconds.
const FAR_MS: i64 = 60 * 60_000;

/// Characters of the text that a list shows.
const PREVIEW: usize = 200;

/// A delivery that is about to be queued, written out.
pub(super) struct Queued {
    sink: SinkKind,
    body: DeliveryBody,
    json: String,
}

impl Queued {
    pub(super) fn new((sink, body): (SinkKind, DeliveryBody)) -> Result<Self, StoreError> {
        Ok(Self { sink, json: commit::json(&body)?, body })
    }

    pub(super) fn bytes(&self) -> usize {
        self.json.len()
    }

    /// Queues it, unless it was queued before. Whether it is new.
    pub(super) fn insert(&self, tx: &Connection) -> Result<bool, StoreError> {
        let added = tx
            .prepare_cached(
                "INSERT INTO outbox (id, conversation, sink, kind, state, attempts, created_at, next_attempt_at, preview,
                     body, orchestrator, gateway)
                 VALUES (?1, ?2, ?3, ?4, 'pending', 0, ?5, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO NOTHING",
            )?
            .execute((
                self.body.key.as_str(),
                self.body.conversation_id.as_str(),
                self.sink.as_str(),
                &self.body.kind,
                self.body.ts.0,
                self.body.text.chars().take(PREVIEW).collect::<String>(),
                &self.json,
                &self.body.orchestrator,
                self.body.recipient.as_ref().and_then(|r| r.gateway.as_ref()),
            ))?;
        Ok(added > 0)
    }
}

/// A permission request has its answer: what would only now ask for one is removed. What OpenClaw accepted already is
/// told, and a command under way runs on. Whether anything was removed.
pub(super) fn withdraw_permission(tx: &Connection, conversation: &str, nonce: &str) -> Result<bool, StoreError> {
    let sql = "DELETE FROM outbox WHERE conversation = ?1 AND kind = 'permission'
                   AND (state IN ('pending', 'parked', 'uncertain') OR (state = 'leased' AND sink = 'plugin'))
                   AND iif(json_valid(body), body ->> '$.permission.nonce' = ?2, 0)";
    Ok(tx.prepare_cached(sql)?.execute((conversation, nonce))? > 0)
}

/// The error for a row that does not parse.
fn unreadable(id: &str, conversation: &str, why: &str) -> StoreError {
    let what = format!("delivery {id}: {why}");
    match ConversationId::parse(conversation) {
        Ok(id) => StoreError::corrupt(&id, what),
        Err(_) => StoreError::Defect { detail: what },
    }
}
