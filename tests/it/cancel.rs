//! Stopping a turn, and ending a conversation.

use akk_proto::ConversationId;
use akk_proto::api::{CloseParams, ControlClient as _, SendAnswer, SendState};
use akk_proto::conversation::{Need, Status};
use akk_proto::error::ErrorKind;
use akk_proto::event::{CancelStep, EventBody, TurnOutcome};
use akk_tests::daemon::params;
use akk_tests::{Daemon, Plan, processes, wait_for};

async fn steps(akkd: &Daemon, id: &ConversationId) -> Vec<CancelStep> {
    let events = akkd.events(id).await.into_iter();
    events
        .filter_map(|e| match e.body {
            EventBody::ExecutorCancelRequested { step } => Some(step),
            _ => None,
        })
        .collect()
}

/// Delegates `script`, cancels when its prompt has arrived, and waits for the end.
async fn cancelled(akkd: &Daemon, script: &str) -> ConversationId {
    let id = akkd.delegate(script).await.conversation.conversation_id;
    akkd.prompted(script).await;
    let answer = akkd.rpc().cancel(params(&id)).await.unwrap();
    assert!(!answer.nothing_to_cancel);
    assert!(matches!(answer.conversation.status, Status::Cancelling | Status::Idle), "{:#?}", answer.conversation);
    let c = akkd.until(&id, Status::Idle).await;
    assert_eq!(c.turn.unwrap().outcome, Some(TurnOutcome::Cancelled));
    id
}

#[tokio::test]
async fn a_willing_agent_is_asked_and_stays_usable() {
    let akkd = Plan::default().cancel_grace(50).start().await;
    let id = cancelled(&akkd, "sleep 600").await;
    assert_eq!(steps(&akkd, &id).await, [CancelStep::Cooperative]);
    akkd.send(&id, "say again").await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "again");
    let pids: Vec<_> = akkd.agent().all("prompt").iter().map(|l| l.pid).collect();
    assert_eq!(pids[0], pids[1], "the same process");
}

#[tokio::test]
async fn a_deaf_agent_is_terminated_and_its_session_loaded_by_the_next_one() {
    let akkd = Plan::default().cancel_grace(1).start().await;
    let id = cancelled(&akkd, "hang").await;
    // Where the machine is busy its end may not be seen in time.
    assert!(steps(&akkd, &id).await.starts_with(&[CancelStep::Cooperative, CancelStep::Terminate]));
    akkd.send(&id, "say recovered").await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "recovered");
}

#[tokio::test]
async fn an_agent_that_ignores_sigterm_is_killed_with_all_that_it_started() {
    let akkd = Plan::default().cancel_grace(1).agent(&["--ignore-term"]).start().await;
    let id = cancelled(&akkd, "spawn 600\nspawn 600 own\nignorecancel\nhang").await;
    assert_eq!(steps(&akkd, &id).await, [CancelStep::Cooperative, CancelStep::Terminate, CancelStep::Kill]);
    for grandchild in akkd.agent().all("spawn") {
        let pid = grandchild.facts["child"].as_u64().unwrap() as u32;
        wait_for("the end of a grandchild", async || (!processes::lives(pid)).then_some(())).await;
    }
}

#[tokio::test]
async fn while_a_turn_is_being_stopped_nothing_can_be_sent_and_what_waited_is_dropped() {
    let akkd = Plan::default().cancel_grace(50).start().await;
    let script = "ignorecancel\nuntil go.on";
    let id = akkd.delegate(script).await.conversation.conversation_id;
    akkd.prompted(script).await;
    let waiting = akkd.send(&id, "say never").await;
    let answer = akkd.rpc().cancel(params(&id)).await.unwrap();
    assert_eq!(answer.dropped, [waiting.message_id]);
    let refused = akkd.try_send(&id, "say too soon").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::WrongStatus);
    assert!(!refused.hint.is_empty());
    akkd.home.go_on();
    akkd.until(&id, Status::Idle).await;
    assert!(akkd.agent().prompts("say never").is_empty());
}

#[tokio::test]
async fn a_send_that_cancels_first_says_what_it_dropped() {
    let akkd = Plan::default().cancel_grace(2).start().await;
    let id = akkd.delegate("hang").await.conversation.conversation_id;
    akkd.prompted("hang").await;
    let waiting = akkd.send(&id, "say never").await;
    let words = ["--json", "send", id.as_str(), "--cancel-first", "say instead"];
    let answer: SendAnswer = akkd.ctl(&words).await.ok().json();
    assert_eq!((answer.state, answer.dropped), (SendState::Queued, vec![waiting.message_id]));
    akkd.prompted("say instead").await;
    akkd.until(&id, Status::Idle).await;
    assert!(akkd.agent().prompts("say never").is_empty());
}

#[tokio::test]
async fn cancel_without_an_open_turn_says_so() {
    let akkd = Daemon::start().await;
    let (id, _) = akkd.done("say hi").await;
    let answer = akkd.rpc().cancel(params(&id)).await.unwrap();
    assert!(answer.nothing_to_cancel);
    assert_eq!(answer.conversation.status, Status::Idle);
}

#[tokio::test]
async fn closing_an_idle_conversation_lets_its_agent_go_and_keeps_its_history() {
    let akkd = Daemon::start().await;
    let (id, _) = akkd.done("say hi").await;
    let agent = akkd.prompted("say hi").await.pid;
    let close =
        CloseParams { conversation_id: id.to_string(), reason: Some("enough".into()), ..CloseParams::default() };
    let c = akkd.rpc().close(close).await.unwrap().conversation;
    assert_eq!((c.status, c.close_reason.as_deref()), (Status::Closed, Some("enough")));
    wait_for("the agent's end", async || (!processes::lives(agent)).then_some(())).await;
    assert!(akkd.event_names(&id).await.contains(&"conversation_closed"));
    let refused = akkd.try_send(&id, "say more").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::WrongStatus);
}

#[tokio::test]
async fn closing_a_busy_conversation_stops_its_turn_first() {
    let akkd = Daemon::start().await;
    let id = akkd.delegate("sleep 600").await.conversation.conversation_id;
    let agent = akkd.prompted("sleep 600").await.pid;
    let close = CloseParams { conversation_id: id.to_string(), ..CloseParams::default() };
    akkd.rpc().close(close).await.unwrap();
    akkd.until(&id, Status::Cancelled).await;
    wait_for("the agent's end", async || (!processes::lives(agent)).then_some(())).await;
}

#[tokio::test]
async fn a_done_that_comes_while_closing_makes_it_closed_and_not_cancelled() {
    let akkd = Plan::default().cancel_grace(50).start().await;
    let script = "ignorecancel\nuntil go.on\ncallback done just in time";
    let id = akkd.delegate(script).await.conversation.conversation_id;
    akkd.prompted(script).await;
    let close = CloseParams { conversation_id: id.to_string(), ..CloseParams::default() };
    akkd.rpc().close(close).await.unwrap();
    akkd.home.go_on();
    akkd.until(&id, Status::Closed).await;
}

#[tokio::test]
async fn a_stalled_open_turn_gives_way_to_send_with_cancel_first() {
    use akk_proto::api::SendParams;
    let akkd = Plan::default().cancel_grace(1).start().await;
    let id = akkd.delegate("sleep 600").await.conversation.conversation_id;
    akkd.prompted("sleep 600").await;
    let send = SendParams {
        conversation_id: id.to_string(),
        message: Some("say instead".into()),
        cancel_first: true,
        ..SendParams::default()
    };
    akkd.rpc().send(send).await.unwrap();
    wait_for("the message that came instead", async || {
        (akkd.get(&id).await.status == Status::Idle && !akkd.agent().prompts("say instead").is_empty()).then_some(())
    })
    .await;
}
