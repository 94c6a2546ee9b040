//! `terminate_then_resume` across the death of akkd.

use super::super::testing::Scene;
use super::ending::{confirm, named, plan, steps};
use super::terminal::Terminal;
use crate::store::{PlanUse, Store};
use akk_proto::error::ErrorKind;
use akk_proto::session::{BlockReason, Strategy, TakeoverParams, TakeoverStatus};

#[tokio::test]
async fn a_plan_outlives_akkd() {
    let scene = Scene::new();
    let terminal = Terminal::polite();
    scene.provider.is_run_by(vec![terminal.holds()]);
    scene.ask(plan()).await.unwrap();
    let path = scene.house.store.path().to_owned();
    scene.house.store.close().await;
    // Another akkd, on the same home.
    let store = Store::open(&path).unwrap();
    let (timers, _queue) = crate::conversation::IdleTimers::new(scene.house.clock.clone());
    let (conversations, _asked) =
        crate::conversation::Conversations::new(store.clone(), scene.house.clock.clone(), timers);
    let successor = scene.takeovers.on(store, conversations);
    let answer = successor.takeover(confirm(terminal.identity.pid), &scene.config, None).await.unwrap();
    assert_eq!(answer.status, TakeoverStatus::Attached);
}

/// akkd died after it had marked the plan for the call `r-1`.
async fn akkd_died_with_a_marked_plan(scene: &Scene) -> String {
    let plan_id = scene.ask(plan()).await.unwrap().plan.unwrap().plan_id;
    let used = PlanUse {
        at: scene.house.clock.wall(),
        request_id: Some("r-1".parse().unwrap()),
        steps: serde_json::json!([{"ts": scene.house.clock.wall(), "step": "checked", "detail": "It was the one."}]),
    };
    assert!(scene.house.store.plan_use(&plan_id, used).await.unwrap());
    plan_id
}

#[tokio::test]
async fn after_a_crash_behind_the_signal_the_same_call_attaches_without_another_one() {
    let scene = Scene::new();
    let mut terminal = Terminal::polite();
    let pid = terminal.identity.pid;
    scene.provider.is_run_by(vec![terminal.holds()]);
    let plan_id = akkd_died_with_a_marked_plan(&scene).await;
    terminal.quits();
    // Another call cannot use the plan; what it is told to do works.
    let other = TakeoverParams { plan_id: Some(plan_id), ..confirm(pid) };
    let error = scene.ask(named("r-2", other)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::PlanExpired);
    assert!(error.hint.contains("--strategy safe_resume"), "{}", error.hint);
    let answer = scene.ask(named("r-1", confirm(pid))).await.unwrap();
    assert_eq!(answer.status, TakeoverStatus::Attached);
    assert_eq!(steps(&answer), ["checked", "checked", "lock_free", "attached"]);
    assert!(answer.steps[1].detail.ends_with("nothing is signalled again."));
    assert!(scene.ask(named("r-1", confirm(pid))).await.unwrap().repeated);
    assert_eq!(scene.conversations().await, 1);
}

#[tokio::test]
async fn after_a_crash_before_the_signal_nobody_is_signalled_by_the_repeat() {
    let scene = Scene::new();
    let mut terminal = Terminal::polite();
    let pid = terminal.identity.pid;
    scene.provider.is_run_by(vec![terminal.holds()]);
    akkd_died_with_a_marked_plan(&scene).await;
    let repeat = named("r-1", TakeoverParams { wait_ms: Some(100), kill: true, ..confirm(pid) });
    let answer = scene.ask(repeat.clone()).await.unwrap();
    assert_eq!(answer.reason, Some(BlockReason::TargetStillActive));
    assert!(!steps(&answer).contains(&"signalled") && terminal.lives());
    terminal.quits();
    assert_eq!(scene.ask(repeat).await.unwrap().status, TakeoverStatus::Attached);
}

#[tokio::test]
async fn a_fresh_safe_resume_takes_what_a_crash_left_free() {
    let scene = Scene::new();
    let mut terminal = Terminal::polite();
    scene.provider.is_run_by(vec![terminal.holds()]);
    akkd_died_with_a_marked_plan(&scene).await;
    terminal.quits();
    let params =
        TakeoverParams { strategy: Some(Strategy::SafeResume), create_conversation: true, wait_ms: None, ..plan() };
    assert_eq!(scene.ask(params).await.unwrap().status, TakeoverStatus::Attached);
}
