//! Permission requests reach a person, wait as long as it takes, and are answered once.

use crate::delegate::activity;
use akk_proto::ConversationId;
use akk_proto::api::{
    ControlClient as _, ConversationParams, DelegateParams, GetAnswer, ListAnswer, ListParams, PermitParams, WaitAnswer,
};
use akk_proto::conversation::{ConversationView, Need, PermissionPolicy, Status};
use akk_proto::error::ErrorKind;
use akk_proto::event::EventBody;
use akk_proto::permission::{PermissionDecision, PermissionSettled, Permit, SettledBy};
use akk_tests::daemon::params;
use akk_tests::{Daemon, Plan, Refusal, wait_for};

/// Delegates a script and waits until it needs a permission.
async fn asked(akkd: &Daemon, script: &str) -> (ConversationId, ConversationView) {
    let id = akkd.delegate(script).await.conversation.conversation_id;
    let c = akkd.wait_need(&id, Need::Permission).await.conversation.unwrap();
    (id, c)
}

async fn permit(akkd: &Daemon, id: &ConversationId, nonce: Option<&str>, decision: Permit) -> Result<(), Refusal> {
    let (conversation_id, nonce) = (id.to_string(), nonce.map(str::to_owned));
    let answer = akkd.rpc().permit(PermitParams { request_id: None, conversation_id, nonce, decision }).await;
    answer.map(drop).map_err(Refusal::of)
}

/// What the agents were answered, in order.
fn outcomes(akkd: &Daemon) -> Vec<String> {
    let outcome = |l: &akk_tests::agent::Line| l.facts["outcome"]["optionId"].as_str().unwrap_or("none").to_owned();
    akkd.agent().all("permission").iter().map(outcome).collect()
}

async fn settled(akkd: &Daemon, id: &ConversationId) -> Vec<PermissionSettled> {
    let events = akkd.events(id).await.into_iter();
    events
        .filter_map(|e| match e.body {
            EventBody::PermissionSettled(s) => Some(s),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn an_agent_asks_a_person_answers_on_the_command_line_and_the_agent_goes_on() {
    let akkd = Daemon::start().await;
    let script = "perm2 rm -rf build\nsay went on";
    let (id, c) = asked(&akkd, script).await;
    assert_eq!(
        (c.status, c.needs, c.permissions),
        (Status::WaitingForAgent, Some(Need::Permission), PermissionPolicy::Ask)
    );
    let [request] = &c.permission_requests[..] else { panic!("{c:#?}") };
    assert_eq!(
        (request.title.as_str(), request.kind.as_deref(), request.deadline),
        ("rm -rf build", Some("execute"), None)
    );
    assert!(request.text.contains("\"command\": \"rm -rf build\""), "{}", request.text);

    let short = &id.as_str()[id.as_str().len() - 8..];
    let waited = akkd.ctl(&["wait", short]).await;
    assert_eq!(waited.code, Some(3));
    assert!(
        waited.stdout.contains("rm -rf build") && waited.stdout.contains(&format!("akkctl permit {short} allow")),
        "{waited:?}"
    );
    let got: GetAnswer = akkd.ctl(&["--json", "status", short]).await.ok().json();
    assert_eq!(got.conversation.permission_requests, c.permission_requests);
    let list: ListAnswer = akkd.ctl(&["--json", "list"]).await.ok().json();
    assert_eq!(list.conversations[0].needs, Some(Need::Permission));

    let output = akkd.ctl(&["delegate", "--wait", "perm rm other"]).await;
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.stdout.contains("rm other"), "{output:?}");
    akkd.ctl(&["permit", "@last", "deny"]).await.ok();

    assert_eq!(akkd.ctl(&["permit", short, "00000000", "allow"]).await.code, Some(5));
    akkd.ctl(&["permit", short, &request.nonce, "allow"]).await.ok();
    let done: WaitAnswer = akkd.ctl(&["--json", "wait", short]).await.ok().json();
    assert_eq!(done.message.unwrap().body, "permission: allow_once\nwent on");
    let c = done.conversation.unwrap();
    assert!(c.needs.is_none() && c.permission_requests.is_empty());
    let list: ListAnswer = akkd.ctl(&["--json", "list"]).await.ok().json();
    assert!(list.conversations.iter().all(|c| c.needs.is_none()));
    let again = akkd.ctl(&["permit", short, &request.nonce, "allow"]).await;
    assert_eq!(again.code, Some(5), "an answer is good for one request: {again:?}");
    assert!(akkd.ctl(&["status", short, "--trace"]).await.ok().stdout.contains("asks for permission"));
    let names = akkd.event_names(&id).await;
    assert!(names.contains(&"permission_answered"), "{names:?}");
}

#[tokio::test]
async fn a_refusal_and_a_grant_for_good_are_chosen_by_the_kind_of_the_option() {
    let akkd = Daemon::start().await;
    for (answer, said) in [
        (Permit::Deny, "permission: reject_once"),
        (Permit::AllowAlways, "permission: allow_always"),
        (Permit::Allow, "permission: allow_once"),
    ] {
        let (id, _) = asked(&akkd, "perm2 rm x").await;
        permit(&akkd, &id, None, answer).await.unwrap();
        assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, said);
    }
    // Not offered: the only request waits on.
    let (id, c) = asked(&akkd, "perm rm x").await;
    let offered = c.permission_requests[0].answers.iter().map(|choice| (choice.answer, choice.name.as_str()));
    assert!(offered.eq([(Permit::Allow, "Allow"), (Permit::Deny, "Reject")]));
    assert_eq!(permit(&akkd, &id, None, Permit::AllowAlways).await.unwrap_err().kind, ErrorKind::InvalidParams);
    permit(&akkd, &id, None, Permit::Deny).await.unwrap();
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "permission: reject_once");
}

#[tokio::test]
async fn a_request_that_waits_survives_a_killed_akkd() {
    let mut akkd = Daemon::start().await;
    let script = "perm rm x\nsay survived";
    let (id, before) = asked(&akkd, script).await;
    akkd.restart().await;
    let c = akkd.wait_need(&id, Need::Permission).await.conversation.unwrap();
    assert_eq!(c.permission_requests, before.permission_requests, "the same request, not another one");
    permit(&akkd, &id, Some(&c.permission_requests[0].nonce), Permit::Allow).await.unwrap();
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "permission: allow_once\nsurvived");
    assert_eq!((outcomes(&akkd), akkd.agent().prompts(script).len()), (vec!["yes".to_owned()], 1));
    let asked = akkd.event_names(&id).await.iter().filter(|n| **n == "permission_requested").count();
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn an_answer_that_akkd_gave_right_before_it_was_killed_reaches_the_agent_once() {
    for _ in 0..3 {
        let mut akkd = Daemon::start().await;
        let (id, _) = asked(&akkd, "perm rm x\nsay after").await;
        permit(&akkd, &id, None, Permit::Allow).await.unwrap();
        akkd.restart().await;
        assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "permission: allow_once\nafter");
        assert_eq!(outcomes(&akkd), ["yes"]);
        assert_eq!(settled(&akkd, &id).await.len(), 1);
    }
}

#[tokio::test]
async fn cancel_and_close_answer_what_waits_and_take_no_answer_after_it() {
    let akkd = Plan::default().cancel_grace(30).start().await;
    for close in [false, true] {
        let (id, c) = asked(&akkd, "perm rm x\nsay never").await;
        let nonce = &c.permission_requests[0].nonce;
        if close {
            akkd.ctl(&["close", id.as_str()]).await.ok();
        } else {
            akkd.rpc().cancel(params(&id)).await.unwrap();
        }
        let late = permit(&akkd, &id, Some(nonce), Permit::Allow).await.unwrap_err();
        assert_eq!(late.kind, ErrorKind::WrongStatus);
        let end = if close { Status::Cancelled } else { Status::Idle };
        akkd.until(&id, end).await;
        assert_eq!(permit(&akkd, &id, Some(nonce), Permit::Allow).await.unwrap_err().kind, ErrorKind::WrongStatus);
        let settled = settled(&akkd, &id).await;
        let [settled] = &settled[..] else { panic!("{settled:?}") };
        assert_eq!((settled.decision, settled.by), (PermissionDecision::Cancelled, SettledBy::Cancel));
        let did = activity(&akkd, &id).await;
        assert!(!serde_json::to_string(&did).unwrap().contains("output of rm x"), "nothing was done: {did:?}");
    }
    wait_for("the answers at the agents", async || (outcomes(&akkd) == ["none", "none"]).then_some(())).await;
}

#[tokio::test]
async fn a_cancel_that_akkd_did_not_live_to_pass_on_is_passed_on_with_the_answer() {
    let mut akkd = Daemon::start().await;
    let (id, _) = asked(&akkd, "perm rm x\nsay never").await;
    akkd.rpc().cancel(params(&id)).await.unwrap();
    akkd.restart().await;
    akkd.until(&id, Status::Idle).await;
    assert_eq!(permit(&akkd, &id, None, Permit::Allow).await.unwrap_err().kind, ErrorKind::WrongStatus);
}

#[tokio::test]
async fn a_limit_refuses_what_nobody_answers_and_without_one_silence_is_no_stall() {
    use akk_proto::event::Created;
    // A limit is minutes long: what it does when it is over is core's, and tested there. Here: that it is set.
    let akkd = Plan::default().timeouts("permission_minutes = 3").start().await;
    let (id, c) = asked(&akkd, "perm rm x").await;
    let request = &c.permission_requests[0];
    assert_eq!(request.deadline.unwrap().millis_since(request.asked_at), 180_000);
    let created: Option<Created> = akkd.events(&id).await.into_iter().find_map(|e| match e.body {
        EventBody::ConversationCreated(created) => Some(*created),
        _ => None,
    });
    assert_eq!(created.unwrap().permission_minutes, Some(3));
    permit(&akkd, &id, None, Permit::Deny).await.unwrap();
    akkd.wait_need(&id, Need::Done).await;
}

#[tokio::test]
async fn an_agent_cannot_permit_itself() {
    let akkd = Daemon::start().await;
    // The agent's own akkctl, from inside its turn: it asks in one conversation and tries to permit another's request.
    let (id, _) = asked(&akkd, "perm rm x\nsay asked").await;
    let words = format!("akkctl permit {id} allow");
    let (other, answer) = akkd.done(&words).await;
    assert_eq!(answer.need, Some(Need::Done), "{other}");
    let said = answer.message.unwrap().body;
    assert!(said.contains("exit 5") && said.contains("started by an agent"), "{said}");
    assert_eq!(akkd.get(&id).await.needs, Some(Need::Permission));
    permit(&akkd, &id, None, Permit::Deny).await.unwrap();
    akkd.wait_need(&id, Need::Done).await;
}

#[tokio::test]
async fn the_orchestrator_is_told_what_is_asked_for() {
    let akkd = Daemon::start().await;
    let task = DelegateParams { orchestrator: Some("agent:main:main".into()), ..akkd.task("perm rm x") };
    let id = akkd.delegate_as(task).await.conversation.conversation_id;
    let c = akkd.wait_need(&id, Need::Permission).await.conversation.unwrap();
    assert_eq!(c.undelivered, 1);
    let waiting =
        akkd.rpc().get(ConversationParams { request_id: None, conversation_id: id.to_string() }).await.unwrap();
    let [row] = &waiting.deliveries[..] else { panic!("{waiting:#?}") };
    assert_eq!(row.kind, "permission");
    assert!(row.preview.contains(&c.permission_requests[0].nonce), "{}", row.preview);
    permit(&akkd, &id, None, Permit::Allow).await.unwrap();
    akkd.wait_need(&id, Need::Done).await;
}

#[tokio::test]
async fn nobody_can_be_asked_over_acpx() {
    let akkd = Plan::default().tables("[agents.other]\ntransport = \"acpx\"").start().await;
    let task =
        DelegateParams { agent: Some("other".into()), permissions: Some(PermissionPolicy::Ask), ..akkd.task("x") };
    let refused = Refusal::of(akkd.rpc().delegate(task).await.unwrap_err());
    assert_eq!(refused.kind, ErrorKind::InvalidParams);
    assert!(akkd.rpc().list(ListParams::default()).await.unwrap().conversations.is_empty());
}
