//! The gateway is down for a while.

use akk_proto::delivery::DeliveryState;
use akk_tests::openclaw::wait_for;

restless!(what_came_while_the_gateway_was_down_arrives_once_and_in_order, oc, {
    let rooms: Vec<_> = (0..5).map(|_| oc.gateway.chat.private()).collect();
    let mut ids = Vec::new();
    for (n, room) in rooms.iter().enumerate() {
        ids.push(oc.begin(room, &format!("house {n}")).await);
    }
    oc.gateway.stop().await;
    let words = |n: usize, storey: usize| format!("house {n} has storey {storey}");
    for storey in 0..10 {
        for (n, id) in ids.iter().enumerate() {
            oc.finishes(id, &words(n, storey)).await;
        }
    }
    assert_eq!(oc.rows(false).await.len(), 50);
    let waits = oc.row(&words(0, 0)).await.unwrap();
    assert_eq!((waits.state, waits.attempts), (DeliveryState::Pending, 0));
    let why = waits.waits_for.unwrap();
    let deliveries = oc.akkd.ctl(&["deliveries"]).await.ok().stdout;
    let list = oc.akkd.ctl(&["list"]).await.ok().stdout;
    eprintln!("{why}\n{deliveries}\n{list}");
    assert!(deliveries.contains("pending") && why.contains("OpenClaw"), "{why}\n{deliveries}");

    oc.gateway.start().await;
    wait_for("all to be told", async || oc.rows(false).await.is_empty().then_some(())).await;
    for (n, room) in rooms.iter().enumerate() {
        let expected: Vec<_> = (0..10).map(|storey| format!("Noted: done: {}", words(n, storey))).collect();
        wait_for("each in its place", async || (room.said_after("has begun") == expected).then_some(())).await;
        for storey in 0..10 {
            assert_eq!(oc.gateway.mind.reports(&words(n, storey)).len(), 1);
        }
    }
});
