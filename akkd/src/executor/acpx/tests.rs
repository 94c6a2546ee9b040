//! Stories of turns over acpx: with a stand-in that plays samples of the real acpx, and, where it is installed, with
//! the real one.

use crate::executor::testing::{House, ended};
use crate::executor::{Executors, RecoveredTurn, TurnOrder};
use akk_core::{Ended, ExecutorReport, How};
use akk_proto::conversation::Transport;
use akk_proto::event::{Activity, CancelStep, Exit, SessionReached};
use std::path::Path;
use std::time::Duration;

const GRACE: Duration = Duration::from_millis(300);
const STAND_IN: &str = include_str!("acpx.sh");

/// An order for the stand-in. `play`: `NAME=value` words for it.
fn order(house: &House, turn: u32, session: Option<&str>, play: &[(&str, &str)]) -> TurnOrder {
    std::fs::write(house.path("acpx.sh"), STAND_IN).unwrap();
    let mut order = house.order(turn, session, PROMPT);
    order.agent.transport = Transport::Acpx;
    order.agent.command = vec!["/bin/sh".into(), house.path("acpx.sh").to_string_lossy().into_owned()];
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/acpx");
    order.agent.env.insert("SAMPLES".into(), samples.to_string_lossy().into_owned());
    order.agent.env.extend(play.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    order
}

/// The prompt of the samples in which a client is killed.
const PROMPT: &str = "say start\nsleep 6\nsay end\n";
/// The session of the samples.
const SESSION: &str = "5e551000-0000-4000-8000-000000000001";

fn normal() -> How {
    How::Normal { stop_reason: "end_turn".into() }
}

async fn turn(house: &House, order: TurnOrder) -> Ended {
    let executors = house.executors();
    let nth = order.turn_id.ordinal();
    executors.start_turn(order);
    let end = house.told.end_of(nth).await;
    executors.shutdown(true).await;
    nothing_is_left(house);
    end
}

/// No process, no folder, no live launch: not of the queue owner either.
fn nothing_is_left(house: &House) {
    assert!(house.ledger.rows().iter().all(|r| r.state == crate::store::LaunchState::Gone));
    assert_eq!(std::fs::read_dir(house.path("launches")).unwrap().count(), 0);
    for pid in std::fs::read_to_string(house.path("owners")).unwrap_or_default().lines() {
        let identity = crate::platform::ProcessIdentity::of(pid.parse().unwrap()).unwrap();
        assert!(identity.is_none_or(|i| !i.is_alive().unwrap()), "the queue owner {pid} lives");
    }
}

#[tokio::test]
async fn a_turn_is_told_from_the_session_to_the_end_and_the_prompt_stands_in_no_command_line() {
    let house = House::new();
    let end = turn(&house, order(&house, 1, None, &[("PLAY", "turn")])).await;
    assert_eq!((end.how, end.text.as_deref(), end.exit), (normal(), Some("done here"), Some(Exit::Code(0))));
    assert_eq!((end.thoughts, end.activity_seen), (1, true));
    assert_eq!(std::fs::read_to_string(house.path("prompt")).unwrap(), PROMPT);
    let log = house.log();
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[0].contains("sessions ensure --name=akk-scripted-1") && log[1].contains("prompt --session="));
    assert!(log.iter().all(|line| !line.contains("say start") && line.contains("--approve-all")));
    let reached: Vec<_> = house
        .told
        .all()
        .into_iter()
        .filter_map(|r| match r {
            ExecutorReport::SessionReady(s) => Some((s.native_session_id, s.how)),
            _ => None,
        })
        .collect();
    assert_eq!(reached, [(SESSION.to_owned(), SessionReached::Created)]);
    let sent =
        |r: &ExecutorReport| matches!(r, ExecutorReport::PromptSent { bytes, .. } if *bytes == PROMPT.len() as u64);
    assert_eq!(house.told.count(sent), 1);
    let tools = house.told.count(|r| matches!(r, ExecutorReport::Activity { activity: Activity::Tool { .. }, .. }));
    assert_eq!(tools, 3);
    // The short command is not the agent: only the client is told as a launch.
    assert_eq!(house.told.count(|r| matches!(r, ExecutorReport::Launched { .. })), 1);
    assert_eq!(house.told.count(|r| matches!(r, ExecutorReport::Exited { .. })), 1);
}

#[tokio::test]
async fn what_cannot_be_prepared_says_why_and_nothing_is_prompted() {
    for (ensure, session, is) in [
        ("auth", None, "Authentication required"),
        ("crash", None, "refusing to start"),
        ("gone", None, "Failed to spawn"),
    ] {
        let house = House::new();
        let end = turn(&house, order(&house, 1, session, &[("ENSURE", ensure)])).await;
        let How::CannotStart { reason } = end.how else { panic!("{ensure}: {:?}", end.how) };
        assert!(reason.contains(is), "{reason}");
        assert!(house.ledger.fates().is_empty());
    }
    let house = House::new();
    let mut wrong = order(&house, 1, None, &[("ENSURE", "model")]);
    wrong.model = Some("nope".into());
    let How::ModelRefused { attempted, available, .. } = turn(&house, wrong).await.how else { panic!() };
    assert_eq!((attempted.as_deref(), available.len()), (Some("nope"), 2));
    // A session that acpx had to make anew is not the one that was asked for.
    let house = House::new();
    let end = turn(&house, order(&house, 1, Some(SESSION), &[])).await;
    assert!(matches!(end.how, How::SessionLost { .. }), "{:?}", end.how);
    let house = House::new();
    let mut missing = order(&house, 1, None, &[]);
    missing.agent.command = vec!["akk-no-such-acpx".into()];
    let How::CannotStart { reason } = turn(&house, missing).await.how else { panic!() };
    assert!(reason.contains("akk-no-such-acpx"), "{reason}");
}

#[tokio::test]
async fn failures_of_the_turn_are_told_apart() {
    let of = |play: &'static str, exit: &'static str| async move {
        let house = House::new();
        let end =
            turn(&house, order(&house, 1, Some(SESSION), &[("ENSURE", "existing"), ("PLAY", play), ("EXIT", exit)]));
        end.await.how
    };
    assert!(matches!(of("crash", "1").await, How::Failed { reason } if reason.contains("disconnected")));
    assert!(matches!(of("rpc-error", "1").await, How::CannotStart { reason } if reason.contains("log in")));
    assert!(matches!(of("no-session", "4").await, How::SessionLost { .. }));
    assert!(matches!(of("model-refused", "1").await, How::ModelRefused { .. }));
    assert!(matches!(of("cancelled", "0").await, How::Cancelled));
}

#[tokio::test]
async fn a_session_that_acpx_could_not_resume_is_stopped_and_never_replayed_by_itself() {
    let house = House::new();
    let played = [("ENSURE", "existing"), ("PLAY", "resume-lost"), ("HOLD", "never")];
    let end = turn(&house, order(&house, 1, Some(SESSION), &played)).await;
    assert!(matches!(end.how, How::Uncertain { .. }), "{:?}", end.how);
    assert!(!end.activity_seen);
    // It had begun before it could be stopped: then nothing is sent again by itself.
    let house = House::new();
    let played = [("ENSURE", "existing"), ("PLAY", "resume-failed")];
    let end = turn(&house, order(&house, 1, Some(SESSION), &played)).await;
    assert!(matches!(end.how, How::Failed { .. }), "{:?}", end.how);
    // A first turn has nothing to lose, and the new session is the one to go on with.
    let house = House::new();
    let end = turn(&house, order(&house, 1, None, &[("PLAY", "resume-failed")])).await;
    assert_eq!((end.how, end.text.as_deref()), (normal(), Some("hi")));
    assert_eq!(house.told.count(|r| matches!(r, ExecutorReport::SessionReady(_))), 2);
}

#[tokio::test]
async fn a_client_that_was_killed_is_looked_up_in_the_session_s_record_and_never_prompts_again() {
    let house = House::new();
    let played = [("PLAY", "client-killed"), ("DIE", "1"), ("WATCH", "watch")];
    let end = turn(&house, order(&house, 1, None, &played)).await;
    assert_eq!((end.how, end.text.as_deref()), (normal(), Some("start\nend")));
    assert_eq!(end.exit, Some(Exit::Signal(9)));
    assert_eq!(house.log().iter().filter(|l| l.contains(" prompt ")).count(), 1);
    // The owner died too: the agent had the prompt, more cannot be known.
    let house = House::new();
    let played = [("PLAY", "owner-killed"), ("EXIT", "1"), ("WATCH", "watch-owner-gone")];
    let end = turn(&house, order(&house, 1, None, &played)).await;
    assert!(matches!(end.how, How::Failed { reason } if reason.contains("outcome is unknown")), "{:?}", end.trace);
    // The client died before it said anything, and the record does not know the prompt.
    let house = House::new();
    let played = [("PLAY", ""), ("DIE", "1"), ("WATCH", "no-session")];
    let end = turn(&house, order(&house, 1, None, &played)).await;
    assert!(matches!(end.how, How::SessionLost { .. } | How::Uncertain { .. }), "{:?}", end.how);
}

#[tokio::test]
async fn a_cancel_is_asked_of_acpx_and_the_agent_s_answer_ends_the_turn() {
    let house = House::new();
    let executors = house.executors();
    let order = order(&house, 1, None, &[("PLAY", "client-killed"), ("HOLD", "cancelled")]);
    let (conversation, id) = (order.conversation_id.clone(), order.turn_id.clone());
    executors.start_turn(order);
    house.told.wait(prompt_sent).await;
    executors.cancel_turn(conversation, id, Duration::from_secs(20));
    assert_eq!(house.told.end_of(1).await.how, How::Cancelled);
    executors.shutdown(true).await;
    assert_eq!(steps(&house), [CancelStep::Cooperative]);
    assert_eq!(house.noted("cancel"), 0);
    assert_eq!(house.log().iter().filter(|l| l.contains(" cancel --session=")).count(), 1);
    nothing_is_left(&house);
}

#[tokio::test]
async fn an_agent_that_ignores_the_cancel_is_ended_with_its_queue_owner() {
    let house = House::new();
    let executors = house.executors();
    let order = order(&house, 1, None, &[("PLAY", "client-killed"), ("HOLD", "never")]);
    let (conversation, id) = (order.conversation_id.clone(), order.turn_id.clone());
    executors.start_turn(order);
    house.told.wait(prompt_sent).await;
    executors.cancel_turn(conversation, id, GRACE);
    assert_eq!(house.told.end_of(1).await.how, How::Cancelled);
    executors.shutdown(true).await;
    assert_eq!(steps(&house)[..2], [CancelStep::Cooperative, CancelStep::Terminate]);
    assert!(!house.log().iter().any(|l| l.contains("sessions close")), "the session is kept");
    nothing_is_left(&house);
}

#[tokio::test]
async fn a_queue_owner_that_is_not_ours_is_stopped_by_closing_its_session() {
    let house = House::new();
    let executors = house.executors();
    let order = order(&house, 1, None, &[("PLAY", "client-killed"), ("HOLD", "never"), ("STATUS", "alive")]);
    let (conversation, id) = (order.conversation_id.clone(), order.turn_id.clone());
    executors.start_turn(order);
    house.told.wait(prompt_sent).await;
    executors.cancel_turn(conversation, id, GRACE);
    assert_eq!(house.told.end_of(1).await.how, How::Cancelled);
    executors.shutdown(true).await;
    assert!(house.log().last().unwrap().ends_with("sessions close -- akk-scripted-1"), "{:?}", house.log());
    nothing_is_left(&house);
}

#[tokio::test]
async fn a_cancel_before_the_prompt_ends_the_short_command() {
    let house = House::new();
    let executors = house.executors();
    let order = order(&house, 1, None, &[("ENSURE", "hangs")]);
    let (conversation, id) = (order.conversation_id.clone(), order.turn_id.clone());
    executors.start_turn(order);
    house.wait_until("ensure", || house.log().len() == 1).await;
    executors.cancel_turn(conversation, id, GRACE);
    assert_eq!(house.told.end_of(1).await.how, How::Cancelled);
    executors.shutdown(true).await;
    nothing_is_left(&house);
}

#[test]
fn a_turn_goes_on_when_akkd_is_killed_and_started_again() {
    let house = House::new();
    let played = [("PLAY", "client-killed"), ("HOLD", "go"), ("THEN", "turn")];
    house.live_and_die(async |executors: Executors| {
        executors.start_turn(order(&house, 1, None, &played));
        house.told.wait(prompt_sent).await;
    });
    assert!(house.told.all().iter().all(|r| ended(r, 1).is_none()));
    std::fs::write(house.path("go"), "").unwrap();
    house.live_and_die(async |executors: Executors| {
        let order = order(&house, 1, None, &played);
        executors.recover(vec![RecoveredTurn { order, cancelling: false, permissions: Vec::new() }]).await;
        let end = house.told.end_of(1).await;
        assert_eq!((end.how, end.text.as_deref()), (normal(), Some("done here")));
        executors.shutdown(true).await;
    });
    assert_eq!(house.log().iter().filter(|l| l.contains(" prompt ")).count(), 1);
    nothing_is_left(&house);
}

#[test]
fn a_client_that_died_while_akkd_was_away_is_looked_up_too() {
    let house = House::new();
    let played = [("PLAY", "client-killed"), ("HOLD", "go"), ("DIE", "1"), ("WATCH", "watch")];
    house.live_and_die(async |executors: Executors| {
        executors.start_turn(order(&house, 1, None, &played));
        house.told.wait(prompt_sent).await;
    });
    std::fs::write(house.path("go"), "").unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !house.path("died").exists() {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(10));
    }
    house.live_and_die(async |executors: Executors| {
        let order = order(&house, 1, None, &played);
        executors.recover(vec![RecoveredTurn { order, cancelling: false, permissions: Vec::new() }]).await;
        let end = house.told.end_of(1).await;
        assert_eq!((end.how, end.text.as_deref()), (normal(), Some("start\nend")));
        executors.shutdown(true).await;
    });
    nothing_is_left(&house);
}

fn prompt_sent(report: &ExecutorReport) -> Option<()> {
    matches!(report, ExecutorReport::PromptSent { .. }).then_some(())
}

fn steps(house: &House) -> Vec<CancelStep> {
    let all = house.told.all();
    all.iter()
        .filter_map(|r| match r {
            ExecutorReport::CancelStep { step, .. } => Some(*step),
            _ => None,
        })
        .collect()
}
