//! The outbox as it is shown and counted.

use super::{OVERDUE, unreadable};
use crate::store::Store;
use crate::store::error::StoreError;
use akk_proto::delivery::{DeliveryState, DeliveryView, ParkReason, SinkKind};
use akk_proto::{ConversationId, DeliveryId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};

const VIEW: &str =
    "SELECT id, conversation, kind, sink, state, attempts, created_at, next_attempt_at, last_error, preview,
         orchestrator, reason, handed, gateway,
         EXISTS (SELECT 1 FROM outbox e WHERE e.conversation = o.conversation AND e.ord < o.ord
             AND e.state <> 'acknowledged' AND e.state NOT IN ('parked', 'uncertain'))
     FROM outbox o";

/// A row as clients see it, and what else says why it is not told yet.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryRow {
    /// As clients see it; `waits_for` is not filled in.
    pub view: DeliveryView,
    /// The installation of OpenClaw that may get it; any when none.
    pub gateway: Option<String>,
    /// Whether an older row of its conversation is to be told first.
    pub behind: bool,
}

/// A row that waits for too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverdueRow {
    /// Which.
    pub delivery_id: DeliveryId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Since when.
    pub waiting_since: Timestamp,
}

/// Deliveries of a conversation that were not acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// All.
    pub undelivered: u64,
    /// Those for more than ten minutes.
    pub overdue: u64,
}

/// What was queued before this moment is overdue at `now`.
pub(in crate::store) fn overdue_before(now: Timestamp) -> Timestamp {
    now.plus_millis(-(OVERDUE.as_millis() as i64))
}

impl Store {
    /// One row, as clients see it; `now` says whether it is overdue.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delivery(&self, id: &DeliveryId, now: Timestamp) -> Result<DeliveryRow, StoreError> {
        let id = id.clone();
        self.read(move |conn| {
            conn.prepare_cached(&format!("{VIEW} WHERE id = ?1"))?
                .query_row([id.as_str()], |row| view(row, now))
                .optional()?
                .unwrap_or_else(|| Err(StoreError::not_found("delivery", &id)))
        })
        .await
    }

    /// Rows of the outbox, oldest first, of one conversation or of all; acknowledged ones only with `all`.
    pub async fn outbox_list(
        &self,
        conversation: Option<&ConversationId>,
        all: bool,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let conversation = conversation.cloned();
        self.read(move |conn| {
            let which = match (&conversation, all) {
                (Some(_), true) => "conversation = ?2",
                (Some(_), false) => "conversation = ?2 AND state <> 'acknowledged'",
                (None, true) => "?2 IS NULL",
                (None, false) => "?2 IS NULL AND state <> 'acknowledged'",
            };
            let mut statement = conn.prepare_cached(&format!("{VIEW} WHERE {which} ORDER BY ord LIMIT ?1"))?;
            let mut rows = statement.query((limit, conversation.as_ref().map(ConversationId::as_str)))?;
            let mut views = Vec::new();
            while let Some(row) = rows.next()? {
                match view(row, now)? {
                    Ok(view) => views.push(view),
                    Err(error) => tracing::warn!(%error, "a delivery is left out of the list"),
                }
            }
            Ok(views)
        })
        .await
    }

    /// Deliveries of a conversation that the orchestrator has not acknowledged; those of kind `progress` only when
    /// asked for.
    pub async fn undelivered(&self, conversation: &ConversationId, with_progress: bool) -> Result<u64, StoreError> {
        let id = conversation.clone();
        self.read(move |conn| undelivered(conn, &id, with_progress)).await
    }

    /// How much of a conversation was not acknowledged, and how much of that waits for too long.
    pub async fn waiting(&self, conversation: &ConversationId, now: Timestamp) -> Result<Waiting, StoreError> {
        let id = conversation.clone();
        self.read(move |conn| {
            let mut counted = conn.prepare_cached(
                "SELECT count(*), count(*) FILTER (WHERE created_at < ?2) FROM outbox
                 WHERE conversation = ?1 AND state <> 'acknowledged'",
            )?;
            let (undelivered, overdue): (i64, i64) =
                counted.query_row((id.as_str(), overdue_before(now).0), |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(Waiting { undelivered: undelivered as u64, overdue: overdue as u64 })
        })
        .await
    }

    /// How many deliveries wait for too long.
    pub async fn overdue(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.read(move |conn| {
            let sql = "SELECT count(*) FROM outbox WHERE state <> 'acknowledged' AND created_at < ?1";
            let count: i64 = conn.prepare_cached(sql)?.query_row([overdue_before(now).0], |row| row.get(0))?;
            Ok(count as u64)
        })
        .await
    }

    /// Rows that wait for too long and of which no history says so yet, oldest first.
    pub async fn outbox_untold_overdue(&self, now: Timestamp, limit: u32) -> Result<Vec<OverdueRow>, StoreError> {
        self.read(move |conn| {
            let mut statement = conn.prepare_cached(
                "SELECT id, conversation, created_at FROM outbox
                 WHERE state <> 'acknowledged' AND overdue_told = 0 AND created_at < ?1
                 ORDER BY created_at, ord LIMIT ?2",
            )?;
            let mut rows = statement.query((overdue_before(now).0, limit))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let (id, conversation) = (crate::store::text(row, 0)?, crate::store::text(row, 1)?);
                if let (Ok(delivery_id), Ok(conversation_id)) = (id.parse(), conversation.parse()) {
                    found.push(OverdueRow { delivery_id, conversation_id, waiting_since: Timestamp(row.get(2)?) });
                }
            }
            Ok(found)
        })
        .await
    }

    /// When the next row will have waited for too long; none when nothing waits.
    pub async fn outbox_next_overdue(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.read(move |conn| {
            let sql = "SELECT min(created_at) FROM outbox
                       WHERE state <> 'acknowledged' AND overdue_told = 0 AND created_at >= ?1";
            let oldest: Option<i64> = conn.prepare_cached(sql)?.query_row([overdue_before(now).0], |row| row.get(0))?;
            Ok(oldest.map(|at| Timestamp(at).plus_millis(OVERDUE.as_millis() as i64 + 1)))
        })
        .await
    }
}

/// Deliveries of a conversation that the orchestrator has not acknowledged.
pub(in crate::store) fn undelivered(
    conn: &Connection,
    conversation: &ConversationId,
    with_progress: bool,
) -> Result<u64, StoreError> {
    let count: i64 = conn
        .prepare_cached(
            "SELECT count(*) FROM outbox
             WHERE conversation = ?1 AND state <> 'acknowledged' AND (?2 OR kind <> 'progress')",
        )?
        .query_row((conversation.as_str(), with_progress), |row| row.get(0))?;
    Ok(count as u64)
}

fn view(row: &Row<'_>, now: Timestamp) -> rusqlite::Result<Result<DeliveryRow, StoreError>> {
    let id = crate::store::text(row, 0)?;
    let conversation = crate::store::text(row, 1)?;
    let (sink, state) = (crate::store::text(row, 3)?, crate::store::text(row, 4)?);
    let (Some(sink), Some(state)) = (SinkKind::named(&sink), state_named(&state)) else {
        let why = format!("{sink:?} is no sink, or {state:?} no state");
        return Ok(Err(unreadable(&id, &conversation, &why)));
    };
    let (Ok(delivery_id), Ok(conversation_id)) = (id.parse(), conversation.parse()) else {
        return Ok(Err(unreadable(&id, &conversation, "its id has another form")));
    };
    let Ok(attempts) = u32::try_from(row.get::<_, i64>(5)?) else {
        return Ok(Err(unreadable(&id, &conversation, "no row has so many attempts")));
    };
    let created_at = Timestamp(row.get(6)?);
    let next_attempt_at = Timestamp(row.get(7)?);
    let reason: Option<String> = row.get(11)?;
    let handed: Option<String> = row.get(12)?;
    let view = DeliveryView {
        delivery_id,
        conversation_id,
        kind: crate::store::text(row, 2)?,
        sink,
        orchestrator: row.get(10)?,
        state,
        attempts,
        created_at,
        next_attempt_at: (state == DeliveryState::Pending).then_some(next_attempt_at),
        last_error: row.get(8)?,
        reason: reason.as_deref().and_then(reason_named),
        handed: handed.as_deref().and_then(|json| serde_json::from_str(json).ok()),
        waits_for: None,
        overdue: state != DeliveryState::Acknowledged && created_at < overdue_before(now),
        preview: crate::store::text(row, 9)?,
    };
    Ok(Ok(DeliveryRow { view, gateway: row.get(13)?, behind: row.get(14)? }))
}

fn state_named(name: &str) -> Option<DeliveryState> {
    use DeliveryState::{Acknowledged, Handed, Leased, Parked, Pending, Uncertain};
    [Pending, Leased, Handed, Acknowledged, Parked, Uncertain].into_iter().find(|s| s.as_str() == name)
}

fn reason_named(name: &str) -> Option<ParkReason> {
    [ParkReason::RecipientGone, ParkReason::Uncertain].into_iter().find(|r| r.as_str() == name)
}
