//! The plugin's own stories, which stand beside it and are told in its language: OpenClaw and akkd are played.

use akk_tests::binaries::repository;
use akk_tests::peers;
use std::process::Command;

#[test]
fn the_stories_of_the_openclaw_plugin_hold() {
    let Some(peers) = peers::peers("the_stories_of_the_openclaw_plugin_hold") else { return };
    let output = Command::new(&peers.node)
        .args(["--test", "--test-reporter=tap", "test/*.test.mjs"])
        .current_dir(repository().join("packaging/openclaw-plugin"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let count = |name: &str| {
        let line = said.lines().find_map(|l| l.strip_prefix(&format!("# {name} ")));
        line.unwrap_or_else(|| panic!("no count of {name} in\n{said}")).trim().parse::<u32>().unwrap()
    };
    // A pattern that fits no file would be a success of nothing.
    assert!(count("pass") > 50 && count("pass") == count("tests"), "{said}");
}
