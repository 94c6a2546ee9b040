//! Looks at everything: when the watch begins, after lost hints, after a sleep, and where hints cannot be relied on.

use super::{Watcher, rows};
use crate::sessions::codex::index::{HomeNo, Key, Thread, real_place};
use crate::sessions::codex::survey::{Survey, survey};
use akk_proto::Timestamp;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// By how much the clocks may disagree.
const JUMP_MS: i64 = 5_000;
/// A session that is found at a look at everything, and in which something happened so short ago, is told from its
/// beginning; of an older one only that it is there.
const JUST_NOW_MS: i64 = 60_000;
/// Changes that are told one by one when they are found at once.
const MAX_CHANGES: usize = 256;

impl Watcher {
    /// Why everything is to be looked at, when the machine slept or its clock was set.
    pub(super) fn slept(&mut self) -> Option<String> {
        let (wall, monotonic) = (self.clock.wall(), self.clock.monotonic());
        let passed = i64::try_from(monotonic.saturating_duration_since(self.clocks.1).as_millis()).unwrap_or(i64::MAX);
        let jump = wall.millis_since(self.clocks.0).saturating_sub(passed);
        self.clocks = (wall, monotonic);
        (jump.abs() > JUMP_MS).then(|| "the machine slept, or its clock was set".to_owned())
    }

    /// Looks at every file. What has changed is told; where hints were lost, that is told first.
    pub(super) fn look_at_everything(&mut self, why: Option<String>) {
        if let Some(why) = why {
            tracing::info!(why, "every native session is looked at");
            self.known.tell_missed(why);
            // Which of the watches are dead was perhaps among what was lost.
            self.folders.forget_below(Path::new("/"));
        }
        self.folders.check();
        self.arm();
        self.stale_locks.clear();
        self.survey_all();
        let homes: Vec<HomeNo> = self.homes().map(|(no, _)| no).collect();
        for no in homes {
            self.look_at_locks(no, &HashSet::new());
        }
        self.looked_at_all = Instant::now();
    }

    /// Reads every home, and makes the index so.
    pub(super) fn survey_all(&mut self) {
        self.find_same();
        for no in 0..self.known.homes.len() as HomeNo {
            let Some(home) = self.home(no).cloned() else { continue };
            let seen = if self.same.contains(&no) { Survey::default() } else { survey(&home, &mut self.shared) };
            self.names.insert(no, rows::names(&home));
            if let Some(health) = self.known.health().homes.get_mut(usize::from(no)) {
                health.database.clone_from(&seen.database);
                health.folders.clone_from(&seen.folders);
                health.version.clone_from(&seen.version);
            }
            self.take_over(no, seen);
        }
        self.shared.tidy();
    }

    /// Makes the index as a survey saw the home.
    fn take_over(&mut self, no: HomeNo, survey: Survey) {
        let complete = survey.folders.is_empty();
        let now = self.clock.wall();
        let (mut changes, mut grown, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        {
            let mut index = self.known.index_mut();
            for (key, thread) in index.of_home(no) {
                // A folder that cannot be read now still holds what it held.
                if !survey.threads.contains_key(&key.id) && (complete || thread.rollout.is_none()) {
                    gone.push(key);
                }
            }
            for (id, mut thread) in survey.threads {
                let key = Key { id, home: no };
                if let Some(old) = index.get(key) {
                    if let Some(path) = thread.rollout.clone().filter(|_| thread.seen != old.seen) {
                        grown.push((key, path));
                    }
                    thread.seen = old.seen;
                } else if !self.silent
                    && is_recent(&thread, now)
                    && let Some(path) = thread.rollout.clone()
                {
                    thread.seen = 0;
                    grown.push((key, path));
                }
                changes.extend(index.put(key, thread).map(|change| (key, change)));
            }
        }
        if changes.len() > MAX_CHANGES && !self.silent {
            self.known.tell_missed(format!("{} sessions changed at once", changes.len()));
            changes.clear();
        }
        for (key, change) in changes {
            self.tell(key, change);
        }
        self.untitled = self.find_untitled();
        for (key, path) in grown {
            self.look_at_rollout(key.home, &path);
        }
        for key in gone {
            self.look_at_absent(key);
        }
    }

    /// Whether something happened in it so short ago that it is told from its beginning.
    pub(super) fn is_recent(&self, thread: &Thread) -> bool {
        !self.silent && is_recent(thread, self.clock.wall())
    }

    /// Two homes can be one folder under two names: the first one counts.
    pub(super) fn find_same(&mut self) {
        let mut real: Vec<(PathBuf, PathBuf)> = Vec::new();
        self.same.clear();
        for (no, home) in (0..).zip(&self.known.homes) {
            let place = real_place(home.path());
            let other = real.iter().find(|(known, _)| *known == place).map(|(_, path)| path.clone());
            if other.is_some() {
                self.same.insert(no);
            } else {
                real.push((place, home.path().to_path_buf()));
            }
            if let Some(health) = self.known.health().homes.get_mut(usize::from(no)) {
                health.same_as = other;
            }
        }
    }
}

fn is_recent(thread: &Thread, now: Timestamp) -> bool {
    now.millis_since(Timestamp(thread.updated_ms)).abs() < JUST_NOW_MS
}
