//! What an answer, or the lack of one, says about a turn. Pure.

use crate::executor::stream::{Refusal, RpcError, StreamReader, refusal_in_error};
use akk_core::{How, redact};
use serde_json::Value;

/// The protocol's code for "log in first".
const AUTH_REQUIRED: i64 = -32000;
/// Longest reason, in characters.
const MAX_REASON_CHARS: usize = 400;

/// How a turn ended whose prompt was answered.
pub(in crate::executor) fn of_answer(
    outcome: &Result<Value, RpcError>,
    stream: &StreamReader,
    cancelling: bool,
) -> How {
    match outcome {
        Ok(result) => {
            let reason = result.get("stopReason").and_then(Value::as_str).unwrap_or("end_turn");
            if reason == "cancelled" {
                return How::Cancelled;
            }
            // An agent may end a turn as if nothing was wrong although the model was refused.
            if let Some(refusal) = stream.model_refusal() {
                return refused(refusal);
            }
            if stream.broken() {
                let text = stream.final_text().map(|(text, _)| text).unwrap_or_default();
                return How::Failed { reason: sentence("the agent marked its session as broken", &text) };
            }
            How::Normal { stop_reason: redact::cut(reason, 80) }
        }
        // Agents that do not know how to stop answer a cancel with an error.
        Err(_) if cancelling => How::Cancelled,
        Err(error) => {
            if let Some(refusal) = stream.model_refusal().or_else(|| refusal_in_error(error, None)) {
                return refused(refusal);
            }
            let said = said(error);
            match (stream.activity_seen(), not_let_in(error)) {
                // Whatever the reason: it worked on the prompt, so the turn did not fail to begin.
                (true, _) => How::Failed { reason: sentence("the agent answered with an error", &said) },
                (false, true) => How::CannotStart { reason: sentence("the agent does not let us in", &said) },
                (false, false) => How::SessionLost { reason: sentence("the agent refused the prompt", &said) },
            }
        }
    }
}

/// How a turn ended whose session could not be made, or could not be reached again.
pub(in crate::executor) fn of_session_error(error: &RpcError, existing: bool) -> How {
    if let Some(refusal) = refusal_in_error(error, None) {
        return refused(refusal);
    }
    let said = said(error);
    if not_let_in(error) {
        How::CannotStart { reason: sentence("the agent does not let us in", &said) }
    } else if existing {
        How::SessionLost { reason: sentence("the agent session cannot be reached", &said) }
    } else {
        How::CannotStart { reason: sentence("the agent could not make a session", &said) }
    }
}

/// How a turn ended whose model could not be set.
pub(in crate::executor) fn of_setting_error(error: &RpcError, model: &str) -> How {
    match refusal_in_error(error, Some(model)) {
        Some(refusal) => refused(refusal),
        None => How::CannotStart { reason: sentence("the agent could not set the model", &said(error)) },
    }
}

/// The agent refused the model.
pub(in crate::executor) fn refused(refusal: Refusal) -> How {
    How::ModelRefused { attempted: refusal.attempted, available: refusal.available, reason: refusal.reason }
}

/// A sentence with what was said behind it: one line, redacted, cut.
pub(in crate::executor) fn sentence(what: &str, said: &str) -> String {
    let said = redact::preview(said, MAX_REASON_CHARS);
    if said.is_empty() { what.to_owned() } else { format!("{what}: {said}") }
}

/// An authentication error or a rate limit: nothing that a fresh session would mend.
pub(in crate::executor) fn not_let_in(error: &RpcError) -> bool {
    if error.code == AUTH_REQUIRED {
        return true;
    }
    let text = said(error).to_ascii_lowercase();
    [
        "authentication required",
        "auth_required",
        "authrequired",
        "not logged in",
        "please log in",
        "please login",
        "/login",
        "unauthorized",
        "invalid api key",
        "rate limit",
        "rate_limit",
        "ratelimit",
        "too many requests",
        "usage limit",
        "quota",
        "overloaded",
    ]
    .iter()
    .any(|mark| text.contains(mark))
}

/// Message and details of an error.
fn said(error: &RpcError) -> String {
    let details = error.data.as_ref().map(|data| match data {
        Value::String(text) => text.clone(),
        Value::Object(map) => ["details", "message", "error"]
            .into_iter()
            .find_map(|key| map.get(key)?.as_str().map(str::to_owned))
            .unwrap_or_else(|| data.to_string()),
        other => other.to_string(),
    });
    match details {
        Some(details) if !details.is_empty() && details != "null" => format!("{} ({details})", error.message),
        _ => error.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::stream::Source;
    use serde_json::json;

    fn error(code: i64, message: &str) -> RpcError {
        RpcError { code, message: message.into(), data: None }
    }

    fn silent() -> StreamReader {
        StreamReader::new(Source::Agent)
    }

    fn active() -> StreamReader {
        let mut stream = silent();
        stream.feed(br#"{"method":"session/update","params":{"sessionId":"s","update":{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"hello"}}}}"#);
        stream
    }

    #[test]
    fn an_answer_says_how_the_turn_ended() {
        let stop = |reason: &str| Ok(json!({ "stopReason": reason }));
        assert_eq!(of_answer(&stop("end_turn"), &active(), false), How::Normal { stop_reason: "end_turn".into() });
        assert_eq!(of_answer(&stop("refusal"), &active(), true), How::Normal { stop_reason: "refusal".into() });
        assert_eq!(of_answer(&stop("cancelled"), &active(), false), How::Cancelled);
        assert_eq!(of_answer(&Ok(Value::Null), &silent(), false), How::Normal { stop_reason: "end_turn".into() });
    }

    #[test]
    fn an_error_is_read_by_what_was_seen_before_it() {
        let how = |e: RpcError, s: StreamReader, c| of_answer(&Err(e), &s, c);
        assert!(matches!(how(error(-32603, "boom"), silent(), false), How::SessionLost { .. }));
        assert!(matches!(how(error(-32603, "boom"), active(), false), How::Failed { .. }));
        assert!(matches!(how(error(-32603, "boom"), active(), true), How::Cancelled));
        assert!(matches!(how(error(-32000, "Authentication required"), silent(), false), How::CannotStart { .. }));
        assert!(matches!(how(error(-32603, "429 Too Many Requests"), silent(), false), How::CannotStart { .. }));
        let no = "The 'gpt-9' model is not supported when using Codex with a ChatGPT account.";
        assert!(
            matches!(how(error(-32603, no), silent(), false), How::ModelRefused { attempted: Some(m), .. } if m == "gpt-9")
        );
    }

    #[test]
    fn a_session_that_cannot_be_reached_is_lost_and_one_that_cannot_be_made_is_no_start() {
        assert!(matches!(of_session_error(&error(-32002, "Resource not found"), true), How::SessionLost { .. }));
        assert!(matches!(of_session_error(&error(-32603, "boom"), false), How::CannotStart { .. }));
        assert!(matches!(of_session_error(&error(-32000, "log in"), true), How::CannotStart { .. }));
        assert!(matches!(of_setting_error(&error(-32602, "unknown model"), "m"), How::ModelRefused { .. }));
        assert!(matches!(of_setting_error(&error(-32603, "boom"), "m"), How::CannotStart { .. }));
    }

    #[test]
    fn a_reason_is_one_redacted_line() {
        let How::SessionLost { reason } = of_session_error(
            &RpcError { code: 1, message: "no\nsuch".into(), data: Some(json!({"details": "--token abcdef123"})) },
            true,
        ) else {
            panic!()
        };
        assert!(
            reason.starts_with("the agent session cannot be reached: no such (") && !reason.contains("abcdef123"),
            "{reason}"
        );
    }
}
