//! `akkctl takeover` against a stand-in for akkd.

use super::sessions::{live, session};
use super::{Fake, Home, ID, Play, conversation, refusal, run};
use nix::pty::{Winsize, openpty};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::Stdio;

const UPDATED: &str = "2026-06-20T14:05:25.000Z";

fn answer(status: &str, strategy: &str) -> Value {
    json!({
        "status": status, "strategy": strategy, "side_effects_executed": false, "explanation": "That is so.",
        "session": live("0000bbbb", "fix it", UPDATED)
    })
}

fn plan(pid: u32, activity: &str) -> Value {
    json!({
        "plan_id": "plan-1", "expires_at": "2036-06-20T14:10:25.000Z",
        "session_id": "0198f3a2-1111-7222-8333-44440000bbbb",
        "target": {"pid": pid, "started_at": null, "command": ["codex", "--no-daemon"]}, "kind": "tui", "cwd": "/w",
        "evidence": "lock", "confidence": "exact",
        "children": [{"pid": 4250, "started_at": null, "command": ["npm", "run", "\u{1b}[2Jdev"]}], "activity": activity
    })
}

fn to_confirm(activity: &str) -> Value {
    let mut answer = answer("requires_confirmation", "terminate_then_resume");
    answer["plan"] = plan(4242, activity);
    answer["resume"] = json!({"way": "exec_resume", "cwd": "/w", "model": "gpt-5", "sandbox": "workspace-write"});
    answer
}

fn attached() -> Value {
    let mut answer = answer("attached", "terminate_then_resume");
    answer["side_effects_executed"] = json!(true);
    answer["steps"] = json!([{"ts": UPDATED, "step": "signalled", "detail": "SIGTERM to 4242"}]);
    answer["conversation"] = conversation("idle");
    answer
}

#[test]
fn every_result_has_its_exit_code() {
    for (status, strategy, code) in [
        ("ready", "safe_resume", 0),
        ("attached", "attach", 0),
        ("forked", "fork", 0),
        ("requires_confirmation", "terminate_then_resume", 3),
        ("awaiting_openclaw_summary", "fork", 3),
        ("blocked", "safe_resume", 5),
    ] {
        let home = Home::new();
        let fake = Fake::play(
            &home.socket(),
            vec![vec![Play::Answer(answer(status, strategy))], vec![Play::Answer(answer(status, strategy))]],
        );
        assert_eq!(run(&mut home.akkctl(&["takeover", "0000bbbb", "-s", strategy])).0, code, "{status}");
        let (json, out, _) = run(&mut home.akkctl(&["takeover", "0000bbbb", "-s", strategy, "--json"]));
        assert_eq!(json, code, "{status}");
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), answer(status, strategy));
        fake.requests();
    }
}

#[test]
fn every_refusal_has_its_exit_code_and_its_hint() {
    for (kind, code) in [
        ("session_not_found", 4),
        ("ambiguous_id", 2),
        ("plan_expired", 5),
        ("session_working", 5),
        ("protected_process", 5),
        ("expected_pid_mismatch", 5),
        ("takeover_not_confirmable", 5),
        ("shared_holder", 5),
        ("active_writer", 5),
        ("invalid_params", 2),
    ] {
        let home = Home::new();
        // After doubtful parameters akkctl asks which akkd that is.
        let mut parts = vec![vec![refusal(kind, "it cannot be", "look again")]];
        if kind == "invalid_params" {
            parts.push(vec![Play::Answer(super::info(1))]);
        }
        let fake = Fake::play(&home.socket(), parts);
        let (got, out, err) = run(&mut home.akkctl(&["takeover", "0000bbbb"]));
        assert_eq!((got, out.as_str()), (code, ""), "{kind}");
        assert_eq!(err, "error: it cannot be\nhint: Look again.\n", "{kind}");
        fake.requests();
    }
}

#[test]
fn json_is_exactly_what_akkd_answered() {
    let home = Home::new();
    let raw = serde_json::to_string(&to_confirm("idle")).unwrap().replacen('{', "{\"a_field_of_the_future\":  1,", 1);
    let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{raw}}}\n");
    let fake = Fake::play(&home.socket(), vec![vec![Play::Raw(line)]]);
    let (code, out, err) = run(&mut home.akkctl(&["takeover", "0000bbbb", "--json"]));
    assert_eq!((code, out.as_str(), err.as_str()), (3, format!("{raw}\n").as_str(), ""));
    fake.requests();
}

#[test]
fn a_plan_names_the_command_that_confirms_it_and_that_command_does_it() {
    let home = Home::new();
    let parts = vec![vec![Play::Answer(to_confirm("idle"))], vec![Play::Answer(attached())]];
    let fake = Fake::play(&home.socket(), parts);
    let (code, out, _) = run(&mut home.akkctl(&["takeover", "0000bbbb", "-s", "terminate_then_resume"]));
    assert_eq!(code, 3);
    let command = "akkctl takeover 0000bbbb --strategy terminate_then_resume --create --confirm 4242";
    assert!(out.contains(&format!("\n  {command}\n")), "{out}");
    assert!(out.contains("npm run ␛[2Jdev"), "{out}");
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    let (code, out, _) = run(&mut home.akkctl(&words));
    assert_eq!(code, 0);
    assert!(out.starts_with(&format!("{ID}  goes on with session 0198f3a2-")), "{out}");
    assert!(out.contains("\n  akkctl send 0a1b2c3d "), "{out}");
    let requests = fake.requests();
    let mut first = requests[0]["params"].clone();
    assert_eq!(first["request_id"].take(), Value::Null);
    assert_eq!(
        first,
        json!({
            "request_id": null, "agent": null, "session_id": "0000bbbb", "strategy": "terminate_then_resume",
            "create_conversation": false, "confirm_terminate": false, "plan_id": null, "expected_pid": null,
            "allow_cwd_only": false, "even_if_working": false, "kill": false, "wait_ms": null, "fork_summary": null,
            "request": null, "max_messages": null, "max_commands": null, "max_text_length": null, "model": null,
            "orchestrator": null, "label": null, "soft_limit": null, "hard_limit": null, "agent_timeout_minutes": null,
             "idle_timeout_minutes": null, "permissions": null,
            "deliver_progress": false
        })
    );
    let second = &requests[1]["params"];
    assert!(second["request_id"].is_string());
    assert_eq!((&second["create_conversation"], &second["confirm_terminate"]), (&json!(true), &json!(true)));
    assert_eq!((&second["expected_pid"], &second["plan_id"]), (&json!(4242), &Value::Null));
}

#[test]
fn a_takeover_whose_answer_was_lost_is_asked_for_again_as_the_same_call() {
    let home = Home::new();
    let fake = Fake::play(&home.socket(), vec![vec![Play::Close], vec![Play::Answer(attached())]]);
    let (code, ..) = run(&mut home.akkctl(&["takeover", "0000bbbb", "-s", "safe_resume", "--create"]));
    assert_eq!(code, 0);
    let requests = fake.requests();
    assert_eq!(requests[0]["params"], requests[1]["params"]);
    assert!(requests[1]["params"]["request_id"].is_string());
}

#[test]
fn without_a_terminal_nobody_is_asked_and_nothing_is_confirmed() {
    let home = Home::new();
    let fake = Fake::play(&home.socket(), vec![vec![Play::Answer(to_confirm("idle"))]]);
    let mut command = home.akkctl(&["takeover", "0000bbbb", "-s", "terminate_then_resume", "--create"]);
    let (code, out, _) = run(command.write_stdin("y\n"));
    assert_eq!(code, 3);
    assert!(!out.contains("[y/N]"), "{out}");
    let requests = fake.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0]["params"]["confirm_terminate"], json!(false));
    assert_eq!(requests[0]["params"]["expected_pid"], Value::Null);
}

/// akkctl at a terminal on which somebody types `early` at once, and `typed` when asked: its exit code and what the
/// terminal showed.
fn at_a_terminal(home: &Home, args: &[&str], early: &str, typed: &str) -> (i32, String) {
    let size = Winsize { ws_row: 50, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(&size, None).unwrap();
    let mut terminal = File::from(pty.master);
    terminal.write_all(early.as_bytes()).unwrap();
    let akkctl = home.akkctl(args);
    let end = |fd: &std::os::fd::OwnedFd| Stdio::from(fd.try_clone().unwrap());
    let mut child = std::process::Command::new(akkctl.get_program())
        .args(args)
        .env_clear()
        .env("HOME", home.path())
        .env("AKK_HOME", home.path())
        .env("TZ", "UTC")
        .stdin(end(&pty.slave))
        .stdout(end(&pty.slave))
        .stderr(end(&pty.slave))
        .spawn()
        .unwrap();
    drop(pty.slave);
    let mut asked = false;
    let mut shown = Vec::new();
    let mut piece = [0; 4096];
    // The end of a terminal is an error on Linux, and nothing on macOS.
    while let Ok(n @ 1..) = terminal.read(&mut piece) {
        shown.extend_from_slice(&piece[..n]);
        if !asked && String::from_utf8_lossy(&shown).contains("[y/N] ") {
            asked = true;
            terminal.write_all(typed.as_bytes()).unwrap();
        }
    }
    (child.wait().unwrap().code().unwrap(), String::from_utf8(shown).unwrap().replace('\r', ""))
}

#[test]
fn at_a_terminal_a_yes_confirms_exactly_the_plan_that_was_shown() {
    let home = Home::new();
    let parts = vec![vec![Play::Answer(to_confirm("idle")), Play::Answer(attached())]];
    let fake = Fake::play(&home.socket(), parts);
    let (code, shown) =
        at_a_terminal(&home, &["takeover", "0000bbbb", "-s", "terminate_then_resume", "--create"], "", "y\n");
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("What would be ended"), "{shown}");
    assert!(
        shown.contains("End process 4242 and the one that belongs to it, and take the session over? [y/N] "),
        "{shown}"
    );
    assert!(shown.contains(ID), "{shown}");
    let requests = fake.requests();
    assert_eq!(requests[0]["params"]["create_conversation"], json!(false));
    let second = &requests[1]["params"];
    assert_eq!((&second["create_conversation"], &second["confirm_terminate"]), (&json!(true), &json!(true)));
    assert_eq!((&second["expected_pid"], &second["plan_id"]), (&json!(4242), &json!("plan-1")));
}

#[test]
fn at_a_terminal_anything_but_a_yes_does_nothing() {
    // The last one is Ctrl-D. A yes from before the plan was shown is none either.
    for typed in ["n\n", "\n", "yess\n", "\u{4}"] {
        let home = Home::new();
        let fake = Fake::play(&home.socket(), vec![vec![Play::Answer(to_confirm("idle"))]]);
        let (code, shown) =
            at_a_terminal(&home, &["takeover", "0000bbbb", "-s", "terminate_then_resume", "--create"], "y\n", typed);
        assert_eq!(code, 3, "{shown}");
        assert!(shown.ends_with("Nothing was done.\n"), "{typed:?}: {shown}");
        assert_eq!(fake.requests().len(), 1);
    }
}

#[test]
fn a_plan_that_takes_more_than_a_yes_is_not_asked_about() {
    let home = Home::new();
    let fake = Fake::play(&home.socket(), vec![vec![Play::Answer(to_confirm("working"))]]);
    let (code, shown) =
        at_a_terminal(&home, &["takeover", "0000bbbb", "-s", "terminate_then_resume", "--create"], "", "y\n");
    assert_eq!(code, 3, "{shown}");
    assert!(!shown.contains("[y/N]") && shown.contains("--even-if-working"), "{shown}");
    assert_eq!(fake.requests().len(), 1);
}

#[test]
fn a_summary_for_a_fork_comes_from_standard_input_or_a_file() {
    let home = Home::new();
    let mut forked = answer("forked", "fork");
    forked["conversation"] = conversation("idle");
    let parts = vec![vec![Play::Answer(forked.clone())], vec![Play::Answer(forked)]];
    let fake = Fake::play(&home.socket(), parts);
    let fork = ["takeover", "0000bbbb", "-s", "fork", "--create", "--fork-summary"];
    let mut command = home.akkctl(&fork);
    let (code, out, _) = run(command.arg("-").write_stdin("Goal: all of it\n"));
    assert_eq!(code, 0);
    assert!(out.starts_with(&format!("{ID}  begins with your summary of session 0198f3a2-")), "{out}");
    let file = home.path().join("summary.md");
    std::fs::write(&file, "from a file").unwrap();
    assert_eq!(run(home.akkctl(&fork).arg(format!("@{}", file.display()))).0, 0);
    let requests = fake.requests();
    assert_eq!(requests[0]["params"]["fork_summary"], "Goal: all of it\n");
    assert_eq!(requests[1]["params"]["fork_summary"], "from a file");
}

#[test]
fn what_is_wrong_is_said_before_akkd_is_asked() {
    let home = Home::new();
    for (args, code, sentence) in [
        (&["takeover", ""][..], 2, "error: no session is named\nhint: "),
        (
            &["takeover", "x123", "-s", "steal"],
            2,
            "[possible values: safe_resume, attach, terminate_then_resume, fork]",
        ),
        (&["takeover", "x123", "--confirm", "codex"], 2, "not the number of a process"),
        (&["takeover", "x123", "-s", "attach", "--create", "--fork-summary", "s"], 2, "hint: Leave --fork-summary out"),
        (
            &["takeover", "x123", "-s", "fork", "--create", "--fork-summary", "@/no/such"],
            1,
            "error: cannot read /no/such",
        ),
    ] {
        let (got, out, err) = run(&mut home.akkctl(args));
        assert_eq!((got, out.as_str()), (code, ""), "{args:?}: {err}");
        assert!(err.contains(sentence), "{args:?}: {err}");
    }
}

#[test]
fn a_free_session_is_taken_over_in_one_step() {
    let home = Home::new();
    let mut ready = answer("ready", "safe_resume");
    ready["session"] = session("0000aaaa", "fix it", UPDATED);
    ready["resume"] = json!({"way": "exec_resume", "cwd": "/w", "model": "gpt-5", "sandbox": "read-only"});
    let fake = Fake::play(&home.socket(), vec![vec![Play::Answer(ready)]]);
    let (code, out, _) = run(&mut home.akkctl(&["takeover", "0000aaaa", "-s", "safe_resume", "-m", "gpt-5"]));
    assert_eq!(code, 0);
    assert!(out.contains("\n  sandbox    read-only\n"), "{out}");
    assert!(out.contains("\n  akkctl takeover 0000aaaa --strategy safe_resume --create --model gpt-5\n"), "{out}");
    fake.requests();
}
