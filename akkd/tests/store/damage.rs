//! Rows that somebody, or a bad disk, changed: each harms its own conversation, and nothing else.

use crate::samples::{Home, Story, at, request_id, task};
use akk_core::conversation::Phase;
use akk_proto::TurnId;
use akk_proto::message::MessageType;
use akkd::store::{EventFilter, ListFilter, PlanRow, PromptFate, PromptRow, Store, StoreError};
use rusqlite::types::Value;
use serde_json::json;

/// What a row may hold after a bad day. A column takes those of its type.
fn values() -> Vec<Value> {
    let text = |t: &str| Value::Text(t.to_owned());
    vec![
        text(""),
        text("{\"half"),
        text("[]"),
        text("\u{0}\u{1b}[2J"),
        Value::Integer(i64::MIN),
        Value::Integer(-1),
        Value::Integer(i64::MAX),
        Value::Null,
    ]
}

/// A conversation with a row in every table.
async fn with_everything(store: &Store, n: u32) -> Story {
    let mut story = Story::begin(store, n, "needle").await;
    story.report(MessageType::Question, "first").await;
    story.report_to("agent:main:main", Some("x"), MessageType::Done, "second").await;
    store.launch_begin(story.launch(n)).await.unwrap();
    let prompt = PromptRow {
        conversation_id: story.id().clone(),
        turn_id: TurnId::nth(1),
        attempt: 1,
        launch_id: story.launch(n).launch_id,
        fate: PromptFate::Accepted,
    };
    store.prompt_put(prompt).await.unwrap();
    let plan = PlanRow {
        plan_id: format!("plan-{n}"),
        agent: "codex".into(),
        session_id: format!("session-{n}"),
        pid: n,
        created_at: at(0),
        expires_at: at(600),
        used: None,
        plan: json!({"n": n}),
    };
    store.plan_put(plan).await.unwrap();
    let mut commit = story.noticed("asked");
    commit.request = Some(story.request(&format!("call-{n}")));
    story.commit(commit).await.unwrap();
    story.becomes(Phase::Idle { since: at(i64::from(n)) }, at(i64::from(n))).await;
    story
}

/// Everything that concerns one conversation only. Whether it succeeds is the caller's business; it comes back.
async fn ask_of(store: &Store, n: u32) -> Vec<(&'static str, Option<StoreError>)> {
    let id = task(n);
    let session = format!("akk-codex-20260620140525-{n:08x}");
    vec![
        ("load", store.load(&id).await.err()),
        ("events", store.events(&id, 0, 100, 1 << 20).await.err()),
        ("last_events", store.last_events(&id, 100, 1 << 20).await.err()),
        ("recent_messages", store.recent_messages(&id, 10, 100).await.err()),
        ("events_of_turn", store.events_of_turn(&id, &TurnId::nth(1), &["message"]).await.err()),
        ("launches_of", store.launches_of(&id).await.err()),
        ("prompts_of", store.prompts_of(&id, &TurnId::nth(1)).await.err()),
        ("ticket_hashes", store.ticket_hashes(&id).await.err()),
        ("undelivered", store.undelivered(&id, true).await.err()),
        ("waiting", store.waiting(&id, at(10)).await.err()),
        ("find_request", store.find_request(&request_id(&format!("call-{n}"))).await.err()),
        ("plan", store.plan(&format!("plan-{n}")).await.err()),
        ("newest_plan", store.newest_plan("codex", &format!("session-{n}"), n, at(0)).await.err()),
        ("resolve", store.resolve(id.as_str()).await.err()),
        ("conversations_of_session", store.conversations_of_session(&session).await.err()),
        ("open_conversation_of_session", store.open_conversation_of_session(&session).await.err()),
    ]
}

/// Everything that looks at all conversations: it must answer whatever one of them holds, with the others in it.
async fn ask_of_all(store: &Store) {
    let list = store.list(ListFilter::default(), 10, None, at(10)).await.expect("a list");
    let shown: Vec<_> = list.conversations.iter().map(|c| c.conversation_id.clone()).collect();
    assert!(shown.contains(&task(1)) && shown.contains(&task(3)), "the list: {shown:?}");
    let past = store.events_since(0, 100, 1 << 20, EventFilter::default()).await.expect("the stream");
    assert!(past.items.len() > 10, "the stream: {}", past.items.len());
    store.search("needle", 10).await.expect("a search");
    store.counts().await.expect("counts");
    let due = store.deadlines().await.expect("deadlines");
    assert!([1, 3].iter().all(|n| due.iter().any(|(id, _)| *id == task(*n))), "deadlines: {due:?}");
    store.with_open_turn().await.expect("open turns");
    store.terminal_older_than(at(1000)).await.expect("old ones");
    let live = store.live_launches().await.expect("launches");
    assert!([1, 3].iter().all(|n| live.iter().any(|l| l.conversation_id == task(*n))), "launches");
    let rows = store.outbox_list(None, true, 100, at(10)).await.expect("the outbox");
    assert!(rows.len() >= 4, "the outbox: {}", rows.len());
    let due = store.outbox_due_for_command(at(10), 100).await.expect("what is due");
    assert!([1, 3].iter().all(|n| due.iter().any(|d| d.conversation_id == task(*n))), "due: {due:?}");
    store.outbox_due_for_plugin(at(10), vec!["x".into()], 100).await.expect("what is due for a plugin");
    store.outbox_next_due(at(10)).await.expect("what is due next");
    store.overdue(at(10)).await.expect("what is overdue");
    store.outbox_untold_overdue(at(10_000_000), 100).await.expect("whose overdue was not told");
    store.outbox_next_overdue(at(10)).await.expect("what is overdue next");
    let names = [1, 2, 3].map(|n| format!("akk-codex-20260620140525-0000000{n}"));
    let users = store.users_of_sessions(names.clone().into()).await.expect("users of sessions");
    assert!(users.contains_key(&names[0]) && users.contains_key(&names[2]), "users: {users:?}");
}

/// The tables whose rows belong to a conversation, and which row of theirs belongs to the second.
const TABLES: [(&str, &str); 10] = [
    ("conversations", "id = 'task-20260620T140525-00000002'"),
    ("states", "ord = (SELECT ord FROM conversations WHERE id = 'task-20260620T140525-00000002')"),
    ("events", "conversation = 'task-20260620T140525-00000002' AND seq = 3"),
    ("messages", "cursor = (SELECT min(cursor) FROM messages WHERE conversation = 'task-20260620T140525-00000002')"),
    ("requests", "id = 'call-2'"),
    ("launches", "conversation = 'task-20260620T140525-00000002'"),
    ("tickets", "conversation = 'task-20260620T140525-00000002'"),
    ("prompts", "conversation = 'task-20260620T140525-00000002'"),
    ("outbox", "ord = (SELECT min(ord) FROM outbox WHERE conversation = 'task-20260620T140525-00000002')"),
    ("plans", "id = 'plan-2'"),
];

/// The columns of a table whose values akkd chose, and whether they hold text.
fn columns(other: &rusqlite::Connection, table: &str) -> Vec<(String, bool)> {
    let sql = "SELECT name, type = 'TEXT' FROM pragma_table_info(?1) WHERE pk <> 1 OR type <> 'INTEGER'";
    let mut info = other.prepare(sql).unwrap();
    let columns: Vec<_> =
        info.query_map([table], |r| Ok((r.get(0)?, r.get(1)?))).unwrap().map(Result::unwrap).collect();
    assert!(!columns.is_empty(), "{table}");
    columns
}

/// What a damage of the second conversation did to the others, or to akkd.
async fn judge(store: &Store) -> Vec<String> {
    let mut failures = Vec::new();
    let ours = store.clone();
    if let Err(error) = tokio::spawn(async move { ask_of_all(&ours).await }).await {
        let why = error.into_panic();
        failures.push(format!("harms all: {}", why.downcast_ref::<String>().map_or("", String::as_str)));
    }
    for n in [1, 3] {
        let errors = ask_of(store, n).await.into_iter().filter_map(|(what, error)| Some((what, error?)));
        failures.extend(errors.map(|(what, error)| format!("{what} of {n}: {error}")));
    }
    // Its own may fail, and is there to say so.
    let ours = store.clone();
    if tokio::spawn(async move { ask_of(&ours, 2).await }).await.is_err() {
        failures.push("brings its own conversation down".to_owned());
    }
    failures
}

#[tokio::test]
async fn a_damaged_value_in_any_column_of_any_table_harms_its_conversation_only() {
    let home = Home::new();
    for n in 1..=3 {
        with_everything(&home.store, n).await;
    }
    let other = home.behind_its_back();
    other.pragma_update(None, "synchronous", "OFF").unwrap();
    let mut failures = Vec::new();
    let mut played = 0;
    for (table, row) in TABLES {
        let keyless: bool = other.query_row("SELECT wr FROM pragma_table_list(?1)", [table], |r| r.get(0)).unwrap();
        for (column, is_text) in columns(&other, table) {
            for value in values() {
                if is_text == matches!(value, Value::Integer(_)) {
                    continue;
                }
                let select =
                    format!("SELECT {column}, {} FROM {table} WHERE {row}", if keyless { "0" } else { "rowid" });
                let (before, rowid): (Value, i64) =
                    other.query_row(&select, [], |r| Ok((r.get(0)?, r.get(1)?))).unwrap();
                // A value that the column does not take, or that breaks its uniqueness, cannot stand there.
                let update = format!("UPDATE {table} SET {column} = ?1 WHERE {row}");
                if before == value || other.execute(&update, [&value]).is_err() {
                    continue;
                }
                played += 1;
                let place = format!("{table}.{column} = {value:?}");
                failures.extend(judge(&home.store).await.into_iter().map(|why| format!("{place}: {why}")));
                let restored = if keyless {
                    other.execute(&format!("UPDATE {table} SET {column} = ?1 WHERE {column} IS ?2"), [&before, &value])
                } else {
                    let update = format!("UPDATE {table} SET {column} = ?1 WHERE rowid = ?2");
                    other.execute(&update, (&before, rowid))
                };
                assert_eq!(restored, Ok(1), "{place}");
            }
        }
    }
    assert!(played > 120, "{played}");
    // With all of it as it was, everything is as it was.
    assert_eq!(judge(&home.store).await, Vec::<String>::new());
    assert!(failures.is_empty(), "{} of {played}:\n{}", failures.len(), failures.join("\n"));
}

/// A page of the file itself: SQLite says so, and nothing is made up.
#[tokio::test]
async fn a_database_with_a_smashed_page_is_said_to_be_damaged_and_left_alone() {
    let home = Home::new();
    for n in 1..=30 {
        with_everything(&home.store, n).await;
    }
    home.store.close().await;
    let whole = std::fs::read(home.path()).unwrap();
    let page = 4096;
    assert!(whole.len() > 20 * page, "{}", whole.len());
    let mut said_so = 0;
    for smashed in 1..whole.len() / page {
        let mut bytes = whole.clone();
        bytes[smashed * page..(smashed + 1) * page].fill(0xa5);
        std::fs::write(home.path(), &bytes).unwrap();
        // Whatever it is asked: an answer or an error, and it ends.
        let mut errors = Vec::new();
        match Store::open(&home.path()) {
            Err(error) => errors.push(error),
            Ok(store) => {
                for n in [1, 15, 30] {
                    errors.extend(ask_of(&store, n).await.into_iter().filter_map(|(_, error)| error));
                }
                errors.extend(store.list(ListFilter::default(), 100, None, at(10)).await.err());
                errors.extend(store.search("needle", 10).await.err());
                store.close().await;
            }
        }
        said_so += usize::from(errors.iter().any(|e| matches!(e, StoreError::Damaged { .. })));
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", home.path().display()));
        }
    }
    assert!(said_so > 5, "{said_so}");
}

/// A file system that is read-only, as far as a user without rights can play it; root may write everything.
#[tokio::test]
async fn a_database_that_cannot_be_written_is_an_error_that_says_so() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    Story::begin(&home.store, 1, "r").await;
    home.store.close().await;
    if rustix::process::geteuid().is_root() {
        println!("left out: the superuser may write a read-only file; the story on a read-only disk stands in `it`");
        return;
    }
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o400)).unwrap();
    let refused = Store::open(&home.path()).err().unwrap();
    assert!(matches!(refused, StoreError::ReadOnly { .. } | StoreError::Io { .. }), "{refused}");
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(Store::open(&home.path()).unwrap().load(&task(1)).await.unwrap().is_some());
}
