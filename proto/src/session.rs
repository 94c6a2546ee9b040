//! Native sessions: agent sessions that akkd did not start, and how they are taken over.

use crate::conversation::{ConversationView, PermissionPolicy};
use crate::{ConversationId, RequestId, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a session was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// It can be read and resumed.
    Full,
    /// Only what is listed here is known; [`SessionView::capability_reason`] says why.
    MetadataOnly,
}

/// Whether a turn runs in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
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
#[serde(default, deny_unknown_fields)]
pub struct WatchParams {
    /// Only this provider.
    pub agent: Option<String>,
    /// Sub-agents and guardians too.
    pub auxiliary: bool,
}

/// What happened to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// How a native session becomes a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Resume a session that nobody runs.
    SafeResume,
    /// End the one process that runs it, then resume.
    TerminateThenResume,
    /// Join it in the app-server daemon in which it lives; the user's terminal goes on.
    Attach,
    /// A new session that gets a summary; the original is not touched.
    Fork,
}

impl Strategy {
    /// Every strategy, the least intrusive first.
    pub const ALL: [Self; 4] = [Self::SafeResume, Self::Attach, Self::TerminateThenResume, Self::Fork];

    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SafeResume => "safe_resume",
            Self::TerminateThenResume => "terminate_then_resume",
            Self::Attach => "attach",
            Self::Fork => "fork",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Parameters of `sessions.takeover`. Without `create_conversation` nothing happens but a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "independent permissions, each given by name")]
pub struct TakeoverParams {
    /// The client's own name for this call.
    pub request_id: Option<RequestId>,
    /// The provider; `codex` by default.
    pub agent: Option<String>,
    /// The session's id, or a unique prefix or suffix of 4 or more characters.
    pub session_id: String,
    /// How; when left out, the answer explains every strategy and recommends one.
    pub strategy: Option<Strategy>,
    /// Do it.
    pub create_conversation: bool,
    /// `terminate_then_resume`: the process of the plan may be ended.
    pub confirm_terminate: bool,
    /// `terminate_then_resume`: the plan that was confirmed.
    pub plan_id: Option<String>,
    /// `terminate_then_resume`: the process that was confirmed; selects the newest plan for it when `plan_id` is left
    /// out.
    pub expected_pid: Option<u32>,
    /// `terminate_then_resume`: the process is known by its directory only, and the user knows that it is the one.
    pub allow_cwd_only: bool,
    /// `terminate_then_resume`: end it although a turn runs.
    pub even_if_working: bool,
    /// `terminate_then_resume`: SIGKILL when SIGTERM did not do.
    pub kill: bool,
    /// `terminate_then_resume`: milliseconds to wait for its end and for the lock, 100 to 60,000; 3,000 by default.
    pub wait_ms: Option<u64>,
    /// `fork`: the summary that the user confirmed, 64 KiB at most.
    pub fork_summary: Option<String>,
    /// What the conversation is for, for people: recorded, not sent. By default the session's title.
    pub request: Option<String>,
    /// `fork`: messages in the context, 1 to 50; 12 by default.
    pub max_messages: Option<u32>,
    /// `fork`: commands in the context, 0 to 50; 8 by default.
    pub max_commands: Option<u32>,
    /// `fork`: characters of each, 100 to 10,000; 1,200 by default.
    pub max_text_length: Option<u32>,
    /// The model from now on; by default the session's own (`fork`: that of the agent's configuration).
    pub model: Option<String>,
    /// Where callbacks go: an OpenClaw session key such as `agent:main:main`.
    pub orchestrator: Option<String>,
    /// A name for people, 200 characters at most.
    pub label: Option<String>,
    /// Rounds, 1 or more.
    pub soft_limit: Option<u32>,
    /// Rounds, the soft limit or more.
    pub hard_limit: Option<u32>,
    /// Minutes of silence after which a turn counts as stalled; 1 or more.
    pub agent_timeout_minutes: Option<u32>,
    /// Minutes of idleness after which the conversation is closed; 1 or more.
    pub idle_timeout_minutes: Option<u32>,
    /// What happens to permission requests (`attach` and `fork`; `codex exec` asks for none).
    pub permissions: Option<PermissionPolicy>,
    /// Deliver `progress` too.
    pub deliver_progress: bool,
}

/// What a takeover came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TakeoverStatus {
    /// It can be done; nothing was done.
    Ready,
    /// The session is a conversation now.
    Attached,
    /// It cannot be done now; [`TakeoverAnswer::reason`] says why.
    Blocked,
    /// It can be done once the plan is confirmed.
    RequiresConfirmation,
    /// It can be done with a summary that the user confirmed.
    AwaitingOpenclawSummary,
    /// A new conversation with the summary is there.
    Forked,
}

impl TakeoverStatus {
    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Attached => "attached",
            Self::Blocked => "blocked",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::AwaitingOpenclawSummary => "awaiting_openclaw_summary",
            Self::Forked => "forked",
        }
    }
}

/// Why a strategy is blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockReason {
    /// A process runs the session, or seems to.
    ActiveCliConflict,
    /// Locks or processes could not be read, so that nobody can say who runs it.
    FactsIncomplete,
    /// The process was signalled and is still there.
    TargetStillActive,
    /// Nobody runs the session, so that there is nothing to end or to join.
    NoHolder,
    /// Several processes run it, or one that runs other sessions too.
    SharedHolder,
    /// The evidence is too weak to end a process.
    WeakEvidence,
    /// A turn runs.
    Working,
    /// The process is one of akkd's own, or an ancestor of the caller.
    ProtectedProcess,
    /// It belongs to an open conversation already.
    AlreadyAdopted,
    /// It is archived: Codex would refuse to resume it.
    Archived,
    /// Its records cannot be read, or are of a form that Codex would not resume.
    NotResumable,
    /// Its directory is gone.
    WorkspaceGone,
    /// The daemon does not answer, or speaks another protocol.
    NoControlSocket,
    /// The program that resumes it is not installed.
    AgentUnavailable,
}

impl BlockReason {
    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ActiveCliConflict => "active_cli_conflict",
            Self::FactsIncomplete => "facts_incomplete",
            Self::TargetStillActive => "target_still_active",
            Self::NoHolder => "no_holder",
            Self::SharedHolder => "shared_holder",
            Self::WeakEvidence => "weak_evidence",
            Self::Working => "working",
            Self::ProtectedProcess => "protected_process",
            Self::AlreadyAdopted => "already_adopted",
            Self::Archived => "archived",
            Self::NotResumable => "not_resumable",
            Self::WorkspaceGone => "workspace_gone",
            Self::NoControlSocket => "no_control_socket",
            Self::AgentUnavailable => "agent_unavailable",
        }
    }
}

/// Whether a strategy is possible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrategyView {
    /// Which.
    pub strategy: Strategy,
    /// What asking for it would come to: `ready`, `requires_confirmation`, `awaiting_openclaw_summary` or `blocked`.
    pub status: TakeoverStatus,
    /// Why it is blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<BlockReason>,
    /// The same for people: a sentence.
    pub explanation: String,
}

/// How later messages will reach the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeView {
    /// `exec_resume` or `app_server`.
    pub way: String,
    /// The working directory: the session's own.
    pub cwd: String,
    /// The model: the one that was asked for, else the session's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The sandbox of its newest turn: `read-only`, `workspace-write` or `danger-full-access`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// The command line's words without the prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
}

/// A process in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetView {
    /// Its process id.
    pub pid: u32,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// Its executable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
    /// Its command line's words, redacted.
    pub command: Vec<String>,
}

/// A plan to end a process; to be confirmed by the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminationPlan {
    /// Its id; good for one use.
    pub plan_id: String,
    /// Until when.
    pub expires_at: Timestamp,
    /// The session.
    pub session_id: String,
    /// The process to end.
    pub target: TargetView,
    /// What kind of program it is.
    pub kind: ProcessKind,
    /// Its working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// By what it is known to run the session.
    pub evidence: Evidence,
    /// How sure that is.
    pub confidence: Confidence,
    /// What it started: ended with it.
    pub children: Vec<TargetView>,
    /// Whether a turn runs.
    pub activity: SessionActivity,
}

/// One thing that a takeover did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeoverStep {
    /// When.
    pub ts: Timestamp,
    /// What: `checked`, `signalled`, `exited`, `lock_free`, `attached`, `forked`, `still_active`.
    pub step: String,
    /// The same for people.
    pub detail: String,
}

/// A message in a fork's context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextMessage {
    /// `user` or `assistant`.
    pub role: String,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts: Option<Timestamp>,
    /// What was said: redacted and cut.
    pub text: String,
    /// Whether it was cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// A command in a fork's context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextCommand {
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts: Option<Timestamp>,
    /// The command: redacted and cut.
    pub command: String,
    /// Its exit code; none when it is not known.
    pub exit_code: Option<i32>,
    /// The end of its output: redacted and cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Whether it was cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// What a summary for a fork can be made of: bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkContext {
    /// The first and the newest messages, oldest first.
    pub messages: Vec<ContextMessage>,
    /// The newest commands, oldest first.
    pub commands: Vec<ContextCommand>,
    /// Whether there is more than this.
    pub truncated: bool,
    /// Records that could not be read.
    pub skipped_records: u64,
    /// What to ask for: the summary that the user is to confirm.
    pub prompt: String,
}

/// Answer of `sessions.takeover`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TakeoverAnswer {
    /// What it came to.
    pub status: TakeoverStatus,
    /// The strategy that was asked for, else the recommended one.
    pub strategy: Strategy,
    /// Whether anything was done: a process signalled, a conversation made.
    pub side_effects_executed: bool,
    /// Why it is blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<BlockReason>,
    /// What holds, for people: a sentence or two.
    pub explanation: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The session, looked at now.
    pub session: SessionView,
    /// Every strategy, when none was asked for or the one asked for is blocked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strategies: Vec<StrategyView>,
    /// What could not be read, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub incomplete: Vec<String>,
    /// How later messages will reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<ResumeView>,
    /// `terminate_then_resume`: the plan to confirm, or the one that was carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<TerminationPlan>,
    /// What was done, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<TakeoverStep>,
    /// `fork`: what the summary can be made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<ForkContext>,
    /// The conversation that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationView>,
    /// Whether this answers a repeated call.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

/// How a conversation came by a native session. Kept with the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeAttachment {
    /// The provider: `codex`.
    pub agent: String,
    /// The agent's own id of it.
    pub session_id: String,
    /// The agent's home that it lies in; absolute.
    pub home: String,
    /// Where it works; absolute.
    pub cwd: String,
    /// Its title at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// How: never `fork`.
    pub strategy: Strategy,
    /// What was known of its holders, in sentences.
    pub evidence: Vec<String>,
    /// Its own model at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The sandbox of its newest turn at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// What the agent's configuration must say, so that a session that replaces this one may do no more: `key=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
    /// `attach`: the daemon's control socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_socket: Option<String>,
    /// A process was ended that was known by its directory only; the user had confirmed it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cwd_only_confirmed: bool,
    /// When.
    pub attached_at: Timestamp,
    /// What was done for it, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<TakeoverStep>,
}

/// Which session a conversation was forked from. Kept with the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkOrigin {
    /// The provider: `codex`.
    pub agent: String,
    /// The source's id.
    pub session_id: String,
    /// The agent's home that it lies in; absolute.
    pub home: String,
    /// Where it works; absolute.
    pub cwd: String,
    /// Its title at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The summary that the user confirmed: the only thing that is carried over.
    pub summary: String,
    /// When.
    pub forked_at: Timestamp,
}

/// How a conversation came by a native session, as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentView {
    /// What was kept.
    #[serde(flatten)]
    pub attachment: NativeAttachment,
    /// Whether its next prompt carries the rules and says that the session existed before.
    pub needs_bootstrap: bool,
}

/// What a conversation was forked from, as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkView {
    /// What was kept.
    #[serde(flatten)]
    pub origin: ForkOrigin,
    /// Whether its next prompt carries the summary.
    pub needs_bootstrap: bool,
}
