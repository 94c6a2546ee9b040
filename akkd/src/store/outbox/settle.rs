//! What became of an attempt, and a person's hand on a row.
//!
//! What a sink reports of an attempt counts only while that attempt is the row's current one and has not ended; that
//! it *arrived* counts always.

use crate::store::Store;
use crate::store::commit::json;
use crate::store::error::StoreError;
use crate::store::writer::Group;
use akk_proto::delivery::{Handed, ParkReason};
use akk_proto::{DeliveryId, Timestamp};
use rusqlite::{OptionalExtension, ToSql};

impl Store {
    /// OpenClaw accepted the attempt. False when that attempt is not under way.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn outbox_handed(&self, id: &DeliveryId, handed: &Handed) -> Result<bool, StoreError> {
        let sql = "UPDATE outbox SET state = 'handed', handed = ?3
                   WHERE id = ?1 AND attempts = ?2 AND state IN ('leased', 'handed')";
        let values: Values = vec![Box::new(handed.attempt), Box::new(json(handed)?)];
        self.change_delivery(id, sql, values, false).await
    }

    /// The orchestrator has it, or a person says so. False when that was known.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn outbox_told(&self, id: &DeliveryId) -> Result<bool, StoreError> {
        let sql = "UPDATE outbox SET state = 'acknowledged', lease_until = NULL, reason = NULL, by_person = 0
                   WHERE id = ?1 AND state <> 'acknowledged'";
        self.change_delivery(id, sql, Vec::new(), true).await
    }

    /// The attempt certainly told nothing; the next one is due at `next_attempt_at`, to whoever may get it. False when
    /// that attempt is not under way.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn outbox_refused(
        &self,
        id: &DeliveryId,
        attempt: u32,
        error: &str,
        next_attempt_at: Timestamp,
    ) -> Result<bool, StoreError> {
        // What one installation had accepted says nothing to another.
        let sql = "UPDATE outbox SET state = 'pending', lease_until = NULL, last_error = ?3, next_attempt_at = ?4,
                       gateway = body ->> '$.recipient.gateway',
                       handed = iif(body ->> '$.recipient.gateway' IS NULL, NULL, handed)
                   WHERE id = ?1 AND attempts = ?2 AND state IN ('leased', 'handed')";
        let values: Values = vec![Box::new(attempt), Box::new(error.to_owned()), Box::new(next_attempt_at.0)];
        self.change_delivery(id, sql, values, true).await
    }

    /// It waits for a person from now on, and lets the following ones go. False when that attempt is not under way.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn outbox_park(
        &self,
        id: &DeliveryId,
        attempt: u32,
        reason: ParkReason,
        error: &str,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE outbox SET state = ?3, reason = ?4, last_error = ?5, lease_until = NULL, by_person = 0
                   WHERE id = ?1 AND attempts = ?2 AND state IN ('leased', 'handed')";
        let values: Values = vec![
            Box::new(attempt),
            Box::new(reason.state().as_str()),
            Box::new(reason.as_str()),
            Box::new(error.to_owned()),
        ];
        self.change_delivery(id, sql, values, true).await
    }

    /// A person asks for another attempt, now. What waited for a person is told whatever is known of it, to whoever may
    /// get it today. False when it was acknowledged, or an attempt is under way.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn outbox_retry(&self, id: &DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE outbox SET by_person = (by_person OR state <> 'pending'), state = 'pending', reason = NULL,
                       next_attempt_at = ?2, handed = iif(state = 'pending', handed, NULL),
                       gateway = iif(json_valid(body), body ->> '$.recipient.gateway', gateway)
                   WHERE id = ?1 AND state IN ('pending', 'parked', 'uncertain')";
        self.change_delivery(id, sql, vec![Box::new(now.0)], true).await
    }

    /// Runs `sql` with the row's id and `values`. Whether it changed the row; a change wakes the runner when `tell`.
    async fn change_delivery(
        &self,
        id: &DeliveryId,
        sql: &'static str,
        values: Values,
        tell: bool,
    ) -> Result<bool, StoreError> {
        let id = id.clone();
        self.write(move |tx, group: &mut Group| {
            let name = id.as_str();
            let first: &dyn ToSql = &name;
            let all: Vec<&dyn ToSql> =
                std::iter::once(first).chain(values.iter().map(|v| &**v as &dyn ToSql)).collect();
            let changed = tx.prepare_cached(sql)?.execute(all.as_slice())? > 0;
            let there = changed
                || tx
                    .prepare_cached("SELECT 1 FROM outbox WHERE id = ?1")?
                    .query_row([name], |_| Ok(()))
                    .optional()?
                    .is_some();
            if !there {
                return Err(StoreError::not_found("delivery", &id));
            }
            group.outbox |= tell && changed;
            Ok(changed)
        })
        .await
    }
}

type Values = Vec<Box<dyn ToSql + Send>>;
