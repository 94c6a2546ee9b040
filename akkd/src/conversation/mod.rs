//! Conversations: the only place where one changes.
//!
//! Each conversation that something happens to has a task of its own that loads it, lets core decide, commits, and
//! answers; then the effects go to the channel that `effects` serves. A conversation with nothing going on costs no
//! memory: its task ends after a minute and the next input loads it again.

mod actor;
mod making;
#[cfg(test)]
pub(crate) mod testing;
mod timers;
pub mod view;

pub use actor::{Answer, Request};
pub use making::{Making, check_name, workspace};
pub use timers::{IdleQueue, IdleTimers};

use crate::clock::Clock;
use crate::store::{AnsweredRequest, Checkpoint, Store};
use actor::{Command, Work};
use akk_core::decide::{Beginning, Given, Input};
use akk_core::{Conversation, Effect, ExecutorReport};
use akk_proto::ConversationId;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::Created;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Inputs that may wait for one conversation. Beyond that their senders wait.
const MAILBOX: usize = 64;
/// Committed decisions whose effects may wait.
const EFFECTS: usize = 1024;

/// The effects of one committed decision, in order.
#[derive(Debug)]
pub struct Asked {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// What it asked for.
    pub effects: Vec<Effect>,
}

/// A way to every conversation. Cheap to clone.
#[derive(Clone)]
pub struct Conversations {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    clock: Clock,
    effects: mpsc::Sender<Asked>,
    timers: IdleTimers,
    live: Mutex<HashMap<ConversationId, mpsc::Sender<Command>>>,
    /// See [`Conversations::choosing_a_session`].
    choosing: tokio::sync::Mutex<()>,
}

impl Conversations {
    /// A registry without live conversations, and the channel on which effects come out.
    pub fn new(store: Store, clock: Clock, timers: IdleTimers) -> (Self, mpsc::Receiver<Asked>) {
        let (effects, asked) = mpsc::channel(EFFECTS);
        let (live, choosing) = (Mutex::default(), tokio::sync::Mutex::default());
        (Self { shared: Arc::new(Shared { store, clock, effects, timers, live, choosing }) }, asked)
    }

    /// The clock that conversations go by.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// To be held from the look at who uses an agent session that a client named until its new user is recorded: of two
    /// calls with one session, only one finds it free.
    pub async fn choosing_a_session(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.shared.choosing.lock().await
    }

    /// Begins a conversation: with its first turn, or with a native session.
    ///
    /// # Errors
    /// When core refuses it or it cannot be made durable. A repeat of a `request_id` gives `Answer::repeated`.
    pub async fn begin(
        &self,
        created: Created,
        beginning: Beginning,
        call: Option<Request>,
    ) -> Result<Answer, Failure> {
        let id = created.conversation_id.clone();
        self.tell(&id, Work::Begin { created: Box::new(created), beginning }, call, None).await
    }

    /// Lets core decide what becomes of `input`, and commits it.
    ///
    /// # Errors
    /// `not_found`, whatever core refuses, and `storage`.
    pub async fn ask(&self, id: &ConversationId, input: Input, call: Option<Request>) -> Result<Answer, Failure> {
        self.tell(id, Work::Input(Box::new(input)), call, None).await
    }

    /// Commits what an executor learned, with how far its output has been read.
    ///
    /// # Errors
    /// Like [`Self::ask`].
    pub async fn executor_report(
        &self,
        id: &ConversationId,
        report: ExecutorReport,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Answer, Failure> {
        self.tell(id, Work::Executor(Box::new(report)), None, checkpoint).await
    }

    /// Deletes a terminal conversation and its history for good.
    ///
    /// # Errors
    /// `not_found`, `wrong_status` when it is open, `storage`.
    pub async fn delete(&self, id: &ConversationId) -> Result<(), Failure> {
        self.tell(id, Work::Delete, None, None).await.map(drop)
    }

    /// The stored state.
    ///
    /// # Errors
    /// `not_found` and `storage`.
    pub async fn state(&self, id: &ConversationId) -> Result<Conversation, Failure> {
        match self.shared.store.load(id).await {
            Ok(Some((state, _))) => Ok(state),
            Ok(None) => Err(not_found(id)),
            Err(e) => Err(e.into()),
        }
    }

    async fn tell(
        &self,
        id: &ConversationId,
        work: Work,
        call: Option<Request>,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Answer, Failure> {
        let (reply, answer) = oneshot::channel();
        let mut command = Command { work, call, checkpoint, reply };
        loop {
            let mailbox = self.mailbox(id);
            match mailbox.send(command).await {
                Ok(()) => break,
                // Its task ended between the look-up and the sending: a new one takes it.
                Err(mpsc::error::SendError(back)) => command = back,
            }
        }
        answer
            .await
            .unwrap_or_else(|_| Err(Failure::new(ErrorKind::Stopping, "akkd is stopping", "Try again when it runs.")))
    }

    fn mailbox(&self, id: &ConversationId) -> mpsc::Sender<Command> {
        let mut live = self.shared.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mailbox) = live.get(id).filter(|m| !m.is_closed()) {
            return mailbox.clone();
        }
        let (mailbox, inbox) = mpsc::channel(MAILBOX);
        live.insert(id.clone(), mailbox.clone());
        tokio::spawn(actor::run(self.shared.clone(), id.clone(), inbox));
        mailbox
    }
}

impl Shared {
    fn given(&self) -> Given {
        Given { now: self.clock.wall(), seed: uuid::Uuid::now_v7() }
    }
}

/// The error for a conversation that is not there.
pub fn not_found(id: &ConversationId) -> Failure {
    Failure::new(ErrorKind::NotFound, format!("there is no conversation {id}"), "`akkctl list --all` shows them all.")
}

/// What a repeated call is answered with.
pub(crate) fn repeated(found: AnsweredRequest) -> akk_core::decide::Said {
    akk_core::decide::Said { message_id: found.message_id, turn_id: found.turn_id, ..Default::default() }
}

/// A fresh name for an agent session: `akk-<agent>-<yyyymmddhhmmss>-<8 hex>`.
pub fn session_name(agent: &str, now: akk_proto::Timestamp) -> String {
    let digits: String = now.to_string().chars().filter(char::is_ascii_digit).take(14).collect();
    format!("akk-{agent}-{digits}-{:08x}", rand::random::<u32>())
}
