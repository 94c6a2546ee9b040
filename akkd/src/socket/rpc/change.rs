//! Calls that change a conversation that exists.

use super::{Control, StopAsked, call};
use crate::conversation::{Answer, check_name, session_name};
use akk_core::decide::{Input, Send};
use akk_proto::ConversationId;
use akk_proto::api::{
    CancelAnswer, CloseParams, ConversationParams, DaemonInfo, DeleteAnswer, SendAnswer, SendParams, SendState,
};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::version::{OLDEST_CLIENT, PROTOCOL, VERSION};
use std::time::Duration;

/// How long the answer of a send waits to learn whether the agent session could be reached.
const REACH_WAIT: Duration = Duration::from_secs(10);
/// How long it waits for an agent that waits for it inside its turn to take it.
const TAKE_WAIT: Duration = Duration::from_secs(3);

impl Control {
    pub(super) async fn say(&self, params: SendParams) -> Result<SendAnswer, Failure> {
        let id = self.resolve(&params.conversation_id).await?;
        params.model.as_deref().map_or(Ok(()), |model| check_name("model", model))?;
        let answered = match &params.request_id {
            Some(request_id) => self.store.find_request(request_id).await?.is_some(),
            None => false,
        };
        // A repeat is answered whoever has the session now.
        if !answered {
            self.takeovers.refuse_if_taken(&self.conversations.state(&id).await?).await?;
        }
        let input = Input::Send(Send {
            message: params.message,
            kind: params.kind,
            model: params.model,
            soft_limit: params.soft_limit,
            hard_limit: params.hard_limit,
            cancel_first: params.cancel_first,
        });
        self.prompt(&id, input, params.request_id, "conversation.send").await
    }

    pub(super) async fn replay(&self, params: ConversationParams) -> Result<SendAnswer, Failure> {
        let id = self.resolve(&params.conversation_id).await?;
        let agent = self.conversations.state(&id).await?.settings.agent;
        let input = Input::Recover { session: session_name(&agent, self.clock.wall()) };
        self.prompt(&id, input, params.request_id, "conversation.recover").await
    }

    async fn prompt(
        &self,
        id: &ConversationId,
        input: Input,
        request_id: Option<akk_proto::RequestId>,
        method: &'static str,
    ) -> Result<SendAnswer, Failure> {
        let mut events = self.store.subscribe_events();
        // Before the message is there: who takes it waits no more.
        let waited_for = self.waits.is_on(id);
        let Answer { said, repeated, .. } = self.conversations.ask(id, input, call(request_id, method)).await?;
        let message_id = said
            .message_id
            .ok_or_else(|| Failure::new(ErrorKind::Internal, "the message was not recorded", "Send it again."))?;
        let mut turn_id = said.turn_id;
        let mut auto_recovered = said.auto_recovered;
        if let Some(turn) = turn_id.clone().filter(|_| !repeated) {
            let reached = super::wait::until_prompted(&mut events, id, &turn, REACH_WAIT).await;
            if let Some(replayed_in) = reached.replayed_in {
                auto_recovered = true;
                turn_id = Some(replayed_in);
            }
        }
        if said.queued && waited_for {
            turn_id = super::wait::until_taken(&mut events, id, &message_id, TAKE_WAIT).await;
        }
        let state = self.conversations.state(id).await?;
        let queued = state.queue.iter().any(|q| q.message_id == message_id);
        Ok(SendAnswer {
            conversation: self.view(&state).await?,
            message_id,
            turn_id: turn_id.filter(|_| !queued),
            state: if queued { SendState::Queued } else { SendState::Sent },
            budget_level: state.budget_level(),
            auto_recovered,
            dropped: said.dropped,
            repeated,
        })
    }

    pub(super) async fn stop_turn(&self, params: ConversationParams) -> Result<CancelAnswer, Failure> {
        let id = self.resolve(&params.conversation_id).await?;
        let answer = self.conversations.ask(&id, Input::Cancel, call(params.request_id, "conversation.cancel")).await?;
        self.stopped(answer).await
    }

    pub(super) async fn end(&self, params: CloseParams) -> Result<CancelAnswer, Failure> {
        let id = self.resolve(&params.conversation_id).await?;
        let reason = params.reason.map(|r| r.split(char::is_control).collect::<Vec<_>>().join(" "));
        let reason = reason.filter(|r| !r.trim().is_empty()).unwrap_or_else(|| "closed by request".to_owned());
        let input = Input::Close { reason: akk_core::redact::cut(&reason, 500) };
        let answer = self.conversations.ask(&id, input, call(params.request_id, "conversation.close")).await?;
        self.stopped(answer).await
    }

    async fn stopped(&self, answer: Answer) -> Result<CancelAnswer, Failure> {
        Ok(CancelAnswer {
            conversation: self.view(&answer.state).await?,
            nothing_to_cancel: answer.said.nothing_to_cancel,
            dropped: answer.said.dropped,
        })
    }

    pub(super) async fn forget(&self, params: ConversationParams) -> Result<DeleteAnswer, Failure> {
        let id = self.resolve(&params.conversation_id).await?;
        let state = self.conversations.state(&id).await?;
        if !state.phase.is_terminal() {
            return Err(Failure::new(
                ErrorKind::WrongStatus,
                format!("the conversation is {}", state.status()),
                "Only closed conversations can be deleted: close it first.",
            ));
        }
        self.conversations.delete(&id).await?;
        Ok(DeleteAnswer { conversation_id: id })
    }

    pub(super) async fn info(&self) -> Result<DaemonInfo, Failure> {
        let counts = self.store.counts().await?;
        if *self.stop.borrow() != StopAsked::No {
            return Err(Failure::new(ErrorKind::Stopping, "akkd is stopping", "Try again in a moment."));
        }
        Ok(DaemonInfo {
            version: VERSION.to_owned(),
            protocol: PROTOCOL,
            oldest_protocol: Some(OLDEST_CLIENT),
            pid: std::process::id(),
            started_at: self.started_at,
            uptime_ms: self.clock.wall().millis_since(self.started_at).max(0) as u64,
            home: self.paths.state.display().to_string(),
            socket: self.paths.control_socket.display().to_string(),
            config: self.paths.config.display().to_string(),
            open_conversations: counts.open_conversations,
            conversations: counts.conversations,
            open_turns: counts.open_turns,
            agents: (self.agents)(),
            undelivered: counts.undelivered,
            overdue: self.store.overdue(self.clock.wall()).await?,
        })
    }
}
