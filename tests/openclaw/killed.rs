//! The gateway, or akkd, is killed while a report is told: the user is told once.

use akk_proto::ConversationId;
use akk_proto::delivery::DeliveryState;
use akk_tests::openclaw::{Reply, Room, Together, wait_for};
use serde_json::json;

/// One report on its way, in a chat of its own.
struct Way {
    /// Where it stands when the kill comes.
    point: &'static str,
    room: Room,
    id: ConversationId,
}

impl Way {
    async fn begin(oc: &Together, point: &'static str) -> Self {
        let room = oc.gateway.chat.private();
        let id = oc.begin(&room, point).await;
        Self { point, room, id }
    }

    /// The agent's words.
    fn words(&self) -> String {
        format!("the report {}", self.point)
    }

    async fn finishes(&self, oc: &Together) {
        oc.finishes(&self.id, &self.words()).await;
    }

    /// Finishes, and the model is told and thinks about it.
    async fn up_to_the_model(self, oc: &Together) -> Self {
        let (gate, words) = (self.point, self.words());
        oc.gateway.mind.on_report(&words, move |_, r| Reply::say(format!("Noted: {}", r.words)).after(gate));
        self.finishes(oc).await;
        oc.gateway.mind.reported(&words).await;
        self
    }

    /// Finishes, and the model, being told, answered the agent and thinks about what to say.
    async fn up_to_the_tool(self, oc: &Together) -> Self {
        let (gate, words) = (self.point, self.words());
        oc.gateway.mind.on_report(&words, move |asked, report| {
            // A model that sees that it did so does not do it again.
            let answered = asked.body["messages"].to_string().contains("callback done that is answered");
            if answered {
                return Reply::say(format!("Noted: {}", report.words)).after(gate);
            }
            let answer = json!({"conversation_id": report.conversation, "message": "callback done that is answered"});
            Reply::call("agent_knock_knock_send", answer)
        });
        self.finishes(oc).await;
        oc.gateway.mind.reported(&words).await;
        let answered = async || oc.akkd.agent().prompts("callback done that is answered").pop();
        wait_for("the answer at the agent", answered).await;
        // And that it did so is known to its model.
        oc.gateway.mind.told(&words, 1).await;
        self
    }

    /// Finishes, and what the model says of it is in the chat, but nobody told the gateway so.
    async fn up_to_the_chat(self, oc: &Together) -> Self {
        self.room.hold();
        self.finishes(oc).await;
        self.room.says(&self.words()).await;
        self
    }

    /// Finishes, and it is told.
    async fn up_to_the_end(self, oc: &Together) -> Self {
        self.finishes(oc).await;
        self.room.says(&self.words()).await;
        self
    }

    /// Lets go what holds it.
    fn let_go(&self, oc: &Together) {
        oc.gateway.mind.let_go(self.point);
        self.room.let_go();
    }

    /// It ends acknowledged, and told once; a line for the table of what was seen.
    async fn ends_told_once(&self, oc: &Together) {
        oc.becomes(&self.words(), DeliveryState::Acknowledged).await;
        self.room.says(&self.words()).await;
        // Behind everything that was on its way to this chat.
        self.room.write(&format!("Are you there, {}?", self.point));
        self.room.says(&format!("Noted: Are you there, {}?", self.point)).await;
        let row = oc.row(&self.words()).await.unwrap();
        let (told, seen) = (oc.gateway.mind.reports(&self.words()).len(), self.room.count(&self.words()));
        eprintln!(
            "| {} | told {told} time(s) at the model, {} attempt(s) | seen {seen} time(s) | {} |",
            self.point,
            row.attempts,
            self.room.said_after("has begun").join(" / ").replace('\n', " "),
        );
        assert_eq!(seen, 1, "{}:\n{}", self.point, self.room.shown());
    }
}

restless!(a_gateway_that_is_killed_tells_each_report_once, oc, {
    let before = Way::begin(oc, "before it is offered").await;
    let model = Way::begin(oc, "while the model thinks").await.up_to_the_model(oc).await;
    let tool = Way::begin(oc, "after a tool call").await.up_to_the_tool(oc).await;
    let chat = Way::begin(oc, "while it is said").await.up_to_the_chat(oc).await;
    let end = Way::begin(oc, "after it was said").await.up_to_the_end(oc).await;
    oc.gateway.kill9();
    let ways = [before, model, tool, chat, end];
    for way in &ways {
        way.let_go(oc);
    }
    ways[0].finishes(oc).await;
    oc.gateway.start().await;
    for way in &ways {
        way.ends_told_once(oc).await;
    }
    assert_eq!(oc.akkd.agent().prompts("callback done that is answered").len(), 1);
});

restless!(an_akkd_that_is_killed_has_each_report_told_once, oc, {
    let before = Way::begin(oc, "before akkd offered it").await;
    let offered = Way::begin(oc, "while akkd offers it").await;
    let during = Way::begin(oc, "during the turn").await.up_to_the_model(oc).await;
    let over = Way::begin(oc, "in a turn that ends without akkd").await.up_to_the_model(oc).await;
    let chat = Way::begin(oc, "while it is said without akkd").await.up_to_the_chat(oc).await;
    let end = Way::begin(oc, "just after it was said").await.up_to_the_end(oc).await;
    // Nothing is accepted from here on.
    oc.gateway.pause();
    offered.finishes(oc).await;
    oc.becomes(&offered.words(), DeliveryState::Leased).await;
    before.finishes(oc).await;
    oc.akkd.kill9();
    oc.gateway.go_on();
    over.let_go(oc);
    chat.let_go(oc);
    over.room.says(&over.words()).await;
    oc.akkd.start_again().await;
    during.let_go(oc);
    for way in [before, offered, during, over, chat, end] {
        way.ends_told_once(oc).await;
    }
});

restless!(both_are_killed_and_each_report_is_told_once, oc, {
    let model = Way::begin(oc, "when both are killed").await.up_to_the_model(oc).await;
    let end = Way::begin(oc, "said before both are killed").await.up_to_the_end(oc).await;
    oc.akkd.kill9();
    oc.gateway.kill9();
    model.let_go(oc);
    oc.gateway.start().await;
    oc.akkd.start_again().await;
    for way in [model, end] {
        way.ends_told_once(oc).await;
    }
});
