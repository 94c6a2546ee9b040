//! The task of one live conversation.

use super::{Asked, Shared, not_found, repeated, session_name};
use crate::fault::{Point, point};
use crate::store::{AnsweredRequest, Checkpoint, Commit, StoreError};
use akk_core::decide::{self, Beginning, Decision, Input, Said};
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
    Begin { created: Box<Created>, beginning: Beginning },
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
                // Senders get their mailbox under this lock: where the registry's is the only one, nobody is about to send.
                if inbox.is_empty() && inbox.sender_strong_count() == 1 {
                    inbox.close();
                    live.remove(&id);
                    return;
                }
                continue;
            }
        };
        let Command { work, call, checkpoint, reply } = command;
        let result = handle(&shared, &id, &mut loaded, work, call, checkpoint).await;
        point(Point::Unanswered);
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
        let begins = matches!(work, Work::Begin { .. });
        return answer_again(shared, loaded.as_ref(), call, found, (!begins).then_some(id)).await;
    }
    let begins = matches!(work, Work::Begin { .. });
    let decision = match (&*loaded, work) {
        (None, Work::Begin { created, beginning }) => decide::begin_with(*created, &beginning, &shared.given())?,
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
    commit(shared, id, loaded, decision, call, checkpoint, begins).await
}

async fn commit(
    shared: &Shared,
    id: &ConversationId,
    loaded: &mut Option<Loaded>,
    decision: Decision,
    call: Option<Request>,
    checkpoint: Option<Checkpoint>,
    begins: bool,
) -> Result<Answer, Failure> {
    let Decision { events, state, effects, said } = decision;
    // A call with a name is noted also when nothing was to be done: its repeat must not do something later.
    if events.is_empty() && checkpoint.is_none() && call.is_none() {
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
    let base_seq = loaded.as_ref().map_or(0, |l| l.seq);
    let seq = base_seq + events.len() as u64;
    let commit = Commit {
        conversation_id: id.clone(),
        base_seq,
        events,
        state: state.clone(),
        deliveries: decide::deliveries(&effects),
        revoke_tickets: effects.contains(&Effect::RevokeTickets),
        checkpoint,
        request,
    };
    match shared.store.commit(commit).await {
        Ok(committed) => {
            shared.timers.set(id, state.deadline());
            *loaded = Some(Loaded { state: state.clone(), seq: committed.seq });
            ask_for(shared, id, effects).await;
            Ok(Answer { state, said, repeated: false })
        }
        Err(StoreError::RepeatedRequest(found)) => match call {
            Some(call) => answer_again(shared, loaded.as_ref(), &call, *found, (!begins).then_some(id)).await,
            None => Err(Failure::new(ErrorKind::Internal, "a call without a name was repeated", "Try again.")),
        },
        Err(error) => {
            // What is stored is the truth. After a fault of the disk it may hold this change, with a turn that nobody
            // would start if its effects were forgotten.
            *loaded = None;
            if matches!(error, StoreError::Io { .. }) && was_written(shared, id, &state, seq).await {
                tracing::warn!(%id, %error, "a change was written although the disk failed");
                shared.timers.set(id, state.deadline());
                *loaded = Some(Loaded { state: state.clone(), seq });
                ask_for(shared, id, effects).await;
                return Ok(Answer { state, said, repeated: false });
            }
            Err(error.into())
        }
    }
}

/// Whether the store holds exactly this state. Only this task changes the conversation.
async fn was_written(shared: &Shared, id: &ConversationId, state: &Conversation, seq: u64) -> bool {
    matches!(shared.store.load(id).await, Ok(Some((stored, at))) if at == seq && stored == *state)
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
    asked_of: Option<&ConversationId>,
) -> Result<Answer, Failure> {
    if found.method != call.method || asked_of.is_some_and(|id| *id != found.conversation_id) {
        let (id, method, former) = (&call.request_id, &found.method, &found.conversation_id);
        return Err(Failure::new(
            ErrorKind::InvalidParams,
            format!("request_id {id} was used for {method} of {former} already"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::testing::{House, created, normal};

    fn named() -> Request {
        Request { request_id: "c1".parse().unwrap(), method: "conversation.cancel" }
    }

    #[tokio::test]
    async fn a_repeated_cancel_that_had_nothing_to_do_does_not_stop_a_later_turn() {
        let house = House::new();
        let id = house.begin(created(1)).await;
        house.says(&id, r#"{"type":"done","body":"x"}"#).await;
        house.ends(&id, normal()).await;
        let cancel = || house.conversations.ask(&id, Input::Cancel, Some(named()));
        assert!(cancel().await.unwrap().said.nothing_to_cancel);
        let send = decide::Send { message: Some("more".into()), ..Default::default() };
        house.conversations.ask(&id, Input::Send(send), None).await.unwrap();
        assert!(cancel().await.unwrap().repeated);
        assert_eq!(house.conversations.state(&id).await.unwrap().status().as_str(), "waiting_for_agent");
    }

    #[tokio::test]
    async fn the_name_of_a_call_is_not_taken_for_another_conversation() {
        let house = House::new();
        let (one, two) = (house.begin(created(1)).await, house.begin(created(2)).await);
        let cancel = |id| house.conversations.ask(id, Input::Cancel, Some(named()));
        cancel(&one).await.unwrap();
        assert_eq!(cancel(&two).await.unwrap_err().kind, ErrorKind::InvalidParams);
        assert!(cancel(&one).await.unwrap().repeated);
    }

    #[tokio::test]
    async fn after_a_fault_of_the_disk_the_store_says_whether_a_change_was_written() {
        let house = House::new();
        let id = house.begin(created(1)).await;
        let (state, seq) = house.store.load(&id).await.unwrap().unwrap();
        let shared = &house.conversations.shared;
        assert!(was_written(shared, &id, &state, seq).await);
        assert!(!was_written(shared, &id, &state, seq + 1).await);
        let other = Conversation { rounds_used: 9, ..state };
        assert!(!was_written(shared, &id, &other, seq).await);
    }
}
