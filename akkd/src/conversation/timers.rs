//! Idle deadlines: kept on the monotonic clock while akkd runs, so that a jump of the wall clock closes nothing.

use super::Conversations;
use crate::clock::Clock;
use akk_core::decide::Input;
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

/// A deadline that changed: from now, or none any more.
struct Change {
    id: ConversationId,
    after: Option<Duration>,
}

/// The other end of [`IdleTimers`].
pub struct IdleQueue(mpsc::UnboundedReceiver<Change>);

/// A deadline is looked at again at least this often, in case that a suspended machine's clock stood still.
const LONGEST: Duration = Duration::from_hours(24);

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
            let after = deadline.map(|d| Duration::from_millis(d.millis_since(now).max(0) as u64).min(LONGEST));
            // At akkd's end nobody listens any more; the deadlines are stored.
            let _ = self.changes.send(Change { id: id.clone(), after });
        }
    }
}

impl IdleQueue {
    /// Closes what is due until `stop`.
    pub async fn run(mut self, conversations: Conversations, timers: IdleTimers, stop: CancellationToken) {
        let mut queue: DelayQueue<ConversationId> = DelayQueue::new();
        let mut keys: HashMap<ConversationId, delay_queue::Key> = HashMap::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                change = self.0.recv() => {
                    let Some(Change { id, after }) = change else { return };
                    match (after, keys.get(&id)) {
                        (Some(after), Some(key)) => queue.reset(key, after),
                        (Some(after), None) => { keys.insert(id.clone(), queue.insert(id, after)); }
                        (None, Some(key)) => { queue.remove(key); keys.remove(&id); }
                        (None, None) => {}
                    }
                }
                Some(due) = queue.next(), if !queue.is_empty() => {
                    let id = due.into_inner();
                    keys.remove(&id);
                    close_if_due(&conversations, &timers, &id).await;
                }
            }
        }
    }
}

async fn close_if_due(conversations: &Conversations, timers: &IdleTimers, id: &ConversationId) {
    match conversations.ask(id, Input::IdleTimeout, None).await {
        // Not due by the wall clock, or busy meanwhile: what it says now is the deadline.
        Ok(answer) => timers.set(id, answer.state.idle_deadline()),
        Err(error) => tracing::warn!(%id, %error, "an idle conversation could not be closed"),
    }
}
