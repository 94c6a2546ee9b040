//! Agents report with akk's tools, and by drops: from inside the sandboxes of codex, and over every transport.

use crate::delegate::messages;
use akk_proto::ConversationId;
use akk_proto::api::ControlClient as _;
use akk_proto::conversation::{Need, Status, Transport};
use akk_proto::event::{EventBody, Origin, TurnOutcome};
use akk_proto::message::MessageType;
use akk_tests::binaries::binaries;
use akk_tests::daemon::params;
use akk_tests::model::Asked;
use akk_tests::{Daemon, Native, Plan, ctl, peers, wait_for};
use serde_json::Value;

/// A session with this sandbox, and its conversation.
async fn adopted(akkd: &Native, sandbox: &str) -> ConversationId {
    let session = akkd.codex.session_with(&["-s", sandbox], "SAY Noted.").await;
    akkd.listed(&session).await;
    akkd.adopt(&session).await
}

/// How the last message of this type came, and what it says.
async fn reported(akkd: &Native, id: &ConversationId, kind: MessageType) -> (Origin, String) {
    let of = |body: EventBody| match body {
        EventBody::Message(m) if m.message.kind == kind => Some((m.origin, m.message.body)),
        _ => None,
    };
    akkd.events(id).await.into_iter().filter_map(|e| of(e.body)).next_back().unwrap()
}

/// What the model got from the last tool that it used.
fn brought(asked: &Asked) -> String {
    let is_output = |item: &&Value| item["type"].as_str().is_some_and(|t| t.ends_with("_output"));
    asked.body["input"].as_array().unwrap().iter().rfind(is_output).unwrap()["output"].to_string()
}

/// The command that a prompt asks an agent to report with.
fn callback(id: &ConversationId, json: &str) -> String {
    format!("{} callback --conversation {id} --turn turn-1 '{json}'", binaries().akkctl.display())
}

/// What lies in the drop folder of a conversation, below akkd's own folder.
fn dropped(akkd: &Native, id: &ConversationId) -> Vec<String> {
    let folder = akkd.home.akk().join("drops").join(id.as_str());
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.file_name().into_string().unwrap());
    names.collect()
}

with_codex!(in_every_sandbox_the_tools_reach_akkd, akkd, {
    for sandbox in ["read-only", "workspace-write"] {
        let id = adopted(&akkd, sandbox).await;
        let done = format!(r#"{{"body":"done in {sandbox}","turn":"turn-1","metadata":{{"files":3}}}}"#);
        akkd.send(&id, &format!("TOOL report_progress half way;;TOOL report_done {done};;SAY bye {sandbox}")).await;
        akkd.wait_need(&id, Need::Done).await;
        let asked = akkd.codex.model.told(&format!("bye {sandbox}"), 2).await;
        assert!(brought(&asked).contains("ok done: idle"), "{}", brought(&asked));
        akkd.turn_over(&id).await;
        assert_eq!(reported(&akkd, &id, MessageType::Progress).await, (Origin::Callback, "half way".into()));
        assert_eq!(reported(&akkd, &id, MessageType::Done).await, (Origin::Callback, format!("done in {sandbox}")));
        let done = messages(&akkd, &id).await.into_iter().filter(|(kind, _)| *kind == MessageType::Done).count();
        assert_eq!(done, 1, "its last words are no second report");
    }
});

with_codex!(what_a_tool_cannot_report_is_told_to_the_model_and_the_turn_goes_on, akkd, {
    let id = adopted(&akkd, "read-only").await;
    akkd.send(&id, r#"TOOL report_done {"body":""};;TOOL report_done {"body":"x","turn":"turn-9"};;SAY I see."#).await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "I see.");
    let first = brought(&akkd.codex.model.told("I see.", 1).await);
    assert!(first.contains("\\\"body\\\" is empty"), "{first}");
    let second = brought(&akkd.codex.model.told("I see.", 2).await);
    assert!(second.contains("turn-9 does not exist"), "{second}");
});

with_codex!(a_question_is_answered_inside_the_turn_that_asks_it, akkd, {
    let id = adopted(&akkd, "read-only").await;
    akkd.send(&id, "TOOL ask_question A or B?;;TOOL report_done I took it.;;SAY bye").await;
    assert_eq!(akkd.wait_need(&id, Need::Question).await.message.unwrap().body, "A or B?");
    akkd.send(&id, "B, since it is smaller").await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "I took it.");
    let asked = akkd.codex.model.told("A or B?", 1).await;
    assert!(brought(&asked).contains("B, since it is smaller"), "{}", brought(&asked));
    let c = akkd.turn_over(&id).await;
    assert_eq!((c.status, c.turn.unwrap().turn_id.as_str(), c.queued.len()), (Status::Idle, "turn-1", 0));
    assert!(akkd.codex.model.prompts("B, since it is smaller").is_empty(), "it is told once");
    let names = akkd.event_names(&id).await;
    assert!(names.contains(&"question_answered"), "{names:?}");
});

with_codex!(a_question_waits_over_a_restart_of_akkd, mut akkd, {
    let id = adopted(&akkd, "read-only").await;
    akkd.send(&id, "TOOL ask_question A or B?;;TOOL report_done I took it.;;SAY bye").await;
    akkd.wait_need(&id, Need::Question).await;
    akkd.akkd().restart().await;
    // Until the tool waits again, a message would go behind the turn.
    let answered = async || akkd.event_names(&id).await.contains(&"question_answered").then_some(());
    akkd.send(&id, "B").await;
    wait_for("the answer to be taken", answered).await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "I took it.");
    assert_eq!(akkd.turn_over(&id).await.turn.unwrap().turn_id.as_str(), "turn-1");
});

with_codex!(a_cancel_ends_the_wait_for_an_answer, akkd, {
    let id = adopted(&akkd, "read-only").await;
    akkd.send(&id, "TOOL ask_question A or B?;;SAY bye").await;
    akkd.wait_need(&id, Need::Question).await;
    akkd.rpc().cancel(params(&id)).await.unwrap();
    akkd.until(&id, Status::Idle).await;
    akkd.send(&id, "SAY anew").await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "anew");
});

with_codex!(where_the_workspace_can_be_written_a_report_is_left_for_akkd, akkd, {
    let id = adopted(&akkd, "workspace-write").await;
    let run = callback(&id, r#"{"type":"done","body":"left from the sandbox"}"#);
    akkd.send(&id, &format!("RUN {run};;SAY I have left it.")).await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "left from the sandbox");
    let told = brought(&akkd.codex.model.told("I have left it.", 1).await);
    assert!(told.contains("ok done: left for akkd"), "{told}");
    assert_eq!(reported(&akkd, &id, MessageType::Done).await.0, Origin::Callback);
    akkd.turn_over(&id).await;
    assert!(dropped(&akkd, &id).is_empty(), "{:?}", dropped(&akkd, &id));
});

with_codex!(where_nothing_can_be_written_the_command_points_to_the_tools, akkd, {
    let id = adopted(&akkd, "read-only").await;
    let run = callback(&id, r#"{"type":"done","body":"x"}"#);
    akkd.send(&id, &format!("RUN {run};;TOOL report_done by the tool then;;SAY bye")).await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "by the tool then");
    let told = brought(&akkd.codex.model.told("by the tool then", 1).await);
    assert!(told.contains("cannot be left in") && told.contains("reporting tools of akk"), "{told}");
});

with_codex!(what_is_reported_while_akkd_is_down_counts_for_its_turn, mut akkd, {
    let id = adopted(&akkd, "read-only").await;
    akkd.send(&id, "HOLD the line;;TOOL report_done said to nobody;;SAY and over").await;
    akkd.codex.model.prompted("HOLD the line").await;
    akkd.akkd().kill9();
    akkd.codex.model.let_go("the line");
    let told = brought(&akkd.codex.model.told("and over", 1).await);
    assert!(told.contains("ok done: left for akkd"), "{told}");
    assert_eq!(dropped(&akkd, &id).len(), 1);
    akkd.akkd().start_again().await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "said to nobody");
    let c = akkd.turn_over(&id).await;
    assert_eq!(c.status, Status::Idle);
    let done: Vec<_> = messages(&akkd, &id).await.into_iter().filter(|(kind, _)| *kind == MessageType::Done).collect();
    assert_eq!(done.len(), 1, "{done:?}");
    assert!(dropped(&akkd, &id).is_empty());
});

/// What the tools brought to the scriptable agent.
fn tools(akkd: &Daemon) -> Vec<(bool, String)> {
    akkd.agent().all("mcp").iter().map(|l| (l.facts["ok"] == true, l.text("output").to_owned())).collect()
}

#[tokio::test]
async fn an_agent_over_acp_is_offered_the_tools_in_every_turn() {
    let akkd = Daemon::start().await;
    let id = akkd.delegate("mcp report_progress half\nmcp report_done all of it").await.conversation.conversation_id;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "all of it");
    akkd.turn_over(&id).await;
    akkd.send(&id, "mcp report_blocked no key").await;
    assert_eq!(akkd.wait_need(&id, Need::Blocked).await.message.unwrap().body, "no key");
    akkd.turn_over(&id).await;
    assert!(tools(&akkd).iter().all(|(ok, said)| *ok && said.starts_with("ok ")), "{:?}", tools(&akkd));
    let shown = akkd.get(&id).await;
    let command = format!("{:?}", shown.turn);
    assert!(!command.contains("AKK_TICKET"), "{command}");
}

#[tokio::test]
async fn a_session_that_is_reached_again_is_offered_the_tools_of_its_new_process() {
    let akkd = Plan::default().warm_minutes(0).start().await;
    let (id, _) = akkd.done("mcp report_done one").await;
    akkd.turn_over(&id).await;
    akkd.send(&id, "mcp report_done two").await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "two");
    // The report is here before the agent has written down that it made it.
    akkd.turn_over(&id).await;
    let pids: Vec<u32> = akkd.agent().all("mcp").iter().map(|l| l.pid).collect();
    assert!(pids.len() == 2 && pids[0] != pids[1], "{pids:?}");
}

#[tokio::test]
async fn a_question_over_acp_brings_its_answer_and_is_left_by_a_cancel() {
    let akkd = Daemon::start().await;
    let id = akkd.delegate("mcp ask_question A or B?\nmcp report_done thanks").await.conversation.conversation_id;
    akkd.wait_need(&id, Need::Question).await;
    akkd.send(&id, "B").await;
    akkd.wait_need(&id, Need::Done).await;
    akkd.turn_over(&id).await;
    let said = tools(&akkd);
    assert!(said[0].1.contains("The orchestrator says (answer):\n\nB\n"), "{said:?}");
    assert_eq!(akkd.agent().all("prompt").len(), 1, "it is told once");

    akkd.send(&id, "mcp ask_question and now?").await;
    akkd.wait_need(&id, Need::Question).await;
    akkd.rpc().cancel(params(&id)).await.unwrap();
    let c = akkd.until(&id, Status::Idle).await;
    assert_eq!(c.turn.unwrap().outcome, Some(TurnOutcome::Cancelled));
}

#[tokio::test]
async fn two_answers_to_one_question_are_both_told_and_in_order() {
    let akkd = Daemon::start().await;
    let id = akkd.delegate("mcp ask_question A or B?\nmcp report_done thanks").await.conversation.conversation_id;
    akkd.wait_need(&id, Need::Question).await;
    akkd.send(&id, "B").await;
    // Behind the turn, or as the next one: that is a matter of time.
    akkd.send(&id, "say and a word more").await;
    let more = async || akkd.agent().prompts("say and a word more").pop();
    wait_for("the second message", more).await;
    akkd.turn_over(&id).await;
    assert_eq!(akkd.agent().all("prompt").len(), 2);
}

#[tokio::test]
async fn what_an_agent_leaves_while_akkd_is_down_is_taken_in_at_its_start() {
    let mut akkd = Daemon::start().await;
    let id = akkd.delegate("env AKK_DROP_DIR\nenv AKK_TICKET\nsleep 600").await.conversation.conversation_id;
    akkd.prompted("env AKK_DROP_DIR\nenv AKK_TICKET\nsleep 600").await;
    let uid = nix::unistd::getuid().as_raw();
    let state = akkd.home.akk().canonicalize().unwrap();
    let folder = akk_proto::drops::temporary_root(&akkd.home.temporary(), uid, &state).join(id.as_str());
    assert!(folder.is_dir(), "{}", folder.display());
    akkd.kill9();
    let launches = std::fs::read_dir(akkd.home.akk().join("launches")).unwrap();
    let ticket =
        launches.flatten().map(|l| l.path().join("ticket")).find(|t| t.exists()).expect("a launch has a ticket");
    for (turn, report) in
        [("turn-1", r#"{"type":"progress","body":"first"}"#), ("turn-1", r#"{"type":"done","body":"second"}"#)]
    {
        let words = [
            "callback",
            "--conversation",
            id.as_str(),
            "--turn",
            turn,
            "--ticket-file",
            ticket.to_str().unwrap(),
            report,
        ];
        let output = ctl::command(&akkd.home, &words).env("AKK_DROP_DIR", &folder).output().await.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && said.contains("left for akkd"), "{said}");
    }
    std::os::unix::fs::symlink("/etc/passwd", folder.join("00.json")).unwrap();
    akkd.start_again().await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "second");
    assert_eq!(reported_by(&akkd, &id).await, ["first", "second"]);
    let refused = akkd.events(&id).await.into_iter().find_map(|e| match e.body {
        EventBody::DropRefused { file, reason } => Some((file, reason)),
        _ => None,
    });
    assert_eq!(refused, Some(("00.json".into(), "it is a symbolic link".into())));
}

async fn reported_by(akkd: &Daemon, id: &ConversationId) -> Vec<String> {
    let of = |body: EventBody| match body {
        EventBody::Message(m) if m.origin == Origin::Callback => Some(m.message.body),
        _ => None,
    };
    akkd.events(id).await.into_iter().filter_map(|e| of(e.body)).collect()
}

#[tokio::test]
async fn over_the_real_acpx_the_agent_has_the_tools() {
    if peers::peers("over_the_real_acpx_the_agent_has_the_tools").is_none() {
        return;
    }
    let akkd = Plan::default().over(Transport::Acpx).start().await;
    let id = akkd.delegate("mcp report_done by the tool").await.conversation.conversation_id;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "by the tool");
    akkd.turn_over(&id).await;
    akkd.send(&id, "mcp ask_question A or B?\nmcp report_done I see").await;
    akkd.wait_need(&id, Need::Question).await;
    akkd.send(&id, "B").await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "I see");
    assert!(tools(&akkd).iter().all(|(ok, _)| *ok), "{:?}", tools(&akkd));
}
