//! Hints that an output file grew: one watcher for all launches. A hint may be missed; the file itself is the truth.

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The watcher of all output files. Cheap to clone.
#[derive(Clone)]
pub(in crate::executor) struct OutputHints {
    shared: Arc<Shared>,
}

struct Shared {
    waiting: Arc<Mutex<Waiting>>,
    /// None where the system offers none: then only the slow scan finds output.
    watcher: Mutex<Option<RecommendedWatcher>>,
}

type Waiting = HashMap<PathBuf, Arc<Notify>>;

impl OutputHints {
    /// Starts the watcher. Where that fails, hints never come, and a warning is logged.
    pub(in crate::executor) fn start() -> Self {
        let waiting = Arc::new(Mutex::new(Waiting::new()));
        let heard = Arc::clone(&waiting);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let waiting = lock(&heard);
            match event {
                Ok(event) if !event.paths.is_empty() => {
                    for notify in event.paths.iter().filter_map(|p| waiting.get(p)) {
                        notify.notify_one();
                    }
                }
                // The queue ran over, or an error: everybody looks for themselves.
                _ => waiting.values().for_each(|notify| notify.notify_one()),
            }
        });
        let watcher = watcher
            .inspect_err(|error| tracing::warn!(%error, "no file watcher: output is looked for every 2 s only"))
            .ok();
        Self { shared: Arc::new(Shared { waiting, watcher: Mutex::new(watcher) }) }
    }

    /// Hints for one file, until the answer is dropped.
    pub(in crate::executor) fn watch(&self, path: &Path) -> Hint {
        let notify = Arc::new(Notify::new());
        lock(&self.shared.waiting).insert(path.to_owned(), Arc::clone(&notify));
        if let Some(watcher) = lock(&self.shared.watcher).as_mut()
            && let Err(error) = watcher.watch(path, RecursiveMode::NonRecursive)
        {
            tracing::warn!(path = %path.display(), %error, "an output file cannot be watched: it is looked at every 2 s");
        }
        Hint { path: path.to_owned(), notify, hints: self.clone() }
    }
}

/// Hints for one file.
pub(in crate::executor) struct Hint {
    path: PathBuf,
    notify: Arc<Notify>,
    hints: OutputHints,
}

impl Hint {
    /// Waits until the file may have grown since the last call. May be dropped and called again.
    pub(in crate::executor) async fn grown(&self) {
        self.notify.notified().await;
    }
}

impl Hint {
    /// No more hints: to be said before the file is removed. Said twice, it changes nothing.
    pub(in crate::executor) fn end(&self) {
        if lock(&self.hints.shared.waiting).remove(&self.path).is_none() {
            return;
        }
        if let Some(watcher) = lock(&self.hints.shared.watcher).as_mut() {
            // It may be removed already, and its watch with it.
            let _ = watcher.unwatch(&self.path);
        }
    }
}

impl Drop for Hint {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half done under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::time::Duration;

    #[tokio::test]
    async fn a_file_that_grows_gives_a_hint_and_others_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let path = |name| folder.join(name);
        let mut one = std::fs::File::create(path("one")).unwrap();
        std::fs::File::create(path("two")).unwrap();
        let hints = OutputHints::start();
        let (first, second) = (hints.watch(&path("one")), hints.watch(&path("two")));
        one.write_all(b"x").unwrap();
        tokio::time::timeout(Duration::from_secs(10), first.grown()).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(50), second.grown()).await.is_err());
        drop(first);
        assert_eq!(lock(&hints.shared.waiting).len(), 1);
    }
}
