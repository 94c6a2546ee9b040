//! Which row's turn it is, and the beginning of an attempt.

use super::{FAR_MS, unreadable};
use crate::store::Store;
use crate::store::commit::json;
use crate::store::error::StoreError;
use crate::store::writer::Group;
use akk_proto::delivery::{DeliveryBody, Handed, SinkKind};
use akk_proto::{ConversationId, DeliveryId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};

/// The row of each conversation whose turn it is: the one under way, else the oldest that neither arrived nor waits for
/// a person. SQLite takes the other columns from the row that has the smallest value.
const HEADS: &str =
    "SELECT id, conversation, sink, attempts, state, gateway, coalesce(orchestrator, conversation) AS lane,
         next_attempt_at, lease_until, ord, min(iif(state IN ('leased', 'handed'), ord - (1 << 60), ord)) AS place
     FROM outbox INDEXED BY outbox_turns
     WHERE state <> 'acknowledged' AND state NOT IN ('parked', 'uncertain') GROUP BY conversation";

/// A delivery whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDelivery {
    /// The row. With its lease, waiting progress reports behind it may take its place.
    pub delivery_id: DeliveryId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The sink that was fixed when the conversation began.
    pub sink: SinkKind,
    /// Attempts so far.
    pub attempts: u32,
    /// Whether an attempt was begun whose end is not known.
    pub begun: bool,
    /// The installation of OpenClaw that may get it; any when none.
    pub gateway: Option<String>,
    /// Of those with the same lane one is under way at a time: OpenClaw's session key.
    pub lane: String,
}

/// How an attempt is to be begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lease {
    /// The `command` sink: nobody else tries before this time, and then it is a new attempt.
    Until(Timestamp),
    /// The `plugin` sink: to this installation of OpenClaw, until something is known.
    To(String),
}

/// An attempt that was begun, or goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Leased {
    /// The row.
    pub delivery_id: DeliveryId,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Whether it was begun before, and its fate is not known.
    pub look_first: bool,
    /// Whether a person asked for it.
    pub by_person: bool,
    /// What OpenClaw accepted last, of this attempt or of an earlier one.
    pub handed: Option<Handed>,
    /// What is to be told.
    pub body: DeliveryBody,
}

impl Store {
    /// The rows of the `command` sink whose time has come, oldest first, one of each conversation at most.
    pub async fn outbox_due_for_command(&self, now: Timestamp, limit: u32) -> Result<Vec<DueDelivery>, StoreError> {
        self.read(move |conn| {
            let sql = format!(
                "SELECT id, conversation, sink, attempts, state, gateway, lane FROM ({HEADS})
                 WHERE sink = 'command'
                     AND ((state = 'pending' AND (next_attempt_at <= ?1 OR next_attempt_at > ?1 + {FAR_MS}))
                         OR (state = 'leased' AND coalesce(lease_until, 0) <= ?1))
                 ORDER BY ord LIMIT ?2"
            );
            let mut statement = conn.prepare_cached(&sql)?;
            let rows = statement.query((now.0, limit))?;
            readable(rows)
        })
        .await
    }

    /// The rows of the `plugin` sink that one of `gateways` may get now: of each installation and lane the one under
    /// way, else the oldest that is due. Those under way come first.
    pub async fn outbox_due_for_plugin(
        &self,
        now: Timestamp,
        gateways: Vec<String>,
        limit: u32,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        let gateways = json(&gateways)?;
        self.read(move |conn| {
            let sql = format!(
                "SELECT id, conversation, sink, attempts, state, gateway, lane, min(place) AS first FROM ({HEADS})
                 WHERE sink = 'plugin'
                     AND (gateway IS NULL OR gateway IN (SELECT value FROM json_each(?2)))
                     AND (state IN ('leased', 'handed') OR next_attempt_at <= ?1 OR next_attempt_at > ?1 + {FAR_MS})
                 GROUP BY gateway, lane ORDER BY first LIMIT ?3"
            );
            let mut statement = conn.prepare_cached(&sql)?;
            let rows = statement.query((now.0, gateways, limit))?;
            readable(rows)
        })
        .await
    }

    /// When a row that is not due yet will be; none when nothing waits for a time.
    pub async fn outbox_next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.read(move |conn| {
            let sql = format!(
                "SELECT min(iif(state = 'leased', lease_until, next_attempt_at)) FROM ({HEADS})
                 WHERE (state = 'pending' AND next_attempt_at > ?1) OR (state = 'leased' AND lease_until > ?1)"
            );
            let next: Option<i64> = conn.prepare_cached(&sql)?.query_row([now.0], |row| row.get(0))?;
            Ok(next.map(Timestamp))
        })
        .await
    }

    /// Begins an attempt of a row that is due, or goes on with the one that was begun. None when the row does not wait
    /// any more (it was acknowledged or parked meanwhile).
    ///
    /// Progress reports that wait right behind one another become the newest of them: the others are removed. A row
    /// whose body does not parse becomes `uncertain`, and lets the following ones go.
    pub async fn outbox_lease(&self, id: &DeliveryId, lease: Lease) -> Result<Option<Leased>, StoreError> {
        let id = id.clone();
        self.write(move |tx, group: &mut Group| match lease_row(tx, &id, &lease)? {
            None => Ok(None),
            Some(Ok(leased)) => Ok(Some(leased)),
            Some(Err(Unreadable { ord, why })) => {
                tracing::error!(%id, why, "a delivery cannot be read");
                let sql = "UPDATE outbox SET state = 'uncertain', reason = 'uncertain', lease_until = NULL,
                               last_error = ?2 WHERE ord = ?1";
                tx.prepare_cached(sql)?.execute((ord, why))?;
                group.outbox = true;
                Ok(None)
            }
        })
        .await
    }

    /// After a start of akkd: what the former one had begun to deliver by command is not under way any more, and
    /// whether it arrived is not known. Such rows are due now.
    pub async fn outbox_release_leases(&self) -> Result<(), StoreError> {
        self.write(|tx, group: &mut Group| {
            let sql = "UPDATE outbox SET lease_until = 0 WHERE state = 'leased' AND sink = 'command'";
            group.outbox |= tx.execute(sql, [])? > 0;
            Ok(())
        })
        .await
    }
}

/// A row that does not parse.
struct Unreadable {
    ord: i64,
    why: String,
}

fn lease_row(
    tx: &Connection,
    id: &DeliveryId,
    lease: &Lease,
) -> Result<Option<Result<Leased, Unreadable>>, StoreError> {
    let found = tx
        .prepare_cached("SELECT state, attempts, kind, conversation, ord FROM outbox WHERE id = ?1")?
        .query_row([id.as_str()], |row| {
            let (state, attempts): (String, u32) = (row.get(0)?, row.get(1)?);
            Ok((state, attempts, row.get::<_, String>(2)?, row.get::<_, String>(3)?, row.get::<_, i64>(4)?))
        })
        .optional()?;
    let Some((state, attempts, kind, conversation, mut ord)) = found else { return Ok(None) };
    let begun = matches!(state.as_str(), "leased" | "handed");
    if !begun && state != "pending" {
        return Ok(None);
    }
    if !begun && kind == "permission" && is_answered(tx, &conversation, ord)? {
        tx.prepare_cached("DELETE FROM outbox WHERE ord = ?1")?.execute([ord])?;
        return Ok(None);
    }
    if !begun && attempts == 0 && kind == "progress" {
        ord = merge_progress(tx, &conversation, ord)?;
    }
    let (id, by_person, handed, body) = tx
        .prepare_cached("SELECT id, by_person, handed, body FROM outbox WHERE ord = ?1")?
        .query_row([ord], |row| {
            let (id, by_person): (String, bool) = (row.get(0)?, row.get(1)?);
            Ok((id, by_person, row.get::<_, Option<String>>(2)?, crate::store::text(row, 3)?))
        })?;
    // The command has no memory of attempts: each of its runs is one.
    let fresh = !begun || matches!(lease, Lease::Until(_));
    let read = || -> Result<Leased, String> {
        Ok(Leased {
            delivery_id: id.parse().map_err(|e| format!("{e}"))?,
            attempt: attempts + u32::from(fresh),
            look_first: begun,
            by_person,
            handed: handed.as_deref().and_then(|json| serde_json::from_str(json).ok()),
            body: serde_json::from_str(&body).map_err(|e| format!("its body does not parse: {e}"))?,
        })
    };
    let leased = match read() {
        Ok(leased) => leased,
        Err(why) => return Ok(Some(Err(Unreadable { ord, why }))),
    };
    let (until, gateway) = match lease {
        Lease::Until(at) => (Some(at.0), None),
        Lease::To(gateway) => (None, Some(gateway.as_str())),
    };
    let sql = if fresh {
        "UPDATE outbox SET state = 'leased', lease_until = ?2, gateway = coalesce(?3, gateway),
             attempts = attempts + 1 WHERE ord = ?1"
    } else {
        "UPDATE outbox SET lease_until = ?2, gateway = coalesce(?3, gateway) WHERE ord = ?1"
    };
    tx.prepare_cached(sql)?.execute((ord, until, gateway))?;
    Ok(Some(Ok(leased)))
}

/// Whether the permission request of a row waits for nobody any more: it was settled while an attempt was under way that
/// told nothing.
fn is_answered(tx: &Connection, conversation: &str, ord: i64) -> Result<bool, StoreError> {
    let sql = "SELECT json_valid(o.body) AND o.body ->> '$.permission.nonce' IS NOT NULL AND NOT EXISTS (
                   SELECT 1 FROM conversations c JOIN states s ON s.ord = c.ord, json_each(s.state, '$.open_turn.permissions') p
                   WHERE c.id = ?1 AND p.value ->> '$.requested.nonce' = o.body ->> '$.permission.nonce'
                       AND p.value ->> '$.settled' IS NULL)
               FROM outbox o WHERE o.ord = ?2";
    Ok(tx.prepare_cached(sql)?.query_row((conversation, ord), |row| row.get(0))?)
}

/// The newest of the progress reports that wait in this conversation from `ord` on, nothing else between them; those
/// before it are removed. A report that wants an answer stays, as does one that was tried before: it may have arrived.
fn merge_progress(tx: &Connection, conversation: &str, ord: i64) -> Result<i64, StoreError> {
    let mut behind = tx.prepare_cached(
        "SELECT ord, state = 'pending' AND attempts = 0 AND kind = 'progress'
             AND CASE WHEN json_valid(body) THEN body ->> '$.needs_answer' = 0 ELSE 0 END
         FROM outbox WHERE conversation = ?1 AND ord >= ?2 AND state <> 'acknowledged' ORDER BY ord",
    )?;
    let mut rows = behind.query((conversation, ord))?;
    let mut newest = ord;
    while let Some(row) = rows.next()? {
        if !row.get(1)? {
            break;
        }
        newest = row.get(0)?;
    }
    tx.prepare_cached(
        "DELETE FROM outbox WHERE conversation = ?1 AND ord >= ?2 AND ord < ?3 AND state <> 'acknowledged'",
    )?
    .execute((conversation, ord, newest))?;
    Ok(newest)
}

/// The rows of a query; one whose ids cannot be read is logged and left out.
fn readable(mut rows: rusqlite::Rows<'_>) -> Result<Vec<DueDelivery>, StoreError> {
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        match due_delivery(row)? {
            Ok(delivery) => due.push(delivery),
            Err(error) => tracing::error!(%error, "a delivery is left out"),
        }
    }
    Ok(due)
}

fn due_delivery(row: &Row<'_>) -> rusqlite::Result<Result<DueDelivery, StoreError>> {
    let id = crate::store::text(row, 0)?;
    let conversation = crate::store::text(row, 1)?;
    let sink = crate::store::text(row, 2)?;
    let attempts: i64 = row.get(3)?;
    let begun = crate::store::text(row, 4)? != "pending";
    let gateway = row.get(5)?;
    let lane = crate::store::text(row, 6)?;
    let read = || -> Result<DueDelivery, String> {
        Ok(DueDelivery {
            delivery_id: id.parse().map_err(|e| format!("{e}"))?,
            conversation_id: conversation.parse().map_err(|e| format!("{e}"))?,
            sink: SinkKind::named(&sink).ok_or_else(|| format!("{sink:?} is no sink"))?,
            attempts: attempts.try_into().map_err(|_| format!("{attempts} attempts"))?,
            begun,
            gateway,
            lane,
        })
    };
    Ok(read().map_err(|why| unreadable(&id, &conversation, &why)))
}
