//! What the provider and its watcher's thread share.

use super::home::CodexHome;
use super::index::Index;
use akk_proto::Timestamp;
use akk_proto::session::{SessionChange, SessionItem, SessionView};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::broadcast;

/// Changes that a slow listener may lie behind.
const BUS: usize = 1024;

/// How far the watcher has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// It reads the homes for the first time.
    Indexing,
    /// Everything that there is can be listed.
    Indexed,
    /// Whatever happens from now on is told.
    Watching,
}

/// What works, of one home.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HomeHealth {
    /// Another home that is the same folder: this one is left out.
    pub(super) same_as: Option<PathBuf>,
    /// Why its database could not be read.
    pub(super) database: Option<String>,
    /// Folders that could not be read, in sentences.
    pub(super) folders: Vec<String>,
    /// Why its locks cannot be seen.
    pub(super) locks: Option<String>,
    /// The version of Codex that made its newest session.
    pub(super) version: Option<String>,
}

/// What works.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Health {
    /// Of each home.
    pub(super) homes: Vec<HomeHealth>,
    /// Why changes may be told late.
    pub(super) watch: Option<String>,
}

impl Health {
    /// What could not be read, in sentences.
    pub(super) fn incomplete(&self) -> Vec<String> {
        let of_home = |home: &HomeHealth| {
            let database = home.database.iter().map(|d| format!("{d}: its sessions are listed from their records"));
            database.chain(home.folders.iter().cloned()).collect::<Vec<_>>()
        };
        self.homes.iter().flat_map(of_home).collect()
    }
}

/// What the provider and its watcher share.
#[derive(Debug)]
pub(super) struct Known {
    /// The homes, sorted by path: their numbers are their places here.
    pub(super) homes: Vec<CodexHome>,
    index: RwLock<Index>,
    health: Mutex<Health>,
    stage: Mutex<Stage>,
    stepped: Condvar,
    bus: broadcast::Sender<Arc<SessionItem>>,
}

impl Known {
    /// Of homes that were not looked at yet.
    pub(super) fn new(mut homes: Vec<CodexHome>) -> Self {
        homes.sort();
        homes.dedup();
        let paths: Vec<PathBuf> = homes.iter().map(|h| h.path().to_path_buf()).collect();
        Self {
            index: RwLock::new(Index::new(&paths)),
            health: Mutex::new(Health { homes: vec![HomeHealth::default(); homes.len()], watch: None }),
            homes,
            stage: Mutex::new(Stage::Indexing),
            stepped: Condvar::new(),
            bus: broadcast::channel(BUS).0,
        }
    }

    /// The sessions, to read.
    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sessions, to change: the watcher only.
    pub(super) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What works.
    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The watcher has come so far.
    pub(super) fn step(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
        self.stepped.notify_all();
    }

    /// Waits until the watcher has come so far.
    pub(super) fn wait_for(&self, stage: Stage) {
        let now = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.stepped.wait_while(now, |now| *now < stage).unwrap_or_else(PoisonError::into_inner));
    }

    /// Changes from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<SessionItem>> {
        self.bus.subscribe()
    }

    /// Tells a change.
    pub(super) fn tell(&self, change: SessionChange, ts: Timestamp, session: SessionView) {
        // Nobody may be listening.
        let _ = self.bus.send(Arc::new(SessionItem::Session { change, ts, session: Box::new(session) }));
    }

    /// Tells that changes may have been missed.
    pub(super) fn tell_missed(&self, reason: String) {
        let _ = self.bus.send(Arc::new(SessionItem::Missed { reason }));
    }
}
