//! The supervision table of the specification, row by row.

use crate::testing::{Drive, created, normal, send};
use crate::{Ended, ExecutorReport, How};
use akk_proto::TurnId;
use akk_proto::conversation::RecoveryPolicy;
use akk_proto::event::{EventBody, PromptKind, TurnOutcome};

fn failed(reason: &str) -> Ended {
    Ended { activity_seen: true, ..Ended::bare(How::Failed { reason: reason.into() }) }
}

#[test]
fn a_callback_settles_the_turn_and_the_end_of_the_process_changes_nothing() {
    for (json, status) in [
        (r#"{"type":"done","body":"x"}"#, "idle"),
        (r#"{"type":"question","body":"x"}"#, "waiting_for_openclaw"),
        (r#"{"type":"blocked","body":"x"}"#, "waiting_for_openclaw"),
        (r#"{"type":"error","body":"x"}"#, "failed"),
    ] {
        for end in [normal(Some("some text")), normal(None), failed("exit code 3")] {
            let mut d = Drive::new();
            d.prompted().says(json);
            assert_eq!((d.status(), d.told().len()), (status, 1), "{json}");
            d.ends(end);
            assert_eq!((d.status(), d.told().len()), (status, 0), "{json}");
            assert_eq!(d.state.last_turn.as_ref().unwrap().outcome, TurnOutcome::Completed);
        }
    }
}

#[test]
fn a_normal_end_with_a_final_text_becomes_a_derived_done() {
    let mut d = Drive::new();
    d.prompted().ends(normal(Some("All 12 tests pass.")));
    assert_eq!(d.status(), "idle");
    assert_eq!(d.told(), ["done"]);
    let derived = d
        .events
        .iter()
        .find_map(|e| match &e.body {
            EventBody::Message(m) if !m.message.from.is_orchestrator() => Some(m.message.clone()),
            _ => None,
        })
        .unwrap();
    assert_eq!(derived.metadata["derived"], serde_json::json!(true));
    assert_eq!(derived.body, "All 12 tests pass.");
}

#[test]
fn a_final_text_that_is_a_structured_message_counts_as_that_message() {
    let mut d = Drive::new();
    d.prompted().ends(normal(Some(r#"{"type":"question","body":"A or B?"}"#)));
    assert_eq!((d.status(), d.told()), ("waiting_for_openclaw", vec!["question".to_owned()]));
    let mut d = Drive::new();
    d.prompted().ends(normal(Some(r#"{"type":"progress","body":"half"}"#)));
    assert_eq!(d.status(), "stalled");
}

#[test]
fn a_normal_end_without_any_text_stalls() {
    let mut d = Drive::new();
    d.prompted().ends(normal(None));
    assert_eq!((d.status(), d.told()), ("stalled", vec!["stalled".to_owned()]));
}

#[test]
fn an_end_before_the_work_was_done_is_no_success() {
    let mut d = Drive::new();
    let how = How::Normal { stop_reason: "max_tokens".into() };
    d.prompted().ends(Ended { text: Some("half a sen".into()), activity_seen: true, ..Ended::bare(how) });
    assert_eq!(d.status(), "stalled");
}

#[test]
fn a_failure_stalls_tells_and_leaves_the_conversation_usable() {
    let mut d = Drive::new();
    d.prompted().ends(failed("the agent exited with code 3"));
    assert_eq!((d.status(), d.told()), ("stalled", vec!["stalled".to_owned()]));
    d.send("try again");
    assert_eq!(d.status(), "waiting_for_agent");
    assert_eq!(d.started().unwrap().prompt, PromptKind::FollowUp, "the session has seen the task");
}

#[test]
fn a_refused_model_waits_for_another_and_the_same_message_goes_again_without_a_new_round() {
    let mut d = Drive::new();
    let how = How::ModelRefused {
        attempted: Some("nope".into()),
        available: vec!["a".into(), "b".into()],
        reason: "no".into(),
    };
    d.prompted().ends(Ended::bare(how));
    assert_eq!((d.status(), d.told()), ("needs_model_selection", vec!["model_selection".to_owned()]));
    assert!(d.try_do(&send("go on")).unwrap_err().hint.contains("a, b"));
    d.r#do(crate::decide::Input::Send(crate::decide::Send { model: Some("b".into()), ..Default::default() }));
    assert_eq!((d.status(), d.state.rounds_used), ("waiting_for_agent", 1));
    assert_eq!(d.state.settings.model.as_deref(), Some("b"));
    let start = d.started().unwrap();
    assert_eq!((start.turn_id.as_str(), start.prompt), ("turn-2", PromptKind::Bootstrap));
}

#[test]
fn silence_stalls_with_the_turn_open_and_a_late_callback_still_counts() {
    let mut d = Drive::new();
    d.prompted().agent(ExecutorReport::Inactive { turn_id: TurnId::nth(1), minutes: 60 });
    assert_eq!((d.status(), d.told()), ("stalled", vec!["stalled".to_owned()]));
    assert!(d.state.open_turn.is_some());
    assert_eq!(d.try_do(&send("hello?")).unwrap_err().kind.exit_code(), 5);
    d.says(r#"{"type":"done","body":"took long"}"#);
    assert_eq!((d.status(), d.told()), ("idle", vec!["done".to_owned()]));
}

#[test]
fn a_silent_turn_is_stopped_where_the_configuration_says_so_and_told_once() {
    let mut c = created();
    c.stop_on_timeout = true;
    let mut d = Drive::with(c);
    d.prompted().agent(ExecutorReport::Inactive { turn_id: TurnId::nth(1), minutes: 60 });
    assert_eq!((d.status(), d.told()), ("stalled", vec!["stalled".to_owned()]));
    assert!(d.effects.iter().any(|e| matches!(e, crate::Effect::CancelTurn { .. })));
    d.ends(Ended::bare(How::Cancelled));
    assert_eq!((d.status(), d.told().len(), d.state.open_turn.is_none()), ("stalled", 0, true));
    d.send("again");
    assert_eq!(d.status(), "waiting_for_agent");
}

#[test]
fn silence_of_a_process_that_said_its_last_word_ends_it_so_that_waiting_messages_move() {
    let mut d = Drive::new();
    d.prompted().says(r#"{"type":"done","body":"x"}"#).send("next");
    d.agent(ExecutorReport::Inactive { turn_id: TurnId::nth(1), minutes: 60 });
    assert_eq!(d.status(), "idle");
    assert!(matches!(d.effects.as_slice(), [crate::Effect::CancelTurn { .. }]));
    d.ends(Ended::bare(How::Cancelled));
    assert_eq!(d.status(), "waiting_for_agent");
}

#[test]
fn a_prompt_of_unknown_fate_stalls_and_is_not_sent_again() {
    let mut d = Drive::new();
    d.ends(Ended::bare(How::Uncertain { reason: "akkd was killed while writing".into() }));
    assert_eq!(d.status(), "stalled");
    assert!(d.started().is_none());
    assert!(
        matches!(&d.state.phase, crate::conversation::Phase::Stalled { reason } if reason.starts_with("prompt_uncertain"))
    );
}

#[test]
fn an_executor_that_cannot_start_leaves_a_stalled_task_with_the_reason() {
    let mut d = Drive::new();
    d.ends(Ended::bare(How::CannotStart { reason: "codex is not installed".into() }));
    assert_eq!(d.status(), "stalled");
    assert_eq!(d.state.last_turn.as_ref().unwrap().outcome, TurnOutcome::NotDelivered);
    d.send("again");
    assert_eq!(d.started().unwrap().prompt, PromptKind::Replay, "the task never reached an agent");
}

fn lost() -> Ended {
    Ended::bare(How::SessionLost { reason: "no such session".into() })
}

#[test]
fn a_lost_session_is_replayed_once_into_a_fresh_one() {
    let mut d = Drive::new();
    d.idle().send("more").ends(lost());
    assert!(d.said.auto_recovered);
    assert_eq!(d.status(), "waiting_for_agent");
    let start = d.started().unwrap().clone();
    assert_eq!((start.prompt, start.turn_id.as_str()), (PromptKind::Replay, "turn-3"));
    assert_eq!(d.state.former_sessions.len(), 1);
    assert_eq!(d.state.rounds_used, 2, "no new round for a replay");
    d.ends(lost());
    assert_eq!(d.status(), "stalled", "never a second replay by itself");
}

#[test]
fn a_lost_session_waits_for_the_user_when_the_policy_says_so() {
    let mut c = created();
    c.recovery_policy = RecoveryPolicy::Explicit;
    let mut d = Drive::with(c);
    d.idle().send("more").ends(lost());
    assert_eq!((d.status(), d.told()), ("needs_recovery", vec!["needs_recovery".to_owned()]));
    assert!(d.try_do(&send("x")).is_err());
    d.r#do(crate::decide::Input::Recover { session: "akk-codex-new".into() });
    assert_eq!(d.started().unwrap().prompt, PromptKind::Replay);
    assert_eq!(d.state.settings.session, "akk-codex-new");
}

#[test]
fn a_turn_that_ended_before_the_word_of_its_prompt_came_counts_as_read() {
    let mut d = Drive::new();
    d.agent(ExecutorReport::SessionReady(akk_proto::event::SessionEnsured {
        native_session_id: "native-1".into(),
        how: akk_proto::event::SessionReached::Created,
        model: None,
    }));
    d.ends(normal(Some("quick"))).send("more");
    let turn_id = TurnId::nth(2);
    d.agent(ExecutorReport::TurnEnded { turn_id, ended: Box::new(lost()) });
    assert!(d.said.auto_recovered);
}

#[test]
fn after_activity_nothing_is_recovered_by_itself() {
    let mut d = Drive::new();
    d.idle().send("more").ends(Ended { activity_seen: true, ..lost() });
    assert_eq!(d.status(), "stalled");
    assert!(d.started().is_none());
}

#[test]
fn a_turn_ends_once() {
    let mut d = Drive::new();
    d.prompted().ends(normal(Some("text")));
    let before = (d.state.clone(), d.events.len());
    d.agent(ExecutorReport::TurnEnded { turn_id: TurnId::nth(1), ended: Box::new(failed("late")) });
    assert_eq!((d.state.clone(), d.events.len()), before);
}

#[test]
fn a_silent_turn_that_is_to_be_stopped_is_stopped_again_until_it_ends() {
    let mut c = created();
    c.stop_on_timeout = true;
    let mut d = Drive::with(c);
    let silent = || ExecutorReport::Inactive { turn_id: TurnId::nth(1), minutes: 60 };
    // The first order to stop was lost with a killed akkd; its successor finds the same silence.
    d.prompted().agent(silent()).agent(silent());
    assert!(matches!(d.effects.as_slice(), [crate::Effect::CancelTurn { .. }]), "{:?}", d.effects);
    assert!(d.told().is_empty());
}

#[test]
fn a_session_of_an_earlier_turn_that_never_saw_the_task_is_replaced_by_a_fresh_one() {
    let mut d = Drive::new();
    d.prompted().ends(Ended::bare(How::Failed { reason: "the agent crashed".into() })).send("again");
    assert!(!d.state.bootstrapped && d.state.native_session.is_some());
    d.ends(lost());
    assert_eq!((d.status(), d.state.former_sessions.len()), ("waiting_for_agent", 1));
    assert_eq!(d.started().unwrap().prompt, PromptKind::Replay);
}

#[test]
fn a_session_that_was_made_in_the_turn_and_refuses_its_prompt_is_not_replaced() {
    let mut d = Drive::new();
    d.prompted().ends(lost());
    assert_eq!((d.status(), d.state.former_sessions.len()), ("stalled", 0));
}

#[test]
fn what_an_agent_says_of_its_models_and_failures_is_kept_in_bounds() {
    let long = "x".repeat(100_000);
    let mut d = Drive::new();
    let how =
        How::ModelRefused { attempted: Some(long.clone()), available: vec![long.clone(); 1000], reason: long.clone() };
    d.prompted().ends(Ended::bare(how));
    assert!(serde_json::to_string(&d.state).unwrap().len() < 50_000);
    let mut d = Drive::new();
    d.prompted().ends(failed(&long));
    assert!(serde_json::to_string(&d.state).unwrap().len() < 20_000);
}
