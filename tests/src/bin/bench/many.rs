//! Many conversations, and one that is long.

use crate::house::wait;
use crate::sample::{Sample, time};
use crate::scene::Scene;
use crate::table::{Bar, Table, Unit, ms};
use crate::turns::memory_row;
use serde_json::json;

pub(crate) fn memory_of_few(scene: &mut Scene, table: &mut Table) {
    memory_row(scene.grown(10), "memory of akkd: idle with 10 conversations", Bar::None, table);
}

pub(crate) fn memory_of_a_thousand(scene: &mut Scene, table: &mut Table) {
    memory_row(scene.grown(1000), "memory of akkd: idle with 1,000 conversations", Bar::AtMost(20.0), table);
}

pub(crate) fn memory_of_ten_thousand(scene: &mut Scene, table: &mut Table) {
    memory_row(scene.grown(10_000), "memory of akkd: idle with 10,000 conversations", Bar::None, table);
}

pub(crate) fn list_of_a_thousand(scene: &mut Scene, table: &mut Table) {
    let often = scene.often(40);
    let house = scene.grown(1000);
    let bare = Sample::best_of(often, || house.ctl(&["--version"]));
    let lists = Sample::best_of(often, || house.ctl(&["list"]));
    let note = format!("a page of 100; `akkctl --version` {:.2} ms", ms(bare.p50()));
    let what = "`akkctl list`, whole process, 1,000 conversations, p50";
    table.row(what, Bar::AtMost(5.0), Unit::Milliseconds, ms(lists.p50()), &note);
    let lists = Sample::best_of(often.div_ceil(4), || house.ctl(&["list", "--limit", "1000", "--json"]));
    table.row("the same, all 1,000 as JSON", Bar::None, Unit::Milliseconds, ms(lists.p50()), "");
}

/// A conversation of a home of its own.
pub(crate) fn history(scene: &mut Scene, table: &mut Table) {
    let mut house = scene.house("history");
    house.start();
    let mut wire = house.wire();
    // In several turns: akkd keeps a limited number of events of each.
    let turn = "tool ls\n".repeat(scene.size(5000)) + "say done";
    let id = house.delegate(&mut wire, "demo", &turn);
    let events = loop {
        wait(&mut wire, &id);
        let last = wire.call("conversation.get", &json!({"conversation_id": id}));
        let events = last["events"].as_array().and_then(|e| e.last()).map_or(0, |e| e["seq"].as_u64().unwrap_or(0));
        if events >= scene.size(20_000) as u64 {
            break events;
        }
        wire.call("conversation.send", &json!({"conversation_id": id, "message": turn}));
    };
    let call =
        Sample::best_of(scene.often(50), || drop(wire.call("conversation.get", &json!({"conversation_id": id}))));
    let whole = Sample::best_of(scene.often(20), || house.ctl(&["status", &id]));
    let what = format!("`akkctl status` of a history of {events} events, whole process, p50");
    let note = format!("the call alone {:.2} ms", ms(call.p50()));
    table.row(&what, Bar::AtMost(10.0), Unit::Milliseconds, ms(whole.p50()), &note);
}

pub(crate) fn start_of_ten_thousand(scene: &mut Scene, table: &mut Table) {
    let often = scene.often(5);
    let house = scene.grown(10_000);
    let starts = Sample::best(often, || {
        house.stop();
        house.start()
    });
    let note = format!("the longest {:.0} ms", ms(starts.longest()));
    let what = "start with 10,000 conversations, until the socket has answered, p50";
    table.row(what, Bar::AtMost(300.0), Unit::Milliseconds, ms(starts.p50()), &note);
    let lists = Sample::best(often, || time(|| house.ctl(&["list"])));
    let what = "`akkctl list`, whole process, 10,000 conversations";
    table.row(what, Bar::None, Unit::Milliseconds, ms(lists.p50()), "a page of 100");
}
