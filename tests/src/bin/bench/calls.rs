//! The first answer on a fresh home, and what a call costs on an open connection.

use crate::house::close;
use crate::sample::{Sample, time};
use crate::scene::Scene;
use crate::table::{Bar, Table, Unit, ms, us};
use serde_json::{Value, json};
use std::time::Instant;

/// Each start has a home of its own, which akkd furnishes.
pub(crate) fn cold_start(scene: &mut Scene, table: &mut Table) {
    let mut n = 0;
    let mut fresh = |scene: &Scene, name: &str| {
        n += 1;
        scene.house(&format!("{name}{n}"))
    };
    let first = Sample::best(scene.often(5), || {
        let mut house = fresh(scene, "cold");
        let took = house.start();
        house.stop();
        took
    });
    let note = format!("the longest {:.0} ms", ms(first.longest()));
    let what = "start on an empty home, until the socket has answered";
    table.row(what, Bar::None, Unit::Milliseconds, ms(first.p50()), &note);
    let through = Sample::best(scene.often(5), || {
        let mut house = fresh(scene, "auto");
        let took = time(|| house.ctl(&["list"]));
        house.stop();
        took
    });
    let what = "the same by the first `akkctl list`, which starts akkd, whole process";
    table.row(what, Bar::None, Unit::Milliseconds, ms(through.p50()), "");
}

/// With 1,000 conversations.
pub(crate) fn round_trips(scene: &mut Scene, table: &mut Table) {
    let often = scene.often(2000);
    let house = scene.grown(1000);
    let mut wire = house.wire();
    let mut trips = |method: &str, params: Value| Sample::best_of(often, || drop(wire.call(method, &params)));
    let small = trips("daemon.info", json!({}));
    let note = format!("p99 {:.0} µs", us(small.p99()));
    let what = "round trip of a small call on an open connection (`daemon.info`), p50";
    table.row(what, Bar::AtMost(100.0), Unit::Microseconds, us(small.p50()), &note);
    let reading = trips("conversation.list", json!({"limit": 1}));
    let note = format!("p99 {:.0} µs", us(reading.p99()));
    let what = "the same, of a call that reads the store (`conversation.list`, one row)";
    table.row(what, Bar::None, Unit::Microseconds, us(reading.p50()), &note);
    drop(wire);
    let house = scene.grown_now();
    let mut wire = house.wire();
    let changing = Sample::best(scene.often(100), || {
        let begin = Instant::now();
        let id = house.delegate(&mut wire, "absent", "something to do");
        let took = begin.elapsed();
        close(&mut wire, &id);
        took
    });
    let note = format!("p99 {:.1} ms", ms(changing.p99()));
    let what = "the same, of one that is durable before it is answered (`conversation.delegate`)";
    table.row(what, Bar::None, Unit::Milliseconds, ms(changing.p50()), &note);
}
