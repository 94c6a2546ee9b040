//! What the table of crash windows in ARCHITECTURE.md says of tests is true.

use akk_tests::binaries::repository;
use std::collections::BTreeSet;
use std::process::Command;

/// Every name of a test in the repository.
fn tests() -> BTreeSet<String> {
    let listed = Command::new("git").args(["ls-files", "--", "*.rs"]).current_dir(repository()).output().unwrap();
    let files = String::from_utf8(listed.stdout).unwrap();
    let files = files.lines().map(|f| repository().join(f)).filter(|f| f.exists());
    let mut names = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let mut marked = false;
        for line in text.lines().map(str::trim) {
            let named = line.strip_prefix("with_codex!(").or_else(|| {
                let function = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "));
                function.filter(|_| marked)
            });
            names.extend(named.and_then(|n| n.split(['(', ',']).next()).map(str::to_owned));
            // Attributes and comments may stand between the mark and the function.
            marked = line.starts_with("#[test]")
                || line.starts_with("#[tokio::test")
                || (marked && (line.starts_with("#[") || line.starts_with("//")));
        }
    }
    names
}

/// The section, and what stands between backticks in the cells that name tests.
fn named() -> Vec<String> {
    let text = std::fs::read_to_string(repository().join("ARCHITECTURE.md")).unwrap();
    let section = text.split_once("## Crash windows and what closes them").unwrap().1;
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|l| l.starts_with('|')).map(|l| l.trim_matches('|').rsplit_once('|').unwrap().1);
    let words = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>());
    words.filter(|w| w.matches('_').count() > 2).collect()
}

#[test]
fn every_test_that_the_table_of_crash_windows_names_exists() {
    let (tests, named) = (tests(), named());
    assert!(named.len() > 80, "the table names tests: {named:?}");
    let missing: Vec<_> = named.iter().filter(|name| !tests.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_rule_and_every_point_has_its_row() {
    let text = std::fs::read_to_string(repository().join("ARCHITECTURE.md")).unwrap();
    for rule in 1..=22 {
        assert!(text.contains(&format!("\n| {rule} | ")), "rule {rule}");
    }
    for point in crate::walk::POINTS {
        assert!(text.contains(&format!("\n| `{point}` | ")), "{point}");
    }
}
