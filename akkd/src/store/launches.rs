//! Launches of agent processes, the tickets that they carry, and the fate of the prompts that they are given.

use super::error::StoreError;
use super::{Checkpoint, LaunchRow, LaunchState, PromptFate, PromptRow, Store, commit, outbox};
use akk_proto::{ConversationId, LaunchId, Timestamp, TurnId};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use serde_json::Value;

const LAUNCH: &str =
    "SELECT id, conversation, facts, state, identity, ticket_hash, created_at, offset, reader FROM launches";

/// Digests of a conversation's tickets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TicketHashes {
    /// Those that are good.
    pub valid: Vec<String>,
    /// Those that were good once.
    pub revoked: Vec<String>,
}

impl Store {
    /// Records a launch and makes its ticket good; before the process is started.
    pub async fn launch_begin(&self, launch: LaunchRow) -> Result<(), StoreError> {
        let facts = commit::json(&launch.facts)?;
        let reader = commit::json(&launch.reader)?;
        let identity = launch.identity.as_ref().map(commit::json).transpose()?;
        self.write(move |tx, _| {
            tx.prepare_cached(
                "INSERT INTO launches (id, conversation, facts, state, identity, ticket_hash, created_at, offset, reader)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute((
                launch.launch_id.as_str(),
                launch.conversation_id.as_str(),
                &facts,
                launch.state.as_str(),
                &identity,
                &launch.ticket_hash,
                launch.created_at.0,
                launch.offset as i64,
                &reader,
            ))?;
            tx.prepare_cached(
                "INSERT INTO tickets (conversation, hash, revoked) VALUES (?1, ?2, 0) ON CONFLICT DO NOTHING",
            )?
            .execute((launch.conversation_id.as_str(), &launch.ticket_hash))?;
            Ok(())
        })
        .await
    }

    /// The process is known.
    pub async fn launch_live(&self, id: &LaunchId, identity: Value) -> Result<(), StoreError> {
        self.change_launch(id, "UPDATE launches SET state = 'live', identity = ?2 WHERE id = ?1", &identity).await
    }

    /// Replaces the facts that the executor needs to find its process again.
    pub async fn launch_facts(&self, id: &LaunchId, facts: Value) -> Result<(), StoreError> {
        self.change_launch(id, "UPDATE launches SET facts = ?2 WHERE id = ?1", &facts).await
    }

    async fn change_launch(&self, id: &LaunchId, sql: &'static str, value: &Value) -> Result<(), StoreError> {
        let (id, value) = (id.clone(), commit::json(value)?);
        self.write(move |tx, _| {
            let changed = tx.prepare_cached(sql)?.execute((id.as_str(), &value))?;
            if changed == 0 { Err(StoreError::not_found("launch", &id)) } else { Ok(()) }
        })
        .await
    }

    /// The process tree is proven gone. Its ticket stays good: what the agent left in its drop folder still counts.
    pub async fn launch_gone(&self, id: &LaunchId) -> Result<(), StoreError> {
        let id = id.clone();
        self.write(move |tx, _| {
            let changed =
                tx.prepare_cached("UPDATE launches SET state = 'gone' WHERE id = ?1")?.execute([id.as_str()])?;
            if changed == 0 { Err(StoreError::not_found("launch", &id)) } else { Ok(()) }
        })
        .await
    }

    /// Stores how far an agent's output was read when no event followed from it.
    pub async fn launch_checkpoint(&self, checkpoint: Checkpoint) -> Result<(), StoreError> {
        let reader = commit::json(&checkpoint.reader)?;
        self.write(move |tx, _| put_checkpoint(tx, &checkpoint.launch_id, checkpoint.offset, &reader)).await
    }

    /// Launches whose process tree is not proven gone, oldest first. One that cannot be read is left out and logged.
    pub async fn live_launches(&self) -> Result<Vec<LaunchRow>, StoreError> {
        self.read(|conn| {
            let sql = format!("{LAUNCH} WHERE state <> 'gone' ORDER BY ord");
            let mut statement = conn.prepare_cached(&sql)?;
            let rows = statement.query_map([], launch)?;
            let mut launches = Vec::new();
            for row in rows {
                match row? {
                    Ok(launch) => launches.push(launch),
                    Err(why) => tracing::error!(why, "a launch cannot be read; its process is left alone"),
                }
            }
            Ok(launches)
        })
        .await
    }

    /// The launches of a conversation, oldest first.
    pub async fn launches_of(&self, conversation: &ConversationId) -> Result<Vec<LaunchRow>, StoreError> {
        let id = conversation.clone();
        self.read(move |conn| {
            let sql = format!("{LAUNCH} WHERE conversation = ?1 ORDER BY ord");
            let mut statement = conn.prepare_cached(&sql)?;
            let rows = statement.query_map([id.as_str()], launch)?;
            rows.map(|row| row?.map_err(|why| StoreError::corrupt(&id, why))).collect()
        })
        .await
    }

    /// Records how far a prompt came; the row of its attempt is made or changed.
    pub async fn prompt_put(&self, prompt: PromptRow) -> Result<(), StoreError> {
        self.write(move |tx, _| {
            tx.prepare_cached(
                "INSERT INTO prompts (conversation, turn, attempt, launch, fate) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO UPDATE SET launch = excluded.launch, fate = excluded.fate",
            )?
            .execute((
                prompt.conversation_id.as_str(),
                prompt.turn_id.ordinal(),
                prompt.attempt,
                prompt.launch_id.as_str(),
                prompt.fate.as_str(),
            ))?;
            Ok(())
        })
        .await
    }

    /// The prompts of a turn, first attempt first.
    pub async fn prompts_of(&self, conversation: &ConversationId, turn: &TurnId) -> Result<Vec<PromptRow>, StoreError> {
        let (id, turn) = (conversation.clone(), turn.clone());
        self.read(move |conn| {
            let mut statement = conn.prepare_cached(
                "SELECT attempt, launch, fate FROM prompts WHERE conversation = ?1 AND turn = ?2 ORDER BY attempt",
            )?;
            let rows = statement.query_map((id.as_str(), turn.ordinal()), |row| {
                Ok((row.get::<_, u32>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
            })?;
            rows.map(|row| {
                let (attempt, launch, fate) = row?;
                let what = || StoreError::corrupt(&id, format_args!("prompt {attempt} of {turn}"));
                Ok(PromptRow {
                    conversation_id: id.clone(),
                    turn_id: turn.clone(),
                    attempt,
                    launch_id: LaunchId::parse(launch).map_err(|_| what())?,
                    fate: PromptFate::parse(&fate).ok_or_else(what)?,
                })
            })
            .collect()
        })
        .await
    }

    /// Digests of a conversation's tickets.
    pub async fn ticket_hashes(&self, conversation: &ConversationId) -> Result<TicketHashes, StoreError> {
        let id = conversation.clone();
        self.read(move |conn| ticket_hashes(conn, &id)).await
    }

    /// What must be known before a report is recorded, of one moment: digests of the conversation's tickets, and how many
    /// deliveries the orchestrator has not acknowledged, without those of kind `progress`.
    pub async fn before_a_report(&self, conversation: &ConversationId) -> Result<(TicketHashes, u64), StoreError> {
        let id = conversation.clone();
        self.read(move |conn| Ok((ticket_hashes(conn, &id)?, outbox::undelivered(conn, &id, false)?))).await
    }
}

fn ticket_hashes(conn: &Connection, conversation: &ConversationId) -> Result<TicketHashes, StoreError> {
    let mut statement = conn.prepare_cached("SELECT hash, revoked FROM tickets WHERE conversation = ?1")?;
    let rows =
        statement.query_map([conversation.as_str()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)))?;
    let mut hashes = TicketHashes::default();
    for row in rows {
        let (hash, revoked) = row?;
        if revoked { hashes.revoked.push(hash) } else { hashes.valid.push(hash) }
    }
    Ok(hashes)
}

/// Revokes every ticket of a conversation.
pub(super) fn revoke_tickets(tx: &Connection, conversation: &ConversationId) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE tickets SET revoked = 1 WHERE conversation = ?1")?.execute([conversation.as_str()])?;
    Ok(())
}

/// Stores how far an agent's output was read. `reader` is JSON.
pub(super) fn put_checkpoint(tx: &Connection, id: &LaunchId, offset: u64, reader: &str) -> Result<(), StoreError> {
    let changed = tx.prepare_cached("UPDATE launches SET offset = ?2, reader = ?3 WHERE id = ?1")?.execute((
        id.as_str(),
        offset as i64,
        reader,
    ))?;
    if changed == 0 { Err(StoreError::not_found("launch", id)) } else { Ok(()) }
}

/// A launch. The outer error is SQLite's; the inner one means that this row cannot be read.
fn launch(row: &Row<'_>) -> rusqlite::Result<Result<LaunchRow, String>> {
    let id = super::text(row, 0)?;
    let conversation = super::text(row, 1)?;
    let facts = super::text(row, 2)?;
    let state = super::text(row, 3)?;
    let identity = if row.get_ref(4)? == ValueRef::Null { None } else { Some(super::text(row, 4)?) };
    let ticket_hash = super::text(row, 5)?;
    let created_at = Timestamp(row.get(6)?);
    let offset = row.get::<_, i64>(7)? as u64;
    let reader = super::text(row, 8)?;
    let read = || -> Result<LaunchRow, String> {
        let parse = |json: &str| serde_json::from_str::<Value>(json).map_err(|e| format!("launch {id}: {e}"));
        Ok(LaunchRow {
            launch_id: id.parse().map_err(|e| format!("{e}"))?,
            conversation_id: conversation.parse().map_err(|e| format!("launch {id}: {e}"))?,
            facts: parse(&facts)?,
            state: LaunchState::parse(&state).ok_or_else(|| format!("launch {id}: {state:?} is no state"))?,
            identity: identity.as_deref().map(parse).transpose()?,
            ticket_hash,
            created_at,
            offset,
            reader: parse(&reader)?,
        })
    };
    Ok(read())
}

impl LaunchState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Live => "live",
            Self::Gone => "gone",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Starting, Self::Live, Self::Gone].into_iter().find(|s| s.as_str() == text)
    }
}

impl PromptFate {
    fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Finishing => "finishing",
            Self::Written => "written",
            Self::Ended => "ended",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Accepted, Self::Finishing, Self::Written, Self::Ended].into_iter().find(|f| f.as_str() == text)
    }
}
