//! Whether a plan that was confirmed still holds: decided from facts, without looking at anything.

use super::plan::{self, Allowed, Circumstances, Obstacle};
use super::words;
use crate::platform::ProcessIdentity;
use crate::sessions::{Holder, SessionFacts};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::session::{BlockReason, Confidence, SessionActivity, Strategy, TerminationPlan};
use serde::{Deserialize, Serialize};

/// A plan as it is stored. Only ever added to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredPlan {
    /// What the user saw.
    pub(super) plan: TerminationPlan,
    /// Who is to be ended.
    pub(super) target: ProcessIdentity,
    /// Who is to be ended with it.
    pub(super) relatives: Vec<ProcessIdentity>,
}

impl StoredPlan {
    /// Whether the user confirms more than was certain.
    pub(super) fn cwd_only(&self) -> bool {
        self.plan.evidence.confidence() != Confidence::Exact
    }

    /// How sure it must be that a process runs the session, to stand in the way once the target has ended. Where the
    /// target itself was a guess, every other guess counts as much.
    pub(super) fn counts_from(&self) -> Confidence {
        if self.cwd_only() { Confidence::Low } else { Confidence::Medium }
    }
}

/// What the user said with the confirmation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Confirmed {
    /// The process may be ended although it is known by its directory only.
    pub(super) cwd_only: bool,
    /// This process.
    pub(super) expected_pid: Option<u32>,
    /// Although a turn runs.
    pub(super) even_if_working: bool,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next<'f> {
    /// It is the one of the plan: it is to be ended.
    End(&'f Holder),
    /// It has ended by itself, and nobody else runs the session.
    HasEnded,
}

/// Why nothing is done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Refusal {
    /// Told as an error.
    Failure(Failure),
    /// Told as an answer.
    Blocked(Obstacle),
}

impl From<Obstacle> for Refusal {
    /// What a confirmed call is refused with is an error where one has a kind of its own.
    fn from(obstacle: Obstacle) -> Self {
        match obstacle.kind() {
            Some(kind) => Self::Failure(Failure::new(kind, obstacle.sentence, obstacle.hint)),
            None => Self::Blocked(obstacle),
        }
    }
}

/// Looks at everything again: same process, same session by evidence that is as good, and nothing that stands against
/// ending it. `alive`: whether the process of the plan still runs.
///
/// # Errors
/// Why nothing is done.
pub(super) fn recheck<'f>(
    stored: &StoredPlan,
    facts: &'f SessionFacts,
    around: &Circumstances,
    confirmed: Confirmed,
    alive: bool,
) -> Result<Next<'f>, Refusal> {
    plan::refuse_adopted(around)?;
    let Some(holder) = facts.holders.iter().find(|h| h.identity == stored.target) else {
        return gone(stored, facts, around, alive);
    };
    let was = &stored.plan;
    let changed = if holder.kind != was.kind {
        Some(format!("it was of the kind {} and is of the kind {}", was.kind.as_str(), holder.kind.as_str()))
    } else if program(holder.executable.as_deref()) != program(was.target.executable.as_deref()) {
        Some("it runs another program".to_owned())
    } else if holder.evidence > was.evidence {
        Some(format!("the plan was made because of its {}, now {}", was.evidence.as_str(), words::evidence(holder)))
    } else if stored.cwd_only() && holder.cwd != was.cwd {
        Some("it runs in another directory".to_owned())
    } else {
        None
    };
    if let Some(changed) = changed {
        return Err(mismatch(
            stored,
            &format!("process {} is not what was confirmed: {changed}", was.target.pid),
            &see_the_plan_again(facts),
        ));
    }
    let target = plan::target(facts, around, Allowed { cwd_only: confirmed.cwd_only })?;
    if target.identity != stored.target {
        return Err(mismatch(
            stored,
            &format!("{} runs the session now, not process {}", words::process(target), was.target.pid),
            &see_the_plan_again(facts),
        ));
    }
    if target.evidence.confidence() != Confidence::Exact && confirmed.expected_pid != Some(was.target.pid) {
        return Err(Obstacle::new(
            BlockReason::WeakEvidence,
            format!("that {} runs the session is not certain: {}", words::process(target), words::evidence(target)),
            "Name the process too, if you know that it is the one (--confirm PID --allow-cwd-only).",
        )
        .into());
    }
    plan::can_be_resumed(facts, around)?;
    let what = match facts.session.activity {
        SessionActivity::Idle => return Ok(Next::End(target)),
        SessionActivity::Working => "a turn runs in the session, and would be broken off",
        SessionActivity::Unknown => "whether a turn runs in the session cannot be told",
    };
    if confirmed.even_if_working {
        return Ok(Next::End(target));
    }
    Err(Obstacle::new(BlockReason::Working, what, "Wait for its end, or confirm with --even-if-working.").into())
}

/// The process of the plan does not run the session any more.
fn gone<'f>(
    stored: &StoredPlan,
    facts: &SessionFacts,
    around: &Circumstances,
    alive: bool,
) -> Result<Next<'f>, Refusal> {
    let pid = stored.plan.target.pid;
    let others: Vec<&Holder> = plan::holders(facts, stored.counts_from()).collect();
    if !others.is_empty() {
        let named = words::processes(&others);
        let message = format!("process {pid} of the plan does not run the session any more, {named} does");
        return Err(mismatch(stored, &message, &see_the_plan_again(facts)));
    }
    if alive {
        let message = format!("process {pid} still runs, but it does not run this session any more; nobody does");
        return Err(mismatch(stored, &message, &words::advise(&facts.session, Strategy::SafeResume)));
    }
    plan::refuse_incomplete(facts, around)?;
    plan::can_be_resumed(facts, around)?;
    Ok(Next::HasEnded)
}

fn mismatch(stored: &StoredPlan, message: &str, hint: &str) -> Refusal {
    let failure = Failure::new(ErrorKind::ExpectedPidMismatch, message, hint);
    Refusal::Failure(failure.with("pid", stored.plan.target.pid))
}

fn see_the_plan_again(facts: &SessionFacts) -> String {
    format!("Look again with `akkctl takeover {}`.", facts.session.session_id)
}

/// The program's file. Linux marks one that was replaced on the disk while it runs, by an update for instance: the
/// process is the same.
fn program(executable: Option<&str>) -> Option<&str> {
    executable.map(|e| e.strip_suffix(" (deleted)").unwrap_or(e))
}
