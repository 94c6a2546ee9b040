//! The outbox: what the orchestrator is to be told, until it has it.
//!
//! Per conversation in order: a row is due only when no older one of its conversation still waits. What was refused
//! for good (`parked`) or cannot be known (`uncertain`) waits for a person and lets the following ones go.

use super::error::StoreError;
use super::writer::Group;
use super::{Store, commit};
use akk_proto::delivery::{DeliveryBody, DeliveryState, DeliveryView};
use akk_proto::{ConversationId, DeliveryId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};

/// Time after which a delivery that was not acknowledged is overdue, in milliseconds.
const OVERDUE_MS: i64 = 10 * 60_000;

/// No pause between attempts is as long: a later one was set before the wall clock was set back. In milliseconds.
const FAR_MS: i64 = 60 * 60_000;

/// Characters of the text that a list shows.
const PREVIEW: usize = 200;

const VIEW: &str =
    "SELECT id, conversation, kind, sink, state, attempts, created_at, next_attempt_at, last_error, preview
     FROM outbox";

/// The oldest row of each conversation that neither arrived nor waits for a person.
const HEADS: &str = "SELECT min(ord) AS head FROM outbox
     WHERE state <> 'acknowledged' AND state NOT IN ('parked', 'uncertain') GROUP BY conversation";

/// A delivery whose time has come.
#[derive(Debug, Clone, PartialEq)]
pub struct DueDelivery {
    /// The row.
    pub delivery_id: DeliveryId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The sink that was fixed when the conversation began.
    pub sink: String,
    /// Attempts so far.
    pub attempts: u32,
    /// Whether its last attempt's lease ran out: whether that attempt arrived is not known.
    pub lease_ran_out: bool,
    /// What is to be told.
    pub body: DeliveryBody,
}

/// A delivery that is about to be queued, written out.
pub(super) struct Queued {
    sink: String,
    body: DeliveryBody,
    json: String,
}

impl Queued {
    pub(super) fn new((sink, body): (String, DeliveryBody)) -> Result<Self, StoreError> {
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
                     body)
                 VALUES (?1, ?2, ?3, ?4, 'pending', 0, ?5, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING",
            )?
            .execute((
                self.body.key.as_str(),
                self.body.conversation_id.as_str(),
                &self.sink,
                &self.body.kind,
                self.body.ts.0,
                self.body.text.chars().take(PREVIEW).collect::<String>(),
                &self.json,
            ))?;
        Ok(added > 0)
    }
}

impl Store {
    /// The deliveries whose time has come, oldest first, one of each conversation at most. A row that cannot be read
    /// is logged and left out; those behind it wait until it is acknowledged or parked.
    pub async fn outbox_due(&self, now: Timestamp, limit: u32) -> Result<Vec<DueDelivery>, StoreError> {
        self.read(move |conn| {
            let sql = format!(
                "SELECT o.id, o.conversation, o.sink, o.attempts, o.state = 'leased', o.body
                 FROM ({HEADS}) JOIN outbox o ON o.ord = head
                 WHERE (o.state = 'pending' AND (o.next_attempt_at <= ?1 OR o.next_attempt_at > ?1 + {FAR_MS})) OR (o.state = 'leased' AND o.lease_until <= ?1)
                 ORDER BY o.ord LIMIT ?2"
            );
            let mut statement = conn.prepare_cached(&sql)?;
            let mut rows = statement.query((now.0, limit))?;
            let mut due = Vec::new();
            while let Some(row) = rows.next()? {
                match due_delivery(row)? {
                    Ok(delivery) => due.push(delivery),
                    Err(error) => tracing::error!(%error, "a delivery is left out"),
                }
            }
            Ok(due)
        })
        .await
    }

    /// When the next delivery is due, unless something changes before; none when nothing waits.
    pub async fn outbox_next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(|conn| {
            let sql = format!(
                "SELECT min(iif(o.state = 'leased', o.lease_until, o.next_attempt_at))
                 FROM ({HEADS}) JOIN outbox o ON o.ord = head WHERE o.state IN ('pending', 'leased')"
            );
            let next: Option<i64> = conn.prepare_cached(&sql)?.query_row([], |row| row.get(0))?;
            Ok(next.map(Timestamp))
        })
        .await
    }

    /// Begins an attempt: nobody else tries before `until`. False when the row no longer waits (it was acknowledged
    /// or parked meanwhile).
    pub async fn outbox_lease(&self, id: &DeliveryId, until: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE outbox SET state = 'leased', lease_until = ?2, attempts = attempts + 1
                   WHERE id = ?1 AND state IN ('pending', 'leased')";
        self.change_delivery(id, sql, until.0, "", false).await
    }

    /// The orchestrator has it, or a person says so. Repeats change nothing.
    pub async fn outbox_done(&self, id: &DeliveryId) -> Result<(), StoreError> {
        let sql = "UPDATE outbox SET state = 'acknowledged', lease_until = NULL WHERE id = ?1";
        self.change_delivery(id, sql, 0, "", true).await.map(drop)
    }

    /// The attempt failed; the next one is due at `next_attempt_at`. False when the row no longer waits.
    pub async fn outbox_failed(
        &self,
        id: &DeliveryId,
        error: &str,
        next_attempt_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE outbox SET state = 'pending', lease_until = NULL, next_attempt_at = ?2, last_error = ?3
                   WHERE id = ?1 AND state IN ('pending', 'leased')";
        self.change_delivery(id, sql, next_attempt_at.0, error, true).await
    }

    /// Refused for good: waits for a person, and lets the following ones go. False when the row no longer waits.
    pub async fn outbox_park(&self, id: &DeliveryId, error: &str) -> Result<bool, StoreError> {
        let sql = "UPDATE outbox SET state = 'parked', lease_until = NULL, last_error = ?3
                   WHERE id = ?1 AND state IN ('pending', 'leased', 'handed')";
        self.change_delivery(id, sql, 0, error, true).await
    }

    /// A person asks for another attempt, now. False when it was acknowledged, or an attempt is under way.
    pub async fn outbox_retry(&self, id: &DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE outbox SET state = 'pending', next_attempt_at = ?2, lease_until = NULL
                   WHERE id = ?1 AND (state IN ('pending', 'parked', 'uncertain')
                       OR (state = 'leased' AND lease_until <= ?2))";
        self.change_delivery(id, sql, now.0, "", true).await
    }

    /// Runs `sql` with the row's id, a number and a text. Whether it changed the row.
    async fn change_delivery(
        &self,
        id: &DeliveryId,
        sql: &'static str,
        number: i64,
        text: &str,
        tell: bool,
    ) -> Result<bool, StoreError> {
        let (id, text) = (id.clone(), text.to_owned());
        self.write(move |tx, group: &mut Group| {
            let mut statement = tx.prepare_cached(sql)?;
            let values: [&dyn rusqlite::ToSql; 3] = [&id.as_str(), &number, &text];
            let used = statement.parameter_count();
            let changed = statement.execute(&values[..used])? > 0;
            let there = changed
                || tx
                    .prepare_cached("SELECT 1 FROM outbox WHERE id = ?1")?
                    .query_row([id.as_str()], |_| Ok(()))
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

    /// One row, as clients see it; `now` says whether it is overdue.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delivery(&self, id: &DeliveryId, now: Timestamp) -> Result<DeliveryView, StoreError> {
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
    ) -> Result<Vec<DeliveryView>, StoreError> {
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
        self.read(move |conn| {
            let count: i64 = conn
                .prepare_cached(
                    "SELECT count(*) FROM outbox
                     WHERE conversation = ?1 AND state <> 'acknowledged' AND (?2 OR kind <> 'progress')",
                )?
                .query_row((id.as_str(), with_progress), |row| row.get(0))?;
            Ok(count as u64)
        })
        .await
    }
}

fn due_delivery(row: &Row<'_>) -> rusqlite::Result<Result<DueDelivery, StoreError>> {
    let id = super::text(row, 0)?;
    let conversation = super::text(row, 1)?;
    let sink = super::text(row, 2)?;
    let attempts = row.get(3)?;
    let lease_ran_out = row.get(4)?;
    let json = super::text(row, 5)?;
    let read = || -> Result<DueDelivery, String> {
        Ok(DueDelivery {
            delivery_id: id.parse().map_err(|e| format!("{e}"))?,
            conversation_id: conversation.parse().map_err(|e| format!("{e}"))?,
            sink,
            attempts,
            lease_ran_out,
            body: serde_json::from_str(&json).map_err(|e| format!("its body does not parse: {e}"))?,
        })
    };
    Ok(read().map_err(|why| unreadable(&id, &conversation, &why)))
}

fn view(row: &Row<'_>, now: Timestamp) -> rusqlite::Result<Result<DeliveryView, StoreError>> {
    let id = super::text(row, 0)?;
    let conversation = super::text(row, 1)?;
    let name = super::text(row, 4)?;
    let Some(state) = state(&name) else {
        return Ok(Err(unreadable(&id, &conversation, &format!("{name:?} is no state"))));
    };
    let (Ok(delivery_id), Ok(conversation_id)) = (id.parse(), conversation.parse()) else {
        return Ok(Err(unreadable(&id, &conversation, "its id has another form")));
    };
    let created_at = Timestamp(row.get(6)?);
    let next_attempt_at = Timestamp(row.get(7)?);
    Ok(Ok(DeliveryView {
        delivery_id,
        conversation_id,
        kind: super::text(row, 2)?,
        sink: super::text(row, 3)?,
        state,
        attempts: row.get(5)?,
        created_at,
        next_attempt_at: (state == DeliveryState::Pending).then_some(next_attempt_at),
        last_error: row.get(8)?,
        overdue: state != DeliveryState::Acknowledged && now.millis_since(created_at) > OVERDUE_MS,
        preview: super::text(row, 9)?,
    }))
}

fn unreadable(id: &str, conversation: &str, why: &str) -> StoreError {
    let what = format!("delivery {id}: {why}");
    match ConversationId::parse(conversation) {
        Ok(id) => StoreError::corrupt(&id, what),
        Err(_) => StoreError::Defect { detail: what },
    }
}

fn state(name: &str) -> Option<DeliveryState> {
    use DeliveryState::{Acknowledged, Handed, Leased, Parked, Pending, Uncertain};
    [Pending, Leased, Handed, Acknowledged, Parked, Uncertain].into_iter().find(|s| s.as_str() == name)
}
