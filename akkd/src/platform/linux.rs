//! Linux: `/proc`, pidfd, `fallocate`.

use super::{ProcessEntry, ProcessIdentity};
use akk_proto::Timestamp;
use procfs::ProcError;
use procfs::process::{Process, Stat, all_processes};
use rustix::fs::FallocateFlags;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::linux::fs::MetadataExt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The end of one process, learned from a pidfd. Holds the very process: signals cannot reach another one.
#[derive(Debug)]
pub struct ExitWatch {
    pidfd: AsyncFd<OwnedFd>,
}

impl ExitWatch {
    /// A watch over `process`; none when it does not run any more. Must be called inside a tokio runtime.
    ///
    /// The pidfd is opened first and the start time compared afterwards, so that the process that was compared is
    /// the one that is held.
    ///
    /// # Errors
    /// The process table cannot be read, or no file descriptor is left.
    pub fn open(process: &ProcessIdentity) -> io::Result<Option<Self>> {
        let Some(pid) = process.pid.try_into().ok().and_then(Pid::from_raw) else { return Ok(None) };
        let pidfd = match pidfd_open(pid, PidfdFlags::NONBLOCK) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if !process.is_alive()? {
            return Ok(None);
        }
        #[expect(deprecated, reason = "its successor is an unsafe fn; an OwnedFd keeps what that one asks for")]
        let pidfd = AsyncFd::with_interest(pidfd, Interest::READABLE)?;
        Ok(Some(Self { pidfd }))
    }

    /// Waits until the process has ended. Safe to drop and to call again.
    ///
    /// # Errors
    /// The runtime is going down.
    pub async fn exited(&self) -> io::Result<()> {
        // Readiness is not cleared: once ended, always ended.
        self.pidfd.readable().await.map(drop)
    }

    /// Sends `signal`; false when the process does not run any more.
    ///
    /// # Errors
    /// The signal is not permitted.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// This boot's id.
pub(super) fn boot() -> io::Result<&'static str> {
    static BOOT: OnceLock<String> = OnceLock::new();
    if let Some(id) = BOOT.get() {
        return Ok(id);
    }
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(BOOT.get_or_init(|| id.trim().to_owned()))
}

/// The inode of our own pid namespace.
pub(super) fn pid_namespace() -> io::Result<u64> {
    static NAMESPACE: OnceLock<u64> = OnceLock::new();
    if let Some(inode) = NAMESPACE.get() {
        return Ok(*inode);
    }
    let inode = std::fs::metadata("/proc/self/ns/pid")?.st_ino();
    Ok(*NAMESPACE.get_or_init(|| inode))
}

/// The wall time of a start, from the wall time of the boot: right to a second, until the clock is set.
pub(super) fn started_at(started: u64) -> Option<Timestamp> {
    static BOOTED: OnceLock<u64> = OnceLock::new();
    let booted = if let Some(booted) = BOOTED.get() {
        *booted
    } else {
        let booted = procfs::boot_time_secs().ok()?;
        *BOOTED.get_or_init(|| booted)
    };
    let millis = booted.checked_mul(1000)?.checked_add(started.checked_mul(1000)? / procfs::ticks_per_second())?;
    i64::try_from(millis).ok().map(Timestamp)
}

/// The process with this id; none where there is none.
pub(super) fn entry(pid: u32) -> io::Result<Option<ProcessEntry>> {
    let Ok(pid) = i32::try_from(pid) else { return Ok(None) };
    present(Process::new(pid).and_then(|p| entry_of(&p)))
}

/// Every process.
pub(super) fn entries() -> io::Result<Vec<ProcessEntry>> {
    let mut entries = Vec::new();
    for process in all_processes().map_err(io_error)? {
        // One that ended meanwhile is no process any more.
        if let Some(entry) = present(process.and_then(|p| entry_of(&p)))? {
            entries.push(entry);
        }
    }
    Ok(entries)
}

pub(super) fn entry_of(process: &Process) -> Result<ProcessEntry, ProcError> {
    let uid = process.uid()?;
    let Stat { pid, ppid, pgrp, session, starttime, state, .. } = process.stat()?;
    Ok(ProcessEntry {
        pid: pid.cast_unsigned(),
        parent: ppid.cast_unsigned(),
        group: Some(pgrp.cast_unsigned()),
        session: Some(session.cast_unsigned()),
        started: starttime,
        uid,
        zombie: matches!(state, 'Z' | 'X' | 'x'),
    })
}

/// What the variable `name` is in the environments that these processes were started with.
pub(super) fn environment_variables(pids: impl Iterator<Item = u32>, name: &str) -> HashMap<u32, String> {
    let value_in = |pid: u32| {
        // Environments of others, or of what has ended, cannot be read and do not count.
        let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        let mut entries = environment.split(|b| *b == 0);
        let value = entries.find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
        Some((pid, String::from_utf8(value.to_owned()).ok()?))
    };
    pids.filter_map(value_in).collect()
}

/// See [`super::stdin_below`].
pub(super) fn stdin_below(folder: &Path) -> io::Result<Vec<(PathBuf, ProcessIdentity)>> {
    let mut found = Vec::new();
    for process in all_processes().map_err(io_error)? {
        let Ok(process) = process else { continue };
        // Unreadable for processes of others: those are not ours anyway.
        let Ok(target) = std::fs::read_link(format!("/proc/{}/fd/0", process.pid())) else { continue };
        let target = target.as_os_str().as_bytes();
        let target = Path::new(std::ffi::OsStr::from_bytes(target.strip_suffix(b" (deleted)").unwrap_or(target)));
        if !target.starts_with(folder) {
            continue;
        }
        if let Some(entry) = present(entry_of(&process))?
            && !entry.zombie
        {
            found.push((target.to_owned(), ProcessIdentity::from_entry(&entry, boot()?, pid_namespace()?)));
        }
    }
    Ok(found)
}

/// See [`super::give_back`].
pub(super) fn punch_hole(file: &File, offset: u64, length: u64) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match rustix::fs::fallocate(file, flags, offset, length) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Err(io::ErrorKind::Unsupported.into()),
        Err(error) => Err(error.into()),
    }
}

/// What was read of a process, or none where it has ended meanwhile.
pub(super) fn present<T>(read: Result<T, ProcError>) -> io::Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(ProcError::NotFound(_)) => Ok(None),
        // A read from an open entry of /proc whose process is gone says ESRCH.
        Err(ProcError::Io(error, _)) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {
            Ok(None)
        }
        Err(error) => Err(io_error(error)),
    }
}

pub(super) fn io_error(error: ProcError) -> io::Error {
    match error {
        ProcError::Io(error, _) => error,
        other => io::Error::other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn spawn(script: &str, envs: &[(&str, &str)]) -> std::process::Child {
        use std::os::unix::process::CommandExt;
        Command::new("/bin/sh")
            .args(["-c", script])
            .envs(envs.iter().copied())
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap()
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_heard_and_its_zombie_is_dead() {
        let mut child = spawn("read x; exit 3", &[]);
        let identity = ProcessIdentity::of(child.id()).unwrap().unwrap();
        let watch = ExitWatch::open(&identity).unwrap().unwrap();
        assert!(identity.is_alive().unwrap());
        drop(child.stdin.take());
        watch.exited().await.unwrap();
        assert!(!identity.is_alive().unwrap());
        assert!(ExitWatch::open(&identity).unwrap().is_none());
        child.wait().unwrap();
        assert!(ProcessIdentity::of(identity.pid).unwrap().is_none_or(|other| other != identity));
    }

    #[tokio::test]
    async fn a_process_with_the_same_id_but_another_start_is_a_stranger() {
        let mut child = spawn("read x", &[]);
        let identity = ProcessIdentity::of(child.id()).unwrap().unwrap();
        let other = ProcessIdentity { started: identity.started - 1, ..identity.clone() };
        assert!(ExitWatch::open(&other).unwrap().is_none());
        assert!(!signal_group(&other, Signal::KILL).unwrap());
        assert!(!signal_process(&other, Signal::KILL).unwrap());
        assert!(identity.is_alive().unwrap());
        let other_boot = ProcessIdentity { boot: "another".into(), ..identity.clone() };
        assert!(!other_boot.is_alive().unwrap());
        assert!(signal_group(&identity, Signal::KILL).unwrap());
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn what_descends_from_a_process_is_found_wherever_it_went() {
        // The grandchild leaves session, group and parent; it keeps only its environment.
        let launch = format!("test-{}", std::process::id());
        let mut child = spawn(
            "setsid sh -c 'sleep 60 & echo $!; exit' ; sleep 60 & echo $!; read x",
            &[(LAUNCH_VARIABLE, &launch)],
        );
        let identity = ProcessIdentity::of(child.id()).unwrap().unwrap();
        let mut found = Vec::new();
        for _ in 0..200 {
            found = ProcessTable::now().await.unwrap().belonging_to(&identity, &launch);
            if found.len() >= 2 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        for relative in &found {
            assert!(signal_process(&relative.process, Signal::KILL).unwrap());
        }
        assert!(signal_group(&identity, Signal::KILL).unwrap());
        child.wait().unwrap();
        assert!(found.len() >= 2, "{found:?}");
    }

    #[test]
    fn a_process_is_found_by_its_standard_input() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let path = folder.join("prompt");
        std::fs::write(&path, "").unwrap();
        let mut child = Command::new("/bin/sleep").arg("60").stdin(File::open(&path).unwrap()).spawn().unwrap();
        std::fs::remove_file(&path).unwrap();
        let found = stdin_below(&folder).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((&found[0].0, found[0].1.pid), (&path, child.id()));
    }

    #[test]
    fn consumed_output_is_given_back_to_the_disk() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![b'x'; 1 << 20]).unwrap();
        file.sync_all().unwrap();
        let used = || std::os::linux::fs::MetadataExt::st_blocks(&file.metadata().unwrap()) * 512;
        let before = used();
        match give_back(&file, 0, 1 << 19) {
            // tmpfs, ext4, xfs and btrfs all can.
            Ok(()) => assert!(used() <= before - (1 << 18), "{} of {before}", used()),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::Unsupported),
        }
        assert_eq!(file.metadata().unwrap().len(), 1 << 20);
    }
}
