//! What is opened, what is refused, and what stands on the disk.

use crate::samples::{Home, Story, at, task};
use akk_proto::message::MessageType;
use akkd::store::{Lease, ListFilter, SCHEMA_VERSION, Store, StoreError};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn everything_on_the_disk_is_readable_by_us_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state").join("akk.db");
    let store = Store::open(&path).unwrap();
    Story::begin(&store, 1, "r").await;
    assert_eq!(mode(&dir.path().join("state")), 0o700);
    for name in ["akk.db", "akk.db-wal", "akk.db-shm", "akk.reserve"] {
        assert_eq!(mode(&path.with_file_name(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn rights_that_others_have_are_taken_away() {
    let home = Home::new();
    home.store.close().await;
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    Store::open(&home.path()).unwrap();
    assert_eq!(mode(&home.path()), 0o600);
}

#[tokio::test]
async fn a_link_a_folder_or_a_log_that_is_a_link_is_refused() {
    let home = Home::new();
    home.store.close().await;
    let link = home.dir.path().join("link.db");
    symlink(home.path(), &link).unwrap();
    let refused = Store::open(&link).unwrap_err();
    assert!(matches!(&refused, StoreError::Unsafe { why, .. } if why == "it is a symbolic link"), "{refused}");
    assert!(matches!(Store::open(home.dir.path()), Err(StoreError::Unsafe { .. })));
    let wal = home.dir.path().join("akk.db-wal");
    symlink(home.dir.path().join("elsewhere"), &wal).unwrap();
    assert!(matches!(Store::open(&home.path()), Err(StoreError::Unsafe { path, .. }) if path.ends_with("akk.db-wal")));
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_not_touched() {
    let home = Home::new();
    Story::begin(&home.store, 1, "r").await;
    home.store.close().await;
    home.behind_its_back().pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    let before = std::fs::read(home.path()).unwrap();

    let refused = Store::open(&home.path()).unwrap_err();

    assert!(
        matches!(refused, StoreError::NewerSchema { found, known: SCHEMA_VERSION, .. } if found == SCHEMA_VERSION + 1)
    );
    assert!(std::fs::read(home.path()).unwrap() == before);
    assert!(!home.dir.path().join("akk.db-wal").exists());
    let failure = akk_proto::error::Failure::from(refused);
    assert_eq!(failure.kind, akk_proto::error::ErrorKind::Storage);
    assert!(failure.hint.contains("newer version of akkd"), "{}", failure.hint);
}

#[tokio::test]
async fn a_newer_version_that_stands_in_the_log_only_is_refused_too() {
    let home = Home::new();
    home.store.close().await;
    let newer = home.behind_its_back();
    newer.pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
    let before = std::fs::read(home.path()).unwrap();
    let log = std::fs::read(home.dir.path().join("akk.db-wal")).unwrap();

    // A copy of what a killed newer akkd leaves.
    let copy = tempfile::tempdir().unwrap();
    std::fs::write(copy.path().join("akk.db"), &before).unwrap();
    std::fs::write(copy.path().join("akk.db-wal"), &log).unwrap();
    let refused = Store::open(&copy.path().join("akk.db")).unwrap_err();

    assert!(matches!(refused, StoreError::NewerSchema { .. }), "{refused}");
    assert!(std::fs::read(copy.path().join("akk.db")).unwrap() == before);
    assert!(std::fs::read(copy.path().join("akk.db-wal")).unwrap() == log);
}

#[tokio::test]
async fn a_file_of_another_program_is_refused_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("notes.db");
    std::fs::write(&text, "dear diary ".repeat(20)).unwrap();
    assert!(matches!(Store::open(&text), Err(StoreError::Foreign { .. })));
    assert_eq!(std::fs::read_to_string(&text).unwrap(), "dear diary ".repeat(20));

    let other = dir.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(matches!(Store::open(&other), Err(StoreError::Foreign { .. })));
    rusqlite::Connection::open(&other).unwrap().pragma_update(None, "application_id", 7).unwrap();
    assert!(matches!(Store::open(&other), Err(StoreError::Foreign { .. })));
}

#[tokio::test]
async fn a_database_that_was_hardly_begun_is_made_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("akk.db");
    // As far as a start comes that is killed at once.
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "journal_mode", "WAL").unwrap();
    let store = Store::open(&path).unwrap();
    Story::begin(&store, 1, "r").await;
}

/// The checked-in databases were made by `examples/store_fixture.rs` and never change: every later akkd must open them.
fn fixture(schema: u32) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("akk.db");
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/schema-{schema}.db"));
    std::fs::copy(made, &path).unwrap();
    let store = Store::open(&path).unwrap();
    let copy = dir.path().join(format!("akk.db.schema-{schema}"));
    assert_eq!(copy.exists(), schema < SCHEMA_VERSION, "a copy is put aside before a change, and only then");
    (dir, store)
}

#[tokio::test]
async fn a_database_of_any_schema_opens_with_everything_in_it() {
    for schema in 1..=SCHEMA_VERSION {
        let (_dir, store) = fixture(schema);
        has_everything(store, schema).await;
    }
}

#[tokio::test]
async fn plans_of_schema_2_are_kept_and_an_older_database_takes_some() {
    let (_dir, store) = fixture(2);
    let session = "0199a213-81c0-7800-8aa1-bbab2a035a53";
    let found = store.newest_plan("codex", session, 42, at(60)).await.unwrap().unwrap();
    assert_eq!((found.plan_id.as_str(), found.plan["pid"].as_u64()), ("plan-1", Some(42)));
    let used = store.plan_used_by(&crate::samples::request_id("call-2")).await.unwrap().unwrap();
    assert_eq!(used.used.unwrap().at, at(50));

    let (_dir, store) = fixture(1);
    store.plan_put(found.clone()).await.unwrap();
    assert_eq!(store.plan("plan-1").await.unwrap(), Some(found));
}

#[tokio::test]
async fn the_outbox_of_schema_3_goes_on_where_it_stood_and_an_older_one_takes_what_it_could_not() {
    let (_dir, store) = fixture(3);
    let rows = store.outbox_list(Some(&task(4)), true, 10, at(1000)).await.unwrap();
    let seen: Vec<_> = rows.iter().map(|r| (r.view.preview.as_str(), r.view.state.as_str())).collect();
    assert_eq!(seen, [("told", "acknowledged"), ("accepted", "handed"), ("gone", "parked"), ("waits", "pending")]);
    let due = store.outbox_due_for_plugin(at(1000), vec!["gateway-1".into()], 10).await.unwrap();
    assert_eq!(due.len(), 1);
    let leased = store.outbox_lease(&due[0].delivery_id, Lease::To("gateway-1".into())).await.unwrap().unwrap();
    assert_eq!((leased.body.text.as_str(), leased.attempt, leased.look_first), ("accepted", 1, true));
    assert_eq!(leased.handed.unwrap().run_id, "run-1");

    for schema in [1, 2] {
        let (_dir, store) = fixture(schema);
        let (state, seq) = store.load(&task(1)).await.unwrap().unwrap();
        let mut story = Story { store: store.clone(), state, seq };
        let waits = store.outbox_due_for_command(at(1000), 10).await.unwrap();
        store.outbox_told(&waits[0].delivery_id).await.unwrap();
        let id = story.report_to("agent:main:main", None, MessageType::Done, "ready").await;
        let due = store.outbox_due_for_plugin(at(1000), vec!["any".into()], 10).await.unwrap();
        assert_eq!(due[0].delivery_id, id, "{schema}");
        assert_eq!(store.overdue(at(100_000)).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn the_audit_of_schema_4_is_kept_and_an_older_database_begins_one() {
    let (_dir, store) = fixture(4);
    let (rows, _) = store.audit(None, Some(task(1)), 10).await.unwrap();
    let send = crate::samples::audited(1, at(70), "conversation.send", "ok");
    let close = crate::samples::audited(1, at(70), "conversation.close", "wrong_status");
    assert_eq!(rows, [send.clone(), close]);
    let (rows, _) = store.audit(None, Some(task(2)), 10).await.unwrap();
    assert_eq!(rows, [crate::samples::audited(2, at(80), "conversation.cancel", "unfinished")]);
    for schema in 1..4 {
        let (_dir, store) = fixture(schema);
        store.audit_whole(send.clone()).await;
        assert_eq!(store.audit(None, None, 10).await.unwrap(), (vec![send.clone()], false), "{schema}");
    }
}

async fn has_everything(store: Store, schema: u32) {
    let page = store.list(ListFilter { all: true, ..ListFilter::default() }, 10, None, at(0)).await.unwrap();
    let seen: Vec<_> = page.conversations.iter().map(|c| (c.conversation_id.clone(), c.status.as_str())).collect();
    let mut expected = vec![(task(3), "closed"), (task(2), "idle"), (task(1), "waiting_for_openclaw")];
    if schema > 2 {
        expected.push((task(4), "created"));
    }
    assert_eq!(seen, expected);
    for n in 1..=expected.len() as u32 {
        let (state, seq) = store.load(&task(n)).await.unwrap().unwrap();
        let history = store.events(&task(n), 0, 100, 1 << 20).await.unwrap();
        assert_eq!(history.events.len() as u64, seq, "{n}");
        assert_eq!(state.settings.conversation_id, task(n));
    }
    let hits = store.search("question", 10).await.unwrap();
    assert_eq!((hits.len(), hits[0].kind), (1, MessageType::Question));
    let due = store.outbox_due_for_command(at(1000), 10).await.unwrap();
    let leased = store.outbox_lease(&due[0].delivery_id, Lease::Until(at(2000))).await.unwrap().unwrap();
    assert_eq!((leased.body.text.as_str(), leased.attempt), ("a question about the tests", 1));
    assert_eq!(store.live_launches().await.unwrap().len(), 1);
    assert_eq!(store.ticket_hashes(&task(1)).await.unwrap().valid, ["hash-1"]);
    assert!(store.find_request(&crate::samples::request_id("call-1")).await.unwrap().is_some());
    assert_eq!(store.prompts_of(&task(1), &akk_proto::TurnId::nth(1)).await.unwrap().len(), 1);

    // And it goes on from there.
    let (state, seq) = store.load(&task(1)).await.unwrap().unwrap();
    let mut story = Story { store: store.clone(), state, seq };
    story.report(MessageType::Done, "ready").await;
}
