//! The owner's configuration: `config.toml`, all optional, read anew at each delegate.

use akk_proto::conversation::{PermissionPolicy, RecoveryPolicy, Transport};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that the owner can set, with defaults filled in.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it came from, whether it exists or not.
    pub path: PathBuf,
    /// Agent kind when a request names none.
    pub default_agent: String,
    /// Rounds; 50.
    pub soft_limit: u32,
    /// Rounds; 100.
    pub hard_limit: u32,
    /// Silence after which a turn counts as stalled; 60.
    pub agent_timeout_minutes: u32,
    /// Idleness after which a conversation is closed; 10080.
    pub idle_timeout_minutes: u32,
    /// Time between the steps of a cancel; 10 s.
    pub cancel_grace: Duration,
    /// Whether a turn that went silent is ended; by default its process is left alone.
    pub stop_on_timeout: bool,
    /// What happens when an agent session is lost.
    pub recovery_policy: RecoveryPolicy,
    /// Days after which terminal conversations are deleted; never by default.
    pub delete_after_days: Option<u32>,
    /// `PATH` of agents; by default akkd's own when it first started.
    pub agent_path: Option<String>,
    /// By agent kind.
    pub agents: BTreeMap<String, AgentSpec>,
    /// Argv of the `command` sink; none means no deliveries.
    pub sink_command: Option<Vec<String>>,
    /// Time after which a `command` sink that has not ended is ended and tried again; 60 s.
    pub sink_timeout: Duration,
}

/// How an agent is started and spoken to.
#[derive(Clone, PartialEq, Eq)]
pub struct AgentSpec {
    /// What a user types.
    pub kind: String,
    /// Who speaks in messages.
    pub actor: String,
    /// Other names that a user may type.
    pub aliases: Vec<String>,
    /// How it is spoken to.
    pub transport: Transport,
    /// For `acp`: the agent's argv. For `acpx`: acpx's own argv (by default `["acpx"]`).
    pub command: Vec<String>,
    /// For `acpx`: the agent's name in acpx's registry.
    pub acpx_agent: Option<String>,
    /// Names of environment variables (or prefixes ending in `*`) that pass through besides the built-in list.
    pub env_allow: Vec<String>,
    /// Variables that are set.
    pub env: BTreeMap<String, String>,
    /// Becomes `ALL_PROXY` and `all_proxy`; may hold a password.
    pub proxy: Option<String>,
    /// The model when a request names none.
    pub model: Option<String>,
    /// What happens to permission requests; `all`.
    pub permissions: PermissionPolicy,
    /// How long an agent process without a turn is kept; 10 minutes.
    pub warm: Duration,
}

impl std::fmt::Debug for AgentSpec {
    /// Hides values that may be secret: environment and proxy.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentSpec")
            .field("kind", &self.kind)
            .field("transport", &self.transport)
            .field("command", &self.command)
            .field("env", &self.env.keys())
            .finish_non_exhaustive()
    }
}
