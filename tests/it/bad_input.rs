//! Bad input gets a clear error with a hint, and changes nothing.

use akk_proto::api::{ControlClient as _, DelegateParams, ListParams, SendParams};
use akk_proto::error::ErrorKind;
use akk_proto::limits::{MAX_PROMPT_BYTES, MAX_REQUEST_BYTES};
use akk_tests::daemon::params;
use akk_tests::raw::Raw;
use akk_tests::{Daemon, Home, Refusal, ctl};
use serde_json::{Value, json};

/// How many conversations there are: what must not change.
async fn count(akkd: &Daemon) -> u64 {
    akkd.rpc().list(ListParams { all: true, ..ListParams::default() }).await.unwrap().total
}

async fn refused(akkd: &Daemon, task: DelegateParams) -> Refusal {
    let refusal = Refusal::of(akkd.rpc().delegate(task).await.unwrap_err());
    assert!(!refusal.hint.is_empty() && !refusal.message.is_empty(), "{refusal}");
    assert_eq!(count(akkd).await, 0, "nothing was recorded: {refusal}");
    refusal
}

#[tokio::test]
async fn a_delegation_that_cannot_be_is_refused_before_anything_is_recorded() {
    let akkd = Daemon::start().await;
    let file = akkd.home.root().join("file");
    std::fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap().to_owned();
    let task = |change: &dyn Fn(&mut DelegateParams)| {
        let mut task = akkd.task("say hi");
        change(&mut task);
        task
    };
    for (name, task, kind, word) in [
        ("empty", task(&|t| t.request = "  \n ".into()), ErrorKind::InvalidParams, "empty"),
        ("alias only", task(&|t| t.request = "demo:  ".into()), ErrorKind::InvalidParams, "empty"),
        (
            "no workspace",
            task(&|t| t.workspace = "/nowhere/at/all".into()),
            ErrorKind::InvalidParams,
            "/nowhere/at/all",
        ),
        ("relative", task(&|t| t.workspace = "here".into()), ErrorKind::InvalidParams, "here"),
        ("a file", task(&|t| t.workspace.clone_from(&file)), ErrorKind::InvalidParams, file.as_str()),
        ("agent", task(&|t| t.agent = Some("nobody".into())), ErrorKind::AgentUnavailable, "nobody"),
        ("label", task(&|t| t.label = Some("x".repeat(201))), ErrorKind::InvalidParams, "200"),
        ("minutes", task(&|t| t.agent_timeout_minutes = Some(0)), ErrorKind::InvalidParams, "0"),
        ("idle", task(&|t| t.idle_timeout_minutes = Some(0)), ErrorKind::InvalidParams, "0"),
        ("proxy", task(&|t| t.proxy = Some("http://me:pw@host:1".into())), ErrorKind::InvalidParams, "password"),
        ("size", task(&|t| t.request = "x".repeat(MAX_PROMPT_BYTES + 1)), ErrorKind::TooLarge, ""),
    ] {
        let refusal = refused(&akkd, task).await;
        assert_eq!(refusal.kind, kind, "{name}: {refusal}");
        assert!(refusal.message.contains(word) || refusal.hint.contains(word), "{name} lacks {word:?}: {refusal}");
        assert!(!refusal.message.contains(":pw@"), "{refusal}");
    }
    assert!(akkd.agent().lines().is_empty(), "no agent was started");
}

#[tokio::test]
async fn an_id_must_fit_exactly_one_conversation() {
    let akkd = Daemon::start().await;
    let (a, _) = akkd.done("say a").await;
    let (_b, _) = akkd.done("say b").await;
    for (id, kind) in [
        ("task-20200101T000000-00000000", ErrorKind::NotFound),
        ("zzzz", ErrorKind::NotFound),
        ("task-", ErrorKind::AmbiguousId),
        ("../../etc/passwd", ErrorKind::NotFound),
        ("", ErrorKind::AmbiguousId),
        ("%", ErrorKind::NotFound),
    ] {
        let call = akk_proto::api::ConversationParams { conversation_id: id.into(), ..Default::default() };
        let refusal = Refusal::of(akkd.rpc().get(call).await.unwrap_err());
        assert_eq!(refusal.kind, kind, "{id:?}: {refusal}");
        assert!(!refusal.hint.is_empty(), "{refusal}");
    }
    assert_eq!(akkd.rpc().get(params(&a)).await.unwrap().conversation.conversation_id, a);
    let suffix = &a.as_str()[a.as_str().len() - 8..];
    let call = akk_proto::api::ConversationParams { conversation_id: suffix.into(), ..Default::default() };
    assert_eq!(akkd.rpc().get(call).await.unwrap().conversation.conversation_id, a);
}

#[tokio::test]
async fn a_message_that_cannot_be_sent_is_refused() {
    let akkd = Daemon::start().await;
    let (id, _) = akkd.done("say hi").await;
    let before = akkd.events(&id).await.len();
    let send = |message: Option<&str>| SendParams {
        conversation_id: id.to_string(),
        message: message.map(str::to_owned),
        ..SendParams::default()
    };
    for (params, kind) in [
        (send(Some("  ")), ErrorKind::InvalidMessage),
        (send(None), ErrorKind::InvalidMessage),
        (
            SendParams { kind: Some(akk_proto::message::MessageType::Done), ..send(Some("say x")) },
            ErrorKind::InvalidRoute,
        ),
        (SendParams { soft_limit: Some(0), ..send(Some("say x")) }, ErrorKind::InvalidParams),
    ] {
        let refusal = Refusal::of(akkd.rpc().send(params.clone()).await.unwrap_err());
        assert_eq!(refusal.kind, kind, "{params:?}: {refusal}");
    }
    assert_eq!(akkd.events(&id).await.len(), before);
    assert_eq!(akkd.agent().all("prompt").len(), 1);
}

#[tokio::test]
async fn what_is_not_the_protocol_is_answered_and_the_connection_stays_useful() {
    let akkd = Daemon::start().await;
    let mut raw = akkd.raw();
    let mut answer = |line: &str| -> Value {
        raw.send(format!("{line}\n").as_bytes()).unwrap();
        raw.receive().unwrap().expect("akkd answers")
    };
    assert_eq!(answer("this is not JSON")["error"]["code"], -32700);
    assert_eq!(answer("{\"half\":")["error"]["code"], -32700);
    assert_eq!(answer("[]")["error"]["code"], -32600);
    assert_eq!(answer("42")["error"]["code"], -32600);
    assert_eq!(answer(r#"{"jsonrpc":"2.0","id":1,"method":"no.such"}"#)["error"]["code"], -32601);
    let wrong = answer(r#"{"jsonrpc":"2.0","id":2,"method":"conversation.get","params":{"conversation":"x"}}"#);
    assert_eq!(wrong["error"]["code"], -32602, "{wrong}");
    let wrong = answer(r#"{"jsonrpc":"2.0","id":3,"method":"conversation.delegate","params":{"request":7}}"#);
    assert_eq!(wrong["error"]["code"], -32602, "{wrong}");
    let right = answer(r#"{"jsonrpc":"2.0","id":4,"method":"daemon.info","params":{}}"#);
    assert_eq!(right["result"]["pid"], json!(akkd.pid()));
}

#[tokio::test]
async fn a_line_that_is_too_long_is_refused_and_memory_stays_bounded() {
    let akkd = Daemon::start().await;
    let mut raw = akkd.raw();
    // akkd may close the connection in the middle of it.
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..=(4 * MAX_REQUEST_BYTES / chunk.len()) {
        if raw.send(&chunk).is_err() {
            break;
        }
    }
    let _ = raw.send(b"\n");
    if let Ok(Some(answer)) = raw.receive() {
        assert!(answer["error"]["message"].is_string(), "{answer}");
    }
    if let Some(peak) = akk_tests::processes::peak_memory(akkd.pid()) {
        assert!(peak < 96 << 20, "akkd held {} MiB", peak >> 20);
    }
    akkd.done("say still well").await;
}

#[tokio::test]
async fn deep_nesting_is_refused() {
    let akkd = Daemon::start().await;
    let mut raw = akkd.raw();
    raw.send(format!("{}{}\n", "[".repeat(100_000), "]".repeat(100_000)).as_bytes()).unwrap();
    let answer = raw.receive().unwrap();
    // As JSON it is a batch with one wrong entry.
    assert!(answer.is_none_or(|a| a["error"]["code"].is_i64() || a[0]["error"]["code"].is_i64()));
    akkd.done("say still well").await;
}

#[tokio::test]
async fn a_bad_configuration_is_named_with_file_and_line_and_the_running_akkd_goes_on() {
    let akkd = Daemon::start().await;
    let (id, _) = akkd.done("say fine").await;
    let config = std::fs::read_to_string(akkd.home.config()).unwrap();
    std::fs::write(akkd.home.config(), format!("{config}\n[timeouts2]\nnonsense = 1\n")).unwrap();
    let refusal = Refusal::of(akkd.rpc().delegate(akkd.task("say hi")).await.unwrap_err());
    assert_eq!(refusal.kind, ErrorKind::BadConfig);
    let place = format!("config.toml:{}", config.lines().count() + 2);
    assert!(refusal.message.contains(&place), "{place} is missing in {refusal}");
    assert!(refusal.message.contains("timeouts2"), "{refusal}");
    assert_eq!(count(&akkd).await, 1);
    assert_eq!(akkd.get(&id).await.conversation_id, id, "what runs goes on");
    let output = akkd.ctl(&["delegate", "say hi"]).await;
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains(&place), "{output:?}");
    std::fs::write(akkd.home.config(), config).unwrap();
    akkd.done("say well again").await;
}

#[tokio::test]
async fn a_bad_configuration_at_the_start_is_told_to_whoever_starts_akkd() {
    let home = Home::new();
    std::fs::write(home.config(), "default_agent = \"codex\"\nspeed = 11\n").unwrap();
    let output = ctl::run(&home, &["list"]).await;
    assert_ne!(output.code, Some(0));
    assert!(output.stderr.contains("config.toml:2") && output.stderr.contains("speed"), "{output:?}");
    assert!(Raw::connect(&home.control_socket()).is_err());
}

#[tokio::test]
async fn akkctl_says_in_one_sentence_and_a_hint_what_was_wrong() {
    let akkd = Daemon::start().await;
    let (id, _) = akkd.done("say hi").await;
    for (words, code) in [
        (&["delegate", ""][..], 2),
        (&["delegate"], 2),
        (&["delegate", "--workspace", "/nowhere", "say x"], 2),
        (&["delegate", "--agent", "nobody", "say x"], 1),
        (&["delegate", "--soft-limit", "0", "say x"], 2),
        (&["status", "zzzz"], 4),
        (&["send", "zzzz", "hello"], 4),
        (&["recover", id.as_str()], 5),
        (&["delete", id.as_str()], 5),
        (&["no-such-command"], 2),
        (&["result", id.as_str(), "--turn", "turn-99"], 4),
    ] {
        let output = akkd.ctl(words).await;
        assert_eq!(output.code, Some(code), "{words:?}: {output:?}");
        assert!(output.stdout.is_empty(), "errors go to stderr: {output:?}");
        assert!(!output.stderr.is_empty() && !output.stderr.contains("panicked"), "{output:?}");
    }
    assert_eq!(count(&akkd).await, 1);
}

#[tokio::test]
async fn without_akkd_and_without_a_way_to_start_it_akkctl_says_so() {
    let home = Home::new();
    assert_eq!(ctl::run(&home, &["daemon", "status"]).await.code, Some(6));
    let output = ctl::run(&home, &["daemon", "stop"]).await;
    assert!(matches!(output.code, Some(0 | 6)), "{output:?}");
    assert!(akk_tests::processes::of(home.root()).is_empty(), "asking starts nothing");
}
