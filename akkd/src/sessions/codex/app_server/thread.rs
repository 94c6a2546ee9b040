//! Threads and turns, as the daemon tells them. Fields that are not needed are left out; what is new is passed over.

use serde::Deserialize;
use serde_json::Value;

/// A thread.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Thread {
    /// Its id: the session's.
    pub id: String,
    status: ThreadStatus,
    /// Its model, as it would be used now.
    #[serde(default)]
    pub model: Option<String>,
    /// Its reasoning effort, as it would be used now.
    #[serde(default)]
    pub reasoning_effort: Option<String>,
    /// Where it works.
    #[serde(default)]
    pub cwd: Option<String>,
    /// Whether it leaves no record.
    #[serde(default)]
    pub ephemeral: bool,
    /// Whether a message can be sent to it; an older daemon does not say.
    #[serde(default)]
    pub can_accept_direct_input: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct ThreadStatus {
    #[serde(rename = "type")]
    kind: String,
}

/// The status of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadState {
    /// It does not live in this daemon.
    NotLoaded,
    /// It lives, and no turn runs.
    Idle,
    /// A turn runs, or the daemon says something new: then that is assumed.
    Active,
}

impl Thread {
    /// Whether it lives in the daemon, and whether a turn runs.
    pub fn state(&self) -> ThreadState {
        match self.status.kind.as_str() {
            "notLoaded" => ThreadState::NotLoaded,
            // `systemError`: its last turn failed; the next one works.
            "idle" | "systemError" => ThreadState::Idle,
            _ => ThreadState::Active,
        }
    }
}

/// A turn of a thread.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Turn {
    /// Its id.
    pub id: String,
    status: String,
    #[serde(default)]
    error: Value,
    #[serde(default)]
    items: Vec<Value>,
}

/// Where a turn stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnState {
    /// It runs. In a thread that is not loaded: it ran when its daemon ended.
    Running,
    /// It came to its end.
    Completed,
    /// Somebody stopped it.
    Interrupted,
    /// It failed.
    Failed {
        /// What was said.
        message: String,
        /// `modelNotFound`, `unauthorized` and the like, where it is a plain word.
        kind: Option<String>,
    },
    /// Something new.
    Unknown(String),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TurnPage {
    pub(super) data: Vec<Turn>,
    #[serde(default)]
    pub(super) next_cursor: Option<String>,
}

impl Turn {
    /// Where it stands.
    pub fn state(&self) -> TurnState {
        match self.status.as_str() {
            "inProgress" => TurnState::Running,
            "completed" => TurnState::Completed,
            "interrupted" => TurnState::Interrupted,
            "failed" => {
                let word = |key: &str| self.error.get(key).and_then(Value::as_str).map(str::to_owned);
                TurnState::Failed { message: word("message").unwrap_or_default(), kind: word("codexErrorInfo") }
            }
            other => TurnState::Unknown(other.chars().take(80).collect()),
        }
    }

    /// Whether it *began* with the user's message that its sender had given this id (`clientUserMessageId`). A turn
    /// to which it was only added is another's.
    pub fn began_with(&self, client_id: &str) -> bool {
        let first = self.items.iter().find(|item| kind(item) == "userMessage");
        first.and_then(|item| item.get("clientId")).and_then(Value::as_str) == Some(client_id)
    }

    /// The last thing that the agent said in it, as far as its items were told.
    pub fn last_words(&self) -> Option<&str> {
        let said = self.items.iter().rev().filter(|item| kind(item) == "agentMessage");
        said.filter_map(|item| item.get("text").and_then(Value::as_str)).find(|text| !text.trim().is_empty())
    }
}

fn kind(item: &Value) -> &str {
    item.get("type").and_then(Value::as_str).unwrap_or_default()
}
