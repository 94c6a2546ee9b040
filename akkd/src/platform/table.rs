//! The process table, read once to answer several questions.

use super::{ProcessIdentity, system};
use std::collections::BTreeSet;
use std::io;

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
    boot: String,
    pid_namespace: u64,
}

impl ProcessTable {
    /// Reads it. Some milliseconds for a few hundred processes.
    ///
    /// # Errors
    /// The system refuses to list processes.
    pub fn read() -> io::Result<Self> {
        Ok(Self {
            entries: system::entries()?,
            boot: system::boot()?.to_owned(),
            pid_namespace: system::pid_namespace()?,
        })
    }

    /// Every living process that belongs to `leader`, without `leader`: members of its group and session, children
    /// and theirs, and, where `marker` is given, those that carry this `NAME=value` in their environment and were
    /// not started before `leader` (what left the group, the session and its parent still inherited that).
    pub fn belonging_to(&self, leader: &ProcessIdentity, marker: Option<&str>) -> Vec<Relative> {
        self.belonging(leader, |pid| marker.is_some_and(|m| system::environment_has(pid, m)))
    }

    fn belonging(&self, leader: &ProcessIdentity, marked: impl Fn(u32) -> bool) -> Vec<Relative> {
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
        ProcessTable { entries, boot: "b".into(), pid_namespace: 1 }
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
        assert_eq!(pids(&t.belonging(&leader(10, 5), |_| false)), [11, 12]);
    }

    #[test]
    fn a_daemon_that_left_everything_is_known_by_its_environment() {
        let t = table(vec![entry(10, 1, 10, 5), entry(20, 1, 20, 8), entry(21, 20, 21, 9), entry(30, 1, 30, 9)]);
        assert_eq!(pids(&t.belonging(&leader(10, 5), |pid| pid == 20)), [20, 21]);
    }

    #[test]
    fn nothing_belongs_to_a_leader_whose_id_was_taken_by_another() {
        let t = table(vec![entry(10, 1, 10, 99), entry(11, 10, 10, 100)]);
        assert!(t.belonging(&leader(10, 5), |_| false).is_empty());
    }

    #[test]
    fn the_group_of_a_dead_leader_is_found() {
        let mut dead = entry(12, 1, 10, 7);
        dead.zombie = true;
        let t = table(vec![entry(11, 1, 10, 6), dead]);
        assert_eq!(pids(&t.belonging(&leader(10, 5), |_| false)), [11]);
    }

    #[test]
    fn what_is_older_or_of_another_user_never_belongs() {
        let mut other = entry(12, 10, 10, 7);
        other.uid = 8;
        let t = table(vec![entry(10, 1, 10, 5), entry(11, 10, 10, 4), other]);
        assert!(t.belonging(&leader(10, 5), |_| true).is_empty());
    }
}
