//! What the orchestrator, or a deadline, asks for.

use super::permission::settle_all;
use super::{Draft, Send, check_body};
use crate::apply::Refused;
use crate::budget;
use crate::conversation::Phase;
use akk_proto::conversation::{BudgetLevel, Status};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::{EventBody, PromptKind};
use akk_proto::limits::MAX_QUEUED_MESSAGES;
use akk_proto::message::MessageType;
use akk_proto::permission::SettledBy;

pub(super) fn wrong_status(status: Status, what: &str, hint: &str) -> Refused {
    Failure::new(ErrorKind::WrongStatus, format!("the conversation is {status}: {what}"), hint)
        .with("status", status.as_str())
}

pub(super) fn send(draft: &mut Draft<'_>, send: &Send) -> Result<(), Refused> {
    check_status(draft, send)?;
    if let Some(kind) = send.kind.filter(|k| !k.goes_to_agent()) {
        return Err(Failure::new(
            ErrorKind::InvalidRoute,
            format!("the orchestrator cannot send {kind} to an agent"),
            "Use task, answer, control or error.",
        ));
    }
    match &send.message {
        Some(text) => check_body(text)?,
        None if send.model.is_some() && matches!(draft.state.phase, Phase::NeedsModelSelection { .. }) => {}
        None => {
            return Err(Failure::new(
                ErrorKind::InvalidMessage,
                "the message is empty",
                "Only a conversation that needs a model takes a send with a model and no message.",
            ));
        }
    }
    change_limits(draft, send)?;
    let kind = send.kind.unwrap_or(match draft.state.phase {
        Phase::WaitingForOpenclaw { .. } => MessageType::Answer,
        _ => MessageType::Task,
    });
    if send.message.is_some() {
        check_budget(draft)?;
    }
    if let Some(model) = send.model.as_ref().filter(|m| draft.state.settings.model.as_ref() != Some(*m)) {
        draft.record(None, EventBody::ModelSelected { model: model.clone() })?;
    }
    if send.cancel_first && draft.state.open_turn.is_some() {
        draft.drop_queue("cancelled")?;
        ask_to_stop(draft, None)?;
    }
    if draft.state.queue.len() >= MAX_QUEUED_MESSAGES {
        return Err(Failure::new(
            ErrorKind::TooLarge,
            format!("{MAX_QUEUED_MESSAGES} messages wait already"),
            "Wait for the open turn to end, or cancel it.",
        ));
    }
    match draft.state.phase.clone() {
        // The refused message was never worked on: it goes first, what is said now goes behind it.
        Phase::NeedsModelSelection { pending, .. } => {
            draft.said.message_id = Some(pending.clone());
            draft.start_turn(pending)?;
            match &send.message {
                Some(text) => draft.say_to_agent(kind, text, true),
                None => Ok(()),
            }
        }
        // What waited when the conversation stalled goes first.
        Phase::Stalled { .. } if draft.state.open_turn.is_none() && !draft.state.queue.is_empty() => {
            draft.say_to_agent(kind, send.message.as_deref().unwrap_or_default(), true)?;
            let first = draft.state.queue.first().cloned();
            first.map_or(Ok(()), |q| draft.send_waiting(&q.message_id, q.requires_response))
        }
        _ => draft.say_to_agent(kind, send.message.as_deref().unwrap_or_default(), false),
    }
}

fn check_status(draft: &Draft<'_>, send: &Send) -> Result<(), Refused> {
    let status = draft.state.status();
    match &draft.state.phase {
        Phase::Cancelled { .. } | Phase::Closed { .. } => {
            let hint = match draft.state.attachment() {
                Some(_) => "Take its session over again (`akkctl sessions`), or delegate a new task.",
                None => "Delegate a new task.",
            };
            Err(wrong_status(status, "it takes no more messages", hint))
        }
        Phase::Cancelling { .. } => {
            Err(wrong_status(status, "its turn is being stopped", "Wait until the turn has ended, then send again."))
        }
        Phase::NeedsRecovery { .. } => Err(wrong_status(
            status,
            "its agent session is gone",
            "Recover it (a fresh session with a replay), close it, or delegate anew.",
        )),
        Phase::NeedsModelSelection { available, .. } if send.model.is_none() => {
            let names =
                if available.is_empty() { String::new() } else { format!(" Available: {}.", available.join(", ")) };
            Err(wrong_status(status, "the agent refused its model", &format!("Send again with a model.{names}")))
        }
        Phase::Stalled { .. } if draft.state.open_turn.is_some() && !send.cancel_first => Err(Failure::new(
            ErrorKind::TurnStillOpen,
            "the conversation is stalled and its turn is still open",
            "Wait for it, cancel it, or send with cancel_first to stop the turn and try again.",
        )),
        _ => Ok(()),
    }
}

fn change_limits(draft: &mut Draft<'_>, send: &Send) -> Result<(), Refused> {
    if send.soft_limit.is_none() && send.hard_limit.is_none() {
        return Ok(());
    }
    let s = &draft.state.settings;
    let soft_limit = send.soft_limit.unwrap_or(s.soft_limit);
    let hard_limit = send.hard_limit.unwrap_or(s.hard_limit);
    budget::check_limits(soft_limit, hard_limit)?;
    draft.record(None, EventBody::LimitsChanged { soft_limit, hard_limit })
}

/// Whether one more round fits, those counted that wait. Past a limit nothing is sent, also what opens no round: it
/// would start a turn.
fn check_budget(draft: &Draft<'_>) -> Result<(), Refused> {
    let state = &draft.state;
    let waiting = state.queue.iter().filter(|q| q.requires_response).count() as u32;
    let used = state.rounds_used.saturating_add(waiting);
    let (soft, hard) = (state.settings.soft_limit, state.settings.hard_limit);
    let level = budget::level(used, soft, hard);
    let refuse = |limit: &str, value: u32, hint: String| {
        Err(Failure::new(
            ErrorKind::BudgetExhausted,
            format!("{used} of {value} rounds are used ({limit} limit)"),
            hint,
        )
        .with("used", used)
        .with("soft_limit", soft)
        .with("hard_limit", hard))
    };
    match level {
        BudgetLevel::HardStop => {
            refuse("hard", hard, format!("Send with a hard limit above {used} (and a soft limit above {used})."))
        }
        BudgetLevel::SoftStop => refuse("soft", soft, format!("Send with a soft limit above {used}, at most {hard}.")),
        _ => Ok(()),
    }
}

pub(super) fn recover(draft: &mut Draft<'_>, session: &str) -> Result<(), Refused> {
    let status = draft.state.status();
    let pending = match &draft.state.phase {
        Phase::NeedsRecovery { pending, .. } => Some(pending.clone()),
        Phase::Stalled { .. } if draft.state.open_turn.is_some() => {
            return Err(Failure::new(
                ErrorKind::TurnStillOpen,
                "the conversation is stalled and its turn is still open",
                "Cancel the turn first, then recover.",
            ));
        }
        Phase::Stalled { .. } => {
            let imported = draft.state.imported.as_ref().and_then(|i| i.last_task.clone());
            draft.state.last_turn.as_ref().map(|t| t.message_id.clone()).or(imported)
        }
        _ => None,
    };
    let Some(pending) = pending else {
        return Err(wrong_status(
            status,
            "there is nothing to recover",
            "Only needs_recovery and stalled can be recovered.",
        ));
    };
    draft.said.message_id = Some(pending.clone());
    let former_session = draft.state.settings.session.clone();
    let reason = "asked for".to_owned();
    draft.record(
        None,
        EventBody::RecoveryStarted { automatic: false, former_session, session: session.to_owned(), reason },
    )?;
    draft.start_turn_as(pending, PromptKind::Replay)
}

pub(super) fn cancel(draft: &mut Draft<'_>) -> Result<(), Refused> {
    if draft.state.phase.is_terminal() {
        return Err(wrong_status(draft.state.status(), "there is nothing to cancel", "Delegate a new task."));
    }
    if matches!(draft.state.phase, Phase::Cancelling { .. }) {
        return Ok(());
    }
    draft.drop_queue("cancelled")?;
    if draft.state.open_turn.is_some() {
        return ask_to_stop(draft, None);
    }
    draft.said.nothing_to_cancel = true;
    Ok(())
}

/// The open turn is to be stopped, and nobody needs to answer its permission requests any more.
fn ask_to_stop(draft: &mut Draft<'_>, close_reason: Option<String>) -> Result<(), Refused> {
    draft.record(draft.open_turn_id(), EventBody::CancelRequested { close_reason })?;
    settle_all(draft, SettledBy::Cancel, |_| true)
}

pub(super) fn close(draft: &mut Draft<'_>, reason: &str) -> Result<(), Refused> {
    if draft.state.phase.is_terminal() {
        draft.said.nothing_to_cancel = true;
        return Ok(());
    }
    draft.drop_queue("closed")?;
    match draft.open_turn_id() {
        None => {
            draft.said.nothing_to_cancel = true;
            draft.record(None, EventBody::ConversationClosed { reason: reason.to_owned(), cancelled: false })
        }
        Some(_) if matches!(draft.state.phase, Phase::Cancelling { close_reason: Some(_) }) => Ok(()),
        Some(_) => ask_to_stop(draft, Some(reason.to_owned())),
    }
}

pub(super) fn idle_timeout(draft: &mut Draft<'_>) -> Result<(), Refused> {
    let due = draft.state.idle_deadline().is_some_and(|d| d <= draft.given.now);
    if !due {
        // It became busy, or busy and idle again, since the timer was set.
        return Ok(());
    }
    let reason = format!("idle timeout after {} minutes", draft.state.settings.idle_timeout_minutes);
    draft.record(None, EventBody::ConversationClosed { reason, cancelled: false })
}
