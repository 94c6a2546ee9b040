//! The owner's configuration: `config.toml`, all optional, read anew at each delegate.
//!
//! ```toml
//! default_agent = "codex"        # agent kind or alias
//! recovery_policy = "auto"       # or "explicit"
//! delete_after_days = 90         # terminal conversations; never by default
//! path = "/usr/local/bin:/usr/bin:/bin"   # PATH of agents
//!
//! [limits]                       # rounds that need an answer
//! soft = 50
//! hard = 100
//!
//! [timeouts]
//! agent_minutes = 60
//! idle_minutes = 10080
//! cancel_grace_seconds = 10
//! permission_minutes = 30        # a request that nobody answers is refused then; never by default
//! stop_on_timeout = false
//!
//! [agents.codex]                 # changes a built-in agent, or makes a new one
//! transport = "acpx"             # or "acp"
//! model = "gpt-5.5"
//!
//! [agents.mine]
//! command = ["my-agent", "--acp"]
//! aliases = ["m"]
//! env = { MY_AGENT_MODE = "fast" }
//! env_allow = ["MY_AGENT_*"]
//!
//! [codex]                        # resumes native sessions of Codex
//! command = ["codex"]
//!
//! [[codex_homes]]                # besides CODEX_HOME or ~/.codex; read when akkd starts
//! path = "/srv/codex"
//!
//! [delivery]
//! command = ["notify-send", "akk"]
//! timeout_seconds = 60
//!
//! [log]
//! level = "info"
//! retention_days = 14
//! ```
//!
//! Over acpx an agent is reached in two ways: as the built-in kinds `codex-acpx`, `claude-acpx`, `cursor-acpx` and
//! `gemini-acpx`, which stand beside the direct ones, or by `transport = "acpx"` in the agent's own table.

mod agents;
#[cfg(test)]
mod docs_tests;
mod environment;
mod error;
mod file;
pub mod source;
pub mod spelling;
#[cfg(test)]
mod tests;

pub use environment::agent_environment;
pub(crate) use environment::has_password;
pub use error::ConfigError;
pub use source::ConfigSource;

use akk_proto::conversation::{PermissionPolicy, RecoveryPolicy, Transport};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
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
    /// Minutes that a permission request waits for a person before it is refused; without limit by default.
    pub permission_minutes: Option<u32>,
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
    /// What is written to the diagnostic log: `error`, `warn`, `info`, `debug` or `trace`; `info` when none.
    pub log_level: Option<String>,
    /// Days that diagnostic logs are kept; 14 when none.
    pub log_retention_days: Option<u32>,
    /// Codex homes whose sessions are discovered: `CODEX_HOME` or `~/.codex`, then those that the file adds.
    pub codex_homes: Vec<PathBuf>,
    /// Argv of the Codex command line that resumes native sessions; `["codex"]`.
    pub codex_command: Vec<String>,
    /// What was left out of account, in sentences: to log once at start and to show in `doctor`.
    pub warnings: Vec<String>,
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
    /// What happens to permission requests; `ask` over ACP, else `all`.
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

/// What the configuration depends on besides its file.
#[derive(Clone)]
pub struct Surroundings {
    /// The akkctl binary, which is the built-in demo agent too.
    pub akkctl: PathBuf,
    /// akkd's environment.
    pub env: BTreeMap<String, String>,
}

impl Surroundings {
    /// Those of this process: the `akkctl` beside the running binary, and the environment. Variables that are not
    /// UTF-8 are left out.
    pub fn of_this_process() -> Self {
        let akkctl = std::env::current_exe().unwrap_or_default().with_file_name("akkctl");
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { akkctl, env: std::env::vars_os().filter_map(text).collect() }
    }
}

impl std::fmt::Debug for Surroundings {
    /// Hides the environment's values.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("akkctl", &self.akkctl).field("env", &self.env.keys()).finish()
    }
}

impl Config {
    /// Reads the file at `path`; a file that does not exist means the defaults.
    ///
    /// # Errors
    /// When the file cannot be read, belongs to somebody else, can be written by others, is not TOML, has a key that
    /// akkd does not know, or a value that cannot be: with the place and a hint.
    pub fn load(path: &Path, around: &Surroundings) -> Result<Self, ConfigError> {
        let text = file::read(path)?;
        Self::parse(path, &text, around)
    }

    /// The configuration that `text`, the content of the file at `path`, asks for.
    ///
    /// # Errors
    /// When the text is not a configuration.
    pub fn parse(path: &Path, text: &str, around: &Surroundings) -> Result<Self, ConfigError> {
        let source = error::Source { path, text };
        let file = file::parse(&source)?;
        let mut warnings = environment::warnings(&around.env);
        let agents = agents::table(&source, file.agents, around, file.path.as_deref())?;
        let default_agent = match file.default_agent {
            None => "codex".to_owned(),
            Some(name) => {
                let Some(spec) = agents::find(&agents, name.get_ref()) else {
                    let known = agents::names(&agents);
                    let hint = spelling::suggest(name.get_ref(), known.iter().map(String::as_str));
                    return Err(source.wrong(name.span(), format!("there is no agent `{}`", name.get_ref()), hint));
                };
                spec.kind.clone()
            }
        };
        if file.sink_command.is_none() && file.sink_timeout.is_some() {
            warnings.push("[delivery] timeout_seconds is set, but no command: nothing is delivered".to_owned());
        }
        if file.openclaw {
            warnings.push(
                "[openclaw] counts for nothing: OpenClaw's plugin finds akkd by itself, and akkd needs no token of it"
                    .to_owned(),
            );
        }
        Ok(Self {
            path: path.to_owned(),
            default_agent,
            soft_limit: file.soft_limit,
            hard_limit: file.hard_limit,
            agent_timeout_minutes: file.agent_timeout_minutes,
            idle_timeout_minutes: file.idle_timeout_minutes,
            cancel_grace: file.cancel_grace,
            stop_on_timeout: file.stop_on_timeout,
            permission_minutes: file.permission_minutes,
            recovery_policy: file.recovery_policy,
            delete_after_days: file.delete_after_days,
            agent_path: file.path,
            agents,
            sink_command: file.sink_command,
            sink_timeout: file.sink_timeout.unwrap_or(Duration::from_mins(1)),
            log_level: file.log_level,
            log_retention_days: file.log_retention_days,
            codex_command: file.codex_command.unwrap_or_else(|| vec!["codex".to_owned()]),
            codex_homes: codex_homes(&file.codex_homes, &around.env),
            warnings,
        })
    }
}

/// The home that Codex itself would use, and the added ones, each once.
fn codex_homes(added: &[PathBuf], env: &BTreeMap<String, String>) -> Vec<PathBuf> {
    let set = env.get("CODEX_HOME").filter(|h| !h.is_empty()).map(PathBuf::from);
    let own = set.or_else(|| env.get("HOME").map(|home| Path::new(home).join(".codex")));
    let mut homes: Vec<PathBuf> = Vec::new();
    for home in own.into_iter().chain(added.iter().map(|p| file::expand_home(p, env))) {
        if !homes.contains(&home) {
            homes.push(home);
        }
    }
    homes
}
