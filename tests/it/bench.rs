//! The bench can measure everything that it promises. No story asserts how long anything takes.

use akk_tests::binaries::binaries;
use serde_json::Value;
use std::process::Command;

/// Every part but the one for which acpx must be installed, and what at least one of its rows is about.
const PARTS: [(&str, &str); 12] = [
    ("size", "size of `akkd`"),
    ("start", "start on an empty home"),
    ("prompts", "cold, whole round"),
    ("updates", "each streamed update"),
    ("callbacks", "durable callbacks per second"),
    ("idle", "wake-ups of akkd"),
    ("memory", "idle with 1,000 conversations"),
    ("calls", "round trip of a small call"),
    ("list", "`akkctl list`, whole process"),
    ("turns", "processes that akkd adds"),
    ("history", "`akkctl status` of a history"),
    ("sessions", "a new native session is announced"),
];

#[test]
fn the_bench_measures_every_part_of_its_table_and_a_quick_run_judges_nothing() {
    let mut bench = Command::new(&binaries().bench);
    bench.args(["--quick", "--json", "--only", "fork"]);
    for (part, _) in PARTS {
        bench.args(["--only", part]);
    }
    let output = bench.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let table: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(table["machine"].as_str().unwrap().contains("build profile"), "{table:#}");
    let rows = table["rows"].as_array().unwrap();
    for (part, what) in PARTS.into_iter().chain([("fork", "fork context of a rollout")]) {
        let row = rows.iter().find(|row| row["what"].as_str().unwrap().contains(what));
        let row = row.unwrap_or_else(|| panic!("{part} has no row: {table:#}"));
        assert_eq!(row["verdict"], "", "small homes say nothing about a bar: {row:#}");
        let told =
            row["figure"]["value"].is_number() || row["measured"].as_str().unwrap().starts_with("not measured: ");
        assert!(told, "{row:#}");
    }
}

#[test]
fn the_bench_names_its_parts_to_whoever_asks_for_another() {
    let output = Command::new(&binaries().bench).args(["--only", "speed"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("usage: bench") && PARTS.iter().all(|(part, _)| said.contains(part)), "{said}");
}
