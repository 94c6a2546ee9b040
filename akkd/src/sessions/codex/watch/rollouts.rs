//! Looks at rollouts: new ones, what was appended, those that are gone.

use super::{ACTIVITY, Watcher};
use crate::sessions::codex::index::{HomeNo, Key, KnownBy};
use crate::sessions::codex::rollout::{self, LiveEvent, RolloutFile, TurnSettings, TurnState};
use crate::sessions::codex::survey::{self, Written, parse_id};
use akk_proto::session::SessionChange;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Bytes that are read record by record; of more, the end says where the session stands.
const NEAR: u64 = 32 << 20;
/// Turns that are told one by one when many were recorded at once.
const MAX_TURNS: usize = 8;

/// What was appended to a rollout.
#[derive(Debug, Default)]
struct Appended {
    /// Where to go on.
    seen: u64,
    records: u64,
    /// Whether a turn began (true) or ended, in order.
    turns: Vec<bool>,
    settings: Option<TurnSettings>,
    turn: TurnState,
    last_ms: Option<i64>,
}

impl Watcher {
    /// Looks at a rollout of which something was heard.
    pub(super) fn look_at_rollout(&mut self, home: HomeNo, path: &Path) {
        let Some(id) = rollout::thread_id_of(path).and_then(parse_id) else { return };
        let key = Key { id, home };
        let Some(written) = Written::of(path) else {
            // What it became, archived or compressed, is found by its id.
            let was_here = self.known.index().get(key).is_some_and(|t| t.rollout.as_deref() == Some(path));
            if was_here {
                self.look_at_absent(key);
            }
            return;
        };
        let known = self.known.index().get(key).map(|t| (t.rollout.clone(), t.seen));
        match known {
            None => self.appeared(key, path, written),
            Some((Some(rollout), seen)) if *rollout == *path => {
                if seen != written.size {
                    self.appended(key, path, seen, written);
                }
            }
            Some((old, seen)) => {
                // The first record of a session that was known by its process, or a rollout that moved.
                let from = if old.is_some() { seen } else { 0 };
                self.moved(key, path, from);
                if !is_compressed(path) && from != written.size {
                    self.appended(key, path, from, written);
                }
            }
        }
    }

    /// A session that nobody knew.
    fn appeared(&mut self, key: Key, path: &Path, written: Written) {
        if written.size == 0 && !self.refreshes.contains_key(&key) {
            // Its first record is being written this moment.
            self.refresh_soon(key, Some(path));
            return;
        }
        let file = file_at(key, path);
        let head = rollout::head(path).ok().flatten();
        let mut thread = survey::from_rollout(&file, head.as_ref(), &mut self.shared);
        thread.seen = if file.compressed { written.size } else { 0 };
        self.known.index_mut().put(key, thread);
        if let Some(run) = self.runs.get_mut(&key) {
            run.told = Some(Instant::now());
        }
        self.show(key);
        self.tell(key, SessionChange::New);
        self.refresh_soon(key, Some(path));
        if !file.compressed {
            self.appended(key, path, 0, written);
        }
    }

    /// A known session has its rollout here now.
    fn moved(&mut self, key: Key, path: &Path, seen: u64) {
        let file = file_at(key, path);
        let head = rollout::head(path).ok().flatten();
        let thread = {
            let mut fresh = survey::from_rollout(&file, head.as_ref(), &mut self.shared);
            let index = self.known.index();
            let Some(old) = index.get(key) else { return };
            if old.known_by == KnownBy::Row {
                // Its row knows more; what changed there is read in a moment.
                let (archived, lack) = (fresh.archived, fresh.lack);
                fresh = old.clone();
                (fresh.archived, fresh.lack) = (archived, lack);
            }
            fresh.rollout = Some(path.into());
            fresh.seen = if file.compressed { fresh.seen } else { seen };
            fresh
        };
        let change = self.known.index_mut().put(key, thread);
        if let Some(change) = change {
            self.tell(key, change);
        }
        self.refresh_soon(key, Some(path));
    }

    /// Reads what was appended, and tells it.
    fn appended(&mut self, key: Key, path: &Path, from: u64, written: Written) {
        if is_compressed(path) {
            return;
        }
        let appended = match read(path, from, written.size) {
            Ok(appended) => appended,
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "a rollout cannot be read");
                return;
            }
        };
        let change = self.note(key, &appended, written);
        if appended.records == 0 {
            return;
        }
        let now = Instant::now();
        let begun = !self.runs.contains_key(&key);
        if begun {
            self.folders.follow(path);
        }
        let run = self.runs.entry(key).or_default();
        run.moved = Some(now);
        if appended.turn != TurnState::Unknown {
            run.turn = appended.turn;
        } else if begun && let Ok(tail) = rollout::tail(path) {
            run.turn = tail.turn;
        }
        let starts = appended.turns.contains(&true);
        if starts && run.owner.is_none() {
            self.look_for_owner(key);
        }
        self.show(key);
        if let Some(change) = change {
            self.tell(key, change);
        }
        for started in &appended.turns {
            self.tell(key, if *started { SessionChange::TurnStarted } else { SessionChange::TurnEnded });
        }
        if !appended.turns.is_empty() || appended.settings.is_some() {
            self.refresh_soon(key, None);
        }
        if let Some(run) = self.runs.get_mut(&key) {
            if !appended.turns.is_empty() {
                // What was told of the turn told the rest too.
                run.untold = false;
            } else if run.told.is_none_or(|told| now >= told + ACTIVITY) {
                (run.told, run.untold) = (Some(now), false);
                self.tell(key, SessionChange::Activity);
            } else {
                run.untold = true;
            }
        }
    }

    /// Puts what was appended into the index.
    fn note(&mut self, key: Key, appended: &Appended, written: Written) -> Option<SessionChange> {
        let mut index = self.known.index_mut();
        let mut thread = index.get(key)?.clone();
        thread.seen = appended.seen;
        if appended.records > 0 {
            thread.updated_ms = thread.updated_ms.max(appended.last_ms.unwrap_or(written.at_ms));
        }
        if let Some(settings) = &appended.settings {
            if let Some(model) = settings.model.as_deref() {
                thread.model = Some(self.shared.word(model));
                thread.model_ms = thread.updated_ms;
            }
            if let Some(cwd) = settings.cwd.as_deref() {
                thread.cwd = Some(self.shared.directory(cwd));
            }
        }
        index.put(key, thread)
    }

    /// Looks through a folder: rollouts that are new or have grown.
    pub(super) fn look_at_folder(&mut self, folder: &Path) {
        let Some((home, is_locks)) =
            self.homes().find(|(_, h)| h.is_inside(folder)).map(|(no, home)| (no, folder == home.locks()))
        else {
            return;
        };
        if is_locks {
            self.look_at_locks(home, &std::collections::HashSet::new());
            return;
        }
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        let files = entries.filter_map(Result::ok).map(|e| e.path());
        for path in files.filter(|p| rollout::thread_id_of(p).is_some()) {
            self.look_at_rollout(home, &path);
        }
        for new in self.folders.add_missing(folder) {
            self.look_at_folder(&new);
        }
    }

    /// A folder is gone: what became of the sessions whose rollouts it held.
    pub(super) fn look_below(&mut self, home: HomeNo, folder: &Path) {
        let held: Vec<Key> = {
            let index = self.known.index();
            let inside = index.of_home(home).filter(|(_, t)| t.rollout.as_ref().is_some_and(|r| r.starts_with(folder)));
            inside.map(|(key, _)| key).collect()
        };
        for key in held {
            self.look_at_absent(key);
        }
    }

    /// A session whose rollout, row or process is not where it was: where it is now, or that it was removed.
    pub(super) fn look_at_absent(&mut self, key: Key) {
        let Some(home) = self.home(key.home).cloned() else { return };
        match survey::one(&home, key.id, None, &mut self.shared) {
            Ok(Some(thread)) => self.renew(key, thread),
            // It may be that it has said nothing yet.
            Ok(None) if self.runs.get(&key).is_some_and(|r| r.owner.is_some()) => {}
            Ok(None) => self.removed(key),
            // Nobody can say: it is looked at again.
            Err(_) => self.refresh_soon(key, None),
        }
    }

    /// It is nowhere any more.
    pub(super) fn removed(&mut self, key: Key) {
        self.runs.remove(&key);
        self.refreshes.remove(&key);
        let removed = self.known.index_mut().remove(key);
        if let Some(view) = removed.filter(|_| !self.silent) {
            self.known.tell(SessionChange::Removed, self.clock.wall(), view);
        }
    }
}

/// Reads a rollout from `from` on.
fn read(path: &Path, from: u64, size: u64) -> std::io::Result<Appended> {
    if size.saturating_sub(from) > NEAR {
        let tail = rollout::tail(path)?;
        return Ok(Appended {
            seen: tail.offset,
            records: 1,
            turns: Vec::new(),
            settings: tail.settings,
            turn: tail.turn,
            last_ms: tail.last_record_at.map(|t| t.0),
        });
    }
    let mut appended = Appended { seen: from, ..Appended::default() };
    loop {
        let scan = rollout::scan_from(path, appended.seen)?;
        appended.seen = scan.offset;
        appended.records += scan.records;
        appended.last_ms = scan.last_record_at.map(|t| t.0).or(appended.last_ms);
        for event in scan.events {
            match event {
                LiveEvent::TurnStarted => appended.turns.push(true),
                LiveEvent::TurnEnded => appended.turns.push(false),
                LiveEvent::Settings(new) => {
                    let old = appended.settings.take().unwrap_or_default();
                    appended.settings = Some(TurnSettings {
                        cwd: new.cwd.or(old.cwd),
                        model: new.model.or(old.model),
                        rights: new.rights,
                        approval: new.approval.or(old.approval),
                    });
                }
            }
        }
        if !scan.more {
            break;
        }
    }
    appended.turn = match appended.turns.last() {
        Some(true) => TurnState::Running,
        Some(false) => TurnState::Ended,
        None => TurnState::Unknown,
    };
    let many = appended.turns.len().saturating_sub(MAX_TURNS);
    appended.turns.drain(..many);
    Ok(appended)
}

fn file_at(key: Key, path: &Path) -> RolloutFile {
    RolloutFile {
        thread_id: key.id.to_string(),
        path: path.to_path_buf(),
        compressed: is_compressed(path),
        archived: path.components().any(|c| c.as_os_str() == "archived_sessions"),
    }
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "zst")
}

/// The folders in a folder.
pub(super) fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let folders = entries.filter_map(Result::ok).filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
    folders.map(|e| e.path()).collect()
}
