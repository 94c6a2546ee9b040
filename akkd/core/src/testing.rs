//! What the tests of this crate begin with.

use crate::conversation::Conversation;
use crate::decide::{Beginning, Decision, Given, begin, begin_with};
use akk_proto::conversation::{PermissionPolicy, RecoveryPolicy, Transport};
use akk_proto::delivery::SinkKind;
use akk_proto::event::Created;
use akk_proto::message::{Actor, Message, MessageType};
use akk_proto::session::{ForkOrigin, NativeAttachment, Strategy};
use akk_proto::{ConversationId, MessageId, Timestamp};
use uuid::Uuid;

/// Step `n` of a test: one second later each, with ids of its own.
pub(crate) fn given(n: u32) -> Given {
    Given { now: Timestamp(i64::from(n) * 1000), seed: Uuid::new_v5(&Uuid::NAMESPACE_OID, &n.to_be_bytes()) }
}

pub(crate) fn created() -> Created {
    Created {
        conversation_id: ConversationId::new(Timestamp(0), 1),
        user_request: "fix the tests".into(),
        label: None,
        workspace: "/w".into(),
        agent: "codex".into(),
        actor: Actor("codex".into()),
        session: "akk-codex-19700101000000-00000001".into(),
        transport: Transport::Acp,
        model: None,
        proxy: None,
        soft_limit: 50,
        hard_limit: 100,
        agent_timeout_minutes: 60,
        idle_timeout_minutes: 10080,
        recovery_policy: RecoveryPolicy::Auto,
        permissions: PermissionPolicy::All,
        permission_minutes: None,
        orchestrator: None,
        recipient: None,
        sink: SinkKind::Command,
        deliver_progress: false,
        native_session: None,
        stop_on_timeout: false,
    }
}

/// The native session that [`attached`] attaches and [`forked`] forks.
pub(crate) const NATIVE: &str = "01a2044f-5141-7193-b8f9-0b2114e9434b";

pub(crate) fn attached() -> Beginning {
    Beginning::Attached(Box::new(NativeAttachment {
        agent: "codex".into(),
        session_id: NATIVE.into(),
        home: "/home/dev/.codex".into(),
        cwd: "/w".into(),
        title: Some("the user's work".into()),
        strategy: Strategy::SafeResume,
        evidence: vec![],
        model: Some("gpt-x".into()),
        sandbox: Some("read-only".into()),
        overrides: vec![],
        control_socket: None,
        cwd_only_confirmed: false,
        attached_at: Timestamp(0),
        steps: vec![],
    }))
}

pub(crate) fn forked() -> Beginning {
    Beginning::Forked(Box::new(ForkOrigin {
        agent: "codex".into(),
        session_id: NATIVE.into(),
        home: "/home/dev/.codex".into(),
        cwd: "/w".into(),
        title: None,
        summary: "Goal: ship it.\nNext: write the tests.".into(),
        forked_at: Timestamp(0),
    }))
}

pub(crate) fn delegated(given: &Given) -> Decision {
    begin(created(), "fix the tests", given).unwrap()
}

pub(crate) fn message_of(c: &Conversation, body: &str) -> Message {
    Message {
        id: MessageId::message(Uuid::nil()),
        ts: Timestamp(0),
        conversation_id: c.settings.conversation_id.clone(),
        from: Actor::orchestrator(),
        to: c.settings.actor.clone(),
        kind: MessageType::Task,
        requires_response: true,
        round: 1,
        max_rounds: 100,
        turn_id: None,
        body: body.into(),
        metadata: serde_json::Map::new(),
    }
}

/// A conversation that is driven step by step, with everything that it asked for.
pub(crate) struct Drive {
    pub(crate) state: Conversation,
    pub(crate) events: Vec<crate::Event>,
    pub(crate) effects: Vec<crate::Effect>,
    pub(crate) said: crate::decide::Said,
    step: u32,
}

impl Drive {
    pub(crate) fn new() -> Self {
        Self::with(created())
    }

    pub(crate) fn with(created: Created) -> Self {
        let d = begin(created, "fix the tests", &given(1)).unwrap();
        Self { state: d.state, events: d.events, effects: d.effects, said: d.said, step: 1 }
    }

    /// A conversation that begins with a native session.
    pub(crate) fn from(beginning: &Beginning) -> Self {
        let attached = matches!(beginning, Beginning::Attached(_));
        let created = Created { native_session: attached.then(|| NATIVE.to_owned()), ..created() };
        let d = begin_with(created, beginning, &given(1)).unwrap();
        Self { state: d.state, events: d.events, effects: d.effects, said: d.said, step: 1 }
    }

    pub(crate) fn try_do(&mut self, input: &crate::decide::Input) -> Result<(), akk_proto::error::Failure> {
        self.step += 1;
        let d = crate::decide::decide(&self.state, input, &given(self.step))?;
        self.state = d.state;
        self.events.extend(d.events);
        self.effects = d.effects;
        self.said = d.said;
        Ok(())
    }

    pub(crate) fn r#do(&mut self, input: crate::decide::Input) -> &mut Self {
        self.try_do(&input).unwrap();
        self
    }

    pub(crate) fn send(&mut self, text: &str) -> &mut Self {
        self.r#do(send(text))
    }

    pub(crate) fn says(&mut self, json: &str) -> &mut Self {
        self.r#do(report(json, None))
    }

    pub(crate) fn agent(&mut self, report: crate::ExecutorReport) -> &mut Self {
        self.r#do(executor(report))
    }

    /// The open turn was prompted and ends like this.
    pub(crate) fn ends(&mut self, ended: crate::Ended) -> &mut Self {
        let turn_id = self.state.open_turn.as_ref().expect("an open turn").turn_id.clone();
        self.agent(crate::ExecutorReport::TurnEnded { turn_id, ended: Box::new(ended) })
    }

    /// The agent's session is there and the prompt was handed over.
    pub(crate) fn prompted(&mut self) -> &mut Self {
        let turn_id = self.state.open_turn.as_ref().expect("an open turn").turn_id.clone();
        self.agent(crate::ExecutorReport::SessionReady(akk_proto::event::SessionEnsured {
            native_session_id: "native-1".into(),
            how: akk_proto::event::SessionReached::Created,
            model: None,
        }))
        .agent(crate::ExecutorReport::PromptSent { turn_id, bytes: 1 })
    }

    /// The first round is over: the agent reported done and the turn has ended.
    pub(crate) fn idle(&mut self) -> &mut Self {
        self.prompted().says(r#"{"type":"done","body":"done"}"#).ends(normal(None))
    }

    pub(crate) fn status(&self) -> &'static str {
        self.state.status().as_str()
    }

    /// Names of the events of the last step or of all.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.events.iter().map(|e| e.body.name()).collect()
    }

    /// Kinds of what the last step queued for the orchestrator.
    pub(crate) fn told(&self) -> Vec<String> {
        crate::decide::deliveries(&self.effects).into_iter().map(|(_, b)| b.kind).collect()
    }

    pub(crate) fn started(&self) -> Option<&crate::StartTurn> {
        self.effects.iter().find_map(|e| match e {
            crate::Effect::StartTurn(s) => Some(s),
            _ => None,
        })
    }
}

pub(crate) fn send(text: &str) -> crate::decide::Input {
    crate::decide::Input::Send(crate::decide::Send { message: Some(text.into()), ..Default::default() })
}

pub(crate) fn report(json: &str, turn: Option<u32>) -> crate::decide::Input {
    crate::decide::Input::Report(Box::new(crate::decide::Report {
        report: crate::intake::read(json).unwrap(),
        turn_id: turn.map(akk_proto::TurnId::nth),
        attempt_id: None,
        undelivered: 0,
    }))
}

pub(crate) fn executor(report: crate::ExecutorReport) -> crate::decide::Input {
    crate::decide::Input::Executor { report, spare_session: "akk-codex-spare".into() }
}

pub(crate) fn normal(text: Option<&str>) -> crate::Ended {
    let how = crate::How::Normal { stop_reason: "end_turn".into() };
    crate::Ended { text: text.map(Into::into), activity_seen: text.is_some(), ..crate::Ended::bare(how) }
}
