//! akkd dies or is stopped in the middle of work, and comes back.

use crate::delegate::messages;
use akk_proto::api::{ControlClient as _, Empty, ListParams};
use akk_proto::conversation::{Need, Status, Transport};
use akk_proto::message::MessageType;
use akk_tests::daemon::params;
use akk_tests::{Daemon, Home, Plan, ctl, peers, processes, wait_for};
use std::io::Read as _;

/// SIGKILL in mid-turn, start again: the agent went on, its result is there, once; one prompt.
async fn killed_in_mid_turn(transport: Transport) {
    let mut akkd = Plan::default().over(transport).start().await;
    let script = "tool ls\nuntil go.on\nsay survived";
    let id = akkd.delegate(script).await.conversation.conversation_id;
    let agent = akkd.prompted(script).await.pid;
    akkd.restart().await;
    akkd.home.go_on();
    let answer = akkd.wait_need(&id, Need::Done).await;
    assert_eq!(answer.message.unwrap().body, "survived");
    let c = akkd.turn_over(&id).await;
    assert_eq!((c.status, c.response_rounds_used), (Status::Idle, 1));
    assert_eq!(akkd.agent().prompts(script).len(), 1, "one prompt");
    let names = akkd.event_names(&id).await;
    assert_eq!(names.iter().filter(|n| **n == "turn_ended").count(), 1, "{names:?}");
    assert_eq!(results(&akkd, &id).await, ["survived"], "one result");
    if transport == Transport::Acp {
        assert!(names.contains(&"executor_readopted"), "{names:?}");
        akkd.send(&id, "say still there").await;
        akkd.wait_need(&id, Need::Done).await;
        assert_eq!(akkd.prompted("say still there").await.pid, agent, "the same agent goes on");
    }
}

async fn results(akkd: &Daemon, id: &akk_proto::ConversationId) -> Vec<String> {
    let all = messages(akkd, id).await.into_iter();
    all.filter(|(kind, _)| *kind == MessageType::Done).map(|(_, body)| body).collect()
}

#[tokio::test]
async fn a_killed_akkd_finds_its_agent_again() {
    killed_in_mid_turn(Transport::Acp).await;
}

#[tokio::test]
async fn a_killed_akkd_finds_its_agent_again_over_acpx() {
    if peers::peers("a_killed_akkd_finds_its_agent_again_over_acpx").is_some() {
        killed_in_mid_turn(Transport::Acpx).await;
    }
}

#[tokio::test]
async fn what_the_agent_did_while_akkd_was_down_is_there_afterwards() {
    let mut akkd = Daemon::start().await;
    let script = "until go.on\ntool make\nsay finished alone";
    let id = akkd.delegate(script).await.conversation.conversation_id;
    akkd.prompted(script).await;
    akkd.kill9();
    akkd.home.go_on();
    wait_for("the agent to finish alone", async || akkd.agent().all("answer").pop()).await;
    akkd.start_again().await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "finished alone");
    let did = serde_json::to_string(&crate::delegate::activity(&akkd, &id).await).unwrap();
    assert!(did.contains("make"), "its tool calls are there too");
    assert_eq!(akkd.agent().all("prompt").len(), 1);
}

#[tokio::test]
async fn an_akkd_that_is_killed_again_and_again_loses_and_repeats_nothing() {
    let mut akkd = Daemon::start().await;
    let script = "stream 60 50";
    let id = akkd.delegate(script).await.conversation.conversation_id;
    akkd.prompted(script).await;
    for _ in 0..6 {
        akkd.restart().await;
    }
    let text = akkd.wait_need(&id, Need::Done).await.message.unwrap().body;
    let expected: Vec<_> = (0..60).map(|n| format!("piece {n}")).collect();
    assert_eq!(text.trim(), expected.join(" "));
    assert_eq!(akkd.agent().all("prompt").len(), 1);
    assert_eq!(results(&akkd, &id).await.len(), 1);
}

#[tokio::test]
async fn an_akkd_that_is_killed_right_after_accepting_a_task_does_it_once() {
    for _ in 0..3 {
        let mut akkd = Daemon::start().await;
        let id = akkd.delegate("say once").await.conversation.conversation_id;
        akkd.restart().await;
        let answer = akkd.wait(&id).await;
        // Whether the prompt had arrived may be unknowable; then it says so and a person decides.
        let c = answer.conversation.unwrap();
        if c.status == Status::Stalled {
            let why = c.stalled_reason.unwrap();
            let reasons = ["prompt_uncertain", "akkd went down while it handed the prompt over"];
            assert!(reasons.iter().any(|reason| why.contains(reason)), "{why}");
        } else {
            assert_eq!(answer.message.unwrap().body, "once");
        }
        assert!(akkd.agent().all("prompt").len() <= 1);
    }
}

#[tokio::test]
async fn a_large_prompt_that_a_crash_cuts_arrives_once_or_is_said_to_be_uncertain() {
    for _ in 0..3 {
        let mut akkd = Daemon::start().await;
        let script = format!("say whole\nthink {}", "x".repeat(5 << 20));
        let (client, task) = (akkd.connect().await, akkd.task(&script));
        let call = tokio::spawn(async move { client.delegate(task).await });
        // The prompt is on its way when the agent has made its session.
        wait_for("the agent's session", async || akkd.agent().all("session").pop()).await;
        akkd.restart().await;
        // It may have been answered, or its connection broke; the task is there either way.
        let _ = call.await.unwrap();
        let list = akkd.rpc().list(ListParams::default()).await.unwrap();
        let [only] = &list.conversations[..] else { panic!("{list:#?}") };
        let answer = akkd.wait(&only.conversation_id).await;
        let c = answer.conversation.unwrap();
        let prompts = akkd.agent().all("prompt");
        match c.status {
            Status::Idle => assert_eq!((prompts.len(), answer.message.unwrap().body.as_str()), (1, "whole")),
            Status::Stalled => assert!(prompts.len() <= 1 && c.stalled_reason.is_some()),
            other => panic!("{other}: {c:#?}"),
        }
    }
}

#[tokio::test]
async fn messages_that_waited_are_sent_by_the_next_akkd() {
    let mut akkd = Daemon::start().await;
    let id = akkd.delegate("until go.on\nsay first").await.conversation.conversation_id;
    akkd.prompted("until go.on\nsay first").await;
    akkd.send(&id, "say second").await;
    akkd.restart().await;
    akkd.home.go_on();
    akkd.prompted("say second").await;
    wait_for("both results", async || (results(&akkd, &id).await == ["first", "second"]).then_some(())).await;
}

#[tokio::test]
async fn an_agent_that_died_while_akkd_was_down_leaves_a_stalled_conversation() {
    let mut akkd = Daemon::start().await;
    let id = akkd.delegate("tool ls\nhang").await.conversation.conversation_id;
    let agent = akkd.prompted("tool ls\nhang").await.pid;
    akkd.kill9();
    processes::end(agent);
    wait_for("the agent's end", async || (!processes::lives(agent)).then_some(())).await;
    akkd.start_again().await;
    let c = akkd.wait_need(&id, Need::Stalled).await.conversation.unwrap();
    assert!(c.turn.unwrap().ended_at.is_some());
}

#[tokio::test]
async fn a_readopted_turn_can_be_cancelled() {
    let mut akkd = Plan::default().cancel_grace(1).start().await;
    let id = akkd.delegate("hang").await.conversation.conversation_id;
    let agent = akkd.prompted("hang").await.pid;
    akkd.restart().await;
    akkd.rpc().cancel(params(&id)).await.unwrap();
    akkd.until(&id, Status::Idle).await;
    wait_for("the agent's end", async || (!processes::lives(agent)).then_some(())).await;
}

#[tokio::test]
async fn a_cancel_is_not_forgotten_when_akkd_is_killed_after_it() {
    let mut akkd = Plan::default().cancel_grace(1).start().await;
    let id = akkd.delegate("hang").await.conversation.conversation_id;
    akkd.prompted("hang").await;
    akkd.rpc().cancel(params(&id)).await.unwrap();
    akkd.restart().await;
    akkd.until(&id, Status::Idle).await;
}

#[tokio::test]
async fn stop_leaves_running_turns_alone_and_lets_idle_agents_go() {
    let mut akkd = Daemon::start().await;
    let (_, _) = akkd.done("say idle").await;
    let idle = akkd.prompted("say idle").await.pid;
    let id = akkd.delegate("until go.on\nsay went on").await.conversation.conversation_id;
    let busy = akkd.prompted("until go.on\nsay went on").await.pid;
    akkd.stop(false).await;
    assert!(processes::lives(busy), "a running turn goes on");
    wait_for("the idle agent to be gone", async || (!processes::lives(idle)).then_some(())).await;
    akkd.home.go_on();
    akkd.start_again().await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "went on");
}

#[tokio::test]
async fn stop_with_agents_ends_them_too_and_says_what_became_of_their_turns() {
    let mut akkd = Plan::default().cancel_grace(1).start().await;
    let id = akkd.delegate("hang").await.conversation.conversation_id;
    let agent = akkd.prompted("hang").await.pid;
    akkd.stop(true).await;
    wait_for("the agent's end", async || (!processes::lives(agent)).then_some(())).await;
    akkd.start_again().await;
    let c = akkd.wait(&id).await.conversation.unwrap();
    assert!(matches!(c.status, Status::Stalled | Status::Idle), "{c:#?}");
}

#[tokio::test]
async fn sigterm_is_a_stop() {
    let mut akkd = Daemon::start().await;
    let (id, _) = akkd.done("say kept").await;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(akkd.pid() as i32), nix::sys::signal::Signal::SIGTERM).unwrap();
    akkd.ended().await;
    akkd.start_again().await;
    assert_eq!(akkd.get(&id).await.status, Status::Idle);
}

#[tokio::test]
async fn of_two_akkd_on_one_home_one_wins_and_the_other_says_who() {
    let akkd = Daemon::start().await;
    let mut second = akkd.spawn();
    let status = wait_for("the end of the second akkd", async || second.try_wait().unwrap()).await;
    assert!(!status.success());
    let said = std::fs::read_to_string(akkd.home.daemon_output()).unwrap();
    assert!(said.contains(&akkd.pid().to_string()), "the winner's pid stands in {said:?}");
    assert_eq!(akkd.rpc().daemon_info(Empty {}).await.unwrap().pid, akkd.pid());
}

#[tokio::test]
async fn akkd_started_by_an_agent_refuses() {
    let mut plan = Plan::default();
    plan.env.push(("AKK_CONVERSATION".into(), "task-20260101T000000-00000000".into()));
    let home = Home::new();
    let mut child = std::process::Command::new(&akk_tests::binaries::binaries().akkd)
        .env_clear()
        .envs(home.environment())
        .envs(plan.env)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let status = wait_for("akkd to refuse", async || child.try_wait().unwrap()).await;
    let mut said = String::new();
    child.stderr.unwrap().read_to_string(&mut said).unwrap();
    assert!(!status.success() && said.contains("AKK_CONVERSATION"), "{said}");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_left_as_it_is() {
    let mut akkd = Daemon::start().await;
    akkd.stop(true).await;
    let file = akkd.home.akk().join("akk.db");
    let database = rusqlite::Connection::open(&file).unwrap();
    database.pragma_update(None, "user_version", 9999).unwrap();
    drop(database);
    let mut child = akkd.spawn();
    let status = wait_for("akkd to refuse", async || child.try_wait().unwrap()).await;
    assert!(!status.success());
    let said = std::fs::read_to_string(akkd.home.daemon_output()).unwrap();
    assert!(said.contains("9999") || said.contains("newer"), "{said}");
    let database = rusqlite::Connection::open(&file).unwrap();
    let version: i64 = database.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 9999);
}

#[tokio::test]
async fn a_stale_socket_is_no_obstacle() {
    let mut akkd = Daemon::start().await;
    akkd.kill9();
    assert!(akkd.home.control_socket().exists(), "SIGKILL leaves the socket's file");
    akkd.start_again().await;
    akkd.done("say hello").await;
}

#[tokio::test]
async fn a_start_waits_for_an_akkd_that_still_ends_its_agents() {
    let home = Home::new();
    let folder = home.akk();
    std::fs::create_dir_all(&folder).unwrap();
    // As an akkd that stops: it has no sockets any more, and holds the lock.
    let stopping = std::fs::File::create(folder.join("akkd.lock")).unwrap();
    stopping.lock().unwrap();
    let mut start = ctl::command(&home, &["daemon", "start"]).spawn().unwrap();
    // An akkd that gave up at once would have been heard of by then.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert!(start.try_wait().unwrap().is_none(), "it waits");
    drop(stopping);
    assert!(start.wait().await.unwrap().success());
    ctl::run(&home, &["daemon", "stop"]).await.ok();
}
