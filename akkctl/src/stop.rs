//! Stops akkd, and knows whether one has the home.

use crate::client::{Answer, Client};
use crate::error::{Error, Result};
use akk_proto::api::StopParams;
use akk_proto::paths::Paths;
use std::fs::{File, TryLockError};
use std::time::{Duration, Instant};

/// How long akkd may take to stop.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks at an akkd that stops.
const LOOK: Duration = Duration::from_millis(10);

/// The process id of the akkd that has this home, if one has; 0 where it could not be read. Connects to nobody, so that
/// nothing is started by the question.
pub(crate) fn holder(paths: &Paths) -> Option<u32> {
    let lock = File::open(paths.lock()).ok()?;
    match lock.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {
            let text = std::fs::read_to_string(paths.lock()).unwrap_or_default();
            Some(text.trim().parse().unwrap_or_default())
        }
        // Closing the file lets it go again at once.
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

/// Asks the akkd on the other end to stop, with its agents if `agents`, and waits until it has let go of its home. Gives
/// its answer; none where it was quicker than that.
///
/// # Errors
/// Its own error, or that it still runs.
pub(crate) fn stop(client: &mut Client, agents: bool, paths: &Paths) -> Result<Option<Answer>> {
    let answer = match client.call("daemon.stop", &StopParams { agents }, PATIENCE) {
        // It was quicker than its answer.
        Err(Error::Broken { .. }) => None,
        other => Some(other?),
    };
    // It closes its connections first, then it ends idle agents.
    if (answer.is_none() || client.wait_for_close(PATIENCE)) && has_ended(paths, PATIENCE) {
        return Ok(answer);
    }
    Err(still_runs("akkd was asked to stop and still runs"))
}

/// Has the akkd that somebody started by hand stop, so that a service can go on with its work.
///
/// # Errors
/// When it cannot be reached where it should listen, or does not stop.
pub(crate) fn hand_over(paths: &Paths) -> Result<()> {
    match Client::connect(&paths.control_socket) {
        Ok(mut client) => stop(&mut client, false, paths).map(drop),
        // It may have ended meanwhile.
        Err(_) if holder(paths).is_none() => Ok(()),
        Err(e) => {
            let pid = holder(paths).filter(|pid| *pid != 0).map(|pid| format!(" (process {pid})")).unwrap_or_default();
            Err(Error::Program {
                message: format!(
                    "akkd{pid} runs already, was not started by the service, and cannot be asked to stop: {e}"
                ),
                hint: "Stop it as it was started, or end that process with SIGTERM; its agents go on. Then try again."
                    .to_owned(),
            })
        }
    }
}

/// Waits until no akkd has the home.
///
/// # Errors
/// When one still has it after a minute.
pub(crate) fn await_end(paths: &Paths) -> Result<()> {
    if has_ended(paths, PATIENCE) { Ok(()) } else { Err(still_runs("akkd was told to stop and still runs")) }
}

fn still_runs(what: &str) -> Error {
    Error::Program {
        message: format!("{what} after {} s", PATIENCE.as_secs()),
        hint: "Look into `akkctl daemon logs`.".to_owned(),
    }
}

/// Waits until the akkd that stops has let go of its home, `patience` at most. Tells whether it did, or whether another
/// one has it already.
fn has_ended(paths: &Paths, patience: Duration) -> bool {
    // What cannot be looked at is not waited for.
    let Some(first) = holder(paths) else { return true };
    let begun = Instant::now();
    loop {
        match holder(paths) {
            Some(pid) if pid == first => {}
            _ => return true,
        }
        if begun.elapsed() >= patience {
            return false;
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_akkd_that_still_ends_its_agents_is_not_said_to_be_stopped() {
        let (_folder, at) = crate::client::tests::home();
        let paths = at.paths;
        assert!(has_ended(&paths, Duration::ZERO), "there never was one");
        std::fs::create_dir_all(&paths.state).unwrap();
        let stopping = File::create(paths.lock()).unwrap();
        stopping.lock().unwrap();
        std::fs::write(paths.lock(), "4711\n").unwrap();
        assert_eq!(holder(&paths), Some(4711));
        assert!(!has_ended(&paths, Duration::from_millis(50)));
        let ended = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| has_ended(&paths, PATIENCE));
            drop(stopping);
            waiting.join().unwrap()
        });
        assert!(ended);
    }
}
