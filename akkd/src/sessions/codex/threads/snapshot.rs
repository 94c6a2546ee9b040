//! Opening Codex's database without leaving anything behind.
//!
//! A database in WAL mode whose `-wal` and `-shm` are gone gets new ones from every connection, also from one that only
//! reads, and such a one leaves them behind (observed with SQLite 3.40 and 3.50); in a directory that cannot be written
//! the connection fails instead. Those files are gone when the last writer closed the database, and then all of it is
//! in the one file: that one is read into memory.

use rusqlite::{Connection, OpenFlags};
use std::fs::{File, Metadata};
use std::io::{self, Cursor, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A larger database is opened in place.
const MEMORY_BOUND: u64 = 256 << 20;

/// How long a lock of a writer is waited for.
const BUSY: Duration = Duration::from_secs(1);

/// How often a copy is tried while writers come and go.
const TRIES: usize = 3;

/// Where the header says how the file is written and read: 2 is WAL, 1 is not (SQLite file format, 1.3.3).
const VERSIONS: [usize; 2] = [18, 19];

/// A connection that reads `database` as it is now.
///
/// # Errors
/// It cannot be opened, or is no database.
pub(super) fn open(database: &Path) -> rusqlite::Result<Connection> {
    for _ in 0..TRIES {
        if let Some(connection) = copy(database)? {
            return Ok(connection);
        }
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// A copy in memory; none when a writer has it open, or had while it was copied.
fn copy(database: &Path) -> rusqlite::Result<Option<Connection>> {
    let Some(before) = settled(database) else { return Ok(None) };
    if before.len() > MEMORY_BOUND {
        return Ok(None);
    }
    let Ok((header, rest)) = read_header(database) else { return Ok(None) };
    let mut connection = Connection::open_in_memory()?;
    let length = usize::try_from(before.len()).unwrap_or(usize::MAX);
    let copied = connection.deserialize_read_exact("main", Cursor::new(header).chain(rest), length, true);
    let unchanged = settled(database).is_some_and(|after| stamp(&after) == stamp(&before));
    if !unchanged {
        return Ok(None);
    }
    copied.map(|()| Some(connection))
}

/// The database's facts when everything is in the one file: no log with anything in it, nothing to roll back.
fn settled(database: &Path) -> Option<Metadata> {
    let is_empty = |suffix| match std::fs::metadata(beside(database, suffix)) {
        Ok(file) => file.len() == 0,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    // The log first: a writer fills it before it touches the database.
    let settled = is_empty("-wal") && is_empty("-journal");
    let facts = std::fs::metadata(database).ok()?;
    (settled && facts.len() > 100).then_some(facts)
}

/// What changes with every write.
fn stamp(facts: &Metadata) -> (u64, u64, i64, i64) {
    (facts.ino(), facts.len(), facts.mtime(), facts.mtime_nsec())
}

/// The beginning of the file, as if it were not in WAL mode, and the rest.
fn read_header(database: &Path) -> io::Result<([u8; 100], File)> {
    let mut file = File::open(database)?;
    let mut header = [0; 100];
    file.read_exact(&mut header)?;
    for at in VERSIONS {
        header[at] = header[at].min(1);
    }
    Ok((header, file))
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
