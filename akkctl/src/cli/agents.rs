//! The commands that agents run.

use akk_proto::{ConversationId, TurnId};
use clap::{Args, ValueHint};
use std::path::PathBuf;

/// `callback`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("report").required(false))]
pub(crate) struct Callback {
    /// The report as one JSON object, such as '{"type":"done","body":"…"}'; left out or `-`: read from standard input
    #[arg(value_name = "JSON", group = "report")]
    pub(crate) text: Option<String>,
    /// The predecessor's name for it.
    #[arg(long, value_name = "JSON", group = "report", hide = true, allow_hyphen_values = true)]
    pub(crate) message: Option<String>,
    /// Read the report from a file
    #[arg(long, value_name = "FILE", group = "report", allow_hyphen_values = true, value_hint = ValueHint::FilePath)]
    pub(crate) message_file: Option<PathBuf>,
    /// The conversation [default: AKK_CONVERSATION]
    #[arg(long, value_name = "ID")]
    pub(crate) conversation: Option<ConversationId>,
    /// The turn that this reports on [default: the open one]
    #[arg(long, value_name = "TURN")]
    pub(crate) turn: Option<TurnId>,
    /// Read the ticket from a file [default: AKK_TICKET]
    #[arg(long, value_name = "FILE", allow_hyphen_values = true, value_hint = ValueHint::FilePath)]
    pub(crate) ticket_file: Option<PathBuf>,
    /// The folder to leave the report in when nobody answers on the socket [default: AKK_DROP_DIR]
    #[arg(long, value_name = "FOLDER", allow_hyphen_values = true, value_hint = ValueHint::DirPath)]
    pub(crate) drop_dir: Option<PathBuf>,
}

/// `report-server`.
#[derive(Debug, Args)]
pub(crate) struct ReportServer {
    /// The conversation
    #[arg(long, value_name = "ID")]
    pub(crate) conversation: ConversationId,
    /// The callback socket
    #[arg(long, value_name = "PATH", allow_hyphen_values = true, value_hint = ValueHint::FilePath)]
    pub(crate) socket: PathBuf,
    /// The file with the ticket
    #[arg(long, value_name = "FILE", allow_hyphen_values = true, value_hint = ValueHint::FilePath)]
    pub(crate) ticket_file: PathBuf,
    /// The folder to leave reports in when nobody answers on the socket
    #[arg(long, value_name = "FOLDER", allow_hyphen_values = true, value_hint = ValueHint::DirPath)]
    pub(crate) drop_dir: Option<PathBuf>,
    /// The turn that reports belong to when the agent names none [default: the open one]
    #[arg(long, value_name = "TURN")]
    pub(crate) turn: Option<TurnId>,
}
