//! The answer to a question, told inside the turn that asked.
//!
//! What the orchestrator says is recorded first, as a message that waits behind the open turn. Who waits for it gets to
//! see it, and it counts as sent once that one has confirmed; a message that nobody confirms goes on its usual way.

use super::Intake;
use super::intake::Ticket;
use akk_core::decide::{Input, answer_to, waits_for};
use akk_proto::ConversationId;
use akk_proto::MessageId;
use akk_proto::api::{AwaitAnswer, AwaitParams, ConfirmAnswer, ConfirmParams};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::EventBody;
use akk_proto::limits::MAX_ANSWER_WAIT_MS;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};

/// How long it may take from a question to the wait for its answer.
const ABOUT_TO_WAIT: Duration = Duration::from_secs(2);

/// Who waits for an answer now. Cheap to clone.
#[derive(Clone, Default)]
pub struct Waits(Arc<Mutex<HashMap<ConversationId, usize>>>);

/// Somebody waits, until this is dropped.
struct Wait {
    id: ConversationId,
    waits: Waits,
}

impl Waits {
    /// Whether the agent of this conversation waits for an answer inside its turn.
    pub fn is_on(&self, id: &ConversationId) -> bool {
        self.lock().contains_key(id)
    }

    /// Somebody is about to wait: until then, and a little longer, it is as if it waited already.
    pub(super) fn expect(&self, id: &ConversationId) {
        let wait = self.begin(id);
        tokio::spawn(async move {
            tokio::time::sleep(ABOUT_TO_WAIT).await;
            drop(wait);
        });
    }

    fn begin(&self, id: &ConversationId) -> Wait {
        *self.lock().entry(id.clone()).or_default() += 1;
        Wait { id: id.clone(), waits: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConversationId, usize>> {
        // Nothing is left half done under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut waits = self.waits.lock();
        if let Some(count) = waits.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                waits.remove(&self.id);
            }
        }
    }
}

impl Intake {
    /// Waits for what the orchestrator says to a question of the open turn.
    ///
    /// # Errors
    /// `ticket_refused`, `not_found`, `storage`, `stopping`.
    pub async fn await_answer(&self, params: AwaitParams) -> Result<AwaitAnswer, Failure> {
        let AwaitParams { conversation_id: id, ticket, message_id: question, wait_ms } = params;
        let valid = self.check_ticket(&id, &ticket).await?;
        let until = Instant::now() + Duration::from_millis(wait_ms.min(MAX_ANSWER_WAIT_MS));
        // Before the first look, so that nothing falls between.
        let mut events = self.store.subscribe_events();
        let _wait = self.waits.begin(&id);
        loop {
            let state = self.conversations.state(&id).await?;
            let status = state.status();
            if matches!(valid, Ticket::Revoked) || !waits_for(&state, &question) {
                return Ok(AwaitAnswer { answer: None, over: true, status });
            }
            if let Some(answer) = answer_to(&state, &question) {
                let Some(recorded) = self.store.message(&id, &answer.message_id).await? else {
                    let message = format!("{} is not in the history", answer.message_id);
                    return Err(Failure::new(ErrorKind::Internal, message, "End your turn."));
                };
                return Ok(AwaitAnswer { answer: Some(recorded.message), over: false, status });
            }
            loop {
                match timeout_at(until, events.recv()).await {
                    Err(_elapsed) => return Ok(AwaitAnswer { answer: None, over: false, status }),
                    Ok(Ok(event)) if event.conversation_id != id => {}
                    Ok(Ok(_) | Err(RecvError::Lagged(_))) => break,
                    Ok(Err(RecvError::Closed)) => {
                        return Err(Failure::new(ErrorKind::Stopping, "akkd is stopping", "Wait again when it runs."));
                    }
                }
            }
        }
    }

    /// The agent is being told an answer: it counts as sent. When it answers, that is durable.
    ///
    /// # Errors
    /// `ticket_refused`, `not_found`, `storage`, `stopping`.
    pub async fn confirm_answer(&self, params: ConfirmParams) -> Result<ConfirmAnswer, Failure> {
        self.check_ticket(&params.conversation_id, &params.ticket).await?;
        self.take_drops(&params.conversation_id).await;
        self.confirm(params).await
    }

    /// The same, on whatever way it came.
    pub(super) async fn confirm(&self, params: ConfirmParams) -> Result<ConfirmAnswer, Failure> {
        let ConfirmParams { conversation_id: id, ticket, message_id: question, answer_id: answer } = params;
        // A former session does not hear what its successor asked for.
        if matches!(self.check_ticket(&id, &ticket).await?, Ticket::Revoked) {
            return Ok(ConfirmAnswer { confirmed: false, status: self.conversations.state(&id).await?.status() });
        }
        let input = Input::AnswerTaken { question: question.clone(), answer: answer.clone() };
        match self.conversations.ask(&id, input, None).await {
            Ok(taken) => Ok(ConfirmAnswer { confirmed: true, status: taken.state.status() }),
            // It does not wait any more: it went another way, or this was said before.
            Err(error) if error.kind == ErrorKind::WrongStatus => {
                let status = self.conversations.state(&id).await?.status();
                Ok(ConfirmAnswer { confirmed: self.was_taken(&id, &question, &answer).await?, status })
            }
            Err(error) => Err(error),
        }
    }

    /// Whether that question was answered with that message inside the open turn.
    async fn was_taken(&self, id: &ConversationId, question: &MessageId, answer: &MessageId) -> Result<bool, Failure> {
        let Some(open) = self.conversations.state(id).await?.open_turn else { return Ok(false) };
        let events = self.store.events_of_turn(id, &open.turn_id, &["question_answered"]).await?;
        let is_it = |body: &EventBody| matches!(body, EventBody::QuestionAnswered { question: q, answer: a } if q == question && a == answer);
        Ok(events.iter().any(|event| is_it(&event.body)))
    }
}
