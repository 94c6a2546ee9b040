//! What an executor learned: the supervision table.

use super::Draft;
use super::permission::{self, settle_all};
use super::report::{reported, take_in};
use crate::apply::Refused;
use crate::conversation::{OpenTurn, Phase};
use crate::effect::Effect;
use crate::input::{Ended, ExecutorReport, How};
use crate::intake;
use crate::redact::cut;
use akk_proto::TurnId;
use akk_proto::conversation::RecoveryPolicy;
use akk_proto::event::{EventBody, Origin, PromptKind, SessionReached, TurnEnd, TurnOutcome};
use akk_proto::message::MessageType;
use akk_proto::permission::SettledBy;
use serde_json::Value;

pub(super) fn executor(draft: &mut Draft<'_>, report: &ExecutorReport, spare_session: &str) -> Result<(), Refused> {
    let open = draft.open_turn_id();
    let is_open = |turn_id: &TurnId| open.as_ref() == Some(turn_id);
    let body = match report {
        ExecutorReport::TurnEnded { turn_id, ended } if is_open(turn_id) => {
            return turn_ended(draft, &bounded(ended), spare_session);
        }
        ExecutorReport::Inactive { turn_id, minutes } if is_open(turn_id) => return inactive(draft, *minutes),
        // Said once more, or of a turn that is over: nothing changes.
        ExecutorReport::TurnEnded { .. } | ExecutorReport::Inactive { .. } => return Ok(()),
        // A closed conversation keeps its state; an agent that is on its way out changes nothing.
        ExecutorReport::Launched { .. } | ExecutorReport::SessionReady(_) | ExecutorReport::PromptSent { .. }
            if draft.state.phase.is_terminal() =>
        {
            return Ok(());
        }
        ExecutorReport::Launched { launch_id, transport, pid, command } => {
            // What another process asked is asked no more.
            settle_all(draft, SettledBy::AgentGone, |p| p.requested.request.launch_id != *launch_id)?;
            EventBody::ExecutorLaunch {
                launch_id: launch_id.clone(),
                transport: *transport,
                pid: *pid,
                command: command.clone(),
            }
        }
        ExecutorReport::SessionReady(session) => EventBody::ExecutorSessionEnsure(session.clone()),
        ExecutorReport::PromptSent { turn_id, bytes } => {
            return draft.record(Some(turn_id.clone()), EventBody::PromptSent { bytes: *bytes });
        }
        ExecutorReport::Activity { turn_id, activity } => {
            return draft.record(Some(turn_id.clone()), EventBody::AgentActivity(activity.clone()));
        }
        ExecutorReport::PermissionAsked { turn_id, request } => return permission::asked(draft, turn_id, request),
        ExecutorReport::PermissionWithdrawn { turn_id, launch_id, request } => {
            return permission::withdrawn(draft, turn_id, launch_id, request);
        }
        ExecutorReport::PermissionAnswered { turn_id, launch_id, request } => {
            return permission::answered(draft, turn_id, launch_id, request);
        }
        ExecutorReport::Readopted { launch_id, pid } => {
            EventBody::ExecutorReadopted { launch_id: launch_id.clone(), pid: *pid }
        }
        ExecutorReport::CancelStep { turn_id, step } => {
            return draft.record(Some(turn_id.clone()), EventBody::ExecutorCancelRequested { step: *step });
        }
        ExecutorReport::Exited { launch_id, exit, reason } => {
            settle_all(draft, SettledBy::AgentGone, |p| p.requested.request.launch_id == *launch_id)?;
            EventBody::ExecutorExit { launch_id: launch_id.clone(), exit: *exit, reason: reason.clone() }
        }
    };
    draft.record(open, body)
}

fn inactive(draft: &mut Draft<'_>, minutes: u32) -> Result<(), Refused> {
    let Some(open) = draft.state.open_turn.clone() else { return Ok(()) };
    // It is not the agent that lets others wait.
    if draft.state.pending_permissions().next().is_some() {
        return Ok(());
    }
    match draft.state.phase {
        Phase::WaitingForAgent | Phase::Running => {
            let reason = format!("nothing was heard from the agent for {minutes} minutes");
            draft.record(Some(open.turn_id.clone()), EventBody::ConversationStalled { reason })?;
            if draft.state.settings.stop_on_timeout {
                draft.effects.push(Effect::CancelTurn { turn_id: open.turn_id });
            }
            Ok(())
        }
        // Told already; the order to stop it may have been lost with a former akkd.
        Phase::Stalled { .. } if draft.state.settings.stop_on_timeout => {
            draft.effects.push(Effect::CancelTurn { turn_id: open.turn_id });
            Ok(())
        }
        // It has said its last word and its process hangs: what waits behind the turn must not wait for ever.
        _ if open.settled_by.is_some() => {
            draft.effects.push(Effect::CancelTurn { turn_id: open.turn_id });
            Ok(())
        }
        _ => Ok(()),
    }
}

fn turn_ended(draft: &mut Draft<'_>, ended: &Ended, spare_session: &str) -> Result<(), Refused> {
    settle_all(draft, SettledBy::TurnEnd, |_| true)?;
    let Some(open) = draft.state.open_turn.clone() else { return Ok(()) };
    match draft.state.phase.clone() {
        Phase::Cancelling { close_reason } => end_cancelled(draft, &open, ended, close_reason)?,
        Phase::Failed { hard_stop: true, .. } => end(draft, ended, TurnOutcome::Cancelled, None)?,
        _ if open.settled_by.is_some() => {
            end(draft, ended, TurnOutcome::Completed, reason_of(&ended.how))?;
        }
        _ => end_unsettled(draft, &open, ended, spare_session)?,
    }
    draft.move_on()
}

fn end_cancelled(
    draft: &mut Draft<'_>,
    open: &OpenTurn,
    ended: &Ended,
    close_reason: Option<String>,
) -> Result<(), Refused> {
    let last_word = open.settled_by.as_ref().map(|s| s.kind);
    let (outcome, reason) = match last_word {
        Some(MessageType::Done) => (TurnOutcome::Completed, None),
        Some(MessageType::Error) => (TurnOutcome::Failed, Some("the agent reported an error".to_owned())),
        _ => (TurnOutcome::Cancelled, None),
    };
    end(draft, ended, outcome, reason)?;
    match close_reason {
        None => Ok(()),
        Some(reason) => {
            let cancelled = last_word != Some(MessageType::Done);
            draft.record(None, EventBody::ConversationClosed { reason, cancelled })
        }
    }
}

fn reason_of(how: &How) -> Option<String> {
    match how {
        How::Normal { stop_reason } if stop_reason == "end_turn" => None,
        How::Normal { stop_reason } => Some(format!("the agent stopped: {stop_reason}")),
        How::Cancelled => Some("the turn was stopped".to_owned()),
        How::Failed { reason }
        | How::CannotStart { reason }
        | How::SessionLost { reason }
        | How::Uncertain { reason }
        | How::ModelRefused { reason, .. } => Some(reason.clone()),
    }
}

fn end(draft: &mut Draft<'_>, ended: &Ended, outcome: TurnOutcome, reason: Option<String>) -> Result<(), Refused> {
    let turn_id = draft.open_turn_id();
    let body = TurnEnd {
        outcome,
        reason,
        exit: ended.exit,
        text: ended.text.clone(),
        text_truncated: ended.text_truncated,
        usage: ended.usage.clone(),
        thoughts: ended.thoughts,
        trace: ended.trace.clone(),
        activity_seen: ended.activity_seen,
    };
    draft.record(turn_id, EventBody::TurnEnded(Box::new(body)))
}

fn end_unsettled(draft: &mut Draft<'_>, open: &OpenTurn, ended: &Ended, spare_session: &str) -> Result<(), Refused> {
    let stall = |draft: &mut Draft<'_>, outcome: TurnOutcome, reason: String| {
        end(draft, ended, outcome, Some(reason.clone()))?;
        draft.record(Some(open.turn_id.clone()), EventBody::ConversationStalled { reason })
    };
    match &ended.how {
        How::Normal { stop_reason } if stop_reason == "end_turn" => {
            let Some(text) = final_text(ended) else {
                let reason = "the agent ended its turn without a report and without a final text";
                return stall(draft, TurnOutcome::Failed, reason.to_owned());
            };
            derive(draft, open, text, ended.text_truncated)?;
            if draft.state.open_turn.as_ref().is_some_and(|o| o.settled_by.is_some()) {
                return end(draft, ended, TurnOutcome::Completed, None);
            }
            // A structured text that settles nothing (progress) leaves the turn without a result.
            stall(draft, TurnOutcome::Failed, "the agent ended its turn with a progress report only".to_owned())
        }
        How::Normal { stop_reason } => {
            stall(draft, TurnOutcome::Failed, format!("the agent stopped before it was done: {stop_reason}"))
        }
        How::Cancelled => {
            let reason = match (&draft.state.phase, &open.refused) {
                // Stopped for its silence: what was told then still holds.
                (Phase::Stalled { reason }, _) => reason.clone(),
                // As Codex does: it wants to hear what to do instead.
                (_, Some(title)) => format!("the agent stopped its turn when it was refused a permission: {title}"),
                _ => "the turn was stopped, not by a request to akkd".to_owned(),
            };
            stall(draft, TurnOutcome::Cancelled, reason)
        }
        How::Failed { reason } => stall(draft, TurnOutcome::Failed, reason.clone()),
        How::CannotStart { reason } => stall(draft, TurnOutcome::NotDelivered, reason.clone()),
        How::Uncertain { reason } => stall(draft, TurnOutcome::Uncertain, format!("prompt_uncertain: {reason}")),
        How::ModelRefused { attempted, available, reason } => {
            end(draft, ended, TurnOutcome::NotDelivered, Some(reason.clone()))?;
            draft.record(
                Some(open.turn_id.clone()),
                EventBody::ConversationNeedsModelSelection {
                    attempted: attempted.clone().or_else(|| draft.state.settings.model.clone()),
                    available: available.clone(),
                    reason: reason.clone(),
                    pending_message: open.message_id.clone(),
                },
            )
        }
        How::SessionLost { reason } => session_lost(draft, open, ended, reason, spare_session),
    }
}

/// Characters of a reason.
const REASON_CHARS: usize = 2000;
/// Models that are remembered, and characters of each.
const MODELS: usize = 100;
const MODEL_CHARS: usize = 200;

/// What an agent says of its failure becomes part of the state, which is stored with every event: it is kept short.
fn bounded(ended: &Ended) -> Ended {
    let mut ended = ended.clone();
    match &mut ended.how {
        How::Normal { stop_reason: reason }
        | How::Failed { reason }
        | How::CannotStart { reason }
        | How::SessionLost { reason }
        | How::Uncertain { reason } => *reason = cut(reason, REASON_CHARS),
        How::ModelRefused { attempted, available, reason } => {
            *reason = cut(reason, REASON_CHARS);
            available.truncate(MODELS);
            for model in available.iter_mut().chain(attempted) {
                *model = cut(model, MODEL_CHARS);
            }
        }
        How::Cancelled => {}
    }
    ended
}

fn final_text(ended: &Ended) -> Option<&str> {
    ended.text.as_deref().filter(|t| !t.trim().is_empty())
}

/// The final text of a turn becomes a `done`, unless it is a structured message itself.
fn derive(draft: &mut Draft<'_>, open: &OpenTurn, text: &str, truncated: bool) -> Result<(), Refused> {
    let settings = &draft.state.settings;
    let structured = intake::read_final_text(text)
        .filter(|report| intake::check_report_route(report, &settings.conversation_id, &settings.actor).is_ok());
    let report = structured.unwrap_or_else(|| intake::Report {
        kind: MessageType::Done,
        from: None,
        to: None,
        requires_response: false,
        body: text.trim().to_owned(),
        named: None,
        conversation: None,
        metadata: serde_json::Map::new(),
    });
    let mut message = reported(draft, &report, Some(open.turn_id.clone()), true);
    message.metadata.insert("derived".to_owned(), Value::Bool(true));
    if truncated {
        message.metadata.insert("truncated".to_owned(), Value::Bool(true));
    }
    take_in(draft, message, Origin::Derived, None)
}

/// The agent session cannot be reached and the agent did nothing in this turn: a replay, or the user's choice.
fn session_lost(
    draft: &mut Draft<'_>,
    open: &OpenTurn,
    ended: &Ended,
    reason: &str,
    spare_session: &str,
) -> Result<(), Refused> {
    // Where no session could be made, or the lost one was made in this very turn (as after a recovery), there is
    // nothing that another replay could repair.
    let made_now = draft.state.session_reached == Some(SessionReached::Created);
    let first_contact = !draft.state.bootstrapped && (draft.state.native_session.is_none() || made_now);
    let hopeless = ended.activity_seen || first_contact;
    let outcome = if ended.activity_seen { TurnOutcome::Failed } else { TurnOutcome::NotDelivered };
    end(draft, ended, outcome, Some(reason.to_owned()))?;
    if hopeless {
        return draft.record(Some(open.turn_id.clone()), EventBody::ConversationStalled { reason: reason.to_owned() });
    }
    let adopted = draft.state.settings.native_session.is_some();
    if adopted || draft.state.settings.recovery_policy == RecoveryPolicy::Explicit {
        return draft.record(
            Some(open.turn_id.clone()),
            EventBody::ConversationNeedsRecovery {
                reason: reason.to_owned(),
                pending_message: open.message_id.clone(),
            },
        );
    }
    let former_session = draft.state.settings.session.clone();
    draft.record(
        None,
        EventBody::RecoveryStarted {
            automatic: true,
            former_session,
            session: spare_session.to_owned(),
            reason: reason.to_owned(),
        },
    )?;
    draft.said.auto_recovered = true;
    draft.start_turn_as(open.message_id.clone(), PromptKind::Replay)
}
