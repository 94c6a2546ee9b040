//! `conversation.delegate`: checks what a client asks for before anything is recorded.

use super::{Control, call};
use crate::config::{AgentSpec, Config};
use crate::conversation::{Making, workspace};
use crate::socket::audit::concerns;
use akk_core::decide::Beginning;
use akk_proto::TurnId;
use akk_proto::api::{DelegateAnswer, DelegateParams};
use akk_proto::conversation::Transport;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::Created;
use akk_proto::limits::MAX_PROMPT_BYTES;
use std::time::Duration;

/// How long the answer waits for the agent to take the prompt, so that a start that fails at once is told at once.
const START_WAIT: Duration = Duration::from_secs(3);

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
            let _one_at_a_time =
                if params.session.is_some() { Some(self.conversations.choosing_a_session().await) } else { None };
            let created = self.created(&config, agent, &request, &params).await?;
            (
                created.conversation_id.clone(),
                self.conversations.begin(created, Beginning::Request(request), call).await?,
            )
        };
        concerns(&id);
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
        let mut making = Making {
            request: request.to_owned(),
            session: params.session.clone(),
            native_session: None,
            model: params.model.clone(),
            proxy: params.proxy.clone(),
            soft_limit: params.soft_limit,
            hard_limit: params.hard_limit,
            agent_timeout_minutes: params.agent_timeout_minutes,
            idle_timeout_minutes: params.idle_timeout_minutes,
            orchestrator: params.orchestrator.clone(),
            recipient: params.recipient.clone(),
            sink: params.sink,
            label: params.label.clone(),
            recovery_policy: params.recovery_policy,
            permissions: params.permissions,
            deliver_progress: params.deliver_progress,
        };
        let now = self.clock.wall();
        // First as it is: a name that is none is not looked for.
        making.created(&workspace, agent, config, now)?;
        if let Some(name) = &params.session {
            making.native_session = self.session_to_go_on_with(agent, name).await?;
        }
        making.created(&workspace, agent, config, now)
    }

    /// The native session behind a session name. Over acpx the name is enough: acpx keeps names itself.
    async fn session_to_go_on_with(&self, agent: &AgentSpec, name: &str) -> Result<Option<String>, Failure> {
        self.refuse_a_session_in_use(name).await?;
        // An agent takes its id for the same however it is spelled.
        if let Some(id) = uuid::Uuid::try_parse(name).ok().map(|id| id.to_string()).filter(|id| id != name) {
            self.refuse_a_session_in_use(&id).await?;
        }
        if agent.transport == Transport::Acpx {
            return Ok(None);
        }
        // Newest first; else the user names the agent's own id.
        let users = self.store.conversations_of_session(name).await?;
        let mut same_agent = users.into_iter().filter(|s| s.settings.agent == agent.kind);
        let native = same_agent.find_map(|s| s.native_session).unwrap_or_else(|| name.to_owned());
        if native != name {
            // It may have another user by now, which calls it by another name: a takeover, say.
            self.refuse_a_session_in_use(&native).await?;
        }
        Ok(Some(native))
    }

    async fn refuse_a_session_in_use(&self, name: &str) -> Result<(), Failure> {
        match self.store.open_conversation_of_session(name).await? {
            None => Ok(()),
            Some(user) => Err(Failure::new(
                ErrorKind::ActiveWriter,
                format!("the session {name} belongs to the open conversation {user}"),
                "Send to that conversation, or close it first.",
            )),
        }
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
