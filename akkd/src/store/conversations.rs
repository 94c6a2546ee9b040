//! Conversations as rows: loading one, finding one by what a person types, listing, counting.

use super::error::StoreError;
use super::{AnsweredRequest, Store, commit, outbox};
use akk_core::Conversation;
use akk_proto::conversation::{ConversationSummary, Need, Status};
use akk_proto::{ConversationId, RequestId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// Characters of the request in a list.
const REQUEST_HEAD: usize = 200;

/// Matches up to which a list is gathered and sorted; of more, the index in the list's order soon gives a page.
const FEW: i64 = 500;

/// Conversations that an ambiguous id names.
const CANDIDATES: usize = 5;

/// Which conversations a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Terminal ones too.
    pub all: bool,
    /// Only this agent kind (not an alias).
    pub agent: Option<String>,
    /// Only this status, also a terminal one, whatever `all` says.
    pub status: Option<Status>,
    /// Only this workspace, as it is stored: absolute, canonical.
    pub workspace: Option<String>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage {
    /// Newest activity first. Rows that cannot be read are left out.
    pub conversations: Vec<ConversationSummary>,
    /// How many fit in all, on whatever page.
    pub total: u64,
    /// What to give as `after` for the next page; none at the end.
    pub next: Option<String>,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Conversations.
    pub conversations: u64,
    /// Conversations that are not terminal.
    pub open_conversations: u64,
    /// Conversations with an open turn.
    pub open_turns: u64,
    /// Launches whose process tree is not proven gone.
    pub launches: u64,
    /// Deliveries that the orchestrator has not acknowledged.
    pub undelivered: u64,
}

impl Store {
    /// A conversation and the `seq` of its newest event; none when there is none of this id.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when its row does not parse.
    pub async fn load(&self, id: &ConversationId) -> Result<Option<(Conversation, u64)>, StoreError> {
        let id = id.clone();
        self.read(move |conn| {
            let row = conn
                .prepare_cached(
                    "SELECT c.seq, s.state FROM conversations c LEFT JOIN states s ON s.ord = c.ord WHERE c.id = ?1",
                )?
                .query_row([id.as_str()], |row| {
                    let state = row.get_ref(1)?;
                    let state = state.as_str().map_err(|e| e.to_string());
                    Ok((row.get::<_, i64>(0)?, state.and_then(parse)))
                })
                .optional()?;
            match row {
                None => Ok(None),
                Some((seq, Ok(state))) if state.settings.conversation_id == id => Ok(Some((state, seq as u64))),
                Some((_, Ok(_))) => Err(StoreError::corrupt(&id, "its state is another conversation's")),
                Some((_, Err(why))) => Err(StoreError::corrupt(&id, format_args!("its state does not parse: {why}"))),
            }
        })
        .await
    }

    /// What the repeat-safe call of this name led to; none when it was not answered yet.
    pub async fn find_request(&self, id: &RequestId) -> Result<Option<AnsweredRequest>, StoreError> {
        let id = id.clone();
        self.read(move |conn| commit::find_request(conn, id.as_str())).await
    }

    /// The conversation that `text` means: a full id, a unique beginning of one (with or without `task-`) or end, or
    /// `@last`, the one that the orchestrator's side began or wrote to last, whatever happened in others since.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or [`StoreError::Ambiguous`] with up to five candidates.
    pub async fn resolve(&self, text: &str) -> Result<ConversationId, StoreError> {
        let text = text.to_owned();
        self.read(move |conn| resolve(conn, &text)).await
    }

    /// The one open conversation, for a call that names none.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when none is open, [`StoreError::Ambiguous`] when several are.
    pub async fn only_open(&self) -> Result<ConversationId, StoreError> {
        self.read(|conn| {
            let sql = "SELECT id FROM conversations WHERE open = 1 ORDER BY updated_at DESC, id DESC LIMIT ?1";
            the_one("", "open conversation".to_owned(), ids(conn, sql, [limit_of(CANDIDATES + 1)])?)
        })
        .await
    }

    /// A page of conversations, newest activity first; `after` is what the former page's `next` said. A conversation
    /// that becomes active while a client pages moves to the front and is not shown twice. `now` says what is overdue.
    ///
    /// # Errors
    /// [`StoreError::BadPageMark`].
    pub async fn list(
        &self,
        filter: ListFilter,
        limit: u32,
        after: Option<&str>,
        now: Timestamp,
    ) -> Result<ListPage, StoreError> {
        let after = after.map(PageMark::parse).transpose()?;
        self.read(move |conn| list(conn, &filter, limit.max(1) as usize, after, now)).await
    }

    /// When idle conversations are to be closed, by wall time, soonest first.
    pub async fn deadlines(&self) -> Result<Vec<(ConversationId, Timestamp)>, StoreError> {
        self.read(|conn| {
            let mut found = conn.prepare_cached(
                "SELECT id, idle_deadline FROM conversations WHERE idle_deadline IS NOT NULL ORDER BY idle_deadline, id",
            )?;
            let rows = found.query_map([], |row| Ok((super::text(row, 0)?, Timestamp(row.get(1)?))))?;
            let mut deadlines = Vec::new();
            for row in rows {
                let (id, at) = row?;
                if let Some(id) = readable(id) {
                    deadlines.push((id, at));
                }
            }
            Ok(deadlines)
        })
        .await
    }

    /// The conversations whose turn is open.
    pub async fn with_open_turn(&self) -> Result<Vec<ConversationId>, StoreError> {
        self.read(|conn| ids(conn, "SELECT id FROM conversations WHERE open_turn = 1 ORDER BY id", [])).await
    }

    /// Terminal conversations without activity since `before`, oldest first.
    pub async fn terminal_older_than(&self, before: Timestamp) -> Result<Vec<ConversationId>, StoreError> {
        self.read(move |conn| {
            let sql = "SELECT id FROM conversations WHERE updated_at < ?1 AND open = 0 ORDER BY updated_at, id";
            ids(conn, sql, [before.0.into()])
        })
        .await
    }

    /// How much there is.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        let before = self.inner.transactions.load(Ordering::Acquire);
        let known = *self.inner.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, counts)) = known
            && at == before
        {
            // Clients ask often, and rows are many: nothing was written since.
            return Ok(counts);
        }
        let counts = self.count().await?;
        *self.inner.counted.lock().unwrap_or_else(PoisonError::into_inner) = Some((before, counts));
        Ok(counts)
    }

    async fn count(&self) -> Result<Counts, StoreError> {
        self.read(|conn| {
            let count = |sql: &str| -> Result<u64, StoreError> {
                Ok(conn.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0))? as u64)
            };
            Ok(Counts {
                conversations: count("SELECT count(*) FROM conversations")?,
                open_conversations: count("SELECT count(*) FROM conversations WHERE open = 1")?,
                open_turns: count("SELECT count(*) FROM conversations WHERE open_turn = 1")?,
                launches: count("SELECT count(*) FROM launches WHERE state <> 'gone'")?,
                undelivered: count("SELECT count(*) FROM outbox WHERE state <> 'acknowledged'")?,
            })
        })
        .await
    }
}

/// Writes the row of a conversation and its state, new or not.
pub(super) fn put(
    tx: &Connection,
    id: &ConversationId,
    seq: u64,
    state: &Conversation,
    json: &str,
) -> Result<(), StoreError> {
    let status = state.phase.status();
    let deadline = state.deadline().map(|at| at.0);
    let settings = &state.settings;
    let ord: Option<i64> = tx
        .prepare_cached(
            "UPDATE conversations SET seq = ?2, status = ?3, open = ?4, updated_at = ?5, rounds = ?6, soft_limit = ?7,
                 hard_limit = ?8, idle_deadline = ?9, open_turn = ?10
             WHERE id = ?1 RETURNING ord",
        )?
        .query_row(
            (
                id.as_str(),
                seq as i64,
                status.as_str(),
                !status.is_terminal(),
                state.updated_at.0,
                state.rounds_used,
                settings.soft_limit,
                settings.hard_limit,
                deadline,
                state.open_turn.is_some(),
            ),
            |row| row.get(0),
        )
        .optional()?;
    let ord = match ord {
        Some(ord) => ord,
        None => tx
            .prepare_cached(
                "INSERT INTO conversations (id, seq, status, open, agent, workspace, label, request, created_at,
                     updated_at, rounds, soft_limit, hard_limit, idle_deadline, open_turn)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            )?
            .insert((
                id.as_str(),
                seq as i64,
                status.as_str(),
                !status.is_terminal(),
                &settings.agent,
                &settings.workspace,
                &settings.label,
                settings.user_request.chars().take(REQUEST_HEAD).collect::<String>(),
                state.created_at.0,
                state.updated_at.0,
                state.rounds_used,
                settings.soft_limit,
                settings.hard_limit,
                deadline,
                state.open_turn.is_some(),
            ))?,
    };
    tx.prepare_cached(
        "INSERT INTO states (ord, state) VALUES (?1, ?2) ON CONFLICT (ord) DO UPDATE SET state = excluded.state",
    )?
    .execute((ord, json))?;
    Ok(())
}

/// Where a page ended: the activity and id of its last row.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PageMark {
    updated_at: i64,
    id: String,
}

impl PageMark {
    fn parse(token: &str) -> Result<Self, StoreError> {
        let (at, id) = token.split_once('.').unwrap_or_default();
        match (at.parse(), ConversationId::parse(id)) {
            (Ok(updated_at), Ok(_)) => Ok(Self { updated_at, id: id.to_owned() }),
            _ => Err(StoreError::BadPageMark { token: token.chars().take(80).collect() }),
        }
    }

    fn token(&self) -> String {
        format!("{}.{}", self.updated_at, self.id)
    }
}

fn list(
    conn: &Connection,
    filter: &ListFilter,
    limit: usize,
    after: Option<PageMark>,
    now: Timestamp,
) -> Result<ListPage, StoreError> {
    let mut conditions: Vec<&str> = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    match filter.status {
        Some(status) => {
            conditions.push(if status.is_terminal() { "open = 0 AND status = ?" } else { "open = 1 AND status = ?" });
            values.push(status.as_str().to_owned().into());
        }
        None if filter.all => {}
        None => conditions.push("open = 1"),
    }
    for (column, value) in [("agent = ?", &filter.agent), ("workspace = ?", &filter.workspace)] {
        if let Some(value) = value {
            conditions.push(column);
            values.push(value.clone().into());
        }
    }
    let place = |conditions: &[&str]| match conditions {
        [] => String::new(),
        some => format!(" WHERE {}", some.join(" AND ")),
    };
    let sql = format!("SELECT count(*) FROM conversations{}", place(&conditions));
    let total: i64 =
        conn.prepare_cached(&sql)?.query_row(params_from_iter(values.iter().cloned()), |row| row.get(0))?;

    // Left alone, SQLite would gather and sort all open conversations for each page.
    let index = match (total, filter) {
        (..=FEW, _) => "conversations_by_kind",
        (_, ListFilter { status: Some(status), .. }) if status.is_terminal() => "conversations_by_activity",
        (_, ListFilter { status: None, all: true, .. }) => "conversations_by_activity",
        _ => "conversations_open",
    };
    if let Some(after) = after {
        conditions.push("(updated_at, id) < (?, ?)");
        values.extend([after.updated_at.into(), after.id.into()]);
    }
    values.push(limit_of(limit + 1));
    let sql = format!(
        "SELECT id, agent, status, request, label, workspace, created_at, updated_at, rounds, soft_limit, undelivered,
             iif(undelivered > 0, (SELECT count(*) FROM outbox o WHERE o.conversation = conversations.id
                 AND o.state <> 'acknowledged' AND o.created_at < {overdue}), 0),
             iif(open_turn = 1, (SELECT EXISTS (SELECT 1 FROM json_each(s.state, '$.open_turn.permissions') p
                 WHERE p.value ->> '$.settled' IS NULL)
                 FROM states s WHERE s.ord = conversations.ord AND json_valid(s.state)), 0)
         FROM conversations INDEXED BY {index}{} ORDER BY updated_at DESC, id DESC LIMIT ?",
        place(&conditions),
        overdue = outbox::overdue_before(now).0,
    );
    let mut page = ListPage { conversations: Vec::new(), total: total as u64, next: None };
    let mut last = None;
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut seen = 0;
    while let Some(row) = rows.next()? {
        if seen == limit {
            page.next = last.as_ref().map(PageMark::token);
            break;
        }
        seen += 1;
        last = Some(PageMark { updated_at: row.get(7)?, id: super::text(row, 0)? });
        match summary(row) {
            Ok(summary) => page.conversations.push(summary),
            Err(why) => {
                tracing::warn!(row = ?last, why, "a conversation is left out of the list");
            }
        }
    }
    Ok(page)
}

/// One line of a list, or why it cannot be read.
fn summary(row: &Row<'_>) -> Result<ConversationSummary, String> {
    fn get<T: rusqlite::types::FromSql>(row: &Row<'_>, at: usize) -> Result<T, String> {
        row.get(at).map_err(|e| e.to_string())
    }
    let status: String = get(row, 2)?;
    Ok(ConversationSummary {
        conversation_id: get::<String>(row, 0)?.parse().map_err(|e| format!("{e}"))?,
        agent: get(row, 1)?,
        status: Status::parse(&status).ok_or_else(|| format!("{status:?} is no status"))?,
        user_request: get(row, 3)?,
        label: get(row, 4)?,
        workspace: get(row, 5)?,
        created_at: Timestamp(get(row, 6)?),
        updated_at: Timestamp(get(row, 7)?),
        response_rounds_used: get(row, 8)?,
        soft_limit: get(row, 9)?,
        undelivered: get::<i64>(row, 10)?.max(0) as u64,
        overdue: get::<i64>(row, 11)?.max(0) as u64,
        needs: get::<Option<bool>>(row, 12)?.unwrap_or(false).then_some(Need::Permission),
    })
}

/// The newest conversation, or the one with the newest message from the orchestrator's side, whichever came later. What
/// agents do counts for nothing, nor do deliveries: who types `@last` means what was typed before.
const LAST: &str = "
SELECT id FROM (
    SELECT c.id AS id, e.cursor AS at
    FROM (SELECT id FROM conversations ORDER BY created_at DESC, id DESC LIMIT 1) c
    LEFT JOIN events e ON e.conversation = c.id AND e.seq = 1
    UNION ALL
    SELECT * FROM (
        SELECT e.conversation, e.cursor FROM messages m JOIN events e ON e.cursor = m.cursor
        WHERE iif(json_valid(e.body), e.body ->> '$.message.from' = 'openclaw', 0)
        ORDER BY m.cursor DESC LIMIT 1
    )
) ORDER BY at DESC LIMIT 1";

fn resolve(conn: &Connection, text: &str) -> Result<ConversationId, StoreError> {
    let what = format!("conversation {:?}", text.chars().take(80).collect::<String>());
    let many = limit_of(CANDIDATES + 1);
    if text == "@last" {
        return the_one(text, "conversation yet".to_owned(), ids(conn, LAST, [])?);
    }
    if ConversationId::parse(text).is_ok() {
        return the_one(text, what, ids(conn, "SELECT id FROM conversations WHERE id = ?1", [text.to_owned().into()])?);
    }
    // Nothing else occurs in an id; so nothing here means something to LIKE.
    if text.is_empty() || text.len() > 29 || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(StoreError::NotFound { what });
    }
    let found = ids(
        conn,
        "SELECT id FROM conversations
         WHERE id LIKE ?1 || '%' OR id LIKE 'task-' || ?1 || '%' OR id LIKE '%' || ?1
         ORDER BY updated_at DESC, id DESC LIMIT ?2",
        [text.to_owned().into(), many],
    )?;
    the_one(text, what, found)
}

/// The only one of `found`.
fn the_one(text: &str, what: String, mut found: Vec<ConversationId>) -> Result<ConversationId, StoreError> {
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        0 => Err(StoreError::NotFound { what }),
        n => {
            found.truncate(CANDIDATES);
            Err(StoreError::Ambiguous { text: text.to_owned(), candidates: found, more: n > CANDIDATES })
        }
    }
}

/// The ids that a query answers; one that does not parse is left out.
fn ids<const N: usize>(conn: &Connection, sql: &str, values: [Value; N]) -> Result<Vec<ConversationId>, StoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map(params_from_iter(values), |row| super::text(row, 0))?;
    let mut found = Vec::new();
    for row in rows {
        found.extend(readable(row?));
    }
    Ok(found)
}

fn readable(id: String) -> Option<ConversationId> {
    match ConversationId::parse(id) {
        Ok(id) => Some(id),
        Err(error) => {
            tracing::warn!(%error, "a conversation is left out");
            None
        }
    }
}

fn limit_of(limit: usize) -> Value {
    Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX))
}

pub(super) fn parse(state: &str) -> Result<Conversation, String> {
    serde_json::from_str(state).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_mark_reads_back_and_nothing_else_is_one() {
        let mark = PageMark { updated_at: 5, id: "task-20260620T140525-0a1b2c3d".into() };
        assert_eq!(PageMark::parse(&mark.token()).unwrap(), mark);
        for bad in ["", "5", ".", "x.task-20260620T140525-0a1b2c3d", "5.task-1", "5.task-20260620T140525-0a1b2c3d'"] {
            assert!(matches!(PageMark::parse(bad), Err(StoreError::BadPageMark { .. })), "{bad}");
        }
    }
}
