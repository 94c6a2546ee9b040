//! Which process runs which session, by what evidence: the lock held, the rollout held open, the command line, the
//! directory.
//!
//! * What a process holds for certain is all that it runs: its command line and its directory then say nothing, since
//!   its user may have switched.
//! * The lock belongs to one process at a time. Where one holds it, nobody else runs the session.
//! * A directory makes a suspect only of a terminal or a run of which nothing else is known.

use super::gather::{Unseen, gather};
use super::places::{Places, canonical};
use super::processes::{CodexProcess, Held};
use crate::platform::ProcessIdentity;
use crate::sessions::Holder;
use akk_core::redact::{cut, redact};
use akk_proto::session::{Evidence, HolderView, ProcessKind};
use std::io;
use std::path::{Path, PathBuf};

/// The Codex processes of this user at one moment, and what they run.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// Those that run sessions, or could; oldest first.
    pub processes: Vec<CodexProcess>,
    /// What could not be read, in sentences, whatever the session: while this is not empty, nobody can say that a
    /// session is free.
    pub incomplete: Vec<String>,
    unseen: Vec<Unseen>,
}

/// A session that a process runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSession {
    /// Its id.
    pub session_id: String,
    /// The surest process that runs it.
    pub process: ProcessIdentity,
    /// What kind of program that is.
    pub kind: ProcessKind,
    /// By what that is known: lock, rollout or argv.
    pub evidence: Evidence,
}

/// Looks at this user's processes now, for sessions that lie in `homes`. Blocking; some ten milliseconds for a few
/// hundred processes on Linux.
///
/// # Errors
/// Not even the processes can be listed.
pub fn look(homes: &[PathBuf]) -> io::Result<Look> {
    let homes: Vec<Places> = homes.iter().map(|home| Places::of(home)).collect();
    let gathered = gather(&homes)?;
    Ok(Look { processes: gathered.processes, incomplete: gathered.incomplete, unseen: gathered.unseen })
}

impl Look {
    /// The processes that run this session or seem to, surest first. `home` need not be canonical. `session_cwd`:
    /// where the session works; without it nobody is suspected for standing in its directory.
    pub fn holders_of(&self, home: &Path, session_id: &str, session_cwd: Option<&Path>) -> Vec<Holder> {
        let home = canonical(home);
        let session_cwd = session_cwd.map(canonical);
        let known = |p: &CodexProcess| evidence(p, &home, session_id, session_cwd.as_deref());
        let mut found: Vec<(Evidence, &CodexProcess)> =
            self.processes.iter().filter_map(|p| Some((known(p)?, p))).collect();
        found.sort_by_key(|(evidence, _)| *evidence);
        let outvoted = match found.first().map(|(surest, _)| surest) {
            Some(Evidence::Lock) => Some(Evidence::Argv),
            // Without locks (older versions) two may write at once: whose words name the session still counts.
            Some(Evidence::Rollout) => Some(Evidence::Cwd),
            _ => None,
        };
        found.retain(|(evidence, _)| outvoted.is_none_or(|outvoted| *evidence < outvoted));
        found.into_iter().map(|(evidence, process)| self.holder(process, &home, session_id, evidence)).collect()
    }

    /// What could not be read that matters for this session, in sentences; [`Look::incomplete`] is part of it.
    pub fn incomplete_for(&self, home: &Path, session_id: &str) -> Vec<String> {
        let home = canonical(home);
        let unseen = self.unseen.iter().filter(|u| u.session_id == session_id && u.home == home);
        self.incomplete.iter().cloned().chain(unseen.map(|u| u.sentence.clone())).collect()
    }

    /// The sessions of `home` that a process runs by lock, rollout or argv; each once, with its surest process.
    pub fn live_sessions(&self, home: &Path) -> Vec<LiveSession> {
        let home = canonical(home);
        let mut live: Vec<LiveSession> = Vec::new();
        for process in &self.processes {
            let held = process.held.iter().filter(|h| h.home == home).map(|h| (h.session_id.clone(), h.evidence));
            let resumed = process.resumes.iter().map(|id| (id.clone(), Evidence::Argv));
            let resumed = resumed.filter(|_| process.held.is_empty() && may_be_of(process, &home));
            live.extend(held.chain(resumed).map(|(session_id, evidence)| LiveSession {
                session_id,
                process: process.identity.clone(),
                kind: process.kind,
                evidence,
            }));
        }
        live.sort_by(|a, b| (&a.session_id, a.evidence).cmp(&(&b.session_id, b.evidence)));
        live.dedup_by(|later, first| later.session_id == first.session_id);
        live
    }

    /// Directories in which a terminal or a run of `home` works of which nothing else is known: a session of such a
    /// directory may be the one ([`Evidence::Cwd`]).
    pub fn suspected_directories(&self, home: &Path) -> Vec<PathBuf> {
        let home = canonical(home);
        let suspects = self.processes.iter().filter(|p| may_be_of(p, &home));
        let mut directories: Vec<PathBuf> = suspects.filter_map(|p| p.may_work_in.clone()).collect();
        directories.sort();
        directories.dedup();
        directories
    }

    fn holder(&self, process: &CodexProcess, home: &Path, session_id: &str, evidence: Evidence) -> Holder {
        let executable = process.executable.as_ref().map(|path| path.display().to_string());
        let cwd = process.cwd.as_ref().map(|path| path.display().to_string());
        let also_holds = self.also_holds(process, home, session_id);
        let view = HolderView {
            pid: process.identity.pid,
            started_at: process.started_at,
            kind: process.kind,
            executable: executable.clone(),
            command: shown(&process.command),
            cwd: cwd.clone(),
            evidence,
            confidence: evidence.confidence(),
            also_holds: also_holds.clone(),
            conversation_id: process.conversation.clone(),
        };
        Holder {
            identity: process.identity.clone(),
            started_at: process.started_at,
            kind: process.kind,
            executable,
            command: process.command.clone(),
            cwd,
            evidence,
            also_holds,
            relatives: process.relatives.clone(),
            view,
        }
    }

    /// Every other session that would end with `process`: its own, and those of what it started (a `codex exec` that
    /// its tools run).
    fn also_holds(&self, process: &CodexProcess, home: &Path, session_id: &str) -> Vec<String> {
        let is_relative = |p: &&CodexProcess| process.relatives.iter().any(|r| r.identity == p.identity);
        let relatives = self.processes.iter().filter(is_relative);
        let held = relatives.chain([process]).flat_map(|p| &p.held);
        let is_other = |h: &&Held| h.session_id != session_id || h.home != home;
        let mut others: Vec<String> = held.filter(is_other).map(|h| h.session_id.clone()).collect();
        others.sort();
        others.dedup();
        others
    }
}

/// By what `process` is known to run this session.
fn evidence(process: &CodexProcess, home: &Path, session_id: &str, session_cwd: Option<&Path>) -> Option<Evidence> {
    if !process.held.is_empty() {
        let held = process.held.iter().find(|h| h.session_id == session_id && h.home == home);
        return held.map(|h| h.evidence);
    }
    if !may_be_of(process, home) {
        return None;
    }
    if let Some(resumed) = &process.resumes {
        return (resumed == session_id).then_some(Evidence::Argv);
    }
    let suspected = process.may_work_in.as_deref().filter(|directory| session_cwd == Some(*directory));
    suspected.map(|_| Evidence::Cwd)
}

/// Whether `process` may work on `home`: it does, or nobody can say.
fn may_be_of(process: &CodexProcess, home: &Path) -> bool {
    process.home.as_ref().is_none_or(|own| own == home)
}

/// A command line for people: 20 words, 200 characters each, without secrets. An option and the secret that follows it
/// are two words: each word is read together with the one before.
fn shown(command: &[String]) -> Vec<String> {
    let mut shown = Vec::new();
    for (at, word) in command.iter().take(20).enumerate() {
        let before = at.checked_sub(1).and_then(|before| command.get(before)).filter(|b| b.starts_with('-'));
        let pair = before.map(|before| (format!("{before} "), redact(&format!("{before} {word}"))));
        let alone = pair.and_then(|(before, pair)| pair.strip_prefix(&before).map(str::to_owned));
        shown.push(cut(&alone.unwrap_or_else(|| redact(word)), 200));
    }
    shown
}

#[cfg(test)]
mod tests;
