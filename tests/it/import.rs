//! `akkctl import`: the conversations of the predecessor go on here, and nothing changes there.

use akk_proto::ConversationId;
use akk_proto::conversation::{Need, Status};
use akk_tests::{Daemon, Home};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const IDLE: &str = "task-20260620T140525-0a1b2c3d";
const RUNNING: &str = "task-20260620T140526-0a1b2c3d";
const CLOSED: &str = "task-20260620T140527-0a1b2c3d";
const DAMAGED: &str = "task-20260620T140528-0a1b2c3d";
const HUGE: &str = "task-20260620T140529-0a1b2c3d";

/// A store as the predecessor left it.
struct Old(PathBuf);

impl Old {
    fn below(home: &Home) -> Self {
        Self(home.user().join(".agent-knock-knock"))
    }

    fn put(&self, id: &str, state: &str, events: &[Value]) {
        let folder = self.0.join("conversations").join(id);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("state.json"), state).unwrap();
        let lines: Vec<String> = events.iter().map(ToString::to_string).collect();
        std::fs::write(folder.join("events.ndjson"), lines.join("\n")).unwrap();
    }

    /// Every file with its content.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                match entry.path() {
                    path if path.is_dir() => walk(&path, found),
                    path => drop(found.insert(path.clone(), std::fs::read(path).unwrap())),
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(&self.0, &mut found);
        found
    }
}

fn state(id: &str, workspace: &Path, status: &str) -> String {
    json!({
        "conversation_id": id, "user_request": "paint the shed", "workspace": workspace, "status": status,
        "response_rounds_used": 1, "executor": {"kind": "demo", "actor": "demo", "session": "akk-demo-1"},
        "soft_limit": 50, "hard_limit": 100, "created_at": "2026-06-20T12:05:25.000Z",
        "updated_at": "2026-06-20T12:15:25.000Z"
    })
    .to_string()
}

fn message(conversation: &str, n: u32, from: &str, to: &str, kind: &str, body: &str) -> Value {
    let id = format!("msg-00000000-0000-4000-8000-{n:012}");
    let ts = "2026-06-20T12:06:00.000Z";
    json!({"ts": ts, "conversation_id": conversation, "event": "message", "body": body, "message": {
        "id": id, "ts": ts, "conversation_id": conversation, "from": from, "to": to, "type": kind,
        "requires_response": kind != "done", "round": 1, "max_rounds": 50, "body": body, "metadata": {}
    }})
}

fn id(text: &str) -> ConversationId {
    text.parse().unwrap()
}

fn outcomes(report: &Value) -> BTreeMap<&str, &str> {
    let all = report["conversations"].as_array().unwrap();
    all.iter().map(|c| (c["name"].as_str().unwrap(), c["outcome"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn conversations_of_the_predecessor_come_once_and_go_on_here() {
    let akkd = Daemon::start().await;
    let old = Old::below(&akkd.home);
    let place = akkd.home.workspace();
    let told = |conversation: &str| {
        vec![
            message(conversation, 1, "openclaw", "demo", "task", "paint the shed"),
            message(conversation, 2, "demo", "openclaw", "done", "the shed is painted"),
        ]
    };
    old.put(IDLE, &state(IDLE, &place, "idle"), &told(IDLE));
    old.put(RUNNING, &state(RUNNING, &place, "running"), &told(RUNNING)[..1]);
    old.put(CLOSED, &state(CLOSED, &place, "closed"), &told(CLOSED));
    old.put(DAMAGED, "{\"conversation_id\": \"task-", &[]);
    // No request may be longer than 16 MiB.
    let long = "x".repeat(60_000);
    let huge: Vec<Value> = (1..300).map(|n| message(HUGE, n, "openclaw", "demo", "task", &long)).collect();
    old.put(HUGE, &state(HUGE, &place, "idle"), &huge);
    let before = old.files();

    let first = akkd.ctl(&["import", "--json"]).await;
    assert_eq!(first.code, Some(1), "some were skipped: {}", first.stderr);
    let first: Value = first.json();
    let came = outcomes(&first);
    assert_eq!([IDLE, RUNNING, CLOSED].map(|id| came[id]), ["imported"; 3]);
    assert_eq!([DAMAGED, HUGE].map(|id| came[id]), ["skipped"; 2]);
    for skipped in first["conversations"].as_array().unwrap().iter().filter(|c| c["outcome"] == "skipped") {
        assert!(skipped["reason"].as_str().is_some_and(|r| !r.is_empty()), "{skipped}");
    }
    let stands: Vec<Status> = [akkd.get(&id(IDLE)).await, akkd.get(&id(RUNNING)).await, akkd.get(&id(CLOSED)).await]
        .into_iter()
        .map(|c| c.status)
        .collect();
    assert_eq!(stands, [Status::Idle, Status::Stalled, Status::Closed]);
    let transcript = akkd.ctl(&["transcript", IDLE]).await.ok().stdout;
    assert!(transcript.contains("the shed is painted"), "{transcript}");

    let again: Value = akkd.ctl(&["import", "--json"]).await.json();
    let again = outcomes(&again);
    assert_eq!([IDLE, RUNNING, CLOSED].map(|id| again[id]), ["already"; 3]);
    assert!(akkd.agent().lines().is_empty(), "no agent was started by that");

    // What it came to before is in its history; a turn of akkd's own there is none.
    let result = akkd.ctl(&["result", IDLE]).await;
    assert_eq!(result.code, Some(4), "{}", result.stdout);
    assert!(
        result.stderr.contains("It was imported") && result.stderr.contains("akkctl transcript"),
        "{}",
        result.stderr
    );

    akkd.send(&id(IDLE), "say the door too").await;
    akkd.wait_need(&id(IDLE), Need::Done).await;
    let result = akkd.ctl(&["result", IDLE]).await.ok().stdout;
    assert!(result.contains("the door too"), "{result}");
    akkd.ctl(&["recover", RUNNING]).await.ok();
    let recovered = akkd.wait(&id(RUNNING)).await;
    assert_eq!(recovered.conversation.unwrap().conversation_id, id(RUNNING));
    assert_eq!(old.files(), before, "nothing changed in the old store");
}
