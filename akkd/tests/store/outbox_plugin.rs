//! The outbox of OpenClaw: one at a time for each session, and attempts that last until something is known.

use crate::samples::{Home, Story, at};
use akk_proto::DeliveryId;
use akk_proto::delivery::{DeliveryState, Handed, ParkReason};
use akk_proto::message::MessageType::{Done, Progress, Question};
use akk_proto::{Timestamp, event::EventBody};
use akkd::store::{Lease, Leased, Store, Waiting};

const MAIN: &str = "agent:main:main";

async fn due(store: &Store, gateways: &[&str]) -> Vec<DeliveryId> {
    let gateways = gateways.iter().map(|g| (*g).to_owned()).collect();
    store.outbox_due_for_plugin(at(10), gateways, 100).await.unwrap().into_iter().map(|d| d.delivery_id).collect()
}

async fn lease(store: &Store, id: &DeliveryId, gateway: &str) -> Option<Leased> {
    store.outbox_lease(id, Lease::To(gateway.into())).await.unwrap()
}

async fn state(store: &Store, id: &DeliveryId) -> DeliveryState {
    store.delivery(id, at(10)).await.unwrap().view.state
}

fn handed(attempt: u32, run: &str) -> Handed {
    Handed { attempt, run_id: run.into(), session_id: "s".into(), process: "p".into(), at: at(5) }
}

#[tokio::test]
async fn of_each_session_the_oldest_is_due_and_installations_are_kept_apart() {
    let home = Home::new();
    let store = &home.store;
    let mut stories = Vec::new();
    for n in 1..=5 {
        stories.push(Story::begin(store, n, "r").await);
    }
    let a = stories[0].report_to(MAIN, Some("x"), Done, "a").await;
    let behind_a = stories[1].report_to(MAIN, Some("x"), Done, "b").await;
    let other_session = stories[2].report_to("agent:main:two", Some("x"), Done, "c").await;
    let other_gateway = stories[3].report_to(MAIN, Some("y"), Done, "d").await;
    let anywhere = stories[4].report_to(MAIN, None, Done, "e").await;

    assert_eq!(due(store, &["x", "y"]).await, [&a, &other_session, &other_gateway, &anywhere].map(Clone::clone));
    assert_eq!(due(store, &["y"]).await, [other_gateway.clone(), anywhere.clone()]);
    assert_eq!(due(store, &["z"]).await, std::slice::from_ref(&anywhere));
    store.outbox_told(&a).await.unwrap();
    assert_eq!(due(store, &["x"]).await, [behind_a, other_session, anywhere.clone()]);
    // Whoever got it once is the only one who can look whether it arrived.
    lease(store, &anywhere, "y").await.unwrap();
    assert!(!due(store, &["x"]).await.contains(&anywhere));
    assert!(due(store, &["y"]).await.contains(&anywhere));
    store.outbox_handed(&anywhere, &handed(1, "of y")).await.unwrap();
    store.outbox_refused(&anywhere, 1, "not now", at(6)).await.unwrap();
    assert_eq!(store.delivery(&anywhere, at(10)).await.unwrap().view.handed, None, "it says nothing to another");
    assert!(due(store, &["x"]).await.contains(&anywhere), "certainly not told: whoever is there may get it");
}

#[tokio::test]
async fn what_backs_off_lets_other_conversations_of_the_session_go() {
    let home = Home::new();
    let store = &home.store;
    let mut one = Story::begin(store, 1, "r").await;
    let mut two = Story::begin(store, 2, "r").await;
    let first = one.report_to(MAIN, Some("x"), Question, "first").await;
    let second = one.report_to(MAIN, Some("x"), Done, "second").await;
    let other = two.report_to(MAIN, Some("x"), Done, "other").await;
    lease(store, &first, "x").await.unwrap();
    assert_eq!(due(store, &["x"]).await, std::slice::from_ref(&first), "it is under way");
    store.outbox_refused(&first, 1, "not now", at(60)).await.unwrap();
    assert_eq!(due(store, &["x"]).await, std::slice::from_ref(&other));
    assert_eq!(store.outbox_next_due(at(10)).await.unwrap(), Some(at(60)));
    lease(store, &other, "x").await.unwrap();
    store.outbox_told(&first).await.unwrap();
    assert_eq!(due(store, &["x"]).await, std::slice::from_ref(&other), "what is under way comes first");
    store.outbox_told(&other).await.unwrap();
    assert_eq!(due(store, &["x"]).await, [second]);
}

#[tokio::test]
async fn an_attempt_lasts_through_restarts_until_something_is_known() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    let id = story.report_to(MAIN, Some("x"), Done, "ready").await;
    let first = lease(&home.store, &id, "x").await.unwrap();
    assert_eq!((first.attempt, first.look_first, first.handed), (1, false, None));
    home.store.close().await;

    let store = Store::open(&home.path()).unwrap();
    store.outbox_release_leases().await.unwrap();
    assert_eq!(state(&store, &id).await, DeliveryState::Leased);
    let again = lease(&store, &id, "x").await.unwrap();
    assert_eq!((again.attempt, again.look_first), (1, true), "the same attempt goes on");
    assert!(store.outbox_handed(&id, &handed(1, "run-1")).await.unwrap());
    let third = lease(&store, &id, "x").await.unwrap();
    assert_eq!((third.attempt, third.look_first, third.handed), (1, true, Some(handed(1, "run-1"))));
    assert_eq!(state(&store, &id).await, DeliveryState::Handed);
    assert_eq!(store.outbox_next_due(at(10)).await.unwrap(), None, "nothing is due by time");

    store.outbox_refused(&id, 1, "it is not in the transcript", at(6)).await.unwrap();
    let next = lease(&store, &id, "x").await.unwrap();
    assert_eq!((next.attempt, next.look_first), (2, false));
    assert_eq!(next.handed, Some(handed(1, "run-1")), "what was accepted last helps to look for it");
    store.outbox_park(&id, 2, ParkReason::RecipientGone, "reset").await.unwrap();
    store.outbox_retry(&id, at(7)).await.unwrap();
    let asked = lease(&store, &id, "x").await.unwrap();
    assert_eq!((asked.attempt, asked.handed), (3, None), "a person's retry begins anew");
}

#[tokio::test]
async fn a_report_of_another_attempt_changes_nothing_except_that_it_arrived() {
    let home = Home::new();
    let store = &home.store;
    let mut story = Story::begin(store, 1, "r").await;
    let id = story.report_to(MAIN, Some("x"), Done, "ready").await;
    assert!(!store.outbox_handed(&id, &handed(1, "r")).await.unwrap(), "nothing is under way");
    assert!(!store.outbox_refused(&id, 0, "e", at(6)).await.unwrap());
    lease(store, &id, "x").await.unwrap();
    store.outbox_refused(&id, 1, "not now", at(6)).await.unwrap();
    assert!(!store.outbox_handed(&id, &handed(1, "late")).await.unwrap(), "that attempt has ended");
    lease(store, &id, "x").await.unwrap();
    for attempt in [0, 1, 3] {
        assert!(!store.outbox_handed(&id, &handed(attempt, "r")).await.unwrap());
        assert!(!store.outbox_refused(&id, attempt, "e", at(6)).await.unwrap());
        assert!(!store.outbox_park(&id, attempt, ParkReason::Uncertain, "e").await.unwrap());
    }
    assert_eq!(state(store, &id).await, DeliveryState::Leased);
    assert!(store.outbox_park(&id, 2, ParkReason::Uncertain, "who knows").await.unwrap());
    assert!(!store.outbox_handed(&id, &handed(2, "r")).await.unwrap());
    assert!(store.outbox_told(&id).await.unwrap(), "that it arrived is true whenever it is said");
    let row = store.delivery(&id, at(10)).await.unwrap().view;
    assert_eq!((row.state, row.reason), (DeliveryState::Acknowledged, None));
}

#[tokio::test]
async fn a_persons_retry_goes_on_being_one_until_it_was_told() {
    let home = Home::new();
    let store = &home.store;
    let mut story = Story::begin(store, 1, "r").await;
    let id = story.report_to(MAIN, None, Done, "ready").await;
    lease(store, &id, "x").await.unwrap();
    store.outbox_park(&id, 1, ParkReason::RecipientGone, "reset").await.unwrap();
    assert_eq!(store.outbox_next_due(at(10)).await.unwrap(), None);
    assert!(store.outbox_retry(&id, at(6)).await.unwrap());
    let asked = lease(store, &id, "y").await.unwrap();
    assert_eq!((asked.attempt, asked.by_person, asked.look_first), (2, true, false));
    assert!(!store.outbox_retry(&id, at(6)).await.unwrap(), "it is under way");
    store.outbox_refused(&id, 2, "the gateway starts", at(6)).await.unwrap();
    assert!(lease(store, &id, "y").await.unwrap().by_person);
    store.outbox_refused(&id, 3, "the gateway starts", at(60)).await.unwrap();
    assert!(store.outbox_retry(&id, at(8)).await.unwrap(), "a person need not wait");
    assert_eq!(due(store, &["y"]).await, [id]);
}

#[tokio::test]
async fn a_retry_behind_which_another_is_under_way_waits_for_it() {
    let home = Home::new();
    let store = &home.store;
    let mut story = Story::begin(store, 1, "r").await;
    let first = story.report_to(MAIN, Some("x"), Question, "first").await;
    let second = story.report_to(MAIN, Some("x"), Done, "second").await;
    lease(store, &first, "x").await.unwrap();
    store.outbox_park(&first, 1, ParkReason::RecipientGone, "reset").await.unwrap();
    lease(store, &second, "x").await.unwrap();
    store.outbox_retry(&first, at(6)).await.unwrap();
    assert_eq!(due(store, &["x"]).await, std::slice::from_ref(&second), "also after a restart");
    store.outbox_told(&second).await.unwrap();
    assert_eq!(due(store, &["x"]).await, [first]);
}

#[tokio::test]
async fn progress_that_waits_is_told_by_the_newest_of_it() {
    let home = Home::new();
    let store = &home.store;
    let mut story = Story::begin(store, 1, "r").await;
    let one = story.report_to(MAIN, None, Progress, "one").await;
    story.report_to(MAIN, None, Progress, "two").await;
    let three = story.report_to(MAIN, None, Progress, "three").await;
    let question = story.report_to(MAIN, None, Question, "which?").await;
    let four = story.report_to(MAIN, None, Progress, "four").await;
    assert_eq!(due(store, &["x"]).await, std::slice::from_ref(&one));
    let told = lease(store, &one, "x").await.unwrap();
    assert_eq!((&told.delivery_id, told.body.text.as_str(), told.attempt), (&three, "three", 1));
    let left: Vec<_> = store.outbox_list(None, true, 10, at(10)).await.unwrap();
    let left: Vec<_> = left.into_iter().map(|r| r.view.delivery_id).collect();
    assert_eq!(left, [three.clone(), question.clone(), four.clone()]);
    assert_eq!(store.waiting(story.id(), at(10)).await.unwrap().undelivered, 3);

    // What was tried may have arrived: it is not taken back, and takes nothing with it.
    store.outbox_refused(&three, 1, "not now", at(6)).await.unwrap();
    assert_eq!(lease(store, &three, "x").await.unwrap().delivery_id, three);
    store.outbox_told(&three).await.unwrap();
    store.outbox_told(&question).await.unwrap();
    assert_eq!(lease(store, &four, "x").await.unwrap().body.text, "four");
}

#[tokio::test]
async fn progress_that_wants_an_answer_is_told_itself() {
    let home = Home::new();
    let store = &home.store;
    let mut story = Story::begin(store, 1, "r").await;
    let first = story.report_to(MAIN, None, Progress, "one").await;
    let wants = story.report_to(MAIN, None, Progress, "shall I?").await;
    story.report_to(MAIN, None, Progress, "three").await;
    let sql = "UPDATE outbox SET body = json_set(body, '$.needs_answer', json('true')) WHERE id = ?1";
    home.behind_its_back().execute(sql, [wants.as_str()]).unwrap();
    assert_eq!(lease(store, &first, "x").await.unwrap().delivery_id, first);
    store.outbox_told(&first).await.unwrap();
    assert_eq!(lease(store, &wants, "x").await.unwrap().delivery_id, wants);
}

#[tokio::test]
async fn a_row_says_what_openclaw_accepted_and_whether_an_earlier_one_is_told_first() {
    let home = Home::new();
    let store = &home.store;
    let mut story = Story::begin(store, 1, "r").await;
    let first = story.report_to(MAIN, Some("x"), Question, "first").await;
    let second = story.report_to(MAIN, Some("x"), Done, "second").await;
    lease(store, &first, "x").await.unwrap();
    store.outbox_handed(&first, &handed(1, "run-1")).await.unwrap();
    let row = store.delivery(&first, at(10)).await.unwrap();
    assert_eq!((row.behind, row.gateway.as_deref(), row.view.orchestrator.as_deref()), (false, Some("x"), Some(MAIN)));
    assert_eq!(row.view.handed, Some(handed(1, "run-1")));
    assert!(store.delivery(&second, at(10)).await.unwrap().behind);
    store.outbox_park(&first, 1, ParkReason::Uncertain, "?").await.unwrap();
    assert!(!store.delivery(&second, at(10)).await.unwrap().behind);
}

#[tokio::test]
async fn what_waits_for_too_long_is_found_until_a_history_says_so() {
    let home = Home::new();
    let store = &home.store;
    let mut story = Story::begin(store, 1, "r").await;
    let one = story.report_to(MAIN, None, Question, "one").await;
    let two = story.report_to(MAIN, None, Done, "two").await;
    let queued = story.state.updated_at;
    let limit = queued.plus_millis(600_000);
    let overdue = limit.plus_millis(1);
    assert_eq!(store.outbox_untold_overdue(limit, 10).await.unwrap(), []);
    assert_eq!(store.outbox_next_overdue(limit).await.unwrap(), Some(overdue));
    assert_eq!(store.overdue(limit).await.unwrap(), 0);

    let found = store.outbox_untold_overdue(overdue, 10).await.unwrap();
    assert_eq!(found.iter().map(|r| &r.delivery_id).collect::<Vec<_>>(), [&one, &two]);
    assert_eq!((&found[0].conversation_id, found[0].waiting_since), (story.id(), queued));
    assert_eq!(store.waiting(story.id(), overdue).await.unwrap(), Waiting { undelivered: 2, overdue: 2 });
    assert_eq!(store.overdue(overdue).await.unwrap(), 2);
    let page = store.list(akkd::store::ListFilter::default(), 10, None, overdue).await.unwrap();
    assert_eq!((page.conversations[0].undelivered, page.conversations[0].overdue), (2, 2));
    let page = store.list(akkd::store::ListFilter::default(), 10, None, limit).await.unwrap();
    assert_eq!((page.conversations[0].undelivered, page.conversations[0].overdue), (2, 0));

    let body = EventBody::DeliveryOverdue { delivery_id: one.clone(), waiting_since: queued };
    let commit = story.change(vec![akk_core::Event { ts: overdue, turn_id: None, body }]);
    story.commit(commit).await.unwrap();
    let left = store.outbox_untold_overdue(overdue, 10).await.unwrap();
    assert_eq!(left.iter().map(|r| &r.delivery_id).collect::<Vec<_>>(), [&two]);
    store.outbox_told(&two).await.unwrap();
    assert_eq!(store.outbox_untold_overdue(overdue, 10).await.unwrap(), []);
    assert_eq!(store.outbox_next_overdue(Timestamp(0)).await.unwrap(), None, "also where the clock was set back");
    assert_eq!(store.overdue(overdue).await.unwrap(), 1, "it waits still");
}
