//! What akkd keeps: folders and files, who may reach them, the room on their disk, and whether the database is whole.

use super::short;
use crate::store::{Integrity, StoreError, check_integrity};
use akk_proto::api::{Check, CheckLevel, check};
use akk_proto::error::Failure;
use akk_proto::paths::Paths;
use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::time::Duration;

/// How long the database is looked at.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Bytes below which the disk is nearly full: a busy day of logs and histories.
const LITTLE: u64 = 1 << 30;
/// Bytes below which akkd soon cannot write.
const TOO_LITTLE: u64 = 64 << 20;
/// Files below which nothing new can be made soon, where the file system counts them.
const FEW_FILES: u64 = 10_000;

/// Folders, files, disk and database. Blocks. `running`: this process has the database open.
pub(super) fn look(paths: &Paths, env: &BTreeMap<String, String>, running: bool) -> Vec<Check> {
    let line = |name: &str, level, found: String, hint: Option<&str>| Check::new(check::HOME, name, level, found, hint);
    if !running && !paths.state.exists() {
        let found = format!("{} is made when akkd first starts", short(&paths.state, env));
        return vec![line("home", CheckLevel::Note, found, None)];
    }
    let mut checks = vec![written(&paths.state, env)];
    let me = rustix::process::geteuid().as_raw();
    let wrong: Vec<Wrong> = [
        (&paths.state, Kind::Folder),
        (&paths.run, Kind::Folder),
        (&paths.logs(), Kind::Folder),
        (&paths.launches(), Kind::Folder),
        (&paths.database(), Kind::File),
        (&paths.control_socket, Kind::Socket),
        (&paths.callback_socket, Kind::Socket),
    ]
    .into_iter()
    .filter_map(|(path, kind)| {
        let found = path.symlink_metadata().ok()?;
        let file = found.file_type();
        let is = match kind {
            Kind::Folder => file.is_dir(),
            Kind::File => file.is_file(),
            Kind::Socket => file.is_socket(),
        };
        let Wrong { cured_by_start, why } = judge(kind, is, found.uid(), found.mode(), me)?;
        Some(Wrong { cured_by_start, why: format!("{} {why}", short(path, env)) })
    })
    .collect();
    let told = || wrong.iter().map(|w| w.why.as_str()).collect::<Vec<_>>().join("; ");
    checks.push(if wrong.is_empty() {
        line("permissions", CheckLevel::Ok, "everything there belongs to you and is closed to others".to_owned(), None)
    } else if !running && wrong.iter().all(|w| w.cured_by_start) {
        line("permissions", CheckLevel::Note, format!("{}; akkd closes that when it starts", told()), None)
    } else {
        let hint = "Run `chmod 700` on folders, `chmod 600` on files and sockets, and let them belong to you.";
        line("permissions", CheckLevel::Fail, told(), Some(hint))
    });
    checks.extend(disk(&paths.state, env));
    let database = paths.database();
    if running || database.exists() {
        let size = database.metadata().map_or(0, |m| m.len());
        checks.push(integrity(check_integrity(&database, running, PATIENCE), &short(&database, env), size));
    }
    checks
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Folder,
    File,
    Socket,
}

/// What is wrong with a thing of ours.
#[derive(Debug, PartialEq, Eq)]
struct Wrong {
    /// akkd puts it right by itself when it starts.
    cured_by_start: bool,
    /// The rest of a sentence.
    why: String,
}

fn judge(kind: Kind, is: bool, owner: u32, mode: u32, me: u32) -> Option<Wrong> {
    let word = match kind {
        Kind::Folder => "folder",
        Kind::File => "file",
        Kind::Socket => "socket",
    };
    let open = mode & 0o077;
    let (cured_by_start, why) = if !is {
        (false, format!("is no {word}"))
    } else if owner != me {
        (false, format!("belongs to user {owner}, not to you ({me})"))
    } else if open != 0 {
        (true, format!("is open to others (mode {:o})", mode & 0o777))
    } else {
        return None;
    };
    Some(Wrong { cured_by_start, why })
}

/// Whether akkd can write where its database lies.
fn written(state: &Path, env: &BTreeMap<String, String>) -> Check {
    let probe = state.join(format!("doctor-{}", uuid::Uuid::now_v7().simple()));
    let written = std::fs::write(&probe, [0; 4096]);
    // Of a full disk, the empty file is there.
    let removed = std::fs::remove_file(&probe);
    let place = short(state, env);
    match written.and(removed) {
        Ok(()) => Check::new(check::HOME, "home", CheckLevel::Ok, format!("{place} can be written"), None),
        Err(e) => {
            let hint = "Free some room there, and let it belong to you, with mode 0700.";
            Check::new(check::HOME, "home", CheckLevel::Fail, format!("{place} cannot be written: {e}"), Some(hint))
        }
    }
}

fn disk(state: &Path, env: &BTreeMap<String, String>) -> Option<Check> {
    let told = rustix::fs::statvfs(state).ok()?;
    // Some file systems do not count files.
    let files = (told.f_files > 0).then_some(told.f_favail);
    Some(room(told.f_bavail.saturating_mul(told.f_frsize), files, &short(state, env)))
}

/// The line of the disk, by the bytes and files that may still be written.
fn room(free: u64, files: Option<u64>, place: &str) -> Check {
    let found = match files {
        Some(files) if files < FEW_FILES => {
            format!("{} free where {place} lies, but only {files} more files", bytes(free))
        }
        _ => format!("{} free where {place} lies", bytes(free)),
    };
    let few = files.is_some_and(|f| f < FEW_FILES);
    let (level, hint) = match free {
        ..TOO_LITTLE => (CheckLevel::Fail, Some("Free some room: akkd refuses what it cannot keep.")),
        ..LITTLE => (CheckLevel::Warn, Some("Free some room before akkd cannot write any more.")),
        _ if few => (CheckLevel::Warn, Some("Remove files there that nobody needs.")),
        _ => (CheckLevel::Ok, None),
    };
    Check::new(check::HOME, "disk", level, found, hint)
}

/// `1.5 GiB`.
fn bytes(n: u64) -> String {
    match n {
        0x4000_0000.. => format!("{:.1} GiB", n as f64 / f64::from(1 << 30)),
        0x10_0000.. => format!("{} MiB", n >> 20),
        _ => format!("{} KiB", n >> 10),
    }
}

fn integrity(found: Result<Integrity, StoreError>, place: &str, size: u64) -> Check {
    let line = |level, found: String, hint: Option<&str>| Check::new(check::HOME, "database", level, found, hint);
    let size = bytes(size);
    match found {
        Ok(Integrity::Whole) => line(CheckLevel::Ok, format!("{place}, {size}, is whole"), None),
        Ok(Integrity::WholeSoFar) => {
            let found = format!("{place}, {size}: nothing wrong in what could be looked at in {PATIENCE:.1?}");
            line(CheckLevel::Ok, found, None)
        }
        Ok(Integrity::Damaged(what)) => {
            let hint = "Run `akkctl daemon stop`, keep a copy of the file, and repair it with `sqlite3 FILE .recover`.";
            line(CheckLevel::Fail, format!("{place} is damaged: {what}"), Some(hint))
        }
        Err(e) => {
            let failure = Failure::from(e);
            line(CheckLevel::Fail, failure.message, Some(&failure.hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use akk_proto::paths::Environment;
    use std::os::unix::fs::PermissionsExt as _;

    fn shown(check: &Check) -> String {
        let hint = check.hint.as_ref().map(|h| format!("\n    {h}")).unwrap_or_default();
        format!("{:?} {}: {}{hint}", check.level, check.name, check.found)
    }

    #[test]
    fn room_and_database_are_judged_with_what_to_do() {
        let all = [
            room(300 << 30, None, "~/akk"),
            room(300 << 30, Some(12), "~/akk"),
            room(500 << 20, Some(1 << 20), "~/akk"),
            room(3 << 10, None, "~/akk"),
            integrity(Ok(Integrity::Whole), "~/akk/akk.db", 1 << 20),
            integrity(Ok(Integrity::WholeSoFar), "~/akk/akk.db", 9 << 30),
            integrity(Ok(Integrity::Damaged("row 3 missing".to_owned())), "~/akk/akk.db", 1 << 20),
            integrity(Err(StoreError::Foreign { path: "/h/akk.db".into() }), "~/akk/akk.db", 0),
        ];
        insta::assert_snapshot!(all.iter().map(shown).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn what_is_open_to_others_or_not_ours_is_told() {
        assert_eq!(judge(Kind::Folder, true, 7, 0o40_700, 7), None);
        let wrong = |cured_by_start, why: &str| Some(Wrong { cured_by_start, why: why.to_owned() });
        assert_eq!(judge(Kind::File, true, 7, 0o100_640, 7), wrong(true, "is open to others (mode 640)"));
        assert_eq!(judge(Kind::Socket, true, 8, 0o140_600, 7), wrong(false, "belongs to user 8, not to you (7)"));
        assert_eq!(judge(Kind::Socket, false, 7, 0o100_600, 7), wrong(false, "is no socket"));
    }

    #[test]
    fn a_home_that_is_not_there_is_no_fault_and_a_look_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("akk");
        let environment = Environment { akk_home: Some(home.clone()), ..Environment::default() };
        let paths = Paths::resolve(&environment);
        let env = BTreeMap::new();
        let checks = look(&paths, &env, false);
        assert_eq!((checks.len(), checks[0].level), (1, CheckLevel::Note));
        assert!(!home.exists());
        std::fs::create_dir_all(paths.logs()).unwrap();
        std::fs::set_permissions(paths.logs(), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).unwrap();
        let checks = look(&paths, &env, false);
        let permissions = checks.iter().find(|c| c.name == "permissions").unwrap();
        assert!(
            permissions.level == CheckLevel::Note && permissions.found.contains("logs is open to others (mode 755)")
        );
        assert_eq!(std::fs::read_dir(&home).unwrap().count(), 1);
    }
}
