//! Native sessions: agent sessions that akkd did not start. Reading only: nothing here writes, signals or locks.
//!
//! A [`SessionProvider`] knows the sessions of one agent. Codex is the first; the interface asks for nothing that only
//! Codex has.

pub mod codex;
mod page;

pub use page::merge;

use crate::platform::ProcessIdentity;
use akk_proto::Timestamp;
use akk_proto::error::Failure;
use akk_proto::session::{
    DiscoverAnswer, DiscoverParams, Evidence, ForkContext, HolderView, ProcessKind, ProviderView, SessionActivity,
    SessionItem, SessionView,
};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::broadcast;

/// The sessions of one agent. Every method but [`subscribe`](Self::subscribe) may read files and processes: call it
/// where blocking is allowed, on a thread that knows the tokio runtime.
pub trait SessionProvider: Send + Sync + 'static {
    /// Its name: the agent's kind.
    fn agent(&self) -> &'static str;

    /// What works here, and what does not and why.
    fn capabilities(&self) -> ProviderView;

    /// One page of the history, from memory, newest first.
    ///
    /// # Errors
    /// `invalid_params` for a page that cannot be.
    fn sessions(&self, params: &DiscoverParams) -> Result<DiscoverAnswer, Failure>;

    /// The sessions that a process runs, or seems to: looked at now.
    ///
    /// # Errors
    /// When not even the processes can be listed.
    fn active(&self, params: &DiscoverParams) -> Result<DiscoverAnswer, Failure>;

    /// The one session that `text` names: its id, or a unique prefix or suffix of 4 or more characters.
    ///
    /// # Errors
    /// `session_not_found`; `ambiguous_id`.
    fn resolve(&self, text: &str) -> Result<String, Failure>;

    /// Everything that a takeover needs to know of one session, looked at now.
    ///
    /// # Errors
    /// `session_not_found`.
    fn facts(&self, session_id: &str) -> Result<SessionFacts, Failure>;

    /// What a summary can be made of.
    ///
    /// # Errors
    /// `session_not_found`; `storage` when its records cannot be read at all.
    fn context(&self, session_id: &str, limits: ContextLimits) -> Result<ForkContext, Failure>;

    /// Waits until every change is told, and says how many sessions there are then: what is subscribed to before this
    /// was called misses nothing after it. A provider that tells of no changes has nothing to wait for.
    fn watching(&self) -> u64 {
        self.capabilities().sessions
    }

    /// Changes from now on. Who lies too far behind is told `Lagged`: changes are missed then.
    fn subscribe(&self) -> broadcast::Receiver<Arc<SessionItem>>;
}

/// How much a context may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextLimits {
    /// Messages; 12.
    pub messages: usize,
    /// Commands; 8.
    pub commands: usize,
    /// Characters of each; 1,200.
    pub chars: usize,
}

impl Default for ContextLimits {
    fn default() -> Self {
        Self { messages: 12, commands: 8, chars: 1200 }
    }
}

/// What is known of one session at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionFacts {
    /// The session, with `activity` and `holders` filled in.
    pub session: SessionView,
    /// The processes that run it or seem to, surest first: as in `session.holders`, in the same order, with what a
    /// takeover needs of each.
    pub holders: Vec<Holder>,
    /// What could not be read, in sentences; while this is not empty, nobody can say that the session is free.
    pub incomplete: Vec<String>,
    /// How it would be resumed; none when it cannot be ([`SessionView::capability_reason`] says why).
    pub resume: Option<Resume>,
    /// The control socket of the daemon that holds it, where it exists.
    pub control_socket: Option<PathBuf>,
}

/// A process that runs a session, or seems to.
#[derive(Debug, Clone, PartialEq)]
pub struct Holder {
    /// Who it is, for ever.
    pub identity: ProcessIdentity,
    /// When it was started, by wall time.
    pub started_at: Option<Timestamp>,
    /// What kind of program it is.
    pub kind: ProcessKind,
    /// Its executable, where it can be read.
    pub executable: Option<String>,
    /// Its command line's words, not redacted.
    pub command: Vec<String>,
    /// Its working directory, where it can be read.
    pub cwd: Option<String>,
    /// By what it is known to run this session.
    pub evidence: Evidence,
    /// Other sessions that it holds for certain, without this one's sub-agents: what else would end with it.
    pub also_holds: Vec<String>,
    /// What it started, and they, and a wrapper that started it: what must end with it. Without itself.
    pub relatives: Vec<Relative>,
    /// The conversation that it works for, when akkd started it.
    pub view: HolderView,
}

/// A process that belongs to a holder.
#[derive(Debug, Clone, PartialEq)]
pub struct Relative {
    /// Who it is.
    pub identity: ProcessIdentity,
    /// Its executable, where it can be read.
    pub executable: Option<String>,
    /// Its command line's words, not redacted.
    pub command: Vec<String>,
}

/// How a session is resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The agent's home.
    pub home: PathBuf,
    /// Where it works.
    pub cwd: PathBuf,
    /// Its own model: that of its newest turn, else the one in its record.
    pub model: Option<String>,
    /// The sandbox of its newest turn: `read-only`, `workspace-write`, `danger-full-access`, or `profile NAME`; none
    /// when its records do not say.
    pub sandbox: Option<String>,
    /// What the agent's configuration must say meanwhile, so that the session may do what it could and no more:
    /// `key=value`.
    pub overrides: Vec<String>,
    /// Whether a turn was begun and has not ended.
    pub activity: SessionActivity,
}

/// All providers. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    providers: Arc<[Arc<dyn SessionProvider>]>,
}

impl Sessions {
    /// These providers.
    pub fn new(providers: Vec<Arc<dyn SessionProvider>>) -> Self {
        Self { providers: providers.into() }
    }

    /// The provider of this name; the first one when none is named.
    ///
    /// # Errors
    /// `agent_unavailable` with the names that there are.
    pub fn provider(&self, agent: Option<&str>) -> Result<Arc<dyn SessionProvider>, Failure> {
        let found = match agent {
            None => self.providers.first(),
            Some(name) => self.providers.iter().find(|p| p.agent() == name),
        };
        found.cloned().ok_or_else(|| {
            let names: Vec<&str> = self.providers.iter().map(|p| p.agent()).collect();
            Failure::new(
                akk_proto::error::ErrorKind::AgentUnavailable,
                format!("native sessions of {} cannot be read", agent.unwrap_or("any agent")),
                format!("Providers here: {}.", names.join(", ")),
            )
        })
    }

    /// Every provider.
    pub fn all(&self) -> &[Arc<dyn SessionProvider>] {
        &self.providers
    }
}
