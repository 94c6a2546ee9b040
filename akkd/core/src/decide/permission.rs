//! Permission requests: an agent asks, a person answers, or something else settles it. One answer settles one request.

use super::{Draft, orchestrator};
use crate::apply::Refused;
use crate::conversation::PendingPermission;
use crate::effect::Effect;
use crate::permission::{answers, decision, option_for};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::{Activity, EventBody};
use akk_proto::limits::MAX_PERMISSION_REQUESTS;
use akk_proto::permission::{
    PermissionDecision, PermissionRequest, PermissionRequested, PermissionSettled, Permit, SettledBy,
};
use akk_proto::{LaunchId, TurnId};
use serde_json::Value;
use uuid::Uuid;

/// The agent asks.
pub(super) fn asked(draft: &mut Draft<'_>, turn_id: &TurnId, request: &PermissionRequest) -> Result<(), Refused> {
    let known = |p: &PendingPermission| is_of(p, &request.launch_id, &request.id);
    let open = draft.state.open_turn.as_ref().filter(|open| open.turn_id == *turn_id);
    match open {
        Some(open) if open.permissions.iter().any(known) => return Ok(()),
        Some(open) if open.permissions.len() < MAX_PERMISSION_REQUESTS && !draft.state.is_being_stopped() => {}
        _ => return decline(draft, turn_id, request),
    }
    let nonce = draft.next_nonce();
    let minutes = draft.state.settings.permission_minutes;
    let deadline = minutes.map(|m| draft.given.now.plus_millis(i64::from(m) * 60_000));
    let body = PermissionRequested { nonce, deadline, request: request.clone() };
    draft.record(Some(turn_id.clone()), EventBody::PermissionRequested(Box::new(body)))
}

/// Nobody is asked: the turn is over or is to be stopped, or too many requests wait already.
fn decline(draft: &mut Draft<'_>, turn_id: &TurnId, request: &PermissionRequest) -> Result<(), Refused> {
    draft.effects.push(Effect::AnswerPermission {
        launch_id: request.launch_id.clone(),
        request: request.id.clone(),
        option: None,
    });
    let (title, decision) = (request.title.clone(), PermissionDecision::Cancelled.as_str().to_owned());
    let activity = Activity::Permission { title, decision, option: None };
    draft.record(Some(turn_id.clone()), EventBody::AgentActivity(activity))
}

/// The agent was told the answer.
pub(super) fn answered(
    draft: &mut Draft<'_>,
    turn_id: &TurnId,
    launch_id: &LaunchId,
    request: &Value,
) -> Result<(), Refused> {
    let open = draft.state.open_turn.as_ref().filter(|open| open.turn_id == *turn_id);
    let told = |p: &&PendingPermission| p.settled.is_some() && is_of(p, launch_id, request);
    let Some(pending) = open.and_then(|open| open.permissions.iter().find(told)) else { return Ok(()) };
    let nonce = pending.requested.nonce.clone();
    draft.record(Some(turn_id.clone()), EventBody::PermissionAnswered { nonce })
}

/// The agent takes its request back.
pub(super) fn withdrawn(
    draft: &mut Draft<'_>,
    turn_id: &TurnId,
    launch_id: &LaunchId,
    request: &Value,
) -> Result<(), Refused> {
    if draft.open_turn_id().as_ref() != Some(turn_id) {
        return Ok(());
    }
    settle_all(draft, SettledBy::Agent, |p| is_of(p, launch_id, request))
}

/// A person answers.
pub(super) fn permit(draft: &mut Draft<'_>, nonce: Option<&str>, answer: Permit) -> Result<(), Refused> {
    let waiting: Vec<&PendingPermission> = draft.state.pending_permissions().collect();
    let names: Vec<&str> = waiting.iter().map(|p| p.requested.nonce.as_str()).collect();
    let asked = nonce.map(|n| n.trim().to_ascii_lowercase());
    let found = match (&asked, waiting.as_slice()) {
        (_, []) => {
            let what = "no permission request waits for an answer";
            let hint = "It was answered, or its turn has ended or is being stopped; `akkctl status` tells more.";
            return Err(orchestrator::wrong_status(draft.state.status(), what, hint));
        }
        (Some(nonce), all) => {
            let Some(found) = all.iter().find(|p| p.requested.nonce == *nonce) else {
                let what = format!("no permission request {} waits for an answer", crate::redact::cut(nonce, 40));
                let hint = format!("These wait: {}.", names.join(", "));
                return Err(orchestrator::wrong_status(draft.state.status(), &what, &hint));
            };
            found
        }
        (None, [only]) => only,
        (None, all) => {
            return Err(Failure::new(
                ErrorKind::AmbiguousId,
                format!("{} permission requests wait for an answer", all.len()),
                format!("Name the one that you mean: {}.", names.join(", ")),
            ));
        }
    };
    let request = &found.requested.request;
    let decision = decision(answer);
    let option = option_for(&request.options, decision).map(|o| o.kind.clone());
    if option.is_none() && answer != Permit::Deny {
        let offered: Vec<_> = answers(&request.options).iter().map(|choice| choice.answer.as_str()).collect();
        return Err(Failure::new(
            ErrorKind::InvalidParams,
            format!("the agent does not offer {answer} for this request"),
            format!("Answer with {}.", offered.join(" or ")),
        ));
    }
    let nonce = found.requested.nonce.clone();
    draft.said.nonce = Some(nonce.clone());
    settle(draft, PermissionSettled { nonce, decision, by: SettledBy::Person, option })
}

/// Requests whose time is over are refused.
pub(super) fn run_out(draft: &mut Draft<'_>) -> Result<(), Refused> {
    let now = draft.given.now;
    settle_all(draft, SettledBy::Limit, |p| p.requested.deadline.is_some_and(|at| at <= now))
}

/// Settles every request that waits and is one of `which`, without a person.
pub(super) fn settle_all(
    draft: &mut Draft<'_>,
    by: SettledBy,
    which: impl Fn(&PendingPermission) -> bool,
) -> Result<(), Refused> {
    let decision = match by {
        SettledBy::Person | SettledBy::Limit => PermissionDecision::Refused,
        SettledBy::Cancel | SettledBy::TurnEnd | SettledBy::Agent | SettledBy::AgentGone => {
            PermissionDecision::Cancelled
        }
    };
    let settled: Vec<PermissionSettled> = draft
        .state
        .pending_permissions()
        .filter(|p| which(p))
        .map(|p| PermissionSettled {
            nonce: p.requested.nonce.clone(),
            decision,
            by,
            option: option_for(&p.requested.request.options, decision).map(|o| o.kind.clone()),
        })
        .collect();
    settled.into_iter().try_for_each(|settled| settle(draft, settled))
}

fn settle(draft: &mut Draft<'_>, settled: PermissionSettled) -> Result<(), Refused> {
    let turn_id = draft.open_turn_id();
    draft.record(turn_id, EventBody::PermissionSettled(settled))
}

fn is_of(pending: &PendingPermission, launch_id: &LaunchId, request: &Value) -> bool {
    pending.requested.request.launch_id == *launch_id && pending.requested.request.id == *request
}

impl Draft<'_> {
    /// A name for a request that no other of the conversation has now.
    fn next_nonce(&mut self) -> String {
        loop {
            self.ids += 1;
            let uuid = Uuid::new_v5(&self.given.seed, format!("permission:{}", self.ids).as_bytes()).simple();
            let nonce = uuid.to_string()[..8].to_owned();
            let open = self.state.open_turn.as_ref();
            if !open.is_some_and(|o| o.permissions.iter().any(|p| p.requested.nonce == nonce)) {
                return nonce;
            }
        }
    }
}
