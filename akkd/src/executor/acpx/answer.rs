//! What acpx' short commands answer: one JSON line on stdout, also when they fail.

use crate::executor::stream::RpcError;
use serde::Deserialize;
use serde_json::Value;

/// The session that `sessions ensure` made or found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Ensured {
    /// Whether it is new.
    pub(super) created: bool,
    /// The agent's own id of it.
    #[serde(rename = "acpxSessionId")]
    pub(super) native_session_id: String,
}

/// Reads the answer of `sessions ensure`.
///
/// # Errors
/// What acpx says instead.
pub(super) fn ensured(stdout: &[u8]) -> Result<Ensured, RpcError> {
    let answer = object(stdout)?;
    Ensured::deserialize(&answer).map_err(|_| unknown(&answer))
}

/// Reads the answer of `cancel`: whether there was something to cancel.
///
/// # Errors
/// What acpx says instead.
pub(super) fn cancelled(stdout: &[u8]) -> Result<bool, RpcError> {
    let answer = object(stdout)?;
    answer.get("cancelled").and_then(Value::as_bool).ok_or_else(|| unknown(&answer))
}

/// Reads the answer of `status`: whether the session's queue owner lives.
///
/// # Errors
/// What acpx says instead.
pub(super) fn owner_lives(stdout: &[u8]) -> Result<bool, RpcError> {
    let answer = object(stdout)?;
    let status = answer.get("status").and_then(Value::as_str).ok_or_else(|| unknown(&answer))?;
    Ok(status == "alive")
}

/// Reads the answer of a command whose success is all that counts.
///
/// # Errors
/// What acpx says instead.
pub(super) fn done(stdout: &[u8]) -> Result<(), RpcError> {
    object(stdout).map(|_| ())
}

/// acpx' detail of an error, else its code: `AUTH_REQUIRED`, `NO_SESSION`, …
pub(super) fn acpx_code(error: &RpcError) -> Option<&str> {
    let data = error.data.as_ref()?;
    data.get("detailCode").or_else(|| data.get("acpxCode"))?.as_str()
}

/// The last line that is a JSON object; an error when it is a JSON-RPC error.
fn object(stdout: &[u8]) -> Result<Value, RpcError> {
    let objects = stdout.split(|b| *b == b'\n').rev().filter_map(|l| serde_json::from_slice::<Value>(l).ok());
    let Some(answer) = objects.into_iter().find(Value::is_object) else {
        return Err(RpcError { code: 0, message: "acpx gave no answer".to_owned(), data: None });
    };
    match answer.get("error") {
        None => Ok(answer),
        Some(error) => Err(RpcError {
            code: error.get("code").and_then(Value::as_i64).unwrap_or(0),
            message: error.get("message").and_then(Value::as_str).unwrap_or("an error without a message").to_owned(),
            data: error.get("data").cloned(),
        }),
    }
}

fn unknown(answer: &Value) -> RpcError {
    RpcError { code: 0, message: format!("acpx answered something unknown: {answer}"), data: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_made_or_found() {
        let made = ensured(include_bytes!("../../../tests/fixtures/acpx/ensure-created.json")).unwrap();
        let found = ensured(include_bytes!("../../../tests/fixtures/acpx/ensure-existing.json")).unwrap();
        assert!(made.created && !found.created);
        assert_eq!(made.native_session_id, found.native_session_id);
    }

    #[test]
    fn what_went_wrong_is_told_by_acpx_own_word() {
        for (sample, code) in [
            (&include_bytes!("../../../tests/fixtures/acpx/ensure-auth.json")[..], "AUTH_REQUIRED"),
            (include_bytes!("../../../tests/fixtures/acpx/ensure-crash.json"), "AGENT_STARTUP_FAILED"),
            (include_bytes!("../../../tests/fixtures/acpx/ensure-gone.json"), "AGENT_SPAWN_ENOENT"),
            (include_bytes!("../../../tests/fixtures/acpx/ensure-model.json"), "RUNTIME"),
            (include_bytes!("../../../tests/fixtures/acpx/no-session.jsonl"), "NO_SESSION"),
        ] {
            let error = ensured(sample).unwrap_err();
            assert_eq!(acpx_code(&error), Some(code), "{error}");
            assert!(done(sample).is_err());
        }
        assert_eq!(ensured(b"").unwrap_err().message, "acpx gave no answer");
        assert!(ensured(b"junk\n{\"action\":\"other\"}\n").unwrap_err().message.contains("other"));
    }

    #[test]
    fn a_queue_owner_lives_or_not() {
        for (status, lives) in [("alive", true), ("dead", false), ("idle", false), ("no-session", false)] {
            let said = format!("{{\"action\":\"status_snapshot\",\"status\":\"{status}\",\"summary\":\"x\"}}\n");
            assert_eq!(owner_lives(said.as_bytes()), Ok(lives), "{status}");
        }
    }

    #[test]
    fn cancel_and_close_say_what_they_found() {
        assert_eq!(cancelled(include_bytes!("../../../tests/fixtures/acpx/cancel.json")), Ok(true));
        assert_eq!(cancelled(include_bytes!("../../../tests/fixtures/acpx/cancel-nothing.json")), Ok(false));
        assert_eq!(done(include_bytes!("../../../tests/fixtures/acpx/close.json")), Ok(()));
        let absent = done(include_bytes!("../../../tests/fixtures/acpx/close-absent.json")).unwrap_err();
        assert!(absent.message.starts_with("No named session"), "{absent}");
    }
}
