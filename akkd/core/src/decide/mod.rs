//! What becomes of a request, a report, or a fact: the events that it leads to.
//!
//! A decision is made on the committed state, applies its events one by one through [`crate::apply::apply`], and is
//! committed whole or not at all.

mod answer;
mod executor;
mod import;
mod orchestrator;
mod permission;
mod report;

use crate::apply::{self, Refused};
use crate::conversation::{self, Conversation, Phase};
use crate::effect::Effect;
use crate::input::ExecutorReport;
use crate::{Event, budget};
use akk_proto::conversation::BudgetLevel;
use akk_proto::delivery::{DeliveryBody, ParkReason, SinkKind};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::{Created, EventBody, Fingerprint, MessageRecorded, Origin, PromptKind, TurnStart};
use akk_proto::import::ImportParams;
use akk_proto::message::{Actor, Message, MessageType};
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

/// The prompt kind for a conversation whose next turn carries this message.
fn prompt_kind(state: &Conversation, message_id: &MessageId) -> PromptKind {
    let never_prompted = state.turns == 0 || state.origin.as_ref().is_some_and(conversation::Origin::needs_bootstrap);
    let first_again = state.last_turn.as_ref().is_some_and(|t| t.message_id == *message_id) && state.turns == 1;
    // No session here has seen what was said before the import.
    let has_a_past = state.imported.as_ref().is_some_and(|i| i.last_task.is_some());
    if state.bootstrapped && state.native_session.is_some() {
        PromptKind::FollowUp
    } else if !has_a_past && state.former_sessions.is_empty() && (never_prompted || first_again) {
        PromptKind::Bootstrap
    } else {
        PromptKind::Replay
    }
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

/// A decision in the making.
struct Draft<'a> {
    state: Conversation,
    events: Vec<Event>,
    effects: Vec<Effect>,
    said: Said,
    given: &'a Given,
    ids: u32,
}

impl<'a> Draft<'a> {
    fn new(state: Conversation, given: &'a Given) -> Self {
        Self { state, events: Vec::new(), effects: Vec::new(), said: Said::default(), given, ids: 0 }
    }

    fn finish(self) -> Decision {
        Decision { events: self.events, state: self.state, effects: self.effects, said: self.said }
    }

    fn next_message_id(&mut self) -> MessageId {
        self.ids += 1;
        let uuid =
            if self.ids == 1 { self.given.seed } else { Uuid::new_v5(&self.given.seed, &self.ids.to_be_bytes()) };
        MessageId::message(uuid)
    }

    fn record(&mut self, turn_id: Option<TurnId>, body: EventBody) -> Result<(), Refused> {
        self.record_event(Event { ts: self.given.now, turn_id, body })
    }

    /// Records what happened at another time than now.
    fn record_at(&mut self, ts: Timestamp, body: EventBody) -> Result<(), Refused> {
        self.record_event(Event { ts, turn_id: None, body })
    }

    fn record_event(&mut self, event: Event) -> Result<(), Refused> {
        let (state, effects) = apply::apply(&self.state, &event)?;
        self.state = state;
        self.effects.extend(effects);
        self.events.push(event);
        self.note_bootstrap()
    }

    /// The agent of a native session, or of its fork, has taken its first prompt.
    fn note_bootstrap(&mut self) -> Result<(), Refused> {
        if !self.state.bootstrapped || self.state.phase.is_terminal() {
            return Ok(());
        }
        match &self.state.origin {
            Some(conversation::Origin::Attached { needs_bootstrap: true, .. })
                if self.state.former_sessions.is_empty() =>
            {
                self.record(None, EventBody::NativeSessionBootstrapped)
            }
            Some(conversation::Origin::Forked { needs_bootstrap: true, .. }) => {
                self.record(None, EventBody::ForkSessionBootstrapped)
            }
            _ => Ok(()),
        }
    }

    fn open_turn_id(&self) -> Option<TurnId> {
        self.state.open_turn.as_ref().map(|o| o.turn_id.clone())
    }

    fn message(&mut self, kind: MessageType, body: &str, requires_response: bool, round: u32) -> Message {
        let s = &self.state.settings;
        let mut metadata = serde_json::Map::new();
        metadata.insert("workspace".into(), s.workspace.clone().into());
        metadata.insert("task_id".into(), s.conversation_id.as_str().into());
        let (conversation_id, actor, max_rounds) = (s.conversation_id.clone(), s.actor.clone(), s.hard_limit);
        Message {
            id: self.next_message_id(),
            ts: self.given.now,
            conversation_id,
            from: Actor::orchestrator(),
            to: actor,
            kind,
            requires_response,
            round,
            max_rounds,
            turn_id: None,
            body: body.to_owned(),
            metadata,
        }
    }

    /// Records a message to the agent and starts a turn with it, or lets it wait behind the open turn.
    fn say_to_agent(&mut self, kind: MessageType, body: &str, must_wait: bool) -> Result<(), Refused> {
        let requires_response = kind.needs_answer_by_default();
        let waits = must_wait || self.state.open_turn.is_some() || !self.state.queue.is_empty();
        let round = if waits { 0 } else { self.state.rounds_used + u32::from(requires_response) };
        let message = self.message(kind, body, requires_response, round);
        let message_id = message.id.clone();
        self.said.message_id = Some(message_id.clone());
        let origin = if waits { Origin::Queued } else { Origin::Sent };
        self.record_message(message, origin, None)?;
        if waits {
            self.said.queued = true;
            self.move_on()
        } else {
            self.start_turn(message_id)
        }
    }

    /// Records a message and, when it changed the level of the budget, that too.
    fn record_message(
        &mut self,
        message: Message,
        origin: Origin,
        fingerprint: Option<Fingerprint>,
    ) -> Result<(), Refused> {
        let before = self.state.budget_level();
        let turn_id = message.turn_id.clone();
        self.record(turn_id, EventBody::Message(Box::new(MessageRecorded { message, origin, fingerprint })))?;
        self.note_level(before)
    }

    /// The orchestrator is told when the soft limit is reached.
    fn note_level(&mut self, before: BudgetLevel) -> Result<(), Refused> {
        let after = self.state.budget_level();
        if after > before && before < BudgetLevel::SoftStop && after >= BudgetLevel::SoftStop {
            self.record(self.open_turn_id(), EventBody::BudgetLevel { level: BudgetLevel::SoftStop })?;
        }
        Ok(())
    }

    /// Starts a turn that carries a recorded message, with the control message that is due.
    fn start_turn(&mut self, message_id: MessageId) -> Result<(), Refused> {
        let prompt = prompt_kind(&self.state, &message_id);
        self.start_turn_as(message_id, prompt)
    }

    fn start_turn_as(&mut self, message_id: MessageId, prompt: PromptKind) -> Result<(), Refused> {
        let level = self.state.budget_level().min(BudgetLevel::Warning);
        let mut controls = Vec::new();
        if level > self.state.announced
            && let Some(text) = budget::control_text(level, self.state.rounds_used, self.state.settings.soft_limit)
        {
            self.record(None, EventBody::BudgetLevel { level })?;
            let control = self.message(MessageType::Control, &text, false, self.state.rounds_used);
            controls.push(control.id.clone());
            self.record_message(control, Origin::Daemon, None)?;
        }
        let turn_id = TurnId::nth(self.state.turns + 1);
        self.said.turn_id = Some(turn_id.clone());
        let start = TurnStart { turn_id: turn_id.clone(), prompt, message_id, controls };
        self.record(Some(turn_id), EventBody::TurnStarted(start))
    }

    /// Sends the message that waits longest, where nothing stands against it.
    fn move_on(&mut self) -> Result<(), Refused> {
        let ready = matches!(
            self.state.phase,
            Phase::Created
                | Phase::Running
                | Phase::WaitingForOpenclaw { .. }
                | Phase::Idle { .. }
                | Phase::Failed { .. }
        );
        if !ready || self.state.open_turn.is_some() {
            return Ok(());
        }
        let Some(first) = self.state.queue.first().cloned() else { return Ok(()) };
        self.send_waiting(&first.message_id, first.requires_response)
    }

    fn send_waiting(&mut self, message_id: &MessageId, requires_response: bool) -> Result<(), Refused> {
        if requires_response && self.state.rounds_used >= self.state.settings.hard_limit {
            // The agent's own questions used the rounds up while it waited.
            self.record(None, EventBody::BudgetLevel { level: BudgetLevel::HardStop })?;
            return self.drop_queue("the hard limit of rounds is used up");
        }
        let before = self.state.budget_level();
        let round = self.state.rounds_used + u32::from(requires_response);
        self.record(None, EventBody::MessageSent { message_id: message_id.clone(), round })?;
        self.note_level(before)?;
        self.start_turn(message_id.clone())
    }

    /// Drops everything that waits.
    fn drop_queue(&mut self, reason: &str) -> Result<(), Refused> {
        if self.state.queue.is_empty() {
            return Ok(());
        }
        let message_ids: Vec<MessageId> = self.state.queue.iter().map(|q| q.message_id.clone()).collect();
        self.said.dropped.extend(message_ids.iter().cloned());
        self.record(None, EventBody::MessagesDropped { message_ids, reason: reason.to_owned() })
    }
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
