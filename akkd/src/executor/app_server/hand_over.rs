//! Handing a prompt over so that it becomes a turn of its own or none.
//!
//! Observed on codex 0.169.0: `thread/queue/add` on an idle thread is begun at once; while a turn runs it waits; after
//! a turn that was stopped it waits too, until somebody starts it. `thread/queue/start` starts it, or refuses because
//! a turn runs, or because it was begun already. `thread/queue/delete` then tells these two apart for good: what was
//! deleted never runs.

use super::link::{BUSY, CALL, Link};
use crate::sessions::codex::app_server::CallError;
use serde::Deserialize;
use serde_json::json;

/// What became of a prompt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HandedOver {
    /// It became this turn.
    Runs(String),
    /// It became a turn whose id is not told here.
    Began,
    /// It did not arrive and never will: why.
    Not(String),
    /// That cannot be known: why.
    Unknown(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Added {
    queued_submission: Submission,
}

#[derive(Deserialize)]
struct Submission {
    id: String,
}

#[derive(Deserialize)]
struct Started {
    turn: Submission,
}

#[derive(Deserialize)]
struct Deleted {
    deleted: bool,
}

impl Link {
    /// Hands the prompt over. From the first call on it may have arrived, unless the answer says otherwise.
    pub(super) async fn hand_over(&mut self, client_id: &str, text: &str) -> HandedOver {
        let params = json!({
            "threadId": self.thread, "clientUserMessageId": client_id, "input": [{ "type": "text", "text": text }],
        });
        let submission = match self.server.read::<Added>("thread/queue/add", params, CALL).await {
            Ok(added) => added.queued_submission.id,
            Err(CallError::Refused(error)) => {
                return HandedOver::Not(format!("the Codex daemon refused the prompt: {error}"));
            }
            Err(error) => return HandedOver::Unknown(error.to_string()),
        };
        let params = json!({ "threadId": self.thread, "queuedSubmissionId": submission });
        match self.server.read::<Started>("thread/queue/start", params, CALL).await {
            Ok(started) => return HandedOver::Runs(started.turn.id),
            Err(CallError::Refused(error)) => tracing::debug!(%error, "the queue did not start what was added"),
            Err(error) => return HandedOver::Unknown(error.to_string()),
        }
        match self.take_back(&submission).await {
            Ok(true) => HandedOver::Not(BUSY.to_owned()),
            Ok(false) => HandedOver::Began,
            Err(error) => HandedOver::Unknown(error.to_string()),
        }
    }

    /// Takes a prompt out of the queue. True: it never runs. False: it was begun.
    pub(super) async fn take_back(&mut self, submission: &str) -> Result<bool, CallError> {
        let params = json!({ "threadId": self.thread, "queuedSubmissionId": submission });
        self.server.read::<Deleted>("thread/queue/delete", params, CALL).await.map(|d| d.deleted)
    }
}
