//! A provider over a temporary home, for tests: rows and rollouts written as Codex 0.169 writes them, locks taken by
//! other processes.

use super::CodexSessions;
use crate::clock::Clock;
use crate::sessions::SessionProvider as _;
use akk_proto::session::{DiscoverAnswer, DiscoverParams, SessionChange, SessionItem, SessionView};
use rusqlite::{Connection, params};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::broadcast;

/// How long a condition is waited for; it is met in milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// The columns of codex 0.169 that are read.
const THREADS: &str =
    "CREATE TABLE threads (id TEXT PRIMARY KEY, rollout_path TEXT NOT NULL, created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, source TEXT NOT NULL, cwd TEXT NOT NULL, title TEXT NOT NULL, name TEXT,
    archived INTEGER NOT NULL DEFAULT 0, cli_version TEXT NOT NULL DEFAULT '0.169.0', model TEXT,
    created_at_ms INTEGER, updated_at_ms INTEGER, originator TEXT)";

pub(super) struct House {
    _folder: TempDir,
    pub(super) root: PathBuf,
    pub(super) home: PathBuf,
}

/// The id number `n`.
pub(super) fn id(n: u32) -> String {
    format!("01a2042a-b616-7f00-93fc-0000{n:08x}")
}

/// The first record of a rollout.
pub(super) fn head(n: u32, source: &str) -> String {
    let id = id(n);
    format!(
        r#"{{"timestamp":"2026-11-22T16:50:37.000Z","type":"session_meta","payload":{{"session_id":"{id}","id":"{id}","timestamp":"2026-11-22T16:50:37.000Z","cwd":"/p","originator":"codex_exec","cli_version":"0.169.0","source":{source}}}}}{}"#,
        "\n"
    )
}

/// A record that begins, ends or goes on with a turn.
pub(super) fn event(kind: &str) -> String {
    let now = akk_proto::Timestamp::from(jiff::Timestamp::now());
    format!(r#"{{"timestamp":"{now}","type":"event_msg","payload":{{"type":"{kind}"}}}}{}"#, "\n")
}

/// A record of what the user said.
pub(super) fn said(text: &str) -> String {
    format!(
        r#"{{"timestamp":"2026-11-22T16:50:38.000Z","type":"event_msg","payload":{{"type":"user_message","message":"{text}"}}}}{}"#,
        "\n"
    )
}

pub(super) fn append(path: &Path, text: &str) {
    std::fs::File::options().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

impl House {
    /// A home with both folders.
    pub(super) fn new() -> Self {
        let house = Self::absent();
        std::fs::create_dir_all(house.home.join("sessions/2026/11/22")).unwrap();
        std::fs::create_dir_all(house.locks()).unwrap();
        house
    }

    /// A home that is not there, nor what it would lie in.
    pub(super) fn absent() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        Self { home: root.join("user/.codex"), root, _folder: folder }
    }

    pub(super) fn provider(&self) -> CodexSessions {
        self.provider_of(vec![self.home.clone()])
    }

    pub(super) fn provider_of(&self, homes: Vec<PathBuf>) -> CodexSessions {
        CodexSessions::new(homes, vec!["codex".into()], Some(self.root.join("bin").into()), Clock::system())
    }

    /// A provider that watches, and what it tells.
    pub(super) fn watching(&self) -> (CodexSessions, Told) {
        let provider = self.provider();
        let told = Told::begin(&provider);
        (provider, told)
    }

    pub(super) fn locks(&self) -> PathBuf {
        self.home.join("thread-writer-locks")
    }

    pub(super) fn lock(&self, n: u32) -> PathBuf {
        self.locks().join(format!("{}.lock", id(n)))
    }

    pub(super) fn rollout_path(&self, n: u32) -> PathBuf {
        self.home.join(format!("sessions/2026/11/22/rollout-2026-11-22T16-50-37-{}.jsonl", id(n)))
    }

    pub(super) fn rollout(&self, n: u32, records: &str) -> PathBuf {
        let path = self.rollout_path(n);
        std::fs::write(&path, head(n, "\"exec\"") + records).unwrap();
        path
    }

    pub(super) fn database(&self) -> Connection {
        let connection = Connection::open(self.home.join("state_5.sqlite")).unwrap();
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        connection.busy_timeout(PATIENCE).unwrap();
        if !connection.table_exists(None, "threads").unwrap() {
            connection.execute(THREADS, []).unwrap();
        }
        connection
    }

    pub(super) fn row(&self, n: u32, title: &str, cwd: &Path, updated_ms: i64) {
        let path = self.rollout_path(n).display().to_string();
        let values = params![id(n), path, cwd.display().to_string(), title, updated_ms];
        let insert = "INSERT OR REPLACE INTO threads (id, rollout_path, cwd, title, created_at, updated_at, source,
            created_at_ms, updated_at_ms, originator, model) VALUES (?1, ?2, ?3, ?4, 0, 0, 'cli', 1000, ?5, 'codex-tui', 'm1')";
        self.database().execute(insert, values).unwrap();
    }

    /// A row and its rollout, with a turn that has ended.
    pub(super) fn session(&self, n: u32, title: &str, updated_ms: i64) -> PathBuf {
        self.row(n, title, Path::new("/p"), updated_ms);
        self.rollout(n, &(event("task_started") + &event("task_complete")))
    }

    /// A stand-in for Codex: a copy of bash of that name, which runs `script`.
    pub(super) fn codex(&self, script: &str) -> Stand {
        self.codex_with(script, &[])
    }

    /// The same, and these words are on its command line.
    pub(super) fn codex_with(&self, script: &str, words: &[&str]) -> Stand {
        let (bin, work) = (self.root.join("bin"), self.root.join("work"));
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir_all(&work).unwrap();
        let program = bin.join("codex");
        if !program.exists() {
            // By another process: a descriptor of this one, open for writing, could leak into a child of another test.
            assert!(Command::new("cp").arg("/bin/bash").arg(&program).status().unwrap().success());
        }
        let mut child = Command::new(program)
            .args(["-c", &format!("{script}\necho ready; read x\nrm -f \"$lock\"")])
            .args(words)
            .current_dir(work)
            .env("CODEX_HOME", &self.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        while !said.ends_with("ready\n") {
            assert_ne!(output.read_line(&mut said).unwrap(), 0, "it ended early: {said}");
        }
        Stand { child }
    }

    /// A stand-in that takes the lock of session `n`, as Codex does: it makes the file, and removes it at its end.
    pub(super) fn taking(&self, n: u32) -> Stand {
        let lock = self.lock(n);
        self.codex(&format!("lock='{}'; exec {{fd}}<>\"$lock\"; flock -n $fd || exit 1;", lock.display()))
    }
}

/// A process that waits for a line; ended when dropped.
pub(super) struct Stand {
    pub(super) child: Child,
}

impl Stand {
    /// Lets it end by itself.
    pub(super) fn end(mut self) {
        self.child.stdin.take().unwrap().write_all(b"\n").unwrap();
        self.child.wait().unwrap();
    }

    /// SIGKILL.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a provider tells.
pub(super) struct Told {
    changes: broadcast::Receiver<Arc<SessionItem>>,
    /// Everything so far.
    pub(super) so_far: Vec<(SessionChange, SessionView)>,
}

impl Told {
    pub(super) fn begin(provider: &CodexSessions) -> Self {
        let changes = provider.subscribe();
        provider.watching();
        Self { changes, so_far: Vec::new() }
    }

    /// What is told there.
    pub(super) fn of_bus(changes: broadcast::Receiver<Arc<SessionItem>>) -> Self {
        Self { changes, so_far: Vec::new() }
    }

    /// The next item; none when there is none for a long time.
    pub(super) async fn next(&mut self) -> Option<SessionItem> {
        let item = tokio::time::timeout(PATIENCE, self.changes.recv()).await.ok()?.unwrap();
        if let SessionItem::Session { change, session, .. } = item.as_ref() {
            self.so_far.push((*change, (**session).clone()));
        }
        Some((*item).clone())
    }

    /// Waits for this change of session `n`.
    pub(super) async fn wait(&mut self, n: u32, change: SessionChange) -> SessionView {
        self.wait_until(n, change, |_| true).await
    }

    /// Waits for this change of session `n` to what is wanted.
    pub(super) async fn wait_until(
        &mut self,
        n: u32,
        change: SessionChange,
        wanted: impl Fn(&SessionView) -> bool,
    ) -> SessionView {
        loop {
            let Some(item) = self.next().await else { panic!("{change:?} of {} never came: {:#?}", id(n), self.of(n)) };
            if let SessionItem::Session { change: found, session, .. } = item
                && found == change
                && session.session_id == id(n)
                && wanted(&session)
            {
                return *session;
            }
        }
    }

    /// Waits until it is told that changes were missed.
    pub(super) async fn wait_for_missed(&mut self) -> String {
        loop {
            if let SessionItem::Missed { reason } = self.next().await.expect("nothing was missed") {
                return reason;
            }
        }
    }

    /// What was told of session `n` so far, in order.
    pub(super) fn of(&self, n: u32) -> Vec<SessionChange> {
        self.so_far.iter().filter(|(_, s)| s.session_id == id(n)).map(|(change, _)| *change).collect()
    }
}

/// The ids of a page, by their numbers.
pub(super) fn numbers(answer: &DiscoverAnswer) -> Vec<u32> {
    let number = |s: &SessionView| u32::from_str_radix(&s.session_id[28..], 16).unwrap();
    answer.sessions.iter().map(number).collect()
}

/// Everything that is listed.
pub(super) fn listed(provider: &CodexSessions) -> DiscoverAnswer {
    let all = DiscoverParams { archived: true, auxiliary: true, limit: Some(1000), ..DiscoverParams::default() };
    provider.sessions(&all).unwrap()
}

/// Waits until a listing is as wanted.
pub(super) async fn listed_until(provider: &CodexSessions, wanted: impl Fn(&DiscoverAnswer) -> bool) -> DiscoverAnswer {
    let begun = std::time::Instant::now();
    loop {
        let answer = listed(provider);
        if wanted(&answer) {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "it never became so: {answer:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
