//! Permission requests of agents: recorded, shown, answered by a person.

use crate::{LaunchId, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What an agent asks for, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PermissionRequest {
    /// The start that its process comes from: an answer is for that one only.
    pub launch_id: LaunchId,
    /// The agent's own id of the request, given back with the answer; 1,000 bytes of JSON at most.
    pub id: serde_json::Value,
    /// What for, redacted, 200 characters at most.
    pub title: String,
    /// The protocol's kind of tool, such as `execute`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Everything that the agent says of it, redacted; 32,000 characters at most.
    pub text: String,
    /// Whether there was more of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// The answers that it offers, in its order; 32 at most.
    pub options: Vec<PermissionOption>,
}

/// An answer that an agent offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PermissionOption {
    /// The agent's name for it; 1,000 bytes at most.
    pub id: String,
    /// The protocol's kind: `allow_once`, `allow_always`, `reject_once`, `reject_always`.
    pub kind: String,
    /// What the agent would show, 200 characters at most. It says nothing for certain: the kind does.
    pub name: String,
}

/// A request that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PermissionRequested {
    /// Names the request; good for one answer. Eight hexadecimal digits.
    pub nonce: String,
    /// When it is refused for want of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// What is asked for.
    pub request: PermissionRequest,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PermissionSettled {
    /// Which.
    pub nonce: String,
    /// What the agent is told.
    pub decision: PermissionDecision,
    /// Why.
    pub by: SettledBy,
    /// The kind of the chosen option; none where the answer is that nothing was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub option: Option<String>,
}

/// The answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PermissionDecision {
    /// This once.
    Allowed,
    /// This and what the agent takes for the same, from now on.
    AllowedAlways,
    /// No.
    Refused,
    /// Nobody decided, and nobody will.
    Cancelled,
}

impl PermissionDecision {
    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::AllowedAlways => "allowed_always",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What settled a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SettledBy {
    /// Somebody answered it.
    Person,
    /// Nobody did in the time that the configuration leaves.
    Limit,
    /// Its turn was to be stopped.
    Cancel,
    /// Its turn ended all the same.
    TurnEnd,
    /// The agent took it back.
    Agent,
    /// The process that asked is gone.
    AgentGone,
}

/// What a person says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Permit {
    /// Yes, this once.
    Allow,
    /// Yes, and for what the agent takes for the same from now on.
    AllowAlways,
    /// No.
    Deny,
}

impl Permit {
    /// Every answer.
    pub const ALL: [Self; 3] = [Self::Allow, Self::AllowAlways, Self::Deny];

    /// Its wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::AllowAlways => "allow_always",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An answer that can be given to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PermissionChoice {
    /// What to say.
    pub answer: Permit,
    /// What the agent would show for it, 200 characters at most; empty where it has no such option. Its words, not
    /// akkd's.
    pub name: String,
}

/// A request that waits for an answer, as clients see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PermissionView {
    /// Names it in `conversation.permit`.
    pub nonce: String,
    /// What for, 200 characters at most.
    pub title: String,
    /// The protocol's kind of tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What the agent says of it, 4,000 characters at most; the history has more.
    pub text: String,
    /// Whether there was more of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// The answers that can be given to it.
    pub answers: Vec<PermissionChoice>,
    /// Since when it waits.
    pub asked_at: Timestamp,
    /// When it is refused for want of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
}
