//! An answer that is told inside the turn in which the agent asked.

use crate::decide::{Input, answer_to, waits_for};
use crate::testing::{Drive, normal};
use akk_proto::MessageId;
use akk_proto::error::ErrorKind;
use akk_proto::event::TurnOutcome;

const DONE: &str = r#"{"type":"done","body":"done"}"#;
const QUESTION: &str = r#"{"type":"question","body":"A or B?"}"#;

/// A conversation whose agent asked inside its turn, and the question.
fn asked() -> (Drive, MessageId) {
    let mut d = Drive::new();
    d.prompted().says(QUESTION);
    let question = d.said.message_id.clone().unwrap();
    assert!(waits_for(&d.state, &question));
    (d, question)
}

fn take(d: &mut Drive, question: &MessageId, answer: &MessageId) -> Result<(), ErrorKind> {
    let input = Input::AnswerTaken { question: question.clone(), answer: answer.clone() };
    d.try_do(&input).map_err(|e| e.kind)
}

#[test]
fn an_answer_that_is_told_in_the_turn_counts_as_sent_and_the_turn_goes_on() {
    let (mut d, question) = asked();
    assert_eq!(answer_to(&d.state, &question), None);
    d.send("B");
    assert!(d.said.queued);
    let answer = d.said.message_id.clone().unwrap();
    assert_eq!(answer_to(&d.state, &question).unwrap().message_id, answer);
    take(&mut d, &question, &answer).unwrap();
    assert_eq!((d.status(), d.state.rounds_used, d.state.turns), ("waiting_for_agent", 3, 1));
    assert_eq!(d.names()[d.events.len() - 2..], ["message_sent", "question_answered"]);
    assert!(d.state.queue.is_empty() && !waits_for(&d.state, &question));
    assert_eq!(take(&mut d, &question, &answer), Err(ErrorKind::WrongStatus), "told once");
    // The same question again is another one, and so is its answer.
    d.says(QUESTION);
    assert!(!d.said.duplicate);
    d.ends(normal(Some("I wait")));
    assert_eq!(d.status(), "waiting_for_openclaw");
    assert_eq!(d.state.last_turn.as_ref().unwrap().outcome, TurnOutcome::Completed);
}

#[test]
fn a_turn_that_was_answered_ends_by_its_own_word() {
    let (mut d, question) = asked();
    d.send("B");
    let answer = d.said.message_id.clone().unwrap();
    take(&mut d, &question, &answer).unwrap();
    d.ends(normal(None));
    assert_eq!(d.status(), "stalled", "the question does not settle it any more");
    let (mut d, question) = asked();
    d.send("B");
    let answer = d.said.message_id.clone().unwrap();
    take(&mut d, &question, &answer).unwrap();
    d.says(DONE).ends(normal(None));
    assert_eq!(d.status(), "idle");
}

#[test]
fn an_answer_that_is_not_confirmed_goes_behind_the_turn_and_cannot_be_told_twice() {
    let (mut d, question) = asked();
    d.send("B");
    let answer = d.said.message_id.clone().unwrap();
    d.ends(normal(None));
    assert_eq!((d.status(), d.state.turns), ("waiting_for_agent", 2));
    assert_eq!(take(&mut d, &question, &answer), Err(ErrorKind::WrongStatus));
    assert_eq!(d.state.turns, 2);
}

#[test]
fn what_waited_before_the_question_is_no_answer_to_it() {
    let mut d = Drive::new();
    d.prompted().send("and then this").says(QUESTION);
    let question = d.said.message_id.clone().unwrap();
    assert_eq!(answer_to(&d.state, &question), None);
    d.send("B");
    let behind = d.said.message_id.clone().unwrap();
    assert_eq!(answer_to(&d.state, &question), None, "the order is kept");
    assert_eq!(take(&mut d, &question, &behind), Err(ErrorKind::WrongStatus));
}

#[test]
fn a_cancel_takes_the_answer_back() {
    let (mut d, question) = asked();
    d.send("B");
    let answer = d.said.message_id.clone().unwrap();
    d.r#do(Input::Cancel);
    assert_eq!(take(&mut d, &question, &answer), Err(ErrorKind::WrongStatus));
    assert_eq!(d.status(), "cancelling");
}

#[test]
fn a_drop_that_is_set_aside_is_told_and_changes_nothing_also_when_all_is_over() {
    let mut d = Drive::new();
    let refused = Input::DropRefused { file: "a\u{1b}[2J.json".into(), reason: "it is a symbolic link".into() };
    d.r#do(refused.clone());
    assert_eq!(d.status(), "waiting_for_agent");
    d.r#do(Input::Close { reason: "x".into() }).ends(crate::Ended::bare(crate::How::Cancelled));
    d.r#do(refused);
    assert_eq!(d.names().iter().filter(|n| **n == "drop_refused").count(), 2);
    let akk_proto::event::EventBody::DropRefused { file, .. } = &d.events.last().unwrap().body else { panic!() };
    assert!(!file.contains('\u{1b}'), "{file:?}");
}
