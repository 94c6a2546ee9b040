//! Another akkd takes the place of one whose turns run: another file under the same name, and an older database.

use crate::sinks::Told;
use akk_proto::conversation::{Need, Status};
use akk_proto::delivery::DeliveryState;
use akk_tests::binaries::{binaries, repository};
use akk_tests::{Daemon, Home, Plan, User, wait_for};
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

/// Puts the programs into a folder, as a package does: new files, moved over those that may be running.
fn install(folder: &Path, akkd: &Path) {
    fs::create_dir_all(folder).unwrap();
    for program in [akkd, &binaries().akkctl] {
        let name = if program == akkd { "akkd" } else { "akkctl" };
        let fresh = folder.join("fresh");
        // By another process: what another thread starts meanwhile would hold the file open for writing ("text file busy").
        assert!(Command::new("cp").arg(program).arg(&fresh).status().unwrap().success());
        fs::rename(fresh, folder.join(name)).unwrap();
    }
}

/// `AKK_OLDER_AKKD` names the akkd that is replaced, such as that of the last release; without it the same one is
/// replaced by itself, as another file.
#[tokio::test]
async fn a_daemon_that_is_replaced_while_a_turn_runs_hands_it_on() {
    let home = Home::new();
    let folder = home.root().join("bin");
    let older = std::env::var_os("AKK_OLDER_AKKD").map_or_else(|| binaries().akkd.clone(), Into::into);
    install(&folder, &older);
    let plan = Plan { akkd: Some(folder.join("akkd")), ..Plan::default() };
    let mut akkd = Daemon::start_with(plan, home).await;
    let script = "tool ls\nuntil go.on\ncallback done said across the upgrade";
    let id = akkd.delegate(script).await.conversation.conversation_id;
    let agent = akkd.prompted(script).await.pid;
    let before = fs::metadata(folder.join("akkd")).unwrap().ino();
    install(&folder, &binaries().akkd);
    assert_ne!(fs::metadata(folder.join("akkd")).unwrap().ino(), before, "another file under the same name");
    // As a package or a person does it: the running turn is left alone.
    akkd.stop(false).await;
    akkd.start_again().await;
    akkd.home.go_on();
    let answer = akkd.wait_need(&id, Need::Done).await;
    assert_eq!(answer.message.unwrap().body, "said across the upgrade");
    akkd.turn_over(&id).await;
    assert_eq!(akkd.agent().prompts(script).len(), 1);
    akkd.send(&id, "say and on").await;
    akkd.wait_need(&id, Need::Done).await;
    assert_eq!(akkd.prompted("say and on").await.pid, agent, "the same agent goes on");
}

/// Makes the database one of schema 2: every row that an akkd of that time could have written, in its tables.
fn make_it_older(database: &Path) {
    let older = database.with_extension("older");
    fs::copy(repository().join("akkd/tests/fixtures/schema-2.db"), &older).unwrap();
    fs::set_permissions(&older, fs::Permissions::from_mode(0o600)).unwrap();
    let conn = Connection::open(&older).unwrap();
    conn.execute("ATTACH ?1 AS newer", [database.to_str().unwrap()]).unwrap();
    conn.execute_batch("INSERT INTO messages_words (messages_words) VALUES ('delete-all')").unwrap();
    // The outbox before the conversations: a trigger counts its rows there, and they are counted already.
    let tables = ["outbox", "conversations", "states", "events", "deleted_cursors", "messages", "requests", "launches"];
    let tables = tables.into_iter().chain(["tickets", "prompts", "plans"]);
    for table in tables.clone() {
        conn.execute_batch(&format!("DELETE FROM main.{table}")).unwrap();
    }
    for table in tables {
        let mut columns = conn.prepare(&format!("SELECT name FROM pragma_table_info('{table}', 'main')")).unwrap();
        let columns: Vec<String> = columns.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let columns = columns.join(", ");
        let copy = format!("INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}");
        conn.execute_batch(&copy).unwrap();
    }
    conn.execute_batch("DETACH newer").unwrap();
    assert_eq!(version(&conn), 2);
    drop(conn);
    for beside in ["db-wal", "db-shm"] {
        let _ = fs::remove_file(database.with_extension(beside));
    }
    fs::rename(older, database).unwrap();
}

fn version(conn: &Connection) -> u32 {
    conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_database_of_an_older_schema_brings_its_open_turn_its_queue_and_its_outbox() {
    let home = Home::new();
    let told = Told::on(&home);
    let gate = home.root().join("open");
    let plan = told.plan_behind(Plan::default(), &format!("test -e {} && ", gate.display()));
    let mut user = User::start(Daemon::not_started(plan, home), &[]).await;
    let task = user.akkd.task("say told later");
    let id = user.delegate(task).await;
    assert_eq!(user.settled(&id).await.status, Status::Idle);
    let script = "tool ls\nuntil go.on\nsay survived the upgrade";
    user.send(&id, script).await;
    user.akkd.prompted(script).await;
    user.send(&id, "say what waited").await;

    user.akkd.kill9();
    let database = user.akkd.home.akk().join("akk.db");
    let newest = version(&Connection::open(&database).unwrap());
    make_it_older(&database);
    fs::write(gate, "").unwrap();
    user.akkd.start_again().await;

    user.akkd.home.go_on();
    assert_eq!(version(&Connection::open(&database).unwrap()), newest);
    assert!(database.with_extension("db.schema-2").exists(), "a copy was put aside");
    assert_eq!(user.settled(&id).await.status, Status::Idle);
    for script in [script, "say what waited"] {
        assert_eq!(user.akkd.agent().prompts(script).len(), 1, "{script}");
    }
    let rows = wait_for("all three results to be told", async || {
        let rows = user.deliveries(&id).await;
        rows.iter().all(|r| r.state == DeliveryState::Acknowledged).then_some(rows)
    });
    let keys: Vec<String> = rows.await.into_iter().map(|r| r.delivery_id.to_string()).collect();
    assert_eq!(keys.len(), 3);
    let given = told.by_key();
    assert!(given.len() == 3 && keys.iter().all(|key| given.contains_key(key)), "{given:?}");
    user.close(&id).await;
}
