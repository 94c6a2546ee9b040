//! The full-text search.

use crate::samples::{Home, Story, task};
use akk_proto::message::MessageType;

#[tokio::test]
async fn a_search_finds_messages_that_hold_every_word_newest_first() {
    let home = Home::new();
    let mut one = Story::begin(&home.store, 1, "Fix the flaky login test").await;
    one.report(MessageType::Done, "The login test is stable now").await;
    Story::begin(&home.store, 2, "Write a login page").await;

    let hits = home.store.search("LOGIN test", 10).await.unwrap();
    let found: Vec<_> = hits.iter().map(|h| (h.conversation_id.clone(), h.snippet.as_str())).collect();
    assert_eq!(found, [(task(1), "The login test is stable now"), (task(1), "Fix the flaky login test")]);
    assert_eq!((hits[0].from.as_str(), hits[0].kind), ("codex", MessageType::Done));
    assert_eq!(home.store.search("login", 2).await.unwrap().len(), 2);
    assert_eq!(home.store.search("log", 10).await.unwrap(), [], "words, not parts of them");
}

#[tokio::test]
async fn nothing_that_a_person_types_is_a_command() {
    let home = Home::new();
    Story::begin(&home.store, 1, "say \"hello world\" to store.rs AND NOT head:x*").await;
    for text in [
        "\"hello world\"",
        "\"",
        "'",
        "hello\"",
        "hello AND",
        "AND NOT",
        "head:x*",
        "(hello",
        "NEAR(hello world)",
        "^hello",
        "hello*",
        "-hello",
        "hello\0world",
        "{words} : hello",
        "store.rs",
        "+",
        "%",
        "héllo",
    ] {
        let hits = home.store.search(text, 10).await;
        assert!(hits.is_ok(), "{text:?}: {hits:?}");
    }
    assert_eq!(home.store.search("\"hello", 10).await.unwrap().len(), 1);
    assert_eq!(home.store.search("store.rs", 10).await.unwrap().len(), 1);
    assert_eq!(home.store.search("héllo", 10).await.unwrap().len(), 1, "accents do not matter");
    assert_eq!(home.store.search("world hello", 10).await.unwrap().len(), 1);
    assert_eq!(home.store.search("hello OR missing", 10).await.unwrap().len(), 0, "OR is a word like any other");
    assert_eq!(home.store.search("  ", 10).await.unwrap().len(), 0);
    assert_eq!(home.store.search("***", 10).await.unwrap().len(), 0);
}

#[tokio::test]
async fn scripts_without_spaces_are_searched_by_their_characters() {
    let home = Home::new();
    Story::begin(&home.store, 1, "请修复登录页面的测试").await;
    Story::begin(&home.store, 2, "ログインのテスト").await;
    assert_eq!(home.store.search("登录", 10).await.unwrap().len(), 1);
    assert_eq!(home.store.search("录登", 10).await.unwrap().len(), 0, "side by side, in this order");
    assert_eq!(home.store.search("テスト", 10).await.unwrap()[0].conversation_id, task(2));
}

#[tokio::test]
async fn a_snippet_is_short_however_long_the_message() {
    let home = Home::new();
    let body = format!("{} needle {}", "hay ".repeat(20_000), "straw ".repeat(20_000));
    Story::begin(&home.store, 1, &body).await;
    let hits = home.store.search("needle", 10).await.unwrap();
    assert!(hits[0].snippet.contains("needle"), "{}", hits[0].snippet);
    assert!(hits[0].snippet.chars().count() <= 200);
}

#[tokio::test]
async fn a_damaged_index_harms_the_search_and_no_commit() {
    let home = Home::new();
    Story::begin(&home.store, 1, "first").await;
    home.behind_its_back().execute("UPDATE messages_words_data SET block = x'00'", []).unwrap();
    home.behind_its_back().execute("DELETE FROM messages_words_docsize", []).unwrap();

    let mut story = Story::begin(&home.store, 2, "second").await;
    story.report(MessageType::Done, "third").await;
    assert_eq!(home.store.load(&task(2)).await.unwrap().unwrap().1, 3);
}
