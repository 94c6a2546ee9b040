//! What the processes of this user run, have open and hold locked.
//!
//! On Linux all of it is read from `/proc`. On macOS programs come from the process table and open files from
//! `lsof`, which does not tell flocks: there an open file is all that is known ([`Flock::NotTold`]).

#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(target_os = "macos", test))]
mod lsof;
#[cfg(target_os = "macos")]
mod macos;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "macos")]
use macos as system;

use super::ProcessIdentity;
use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// A living process of this user, and what it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Who it is, for ever.
    pub identity: ProcessIdentity,
    /// Its parent's id.
    pub parent: u32,
    /// Its executable, where it can be read; for one that was deleted meanwhile, where it was.
    pub executable: Option<PathBuf>,
    /// Its command line's words; empty ones too. At most 256 KiB of them.
    pub command: Vec<String>,
}

/// Where a process works, and with what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Its working directory, where it can be read.
    pub cwd: Option<PathBuf>,
    /// Those of the variables asked for that it was started with; none when its environment cannot be read.
    pub variables: Option<HashMap<String, String>>,
}

/// A file that a process has open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenFile {
    /// Where it lies, or lay.
    pub path: PathBuf,
    /// Whether it is opened for writing.
    pub written: bool,
    /// Whether this descriptor holds an flock.
    pub flock: Flock,
    /// Device and inode, where the system tells.
    pub file: Option<(u64, u64)>,
}

/// Whether a descriptor holds an flock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flock {
    /// It does.
    Held,
    /// It does not.
    NotHeld,
    /// The system does not tell (macOS).
    NotTold,
}

/// A file that somebody holds an flock on, or, where the system tells no flocks (macOS), has open for writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedFile {
    /// Which.
    pub path: PathBuf,
    /// Who took the lock, if it has an id here. A hint: it may have handed the descriptor to a child and ended, and
    /// its id may be another's by now.
    pub taken_by: Option<u32>,
}

/// Every living process of this user (by effective user id), zombies left out. About 50 µs for each process on Linux.
///
/// A process that hides itself from its own user (Linux: not dumpable) is listed too; its [`ProcessIdentity::uid`] is
/// root's then, which keeps everybody from signalling it, and its files cannot be read.
///
/// # Errors
/// The system refuses to list processes.
pub fn programs() -> io::Result<Vec<Program>> {
    system::programs()
}

/// The executable of the process `pid` that opened `connection`; for a file that was deleted meanwhile, where it was.
/// None where it cannot be read, and where that process has ended: its id may be another's by now (Linux 6.5 and later
/// tell; elsewhere it is the process that has the id now).
pub fn executable_of_peer(connection: &impl AsFd, pid: u32) -> Option<PathBuf> {
    system::executable_of_peer(connection, pid)
}

/// Where these processes work, and what these variables are in their environments. Those that have ended are left out.
///
/// # Errors
/// The process table cannot be read.
pub fn surroundings(
    processes: &[ProcessIdentity],
    variables: &[&str],
) -> io::Result<HashMap<ProcessIdentity, Surroundings>> {
    system::surroundings(processes, variables)
}

/// The files that these processes have open and whose paths are `wanted`. Those that have ended are left out; an
/// error stands for one whose files cannot be read.
///
/// About 0.2 ms for each process on Linux; one run of `lsof`, 5 s at most, on macOS.
///
/// # Errors
/// No open file of any process can be read.
pub fn open_files(
    processes: &[ProcessIdentity],
    wanted: &dyn Fn(&Path) -> bool,
) -> io::Result<HashMap<ProcessIdentity, io::Result<Vec<OpenFile>>>> {
    system::open_files(processes, wanted)
}

/// The files directly in `folder` that somebody holds an flock on; nothing is locked in a folder that does not exist.
/// Locks that were taken in another pid namespace may not be seen, whoever holds them.
///
/// # Errors
/// The locks or the folder cannot be read.
pub fn locked_files(folder: &Path) -> io::Result<Vec<LockedFile>> {
    system::locked_files(folder, None)
}

/// The same for one file.
///
/// # Errors
/// The locks or the file cannot be read.
pub fn locked_file(file: &Path) -> io::Result<Option<LockedFile>> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return Ok(None) };
    Ok(system::locked_files(folder, Some(name))?.pop())
}
