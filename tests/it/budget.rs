//! Rounds are counted, announced, and enforced.

use akk_proto::api::{ControlClient as _, DelegateParams, SendParams};
use akk_proto::conversation::{BudgetLevel, Need, Status};
use akk_proto::error::ErrorKind;
use akk_proto::message::MessageType;
use akk_tests::{Daemon, Refusal, wait_for};

fn with_limits(akkd: &Daemon, soft: u32, hard: u32, script: &str) -> DelegateParams {
    DelegateParams { soft_limit: Some(soft), hard_limit: Some(hard), ..akkd.task(script) }
}

#[tokio::test]
async fn at_the_soft_limit_send_is_refused_until_the_same_call_raises_it() {
    let akkd = Daemon::start().await;
    let id = akkd.delegate_as(with_limits(&akkd, 2, 10, "ask One?")).await.conversation.conversation_id;
    akkd.wait_need(&id, Need::Question).await;
    akkd.turn_over(&id).await;
    let refused = akkd.try_send(&id, "say two").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::BudgetExhausted);
    assert!(refused.hint.contains("soft limit"), "{refused}");
    let raised = SendParams {
        conversation_id: id.to_string(),
        message: Some("say two".into()),
        soft_limit: Some(5),
        ..SendParams::default()
    };
    akkd.rpc().send(raised).await.unwrap();
    let c = akkd.wait_need(&id, Need::Done).await.conversation.unwrap();
    assert_eq!((c.soft_limit, c.response_rounds_used), (5, 3));
}

#[tokio::test]
async fn the_agent_is_told_once_when_rounds_run_short() {
    let akkd = Daemon::start().await;
    let id = akkd.delegate_as(with_limits(&akkd, 5, 9, "ask One?")).await.conversation.conversation_id;
    akkd.wait_need(&id, Need::Question).await;
    akkd.turn_over(&id).await;
    akkd.send(&id, "say third round").await;
    let c = akkd.wait_need(&id, Need::Done).await.conversation.unwrap();
    assert_eq!(c.budget_level, BudgetLevel::Converge);
    let controls = async || {
        let all = crate::delegate::messages(&akkd, &id).await;
        all.into_iter().filter(|(kind, _)| *kind == MessageType::Control).count()
    };
    assert_eq!(controls().await, 1);
    akkd.turn_over(&id).await;
    akkd.send(&id, "say fourth round").await;
    let c = akkd.wait_need(&id, Need::Done).await.conversation.unwrap();
    assert_eq!(c.budget_level, BudgetLevel::Warning);
    assert_eq!(controls().await, 2, "one for each level");
}

#[tokio::test]
async fn past_the_hard_limit_the_turn_is_stopped_and_the_conversation_fails() {
    let akkd = Daemon::start().await;
    let script = "callback question One?\ncallback question Two?\nsleep 600";
    let id = akkd.delegate_as(with_limits(&akkd, 2, 2, script)).await.conversation.conversation_id;
    let c = akkd.until(&id, Status::Failed).await;
    assert_eq!(c.budget_level, BudgetLevel::HardStop);
    wait_for("the turn to be stopped", async || akkd.get(&id).await.turn.and_then(|t| t.ended_at)).await;
    let refused = akkd.try_send(&id, "say more").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::BudgetExhausted);
    let raised = SendParams {
        conversation_id: id.to_string(),
        message: Some("say on".into()),
        soft_limit: Some(8),
        hard_limit: Some(9),
        ..SendParams::default()
    };
    akkd.rpc().send(raised).await.unwrap();
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "on");
}

#[tokio::test]
async fn limits_that_make_no_sense_are_refused() {
    let akkd = Daemon::start().await;
    for (soft, hard) in [(0, 5), (6, 5), (0, 0)] {
        let refused = Refusal::of(akkd.rpc().delegate(with_limits(&akkd, soft, hard, "say hi")).await.unwrap_err());
        assert_eq!(refused.kind, ErrorKind::InvalidParams, "{soft} {hard}: {refused}");
    }
    assert!(akkd.agent().lines().is_empty());
}
