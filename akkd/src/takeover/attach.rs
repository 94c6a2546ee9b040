//! Makes a conversation that goes on with a session: the last look, then the record.

use super::Takeovers;
use super::answer;
use super::look::Look;
use super::parameters::Asked;
use super::plan::{self, Allowed, Obstacle};
use super::words;
use crate::config::Config;
use crate::conversation::{Answer, Request, workspace};
use akk_core::decide::Beginning;
use akk_proto::conversation::Transport;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::Created;
use akk_proto::session::{Confidence, NativeAttachment, Strategy, TakeoverAnswer, TakeoverStatus, TakeoverStep};

/// What the last look must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// The strategy is still possible.
    StillPossible,
    /// The process that ran the session has ended, and nobody runs it with at least this certainty.
    Free(Confidence),
}

/// How a session is attached.
pub(super) struct Attaching {
    pub(super) strategy: Strategy,
    pub(super) rule: Rule,
    /// What was known of its holders, in sentences.
    pub(super) evidence: Vec<String>,
    pub(super) cwd_only_confirmed: bool,
    /// What was done so far.
    pub(super) steps: Vec<TakeoverStep>,
}

/// What came of it.
pub(super) enum Attached {
    /// The conversation, whose history holds the steps.
    Made(Box<Answer>, Vec<TakeoverStep>),
    /// This call had made it before.
    Repeated(Box<Answer>),
    /// Nothing was recorded.
    Blocked(Box<Look>, Obstacle),
}

impl Takeovers {
    /// `safe_resume` and `attach`.
    ///
    /// # Errors
    /// What the limits are refused with; `storage`.
    pub(super) async fn resume_or_join(
        &self,
        look: &Look,
        asked: &Asked,
        strategy: Strategy,
        config: &Config,
        call: Option<Request>,
    ) -> Result<TakeoverAnswer, Failure> {
        if let Err(obstacle) = plan::judge(strategy, &look.facts, &look.around, Allowed::default()) {
            return Ok(answer::blocked(look, asked, strategy, &obstacle));
        }
        let created = self.created(look, asked, config).await?;
        let attaching = Attaching {
            strategy,
            rule: Rule::StillPossible,
            evidence: evidence(look),
            cwd_only_confirmed: false,
            steps: Vec::new(),
        };
        match self.attach(look, created, attaching, call).await? {
            Attached::Made(made, steps) => self.attached(look, asked, strategy, *made, steps).await,
            Attached::Repeated(made) => self.repeated(&made.state).await,
            Attached::Blocked(look, obstacle) => Ok(answer::blocked(&look, asked, strategy, &obstacle)),
        }
    }

    /// What the conversation will be made with. Nothing is recorded.
    ///
    /// # Errors
    /// What the agent, the limits or the directory are refused with.
    pub(super) async fn created(&self, look: &Look, asked: &Asked, config: &Config) -> Result<Created, Failure> {
        let mut agent = config.agent(look.provider.agent())?.clone();
        // Its sessions are reached by its own program and keep their own model.
        agent.transport = Transport::Codex;
        agent.model = None;
        let workspace = workspace(&look.cwd().unwrap_or_default()).await?;
        asked.attaching(&look.facts.session).created(&workspace, &agent, config, self.clock.wall())
    }

    /// Looks for the last time, and records the conversation while nobody else can take the session.
    ///
    /// # Errors
    /// Those of the look; `storage`.
    pub(super) async fn attach(
        &self,
        look: &Look,
        created: Created,
        attaching: Attaching,
        call: Option<Request>,
    ) -> Result<Attached, Failure> {
        let _alone = self.conversations.choosing_a_session().await;
        let look = self.look_again(look).await?;
        let fits = match attaching.rule {
            Rule::StillPossible => {
                plan::judge(attaching.strategy, &look.facts, &look.around, Allowed::default()).map(drop)
            }
            Rule::Free(at_least) => plan::refuse_adopted(&look.around)
                .and_then(|()| plan::refuse_held(&look.facts, &look.around, at_least))
                .and_then(|()| plan::can_be_resumed(&look.facts, &look.around)),
        };
        if let Err(obstacle) = fits {
            return Ok(Attached::Blocked(Box::new(look), obstacle));
        }
        let now = self.clock.wall();
        let (session, resume) = (&look.facts.session, look.facts.resume.as_ref());
        let mut steps = attaching.steps;
        steps.push(TakeoverStep {
            ts: now,
            step: "attached".to_owned(),
            detail: format!("The session became the conversation {}.", created.conversation_id),
        });
        let control_socket = look.facts.control_socket.as_ref().filter(|_| attaching.strategy == Strategy::Attach);
        let attachment = NativeAttachment {
            agent: session.agent.clone(),
            session_id: session.session_id.clone(),
            home: session.home.clone(),
            cwd: look.cwd().unwrap_or_else(|| created.workspace.clone()),
            title: session.title.clone(),
            strategy: attaching.strategy,
            evidence: attaching.evidence,
            model: resume.and_then(|r| r.model.clone()).or_else(|| session.model.clone()),
            sandbox: resume.and_then(|r| r.sandbox.clone()),
            overrides: resume.map(|r| r.overrides.clone()).unwrap_or_default(),
            control_socket: control_socket.map(|s| s.to_string_lossy().into_owned()),
            cwd_only_confirmed: attaching.cwd_only_confirmed,
            attached_at: now,
            steps: steps.clone(),
        };
        let made = self.conversations.begin(created, Beginning::Attached(Box::new(attachment)), call).await?;
        Ok(if made.repeated { Attached::Repeated(Box::new(made)) } else { Attached::Made(Box::new(made), steps) })
    }

    /// The answer for a conversation that was made.
    ///
    /// # Errors
    /// `storage`.
    pub(super) async fn attached(
        &self,
        look: &Look,
        asked: &Asked,
        strategy: Strategy,
        made: Answer,
        steps: Vec<TakeoverStep>,
    ) -> Result<TakeoverAnswer, Failure> {
        let id = &made.state.settings.conversation_id;
        let how = match strategy {
            Strategy::Attach => "AKK joined it where it lives, and terminals that show it go on",
            Strategy::TerminateThenResume => "nobody runs it any more, and the next message resumes it",
            Strategy::SafeResume | Strategy::Fork => "the next message resumes it",
        };
        let mut answer = answer::of(look, asked, strategy, TakeoverStatus::Attached);
        answer.side_effects_executed = true;
        answer.explanation = format!("The session is the conversation {id} now: {how}.");
        answer.hint = Some(answer::say_something(id));
        answer.session.conversation_id = Some(id.clone());
        answer.steps = steps;
        answer.conversation = Some(self.view(&made.state).await?);
        Ok(answer)
    }
}

impl Look {
    /// Where the session works: absolute, as the agent has it.
    pub(super) fn cwd(&self) -> Option<String> {
        let resumed = self.facts.resume.as_ref().and_then(|r| r.cwd.to_str().map(str::to_owned));
        resumed.or_else(|| self.facts.session.cwd.clone())
    }
}

/// What is known of the holders of a session, in sentences.
pub(super) fn evidence(look: &Look) -> Vec<String> {
    if look.facts.holders.is_empty() {
        return vec!["Nobody ran the session: its lock and the processes were looked at.".to_owned()];
    }
    let known = look.facts.holders.iter();
    known.map(|h| words::sentence(&format!("{}: {}", words::process(h), words::evidence(h)))).collect()
}

/// A failure after something was done already says so.
pub(super) fn after_side_effects(mut failure: Failure, steps: &[TakeoverStep]) -> Failure {
    if failure.kind == ErrorKind::Storage || failure.kind == ErrorKind::Stopping {
        failure.hint = format!(
            "{} The process was ended already: take the session with safe_resume then.",
            failure.hint.trim_end()
        );
    }
    let steps = serde_json::to_value(steps).unwrap_or_default();
    failure.with("side_effects_executed", true).with("steps", steps)
}
