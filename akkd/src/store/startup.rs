//! What a start of akkd, and a delegate with a session name, ask the store.

use super::Store;
use super::conversations::parse;
use super::error::StoreError;
use akk_core::Conversation;
use akk_proto::ConversationId;
use rusqlite::OptionalExtension;

/// Conversations of one session name that are looked at.
const SESSION_USERS: u32 = 20;

impl Store {
    /// The conversations that are not terminal, in no order.
    pub async fn open_conversations(&self) -> Result<Vec<ConversationId>, StoreError> {
        self.read(|conn| {
            let mut select = conn.prepare_cached("SELECT id FROM conversations WHERE open = 1")?;
            let mut rows = select.query([])?;
            let mut ids = Vec::new();
            while let Some(row) = rows.next()? {
                // A row that does not parse belongs to one conversation only.
                ids.extend(ConversationId::parse(super::text(row, 0)?).ok());
            }
            Ok(ids)
        })
        .await
    }

    /// The conversations that use or used an agent session, by akkd's name of it or by the agent's own id, newest activity first, 20 at most.
    /// Reads every row: for the rare call that names a session.
    pub async fn conversations_of_session(&self, session: &str) -> Result<Vec<Conversation>, StoreError> {
        let session = session.to_owned();
        self.read(move |conn| {
            let mut found = conn.prepare_cached(
                // A state that is no JSON would fail the query for all.
                "SELECT s.state FROM conversations c JOIN states s ON s.ord = c.ord
                 WHERE CASE WHEN json_valid(s.state)
                     THEN ?1 IN (s.state ->> '$.settings.session', coalesce(s.state ->> '$.native_session', '')) END
                 ORDER BY c.updated_at DESC LIMIT ?2",
            )?;
            let rows = found.query_map((session, SESSION_USERS), |row| row.get::<_, String>(0))?;
            let mut users = Vec::new();
            for row in rows {
                // A row that does not parse belongs to one conversation only; it cannot be gone on with anyway.
                users.extend(parse(&row?).ok());
            }
            Ok(users)
        })
        .await
    }

    /// The open conversation that uses an agent session, by akkd's name of it or by the agent's own id; the one with the
    /// newest activity, should there be several. Reads the rows of all open ones: for the rare call that names a
    /// session.
    pub async fn open_conversation_of_session(&self, session: &str) -> Result<Option<ConversationId>, StoreError> {
        let session = session.to_owned();
        self.read(move |conn| {
            let mut found = conn.prepare_cached(
                "SELECT c.id FROM conversations c JOIN states s ON s.ord = c.ord
                 WHERE c.open = 1 AND CASE WHEN json_valid(s.state)
                     THEN ?1 IN (s.state ->> '$.settings.session', coalesce(s.state ->> '$.native_session', '')) END
                 ORDER BY c.updated_at DESC LIMIT 1",
            )?;
            let id = found.query_row([session], |row| super::text(row, 0)).optional()?;
            id.map(|id| ConversationId::parse(id).map_err(|e| StoreError::Defect { detail: e.to_string() })).transpose()
        })
        .await
    }
}
