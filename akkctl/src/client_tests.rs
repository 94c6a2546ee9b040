use super::*;
use crate::akkd::{self, Akkd};
use crate::environment::Surroundings;
use crate::fake::{Fake, Play, info, refusal};
use akk_proto::api::{ConversationParams, Empty, ListAnswer, StreamItem, SubscribeParams};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::paths::{Environment, Paths};
use serde_json::json;
use std::time::Instant;

/// A home with no akkd in it; nothing may be started there.
pub(crate) fn home() -> (tempfile::TempDir, Surroundings) {
    let folder = tempfile::tempdir().unwrap();
    let environment = Environment { akk_home: Some(folder.path().to_owned()), ..Environment::default() };
    let surroundings = Surroundings {
        paths: Paths::resolve(&environment),
        akk_home: environment.akk_home,
        akk_socket: None,
        platform_config: folder.path().join("config"),
        runtime_dir: None,
        uid: rustix::process::getuid().as_raw(),
        inside_agent: true,
    };
    (folder, surroundings)
}

fn empty_list() -> serde_json::Value {
    json!({"conversations": [], "total": 0})
}

fn call(plays: Vec<Play>) -> Result<Answer> {
    let (_folder, at) = home();
    let fake = Fake::play(&at.paths.control_socket, vec![plays]);
    let mut client = Client::connect(&at.paths.control_socket).unwrap();
    let answer = client.call("conversation.list", &Empty {}, Duration::from_secs(10));
    drop(client);
    fake.requests();
    answer
}

#[test]
fn a_call_is_one_line_with_one_object_and_its_answer_is_kept_as_it_came() {
    let (_folder, at) = home();
    let raw = r#"{"jsonrpc":"2.0","id":ID,"result":{"total": 0,  "conversations": []}}"#;
    let fake =
        Fake::play(&at.paths.control_socket, vec![vec![Play::Raw(format!("{raw}\n")), Play::Answer(empty_list())]]);
    let mut client = Client::connect(&at.paths.control_socket).unwrap();
    let params = json!({"all": true, "agent": "line\nbreak"});
    let answer = client.call("conversation.list", &params, PATIENCE).unwrap();
    assert_eq!(answer.raw.get(), r#"{"total": 0,  "conversations": []}"#);
    assert_eq!(answer.read::<ListAnswer>().unwrap().total, 0);
    client.call("conversation.list", &params, PATIENCE).unwrap();
    drop(client);
    let requests = fake.requests();
    assert_eq!(requests[0], json!({"jsonrpc": "2.0", "id": 1, "method": "conversation.list", "params": params}));
    assert_eq!(requests[1]["id"], 2);
}

#[test]
fn lines_that_are_no_answer_to_the_call_are_passed_over() {
    let others = concat!(
        r#"{"jsonrpc":"2.0","method":"events.item","params":{"subscription":1,"result":{}}}"#,
        "\n",
        r#"{"jsonrpc":"2.0","id":77,"result":{"total":9,"conversations":[]}}"#,
        "\n",
        r#"{"jsonrpc":"2.0","id":ID,"result":{"total":3,"conversations":[]}}"#,
        "\n"
    );
    let answer = call(vec![Play::Raw(others.to_owned())]).unwrap();
    assert_eq!(answer.read::<ListAnswer>().unwrap().total, 3);
}

#[test]
fn an_error_keeps_its_kind_its_hint_and_its_exit_code() {
    let refused = |play| match call(vec![play]) {
        Err(Error::Refused(f)) => *f,
        other => panic!("{other:?}"),
    };
    let known = refused(refusal("wrong_status", "it is closed", "delegate anew"));
    assert_eq!((known.kind, known.kind.exit_code()), (ErrorKind::WrongStatus, 5));
    assert_eq!((known.message.as_str(), known.hint.as_str()), ("it is closed", "delegate anew"));
    let newer = refused(refusal("word_of_the_future", "it cannot be", "update"));
    assert_eq!((newer.kind, newer.hint.as_str()), (ErrorKind::WrongStatus, "update"), "its code is known");
    let bare = refused(Play::Refuse(json!({"code": -32602, "message": "Invalid params"})));
    assert_eq!((bare.kind, bare.kind.exit_code()), (ErrorKind::InvalidParams, 2));
    let unknown = refused(Play::Refuse(json!({"code": -32601, "message": "Method not found"})));
    assert_eq!(unknown.kind, ErrorKind::UnknownMethod);
    let strange = refused(Play::Refuse(json!({"code": -1, "message": "?"})));
    assert_eq!(strange.kind, ErrorKind::Internal);
    let without_id = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}"#;
    assert_eq!(refused(Play::Raw(format!("{without_id}\n"))).message, "Parse error");
}

#[test]
fn what_is_no_answer_is_said_so() {
    let strange = |line: &str| call(vec![Play::Raw(format!("{line}\n"))]).unwrap_err();
    for line in ["not json", r#"{"jsonrpc":"2.0","id":ID}"#, "3"] {
        let e = strange(line);
        assert!(matches!(e, Error::NotUnderstood { .. }), "{line}: {e:?}");
        assert_eq!(e.exit_code(), 1);
    }
    let other_shape = call(vec![Play::Answer(json!({"total": "many"}))]).unwrap();
    assert!(matches!(other_shape.read::<ListAnswer>(), Err(Error::NotUnderstood { .. })));
}

#[test]
fn an_answer_past_the_bound_is_not_read_to_its_end() {
    let (_folder, at) = home();
    let long = format!("{}\n", json!({"id": 1, "result": "x".repeat(300_000)}));
    let fake = Fake::play(&at.paths.control_socket, vec![vec![Play::Raw(long)]]);
    let mut client = Client::connect(&at.paths.control_socket).unwrap();
    client.longest_answer = 100_000;
    let e = client.call("conversation.list", &Empty {}, PATIENCE).unwrap_err();
    assert!(matches!(e, Error::AnswerTooLong { limit: 100_000, .. }), "{e:?}");
    drop(client);
    fake.requests();
}

#[test]
fn a_request_past_the_bound_is_not_sent() {
    let (_folder, at) = home();
    let fake = Fake::play(&at.paths.control_socket, vec![vec![Play::Close]]);
    let mut client = Client::connect(&at.paths.control_socket).unwrap();
    let e = client.call("conversation.send", &"x".repeat(MAX_REQUEST_BYTES), PATIENCE).unwrap_err();
    assert_eq!((e.exit_code(), e.to_string()), (5, "the request is longer than 16777216 bytes".to_owned()));
    drop(client);
    assert!(fake.requests().is_empty());
}

#[test]
fn without_akkd_the_exit_code_is_6() {
    let (_folder, at) = home();
    let socket = &at.paths.control_socket;
    assert_eq!(Client::connect(socket).unwrap_err().exit_code(), 6, "no socket");
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    drop(std::os::unix::net::UnixListener::bind(socket).unwrap());
    let stale = Client::connect(socket).unwrap_err();
    assert!(matches!(stale, Error::NotRunning(_)), "a socket that nobody listens on: {stale:?}");
    let e = Akkd::new(&at).call("conversation.list", &Empty {}).unwrap_err();
    assert!(matches!(e, Error::InsideAgent), "an agent must not start one: {e:?}");
    assert_eq!(e.exit_code(), 6);
}

#[test]
fn half_an_answer_is_none() {
    let e = call(vec![Play::Raw(r#"{"jsonrpc":"2.0","id":ID,"result":{"to"#.to_owned())]).unwrap_err();
    assert!(matches!(e, Error::Broken { .. }), "{e:?}");
    assert_eq!(e.exit_code(), 6);
}

#[test]
fn an_akkd_that_says_nothing_is_not_waited_for_for_ever() {
    let (_folder, at) = home();
    let fake = Fake::play(&at.paths.control_socket, vec![vec![Play::Silence]]);
    let mut client = Client::connect(&at.paths.control_socket).unwrap();
    let e = client.call("conversation.list", &Empty {}, Duration::from_millis(50)).unwrap_err();
    assert_eq!(e.exit_code(), 7, "{e:?}");
    drop(client);
    fake.requests();
}

#[test]
fn a_connection_that_breaks_before_the_answer_is_made_again_with_the_same_request_id() {
    let (_folder, at) = home();
    for broken in [Play::Close, Play::Raw("{\"jsonrpc\":".to_owned())] {
        // An akkd that dies may break the second connection too.
        let plays = vec![vec![broken], vec![Play::Close], vec![Play::Answer(json!({"ok": true}))]];
        let fake = Fake::play(&at.paths.control_socket, plays);
        let params = ConversationParams { request_id: akkd::new_request_id(), conversation_id: "@last".into() };
        let mut daemon = Akkd::new(&at);
        assert_eq!(daemon.call("conversation.cancel", &params).unwrap().raw.get(), r#"{"ok":true}"#);
        drop(daemon);
        let requests = fake.requests();
        assert!(requests.len() >= 2, "{requests:?}");
        let mut ids = requests.iter().map(|r| &r["params"]["request_id"]);
        assert!(ids.all(|id| *id == requests[0]["params"]["request_id"]), "{requests:?}");
        assert_eq!(requests[0]["params"]["request_id"].as_str().unwrap().len(), 36);
    }
}

#[test]
fn a_connection_that_always_breaks_is_an_error() {
    let (_folder, at) = home();
    let fake = Fake::play(&at.paths.control_socket, (0..4).map(|_| vec![Play::Close]).collect());
    let e = Akkd::new(&at).call("conversation.list", &Empty {}).unwrap_err();
    assert!(matches!(e, Error::Broken { .. }), "{e:?}");
    assert_eq!(fake.requests().len(), 4);
}

#[test]
fn a_refused_call_is_not_repeated_and_the_connection_serves_the_next_one() {
    let (_folder, at) = home();
    let part = vec![refusal("not_found", "no conversation", "list them"), Play::Answer(empty_list())];
    let fake = Fake::play(&at.paths.control_socket, vec![part]);
    let mut daemon = Akkd::new(&at);
    assert_eq!(daemon.call("conversation.get", &Empty {}).unwrap_err().exit_code(), 4);
    daemon.call("conversation.list", &Empty {}).unwrap();
    drop(daemon);
    assert_eq!(fake.requests().len(), 2);
}

#[test]
fn an_akkd_of_another_protocol_explains_a_misunderstanding() {
    let (_folder, at) = home();
    let misunderstood = || Error::NotUnderstood { method: "conversation.list".into(), detail: "x".into() };
    let fake =
        Fake::play(&at.paths.control_socket, vec![vec![Play::Answer(json!({"version": "9.9.9", "protocol": 9}))]]);
    let e = akkd::explain(misunderstood(), &at);
    assert_eq!(e.exit_code(), 5);
    assert_eq!(e.to_string(), "akkctl 0.1.0 speaks protocol 1, the running akkd 9.9.9 speaks protocol 9");
    fake.requests();
    let fake = Fake::play(&at.paths.control_socket, vec![vec![Play::Answer(info(1))]]);
    assert!(matches!(akkd::explain(misunderstood(), &at), Error::OtherVersion { .. }));
    fake.requests();
    let ours = json!({"version": akk_proto::version::VERSION, "protocol": 1});
    let fake = Fake::play(&at.paths.control_socket, vec![vec![Play::Answer(ours)]]);
    assert!(matches!(akkd::explain(misunderstood(), &at), Error::NotUnderstood { .. }), "of one build: a defect");
    fake.requests();
    // Nobody is asked about an error that explains itself, or when nobody is there.
    assert!(matches!(akkd::explain(misunderstood(), &at), Error::NotUnderstood { .. }));
    assert!(matches!(akkd::explain(Error::ServiceStopped, &at), Error::ServiceStopped));
}

#[test]
fn what_an_older_akkd_does_not_know_is_said_to_come_from_its_age() {
    let (_folder, at) = home();
    let refused = |kind, message: &str| Error::Refused(Box::new(Failure::new(kind, message, "look")));
    let explained = |e, daemon| {
        let fake = Fake::play(&at.paths.control_socket, vec![vec![Play::Answer(daemon)]]);
        let e = akkd::explain(e, &at);
        fake.requests();
        e
    };
    let older = || json!({"version": "0.0.9", "protocol": 1});
    let e = explained(refused(ErrorKind::UnknownMethod, "akkd has no method conversation.import"), older());
    assert_eq!(e.exit_code(), 5);
    assert!(e.to_string().ends_with("; akkctl is version 0.1.0, the running akkd is version 0.0.9"), "{e}");
    assert!(e.hint().contains("akkctl daemon start"), "{}", e.hint());
    let newer = json!({"version": "10.0.0", "protocol": 1});
    let e = explained(refused(ErrorKind::UnknownMethod, "akkd has no method x"), newer);
    assert!(e.hint().contains("akkctl that was installed with"), "the newer one is right: {}", e.hint());
    let e = explained(refused(ErrorKind::InvalidParams, "conversation.send: unknown field `new`"), older());
    assert!(matches!(e, Error::OtherVersion { .. }), "{e:?}");
    let e = explained(refused(ErrorKind::InvalidParams, "a limit of 0 is not possible"), older());
    assert!(matches!(e, Error::Refused(_)), "a wrong value is the user's: {e:?}");
}

#[test]
fn a_newer_akkd_that_still_speaks_our_protocol_is_used() {
    let version = |info| serde_json::from_value::<crate::start::Version>(info).unwrap();
    let newer = |oldest: u32| json!({"version": "9.9.9", "protocol": 9, "oldest_protocol": oldest});
    assert!(version(newer(1)).mismatch().is_none());
    assert!(version(newer(2)).mismatch().is_some());
    assert!(version(json!({"version": "9.9.9", "protocol": 9})).mismatch().is_some(), "it does not say so");
    assert!(version(json!({"version": "0.0.1", "protocol": 0})).mismatch().is_some(), "too old to be understood");
}

fn item(subscription: u32, cursor: u64) -> String {
    let result = json!({"item": "live", "cursor": cursor});
    format!(
        "{}\n",
        json!({"jsonrpc": "2.0", "method": "events.item", "params": {"subscription": subscription, "result": result}})
    )
}

#[test]
fn a_stream_goes_on_where_it_stood_when_akkd_was_restarted() {
    let (_folder, at) = home();
    let subscribed = "{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":5}\n";
    let first = format!("{subscribed}{}{}{}{{\"half", item(5, 11), item(6, 99), item(5, 12));
    let second = format!("{subscribed}{}", item(5, 13));
    let fake = Fake::play(
        &at.paths.control_socket,
        vec![vec![Play::Raw(first)], vec![Play::Raw(second), Play::Silence], vec![Play::Close]],
    );
    let daemon = Akkd::new(&at);
    let asked = SubscribeParams { since: Some(10), conversation_id: Some("@last".into()), kinds: vec![] };
    let mut events = daemon.follow(asked).unwrap();
    let mut next = || match events.next(Some(Instant::now() + Duration::from_secs(10))).unwrap().1 {
        StreamItem::Live { cursor } => cursor,
        other => panic!("{other:?}"),
    };
    assert_eq!([next(), next(), next()], [11, 12, 13], "another subscription's items are not ours");
    let over = events.next(Some(Instant::now())).unwrap_err();
    assert!(matches!(over, Error::Silent { .. }), "{over:?}");
    drop(events);
    drop(Client::connect(&at.paths.control_socket));
    let asked: Vec<_> = fake.requests().into_iter().map(|r| r["params"]["since"].clone()).collect();
    assert_eq!(asked, [10, 12]);
}

#[test]
fn a_stream_that_akkd_ends_twice_without_a_word_is_an_error() {
    let (_folder, at) = home();
    let ended = concat!(
        "{\"jsonrpc\":\"2.0\",\"id\":ID,\"result\":\"abc\"}\n",
        "{\"jsonrpc\":\"2.0\",\"method\":\"events.item\",\"params\":{\"subscription\":\"abc\",\"error\":\"too slow\"}}\n"
    );
    let fake = Fake::play(&at.paths.control_socket, vec![vec![Play::Raw(ended.into())], vec![Play::Raw(ended.into())]]);
    let daemon = Akkd::new(&at);
    let e = daemon.follow(SubscribeParams::default()).unwrap().next(None).unwrap_err();
    assert!(matches!(e, Error::Broken { .. }), "{e:?}");
    assert_eq!(fake.requests().len(), 2);
}
