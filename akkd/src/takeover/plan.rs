//! What is possible with a session, and why not: decided from facts, without looking at anything.

use super::words;
use crate::sessions::{Holder, SessionFacts};
use akk_proto::ConversationId;
use akk_proto::error::ErrorKind;
use akk_proto::session::{
    BlockReason, Capability, Confidence, ProcessKind, SessionActivity, Strategy, StrategyView, TakeoverStatus,
};
use std::collections::BTreeMap;

/// What must be known besides the session itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Circumstances {
    /// The open conversation that has the session already.
    pub(super) adopted_by: Option<ConversationId>,
    /// Why the session's directory cannot be used, as a clause; none when it can.
    pub(super) no_workspace: Option<String>,
    /// Why the program that resumes sessions cannot be started, as a clause; none when it can.
    pub(super) no_program: Option<String>,
    /// What is at the control socket of the daemon.
    pub(super) control: Control,
    /// Processes that are not to be ended, whoever asks, by pid.
    pub(super) guarded: BTreeMap<u32, Guard>,
    /// What could not be read besides what the provider says, in sentences.
    pub(super) incomplete: Vec<String>,
}

/// What is at the control socket of a daemon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Control {
    /// There is none.
    #[default]
    Absent,
    /// Somebody answers, and the session can be joined there.
    CanBeJoined,
    /// Nobody answers, or the session cannot be joined there: why, as a clause.
    CannotBeJoined(String),
}

/// Why a process is not to be ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Guard {
    /// akkd started it, for this conversation where that is known.
    Ours(Option<ConversationId>),
    /// It is akkd, or akkd descends from it.
    Akkd,
    /// It is the caller, or the caller descends from it.
    Caller,
    /// It belongs to another user.
    Foreign,
}

/// What stands against a strategy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Obstacle {
    /// Why, for programs.
    pub(super) reason: BlockReason,
    /// Why, for people: a sentence without a full stop.
    pub(super) sentence: String,
    /// What to do next: a sentence.
    pub(super) hint: String,
}

impl Obstacle {
    pub(super) fn new(reason: BlockReason, sentence: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { reason, sentence: sentence.into(), hint: hint.into() }
    }

    /// The error that a confirmed call gets for it; none where an answer `blocked` says it.
    pub(super) fn kind(&self) -> Option<ErrorKind> {
        match self.reason {
            BlockReason::SharedHolder => Some(ErrorKind::SharedHolder),
            BlockReason::WeakEvidence => Some(ErrorKind::TakeoverNotConfirmable),
            BlockReason::Working => Some(ErrorKind::SessionWorking),
            BlockReason::ProtectedProcess => Some(ErrorKind::ProtectedProcess),
            _ => None,
        }
    }
}

/// What the user allowed besides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Allowed {
    /// To end a process that is known by its directory only.
    pub(super) cwd_only: bool,
}

/// Every strategy, the least intrusive first.
pub(super) fn assess(facts: &SessionFacts, around: &Circumstances, allowed: Allowed) -> Vec<StrategyView> {
    let view = |strategy| match judge(strategy, facts, around, allowed) {
        Ok((status, explanation)) => StrategyView { strategy, status, reason: None, explanation },
        Err(obstacle) => StrategyView {
            strategy,
            status: TakeoverStatus::Blocked,
            reason: Some(obstacle.reason),
            explanation: words::sentence(&obstacle.sentence),
        },
    };
    Strategy::ALL.into_iter().map(view).collect()
}

/// The least intrusive strategy that works. To break a turn off is no advice to give unasked.
pub(super) fn recommend(facts: &SessionFacts, views: &[StrategyView]) -> Strategy {
    let idle = facts.session.activity == SessionActivity::Idle;
    let good = |v: &&StrategyView| {
        v.status != TakeoverStatus::Blocked && (idle || v.strategy != Strategy::TerminateThenResume)
    };
    views.iter().find(good).or(views.first()).map_or(Strategy::SafeResume, |v| v.strategy)
}

/// What asking for one strategy comes to, with a sentence about it.
///
/// # Errors
/// What stands against it.
pub(super) fn judge(
    strategy: Strategy,
    facts: &SessionFacts,
    around: &Circumstances,
    allowed: Allowed,
) -> Result<(TakeoverStatus, String), Obstacle> {
    match strategy {
        Strategy::SafeResume => {
            refuse_adopted(around)?;
            refuse_held(facts, around, Confidence::Low)?;
            can_be_resumed(facts, around)?;
            Ok((TakeoverStatus::Ready, "Nobody runs the session: AKK can resume it.".to_owned()))
        }
        Strategy::Attach => {
            refuse_adopted(around)?;
            let daemon = daemon(facts, around)?;
            can_be_gone_on_with(facts, around)?;
            Ok((
                TakeoverStatus::Ready,
                format!(
                    "The session lives in {}: AKK can join it there, and terminals that show it go on.",
                    words::process(daemon)
                ),
            ))
        }
        Strategy::TerminateThenResume => {
            refuse_adopted(around)?;
            let target = target(facts, around, allowed)?;
            can_be_resumed(facts, around)?;
            let turn = match facts.session.activity {
                SessionActivity::Idle => "",
                SessionActivity::Working => " A turn runs in it, which would be broken off.",
                SessionActivity::Unknown => " Whether a turn runs in it cannot be told.",
            };
            Ok((
                TakeoverStatus::RequiresConfirmation,
                format!("AKK can end {} and resume the session, once you confirm that.{turn}", words::process(target)),
            ))
        }
        Strategy::Fork => {
            if let Some(why) = &around.no_workspace {
                return Err(workspace_gone(why));
            }
            Ok((
                TakeoverStatus::AwaitingOpenclawSummary,
                "A new session can begin with a summary of this one that the user confirmed; this one is not touched."
                    .to_owned(),
            ))
        }
    }
}

/// The one process that would be ended.
///
/// # Errors
/// Why none may be.
pub(super) fn target<'f>(
    facts: &'f SessionFacts,
    around: &Circumstances,
    allowed: Allowed,
) -> Result<&'f Holder, Obstacle> {
    // Who merely sits in the same directory is nobody beside one who certainly runs the session.
    let sure: Vec<&Holder> = holders(facts, Confidence::Medium).collect();
    let candidates = if sure.is_empty() { facts.holders.iter().collect() } else { sure };
    let Some(first) = candidates.first().copied() else {
        refuse_incomplete(facts, around)?;
        return Err(Obstacle::new(
            BlockReason::NoHolder,
            "nobody runs the session: there is nothing to end",
            words::advise(&facts.session, Strategy::SafeResume),
        ));
    };
    for holder in &candidates {
        refuse_guarded(holder, around)?;
    }
    let elsewhere = || words::instead(facts, around);
    if candidates.len() > 1 {
        return Err(Obstacle::new(
            BlockReason::SharedHolder,
            format!("several processes run the session or seem to: {}", words::processes(&candidates)),
            elsewhere(),
        ));
    }
    match first.kind {
        ProcessKind::Tui | ProcessKind::Exec => {}
        ProcessKind::AppServer | ProcessKind::Daemon | ProcessKind::AcpAdapter => {
            return Err(Obstacle::new(
                BlockReason::SharedHolder,
                format!("the session lives in {}, which serves others too and is not ended", words::process(first)),
                elsewhere(),
            ));
        }
        ProcessKind::Unknown => {
            return Err(Obstacle::new(
                BlockReason::WeakEvidence,
                format!("{} runs the session, and what it is cannot be told", words::process(first)),
                elsewhere(),
            ));
        }
    }
    if !first.also_holds.is_empty() {
        return Err(Obstacle::new(
            BlockReason::SharedHolder,
            format!("{} runs {} too", words::process(first), words::sessions(&first.also_holds)),
            elsewhere(),
        ));
    }
    if first.evidence.confidence() != Confidence::Exact && !may_be_ended_by_its_directory(first, facts, allowed) {
        return Err(Obstacle::new(
            BlockReason::WeakEvidence,
            format!("that {} runs the session is not certain: {}", words::process(first), words::evidence(first)),
            format!(
                "If you know that it does, see the plan with `akkctl takeover {} --strategy terminate_then_resume \
                 --allow-cwd-only`; {}",
                facts.session.session_id,
                words::decapitalised(&elsewhere()),
            ),
        ));
    }
    refuse_incomplete(facts, around)?;
    Ok(first)
}

/// Whether a process that is not known for certain may be ended: it runs in the session's own directory, and the user
/// says that it is the one.
fn may_be_ended_by_its_directory(holder: &Holder, facts: &SessionFacts, allowed: Allowed) -> bool {
    allowed.cwd_only && holder.cwd.is_some() && holder.cwd == facts.session.cwd
}

/// The daemon in which the session certainly lives and that answers.
///
/// # Errors
/// Why there is none.
pub(super) fn daemon<'f>(facts: &'f SessionFacts, around: &Circumstances) -> Result<&'f Holder, Obstacle> {
    let Some(first) = facts.holders.first() else {
        refuse_incomplete(facts, around)?;
        return Err(Obstacle::new(
            BlockReason::NoHolder,
            "nobody runs the session: there is nothing to join",
            words::advise(&facts.session, Strategy::SafeResume),
        ));
    };
    let Some(daemon) = server(facts) else {
        return Err(Obstacle::new(
            BlockReason::NoControlSocket,
            match first.evidence.confidence() {
                Confidence::Exact => {
                    format!(
                        "{} runs the session by itself, not in a daemon that could be joined",
                        words::process(first)
                    )
                }
                _ => "the session is not known to live in a daemon that could be joined".to_owned(),
            },
            words::instead(facts, around),
        ));
    };
    if let Some(guard @ Guard::Ours(_)) = around.guarded.get(&daemon.identity.pid) {
        return Err(guarded(daemon, guard));
    }
    let why = match &around.control {
        Control::CanBeJoined => return Ok(daemon),
        Control::Absent => "it has no control socket".to_owned(),
        Control::CannotBeJoined(why) => format!("cannot be joined there: {}", why.trim_end_matches('.')),
    };
    Err(Obstacle::new(
        BlockReason::NoControlSocket,
        format!("the session lives in {}, and {why}", words::process(daemon)),
        words::instead(facts, around),
    ))
}

/// The server in which the session certainly lives.
fn server(facts: &SessionFacts) -> Option<&Holder> {
    let serves = |h: &&Holder| matches!(h.kind, ProcessKind::AppServer | ProcessKind::Daemon);
    holders(facts, Confidence::Exact).find(serves)
}

/// Whether the session can be joined where it lives.
pub(super) fn can_be_joined(facts: &SessionFacts, around: &Circumstances) -> bool {
    let ours = |h: &Holder| matches!(around.guarded.get(&h.identity.pid), Some(Guard::Ours(_)));
    around.control == Control::CanBeJoined && server(facts).is_some_and(|h| !ours(h))
}

/// Those that run the session, or seem to, with at least this certainty.
pub(super) fn holders(facts: &SessionFacts, at_least: Confidence) -> impl Iterator<Item = &Holder> {
    facts.holders.iter().filter(move |h| h.evidence.confidence() >= at_least)
}

/// Refuses a session that an open conversation has.
pub(super) fn refuse_adopted(around: &Circumstances) -> Result<(), Obstacle> {
    match &around.adopted_by {
        None => Ok(()),
        Some(id) => Err(Obstacle::new(
            BlockReason::AlreadyAdopted,
            format!("the session belongs to the open conversation {id} already"),
            format!("Send to that conversation (`akkctl send {id} TEXT`), or close it first."),
        )),
    }
}

/// Refuses a session that somebody runs, or seems to run with at least this certainty, or of which nobody can say.
pub(super) fn refuse_held(facts: &SessionFacts, around: &Circumstances, at_least: Confidence) -> Result<(), Obstacle> {
    let holders: Vec<&Holder> = holders(facts, at_least).collect();
    if holders.is_empty() {
        return refuse_incomplete(facts, around);
    }
    let certain = holders.iter().any(|h| h.evidence.confidence() == Confidence::Exact);
    let named = words::processes(&holders);
    let sentence = match (certain, &holders[..]) {
        (true, [_]) => format!("{named} runs the session"),
        (true, _) => format!("{named} run the session"),
        (false, [one]) => format!("{named} seems to run the session: {}", words::evidence(one)),
        (false, _) => format!("{named} seem to run the session"),
    };
    Err(Obstacle::new(BlockReason::ActiveCliConflict, sentence, words::instead(facts, around)))
}

/// Refuses while nobody can say who runs the session.
pub(super) fn refuse_incomplete(facts: &SessionFacts, around: &Circumstances) -> Result<(), Obstacle> {
    let unread: Vec<&str> = facts.incomplete.iter().chain(&around.incomplete).map(String::as_str).collect();
    if unread.is_empty() {
        return Ok(());
    }
    Err(Obstacle::new(
        BlockReason::FactsIncomplete,
        format!("nobody can say who runs the session: {}", words::clauses(&unread)),
        format!(
            "Make that readable and ask again; {}",
            words::decapitalised(&words::advise(&facts.session, Strategy::Fork))
        ),
    ))
}

fn refuse_guarded(holder: &Holder, around: &Circumstances) -> Result<(), Obstacle> {
    if let Some(guard) = around.guarded.get(&holder.identity.pid) {
        return Err(guarded(holder, guard));
    }
    for relative in &holder.relatives {
        if let Some(guard) = around.guarded.get(&relative.identity.pid) {
            let mut obstacle = guarded(holder, guard);
            obstacle.sentence = format!(
                "with {} its process {} would be ended, and {}",
                words::process(holder),
                relative.identity.pid,
                words::guard(guard)
            );
            return Err(obstacle);
        }
    }
    Ok(())
}

fn guarded(holder: &Holder, guard: &Guard) -> Obstacle {
    let hint = match guard {
        Guard::Ours(Some(id)) => format!("Send to the conversation {id}, or close it first."),
        Guard::Ours(None) => "Wait until its turn is over.".to_owned(),
        Guard::Akkd => {
            "Start akkd outside of that session: `akkctl daemon stop`, then any command elsewhere.".to_owned()
        }
        Guard::Caller => "Ask from a terminal outside of that session.".to_owned(),
        Guard::Foreign => "Ask its user.".to_owned(),
    };
    Obstacle::new(
        BlockReason::ProtectedProcess,
        format!("{} runs the session, and {}", words::process(holder), words::guard(guard)),
        hint,
    )
}

/// Refuses a session that would not be resumed, or not where it belongs, or by nothing.
pub(super) fn can_be_resumed(facts: &SessionFacts, around: &Circumstances) -> Result<(), Obstacle> {
    can_be_gone_on_with(facts, around)?;
    match &around.no_program {
        None => Ok(()),
        Some(why) => Err(Obstacle::new(
            BlockReason::AgentUnavailable,
            format!("the session could not be resumed: {why}"),
            "Install it on the PATH of agents, or name it in the configuration file ([codex] command).",
        )),
    }
}

fn can_be_gone_on_with(facts: &SessionFacts, around: &Circumstances) -> Result<(), Obstacle> {
    let session = &facts.session;
    if session.archived {
        return Err(Obstacle::new(
            BlockReason::Archived,
            "the session is archived, and would not be resumed",
            format!("Take it out of the archive first (`codex unarchive {}`).", session.session_id),
        ));
    }
    if facts.resume.is_none() || session.capability == Capability::MetadataOnly {
        let why = session.capability_reason.as_deref().unwrap_or("it has no turn yet, or its records cannot be read");
        return Err(Obstacle::new(
            BlockReason::NotResumable,
            format!("the session cannot be resumed: {}", why.trim_end_matches('.')),
            "Say something in it first, or delegate anew with `akkctl delegate`.",
        ));
    }
    around.no_workspace.as_deref().map_or(Ok(()), |why| Err(workspace_gone(why)))
}

fn workspace_gone(why: &str) -> Obstacle {
    Obstacle::new(
        BlockReason::WorkspaceGone,
        format!("the directory of the session cannot be used: {why}"),
        "Make that directory again, or delegate anew elsewhere.",
    )
}
