//! What a turn does to a conversation: its begin, its cancelling, its end, and the rounds it used up.

use super::{Refused, impossible};
use crate::conversation::{Conversation, EndedTurn, OpenTurn, Phase, Settled};
use crate::effect::{Effect, StartTurn};
use crate::notice;
use akk_proto::conversation::BudgetLevel;
use akk_proto::event::{EventBody, TurnEnd, TurnOutcome, TurnStart};
use akk_proto::message::MessageType;
use akk_proto::{Timestamp, TurnId};

pub(super) fn turn_started(
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

pub(super) fn cancel_requested(
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

pub(super) fn turn_ended(
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

pub(super) fn budget_level(next: &mut Conversation, ts: Timestamp, level: BudgetLevel, effects: &mut Vec<Effect>) {
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
