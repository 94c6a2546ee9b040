//! Sessions of the shared daemon that a terminal shows: joined where they live.

use crate::takeover::{blocked, goes_on};
use akk_proto::ConversationId;
use akk_proto::api::{ControlClient as _, SendParams};
use akk_proto::conversation::{Need, PermissionPolicy, Status};
use akk_proto::error::ErrorKind;
use akk_proto::event::TurnOutcome;
use akk_proto::session::{BlockReason, ProcessKind, SessionActivity, Strategy, TakeoverParams, TakeoverStatus};
use akk_tests::codex::say;
use akk_tests::daemon::params;
use akk_tests::native::wanted;
use akk_tests::terminal::Terminal;
use akk_tests::{Native, wait_for};

/// A terminal of the shared daemon, and its session.
pub(crate) async fn shared(akkd: &Native) -> (Terminal, String) {
    let terminal = akkd.codex.shared_terminal(&[]).await;
    say(&terminal, "The word is swordfish.;;SAY Noted.").await;
    terminal.shows("• Noted.").await;
    let held = async || {
        let active = akkd.discover(akk_proto::session::DiscoverScope::Active).await.sessions;
        active.into_iter().find(|s| s.holders.iter().any(|h| h.kind == ProcessKind::Daemon))
    };
    let id = wait_for("the session that the daemon holds", held).await.session_id;
    (terminal, id)
}

/// Waits until the list shows that no turn runs in a session.
async fn free(akkd: &Native, session: &str) {
    akkd.seen(session, |s| s.activity == SessionActivity::Idle).await;
}

/// Sends a message as soon as the person's turn is over. The terminal shows the last text of a turn, and the list may
/// show what was before it, a moment before the daemon that runs it has ended it; until then a message is refused.
pub(crate) async fn send_when_free(akkd: &Native, conversation: &ConversationId, message: &str) {
    let sent = async || match akkd.try_send(conversation, message).await {
        Ok(_) => Some(()),
        Err(refused) => {
            assert_eq!(refused.kind, ErrorKind::SessionWorking, "{refused:?}");
            None
        }
    };
    wait_for("the turn of the person to be over", sent).await;
}

with_codex!(a_session_of_the_shared_daemon_is_joined_and_the_terminal_shows_what_is_sent, akkd, {
    let _daemon = akkd.codex.shared_daemon().await;
    let (terminal, id) = shared(&akkd).await;
    blocked(&akkd.plan(&id, Strategy::SafeResume).await, BlockReason::ActiveCliConflict);
    let plan = akkd.plan(&id, Strategy::Attach).await;
    assert_eq!(plan.status, TakeoverStatus::Ready, "{plan:#?}");
    assert_eq!(plan.resume.as_ref().unwrap().way, "app_server");
    let params = TakeoverParams { create_conversation: true, ..wanted(&id, Strategy::Attach) };
    let joined = akkd.takeover(params).await;
    assert_eq!(joined.status, TakeoverStatus::Attached, "{joined:#?}");
    goes_on(&akkd, &joined).await;
    terminal.shows("• It was swordfish.").await;
    say(&terminal, "SAY I am here too").await;
    terminal.shows("• I am here too").await;
    let conversation = joined.conversation.unwrap().conversation_id;
    send_when_free(&akkd, &conversation, "SAY So am I").await;
    assert_eq!(akkd.wait_need(&conversation, Need::Done).await.message.unwrap().body, "So am I");
    terminal.shows("• So am I").await;
    assert!(akkd.codex.model.prompts("So am I")[0].knows("I am here too"));
});

with_codex!(a_message_is_never_mixed_into_the_turn_of_the_person_at_the_terminal, akkd, {
    let _daemon = akkd.codex.shared_daemon().await;
    let (terminal, id) = shared(&akkd).await;
    let conversation = akkd.adopt_by(&id, Strategy::Attach).await;
    say(&terminal, "HOLD the line;;SAY mine is done").await;
    akkd.codex.model.prompted("HOLD the line").await;
    let refused = akkd.try_send(&conversation, "SAY too early").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::SessionWorking, "{refused:?}");
    assert_eq!(akkd.get(&conversation).await.status, Status::Idle, "nothing was recorded");
    akkd.codex.model.let_go("the line");
    terminal.shows("• mine is done").await;
    send_when_free(&akkd, &conversation, "SAY then mine").await;
    assert_eq!(akkd.wait_need(&conversation, Need::Done).await.message.unwrap().body, "then mine");
    terminal.shows("• then mine").await;
    assert!(akkd.codex.model.prompts("SAY then mine")[0].knows("mine is done"));
    assert!(akkd.codex.model.prompts("too early").is_empty());
});

with_codex!(a_cancelled_turn_in_the_shared_daemon_leaves_the_terminal_to_the_person, akkd, {
    let _daemon = akkd.codex.shared_daemon().await;
    let (terminal, id) = shared(&akkd).await;
    let conversation = akkd.adopt_by(&id, Strategy::Attach).await;
    send_when_free(&akkd, &conversation, "HOLD for ever").await;
    akkd.codex.model.prompted("HOLD for ever").await;
    akkd.rpc().cancel(params(&conversation)).await.unwrap();
    let c = akkd.until(&conversation, Status::Idle).await;
    assert_eq!(c.turn.unwrap().outcome, Some(TurnOutcome::Cancelled));
    free(&akkd, &id).await;
    say(&terminal, "SAY I am here still").await;
    terminal.shows("• I am here still").await;
    akkd.close(&conversation).await;
    say(&terminal, "SAY and now").await;
    terminal.shows("• and now").await;
});

with_codex!(what_the_agent_in_the_shared_daemon_asks_for_the_person_can_allow, akkd, {
    let _daemon = akkd.codex.shared_daemon().await;
    let (terminal, id) = shared(&akkd).await;
    // By the policy it would not be done.
    let permissions = Some(PermissionPolicy::Deny);
    let params = TakeoverParams { create_conversation: true, permissions, ..wanted(&id, Strategy::Attach) };
    let conversation = akkd.takeover(params).await.conversation.unwrap().conversation_id;
    send_when_free(&akkd, &conversation, "ESCALATE touch made;;SAY it is made").await;
    let question = "Would you like to run the following command?";
    terminal.shows(question).await;
    assert_eq!(akkd.get(&conversation).await.status, Status::WaitingForAgent);
    let made = akkd.home.workspace().join("made");
    let answered = async || {
        // Codex takes no notice of a key that comes too soon after the question. That the question is not shown says
        // nothing: the screen may be in the middle of being painted.
        terminal.keys("y");
        made.exists().then_some(())
    };
    wait_for("the answer to be taken", answered).await;
    assert_eq!(akkd.wait_need(&conversation, Need::Done).await.message.unwrap().body, "it is made");
    let did = serde_json::to_string(&crate::delegate::activity(&akkd, &conversation).await).unwrap();
    assert!(did.contains("approval asked for"), "{did}");
});

with_codex!(a_shared_daemon_that_is_killed_in_a_turn_is_told_and_nothing_is_sent_twice, akkd, {
    let daemon = akkd.codex.shared_daemon().await;
    let (terminal, id) = shared(&akkd).await;
    let conversation = akkd.adopt_by(&id, Strategy::Attach).await;
    send_when_free(&akkd, &conversation, "HOLD for ever").await;
    akkd.codex.model.prompted("HOLD for ever").await;
    daemon.kill9().await;
    drop(terminal);
    let stalled = akkd.wait_need(&conversation, Need::Stalled).await.conversation.unwrap();
    assert!(stalled.stalled_reason.is_some());
    akkd.send(&conversation, "SAY into the void").await;
    let told = akkd.wait_need(&conversation, Need::Stalled).await.conversation.unwrap();
    assert!(told.stalled_reason.as_ref().unwrap().contains("codex resume"), "{told:#?}");

    let _daemon = akkd.codex.shared_daemon().await;
    let terminal = akkd.codex.shared_terminal(&["resume", &id]).await;
    terminal.shows("• Noted.").await;
    akkd.send(&conversation, "SAY here I am").await;
    assert_eq!(akkd.wait_need(&conversation, Need::Done).await.message.unwrap().body, "here I am");
    terminal.shows("• here I am").await;
    assert_eq!(akkd.codex.model.prompts("HOLD for ever").len(), 1);
    assert!(akkd.codex.model.prompts("SAY into the void").is_empty());
});

with_codex!(a_model_that_is_refused_in_the_shared_daemon_is_asked_for, akkd, {
    let _daemon = akkd.codex.shared_daemon().await;
    let (_terminal, id) = shared(&akkd).await;
    let conversation = akkd.adopt_by(&id, Strategy::Attach).await;
    akkd.codex.model.refuse_model("gpt-fake");
    send_when_free(&akkd, &conversation, "SAY works with the other").await;
    akkd.wait_need(&conversation, Need::NeedsModelSelection).await;
    let again = SendParams {
        conversation_id: conversation.to_string(),
        model: Some("gpt-other".into()),
        ..SendParams::default()
    };
    akkd.rpc().send(again).await.unwrap();
    assert_eq!(akkd.wait_need(&conversation, Need::Done).await.message.unwrap().body, "works with the other");
    let asked = akkd.codex.model.prompts("works with the other");
    assert_eq!(asked.iter().map(|a| a.model.as_str()).collect::<Vec<_>>(), ["gpt-fake", "gpt-other"]);
});

with_codex!(a_killed_akkd_finds_its_turn_in_the_shared_daemon_again, mut akkd, {
    let _daemon = akkd.codex.shared_daemon().await;
    let (terminal, id) = shared(&akkd).await;
    let conversation = akkd.adopt_by(&id, Strategy::Attach).await;
    send_when_free(&akkd, &conversation, "HOLD the line;;SAY survived").await;
    akkd.codex.model.prompted("HOLD the line").await;
    akkd.akkd().restart().await;
    akkd.codex.model.let_go("the line");
    assert_eq!(akkd.wait_need(&conversation, Need::Done).await.message.unwrap().body, "survived");
    assert_eq!(akkd.codex.model.prompts("HOLD the line").len(), 1);
    terminal.shows("• survived").await;
});
