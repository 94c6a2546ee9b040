//! What becomes of reports when the session that asked is busy, or is another one by now.

use akk_proto::api::{ControlClient as _, DeliveryParams};
use akk_proto::delivery::{DeliveryState, ParkReason};
use akk_tests::openclaw::{Reply, wait_for};
use akk_tests::processes;

calm!(a_busy_session_is_told_when_it_is_free, oc, {
    let (room, mind) = (oc.gateway.chat.group(), &oc.gateway.mind);
    let id = oc.begin(&room, "the pond").await;
    mind.on("Tell me a long story", |_| Reply::say("The end.").after("the long story"));
    room.write("Tell me a long story.");
    mind.prompted("Tell me a long story").await;
    oc.finishes(&id, "the pond is full").await;
    oc.finishes(&id, "the pond has fish").await;
    mind.let_go("the long story");
    oc.told(&room, "the pond has fish").await;
    oc.becomes("the pond is full", DeliveryState::Acknowledged).await;
    let said = ["The end.", "Noted: done: the pond is full", "Noted: done: the pond has fish"];
    wait_for("each in its place", async || (room.said_after("has begun") == said).then_some(())).await;
    for words in ["the pond is full", "the pond has fish"] {
        assert_eq!(mind.reports(words).len(), 1, "{words}");
    }
});

calm!(a_report_for_a_session_that_was_reset_waits_for_a_person, oc, {
    let (room, mind) = (oc.gateway.chat.group(), &oc.gateway.mind);
    let old = oc.begin(&room, "the cellar").await;
    let work = "tool pump\nsleep 600";
    oc.akkd.send(&old, work).await;
    let agent = oc.akkd.prompted(work).await.pid;
    room.asks("/new").await;
    processes::end(agent);
    let parked = wait_for("the report to be parked", async || {
        let rows = oc.rows(false).await;
        rows.into_iter().find(|r| r.conversation_id == old && r.state == DeliveryState::Parked)
    })
    .await;
    assert_eq!((parked.kind.as_str(), parked.reason), ("stalled", Some(ParkReason::RecipientGone)));
    let list = oc.akkd.ctl(&["deliveries"]).await.ok().stdout;
    assert!(list.contains("parked"), "{list}");
    assert_eq!(oc.akkd.get(&old).await.undelivered, 1);

    // What comes behind it goes on, in the session of today.
    let new = oc.begin(&room, "the attic").await;
    oc.finishes(&new, "the attic is clean").await;
    oc.told(&room, "the attic is clean").await;
    assert_eq!(room.count("Noted: stalled"), 0);

    oc.akkd.rpc().delivery_retry(DeliveryParams { delivery_id: parked.delivery_id, attempt: None }).await.unwrap();
    room.says("Noted: stalled").await;
    wait_for("nothing to wait any more", async || (oc.akkd.get(&old).await.undelivered == 0).then_some(())).await;
    let told = mind.asked().into_iter().filter(|a| a.step == 0);
    let told =
        told.filter(|a| a.report.as_ref().is_some_and(|r| r.kind == "stalled" && r.conversation == *old.as_str()));
    let told: Vec<_> = told.collect();
    assert_eq!((told.len(), room.count("Noted: stalled")), (1, 1));
    assert!(told[0].said_by("user").iter().any(|said| said.contains("the attic is clean")), "it is today's session");
});
