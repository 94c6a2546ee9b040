//! What can go wrong in akkctl: one sentence, a hint, and an exit code.

use akk_proto::error::{ErrorKind, Failure};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a command comes to.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// The exit codes of akkctl that are not an answer of akkd.
pub(crate) mod exit {
    /// It went well.
    pub(crate) const OK: u8 = 0;
    /// It failed.
    pub(crate) const FAILED: u8 = 1;
    /// The command line is wrong.
    pub(crate) const USAGE: u8 = 2;
    /// A person has to confirm or to write something first.
    pub(crate) const NEEDS_SOMEONE: u8 = 3;
    /// A rule stands against it.
    pub(crate) const REFUSED: u8 = 5;
    /// akkd cannot be reached.
    pub(crate) const NOT_REACHABLE: u8 = 6;
    /// The time was over.
    pub(crate) const TIMED_OUT: u8 = 7;
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// akkd answered with an error.
    #[error("{}", .0.message)]
    Refused(Box<Failure>),
    /// The command line is wrong in a way that clap cannot see.
    #[error("{message}")]
    Usage {
        /// What was wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Nothing listens on the socket.
    #[error("akkd is not running: nothing answers on {}", .0.display())]
    NotRunning(PathBuf),
    /// The socket is there and cannot be used.
    #[error("cannot connect to akkd on {}: {source}", .socket.display())]
    Connect {
        /// Where.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The socket belongs to another user.
    #[error("{} is served by user {uid}, not by you", .socket.display())]
    ForeignServer {
        /// Where.
        socket: PathBuf,
        /// The other user.
        uid: u32,
    },
    /// The user service is installed but does not run; it is not ours to start a second akkd beside it.
    #[error("akkd is installed as a service of yours, which is stopped")]
    ServiceStopped,
    /// akkctl runs inside an agent: an akkd that it started would die with it, or see no processes.
    #[error("akkd is not running, and an agent must not start it")]
    InsideAgent,
    /// No program to start.
    #[error("akkd is not running, and no akkd was found beside akkctl or in PATH")]
    NoDaemonProgram,
    /// akkd was started and gave up.
    #[error("akkd did not start: {message}")]
    StartFailed {
        /// What akkd said.
        message: String,
        /// What akkd advised, if it did.
        hint: Option<String>,
    },
    /// akkd was started and its socket did not answer in time.
    #[error("akkd was started but does not answer on {} after {} s", .socket.display(), .after.as_secs())]
    StartSilent {
        /// Where.
        socket: PathBuf,
        /// How long akkctl waited.
        after: Duration,
    },
    /// The connection ended before the answer.
    #[error("the connection to akkd broke before the answer to {method} came")]
    Broken {
        /// The call.
        method: String,
    },
    /// akkd is there and says nothing.
    #[error("akkd did not answer {method} within {} s", .after.as_secs())]
    Silent {
        /// The call.
        method: String,
        /// How long akkctl waited.
        after: Duration,
    },
    /// A line past the bound.
    #[error("the answer of akkd to {method} is longer than {} MiB", .limit >> 20)]
    AnswerTooLong {
        /// The call.
        method: String,
        /// The bound in bytes.
        limit: usize,
    },
    /// A request that akkd would refuse unread.
    #[error("{what} is longer than {limit} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The bound in bytes.
        limit: usize,
    },
    /// An answer that is none.
    #[error("akkd answered {method} in a form that akkctl does not understand: {detail}")]
    NotUnderstood {
        /// The call.
        method: String,
        /// What was wrong with it.
        detail: String,
    },
    /// Client and daemon are of different protocols.
    #[error("akkctl {ours} speaks protocol {our_protocol}, the running akkd {theirs} speaks protocol {their_protocol}")]
    VersionMismatch {
        /// Version of akkctl.
        ours: &'static str,
        /// Its protocol.
        our_protocol: u32,
        /// Version of akkd.
        theirs: String,
        /// Its protocol.
        their_protocol: u32,
    },
    /// akkd has not all of what akkctl asks for, and is of another version.
    #[error("{cause}; akkctl is version {ours}, the running akkd is version {theirs}")]
    OtherVersion {
        /// What akkd said.
        cause: Box<Error>,
        /// Version of akkctl.
        ours: &'static str,
        /// Version of akkd.
        theirs: String,
    },
    /// `wait --timeout` came to its end.
    #[error("nothing happened within {} s", .0.as_secs())]
    WaitTimedOut(Duration),
    /// A file that the user named, or one of ours.
    #[error("cannot {action} {}: {source}", .path.display())]
    File {
        /// What was tried, such as `read`.
        action: &'static str,
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A report that could not be made; its reader is an agent.
    #[error("the report was not recorded: {cause}")]
    Report {
        /// What went wrong.
        cause: Box<Error>,
        /// What the agent is to do.
        hint: &'static str,
    },
    /// A report that could neither be sent nor left in the drop folder.
    #[error("{cause}; and it cannot be left in {} either: {source}", .folder.display())]
    NotLeft {
        /// Why it could not be sent.
        cause: Box<Error>,
        /// The drop folder.
        folder: PathBuf,
        /// Why it could not be left there.
        source: io::Error,
    },
    /// Another program could not do its part.
    #[error("{message}")]
    Program {
        /// What was wrong.
        message: String,
        /// What to do.
        hint: String,
    },
    /// Nobody reads our output any more. Not shown, and a success.
    #[error("nobody reads the output")]
    ReaderLeft,
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
}

impl Error {
    /// A command line that is wrong.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: hint.into() }
    }

    /// A file that cannot be used.
    pub(crate) fn file(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { action, path: path.to_owned(), source }
    }

    /// What the process exits with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(f) => f.kind.exit_code(),
            Self::ReaderLeft => exit::OK,
            Self::Report { cause, .. } | Self::NotLeft { cause, .. } => cause.exit_code(),
            Self::Usage { .. } => exit::USAGE,
            Self::NotRunning(_)
            | Self::Connect { .. }
            | Self::ForeignServer { .. }
            | Self::ServiceStopped
            | Self::InsideAgent
            | Self::NoDaemonProgram
            | Self::StartFailed { .. }
            | Self::StartSilent { .. }
            | Self::Broken { .. } => exit::NOT_REACHABLE,
            Self::Silent { .. } | Self::WaitTimedOut(_) => exit::TIMED_OUT,
            Self::TooLarge { .. } => ErrorKind::TooLarge.exit_code(),
            Self::VersionMismatch { .. } | Self::OtherVersion { .. } => ErrorKind::VersionMismatch.exit_code(),
            Self::AnswerTooLong { .. }
            | Self::NotUnderstood { .. }
            | Self::File { .. }
            | Self::Program { .. }
            | Self::Output(_) => exit::FAILED,
        }
    }

    /// What to do next; a sentence.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Refused(f) => f.hint.clone(),
            Self::Usage { hint, .. } | Self::Program { hint, .. } => hint.clone(),
            Self::Report { hint, .. } => (*hint).to_owned(),
            Self::NotLeft { cause, .. } => cause.hint(),
            Self::NotRunning(_) | Self::ServiceStopped => "Start it with `akkctl daemon start`.".to_owned(),
            Self::Connect { .. } => {
                "Check that you may use this path, and that AKK_HOME and AKK_SOCKET name the right place.".to_owned()
            }
            Self::ForeignServer { .. } => "Unset AKK_SOCKET, or let it name a socket of your own akkd.".to_owned(),
            Self::InsideAgent => "Start it from a shell of your own with `akkctl daemon start`.".to_owned(),
            Self::NoDaemonProgram => "Install akkd beside akkctl, or put its directory into PATH.".to_owned(),
            Self::StartFailed { hint, .. } => {
                hint.clone().unwrap_or_else(|| "Run `akkd` in a terminal to see more.".to_owned())
            }
            Self::StartSilent { .. } => {
                "Look into `akkctl daemon logs`; it may only be slow, then try again.".to_owned()
            }
            Self::Silent { .. } => "Look into `akkctl daemon logs`; the call may have been carried out.".to_owned(),
            Self::Broken { .. } => "Look into `akkctl daemon logs`, and try again.".to_owned(),
            Self::AnswerTooLong { .. } => "Ask for less, for example with --limit.".to_owned(),
            Self::TooLarge { .. } => "Put the text into a file in the workspace and send its name.".to_owned(),
            Self::NotUnderstood { .. } => {
                "This is a defect; report it with the output of `akkctl --version`.".to_owned()
            }
            Self::VersionMismatch { our_protocol, their_protocol, .. } if our_protocol > their_protocol => {
                "Start the newer akkd with `akkctl daemon stop` and `akkctl daemon start`; running turns go on."
                    .to_owned()
            }
            Self::VersionMismatch { .. } => "Use the akkctl that was installed with the running akkd.".to_owned(),
            Self::OtherVersion { ours, theirs, .. } if is_newer(theirs, ours) => {
                "Use the akkctl that was installed with the running akkd.".to_owned()
            }
            Self::OtherVersion { .. } => {
                "Start the akkd that was installed with this akkctl: `akkctl daemon stop` and `akkctl daemon start`; \
                running turns go on."
                    .to_owned()
            }
            Self::WaitTimedOut(_) => {
                "The work goes on; wait again, or see with `akkctl list` who needs you already.".to_owned()
            }
            Self::File { .. } => "Check the path and its permissions.".to_owned(),
            Self::ReaderLeft => String::new(),
            Self::Output(_) => "Check where the output goes.".to_owned(),
        }
    }

    /// Whether the call may not have reached akkd, so that a repeat-safe one is worth a second try.
    pub(crate) fn is_broken_connection(&self) -> bool {
        matches!(self, Self::Broken { .. })
    }
}

/// Whether version `one` is newer than `other`; what is no number counts as 0.
fn is_newer(one: &str, other: &str) -> bool {
    let numbers = |version: &str| -> Vec<u64> {
        version.split(['.', '-', '+']).take(3).map(|part| part.parse().unwrap_or_default()).collect()
    };
    numbers(one) > numbers(other)
}
