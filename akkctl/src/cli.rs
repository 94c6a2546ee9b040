//! The command line. One definition feeds the parser, the help and the completions.

mod agents;
mod daemon;
mod openclaw;
mod sessions;
mod values;

use self::values::{message_type, one_of, policy, recovery, sink, status};
pub(crate) use agents::{Callback, ReportServer};
pub(crate) use daemon::{Daemon, Deliveries, DeliveryCommand};

use akk_proto::TurnId;
use akk_proto::conversation::{PermissionPolicy, RecoveryPolicy, Status};
use akk_proto::delivery::SinkKind;
use akk_proto::message::MessageType;
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueHint};
use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) use openclaw::{OpenClaw, OpenClawInstall, OpenClawPlace};
pub(crate) use sessions::{Sessions, Takeover};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Green.on_default());

/// Where each shell looks for what `completions` prints.
const COMPLETIONS_HELP: &str = "\
Where the script belongs; new shells then complete commands, options and their values:
  bash        ~/.local/share/bash-completion/completions/akkctl
  zsh         ~/.zfunc/_akkctl
  fish        ~/.config/fish/completions/akkctl.fish
  elvish      ~/.config/elvish/lib/akkctl.elv
  powershell  any file that your $PROFILE names

For bash, for instance:
  mkdir -p ~/.local/share/bash-completion/completions
  akkctl completions bash > ~/.local/share/bash-completion/completions/akkctl

bash needs its package bash-completion. zsh: fpath=(~/.zfunc $fpath) before compinit in ~/.zshrc. elvish: use akkctl in \
~/.config/elvish/rc.elv. The Debian package and the tarball bring those of bash, zsh and fish with them.";

/// Hand tasks to coding agents, follow them, answer them.
///
/// akkctl talks to akkd and starts it when none runs. A conversation ID may be shortened to a unique prefix or suffix
/// (the eight digits at its end usually do), may be `@last` (the one that was delegated, taken over or written to last),
/// and may be left out where exactly one conversation is open.
///
/// Exit codes: 0 ok, 1 failed, 2 usage, 3 needs someone (wait, takeover), 4 not found, 5 refused by a rule, 6 akkd not reachable, 7 timed out.
#[derive(Debug, Parser)]
#[command(name = "akkctl", version, styles = STYLES, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// Print the result of the call as JSON, exactly as akkd answered; one line for each answer or event
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// `akkctl help COMMAND…` is taken as `akkctl COMMAND… --help`: a command of its own would have a page, a completion and
/// a line in every list, for nothing.
pub(crate) fn help_as_an_option(mut words: Vec<OsString>) -> Vec<OsString> {
    if words.get(1).is_some_and(|word| word == "help") {
        words.remove(1);
        words.push("--help".into());
    }
    words
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Hand a task to a coding agent
    Delegate(Box<Delegate>),
    /// Send a message: an answer when the agent asked, else a further task
    Send(Send),
    /// List conversations
    #[command(visible_alias = "ls")]
    List(List),
    /// Watch all conversations on one live screen, and act on them
    ///
    /// Keys: ? shows them. Needs a terminal; agents go on when it is left.
    Top,
    /// Show one conversation: where it stands, and what to do next
    Status(StatusOf),
    /// Print what the last turn came to, in full
    Result(ResultOf),
    /// Print the whole exchange
    Transcript(Transcript),
    /// Wait until a conversation needs someone
    ///
    /// Exit codes: 0 done, 1 failed or closed, 3 needs someone (question, blocked, permission, stalled, needs_*), 7 timed out. Ctrl-C leaves the work running.
    Wait(Wait),
    /// Stop the current turn; the conversation can be used again
    Cancel(OneConversation),
    /// Answer a permission request of the agent
    Permit(PermitArgs),
    /// Replay the history into a fresh agent session
    Recover(OneConversation),
    /// End a conversation; its history is kept
    Close(Close),
    /// Delete a closed conversation and its history, for good
    Delete(Delete),
    /// Search requests and messages
    Search(Search),
    /// Print events as they happen
    Events(Events),
    /// List native sessions: those that you started yourself, in a terminal or an editor
    Sessions(Sessions),
    /// Make a native session a conversation, or say what stands against it
    ///
    /// Without --create nothing happens: the answer explains what is possible, and names the command that does it.
    Takeover(Box<Takeover>),
    /// Show what waits for the orchestrator
    Deliveries(Deliveries),
    /// Look whether everything works, and say what to do where it does not
    ///
    /// akkd and its service, what it keeps, the agents' programs with versions and logins, the way of a report up to OpenClaw's sessions, and what was left behind. Works where akkd does not run. Starts nothing, changes nothing, and asks no network. Exit codes: 0 no problem, 1 a problem.
    Doctor,
    /// Connect OpenClaw: its agent then delegates, and is told what becomes of it
    #[command(name = "openclaw")]
    OpenClaw {
        /// What to do with it.
        #[command(subcommand)]
        command: OpenClaw,
    },
    /// Start, stop and look at akkd
    Daemon {
        /// What to do with it.
        #[command(subcommand)]
        command: Daemon,
    },
    /// Report to the orchestrator (run by agents, inside a turn)
    ///
    /// Exit code 0 only when the report is stored for good: by akkd, or in the drop folder for akkd. Conversation, ticket, socket and drop folder come from the environment that akkd gives to agents.
    Callback(Callback),
    /// Serve the reporting tools of an agent (started by the agent; MCP over standard input and output)
    #[command(hide = true)]
    ReportServer(ReportServer),
    /// Watch a delegation from beginning to end, with a built-in agent
    Demo,
    /// Take over the conversations of the predecessor (Agent Knock Knock 0.1 and 0.2)
    ///
    /// Ids, history and status are kept; what its agents still work on becomes stalled. Nothing is changed there, and a second run leaves alone what the first one brought. Exit codes: 0 all of them are here, 1 some were skipped.
    Import(Import),
    /// Print the protocol of akkd as OpenRPC with JSON Schema
    Schema,
    /// Print a completion script
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages: one for akkctl, one for each command (for packages)
    #[command(hide = true)]
    Man {
        /// The folder for them
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
}

/// Which conversation.
#[derive(Debug, Clone, Args)]
pub(crate) struct Which {
    /// The conversation: an id, a unique prefix or suffix of one, or @last; left out: the only open one
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// The predecessor's name for it.
    #[arg(long = "conversation", value_name = "ID", hide = true, allow_hyphen_values = true, conflicts_with = "id")]
    conversation: Option<String>,
}

impl Which {
    /// What akkd is to resolve; empty means the only open one.
    pub(crate) fn wanted(&self) -> String {
        let given = self.id.as_ref().or(self.conversation.as_ref());
        given.map(|id| id.trim().to_owned()).unwrap_or_default()
    }
}

/// `delegate`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct Delegate {
    /// What to do, or `-` to read it from standard input; `claude: …` in front selects the agent
    #[arg(value_name = "TEXT", group = "what")]
    pub(crate) text: Option<String>,
    /// What to do.
    #[arg(long, value_name = "TEXT", group = "what", hide = true, allow_hyphen_values = true)]
    pub(crate) request: Option<String>,
    /// Read what to do from a file
    #[arg(long, value_name = "FILE", group = "what", allow_hyphen_values = true, value_hint = ValueHint::FilePath)]
    pub(crate) request_file: Option<PathBuf>,
    /// The agent: codex, claude, cursor, gemini, or one from the configuration
    #[arg(long, short, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) agent: Option<String>,
    /// The directory to work in [default: the current one]
    #[arg(long, short, visible_alias = "cwd", value_name = "DIR", allow_hyphen_values = true, value_hint = ValueHint::DirPath)]
    pub(crate) workspace: Option<PathBuf>,
    /// The model
    #[arg(long, short, allow_hyphen_values = true)]
    pub(crate) model: Option<String>,
    /// A name for people
    #[arg(long, short, allow_hyphen_values = true)]
    pub(crate) label: Option<String>,
    /// Stay, show progress on standard error, and print the agent's report; exits as `wait` does
    ///
    /// With --json: the answer of the delegation on one line, the answer of the wait on another.
    #[arg(long)]
    pub(crate) wait: bool,
    /// With --wait: give up waiting after this many seconds; the work goes on
    #[arg(long, value_name = "SECONDS", requires = "wait", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: Option<u64>,
    /// What happens to the agent's permission requests: ask somebody (`akkctl permit`; over ACP, where it is the default), allow those that only read, all, or none
    #[arg(long, value_name = "POLICY", value_parser = policy())]
    pub(crate) approve: Option<PermissionPolicy>,
    /// What happens when the agent session is lost: replay the history, or ask
    #[arg(long, visible_alias = "recovery-policy", value_name = "POLICY", value_parser = recovery())]
    pub(crate) recovery: Option<RecoveryPolicy>,
    /// Use this agent session again
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) session: Option<String>,
    /// A proxy for the agent, without a password
    #[arg(long, value_name = "URL", allow_hyphen_values = true)]
    pub(crate) proxy: Option<String>,
    /// Rounds after which sending stops until the limit is raised [default: 50]
    #[arg(long, value_name = "ROUNDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) soft_limit: Option<u32>,
    /// Rounds after which the conversation fails [default: 100]
    #[arg(long, value_name = "ROUNDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) hard_limit: Option<u32>,
    /// Minutes of silence after which a turn counts as stalled [default: 60]
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) agent_timeout_minutes: Option<u32>,
    /// Minutes of idleness after which the conversation is closed [default: 10080]
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) idle_timeout_minutes: Option<u32>,
    /// Where reports go: an OpenClaw session key
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) orchestrator: Option<String>,
    /// How reports travel [default: plugin with --orchestrator, else command where one is configured]
    #[arg(long, value_name = "SINK", value_parser = sink())]
    pub(crate) sink: Option<SinkKind>,
    /// Deliver progress reports too
    #[arg(long)]
    pub(crate) deliver_progress: bool,
}

/// `send`.
#[derive(Debug, Args)]
#[command(
    override_usage = "akkctl send [OPTIONS] ID TEXT\n       akkctl send [OPTIONS] ID -\n       akkctl send [OPTIONS] --message TEXT [ID]",
    after_help = "The first word is always the ID. To leave it out where only one conversation is open, give the text with --message."
)]
pub(crate) struct Send {
    /// Which one.
    #[command(flatten)]
    pub(crate) which: Which,
    /// What to say, or `-` to read it from standard input
    #[arg(value_name = "TEXT", conflicts_with_all = ["message", "message_file"])]
    pub(crate) text: Option<String>,
    /// What to say, or `-` to read it from standard input; then the ID may be left out
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "message_file")]
    pub(crate) message: Option<String>,
    /// Read what to say from a file
    #[arg(long, value_name = "FILE", allow_hyphen_values = true, value_hint = ValueHint::FilePath)]
    pub(crate) message_file: Option<PathBuf>,
    /// The type of the message [default: what the status asks for]
    #[arg(long = "type", value_name = "TYPE", value_parser = message_type())]
    pub(crate) kind: Option<MessageType>,
    /// The model from now on; without a text it repeats the message whose model was refused
    #[arg(long, short, allow_hyphen_values = true)]
    pub(crate) model: Option<String>,
    /// A new soft limit
    #[arg(long, value_name = "ROUNDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) soft_limit: Option<u32>,
    /// A new hard limit
    #[arg(long, value_name = "ROUNDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) hard_limit: Option<u32>,
    /// Cancel the open turn first; what waits behind it is dropped
    #[arg(long)]
    pub(crate) cancel_first: bool,
}

/// `list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Closed and cancelled ones too
    #[arg(long)]
    pub(crate) all: bool,
    /// Only this agent
    #[arg(long, short, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) agent: Option<String>,
    /// Only this status
    #[arg(long, short, value_parser = status())]
    pub(crate) status: Option<Status>,
    /// Only this workspace
    #[arg(long, short, value_name = "DIR", allow_hyphen_values = true, value_hint = ValueHint::DirPath)]
    pub(crate) workspace: Option<PathBuf>,
    /// Rows at most [default: 100]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: Option<u32>,
    /// Where the former page ended
    #[arg(long, value_name = "CURSOR", allow_hyphen_values = true)]
    pub(crate) after: Option<String>,
}

/// A command about one conversation.
#[derive(Debug, Args)]
pub(crate) struct OneConversation {
    /// Which one.
    #[command(flatten)]
    pub(crate) which: Which,
}

/// `permit`.
#[derive(Debug, Args)]
#[command(
    override_usage = "akkctl permit [OPTIONS] [ID [REQUEST]] allow|allow_always|deny",
    after_help = "`akkctl status ID` shows what is asked for. REQUEST, the name of the request, may be left out where only one waits; the ID too, where only one conversation is open. `allow_always` holds for what the agent takes for the same from then on."
)]
pub(crate) struct PermitArgs {
    /// The conversation, the request, and the answer
    #[arg(value_name = "WORD", required = true, num_args = 1..=3)]
    pub(crate) words: Vec<String>,
    /// The predecessor's name for the conversation.
    #[arg(long, value_name = "ID", hide = true, allow_hyphen_values = true)]
    pub(crate) conversation: Option<String>,
}

/// `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusOf {
    /// Which one.
    #[command(flatten)]
    pub(crate) which: Which,
    /// What the agent did, too: tool calls, plans, permissions, processes (with --json: on lines of their own)
    #[arg(long)]
    pub(crate) trace: bool,
}

/// `result`.
#[derive(Debug, Args)]
pub(crate) struct ResultOf {
    /// Which one.
    #[command(flatten)]
    pub(crate) which: Which,
    /// Another turn than the last, such as turn-1
    #[arg(long, value_name = "TURN")]
    pub(crate) turn: Option<TurnId>,
}

/// `transcript`.
#[derive(Debug, Args)]
pub(crate) struct Transcript {
    /// Which one.
    #[command(flatten)]
    pub(crate) which: Which,
    /// Go on with what happens from now on
    #[arg(long, short)]
    pub(crate) follow: bool,
}

/// `wait`.
#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Which one.
    #[command(flatten)]
    pub(crate) which: Which,
    /// Whichever is the next to need someone, from now on; see `akkctl list` for who does already
    #[arg(long, conflicts_with_all = ["id", "conversation"])]
    pub(crate) any: bool,
    /// With --any: from this cursor on, which `--json` tells with each answer, so that a loop misses nothing
    #[arg(long, value_name = "CURSOR", requires = "any")]
    pub(crate) since: Option<u64>,
    /// Seconds after which to give up with exit code 7 [default: never]
    #[arg(long, short, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
}

/// `close`.
#[derive(Debug, Args)]
pub(crate) struct Close {
    /// Which one.
    #[command(flatten)]
    pub(crate) which: Which,
    /// Why
    #[arg(long, short, allow_hyphen_values = true)]
    pub(crate) reason: Option<String>,
}

/// `delete`.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The conversation: an id, a unique prefix or suffix of one, or @last
    #[arg(value_name = "ID", required_unless_present = "conversation")]
    id: Option<String>,
    /// The predecessor's name for it.
    #[arg(long = "conversation", value_name = "ID", hide = true, allow_hyphen_values = true, conflicts_with = "id")]
    conversation: Option<String>,
}

impl Delete {
    /// What akkd is to resolve.
    pub(crate) fn wanted(&self) -> String {
        self.id.clone().or_else(|| self.conversation.clone()).unwrap_or_default()
    }
}

/// `search`.
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Words that must all occur
    #[arg(value_name = "TEXT", required = true)]
    pub(crate) words: Vec<String>,
    /// Hits at most [default: 50]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: Option<u32>,
}

/// `events`.
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Go on with what happens from now on; without it, what happened is printed and that is all
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only events with a higher cursor [default: with --follow what happens from now on, else all]
    #[arg(long, value_name = "CURSOR")]
    pub(crate) since: Option<u64>,
    /// Only this conversation
    #[arg(long, short, value_name = "ID", allow_hyphen_values = true)]
    pub(crate) conversation: Option<String>,
    /// Only events of this name; may be given several times
    #[arg(long, short, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) kind: Vec<String>,
}

/// `import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The folder of its store [default: ~/.agent-knock-knock]
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
}

#[cfg(test)]
#[path = "cli_docs_tests.rs"]
mod docs_tests;
#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
