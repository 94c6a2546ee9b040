//! Deleting for good, and saying that something is missing.

use crate::samples::{Home, Story, launch_id, request_id, task};
use akk_proto::api::StreamItem;
use akk_proto::message::MessageType;
use akkd::store::{EventFilter, Store, StoreError};

/// Cursors of what happened since `since`, gaps as pairs.
async fn told_since(store: &Store, since: u64) -> Vec<(u64, Option<u64>)> {
    let past = store.events_since(since, 1000, 1 << 20, EventFilter::default()).await.unwrap();
    assert!(!past.more);
    past.items
        .iter()
        .map(|item| match item {
            StreamItem::Event(event) => (event.cursor, None),
            StreamItem::Gap { from, to } => (*from, Some(*to)),
            StreamItem::Live { .. } => panic!("the store does not know what is live"),
        })
        .collect()
}

#[tokio::test]
async fn a_deleted_conversation_leaves_nothing_but_a_gap() {
    let home = Home::new();
    let mut gone = Story::begin(&home.store, 1, "a secret word").await;
    let kept = Story::begin(&home.store, 2, "another secret").await;
    home.store.launch_begin(gone.launch(1)).await.unwrap();
    home.store.launch_begin(gone.launch(2)).await.unwrap();
    home.store.launch_gone(&launch_id(1)).await.unwrap();
    let (_, told) = gone.report(MessageType::Done, "the secret is out").await;
    home.store.outbox_told(&told).await.unwrap();
    let mut commit = gone.noticed("x");
    commit.request = Some(gone.request("call-1"));
    gone.commit(commit).await.unwrap();
    gone.close().await;

    home.store.delete(gone.id()).await.unwrap();

    let store = &home.store;
    assert_eq!(store.load(gone.id()).await.unwrap(), None);
    assert_eq!(store.events(gone.id(), 0, 10, 1 << 20).await.unwrap().events, []);
    assert_eq!(store.search("secret", 10).await.unwrap().len(), 1);
    assert_eq!(store.outbox_list(None, true, 10, crate::samples::at(0)).await.unwrap(), []);
    assert_eq!(store.find_request(&request_id("call-1")).await.unwrap(), None);
    assert_eq!(store.ticket_hashes(gone.id()).await.unwrap().valid, Vec::<String>::new());
    let launches = store.live_launches().await.unwrap();
    assert_eq!(launches.iter().map(|l| l.launch_id.clone()).collect::<Vec<_>>(), [launch_id(2)], "it may still run");
    assert!(store.load(kept.id()).await.unwrap().is_some());
    let other = home.behind_its_back();
    for table in ["conversations", "states"] {
        let rows: u32 = other.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0)).unwrap();
        assert_eq!(rows, 1, "{table}");
    }
    for (table, rows) in [("events", 2), ("messages", 1), ("messages_words_docsize", 1), ("prompts", 0)] {
        let found: u32 = other.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0)).unwrap();
        assert_eq!(found, rows, "{table}");
    }
    assert_eq!(told_since(store, 0).await, [(0, Some(3)), (3, None), (4, None), (4, Some(8))]);
    assert!(matches!(store.delete(gone.id()).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn an_open_conversation_is_not_deleted() {
    let home = Home::new();
    let story = Story::begin(&home.store, 1, "r").await;
    assert_eq!(home.store.delete(&task(1)).await.unwrap_err(), StoreError::StillOpen { conversation_id: task(1) });
    assert!(home.store.load(story.id()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_conversation_whose_report_was_not_told_is_not_deleted() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    let (_, waits) = story.report(MessageType::Done, "ready").await;
    let (_, parked) = story.report(MessageType::Error, "no").await;
    story.close().await;
    let lease = |id| home.store.outbox_lease(id, akkd::store::Lease::To("g".into()));
    let refused = |count| StoreError::Undelivered { conversation_id: task(1), count };
    assert_eq!(home.store.delete(&task(1)).await.unwrap_err(), refused(2));
    home.store.outbox_told(&waits).await.unwrap();
    lease(&parked).await.unwrap().unwrap();
    home.store.outbox_park(&parked, 1, akk_proto::delivery::ParkReason::RecipientGone, "reset").await.unwrap();
    let failure = akk_proto::error::Failure::from(home.store.delete(&task(1)).await.unwrap_err());
    assert_eq!(failure.kind, akk_proto::error::ErrorKind::WrongStatus, "a person has not seen it yet");
    home.store.outbox_told(&parked).await.unwrap();
    home.store.delete(&task(1)).await.unwrap();
}

#[tokio::test]
async fn a_cursor_is_never_used_twice() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    story.close().await;
    home.store.delete(story.id()).await.unwrap();
    assert_eq!(home.store.newest_cursor(), 3);
    home.store.close().await;

    let store = Store::open(&home.path()).unwrap();
    assert_eq!(store.newest_cursor(), 3);
    let mut again = Story::begin(&store, 1, "r").await;
    let next = again.commit(again.noticed("x")).await.unwrap();
    assert_eq!(next.events[0].cursor, 6);
    assert_eq!(told_since(&store, 1).await, [(1, Some(4)), (4, None), (5, None), (6, None)]);
}

#[tokio::test]
async fn gaps_that_touch_are_told_as_one() {
    let home = Home::new();
    let mut stories = Vec::new();
    for n in 0..4 {
        let mut story = Story::begin(&home.store, n, "r").await;
        story.close().await;
        stories.push(story);
    }
    // Cursors 1-3, 4-6, 7-9, 10-12.
    for n in [0, 2, 1] {
        home.store.delete(stories[n].id()).await.unwrap();
    }
    assert_eq!(told_since(&home.store, 0).await[0], (0, Some(10)));
    assert_eq!(told_since(&home.store, 5).await[0], (5, Some(10)), "from where the reader stands");
    let runs: u32 = home.behind_its_back().query_row("SELECT count(*) FROM deleted_cursors", [], |r| r.get(0)).unwrap();
    assert_eq!(runs, 1);
    let of_one = EventFilter { conversation_id: Some(task(3)), kinds: Vec::new() };
    let past = home.store.events_since(0, 100, 1 << 20, of_one).await.unwrap();
    assert_eq!(past.items.len(), 3, "who asked for one conversation misses nothing");
    let kinds = EventFilter { conversation_id: None, kinds: vec!["message".into()] };
    let past = home.store.events_since(0, 100, 1 << 20, kinds).await.unwrap();
    assert_eq!(past.items[0], StreamItem::Gap { from: 0, to: 10 });
    assert_eq!(past.items.len(), 2);
}

#[tokio::test]
async fn a_gap_at_the_very_end_is_told_too() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    story.close().await;
    home.store.delete(story.id()).await.unwrap();
    assert_eq!(told_since(&home.store, 2).await, [(2, Some(4))]);
    assert_eq!(told_since(&home.store, 3).await, []);
}
