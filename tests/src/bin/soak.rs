//! Kills akkd, or its agents, a thousand times in mid-turn, and prints what was lost, doubled or left behind.
//!
//! `cargo build --workspace --bins && ./target/debug/soak [akkd|agents] [KILLS] [SEED]` (about ten minutes on an
//! idle machine). Exits with 1 when anything was.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a tool of ours: it prints, and stops with a panic")]

use akk_tests::soak::{Victim, soak};
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let victim = match words.first().map(String::as_str) {
        None | Some("akkd") => Victim::Akkd,
        Some("agents") => Victim::Agents,
        Some(other) => panic!("akkd or agents, not {other}"),
    };
    let number = |at: usize, default: u64| words.get(at).map_or(default, |w| w.parse().expect("a number"));
    let (kills, seed) = (number(1, 1000), number(2, 1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let figures = runtime.block_on(soak(victim, kills as usize, seed));
    println!("{figures}");
    if figures.are_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
