//! A person asks for something in a chat; an agent does it, asks, fails, goes on.

use akk_proto::conversation::Status;
use akk_proto::delivery::DeliveryState;
use akk_tests::openclaw::{Asked, Reply, Report, Room, Together, wait_for};
use serde_json::json;
use std::time::Duration;

/// Answers a question of the agent's, and says that it did.
fn answers(message: &str) -> impl Fn(&Asked, &Report) -> Reply + Send + Sync + 'static {
    let message = message.to_owned();
    move |asked, report| match asked.step {
        0 => Reply::call("agent_knock_knock_send", json!({"conversation_id": report.conversation, "message": message})),
        _ => Reply::say("It asked for the colour; I decided on blue."),
    }
}

/// The whole way: a person's words, a tool call, a question, an answer, a result. Everything stands once in the chat.
async fn from_a_task_to_its_result(oc: &Together, room: &Room, what: &str) {
    let mind = &oc.gateway.mind;
    let (question, result) = (format!("Which colour for {what}?"), format!("{what} is blue now."));
    let request = format!("think a little\ncallback progress looking for a brush\nask {question}");
    let arguments = json!({"request": request, "label": format!("paint {what}")});
    mind.calls(&format!("paint {what}"), "agent_knock_knock_delegate", arguments, "An agent works on it.");
    mind.on_report(&question, answers(&format!("tool paint\ncallback done {result}")));
    mind.on_report(&result, |_, report| Reply::say(format!("Done. {}", report.words)));

    room.write(&format!("Please have someone paint {what}."));
    room.says(&format!("Done. {result}")).await;
    oc.becomes(&result, DeliveryState::Acknowledged).await;

    let said = ["An agent works on it.", "It asked for the colour; I decided on blue.", &format!("Done. {result}")];
    room.comes_to(&said).await;
    for words in [&question, &result] {
        let told = mind.reports(words);
        assert_eq!(told.len(), 1, "{words}");
        let row = oc.row(words).await.unwrap();
        let asked = told[0].at.duration_since(std::time::UNIX_EPOCH).unwrap();
        let waited = asked.saturating_sub(Duration::from_millis(row.created_at.0.unsigned_abs()));
        eprintln!("{words}: at the model {waited:.1?} after the report was recorded; {} attempt", row.attempts);
    }
    eprintln!("{}", room.shown());
}

calm!(a_task_from_a_private_chat_is_told_there_once, oc, {
    from_a_task_to_its_result(oc, &oc.gateway.chat.private(), "the shed").await;
});

calm!(a_task_from_a_group_is_told_in_the_group, oc, {
    from_a_task_to_its_result(oc, &oc.gateway.chat.group(), "the fence").await;
});

calm!(a_task_from_a_topic_is_told_in_the_topic, oc, {
    from_a_task_to_its_result(oc, &oc.gateway.chat.topic(), "the gate").await;
});

calm!(an_agent_that_dies_is_told, oc, {
    let (room, mind) = (oc.gateway.chat.group(), &oc.gateway.mind);
    let arguments = json!({"request": "tool ls\ncrash 3", "label": "a risk"});
    mind.calls("take a risk", "agent_knock_knock_delegate", arguments, "An agent takes it.");
    room.write("Please take a risk.");
    let id = oc.delegated("take a risk").await;
    oc.akkd.until(&id, Status::Stalled).await;
    room.says("An agent takes it.").await;
    room.says("Noted: stalled: ").await;
    let rows = oc.rows(true).await.into_iter().filter(|r| r.conversation_id == id);
    assert_eq!(rows.map(|r| r.kind).collect::<Vec<_>>(), ["stalled"]);
    assert_eq!(room.count("Noted: "), 1, "{}", room.shown());
});

calm!(a_follow_up_goes_to_the_same_agent, oc, {
    let (room, mind) = (oc.gateway.chat.group(), &oc.gateway.mind);
    let id = oc.begin(&room, "the roof").await;
    let more = json!({"conversation_id": id, "message": "callback done the roof has a chimney"});
    mind.calls("a chimney", "agent_knock_knock_send", more, "I passed it on.");
    room.write("And it needs a chimney.");
    oc.told(&room, "the roof has a chimney").await;
    room.says("I passed it on.").await;
    let close = json!({"conversation_id": id, "reason": "accepted"});
    mind.calls("That is all", "agent_knock_knock_close", close, "Closed.");
    room.write("That is all, thank you.");
    room.says("Closed.").await;
    oc.akkd.until(&id, Status::Closed).await;
    assert_eq!(oc.akkd.agent().prompts("callback done the roof has a chimney").len(), 1);
    assert_eq!(room.count("the roof has a chimney"), 1);
});

calm!(the_model_sees_what_runs_and_can_stop_it, oc, {
    let (room, mind) = (oc.gateway.chat.group(), &oc.gateway.mind);
    let request = "tool dig\nsleep 600";
    let arguments = json!({"request": request, "label": "a well"});
    mind.calls("dig a well", "agent_knock_knock_delegate", arguments, "An agent digs.");
    room.write("Please dig a well.");
    let id = oc.delegated("dig a well").await;
    oc.akkd.prompted(request).await;
    // A person reads before writing on: what is written into an answer that is on its way makes OpenClaw lose that.
    room.says("An agent digs.").await;

    let trace = json!({"conversation_id": id, "trace": true});
    mind.calls("How is the well?", "agent_knock_knock_status", trace, "It digs.");
    room.write("How is the well?");
    let status = mind.told("How is the well?", 1).await.result;
    assert!(status.contains("waiting_for_agent") && status.contains("dig"), "{status}");
    room.says("It digs.").await;
    mind.calls("Who works?", "agent_knock_knock_list", json!({}), "One.");
    room.write("Who works?");
    let list = mind.told("Who works?", 1).await.result;
    assert!(list.contains(id.as_str()), "{list}");
    room.says("One.").await;

    mind.calls("Stop the well", "agent_knock_knock_cancel", json!({"conversation_id": id}), "Stopped.");
    room.write("Stop the well.");
    oc.akkd.until(&id, Status::Idle).await;
    room.says("Stopped.").await;
});

calm!(a_wrong_call_is_answered_with_what_to_do, oc, {
    let (room, mind) = (oc.gateway.chat.group(), &oc.gateway.mind);
    let nobody = json!({"conversation_id": "task-20200101T000000-00000000", "message": "hello"});
    mind.calls("talk to nobody", "agent_knock_knock_send", nobody, "Nobody is there.");
    room.write("Please talk to nobody.");
    let answer = mind.told("talk to nobody", 1).await.result;
    assert!(answer.contains("error") && answer.contains("hint"), "{answer}");
    room.says("Nobody is there.").await;
});

calm!(a_session_without_a_chat_is_told_in_its_history, oc, {
    let mind = &oc.gateway.mind;
    let mut ws = oc.gateway.ws().await;
    let session = "agent:main:desk";
    let arguments = json!({"request": "callback done the desk is tidy", "label": "the desk"});
    mind.calls("tidy the desk", "agent_knock_knock_delegate", arguments, "An agent tidies it.");
    let turn = json!({"sessionKey": session, "message": "Please tidy the desk.", "idempotencyKey": "desk-1"});
    ws.call("chat.send", turn).await.unwrap();
    let id = oc.delegated("tidy the desk").await;
    let row = oc.becomes("the desk is tidy", DeliveryState::Acknowledged).await;
    assert_eq!(row.orchestrator.as_deref(), Some(session));
    let history = json!({"sessionKey": session, "limit": 50});
    let history = wait_for("the answer in the history", async || {
        let history = ws.call("chat.history", history.clone()).await.unwrap();
        history.to_string().contains("Noted: done: the desk is tidy").then_some(history)
    })
    .await;
    let said = history["messages"].as_array().unwrap().iter().filter(|m| m["role"] == "assistant");
    assert_eq!(said.filter(|m| m.to_string().contains("Noted: done: the desk is tidy")).count(), 1, "{history:#}");
    assert_eq!(mind.reports("the desk is tidy").len(), 1);
    assert_eq!(oc.akkd.get(&id).await.undelivered, 0);
});
