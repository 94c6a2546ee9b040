//! Histories.

use super::*;
use akk_proto::DeliveryId;
use akk_proto::conversation::*;
use akk_proto::event::*;
use akk_proto::message::MessageType;
use akk_proto::permission::*;

/// A conversation of two turns with a question between them.
pub(crate) fn exchange() -> Vec<EventRecord> {
    use MessageType::{Answer, Done, Progress, Task};
    let start = |n, prompt, id| {
        EventBody::TurnStarted(TurnStart { turn_id: turn(n), prompt, message_id: message_id(id), controls: vec![] })
    };
    records(vec![
        (0, created()),
        (
            1,
            said(
                message(1, "openclaw", "codex", Task, 1, "Add a --verbose flag.\n\n* with tests\n* keep -v free"),
                Origin::Sent,
            ),
        ),
        (1, start(1, PromptKind::Bootstrap, 1)),
        (1, tool("a", "src/parser.rs", Some("read"), "pending")),
        (1, tool("a", "src/parser.rs", Some("read"), "completed")),
        (1, tool("b", "src/options.rs", Some("read"), "completed")),
        (1, tool("c", "cargo test", Some("execute"), "failed")),
        (1, said(question(), Origin::Callback)),
        (1, end(TurnOutcome::Completed, None)),
        (2, said(message(3, "openclaw", "codex", Answer, 3, "Keep the newer one."), Origin::Sent)),
        (2, start(2, PromptKind::FollowUp, 3)),
        (2, said(message(5, "codex", "openclaw", Progress, 3, "The older one is gone."), Origin::Callback)),
        (2, tool("d", "something", None, "in_progress")),
        (2, said(message(4, "codex", "openclaw", Done, 3, "Done: 12 tests pass."), Origin::Derived)),
        (2, end(TurnOutcome::Completed, None)),
    ])
}

/// Every kind of event once or more.
pub(crate) fn every_event() -> Vec<EventRecord> {
    let recorded = |n, origin| {
        let m = message(
            n,
            "codex",
            "openclaw",
            MessageType::Done,
            3,
            "All is done and well, and this line is so long that it must be cut",
        );
        Box::new(MessageRecorded { message: m, origin, fingerprint: None })
    };
    records(vec![
        (0, created()),
        (1, said(question(), Origin::Callback)),
        (1, said(message(3, "openclaw", "codex", MessageType::Answer, 3, "Keep it."), Origin::Queued)),
        (1, said(message(6, "openclaw", "codex", MessageType::Control, 3, "Converge."), Origin::Daemon)),
        (1, EventBody::MessageSent { message_id: message_id(3), round: 4 }),
        (1, EventBody::MessagesDropped { message_ids: vec![message_id(3), message_id(4)], reason: "cancelled".into() }),
        (
            1,
            EventBody::TurnStarted(TurnStart {
                turn_id: turn(1),
                prompt: PromptKind::Replay,
                message_id: message_id(1),
                controls: vec![],
            }),
        ),
        (
            1,
            EventBody::ExecutorSessionEnsure(SessionEnsured {
                native_session_id: "0198-native".into(),
                how: SessionReached::Created,
                model: Some("gpt-5".into()),
            }),
        ),
        (
            1,
            EventBody::ExecutorLaunch {
                launch_id: launch_id(),
                transport: Transport::Acp,
                pid: 4242,
                command: vec!["codex-acp".into(), "-c".into()],
            },
        ),
        (1, EventBody::PromptSent { bytes: 5_000_000 }),
        (1, EventBody::ExecutorReadopted { launch_id: launch_id(), pid: 4242 }),
        (
            1,
            EventBody::ExecutorExit {
                launch_id: launch_id(),
                exit: Some(Exit::Signal(9)),
                reason: Some("it ignored the cancel".into()),
            },
        ),
        (1, EventBody::ExecutorExit { launch_id: launch_id(), exit: None, reason: None }),
        (1, EventBody::CancelRequested { close_reason: None }),
        (1, EventBody::CancelRequested { close_reason: Some("closed by request".into()) }),
        (1, EventBody::ExecutorCancelRequested { step: CancelStep::Cooperative }),
        (1, EventBody::ExecutorCancelRequested { step: CancelStep::Terminate }),
        (1, EventBody::ExecutorCancelRequested { step: CancelStep::Kill }),
        (1, tool("a", "cargo test --workspace", Some("execute"), "in_progress")),
        (
            1,
            EventBody::AgentActivity(Activity::Plan {
                entries: vec!["completed read".into(), "in_progress write".into()],
            }),
        ),
        (
            1,
            EventBody::AgentActivity(Activity::Permission {
                title: "rm -rf target".into(),
                decision: "allowed".into(),
                option: None,
            }),
        ),
        (1, EventBody::PermissionRequested(Box::new(asked("0a1b2c3d", None)))),
        (1, settled(PermissionDecision::Allowed, SettledBy::Person)),
        (1, settled(PermissionDecision::AllowedAlways, SettledBy::Person)),
        (1, settled(PermissionDecision::Refused, SettledBy::Limit)),
        (1, settled(PermissionDecision::Cancelled, SettledBy::Cancel)),
        (1, settled(PermissionDecision::Cancelled, SettledBy::TurnEnd)),
        (1, settled(PermissionDecision::Cancelled, SettledBy::Agent)),
        (1, settled(PermissionDecision::Cancelled, SettledBy::AgentGone)),
        (1, EventBody::PermissionAnswered { nonce: "0a1b2c3d".into() }),
        (1, EventBody::AgentActivity(Activity::Notice { text: "12 bytes of junk in the stream".into() })),
        (1, end(TurnOutcome::Failed, Some("exit code 1"))),
        (0, EventBody::ConversationStalled { reason: "no result".into() }),
        (
            0,
            EventBody::ConversationNeedsRecovery { reason: "session not found".into(), pending_message: message_id(1) },
        ),
        (
            0,
            EventBody::ConversationNeedsModelSelection {
                attempted: Some("gpt-9".into()),
                available: vec!["gpt-5".into()],
                reason: "not supported".into(),
                pending_message: message_id(1),
            },
        ),
        (
            0,
            EventBody::RecoveryStarted {
                automatic: true,
                former_session: "akk-codex-1".into(),
                session: "akk-codex-2".into(),
                reason: "session not found".into(),
            },
        ),
        (0, EventBody::ConversationClosed { reason: "idle timeout after 10080 minutes".into(), cancelled: false }),
        (0, EventBody::BudgetLevel { level: BudgetLevel::Converge }),
        (0, EventBody::LimitsChanged { soft_limit: 60, hard_limit: 120 }),
        (0, EventBody::ModelSelected { model: "gpt-5".into() }),
        (1, EventBody::LateCallback(recorded(9, Origin::Callback))),
        (1, EventBody::DuplicateCallback { message_id: message_id(9) }),
        (1, EventBody::QuestionAnswered { question: message_id(9), answer: message_id(1) }),
        (0, EventBody::DropRefused { file: "01.json".into(), reason: "it is a symbolic link".into() }),
        (0, EventBody::NativeSessionAttached(Box::new(sessions::attachment()))),
        (0, EventBody::NativeSessionForked(Box::new(sessions::fork_origin()))),
        (0, EventBody::NativeSessionBootstrapped),
        (0, EventBody::ForkSessionBootstrapped),
        (0, EventBody::ConversationImported(Box::new(imported()))),
        (0, EventBody::PredecessorEvent { name: "executor_launch".into(), detail: "pid 7".into() }),
        (
            0,
            EventBody::DeliveryAttempt {
                delivery_id: DeliveryId::of(&conversation_id(), &message_id(9)),
                attempt: 1,
                error: None,
            },
        ),
        (
            0,
            EventBody::DeliveryAttempt {
                delivery_id: DeliveryId::of(&conversation_id(), &message_id(9)),
                attempt: 2,
                error: Some("no display".into()),
            },
        ),
        (
            0,
            EventBody::DeliveryAccepted {
                delivery_id: DeliveryId::of(&conversation_id(), &message_id(9)),
                by_hand: false,
            },
        ),
    ])
}
