//! What the watcher's thread is to look at: said by others, gathered until it looks.

use crate::platform::ProcessIdentity;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

/// Paths that are remembered one by one; past that everything is looked at.
const MAX_PATHS: usize = 4096;

/// What to look at.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Files and folders in which something happened.
    pub(super) paths: HashSet<PathBuf>,
    /// Those among them that were removed, whatever is there by now: a watch on such a folder is dead, and a new folder
    /// of that name may even have the same inode.
    pub(super) removed: HashSet<PathBuf>,
    /// Look at everything, and why.
    pub(super) everything: Option<String>,
    /// Processes that have ended.
    pub(super) exited: Vec<ProcessIdentity>,
    /// Somebody lists: look at what no hint tells of.
    pub(super) poked: bool,
    /// Nobody wants to know any more.
    pub(super) stop: bool,
}

impl Asked {
    fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.everything.is_none() && self.exited.is_empty() && !self.poked && !self.stop
    }
}

/// Where it is said.
#[derive(Debug, Default)]
pub(in crate::sessions::codex) struct Inbox {
    asked: Mutex<Asked>,
    said: Condvar,
}

impl Inbox {
    /// Something happened at these paths. `removed`: they were removed, or moved away.
    pub(super) fn paths(&self, paths: impl IntoIterator<Item = PathBuf>, removed: bool) {
        self.say(|asked| {
            for path in paths {
                if removed {
                    asked.removed.insert(path.clone());
                }
                asked.paths.insert(path);
            }
            if asked.paths.len() > MAX_PATHS {
                asked.paths.clear();
                asked.removed.clear();
                asked.everything.get_or_insert_with(|| "too much happened at once".to_owned());
            }
        });
    }

    /// Hints were lost.
    pub(super) fn everything(&self, why: &str) {
        self.say(|asked| {
            asked.everything.get_or_insert_with(|| why.to_owned());
        });
    }

    /// This process has ended.
    pub(super) fn exited(&self, process: ProcessIdentity) {
        self.say(|asked| asked.exited.push(process));
    }

    /// Somebody lists.
    pub(in crate::sessions::codex) fn poke(&self) {
        self.say(|asked| asked.poked = true);
    }

    /// Nobody wants to know any more.
    pub(in crate::sessions::codex) fn stop(&self) {
        self.say(|asked| asked.stop = true);
    }

    fn say(&self, what: impl FnOnce(&mut Asked)) {
        what(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner));
        self.said.notify_one();
    }

    /// Waits until something is said, or until `due`.
    pub(super) fn wait(&self, due: Instant) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        while asked.is_empty() {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            asked = self.said.wait_timeout(asked, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes what was said so far.
    pub(super) fn take(&self) -> Asked {
        std::mem::take(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_hints_becomes_one_look_at_everything() {
        let inbox = Inbox::default();
        inbox.paths((0..MAX_PATHS).map(|n| PathBuf::from(format!("/{n}"))), false);
        inbox.paths(["/0".into()], false);
        assert_eq!(inbox.take().paths.len(), MAX_PATHS);
        inbox.paths((0..=MAX_PATHS).map(|n| PathBuf::from(format!("/{n}"))), false);
        let asked = inbox.take();
        assert_eq!((asked.paths.len(), asked.everything.is_some()), (0, true));
        assert!(inbox.take().is_empty());
    }

    #[test]
    fn a_wait_ends_when_something_is_said_and_when_it_is_due() {
        let inbox = std::sync::Arc::new(Inbox::default());
        inbox.wait(Instant::now());
        let other = inbox.clone();
        let said = std::thread::spawn(move || other.poke());
        inbox.wait(Instant::now() + std::time::Duration::from_hours(1));
        assert!(inbox.take().poked);
        said.join().unwrap();
    }
}
