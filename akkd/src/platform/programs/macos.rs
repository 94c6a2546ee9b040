//! sysinfo for programs, `lsof` for open files. Reasoned and type-checked; not yet run on a Mac.
//!
//! `lsof` is part of every macOS. It tells who has a file open and how, not who holds an flock on it.

use super::super::macos::{boot, entries, entry_of};
use super::{LockedFile, OpenFile, Program, Surroundings, lsof};
use crate::platform::ProcessIdentity;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

const LSOF: &str = "/usr/sbin/lsof";
/// One run takes 0.1 to 0.5 s; a dead network volume can hang it.
const LONGEST_RUN: Duration = Duration::from_secs(5);
/// Bytes of output; a process with 10,000 files open prints about 1 MB.
const LONGEST_OUTPUT: u64 = 64 * 1024 * 1024;

/// See [`super::programs`].
pub(super) fn programs() -> io::Result<Vec<Program>> {
    let user = rustix::process::geteuid().as_raw();
    let own: Vec<Pid> = entries()?.into_iter().filter(|e| e.uid == user).map(|e| Pid::from_u32(e.pid)).collect();
    let kind = ProcessRefreshKind::nothing()
        .with_user(UpdateKind::Always)
        .with_exe(UpdateKind::Always)
        .with_cmd(UpdateKind::Always);
    let mut system = System::new().map_err(io::Error::other)?;
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&own), true, kind);
    let mut programs = Vec::new();
    for process in system.processes().values() {
        let entry = entry_of(process);
        if entry.zombie || entry.uid != user {
            continue;
        }
        programs.push(Program {
            identity: ProcessIdentity::from_entry(&entry, boot()?, 0),
            parent: entry.parent,
            executable: process.exe().filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned),
            command: process.cmd().iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        });
    }
    Ok(programs)
}

/// See [`super::executable_of_peer`].
pub(super) fn executable_of_peer(_connection: &impl AsFd, pid: u32) -> Option<PathBuf> {
    let pid = Pid::from_u32(pid);
    let mut system = System::new().ok()?;
    let kind = ProcessRefreshKind::nothing().with_exe(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, kind);
    let path = system.process(pid)?.exe()?;
    (!path.as_os_str().is_empty()).then(|| path.to_owned())
}

/// See [`super::surroundings`].
pub(super) fn surroundings(
    processes: &[ProcessIdentity],
    variables: &[&str],
) -> io::Result<HashMap<ProcessIdentity, Surroundings>> {
    let pids: Vec<Pid> = processes.iter().map(|p| Pid::from_u32(p.pid)).collect();
    let kind = ProcessRefreshKind::nothing()
        .with_user(UpdateKind::Always)
        .with_cwd(UpdateKind::Always)
        .with_environ(UpdateKind::Always);
    let mut system = System::new().map_err(io::Error::other)?;
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, kind);
    let mut found = HashMap::new();
    for identity in processes {
        let Some(process) = system.process(Pid::from_u32(identity.pid)) else { continue };
        let entry = entry_of(process);
        if entry.zombie || !identity.is(&entry) {
            continue;
        }
        let surroundings = Surroundings {
            cwd: process.cwd().filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned),
            // No process of a user has an empty environment: the system hides those of protected programs.
            variables: (!process.environ().is_empty()).then(|| values(process.environ(), variables)),
        };
        found.insert(identity.clone(), surroundings);
    }
    Ok(found)
}

fn values(environment: &[OsString], names: &[&str]) -> HashMap<String, String> {
    let mut values = HashMap::new();
    for entry in environment {
        let entry = entry.to_string_lossy();
        let Some((name, value)) = entry.split_once('=') else { continue };
        if names.contains(&name) {
            values.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    values
}

/// See [`super::open_files`].
pub(super) fn open_files(
    processes: &[ProcessIdentity],
    wanted: &dyn Fn(&Path) -> bool,
) -> io::Result<HashMap<ProcessIdentity, io::Result<Vec<OpenFile>>>> {
    let mut found = HashMap::new();
    if processes.is_empty() {
        return Ok(found);
    }
    let pids: Vec<String> = processes.iter().map(|p| p.pid.to_string()).collect();
    let mut listed = lsof::parse(&run([OsStr::new("-p"), OsStr::new(&pids.join(","))])?);
    for identity in processes {
        let files = listed.remove(&identity.pid);
        // Every process has at least its directory and its text: one that is not listed has ended or is hidden.
        if !identity.is_alive()? {
            continue;
        }
        let files = match files {
            Some(files) => Ok(files.into_iter().filter(|f| wanted(&f.path)).collect()),
            None => Err(io::Error::other("lsof does not list it")),
        };
        found.insert(identity.clone(), files);
    }
    Ok(found)
}

/// See [`super::locked_files`]: who has the file open for writing counts, since flocks are not told.
pub(super) fn locked_files(folder: &Path, only: Option<&OsStr>) -> io::Result<Vec<LockedFile>> {
    let folder = match folder.canonicalize() {
        Ok(folder) => folder,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let output = match only {
        Some(name) => match folder.join(name) {
            file if file.exists() => run([OsStr::new("--"), file.as_os_str()])?,
            _ => return Ok(Vec::new()),
        },
        None => run([OsStr::new("+d"), folder.as_os_str()])?,
    };
    let mut locked = Vec::new();
    for (pid, files) in lsof::parse(&output) {
        let written = files.into_iter().filter(|f| f.written && f.path.parent() == Some(&folder));
        let chosen = written.filter(|f| only.is_none_or(|name| f.path.file_name() == Some(name)));
        locked.extend(chosen.map(|f| LockedFile { path: f.path, taken_by: Some(pid) }));
    }
    Ok(locked)
}

/// What `lsof` says of `selection`. It ends with 1 both when nothing was found and when a part was not.
fn run<'a>(selection: impl IntoIterator<Item = &'a OsStr>) -> io::Result<Vec<u8>> {
    let mut child = Command::new(LSOF)
        .args(lsof::ARGUMENTS)
        .args(selection)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let Some(stdout) = child.stdout.take() else { return Err(io::Error::other("lsof has no output")) };
    let (done, read) = mpsc::channel();
    std::thread::spawn(move || {
        let mut output = Vec::new();
        let result = stdout.take(LONGEST_OUTPUT).read_to_end(&mut output).map(|_| output);
        // Nobody waits any more when it took too long.
        let _ = done.send(result);
    });
    let output = read.recv_timeout(LONGEST_RUN);
    let complete = matches!(output, Ok(Ok(_)));
    if !complete {
        // It may have ended just now.
        let _ = child.kill();
    }
    let status = child.wait()?;
    match output {
        Ok(Ok(output)) if matches!(status.code(), Some(0 | 1)) => Ok(output),
        Ok(Ok(_)) => Err(io::Error::other(format!("lsof failed: {status}"))),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "lsof took longer than 5 s")),
    }
}
