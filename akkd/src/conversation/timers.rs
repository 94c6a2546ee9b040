//! Deadlines (idleness, permission requests that have a limit): kept on the monotonic clock while akkd runs, so that a jump of the wall clock ends nothing.

use super::Conversations;
use crate::clock::Clock;
use akk_core::decide::Input;
use akk_proto::error::ErrorKind;
use akk_proto::{ConversationId, Timestamp};
use futures_util::StreamExt as _;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::time::{DelayQueue, delay_queue};

/// Where conversations say when they are due.
#[derive(Clone)]
pub struct IdleTimers {
    changes: mpsc::UnboundedSender<Change>,
    clock: Clock,
    /// Conversations that have a deadline, so that the many that have none send nothing.
    armed: Arc<std::sync::Mutex<std::collections::HashSet<ConversationId>>>,
}

/// A deadline that changed: so long from now, or none any more.
struct Change {
    id: ConversationId,
    after: Option<Duration>,
}

/// The other end of [`IdleTimers`].
pub struct IdleQueue(mpsc::UnboundedReceiver<Change>);

/// A longer time is waited for in pieces: the queue does not take every length.
const LONGEST: Duration = Duration::from_hours(24);

/// When a conversation that is due could not be acted upon.
const AGAIN: Duration = Duration::from_mins(1);

impl IdleTimers {
    /// The two ends.
    pub fn new(clock: Clock) -> (Self, IdleQueue) {
        let (changes, queue) = mpsc::unbounded_channel();
        (Self { changes, clock, armed: Arc::default() }, IdleQueue(queue))
    }

    /// Sets or clears the deadline of a conversation.
    pub fn set(&self, id: &ConversationId, deadline: Option<Timestamp>) {
        let mut armed = self.armed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let changed = if deadline.is_some() {
            armed.insert(id.clone());
            true
        } else {
            armed.remove(id)
        };
        if changed {
            let now = self.clock.wall();
            let after = deadline.map(|d| Duration::from_millis(d.millis_since(now).max(0) as u64));
            // At akkd's end nobody listens any more; the deadlines are stored.
            let _ = self.changes.send(Change { id: id.clone(), after });
        }
    }
}

impl IdleQueue {
    /// Acts on what is due until `stop`.
    pub async fn run(mut self, conversations: Conversations, timers: IdleTimers, stop: CancellationToken) {
        let mut queue: DelayQueue<ConversationId> = DelayQueue::new();
        let mut armed: HashMap<ConversationId, Armed> = HashMap::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                change = self.0.recv() => {
                    let Some(Change { id, after }) = change else { return };
                    if let Some(old) = armed.remove(&id) {
                        queue.remove(&old.key);
                    }
                    if let Some(after) = after {
                        let key = queue.insert(id.clone(), after.min(LONGEST));
                        armed.insert(id, Armed { key, left: after.saturating_sub(LONGEST) });
                    }
                }
                Some(due) = queue.next(), if !queue.is_empty() => {
                    let id = due.into_inner();
                    match armed.remove(&id) {
                        Some(Armed { left, .. }) if !left.is_zero() => {
                            let key = queue.insert(id.clone(), left.min(LONGEST));
                            armed.insert(id, Armed { key, left: left.saturating_sub(LONGEST) });
                        }
                        _ => act_if_due(&conversations, &timers, &id).await,
                    }
                }
            }
        }
    }
}

/// A deadline in the queue.
struct Armed {
    key: delay_queue::Key,
    /// What is to be waited for beyond the piece that is in the queue.
    left: Duration,
}

async fn act_if_due(conversations: &Conversations, timers: &IdleTimers, id: &ConversationId) {
    match conversations.ask(id, Input::DeadlineDue, None).await {
        // Not due by the wall clock: what it says now is the deadline. Without one it is busy or closed, and says
        // itself when it is idle again; to clear its deadline here could clear that newer one.
        Ok(answer) => {
            if let Some(deadline) = answer.state.deadline() {
                timers.set(id, Some(deadline));
            }
        }
        Err(error) if error.kind == ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(%id, %error, "a conversation that is due could not be acted upon");
            timers.set(id, Some(timers.clock.wall().plus_millis(AGAIN.as_millis() as i64)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::testing::{House, created, normal};
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_wall_clock_that_jumps_ahead_closes_nothing_before_its_time_has_passed() {
        let mut house = House::new();
        let queue = house.idle_queue.take().unwrap();
        tokio::spawn(queue.run(house.conversations.clone(), house.timers.clone(), CancellationToken::new()));
        let mut c = created(1);
        c.idle_timeout_minutes = 60 * 60;
        let id = house.begin(c).await;
        house.says(&id, r#"{"type":"done","body":"x"}"#).await;
        let mut events = house.store.subscribe_events();
        let idle_since = Instant::now();
        house.ends(&id, normal()).await;
        house.clock.set_wall(house.clock.wall().plus_millis(1000 * 3_600_000));
        loop {
            if let akk_proto::event::EventBody::ConversationClosed { reason, .. } = &events.recv().await.unwrap().body {
                assert_eq!(reason, "idle timeout after 3600 minutes");
                break;
            }
        }
        assert!(idle_since.elapsed() >= Duration::from_hours(60), "{:?}", idle_since.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wall_clock_that_is_set_back_keeps_nothing_open_for_ever() {
        let mut house = House::new();
        let queue = house.idle_queue.take().unwrap();
        tokio::spawn(queue.run(house.conversations.clone(), house.timers.clone(), CancellationToken::new()));
        let mut c = created(1);
        c.idle_timeout_minutes = 60;
        let id = house.begin(c).await;
        house.says(&id, r#"{"type":"done","body":"x"}"#).await;
        let mut events = house.store.subscribe_events();
        house.ends(&id, normal()).await;
        // Ten minutes back, after its deadline was set: when its time has passed it is not due by the wall clock yet.
        house.clock.set_wall(house.clock.wall().plus_millis(-600_000));
        let clock = house.clock.clone();
        let passing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_mins(1)).await;
                clock.set_wall(clock.wall().plus_millis(60_000));
            }
        });
        let idle_since = Instant::now();
        loop {
            if let akk_proto::event::EventBody::ConversationClosed { reason, .. } = &events.recv().await.unwrap().body {
                assert_eq!(reason, "idle timeout after 60 minutes");
                break;
            }
        }
        passing.abort();
        assert!(idle_since.elapsed() >= Duration::from_hours(1), "{:?}", idle_since.elapsed());
    }
}
