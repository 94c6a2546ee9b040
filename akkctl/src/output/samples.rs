//! Fixed data for the snapshots of views: one moment, one terminal, one conversation in several states.

mod akkd;
mod events;
pub(crate) mod sessions;
mod takeovers;

pub(crate) use akkd::{audit, deliveries, info};
pub(crate) use events::{every_event, exchange};

use super::View;
use akk_proto::api::{GetAnswer, ListAnswer, ResultAnswer, SearchAnswer, SearchHit};
use akk_proto::conversation::*;
use akk_proto::delivery::SinkKind;
use akk_proto::event::*;
use akk_proto::import::{Imported, Standing};
use akk_proto::message::{Actor, Message, MessageType};
use akk_proto::permission::*;
use akk_proto::{ConversationId, LaunchId, MessageId, Timestamp, TurnId};
use uuid::Uuid;

/// 2026-06-20T14:05:25.758Z.
const NOW: i64 = 1_781_964_325_758;
const MINUTE: i64 = 60_000;

fn ago(ms: i64) -> Timestamp {
    Timestamp(NOW - ms)
}

/// 80 columns, no colours, UTC.
pub(crate) fn view() -> View {
    View::fixed(Timestamp(NOW))
}

/// The same with colours.
pub(crate) fn coloured() -> View {
    let mut view = view();
    view.colour = true;
    view
}

/// The same where no terminal reads.
pub(crate) fn unlimited() -> View {
    let mut view = view();
    view.width = None;
    view
}

/// The conversation of all samples.
pub(crate) fn conversation_id() -> ConversationId {
    "task-20260620T120525-0a1b2c3d".parse().unwrap()
}

/// A message id that ends with `n`.
pub(crate) fn message_id(n: u128) -> MessageId {
    MessageId::message(Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0000 + n))
}

fn launch_id() -> LaunchId {
    LaunchId::new(Uuid::nil())
}

fn turn(n: u32) -> TurnId {
    TurnId::nth(n)
}

/// A conversation in its second turn.
pub(crate) fn conversation() -> ConversationView {
    ConversationView {
        conversation_id: conversation_id(),
        user_request: "Add a --verbose flag to the parser, with tests.\nKeep the short options as they are.".into(),
        label: None,
        workspace: "/home/u/project".into(),
        agent: "codex".into(),
        executor: ExecutorView {
            kind: "codex".into(),
            actor: Actor("codex".into()),
            session: "akk-codex-20260620120525-89abcdef".into(),
            transport: Transport::Acp,
            native_session_id: Some("0198-native".into()),
        },
        executor_model: Some("gpt-5/medium".into()),
        status: Status::WaitingForAgent,
        needs: None,
        permission_requests: vec![],
        response_rounds_used: 3,
        soft_limit: 50,
        hard_limit: 100,
        budget_level: BudgetLevel::Normal,
        orchestrator: None,
        recipient: None,
        created_at: ago(120 * MINUTE),
        updated_at: ago(3 * MINUTE),
        idle_since: None,
        closed_at: None,
        close_reason: None,
        stalled_reason: None,
        recovery: None,
        model_selection: None,
        native_session_takeover: None,
        fork_context_takeover: None,
        imported: None,
        undelivered: 0,
        overdue: 0,
        turn: Some(TurnView {
            turn_id: turn(2),
            started_at: ago(5 * MINUTE),
            ended_at: None,
            outcome: None,
            reason: None,
            process: Some(ProcessView {
                launch_id: launch_id(),
                pid: 4242,
                command: vec!["codex-acp".into(), "--flag".into()],
            }),
        }),
        queued: vec![],
        recovery_policy: RecoveryPolicy::Auto,
        permissions: PermissionPolicy::All,
    }
}

/// It came from the predecessor, where its agent worked.
pub(crate) fn imported() -> Imported {
    let reason = "imported from the predecessor as waiting_for_agent: the process that may work on it is not akkd's";
    Imported {
        former_status: Status::WaitingForAgent,
        former_session: Some("akk-codex-20260620110525-89abcdef".into()),
        native_session: None,
        last_task: Some(message_id(1)),
        rounds_used: 3,
        imported_at: ago(MINUTE),
        standing: Standing::Stalled { reason: reason.into() },
    }
}

/// It waits for the choice of a model.
pub(crate) fn model_refused() -> ConversationView {
    ConversationView {
        status: Status::NeedsModelSelection,
        executor_model: Some("gpt-9".into()),
        model_selection: Some(ModelSelectionView {
            attempted: Some("gpt-9".into()),
            available: vec!["gpt-5".into(), "gpt-5-mini".into()],
            reason: "The 'gpt-9' model is not supported".into(),
            pending_message: message_id(1),
        }),
        turn: None,
        ..conversation()
    }
}

/// `conversation.get` of a working conversation.
pub(crate) fn get() -> GetAnswer {
    let events = exchange();
    let last = events.len().saturating_sub(4);
    GetAnswer { conversation: conversation(), events: events[last..].to_vec(), deliveries: vec![] }
}

/// `conversation.get` of a stalled one whose reports nobody took.
pub(crate) fn stalled() -> GetAnswer {
    GetAnswer {
        conversation: ConversationView {
            status: Status::Stalled,
            label: Some("parser".into()),
            stalled_reason: Some("the agent's process ended with code 1 before it reported anything".into()),
            orchestrator: Some("agent:main:main".into()),
            undelivered: 2,
            overdue: 1,
            queued: vec![message_id(7)],
            budget_level: BudgetLevel::Warning,
            response_rounds_used: 41,
            turn: Some(TurnView {
                turn_id: turn(2),
                started_at: ago(9 * MINUTE),
                ended_at: Some(ago(3 * MINUTE)),
                outcome: Some(TurnOutcome::Failed),
                reason: Some("exit code 1".into()),
                process: None,
            }),
            ..conversation()
        },
        events: vec![],
        deliveries: deliveries(),
    }
}

/// One conversation of each group.
pub(crate) fn list() -> ListAnswer {
    let summary = |id: &str, agent: &str, status, active, request: &str| ConversationSummary {
        conversation_id: id.parse().unwrap(),
        agent: agent.into(),
        status,
        needs: None,
        user_request: request.into(),
        label: None,
        workspace: "/home/u/project".into(),
        created_at: ago(120 * MINUTE),
        updated_at: ago(active),
        response_rounds_used: 3,
        soft_limit: 50,
        undelivered: 0,
        overdue: 0,
    };
    let mut conversations = vec![
        summary(
            "task-20260620T120525-0a1b2c3d",
            "codex",
            Status::WaitingForAgent,
            500,
            "Add a --verbose flag to the parser,\nwith tests. Keep the short options as they are.",
        ),
        summary(
            "task-20260620T120526-1a1b2c3d",
            "claude",
            Status::WaitingForOpenclaw,
            42_000,
            "Which of the two stores shall stay? Measure both, then remove the slower one",
        ),
        summary(
            "task-20260620T120527-2a1b2c3d",
            "my-own-agent",
            Status::NeedsModelSelection,
            5 * MINUTE,
            "日本語のドキュメントを更新してください。よろしくお願いします。",
        ),
        summary("task-20260620T120528-3a1b2c3d", "cursor", Status::Idle, 90 * MINUTE, "short"),
        summary("task-20260620T120529-4a1b2c3d", "codex", Status::Closed, 100 * MINUTE, "evil \u{1b}[2J request"),
    ];
    conversations[0].label = Some("verbose".into());
    conversations[1].undelivered = 2;
    conversations[1].overdue = 1;
    conversations[1].response_rounds_used = 49;
    ListAnswer { total: conversations.len() as u64, conversations, next: None }
}

/// Two hits.
pub(crate) fn search() -> SearchAnswer {
    let hit = |n, kind, from: &str, snippet: &str| SearchHit {
        conversation_id: conversation_id(),
        status: Status::Idle,
        message_id: message_id(n),
        ts: ago(90 * MINUTE),
        from: from.into(),
        kind,
        snippet: snippet.into(),
    };
    SearchAnswer {
        hits: vec![
            hit(2, MessageType::Done, "codex", "…the parser takes --verbose now,\nand the tests say so…"),
            hit(1, MessageType::Task, "openclaw", "Add a --verbose flag to the parser"),
        ],
    }
}

fn message(n: u128, from: &str, to: &str, kind: MessageType, round: u32, body: &str) -> Message {
    Message {
        id: message_id(n),
        ts: ago(10 * MINUTE),
        conversation_id: conversation_id(),
        from: Actor(from.into()),
        to: Actor(to.into()),
        kind,
        requires_response: kind.needs_answer_by_default(),
        round,
        max_rounds: 100,
        turn_id: None,
        body: body.into(),
        metadata: serde_json::Map::new(),
    }
}

/// A question of the agent.
pub(crate) fn question() -> Message {
    message(2, "codex", "openclaw", MessageType::Question, 2, "Two parsers do the same.\n\nWhich one shall stay?")
}

/// What the last turn came to.
pub(crate) fn result() -> ResultAnswer {
    ResultAnswer {
        conversation_id: conversation_id(),
        status: Status::Idle,
        result: TurnResult {
            turn_id: turn(2),
            outcome: Some(TurnOutcome::Completed),
            reason: None,
            message: Some(message(
                4,
                "codex",
                "openclaw",
                MessageType::Done,
                3,
                "The flag is there.\n\n    cargo test: 12 passed",
            )),
            text: Some("I reported it.".into()),
            usage: Some(serde_json::json!({"input_tokens": 1200, "output_tokens": 340, "cost": "0.02 USD", "raw": {}})),
            duration_ms: 200_000,
        },
    }
}

fn records(bodies: Vec<(u32, EventBody)>) -> Vec<EventRecord> {
    let count = bodies.len() as i64;
    (0i64..)
        .zip(bodies)
        .map(|(i, (turn_number, body))| EventRecord {
            seq: i as u64 + 1,
            cursor: i as u64 + 101,
            ts: ago((count - i) * 10_000),
            conversation_id: conversation_id(),
            turn_id: (turn_number > 0).then(|| turn(turn_number)),
            body,
        })
        .collect()
}

fn said(message: Message, origin: Origin) -> EventBody {
    EventBody::Message(Box::new(MessageRecorded { message, origin, fingerprint: None }))
}

fn tool(id: &str, title: &str, kind: Option<&str>, status: &str) -> EventBody {
    EventBody::AgentActivity(Activity::Tool {
        id: id.into(),
        title: title.into(),
        kind: kind.map(Into::into),
        status: status.into(),
        preview: (status != "pending").then(|| "12 lines\nof output".into()),
    })
}

fn asked(nonce: &str, deadline: Option<Timestamp>) -> PermissionRequested {
    let option = |kind: &str| PermissionOption { id: kind.into(), kind: kind.into(), name: "Yes".into() };
    PermissionRequested {
        nonce: nonce.into(),
        deadline,
        request: PermissionRequest {
            launch_id: LaunchId::new(Uuid::nil()),
            id: 3.into(),
            title: "rm -rf target".into(),
            kind: Some("execute".into()),
            text: "rm -rf target\nkind: execute\ninput: {\n  \"cwd\": \"/home/dev/project\"\n}".into(),
            truncated: true,
            options: vec![option("allow_once"), option("allow_always"), option("reject_once")],
        },
    }
}

fn settled(decision: PermissionDecision, by: SettledBy) -> EventBody {
    EventBody::PermissionSettled(PermissionSettled { nonce: "0a1b2c3d".into(), decision, by, option: None })
}

/// One that waits for two permissions.
pub(crate) fn asking() -> ConversationView {
    let mut c = conversation();
    c.needs = Some(Need::Permission);
    let view = |nonce: &str, deadline| {
        let PermissionRequest { title, kind, text, truncated, .. } = asked(nonce, None).request;
        let nonce = nonce.to_owned();
        let choice = |answer, name: &str| PermissionChoice { answer, name: name.into() };
        let answers = vec![choice(Permit::Allow, "Yes, proceed"), choice(Permit::Deny, "")];
        PermissionView { nonce, title, kind, text, truncated, answers, asked_at: c.updated_at, deadline }
    };
    c.permission_requests = vec![view("0a1b2c3d", None), view("4e5f6a7b", Some(c.updated_at.plus_millis(600_000)))];
    c
}

fn end(outcome: TurnOutcome, reason: Option<&str>) -> EventBody {
    EventBody::TurnEnded(Box::new(TurnEnd {
        outcome,
        reason: reason.map(Into::into),
        exit: None,
        text: Some("I reported it.".into()),
        text_truncated: false,
        usage: None,
        thoughts: 3,
        activity_seen: true,
        trace: reason.map(|_| "panic at line 3\nbacktrace".into()),
    }))
}

fn created() -> EventBody {
    EventBody::ConversationCreated(Box::new(Created {
        conversation_id: conversation_id(),
        user_request: "Add a --verbose flag to the parser".into(),
        label: None,
        workspace: "/home/u/project".into(),
        agent: "codex".into(),
        actor: Actor("codex".into()),
        session: "akk-codex-1".into(),
        transport: Transport::Acp,
        model: None,
        proxy: None,
        soft_limit: 50,
        hard_limit: 100,
        agent_timeout_minutes: 60,
        idle_timeout_minutes: 10_080,
        recovery_policy: RecoveryPolicy::Auto,
        permissions: PermissionPolicy::All,
        permission_minutes: None,
        orchestrator: None,
        recipient: None,
        sink: SinkKind::None,
        deliver_progress: false,
        native_session: None,
        stop_on_timeout: false,
    }))
}

/// Puts control characters into every text that an agent or a user may have written.
pub(crate) fn poison(record: &mut EventRecord) {
    *record = spoilt(record);
}

/// The same with control characters in every text that an agent or a user may have written.
pub(crate) fn spoilt<T: serde::Serialize + serde::de::DeserializeOwned>(of: &T) -> T {
    fn spoil(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(s) if s.contains([' ', '.', '/']) => {
                s.push_str("\u{1b}]0;evil\u{7}\u{9b}2J\r\u{8}");
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(spoil),
            serde_json::Value::Object(fields) => {
                fields
                    .iter_mut()
                    .filter(|(name, _)| *name != "ts" && *name != "at" && *name != "deadline" && !name.ends_with("_at"))
                    .for_each(|(_, v)| spoil(v));
            }
            _ => {}
        }
    }
    let mut json = serde_json::to_value(of).unwrap();
    spoil(&mut json);
    serde_json::from_value(json).unwrap()
}
