//! How processes, sessions and ways out are named to people.

use super::plan::{self, Circumstances, Guard};
use crate::sessions::{Holder, SessionFacts};
use akk_core::redact;
use akk_proto::session::{Confidence, Evidence, ProcessKind, SessionView, Strategy};

/// Characters of a path in a sentence.
const PATH: usize = 200;
/// Characters of everything that could not be read.
const STATEMENTS: usize = 1000;
/// Processes or sessions that one sentence names.
const NAMED: usize = 3;

/// `process 4242 (a terminal in /w/project)`.
pub(super) fn process(holder: &Holder) -> String {
    let kind = match holder.kind {
        ProcessKind::Tui => "a terminal",
        ProcessKind::Exec => "a run without a terminal",
        ProcessKind::AppServer => "an app server",
        ProcessKind::Daemon => "a shared daemon",
        ProcessKind::AcpAdapter => "an ACP adapter",
        ProcessKind::Unknown => "a program of an unknown kind",
    };
    // Where a daemon was started says nothing of the sessions that it serves.
    match holder.cwd.as_ref().filter(|_| holder.kind != ProcessKind::Daemon) {
        Some(cwd) => format!("process {} ({kind} in {})", holder.identity.pid, redact::preview(cwd, PATH)),
        None => format!("process {} ({kind})", holder.identity.pid),
    }
}

/// Several of them, the first ones named.
pub(super) fn processes(holders: &[&Holder]) -> String {
    list(holders.iter().map(|h| process(h)))
}

/// `the session a`, `the sessions a and b`.
pub(super) fn sessions(ids: &[String]) -> String {
    let noun = if ids.len() == 1 { "the session" } else { "the sessions" };
    format!("{noun} {}", list(ids.iter().map(|id| redact::preview(id, 80))))
}

fn list(names: impl ExactSizeIterator<Item = String>) -> String {
    let total = names.len();
    let mut names: Vec<String> = names.take(NAMED).collect();
    if total > NAMED {
        names.push(format!("{} more", total - NAMED));
    }
    match names.pop() {
        Some(last) if !names.is_empty() => format!("{} and {last}", names.join(", ")),
        last => last.unwrap_or_default(),
    }
}

/// By what a process is known: a clause about it.
pub(super) fn evidence(holder: &Holder) -> &'static str {
    match holder.evidence {
        Evidence::Lock => "it holds the session's writer lock",
        Evidence::Rollout => "it has the session's record open",
        Evidence::Argv => "its command line names the session, which goes stale when a person switches sessions",
        Evidence::Cwd => "it runs in the session's directory, and nothing else is known",
    }
}

/// Why a process is not ended: a clause about it.
pub(super) fn guard(guard: &Guard) -> String {
    match guard {
        Guard::Ours(Some(id)) => format!("akkd started it for the conversation {id}"),
        Guard::Ours(None) => "it is one of akkd's own".to_owned(),
        Guard::Akkd => "akkd itself runs inside of it".to_owned(),
        Guard::Caller => "the caller itself runs inside of it".to_owned(),
        Guard::Foreign => "it belongs to another user".to_owned(),
    }
}

/// What to type for a strategy.
pub(super) fn advise(session: &SessionView, strategy: Strategy) -> String {
    let id = &session.session_id;
    match strategy {
        Strategy::SafeResume => format!("Resume it with `akkctl takeover {id} --strategy safe_resume --create`."),
        Strategy::Attach => format!("Join it with `akkctl takeover {id} --strategy attach --create`."),
        Strategy::TerminateThenResume => {
            format!("See the plan to end that process with `akkctl takeover {id} --strategy terminate_then_resume`.")
        }
        Strategy::Fork => {
            format!("A new session with a summary of this one is possible: `akkctl takeover {id} --strategy fork`.")
        }
    }
}

/// What to type where a strategy is not possible because somebody has the session: to join, else to end, else to fork.
pub(super) fn instead(facts: &SessionFacts, around: &Circumstances) -> String {
    let ended = facts.holders.len() == 1 && facts.holders.iter().all(may_be_ended) && around.guarded.is_empty();
    let strategy = match (plan::can_be_joined(facts, around), ended) {
        (true, _) => Strategy::Attach,
        (false, true) => Strategy::TerminateThenResume,
        (false, false) => Strategy::Fork,
    };
    advise(&facts.session, strategy)
}

fn may_be_ended(holder: &Holder) -> bool {
    matches!(holder.kind, ProcessKind::Tui | ProcessKind::Exec)
        && holder.also_holds.is_empty()
        && holder.evidence.confidence() == Confidence::Exact
}

/// Several statements as one clause, whether they are sentences or not.
pub(super) fn clauses(statements: &[&str]) -> String {
    let clauses: Vec<&str> = statements.iter().map(|s| s.trim().trim_end_matches('.')).collect();
    redact::preview(&clauses.join("; "), STATEMENTS)
}

/// A clause as a sentence: a capital in front, a full stop behind.
pub(super) fn sentence(clause: &str) -> String {
    let mut chars = clause.trim_end_matches('.').chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).chain(['.']).collect())
}

/// The same sentence, to stand behind a semicolon.
pub(super) fn decapitalised(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
