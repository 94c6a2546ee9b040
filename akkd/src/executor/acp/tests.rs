//! Permission requests that a person answers.

use crate::executor::testing::House;
use crate::executor::{PermissionAnswer, RecoveredTurn, TurnOrder};
use akk_core::conversation::PendingPermission;
use akk_core::{ExecutorReport, How};
use akk_proto::conversation::PermissionPolicy;
use akk_proto::permission::{PermissionDecision, PermissionRequest, PermissionRequested, PermissionSettled, SettledBy};
use akk_proto::{LaunchId, Timestamp};
use serde_json::json;
use std::time::Duration;

fn asking(house: &House, script: &str) -> TurnOrder {
    TurnOrder { permissions: PermissionPolicy::Ask, ..house.order(1, None, script) }
}

fn asked(report: &ExecutorReport) -> Option<PermissionRequest> {
    match report {
        ExecutorReport::PermissionAsked { request, .. } => Some((**request).clone()),
        _ => None,
    }
}

fn answered(report: &ExecutorReport) -> bool {
    matches!(report, ExecutorReport::PermissionAnswered { .. })
}

fn answer(request: &PermissionRequest, option: Option<&str>) -> PermissionAnswer {
    let option = option.map(str::to_owned);
    PermissionAnswer { launch_id: request.launch_id.clone(), request: request.id.clone(), option }
}

/// The request as it is stored, with the answer of a person where it has one.
fn pending(request: PermissionRequest, decision: Option<PermissionDecision>) -> PendingPermission {
    let nonce = "0a1b2c3d".to_owned();
    let settled = decision.map(|decision| PermissionSettled {
        nonce: nonce.clone(),
        decision,
        by: SettledBy::Person,
        option: None,
    });
    PendingPermission {
        requested: PermissionRequested { nonce, deadline: None, request },
        asked_at: Timestamp(0),
        settled,
    }
}

fn normal() -> How {
    How::Normal { stop_reason: "end_turn".into() }
}

#[tokio::test]
async fn the_agent_waits_for_a_person_as_long_as_it_takes_and_only_its_own_answer_counts() {
    let house = House::new();
    let executors = house.executors();
    let order = TurnOrder { agent_timeout: Duration::from_millis(300), ..asking(&house, "ASK SAY") };
    executors.start_turn(order);
    let request = house.told.wait(asked).await;
    assert_eq!((request.title.as_str(), &request.id, request.options.len()), ("danger", &json!(0), 2));
    let other = LaunchId::new(uuid::Uuid::from_u128(9));
    executors
        .answer_permission(House::conversation(), PermissionAnswer { launch_id: other, ..answer(&request, Some("n")) });
    // Longer than the silence that would count.
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!((house.noted("answer"), house.told.count(|r| matches!(r, ExecutorReport::Inactive { .. }))), (0, 0));
    executors.answer_permission(House::conversation(), answer(&request, Some("y")));
    assert_eq!(house.told.end_of(1).await.how, normal());
    assert_eq!((house.noted("answer"), house.told.count(answered)), (1, 1));
    assert!(house.log().iter().any(|l| l.starts_with("answer") && l.contains("\"y\"")), "{:?}", house.log());
    executors.shutdown(true).await;
}

#[tokio::test]
async fn an_agent_that_takes_no_answer_is_silent_once_a_person_has_decided() {
    let house = House::new();
    let executors = house.executors();
    executors.start_turn(TurnOrder { agent_timeout: Duration::from_millis(300), ..asking(&house, "SHUT ASK WAIT") });
    let request = house.told.wait(asked).await;
    executors.answer_permission(House::conversation(), answer(&request, Some("y")));
    house.told.wait(|r| matches!(r, ExecutorReport::Inactive { .. }).then_some(())).await;
    assert_eq!(house.told.count(answered), 0);
    executors.shutdown(true).await;
}

#[test]
fn a_request_outlives_akkd_and_the_next_one_passes_the_answer_on() {
    let house = House::new();
    house.live_and_die(async |executors| {
        executors.start_turn(asking(&house, "ASK SAY"));
        house.told.wait(asked).await;
    });
    house.live_and_die(async |executors| {
        let request = house.told.wait(asked).await;
        let order = TurnOrder { agent_timeout: Duration::from_millis(300), ..asking(&house, "") };
        let permissions = vec![pending(request.clone(), None)];
        executors.recover(vec![RecoveredTurn { order, cancelling: false, permissions }]).await;
        house.told.wait(|r| matches!(r, ExecutorReport::Readopted { .. }).then_some(())).await;
        tokio::time::sleep(Duration::from_millis(900)).await;
        assert_eq!(house.told.count(|r| matches!(r, ExecutorReport::Inactive { .. })), 0);
        executors.answer_permission(House::conversation(), answer(&request, Some("n")));
        assert_eq!(house.told.end_of(1).await.how, normal());
        executors.shutdown(true).await;
    });
    assert_eq!((house.noted("answer"), house.noted("prompt"), house.told.count(|r| asked(r).is_some())), (1, 1, 1));
}

#[test]
fn an_answer_that_a_crash_kept_from_the_agent_is_passed_on_afterwards() {
    for decision in [PermissionDecision::Allowed, PermissionDecision::Cancelled] {
        let house = House::new();
        house.live_and_die(async |executors| {
            executors.start_turn(asking(&house, "ASK SAY"));
            house.told.wait(asked).await;
        });
        house.live_and_die(async |executors| {
            let permissions = vec![pending(house.told.wait(asked).await, Some(decision))];
            let order = asking(&house, "");
            executors.recover(vec![RecoveredTurn { order, cancelling: false, permissions }]).await;
            assert_eq!(house.told.end_of(1).await.how, normal());
            executors.shutdown(true).await;
        });
        let word = if decision == PermissionDecision::Allowed { "\"y\"" } else { "\"cancelled\"" };
        assert!(house.log().iter().any(|l| l.starts_with("answer") && l.contains(word)), "{:?}", house.log());
        assert_eq!((house.noted("answer"), house.told.count(answered)), (1, 1));
    }
}
