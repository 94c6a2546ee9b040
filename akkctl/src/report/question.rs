//! The answer to a question, inside the turn that asked.

use super::leave::leave;
use super::send::{Door, PATIENCE, PAUSE, call, is_restart, is_worth_leaving};
use crate::client::Client;
use crate::error::{Error, Result};
use akk_proto::api::{AwaitAnswer, AwaitParams, ConfirmAnswer, ConfirmParams};
use akk_proto::drops::Drop;
use akk_proto::message::Message;
use akk_proto::{ConversationId, MessageId};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How much longer than it was asked to akkd may take to say that nothing came.
const LATE: Duration = Duration::from_secs(5);

/// What became of a question.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It was answered, and the answer counts as told.
    Answered(Box<Message>),
    /// Nothing came in time; what comes later is the agent's next message.
    NothingYet,
    /// Nothing will come inside this turn.
    Over,
}

/// Lets go of a wait from outside.
#[derive(Debug, Default)]
pub(super) struct LetGo(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    gone: bool,
    connection: Option<UnixStream>,
}

impl LetGo {
    /// Nobody waits for the answer any more.
    pub(super) fn let_go(&self) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.gone = true;
        if let Some(connection) = waiting.connection.take() {
            // A connection that is gone already is what is wanted.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    fn is_gone(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).gone
    }

    /// Notes on which connection is waited; false when nobody waits any more.
    fn wait_on(&self, connection: Option<UnixStream>) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.connection = connection;
        !waiting.gone
    }
}

/// A question that akkd has.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) door: &'a Door,
    pub(super) conversation_id: &'a ConversationId,
    pub(super) ticket: &'a str,
    pub(super) message_id: &'a MessageId,
}

impl Question<'_> {
    /// Waits for the answer until then, and takes it.
    ///
    /// # Errors
    /// akkd's refusal, or why it cannot be asked.
    pub(super) fn wait(&self, until: Instant, let_go: &LetGo) -> Result<Outcome> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || let_go.is_gone() {
                return Ok(Outcome::NothingYet);
            }
            let answer = match self.wait_once(left, let_go) {
                Err(error) if is_restart(&error) => {
                    std::thread::sleep(PAUSE);
                    continue;
                }
                other => other?,
            };
            match answer {
                AwaitAnswer { answer: Some(answer), .. } if !let_go.is_gone() => {
                    return Ok(if self.confirm(&answer.id)? {
                        Outcome::Answered(Box::new(answer))
                    } else {
                        Outcome::Over
                    });
                }
                AwaitAnswer { over: true, .. } => return Ok(Outcome::Over),
                AwaitAnswer { .. } => {}
            }
        }
    }

    fn wait_once(&self, left: Duration, let_go: &LetGo) -> Result<AwaitAnswer> {
        let mut client = Client::connect(&self.door.socket)?;
        if !let_go.wait_on(client.connection()) {
            return Err(Error::Broken { method: "callback.await_answer".to_owned() });
        }
        let params = AwaitParams {
            conversation_id: self.conversation_id.clone(),
            ticket: self.ticket.to_owned(),
            message_id: self.message_id.clone(),
            wait_ms: left.as_millis() as u64,
        };
        let answer = client.call("callback.await_answer", &params, left + LATE);
        let_go.wait_on(None);
        answer?.read()
    }

    /// Says that the agent is being told; false when the message goes another way.
    fn confirm(&self, answer: &MessageId) -> Result<bool> {
        let params = ConfirmParams {
            conversation_id: self.conversation_id.clone(),
            ticket: self.ticket.to_owned(),
            message_id: self.message_id.clone(),
            answer_id: answer.clone(),
        };
        match call(self.door, "callback.confirm_answer", &params, PATIENCE) {
            Ok(answer) => Ok(answer.read::<ConfirmAnswer>()?.confirmed),
            // akkd may have recorded it and died before it said so. The drop is taken in before that turn ends, and
            // changes nothing where it was recorded: either way it counts as told.
            Err(error) if is_worth_leaving(&error) => {
                let Some(folder) = &self.door.folder else { return Err(error) };
                match leave(folder, Uuid::now_v7(), &Drop::ConfirmAnswer(params)) {
                    Ok(_) => Ok(true),
                    Err(source) => Err(Error::NotLeft { cause: Box::new(error), folder: folder.clone(), source }),
                }
            }
            Err(error) => Err(error),
        }
    }
}
