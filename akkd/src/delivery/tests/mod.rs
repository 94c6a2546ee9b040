//! Stories of the runner, with a plugin and a command that the test plays.

mod scene;

use self::scene::{Scene, until, who};
use super::MAX_SUBSCRIBERS;
use crate::conversation::testing::created;
use akk_proto::DeliveryId;
use akk_proto::api::{DeliveryFailedParams, DeliveryHandedParams};
use akk_proto::delivery::{DeliveryItem, DeliveryState, FailureReason, Offer, ParkReason};
use akk_proto::error::ErrorKind;
use akk_proto::event::EventBody;
use std::time::Duration;

const MAIN: &str = "agent:main:main";
/// Longer than anything here takes.
const LONG: Duration = Duration::from_mins(10);

#[tokio::test]
async fn a_report_is_offered_accepted_and_acknowledged_and_the_history_says_so() {
    let scene = Scene::new();
    let id = scene.begin(1, MAIN, Some("x")).await;
    let row = scene.says(&id, "done", "ready").await;
    let waits = scene.deliveries.one(&row).await.unwrap();
    assert_eq!((waits.state, waits.attempts), (DeliveryState::Pending, 0), "nobody is there: no attempt");
    let why = waits.waits_for.unwrap();
    assert!(why.starts_with("OpenClaw's plugin (installation x) is not connected"), "{why}");

    let plugin = scene.subscribe("x", "p");
    let offer = plugin.offer().await;
    assert_eq!((&offer.delivery_id, offer.attempt, offer.look_first, offer.by_person), (&row, 1, false, false));
    assert_eq!(offer.handed, None);
    assert!(offer.text.contains("ready") && offer.text.contains("codex has finished."), "{}", offer.text);
    let why = scene.deliveries.one(&row).await.unwrap().waits_for.unwrap();
    assert!(why.contains("did not say yet"), "{why}");
    let handed = scene.handed(&offer, "p").await;
    assert_eq!((handed.state, handed.handed.unwrap().run_id.as_str()), (DeliveryState::Handed, "run"));
    let told = scene.told(&offer).await;
    assert_eq!((told.state, told.waits_for), (DeliveryState::Acknowledged, None));
    let names: Vec<_> = scene.history(&id).await.iter().map(EventBody::name).collect();
    assert_eq!(names, ["delivery_attempt", "delivery_accepted"]);
    scene.told(&offer).await;
    assert_eq!(scene.history(&id).await.len(), 2, "a repeat says nothing new");
}

#[tokio::test]
async fn a_session_is_told_one_thing_at_a_time_and_sessions_beside_each_other() {
    let scene = Scene::new();
    let plugin = scene.subscribe("x", "p");
    let one = scene.begin(1, MAIN, Some("x")).await;
    let two = scene.begin(2, MAIN, Some("x")).await;
    let other = scene.begin(3, "agent:main:other", Some("x")).await;
    let first = scene.says(&one, "question", "first").await;
    let offer = plugin.offer().await;
    assert_eq!(offer.delivery_id, first);
    let behind = scene.says(&one, "progress", "behind it").await;
    let second = scene.says(&two, "done", "second").await;
    scene.says(&other, "done", "beside").await;
    // The runner has seen all of them when it offers the last.
    let beside = plugin.offer().await;
    assert_eq!(beside.body.conversation_id, other);
    let row = scene.deliveries.one(&second).await.unwrap();
    assert_eq!((row.state, row.attempts), (DeliveryState::Pending, 0));
    assert_eq!(row.waits_for.unwrap(), "Another report is being told to the same session.");
    let row = scene.deliveries.one(&behind).await.unwrap();
    assert_eq!(row.waits_for.unwrap(), "An earlier report of this conversation is told first.");
    scene.told(&offer).await;
    let next = plugin.offer().await;
    assert_eq!(next.delivery_id, behind, "the oldest that is due");
    scene.told(&next).await;
    assert_eq!(plugin.offer().await.delivery_id, second);
}

#[tokio::test]
async fn what_is_refused_comes_again_with_the_next_number_and_others_go_before_it() {
    let scene = Scene::new();
    let plugin = scene.subscribe("x", "p");
    let one = scene.begin(1, MAIN, Some("x")).await;
    let two = scene.begin(2, MAIN, Some("x")).await;
    let first = scene.says(&one, "done", "first").await;
    let second = scene.says(&two, "done", "second").await;
    let offer = plugin.offer().await;
    let row = scene.failed(&offer, FailureReason::Refused, "the gateway\nstarts; token=abcdefabcdef0123456789").await;
    assert_eq!(row.state, DeliveryState::Pending);
    let error = row.last_error.unwrap();
    assert!(error.starts_with("the gateway starts") && !error.contains("abcdefabcdef0123456789"), "{error}");
    assert!(row.waits_for.unwrap().starts_with("The next attempt is in 1 second"));
    assert_eq!(plugin.offer().await.delivery_id, second);
    scene.house.clock.advance(Duration::from_secs(2));
    scene.deliveries.told(&second, None).await.unwrap();
    assert_eq!(plugin.next().await, DeliveryItem::Withdrawn { delivery_id: second });
    let again = plugin.offer().await;
    assert_eq!((&again.delivery_id, again.attempt, again.look_first), (&first, 2, false));
}

#[tokio::test]
async fn what_a_subscriber_had_is_offered_again_to_the_next_as_the_same_attempt() {
    let scene = Scene::new();
    let id = scene.begin(1, MAIN, Some("x")).await;
    let row = scene.says(&id, "done", "ready").await;
    let plugin = scene.subscribe("x", "p1");
    let offer = plugin.offer().await;
    drop(plugin);
    let left = scene.deliveries.one(&row).await.unwrap();
    assert_eq!((left.state, left.attempts), (DeliveryState::Leased, 1), "nobody knows whether it arrived");
    assert!(left.waits_for.unwrap().contains("has not been connected for 1 second."));

    let plugin = scene.subscribe("x", "p1");
    let again = plugin.offer().await;
    assert_eq!((again.attempt, again.look_first, &again.handed), (1, true, &None));
    scene.handed(&again, "p1").await;
    drop(plugin);
    let why = scene.deliveries.one(&row).await.unwrap().waits_for.unwrap();
    assert!(why.contains("OpenClaw had accepted this report"), "{why}");
    let plugin = scene.subscribe("x", "p2");
    let third = plugin.offer().await;
    assert_eq!((third.attempt, third.look_first), (1, true));
    assert_eq!(third.handed.as_ref().unwrap().process, "p1");
    // What the first connection says of the attempt is as true as what the last says.
    scene.told(&offer).await;
    assert_eq!(scene.rows(&id).await[0].state, DeliveryState::Acknowledged);
}

#[tokio::test]
async fn a_newer_subscription_of_an_installation_takes_the_place_of_the_older() {
    let scene = Scene::new();
    let id = scene.begin(1, MAIN, Some("x")).await;
    scene.says(&id, "done", "ready").await;
    let older = scene.subscribe("x", "p1");
    let offer = older.offer().await;
    let newer = scene.subscribe("x", "p2");
    assert_eq!(older.next().await, DeliveryItem::Superseded);
    assert_eq!(older.subscription.next().await, None);
    let again = newer.offer().await;
    assert_eq!((again.delivery_id, again.attempt, again.look_first), (offer.delivery_id, 1, true));
    drop(older);
    let there: Vec<_> = scene.deliveries.plugins.connected().into_iter().map(|p| p.process).collect();
    assert_eq!(there, ["p2"], "that the older leaves means nothing any more");
}

#[tokio::test]
async fn two_installations_with_the_same_session_key_get_each_their_own() {
    let scene = Scene::new();
    let (x, y) = (scene.subscribe("x", "px"), scene.subscribe("y", "py"));
    let of_x = scene.begin(1, MAIN, Some("x")).await;
    let of_y = scene.begin(2, MAIN, Some("y")).await;
    scene.says(&of_x, "done", "for x").await;
    scene.says(&of_y, "done", "for y").await;
    let (offer_x, offer_y) = (x.offer().await, y.offer().await);
    assert_eq!((&offer_x.body.conversation_id, &offer_y.body.conversation_id), (&of_x, &of_y));
    // The process of the one cannot have accepted what the other was offered.
    assert_eq!(scene.handed(&offer_x, "py").await.state, DeliveryState::Leased);
    assert_eq!(scene.handed(&offer_x, "px").await.state, DeliveryState::Handed);
    drop(x);
    let anywhere = scene.begin(3, "agent:main:other", None).await;
    scene.says(&anywhere, "done", "for any").await;
    assert_eq!(y.offer().await.body.conversation_id, anywhere);
}

#[tokio::test]
async fn a_plugin_that_takes_an_offer_and_forgets_it_is_offered_it_again() {
    let scene = Scene::with(Duration::from_millis(50), "");
    let plugin = scene.subscribe("x", "p");
    let id = scene.begin(1, MAIN, Some("x")).await;
    scene.says(&id, "done", "ready").await;
    let first = plugin.offer().await;
    let second = plugin.offer().await;
    assert_eq!((first.attempt, second.attempt, second.look_first), (1, 1, true));
    // What comes late of the first counts: it is the same attempt.
    scene.handed(&first, "p").await;
    let third = scene.deliveries.one(&first.delivery_id).await.unwrap();
    assert_eq!((third.state, third.attempts), (DeliveryState::Handed, 1));
    scene.told(&first).await;
}

#[tokio::test]
async fn a_permission_that_a_plugin_forgets_is_offered_again_whatever_else_goes_on() {
    let scene = Scene::with(Duration::from_millis(200), "");
    let plugin = scene.subscribe("x", "p");
    let id = scene.begin(1, MAIN, Some("x")).await;
    let request = akk_proto::permission::PermissionRequest {
        launch_id: akk_proto::LaunchId::new(uuid::Uuid::nil()),
        id: 1.into(),
        title: "rm x".into(),
        kind: None,
        text: "rm x".into(),
        truncated: false,
        options: vec![],
    };
    let turn_id = scene.house.open_turn(&id).await;
    let asked = akk_core::ExecutorReport::PermissionAsked { turn_id, request: Box::new(request) };
    scene.house.conversations.executor_report(&id, asked, None).await.unwrap();
    let first = plugin.offer().await;
    let busy = scene.begin(2, "agent:main:other", Some("y")).await;
    let again = async {
        for n in 0.. {
            scene.says(&busy, "progress", &n.to_string()).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let second = tokio::select! {
        second = tokio::time::timeout(Duration::from_secs(10), plugin.offer()) => second.unwrap(),
        () = again => unreachable!(),
    };
    assert_eq!((second.delivery_id, second.attempt, second.look_first), (first.delivery_id, 1, true));
}

#[tokio::test]
async fn reports_that_do_not_fit_change_nothing() {
    let scene = Scene::new();
    let plugin = scene.subscribe("x", "p");
    let id = scene.begin(1, MAIN, Some("x")).await;
    let row = scene.says(&id, "done", "ready").await;
    let offer = plugin.offer().await;
    let unknown = DeliveryId::of(&id, &akk_proto::MessageId::message(uuid::Uuid::nil()));
    let nobodys = Offer { delivery_id: unknown.clone(), ..offer.clone() };
    let said = DeliveryHandedParams {
        delivery_id: unknown.clone(),
        attempt: 1,
        run_id: "r".into(),
        session_id: "s".into(),
        process: "p".into(),
    };
    assert_eq!(scene.deliveries.handed(said).await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(scene.deliveries.told(&unknown, Some(1)).await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(scene.deliveries.retry(&unknown).await.unwrap_err().kind, ErrorKind::NotFound);
    let said = DeliveryFailedParams {
        delivery_id: unknown,
        attempt: nobodys.attempt,
        reason: FailureReason::Refused,
        error: "x".into(),
    };
    assert_eq!(scene.deliveries.failed(said).await.unwrap_err().kind, ErrorKind::NotFound);

    let wrong = Offer { attempt: 7, ..offer.clone() };
    assert_eq!(scene.handed(&wrong, "p").await.state, DeliveryState::Leased);
    assert_eq!(scene.failed(&wrong, FailureReason::RecipientGone, "x").await.state, DeliveryState::Leased);
    scene.handed(&offer, "p").await;
    let once = scene.handed(&offer, "p").await;
    assert_eq!(once.state, DeliveryState::Handed);
    assert_eq!(scene.failed(&wrong, FailureReason::Uncertain, "x").await.state, DeliveryState::Handed);
    scene.told(&offer).await;
    for row in [
        scene.told(&offer).await,
        scene.handed(&offer, "p").await,
        scene.failed(&offer, FailureReason::Refused, "x").await,
    ] {
        assert_eq!((row.state, row.attempts), (DeliveryState::Acknowledged, 1));
    }
    assert_eq!(scene.deliveries.one(&row).await.unwrap().last_error, None);
    assert_eq!(scene.history(&id).await.len(), 2);
}

#[tokio::test]
async fn what_waits_for_a_person_lets_the_following_go_and_a_retry_is_the_persons() {
    let scene = Scene::new();
    let plugin = scene.subscribe("x", "p");
    let id = scene.begin(1, MAIN, Some("x")).await;
    let first = scene.says(&id, "question", "first").await;
    let second = scene.says(&id, "progress", "second").await;
    let offer = plugin.offer().await;
    let parked = scene.failed(&offer, FailureReason::RecipientGone, "the session was reset").await;
    assert_eq!((parked.state, parked.reason), (DeliveryState::Parked, Some(ParkReason::RecipientGone)));
    assert!(parked.waits_for.unwrap().contains("the session that asked was reset or is gone"));
    assert!(matches!(
        scene.history(&id).await.as_slice(),
        [EventBody::DeliveryParked { reason: ParkReason::RecipientGone, detail, .. }] if detail == "the session was reset"
    ));
    let behind = plugin.offer().await;
    assert_eq!(behind.delivery_id, second);
    let uncertain = scene.failed(&behind, FailureReason::Uncertain, "compacted").await;
    assert_eq!((uncertain.state, uncertain.reason), (DeliveryState::Uncertain, Some(ParkReason::Uncertain)));

    let asked = scene.deliveries.retry(&first).await.unwrap();
    assert_eq!((asked.state, asked.reason), (DeliveryState::Pending, None));
    let again = plugin.offer().await;
    assert_eq!((&again.delivery_id, again.attempt, again.by_person, again.look_first), (&first, 2, true, false));
    let refused = scene.deliveries.retry(&first).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::WrongStatus);
    assert!(refused.hint.contains("deliveries ack"), "{}", refused.hint);
    scene.told(&again).await;
    assert_eq!(scene.deliveries.retry(&first).await.unwrap_err().kind, ErrorKind::WrongStatus);
    // Of the other the plugin learns after all that it had arrived.
    assert_eq!(scene.told(&behind).await.state, DeliveryState::Acknowledged);
}

#[tokio::test]
async fn a_person_who_acknowledges_an_attempt_under_way_takes_it_back() {
    let scene = Scene::new();
    let plugin = scene.subscribe("x", "p");
    let one = scene.begin(1, MAIN, Some("x")).await;
    let two = scene.begin(2, MAIN, Some("x")).await;
    let first = scene.says(&one, "done", "first").await;
    let offer = plugin.offer().await;
    let second = scene.says(&two, "done", "second").await;
    scene.deliveries.told(&first, None).await.unwrap();
    assert_eq!(plugin.next().await, DeliveryItem::Withdrawn { delivery_id: first.clone() });
    assert_eq!(plugin.offer().await.delivery_id, second, "and the session is free");
    assert!(matches!(scene.history(&one).await.as_slice(), [EventBody::DeliveryAccepted { by_hand: true, .. }]));
    scene.told(&offer).await;
    scene.deliveries.told(&first, None).await.unwrap();
    assert_eq!(scene.history(&one).await.len(), 1, "it was known");
}

#[tokio::test]
async fn an_offer_that_was_not_taken_yet_is_taken_back_without_a_word() {
    let scene = Scene::new();
    let plugin = scene.subscribe("x", "p");
    let one = scene.begin(1, MAIN, Some("x")).await;
    let two = scene.begin(2, MAIN, Some("x")).await;
    let first = scene.says(&one, "done", "first").await;
    until(async || (scene.deliveries.one(&first).await.unwrap().attempts == 1).then_some(())).await;
    scene.deliveries.told(&first, None).await.unwrap();
    let second = scene.says(&two, "done", "second").await;
    // Where the offer had just gone into the mailbox it is withdrawn there; it is never seen.
    assert_eq!(plugin.offer().await.delivery_id, second);
}

#[tokio::test]
async fn progress_that_waited_is_told_by_the_newest_of_it() {
    let scene = Scene::new();
    let id = scene.begin(1, MAIN, Some("x")).await;
    for n in 1..=20 {
        scene.says(&id, "progress", &format!("step {n}")).await;
    }
    scene.says(&id, "done", "ready").await;
    assert_eq!(scene.rows(&id).await.len(), 21);
    let plugin = scene.subscribe("x", "p");
    let progress = plugin.offer().await;
    assert_eq!(progress.body.text, "step 20");
    scene.told(&progress).await;
    assert_eq!(plugin.offer().await.body.text, "ready");
    assert_eq!(scene.rows(&id).await.len(), 2);
}

#[tokio::test]
async fn a_plugin_that_reads_nothing_holds_little_and_loses_nothing() {
    let scene = Scene::new();
    let plugin = scene.subscribe("x", "p");
    let mut rows = Vec::new();
    for n in 1..=40 {
        let id = scene.begin(n, &format!("agent:main:{n}"), Some("x")).await;
        rows.push(scene.says(&id, "done", &"x".repeat(10_000)).await);
    }
    let begun = async || {
        let mut begun = 0;
        for row in &rows {
            begun += scene.deliveries.one(row).await.unwrap().attempts;
        }
        begun
    };
    // Nobody takes anything: no more attempts are begun than its mailbox has room for.
    until(async || (begun().await == 4).then_some(())).await;
    let mut offered = Vec::new();
    for n in 0..40 {
        let offer = plugin.offer().await;
        assert!(begun().await <= n + 5);
        offered.push(offer.delivery_id);
    }
    offered.sort();
    rows.sort();
    assert_eq!(offered, rows, "each once");
}

#[tokio::test]
async fn a_flood_to_one_session_comes_in_order_one_by_one() {
    let scene = Scene::new();
    let plugin = scene.subscribe("x", "p");
    let mut rows = Vec::new();
    for n in 1..=50 {
        let id = scene.begin(n, MAIN, Some("x")).await;
        rows.push(scene.says(&id, "done", "ready").await);
    }
    for row in &rows {
        let offer = plugin.offer().await;
        assert_eq!(&offer.delivery_id, row);
        scene.told(&offer).await;
    }
    assert_eq!(scene.house.store.counts().await.unwrap().undelivered, 0);
}

#[tokio::test]
async fn too_many_installations_are_refused_and_a_known_one_may_come_back() {
    let scene = Scene::new();
    let plugins = &scene.deliveries.plugins;
    let mut there: Vec<_> = (0..MAX_SUBSCRIBERS).map(|n| scene.subscribe(&format!("g{n}"), "p")).collect();
    assert_eq!(plugins.subscribe(who("one more", "p")).err().unwrap().kind, ErrorKind::TooLarge);
    let newer = scene.subscribe("g3", "p2");
    there.pop();
    plugins.subscribe(who("one more", "p")).unwrap();
    drop(newer);
}

#[tokio::test]
async fn a_probe_is_answered_by_those_who_can() {
    let scene = Scene::new();
    let (x, _silent) = (scene.subscribe("x", "px"), scene.subscribe("y", "py"));
    let plugins = scene.deliveries.plugins.clone();
    let asked = tokio::spawn(async move { plugins.probe(Duration::from_millis(300)).await });
    let DeliveryItem::Probe { nonce } = x.next().await else { panic!("a probe comes") };
    scene.deliveries.plugins.probed("another", false, "nobody asked".into());
    scene.deliveries.plugins.probed(&nonce, true, "ready".into());
    let found = asked.await.unwrap();
    let seen: Vec<_> = found.iter().map(|p| (p.plugin.gateway.as_str(), p.answer.clone())).collect();
    assert_eq!(seen, [("x", Some((true, "ready".into()))), ("y", None)]);
    scene.deliveries.plugins.probed(&nonce, true, "too late".into());
}

#[tokio::test]
async fn a_report_that_waits_for_too_long_is_told_once_in_its_history() {
    let mut scene = Scene::new();
    let id = scene.begin(1, MAIN, Some("x")).await;
    let waits = scene.says(&id, "question", "first").await;
    let plugin = scene.subscribe("x", "p");
    let offer = plugin.offer().await;
    scene.failed(&offer, FailureReason::Uncertain, "who knows").await;
    drop(plugin);
    scene.house.clock.advance(Duration::from_secs(601));
    scene.says(&id, "progress", "that wakes the runner").await;
    let overdue = async |at_least: usize| {
        let found = scene.history(&id).await;
        let found: Vec<_> = found
            .into_iter()
            .filter_map(|e| match e {
                EventBody::DeliveryOverdue { delivery_id, .. } => Some(delivery_id),
                _ => None,
            })
            .collect();
        (found.len() >= at_least).then_some(found)
    };
    assert_eq!(until(async || overdue(1).await).await, std::slice::from_ref(&waits), "also one that was given up");
    let row = scene.deliveries.one(&waits).await.unwrap();
    assert!(row.overdue);
    scene.house.clock.advance(Duration::from_secs(601));
    let wake = scene.says(&id, "progress", "again").await;
    let told = until(async || overdue(2).await).await;
    assert_eq!(told.len(), 2, "the second report, and not the first once more");
    assert!(!told.contains(&wake));
    scene.stop().await;
}

#[tokio::test]
async fn a_command_under_way_may_finish_when_akkd_stops_and_is_not_run_again() {
    let begun = tempfile::tempdir().unwrap();
    let file = begun.path().join("begun");
    let script = format!("cat > /dev/null; echo x >> '{}'; sleep 1", file.display());
    let mut scene = Scene::with(LONG, &script);
    let id = scene.house.begin(created(1)).await;
    scene.says(&id, "done", "x").await;
    until(async || file.exists().then_some(())).await;
    scene.stop().await;
    assert_eq!(scene.house.store.undelivered(&id, true).await.unwrap(), 0);
}

#[tokio::test]
async fn what_openclaw_has_does_not_hold_up_the_end_of_akkd() {
    let mut scene = Scene::new();
    let plugin = scene.subscribe("x", "p");
    let id = scene.begin(1, MAIN, Some("x")).await;
    scene.says(&id, "done", "ready").await;
    plugin.offer().await;
    scene.stop().await;
    assert_eq!(scene.rows(&id).await[0].state, DeliveryState::Leased, "the next akkd goes on with it");
}
