//! Lists, pages, and finding a conversation by what a person types.

use crate::samples::{Home, Story, at, created, notice, task, text_of};
use akk_core::conversation::Phase;
use akk_proto::TurnId;
use akk_proto::api::StreamItem;
use akk_proto::conversation::Status;
use akk_proto::event::{EventBody, Origin};
use akk_proto::message::MessageType;
use akkd::store::{Counts, EventFilter, ListFilter, StoreError};

fn numbers(page: &akkd::store::ListPage) -> Vec<u32> {
    let tail = |s: &str| u32::from_str_radix(&s[21..], 16).unwrap();
    page.conversations.iter().map(|c| tail(c.conversation_id.as_str())).collect()
}

#[tokio::test]
async fn a_list_pages_through_everything_newest_first() {
    let home = Home::new();
    for n in 0..25 {
        // Some at the same moment, so that the order of ids decides.
        Story::begin_with(&home.store, created(n, "r"), "r", at(i64::from(n / 3))).await;
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = home.store.list(ListFilter::default(), 7, after.as_deref(), at(0)).await.unwrap();
        assert_eq!(page.total, 25);
        seen.extend(numbers(&page));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, (0..25).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_page_goes_on_where_the_former_ended_whatever_happens_between() {
    let home = Home::new();
    let mut stories = Vec::new();
    for n in 0..6 {
        stories.push(Story::begin(&home.store, n, "r").await);
    }
    let first = home.store.list(ListFilter::default(), 2, None, at(0)).await.unwrap();
    assert_eq!(numbers(&first), [5, 4]);

    stories[1].becomes(Phase::Running, at(100)).await;
    Story::begin_with(&home.store, created(9, "new"), "new", at(200)).await;

    let second = home.store.list(ListFilter::default(), 10, first.next.as_deref(), at(0)).await.unwrap();
    assert_eq!(numbers(&second), [3, 2, 0]);
    assert_eq!(second.next, None);
    let bad = home.store.list(ListFilter::default(), 10, Some("5; DROP TABLE"), at(0)).await.unwrap_err();
    assert_eq!(bad, StoreError::BadPageMark { token: "5; DROP TABLE".into() });
}

#[tokio::test]
async fn a_list_is_filtered_by_agent_status_and_workspace() {
    let home = Home::new();
    for n in 0..8 {
        let mut c = created(n, "r");
        c.agent = if n % 2 == 0 { "codex".into() } else { "claude".into() };
        c.workspace = if n < 4 { "/a".into() } else { "/b".into() };
        let mut story = Story::begin_with(&home.store, c, "r", at(i64::from(n))).await;
        match n {
            0 | 1 => story.close().await,
            2 => story.becomes(Phase::Stalled { reason: "silence".into() }, at(2)).await,
            _ => {}
        }
    }
    let list = async |filter| {
        let page = home.store.list(filter, 100, None, at(0)).await.unwrap();
        assert_eq!(page.total, page.conversations.len() as u64);
        numbers(&page)
    };
    let none = ListFilter::default;
    assert_eq!(list(none()).await, [7, 6, 5, 4, 3, 2]);
    assert_eq!(list(ListFilter { all: true, ..none() }).await, [7, 6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(list(ListFilter { agent: Some("claude".into()), ..none() }).await, [7, 5, 3]);
    assert_eq!(list(ListFilter { status: Some(Status::Stalled), ..none() }).await, [2]);
    assert_eq!(list(ListFilter { status: Some(Status::Closed), ..none() }).await, [1, 0]);
    let both = ListFilter { workspace: Some("/a".into()), agent: Some("codex".into()), all: true, ..none() };
    assert_eq!(list(both).await, [2, 0]);
}

#[tokio::test]
async fn a_line_of_the_list_says_what_the_conversation_is() {
    let home = Home::new();
    let mut c = created(1, "");
    c.user_request = "ü".repeat(300);
    c.label = Some("the label".into());
    let mut story = Story::begin_with(&home.store, c, "r", at(1)).await;
    story.state.rounds_used = 7;
    story.report(MessageType::Question, "which?").await;

    let page = home.store.list(ListFilter::default(), 10, None, at(0)).await.unwrap();
    let line = &page.conversations[0];
    assert_eq!(line.user_request, "ü".repeat(200));
    assert_eq!(line.label.as_deref(), Some("the label"));
    assert_eq!((line.created_at, line.updated_at), (at(1), at(1)));
    assert_eq!((line.response_rounds_used, line.soft_limit, line.undelivered), (7, 50, 1));
}

#[tokio::test]
async fn a_row_that_does_not_parse_harms_its_conversation_only() {
    let home = Home::new();
    for n in 1..=3 {
        Story::begin(&home.store, n, "needle").await;
    }
    let other = home.behind_its_back();
    other.execute("UPDATE states SET state = '{\"half' WHERE ord = 1", []).unwrap();
    let id = task(2).to_string();
    other.execute("UPDATE conversations SET status = 'confused' WHERE id = ?1", [&id]).unwrap();
    other.execute("UPDATE events SET body = x'' || '{' WHERE conversation = ?1 AND seq = 2", [&id]).unwrap();

    let refused = home.store.load(&task(1)).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Corrupt { conversation_id, .. } if *conversation_id == task(1)),
        "{refused}"
    );
    assert!(home.store.load(&task(3)).await.unwrap().is_some());
    assert_eq!(numbers(&home.store.list(ListFilter::default(), 10, None, at(0)).await.unwrap()), [3, 1]);
    let refused = home.store.events(&task(2), 0, 10, 1 << 20).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Corrupt { conversation_id, .. } if *conversation_id == task(2)),
        "{refused}"
    );
    assert_eq!(home.store.events(&task(3), 0, 10, 1 << 20).await.unwrap().events.len(), 2);
    assert_eq!(home.store.search("needle", 10).await.unwrap().len(), 2);
    let past = home.store.events_since(0, 100, 1 << 20, EventFilter::default()).await.unwrap();
    assert_eq!(past.items.len(), 6);
    assert_eq!(past.items[3], StreamItem::Gap { from: 3, to: 5 });
    assert_eq!(home.store.resolve("task-20260620T140525-00000002").await.unwrap(), task(2));
    let users = home.store.conversations_of_session("akk-codex-20260620140525-00000003").await.unwrap();
    assert_eq!(users.iter().map(|c| c.settings.conversation_id.clone()).collect::<Vec<_>>(), [task(3)]);
    let names = [1, 2, 3, 4].map(|n| format!("akk-codex-20260620140525-0000000{n}"));
    let users = home.store.users_of_sessions(names.clone().into()).await.unwrap();
    assert_eq!(users.get(&names[2]), Some(&task(3)));
    assert_eq!(users.len(), 2, "the first is torn, the fourth is of nobody: {users:?}");
}

#[tokio::test]
async fn an_id_may_be_shortened_from_both_ends() {
    let home = Home::new();
    for n in [0x11aa_0001, 0x11aa_0002, 0x22bb_0003] {
        Story::begin_with(&home.store, created(n, "r"), "r", at(i64::from(n & 0xff))).await;
    }
    let resolve = async |text: &str| home.store.resolve(text).await;
    assert_eq!(resolve("task-20260620T140525-11aa0001").await.unwrap(), task(0x11aa_0001));
    assert_eq!(resolve("20260620T140525-22").await.unwrap(), task(0x22bb_0003));
    assert_eq!(resolve("task-20260620T140525-22").await.unwrap(), task(0x22bb_0003));
    assert_eq!(resolve("0002").await.unwrap(), task(0x11aa_0002));
    assert_eq!(resolve("@last").await.unwrap(), task(0x22bb_0003));
    for absent in ["", "%", "_", "task-20260620T140525-33333333", "0004", "@first", "'", "11aa_0001"] {
        assert!(matches!(resolve(absent).await, Err(StoreError::NotFound { .. })), "{absent}");
    }
    let StoreError::Ambiguous { candidates, more, .. } = resolve("20260620").await.unwrap_err() else { panic!() };
    assert_eq!(candidates, [task(0x22bb_0003), task(0x11aa_0002), task(0x11aa_0001)]);
    assert!(!more);
}

#[tokio::test]
async fn the_last_one_is_the_one_that_was_begun_or_written_to_last() {
    let home = Home::new();
    let mut first = Story::begin_with(&home.store, created(1, "r"), "r", at(1)).await;
    let mut second = Story::begin_with(&home.store, created(2, "r"), "r", at(2)).await;
    let last = async || home.store.resolve("@last").await.unwrap();
    assert_eq!(last().await, task(2));
    first.report(MessageType::Done, "what agents say moves nothing").await;
    assert_eq!(last().await, task(2));
    let said = first.message("openclaw", MessageType::Task, "go on");
    first.commit(first.change(vec![first.told(at(3), said, Origin::Sent)])).await.unwrap();
    assert_eq!(last().await, task(1));
    second.close().await;
    assert_eq!(last().await, task(1), "nor what happens in others");
}

#[tokio::test]
async fn an_ambiguous_id_names_five_and_says_that_there_are_more() {
    let home = Home::new();
    assert!(matches!(home.store.resolve("@last").await, Err(StoreError::NotFound { .. })));
    assert!(matches!(home.store.only_open().await, Err(StoreError::NotFound { .. })));
    let mut first = Story::begin(&home.store, 0, "r").await;
    assert_eq!(home.store.only_open().await.unwrap(), task(0));
    first.close().await;
    for n in 1..=6 {
        Story::begin(&home.store, n, "r").await;
    }
    let StoreError::Ambiguous { candidates, more, .. } = home.store.only_open().await.unwrap_err() else { panic!() };
    assert_eq!(candidates, [task(6), task(5), task(4), task(3), task(2)]);
    assert!(more);
}

#[tokio::test]
async fn a_history_is_read_in_pages_of_events_and_of_bytes() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    for n in 0..10 {
        story.commit(story.noticed(&format!("{n}"))).await.unwrap();
    }
    let big = story.message("codex", MessageType::Progress, &"x".repeat(5000));
    story.commit(story.change(vec![story.told(at(1), big, Origin::Callback)])).await.unwrap();

    let page = home.store.events(story.id(), 2, 4, 1 << 20).await.unwrap();
    assert_eq!(page.events.iter().map(|e| text_of(&e.body)).collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    assert_eq!(page.next_seq, Some(6));
    let page = home.store.events(story.id(), 6, 100, 1000).await.unwrap();
    assert_eq!(page.next_seq, Some(12), "the big one does not fit");
    let page = home.store.events(story.id(), 12, 100, 1000).await.unwrap();
    assert_eq!((page.events.len(), page.next_seq), (1, None), "one event always comes");

    let named = home.store.events_named(story.id(), &["message"], 0, 1, 1 << 20).await.unwrap();
    assert_eq!((named.events[0].seq, named.next_seq), (2, Some(2)));
    let named = home.store.events_named(story.id(), &["message"], 2, 1, 1 << 20).await.unwrap();
    assert_eq!((named.events[0].seq, named.next_seq), (13, None));

    let last = home.store.last_events(story.id(), 3, 1 << 20).await.unwrap();
    assert_eq!(last.iter().map(|e| e.seq).collect::<Vec<_>>(), [11, 12, 13]);
    let last = home.store.last_events(story.id(), 3, 100).await.unwrap();
    assert_eq!(last.iter().map(|e| e.seq).collect::<Vec<_>>(), [13]);
}

#[tokio::test]
async fn the_events_of_a_turn_are_those_of_no_other() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    for turn in [1, 2, 2, 3] {
        let mut event = notice(at(1), &format!("in {turn}"));
        event.turn_id = Some(TurnId::nth(turn));
        story.commit(story.change(vec![event])).await.unwrap();
    }
    let events = home.store.events_of_turn(story.id(), &TurnId::nth(2), &["agent_activity"]).await.unwrap();
    assert_eq!(events.iter().map(|e| (e.seq, text_of(&e.body))).collect::<Vec<_>>(), [(4, "in 2"), (5, "in 2")]);
    assert_eq!(home.store.events_of_turn(story.id(), &TurnId::nth(2), &["message"]).await.unwrap(), []);
}

#[tokio::test]
async fn everything_since_a_cursor_can_be_read_on_from_any_place() {
    let home = Home::new();
    let mut one = Story::begin(&home.store, 1, "r").await;
    let mut two = Story::begin(&home.store, 2, "r").await;
    for n in 0..5 {
        one.commit(one.noticed(&format!("one {n}"))).await.unwrap();
        two.commit(two.noticed(&format!("two {n}"))).await.unwrap();
    }
    let cursors = |items: &[StreamItem]| -> Vec<u64> {
        let cursor = |i: &StreamItem| if let StreamItem::Event(e) = i { e.cursor } else { panic!("{i:?}") };
        items.iter().map(cursor).collect()
    };
    let all = home.store.events_since(3, 4, 1 << 20, EventFilter::default()).await.unwrap();
    assert_eq!((cursors(&all.items), all.cursor, all.more), (vec![4, 5, 6, 7], 7, true));
    let rest = home.store.events_since(7, 100, 1 << 20, EventFilter::default()).await.unwrap();
    assert_eq!((cursors(&rest.items).len(), rest.cursor, rest.more), (7, 14, false));
    let nothing = home.store.events_since(14, 100, 1 << 20, EventFilter::default()).await.unwrap();
    assert_eq!((nothing.items.len(), nothing.cursor, nothing.more), (0, 14, false));

    let of_two = EventFilter { conversation_id: Some(task(2)), kinds: Vec::new() };
    let some = home.store.events_since(5, 2, 1 << 20, of_two.clone()).await.unwrap();
    assert_eq!((cursors(&some.items), some.cursor, some.more), (vec![6, 8], 8, true));
    let rest = home.store.events_since(8, 100, 1 << 20, of_two).await.unwrap();
    assert_eq!((cursors(&rest.items), rest.cursor, rest.more), (vec![10, 12, 14], 14, false));
    let messages = EventFilter { conversation_id: None, kinds: vec!["message".into()] };
    let found = home.store.events_since(0, 100, 1 << 20, messages).await.unwrap();
    assert_eq!((cursors(&found.items), found.cursor, found.more), (vec![2, 4], 14, false));
}

#[tokio::test]
async fn a_replay_holds_what_was_sent_or_heard_in_that_order() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "the task").await;
    let mut tell = async |from: &str, kind, body: &str, origin| {
        let mut message = story.message(from, kind, body);
        message.round = u32::from(origin != Origin::Queued);
        let id = message.id.clone();
        story.commit(story.change(vec![story.told(at(1), message, origin)])).await.unwrap();
        id
    };
    let waiting = tell("openclaw", MessageType::Task, "waits, then goes", Origin::Queued).await;
    tell("openclaw", MessageType::Task, "waits for ever", Origin::Queued).await;
    tell("codex", MessageType::Progress, "half way", Origin::Callback).await;
    let mut event = notice(at(2), "");
    event.body = EventBody::MessageSent { message_id: waiting.clone(), round: 4 };
    story.commit(story.change(vec![event])).await.unwrap();
    story.report(MessageType::Done, "ready").await;

    let recent = home.store.recent_messages(story.id(), 40, 700).await.unwrap();
    let bodies: Vec<_> = recent.iter().map(|m| m.body.as_str()).collect();
    assert_eq!(bodies, ["the task", "half way", "waits, then goes", "ready"]);
    assert_eq!(recent[2].round, 4);
    assert_eq!(home.store.message(story.id(), &waiting).await.unwrap().unwrap().message.round, 4);
    let last = home.store.recent_messages(story.id(), 2, 5).await.unwrap();
    assert_eq!(last.iter().map(|m| m.body.as_str()).collect::<Vec<_>>(), ["wait…", "ready"]);
}

#[tokio::test]
async fn a_start_learns_what_is_open_and_when_idle_conversations_end() {
    let home = Home::new();
    let mut idle = Story::begin(&home.store, 1, "r").await;
    idle.becomes(Phase::Idle { since: at(50) }, at(50)).await;
    let mut sooner = Story::begin(&home.store, 2, "r").await;
    sooner.becomes(Phase::Idle { since: at(40) }, at(60)).await;
    let mut was_idle = Story::begin(&home.store, 3, "r").await;
    was_idle.becomes(Phase::Idle { since: at(10) }, at(10)).await;
    was_idle.becomes(Phase::Running, at(11)).await;
    let mut busy = Story::begin(&home.store, 4, "r").await;
    let turn = akk_core::conversation::OpenTurn {
        turn_id: TurnId::nth(1),
        started_at: at(4),
        message_id: crate::samples::message_id(),
        replay: false,
        prompted: false,
        settled_by: None,
        process: None,
        permissions: Vec::new(),
        refused: None,
    };
    busy.state.open_turn = Some(turn);
    busy.becomes(Phase::WaitingForAgent, at(4)).await;
    let mut closed = Story::begin(&home.store, 5, "r").await;
    closed.report(MessageType::Done, "ready").await;
    closed.close().await;

    let ten_minutes = 600;
    assert_eq!(
        home.store.deadlines().await.unwrap(),
        [(task(2), at(40 + ten_minutes)), (task(1), at(50 + ten_minutes))]
    );
    assert_eq!(home.store.with_open_turn().await.unwrap(), [task(4)]);
    let counts = Counts { conversations: 5, open_conversations: 4, open_turns: 1, launches: 0, undelivered: 1 };
    assert_eq!(home.store.counts().await.unwrap(), counts);
    assert_eq!(home.store.terminal_older_than(at(6)).await.unwrap(), [task(5)]);
    assert_eq!(home.store.terminal_older_than(at(5)).await.unwrap(), []);
}
