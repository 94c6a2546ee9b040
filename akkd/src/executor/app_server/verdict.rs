//! How a turn ended, by what the daemon says of it. Pure.

use crate::executor::stream::refusal_in_text;
use crate::sessions::codex::app_server::TurnState;
use akk_core::{How, redact};

/// Longest reason, in characters.
const MAX_REASON_CHARS: usize = 400;

/// How a turn ended that is in this state; none while it runs. `model`: the one that was asked for.
pub(super) fn judge(state: &TurnState, model: Option<&str>) -> Option<How> {
    Some(match state {
        TurnState::Running => return None,
        TurnState::Completed => How::Normal { stop_reason: "end_turn".to_owned() },
        TurnState::Interrupted => How::Cancelled,
        TurnState::Failed { message, kind } => failed(message, kind.as_deref(), model),
        TurnState::Unknown(word) => How::Failed { reason: format!("the Codex daemon says that the turn is {word}") },
    })
}

/// A failed turn had reached the session: whatever the reason, nothing of it is said again but for another model.
fn failed(message: &str, kind: Option<&str>, model: Option<&str>) -> How {
    let said = redact::preview(message, MAX_REASON_CHARS);
    if let Some(refusal) = refusal_in_text(message) {
        let attempted = refusal.attempted.or_else(|| model.map(str::to_owned));
        return How::ModelRefused { attempted, available: refusal.available, reason: refusal.reason };
    }
    if kind == Some("modelNotFound") {
        let reason = if said.is_empty() { "the model was not found".to_owned() } else { said };
        return How::ModelRefused { attempted: model.map(str::to_owned), available: Vec::new(), reason };
    }
    let reason = if said.is_empty() { "the turn failed".to_owned() } else { format!("the turn failed: {said}") };
    How::Failed { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(message: &str, kind: Option<&str>) -> How {
        let state = TurnState::Failed { message: message.to_owned(), kind: kind.map(str::to_owned) };
        judge(&state, Some("gpt-x")).unwrap()
    }

    #[test]
    fn every_end_has_its_name() {
        assert_eq!(judge(&TurnState::Running, None), None);
        assert_eq!(judge(&TurnState::Completed, None), Some(How::Normal { stop_reason: "end_turn".into() }));
        assert_eq!(judge(&TurnState::Interrupted, None), Some(How::Cancelled));
        assert_eq!(of("stream cut", Some("other")), How::Failed { reason: "the turn failed: stream cut".into() });
        assert_eq!(of("", None), How::Failed { reason: "the turn failed".into() });
        let reason = "the Codex daemon says that the turn is paused".to_owned();
        assert_eq!(judge(&TurnState::Unknown("paused".into()), None), Some(How::Failed { reason }));
    }

    #[test]
    fn a_refused_model_is_told_apart() {
        // The body of HTTP 400 as 0.169.0 hands it through.
        let body = "{\"detail\":\"The 'gpt-5' model is not supported when using Codex with a ChatGPT account.\"}";
        let How::ModelRefused { attempted, reason, .. } = of(body, Some("other")) else { panic!() };
        assert_eq!(attempted.as_deref(), Some("gpt-5"));
        assert!(reason.contains("not supported"), "{reason}");
        let How::ModelRefused { attempted, .. } = of("no such model", Some("modelNotFound")) else { panic!() };
        assert_eq!(attempted.as_deref(), Some("gpt-x"));
    }
}
