//! Whatever an agent writes: its reports, and words on their way out. And how much of it is taken.

use super::super::testing::{Drive, given, report, send};
use crate::decide::{Input, decide};
use crate::{intake, redact};
use akk_proto::error::ErrorKind;
use akk_proto::limits::{MAX_QUEUED_MESSAGES, MAX_UNDELIVERED};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Text as models write it around, into and instead of a report.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            r#"{"type":"done","body":"ok"}"#, r#"{"type":"question","body":"a\nb","requires_response":true}"#,
            r#"{"type":"progress","id":7,"round":3,"metadata":{"a":[{}]},"body":{"x":[1,2]}}"#,
            r#""type":"#, r#""body":"#, r#""id":"#, r#""metadata":"#, r#""from":"#, "\"done\"", "\"x\"", "```json\n", "```",
            "{", "}", "[", "]", ",", ":", "\"", "\\", "\n", "null", "1e400", "-0", "\\ud800", "\u{0}", "\u{1b}[2J", "\u{202e}",
        ]).prop_map(str::to_owned),
        1 => ".{0,20}",
    ];
    let joined = prop::collection::vec(piece, 0..25).prop_map(|pieces| pieces.concat());
    (joined, any::<prop::sample::Index>(), any::<char>(), any::<bool>()).prop_map(|(text, at, c, change)| {
        let mut chars: Vec<char> = text.chars().collect();
        if change && !chars.is_empty() {
            let at = at.index(chars.len());
            chars[at] = c;
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// What is taken as a report is one, and can be stored and read again; what is refused is told with rule and hint.
    #[test]
    fn any_text_is_a_whole_report_or_is_refused_with_a_hint(text in any_text()) {
        match intake::read(&text) {
            Ok(report) => {
                prop_assert!(!report.body.trim().is_empty());
                let mut stored = Value::Object(report.metadata.clone());
                for _ in 0..20 {
                    stored = json!({ "within": stored });
                }
                prop_assert!(serde_json::from_str::<Value>(&stored.to_string()).is_ok());
                // A type that agents do not send, or a wrong receiver, is refused by the conversation, never a defect.
                let input = Input::Report(Box::new(crate::decide::Report {
                    report, turn_id: None, attempt_id: None, undelivered: 0,
                }));
                if let Err(failure) = decide(&Drive::new().state, &input, &given(9)) {
                    prop_assert!(failure.kind != ErrorKind::Internal && !failure.hint.is_empty(), "{:?}", failure);
                }
            }
            Err(failure) => {
                let kinds = [ErrorKind::InvalidMessage, ErrorKind::InvalidRoute];
                prop_assert!(kinds.contains(&failure.kind) && !failure.hint.is_empty(), "{:?}", failure);
                prop_assert!(failure.message.chars().count() < 300, "{}", failure.message);
            }
        }
        if let Some(report) = intake::read_final_text(&text) {
            prop_assert_eq!(intake::read(&text).unwrap(), report);
        }
    }

    /// A key keeps its secret whatever stands around it, and a preview is short.
    #[test]
    fn a_secret_does_not_get_out_whatever_stands_around_it(before in any_text(), after in any_text(), max in 0_usize..200) {
        let text = format!("{before} sk-hunter2hunter2 {after}");
        prop_assert!(!redact::redact(&text).contains("hunter2"), "{}", redact::redact(&text));
        let shown = redact::preview(&text, max);
        prop_assert!(!shown.contains("hunter2") && shown.chars().count() <= max && !shown.contains('\n'), "{}", shown);
    }
}

#[test]
fn no_more_messages_wait_behind_a_turn_than_are_allowed() {
    let mut d = Drive::new();
    d.state.settings.hard_limit = 1000;
    d.state.settings.soft_limit = 1000;
    for n in 0..MAX_QUEUED_MESSAGES {
        d.send(&format!("more {n}"));
    }
    let refused = d.try_do(&send("one too many")).unwrap_err();
    assert!(refused.message.contains(&MAX_QUEUED_MESSAGES.to_string()) && !refused.hint.is_empty(), "{refused:?}");
    assert_eq!(d.state.queue.len(), MAX_QUEUED_MESSAGES);
}

#[test]
fn an_agent_whose_reports_nobody_takes_is_told_to_stop_and_may_still_say_how_far_it_is() {
    let d = Drive::new();
    let says = |json: &str| {
        let Input::Report(mut input) = report(json, None) else { unreachable!() };
        input.undelivered = MAX_UNDELIVERED;
        decide(&d.state, &Input::Report(input), &given(9))
    };
    let refused = says(r#"{"type":"question","body":"hello?"}"#).unwrap_err();
    assert!(refused.message.contains(&MAX_UNDELIVERED.to_string()) && !refused.hint.is_empty(), "{refused:?}");
    assert!(says(r#"{"type":"progress","body":"half"}"#).is_ok());
}
