//! Native sessions: agent sessions that akkd did not start, and how they are taken over.

mod takeover;

pub use takeover::*;

use crate::{ConversationId, Timestamp};
use serde::{Deserialize, Serialize};

/// Where a session was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SessionSource {
    /// A terminal.
    Cli,
    /// `codex exec` and the like.
    Exec,
    /// An editor, or any client of an app server (Codex 0.169 says `vscode` for all of them).
    Vscode,
    /// An agent that another session started; see [`SessionView::parent`].
    SubAgent,
    /// A reviewer that Codex started for itself.
    Guardian,
    /// The provider does not say, or says something new.
    Unknown,
}

impl SessionSource {
    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Exec => "exec",
            Self::Vscode => "vscode",
            Self::SubAgent => "sub_agent",
            Self::Guardian => "guardian",
            Self::Unknown => "unknown",
        }
    }

    /// Whether an agent made it for itself: left out of lists unless asked for.
    pub fn is_auxiliary(self) -> bool {
        matches!(self, Self::SubAgent | Self::Guardian)
    }
}

/// What can be done with a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// It can be read and resumed.
    Full,
    /// Only what is listed here is known; [`SessionView::capability_reason`] says why.
    MetadataOnly,
}

/// Whether a turn runs in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SessionActivity {
    /// A turn was begun and has not ended, and a process holds the session.
    Working,
    /// No turn runs.
    Idle,
    /// It cannot be told.
    #[default]
    Unknown,
}

/// What kind of program runs a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProcessKind {
    /// A person's terminal.
    Tui,
    /// One run without a person.
    Exec,
    /// A server for one client, such as an editor's.
    AppServer,
    /// A server that terminals share.
    Daemon,
    /// An ACP adapter.
    AcpAdapter,
    /// None of these.
    Unknown,
}

impl ProcessKind {
    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tui => "tui",
            Self::Exec => "exec",
            Self::AppServer => "app_server",
            Self::Daemon => "daemon",
            Self::AcpAdapter => "acp_adapter",
            Self::Unknown => "unknown",
        }
    }
}

/// By what a process is known to run a session, surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// It holds the session's writer lock.
    Lock,
    /// It has the session's rollout open.
    Rollout,
    /// Its command line names the session. Goes stale when the person switches sessions.
    Argv,
    /// It runs in the session's directory, and nothing else is known.
    Cwd,
}

impl Evidence {
    /// How sure that is.
    pub fn confidence(self) -> Confidence {
        match self {
            Self::Lock | Self::Rollout => Confidence::Exact,
            Self::Argv => Confidence::Medium,
            Self::Cwd => Confidence::Low,
        }
    }

    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Rollout => "rollout",
            Self::Argv => "argv",
            Self::Cwd => "cwd",
        }
    }
}

/// How sure an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// A guess.
    Low,
    /// Likely.
    Medium,
    /// Certain at the moment of looking.
    Exact,
}

impl Confidence {
    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::Exact => "exact",
        }
    }
}

/// A process that runs a session, or seems to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HolderView {
    /// Its process id, in akkd's pid namespace.
    pub pid: u32,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// What kind of program it is.
    pub kind: ProcessKind,
    /// Its executable, where it can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
    /// Its command line's words: redacted, 20 at most, 200 characters each.
    pub command: Vec<String>,
    /// Its working directory, where it can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// By what it is known to run this session.
    pub evidence: Evidence,
    /// How sure that is.
    pub confidence: Confidence,
    /// Other sessions that it holds for certain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_holds: Vec<String>,
    /// The conversation that it works for, when akkd started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
}

/// A native session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionView {
    /// The provider: `codex`.
    pub agent: String,
    /// The agent's own id of it.
    pub session_id: String,
    /// The agent's home that it lies in, such as `~/.codex`; absolute.
    pub home: String,
    /// Where it works; absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Its name, else its title, else the beginning of it: one line, 200 characters at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When something happened in it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// Whether its user put it away.
    pub archived: bool,
    /// The model of its newest turn, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Where it was started.
    pub source: SessionSource,
    /// The program that started it, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub originator: Option<String>,
    /// The session that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// What can be done with it.
    pub capability: Capability,
    /// Why no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability_reason: Option<String>,
    /// Whether a turn runs in it.
    pub activity: SessionActivity,
    /// The processes that run it or seem to, surest first. Empty: it is not live, or nothing is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<HolderView>,
    /// The open conversation that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
}

/// What `sessions.discover` looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DiscoverScope {
    /// What works here, and what does not and why.
    Capabilities,
    /// Every session, newest first, from memory.
    #[default]
    Sessions,
    /// Those that a process runs, looked at now.
    Active,
}

/// Parameters of `sessions.discover`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct DiscoverParams {
    /// What to look at.
    pub scope: DiscoverScope,
    /// Only this provider.
    pub agent: Option<String>,
    /// Only sessions that work in this directory; absolute.
    pub cwd: Option<String>,
    /// Only sessions whose id, title or directory contains this, whatever the case; 1,000 characters at most.
    pub text: Option<String>,
    /// Archived ones too.
    pub archived: bool,
    /// Sub-agents and guardians too.
    pub auxiliary: bool,
    /// Rows in a page, 1 to 1,000; 100 by default.
    pub limit: Option<u32>,
    /// Where the former page ended.
    pub after: Option<String>,
}

/// One ability of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AbilityView {
    /// `list`, `locks`, `processes`, `watch`, `safe_resume`, `terminate_then_resume`, `attach`, `fork`.
    pub name: String,
    /// Whether it works here.
    pub works: bool,
    /// Why not, or with what limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A provider of native sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProviderView {
    /// Its name: `codex`.
    pub agent: String,
    /// The homes that it reads, absolute, whether they exist or not.
    pub homes: Vec<String>,
    /// What it can do here.
    pub abilities: Vec<AbilityView>,
    /// Sessions that it knows.
    pub sessions: u64,
}

/// Answer of `sessions.discover`, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DiscoverAnswer {
    /// The providers; for scope `capabilities` only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<ProviderView>,
    /// The page.
    #[serde(default)]
    pub sessions: Vec<SessionView>,
    /// How many fit in all.
    pub total: u64,
    /// What to give as `after` for the next page; none at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What could not be read, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incomplete: Vec<String>,
}

/// Parameters of `sessions.watch`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct WatchParams {
    /// Only this provider.
    pub agent: Option<String>,
    /// Sub-agents and guardians too.
    pub auxiliary: bool,
}

/// What happened to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SessionChange {
    /// It is there since just now.
    New,
    /// A turn began.
    TurnStarted,
    /// Something was recorded in it. At most one a second for one session; see the session for what is known.
    Activity,
    /// Its turn ended.
    TurnEnded,
    /// A process took it.
    OwnerTaken,
    /// The process that had it let it go.
    OwnerReleased,
    /// The process that had it is gone.
    ProcessGone,
    /// Its name, model, directory or archive changed.
    Changed,
    /// It was deleted.
    Removed,
}

impl SessionChange {
    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::TurnStarted => "turn_started",
            Self::Activity => "activity",
            Self::TurnEnded => "turn_ended",
            Self::OwnerTaken => "owner_taken",
            Self::OwnerReleased => "owner_released",
            Self::ProcessGone => "process_gone",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

/// What the subscription `sessions.watch` sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "item", rename_all = "snake_case")]
pub enum SessionItem {
    /// The watch stands; what happens from here on is told. Sent first.
    Live {
        /// Sessions that are known.
        sessions: u64,
    },
    /// Something happened.
    Session {
        /// What.
        change: SessionChange,
        /// When it was noticed.
        ts: Timestamp,
        /// The session after it.
        session: Box<SessionView>,
    },
    /// Changes may have been missed: list again.
    Missed {
        /// Why.
        reason: String,
    },
}
