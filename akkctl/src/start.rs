//! Finds akkd, or starts it: one of many akkctl that start at once starts one akkd, and hears why it could not.

use crate::client::{Client, PATIENCE};
use crate::environment::Surroundings;
use crate::error::{Error, Result};
use crate::service;
use akk_proto::api::Empty;
use akk_proto::version::{OLDEST_DAEMON, PROTOCOL, Spoken, VERSION, common};
use process_wrap::std::{ChildWrapper, CommandWrap, ProcessSession};
use serde::Deserialize;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How long a started akkd may take until its socket answers: recovery of a large home included.
const START_PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at the socket of a starting akkd. Nothing announces on every platform that a socket listens.
const LOOK: Duration = Duration::from_millis(3);
/// How long a socket may refuse us: an akkd that starts listens on its socket a moment after it made it.
const DEAF: Duration = Duration::from_millis(60);
/// What is kept of the words of an akkd that did not start.
const MAX_START_ERROR: u64 = 16 << 10;

/// What became of an attempt to start akkd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Started {
    /// It ran before.
    Already,
    /// It runs now.
    Now,
}

/// Connects to akkd and starts it when none runs, unless an installed user service is stopped.
///
/// # Errors
/// Why there is none, or why it could not start.
pub(crate) fn connect_or_start(surroundings: &Surroundings) -> Result<Client> {
    match Client::connect(&surroundings.paths.control_socket) {
        Err(Error::NotRunning(_)) => {}
        other => return other,
    }
    if surroundings.inside_agent {
        return Err(Error::InsideAgent);
    }
    if service::installed(surroundings).is_some() {
        return Err(Error::ServiceStopped);
    }
    Ok(start(surroundings)?.0)
}

/// Connects again for somebody who was connected and waits for something.
///
/// A waiting client does not undo `akkctl daemon stop`, which removes the socket: it waits `patience` for somebody
/// else to start akkd, as an upgrade does. An akkd that died leaves its socket behind, and is started again.
///
/// # Errors
/// [`Error::NotRunning`] when nobody started it, else as [`connect_or_start`].
pub(crate) fn reconnect(surroundings: &Surroundings, patience: Duration) -> Result<Client> {
    let socket = &surroundings.paths.control_socket;
    let begun = Instant::now();
    let mut refused: Option<Instant> = None;
    loop {
        match Client::connect(socket) {
            Err(Error::NotRunning(_)) if socket.exists() => {
                if refused.get_or_insert_with(Instant::now).elapsed() > DEAF {
                    return connect_or_start(surroundings);
                }
                std::thread::sleep(LOOK);
            }
            Err(Error::NotRunning(_)) if begun.elapsed() < patience => std::thread::sleep(LOOK),
            other => return other,
        }
    }
}

/// Starts akkd as `akkctl daemon start` does: through the user service where one is installed.
///
/// # Errors
/// Why it could not start.
pub(crate) fn start_on_request(surroundings: &Surroundings) -> Result<(Client, Started)> {
    let socket = &surroundings.paths.control_socket;
    match Client::connect(socket) {
        Ok(client) => return Ok((client, Started::Already)),
        Err(Error::NotRunning(_)) => {}
        Err(e) => return Err(e),
    }
    if surroundings.inside_agent {
        return Err(Error::InsideAgent);
    }
    if service::installed(surroundings).is_none() {
        return start(surroundings);
    }
    service::start(surroundings)?;
    let begun = Instant::now();
    loop {
        match Client::connect(socket) {
            Err(Error::NotRunning(_)) if begun.elapsed() < START_PATIENCE => std::thread::sleep(LOOK),
            Err(Error::NotRunning(_)) => {
                return Err(Error::StartSilent { socket: socket.clone(), after: START_PATIENCE });
            }
            other => return Ok((checked(other?)?, Started::Now)),
        }
    }
}

/// Starts akkd as a process of its own session.
fn start(surroundings: &Surroundings) -> Result<(Client, Started)> {
    let paths = &surroundings.paths;
    let program = find_program(std::env::current_exe().ok(), std::env::var_os("PATH"))?;
    create_private(&paths.state)?;
    create_private(&paths.logs())?;
    let lock_path = paths.state.join("start.lock");
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock_path)
        .and_then(|f| f.lock().map(|()| f))
        .map_err(|e| Error::file("lock", &lock_path, e))?;
    // Whoever held the lock before may have started it.
    match Client::connect(&paths.control_socket) {
        Err(Error::NotRunning(_)) => {}
        other => return Ok((other?, Started::Already)),
    }
    let said = paths.logs().join("akkd-start.stderr");
    let child = spawn(&program, surroundings, &said)?;
    let client = wait_until_ready(child, &paths.control_socket, &said, START_PATIENCE)?;
    drop(lock);
    Ok((checked(client)?, Started::Now))
}

/// The akkd that was installed with this akkctl, else the one in `PATH`.
pub(crate) fn find_program(akkctl: Option<PathBuf>, path: Option<std::ffi::OsString>) -> Result<PathBuf> {
    let beside = akkctl.as_deref().and_then(|p| p.canonicalize().ok()).and_then(|p| Some(p.parent()?.join("akkd")));
    let in_path = path.iter().flat_map(std::env::split_paths).filter(|d| d.is_absolute()).map(|d| d.join("akkd"));
    beside.into_iter().chain(in_path).find(|p| is_program(p)).ok_or(Error::NoDaemonProgram)
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

fn create_private(directory: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|e| Error::file("create", directory, e))
}

fn spawn(program: &Path, surroundings: &Surroundings, said: &Path) -> Result<Box<dyn ChildWrapper>> {
    // A new file for each start: an akkd that still has the former one open keeps it to itself.
    match std::fs::remove_file(said) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::file("replace", said, e)),
        _ => {}
    }
    let stderr = OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(said)
        .map_err(|e| Error::file("create", said, e))?;
    let mut command = CommandWrap::with_new(program, |command| {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).current_dir("/");
        // What was relative to our directory must not be relative to akkd's.
        if let Some(home) = &surroundings.akk_home {
            command.env("AKK_HOME", home);
        }
        if let Some(socket) = &surroundings.akk_socket {
            command.env("AKK_SOCKET", socket);
        }
    });
    // A session of its own: no Ctrl-C and no hang-up of this terminal reaches it.
    command.wrap(ProcessSession).spawn().map_err(|e| Error::file("start", program, e))
}

fn wait_until_ready(
    mut child: Box<dyn ChildWrapper>,
    socket: &Path,
    said: &Path,
    patience: Duration,
) -> Result<Client> {
    let begun = Instant::now();
    loop {
        match Client::connect(socket) {
            Err(Error::NotRunning(_)) => {}
            other => return other,
        }
        match child.try_wait() {
            Ok(None) => {}
            // It gave up, perhaps because another akkd of this home, started elsewhere, was first.
            Ok(Some(_)) | Err(_) => {
                return Client::connect(socket).map_err(|_| start_error(said));
            }
        }
        if begun.elapsed() >= patience {
            return Err(Error::StartSilent { socket: socket.to_owned(), after: patience });
        }
        std::thread::sleep(LOOK);
    }
}

/// What akkd wrote to its standard error before it gave up: its sentence, and its hint if it gave one.
fn start_error(said: &Path) -> Error {
    let mut text = Vec::new();
    // What cannot be read is as good as nothing said.
    let _ = File::open(said).and_then(|f| f.take(MAX_START_ERROR).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let without = |line: &str, prefixes: &[&str]| {
        prefixes.iter().find_map(|p| line.strip_prefix(p)).map(|rest| rest.trim().to_owned())
    };
    let hint = text.lines().find_map(|l| without(l.trim(), &["hint:"]));
    let message = lines.find(|l| !l.starts_with("hint:")).unwrap_or("it ended without a word");
    let message = without(message, &["akkd: error:", "akkd:", "error:"]).unwrap_or_else(|| message.to_owned());
    Error::StartFailed { message, hint }
}

/// Looks once whether the akkd that was started speaks our protocol.
fn checked(mut client: Client) -> Result<Client> {
    let version = client.call("daemon.info", &Empty {}, PATIENCE)?.read::<Version>()?;
    match version.mismatch() {
        Some(e) => Err(e),
        None => Ok(client),
    }
}

/// The part of `daemon.info` that every version has.
#[derive(Debug, Deserialize)]
pub(crate) struct Version {
    #[serde(rename = "version")]
    package: String,
    protocol: u32,
    /// Said since akkd understands more than one.
    #[serde(default)]
    oldest_protocol: Option<u32>,
}

impl Version {
    /// The error for an akkd with which there is no common protocol.
    pub(crate) fn mismatch(&self) -> Option<Error> {
        let ours = Spoken { oldest: OLDEST_DAEMON, newest: PROTOCOL };
        let theirs = Spoken { oldest: self.oldest_protocol.unwrap_or(self.protocol), newest: self.protocol };
        common(ours, theirs).is_none().then(|| Error::VersionMismatch {
            ours: VERSION,
            our_protocol: PROTOCOL,
            theirs: self.package.clone(),
            their_protocol: self.protocol,
        })
    }

    /// The better error for a call that this akkd refused because it does not know all of it.
    ///
    /// With a common protocol a client may still ask for what was added since, or what another build has.
    pub(crate) fn explain(&self, refused: Error) -> Error {
        if let Some(mismatch) = self.mismatch() {
            return mismatch;
        }
        if self.package == VERSION {
            return refused;
        }
        Error::OtherVersion { cause: Box::new(refused), ours: VERSION, theirs: self.package.clone() }
    }
}

#[cfg(test)]
#[path = "start_tests.rs"]
mod tests;
