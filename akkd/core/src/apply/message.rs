//! What a message does to a conversation: which are refused, who has the ball, what was heard.

use super::{MAX_HEARD, Refused, impossible, origin::may_be_imported};
use crate::conversation::{Conversation, Heard, Phase, QueuedMessage, Settled};
use crate::effect::Effect;
use crate::{notice, redact};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::{EventBody, MessageRecorded, Origin, TurnOutcome};
use akk_proto::message::{Message, MessageType};
use akk_proto::{MessageId, Timestamp};

/// Refuses a message that breaks a rule of routes, bodies or rounds, whoever made it.
fn check_message(state: &Conversation, m: &Message, origin: Origin) -> Result<(), Refused> {
    let route = |text: String| Failure::new(ErrorKind::InvalidRoute, text, "Look at the table of message types.");
    let invalid = |text: String| Failure::new(ErrorKind::InvalidMessage, text, "Look at the rules for messages.");
    let agent = &state.settings.actor;
    if m.conversation_id != state.settings.conversation_id {
        return Err(invalid(format!("the message is for conversation {}", m.conversation_id)));
    }
    if m.from == m.to {
        return Err(route(format!("sender and receiver are both {}", m.from)));
    }
    let to_agent = m.from.is_orchestrator() && m.to == *agent;
    let to_orchestrator = m.to.is_orchestrator() && m.from == *agent;
    if !to_agent && !to_orchestrator {
        return Err(route(format!("{} cannot speak to {} in this conversation", m.from, m.to)));
    }
    if (to_agent && !m.kind.goes_to_agent()) || (to_orchestrator && !m.kind.goes_to_orchestrator()) {
        return Err(route(format!("{} cannot send {} to {}", m.from, m.kind, m.to)));
    }
    let origin_fits = match origin {
        Origin::Sent | Origin::Queued | Origin::Daemon => to_agent,
        Origin::Callback | Origin::Derived => to_orchestrator,
        Origin::Imported => true,
    };
    if !origin_fits {
        return Err(route(format!("a message from {} cannot come that way", m.from)));
    }
    if m.body.trim().is_empty() {
        return Err(invalid("the body is empty".to_owned()));
    }
    let expected = match origin {
        Origin::Queued => 0,
        // The predecessor counted them.
        Origin::Imported => m.round,
        _ => state.rounds_used + u32::from(m.requires_response),
    };
    if m.round != expected {
        return Err(invalid(format!("the round is {}, it must be {expected}", m.round)));
    }
    Ok(())
}

pub(super) fn message(
    next: &mut Conversation,
    ts: Timestamp,
    recorded: &MessageRecorded,
    effects: &mut Vec<Effect>,
) -> Result<(), Refused> {
    let m = &recorded.message;
    check_message(next, m, recorded.origin)?;
    if matches!(recorded.origin, Origin::Sent | Origin::Queued) {
        next.asked_at = Some(ts);
    }
    match recorded.origin {
        Origin::Queued => next.queue.push(QueuedMessage {
            message_id: m.id.clone(),
            kind: m.kind,
            requires_response: m.requires_response,
            said_to: asked(next).cloned(),
        }),
        Origin::Sent | Origin::Daemon => {
            next.rounds_used = next.rounds_used.max(m.round);
            to_agent(next, m.requires_response);
        }
        Origin::Callback | Origin::Derived => {
            next.rounds_used = next.rounds_used.max(m.round);
            hear(next, recorded);
            from_agent(next, ts, m);
            notice::message(next, m, effects);
        }
        // Where all of it leads to is said at its end.
        Origin::Imported => {
            if !may_be_imported(next) {
                let text = "a message of the predecessor cannot come to a conversation of akkd's";
                return Err(Failure::new(
                    ErrorKind::WrongStatus,
                    text,
                    "Import into a conversation that is not there.",
                ));
            }
            if m.from.is_orchestrator() {
                next.asked_at = Some(ts);
            } else if m.kind.settles_turn() {
                next.last_report = Some(m.id.clone());
            }
        }
    }
    Ok(())
}

/// A message to the agent was said: what it repeats after this is new.
fn to_agent(next: &mut Conversation, requires_response: bool) {
    next.heard.iter_mut().for_each(|h| h.content = None);
    if requires_response && !matches!(next.phase, Phase::Cancelling { .. }) {
        next.phase = Phase::WaitingForAgent;
    } else if next.phase == Phase::Created {
        next.phase = Phase::Running;
    }
}

/// What a report does to status and turn.
fn from_agent(next: &mut Conversation, ts: Timestamp, m: &Message) {
    let phase = match m.kind {
        MessageType::Done => Some(Phase::Idle { since: ts }),
        MessageType::Error => Some(Phase::Failed { reason: redact::preview(&m.body, 500), hard_stop: false }),
        MessageType::Blocked => Some(Phase::WaitingForOpenclaw { blocked: true }),
        // Also one that says that it needs no answer: the agent asked, and its turn ends with that.
        MessageType::Question => Some(Phase::WaitingForOpenclaw { blocked: false }),
        _ if m.requires_response => Some(Phase::WaitingForOpenclaw { blocked: false }),
        _ if next.phase == Phase::Created => Some(Phase::Running),
        // Silence was the reason, and it is over: the agent has the ball again.
        _ if matches!(next.phase, Phase::Stalled { .. }) && next.open_turn.is_some() => Some(Phase::WaitingForAgent),
        _ => None,
    };
    let settles = matches!(phase, Some(Phase::Idle { .. } | Phase::Failed { .. } | Phase::WaitingForOpenclaw { .. }));
    if settles {
        let settled = Settled { message_id: m.id.clone(), kind: m.kind };
        next.last_report = Some(m.id.clone());
        if let Some(open) = &mut next.open_turn {
            open.settled_by = Some(settled);
        } else if let Some(last) = &mut next.last_turn {
            last.settled_by = Some(settled);
            last.stalled = false;
            last.outcome = TurnOutcome::Completed;
        }
    }
    next.bootstrapped = true;
    if let Some(phase) = phase
        && !matches!(next.phase, Phase::Cancelling { .. })
    {
        next.phase = phase;
    }
}

pub(super) fn hear(next: &mut Conversation, recorded: &MessageRecorded) {
    let Some(f) = &recorded.fingerprint else { return };
    next.heard.push(Heard {
        message_id: recorded.message.id.clone(),
        named: f.named.clone(),
        attempt: f.attempt.clone(),
        content: Some(f.content.clone()),
    });
    if next.heard.len() > MAX_HEARD {
        next.heard.remove(0);
    }
}

/// Whether a late report tells nothing that the orchestrator was not told: its turn was settled by `done` already.
pub(super) fn is_old_news(state: &Conversation, m: &Message) -> bool {
    m.kind == MessageType::Done
        && state
            .last_turn
            .as_ref()
            .filter(|t| m.turn_id.as_ref().is_none_or(|id| *id == t.turn_id))
            .and_then(|t| t.settled_by.as_ref())
            .is_some_and(|s| s.kind == MessageType::Done)
}

pub(super) fn message_sent(
    next: &mut Conversation,
    id: &MessageId,
    round: u32,
    body: &EventBody,
) -> Result<(), Refused> {
    let Some(first) = next.queue.first().filter(|q| q.message_id == *id) else {
        return Err(impossible(body, "it is not the message that waits longest"));
    };
    let requires_response = first.requires_response;
    if round != next.rounds_used + u32::from(requires_response) {
        return Err(impossible(body, "its round does not follow"));
    }
    next.queue.remove(0);
    next.rounds_used = round;
    to_agent(next, requires_response);
    Ok(())
}

/// The question with which the agent of the open turn handed the ball over.
fn asked(state: &Conversation) -> Option<&MessageId> {
    let settled = state.open_turn.as_ref()?.settled_by.as_ref()?;
    let waits = matches!(state.phase, Phase::WaitingForOpenclaw { .. });
    (waits && settled.kind == MessageType::Question).then_some(&settled.message_id)
}

/// The agent was told what it asked: its turn has not ended with the question after all.
pub(super) fn question_answered(
    next: &mut Conversation,
    question: &MessageId,
    body: &EventBody,
) -> Result<(), Refused> {
    let Some(open) =
        next.open_turn.as_mut().filter(|o| o.settled_by.as_ref().is_some_and(|s| s.message_id == *question))
    else {
        return Err(impossible(body, "the open turn did not ask that"));
    };
    open.settled_by = None;
    next.phase = Phase::WaitingForAgent;
    Ok(())
}
