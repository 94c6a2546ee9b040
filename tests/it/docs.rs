//! What the documents say can be followed: links lead somewhere, and the clients that they show work.

use akk_proto::api::{ControlClient as _, ListParams};
use akk_tests::binaries::repository;
use akk_tests::peers::{note_left_out, peers};
use akk_tests::{Daemon, Home};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// No client takes longer in a story.
const LIMIT: Duration = Duration::from_mins(1);

/// README and its companions, and everything in `docs`.
fn documents() -> Vec<PathBuf> {
    let root = repository();
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|e| e == "md"));
    let beside = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root.join(name));
    docs.chain(beside).collect()
}

/// The text of a document without its blocks, in which nothing is a link or a heading.
fn prose(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let mut inside = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Where the links of a document lead, as they are written.
fn links(prose: &str) -> Vec<String> {
    prose.match_indices("](").map(|(at, _)| prose[at + 2..].split(')').next().unwrap().to_owned()).collect()
}

/// The anchors of a document, as the usual viewers make them from its headings.
fn anchors(prose: &str) -> BTreeSet<String> {
    let headings = prose.lines().filter(|l| l.starts_with('#')).map(|l| l.trim_start_matches('#').trim());
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect::<String>()
    };
    headings.map(anchor).collect()
}

/// Why a link of the document at `from` leads nowhere, if so. Other sites are not asked.
fn broken(from: &Path, link: &str) -> Option<String> {
    if link.starts_with("https://") {
        return None;
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let to = if file.is_empty() { from.to_owned() } else { from.parent().unwrap().join(file) };
    if !to.exists() {
        return Some(format!("{}: {link}: there is no such file", from.display()));
    }
    let missing = anchor.filter(|anchor| !anchors(&prose(&to)).contains(*anchor));
    missing.map(|_| format!("{}: {link}: there is no such heading", from.display()))
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let mut seen = 0;
    let mut complaints = Vec::new();
    for path in documents() {
        let links = links(&prose(&path));
        seen += links.len();
        complaints.extend(links.iter().filter_map(|link| broken(&path, link)));
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert!(seen > 40, "the documents refer to each other: {seen}");
}

#[test]
fn the_check_of_links_tells_good_from_bad() {
    let home = Home::new();
    let (one, two) = (home.root().join("one.md"), home.root().join("two.md"));
    std::fs::write(&one, "[a](two.md#the-end) [b](#no)\n```\n[c](nowhere.md)\n```\n").unwrap();
    std::fs::write(&two, "# Two\n## `[The] end`\n").unwrap();
    assert_eq!(links(&prose(&one)), ["two.md#the-end", "#no"]);
    assert_eq!(broken(&one, "two.md#the-end"), None);
    for bad in ["#no", "two.md#end", "three.md", "docs/"] {
        assert!(broken(&one, bad).is_some(), "{bad}");
    }
}

#[test]
fn every_document_can_be_reached_from_the_readme() {
    let mut reached = BTreeSet::from([repository().join("README.md").canonicalize().unwrap()]);
    let mut open: Vec<PathBuf> = reached.iter().cloned().collect();
    while let Some(path) = open.pop() {
        for link in links(&prose(&path)) {
            let file = link.split('#').next().unwrap();
            let to = path.parent().unwrap().join(file);
            if let Ok(to) = to.canonicalize()
                && to.extension().is_some_and(|e| e == "md")
                && reached.insert(to.clone())
            {
                open.push(to);
            }
        }
    }
    for path in documents() {
        assert!(reached.contains(&path.canonicalize().unwrap()), "nothing leads to {}", path.display());
    }
}

/// What the programs are made of, as one text.
fn sources() -> String {
    let listed = std::process::Command::new("git")
        .args(["ls-files", "--", "akkctl/src", "akkd", "proto/src", "packaging"])
        .current_dir(repository())
        .output()
        .unwrap();
    let files = String::from_utf8(listed.stdout).unwrap();
    let code = |file: &&str| [".rs", ".js"].iter().any(|e| file.ends_with(e)) && !file.contains("tests");
    let files = files.lines().filter(code).map(|file| repository().join(file));
    files.filter_map(|file| std::fs::read_to_string(file).ok()).collect()
}

#[test]
fn every_error_that_troubleshooting_explains_is_one_that_the_programs_say() {
    let text = std::fs::read_to_string(repository().join("docs/troubleshooting.md")).unwrap();
    let sources = sources();
    let rows = text.lines().filter(|l| l.starts_with("| ")).map(|l| l.split(" | ").next().unwrap());
    let quotes: Vec<_> = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(quotes.len() > 40, "{quotes:?}");
    for quote in quotes {
        // What differs from case to case: values, and what they are put between.
        for piece in quote.split(|c: char| c == '…' || c == '"' || c.is_ascii_digit()).map(str::trim) {
            assert!(sources.contains(piece), "nobody says {piece:?} of {quote:?}");
        }
    }
}

/// Runs a client of the documents: what it printed, and what it complained about.
async fn client(akkd: &Daemon, program: &OsStr, script: &str, agent: &str, task: &str) -> (bool, String, String) {
    let output = Command::new(program)
        .arg(repository().join("docs/clients").join(script))
        .args([akkd.home.control_socket(), akkd.home.workspace()])
        .args([agent, task])
        .env_clear()
        .envs(akkd.home.environment())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(LIMIT, output).await.unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// A client of the documents delegates, is told of a result and of a question, and says why it is refused.
async fn works(program: &OsStr, script: &str) {
    let akkd = Daemon::start().await;
    for (task, need, said) in [("say grüße", "done", "grüße"), ("ask which colour?", "question", "which colour?")] {
        let (well, out, err) = client(&akkd, program, script, "demo", task).await;
        assert!(well, "{out}{err}");
        let lines: Vec<_> = out.lines().collect();
        let newest = akkd.rpc().list(ListParams::default()).await.unwrap().conversations.remove(0).conversation_id;
        assert_eq!(lines, [format!("{newest}: {need}"), said.to_owned()], "{err}");
    }
    let (well, out, err) = client(&akkd, program, script, "nobody", "say hi").await;
    assert!(!well && out.is_empty(), "{out}");
    assert!(err.starts_with("there is no agent `nobody`\nhint: Known are: "), "{err}");
}

#[tokio::test]
async fn the_client_in_python_delegates_waits_and_tells() {
    // No peer that npm brings: a machine has it or not.
    if Command::new("python3").arg("--version").output().await.is_err() {
        assert!(std::env::var_os("AKK_REQUIRE_PEERS").is_none(), "python3 is required");
        note_left_out("the_client_in_python_delegates_waits_and_tells", "there is no python3");
        return;
    }
    works(OsStr::new("python3"), "delegate.py").await;
}

#[tokio::test]
async fn the_client_in_javascript_delegates_waits_and_tells() {
    let Some(peers) = peers("the_client_in_javascript_delegates_waits_and_tells") else { return };
    works(peers.node.as_os_str(), "delegate.mjs").await;
}

#[test]
fn the_clients_are_short() {
    for script in ["delegate.py", "delegate.mjs"] {
        let text = std::fs::read_to_string(repository().join("docs/clients").join(script)).unwrap();
        assert!(text.lines().count() <= 33, "{script} is shown as a client of about thirty lines");
    }
}
