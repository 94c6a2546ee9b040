//! akkctl as its users run it: the built program, against a stand-in for akkd.
#![expect(clippy::unwrap_used, reason = "a test may fail loudly, in the functions around its stories too")]

#[expect(unreachable_pub, reason = "the unit tests use it too")]
mod fake;
mod openclaw;
mod report;
mod sessions;
mod takeover;

use assert_cmd::Command;
use fake::{Fake, Play, info, refusal};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const ID: &str = "task-20260620T140525-0a1b2c3d";

/// A home of its own, so that tests run beside each other and never meet the user's akkd.
struct Home {
    folder: tempfile::TempDir,
    /// With a link to akkctl; beside the build, since links do not cross file systems.
    bin: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let bin = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::hard_link(env!("CARGO_BIN_EXE_akkctl"), bin.path().join("akkctl")).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), bin }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn socket(&self) -> PathBuf {
        self.path().join("run/akkd.sock")
    }

    /// akkctl in this home. Nothing of the environment around the test reaches it, and it finds no akkd to start.
    fn akkctl(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.bin.path().join("akkctl"));
        command.env_clear().env("HOME", self.path()).env("AKK_HOME", self.path()).env("TZ", "UTC").args(args);
        command
    }

    /// As an agent finds itself inside a turn.
    fn callback(&self, args: &[&str]) -> Command {
        let mut command = self.akkctl(&["callback"]);
        command
            .args(args)
            .env("AKK_CONVERSATION", ID)
            .env("AKK_TICKET", "secret")
            .env("AKK_CALLBACK_SOCKET", self.path().join("cb.sock"));
        command
    }
}

/// Exit code, standard output, standard error.
fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn conversation(status: &str) -> Value {
    json!({
        "conversation_id": ID, "user_request": "fix it", "workspace": "/w", "agent": "codex",
        "executor": {"kind": "codex", "actor": "codex", "session": "s", "transport": "acp"}, "status": status,
        "response_rounds_used": 1, "soft_limit": 50, "hard_limit": 100, "budget_level": "normal",
        "created_at": "2026-06-20T14:05:25.000Z", "updated_at": "2026-06-20T14:05:25.000Z", "undelivered": 0,
        "recovery_policy": "auto", "permissions": "all"
    })
}

fn message(kind: &str, body: &str) -> Value {
    json!({
        "id": "msg-01980000-0000-7000-8000-000000000001", "ts": "2026-06-20T14:05:25.000Z", "conversation_id": ID,
        "from": "codex", "to": "openclaw", "type": kind, "requires_response": false, "round": 1, "max_rounds": 100,
        "body": body, "metadata": {}
    })
}

fn event(cursor: u64, body: &Value) -> String {
    let mut record = json!({
        "item": "event", "seq": cursor, "cursor": cursor, "ts": "2026-06-20T14:05:25.000Z", "conversation_id": ID,
        "turn_id": "turn-1"
    });
    record.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    let params = json!({"subscription": 7, "result": record});
    format!("{}\n", json!({"jsonrpc": "2.0", "method": "events.item", "params": params}))
}

const SUBSCRIBED: &str = "{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":7}\n";

#[test]
fn json_is_exactly_what_akkd_answered() {
    let home = Home::new();
    let raw = r#"{"conversations":[],  "total":0,"a_field_of_the_future":[1, 2]}"#;
    let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{raw}}}\n");
    let fake = Fake::play(&home.socket(), vec![vec![Play::Raw(line)]]);
    let (code, out, err) = run(&mut home.akkctl(&["list", "--all", "-s", "idle", "--json"]));
    assert_eq!((code, out.as_str(), err.as_str()), (0, format!("{raw}\n").as_str(), ""));
    assert_eq!(
        fake.requests()[0]["params"],
        json!({
            "all": true, "agent": null, "status": "idle", "workspace": null, "limit": null, "after": null
        })
    );
}

#[test]
fn errors_go_to_standard_error_with_a_hint_and_their_exit_code() {
    let home = Home::new();
    let fake = Fake::play(&home.socket(), vec![vec![refusal("not_found", "no conversation \u{1b}[31mx", "list them")]]);
    let (code, out, err) = run(&mut home.akkctl(&["status", "x"]));
    assert_eq!((code, out.as_str()), (4, ""));
    assert_eq!(err, "error: no conversation ␛[31mx\nhint: List them.\n");
    fake.requests();
    let (code, _, err) = run(&mut home.akkctl(&["status", "x"]));
    assert_eq!(code, 6);
    assert!(
        err.starts_with("error: akkd is not running, and no akkd was found beside akkctl or in PATH\nhint: "),
        "{err}"
    );
    let (code, _, err) = run(&mut home.akkctl(&["daemon", "status"]));
    assert_eq!(code, 6);
    assert!(err.contains("hint: Start it with `akkctl daemon start`."), "{err}");
    let (code, _, err) = run(&mut home.akkctl(&["send", "0a1b2c3d"]));
    assert_eq!(code, 2);
    assert!(err.contains("akkctl send ID TEXT"), "{err}");
    assert_eq!(run(&mut home.akkctl(&["nonsense"])).0, 2);
}

#[test]
fn a_message_is_sent_from_standard_input_and_again_when_the_connection_broke() {
    let home = Home::new();
    let answer = json!({
        "conversation": conversation("waiting_for_agent"), "message_id": "msg-01980000-0000-7000-8000-000000000001",
        "turn_id": "turn-2", "state": "sent", "budget_level": "normal"
    });
    let fake = Fake::play(&home.socket(), vec![vec![Play::Close], vec![Play::Answer(answer)]]);
    let mut command = home.akkctl(&["send", "0a1b2c3d", "-", "--type", "answer"]);
    let (code, out, err) = run(command.write_stdin("--yes, do it\n"));
    assert_eq!((code, out.as_str(), err.as_str()), (0, "Sent to 0a1b2c3d as turn-2; codex works\n", ""));
    let requests = fake.requests();
    assert_eq!(requests[0]["params"], requests[1]["params"], "the same request id: akkd can tell a repeat");
    assert_eq!(requests[1]["params"]["message"], "--yes, do it\n");
    assert_eq!(requests[1]["params"]["type"], "answer");
}

#[test]
fn a_delegation_sends_an_absolute_workspace_and_says_what_to_type_next() {
    let home = Home::new();
    let answer = json!({"conversation": conversation("waiting_for_agent"), "turn_id": "turn-1"});
    let fake = Fake::play(&home.socket(), vec![vec![Play::Answer(answer)]]);
    let mut command = home.akkctl(&["delegate", "--approve", "reads", "--", "-fix it"]);
    let (code, out, _) = run(command.current_dir(home.path()));
    assert_eq!(code, 0);
    assert!(out.starts_with(&format!("{ID}  codex, turn-1, working\n")), "{out}");
    assert!(out.contains("akkctl wait 0a1b2c3d"), "{out}");
    let params = &fake.requests()[0]["params"];
    let workspace = Path::new(params["workspace"].as_str().unwrap());
    assert_eq!(workspace.canonicalize().unwrap(), home.path().canonicalize().unwrap());
    assert_eq!((&params["request"], &params["permissions"]), (&json!("-fix it"), &json!("reads")));
}

#[test]
fn a_delegation_whose_agent_did_not_start_is_a_failure() {
    let home = Home::new();
    let mut stalled = conversation("stalled");
    stalled["stalled_reason"] = json!("codex-acp was not found");
    let answer = json!({"conversation": stalled, "turn_id": "turn-1"});
    let fake = Fake::play(&home.socket(), vec![vec![Play::Answer(answer)]]);
    let (code, out, _) = run(&mut home.akkctl(&["delegate", "x"]));
    assert_eq!(code, 1);
    assert!(out.contains("codex-acp was not found"), "{out}");
    fake.requests();
}

#[test]
fn a_waiting_delegation_shows_progress_aside_and_exits_as_wait_does() {
    let home = Home::new();
    let delegated = json!({"conversation": conversation("waiting_for_agent"), "turn_id": "turn-1"});
    let said = |kind, body| json!({"event": "message", "message": message(kind, body), "origin": "callback"});
    let events = [
        SUBSCRIBED.to_owned(),
        event(1, &json!({"event": "prompt_sent", "bytes": 10})),
        event(2, &said("progress", "half of it")),
        event(3, &said("question", "which one?")),
    ];
    let asked = json!({
        "need": "question", "timed_out": false, "conversation": conversation("waiting_for_openclaw"),
        "message": message("question", "which one?\nA or B?")
    });
    // Calls: delegate on one connection, the subscription on another, the look at the status on a third.
    let parts = vec![vec![Play::Answer(delegated)], vec![Play::Raw(events.concat())], vec![Play::Answer(asked)]];
    let fake = Fake::play_at_once(&home.socket(), parts);
    let (code, out, err) = run(&mut home.akkctl(&["delegate", "--wait", "x"]));
    assert_eq!(code, 3, "it needs someone: {err}");
    assert!(out.contains("question") && out.contains("    which one?\n    A or B?\n"), "{out}");
    assert!(err.contains("codex → openclaw progress, round 1: half of it"), "{err}");
    assert!(!err.contains("prompt handed over"), "{err}");
    let subscribe = fake.requests().into_iter().find(|r| r["method"] == "events.subscribe").unwrap();
    assert_eq!(subscribe["params"], json!({"since": 0, "conversation_id": ID, "kinds": []}));
}

#[test]
fn wait_exits_by_what_is_needed_and_7_when_the_time_is_over() {
    let home = Home::new();
    for (need, status, code) in [("done", "idle", 0), ("failed", "failed", 1), ("blocked", "waiting_for_openclaw", 3)] {
        let answer = json!({"need": need, "timed_out": false, "conversation": conversation(status)});
        let fake = Fake::play(&home.socket(), vec![vec![Play::Answer(answer)]]);
        assert_eq!(run(&mut home.akkctl(&["wait"])).0, code, "{need}");
        assert_eq!(fake.requests()[0]["params"], json!({"conversation_id": "", "any": false, "timeout_ms": 3_600_000}));
    }
    let nothing = || Play::Answer(json!({"need": null, "timed_out": true, "cursor": 7}));
    let fake = Fake::play(&home.socket(), vec![vec![nothing(), nothing()]]);
    let (code, out, err) = run(&mut home.akkctl(&["wait", "--any", "--timeout", "0"]));
    assert_eq!((code, out.as_str()), (7, ""));
    assert!(err.starts_with("error: nothing happened within 0 s\n"), "{err}");
    let asked: Vec<Value> = fake.requests().iter().map(|r| r["params"].clone()).collect();
    let params = [
        json!({"conversation_id": null, "any": true, "timeout_ms": 0}),
        json!({"conversation_id": null, "any": true, "since": 7, "timeout_ms": 0}),
    ];
    assert_eq!(asked, params, "from where on is known before it waits");
}

#[test]
fn events_end_when_the_past_is_told() {
    let home = Home::new();
    let live = "{\"jsonrpc\":\"2.0\",\"method\":\"events.item\",\"params\":{\"subscription\":7,\"result\":{\"item\":\"live\",\"cursor\":2}}}\n";
    let text = format!("{SUBSCRIBED}{}{live}", event(2, &json!({"event": "prompt_sent", "bytes": 2048})));
    let fake = Fake::play(&home.socket(), vec![vec![Play::Raw(text.clone())], vec![Play::Raw(text)]]);
    let (code, out, _) = run(&mut home.akkctl(&["events"]));
    assert_eq!(code, 0);
    assert!(out.ends_with("14:05:25 0a1b2c3d turn-1  prompt handed over, 2 KiB\n"), "{out}");
    let (_, out, _) = run(&mut home.akkctl(&["events", "--json", "--since", "1"]));
    let items: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(items.len(), 2);
    assert_eq!(items[1], json!({"item": "live", "cursor": 2}));
    let since: Vec<_> = fake.requests().iter().map(|r| r["params"]["since"].clone()).collect();
    assert_eq!(since, [0, 1]);
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let home = Home::new();
    let rows: Vec<Value> = (0..1000)
        .map(|n| {
            json!({
                "conversation_id": format!("task-20260620T140525-{n:08x}"), "agent": "codex", "status": "idle",
                "user_request": "x".repeat(200), "workspace": "/w", "created_at": "2026-06-20T14:05:25.000Z",
                "updated_at": "2026-06-20T14:05:25.000Z", "response_rounds_used": 0, "soft_limit": 50, "undelivered": 0
            })
        })
        .collect();
    let answer = json!({"conversations": rows, "total": 1000});
    let fake = Fake::play(&home.socket(), vec![vec![Play::Answer(answer)]]);
    let akkctl = home.akkctl(&["list"]);
    let mut child = std::process::Command::new(akkctl.get_program())
        .args(akkctl.get_args())
        .env("HOME", home.path())
        .env("AKK_HOME", home.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
    fake.requests();
}

#[test]
fn a_callback_is_ok_only_when_akkd_has_it() {
    let home = Home::new();
    let answer = json!({
        "message_id": "msg-01980000-0000-7000-8000-000000000001", "duplicate": false, "status": "idle",
        "budget_level": "warning"
    });
    // The first attempt loses its answer, as when akkd is restarted: the second one is the same report.
    let fake = Fake::play(&home.path().join("cb.sock"), vec![vec![Play::Close], vec![Play::Answer(answer)]]);
    let report = r#"{"type":"done","body":"it is's done"}"#;
    let (code, out, err) = run(&mut home.callback(&["--turn", "turn-2", report]));
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("ok done: idle\nBudget: "), "{out}");
    let requests = fake.requests();
    assert_eq!(requests[0]["params"], requests[1]["params"]);
    let mut params = requests[1]["params"].clone();
    assert!(params["attempt_id"].take().is_string());
    assert_eq!(
        params,
        json!({
            "conversation_id": ID, "ticket": "secret", "turn_id": "turn-2", "attempt_id": null, "message": report
        })
    );
}

#[test]
fn a_callback_takes_its_report_from_standard_input_or_a_file() {
    let home = Home::new();
    let answer = || {
        Play::Answer(json!({
            "message_id": "msg-01980000-0000-7000-8000-000000000001", "duplicate": true, "status": "idle",
            "budget_level": "normal"
        }))
    };
    let fake = Fake::play(&home.path().join("cb.sock"), vec![vec![answer()], vec![answer()]]);
    let ticket = home.path().join("ticket");
    std::fs::write(&ticket, "from a file\n").unwrap();
    let mut command = home.callback(&["--ticket-file", ticket.to_str().unwrap()]);
    let (code, out, _) = run(command.write_stdin("```json\n{\"type\": \"question\"}\n```"));
    assert_eq!(code, 0);
    assert!(out.starts_with("ok question: idle\nThis report had been recorded before."), "{out}");
    let file = home.path().join("report.json");
    std::fs::write(&file, "{}").unwrap();
    assert_eq!(run(&mut home.callback(&["--message-file", file.to_str().unwrap()])).0, 0);
    let requests = fake.requests();
    assert_eq!(requests[0]["params"]["ticket"], "from a file");
    assert_eq!(requests[1]["params"]["message"], "{}");
}

#[test]
fn a_callback_that_fails_tells_the_agent_what_to_do() {
    let home = Home::new();
    let (code, out, err) = run(&mut home.callback(&["{}"]));
    assert_eq!((code, out.as_str()), (6, ""));
    assert!(err.starts_with("error: the report was not recorded: akkd is not running"), "{err}");
    assert!(err.contains("\nhint: Run the same command once more; if it fails again, end your turn with"), "{err}");

    let file = home.path().join("long");
    std::fs::write(&file, "x".repeat((256 << 10) + 1)).unwrap();
    let (code, _, err) = run(&mut home.callback(&["--message-file", file.to_str().unwrap()]));
    assert_eq!(code, 5);
    assert!(err.starts_with("error: the report is longer than 262144 bytes\nhint: Put the text into a file"), "{err}");

    let (code, _, err) = run(home.callback(&["{}"]).env_remove("AKK_TICKET"));
    assert_eq!(code, 2);
    assert!(err.starts_with("error: there is no ticket\nhint: Run this inside a turn"), "{err}");
    let (code, _, err) = run(home.callback(&["{}"]).env_remove("AKK_CONVERSATION"));
    assert_eq!(code, 2);
    assert!(err.starts_with("error: no conversation is named\n"), "{err}");
    assert_eq!(run(home.callback(&["{}"]).env("AKK_CONVERSATION", "../x")).0, 2);
    assert_eq!(run(home.callback(&[]).write_stdin(" \n")).0, 2);

    let fake = Fake::play(
        &home.path().join("cb.sock"),
        vec![vec![refusal("ticket_refused", "this ticket was revoked", "stop working on this")]],
    );
    let (code, _, err) = run(&mut home.callback(&["{}"]));
    assert_eq!((code, err.as_str()), (5, "error: this ticket was revoked\nhint: Stop working on this.\n"));
    fake.requests();
}

#[test]
fn completions_know_the_commands() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = run(&mut home.akkctl(&["completions", shell]));
        assert_eq!(code, 0);
        assert!(out.contains("transcript") && out.contains("waiting_for_openclaw"), "{shell}");
        assert!(out.contains("takeover") && out.contains("terminate_then_resume"), "{shell}");
    }
}

#[test]
fn logs_are_read_without_akkd() {
    let home = Home::new();
    let (code, _, err) = run(&mut home.akkctl(&["daemon", "logs"]));
    assert_eq!(code, 1);
    assert!(err.starts_with("error: there is no log in "), "{err}");
    let log = home.path().join("logs/runtime-2026-06-20.ndjson");
    std::fs::create_dir_all(log.parent().unwrap()).unwrap();
    let line =
        |n| format!(r#"{{"timestamp":"2026-06-20T14:00:0{n}Z","level":"INFO","fields":{{"message":"line {n}"}}}}"#);
    std::fs::write(log, format!("{}\n{}\n{}\n", line(1), line(2), line(3))).unwrap();
    let (code, out, _) = run(&mut home.akkctl(&["daemon", "logs", "-n", "2"]));
    assert_eq!(code, 0);
    assert!(out.contains("line 2") && out.ends_with("line 3\n") && !out.contains("line 1"), "{out}");
    let (_, out, _) = run(&mut home.akkctl(&["daemon", "logs", "-n", "1", "--json"]));
    assert_eq!(out, format!("{}\n", line(3)));
}

/// The program that `akkctl` starts in the tests below: this test binary in the part of akkd. Does nothing otherwise.
#[test]
fn in_the_part_of_akkd() {
    let Some(home) = std::env::var_os("AKK_TEST_PART_OF_AKKD") else { return };
    let home = PathBuf::from(home);
    let starts = home.join(format!("started-{}", std::process::id()));
    std::fs::write(starts, "").unwrap();
    let protocol = std::fs::read_to_string(home.join("protocol")).map_or(1, |p| p.trim().parse().unwrap());
    Fake::serve_until_stopped(&home.join("run/akkd.sock"), &info(protocol));
}

/// Puts an `akkd` beside akkctl that runs this test binary in the part of akkd.
fn install_akkd(home: &Home) {
    let exe = std::env::current_exe().unwrap();
    let script = format!(
        "exec env AKK_TEST_PART_OF_AKKD=\"$AKK_HOME\" '{}' --exact in_the_part_of_akkd --nocapture",
        exe.display()
    );
    fake::install(&script, &home.bin.path().join("akkd"));
}

fn started(home: &Home) -> usize {
    let entries = std::fs::read_dir(home.path()).unwrap();
    entries.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with("started-")).count()
}

#[test]
fn many_akkctl_at_once_start_one_akkd() {
    let home = Home::new();
    install_akkd(&home);
    let codes: Vec<i32> = std::thread::scope(|s| {
        let calls: Vec<_> = (0..8).map(|_| s.spawn(|| run(&mut home.akkctl(&["daemon", "start"])))).collect();
        calls.into_iter().map(|c| c.join().unwrap().0).collect()
    });
    assert_eq!(codes, [0; 8]);
    assert_eq!(started(&home), 1);
    let (code, out, _) = run(&mut home.akkctl(&["daemon", "start"]));
    assert_eq!(code, 0);
    assert!(out.starts_with("akkd runs already: process "), "{out}");
    assert_eq!(run(&mut home.akkctl(&["daemon", "status"])).0, 0);
    let (code, out, err) = run(&mut home.akkctl(&["daemon", "stop"]));
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("akkd is stopped; running turns are left alone"), "{out}");
    assert_eq!(run(&mut home.akkctl(&["daemon", "status"])).0, 6);
    let (code, out, _) = run(&mut home.akkctl(&["daemon", "stop"]));
    assert_eq!((code, out.as_str()), (0, "akkd is not running\n"));
    assert_eq!(started(&home), 1, "stop and status start nothing");
}

#[test]
fn a_command_starts_akkd_but_an_agent_does_not() {
    let home = Home::new();
    install_akkd(&home);
    let (code, _, err) = run(home.akkctl(&["list"]).env("AKK_CONVERSATION", ID));
    assert_eq!(code, 6);
    assert!(err.starts_with("error: akkd is not running, and an agent must not start it\n"), "{err}");
    assert_eq!(run(&mut home.callback(&["{}"])).0, 6);
    assert_eq!(started(&home), 0);
    let (code, out, err) = run(&mut home.akkctl(&["list"]));
    assert_eq!(
        (code, out.as_str()),
        (0, "No open conversations. Begin one with: akkctl delegate \"what to do\"\n"),
        "{err}"
    );
    assert_eq!(started(&home), 1);
    assert_eq!(run(&mut home.akkctl(&["daemon", "stop", "--agents"])).0, 0);
}

#[test]
fn an_akkd_of_another_protocol_is_named_and_not_used() {
    let home = Home::new();
    install_akkd(&home);
    std::fs::write(home.path().join("protocol"), "2").unwrap();
    let (code, out, err) = run(&mut home.akkctl(&["list"]));
    assert_eq!((code, out.as_str()), (5, ""));
    assert!(err.contains("speaks protocol 1, the running akkd 9.9.9 speaks protocol 2\nhint: Use the akkctl"), "{err}");
    assert_eq!(run(&mut home.akkctl(&["daemon", "status"])).0, 5);
    assert_eq!(run(&mut home.akkctl(&["daemon", "stop"])).0, 0);
}
