//! What becomes of a request, a report, or a fact: the events that it leads to.
//!
//! A decision is made on the committed state, applies its events one by one through [`crate::apply::apply`], and is
//! committed whole or not at all.

mod answer;
mod draft;
mod executor;
mod import;
mod orchestrator;
mod permission;
mod report;

use self::draft::Draft;
use crate::Event;
use crate::apply::{self, Refused};
use crate::conversation::Conversation;
use crate::effect::Effect;
use crate::input::ExecutorReport;
use akk_proto::delivery::{DeliveryBody, ParkReason, SinkKind};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::{Created, EventBody};
use akk_proto::import::ImportParams;
use akk_proto::message::MessageType;
use akk_proto::permission::Permit;
use akk_proto::session::{ForkOrigin, NativeAttachment};
use akk_proto::{DeliveryId, MessageId, Timestamp, TurnId};
use uuid::Uuid;

pub use answer::{answer_to, waits_for};
pub use report::is_duplicate;

/// What a decision needs from outside: the time, and randomness for ids.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    /// The wall time.
    pub now: Timestamp,
    /// A fresh random uuid; every id that the decision makes follows from it.
    pub seed: Uuid,
}

/// What is asked of a conversation, or learned about it.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A message from the orchestrator.
    Send(Send),
    /// A report of the agent.
    Report(Box<Report>),
    /// The agent, which waits inside its turn, is being told an answer.
    AnswerTaken {
        /// Its question.
        question: MessageId,
        /// The message that it gets.
        answer: MessageId,
    },
    /// A file in the drop folder was set aside.
    DropRefused {
        /// Its name.
        file: String,
        /// Why, as a sentence.
        reason: String,
    },
    /// A fresh agent session with a replay.
    Recover {
        /// akkd's name of the new session.
        session: String,
    },
    /// Stop the open turn.
    Cancel,
    /// End the conversation.
    Close {
        /// Why.
        reason: String,
    },
    /// A permission request is answered by a person.
    Permit {
        /// Which; none for the only one that waits.
        nonce: Option<String>,
        /// The answer.
        answer: Permit,
    },
    /// Its deadline is due.
    DeadlineDue,
    /// What an executor learned.
    Executor {
        /// What.
        report: ExecutorReport,
        /// akkd's name of a new session, in case that the old one is lost.
        spare_session: String,
    },
    /// A delivery was tried.
    DeliveryAttempt {
        /// Which.
        delivery_id: DeliveryId,
        /// From 1.
        attempt: u32,
        /// Why it failed; none when the orchestrator has it.
        error: Option<String>,
    },
    /// A person says that the orchestrator has a delivery.
    DeliveryAccepted {
        /// Which.
        delivery_id: DeliveryId,
    },
    /// A delivery waits for a person now.
    DeliveryParked {
        /// Which.
        delivery_id: DeliveryId,
        /// Why.
        reason: ParkReason,
        /// Why, as a sentence.
        detail: String,
    },
    /// A delivery has waited for too long.
    DeliveryOverdue {
        /// Which.
        delivery_id: DeliveryId,
        /// Since when.
        waiting_since: Timestamp,
    },
}

/// A message from the orchestrator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Send {
    /// What to say; none only with `model` in `needs_model_selection`.
    pub message: Option<String>,
    /// The type; by default what the status asks for.
    pub kind: Option<MessageType>,
    /// The model from now on.
    pub model: Option<String>,
    /// A new soft limit.
    pub soft_limit: Option<u32>,
    /// A new hard limit.
    pub hard_limit: Option<u32>,
    /// Cancel an open turn first.
    pub cancel_first: bool,
}

/// A report of the agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// As it was read.
    pub report: crate::intake::Report,
    /// The turn that the agent named.
    pub turn_id: Option<TurnId>,
    /// What the reporting command calls this report on each of its attempts.
    pub attempt_id: Option<String>,
    /// Deliveries of this conversation that wait.
    pub undelivered: u64,
}

/// Events, the state after them, and the work that they ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// New entries of the history; may be none.
    pub events: Vec<Event>,
    /// The state after them.
    pub state: Conversation,
    /// Work for the outside, in order.
    pub effects: Vec<Effect>,
    /// What to tell the caller.
    pub said: Said,
}

/// What to tell the caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each of which may hold beside the others")]
pub struct Said {
    /// The message that was recorded (for a duplicate: the first one).
    pub message_id: Option<MessageId>,
    /// The turn that was opened.
    pub turn_id: Option<TurnId>,
    /// The message waits behind the open turn.
    pub queued: bool,
    /// The permission request that was answered.
    pub nonce: Option<String>,
    /// The report was recorded before.
    pub duplicate: bool,
    /// The report's turn was over: recorded, status unchanged.
    pub late: bool,
    /// The conversation was closed: recorded as late, to be answered with `conversation_closed`.
    pub was_closed: bool,
    /// There was no open turn.
    pub nothing_to_cancel: bool,
    /// Waiting messages that were dropped.
    pub dropped: Vec<MessageId>,
    /// The agent session was lost and a replay was started.
    pub auto_recovered: bool,
}

/// Begins a conversation with its first turn.
///
/// # Errors
/// For an empty request or limits that do not fit.
pub fn begin(created: Created, request: &str, given: &Given) -> Result<Decision, Refused> {
    check_body(request)?;
    let event = Event { ts: given.now, turn_id: None, body: EventBody::ConversationCreated(Box::new(created)) };
    let state = apply::begin(&event)?;
    let mut draft = Draft::new(state, given);
    draft.events.push(event);
    draft.say_to_agent(MessageType::Task, request, false)?;
    Ok(draft.finish())
}

/// What a conversation begins with.
#[derive(Debug, Clone, PartialEq)]
pub enum Beginning {
    /// A first message, whole.
    Request(String),
    /// A native session to go on with; nothing is said yet.
    Attached(Box<NativeAttachment>),
    /// A summary of a native session, for a new one; nothing is said yet.
    Forked(Box<ForkOrigin>),
    /// The predecessor's history of it.
    Imported(Box<ImportParams>),
}

/// Begins a conversation, whatever with.
///
/// # Errors
/// Those of [`begin`]; an attachment of another session than `created` names.
pub fn begin_with(created: Created, beginning: &Beginning, given: &Given) -> Result<Decision, Refused> {
    let body = match beginning {
        Beginning::Request(request) => return begin(created, request, given),
        Beginning::Imported(import) => return import::begin(created, import, given),
        Beginning::Attached(attachment) => EventBody::NativeSessionAttached(attachment.clone()),
        Beginning::Forked(fork) => EventBody::NativeSessionForked(fork.clone()),
    };
    let event = Event { ts: given.now, turn_id: None, body: EventBody::ConversationCreated(Box::new(created)) };
    let state = apply::begin(&event)?;
    let mut draft = Draft::new(state, given);
    draft.events.push(event);
    draft.record(None, body)?;
    Ok(draft.finish())
}

/// What becomes of `input`.
///
/// # Errors
/// [`Refused`] with the rule that stands against it; nothing has changed then.
pub fn decide(state: &Conversation, input: &Input, given: &Given) -> Result<Decision, Refused> {
    let mut draft = Draft::new(state.clone(), given);
    match input {
        Input::Send(send) => orchestrator::send(&mut draft, send)?,
        Input::Report(report) => report::report(&mut draft, report)?,
        Input::AnswerTaken { question, answer } => answer::taken(&mut draft, question, answer)?,
        Input::DropRefused { file, reason } => {
            let file = crate::redact::preview(&file.replace(char::is_control, "\u{fffd}"), 200);
            let reason = crate::redact::preview(reason, 300);
            draft.record(None, EventBody::DropRefused { file, reason })?;
        }
        Input::Recover { session } => orchestrator::recover(&mut draft, session)?,
        Input::Cancel => orchestrator::cancel(&mut draft)?,
        Input::Close { reason } => orchestrator::close(&mut draft, reason)?,
        Input::Permit { nonce, answer } => permission::permit(&mut draft, nonce.as_deref(), *answer)?,
        Input::DeadlineDue => {
            permission::run_out(&mut draft)?;
            orchestrator::idle_timeout(&mut draft)?;
        }
        Input::Executor { report, spare_session } => executor::executor(&mut draft, report, spare_session)?,
        Input::DeliveryAttempt { delivery_id, attempt, error } => {
            draft.record(
                None,
                EventBody::DeliveryAttempt {
                    delivery_id: delivery_id.clone(),
                    attempt: *attempt,
                    error: error.as_deref().map(|e| crate::redact::preview(e, 300)),
                },
            )?;
            if error.is_none() {
                let body = EventBody::DeliveryAccepted { delivery_id: delivery_id.clone(), by_hand: false };
                draft.record(None, body)?;
            }
        }
        Input::DeliveryAccepted { delivery_id } => {
            draft.record(None, EventBody::DeliveryAccepted { delivery_id: delivery_id.clone(), by_hand: true })?;
        }
        Input::DeliveryParked { delivery_id, reason, detail } => {
            let detail = crate::redact::preview(detail, 300);
            draft.record(
                None,
                EventBody::DeliveryParked { delivery_id: delivery_id.clone(), reason: *reason, detail },
            )?;
        }
        Input::DeliveryOverdue { delivery_id, waiting_since } => {
            draft.record(
                None,
                EventBody::DeliveryOverdue { delivery_id: delivery_id.clone(), waiting_since: *waiting_since },
            )?;
        }
    }
    Ok(draft.finish())
}

fn check_body(text: &str) -> Result<(), Refused> {
    if text.trim().is_empty() {
        return Err(Failure::new(ErrorKind::InvalidMessage, "the message is empty", "Say what the agent is to do."));
    }
    if text.len() > akk_proto::limits::MAX_PROMPT_BYTES {
        return Err(Failure::new(
            ErrorKind::TooLarge,
            format!("the message has {} bytes, {} are allowed", text.len(), akk_proto::limits::MAX_PROMPT_BYTES),
            "Put long material into a file in the workspace and name the file.",
        ));
    }
    Ok(())
}

/// Outbox rows among effects, for the transaction.
pub fn deliveries(effects: &[Effect]) -> Vec<(SinkKind, DeliveryBody)> {
    effects
        .iter()
        .filter_map(|e| match e {
            Effect::Deliver { sink, body } => Some((*sink, (**body).clone())),
            _ => None,
        })
        .collect()
}
