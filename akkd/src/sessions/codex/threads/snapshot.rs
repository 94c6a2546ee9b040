//! Opening Codex's database without leaving anything behind.
//!
//! A database in WAL mode whose `-wal` and `-shm` are gone gets new ones from every connection, also from one that only
//! reads, and such a one leaves them there (observed with SQLite 3.40 and 3.51); in a directory that cannot be written it
//! fails instead. But who writes has all three open, so that a database without them lies still: it is read into memory.

use super::log;
use rusqlite::{Connection, OpenFlags};
use std::fs::{File, Metadata};
use std::io::{self, Cursor, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A larger database is opened in place.
const MEMORY_BOUND: u64 = 256 << 20;

/// How long a lock of a writer is waited for.
const BUSY: Duration = Duration::from_secs(1);

/// How often a copy is tried while writers come and go.
const TRIES: usize = 3;

/// Bytes of the file's header. In it is said how the file is written and read: 2 is WAL, 1 is not (SQLite file format,
/// 1.3.3).
const HEADER: usize = 100;
const VERSIONS: [usize; 2] = [18, 19];

/// A connection that reads `database` as it is now.
///
/// # Errors
/// It cannot be opened, or is no database.
pub(super) fn open(database: &Path) -> rusqlite::Result<Connection> {
    for _ in 0..TRIES {
        match copy(database)? {
            Copied::Whole(connection) => return Ok(connection),
            Copied::Changed => {}
            Copied::InUse => break,
        }
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

enum Copied {
    Whole(Connection),
    /// A writer came while it was copied.
    Changed,
    /// A writer has it open, or it is too large.
    InUse,
}

fn copy(database: &Path) -> rusqlite::Result<Copied> {
    let Some(before) = Still::look(database) else { return Ok(Copied::InUse) };
    let Ok((content, length)) = before.content(database) else { return Ok(Copied::Changed) };
    let mut connection = Connection::open_in_memory()?;
    let copied = connection.deserialize_read_exact("main", content, length, true);
    if Still::look(database).is_none_or(|after| after != before) {
        return Ok(Copied::Changed);
    }
    copied.map(|()| Copied::Whole(connection))
}

/// A database that nobody writes.
#[derive(PartialEq, Eq)]
struct Still {
    file: Stamp,
    /// What a killed writer left.
    log: Option<Stamp>,
}

/// What changes with every write: inode, length, time.
type Stamp = (u64, u64, i64, i64);

impl Still {
    /// None when it may be written now, or is too large, or is none.
    fn look(database: &Path) -> Option<Self> {
        // The log first: a writer fills it before it touches the database.
        let log = file(&beside(database, "-wal")).ok()?.filter(|log| log.len() > 0);
        let shared = file(&beside(database, "-shm")).ok()?;
        if log.is_some() && shared.is_some() || file(&beside(database, "-journal")).ok()?.is_some_and(|j| j.len() > 0) {
            return None;
        }
        let file = file(database).ok()??;
        let length = file.len() + log.as_ref().map_or(0, Metadata::len);
        let fits = file.len() >= HEADER as u64 && length <= MEMORY_BOUND;
        fits.then(|| Self { file: stamp(&file), log: log.as_ref().map(stamp) })
    }

    /// All of it, as if it were not in WAL mode; and how long that is.
    fn content(&self, database: &Path) -> io::Result<(Box<dyn Read>, usize)> {
        let mut file = File::open(database)?;
        let length = usize::try_from(self.file.1).map_err(io::Error::other)?;
        let mut header = vec![0; HEADER];
        if self.log.is_none() {
            file.read_exact(&mut header)?;
            without_log(&mut header);
            return Ok((Box::new(Cursor::new(header).chain(file)), length));
        }
        let mut content = Vec::with_capacity(length);
        file.read_to_end(&mut content)?;
        log::apply(&mut content, &std::fs::read(beside(database, "-wal"))?);
        without_log(&mut content);
        let length = content.len();
        Ok((Box::new(Cursor::new(content)), length))
    }
}

fn without_log(content: &mut [u8]) {
    for at in VERSIONS {
        if let Some(version) = content.get_mut(at) {
            *version = (*version).min(1);
        }
    }
}

fn file(path: &Path) -> io::Result<Option<Metadata>> {
    match std::fs::metadata(path) {
        Ok(facts) => Ok(Some(facts)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn stamp(facts: &Metadata) -> Stamp {
    (facts.ino(), facts.len(), facts.mtime(), facts.mtime_nsec())
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
