//! `sessions.takeover`: what is asked, what it comes to, and what a conversation keeps of it.

use super::{Confidence, Evidence, ProcessKind, SessionActivity, SessionView};
use crate::conversation::{ConversationView, PermissionPolicy};
use crate::delivery::{Recipient, SinkKind};
use crate::{RequestId, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a native session becomes a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// Where that session stands; OpenClaw's plugin fills it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Recipient>,
    /// How callbacks travel; by default `plugin` with an orchestrator, else `command` where one is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink: Option<SinkKind>,
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
}

/// A process in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AttachmentView {
    /// What was kept.
    #[serde(flatten)]
    pub attachment: NativeAttachment,
    /// Whether its next prompt carries the rules and says that the session existed before.
    pub needs_bootstrap: bool,
}

/// What a conversation was forked from, as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ForkView {
    /// What was kept.
    #[serde(flatten)]
    pub origin: ForkOrigin,
    /// Whether its next prompt carries the summary.
    pub needs_bootstrap: bool,
}
