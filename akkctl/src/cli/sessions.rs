//! The command line of what concerns native sessions.

use super::{one_of, policy, sink};
use akk_proto::conversation::PermissionPolicy;
use akk_proto::delivery::SinkKind;
use akk_proto::session::Strategy;
use clap::builder::TypedValueParser;
use clap::{Args, ValueHint};
use std::path::PathBuf;

/// `sessions`.
#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("view").multiple(false),
    after_help = "Examples:\n  akkctl sessions                    the newest ones, and every one that is live\n  akkctl sessions --all parser       every one with this word\n  akkctl sessions --active --cwd .   which process runs which session of this directory\n  akkctl sessions --watch            one line for each change"
)]
#[expect(clippy::struct_excessive_bools, reason = "a command line is made of flags")]
pub(crate) struct Sessions {
    /// Only those whose id, title or directory contains this, whatever the case
    #[arg(value_name = "TEXT")]
    pub(crate) words: Vec<String>,
    /// Those that a process runs now: which one, by what evidence, and how sure that is
    #[arg(long, group = "view")]
    pub(crate) active: bool,
    /// Every one, not only the newest
    #[arg(long, group = "view")]
    pub(crate) all: bool,
    /// What happens to sessions, as it happens, until Ctrl-C
    ///
    /// With --json: one item a line. A second item `live` means that the connection was made anew, for example because
    /// akkd was restarted: what happened meanwhile is not told.
    #[arg(long, group = "view", conflicts_with_all = ["words", "cwd", "archived", "limit"])]
    pub(crate) watch: bool,
    /// What works here, and what does not and why
    #[arg(long, group = "view", conflicts_with_all = ["words", "cwd", "archived", "sub_agents", "limit"])]
    pub(crate) capabilities: bool,
    /// Only sessions of this agent
    #[arg(long, short, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) agent: Option<String>,
    /// Only sessions that work in this directory
    #[arg(long, visible_alias = "workspace", value_name = "DIR", allow_hyphen_values = true, value_hint = ValueHint::DirPath)]
    pub(crate) cwd: Option<PathBuf>,
    /// Archived ones too
    #[arg(long)]
    pub(crate) archived: bool,
    /// Those that agents started for themselves too: sub-agents and reviewers
    #[arg(long)]
    pub(crate) sub_agents: bool,
    /// Rows at most [default: 30]
    #[arg(long, short, value_name = "N", conflicts_with = "view", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: Option<u32>,
}

/// `takeover`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  akkctl takeover 0a1b2c3d                                   what is possible, and why\n  akkctl takeover 0a1b2c3d -s safe_resume --create           go on with a session that nobody runs\n  akkctl takeover 0a1b2c3d -s terminate_then_resume          what would be ended: the plan\n  akkctl takeover 0a1b2c3d -s terminate_then_resume --create --confirm 4242\n  akkctl takeover 0a1b2c3d -s fork                           what a summary can be made of\n  akkctl takeover 0a1b2c3d -s fork --create --fork-summary @summary.md\n\nExit codes: 0 ready, attached or forked, 3 needs a confirmation or a summary, 4 no such session, 5 blocked."
)]
#[expect(clippy::struct_excessive_bools, reason = "a command line is made of flags")]
pub(crate) struct Takeover {
    /// The session: its id, or a unique prefix or suffix of four characters or more
    #[arg(value_name = "SESSION", required_unless_present = "session_id")]
    session: Option<String>,
    /// The predecessor's name for it.
    #[arg(long, value_name = "SESSION", hide = true, allow_hyphen_values = true, conflicts_with = "session")]
    session_id: Option<String>,
    /// How [default: explain every way]
    #[arg(long, short, value_name = "STRATEGY", value_parser = strategy())]
    pub(crate) strategy: Option<Strategy>,
    /// Do it; without this nothing happens but an explanation
    #[arg(long, visible_alias = "create-conversation")]
    pub(crate) create: bool,
    /// End this process: the one of the plan that you have seen
    #[arg(long, value_name = "PID", allow_hyphen_values = true, value_parser = pid, conflicts_with_all = ["confirm_terminate", "expected_pid"], help_heading = TERMINATE)]
    pub(crate) confirm: Option<u32>,
    /// The predecessor's two words for it.
    #[arg(long, hide = true)]
    pub(crate) confirm_terminate: bool,
    /// The predecessor's two words for it.
    #[arg(long, value_name = "PID", allow_hyphen_values = true, value_parser = pid, hide = true)]
    pub(crate) expected_pid: Option<u32>,
    /// By exactly this plan [default: the newest one for the process]
    #[arg(long, visible_alias = "plan-id", value_name = "ID", allow_hyphen_values = true, help_heading = TERMINATE)]
    pub(crate) plan: Option<String>,
    /// Even if a turn runs: what it was doing is lost
    #[arg(long, help_heading = TERMINATE)]
    pub(crate) even_if_working: bool,
    /// Even if the process is known by its directory only, because you know that it is the one
    #[arg(long, help_heading = TERMINATE)]
    pub(crate) allow_cwd_only: bool,
    /// SIGKILL when SIGTERM was not enough
    #[arg(long, help_heading = TERMINATE)]
    pub(crate) kill: bool,
    /// Milliseconds to wait for the end of the process and for the session's lock [default: 3000]
    #[arg(long, value_name = "MS", help_heading = TERMINATE, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    pub(crate) wait_ms: Option<u64>,
    /// The summary that you confirmed: a text, `@FILE`, or `-` for standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help_heading = FORK)]
    pub(crate) fork_summary: Option<String>,
    /// Messages in the context at most [default: 12]
    #[arg(long, value_name = "N", help_heading = FORK, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub(crate) max_messages: Option<u32>,
    /// Commands in the context at most [default: 8]
    #[arg(long, value_name = "N", help_heading = FORK, value_parser = clap::value_parser!(u32).range(0..=50))]
    pub(crate) max_commands: Option<u32>,
    /// Characters of each at most [default: 1200]
    #[arg(long, value_name = "N", help_heading = FORK, value_parser = clap::value_parser!(u32).range(100..=10_000))]
    pub(crate) max_text_length: Option<u32>,
    /// The agent [default: codex]
    #[arg(long, short, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) agent: Option<String>,
    /// What the conversation is for; recorded, not sent [default: the session's title]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help_heading = CONVERSATION)]
    pub(crate) request: Option<String>,
    /// The model from now on [default: the session's own]
    #[arg(long, short, allow_hyphen_values = true, help_heading = CONVERSATION)]
    pub(crate) model: Option<String>,
    /// A name for people
    #[arg(long, short, allow_hyphen_values = true, help_heading = CONVERSATION)]
    pub(crate) label: Option<String>,
    /// What happens to permission requests (attach and fork): allow those that only read, all, or none
    #[arg(long, value_name = "POLICY", value_parser = policy(), help_heading = CONVERSATION)]
    pub(crate) approve: Option<PermissionPolicy>,
    /// Rounds after which sending stops until the limit is raised [default: 50]
    #[arg(long, value_name = "ROUNDS", help_heading = CONVERSATION, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) soft_limit: Option<u32>,
    /// Rounds after which the conversation fails [default: 100]
    #[arg(long, value_name = "ROUNDS", help_heading = CONVERSATION, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) hard_limit: Option<u32>,
    /// Minutes of silence after which a turn counts as stalled [default: 60]
    #[arg(long, value_name = "MINUTES", help_heading = CONVERSATION, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) agent_timeout_minutes: Option<u32>,
    /// Minutes of idleness after which the conversation is closed [default: 10080]
    #[arg(long, value_name = "MINUTES", help_heading = CONVERSATION, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) idle_timeout_minutes: Option<u32>,
    /// Where reports go: an OpenClaw session key
    #[arg(long, value_name = "KEY", allow_hyphen_values = true, help_heading = CONVERSATION)]
    pub(crate) orchestrator: Option<String>,
    /// How reports travel [default: plugin with --orchestrator, else command where one is configured]
    #[arg(long, value_name = "SINK", value_parser = sink())]
    pub(crate) sink: Option<SinkKind>,
    /// Deliver progress reports too
    #[arg(long, help_heading = CONVERSATION)]
    pub(crate) deliver_progress: bool,
}

const TERMINATE: &str = "To end the process that runs it (terminate_then_resume)";
const FORK: &str = "To begin anew with a summary (fork)";
const CONVERSATION: &str = "The conversation";

impl Takeover {
    /// What akkd is to resolve; may be blank.
    pub(crate) fn wanted(&self) -> &str {
        self.session.as_ref().or(self.session_id.as_ref()).map(|id| id.trim()).unwrap_or_default()
    }
}

fn strategy() -> impl TypedValueParser<Value = Strategy> {
    one_of(Strategy::ALL.map(Strategy::as_str), |t| Strategy::ALL.into_iter().find(|s| s.as_str() == t))
}

fn pid(text: &str) -> Result<u32, String> {
    match text.trim().parse() {
        Ok(pid) if pid > 0 => Ok(pid),
        _ => Err("not the number of a process; `akkctl takeover SESSION -s terminate_then_resume` shows it".to_owned()),
    }
}
