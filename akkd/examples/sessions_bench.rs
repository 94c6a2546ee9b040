//! What reading native sessions costs: `cargo run --release --example sessions_bench`. Prints numbers and judges nothing.
//!
//! A Codex home with 10,000 threads and a rollout of a gigabyte are made in the folder that `TMPDIR` names. Each reading
//! has a process of its own, so that its memory can be told.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for the developers of the reading")]

use akk_proto::session::DiscoverParams;
use akkd::clock::Clock;
use akkd::sessions::codex::home::CodexHome;
use akkd::sessions::codex::{CodexSessions, context, resume, rollout, threads};
use akkd::sessions::{ContextLimits, SessionProvider as _};
use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

const THREADS: usize = 10_000;
const HUGE: u64 = 1 << 30;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, reading, home] = arguments.as_slice() {
        return read(reading, &CodexHome::new(home));
    }
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    make(folder.path());
    println!("made in {:.1?}", begun.elapsed());
    for reading in [
        "threads",
        "rollouts",
        "tail",
        "scan",
        "context",
        "one long turn",
        "compressed",
        "resume",
        "index",
        "index without rows",
    ] {
        let me = std::env::current_exe().unwrap();
        assert!(std::process::Command::new(me).arg(reading).arg(folder.path()).status().unwrap().success());
    }
}

fn read(reading: &str, home: &CodexHome) {
    let rollout = |n: usize| rollout::find(home, &id(n), None).unwrap().path;
    let before = peak();
    let report = |what: &str, times: [Duration; 2], found: String| {
        let [first, again] = times;
        println!("{what}: {first:.1?}, again {again:.1?}; {found}; memory {before} before, {} at most", peak());
    };
    match reading {
        "threads" => {
            let (times, rows) = twice(|| threads::read_all(home).unwrap());
            report("threads, all rows", times, format!("{} rows", rows.len()));
            let newest = rows.iter().filter_map(|row| row.updated_ms).max().unwrap();
            let (times, rows) = twice(|| threads::read_since(home, newest - 10).unwrap());
            report("threads, the newest", times, format!("{} rows", rows.len()));
            let (times, row) = twice(|| threads::read_one(home, &id(77)).unwrap());
            report("threads, one", times, row.unwrap().title.unwrap());
        }
        "rollouts" => {
            let (times, (files, _)) = twice(|| rollout::list(home));
            report("rollouts, all names", times, format!("{} files", files.len()));
            let (times, heads) = twice(|| files.iter().filter(|f| rollout::head(&f.path).unwrap().is_some()).count());
            report("rollouts, all heads", times, format!("{heads} heads"));
        }
        "tail" => {
            let path = rollout(THREADS);
            let (times, tail) = twice(|| rollout::tail(&path).unwrap());
            report("tail of a gigabyte", times, format!("{:?}", tail.turn));
        }
        "scan" => {
            let path = rollout(THREADS);
            let (times, scan) = twice(|| rollout::scan_from(&path, 0).unwrap());
            report("scan of one part", times, format!("{} bytes, {} records", scan.offset, scan.records));
        }
        "context" => {
            let path = rollout(THREADS);
            let (times, context) = twice(|| context::context(home, &path, ContextLimits::default()).unwrap());
            let found = format!("{} messages, {} commands", context.messages.len(), context.commands.len());
            report("context of a gigabyte", times, found);
        }
        "one long turn" => {
            let path = rollout(THREADS + 1);
            let (times, tail) = twice(|| rollout::tail(&path).unwrap());
            report("tail of one turn of a gigabyte", times, format!("{:?}, {:?}", tail.turn, tail.settings.is_some()));
            let (times, context) = twice(|| context::context(home, &path, ContextLimits::default()).unwrap());
            let found = format!("{} messages, {} commands", context.messages.len(), context.commands.len());
            report("context of one turn of a gigabyte", times, found);
        }
        "compressed" => {
            let path = rollout(THREADS + 2);
            let (times, tail) = twice(|| rollout::tail(&path).unwrap());
            report("tail of 64 MiB, compressed", times, format!("{:?}", tail.turn));
        }
        "index" | "index without rows" => {
            let database = home.path().join("state_5.sqlite");
            let aside = home.path().join("state_5.aside");
            if reading == "index without rows" {
                std::fs::rename(&database, &aside).unwrap();
            }
            let codex = CodexSessions::new(vec![home.path().into()], vec!["codex".into()], None, Clock::system());
            let all = DiscoverParams { limit: Some(100), ..DiscoverParams::default() };
            let begun = Instant::now();
            let total = codex.sessions(&all).unwrap().total;
            let first = begun.elapsed();
            println!("{reading}, first: {first:.1?}; {total} sessions; memory {before} before, {} at most", peak());
            let begun = Instant::now();
            codex.watching();
            println!("{reading}, watches: {:.1?} more", begun.elapsed());
            for (what, params) in [
                ("100 rows", all.clone()),
                ("1,000 rows", DiscoverParams { limit: Some(1000), ..all.clone() }),
                ("a text", DiscoverParams { text: Some("TASK 99".into()), ..all.clone() }),
                (
                    "a text that is nowhere",
                    DiscoverParams { text: Some("the end of all things".into()), ..all.clone() },
                ),
                ("a directory", DiscoverParams { cwd: Some("/home/dev/project".into()), ..all.clone() }),
            ] {
                let (times, answer) = twice(|| codex.sessions(&params).unwrap());
                report(&format!("{reading}, {what}"), times, format!("{} of {}", answer.sessions.len(), answer.total));
            }
            if aside.exists() {
                std::fs::rename(&aside, &database).unwrap();
            }
        }
        _ => {
            let row = threads::read_one(home, &id(77)).unwrap();
            let (times, found) = twice(|| resume::resume(home, &id(77), row.as_ref(), None, None).unwrap());
            report("resume", times, format!("{:?}", found.sandbox));
        }
    }
}

fn twice<T>(call: impl Fn() -> T) -> ([Duration; 2], T) {
    let begun = Instant::now();
    drop(call());
    let first = begun.elapsed();
    let begun = Instant::now();
    let found = call();
    ([first, begun.elapsed()], found)
}

fn make(home: &Path) {
    let mut database = rusqlite::Connection::open(home.join("state_5.sqlite")).unwrap();
    database
        .execute_batch(
            "PRAGMA journal_mode = WAL; CREATE TABLE threads (id TEXT PRIMARY KEY, rollout_path TEXT NOT NULL,
            created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, source TEXT NOT NULL, cwd TEXT NOT NULL,
            title TEXT NOT NULL, sandbox_policy TEXT NOT NULL, archived INTEGER NOT NULL DEFAULT 0, git_branch TEXT,
            cli_version TEXT NOT NULL, first_user_message TEXT NOT NULL, model TEXT, created_at_ms INTEGER,
            updated_at_ms INTEGER, thread_source TEXT, preview TEXT NOT NULL, recency_at INTEGER NOT NULL,
            recency_at_ms INTEGER NOT NULL, name TEXT, originator TEXT);
            CREATE INDEX idx_threads_updated_at_ms ON threads(updated_at_ms DESC, id DESC);",
        )
        .unwrap();
    let transaction = database.transaction().unwrap();
    for n in 0..THREADS {
        let path = path(home, n);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, head(n) + &turn(n, 200)).unwrap();
        let request = format!("please look at task {n}: {}", "the parser of dates takes a wrong turn ".repeat(n % 12));
        transaction
            .execute(
                "INSERT INTO threads VALUES (?1, ?2, ?3, ?3, 'cli', '/home/dev/project', ?4, '{\"type\":\"managed\"}', 0,
                 'main', '0.169.0', ?4, 'gpt-5', ?3 * 1000, ?3 * 1000, 'user', ?4, ?3, ?3 * 1000, NULL, 'codex-tui')",
                rusqlite::params![id(n), path.to_str(), 1_795_000_000 + i64::try_from(n).unwrap(), request],
            )
            .unwrap();
    }
    transaction.commit().unwrap();
    drop(database);

    let mut huge = BufWriter::new(std::fs::File::create(path(home, THREADS)).unwrap());
    let mut written = huge.write(head(THREADS).as_bytes()).unwrap() as u64;
    for n in 0.. {
        let turn = turn(n, 8000 + n % 60_000);
        huge.write_all(turn.as_bytes()).unwrap();
        written += turn.len() as u64;
        if written > HUGE {
            break;
        }
    }
    huge.flush().unwrap();

    let mut long = BufWriter::new(std::fs::File::create(path(home, THREADS + 1)).unwrap());
    let beginning =
        head(THREADS + 1) + &turn(0, 100) + &turn(1, 100).lines().take(5).fold(String::new(), |t, l| t + l + "\n");
    long.write_all(beginning.as_bytes()).unwrap();
    let record =
        record("response_item", &format!(r#"{{"type":"reasoning","encrypted_content":"{}"}}"#, "x".repeat(20_000)));
    for _ in 0..HUGE / record.len() as u64 {
        long.write_all(record.as_bytes()).unwrap();
    }
    long.flush().unwrap();

    let mut cold = head(THREADS + 2);
    while cold.len() < 64 << 20 {
        cold += &turn(cold.len(), 8000 + cold.len() % 9000);
    }
    let cold = ruzstd::encoding::compress_to_vec(cold.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
    std::fs::write(path(home, THREADS + 2).with_extension("jsonl.zst"), cold).unwrap();
}

fn id(n: usize) -> String {
    format!("01a2042a-b616-7f00-93fc-{n:012x}")
}

fn path(home: &Path, n: usize) -> std::path::PathBuf {
    let day = n % 28 + 1;
    let month = n / 28 % 12 + 1;
    home.join(format!("sessions/2026/{month:02}/{day:02}/rollout-2026-{month:02}-{day:02}T12-00-00-{}.jsonl", id(n)))
}

fn record(kind: &str, payload: &str) -> String {
    format!("{{\"timestamp\":\"2026-11-22T16:50:37.000Z\",\"ordinal\":7,\"type\":\"{kind}\",\"payload\":{payload}}}\n")
}

fn head(n: usize) -> String {
    let instructions = "You are a coding agent. ".repeat(900);
    record(
        "session_meta",
        &format!(
            r#"{{"id":"{}","timestamp":"2026-11-22T16:50:37.000Z","cwd":"/home/dev/project","originator":"codex-tui","cli_version":"0.169.0","source":"cli","base_instructions":{{"text":"{instructions}"}}}}"#,
            id(n)
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
    let mut turn = String::new();
    for (kind, payload) in [
        ("event_msg", format!(r#"{{"type":"task_started","turn_id":"{n}"}}"#)),
        ("turn_context", r#"{"cwd":"/home/dev/project","approval_policy":"never","model":"gpt-5","sandbox_policy":{"type":"workspace-write"}}"#.to_owned()),
        ("response_item", said("user", "input_text", &request)),
        ("event_msg", format!(r#"{{"type":"item_completed","item":{{"type":"UserMessage","id":"u{n}","content":[{{"type":"text","text":"{request}"}}]}}}}"#)),
        ("response_item", format!(r#"{{"type":"function_call","name":"exec_command","arguments":"{{\"cmd\":\"cargo test {n}\"}}","call_id":"call_{n}"}}"#)),
        ("event_msg", format!(r#"{{"type":"item_completed","item":{{"type":"CommandExecution","id":"call_{n}","command":["/bin/bash","-lc","cargo test {n}"],"aggregated_output":"{output}","exit_code":0}}}}"#)),
        ("response_item", format!(r#"{{"type":"function_call_output","call_id":"call_{n}","output":"Process exited with code 0\nOutput:\n{output}"}}"#)),
        ("event_msg", format!(r#"{{"type":"item_completed","item":{{"type":"AgentMessage","id":"msg_assistant_{n}","content":[{{"type":"Text","text":"{answer}"}}],"phase":"final_answer"}}}}"#)),
        ("response_item", said("assistant", "output_text", &answer)),
        ("event_msg", format!(r#"{{"type":"task_complete","turn_id":"{n}"}}"#)),
    ] {
        write!(turn, "{}", record(kind, &payload)).unwrap();
    }
    turn
}

/// The most memory that this process had, as Linux says it.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.map_or_else(|| "not known here".to_owned(), |l| l.trim().to_owned())
}
