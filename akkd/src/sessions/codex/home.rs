//! What lies where in a Codex home (`CODEX_HOME`, by default `~/.codex`). Observed with codex 0.169.0.

use std::io;
use std::path::{Path, PathBuf};

/// A Codex home, whether it exists or not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CodexHome {
    path: PathBuf,
}

impl CodexHome {
    /// The home at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The database of its threads: the `state_N.sqlite` that was written last (its write-ahead log counts as part of
    /// it). None when there is none, or no home.
    ///
    /// # Errors
    /// The home is there and cannot be listed.
    pub fn state_database(&self) -> io::Result<Option<PathBuf>> {
        let entries = match std::fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let databases = entries.filter_map(Result::ok).filter_map(|entry| {
            let version = state_version(entry.file_name().to_str()?)?;
            Some((written(&entry.path())?, version, entry.path()))
        });
        Ok(databases.max().map(|(_, _, path)| path))
    }

    /// The folder of its rollouts: `sessions/YYYY/MM/DD/rollout-*.jsonl`.
    pub fn sessions(&self) -> PathBuf {
        self.path.join("sessions")
    }

    /// The folder of the rollouts that were put away.
    pub fn archived(&self) -> PathBuf {
        self.path.join("archived_sessions")
    }

    /// The folder of the lock files of those who write threads: `<thread>.lock`.
    pub fn locks(&self) -> PathBuf {
        self.path.join("thread-writer-locks")
    }

    /// Whether `path` is or lies in one of the folders that say what is live: that of the rollouts, and that of the locks.
    pub fn is_inside(&self, path: &Path) -> bool {
        path.starts_with(self.sessions()) || path.starts_with(self.locks())
    }

    /// The daemon's control socket, where one lies. It may be dead.
    pub fn control_socket(&self) -> Option<PathBuf> {
        use std::os::unix::fs::FileTypeExt as _;
        let path = self.path.join("app-server-control").join("app-server-control.sock");
        std::fs::metadata(&path).is_ok_and(|m| m.file_type().is_socket()).then_some(path)
    }
}

/// N of `state_N.sqlite`.
fn state_version(name: &str) -> Option<u64> {
    name.strip_prefix("state_")?.strip_suffix(".sqlite")?.parse().ok()
}

/// When a database was written last: commits go to the write-ahead log first, and the database itself may stay
/// untouched for days.
fn written(database: &Path) -> Option<std::time::SystemTime> {
    let own = std::fs::metadata(database).ok()?.modified().ok()?;
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let log = std::fs::metadata(PathBuf::from(log)).and_then(|m| m.modified()).ok();
    Some(log.map_or(own, |log| log.max(own)))
}

/// Whether it says that something is not there.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_that_is_not_there_has_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("nowhere"), folder.path().join("file/nowhere")] {
            std::fs::write(folder.path().join("file"), "").unwrap();
            let home = CodexHome::new(path);
            assert_eq!((home.state_database().unwrap(), home.control_socket()), (None, None));
        }
    }

    #[test]
    fn what_is_no_socket_is_no_control_socket() {
        let folder = tempfile::Builder::new().prefix("akk").tempdir_in("/tmp").unwrap();
        let home = CodexHome::new(folder.path());
        let path = folder.path().join("app-server-control/app-server-control.sock");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "").unwrap();
        assert_eq!(home.control_socket(), None);
        std::fs::remove_file(&path).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(home.control_socket(), Some(path));
    }
}
