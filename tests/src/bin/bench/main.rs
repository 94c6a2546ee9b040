//! What things cost: prints a table of what was measured here, beside the bars that the project sets itself.
//!
//! `cargo build --release --workspace --bins && target/release/bench` (under six minutes). `--quick` shows in seconds that
//! everything can be measured, and judges nothing; `--only NAME` measures a part; `--json` is for programs.
//!
//! How it is measured: akkd and akkctl run as processes, each part on a home of its own below `/tmp`, with the log level
//! that users have. The agent is the scripted one, which answers at once; what it costs by itself is measured beside
//! it. "Cold" means that no process of the agent runs yet; nothing else is warmed up or cooled down, and every first
//! call counts like the others. A figure is the best of three medians, since a machine is never quite at rest; what
//! happens only a few times has its number of times beside it. Memory counts akkd alone, never its agents.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a bench that cannot do its work stops with a panic")]

mod callbacks;
mod calls;
mod codex_home;
mod forks;
mod house;
mod idle;
mod machine;
mod many;
mod options;
mod process;
mod prompts;
mod sample;
mod scene;
mod sessions;
mod table;
mod turns;
mod wire;

use options::Options;
use scene::Scene;
use std::process::ExitCode;
use table::Table;

/// A part of the table: its name for `--only`, and what measures it.
type Part = (&'static str, fn(&mut Scene, &mut Table));

/// In the order of measuring: the home with many conversations only grows, and the gigabyte comes last, for the sake of
/// the disk.
const PARTS: [Part; 18] = [
    ("size", machine::sizes),
    ("start", calls::cold_start),
    ("prompts", prompts::prompts),
    ("acpx", prompts::beside_acpx),
    ("updates", prompts::updates),
    ("callbacks", callbacks::one),
    ("callbacks", callbacks::many),
    ("idle", idle::idle),
    ("memory", many::memory_of_few),
    ("memory", many::memory_of_a_thousand),
    ("calls", calls::round_trips),
    ("list", many::list_of_a_thousand),
    ("turns", turns::turns),
    ("history", many::history),
    ("memory", many::memory_of_ten_thousand),
    ("start", many::start_of_ten_thousand),
    ("sessions", sessions::sessions),
    ("fork", forks::fork),
];

fn main() -> ExitCode {
    let mut names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
    names.dedup();
    let options = match Options::parse(std::env::args().skip(1), &names) {
        Ok(options) => options,
        Err(why) => {
            println!("{why}");
            return ExitCode::from(2);
        }
    };
    let mut scene = Scene::new(options.quick);
    let mut table = Table::new(options.json, options.quick, machine::line());
    for (name, measure) in PARTS {
        if options.only.is_empty() || options.only.iter().any(|o| o == name) {
            measure(&mut scene, &mut table);
        }
    }
    table.end(&machine::load());
    ExitCode::SUCCESS
}
