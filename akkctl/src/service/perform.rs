//! Doing what was decided.

use super::ask::order;
use super::plan::Step;
use super::platform::Platform;
use crate::environment::Surroundings;
use crate::error::{Error, Result};
use crate::stop;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long launchd may need to let go of a service.
const LET_GO: Duration = Duration::from_secs(20);
/// Between two attempts; launchd tells nobody when it has let go.
const BREATH: Duration = Duration::from_millis(200);

/// Does `steps` in their order, up to the first that fails.
///
/// # Errors
/// Why that one failed.
pub(super) fn all(steps: &[Step], platform: Platform, surroundings: &Surroundings) -> Result<()> {
    steps.iter().try_for_each(|step| one(step, platform, surroundings))
}

fn one(step: &Step, platform: Platform, surroundings: &Surroundings) -> Result<()> {
    match step {
        Step::Write(file, text) => write(file, text),
        Step::Remove(file) => match std::fs::remove_file(file) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", file, e)),
            _ => Ok(()),
        },
        Step::Order(words) => order(platform, words, surroundings),
        Step::Try(words) => {
            // What it would have undone may not have been there.
            let _ = order(platform, words, surroundings);
            Ok(())
        }
        Step::Insist(words) => {
            let begun = Instant::now();
            loop {
                match order(platform, words, surroundings) {
                    Err(_) if begun.elapsed() < LET_GO => std::thread::sleep(BREATH),
                    other => return other,
                }
            }
        }
        Step::HandOver => stop::hand_over(&surroundings.paths),
        Step::AwaitEnd => stop::await_end(&surroundings.paths),
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    let folder = file.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder).map_err(|e| Error::file("make", folder, e))?;
    let mut fresh = file.as_os_str().to_owned();
    // An ending that no manager reads.
    fresh.push(".new");
    let fresh = Path::new(&fresh);
    std::fs::write(fresh, text)
        .and_then(|()| std::fs::rename(fresh, file))
        .map_err(|e| Error::file("write", file, e))
        .inspect_err(|_| {
            let _ = std::fs::remove_file(fresh);
        })
}
