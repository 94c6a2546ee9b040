//! Launches, their tickets, and the prompts that they are given.

use crate::samples::{Home, Story, launch_id, task};
use akk_proto::TurnId;
use akkd::store::{Checkpoint, LaunchState, PromptFate, PromptRow, Store, StoreError};
use serde_json::json;

#[tokio::test]
async fn a_launch_is_found_again_until_it_is_proven_gone() {
    let home = Home::new();
    let story = Story::begin(&home.store, 1, "r").await;
    for n in 1..=3 {
        home.store.launch_begin(story.launch(n)).await.unwrap();
    }
    home.store.launch_live(&launch_id(2), json!({"pid": 42, "ticks": 7})).await.unwrap();
    home.store.launch_facts(&launch_id(2), json!({"transport": "acp", "fifo": "in"})).await.unwrap();
    let reader = json!({"line": 3});
    home.store
        .launch_checkpoint(Checkpoint { launch_id: launch_id(2), offset: 1 << 40, reader: reader.clone() })
        .await
        .unwrap();
    home.store.launch_gone(&launch_id(1)).await.unwrap();
    home.store.launch_gone(&launch_id(1)).await.unwrap();
    home.store.close().await;

    let store = Store::open(&home.path()).unwrap();
    let live = store.live_launches().await.unwrap();
    assert_eq!(live.iter().map(|l| l.launch_id.clone()).collect::<Vec<_>>(), [launch_id(2), launch_id(3)]);
    let mut expected = story.launch(2);
    expected.state = LaunchState::Live;
    expected.identity = Some(json!({"pid": 42, "ticks": 7}));
    expected.facts = json!({"transport": "acp", "fifo": "in"});
    expected.offset = 1 << 40;
    expected.reader = reader;
    assert_eq!(live[0], expected);
    let all = store.launches_of(story.id()).await.unwrap();
    assert_eq!(
        all.iter().map(|l| l.state).collect::<Vec<_>>(),
        [LaunchState::Gone, LaunchState::Live, LaunchState::Starting]
    );
    assert_eq!(store.counts().await.unwrap().launches, 2);
}

#[tokio::test]
async fn an_unknown_launch_is_an_error() {
    let home = Home::new();
    let missing = |e: StoreError| assert!(matches!(e, StoreError::NotFound { .. }), "{e}");
    missing(home.store.launch_gone(&launch_id(1)).await.unwrap_err());
    missing(home.store.launch_live(&launch_id(1), json!(1)).await.unwrap_err());
    let checkpoint = Checkpoint { launch_id: launch_id(1), offset: 1, reader: json!(null) };
    missing(home.store.launch_checkpoint(checkpoint).await.unwrap_err());
}

#[tokio::test]
async fn a_launch_that_cannot_be_read_does_not_hide_the_others() {
    let home = Home::new();
    let story = Story::begin(&home.store, 1, "r").await;
    for n in 1..=2 {
        home.store.launch_begin(story.launch(n)).await.unwrap();
    }
    home.behind_its_back().execute("UPDATE launches SET facts = 'x' WHERE ord = 1", []).unwrap();
    assert_eq!(home.store.live_launches().await.unwrap().len(), 1);
    assert!(matches!(home.store.launches_of(&task(1)).await, Err(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn how_far_the_output_was_read_is_part_of_the_commit() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    home.store.launch_begin(story.launch(1)).await.unwrap();
    let mut commit = story.noticed("read");
    commit.checkpoint = Some(Checkpoint { launch_id: launch_id(1), offset: 100, reader: json!("s") });
    let mut stale = commit.clone();
    story.commit(commit).await.unwrap();
    stale.checkpoint = Some(Checkpoint { launch_id: launch_id(1), offset: 200, reader: json!("t") });
    home.store.commit(stale).await.unwrap_err();

    let launch = &home.store.launches_of(story.id()).await.unwrap()[0];
    assert_eq!((launch.offset, &launch.reader), (100, &json!("s")));
}

#[tokio::test]
async fn tickets_are_good_until_all_are_revoked() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    let other = Story::begin(&home.store, 2, "r").await;
    home.store.launch_begin(story.launch(1)).await.unwrap();
    home.store.launch_begin(story.launch(2)).await.unwrap();
    home.store.launch_begin(other.launch(3)).await.unwrap();
    home.store.launch_gone(&launch_id(1)).await.unwrap();
    assert_eq!(home.store.ticket_hashes(story.id()).await.unwrap().valid, ["hash-1", "hash-2"]);

    let mut commit = story.noticed("recovered");
    commit.revoke_tickets = true;
    story.commit(commit).await.unwrap();
    home.store.launch_begin(story.launch(4)).await.unwrap();

    let hashes = home.store.ticket_hashes(story.id()).await.unwrap();
    assert_eq!(hashes.valid, ["hash-4"]);
    assert_eq!(hashes.revoked, ["hash-1", "hash-2"]);
    assert_eq!(home.store.ticket_hashes(other.id()).await.unwrap().valid, ["hash-3"]);
}

#[tokio::test]
async fn the_fate_of_each_attempt_of_a_prompt_is_kept() {
    let home = Home::new();
    let story = Story::begin(&home.store, 1, "r").await;
    let prompt = |attempt, launch, fate| PromptRow {
        conversation_id: story.id().clone(),
        turn_id: TurnId::nth(1),
        attempt,
        launch_id: launch_id(launch),
        fate,
    };
    home.store.prompt_put(prompt(1, 1, PromptFate::Accepted)).await.unwrap();
    home.store.prompt_put(prompt(2, 2, PromptFate::Accepted)).await.unwrap();
    home.store.prompt_put(prompt(2, 2, PromptFate::Finishing)).await.unwrap();
    let rows = home.store.prompts_of(story.id(), &TurnId::nth(1)).await.unwrap();
    assert_eq!(rows, [prompt(1, 1, PromptFate::Accepted), prompt(2, 2, PromptFate::Finishing)]);
    assert_eq!(home.store.prompts_of(story.id(), &TurnId::nth(2)).await.unwrap(), []);
}
