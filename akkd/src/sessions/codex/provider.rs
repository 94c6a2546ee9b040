//! The provider: listings from memory, and everything about one session looked at now.

use super::AGENT;
use super::capabilities::{self, Program};
use super::context;
use super::home::CodexHome;
use super::index::{Needle, Query, real_place};
use super::known::{Known, Stage};
use super::watch::{Inbox, Watcher};
use crate::clock::Clock;
use crate::sessions::page::Position;
use crate::sessions::{ContextLimits, SessionFacts, SessionProvider};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::session::{DiscoverAnswer, DiscoverParams, ForkContext, ProviderView, SessionItem};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use tokio::sync::broadcast;

/// Rows in a page by default.
const PAGE: u32 = 100;

/// The sessions of Codex. Reads nothing until it is asked for the first time; from then on it watches.
///
/// The homes are those of the configuration at akkd's start.
pub struct CodexSessions {
    pub(super) known: Arc<Known>,
    pub(super) inbox: Arc<Inbox>,
    clock: Clock,
    begun: Once,
    homes: Vec<PathBuf>,
    program: Program,
}

impl CodexSessions {
    /// The sessions that lie in `homes`. `command` is what resumes them, looked for in `path` (the agents' `PATH`) when
    /// it is a bare name.
    pub fn new(homes: Vec<PathBuf>, command: Vec<String>, path: Option<OsString>, clock: Clock) -> Self {
        let known = Arc::new(Known::new(homes.iter().map(CodexHome::new).collect()));
        let program = Program { command, path };
        Self { known, inbox: Arc::default(), clock, begun: Once::new(), homes, program }
    }

    fn begin(&self) {
        self.begun.call_once(|| {
            if let Err(error) = Watcher::start(self.known.clone(), self.inbox.clone(), self.clock.clone()) {
                tracing::error!(%error, "native sessions are not watched");
                self.known.health().watch = Some(format!("no thread could be started ({error})"));
                self.known.step(Stage::Watching);
            }
        });
    }

    /// Waits until everything that there is can be listed.
    pub(super) fn indexed(&self) {
        self.begin();
        self.known.wait_for(Stage::Indexed);
    }
}

impl Drop for CodexSessions {
    fn drop(&mut self) {
        self.inbox.stop();
    }
}

/// What a listing asks for.
///
/// # Errors
/// `invalid_params` for a cursor that is none.
pub(super) fn query(params: &DiscoverParams) -> Result<Query, Failure> {
    Ok(Query {
        cwd: params.cwd.as_deref().map(|cwd| real_place(Path::new(cwd))),
        text: params.text.as_deref().and_then(Needle::new),
        archived: params.archived,
        auxiliary: params.auxiliary,
        limit: params.limit.unwrap_or(PAGE) as usize,
        after: params.after.as_deref().map(Position::parse).transpose()?,
    })
}

impl SessionProvider for CodexSessions {
    fn agent(&self) -> &'static str {
        AGENT
    }

    fn capabilities(&self) -> ProviderView {
        self.indexed();
        let sessions = self.known.index().len() as u64;
        capabilities::view(&self.homes, &self.known, &self.program, sessions)
    }

    fn sessions(&self, params: &DiscoverParams) -> Result<DiscoverAnswer, Failure> {
        let query = query(params)?;
        self.indexed();
        // Renames leave no hint: the answer after this one has them.
        self.inbox.poke();
        let mut answer = self.known.index().page(&query);
        answer.incomplete = self.known.health().incomplete();
        Ok(answer)
    }

    fn active(&self, params: &DiscoverParams) -> Result<DiscoverAnswer, Failure> {
        let query = query(params)?;
        self.indexed();
        self.look_at_active(&query)
    }

    fn resolve(&self, text: &str) -> Result<String, Failure> {
        self.indexed();
        self.find(text)
    }

    fn facts(&self, session_id: &str) -> Result<SessionFacts, Failure> {
        self.indexed();
        self.look_at_one(session_id)
    }

    fn context(&self, session_id: &str, limits: ContextLimits) -> Result<ForkContext, Failure> {
        self.indexed();
        let (home, rollout) = self.rollout_of(session_id)?;
        context::context(&home, &rollout, limits).map_err(|error| {
            Failure::new(
                ErrorKind::Storage,
                format!("cannot read {}: {error}", rollout.display()),
                "Look at who may read the agent's home.",
            )
        })
    }

    fn watching(&self) -> u64 {
        self.begin();
        self.known.wait_for(Stage::Watching);
        self.known.index().len() as u64
    }

    fn subscribe(&self) -> broadcast::Receiver<Arc<SessionItem>> {
        self.begin();
        self.known.subscribe()
    }
}
