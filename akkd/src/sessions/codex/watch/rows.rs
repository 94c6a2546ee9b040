//! Reads rows again: the title and the model of a new session come a moment after its rollout.

use super::Watcher;
use crate::sessions::codex::home::CodexHome;
use crate::sessions::codex::index::{Key, KnownBy, Thread};
use crate::sessions::codex::survey::{self, Written};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long after a sign the row is read: Codex writes it right after the rollout.
const SOON: Duration = Duration::from_millis(200);
/// A row that is not there yet, or a database that is busy: how long until the next try, by the number of tries.
const AGAIN: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(10)];

/// How long first words are read before it is asked again whether something else is to be done.
const MOMENT: Duration = Duration::from_millis(20);

/// A row that is to be read again.
#[derive(Debug)]
pub(super) struct Refresh {
    /// When.
    pub(super) at: Instant,
    tries: usize,
    rollout: Option<PathBuf>,
}

impl Watcher {
    /// Reads the session's row in a moment.
    pub(super) fn refresh_soon(&mut self, key: Key, rollout: Option<&Path>) {
        let refresh =
            self.refreshes.entry(key).or_insert(Refresh { at: Instant::now() + SOON, tries: 0, rollout: None });
        if let Some(rollout) = rollout {
            refresh.rollout = Some(rollout.to_path_buf());
        }
    }

    /// Reads those that are due.
    pub(super) fn refresh_due(&mut self) {
        let now = Instant::now();
        let due: Vec<Key> = self.refreshes.iter().filter(|(_, r)| r.at <= now).map(|(key, _)| *key).collect();
        for key in due {
            let Some(home) = self.home(key.home).cloned() else { continue };
            let known = self.known.index().get(key).map(|t| t.rollout.clone());
            let Some(known) = known else {
                // A rollout that was empty when it was seen.
                let rollout = self.refreshes.get(&key).and_then(|r| r.rollout.clone());
                if let Some(rollout) = rollout {
                    self.look_at_rollout(key.home, &rollout);
                }
                self.refreshes.entry(key).and_modify(|r| r.rollout = None);
                self.again(key);
                continue;
            };
            match survey::one(&home, key.id, known.as_deref(), &mut self.shared) {
                Ok(Some(thread)) => {
                    let complete = thread.known_by == KnownBy::Row;
                    self.renew(key, thread);
                    if complete {
                        self.refreshes.remove(&key);
                    } else {
                        self.again(key);
                    }
                }
                Ok(None) => {
                    self.refreshes.remove(&key);
                    self.look_at_absent(key);
                }
                Err(error) => {
                    tracing::debug!(session = %key.id, %error, "a thread's row cannot be read now");
                    self.again(key);
                }
            }
        }
    }

    /// Tries once more, a few times.
    fn again(&mut self, key: Key) {
        let Some(refresh) = self.refreshes.get_mut(&key) else { return };
        match AGAIN.get(refresh.tries) {
            Some(pause) => (refresh.at, refresh.tries) = (Instant::now() + *pause, refresh.tries + 1),
            None => drop(self.refreshes.remove(&key)),
        }
    }

    /// Puts what is known of a session now, and tells what changed. How far its rollout was read stays as it is.
    pub(super) fn renew(&mut self, key: Key, mut thread: Thread) {
        let change = {
            let mut index = self.known.index_mut();
            if let Some(old) = index.get(key) {
                thread.seen = old.seen;
            }
            index.put(key, thread)
        };
        if let Some(change) = change {
            self.tell(key, change);
        }
    }

    /// Sessions without a title whose first words may stand for one, the newest last.
    pub(super) fn find_untitled(&self) -> Vec<Key> {
        let index = self.known.index();
        let without = |t: &Thread| t.known_by == KnownBy::Rollout && t.title.is_none();
        let homes = self.homes().map(|(no, _)| no);
        let mut found: Vec<(i64, Key)> = homes
            .flat_map(|no| index.of_home(no).filter(|(_, t)| without(t)).map(|(key, t)| (t.updated_ms, key)))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, key)| key).collect()
    }

    /// Reads first words for a moment.
    pub(super) fn title_some(&mut self) {
        let begun = Instant::now();
        while begun.elapsed() < MOMENT
            && let Some(key) = self.untitled.pop()
        {
            let Some(home) = self.home(key.home).cloned() else { continue };
            let thread = self.known.index().get(key).cloned();
            let Some(mut thread) = thread.filter(|t| t.title.is_none()) else { continue };
            let Some(rollout) = thread.rollout.as_deref() else { continue };
            thread.title = survey::title_of(&home, rollout);
            // Nobody is told: it is how listings show a session that was there all along.
            self.known.index_mut().put(key, thread);
        }
    }

    /// Renames leave neither rollout nor time of change behind (codex 0.169): whether there was one.
    pub(super) fn look_at_names(&mut self) {
        let changed = self.homes().any(|(no, home)| self.names.get(&no) != Some(&names(home)));
        if changed {
            self.survey_all();
        }
    }
}

/// The file to which every rename is appended.
pub(super) fn names(home: &CodexHome) -> Option<Written> {
    Written::of(&home.path().join("session_index.jsonl"))
}
