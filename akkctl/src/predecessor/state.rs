//! `state.json`. What akkd has no use for is not looked at, secrets of the gateway least of all.

use akk_proto::conversation::Status;
use akk_proto::import::{ImportEntry, ImportParams};
use akk_proto::{ConversationId, Timestamp};
use serde::Deserialize;
use serde_json::Value;

/// A conversation as the predecessor stored it.
#[derive(Debug, Deserialize)]
pub(super) struct State {
    /// Its id.
    pub(super) conversation_id: String,
    user_request: String,
    #[serde(default)]
    openclaw_session: Option<String>,
    /// Before 0.1.0 every conversation was with Claude, under this session's name.
    #[serde(default)]
    claude_session: Option<String>,
    #[serde(default)]
    executor: Option<Executor>,
    workspace: String,
    status: Status,
    #[serde(default)]
    response_rounds_used: u32,
    soft_limit: u32,
    hard_limit: u32,
    /// When it began.
    pub(super) created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(default)]
    closed_at: Option<Timestamp>,
    #[serde(default)]
    close_reason: Option<String>,
    #[serde(default)]
    stalled_reason: Option<String>,
    #[serde(default)]
    executor_model: Option<String>,
    // What follows is told to people only: of another form than expected it counts as not there.
    #[serde(default)]
    recovery: Value,
    #[serde(default)]
    model_selection: Value,
    #[serde(default)]
    native_session_takeover: Value,
}

#[derive(Debug, Deserialize)]
struct Executor {
    kind: String,
    #[serde(default)]
    actor: Option<String>,
    #[serde(default)]
    session: Option<String>,
}

/// Reads it.
pub(super) fn read(bytes: &[u8]) -> serde_json::Result<State> {
    serde_json::from_slice(bytes)
}

impl State {
    /// Who speaks for the agent in its messages.
    pub(super) fn actor(&self) -> &str {
        match &self.executor {
            None => "claude-code",
            Some(Executor { actor: Some(actor), .. }) => actor,
            Some(Executor { kind, .. }) if kind == "claude" => "claude-code",
            Some(Executor { kind, .. }) => kind,
        }
    }

    /// The message with which it waits for a choice, where it does.
    pub(super) fn pending_message(&self) -> Option<&Value> {
        self.recovery.get("pending_message").filter(|m| m.is_object())
    }

    /// Rounds at which it fails.
    pub(super) fn hard_limit(&self) -> u32 {
        self.hard_limit
    }

    /// In the words of the protocol.
    pub(super) fn into_params(self, id: ConversationId, history: Vec<ImportEntry>) -> ImportParams {
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let reason = match self.status {
            Status::Closed | Status::Cancelled => self.close_reason,
            Status::NeedsRecovery => text(&self.recovery, "detail").or_else(|| text(&self.recovery, "reason")),
            Status::NeedsModelSelection => text(&self.model_selection, "message").or(self.stalled_reason),
            _ => self.stalled_reason,
        };
        let available = self.model_selection.get("available_models").and_then(Value::as_array);
        let names = |list: &Vec<Value>| list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let (agent, session) = match self.executor {
            Some(executor) => (executor.kind, executor.session),
            None => ("claude".to_owned(), self.claude_session),
        };
        ImportParams {
            conversation_id: id,
            user_request: self.user_request,
            agent,
            workspace: self.workspace,
            session,
            native_session: text(&self.native_session_takeover, "native_session_id"),
            model: self.executor_model.filter(|m| !m.trim().is_empty()),
            orchestrator: self.openclaw_session.filter(|s| !s.trim().is_empty()),
            status: self.status,
            reason,
            attempted_model: text(&self.model_selection, "attempted_model"),
            available_models: available.map(names).unwrap_or_default(),
            rounds_used: self.response_rounds_used,
            soft_limit: self.soft_limit,
            // It took both as they came; here the hard one is never the lower.
            hard_limit: self.hard_limit.max(self.soft_limit),
            created_at: self.created_at,
            updated_at: self.updated_at,
            closed_at: self.closed_at,
            history,
        }
    }
}
