//! Conversations on a temporary store, for the tests of the rooms that use them.

use super::{Asked, Conversations, IdleQueue, IdleTimers};
use crate::clock::Clock;
use crate::store::Store;
use akk_core::decide::{Beginning, Input, Report};
use akk_core::{Ended, ExecutorReport, How, intake};
use akk_proto::conversation::{PermissionPolicy, RecoveryPolicy, Transport};
use akk_proto::delivery::SinkKind;
use akk_proto::event::Created;
use akk_proto::message::Actor;
use akk_proto::{ConversationId, Timestamp, TurnId};
use tokio::sync::mpsc;

/// Conversations whose agents are played by the test.
pub(crate) struct House {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) timers: IdleTimers,
    pub(crate) conversations: Conversations,
    /// Held, so that what is asked for is not refused.
    _asked: mpsc::Receiver<Asked>,
    pub(crate) idle_queue: Option<IdleQueue>,
}

pub(crate) fn created(n: u32) -> Created {
    Created {
        conversation_id: ConversationId::new(Timestamp(0), n),
        user_request: "fix the tests".into(),
        label: None,
        workspace: "/w".into(),
        agent: "codex".into(),
        actor: Actor("codex".into()),
        session: format!("akk-codex-19700101000000-{n:08x}"),
        transport: Transport::Acp,
        model: None,
        proxy: None,
        soft_limit: 50,
        hard_limit: 100,
        agent_timeout_minutes: 60,
        idle_timeout_minutes: 10080,
        recovery_policy: RecoveryPolicy::Auto,
        permissions: PermissionPolicy::All,
        orchestrator: None,
        recipient: None,
        sink: SinkKind::Command,
        deliver_progress: false,
        native_session: None,
        stop_on_timeout: false,
    }
}

impl House {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("akk.db")).unwrap();
        let clock = Clock::standing_at(Timestamp(1_000_000));
        let (timers, idle_queue) = IdleTimers::new(clock.clone());
        let (conversations, asked) = Conversations::new(store.clone(), clock.clone(), timers.clone());
        Self { dir, store, clock, timers, conversations, _asked: asked, idle_queue: Some(idle_queue) }
    }

    /// A conversation with an open turn.
    pub(crate) async fn begin(&self, created: Created) -> ConversationId {
        let id = created.conversation_id.clone();
        self.conversations.begin(created, Beginning::Request("fix the tests".into()), None).await.unwrap();
        id
    }

    pub(crate) async fn says(&self, id: &ConversationId, json: &str) {
        let report = intake::read(json).unwrap();
        let report = Report { report, turn_id: None, attempt_id: None, undelivered: 0 };
        self.conversations.ask(id, Input::Report(Box::new(report)), None).await.unwrap();
    }

    /// The open turn ends like this.
    pub(crate) async fn ends(&self, id: &ConversationId, how: How) {
        let turn_id = self.open_turn(id).await;
        let report = ExecutorReport::TurnEnded { turn_id, ended: Box::new(Ended::bare(how)) };
        self.conversations.executor_report(id, report, None).await.unwrap();
    }

    pub(crate) async fn open_turn(&self, id: &ConversationId) -> TurnId {
        self.conversations.state(id).await.unwrap().open_turn.unwrap().turn_id
    }
}

/// The protocol says that the turn is over.
pub(crate) fn normal() -> How {
    How::Normal { stop_reason: "end_turn".into() }
}
