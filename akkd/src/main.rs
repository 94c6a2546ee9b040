//! The binary: arguments, environment, log; then [`akkd::run`].

use akk_proto::error::Failure;
use akk_proto::paths::{Environment, Paths};
use akkd::config::{Config, Surroundings};
use akkd::logging;
use akkd::socket::rpc::StopAsked;
use clap::Parser;
use std::process::ExitCode;
use tokio::sync::watch;

/// The daemon of Agent Knock Knock. Runs in the foreground until SIGTERM, SIGINT, or `akkctl daemon stop`.
///
/// `akkctl` starts it by itself; nothing has to be set. AKK_HOME moves everything to one directory, AKK_SOCKET the
/// sockets, AKK_LOG_LEVEL sets what is logged.
#[derive(Parser)]
#[command(version)]
struct Arguments {}

fn main() -> ExitCode {
    Arguments::parse();
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // The log may not exist yet; whoever started akkd reads this.
            eprintln!("akkd: {}\nhint: {}", failure.message, failure.hint);
            ExitCode::FAILURE
        }
    }
}
