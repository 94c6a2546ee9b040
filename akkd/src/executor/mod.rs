//! Executors: the processes of coding agents, how they are started, spoken to, stopped, and found again.

pub mod model;
pub mod stream;

use crate::config::AgentSpec;
use akk_proto::conversation::PermissionPolicy;
use akk_proto::{ConversationId, TurnId};
use std::path::PathBuf;
use std::time::Duration;

/// A prompt to hand to the agent of a conversation, and everything that it takes.
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
    /// The agent's own id of the session, if there is one to go on with.
    pub native_session: Option<String>,
    /// The model, if one was asked for.
    pub model: Option<String>,
    /// Becomes `ALL_PROXY` and `all_proxy` of the agent.
    pub proxy: Option<String>,
    /// What happens to permission requests.
    pub permissions: PermissionPolicy,
    /// Silence after which the turn counts as stalled.
    pub agent_timeout: Duration,
    /// The whole prompt.
    pub prompt: String,
}
