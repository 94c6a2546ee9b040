//! Permission requests: which answer of the agent's own a decision means, and what the three events about a request
//! do to a conversation.

use crate::apply::{Refused, impossible};
use crate::conversation::{Conversation, PendingPermission};
use crate::effect::Effect;
use crate::{notice, redact};
use akk_proto::Timestamp;
use akk_proto::event::EventBody;
use akk_proto::permission::{
    PermissionChoice, PermissionDecision, PermissionOption, PermissionRequested, PermissionSettled, Permit, SettledBy,
};

/// Characters of a request's text in the state, which is stored with every event; the history has it whole.
const TEXT_CHARS: usize = 4000;

/// The option that says this. By its kind: names and places mislead. None: the agent is told that nobody chose.
pub fn option_for(options: &[PermissionOption], decision: PermissionDecision) -> Option<&PermissionOption> {
    let kinds: &[&str] = match decision {
        // A grant that lasts is given to nobody who asked for one.
        PermissionDecision::Allowed => &["allow_once"],
        PermissionDecision::AllowedAlways => &["allow_always"],
        PermissionDecision::Refused => &["reject_once", "reject_always"],
        PermissionDecision::Cancelled => &[],
    };
    kinds.iter().find_map(|kind| options.iter().find(|o| o.kind == *kind))
}

/// What a person can say to a request with these options. A refusal is always possible.
pub fn answers(options: &[PermissionOption]) -> Vec<PermissionChoice> {
    let choices = Permit::ALL.into_iter().map(|answer| (answer, option_for(options, decision(answer))));
    choices
        .filter(|(answer, option)| *answer == Permit::Deny || option.is_some())
        .map(|(answer, option)| PermissionChoice { answer, name: option.map(|o| o.name.clone()).unwrap_or_default() })
        .collect()
}

/// What an answer means.
pub(crate) fn decision(permit: Permit) -> PermissionDecision {
    match permit {
        Permit::Allow => PermissionDecision::Allowed,
        Permit::AllowAlways => PermissionDecision::AllowedAlways,
        Permit::Deny => PermissionDecision::Refused,
    }
}

/// A request waits for a person, who is told.
pub(crate) fn requested(
    next: &mut Conversation,
    ts: Timestamp,
    requested: &PermissionRequested,
    body: &EventBody,
    effects: &mut Vec<Effect>,
) -> Result<(), Refused> {
    let Some(open) = &mut next.open_turn else { return Err(impossible(body, "no turn is open")) };
    if open.permissions.iter().any(|p| p.requested.nonce == requested.nonce) {
        return Err(impossible(body, "its nonce is in use"));
    }
    let mut kept = requested.clone();
    let text = &mut kept.request.text;
    if text.chars().nth(TEXT_CHARS).is_some() {
        (*text, kept.request.truncated) = (redact::cut(text, TEXT_CHARS), true);
    }
    open.permissions.push(PendingPermission { requested: kept, asked_at: ts, settled: None });
    notice::permission(next, ts, requested, effects);
    Ok(())
}

/// A request has its answer, which is passed on to the agent.
pub(crate) fn settled(
    next: &mut Conversation,
    settled: &PermissionSettled,
    body: &EventBody,
    effects: &mut Vec<Effect>,
) -> Result<(), Refused> {
    let Some(open) = &mut next.open_turn else { return Err(impossible(body, "no turn is open")) };
    let waits = |p: &&mut PendingPermission| p.requested.nonce == settled.nonce && p.settled.is_none();
    let Some(pending) = open.permissions.iter_mut().find(waits) else {
        return Err(impossible(body, "no such request waits for an answer"));
    };
    pending.settled = Some(settled.clone());
    if settled.decision == PermissionDecision::Refused {
        open.refused = Some(pending.requested.request.title.clone());
    }
    if settled.by == SettledBy::AgentGone {
        // Nobody is left who could be told.
        open.permissions.retain(|p| p.requested.nonce != settled.nonce);
    } else {
        effects.extend(pending.answer());
    }
    Ok(())
}

/// The agent was told.
pub(crate) fn answered(next: &mut Conversation, nonce: &str, body: &EventBody) -> Result<(), Refused> {
    let Some(open) = &mut next.open_turn else { return Err(impossible(body, "no turn is open")) };
    let was_settled = |p: &PendingPermission| p.requested.nonce == nonce && p.settled.is_some();
    let Some(at) = open.permissions.iter().position(was_settled) else {
        return Err(impossible(body, "no such request has an answer"));
    };
    open.permissions.remove(at);
    Ok(())
}

impl PendingPermission {
    /// What the agent is to be told; none while nobody has decided.
    pub fn answer(&self) -> Option<Effect> {
        let settled = self.settled.as_ref()?;
        let request = &self.requested.request;
        Some(Effect::AnswerPermission {
            launch_id: request.launch_id.clone(),
            request: request.id.clone(),
            option: option_for(&request.options, settled.decision).map(|o| o.id.clone()),
        })
    }
}
