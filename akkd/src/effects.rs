//! Carries out what core asked for; the only place that knows executors, prompts and configuration together.

use crate::callback::Intake;
use crate::config::ConfigSource;
use crate::conversation::{Asked, Conversations};
use crate::executor::{
    Executors, PermissionAnswer, PromptError, PromptSource, RecoveredTurn, ReportError, ReportSink, TurnOrder,
};
use crate::fault::{Point, point};
use crate::store::{Checkpoint, PromptFate, Store, StoreError};
use akk_core::conversation::Origin;
use akk_core::prompt::{self, Facts, REPLAY_CHARS, REPLAY_MESSAGES};
use akk_core::{Conversation, Effect, Ended, ExecutorReport, How};
use akk_proto::conversation::Transport;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::{EventBody, PromptKind, TurnStart};
use akk_proto::message::Message;
use akk_proto::{ConversationId, MessageId, TurnId};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Carries out effects.
#[derive(Clone)]
pub struct Effects {
    conversations: Conversations,
    executors: Executors,
    config: Arc<ConfigSource>,
    store: Store,
    intake: Intake,
}

impl Effects {
    /// What it takes to carry out effects.
    pub fn new(
        conversations: Conversations,
        executors: Executors,
        config: Arc<ConfigSource>,
        store: Store,
        intake: Intake,
    ) -> Self {
        Self { conversations, executors, config, store, intake }
    }

    /// Serves the channel of effects until every sender is gone.
    pub async fn run(self, mut asked: mpsc::Receiver<Asked>) {
        while let Some(Asked { conversation_id, effects }) = asked.recv().await {
            for effect in effects {
                point(Point::EffectTaken);
                self.carry_out(&conversation_id, effect).await;
            }
        }
    }

    async fn carry_out(&self, id: &ConversationId, effect: Effect) {
        match effect {
            Effect::StartTurn(start) => self.start_turn(id, &start.turn_id).await,
            Effect::CancelTurn { turn_id } => {
                let grace = self.config.current().cancel_grace;
                self.executors.cancel_turn(id.clone(), turn_id, grace);
            }
            Effect::AnswerPermission { launch_id, request, option } => {
                self.executors.answer_permission(id.clone(), PermissionAnswer { launch_id, request, option });
            }
            Effect::ReleaseAgent { reason } => {
                self.executors.release(id.clone(), reason);
                self.close_drops(id.clone());
            }
            // Part of the transaction that asked for them.
            Effect::RevokeTickets | Effect::Deliver { .. } => {}
        }
    }

    async fn start_turn(&self, id: &ConversationId, turn_id: &TurnId) {
        let order = match self.conversations.state(id).await {
            Ok(state) => self.order(&state, turn_id),
            Err(error) => Err(error),
        };
        match order {
            Ok(order) => self.executors.start_turn(order),
            Err(error) => {
                tracing::error!(%id, %turn_id, %error, "a turn cannot be started");
                self.end_turn(id, turn_id, How::CannotStart { reason: error.message });
            }
        }
    }

    /// Where the conversation is closed, nothing is left for it any more.
    fn close_drops(&self, id: ConversationId) {
        let (conversations, intake) = (self.conversations.clone(), self.intake.clone());
        // Off this task: what is taken in asks for work of it.
        tokio::spawn(async move {
            if conversations.state(&id).await.is_ok_and(|state| state.phase.is_terminal()) {
                intake.close_drops(&id).await;
            }
        });
    }

    fn end_turn(&self, id: &ConversationId, turn_id: &TurnId, how: How) {
        let report = ExecutorReport::TurnEnded { turn_id: turn_id.clone(), ended: Box::new(Ended::bare(how)) };
        // Off this task: the conversation may be waiting for room in the channel that this task empties.
        let conversations = self.conversations.clone();
        let id = id.clone();
        tokio::spawn(async move {
            if let Err(error) = conversations.executor_report(&id, report, None).await {
                tracing::error!(%id, %error, "a turn that cannot be started could not be ended");
            }
        });
    }

    fn order(&self, state: &Conversation, turn_id: &TurnId) -> Result<TurnOrder, Failure> {
        let s = &state.settings;
        let config = self.config.current();
        let mut agent = config.agent(&s.agent)?.clone();
        let attachment = state.attachment().cloned();
        let mut replaces = None;
        if s.transport == Transport::Codex {
            // The agent's settings hold (environment, proxy, actor), but its session is Codex's own: another program
            // resumes it, in the home that it lies in, with the model that it has.
            agent.transport = Transport::Codex;
            agent.command.clone_from(&config.codex_command);
            agent.model = None;
            if let Some(Origin::Attached { attachment: origin, .. }) = &state.origin {
                agent.env.insert("CODEX_HOME".to_owned(), origin.home.clone());
                replaces = attachment.is_none().then(|| (**origin).clone());
            }
        }
        if agent.transport != s.transport {
            return Err(Failure::new(
                ErrorKind::AgentUnavailable,
                format!(
                    "the agent {} is reached over {} now, this conversation began over {}",
                    s.agent, agent.transport, s.transport
                ),
                "Set its transport back, or delegate anew.",
            ));
        }
        if let Some(proxy) = &s.proxy {
            agent.proxy = Some(proxy.clone());
        }
        Ok(TurnOrder {
            conversation_id: s.conversation_id.clone(),
            turn_id: turn_id.clone(),
            workspace: PathBuf::from(&s.workspace),
            session: s.session.clone(),
            native_session: state.native_session.clone(),
            attachment,
            replaces,
            model: s.model.clone().or_else(|| agent.model.clone()),
            proxy: agent.proxy.clone(),
            permissions: s.permissions,
            agent_timeout: Duration::from_secs(u64::from(s.agent_timeout_minutes) * 60),
            agent,
        })
    }

    /// After a start of akkd: settles what the former one left, from what is stored.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn recover(&self) -> Result<(), StoreError> {
        let mut turns = Vec::new();
        for id in self.store.with_open_turn().await? {
            match self.conversations.state(&id).await {
                Ok(state) => {
                    let Some(open) = &state.open_turn else { continue };
                    // The order to stop it may have been lost with a former akkd.
                    let cancelling = state.is_being_stopped();
                    let permissions = open.permissions.clone();
                    match self.order(&state, &open.turn_id) {
                        Ok(order) => turns.push(RecoveredTurn { order, cancelling, permissions }),
                        // Its agent is not configured any more: the turn ends, truthfully.
                        Err(error) if open.prompted => {
                            self.end_turn(&id, &open.turn_id, How::Failed { reason: error.message });
                        }
                        Err(error) => match self.store.prompts_of(&id, &open.turn_id).await {
                            Ok(rows) if rows.last().is_none_or(|row| row.fate == PromptFate::Accepted) => {
                                self.start_turn(&id, &open.turn_id).await;
                            }
                            // It may have arrived, where nobody can ask any more.
                            Ok(_) => self.end_turn(&id, &open.turn_id, How::Uncertain { reason: error.message }),
                            Err(error) => {
                                self.end_turn(&id, &open.turn_id, How::Uncertain { reason: error.to_string() });
                            }
                        },
                    }
                }
                // One conversation that cannot be read harms nobody else.
                Err(error) => tracing::error!(%id, %error, "a conversation with an open turn cannot be read"),
            }
        }
        let live = self.store.live_launches().await?;
        self.executors.recover(turns).await;
        for launch in live {
            let id = launch.conversation_id;
            let needs_no_agent = match self.conversations.state(&id).await {
                Ok(state) => state.phase.is_terminal(),
                // It was deleted while a process of it could not be ended.
                Err(error) => error.kind == ErrorKind::NotFound,
            };
            if needs_no_agent {
                self.executors.release(id, "conversation closed".to_owned());
            }
        }
        Ok(())
    }
}

/// The conversation room takes what executors learn.
pub struct ToConversations {
    /// The way to every conversation.
    pub conversations: Conversations,
    /// Knows what agents left for them.
    pub intake: Intake,
}

impl ReportSink for ToConversations {
    fn report(
        &self,
        conversation: ConversationId,
        report: ExecutorReport,
        checkpoint: Option<Checkpoint>,
    ) -> BoxFuture<'static, Result<(), ReportError>> {
        let (conversations, intake) = (self.conversations.clone(), self.intake.clone());
        async move {
            // What the agent left before it ended its turn belongs to that turn.
            if matches!(report, ExecutorReport::TurnEnded { .. }) {
                intake.take_drops(&conversation).await;
            }
            match conversations.executor_report(&conversation, report, checkpoint).await {
                Ok(_) => Ok(()),
                // What was not judged is said again: a turn whose end is forgotten would never end.
                Err(e) if matches!(e.kind, ErrorKind::Storage | ErrorKind::Stopping | ErrorKind::Internal) => {
                    Err(ReportError::Storage(e.message))
                }
                Err(e) => Err(ReportError::Refused(e.message)),
            }
        }
        .boxed()
    }
}

/// Makes prompts from the history.
#[derive(Clone)]
pub struct Prompts {
    /// Where the history is.
    pub store: Store,
    /// Absolute path of akkctl, for the agent to report back with.
    pub akkctl: Arc<str>,
}

impl PromptSource for Prompts {
    fn prompt(&self, conversation: ConversationId, turn: TurnId) -> BoxFuture<'static, Result<String, PromptError>> {
        let prompts = self.clone();
        async move { prompts.make(&conversation, &turn).await.map_err(PromptError) }.boxed()
    }
}

impl Prompts {
    async fn make(&self, id: &ConversationId, turn_id: &TurnId) -> Result<String, String> {
        let stored = |e: StoreError| e.to_string();
        let Some((conversation, _)) = self.store.load(id).await.map_err(stored)? else {
            return Err(format!("there is no conversation {id}"));
        };
        let events = self.store.events_of_turn(id, turn_id, &["turn_started"]).await.map_err(stored)?;
        let Some(start) = events.into_iter().find_map(|e| match e.body {
            EventBody::TurnStarted(start) => Some(start),
            _ => None,
        }) else {
            return Err(format!("{turn_id} was never started"));
        };
        let TurnStart { prompt, message_id, controls: control_ids, .. } = start;
        let message = self.message(id, &message_id).await?;
        let mut controls = Vec::new();
        for control in &control_ids {
            controls.push(self.message(id, control).await?);
        }
        let facts = Facts { conversation: &conversation, turn_id, akkctl: &self.akkctl };
        Ok(match prompt {
            PromptKind::Bootstrap => prompt::bootstrap(facts, &controls, &message),
            PromptKind::FollowUp => prompt::follow_up(facts, &controls, &message),
            PromptKind::Replay => {
                let history =
                    self.store.recent_messages(id, REPLAY_MESSAGES as u32 + 1, REPLAY_CHARS).await.map_err(stored)?;
                prompt::replay(facts, &history, &controls, &message)
            }
        })
    }

    async fn message(&self, id: &ConversationId, message_id: &MessageId) -> Result<Message, String> {
        match self.store.message(id, message_id).await {
            Ok(Some(recorded)) => Ok(recorded.message),
            Ok(None) => Err(format!("the message {message_id} is not in the history")),
            Err(e) => Err(e.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callback::DropFolders;
    use crate::conversation::testing::{House, created, normal};

    #[tokio::test]
    async fn a_silent_turn_that_was_to_be_stopped_is_stopped_by_the_next_akkd() {
        let house = House::new();
        let mut c = created(1);
        c.stop_on_timeout = true;
        let id = house.begin(c).await;
        assert!(!house.conversations.state(&id).await.unwrap().is_being_stopped());
        let turn_id = house.open_turn(&id).await;
        let silent = ExecutorReport::Inactive { turn_id, minutes: 60 };
        house.conversations.executor_report(&id, silent, None).await.unwrap();
        assert!(house.conversations.state(&id).await.unwrap().is_being_stopped());
    }

    #[tokio::test]
    async fn a_report_that_comes_while_akkd_stops_is_not_taken_for_refused() {
        let house = House::new();
        let id = house.begin(created(1)).await;
        let turn_id = house.open_turn(&id).await;
        house.store.close().await;
        let report = ExecutorReport::TurnEnded { turn_id, ended: Box::new(Ended::bare(normal())) };
        let folders = DropFolders::new(house.dir.path(), &house.dir.path().join("tmp"));
        let intake = Intake::new(house.store.clone(), house.conversations.clone(), folders);
        let to = ToConversations { conversations: house.conversations.clone(), intake };
        let answer = to.report(id, report, None).await;
        assert!(matches!(answer, Err(ReportError::Storage(_))), "{answer:?}");
    }
}
