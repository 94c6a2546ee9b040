//! A decision in the making: events that are tried on the state one by one.

use super::{Decision, Given, Said};
use crate::apply::{self, Refused};
use crate::conversation::{self, Conversation, Phase};
use crate::effect::Effect;
use crate::{Event, budget};
use akk_proto::conversation::BudgetLevel;
use akk_proto::event::{EventBody, Fingerprint, MessageRecorded, Origin, PromptKind, TurnStart};
use akk_proto::message::{Actor, Message, MessageType};
use akk_proto::{MessageId, Timestamp, TurnId};
use uuid::Uuid;

/// A decision in the making.
pub(super) struct Draft<'a> {
    pub(super) state: Conversation,
    pub(super) events: Vec<Event>,
    pub(super) effects: Vec<Effect>,
    pub(super) said: Said,
    pub(super) given: &'a Given,
    pub(super) ids: u32,
}

impl<'a> Draft<'a> {
    pub(super) fn new(state: Conversation, given: &'a Given) -> Self {
        Self { state, events: Vec::new(), effects: Vec::new(), said: Said::default(), given, ids: 0 }
    }

    pub(super) fn finish(self) -> Decision {
        Decision { events: self.events, state: self.state, effects: self.effects, said: self.said }
    }

    pub(super) fn next_message_id(&mut self) -> MessageId {
        self.ids += 1;
        let uuid =
            if self.ids == 1 { self.given.seed } else { Uuid::new_v5(&self.given.seed, &self.ids.to_be_bytes()) };
        MessageId::message(uuid)
    }

    pub(super) fn record(&mut self, turn_id: Option<TurnId>, body: EventBody) -> Result<(), Refused> {
        self.record_event(Event { ts: self.given.now, turn_id, body })
    }

    /// Records what happened at another time than now.
    pub(super) fn record_at(&mut self, ts: Timestamp, body: EventBody) -> Result<(), Refused> {
        self.record_event(Event { ts, turn_id: None, body })
    }

    pub(super) fn record_event(&mut self, event: Event) -> Result<(), Refused> {
        let (state, effects) = apply::apply(&self.state, &event)?;
        self.state = state;
        self.effects.extend(effects);
        self.events.push(event);
        self.note_bootstrap()
    }

    /// The agent of a native session, or of its fork, has taken its first prompt.
    pub(super) fn note_bootstrap(&mut self) -> Result<(), Refused> {
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

    pub(super) fn open_turn_id(&self) -> Option<TurnId> {
        self.state.open_turn.as_ref().map(|o| o.turn_id.clone())
    }

    pub(super) fn message(&mut self, kind: MessageType, body: &str, requires_response: bool, round: u32) -> Message {
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
    pub(super) fn say_to_agent(&mut self, kind: MessageType, body: &str, must_wait: bool) -> Result<(), Refused> {
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
    pub(super) fn record_message(
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
    pub(super) fn note_level(&mut self, before: BudgetLevel) -> Result<(), Refused> {
        let after = self.state.budget_level();
        if after > before && before < BudgetLevel::SoftStop && after >= BudgetLevel::SoftStop {
            self.record(self.open_turn_id(), EventBody::BudgetLevel { level: BudgetLevel::SoftStop })?;
        }
        Ok(())
    }

    /// Starts a turn that carries a recorded message, with the control message that is due.
    pub(super) fn start_turn(&mut self, message_id: MessageId) -> Result<(), Refused> {
        let prompt = prompt_kind(&self.state, &message_id);
        self.start_turn_as(message_id, prompt)
    }

    pub(super) fn start_turn_as(&mut self, message_id: MessageId, prompt: PromptKind) -> Result<(), Refused> {
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
    pub(super) fn move_on(&mut self) -> Result<(), Refused> {
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

    pub(super) fn send_waiting(&mut self, message_id: &MessageId, requires_response: bool) -> Result<(), Refused> {
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
    pub(super) fn drop_queue(&mut self, reason: &str) -> Result<(), Refused> {
        if self.state.queue.is_empty() {
            return Ok(());
        }
        let message_ids: Vec<MessageId> = self.state.queue.iter().map(|q| q.message_id.clone()).collect();
        self.said.dropped.extend(message_ids.iter().cloned());
        self.record(None, EventBody::MessagesDropped { message_ids, reason: reason.to_owned() })
    }
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
