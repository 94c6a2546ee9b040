//! The folders whose changes the system is asked to tell: `sessions/` with every folder in it, and
//! `thread-writer-locks/`. The home itself only while one of them is missing: Codex writes there a thousand times in a
//! turn.
//!
//! Each folder is watched by itself, not as a tree: then a new folder is looked through after its watch stands, and
//! nothing that appears in it in between is missed.

use super::inbox::Inbox;
use crate::sessions::codex::home::CodexHome;
use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Folders that are watched, newest first. Linux takes about 1 KB for each; with kqueue (macOS) each is an open file,
/// of which a process has 256 by default.
const MAX_FOLDERS: usize = if cfg!(target_os = "linux") { 8192 } else { 64 };
/// Whether a watch on a folder tells of writes to the files in it (inotify does, kqueue does not).
const TELLS_OF_WRITES: bool = cfg!(target_os = "linux");

/// The watches.
pub(super) struct Folders {
    watcher: Option<RecommendedWatcher>,
    /// What is watched, and which file that was.
    watched: HashMap<PathBuf, (u64, u64)>,
    /// Why changes may not be told.
    trouble: Option<String>,
}

impl Folders {
    /// No watch yet. What the system tells of these homes goes to `inbox`.
    pub(super) fn start(inbox: Arc<Inbox>, homes: &[CodexHome]) -> Self {
        let roots: Vec<PathBuf> = homes.iter().flat_map(|h| [h.sessions(), h.locks()]).collect();
        let told = notify::recommended_watcher(move |event: notify::Result<notify::Event>| hear(&inbox, &roots, event));
        let (watcher, trouble) = match told {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(format!("the system offers no file watcher ({error})"))),
        };
        Self { watcher, watched: HashMap::new(), trouble }
    }

    /// Without the system's help: everything is found by looking.
    #[cfg(test)]
    pub(super) fn blind() -> Self {
        Self { watcher: None, watched: HashMap::new(), trouble: Some("it is switched off".into()) }
    }

    /// Why changes may not be told; none: they are.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Watches what there is of these homes, and waits for what there is not. The folders that are watched since just
    /// now: to be looked through.
    pub(super) fn arm<'a>(&mut self, homes: impl IntoIterator<Item = &'a CodexHome>) -> Vec<PathBuf> {
        let (mut new, mut waiting, mut roots) = (Vec::new(), HashSet::new(), Vec::new());
        for home in homes {
            // The locks first: they say what is live.
            roots.extend([home.locks(), home.sessions()]);
        }
        for root in &roots {
            loop {
                if root.is_dir() {
                    self.add_tree(root, &mut new);
                    break;
                }
                let Some(above) = root.ancestors().skip(1).find(|p| p.is_dir()) else { break };
                waiting.insert(above.to_path_buf());
                // Once its watch stands, whatever appears is told; what appeared before is seen by a second look.
                if !self.add(above) {
                    break;
                }
            }
        }
        // Whoever stands above was watched only to see something appear.
        let is_above = |w: &PathBuf| roots.iter().any(|root| root != w && root.starts_with(w));
        let done: Vec<PathBuf> =
            self.watched.keys().filter(|w| is_above(w) && !waiting.contains(*w)).cloned().collect();
        for path in done {
            self.forget(&path);
        }
        new
    }

    /// Watches a folder that appeared inside of one that is watched, and what is in it. Those that are new.
    pub(super) fn add_below(&mut self, folder: &Path) -> Vec<PathBuf> {
        let mut new = Vec::new();
        self.add_tree(folder, &mut new);
        new
    }

    /// Watches folders in `folder` that are not watched yet, and what is in them. Those that are new.
    pub(super) fn add_missing(&mut self, folder: &Path) -> Vec<PathBuf> {
        let mut new = Vec::new();
        for inner in super::rollouts::folders_in(folder) {
            if !self.watched.contains_key(&inner) {
                self.add_tree(&inner, &mut new);
            }
        }
        new
    }

    fn add_tree(&mut self, folder: &Path, new: &mut Vec<PathBuf>) {
        if self.add(folder) {
            new.push(folder.to_path_buf());
        }
        let mut inner = super::rollouts::folders_in(folder);
        // Folders are named by date: the newest first, where the most happens.
        inner.sort_unstable_by(|a, b| b.cmp(a));
        for folder in inner {
            self.add_tree(&folder, new);
        }
    }

    /// Whether it is watched since just now.
    fn add(&mut self, folder: &Path) -> bool {
        let Some(id) = identity(folder) else { return false };
        if self.watched.get(folder) == Some(&id) {
            return false;
        }
        if self.watched.len() >= MAX_FOLDERS {
            self.fail(format!("there are more than {MAX_FOLDERS} folders"));
            return false;
        }
        let Some(watcher) = self.watcher.as_mut() else { return false };
        if self.watched.remove(folder).is_some() {
            // The folder that had this name is gone, and its watch mostly too.
            let _ = watcher.unwatch(folder);
        }
        match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.watched.insert(folder.to_path_buf(), id);
                true
            }
            Err(error) => {
                match error.kind {
                    ErrorKind::MaxFilesWatch => {
                        self.fail("the system's limit of file watches is reached (fs.inotify.max_user_watches)".into());
                    }
                    // It went away meanwhile.
                    ErrorKind::PathNotFound | ErrorKind::WatchNotFound => {}
                    ErrorKind::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    _ => self.fail(format!("{} cannot be watched ({error})", folder.display())),
                }
                false
            }
        }
    }

    /// Watches a rollout that is being written, where its folder does not tell of writes.
    pub(super) fn follow(&mut self, rollout: &Path) {
        if !TELLS_OF_WRITES {
            self.add(rollout);
        }
    }

    /// Stops to [`follow`](Self::follow) it.
    pub(super) fn leave(&mut self, rollout: &Path) {
        if !TELLS_OF_WRITES {
            self.forget(rollout);
        }
    }

    /// Forgets the watch of a folder, such as of one that was removed.
    pub(super) fn forget(&mut self, folder: &Path) {
        if self.watched.remove(folder).is_some()
            && let Some(watcher) = self.watcher.as_mut()
        {
            // Of a folder that is gone the system has dropped the watch by itself.
            let _ = watcher.unwatch(folder);
        }
    }

    /// Forgets the watches of a folder that was removed, and of all that lay in it.
    pub(super) fn forget_below(&mut self, folder: &Path) {
        let gone: Vec<PathBuf> = self.watched.keys().filter(|w| w.starts_with(folder)).cloned().collect();
        for path in gone {
            self.forget(&path);
        }
    }

    /// Whether what is watched of a home is what lies there: a home that was moved away as a whole says no word of it.
    pub(super) fn stand_over(&self, home: &CodexHome) -> bool {
        [home.locks(), home.sessions()].iter().all(|root| self.watched.get(root).copied() == identity(root))
    }

    /// Forgets watches of what is not there any more, or is another folder by now: moved away, made again.
    pub(super) fn check(&mut self) {
        let gone: Vec<PathBuf> = self
            .watched
            .iter()
            .filter(|(path, id)| identity(path) != Some(**id))
            .map(|(path, _)| path.clone())
            .collect();
        for path in gone {
            self.forget(&path);
        }
    }

    fn fail(&mut self, why: String) {
        if self.trouble.is_none() {
            tracing::warn!(why, "not every change of native sessions is told at once");
            self.trouble = Some(why);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()))
}

/// A hint of the system. Of what lies beside `roots` and above them nobody wants to know.
fn hear(inbox: &Inbox, roots: &[PathBuf], event: notify::Result<notify::Event>) {
    match event {
        Ok(event) if event.need_rescan() => inbox.everything("the system dropped hints of changes"),
        Ok(event) => {
            // Our own reading opens and closes files too. Of the locks it opens none: whoever opens one may take it.
            let counts = |path: &Path| match event.kind {
                EventKind::Access(AccessKind::Open(_) | AccessKind::Close(AccessMode::Write)) => {
                    path.extension().is_some_and(|e| e == "lock")
                }
                EventKind::Access(_) => false,
                _ => true,
            };
            let concerns = |path: &Path| roots.iter().any(|root| path.starts_with(root) || root.starts_with(path));
            let mut paths = event.paths.iter().filter(|p| concerns(p) && counts(p)).cloned().peekable();
            if paths.peek().is_some() {
                let removed =
                    matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)));
                inbox.paths(paths, removed);
            }
        }
        Err(error) => inbox.everything(&format!("the file watcher says: {error}")),
    }
}
