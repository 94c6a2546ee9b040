//! What the stories of the store begin with. The benchmark and the maker of the fixture use it too.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each of its users needs a part; a story that cannot begin has failed"
)]

use akk_core::conversation::Phase;
use akk_core::{Conversation, Event};
use akk_proto::audit::{AuditPeer, AuditRow, AuditWay};
use akk_proto::conversation::{PermissionPolicy, RecoveryPolicy, Transport};
use akk_proto::delivery::{DeliveryBody, Recipient, SinkKind};
use akk_proto::event::{Activity, Created, EventBody, MessageRecorded, Origin};
use akk_proto::message::{Actor, Message, MessageType};
use akk_proto::{ConversationId, DeliveryId, LaunchId, MessageId, RequestId, Timestamp, TurnId};
use akkd::store::{AnsweredRequest, Commit, Committed, LaunchRow, LaunchState, Store, StoreError};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use uuid::Uuid;

/// A store on a temporary home, which is removed with it.
pub(crate) struct Home {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Store,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("akk.db")).unwrap();
        Self { dir, store }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("akk.db")
    }

    /// Another connection, for what the store itself would never do.
    pub(crate) fn behind_its_back(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }
}

/// The `n`-th conversation of a test.
pub(crate) fn task(n: u32) -> ConversationId {
    ConversationId::new(Timestamp(1_781_964_325_000), n)
}

pub(crate) fn message_id() -> MessageId {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    MessageId::message(Uuid::new_v5(&Uuid::NAMESPACE_OID, &n.to_be_bytes()))
}

pub(crate) fn launch_id(n: u32) -> LaunchId {
    LaunchId::new(Uuid::new_v5(&Uuid::NAMESPACE_URL, &n.to_be_bytes()))
}

pub(crate) fn request_id(text: &str) -> RequestId {
    RequestId::parse(text).unwrap()
}

/// A moment: seconds after some day began.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp(1_781_964_325_000 + seconds * 1000)
}

pub(crate) fn created(n: u32, request: &str) -> Created {
    Created {
        conversation_id: task(n),
        user_request: request.chars().take(4000).collect(),
        label: None,
        workspace: "/w".into(),
        agent: "codex".into(),
        actor: Actor("codex".into()),
        session: format!("akk-codex-20260620140525-{n:08x}"),
        transport: Transport::Acp,
        model: None,
        proxy: None,
        soft_limit: 50,
        hard_limit: 100,
        agent_timeout_minutes: 60,
        idle_timeout_minutes: 10,
        recovery_policy: RecoveryPolicy::Auto,
        permissions: PermissionPolicy::All,
        permission_minutes: None,
        orchestrator: Some("agent:main:main".into()),
        recipient: None,
        sink: SinkKind::Command,
        deliver_progress: false,
        native_session: None,
        stop_on_timeout: false,
    }
}

/// A conversation as a caller holds it: its state, and the event that it was built on.
pub(crate) struct Story {
    pub(crate) store: Store,
    pub(crate) state: Conversation,
    pub(crate) seq: u64,
}

impl Story {
    /// A conversation that was recorded with its request and nothing else.
    pub(crate) async fn begin(store: &Store, n: u32, request: &str) -> Self {
        Self::begin_with(store, created(n, request), request, at(i64::from(n))).await
    }

    pub(crate) async fn begin_with(store: &Store, created: Created, request: &str, ts: Timestamp) -> Self {
        let first = Event { ts, turn_id: None, body: EventBody::ConversationCreated(Box::new(created)) };
        let state = akk_core::apply::begin(&first).unwrap();
        let mut story = Self { store: store.clone(), state, seq: 0 };
        let task = story.message("openclaw", MessageType::Task, request);
        let task = story.told(ts, task, Origin::Sent);
        let mut commit = story.change(Vec::new());
        commit.events = vec![first, task];
        story.commit(commit).await.unwrap();
        story
    }

    pub(crate) fn id(&self) -> &ConversationId {
        &self.state.settings.conversation_id
    }

    pub(crate) fn message(&self, from: &str, kind: MessageType, body: &str) -> Message {
        let to = if from == "openclaw" { "codex" } else { "openclaw" };
        Message {
            id: message_id(),
            ts: self.state.updated_at,
            conversation_id: self.id().clone(),
            from: Actor(from.into()),
            to: Actor(to.into()),
            kind,
            requires_response: kind.needs_answer_by_default(),
            round: 1,
            max_rounds: 100,
            turn_id: Some(TurnId::nth(1)),
            body: body.into(),
            metadata: serde_json::Map::new(),
        }
    }

    #[expect(clippy::unused_self, reason = "reads as a sentence")]
    pub(crate) fn told(&self, ts: Timestamp, message: Message, origin: Origin) -> Event {
        let turn_id = message.turn_id.clone();
        Event {
            ts,
            turn_id,
            body: EventBody::Message(Box::new(MessageRecorded { message, origin, fingerprint: None })),
        }
    }

    /// A change with these events, built on what this caller knows.
    pub(crate) fn change(&self, events: Vec<Event>) -> Commit {
        Commit {
            conversation_id: self.id().clone(),
            base_seq: self.seq,
            events,
            state: self.state.clone(),
            deliveries: Vec::new(),
            revoke_tickets: false,
            checkpoint: None,
            request: None,
        }
    }

    /// A change with one event that says nothing.
    pub(crate) fn noticed(&self, text: &str) -> Commit {
        self.change(vec![notice(self.state.updated_at, text)])
    }

    /// Commits, and goes on from there.
    pub(crate) async fn commit(&mut self, commit: Commit) -> Result<Committed, StoreError> {
        let committed = self.store.commit(commit).await?;
        self.seq = committed.seq;
        Ok(committed)
    }

    /// The agent says something, and it is delivered.
    pub(crate) async fn report(&mut self, kind: MessageType, body: &str) -> (MessageId, DeliveryId) {
        let message = self.message("codex", kind, body);
        let id = message.id.clone();
        let delivery = self.delivery(&message);
        let key = delivery.key.clone();
        let mut commit = self.change(vec![self.told(self.state.updated_at, message, Origin::Callback)]);
        commit.deliveries.push((SinkKind::Command, delivery));
        self.commit(commit).await.unwrap();
        (id, key)
    }

    /// The same, for a session of OpenClaw; of this installation, or of any.
    pub(crate) async fn report_to(
        &mut self,
        session_key: &str,
        gateway: Option<&str>,
        kind: MessageType,
        body: &str,
    ) -> DeliveryId {
        let message = self.message("codex", kind, body);
        let mut delivery = self.delivery(&message);
        delivery.orchestrator = Some(session_key.into());
        delivery.recipient = gateway.map(|g| Recipient { gateway: Some(g.into()), ..Recipient::default() });
        let key = delivery.key.clone();
        let mut commit = self.change(vec![self.told(self.state.updated_at, message, Origin::Callback)]);
        commit.deliveries.push((SinkKind::Plugin, delivery));
        self.commit(commit).await.unwrap();
        key
    }

    pub(crate) fn delivery(&self, message: &Message) -> DeliveryBody {
        DeliveryBody {
            key: DeliveryId::of(self.id(), &message.id),
            conversation_id: self.id().clone(),
            message_id: message.id.clone(),
            kind: message.kind.as_str().into(),
            needs_answer: message.requires_response,
            agent: "codex".into(),
            orchestrator: None,
            recipient: None,
            title: "a title".into(),
            round: message.round,
            asked_at: None,
            ts: message.ts,
            text: message.body.clone(),
            permission: None,
        }
    }

    /// Moves it to `phase` at `ts`.
    pub(crate) async fn becomes(&mut self, phase: Phase, ts: Timestamp) {
        self.state.phase = phase;
        self.state.updated_at = ts;
        let commit = self.noticed("moved");
        self.commit(commit).await.unwrap();
    }

    pub(crate) async fn close(&mut self) {
        let ts = self.state.updated_at;
        self.becomes(Phase::Closed { at: ts, reason: "closed by request".into() }, ts).await;
    }

    pub(crate) fn launch(&self, n: u32) -> LaunchRow {
        LaunchRow {
            launch_id: launch_id(n),
            conversation_id: self.id().clone(),
            facts: serde_json::json!({"transport": "acp"}),
            state: LaunchState::Starting,
            identity: None,
            ticket_hash: format!("hash-{n}"),
            created_at: self.state.updated_at,
            offset: 0,
            reader: serde_json::Value::Null,
        }
    }

    pub(crate) fn request(&self, name: &str) -> AnsweredRequest {
        AnsweredRequest {
            request_id: request_id(name),
            method: "conversation.send".into(),
            conversation_id: self.id().clone(),
            message_id: None,
            turn_id: Some(TurnId::nth(1)),
        }
    }
}

pub(crate) fn notice(ts: Timestamp, text: &str) -> Event {
    let body = EventBody::AgentActivity(Activity::Notice { text: text.into() });
    Event { ts, turn_id: Some(TurnId::nth(1)), body }
}

/// What a notice says.
pub(crate) fn text_of(body: &EventBody) -> &str {
    match body {
        EventBody::AgentActivity(Activity::Notice { text }) => text,
        EventBody::Message(told) | EventBody::LateCallback(told) => &told.message.body,
        other => other.name(),
    }
}

/// A call of a terminal's about the conversation `n`.
pub(crate) fn audited(n: u32, at: Timestamp, method: &str, result: &str) -> AuditRow {
    AuditRow {
        at,
        via: AuditWay::Control,
        method: method.into(),
        conversation_id: Some(task(n)),
        request_id: Some(request_id("call-9")),
        result: result.into(),
        peer: Some(AuditPeer { pid: Some(4242), uid: 1000, executable: Some("/usr/bin/akkctl".into()) }),
    }
}
