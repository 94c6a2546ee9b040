//! The database file: who may own it, what it must be, how a connection is set up.
//!
//! Only one akkd opens it (by the lock beside it), and only once at a time: [`refuse_what_is_not_ours`] opens and
//! closes the file to read its header, which would drop this process's locks on it.

use super::error::StoreError;
use super::schema::{APPLICATION_ID, SCHEMA_VERSION};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a statement waits for another program's lock, such as a person's `sqlite3`.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The path of the database with its directory made and resolved, so that SQLite's own refusal of symlinks concerns
/// the file only (on macOS `/var` and `/tmp` are symlinks).
pub(super) fn locate(path: &Path) -> Result<PathBuf, StoreError> {
    let unsafe_path = |why: &str| StoreError::Unsafe { path: path.to_owned(), why: why.to_owned() };
    let name = path.file_name().ok_or_else(|| unsafe_path("it names no file"))?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    Ok(directory.canonicalize()?.join(name))
}

/// Makes the database file (0600) if there is none. Refuses one that is not a regular file of ours, that another
/// program made, or that a newer akkd wrote; such a file is not touched. Takes others' rights on ours away.
pub(super) fn refuse_what_is_not_ours(path: &Path) -> Result<(), StoreError> {
    for suffix in ["-wal", "-shm", "-journal"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        ours(Path::new(&beside))?;
    }
    let Some(found) = ours(path)? else {
        return Ok(create(path).map(drop)?);
    };
    if found.len() > 0 {
        check_header(path)?;
    }
    if found.mode() & 0o077 != 0 {
        std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    }
    Ok(())
}

/// Whether this is a database that this akkd can read. Changes nothing. Not for one that this process has open.
pub(super) fn look(path: &Path) -> Result<(), StoreError> {
    ours(path)?.ok_or_else(|| StoreError::Io { detail: format!("{} is not there", path.display()) })?;
    check_header(path)
}

/// Makes an empty file that only we may read; fails when there is one.
pub(super) fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// What stands at `path`: none, or a regular file of ours.
pub(super) fn ours(path: &Path) -> Result<Option<Metadata>, StoreError> {
    let refuse = |why: String| Err(StoreError::Unsafe { path: path.to_owned(), why });
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let me = rustix::process::geteuid().as_raw();
    if found.is_symlink() {
        refuse("it is a symbolic link".to_owned())
    } else if !found.is_file() {
        refuse("it is not a regular file".to_owned())
    } else if found.uid() != me {
        refuse(format!("it belongs to user {}, we are {me}", found.uid()))
    } else {
        Ok(Some(found))
    }
}

/// Reads what SQLite keeps in the first 100 bytes (its file format, section 1.3): nothing is touched by that.
fn check_header(path: &Path) -> Result<(), StoreError> {
    let mut header = Vec::with_capacity(100);
    File::open(path)?.take(100).read_to_end(&mut header)?;
    let number = |at: usize| {
        header.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, |b: [u8; 4]| u32::from_be_bytes(b))
    };
    let (version, application) = (number(60), number(68) as i32);
    // 0 and 0: we died while making it.
    let made_by_us = application == APPLICATION_ID || (application == 0 && version == 0);
    if header.len() < 100 || !header.starts_with(b"SQLite format 3\0") || !made_by_us {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    refuse_newer(path, version)
}

/// Refuses a version of the schema that this akkd does not know.
pub(super) fn refuse_newer(path: &Path, found: u32) -> Result<(), StoreError> {
    if found > SCHEMA_VERSION {
        return Err(StoreError::NewerSchema { path: path.to_owned(), found, known: SCHEMA_VERSION });
    }
    Ok(())
}

/// A connection that may write. Does not change the database before its version was checked.
pub(super) fn connect_to_write(path: &Path) -> Result<Connection, StoreError> {
    ours(path)?.ok_or_else(|| StoreError::Io { detail: format!("{} is gone", path.display()) })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    // The header may be older than what stands in the write-ahead log, so look again through SQLite, without the
    // checkpoint that closing the only connection would do.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    refuse_newer(path, user_version(&conn)?)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    // Without effect but on macOS, where a plain fsync leaves data in the drive's cache.
    conn.pragma_update(None, "fullfsync", true)?;
    conn.pragma_update(None, "checkpoint_fullfsync", true)?;
    // KiB, as negative numbers are: one writer holds what a group of commits touches.
    conn.pragma_update(None, "cache_size", -2048)?;
    conn.pragma_update(None, "journal_size_limit", 8 << 20)?;
    common(&conn)?;
    Ok(conn)
}

/// A connection that cannot write.
pub(super) fn connect_to_read(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.pragma_update(None, "cache_size", -512)?;
    common(&conn)?;
    Ok(conn)
}

fn common(conn: &Connection) -> Result<(), StoreError> {
    // Mapped pages would count as ours and gain nothing here.
    conn.pragma_update(None, "mmap_size", 0)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// The version of the schema that the database has; 0 for an empty one.
pub(super) fn user_version(conn: &Connection) -> Result<u32, StoreError> {
    Ok(conn.pragma_query_value(None, "user_version", |row| row.get(0))?)
}
