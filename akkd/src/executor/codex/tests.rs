//! Stories of turns of native sessions, with a stand-in that plays samples of the real `codex exec`.

use super::testing::{OneSession, SESSION, free, held};
use crate::executor::testing::{House, ended};
use crate::executor::{Executors, RecoveredTurn, TurnOrder};
use akk_core::{Ended, ExecutorReport, How};
use akk_proto::conversation::Transport;
use akk_proto::event::{Activity, CancelStep, Exit, SessionReached};
use akk_proto::session::Evidence;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const GRACE: Duration = Duration::from_millis(300);
/// A cancel that comes to its end long before the next step.
const LONG: Duration = Duration::from_secs(40);
const PROMPT: &str = "go on with it\n";

/// A home in which the session of the samples lies, in a directory of its own.
fn house() -> (House, Arc<OneSession>) {
    house_with(|cwd| vec![free(cwd)])
}

fn house_with(facts: impl Fn(&Path) -> Vec<crate::sessions::SessionFacts>) -> (House, Arc<OneSession>) {
    let mut house = House::new();
    let cwd = house.path("its own place");
    std::fs::create_dir(&cwd).unwrap();
    let provider = OneSession::new(facts(&cwd));
    house.sessions = provider.sessions();
    (house, provider)
}

/// An order for the stand-in. `play`: variables for it.
fn order(house: &House, session: Option<&str>, play: &[(&str, &str)]) -> TurnOrder {
    std::fs::write(house.path("codex.sh"), include_str!("codex.sh")).unwrap();
    let mut order = house.order(1, session, PROMPT);
    order.agent.transport = Transport::Codex;
    order.agent.command = vec!["/bin/sh".into(), house.path("codex.sh").to_string_lossy().into_owned()];
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/codex");
    order.agent.env.insert("SAMPLES".into(), samples.to_string_lossy().into_owned());
    order.agent.env.extend(play.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    order
}

fn normal() -> How {
    How::Normal { stop_reason: "end_turn".into() }
}

async fn turn(house: &House, order: TurnOrder) -> Ended {
    let executors = house.executors();
    executors.start_turn(order);
    let end = house.told.end_of(1).await;
    executors.shutdown(true).await;
    nothing_is_left(house);
    end
}

async fn how(play: &[(&str, &str)]) -> How {
    let (house, _) = house();
    turn(&house, order(&house, Some(SESSION), play)).await.how
}

/// Starts a turn, cancels it once `ready` is there, and gives its end.
async fn cancelled(house: &House, order: TurnOrder, ready: &str, grace: Duration) -> Ended {
    let executors = house.executors();
    let (conversation, id) = (order.conversation_id.clone(), order.turn_id.clone());
    executors.start_turn(order);
    house.wait_until(ready, || house.path(ready).exists()).await;
    executors.cancel_turn(conversation, id, grace);
    let end = house.told.end_of(1).await;
    executors.shutdown(true).await;
    nothing_is_left(house);
    end
}

/// No process, no folder, no live launch: no tool either.
fn nothing_is_left(house: &House) {
    assert!(house.ledger.rows().iter().all(|r| r.state == crate::store::LaunchState::Gone));
    assert_eq!(std::fs::read_dir(house.path("launches")).unwrap().count(), 0);
    for pid in std::fs::read_to_string(house.path("tools")).unwrap_or_default().lines() {
        let identity = crate::platform::ProcessIdentity::of(pid.parse().unwrap()).unwrap();
        assert!(identity.is_none_or(|i| !i.is_alive().unwrap()), "the tool {pid} lives");
    }
}

fn did(house: &House) -> String {
    std::fs::read_to_string(house.path("did")).unwrap_or_default()
}

fn steps(house: &House) -> Vec<CancelStep> {
    let all = house.told.all();
    let step = |r: &ExecutorReport| match r {
        ExecutorReport::CancelStep { step, .. } => Some(*step),
        _ => None,
    };
    all.iter().filter_map(step).collect()
}

fn reached(house: &House) -> Vec<(String, SessionReached, Option<String>)> {
    let all = house.told.all().into_iter();
    let ready = |r| match r {
        ExecutorReport::SessionReady(s) => Some((s.native_session_id, s.how, s.model)),
        _ => None,
    };
    all.filter_map(ready).collect()
}

fn is_prompt_sent(report: &ExecutorReport) -> bool {
    matches!(report, ExecutorReport::PromptSent { bytes, .. } if *bytes == PROMPT.len() as u64)
}

fn prompt_sent(report: &ExecutorReport) -> Option<()> {
    matches!(report, ExecutorReport::PromptSent { .. }).then_some(())
}

#[tokio::test]
async fn a_session_goes_on_in_its_own_place_and_the_prompt_stands_in_no_command_line() {
    let (house, _) = house();
    let end = turn(&house, order(&house, Some(SESSION), &[("PLAY", "turn.jsonl")])).await;
    assert_eq!((end.how, end.text.as_deref(), end.exit), (normal(), Some("finished"), Some(Exit::Code(0))));
    assert_eq!((end.thoughts, end.activity_seen), (1, true));
    assert_eq!(std::fs::read_to_string(house.path("prompt")).unwrap(), PROMPT);
    let cwd = house.path("its own place").to_string_lossy().into_owned();
    assert_eq!(std::fs::read_to_string(house.path("places")).unwrap().trim(), format!("/home/me/.codex {cwd}"));
    let line = format!("--sandbox=workspace-write --cd={cwd} --model=gpt-own resume -- {SESSION} -");
    assert_eq!(house.log().len(), 1);
    let (offered, rest) =
        house.log()[0].split_once(" --sandbox").map(|(a, b)| (a.to_owned(), format!("--sandbox{b}"))).unwrap();
    assert_eq!(rest, line);
    // The tools are offered with a ticket that stands in a file, and the sandbox is opened for the drop folder.
    let launch = offered.split("/launches/").nth(1).and_then(|t| t.split_once("/ticket\"")).unwrap().0;
    assert!(launch.starts_with("launch-") && offered.contains("\"--turn=turn-1\"]"), "{offered}");
    assert!(
        offered
            .ends_with(&format!(" --add-dir={}", house.path("drops").join(House::conversation().as_str()).display()))
    );
    assert_eq!(reached(&house), [(SESSION.to_owned(), SessionReached::Resumed, Some("gpt-own".to_owned()))]);
    assert_eq!(house.told.count(is_prompt_sent), 1);
    let tools = house.told.count(|r| matches!(r, ExecutorReport::Activity { activity: Activity::Tool { .. }, .. }));
    assert_eq!(tools, 8);
    assert_eq!(house.told.count(|r| matches!(r, ExecutorReport::Exited { .. })), 1);
}

#[tokio::test]
async fn a_question_as_final_text_is_handed_on_whole() {
    let (house, _) = house();
    let end = turn(&house, order(&house, Some(SESSION), &[("PLAY", "question.jsonl")])).await;
    assert_eq!(end.text.as_deref(), Some(r#"{"type":"question","body":"Which of the two?"}"#));
}

#[tokio::test]
async fn without_a_session_one_is_begun() {
    let (house, provider) = house();
    let end = turn(&house, order(&house, None, &[("PLAY", "turn.jsonl")])).await;
    assert_eq!(end.how, normal());
    assert_eq!(reached(&house), [(SESSION.to_owned(), SessionReached::Created, None)]);
    let cwd = house.path("workspace");
    assert_eq!(house.log().len(), 1);
    assert!(house.log()[0].ends_with(&format!(" --cd={} -- -", cwd.display())), "{:?}", house.log());
    assert_eq!(provider.looks.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn nothing_is_started_while_somebody_has_the_session_or_nobody_can_tell() {
    let blind = |cwd: &Path| crate::sessions::SessionFacts { incomplete: vec!["no locks".into()], ..free(cwd) };
    for (facts, says) in [
        (Box::new(|cwd: &Path| held(cwd, Evidence::Lock)) as Box<dyn Fn(&Path) -> _>, "process 4242 (tui"),
        (Box::new(blind), "no locks"),
    ] {
        let (house, _) = house_with(|cwd| vec![facts(cwd)]);
        let How::CannotStart { reason } = turn(&house, order(&house, Some(SESSION), &[])).await.how else { panic!() };
        assert!(reason.starts_with("active_writer: ") && reason.contains(says), "{reason}");
        assert!(house.log().is_empty() && house.ledger.fates().is_empty());
    }
    for (session, says) in [("a name", "no id"), ("5e551000-0000-4000-8000-00000000000f", "no such session")] {
        let (house, _) = house();
        let How::CannotStart { reason } = turn(&house, order(&house, Some(session), &[])).await.how else { panic!() };
        assert!(reason.contains(says), "{reason}");
        assert!(house.log().is_empty() && house.ledger.fates().is_empty());
    }
}

#[tokio::test]
async fn whoever_took_the_session_just_before_codex_did_is_named() {
    let (house, provider) = house_with(|cwd| vec![free(cwd), held(cwd, Evidence::Lock)]);
    let played = [("ERR", "active-writer.stderr"), ("EXIT", "1")];
    let How::CannotStart { reason } = turn(&house, order(&house, Some(SESSION), &played)).await.how else { panic!() };
    assert!(reason.starts_with("active_writer: process 4242 (tui"), "{reason}");
    assert_eq!(provider.looks.load(Ordering::SeqCst), 2);
    // It is gone again when it is looked for.
    let How::CannotStart { reason } = how(&played).await else { panic!() };
    assert!(reason.starts_with("active_writer: codex refuses"), "{reason}");
}

#[tokio::test]
async fn what_codex_says_of_a_failure_is_what_the_turn_comes_to() {
    let one = ("EXIT", "1");
    assert!(matches!(how(&[("ERR", "no-rollout.stderr"), one]).await, How::SessionLost { .. }));
    let archived = how(&[("ERR", "archived.stderr"), one]).await;
    assert!(matches!(&archived, How::CannotStart { reason } if reason.contains("unarchive")), "{archived:?}");
    let refused = how(&[("PLAY", "model-refused.jsonl"), one]).await;
    assert!(matches!(&refused, How::ModelRefused { attempted: Some(m), .. } if m == "gpt-x"), "{refused:?}");
    assert!(matches!(how(&[("PLAY", "auth.jsonl"), one]).await, How::CannotStart { .. }));
    assert!(matches!(how(&[("PLAY", "demand.jsonl"), one]).await, How::Failed { .. }));
    let killed = how(&[("PLAY", "begun.jsonl"), ("DIE", "1")]).await;
    assert!(matches!(&killed, How::Failed { reason } if reason.contains("signal 9")), "{killed:?}");
    assert!(matches!(how(&[("PLAY", "started.jsonl"), ("DIE", "1")]).await, How::Uncertain { .. }));
    let (house, _) = house();
    let mut missing = order(&house, Some(SESSION), &[]);
    missing.agent.command = vec!["akk-no-such-codex".into()];
    let How::CannotStart { reason } = turn(&house, missing).await.how else { panic!() };
    assert!(reason.contains("akk-no-such-codex"), "{reason}");
}

#[tokio::test]
async fn another_session_than_the_one_that_was_asked_for_is_stopped_before_it_begins() {
    let (house, _) = house();
    let played = [("PLAY", "other-session.jsonl"), ("HOLD", "never"), ("TOOL", "1")];
    let end = turn(&house, order(&house, Some(SESSION), &played)).await;
    assert!(matches!(&end.how, How::Uncertain { reason } if reason.contains("another session")), "{:?}", end.how);
    assert!(reached(&house).is_empty());
}

#[tokio::test]
async fn a_cancel_interrupts_codex_which_records_it_and_what_its_tools_left_is_ended() {
    for wrap in ["", "1"] {
        let (house, _) = house();
        let played = [("PLAY", "begun.jsonl"), ("HOLD", "never"), ("TOOL", "1"), ("WRAP", wrap)];
        let end = cancelled(&house, order(&house, Some(SESSION), &played), "waits", LONG).await;
        assert_eq!(end.how, How::Cancelled, "{wrap}");
        assert_eq!(steps(&house), [CancelStep::Cooperative], "{wrap}");
        assert_eq!(did(&house), "aborted\n", "{wrap}");
    }
}

#[tokio::test]
async fn a_client_that_is_deaf_to_the_interrupt_is_ended() {
    let (house, _) = house();
    let played = [("PLAY", "begun.jsonl"), ("HOLD", "never"), ("DEAF", "1"), ("TOOL", "1")];
    let end = cancelled(&house, order(&house, Some(SESSION), &played), "waits", GRACE).await;
    assert_eq!(end.how, How::Cancelled);
    assert_eq!(steps(&house)[..2], [CancelStep::Cooperative, CancelStep::Terminate]);
}

#[tokio::test]
async fn a_cancel_waits_until_the_turn_began_because_codex_would_miss_it() {
    let (house, _) = house();
    let executors = house.executors();
    let played = [("PLAY", "started.jsonl"), ("HOLD", "go"), ("THEN", "end.jsonl")];
    let order = order(&house, Some(SESSION), &played);
    let (conversation, id) = (order.conversation_id.clone(), order.turn_id.clone());
    executors.start_turn(order);
    house.wait_until("waits", || house.path("waits").exists()).await;
    executors.cancel_turn(conversation, id, GRACE);
    // It never begins: then nothing is asked of it, it is ended.
    assert_eq!(house.told.end_of(1).await.how, How::Cancelled);
    executors.shutdown(true).await;
    assert_eq!((steps(&house)[0], did(&house).as_str()), (CancelStep::Terminate, ""));
    nothing_is_left(&house);
}

#[tokio::test]
async fn a_turn_that_was_done_before_the_interrupt_came_is_not_cancelled() {
    let (house, _) = house();
    let played = [("PLAY", "turn.jsonl"), ("HOLD", "never"), ("DEAF", "1")];
    let end = cancelled(&house, order(&house, Some(SESSION), &played), "waits", GRACE).await;
    assert_eq!((end.how, end.text.as_deref()), (normal(), Some("finished")));
}

#[tokio::test]
async fn a_wrapper_that_dies_alone_takes_codex_with_it_which_records_that() {
    let (house, _) = house();
    let played = [("PLAY", "begun.jsonl"), ("HOLD", "never"), ("TOOL", "1"), ("WRAP", "dies")];
    let end = turn(&house, order(&house, Some(SESSION), &played)).await;
    assert!(matches!(&end.how, How::Failed { reason } if reason.contains("signal 9")), "{:?}", end.how);
    assert_eq!(did(&house), "aborted\n");
}

#[tokio::test]
async fn silence_is_told_once_and_the_turn_goes_on() {
    let (house, _) = house();
    let executors = house.executors();
    let mut order = order(&house, Some(SESSION), &[("PLAY", "begun.jsonl"), ("HOLD", "go"), ("THEN", "end.jsonl")]);
    order.agent_timeout = Duration::from_millis(200);
    executors.start_turn(order);
    house.told.wait(|r| matches!(r, ExecutorReport::Inactive { .. }).then_some(())).await;
    std::fs::write(house.path("go"), "").unwrap();
    let end = house.told.end_of(1).await;
    executors.shutdown(true).await;
    assert_eq!((end.how, end.text.as_deref()), (normal(), Some("done here")));
    nothing_is_left(&house);
}

#[tokio::test]
async fn a_conversation_that_lets_its_agents_go_ends_the_turn() {
    let (house, _) = house();
    let executors = house.executors();
    let order = order(&house, Some(SESSION), &[("PLAY", "begun.jsonl"), ("HOLD", "never"), ("TOOL", "1")]);
    let conversation = order.conversation_id.clone();
    executors.start_turn(order);
    house.wait_until("waits", || house.path("waits").exists()).await;
    executors.release(conversation, "conversation closed".into());
    assert_eq!(house.told.end_of(1).await.how, How::Cancelled);
    executors.shutdown(true).await;
    nothing_is_left(&house);
}

/// Runs a turn until it was begun, lets akkd die there, and gives what the next akkd makes of it.
fn over_a_restart(house: &House, play: &[(&str, &str)], between: impl Fn(), cancelling: bool) -> Ended {
    house.live_and_die(async |executors: Executors| {
        executors.start_turn(order(house, Some(SESSION), play));
        house.told.wait(prompt_sent).await;
        house.wait_until("waits", || house.path("waits").exists()).await;
    });
    assert!(house.told.all().iter().all(|r| ended(r, 1).is_none()));
    between();
    house.live_and_die(async |executors: Executors| {
        let order = order(house, Some(SESSION), play);
        executors.recover(vec![RecoveredTurn { order, cancelling, permissions: Vec::new() }]).await;
        house.told.end_of(1).await;
        executors.shutdown(true).await;
    });
    nothing_is_left(house);
    assert_eq!(house.log().len(), 1, "the prompt is handed over once");
    assert_eq!(house.told.count(is_prompt_sent), 1);
    assert_eq!(house.told.count(|r| ended(r, 1).is_some()), 1);
    house.told.all().iter().find_map(|r| ended(r, 1)).unwrap()
}

#[test]
fn a_turn_goes_on_when_akkd_is_killed_and_started_again() {
    let (house, _) = house();
    let played = [("PLAY", "begun.jsonl"), ("HOLD", "go"), ("THEN", "end.jsonl")];
    let end = over_a_restart(&house, &played, || std::fs::write(house.path("go"), "").unwrap(), false);
    assert_eq!((end.how, end.text.as_deref()), (normal(), Some("done here")));
    assert_eq!(reached(&house).len(), 1);
}

#[test]
fn a_turn_that_ended_while_akkd_was_away_is_judged_from_its_output() {
    for (then, die, is) in [("end.jsonl", "", normal()), ("", "1", How::Cancelled)] {
        let (house, _) = house();
        let played = [("PLAY", "begun.jsonl"), ("HOLD", "go"), ("THEN", then), ("DIE", die)];
        let leave = || {
            std::fs::write(house.path("go"), "").unwrap();
            let deadline = std::time::Instant::now() + Duration::from_secs(20);
            while house.processes() > 0 {
                assert!(std::time::Instant::now() < deadline);
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        let end = over_a_restart(&house, &played, leave, false);
        match is {
            How::Normal { .. } => assert_eq!((end.how, end.text.as_deref()), (is, Some("done here"))),
            _ => assert!(matches!(&end.how, How::Failed { .. }), "{:?}", end.how),
        }
    }
}

#[test]
fn the_last_word_is_not_lost_when_akkd_dies_before_the_client_does() {
    let (house, _) = house();
    // What follows the last word comes once the tools of the turn were told, and is told by nobody.
    let played = [("PLAY", "turn.jsonl"), ("HOLD", "go"), ("THEN", "begun.jsonl"), ("LINGER", "1")];
    let is_tool = |r: &ExecutorReport| matches!(r, ExecutorReport::Activity { activity: Activity::Tool { .. }, .. });
    house.live_and_die(async |executors: Executors| {
        executors.start_turn(order(&house, Some(SESSION), &played));
        house.wait_until("tools", || house.told.count(is_tool) == 8).await;
        std::fs::write(house.path("go"), "").unwrap();
        house.wait_until("lingers", || house.path("lingers").exists()).await;
    });
    assert!(house.told.all().iter().all(|r| ended(r, 1).is_none()));
    for pid in std::fs::read_to_string(house.path("lingers")).unwrap().lines() {
        let identity = crate::platform::ProcessIdentity::of(pid.parse().unwrap()).unwrap().unwrap();
        crate::platform::signal_group(&identity, crate::platform::Signal::KILL).unwrap();
    }
    house.live_and_die(async |executors: Executors| {
        let order = order(&house, Some(SESSION), &played);
        executors.recover(vec![RecoveredTurn { order, cancelling: false, permissions: Vec::new() }]).await;
        let end = house.told.end_of(1).await;
        assert_eq!((end.how, end.text.as_deref()), (normal(), Some("finished")));
        executors.shutdown(true).await;
    });
    assert_eq!((house.told.count(is_tool), house.log().len()), (8, 1));
    nothing_is_left(&house);
}

#[test]
fn a_cancel_that_was_under_way_is_asked_again_by_the_next_akkd() {
    let (mut house, _) = house();
    house.timings.cancel_grace = LONG;
    let played = [("PLAY", "begun.jsonl"), ("HOLD", "never"), ("TOOL", "1")];
    let end = over_a_restart(&house, &played, || (), true);
    assert_eq!(end.how, How::Cancelled);
    assert_eq!((steps(&house), did(&house).as_str()), (vec![CancelStep::Cooperative], "aborted\n"));
}

#[test]
fn a_prompt_that_was_recorded_and_never_handed_over_is_not_sent_by_itself() {
    let (house, _) = house();
    house.ledger.die_after_finishing(true);
    let played = [("PLAY", "turn.jsonl")];
    house.live_and_die(async |executors: Executors| {
        executors.start_turn(order(&house, Some(SESSION), &played));
        house.ledger.wait_for_held_prompt().await;
    });
    house.ledger.die_after_finishing(false);
    house.live_and_die(async |executors: Executors| {
        let order = order(&house, Some(SESSION), &played);
        executors.recover(vec![RecoveredTurn { order, cancelling: false, permissions: Vec::new() }]).await;
        assert!(matches!(house.told.end_of(1).await.how, How::Uncertain { .. }));
        executors.shutdown(true).await;
    });
    assert!(house.log().is_empty());
    nothing_is_left(&house);
}
