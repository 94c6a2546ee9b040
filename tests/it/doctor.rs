//! `akkctl doctor`: programs of every kind, places, an akkd that is down, a configuration that is wrong.

use akk_proto::api::{Check, CheckLevel, DoctorAnswer};
use akk_tests::peers::peers;
use akk_tests::{CtlOutput, Daemon, Home, Plan, ctl};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The only folder of the agents' `PATH`.
fn bin(home: &Home) -> PathBuf {
    let bin = home.root().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    bin
}

/// A program of a few lines. Made under another name, so that it is never run while it is being written.
fn program(home: &Home, name: &str, lines: &str) {
    let bin = bin(home);
    let new = bin.join(format!("{name}.new"));
    std::fs::write(&new, format!("#!/bin/sh\n{lines}\n")).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(new, bin.join(name)).unwrap();
}

/// A plan whose agents find only what is in [`bin`].
fn plan(home: &Home) -> Plan {
    Plan::default().top(&format!("path = {:?}", bin(home).to_str().unwrap()))
}

fn line<'a>(answer: &'a DoctorAnswer, name: &str) -> &'a Check {
    let found = answer.checks.iter().find(|c| c.name == name);
    found.unwrap_or_else(|| panic!("there is no line `{name}`: {:#?}", answer.checks))
}

fn says(answer: &DoctorAnswer, name: &str, level: CheckLevel, words: &str) {
    let check = line(answer, name);
    assert!(check.level == level && check.found.contains(words), "{words:?}: {check:?}");
}

/// Everything below a folder, with modes and sizes.
fn everything(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let meta = entry.path().symlink_metadata().unwrap();
        found.insert(format!("{} {:o} {}", entry.path().display(), meta.permissions().mode(), meta.len()));
        if meta.is_dir() {
            found.extend(everything(&entry.path()));
        }
    }
    found
}

/// Lines that want something say what, and fit into a terminal's words.
fn is_sound(answer: &DoctorAnswer, text: &CtlOutput) {
    for check in &answer.checks {
        assert!(!check.group.is_empty() && !check.found.is_empty(), "{check:?}");
        assert!(check.level < CheckLevel::Warn || check.hint.is_some(), "{check:?}");
        assert!(check.hint.as_ref().is_none_or(|hint| hint.ends_with('.')), "{check:?}");
    }
    let expected = i32::from(answer.checks.iter().any(|c| c.level == CheckLevel::Fail));
    assert_eq!(text.code, Some(expected), "{}", text.stdout);
}

#[tokio::test]
async fn programs_that_are_old_hang_or_talk_nonsense_are_told_and_nothing_waits_for_them() {
    let home = Home::new();
    program(&home, "codex", "case $1 in --version) echo codex-cli 0.100.0;; *) exit 1;; esac");
    program(&home, "claude", "/bin/sleep 1000 & /bin/sleep 1000");
    program(&home, "gemini", "echo '\u{1b}[2J no number here'; while :; do echo nonsense; done");
    program(&home, "acpx", "exit 3");
    program(&home, "node", "echo v20.0.0");
    program(&home, "openclaw", "echo OpenClaw 2099.1.1");
    let plan = plan(&home).tables("[agents.mine]\ncommand = [\"no-such-agent\"]");
    let akkd = Daemon::start_with(plan, home).await;
    let text = akkd.ctl(&["doctor", "--json"]).await;
    let answer: DoctorAnswer = text.json();
    is_sound(&answer, &text);
    says(&answer, "codex", CheckLevel::Note, "0.100.0");
    says(&answer, "codex", CheckLevel::Note, "not logged in; older than 0.169.0");
    says(&answer, "claude", CheckLevel::Note, "did not say its version within 2 s");
    says(&answer, "gemini", CheckLevel::Note, "did not say its version within 2 s");
    says(&answer, "acpx", CheckLevel::Note, "ends with 3");
    says(&answer, "node", CheckLevel::Note, "too old for acpx");
    says(&answer, "openclaw", CheckLevel::Note, "newer than");
    says(&answer, "not found", CheckLevel::Note, "cursor:");
    says(&answer, "demo (default)", CheckLevel::Ok, "akkctl over acp");
    says(&answer, "mine", CheckLevel::Warn, "`no-such-agent` is not in the agents' PATH");
    // This shell has the machine's programs, agents have these.
    assert_eq!(answer.environment["PATH"], bin(&akkd.home).to_str().unwrap());
    let shown = akkd.ctl(&["doctor"]).await.stdout;
    assert!(shown.contains("\nagents\n") && shown.lines().all(|l| l.chars().count() <= 400), "{shown}");
    assert!(shown.trim_end().ends_with('.'), "the end says what to do first: {shown}");
}

#[tokio::test]
async fn a_real_codex_is_found_with_its_version_and_login_and_no_key_is_shown() {
    let Some(peers) = peers("a_real_codex_is_found_with_its_version_and_login_and_no_key_is_shown") else { return };
    let home = Home::new();
    std::os::unix::fs::symlink(&peers.codex, bin(&home).join("codex")).unwrap();
    let akkd = Daemon::start_with(plan(&home), home).await;
    let look = async || akkd.ctl(&["doctor", "--json"]).await;
    says(&look().await.json(), "codex", CheckLevel::Note, "0.169.0, ");
    says(&look().await.json(), "codex", CheckLevel::Note, "not logged in");
    let codex = akkd.home.user().join(".codex");
    std::fs::create_dir_all(&codex).unwrap();
    let key = "sk-proj-0123456789abcdefghij0123456789abcdefghij";
    std::fs::write(codex.join("auth.json"), format!(r#"{{"auth_mode":"apikey","OPENAI_API_KEY":"{key}"}}"#)).unwrap();
    let text = look().await;
    says(&text.json(), "codex", CheckLevel::Ok, "logged in");
    assert!(!text.stdout.contains("sk-proj") && !text.stdout.contains("fghij"), "{}", text.stdout);
}

#[tokio::test]
async fn without_akkd_the_rest_is_looked_at_and_nothing_is_made_or_started() {
    let home = Home::new();
    let akkd = Daemon::not_started(plan(&home), home);
    let before = everything(akkd.home.root());
    let text = akkd.ctl(&["doctor", "--json"]).await;
    assert_eq!(everything(akkd.home.root()), before);
    let answer: DoctorAnswer = text.json();
    is_sound(&answer, &text);
    says(&answer, "akkd", CheckLevel::Note, "akkd was never started here");
    says(&answer, "config", CheckLevel::Ok, "config.toml is right");
    says(&answer, "demo (default)", CheckLevel::Ok, "akkctl");
    says(&answer, "not found", CheckLevel::Note, "codex, claude, cursor");
    says(&answer, "leftovers", CheckLevel::Ok, "");
    assert!(answer.checks.iter().any(|c| c.name == "disk"));
    let shown = akkd.ctl(&["doctor"]).await.stdout;
    assert!(!shown.contains("PROBLEM"), "{shown}");
}

#[tokio::test]
async fn a_wrong_configuration_is_told_with_its_line_whether_akkd_runs_or_not() {
    let home = Home::new();
    let mut akkd = Daemon::start_with(plan(&home), home).await;
    let text = std::fs::read_to_string(akkd.home.config()).unwrap();
    std::fs::write(akkd.home.config(), format!("nonsense = 1\n{text}")).unwrap();
    for running in [true, false] {
        let text = akkd.ctl(&["doctor", "--json"]).await;
        let answer: DoctorAnswer = text.json();
        is_sound(&answer, &text);
        says(&answer, "config", CheckLevel::Fail, "config.toml:1:1: unknown key `nonsense`");
        let then = if running { "what was read before stays in force" } else { "akkd does not start with it" };
        says(&answer, "config", CheckLevel::Fail, then);
        if running {
            akkd.stop(true).await;
        }
    }
    std::fs::write(akkd.home.config(), format!("{text}\n[openclaw]\nurl = \"ws://127.0.0.1:1\"\n")).unwrap();
    let answer: DoctorAnswer = akkd.ctl(&["doctor", "--json"]).await.json();
    assert!(answer.checks.iter().any(|c| c.found.starts_with("[openclaw] counts for nothing")), "{answer:?}");
}

#[tokio::test]
async fn what_is_open_to_others_and_what_is_damaged_is_a_problem() {
    let home = Home::new();
    let mut akkd = Daemon::start_with(plan(&home), home).await;
    says(&akkd.ctl(&["doctor", "--json"]).await.json(), "database", CheckLevel::Ok, "is whole");
    let database = akkd.home.akk().join("akk.db");
    std::fs::set_permissions(&database, std::fs::Permissions::from_mode(0o644)).unwrap();
    let text = akkd.ctl(&["doctor", "--json"]).await;
    assert_eq!(text.code, Some(1));
    says(&text.json(), "permissions", CheckLevel::Fail, "akk.db is open to others (mode 644)");
    akkd.stop(true).await;
    let answer: DoctorAnswer = akkd.ctl(&["doctor", "--json"]).await.json();
    says(&answer, "akkd", CheckLevel::Fail, "akkd is not running");
    says(&answer, "permissions", CheckLevel::Note, "akkd closes that");
    let shown = akkd.ctl(&["doctor"]).await.stdout;
    assert!(shown.contains("First, akkd: Start it with `akkctl daemon start`."), "{shown}");

    let mut bytes = std::fs::read(&database).unwrap();
    bytes[2 * 4096..12 * 4096].fill(0x5a);
    std::fs::write(&database, bytes).unwrap();
    let text = akkd.ctl(&["doctor", "--json"]).await;
    assert_eq!(text.code, Some(1));
    says(&text.json(), "database", CheckLevel::Fail, "is damaged");
}

#[tokio::test]
async fn a_program_that_only_this_shell_finds_is_told_with_how_agents_get_it() {
    let home = Home::new();
    let akkd = Daemon::start_with(plan(&home), home).await;
    let mine = akkd.home.root().join("mine");
    std::fs::create_dir(&mine).unwrap();
    program(&akkd.home, "codex", "echo codex-cli 0.169.0");
    std::fs::rename(bin(&akkd.home).join("codex"), mine.join("codex")).unwrap();
    let output = ctl::command(&akkd.home, &["doctor", "--json"])
        .env("PATH", &mine)
        .env("https_proxy", "http://me:geheim@proxy:1")
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("geheim"), "{text}");
    let answer: DoctorAnswer = serde_json::from_str(&text).unwrap();
    says(&answer, "this shell", CheckLevel::Warn, "and agents do not find it");
    let proxy = answer.checks.iter().find(|c| c.found.contains("https_proxy")).unwrap();
    assert!(proxy.found.contains("(an address with a password) in this shell, not set for akkd"), "{}", proxy.found);
}
