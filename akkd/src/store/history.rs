//! The history: events of one conversation, of one turn, of everything since a cursor.

use super::error::StoreError;
use super::messages::BODY;
use super::{Store, commit};
use akk_proto::api::StreamItem;
use akk_proto::event::{EventBody, EventRecord};
use akk_proto::{ConversationId, Timestamp, TurnId};
use rusqlite::{Connection, OptionalExtension, Row, ToSql};
use std::sync::Arc;

/// Cursors that one call of [`Store::events_since`] looks at, however few of their events it is asked for.
const WINDOW: u64 = 20_000;

/// What an answer with events holds at most, beside one event that alone is longer.
const TURN_BYTES: usize = 8 << 20;

/// Columns of an event with the body of its message; `e` and `m` are the tables.
const EVENT: &str = "e.cursor, e.conversation, e.seq, e.ts, e.turn, e.name, e.body, m.cursor, m.head, m.rest
    FROM events e LEFT JOIN messages m ON m.cursor = e.cursor AND e.name IN ('message', 'late_callback')";

/// A page of one conversation's history.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    /// Oldest first.
    pub events: Vec<EventRecord>,
    /// What to give as `after_seq` for the next page; none at the end.
    pub next_seq: Option<u64>,
}

/// Which events a reader of everything wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only this conversation.
    pub conversation_id: Option<ConversationId>,
    /// Only events with these names; all when empty.
    pub kinds: Vec<String>,
}

/// What happened since a cursor.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// Events and gaps, in order. A gap is told unless only one conversation was asked for.
    pub items: Vec<StreamItem>,
    /// Where to go on: everything up to here was looked at.
    pub cursor: u64,
    /// Whether there is more now.
    pub more: bool,
}

impl Store {
    /// Events of a conversation with a higher `seq`, oldest first: `limit` at most, and `max_bytes` of text, but one
    /// event at least.
    pub async fn events(
        &self,
        id: &ConversationId,
        after_seq: u64,
        limit: u32,
        max_bytes: usize,
    ) -> Result<EventPage, StoreError> {
        let id = id.clone();
        self.read(move |conn| {
            let sql = format!("SELECT {EVENT} WHERE e.conversation = ?1 AND e.seq > ?2 ORDER BY e.seq LIMIT ?3");
            let params: [&dyn ToSql; 3] = [&id.as_str(), &(after_seq as i64), &(i64::from(limit.max(1)) + 1)];
            page(conn, &sql, &params, limit, max_bytes)
        })
        .await
    }

    /// The same, of events with these names only.
    pub async fn events_named(
        &self,
        id: &ConversationId,
        names: &[&str],
        after_seq: u64,
        limit: u32,
        max_bytes: usize,
    ) -> Result<EventPage, StoreError> {
        let (id, names) = (id.clone(), commit::json(&names)?);
        self.read(move |conn| {
            let sql = format!(
                "SELECT {EVENT} WHERE e.conversation = ?1 AND e.seq > ?2
                     AND e.name IN (SELECT value FROM json_each(?4)) ORDER BY e.seq LIMIT ?3"
            );
            let params: [&dyn ToSql; 4] = [&id.as_str(), &(after_seq as i64), &(i64::from(limit.max(1)) + 1), &names];
            page(conn, &sql, &params, limit, max_bytes)
        })
        .await
    }

    /// The last `n` events of a conversation, oldest first; fewer when they hold more than `max_bytes` of text.
    pub async fn last_events(
        &self,
        id: &ConversationId,
        n: u32,
        max_bytes: usize,
    ) -> Result<Vec<EventRecord>, StoreError> {
        let id = id.clone();
        self.read(move |conn| {
            let sql = format!("SELECT {EVENT} WHERE e.conversation = ?1 ORDER BY e.seq DESC LIMIT ?2");
            let mut page = page(conn, &sql, &[&id.as_str(), &(i64::from(n) + 1)], n, max_bytes)?;
            page.events.reverse();
            Ok(page.events)
        })
        .await
    }

    /// The events of one turn with these names, oldest first; of more than 8 MiB of text, or of more than 10,000
    /// events, the newest.
    pub async fn events_of_turn(
        &self,
        id: &ConversationId,
        turn: &TurnId,
        names: &[&str],
    ) -> Result<Vec<EventRecord>, StoreError> {
        let (id, turn, names) = (id.clone(), turn.ordinal(), commit::json(&names)?);
        self.read(move |conn| {
            let sql = format!(
                "SELECT {EVENT} WHERE e.conversation = ?1 AND e.turn = ?2
                     AND e.name IN (SELECT value FROM json_each(?3)) ORDER BY e.seq DESC LIMIT 10001"
            );
            let mut page = page(conn, &sql, &[&id.as_str(), &turn, &names], 10_000, TURN_BYTES)?;
            page.events.reverse();
            Ok(page.events)
        })
        .await
    }

    /// What happened after cursor `since`, oldest first: `limit` events at most, and `max_bytes` of text. Looks at
    /// 20,000 cursors at most, so that an answer may be empty and there still be more.
    pub async fn events_since(
        &self,
        since: u64,
        limit: u32,
        max_bytes: usize,
        filter: EventFilter,
    ) -> Result<Past, StoreError> {
        self.read(move |conn| past(conn, since, limit.max(1) as usize, max_bytes, &filter)).await
    }
}

/// Every event after `cursor`: what a writer that lost its connection finds.
pub(super) fn after_cursor(conn: &Connection, cursor: u64) -> Result<Vec<Arc<EventRecord>>, StoreError> {
    let mut statement = conn.prepare(&format!("SELECT {EVENT} WHERE e.cursor > ?1 ORDER BY e.cursor"))?;
    let mut rows = statement.query([cursor as i64])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.extend(record(row)?.ok().map(|(event, _)| Arc::new(event)));
    }
    Ok(events)
}

/// The newest cursor that was ever given to an event.
pub(super) fn newest_cursor(conn: &Connection) -> Result<u64, StoreError> {
    let newest: Option<i64> = conn
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'events'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(newest.unwrap_or(0) as u64)
}

/// The rows of a query for `limit + 1` events of one conversation.
fn page(
    conn: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
    limit: u32,
    max_bytes: usize,
) -> Result<EventPage, StoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut page = EventPage { events: Vec::new(), next_seq: None };
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let (event, size) = record(row)??;
        bytes += size;
        if page.events.len() >= limit.max(1) as usize || (bytes > max_bytes && !page.events.is_empty()) {
            page.next_seq = page.events.last().map(|event| event.seq);
            break;
        }
        page.events.push(event);
    }
    Ok(page)
}

fn past(
    conn: &Connection,
    since: u64,
    limit: usize,
    max_bytes: usize,
    filter: &EventFilter,
) -> Result<Past, StoreError> {
    let newest = newest_cursor(conn)?;
    let names = commit::json(&filter.kinds)?;
    let any = filter.kinds.is_empty();
    let mut items = Vec::new();
    let mut events = 0;
    let mut bytes = 0;
    let mut full = false;
    let mut end = match filter.conversation_id {
        // The index leads to these alone, however far apart they are.
        Some(_) => newest.max(since),
        None => newest.min(since.saturating_add(WINDOW)).max(since),
    };
    let kinds = "(?3 OR e.name IN (SELECT value FROM json_each(?4)))";
    let (sql, conversation) = match &filter.conversation_id {
        Some(id) => (
            // Cursors rise with seq; walking back from the newest finds the place soon.
            format!(
                "SELECT {EVENT} WHERE e.conversation = ?1 AND e.cursor > ?2 AND {kinds} AND e.seq > ifnull(
                     (SELECT p.seq FROM events p WHERE p.conversation = ?1 AND p.cursor <= ?2
                      ORDER BY p.seq DESC LIMIT 1), 0)
                 ORDER BY e.seq"
            ),
            id.as_str(),
        ),
        None => (format!("SELECT {EVENT} WHERE e.cursor > ?2 AND e.cursor <= ?1 AND {kinds} ORDER BY e.cursor"), ""),
    };
    let mut statement = conn.prepare_cached(&sql)?;
    let first: &dyn ToSql = if conversation.is_empty() { &(end as i64) } else { &conversation };
    let mut rows = statement.query([first, &(since as i64), &any, &names])?;
    let mut reached = since;
    while let Some(row) = rows.next()? {
        let cursor = row.get::<_, i64>(0)? as u64;
        match record(row)? {
            Ok((event, size)) => {
                bytes += size;
                if events == limit || (bytes > max_bytes && events > 0) {
                    full = true;
                    break;
                }
                events += 1;
                items.push(StreamItem::Event(Box::new(event)));
            }
            Err(error) => {
                tracing::warn!(%error, cursor, "an event is left out");
                items.push(StreamItem::Gap { from: cursor - 1, to: cursor + 1 });
            }
        }
        reached = cursor;
    }
    if full {
        end = reached;
    }
    if filter.conversation_id.is_none() {
        end = add_gaps(conn, &mut items, since, end)?;
    }
    Ok(Past { items, cursor: end, more: end < newest })
}

/// Puts the runs of deleted cursors between `since` and `end` among `items`. Answers where the last of them ends, if
/// that is behind `end`.
fn add_gaps(conn: &Connection, items: &mut Vec<StreamItem>, since: u64, end: u64) -> Result<u64, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT first, last FROM deleted_cursors WHERE last > ?1 AND first <= ?2 ORDER BY first")?;
    let runs = statement
        .query_map((since as i64, end as i64), |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)))?
        .collect::<Result<Vec<_>, _>>()?;
    let Some((_, last)) = runs.last().copied() else { return Ok(end) };
    items.extend(runs.into_iter().map(|(first, last)| StreamItem::Gap { from: since.max(first - 1), to: last + 1 }));
    items.sort_by_key(|item| match item {
        StreamItem::Event(event) => event.cursor,
        StreamItem::Gap { from, .. } => from + 1,
        StreamItem::Live { cursor } => *cursor,
    });
    Ok(end.max(last))
}

/// An event and the bytes of its text. The outer error is SQLite's; the inner one means that this row cannot be read.
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<Result<(EventRecord, usize), StoreError>> {
    let cursor = row.get::<_, i64>(0)? as u64;
    let conversation = super::text(row, 1)?;
    let parsed = ConversationId::parse(conversation.as_str())
        .map_err(|e| StoreError::Defect { detail: format!("event {cursor}: {e}") });
    let conversation_id = match parsed {
        Ok(id) => id,
        Err(error) => return Ok(Err(error)),
    };
    Ok(body(row).map_err(|why| StoreError::corrupt(&conversation_id, format_args!("event {cursor}: {why}"))).and_then(
        |(body, size)| {
            let seq = row.get::<_, i64>(2)? as u64;
            let turn_id = row.get::<_, Option<u32>>(4)?.map(TurnId::nth);
            Ok((EventRecord { seq, cursor, ts: Timestamp(row.get(3)?), conversation_id, turn_id, body }, size))
        },
    ))
}

fn body(row: &Row<'_>) -> Result<(EventBody, usize), String> {
    let json = row.get_ref(6).map_err(|e| e.to_string())?.as_str().map_err(|e| e.to_string())?;
    let mut size = json.len();
    let mut body: EventBody = serde_json::from_str(json).map_err(|e| e.to_string())?;
    if let EventBody::Message(told) | EventBody::LateCallback(told) = &mut body {
        let text = |at| row.get::<_, Option<String>>(at).map_err(|e| e.to_string());
        let mut whole = text(BODY)?.ok_or("its message is missing")?;
        if let Some(rest) = text(BODY + 1)? {
            whole.push_str(&rest);
        }
        size += whole.len();
        told.message.body = whole;
    }
    Ok((body, size))
}
