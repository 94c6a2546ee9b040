//! When the agent session is gone.

use akk_proto::ConversationId;
use akk_proto::api::{ControlClient as _, DelegateParams};
use akk_proto::conversation::{Need, RecoveryPolicy, Status};
use akk_proto::error::ErrorKind;
use akk_tests::daemon::params;
use akk_tests::{Daemon, Plan, processes, wait_for};

/// A conversation whose first turn is over, whose agent process is gone, and whose session nobody has any more.
async fn forgotten(akkd: &Daemon, policy: RecoveryPolicy) -> ConversationId {
    let task = DelegateParams { recovery_policy: Some(policy), ..akkd.task("say the answer is 42") };
    let id = akkd.delegate_as(task).await.conversation.conversation_id;
    akkd.wait_need(&id, Need::Done).await;
    let agent = akkd.prompted("say the answer is 42").await.pid;
    wait_for("the agent to be let go", async || (!processes::lives(agent)).then_some(())).await;
    for session in std::fs::read_dir(akkd.home.sessions()).unwrap().flatten() {
        std::fs::remove_file(session.path()).unwrap();
    }
    id
}

#[tokio::test]
async fn a_lost_session_is_replaced_by_a_replay_of_what_akkd_knows() {
    let akkd = Plan::default().warm_minutes(0).start().await;
    let id = forgotten(&akkd, RecoveryPolicy::Auto).await;
    let sent = akkd.send(&id, "say and now?").await;
    assert!(sent.auto_recovered, "{sent:#?}");
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "and now?");
    let prompts = akkd.agent().all("prompt");
    assert_eq!(prompts.len(), 2);
    let replay = prompts[1].facts["bytes"].as_u64().unwrap();
    assert!(replay > prompts[0].facts["bytes"].as_u64().unwrap(), "the replay holds more than the bootstrap did");
    let c = akkd.get(&id).await;
    assert_eq!(c.recovery.unwrap().former_sessions.len(), 1);
    assert!(akkd.event_names(&id).await.contains(&"recovery_started"));
}

#[tokio::test]
async fn with_the_explicit_policy_a_person_chooses_and_the_message_is_kept() {
    let akkd = Plan::default().warm_minutes(0).start().await;
    let id = forgotten(&akkd, RecoveryPolicy::Explicit).await;
    let sent = akkd.send(&id, "say and now?").await;
    let c = akkd.wait_need(&id, Need::NeedsRecovery).await.conversation.unwrap();
    assert_eq!(c.recovery.unwrap().pending_message, Some(sent.message_id.clone()));
    assert!(!sent.auto_recovered);
    let refused = akkd.try_send(&id, "say impatient").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::WrongStatus);
    assert!(refused.hint.to_lowercase().contains("recover"), "{refused}");

    let recovered = akkd.rpc().recover(params(&id)).await.unwrap();
    assert_eq!(recovered.message_id, sent.message_id);
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "and now?");
}

#[tokio::test]
async fn a_stalled_conversation_can_be_recovered_when_asked() {
    let akkd = Daemon::start().await;
    let (id, answer) = akkd.done("once crash-here crash 3\nsay worked the second time").await;
    assert_eq!(answer.need, Some(Need::Stalled));
    let session = akkd.get(&id).await.executor.session;
    akkd.rpc().recover(params(&id)).await.unwrap();
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "worked the second time");
    let c = akkd.get(&id).await;
    assert_eq!(c.recovery.unwrap().former_sessions, [session]);
}

#[tokio::test]
async fn there_is_nothing_to_recover_in_a_conversation_that_is_well() {
    let akkd = Daemon::start().await;
    let (id, _) = akkd.done("say hi").await;
    let refused = akk_tests::Refusal::of(akkd.rpc().recover(params(&id)).await.unwrap_err());
    assert_eq!(refused.kind, ErrorKind::WrongStatus);
    assert_eq!(akkd.get(&id).await.status, Status::Idle);
}

#[tokio::test]
async fn a_prompt_that_is_refused_before_any_activity_is_replayed_once_but_not_for_want_of_a_login() {
    let akkd = Daemon::start().await;
    let (id, _) = akkd.done("say first").await;
    akkd.turn_over(&id).await;
    akkd.send(&id, "once lost rpcerror -32603 session is gone\nsay second").await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "second");
    assert!(akkd.event_names(&id).await.contains(&"recovery_started"));

    akkd.turn_over(&id).await;
    let prompts = akkd.agent().all("prompt").len();
    akkd.send(&id, "rpcerror -32000 Authentication required").await;
    akkd.wait_need(&id, Need::Stalled).await;
    assert_eq!(akkd.agent().all("prompt").len(), prompts + 1, "asked once, not again");
}
