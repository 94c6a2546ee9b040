//! How a conversation is made from what a client asks for: whatever it begins with, the same checks and defaults.

use super::session_name;
use crate::config::{AgentSpec, Config};
use akk_core::{budget, redact};
use akk_proto::conversation::{PermissionPolicy, RecoveryPolicy, Transport};
use akk_proto::delivery::{Recipient, SinkKind};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::Created;
use akk_proto::limits::{MAX_LABEL_CHARS, MAX_MINUTES, MAX_NAME_CHARS};
use akk_proto::message::Actor;
use akk_proto::{ConversationId, Timestamp};
use std::path::{Path, PathBuf};

/// Characters of the request that the conversation carries; the first message has it whole.
const REQUEST_CHARS: usize = 4000;

/// What a client asks of a new conversation. What it leaves out comes from the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Making {
    /// What it is for.
    pub request: String,
    /// akkd's name for the agent session; a fresh one by default.
    pub session: Option<String>,
    /// The agent's own id of a session to go on with.
    pub native_session: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// A proxy without a password.
    pub proxy: Option<String>,
    /// Rounds.
    pub soft_limit: Option<u32>,
    /// Rounds.
    pub hard_limit: Option<u32>,
    /// Silence after which a turn counts as stalled.
    pub agent_timeout_minutes: Option<u32>,
    /// Idleness after which it is closed.
    pub idle_timeout_minutes: Option<u32>,
    /// Where callbacks go.
    pub orchestrator: Option<String>,
    /// Where that session stands.
    pub recipient: Option<Recipient>,
    /// How callbacks travel.
    pub sink: Option<SinkKind>,
    /// A name for people.
    pub label: Option<String>,
    /// What happens when the agent session is lost.
    pub recovery_policy: Option<RecoveryPolicy>,
    /// What happens to permission requests.
    pub permissions: Option<PermissionPolicy>,
    /// Deliver `progress` too.
    pub deliver_progress: bool,
}

impl Making {
    /// Checks everything but the workspace, and fills in what was left out. `workspace`: see [`workspace`].
    ///
    /// # Errors
    /// `invalid_params` with what is wrong.
    pub fn created(
        &self,
        workspace: &Path,
        agent: &AgentSpec,
        config: &Config,
        now: Timestamp,
    ) -> Result<Created, Failure> {
        let soft_limit = self.soft_limit.unwrap_or_else(|| config.soft_limit.min(self.hard_limit.unwrap_or(u32::MAX)));
        let hard_limit = self.hard_limit.unwrap_or_else(|| config.hard_limit.max(soft_limit));
        budget::check_limits(soft_limit, hard_limit)?;
        for (what, name) in [
            ("session name", &self.session),
            ("model", &self.model),
            ("proxy address", &self.proxy),
            ("session key of an orchestrator", &self.orchestrator),
        ] {
            name.as_deref().map_or(Ok(()), |name| check_name(what, name))?;
        }
        if let Some(proxy) = &self.proxy
            && proxy.rsplit_once('@').is_some_and(|(login, _)| login.contains(':') && !login.ends_with("://"))
        {
            return Err(invalid(
                "the proxy address holds a password",
                "Set it as `proxy` of the agent in the configuration file; a request is recorded, the file is yours.",
            ));
        }
        Ok(Created {
            conversation_id: ConversationId::new(now, rand::random::<u32>()),
            user_request: redact::cut(&self.request, REQUEST_CHARS),
            label: self.checked_label()?,
            workspace: workspace.to_string_lossy().into_owned(),
            agent: agent.kind.clone(),
            actor: Actor(agent.actor.clone()),
            session: self.session.clone().unwrap_or_else(|| session_name(&agent.kind, now)),
            transport: agent.transport,
            model: self.model.clone().or_else(|| agent.model.clone()),
            proxy: self.proxy.clone(),
            soft_limit,
            hard_limit,
            agent_timeout_minutes: minutes(
                self.agent_timeout_minutes,
                config.agent_timeout_minutes,
                "an agent timeout",
            )?,
            idle_timeout_minutes: minutes(self.idle_timeout_minutes, config.idle_timeout_minutes, "an idle timeout")?,
            recovery_policy: self.recovery_policy.unwrap_or(config.recovery_policy),
            permissions: self.permissions(agent)?,
            permission_minutes: config.permission_minutes,
            orchestrator: self.orchestrator.clone(),
            recipient: self.checked_recipient()?,
            sink: self.sink(config)?,
            deliver_progress: self.deliver_progress,
            native_session: self.native_session.clone(),
            stop_on_timeout: config.stop_on_timeout,
        })
    }

    /// With an orchestrator the plugin; else the command, where there is one.
    fn sink(&self, config: &Config) -> Result<SinkKind, Failure> {
        let has_command = config.sink_command.is_some();
        match self.sink {
            Some(SinkKind::Plugin) if self.orchestrator.is_none() => Err(invalid(
                "deliveries through the plugin need the session key of an orchestrator",
                "Name the OpenClaw session that is to be told as `orchestrator`.",
            )),
            Some(SinkKind::Command) if !has_command => Err(invalid(
                "the configuration has no command for deliveries",
                "Set `command` in [delivery] of the configuration file.",
            )),
            Some(sink) => Ok(sink),
            None if self.orchestrator.is_some() => Ok(SinkKind::Plugin),
            None if has_command => Ok(SinkKind::Command),
            None => Ok(SinkKind::None),
        }
    }

    /// A person can be asked over ACP only: the others answer requests themselves, or have none.
    fn permissions(&self, agent: &AgentSpec) -> Result<PermissionPolicy, Failure> {
        match self.permissions.unwrap_or(agent.permissions) {
            PermissionPolicy::Ask if agent.transport == Transport::Acp => Ok(PermissionPolicy::Ask),
            PermissionPolicy::Ask if self.permissions.is_some() => Err(invalid(
                format!("over {} nobody can be asked for a permission", agent.transport),
                "Use all, reads or deny.",
            )),
            PermissionPolicy::Ask => Ok(PermissionPolicy::All),
            policy => Ok(policy),
        }
    }

    fn checked_recipient(&self) -> Result<Option<Recipient>, Failure> {
        let Some(recipient) = &self.recipient else { return Ok(None) };
        if self.orchestrator.is_none() {
            return Err(invalid(
                "a recipient without the session key of an orchestrator",
                "Name the OpenClaw session as `orchestrator`.",
            ));
        }
        let Recipient { gateway, session_id, agent_id, channel, to, account_id, thread_id } = recipient;
        for part in [gateway, session_id, agent_id, channel, to, account_id, thread_id].into_iter().flatten() {
            // Not as strict as a name of ours: a chat's id may begin with a dash.
            if part.trim().is_empty() || part.chars().count() > MAX_NAME_CHARS || part.chars().any(char::is_control) {
                return Err(invalid(
                    format!("{:?} cannot be a part of a recipient", redact::cut(part, 60)),
                    format!("Use 1 to {MAX_NAME_CHARS} printable characters, or leave it out."),
                ));
            }
        }
        Ok(Some(recipient.clone()))
    }

    fn checked_label(&self) -> Result<Option<String>, Failure> {
        let label = self.label.as_deref().map(str::trim).filter(|l| !l.is_empty());
        if label.is_some_and(|l| l.chars().count() > MAX_LABEL_CHARS || l.chars().any(char::is_control)) {
            return Err(invalid(
                format!("the label has more than {MAX_LABEL_CHARS} characters, or some that cannot be printed"),
                "Choose a short one on one line.",
            ));
        }
        Ok(label.map(str::to_owned))
    }
}

/// The directory that a client named, canonical.
///
/// # Errors
/// `invalid_params` when it is not absolute, is no directory, or has a name that is not UTF-8.
pub async fn workspace(asked: &str) -> Result<PathBuf, Failure> {
    let path = Path::new(asked);
    if !path.is_absolute() {
        return Err(invalid(format!("the workspace {asked:?} is not an absolute path"), "Give the path from / on."));
    }
    let canonical = tokio::fs::canonicalize(path)
        .await
        .map_err(|e| invalid(format!("the workspace {asked} cannot be used: {e}"), "Name a directory that exists."))?;
    match tokio::fs::metadata(&canonical).await {
        Ok(m) if m.is_dir() => {}
        Ok(_) => return Err(invalid(format!("the workspace {asked} is not a directory"), "Name a directory.")),
        Err(e) => return Err(invalid(format!("the workspace {asked} cannot be used: {e}"), "Name a directory.")),
    }
    if canonical.to_str().is_none() {
        return Err(invalid(format!("the workspace {asked} is not UTF-8"), "Use a directory with a UTF-8 name."));
    }
    Ok(canonical)
}

/// Refuses a name that would not fit on a line, or that a command line would take for an option. Names are stored with
/// the state, shown in terminals, and given to agents' commands.
///
/// # Errors
/// `invalid_params`.
pub fn check_name(what: &str, name: &str) -> Result<(), Failure> {
    let fits = name.chars().count() <= MAX_NAME_CHARS && !name.chars().any(char::is_control);
    if fits && !name.trim().is_empty() && !name.starts_with('-') {
        return Ok(());
    }
    Err(invalid(
        format!("{:?} is not a {what}", redact::cut(name, 60)),
        format!("Use 1 to {MAX_NAME_CHARS} printable characters, the first of them not a dash."),
    ))
}

fn minutes(asked: Option<u32>, default: u32, what: &str) -> Result<u32, Failure> {
    match asked {
        Some(n) if !(1..=MAX_MINUTES).contains(&n) => Err(invalid(
            format!("{what} of {n} minutes is not possible"),
            format!("Choose 1 to {MAX_MINUTES}: ten years at most."),
        )),
        other => Ok(other.unwrap_or(default)),
    }
}

fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Failure {
    Failure::new(ErrorKind::InvalidParams, message, hint)
}
