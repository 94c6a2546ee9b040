//! The only way a conversation changes.
//!
//! `apply` is used for new events and for the replay of recorded ones alike, so that the stored state and the state
//! rebuilt from the history are the same. It refuses what cannot be; [`crate::decide`] chooses what is.

mod message;
mod origin;
mod turn;

use self::message::{hear, is_old_news, message, message_sent, question_answered};
use self::origin::{came_from, came_here, may_be_imported};
use self::turn::{budget_level, cancel_requested, turn_ended, turn_started};
use crate::conversation::{self, Conversation, Phase, TurnProcess};
use crate::effect::Effect;
use crate::{Event, budget, notice, permission};
use akk_proto::conversation::BudgetLevel;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::{Activity, EventBody};

/// Why an event cannot happen to a conversation. Nothing has changed.
pub type Refused = Failure;

/// Repeats of reports that are recognised by id; older ones are forgotten.
pub const MAX_HEARD: usize = 200;
/// Lost sessions that are remembered.
pub const MAX_FORMER_SESSIONS: usize = 20;

/// The conversation that `conversation_created` begins.
///
/// # Errors
/// For any other event.
pub fn begin(event: &Event) -> Result<Conversation, Refused> {
    let EventBody::ConversationCreated(created) = &event.body else {
        return Err(impossible(&event.body, "a conversation begins with conversation_created"));
    };
    budget::check_limits(created.soft_limit, created.hard_limit)?;
    let native_session = created.native_session.clone();
    Ok(Conversation {
        settings: (**created).clone(),
        created_at: event.ts,
        updated_at: event.ts,
        phase: Phase::Created,
        rounds_used: 0,
        announced: BudgetLevel::Normal,
        native_session,
        session_reached: None,
        bootstrapped: false,
        turns: 0,
        open_turn: None,
        last_turn: None,
        queue: Vec::new(),
        heard: Vec::new(),
        last_report: None,
        former_sessions: Vec::new(),
        origin: None,
        asked_at: None,
        imported: None,
    })
}

/// The conversation after `event`, and what the event asks of the outside.
///
/// # Errors
/// [`Refused`] when the event cannot happen to a conversation in this state.
pub fn apply(state: &Conversation, event: &Event) -> Result<(Conversation, Vec<Effect>), Refused> {
    let mut next = state.clone();
    next.updated_at = event.ts.max(state.updated_at);
    let mut effects = Vec::new();
    let body = &event.body;
    if state.phase.is_terminal() && !is_record_only(body) {
        return Err(impossible(body, "the conversation is closed"));
    }
    match body {
        EventBody::ConversationCreated(_) => return Err(impossible(body, "the conversation exists already")),
        EventBody::Message(recorded) => message(&mut next, event.ts, recorded, &mut effects)?,
        EventBody::MessageSent { message_id, round } => message_sent(&mut next, message_id, *round, body)?,
        EventBody::MessagesDropped { message_ids, .. } => next.queue.retain(|q| !message_ids.contains(&q.message_id)),
        EventBody::TurnStarted(start) => turn_started(&mut next, event.ts, start, body, &mut effects)?,
        EventBody::ExecutorSessionEnsure(session) => {
            next.native_session = Some(session.native_session_id.clone());
            next.session_reached = Some(session.how);
        }
        EventBody::ExecutorLaunch { launch_id, pid, command, .. } => {
            if let Some(open) = &mut next.open_turn {
                open.process = Some(TurnProcess { launch_id: launch_id.clone(), pid: *pid, command: command.clone() });
            }
        }
        EventBody::PromptSent { .. } => {
            if let Some(open) = next.open_turn.as_mut().filter(|o| Some(&o.turn_id) == event.turn_id.as_ref()) {
                open.prompted = true;
            }
        }
        EventBody::PermissionRequested(asked) => permission::requested(&mut next, event.ts, asked, body, &mut effects)?,
        EventBody::PermissionSettled(settled) => permission::settled(&mut next, settled, body, &mut effects)?,
        EventBody::PermissionAnswered { nonce } => permission::answered(&mut next, nonce, body)?,
        EventBody::CancelRequested { close_reason } => {
            cancel_requested(&mut next, close_reason.as_ref(), body, &mut effects)?;
        }
        EventBody::TurnEnded(end) => turn_ended(&mut next, event.ts, event.turn_id.as_ref(), end, body)?,
        EventBody::ConversationStalled { reason } => {
            let known = matches!(&state.phase, Phase::Stalled { reason: former } if former == reason);
            next.phase = Phase::Stalled { reason: reason.clone() };
            if next.open_turn.is_none()
                && let Some(last) = &mut next.last_turn
            {
                last.stalled = true;
            }
            if !known {
                notice::stalled(&next, event.ts, reason, &mut effects);
            }
        }
        EventBody::ConversationNeedsRecovery { reason, pending_message } => {
            next.phase = Phase::NeedsRecovery { reason: reason.clone(), pending: pending_message.clone() };
            notice::needs_recovery(&next, event.ts, reason, &mut effects);
        }
        EventBody::ConversationNeedsModelSelection { attempted, available, reason, pending_message } => {
            next.phase = Phase::NeedsModelSelection {
                attempted: attempted.clone(),
                available: available.clone(),
                reason: reason.clone(),
                pending: pending_message.clone(),
            };
            notice::needs_model_selection(&next, event.ts, attempted.as_deref(), available, reason, &mut effects);
        }
        EventBody::RecoveryStarted { former_session, session, .. } => {
            next.former_sessions.push(former_session.clone());
            if next.former_sessions.len() > MAX_FORMER_SESSIONS {
                next.former_sessions.remove(0);
            }
            session.clone_into(&mut next.settings.session);
            next.native_session = None;
            next.session_reached = None;
            next.bootstrapped = false;
            effects.push(Effect::ReleaseAgent { reason: "recovery".to_owned() });
            effects.push(Effect::RevokeTickets);
        }
        EventBody::ConversationClosed { reason, cancelled } => {
            if next.open_turn.is_some() {
                return Err(impossible(body, "its turn is still open"));
            }
            let reason = reason.clone();
            next.queue.clear();
            next.phase = if *cancelled {
                Phase::Cancelled { at: event.ts, reason }
            } else {
                Phase::Closed { at: event.ts, reason }
            };
            effects.push(Effect::ReleaseAgent { reason: "conversation closed".to_owned() });
            effects.push(Effect::RevokeTickets);
        }
        EventBody::BudgetLevel { level } => budget_level(&mut next, event.ts, *level, &mut effects),
        EventBody::LimitsChanged { soft_limit, hard_limit } => {
            budget::check_limits(*soft_limit, *hard_limit)?;
            next.settings.soft_limit = *soft_limit;
            next.settings.hard_limit = *hard_limit;
            // With new limits a level that was announced before can be reached again.
            next.announced = next.announced.min(next.budget_level());
        }
        EventBody::ModelSelected { model } => next.settings.model = Some(model.clone()),
        EventBody::LateCallback(recorded) => {
            hear(&mut next, recorded);
            if !next.phase.is_terminal() && !is_old_news(state, &recorded.message) {
                notice::message(&next, &recorded.message, &mut effects);
            }
        }
        EventBody::QuestionAnswered { question, .. } => question_answered(&mut next, question, body)?,
        EventBody::NativeSessionAttached(attachment) => {
            let attachment = attachment.clone();
            came_from(&mut next, event.ts, conversation::Origin::Attached { attachment, needs_bootstrap: true }, body)?;
        }
        EventBody::NativeSessionForked(fork) => {
            let fork = fork.clone();
            came_from(&mut next, event.ts, conversation::Origin::Forked { fork, needs_bootstrap: true }, body)?;
        }
        EventBody::NativeSessionBootstrapped => match &mut next.origin {
            Some(conversation::Origin::Attached { needs_bootstrap, .. }) if next.bootstrapped => {
                *needs_bootstrap = false;
            }
            _ => return Err(impossible(body, "no attached session has taken a prompt")),
        },
        EventBody::ForkSessionBootstrapped => match &mut next.origin {
            Some(conversation::Origin::Forked { needs_bootstrap, .. }) if next.bootstrapped => *needs_bootstrap = false,
            _ => return Err(impossible(body, "no forked session has taken a prompt")),
        },
        EventBody::ConversationImported(imported) => came_here(&mut next, imported, body)?,
        EventBody::PredecessorEvent { .. } if !may_be_imported(state) => {
            return Err(impossible(body, "the conversation is akkd's already"));
        }
        EventBody::AgentActivity(Activity::Permission { title, decision, .. }) if decision == "refused" => {
            if let Some(open) = next.open_turn.as_mut().filter(|o| Some(&o.turn_id) == event.turn_id.as_ref()) {
                open.refused = Some(title.clone());
            }
        }
        EventBody::ExecutorReadopted { .. }
        | EventBody::ExecutorExit { .. }
        | EventBody::ExecutorCancelRequested { .. }
        | EventBody::AgentActivity(_)
        | EventBody::DuplicateCallback { .. }
        | EventBody::DropRefused { .. }
        | EventBody::PredecessorEvent { .. }
        | EventBody::DeliveryAttempt { .. }
        | EventBody::DeliveryAccepted { .. }
        | EventBody::DeliveryParked { .. }
        | EventBody::DeliveryOverdue { .. } => {}
    }
    Ok((next, effects))
}

/// Events that a closed conversation still takes: they change no status.
fn is_record_only(body: &EventBody) -> bool {
    matches!(
        body,
        EventBody::LateCallback(_)
            | EventBody::DuplicateCallback { .. }
            | EventBody::DropRefused { .. }
            | EventBody::ExecutorExit { .. }
            | EventBody::ExecutorReadopted { .. }
            | EventBody::ExecutorCancelRequested { .. }
            | EventBody::AgentActivity(_)
            | EventBody::DeliveryAttempt { .. }
            | EventBody::DeliveryAccepted { .. }
            | EventBody::DeliveryParked { .. }
            | EventBody::DeliveryOverdue { .. }
    )
}

pub(crate) fn impossible(body: &EventBody, why: &str) -> Refused {
    Failure::new(ErrorKind::WrongStatus, format!("{} cannot happen: {why}", body.name()), "Look at its status first.")
}
