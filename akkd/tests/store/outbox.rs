//! The outbox: in order, one at a time per conversation, until the orchestrator has it.

use crate::samples::{Home, Story, at};
use akk_proto::DeliveryId;
use akk_proto::delivery::{DeliveryState, ParkReason, SinkKind};
use akk_proto::message::MessageType;
use akkd::store::{Lease, Leased, Store, StoreError};

async fn due(store: &Store, seconds: i64) -> Vec<DeliveryId> {
    store.outbox_due_for_command(at(seconds), 100).await.unwrap().into_iter().map(|d| d.delivery_id).collect()
}

/// An attempt of the `command` sink, until some second.
async fn lease(store: &Store, id: &DeliveryId, until: i64) -> Option<Leased> {
    store.outbox_lease(id, Lease::Until(at(until))).await.unwrap()
}

#[tokio::test]
async fn deliveries_of_a_conversation_go_one_after_the_other() {
    let home = Home::new();
    let mut one = Story::begin(&home.store, 1, "r").await;
    let mut two = Story::begin(&home.store, 2, "r").await;
    let (_, first) = one.report(MessageType::Question, "first").await;
    let (_, second) = one.report(MessageType::Done, "second").await;
    let (_, other) = two.report(MessageType::Done, "other").await;
    let store = &home.store;

    assert_eq!(due(store, 10).await, [first.clone(), other.clone()]);
    assert_eq!(lease(store, &first, 40).await.unwrap().attempt, 1);
    assert_eq!(due(store, 20).await, std::slice::from_ref(&other), "the first is under way, the second waits for it");
    assert!(store.outbox_refused(&first, 1, "exit 1", at(50)).await.unwrap());
    assert_eq!(due(store, 20).await, std::slice::from_ref(&other));
    assert_eq!(due(store, 50).await, [first.clone(), other.clone()]);
    store.outbox_told(&other).await.unwrap();
    assert_eq!(store.outbox_next_due(at(20)).await.unwrap(), Some(at(50)));
    store.outbox_told(&first).await.unwrap();
    store.outbox_told(&first).await.unwrap();
    assert_eq!(due(store, 50).await, std::slice::from_ref(&second));
    store.outbox_told(&second).await.unwrap();
    assert_eq!(store.outbox_next_due(at(20)).await.unwrap(), None);
    assert_eq!(store.counts().await.unwrap().undelivered, 0);
}

#[tokio::test]
async fn what_is_due_carries_what_is_to_be_told() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    let message = story.message("codex", MessageType::Done, "ready");
    let body = story.delivery(&message);
    let mut commit = story.noticed("x");
    commit.deliveries.push((SinkKind::Command, body.clone()));
    story.commit(commit).await.unwrap();

    let due = home.store.outbox_due_for_command(at(10), 1).await.unwrap();
    assert_eq!((due[0].sink, due[0].attempts, due[0].begun), (SinkKind::Command, 0, false));
    let leased = lease(&home.store, &due[0].delivery_id, 40).await.unwrap();
    assert_eq!(leased.body, body);
    assert_eq!((leased.attempt, leased.look_first, leased.by_person, leased.handed), (1, false, false, None));
}

#[tokio::test]
async fn a_delivery_is_queued_once_however_often_it_is_asked_for() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    let message = story.message("codex", MessageType::Done, "ready");
    let mut changed = home.store.subscribe_outbox();
    for text in ["ready", "other words"] {
        let mut body = story.delivery(&message);
        body.text = text.into();
        let mut commit = story.noticed("x");
        commit.deliveries.push((SinkKind::Command, body));
        story.commit(commit).await.unwrap();
        assert_eq!(changed.has_changed().unwrap(), text == "ready", "{text}");
        changed.mark_unchanged();
    }
    let rows = home.store.outbox_list(None, true, 10, at(0)).await.unwrap();
    assert_eq!(rows.iter().map(|r| r.view.preview.as_str()).collect::<Vec<_>>(), ["ready"]);
    assert_eq!(home.store.undelivered(story.id(), true).await.unwrap(), 1);
}

#[tokio::test]
async fn an_attempt_that_died_is_due_again_when_its_lease_ran_out() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    let (_, id) = story.report(MessageType::Done, "ready").await;
    lease(&home.store, &id, 40).await.unwrap();
    home.store.close().await;

    let store = Store::open(&home.path()).unwrap();
    assert_eq!(store.outbox_next_due(at(0)).await.unwrap(), Some(at(40)));
    assert_eq!(due(&store, 39).await, []);
    let again = store.outbox_due_for_command(at(40), 10).await.unwrap();
    assert_eq!((again[0].attempts, again[0].begun), (1, true));
    let second = lease(&store, &id, 90).await.unwrap();
    assert_eq!((second.attempt, second.look_first), (2, true), "each run of the command is an attempt");
    assert!(!store.outbox_refused(&id, 1, "the first, too late", at(95)).await.unwrap());
}

#[tokio::test]
async fn an_attempt_of_a_former_akkd_is_due_at_once_and_known_as_such() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    let (_, id) = story.report(MessageType::Done, "ready").await;
    lease(&home.store, &id, 4000).await.unwrap();
    home.store.close().await;

    let store = Store::open(&home.path()).unwrap();
    let mut changes = store.subscribe_outbox();
    store.outbox_release_leases().await.unwrap();
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    let again = store.outbox_due_for_command(at(10), 10).await.unwrap();
    assert_eq!((again[0].attempts, again[0].begun), (1, true));
}

#[tokio::test]
async fn what_was_refused_for_good_waits_for_a_person_and_lets_the_next_go() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    let (_, first) = story.report(MessageType::Question, "first").await;
    let (_, second) = story.report(MessageType::Done, "second").await;
    let store = &home.store;
    lease(store, &first, 40).await.unwrap();
    let gone = ParkReason::RecipientGone;
    assert!(!store.outbox_park(&first, 2, gone, "of another attempt").await.unwrap());
    assert!(store.outbox_park(&first, 1, gone, "the recipient is gone").await.unwrap());

    assert_eq!(due(store, 10).await, std::slice::from_ref(&second));
    assert_eq!(store.undelivered(story.id(), true).await.unwrap(), 2, "parked is not told");
    let row = store.delivery(&first, at(10)).await.unwrap().view;
    assert_eq!((row.state, row.last_error.as_deref()), (DeliveryState::Parked, Some("the recipient is gone")));
    assert_eq!(row.reason, Some(gone));
    assert_eq!(lease(store, &first, 50).await, None);

    assert!(store.outbox_retry(&first, at(20)).await.unwrap());
    assert_eq!(due(store, 20).await, std::slice::from_ref(&first), "and it is the oldest again");
    let again = lease(store, &first, 60).await.unwrap();
    assert_eq!((again.attempt, again.look_first, again.by_person), (2, false, true));
    assert_eq!(store.delivery(&first, at(20)).await.unwrap().view.reason, None);
}

#[tokio::test]
async fn an_acknowledgement_by_hand_wins_over_an_attempt_under_way() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    let (_, id) = story.report(MessageType::Done, "ready").await;
    let store = &home.store;
    lease(store, &id, 40).await.unwrap();
    assert!(!store.outbox_retry(&id, at(10)).await.unwrap(), "an attempt is under way");
    assert!(store.outbox_told(&id).await.unwrap());
    assert!(!store.outbox_told(&id).await.unwrap(), "it was known");
    assert!(!store.outbox_refused(&id, 1, "too late", at(60)).await.unwrap());
    assert!(!store.outbox_park(&id, 1, ParkReason::Uncertain, "too late").await.unwrap());
    assert!(!store.outbox_retry(&id, at(60)).await.unwrap());
    assert_eq!(store.delivery(&id, at(60)).await.unwrap().view.state, DeliveryState::Acknowledged);
    assert_eq!(due(store, 100).await, []);
}

#[tokio::test]
async fn the_list_shows_what_waits_and_since_when() {
    let home = Home::new();
    let mut one = Story::begin(&home.store, 1, "r").await;
    let mut two = Story::begin(&home.store, 2, "r").await;
    let (_, told) = one.report(MessageType::Question, "told").await;
    one.report(MessageType::Progress, &"ü".repeat(300)).await;
    let (_, other) = two.report(MessageType::Done, "other").await;
    let store = &home.store;
    store.outbox_told(&told).await.unwrap();
    lease(store, &other, 40).await.unwrap();
    store.outbox_refused(&other, 1, "exit 1", at(30)).await.unwrap();

    let rows = store.outbox_list(None, false, 10, at(1 + 601)).await.unwrap();
    let rows: Vec<_> = rows.into_iter().map(|r| r.view).collect();
    let seen: Vec<_> = rows.iter().map(|r| (r.kind.as_str(), r.overdue, r.next_attempt_at)).collect();
    assert_eq!(seen, [("progress", true, Some(at(1))), ("done", false, Some(at(30)))]);
    assert_eq!(rows[0].preview, "ü".repeat(200));
    assert_eq!(rows[1].last_error.as_deref(), Some("exit 1"));
    assert_eq!(store.outbox_list(Some(one.id()), true, 10, at(0)).await.unwrap().len(), 2);
    assert_eq!(store.outbox_list(Some(one.id()), false, 10, at(0)).await.unwrap().len(), 1);
    assert_eq!(store.outbox_list(None, true, 1, at(0)).await.unwrap().len(), 1);
    assert_eq!(store.undelivered(one.id(), true).await.unwrap(), 1);
    assert_eq!(store.undelivered(one.id(), false).await.unwrap(), 0);
}

#[tokio::test]
async fn the_runner_is_told_when_something_may_be_due() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    let mut changes = home.store.subscribe_outbox();
    let told = |changes: &mut tokio::sync::watch::Receiver<u64>| {
        let told = changes.has_changed().unwrap();
        changes.mark_unchanged();
        told
    };
    let (_, id) = story.report(MessageType::Done, "ready").await;
    assert!(told(&mut changes));
    lease(&home.store, &id, 40).await.unwrap();
    assert!(!told(&mut changes), "a lease makes nothing due");
    home.store.outbox_told(&id).await.unwrap();
    assert!(told(&mut changes));
    story.commit(story.noticed("nothing to deliver")).await.unwrap();
    assert!(!told(&mut changes));
}

#[tokio::test]
async fn an_unknown_delivery_is_an_error_and_a_damaged_one_harms_its_conversation_only() {
    let home = Home::new();
    let mut one = Story::begin(&home.store, 1, "r").await;
    let mut two = Story::begin(&home.store, 2, "r").await;
    let (_, broken) = one.report(MessageType::Done, "ready").await;
    let (_, behind) = one.report(MessageType::Done, "behind it").await;
    let (_, good) = two.report(MessageType::Done, "ready").await;
    home.behind_its_back().execute("UPDATE outbox SET body = '{' WHERE id = ?1", [broken.as_str()]).unwrap();

    assert_eq!(due(&home.store, 10).await, [broken.clone(), good]);
    assert_eq!(lease(&home.store, &broken, 40).await, None);
    let row = home.store.delivery(&broken, at(10)).await.unwrap().view;
    assert_eq!((row.state, row.attempts), (DeliveryState::Uncertain, 0));
    assert!(row.last_error.unwrap().contains("does not parse"));
    assert_eq!(due(&home.store, 10).await[0], behind, "and lets the following ones go");
    let unknown = DeliveryId::of(one.id(), &crate::samples::message_id());
    assert!(matches!(home.store.outbox_told(&unknown).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(home.store.delivery(&unknown, at(0)).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn a_wall_clock_that_is_set_back_does_not_hold_up_what_waits_for_its_next_attempt() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    let (_, id) = story.report(MessageType::Done, "ready").await;
    lease(&home.store, &id, 400_000).await.unwrap();
    home.store.outbox_refused(&id, 1, "exit 1", at(400_000)).await.unwrap();
    assert!(due(&home.store, 399_900).await.is_empty());
    assert_eq!(due(&home.store, 10).await, [id]);
}
