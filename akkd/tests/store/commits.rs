//! What a commit promises: all or nothing, in order, on the disk, each beside the others.

use crate::samples::{Home, Story, at, notice, task, text_of};
use akk_core::conversation::Phase;
use akk_proto::delivery::SinkKind;
use akk_proto::event::{EventBody, MessageRecorded, Origin};
use akk_proto::message::MessageType;
use akkd::store::StoreError;

#[tokio::test]
async fn a_conversation_comes_back_as_it_was_committed() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "fix the tests").await;
    story.becomes(Phase::WaitingForOpenclaw { blocked: true }, at(9)).await;

    let (state, seq) = home.store.load(&task(1)).await.unwrap().unwrap();

    assert_eq!((state, seq), (story.state, 3));
    assert_eq!(home.store.load(&task(2)).await.unwrap(), None);
}

#[tokio::test]
async fn events_are_numbered_per_conversation_and_over_all() {
    let home = Home::new();
    let mut one = Story::begin(&home.store, 1, "one").await;
    let mut two = Story::begin(&home.store, 2, "two").await;
    let mut commit = one.noticed("a");
    commit.events.push(notice(at(1), "b"));
    let first = one.commit(commit).await.unwrap();
    let second = two.commit(two.noticed("c")).await.unwrap();

    let places = |c: &akkd::store::Committed| c.events.iter().map(|e| (e.seq, e.cursor)).collect::<Vec<_>>();
    assert_eq!(places(&first), [(3, 5), (4, 6)]);
    assert_eq!(places(&second), [(3, 7)]);
    assert_eq!(home.store.newest_cursor(), 7);
    assert_eq!(first.events[1].turn_id.as_ref().unwrap().as_str(), "turn-1");
}

#[tokio::test]
async fn a_change_that_was_built_on_an_older_state_is_refused_and_writes_nothing() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "one").await;
    let stale = story.noticed("stale");
    story.commit(story.noticed("newer")).await.unwrap();

    let refused = home.store.commit(stale).await.unwrap_err();
    assert_eq!(refused, StoreError::Conflict { conversation_id: task(1), base: 2, stored: 3 });
    let mut again = story.noticed("made twice");
    again.base_seq = 0;
    assert!(matches!(home.store.commit(again).await, Err(StoreError::Conflict { base: 0, stored: 3, .. })));
    assert_eq!(home.store.events(&task(1), 0, 100, 1 << 20).await.unwrap().events.len(), 3);
}

#[tokio::test]
async fn of_many_changes_at_once_to_one_conversation_each_base_is_used_once() {
    let home = Home::new();
    let story = Story::begin(&home.store, 1, "one").await;
    let racers: Vec<_> = (0..20)
        .map(|n| {
            let (store, commit) = (home.store.clone(), story.noticed(&format!("racer {n}")));
            tokio::spawn(async move { store.commit(commit).await })
        })
        .collect();
    let mut won = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert!(matches!(error, StoreError::Conflict { base: 2, stored: 3, .. }), "{error}"),
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_repeated_call_is_answered_with_what_it_led_to_and_writes_nothing() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "one").await;
    let mut commit = story.noticed("first");
    commit.request = Some(story.request("call-1"));
    story.commit(commit.clone()).await.unwrap();

    let mut repeat = commit;
    repeat.base_seq = 3;
    let refused = home.store.commit(repeat).await.unwrap_err();

    assert_eq!(refused, StoreError::RepeatedRequest(Box::new(story.request("call-1"))));
    assert_eq!(home.store.load(&task(1)).await.unwrap().unwrap().1, 3);
    let found = home.store.find_request(&crate::samples::request_id("call-1")).await.unwrap();
    assert_eq!(found, Some(story.request("call-1")));
    assert_eq!(home.store.find_request(&crate::samples::request_id("call-2")).await.unwrap(), None);
}

#[tokio::test]
async fn a_job_that_fails_half_way_leaves_no_trace_and_its_neighbours_whole() {
    let home = Home::new();
    let bad = Story::begin(&home.store, 1, "bad").await;
    let mut neighbours = Vec::new();
    for n in 2..12 {
        neighbours.push(Story::begin(&home.store, n, "good").await);
    }
    // Its events, message and delivery are written before the launch of its checkpoint is found missing.
    let message = bad.message("codex", MessageType::Done, "never recorded");
    let mut commit = bad.change(vec![bad.told(at(5), message.clone(), Origin::Callback)]);
    commit.deliveries.push((SinkKind::Command, bad.delivery(&message)));
    commit.checkpoint = Some(akkd::store::Checkpoint {
        launch_id: crate::samples::launch_id(99),
        offset: 1,
        reader: serde_json::Value::Null,
    });

    // Queued in one go, so that they share a transaction.
    let mut jobs: Vec<_> = neighbours[..5].iter().map(|s| home.store.commit(s.noticed("good"))).collect();
    jobs.push(home.store.commit(commit));
    jobs.extend(neighbours[5..].iter().map(|s| home.store.commit(s.noticed("good"))));
    let answers = futures_util::future::join_all(jobs).await;

    assert!(matches!(&answers[5], Err(StoreError::NotFound { what }) if what.starts_with("launch ")), "{answers:?}");
    assert_eq!(answers.iter().filter(|a| a.is_ok()).count(), 10);
    assert_eq!(home.store.load(&task(1)).await.unwrap().unwrap().1, 2);
    assert_eq!(home.store.message(&task(1), &message.id).await.unwrap(), None);
    assert_eq!(home.store.outbox_list(None, true, 10, at(0)).await.unwrap(), []);
    assert_eq!(home.store.search("recorded", 10).await.unwrap(), []);
    // A number that was given back is given again: no cursor is missing that was not deleted.
    assert_eq!(home.store.newest_cursor(), 22 + 10);
}

#[tokio::test]
async fn what_waits_shares_a_transaction() {
    let home = Home::new();
    let mut stories = futures_util::future::join_all((0..20).map(|n| Story::begin(&home.store, n, "one"))).await;
    let frames = || std::fs::metadata(home.dir.path().join("akk.db-wal")).unwrap().len() / 4120;

    // One at a time, each change writes the pages that it touches.
    let before = frames();
    for story in &mut stories[..10] {
        story.commit(story.noticed("alone")).await.unwrap();
    }
    let alone = frames() - before;
    let before = frames();
    let jobs = stories[10..].iter().map(|s| home.store.commit(s.noticed("together")));
    for answer in futures_util::future::join_all(jobs).await {
        answer.unwrap();
    }
    let together = frames() - before;

    assert!(together * 2 < alone, "{together} pages together, {alone} alone");
}

#[tokio::test]
async fn subscribers_hear_every_event_once_in_order_when_it_can_be_read() {
    let home = Home::new();
    let mut heard = home.store.subscribe_events();
    let mut senders = Vec::new();
    for n in 0..8 {
        let store = home.store.clone();
        senders.push(tokio::spawn(async move {
            let mut story = Story::begin(&store, n, "one").await;
            for i in 0..20 {
                story.commit(story.noticed(&format!("{i}"))).await.unwrap();
            }
        }));
    }
    for cursor in 1..=8 * 22 {
        let event = heard.recv().await.unwrap();
        assert_eq!(event.cursor, cursor);
        let stored = home.store.events(&event.conversation_id, event.seq - 1, 1, 1 << 20).await.unwrap();
        assert_eq!(stored.events[0], *event);
    }
    for sender in senders {
        sender.await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_change_is_told_to_nobody() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "one").await;
    let mut heard = home.store.subscribe_events();
    let mut stale = story.noticed("stale");
    stale.base_seq = 1;
    home.store.commit(stale).await.unwrap_err();
    story.commit(story.noticed("good")).await.unwrap();
    assert_eq!(text_of(&heard.recv().await.unwrap().body), "good");
}

#[tokio::test]
async fn a_request_of_5_mb_is_stored_once_and_comes_back_whole() {
    let home = Home::new();
    let request: String = "Größe ".repeat(1 << 20).chars().take(5 << 20).collect();
    let story = Story::begin(&home.store, 1, &request).await;

    let page = home.store.events(story.id(), 0, 10, 1 << 30).await.unwrap();
    let EventBody::Message(told) = &page.events[1].body else { panic!("{:?}", page.events[1].body.name()) };
    assert!(told.message.body == request);
    let whole = home.store.message(story.id(), &told.message.id).await.unwrap().unwrap();
    assert!(whole.message.body == request);
    let recent = home.store.recent_messages(story.id(), 40, 700).await.unwrap();
    assert_eq!(recent[0].body.chars().count(), 700);
    assert!(recent[0].body.ends_with('…'));

    home.store.close().await;
    let size = home.path().metadata().unwrap().len();
    assert!(size < request.len() as u64 * 5 / 4, "{size} bytes for a request of {}", request.len());
}

#[tokio::test]
async fn a_late_callback_is_a_message_too() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "one").await;
    let message = story.message("codex", MessageType::Done, "late, but here");
    let recorded = MessageRecorded { message, origin: Origin::Callback, fingerprint: None };
    let mut event = notice(at(3), "");
    event.body = EventBody::LateCallback(Box::new(recorded.clone()));
    story.commit(story.change(vec![event])).await.unwrap();

    assert_eq!(home.store.message(story.id(), &recorded.message.id).await.unwrap(), Some(recorded));
    assert_eq!(home.store.search("late", 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_commit_without_events_changes_the_state_only() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "one").await;
    story.state.announced = akk_proto::conversation::BudgetLevel::Converge;
    let committed = story.commit(story.change(Vec::new())).await.unwrap();
    assert_eq!((committed.seq, committed.events.len()), (2, 0));
    assert_eq!(home.store.load(&task(1)).await.unwrap().unwrap().0, story.state);
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let home = Home::new();
    let story = Story::begin(&home.store, 1, "one").await;
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let (store, commit) = (home.store.clone(), story.noticed("last"));
            tokio::spawn(async move { store.commit(commit).await })
        })
        .collect();
    tokio::task::yield_now().await;
    home.store.close().await;
    let answers: Vec<_> = futures_util::future::join_all(waiting).await;
    let written = answers.iter().filter(|a| a.as_ref().unwrap().is_ok()).count();

    assert_eq!(home.store.commit(story.noticed("too late")).await.unwrap_err(), StoreError::Closed);
    assert_eq!(home.store.load(&task(1)).await.unwrap_err(), StoreError::Closed);
    assert!(!home.dir.path().join("akk.db-wal").exists(), "everything was moved into the database");
    home.store.close().await;
    let again = akkd::store::Store::open(&home.path()).unwrap();
    assert_eq!(again.load(&task(1)).await.unwrap().unwrap().1, 2 + written as u64);
}
