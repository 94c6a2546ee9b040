//! However a turn ends, the conversation ends up in a truthful state: the supervision table of the specification.

use akk_proto::api::{ControlClient as _, DelegateParams, SendParams};
use akk_proto::conversation::{Need, Status};
use akk_proto::event::{EventBody, TurnOutcome};
use akk_proto::message::MessageType;
use akk_tests::binaries::binaries;
use akk_tests::{Daemon, Home, Plan, wait_for, wait_within};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

/// Delegates `script`, expects that the conversation stalls, that the reason holds `words`, and that it can be used
/// again.
async fn stalls(akkd: &Daemon, script: &str, words: &[&str]) {
    let (id, answer) = akkd.done(script).await;
    let c = answer.conversation.unwrap();
    assert_eq!(c.status, Status::Stalled, "{script}: {c:#?}");
    let reason = c.stalled_reason.clone().unwrap_or_default();
    for word in words {
        assert!(reason.contains(word), "{script}: {word:?} is missing in {reason:?}");
    }
    assert!(c.turn.as_ref().unwrap().ended_at.is_some(), "{script}: the turn is over");
    akkd.send(&id, "say back again").await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "back again", "{script}");
}

#[tokio::test]
async fn a_final_text_that_is_a_structured_message_counts_as_that_message() {
    let akkd = Daemon::start().await;
    let (_, answer) = akkd.done(r#"say {"type":"question","body":"Which one?"}"#).await;
    assert_eq!(answer.need, Some(Need::Question));
    let message = answer.message.unwrap();
    assert_eq!((message.kind, message.body.as_str()), (MessageType::Question, "Which one?"));
}

#[tokio::test]
async fn only_what_was_said_after_the_last_tool_call_is_the_result() {
    let akkd = Daemon::start().await;
    let (_, answer) = akkd.done("say I will look around.\ntool ls\nsay Found it.").await;
    assert_eq!(answer.message.unwrap().body, "Found it.");
}

#[tokio::test]
async fn a_turn_without_a_text_stalls() {
    let akkd = Daemon::start().await;
    stalls(&akkd, "think and think", &["without"]).await;
    stalls(&akkd, "tool ls", &["without"]).await;
}

#[tokio::test]
async fn a_turn_with_only_progress_and_no_text_stalls() {
    let akkd = Daemon::start().await;
    stalls(&akkd, "callback progress under way\ntool ls", &[]).await;
}

#[tokio::test]
async fn an_agent_that_crashes_leaves_a_stalled_conversation_that_says_why() {
    let akkd = Daemon::start().await;
    stalls(&akkd, "tool ls\ncrash 3", &["3"]).await;
    stalls(&akkd, "tool ls\nkill9", &["signal"]).await;
    stalls(&akkd, "say half an ans\nexit 0", &[]).await;
    stalls(&akkd, "tool ls\nstump\ncrash 9", &["9"]).await;
}

#[tokio::test]
async fn an_error_of_the_protocol_after_work_was_done_is_never_repeated_by_itself() {
    let akkd = Daemon::start().await;
    stalls(&akkd, "tool rm everything\nrpcerror -32603 lost my mind", &["lost my mind"]).await;
    assert_eq!(akkd.agent().prompts("tool rm everything\nrpcerror -32603 lost my mind").len(), 1);
}

#[tokio::test]
async fn other_stop_reasons_are_no_success() {
    let akkd = Daemon::start().await;
    stalls(&akkd, "say partial\nstop max_tokens", &["max_tokens"]).await;
    stalls(&akkd, "say no\nstop refusal", &["refusal"]).await;
}

#[tokio::test]
async fn an_agent_that_did_its_report_and_then_crashed_has_done_its_work() {
    let akkd = Daemon::start().await;
    let (id, answer) = akkd.done("callback done finished\ncrash 5").await;
    assert_eq!(answer.need, Some(Need::Done));
    let c = akkd.turn_over(&id).await;
    assert_eq!(c.status, Status::Idle);
    assert_eq!(akkd.agent().all("prompt").len(), 1, "not replayed");
}

#[tokio::test]
async fn a_refused_model_asks_for_another_one_and_the_same_message_is_sent_again() {
    let akkd = Daemon::start().await;
    let script = "modelrefused demo-small\nsay the large one works";
    let (id, answer) = akkd.done(script).await;
    assert_eq!(answer.need, Some(Need::NeedsModelSelection));
    let c = answer.conversation.unwrap();
    assert_eq!(c.status, Status::NeedsModelSelection);
    assert_eq!(c.model_selection.unwrap().attempted.as_deref(), Some("demo-small"));
    let refused = akkd.try_send(&id, "say anything").await.unwrap_err();
    assert_eq!(refused.kind, akk_proto::error::ErrorKind::WrongStatus);

    let again =
        SendParams { conversation_id: id.to_string(), model: Some("demo-large".into()), ..SendParams::default() };
    akkd.rpc().send(again).await.unwrap();
    let answer = akkd.wait_need(&id, Need::Done).await;
    assert_eq!(answer.message.unwrap().body, "the large one works");
    let c = answer.conversation.unwrap();
    assert_eq!((c.executor_model.as_deref(), c.response_rounds_used), (Some("demo-large"), 1));
    assert_eq!(akkd.agent().prompts(script).len(), 2);
}

#[tokio::test]
async fn a_model_that_the_agent_does_not_offer_is_refused_with_the_list() {
    let akkd = Daemon::start().await;
    let task = DelegateParams { model: Some("gpt-nope".into()), ..akkd.task("say hi") };
    let id = akkd.delegate_as(task).await.conversation.conversation_id;
    let answer = akkd.wait_need(&id, Need::NeedsModelSelection).await;
    let selection = answer.conversation.unwrap().model_selection.unwrap();
    assert_eq!(selection.attempted.as_deref(), Some("gpt-nope"));
    assert_eq!(selection.available, ["demo-small", "demo-large"]);
    assert!(akkd.agent().all("prompt").is_empty(), "nothing was prompted");
}

#[tokio::test]
async fn an_agent_that_offers_its_models_in_the_older_way_gets_the_model_too() {
    let akkd = Plan::default().agent(&["--legacy-models"]).start().await;
    let task = DelegateParams { model: Some("demo-large".into()), ..akkd.task("modelrefused demo-small\nsay ok") };
    let id = akkd.delegate_as(task).await.conversation.conversation_id;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "ok");
}

#[tokio::test]
async fn an_agent_that_cannot_start_gives_a_stalled_conversation_with_the_reason() {
    let plan = Plan::default()
        .tables("[agents.absent]\ncommand = [\"/nowhere/agent\"]\n\n[agents.silent]\ncommand = [\"true\"]");
    let akkd = plan.start().await;
    for (agent, word) in [("absent", "/nowhere/agent"), ("silent", "")] {
        let task = DelegateParams { agent: Some(agent.into()), ..akkd.task("say hi") };
        let id = akkd.delegate_as(task).await.conversation.conversation_id;
        let c = akkd.wait_need(&id, Need::Stalled).await.conversation.unwrap();
        let reason = c.stalled_reason.unwrap();
        assert!(reason.contains(word), "{agent}: {reason}");
        assert_eq!(c.turn.unwrap().outcome, Some(TurnOutcome::NotDelivered));
    }
}

#[tokio::test]
async fn an_agent_that_crashes_at_its_start_or_speaks_another_protocol_is_named() {
    for (options, words) in [
        (&["--crash-on-start"][..], &["7"][..]),
        (&["--protocol", "2"], &["version"]),
        (&["--auth", "new"], &["uthentication"]),
        (&["--auth", "prompt"], &["uthentication"]),
    ] {
        let akkd = Plan::default().agent(options).start().await;
        let (_, answer) = akkd.done("say hi").await;
        let c = answer.conversation.unwrap();
        assert_eq!(c.status, Status::Stalled, "{options:?}");
        let reason = c.stalled_reason.unwrap();
        for word in words {
            assert!(reason.contains(word), "{options:?}: {reason}");
        }
    }
}

#[tokio::test]
async fn junk_half_lines_and_unknown_updates_do_no_harm() {
    let akkd = Daemon::start().await;
    let script = "junk yes\nhalf 0.2\nstderr a word aside\nupdate {\"sessionUpdate\":\"of_tomorrow\",\"x\":1}\n\
                  update {\"sessionUpdate\":\"tool_call\"}\ntool ls\nsay still fine";
    let (_, answer) = akkd.done(script).await;
    assert_eq!(answer.message.unwrap().body, "still fine");
}

#[tokio::test]
async fn an_agent_that_answers_twice_or_goes_on_talking_ends_its_turn_once() {
    let akkd = Daemon::start().await;
    let script = "twice\nlate 0.1 say forgot something\nlate 0.1 tool ls\nlate 0 write late.done x\nsay done";
    let (id, answer) = akkd.done(script).await;
    assert_eq!(answer.message.unwrap().body, "done");
    let late = akkd.home.workspace().join("late.done");
    wait_for("the late words", async || late.exists().then_some(())).await;
    akkd.send(&id, "say next").await;
    akkd.wait_need(&id, Need::Done).await;
    let ends = akkd.event_names(&id).await.iter().filter(|n| **n == "turn_ended").count();
    assert_eq!(ends, 2, "one for each turn");
}

#[tokio::test]
async fn a_report_of_the_stalled_turn_still_counts_and_one_of_an_older_turn_does_not() {
    let akkd = Daemon::start().await;
    let (id, answer) = akkd.done("tool ls\nlate go.on callback done better late").await;
    assert_eq!(answer.need, Some(Need::Stalled));
    akkd.home.go_on();
    let c = akkd.until(&id, Status::Idle).await;
    assert_eq!(c.stalled_reason, None);

    let id = akkd.delegate("say one\nlate too.late callback error too late").await.conversation.conversation_id;
    akkd.wait_need(&id, Need::Done).await;
    let second = "write too.late\nuntil over.now\nsay two";
    akkd.send(&id, second).await;
    wait_for("the late report", async || akkd.event_names(&id).await.contains(&"late_callback").then_some(())).await;
    std::fs::write(akkd.home.workspace().join("over.now"), "").unwrap();
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "two");
}

#[tokio::test]
async fn a_silent_turn_stalls_stays_open_and_its_late_report_counts() {
    let akkd = Daemon::start().await;
    let task = DelegateParams { agent_timeout_minutes: Some(1), ..akkd.task("until go.on\ncallback done finally") };
    let id = akkd.delegate_as(task).await.conversation.conversation_id;
    let stalled = wait_within(Duration::from_secs(80), "the turn to count as stalled", async || {
        Some(akkd.get(&id).await).filter(|c| c.status == Status::Stalled)
    })
    .await;
    assert!(stalled.stalled_reason.unwrap().contains("1 minute"));
    assert_eq!(stalled.turn.unwrap().ended_at, None, "the process is left alone");
    let refused = akkd.try_send(&id, "say more").await.unwrap_err();
    assert_eq!(refused.kind, akk_proto::error::ErrorKind::TurnStillOpen);
    akkd.home.go_on();
    akkd.until(&id, Status::Idle).await;
}

#[tokio::test]
async fn what_a_failed_agent_printed_is_kept_without_its_secrets() {
    let akkd = Daemon::start().await;
    let secret = format!("sk-{}", "a1B2".repeat(8));
    let (id, _) = akkd.done(&format!("tool ls\nstderr failed with api_key={secret}\ncrash 1")).await;
    let events = akkd.events(&id).await;
    let end = events.iter().find_map(|e| match &e.body {
        EventBody::TurnEnded(end) => Some(end),
        _ => None,
    });
    let trace = end.unwrap().trace.clone().unwrap();
    assert!(trace.contains("failed with") && !trace.contains(&secret), "{trace}");
}

#[tokio::test]
async fn an_idle_conversation_closes_by_itself() {
    let akkd = Daemon::start().await;
    let task = DelegateParams { idle_timeout_minutes: Some(1), ..akkd.task("say hi") };
    let id = akkd.delegate_as(task).await.conversation.conversation_id;
    akkd.wait_need(&id, Need::Done).await;
    let closed = wait_within(Duration::from_secs(80), "the conversation to close", async || {
        Some(akkd.get(&id).await).filter(|c| c.status == Status::Closed)
    })
    .await;
    assert_eq!(closed.close_reason.as_deref(), Some("idle timeout after 1 minutes"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_akkd_that_was_started_in_the_background_hands_no_ignored_signal_to_agents() {
    let home = Home::new();
    let akkd = home.root().join("akkd-in-the-background");
    let text = format!("#!/bin/sh\ntrap '' HUP INT QUIT\nexec {} \"$@\"\n", binaries().akkd.display());
    std::fs::write(&akkd, text).unwrap();
    std::fs::set_permissions(&akkd, std::fs::Permissions::from_mode(0o755)).unwrap();
    let akkd = Daemon::start_with(Plan { akkd: Some(akkd), ..Plan::default() }, home).await;
    akkd.delegate("sleep 600").await;
    let agent = akkd.prompted("sleep 600").await.pid;
    // SIGHUP, SIGINT and SIGQUIT are the three lowest bits; Rust's runtime ignores SIGPIPE in the agent itself.
    let ignored = akk_tests::processes::ignored(agent).unwrap();
    assert_eq!(ignored & 0b111, 0, "{ignored:b}");
}
