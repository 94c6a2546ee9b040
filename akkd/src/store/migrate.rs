//! From any older schema to this one, step by step, after a copy was put aside.

use super::error::StoreError;
use super::file;
use super::schema::{APPLICATION_ID, AUDIT, PLANS, PLUGIN, SCHEMA, SCHEMA_VERSION};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::fs::File;
use std::path::{Path, PathBuf};

/// One step: from the version that is its place in the list, plus one, to the next.
type Step = fn(&Transaction<'_>) -> rusqlite::Result<()>;

/// The steps from schema 1 to [`SCHEMA_VERSION`]. A step never changes once it was released.
const STEPS: [Step; SCHEMA_VERSION as usize - 1] =
    [|tx| tx.execute_batch(PLANS), |tx| tx.execute_batch(PLUGIN), |tx| tx.execute_batch(AUDIT)];

/// Brings the database to this version's schema. A new one gets it at once.
///
/// Returns the copy that was put aside, if an older one was changed. All steps are one transaction: after a crash
/// the database is as old as before.
pub(super) fn migrate(conn: &mut Connection, path: &Path) -> Result<Option<PathBuf>, StoreError> {
    migrate_by(conn, path, &STEPS)
}

fn migrate_by(conn: &mut Connection, path: &Path, steps: &[Step]) -> Result<Option<PathBuf>, StoreError> {
    let newest = steps.len() as u32 + 1;
    let found = file::user_version(conn)?;
    if found == newest {
        return Ok(None);
    }
    let copy = if found == 0 { None } else { Some(put_copy_aside(conn, path, found)?) };
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if found == 0 {
        let tables: u32 = tx.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables > 0 {
            return Err(StoreError::Foreign { path: path.to_owned() });
        }
        tx.execute_batch(SCHEMA)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    for step in steps.iter().skip(found.saturating_sub(1) as usize) {
        step(&tx)?;
    }
    tx.pragma_update(None, "user_version", newest)?;
    tx.commit()?;
    // So that an older akkd sees the version in the file's header, and refuses the file without touching it.
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(copy)
}

/// Copies the database to `akk.db.schema-N`, whole, on the disk, readable by us only.
fn put_copy_aside(conn: &Connection, path: &Path, version: u32) -> Result<PathBuf, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".schema-{version}"));
    let copy = PathBuf::from(name);
    let mut half = copy.as_os_str().to_owned();
    half.push(".half");
    let half = PathBuf::from(half);
    if file::ours(&half)?.is_some() {
        std::fs::remove_file(&half)?;
    }
    file::ours(&copy)?;
    // SQLite fills an empty file that is there; so it has our rights from its first byte on.
    let made = file::create(&half)?;
    let target = half
        .to_str()
        .ok_or_else(|| StoreError::Unsafe { path: half.clone(), why: "its name is not UTF-8".to_owned() })?;
    let copied = conn.execute("VACUUM INTO ?1", [target]).map_err(StoreError::from).and_then(|_| {
        made.sync_all()?;
        std::fs::rename(&half, &copy)?;
        if let Some(directory) = copy.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    });
    if let Err(error) = copied {
        let _ = std::fs::remove_file(&half);
        return Err(error);
    }
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/schema-1.db");

    /// A copy of the checked-in database of schema 1.
    fn schema_1() -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("akk.db");
        std::fs::copy(FIXTURE, &path).unwrap();
        (home, path)
    }

    #[test]
    fn a_database_of_schema_1_is_changed_only_after_a_copy_was_put_aside() {
        let (_home, path) = schema_1();
        let mut conn = file::connect_to_write(&path).unwrap();
        let labelled: Step = |tx| tx.execute_batch("ALTER TABLE conversations ADD COLUMN colour TEXT");
        let counted: Step = |tx| tx.execute_batch("UPDATE conversations SET colour = 'green'");

        let copy = migrate_by(&mut conn, &path, &[labelled, counted]).unwrap().unwrap();

        assert_eq!(file::user_version(&conn).unwrap(), 3);
        let green: u32 =
            conn.query_row("SELECT count(*) FROM conversations WHERE colour = 'green'", [], |r| r.get(0)).unwrap();
        assert_eq!(green, 3);
        assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let before = Connection::open(&copy).unwrap();
        assert_eq!(file::user_version(&before).unwrap(), 1);
        let kept: u32 = before.query_row("SELECT count(*) FROM conversations", [], |r| r.get(0)).unwrap();
        assert_eq!(kept, 3);
        before.query_row("SELECT colour FROM conversations", [], |_| Ok(())).unwrap_err();
    }

    #[test]
    fn a_step_that_fails_leaves_the_database_as_old_as_it_was() {
        let (_home, path) = schema_1();
        let mut conn = file::connect_to_write(&path).unwrap();
        let first: Step = |tx| tx.execute_batch("DROP TABLE prompts");
        let second: Step = |tx| tx.execute_batch("DROP TABLE no_such_table");

        migrate_by(&mut conn, &path, &[first, second]).unwrap_err();

        assert_eq!(file::user_version(&conn).unwrap(), 1);
        conn.query_row("SELECT count(*) FROM prompts", [], |_| Ok(())).unwrap();
    }

    #[test]
    fn a_second_try_replaces_the_copy_of_the_first() {
        let (_home, path) = schema_1();
        let mut conn = file::connect_to_write(&path).unwrap();
        let fails: Step = |tx| tx.execute_batch("DROP TABLE no_such_table");
        let works: Step = |tx| tx.execute_batch("CREATE TABLE extra (x INTEGER) STRICT");
        migrate_by(&mut conn, &path, &[fails]).unwrap_err();
        migrate_by(&mut conn, &path, &[works]).unwrap().unwrap();
        assert_eq!(file::user_version(&conn).unwrap(), 2);
    }
}
