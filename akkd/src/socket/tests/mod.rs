//! Stories of raw streams against a served method table.

mod server;

use self::server::{Client, Seen, Server, kind, table};
use super::limits::Limits;
use super::listen::{serve, serve_user};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// More than any story takes; only a defect reaches it.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_call_by_name_by_place_or_without_parameters_is_answered() {
    let server = Server::start(Limits::control());
    let mut c = server.client().await;
    c.call(1, "echo", json!({"text": "hello"})).await;
    assert_eq!(c.hear().await, json!({"jsonrpc": "2.0", "id": 1, "result": "hello"}));
    c.call(2, "echo", json!([{"text": "again"}])).await;
    assert_eq!(c.hear().await["result"], "again");
    c.say("{\"jsonrpc\":\"2.0\",\"id\":\"three\",\"method\":\"peer\"}\r").await;
    let answer = c.hear().await;
    assert_eq!(answer["result"], json!([std::process::id(), rustix::process::geteuid().as_raw()]));
    assert_eq!(answer["id"], "three");
}

#[tokio::test]
async fn wrong_input_gets_an_error_with_kind_and_hint_and_the_connection_lives() {
    let server = Server::start(Limits::control());
    let mut c = server.client().await;
    c.say("junk").await;
    let answer = c.hear().await;
    assert_eq!((kind(&answer), &answer["error"]["code"]), ("invalid_request", &json!(-32700)));
    c.say("").await;
    c.call(1, "ehco", json!({})).await;
    let answer = c.hear().await;
    assert_eq!((kind(&answer), &answer["error"]["code"], &answer["id"]), ("unknown_method", &json!(-32601), &json!(1)));
    assert!(answer["error"]["data"]["hint"].as_str().unwrap().contains("Did you mean `echo`?"));
    c.call(2, "echo", json!({"txet": "x"})).await;
    let answer = c.hear().await;
    assert_eq!((kind(&answer), &answer["error"]["code"]), ("invalid_params", &json!(-32602)));
    assert_eq!(answer["error"]["message"], "echo: unknown field `txet`");
    c.call(3, "echo", json!({})).await;
    assert_eq!(c.hear().await["error"]["message"], "echo: `text` is missing");
    c.call(4, "echo", json!({"text": 5})).await;
    assert_eq!(kind(&c.hear().await), "invalid_params");
    c.call(5, "fail", json!({})).await;
    let answer = c.hear().await;
    assert_eq!((kind(&answer), &answer["error"]["message"]), ("not_found", &json!("no such thing")));
    c.call(6, "panic", json!({})).await;
    assert_eq!(kind(&c.hear().await), "internal");
    c.call(7, "ticks", json!({"a": 1})).await;
    let answer = c.hear().await;
    assert_eq!((kind(&answer), &answer["id"]), ("invalid_params", &json!(7)), "{answer}");
    c.call(8, "echo", json!({"text": "alive"})).await;
    assert_eq!(c.hear().await["result"], "alive");
}

#[tokio::test]
async fn nesting_without_end_is_refused_without_harm() {
    let server = Server::start(Limits::control());
    let mut c = server.client().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    c.say(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"echo","params":{{"text":{deep}}}}}"#)).await;
    assert_eq!(kind(&c.hear().await), "invalid_params");
}

#[tokio::test]
async fn a_line_over_the_limit_is_refused_and_the_next_one_served() {
    let server = Server::start(Limits { max_request: 1000, ..Limits::control() });
    let mut c = server.client().await;
    c.call(1, "echo", json!({"text": "x".repeat(3_000_000)})).await;
    let answer = c.hear().await;
    assert_eq!((kind(&answer), &answer["error"]["data"]["details"]["limit"]), ("too_large", &json!(1000)));
    c.call(2, "echo", json!({"text": "x".repeat(900)})).await;
    assert_eq!(c.hear().await["result"].as_str().unwrap().len(), 900);
}

#[tokio::test]
async fn an_answer_over_the_limit_becomes_an_error_that_says_so() {
    let server = Server::start(Limits { max_response: 1000, ..Limits::control() });
    let mut c = server.client().await;
    c.call(1, "big", json!([2000])).await;
    let answer = c.hear().await;
    assert_eq!((kind(&answer), &answer["id"]), ("too_large", &json!(1)));
    c.call(2, "ticks", json!([[1, 2000]])).await;
    assert!(c.hear().await["result"].is_number());
    server.seen.until(|s| s.ticking.load(Ordering::SeqCst) == 0).await;
    c.call(3, "echo", json!({"text": "alive"})).await;
    assert_eq!(c.hear().await["result"], "alive");
}

#[tokio::test]
async fn a_batch_is_answered_as_a_batch() {
    let server = Server::start(Limits { max_batch: 4, max_response: 500, ..Limits::control() });
    let mut c = server.client().await;
    let call = |id: u32, text: &str| json!({"jsonrpc": "2.0", "id": id, "method": "echo", "params": {"text": text}});
    let note = json!({"jsonrpc": "2.0", "method": "echo", "params": {}});
    let ticks = json!({"jsonrpc": "2.0", "id": 9, "method": "ticks", "params": [[]]});
    c.say(&json!([call(1, "a"), 5, note, ticks]).to_string()).await;
    let answers = c.hear().await;
    assert_eq!(answers[0]["result"], "a");
    assert_eq!(kind(&answers[1]), "invalid_request");
    assert_eq!((kind(&answers[2]), &answers[2]["id"]), ("invalid_request", &json!(9)), "no subscription in a batch");
    assert_eq!(answers.as_array().unwrap().len(), 3);
    c.say(&json!([note, note]).to_string()).await;
    c.say(&json!([1, 2, 3, 4, 5]).to_string()).await;
    assert_eq!(kind(&c.hear().await), "too_large", "nothing answers a batch of notifications");
    c.say(&json!([call(1, &"x".repeat(400)), call(2, &"x".repeat(400))]).to_string()).await;
    assert_eq!(kind(&c.hear().await), "too_large");
}

#[tokio::test]
async fn a_half_closed_peer_gets_its_answers_and_its_events() {
    let server = Server::start(Limits::control());
    let mut c = server.client().await;
    c.call(1, "hold", json!({})).await;
    c.call(2, "ticks", json!([[2, 1]])).await;
    // The last line lacks its newline.
    let last = json!({"jsonrpc": "2.0", "id": 3, "method": "echo", "params": {"text": "last"}}).to_string();
    c.0.get_mut().write_all(last.as_bytes()).await.unwrap();
    c.0.get_mut().shutdown().await.unwrap();
    server.seen.until(|s| s.held.load(Ordering::SeqCst) == 1).await;
    let mut heard = Vec::new();
    for _ in 0..4 {
        heard.push(c.hear().await);
    }
    assert!(heard.iter().any(|v| v["result"] == "last"), "{heard:?}");
    assert_eq!(heard.iter().filter(|v| v["method"] == "tick").count(), 2, "{heard:?}");
    server.seen.release.notify_one();
    assert_eq!(c.hear().await["result"], "held");
    assert_eq!(c.hear().await, Value::Null, "then the connection ends");
    server.stop.cancel();
    server.all_connections_end().await;
}

#[tokio::test]
async fn a_peer_that_leaves_takes_its_calls_and_subscriptions_with_it() {
    let server = Server::start(Limits { max_in_flight: 2, ..Limits::control() });
    // One leaves with free slots, one while every slot is taken and nothing reads.
    for calls in [1, 2] {
        let mut c = server.client().await;
        c.call(9, "ticks", json!([[]])).await;
        c.hear().await;
        for id in 0..calls {
            c.call(id, "hold", json!({})).await;
        }
        server.seen.until(|s| s.held.load(Ordering::SeqCst) == calls as usize).await;
        drop(c);
        server.seen.until(|s| s.held.load(Ordering::SeqCst) == 0 && s.ticking.load(Ordering::SeqCst) == 0).await;
    }
}

#[tokio::test]
async fn a_flood_of_unread_calls_stops_in_the_peers_own_buffer() {
    let server = Server::start(Limits { max_in_flight: 4, max_outgoing_bytes: 100_000, ..Limits::control() });
    let mut c = server.client().await;
    let (mut answers, mut calls) = c.0.get_mut().split();
    let mut sent = 0;
    loop {
        let call = json!({"jsonrpc": "2.0", "id": sent, "method": "big", "params": [10_000]});
        let line = format!("{call}\n");
        // When nothing has been taken for a while, the flood stands still.
        let taken = tokio::time::timeout(Duration::from_millis(300), calls.write_all(line.as_bytes())).await;
        let Ok(taken) = taken else { break };
        taken.unwrap();
        sent += 1;
    }
    let begun = server.seen.big.load(Ordering::SeqCst);
    // The kernel holds about 200 kB of answers, the outbox 100 kB, each call in flight 10 kB.
    assert!(sent > begun && begun < 100, "{begun} of {sent} calls have begun");
    // A peer that reads after all finds all its answers, and the connection alive.
    let mut read = 0;
    let mut buffer = vec![0; 65_536];
    while read < begun * 10_000 {
        read += tokio::time::timeout(PATIENCE, answers.read(&mut buffer)).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_slow_subscriber_holds_up_only_itself_and_is_cut_off_when_it_never_reads() {
    let limits = Limits {
        max_outgoing_bytes: 50_000,
        subscription_queue: 2,
        write_timeout: Duration::from_millis(500),
        ..Limits::control()
    };
    let server = Server::start(limits);
    let mut slow = server.client().await;
    slow.call(1, "ticks", json!([[1_000_000, 10_000]])).await;
    server.seen.until(|s| s.ticked.load(Ordering::SeqCst) > 5).await;
    let mut other = server.client().await;
    other.call(1, "echo", json!({"text": "quick"})).await;
    assert_eq!(other.hear().await["result"], "quick");
    server.seen.until(|s| s.ticking.load(Ordering::SeqCst) == 0).await;
    let handed = server.seen.ticked.load(Ordering::SeqCst);
    assert!(handed < 100, "{handed} items of 10 kB were taken for a peer that read none");
}

#[tokio::test]
async fn subscriptions_are_counted_ended_and_given_back() {
    let server = Server::start(Limits { max_subscriptions: 1, ..Limits::control() });
    let mut c = server.client().await;
    c.call(1, "ticks", json!([[]])).await;
    let id = c.hear().await["result"].clone();
    c.call(2, "ticks", json!([[]])).await;
    assert_eq!(kind(&c.hear().await), "too_large");
    c.call(3, "unticks", json!({"subscription": id})).await;
    assert_eq!(c.hear().await["result"], true);
    server.seen.until(|s| s.ticking.load(Ordering::SeqCst) == 0).await;
    c.call(4, "ticks", json!([[1, 3]])).await;
    let first = c.hear().await;
    assert!(first["result"].is_number(), "{first}");
    let item = c.hear().await;
    assert_eq!((&item["method"], &item["params"]["result"]), (&json!("tick"), &json!([0, "xxx"])));
    assert_eq!(item["params"]["subscription"], first["result"]);
    c.call(5, "unticks", json!([first["result"]])).await;
    assert_eq!(c.hear().await["result"], false, "it had ended by itself");
}

#[tokio::test]
async fn beyond_the_last_connection_a_peer_is_told_and_closed() {
    let server = Server::start(Limits { max_connections: 2, ..Limits::control() });
    let mut first = server.client().await;
    let mut second = server.client().await;
    for c in [&mut first, &mut second] {
        c.call(1, "echo", json!({"text": "in"})).await;
        c.hear().await;
    }
    let mut third = server.client().await;
    assert_eq!(kind(&third.hear().await), "too_large");
    assert_eq!(third.hear().await, Value::Null);
    drop(second);
    let admitted = async {
        loop {
            let mut c = server.client().await;
            c.call(1, "echo", json!({"text": "in"})).await;
            if c.hear().await["result"] == "in" {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, admitted).await.expect("the slot never came back");
}

#[tokio::test]
async fn another_user_is_told_and_closed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    // To this akkd everybody here is another user.
    let somebody = rustix::process::geteuid().as_raw() + 1;
    let methods = table(Arc::new(Seen::default()));
    tokio::spawn(serve_user(somebody, listener, methods, Limits::control(), None, stop, tracker));
    let mut c = Client(BufReader::new(UnixStream::connect(&path).await.unwrap()));
    assert_eq!(kind(&c.hear().await), "peer_refused");
    assert_eq!(c.hear().await, Value::Null);
}

#[tokio::test]
async fn a_line_that_never_ends_is_given_up() {
    let server = Server::start(Limits { read_timeout: Duration::from_millis(50), ..Limits::control() });
    let mut c = server.client().await;
    c.0.get_mut().write_all(b"{\"jsonrpc\":").await.unwrap();
    assert_eq!(kind(&c.hear().await), "invalid_request");
    assert_eq!(c.hear().await, Value::Null);
}

#[tokio::test]
async fn a_stop_lets_calls_finish_and_answers_those_that_do_not() {
    let server = Server::start(Limits { finish: Duration::from_millis(300), ..Limits::control() });
    let mut quick = server.client().await;
    let mut long = server.client().await;
    let mut idle = server.client().await;
    for c in [&mut quick, &mut long] {
        c.call(1, "hold", json!({})).await;
    }
    idle.call(1, "ticks", json!([[]])).await;
    idle.hear().await;
    server.seen.until(|s| s.held.load(Ordering::SeqCst) == 2).await;
    server.stop.cancel();
    assert_eq!(idle.hear().await, Value::Null);
    server.seen.release.notify_one();
    let (a, b) = (quick.hear().await, long.hear().await);
    let (finished, cut) = if a["result"] == "held" { (a, b) } else { (b, a) };
    assert_eq!(finished["result"], "held");
    assert_eq!((kind(&cut), &cut["id"]), ("stopping", &json!(1)));
    server.all_connections_end().await;
    assert!(UnixStream::connect(&server.path).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_peer_that_never_reads() {
    let limits =
        Limits { finish: Duration::from_millis(100), write_timeout: Duration::from_hours(1), ..Limits::control() };
    let server = Server::start(limits);
    let mut c = server.client().await;
    for id in 0..8 {
        c.call(id, "big", json!([3_000_000])).await;
    }
    while server.seen.big.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    server.stop.cancel();
    server.all_connections_end().await;
}

#[tokio::test]
async fn the_generated_client_and_the_generated_server_understand_each_other() {
    use akk_proto::api::{
        AwaitAnswer, AwaitParams, CallbackClient as _, CallbackServer, ConfirmAnswer, ConfirmParams, ReportAnswer,
        ReportParams,
    };
    use akk_proto::conversation::{BudgetLevel, Status};
    use jsonrpsee::core::{RpcResult, async_trait};

    struct Table;
    #[async_trait]
    impl CallbackServer for Table {
        async fn report(&self, params: ReportParams) -> RpcResult<ReportAnswer> {
            assert_eq!(params.message, "done\n\u{2028}\"quoted\"");
            Ok(ReportAnswer {
                message_id: "msg-0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b".parse().unwrap(),
                duplicate: false,
                late: false,
                status: Status::Idle,
                budget_level: BudgetLevel::Normal,
            })
        }

        async fn await_answer(&self, _: AwaitParams) -> RpcResult<AwaitAnswer> {
            Ok(AwaitAnswer { answer: None, over: true, status: Status::Idle })
        }

        async fn confirm_answer(&self, _: ConfirmParams) -> RpcResult<ConfirmAnswer> {
            Ok(ConfirmAnswer { confirmed: false, status: Status::Idle })
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(serve(
        listener,
        Table.into_rpc(),
        Limits::callback(),
        None,
        CancellationToken::new(),
        TaskTracker::new(),
    ));
    let client = akk_proto::client::connect(&path).await.unwrap();
    let params = ReportParams {
        conversation_id: "task-20260620T140525-0123abcd".parse().unwrap(),
        ticket: "t".into(),
        turn_id: None,
        attempt_id: None,
        message: "done\n\u{2028}\"quoted\"".into(),
        waits: false,
    };
    let answer = client.report(params.clone()).await.unwrap();
    assert_eq!(answer.status, Status::Idle);
    assert!(client.report(ReportParams { message: "x".repeat(2 << 20), ..params }).await.is_err());
}
