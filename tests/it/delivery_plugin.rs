//! The orchestrator is told, through a plugin of OpenClaw that the story plays.

use akk_proto::api::{
    Check, ControlClient as _, ConversationParams, DelegateParams, DeliveryFailedParams, DeliveryHandedParams,
    DeliveryListParams, DeliveryParams, DeliveryProbedParams, DeliverySubscribeParams, Empty, ListParams, PermitParams,
};
use akk_proto::conversation::Need;
use akk_proto::delivery::{DeliveryItem, DeliveryState, DeliveryView, FailureReason, Offer, ParkReason, Recipient};
use akk_proto::permission::Permit;
use akk_proto::{ConversationId, DeliveryId};
use akk_tests::wait::PATIENCE;
use akk_tests::{Daemon, Plan, Refusal, wait_for};
use jsonrpsee::core::client::{Client, Subscription};
use serde_json::json;

const MAIN: &str = "agent:main:main";

/// OpenClaw's plugin on a connection of its own.
struct Plugin {
    rpc: Client,
    items: Subscription<DeliveryItem>,
    process: String,
}

impl Plugin {
    async fn connect(akkd: &Daemon, gateway: &str, process: &str) -> Self {
        let rpc = akkd.connect().await;
        let items = rpc.deliveries(who(gateway, process)).await.unwrap();
        Self { rpc, items, process: process.to_owned() }
    }

    async fn next(&mut self) -> Option<DeliveryItem> {
        let next = tokio::time::timeout(PATIENCE, self.items.next()).await.unwrap();
        next.map(Result::unwrap)
    }

    async fn offer(&mut self) -> Offer {
        match self.next().await {
            Some(DeliveryItem::Offer(offer)) => *offer,
            other => panic!("{other:?} is no offer"),
        }
    }

    async fn handed(&self, offer: &Offer) -> DeliveryView {
        let said = DeliveryHandedParams {
            delivery_id: offer.delivery_id.clone(),
            attempt: offer.attempt,
            run_id: "run-1".into(),
            session_id: "session-1".into(),
            process: self.process.clone(),
        };
        self.rpc.delivery_handed(said).await.unwrap().delivery
    }

    async fn ack(&self, offer: &Offer) -> DeliveryView {
        let said = DeliveryParams { delivery_id: offer.delivery_id.clone(), attempt: Some(offer.attempt) };
        self.rpc.delivery_ack(said).await.unwrap().delivery
    }

    async fn failed(&self, offer: &Offer, reason: FailureReason, error: &str) -> DeliveryView {
        let said = DeliveryFailedParams {
            delivery_id: offer.delivery_id.clone(),
            attempt: offer.attempt,
            reason,
            error: error.into(),
        };
        self.rpc.delivery_failed(said).await.unwrap().delivery
    }
}

fn who(gateway: &str, process: &str) -> DeliverySubscribeParams {
    DeliverySubscribeParams {
        gateway: gateway.into(),
        process: process.into(),
        plugin_version: "1.0.0".into(),
        openclaw_version: "2026.9.6".into(),
    }
}

fn asked_by(akkd: &Daemon, session_key: &str, gateway: Option<&str>, script: &str) -> DelegateParams {
    DelegateParams {
        orchestrator: Some(session_key.into()),
        recipient: gateway.map(|g| Recipient { gateway: Some(g.into()), ..Recipient::default() }),
        ..akkd.task(script)
    }
}

/// A task that was done for a session of OpenClaw, and its report.
async fn reported(akkd: &Daemon, session_key: &str, gateway: Option<&str>) -> (ConversationId, DeliveryView) {
    let params = asked_by(akkd, session_key, gateway, "say hello");
    let id = akkd.delegate_as(params).await.conversation.conversation_id;
    akkd.wait(&id).await;
    let row = wait_for("its report", async || rows(akkd, &id).await.pop()).await;
    (id, row)
}

async fn rows(akkd: &Daemon, id: &ConversationId) -> Vec<DeliveryView> {
    let params = DeliveryListParams { conversation_id: Some(id.to_string()), all: true, limit: None };
    akkd.rpc().delivery_list(params).await.unwrap().deliveries
}

async fn row(akkd: &Daemon, id: &DeliveryId) -> DeliveryView {
    let params = DeliveryListParams { all: true, ..DeliveryListParams::default() };
    let all = akkd.rpc().delivery_list(params).await.unwrap().deliveries;
    all.into_iter().find(|r| r.delivery_id == *id).unwrap()
}

fn by_hand(id: &DeliveryId) -> DeliveryParams {
    DeliveryParams { delivery_id: id.clone(), attempt: None }
}

#[tokio::test]
async fn a_report_waits_for_the_plugin_and_is_told_once() {
    let akkd = Daemon::start().await;
    let (id, waits) = reported(&akkd, MAIN, Some("x")).await;
    assert_eq!((waits.state, waits.attempts), (DeliveryState::Pending, 0));
    assert_eq!((waits.sink.as_str(), waits.orchestrator.as_deref()), ("plugin", Some(MAIN)));
    assert!(waits.waits_for.unwrap().contains("is not connected"));
    assert_eq!(akkd.get(&id).await.undelivered, 1);
    let mut plugin = Plugin::connect(&akkd, "x", "p").await;
    let offer = plugin.offer().await;
    assert_eq!((offer.body.text.as_str(), offer.attempt, offer.look_first), ("hello", 1, false));
    assert!(offer.text.contains("hello") && offer.text.contains("agent_knock_knock_send"), "{}", offer.text);
    assert_eq!(plugin.handed(&offer).await.state, DeliveryState::Handed);
    assert_eq!(plugin.ack(&offer).await.state, DeliveryState::Acknowledged);
    assert_eq!(akkd.get(&id).await.undelivered, 0);
    let names = akkd.event_names(&id).await;
    let told: Vec<_> = names.iter().filter(|n| n.starts_with("delivery_")).copied().collect();
    assert_eq!(told, ["delivery_attempt", "delivery_accepted"]);
}

#[tokio::test]
async fn an_akkd_that_was_killed_offers_what_it_had_begun_as_the_same_attempt() {
    let mut akkd = Daemon::start().await;
    let (_, first) = reported(&akkd, MAIN, Some("x")).await;
    // After the lease, before a word about the offer.
    let mut plugin = Plugin::connect(&akkd, "x", "p").await;
    let offer = plugin.offer().await;
    akkd.restart().await;
    let kept = row(&akkd, &first.delivery_id).await;
    assert_eq!((kept.state, kept.attempts), (DeliveryState::Leased, 1));
    let mut plugin = Plugin::connect(&akkd, "x", "p").await;
    let again = plugin.offer().await;
    assert_eq!((&again.delivery_id, again.attempt, again.look_first), (&offer.delivery_id, 1, true));
    assert_eq!(again.handed, None);
    // After it was accepted.
    plugin.handed(&again).await;
    akkd.restart().await;
    let kept = row(&akkd, &first.delivery_id).await;
    assert_eq!((kept.state, kept.handed.unwrap().run_id.as_str()), (DeliveryState::Handed, "run-1"));
    let mut plugin = Plugin::connect(&akkd, "x", "p").await;
    let third = plugin.offer().await;
    assert_eq!((third.attempt, third.look_first), (1, true));
    let handed = third.handed.as_ref().unwrap();
    assert_eq!((handed.session_id.as_str(), handed.process.as_str(), handed.attempt), ("session-1", "p", 1));
    plugin.ack(&third).await;
    akkd.restart().await;
    assert_eq!(row(&akkd, &first.delivery_id).await.state, DeliveryState::Acknowledged);
}

#[tokio::test]
async fn an_akkd_that_stops_in_peace_leaves_to_the_next_what_openclaw_has() {
    let mut akkd = Daemon::start().await;
    let (id, first) = reported(&akkd, MAIN, Some("x")).await;
    akkd.turn_over(&id).await;
    let mut plugin = Plugin::connect(&akkd, "x", "p").await;
    let offer = plugin.offer().await;
    plugin.handed(&offer).await;
    akkd.stop(true).await;
    assert_eq!(plugin.next().await, None, "the plugin learns that akkd is gone");
    akkd.start_again().await;
    assert_eq!(row(&akkd, &first.delivery_id).await.state, DeliveryState::Handed);
    // The same process of OpenClaw tells how its run ended before it is asked.
    let rpc = akkd.connect().await;
    let said = DeliveryParams { delivery_id: first.delivery_id.clone(), attempt: Some(1) };
    assert_eq!(rpc.delivery_ack(said).await.unwrap().delivery.state, DeliveryState::Acknowledged);
}

#[tokio::test]
async fn an_acknowledgement_that_was_not_answered_counts_or_is_asked_for_again() {
    let mut akkd = Daemon::start().await;
    let (_, first) = reported(&akkd, MAIN, Some("x")).await;
    let mut plugin = Plugin::connect(&akkd, "x", "p").await;
    let offer = plugin.offer().await;
    plugin.handed(&offer).await;
    let mut raw = akkd.raw();
    let params = json!({"params": {"delivery_id": offer.delivery_id, "attempt": 1}});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "delivery.ack", "params": params});
    raw.send(format!("{call}\n").as_bytes()).unwrap();
    akkd.kill9();
    akkd.start_again().await;
    let (_, second) = reported(&akkd, MAIN, Some("x")).await;
    let mut plugin = Plugin::connect(&akkd, "x", "p").await;
    let mut next = plugin.offer().await;
    if next.delivery_id == first.delivery_id {
        assert_eq!((next.attempt, next.look_first), (1, true));
        plugin.ack(&next).await;
        next = plugin.offer().await;
    }
    assert_eq!(next.delivery_id, second.delivery_id);
    plugin.ack(&next).await;
    let first = row(&akkd, &first.delivery_id).await;
    assert_eq!((first.state, first.attempts), (DeliveryState::Acknowledged, 1));
}

#[tokio::test]
async fn a_plugin_whose_connection_breaks_goes_on_with_the_same_attempt() {
    let akkd = Daemon::start().await;
    let (_, first) = reported(&akkd, MAIN, None).await;
    let mut plugin = Plugin::connect(&akkd, "x", "p").await;
    let offer = plugin.offer().await;
    drop(plugin);
    wait_for("the plugin to be missed", async || {
        row(&akkd, &first.delivery_id).await.waits_for.filter(|w| w.contains("has not been connected for"))
    })
    .await;
    // Another installation cannot know whether the first told it.
    let mut other = Plugin::connect(&akkd, "y", "py").await;
    let (_, second) = reported(&akkd, "agent:main:second", None).await;
    let for_other = other.offer().await;
    assert_eq!(for_other.delivery_id, second.delivery_id);
    let mut plugin = Plugin::connect(&akkd, "x", "p").await;
    let again = plugin.offer().await;
    assert_eq!((again.delivery_id, again.attempt, again.look_first), (offer.delivery_id, 1, true));
}

#[tokio::test]
async fn a_newer_connection_of_an_installation_supersedes_the_older() {
    let akkd = Daemon::start().await;
    let mut older = Plugin::connect(&akkd, "x", "p1").await;
    let mut newer = Plugin::connect(&akkd, "x", "p2").await;
    assert_eq!(older.next().await, Some(DeliveryItem::Superseded));
    let (_, first) = reported(&akkd, MAIN, Some("x")).await;
    assert_eq!(newer.offer().await.delivery_id, first.delivery_id);
    // A probe that was answered too late is made again.
    let answering = async {
        loop {
            let Some(DeliveryItem::Probe { nonce }) = newer.next().await else { panic!("a probe comes") };
            let said = DeliveryProbedParams { nonce, gateway_ready: true, detail: "sessions can be reached".into() };
            newer.rpc.delivery_probed(said).await.unwrap();
        }
    };
    let reached = |c: &Check| c.name == "connection" && c.found.contains("sessions can be reached");
    let heard = wait_for("a doctor that hears the plugin", async || {
        let answer = akkd.rpc().daemon_doctor(Empty {}).await.unwrap();
        answer.checks.iter().any(reached).then_some(answer)
    });
    let answer = tokio::select! { answer = heard => answer, () = answering => unreachable!() };
    let there: Vec<_> = answer.plugins.iter().map(|p| (p.gateway.as_str(), p.process.as_str())).collect();
    assert_eq!(there, [("x", "p2")]);
}

#[tokio::test]
async fn sessions_are_told_beside_each_other_and_reports_to_one_session_in_order() {
    let akkd = Plan::default().warm_minutes(0).start().await;
    let mut ids = Vec::new();
    for n in 0..10 {
        let (session, script) = if n % 2 == 0 {
            (MAIN.to_owned(), "callback progress a\ncallback progress b\nsay hello")
        } else {
            (format!("agent:main:{n}"), "say hello")
        };
        let params = DelegateParams { deliver_progress: true, ..asked_by(&akkd, &session, Some("x"), script) };
        ids.push((session, akkd.delegate_as(params).await.conversation.conversation_id));
    }
    for (_, id) in &ids {
        akkd.wait(id).await;
        akkd.turn_over(id).await;
    }
    let mut plugin = Plugin::connect(&akkd, "x", "p").await;
    // The five other sessions and the first report to the common one come without a word from us.
    let mut open = Vec::new();
    for _ in 0..6 {
        open.push(plugin.offer().await);
    }
    let lanes: std::collections::BTreeSet<_> = open.iter().map(|o| o.body.orchestrator.clone()).collect();
    assert_eq!(lanes.len(), 6, "one at a time for each session");
    let mut common = Vec::new();
    let mut left = 5 + 5 * 2;
    while left > 0 {
        let offer = open.pop().unwrap();
        plugin.ack(&offer).await;
        left -= 1;
        if offer.body.orchestrator.as_deref() == Some(MAIN) {
            common.push((offer.body.conversation_id.clone(), offer.body.kind.clone(), offer.body.text.clone()));
            if common.len() < 10 {
                open.push(plugin.offer().await);
            }
        }
    }
    for (session, id) in &ids {
        assert_eq!(akkd.get(id).await.undelivered, 0);
        let told: Vec<_> = common.iter().filter(|c| c.0 == *id).map(|c| (c.1.as_str(), c.2.as_str())).collect();
        let expected: &[_] = if session == MAIN { &[("progress", "b"), ("done", "hello")] } else { &[] };
        assert_eq!(told, expected, "in order, waiting progress by the newest of it");
    }
}

#[tokio::test]
async fn what_is_parked_waits_for_a_person_who_has_akkctl() {
    let akkd = Daemon::start().await;
    let (id, first) = reported(&akkd, MAIN, Some("x")).await;
    let mut plugin = Plugin::connect(&akkd, "x", "p").await;
    let offer = plugin.offer().await;
    let parked = plugin.failed(&offer, FailureReason::RecipientGone, "the session was reset").await;
    assert_eq!((parked.state, parked.reason), (DeliveryState::Parked, Some(ParkReason::RecipientGone)));
    let shown = akkd.ctl(&["deliveries"]).await.ok().stdout;
    assert!(shown.contains("parked") && shown.contains("waits for a person"), "{shown}");
    let (_, behind) = reported(&akkd, MAIN, Some("x")).await;
    let next = plugin.offer().await;
    assert_eq!(next.delivery_id, behind.delivery_id, "the others go on");
    plugin.ack(&next).await;

    akkd.ctl(&["deliveries", "retry", first.delivery_id.as_str()]).await.ok();
    let again = plugin.offer().await;
    assert_eq!((again.attempt, again.by_person, again.look_first), (2, true, false));
    let refused = akkd.rpc().delivery_retry(by_hand(&first.delivery_id)).await.map_err(Refusal::of).unwrap_err();
    assert_eq!(refused.kind, akk_proto::error::ErrorKind::WrongStatus);
    akkd.ctl(&["deliveries", "ack", first.delivery_id.as_str()]).await.ok();
    assert_eq!(plugin.next().await, Some(DeliveryItem::Withdrawn { delivery_id: first.delivery_id.clone() }));
    let names = akkd.event_names(&id).await;
    let told: Vec<_> = names.iter().filter(|n| n.starts_with("delivery_")).copied().collect();
    assert_eq!(told, ["delivery_parked", "delivery_accepted"]);
}

#[tokio::test]
async fn closing_keeps_what_was_not_told_and_deleting_is_refused_until_it_was() {
    let akkd = Daemon::start().await;
    let (id, first) = reported(&akkd, MAIN, Some("x")).await;
    akkd.turn_over(&id).await;
    let closing = akk_proto::api::CloseParams { conversation_id: id.to_string(), ..Default::default() };
    akkd.rpc().close(closing).await.unwrap();
    let params = || ConversationParams { request_id: None, conversation_id: id.to_string() };
    let refused = akkd.rpc().delete(params()).await.map_err(Refusal::of).unwrap_err();
    assert_eq!(refused.kind, akk_proto::error::ErrorKind::WrongStatus);
    assert!(refused.hint.contains("akkctl deliveries"), "{refused:?}");
    let mut plugin = Plugin::connect(&akkd, "x", "p").await;
    let offer = plugin.offer().await;
    assert_eq!(offer.delivery_id, first.delivery_id);
    plugin.ack(&offer).await;
    assert!(akkd.event_names(&id).await.contains(&"delivery_accepted"));
    akkd.rpc().delete(params()).await.unwrap();
}

#[tokio::test]
async fn what_waits_for_too_long_is_shown_everywhere_and_told_once_in_the_history() {
    let mut akkd = Daemon::start().await;
    let (id, first) = reported(&akkd, MAIN, Some("x")).await;
    akkd.turn_over(&id).await;
    akkd.stop(true).await;
    // As if it had waited for all but two seconds of ten minutes when akkd starts again.
    let db = rusqlite::Connection::open(akkd.home.akk().join("akk.db")).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    db.execute("UPDATE outbox SET created_at = ?1", [now - 598_000]).unwrap();
    drop(db);
    akkd.start_again().await;
    let overdue = async |akkd: &Daemon| {
        let names = akkd.event_names(&id).await;
        names.iter().filter(|n| **n == "delivery_overdue").count()
    };
    wait_for("the event, by the clock alone", async || (overdue(&akkd).await == 1).then_some(())).await;
    assert!(row(&akkd, &first.delivery_id).await.overdue);
    assert_eq!(akkd.get(&id).await.overdue, 1);
    assert_eq!(akkd.rpc().daemon_info(Empty {}).await.unwrap().overdue, 1);
    let page = akkd.rpc().list(ListParams::default()).await.unwrap();
    assert_eq!(page.conversations[0].overdue, 1);
    let doctor = akkd.rpc().daemon_doctor(Empty {}).await.unwrap();
    assert!(
        doctor.checks.iter().any(|c| c.name == "outbox" && c.found.contains("1 for more than ten minutes")),
        "{:?}",
        doctor.checks
    );
    akkd.restart().await;
    let (other, _) = reported(&akkd, "agent:main:other", Some("x")).await;
    assert_eq!(akkd.get(&other).await.overdue, 0);
    assert_eq!(overdue(&akkd).await, 1, "once");
}

#[tokio::test]
async fn wrong_reports_and_wrong_subscribers_are_refused() {
    let akkd = Daemon::start().await;
    let (id, _) = reported(&akkd, MAIN, Some("x")).await;
    for bad in ["", " ", "a\nb", &"x".repeat(501)] {
        let refused = akkd.rpc().deliveries(who(bad, "p")).await.map(drop).map_err(Refusal::of).unwrap_err();
        assert_eq!(refused.kind, akk_proto::error::ErrorKind::InvalidParams, "{bad:?}");
    }
    let mut plugin = Plugin::connect(&akkd, "x", "p").await;
    let offer = plugin.offer().await;
    let (_, other) = reported(&akkd, "agent:main:other", Some("y")).await;
    let message = other.delivery_id.as_str().rsplit(':').next().unwrap();
    let unknown = DeliveryId::of(&id, &message.parse().unwrap());
    let nobodys = DeliveryParams { delivery_id: unknown, attempt: Some(1) };
    let refused = akkd.rpc().delivery_ack(nobodys).await.map_err(Refusal::of).unwrap_err();
    assert_eq!(refused.kind, akk_proto::error::ErrorKind::NotFound);
    let long = plugin.failed(&offer, FailureReason::Uncertain, &"x ".repeat(100_000)).await;
    assert!(long.last_error.unwrap().chars().count() <= 2000);
}

#[tokio::test]
async fn a_permission_that_was_answered_elsewhere_is_not_asked_for_any_more() {
    let akkd = Daemon::start().await;
    let asks = async |script: &str| {
        let id = akkd.delegate_as(asked_by(&akkd, MAIN, Some("x"), script)).await.conversation.conversation_id;
        let c = akkd.wait_need(&id, Need::Permission).await.conversation.unwrap();
        let row = wait_for("its notice", async || rows(&akkd, &id).await.pop()).await;
        (id, c.permission_requests[0].nonce.clone(), row)
    };
    let answer = async |id: &ConversationId, decision| {
        let conversation_id = id.to_string();
        akkd.rpc().permit(PermitParams { request_id: None, conversation_id, nonce: None, decision }).await.unwrap();
    };
    // While nobody could be told.
    let (id, _, waits) = asks("perm rm one").await;
    assert_eq!((waits.kind.as_str(), waits.state), ("permission", DeliveryState::Pending));
    answer(&id, Permit::Deny).await;
    akkd.wait_need(&id, Need::Done).await;
    assert!(rows(&akkd, &id).await.iter().all(|r| r.kind != "permission"));

    // While the plugin has it, and has not begun to tell it.
    let mut plugin = Plugin::connect(&akkd, "x", "p").await;
    let done = plugin.offer().await;
    plugin.ack(&done).await;
    let (id, nonce, _) = asks("perm2 rm two").await;
    let offer = plugin.offer().await;
    let notice = offer.body.permission.clone().unwrap();
    assert_eq!((notice.nonce.as_str(), notice.title.as_str()), (nonce.as_str(), "rm two"));
    assert_eq!(notice.decisions, Permit::ALL);
    assert!(offer.text.contains(&format!("{nonce} allow")), "{}", offer.text);
    answer(&id, Permit::Allow).await;
    assert_eq!(plugin.next().await, Some(DeliveryItem::Withdrawn { delivery_id: offer.delivery_id.clone() }));
    let done = plugin.offer().await;
    assert_eq!(done.body.kind, "done", "the session is free");
    plugin.ack(&done).await;

    // While OpenClaw is telling it: that goes on, and is not begun again.
    let (id, ..) = asks("perm rm three").await;
    let offer = plugin.offer().await;
    plugin.handed(&offer).await;
    answer(&id, Permit::Allow).await;
    akkd.wait_need(&id, Need::Done).await;
    assert_eq!(row(&akkd, &offer.delivery_id).await.state, DeliveryState::Handed);
    plugin.failed(&offer, FailureReason::Refused, "the model is down").await;
    assert_eq!(plugin.offer().await.body.kind, "done", "and not the permission once more");
}
