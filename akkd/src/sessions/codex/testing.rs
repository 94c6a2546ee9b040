//! Codex homes for tests, made of fixtures: records of codex 0.169.0, cut down, and shapes of older versions.

use super::home::CodexHome;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A home in a folder of its own.
pub(super) struct Home {
    folder: TempDir,
    pub(super) home: CodexHome,
}

/// A finished turn of `codex exec`: a message in passing, a command that failed, a file change.
pub(super) const EXEC: &str = include_str!("fixtures/exec.jsonl");
pub(super) const EXEC_ID: &str = "01a2042a-b616-7f00-93fc-a0a1485810f0";
/// [`EXEC`], compressed by zstd 1.5.
pub(super) const EXEC_ZST: &[u8] = include_bytes!("fixtures/exec.jsonl.zst");
/// Three turns of a terminal.
pub(super) const THREE_TURNS: &str = include_str!("fixtures/three-turns.jsonl");
/// A terminal's turn under way, with a command that has not ended.
pub(super) const IN_FLIGHT: &str = include_str!("fixtures/in-flight.jsonl");
/// A sub-agent, with records of its parent at the beginning.
pub(super) const SUB_AGENT: &str = include_str!("fixtures/sub-agent.jsonl");
/// A turn that the model's server refused.
pub(super) const REFUSED: &str = include_str!("fixtures/refused.jsonl");
/// A model that calls its tools from JavaScript.
pub(super) const CODE_MODE: &str = include_str!("fixtures/code-mode.jsonl");
/// A turn that its user interrupted.
pub(super) const ABORTED: &str = include_str!("fixtures/aborted.jsonl");
/// What codex 0.39 and other old versions wrote.
pub(super) const OLD: &str = include_str!("fixtures/old-shapes.jsonl");
/// A thread, a fork of it, and a fork of that.
pub(super) const FORKS: [(&str, &str); 3] = [
    ("01a2044f-5141-7193-b8f9-0b2114e9434b", include_str!("fixtures/fork-base.jsonl")),
    ("01a20997-cc27-77f0-99ec-233b80e2b2fe", include_str!("fixtures/fork.jsonl")),
    ("01a20997-d60c-7bb2-85d8-96bb14f51b40", include_str!("fixtures/fork-of-fork.jsonl")),
];

impl Home {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = CodexHome::new(folder.path());
        Self { folder, home }
    }

    /// Puts a rollout where Codex puts it.
    pub(super) fn rollout(&self, id: &str, content: impl AsRef<[u8]>) -> PathBuf {
        self.put(&format!("sessions/2026/11/22/rollout-2026-11-22T16-50-37-{id}.jsonl"), content)
    }

    pub(super) fn put(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }
}

pub(super) fn append(path: &Path, content: &str) {
    use std::io::Write as _;
    std::fs::File::options().append(true).open(path).unwrap().write_all(content.as_bytes()).unwrap();
}

pub(super) fn event(kind: &str) -> String {
    format!(r#"{{"timestamp":"2026-11-22T17:00:00.000Z","type":"event_msg","payload":{{"type":"{kind}"}}}}{}"#, "\n")
}

/// A record of `bytes` bytes that says nothing.
pub(super) fn filler(bytes: usize) -> String {
    let text = "x".repeat(bytes.saturating_sub(80));
    format!(r#"{{"type":"response_item","payload":{{"type":"reasoning","encrypted_content":"{text}"}}}}{}"#, "\n")
}
