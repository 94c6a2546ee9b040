//! A conversation of the predecessor: its history is recorded as it was, at the times at which it happened, and ends
//! with where the conversation stands here. Nobody is told, and no agent is started.

use super::{Decision, Draft, Given};
use crate::Event;
use crate::apply::{self, Refused};
use crate::redact::preview;
use akk_proto::conversation::Status;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::{Created, EventBody, MessageRecorded, Origin};
use akk_proto::import::{ImportEntry, ImportParams, Imported, Standing};
use akk_proto::message::{Message, MessageType};
use akk_proto::{MessageId, Timestamp};
use std::collections::HashSet;

/// Characters of a reason or of what an event says.
const LINE: usize = 400;
/// Characters of an event's name.
const NAME: usize = 100;

pub(super) fn begin(created: Created, import: &ImportParams, given: &Given) -> Result<Decision, Refused> {
    // Nothing happened later than now, whatever a clock said then.
    let at = |ts: Timestamp| ts.min(given.now);
    let body = EventBody::ConversationCreated(Box::new(created));
    let event = Event { ts: at(import.created_at), turn_id: None, body };
    let mut draft = Draft::new(apply::begin(&event)?, given);
    draft.events.push(event);
    let mut ids = HashSet::new();
    for entry in &import.history {
        let (ts, body) = match entry {
            ImportEntry::Message { message } => {
                if !ids.insert(&message.id) {
                    let text = format!("two messages are called {}", message.id);
                    return Err(Failure::new(ErrorKind::InvalidMessage, text, "Give each message once."));
                }
                let message = Message { turn_id: None, ..(**message).clone() };
                let recorded = MessageRecorded { message, origin: Origin::Imported, fingerprint: None };
                (recorded.message.ts, EventBody::Message(Box::new(recorded)))
            }
            ImportEntry::Event { ts, name, detail } => {
                let (name, detail) = (preview(name, NAME), preview(detail, LINE));
                (*ts, EventBody::PredecessorEvent { name, detail })
            }
        };
        draft.record_at(at(ts), body)?;
    }
    let imported = imported(import, given.now);
    draft.record_at(at(import.updated_at), EventBody::ConversationImported(Box::new(imported)))?;
    Ok(draft.finish())
}

fn imported(import: &ImportParams, now: Timestamp) -> Imported {
    let last_task = messages(import).rev().find(|m| m.from.is_orchestrator()).map(|m| m.id.clone());
    Imported {
        former_status: import.status,
        former_session: import.session.clone(),
        native_session: import.native_session.clone(),
        standing: standing(import, last_task.as_ref(), now),
        last_task,
        rounds_used: import.rounds_used,
        imported_at: now,
    }
}

/// The same status, where it can be kept without the process that worked on it, and without a message that is lost.
fn standing(import: &ImportParams, last_task: Option<&MessageId>, now: Timestamp) -> Standing {
    let reason = |otherwise: &str| {
        let said = import.reason.as_deref().map(|r| preview(r, LINE)).filter(|r| !r.is_empty());
        said.unwrap_or_else(|| otherwise.to_owned())
    };
    let closed_at = import.closed_at.unwrap_or(import.updated_at).min(now);
    match import.status {
        Status::Created => Standing::Created,
        Status::WaitingForOpenclaw => Standing::WaitingForOpenclaw { blocked: was_blocked(import) },
        Status::Idle => Standing::Idle,
        Status::Running | Status::WaitingForAgent | Status::Cancelling => Standing::Stalled {
            reason: format!(
                "imported from the predecessor as {}: the process that may work on it is not akkd's",
                import.status
            ),
        },
        Status::Stalled => Standing::Stalled { reason: reason("it had stalled when it was imported") },
        Status::NeedsRecovery => match last_task {
            Some(pending) => {
                Standing::NeedsRecovery { reason: reason("its agent session was gone"), pending: pending.clone() }
            }
            None => Standing::Stalled { reason: lost(import.status) },
        },
        Status::NeedsModelSelection => match last_task {
            Some(pending) => Standing::NeedsModelSelection {
                attempted: import.attempted_model.clone(),
                available: import.available_models.clone(),
                reason: reason("the agent had refused the model"),
                pending: pending.clone(),
            },
            None => Standing::Stalled { reason: lost(import.status) },
        },
        Status::Failed => Standing::Failed {
            reason: reason("it had failed when it was imported"),
            hard_stop: import.rounds_used >= import.hard_limit,
        },
        Status::Cancelled => Standing::Cancelled { at: closed_at, reason: reason("cancelled before the import") },
        Status::Closed => Standing::Closed { at: closed_at, reason: reason("closed before the import") },
    }
}

fn lost(status: Status) -> String {
    format!("imported from the predecessor as {status}, without the message that it waited with")
}

fn was_blocked(import: &ImportParams) -> bool {
    let asked = messages(import).rev().find(|m| m.to.is_orchestrator() && m.kind.settles_turn());
    asked.is_some_and(|m| m.kind == MessageType::Blocked)
}

fn messages(import: &ImportParams) -> impl DoubleEndedIterator<Item = &Message> {
    import.history.iter().filter_map(|entry| match entry {
        ImportEntry::Message { message } => Some(&**message),
        ImportEntry::Event { .. } => None,
    })
}
