//! What executors are told to do.

use crate::config::AgentSpec;
use akk_core::conversation::PendingPermission;
use akk_proto::conversation::PermissionPolicy;
use akk_proto::session::{NativeAttachment, Strategy};
use akk_proto::{ConversationId, LaunchId, TurnId};
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// A turn to carry out, and everything that it takes but the prompt: that one is asked for right before it is
/// written, see [`PromptSource`](super::PromptSource).
#[derive(Debug, Clone)]
pub struct TurnOrder {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The turn.
    pub turn_id: TurnId,
    /// The agent, as configured when the turn starts.
    pub agent: AgentSpec,
    /// Absolute, canonical; the agent's working directory.
    pub workspace: PathBuf,
    /// akkd's name for the agent session.
    pub session: String,
    /// The agent's own id of the session, if there is one to go on with. None: a fresh session in a fresh process,
    /// also where an older process of the conversation still runs (its ticket may be revoked).
    pub native_session: Option<String>,
    /// Transport `codex`: how the conversation came by the session that `native_session` names; none once that was
    /// given up for a fresh one.
    pub attachment: Option<NativeAttachment>,
    /// Transport `codex`: the attached session that was given up, where the one to begin replaces it.
    pub replaces: Option<NativeAttachment>,
    /// The model, if one was asked for.
    pub model: Option<String>,
    /// Becomes `ALL_PROXY` and `all_proxy` of the agent.
    pub proxy: Option<String>,
    /// What happens to permission requests.
    pub permissions: PermissionPolicy,
    /// Silence after which the turn counts as stalled.
    pub agent_timeout: Duration,
}

impl TurnOrder {
    /// Whether the session lives in a daemon of the user and is joined there.
    pub(super) fn is_attached_live(&self) -> bool {
        let session = self.native_session.as_deref();
        self.attachment.as_ref().is_some_and(|a| a.strategy == Strategy::Attach && session == Some(&a.session_id))
    }
}

/// A turn that was open when akkd went down.
#[derive(Debug, Clone)]
pub struct RecoveredTurn {
    /// The turn as it would be ordered now.
    pub order: TurnOrder,
    /// Whether cancel or close was asked for meanwhile.
    pub cancelling: bool,
    /// Permission requests that its agent has no answer to, as far as that is known.
    pub permissions: Vec<PendingPermission>,
}

/// What an agent is to be told about a permission request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionAnswer {
    /// The start that the request came from: any other process counts its requests anew.
    pub launch_id: LaunchId,
    /// The agent's id of the request.
    pub request: Value,
    /// The agent's name of the chosen option; none where nobody chose.
    pub option: Option<String>,
}
