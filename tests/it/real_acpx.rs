//! The real acpx drives the scriptable agent through every operation.

use akk_proto::api::{CloseParams, ControlClient as _, DelegateParams, SendParams};
use akk_proto::conversation::{Need, Status, Transport};
use akk_proto::event::TurnOutcome;
use akk_tests::daemon::params;
use akk_tests::{Daemon, Plan, peers, processes, wait_for};

/// akkd with the real acpx between it and the scriptable agent; none where acpx cannot be had.
async fn over_acpx(story: &str) -> Option<Daemon> {
    peers::peers(story)?;
    Some(Plan::default().over(Transport::Acpx).start().await)
}

macro_rules! story {
    ($(#[$doc:meta])* $name:ident, $akkd:ident, $body:block) => {
        $(#[$doc])*
        #[tokio::test]
        async fn $name() {
            let Some($akkd) = over_acpx(stringify!($name)).await else { return };
            $body
        }
    };
}

story!(a_task_is_done_and_its_result_comes_back, akkd, {
    let started = akkd.delegate("think quietly\nplan\ntool make\nsay All tests pass.").await;
    assert_eq!(started.conversation.executor.transport, Transport::Acpx);
    let id = started.conversation.conversation_id;
    let answer = akkd.wait_need(&id, Need::Done).await;
    assert_eq!(answer.message.unwrap().body, "All tests pass.");
    let did = serde_json::to_string(&crate::delegate::activity(&akkd, &id).await).unwrap();
    assert!(did.contains("make") && !did.contains("quietly"), "{did}");
    assert_eq!(akkd.agent().all("prompt").len(), 1);
});

story!(a_question_is_answered_in_the_same_session, akkd, {
    let id = akkd.delegate("callback progress on it\nask Which colour?").await.conversation.conversation_id;
    assert_eq!(akkd.wait_need(&id, Need::Question).await.message.unwrap().body, "Which colour?");
    akkd.turn_over(&id).await;
    akkd.send(&id, "callback done blue it is").await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "blue it is");
    let prompts = akkd.agent().all("prompt");
    assert_eq!(prompts.len(), 2);
    assert_eq!(prompts[0].text("session"), prompts[1].text("session"));
});

story!(cancel_stops_the_turn_and_the_conversation_stays_usable, akkd, {
    let id = akkd.delegate("tool ls\nsleep 600").await.conversation.conversation_id;
    akkd.prompted("tool ls\nsleep 600").await;
    akkd.rpc().cancel(params(&id)).await.unwrap();
    let c = akkd.until(&id, Status::Idle).await;
    assert_eq!(c.turn.unwrap().outcome, Some(TurnOutcome::Cancelled));
    akkd.send(&id, "say again").await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "again");
});

story!(close_ends_acpx_and_the_agent, akkd, {
    let id = akkd.delegate("sleep 600").await.conversation.conversation_id;
    let agent = akkd.prompted("sleep 600").await.pid;
    let close = CloseParams { conversation_id: id.to_string(), ..CloseParams::default() };
    akkd.rpc().close(close).await.unwrap();
    akkd.until(&id, Status::Cancelled).await;
    wait_for("the agent's end", async || (!processes::lives(agent)).then_some(())).await;
});

story!(a_model_that_the_agent_does_not_offer_asks_for_another_one, akkd, {
    let task = DelegateParams { model: Some("gpt-nope".into()), ..akkd.task("say hi") };
    let id = akkd.delegate_as(task).await.conversation.conversation_id;
    let c = akkd.wait_need(&id, Need::NeedsModelSelection).await.conversation.unwrap();
    let selection = c.model_selection.unwrap();
    assert_eq!(selection.attempted.as_deref(), Some("gpt-nope"));
    assert_eq!(selection.available, ["demo-small", "demo-large"]);
    let again =
        SendParams { conversation_id: id.to_string(), model: Some("demo-large".into()), ..SendParams::default() };
    akkd.rpc().send(again).await.unwrap();
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "hi");
});

story!(a_refused_model_is_recognised_where_the_turn_claims_success, akkd, {
    let (id, answer) = akkd.done("modelrefused demo-small\nsay the large one works").await;
    assert_eq!(answer.need, Some(Need::NeedsModelSelection), "{answer:#?}");
    let again =
        SendParams { conversation_id: id.to_string(), model: Some("demo-large".into()), ..SendParams::default() };
    akkd.rpc().send(again).await.unwrap();
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "the large one works");
});

story!(an_agent_that_crashes_leaves_a_stalled_conversation_and_is_not_replayed, akkd, {
    let (id, answer) = akkd.done("tool ls\ncrash 3").await;
    assert_eq!(answer.need, Some(Need::Stalled));
    assert_eq!(akkd.agent().all("prompt").len(), 1);
    akkd.send(&id, "say back again").await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "back again");
});

story!(a_turn_without_a_text_or_with_another_stop_reason_stalls, akkd, {
    let (_, answer) = akkd.done("tool ls").await;
    assert_eq!(answer.need, Some(Need::Stalled));
    let (_, answer) = akkd.done("say no\nstop refusal").await;
    assert_eq!(answer.need, Some(Need::Stalled));
});

story!(permissions_follow_the_policy, akkd, {
    use akk_proto::conversation::PermissionPolicy::{All, Deny, Reads};
    for (policy, script, expected) in [
        (All, "perm rm x", "permission: allow"),
        (Reads, "perm kind=read cat x", "permission: allow"),
        (Deny, "perm rm x", "permission: reject"),
    ] {
        let task = DelegateParams { permissions: Some(policy), ..akkd.task(script) };
        let id = akkd.delegate_as(task).await.conversation.conversation_id;
        let said = akkd.wait_need(&id, Need::Done).await.message.unwrap().body;
        assert!(said.contains(expected), "{policy:?}: {said}");
    }
});

story!(five_megabytes_reach_the_agent_and_are_not_seen_in_ps, akkd, {
    let marker = "x".repeat(40) + "needle";
    let script = format!("until go.on\nlen\nthink {}", marker.repeat((5 << 20) / marker.len()));
    let id = akkd.delegate(&script).await.conversation.conversation_id;
    wait_for("the prompt at the agent", async || akkd.agent().all("prompt").pop()).await;
    let shown: Vec<_> = processes::of(akkd.home.root()).into_iter().filter(|p| p.command.contains("needle")).collect();
    assert!(shown.is_empty());
    akkd.home.go_on();
    let said = akkd.wait_need(&id, Need::Done).await.message.unwrap().body;
    let length: usize = said.trim().strip_prefix("prompt length ").unwrap().parse().unwrap();
    assert!(length >= script.len());
});

story!(an_agent_that_is_deaf_to_cancel_is_ended_and_the_session_goes_on, akkd, {
    let id = akkd.delegate("say start\nblock 600").await.conversation.conversation_id;
    let agent = akkd.prompted("say start\nblock 600").await.pid;
    akkd.rpc().cancel(params(&id)).await.unwrap();
    assert_eq!(akkd.until(&id, Status::Idle).await.turn.unwrap().outcome, Some(TurnOutcome::Cancelled));
    wait_for("the deaf agent's end", async || (!processes::lives(agent)).then_some(())).await;
    akkd.send(&id, "say still here").await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "still here");
});

story!(a_session_that_the_agent_forgot_is_told_and_replayed_only_when_asked, akkd, {
    let (id, _) = akkd.done("say first").await;
    akkd.turn_over(&id).await;
    for session in std::fs::read_dir(akkd.home.sessions()).unwrap().flatten() {
        std::fs::remove_file(session.path()).unwrap();
    }
    // acpx makes a new session by itself and prompts it: what it says then could come from an agent that knows nothing.
    akkd.send(&id, "until go.on\nsay second").await;
    let told = akkd.wait_need(&id, Need::Stalled).await.conversation.unwrap();
    assert!(told.stalled_reason.unwrap().contains("could not resume"));
    assert!(akkd.agent().prompts("until go.on\nsay second").len() <= 1);
    akkd.home.go_on();
    akkd.rpc().recover(params(&id)).await.unwrap();
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "second");
    assert_eq!(akkd.get(&id).await.recovery.unwrap().former_sessions.len(), 1);
});
