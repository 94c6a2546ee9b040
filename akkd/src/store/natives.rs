//! Which conversations use the sessions of a page.

use super::Store;
use super::error::StoreError;
use akk_proto::ConversationId;
use std::collections::{HashMap, HashSet};

impl Store {
    /// The open conversations that use these agent sessions, by the agent's own ids; of several the one with the newest
    /// activity. Reads every open conversation once, however many sessions there are.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn users_of_sessions(
        &self,
        sessions: HashSet<String>,
    ) -> Result<HashMap<String, ConversationId>, StoreError> {
        self.read(move |conn| {
            let mut open = conn.prepare_cached(
                // A state that is no JSON would fail the query for all.
                "SELECT c.id, CASE WHEN json_valid(s.state)
                     THEN coalesce(s.state ->> '$.native_session', s.state ->> '$.settings.session') END
                 FROM conversations c JOIN states s ON s.ord = c.ord WHERE c.open = 1 ORDER BY c.updated_at",
            )?;
            let rows = open.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?)))?;
            let mut users = HashMap::new();
            for row in rows {
                let (id, session) = row?;
                let Some(session) = session.filter(|s| sessions.contains(s)) else { continue };
                if let Ok(id) = id.parse() {
                    users.insert(session, id);
                }
            }
            Ok(users)
        })
        .await
    }
}
