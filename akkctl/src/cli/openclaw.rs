//! The words of `akkctl openclaw`.

use clap::{Args, Subcommand, ValueHint};
use std::path::PathBuf;

/// What to do with OpenClaw.
#[derive(Debug, Subcommand)]
pub(crate) enum OpenClaw {
    /// Put the plugin, its tools, `/akk` and its skill into an OpenClaw on this machine; safe to repeat
    ///
    /// The plugin is written to akkd's state directory, and OpenClaw's own command line links and configures it: 5 to 25 seconds the first time. A running gateway loads it at once. Several profiles may have it beside each other.
    Install(OpenClawInstall),
    /// Take out what `install` put in
    Uninstall(OpenClawPlace),
    /// Show whether it is in place, connected, and able to reach OpenClaw's sessions
    ///
    /// Exit codes: 0 all is well, 1 something does not work.
    Status,
}

/// Which OpenClaw. OPENCLAW_STATE_DIR and OPENCLAW_CONFIG_PATH count as they do for OpenClaw itself.
#[derive(Debug, Args)]
pub(crate) struct OpenClawPlace {
    /// OpenClaw's command, or a script that runs it with another Node.js [default: the one used before, else openclaw in PATH]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::ExecutablePath)]
    pub(crate) openclaw: Option<PathBuf>,
    /// The profile, as for `openclaw --profile`
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
}

/// `openclaw install`.
#[derive(Debug, Args)]
pub(crate) struct OpenClawInstall {
    /// Which OpenClaw.
    #[command(flatten)]
    pub(crate) place: OpenClawPlace,
    /// Where agents work when a task names no directory [default: the workspace of the OpenClaw agent that asks]
    #[arg(long, short, value_name = "DIR", allow_hyphen_values = true, value_hint = ValueHint::DirPath)]
    pub(crate) workspace: Option<PathBuf>,
    /// Add the tools to OpenClaw's policy where it hides them (tools.allow, tools.profile)
    #[arg(long)]
    pub(crate) allow_tools: bool,
    /// Ask a running gateway to restart, if it did not load the plugin by itself
    #[arg(long)]
    pub(crate) restart: bool,
}
