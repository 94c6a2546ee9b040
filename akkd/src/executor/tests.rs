//! Stories of turns over ACP, with a scripted agent and an akkd that dies and comes back.

use super::testing::{House, ended};
use super::{RecoveredTurn, TurnOrder};
use akk_core::{ExecutorReport, How};
use akk_proto::conversation::PermissionPolicy;
use akk_proto::event::{Activity, CancelStep, Exit, SessionReached};
use akk_proto::{LaunchId, TurnId};
use std::time::Duration;

const GRACE: Duration = Duration::from_millis(300);

fn reached(report: &ExecutorReport) -> Option<SessionReached> {
    match report {
        ExecutorReport::SessionReady(session) => Some(session.how),
        _ => None,
    }
}

fn exited(report: &ExecutorReport) -> Option<(Option<Exit>, Option<String>)> {
    match report {
        ExecutorReport::Exited { exit, reason, .. } => Some((*exit, reason.clone())),
        _ => None,
    }
}

fn normal() -> How {
    How::Normal { stop_reason: "end_turn".into() }
}

fn recovered(order: TurnOrder) -> Vec<RecoveredTurn> {
    vec![RecoveredTurn { order, cancelling: false, permissions: Vec::new() }]
}

#[tokio::test]
async fn a_turn_goes_from_launch_to_end_and_the_next_one_finds_the_agent_warm() {
    let house = House::new();
    let executors = house.executors();
    executors.start_turn(house.order(1, None, "SAY TOOL SAY"));
    let end = house.told.end_of(1).await;
    assert_eq!((end.how, end.text.as_deref(), end.activity_seen), (normal(), Some("hello"), true));
    assert_eq!(end.usage.unwrap()["inputTokens"], 1);
    let names: Vec<&str> = house.told.all().iter().map(name).collect();
    assert_eq!(names, ["launched", "session", "prompt", "activity", "end"]);
    executors.start_turn(house.order(2, Some("s1"), "SAY"));
    assert_eq!(house.told.end_of(2).await.how, normal());
    assert_eq!(
        house.told.all().iter().filter_map(reached).collect::<Vec<_>>(),
        [SessionReached::Created, SessionReached::Kept]
    );
    assert_eq!((house.noted("start"), executors.agents()), (1, 1));
    assert!(house.log()[0].ends_with("conversation ticket socket"), "{:?}", house.log());
    executors.shutdown(false).await;
    assert_eq!(executors.agents(), 0);
    assert_eq!(house.told.wait(exited).await.1.as_deref(), Some("akkd was stopped"));
    assert!(house.ledger.rows().iter().all(|r| r.state == crate::store::LaunchState::Gone));
    assert_eq!(std::fs::read_dir(house.path("launches")).unwrap().count(), 0);
}

fn name(report: &ExecutorReport) -> &'static str {
    match report {
        ExecutorReport::Launched { .. } => "launched",
        ExecutorReport::SessionReady(_) => "session",
        ExecutorReport::PromptSent { .. } => "prompt",
        ExecutorReport::Activity { .. } => "activity",
        ExecutorReport::PermissionAsked { .. } => "asked",
        ExecutorReport::PermissionAnswered { .. } => "answered",
        ExecutorReport::PermissionWithdrawn { .. } => "withdrawn",
        ExecutorReport::Readopted { .. } => "readopted",
        ExecutorReport::CancelStep { .. } => "cancel",
        ExecutorReport::Inactive { .. } => "inactive",
        ExecutorReport::Exited { .. } => "exited",
        ExecutorReport::TurnEnded { .. } => "end",
    }
}

#[tokio::test]
async fn an_agent_that_is_gone_is_started_again_and_its_session_resumed_or_loaded() {
    let house = House::new();
    let executors = house.executors();
    let mut first = house.order(1, None, "SAY");
    first.agent.warm = Duration::ZERO;
    executors.start_turn(first);
    house.told.wait(exited).await;
    executors.start_turn(house.order(2, Some("s1"), "SAY"));
    assert_eq!(house.told.end_of(2).await.how, normal());
    assert_eq!(house.told.all().iter().filter_map(reached).next_back(), Some(SessionReached::Resumed));
    // Another configuration needs another process; this one can only load, and what it tells again does not count.
    let mut third = house.order(3, Some("s1"), "");
    third.agent.env.insert("RESUME".into(), String::new());
    executors.start_turn(third);
    let end = house.told.end_of(3).await;
    assert_eq!((end.how, end.text, end.activity_seen), (normal(), None, false));
    assert_eq!(house.told.all().iter().filter_map(reached).next_back(), Some(SessionReached::Loaded));
    assert_eq!(house.noted("start"), 3);
    executors.shutdown(true).await;
}

#[tokio::test]
async fn a_warm_agent_that_died_unseen_costs_nothing_but_a_fresh_start() {
    let house = House::new();
    let executors = house.executors();
    executors.start_turn(house.order(1, None, "SAY"));
    house.told.end_of(1).await;
    let launched = |r: &ExecutorReport| match r {
        ExecutorReport::Launched { pid, .. } => Some(*pid),
        _ => None,
    };
    let pid = house.told.wait(launched).await;
    // In one breath: the seat hears of the order and of the death together.
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
    rustix::process::kill_process(pid, crate::platform::Signal::KILL).unwrap();
    // Dead when the order comes: until then it may take a prompt. It is left for the seat to reap.
    let dead = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
    rustix::process::waitid(rustix::process::WaitId::Pid(pid), dead).unwrap();
    executors.start_turn(house.order(2, Some("s1"), "SAY"));
    assert_eq!(house.told.end_of(2).await.how, normal());
    assert_eq!((house.noted("start"), house.noted("prompt \"prompt:turn-2")), (2, 1));
    executors.shutdown(true).await;
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let house = House::new();
    let executors = house.executors();
    let mut missing = house.order(1, None, "SAY");
    missing.agent.command = vec!["akk-no-such-agent".into()];
    executors.start_turn(missing);
    let How::CannotStart { reason } = house.told.end_of(1).await.how else { panic!() };
    assert!(reason.contains("\"akk-no-such-agent\" was not found"), "{reason}");
    let mut newer = house.order(2, None, "SAY");
    newer.agent.env.insert("PROTOCOL".into(), "2".into());
    executors.start_turn(newer);
    let How::CannotStart { reason } = house.told.end_of(2).await.how else { panic!() };
    assert!(reason.contains("version 2"), "{reason}");
    std::fs::write(house.path("crash-at-start"), "").unwrap();
    executors.start_turn(house.order(3, None, "SAY"));
    let end = house.told.end_of(3).await;
    assert_eq!((end.exit, end.trace.as_deref()), (Some(Exit::Code(7)), Some("no licence")));
    let How::CannotStart { reason } = end.how else { panic!("{:?}", end.how) };
    assert_eq!(reason, "the agent process ended with exit code 7 before it took the prompt: no licence");
    assert!(house.ledger.fates().is_empty());
    executors.shutdown(true).await;
}

#[tokio::test]
async fn errors_are_told_apart() {
    let house = House::new();
    let executors = house.executors();
    executors.start_turn(house.order(1, None, "ERROR"));
    assert!(matches!(house.told.end_of(1).await.how, How::SessionLost { .. }));
    executors.start_turn(house.order(2, None, "SAY ERROR"));
    assert!(matches!(house.told.end_of(2).await.how, How::Failed { .. }));
    executors.start_turn(house.order(3, None, "LOGIN"));
    assert!(matches!(house.told.end_of(3).await.how, How::CannotStart { .. }));
    std::fs::remove_file(house.path("sessions")).unwrap();
    executors.start_turn(house.order(4, Some("s1"), "SAY"));
    assert!(matches!(house.told.end_of(4).await.how, How::SessionLost { .. }));
    executors.shutdown(true).await;
}

#[tokio::test]
async fn a_model_is_set_when_the_agent_has_it_and_refused_when_not() {
    let house = House::new();
    let executors = house.executors();
    let with = |turn, model: &str| TurnOrder { model: Some(model.into()), ..house.order(turn, None, "SAY") };
    executors.start_turn(with(1, "large"));
    assert_eq!(house.told.end_of(1).await.how, normal());
    assert_eq!(house.noted("set"), 1);
    executors.start_turn(with(2, "huge"));
    let How::ModelRefused { attempted, available, .. } = house.told.end_of(2).await.how else { panic!() };
    assert_eq!((attempted.as_deref(), available), (Some("huge"), vec!["small".to_owned(), "large".to_owned()]));
    executors.shutdown(true).await;
}

#[tokio::test]
async fn a_cancel_is_asked_for_first_and_the_agent_stays() {
    let house = House::new();
    let executors = house.executors();
    executors.start_turn(house.order(1, None, "SAY HANG"));
    house.wait_for_note("hanging").await;
    executors.cancel_turn(House::conversation(), TurnId::nth(1), Duration::from_secs(10));
    assert_eq!(house.told.end_of(1).await.how, How::Cancelled);
    let steps = |r: &ExecutorReport| matches!(r, ExecutorReport::CancelStep { step: CancelStep::Cooperative, .. });
    assert_eq!((house.told.count(steps), executors.agents()), (1, 1));
    // A cancel of what is not open converges too.
    executors.cancel_turn(House::conversation(), TurnId::nth(9), GRACE);
    assert_eq!(house.told.end_of(9).await.how, How::Cancelled);
    executors.shutdown(true).await;
}

#[tokio::test]
async fn a_cancel_converges_on_an_agent_that_ignores_everything() {
    let house = House::new();
    let executors = house.executors();
    executors.start_turn(house.order(1, None, "CHILD DEAF HANG"));
    house.wait_for_note("hanging").await;
    executors.cancel_turn(House::conversation(), TurnId::nth(1), GRACE);
    let end = house.told.end_of(1).await;
    assert_eq!((end.how, end.exit), (How::Cancelled, Some(Exit::Signal(9))));
    let steps: Vec<CancelStep> = house
        .told
        .all()
        .iter()
        .filter_map(|r| match r {
            ExecutorReport::CancelStep { step, .. } => Some(*step),
            _ => None,
        })
        .collect();
    assert_eq!(steps, [CancelStep::Cooperative, CancelStep::Terminate, CancelStep::Kill]);
    assert_eq!(house.told.wait(exited).await, (Some(Exit::Signal(9)), Some("cancelled".into())));
    assert!(house.ledger.rows().iter().all(|r| r.state == crate::store::LaunchState::Gone));
    executors.shutdown(true).await;
}

#[tokio::test]
async fn an_agent_that_dies_ends_the_turn_with_its_last_words_and_leaves_no_orphans() {
    let house = House::new();
    let executors = house.executors();
    executors.start_turn(house.order(1, None, "SAY CHILD DIE"));
    let end = house.told.end_of(1).await;
    assert_eq!(
        (end.exit, end.trace.as_deref(), end.text.as_deref()),
        (Some(Exit::Code(3)), Some("out of luck"), Some("hello"))
    );
    let How::Failed { reason } = end.how else { panic!() };
    assert_eq!(reason, "the agent process ended with exit code 3 before it answered the prompt: out of luck");
    assert_eq!(house.told.wait(exited).await, (Some(Exit::Code(3)), None));
    house.wait_until("gone", || house.ledger.rows().iter().all(|r| r.state == crate::store::LaunchState::Gone)).await;
    executors.shutdown(true).await;
}

#[tokio::test]
async fn a_release_ends_the_agent_and_the_open_turn_with_it() {
    let house = House::new();
    let executors = house.executors();
    executors.start_turn(house.order(1, None, "CHILD HANG"));
    house.wait_for_note("hanging").await;
    executors.release(House::conversation(), "closed".into());
    assert_eq!(house.told.end_of(1).await.how, How::Cancelled);
    assert_eq!(house.told.wait(exited).await.1.as_deref(), Some("closed"));
    assert_eq!(executors.agents(), 0);
    executors.shutdown(true).await;
}

#[tokio::test]
async fn permissions_follow_the_policy_and_other_requests_are_not_served() {
    for (policy, answer, decision) in [
        (PermissionPolicy::All, "\"y\"", "allowed"),
        (PermissionPolicy::Reads, "\"n\"", "refused"),
        (PermissionPolicy::Deny, "\"n\"", "refused"),
    ] {
        let house = House::new();
        let executors = house.executors();
        executors.start_turn(TurnOrder { permissions: policy, ..house.order(1, None, "ASK FILES") });
        assert_eq!(house.told.end_of(1).await.how, normal());
        let log = house.log();
        assert!(log.iter().any(|l| l.starts_with("answer") && l.contains(answer)), "{log:?}");
        assert!(log.iter().any(|l| l.starts_with("answer") && l.contains("-32601")), "{log:?}");
        let asked = |r: &ExecutorReport| match r {
            ExecutorReport::Activity { activity: Activity::Permission { decision, .. }, .. } => Some(decision.clone()),
            _ => None,
        };
        assert_eq!(house.told.wait(asked).await, decision);
        executors.shutdown(true).await;
    }
}

#[tokio::test]
async fn silence_is_told_once_and_a_message_breaks_it() {
    let house = House::new();
    let executors = house.executors();
    let order = TurnOrder { agent_timeout: Duration::from_millis(600), ..house.order(1, None, "HANG") };
    executors.start_turn(order);
    house.wait_for_note("hanging").await;
    let inactive = |r: &ExecutorReport| matches!(r, ExecutorReport::Inactive { .. });
    for _ in 0..8 {
        executors.touch(House::conversation());
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert_eq!(house.told.count(inactive), 0);
    house.told.wait(|r| inactive(r).then_some(())).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!((house.told.count(inactive), house.told.count(|r| ended(r, 1).is_some())), (1, 0));
    executors.shutdown(true).await;
    assert!(matches!(house.told.end_of(1).await.how, How::Failed { .. }));
}

#[tokio::test]
async fn floods_junk_and_second_answers_harm_nothing() {
    let house = House::new();
    let executors = house.executors();
    executors.start_turn(house.order(1, None, "JUNK FLOOD MANY TWICE"));
    let end = house.told.end_of(1).await;
    assert_eq!(end.how, normal());
    let told = house.told.count(|r| matches!(r, ExecutorReport::Activity { .. }));
    assert_eq!(told, super::seat::turn::MAX_ACTIVITIES as usize);
    executors.start_turn(house.order(2, Some("s1"), "SAY"));
    assert_eq!(house.told.end_of(2).await.text.as_deref(), Some("hello"));
    assert_eq!(house.told.count(|r| ended(r, 1).is_some()), 1);
    // 10 MB were read; next to nothing of it is still on the disk.
    let out = house.path("launches").join(house.ledger.rows()[0].launch_id.as_str()).join("out");
    let meta = std::fs::metadata(out).unwrap();
    let on_disk = std::os::unix::fs::MetadataExt::blocks(&meta) * 512;
    assert!(meta.len() > 10 << 20 && on_disk < 6 << 20, "{on_disk} of {}", meta.len());
    executors.shutdown(true).await;
}

#[tokio::test]
async fn a_report_that_cannot_be_stored_is_told_again_until_it_is() {
    let house = House::new();
    let executors = house.executors();
    house.told.fail_next(3);
    executors.start_turn(house.order(1, None, "SAY"));
    assert_eq!(house.told.end_of(1).await.how, normal());
    assert_eq!(house.told.count(|r| matches!(r, ExecutorReport::Launched { .. })), 1);
    executors.shutdown(true).await;
}

#[tokio::test]
async fn an_end_that_could_not_be_stored_before_akkd_stopped_is_found_out_again() {
    let house = House::new();
    let executors = house.executors();
    executors.start_turn(house.order(1, None, "WAIT SAY"));
    house.told.wait(|r| matches!(r, ExecutorReport::PromptSent { .. }).then_some(())).await;
    house.told.fail_next(u32::MAX);
    std::fs::write(house.path("go"), "").unwrap();
    house.wait_until("tried", || house.told.failed()).await;
    executors.shutdown(false).await;
    house.told.fail_next(0);
    let successor = house.executors();
    successor.recover(recovered(house.order(1, None, ""))).await;
    let end = house.told.end_of(1).await;
    assert_eq!((end.how, end.text.as_deref()), (normal(), Some("hello")));
    successor.shutdown(true).await;
}

#[test]
fn an_agent_outlives_akkd_and_its_answer_is_found_once() {
    let house = House::new();
    house.live_and_die(async |executors| {
        executors.start_turn(house.order(1, None, "SAY TOOL WAIT SAY"));
        house.told.wait(|r| matches!(r, ExecutorReport::Activity { .. }).then_some(())).await;
    });
    assert_eq!(house.told.count(|r| ended(r, 1).is_some()), 0);
    house.live_and_die(async |executors| {
        executors.recover(recovered(house.order(1, None, "SAY TOOL WAIT SAY"))).await;
        house.told.wait(|r| matches!(r, ExecutorReport::Readopted { .. }).then_some(())).await;
        std::fs::write(house.path("go"), "").unwrap();
        let end = house.told.end_of(1).await;
        assert_eq!((end.how, end.text.as_deref()), (normal(), Some("hello")));
        // The same process goes on with the next turn.
        executors.start_turn(house.order(2, Some("s1"), "SAY"));
        assert_eq!(house.told.end_of(2).await.how, normal());
        executors.shutdown(true).await;
    });
    assert_eq!((house.noted("start"), house.noted("prompt")), (1, 2));
    assert_eq!(house.told.count(|r| ended(r, 1).is_some()), 1);
    assert_eq!(house.told.count(|r| matches!(r, ExecutorReport::Activity { .. })), 1);
}

#[test]
fn an_answer_that_came_while_akkd_was_away_is_found_though_the_agent_is_gone() {
    let house = House::new();
    house.live_and_die(async |executors| {
        executors.start_turn(house.order(1, None, "WAIT SAY TWICE DIE"));
        house.told.wait(|r| matches!(r, ExecutorReport::PromptSent { .. }).then_some(())).await;
    });
    std::fs::write(house.path("go"), "").unwrap();
    house.live_and_die(async |executors| {
        house.wait_until("dead", || house.processes() == 0).await;
        executors.recover(recovered(house.order(1, None, ""))).await;
        let end = house.told.end_of(1).await;
        assert_eq!((end.how, end.text.as_deref()), (normal(), Some("hello")));
        executors.shutdown(true).await;
    });
    assert_eq!(house.noted("prompt"), 1);
}

#[test]
fn a_cancel_survives_akkd() {
    let house = House::new();
    house.live_and_die(async |executors| {
        executors.start_turn(house.order(1, None, "SAY DEAF HANG"));
        house.wait_for_note("hanging").await;
        house.told.wait(|r| matches!(r, ExecutorReport::PromptSent { .. }).then_some(())).await;
    });
    house.live_and_die(async |executors| {
        let order = house.order(1, None, "");
        executors.recover(vec![RecoveredTurn { order, cancelling: true, permissions: Vec::new() }]).await;
        assert_eq!(house.told.end_of(1).await.how, How::Cancelled);
        executors.shutdown(true).await;
    });
}

#[test]
fn a_prompt_that_was_cut_by_a_crash_is_sent_again_once() {
    let house = House::new();
    house.live_and_die(async |executors| {
        executors.start_turn(house.order(1, None, "SAY"));
        house.told.end_of(1).await;
        // All but the last two bytes of the second prompt are written, and that is not recorded as finishing.
        house.ledger.hold_prompts();
        executors.start_turn(house.order(2, Some("s1"), "SAY"));
        house.ledger.wait_for_held_prompt().await;
    });
    house.ledger.release_prompts();
    house.live_and_die(async |executors| {
        executors.recover(recovered(house.order(2, Some("s1"), "SAY"))).await;
        assert_eq!(house.told.end_of(2).await.how, normal());
        executors.shutdown(true).await;
    });
    let log = house.log();
    assert_eq!(
        (house.noted("start"), house.noted("broken"), house.noted("prompt \"prompt:turn-2:2\"")),
        (1, 1, 1),
        "{log:?}"
    );
    assert_eq!(house.noted("prompt \"prompt:turn-2:1\""), 0);
}

#[test]
fn a_launch_without_a_begun_prompt_is_ended_and_the_turn_starts_anew() {
    let house = House::new();
    house.live_and_die(async |executors| {
        house.ledger.hold_prompts();
        executors.start_turn(house.order(1, None, "SAY"));
        house.ledger.wait_for_held_prompt().await;
    });
    house.ledger.release_prompts();
    house.live_and_die(async |executors| {
        executors.recover(recovered(house.order(1, None, "SAY"))).await;
        assert_eq!(house.told.end_of(1).await.how, normal());
        executors.shutdown(true).await;
    });
    assert_eq!((house.noted("start"), house.noted("prompt")), (2, 1));
    assert_eq!(house.told.count(|r| exited(r).is_some_and(|(_, why)| why.is_some_and(|w| w.contains("restarted")))), 1);
}

#[test]
fn a_prompt_with_unknown_fate_is_never_sent_again() {
    let house = House::new();
    house.live_and_die(async |executors| {
        house.ledger.die_after_finishing(true);
        executors.start_turn(house.order(1, None, "SAY"));
        house.ledger.wait_for_held_prompt().await;
    });
    house.ledger.die_after_finishing(false);
    house.live_and_die(async |executors| {
        executors.recover(recovered(house.order(1, None, "SAY"))).await;
        assert!(matches!(house.told.end_of(1).await.how, How::Uncertain { .. }));
        house.told.wait(exited).await;
        // Nor by whoever asks for the turn once more.
        executors.start_turn(house.order(1, None, "SAY"));
        house.wait_until("second end", || house.told.count(|r| ended(r, 1).is_some()) == 2).await;
        executors.shutdown(true).await;
    });
    assert_eq!((house.noted("prompt"), house.noted("cancel")), (0, 1));
}

#[test]
fn a_warm_agent_is_kept_over_a_restart_and_a_stray_one_is_ended() {
    let house = House::new();
    house.live_and_die(async |executors| {
        executors.start_turn(house.order(1, None, "SAY"));
        house.told.end_of(1).await;
        house.wait_until("ended", || house.ledger.fates().last() == Some(&crate::store::PromptFate::Ended)).await;
    });
    // A process whose record was lost.
    let stray = house.path("launches").join(LaunchId::new(uuid::Uuid::now_v7()).as_str());
    std::fs::create_dir(&stray).unwrap();
    nix::unistd::mkfifo(&stray.join("in"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let stdin = std::fs::File::options().read(true).write(true).open(stray.join("in")).unwrap();
    let mut lost = std::process::Command::new("sleep").arg("600").stdin(stdin).spawn().unwrap();
    house.live_and_die(async |executors| {
        executors.recover(Vec::new()).await;
        house.wait_until("adopted", || executors.agents() == 1).await;
        tokio::task::spawn_blocking(move || lost.wait()).await.unwrap().unwrap();
        house.wait_until("swept", || !stray.exists()).await;
        executors.start_turn(house.order(2, Some("s1"), "SAY"));
        assert_eq!(house.told.end_of(2).await.how, normal());
        executors.shutdown(true).await;
    });
    assert_eq!((house.noted("start"), house.noted("resume")), (1, 0));
}

#[tokio::test]
async fn a_shutdown_leaves_a_running_turn_to_the_successor() {
    let house = House::new();
    let executors = house.executors();
    executors.start_turn(house.order(1, None, "SAY WAIT"));
    house.told.wait(|r| matches!(r, ExecutorReport::PromptSent { .. }).then_some(())).await;
    executors.shutdown(false).await;
    assert!(house.processes() > 0);
    std::fs::write(house.path("go"), "").unwrap();
    let successor = house.executors();
    successor.recover(recovered(house.order(1, None, ""))).await;
    assert_eq!(house.told.end_of(1).await.how, normal());
    successor.shutdown(true).await;
}
