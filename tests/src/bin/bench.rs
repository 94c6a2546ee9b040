//! What things cost: prints a table with the bars of the specification and what was measured here.
//!
//! `cargo build --release --workspace --bins && ./target/release/bench` (about two minutes). No bar is asserted:
//! machines differ; the table is for people.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a bench that cannot do its work stops with a panic")]

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Bench {
    home: tempfile::TempDir,
    bin: PathBuf,
    akkd: Option<Child>,
}

/// A blocking connection.
struct Wire(BufReader<UnixStream>);

impl Wire {
    fn call(&mut self, method: &str, params: &Value) -> Value {
        let line = format!("{}\n", json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}));
        self.0.get_mut().write_all(line.as_bytes()).expect("akkd listens");
        let mut answer = String::new();
        self.0.read_line(&mut answer).expect("akkd answers");
        let mut answer: Value = serde_json::from_str(&answer).expect("akkd answers in JSON");
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }
}

impl Bench {
    fn new() -> Self {
        let bin =
            std::env::current_exe().expect("a bench knows its path").parent().expect("it has a folder").to_owned();
        let home = tempfile::Builder::new().prefix("akk-bench-").tempdir_in("/tmp").expect("/tmp takes a folder");
        let demo = json!([bin.join("akkctl"), "demo-agent", "--pace", "0"]);
        let config = format!(
            "default_agent = \"demo\"\n[agents.demo]\ncommand = {demo}\n[agents.absent]\ncommand = [\"/nonexistent/agent\"]\n"
        );
        std::fs::write(home.path().join("config.toml"), config).expect("the home takes a file");
        Self { home, bin, akkd: None }
    }

    fn socket(&self) -> PathBuf {
        self.home.path().join("run/akkd.sock")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.env("AKK_HOME", self.home.path()).env_remove("AKK_SOCKET").env_remove("AKK_CONVERSATION");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Starts akkd; the time until its socket answers.
    fn start(&mut self) -> Duration {
        let begin = Instant::now();
        self.akkd = Some(self.command("akkd").spawn().expect("akkd can be run"));
        loop {
            if let Ok(stream) = UnixStream::connect(self.socket()) {
                Wire(BufReader::new(stream)).call("daemon.info", &json!({}));
                return begin.elapsed();
            }
            assert!(begin.elapsed() < Duration::from_secs(30), "akkd does not answer");
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    fn stop(&mut self) {
        let mut child = self.akkd.take().expect("akkd runs");
        self.wire().call("daemon.stop", &json!({"agents": true}));
        child.wait().expect("akkd ends");
    }

    fn wire(&self) -> Wire {
        Wire(BufReader::new(UnixStream::connect(self.socket()).expect("akkd listens")))
    }

    fn delegate(&self, wire: &mut Wire, agent: &str, request: &str) -> String {
        let params = json!({"agent": agent, "request": request, "workspace": self.home.path()});
        let answer = wire.call("conversation.delegate", &params);
        answer["conversation"]["conversation_id"].as_str().expect("an id").to_owned()
    }

    /// Conversations that nothing goes on in, until there are `count`.
    fn fill(&self, count: usize) {
        let have = self.wire().call("daemon.info", &json!({}))["conversations"].as_u64().unwrap_or(0) as usize;
        let todo = count.saturating_sub(have);
        std::thread::scope(|scope| {
            for part in 0..8 {
                scope.spawn(move || {
                    let mut wire = self.wire();
                    for n in (part..todo).step_by(8) {
                        self.delegate(&mut wire, "absent", &format!("conversation {n} of many"));
                    }
                });
            }
        });
    }

    /// RSS and PSS of akkd in KiB.
    fn memory(&self) -> (u64, u64) {
        let pid = self.akkd.as_ref().expect("akkd runs").id();
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let field = |name: &str| {
            let line = text.lines().find(|l| l.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        (field("Rss:").unwrap_or(0), field("Pss:").unwrap_or(0))
    }

    /// Whole-process times of akkctl, sorted.
    fn times(&self, runs: usize, words: &[&str], env: &[(&str, &str)]) -> Vec<Duration> {
        let mut times: Vec<Duration> = (0..runs)
            .map(|_| {
                let begin = Instant::now();
                let status =
                    self.command("akkctl").args(words).envs(env.iter().copied()).status().expect("akkctl runs");
                assert!(status.success(), "akkctl {words:?}: {status}");
                begin.elapsed()
            })
            .collect();
        times.sort();
        times
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(mut child) = self.akkd.take() {
            // The bench failed; nothing of it may stay.
            let _ = self.command("akkctl").args(["daemon", "stop", "--agents"]).status();
            let _ = child.wait();
        }
    }
}

fn median(times: &[Duration]) -> Duration {
    times[times.len() / 2]
}

fn row(what: &str, bar: &str, measured: &str) {
    println!("| {what} | {bar} | {measured} |");
}

fn ms(d: Duration) -> String {
    format!("{:.2} ms", d.as_secs_f64() * 1000.0)
}

/// Conversation and ticket of a running agent, from its own environment: what only the same user can read.
fn ticket_of(id: &str) -> Option<String> {
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let environ = std::fs::read(entry.path().join("environ")).ok()?;
        let find = |name: &str| {
            environ.split(|b| *b == 0).find_map(|v| Some(std::str::from_utf8(v).ok()?.strip_prefix(name)?.to_owned()))
        };
        (find("AKK_CONVERSATION=")? == id).then(|| find("AKK_TICKET="))?
    })
}

fn callbacks(bench: &Bench) {
    let mut wire = bench.wire();
    let id = bench.delegate(&mut wire, "demo", "hang");
    let ticket = ticket_of(&id).expect("the agent runs");
    let socket = bench.home.path().join("run/callback.sock");
    let text = socket.to_str().expect("UTF-8").to_owned();
    let env =
        [("AKK_CONVERSATION", id.as_str()), ("AKK_TICKET", ticket.as_str()), ("AKK_CALLBACK_SOCKET", text.as_str())];
    let mut times: Vec<Duration> = (0..50)
        .map(|n| {
            let body = format!(r#"{{"type":"progress","body":"step {n}"}}"#);
            bench.times(1, &["callback", &body], &env)[0]
        })
        .collect();
    times.sort();
    row("callback: process start → durable → exit, p50", "≤ 10 ms", &ms(median(&times)));

    let senders = 32;
    let each = 200;
    let agents: Vec<(String, String)> = (0..senders)
        .map(|_| {
            let id = bench.delegate(&mut wire, "demo", "hang");
            let ticket = ticket_of(&id).expect("the agent runs");
            (id, ticket)
        })
        .collect();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for (id, ticket) in &agents {
            let socket: &Path = &socket;
            scope.spawn(move || {
                let mut wire = Wire(BufReader::new(UnixStream::connect(socket).expect("akkd listens")));
                for n in 0..each {
                    let message = json!({"type": "progress", "body": format!("step {n}")}).to_string();
                    let params = json!({"conversation_id": id, "ticket": ticket, "message": message});
                    wire.call("callback.report", &params);
                }
            });
        }
    });
    let rate = f64::from(senders * each) / begin.elapsed().as_secs_f64();
    row("durable callbacks per second, 32 senders", "≥ 2,000", &format!("{rate:.0}"));
    for (id, _) in agents.iter().chain([&(id, ticket)]) {
        wire.call("conversation.close", &json!({"conversation_id": id}));
    }
}

fn running_turns(bench: &Bench) {
    let (idle, idle_pss) = bench.memory();
    let mut wire = bench.wire();
    let ids: Vec<String> = (0..100).map(|_| bench.delegate(&mut wire, "demo", "hang")).collect();
    let (busy, busy_pss) = bench.memory();
    let each = (busy.saturating_sub(idle)) / 100;
    row(
        "memory of akkd with 100 running turns: on top, per turn",
        "≤ 200 KB",
        &format!("{each} KiB (RSS {busy} KiB, PSS {busy_pss} KiB; before {idle}/{idle_pss})"),
    );
    for id in ids {
        wire.call("conversation.close", &json!({"conversation_id": id}));
    }
}

fn prompts(bench: &Bench) {
    let mut wire = bench.wire();
    let mut cold = Vec::new();
    for _ in 0..20 {
        let begin = Instant::now();
        let id = bench.delegate(&mut wire, "demo", "say hello");
        let answer = wire.call("conversation.wait", &json!({"conversation_id": id, "timeout_ms": 30_000}));
        cold.push(begin.elapsed());
        assert_eq!(answer["need"], "done", "{answer}");
        wire.call("conversation.close", &json!({"conversation_id": id}));
    }
    cold.sort();
    row("one-line prompt to an ACP agent, cold, whole round", "≤ 150 ms", &ms(median(&cold)));
    let id = bench.delegate(&mut wire, "demo", "say hello");
    wire.call("conversation.wait", &json!({"conversation_id": id, "timeout_ms": 30_000}));
    let mut warm = Vec::new();
    for _ in 0..20 {
        let begin = Instant::now();
        wire.call("conversation.send", &json!({"conversation_id": id, "message": "say hello"}));
        wire.call("conversation.wait", &json!({"conversation_id": id, "timeout_ms": 30_000}));
        warm.push(begin.elapsed());
    }
    warm.sort();
    row("the same, warm", "", &ms(median(&warm)));
    let updates = 20_000;
    let cpu_before = cpu_ticks(bench);
    let begin = Instant::now();
    wire.call("conversation.send", &json!({"conversation_id": id, "message": format!("stream {updates} 0")}));
    wire.call("conversation.wait", &json!({"conversation_id": id, "timeout_ms": 120_000}));
    let wall = begin.elapsed().as_secs_f64() * 1e6 / f64::from(updates);
    let cpu = (cpu_ticks(bench) - cpu_before) as f64 * 1e4 / f64::from(updates);
    row(
        "cost that akkd adds to each streamed update",
        "≤ 200 µs",
        &format!("{cpu:.1} µs CPU ({wall:.1} µs wall, agent included)"),
    );
    wire.call("conversation.close", &json!({"conversation_id": id}));
}

/// User and system time of akkd, in ticks of 10 ms.
fn cpu_ticks(bench: &Bench) -> u64 {
    let pid = bench.akkd.as_ref().expect("akkd runs").id();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    [11, 12].iter().filter_map(|i| fields.get(*i)?.parse::<u64>().ok()).sum()
}

fn main() {
    let mut bench = Bench::new();
    println!("| what | bar | measured |\n| --- | --- | --- |");
    row("start on an empty home, until the socket answers", "", &ms(bench.start()));
    prompts(&bench);
    callbacks(&bench);
    bench.fill(1000);
    let mut lists = bench.times(40, &["list"], &[]);
    row("`akkctl list`, whole process, 1,000 conversations (a page of 100)", "≤ 5 ms", &ms(median(&lists)));
    lists = bench.times(20, &["list", "--limit", "1000", "--json"], &[]);
    row("the same, all 1,000 as JSON", "", &ms(median(&lists)));
    let mut wire = bench.wire();
    let mut trips = |method: &str, params: Value| {
        let mut times: Vec<Duration> = (0..5000)
            .map(|_| {
                let begin = Instant::now();
                wire.call(method, &params);
                begin.elapsed()
            })
            .collect();
        times.sort();
        format!("{} µs", median(&times).as_micros())
    };
    let small = trips("daemon.info", json!({}));
    row("round trip of a small call on an open connection (`daemon.info`), p50", "≤ 100 µs", &small);
    row(
        "the same, of one that reads the store (`conversation.list`, one row)",
        "",
        &trips("conversation.list", json!({"limit": 1})),
    );
    drop(wire);
    bench.stop();
    bench.start();
    std::thread::sleep(Duration::from_secs(2));
    let (rss, pss) = bench.memory();
    row("memory of akkd: idle with 1,000 conversations", "≤ 20 MB", &format!("RSS {rss} KiB, PSS {pss} KiB"));
    running_turns(&bench);
    let id = bench.delegate(&mut bench.wire(), "demo", &"tool ls\n".repeat(5000));
    bench.wire().call("conversation.wait", &json!({"conversation_id": id, "timeout_ms": 120_000}));
    let times = bench.times(20, &["status", &id], &[]);
    let last = bench.wire().call("conversation.get", &json!({"conversation_id": id}));
    let events = last["events"].as_array().and_then(|e| e.last()).map_or(0, |e| e["seq"].as_u64().unwrap_or(0));
    row(&format!("`akkctl status` of a history of {events} events, whole process"), "≤ 10 ms", &ms(median(&times)));
    bench.fill(10_000);
    bench.stop();
    let mut starts: Vec<Duration> = (0..5)
        .map(|_| {
            let time = bench.start();
            bench.stop();
            time
        })
        .collect();
    starts.sort();
    row("start with 10,000 conversations, until the socket answers", "≤ 300 ms", &ms(median(&starts)));
    bench.start();
    let lists = bench.times(20, &["list"], &[]);
    row("`akkctl list`, whole process, 10,000 conversations (a page of 100)", "", &ms(median(&lists)));
    bench.stop();
}
