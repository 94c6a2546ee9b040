//! What an agent may report, and what becomes of it.

use crate::delegate::messages;
use akk_proto::ConversationId;
use akk_proto::api::{CloseParams, ControlClient as _};
use akk_proto::conversation::{Need, Status};
use akk_proto::limits::MAX_CALLBACK_MESSAGE_BYTES;
use akk_proto::message::MessageType;
use akk_tests::raw::Raw;
use akk_tests::{Daemon, ctl};
use serde_json::{Value, json};

/// One report over the callback socket, as a stranger would make it.
fn report(akkd: &Daemon, id: &ConversationId, ticket: &str, message: &str) -> Value {
    let mut raw = Raw::connect(&akkd.home.callback_socket()).unwrap();
    raw.call("callback.report", json!({"conversation_id": id, "ticket": ticket, "message": message})).unwrap()
}

/// A conversation whose agent told its ticket, and the ticket.
async fn ticket(akkd: &Daemon) -> (ConversationId, String) {
    let (id, answer) = akkd.done("env AKK_TICKET").await;
    let said = answer.message.unwrap().body;
    let ticket = said.trim().strip_prefix("AKK_TICKET=").unwrap().to_owned();
    assert!(ticket.len() >= 43, "256 bits");
    (id, ticket)
}

#[tokio::test]
async fn a_repeated_report_is_answered_and_recorded_once_and_the_same_words_later_are_new() {
    let akkd = Daemon::start().await;
    let id = akkd.delegate("callback done same words\ncallback done same words").await.conversation.conversation_id;
    akkd.wait_need(&id, Need::Done).await;
    akkd.turn_over(&id).await;
    let outcomes: Vec<_> = akkd.agent().all("callback").iter().map(|l| l.facts["ok"].clone()).collect();
    assert_eq!(outcomes, [true, true], "the repeat is a success");
    let names = akkd.event_names(&id).await;
    assert!(names.contains(&"duplicate_callback"), "{names:?}");
    akkd.send(&id, "callback done same words").await;
    akkd.wait_need(&id, Need::Done).await;
    akkd.turn_over(&id).await;
    let done = messages(&akkd, &id).await.into_iter().filter(|(k, _)| *k == MessageType::Done).count();
    assert_eq!(done, 2);
}

#[tokio::test]
async fn what_a_model_writes_around_its_message_does_not_matter() {
    let akkd = Daemon::start().await;
    for raw in [
        r#"{"type":"done","body":"found it"}"#,
        r#"I am done.\n```json\n{"type":"done","body":"found it"}\n```\nBye."#,
        r#"Here you are: {"type":"done","body":"found it","extra":{"a":[1]}} and that is all {"#,
        r#"{"type":"done","from":"demo","to":"openclaw","body":"found it"}"#,
    ] {
        let (_, answer) = akkd.done(&format!("callbackraw {raw}")).await;
        assert_eq!(answer.need, Some(Need::Done), "{raw}");
        assert_eq!(answer.message.unwrap().body, "found it", "{raw}");
    }
}

#[tokio::test]
async fn what_is_no_message_is_refused_with_the_rule_that_it_breaks() {
    let akkd = Daemon::start().await;
    let (id, ticket) = ticket(&akkd).await;
    let before = akkd.events(&id).await.len();
    for (message, kind, word) in [
        ("all done!", "invalid_message", "JSON"),
        (r#"{"body":"x"}"#, "invalid_message", "type"),
        (r#"{"type":"party","body":"x"}"#, "invalid_message", "party"),
        (r#"{"type":"done","body":""}"#, "invalid_message", "body"),
        (r#"{"type":"task","body":"do it yourself"}"#, "invalid_route", "task"),
        (r#"{"type":"done","from":"openclaw","body":"x"}"#, "invalid_route", "openclaw"),
        (r#"{"type":"done","from":"codex","body":"x"}"#, "invalid_route", "codex"),
        (r#"{"type":"done","to":"demo","body":"x"}"#, "invalid_route", "demo"),
        (
            r#"{"type":"done","body":"x","conversation_id":"task-20200101T000000-00000000"}"#,
            "invalid_message",
            "task-2020",
        ),
    ] {
        let answer = report(&akkd, &id, &ticket, message);
        let error = &answer["error"];
        assert_eq!(error["data"]["kind"], kind, "{message}: {answer}");
        assert!(error["message"].as_str().unwrap().contains(word), "{message}: {answer}");
        assert!(!error["data"]["hint"].as_str().unwrap().is_empty(), "{message}");
    }
    let big = json!({"type": "done", "body": "x".repeat(MAX_CALLBACK_MESSAGE_BYTES)}).to_string();
    assert_eq!(report(&akkd, &id, &ticket, &big)["error"]["data"]["kind"], "too_large");
    assert_eq!(akkd.events(&id).await.len(), before, "nothing was recorded");
}

#[tokio::test]
async fn without_the_right_ticket_nobody_reports() {
    let akkd = Daemon::start().await;
    let (id, ticket) = ticket(&akkd).await;
    let (other, _) = akkd.done("say hi").await;
    let message = r#"{"type":"done","body":"x"}"#;
    for (conversation, wrong) in [(&id, ""), (&id, "00"), (&other, ticket.as_str())] {
        let answer = report(&akkd, conversation, wrong, message);
        assert_eq!(answer["error"]["data"]["kind"], "ticket_refused", "{answer}");
    }
    assert!(report(&akkd, &id, &ticket, message)["result"]["message_id"].is_string());
}

#[tokio::test]
async fn a_report_to_a_closed_conversation_is_kept_as_late_and_changes_nothing() {
    let akkd = Daemon::start().await;
    let (id, ticket) = ticket(&akkd).await;
    let close = CloseParams { conversation_id: id.to_string(), ..CloseParams::default() };
    akkd.rpc().close(close).await.unwrap();
    let answer = report(&akkd, &id, &ticket, r#"{"type":"question","body":"still there?"}"#);
    assert_eq!(answer["error"]["data"]["kind"], "conversation_closed", "{answer}");
    assert_eq!(akkd.get(&id).await.status, Status::Closed);
    assert!(akkd.event_names(&id).await.contains(&"late_callback"));
}

#[tokio::test]
async fn the_callback_socket_serves_callbacks_only_and_the_control_socket_none() {
    let akkd = Daemon::start().await;
    let mut callbacks = Raw::connect(&akkd.home.callback_socket()).unwrap();
    for method in ["daemon.info", "conversation.list", "daemon.stop"] {
        assert_eq!(callbacks.call(method, json!({})).unwrap()["error"]["code"], -32601, "{method}");
    }
    assert_eq!(akkd.raw().call("callback.report", json!({})).unwrap()["error"]["code"], -32601);
}

#[tokio::test]
async fn a_callback_never_starts_akkd() {
    let mut akkd = Daemon::start().await;
    let (id, ticket) = ticket(&akkd).await;
    akkd.stop(true).await;
    let mut command = ctl::command(&akkd.home, &["callback", r#"{"type":"done","body":"anyone?"}"#]);
    let output = command
        .env("AKK_CONVERSATION", id.as_str())
        .env("AKK_TICKET", ticket)
        .env("AKK_CALLBACK_SOCKET", akkd.home.callback_socket())
        .output()
        .await
        .unwrap();
    assert_ne!(output.status.code(), Some(0));
    assert!(!output.stderr.is_empty());
    assert!(Raw::connect(&akkd.home.control_socket()).is_err(), "no akkd was started");
}
