//! macOS: kqueue, the process table through sysinfo. Reasoned and type-checked; not yet run on a Mac.
//!
//! Three facts are coarser than on Linux: start times are whole seconds, process groups are not told (the session
//! is), and the open files of other processes are not read, so that a process that was started in the instant
//! before a crash, and never recorded, cannot be found again by its standard input.

use super::{ProcessEntry, ProcessIdentity};
use akk_proto::Timestamp;
use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};
use rustix::process::{Pid, Signal};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use sysinfo::{ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The end of one process, learned from a kqueue.
#[derive(Debug)]
pub struct ExitWatch {
    process: ProcessIdentity,
    queue: AsyncFd<OwnedFd>,
}

impl ExitWatch {
    /// A watch over `process`; none when it does not run any more. Must be called inside a tokio runtime.
    ///
    /// The exit is registered for first and the start time compared afterwards, so that no end is missed.
    ///
    /// # Errors
    /// The process table cannot be read, or no file descriptor is left.
    pub fn open(process: &ProcessIdentity) -> io::Result<Option<Self>> {
        let queue = Kqueue::new()?;
        let exit =
            KEvent::new(process.pid as usize, EventFilter::EVFILT_PROC, EvFlags::EV_ADD, FilterFlag::NOTE_EXIT, 0, 0);
        match queue.kevent(&[exit], &mut [], None) {
            Ok(_) => {}
            Err(nix::errno::Errno::ESRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        if !process.is_alive()? {
            return Ok(None);
        }
        #[expect(deprecated, reason = "its successor is an unsafe fn; an OwnedFd keeps what that one asks for")]
        let queue = AsyncFd::with_interest(OwnedFd::from(queue), Interest::READABLE)?;
        Ok(Some(Self { process: process.clone(), queue }))
    }

    /// Waits until the process has ended. Safe to drop and to call again.
    ///
    /// # Errors
    /// The runtime is going down.
    pub async fn exited(&self) -> io::Result<()> {
        // The event is never fetched, so the queue stays readable: once ended, always ended.
        self.queue.readable().await.map(drop)
    }

    /// Sends `signal`; false when the process does not run any more.
    ///
    /// # Errors
    /// The signal is not permitted, or the process table cannot be read.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        let Some(pid) = self.process.pid.try_into().ok().and_then(Pid::from_raw) else { return Ok(false) };
        if !self.process.is_alive()? {
            return Ok(false);
        }
        match rustix::process::kill_process(pid, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// This boot's session uuid.
pub(super) fn boot() -> io::Result<&'static str> {
    static BOOT: OnceLock<String> = OnceLock::new();
    if let Some(id) = BOOT.get() {
        return Ok(id);
    }
    // The system call behind it needs unsafe code; the program that wraps it is part of every macOS.
    let output = std::process::Command::new("/usr/sbin/sysctl").args(["-n", "kern.bootsessionuuid"]).output()?;
    let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if id.is_empty() {
        return Err(io::Error::other("kern.bootsessionuuid cannot be read"));
    }
    Ok(BOOT.get_or_init(|| id))
}

/// macOS has no pid namespaces.
#[expect(clippy::unnecessary_wraps, reason = "the same interface as on Linux")]
pub(super) fn pid_namespace() -> io::Result<u64> {
    Ok(0)
}

/// The wall time of a start.
pub(super) fn started_at(started: u64) -> Option<Timestamp> {
    i64::try_from(started).ok()?.checked_mul(1000).map(Timestamp)
}

/// The process with this id; none where there is none.
pub(super) fn entry(pid: u32) -> io::Result<Option<ProcessEntry>> {
    let pid = sysinfo::Pid::from_u32(pid);
    let mut system = System::new().map_err(io::Error::other)?;
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, refresh());
    Ok(system.process(pid).map(entry_of))
}

/// Every process.
pub(super) fn entries() -> io::Result<Vec<ProcessEntry>> {
    let mut system = System::new().map_err(io::Error::other)?;
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, refresh());
    Ok(system.processes().values().map(entry_of).collect())
}

fn refresh() -> ProcessRefreshKind {
    ProcessRefreshKind::nothing().with_user(UpdateKind::Always)
}

pub(super) fn entry_of(process: &sysinfo::Process) -> ProcessEntry {
    ProcessEntry {
        pid: process.pid().as_u32(),
        parent: process.parent().map_or(0, sysinfo::Pid::as_u32),
        group: None,
        session: process.session_id().map(sysinfo::Pid::as_u32),
        started: process.start_time(),
        uid: process.user_id().map_or(u32::MAX, |uid| **uid),
        zombie: matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead),
    }
}

/// What the variable `name` is in the environments that these processes were started with.
pub(super) fn environment_variables(pids: impl Iterator<Item = u32>, name: &str) -> HashMap<u32, String> {
    let pids: Vec<sysinfo::Pid> = pids.map(sysinfo::Pid::from_u32).collect();
    let Ok(mut system) = System::new() else { return HashMap::new() };
    let kind = ProcessRefreshKind::nothing().with_environ(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, kind);
    let value_in = |process: &sysinfo::Process| {
        let mut entries = process.environ().iter().filter_map(|entry| entry.to_str());
        let value = entries.find_map(|entry| entry.strip_prefix(name)?.strip_prefix("="))?;
        Some((process.pid().as_u32(), value.to_owned()))
    };
    system.processes().values().filter_map(value_in).collect()
}

/// See [`super::stdin_below`].
pub(super) fn stdin_below(_folder: &Path) -> io::Result<Vec<(PathBuf, ProcessIdentity)>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// See [`super::give_back`]. `F_PUNCHHOLE` takes a struct that no safe crate offers yet, so output files are capped.
pub(super) fn punch_hole(_file: &File, _offset: u64, _length: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
