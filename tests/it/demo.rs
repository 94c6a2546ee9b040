//! The first thing a newcomer runs.

use akk_tests::{Home, ctl, processes, wait_for};
use std::path::PathBuf;
use std::process::Stdio;

/// The folders of demos.
fn folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/tmp").unwrap().flatten().map(|e| e.path());
    entries.filter(|p| p.file_name().unwrap().to_string_lossy().starts_with("akk-demo-")).collect()
}

/// One test, so that each half can look whether anything is left behind.
#[tokio::test]
async fn the_demo_shows_a_delegation_and_leaves_nothing_behind_however_it_ends() {
    let before = folders();
    let home = Home::new();
    let output = ctl::run(&home, &["demo"]).await.ok();
    let text = &output.stdout;
    let mut rest = text.as_str();
    // In this order.
    for part in [
        "akkctl delegate",
        "One decision is open",
        "The agent asks",
        "or friendly",
        "akkctl send",
        "akkctl result",
        "Changed: greeting.txt now says \"Hi, good to see you!\"",
        "akkctl transcript",
        "Write a greeting for our visitors",
        "Remains: nothing",
        "akkctl delegate --agent codex",
    ] {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is missing, or in the wrong place, in:\n{text}"));
        rest = &rest[at + part.len()..];
    }
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(!text.contains('\u{1b}'), "no colours where no terminal is");
    assert!(output.stderr.is_empty(), "{}", output.stderr);
    assert_eq!(processes::of(home.root()), []);
    assert_eq!(folders(), before);
    assert_eq!(std::fs::read_dir(home.temporary()).unwrap().count(), 0, "the folder for temporary files is as it was");

    // Ctrl-C in the middle.
    let mut child = ctl::command(&home, &["demo"]).stdout(Stdio::null()).spawn().unwrap();
    let agent = |p: &processes::Process| p.command.contains("demo-agent");
    wait_for("the agent", async || processes::of(home.root()).iter().any(agent).then_some(())).await;
    let pid = nix::unistd::Pid::from_raw(child.id().unwrap() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let status = child.wait().await.unwrap();
    assert_eq!(status.code(), Some(130));
    assert_eq!(processes::of(home.root()), []);
    assert_eq!(folders(), before);
    assert_eq!(std::fs::read_dir(home.temporary()).unwrap().count(), 0, "the folder for temporary files is as it was");
}
