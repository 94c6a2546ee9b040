//! What differs between Linux and macOS: who a process is, how its end is learned, what descends from it, and how
//! consumed output is given back to the disk.
//!
//! Nothing here acts on a process id alone: an id is taken again by the system, an identity is not.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
pub mod programs;
mod table;
mod watches;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "macos")]
use macos as system;

pub use rustix::process::Signal;
pub use system::ExitWatch;
pub use table::{LAUNCH_VARIABLE, ProcessEntry, ProcessTable, Relative};
pub use watches::{Watches, since_boot, watches};

use akk_proto::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Who a process is, for ever: survives restarts of akkd, reuse of process ids, reboots and other pid namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The boot that it lives in: Linux `boot_id`, macOS `kern.bootsessionuuid`.
    pub boot: String,
    /// Inode of its pid namespace; 0 on macOS, which has none.
    pub pid_namespace: u64,
    /// Its process id inside that namespace.
    pub pid: u32,
    /// When it was started: clock ticks since boot on Linux, seconds since the epoch on macOS.
    pub started: u64,
    /// Its real user id.
    pub uid: u32,
}

impl ProcessIdentity {
    /// The process that has this id now, dead but unreaped ones included; none where there is none.
    ///
    /// # Errors
    /// The process table cannot be read.
    pub fn of(pid: u32) -> io::Result<Option<Self>> {
        let Some(entry) = system::entry(pid)? else { return Ok(None) };
        Ok(Some(Self::from_entry(&entry, system::boot()?, system::pid_namespace()?)))
    }

    /// Whether this very process still runs. A zombie is dead.
    ///
    /// # Errors
    /// The process table cannot be read.
    pub fn is_alive(&self) -> io::Result<bool> {
        if self.boot != system::boot()? || self.pid_namespace != system::pid_namespace()? {
            return Ok(false);
        }
        Ok(system::entry(self.pid)?.is_some_and(|e| self.is(&e) && !e.zombie))
    }

    /// When it was started, by wall time: right to a second. None when the system does not tell.
    pub fn started_at(&self) -> Option<Timestamp> {
        system::started_at(self.started)
    }

    /// Whether `entry` of this boot's table is this process.
    fn is(&self, entry: &ProcessEntry) -> bool {
        entry.pid == self.pid && entry.started == self.started && entry.uid == self.uid
    }

    fn from_entry(entry: &ProcessEntry, boot: &str, pid_namespace: u64) -> Self {
        Self { boot: boot.to_owned(), pid_namespace, pid: entry.pid, started: entry.started, uid: entry.uid }
    }
}

/// Sends `signal` to the process group that `leader` leads. False, and nothing sent, when `leader` does not run any
/// more or leads no group.
///
/// # Errors
/// The process table cannot be read, or the signal is not permitted.
pub fn signal_group(leader: &ProcessIdentity, signal: Signal) -> io::Result<bool> {
    let Some(group) = leader.pid.try_into().ok().and_then(rustix::process::Pid::from_raw) else { return Ok(false) };
    let leads = |e: ProcessEntry| leader.is(&e) && !e.zombie && e.group.is_none_or(|g| g == leader.pid);
    if !leader.is_alive()? || !system::entry(leader.pid)?.is_some_and(leads) {
        return Ok(false);
    }
    match rustix::process::kill_process_group(group, signal) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Sends `signal` to this very process; false when it does not run any more.
///
/// # Errors
/// The process table cannot be read, or the signal is not permitted.
pub fn signal_process(process: &ProcessIdentity, signal: Signal) -> io::Result<bool> {
    match ExitWatch::open(process)? {
        Some(watch) => watch.signal(signal),
        None => Ok(false),
    }
}

/// Processes of this user whose standard input is a file below `folder` (canonical), with that file.
///
/// # Errors
/// The process table cannot be read; [`io::ErrorKind::Unsupported`] where the system does not tell (macOS).
pub fn stdin_below(folder: &Path) -> io::Result<Vec<(PathBuf, ProcessIdentity)>> {
    system::stdin_below(folder)
}

/// Gives the disk blocks of `file` between `from` and `to` back. Sizes and offsets stay as they are; what was there
/// reads as zeros.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`] where the file system or the platform cannot do it.
pub fn give_back(file: &File, from: u64, to: u64) -> io::Result<()> {
    if to <= from {
        return Ok(());
    }
    system::punch_hole(file, from, to - from)
}
