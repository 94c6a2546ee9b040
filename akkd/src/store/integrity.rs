//! Whether the database is whole, without writing to it.

use super::error::StoreError;
use super::file;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// What SQLite found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Integrity {
    /// Everything is where it should be.
    Whole,
    /// What was looked at until the time was over is right.
    WholeSoFar,
    /// The first thing that is wrong.
    Damaged(String),
}

/// Runs SQLite's `quick_check` on the database at `path`, for `patience` at most. Blocks.
///
/// `in_use`: whether an akkd has it open. Where none has, and nothing waits in a write-ahead log, no file is made beside it.
///
/// # Errors
/// It is not there, not ours, of a newer version, or cannot be read.
pub fn check_integrity(path: &Path, in_use: bool, patience: Duration) -> Result<Integrity, StoreError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let conn = if in_use || Path::new(&log).metadata().is_ok_and(|m| m.len() > 0) {
        file::connect_to_read(path)?
    } else {
        // Not where this process has it open: to open and close the file would drop its locks.
        file::look(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(immutable(path), flags)?
    };
    let (done, is_done) = mpsc::channel::<()>();
    let interrupt = conn.get_interrupt_handle();
    let told: Result<String, rusqlite::Error> = std::thread::scope(|scope| {
        scope.spawn(move || {
            if is_done.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
                interrupt.interrupt();
            }
        });
        let told = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
        drop(done);
        told
    });
    match told {
        Ok(text) if text == "ok" => Ok(Integrity::Whole),
        Ok(text) => Ok(Integrity::Damaged(text.lines().next().unwrap_or_default().to_owned())),
        Err(e) if e.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => Ok(Integrity::WholeSoFar),
        Err(e) if e.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt) => {
            Ok(Integrity::Damaged(e.to_string()))
        }
        Err(e) => Err(e.into()),
    }
}

/// The address of a file that nobody changes.
fn immutable(path: &Path) -> String {
    use std::fmt::Write as _;
    let mut address = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(byte) {
            address.push(*byte as char);
        } else {
            // Writing to a string does not fail.
            let _ = write!(address, "%{byte:02x}");
        }
    }
    address + "?immutable=1"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn a_database_is_whole_until_a_page_is_smashed_and_a_look_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a b%.db");
        let store = Store::open(&path).unwrap();
        assert_eq!(check_integrity(&path, true, Duration::from_mins(1)).unwrap(), Integrity::Whole);
        store.close().await;
        let beside = || std::fs::read_dir(dir.path()).unwrap().count();
        let before = beside();
        assert_eq!(check_integrity(&path, false, Duration::from_mins(1)).unwrap(), Integrity::Whole);
        assert_eq!(beside(), before, "nothing is left beside it");
        assert!(check_integrity(&dir.path().join("none"), false, Duration::from_mins(1)).is_err());

        let mut bytes = std::fs::read(&path).unwrap();
        let size = bytes.len();
        bytes[4096 * 2..size.min(4096 * 12)].fill(0x5a);
        std::fs::write(&path, bytes).unwrap();
        let found = check_integrity(&path, false, Duration::from_mins(1)).unwrap();
        assert!(matches!(found, Integrity::Damaged(_)), "{found:?}");
    }
}
