//! Conversations that begin with a native session.

use crate::conversation::Conversation;
use crate::decide::Beginning;
use crate::prompt::{self, Facts};
use crate::testing::{Drive, NATIVE, attached, created, forked, given, message_of, normal};
use crate::{Ended, How, decide};
use akk_proto::event::{EventBody, PromptKind, TurnOutcome};
use akk_proto::session::Strategy;

fn kind(d: &Drive) -> PromptKind {
    d.started().expect("a turn was started").prompt
}

fn cannot_start(reason: &str) -> Ended {
    Ended::bare(How::CannotStart { reason: reason.into() })
}

fn first_prompt(state: &Conversation) -> String {
    let open = state.open_turn.as_ref().unwrap();
    let facts = Facts { conversation: state, turn_id: &open.turn_id, akkctl: "akkctl" };
    prompt::bootstrap(facts, &[], &message_of(state, "go on"))
}

#[test]
fn an_attached_conversation_is_idle_and_its_first_prompt_carries_the_rules() {
    let mut d = Drive::from(&attached());
    assert_eq!((d.status(), d.names()), ("idle", vec!["conversation_created", "native_session_attached"]));
    assert_eq!(d.state.native_session.as_deref(), Some(NATIVE));
    assert!(d.state.origin.as_ref().unwrap().needs_bootstrap() && d.effects.is_empty());
    d.send("go on");
    assert_eq!((kind(&d), d.status()), (PromptKind::Bootstrap, "waiting_for_agent"));
    let text = first_prompt(&d.state);
    assert!(text.contains("This session existed before") && text.contains("You own the engineering"), "{text}");
    d.ends(normal(Some("all done")));
    assert_eq!(d.status(), "idle");
    assert_eq!(d.names().iter().filter(|n| **n == "native_session_bootstrapped").count(), 1);
    assert!(!d.state.origin.as_ref().unwrap().needs_bootstrap());
    assert_eq!(kind(d.send("and now this")), PromptKind::FollowUp);
}

#[test]
fn an_agent_in_the_persons_own_process_reports_with_its_final_text() {
    let Beginning::Attached(mut attachment) = attached() else { panic!() };
    attachment.strategy = Strategy::Attach;
    let mut d = Drive::from(&Beginning::Attached(attachment));
    d.send("go on");
    let text = first_prompt(&d.state);
    assert!(text.contains("exactly one JSON object") && !text.contains("akkctl callback"), "{text}");
    d.ends(normal(Some(r#"{"type":"question","body":"A or B?"}"#)));
    assert_eq!((d.status(), kind(d.send("A"))), ("waiting_for_openclaw", PromptKind::FollowUp));
    let facts =
        Facts { conversation: &d.state, turn_id: &d.state.open_turn.as_ref().unwrap().turn_id, akkctl: "akkctl" };
    assert!(!prompt::follow_up(facts, &[], &message_of(&d.state, "A")).contains("akkctl"));
}

#[test]
fn a_first_prompt_that_never_arrived_is_a_first_prompt_again() {
    for beginning in [attached(), forked()] {
        let mut d = Drive::from(&beginning);
        d.send("go on").ends(cannot_start("active_writer: codex 4711"));
        assert_eq!((d.status(), d.state.last_turn.as_ref().unwrap().outcome), ("stalled", TurnOutcome::NotDelivered));
        assert_eq!(kind(d.send("another try")), PromptKind::Bootstrap);
        assert!(d.state.origin.as_ref().unwrap().needs_bootstrap());
    }
}

#[test]
fn a_model_that_was_refused_is_replaced_and_the_same_message_goes_out_again() {
    let mut d = Drive::from(&attached());
    let refused = How::ModelRefused { attempted: Some("gpt-x".into()), available: vec![], reason: "no".into() };
    d.send("go on").ends(Ended::bare(refused));
    assert_eq!(d.status(), "needs_model_selection");
    let model = decide::Send { model: Some("gpt-y".into()), ..Default::default() };
    d.r#do(decide::Input::Send(model));
    assert_eq!((kind(&d), d.state.settings.model.as_deref()), (PromptKind::Bootstrap, Some("gpt-y")));
}

#[test]
fn an_adopted_session_that_is_lost_is_never_replaced_by_itself() {
    let mut d = Drive::from(&attached());
    d.send("go on").ends(Ended::bare(How::SessionLost { reason: "no rollout found".into() }));
    assert_eq!(d.status(), "needs_recovery");
    assert!(d.state.attachment().is_some());
    d.r#do(decide::Input::Recover { session: "fresh".into() });
    assert_eq!(kind(&d), PromptKind::Replay);
    assert!(d.state.attachment().is_none() && d.state.native_session.is_none(), "the user chose a fresh session");
    d.ends(normal(Some("done")));
    assert!(!d.names().contains(&"native_session_bootstrapped"), "that session never took a prompt");
}

#[test]
fn a_fork_gets_the_confirmed_summary_and_says_when_it_was_taken() {
    let mut d = Drive::from(&forked());
    assert_eq!((d.status(), d.state.native_session.as_ref()), ("idle", None));
    assert_eq!(kind(d.send("go on")), PromptKind::Bootstrap);
    let text = first_prompt(&d.state);
    assert!(text.contains("    Goal: ship it.\n    Next: write the tests."), "{text}");
    assert!(!text.contains(NATIVE), "nothing else of the source");
    d.prompted().ends(normal(Some("done")));
    assert_eq!(d.names().iter().filter(|n| **n == "fork_session_bootstrapped").count(), 1);
    assert_eq!(kind(d.send("and now this")), PromptKind::FollowUp);
}

#[test]
fn a_conversation_is_attached_once_and_to_the_session_that_it_was_made_for() {
    let refused = decide::begin_with(created(), &attached(), &given(1)).unwrap_err();
    assert!(refused.message.contains("another session"), "{refused:?}");
    let d = Drive::new();
    let (Beginning::Attached(attachment), Beginning::Forked(fork)) = (attached(), forked()) else { panic!() };
    for body in [
        EventBody::NativeSessionAttached(attachment),
        EventBody::NativeSessionForked(fork),
        EventBody::NativeSessionBootstrapped,
        EventBody::ForkSessionBootstrapped,
    ] {
        let event = crate::Event { ts: given(9).now, turn_id: None, body };
        assert!(crate::apply::apply(&d.state, &event).is_err(), "{event:?}");
    }
}
