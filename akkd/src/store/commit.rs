//! A change to one conversation: events, state, deliveries and what else belongs to it, together or not at all.

use super::error::StoreError;
use super::writer::{Group, Job};
use super::{AnsweredRequest, Commit, Committed, conversations, launches, messages, outbox};
use akk_core::Event;
use akk_proto::event::{EventBody, EventRecord, Origin};
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A commit with everything written out that the writer thread need not write out itself.
pub(super) struct CommitJob {
    commit: Commit,
    /// The JSON of each event, without the body of a message.
    bodies: Vec<String>,
    state: String,
    reader: Option<String>,
    deliveries: Vec<outbox::Queued>,
    bytes: usize,
    /// Cursors of the events, once they are placed.
    cursors: Vec<i64>,
    records: Vec<Arc<EventRecord>>,
    reply: oneshot::Sender<Result<Committed, StoreError>>,
}

impl CommitJob {
    pub(super) fn new(
        mut commit: Commit,
        reply: oneshot::Sender<Result<Committed, StoreError>>,
    ) -> Result<Self, StoreError> {
        let mut bytes = 0;
        let mut bodies = Vec::with_capacity(commit.events.len());
        for event in &mut commit.events {
            let (json, told) = without_message_body(&mut event.body)?;
            bytes += json.len() + told;
            bodies.push(json);
        }
        let state = json(&commit.state)?;
        let reader = commit.checkpoint.as_ref().map(|c| json(&c.reader)).transpose()?;
        let deliveries = std::mem::take(&mut commit.deliveries)
            .into_iter()
            .map(outbox::Queued::new)
            .collect::<Result<Vec<_>, _>>()?;
        bytes += state.len() + deliveries.iter().map(outbox::Queued::bytes).sum::<usize>();
        Ok(Self { commit, bodies, state, reader, deliveries, bytes, cursors: Vec::new(), records: Vec::new(), reply })
    }

    /// The new `base_seq`.
    fn seq(&self) -> u64 {
        self.commit.base_seq + self.bodies.len() as u64
    }

    fn refuse_repeat(&self, tx: &Connection) -> Result<(), StoreError> {
        let Some(request) = &self.commit.request else { return Ok(()) };
        match find_request(tx, request.request_id.as_str())? {
            Some(answered) => Err(StoreError::RepeatedRequest(Box::new(answered))),
            None => Ok(()),
        }
    }

    fn refuse_conflict(&self, tx: &Connection) -> Result<(), StoreError> {
        let id = &self.commit.conversation_id;
        let stored: Option<i64> = tx
            .prepare_cached("SELECT seq FROM conversations WHERE id = ?1")?
            .query_row([id.as_str()], |row| row.get(0))
            .optional()?;
        let stored = stored.unwrap_or(0) as u64;
        if stored == self.commit.base_seq {
            return Ok(());
        }
        Err(StoreError::Conflict { conversation_id: id.clone(), base: self.commit.base_seq, stored })
    }

    fn insert_events(&mut self, tx: &Connection, group: &mut Group) -> Result<(), StoreError> {
        let id = self.commit.conversation_id.as_str();
        let mut insert = tx.prepare_cached(
            "INSERT INTO events (conversation, seq, ts, turn, name, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        self.cursors.clear();
        for (at, (event, json)) in self.commit.events.iter().zip(&self.bodies).enumerate() {
            let seq = self.commit.base_seq + at as u64 + 1;
            let turn = event.turn_id.as_ref().map(akk_proto::TurnId::ordinal);
            let cursor = insert.insert((id, seq as i64, event.ts.0, turn, event.body.name(), json))?;
            self.cursors.push(cursor);
            match &event.body {
                EventBody::Message(told) | EventBody::LateCallback(told) => {
                    let waits = told.origin == Origin::Queued;
                    messages::insert(tx, group, cursor, &told.message, (!waits).then_some(cursor))?;
                }
                EventBody::MessageSent { message_id, round } => {
                    messages::mark_told(tx, &self.commit.conversation_id, message_id, cursor, *round)?;
                }
                EventBody::PermissionSettled(settled) => {
                    group.outbox |= outbox::withdraw_permission(tx, id, &settled.nonce)?;
                }
                // In the same transaction, so that a history says it once.
                EventBody::DeliveryOverdue { delivery_id, .. } => {
                    tx.prepare_cached("UPDATE outbox SET overdue_told = 1 WHERE id = ?1")?
                        .execute([delivery_id.as_str()])?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn insert_request(&self, tx: &Connection) -> Result<(), StoreError> {
        let Some(request) = &self.commit.request else { return Ok(()) };
        tx.prepare_cached(
            "INSERT INTO requests (id, method, conversation, message, turn) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((
            request.request_id.as_str(),
            &request.method,
            request.conversation_id.as_str(),
            request.message_id.as_ref().map(akk_proto::MessageId::as_str),
            request.turn_id.as_ref().map(akk_proto::TurnId::as_str),
        ))?;
        Ok(())
    }
}

impl Job for CommitJob {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn run(&mut self, tx: &Connection, group: &mut Group) -> Result<(), StoreError> {
        self.refuse_repeat(tx)?;
        self.refuse_conflict(tx)?;
        conversations::put(tx, &self.commit.conversation_id, self.seq(), &self.commit.state, &self.state)?;
        self.insert_events(tx, group)?;
        for delivery in &self.deliveries {
            group.outbox |= delivery.insert(tx)?;
        }
        if self.commit.revoke_tickets {
            launches::revoke_tickets(tx, &self.commit.conversation_id)?;
        }
        if let (Some(checkpoint), Some(reader)) = (&self.commit.checkpoint, &self.reader) {
            launches::put_checkpoint(tx, &checkpoint.launch_id, checkpoint.offset, reader)?;
        }
        self.insert_request(tx)
    }

    fn events(&mut self) -> &[Arc<EventRecord>] {
        let events = std::mem::take(&mut self.commit.events);
        let placed = events.into_iter().zip(&self.cursors).enumerate();
        self.records.extend(placed.map(|(at, (Event { ts, turn_id, body }, cursor))| {
            Arc::new(EventRecord {
                seq: self.commit.base_seq + at as u64 + 1,
                cursor: *cursor as u64,
                ts,
                conversation_id: self.commit.conversation_id.clone(),
                turn_id,
                body,
            })
        }));
        &self.records
    }

    fn answer(self: Box<Self>, fate: Result<(), StoreError>) {
        let seq = self.seq();
        let Self { records, reply, .. } = *self;
        let _ = reply.send(fate.map(|()| Committed { events: records, seq }));
    }
}

/// The JSON of an event without the body of its message, and the bytes of that body.
fn without_message_body(event: &mut EventBody) -> Result<(String, usize), StoreError> {
    let (EventBody::Message(told) | EventBody::LateCallback(told)) = event else {
        return Ok((json(event)?, 0));
    };
    let body = std::mem::take(&mut told.message.body);
    let bytes = body.len();
    let written = json(event);
    if let EventBody::Message(told) | EventBody::LateCallback(told) = event {
        told.message.body = body;
    }
    Ok((written?, bytes))
}

/// The JSON of `value`.
pub(super) fn json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|e| StoreError::Defect { detail: format!("it cannot be written as JSON: {e}") })
}

/// What the call of this name led to.
pub(super) fn find_request(conn: &Connection, id: &str) -> Result<Option<AnsweredRequest>, StoreError> {
    type Row = (String, String, String, Option<String>, Option<String>);
    let row: Option<Row> = conn
        .prepare_cached("SELECT id, method, conversation, message, turn FROM requests WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .optional()?;
    let Some((id, method, conversation, message, turn)) = row else { return Ok(None) };
    let unreadable =
        |e: akk_proto::ids::InvalidId| StoreError::Defect { detail: format!("the record of call {id}: {e}") };
    Ok(Some(AnsweredRequest {
        request_id: id.parse().map_err(unreadable)?,
        method,
        conversation_id: conversation.parse().map_err(unreadable)?,
        message_id: message.map(|m| m.parse()).transpose().map_err(unreadable)?,
        turn_id: turn.map(|t| t.parse()).transpose().map_err(unreadable)?,
    }))
}
