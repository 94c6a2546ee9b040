//! Prints which Codex process runs which session, and how long looking took: `codex_look [HOME…]`.
#![expect(clippy::print_stdout, reason = "it is a program that prints")]

use akkd::sessions::codex::holders::look;
use akkd::sessions::codex::locks::lock_holder;
use std::path::PathBuf;
use std::time::Instant;

fn main() -> std::io::Result<()> {
    let homes: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let begun = Instant::now();
    let look = look(&homes)?;
    let took = begun.elapsed();
    for process in &look.processes {
        println!(
            "{} {} home={:?} may_work_in={:?} resumes={:?} conversation={:?}",
            process.identity.pid,
            process.kind.as_str(),
            process.home,
            process.may_work_in,
            process.resumes,
            process.conversation
        );
        for relative in &process.relatives {
            let words = relative.command.iter().take(2).map(|w| w.chars().take(80).collect::<String>());
            println!(
                "    relative {} {:?} {:?}",
                relative.identity.pid,
                relative.executable,
                words.collect::<Vec<_>>()
            );
        }
    }
    for home in &homes {
        for live in look.live_sessions(home) {
            println!("{} {} in {}", live.session_id, live.evidence.as_str(), home.display());
            for holder in look.holders_of(home, &live.session_id, None) {
                println!(
                    "    {} {} {} also {:?} {:?} at {:?}",
                    holder.identity.pid,
                    holder.kind.as_str(),
                    holder.evidence.as_str(),
                    holder.also_holds,
                    holder.view.command,
                    holder.started_at
                );
            }
            let begun = Instant::now();
            let holder = lock_holder(home, &live.session_id)?;
            println!("    lock: {holder:?} in {:?}", begun.elapsed());
            println!("    incomplete: {:?}", look.incomplete_for(home, &live.session_id));
        }
        for file in std::fs::read_dir(home.join("thread-writer-locks"))?.flatten() {
            let Some(id) = file.file_name().to_str().and_then(|n| n.strip_suffix(".lock")).map(str::to_owned) else {
                continue;
            };
            if let Ok(holder) = lock_holder(home, &id) {
                println!("lock file {id}: {holder:?} {:?}", look.incomplete_for(home, &id));
            }
        }
        println!("suspected in {}: {:?}", home.display(), look.suspected_directories(home));
    }
    println!("incomplete: {:?}\n{} Codex processes, {took:?}", look.incomplete, look.processes.len());
    Ok(())
}
