//! `events.ndjson`: messages, and what else was noted.

use super::state::State;
use akk_proto::import::ImportEntry;
use akk_proto::message::{Actor, Message, MessageType};
use akk_proto::{ConversationId, MessageId, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashSet;
use uuid::Uuid;

/// Damaged lines of one file that are named; of more only the number is told.
const NAMED: usize = 5;
/// Longest text of an event that is handed over, in characters; akkd cuts what is left of it after redacting.
const DETAIL: usize = 2000;

/// A message as the predecessor stored it. Its `max_rounds` and envelope are not needed.
#[derive(Debug, Deserialize)]
struct Said {
    id: String,
    #[serde(default)]
    ts: Option<Timestamp>,
    conversation_id: String,
    from: String,
    to: String,
    #[serde(rename = "type")]
    kind: MessageType,
    requires_response: bool,
    round: u32,
    body: String,
    #[serde(default)]
    metadata: Map<String, Value>,
}

/// Reads the history, oldest first. What cannot be read is left out and said in `notes`.
pub(super) fn read(bytes: &[u8], id: &ConversationId, state: &State, notes: &mut Vec<String>) -> Vec<ImportEntry> {
    let mut reader = Reader { id, state, last: state.created_at, ids: HashSet::new(), entries: Vec::new() };
    let mut damaged = 0_usize;
    for (at, line) in bytes.split(|b| *b == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        if let Err(why) = reader.line(line) {
            damaged += 1;
            if damaged <= NAMED {
                notes.push(format!("line {} of events.ndjson was left out: {why}", at + 1));
            }
        }
    }
    if damaged > NAMED {
        notes.push(format!("{} more lines of events.ndjson were left out", damaged - NAMED));
    }
    // It was stored with the state too, for the case that the log was not written.
    if let Some(pending) = state.pending_message() {
        let said = reader.message(pending);
        if let Err(why) = said
            && why != TWICE
        {
            notes.push(format!("the message that waits was left out: {why}"));
        }
    }
    reader.entries
}

/// A message that is there already.
const TWICE: &str = "the message is there already";

struct Reader<'a> {
    id: &'a ConversationId,
    state: &'a State,
    /// When the line before was written: for a line that does not say it.
    last: Timestamp,
    ids: HashSet<MessageId>,
    entries: Vec<ImportEntry>,
}

impl Reader<'_> {
    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        let mut event: Map<String, Value> = serde_json::from_slice(line).map_err(|e| e.to_string())?;
        let Some(Value::String(name)) = event.remove("event") else { return Err("it names no event".to_owned()) };
        if let Some(ts) = event.get("ts").and_then(|ts| Timestamp::deserialize(ts).ok()) {
            self.last = ts;
        }
        match name.as_str() {
            "message" => {
                let message = event.remove("message").ok_or_else(|| "it holds no message".to_owned())?;
                self.message(&message)
            }
            // akkd notes it by itself, from the state.
            "conversation_created" => Ok(()),
            _ => {
                // What every line has is told otherwise.
                for known in ["ts", "conversation_id"] {
                    event.remove(known);
                }
                let detail: String = Value::Object(event).to_string().chars().take(DETAIL).collect();
                self.entries.push(ImportEntry::Event { ts: self.last, name, detail });
                Ok(())
            }
        }
    }

    fn message(&mut self, value: &Value) -> Result<(), String> {
        let said = Said::deserialize(value).map_err(|e| e.to_string())?;
        if said.conversation_id != self.id.as_str() {
            return Err(format!("the message is of another conversation, {}", said.conversation_id));
        }
        let (actor, orchestrator) = (self.state.actor(), "openclaw");
        let fits = match (said.from.as_str(), said.to.as_str()) {
            (from, to) if from == orchestrator && to == actor => said.kind.goes_to_agent(),
            (from, to) if from == actor && to == orchestrator => said.kind.goes_to_orchestrator(),
            _ => false,
        };
        if !fits {
            return Err(format!("{} cannot send {} to {} in this conversation", said.from, said.kind, said.to));
        }
        if said.body.trim().is_empty() {
            return Err("the message is empty".to_owned());
        }
        let mut metadata = said.metadata;
        let id = MessageId::parse(said.id.as_str()).ok().filter(|id| id.as_str().starts_with("msg-"));
        let id = id.unwrap_or_else(|| {
            // The same each time, so that a repeated import says the same.
            let name = format!("{}:{}", self.id, said.id);
            metadata.insert("predecessor_id".to_owned(), said.id.clone().into());
            MessageId::message(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()))
        });
        if !self.ids.insert(id.clone()) {
            return Err(TWICE.to_owned());
        }
        let message = Message {
            id,
            ts: said.ts.unwrap_or(self.last),
            conversation_id: self.id.clone(),
            from: Actor(said.from),
            to: Actor(said.to),
            kind: said.kind,
            requires_response: said.requires_response,
            round: said.round,
            max_rounds: self.state.hard_limit(),
            turn_id: None,
            body: said.body,
            metadata,
        };
        self.entries.push(ImportEntry::Message { message: Box::new(message) });
        Ok(())
    }
}
