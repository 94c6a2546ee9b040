//! The task of one live conversation.

use super::{Asked, Shared, not_found, repeated, session_name};
use crate::store::{AnsweredRequest, Checkpoint, Commit, StoreError};
use akk_core::decide::{self, Decision, Input, Said};
use akk_core::{Conversation, Effect, ExecutorReport};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::Created;
use akk_proto::{ConversationId, RequestId};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long a conversation without inputs keeps its task.
const LINGER: Duration = Duration::from_mins(1);

/// What is asked of the task.
pub(super) struct Command {
    pub(super) work: Work,
    pub(super) call: Option<Request>,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) reply: oneshot::Sender<Result<Answer, Failure>>,
}

/// What is to be decided.
pub(super) enum Work {
    Begin { created: Box<Created>, request: String },
    Input(Box<Input>),
    Executor(Box<ExecutorReport>),
    Delete,
}

/// The client's name for a call, so that a repeat is answered and not repeated.
#[derive(Debug, Clone)]
pub struct Request {
    /// The name.
    pub request_id: RequestId,
    /// The method.
    pub method: &'static str,
}

/// What became of an input: durable when it is given.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The conversation after it.
    pub state: Conversation,
    /// What to tell the caller.
    pub said: Said,
    /// This call was answered before: nothing happened now.
    pub repeated: bool,
}

/// What the task holds: the conversation as it is stored.
struct Loaded {
    state: Conversation,
    seq: u64,
}

pub(super) async fn run(shared: Arc<Shared>, id: ConversationId, mut inbox: mpsc::Receiver<Command>) {
    let mut loaded: Option<Loaded> = None;
    loop {
        let command = match tokio::time::timeout(LINGER, inbox.recv()).await {
            Ok(Some(command)) => command,
            Ok(None) => return,
            Err(_elapsed) => {
                let mut live = shared.live.lock().unwrap_or_else(PoisonError::into_inner);
                // Senders get their mailbox under this lock, so an empty inbox now stays without takers.
                if inbox.is_empty() {
                    inbox.close();
                    live.remove(&id);
                    return;
                }
                continue;
            }
        };
        let Command { work, call, checkpoint, reply } = command;
        let result = handle(&shared, &id, &mut loaded, work, call, checkpoint).await;
        // A caller that left does not matter: what it asked for is durable.
        let _ = reply.send(result);
    }
}

async fn handle(
    shared: &Shared,
    id: &ConversationId,
    loaded: &mut Option<Loaded>,
    work: Work,
    call: Option<Request>,
    checkpoint: Option<Checkpoint>,
) -> Result<Answer, Failure> {
    if loaded.is_none() {
        *loaded = shared.store.load(id).await?.map(|(state, seq)| Loaded { state, seq });
    }
    if let Some(call) = &call
        && let Some(found) = shared.store.find_request(&call.request_id).await?
    {
        return answer_again(shared, loaded.as_ref(), call, found).await;
    }
    let decision = match (&*loaded, work) {
        (None, Work::Begin { created, request }) => decide::begin(*created, &request, &shared.given())?,
        (Some(l), Work::Input(input)) => decide::decide(&l.state, &input, &shared.given())?,
        (Some(l), Work::Executor(report)) => {
            let given = shared.given();
            let spare_session = session_name(&l.state.settings.agent, given.now);
            decide::decide(&l.state, &Input::Executor { report: *report, spare_session }, &given)?
        }
        (None, _) => return Err(not_found(id)),
        (Some(l), Work::Delete) => {
            let (state, said) = (l.state.clone(), Said::default());
            shared.store.delete(id).await?;
            *loaded = None;
            return Ok(Answer { state, said, repeated: false });
        }
        (Some(_), Work::Begin { .. }) => {
            return Err(Failure::new(ErrorKind::Internal, format!("{id} exists already"), "Try again."));
        }
    };
    commit(shared, id, loaded, decision, call, checkpoint).await
}

async fn commit(
    shared: &Shared,
    id: &ConversationId,
    loaded: &mut Option<Loaded>,
    decision: Decision,
    call: Option<Request>,
    checkpoint: Option<Checkpoint>,
) -> Result<Answer, Failure> {
    let Decision { events, state, effects, said } = decision;
    if events.is_empty() && checkpoint.is_none() {
        ask_for(shared, id, effects).await;
        return Ok(Answer { state, said, repeated: false });
    }
    let request = call.as_ref().map(|call| AnsweredRequest {
        request_id: call.request_id.clone(),
        method: call.method.to_owned(),
        conversation_id: id.clone(),
        message_id: said.message_id.clone(),
        turn_id: said.turn_id.clone(),
    });
    let commit = Commit {
        conversation_id: id.clone(),
        base_seq: loaded.as_ref().map_or(0, |l| l.seq),
        events,
        state: state.clone(),
        deliveries: decide::deliveries(&effects),
        revoke_tickets: effects.contains(&Effect::RevokeTickets),
        checkpoint,
        request,
    };
    match shared.store.commit(commit).await {
        Ok(committed) => {
            shared.timers.set(id, state.idle_deadline());
            *loaded = Some(Loaded { state: state.clone(), seq: committed.seq });
            ask_for(shared, id, effects).await;
            Ok(Answer { state, said, repeated: false })
        }
        Err(StoreError::RepeatedRequest(found)) => match call {
            Some(call) => answer_again(shared, loaded.as_ref(), &call, *found).await,
            None => Err(Failure::new(ErrorKind::Internal, "a call without a name was repeated", "Try again.")),
        },
        Err(error) => {
            // What is stored is the truth; the next input reads it again.
            *loaded = None;
            Err(error.into())
        }
    }
}

/// Outbox rows and revocations were part of the transaction; the rest goes on its way now.
async fn ask_for(shared: &Shared, conversation_id: &ConversationId, effects: Vec<Effect>) {
    let effects: Vec<Effect> =
        effects.into_iter().filter(|e| !matches!(e, Effect::Deliver { .. } | Effect::RevokeTickets)).collect();
    if !effects.is_empty() {
        // The receiver lives as long as akkd; at its end, start-up finds from the state what was asked for.
        let _ = shared.effects.send(Asked { conversation_id: conversation_id.clone(), effects }).await;
    }
}

async fn answer_again(
    shared: &Shared,
    loaded: Option<&Loaded>,
    call: &Request,
    found: AnsweredRequest,
) -> Result<Answer, Failure> {
    if found.method != call.method {
        return Err(Failure::new(
            ErrorKind::InvalidParams,
            format!("request_id {} was used for {} already", call.request_id, found.method),
            "Use a fresh request_id for each call.",
        ));
    }
    let state = match loaded.filter(|l| l.state.settings.conversation_id == found.conversation_id) {
        Some(l) => l.state.clone(),
        None => match shared.store.load(&found.conversation_id).await? {
            Some((state, _)) => state,
            None => return Err(not_found(&found.conversation_id)),
        },
    };
    Ok(Answer { state, said: repeated(found), repeated: true })
}
