//! Takes native sessions over: what is possible is planned from facts, then carried out.

use crate::clock::Clock;
use crate::config::Config;
use crate::conversation::Conversations;
use crate::sessions::Sessions;
use crate::store::Store;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::session::{TakeoverAnswer, TakeoverParams};

/// Makes native sessions conversations. Cheap to clone.
#[derive(Clone)]
pub struct Takeovers {
    store: Store,
    conversations: Conversations,
    sessions: Sessions,
    clock: Clock,
}

impl Takeovers {
    /// What it takes.
    pub fn new(store: Store, conversations: Conversations, sessions: Sessions, clock: Clock) -> Self {
        Self { store, conversations, sessions, clock }
    }

    /// Answers `sessions.takeover`. `caller`: the process that asks, where it is known; neither it nor its ancestors
    /// are ended.
    ///
    /// # Errors
    /// `session_not_found`, and what stands against a confirmed takeover.
    pub async fn takeover(
        &self,
        params: TakeoverParams,
        config: &Config,
        caller: Option<u32>,
    ) -> Result<TakeoverAnswer, Failure> {
        let _ = (&self.store, &self.conversations, &self.sessions, &self.clock, params, config, caller);
        Err(Failure::new(ErrorKind::UnknownMethod, "sessions.takeover is being built", "Come back later."))
    }
}
