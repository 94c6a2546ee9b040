//! Looks at locks and processes: who took a session, who let it go, who is gone.

use super::{LOOK, Run, Watcher};
use crate::platform::{ExitWatch, ProcessIdentity, programs};
use crate::sessions::codex::holders::{self, Look};
use crate::sessions::codex::home::CodexHome;
use crate::sessions::codex::index::{HomeNo, Key, KnownBy, Thread};
use crate::sessions::codex::locks::{LockHolder, lock_holder};
use crate::sessions::codex::rollout::{self, TurnState};
use crate::sessions::codex::survey::{self, parse_id};
use akk_proto::session::{Confidence, Evidence, HolderView, ProcessKind, SessionChange};
use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A lock that was just made is taken within microseconds; how often, and after which pauses, that is looked at.
const FRESH: [Duration; 3] = [Duration::from_millis(10), Duration::from_millis(40), Duration::from_millis(120)];
/// How often a holder is looked at of which nothing is heard. One without a lock (Codex before 0.169 has none) costs a
/// look at every process.
const PROCESSES: Duration = Duration::from_secs(10);
/// Locks that are asked for one by one.
const FEW: usize = 3;

/// Who has a session.
#[derive(Debug)]
pub(super) struct Owner {
    /// Who; none when nobody can say.
    process: Option<ProcessIdentity>,
    /// The same for clients.
    pub(super) holders: Vec<HolderView>,
    /// By what.
    evidence: Evidence,
    /// When it was seen last.
    seen: Instant,
}

/// A lock file that nobody holds: which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StaleLock(u64);

impl Watcher {
    /// Who works on what when the watch begins.
    pub(super) fn look_at_all_owners(&mut self) {
        let homes: Vec<HomeNo> = self.homes().map(|(no, _)| no).collect();
        for no in homes {
            self.look_at_locks(no, &HashSet::new());
            let Some(home) = self.home(no) else { continue };
            if home.locks().is_dir() {
                continue;
            }
            // Without locks only the processes tell.
            let path = home.path().to_path_buf();
            let Ok(look) = self.processes() else { continue };
            for live in look.live_sessions(&path) {
                if let Some(id) = parse_id(&live.session_id).filter(|_| live.evidence <= Evidence::Rollout) {
                    self.taken(Key { id, home: no }, Some(live.process), live.evidence, &look);
                }
            }
        }
    }

    /// Looks at the locks of a home: at those named, at those that are new, and at held ones whose file is gone or
    /// that were not looked at for a while (ends of processes are told).
    pub(super) fn look_at_locks(&mut self, no: HomeNo, named: &HashSet<PathBuf>) {
        let Some(home) = self.home(no).cloned() else { return };
        let found = match lock_files(&home.locks()) {
            Ok(found) => found,
            Err(error) => {
                self.locks_fail(no, Some(format!("cannot read {}: {error}", home.locks().display())));
                return;
            }
        };
        self.stale_locks.retain(|key, _| key.home != no || found.contains_key(&key.id));
        let keys = self.doubtful_locks(no, &found, named);
        // Of many almost all are stale: they are not asked for one by one.
        let many = (keys.len() > FEW).then(|| self.locked_now(&home));
        let (mut taken, mut trouble) = (Vec::new(), None);
        for key in keys {
            let file = found.get(&key.id).copied();
            let holder = if many.as_ref().is_some_and(|locked| !locked.contains(&key.id)) {
                Ok(LockHolder::Nobody)
            } else {
                lock_holder(home.path(), &key.id.to_string())
            };
            match holder {
                Ok(LockHolder::Nobody) => {
                    if let Some(inode) = file
                        && self.stale_locks.insert(key, StaleLock(inode)) != Some(StaleLock(inode))
                        && !self.silent
                    {
                        self.fresh_locks.insert(key, (Instant::now() + FRESH[0], 0));
                    }
                    self.lock_is_free(key, &home.locks().join(format!("{}.lock", key.id)));
                }
                Ok(LockHolder::Process(process)) => taken.push((key, Some(process))),
                Ok(LockHolder::Unseen(why)) => {
                    trouble = Some(why);
                    taken.push((key, None));
                }
                Err(error) => trouble = Some(format!("cannot see who holds locks: {error}")),
            }
        }
        self.locks_fail(no, trouble);
        taken.retain(|(key, process)| !self.has(*key, process.as_ref()));
        if taken.is_empty() {
            return;
        }
        let look = self.processes().unwrap_or_default();
        for (key, process) in taken {
            self.stale_locks.remove(&key);
            self.fresh_locks.remove(&key);
            self.taken(key, process, Evidence::Lock, &look);
        }
    }

    /// The sessions whose locks are to be looked at.
    fn doubtful_locks(&self, no: HomeNo, found: &HashMap<Uuid, u64>, named: &HashSet<PathBuf>) -> HashSet<Key> {
        let named: HashSet<Uuid> = named.iter().filter_map(|p| lock_id(p)).collect();
        let owner = |key: &Key| self.runs.get(key).and_then(|r| r.owner.as_ref());
        let held = self.runs.keys().filter(|key| key.home == no && owner(key).is_some()).copied();
        let doubtful = held.filter(|key| {
            named.contains(&key.id)
                || !found.contains_key(&key.id)
                || owner(key).is_some_and(|o| o.process.is_none() || o.seen.elapsed() >= PROCESSES)
        });
        let others = found.iter().map(|(id, inode)| (Key { id: *id, home: no }, *inode)).filter(|(key, inode)| {
            let stale = self.stale_locks.get(key) == Some(&StaleLock(*inode));
            named.contains(&key.id) || (!stale && owner(key).is_none_or(|o| o.evidence != Evidence::Lock))
        });
        doubtful.chain(others.map(|(key, _)| key)).collect()
    }

    /// The sessions of a home whose locks are held.
    fn locked_now(&self, home: &CodexHome) -> HashSet<Uuid> {
        let files = programs::locked_files(&home.locks()).unwrap_or_default();
        let mut locked: HashSet<Uuid> = files.iter().filter_map(|f| lock_id(&f.path)).collect();
        // Some file systems are not known to the table of locks by the numbers that files have: descriptors tell.
        let live = self.processes().map(|look| look.live_sessions(home.path())).unwrap_or_default();
        locked.extend(live.iter().filter(|l| l.evidence == Evidence::Lock).filter_map(|l| parse_id(&l.session_id)));
        locked
    }

    /// Whether this owner is known already; then it was just seen.
    fn has(&mut self, key: Key, process: Option<&ProcessIdentity>) -> bool {
        let Some(owner) = self.runs.get_mut(&key).and_then(|r| r.owner.as_mut()) else { return false };
        owner.seen = Instant::now();
        owner.process.as_ref() == process && owner.evidence == Evidence::Lock
    }

    /// Looks again at locks that were made a moment ago.
    pub(super) fn look_at_fresh_locks(&mut self) {
        let now = Instant::now();
        let due: Vec<Key> = self.fresh_locks.iter().filter(|(_, (at, _))| *at <= now).map(|(key, _)| *key).collect();
        let mut homes: HashMap<HomeNo, HashSet<PathBuf>> = HashMap::new();
        for key in due {
            let Some((at, tries)) = self.fresh_locks.get_mut(&key) else { continue };
            *tries += 1;
            match FRESH.get(*tries as usize) {
                Some(pause) => *at = now + *pause,
                None => drop(self.fresh_locks.remove(&key)),
            }
            homes.entry(key.home).or_default().insert(PathBuf::from(format!("{}.lock", key.id)));
        }
        for (home, named) in homes {
            self.look_at_locks(home, &named);
        }
    }

    /// A process has the session since just now.
    fn taken(&mut self, key: Key, process: Option<ProcessIdentity>, evidence: Evidence, look: &Look) {
        let Some(home) = self.home(key.home).cloned() else { return };
        let new = self.known.index().get(key).is_none();
        if new {
            // Codex 0.169 takes the lock at once, and writes row and rollout with the first message.
            let mut thread = survey::one(&home, key.id, None, &mut self.shared).ok().flatten().unwrap_or_else(|| {
                let why = self.shared.word(survey::SILENT);
                Thread { created_ms: made_at(key.id), ..Thread::unknown(KnownBy::Process, Some(why)) }
            });
            if self.is_recent(&thread) {
                // What it says already is told below.
                thread.seen = 0;
            }
            self.known.index_mut().put(key, thread);
            self.tell(key, SessionChange::New);
        }
        let holders: Vec<HolderView> = look
            .holders_of(home.path(), &key.id.to_string(), None)
            .into_iter()
            .filter(|h| process.as_ref().is_none_or(|p| h.identity == *p))
            .map(|h| h.view)
            .filter(|h| h.confidence == Confidence::Exact)
            .collect();
        let holders = match &process {
            Some(process) if holders.is_empty() => vec![bare(process, evidence)],
            _ => holders,
        };
        if let Some(process) = &process {
            self.wait_for_end(process);
        }
        let rollout = self.known.index().get(key).and_then(|t| t.rollout.clone());
        let now = Instant::now();
        let begun = !self.runs.contains_key(&key);
        let run = self.runs.entry(key).or_default();
        run.owner = Some(Owner { process, holders, evidence, seen: now });
        run.moved = Some(now);
        if run.turn == TurnState::Unknown {
            run.turn = match rollout.as_deref() {
                Some(path) => rollout::tail(path).map_or(TurnState::Unknown, |tail| tail.turn),
                // Nothing was said in it yet.
                None => TurnState::Ended,
            };
        }
        if begun && let Some(rollout) = rollout.as_deref() {
            self.folders.follow(rollout);
        }
        self.show(key);
        self.tell(key, SessionChange::OwnerTaken);
        self.refresh_soon(key, None);
        if new && let Some(rollout) = rollout.as_deref() {
            self.look_at_rollout(key.home, rollout);
        }
    }

    /// Nobody holds the session's lock. `file`: the lock file, which Codex removes when it lets go.
    fn lock_is_free(&mut self, key: Key, file: &Path) {
        let Some(run) = self.runs.get_mut(&key) else { return };
        let Some(owner) = run.owner.as_ref() else { return };
        if owner.evidence != Evidence::Lock {
            // It never had one: whether the process still writes is seen elsewhere.
            self.look_at_lockless(key);
            return;
        }
        // In this order: what has ended by now had removed the file before, or never will.
        let gone = owner.process.as_ref().is_some_and(|p| !p.is_alive().unwrap_or(true)) && file.exists();
        self.let_go(key, if gone { SessionChange::ProcessGone } else { SessionChange::OwnerReleased });
    }

    /// Whether the process that was seen to write without a lock still does: asked now and then.
    fn look_at_lockless(&mut self, key: Key) {
        let Some(owner) = self.runs.get(&key).and_then(|r| r.owner.as_ref()) else { return };
        let Some(process) = owner.process.clone() else { return };
        if process.is_alive().is_ok_and(|alive| !alive) {
            self.let_go(key, SessionChange::ProcessGone);
        } else if owner.seen.elapsed() >= PROCESSES {
            self.look_for_owner(key);
        }
    }

    fn let_go(&mut self, key: Key, change: SessionChange) {
        if self.runs.get(&key).is_none_or(|r| r.owner.is_none()) {
            return;
        }
        // What it wrote last comes before its going.
        let rollout = self.known.index().get(key).and_then(|t| t.rollout.clone());
        if let Some(rollout) = &rollout {
            self.look_at_rollout(key.home, rollout);
        }
        let Some(run) = self.runs.get_mut(&key) else { return };
        let Some(owner) = run.owner.take() else { return };
        run.moved = Some(Instant::now());
        if let Some(process) = owner.process
            && !self.runs.values().any(|r| r.owner.as_ref().is_some_and(|o| o.process.as_ref() == Some(&process)))
            && let Some(wait) = self.exits.remove(&process)
        {
            wait.abort();
        }
        self.show(key);
        self.tell(key, change);
        let silent = self.known.index().get(key).is_some_and(|t| t.known_by == KnownBy::Process);
        if silent {
            // It ended without a word: there is nothing to come back to.
            self.look_at_absent(key);
        } else {
            self.refresh_soon(key, None);
        }
    }

    /// Who writes a session in which something happens and whose lock nobody was seen to take.
    pub(super) fn look_for_owner(&mut self, key: Key) {
        let Some(home) = self.home(key.home).cloned() else { return };
        let lock = home.locks().join(format!("{}.lock", key.id));
        if lock.exists() {
            self.look_at_locks(key.home, &HashSet::from([lock]));
            if self.runs.get(&key).is_some_and(|r| r.owner.is_some()) {
                return;
            }
        }
        let Ok(look) = self.processes() else { return };
        let holder = look
            .holders_of(home.path(), &key.id.to_string(), None)
            .into_iter()
            .find(|h| h.evidence.confidence() == Confidence::Exact);
        let had = self.runs.get(&key).and_then(|r| r.owner.as_ref()).and_then(|o| o.process.clone());
        match holder {
            Some(holder) if had.as_ref() == Some(&holder.identity) => {
                if let Some(owner) = self.runs.get_mut(&key).and_then(|r| r.owner.as_mut()) {
                    owner.seen = Instant::now();
                }
            }
            Some(holder) => self.taken(key, Some(holder.identity), holder.evidence, &look),
            None => self.let_go(key, SessionChange::OwnerReleased),
        }
    }

    /// A process that had sessions has ended.
    pub(super) fn exited(&mut self, process: &ProcessIdentity) {
        self.exits.remove(process);
        let had = |run: &Run| run.owner.as_ref().is_some_and(|o| o.process.as_ref() == Some(process));
        let keys: Vec<Key> = self.runs.iter().filter(|(_, run)| had(run)).map(|(key, _)| *key).collect();
        for key in keys {
            let Some(home) = self.home(key.home) else { continue };
            let lock = home.locks().join(format!("{}.lock", key.id));
            self.look_at_locks(key.home, &HashSet::from([lock]));
            // Without a lock nothing else says it.
            if self.runs.get(&key).is_some_and(had) {
                self.let_go(key, SessionChange::ProcessGone);
            }
        }
    }

    /// Asks to be told when the process ends.
    fn wait_for_end(&mut self, process: &ProcessIdentity) {
        let Some(runtime) = self.runtime.as_ref().filter(|_| !self.exits.contains_key(process)) else { return };
        let _inside = runtime.enter();
        match ExitWatch::open(process) {
            Ok(Some(watch)) => {
                let (inbox, process) = (self.inbox.clone(), process.clone());
                let who = process.clone();
                let wait = runtime.spawn(async move {
                    if watch.exited().await.is_ok() {
                        inbox.exited(who);
                    }
                });
                self.exits.insert(process, wait.abort_handle());
            }
            Ok(None) => self.inbox.exited(process.clone()),
            Err(error) => tracing::debug!(%error, every = ?LOOK, "a process's end is looked for instead"),
        }
    }

    fn processes(&self) -> std::io::Result<Look> {
        let homes: Vec<PathBuf> = self.homes().map(|(_, home)| home.path().to_path_buf()).collect();
        holders::look(&homes)
    }

    fn locks_fail(&self, no: HomeNo, why: Option<String>) {
        if let Some(health) = self.known.health().homes.get_mut(usize::from(no)) {
            health.locks = why;
        }
        let overseen = self.overseen(no);
        self.known.index_mut().set_overseen(no, overseen);
    }
}

/// Lock files and which ones they are; none where there is no folder of them.
fn lock_files(folder: &Path) -> std::io::Result<HashMap<Uuid, u64>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(error) => return Err(error),
    };
    let files = entries.filter_map(Result::ok);
    Ok(files.filter_map(|e| Some((lock_id(&e.path())?, e.metadata().ok()?.ino()))).collect())
}

/// The session whose lock file this is.
fn lock_id(path: &Path) -> Option<Uuid> {
    path.file_name()?.to_str()?.strip_suffix(".lock").and_then(parse_id)
}

/// When an id was made: Codex's ids are UUIDs of version 7, which hold it.
fn made_at(id: Uuid) -> Option<i64> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    i64::try_from(seconds).ok()?.checked_mul(1000)?.checked_add(i64::from(nanos / 1_000_000))
}

/// A holder of which nothing but its identity is known.
fn bare(process: &ProcessIdentity, evidence: Evidence) -> HolderView {
    HolderView {
        pid: process.pid,
        started_at: None,
        kind: ProcessKind::Unknown,
        executable: None,
        command: Vec::new(),
        cwd: None,
        evidence,
        confidence: evidence.confidence(),
        also_holds: Vec::new(),
        conversation_id: None,
    }
}
