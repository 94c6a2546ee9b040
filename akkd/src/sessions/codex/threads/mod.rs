//! The table `threads` of a Codex home: read only, whatever the version.

mod log;
mod row;
mod snapshot;
#[cfg(test)]
mod tests;

pub use row::ThreadRow;

use super::home::CodexHome;
use row::Columns;
use rusqlite::{Connection, ErrorCode, ToSql};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// How often a reading is tried while writers are in the way.
const TRIES: u32 = 4;

/// Why the table could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ThreadsError {
    /// The home cannot be listed.
    #[error("cannot list {}: {error}", home.display())]
    Home {
        /// The home.
        home: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The database cannot be opened or read.
    #[error("cannot read {}: {error}", database.display())]
    Database {
        /// The database.
        database: PathBuf,
        /// Why.
        error: rusqlite::Error,
    },
    /// The table is not what this version of akkd knows.
    #[error("{} has no table `threads` with the columns `id` and `cwd`", database.display())]
    Shape {
        /// The database.
        database: PathBuf,
    },
}

/// Every thread, in no order. Empty where the home has no database.
///
/// # Errors
/// The database is there and cannot be read.
pub fn read_all(home: &CodexHome) -> Result<Vec<ThreadRow>, ThreadsError> {
    read(home, |_| String::new(), &[])
}

/// The threads whose row says that it changed at `updated_ms` (milliseconds since the epoch) or later; all of them where
/// this version does not say. A new name leaves that time as it is, and so do archiving and its undoing at times
/// (codex 0.169): [`read_all`] sees those.
///
/// # Errors
/// The database is there and cannot be read.
pub fn read_since(home: &CodexHome, updated_ms: i64) -> Result<Vec<ThreadRow>, ThreadsError> {
    let newer = |columns: &Columns| columns.updated().map_or_else(String::new, |u| format!("WHERE {u} >= ?1"));
    read(home, newer, &[&updated_ms])
}

/// One thread; none where it has no row.
///
/// # Errors
/// The database is there and cannot be read.
pub fn read_one(home: &CodexHome, id: &str) -> Result<Option<ThreadRow>, ThreadsError> {
    Ok(read(home, |_| "WHERE id = ?1".to_owned(), &[&id])?.into_iter().next())
}

/// The rows that `filter`, made for the columns that are there, lets through.
fn read(
    home: &CodexHome,
    filter: impl Fn(&Columns) -> String,
    values: &[&dyn ToSql],
) -> Result<Vec<ThreadRow>, ThreadsError> {
    let database = home.state_database().map_err(|error| ThreadsError::Home { home: home.path().to_owned(), error })?;
    let Some(database) = database else { return Ok(Vec::new()) };
    let mut tried = 1;
    loop {
        match attempt(&database, &filter, values) {
            Ok(Some(rows)) => return Ok(rows),
            Ok(None) => return Err(ThreadsError::Shape { database }),
            Err(error) if passes(&error) && tried < TRIES => sleep(Duration::from_millis(20 << tried)),
            Err(error) => return Err(ThreadsError::Database { database, error }),
        }
        tried += 1;
    }
}

fn attempt(
    database: &Path,
    filter: &impl Fn(&Columns) -> String,
    values: &[&dyn ToSql],
) -> rusqlite::Result<Option<Vec<ThreadRow>>> {
    let connection = snapshot::open(database)?;
    let columns = columns(&connection)?;
    if !columns.can_be_read() {
        return Ok(None);
    }
    let mut query = connection.prepare(&format!("SELECT {} FROM threads {}", columns.wanted(), filter(&columns)))?;
    let values = if query.parameter_count() == 0 { &[] } else { values };
    let mut found = query.query(values)?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        // A row without an id or a directory is of no use to anyone.
        rows.extend(row::thread(row));
    }
    Ok(Some(rows))
}

fn columns(connection: &Connection) -> rusqlite::Result<Columns> {
    let mut query = connection.prepare("SELECT name FROM pragma_table_info('threads')")?;
    let names = query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(Columns::new(names))
}

/// Whether it is a matter of a moment: a checkpoint, a migration, a file that is being replaced.
fn passes(error: &rusqlite::Error) -> bool {
    use ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, FileLockingProtocolFailed, SchemaChanged, SystemIoFailure,
    };
    let codes = [CannotOpen, DatabaseBusy, DatabaseLocked, FileLockingProtocolFailed, SchemaChanged, SystemIoFailure];
    error.sqlite_error_code().is_some_and(|code| codes.contains(&code))
}
