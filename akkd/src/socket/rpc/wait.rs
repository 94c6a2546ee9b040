//! Waiting: for an agent to take a prompt, and for a conversation to need someone.

use super::Control;
use crate::conversation::view::need;
use crate::store::EventFilter;
use akk_core::Conversation;
use akk_proto::api::{StreamItem, WaitAnswer, WaitParams};
use akk_proto::conversation::BudgetLevel;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::{EventBody, EventRecord, TurnOutcome};
use akk_proto::{ConversationId, MessageId, TurnId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{Instant, timeout_at};

/// Events that are looked through at once, and text in them.
const PAGE: u32 = 200;
const PAGE_BYTES: usize = 4 << 20;

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
    let mut recovers = false;
    while let Ok(event) = timeout_at(end, events.recv()).await {
        let event = match event {
            Ok(event) if event.conversation_id == *id => event,
            Ok(_) => continue,
            // Too much happened at once, or akkd stops: the state says how things are.
            Err(RecvError::Lagged(_) | RecvError::Closed) => break,
        };
        match &event.body {
            EventBody::RecoveryStarted { automatic: true, .. } => {
                turn = TurnId::nth(turn.ordinal() + 1);
                recovers = true;
            }
            EventBody::TurnStarted(start) if recovers && start.turn_id == turn => {
                reached.replayed_in = Some(turn.clone());
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

/// Waits until the agent took `answer` inside its open turn, or `longest` is over; that turn, if so.
pub(super) async fn until_taken(
    events: &mut Receiver<Arc<EventRecord>>,
    id: &ConversationId,
    answer: &MessageId,
    longest: Duration,
) -> Option<TurnId> {
    let end = Instant::now() + longest;
    loop {
        let event = match timeout_at(end, events.recv()).await {
            Ok(Ok(event)) if event.conversation_id == *id => event,
            Ok(Ok(_)) => continue,
            // The state says how things are.
            Err(_) | Ok(Err(RecvError::Lagged(_) | RecvError::Closed)) => return None,
        };
        match &event.body {
            EventBody::QuestionAnswered { answer: taken, .. } if taken == answer => return event.turn_id.clone(),
            // It goes another way now.
            EventBody::TurnEnded(_) | EventBody::MessagesDropped { .. } => return None,
            _ => {}
        }
    }
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
        let mut cursor = self.store.newest_cursor();
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
        let first = match (&only, params.since) {
            (Some(id), None) => self.needs_now(id).await?,
            (None, Some(since)) => {
                self.check_cursor(since)?;
                cursor = since;
                self.catch_up(&mut cursor).await?
            }
            (None, None) => None,
            (Some(_), Some(_)) => {
                return Err(Failure::new(
                    ErrorKind::InvalidParams,
                    "since goes with any only",
                    "Leave it out: a conversation that needs someone is told at once.",
                ));
            }
        };
        let answer = match first {
            Some(answer) => answer,
            None => self.next_need(&mut events, &mut cursor, only.as_ref(), end).await?,
        };
        Ok(WaitAnswer { cursor: only.is_none().then_some(cursor), ..answer })
    }

    /// Waits for the first event after `cursor` that makes `only` (else any) need someone, until `end`.
    async fn next_need(
        &self,
        events: &mut Receiver<Arc<EventRecord>>,
        cursor: &mut u64,
        only: Option<&ConversationId>,
        end: Instant,
    ) -> Result<WaitAnswer, Failure> {
        loop {
            match timeout_at(end, events.recv()).await {
                Err(_elapsed) => return self.nothing_happened(only).await,
                // Seen in the history already.
                Ok(Ok(event)) if event.cursor <= *cursor => {}
                Ok(Ok(event)) => {
                    *cursor = event.cursor;
                    if let Some(answer) = self.after_event(&event, only).await? {
                        return Ok(answer);
                    }
                }
                Ok(Err(RecvError::Lagged(_))) => {
                    let found = match only {
                        Some(id) => self.needs_now(id).await?,
                        None => self.catch_up(cursor).await?,
                    };
                    if let Some(answer) = found {
                        return Ok(answer);
                    }
                }
                Ok(Err(RecvError::Closed)) => {
                    return Err(Failure::new(ErrorKind::Stopping, "akkd is stopping", "Wait again when it runs."));
                }
            }
        }
    }

    /// What is needed after `event`, if it can be the one that made it so.
    async fn after_event(
        &self,
        event: &EventRecord,
        only: Option<&ConversationId>,
    ) -> Result<Option<WaitAnswer>, Failure> {
        let id = &event.conversation_id;
        let news = match only {
            Some(only) => only == id && changes_need(&event.body),
            None => is_news(&event.body) || self.ends_a_cancel(event).await?,
        };
        if news { self.needs_now(id).await } else { Ok(None) }
    }

    /// Whether the event ends a turn that was being cancelled: what the agent said meanwhile changed no status.
    async fn ends_a_cancel(&self, event: &EventRecord) -> Result<bool, Failure> {
        let (EventBody::TurnEnded(_), Some(turn)) = (&event.body, &event.turn_id) else { return Ok(false) };
        Ok(!self.store.events_of_turn(&event.conversation_id, turn, &["cancel_requested"]).await?.is_empty())
    }

    /// Looks through the events that came faster than they were looked at.
    async fn catch_up(&self, cursor: &mut u64) -> Result<Option<WaitAnswer>, Failure> {
        loop {
            let past = self.store.events_since(*cursor, PAGE, PAGE_BYTES, EventFilter::default()).await?;
            for item in past.items {
                let StreamItem::Event(event) = item else { continue };
                *cursor = event.cursor;
                if let Some(answer) = self.after_event(&event, None).await? {
                    return Ok(Some(answer));
                }
            }
            *cursor = past.cursor;
            if !past.more {
                return Ok(None);
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
            None => Ok(WaitAnswer { need: None, timed_out: true, conversation: None, message: None, cursor: None }),
        }
    }

    async fn wait_answer(&self, state: &Conversation, timed_out: bool) -> Result<WaitAnswer, Failure> {
        Ok(WaitAnswer {
            need: need(state),
            timed_out,
            conversation: Some(self.view(state).await?),
            message: self.last_report(state).await?,
            cursor: None,
        })
    }
}

/// Whether somebody may be needed after such an event.
fn changes_need(body: &EventBody) -> bool {
    is_news(body) || matches!(body, EventBody::TurnEnded(_) | EventBody::MessagesDropped { .. })
}

/// Whether such an event itself tells a need: each need of a conversation is told by one of them only.
fn is_news(body: &EventBody) -> bool {
    match body {
        // Progress needs nobody; what was needed before it was told.
        EventBody::Message(m) => {
            !m.message.from.is_orchestrator() && (m.message.kind.settles_turn() || m.message.requires_response)
        }
        EventBody::PermissionRequested(_)
        | EventBody::ConversationStalled { .. }
        | EventBody::ConversationNeedsRecovery { .. }
        | EventBody::ConversationNeedsModelSelection { .. }
        | EventBody::ConversationClosed { .. } => true,
        EventBody::BudgetLevel { level } => *level == BudgetLevel::HardStop,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::testing::{House, created, normal};
    use crate::socket::rpc::tests::control;
    use akk_core::How;
    use akk_core::decide::{Input, Send};

    /// What `wait --any` tells of what `doing` does.
    async fn told(house: &House, doing: impl Future<Output = ()>) -> Option<akk_proto::conversation::Need> {
        let control = control(house);
        let wait = WaitParams { any: true, timeout_ms: Some(1500), ..WaitParams::default() };
        let waiting = async { control.wait_for_need(wait).await.unwrap().need };
        // Subscribed at its first poll, before anything is done.
        let (need, ()) = tokio::join!(biased; waiting, doing);
        need
    }

    #[tokio::test]
    async fn any_tells_the_end_of_a_cancel_also_when_the_agent_finished_meanwhile() {
        use akk_proto::conversation::Need;
        let house = House::new();
        let id = house.begin(created(1)).await;
        let need = told(&house, async {
            house.conversations.ask(&id, Input::Cancel, None).await.unwrap();
            house.says(&id, r#"{"type":"done","body":"x"}"#).await;
            house.ends(&id, How::Cancelled).await;
        });
        assert_eq!(need.await, Some(Need::Done));
    }

    #[tokio::test]
    async fn any_tells_a_need_once() {
        use akk_proto::conversation::Need;
        let house = House::new();
        let id = house.begin(created(1)).await;
        let asked = told(&house, house.says(&id, r#"{"type":"question","body":"A or B?"}"#));
        assert_eq!(asked.await, Some(Need::Question));
        let again = told(&house, async {
            house.says(&id, r#"{"type":"progress","body":"waiting"}"#).await;
            house.ends(&id, normal()).await;
        });
        assert_eq!(again.await, None);
    }

    #[tokio::test]
    async fn any_misses_nothing_when_much_happens_at_once() {
        use akk_proto::conversation::Need;
        let house = House::new();
        let control = control(&house);
        let mut cursor = house.store.newest_cursor();
        let id = house.begin(created(1)).await;
        house.says(&id, r#"{"type":"done","body":"x"}"#).await;
        for n in 0..300 {
            house.says(&id, &format!(r#"{{"type":"progress","body":"{n}"}}"#)).await;
        }
        assert_eq!(control.catch_up(&mut cursor).await.unwrap().unwrap().need, Some(Need::Done));
        assert!(control.catch_up(&mut cursor).await.unwrap().is_none());
        assert_eq!(cursor, house.store.newest_cursor());
    }

    #[tokio::test]
    async fn a_recovery_that_was_asked_for_is_not_called_automatic() {
        let house = House::new();
        let id = house.begin(created(1)).await;
        house.ends(&id, normal()).await;
        let mut events = house.store.subscribe_events();
        let recover = Input::Recover { session: "fresh".into() };
        let turn = house.conversations.ask(&id, recover, None).await.unwrap().said.turn_id.unwrap();
        house.ends(&id, How::CannotStart { reason: "x".into() }).await;
        let reached = until_prompted(&mut events, &id, &turn, Duration::from_secs(10)).await;
        assert_eq!(reached.replayed_in, None);
        // A session that is lost is replayed without being asked.
        let session = akk_proto::event::SessionEnsured {
            native_session_id: "n".into(),
            how: akk_proto::event::SessionReached::Created,
            model: None,
        };
        let send = Send { message: Some("again".into()), ..Default::default() };
        house.conversations.executor_report(&id, akk_core::ExecutorReport::SessionReady(session), None).await.unwrap();
        let turn = house.conversations.ask(&id, Input::Send(send), None).await.unwrap().said.turn_id.unwrap();
        house.ends(&id, How::SessionLost { reason: "gone".into() }).await;
        house.ends(&id, How::CannotStart { reason: "x".into() }).await;
        let reached = until_prompted(&mut events, &id, &turn, Duration::from_secs(10)).await;
        assert_eq!(reached.replayed_in, Some(TurnId::nth(turn.ordinal() + 1)));
    }
}
