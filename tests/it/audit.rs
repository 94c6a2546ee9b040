//! Whoever asks for a change is written down: who, with what, and what came of it.

use akk_proto::ConversationId;
use akk_proto::api::{ControlClient as _, DelegateParams};
use akk_proto::audit::{AuditAnswer, AuditParams, AuditRow, AuditWay};
use akk_proto::conversation::Need;
use akk_tests::binaries::binaries;
use akk_tests::daemon::params;
use akk_tests::{Daemon, wait_for};
use std::path::{Path, PathBuf};

async fn audit(akkd: &Daemon, id: Option<&ConversationId>) -> Vec<AuditRow> {
    let params = AuditParams { conversation_id: id.map(ToString::to_string), ..AuditParams::default() };
    akkd.rpc().daemon_audit(params).await.unwrap().rows
}

/// Ways, methods and results, in order.
fn told(rows: &[AuditRow]) -> Vec<(AuditWay, &str, &str)> {
    rows.iter().map(|r| (r.via, r.method.as_str(), r.result.as_str())).collect()
}

fn executable(row: &AuditRow) -> PathBuf {
    Path::new(row.peer.as_ref().unwrap().executable.as_ref().unwrap()).canonicalize().unwrap()
}

#[tokio::test]
async fn every_call_that_changes_something_and_every_refused_one_has_a_row() {
    use AuditWay::{Callback, Control};
    let akkd = Daemon::start().await;
    let (id, answer) = akkd.done("callback done ok").await;
    assert_eq!(answer.need, Some(Need::Done));
    akkd.turn_over(&id).await;
    akkd.rpc().delete(params(&id)).await.unwrap_err();
    akkd.rpc().close(params_of_close(&id)).await.unwrap();
    akkd.try_send(&id, "more of the secret plan").await.unwrap_err();
    // Looks leave nothing.
    akkd.get(&id).await;
    akkd.rpc().list(akk_proto::api::ListParams::default()).await.unwrap();
    let rows = audit(&akkd, Some(&id)).await;
    assert_eq!(
        told(&rows),
        [
            (Control, "conversation.delegate", "ok"),
            (Callback, "callback.report", "ok"),
            (Control, "conversation.delete", "wrong_status"),
            (Control, "conversation.close", "ok"),
            (Control, "conversation.send", "wrong_status"),
        ]
    );
    let me = std::env::current_exe().unwrap().canonicalize().unwrap();
    for row in &rows {
        let peer = row.peer.as_ref().unwrap();
        let theirs = if row.via == Control { me.clone() } else { binaries().akkctl.canonicalize().unwrap() };
        assert_eq!((executable(row), peer.uid), (theirs, nix::unistd::geteuid().as_raw()));
        assert_eq!(peer.pid == Some(std::process::id()), row.via == Control);
    }
    let all = serde_json::to_string(&rows).unwrap();
    assert!(!all.contains("secret plan"), "{all}");

    // What names no conversation is refused, and noted too.
    let nowhere = DelegateParams { workspace: "/no/such/folder".into(), ..akkd.task("x") };
    akkd.rpc().delegate(nowhere).await.unwrap_err();
    let unknown = audit(&akkd, None).await.pop().unwrap();
    assert_eq!((unknown.result.as_str(), unknown.conversation_id), ("invalid_params", None));

    // The audit outlives the conversation.
    akkd.rpc().delete(params(&id)).await.unwrap();
    assert_eq!(told(&audit(&akkd, Some(&id)).await)[5], (Control, "conversation.delete", "ok"));
}

fn params_of_close(id: &ConversationId) -> akk_proto::api::CloseParams {
    akk_proto::api::CloseParams { request_id: None, conversation_id: id.to_string(), reason: Some("a secret".into()) }
}

#[tokio::test]
async fn who_answered_a_permission_request_is_on_record() {
    let akkd = Daemon::start().await;
    let id = akkd.delegate("perm2 rm -rf build").await.conversation.conversation_id;
    akkd.wait_need(&id, Need::Permission).await;
    let short = &id.as_str()[id.as_str().len() - 8..];
    let answered = akkd.ctl(&["permit", short, "deny"]).await;
    assert_eq!(answered.code, Some(0), "{answered:?}");
    akkd.wait_need(&id, Need::Done).await;
    let rows = audit(&akkd, Some(&id)).await;
    let row = rows.iter().find(|r| r.method == "conversation.permit").unwrap();
    assert_eq!((row.result.as_str(), executable(row)), ("ok", binaries().akkctl.canonicalize().unwrap()));
    assert!(row.peer.as_ref().unwrap().pid.is_some_and(|pid| pid != std::process::id()));

    let shown = akkd.ctl(&["daemon", "audit", "--conversation", short]).await;
    assert!(shown.stdout.contains("conversation.permit") && shown.stdout.contains("akkctl"), "{}", shown.stdout);
    let json = akkd.ctl(&["daemon", "audit", "--limit", "1", "--json"]).await;
    let answer: AuditAnswer = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((answer.rows.len(), answer.more), (1, true));
}

#[tokio::test]
async fn what_was_asked_of_an_akkd_that_was_killed_stays_on_record() {
    let mut akkd = Daemon::start().await;
    let (id, _) = akkd.done("say hello").await;
    akkd.turn_over(&id).await;
    akkd.send(&id, "hang").await;
    akkd.prompted("hang").await;
    akkd.restart().await;
    let rows = audit(&akkd, Some(&id)).await;
    let send = rows.iter().find(|r| r.method == "conversation.send").unwrap();
    // Its answer came before the end; the row of it may have come to the writer no more.
    assert!(["ok", "unfinished"].contains(&send.result.as_str()), "{send:?}");
    akkd.rpc().cancel(params(&id)).await.unwrap();
    akkd.turn_over(&id).await;
}

#[tokio::test]
async fn what_is_taken_from_the_drop_folder_has_a_row_without_a_process() {
    let mut akkd = Daemon::start().await;
    let id = akkd.delegate("hang").await.conversation.conversation_id;
    akkd.prompted("hang").await;
    akkd.kill9();
    let folder = akkd.home.akk().join("drops").join(id.as_str());
    std::fs::create_dir_all(&folder).unwrap();
    leave(&folder, &id);
    akkd.start_again().await;
    let taken = async || audit(&akkd, Some(&id)).await.into_iter().find(|r| r.via == AuditWay::Spool);
    let row = wait_for("the row of the drop", taken).await;
    assert_eq!((row.method.as_str(), row.result.as_str(), row.peer), ("callback.report", "ticket_refused", None));
    assert_eq!(row.request_id.unwrap().as_str(), "attempt-1");
    akkd.rpc().cancel(params(&id)).await.unwrap();
    akkd.turn_over(&id).await;
}

/// A report with a ticket that was made up.
fn leave(folder: &Path, id: &ConversationId) {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    for private in [folder.parent().unwrap(), folder] {
        std::fs::set_permissions(private, std::fs::Permissions::from_mode(0o700)).unwrap();
    }
    let report = akk_proto::drops::Drop::Report(akk_proto::api::ReportParams {
        conversation_id: id.clone(),
        ticket: "made up".into(),
        turn_id: None,
        attempt_id: Some("attempt-1".parse().unwrap()),
        message: r#"{"type":"done","body":"x"}"#.into(),
        waits: false,
    });
    let path = folder.join("01.json");
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    serde_json::to_writer(&mut file, &report).unwrap();
}
