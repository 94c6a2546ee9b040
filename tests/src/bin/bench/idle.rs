//! What akkd does while nothing is to be done.

use crate::codex_home::CodexHome;
use crate::house::{House, wait};
use crate::process;
use crate::scene::Scene;
use crate::table::{Bar, Table, Unit};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// With everything watched that can be: native sessions, events, and the folder of an agent that waits for its next
/// prompt.
pub(crate) fn idle(scene: &mut Scene, table: &mut Table) {
    // Threads that waited for work end after ten idle seconds: that is the end of the work before, not idleness.
    let (settle, seconds) = if scene.often(15) < 15 { (1, 1) } else { (12, 15) };
    let codex = CodexHome::new(&scene.folder("idle-codex"), scene.size(100));
    let mut house = scene.house("idle").with("CODEX_HOME", codex.path());
    house.start();
    let mut sessions = house.wire();
    sessions.call("sessions.watch", &json!({}));
    sessions.item();
    let mut events = house.wire();
    events.call("events.subscribe", &json!({}));
    let mut measure = |what: &str, house: &House| {
        std::thread::sleep(Duration::from_secs(settle));
        let woken = wake_ups(house, Duration::from_secs(seconds));
        let Some(woken) = woken else {
            return table.not_measured(what, "the system does not tell wake-ups");
        };
        let all: u64 = woken.values().sum();
        let by: Vec<String> =
            woken.iter().filter(|(_, n)| **n > 0).map(|(thread, n)| format!("{thread} {n}")).collect();
        let by = if by.is_empty() { String::new() } else { format!(": {}", by.join(", ")) };
        let note = format!("{all} in {seconds} s over all threads{by}");
        table.row(what, Bar::AtMost(0.0), Unit::PerSecond, all as f64 / seconds as f64, &note);
    };
    measure("idle: wake-ups of akkd, native sessions and events watched, no agent", &house);
    let mut wire = house.wire();
    let id = house.delegate(&mut wire, "demo", "say hello");
    wait(&mut wire, &id);
    measure("the same, an agent waits for its next prompt", &house);
}

/// How often threads were woken meanwhile, by their names.
fn wake_ups(house: &House, meanwhile: Duration) -> Option<BTreeMap<String, u64>> {
    let before = process::wake_ups(house.pid())?;
    std::thread::sleep(meanwhile);
    let mut woken = BTreeMap::new();
    for (id, name, count) in process::wake_ups(house.pid())? {
        let until = before.iter().find(|(b, ..)| *b == id).map_or(0, |(.., count)| *count);
        *woken.entry(name).or_default() += count - until;
    }
    Some(woken)
}
