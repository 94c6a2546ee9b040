//! What a conversation is about right now, in a few words.

use crate::output::one_line;
use akk_proto::event::{Activity, EventBody, EventRecord};

/// What the event says of it; none where it says nothing that a person would want to read in a list.
pub(super) fn of(record: &EventRecord) -> Option<String> {
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
        EventBody::TurnEnded(end) => one_line(end.reason.as_deref()?),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// The step of a plan that is under way, else the first one; entries are `status text`.
fn step(entries: &[String]) -> Option<&str> {
    let under_way = entries.iter().find_map(|e| e.strip_prefix("in_progress "));
    under_way.or_else(|| entries.first().map(|e| e.split_once(' ').map_or(e.as_str(), |(_, text)| text)))
}
