//! `terminate_then_resume`: a plan that is stored, and its one use.
//!
//! The order is what keeps it safe: everything is looked at again, and it is made sure that the session could be
//! attached; then the plan is marked as used, on the disk; then the first signal is sent; then the end of the processes
//! and of the lock is waited for; then the conversation is recorded. akkd may die anywhere in between: a plan that is
//! marked is never signalled for again. The same call (by its request id) goes on from there without a signal.

use super::Takeovers;
use super::answer;
use super::attach::{self, Attached, Attaching, Rule};
use super::confirm::{self, Confirmed, Next, Refusal, StoredPlan};
use super::ending::{Doomed, Ended, Held};
use super::look::Look;
use super::parameters::Asked;
use super::plan::{self, Obstacle};
use super::words;
use crate::config::Config;
use crate::conversation::Request;
use crate::platform::ProcessIdentity;
use crate::sessions::{Holder, Relative};
use crate::store::{PlanRow, PlanUse};
use akk_core::redact;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::Created;
use akk_proto::session::{
    BlockReason, SessionActivity, SessionItem, Strategy, TakeoverAnswer, TakeoverStatus, TakeoverStep, TargetView,
    TerminationPlan,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::Instant;

/// How long a plan may be confirmed, in milliseconds of wall time.
const GOOD_FOR_MS: i64 = 5 * 60_000;
/// Words of a command line in a plan, and characters of each.
const WORDS: usize = 20;
const WORD: usize = 200;
/// How long a session's lock is looked for at least, once the processes have ended.
const LOCK_WAIT: Duration = Duration::from_secs(1);
/// How often it is looked for where no event tells.
const LOOK_EVERY: Duration = Duration::from_millis(100);

const STRATEGY: Strategy = Strategy::TerminateThenResume;

/// A plan that is being carried out.
struct Carried {
    row: PlanRow,
    stored: StoredPlan,
    evidence: Vec<String>,
    created: Created,
    steps: Vec<TakeoverStep>,
    /// Whether anything may have been signalled, now or by the same call before.
    touched: bool,
}

impl Takeovers {
    /// Step 1: makes a plan and keeps it.
    ///
    /// # Errors
    /// `storage`.
    pub(super) async fn plan_the_end(&self, look: &Look, asked: &Asked) -> Result<TakeoverAnswer, Failure> {
        let judged = plan::judge(STRATEGY, &look.facts, &look.around, answer::allowed(asked));
        let target = plan::target(&look.facts, &look.around, answer::allowed(asked));
        let (explanation, target) = match (judged, target) {
            (Ok((_, explanation)), Ok(target)) => (explanation, target),
            (Err(obstacle), _) | (_, Err(obstacle)) => return Ok(answer::blocked(look, asked, STRATEGY, &obstacle)),
        };
        let now = self.clock.wall();
        let session = &look.facts.session;
        let plan = TerminationPlan {
            plan_id: format!("plan-{}", uuid::Uuid::now_v7()),
            expires_at: now.plus_millis(GOOD_FOR_MS),
            session_id: session.session_id.clone(),
            target: TargetView {
                pid: target.identity.pid,
                started_at: target.started_at,
                executable: target.executable.clone(),
                command: command(&target.command),
            },
            kind: target.kind,
            cwd: target.cwd.clone(),
            evidence: target.evidence,
            confidence: target.evidence.confidence(),
            children: target.relatives.iter().map(child).collect(),
            activity: session.activity,
        };
        let stored = StoredPlan {
            plan: plan.clone(),
            target: target.identity.clone(),
            relatives: target.relatives.iter().map(|r| r.identity.clone()).collect(),
        };
        let row = PlanRow {
            plan_id: plan.plan_id.clone(),
            agent: session.agent.clone(),
            session_id: session.session_id.clone(),
            pid: plan.target.pid,
            created_at: now,
            expires_at: plan.expires_at,
            used: None,
            plan: serde_json::to_value(&stored).map_err(|e| internal(&e))?,
        };
        self.store.plan_put(row).await?;
        let mut answer = answer::of(look, asked, STRATEGY, TakeoverStatus::RequiresConfirmation);
        answer.explanation = format!("{explanation} Nothing was done.");
        answer.hint = Some(confirmation(&stored, asked, session.activity));
        answer.plan = Some(plan);
        Ok(answer)
    }

    /// Step 2: looks at everything again and carries the plan out.
    ///
    /// # Errors
    /// `expected_pid_mismatch`, `takeover_not_confirmable`, `shared_holder`, `plan_expired`, `session_working`,
    /// `protected_process`; what the limits are refused with; `storage`.
    pub(super) async fn end_and_resume(
        &self,
        look: &Look,
        asked: &Asked,
        config: &Config,
        call: Option<Request>,
    ) -> Result<TakeoverAnswer, Failure> {
        if let Err(obstacle) = plan::refuse_adopted(&look.around) {
            return Ok(answer::blocked(look, asked, STRATEGY, &obstacle));
        }
        let row = self.confirmed_plan(look, asked).await?;
        let stored: StoredPlan = serde_json::from_value(row.plan.clone()).map_err(|e| internal(&e))?;
        if let Some(used) = row.used.clone() {
            return self.go_on_after(look, asked, config, call, row, stored, used).await;
        }
        let alive = stored.target.is_alive().map_err(|e| internal(&e))?;
        let confirmed = Confirmed {
            cwd_only: asked.params.allow_cwd_only,
            expected_pid: asked.params.expected_pid,
            even_if_working: asked.params.even_if_working,
        };
        let next = match confirm::recheck(&stored, &look.facts, &look.around, confirmed, alive) {
            Ok(next) => next,
            Err(Refusal::Failure(failure)) => return Err(failure),
            Err(Refusal::Blocked(obstacle)) => return Ok(answer::blocked(look, asked, STRATEGY, &obstacle)),
        };
        let created = self.created(look, asked, config).await?;
        let (held, checked) = match next {
            Next::End(holder) => {
                let held = Held::take(doomed(holder), self.clock.clone()).map_err(|e| internal(&e))?;
                (Some(held), checked(holder))
            }
            Next::HasEnded => (None, format!("Process {} has ended by itself; nobody runs the session.", row.pid)),
        };
        // It can have ended since the look: then its children are not our business.
        let held = held.filter(|h| h.holds(&stored.target));
        let mut carried = Carried {
            row,
            stored,
            evidence: attach::evidence(look),
            created,
            steps: vec![self.step("checked", checked)],
            touched: false,
        };
        self.use_up(&carried, asked).await?;
        // From here on the plan is used, whatever happens.
        let listener = look.provider.subscribe();
        if let Some(held) = held {
            let ended = held.end(asked.wait, asked.params.kill).await;
            carried.touched = ended.signalled;
            self.note(&mut carried, &ended).await;
            if !ended.left.is_empty() {
                return self.still_there(look, asked, carried, &ended).await;
            }
        }
        self.attach_freed(look, asked, call, carried, listener).await
    }

    /// The plan that the client confirms: unused, or used by this very call before akkd died.
    async fn confirmed_plan(&self, look: &Look, asked: &Asked) -> Result<PlanRow, Failure> {
        let session = &look.facts.session;
        let fits = |row: &PlanRow| row.agent == session.agent && row.session_id == session.session_id;
        if let Some(request_id) = &asked.params.request_id
            && let Some(row) = self.store.plan_used_by(request_id).await?.filter(fits)
        {
            return Ok(row);
        }
        let now = self.clock.wall();
        let expired = |why: String| {
            // Where the process could not be ended anyway, that says more than the age of a plan.
            let judged = plan::judge(STRATEGY, &look.facts, &look.around, answer::allowed(asked));
            if let Err(obstacle) = &judged
                && let Some(kind) = obstacle.kind()
            {
                return Failure::new(kind, obstacle.sentence.clone(), obstacle.hint.clone());
            }
            let again = match judged {
                Err(obstacle) => obstacle.hint,
                Ok(_) => words::advise(session, STRATEGY),
            };
            Failure::new(ErrorKind::PlanExpired, why, again)
        };
        let Some(plan_id) = &asked.params.plan_id else {
            let pid = asked.params.expected_pid.unwrap_or_default();
            let row = self.store.newest_plan(&session.agent, &session.session_id, pid, now).await?;
            return row.ok_or_else(|| expired(format!("there is no plan to end process {pid} that is still good")));
        };
        let shown = redact::cut(plan_id, 60);
        let Some(row) = self.store.plan(plan_id).await?.filter(fits) else {
            return Err(expired(format!("there is no plan {shown:?} for this session, or none any more")));
        };
        if let Some(pid) = asked.params.expected_pid.filter(|pid| *pid != row.pid) {
            let message = format!("the plan {shown} is for process {}, not for {pid}", row.pid);
            let failure = Failure::new(ErrorKind::ExpectedPidMismatch, message, words::advise(session, STRATEGY));
            return Err(failure.with("pid", row.pid));
        }
        match &row.used {
            Some(used) => Err(expired(format!("the plan {shown} was used up at {}", used.at))),
            None if !row.is_good(now) => Err(expired(format!("the plan {shown} was good until {}", row.expires_at))),
            None => Ok(row),
        }
    }

    /// Marks the plan as used, on the disk, before anything is done.
    async fn use_up(&self, carried: &Carried, asked: &Asked) -> Result<(), Failure> {
        let used = PlanUse {
            at: self.clock.wall(),
            request_id: asked.params.request_id.clone(),
            steps: serde_json::to_value(&carried.steps).map_err(|e| internal(&e))?,
        };
        if self.store.plan_use(&carried.row.plan_id, used).await? {
            return Ok(());
        }
        let message = format!("the plan {} was used by another call just now", carried.row.plan_id);
        Err(Failure::new(ErrorKind::PlanExpired, message, "See what came of it with `akkctl list`."))
    }

    /// The same call before had used the plan, and akkd died, or the processes were still there. Nothing is signalled
    /// again: who is still there now needs a new plan.
    #[expect(clippy::too_many_arguments, reason = "what one call knows, handed on once")]
    async fn go_on_after(
        &self,
        look: &Look,
        asked: &Asked,
        config: &Config,
        call: Option<Request>,
        row: PlanRow,
        stored: StoredPlan,
        used: PlanUse,
    ) -> Result<TakeoverAnswer, Failure> {
        let created = self.created(look, asked, config).await?;
        let mut steps: Vec<TakeoverStep> = serde_json::from_value(used.steps).unwrap_or_default();
        steps.push(
            self.step("checked", format!("This call had used the plan at {}; nothing is signalled again.", used.at)),
        );
        let everyone = std::iter::once(&stored.target).chain(&stored.relatives).map(by_number).collect();
        let mut carried = Carried { row, stored, evidence: attach::evidence(look), created, steps, touched: true };
        let listener = look.provider.subscribe();
        let held = Held::take(everyone, self.clock.clone()).map_err(|e| internal(&e))?;
        let ended = held.wait(asked.wait).await;
        self.note(&mut carried, &ended).await;
        if !ended.left.is_empty() {
            return self.still_there(look, asked, carried, &ended).await;
        }
        self.attach_freed(look, asked, call, carried, listener).await
    }

    /// Waits until the session is free, and attaches it.
    async fn attach_freed(
        &self,
        look: &Look,
        asked: &Asked,
        call: Option<Request>,
        mut carried: Carried,
        listener: broadcast::Receiver<Arc<SessionItem>>,
    ) -> Result<TakeoverAnswer, Failure> {
        let told = |failure: Failure, carried: &Carried| {
            if carried.touched { attach::after_side_effects(failure, &carried.steps) } else { failure }
        };
        let (look, free) = match self.until_free(look, &carried.stored, asked.wait, listener).await {
            Ok(found) => found,
            Err(failure) => return Err(told(failure, &carried)),
        };
        if let Err(obstacle) = free {
            return Ok(Self::not_attached(&look, asked, carried, &obstacle));
        }
        carried.steps.push(self.step("lock_free", "Nobody runs the session any more.".to_owned()));
        let attaching = Attaching {
            strategy: STRATEGY,
            rule: Rule::Free(carried.stored.counts_from()),
            evidence: carried.evidence.clone(),
            cwd_only_confirmed: carried.stored.cwd_only(),
            steps: carried.steps.clone(),
        };
        let mut answer = match self.attach(&look, carried.created.clone(), attaching, call).await {
            Ok(Attached::Made(made, steps)) => {
                carried.steps = steps;
                self.attached(&look, asked, STRATEGY, *made, carried.steps.clone()).await?
            }
            Ok(Attached::Repeated(made)) => return self.repeated(&made.state).await,
            Ok(Attached::Blocked(look, obstacle)) => {
                return Ok(Self::not_attached(&look, asked, carried, &obstacle));
            }
            Err(failure) => return Err(told(failure, &carried)),
        };
        if !carried.touched {
            answer.explanation = format!(
                "Process {} had ended by itself, and nothing was signalled. {}",
                carried.row.pid, answer.explanation
            );
        }
        answer.plan = Some(carried.stored.plan.clone());
        self.note(&mut carried, &Ended::default()).await;
        Ok(answer)
    }

    /// Looks until nobody runs the session, at each event about it and every 100 ms: an event may be missed.
    async fn until_free(
        &self,
        look: &Look,
        stored: &StoredPlan,
        wait: Duration,
        mut listener: broadcast::Receiver<Arc<SessionItem>>,
    ) -> Result<(Look, Result<(), Obstacle>), Failure> {
        let deadline = Instant::now() + wait.max(LOCK_WAIT);
        let id = look.facts.session.session_id.clone();
        let mut deaf = false;
        loop {
            let now = self.look_again(look).await?;
            let free = plan::refuse_held(&now.facts, &now.around, stored.counts_from());
            if free.is_ok() || Instant::now() >= deadline {
                return Ok((now, free));
            }
            let next = (Instant::now() + LOOK_EVERY).min(deadline);
            let about_it = async {
                loop {
                    match listener.recv().await {
                        Ok(item) if !is_about(&item, &id) => {}
                        Err(RecvError::Closed) => return true,
                        _ => return false,
                    }
                }
            };
            if deaf {
                tokio::time::sleep_until(next).await;
            } else {
                deaf = tokio::time::timeout_at(next, about_it).await.unwrap_or(false);
            }
        }
    }

    /// The processes were signalled and some still run.
    async fn still_there(
        &self,
        look: &Look,
        asked: &Asked,
        mut carried: Carried,
        ended: &Ended,
    ) -> Result<TakeoverAnswer, Failure> {
        let left: Vec<&str> = ended.left.iter().map(|one| one.name.as_str()).collect();
        let left = left.join(", ");
        carried.steps.push(self.step("still_active", format!("After the wait, still there: {left}.")));
        self.note(&mut carried, &Ended::default()).await;
        // The session itself may be free by now: then it need not be ended by force.
        let now = self.look_again(look).await.unwrap_or_else(|_| look.clone());
        let free = plan::refuse_held(&now.facts, &now.around, carried.stored.counts_from()).is_ok();
        let hint = if free {
            format!("Nobody runs the session any more. {}", words::advise(&now.facts.session, Strategy::SafeResume))
        } else if asked.params.kill {
            words::advise(&now.facts.session, Strategy::Fork)
        } else {
            format!(
                "Wait and ask again, or make a new plan and add --kill: {}",
                words::advise(&now.facts.session, STRATEGY)
            )
        };
        let obstacle =
            Obstacle::new(BlockReason::TargetStillActive, format!("still there after the wait: {left}"), hint);
        Ok(Self::not_attached(&now, asked, carried, &obstacle))
    }

    /// The answer when the plan was used and there is no conversation.
    fn not_attached(look: &Look, asked: &Asked, carried: Carried, obstacle: &Obstacle) -> TakeoverAnswer {
        let mut answer = answer::blocked(look, asked, STRATEGY, obstacle);
        answer.side_effects_executed = carried.touched;
        if carried.touched {
            answer.explanation =
                format!("Processes were asked to end, and the session was not attached: {}", answer.explanation);
        }
        answer.plan = Some(carried.stored.plan);
        answer.steps = carried.steps;
        answer
    }

    /// Keeps what was done, beside the plan. A fault of the disk does not stop what has begun.
    async fn note(&self, carried: &mut Carried, ended: &Ended) {
        carried.steps.extend(ended.steps.iter().cloned());
        for step in &ended.steps {
            tracing::info!(plan = %carried.row.plan_id, step = %step.step, detail = %step.detail, "takeover");
        }
        let steps = serde_json::to_value(&carried.steps).unwrap_or_default();
        if let Err(error) = self.store.plan_steps(&carried.row.plan_id, steps).await {
            tracing::warn!(plan = %carried.row.plan_id, %error, "what was done could not be noted");
        }
    }

    fn step(&self, step: &str, detail: String) -> TakeoverStep {
        TakeoverStep { ts: self.clock.wall(), step: step.to_owned(), detail }
    }
}

fn is_about(item: &SessionItem, id: &str) -> bool {
    match item {
        SessionItem::Session { session, .. } => session.session_id == id,
        SessionItem::Live { .. } | SessionItem::Missed { .. } => true,
    }
}

fn command(words: &[String]) -> Vec<String> {
    words.iter().take(WORDS).map(|w| redact::preview(w, WORD)).collect()
}

fn child(relative: &Relative) -> TargetView {
    TargetView {
        pid: relative.identity.pid,
        started_at: None,
        executable: relative.executable.clone(),
        command: command(&relative.command),
    }
}

/// The holder, then what must end with it.
fn doomed(holder: &Holder) -> Vec<Doomed> {
    let relative = |r: &Relative| Doomed {
        identity: r.identity.clone(),
        name: match r.command.first() {
            Some(word) => format!("process {} ({})", r.identity.pid, redact::preview(word, WORD)),
            None => format!("process {}", r.identity.pid),
        },
    };
    let target = Doomed { identity: holder.identity.clone(), name: words::process(holder) };
    std::iter::once(target).chain(holder.relatives.iter().map(relative)).collect()
}

fn by_number(identity: &ProcessIdentity) -> Doomed {
    Doomed { identity: identity.clone(), name: format!("process {}", identity.pid) }
}

fn checked(holder: &Holder) -> String {
    format!("It is the process of the plan: {}; {}.", words::process(holder), words::evidence(holder))
}

/// What to type to confirm a plan.
fn confirmation(stored: &StoredPlan, asked: &Asked, activity: SessionActivity) -> String {
    let mut words = format!(
        "akkctl takeover {} --strategy terminate_then_resume --create --confirm {}",
        stored.plan.session_id, stored.plan.target.pid
    );
    for (flag, needed) in [
        (" --allow-cwd-only", stored.cwd_only()),
        (" --even-if-working", activity != SessionActivity::Idle),
        (" --kill", asked.params.kill),
    ] {
        if needed {
            words.push_str(flag);
        }
    }
    let minutes = GOOD_FOR_MS / 60_000;
    format!("Confirm it within {minutes} minutes with `{words}`.")
}

fn internal(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        ErrorKind::Internal,
        format!("the plan could not be carried out: {error}"),
        "Nothing was signalled; try again.",
    )
}
