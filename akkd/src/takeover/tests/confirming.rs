//! Whether a plan that was confirmed still holds.

use super::super::confirm::{Confirmed, Next, Refusal, StoredPlan, recheck};
use super::super::plan::{Circumstances, Guard};
use super::super::testing::{free, held, holder, identity};
use crate::sessions::SessionFacts;
use akk_proto::error::ErrorKind;
use akk_proto::session::{Evidence, ProcessKind, SessionActivity, TargetView, TerminationPlan};
use akk_proto::{ConversationId, Timestamp};

fn stored(evidence: Evidence) -> StoredPlan {
    let plan = TerminationPlan {
        plan_id: "plan-1".into(),
        expires_at: Timestamp(9),
        session_id: "s".into(),
        target: TargetView {
            pid: 42,
            started_at: None,
            executable: Some("/usr/bin/codex".into()),
            command: Vec::new(),
        },
        kind: ProcessKind::Tui,
        cwd: Some("/".into()),
        evidence,
        confidence: evidence.confidence(),
        children: Vec::new(),
        activity: SessionActivity::Idle,
    };
    StoredPlan { plan, target: identity(42), relatives: Vec::new() }
}

fn terminal() -> SessionFacts {
    held(vec![holder(identity(42), ProcessKind::Tui, Evidence::Lock)])
}

/// What it comes to, in a word.
fn outcome(stored: &StoredPlan, facts: &SessionFacts, around: &Circumstances, said: Confirmed, alive: bool) -> String {
    match recheck(stored, facts, around, said, alive) {
        Ok(Next::End(holder)) => format!("end {}", holder.identity.pid),
        Ok(Next::HasEnded) => "has ended".into(),
        Err(Refusal::Failure(failure)) => {
            assert!(!failure.message.ends_with('.') && failure.hint.ends_with('.'), "{failure:?}");
            serde_json::to_value(failure.kind).unwrap().as_str().unwrap().to_owned()
        }
        Err(Refusal::Blocked(obstacle)) => format!("blocked {}", obstacle.reason.as_str()),
    }
}

#[test]
fn what_became_of_the_process_and_the_session_since_the_plan() {
    let but = |change: fn(&mut SessionFacts)| {
        let mut facts = terminal();
        change(&mut facts);
        facts
    };
    let other = |kind, evidence| held(vec![holder(identity(77), kind, evidence)]);
    let around = |change: fn(&mut Circumstances)| {
        let mut around = Circumstances::default();
        change(&mut around);
        around
    };
    let none = Circumstances::default;
    let rows: Vec<(&str, SessionFacts, Circumstances, bool, &str)> = vec![
        ("the same", terminal(), none(), true, "end 42"),
        (
            "started at another time",
            but(|f| f.holders[0].identity.started += 1),
            none(),
            false,
            "expected_pid_mismatch",
        ),
        ("another user's", but(|f| f.holders[0].identity.uid += 1), none(), false, "expected_pid_mismatch"),
        ("of another boot", but(|f| f.holders[0].identity.boot = "c".into()), none(), false, "expected_pid_mismatch"),
        (
            "in another namespace",
            but(|f| f.holders[0].identity.pid_namespace = 9),
            none(),
            false,
            "expected_pid_mismatch",
        ),
        (
            "another program",
            but(|f| f.holders[0].executable = Some("/bin/vi".into())),
            none(),
            true,
            "expected_pid_mismatch",
        ),
        (
            "the same program, updated",
            but(|f| f.holders[0].executable = Some("/usr/bin/codex (deleted)".into())),
            none(),
            true,
            "end 42",
        ),
        ("another kind", but(|f| f.holders[0].kind = ProcessKind::Exec), none(), true, "expected_pid_mismatch"),
        ("weaker evidence", but(|f| f.holders[0].evidence = Evidence::Rollout), none(), true, "expected_pid_mismatch"),
        (
            "with another session now",
            but(|f| f.holders[0].also_holds = vec!["o".into()]),
            none(),
            true,
            "shared_holder",
        ),
        ("gone, and free", free(), none(), false, "has ended"),
        ("gone, and another terminal", other(ProcessKind::Tui, Evidence::Lock), none(), false, "expected_pid_mismatch"),
        ("gone, and another in the directory", other(ProcessKind::Tui, Evidence::Cwd), none(), false, "has ended"),
        ("gone, and perhaps another", other(ProcessKind::Tui, Evidence::Argv), none(), false, "expected_pid_mismatch"),
        ("runs on without the session", free(), none(), true, "expected_pid_mismatch"),
        (
            "gone, and not everything could be read",
            {
                let mut f = free();
                f.incomplete.push("x".into());
                f
            },
            none(),
            false,
            "blocked facts_incomplete",
        ),
        (
            "there, and not everything could be read",
            but(|f| f.incomplete.push("x".into())),
            none(),
            true,
            "blocked facts_incomplete",
        ),
        (
            "another one beside it",
            {
                let mut f = terminal();
                f.holders.push(holder(identity(77), ProcessKind::Tui, Evidence::Argv));
                f
            },
            none(),
            true,
            "shared_holder",
        ),
        (
            "another one that is surer",
            {
                let mut f = other(ProcessKind::Daemon, Evidence::Lock);
                f.holders.push(holder(identity(42), ProcessKind::Tui, Evidence::Lock));
                f
            },
            none(),
            true,
            "shared_holder",
        ),
        ("a turn runs", but(|f| f.session.activity = SessionActivity::Working), none(), true, "session_working"),
        (
            "nobody knows of a turn",
            but(|f| f.session.activity = SessionActivity::Unknown),
            none(),
            true,
            "session_working",
        ),
        (
            "the caller runs in it",
            terminal(),
            around(|a| {
                a.guarded.insert(42, Guard::Caller);
            }),
            true,
            "protected_process",
        ),
        (
            "it is ours",
            terminal(),
            around(|a| {
                a.guarded.insert(42, Guard::Ours(None));
            }),
            true,
            "protected_process",
        ),
        (
            "adopted meanwhile",
            terminal(),
            around(|a| a.adopted_by = Some(ConversationId::new(Timestamp(0), 1))),
            true,
            "blocked already_adopted",
        ),
        (
            "the directory is gone",
            terminal(),
            around(|a| a.no_workspace = Some("x".into())),
            true,
            "blocked workspace_gone",
        ),
        (
            "the directory is gone, and the process",
            free(),
            around(|a| a.no_workspace = Some("x".into())),
            false,
            "blocked workspace_gone",
        ),
        (
            "the program is gone",
            terminal(),
            around(|a| a.no_program = Some("x".into())),
            true,
            "blocked agent_unavailable",
        ),
        ("archived meanwhile", but(|f| f.session.archived = true), none(), true, "blocked archived"),
        ("its records are gone", but(|f| f.resume = None), none(), true, "blocked not_resumable"),
    ];
    for (name, facts, around, alive, expected) in rows {
        assert_eq!(outcome(&stored(Evidence::Lock), &facts, &around, Confirmed::default(), alive), expected, "{name}");
    }
}

#[test]
fn a_running_turn_is_broken_off_only_when_that_is_said() {
    let mut facts = terminal();
    let said = Confirmed { even_if_working: true, ..Confirmed::default() };
    for activity in [SessionActivity::Working, SessionActivity::Unknown, SessionActivity::Idle] {
        facts.session.activity = activity;
        assert_eq!(outcome(&stored(Evidence::Lock), &facts, &Circumstances::default(), said, true), "end 42");
    }
}

#[test]
fn a_guess_needs_the_flag_the_process_and_the_directory() {
    let facts = held(vec![holder(identity(42), ProcessKind::Tui, Evidence::Cwd)]);
    let around = Circumstances::default();
    let said = |cwd_only, expected_pid| Confirmed { cwd_only, expected_pid, even_if_working: false };
    let weak = stored(Evidence::Cwd);
    assert_eq!(outcome(&weak, &facts, &around, said(true, Some(42)), true), "end 42");
    assert_eq!(outcome(&weak, &facts, &around, said(true, None), true), "takeover_not_confirmable");
    assert_eq!(outcome(&weak, &facts, &around, said(false, Some(42)), true), "takeover_not_confirmable");
    let mut moved = facts.clone();
    moved.holders[0].cwd = Some("/elsewhere".into());
    assert_eq!(outcome(&weak, &moved, &around, said(true, Some(42)), true), "expected_pid_mismatch");
    // A plan that was certain does not become a guess.
    assert_eq!(outcome(&stored(Evidence::Lock), &facts, &around, said(true, Some(42)), true), "expected_pid_mismatch");
    // Where the target was a guess, another guess counts as much.
    let other = held(vec![holder(identity(77), ProcessKind::Tui, Evidence::Cwd)]);
    assert_eq!(outcome(&weak, &other, &around, said(true, Some(42)), false), "expected_pid_mismatch");
}

#[test]
fn a_mismatch_names_the_process_and_says_what_to_do() {
    let facts = held(vec![holder(identity(77), ProcessKind::Tui, Evidence::Lock)]);
    let refused = recheck(&stored(Evidence::Lock), &facts, &Circumstances::default(), Confirmed::default(), false);
    let Err(Refusal::Failure(failure)) = refused else { panic!("{refused:?}") };
    assert_eq!(failure.kind, ErrorKind::ExpectedPidMismatch);
    assert_eq!(
        failure.message,
        "process 42 of the plan does not run the session any more, process 77 (a terminal in /) does"
    );
    assert_eq!(failure.details["pid"], 42);
    assert!(failure.hint.starts_with("Look again with `akkctl takeover "), "{}", failure.hint);
}

#[test]
fn a_stored_plan_reads_back() {
    let plan = stored(Evidence::Rollout);
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<StoredPlan>(&json).unwrap(), plan);
}
