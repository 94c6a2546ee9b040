//! The orchestrator is told, through the `command` sink.

use akk_proto::api::{ControlClient as _, DeliveryListParams, DeliveryParams};
use akk_proto::conversation::Need;
use akk_proto::delivery::{DeliveryState, DeliveryView};
use akk_proto::error::ErrorKind;
use akk_tests::{Daemon, Home, Plan, Refusal, wait_for};
use serde_json::{Value, json};
use std::path::PathBuf;

/// What the sink was told.
struct Told {
    file: PathBuf,
}

impl Told {
    fn all(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()
    }

    fn kinds(&self) -> Vec<String> {
        self.all().iter().map(|d| d["kind"].as_str().unwrap().to_owned()).collect()
    }

    async fn until(&self, kinds: &[&str]) {
        wait_for(&format!("{kinds:?} to be told"), async || (self.kinds() == kinds).then_some(())).await;
    }
}

/// akkd with a sink that appends what it gets to a file, after `first` (a piece of shell) succeeded.
async fn with_sink(first: &str) -> (Daemon, Told) {
    let home = Home::new();
    let file = home.root().join("told");
    let script = format!("{first} && cat >> {}", file.display());
    let plan = Plan::default().tables(&format!("[delivery]\ncommand = {}\n", json!(["sh", "-c", script])));
    (Daemon::start_with(plan, home).await, Told { file })
}

async fn rows(akkd: &Daemon, all: bool) -> Vec<DeliveryView> {
    akkd.rpc().delivery_list(DeliveryListParams { all, ..DeliveryListParams::default() }).await.unwrap().deliveries
}

#[tokio::test]
async fn what_needs_someone_is_told_in_order_and_progress_is_not() {
    let (akkd, told) = with_sink("true").await;
    let id = akkd.delegate("callback progress on it\nask Which?").await.conversation.conversation_id;
    akkd.wait_need(&id, Need::Question).await;
    akkd.turn_over(&id).await;
    akkd.send(&id, "callback done that one").await;
    told.until(&["question", "done"]).await;
    let all = told.all();
    assert_eq!((&all[0]["text"], &all[0]["needs_answer"]), (&json!("Which?"), &json!(true)));
    assert_eq!(all[1]["conversation_id"], json!(id));
    wait_for("nothing to wait any more", async || rows(&akkd, false).await.is_empty().then_some(())).await;
    assert_eq!(rows(&akkd, true).await.len(), 2);
    assert_eq!(akkd.get(&id).await.undelivered, 0);
}

#[tokio::test]
async fn a_turn_that_dies_is_told_with_an_error() {
    let (akkd, told) = with_sink("true").await;
    akkd.done("tool ls\ncrash 3").await;
    wait_for("the notice", async || (!told.all().is_empty()).then_some(())).await;
    assert!(matches!(told.kinds()[0].as_str(), "error" | "stalled"), "{:?}", told.kinds());
}

#[tokio::test]
async fn a_sink_that_fails_is_tried_again_and_told_once() {
    // The sink runs in akkd's own directory, which is the root of the home.
    let (akkd, told) = with_sink("test -e open").await;
    let (id, _) = akkd.done("say hello").await;
    let failed = wait_for("a failed attempt", async || {
        rows(&akkd, false).await.into_iter().find(|r| r.attempts > 0 && r.last_error.is_some())
    })
    .await;
    assert!(matches!(failed.state, DeliveryState::Pending | DeliveryState::Leased));
    assert_eq!(akkd.get(&id).await.undelivered, 1);
    assert!(told.all().is_empty());
    std::fs::write(akkd.home.root().join("open"), "").unwrap();
    // An attempt may be under way, or have told it: then it needs no push.
    let pushed = akkd.rpc().delivery_retry(DeliveryParams { delivery_id: failed.delivery_id, attempt: None }).await;
    if let Err(refused) = pushed {
        assert_eq!(Refusal::of(refused).kind, ErrorKind::WrongStatus);
    }
    told.until(&["done"]).await;
}

#[tokio::test]
async fn what_was_not_told_before_a_crash_is_told_after_it() {
    let (mut akkd, told) = with_sink("test -e open").await;
    let (id, _) = akkd.done("say hello").await;
    wait_for("a failed attempt", async || rows(&akkd, false).await.iter().any(|r| r.attempts > 0).then_some(())).await;
    akkd.kill9();
    std::fs::write(akkd.home.root().join("open"), "").unwrap();
    akkd.start_again().await;
    // An attempt of the killed akkd may have gone on: a command is told at least once.
    wait_for("it to be told", async || told.kinds().first().is_some_and(|kind| kind == "done").then_some(())).await;
    assert_eq!(akkd.get(&id).await.conversation_id, id);
}

#[tokio::test]
async fn a_person_can_acknowledge_by_hand() {
    let (akkd, told) = with_sink("false").await;
    akkd.done("say hello").await;
    let row = wait_for("a row", async || rows(&akkd, false).await.pop()).await;
    let acked = akkd.rpc().delivery_ack(DeliveryParams { delivery_id: row.delivery_id, attempt: None }).await.unwrap();
    assert_eq!(acked.delivery.state, DeliveryState::Acknowledged);
    assert!(rows(&akkd, false).await.is_empty());
    assert!(told.all().is_empty());
}

#[tokio::test]
async fn without_a_sink_there_are_no_rows() {
    let akkd = Daemon::start().await;
    akkd.done("say hello").await;
    assert!(rows(&akkd, true).await.is_empty());
}
