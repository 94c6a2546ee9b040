//! What the orchestrator is told: reports that wake it, and notices of akkd itself.
//!
//! A notice is a row of the outbox with an id `ntc-…`, never a message: it changes no status.

use crate::conversation::Conversation;
use crate::effect::Effect;
use crate::{permission, redact};
use akk_proto::conversation::BudgetLevel;
use akk_proto::delivery::{DeliveryBody, PermissionNotice, SinkKind};
use akk_proto::message::{Message, MessageType};
use akk_proto::permission::PermissionRequested;
use akk_proto::{DeliveryId, MessageId, Timestamp};
use uuid::Uuid;

/// Queues the delivery of a report, if it wakes the orchestrator.
pub(crate) fn message(state: &Conversation, m: &Message, effects: &mut Vec<Effect>) {
    let wakes = match m.kind {
        MessageType::Question | MessageType::Blocked | MessageType::Done | MessageType::Error => true,
        MessageType::Progress => m.requires_response || state.settings.deliver_progress,
        MessageType::Task | MessageType::Answer | MessageType::Control => false,
    };
    if wakes {
        let needs_answer = m.requires_response || matches!(m.kind, MessageType::Blocked | MessageType::Question);
        let body = row(state, m.id.clone(), m.kind.as_str(), needs_answer, m.round, m.ts, m.body.clone());
        push(state, body, effects);
    }
}

/// The turn ended without a word that settles it, or nothing was heard for too long.
pub(crate) fn stalled(state: &Conversation, ts: Timestamp, reason: &str, effects: &mut Vec<Effect>) {
    let open = if state.open_turn.is_some() { " Its turn is still open and a late report still counts." } else { "" };
    let text = format!(
        "The task stalled: {reason}.{open} The conversation can still be used: send a message to try again, or close it."
    );
    notice(state, ts, "stalled", true, &text, effects);
}

/// The agent session is gone.
pub(crate) fn needs_recovery(state: &Conversation, ts: Timestamp, reason: &str, effects: &mut Vec<Effect>) {
    let text = format!(
        "The agent session is gone: {reason}. Recover it (a fresh session gets a replay of this conversation), close \
         it, or delegate anew."
    );
    notice(state, ts, "needs_recovery", true, &text, effects);
}

/// The agent refused the model.
pub(crate) fn needs_model_selection(
    state: &Conversation,
    ts: Timestamp,
    attempted: Option<&str>,
    available: &[String],
    reason: &str,
    effects: &mut Vec<Effect>,
) {
    let model = attempted.map_or_else(|| "its model".to_owned(), |m| format!("the model {m}"));
    let choice = if available.is_empty() { String::new() } else { format!(" Available: {}.", available.join(", ")) };
    let text = format!("The agent refused {model}: {reason}.{choice} Send again with another model.");
    notice(state, ts, "model_selection", true, &text, effects);
}

/// The agent asks for a permission.
pub(crate) fn permission(
    state: &Conversation,
    ts: Timestamp,
    requested: &PermissionRequested,
    effects: &mut Vec<Effect>,
) {
    let PermissionRequested { nonce, deadline, request } = requested;
    let cut = if request.truncated { "\n(The agent said more than is shown here.)" } else { "" };
    let choices = permission::answers(&request.options);
    let answers: Vec<_> = choices
        .iter()
        .map(|choice| match choice.name.as_str() {
            "" => choice.answer.to_string(),
            name => format!("{} ({name})", choice.answer),
        })
        .collect();
    let until = deadline.map_or_else(
        || "The agent waits until somebody answers.".to_owned(),
        |at| format!("Without an answer it is refused at {at}."),
    );
    let text = format!(
        "Request {nonce}: {}\n\n{}{cut}\n\nPossible answers: {}. {until}",
        request.title,
        request.text,
        answers.join(", ")
    );
    let body = noticed(state, ts, "permission", true, &text);
    let permission = PermissionNotice {
        nonce: nonce.clone(),
        title: request.title.clone(),
        text: request.text.clone(),
        truncated: request.truncated,
        decisions: choices.iter().map(|choice| choice.answer).collect(),
        deadline: *deadline,
    };
    push(state, DeliveryBody { permission: Some(permission), ..body }, effects);
}

/// The budget of rounds is used up.
pub(crate) fn budget(state: &Conversation, ts: Timestamp, level: BudgetLevel, effects: &mut Vec<Effect>) {
    let used = state.rounds_used;
    let text = match level {
        BudgetLevel::HardStop => format!(
            "The hard limit is reached: {used} of {} rounds are used. The turn is stopped. Send with a higher hard \
             limit to go on.",
            state.settings.hard_limit
        ),
        _ if state.budget_level() == BudgetLevel::HardStop => format!(
            "The last round is used: {used} of {}. Send with a higher hard limit to go on.",
            state.settings.hard_limit
        ),
        _ => format!(
            "The soft limit is reached: {used} of {} rounds are used. Send with a higher soft limit (at most {}) to \
             go on.",
            state.settings.soft_limit, state.settings.hard_limit
        ),
    };
    notice(state, ts, "budget", true, &text, effects);
}

fn notice(state: &Conversation, ts: Timestamp, kind: &str, needs_answer: bool, text: &str, effects: &mut Vec<Effect>) {
    push(state, noticed(state, ts, kind, needs_answer, text), effects);
}

fn noticed(state: &Conversation, ts: Timestamp, kind: &str, needs_answer: bool, text: &str) -> DeliveryBody {
    // The id follows from what is told: the same event applied again makes the same row, and the key is unique.
    let name = format!("{}:{}:{kind}:{}:{text}", state.settings.conversation_id, state.turns, ts.0);
    let id = MessageId::notice(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()));
    row(state, id, kind, needs_answer, state.rounds_used, ts, redact::redact(text))
}

fn push(state: &Conversation, body: DeliveryBody, effects: &mut Vec<Effect>) {
    if state.settings.sink != SinkKind::None {
        effects.push(Effect::Deliver { sink: state.settings.sink, body: Box::new(body) });
    }
}

fn row(
    state: &Conversation,
    message_id: MessageId,
    kind: &str,
    needs_answer: bool,
    round: u32,
    ts: Timestamp,
    text: String,
) -> DeliveryBody {
    let s = &state.settings;
    DeliveryBody {
        key: DeliveryId::of(&s.conversation_id, &message_id),
        conversation_id: s.conversation_id.clone(),
        message_id,
        kind: kind.to_owned(),
        needs_answer,
        agent: s.agent.clone(),
        orchestrator: s.orchestrator.clone(),
        recipient: s.recipient.clone(),
        title: s.label.clone().unwrap_or_else(|| redact::preview(&s.user_request, 80)),
        round,
        asked_at: Some(state.asked_at.unwrap_or(state.created_at)),
        ts,
        text,
        permission: None,
    }
}
