//! What was left behind: locks whose owner is dead, agents that nobody waits for.

use super::short;
use crate::platform::{ProcessIdentity, stdin_below};
use crate::sessions::codex::locks::{LockHolder, left_locks, lock_holder};
use akk_proto::api::{Check, CheckLevel, check};
use akk_proto::paths::Paths;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Bytes of a lock of acpx.
const MAX_LOCK: u64 = 64 << 10;
/// Locks that are looked at.
const MAX_LOCKS: usize = 200;

/// Locks, and processes that read from the folder of a launch which is not in `live`. `live` is none where no akkd runs:
/// then they are no leftovers, but wait for the next start. Blocks.
pub(super) fn look(
    paths: &Paths,
    homes: &[PathBuf],
    env: &BTreeMap<String, String>,
    live: Option<&BTreeSet<String>>,
) -> Vec<Check> {
    let acpx = env.get("HOME").map(|home| Path::new(home).join(".acpx/queues"));
    let mut checks: Vec<Check> = acpx.iter().filter_map(|folder| acpx_locks(folder, env)).collect();
    checks.extend(homes.iter().filter_map(|home| codex_locks(home, env)));
    checks.extend(agents(&paths.launches(), live));
    if checks.is_empty() {
        checks.push(Check::new(check::LEFT, "leftovers", CheckLevel::Ok, "no dead lock and no lost agent", None));
    }
    checks
}

/// Locks of acpx's queue owners that are dead: acpx 0.19 writes the owner's process id into each.
fn acpx_locks(folder: &Path, env: &BTreeMap<String, String>) -> Option<Check> {
    let locks = std::fs::read_dir(folder).ok()?.flatten().filter(|e| e.path().extension().is_some_and(|x| x == "lock"));
    let dead = locks.take(MAX_LOCKS).filter(|lock| owner(&lock.path()).is_some_and(is_dead)).count();
    (dead > 0).then(|| {
        let found = format!("{dead} in {} of queue owners that are dead", short(folder, env));
        Check::new(
            check::LEFT,
            "acpx locks",
            CheckLevel::Note,
            found,
            Some("acpx takes them over when it needs them; you may remove them."),
        )
    })
}

fn owner(lock: &Path) -> Option<u32> {
    let meta = lock.symlink_metadata().ok()?;
    if !meta.is_file() || meta.len() > MAX_LOCK {
        return None;
    }
    let lock: serde_json::Value = serde_json::from_slice(&std::fs::read(lock).ok()?).ok()?;
    u32::try_from(lock.get("pid")?.as_u64()?).ok()
}

fn is_dead(pid: u32) -> bool {
    // What cannot be read is not called dead.
    ProcessIdentity::of(pid).is_ok_and(|process| process.is_none())
}

/// Writer locks of Codex that nobody holds.
fn codex_locks(home: &Path, env: &BTreeMap<String, String>) -> Option<Check> {
    let ids = left_locks(home).ok()?;
    let nobody = |id: &String| lock_holder(home, id).is_ok_and(|holder| holder == LockHolder::Nobody);
    let dead = ids.iter().take(MAX_LOCKS).filter(|id| nobody(id)).count();
    (dead > 0).then(|| {
        let found = format!("{dead} in {} that no process holds", short(home, env));
        Check::new(
            check::LEFT,
            "Codex locks",
            CheckLevel::Note,
            found,
            Some("They stand in nobody's way: a lock counts only while a process holds it."),
        )
    })
}

fn agents(launches: &Path, live: Option<&BTreeSet<String>>) -> Option<Check> {
    let folder = launches.canonicalize().ok()?;
    // Not told on macOS.
    let found = stdin_below(&folder).ok()?;
    let launch = |path: &Path| {
        let name = path.strip_prefix(&folder).ok()?.components().next()?;
        Some(name.as_os_str().to_string_lossy().into_owned())
    };
    let lost: Vec<String> = found
        .iter()
        .filter(|(path, _)| live.is_none_or(|live| launch(path).is_some_and(|id| !live.contains(&id))))
        .map(|(_, process)| process.pid.to_string())
        .collect();
    if lost.is_empty() {
        return None;
    }
    let pids = lost.join(", ");
    Some(if live.is_some() {
        let hint = "See what they are with `ps -fp PID`; akkd does not know their tasks any more, you may end them.";
        let found = format!("no task belongs to these processes of agents: {pids}");
        Check::new(check::LEFT, "agents", CheckLevel::Warn, found, Some(hint))
    } else {
        let found = format!("agents run without akkd, which finds them when it starts: {pids}");
        Check::new(check::LEFT, "agents", CheckLevel::Note, found, Some("Run `akkctl daemon start`."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use akk_proto::paths::Environment;

    #[test]
    fn locks_of_the_dead_are_told_and_those_of_the_living_are_not() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::resolve(&Environment { akk_home: Some(home.path().join("akk")), ..Environment::default() });
        let env = BTreeMap::from([("HOME".to_owned(), home.path().to_str().unwrap().to_owned())]);
        let codex = [home.path().join(".codex")];
        let none = look(&paths, &codex, &env, Some(&BTreeSet::new()));
        assert_eq!((none.len(), none[0].level), (1, CheckLevel::Ok));

        let mut gone = std::process::Command::new("true").spawn().unwrap();
        let dead = gone.id();
        gone.wait().unwrap();
        let queues = home.path().join(".acpx/queues");
        std::fs::create_dir_all(&queues).unwrap();
        for (name, pid) in [("a.lock", dead), ("b.lock", std::process::id())] {
            std::fs::write(queues.join(name), format!(r#"{{"pid": {pid}}}"#)).unwrap();
        }
        std::fs::write(queues.join("c.lock"), "junk").unwrap();
        let locks = codex[0].join("thread-writer-locks");
        std::fs::create_dir_all(&locks).unwrap();
        std::fs::write(locks.join("01980000-0000-7000-8000-000000000001.lock"), "").unwrap();
        std::fs::write(locks.join("notes.txt"), "").unwrap();
        let told = look(&paths, &codex, &env, None);
        let told: Vec<_> = told.iter().map(|c| format!("{}: {}", c.name, c.found)).collect();
        assert_eq!(
            told,
            [
                "acpx locks: 1 in ~/.acpx/queues of queue owners that are dead",
                "Codex locks: 1 in ~/.codex that no process holds"
            ]
        );
    }
}
