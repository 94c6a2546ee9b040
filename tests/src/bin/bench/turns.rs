//! What running turns cost: memory of akkd, and processes.

use crate::house::{House, await_that, close};
use crate::process::Memory;
use crate::scene::Scene;
use crate::table::{Bar, Table, Unit, kb, mb};
use akk_tests::processes;

/// On the home with 1,000 conversations.
pub(crate) fn turns(scene: &mut Scene, table: &mut Table) {
    let all = scene.size(100);
    let house = scene.grown(1000);
    let mut wire = house.wire();
    let mut ids = Vec::new();
    let mut known: Vec<(usize, Option<Memory>)> = vec![(0, house.memory_at_rest())];
    for count in [1, 10, 100] {
        let count: usize = count.min(all);
        while ids.len() < count {
            ids.push(house.delegate(&mut wire, "demo", &format!("hang\nsay {}", ids.len())));
        }
        await_that("the agents to work", || house.agents().all("deaf").len() == count);
        known.push((count, house.memory_at_rest()));
    }
    let what = "memory of akkd per running turn, on top";
    let (Some(idle), Some(full)) = (known[0].1, known[known.len() - 1].1) else {
        return table.not_measured(what, "the system does not tell the memory of a process");
    };
    for (count, memory) in &known[1..known.len() - 1] {
        let Some(memory) = memory else { continue };
        let note = format!("{:.1} MB with 1,000 conversations and no turn", mb(idle.rss));
        table.row(
            &format!("memory of akkd with {count} running turns, RSS"),
            Bar::None,
            Unit::Megabytes,
            mb(memory.rss),
            &note,
        );
    }
    let note = full.pss.map_or_else(String::new, |pss| format!("PSS {:.1} MB", mb(pss)));
    table.row(
        &format!("memory of akkd with {all} running turns, RSS"),
        Bar::None,
        Unit::Megabytes,
        mb(full.rss),
        &note,
    );
    let each = full.rss.saturating_sub(idle.rss) as f64 / all as f64;
    table.row(&format!("{what}: of {all} turns at once, each"), Bar::AtMost(200.0), Unit::Kilobytes, kb(each), "RSS");

    let what = "processes that akkd adds per running turn besides the agent itself";
    let added = added_processes(house) as f64 / all as f64;
    table.row(what, Bar::AtMost(0.0), Unit::Each, added, &format!("counted with {all} running turns"));

    for id in &ids {
        close(&mut wire, id);
    }
    await_that("the end of the agents", || processes::of(house.root()).len() <= 1);
    if let Some(after) = house.memory_at_rest() {
        table.row("memory of akkd after they have ended, RSS", Bar::None, Unit::Megabytes, mb(after.rss), "");
    }
}

/// What runs in this home that is neither akkd nor an agent: agents write down their own process ids.
fn added_processes(house: &House) -> usize {
    let agents: Vec<u32> = house.agents().all("start").iter().map(|l| l.pid).collect();
    let ours = |pid: u32| pid == house.pid() || agents.contains(&pid);
    processes::of(house.root()).iter().filter(|p| !ours(p.pid)).inspect(|p| eprintln!("not an agent: {p:?}")).count()
}

/// Memory of akkd at rest, as a row for RSS with PSS beside it.
pub(crate) fn memory_row(house: &House, what: &str, bar: Bar, table: &mut Table) {
    // As it is after somebody has looked, not as nobody has used it yet.
    house.ctl(&["list"]);
    match house.memory_at_rest() {
        None => table.not_measured(what, "the system does not tell the memory of a process"),
        Some(Memory { rss, pss }) => {
            let note = pss.map_or_else(String::new, |pss| format!("PSS {:.1} MB", mb(pss)));
            table.row(&format!("{what}, RSS"), bar, Unit::Megabytes, mb(rss), &note);
        }
    }
}
