//! The sessions of all homes in memory, in order, so that a listing reads no file.
//!
//! Some 600 bytes a session: ids are 16 bytes, and what repeats (directories, models, originators) is kept once. With what
//! reading them leaves in the allocator it is 18 MB for 10,000 (glibc 2.36).

mod needle;
mod shared;
#[cfg(test)]
mod tests;

pub(super) use needle::Needle;
pub(super) use shared::{Directory, Shared, real_place};

use crate::sessions::page::Position;
use akk_proto::Timestamp;
use akk_proto::session::{
    Capability, DiscoverAnswer, HolderView, SessionActivity, SessionChange, SessionSource, SessionView,
};
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// Which home, by its place in the list of homes, which is sorted by path: so that two homes with the same id stand in
/// the order of [`Position`].
pub(super) type HomeNo = u16;

/// A session of a home. Two homes can hold the same id: copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    /// Its id. Codex makes nothing but UUIDs.
    pub(super) id: Uuid,
    /// Where it lies.
    pub(super) home: HomeNo,
}

/// From what a session is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KnownBy {
    /// Its row.
    Row,
    /// Its rollout; there is no row.
    Rollout,
    /// Its lock or its process only.
    Process,
}

/// A session, as the index keeps it.
#[derive(Debug, Clone)]
pub(super) struct Thread {
    /// Where it works.
    pub(super) cwd: Option<Arc<Directory>>,
    /// One line, 200 characters.
    pub(super) title: Option<Box<str>>,
    /// When it began, milliseconds since the epoch.
    pub(super) created_ms: Option<i64>,
    /// When something happened in it last, milliseconds since the epoch; 0 where that is not known.
    pub(super) updated_ms: i64,
    /// Whether it was put away.
    pub(super) archived: bool,
    /// The model.
    pub(super) model: Option<Arc<str>>,
    /// When the model was learned from a turn, milliseconds since the epoch: an older row does not take it back.
    pub(super) model_ms: i64,
    /// Where it was started.
    pub(super) source: SessionSource,
    /// By which program.
    pub(super) originator: Option<Arc<str>>,
    /// By which session.
    pub(super) parent: Option<Uuid>,
    /// Its rollout.
    pub(super) rollout: Option<Box<Path>>,
    /// How much of the rollout has been looked at, in bytes.
    pub(super) seen: u64,
    /// Why it cannot be resumed; none: it can.
    pub(super) lack: Option<Arc<str>>,
    /// From what it is known.
    pub(super) known_by: KnownBy,
}

impl Thread {
    /// A session of which nothing is known.
    pub(super) fn unknown(known_by: KnownBy, lack: Option<Arc<str>>) -> Self {
        Self {
            cwd: None,
            title: None,
            created_ms: None,
            updated_ms: 0,
            archived: false,
            model: None,
            model_ms: 0,
            source: SessionSource::Unknown,
            originator: None,
            parent: None,
            rollout: None,
            seen: 0,
            lack,
            known_by,
        }
    }

    /// The session as clients see it.
    pub(super) fn view(&self, id: Uuid, home: String, live: Live) -> SessionView {
        SessionView {
            agent: super::AGENT.to_owned(),
            session_id: id.to_string(),
            home,
            cwd: self.cwd.as_ref().map(|d| d.path().to_owned()),
            title: self.title.as_deref().map(str::to_owned),
            created_at: self.created_ms.map(Timestamp),
            updated_at: Some(self.updated_ms).filter(|ms| *ms > 0).map(Timestamp),
            archived: self.archived,
            model: self.model.as_deref().map(str::to_owned),
            source: self.source,
            originator: self.originator.as_deref().map(str::to_owned),
            parent: self.parent.map(|p| p.to_string()),
            capability: if self.lack.is_some() { Capability::MetadataOnly } else { Capability::Full },
            capability_reason: self.lack.as_deref().map(str::to_owned),
            activity: live.activity,
            holders: live.holders,
            conversation_id: None,
        }
    }

    /// Whether it is among what is asked for, wherever in the order.
    pub(super) fn fits(&self, id: Uuid, query: &Query) -> bool {
        (query.archived || !self.archived)
            && (query.auxiliary || !self.source.is_auxiliary())
            && query.text.as_ref().is_none_or(|needle| {
                let mut text = Uuid::encode_buffer();
                needle.is_in(id.hyphenated().encode_lower(&mut text))
                    || self.title.as_deref().is_some_and(|t| needle.is_in(t))
                    || self.cwd.as_ref().is_some_and(|d| needle.is_in(d.path()))
            })
            && query.cwd.as_ref().is_none_or(|wanted| self.cwd.as_ref().is_some_and(|d| d.is(wanted)))
    }
}

/// What is known of a session that a process runs or ran.
#[derive(Debug, Clone, Default)]
pub(super) struct Live {
    /// Whether a turn runs.
    pub(super) activity: SessionActivity,
    /// Who runs it.
    pub(super) holders: Vec<HolderView>,
}

/// What a listing asks for.
#[derive(Debug, Clone, Default)]
pub(super) struct Query {
    /// Only those that work in this directory: a real place.
    pub(super) cwd: Option<PathBuf>,
    /// Only those with this in id, title or directory.
    pub(super) text: Option<Needle>,
    /// Archived ones too.
    pub(super) archived: bool,
    /// Sub-agents and guardians too.
    pub(super) auxiliary: bool,
    /// Rows in a page.
    pub(super) limit: usize,
    /// Where the page before ended.
    pub(super) after: Option<Position>,
}

/// All sessions.
#[derive(Debug)]
pub(super) struct Index {
    homes: Vec<Arc<str>>,
    threads: HashMap<Key, Thread>,
    order: BTreeSet<(Reverse<i64>, Reverse<Uuid>, HomeNo)>,
    live: HashMap<Key, Live>,
    /// Homes in which who works on a session can be seen, so that no turn runs where nobody is seen.
    overseen: HashSet<HomeNo>,
}

impl Index {
    /// An empty index of these homes, sorted by path.
    pub(super) fn new(homes: &[PathBuf]) -> Self {
        Self {
            homes: homes.iter().map(|h| h.to_string_lossy().into()).collect(),
            threads: HashMap::new(),
            order: BTreeSet::new(),
            live: HashMap::new(),
            overseen: HashSet::new(),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.threads.len()
    }

    /// One session.
    pub(super) fn get(&self, key: Key) -> Option<&Thread> {
        self.threads.get(&key)
    }

    /// Every session of a home, in no order.
    pub(super) fn of_home(&self, home: HomeNo) -> impl Iterator<Item = (Key, &Thread)> {
        self.threads.iter().filter(move |(key, _)| key.home == home).map(|(key, thread)| (*key, thread))
    }

    /// Puts a session in, or what is known of it now. What changed by it, as far as people see it. A time that goes
    /// back is not believed, nor an older row's model; and what a rollout's name and first record do not know stays.
    pub(super) fn put(&mut self, key: Key, mut thread: Thread) -> Option<SessionChange> {
        let Some(old) = self.threads.get(&key) else {
            self.order.insert(place(key, thread.updated_ms));
            self.threads.insert(key, thread);
            return Some(SessionChange::New);
        };
        if old.model_ms > thread.model_ms && old.model_ms > thread.updated_ms {
            thread.model.clone_from(&old.model);
        }
        if thread.known_by == KnownBy::Rollout {
            if thread.title.is_none() {
                thread.title.clone_from(&old.title);
            }
            if thread.model_ms < old.model_ms {
                (thread.model, thread.cwd) = (old.model.clone(), old.cwd.clone());
            }
        }
        thread.model_ms = thread.model_ms.max(old.model_ms);
        thread.updated_ms = thread.updated_ms.max(old.updated_ms);
        let same = old.title == thread.title
            && old.cwd == thread.cwd
            && old.model == thread.model
            && old.archived == thread.archived
            && old.lack == thread.lack
            && old.source == thread.source;
        if old.updated_ms != thread.updated_ms {
            self.order.remove(&place(key, old.updated_ms));
            self.order.insert(place(key, thread.updated_ms));
        }
        self.threads.insert(key, thread);
        (!same).then_some(SessionChange::Changed)
    }

    /// Takes a session out. What it was.
    pub(super) fn remove(&mut self, key: Key) -> Option<SessionView> {
        let view = self.view(key)?;
        if let Some(thread) = self.threads.remove(&key) {
            self.order.remove(&place(key, thread.updated_ms));
        }
        self.live.remove(&key);
        Some(view)
    }

    /// What is known of a session that a process runs; none: no process does.
    pub(super) fn set_live(&mut self, key: Key, live: Option<Live>) {
        match live {
            Some(live) => drop(self.live.insert(key, live)),
            None => drop(self.live.remove(&key)),
        }
    }

    /// Whether it can be seen who works on the sessions of a home.
    pub(super) fn set_overseen(&mut self, home: HomeNo, overseen: bool) {
        if overseen {
            self.overseen.insert(home);
        } else {
            self.overseen.remove(&home);
        }
    }

    /// The session as clients see it.
    pub(super) fn view(&self, key: Key) -> Option<SessionView> {
        self.threads.get(&key).map(|thread| self.view_of(key, thread))
    }

    fn view_of(&self, key: Key, thread: &Thread) -> SessionView {
        let live = self.live.get(&key).cloned().unwrap_or_else(|| {
            let overseen = self.overseen.contains(&key.home);
            let activity = if overseen { SessionActivity::Idle } else { SessionActivity::Unknown };
            Live { activity, holders: Vec::new() }
        });
        let home = self.home_of(key);
        thread.view(key.id, home, live)
    }

    /// One page, newest first.
    pub(super) fn page(&self, query: &Query) -> DiscoverAnswer {
        let mut answer = DiscoverAnswer::default();
        let mut last = None;
        for (_, Reverse(id), home) in &self.order {
            let key = Key { id: *id, home: *home };
            let Some(thread) = self.threads.get(&key).filter(|t| t.fits(key.id, query)) else { continue };
            answer.total += 1;
            if query.after.as_ref().is_some_and(|after| !self.is_behind(key, thread, after)) {
                continue;
            }
            if answer.sessions.len() < query.limit {
                answer.sessions.push(self.view_of(key, thread));
                last = Some((key, thread));
            } else if answer.next.is_none() {
                answer.next = last.map(|(key, thread)| self.position(key, thread).to_string());
            }
        }
        answer
    }

    fn home_of(&self, key: Key) -> String {
        self.homes.get(usize::from(key.home)).map(ToString::to_string).unwrap_or_default()
    }

    fn is_behind(&self, key: Key, thread: &Thread, after: &Position) -> bool {
        // Most differ in their time already: ten thousand ids need not be spelled for a page.
        match after.updated_ms.cmp(&thread.updated_ms) {
            Ordering::Equal => self.position(key, thread) > *after,
            order => order == Ordering::Greater,
        }
    }

    fn position(&self, key: Key, thread: &Thread) -> Position {
        Position { updated_ms: thread.updated_ms, session_id: key.id.to_string(), home: self.home_of(key) }
    }

    /// The sessions whose id begins or ends with `part`, in small letters, or is it; in no order.
    pub(super) fn named(&self, part: &str) -> Vec<Key> {
        let mut text = Uuid::encode_buffer();
        let mut fits = |id: Uuid| {
            let id: &str = id.hyphenated().encode_lower(&mut text);
            id.starts_with(part) || id.ends_with(part)
        };
        self.threads.keys().copied().filter(|key| fits(key.id)).collect()
    }

    /// Those with this very id, in every home.
    pub(super) fn with_id(&self, id: Uuid) -> Vec<Key> {
        let homes = 0..self.homes.len() as HomeNo;
        homes.map(|home| Key { id, home }).filter(|key| self.threads.contains_key(key)).collect()
    }
}

fn place(key: Key, updated_ms: i64) -> (Reverse<i64>, Reverse<Uuid>, HomeNo) {
    (Reverse(updated_ms), Reverse(key.id), key.home)
}
