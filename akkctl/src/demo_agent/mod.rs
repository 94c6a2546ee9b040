//! A small scriptable coding agent: ACP version 1 over stdio, no account, no network.
//!
//! It serves two masters. `akkctl demo` shows a newcomer what a delegation looks like: a plain request runs a short
//! friendly story (thoughts, a plan, tool calls, a progress report, a question, a result). The tests script every
//! good and bad habit that a real agent has: the message itself is the script, one directive a line, see
//! [`directive`](directive::Directive).
//!
//! Threads and `serde_json` only, so that it starts in a few milliseconds and a hundred of them cost little.

mod agent;
mod directive;
mod mcp;
mod options;
mod prompt;
mod session;
mod story;
mod turn;
mod wire;

use nix::sys::signal::{SigSet, Signal};
use options::Options;
use std::ffi::OsString;
use std::io::{self, BufRead as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

/// Runs the agent until its standard input ends. `args` are the words after `demo-agent`.
pub(crate) fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let options = match Options::parse(args) {
        Ok(options) => options,
        Err(problem) => {
            complain(&format!("{problem}\n\n{}", options::USAGE));
            return ExitCode::from(2);
        }
    };
    if let Some(linger) = options.linger {
        return outlive(linger, options.own_session);
    }
    if options.ignore_term {
        // Blocked before the first thread starts, so that every thread inherits it: SIGTERM is never delivered.
        if let Err(e) = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]).thread_block() {
            complain(&format!("demo agent: cannot block SIGTERM: {e}"));
            return ExitCode::FAILURE;
        }
    }
    if options.crash_on_start {
        complain("demo agent: refusing to start");
        return ExitCode::from(7);
    }
    let agent = agent::Agent::new(options);
    agent.log_start();
    for line in io::stdin().lock().split(b'\n') {
        match line {
            Ok(line) if line.iter().all(u8::is_ascii_whitespace) => {}
            Ok(line) => agent.take(&line),
            Err(_) => break,
        }
    }
    agent.log_end();
    ExitCode::SUCCESS
}

/// The grandchild that the directive `spawn` starts: it does nothing, for a while.
fn outlive(linger: Duration, own_session: bool) -> ExitCode {
    if own_session && let Err(e) = nix::unistd::setsid() {
        complain(&format!("demo agent: setsid: {e}"));
        return ExitCode::FAILURE;
    }
    std::thread::sleep(linger);
    ExitCode::SUCCESS
}

/// A line on standard error, which ACP leaves free. Nobody is left to tell when that fails.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
