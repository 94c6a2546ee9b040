//! Permission requests: what is asked waits for a person, one answer settles one request, and nothing else decides
//! for the person but a limit that was set.

use crate::decide::Input;
use crate::testing::{Drive, created, normal};
use crate::{Effect, ExecutorReport, How};
use akk_proto::error::ErrorKind;
use akk_proto::event::{Created, EventBody};
use akk_proto::permission::{
    PermissionDecision, PermissionOption, PermissionRequest, PermissionSettled, Permit, SettledBy,
};
use akk_proto::{LaunchId, TurnId};
use serde_json::{Value, json};
use uuid::Uuid;

pub(super) fn launch(n: u128) -> LaunchId {
    LaunchId::new(Uuid::from_u128(n))
}

/// Request `id` of a process. Names and order mislead on purpose.
pub(super) fn request(id: u32, n: u128) -> Box<PermissionRequest> {
    let option =
        |id: &str, kind: &str, name: &str| PermissionOption { id: id.into(), kind: kind.into(), name: name.into() };
    Box::new(PermissionRequest {
        launch_id: launch(n),
        id: json!(id),
        title: format!("rm -rf build{id}"),
        kind: Some("execute".into()),
        text: format!("rm -rf build{id}\nin /w"),
        truncated: false,
        options: vec![
            option("a", "reject_always", "Allow"),
            option("b", "allow_always", "Reject"),
            option("c", "allow_once", "No"),
            option("d", "reject_once", "Yes"),
        ],
    })
}

fn asks(id: u32) -> ExecutorReport {
    ExecutorReport::PermissionAsked { turn_id: TurnId::nth(1), request: request(id, 1) }
}

fn permit(nonce: Option<&str>, answer: Permit) -> Input {
    Input::Permit { nonce: nonce.map(str::to_owned), answer }
}

fn nonces(d: &Drive) -> Vec<String> {
    d.state.pending_permissions().map(|p| p.requested.nonce.clone()).collect()
}

/// What the agent is to be told by the last step: request and option.
fn told(d: &Drive) -> Vec<(Value, Option<&str>)> {
    let answers = d.effects.iter().filter_map(|e| match e {
        Effect::AnswerPermission { request, option, .. } => Some((request.clone(), option.as_deref())),
        _ => None,
    });
    answers.collect()
}

fn settled(d: &Drive) -> Vec<PermissionSettled> {
    let settled = d.events.iter().filter_map(|e| match &e.body {
        EventBody::PermissionSettled(s) => Some(s.clone()),
        _ => None,
    });
    settled.collect()
}

#[test]
fn a_request_waits_for_a_person_who_is_told_and_whose_answer_reaches_the_agent() {
    let mut d = Drive::new();
    d.prompted().agent(asks(7));
    assert_eq!((d.status(), nonces(&d).len(), told(&d).len()), ("waiting_for_agent", 1, 0));
    let rows = crate::decide::deliveries(&d.effects);
    let [(_, notice)] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((notice.kind.as_str(), notice.needs_answer), ("permission", true));
    for part in ["rm -rf build7\nin /w", nonces(&d)[0].as_str(), "allow (No), allow_always (Reject), deny (Yes)"] {
        assert!(notice.text.contains(part), "{part:?} is missing in {}", notice.text);
    }
    d.r#do(permit(None, Permit::Allow));
    assert_eq!(told(&d), [(json!(7), Some("c"))]);
    assert!(nonces(&d).is_empty() && !d.state.open_turn.as_ref().unwrap().permissions.is_empty(), "not told yet");
    let answered =
        ExecutorReport::PermissionAnswered { turn_id: TurnId::nth(1), launch_id: launch(1), request: json!(7) };
    d.agent(answered.clone());
    assert!(d.state.open_turn.as_ref().unwrap().permissions.is_empty());
    let events = d.events.len();
    d.agent(answered);
    assert_eq!(d.events.len(), events, "said again, it changes nothing");
}

#[test]
fn one_answer_settles_one_request() {
    let mut d = Drive::new();
    d.prompted().agent(asks(1)).agent(asks(2)).agent(asks(2));
    let [first, second] = &nonces(&d)[..] else { panic!("{:?}", nonces(&d)) };
    let which = d.try_do(&permit(None, Permit::Deny)).unwrap_err();
    assert_eq!(which.kind, ErrorKind::AmbiguousId);
    assert!(which.hint.contains(first) && which.hint.contains(second), "{}", which.hint);
    d.r#do(permit(Some(&second.to_uppercase()), Permit::Deny));
    assert_eq!((told(&d), nonces(&d).as_slice()), (vec![(json!(2), Some("d"))], [first.clone()].as_slice()));
    for used in [second.as_str(), "00000000", ""] {
        assert_eq!(d.try_do(&permit(Some(used), Permit::Allow)).unwrap_err().kind, ErrorKind::WrongStatus, "{used}");
    }
    d.r#do(permit(None, Permit::AllowAlways));
    assert_eq!(told(&d), [(json!(1), Some("b"))]);
    assert_eq!(d.try_do(&permit(None, Permit::Allow)).unwrap_err().kind, ErrorKind::WrongStatus);
    assert!(settled(&d).iter().all(|s| s.by == SettledBy::Person));
}

#[test]
fn what_the_agent_does_not_offer_is_not_chosen() {
    let mut d = Drive::new();
    let mut only = request(1, 1);
    only.options.retain(|o| o.kind == "allow_always");
    d.prompted().agent(ExecutorReport::PermissionAsked { turn_id: TurnId::nth(1), request: only });
    let refused = d.try_do(&permit(None, Permit::Allow)).unwrap_err();
    assert_eq!((refused.kind, refused.hint.as_str()), (ErrorKind::InvalidParams, "Answer with allow_always or deny."));
    d.r#do(permit(None, Permit::Deny));
    assert_eq!(told(&d), [(json!(1), None)]);
    assert_eq!(settled(&d)[0].decision, PermissionDecision::Refused);
}

#[test]
fn cancel_and_close_settle_what_waits_and_take_no_answer_after_it() {
    for ask in [Input::Cancel, Input::Close { reason: "enough".into() }] {
        let mut d = Drive::new();
        d.prompted().agent(asks(1)).agent(asks(2)).r#do(ask);
        assert!(matches!(d.effects[0], Effect::CancelTurn { .. }), "the protocol's cancel goes first");
        assert_eq!(told(&d), [(json!(1), None), (json!(2), None)]);
        assert_eq!(d.try_do(&permit(None, Permit::Allow)).unwrap_err().kind, ErrorKind::WrongStatus);
        // What is asked now is declined at once, and nobody is told.
        d.agent(asks(3));
        assert_eq!((told(&d), d.told().len(), nonces(&d).len()), (vec![(json!(3), None)], 0, 0));
        d.ends(crate::Ended::bare(How::Cancelled));
        assert_eq!(settled(&d).len(), 2);
    }
}

#[test]
fn a_turn_that_ends_all_the_same_leaves_nothing_waiting() {
    let mut d = Drive::new();
    d.prompted().agent(asks(1)).says(r#"{"type":"done","body":"x"}"#).ends(normal(None));
    assert_eq!((d.status(), told(&d)), ("idle", vec![(json!(1), None)]));
    assert_eq!(settled(&d)[0].by, SettledBy::TurnEnd);
    assert_eq!(d.try_do(&permit(None, Permit::Allow)).unwrap_err().kind, ErrorKind::WrongStatus);
    // The process that asked is gone: nobody is told.
    for report in [
        ExecutorReport::Exited { launch_id: launch(1), exit: None, reason: None },
        ExecutorReport::Launched {
            launch_id: launch(2),
            transport: akk_proto::conversation::Transport::Acp,
            pid: 2,
            command: vec![],
        },
    ] {
        let mut d = Drive::new();
        d.prompted().agent(asks(1)).agent(report);
        assert_eq!((told(&d).len(), settled(&d)[0].by), (0, SettledBy::AgentGone));
        assert!(d.state.open_turn.as_ref().unwrap().permissions.is_empty());
    }
}

#[test]
fn what_the_agent_takes_back_waits_no_more() {
    let back = |id: u32, n| ExecutorReport::PermissionWithdrawn {
        turn_id: TurnId::nth(1),
        launch_id: launch(n),
        request: id.into(),
    };
    let mut d = Drive::new();
    d.prompted().agent(asks(1)).agent(asks(2)).agent(back(1, 2)).agent(back(3, 1));
    assert_eq!(nonces(&d).len(), 2);
    d.agent(back(1, 1));
    assert_eq!((nonces(&d).len(), told(&d), settled(&d)[0].by), (1, vec![(json!(1), None)], SettledBy::Agent));
    d.r#do(permit(None, Permit::Deny)).ends(crate::Ended::bare(How::Cancelled));
    let reason = d.state.last_turn.as_ref().unwrap().reason.clone().unwrap();
    assert_eq!(reason, "the agent stopped its turn when it was refused a permission: rm -rf build2");
}

#[test]
fn without_a_limit_it_waits_for_ever_and_with_one_it_is_refused() {
    let inactive = ExecutorReport::Inactive { turn_id: TurnId::nth(1), minutes: 60 };
    let mut d = Drive::new();
    d.prompted().agent(asks(1)).agent(inactive).r#do(Input::DeadlineDue);
    assert_eq!((d.status(), nonces(&d).len(), d.state.deadline()), ("waiting_for_agent", 1, None));

    let mut d = Drive::with(Created { permission_minutes: Some(1), ..created() });
    d.prompted().agent(asks(1));
    let due = d.state.deadline().unwrap();
    d.r#do(Input::DeadlineDue);
    assert_eq!((nonces(&d).len(), d.state.deadline()), (1, Some(due)), "not yet");
    // A step of this test takes a second.
    for _ in 0..60 {
        d.r#do(Input::DeadlineDue);
    }
    assert_eq!((nonces(&d).len(), d.state.deadline()), (0, None));
    let [settled] = &settled(&d)[..] else { panic!() };
    assert_eq!((settled.by, settled.decision), (SettledBy::Limit, PermissionDecision::Refused));
    assert_eq!(settled.option.as_deref(), Some("reject_once"));
}

#[test]
fn the_budget_that_is_used_up_stops_the_turn_and_what_it_asks() {
    let mut d = Drive::with(Created { soft_limit: 1, hard_limit: 1, ..created() });
    d.prompted().agent(asks(1)).says(r#"{"type":"question","body":"?"}"#);
    assert_eq!((d.status(), told(&d)), ("failed", vec![(json!(1), None)]));
}

#[test]
fn a_long_text_stands_whole_in_the_history_and_shortened_in_the_state_and_too_many_are_declined() {
    let mut d = Drive::new();
    let mut long = request(0, 1);
    long.text = "x".repeat(20_000);
    d.prompted().agent(ExecutorReport::PermissionAsked { turn_id: TurnId::nth(1), request: long });
    let kept = &d.state.open_turn.as_ref().unwrap().permissions[0].requested.request;
    assert!(kept.text.chars().count() <= 4000 && kept.truncated);
    let recorded = d.events.iter().find_map(|e| match &e.body {
        EventBody::PermissionRequested(r) => Some(r.request.text.len()),
        _ => None,
    });
    assert_eq!(recorded, Some(20_000));
    for id in 1..20 {
        d.agent(asks(id));
    }
    assert_eq!((nonces(&d).len(), told(&d)), (16, vec![(json!(19), None)]));
}
