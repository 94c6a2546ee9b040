//! Deleting a conversation for good.

use super::Store;
use super::error::StoreError;
use akk_proto::ConversationId;
use rusqlite::{Connection, OptionalExtension};

impl Store {
    /// Deletes a terminal conversation with its history, messages, deliveries, calls and tickets, in one transaction.
    /// Launches that are not proven gone stay, since their processes may. The cursors of its events are noted as
    /// deleted. Repeat-safe calls that it answered are forgotten with it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::StillOpen`], and [`StoreError::Undelivered`]: what the orchestrator was not
    /// told is not lost without a word.
    pub async fn delete(&self, id: &ConversationId) -> Result<(), StoreError> {
        let id = id.clone();
        self.write(move |tx, group| {
            delete(tx, &id)?;
            group.outbox = true;
            Ok(())
        })
        .await
    }
}

fn delete(tx: &Connection, id: &ConversationId) -> Result<(), StoreError> {
    let found: Option<(i64, bool)> = tx
        .prepare_cached("SELECT ord, open FROM conversations WHERE id = ?1")?
        .query_row([id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let ord = match found {
        None => return Err(StoreError::not_found("conversation", id)),
        Some((_, true)) => return Err(StoreError::StillOpen { conversation_id: id.clone() }),
        Some((ord, false)) => ord,
    };
    let count: i64 = tx
        .prepare_cached("SELECT count(*) FROM outbox WHERE conversation = ?1 AND state <> 'acknowledged'")?
        .query_row([id.as_str()], |row| row.get(0))?;
    if count > 0 {
        return Err(StoreError::Undelivered { conversation_id: id.clone(), count: count as u64 });
    }
    note_deleted_cursors(tx, id)?;
    for sql in [
        "DELETE FROM messages_words WHERE rowid IN
             (SELECT cursor FROM events WHERE conversation = ?1 AND name IN ('message', 'late_callback'))",
        "DELETE FROM messages WHERE conversation = ?1",
        "DELETE FROM events WHERE conversation = ?1",
        "DELETE FROM outbox WHERE conversation = ?1",
        "DELETE FROM requests WHERE conversation = ?1",
        "DELETE FROM prompts WHERE conversation = ?1",
        "DELETE FROM tickets WHERE conversation = ?1",
        "DELETE FROM launches WHERE conversation = ?1 AND state = 'gone'",
        "DELETE FROM conversations WHERE id = ?1",
    ] {
        tx.prepare_cached(sql)?.execute([id.as_str()])?;
    }
    tx.prepare_cached("DELETE FROM states WHERE ord = ?1")?.execute([ord])?;
    Ok(())
}

/// Adds the cursors of a conversation's events to the runs of deleted ones; runs that touch become one.
fn note_deleted_cursors(tx: &Connection, id: &ConversationId) -> Result<(), StoreError> {
    let mut cursors = tx.prepare_cached("SELECT cursor FROM events WHERE conversation = ?1 ORDER BY cursor")?;
    let mut rows = cursors.query([id.as_str()])?;
    let mut run: Option<(i64, i64)> = None;
    while let Some(row) = rows.next()? {
        let cursor: i64 = row.get(0)?;
        run = match run {
            Some((first, last)) if last + 1 == cursor => Some((first, cursor)),
            done => {
                if let Some(done) = done {
                    note_run(tx, done)?;
                }
                Some((cursor, cursor))
            }
        };
    }
    run.map_or(Ok(()), |run| note_run(tx, run))
}

fn note_run(tx: &Connection, (mut first, mut last): (i64, i64)) -> Result<(), StoreError> {
    let before = tx
        .prepare_cached("DELETE FROM deleted_cursors WHERE last = ?1 - 1 RETURNING first")?
        .query_row([first], |row| row.get(0))
        .optional()?;
    first = before.unwrap_or(first);
    let behind = tx
        .prepare_cached("DELETE FROM deleted_cursors WHERE first = ?1 + 1 RETURNING last")?
        .query_row([last], |row| row.get(0))
        .optional()?;
    last = behind.unwrap_or(last);
    tx.prepare_cached("INSERT INTO deleted_cursors (first, last) VALUES (?1, ?2)")?.execute((first, last))?;
    Ok(())
}
