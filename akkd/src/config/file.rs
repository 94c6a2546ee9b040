//! The text of `config.toml`: read with care, taken apart, and each value checked where it stands.

use super::error::{ConfigError, Source};
use super::spelling;
use akk_proto::conversation::{PermissionPolicy, RecoveryPolicy};
use akk_proto::limits::MAX_MINUTES;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// Longest configuration file, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The file as its author wrote it, checked.
#[derive(Debug)]
pub(super) struct ConfigFile {
    pub(super) default_agent: Option<Spanned<String>>,
    pub(super) soft_limit: u32,
    pub(super) hard_limit: u32,
    pub(super) agent_timeout_minutes: u32,
    pub(super) idle_timeout_minutes: u32,
    pub(super) cancel_grace: Duration,
    pub(super) stop_on_timeout: bool,
    pub(super) permission_minutes: Option<u32>,
    pub(super) recovery_policy: RecoveryPolicy,
    pub(super) delete_after_days: Option<u32>,
    pub(super) path: Option<String>,
    pub(super) agents: BTreeMap<Spanned<String>, AgentTable>,
    pub(super) sink_command: Option<Vec<String>>,
    pub(super) sink_timeout: Option<Duration>,
    pub(super) log_level: Option<String>,
    pub(super) log_retention_days: Option<u32>,
    /// Whether there is an `[openclaw]`: it is checked and counts for nothing.
    pub(super) openclaw: bool,
    pub(super) codex_homes: Vec<PathBuf>,
    pub(super) codex_command: Option<Vec<String>>,
}

/// `[agents.NAME]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AgentTable {
    pub(super) aliases: Option<Vec<Spanned<String>>>,
    pub(super) actor: Option<Spanned<String>>,
    pub(super) transport: Option<TransportName>,
    pub(super) command: Option<Spanned<Vec<String>>>,
    pub(super) acpx_agent: Option<Spanned<String>>,
    pub(super) env: BTreeMap<Spanned<String>, String>,
    pub(super) env_allow: Vec<Spanned<String>>,
    pub(super) proxy: Option<Spanned<String>>,
    pub(super) model: Option<Spanned<String>>,
    pub(super) permissions: Option<Spanned<PermissionPolicy>>,
    pub(super) warm_minutes: Option<Spanned<u32>>,
}

/// The transports that an agent can be configured with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TransportName {
    Acp,
    Acpx,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Root {
    default_agent: Option<Spanned<String>>,
    recovery_policy: RecoveryPolicy,
    delete_after_days: Option<Spanned<u32>>,
    path: Option<Spanned<String>>,
    limits: Limits,
    timeouts: Timeouts,
    agents: BTreeMap<Spanned<String>, AgentTable>,
    delivery: Delivery,
    log: Log,
    openclaw: Option<OpenClawTable>,
    codex_homes: Vec<CodexHome>,
    codex: Codex,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Codex {
    command: Option<Spanned<Vec<String>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    soft: Option<Spanned<u32>>,
    hard: Option<Spanned<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Timeouts {
    agent_minutes: Option<Spanned<u32>>,
    idle_minutes: Option<Spanned<u32>>,
    cancel_grace_seconds: Option<Spanned<u32>>,
    permission_minutes: Option<Spanned<u32>>,
    stop_on_timeout: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Delivery {
    command: Option<Spanned<Vec<String>>>,
    timeout_seconds: Option<Spanned<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Log {
    level: Option<Spanned<String>>,
    retention_days: Option<Spanned<u32>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OpenClawTable {
    url: Option<Spanned<String>>,
    token: Option<Spanned<String>>,
    token_file: Option<Spanned<PathBuf>>,
}

impl std::fmt::Debug for OpenClawTable {
    /// Hides the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenClawTable").field("url", &self.url).finish_non_exhaustive()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CodexHome {
    path: Spanned<PathBuf>,
}

/// The text at `path`; nothing when there is no file.
pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    // Not to wait for the other end of a FIFO: it is refused below.
    let no_wait = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(no_wait).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        Err(e) => return Err(unreadable(e)),
    };
    let meta = file.metadata().map_err(unreadable)?;
    // Judged on the open file, so that it cannot be exchanged in between. Who can write it decides what akkd runs.
    if let Some((problem, hint)) = distrust(&meta, rustix::process::geteuid().as_raw()) {
        return Err(ConfigError::NotTrusted { path: path.to_owned(), problem, hint });
    }
    let mut text = String::new();
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

/// Why a file with this metadata is not taken from a user with the id `uid`. A file of root is: root can do all that
/// the file could, and systems that are configured as a whole place files so.
fn distrust(meta: &std::fs::Metadata, uid: u32) -> Option<(String, String)> {
    if !meta.is_file() {
        return Some(("is not a regular file".into(), "Put the configuration into a plain file.".into()));
    }
    if meta.uid() != uid && meta.uid() != 0 {
        let problem = format!("belongs to the user with the id {}, not to you ({uid})", meta.uid());
        return Some((problem, "Copy it, so that the copy is yours: it decides which commands akkd starts.".into()));
    }
    if meta.mode() & 0o022 != 0 {
        let problem = format!("can be written by others (mode {:o})", meta.mode() & 0o777);
        return Some((problem, "Run `chmod go-w` on it: it decides which commands akkd starts.".into()));
    }
    if meta.len() > MAX_FILE_BYTES {
        return Some((format!("is larger than {MAX_FILE_BYTES} bytes"), "A configuration is a short text.".into()));
    }
    None
}

/// `path`, with a leading `~/` replaced by the home directory.
pub(super) fn expand_home(path: &Path, env: &BTreeMap<String, String>) -> PathBuf {
    match (path.strip_prefix("~"), env.get("HOME")) {
        (Ok(rest), Some(home)) => Path::new(home).join(rest),
        _ => path.to_owned(),
    }
}

/// Takes the text apart and checks all that can be checked without knowing the agents.
pub(super) fn parse(source: &Source<'_>) -> Result<ConfigFile, ConfigError> {
    let root: Root = toml::from_str(source.text).map_err(|e| {
        let (what, hint) = spelling::explain(e.message());
        let what = what.replace("unknown field", "unknown key").replace('\n', " ");
        source.wrong(e.span().unwrap_or_default(), what, hint)
    })?;
    let check = Check { source };
    let (soft_limit, hard_limit) = check.limits(root.limits.soft.as_ref(), root.limits.hard.as_ref())?;
    let minutes = "Give minutes, 1 or more; ten years at most.";
    let seconds = "Give seconds, from 1 to 3600.";
    let openclaw = root.openclaw.is_some();
    check.openclaw(root.openclaw.unwrap_or_default())?;
    let mut codex_homes = Vec::new();
    for home in root.codex_homes {
        codex_homes.push(check.absolute(home.path)?);
    }
    if let Some(path) = &root.path
        && (path.get_ref().trim().is_empty() || path.get_ref().contains('\0'))
    {
        let message = "path is empty, or has a NUL in it";
        return Err(source.wrong(path.span(), message, "Name directories, separated by colons."));
    }
    Ok(ConfigFile {
        default_agent: root.default_agent,
        soft_limit,
        hard_limit,
        agent_timeout_minutes: check.number(root.timeouts.agent_minutes, 60, 1..=MAX_MINUTES, minutes)?,
        idle_timeout_minutes: check.number(root.timeouts.idle_minutes, 10_080, 1..=MAX_MINUTES, minutes)?,
        cancel_grace: Duration::from_secs(
            check.number(root.timeouts.cancel_grace_seconds, 10, 1..=3600, seconds)?.into(),
        ),
        stop_on_timeout: root.timeouts.stop_on_timeout,
        permission_minutes: check.optional(root.timeouts.permission_minutes, 1..=MAX_MINUTES, minutes)?,
        recovery_policy: root.recovery_policy,
        delete_after_days: check.optional(root.delete_after_days, 1..=36_500, "Give days, 1 or more.")?,
        path: root.path.map(Spanned::into_inner),
        agents: root.agents,
        sink_command: root.delivery.command.map(|c| check.argv(c)).transpose()?,
        sink_timeout: check
            .optional(root.delivery.timeout_seconds, 1..=3600, seconds)?
            .map(|s| Duration::from_secs(s.into())),
        log_level: root.log.level.map(|l| check.level(l)).transpose()?,
        log_retention_days: check.optional(root.log.retention_days, 1..=36_500, "Give days, 1 or more.")?,
        openclaw,
        codex_homes,
        codex_command: root.codex.command.map(|c| check.argv(c)).transpose()?,
    })
}

/// Checks of single values, with the place of a wrong one.
#[derive(Clone, Copy)]
pub(super) struct Check<'a> {
    pub(super) source: &'a Source<'a>,
}

impl Check<'_> {
    /// Soft and hard limit. Where one is missing it gives way to the one that is there.
    fn limits(self, soft: Option<&Spanned<u32>>, hard: Option<&Spanned<u32>>) -> Result<(u32, u32), ConfigError> {
        for limit in [soft, hard].into_iter().flatten() {
            if *limit.get_ref() == 0 {
                return Err(self.source.wrong(limit.span(), "a limit of 0 rounds", "Give 1 or more."));
            }
        }
        match (soft.map(Spanned::get_ref), hard.map(Spanned::get_ref)) {
            (Some(&s), Some(&h)) if s > h => Err(self.source.wrong(
                soft.map(Spanned::span).unwrap_or_default(),
                format!("the soft limit {s} is above the hard limit {h}"),
                "Lower `soft` or raise `hard`.",
            )),
            (Some(&s), Some(&h)) => Ok((s, h)),
            (Some(&s), None) => Ok((s, s.max(100))),
            (None, Some(&h)) => Ok((h.min(50), h)),
            (None, None) => Ok((50, 100)),
        }
    }

    fn number(
        self,
        value: Option<Spanned<u32>>,
        default: u32,
        range: std::ops::RangeInclusive<u32>,
        hint: &str,
    ) -> Result<u32, ConfigError> {
        Ok(self.optional(value, range, hint)?.unwrap_or(default))
    }

    pub(super) fn optional(
        self,
        value: Option<Spanned<u32>>,
        range: std::ops::RangeInclusive<u32>,
        hint: &str,
    ) -> Result<Option<u32>, ConfigError> {
        match value {
            Some(v) if !range.contains(v.get_ref()) => {
                Err(self.source.wrong(v.span(), format!("{} is out of range", v.get_ref()), hint))
            }
            other => Ok(other.map(Spanned::into_inner)),
        }
    }

    /// A command as a list of words, none of them for a shell.
    pub(super) fn argv(self, command: Spanned<Vec<String>>) -> Result<Vec<String>, ConfigError> {
        let problem = match command.get_ref().first().map(String::as_str) {
            None => Some("the command is empty"),
            Some(program) if program.trim().is_empty() => Some("the command's program is empty"),
            Some(_) if command.get_ref().iter().any(|word| word.contains('\0')) => Some("the command has a NUL in it"),
            Some(_) => None,
        };
        match problem {
            Some(problem) => {
                let hint =
                    "Give a program and its arguments as a list: [\"program\", \"argument\"]; no shell reads it.";
                Err(self.source.wrong(command.span(), problem, hint))
            }
            None => Ok(command.into_inner()),
        }
    }

    fn level(self, level: Spanned<String>) -> Result<String, ConfigError> {
        const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
        if LEVELS.contains(&level.get_ref().as_str()) {
            return Ok(level.into_inner());
        }
        let hint = spelling::suggest(level.get_ref(), LEVELS);
        Err(self.source.wrong(level.span(), format!("there is no log level `{}`", level.get_ref()), hint))
    }

    fn absolute(self, path: Spanned<PathBuf>) -> Result<PathBuf, ConfigError> {
        if path.get_ref().as_os_str().as_encoded_bytes().contains(&0) {
            return Err(self.source.wrong(path.span(), "the path has a NUL in it", "Begin it with `/` or `~/`."));
        }
        if path.get_ref().is_absolute() || path.get_ref().starts_with("~") {
            return Ok(path.into_inner());
        }
        let message = format!("`{}` is not an absolute path", path.get_ref().display());
        Err(self.source.wrong(path.span(), message, "Begin it with `/` or `~/`."))
    }

    fn openclaw(self, table: OpenClawTable) -> Result<(), ConfigError> {
        if let (Some(_), Some(file)) = (&table.token, &table.token_file) {
            let message = "both `token` and `token_file` are given";
            return Err(self.source.wrong(file.span(), message, "Keep one of them; a file is the safer place."));
        }
        if let Some(url) = &table.url
            && !["ws://", "wss://"].iter().any(|scheme| url.get_ref().starts_with(scheme))
        {
            let hint = "Give the gateway's WebSocket address, such as ws://127.0.0.1:18789.";
            return Err(self.source.wrong(url.span(), format!("`{}` is not a WebSocket address", url.get_ref()), hint));
        }
        table.token_file.map(|p| self.absolute(p)).transpose()?;
        Ok(())
    }
}
