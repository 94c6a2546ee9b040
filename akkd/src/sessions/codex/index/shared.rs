//! What many sessions have in common, kept once.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the real place of a directory is believed: a link can be turned.
const REAL_PLACE: Duration = Duration::from_mins(1);

/// A directory, kept once for all sessions that work there.
#[derive(Debug)]
pub(in crate::sessions::codex) struct Directory {
    path: Arc<str>,
    real: Mutex<Option<(Instant, PathBuf)>>,
}

impl Directory {
    /// As its sessions name it.
    pub(in crate::sessions::codex) fn path(&self) -> &str {
        &self.path
    }

    /// Whether it is `wanted`, a real place.
    pub(super) fn is(&self, wanted: &Path) -> bool {
        if Path::new(&*self.path) == wanted {
            return true;
        }
        let mut real = self.real.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, place)) = real.as_ref().filter(|(when, _)| when.elapsed() < REAL_PLACE) {
            return place == wanted;
        }
        let place = real_place(Path::new(&*self.path));
        let is = place == wanted;
        *real = Some((Instant::now(), place));
        is
    }
}

/// Where `path` really lies; itself where that cannot be told, such as for a directory that is gone.
pub(in crate::sessions::codex) fn real_place(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.components().collect())
}

impl PartialEq for Directory {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl Eq for Directory {}

/// What many sessions share, kept once.
#[derive(Debug, Default)]
pub(in crate::sessions::codex) struct Shared {
    words: HashSet<Arc<str>>,
    pub(super) directories: HashMap<Arc<str>, Arc<Directory>>,
}

impl Shared {
    /// `word`, kept once.
    pub(in crate::sessions::codex) fn word(&mut self, word: &str) -> Arc<str> {
        if let Some(known) = self.words.get(word) {
            return known.clone();
        }
        let new: Arc<str> = word.into();
        self.words.insert(new.clone());
        new
    }

    /// The directory `path`, kept once.
    pub(in crate::sessions::codex) fn directory(&mut self, path: &Path) -> Arc<Directory> {
        let path = path.to_string_lossy();
        if let Some(known) = self.directories.get(path.as_ref()) {
            return known.clone();
        }
        let new = Arc::new(Directory { path: path.as_ref().into(), real: Mutex::default() });
        self.directories.insert(new.path.clone(), new.clone());
        new
    }

    /// Forgets what no session uses.
    pub(in crate::sessions::codex) fn tidy(&mut self) {
        self.words.retain(|w| Arc::strong_count(w) > 1);
        self.directories.retain(|_, d| Arc::strong_count(d) > 1);
    }
}
