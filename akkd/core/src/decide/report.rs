//! What an agent reports, on whatever way it came.

use super::permission::settle_all;
use super::{Draft, Report};
use crate::apply::Refused;
use crate::conversation::{Conversation, Phase};
use crate::intake;
use akk_proto::conversation::BudgetLevel;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::{EventBody, Fingerprint, MessageRecorded, Origin};
use akk_proto::limits::MAX_UNDELIVERED;
use akk_proto::message::{Actor, Message, MessageType};
use akk_proto::permission::SettledBy;
use akk_proto::{MessageId, TurnId};

/// The first report that this one repeats. The same id counts only with equal content, over the whole history that is
/// remembered; equal content without an id counts back to the last message to the agent.
pub fn is_duplicate(state: &Conversation, f: &Fingerprint) -> Option<MessageId> {
    let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
    state
        .heard
        .iter()
        .find(|h| {
            same(&h.named, &f.named)
                || same(&h.attempt, &f.attempt)
                || (f.named.is_none() && h.named.is_none() && h.content.as_deref() == Some(f.content.as_str()))
        })
        .map(|h| h.message_id.clone())
}

/// Where a report belongs.
enum Place {
    /// To the open turn, or to the turn with which the conversation stalled.
    Turn(TurnId),
    /// Its turn is over.
    Late(Option<TurnId>),
}

fn place(state: &Conversation, named: Option<&TurnId>) -> Result<Place, Refused> {
    if let Some(turn) = named
        && turn.ordinal() > state.turns
    {
        return Err(Failure::new(
            ErrorKind::InvalidMessage,
            format!("{turn} does not exist in this conversation"),
            "Name the turn that the prompt named, or none.",
        ));
    }
    if let Some(open) = &state.open_turn
        && named.is_none_or(|t| *t == open.turn_id)
    {
        return Ok(Place::Turn(open.turn_id.clone()));
    }
    if let Some(last) = &state.last_turn
        && state.open_turn.is_none()
        && last.stalled
        && matches!(state.phase, Phase::Stalled { .. })
        && named.is_none_or(|t| *t == last.turn_id)
    {
        return Ok(Place::Turn(last.turn_id.clone()));
    }
    let turn = named.cloned().or_else(|| state.last_turn.as_ref().map(|t| t.turn_id.clone()));
    Ok(Place::Late(turn))
}

pub(super) fn report(draft: &mut Draft<'_>, input: &Report) -> Result<(), Refused> {
    let settings = &draft.state.settings;
    let agent = settings.actor.clone();
    intake::check_report_route(&input.report, &settings.conversation_id, &agent)?;
    let fingerprint = intake::fingerprint(&input.report, &agent, &Actor::orchestrator(), input.attempt_id.as_deref());
    if let Some(first) = is_duplicate(&draft.state, &fingerprint) {
        draft.said.duplicate = true;
        draft.said.message_id = Some(first.clone());
        return draft.record(input.turn_id.clone(), EventBody::DuplicateCallback { message_id: first });
    }
    if input.undelivered >= MAX_UNDELIVERED && input.report.kind != MessageType::Progress {
        return Err(Failure::new(
            ErrorKind::TooLarge,
            format!("{MAX_UNDELIVERED} messages of this conversation wait for the orchestrator"),
            "Stop reporting until the orchestrator has read them.",
        ));
    }
    let place = place(&draft.state, input.turn_id.as_ref())?;
    let closed = draft.state.phase.is_terminal();
    match place {
        Place::Turn(turn) if !closed => {
            let message = reported(draft, &input.report, Some(turn), true);
            take_in(draft, message, Origin::Callback, Some(fingerprint))?;
            draft.move_on()
        }
        Place::Turn(_) | Place::Late(_) => {
            let turn = match place {
                Place::Turn(turn) => Some(turn),
                Place::Late(turn) => turn,
            };
            let message = reported(draft, &input.report, turn.clone(), false);
            draft.said.message_id = Some(message.id.clone());
            draft.said.late = true;
            draft.said.was_closed = closed;
            let recorded = MessageRecorded { message, origin: Origin::Callback, fingerprint: Some(fingerprint) };
            draft.record(turn, EventBody::LateCallback(Box::new(recorded)))
        }
    }
}

/// The message that a report becomes.
pub(super) fn reported(
    draft: &mut Draft<'_>,
    report: &intake::Report,
    turn_id: Option<TurnId>,
    counts: bool,
) -> Message {
    let round = draft.state.rounds_used + u32::from(counts && report.requires_response);
    let mut message = draft.message(report.kind, &report.body, report.requires_response, round);
    std::mem::swap(&mut message.from, &mut message.to);
    message.turn_id = turn_id;
    // What the agent gave must not replace what akkd knows.
    for (key, value) in &report.metadata {
        message.metadata.entry(key.clone()).or_insert_with(|| value.clone());
    }
    message
}

/// Records a report of the turn that it belongs to, with what follows from it for budget and queue.
pub(super) fn take_in(
    draft: &mut Draft<'_>,
    message: Message,
    origin: Origin,
    fingerprint: Option<Fingerprint>,
) -> Result<(), Refused> {
    draft.said.message_id = Some(message.id.clone());
    let (turn_id, kind) = (message.turn_id.clone(), message.kind);
    let exceeds = message.requires_response && draft.state.rounds_used >= draft.state.settings.hard_limit;
    draft.record_message(message, origin, fingerprint)?;
    if exceeds {
        draft.record(turn_id, EventBody::BudgetLevel { level: BudgetLevel::HardStop })?;
        settle_all(draft, SettledBy::Cancel, |_| true)?;
        draft.drop_queue("the hard limit of rounds is used up")
    } else if kind == MessageType::Error {
        draft.drop_queue("the agent reported an error")
    } else {
        Ok(())
    }
}
