//! `conversation.delegate`: checks what a client asks for before anything is recorded.

use super::{Control, call, check_name};
use crate::config::{AgentSpec, Config};
use crate::conversation::session_name;
use akk_core::decide::Beginning;
use akk_core::{budget, redact};
use akk_proto::api::{DelegateAnswer, DelegateParams};
use akk_proto::conversation::Transport;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::Created;
use akk_proto::limits::{MAX_LABEL_CHARS, MAX_PROMPT_BYTES};
use akk_proto::message::Actor;
use akk_proto::{ConversationId, TurnId};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the answer waits for the agent to take the prompt, so that a start that fails at once is told at once.
const START_WAIT: Duration = Duration::from_secs(3);

/// Characters of the request that the conversation carries; the first message has it whole.
const REQUEST_CHARS: usize = 4000;

/// Held from the look at who uses a session that was named until its new user is recorded.
static NAMED_SESSION: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Failure {
    Failure::new(ErrorKind::InvalidParams, message, hint)
}

impl Control {
    pub(super) async fn begin(&self, params: DelegateParams) -> Result<DelegateAnswer, Failure> {
        let call = call(params.request_id.clone(), "conversation.delegate");
        // A repeat is answered whatever has become of the configuration, the workspace or the agent since.
        if let Some(call) = &call
            && let Some(found) = self.store.find_request(&call.request_id).await?
            && found.method == call.method
        {
            let state = self.conversations.state(&found.conversation_id).await?;
            let turn_id = found.turn_id.unwrap_or_else(|| TurnId::nth(1));
            return Ok(DelegateAnswer { conversation: self.view(&state).await?, turn_id, repeated: true });
        }
        let config = self.config.fresh()?;
        let (agent, request) = choose_agent(&config, &params)?;
        let mut events = self.store.subscribe_events();
        let (id, answer) = {
            // Two calls with the same session must not both find it free.
            let _one_at_a_time = if params.session.is_some() { Some(NAMED_SESSION.lock().await) } else { None };
            let created = self.created(&config, agent, &request, &params).await?;
            (
                created.conversation_id.clone(),
                self.conversations.begin(created, Beginning::Request(request), call).await?,
            )
        };
        let turn_id = answer.said.turn_id.unwrap_or_else(|| TurnId::nth(1));
        super::wait::until_prompted(&mut events, &id, &turn_id, START_WAIT).await;
        let state = self.conversations.state(&id).await?;
        Ok(DelegateAnswer { conversation: self.view(&state).await?, turn_id, repeated: answer.repeated })
    }

    async fn created(
        &self,
        config: &Config,
        agent: &AgentSpec,
        request: &str,
        params: &DelegateParams,
    ) -> Result<Created, Failure> {
        let workspace = workspace(&params.workspace).await?;
        let soft_limit =
            params.soft_limit.unwrap_or_else(|| config.soft_limit.min(params.hard_limit.unwrap_or(u32::MAX)));
        let hard_limit = params.hard_limit.unwrap_or_else(|| config.hard_limit.max(soft_limit));
        budget::check_limits(soft_limit, hard_limit)?;
        let minutes = |asked: Option<u32>, default: u32, what: &str| match asked {
            Some(0) => Err(invalid(format!("{what} of 0 minutes is not possible"), "Choose 1 or more.")),
            other => Ok(other.unwrap_or(default)),
        };
        let names = [
            ("session name", &params.session),
            ("model", &params.model),
            ("proxy address", &params.proxy),
            ("session key of an orchestrator", &params.orchestrator),
        ];
        for (what, name) in names {
            name.as_deref().map_or(Ok(()), |name| check_name(what, name))?;
        }
        let label = params.label.as_deref().map(str::trim).filter(|l| !l.is_empty());
        if label.is_some_and(|l| l.chars().count() > MAX_LABEL_CHARS || l.chars().any(char::is_control)) {
            return Err(invalid(
                format!("the label has more than {MAX_LABEL_CHARS} characters, or some that cannot be printed"),
                "Choose a short one on one line.",
            ));
        }
        if let Some(proxy) = &params.proxy
            && proxy.rsplit_once('@').is_some_and(|(login, _)| login.contains(':') && !login.ends_with("://"))
        {
            return Err(invalid(
                "the proxy address holds a password",
                "Set it as `proxy` of the agent in the configuration file; a request is recorded, the file is yours.",
            ));
        }
        let now = self.clock.wall();
        let native_session = match &params.session {
            Some(name) => self.session_to_go_on_with(agent, name).await?,
            None => None,
        };
        Ok(Created {
            conversation_id: ConversationId::new(now, rand::random::<u32>()),
            user_request: redact::cut(request, REQUEST_CHARS),
            label: label.map(str::to_owned),
            workspace: workspace.to_string_lossy().into_owned(),
            agent: agent.kind.clone(),
            actor: Actor(agent.actor.clone()),
            session: params.session.clone().unwrap_or_else(|| session_name(&agent.kind, now)),
            transport: agent.transport,
            model: params.model.clone().or_else(|| agent.model.clone()),
            proxy: params.proxy.clone(),
            soft_limit,
            hard_limit,
            agent_timeout_minutes: minutes(
                params.agent_timeout_minutes,
                config.agent_timeout_minutes,
                "an agent timeout",
            )?,
            idle_timeout_minutes: minutes(params.idle_timeout_minutes, config.idle_timeout_minutes, "an idle timeout")?,
            recovery_policy: params.recovery_policy.unwrap_or(config.recovery_policy),
            permissions: params.permissions.unwrap_or(agent.permissions),
            orchestrator: params.orchestrator.clone(),
            sink: if config.sink_command.is_some() { "command" } else { "none" }.to_owned(),
            deliver_progress: params.deliver_progress,
            native_session,
            stop_on_timeout: config.stop_on_timeout,
        })
    }

    /// The native session behind a session name. Over acpx the name is enough: acpx keeps names itself.
    async fn session_to_go_on_with(&self, agent: &AgentSpec, name: &str) -> Result<Option<String>, Failure> {
        let users = self.store.conversations_of_session(name).await?;
        for state in &users {
            if !state.phase.is_terminal() {
                return Err(Failure::new(
                    ErrorKind::ActiveWriter,
                    format!("the session {name} belongs to the open conversation {}", state.settings.conversation_id),
                    "Send to that conversation, or close it first.",
                ));
            }
        }
        if agent.transport == Transport::Acpx {
            return Ok(None);
        }
        // Newest first; else the user names the agent's own id.
        let mut same_agent = users.into_iter().filter(|s| s.settings.agent == agent.kind);
        Ok(same_agent.find_map(|s| s.native_session).or_else(|| Some(name.to_owned())))
    }
}

/// The agent that was asked for, by name or by an alias in front of the request; and the request without it.
fn choose_agent<'a>(config: &'a Config, params: &DelegateParams) -> Result<(&'a AgentSpec, String), Failure> {
    let request = params.request.as_str();
    let (agent, request) = match &params.agent {
        Some(name) => (config.agent(name)?, request),
        None => match config.split_alias_prefix(request) {
            Some((kind, rest)) => (config.agent(kind)?, rest),
            None => (config.agent(&config.default_agent)?, request),
        },
    };
    if request.trim().is_empty() {
        return Err(invalid("the request is empty", "Say what the agent is to do."));
    }
    if request.len() > MAX_PROMPT_BYTES {
        return Err(Failure::new(
            ErrorKind::TooLarge,
            format!("the request has {} bytes, {MAX_PROMPT_BYTES} are allowed", request.len()),
            "Put long material into a file in the workspace and name the file.",
        ));
    }
    Ok((agent, request.to_owned()))
}

async fn workspace(asked: &str) -> Result<PathBuf, Failure> {
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
