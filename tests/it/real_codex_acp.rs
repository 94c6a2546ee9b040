//! The real codex behind its real ACP adapter, in the mode in which it asks before it does anything.

use akk_proto::ConversationId;
use akk_proto::api::{ControlClient as _, PermitParams};
use akk_proto::conversation::{ConversationView, Need, Status};
use akk_proto::error::ErrorKind;
use akk_proto::permission::Permit;
use akk_tests::daemon::params;
use akk_tests::{Codex, Daemon, Home, Plan, Refusal, peers};
use serde_json::json;

/// akkd with that codex as its default agent, and the codex.
async fn start(story: &str) -> Option<(Codex, Daemon)> {
    let peers = peers::peers(story)?;
    let home = Home::new();
    let codex = Codex::new(&home, story)?;
    let plan = Plan::default().tables(&format!(
        "[agents.real]\ncommand = {}\nenv.CODEX_HOME = {}\nenv.CODEX_PATH = {}\nenv.INITIAL_AGENT_MODE = \"read-only\"",
        json!([&peers.node, &peers.codex_acp]),
        json!(codex.home()),
        json!(codex.program()),
    ));
    let akkd = Daemon::start_with(plan, home).await;
    Some((codex, akkd))
}

/// A story with both; left out where they cannot be had.
macro_rules! story {
    ($name:ident, $akkd:ident, $body:block) => {
        #[tokio::test]
        async fn $name() {
            // Dropped in reverse: akkd ends its agents while their model is still there.
            let Some((_codex, $akkd)) = start(stringify!($name)).await else { return };
            $body
        }
    };
    ($name:ident, mut $akkd:ident, $body:block) => {
        #[tokio::test]
        async fn $name() {
            let Some((_codex, mut $akkd)) = start(stringify!($name)).await else { return };
            $body
        }
    };
}

async fn asked(akkd: &Daemon, script: &str) -> (ConversationId, ConversationView) {
    let task = akk_proto::api::DelegateParams { agent: Some("real".into()), ..akkd.task(script) };
    let id = akkd.delegate_as(task).await.conversation.conversation_id;
    let c = akkd.wait_need(&id, Need::Permission).await.conversation.unwrap();
    (id, c)
}

async fn permit(akkd: &Daemon, id: &ConversationId, decision: Permit) -> Result<(), Refusal> {
    let params = PermitParams { request_id: None, conversation_id: id.to_string(), nonce: None, decision };
    akkd.rpc().permit(params).await.map(drop).map_err(Refusal::of)
}

fn made(akkd: &Daemon) -> bool {
    akkd.home.workspace().join("made.txt").exists()
}

story!(codex_asks_and_does_what_it_is_allowed_to_also_by_an_akkd_that_was_killed_meanwhile, mut akkd, {
    let script = "ESCALATE touch made.txt\nSAY I made it.";
    let (id, c) = asked(&akkd, script).await;
    let [request] = &c.permission_requests[..] else { panic!("{c:#?}") };
    for part in ["touch made.txt", "why: the story asks for it"] {
        assert!(request.text.contains(part), "{}", request.text);
    }
    assert!(!made(&akkd));
    akkd.restart().await;
    let again = akkd.wait_need(&id, Need::Permission).await.conversation.unwrap();
    assert_eq!(again.permission_requests, c.permission_requests);
    permit(&akkd, &id, Permit::Allow).await.unwrap();
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "I made it.");
    assert!(made(&akkd));
});

story!(codex_does_not_do_what_it_is_refused, akkd, {
    let (id, _) = asked(&akkd, "ESCALATE touch made.txt\nSAY So I did not.").await;
    permit(&akkd, &id, Permit::Deny).await.unwrap();
    let answer = akkd.wait(&id).await;
    // Codex stops then, and wants to hear what to do instead.
    let c = answer.conversation.unwrap();
    assert_eq!(answer.need, Some(Need::Stalled), "{c:#?}");
    let reason = c.stalled_reason.unwrap();
    assert_eq!(reason, "the agent stopped its turn when it was refused a permission: Run command");
    assert!(!made(&akkd));
    akkd.send(&id, "SAY Still here.").await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "Still here.");
});

story!(a_cancel_takes_the_request_back, akkd, {
    let (id, _) = asked(&akkd, "ESCALATE touch made.txt\nSAY I made it.").await;
    akkd.rpc().cancel(params(&id)).await.unwrap();
    akkd.until(&id, Status::Idle).await;
    assert_eq!(permit(&akkd, &id, Permit::Allow).await.unwrap_err().kind, ErrorKind::WrongStatus);
    akkd.send(&id, "SAY Still here.").await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "Still here.");
    assert!(!made(&akkd));
});
