//! What is sent to an adopted session continues the very same session of the real codex.

use akk_proto::ConversationId;
use akk_proto::api::{ControlClient as _, SendParams};
use akk_proto::conversation::{ConversationView, Need, Status, Transport};
use akk_proto::error::ErrorKind;
use akk_proto::event::TurnOutcome;
use akk_proto::session::{SessionActivity, SessionSource, Strategy};
use akk_tests::binaries::binaries;
use akk_tests::codex::say;
use akk_tests::daemon::params;
use akk_tests::{Native, processes, wait_for};
use serde_json::Value;
use std::path::PathBuf;

/// A session that remembers a word, and its conversation.
async fn adopted(akkd: &Native, options: &[&str]) -> (String, ConversationId) {
    let session = akkd.codex.session_with(options, "The word is swordfish.\nSAY Noted.").await;
    akkd.listed(&session).await;
    let id = akkd.adopt(&session).await;
    (session, id)
}

/// The body of the report or result of the turn that was just sent.
async fn said(akkd: &Native, id: &ConversationId) -> String {
    akkd.wait_need(id, Need::Done).await.message.unwrap().body
}

/// The rollouts of a codex home.
fn rollouts(akkd: &Native) -> Vec<PathBuf> {
    let is_one = |path: &PathBuf| path.to_str().is_some_and(|p| p.contains("/rollout-"));
    akkd.codex.listing().into_keys().filter(is_one).collect()
}

/// The records of a rollout with this type.
fn records(akkd: &Native, session: &str, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(akkd.codex.rollout(session)).unwrap();
    let records = text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    records.filter(|r| r["type"] == kind || r["payload"]["type"] == kind).collect()
}

/// The sandbox of the newest turn of a session.
fn sandbox(akkd: &Native, session: &str) -> String {
    let turn = records(akkd, session, "turn_context").pop().unwrap();
    turn["payload"]["sandbox_policy"]["type"].as_str().unwrap().to_owned()
}

with_codex!(a_message_continues_the_very_same_session, akkd, {
    let (session, id) = adopted(&akkd, &[]).await;
    let before = rollouts(&akkd);
    let adopted = akkd.get(&id).await;
    assert_eq!((adopted.status, adopted.executor.transport), (Status::Idle, Transport::Codex));
    assert_eq!(adopted.executor.native_session_id.as_deref(), Some(session.as_str()));
    assert!(adopted.native_session_takeover.unwrap().needs_bootstrap);

    akkd.send(&id, "SAY It was swordfish.").await;
    assert_eq!(said(&akkd, &id).await, "It was swordfish.");
    let c = akkd.turn_over(&id).await;
    assert_eq!(c.executor.native_session_id.as_deref(), Some(session.as_str()));
    assert!(!c.native_session_takeover.unwrap().needs_bootstrap);
    assert_eq!(rollouts(&akkd), before, "no new session was made");
    let asked = akkd.codex.model.prompts("It was swordfish.");
    assert_eq!(asked.len(), 1);
    assert!(asked[0].knows("The word is swordfish.") && asked[0].knows("Noted."), "the model sees what was before");
    assert!(asked[0].prompt.contains("This session existed before"), "{}", asked[0].prompt);
    assert_eq!(asked[0].model, "gpt-fake");
    let names = akkd.event_names(&id).await;
    for name in ["native_session_attached", "native_session_bootstrapped", "prompt_sent", "turn_ended"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let contexts = records(&akkd, &session, "turn_context");
    assert_eq!(contexts.len(), 2);
    assert_eq!(contexts[0]["payload"]["cwd"], contexts[1]["payload"]["cwd"]);
    assert_eq!(akkd.listed(&session).await.conversation_id, Some(id.clone()));

    akkd.send(&id, "SAY And again.").await;
    assert_eq!(said(&akkd, &id).await, "And again.");
    let again = akkd.codex.model.prompts("And again.");
    assert_eq!(again.len(), 1);
    assert!(again[0].knows("It was swordfish.") && !again[0].prompt.contains("This session existed before"));
    assert_eq!(rollouts(&akkd), before);
});

with_codex!(what_the_agent_does_is_its_trace, akkd, {
    let (_, id) = adopted(&akkd, &["-s", "workspace-write"]).await;
    akkd.send(&id, "RUN echo one two;;PATCH made.txt by the agent;;SAY Both done.").await;
    assert_eq!(said(&akkd, &id).await, "Both done.");
    assert_eq!(std::fs::read_to_string(akkd.home.workspace().join("made.txt")).unwrap().trim(), "by the agent");
    let did = serde_json::to_string(&crate::delegate::activity(&akkd, &id).await).unwrap();
    assert!(did.contains("echo one two") && did.contains("made.txt"), "{did}");
    assert_eq!(akkd.turn_over(&id).await.turn.unwrap().outcome, Some(TurnOutcome::Completed));
});

with_codex!(the_sandbox_of_the_session_holds_for_what_is_sent, akkd, {
    for mode in ["read-only", "workspace-write", "danger-full-access"] {
        let (session, id) = adopted(&akkd, &["-s", mode]).await;
        let resume = akkd.plan(&session, Strategy::SafeResume).await.resume;
        assert_eq!(resume.and_then(|r| r.sandbox).unwrap_or(mode.into()), mode);
        akkd.send(&id, &format!("SAY in {mode}")).await;
        assert_eq!(said(&akkd, &id).await, format!("in {mode}"));
        assert_eq!(sandbox(&akkd, &session), mode);
    }
});

with_codex!(what_the_configuration_allows_meanwhile_is_not_allowed_to_the_session, akkd, {
    use std::io::Write as _;
    let (session, id) = adopted(&akkd, &["-s", "workspace-write"]).await;
    let config = akkd.codex.home().join("config.toml");
    let mut config = std::fs::File::options().append(true).open(config).unwrap();
    config.write_all(b"\n[sandbox_workspace_write]\nnetwork_access = true\nwritable_roots = [\"/opt\"]\n").unwrap();
    akkd.send(&id, "SAY the same as before").await;
    assert_eq!(said(&akkd, &id).await, "the same as before");
    let mut turns = records(&akkd, &session, "turn_context");
    assert_eq!(turns.len(), 2);
    // But for the folder in which the agent can leave its reports.
    let roots = turns[1]["payload"]["sandbox_policy"].as_object_mut().unwrap().remove("writable_roots").unwrap();
    assert!(roots.as_array().unwrap().iter().all(|r| r.as_str().unwrap().ends_with(&format!("drops/{id}"))), "{roots}");
    turns[0]["payload"]["sandbox_policy"].as_object_mut().unwrap().remove("writable_roots");
    assert_eq!(turns[0]["payload"]["sandbox_policy"], turns[1]["payload"]["sandbox_policy"]);
    akkd.send(&id, "SAY once more").await;
    assert_eq!(said(&akkd, &id).await, "once more");
    let turns = records(&akkd, &session, "turn_context");
    assert_eq!(turns[2]["payload"]["sandbox_policy"]["writable_roots"], roots, "it is added once");
});

with_codex!(the_model_and_the_directory_of_the_session_hold_for_what_is_sent, akkd, {
    let below = akkd.home.workspace().join("below");
    std::fs::create_dir(&below).unwrap();
    let below = below.to_str().unwrap();
    let (session, id) = adopted(&akkd, &["-m", "gpt-own", "-C", below]).await;
    akkd.send(&id, "RUN pwd;;SAY looked").await;
    assert_eq!(said(&akkd, &id).await, "looked");
    let told = akkd.codex.model.told("SAY looked", 1).await;
    assert_eq!(told.model, "gpt-own");
    assert!(told.body["input"].as_array().unwrap().last().unwrap()["output"].to_string().contains(below));
    let contexts = records(&akkd, &session, "turn_context");
    assert_eq!(contexts.len(), 2);
    assert!(contexts.iter().all(|c| c["payload"]["cwd"] == below), "{contexts:#?}");
});

with_codex!(an_agent_with_full_access_reports_back_itself, akkd, {
    let (_, id) = adopted(&akkd, &["-s", "danger-full-access"]).await;
    let akkctl = binaries().akkctl.to_str().unwrap();
    let report = r#"{"type":"done","body":"reported from inside"}"#;
    let script = format!("RUN {akkctl} callback --conversation {id} --turn turn-1 '{report}';;SAY I have reported.");
    akkd.send(&id, &script).await;
    assert_eq!(said(&akkd, &id).await, "reported from inside");
    akkd.turn_over(&id).await;
    let told = akkd.codex.model.told("I have reported.", 1).await;
    assert!(told.body.to_string().contains("ok"), "what the command printed reached the model");
    assert_eq!(akkd.get(&id).await.status, Status::Idle);
});

with_codex!(an_agent_that_cannot_reach_akkd_has_its_last_word_taken_as_its_result, akkd, {
    let (_, id) = adopted(&akkd, &["-s", "read-only"]).await;
    let akkctl = binaries().akkctl.to_str().unwrap();
    let script = format!(
        "RUN {akkctl} callback --conversation {id} --turn turn-1 '{{\"type\":\"done\",\"body\":\"x\"}}';;SAY All that I found."
    );
    akkd.send(&id, &script).await;
    assert_eq!(said(&akkd, &id).await, "All that I found.");
});

with_codex!(a_cancel_is_recorded_by_codex_and_ends_its_tools, akkd, {
    let (session, id) = adopted(&akkd, &["-s", "danger-full-access"]).await;
    akkd.send(&id, "RUN exec sleep 4242").await;
    let sleeps = || processes::of(akkd.home.root()).into_iter().find(|p| p.command.starts_with("sleep 4242"));
    let tool = wait_for("the tool", async || sleeps()).await;
    akkd.rpc().cancel(params(&id)).await.unwrap();
    let c = akkd.until(&id, Status::Idle).await;
    assert_eq!(c.turn.unwrap().outcome, Some(TurnOutcome::Cancelled));
    wait_for("the tool's end", async || (!processes::lives(tool.pid)).then_some(())).await;
    assert_eq!(records(&akkd, &session, "turn_aborted").len(), 1);
    akkd.send(&id, "SAY still here").await;
    assert_eq!(said(&akkd, &id).await, "still here");
    assert_eq!(akkd.codex.model.prompts("sleep 4242").len(), 1);
});

with_codex!(close_ends_a_running_codex, akkd, {
    let (session, id) = adopted(&akkd, &[]).await;
    akkd.send(&id, "HOLD for ever").await;
    akkd.codex.model.prompted("HOLD for ever").await;
    akkd.close(&id).await;
    let free = async || akkd.active(&session).await.is_none_or(|s| s.holders.is_empty()).then_some(());
    wait_for("the session to be free", free).await;
    // It is the person's again.
    let terminal = akkd.codex.terminal(&["resume", &session]).await;
    say(&terminal, "SAY welcome back").await;
    terminal.shows("• welcome back").await;
});

with_codex!(our_own_turn_is_seen_as_ours, akkd, {
    let (session, id) = adopted(&akkd, &[]).await;
    akkd.send(&id, "HOLD the line;;SAY bye").await;
    akkd.codex.model.prompted("HOLD the line").await;
    let seen = akkd.seen(&session, |s| s.activity == SessionActivity::Working).await;
    assert_eq!(seen.source, SessionSource::Exec);
    assert_eq!(seen.holders.len(), 1, "{seen:#?}");
    assert_eq!(seen.holders[0].conversation_id, Some(id.clone()));
    akkd.codex.model.let_go("the line");
    assert_eq!(said(&akkd, &id).await, "bye");
});

with_codex!(a_refused_model_is_asked_for_and_the_session_goes_on_with_another, akkd, {
    let (session, id) = adopted(&akkd, &[]).await;
    akkd.codex.model.refuse_model("gpt-fake");
    akkd.send(&id, "SAY works with the other").await;
    let c = akkd.wait_need(&id, Need::NeedsModelSelection).await.conversation.unwrap();
    assert_eq!(c.model_selection.unwrap().attempted.as_deref(), Some("gpt-fake"));
    let again =
        SendParams { conversation_id: id.to_string(), model: Some("gpt-other".into()), ..SendParams::default() };
    akkd.rpc().send(again).await.unwrap();
    assert_eq!(said(&akkd, &id).await, "works with the other");
    let asked = akkd.codex.model.prompts("works with the other");
    let models: Vec<_> = asked.iter().map(|a| a.model.as_str()).collect();
    assert_eq!(models, ["gpt-fake", "gpt-other"]);
    assert_eq!(akkd.get(&id).await.executor.native_session_id, Some(session));
});

with_codex!(an_answer_that_breaks_off_stalls_the_conversation_and_nothing_is_sent_again, akkd, {
    let (_, id) = adopted(&akkd, &[]).await;
    for how in ["CUT", "FAIL it broke", "HTTP 500 no such luck"] {
        akkd.send(&id, how).await;
        let c: ConversationView = akkd.wait_need(&id, Need::Stalled).await.conversation.unwrap();
        assert!(c.stalled_reason.is_some());
        akkd.turn_over(&id).await;
        assert_eq!(akkd.codex.model.prompts(how).len(), 1);
    }
    akkd.send(&id, "SAY back again").await;
    assert_eq!(said(&akkd, &id).await, "back again");
});

with_codex!(a_session_that_a_person_took_meanwhile_is_left_alone, akkd, {
    let (session, id) = adopted(&akkd, &[]).await;
    let mut terminal = akkd.codex.terminal(&["resume", &session]).await;
    terminal.shows("Noted.").await;
    let refused = akkd.try_send(&id, "SAY I should not be said").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::ActiveWriter);
    assert!(refused.message.contains(&terminal.pid().to_string()), "{refused}");
    assert!(akkd.codex.model.prompts("I should not be said").is_empty());
    assert_eq!(akkd.get(&id).await.status, Status::Idle);

    say(&terminal, "/quit").await;
    terminal.ended().await;
    akkd.send(&id, "SAY my turn").await;
    assert_eq!(said(&akkd, &id).await, "my turn");
});

with_codex!(a_killed_akkd_finds_its_turn_again_and_prompts_once, mut akkd, {
    let (session, id) = adopted(&akkd, &[]).await;
    akkd.send(&id, "HOLD the line;;SAY survived").await;
    akkd.codex.model.prompted("HOLD the line").await;
    akkd.akkd().restart().await;
    assert_eq!(akkd.get(&id).await.status, Status::WaitingForAgent);
    akkd.codex.model.let_go("the line");
    assert_eq!(said(&akkd, &id).await, "survived");
    assert_eq!(akkd.codex.model.prompts("HOLD the line").len(), 1);
    assert_eq!(records(&akkd, &session, "task_complete").len(), 2);
});

with_codex!(a_turn_that_ends_while_akkd_is_down_has_its_result, mut akkd, {
    let (session, id) = adopted(&akkd, &[]).await;
    akkd.send(&id, "HOLD the line;;SAY said to nobody").await;
    akkd.codex.model.prompted("HOLD the line").await;
    akkd.akkd().kill9();
    akkd.codex.model.let_go("the line");
    let over = async || (records(&akkd, &session, "task_complete").len() == 2).then_some(());
    wait_for("the end of the turn in the rollout", over).await;
    akkd.akkd().start_again().await;
    assert_eq!(said(&akkd, &id).await, "said to nobody");
    assert_eq!(akkd.codex.model.prompts("HOLD the line").len(), 1);
});

with_codex!(a_message_of_900_kilobytes_reaches_codex_and_is_not_seen_in_ps, akkd, {
    let (_, id) = adopted(&akkd, &[]).await;
    let message = format!("HOLD the line;;SAY read it all\n{}", "needle and thread ".repeat(900_000 / 18));
    akkd.send(&id, &message).await;
    akkd.codex.model.prompted("HOLD the line").await;
    let shown: Vec<_> = processes::of(akkd.home.root()).into_iter().filter(|p| p.command.contains("needle")).collect();
    assert!(shown.is_empty(), "{shown:?}");
    akkd.codex.model.let_go("the line");
    assert_eq!(said(&akkd, &id).await, "read it all");
    assert!(akkd.codex.model.prompts("HOLD the line")[0].prompt.len() >= message.len());
});
