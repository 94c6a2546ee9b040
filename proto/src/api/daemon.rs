//! What akkd says of itself, and how it is stopped.

use crate::Timestamp;
use crate::delivery::PluginView;
use serde::{Deserialize, Serialize};

/// What akkd says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DaemonInfo {
    /// Version of the package.
    pub version: String,
    /// Version of this protocol.
    pub protocol: u32,
    /// The oldest version of it that is understood; `protocol` where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_protocol: Option<u32>,
    /// Its process id.
    pub pid: u32,
    /// Since when it runs.
    pub started_at: Timestamp,
    /// Milliseconds it runs.
    pub uptime_ms: u64,
    /// The directory with its database, logs and launches.
    pub home: String,
    /// The control socket.
    pub socket: String,
    /// The configuration file, whether it exists or not.
    pub config: String,
    /// Conversations that are not terminal.
    pub open_conversations: u64,
    /// Conversations in all.
    pub conversations: u64,
    /// Turns that are open.
    pub open_turns: u64,
    /// Agent processes that akkd owns.
    pub agents: u64,
    /// Deliveries that wait.
    pub undelivered: u64,
    /// Those of them that wait for more than ten minutes.
    #[serde(default)]
    pub overdue: u64,
}

/// Parameters of `daemon.stop`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct StopParams {
    /// End running agents too. Otherwise running turns are left alone and the next akkd goes on with them.
    pub agents: bool,
}

/// How good a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CheckLevel {
    /// As it should be.
    Ok,
    /// Good to know.
    Note,
    /// Works, but something should be done.
    Warn,
    /// Does not work.
    Fail,
}

/// One line of `daemon.doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Check {
    /// Where it stands among the others: a word of [`check`]; none from an akkd that did not group them yet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// What was looked at, in a few words.
    pub name: String,
    /// How good it is.
    pub level: CheckLevel,
    /// What was found, as a sentence.
    pub found: String,
    /// What to do; none where nothing is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Answer of `daemon.doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DoctorAnswer {
    /// What akkd can see by itself, in the order in which a report travels.
    pub checks: Vec<Check>,
    /// Who takes deliveries now.
    pub plugins: Vec<PluginView>,
    /// What of akkd's environment agents depend on. Passwords are hidden; of a key only that it is set.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub environment: std::collections::BTreeMap<String, String>,
}

impl Check {
    /// A line of one group, with what to do where that is said.
    pub fn new(group: &str, name: &str, level: CheckLevel, found: impl Into<String>, hint: Option<&str>) -> Self {
        Self {
            group: group.to_owned(),
            name: name.to_owned(),
            level,
            found: found.into(),
            hint: hint.map(str::to_owned),
        }
    }
}

/// Groups of checks, in their order, and names of checks that others look for.
pub mod check {
    /// akkctl and akkd: versions, sockets, service, clock.
    pub const AKKD: &str = "akkd";
    /// What akkd keeps: folders, disk, database, configuration.
    pub const HOME: &str = "home";
    /// The programs that agents are, and what they find around them.
    pub const AGENTS: &str = "agents";
    /// The way of a report, up to OpenClaw's sessions.
    pub const REPORTS: &str = "reports";
    /// What was left behind.
    pub const LEFT: &str = "left behind";
    /// All of them.
    pub const GROUPS: [&str; 5] = [AKKD, HOME, AGENTS, REPORTS, LEFT];
    /// Whether OpenClaw's plugins are connected, and reach their sessions. What is about OpenClaw itself stands before it.
    pub const CONNECTION: &str = "connection";
}
