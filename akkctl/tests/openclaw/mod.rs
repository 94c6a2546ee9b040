//! `akkctl openclaw` and `akkctl doctor`, against stand-ins for OpenClaw's command line and for akkd.

mod played;

use super::{Fake, Home, Play, info, refusal, run};
use assert_cmd::Command;
use played::{PART, Played, play};
use serde_json::{Value, json};

/// The program that `akkctl` runs as OpenClaw: this test binary in its part. Does nothing otherwise.
#[test]
fn in_the_part_of_openclaw() {
    if let Some(call) = std::env::var_os(PART) {
        play(call.as_ref());
    }
}

/// A home with an OpenClaw of this configuration.
fn with(config: &Value) -> (Home, Played) {
    let home = Home::new();
    let played = Played::with(&home, config);
    (home, played)
}

/// akkctl, with `openclaw` in its `PATH`.
fn akkctl(home: &Home, played: &Played, args: &[&str]) -> Command {
    let mut command = home.akkctl(args);
    command.env("PATH", format!("{}:/usr/bin:/bin", played.folder().display()));
    command
}

/// What was printed, with the home as `HOME`, and akkctl's folder as `BIN`.
fn plain(home: &Home, text: &str) -> String {
    let bin = home.bin.path().to_str().unwrap();
    text.replace(home.path().to_str().unwrap(), "HOME").replace(bin, "BIN")
}

/// Runs it and expects success; what it printed.
fn done(home: &Home, played: &Played, args: &[&str]) -> String {
    let (code, out, err) = run(&mut akkctl(home, played, args));
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    plain(home, &out)
}

fn entry(played: &Played) -> Value {
    played.config()["plugins"]["entries"]["agent-knock-knock"].clone()
}

#[test]
fn an_installation_is_told_step_by_step_and_a_second_one_has_nothing_to_do() {
    let (home, openclaw) = with(&json!({"plugins": {"slots": {"memory": "none"}}, "gateway": {"port": 1}}));
    let first = done(&home, &openclaw, &["openclaw", "install"]);
    let link = home.path().join("openclaw/agent-knock-knock");
    assert!(link.join("index.js").is_file());
    assert_eq!(openclaw.config()["plugins"]["load"]["paths"], json!([link]));
    assert_eq!(entry(&openclaw), json!({"enabled": true, "config": {"socketPath": home.socket()}}));
    let calls = plain(&home, &openclaw.calls().join("\n"));
    let second = done(&home, &openclaw, &["openclaw", "install"]);
    assert_eq!(openclaw.calls(), ["--version", "config get plugins --json", "config get tools --json"]);
    insta::assert_snapshot!([first, calls, second].join("\n"));
}

#[test]
fn a_running_gateway_loads_the_plugin_and_is_not_restarted() {
    let (home, openclaw) = with(&json!({"plugins": {}}));
    openclaw.gateway_runs(&["agent-knock-knock"]);
    let out = done(&home, &openclaw, &["openclaw", "install", "--restart"]);
    assert!(out.contains("The running gateway has loaded it.\n"), "{out}");
    let out = done(&home, &openclaw, &["openclaw", "install", "--restart"]);
    assert!(out.contains("a restart is not needed"), "{out}");
    assert!(!openclaw.calls().iter().any(|c| c.starts_with("gateway restart")));
}

#[test]
fn a_gateway_that_did_not_load_it_is_restarted_only_when_that_was_asked_for() {
    let (home, openclaw) = with(&json!({"plugins": {}}));
    done(&home, &openclaw, &["openclaw", "install"]);
    openclaw.gateway_runs(&["telegram"]);
    let out = done(&home, &openclaw, &["openclaw", "install", "--restart"]);
    assert!(out.contains("was asked to restart"), "{out}");
    assert!(openclaw.calls().contains(&"gateway restart --safe --json".to_owned()));
    let (_, out, _) = run(&mut akkctl(&home, &openclaw, &["openclaw", "install", "--json", "--workspace", "/tmp"]));
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&answer["gateway"], &answer["changed"]), (&json!("needs_restart"), &json!(true)), "{answer}");
    assert_eq!(entry(&openclaw)["config"]["workspace"], "/tmp");
}

#[test]
fn a_changed_plugin_is_written_and_linked_anew() {
    let (home, openclaw) = with(&json!({"plugins": {}}));
    done(&home, &openclaw, &["openclaw", "install"]);
    let file = home.path().join("openclaw/agent-knock-knock/index.js");
    std::fs::write(&file, "// an older version").unwrap();
    openclaw.calls();
    let out = done(&home, &openclaw, &["openclaw", "install"]);
    assert!(out.contains("written to"), "{out}");
    assert!(openclaw.calls().iter().any(|c| c.starts_with("plugins install --link")), "the gateway has the old one");
    assert_ne!(std::fs::read_to_string(file).unwrap(), "// an older version");
    let copies = std::fs::read_dir(home.path().join("openclaw")).unwrap().flatten();
    assert_eq!(copies.filter(|e| e.file_type().unwrap().is_dir()).count(), 1, "the old copy is gone");
}

#[test]
fn what_stands_in_the_way_is_removed_or_told() {
    let id = "agent-knock-knock";
    // As OpenClaw leaves it behind when the plugin was taken out; an exclusive list; a denial; a copy of another home.
    let (home, openclaw) = with(&json!({"plugins": {
        "allow": ["telegram"], "deny": [id], "entries": {id: {"enabled": false}},
        "load": {"paths": ["/gone/openclaw/agent-knock-knock", "/mine"]}
    }}));
    let out = done(&home, &openclaw, &["openclaw", "install"]);
    let plugins = openclaw.config()["plugins"].clone();
    assert_eq!((&plugins["allow"], &plugins["deny"]), (&json!(["telegram", id]), &json!([])));
    let link = home.path().join("openclaw/agent-knock-knock");
    assert_eq!(plugins["load"]["paths"], json!(["/mine", link]));
    assert_eq!(entry(&openclaw)["enabled"], true);

    let (off, closed) = with(&json!({"plugins": {"enabled": false}}));
    let (code, said, err) = run(&mut akkctl(&off, &closed, &["openclaw", "install"]));
    assert_eq!(code, 1);
    assert!(!off.path().join("openclaw").exists(), "nothing was begun");
    insta::assert_snapshot!([out, plain(&off, &said), err].join("\n"));
}

#[test]
fn tools_that_a_policy_hides_are_told_and_added_only_on_request() {
    let (home, openclaw) = with(&json!({"plugins": {}, "tools": {"allow": ["read"]}}));
    let told = done(&home, &openclaw, &["openclaw", "install"]);
    assert_eq!(openclaw.config()["tools"]["allow"], json!(["read"]));
    let added = done(&home, &openclaw, &["openclaw", "install", "--allow-tools"]);
    assert_eq!(openclaw.config()["tools"]["allow"], json!(["read", "agent-knock-knock"]));
    let removed = done(&home, &openclaw, &["openclaw", "uninstall"]);
    assert_eq!(openclaw.config()["tools"]["allow"], json!(["read"]));
    insta::assert_snapshot!([told, added, removed].join("\n"));
}

#[test]
fn a_failure_says_what_was_done_and_the_next_run_goes_on() {
    let (home, openclaw) = with(&json!({"plugins": {}}));
    let mut told = Vec::new();
    for (words, says) in [
        (
            "--version",
            "openclaw: Node 20.20.2: node:sqlite is unavailable; use 24.16+/26.1+ or a build with the fix.\n",
        ),
        (
            "config get",
            "OpenClaw config is invalid\nFile: /h/openclaw.json\nProblem:\n  - gateway: Unrecognized key: \"nonsense\"\n\
             \nRun \"openclaw doctor --fix\" to repair the config, then retry.\n",
        ),
        (
            "plugins install",
            "\u{1b}[35m[config]\u{1b}[39m warnings: x\nWARNING - Installing plugin from local path\n\
             [openclaw] The CLI command failed.\n[openclaw] Reason: EACCES: permission denied, open '/h/openclaw.json'\n\
             [openclaw] Help: openclaw --help\n",
        ),
        ("config patch", "Config validation failed: plugins.entries.x.config: invalid config.\n"),
        ("gateway health", ""),
    ] {
        openclaw.fails(words, says);
        let (code, out, err) = run(&mut akkctl(&home, &openclaw, &["openclaw", "install"]));
        told.push(format!("{words}: exit {code}\n{}{}", plain(&home, &out), plain(&home, &err)));
    }
    openclaw.recovers();
    told.push(done(&home, &openclaw, &["openclaw", "install"]));
    assert_eq!(entry(&openclaw), json!({"enabled": true, "config": {"socketPath": home.socket()}}));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn openclaw_is_looked_for_where_it_was_named_then_where_it_was_before_then_in_path() {
    let (home, openclaw) = with(&json!({"plugins": {}}));
    let (code, _, err) = run(&mut home.akkctl(&["openclaw", "install"]));
    assert_eq!(code, 1);
    assert!(err.starts_with("error: openclaw was not found in PATH\nhint: "), "{err}");
    let (code, _, err) = run(&mut home.akkctl(&["openclaw", "install", "--openclaw", "/etc/passwd"]));
    assert_eq!(code, 1);
    assert!(err.starts_with("error: /etc/passwd is not a program that can be run\n"), "{err}");
    let named = ["openclaw", "install", "--openclaw", openclaw.program()];
    assert_eq!(run(home.akkctl(&named).env("PATH", "/usr/bin:/bin")).0, 0);
    let (code, out, err) = run(home.akkctl(&["openclaw", "install"]).env("PATH", "/usr/bin:/bin"));
    assert_eq!(code, 0, "the one of before: {err}");
    assert!(out.contains("Nothing was to be done."), "{out}");
}

#[test]
fn profiles_have_the_plugin_beside_each_other_and_the_last_one_removes_it() {
    let (home, openclaw) = with(&json!({"plugins": {}}));
    done(&home, &openclaw, &["openclaw", "install", "--profile", "work"]);
    assert!(openclaw.calls().iter().all(|c| c.starts_with("--profile work ")));
    done(&home, &openclaw, &["openclaw", "install"]);
    let out = done(&home, &openclaw, &["openclaw", "uninstall", "--profile", "work"]);
    assert!(out.contains("Another OpenClaw profile uses the plugin"), "{out}");
    assert!(home.path().join("openclaw/agent-knock-knock").exists());
    done(&home, &openclaw, &["openclaw", "uninstall"]);
    assert!(!home.path().join("openclaw").exists());
    assert_eq!(openclaw.config()["plugins"], json!({"entries": {}, "load": {"paths": []}}));
    let out = done(&home, &openclaw, &["openclaw", "uninstall"]);
    assert!(out.ends_with("OpenClaw has nothing of it.\n"), "{out}");
}

#[test]
fn what_openclaw_will_not_take_out_is_taken_out_by_hand_and_nobody_elses_copy_is() {
    let (home, openclaw) = with(&json!({"plugins": {"load": {"paths": ["/mine"]}}}));
    done(&home, &openclaw, &["openclaw", "install"]);
    openclaw
        .fails("plugins uninstall", "Plugin \"agent-knock-knock\" is not associated with a tracked package install.\n");
    let out = done(&home, &openclaw, &["openclaw", "uninstall"]);
    assert_eq!(openclaw.config()["plugins"], json!({"entries": {}, "load": {"paths": ["/mine"]}}));
    openclaw.configure(&json!({"plugins": {"load": {"paths": ["/other/openclaw/agent-knock-knock"]}}}));
    let (code, _, err) = run(&mut akkctl(&home, &openclaw, &["openclaw", "uninstall"]));
    assert_eq!(code, 1);
    insta::assert_snapshot!([out, plain(&home, &err)].join("\n"));
}

fn doctor_answer(connected: bool) -> Play {
    let check = |name: &str, level: &str, found: &str| json!({"name": name, "level": level, "found": found});
    let connection = if connected {
        check("connection", "ok", "OpenClaw 2026.9.6 (gw), connected for 3 minutes: sessions can be reached")
    } else {
        check("connection", "fail", "no plugin of OpenClaw is connected")
    };
    let plugin = json!({
        "gateway": "gw", "process": "p", "plugin_version": "0.1.0", "openclaw_version": "2026.9.6",
        "connected_at": "2026-06-20T14:00:00.000Z"
    });
    Play::Answer(json!({
        "checks": [check("home", "ok", "/h can be written"), connection, check("outbox", "ok", "no report waits")],
        "plugins": if connected { json!([plugin]) } else { json!([]) }
    }))
}

fn akkd(home: &Home, connected: bool) -> Fake {
    let mut info = info(1);
    info["pid"] = json!(42);
    info["version"] = json!(env!("CARGO_PKG_VERSION"));
    let callbacks = home.path().join("run/callback.sock");
    std::fs::create_dir_all(callbacks.parent().unwrap()).unwrap();
    let _ = std::fs::remove_file(&callbacks);
    // The socket outlives its listener's handle here: it ends with the test.
    std::mem::forget(std::os::unix::net::UnixListener::bind(callbacks).unwrap());
    Fake::play(&home.socket(), vec![vec![Play::Answer(info), doctor_answer(connected)]])
}

#[test]
fn a_doctor_without_akkd_says_so_first_and_looks_at_the_rest() {
    let (home, openclaw) = with(&json!({"plugins": {}}));
    let (code, before, _) = run(&mut akkctl(&home, &openclaw, &["doctor"]));
    assert_eq!(code, 1);
    done(&home, &openclaw, &["openclaw", "install"]);
    let (code, after, err) = run(&mut akkctl(&home, &openclaw, &["doctor"]));
    assert_eq!((code, err.as_str()), (1, ""));
    assert!(!home.path().join("run").exists(), "it started nothing");
    insta::assert_snapshot!([plain(&home, &before), plain(&home, &after)].join("\n"));
}

#[test]
fn a_doctor_tells_the_way_of_a_report_in_its_order() {
    let (home, openclaw) = with(&json!({"plugins": {}}));
    done(&home, &openclaw, &["openclaw", "install"]);
    let fake = akkd(&home, true);
    let well = done(&home, &openclaw, &["doctor"]);
    assert_eq!(fake.requests()[1]["method"], "daemon.doctor");

    // What the next start of the gateway would stumble over, and what that start then comes to.
    openclaw.gateway_runs(&["agent-knock-knock"]);
    openclaw.configure(&json!({"plugins": {"deny": ["agent-knock-knock"]}, "tools": {"allow": ["read"]}}));
    let fake = akkd(&home, true);
    let warned = done(&home, &openclaw, &["doctor"]);
    fake.requests();
    let fake = akkd(&home, false);
    let (code, ill, _) = run(&mut akkctl(&home, &openclaw, &["doctor"]));
    assert_eq!(code, 1);
    fake.requests();
    insta::assert_snapshot!([well, warned, plain(&home, &ill)].join("\n"));
}

#[test]
fn a_status_shows_the_part_of_openclaw_and_json_gives_the_checks() {
    let (home, openclaw) = with(&json!({"plugins": {}}));
    done(&home, &openclaw, &["openclaw", "install"]);
    openclaw.calls();
    let fake = akkd(&home, true);
    let shown = done(&home, &openclaw, &["openclaw", "status"]);
    fake.requests();
    assert_eq!(openclaw.calls(), [""; 0], "who is connected needs no slow look at OpenClaw");
    let fake = akkd(&home, true);
    let json: Value = serde_json::from_str(&done(&home, &openclaw, &["openclaw", "status", "--json"])).unwrap();
    fake.requests();
    let names: Vec<_> = json["checks"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["plugin", "connection"]);
    assert_eq!(json["plugins"][0]["gateway"], "gw");
    insta::assert_snapshot!(shown);
}

#[test]
fn an_akkd_that_cannot_look_is_told_with_its_own_words() {
    let home = Home::new();
    let parts = vec![vec![Play::Answer(info(1)), refusal("storage", "the disk is full", "free some room")]];
    let fake = Fake::play(&home.socket(), parts);
    let (code, out, _) = run(&mut home.akkctl(&["doctor", "--json"]));
    assert_eq!(code, 1);
    fake.requests();
    let answer: Value = serde_json::from_str(&out).unwrap();
    let failed: Vec<_> = answer["checks"].as_array().unwrap().iter().filter(|c| c["level"] == "fail").collect();
    let failed: Vec<_> = failed.into_iter().filter(|c| c["name"] == "akkd").collect();
    assert_eq!(failed.len(), 1, "{answer}");
    assert_eq!((&failed[0]["found"], &failed[0]["hint"]), (&json!("the disk is full"), &json!("free some room")));
}
