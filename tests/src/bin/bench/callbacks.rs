//! Reports of agents.

use crate::house::close;
use crate::sample::{Sample, time};
use crate::scene::Scene;
use crate::table::{Bar, Table, Unit, ms};
use crate::wire::Wire;
use akk_tests::binaries::binaries;
use serde_json::json;
use std::time::Instant;

/// `akkctl callback` in the environment of an agent: the whole process.
pub(crate) fn one(scene: &mut Scene, table: &mut Table) {
    let mut house = scene.house("callback");
    house.start();
    let mut wire = house.wire();
    let (id, ticket) = house.hanging(&mut wire, "one");
    let socket = house.callback_socket();
    let mut n = 0;
    let run = |words: &[&str]| {
        let mut command = house.command(&binaries().akkctl);
        command.env("AKK_CONVERSATION", &id).env("AKK_TICKET", &ticket).env("AKK_CALLBACK_SOCKET", &socket);
        let status = command.args(words).status().expect("akkctl can be run");
        assert!(status.success(), "akkctl {words:?}: {status}");
    };
    let often = scene.often(50);
    let bare = Sample::best_of(often, || run(&["--version"]));
    let whole = Sample::best_of(often, || {
        n += 1;
        run(&["callback", &format!(r#"{{"type":"progress","body":"step {n}"}}"#)]);
    });
    let note =
        format!("p99 {:.1} ms; `akkctl --version`, which does nothing, {:.2} ms", ms(whole.p99()), ms(bare.p50()));
    let what = "callback: process start → durable → exit, p50";
    table.row(what, Bar::AtMost(10.0), Unit::Milliseconds, ms(whole.p50()), &note);
    close(&mut wire, &id);
}

/// Senders with a connection and a conversation each.
pub(crate) fn many(scene: &mut Scene, table: &mut Table) {
    let mut house = scene.house("callbacks");
    house.start();
    let mut wire = house.wire();
    let (senders, each) = (32, scene.often(200));
    let agents: Vec<(String, String)> = (0..senders).map(|n| house.hanging(&mut wire, &n.to_string())).collect();
    let socket = house.callback_socket();
    let mut rounds = 0;
    let round = || {
        rounds += 1;
        let round = rounds;
        time(|| {
            std::thread::scope(|scope| {
                for (id, ticket) in &agents {
                    let socket = &socket;
                    scope.spawn(move || {
                        let mut wire = Wire::connect(socket).expect("akkd listens");
                        for n in 0..each {
                            // Never the same words: a repeat is answered without a write.
                            let body = format!("step {n} of round {round}");
                            let message = json!({"type": "progress", "body": body}).to_string();
                            let params = json!({"conversation_id": id, "ticket": ticket, "message": message});
                            wire.call("callback.report", &params);
                        }
                    });
                }
            });
        })
    };
    let best = Sample::best(scene.often(1), round);
    let rate = (senders * each) as f64 / best.p50().as_secs_f64();
    let note = format!("best of three runs of {} from {senders} senders", senders * each);
    table.row("durable callbacks per second, 32 senders", Bar::AtLeast(2000.0), Unit::PerSecond, rate, &note);
    let begin = Instant::now();
    for (id, _) in &agents {
        close(&mut wire, id);
    }
    let closing = ms(begin.elapsed()) / f64::from(senders as u32);
    table.row("closing a conversation in mid-turn, its agent ended", Bar::None, Unit::Milliseconds, closing, "mean");
}
