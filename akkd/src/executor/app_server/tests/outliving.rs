//! Turns that outlive akkd.

use super::{Scene, cannot_start};
use crate::executor::testing::ended;
use crate::sessions::codex::app_server::testing::Mishap;
use akk_core::{ExecutorReport, How};
use serde_json::Value;

/// Runs a turn until its prompt has arrived; akkd then dies.
pub(super) fn die_in_the_turn(scene: &Scene) {
    scene.live(async |executors| {
        executors.start_turn(scene.order(1));
        scene.daemon.wait_for_our_turn();
        scene.house.told.wait(|r| matches!(r, ExecutorReport::PromptSent { .. }).then_some(())).await;
    });
    assert_eq!(scene.house.told.count(|r| ended(r, 1).is_some()), 0);
}

#[test]
fn a_turn_goes_on_without_akkd_and_the_next_akkd_follows_it() {
    let scene = Scene::new();
    die_in_the_turn(&scene);
    scene.live(async |executors| {
        executors.recover(scene.recovered(1, false)).await;
        scene.daemon.wait_until("joined again", |s| s.calls.iter().filter(|(m, _)| m == "thread/resume").count() == 2);
        scene.daemon.finish("done");
        assert_eq!(scene.ended(1).await.text.as_deref(), Some("done"));
    });
    assert_eq!(scene.house.told.count(|r| matches!(r, ExecutorReport::PromptSent { .. })), 1);
    scene.prompted_once();
}

#[test]
fn a_turn_that_ended_without_akkd_is_read_by_the_next() {
    for loaded in [true, false] {
        let scene = Scene::new();
        die_in_the_turn(&scene);
        scene.daemon.finish("done without you");
        for n in 0..3 {
            scene.daemon.user_starts(&format!("and {n}"));
            scene.daemon.finish("yes");
        }
        scene.daemon.state().loaded = loaded;
        scene.live(async |executors| {
            executors.recover(scene.recovered(1, false)).await;
            let ended = scene.ended(1).await;
            assert_eq!(ended.how, How::Normal { stop_reason: "end_turn".into() });
            assert_eq!((ended.text.as_deref(), ended.activity_seen), (Some("done without you"), true));
        });
        scene.prompted_once();
    }
}

#[test]
fn a_cancel_survives_akkd() {
    let scene = Scene::new();
    die_in_the_turn(&scene);
    scene.live(async |executors| {
        executors.recover(scene.recovered(1, true)).await;
        assert_eq!(scene.ended(1).await.how, How::Cancelled);
    });
    assert_eq!(scene.daemon.called("turn/interrupt"), 1);
    scene.prompted_once();
}

#[test]
fn an_orderly_end_of_akkd_leaves_the_turn_alone() {
    let scene = Scene::new();
    scene.live(async |executors| {
        executors.start_turn(scene.order(1));
        scene.daemon.wait_for_our_turn();
        executors.shutdown(false).await;
    });
    assert_eq!(scene.daemon.called("turn/interrupt"), 0);
    assert_eq!(scene.house.told.count(|r| ended(r, 1).is_some()), 0);
    scene.daemon.finish("done");
}

#[test]
fn a_prompt_of_unknown_fate_is_never_sent_again() {
    let scene = Scene::new();
    scene.house.ledger.die_after_finishing(true);
    scene.live(async |executors| {
        executors.start_turn(scene.order(1));
        scene.house.ledger.wait_for_held_prompt().await;
    });
    scene.house.ledger.die_after_finishing(false);
    scene.live(async |executors| {
        executors.recover(scene.recovered(1, false)).await;
        let ended = scene.ended(1).await;
        assert!(matches!(ended.how, How::Uncertain { .. }), "{ended:?}");
    });
    assert_eq!(scene.daemon.our_turns(), 0);
    assert_eq!(scene.daemon.called("thread/queue/add"), 0);
}

#[test]
fn a_connection_that_ends_in_the_hand_over_is_settled_by_asking() {
    // Done or not, the daemon knows.
    let scene = Scene::new();
    scene.daemon.state().mishaps.insert("thread/queue/add", Mishap::CutAfter);
    scene.live(async |executors| {
        executors.start_turn(scene.order(1));
        scene.house.told.wait(|r| matches!(r, ExecutorReport::PromptSent { .. }).then_some(())).await;
        scene.daemon.finish("it had arrived");
        assert_eq!(scene.ended(1).await.text.as_deref(), Some("it had arrived"));
    });
    scene.prompted_once();

    let scene = Scene::new();
    scene.daemon.state().mishaps.insert("thread/queue/add", Mishap::CutBefore);
    scene.live(async |executors| {
        executors.start_turn(scene.order(1));
        let ended = scene.ended(1).await;
        assert!(matches!(ended.how, How::Uncertain { .. }), "{ended:?}");
    });
    assert_eq!(scene.daemon.our_turns(), 0);
}

#[test]
fn a_prompt_that_waits_in_the_queue_after_a_crash_is_taken_back() {
    let scene = Scene::new();
    scene.daemon.user_starts("hello");
    scene.daemon.end("interrupted", Value::Null);
    scene.daemon.state().mishaps.insert("thread/queue/add", Mishap::CutAfter);
    scene.live(async |executors| {
        executors.start_turn(scene.order(1));
        let ended = scene.ended(1).await;
        assert!(cannot_start(&ended).contains("was taken back"), "{ended:?}");
    });
    assert!(scene.daemon.state().queue.is_empty());
    assert_eq!(scene.daemon.our_turns(), 0);
}

#[test]
fn a_begun_turn_whose_id_is_not_told_is_known_by_its_message() {
    let scene = Scene::new();
    // As 0.169 does: begun at once, so that there is nothing left to start.
    scene.live(async |executors| {
        executors.start_turn(scene.order(1));
        scene.daemon.wait_for_our_turn();
        scene.daemon.finish("done");
        assert_eq!(scene.ended(1).await.text.as_deref(), Some("done"));
    });
    assert_eq!(scene.daemon.called("thread/queue/start"), 1);
    assert_eq!(scene.daemon.called("thread/queue/delete"), 1);
    scene.prompted_once();
}
