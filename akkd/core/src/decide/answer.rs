//! An answer that reaches the agent inside the turn in which it asked.

use super::Draft;
use crate::apply::Refused;
use crate::conversation::{Conversation, Phase, QueuedMessage};
use akk_proto::MessageId;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::EventBody;

/// What the agent that waits for an answer to `question` can be told now: the message that goes to it next, where that
/// was said after the question. One that waited before it is no answer.
pub fn answer_to<'a>(state: &'a Conversation, question: &MessageId) -> Option<&'a QueuedMessage> {
    let first = state.queue.first().filter(|q| q.said_to.as_ref() == Some(question))?;
    // The agent's own questions used the rounds up while it waited: what is sent behind the turn finds that out.
    let too_many = first.requires_response && state.rounds_used >= state.settings.hard_limit;
    (waits_for(state, question) && !too_many).then_some(first)
}

/// Whether the open turn is waiting for an answer to `question`, so that one can still be told in it.
pub fn waits_for(state: &Conversation, question: &MessageId) -> bool {
    let asked = state.open_turn.as_ref().and_then(|open| open.settled_by.as_ref());
    matches!(state.phase, Phase::WaitingForOpenclaw { .. }) && asked.is_some_and(|s| s.message_id == *question)
}

/// The agent is being told `answer`: it counts as sent, and the turn goes on.
pub(super) fn taken(draft: &mut Draft<'_>, question: &MessageId, answer: &MessageId) -> Result<(), Refused> {
    let Some(first) = answer_to(&draft.state, question).filter(|q| q.message_id == *answer).cloned() else {
        return Err(Failure::new(
            ErrorKind::WrongStatus,
            format!("{answer} does not wait to answer {question}"),
            "End the turn: what the orchestrator says comes as the next message.",
        ));
    };
    let before = draft.state.budget_level();
    let round = draft.state.rounds_used + u32::from(first.requires_response);
    let turn = draft.open_turn_id();
    draft.said.message_id = Some(first.message_id.clone());
    draft.record(turn.clone(), EventBody::MessageSent { message_id: first.message_id, round })?;
    draft.note_level(before)?;
    draft.record(turn, EventBody::QuestionAnswered { question: question.clone(), answer: answer.clone() })
}
