//! The process table, read once to answer several questions.

use super::{ProcessIdentity, system};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Mutex;

/// The environment variable by which a descendant of a launch is known wherever it went. No secret: its value is the
/// launch's id.
pub const LAUNCH_VARIABLE: &str = "AKK_LAUNCH";

/// One process of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessEntry {
    /// Its id.
    pub pid: u32,
    /// Its parent's id.
    pub parent: u32,
    /// Its process group, where the system tells.
    pub group: Option<u32>,
    /// Its session, where the system tells.
    pub session: Option<u32>,
    /// When it was started, in the unit of [`ProcessIdentity::started`].
    pub started: u64,
    /// Its real user id.
    pub uid: u32,
    /// Whether it is dead and only waits to be reaped.
    pub zombie: bool,
}

/// A process that belongs to another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relative {
    /// Which.
    pub process: ProcessIdentity,
    /// Whether a signal to the leader's group reaches it.
    pub in_group: bool,
}

/// The processes at one moment.
#[derive(Debug, Clone)]
pub struct ProcessTable {
    entries: Vec<ProcessEntry>,
    /// What [`LAUNCH_VARIABLE`] is in the environments that this user may read.
    launches: HashMap<u32, String>,
    boot: String,
    pid_namespace: u64,
}

impl ProcessTable {
    /// The processes as they are now, or at a moment after this was called: who asks while the table is being read
    /// shares the next reading, so that a hundred agents can be ended at the price of a few.
    ///
    /// # Errors
    /// The system refuses to list processes.
    pub async fn now() -> io::Result<Arc<Self>> {
        static LATEST: Mutex<Option<(Instant, Arc<ProcessTable>)>> = Mutex::const_new(None);
        let asked = Instant::now();
        let mut latest = LATEST.lock().await;
        if let Some((begun, table)) = latest.as_ref().filter(|(begun, _)| *begun >= asked) {
            tracing::trace!(?begun, "a reading of the process table is shared");
            return Ok(Arc::clone(table));
        }
        let begun = Instant::now();
        let table = tokio::task::spawn_blocking(Self::read).await.map_err(io::Error::other)??;
        let table = Arc::new(table);
        *latest = Some((begun, Arc::clone(&table)));
        Ok(table)
    }

    /// Reads it. Some milliseconds for a few hundred processes.
    fn read() -> io::Result<Self> {
        let entries = system::entries()?;
        let pids = entries.iter().filter(|e| !e.zombie).map(|e| e.pid);
        let launches = system::environment_variables(pids, LAUNCH_VARIABLE);
        Ok(Self { entries, launches, boot: system::boot()?.to_owned(), pid_namespace: system::pid_namespace()? })
    }

    /// `pid`, its parent, and so on up to the first process, as far as the table knows them.
    pub fn lineage(&self, pid: u32) -> Vec<ProcessIdentity> {
        let mut line: Vec<ProcessIdentity> = Vec::new();
        let mut next = pid;
        while let Some(entry) = self.entries.iter().find(|e| e.pid == next) {
            // A table that is not of one moment could hold a circle.
            if line.iter().any(|p| p.pid == entry.pid) {
                break;
            }
            line.push(ProcessIdentity::from_entry(entry, &self.boot, self.pid_namespace));
            next = entry.parent;
        }
        line
    }

    /// The launch that a process says in its environment to descend from, as far as this user may read that.
    pub fn launch_of(&self, pid: u32) -> Option<&str> {
        self.launches.get(&pid).map(String::as_str)
    }

    /// Every living process that belongs to `leader`, without `leader`: members of its group and session, children
    /// and theirs, and those that have `launch` as [`LAUNCH_VARIABLE`] in their environment and were not started
    /// before `leader` (what left the group, the session and its parent still inherited that).
    pub fn belonging_to(&self, leader: &ProcessIdentity, launch: &str) -> Vec<Relative> {
        let marked = |pid: u32| self.launches.get(&pid).is_some_and(|l| l == launch);
        if leader.boot != self.boot || leader.pid_namespace != self.pid_namespace {
            return Vec::new();
        }
        // When another process has the leader's id by now, groups and children by that number are not the leader's.
        let taken = self.entries.iter().any(|e| e.pid == leader.pid && !leader.is(e));
        let candidates =
            self.entries.iter().filter(|e| e.pid != leader.pid && e.uid == leader.uid && e.started >= leader.started);
        let mut found: BTreeSet<u32> = candidates
            .clone()
            .filter(|e| {
                let inside = !taken && (e.group == Some(leader.pid) || e.session == Some(leader.pid));
                inside || marked(e.pid)
            })
            .map(|e| e.pid)
            .collect();
        loop {
            let children: Vec<u32> = candidates
                .clone()
                .filter(|e| !found.contains(&e.pid))
                .filter(|e| found.contains(&e.parent) || (!taken && e.parent == leader.pid))
                .map(|e| e.pid)
                .collect();
            if children.is_empty() {
                break;
            }
            found.extend(children);
        }
        self.entries
            .iter()
            .filter(|e| found.contains(&e.pid) && !e.zombie)
            .map(|e| Relative {
                process: ProcessIdentity::from_entry(e, &self.boot, self.pid_namespace),
                in_group: e.group.or(e.session) == Some(leader.pid),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pid: u32, parent: u32, group: u32, started: u64) -> ProcessEntry {
        ProcessEntry { pid, parent, group: Some(group), session: Some(group), started, uid: 7, zombie: false }
    }

    fn table(entries: Vec<ProcessEntry>) -> ProcessTable {
        ProcessTable { entries, launches: HashMap::new(), boot: "b".into(), pid_namespace: 1 }
    }

    fn leader(pid: u32, started: u64) -> ProcessIdentity {
        ProcessIdentity { boot: "b".into(), pid_namespace: 1, pid, started, uid: 7 }
    }

    fn pids(found: &[Relative]) -> Vec<u32> {
        found.iter().map(|p| p.process.pid).collect()
    }

    #[test]
    fn a_grandchild_that_left_the_group_still_belongs() {
        let t = table(vec![entry(1, 0, 1, 0), entry(10, 1, 10, 5), entry(11, 10, 10, 6), entry(12, 11, 12, 7)]);
        assert_eq!(pids(&t.belonging_to(&leader(10, 5), "l")), [11, 12]);
    }

    #[test]
    fn a_daemon_that_left_everything_is_known_by_its_environment() {
        let mut t = table(vec![entry(10, 1, 10, 5), entry(20, 1, 20, 8), entry(21, 20, 21, 9), entry(30, 1, 30, 9)]);
        t.launches.extend([(20, "l".to_owned()), (30, "other".to_owned())]);
        assert_eq!(pids(&t.belonging_to(&leader(10, 5), "l")), [20, 21]);
    }

    #[test]
    fn nothing_belongs_to_a_leader_whose_id_was_taken_by_another() {
        let t = table(vec![entry(10, 1, 10, 99), entry(11, 10, 10, 100)]);
        assert!(t.belonging_to(&leader(10, 5), "l").is_empty());
    }

    #[test]
    fn the_group_of_a_dead_leader_is_found() {
        let mut dead = entry(12, 1, 10, 7);
        dead.zombie = true;
        let t = table(vec![entry(11, 1, 10, 6), dead]);
        assert_eq!(pids(&t.belonging_to(&leader(10, 5), "l")), [11]);
    }

    #[test]
    fn a_lineage_goes_up_to_the_first_process_and_ends_in_a_circle() {
        let t = table(vec![entry(1, 0, 1, 0), entry(10, 1, 10, 5), entry(11, 10, 10, 6), entry(12, 11, 12, 7)]);
        let line = |t: &ProcessTable, pid| t.lineage(pid).iter().map(|p| p.pid).collect::<Vec<_>>();
        assert_eq!(line(&t, 12), [12, 11, 10, 1]);
        assert_eq!(line(&t, 99), [0; 0]);
        let circle = table(vec![entry(10, 11, 10, 5), entry(11, 10, 10, 6)]);
        assert_eq!(line(&circle, 10), [10, 11]);
    }

    #[test]
    fn what_is_older_or_of_another_user_never_belongs() {
        let mut other = entry(12, 10, 10, 7);
        other.uid = 8;
        let mut t = table(vec![entry(10, 1, 10, 5), entry(11, 10, 10, 4), other]);
        t.launches.extend([(11, "l".to_owned()), (12, "l".to_owned())]);
        assert!(t.belonging_to(&leader(10, 5), "l").is_empty());
    }
}
