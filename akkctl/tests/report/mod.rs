//! How agents report: by the command, by the tools, and by what they leave when nobody answers.

use crate::fake::{Fake, Play, refusal};
use crate::{Home, ID, message, run};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;

#[test]
fn a_report_that_reaches_nobody_is_left_in_the_drop_folder_under_the_same_name() {
    let home = Home::new();
    let drops = home.path().join("drops");
    std::fs::create_dir(&drops).unwrap();
    // One attempt gets through and loses its answer; what is left then is the same report.
    let fake = Fake::play(&home.path().join("cb.sock"), vec![vec![Play::Close]]);
    let report = r#"{"type":"done","body":"x"}"#;
    let (code, out, err) = run(home.callback(&["--turn", "turn-2", report]).env("AKK_DROP_DIR", &drops));
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("ok done: left for akkd"), "{out}");
    let sent = fake.requests().remove(0)["params"].clone();
    let left: Vec<PathBuf> = std::fs::read_dir(&drops).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let mut drop: Value = serde_json::from_slice(&std::fs::read(&left[0]).unwrap()).unwrap();
    assert_eq!(drop.as_object_mut().unwrap().remove("drop"), Some("report".into()));
    assert_eq!(drop, sent);
    let name = left[0].file_name().unwrap().to_str().unwrap();
    assert_eq!(name, format!("{}.json", sent["attempt_id"].as_str().unwrap()));

    let (code, out, _) = run(home.callback(&["--json", report]).env("AKK_DROP_DIR", &drops));
    assert_eq!(code, 0);
    assert!(serde_json::from_str::<Value>(&out).unwrap()["left"].is_string(), "{out}");
}

#[test]
fn what_akkd_refused_or_would_refuse_is_not_left_for_it() {
    let home = Home::new();
    let drops = home.path().join("drops");
    std::fs::create_dir(&drops).unwrap();
    let refused = refusal("ticket_refused", "this ticket was revoked", "stop working on this");
    let fake = Fake::play(&home.path().join("cb.sock"), vec![vec![refused]]);
    assert_eq!(run(home.callback(&[r#"{"type":"done","body":"x"}"#]).env("AKK_DROP_DIR", &drops)).0, 5);
    fake.requests();
    for text in ["not a report", r#"{"type":"task","body":"x"}"#, "{}"] {
        assert_eq!(run(home.callback(&[text]).env("AKK_DROP_DIR", &drops)).0, 6, "{text}");
    }
    assert_eq!(std::fs::read_dir(&drops).unwrap().count(), 0);
}

#[test]
fn where_nothing_can_be_left_the_agent_is_pointed_to_its_tools() {
    let home = Home::new();
    let nowhere = home.path().join("nowhere");
    let (code, _, err) = run(home.callback(&[r#"{"type":"done","body":"x"}"#]).env("AKK_DROP_DIR", &nowhere));
    assert_eq!(code, 6);
    assert!(err.contains("it cannot be left in") && err.contains("hint: Use your reporting tools of akk"), "{err}");
}

/// What the report server says to these lines, by their ids.
fn served(home: &Home, lines: &[Value]) -> Vec<Value> {
    std::fs::write(home.path().join("ticket"), "secret\n").unwrap();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (socket, ticket, drops) = (path("cb.sock"), path("ticket"), path("drops"));
    let words = [
        "report-server",
        "--conversation",
        ID,
        "--socket",
        &socket,
        "--ticket-file",
        &ticket,
        "--drop-dir",
        &drops,
        "--turn",
        "turn-2",
    ];
    let hello =
        json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let mut child = std::process::Command::new(home.bin.path().join("akkctl"))
        .env_clear()
        .args(words)
        .env("HOME", home.path())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut ask = |line: &Value| -> Option<Value> {
        writeln!(input, "{line}").unwrap();
        let id = line.get("id")?;
        loop {
            let answer: Value = serde_json::from_str(&output.next()?.unwrap()).unwrap();
            if answer["id"] == *id {
                return Some(answer);
            }
        }
    };
    ask(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello})).unwrap();
    ask(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    let said = lines.iter().filter_map(&mut ask).collect();
    drop(input);
    assert!(child.wait().unwrap().success());
    said
}

fn tool(id: u64, name: &str, arguments: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name, "arguments": arguments}})
}

#[test]
fn the_tools_report_and_leave_reports_like_the_command() {
    let home = Home::new();
    std::fs::create_dir(home.path().join("drops")).unwrap();
    let answer = json!({
        "message_id": "msg-01980000-0000-7000-8000-000000000001", "duplicate": false, "status": "idle",
        "budget_level": "normal"
    });
    let refused = refusal("invalid_message", "\"body\" is empty", "say something");
    let fake = Fake::play(&home.path().join("cb.sock"), vec![vec![Play::Answer(answer)], vec![refused]]);
    let said = served(
        &home,
        &[
            json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
            tool(2, "report_done", &json!({"body": "all of it"})),
            tool(3, "report_done", &json!({})),
            tool(4, "report_blocked", &json!({"body": "nobody is there", "turn": "turn-3"})),
            tool(5, "report_everything", &json!({"body": "x"})),
            tool(6, "report_done", &json!({"body": "x".repeat(300_000)})),
        ],
    );
    assert_eq!(said[0]["result"]["tools"].as_array().unwrap().len(), 5);
    let text = |n: usize| said[n]["result"]["content"][0]["text"].as_str().unwrap_or_default().to_owned();
    assert_eq!((text(1).as_str(), &said[1]["result"]["isError"]), ("ok done: idle\n", &json!(false)));
    assert_eq!(text(2), "The report was not recorded: \"body\" is empty\nsay something");
    assert_eq!(said[2]["result"]["isError"], true);
    assert!(text(3).starts_with("ok blocked: left for akkd"), "{}", text(3));
    assert!(said[4]["error"]["message"].is_string(), "{}", said[4]);
    assert!(text(5).contains("longer than 262144 bytes"), "{}", text(5));
    let requests = fake.requests();
    assert_eq!(
        (&requests[0]["params"]["ticket"], &requests[0]["params"]["turn_id"]),
        (&json!("secret"), &json!("turn-2"))
    );
    assert_eq!(std::fs::read_dir(home.path().join("drops")).unwrap().count(), 1);
}

#[test]
fn an_answer_is_told_only_when_it_counts_as_sent() {
    let recorded = || {
        Play::Answer(json!({
            "message_id": "msg-01980000-0000-7000-8000-000000000001", "duplicate": false,
            "status": "waiting_for_openclaw", "budget_level": "normal"
        }))
    };
    let mut answer = message("answer", "Take B.");
    (answer["from"], answer["to"]) = ("openclaw".into(), "codex".into());
    let brought = || Play::Answer(json!({"answer": answer, "status": "waiting_for_openclaw"}));
    let confirm = |confirmed: bool| Play::Answer(json!({"confirmed": confirmed, "status": "waiting_for_agent"}));
    let over = || Play::Answer(json!({"over": true, "status": "cancelling"}));
    // The connection that breaks is as when akkd is restarted: it is waited again.
    for (parts, part) in [
        (vec![recorded(), brought(), confirm(true)], "The orchestrator says (answer):\n\nTake B.\n"),
        (vec![recorded(), brought(), confirm(false)], "End your turn now"),
        (vec![recorded(), over()], "End your turn now"),
        (vec![recorded(), Play::Close, brought(), Play::Close, confirm(true)], "Take B."),
    ] {
        let home = Home::new();
        let count = parts.len();
        let fake = Fake::play(&home.path().join("cb.sock"), parts.into_iter().map(|p| vec![p]).collect());
        let said = served(&home, &[tool(1, "ask_question", &json!({"body": "A or B?"}))]);
        let text = said[0]["result"]["content"][0]["text"].as_str().unwrap().to_owned();
        assert!(text.contains(part), "{text}");
        assert!(part.contains('B') || !text.contains("Take B."), "{text}");
        assert_eq!(fake.requests().len(), count);
    }
}

#[test]
fn a_confirmation_that_reaches_nobody_is_left_and_counts() {
    let home = Home::new();
    std::fs::create_dir(home.path().join("drops")).unwrap();
    let recorded = json!({
        "message_id": "msg-01980000-0000-7000-8000-000000000001", "duplicate": false,
        "status": "waiting_for_openclaw", "budget_level": "normal"
    });
    let mut answer = message("answer", "Take B.");
    (answer["from"], answer["to"]) = ("openclaw".into(), "codex".into());
    let brought = json!({"answer": answer, "status": "waiting_for_openclaw"});
    let parts = vec![vec![Play::Answer(recorded)], vec![Play::Answer(brought)], vec![Play::Close]];
    let fake = Fake::play(&home.path().join("cb.sock"), parts);
    let said = served(&home, &[tool(1, "ask_question", &json!({"body": "A or B?"}))]);
    assert!(said[0]["result"]["content"][0]["text"].as_str().unwrap().contains("Take B."), "{said:?}");
    let asked = fake.requests().remove(2)["params"].clone();
    let left = std::fs::read_dir(home.path().join("drops")).unwrap().next().unwrap().unwrap().path();
    let mut drop: Value = serde_json::from_slice(&std::fs::read(left).unwrap()).unwrap();
    assert_eq!(drop.as_object_mut().unwrap().remove("drop"), Some("confirm_answer".into()));
    assert_eq!(drop, asked);
}
