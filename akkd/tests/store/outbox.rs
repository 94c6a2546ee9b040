//! The outbox: in order, one at a time per conversation, until the orchestrator has it.

use crate::samples::{Home, Story, at};
use akk_proto::DeliveryId;
use akk_proto::delivery::DeliveryState;
use akk_proto::message::MessageType;
use akkd::store::{Store, StoreError};

async fn due(store: &Store, seconds: i64) -> Vec<DeliveryId> {
    store.outbox_due(at(seconds), 100).await.unwrap().into_iter().map(|d| d.delivery_id).collect()
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
    assert!(store.outbox_lease(&first, at(40)).await.unwrap());
    assert_eq!(due(store, 20).await, std::slice::from_ref(&other), "the first is under way, the second waits for it");
    assert!(store.outbox_failed(&first, "exit 1", at(50)).await.unwrap());
    assert_eq!(due(store, 20).await, std::slice::from_ref(&other));
    assert_eq!(due(store, 50).await, [first.clone(), other.clone()]);
    store.outbox_done(&other).await.unwrap();
    assert_eq!(store.outbox_next_due().await.unwrap(), Some(at(50)));
    store.outbox_done(&first).await.unwrap();
    store.outbox_done(&first).await.unwrap();
    assert_eq!(due(store, 50).await, std::slice::from_ref(&second));
    store.outbox_done(&second).await.unwrap();
    assert_eq!(store.outbox_next_due().await.unwrap(), None);
    assert_eq!(store.counts().await.unwrap().undelivered, 0);
}

#[tokio::test]
async fn what_is_due_carries_what_is_to_be_told() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    let message = story.message("codex", MessageType::Done, "ready");
    let body = story.delivery(&message);
    let mut commit = story.noticed("x");
    commit.deliveries.push(("command".into(), body.clone()));
    story.commit(commit).await.unwrap();

    let due = home.store.outbox_due(at(10), 1).await.unwrap();
    assert_eq!((due[0].sink.as_str(), due[0].attempts, due[0].lease_ran_out), ("command", 0, false));
    assert_eq!(due[0].body, body);
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
        commit.deliveries.push(("command".into(), body));
        story.commit(commit).await.unwrap();
        assert_eq!(changed.has_changed().unwrap(), text == "ready", "{text}");
        changed.mark_unchanged();
    }
    let rows = home.store.outbox_list(None, true, 10, at(0)).await.unwrap();
    assert_eq!(rows.iter().map(|r| r.preview.as_str()).collect::<Vec<_>>(), ["ready"]);
    assert_eq!(home.store.undelivered(story.id(), true).await.unwrap(), 1);
}

#[tokio::test]
async fn an_attempt_that_died_is_due_again_when_its_lease_ran_out() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    let (_, id) = story.report(MessageType::Done, "ready").await;
    home.store.outbox_lease(&id, at(40)).await.unwrap();
    home.store.close().await;

    let store = Store::open(&home.path()).unwrap();
    assert_eq!(store.outbox_next_due().await.unwrap(), Some(at(40)));
    assert_eq!(due(&store, 39).await, []);
    let again = store.outbox_due(at(40), 10).await.unwrap();
    assert_eq!((again[0].attempts, again[0].lease_ran_out), (1, true));
}

#[tokio::test]
async fn an_attempt_of_a_former_akkd_is_due_at_once_and_known_as_such() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    let (_, id) = story.report(MessageType::Done, "ready").await;
    home.store.outbox_lease(&id, at(4000)).await.unwrap();
    home.store.close().await;

    let store = Store::open(&home.path()).unwrap();
    let mut changes = store.subscribe_outbox();
    store.outbox_release_leases().await.unwrap();
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    let again = store.outbox_due(at(10), 10).await.unwrap();
    assert_eq!((again[0].attempts, again[0].lease_ran_out), (1, true));
}

#[tokio::test]
async fn what_was_refused_for_good_waits_for_a_person_and_lets_the_next_go() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    let (_, first) = story.report(MessageType::Question, "first").await;
    let (_, second) = story.report(MessageType::Done, "second").await;
    let store = &home.store;
    store.outbox_lease(&first, at(40)).await.unwrap();
    assert!(store.outbox_park(&first, "the recipient is gone").await.unwrap());

    assert_eq!(due(store, 10).await, std::slice::from_ref(&second));
    assert_eq!(store.undelivered(story.id(), true).await.unwrap(), 2, "parked is not told");
    let row = store.delivery(&first, at(10)).await.unwrap();
    assert_eq!((row.state, row.last_error.as_deref()), (DeliveryState::Parked, Some("the recipient is gone")));
    assert!(!store.outbox_lease(&first, at(50)).await.unwrap());

    assert!(store.outbox_retry(&first, at(20)).await.unwrap());
    assert_eq!(due(store, 20).await, std::slice::from_ref(&first), "and it is the oldest again");
}

#[tokio::test]
async fn an_acknowledgement_by_hand_wins_over_an_attempt_under_way() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    let (_, id) = story.report(MessageType::Done, "ready").await;
    let store = &home.store;
    store.outbox_lease(&id, at(40)).await.unwrap();
    assert!(!store.outbox_retry(&id, at(10)).await.unwrap(), "an attempt is under way");
    store.outbox_done(&id).await.unwrap();
    assert!(!store.outbox_failed(&id, "too late", at(60)).await.unwrap());
    assert!(!store.outbox_park(&id, "too late").await.unwrap());
    assert!(!store.outbox_retry(&id, at(60)).await.unwrap());
    assert_eq!(store.delivery(&id, at(60)).await.unwrap().state, DeliveryState::Acknowledged);
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
    store.outbox_done(&told).await.unwrap();
    store.outbox_failed(&other, "exit 1", at(30)).await.unwrap();

    let rows = store.outbox_list(None, false, 10, at(1 + 601)).await.unwrap();
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
    home.store.outbox_lease(&id, at(40)).await.unwrap();
    assert!(!told(&mut changes), "a lease makes nothing due");
    home.store.outbox_done(&id).await.unwrap();
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
    let (_, good) = two.report(MessageType::Done, "ready").await;
    home.behind_its_back().execute("UPDATE outbox SET body = '{' WHERE id = ?1", [broken.as_str()]).unwrap();

    assert_eq!(due(&home.store, 10).await, [good]);
    let unknown = DeliveryId::of(one.id(), &crate::samples::message_id());
    assert!(matches!(home.store.outbox_done(&unknown).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(home.store.delivery(&unknown, at(0)).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn a_wall_clock_that_is_set_back_does_not_hold_up_what_waits_for_its_next_attempt() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    let (_, id) = story.report(MessageType::Done, "ready").await;
    home.store.outbox_lease(&id, at(400_000)).await.unwrap();
    home.store.outbox_failed(&id, "exit 1", at(400_000)).await.unwrap();
    assert!(due(&home.store, 399_900).await.is_empty());
    assert_eq!(due(&home.store, 10).await, [id]);
}
