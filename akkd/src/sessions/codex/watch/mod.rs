//! Keeps the index as the homes are, and tells every change: one thread, which sleeps while nothing happens.
//!
//! What the system says is a hint, what is seen by looking is the truth. A hint is followed by a look at the file, the
//! folder or the lock that it names; while a session is live, its rollout, the locks and the newest folders are looked
//! at every 2 s besides; after lost hints, and when the clocks disagree (the machine slept), everything is.

mod everything;
mod folders;
mod inbox;
mod owners;
mod rollouts;
mod rows;
#[cfg(test)]
mod tests;

pub(super) use inbox::Inbox;

use super::home::CodexHome;
use super::index::{HomeNo, Key, Live, Shared};
use super::known::{Known, Stage};
use super::rollout::TurnState;
use super::survey::Written;
use crate::clock::Clock;
use crate::platform::ProcessIdentity;
use akk_proto::Timestamp;
use akk_proto::session::{SessionActivity, SessionChange};
use folders::Folders;
use inbox::Asked;
use owners::{Owner, StaleLock};
use rows::Refresh;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::AbortHandle;

/// How long hints are gathered before they are followed: a turn writes some in one go.
const GATHER: Duration = Duration::from_millis(25);
/// How often what is live is looked at without a hint.
const LOOK: Duration = Duration::from_secs(2);
/// How often everything is looked at where hints cannot be relied on.
const LOOK_AT_ALL: Duration = Duration::from_secs(30);
/// How often the clocks are compared, and whether the folders are the same ones still.
const CHECK: Duration = Duration::from_mins(1);
/// How often `activity` is told of one session.
const ACTIVITY: Duration = Duration::from_secs(1);
/// How long a session without an owner is looked at after something was recorded in it: who records it may be out of
/// sight.
const LINGER: Duration = Duration::from_mins(5);

/// A session in which something happens.
#[derive(Debug, Default)]
struct Run {
    /// Whether a turn runs, by its records.
    turn: TurnState,
    /// Who has it.
    owner: Option<Owner>,
    /// When `activity` was told last.
    told: Option<Instant>,
    /// Something was recorded that was not told.
    untold: bool,
    /// When something was recorded or an owner was seen last.
    moved: Option<Instant>,
}

impl Run {
    /// Whether a turn runs, as far as it is known. `overseen`: an owner would be seen.
    fn activity(&self, overseen: bool) -> SessionActivity {
        match (self.turn, &self.owner) {
            (TurnState::Running, Some(_)) => SessionActivity::Working,
            (TurnState::Ended, _) => SessionActivity::Idle,
            // Whatever its records say: without a process no turn runs.
            (TurnState::Running | TurnState::Unknown, None) if overseen => SessionActivity::Idle,
            (TurnState::Running | TurnState::Unknown, _) => SessionActivity::Unknown,
        }
    }
}

/// The thread's state.
pub(super) struct Watcher {
    known: Arc<Known>,
    inbox: Arc<Inbox>,
    clock: Clock,
    /// Where ends of processes are waited for; none: they are seen at the next look.
    runtime: Option<tokio::runtime::Handle>,
    folders: Folders,
    shared: Shared,
    runs: HashMap<Key, Run>,
    /// Rows that may have changed.
    refreshes: HashMap<Key, Refresh>,
    /// Locks that are held by nobody, as seen last.
    stale_locks: HashMap<Key, StaleLock>,
    /// Locks that were made a moment ago, and may be taken any moment.
    fresh_locks: HashMap<Key, (Instant, u32)>,
    exits: HashMap<ProcessIdentity, AbortHandle>,
    /// Sessions without a row: their first words are read when nothing else is to be done, the newest last.
    untitled: Vec<Key>,
    /// What told of renames when it was looked at last, by home.
    names: HashMap<HomeNo, Option<Written>>,
    /// Homes that are another one's folder.
    same: HashSet<HomeNo>,
    /// Nothing is told: it was so before anybody asked.
    silent: bool,
    looked: Instant,
    looked_at_all: Instant,
    checked: Instant,
    clocks: (Timestamp, tokio::time::Instant),
}

impl Watcher {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(super) fn start(known: Arc<Known>, inbox: Arc<Inbox>, clock: Clock) -> std::io::Result<()> {
        let runtime = tokio::runtime::Handle::try_current().ok();
        let body = move || {
            // Whoever waits must not wait for ever, should the thread end by a defect.
            let _released = Released(known.clone());
            let folders = Folders::start(inbox.clone(), &known.homes);
            Self::new(known, inbox, clock, runtime, folders).run();
        };
        std::thread::Builder::new().name("codex-sessions".into()).spawn(body).map(drop)
    }

    fn new(
        known: Arc<Known>,
        inbox: Arc<Inbox>,
        clock: Clock,
        runtime: Option<tokio::runtime::Handle>,
        folders: Folders,
    ) -> Self {
        let now = Instant::now();
        Self {
            clocks: (clock.wall(), clock.monotonic()),
            known,
            inbox,
            clock,
            runtime,
            folders,
            shared: Shared::default(),
            runs: HashMap::new(),
            refreshes: HashMap::new(),
            stale_locks: HashMap::new(),
            fresh_locks: HashMap::new(),
            exits: HashMap::new(),
            untitled: Vec::new(),
            names: HashMap::new(),
            same: HashSet::new(),
            silent: true,
            looked: now,
            looked_at_all: now,
            checked: now,
        }
    }

    fn run(mut self) {
        self.begin();
        loop {
            self.inbox.wait(self.due());
            let mut asked = self.inbox.take();
            if !asked.paths.is_empty() {
                std::thread::sleep(GATHER);
                let more = self.inbox.take();
                asked.paths.extend(more.paths);
                asked.removed.extend(more.removed);
                asked.exited.extend(more.exited);
                asked.everything = asked.everything.or(more.everything);
                asked.poked |= more.poked;
                asked.stop |= more.stop;
            }
            if asked.stop {
                return;
            }
            self.turn(asked);
        }
    }

    /// The watches, then the first index: what happens while the homes are read is heard.
    fn begin(&mut self) {
        self.find_same();
        self.arm();
        self.survey_all();
        self.known.step(Stage::Indexed);
        self.look_at_all_owners();
        self.silent = false;
        self.known.step(Stage::Watching);
    }

    /// One round: what was said, and what is due.
    fn turn(&mut self, asked: Asked) {
        let now = Instant::now();
        for process in asked.exited {
            self.exited(&process);
        }
        if let Some(why) = asked.everything.or_else(|| self.slept()) {
            self.look_at_everything(Some(why));
        }
        for path in asked.removed {
            self.folders.forget_below(&path);
        }
        if !asked.paths.is_empty() {
            self.hinted(asked.paths);
        }
        if asked.poked {
            self.look_at_names();
            let unread = self.known.health().homes.iter().any(|h| h.database.is_some() || !h.folders.is_empty());
            if unread && now >= self.looked_at_all + LOOK_AT_ALL {
                self.look_at_everything(None);
            }
        }
        if now >= self.checked + CHECK {
            self.checked = now;
            if !self.homes().all(|(_, home)| self.folders.stand_over(home)) {
                self.folders.check();
                self.arm_and_look();
            }
            self.look_at_names();
            self.shared.tidy();
        }
        if now >= self.looked + self.pause() {
            self.looked = now;
            self.look();
        }
        if self.folders.trouble().is_some() && now >= self.looked_at_all + LOOK_AT_ALL {
            self.look_at_everything(None);
        }
        self.look_at_fresh_locks();
        self.refresh_due();
        self.tell_due();
        self.title_some();
    }

    /// When something is to be done without a word.
    fn due(&self) -> Instant {
        if !self.untitled.is_empty() {
            return Instant::now();
        }
        let mut due = (self.checked + CHECK).min(self.looked + self.pause());
        if self.folders.trouble().is_some() {
            due = due.min(self.looked_at_all + LOOK_AT_ALL);
        }
        let fresh = self.fresh_locks.values().map(|(at, _)| *at);
        let refreshes = self.refreshes.values().map(|r| r.at);
        let untold = self.runs.values().filter(|r| r.untold).filter_map(|r| r.told).map(|told| told + ACTIVITY);
        fresh.chain(refreshes).chain(untold).fold(due, Instant::min)
    }

    /// How long until the next look without a hint.
    fn pause(&self) -> Duration {
        if self.runs.is_empty() && self.folders.trouble().is_none() { CHECK } else { LOOK }
    }

    /// The homes that are read.
    fn homes(&self) -> impl Iterator<Item = (HomeNo, &CodexHome)> {
        (0..).zip(&self.known.homes).filter(|(no, _)| !self.same.contains(no))
    }

    fn home(&self, no: HomeNo) -> Option<&CodexHome> {
        self.known.homes.get(usize::from(no))
    }

    fn arm(&mut self) -> Vec<PathBuf> {
        let homes = (0..).zip(&self.known.homes).filter(|(no, _)| !self.same.contains(no)).map(|(_, home)| home);
        let new = self.folders.arm(homes);
        self.known.health().watch = self.folders.trouble().map(str::to_owned);
        new
    }

    fn arm_and_look(&mut self) {
        for folder in self.arm() {
            self.look_at_folder(&folder);
        }
    }

    /// Follows hints.
    fn hinted(&mut self, paths: HashSet<PathBuf>) {
        let (mut rollouts, mut folders, mut above) = (Vec::new(), Vec::new(), false);
        let mut locks: HashMap<HomeNo, HashSet<PathBuf>> = HashMap::new();
        for path in paths {
            let found = self.homes().find(|(_, home)| home.is_inside(&path)).map(|(no, home)| {
                (no, path.starts_with(home.locks()), path != home.sessions() && path != home.locks())
            });
            match found {
                Some((no, true, _)) => drop(locks.entry(no).or_default().insert(path)),
                Some((no, false, inside)) => {
                    if path.extension().is_some_and(|e| e == "jsonl" || e == "zst") {
                        rollouts.push((no, path));
                    } else if path.is_dir() {
                        folders.push(path);
                    } else if inside {
                        // A folder that is gone takes its rollouts with it.
                        self.look_below(no, &path);
                    } else {
                        above = true;
                    }
                }
                // The home, or something above it: perhaps one of the two folders is there now, or gone.
                _ => above = true,
            }
        }
        // Who took a session is known before what it does there.
        for (no, paths) in locks {
            above |= self.home(no).is_some_and(|home| !home.locks().is_dir() || paths.contains(&home.locks()));
            self.look_at_locks(no, &paths);
        }
        for folder in folders {
            for new in self.folders.add_below(&folder) {
                self.look_at_folder(&new);
            }
            self.look_at_folder(&folder);
        }
        for (no, path) in rollouts {
            self.look_at_rollout(no, &path);
        }
        if above {
            self.folders.check();
            let gone: Vec<HomeNo> =
                self.homes().filter(|(_, home)| !home.sessions().is_dir()).map(|(no, _)| no).collect();
            self.arm_and_look();
            if gone.iter().any(|no| self.known.index().of_home(*no).next().is_some()) {
                self.look_at_everything(None);
            }
        }
    }

    /// Looks at what is live, without a hint.
    fn look(&mut self) {
        let homes: Vec<HomeNo> = self.homes().map(|(no, _)| no).collect();
        for no in homes {
            self.look_at_locks(no, &HashSet::new());
            for folder in self.newest_folders(no) {
                self.look_at_folder(&folder);
            }
        }
        self.look_at_names();
        let keys: Vec<Key> = self.runs.keys().copied().collect();
        for key in keys {
            let rollout = self.known.index().get(key).and_then(|t| t.rollout.clone());
            if let Some(rollout) = rollout {
                self.look_at_rollout(key.home, &rollout);
            }
        }
        let (folders, index) = (&mut self.folders, self.known.index());
        self.runs.retain(|key, run| {
            let stays = run.owner.is_some() || run.untold || run.moved.is_some_and(|m| m.elapsed() < LINGER);
            if !stays && let Some(rollout) = index.get(*key).and_then(|t| t.rollout.as_deref()) {
                folders.leave(rollout);
            }
            stays
        });
    }

    /// The folders of the last two days in which something was begun: where the next session appears.
    fn newest_folders(&self, no: HomeNo) -> Vec<PathBuf> {
        let Some(home) = self.home(no) else { return Vec::new() };
        let mut level = vec![home.sessions()];
        for _ in 0..3 {
            let mut next: Vec<PathBuf> = level.iter().flat_map(|folder| rollouts::folders_in(folder)).collect();
            next.sort_unstable_by(|a, b| b.cmp(a));
            next.truncate(2);
            level = next;
        }
        level
    }

    /// Tells a change of a session that is in the index.
    fn tell(&self, key: Key, change: SessionChange) {
        let view = self.known.index().view(key);
        if let Some(view) = view.filter(|_| !self.silent) {
            self.known.tell(change, self.clock.wall(), view);
        }
    }

    /// Tells activity that was held back.
    fn tell_due(&mut self) {
        let now = Instant::now();
        let mut due = Vec::new();
        for (key, run) in &mut self.runs {
            if run.untold && run.told.is_none_or(|told| now >= told + ACTIVITY) {
                (run.untold, run.told) = (false, Some(now));
                due.push(*key);
            }
        }
        for key in due {
            self.tell(key, SessionChange::Activity);
        }
    }

    /// Puts what is known of a run where listings see it.
    fn show(&self, key: Key) {
        let overseen = self.overseen(key.home);
        let live = self.runs.get(&key).map(|run| Live {
            activity: run.activity(overseen),
            holders: run.owner.as_ref().map(|o| o.holders.clone()).unwrap_or_default(),
        });
        self.known.index_mut().set_live(key, live);
    }

    /// Whether an owner would be seen.
    fn overseen(&self, no: HomeNo) -> bool {
        self.home(no).is_some_and(|home| home.locks().is_dir())
            && self.known.health().homes.get(usize::from(no)).is_some_and(|h| h.locks.is_none())
    }
}

/// Lets go whoever waits for a thread that has ended.
struct Released(Arc<Known>);

impl Drop for Released {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.health().watch = Some("it ended by a defect of akkd".into());
            tracing::error!("the watch over native sessions ended by a defect");
        }
        self.0.step(Stage::Watching);
    }
}
