//! `akkctl sessions` against a stand-in for akkd.

use super::{Fake, Home, Play, SUBSCRIBED, conversation, refusal, run};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};

/// A session whose id ends with these digits.
pub(crate) fn session(end: &str, title: &str, updated_at: &str) -> Value {
    json!({
        "agent": "codex", "session_id": format!("0198f3a2-1111-7222-8333-4444{end}"), "home": "/h/.codex", "cwd": "/w",
        "title": title, "updated_at": updated_at, "archived": false, "model": "gpt-5", "source": "cli",
        "originator": "codex-tui", "capability": "full", "activity": "unknown"
    })
}

/// The same in a terminal.
pub(crate) fn live(end: &str, title: &str, updated_at: &str) -> Value {
    let mut session = session(end, title, updated_at);
    session["activity"] = json!("idle");
    session["holders"] = json!([{
        "pid": 4242, "started_at": "2026-06-20T14:00:00.000Z", "kind": "tui", "command": ["codex", "--no-daemon"],
        "cwd": "/w", "evidence": "lock", "confidence": "exact"
    }]);
    session
}

fn page(sessions: &[Value], total: u64, next: Option<&str>) -> Play {
    let mut answer = json!({"sessions": sessions, "total": total});
    if let Some(next) = next {
        answer["next"] = json!(next);
    }
    Play::Answer(answer)
}

const OLD: &str = "2026-06-01T12:00:00.000Z";
const OLDER: &str = "2026-05-01T12:00:00.000Z";

fn asked(scope: &str, limit: u32) -> Value {
    json!({
        "scope": scope, "agent": null, "cwd": null, "text": null, "archived": false, "auxiliary": false,
        "limit": limit, "after": null
    })
}

#[test]
fn a_live_session_stands_first_however_old_it_is() {
    let home = Home::new();
    let parts = vec![vec![
        page(&[session("0000aaaa", "newer", OLD)], 40, Some("p2")),
        page(&[live("0000bbbb", "open for weeks", OLDER)], 1, None),
    ]];
    let fake = Fake::play(&home.socket(), parts);
    let (code, out, err) = run(&mut home.akkctl(&["sessions"]));
    assert_eq!((code, err.as_str()), (0, ""));
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[1].starts_with("0000bbbb  ● tui 4242  idle "), "{out}");
    assert!(lines[1].ends_with("  /w   open for weeks"), "{out}");
    assert!(lines[2].starts_with("0000aaaa "), "{out}");
    assert_eq!(lines[3], "… and 38 more: --all, or words to filter", "{out}");
    let params: Vec<Value> = fake.requests().into_iter().map(|r| r["params"].clone()).collect();
    assert_eq!(params, [asked("sessions", 30), asked("active", 1000)]);
}

#[test]
fn all_goes_through_every_page_with_the_same_filter() {
    let home = Home::new();
    let parts = vec![vec![
        page(&[session("0000aaaa", "one", OLD)], 2, Some("p2")),
        // The first one moved behind the cursor meanwhile.
        page(&[session("0000aaaa", "one", OLD), session("0000bbbb", "two", OLDER)], 2, None),
        page(&[], 0, None),
    ]];
    let fake = Fake::play(&home.socket(), parts);
    let (code, out, _) = run(&mut home.akkctl(&["sessions", "--all", "the", "parser", "--cwd", "/", "--archived"]));
    assert_eq!(code, 0);
    assert_eq!(out.matches("0000aaaa").count(), 1, "{out}");
    assert!(out.contains("two") && !out.contains("more:"), "{out}");
    let requests = fake.requests();
    for request in &requests {
        let params = &request["params"];
        assert_eq!(
            (&params["text"], &params["cwd"], &params["archived"]),
            (&json!("the parser"), &json!("/"), &json!(true))
        );
        assert_eq!(params["limit"], 1000);
    }
    let after: Vec<&Value> = requests.iter().map(|r| &r["params"]["after"]).collect();
    assert_eq!(after, [&json!(null), &json!("p2"), &json!(null)]);
}

#[test]
fn json_is_one_answer_a_line_exactly_as_it_came() {
    let home = Home::new();
    let raw = r#"{"sessions":[],  "total":0,"a_field_of_the_future":[1, 2]}"#;
    let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":{raw}}}\n");
    let fake = Fake::play(&home.socket(), vec![vec![Play::Raw(line)]]);
    let (code, out, err) = run(&mut home.akkctl(&["sessions", "--json"]));
    assert_eq!((code, out.as_str(), err.as_str()), (0, format!("{raw}\n").as_str(), ""));
    assert_eq!(fake.requests()[0]["params"], asked("sessions", 30));

    let two = vec![vec![page(&[session("0000aaaa", "one", OLD)], 2, Some("p2")), page(&[], 2, None)]];
    let fake = Fake::play(&home.socket(), two);
    let (_, out, _) = run(&mut home.akkctl(&["sessions", "--all", "--json"]));
    let answers: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((answers.len(), &answers[0]["next"]), (2, &json!("p2")));
    assert_eq!(fake.requests().len(), 2);
}

#[test]
fn a_page_that_leads_nowhere_is_not_asked_for_for_ever() {
    let home = Home::new();
    let stuck = || page(&[session("0000aaaa", "one", OLD)], 2, Some("p2"));
    let fake = Fake::play(&home.socket(), vec![vec![stuck(), stuck()]]);
    let (code, out, _) = run(&mut home.akkctl(&["sessions", "--all", "--json"]));
    assert_eq!((code, out.lines().count()), (0, 2));
    assert_eq!(fake.requests().len(), 2);
}

#[test]
fn processes_that_cannot_be_read_do_not_hide_the_history() {
    let home = Home::new();
    let refused = refusal("internal", "the processes cannot be listed", "look");
    let parts = vec![vec![page(&[session("0000aaaa", "one", OLD)], 1, None), refused]];
    let fake = Fake::play(&home.socket(), parts);
    let (code, out, _) = run(&mut home.akkctl(&["sessions"]));
    assert_eq!(code, 0);
    assert!(out.contains("0000aaaa"), "{out}");
    assert!(out.contains("Not everything could be read: the processes cannot be listed\n"), "{out}");
    fake.requests();
}

#[test]
fn active_ones_name_their_processes_and_what_works_is_told() {
    let home = Home::new();
    let providers = json!({
        "providers": [{
            "agent": "codex", "homes": ["/h/.codex"], "sessions": 3,
            "abilities": [{"name": "attach", "works": false, "reason": "no daemon"}]
        }],
        "total": 0
    });
    let parts = vec![vec![page(&[live("0000bbbb", "t", OLD)], 1, None)], vec![Play::Answer(providers)]];
    let fake = Fake::play(&home.socket(), parts);
    let (code, out, _) = run(&mut home.akkctl(&["sessions", "--active"]));
    assert_eq!(code, 0);
    assert!(out.contains("\n  ● tui 4242, started "), "{out}");
    assert!(out.contains("ago: it holds the session's lock (exact)\n    codex --no-daemon\n"), "{out}");
    let (code, out, _) = run(&mut home.akkctl(&["sessions", "--capabilities", "-a", "codex"]));
    assert_eq!(code, 0);
    assert!(out.contains("  attach  does not work\n          no daemon\n"), "{out}");
    let requests = fake.requests();
    assert_eq!(requests[0]["params"], asked("active", 1000));
    assert_eq!(
        (&requests[1]["params"]["scope"], &requests[1]["params"]["agent"]),
        (&json!("capabilities"), &json!("codex"))
    );
}

#[test]
fn a_title_does_not_command_the_terminal() {
    let home = Home::new();
    let evil = session("0000aaaa", "\u{1b}]0;pwned\u{7}\u{1b}[2J\nrm -rf", OLD);
    let fake = Fake::play(&home.socket(), vec![vec![page(&[evil], 1, None), page(&[], 0, None)]]);
    let (_, out, _) = run(&mut home.akkctl(&["sessions"]));
    assert!(out.contains("␛]0;pwned␇␛[2J rm -rf"), "{out:?}");
    assert!(!out.chars().any(|c| c.is_control() && c != '\n'), "{out:?}");
    fake.requests();
}

fn item(result: &Value) -> String {
    let params = json!({"subscription": 7, "result": result});
    format!("{}\n", json!({"jsonrpc": "2.0", "method": "sessions.item", "params": params}))
}

fn change(change: &str, session: &Value) -> String {
    item(&json!({"item": "session", "change": change, "ts": "2026-06-20T14:05:25.000Z", "session": session}))
}

/// akkctl with its standard output in our hands.
fn watching(home: &Home, args: &[&str]) -> Child {
    let akkctl = home.akkctl(args);
    std::process::Command::new(akkctl.get_program())
        .args(args)
        .env_clear()
        .env("HOME", home.path())
        .env("AKK_HOME", home.path())
        .env("TZ", "UTC")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_watch_tells_each_change_as_it_happens_until_ctrl_c() {
    let home = Home::new();
    let s = live("0000bbbb", "fix \u{1b}[2Jit", OLD);
    let first = [SUBSCRIBED.to_owned(), item(&json!({"item": "live", "sessions": 12})), change("owner_taken", &s)];
    let second = [
        SUBSCRIBED.to_owned(),
        item(&json!({"item": "live", "sessions": 13})),
        change("turn_ended", &s),
        item(&json!({"item": "missed", "reason": "too much at once"})),
    ];
    // The first connection breaks; the second one stays.
    let parts = vec![vec![Play::Raw(first.concat())], vec![Play::Raw(second.concat()), Play::Silence]];
    let fake = Fake::play(&home.socket(), parts);
    let mut child = watching(&home, &["sessions", "--watch", "--sub-agents", "-a", "codex"]);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let told: Vec<String> = lines.take(5).collect();
    assert_eq!(told[0], "Watching; 12 sessions known. Ctrl-C ends it.");
    assert_eq!(told[1], "2026-06-20 14:05:25 0000bbbb taken          by tui 4242 (exact): fix ␛[2Jit  /w");
    assert!(
        told[2].starts_with("The connection to akkd was made anew; what happened meanwhile is not told (13 "),
        "{told:?}"
    );
    assert_eq!(told[3], "2026-06-20 14:05:25 0000bbbb turn ended     fix ␛[2Jit  /w");
    assert_eq!(told[4], "Changes may be missing here: too much at once; see akkctl sessions");
    assert_eq!(child.try_wait().unwrap(), None, "it goes on");
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    child.wait().unwrap();
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(err, "");
    let requests = fake.requests();
    for request in &requests {
        assert_eq!(
            (&request["method"], &request["params"]),
            (&json!("sessions.watch"), &json!({"agent": "codex", "auxiliary": true}))
        );
    }
    assert_eq!(requests.len(), 2);
}

#[test]
fn a_watch_with_json_is_the_items_line_by_line() {
    let home = Home::new();
    let raw = r#"{"item":"live",  "sessions":0,"new":1}"#;
    let of_the_future = r#"{"item":"something_new"}"#;
    let notified = |raw: &str| {
        format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"sessions.item\",\"params\":{{\"subscription\":7,\"result\":{raw}}}}}\n"
        )
    };
    let text = format!("{SUBSCRIBED}{}{}", notified(raw), notified(of_the_future));
    let fake = Fake::play(&home.socket(), vec![vec![Play::Raw(text), Play::Silence]]);
    let mut child = watching(&home, &["sessions", "--watch", "--json"]);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.take(2).collect::<Vec<_>>(), [raw, of_the_future]);
    child.kill().unwrap();
    child.wait().unwrap();
    fake.requests();
}

#[test]
fn a_watch_that_is_refused_says_why() {
    let home = Home::new();
    let fake =
        Fake::play(&home.socket(), vec![vec![refusal("agent_unavailable", "no sessions of foo", "providers: codex")]]);
    let (code, out, err) = run(&mut home.akkctl(&["sessions", "--watch", "-a", "foo"]));
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(err, "error: no sessions of foo\nhint: Providers: codex.\n");
    fake.requests();
}

#[test]
fn the_status_of_an_adopted_session_names_it_and_its_first_prompt() {
    let home = Home::new();
    let mut adopted = conversation("idle");
    adopted["native_session_takeover"] = json!({
        "agent": "codex", "session_id": "0198f3a2-1111-7222-8333-44440000bbbb", "home": "/h/.codex", "cwd": "/w",
        "strategy": "safe_resume", "evidence": ["no process held it"], "attached_at": "2026-06-20T14:05:25.000Z",
        "needs_bootstrap": true
    });
    let answer = json!({"conversation": adopted, "events": [], "deliveries": []});
    let fake = Fake::play(&home.socket(), vec![vec![Play::Answer(answer)]]);
    let (code, out, _) = run(&mut home.akkctl(&["status"]));
    assert_eq!(code, 0);
    assert!(out.contains("  ready; nothing was sent yet (idle)\n"), "{out}");
    assert!(out.contains("\n  session    codex 0198f3a2-1111-7222-8333-44440000bbbb\n"), "{out}");
    assert!(out.contains("\n  bootstrap  needed: "), "{out}");
    fake.requests();
}
