//! A conversation from its beginning to its end: delegate or adopt, progress, question, answer, done, two messages of
//! which one waits and one asks for a permission, cancel, deliveries, close.

use crate::sinks::{CHAT, Chat, Told};
use akk_proto::ConversationId;
use akk_proto::api::{ControlClient as _, DelegateParams};
use akk_proto::conversation::{Status, Transport};
use akk_proto::delivery::{DeliveryState, SinkKind};
use akk_proto::session::{DiscoverParams, DiscoverScope, Strategy, TakeoverParams};
use akk_tests::agent::Line;
use akk_tests::binaries::binaries;
use akk_tests::native::{self, wanted};
use akk_tests::{Codex, Daemon, Home, Plan, User, wait_for, wait_within};
use std::time::Duration;

/// How long one turn of a real peer may take beside others.
const WITH_REAL_PEERS: Duration = Duration::from_mins(3);

/// What the agent is told, in the language of one kind of agent.
pub(crate) struct Lines {
    /// Reports `Halfway.` as progress and asks `Which colour?`.
    ask: String,
    /// Reports `Painted it red.` as done.
    answer: String,
    /// Ends its turn with `The third.`, over ACP after a permission that a person gives.
    third: String,
    /// Ends its turn with `The fourth.`.
    fourth: String,
    /// Works until it is stopped.
    endless: String,
}

impl Lines {
    /// For the scriptable agent.
    fn for_demo(transport: Transport) -> Self {
        // acpx asks nobody.
        let permission = if transport == Transport::Acp { "perm2 sweep the attic\n" } else { "" };
        Self {
            ask: "callback progress Halfway.\nask Which colour?".to_owned(),
            answer: "callback done Painted it red.".to_owned(),
            third: format!("tool ls\n{permission}say The third."),
            fourth: "think hard\nsay The fourth.".to_owned(),
            endless: "tool ls\nsleep 600".to_owned(),
        }
    }

    /// For codex with a scripted model.
    fn for_codex() -> Self {
        let akkctl = binaries().akkctl.to_str().unwrap();
        let report = |kind, body| format!(r#"RUN {akkctl} callback '{{"type":"{kind}","body":"{body}"}}'"#);
        Self {
            ask: [&report("progress", "Halfway."), &report("question", "Which colour?"), "SAY Asked."].join(";;"),
            answer: [&report("done", "Painted it red."), "SAY Reported."].join(";;"),
            third: "RUN ls;;SAY The third.".to_owned(),
            fourth: "SAY The fourth.".to_owned(),
            endless: "RUN exec sleep 600".to_owned(),
        }
    }
}

/// What was told, in the order in which the turns came.
pub(crate) const TOLD: [(&str, &str); 5] = [
    ("progress", "Halfway."),
    ("question", "Which colour?"),
    ("done", "Painted it red."),
    ("done", "The third."),
    ("done", "The fourth."),
];

/// What is said in the conversation that a chat of OpenClaw's asked for.
pub(crate) const FOR_CHAT: &str = "For the chat.";

/// The conversation after it.
pub(crate) struct Over {
    pub(crate) user: User,
    pub(crate) id: ConversationId,
    pub(crate) told: Told,
    pub(crate) chat: Option<(Chat, ConversationId)>,
    /// What the real codex ran on; ends after akkd.
    pub(crate) codex: Option<Codex>,
    lines: Lines,
}

/// With the scriptable agent, over ACP or the real acpx, reported to a command; over ACP a second conversation reports
/// to a chat. `deaths`: where akkd dies.
pub(crate) async fn with_demo(transport: Transport, deaths: &[&str]) -> Over {
    let home = Home::new();
    let told = Told::on(&home);
    let plan = told.plan(Plan::default().over(transport).cancel_grace(10));
    let mut user = User::start(Daemon::not_started(plan, home), deaths).await;
    if transport != Transport::Acp {
        user.patience = WITH_REAL_PEERS;
    }
    let lines = Lines::for_demo(transport);
    let task = user.akkd.task(&lines.ask);
    let id = user.delegate(task).await;
    let mut over = Over { user, id, told, chat: None, codex: None, lines };
    over.talk().await;
    if transport == Transport::Acp {
        over.tell_a_chat().await;
    }
    over.end().await;
    over
}

/// With the real codex, in a session that a person began: none where codex cannot be had.
pub(crate) async fn with_codex(story: &str, deaths: &[&str]) -> Option<Over> {
    let home = Home::new();
    let told = Told::on(&home);
    let codex = Codex::new(&home, story)?;
    let options = ["-s", "danger-full-access"];
    let session = codex.session_with(&options, "The word is swordfish.\nSAY Noted.").await;
    let plan = told.plan(native::plan(&home, &codex)).cancel_grace(10);
    let mut user = User::start(Daemon::not_started(plan, home), deaths).await;
    user.patience = WITH_REAL_PEERS;
    let id = adopt(&mut user, &session).await;
    let lines = Lines::for_codex();
    user.send(&id, &lines.ask).await;
    let mut over = Over { user, id, told, chat: None, codex: Some(codex), lines };
    over.talk().await;
    over.end().await;
    Some(over)
}

/// Makes the session of a person a conversation.
async fn adopt(user: &mut User, session: &str) -> ConversationId {
    let sessions = DiscoverParams { scope: DiscoverScope::Sessions, ..DiscoverParams::default() };
    wait_for("the session to be known", async || {
        let found = user.call(async |rpc| rpc.discover(sessions.clone()).await).await.unwrap();
        found.sessions.into_iter().find(|s| s.session_id == session)
    })
    .await;
    let params = TakeoverParams {
        request_id: Some(user.request()),
        create_conversation: true,
        ..wanted(session, Strategy::SafeResume)
    };
    let taken = user.call(async |rpc| rpc.takeover(params.clone()).await).await.unwrap();
    taken.conversation.unwrap().conversation_id
}

impl Over {
    /// How many prompts reached the agent: those of this turn.
    pub(crate) fn heard(&self, turn: &str) -> usize {
        if let Some(codex) = &self.codex {
            return codex.model.prompts(&format!("--turn {turn} ")).len();
        }
        let prompts = self.user.akkd.agent().all("prompt");
        let ours = |p: &&Line| p.text("conversation") == self.id.as_str();
        prompts.iter().filter(ours).filter(|p| p.text("turn") == turn).count()
    }

    fn endless_is_under_way(&self) -> bool {
        match &self.codex {
            Some(codex) => !codex.model.prompts(&self.lines.endless).is_empty(),
            None => !self.user.akkd.agent().prompts(&self.lines.endless).is_empty(),
        }
    }

    async fn settled(&mut self, expected: Status) {
        let c = self.user.settled(&self.id).await;
        assert_eq!(c.status, expected, "{c:#?}");
    }

    async fn talk(&mut self) {
        self.settled(Status::WaitingForOpenclaw).await;
        self.user.send(&self.id, &self.lines.answer).await;
        self.settled(Status::Idle).await;
        self.user.send(&self.id, &self.lines.third).await;
        self.user.send(&self.id, &self.lines.fourth).await;
        self.settled(Status::Idle).await;
        self.user.send(&self.id, &self.lines.endless).await;
        let under_way = wait_within(self.user.patience, "the endless turn to be under way", async || {
            let stalled = self.user.get(&self.id).await.status == Status::Stalled;
            (stalled || self.endless_is_under_way()).then_some(!stalled)
        });
        if under_way.await {
            self.user.cancel(&self.id).await;
        }
        let c = self.user.still(&self.id).await;
        assert!(matches!(c.status, Status::Idle | Status::Stalled), "{c:#?}");
        if c.status == Status::Stalled {
            self.user.asked.push(c.stalled_reason.unwrap_or_default());
        }
    }

    /// A chat of OpenClaw's asks for something, and is told.
    async fn tell_a_chat(&mut self) {
        let chat = Chat::open(self.user.akkd.home.control_socket());
        let task = self.user.akkd.task(&format!("say {FOR_CHAT}"));
        let task = DelegateParams { orchestrator: Some(CHAT.to_owned()), sink: Some(SinkKind::Plugin), ..task };
        let id = self.user.delegate(task).await;
        let c = self.user.settled(&id).await;
        assert_eq!(c.status, Status::Idle, "{c:#?}");
        self.all_told(&id).await;
        self.user.close(&id).await;
        self.chat = Some((chat, id));
    }

    async fn all_told(&mut self, id: &ConversationId) {
        wait_for("everything to be told", async || {
            let rows = self.user.deliveries(id).await;
            rows.iter().all(|r| r.state == DeliveryState::Acknowledged).then_some(())
        })
        .await;
    }

    async fn end(&mut self) {
        let id = self.id.clone();
        self.all_told(&id).await;
        self.user.close(&id).await;
    }
}
