//! Starting a child: own session, cleared environment, stdio that outlives akkd.

use process_wrap::tokio::{CommandWrap, CommandWrapper, ProcessSession};
use std::any::Any;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::{Child, Command};

/// Why a child could not be started.
#[derive(Debug, thiserror::Error)]
pub(in crate::executor) enum SpawnError {
    #[error("the agent has no command: set `command` of the agent in the configuration")]
    NoCommand,
    #[error("the workspace {0} is no directory any more")]
    Workspace(PathBuf),
    #[error("the command {0:?} was not found: install the agent, or set `command` of the agent in the configuration")]
    NotFound(String),
    #[error(
        "the command \"npx\" was not found: install Node.js, with which the adapter of this agent is fetched and run"
    )]
    NoNode,
    #[error("the command {0:?} may not be executed: {1}")]
    NotExecutable(String, io::Error),
    #[error("the command {0:?} could not be started: {1}")]
    System(String, io::Error),
}

/// The three streams of a child.
#[derive(Debug)]
pub(in crate::executor) struct Stdio3 {
    pub(in crate::executor) stdin: File,
    pub(in crate::executor) stdout: File,
    pub(in crate::executor) stderr: File,
}

/// Starts `argv` in `workspace`, as the leader of a session and group of its own, with exactly this environment.
pub(in crate::executor) fn spawn(
    argv: &[String],
    environment: BTreeMap<String, String>,
    workspace: &Path,
    stdio: Stdio3,
) -> Result<Child, SpawnError> {
    let Some((program, args)) = argv.split_first() else { return Err(SpawnError::NoCommand) };
    // The system says the same "not found" for a missing directory and a missing command.
    if !workspace.is_dir() {
        return Err(SpawnError::Workspace(workspace.to_owned()));
    }
    let mut command = CommandWrap::with_new(program, |command| {
        command
            .args(args)
            .env_clear()
            .envs(environment)
            .current_dir(workspace)
            .stdin(Stdio::from(stdio.stdin))
            .stdout(Stdio::from(stdio.stdout))
            .stderr(Stdio::from(stdio.stderr));
    });
    command.wrap(OwnSession);
    let child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound if program == "npx" => SpawnError::NoNode,
        io::ErrorKind::NotFound => SpawnError::NotFound(program.clone()),
        io::ErrorKind::PermissionDenied => SpawnError::NotExecutable(program.clone(), error),
        _ => SpawnError::System(program.clone(), error),
    })?;
    let child: Box<dyn Any> = child;
    child
        .downcast::<Child>()
        .map(|child| *child)
        .map_err(|_| SpawnError::System(program.clone(), io::Error::other("the child's handle was lost")))
}

/// [`ProcessSession`] before the spawn, and nothing after it: its child waits for the whole group, while what an
/// agent leaves behind is ended by identity here.
#[derive(Debug)]
struct OwnSession;

impl CommandWrapper for OwnSession {
    fn pre_spawn(&mut self, command: &mut Command, core: &CommandWrap) -> io::Result<()> {
        ProcessSession.pre_spawn(command, core)
    }
}
