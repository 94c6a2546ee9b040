//! Leaving something for akkd in the drop folder.

use crate::environment::{self, set};
use akk_proto::drops::{self, Drop};
use akk_proto::limits::MAX_DROPS;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// What was left, durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    /// Where.
    pub(crate) file: PathBuf,
    /// It lies in memory: a restart of the machine loses it.
    pub(crate) in_memory: bool,
}

/// The drop folder: the one that was named, else the one that akkd put into the environment.
pub(crate) fn drop_folder(given: Option<PathBuf>) -> Option<PathBuf> {
    given.or_else(|| set(environment::DROP_DIR).map(PathBuf::from))
}

/// Leaves `drop` in `folder`. `id` is its name for ever: leaving it again changes nothing.
///
/// # Errors
/// It cannot be written there, or too much lies there already.
pub(super) fn leave(folder: &Path, id: Uuid, drop: &Drop) -> io::Result<Left> {
    let lying = std::fs::read_dir(folder)?.take(MAX_DROPS).count();
    if lying >= MAX_DROPS {
        return Err(io::Error::other(format!("{lying} files lie there already")));
    }
    let name = drops::file_name(id);
    let (unfinished, file) = (folder.join(format!(".{name}")), folder.join(&name));
    // Unfinished: of a former attempt that was cut short.
    match std::fs::remove_file(&unfinished) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let whole = out.write_all(&serde_json::to_vec(drop)?).and_then(|()| out.sync_all());
    if let Err(error) = whole.and_then(|()| std::fs::rename(&unfinished, &file)) {
        // On a full disk half a file helps nobody, and akkd does not look at it.
        let _ = std::fs::remove_file(&unfinished);
        return Err(error);
    }
    // The name is durable only with its folder.
    let directory = File::open(folder)?;
    directory.sync_all()?;
    Ok(Left { in_memory: in_memory(&directory), file })
}

#[cfg(target_os = "linux")]
fn in_memory(directory: &File) -> bool {
    /// `TMPFS_MAGIC` and `RAMFS_MAGIC` of Linux.
    const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];
    rustix::fs::fstatfs(directory).is_ok_and(|fs| IN_MEMORY.contains(&fs.f_type))
}

#[cfg(not(target_os = "linux"))]
fn in_memory(_: &File) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use akk_proto::ConversationId;
    use akk_proto::api::ReportParams;
    use std::os::unix::fs::PermissionsExt as _;

    fn drop_of(body: &str) -> Drop {
        Drop::Report(ReportParams {
            conversation_id: ConversationId::parse("task-20260620T140525-0a1b2c3d").unwrap(),
            ticket: "secret".into(),
            turn_id: None,
            attempt_id: None,
            message: body.into(),
            waits: false,
        })
    }

    #[test]
    fn what_is_left_is_whole_private_and_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let id = Uuid::nil();
        let left = leave(folder.path(), id, &drop_of("a")).unwrap();
        assert_eq!(leave(folder.path(), id, &drop_of("a")).unwrap(), left);
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["00000000-0000-0000-0000-000000000000.json"]);
        let read: Drop = serde_json::from_slice(&std::fs::read(&left.file).unwrap()).unwrap();
        assert_eq!(read, drop_of("a"));
        assert_eq!(left.file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_could_not_be_left_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        // A folder of that name is in the way of the last step.
        std::fs::create_dir(folder.path().join("00000000-0000-0000-0000-000000000000.json")).unwrap();
        assert!(leave(folder.path(), Uuid::nil(), &drop_of("a")).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_full_folder_and_none_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let id = Uuid::nil();
        assert!(leave(&folder.path().join("none"), id, &drop_of("a")).is_err());
        for n in 0..MAX_DROPS {
            std::fs::write(folder.path().join(format!("{n}.json")), "").unwrap();
        }
        assert!(leave(folder.path(), id, &drop_of("a")).unwrap_err().to_string().contains("1000 files"));
    }
}
