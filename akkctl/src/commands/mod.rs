//! One function for each command: it asks akkd, and hands the answer to its view.

mod ask;
mod callback;
mod daemon;
mod delegate;
mod deliveries;
mod demo;
mod doctor;
mod follow;
mod import;
mod input;
mod manual;
mod openclaw;
mod report_server;
mod schema;
mod sessions;
mod takeover;
mod wait;

use crate::akkd::Akkd;
use crate::cli::{Cli, Command};
use crate::client::Answer;
use crate::environment::Surroundings;
use crate::error::{Result, exit};
use crate::output::{self, View};
use crate::top;
use clap::CommandFactory as _;
use serde::de::DeserializeOwned;

/// What a command needs besides its own arguments.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// Where akkd is.
    pub(crate) surroundings: &'a Surroundings,
    /// Whether answers are printed as they came.
    pub(crate) json: bool,
    /// How they are shown else.
    pub(crate) view: View,
}

impl<'a> Context<'a> {
    /// akkd, started when none runs.
    pub(crate) fn akkd(&self) -> Akkd<'a> {
        Akkd::new(self.surroundings)
    }

    /// Prints an answer: as it came, or as `view` shows it.
    pub(crate) fn show<T: DeserializeOwned>(
        &self,
        answer: &Answer,
        view: impl FnOnce(&T, &View) -> String,
    ) -> Result<()> {
        if self.json { show_raw(answer) } else { output::print(&view(&answer.read()?, &self.view)) }
    }
}

/// Prints an answer as it came, on a line of its own.
pub(crate) fn show_raw(answer: &Answer) -> Result<()> {
    output::print(&format!("{}\n", answer.raw.get()))
}

/// Runs a command and tells what to exit with.
///
/// # Errors
/// What went wrong.
pub(crate) fn run(cli: Cli, surroundings: &Surroundings) -> Result<u8> {
    let context = Context { surroundings, json: cli.json, view: View::stdout() };
    match cli.command {
        Command::Delegate(args) => delegate::run(*args, &context),
        Command::Send(args) => ask::send(args, &context),
        Command::List(args) => ask::list(args, &context),
        Command::Top => top::run(context.surroundings, context.json, &context.view),
        Command::Status(args) => ask::status(&args, &context),
        Command::Result(args) => ask::result(args, &context),
        Command::Transcript(args) => follow::transcript(&args, &context),
        Command::Wait(args) => wait::run(&args, &context),
        Command::Cancel(args) => ask::cancel(&args, &context),
        Command::Permit(args) => ask::permit(&args, &context),
        Command::Recover(args) => ask::recover(&args, &context),
        Command::Close(args) => ask::close(args, &context),
        Command::Delete(args) => ask::delete(&args, &context),
        Command::Search(args) => ask::search(&args, &context),
        Command::Events(args) => follow::events(args, &context),
        Command::Sessions(args) => sessions::run(&args, &context),
        Command::Takeover(args) => takeover::run(*args, &context),
        Command::Deliveries(args) => deliveries::run(args, &context),
        Command::Doctor => doctor::run(&context),
        Command::OpenClaw { command } => openclaw::run(command, &context),
        Command::Daemon { command } => daemon::run(command, &context),
        Command::Callback(args) => callback::run(args, &context),
        Command::ReportServer(args) => report_server::run(args),
        Command::Demo => demo::run(context.view),
        Command::Import(args) => import::run(args, &context),
        Command::Schema => schema::run(),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "akkctl", &mut script);
            output::print(&String::from_utf8_lossy(&script))?;
            Ok(exit::OK)
        }
        Command::Man { folder } => manual::run(&folder, &context),
    }
}
