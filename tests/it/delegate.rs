//! Handing a task over, and the way back.

use akk_proto::api::{ControlClient as _, DelegateParams};
use akk_proto::conversation::{Need, Status, Transport};
use akk_proto::event::EventBody;
use akk_proto::message::MessageType;
use akk_proto::{RequestId, TurnId};
use akk_tests::{Daemon, Plan, processes, wait_for};
use std::path::Path;

#[tokio::test]
async fn a_task_is_done_and_its_result_comes_back() {
    let akkd = Daemon::start().await;
    let started = akkd.delegate("think a secret thought\nplan\nusage\ntool make test\nsay All tests pass.").await;
    let c = started.conversation;
    assert_eq!((c.agent.as_str(), c.executor.transport), ("demo", Transport::Acp));
    assert_eq!(Path::new(&c.workspace), akkd.home.workspace());
    assert!(c.executor.session.starts_with("akk-demo-"), "{}", c.executor.session);
    assert_eq!(started.turn_id, TurnId::nth(1));

    let answer = akkd.wait_need(&c.conversation_id, Need::Done).await;
    let message = answer.message.unwrap();
    assert_eq!((message.kind, message.body.as_str()), (MessageType::Done, "All tests pass."));
    assert_eq!(message.metadata["derived"], true);
    let c = answer.conversation.unwrap();
    assert_eq!((c.status, c.response_rounds_used), (Status::Idle, 1));
    assert!(c.idle_since.is_some());

    let names = akkd.event_names(&c.conversation_id).await;
    for expected in [
        "conversation_created",
        "message",
        "turn_started",
        "executor_launch",
        "prompt_sent",
        "agent_activity",
        "turn_ended",
    ] {
        assert!(names.contains(&expected), "{expected} is missing in {names:?}");
    }
    let did = serde_json::to_string(&activity(&akkd, &c.conversation_id).await).unwrap();
    assert!(!did.contains("secret thought"), "thinking is counted, never kept");
    assert!(did.contains("make test"), "tool calls are kept");
    assert_eq!(akkd.agent().all("prompt").len(), 1);
}

#[tokio::test]
async fn a_report_by_callback_settles_the_turn_and_progress_does_not() {
    let akkd = Daemon::start().await;
    let (id, answer) =
        akkd.done("callback progress half way there\ntool ls\ncallback done it works\nsay chatter").await;
    assert_eq!(answer.need, Some(Need::Done));
    assert_eq!(answer.message.unwrap().body, "it works");
    let c = akkd.turn_over(&id).await;
    assert_eq!(c.status, Status::Idle);
    let said: Vec<_> = messages(&akkd, &id).await;
    let expected = [
        (MessageType::Task, "callback progress half way there\ntool ls\ncallback done it works\nsay chatter"),
        (MessageType::Progress, "half way there"),
        (MessageType::Done, "it works"),
    ];
    assert_eq!(said, expected.map(|(k, b)| (k, b.to_owned())), "the text after a report is no second result");
    assert_eq!(c.response_rounds_used, 1, "progress and done open no round");
}

#[tokio::test]
async fn a_question_is_answered_in_the_same_session_of_the_same_process() {
    let akkd = Daemon::start().await;
    let id = akkd.delegate("ask Which colour?").await.conversation.conversation_id;
    let asked = akkd.wait_need(&id, Need::Question).await;
    assert_eq!(asked.message.unwrap().body, "Which colour?");
    let c = akkd.turn_over(&id).await;
    assert_eq!((c.status, c.response_rounds_used), (Status::WaitingForOpenclaw, 2));

    akkd.send(&id, "say blue then").await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "blue then");
    let prompts = akkd.agent().all("prompt");
    let [first, second] = &prompts[..] else { panic!("{prompts:#?}") };
    assert_eq!((second.text("type"), second.text("turn")), ("answer", "turn-2"));
    assert_eq!((first.pid, first.text("session")), (second.pid, second.text("session")), "kept warm");
    assert!(second.facts["bytes"].as_u64() < first.facts["bytes"].as_u64(), "later prompts are short");
}

#[tokio::test]
async fn blocked_needs_someone_and_error_fails_the_conversation_but_not_for_good() {
    let akkd = Daemon::start().await;
    let (id, answer) = akkd.done("callback blocked no access").await;
    assert_eq!(answer.need, Some(Need::Blocked));
    akkd.turn_over(&id).await;
    akkd.send(&id, "callback error it is broken").await;
    assert_eq!(akkd.wait_need(&id, Need::Failed).await.message.unwrap().body, "it is broken");
    akkd.turn_over(&id).await;
    akkd.send(&id, "say third time lucky").await;
    akkd.wait_need(&id, Need::Done).await;
}

#[tokio::test]
async fn an_alias_in_front_of_the_request_selects_the_agent_and_is_taken_off() {
    let akkd = Daemon::start().await;
    let mut task = akkd.task("demo: say hello");
    task.agent = None;
    let id = akkd.delegate_as(task).await.conversation.conversation_id;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "hello");
    assert_eq!(akkd.prompted("say hello").await.text("type"), "task");
}

#[tokio::test]
async fn model_proxy_and_only_the_allowed_environment_reach_the_agent() {
    let mut plan = Plan::default();
    plan.env.push(("MY_SECRET".into(), "hunter2".into()));
    let akkd = plan.start().await;
    let script = "env MY_SECRET\nenv ALL_PROXY\nenv all_proxy\nenv AKK_HOME\nenv HOME\nenv NOTIFY_SOCKET";
    let task = DelegateParams {
        model: Some("demo-large".into()),
        proxy: Some("socks5://127.0.0.1:9".into()),
        ..akkd.task(script)
    };
    let c = akkd.delegate_as(task).await.conversation;
    assert_eq!(c.executor_model.as_deref(), Some("demo-large"));
    let said = akkd.wait_need(&c.conversation_id, Need::Done).await.message.unwrap().body;
    let home = akkd.home.user();
    for line in [
        "MY_SECRET=(unset)",
        "ALL_PROXY=socks5://127.0.0.1:9",
        "all_proxy=socks5://127.0.0.1:9",
        "AKK_HOME=(unset)",
        &format!("HOME={}", home.display()),
    ] {
        assert!(said.lines().any(|l| l == line), "{line} is missing in {said}");
    }
    let options = akkd.agent().all("option");
    assert!(options.iter().any(|o| o.text("option") == "model" && o.text("value") == "demo-large"), "{options:#?}");
}

#[tokio::test]
async fn a_model_with_an_effort_is_taken_apart_for_the_transport() {
    for name in ["demo-large/high", "demo-large[high]"] {
        let akkd = Daemon::start().await;
        let task = DelegateParams { model: Some(name.into()), ..akkd.task("say hi") };
        let id = akkd.delegate_as(task).await.conversation.conversation_id;
        akkd.wait_need(&id, Need::Done).await;
        let set: Vec<_> = akkd
            .agent()
            .all("option")
            .iter()
            .map(|o| (o.text("option").to_owned(), o.text("value").to_owned()))
            .collect();
        assert!(set.contains(&("model".into(), "demo-large".into())), "{name}: {set:?}");
        assert!(set.contains(&("effort".into(), "high".into())), "{name}: {set:?}");
    }
}

#[tokio::test]
async fn a_repeated_call_is_answered_and_not_repeated() {
    let akkd = Daemon::start().await;
    let task = DelegateParams { request_id: Some(RequestId::parse("call-1").unwrap()), ..akkd.task("say once") };
    let first = akkd.delegate_as(task.clone()).await;
    let second = akkd.delegate_as(task).await;
    assert!(second.repeated && !first.repeated);
    assert_eq!(first.conversation.conversation_id, second.conversation.conversation_id);
    assert_eq!(first.turn_id, second.turn_id);
    akkd.wait_need(&first.conversation.conversation_id, Need::Done).await;
    assert_eq!(akkd.agent().prompts("say once").len(), 1);
}

#[tokio::test]
async fn five_megabytes_reach_the_agent_and_nothing_of_them_is_seen_in_ps() {
    let akkd = Daemon::start().await;
    let marker = "x".repeat(40) + "needle";
    let script = format!("until go.on\nlen\nthink {}", marker.repeat((5 << 20) / marker.len()));
    let id = akkd.delegate(&script).await.conversation.conversation_id;
    wait_for("the prompt at the agent", async || akkd.agent().all("prompt").pop()).await;
    let shown: Vec<_> = processes::of(akkd.home.root()).into_iter().filter(|p| p.command.contains("needle")).collect();
    assert!(shown.is_empty(), "{} processes show the prompt", shown.len());
    akkd.home.go_on();
    let said = akkd.wait_need(&id, Need::Done).await.message.unwrap().body;
    let length: usize = said.trim().strip_prefix("prompt length ").unwrap().parse().unwrap();
    assert!(length >= script.len(), "{length} of {}", script.len());
    assert_eq!(akkd.agent().all("prompt").len(), 1);
}

#[tokio::test]
async fn tasks_in_one_workspace_never_share_a_session() {
    let akkd = Daemon::start().await;
    let (a, b) = tokio::join!(akkd.delegate("say a"), akkd.delegate("say b"));
    assert_ne!(a.conversation.executor.session, b.conversation.executor.session);
    for id in [a.conversation.conversation_id, b.conversation.conversation_id] {
        akkd.wait_need(&id, Need::Done).await;
    }
    let sessions: std::collections::BTreeSet<_> =
        akkd.agent().all("prompt").iter().map(|l| l.text("session").to_owned()).collect();
    assert_eq!(sessions.len(), 2);
}

#[tokio::test]
async fn a_message_to_a_busy_agent_waits_for_its_turn_to_end() {
    let akkd = Daemon::start().await;
    let id = akkd.delegate("until go.on\nsay first").await.conversation.conversation_id;
    akkd.prompted("until go.on\nsay first").await;
    let second = akkd.send(&id, "say second").await;
    let third = akkd.send(&id, "say third").await;
    assert_eq!(second.state, akk_proto::api::SendState::Queued);
    assert_eq!(third.conversation.queued, [second.message_id, third.message_id]);
    akkd.home.go_on();
    wait_for("the third result", async || {
        let c = akkd.get(&id).await;
        (c.status == Status::Idle && c.queued.is_empty()).then_some(())
    })
    .await;
    let bodies: Vec<_> = akkd.agent().all("prompt").iter().map(|l| l.text("body").to_owned()).collect();
    assert_eq!(bodies, ["until go.on\nsay first", "say second", "say third"]);
}

#[tokio::test]
async fn permission_requests_are_answered_by_policy_and_by_the_kind_of_the_option() {
    use akk_proto::conversation::PermissionPolicy::{All, Deny, Reads};
    let akkd = Daemon::start().await;
    for (policy, script, expected) in [
        (All, "perm rm x", "permission: allow_"),
        (All, "perm2 rm x", "permission: allow_"),
        (Reads, "perm kind=read cat x", "permission: allow_"),
        (Reads, "perm kind=search grep x", "permission: allow_"),
        (Reads, "perm2 kind=execute rm x", "permission: reject_"),
        (Deny, "perm2 kind=read cat x", "permission: reject_"),
    ] {
        let task = DelegateParams { permissions: Some(policy), ..akkd.task(script) };
        let id = akkd.delegate_as(task).await.conversation.conversation_id;
        let said = akkd.wait_need(&id, Need::Done).await.message.unwrap().body;
        assert!(said.starts_with(expected), "{policy:?} {script}: {said}");
        let asked = akkd
            .events(&id)
            .await
            .iter()
            .any(|e| matches!(&e.body, EventBody::AgentActivity(akk_proto::event::Activity::Permission { .. })));
        assert!(asked, "the request stands in the history");
    }
}

#[tokio::test]
async fn an_idle_agent_is_let_go_and_its_session_is_loaded_again() {
    let akkd = Plan::default().warm_minutes(0).start().await;
    let (id, _) = akkd.done("say first").await;
    let first = akkd.prompted("say first").await.pid;
    wait_for("the agent to be let go", async || (!processes::lives(first)).then_some(())).await;
    akkd.send(&id, "say second").await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "second");
    let second = akkd.prompted("say second").await;
    assert_ne!(second.pid, first);
    let how: Vec<_> = akkd.agent().all("session").iter().map(|l| l.text("how").to_owned()).collect();
    assert_eq!(how[0], "new");
    assert!(matches!(how[1].as_str(), "load" | "resume"), "{how:?}");
    assert_eq!(akkd.get(&id).await.recovery, None, "a session that is loaded again is no recovery");
}

/// Type and body of each message, in order.
pub(crate) async fn messages(akkd: &Daemon, id: &akk_proto::ConversationId) -> Vec<(MessageType, String)> {
    let events = akkd.events(id).await.into_iter();
    events
        .filter_map(|e| match e.body {
            EventBody::Message(m) => Some((m.message.kind, m.message.body)),
            _ => None,
        })
        .collect()
}

/// Everything but what the orchestrator said: the script itself.
pub(crate) async fn activity(akkd: &Daemon, id: &akk_proto::ConversationId) -> Vec<EventBody> {
    let events = akkd.events(id).await.into_iter().map(|e| e.body);
    let by_orchestrator = |body: &EventBody| match body {
        EventBody::ConversationCreated(_) => true,
        EventBody::Message(m) => m.message.from.is_orchestrator(),
        _ => false,
    };
    events.filter(|body| !by_orchestrator(body)).collect()
}

#[tokio::test]
async fn the_configuration_is_read_anew_at_each_delegation() {
    let akkd = Daemon::start().await;
    let config = std::fs::read_to_string(akkd.home.config()).unwrap();
    let argv = serde_json::json!(Plan::default().agent_command(&akkd.home));
    std::fs::write(akkd.home.config(), format!("{config}\n[agents.other]\ncommand = {argv}\n")).unwrap();
    let task = DelegateParams { agent: Some("other".into()), ..akkd.task("say from the other") };
    let c = akkd.rpc().delegate(task).await.unwrap().conversation;
    assert_eq!(c.agent, "other");
    akkd.wait_need(&c.conversation_id, Need::Done).await;
}
