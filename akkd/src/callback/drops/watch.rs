//! Hints that something was left: one watcher for all drop folders. A hint may be missed; a look is the truth.

use akk_proto::ConversationId;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The watcher of all drop folders. Cheap to clone.
#[derive(Clone)]
pub(super) struct Hints {
    shared: Arc<Shared>,
}

struct Shared {
    heard: Arc<Heard>,
    /// None where the system offers none: then only the slow scan finds drops.
    watcher: Mutex<Option<RecommendedWatcher>>,
}

#[derive(Default)]
struct Heard {
    /// Whose folder is where.
    folders: Mutex<HashMap<PathBuf, ConversationId>>,
    /// Where something happened.
    news: Mutex<Vec<ConversationId>>,
    told: Notify,
    /// Of whom nothing is told, because a folder could not be watched.
    unheard: Mutex<HashSet<ConversationId>>,
}

impl Hints {
    /// Starts the watcher. Where that fails, hints never come, and a warning is logged.
    pub(super) fn start() -> Self {
        let heard = Arc::new(Heard::default());
        let ear = Arc::clone(&heard);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if matches!(&event, Ok(event) if matches!(event.kind, EventKind::Access(_))) {
                return;
            }
            let folders = lock(&ear.folders);
            let mut news = lock(&ear.news);
            match event {
                Ok(event) if !event.paths.is_empty() => {
                    let of = |path: &PathBuf| folders.get(path).or_else(|| folders.get(path.parent()?)).cloned();
                    news.extend(event.paths.iter().filter_map(of));
                }
                // The queue ran over, or an error: every folder is looked at.
                _ => news.extend(folders.values().cloned()),
            }
            news.sort_unstable();
            news.dedup();
            ear.told.notify_one();
        });
        let watcher =
            watcher.inspect_err(|error| tracing::warn!(%error, "no file watcher: drops are looked for every 2 s")).ok();
        Self { shared: Arc::new(Shared { heard, watcher: Mutex::new(watcher) }) }
    }

    /// Hints for one folder from now on.
    pub(super) fn watch(&self, id: &ConversationId, folder: &Path) {
        let known = lock(&self.shared.heard.folders).insert(folder.to_owned(), id.clone()).is_some();
        // A folder that was removed and made again has another watch.
        let heard = lock(&self.shared.watcher).as_mut().is_some_and(|watcher| {
            if known {
                let _ = watcher.unwatch(folder);
            }
            let watched = watcher.watch(folder, RecursiveMode::NonRecursive).inspect_err(|error| {
                tracing::warn!(folder = %folder.display(), %error, "a drop folder cannot be watched: it is looked at every 2 s");
            });
            watched.is_ok()
        });
        if !heard {
            lock(&self.shared.heard.unheard).insert(id.clone());
        }
        self.shared.heard.told.notify_one();
    }

    /// No more hints for the folders of a conversation.
    pub(super) fn forget(&self, id: &ConversationId) {
        lock(&self.shared.heard.unheard).remove(id);
        let mut gone = Vec::new();
        lock(&self.shared.heard.folders).retain(|path, of| {
            if of == id {
                gone.push(path.clone());
            }
            of != id
        });
        // Not under the lock that the watcher's thread takes too.
        for path in gone {
            if let Some(watcher) = lock(&self.shared.watcher).as_mut() {
                // It may be removed already, and its watch with it.
                let _ = watcher.unwatch(&path);
            }
        }
    }

    /// Waits until something happened.
    pub(super) async fn told(&self) {
        self.shared.heard.told.notified().await;
    }

    /// Where something happened since this was asked last.
    pub(super) fn news(&self) -> Vec<ConversationId> {
        std::mem::take(&mut *lock(&self.shared.heard.news))
    }

    /// The conversations of which nothing is ever told, because a folder of theirs could not be watched.
    pub(super) fn unheard(&self) -> Vec<ConversationId> {
        lock(&self.shared.heard.unheard).iter().cloned().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half done under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
