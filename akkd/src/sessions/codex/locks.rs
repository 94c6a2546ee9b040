//! Who holds a session's writer lock, asked cheaply. The lock is never taken, and its file alone means nothing.

use super::gather::unseen_sentence;
use super::places::{Places, session_file};
use super::roles::classify;
use crate::platform::ProcessIdentity;
use crate::platform::programs::{self, Program};
use akk_proto::session::Evidence;
use std::io;
use std::path::Path;

/// Who holds a session's writer lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockHolder {
    /// Nobody, as far as this user can see.
    Nobody,
    /// This process.
    Process(ProcessIdentity),
    /// Somebody, but nobody can say who; a sentence.
    Unseen(String),
}

/// Who holds the writer lock of `session_id` in `home` now.
///
/// On Linux a fraction of a millisecond when there is no lock file or when the process that took it still has it; some
/// milliseconds for a few hundred processes when the file was left behind by a kill, or the lock was handed on. On
/// macOS one run of `lsof`.
///
/// A holder that akkd's pid namespace does not show is not seen (akkd in a container, Codex outside): the kernel leaves
/// its lock out. Codex itself then refuses to resume.
///
/// # Errors
/// Locks or processes cannot be read, or the id is none of Codex: then nobody can say that the session is free.
pub fn lock_holder(home: &Path, session_id: &str) -> io::Result<LockHolder> {
    let places = Places::of(home);
    let file = places.lock_of(session_id)?;
    // Codex makes the file to take the lock and removes it when it gives the lock back.
    if !file.try_exists()? {
        return Ok(LockHolder::Nobody);
    }
    let holders = |processes: &[ProcessIdentity]| holder_among(processes, &places, session_id);
    let Some(locked) = programs::locked_file(&file)? else {
        // Some file systems are not known to /proc/locks by the numbers that files have: descriptors decide.
        let codex: Vec<ProcessIdentity> =
            programs::programs()?.into_iter().filter(is_codex).map(|p| p.identity).collect();
        return Ok(holders(&codex)?.map_or(LockHolder::Nobody, LockHolder::Process));
    };
    let taker = locked.taken_by.map(ProcessIdentity::of).transpose()?.flatten();
    if let Some(holder) = holders(taker.as_slice())? {
        return Ok(LockHolder::Process(holder));
    }
    // It has handed the lock on.
    let all: Vec<ProcessIdentity> = programs::programs()?.into_iter().map(|p| p.identity).collect();
    if let Some(holder) = holders(&all)? {
        return Ok(LockHolder::Process(holder));
    }
    Ok(match programs::locked_file(&file)? {
        None => LockHolder::Nobody,
        Some(locked) => LockHolder::Unseen(unseen_sentence(session_id, locked.taken_by)),
    })
}

/// The sessions of `home` that have a lock file, held or not.
///
/// # Errors
/// The folder of locks cannot be read.
pub fn left_locks(home: &Path) -> io::Result<Vec<String>> {
    let places = Places::of(home);
    let files = std::fs::read_dir(&places.locks)?.flatten();
    let session = |file: std::fs::DirEntry| {
        let (id, evidence) = session_file(&file.path())?;
        (evidence == Evidence::Lock).then_some(id)
    };
    Ok(files.filter_map(session).collect())
}

fn is_codex(program: &Program) -> bool {
    classify(program.executable.as_deref(), &program.command).is_some()
}

/// The oldest of `processes` that holds the lock: a child may have inherited it.
fn holder_among(
    processes: &[ProcessIdentity],
    places: &Places,
    session_id: &str,
) -> io::Result<Option<ProcessIdentity>> {
    let wanted = |path: &Path| {
        session_file(path)
            .is_some_and(|(id, evidence)| evidence == Evidence::Lock && id.eq_ignore_ascii_case(session_id))
    };
    let found = programs::open_files(processes, &wanted)?;
    let holds = |files: &io::Result<Vec<_>>| files.iter().flatten().any(|file| places.held_by(file).is_some());
    let holders = found.into_iter().filter(|(_, files)| holds(files)).map(|(process, _)| process);
    Ok(holders.min_by_key(|process| (process.started, process.pid)))
}
