//! The table of strategies, row by row.

use super::super::plan::{Allowed, Circumstances, Control, Guard, assess, recommend};
use super::super::testing::{free, held, holder, identity, relative};
use crate::sessions::{Holder, SessionFacts};
use akk_proto::ConversationId;
use akk_proto::session::{Capability, Evidence, ProcessKind, SessionActivity, Strategy, StrategyView, TakeoverStatus};
use akk_proto::{Timestamp, session::BlockReason};

const READY: &str = "ready";
const CONFIRM: &str = "requires_confirmation";
const SUMMARY: &str = "awaiting_openclaw_summary";

/// A situation, and what asking for each strategy comes to: safe_resume, attach, terminate_then_resume, fork.
struct Row {
    name: &'static str,
    facts: SessionFacts,
    around: Circumstances,
    allowed: Allowed,
    comes_to: [&'static str; 4],
    recommended: Strategy,
}

fn row(name: &'static str, facts: SessionFacts, comes_to: [&'static str; 4], recommended: Strategy) -> Row {
    Row { name, facts, around: Circumstances::default(), allowed: Allowed::default(), comes_to, recommended }
}

impl Row {
    fn around(mut self, change: impl FnOnce(&mut Circumstances)) -> Self {
        change(&mut self.around);
        self
    }

    fn allowing_cwd_only(mut self) -> Self {
        self.allowed.cwd_only = true;
        self
    }
}

fn run_by(kind: ProcessKind, evidence: Evidence) -> SessionFacts {
    held(vec![holder(identity(42), kind, evidence)])
}

fn but(mut facts: SessionFacts, change: impl FnOnce(&mut SessionFacts)) -> SessionFacts {
    change(&mut facts);
    facts
}

fn in_a_daemon() -> SessionFacts {
    but(run_by(ProcessKind::Daemon, Evidence::Lock), |f| f.control_socket = Some("/run/answers.sock".into()))
}

fn task() -> ConversationId {
    ConversationId::new(Timestamp(0), 7)
}

fn rows() -> Vec<Row> {
    use Evidence::{Argv, Cwd, Lock, Rollout};
    use ProcessKind::{AcpAdapter, AppServer, Daemon, Exec, Tui, Unknown};
    use Strategy::{Attach, Fork, SafeResume, TerminateThenResume as Terminate};
    let two = |one: Holder, other: Holder| held(vec![one, other]);
    let at = |pid, kind, evidence| holder(identity(pid), kind, evidence);
    let elsewhere = |facts: SessionFacts| but(facts, |f| f.holders[0].cwd = Some("/elsewhere".into()));
    vec![
        row("free", free(), [READY, "no_holder", "no_holder", SUMMARY], SafeResume),
        row(
            "a terminal, by its lock",
            run_by(Tui, Lock),
            ["active_cli_conflict", "no_control_socket", CONFIRM, SUMMARY],
            Terminate,
        ),
        row(
            "a terminal, by its rollout",
            run_by(Tui, Rollout),
            ["active_cli_conflict", "no_control_socket", CONFIRM, SUMMARY],
            Terminate,
        ),
        row("a run", run_by(Exec, Lock), ["active_cli_conflict", "no_control_socket", CONFIRM, SUMMARY], Terminate),
        row(
            "a terminal at work",
            but(run_by(Tui, Lock), |f| f.session.activity = SessionActivity::Working),
            ["active_cli_conflict", "no_control_socket", CONFIRM, SUMMARY],
            Fork,
        ),
        row(
            "a terminal of which nobody knows",
            but(run_by(Tui, Lock), |f| f.session.activity = SessionActivity::Unknown),
            ["active_cli_conflict", "no_control_socket", CONFIRM, SUMMARY],
            Fork,
        ),
        row(
            "an app server",
            run_by(AppServer, Lock),
            ["active_cli_conflict", "no_control_socket", "shared_holder", SUMMARY],
            Fork,
        ),
        row(
            "a daemon without a socket",
            run_by(Daemon, Lock),
            ["active_cli_conflict", "no_control_socket", "shared_holder", SUMMARY],
            Fork,
        ),
        row("a daemon that answers", in_a_daemon(), ["active_cli_conflict", READY, "shared_holder", SUMMARY], Attach)
            .around(|a| a.control = Control::CanBeJoined),
        row(
            "a daemon that answers, at work",
            but(in_a_daemon(), |f| f.session.activity = SessionActivity::Working),
            ["active_cli_conflict", READY, "shared_holder", SUMMARY],
            Attach,
        )
        .around(|a| a.control = Control::CanBeJoined),
        row(
            "an app server that answers",
            run_by(AppServer, Rollout),
            ["active_cli_conflict", READY, "shared_holder", SUMMARY],
            Attach,
        )
        .around(|a| a.control = Control::CanBeJoined),
        row(
            "a daemon that answers, with other sessions",
            but(in_a_daemon(), |f| f.holders[0].also_holds = vec!["other".into()]),
            ["active_cli_conflict", READY, "shared_holder", SUMMARY],
            Attach,
        )
        .around(|a| a.control = Control::CanBeJoined),
        row(
            "a daemon that answers and a terminal that shows it",
            two(at(42, Daemon, Lock), at(43, Tui, Argv)),
            ["active_cli_conflict", READY, "shared_holder", SUMMARY],
            Attach,
        )
        .around(|a| a.control = Control::CanBeJoined),
        row(
            "a daemon that answers, in the same directory only",
            run_by(Daemon, Cwd),
            ["active_cli_conflict", "no_control_socket", "shared_holder", SUMMARY],
            Fork,
        )
        .around(|a| a.control = Control::CanBeJoined),
        row(
            "a daemon that is silent",
            in_a_daemon(),
            ["active_cli_conflict", "no_control_socket", "shared_holder", SUMMARY],
            Fork,
        )
        .around(|a| a.control = Control::CannotBeJoined("connection refused".into())),
        row(
            "a daemon of akkd's own",
            in_a_daemon(),
            ["active_cli_conflict", "protected_process", "protected_process", SUMMARY],
            Fork,
        )
        .around(|a| {
            a.control = Control::CanBeJoined;
            a.guarded.insert(42, Guard::Ours(None));
        }),
        row(
            "an ACP adapter",
            run_by(AcpAdapter, Lock),
            ["active_cli_conflict", "no_control_socket", "shared_holder", SUMMARY],
            Fork,
        ),
        row(
            "a program of an unknown kind",
            run_by(Unknown, Lock),
            ["active_cli_conflict", "no_control_socket", "weak_evidence", SUMMARY],
            Fork,
        ),
        row(
            "a terminal, by its command line",
            run_by(Tui, Argv),
            ["active_cli_conflict", "no_control_socket", "weak_evidence", SUMMARY],
            Fork,
        ),
        row(
            "a terminal, by its directory",
            run_by(Tui, Cwd),
            ["active_cli_conflict", "no_control_socket", "weak_evidence", SUMMARY],
            Fork,
        ),
        row(
            "a terminal, by its directory, which is allowed",
            run_by(Tui, Cwd),
            ["active_cli_conflict", "no_control_socket", CONFIRM, SUMMARY],
            Terminate,
        )
        .allowing_cwd_only(),
        row(
            "a terminal that seems to be it, in another directory, which is allowed",
            elsewhere(run_by(Tui, Argv)),
            ["active_cli_conflict", "no_control_socket", "weak_evidence", SUMMARY],
            Fork,
        )
        .allowing_cwd_only(),
        row(
            "two terminals in its directory, which is allowed",
            two(at(42, Tui, Cwd), at(43, Tui, Cwd)),
            ["active_cli_conflict", "no_control_socket", "shared_holder", SUMMARY],
            Fork,
        )
        .allowing_cwd_only(),
        row(
            "two that are sure",
            two(at(42, Tui, Lock), at(43, Exec, Rollout)),
            ["active_cli_conflict", "no_control_socket", "shared_holder", SUMMARY],
            Fork,
        ),
        row(
            "one that is sure, one that seems to be",
            two(at(42, Tui, Lock), at(43, Tui, Argv)),
            ["active_cli_conflict", "no_control_socket", "shared_holder", SUMMARY],
            Fork,
        ),
        row(
            "one that is sure, one in the same directory",
            two(at(42, Tui, Lock), at(43, Tui, Cwd)),
            ["active_cli_conflict", "no_control_socket", CONFIRM, SUMMARY],
            Terminate,
        ),
        row(
            "a terminal with another session too",
            but(run_by(Tui, Lock), |f| f.holders[0].also_holds = vec!["other".into()]),
            ["active_cli_conflict", "no_control_socket", "shared_holder", SUMMARY],
            Fork,
        ),
        row(
            "free, as far as could be read",
            but(free(), |f| f.incomplete.push("The locks cannot be read.".into())),
            ["facts_incomplete", "facts_incomplete", "facts_incomplete", SUMMARY],
            Fork,
        ),
        row(
            "a terminal, and not everything could be read",
            but(run_by(Tui, Lock), |f| f.incomplete.push("x".into())),
            ["active_cli_conflict", "no_control_socket", "facts_incomplete", SUMMARY],
            Fork,
        ),
        row(
            "free, but the processes cannot be listed",
            free(),
            ["facts_incomplete", "facts_incomplete", "facts_incomplete", SUMMARY],
            Fork,
        )
        .around(|a| a.incomplete.push("No list.".into())),
        row(
            "archived",
            but(free(), |f| f.session.archived = true),
            ["archived", "no_holder", "no_holder", SUMMARY],
            Fork,
        ),
        row(
            "archived, in a daemon",
            but(in_a_daemon(), |f| f.session.archived = true),
            ["active_cli_conflict", "archived", "shared_holder", SUMMARY],
            Fork,
        )
        .around(|a| a.control = Control::CanBeJoined),
        row(
            "archived, in a terminal",
            but(run_by(Tui, Lock), |f| f.session.archived = true),
            ["active_cli_conflict", "no_control_socket", "archived", SUMMARY],
            Fork,
        ),
        row(
            "not resumable",
            but(free(), |f| f.resume = None),
            ["not_resumable", "no_holder", "no_holder", SUMMARY],
            Fork,
        ),
        row(
            "metadata only, in a terminal",
            but(run_by(Tui, Lock), |f| f.session.capability = Capability::MetadataOnly),
            ["active_cli_conflict", "no_control_socket", "not_resumable", SUMMARY],
            Fork,
        ),
        row(
            "its directory is gone",
            free(),
            ["workspace_gone", "no_holder", "no_holder", "workspace_gone"],
            SafeResume,
        )
        .around(|a| a.no_workspace = Some("/w: no such file".into())),
        row(
            "its directory is gone, in a terminal",
            run_by(Tui, Lock),
            ["active_cli_conflict", "no_control_socket", "workspace_gone", "workspace_gone"],
            SafeResume,
        )
        .around(|a| a.no_workspace = Some("/w: no such file".into())),
        row(
            "its directory is gone, in a daemon",
            in_a_daemon(),
            ["active_cli_conflict", "workspace_gone", "shared_holder", "workspace_gone"],
            SafeResume,
        )
        .around(|a| {
            a.control = Control::CanBeJoined;
            a.no_workspace = Some("x".into());
        }),
        row("nothing to resume it with", free(), ["agent_unavailable", "no_holder", "no_holder", SUMMARY], Fork)
            .around(|a| a.no_program = Some("`codex` is not there".into())),
        row(
            "nothing to resume it with, in a terminal",
            run_by(Tui, Lock),
            ["active_cli_conflict", "no_control_socket", "agent_unavailable", SUMMARY],
            Fork,
        )
        .around(|a| a.no_program = Some("`codex` is not there".into())),
        row(
            "nothing to resume it with, in a daemon",
            in_a_daemon(),
            ["active_cli_conflict", READY, "shared_holder", SUMMARY],
            Attach,
        )
        .around(|a| {
            a.control = Control::CanBeJoined;
            a.no_program = Some("x".into());
        }),
        row(
            "one of akkd's own runs",
            run_by(Exec, Lock),
            ["active_cli_conflict", "no_control_socket", "protected_process", SUMMARY],
            Fork,
        )
        .around(|a| {
            a.guarded.insert(42, Guard::Ours(Some(task())));
        }),
        row(
            "the caller's own terminal",
            run_by(Tui, Lock),
            ["active_cli_conflict", "no_control_socket", "protected_process", SUMMARY],
            Fork,
        )
        .around(|a| {
            a.guarded.insert(42, Guard::Caller);
        }),
        row(
            "akkd was started inside of it",
            run_by(Tui, Lock),
            ["active_cli_conflict", "no_control_socket", "protected_process", SUMMARY],
            Fork,
        )
        .around(|a| {
            a.guarded.insert(42, Guard::Akkd);
        }),
        row(
            "the caller is what it started",
            but(run_by(Tui, Lock), |f| f.holders[0].relatives = vec![relative(identity(50))]),
            ["active_cli_conflict", "no_control_socket", "protected_process", SUMMARY],
            Fork,
        )
        .around(|a| {
            a.guarded.insert(50, Guard::Caller);
        }),
        row(
            "another user's",
            run_by(Tui, Lock),
            ["active_cli_conflict", "no_control_socket", "protected_process", SUMMARY],
            Fork,
        )
        .around(|a| {
            a.guarded.insert(42, Guard::Foreign);
        }),
        row("adopted already", free(), ["already_adopted", "already_adopted", "already_adopted", SUMMARY], Fork)
            .around(|a| a.adopted_by = Some(task())),
        row(
            "adopted already, and its turn runs",
            run_by(Exec, Lock),
            ["already_adopted", "already_adopted", "already_adopted", SUMMARY],
            Fork,
        )
        .around(|a| a.adopted_by = Some(task())),
    ]
}

fn came_to(view: &StrategyView) -> &'static str {
    match view.reason {
        Some(reason) => reason.as_str(),
        None => view.status.as_str(),
    }
}

#[test]
fn every_strategy_in_every_situation() {
    for row in rows() {
        let views = assess(&row.facts, &row.around, row.allowed);
        let strategies: Vec<_> = views.iter().map(|v| v.strategy).collect();
        assert_eq!(strategies, Strategy::ALL);
        let came: Vec<_> = views.iter().map(came_to).collect();
        assert_eq!(came, row.comes_to, "{}", row.name);
        assert_eq!(recommend(&row.facts, &views), row.recommended, "{}", row.name);
        for view in &views {
            let blocked = view.status == TakeoverStatus::Blocked;
            assert_eq!(blocked, view.reason.is_some(), "{}", row.name);
            let text = &view.explanation;
            assert!(text.ends_with('.') && !text.ends_with("..") && text.starts_with(char::is_uppercase), "{text}");
        }
    }
}

#[test]
fn the_sentences_name_who_has_the_session_and_why() {
    let say = |facts: &SessionFacts, around: &Circumstances, strategy: Strategy| {
        let views = assess(facts, around, Allowed::default());
        views.into_iter().find(|v| v.strategy == strategy).unwrap().explanation
    };
    let none = Circumstances::default();
    let terminal = run_by(ProcessKind::Tui, Evidence::Lock);
    assert_eq!(say(&terminal, &none, Strategy::SafeResume), "Process 42 (a terminal in /) runs the session.");
    assert_eq!(
        say(&run_by(ProcessKind::Tui, Evidence::Cwd), &none, Strategy::SafeResume),
        "Process 42 (a terminal in /) seems to run the session: it runs in the session's directory, and nothing else is known."
    );
    assert_eq!(
        say(&terminal, &none, Strategy::TerminateThenResume),
        "AKK can end process 42 (a terminal in /) and resume the session, once you confirm that."
    );
    let adopted = Circumstances { adopted_by: Some(task()), ..Circumstances::default() };
    assert_eq!(
        say(&free(), &adopted, Strategy::SafeResume),
        format!("The session belongs to the open conversation {} already.", task())
    );
    let mut guarded = Circumstances::default();
    guarded.guarded.insert(42, Guard::Caller);
    assert_eq!(
        say(&terminal, &guarded, Strategy::TerminateThenResume),
        "Process 42 (a terminal in /) runs the session, and the caller itself runs inside of it."
    );
    let unread = but(free(), |f| f.incomplete.push("The locks cannot be read.".into()));
    assert_eq!(
        say(&unread, &none, Strategy::SafeResume),
        "Nobody can say who runs the session: The locks cannot be read."
    );
    let many = held((40..45).map(|pid| holder(identity(pid), ProcessKind::Tui, Evidence::Lock)).collect());
    let text = say(&many, &none, Strategy::SafeResume);
    assert!(text.contains("process 42") && text.ends_with("and 2 more run the session."), "{text}");
}

#[test]
fn a_strange_name_of_a_directory_stays_one_line() {
    let mut facts = run_by(ProcessKind::Tui, Evidence::Lock);
    facts.holders[0].cwd = Some(format!("/a\nb{}", "x".repeat(5000)));
    for view in assess(&facts, &Circumstances::default(), Allowed::default()) {
        assert!(view.explanation.len() < 600 && !view.explanation.contains('\n'), "{}", view.explanation);
    }
}

#[test]
fn every_reason_that_a_plan_gives_is_told_apart_in_the_table() {
    let seen: std::collections::BTreeSet<&str> = rows().iter().flat_map(|r| r.comes_to).collect();
    for reason in [
        BlockReason::ActiveCliConflict,
        BlockReason::FactsIncomplete,
        BlockReason::NoHolder,
        BlockReason::SharedHolder,
        BlockReason::WeakEvidence,
        BlockReason::ProtectedProcess,
        BlockReason::AlreadyAdopted,
        BlockReason::Archived,
        BlockReason::NotResumable,
        BlockReason::WorkspaceGone,
        BlockReason::NoControlSocket,
        BlockReason::AgentUnavailable,
    ] {
        assert!(seen.contains(reason.as_str()), "{reason:?}");
    }
}
