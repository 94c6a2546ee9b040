//! Many at once, and much at once.

use akk_proto::api::{ControlClient as _, Empty, ListParams, SubscribeParams};
use akk_proto::conversation::{Need, Status};
use akk_tests::{Daemon, processes, wait_for};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;

#[tokio::test]
async fn twenty_conversations_at_once_mind_their_own_business() {
    let akkd = Daemon::start().await;
    let tasks = (0..20).map(|n| {
        let akkd = &akkd;
        async move {
            let script = format!("tool ls\ncallback progress {n}\nsleep 0.5\ncallback done result {n}");
            let id = akkd.delegate(&script).await.conversation.conversation_id;
            let answer = akkd.wait_need(&id, Need::Done).await;
            assert_eq!(answer.message.unwrap().body, format!("result {n}"));
            akkd.turn_over(&id).await;
            akkd.send(&id, &format!("say again {n}")).await;
            let answer = akkd.wait_need(&id, Need::Done).await;
            assert_eq!(answer.message.unwrap().body, format!("again {n}"));
            id
        }
    });
    let ids: BTreeSet<_> = futures_util::future::join_all(tasks).await.into_iter().collect();
    assert_eq!(ids.len(), 20);
    let prompts = akkd.agent().all("prompt");
    assert_eq!(prompts.len(), 40);
    let sessions: BTreeSet<_> = prompts.iter().map(|p| p.text("session").to_owned()).collect();
    assert_eq!(sessions.len(), 20);
    let list = akkd.rpc().list(ListParams::default()).await.unwrap();
    assert_eq!(list.total, 20);
    assert!(list.conversations.iter().all(|c| c.status == Status::Idle));
}

#[tokio::test]
async fn an_agent_that_floods_costs_akkd_neither_memory_nor_disk_and_nobody_else_notices() {
    let akkd = Daemon::start().await;
    akkd.done("say warm").await;
    let id = akkd.delegate("flood 100m\ntool ls\nsay out of breath").await.conversation.conversation_id;
    let (other, answer) = akkd.done("say quick").await;
    assert_ne!(other, id);
    assert_eq!(answer.message.unwrap().body, "quick");
    let answer = wait_for("the end of the flood", async || {
        let answer = akkd.wait(&id).await;
        answer.need.map(|_| answer)
    })
    .await;
    assert_eq!(answer.message.unwrap().body, "out of breath");
    if let Some(peak) = processes::peak_memory(akkd.pid()) {
        assert!(peak < 96 << 20, "akkd held {} MiB", peak >> 20);
    }
    if cfg!(target_os = "linux") {
        let held = wait_for("the disk to be given back", async || {
            let held = blocks(&akkd.home.akk());
            (held < 32 << 20).then_some(held)
        });
        held.await;
    }
}

/// Bytes that a folder really takes on the disk.
fn blocks(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|e| match e.metadata() {
            Ok(m) if m.is_dir() => blocks(&e.path()),
            Ok(m) => m.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

#[tokio::test]
async fn a_line_of_a_hundred_megabytes_ends_that_turn_and_nothing_else() {
    let akkd = Daemon::start().await;
    let (id, answer) = akkd.done("big 100m\nsay after it").await;
    // Truthful either way: the line was left out and the turn went on, or the turn ended because of it.
    let c = answer.conversation.unwrap();
    match c.status {
        Status::Idle => assert_eq!(answer.message.unwrap().body, "after it"),
        Status::Stalled => assert!(c.stalled_reason.is_some()),
        other => panic!("{other}"),
    }
    akkd.turn_over(&id).await;
    if let Some(peak) = processes::peak_memory(akkd.pid()) {
        assert!(peak < 96 << 20, "akkd held {} MiB", peak >> 20);
    }
    akkd.done("say still well").await;
}

#[tokio::test]
async fn a_subscriber_that_never_reads_harms_nobody() {
    let akkd = Daemon::start().await;
    let mut deaf = akkd.raw();
    let subscribe =
        serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": "events.subscribe", "params": {"since": 0}});
    deaf.send(format!("{subscribe}\n").as_bytes()).unwrap();
    // Calls whose answers are never read, too.
    for n in 0..2000 {
        let call = serde_json::json!({"jsonrpc": "2.0", "id": n, "method": "daemon.info", "params": {}});
        if deaf.send(format!("{call}\n").as_bytes()).is_err() {
            break;
        }
    }
    for n in 0..10 {
        let body = "y".repeat(100_000);
        let (_, answer) = akkd.done(&format!("say {n}{body}")).await;
        assert_eq!(answer.need, Some(Need::Done));
    }
    akkd.rpc().daemon_info(Empty {}).await.unwrap();
    if let Some(memory) = processes::memory(akkd.pid()) {
        assert!(memory < 96 << 20, "akkd holds {} MiB", memory >> 20);
    }
}

#[tokio::test]
async fn two_hundred_idle_clients_are_no_burden() {
    let akkd = Daemon::start().await;
    let clients: Vec<_> = (0..200).map(|_| akkd.raw()).collect();
    akkd.done("say hi").await;
    let mut stream = akkd.rpc().events(SubscribeParams { since: Some(0), ..SubscribeParams::default() }).await.unwrap();
    assert!(stream.next().await.is_some());
    assert_eq!(clients.len(), 200);
}
