//! The `command` sink: an argv from the configuration gets the delivery as JSON on stdin; exit 0 acknowledges.

use akk_core::redact;
use akk_proto::delivery::DeliveryBody;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// Bytes of stderr that are kept for the error.
const MAX_STDERR: u64 = 4096;

/// Runs `argv` with `body` as one line of JSON on stdin.
///
/// # Errors
/// A sentence, redacted: it cannot be started, it took longer than `timeout` and was ended, or it exited with an
/// error (with the end of what it wrote to stderr).
pub(super) async fn deliver(argv: &[String], body: &DeliveryBody, timeout: Duration) -> Result<(), String> {
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
    let talk = async {
        let write = async {
            if let Some(mut stdin) = stdin {
                // A command that does not read its input may still succeed.
                let _ = stdin.write_all(&json).await;
            }
        };
        let read = async {
            let mut text = Vec::new();
            if let Some(stderr) = stderr {
                let mut head = stderr.take(MAX_STDERR);
                let _ = head.read_to_end(&mut text).await;
                // What is beyond the bound is thrown away, so that the command does not block on it.
                let _ = tokio::io::copy(&mut head.into_inner(), &mut tokio::io::sink()).await;
            }
            text
        };
        let (status, (), text) = tokio::join!(child.wait(), write, read);
        (status, text)
    };
    match tokio::time::timeout(timeout, talk).await {
        Err(_elapsed) => Err(format!("the delivery command {program} took longer than {} s", timeout.as_secs())),
        Ok((Err(e), _)) => Err(format!("the delivery command {program} could not be waited for: {e}")),
        Ok((Ok(status), _)) if status.success() => Ok(()),
        Ok((Ok(status), text)) => {
            let said = redact::preview(&String::from_utf8_lossy(&text), 200);
            let said = if said.is_empty() { said } else { format!(": {said}") };
            Err(format!("the delivery command {program} ended with {status}{said}"))
        }
    }
}
