//! Which session a file belongs to that a process has open.

use super::processes::Held;
use super::roles::session_id;
use crate::platform::programs::{Flock, OpenFile};
use akk_proto::session::Evidence;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where a home's locks and rollouts lie, canonical: each of these folders may be a link to another disk.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// The home.
    pub(super) home: PathBuf,
    /// The folder of writer locks, one file for each session that a process writes.
    pub(super) locks: PathBuf,
    rollouts: [PathBuf; 2],
}

impl Places {
    pub(super) fn of(home: &Path) -> Self {
        let home = canonical(home);
        Self {
            locks: canonical(&home.join("thread-writer-locks")),
            rollouts: [canonical(&home.join("sessions")), canonical(&home.join("archived_sessions"))],
            home,
        }
    }

    /// The session that a process holds by having `file` open, and by what.
    pub(super) fn held_by(&self, file: &OpenFile) -> Option<Held> {
        let (session_id, evidence) = session_file(&file.path)?;
        let holds = match (evidence, file.flock) {
            // Who waits for the lock, or only looks at its file, has it open without an flock.
            (Evidence::Lock, Flock::Held) => true,
            (Evidence::Lock, Flock::NotHeld) => false,
            // Where flocks are not told: Codex closes the file again when another process has the lock.
            (Evidence::Lock, Flock::NotTold) | (_, _) => file.written,
        };
        let here = holds && (self.lies_here(&file.path, evidence) || self.is_another_path_to(file, evidence));
        here.then(|| Held { home: self.home.clone(), session_id, evidence })
    }

    fn lies_here(&self, path: &Path, evidence: Evidence) -> bool {
        match evidence {
            Evidence::Lock => path.parent() == Some(&self.locks),
            _ => self.rollouts.iter().any(|folder| path.starts_with(folder)),
        }
    }

    /// Whether `file` is one of this home's under a path that this process does not see: in a container, say.
    fn is_another_path_to(&self, file: &OpenFile, evidence: Evidence) -> bool {
        let Some(name) = file.path.file_name() else { return false };
        let is = |path: &Path| {
            std::fs::metadata(path).is_ok_and(|m| Some((m.dev(), m.ino())) == file.file && file.file.is_some())
        };
        if evidence == Evidence::Lock {
            return is(&self.locks.join(name));
        }
        // sessions/2026/11/23/rollout-…, archived_sessions/rollout-…
        let components: Vec<_> = file.path.components().collect();
        let day: PathBuf = components[components.len().saturating_sub(4)..].iter().collect();
        is(&self.rollouts[0].join(day)) || is(&self.rollouts[1].join(name))
    }

    /// The writer lock's file of this session.
    ///
    /// # Errors
    /// `session_id` is no id of Codex.
    pub(super) fn lock_of(&self, session_id: &str) -> io::Result<PathBuf> {
        let Some(id) = super::roles::session_id(session_id) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the id of a Codex session"));
        };
        Ok(self.locks.join(format!("{id}.lock")))
    }
}

/// `path` without links; as it is where it does not exist.
pub(super) fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The session that a file of this name belongs to, and what holding it would be evidence of:
/// `thread-writer-locks/ID.lock`, `rollout-2026-11-23T18-10-04-ID.jsonl`. (`thread-writer-locks/.coordination.lock`
/// belongs to none.)
pub(super) fn session_file(path: &Path) -> Option<(String, Evidence)> {
    let name = path.file_name()?.to_str()?;
    if let Some(id) = name.strip_suffix(".lock") {
        let in_its_folder = path.parent()?.file_name()? == "thread-writer-locks";
        return in_its_folder.then(|| session_id(id)).flatten().map(|id| (id, Evidence::Lock));
    }
    let stem = name.strip_prefix("rollout-")?.strip_suffix(".jsonl")?;
    let id = stem.get(stem.len().checked_sub(36)?..)?;
    session_id(id).map(|id| (id, Evidence::Rollout))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01a20999-b0ab-79b0-8721-7b3650d327c0";

    fn open(path: PathBuf, flock: Flock) -> OpenFile {
        OpenFile { path, written: true, flock, file: None }
    }

    #[test]
    fn only_files_of_sessions_are_session_files() {
        let seen = |path: &str| session_file(Path::new(path)).map(|(id, evidence)| (id == ID, evidence.as_str()));
        assert_eq!(seen(&format!("/h/thread-writer-locks/{ID}.lock")), Some((true, "lock")));
        assert_eq!(
            seen(&format!("/h/sessions/2026/11/23/rollout-2026-11-23T18-10-04-{ID}.jsonl")),
            Some((true, "rollout"))
        );
        for other in [
            "/h/thread-writer-locks/.coordination.lock".to_owned(),
            format!("/h/tmp/{ID}.lock"),
            format!("/h/sessions/2026/11/23/rollout-2026-11-23T18-10-04-{ID}.jsonl.zst"),
            "/h/sessions/rollout-x.jsonl".to_owned(),
            "/h/sessions/rollout-ß1a20999-b0ab-79b0-8721-7b3650d327c0.jsonl".to_owned(),
            "/h/state_5.sqlite".to_owned(),
            "/".to_owned(),
        ] {
            assert_eq!(seen(&other), None, "{other}");
        }
    }

    #[test]
    fn a_lock_is_held_only_by_its_flock_and_only_in_its_own_home() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::of(folder.path());
        let lock = |flock| places.held_by(&open(places.lock_of(ID).unwrap(), flock)).map(|h| h.session_id);
        assert_eq!(lock(Flock::Held).as_deref(), Some(ID));
        assert_eq!(lock(Flock::NotHeld), None);
        assert_eq!(lock(Flock::NotTold).as_deref(), Some(ID));
        let elsewhere = PathBuf::from(format!("/elsewhere/thread-writer-locks/{ID}.lock"));
        assert_eq!(places.held_by(&open(elsewhere, Flock::Held)), None);
        assert!(places.lock_of("../../etc/passwd").is_err());
    }

    #[test]
    fn sessions_that_lie_on_another_disk_are_of_the_home_that_links_to_them() {
        let folder = tempfile::tempdir().unwrap();
        let (home, disk) = (folder.path().join("home"), folder.path().join("disk"));
        std::fs::create_dir_all(&home).unwrap();
        std::fs::create_dir_all(&disk).unwrap();
        std::os::unix::fs::symlink(&disk, home.join("sessions")).unwrap();
        let path = disk.canonicalize().unwrap().join(format!("2026/11/23/rollout-2026-11-23T18-10-04-{ID}.jsonl"));
        let file = open(path, Flock::NotHeld);
        let held = Places::of(&home).held_by(&file).unwrap();
        assert_eq!((held.home, held.evidence), (home.canonicalize().unwrap(), Evidence::Rollout));
        assert_eq!(Places::of(&home).held_by(&OpenFile { written: false, ..file }), None);
    }

    #[test]
    fn a_file_of_the_home_is_known_under_a_path_of_another_mount_namespace() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::of(folder.path());
        let day = folder.path().join("sessions/2026/11/23");
        std::fs::create_dir_all(&day).unwrap();
        let name = format!("rollout-2026-11-23T18-10-04-{ID}.jsonl");
        std::fs::write(day.join(&name), "").unwrap();
        let metadata = std::fs::metadata(day.join(&name)).unwrap();
        let path = Path::new("/root/.codex/sessions/2026/11/23").join(&name);
        let file = OpenFile { file: Some((metadata.dev(), metadata.ino())), ..open(path, Flock::NotHeld) };
        assert_eq!(places.held_by(&file).map(|h| h.session_id).as_deref(), Some(ID));
        assert_eq!(places.held_by(&OpenFile { file: Some((metadata.dev(), 1)), ..file.clone() }), None);
        assert_eq!(places.held_by(&OpenFile { file: None, ..file }), None);
    }
}
