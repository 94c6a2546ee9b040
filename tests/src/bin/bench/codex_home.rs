//! A Codex home that is made up: rows, rollouts and locks as codex 0.169 writes them.

use rusqlite::Connection;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// The columns of codex 0.169 that say something about a session.
const THREADS: &str =
    "PRAGMA journal_mode = WAL; CREATE TABLE threads (id TEXT PRIMARY KEY, rollout_path TEXT NOT NULL,
    created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, source TEXT NOT NULL, cwd TEXT NOT NULL,
    title TEXT NOT NULL, sandbox_policy TEXT NOT NULL, archived INTEGER NOT NULL DEFAULT 0, git_branch TEXT,
    cli_version TEXT NOT NULL, first_user_message TEXT NOT NULL, model TEXT, created_at_ms INTEGER,
    updated_at_ms INTEGER, thread_source TEXT, preview TEXT NOT NULL, recency_at INTEGER NOT NULL,
    recency_at_ms INTEGER NOT NULL, name TEXT, originator TEXT);
    CREATE INDEX idx_threads_updated_at_ms ON threads(updated_at_ms DESC, id DESC);";
const INSERT: &str = "INSERT INTO threads VALUES (?1, ?2, ?3, ?3, 'cli', '/tmp', ?4, '{\"type\":\"managed\"}',
    0, 'main', '0.169.0', ?4, 'gpt-5', ?3 * 1000, ?3 * 1000, 'user', ?4, ?3, ?3 * 1000, NULL, 'codex-tui')";

/// The home.
pub(crate) struct CodexHome(PathBuf);

impl CodexHome {
    /// With so many sessions of one turn each, a row and a rollout for each.
    pub(crate) fn new(folder: &Path, sessions: usize) -> Self {
        let home = Self(folder.canonicalize().expect("the folder is there"));
        std::fs::create_dir(home.0.join("thread-writer-locks")).expect("a fresh folder takes folders");
        let mut database = Connection::open(home.0.join("state_5.sqlite")).expect("a fresh folder takes files");
        database.execute_batch(THREADS).expect("a fresh database takes tables");
        let rows = database.transaction().expect("a transaction can begin");
        for n in 0..sessions {
            let path = home.rollout(n);
            std::fs::write(&path, head(n) + &turn(n, 200)).expect("the home takes files");
            let request = format!("task {n}: {}", "the parser of dates takes a wrong turn ".repeat(n % 12));
            let when = 1_795_000_000 + n as i64;
            let values = rusqlite::params![id(n), path.to_str(), when, request];
            rows.execute(INSERT, values).expect("the table takes rows");
        }
        rows.commit().expect("the rows can be kept");
        home
    }

    /// `CODEX_HOME`.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where the rollout of session `n` lies; its folder is made.
    pub(crate) fn rollout(&self, n: usize) -> PathBuf {
        let (day, month) = (n % 28 + 1, n / 28 % 12 + 1);
        let folder = self.0.join(format!("sessions/2026/{month:02}/{day:02}"));
        std::fs::create_dir_all(&folder).expect("the home takes folders");
        folder.join(format!("rollout-2026-{month:02}-{day:02}T12-00-00-{}.jsonl", id(n)))
    }

    /// The lock of session `n`.
    pub(crate) fn lock(&self, n: usize) -> PathBuf {
        self.0.join(format!("thread-writer-locks/{}.lock", id(n)))
    }

    /// A rollout of at least `bytes`: turns with the output of commands, each line as long as they are in real ones.
    pub(crate) fn huge_rollout(&self, n: usize, bytes: u64) -> PathBuf {
        let path = self.rollout(n);
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&path).expect("the home takes files"));
        file.write_all(head(n).as_bytes()).expect("the disk has room");
        // Made once and written again and again: what is between the ends is only to be there.
        let turns: Vec<String> = (0..64).map(|n| turn(n, 8000 + n * 900)).collect();
        let mut written = 0;
        for turn in turns.iter().cycle() {
            file.write_all(turn.as_bytes()).expect("the disk has room");
            written += turn.len() as u64;
            if written >= bytes {
                break;
            }
        }
        file.flush().expect("the disk has room");
        path
    }
}

/// The id of session `n`.
pub(crate) fn id(n: usize) -> String {
    format!("01a2042a-b616-7f00-93fc-{n:012x}")
}

/// The first record of a rollout.
pub(crate) fn head(n: usize) -> String {
    let id = id(n);
    let instructions = "You are a coding agent. ".repeat(100);
    record(
        "session_meta",
        &format!(
            r#"{{"session_id":"{id}","id":"{id}","timestamp":"2026-11-22T16:50:37.000Z","cwd":"/tmp","originator":"codex-tui","cli_version":"0.169.0","source":"cli","base_instructions":{{"text":"{instructions}"}}}}"#
        ),
    )
}

/// A turn with one command that puts out about `output` bytes.
fn turn(n: usize, output: usize) -> String {
    let output = "test parser::dates::reads_a_leap_day ... ok\\n".repeat(output / 44 + 1);
    let said = |role: &str, kind: &str, text: &str| {
        format!(
            r#"{{"type":"message","id":"msg_{role}_{n}","role":"{role}","content":[{{"type":"{kind}","text":"{text}"}}]}}"#
        )
    };
    let request = format!("request {n}: what about the leap days?");
    let answer = format!("answer {n}: they are read now.");
    let records = [
        ("event_msg", format!(r#"{{"type":"task_started","turn_id":"{n}"}}"#)),
        (
            "turn_context",
            r#"{"cwd":"/tmp","approval_policy":"never","model":"gpt-5","sandbox_policy":{"type":"workspace-write"}}"#
                .to_owned(),
        ),
        ("response_item", said("user", "input_text", &request)),
        (
            "event_msg",
            format!(
                r#"{{"type":"item_completed","item":{{"type":"UserMessage","id":"u{n}","content":[{{"type":"text","text":"{request}"}}]}}}}"#
            ),
        ),
        (
            "response_item",
            format!(
                r#"{{"type":"function_call","name":"exec_command","arguments":"{{\"cmd\":\"cargo test {n}\"}}","call_id":"call_{n}"}}"#
            ),
        ),
        (
            "event_msg",
            format!(
                r#"{{"type":"item_completed","item":{{"type":"CommandExecution","id":"call_{n}","command":["/bin/bash","-lc","cargo test {n}"],"aggregated_output":"{output}","exit_code":0}}}}"#
            ),
        ),
        (
            "response_item",
            format!(
                r#"{{"type":"function_call_output","call_id":"call_{n}","output":"Process exited with code 0\nOutput:\n{output}"}}"#
            ),
        ),
        (
            "event_msg",
            format!(
                r#"{{"type":"item_completed","item":{{"type":"AgentMessage","id":"msg_assistant_{n}","content":[{{"type":"Text","text":"{answer}"}}],"phase":"final_answer"}}}}"#
            ),
        ),
        ("response_item", said("assistant", "output_text", &answer)),
        ("event_msg", format!(r#"{{"type":"task_complete","turn_id":"{n}"}}"#)),
    ];
    records.iter().fold(String::new(), |mut turn, (kind, payload)| {
        write!(turn, "{}", record(kind, payload)).expect("a text takes text");
        turn
    })
}

fn record(kind: &str, payload: &str) -> String {
    format!("{{\"timestamp\":\"2026-11-22T16:50:37.000Z\",\"ordinal\":7,\"type\":\"{kind}\",\"payload\":{payload}}}\n")
}
