use super::testing::{Mishap, ScriptedDaemon, THREAD};
use super::*;
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const LIMIT: Duration = Duration::from_secs(20);

async fn control_socket_answers(path: &Path) -> Result<ServerInfo, String> {
    let server = AppServer::connect(path, Duration::from_secs(2)).await.map_err(|e| e.to_string())?;
    let info = server.info().clone();
    server.close().await;
    Ok(info)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_answers_says_who_it_is() {
    let daemon = ScriptedDaemon::start();
    let info = control_socket_answers(&daemon.socket()).await.unwrap();
    assert_eq!(info.version.as_deref(), Some("0.169.0"));
    assert_eq!(info.home.as_deref(), Some(daemon.home().as_path()));
    assert_eq!(info.pid, Some(std::process::id()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_answer_is_told_apart() {
    let mut daemon = ScriptedDaemon::start();
    let socket = daemon.socket();
    let said = async |path: &Path| control_socket_answers(path).await.unwrap_err();

    daemon.state().mishaps.insert("initialize", Mishap::Hang);
    assert!(said(&socket).await.contains("did not answer within 2000 ms"));
    daemon.state().mishaps.insert("initialize", Mishap::Refuse("no"));
    assert!(said(&socket).await.contains("does not speak the protocol"));
    daemon.kill();
    assert!(said(&socket).await.contains("no Codex daemon listens on"), "a socket that was left behind");
    assert!(said(&daemon.home().join("nothing")).await.contains("no Codex daemon listens on"));
    let file = daemon.home().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(said(&file).await.contains("it is not a socket"));
}

#[tokio::test]
async fn who_speaks_no_websocket_is_foreign() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("socket");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let other = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 16];
        stream.read_exact(&mut request).await.unwrap();
        assert!(request.starts_with(b"GET / HTTP/1.1"));
        stream.write_all(b"{\"jsonrpc\":\"2.0\"}\n\n\n").await.unwrap();
    });
    let error = AppServer::connect(&path, LIMIT).await.unwrap_err();
    assert!(matches!(error, ConnectError::Foreign { .. }), "{error}");
    other.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_a_thread_changes_nothing() {
    let daemon = ScriptedDaemon::start();
    let seen = look_at_thread(&daemon.socket(), THREAD).await.unwrap();
    assert_eq!((seen.state, seen.can_be_joined, seen.model.as_deref()), (ThreadState::Idle, true, Some("gpt-5-fake")));
    daemon.user_starts("hello");
    assert_eq!(look_at_thread(&daemon.socket(), THREAD).await.unwrap().state, ThreadState::Active);
    daemon.state().loaded = false;
    let seen = look_at_thread(&daemon.socket(), THREAD).await.unwrap();
    assert_eq!((seen.state, seen.can_be_joined), (ThreadState::NotLoaded, false));
    assert!(look_at_thread(&daemon.socket(), "another").await.unwrap_err().contains("thread not loaded"));
    let reading = ["initialize", "thread/loaded/list", "thread/read", "thread/queue/list"];
    assert!(daemon.state().calls.iter().all(|(method, _)| reading.contains(&method.as_str())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_without_a_queue_cannot_be_joined() {
    let daemon = ScriptedDaemon::start();
    let unknown = Mishap::Refuse("Invalid request: unknown variant `thread/queue/list`");
    daemon.state().mishaps.insert("thread/queue/list", unknown);
    assert!(!look_at_thread(&daemon.socket(), THREAD).await.unwrap().can_be_joined);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_an_answer_is_waited_for_is_not_lost() {
    let daemon = ScriptedDaemon::start();
    let mut server = AppServer::connect(&daemon.socket(), LIMIT).await.unwrap();
    server.call("thread/resume", json!({ "threadId": THREAD }), LIMIT).await.unwrap();
    let turn = daemon.user_starts("hello");
    let id = daemon.ask("item/commandExecution/requestApproval", json!({ "command": "ls" }));
    server.thread(THREAD, LIMIT).await.unwrap();
    let mut methods = Vec::new();
    loop {
        match server.next().await {
            Incoming::Notification { method, .. } => methods.push(method),
            Incoming::Request { id: asked, method, params } => {
                assert_eq!((&asked, params["turnId"].as_str()), (&id, Some(turn.as_str())));
                methods.push(method);
                break;
            }
            Incoming::Closed(why) => panic!("{why}"),
        }
    }
    assert_eq!(methods.first().map(String::as_str), Some("turn/started"));
    server.answer(&id, Ok(json!({ "decision": "decline" }))).await.unwrap();
    daemon.wait_until("the answer", |s| s.answers == [(id.clone(), json!({ "decision": "decline" }))]);
    daemon.cut_connections();
    while !matches!(server.next().await, Incoming::Closed(_)) {}
    assert!(matches!(server.next().await, Incoming::Closed(_)), "it stays over");
    let error = server.thread(THREAD, LIMIT).await.unwrap_err();
    assert!(matches!(error, CallError::Closed(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_is_found_by_the_message_that_opened_it() {
    let daemon = ScriptedDaemon::start();
    for n in 0..5 {
        daemon.user_starts(&format!("turn {n}"));
        daemon.finish(&format!("answer {n}"));
    }
    {
        let mut state = daemon.state();
        state.turns[1]["items"][0]["clientId"] = json!("akk:c:turn-1:1");
        // Another one, to which a message of that id was only added.
        let mine = state.turns[1]["items"][0].clone();
        state.turns[3]["items"].as_array_mut().unwrap().push(mine);
    }
    let mut server = AppServer::connect(&daemon.socket(), LIMIT).await.unwrap();
    let found = server.find_turn(THREAD, LIMIT, |t| t.began_with("akk:c:turn-1:1")).await.unwrap().unwrap();
    assert_eq!((found.state(), found.last_words()), (TurnState::Completed, Some("answer 1")));
    assert_eq!(server.find_turn(THREAD, LIMIT, |t| t.began_with("akk:c:turn-2:1")).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_version_says_is_passed_over() {
    let daemon = ScriptedDaemon::start();
    let mut server = AppServer::connect(&daemon.socket(), LIMIT).await.unwrap();
    server.call("thread/resume", json!({ "threadId": THREAD }), LIMIT).await.unwrap();
    daemon.user_starts("hello");
    daemon.tell("something/new", json!({ "deep": [[[1]]] }));
    daemon.end("paused", json!({ "message": 7 }));
    let error = server.call("something/else", json!({}), LIMIT).await.unwrap_err();
    assert!(matches!(error, CallError::Refused(RpcError { code: -32600, .. })), "{error}");
    let turn = server.find_turn(THREAD, LIMIT, |_| true).await.unwrap().unwrap();
    assert_eq!(turn.state(), TurnState::Unknown("paused".into()));
    assert_eq!(server.thread(THREAD, LIMIT).await.unwrap().state(), ThreadState::Idle, "the connection is well");
}
