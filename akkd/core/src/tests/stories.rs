//! Statuses, queue, cancel, close, budget, duplicates, late reports.

use crate::conversation::Phase;
use crate::decide::{Input, Send};
use crate::testing::{Drive, created, executor, normal, report, send};
use crate::{Effect, Ended, ExecutorReport, How};
use akk_proto::TurnId;
use akk_proto::error::ErrorKind;
use akk_proto::event::{EventBody, PromptKind};
use akk_proto::message::MessageType;

const DONE: &str = r#"{"type":"done","body":"done"}"#;
const QUESTION: &str = r#"{"type":"question","body":"A or B?"}"#;

fn cancelled() -> Ended {
    Ended::bare(How::Cancelled)
}

#[test]
fn delegate_asks_answers_finishes_and_can_be_used_again() {
    let mut d = Drive::new();
    assert_eq!(d.names(), ["conversation_created", "message", "turn_started"]);
    assert_eq!((d.status(), d.state.rounds_used), ("waiting_for_agent", 1));
    assert_eq!(d.started().unwrap().prompt, PromptKind::Bootstrap);
    d.prompted().says(r#"{"type":"progress","body":"reading"}"#);
    assert_eq!((d.status(), d.told().len()), ("waiting_for_agent", 0));
    d.says(QUESTION).ends(normal(None));
    assert_eq!((d.status(), d.state.rounds_used), ("waiting_for_openclaw", 2));
    d.send("B");
    assert_eq!((d.status(), d.state.rounds_used), ("waiting_for_agent", 3));
    assert_eq!(d.started().unwrap().prompt, PromptKind::FollowUp);
    assert!(
        matches!(&d.events[d.events.len() - 2].body, EventBody::Message(m) if m.message.kind == MessageType::Answer)
    );
    d.prompted().says(DONE).ends(normal(Some("bye")));
    assert_eq!((d.status(), d.state.rounds_used), ("idle", 3));
    d.send("and now this");
    assert_eq!(d.status(), "waiting_for_agent");
}

#[test]
fn leaving_idle_clears_its_deadline() {
    let mut d = Drive::new();
    d.idle();
    assert!(d.state.idle_deadline().is_some());
    d.send("x");
    assert!(d.state.idle_deadline().is_none());
}

#[test]
fn sends_wait_behind_an_open_turn_and_go_in_order() {
    let mut d = Drive::new();
    d.prompted().send("two").send("three");
    assert!(d.said.queued && d.said.turn_id.is_none());
    assert_eq!(d.state.rounds_used, 1, "rounds count when a message is sent");
    d.ends(normal(Some("one is done")));
    assert_eq!((d.status(), d.state.rounds_used, d.state.queue.len()), ("waiting_for_agent", 2, 1));
    d.prompted().ends(normal(Some("two is done")));
    assert_eq!((d.state.rounds_used, d.state.queue.len()), (3, 0));
    d.prompted().ends(normal(Some("three is done")));
    assert_eq!(d.status(), "idle");
}

#[test]
fn a_queue_survives_a_stall_and_the_next_send_goes_behind_it() {
    let mut d = Drive::new();
    d.prompted().send("two").ends(normal(None));
    assert_eq!((d.status(), d.state.queue.len()), ("stalled", 1));
    d.send("three");
    assert_eq!((d.status(), d.state.queue.len()), ("waiting_for_agent", 1));
    assert!(d.said.queued);
}

#[test]
fn an_error_fails_and_drops_what_waits() {
    let mut d = Drive::new();
    d.prompted().send("two").says(r#"{"type":"error","body":"broken"}"#);
    assert_eq!((d.status(), d.said.dropped.len(), d.state.queue.len()), ("failed", 1, 0));
    d.ends(normal(None)).send("again");
    assert_eq!(d.status(), "waiting_for_agent");
}

#[test]
fn cancel_converges_to_idle_and_drops_what_waits() {
    let mut d = Drive::new();
    d.prompted().send("two").r#do(Input::Cancel);
    assert_eq!((d.status(), d.said.dropped.len()), ("cancelling", 1));
    assert!(d.effects.contains(&Effect::CancelTurn { turn_id: TurnId::nth(1) }));
    assert_eq!(d.try_do(&send("x")).unwrap_err().kind, ErrorKind::WrongStatus);
    d.says(r#"{"type":"progress","body":"stopping"}"#);
    assert_eq!(d.status(), "cancelling", "messages are recorded and change no status");
    d.ends(cancelled());
    assert_eq!(d.status(), "idle");
    assert_eq!(d.state.last_turn.as_ref().unwrap().outcome, akk_proto::event::TurnOutcome::Cancelled);
}

#[test]
fn what_arrives_while_cancelling_decides_the_end() {
    let cases = [
        (None, false, "idle"),
        (Some(DONE), false, "idle"),
        (Some(r#"{"type":"error","body":"x"}"#), false, "failed"),
        (None, true, "cancelled"),
        (Some(QUESTION), true, "cancelled"),
        (Some(DONE), true, "closed"),
    ];
    for (says, close, expected) in cases {
        let mut d = Drive::new();
        d.prompted().r#do(if close { Input::Close { reason: "enough".into() } } else { Input::Cancel });
        if let Some(json) = says {
            d.says(json);
        }
        d.ends(cancelled());
        assert_eq!(d.status(), expected, "{says:?} {close}");
    }
}

#[test]
fn cancel_without_a_turn_is_a_success() {
    let mut d = Drive::new();
    d.idle().r#do(Input::Cancel);
    assert!(d.said.nothing_to_cancel);
    assert_eq!(d.status(), "idle");
}

#[test]
fn a_close_after_a_cancel_makes_it_a_close_and_not_the_reverse() {
    let mut d = Drive::new();
    d.prompted().r#do(Input::Cancel).r#do(Input::Close { reason: "enough".into() }).r#do(Input::Cancel);
    assert!(matches!(&d.state.phase, Phase::Cancelling { close_reason: Some(r) } if r == "enough"));
}

#[test]
fn close_revokes_tickets_lets_the_agent_go_and_is_final() {
    let mut d = Drive::new();
    d.idle().r#do(Input::Close { reason: "enough".into() });
    assert_eq!(d.status(), "closed");
    assert!(d.effects.contains(&Effect::RevokeTickets));
    assert!(d.effects.iter().any(|e| matches!(e, Effect::ReleaseAgent { .. })));
    for input in [send("x"), Input::Cancel, Input::Recover { session: "s".into() }] {
        assert_eq!(d.try_do(&input).unwrap_err().kind, ErrorKind::WrongStatus);
    }
    d.r#do(Input::Close { reason: "again".into() });
    assert_eq!(d.status(), "closed", "a repeat is a success");
    d.r#do(report(r#"{"type":"question","body":"anyone there?"}"#, None));
    assert!(d.said.was_closed && d.told().is_empty());
    assert_eq!(d.names().last(), Some(&"late_callback"));
    assert_eq!(d.status(), "closed");
}

#[test]
fn idle_time_closes_only_what_is_still_idle() {
    let mut c = created();
    c.idle_timeout_minutes = 1;
    let mut d = Drive::with(c);
    d.idle().r#do(Input::DeadlineDue);
    assert_eq!(d.status(), "idle", "not due yet");
    for _ in 0..70 {
        d.r#do(Input::DeadlineDue);
    }
    assert!(matches!(&d.state.phase, Phase::Closed { reason, .. } if reason == "idle timeout after 1 minutes"));
}

#[test]
fn cancel_first_stops_a_silent_turn_and_sends_afterwards() {
    let mut d = Drive::new();
    d.prompted().agent(ExecutorReport::Inactive { turn_id: TurnId::nth(1), minutes: 60 });
    assert_eq!(d.try_do(&send("x")).unwrap_err().kind, ErrorKind::TurnStillOpen);
    d.r#do(Input::Send(Send { message: Some("again".into()), cancel_first: true, ..Default::default() }));
    assert_eq!((d.status(), d.state.queue.len()), ("cancelling", 1));
    d.ends(cancelled());
    assert_eq!((d.status(), d.state.queue.len()), ("waiting_for_agent", 0));
}

#[test]
fn a_repeated_report_is_answered_recorded_once_and_delivered_once() {
    let mut d = Drive::new();
    d.prompted().says(QUESTION);
    let first = d.said.message_id.clone();
    d.says(QUESTION);
    assert!(d.said.duplicate && d.told().is_empty());
    assert_eq!(d.said.message_id, first);
    assert_eq!(d.state.rounds_used, 2);
    // After the answer the same words are a new question.
    d.ends(normal(None)).send("A").prompted().says(QUESTION);
    assert!(!d.said.duplicate);
    assert_eq!(d.told(), ["question"]);
}

#[test]
fn the_same_id_is_a_repeat_only_with_the_same_content() {
    let mut d = Drive::new();
    d.prompted().says(r#"{"type":"progress","body":"one","id":"1"}"#);
    d.says(r#"{"type":"progress","body":"two","id":"1"}"#);
    assert!(!d.said.duplicate);
    d.ends(normal(Some("x"))).send("more").prompted().says(r#"{"type":"progress","body":"one","id":"1"}"#);
    assert!(d.said.duplicate, "an id counts over turns");
}

#[test]
fn an_old_report_does_not_settle_a_new_turn() {
    let mut d = Drive::new();
    d.prompted().ends(normal(Some("one"))).send("two").prompted();
    d.r#do(report(QUESTION, Some(1)));
    assert!(d.said.late);
    assert_eq!((d.status(), d.told()), ("waiting_for_agent", vec!["question".to_owned()]));
    d.r#do(report(DONE, Some(1)));
    assert_eq!((d.status(), d.told().len()), ("waiting_for_agent", 0), "turn 1 was settled by a done already");
    assert!(d.try_do(&report(r#"{"type":"done","body":"other"}"#, Some(9))).is_err());
}

#[test]
fn a_late_report_of_the_stalled_turn_counts() {
    let mut d = Drive::new();
    d.prompted().ends(normal(None));
    assert_eq!(d.status(), "stalled");
    d.r#do(report(DONE, Some(1)));
    assert_eq!((d.status(), d.told()), ("idle", vec!["done".to_owned()]));
}

#[test]
fn control_messages_are_sent_once_per_level() {
    let mut c = created();
    (c.soft_limit, c.hard_limit) = (10, 20);
    let mut d = Drive::with(c);
    let mut controls = 0;
    for _ in 0..4 {
        d.prompted().says(QUESTION).ends(normal(None)).send("A");
        controls += d.started().unwrap().controls.len();
    }
    assert_eq!((d.state.rounds_used, controls), (9, 2));
    let levels: Vec<_> = d.names().into_iter().filter(|n| *n == "budget_level").collect();
    assert_eq!(levels.len(), 2);
}

#[test]
fn at_the_soft_limit_send_is_refused_unless_it_raises_it() {
    let mut c = created();
    (c.soft_limit, c.hard_limit) = (2, 4);
    let mut d = Drive::with(c);
    d.prompted().says(QUESTION);
    assert_eq!(d.told(), ["question", "budget"]);
    d.ends(normal(None));
    let e = d.try_do(&send("A")).unwrap_err();
    assert_eq!(e.kind, ErrorKind::BudgetExhausted);
    let raised = |soft| Input::Send(Send { message: Some("A".into()), soft_limit: Some(soft), ..Default::default() });
    assert_eq!(d.try_do(&raised(5)).unwrap_err().kind, ErrorKind::InvalidParams, "at most to the hard limit");
    d.r#do(raised(4));
    assert_eq!(d.state.rounds_used, 3);
}

#[test]
fn a_message_past_the_hard_limit_is_recorded_and_fails_the_conversation() {
    let mut c = created();
    (c.soft_limit, c.hard_limit) = (1, 1);
    let mut d = Drive::with(c);
    d.prompted().says(QUESTION);
    assert!(matches!(d.state.phase, Phase::Failed { hard_stop: true, .. }));
    assert_eq!(d.told(), ["question", "budget"]);
    assert!(d.effects.iter().any(|e| matches!(e, Effect::CancelTurn { .. })));
    d.ends(cancelled());
    assert_eq!(d.status(), "failed");
    assert_eq!(d.try_do(&send("A")).unwrap_err().kind, ErrorKind::BudgetExhausted);
    d.r#do(Input::Send(Send {
        message: Some("A".into()),
        soft_limit: Some(9),
        hard_limit: Some(9),
        ..Default::default()
    }));
    assert_eq!(d.status(), "waiting_for_agent");
}

#[test]
fn what_is_not_possible_changes_nothing() {
    let mut d = Drive::new();
    d.prompted();
    let before = d.state.clone();
    for input in [
        send("   "),
        Input::Send(Send { message: Some("x".into()), kind: Some(MessageType::Done), ..Default::default() }),
        Input::Send(Send { message: Some("x".into()), soft_limit: Some(0), ..Default::default() }),
        Input::Send(Send::default()),
        Input::Recover { session: "s".into() },
    ] {
        let e = d.try_do(&input).unwrap_err();
        assert!(!e.message.is_empty() && !e.hint.is_empty());
    }
    assert_eq!(d.state, before);
}

#[test]
fn a_control_message_opens_a_turn_but_no_round() {
    let mut d = Drive::new();
    d.idle().r#do(Input::Send(Send {
        message: Some("fyi".into()),
        kind: Some(MessageType::Control),
        ..Default::default()
    }));
    assert_eq!((d.status(), d.state.rounds_used), ("waiting_for_agent", 1));
}

#[test]
fn reports_of_an_executor_that_comes_late_to_a_closed_conversation_are_recorded_only() {
    let mut d = Drive::new();
    d.prompted().r#do(Input::Close { reason: "x".into() }).ends(cancelled());
    assert_eq!(d.status(), "cancelled");
    let launch_id = akk_proto::LaunchId::new(uuid::Uuid::nil());
    assert!(d.try_do(&executor(ExecutorReport::Exited { launch_id, exit: None, reason: None })).is_ok());
    assert_eq!(d.status(), "cancelled");
}

#[test]
fn a_question_is_a_question_also_when_the_agent_says_that_it_needs_no_answer() {
    let mut d = Drive::new();
    d.prompted().says(r#"{"type":"question","body":"A or B?","requires_response":false}"#);
    assert_eq!((d.status(), d.state.rounds_used), ("waiting_for_openclaw", 1));
    let needs_answer = crate::decide::deliveries(&d.effects).iter().all(|(_, b)| b.needs_answer);
    assert!(needs_answer);
    d.ends(normal(Some("I asked whether A or B.")));
    assert_eq!((d.status(), d.told().len()), ("waiting_for_openclaw", 0), "the final text is no second report");
}

#[test]
fn a_late_done_is_told_when_its_turn_was_settled_by_a_question_only() {
    let mut d = Drive::new();
    d.prompted().says(QUESTION).ends(normal(None));
    d.r#do(report(DONE, Some(1)));
    assert!(d.said.late);
    assert_eq!((d.status(), d.told()), ("waiting_for_openclaw", vec!["done".to_owned()]));
}

#[test]
fn the_same_words_in_a_later_turn_are_new_also_when_that_turn_repeats_the_message() {
    let progress = r#"{"type":"progress","body":"reading"}"#;
    let mut d = Drive::new();
    d.prompted().says(progress).ends(normal(None));
    d.r#do(Input::Recover { session: "fresh".into() }).prompted().says(progress);
    assert!(!d.said.duplicate);
}

#[test]
fn past_a_limit_no_type_of_message_starts_a_turn() {
    let mut c = created();
    (c.soft_limit, c.hard_limit) = (1, 2);
    let mut d = Drive::with(c);
    d.idle();
    for kind in [MessageType::Task, MessageType::Control, MessageType::Error] {
        let input = Input::Send(Send { message: Some("go on".into()), kind: Some(kind), ..Default::default() });
        assert_eq!(d.try_do(&input).unwrap_err().kind, ErrorKind::BudgetExhausted, "{kind}");
    }
}

#[test]
fn a_waiting_message_that_would_exceed_the_hard_limit_fails_the_conversation() {
    let mut c = created();
    (c.soft_limit, c.hard_limit) = (2, 2);
    let mut d = Drive::with(c);
    d.prompted().send("two").says(QUESTION);
    assert_eq!(d.state.rounds_used, 2);
    d.ends(normal(None));
    assert!(matches!(d.state.phase, Phase::Failed { hard_stop: true, .. }), "{:?}", d.state.phase);
    assert_eq!((d.state.rounds_used, d.said.dropped.len(), d.state.queue.len()), (2, 1, 0));
    assert_eq!(d.told(), ["budget"]);
}

#[test]
fn at_the_hard_limit_the_notice_names_the_limit_that_must_be_raised() {
    let mut c = created();
    (c.soft_limit, c.hard_limit) = (2, 2);
    let mut d = Drive::with(c);
    d.prompted().says(QUESTION);
    let rows = crate::decide::deliveries(&d.effects);
    let notice = rows.iter().find(|(_, b)| b.kind == "budget").unwrap();
    assert!(notice.1.text.contains("higher hard limit"), "{}", notice.1.text);
}

#[test]
fn a_report_says_when_the_orchestrator_last_said_something() {
    let mut d = Drive::new();
    d.prompted().says(QUESTION);
    let asked = |d: &Drive| crate::decide::deliveries(&d.effects).pop().unwrap().1.asked_at;
    let first = asked(&d);
    assert_eq!(first, Some(d.state.created_at));
    d.ends(normal(None)).send("The first.");
    d.prompted().says(DONE);
    assert!(asked(&d) > first, "the answer counts");
}
