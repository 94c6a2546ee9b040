//! The repository keeps its own rules: which room may use which, and what may not stand anywhere.

use akk_tests::binaries::repository;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The rooms of crate akkd and their floors, as ARCHITECTURE.md tells them. A room uses only rooms on lower floors.
fn floors() -> BTreeMap<String, u32> {
    let text = std::fs::read_to_string(repository().join("ARCHITECTURE.md")).unwrap();
    let rows = text.lines().skip_while(|l| !l.starts_with("| floor |")).skip(2).take_while(|l| l.starts_with('|'));
    let mut floors = BTreeMap::new();
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let floor = cells[1].parse().unwrap();
        // What stands in parentheses, or after a room's name, explains it.
        floors.extend(cells[2].split(',').filter_map(|room| Some((first_name(room.trim())?, floor))));
    }
    assert!(floors.len() > 10, "ARCHITECTURE.md has a table of floors: {floors:?}");
    floors
}

#[test]
fn no_room_of_akkd_uses_a_room_on_its_own_floor_or_above() {
    let src = repository().join("akkd/src");
    let floors = floors();
    let mut wrong = Vec::new();
    for file in rust_files(&src) {
        let room = room_of(&src, &file);
        let Some(own) = floors.get(&room) else {
            wrong.push(format!("{}: the room `{room}` stands on no floor", file.display()));
            continue;
        };
        let text = std::fs::read_to_string(&file).unwrap();
        for (line, used) in uses(&text) {
            match floors.get(&used) {
                _ if used == room => {}
                Some(other) if other < own => {}
                _ => wrong.push(format!("{}:{line}: `{room}` uses `{used}`", file.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "edges that the design does not have:\n{}", wrong.join("\n"));
}

#[test]
fn the_check_of_edges_sees_every_way_to_write_one() {
    let text = "use crate::store::Store;\nuse crate::{\n    config::Config,\n    conversation::{A, b::C},\n    clock,\n};\n\
                fn f() { crate::socket::listen(); }\n// see crate::effects\npub(crate) fn g() {}\n";
    let used: Vec<_> = uses(text).into_iter().map(|(line, room)| format!("{line} {room}")).collect();
    assert_eq!(used, ["1 store", "2 config", "2 conversation", "2 clock", "7 socket"]);
}

#[test]
fn crates_depend_on_each_other_one_way_only() {
    let allowed: [(&str, &[&str]); 4] = [
        ("proto", &[]),
        ("akkd/core", &["akk-proto"]),
        ("akkd", &["akk-core", "akk-proto"]),
        ("akkctl", &["akk-proto"]),
    ];
    for (folder, allowed) in allowed {
        let manifest = std::fs::read_to_string(repository().join(folder).join("Cargo.toml")).unwrap();
        let ours = manifest
            .lines()
            .filter_map(|l| l.split(['.', ' ', '=']).next())
            .filter(|name| ["akk-proto", "akk-core", "akkd", "akkctl", "akk-tests"].contains(name));
        for name in ours {
            assert!(allowed.contains(&name), "{folder} depends on {name}");
        }
    }
}

#[test]
fn no_test_is_ignored_without_a_reason() {
    // Taken apart, so that this file does not accuse itself. (Lints that are switched off are clippy's concern.)
    let ignored = ["#[ig", "nore]"].concat();
    for file in tracked_rust_files() {
        let text = std::fs::read_to_string(repository().join(&file)).unwrap();
        assert!(!text.contains(&ignored), "{}", file.display());
    }
}

#[test]
fn the_lock_files_of_the_peers_name_no_host() {
    for bundle in ["peers", "peers-openclaw"] {
        let lock = repository().join("tests").join(bundle).join("package-lock.json");
        let lock = std::fs::read_to_string(lock).unwrap();
        assert!(!lock.contains("\"resolved\""), "run npm with --omit-lockfile-registry-resolved=true");
    }
}

/// The room that a file of akkd belongs to: the first name below `src`.
fn room_of(src: &Path, file: &Path) -> String {
    let first = file.strip_prefix(src).unwrap().components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// Every room that `text` names after `crate::`, with the line where the path begins.
fn uses(text: &str) -> Vec<(usize, String)> {
    let code: Vec<String> = text.lines().map(|l| l.split("//").next().unwrap_or("").to_owned()).collect();
    let code = code.join("\n");
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => found.extend(top_names(list).map(|name| (line, name))),
            None => found.extend(first_name(rest).map(|name| (line, name))),
        }
    }
    // `crate::Config`, a name of the root itself, is no room.
    found.retain(|(_, name)| name.starts_with(|c: char| c.is_ascii_lowercase()));
    found
}

/// The first names of the paths in `a::b, c::{d, e}, f} …`: what stands before the brace that ends the list.
fn top_names(list: &str) -> impl Iterator<Item = String> {
    let mut depth = 0;
    let mut paths = vec![String::new()];
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => paths.push(String::new()),
            c if depth == 0 => paths.last_mut().unwrap().push(c),
            _ => {}
        }
    }
    paths.into_iter().filter_map(|p| first_name(p.trim()))
}

fn first_name(path: &str) -> Option<String> {
    let name: String = path.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

fn tracked_rust_files() -> Vec<PathBuf> {
    let output = Command::new("git").args(["ls-files", "*.rs"]).current_dir(repository()).output().unwrap();
    let files = String::from_utf8(output.stdout).unwrap();
    files.lines().map(PathBuf::from).filter(|p| repository().join(p).exists()).collect()
}
