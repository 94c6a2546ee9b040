//! An agent asks for a permission: a person of the chat gives it, or does not.

use akk_proto::ConversationId;
use akk_proto::conversation::Need;
use akk_tests::openclaw::{Reply, Room, Together, wait_for};
use serde_json::json;

/// An agent that wants to do `title`, and says what came of it. Gives its conversation and the request's name.
async fn asks(oc: &Together, room: &Room, title: &str) -> (ConversationId, String) {
    let said = format!("Please see to {title}.");
    let arguments = json!({"request": format!("perm2 {title}\nsay that is all"), "label": title});
    oc.gateway.mind.calls(&said, "agent_knock_knock_delegate", arguments, "An agent sees to it.");
    room.write(&said);
    let id = oc.delegated(&said).await;
    let c = oc.akkd.wait_need(&id, Need::Permission).await.conversation.unwrap();
    (id, c.permission_requests[0].nonce.clone())
}

calm!(a_permission_is_the_users_and_the_model_passes_it_on, oc, {
    let (room, mind) = (oc.gateway.chat.group(), &oc.gateway.mind);
    mind.on_request("sweep the attic", |_, report| {
        let (_, title) = report.request().unwrap();
        Reply::say(format!("It wants to {title}. May it?"))
    });
    let (id, nonce) = asks(oc, &room, "sweep the attic").await;
    room.says("It wants to sweep the attic. May it?").await;
    let told = mind.requests("sweep the attic");
    assert!(told[0].prompt.contains("never decide it yourself"), "{}", told[0].prompt);
    assert!(told[0].tools().contains(&"agent_knock_knock_permit"));
    let yes = json!({"conversation_id": id, "nonce": nonce, "decision": "allow"});
    mind.calls("Yes, the attic", "agent_knock_knock_permit", yes, "I passed it on.");
    room.write("Yes, the attic may be swept.");
    room.says("I passed it on.").await;
    oc.told(&room, "permission: allow_once\nthat is all").await;
    assert_eq!(mind.requests("sweep the attic").len(), 1, "told once");
});

calm!(a_person_permits_and_refuses_by_the_command, oc, {
    let room = oc.gateway.chat.group();
    for (title, word, came) in [("burn leaves", "allow", "allow_once"), ("burn books", "deny", "reject_once")] {
        let (id, nonce) = asks(oc, &room, title).await;
        room.says(&format!("Noted: permission: Request {nonce}: {title}")).await;
        let short = id.as_str().rsplit('-').next().unwrap();
        let status = room.asks(&format!("/akk status {short}")).await;
        assert!(status.contains(&format!("/akk permit {short} {nonce} allow")), "{status}");
        let answer = room.asks(&format!("/akk permit {short} {nonce} {word}")).await;
        assert!(answer.contains(&nonce), "{answer}");
        oc.told(&room, &format!("permission: {came}\nthat is all")).await;
        let late = room.asks(&format!("/akk permit {short} {nonce} allow")).await;
        assert!(late.contains("waits for an answer") || late.contains("no permission request"), "{late}");
    }
});

calm!(where_approvals_are_on_a_card_asks_and_no_model_stands_between, oc, {
    let (room, mind) = (oc.gateway.chat.carded_group(), &oc.gateway.mind);
    for (title, word, came) in [("fell a tree", "allow-once", "allow_once"), ("move a wall", "deny", "reject_once")] {
        let (id, nonce) = asks(oc, &room, title).await;
        let card = room.says(&format!("demo: {title}")).await.text;
        assert!(card.contains(&nonce), "{card}");
        room.write(&format!("/approve {} {word}", approval_in(&card)));
        oc.told(&room, &format!("permission: {came}\nthat is all")).await;
        assert!(mind.requests(title).is_empty(), "the model was not asked");
        assert_eq!(room.count(&nonce), 1, "asked once:\n{}", room.shown());
        let told = async || (oc.akkd.get(&id).await.undelivered == 0).then_some(());
        wait_for("the end of what is to be told", told).await;
    }
});

// OpenClaw 2026.9 does not know a topic of Telegram as the place where an approval is asked for.
calm!(a_card_for_a_task_of_a_topic_comes_to_the_approver_in_private, oc, {
    let (room, approver) = (oc.gateway.chat.topic(), oc.gateway.chat.approver());
    let (_, nonce) = asks(oc, &room, "open the sluice").await;
    let card = approver.says("demo: open the sluice").await.text;
    approver.write(&format!("/approve {} allow-once", approval_in(&card)));
    oc.told(&room, "permission: allow_once\nthat is all").await;
    assert_eq!(room.count(&nonce), 0, "{}", room.shown());
});

calm!(a_card_goes_when_its_request_is_answered_elsewhere, oc, {
    let room = oc.gateway.chat.carded_group();
    let (id, nonce) = asks(oc, &room, "dam the brook").await;
    let approval = approval_in(&room.says("demo: dam the brook").await.text);
    oc.akkd.ctl(&["permit", id.as_str(), &nonce, "deny"]).await.ok();
    oc.told(&room, "permission: reject_once\nthat is all").await;
    let open = format!("/approve {approval}");
    wait_for("the end of the card", async || (room.count(&open) == 0).then_some(())).await;
    assert_eq!(room.count("demo: dam the brook"), 1, "what was asked still stands there:\n{}", room.shown());
});

/// The name of the approval on a card.
fn approval_in(card: &str) -> String {
    let at = card.find("plugin:").unwrap_or_else(|| panic!("no approval is named: {card}"));
    card[at..].split(|c: char| c.is_whitespace() || c == '`').next().unwrap().to_owned()
}
