//! The client of akkd for people, scripts and agents.
//!
//! A command is: parse, connect (start akkd when none runs), one call, one view. Nothing heavy happens before the
//! call: the whole of a short one takes a few milliseconds.

mod akkd;
mod cli;
mod client;
mod commands;
mod demo_agent;
mod environment;
mod error;
#[cfg(test)]
#[path = "../tests/fake/mod.rs"]
#[expect(unreachable_pub, dead_code, reason = "the integration tests use it too")]
mod fake;
mod openclaw;
mod output;
mod peer;
mod predecessor;
mod report;
mod service;
mod start;
mod stop;
mod top;
#[cfg(test)]
mod words_tests;

use clap::Parser as _;
use environment::Surroundings;
use error::{Error, Result};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before the command line is parsed: the agent has its own words, and is no command for people.
    if std::env::args_os().nth(1).is_some_and(|word| word == "demo-agent") {
        return demo_agent::run(std::env::args_os().skip(2));
    }
    let cli = cli::Cli::parse_from(cli::help_as_an_option(std::env::args_os().collect()));
    ExitCode::from(run(cli).unwrap_or_else(|e| failed(&e)))
}

fn run(cli: cli::Cli) -> Result<u8> {
    let surroundings = Surroundings::from_process()?;
    commands::run(cli, &surroundings).map_err(|e| akkd::explain(e, &surroundings))
}

fn failed(e: &Error) -> u8 {
    if !matches!(e, Error::ReaderLeft) {
        output::tell(&output::error(e, &output::View::stderr()));
    }
    e.exit_code()
}
