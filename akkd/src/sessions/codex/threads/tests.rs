use super::*;
use akk_proto::session::SessionSource;
use rusqlite::params;
use tempfile::TempDir;

/// The columns of codex 0.169 that are read, and some that are not.
const NEW: &str = "CREATE TABLE threads (id TEXT PRIMARY KEY, rollout_path TEXT NOT NULL, created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, source TEXT NOT NULL, model_provider TEXT NOT NULL DEFAULT '', cwd TEXT NOT NULL,
    title TEXT NOT NULL DEFAULT '', archived INTEGER NOT NULL DEFAULT 0, git_branch TEXT,
    cli_version TEXT NOT NULL DEFAULT '', first_user_message TEXT NOT NULL DEFAULT '', model TEXT,
    created_at_ms INTEGER, updated_at_ms INTEGER, thread_source TEXT, preview TEXT NOT NULL DEFAULT '',
    recency_at INTEGER NOT NULL DEFAULT 0, recency_at_ms INTEGER NOT NULL DEFAULT 0, name TEXT, originator TEXT)";

fn home() -> (TempDir, CodexHome) {
    let folder = tempfile::tempdir().unwrap();
    let home = CodexHome::new(folder.path());
    (folder, home)
}

/// A database as Codex keeps it: in WAL mode.
fn database(home: &CodexHome, name: &str, schema: &str) -> Connection {
    let connection = Connection::open(home.path().join(name)).unwrap();
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
    connection.execute_batch(schema).unwrap();
    connection
}

fn insert(connection: &Connection, id: &str, updated_ms: i64) {
    connection
        .execute(
            "INSERT INTO threads (id, rollout_path, created_at, updated_at, source, cwd, title, created_at_ms,
             updated_at_ms) VALUES (?1, '/r/' || ?1, 1, ?2 / 1000, 'cli', '/w', 'a title', 1000, ?2)",
            params![id, updated_ms],
        )
        .unwrap();
}

fn listing(home: &CodexHome) -> Vec<String> {
    let mut names: Vec<_> =
        home.path().read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_home_that_is_not_there_has_no_threads() {
    let (folder, _) = home();
    let absent = CodexHome::new(folder.path().join("nowhere"));
    assert!(read_all(&absent).unwrap().is_empty());
    assert!(read_one(&absent, "x").unwrap().is_none());
    let (_folder, empty) = home();
    assert!(read_all(&empty).unwrap().is_empty());
}

#[test]
fn a_row_of_today_is_read_whole() {
    let (_folder, home) = home();
    let codex = database(&home, "state_5.sqlite", NEW);
    codex
        .execute_batch(
            r#"INSERT INTO threads VALUES ('01a2', '/h/r.jsonl', 100, 200, 'exec', 'p', '/w/p', 'THE TITLE', 1, 'main',
            '0.169.0', 'the message', 'gpt-5', 100500, 200500, 'user', 'the preview', 300, 300500, NULL, 'codex_exec');
            INSERT INTO threads (id, rollout_path, created_at, updated_at, source, cwd, first_user_message)
            VALUES ('kid', '/h/k.jsonl', 1, 2, '{"subagent":{"thread_spawn":{"parent_thread_id":"01a2"}}}', '/w', 'go');"#,
        )
        .unwrap();
    let row = read_one(&home, "01a2").unwrap().unwrap();
    let expected = ThreadRow {
        id: "01a2".into(),
        rollout_path: Some("/h/r.jsonl".into()),
        cwd: "/w/p".into(),
        title: Some("THE TITLE".into()),
        source: super::super::source::Source { kind: SessionSource::Exec, parent: None },
        originator: Some("codex_exec".into()),
        model: Some("gpt-5".into()),
        archived: true,
        created_ms: Some(100_500),
        updated_ms: Some(200_500),
        recency_ms: Some(300_500),
        thread_source: Some("user".into()),
        git_branch: Some("main".into()),
        cli_version: Some("0.169.0".into()),
    };
    assert_eq!(row, expected);

    let kid = read_one(&home, "kid").unwrap().unwrap();
    assert_eq!((kid.source.kind, kid.source.parent.as_deref()), (SessionSource::SubAgent, Some("01a2")));
    assert_eq!((kid.created_ms, kid.updated_ms, kid.recency_ms), (Some(1000), Some(2000), None));
    assert_eq!(kid.title.as_deref(), Some("go"));
    assert!(read_one(&home, "other").unwrap().is_none());
}

#[test]
fn an_old_table_gives_what_it_has() {
    let (_folder, home) = home();
    let codex = database(
        &home,
        "state_2.sqlite",
        "CREATE TABLE threads (id TEXT, cwd TEXT, title TEXT, created_at INTEGER, updated_at INTEGER, archived INTEGER)",
    );
    codex.execute_batch("INSERT INTO threads VALUES ('a', '/w', 'old', 7, 9, 0), (NULL, '/w', 'x', 1, 1, 0)").unwrap();
    let rows = read_all(&home).unwrap();
    assert_eq!(rows.len(), 1, "a row without an id is left out");
    assert_eq!((rows[0].created_ms, rows[0].updated_ms), (Some(7000), Some(9000)));
    assert_eq!((rows[0].rollout_path.as_ref(), rows[0].source.kind), (None, SessionSource::Unknown));
    assert_eq!(read_since(&home, 9000).unwrap().len(), 1);
    assert!(read_since(&home, 9001).unwrap().is_empty());
}

#[test]
fn a_table_that_nobody_knows_is_said_to_be_so() {
    let (_folder, home) = home();
    database(&home, "state_9.sqlite", "CREATE TABLE threads (thread TEXT)");
    assert!(matches!(read_all(&home), Err(ThreadsError::Shape { .. })));
    let (_folder, home) = self::home();
    database(&home, "state_9.sqlite", "CREATE TABLE sessions (id TEXT, cwd TEXT)");
    let said = read_all(&home).unwrap_err().to_string();
    assert!(said.ends_with("has no table `threads` with the columns `id` and `cwd`"), "{said}");
}

#[test]
fn what_is_no_database_is_said_to_be_so() {
    let (_folder, home) = home();
    std::fs::write(home.path().join("state_5.sqlite"), vec![b'x'; 9000]).unwrap();
    assert!(matches!(read_all(&home), Err(ThreadsError::Database { .. })));
    std::fs::write(home.path().join("state_5.sqlite"), b"").unwrap();
    assert!(matches!(read_all(&home), Err(ThreadsError::Shape { .. })), "a file that was only just made");
}

#[test]
fn the_database_that_was_written_last_counts() {
    let (_folder, home) = home();
    let older = database(&home, "state_5.sqlite", NEW);
    let newer = database(&home, "state_4.sqlite", NEW);
    insert(&newer, "by the older version", 1);
    drop(newer);
    std::fs::write(home.path().join("state_x.sqlite"), "").unwrap();
    insert(&older, "by the newer version", 1);
    // Its log was written last: the file itself is still as it was made.
    assert_eq!(home.state_database().unwrap().unwrap(), home.path().join("state_5.sqlite"));
    assert_eq!(read_all(&home).unwrap()[0].id, "by the newer version");
}

#[test]
fn a_reading_leaves_nothing_behind() {
    let (_folder, home) = home();
    let codex = database(&home, "state_5.sqlite", NEW);
    insert(&codex, "a", 5);
    assert_eq!(listing(&home), ["state_5.sqlite", "state_5.sqlite-shm", "state_5.sqlite-wal"]);
    assert_eq!(read_all(&home).unwrap().len(), 1, "while Codex has it open");
    assert_eq!(listing(&home), ["state_5.sqlite", "state_5.sqlite-shm", "state_5.sqlite-wal"]);
    codex.close().unwrap();
    let before = std::fs::read(home.path().join("state_5.sqlite")).unwrap();
    assert_eq!(listing(&home), ["state_5.sqlite"]);
    assert_eq!(read_all(&home).unwrap().len(), 1, "after Codex closed it");
    assert_eq!(listing(&home), ["state_5.sqlite"]);
    assert_eq!(std::fs::read(home.path().join("state_5.sqlite")).unwrap(), before);
}

/// A home as a killed process leaves it: the files `names` as they are, and nobody who has them open.
fn killed(home: &CodexHome, names: &[&str]) -> (TempDir, CodexHome) {
    let (folder, killed) = self::home();
    for name in names {
        std::fs::copy(home.path().join(name), killed.path().join(name)).unwrap();
    }
    (folder, killed)
}

#[test]
fn what_a_killed_codex_left_in_the_log_is_read() {
    let (_folder, home) = home();
    let codex = database(&home, "state_5.sqlite", NEW);
    insert(&codex, "a", 5);
    codex.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    // More than a page, and a transaction that was not committed.
    (0..200).for_each(|n| insert(&codex, &format!("in the log {n}"), n));
    codex.execute_batch("PRAGMA cache_size = 1; BEGIN; UPDATE threads SET title = hex(randomblob(900))").unwrap();
    for names in
        [&["state_5.sqlite", "state_5.sqlite-wal", "state_5.sqlite-shm"][..], &["state_5.sqlite", "state_5.sqlite-wal"]]
    {
        let (_folder, killed) = killed(&home, names);
        let rows = read_all(&killed).unwrap();
        assert_eq!((rows.len(), rows[0].title.as_deref()), (201, Some("a title")), "{names:?}");
        assert_eq!(listing(&killed).len(), names.len(), "nothing is left behind: {names:?}");
    }
}

#[test]
fn of_a_log_that_was_damaged_what_is_whole_counts() {
    let (_folder, home) = home();
    let codex = database(&home, "state_5.sqlite", NEW);
    (0..50).for_each(|n| insert(&codex, &format!("t{n}"), n));
    let (_other, killed) = killed(&home, &["state_5.sqlite", "state_5.sqlite-wal"]);
    let log = killed.path().join("state_5.sqlite-wal");
    let whole = std::fs::read(&log).unwrap();
    // SQLite's own reading of the same files, in a folder that may be written.
    let by_sqlite = |log: &[u8]| {
        let (_folder, other) = self::killed(&home, &["state_5.sqlite"]);
        std::fs::write(other.path().join("state_5.sqlite-wal"), log).unwrap();
        let count = |c: Connection| c.query_row("SELECT count(*) FROM threads", [], |row| row.get::<_, u32>(0)).ok();
        Connection::open(other.path().join("state_5.sqlite")).ok().and_then(count)
    };
    for (at, flip) in (0..whole.len()).step_by(whole.len() / 60).flat_map(|at| [(at, false), (at, true)]) {
        let mut content = whole.clone();
        if flip {
            content[at] ^= 0x41;
        } else {
            content.truncate(at);
        }
        std::fs::write(&log, &content).unwrap();
        let ours = read_all(&killed).ok().map(|rows| u32::try_from(rows.len()).unwrap());
        assert_eq!(ours, by_sqlite(&content), "at {at} of {}, flipped: {flip}", whole.len());
    }
}

#[test]
fn a_database_that_is_being_written_is_read() {
    let (_folder, home) = home();
    let codex = database(&home, "state_5.sqlite", NEW);
    insert(&codex, "first", 1);
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            for n in 0..300 {
                insert(&codex, &format!("t{n}"), n);
                if n % 20 == 0 {
                    codex.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
                }
            }
        });
        let mut seen = 0;
        while !writer.is_finished() {
            let now = read_all(&home).unwrap().len();
            assert!(now >= seen, "a reading never goes back: {seen}, then {now}");
            seen = now;
        }
    });
    assert_eq!(read_all(&home).unwrap().len(), 301);
}

#[test]
fn a_lock_is_waited_for() {
    let (_folder, home) = home();
    let codex = Connection::open(home.path().join("state_5.sqlite")).unwrap();
    codex.execute_batch(NEW).unwrap();
    insert(&codex, "a", 1);
    // In this mode a writer keeps readers out; its journal says that something is under way.
    codex.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM threads").unwrap();
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| read_all(&home));
        sleep(Duration::from_millis(50));
        codex.execute_batch("ROLLBACK; PRAGMA locking_mode = NORMAL; SELECT count(*) FROM threads").unwrap();
        assert_eq!(reading.join().unwrap().unwrap().len(), 1);
    });
}

#[test]
fn a_title_is_one_line_without_secrets_and_control_characters() {
    let (_folder, home) = home();
    let codex = database(&home, "state_5.sqlite", NEW);
    let long = "word ".repeat(100_000);
    let titles = [
        ("name", "\u{1b}[31mred\u{7}\n name\u{202e}", "[31mred name"),
        ("title", "use token=abc123 please", "use token=[redacted] please"),
        ("preview", "  \t a  preview ", "a preview"),
        ("first_user_message", long.as_str(), ""),
    ];
    for (column, text, _) in titles {
        insert(&codex, column, 1);
        codex.execute("UPDATE threads SET title = ' \n', name = NULL WHERE id = ?1", [column]).unwrap();
        codex.execute(&format!("UPDATE threads SET {column} = ?1 WHERE id = ?2"), [text, column]).unwrap();
    }
    for (column, _, expected) in &titles[..3] {
        assert_eq!(read_one(&home, column).unwrap().unwrap().title.as_deref(), Some(*expected), "{column}");
    }
    let cut = read_one(&home, "first_user_message").unwrap().unwrap().title.unwrap();
    assert_eq!((cut.chars().count(), cut.ends_with('…')), (200, true));
    insert(&codex, "nothing", 1);
    codex.execute("UPDATE threads SET title = '' WHERE id = 'nothing'", []).unwrap();
    assert_eq!(read_one(&home, "nothing").unwrap().unwrap().title, None);
}

#[test]
fn values_of_another_type_count_as_absent() {
    let (_folder, home) = home();
    let codex = database(&home, "state_5.sqlite", NEW);
    codex
        .execute_batch(
            "INSERT INTO threads (id, rollout_path, created_at, updated_at, source, cwd, title, archived, model, \
             updated_at_ms) VALUES ('a', x'00ff', 'soon', 2.5, 17, '/w', 3, 'yes', x'01', x'02')",
        )
        .unwrap();
    let row = &read_all(&home).unwrap()[0];
    assert_eq!((row.rollout_path.as_ref(), row.model.as_ref(), row.archived), (None, None, false));
    assert_eq!(row.created_ms, None);
}

#[test]
fn ten_thousand_threads_are_read() {
    let (_folder, home) = home();
    let mut codex = database(&home, "state_5.sqlite", NEW);
    let transaction = codex.transaction().unwrap();
    for n in 0..10_000 {
        insert(&transaction, &format!("01a2042a-b616-7f00-93fc-{n:012}"), n);
    }
    transaction.execute("UPDATE threads SET title = ?1", ["please look at the parser of dates ".repeat(8)]).unwrap();
    transaction.commit().unwrap();
    assert_eq!(read_all(&home).unwrap().len(), 10_000);
    assert_eq!(read_since(&home, 9_990).unwrap().len(), 10);
}
