//! `/proc`.

use super::super::linux::{boot, entry_of, io_error, pid_namespace, present};
use super::{Flock, LockedFile, OpenFile, Program, Surroundings};
use crate::platform::ProcessIdentity;
use nix::errno::Errno;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerPidfd;
use procfs::ProcError;
use procfs::process::{Process, all_processes};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::fs::MetadataExt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirEntryExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A command line can be megabytes; nobody needs more of it than this, in bytes.
const LONGEST_COMMAND: u64 = 256 * 1024;
/// An environment, in bytes.
const LONGEST_ENVIRONMENT: u64 = 4 * 1024 * 1024;

/// See [`super::programs`].
pub(super) fn programs() -> io::Result<Vec<Program>> {
    let user = rustix::process::geteuid().as_raw();
    let mut programs = Vec::new();
    for process in all_processes().map_err(io_error)? {
        // One that ended meanwhile is no process any more.
        programs.extend(present(process.and_then(|p| program(&p, user)))?.flatten());
    }
    Ok(programs)
}

/// What `process` runs; none when it is not this user's, or dead.
fn program(process: &Process, user: u32) -> Result<Option<Program>, ProcError> {
    let owner = process.uid()?;
    // Files of processes that are not dumpable belong to root, whoever runs them.
    if owner != user && owner != 0 {
        return Ok(None);
    }
    let command = command(process)?;
    // Threads of the kernel have no command line; the status of the few others tells whose they are.
    if owner != user && (command.is_empty() || process.status()?.euid != user) {
        return Ok(None);
    }
    let entry = entry_of(process)?;
    if entry.zombie {
        return Ok(None);
    }
    let (Ok(boot), Ok(namespace)) = (boot(), pid_namespace()) else {
        return Err(ProcError::Other("the boot or the pid namespace has no name".to_owned()));
    };
    Ok(Some(Program {
        parent: entry.parent,
        executable: process.exe().ok().map(|path| without_mark(path).0),
        command,
        identity: ProcessIdentity::from_entry(&entry, boot, namespace),
    }))
}

fn command(process: &Process) -> Result<Vec<String>, ProcError> {
    let bytes = read(process, "cmdline", LONGEST_COMMAND)?;
    let words = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    if words.is_empty() {
        return Ok(Vec::new());
    }
    Ok(words.split(|b| *b == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

fn read(process: &Process, name: &str, limit: u64) -> Result<Vec<u8>, ProcError> {
    let mut bytes = Vec::new();
    let file = process.open_relative(name)?;
    file.take(limit).read_to_end(&mut bytes).map_err(|error| ProcError::Io(error, None))?;
    Ok(bytes)
}

/// See [`super::executable_of_peer`].
pub(super) fn executable_of_peer(connection: &impl AsFd, pid: u32) -> Option<PathBuf> {
    let peer = match getsockopt(connection, PeerPidfd) {
        Ok(peer) => Some(peer),
        // Before 6.5.
        Err(Errno::ENOPROTOOPT) => None,
        Err(_) => return None,
    };
    let (path, _) = without_mark(std::fs::read_link(format!("/proc/{pid}/exe")).ok()?);
    // Looked at afterwards: while the process lived, its id was nobody else's.
    peer.is_none_or(|peer| is_alive(&peer)).then_some(path)
}

/// Whether the process of a pidfd has not ended: once it has, the descriptor can be read.
fn is_alive(process: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(0))
}

/// `path` without the mark that the kernel puts behind the path of a deleted file, and whether it was there.
fn without_mark(path: PathBuf) -> (PathBuf, bool) {
    match path.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
        Some(bytes) => (PathBuf::from(OsString::from_vec(bytes.to_owned())), true),
        None => (path, false),
    }
}

/// The directory of this very process in `/proc`, where its reads fail once it is gone; none when it has ended.
fn opened(identity: &ProcessIdentity) -> io::Result<Option<Process>> {
    let Ok(pid) = i32::try_from(identity.pid) else { return Ok(None) };
    let found = present(Process::new(pid).and_then(|p| Ok((entry_of(&p)?, p))))?;
    Ok(found.filter(|(entry, _)| identity.is(entry) && !entry.zombie).map(|(_, process)| process))
}

/// See [`super::surroundings`].
pub(super) fn surroundings(
    processes: &[ProcessIdentity],
    variables: &[&str],
) -> io::Result<HashMap<ProcessIdentity, Surroundings>> {
    let mut found = HashMap::new();
    for identity in processes {
        let Some(process) = opened(identity)? else { continue };
        let environment = read(&process, "environ", LONGEST_ENVIRONMENT).ok();
        let surroundings = Surroundings {
            cwd: process.cwd().ok().map(|path| without_mark(path).0),
            variables: environment.map(|bytes| values(&bytes, variables)),
        };
        found.insert(identity.clone(), surroundings);
    }
    Ok(found)
}

/// The values of `names` in an environment. The first of two counts, as for `getenv`.
fn values(environment: &[u8], names: &[&str]) -> HashMap<String, String> {
    let mut values = HashMap::new();
    for entry in environment.split(|b| *b == 0) {
        let Some(at) = memchr::memchr(b'=', entry) else { continue };
        if let Some(name) = names.iter().find(|name| name.as_bytes() == &entry[..at]) {
            let value = || String::from_utf8_lossy(&entry[at + 1..]).into_owned();
            values.entry((*name).to_owned()).or_insert_with(value);
        }
    }
    values
}

/// See [`super::open_files`].
#[expect(clippy::unnecessary_wraps, reason = "the same interface as on macOS")]
pub(super) fn open_files(
    processes: &[ProcessIdentity],
    wanted: &dyn Fn(&Path) -> bool,
) -> io::Result<HashMap<ProcessIdentity, io::Result<Vec<OpenFile>>>> {
    let mut found = HashMap::new();
    for identity in processes {
        if let Some(files) = files_of(identity, wanted).transpose() {
            found.insert(identity.clone(), files);
        }
    }
    Ok(found)
}

/// The wanted files that this process has open; none when it has ended.
fn files_of(identity: &ProcessIdentity, wanted: &dyn Fn(&Path) -> bool) -> io::Result<Option<Vec<OpenFile>>> {
    let read = descriptors(identity.pid, wanted);
    // What was read belongs to this process only when it was this one's id until the end.
    match read {
        _ if opened(identity)?.is_none() => Ok(None),
        Ok(files) => Ok(Some(files)),
        Err(error) => Err(error),
    }
}

fn descriptors(pid: u32, wanted: &dyn Fn(&Path) -> bool) -> io::Result<Vec<OpenFile>> {
    let mut files = Vec::new();
    for descriptor in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        let link = descriptor?.path();
        // One that was closed meanwhile is not open.
        let Ok(target) = std::fs::read_link(&link) else { continue };
        let (path, _) = without_mark(target);
        if !path.is_absolute() || !wanted(&path) {
            continue;
        }
        let Some(number) = link.file_name().and_then(OsStr::to_str) else { continue };
        let held = match std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")) {
            Ok(info) => info.lines().filter_map(|l| l.strip_prefix("lock:")).any(|l| is_flock(l).is_some()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        // The link's own permissions tell how the file was opened.
        let Ok(mode) = std::fs::symlink_metadata(&link).map(|m| m.permissions().mode()) else { continue };
        files.push(OpenFile {
            path,
            written: mode & 0o200 != 0,
            flock: if held { Flock::Held } else { Flock::NotHeld },
            file: std::fs::metadata(&link).ok().map(|m| (m.st_dev(), m.st_ino())),
        });
    }
    Ok(files)
}

/// A held flock, in a line of `/proc/locks` or of an `fdinfo` file:
/// `1: FLOCK  ADVISORY  WRITE 123 fe:00:456 0 EOF`, with the id of who took it, and device and inode of the file.
/// None for locks of another kind, and for who waits for a lock (an arrow after the number).
fn is_flock(line: &str) -> Option<FlockLine> {
    let mut words = line.split_whitespace();
    let kind = words.by_ref().nth(1)?;
    if kind != "FLOCK" {
        return None;
    }
    let pid = words.by_ref().nth(2)?;
    let mut file = words.next()?.split(':');
    let major = u32::from_str_radix(file.next()?, 16).ok()?;
    let minor = u32::from_str_radix(file.next()?, 16).ok()?;
    Some(FlockLine {
        // 0 or -1: it is of a pid namespace that cannot be seen from here.
        pid: pid.parse().ok().filter(|pid| *pid != 0),
        device: rustix::fs::makedev(major, minor),
        inode: file.next()?.parse().ok()?,
    })
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FlockLine {
    pid: Option<u32>,
    device: u64,
    inode: u64,
}

/// See [`super::locked_files`]. With `only`: of that name.
pub(super) fn locked_files(folder: &Path, only: Option<&OsStr>) -> io::Result<Vec<LockedFile>> {
    let locks = std::fs::read_to_string("/proc/locks")?;
    let locks: HashMap<u64, Vec<FlockLine>> =
        locks.lines().filter_map(is_flock).fold(HashMap::new(), |mut by_inode, line| {
            by_inode.entry(line.inode).or_default().push(line);
            by_inode
        });
    let opened = match File::open(folder) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let device = device_for_locks(&opened);
    let candidates: Vec<(PathBuf, u64)> = if let Some(name) = only {
        match std::fs::metadata(folder.join(name)) {
            Ok(metadata) => vec![(folder.join(name), metadata.st_ino())],
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
    } else {
        std::fs::read_dir(folder)?.map(|e| e.map(|e| (e.path(), e.ino()))).collect::<io::Result<_>>()?
    };
    let mut locked = Vec::new();
    // Almost no file is locked: the inode alone rules the others out.
    for (path, inode) in candidates {
        let Some(lines) = locks.get(&inode) else { continue };
        let Ok(metadata) = std::fs::metadata(&path) else { continue };
        let here = |line: &&FlockLine| line.device == metadata.st_dev() || Some(line.device) == device;
        if let Some(line) = lines.iter().find(here) {
            locked.push(LockedFile { path, taken_by: line.pid });
        }
    }
    Ok(locked)
}

/// The device by which `/proc/locks` names files next to `opened`. It is the file system's own; `stat` tells another
/// one for each subvolume (btrfs) or layer (overlayfs).
fn device_for_locks(opened: &File) -> Option<u64> {
    use std::os::fd::AsRawFd;
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", opened.as_raw_fd())).ok()?;
    let mount = info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().to_owned();
    let mounts = BufReader::new(File::open("/proc/self/mountinfo").ok()?);
    let line = mounts.lines().map_while(Result::ok).find(|line| line.split(' ').next() == Some(&mount))?;
    let (major, minor) = line.split(' ').nth(2)?.split_once(':')?;
    Some(rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_about_locks_are_told_apart() {
        let flock = |line| is_flock(line).map(|l| (l.pid, l.inode));
        assert_eq!(flock("1: FLOCK  ADVISORY  WRITE 30549 fe:00:2162815 0 EOF"), Some((Some(30549), 2_162_815)));
        assert_eq!(flock("\t1: FLOCK  ADVISORY  READ 7 00:2f:9 0 EOF"), Some((Some(7), 9)));
        assert_eq!(flock("1: FLOCK  ADVISORY  WRITE 0 fe:00:9 0 EOF"), Some((None, 9)));
        assert_eq!(flock("1: FLOCK  ADVISORY  WRITE -1 fe:00:9 0 EOF"), Some((None, 9)));
        assert_eq!(flock("1: -> FLOCK  ADVISORY  WRITE 30550 fe:00:2162815 0 EOF"), None);
        assert_eq!(flock("2: POSIX  ADVISORY  READ 10591 fe:00:10037777 128 128"), None);
        assert_eq!(flock("3: OFDLCK ADVISORY  WRITE -1 fe:00:1 0 0"), None);
        for cut in ["", "1:", "1: FLOCK", "1: FLOCK  ADVISORY  WRITE 3", "1: FLOCK  ADVISORY  WRITE 3 fe:00"] {
            assert_eq!(flock(cut), None, "{cut}");
        }
    }
}
