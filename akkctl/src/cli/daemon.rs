//! The commands about akkd itself, and about what waits for the orchestrator.

use super::values::moment;
use akk_proto::Timestamp;
use clap::{Args, Subcommand};

/// `deliveries`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Deliveries {
    /// What to do with one.
    #[command(subcommand)]
    pub(crate) command: Option<DeliveryCommand>,
    /// Acknowledged ones too
    #[arg(long)]
    pub(crate) all: bool,
    /// Only this conversation
    #[arg(long, short, value_name = "ID", allow_hyphen_values = true)]
    pub(crate) conversation: Option<String>,
    /// Rows at most [default: 100]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: Option<u32>,
}

/// What to do with a delivery.
#[derive(Debug, Subcommand)]
pub(crate) enum DeliveryCommand {
    /// Try it again now
    Retry {
        /// The delivery, or the end of its id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Mark it as told
    Ack {
        /// The delivery, or the end of its id
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// What to do with akkd.
#[derive(Debug, Subcommand)]
pub(crate) enum Daemon {
    /// Start it; through the user service where one is installed
    Start,
    /// Stop it; running turns are left alone, and the next akkd goes on with them
    Stop {
        /// End running agents too
        #[arg(long)]
        agents: bool,
    },
    /// Show what it says of itself
    Status,
    /// Show who asked for which change, and what came of it
    ///
    /// Every call that was to change something, also those that were refused: when, on which way, by which process. Kept for 90 days, 100,000 calls at most.
    Audit {
        /// Only calls about this conversation; one that was deleted has to be named by its full id
        #[arg(long, value_name = "ID", allow_hyphen_values = true)]
        conversation: Option<String>,
        /// Only calls from this moment on, such as 2026-06-20T14:00:00Z
        #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = moment)]
        since: Option<Timestamp>,
        /// Calls at most, the newest [default: 100]
        #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: Option<u32>,
    },
    /// Make it a service of yours, started at login or when it is needed (systemd, launchd)
    ///
    /// The service gets PATH, proxies without passwords and CODEX_HOME of this shell; to change them, or after akkd has moved, install again. An akkd that runs already hands its work over; running turns go on.
    Install,
    /// Undo that; running turns are left alone
    Uninstall,
    /// Print the end of its log of today
    Logs {
        /// Go on with what is logged from now on
        #[arg(long, short)]
        follow: bool,
        /// Lines at most
        #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
        lines: usize,
    },
}
