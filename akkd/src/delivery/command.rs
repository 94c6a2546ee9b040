//! The `command` sink: an argv from the configuration gets the delivery as JSON on stdin; exit 0 acknowledges.

use super::sink::{Outcome, Sink};
use crate::clock::Clock;
use crate::config::ConfigSource;
use crate::store::{DueDelivery, Lease, Leased};
use akk_core::redact;
use akk_proto::delivery::{DeliveryBody, FailureReason, SinkKind};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// Bytes of stderr that are kept for the error.
const MAX_STDERR: u64 = 4096;

/// How long the rest of stderr of a command that failed is waited for.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A lease outlives the longest attempt by this much; after a crash the row is due again then.
const LEASE_SLACK: Duration = Duration::from_secs(30);

/// The sink.
pub(super) struct CommandSink {
    pub(super) config: Arc<ConfigSource>,
    pub(super) clock: Clock,
}

/// What is run, as it is configured now.
pub(super) struct Place {
    argv: Option<Vec<String>>,
    timeout: Duration,
}

impl Sink for CommandSink {
    type Place = Place;

    fn kind(&self) -> SinkKind {
        SinkKind::Command
    }

    async fn ready(&self, _row: &DueDelivery) -> Option<Place> {
        let config = self.config.current();
        Some(Place { argv: config.sink_command.clone(), timeout: config.sink_timeout })
    }

    fn lease(&self, place: &Place) -> Lease {
        Lease::Until(self.clock.wall().plus_millis((place.timeout + LEASE_SLACK).as_millis() as i64))
    }

    async fn deliver(&self, place: Place, leased: Leased) -> Outcome {
        let result = match &place.argv {
            Some(argv) => deliver(argv, &leased.body, place.timeout).await,
            None => Err("the configuration has no [delivery] command any more".to_owned()),
        };
        match result {
            Ok(()) => Outcome::Told,
            Err(error) => Outcome::Failed { reason: FailureReason::Refused, error },
        }
    }
}

/// Runs `argv` with `body` as one line of JSON on stdin.
///
/// # Errors
/// A sentence, redacted: it cannot be started, it took longer than `timeout` and was ended, or it exited with an
/// error (with the end of what it wrote to stderr).
async fn deliver(argv: &[String], body: &DeliveryBody, timeout: Duration) -> Result<(), String> {
    let [program, args @ ..] = argv else {
        return Err("the delivery command is empty".to_owned());
    };
    let mut json = serde_json::to_vec(body).map_err(|e| format!("the delivery cannot become JSON: {e}"))?;
    json.push(b'\n');
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .env_remove("NOTIFY_SOCKET")
        .env_remove("LISTEN_FDS")
        .env_remove("LISTEN_PID")
        .env_remove("WATCHDOG_USEC")
        .spawn()
        .map_err(|e| format!("the delivery command {program} cannot be started: {e}"))?;
    let stdin = child.stdin.take();
    let stderr = child.stderr.take();
    let group = child.id();
    let mut text = Vec::new();
    let status = {
        let write = async {
            if let Some(mut stdin) = stdin {
                // A command that does not read its input may still succeed.
                let _ = stdin.write_all(&json).await;
            }
        };
        let read = async {
            if let Some(stderr) = stderr {
                let mut head = stderr.take(MAX_STDERR);
                let _ = head.read_to_end(&mut text).await;
                // What is beyond the bound is thrown away, so that the command does not block on it.
                let _ = tokio::io::copy(&mut head.into_inner(), &mut tokio::io::sink()).await;
            }
        };
        let talk = async { tokio::join!(write, read) };
        tokio::pin!(talk);
        let exit = async {
            tokio::select! {
                status = child.wait() => {
                    // What it left running may hold its stderr for ever: the exit says whether the delivery arrived.
                    if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
                        let _ = tokio::time::timeout(LAST_WORDS, &mut talk).await;
                    }
                    status
                }
                _ = &mut talk => child.wait().await,
            }
        };
        tokio::time::timeout(timeout, exit).await
    };
    match status {
        Err(_elapsed) => {
            // Its pid cannot be another's: it was not waited for yet.
            if let Some(group) = group.and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?)) {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            Err(format!("the delivery command {program} took longer than {} s and was ended", timeout.as_secs()))
        }
        Ok(Err(e)) => Err(format!("the delivery command {program} could not be waited for: {e}")),
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => {
            let said = redact::preview(&String::from_utf8_lossy(&text), 200);
            let said = if said.is_empty() { said } else { format!(": {said}") };
            Err(format!("the delivery command {program} ended with {status}{said}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use akk_proto::{ConversationId, DeliveryId, MessageId, Timestamp};

    fn body() -> DeliveryBody {
        let conversation_id = ConversationId::new(Timestamp(0), 1);
        let message_id = MessageId::message(uuid::Uuid::nil());
        DeliveryBody {
            key: DeliveryId::of(&conversation_id, &message_id),
            conversation_id,
            message_id,
            kind: "done".into(),
            needs_answer: false,
            agent: "codex".into(),
            orchestrator: None,
            recipient: None,
            title: "t".into(),
            round: 1,
            asked_at: None,
            ts: Timestamp(0),
            text: "All is done.".into(),
            permission: None,
        }
    }

    async fn run(script: &str, timeout: Duration) -> Result<(), String> {
        deliver(&["sh".into(), "-c".into(), script.into()], &body(), timeout).await
    }

    #[tokio::test]
    async fn the_exit_alone_acknowledges_whatever_the_command_leaves_running() {
        let at_most = Duration::from_secs(20);
        assert_eq!(run("cat > /dev/null; sleep 60 & exit 0", at_most).await, Ok(()));
        let error = run("echo no such channel >&2; sleep 60 & exit 3", at_most).await.unwrap_err();
        assert!(error.contains("no such channel") && error.contains('3'), "{error}");
        assert_eq!(run("exit 0", at_most).await, Ok(()), "its input needs not be read");
    }

    #[tokio::test]
    async fn a_command_that_takes_too_long_is_ended_with_what_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let script = format!("sleep 60 & echo $! > '{0}.new'; mv '{0}.new' '{0}'; wait", file.display());
        let running = tokio::spawn(async move { run(&script, Duration::from_secs(3)).await });
        let error = running.await.unwrap().unwrap_err();
        assert!(error.contains("longer than 3 s"), "{error}");
        let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        // Ended, and taken away by init in its own time.
        while rustix::process::test_kill_process(pid).is_ok() {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
            if stat.contains(") Z ") {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}
