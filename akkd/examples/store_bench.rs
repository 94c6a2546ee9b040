//! What the store costs: `cargo run --release --example store_bench`. Prints numbers and judges nothing.
//!
//! The database lies in the folder that `TMPDIR` names; put it on the disk that matters.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for the developers of the store")]

#[path = "../tests/store/samples.rs"]
mod samples;

use akk_core::conversation::Phase;
use akk_proto::message::MessageType;
use akkd::store::{ListFilter, Store};
use samples::{Home, Story, at, created};
use std::time::{Duration, Instant};

const SENDERS: u32 = 32;
const EACH: u32 = 400;

#[tokio::main]
async fn main() {
    if let Some(database) = std::env::args_os().nth(1) {
        return start_only(database.as_ref()).await;
    }
    commits_of_many_senders().await;
    commits_of_one_sender().await;
    with_many_conversations(1_000).await;
    with_many_conversations(10_000).await;
    a_long_history().await;
}

/// Each commit records a report of an agent and its delivery.
async fn commits_of_many_senders() {
    let home = Home::new();
    let mut stories = Vec::new();
    for n in 0..SENDERS {
        stories.push(Story::begin(&home.store, n, "a task").await);
    }
    let begun = Instant::now();
    let senders: Vec<_> = stories
        .into_iter()
        .map(|mut story| {
            tokio::spawn(async move {
                let mut times = Vec::new();
                for n in 0..EACH {
                    let begun = Instant::now();
                    story.report(MessageType::Progress, &format!("step {n}: forty words or so would stand here")).await;
                    times.push(begun.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for sender in senders {
        times.extend(sender.await.unwrap());
    }
    let rate = f64::from(SENDERS * EACH) / begun.elapsed().as_secs_f64();
    println!("{SENDERS} senders: {rate:.0} durable reports a second, {}", spread(times));
}

async fn commits_of_one_sender() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 0, "a task").await;
    let mut times = Vec::new();
    for _ in 0..500 {
        let begun = Instant::now();
        story.report(MessageType::Progress, "a step").await;
        times.push(begun.elapsed());
    }
    println!("1 sender: {}", spread(times));
}

async fn with_many_conversations(many: u32) {
    let home = Home::new();
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let store = home.store.clone();
            tokio::spawn(async move {
                for n in (sender..many).step_by(SENDERS as usize) {
                    let request = format!("task {n}: {}", "some words of a request ".repeat(20));
                    let mut story = Story::begin_with(&store, created(n, &request), &request, at(i64::from(n))).await;
                    story.report(MessageType::Done, "it is done").await;
                    story.becomes(Phase::Idle { since: at(i64::from(n)) }, at(i64::from(n))).await;
                }
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    home.store.close().await;
    let size = home.path().metadata().unwrap().len() >> 20;

    println!("{many} conversations ({size} MiB):");
    let me = std::env::current_exe().unwrap();
    assert!(std::process::Command::new(me).arg(home.path()).status().unwrap().success());
    let store = Store::open(&home.path()).unwrap();
    measure("  list of 100", 50, async || {
        store.list(ListFilter::default(), 100, None, at(0)).await.unwrap().conversations.len()
    })
    .await;
    measure("  list of 1,000", 20, async || {
        store.list(ListFilter::default(), 1000, None, at(0)).await.unwrap().conversations.len()
    })
    .await;
    let rare = || ListFilter { agent: Some("claude".into()), ..ListFilter::default() };
    measure("  list of an agent that has none", 20, async || {
        store.list(rare(), 100, None, at(0)).await.unwrap().conversations.len()
    })
    .await;
    measure("  load of one", 200, async || usize::from(store.load(&samples::task(many / 2)).await.unwrap().is_some()))
        .await;
    measure("  shortened id", 20, async || usize::from(store.resolve("0000012c").await.is_ok())).await;
    measure("  due deliveries", 20, async || store.outbox_due_for_command(at(1 << 30), 100).await.unwrap().len()).await;
    measure("  search, 50 hits", 20, async || store.search("words request", 50).await.unwrap().len()).await;
    measure("  counts", 20, async || store.counts().await.unwrap().conversations as usize).await;
}

/// What a start costs in a fresh process.
async fn start_only(database: &std::path::Path) {
    let before = resident();
    let begun = Instant::now();
    let store = Store::open(database).unwrap();
    let opened = begun.elapsed();
    let deadlines = store.deadlines().await.unwrap().len();
    let turns = store.with_open_turn().await.unwrap().len();
    let launches = store.live_launches().await.unwrap().len();
    let next = store.outbox_next_due(at(0)).await.unwrap().is_some();
    let ready = begun.elapsed();
    println!(
        "  start: opened in {opened:.1?}, all read that it needs in {ready:.1?} ({deadlines} deadlines, {turns} turns, \
         {launches} launches, a delivery waits: {next})"
    );
    store.list(ListFilter::default(), 1000, None, at(0)).await.unwrap();
    println!("  memory: {before} before, {} after the start and a list of 1,000", resident());
}

async fn a_long_history() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 0, "a task").await;
    for _ in 0..200 {
        let mut commit = story.noticed("0");
        commit.events = (0..100).map(|n| samples::notice(at(n), "some tool did something")).collect();
        story.commit(commit).await.unwrap();
    }
    println!("a history of 20,000 events:");
    measure("  last ten", 50, async || home.store.last_events(story.id(), 10, 1 << 20).await.unwrap().len()).await;
    measure("  messages only", 20, async || {
        home.store.events_named(story.id(), &["message"], 0, 1000, 8 << 20).await.unwrap().events.len()
    })
    .await;
    measure("  page of 1,000 from the middle", 20, async || {
        home.store.events(story.id(), 10_000, 1000, 8 << 20).await.unwrap().events.len()
    })
    .await;
}

async fn measure(what: &str, times: usize, mut call: impl AsyncFnMut() -> usize) {
    let mut taken = Vec::new();
    let mut answered = 0;
    for _ in 0..times {
        let begun = Instant::now();
        answered = call().await;
        taken.push(begun.elapsed());
    }
    println!("{what}: {answered} in {}", spread(taken));
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    format!("p50 {:.1?}, p95 {:.1?}, longest {:.1?}", at(50), at(95), at(100))
}

/// What Linux says of it.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.map_or_else(|| "not known here".to_owned(), |l| l.trim().to_owned())
}
