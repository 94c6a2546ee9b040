//! Takes native sessions over: what is possible is planned from facts, then carried out.
//!
//! `plan` and `confirm` decide and look at nothing; `look` gathers what they decide from; `attach`, `terminate` and
//! `fork` do what was decided. Whatever is not known for certain stands against doing anything.

mod answer;
mod attach;
mod confirm;
mod ending;
mod fork;
mod look;
mod parameters;
mod plan;
mod taken;
mod terminate;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod words;

use crate::clock::Clock;
use crate::config::Config;
use crate::conversation::{Conversations, Request};
use crate::sessions::{SessionProvider, Sessions};
use crate::store::Store;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::session::{BlockReason, SessionActivity, Strategy, TakeoverAnswer, TakeoverParams, TakeoverStatus};
use futures_util::future::BoxFuture;
use look::{Look, ask};
use parameters::Asked;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;

const METHOD: &str = "sessions.takeover";

/// Asks the daemon at a control socket whether a session, named by its id, can be joined in it, and whether a turn runs
/// there; where it cannot be joined, a clause says why.
pub type JoinProbe = Arc<dyn Fn(PathBuf, String) -> BoxFuture<'static, Result<SessionActivity, String>> + Send + Sync>;

/// What a takeover must reach outside of this room.
#[derive(Clone)]
pub struct Outside {
    /// akkd's environment, in which the programs of agents are looked for.
    pub environment: BTreeMap<String, String>,
    /// How a daemon is asked whether a session can be joined.
    pub joining: JoinProbe,
}

/// Locks of sessions that are being taken over, by agent and session.
type Busy = HashMap<(String, String), Arc<tokio::sync::Mutex<()>>>;

/// Makes native sessions conversations. Cheap to clone.
#[derive(Clone)]
pub struct Takeovers {
    store: Store,
    conversations: Conversations,
    sessions: Sessions,
    outside: Outside,
    clock: Clock,
    /// One takeover of a session at a time.
    busy: Arc<Mutex<Busy>>,
}

impl Takeovers {
    /// What it takes.
    pub fn new(store: Store, conversations: Conversations, sessions: Sessions, outside: Outside, clock: Clock) -> Self {
        Self { store, conversations, sessions, outside, clock, busy: Arc::default() }
    }

    /// Answers `sessions.takeover`. `caller`: the process that asks, where it is known; neither it nor its ancestors
    /// are ended.
    ///
    /// What was begun is carried to its end when this future is dropped.
    ///
    /// # Errors
    /// `session_not_found`, and what stands against a confirmed takeover.
    pub async fn takeover(
        &self,
        params: TakeoverParams,
        config: &Config,
        caller: Option<u32>,
    ) -> Result<TakeoverAnswer, Failure> {
        // A repeat is answered whatever has become of the session since.
        if let Some(answer) = self.answered_before(&params).await? {
            return Ok(answer);
        }
        let asked = Asked::read(params)?;
        let provider = self.sessions.provider(asked.params.agent.as_deref())?;
        let text = asked.params.session_id.trim().to_owned();
        let session_id = ask(&provider, move |p| p.resolve(&text)).await?;
        if !asked.acts() {
            return self.explain(provider, &session_id, &asked, config, caller).await;
        }
        let (this, config) = (self.clone(), config.clone());
        // A caller that hangs up between the signal and the record must not leave a session to nobody.
        let doing = tokio::spawn(async move { this.act(provider, &session_id, &asked, &config, caller).await });
        doing.await.unwrap_or_else(|error| {
            let hint = "Look with `akkctl list` what came of it.";
            Err(Failure::new(ErrorKind::Internal, format!("the takeover broke off: {error}"), hint))
        })
    }

    /// The answer to a call that made a conversation before.
    async fn answered_before(&self, params: &TakeoverParams) -> Result<Option<TakeoverAnswer>, Failure> {
        let Some(request_id) = &params.request_id else { return Ok(None) };
        let Some(found) = self.store.find_request(request_id).await? else { return Ok(None) };
        if found.method != METHOD {
            let (method, id) = (&found.method, &found.conversation_id);
            let message = format!("request_id {request_id} was used for {method} of {id} already");
            return Err(Failure::new(ErrorKind::InvalidParams, message, "Use a fresh request_id for each call."));
        }
        let state = self.conversations.state(&found.conversation_id).await?;
        self.repeated(&state).await.map(Some)
    }

    /// Says what is possible. Nothing is done; a plan is kept, so that it can be confirmed.
    async fn explain(
        &self,
        provider: Arc<dyn SessionProvider>,
        session_id: &str,
        asked: &Asked,
        config: &Config,
        caller: Option<u32>,
    ) -> Result<TakeoverAnswer, Failure> {
        let look = self.look(provider, session_id, config, caller).await?;
        self.check_settings(&look, asked, config)?;
        match asked.params.strategy {
            None => self.explain_all(&look, asked).await,
            Some(Strategy::TerminateThenResume) => self.plan_the_end(&look, asked).await,
            Some(Strategy::Fork) => self.fork_context(&look, asked).await,
            Some(strategy) => Ok(explain_one(&look, asked, strategy)),
        }
    }

    async fn explain_all(&self, look: &Look, asked: &Asked) -> Result<TakeoverAnswer, Failure> {
        let strategies = plan::assess(&look.facts, &look.around, answer::allowed(asked));
        let recommended = plan::recommend(&look.facts, &strategies);
        let mut answer = match recommended {
            Strategy::TerminateThenResume => self.plan_the_end(look, asked).await?,
            other => explain_one(look, asked, other),
        };
        if recommended == Strategy::Fork
            && let Some(first) = strategies.first()
        {
            // Why not simply resume it is what the user wants to know first.
            answer.explanation = format!("{} {}", first.explanation, answer.explanation);
            if first.reason == Some(BlockReason::AlreadyAdopted)
                && let Err(obstacle) = plan::refuse_adopted(&look.around)
            {
                answer.hint = Some(obstacle.hint);
            }
        }
        answer.strategies = strategies;
        Ok(answer)
    }

    /// Refuses limits and names that could not be, before anything is done or confirmed.
    fn check_settings(&self, look: &Look, asked: &Asked, config: &Config) -> Result<(), Failure> {
        let agent = config.agent(look.provider.agent())?;
        let making = asked.making(&look.facts.session);
        making.created(&PathBuf::from("/"), agent, config, self.clock.wall()).map(drop)
    }

    /// Does what was asked for, alone with the session.
    async fn act(
        &self,
        provider: Arc<dyn SessionProvider>,
        session_id: &str,
        asked: &Asked,
        config: &Config,
        caller: Option<u32>,
    ) -> Result<TakeoverAnswer, Failure> {
        let _alone = self.alone_with(provider.agent(), session_id).await;
        // The same call may have been at work until now.
        if let Some(answer) = self.answered_before(&asked.params).await? {
            return Ok(answer);
        }
        let look = self.look(provider, session_id, config, caller).await?;
        self.check_settings(&look, asked, config)?;
        let call = asked.params.request_id.clone().map(|request_id| Request { request_id, method: METHOD });
        match asked.params.strategy {
            Some(Strategy::TerminateThenResume) => self.end_and_resume(&look, asked, config, call).await,
            Some(Strategy::Fork) => self.fork(&look, asked, config, call).await,
            Some(strategy) => self.resume_or_join(&look, asked, strategy, config, call).await,
            None => self.explain_all(&look, asked).await,
        }
    }

    async fn alone_with(&self, agent: &str, session_id: &str) -> OwnedMutexGuard<()> {
        let lock = {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            busy.retain(|_, lock| Arc::strong_count(lock) > 1);
            busy.entry((agent.to_owned(), session_id.to_owned())).or_default().clone()
        };
        lock.lock_owned().await
    }
}

/// Whether one strategy that needs no confirmation is possible.
fn explain_one(look: &Look, asked: &Asked, strategy: Strategy) -> TakeoverAnswer {
    match plan::judge(strategy, &look.facts, &look.around, answer::allowed(asked)) {
        Err(obstacle) => answer::blocked(look, asked, strategy, &obstacle),
        Ok((status, explanation)) => {
            let mut answer = answer::of(look, asked, strategy, status);
            let done = if status == TakeoverStatus::Ready { " Nothing was done yet." } else { "" };
            answer.explanation = format!("{explanation}{done}");
            answer.hint = Some(words::advise(&look.facts.session, strategy));
            answer
        }
    }
}
