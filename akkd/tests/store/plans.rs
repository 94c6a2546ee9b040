//! Plans to end a process: kept, used once, forgotten.

use crate::samples::{Home, at, request_id};
use akkd::store::{PlanRow, PlanUse, Store};
use serde_json::json;

fn plan(id: &str, pid: u32, seconds: i64) -> PlanRow {
    PlanRow {
        plan_id: id.into(),
        agent: "codex".into(),
        session_id: "s-1".into(),
        pid,
        created_at: at(seconds),
        expires_at: at(seconds + 300),
        used: None,
        plan: json!({"target": pid}),
    }
}

fn used(call: Option<&str>) -> PlanUse {
    PlanUse { at: at(7), request_id: call.map(request_id), steps: json!([{"step": "checked"}]) }
}

async fn newest(store: &Store, session: &str, pid: u32, seconds: i64) -> Option<String> {
    store.newest_plan("codex", session, pid, at(seconds)).await.unwrap().map(|p| p.plan_id)
}

#[tokio::test]
async fn the_newest_good_plan_for_a_session_and_a_process_is_found() {
    let home = Home::new();
    for row in [plan("a", 1, 0), plan("b", 1, 10), plan("c", 2, 20)] {
        home.store.plan_put(row).await.unwrap();
    }
    assert_eq!(newest(&home.store, "s-1", 1, 30).await.as_deref(), Some("b"));
    assert_eq!(newest(&home.store, "s-1", 1, 305).await.as_deref(), Some("b"), "a is too old");
    assert_eq!(newest(&home.store, "s-1", 1, 310).await, None, "both are");
    assert_eq!(newest(&home.store, "s-1", 1, 5).await.as_deref(), Some("a"), "b is not made yet");
    assert_eq!(newest(&home.store, "s-2", 1, 30).await, None);
    assert_eq!(newest(&home.store, "s-1", 3, 30).await, None);
    assert_eq!(home.store.newest_plan("claude", "s-1", 1, at(30)).await.unwrap(), None);
    let found = home.store.plan("a").await.unwrap().unwrap();
    assert_eq!(found, plan("a", 1, 0));
    assert!(found.is_good(at(299)) && !found.is_good(at(300)) && !found.is_good(at(-1)));
    assert_eq!(home.store.plan("x").await.unwrap(), None);
}

#[tokio::test]
async fn a_plan_is_used_once_and_that_outlives_akkd() {
    let home = Home::new();
    home.store.plan_put(plan("a", 1, 0)).await.unwrap();
    home.store.plan_steps("a", json!([])).await.unwrap_err();
    let at_once = [home.store.plan_use("a", used(Some("r-1"))), home.store.plan_use("a", used(Some("r-2")))];
    let won: Vec<bool> = futures_util::future::join_all(at_once).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(won, [true, false]);
    assert!(!home.store.plan_use("x", used(None)).await.unwrap());
    home.store.plan_steps("a", json!([{"step": "signalled"}])).await.unwrap();
    let path = home.path();
    home.store.close().await;

    let store = Store::open(&path).unwrap();
    let found = store.plan_used_by(&request_id("r-1")).await.unwrap().unwrap();
    let expected = PlanUse { steps: json!([{"step": "signalled"}]), ..used(Some("r-1")) };
    assert_eq!((found.plan_id.as_str(), found.used.clone()), ("a", Some(expected)));
    assert!(!found.is_good(at(10)));
    assert_eq!(store.plan_used_by(&request_id("r-2")).await.unwrap(), None);
    assert_eq!(newest(&store, "s-1", 1, 10).await, None);
}

#[tokio::test]
async fn old_plans_are_forgotten_and_no_client_fills_the_disk_with_plans() {
    let home = Home::new();
    home.store.plan_put(plan("old", 1, 0)).await.unwrap();
    let next_day = 300 + 86_400;
    home.store.plan_put(plan("b", 1, next_day)).await.unwrap();
    assert!(home.store.plan("old").await.unwrap().is_some(), "a day has not passed");
    home.store.plan_put(plan("c", 1, next_day + 1)).await.unwrap();
    assert_eq!(home.store.plan("old").await.unwrap(), None);
    let many = (0..1005).map(|n| home.store.plan_put(plan(&format!("p{n}"), 1, next_day + 2)));
    futures_util::future::try_join_all(many).await.unwrap();
    let kept: u32 = home.behind_its_back().query_row("SELECT count(*) FROM plans", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 1000);
    home.store.plan_put(plan("newest", 1, next_day + 2)).await.unwrap();
    assert_eq!(newest(&home.store, "s-1", 1, next_day + 3).await.as_deref(), Some("newest"));
}

#[tokio::test]
async fn a_plan_that_cannot_be_read_is_an_error_and_no_plan() {
    let home = Home::new();
    home.store.plan_put(plan("a", 1, 0)).await.unwrap();
    home.behind_its_back().execute("UPDATE plans SET plan = 'no json'", []).unwrap();
    let error = home.store.plan("a").await.unwrap_err();
    assert!(error.to_string().contains("the plan a cannot be read"), "{error}");
}
