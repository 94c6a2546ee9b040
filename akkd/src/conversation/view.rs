//! A conversation as clients see it.

use crate::store::Waiting;
use akk_core::Conversation;
use akk_core::conversation::{Origin, PendingPermission, Phase};
use akk_core::permission::answers;
use akk_proto::conversation::{
    ConversationView, ExecutorView, ModelSelectionView, Need, ProcessView, RecoveryView, TurnView,
};
use akk_proto::permission::{PermissionRequested, PermissionView};
use akk_proto::session::{AttachmentView, ForkView};

/// What the conversation waits for; none while it goes on by itself.
pub fn need(state: &Conversation) -> Option<Need> {
    // Whatever was said: the agent does not go on without it.
    if state.pending_permissions().next().is_some() {
        return Some(Need::Permission);
    }
    let moves_on = !state.queue.is_empty();
    match &state.phase {
        Phase::Idle { .. } | Phase::WaitingForOpenclaw { .. } | Phase::Failed { .. } if moves_on => None,
        Phase::WaitingForOpenclaw { blocked: true } => Some(Need::Blocked),
        phase => phase.status().need(),
    }
}

/// The view of a conversation.
pub fn view(state: &Conversation, waiting: Waiting) -> ConversationView {
    let s = &state.settings;
    let (closed_at, close_reason) = match &state.phase {
        Phase::Closed { at, reason } | Phase::Cancelled { at, reason } => (Some(*at), Some(reason.clone())),
        Phase::Cancelling { close_reason } => (None, close_reason.clone()),
        _ => (None, None),
    };
    ConversationView {
        conversation_id: s.conversation_id.clone(),
        user_request: s.user_request.clone(),
        label: s.label.clone(),
        workspace: s.workspace.clone(),
        agent: s.agent.clone(),
        executor: ExecutorView {
            kind: s.agent.clone(),
            actor: s.actor.clone(),
            session: s.session.clone(),
            transport: s.transport,
            native_session_id: state.native_session.clone(),
        },
        executor_model: s.model.clone(),
        status: state.status(),
        needs: need(state).filter(|need| *need == Need::Permission),
        permission_requests: state.pending_permissions().map(permission).collect(),
        response_rounds_used: state.rounds_used,
        soft_limit: s.soft_limit,
        hard_limit: s.hard_limit,
        budget_level: state.budget_level(),
        orchestrator: s.orchestrator.clone(),
        recipient: s.recipient.clone(),
        created_at: state.created_at,
        updated_at: state.updated_at,
        idle_since: match state.phase {
            Phase::Idle { since } => Some(since),
            _ => None,
        },
        closed_at,
        close_reason,
        stalled_reason: match &state.phase {
            Phase::Stalled { reason } | Phase::Failed { reason, .. } => Some(reason.clone()),
            _ => None,
        },
        recovery: recovery(state),
        model_selection: match &state.phase {
            Phase::NeedsModelSelection { attempted, available, reason, pending } => Some(ModelSelectionView {
                attempted: attempted.clone(),
                available: available.clone(),
                reason: reason.clone(),
                pending_message: pending.clone(),
            }),
            _ => None,
        },
        native_session_takeover: match &state.origin {
            Some(Origin::Attached { attachment, needs_bootstrap }) => {
                Some(Box::new(AttachmentView { attachment: (**attachment).clone(), needs_bootstrap: *needs_bootstrap }))
            }
            _ => None,
        },
        fork_context_takeover: match &state.origin {
            Some(Origin::Forked { fork, needs_bootstrap }) => {
                Some(Box::new(ForkView { origin: (**fork).clone(), needs_bootstrap: *needs_bootstrap }))
            }
            _ => None,
        },
        imported: state.imported.clone(),
        undelivered: waiting.undelivered,
        overdue: waiting.overdue,
        turn: turn(state),
        queued: state.queue.iter().map(|q| q.message_id.clone()).collect(),
        recovery_policy: s.recovery_policy,
        permissions: s.permissions,
    }
}

fn permission(pending: &PendingPermission) -> PermissionView {
    let PermissionRequested { nonce, deadline, request } = &pending.requested;
    PermissionView {
        nonce: nonce.clone(),
        title: request.title.clone(),
        kind: request.kind.clone(),
        text: request.text.clone(),
        truncated: request.truncated,
        answers: answers(&request.options),
        asked_at: pending.asked_at,
        deadline: *deadline,
    }
}

fn recovery(state: &Conversation) -> Option<RecoveryView> {
    let former_sessions = state.former_sessions.clone();
    match &state.phase {
        Phase::NeedsRecovery { reason, pending } => {
            Some(RecoveryView { reason: reason.clone(), pending_message: Some(pending.clone()), former_sessions })
        }
        _ if former_sessions.is_empty() => None,
        _ => Some(RecoveryView {
            reason: "replayed into a fresh session".to_owned(),
            pending_message: None,
            former_sessions,
        }),
    }
}

fn turn(state: &Conversation) -> Option<TurnView> {
    if let Some(open) = &state.open_turn {
        let process = open.process.as_ref().map(|p| ProcessView {
            launch_id: p.launch_id.clone(),
            pid: p.pid,
            command: p.command.clone(),
        });
        return Some(TurnView {
            turn_id: open.turn_id.clone(),
            started_at: open.started_at,
            ended_at: None,
            outcome: None,
            reason: None,
            process,
        });
    }
    let last = state.last_turn.as_ref()?;
    Some(TurnView {
        turn_id: last.turn_id.clone(),
        started_at: last.started_at,
        ended_at: Some(last.ended_at),
        outcome: Some(last.outcome),
        reason: last.reason.clone(),
        process: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::testing::{House, created};
    use akk_core::decide::{Input, Send};

    #[tokio::test]
    async fn nobody_is_needed_where_a_waiting_message_goes_next() {
        let house = House::new();
        let id = house.begin(created(1)).await;
        house.says(&id, r#"{"type":"error","body":"x"}"#).await;
        assert_eq!(need(&house.conversations.state(&id).await.unwrap()), Some(Need::Failed));
        let send = Send { message: Some("again".into()), ..Default::default() };
        let answer = house.conversations.ask(&id, Input::Send(send), None).await.unwrap();
        assert!(answer.said.queued);
        assert_eq!(need(&answer.state), None);
    }
}
