//! Properties that hold on every path.

use super::permissions::{launch, request};
use crate::apply;
use crate::conversation::{Conversation, Origin, Phase};
use crate::decide::{self, Beginning, Input, Send, decide};
use crate::testing::{NATIVE, attached, created, executor, forked, given, report};
use crate::{Effect, Ended, Event, ExecutorReport, How};
use akk_proto::TurnId;
use akk_proto::event::{EventBody, SessionEnsured, SessionReached};
use akk_proto::message::MessageType;
use akk_proto::permission::Permit;
use proptest::prelude::*;

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        Just(How::Normal { stop_reason: "end_turn".into() }),
        Just(How::Normal { stop_reason: "refusal".into() }),
        Just(How::Cancelled),
        Just(How::Failed { reason: "exit code 1".into() }),
        Just(How::ModelRefused { attempted: None, available: vec![], reason: "no".into() }),
        Just(How::CannotStart { reason: "not there".into() }),
        Just(How::SessionLost { reason: "gone".into() }),
        Just(How::Uncertain { reason: "?".into() }),
    ]
}

fn ended() -> impl Strategy<Value = Ended> {
    let text = prop_oneof![
        Just(None),
        Just(Some("text".to_owned())),
        Just(Some(r#"{"type":"question","body":"?"}"#.to_owned()))
    ];
    (how(), text, any::<bool>()).prop_map(|(how, text, activity_seen)| Ended {
        text,
        activity_seen,
        ..Ended::bare(how)
    })
}

fn input() -> impl Strategy<Value = Input> {
    let limit = || prop_oneof![3 => Just(None), 1 => (0u32..8).prop_map(Some)];
    prop_oneof![
        4 => (any::<bool>(), limit(), limit(), prop::option::weighted(0.2, Just("m".to_owned())), any::<bool>()).prop_map(
            |(control, soft_limit, hard_limit, model, cancel_first)| Input::Send(Send {
                message: Some("go on".into()),
                kind: control.then_some(MessageType::Control),
                model,
                soft_limit,
                hard_limit,
                cancel_first,
            })
        ),
        1 => Just(Input::Send(Send { model: Some("m2".into()), ..Default::default() })),
        6 => ("done|question|blocked|progress|error", "[ab]", prop::option::of(1u32..4)).prop_map(|(kind, body, turn)| {
            report(&format!(r#"{{"type":"{kind}","body":"{body}"}}"#), turn)
        }),
        1 => Just(Input::Cancel),
        1 => Just(Input::Close { reason: "enough".into() }),
        1 => Just(Input::Recover { session: "fresh".into() }),
        1 => Just(Input::DeadlineDue),
        6 => (1u32..9, ended()).prop_map(|(n, ended)| executor(ExecutorReport::TurnEnded { turn_id: TurnId::nth(n), ended: Box::new(ended) })),
        2 => (1u32..9).prop_map(|n| executor(ExecutorReport::PromptSent { turn_id: TurnId::nth(n), bytes: 1 })),
        1 => (1u32..9).prop_map(|n| executor(ExecutorReport::Inactive { turn_id: TurnId::nth(n), minutes: 60 })),
        4 => (1u32..9, 0u32..4, 1u128..3).prop_map(|(n, id, launch)| executor(ExecutorReport::PermissionAsked { turn_id: TurnId::nth(n), request: request(id, launch) })),
        3 => prop::sample::select(Permit::ALL.to_vec()).prop_map(|answer| Input::Permit { nonce: None, answer }),
        2 => (1u32..9, 0u32..4, 1u128..3).prop_map(|(n, id, l)| executor(ExecutorReport::PermissionAnswered { turn_id: TurnId::nth(n), launch_id: launch(l), request: id.into() })),
        1 => (1u128..3).prop_map(|l| executor(ExecutorReport::Exited { launch_id: launch(l), exit: None, reason: None })),
        2 => Just(executor(ExecutorReport::SessionReady(SessionEnsured { native_session_id: "n".into(), how: SessionReached::Created, model: None }))),
    ]
}

/// Whatever waits is told inside the turn, where the rules allow it.
fn answered(state: &Conversation) -> Option<Input> {
    let question = state.open_turn.as_ref()?.settled_by.as_ref()?.message_id.clone();
    let answer = state.queue.first()?.message_id.clone();
    Some(Input::AnswerTaken { question, answer })
}

struct Run {
    state: Conversation,
    events: Vec<Event>,
    starts: Vec<TurnId>,
}

fn begin() -> Run {
    begin_with(&Beginning::Request("task".into()))
}

fn beginning() -> impl Strategy<Value = Beginning> {
    prop_oneof![Just(Beginning::Request("task".into())), Just(attached()), Just(forked())]
}

fn begin_with(beginning: &Beginning) -> Run {
    let mut c = created();
    (c.soft_limit, c.hard_limit, c.idle_timeout_minutes) = (4, 6, 1);
    c.native_session = matches!(beginning, Beginning::Attached(_)).then(|| NATIVE.to_owned());
    let d = decide::begin_with(c, beginning, &given(0)).unwrap();
    let mut run = Run { state: d.state, events: d.events, starts: vec![] };
    note_starts(&mut run, &d.effects);
    run
}

fn note_starts(run: &mut Run, effects: &[Effect]) {
    run.starts.extend(effects.iter().filter_map(|e| match e {
        Effect::StartTurn(s) => Some(s.turn_id.clone()),
        _ => None,
    }));
}

fn step(run: &mut Run, n: u32, input: &Input) -> Result<Vec<Event>, TestCaseError> {
    let was_terminal = run.state.phase.is_terminal();
    let Ok(d) = decide(&run.state, input, &given(n)) else { return Ok(vec![]) };
    prop_assert!(!was_terminal || d.state.phase == run.state.phase, "a path out of a terminal status");
    let asks_for_work = d.effects.iter().any(|e| matches!(e, Effect::Deliver { .. } | Effect::StartTurn(_)));
    prop_assert!(!was_terminal || !asks_for_work, "work for a terminal conversation");
    let open = d.events.iter().filter(|e| matches!(e.body, EventBody::TurnStarted(_))).count() as i32
        - d.events.iter().filter(|e| matches!(e.body, EventBody::TurnEnded(_))).count() as i32
        + i32::from(run.state.open_turn.is_some());
    prop_assert!(open == 0 || open == 1, "one open turn at most");
    prop_assert_eq!(open == 1, d.state.open_turn.is_some());
    let waits_for_agent = matches!(d.state.phase, Phase::WaitingForAgent | Phase::Cancelling { .. });
    prop_assert!(!waits_for_agent || d.state.open_turn.is_some(), "{:?} without a turn", d.state.phase);
    prop_assert!(!d.state.phase.is_terminal() || d.state.open_turn.is_none());
    prop_assert!(
        d.state.queue.is_empty()
            || d.state.open_turn.is_some()
            || !matches!(d.state.phase, Phase::Idle { .. } | Phase::WaitingForOpenclaw { .. } | Phase::Failed { .. }),
        "something waits and nothing moves it on"
    );
    // Only what the agent itself says may go past the hard limit, by the one round that fails the conversation.
    let sent = d.events.iter().any(|e| matches!(e.body, EventBody::MessageSent { .. }));
    prop_assert!(!sent || d.state.rounds_used <= d.state.settings.hard_limit, "a waiting message past the hard limit");
    prop_assert!(!d.state.phase.is_terminal() || d.state.queue.is_empty());
    prop_assert!(!d.state.is_being_stopped() || d.state.pending_permissions().next().is_none(), "asks nobody any more");
    note_starts(run, &d.effects);
    run.state = d.state;
    run.events.extend(d.events.iter().cloned());
    Ok(d.events)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Statuses, turns and queue fit together after every step, and the state rebuilt from the history, through what
    /// is stored, is the state.
    #[test]
    fn every_path_keeps_the_invariants_and_replays(beginning in beginning(), inputs in prop::collection::vec((input(), any::<bool>()), 0..60)) {
        let mut run = begin_with(&beginning);
        for (n, (input, tell)) in inputs.iter().enumerate() {
            step(&mut run, n as u32 + 1, input)?;
            if *tell && let Some(answer) = answered(&run.state) {
                let events = step(&mut run, n as u32 + 501, &answer)?;
                prop_assert!(events.is_empty() || run.state.phase == Phase::WaitingForAgent);
                prop_assert!(!events.iter().any(|e| matches!(e.body, EventBody::TurnStarted(_))), "told in the same turn");
            }
        }
        let mut rebuilt = apply::begin(&run.events[0]).unwrap();
        for event in &run.events[1..] {
            let stored = serde_json::to_string(event).unwrap();
            rebuilt = apply::apply(&rebuilt, &serde_json::from_str(&stored).unwrap()).unwrap().0;
        }
        prop_assert_eq!(&rebuilt, &run.state);
        let stored: Conversation = serde_json::from_str(&serde_json::to_string(&run.state).unwrap()).unwrap();
        prop_assert_eq!(&stored, &run.state);
        // Every turn is started once.
        let mut unique = run.starts.clone();
        unique.dedup();
        prop_assert_eq!(&unique, &run.starts);
        prop_assert_eq!(run.starts.len() as u32, run.state.turns);
        // Every permission request is settled once, or waits.
        let mut asked: Vec<&str> = run.events.iter().filter_map(|e| match &e.body {
            EventBody::PermissionRequested(r) => Some(r.nonce.as_str()),
            _ => None,
        }).collect();
        let mut settled: Vec<&str> = run.events.iter().filter_map(|e| match &e.body {
            EventBody::PermissionSettled(s) => Some(s.nonce.as_str()),
            _ => None,
        }).chain(run.state.pending_permissions().map(|p| p.requested.nonce.as_str())).collect();
        asked.sort_unstable();
        settled.sort_unstable();
        prop_assert_eq!(asked, settled);
        // What the first prompt carries is told once, and not forgotten before.
        let told = run.events.iter().filter(|e| matches!(e.body, EventBody::NativeSessionBootstrapped | EventBody::ForkSessionBootstrapped)).count();
        prop_assert!(told <= 1);
        prop_assert_eq!(told == 0 && run.state.origin.is_some(), run.state.origin.as_ref().is_some_and(Origin::needs_bootstrap));
    }

    /// The first outcome of a turn stands: its end, said again in any form, changes nothing.
    #[test]
    fn the_first_end_of_a_turn_stands(inputs in prop::collection::vec(input(), 0..30), again in ended()) {
        let mut run = begin();
        for (n, input) in inputs.iter().enumerate() {
            step(&mut run, n as u32 + 1, input)?;
        }
        let ended_turns: Vec<TurnId> = run.events.iter().filter(|e| matches!(e.body, EventBody::TurnEnded(_))).filter_map(|e| e.turn_id.clone()).collect();
        for turn_id in ended_turns {
            let before = run.state.clone();
            let events = step(&mut run, 900, &executor(ExecutorReport::TurnEnded { turn_id, ended: Box::new(again.clone()) }))?;
            prop_assert!(events.is_empty());
            prop_assert_eq!(&before, &run.state);
        }
    }

    /// The same report said twice in a row is recorded once and delivered once.
    #[test]
    fn a_repeated_report_is_harmless(inputs in prop::collection::vec(input(), 0..30), kind in "done|question|blocked|progress|error", body in "[cd]") {
        let mut run = begin();
        for (n, input) in inputs.iter().enumerate() {
            step(&mut run, n as u32 + 1, input)?;
        }
        let said = report(&format!(r#"{{"type":"{kind}","body":"{body}"}}"#), None);
        step(&mut run, 900, &said)?;
        let before = run.state.clone();
        // A report can start the next turn (a queued message goes to the agent): then the words are new ones.
        let moved_on = run.events.last().is_some_and(|e| matches!(e.body, EventBody::TurnStarted(_)));
        if !moved_on && let Ok(d) = decide(&run.state, &said, &given(901)) {
            prop_assert!(d.said.duplicate);
            prop_assert!(d.effects.is_empty());
            prop_assert_eq!(Conversation { updated_at: before.updated_at, ..d.state }, before);
        }
    }
}
