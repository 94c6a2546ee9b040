//! The audit: a row for every call that is to change something.
//!
//! A row is queued before what its call writes, so that it is on the disk no later than that; it is written again with
//! the call's result. Neither is waited for: what is only noted here costs nobody a flush of the disk. Rows are
//! numbered in order, so that the oldest are found and deleted without a search.

use super::Store;
use super::error::StoreError;
use super::writer::{Group, Job};
use akk_proto::audit::{AuditPeer, AuditRow, AuditWay, KEPT_DAYS, KEPT_ROWS, UNFINISHED};
use akk_proto::event::EventRecord;
use akk_proto::{ConversationId, RequestId, Timestamp};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

/// Rows that are deleted for their age in one transaction.
const PORTION: u32 = 1000;

/// The place of a row: where its result is written.
#[derive(Debug)]
pub struct AuditPlace(i64);

impl Store {
    /// Notes a call that begins. Whatever is written after this returned is on the disk no sooner than the row. What
    /// keeps a row from being written goes to the log.
    pub async fn audit_begin(&self, row: AuditRow) -> AuditPlace {
        let place = AuditPlace(self.inner.audited.fetch_add(1, Ordering::Relaxed) + 1);
        // A closed store takes nothing of the call either.
        let _ = self.order(Box::new(Note { at: Some((place.0, row)), written: None })).await;
        place
    }

    /// Notes how it ended. Waits for nothing.
    pub fn audit_end(&self, place: &AuditPlace, row: AuditRow) {
        self.order_later(Box::new(Note { at: Some((place.0, row)), written: None }));
    }

    /// Notes a call that is over already, and returns when the row is written, or the log has why it is not.
    pub async fn audit_whole(&self, row: AuditRow) {
        let place = self.inner.audited.fetch_add(1, Ordering::Relaxed) + 1;
        let (written, answer) = oneshot::channel();
        if self.order(Box::new(Note { at: Some((place, row)), written: Some(written) })).await.is_ok() {
            let _ = answer.await;
        }
    }

    /// The newest `limit` rows, the oldest of them first, and whether there are older ones. Rows of calls that were
    /// answered before are among them.
    pub async fn audit(
        &self,
        since: Option<Timestamp>,
        conversation: Option<ConversationId>,
        limit: u32,
    ) -> Result<(Vec<AuditRow>, bool), StoreError> {
        let (written, all_before) = oneshot::channel();
        self.order(Box::new(Note { at: None, written: Some(written) })).await?;
        // Where that fails the log has why; what is there can be read.
        let _ = all_before.await;
        self.read(move |conn| {
            // Else its index would not be used.
            let whose = if conversation.is_some() { "conversation = ?2" } else { "?2 IS NULL" };
            let mut select = conn.prepare_cached(&format!(
                "SELECT ts, via, method, conversation, request, result, pid, uid, executable FROM audit
                 WHERE {whose} AND (?1 IS NULL OR ts >= ?1) ORDER BY ord DESC LIMIT ?3"
            ))?;
            let values = (since.map(|s| s.0), conversation.as_ref().map(ConversationId::as_str), limit + 1);
            let mut rows = select.query_map(values, read)?.collect::<Result<Vec<_>, _>>()?;
            let more = rows.len() > limit as usize;
            rows.truncate(limit as usize);
            rows.reverse();
            Ok((rows, more))
        })
        .await
    }

    /// Deletes what is older than [`KEPT_DAYS`], in small portions.
    pub async fn audit_forget_old(&self, now: Timestamp) -> Result<(), StoreError> {
        let before = now.plus_millis(-i64::from(KEPT_DAYS) * 86_400_000);
        loop {
            let deleted = self.write(move |tx, _| {
                let sql = "DELETE FROM audit WHERE ord IN
                    (SELECT ord FROM (SELECT ord, ts FROM audit ORDER BY ord LIMIT ?2) WHERE ts < ?1)";
                Ok(tx.prepare_cached(sql)?.execute((before.0, PORTION))?)
            });
            if deleted.await? < PORTION as usize {
                return Ok(());
            }
        }
    }
}

/// The place of the newest row; 0 when there is none.
pub(super) fn newest(conn: &Connection) -> Result<i64, StoreError> {
    Ok(conn.query_row("SELECT coalesce(max(ord), 0) FROM audit", [], |row| row.get(0))?)
}

/// A row to write; without one, only somebody who waits for those before it.
struct Note {
    at: Option<(i64, AuditRow)>,
    written: Option<oneshot::Sender<()>>,
}

impl Job for Note {
    fn bytes(&self) -> usize {
        0
    }

    fn run(&mut self, tx: &Connection, _: &mut Group) -> Result<(), StoreError> {
        let Some((place, row)) = &self.at else { return Ok(()) };
        let peer = row.peer.as_ref();
        tx.prepare_cached(
            "INSERT OR REPLACE INTO audit (ord, ts, via, method, conversation, request, result, pid, uid, executable)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute((
            place,
            row.at.0,
            row.via.as_str(),
            &row.method,
            row.conversation_id.as_ref().map(ConversationId::as_str),
            row.request_id.as_ref().map(RequestId::as_str),
            (row.result != UNFINISHED).then_some(&row.result),
            peer.and_then(|p| p.pid),
            peer.map(|p| p.uid),
            peer.and_then(|p| p.executable.as_ref()),
        ))?;
        tx.prepare_cached("DELETE FROM audit WHERE ord <= ?1")?.execute([place - i64::from(KEPT_ROWS)])?;
        Ok(())
    }

    fn events(&mut self) -> &[Arc<EventRecord>] {
        &[]
    }

    fn is_note(&self) -> bool {
        true
    }

    fn answer(self: Box<Self>, fate: Result<(), StoreError>) {
        if let (Err(error), Some((_, row))) = (&fate, &self.at) {
            let (method, result, pid) = (&row.method, &row.result, row.peer.as_ref().and_then(|p| p.pid));
            tracing::warn!(%error, %method, %result, pid, "a row of the audit could not be written");
        }
        if let Some(written) = self.written {
            let _ = written.send(());
        }
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    let some_text = |at| -> rusqlite::Result<Option<String>> {
        Ok(if row.get_ref(at)? == ValueRef::Null { None } else { Some(super::text(row, at)?) })
    };
    let via = super::text(row, 1)?;
    let uid: Option<u32> = row.get(7)?;
    let (pid, executable) = (row.get(6)?, some_text(8)?);
    Ok(AuditRow {
        at: Timestamp(row.get(0)?),
        via: AuditWay::named(&via).unwrap_or(AuditWay::Control),
        method: super::text(row, 2)?,
        conversation_id: some_text(3)?.and_then(|id| ConversationId::parse(id).ok()),
        request_id: some_text(4)?.and_then(|id| RequestId::parse(id).ok()),
        result: some_text(5)?.unwrap_or_else(|| UNFINISHED.to_owned()),
        peer: uid.map(|uid| AuditPeer { pid, uid, executable }),
    })
}
