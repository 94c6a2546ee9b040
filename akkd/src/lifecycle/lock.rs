//! One akkd per home.

use akk_proto::error::{ErrorKind, Failure};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The right to be the akkd of a home. It is held for life, by `flock` on a file beside the database that no child
/// inherits, and ends with the process, however that ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why this process is not the akkd of the home.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another one is.
    #[error("{} serves this home already", match pid { Some(pid) => format!("akkd (pid {pid})"), None => "another akkd".to_owned() })]
    Held {
        /// The lock.
        path: PathBuf,
        /// The winner's process id, where it could be read.
        pid: Option<u32>,
    },
    /// The lock's file cannot be used.
    #[error("cannot lock {}: {source}", path.display())]
    Unusable {
        /// The lock.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl From<&LockError> for Failure {
    fn from(e: &LockError) -> Self {
        let message = e.to_string();
        match e {
            LockError::Held { path, pid } => {
                let hint = "Use that one, or stop it with `akkctl daemon stop`; AKK_HOME gives another akkd a home of its own.";
                let failure = Self::new(ErrorKind::WrongStatus, message, hint).with("lock", path.to_string_lossy());
                match pid {
                    Some(pid) => failure.with("pid", *pid),
                    None => failure,
                }
            }
            LockError::Unusable { .. } => {
                Self::new(ErrorKind::Storage, message, "Make its folder writable for you, or set AKK_HOME.")
            }
        }
    }
}

impl Lock {
    /// Takes the lock at `path`, whose folder exists, and writes our process id into it.
    ///
    /// # Errors
    /// When another akkd holds it, or the file cannot be used.
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        let unusable = |source| LockError::Unusable { path: path.to_owned(), source };
        let mut patience = 50;
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
                .open(path)
                .map_err(unusable)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let pid = winner(&mut file);
                    // A child that an akkd was making when it was killed holds its files until it becomes another
                    // program: for a moment.
                    if patience > 0 && pid.is_some_and(is_gone) {
                        patience -= 1;
                        std::thread::sleep(Duration::from_millis(20));
                        continue;
                    }
                    return Err(LockError::Held { path: path.to_owned(), pid });
                }
                Err(TryLockError::Error(e)) => return Err(unusable(e)),
            }
            // Somebody may have removed the file between opening and locking; then the lock protects nothing.
            let ours = file.metadata().map_err(unusable)?;
            match std::fs::symlink_metadata(path) {
                Ok(there) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) => {}
                Ok(_) => continue,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(unusable(e)),
            }
            sign(&mut file).map_err(unusable)?;
            return Ok(Self { _file: file });
        }
    }
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    writeln!(file, "{}", std::process::id())
}

/// The process id in a lock that another one holds. It may have taken it just now and not have signed yet.
fn winner(file: &mut File) -> Option<u32> {
    for _ in 0..20 {
        let mut text = String::new();
        let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(32).read_to_string(&mut text));
        if read.is_ok()
            && text.ends_with('\n')
            && let Ok(pid) = text.trim().parse()
        {
            return Some(pid);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

/// Whether no process has this id, as far as can be seen from here.
fn is_gone(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// Other tests of this process start children, which hold the lock's file for a moment.
    fn acquire_soon(path: &Path) -> Lock {
        let start = Instant::now();
        loop {
            match Lock::acquire(path) {
                Ok(lock) => return lock,
                Err(e) => assert!(start.elapsed() < Duration::from_secs(10), "{e}"),
            }
        }
    }

    #[test]
    fn one_wins_and_the_other_learns_who() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("akkd.lock");
        let lock = Lock::acquire(&path).unwrap();
        let lost = Lock::acquire(&path).unwrap_err();
        assert!(matches!(lost, LockError::Held { pid: Some(pid), .. } if pid == std::process::id()), "{lost:?}");
        let failure = Failure::from(&lost);
        assert_eq!(failure.message, format!("akkd (pid {}) serves this home already", std::process::id()));
        assert_eq!(failure.details["pid"], std::process::id());
        drop(lock);
        acquire_soon(&path);
    }

    #[test]
    fn of_many_at_once_exactly_one_wins() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("akkd.lock");
        let start = std::sync::Barrier::new(16);
        let results: Vec<_> = std::thread::scope(|s| {
            let all: Vec<_> = (0..16)
                .map(|_| {
                    s.spawn(|| {
                        start.wait();
                        Lock::acquire(&path)
                    })
                })
                .collect();
            all.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1);
    }

    #[test]
    fn a_child_does_not_inherit_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("akkd.lock");
        let lock = Lock::acquire(&path).unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        drop(lock);
        acquire_soon(&path);
        assert!(child.try_wait().unwrap().is_none(), "it still runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn what_a_dead_akkd_left_in_the_file_does_not_matter() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("akkd.lock");
        std::fs::write(&path, "4194304000\nand more").unwrap();
        let _lock = Lock::acquire(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
    }

    #[test]
    fn a_link_in_place_of_the_lock_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("akkd.lock");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).unwrap();
        assert!(matches!(Lock::acquire(&path), Err(LockError::Unusable { .. })));
        assert!(!dir.path().join("elsewhere").exists());
    }
}
