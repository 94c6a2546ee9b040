//! Makes the database that the tests open as one of an older akkd: `cargo run --example store_fixture -- PATH`.
//!
//! Once a schema was released its fixture never changes; a new schema gets a new one.
#![expect(clippy::unwrap_used, reason = "a tool for the developers of the store")]

#[path = "../tests/store/samples.rs"]
mod samples;

use akk_core::conversation::Phase;
use akk_proto::TurnId;
use akk_proto::delivery::{Handed, ParkReason};
use akk_proto::message::MessageType;
use akkd::store::{Lease, PlanRow, PlanUse, PromptFate, PromptRow, Store};
use samples::{Story, at, launch_id, request_id};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let path = std::path::PathBuf::from(std::env::args_os().nth(1).unwrap());
    assert!(!path.exists(), "that file exists");
    let store = Store::open(&path).unwrap();

    let mut asks = Story::begin(&store, 1, "fix the tests").await;
    store.launch_begin(asks.launch(1)).await.unwrap();
    store.launch_live(&launch_id(1), serde_json::json!({"pid": 42})).await.unwrap();
    let prompt = PromptRow {
        conversation_id: asks.id().clone(),
        turn_id: TurnId::nth(1),
        attempt: 1,
        launch_id: launch_id(1),
        fate: PromptFate::Written,
    };
    store.prompt_put(prompt).await.unwrap();
    asks.report(MessageType::Question, "a question about the tests").await;
    let mut commit = asks.noticed("called");
    commit.request = Some(asks.request("call-1"));
    asks.commit(commit).await.unwrap();
    asks.becomes(Phase::WaitingForOpenclaw { blocked: false }, at(10)).await;

    let mut idle = Story::begin(&store, 2, "write the manual").await;
    let (_, told) = idle.report(MessageType::Done, "it is written").await;
    store.outbox_told(&told).await.unwrap();
    idle.becomes(Phase::Idle { since: at(20) }, at(20)).await;

    let mut closed = Story::begin(&store, 3, "an old task").await;
    closed.becomes(Phase::Closed { at: at(30), reason: "closed by request".into() }, at(30)).await;

    let mut chats = Story::begin(&store, 4, "told to a chat").await;
    for (text, settled) in [("told", None), ("accepted", Some(false)), ("gone", Some(true)), ("waits", None)] {
        let id = chats.report_to("agent:main:main", Some("gateway-1"), MessageType::Done, text).await;
        if text == "told" {
            store.outbox_told(&id).await.unwrap();
        }
        let Some(parked) = settled else { continue };
        store.outbox_lease(&id, Lease::To("gateway-1".into())).await.unwrap();
        if parked {
            store.outbox_park(&id, 1, ParkReason::RecipientGone, "the session was reset").await.unwrap();
        } else {
            let (run_id, session_id, process) = ("run-1".into(), "session-1".into(), "process-1".into());
            let handed = Handed { attempt: 1, run_id, session_id, process, at: at(60) };
            store.outbox_handed(&id, &handed).await.unwrap();
        }
    }

    for (plan_id, pid) in [("plan-1", 42), ("plan-2", 43)] {
        let row = PlanRow {
            plan_id: plan_id.into(),
            agent: "codex".into(),
            session_id: "0199a213-81c0-7800-8aa1-bbab2a035a53".into(),
            pid,
            created_at: at(40),
            expires_at: at(340),
            used: None,
            plan: serde_json::json!({"pid": pid}),
        };
        store.plan_put(row).await.unwrap();
    }
    let used = PlanUse { at: at(50), request_id: Some(request_id("call-2")), steps: serde_json::json!([]) };
    store.plan_use("plan-2", used).await.unwrap();

    for (method, result) in [("conversation.send", "ok"), ("conversation.close", "wrong_status")] {
        store.audit_whole(samples::audited(1, at(70), method, result)).await;
    }
    store.audit_begin(samples::audited(2, at(80), "conversation.cancel", "unfinished")).await;
    store.close().await;
}
