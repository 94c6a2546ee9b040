//! Waiting: for an agent to take a prompt, and for a conversation to need someone.

use super::Control;
use crate::conversation::view::need;
use akk_core::Conversation;
use akk_proto::api::{WaitAnswer, WaitParams};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::{EventBody, EventRecord, TurnOutcome};
use akk_proto::{ConversationId, TurnId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{Instant, timeout_at};

/// Longest wait of one call.
const LONGEST: Duration = Duration::from_hours(1);

/// How far a prompt came while somebody waited.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// The turn that replays the history, when the agent session was lost.
    pub(super) replayed_in: Option<TurnId>,
}

/// Waits until the prompt of `turn` was handed over, or its turn ended, or `longest` is over.
pub(super) async fn until_prompted(
    events: &mut Receiver<Arc<EventRecord>>,
    id: &ConversationId,
    turn: &TurnId,
    longest: Duration,
) -> Reached {
    let end = Instant::now() + longest;
    let mut reached = Reached::default();
    let mut turn = turn.clone();
    while let Ok(event) = timeout_at(end, events.recv()).await {
        let event = match event {
            Ok(event) if event.conversation_id == *id => event,
            Ok(_) => continue,
            // Too much happened at once, or akkd stops: the state says how things are.
            Err(RecvError::Lagged(_) | RecvError::Closed) => break,
        };
        match &event.body {
            EventBody::RecoveryStarted { automatic: true, .. } => turn = TurnId::nth(turn.ordinal() + 1),
            EventBody::TurnStarted(start) if start.turn_id == turn && turn.ordinal() > 1 => {
                if matches!(start.prompt, akk_proto::event::PromptKind::Replay) {
                    reached.replayed_in = Some(turn.clone());
                }
            }
            EventBody::PromptSent { .. } if event.turn_id.as_ref() == Some(&turn) => break,
            EventBody::TurnEnded(end) if end.outcome != TurnOutcome::NotDelivered => break,
            EventBody::ConversationStalled { .. }
            | EventBody::ConversationNeedsRecovery { .. }
            | EventBody::ConversationNeedsModelSelection { .. }
            | EventBody::ConversationClosed { .. }
            | EventBody::CancelRequested { .. } => break,
            _ => {}
        }
    }
    reached
}

impl Control {
    pub(super) async fn wait_for_need(&self, params: WaitParams) -> Result<WaitAnswer, Failure> {
        let longest = Duration::from_millis(params.timeout_ms.unwrap_or(60_000));
        if longest > LONGEST {
            return Err(Failure::new(
                ErrorKind::InvalidParams,
                format!("a wait of {} ms is too long", longest.as_millis()),
                "One call waits an hour at most; call again.",
            ));
        }
        let end = Instant::now() + longest;
        // Subscribed before the first look, so that nothing falls between.
        let mut events = self.store.subscribe_events();
        let only = match (&params.conversation_id, params.any) {
            (Some(_), true) => {
                return Err(Failure::new(
                    ErrorKind::InvalidParams,
                    "a conversation and any were both given",
                    "Name a conversation, or ask for any.",
                ));
            }
            (None, true) => None,
            (text, false) => Some(self.resolve(text.as_deref().unwrap_or_default()).await?),
        };
        if let Some(id) = &only
            && let Some(answer) = self.needs_now(id).await?
        {
            return Ok(answer);
        }
        loop {
            match timeout_at(end, events.recv()).await {
                Err(_elapsed) => return self.nothing_happened(only.as_ref()).await,
                Ok(Ok(event)) => {
                    let concerns = only.as_ref().is_none_or(|id| *id == event.conversation_id);
                    if concerns
                        && changes_need(&event.body, only.is_some())
                        && let Some(answer) = self.needs_now(&event.conversation_id).await?
                    {
                        return Ok(answer);
                    }
                }
                Ok(Err(RecvError::Lagged(_))) => {
                    if let Some(id) = &only
                        && let Some(answer) = self.needs_now(id).await?
                    {
                        return Ok(answer);
                    }
                }
                Ok(Err(RecvError::Closed)) => {
                    return Err(Failure::new(ErrorKind::Stopping, "akkd is stopping", "Wait again when it runs."));
                }
            }
        }
    }

    async fn needs_now(&self, id: &ConversationId) -> Result<Option<WaitAnswer>, Failure> {
        let state = match self.conversations.state(id).await {
            Ok(state) => state,
            Err(e) if e.kind == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        match need(&state) {
            Some(_) => Ok(Some(self.wait_answer(&state, false).await?)),
            None => Ok(None),
        }
    }

    async fn nothing_happened(&self, only: Option<&ConversationId>) -> Result<WaitAnswer, Failure> {
        match only {
            Some(id) => {
                let state = self.conversations.state(id).await?;
                self.wait_answer(&state, true).await
            }
            None => Ok(WaitAnswer { need: None, timed_out: true, conversation: None, message: None }),
        }
    }

    async fn wait_answer(&self, state: &Conversation, timed_out: bool) -> Result<WaitAnswer, Failure> {
        Ok(WaitAnswer {
            need: need(state),
            timed_out,
            conversation: Some(self.view(state).await?),
            message: self.last_report(state).await?,
        })
    }
}

/// Whether an event can be the one after which somebody is needed. For `any` each need is told by one event only.
fn changes_need(body: &EventBody, one: bool) -> bool {
    match body {
        EventBody::Message(m) => !m.message.from.is_orchestrator(),
        EventBody::ConversationStalled { .. }
        | EventBody::ConversationNeedsRecovery { .. }
        | EventBody::ConversationNeedsModelSelection { .. }
        | EventBody::ConversationClosed { .. }
        | EventBody::BudgetLevel { .. } => true,
        EventBody::TurnEnded(end) => one || end.outcome == TurnOutcome::Cancelled,
        EventBody::MessagesDropped { .. } => one,
        _ => false,
    }
}
