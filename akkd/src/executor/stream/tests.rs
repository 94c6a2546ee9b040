//! Stories of whole streams, and what must hold whatever comes.

use super::*;
use akk_proto::event::Activity;
use akk_proto::limits::MAX_DERIVED_TEXT_BYTES;
use proptest::prelude::*;
use serde_json::{Value, json};

fn update(body: &Value) -> String {
    json!({"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": "s", "update": body}}).to_string()
}

fn say(text: &str) -> String {
    update(&json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}))
}

fn piece(message: &str, phase: &str, text: &str) -> String {
    update(&json!({"sessionUpdate": "agent_message_chunk", "messageId": message, "_meta": {"codex": {"phase": phase}},
        "content": {"type": "text", "text": text}}))
}

fn tool(id: &str, status: &str) -> String {
    update(&json!({"sessionUpdate": "tool_call", "toolCallId": id, "title": "ls", "kind": "execute", "status": status,
        "rawInput": {"command": "ls --token hunter2hunter2"}}))
}

fn status(kind: &str) -> String {
    update(&json!({"sessionUpdate": "session_info_update", "_meta": {"codex": {"threadStatus": {"type": kind}}}}))
}

fn read(source: Source, lines: &str) -> (StreamReader, Vec<Seen>) {
    let mut reader = StreamReader::new(source);
    let seen = lines.lines().flat_map(|l| reader.feed(l.as_bytes())).filter(|s| *s != Seen::Nothing).collect();
    (reader, seen)
}

fn agent(lines: &[String]) -> (StreamReader, Vec<Seen>) {
    read(Source::Agent, &lines.join("\n"))
}

fn final_text(reader: &StreamReader) -> Option<String> {
    reader.final_text().map(|(text, _)| text)
}

#[test]
fn a_turn_through_acpx_is_told_in_full() {
    let (r, seen) = read(Source::Acpx, include_str!("../../../tests/fixtures/acpx/turn.jsonl"));
    assert_eq!(r.final_text(), Some(("done here".to_owned(), false)));
    assert_eq!(r.thoughts(), 1);
    assert_eq!(r.usage().unwrap()["totalTokens"], 15);
    assert_eq!(r.usage().unwrap()["contextUsed"], 1234);
    let tools: Vec<_> = seen
        .iter()
        .filter_map(|s| match s {
            Seen::Activity(Activity::Tool { title, status, preview, .. }) => {
                Some((title.as_str(), status.as_str(), preview.as_deref()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        tools,
        [("ls", "pending", Some("ls")), ("ls", "in_progress", None), ("ls", "completed", Some("output of ls"))]
    );
    assert!(seen.iter().any(|s| matches!(s, Seen::Activity(Activity::Plan { entries }) if entries == &["completed step one", "in_progress step two"])));
    let Some(Seen::Response { id, outcome: Ok(result) }) = seen.last() else { panic!("{seen:?}") };
    assert_eq!((id.as_str(), &result["stopReason"]), ("session/prompt", &json!("end_turn")));
}

#[test]
fn what_acpx_answered_to_a_request_for_permission_is_told() {
    for (sample, decision, option) in [
        (include_str!("../../../tests/fixtures/acpx/permission-allowed.jsonl"), "allowed", "allow_once"),
        (include_str!("../../../tests/fixtures/acpx/permission-denied.jsonl"), "refused", "reject_once"),
    ] {
        let (_, seen) = read(Source::Acpx, sample);
        let told: Vec<_> = seen.iter().filter(|s| matches!(s, Seen::Activity(Activity::Permission { .. }))).collect();
        let expected = Seen::Activity(Activity::Permission {
            title: "rm x".into(),
            decision: decision.into(),
            option: Some(option.into()),
        });
        assert_eq!(told, [&expected]);
        assert!(!seen.iter().any(|s| matches!(s, Seen::Request { .. })), "acpx answers, nobody else");
    }
}

#[test]
fn both_sides_may_use_the_same_id_at_once() {
    let (r, seen) = read(
        Source::Acpx,
        r#"{"jsonrpc":"2.0","id":0,"method":"session/prompt","params":{"sessionId":"s"}}
{"jsonrpc":"2.0","id":0,"method":"session/request_permission","params":{"sessionId":"s","options":[{"optionId":"y","kind":"allow_always"}],"toolCall":{"toolCallId":"t","title":"write"}}}
{"jsonrpc":"2.0","id":0,"result":{"outcome":{"outcome":"selected","optionId":"y"}}}
{"jsonrpc":"2.0","id":0,"method":"session/request_permission","params":{"sessionId":"s","options":[],"toolCall":{"toolCallId":"u"}}}
{"jsonrpc":"2.0","id":0,"result":{"stopReason":"cancelled"}}"#,
    );
    assert_eq!(seen[0], Seen::PromptSent);
    assert!(matches!(&seen[1], Seen::Activity(Activity::Permission { decision, .. }) if decision == "allowed"));
    assert!(matches!(&seen[2], Seen::Response { id, .. } if id == "session/prompt"));
    assert_eq!(seen.len(), 3);
    assert!(r.activity_seen());
}

#[test]
fn acpx_own_record_ends_a_turn_that_got_no_answer() {
    let (r, seen) = read(Source::Acpx, include_str!("../../../tests/fixtures/acpx/crash.jsonl"));
    let Some(Seen::Response { id, outcome: Err(e) }) = seen.last() else { panic!("{seen:?}") };
    assert_eq!(id, ACPX_RECORD);
    assert_eq!(e.data.as_ref().unwrap()["detailCode"], "AGENT_DISCONNECTED");
    assert_eq!((final_text(&r).as_deref(), r.model_refusal()), (Some("a"), None));

    let (r, seen) = read(Source::Acpx, include_str!("../../../tests/fixtures/acpx/rpc-error.jsonl"));
    let Some(Seen::Response { id, outcome: Err(e) }) = seen.last() else { panic!("{seen:?}") };
    assert_eq!((id.as_str(), e.code, e.message.as_str()), ("session/prompt", -32000, "please log in"));
    assert!(!r.activity_seen());
}

#[test]
fn a_model_that_acpx_cannot_apply_is_a_refusal() {
    let (r, _) = read(Source::Acpx, include_str!("../../../tests/fixtures/acpx/model-refused.jsonl"));
    let refusal = r.model_refusal().unwrap();
    assert_eq!(refusal.attempted.as_deref(), Some("nope"));
    assert_eq!(refusal.available, ["fake-small", "fake-large"]);
    // The same said by the agent to acpx' setting of the model.
    let (r, _) = read(
        Source::Acpx,
        r#"{"jsonrpc":"2.0","id":3,"method":"session/set_config_option","params":{"sessionId":"s","configId":"model","value":"m9"}}
{"jsonrpc":"2.0","id":3,"error":{"code":-32602,"message":"unknown model. Available models: a, b"}}"#,
    );
    let refusal = r.model_refusal().unwrap();
    assert_eq!((refusal.attempted.as_deref(), refusal.available.len()), (Some("m9"), 2));
}

const REFUSED: &str =
    "{\"detail\":\"The 'gpt-5' model is not supported when using Codex with a ChatGPT account.\"}\n\n";

#[test]
fn a_refusal_in_text_counts_when_the_agent_marked_the_turn_as_broken() {
    let warning = say("Warning: Model metadata for `gpt-5` not found. Defaulting to fallback metadata.\n\n");
    let (r, _) = agent(&[status("active"), warning.clone(), status("systemError"), say(REFUSED)]);
    assert!(r.broken());
    assert_eq!(r.model_refusal().unwrap().attempted.as_deref(), Some("gpt-5"));
    // Without the mark: the service's words, and nothing else in the turn.
    let (r, _) = agent(&[warning, say(REFUSED)]);
    assert_eq!(r.model_refusal().unwrap().attempted.as_deref(), Some("gpt-5"));
}

#[test]
fn a_refusal_that_is_only_quoted_does_not_count() {
    for lines in [
        vec![say("I searched the log: "), say(REFUSED)],
        vec![tool("t", "completed"), say(REFUSED)],
        vec![say(REFUSED), say("is what users see; I fixed it.")],
        vec![status("systemError"), status("active"), tool("t", "completed"), say(REFUSED)],
    ] {
        let (r, _) = agent(&lines);
        assert_eq!(r.model_refusal(), None, "{lines:?}");
    }
    let (r, _) = agent(&[status("systemError"), say("The service is down.\n\n")]);
    assert_eq!((r.broken(), r.model_refusal()), (true, None));
}

#[test]
fn the_final_text_is_what_came_after_the_last_tool_call_without_warnings() {
    let (r, seen) = agent(&[
        say("Let me look. "),
        tool("a", "pending"),
        say("Warning: Model metadata for `m` not found.\n\n"),
        piece("m1", "commentary", "Almost."),
        update(&json!({"sessionUpdate": "tool_call_update", "toolCallId": "a", "status": "completed"})),
        piece("m2", "final_answer", "All "),
        piece("m2", "final_answer", "done."),
    ]);
    assert_eq!(final_text(&r).as_deref(), Some("All done."));
    assert!(seen.contains(&Seen::Notice("Warning: Model metadata for `m` not found.".into())));
    // Several messages without a phase are kept apart.
    let (r, _) = agent(&[piece("m1", "", "One."), piece("m2", "", "Two.")]);
    assert_eq!(final_text(&r).as_deref(), Some("One.\n\nTwo."));
    // A call at the end leaves nothing that could be the answer.
    let (r, _) = agent(&[say("I am done."), tool("z", "pending")]);
    assert_eq!(final_text(&r), None);
    // A warning alone is no sign of work.
    let (r, _) = agent(&[say("Warning: this.\n\n")]);
    assert_eq!((final_text(&r), r.activity_seen()), (None, false));
}

#[test]
fn a_long_text_is_cut_between_characters() {
    let chunk = "é".repeat(MAX_DERIVED_TEXT_BYTES / 2 - 1);
    let (r, _) = agent(&[say(&chunk), say("x€"), say("more")]);
    let (text, cut) = r.final_text().unwrap();
    assert!(cut && text.len() <= MAX_DERIVED_TEXT_BYTES && text.ends_with('x'));
}

#[test]
fn a_sub_agents_text_is_not_the_answer() {
    let mut r = StreamReader::new(Source::Agent);
    r.set_session(Some("other"));
    r.feed(say("from a sub-agent").as_bytes());
    assert_eq!((r.final_text(), r.activity_seen()), (None, true));
}

#[test]
fn a_replayed_history_does_not_count() {
    let mut r = StreamReader::new(Source::Agent);
    r.set_replaying(true);
    for line in [say("old"), tool("t", "completed")] {
        assert_eq!(r.feed(line.as_bytes()), [Seen::Nothing]);
    }
    r.set_replaying(false);
    assert_eq!((r.final_text(), r.activity_seen()), (None, false));
    // acpx: between its session/load and the answer to it.
    let load = r#"{"jsonrpc":"2.0","id":1,"method":"session/load","params":{"sessionId":"s"}}"#;
    let loaded = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    let (r, _) = read(Source::Acpx, &[load, &say("old"), loaded, &say("new")].join("\n"));
    assert_eq!(final_text(&r).as_deref(), Some("new"));
}

#[test]
fn a_tool_call_is_shown_when_it_changes_and_never_with_its_secrets() {
    let (_, seen) = agent(&[
        tool("t", "pending"),
        tool("t", "pending"),
        update(&json!({"sessionUpdate": "tool_call_update", "toolCallId": "t", "content": [{"type": "content",
            "content": {"type": "text", "text": "part"}}]})),
        update(&json!({"sessionUpdate": "tool_call_update", "toolCallId": "t", "status": "failed",
            "content": [{"type": "diff", "path": "/a/b.rs", "newText": "x"}]})),
        update(&json!({"sessionUpdate": "tool_call_update", "toolCallId": "new", "title": "é".repeat(500)})),
    ]);
    let shown: Vec<_> = seen
        .iter()
        .map(|s| match s {
            Seen::Activity(Activity::Tool { status, preview, title, .. }) => {
                assert!(title.chars().count() <= 200);
                (status.as_str(), preview.as_deref())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert_eq!(shown[0].0, "pending");
    assert!(!shown[0].1.unwrap().contains("hunter2"), "{shown:?}");
    assert_eq!(shown[1], ("failed", Some("/a/b.rs")));
}

#[test]
fn a_request_that_the_agent_takes_back_is_told() {
    let line = br#"{"jsonrpc":"2.0","method":"$/cancel_request","params":{"requestId":7}}"#;
    assert_eq!(StreamReader::new(Source::Agent).feed(line), [Seen::Withdrawn { id: json!(7) }]);
    assert_eq!(StreamReader::new(Source::Acpx).feed(line), [Seen::Nothing]);
    let empty = br#"{"jsonrpc":"2.0","method":"$/cancel_request"}"#;
    assert_eq!(StreamReader::new(Source::Agent).feed(empty), [Seen::Nothing]);
}

#[test]
fn a_request_of_the_agent_is_given_to_its_owner_also_when_it_is_huge() {
    let ask = |size: usize| {
        json!({"jsonrpc": "2.0", "id": 0, "method": "session/request_permission", "params": {"sessionId": "s",
            "options": [{"optionId": "o", "name": "Allow", "kind": "allow_once"}],
            "toolCall": {"toolCallId": "t", "title": "Write", "content": "x".repeat(size)}}})
        .to_string()
    };
    for size in [10, 2 << 20] {
        let (_, seen) = agent(&[ask(size)]);
        let [Seen::Request { id, method, params }] = seen.as_slice() else { panic!("{seen:?}") };
        assert_eq!((id, method.as_str()), (&json!(0), "session/request_permission"));
        assert_eq!(params["options"][0]["kind"], "allow_once");
        assert_eq!(params["toolCall"]["title"], "Write");
        assert!(params.to_string().len() < 1 << 20);
    }
}

#[test]
fn junk_becomes_a_bounded_number_of_notices_and_harms_nothing() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let mut r = StreamReader::new(Source::Agent);
    let mut notices = 0;
    for line in [
        &b"this is not json"[..],
        b"{\"jsonrpc\":\"2.0\",\"method\":\"session/upd",
        b"[1,2]",
        b"{}",
        b"\xff\xfe\x00",
        deep.as_bytes(),
        format!("{{\"id\":1,\"result\":{deep}}}").as_bytes(),
        format!("{{\"method\":\"session/update\",\"params\":{{\"update\":{deep}}}}}").as_bytes(),
        b"{\"method\":\"session/update\",\"params\":{\"update\":{\"sessionUpdate\":\"from_the_future\",\"x\":1}}}",
        b"{\"method\":7,\"id\":{}}",
        b"null",
        &vec![b'x'; MAX_LINE_BYTES + 1],
        b"   ",
    ] {
        for _ in 0..50 {
            let seen = r.feed(line);
            assert!(!seen.is_empty());
            notices += seen.iter().filter(|s| matches!(s, Seen::Notice(_))).count();
        }
    }
    assert_eq!(notices, 20);
    r.begin_turn();
    let mut broken = say("fine ").into_bytes();
    let at = broken.windows(4).position(|w| w == b"fine").unwrap();
    broken[at] = 0xff;
    assert_eq!(r.feed(&broken)[0], Seen::Text);
    r.feed(say("text").as_bytes());
    assert_eq!(final_text(&r).as_deref(), Some("\u{fffd}ine text"));
}

#[test]
fn an_oversized_line_is_a_sign_of_life_and_our_own_prompt_is_none() {
    let mut r = StreamReader::new(Source::Acpx);
    let prompt = format!(
        r#"{{"jsonrpc":"2.0","id":2,"method":"session/prompt","params":{{"sessionId":"s","prompt":[{{"type":"text","text":"{}"}}]}}}}"#,
        "p".repeat(MAX_LINE_BYTES)
    );
    assert_eq!(r.feed(prompt.as_bytes()), [Seen::PromptSent]);
    assert!(!r.activity_seen());
    let seen = r.feed(br#"{"jsonrpc":"2.0","id":2,"error":{"code":-32603,"message":"boom"}}"#);
    assert!(matches!(&seen[..], [Seen::Response { id, .. }] if id == "session/prompt"), "{seen:?}");
    let seen = r.feed_oversized(say("x").as_bytes(), 100 << 20);
    assert!(matches!(&seen[..], [Seen::Notice(n)] if n.contains("104857600")), "{seen:?}");
    assert!(r.activity_seen());
}

#[test]
fn a_new_turn_starts_from_nothing() {
    let (mut r, _) = agent(&[say("old"), tool("t", "pending"), status("systemError"), say(REFUSED)]);
    r.begin_turn();
    assert_eq!((r.final_text(), r.model_refusal(), r.usage(), r.thoughts()), (None, None, None, 0));
    assert!(!r.activity_seen() && !r.broken());
}

fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof!["[a-zé\n]{0,40}", Just(REFUSED.to_owned()), Just("Warning: w.\n\n".to_owned())];
    let valid = prop_oneof![
        text.clone().prop_map(|t| say(&t)),
        (text, 0..3u8, 0..3u8).prop_map(|(t, m, p)| {
            piece(&format!("m{m}"), ["commentary", "final_answer", "x"][usize::from(p)], &t)
        }),
        (0..80u32, 0..3usize).prop_map(|(i, s)| tool(&format!("t{i}"), ["pending", "completed", "failed"][s])),
        Just(status("systemError")),
        Just(status("active")),
        (0..4u8).prop_map(|i| format!(r#"{{"jsonrpc":"2.0","id":{i},"method":"session/prompt","params":{{"sessionId":"s"}}}}"#)),
        (0..4u8).prop_map(|i| format!(r#"{{"jsonrpc":"2.0","id":{i},"method":"session/load","params":{{}}}}"#)),
        (0..4u8).prop_map(|i| format!(r#"{{"id":{i},"method":"session/request_permission","params":{{"options":[{{"optionId":"o","kind":"allow_once"}}]}}}}"#)),
        (0..4u8).prop_map(|i| format!(r#"{{"id":{i},"result":{{"stopReason":"end_turn","usage":{{"totalTokens":{i}}}}}}}"#)),
        (0..4u8).prop_map(|i| format!(r#"{{"id":{i},"result":{{"outcome":{{"outcome":"selected","optionId":"o"}}}}}}"#)),
        (0..4u8).prop_map(|i| format!(r#"{{"id":{i},"error":{{"code":-1,"message":"m"}}}}"#)),
    ];
    let cut_or_changed =
        (valid.clone(), any::<prop::sample::Index>(), any::<u8>(), any::<bool>()).prop_map(|(line, at, byte, cut)| {
            let mut bytes = line.into_bytes();
            let at = at.index(bytes.len());
            if cut {
                bytes.truncate(at);
            } else {
                bytes[at] = byte;
            }
            bytes
        });
    prop_oneof![
        6 => valid.prop_map(String::into_bytes),
        2 => cut_or_changed,
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

proptest! {
    #[test]
    fn random_bytes_never_panic(line in prop::collection::vec(any::<u8>(), 0..400), acpx in any::<bool>()) {
        let mut r = StreamReader::new(if acpx { Source::Acpx } else { Source::Agent });
        prop_assert!(!r.feed(&line).is_empty());
    }

    #[test]
    fn a_reader_that_is_stored_and_loaded_at_any_line_goes_on_the_same(
        lines in prop::collection::vec(any_line(), 0..60), at in any::<prop::sample::Index>(), acpx in any::<bool>()
    ) {
        let source = if acpx { Source::Acpx } else { Source::Agent };
        let (mut straight, mut stored) = (StreamReader::new(source), StreamReader::new(source));
        let split = at.index(lines.len() + 1);
        for (i, line) in lines.iter().enumerate() {
            if i == split {
                stored = serde_json::from_value(serde_json::to_value(&stored).unwrap()).unwrap();
            }
            prop_assert_eq!(straight.feed(line), stored.feed(line));
        }
        prop_assert_eq!(&straight, &stored);
        prop_assert_eq!(straight.model_refusal(), stored.model_refusal());
    }
}

#[test]
fn the_state_stays_small_whatever_comes() {
    let mut r = StreamReader::new(Source::Acpx);
    let long = "😀".repeat(500);
    for i in 0..60 {
        r.feed(say(&long).as_bytes());
        r.feed(piece(&format!("{i}{long}"), &long, &long).as_bytes());
        r.feed(
            update(&json!({"sessionUpdate": "tool_call", "toolCallId": format!("{i}{long}"), "title": long,
            "kind": long, "status": long, "rawInput": long}))
            .as_bytes(),
        );
        r.feed(
            update(&json!({"sessionUpdate": "plan", "entries": vec![json!({"content": long, "status": long}); 30]}))
                .as_bytes(),
        );
        r.feed(update(&json!({"sessionUpdate": "usage_update", "used": long, "cost": long})).as_bytes());
        r.feed(
            json!({"id": format!("{i}{long}"), "method": "session/request_permission", "params": {
            "options": vec![json!({"optionId": long, "kind": long}); 100], "toolCall": {"title": long}}})
            .to_string()
            .as_bytes(),
        );
        r.feed(
            json!({"id": format!("c{i}{long}"), "method": "session/prompt", "params": {"sessionId": long}})
                .to_string()
                .as_bytes(),
        );
        let size = serde_json::to_vec(&r).unwrap().len();
        assert!(size < 1 << 20, "{size} bytes after {i}");
    }
}
