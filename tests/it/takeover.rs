//! Native sessions of the real codex are taken over by each strategy, or it is said precisely why not.

use crate::attach::shared;
use akk_proto::conversation::{Need, Status, Transport};
use akk_proto::error::ErrorKind;
use akk_proto::session::{
    BlockReason, Evidence, ProcessKind, SessionActivity, Strategy, TakeoverAnswer, TakeoverParams, TakeoverStatus,
};
use akk_tests::binaries::binaries;
use akk_tests::codex::say;
use akk_tests::native::wanted;
use akk_tests::terminal::Terminal;
use akk_tests::{Native, processes, wait_for};
use std::path::PathBuf;

const TERMINATE: Strategy = Strategy::TerminateThenResume;

/// A terminal in which a session was said something, and the session.
async fn terminal(akkd: &Native) -> (Terminal, String) {
    let id = akkd.codex.session("The word is swordfish.\nSAY Noted.").await;
    let terminal = akkd.codex.terminal(&["resume", &id]).await;
    terminal.shows("Noted.").await;
    akkd.seen(&id, |s| s.holders.iter().any(|h| h.pid == terminal.pid() && h.evidence == Evidence::Lock)).await;
    (terminal, id)
}

/// The second step of a termination: what the user confirmed.
fn confirmed(plan: &TakeoverAnswer) -> TakeoverParams {
    let plan = plan.plan.as_ref().unwrap_or_else(|| panic!("a plan: {plan:#?}"));
    TakeoverParams {
        create_conversation: true,
        confirm_terminate: true,
        plan_id: Some(plan.plan_id.clone()),
        // A busy machine takes its time.
        wait_ms: Some(60_000),
        ..wanted(&plan.session_id, TERMINATE)
    }
}

#[track_caller]
pub(crate) fn blocked(answer: &TakeoverAnswer, reason: BlockReason) {
    assert_eq!((answer.status, answer.reason), (TakeoverStatus::Blocked, Some(reason)), "{answer:#?}");
    assert!(!answer.side_effects_executed);
}

/// Sends to the conversation of a takeover: the very same session answers.
pub(crate) async fn goes_on(akkd: &Native, answer: &TakeoverAnswer) {
    let c = answer.conversation.as_ref().unwrap_or_else(|| panic!("a conversation: {answer:#?}"));
    let id = &c.conversation_id;
    assert_eq!(c.executor.native_session_id.as_deref(), Some(answer.session.session_id.as_str()));
    crate::attach::send_when_free(akkd, id, "SAY It was swordfish.").await;
    assert_eq!(akkd.wait_need(id, Need::Done).await.message.unwrap().body, "It was swordfish.");
    let asked = akkd.codex.model.prompts("It was swordfish.");
    assert_eq!(asked.len(), 1);
    assert!(asked[0].knows("The word is swordfish."), "the model sees what was before");
    assert!(akkd.event_names(id).await.contains(&"native_session_bootstrapped"));
}

// safe_resume

with_codex!(a_plan_says_what_would_be_done_and_does_nothing, akkd, {
    let id = akkd.codex.session_with(&["-s", "workspace-write"], "SAY Noted.").await;
    akkd.listed(&id).await;
    let before = akkd.codex.listing();
    let plan = akkd.plan(&id, Strategy::SafeResume).await;
    assert_eq!(plan.status, TakeoverStatus::Ready, "{plan:#?}");
    let resume = plan.resume.unwrap();
    assert_eq!(resume.cwd, akkd.home.workspace().to_str().unwrap());
    assert_eq!(resume.model.as_deref(), Some("gpt-fake"));
    assert_eq!(resume.sandbox.as_deref(), Some("workspace-write"));
    assert_eq!(akkd.conversations().await, 0);
    assert_eq!(akkd.codex.changes_since(&before), Vec::<PathBuf>::new());

    let advice = akkd.takeover(TakeoverParams { session_id: id[..13].into(), ..TakeoverParams::default() }).await;
    assert_eq!(advice.strategy, Strategy::SafeResume);
    let ways: Vec<_> = advice.strategies.iter().map(|s| (s.strategy, s.status)).collect();
    assert!(ways.contains(&(Strategy::SafeResume, TakeoverStatus::Ready)), "{ways:?}");
    assert!(ways.contains(&(TERMINATE, TakeoverStatus::Blocked)), "{ways:?}");
    assert!(ways.contains(&(Strategy::Fork, TakeoverStatus::AwaitingOpenclawSummary)), "{ways:?}");
});

with_codex!(a_session_that_nobody_runs_is_resumed, akkd, {
    let id = akkd.codex.session("The word is swordfish.\nSAY Noted.").await;
    akkd.listed(&id).await;
    let params = TakeoverParams { create_conversation: true, ..wanted(&id, Strategy::SafeResume) };
    let answer = akkd.takeover(params.clone()).await;
    assert_eq!(answer.status, TakeoverStatus::Attached);
    let c = answer.conversation.as_ref().unwrap();
    assert_eq!((c.status, c.executor.transport), (Status::Idle, Transport::Codex));
    goes_on(&akkd, &answer).await;

    // It has its conversation now, and when that is closed, another one can have it.
    blocked(&akkd.takeover(params.clone()).await, BlockReason::AlreadyAdopted);
    akkd.close(&answer.conversation.unwrap().conversation_id).await;
    let again = akkd.takeover(params).await.conversation.unwrap().conversation_id;
    akkd.send(&again, "SAY Swordfish again.").await;
    assert_eq!(akkd.wait_need(&again, Need::Done).await.message.unwrap().body, "Swordfish again.");
    assert!(akkd.codex.model.prompts("Swordfish again.")[0].knows("It was swordfish."));
});

with_codex!(a_session_in_a_terminal_is_not_resumed_beside_it, akkd, {
    let (terminal, id) = terminal(&akkd).await;
    let answer = akkd.plan(&id, Strategy::SafeResume).await;
    blocked(&answer, BlockReason::ActiveCliConflict);
    assert_eq!(answer.session.holders[0].pid, terminal.pid());
    let asked = TakeoverParams { create_conversation: true, ..wanted(&id, Strategy::SafeResume) };
    blocked(&akkd.takeover(asked).await, BlockReason::ActiveCliConflict);
    assert_eq!(akkd.conversations().await, 0);
    say(&terminal, "SAY undisturbed").await;
    terminal.shows("• undisturbed").await;
});

with_codex!(what_cannot_be_resumed_is_told, akkd, {
    // The last one is what codex itself would take for the name of a new session.
    for unknown in ["01a20000-0000-7000-8000-000000000000", "no-such-session"] {
        let refused = akkd.try_takeover(wanted(unknown, Strategy::SafeResume)).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::SessionNotFound, "{refused}");
    }

    let id = akkd.codex.session("SAY Noted.").await;
    akkd.listed(&id).await;
    let (code, output) = akkd.codex.run(&["archive", &id]).await;
    assert_eq!(code, Some(0), "{output}");
    let archived = async || Some(akkd.plan(&id, Strategy::SafeResume).await).filter(|a| a.reason.is_some());
    blocked(&wait_for("the archive to be seen", archived).await, BlockReason::Archived);
});

with_codex!(a_session_whose_directory_is_gone_is_not_resumed_elsewhere, akkd, {
    let below = akkd.home.workspace().join("below");
    std::fs::create_dir(&below).unwrap();
    let id = akkd.codex.session_with(&["-C", below.to_str().unwrap()], "SAY Noted.").await;
    akkd.listed(&id).await;
    std::fs::remove_dir(&below).unwrap();
    blocked(&akkd.plan(&id, Strategy::SafeResume).await, BlockReason::WorkspaceGone);
});

// terminate_then_resume

with_codex!(a_terminal_is_ended_after_a_confirmation_and_its_session_goes_on, akkd, {
    let (mut terminal, id) = terminal(&akkd).await;
    let planned = akkd.plan(&id, TERMINATE).await;
    assert_eq!(planned.status, TakeoverStatus::RequiresConfirmation, "{planned:#?}");
    let plan = planned.plan.as_ref().unwrap();
    assert_eq!((plan.target.pid, plan.kind, plan.evidence), (terminal.pid(), ProcessKind::Tui, Evidence::Lock));
    assert_eq!(plan.activity, SessionActivity::Idle);
    assert!(processes::lives(terminal.pid()), "a plan harms nobody");

    let done = akkd.takeover(confirmed(&planned)).await;
    assert_eq!(done.status, TakeoverStatus::Attached, "{done:#?}");
    terminal.ended().await;
    // What it had started at that moment, if anything, is ended beside it.
    let mut steps: Vec<_> = done.steps.iter().map(|s| s.step.as_str()).collect();
    steps.dedup();
    assert_eq!(steps, ["checked", "signalled", "exited", "lock_free", "attached"]);
    goes_on(&akkd, &done).await;

    // A plan is good for one use, also when the session is free for another one.
    blocked(&akkd.takeover(confirmed(&planned)).await, BlockReason::AlreadyAdopted);
    akkd.close(&done.conversation.unwrap().conversation_id).await;
    assert_eq!(akkd.try_takeover(confirmed(&planned)).await.unwrap_err().kind, ErrorKind::PlanExpired);
});

with_codex!(the_script_of_npm_and_the_codex_below_it_end_together, akkd, {
    let id = akkd.codex.session("The word is swordfish.\nSAY Noted.").await;
    let mut terminal = akkd.codex.wrapped_terminal(&["resume", &id]).await;
    terminal.shows("Noted.").await;
    akkd.seen(&id, |s| s.holders.iter().any(|h| h.evidence == Evidence::Lock)).await;
    let planned = akkd.plan(&id, TERMINATE).await;
    let target = planned.plan.as_ref().unwrap().target.pid;
    assert_ne!(target, terminal.pid());
    let done = akkd.takeover(confirmed(&planned)).await;
    assert_eq!(done.status, TakeoverStatus::Attached, "{done:#?}");
    terminal.ended().await;
    assert!(!processes::lives(target));
    goes_on(&akkd, &done).await;
});

with_codex!(a_pid_can_be_confirmed_instead_of_a_plan, akkd, {
    let (mut terminal, id) = terminal(&akkd).await;
    let planned = akkd.plan(&id, TERMINATE).await;
    let by_pid = |pid| TakeoverParams { plan_id: None, expected_pid: Some(pid), ..confirmed(&planned) };
    let other = akkd.try_takeover(by_pid(std::process::id())).await.unwrap_err();
    assert!(matches!(other.kind, ErrorKind::PlanExpired | ErrorKind::ExpectedPidMismatch), "{other}");
    let neither = TakeoverParams { plan_id: None, ..confirmed(&planned) };
    assert_eq!(akkd.try_takeover(neither).await.unwrap_err().kind, ErrorKind::InvalidParams);
    assert!(processes::lives(terminal.pid()));
    assert_eq!(akkd.takeover(by_pid(terminal.pid())).await.status, TakeoverStatus::Attached);
    terminal.ended().await;
});

with_codex!(a_plan_for_a_process_that_is_gone_ends_no_other, akkd, {
    let (mut first, id) = terminal(&akkd).await;
    let planned = akkd.plan(&id, TERMINATE).await;
    say(&first, "/quit").await;
    first.ended().await;
    let second = akkd.codex.terminal(&["resume", &id]).await;
    akkd.seen(&id, |s| s.holders.iter().any(|h| h.pid == second.pid())).await;
    let refused = akkd.try_takeover(confirmed(&planned)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::ExpectedPidMismatch);
    assert_eq!(akkd.conversations().await, 0);
    say(&second, "SAY unharmed").await;
    second.shows("• unharmed").await;
});

with_codex!(a_running_turn_is_not_ended_unless_that_is_wanted, akkd, {
    let (mut terminal, id) = terminal(&akkd).await;
    say(&terminal, "HOLD the line;;SAY bye").await;
    akkd.codex.model.prompted("HOLD the line").await;
    akkd.seen(&id, |s| s.activity == SessionActivity::Working).await;
    let planned = akkd.plan(&id, TERMINATE).await;
    let working = planned.plan.as_ref().map(|p| p.activity);
    assert_eq!(working, Some(SessionActivity::Working), "{planned:#?}");
    let refused = akkd.try_takeover(confirmed(&planned)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::SessionWorking);
    assert!(processes::lives(terminal.pid()));
    let planned = akkd.plan(&id, TERMINATE).await;
    let done = akkd.takeover(TakeoverParams { even_if_working: true, ..confirmed(&planned) }).await;
    assert_eq!(done.status, TakeoverStatus::Attached, "{done:#?}");
    terminal.ended().await;
    goes_on(&akkd, &done).await;
});

with_codex!(what_does_not_end_is_told_and_only_killed_when_that_is_wanted, akkd, {
    // What a process ignores, the program that it becomes ignores too.
    let deaf = "The word is swordfish.\nRUN trap '' TERM; exec sleep 4242";
    let sleeps = || processes::of(akkd.home.root()).into_iter().find(|p| p.command.starts_with("sleep 4242"));
    for kill in [false, true] {
        let mut exec = akkd.codex.exec(&["-s", "danger-full-access"], deaf).await;
        let tool = wait_for("the tool", async || sleeps()).await;
        let planned = akkd.plan(&exec.session, TERMINATE).await;
        let wait_ms = Some(if kill { 8000 } else { 2000 });
        let done = akkd.takeover(TakeoverParams { even_if_working: true, kill, wait_ms, ..confirmed(&planned) }).await;
        exec.ended().await;
        assert!(done.side_effects_executed && done.steps.iter().any(|s| s.step == "signalled"), "{done:#?}");
        if kill {
            assert_eq!(done.status, TakeoverStatus::Attached, "{done:#?}");
            assert!(!processes::lives(tool.pid));
            goes_on(&akkd, &done).await;
        } else {
            assert_eq!((done.status, done.reason), (TakeoverStatus::Blocked, Some(BlockReason::TargetStillActive)));
            assert_eq!(akkd.conversations().await, 0);
            processes::end(tool.pid);
            wait_for("the end of the tool", async || (!processes::lives(tool.pid)).then_some(())).await;
        }
    }
});

with_codex!(an_exec_and_the_tools_that_it_started_end_together, akkd, {
    let exec = akkd.codex.exec(&["-s", "danger-full-access"], "The word is swordfish.\nRUN exec sleep 4242").await;
    let sleeps = || processes::of(akkd.home.root()).into_iter().find(|p| p.command.starts_with("sleep 4242"));
    let tool = wait_for("the tool", async || sleeps()).await;
    akkd.seen(&exec.session, |s| s.activity == SessionActivity::Working).await;
    let planned = akkd.plan(&exec.session, TERMINATE).await;
    let plan = planned.plan.as_ref().unwrap();
    assert_eq!((plan.target.pid, plan.kind), (exec.pid(), ProcessKind::Exec));
    assert!(plan.children.iter().any(|c| c.pid == tool.pid), "{plan:#?}");
    let done = akkd.takeover(TakeoverParams { even_if_working: true, ..confirmed(&planned) }).await;
    assert_eq!(done.status, TakeoverStatus::Attached, "{done:#?}");
    assert!(!processes::lives(tool.pid) && !processes::lives(exec.pid()));
    goes_on(&akkd, &done).await;
});

with_codex!(a_plan_outlives_a_killed_akkd, mut akkd, {
    let (mut terminal, id) = terminal(&akkd).await;
    let planned = akkd.plan(&id, TERMINATE).await;
    akkd.akkd().restart().await;
    assert!(processes::lives(terminal.pid()));
    let done = akkd.takeover(confirmed(&planned)).await;
    assert_eq!(done.status, TakeoverStatus::Attached, "{done:#?}");
    terminal.ended().await;
    goes_on(&akkd, &done).await;
});

with_codex!(a_repeated_call_is_answered_and_not_repeated, akkd, {
    let (mut terminal, id) = terminal(&akkd).await;
    let planned = akkd.plan(&id, TERMINATE).await;
    let params = TakeoverParams { request_id: Some("the-one".parse().unwrap()), ..confirmed(&planned) };
    let done = akkd.takeover(params.clone()).await;
    terminal.ended().await;
    let again = akkd.takeover(params).await;
    assert!(again.repeated && !done.repeated);
    let ids = [done, again].map(|a| a.conversation.unwrap().conversation_id);
    assert_eq!(ids[0], ids[1]);
});

with_codex!(a_session_of_the_shared_daemon_is_not_ended, akkd, {
    let daemon = akkd.codex.shared_daemon().await;
    let (terminal, id) = shared(&akkd).await;
    blocked(&akkd.plan(&id, TERMINATE).await, BlockReason::SharedHolder);
    let by_pid = TakeoverParams {
        create_conversation: true,
        confirm_terminate: true,
        expected_pid: Some(daemon.pid()),
        ..wanted(&id, TERMINATE)
    };
    let refused = akkd.try_takeover(by_pid).await;
    assert!(
        refused.as_ref().is_ok_and(|a| a.reason == Some(BlockReason::SharedHolder))
            || refused.is_err_and(|r| r.kind == ErrorKind::SharedHolder)
    );
    assert!(processes::lives(daemon.pid()));
    say(&terminal, "SAY unharmed").await;
    terminal.shows("• unharmed").await;
});

with_codex!(our_own_executor_is_not_ended, akkd, {
    let id = akkd.codex.session("SAY Noted.").await;
    akkd.listed(&id).await;
    let conversation = akkd.adopt(&id).await;
    akkd.send(&conversation, "HOLD the line;;SAY bye").await;
    akkd.codex.model.prompted("HOLD the line").await;
    akkd.seen(&id, |s| s.activity == SessionActivity::Working).await;
    let answer = akkd.plan(&id, TERMINATE).await;
    assert!(matches!(answer.reason, Some(BlockReason::AlreadyAdopted | BlockReason::ProtectedProcess)), "{answer:#?}");
    akkd.codex.model.let_go("the line");
    assert_eq!(akkd.wait_need(&conversation, Need::Done).await.message.unwrap().body, "bye");
});

with_codex!(an_agent_cannot_have_its_own_terminal_ended, akkd, {
    let terminal = akkd.codex.terminal(&["-s", "danger-full-access", "-a", "never"]).await;
    say(&terminal, "SAY Noted.").await;
    terminal.shows("• Noted.").await;
    let active = async || akkd.discover(akk_proto::session::DiscoverScope::Active).await.sessions.pop();
    let id = wait_for("the session", active).await.session_id;
    // The agent asks for both steps at once, by its terminal's pid.
    let akkctl = binaries().akkctl.to_str().unwrap();
    let ask = format!("{akkctl} takeover {id} --strategy terminate_then_resume --json");
    say(&terminal, &format!("RUN {ask} > plan.json 2>&1;;SAY asked")).await;
    terminal.shows("• asked").await;
    let answer = std::fs::read_to_string(akkd.home.workspace().join("plan.json")).unwrap();
    assert!(answer.contains("protected_process"), "{answer}");
    assert!(processes::lives(terminal.pid()));
});

with_codex!(from_the_shell_a_terminal_is_ended_and_its_session_goes_on, akkd, {
    let (mut terminal, id) = terminal(&akkd).await;
    let pid = terminal.pid().to_string();
    let active = akkd.ctl(&["sessions", "--active"]).await.ok().stdout;
    assert!(active.contains(&pid) && active.contains("lock"), "{active}");
    let plan = akkd.ctl(&["takeover", &id[..13], "-s", "terminate_then_resume"]).await;
    assert_eq!(plan.code, Some(3), "{plan:?}");
    assert!(plan.stdout.contains(&pid), "{plan:?}");
    let done = akkd
        .ctl(&["takeover", &id, "-s", "terminate_then_resume", "--create", "--confirm", &pid, "--wait-ms", "60000"])
        .await;
    assert_eq!(done.code, Some(0), "{done:?}");
    terminal.ended().await;
    akkd.ctl(&["send", "@last", "SAY It was swordfish."]).await.ok();
    akkd.ctl(&["wait", "@last"]).await.ok();
    let result = akkd.ctl(&["result", "@last"]).await.ok().stdout;
    assert!(result.contains("It was swordfish."), "{result}");
    assert_eq!(akkd.codex.model.prompts("It was swordfish.").len(), 1);
});

// fork

with_codex!(a_fork_carries_the_summary_and_nothing_else, akkd, {
    let (terminal, id) = terminal(&akkd).await;
    let rollout = akkd.codex.rollout(&id);
    let original = std::fs::read(&rollout).unwrap();

    let first = akkd.plan(&id, Strategy::Fork).await;
    assert_eq!(first.status, TakeoverStatus::AwaitingOpenclawSummary, "{first:#?}");
    let context = first.context.unwrap();
    let messages: Vec<_> = context.messages.iter().map(|m| (m.role.as_str(), m.text.as_str())).collect();
    assert_eq!(messages, [("user", "The word is swordfish.\nSAY Noted."), ("assistant", "Noted.")]);
    assert!(!context.truncated && !context.prompt.is_empty());

    let summary = "Goal: count the beans. Done: 12 of 30.";
    let second =
        TakeoverParams { create_conversation: true, fork_summary: Some(summary.into()), ..wanted(&id, Strategy::Fork) };
    let forked = akkd.takeover(second).await;
    assert_eq!(forked.status, TakeoverStatus::Forked, "{forked:#?}");
    let c = forked.conversation.unwrap();
    assert_ne!(c.executor.native_session_id.as_deref(), Some(id.as_str()));
    assert!(c.fork_context_takeover.unwrap().needs_bootstrap);

    akkd.send(&c.conversation_id, "say 18 are left").await;
    assert_eq!(akkd.wait_need(&c.conversation_id, Need::Done).await.message.unwrap().body, "18 are left");
    let heard = async || Some(akkd.heard_by_forks()).filter(|heard| heard.contains(summary));
    let heard = wait_for("the summary at the fork", heard).await;
    assert!(heard.contains(summary) && !heard.contains("swordfish"), "{heard}");
    assert!(akkd.event_names(&c.conversation_id).await.contains(&"fork_session_bootstrapped"));
    akkd.send(&c.conversation_id, "say bye").await;
    assert_eq!(akkd.wait_need(&c.conversation_id, Need::Done).await.message.unwrap().body, "bye");
    let heard = akkd.heard_by_forks();
    assert_eq!(heard.matches(summary).count(), 1, "the summary is told once");

    assert_eq!(std::fs::read(&rollout).unwrap(), original);
    say(&terminal, "SAY unharmed").await;
    terminal.shows("• unharmed").await;
});
