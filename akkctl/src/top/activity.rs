//! What a conversation is about right now, in a few words.

use crate::output::{one_line, words};
use akk_proto::TurnId;
use akk_proto::event::{Activity, EventBody, EventRecord, TurnOutcome};

/// What a conversation is about.
#[derive(Debug)]
pub(super) struct Doing {
    /// On one line.
    pub(super) text: String,
    seq: u64,
    /// The turn in which the agent said this as its answer.
    answered: Option<TurnId>,
}

impl Doing {
    /// What the event says of it.
    pub(super) fn of(event: &EventRecord) -> Option<Self> {
        let answered = match &event.body {
            EventBody::Message(m) if m.message.kind.settles_turn() => event.turn_id.clone(),
            _ => None,
        };
        Some(Self { text: said(event)?, seq: event.seq, answered })
    }

    /// Goes on with what a further event says of it.
    pub(super) fn note(&mut self, event: &EventRecord) {
        let Some(new) = Self::of(event).filter(|new| new.seq > self.seq) else { return };
        // What an agent still does once it has answered is not what somebody waits for.
        let is_tail = matches!(event.body, EventBody::AgentActivity(_));
        if !(is_tail && self.answered.is_some() && self.answered == event.turn_id) {
            *self = new;
        }
    }
}

/// None where it says nothing that a person would want to read in a list.
fn said(record: &EventRecord) -> Option<String> {
    let text = match &record.body {
        EventBody::ConversationCreated(c) => one_line(&c.user_request),
        EventBody::Message(m) => one_line(&m.message.body),
        EventBody::AgentActivity(Activity::Tool { title, status, .. }) if status == "failed" => {
            format!("{} (failed)", one_line(title))
        }
        EventBody::AgentActivity(Activity::Tool { title, .. } | Activity::Permission { title, .. }) => one_line(title),
        EventBody::AgentActivity(Activity::Plan { entries }) => one_line(step(entries)?),
        EventBody::AgentActivity(Activity::Notice { text }) => one_line(text),
        EventBody::PermissionRequested(p) => format!("may it? {}", one_line(&p.request.title)),
        EventBody::ConversationStalled { reason }
        | EventBody::ConversationNeedsRecovery { reason, .. }
        | EventBody::ConversationNeedsModelSelection { reason, .. }
        | EventBody::ConversationClosed { reason, .. } => one_line(reason),
        EventBody::ExecutorCancelRequested { .. } => "is asked to stop".to_owned(),
        // What a completed one came to was said before.
        EventBody::TurnEnded(end) if end.outcome != TurnOutcome::Completed => {
            end.reason.as_deref().map_or_else(|| words::outcome(end.outcome).to_owned(), one_line)
        }
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// The step of a plan that is under way, else the first one; entries are `status text`.
fn step(entries: &[String]) -> Option<&str> {
    let under_way = entries.iter().find_map(|e| e.strip_prefix("in_progress "));
    under_way.or_else(|| entries.first().map(|e| e.split_once(' ').map_or(e.as_str(), |(_, text)| text)))
}
