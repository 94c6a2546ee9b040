//! What a fork can be told of a very long session.

use crate::codex_home::{CodexHome, id};
use crate::process;
use crate::sample::Sample;
use crate::scene::Scene;
use crate::table::{Bar, Table, Unit, mb, ms};
use serde_json::json;
use std::time::Instant;

/// Over the socket, each time by a fresh akkd. The gigabyte lies in the page cache, as that of a session that is live.
pub(crate) fn fork(scene: &mut Scene, table: &mut Table) {
    let codex = CodexHome::new(&scene.folder("huge-codex"), 0);
    let path = codex.huge_rollout(1, scene.size(1 << 30) as u64);
    let mut house = scene.house("fork").with("CODEX_HOME", codex.path());
    let (mut times, mut peaks) = (Vec::new(), Vec::new());
    for _ in 0..scene.often(5) {
        house.start();
        let mut wire = house.wire();
        let peak = process::peak_of(house.pid(), || {
            let begin = Instant::now();
            let answer = wire.call("sessions.takeover", &json!({"session_id": id(1), "strategy": "fork"}));
            times.push(begin.elapsed());
            let messages = answer["context"]["messages"].as_array().map_or(0, Vec::len);
            assert!(messages > 1, "there is a context: {answer}");
        });
        peaks.extend(peak);
        house.stop();
    }
    std::fs::remove_file(path).expect("what was made can be removed");
    let times = Sample::new(times);
    let note = format!("the longest {:.0} ms", ms(times.longest()));
    let what = "fork context of a rollout of 1 GB, p50";
    table.row(what, Bar::AtMost(500.0), Unit::Milliseconds, ms(times.p50()), &note);
    let what = "the same: the most memory of akkd meanwhile, on top";
    match peaks.iter().map(|(peak, before)| (peak.saturating_sub(*before), *before)).max() {
        None => table.not_measured(what, "the system does not tell the peak of a process"),
        Some((most, before)) => {
            let note = format!("{:.1} MB before", mb(before));
            table.row(what, Bar::AtMost(30.0), Unit::Megabytes, mb(most), &note);
        }
    }
}
