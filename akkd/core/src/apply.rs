//! The only way a conversation changes.
//!
//! `apply` is used for new events and for the replay of recorded ones alike, so that the stored state and the state
//! rebuilt from the history are the same. It refuses what cannot be; [`crate::decide`] chooses what is.

use crate::conversation::{self, Conversation, EndedTurn, Heard, OpenTurn, Phase, QueuedMessage, Settled, TurnProcess};
use crate::effect::{Effect, StartTurn};
use crate::{Event, budget, notice, permission, redact};
use akk_proto::conversation::BudgetLevel;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::{Activity, EventBody, MessageRecorded, Origin, TurnEnd, TurnOutcome, TurnStart};
use akk_proto::import::{Imported, Standing};
use akk_proto::message::{Message, MessageType};
use akk_proto::{MessageId, Timestamp, TurnId};

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

fn message(
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

/// Whether the predecessor's history may still come: nothing has happened here.
fn may_be_imported(state: &Conversation) -> bool {
    state.phase == Phase::Created && state.imported.is_none() && state.turns == 0 && state.origin.is_none()
}

/// The predecessor's history is told: where the conversation stands.
fn came_here(next: &mut Conversation, imported: &Imported, body: &EventBody) -> Result<(), Refused> {
    if !may_be_imported(next) {
        return Err(impossible(body, "the conversation is akkd's already"));
    }
    next.phase = match imported.standing.clone() {
        Standing::Created => Phase::Created,
        Standing::WaitingForOpenclaw { blocked } => Phase::WaitingForOpenclaw { blocked },
        Standing::Idle => Phase::Idle { since: imported.imported_at },
        Standing::Stalled { reason } => Phase::Stalled { reason },
        Standing::NeedsRecovery { reason, pending } => Phase::NeedsRecovery { reason, pending },
        Standing::NeedsModelSelection { attempted, available, reason, pending } => {
            Phase::NeedsModelSelection { attempted, available, reason, pending }
        }
        Standing::Failed { reason, hard_stop } => Phase::Failed { reason, hard_stop },
        Standing::Cancelled { at, reason } => Phase::Cancelled { at, reason },
        Standing::Closed { at, reason } => Phase::Closed { at, reason },
    };
    next.rounds_used = imported.rounds_used;
    next.announced = next.budget_level();
    next.imported = Some(Box::new(imported.clone()));
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

/// A conversation that begins with a native session: nothing was said yet, and it is ready to be used.
fn came_from(
    next: &mut Conversation,
    ts: Timestamp,
    origin: conversation::Origin,
    body: &EventBody,
) -> Result<(), Refused> {
    if next.phase != Phase::Created || next.origin.is_some() {
        return Err(impossible(body, "the conversation has begun already"));
    }
    if let conversation::Origin::Attached { attachment, .. } = &origin
        && next.native_session.as_ref() != Some(&attachment.session_id)
    {
        return Err(impossible(body, "the conversation was made for another session"));
    }
    next.origin = Some(origin);
    next.phase = Phase::Idle { since: ts };
    Ok(())
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

fn hear(next: &mut Conversation, recorded: &MessageRecorded) {
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
fn is_old_news(state: &Conversation, m: &Message) -> bool {
    m.kind == MessageType::Done
        && state
            .last_turn
            .as_ref()
            .filter(|t| m.turn_id.as_ref().is_none_or(|id| *id == t.turn_id))
            .and_then(|t| t.settled_by.as_ref())
            .is_some_and(|s| s.kind == MessageType::Done)
}

fn message_sent(next: &mut Conversation, id: &MessageId, round: u32, body: &EventBody) -> Result<(), Refused> {
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
fn question_answered(next: &mut Conversation, question: &MessageId, body: &EventBody) -> Result<(), Refused> {
    let Some(open) =
        next.open_turn.as_mut().filter(|o| o.settled_by.as_ref().is_some_and(|s| s.message_id == *question))
    else {
        return Err(impossible(body, "the open turn did not ask that"));
    };
    open.settled_by = None;
    next.phase = Phase::WaitingForAgent;
    Ok(())
}

fn turn_started(
    next: &mut Conversation,
    ts: Timestamp,
    start: &TurnStart,
    body: &EventBody,
    effects: &mut Vec<Effect>,
) -> Result<(), Refused> {
    if next.open_turn.is_some() {
        return Err(impossible(body, "another turn is open"));
    }
    if matches!(next.phase, Phase::Cancelling { .. }) {
        return Err(impossible(body, "the conversation is being cancelled"));
    }
    if start.turn_id != TurnId::nth(next.turns + 1) {
        return Err(impossible(body, "its number does not follow"));
    }
    next.turns += 1;
    // The same words in a later turn are a new report, also when the turn repeats a message that was sent before.
    next.heard.iter_mut().for_each(|h| h.content = None);
    next.session_reached = None;
    next.open_turn = Some(OpenTurn {
        turn_id: start.turn_id.clone(),
        started_at: ts,
        message_id: start.message_id.clone(),
        replay: start.prompt == akk_proto::event::PromptKind::Replay,
        prompted: false,
        settled_by: None,
        process: None,
        permissions: Vec::new(),
        refused: None,
    });
    // The agent has the ball, also when the message that it got needs no answer.
    next.phase = Phase::WaitingForAgent;
    effects.push(Effect::StartTurn(StartTurn {
        turn_id: start.turn_id.clone(),
        prompt: start.prompt,
        message_id: start.message_id.clone(),
        controls: start.controls.clone(),
    }));
    Ok(())
}

fn cancel_requested(
    next: &mut Conversation,
    close_reason: Option<&String>,
    body: &EventBody,
    effects: &mut Vec<Effect>,
) -> Result<(), Refused> {
    let Some(open) = &next.open_turn else {
        return Err(impossible(body, "no turn is open"));
    };
    effects.push(Effect::CancelTurn { turn_id: open.turn_id.clone() });
    // A close that follows a cancel makes it a close; a cancel that follows a close does not take it back.
    let before = match &next.phase {
        Phase::Cancelling { close_reason } => close_reason.clone(),
        _ => None,
    };
    next.phase = Phase::Cancelling { close_reason: before.or_else(|| close_reason.cloned()) };
    Ok(())
}

fn turn_ended(
    next: &mut Conversation,
    ts: Timestamp,
    turn_id: Option<&TurnId>,
    end: &TurnEnd,
    body: &EventBody,
) -> Result<(), Refused> {
    if next.open_turn.as_ref().map(|o| &o.turn_id) != turn_id {
        return Err(impossible(body, "that turn is not open"));
    }
    let Some(open) = next.open_turn.take() else {
        return Err(impossible(body, "no turn is open"));
    };
    // An agent that worked has read its prompt, whether or not the word of its writing came first.
    let cancelled = open.prompted && end.outcome == TurnOutcome::Cancelled;
    next.bootstrapped |= end.activity_seen || end.outcome == TurnOutcome::Completed || cancelled;
    // A cancelled turn leaves a conversation that can be used again; a close follows as an event of its own.
    if matches!(next.phase, Phase::Cancelling { close_reason: None }) {
        next.phase = match (&open.settled_by, end.reason.as_deref()) {
            (Some(Settled { kind: MessageType::Error, .. }), reason) => {
                Phase::Failed { reason: reason.unwrap_or("the agent reported an error").to_owned(), hard_stop: false }
            }
            _ => Phase::Idle { since: ts },
        };
    }
    next.last_turn = Some(EndedTurn {
        turn_id: open.turn_id,
        started_at: open.started_at,
        ended_at: ts,
        outcome: end.outcome,
        reason: end.reason.clone(),
        message_id: open.message_id,
        settled_by: open.settled_by,
        stalled: false,
    });
    Ok(())
}

fn budget_level(next: &mut Conversation, ts: Timestamp, level: BudgetLevel, effects: &mut Vec<Effect>) {
    match level {
        BudgetLevel::Normal | BudgetLevel::Converge | BudgetLevel::Warning => next.announced = level,
        BudgetLevel::SoftStop => notice::budget(next, ts, level, effects),
        BudgetLevel::HardStop => {
            let reason = format!("the hard limit of {} rounds is used up", next.settings.hard_limit);
            if let Some(open) = &next.open_turn {
                effects.push(Effect::CancelTurn { turn_id: open.turn_id.clone() });
            }
            if !matches!(next.phase, Phase::Cancelling { .. }) {
                next.phase = Phase::Failed { reason, hard_stop: true };
            }
            notice::budget(next, ts, level, effects);
        }
    }
}
