//! A person asks for something in a chat; an agent does it.

use akk_tests::openclaw::{Asked, Reply, Report, Room};
use serde_json::{Value, json};

/// The arguments of a delegation.
fn task(request: &str) -> Value {
    json!({"request": request})
}

/// Answers a question of the agent's, and says that it did.
fn answered_with(message: &str) -> impl Fn(&Asked, &Report) -> Reply + Send + Sync + 'static {
    let message = message.to_owned();
    move |asked, report| match asked.step {
        0 => Reply::call("agent_knock_knock_send", json!({"conversation_id": report.conversation, "message": message})),
        _ => Reply::say("I decided: blue."),
    }
}

async fn told_from_question_to_result(oc: &akk_tests::openclaw::Together, room: &Room, name: &str) {
    let mind = &oc.gateway.mind;
    let request = format!("callback progress on {name}\nask Which colour for {name}?");
    mind.calls(&format!("paint {name}"), "agent_knock_knock_delegate", task(&request), "I asked the agent.");
    mind.on_report(&format!("Which colour for {name}?"), answered_with(&format!("callback done {name} is blue now")));
    mind.on_report(&format!("{name} is blue now"), {
        let done = format!("Done: {name} is blue.");
        move |_, _| Reply::say(done.as_str())
    });
    room.write(&format!("Please paint {name}."));
    room.says(&format!("Done: {name} is blue.")).await;
    assert_eq!(room.said(), ["I asked the agent.", "I decided: blue.", &format!("Done: {name} is blue.")]);
    assert_eq!(mind.reports(&format!("Which colour for {name}?")).len(), 1);
    assert_eq!(mind.reports(&format!("{name} is blue now")).len(), 1);
    println!("{}", room.shown());
}

calm!(a_task_from_a_private_chat_is_done_and_told_there_once, oc, {
    told_from_question_to_result(oc, &oc.gateway.chat.private(), "the shed").await;
});
