//! Messages: their bodies, the last ones for a replay, and the search through all of them.

use super::error::StoreError;
use super::schema::HEAD_BYTES;
use super::search;
use super::writer::Group;
use super::{Store, history};
use akk_core::redact;
use akk_proto::api::SearchHit;
use akk_proto::conversation::Status;
use akk_proto::event::{EventBody, MessageRecorded};
use akk_proto::message::Message;
use akk_proto::{ConversationId, MessageId};
use rusqlite::{Connection, OptionalExtension, Row};

/// Where the body's columns begin among an event's.
pub(super) const BODY: usize = 8;

/// Like the columns of an event, and the round; the rest of a long body is left out.
const WITH_HEAD: &str =
    "e.cursor, e.conversation, e.seq, e.ts, e.turn, e.name, e.body, m.cursor, m.head, NULL, m.round";
/// Like the columns of an event, and the round.
const WITH_BODY: &str =
    "e.cursor, e.conversation, e.seq, e.ts, e.turn, e.name, e.body, m.cursor, m.head, m.rest, m.round";

/// Characters of a hit's snippet.
const SNIPPET: usize = 200;

impl Store {
    /// A message, whole; none when the conversation has none of this id. One that waited has the round that it got
    /// when it was sent.
    pub async fn message(
        &self,
        conversation: &ConversationId,
        message: &MessageId,
    ) -> Result<Option<MessageRecorded>, StoreError> {
        let (conversation, message) = (conversation.clone(), message.clone());
        self.read(move |conn| {
            let sql = format!(
                "SELECT {WITH_BODY} FROM messages m JOIN events e ON e.cursor = m.cursor
                 WHERE m.conversation = ?1 AND m.id = ?2"
            );
            let read =
                conn.prepare_cached(&sql)?.query_row((conversation.as_str(), message.as_str()), recorded).optional()?;
            read.transpose()
        })
        .await
    }

    /// The last `n` messages that were sent or heard (late ones too, waiting and dropped ones not), oldest first.
    /// A body of more than `max_chars` characters is cut, and ends in an ellipsis then.
    pub async fn recent_messages(
        &self,
        conversation: &ConversationId,
        n: u32,
        max_chars: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let conversation = conversation.clone();
        self.read(move |conn| {
            let sql = format!(
                "SELECT {WITH_HEAD} FROM messages m JOIN events e ON e.cursor = m.cursor
                 WHERE m.conversation = ?1 AND m.told IS NOT NULL ORDER BY m.told DESC LIMIT ?2"
            );
            let mut statement = conn.prepare_cached(&sql)?;
            let mut rows = statement.query((conversation.as_str(), n))?;
            let mut messages = Vec::new();
            while let Some(row) = rows.next()? {
                let mut message = recorded(row)??.message;
                message.body = redact::cut(&message.body, max_chars);
                messages.push(message);
            }
            messages.reverse();
            Ok(messages)
        })
        .await
    }

    /// The newest messages in which every word of `text` occurs, newest first. The first 256 KiB of a message are
    /// searched. No character of `text` means anything special.
    pub async fn search(&self, text: &str, limit: u32) -> Result<Vec<SearchHit>, StoreError> {
        let Some(query) = search::Query::of(text) else { return Ok(Vec::new()) };
        self.read(move |conn| {
            let sql = format!(
                "SELECT {WITH_HEAD}, c.status FROM messages_words w
                 JOIN messages m ON m.cursor = w.rowid JOIN events e ON e.cursor = w.rowid
                 JOIN conversations c ON c.id = m.conversation
                 WHERE messages_words MATCH ?1 ORDER BY w.rowid DESC LIMIT ?2"
            );
            let mut statement = conn.prepare_cached(&sql)?;
            let mut rows = statement.query((query.expression(), limit))?;
            let mut hits = Vec::new();
            while let Some(row) = rows.next()? {
                // A damaged row spoils its own hit only.
                match hit(row, &query)? {
                    Ok(hit) => hits.push(hit),
                    Err(error) => tracing::warn!(%error, "a hit is left out"),
                }
            }
            Ok(hits)
        })
        .await
    }
}

/// Stores the body of a message. `told` is the cursor at which it was sent or heard; none while it waits.
pub(super) fn insert(
    tx: &Connection,
    group: &mut Group,
    cursor: i64,
    message: &Message,
    told: Option<i64>,
) -> Result<(), StoreError> {
    let (head, rest) = message.body.split_at(message.body.floor_char_boundary(HEAD_BYTES));
    let rest = (!rest.is_empty()).then_some(rest);
    tx.prepare_cached(
        "INSERT INTO messages (cursor, conversation, id, told, round, head, rest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((cursor, message.conversation_id.as_str(), message.id.as_str(), told, message.round, head, rest))?;
    group.words.push((cursor, search::words(head)));
    Ok(())
}

/// Notes when a message that waited was sent, and the round that it got.
pub(super) fn mark_told(
    tx: &Connection,
    conversation: &ConversationId,
    message: &MessageId,
    cursor: i64,
    round: u32,
) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE messages SET told = ?3, round = ?4 WHERE conversation = ?1 AND id = ?2")?.execute((
        conversation.as_str(),
        message.as_str(),
        cursor,
        round,
    ))?;
    Ok(())
}

/// Adds texts to the full-text index.
pub(super) fn add_words(tx: &Connection, words: &[(i64, String)]) -> Result<(), StoreError> {
    let mut insert = tx.prepare_cached("INSERT INTO messages_words (rowid, words) VALUES (?1, ?2)")?;
    for (cursor, text) in words {
        insert.execute((cursor, text))?;
    }
    Ok(())
}

fn recorded(row: &Row<'_>) -> rusqlite::Result<Result<MessageRecorded, StoreError>> {
    let round: i64 = row.get(10)?;
    Ok(history::record(row)?.and_then(|(event, _)| match event.body {
        EventBody::Message(mut told) | EventBody::LateCallback(mut told) => {
            told.message.round = round
                .try_into()
                .map_err(|_| StoreError::corrupt(&event.conversation_id, format_args!("{round} rounds")))?;
            Ok(*told)
        }
        other => Err(StoreError::corrupt(&event.conversation_id, format_args!("{} is no message", other.name()))),
    }))
}

fn hit(row: &Row<'_>, query: &search::Query) -> rusqlite::Result<Result<SearchHit, StoreError>> {
    let status = super::text(row, 11)?;
    Ok(recorded(row)?.and_then(|MessageRecorded { message, .. }| {
        let status =
            Status::parse(&status).ok_or_else(|| StoreError::corrupt(&message.conversation_id, "its status"))?;
        Ok(SearchHit {
            conversation_id: message.conversation_id,
            status,
            message_id: message.id,
            ts: message.ts,
            from: message.from.0,
            kind: message.kind,
            snippet: query.snippet(&message.body, SNIPPET),
        })
    }))
}
