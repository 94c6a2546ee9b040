//! `terminate_then_resume`, with processes that really run.

use super::super::testing::{ID, Scene, answering, free, held, holder, identity, relative, takeovers};
use super::terminal::Terminal;
use crate::platform::{LAUNCH_VARIABLE, ProcessIdentity};
use crate::sessions::Holder;
use akk_proto::error::ErrorKind;
use akk_proto::event::EventBody;
use akk_proto::session::{
    BlockReason, Evidence, ProcessKind, SessionActivity, Strategy, TakeoverAnswer, TakeoverParams, TakeoverStatus,
};
use std::io::{BufRead as _, BufReader};
use std::time::Duration;

pub(super) fn plan() -> TakeoverParams {
    TakeoverParams {
        session_id: ID.into(),
        strategy: Some(Strategy::TerminateThenResume),
        wait_ms: Some(30_000),
        ..TakeoverParams::default()
    }
}

pub(super) fn confirm(pid: u32) -> TakeoverParams {
    TakeoverParams { create_conversation: true, confirm_terminate: true, expected_pid: Some(pid), ..plan() }
}

pub(super) fn named(name: &str, params: TakeoverParams) -> TakeoverParams {
    TakeoverParams { request_id: Some(name.parse().unwrap()), ..params }
}

pub(super) fn steps(answer: &TakeoverAnswer) -> Vec<&str> {
    answer.steps.iter().map(|s| s.step.as_str()).collect()
}

#[tokio::test]
async fn a_terminal_is_ended_once_that_was_confirmed_and_the_session_is_attached() {
    let scene = Scene::new();
    let terminal = Terminal::polite();
    scene.provider.is_run_by(vec![terminal.holds()]);

    let answer = scene.ask(plan()).await.unwrap();
    assert_eq!((answer.status, answer.side_effects_executed), (TakeoverStatus::RequiresConfirmation, false));
    let seen = answer.plan.unwrap();
    assert_eq!((seen.target.pid, seen.kind, seen.evidence), (terminal.identity.pid, ProcessKind::Tui, Evidence::Lock));
    assert_eq!(seen.expires_at, scene.house.clock.wall().plus_millis(300_000));
    let hint = answer.hint.unwrap();
    let words =
        format!("akkctl takeover {ID} --strategy terminate_then_resume --create --confirm {}`", seen.target.pid);
    assert!(hint.contains(&words), "{hint}");
    assert!(terminal.lives());

    let answer = scene.ask(confirm(terminal.identity.pid)).await.unwrap();
    assert_eq!((answer.status, answer.side_effects_executed), (TakeoverStatus::Attached, true));
    assert_eq!(steps(&answer), ["checked", "signalled", "exited", "lock_free", "attached"]);
    assert_eq!(answer.plan.as_ref(), Some(&seen));
    assert!(!terminal.lives());
    let id = answer.conversation.unwrap().conversation_id;
    let state = scene.house.conversations.state(&id).await.unwrap();
    let attachment = state.attachment().unwrap();
    assert_eq!((attachment.strategy, attachment.cwd_only_confirmed), (Strategy::TerminateThenResume, false));
    assert_eq!(attachment.steps, answer.steps);
    assert!(attachment.evidence[0].contains("it holds the session's writer lock"), "{:?}", attachment.evidence);

    // The plan was good once.
    scene.house.conversations.ask(&id, akk_core::decide::Input::Close { reason: "x".into() }, None).await.unwrap();
    let error =
        scene.ask(TakeoverParams { plan_id: Some(seen.plan_id), ..confirm(seen.target.pid) }).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::PlanExpired);
    assert!(error.message.contains("was used up") && error.hint.contains("safe_resume"), "{error:?}");
}

#[tokio::test]
async fn a_plan_is_recommended_and_kept_when_nothing_less_is_possible() {
    let scene = Scene::new();
    let terminal = Terminal::polite();
    scene.provider.is_run_by(vec![terminal.holds()]);
    let answer = scene.ask(TakeoverParams { strategy: None, ..plan() }).await.unwrap();
    assert_eq!((answer.status, answer.strategy), (TakeoverStatus::RequiresConfirmation, Strategy::TerminateThenResume));
    assert_eq!(answer.strategies.len(), 4);
    let by_id = TakeoverParams { expected_pid: None, plan_id: Some(answer.plan.unwrap().plan_id), ..confirm(1) };
    assert_eq!(scene.ask(by_id).await.unwrap().status, TakeoverStatus::Attached);
}

#[tokio::test]
async fn without_the_confirmation_there_is_a_plan_and_nothing_else() {
    let scene = Scene::new();
    let terminal = Terminal::polite();
    scene.provider.is_run_by(vec![terminal.holds()]);
    let unconfirmed = TakeoverParams { confirm_terminate: false, ..confirm(terminal.identity.pid) };
    let answer = scene.ask(unconfirmed).await.unwrap();
    assert_eq!((answer.status, answer.side_effects_executed), (TakeoverStatus::RequiresConfirmation, false));
    let nothing_to_make = TakeoverParams { create_conversation: false, ..confirm(terminal.identity.pid) };
    assert_eq!(scene.ask(nothing_to_make).await.unwrap().status, TakeoverStatus::RequiresConfirmation);
    assert!(terminal.lives());
    assert_eq!(scene.conversations().await, 0);
}

#[tokio::test]
async fn a_terminal_that_is_deaf_is_killed_only_by_a_new_plan_that_says_so() {
    let scene = Scene::new();
    let terminal = Terminal::deaf();
    let pid = terminal.identity.pid;
    scene.provider.is_run_by(vec![terminal.holds()]);
    scene.ask(plan()).await.unwrap();
    let soon = TakeoverParams { wait_ms: Some(100), ..confirm(pid) };
    let answer = scene.ask(soon.clone()).await.unwrap();
    assert_eq!((answer.status, answer.reason), (TakeoverStatus::Blocked, Some(BlockReason::TargetStillActive)));
    assert!(answer.side_effects_executed && answer.conversation.is_none() && terminal.lives());
    assert_eq!(steps(&answer), ["checked", "signalled", "still_active"]);
    assert!(answer.explanation.contains(&format!("process {pid} (a terminal in /)")), "{}", answer.explanation);
    assert!(answer.hint.unwrap().contains("--kill"));

    assert_eq!(scene.ask(soon.clone()).await.unwrap_err().kind, ErrorKind::PlanExpired);
    scene.ask(plan()).await.unwrap();
    let answer = scene.ask(TakeoverParams { kill: true, ..soon }).await.unwrap();
    assert_eq!(answer.status, TakeoverStatus::Attached);
    assert_eq!(steps(&answer), ["checked", "signalled", "signalled", "exited", "lock_free", "attached"]);
    assert!(!terminal.lives());
}

#[tokio::test]
async fn what_the_terminal_started_is_ended_with_it() {
    let scene = Scene::new();
    let terminal = Terminal::running("sleep 60 >/dev/null & echo $!; read x");
    let child = ProcessIdentity::of(terminal.printed.unwrap()).unwrap().unwrap();
    let mut held = terminal.holds();
    held.relatives.push(relative(child.clone()));
    scene.provider.is_run_by(vec![held]);
    let seen = scene.ask(plan()).await.unwrap().plan.unwrap();
    assert_eq!(seen.children.iter().map(|c| c.pid).collect::<Vec<_>>(), [child.pid]);
    let answer = scene.ask(confirm(terminal.identity.pid)).await.unwrap();
    assert_eq!(answer.status, TakeoverStatus::Attached);
    assert!(!child.is_alive().unwrap() && !terminal.lives());
    let told: Vec<_> = answer.steps.iter().filter(|s| s.step == "signalled").map(|s| s.detail.as_str()).collect();
    assert_eq!(told.len(), 2);
    assert!(told[1].contains(&format!("process {} (/bin/sleep)", child.pid)), "{told:?}");
}

#[tokio::test]
async fn a_child_that_stays_is_told_and_the_session_is_not_attached_beside_it() {
    let scene = Scene::new();
    let terminal = Terminal::running("(trap '' TERM; echo; while :; do sleep 1; done) & echo $!; read x");
    let table = crate::platform::ProcessTable::now().await.unwrap();
    let children = table.belonging_to(&terminal.identity, "");
    let deaf =
        children.iter().map(|r| r.process.clone()).find(|p| table.lineage(p.pid)[1].pid == terminal.identity.pid);
    let deaf = deaf.unwrap();
    let mut held = terminal.holds();
    held.relatives.push(relative(deaf.clone()));
    scene.provider.is_run_by(vec![held]);
    scene.ask(plan()).await.unwrap();
    let answer = scene.ask(TakeoverParams { wait_ms: Some(2000), ..confirm(terminal.identity.pid) }).await.unwrap();
    let alive = deaf.is_alive().unwrap();
    crate::platform::signal_process(&deaf, crate::platform::Signal::KILL).unwrap();
    assert!(alive);
    assert_eq!((answer.reason, answer.side_effects_executed), (Some(BlockReason::TargetStillActive), true));
    // The session itself is free, so there is a better way than force.
    assert!(answer.hint.unwrap().contains("--strategy safe_resume"));
    assert_eq!(scene.conversations().await, 0);
}

#[tokio::test]
async fn a_terminal_that_was_left_meanwhile_need_not_be_ended() {
    let scene = Scene::new();
    let mut terminal = Terminal::polite();
    scene.provider.is_run_by(vec![terminal.holds()]);
    scene.ask(plan()).await.unwrap();
    terminal.quits();
    let answer = scene.ask(confirm(terminal.identity.pid)).await.unwrap();
    assert_eq!(answer.status, TakeoverStatus::Attached);
    assert_eq!(steps(&answer), ["checked", "lock_free", "attached"]);
    assert!(answer.explanation.contains("had ended by itself, and nothing was signalled"), "{}", answer.explanation);
}

#[tokio::test]
async fn a_zombie_has_ended() {
    let scene = Scene::new();
    let mut terminal = Terminal::polite();
    scene.provider.is_run_by(vec![terminal.holds()]);
    scene.ask(plan()).await.unwrap();
    let watch = crate::platform::ExitWatch::open(&terminal.identity).unwrap().unwrap();
    // It ends and nobody reaps it.
    drop(terminal.child.stdin.take());
    watch.exited().await.unwrap();
    let answer = scene.ask(confirm(terminal.identity.pid)).await.unwrap();
    assert_eq!(steps(&answer), ["checked", "lock_free", "attached"]);
}

#[tokio::test]
async fn a_process_that_got_the_number_of_the_target_is_not_touched() {
    let scene = Scene::new();
    let terminal = Terminal::polite();
    let mut former = terminal.holds();
    former.identity.started -= 1;
    scene.provider.is(held(vec![former]));
    scene.ask(plan()).await.unwrap();
    scene.provider.is_run_by(vec![terminal.holds()]);
    let error = scene.ask(confirm(terminal.identity.pid)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::ExpectedPidMismatch);
    assert!(terminal.lives());
    assert_eq!(scene.conversations().await, 0);
}

#[tokio::test]
async fn a_plan_that_is_too_old_unknown_or_for_another_process_ends_nobody() {
    let scene = Scene::new();
    let terminal = Terminal::polite();
    let pid = terminal.identity.pid;
    scene.provider.is_run_by(vec![terminal.holds()]);
    assert_eq!(scene.ask(confirm(pid)).await.unwrap_err().kind, ErrorKind::PlanExpired);
    let plan_id = scene.ask(plan()).await.unwrap().plan.unwrap().plan_id;
    let by_id = |id: &str| TakeoverParams { plan_id: Some(id.into()), expected_pid: None, ..confirm(pid) };
    let both = TakeoverParams { expected_pid: Some(pid + 1), ..by_id(&plan_id) };
    assert_eq!(scene.ask(both).await.unwrap_err().kind, ErrorKind::ExpectedPidMismatch);
    assert_eq!(scene.ask(confirm(pid + 1)).await.unwrap_err().kind, ErrorKind::PlanExpired);
    assert_eq!(scene.ask(by_id("plan-x")).await.unwrap_err().kind, ErrorKind::PlanExpired);
    scene.house.clock.advance(Duration::from_mins(5));
    for late in [by_id(&plan_id), confirm(pid)] {
        let error = scene.ask(late).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::PlanExpired);
        assert!(error.hint.contains("--strategy terminate_then_resume"), "{}", error.hint);
    }
    // A clock that is set back does not make an old plan good.
    scene.house.clock.set_wall(akk_proto::Timestamp(5));
    assert_eq!(scene.ask(by_id(&plan_id)).await.unwrap_err().kind, ErrorKind::PlanExpired);
    assert!(terminal.lives());
}

#[tokio::test]
async fn what_may_not_be_ended_is_told_by_its_own_error() {
    let scene = Scene::new();
    let terminal = Terminal::polite();
    let pid = terminal.identity.pid;
    let refused = async |change: fn(&mut Holder)| {
        scene.provider.is_run_by(vec![terminal.holds()]);
        scene.ask(plan()).await.unwrap();
        let mut changed = terminal.holds();
        change(&mut changed);
        scene.provider.is_run_by(vec![changed]);
        let by_plan = scene.ask(confirm(pid)).await.unwrap_err().kind;
        assert!(terminal.lives());
        by_plan
    };
    assert_eq!(refused(|h| h.also_holds = vec!["other".into()]).await, ErrorKind::SharedHolder);
    assert_eq!(refused(|h| h.evidence = Evidence::Cwd).await, ErrorKind::ExpectedPidMismatch);
    assert_eq!(refused(|h| h.kind = ProcessKind::Daemon).await, ErrorKind::ExpectedPidMismatch);
    // Where there never was a plan, the error says why there can be none.
    scene.house.clock.advance(Duration::from_mins(5));
    for (kind, evidence, expected) in [
        (ProcessKind::Daemon, Evidence::Lock, ErrorKind::SharedHolder),
        (ProcessKind::AppServer, Evidence::Lock, ErrorKind::SharedHolder),
        (ProcessKind::Tui, Evidence::Cwd, ErrorKind::TakeoverNotConfirmable),
        (ProcessKind::Tui, Evidence::Argv, ErrorKind::TakeoverNotConfirmable),
    ] {
        scene.provider.is_run_by(vec![holder(terminal.identity.clone(), kind, evidence)]);
        assert_eq!(scene.ask(confirm(pid)).await.unwrap_err().kind, expected, "{kind:?} {evidence:?}");
    }
    assert!(terminal.lives());
}

#[tokio::test]
async fn a_turn_that_began_since_the_plan_is_broken_off_only_when_that_is_said() {
    let scene = Scene::new();
    let terminal = Terminal::polite();
    let pid = terminal.identity.pid;
    let runs = terminal.holds();
    let gone = terminal.identity.clone();
    scene.provider.finds(move || {
        let mut facts = if gone.is_alive().unwrap() { held(vec![runs.clone()]) } else { free() };
        facts.session.activity = SessionActivity::Working;
        Ok(facts)
    });
    let answer = scene.ask(plan()).await.unwrap();
    assert_eq!(
        (answer.status, answer.plan.unwrap().activity),
        (TakeoverStatus::RequiresConfirmation, SessionActivity::Working)
    );
    assert!(answer.explanation.contains("A turn runs in it") && answer.hint.unwrap().contains("--even-if-working"));
    assert_eq!(scene.ask(confirm(pid)).await.unwrap_err().kind, ErrorKind::SessionWorking);
    assert!(terminal.lives());
    // The plan was not used up by that.
    let anyway = TakeoverParams { even_if_working: true, ..confirm(pid) };
    assert_eq!(scene.ask(anyway).await.unwrap().status, TakeoverStatus::Attached);
}

#[tokio::test]
async fn nobody_is_ended_for_a_session_that_could_not_be_attached() {
    let mut scene = Scene::new();
    let terminal = Terminal::polite();
    let pid = terminal.identity.pid;
    scene.provider.is_run_by(vec![terminal.holds()]);
    scene.ask(plan()).await.unwrap();
    for limits in [
        TakeoverParams { soft_limit: Some(9), hard_limit: Some(1), ..confirm(pid) },
        TakeoverParams { model: Some("--x".into()), ..confirm(pid) },
    ] {
        assert_eq!(scene.ask(limits).await.unwrap_err().kind, ErrorKind::InvalidParams);
    }
    let mut lost = held(vec![terminal.holds()]);
    lost.resume.as_mut().unwrap().cwd = "/no/such/folder".into();
    scene.provider.is(lost);
    assert_eq!(scene.ask(confirm(pid)).await.unwrap().reason, Some(BlockReason::WorkspaceGone));
    scene.provider.is_run_by(vec![terminal.holds()]);
    let there = std::mem::replace(&mut scene.config.codex_command, vec!["no-such-program".into()]);
    let answer = scene.ask(confirm(pid)).await.unwrap();
    assert_eq!(answer.reason, Some(BlockReason::AgentUnavailable));
    assert!(
        answer.explanation.contains("`no-such-program` is not on the PATH of agents (/bin)"),
        "{}",
        answer.explanation
    );
    assert!(!answer.side_effects_executed && terminal.lives());
    scene.config.codex_command = there;
    assert_eq!(scene.ask(confirm(pid)).await.unwrap().status, TakeoverStatus::Attached);
}

#[tokio::test]
async fn neither_the_caller_nor_akkd_nor_its_agents_are_ended() {
    let scene = Scene::new();
    let terminal = Terminal::running("sleep 60 >/dev/null & echo $!; read x");
    let pid = terminal.identity.pid;
    scene.provider.is_run_by(vec![terminal.holds()]);
    scene.ask(plan()).await.unwrap();
    // Somebody inside of it asks.
    let inside = scene.takeovers.takeover(confirm(pid), &scene.config, terminal.printed).await.unwrap_err();
    assert_eq!(inside.kind, ErrorKind::ProtectedProcess);
    // Somebody asks who is gone by now, and may have run inside of it.
    let mut asker = Terminal::polite();
    asker.quits();
    let gone = Some(asker.identity.pid);
    let answer = scene.takeovers.takeover(confirm(pid), &scene.config, gone).await.unwrap();
    assert_eq!(answer.reason, Some(BlockReason::FactsIncomplete));
    // akkd runs inside of it.
    let own = ProcessIdentity::of(std::process::id()).unwrap().unwrap();
    scene.provider.is(held(vec![holder(own, ProcessKind::Tui, Evidence::Lock)]));
    let answer = scene.ask(plan()).await.unwrap();
    assert_eq!(answer.reason, Some(BlockReason::ProtectedProcess));
    assert!(answer.explanation.contains("akkd itself runs inside of it"), "{}", answer.explanation);
    // akkd started it.
    let agent =
        Terminal::with("echo ready; read x", &[(LAUNCH_VARIABLE, "launch-0199a213-81c0-7800-8aa1-bbab2a035a53")]);
    scene.provider.is_run_by(vec![agent.holds()]);
    assert_eq!(scene.ask(confirm(agent.identity.pid)).await.unwrap_err().kind, ErrorKind::ProtectedProcess);
    // It belongs to somebody else.
    let mut other = terminal.holds();
    other.identity.uid += 1;
    scene.provider.is(held(vec![other]));
    assert_eq!(scene.ask(plan()).await.unwrap().reason, Some(BlockReason::ProtectedProcess));
    assert!(terminal.lives() && agent.lives());
}

#[tokio::test]
async fn a_process_known_by_its_directory_is_ended_only_by_name_and_that_is_recorded() {
    let scene = Scene::new();
    let terminal = Terminal::polite();
    let pid = terminal.identity.pid;
    scene.provider.is_run_by(vec![holder(terminal.identity.clone(), ProcessKind::Tui, Evidence::Cwd)]);
    assert_eq!(scene.ask(plan()).await.unwrap().reason, Some(BlockReason::WeakEvidence));
    let answer = scene.ask(TakeoverParams { allow_cwd_only: true, ..plan() }).await.unwrap();
    assert!(answer.hint.unwrap().contains("--allow-cwd-only"));
    let plan_id = answer.plan.unwrap().plan_id;
    assert_eq!(scene.ask(confirm(pid)).await.unwrap_err().kind, ErrorKind::TakeoverNotConfirmable);
    let unnamed = TakeoverParams { allow_cwd_only: true, expected_pid: None, plan_id: Some(plan_id), ..confirm(pid) };
    assert_eq!(scene.ask(unnamed).await.unwrap_err().kind, ErrorKind::TakeoverNotConfirmable);
    assert!(terminal.lives());
    let answer = scene.ask(TakeoverParams { allow_cwd_only: true, ..confirm(pid) }).await.unwrap();
    let attached = answer.conversation.unwrap().native_session_takeover.unwrap();
    assert!(attached.attachment.cwd_only_confirmed);
}

#[tokio::test]
async fn a_lock_that_is_let_go_late_is_waited_for() {
    let scene = Scene::new();
    let terminal = Terminal::polite();
    let (runs, target) = (terminal.holds(), terminal.identity.clone());
    let mut looks_after = 0;
    scene.provider.finds(move || {
        if !target.is_alive().unwrap() {
            looks_after += 1;
        }
        Ok(if looks_after > 3 { free() } else { held(vec![runs.clone()]) })
    });
    scene.ask(plan()).await.unwrap();
    let answer = scene.ask(confirm(terminal.identity.pid)).await.unwrap();
    assert_eq!(steps(&answer), ["checked", "signalled", "exited", "lock_free", "attached"]);
}

#[tokio::test]
async fn a_session_that_another_takes_at_once_is_left_to_it() {
    let scene = Scene::new();
    let terminal = Terminal::polite();
    let (runs, target) = (terminal.holds(), terminal.identity.clone());
    let next = holder(identity(77), ProcessKind::Tui, Evidence::Lock);
    scene.provider.finds(move || Ok(held(vec![if target.is_alive().unwrap() { runs.clone() } else { next.clone() }])));
    scene.ask(plan()).await.unwrap();
    let answer = scene.ask(TakeoverParams { wait_ms: Some(2000), ..confirm(terminal.identity.pid) }).await.unwrap();
    assert_eq!((answer.status, answer.reason), (TakeoverStatus::Blocked, Some(BlockReason::ActiveCliConflict)));
    assert!(answer.side_effects_executed && answer.explanation.contains("rocess 77"), "{}", answer.explanation);
    assert_eq!(steps(&answer), ["checked", "signalled", "exited"]);
    assert_eq!(scene.conversations().await, 0);
}

#[tokio::test]
async fn of_two_confirmations_at_once_one_attaches_and_the_other_names_it() {
    let scene = Scene::new();
    let terminal = Terminal::polite();
    scene.provider.is_run_by(vec![terminal.holds()]);
    scene.ask(plan()).await.unwrap();
    let both = || scene.ask(confirm(terminal.identity.pid));
    let (a, b) = tokio::join!(both(), both());
    let mut answers = [a.unwrap(), b.unwrap()];
    answers.sort_by_key(|a| a.status != TakeoverStatus::Attached);
    assert_eq!(answers[0].status, TakeoverStatus::Attached);
    assert_eq!((answers[1].reason, answers[1].side_effects_executed), (Some(BlockReason::AlreadyAdopted), false));
    assert_eq!(scene.conversations().await, 1);
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_leave_the_session_to_nobody() {
    let scene = Scene::new();
    let mut terminal =
        Terminal::running("trap 'echo asked; sleep 0.3; exit 0' TERM; echo ready; while :; do sleep 0.02; done");
    scene.provider.is_run_by(vec![terminal.holds()]);
    scene.ask(plan()).await.unwrap();
    let mut events = scene.house.store.subscribe_events();
    let mut said = BufReader::new(terminal.child.stdout.take().unwrap());
    let asked_to_end = tokio::task::spawn_blocking(move || said.read_line(&mut String::new()).unwrap());
    tokio::select! {
        answer = scene.takeovers.takeover(confirm(terminal.identity.pid), &scene.config, None) => panic!("{answer:?}"),
        // The caller is gone here.
        said = asked_to_end => assert!(said.unwrap() > 0),
    }
    let attached = async {
        loop {
            if let EventBody::NativeSessionAttached(attachment) = &events.recv().await.unwrap().body {
                return attachment.strategy;
            }
        }
    };
    let strategy = tokio::time::timeout(Duration::from_secs(20), attached).await.unwrap();
    assert_eq!(strategy, Strategy::TerminateThenResume);
}

#[tokio::test]
async fn a_probe_that_never_answers_does_not_hold_a_takeover_up() {
    let scene = Scene::new();
    let mut facts = held(vec![holder(identity(42), ProcessKind::Daemon, Evidence::Lock)]);
    facts.control_socket = Some("/run/answers.sock".into());
    scene.provider.is(facts);
    let silent = takeovers(&scene.house, &scene.provider, std::sync::Arc::new(|_, _| Box::pin(std::future::pending())));
    tokio::time::pause();
    let params = TakeoverParams { strategy: Some(Strategy::Attach), wait_ms: None, ..plan() };
    let answer = silent.takeover(params.clone(), &scene.config, None).await.unwrap();
    assert_eq!(answer.reason, Some(BlockReason::NoControlSocket));
    let answers = takeovers(&scene.house, &scene.provider, answering());
    assert_eq!(answers.takeover(params, &scene.config, None).await.unwrap().status, TakeoverStatus::Ready);
}
