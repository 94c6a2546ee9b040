//! Answers: what was found, what was done, and what to do next.

use super::Takeovers;
use super::look::Look;
use super::parameters::Asked;
use super::plan::{self, Allowed, Obstacle};
use super::words;
use crate::conversation::view::view;
use akk_core::Conversation;
use akk_core::conversation::Origin;
use akk_proto::ConversationId;
use akk_proto::conversation::ConversationView;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::session::{
    Capability, ResumeView, SessionActivity, SessionSource, SessionView, Strategy, TakeoverAnswer, TakeoverStatus,
};

/// An answer about a session, with nothing done yet and nothing said yet.
pub(super) fn of(look: &Look, asked: &Asked, strategy: Strategy, status: TakeoverStatus) -> TakeoverAnswer {
    TakeoverAnswer {
        status,
        strategy,
        side_effects_executed: false,
        reason: None,
        explanation: String::new(),
        hint: None,
        session: look.facts.session.clone(),
        strategies: Vec::new(),
        incomplete: look.facts.incomplete.iter().chain(&look.around.incomplete).cloned().collect(),
        resume: resume(look, asked, strategy),
        plan: None,
        steps: Vec::new(),
        context: None,
        conversation: None,
        repeated: false,
    }
}

/// The answer for a strategy that is not possible now, with every other one.
pub(super) fn blocked(look: &Look, asked: &Asked, strategy: Strategy, obstacle: &Obstacle) -> TakeoverAnswer {
    let mut answer = of(look, asked, strategy, TakeoverStatus::Blocked);
    answer.reason = Some(obstacle.reason);
    answer.explanation = words::sentence(&obstacle.sentence);
    answer.hint = Some(obstacle.hint.clone());
    answer.strategies = plan::assess(&look.facts, &look.around, allowed(asked));
    answer
}

/// What the user allowed besides.
pub(super) fn allowed(asked: &Asked) -> Allowed {
    Allowed { cwd_only: asked.params.allow_cwd_only }
}

/// What to type once a conversation is there.
pub(super) fn say_something(id: &ConversationId) -> String {
    format!("Go on with `akkctl send {id} TEXT`.")
}

fn resume(look: &Look, asked: &Asked, strategy: Strategy) -> Option<ResumeView> {
    let way = match strategy {
        Strategy::SafeResume | Strategy::TerminateThenResume => "exec_resume",
        Strategy::Attach => "app_server",
        Strategy::Fork => return None,
    };
    let resume = look.facts.resume.as_ref()?;
    Some(ResumeView {
        way: way.to_owned(),
        cwd: resume.cwd.to_string_lossy().into_owned(),
        model: asked.params.model.clone().or_else(|| resume.model.clone()),
        sandbox: resume.sandbox.clone(),
    })
}

impl Takeovers {
    pub(super) async fn view(&self, state: &Conversation) -> Result<ConversationView, Failure> {
        let waiting = self.store.waiting(&state.settings.conversation_id, self.clock.wall()).await?;
        Ok(view(state, waiting))
    }

    /// The answer to a call that was answered before. The session is shown as it was then: nothing is looked at.
    ///
    /// # Errors
    /// `invalid_params` when that call made another kind of conversation; `storage`.
    pub(super) async fn repeated(&self, state: &Conversation) -> Result<TakeoverAnswer, Failure> {
        let id = &state.settings.conversation_id;
        let (status, strategy, steps, mut session) = match &state.origin {
            Some(Origin::Attached { attachment: a, .. }) => {
                let session = remembered(&a.agent, &a.session_id, &a.home, &a.cwd, a.title.as_ref());
                (
                    TakeoverStatus::Attached,
                    a.strategy,
                    a.steps.clone(),
                    SessionView { model: a.model.clone(), ..session },
                )
            }
            Some(Origin::Forked { fork: f, .. }) => {
                let session = remembered(&f.agent, &f.session_id, &f.home, &f.cwd, f.title.as_ref());
                (TakeoverStatus::Forked, Strategy::Fork, Vec::new(), session)
            }
            None => {
                let message = format!("the conversation {id} was not made by a takeover");
                return Err(Failure::new(ErrorKind::InvalidParams, message, "Use a fresh request_id for each call."));
            }
        };
        if strategy != Strategy::Fork && !state.phase.is_terminal() {
            session.conversation_id = Some(id.clone());
        }
        Ok(TakeoverAnswer {
            status,
            strategy,
            side_effects_executed: true,
            reason: None,
            explanation: format!("This call made the conversation {id} before; nothing was done again."),
            hint: Some(say_something(id)),
            session,
            strategies: Vec::new(),
            incomplete: Vec::new(),
            resume: None,
            plan: None,
            steps,
            context: None,
            conversation: Some(self.view(state).await?),
            repeated: true,
        })
    }
}

/// A session as far as a conversation remembers it.
fn remembered(agent: &str, session_id: &str, home: &str, cwd: &str, title: Option<&String>) -> SessionView {
    SessionView {
        agent: agent.to_owned(),
        session_id: session_id.to_owned(),
        home: home.to_owned(),
        cwd: Some(cwd.to_owned()),
        title: title.cloned(),
        created_at: None,
        updated_at: None,
        archived: false,
        model: None,
        source: SessionSource::Unknown,
        originator: None,
        parent: None,
        capability: Capability::Full,
        capability_reason: None,
        activity: SessionActivity::Unknown,
        holders: Vec::new(),
        conversation_id: None,
    }
}
