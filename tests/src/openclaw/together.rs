//! A gateway with our plugin and an akkd of its own: what the stories have.

use super::{Gateway, Room, Setup, wait_for};
use crate::binaries::repository;
use crate::daemon::{Daemon, Plan};
use crate::home::Home;
use crate::leash::Leash;
use crate::peers::OpenClawPeer;
use akk_proto::ConversationId;
use akk_proto::api::{ControlClient as _, DeliveryListParams};
use akk_proto::delivery::{DeliveryState, DeliveryView};
use serde_json::{Value, json};
use std::path::PathBuf;

/// The id of our plugin.
const PLUGIN: &str = "agent-knock-knock";

/// akkd and OpenClaw on one machine.
pub struct Together {
    /// OpenClaw, with its chat and its model.
    pub gateway: Gateway,
    /// akkd.
    pub akkd: Daemon,
    /// Last, because it is to find nothing.
    _leash: Leash,
}

impl Together {
    /// Starts both, akkd first.
    pub async fn start(peer: &'static OpenClawPeer, private_chats: &'static str) -> Self {
        Self::start_with(Daemon::start_with(Plan::default(), Home::new()).await, peer, private_chats).await
    }

    /// Starts a gateway beside an akkd that runs already.
    pub async fn start_with(akkd: Daemon, peer: &'static OpenClawPeer, private_chats: &'static str) -> Self {
        let entry = json!({"enabled": true, "config": {"socketPath": akkd.home.control_socket()}});
        let setup = Setup { plugins: vec![plugin()], entries: json!({PLUGIN: entry}), private_chats };
        let mut gateway = Gateway::new(peer, &setup);
        let leash = Leash::on(&[gateway.home.root(), akkd.home.root()]);
        gateway.start().await;
        Self { gateway, akkd, _leash: leash }
    }

    /// A gateway and an akkd that run already.
    pub fn of(gateway: Gateway, akkd: Daemon, leash: Leash) -> Self {
        Self { gateway, akkd, _leash: leash }
    }

    /// A person has a task delegated in a chat, whose agent reports at once that `name` has begun; waits until that is
    /// told there. Gives the conversation, which is idle then.
    pub async fn begin(&self, room: &Room, name: &str) -> ConversationId {
        let Gateway { mind, .. } = &self.gateway;
        let request = format!("Please begin {name}.");
        let arguments = json!({"request": format!("callback done {name} has begun"), "label": name});
        mind.calls(&request, "agent_knock_knock_delegate", arguments, &format!("The agent works on {name}."));
        room.write(&request);
        let id = self.delegated(&request).await;
        self.told(room, &format!("{name} has begun")).await;
        let both = [format!("The agent works on {name}."), format!("Noted: done: {name} has begun")];
        wait_for(&format!("{both:?} at the end of the chat"), async || room.said().ends_with(&both).then_some(()))
            .await;
        self.akkd.turn_over(&id).await;
        id
    }

    /// The conversation that the model's tool call made, after the user said `text`.
    pub async fn delegated(&self, text: &str) -> ConversationId {
        let result = self.gateway.mind.told(text, 1).await.result;
        let answer: Value = serde_json::from_str(&result).unwrap_or_default();
        let id = answer["conversation_id"].as_str().and_then(|id| id.parse().ok());
        id.unwrap_or_else(|| panic!("the tool answered {result}"))
    }

    /// The agent of an idle conversation finishes with these words. They are recorded when this returns, wherever they
    /// are told.
    pub async fn finishes(&self, id: &ConversationId, words: &str) {
        self.akkd.send(id, &format!("callback done {words}")).await;
        wait_for(&format!("{words:?} in the outbox"), async || self.row(words).await).await;
    }

    /// The newest row of the outbox that says this.
    pub async fn row(&self, words: &str) -> Option<DeliveryView> {
        self.rows(true).await.into_iter().rfind(|r| r.preview == words)
    }

    /// The rows of the outbox, oldest first; only what waits, unless `all`.
    pub async fn rows(&self, all: bool) -> Vec<DeliveryView> {
        let params = DeliveryListParams { all, limit: Some(1000), ..DeliveryListParams::default() };
        let answer = self.akkd.rpc().delivery_list(params).await;
        answer.unwrap_or_else(|e| panic!("delivery.list: {e}")).deliveries
    }

    /// Waits until a row that says this has this state.
    pub async fn becomes(&self, words: &str, state: DeliveryState) -> DeliveryView {
        let what = format!("{words:?} to be {}", state.as_str());
        wait_for(&what, async || self.row(words).await.filter(|r| r.state == state)).await
    }

    /// Waits until the agent's words are told in the chat and acknowledged.
    pub async fn told(&self, room: &Room, words: &str) {
        room.says(words).await;
        self.becomes(words, DeliveryState::Acknowledged).await;
    }

    /// Prints what helps to understand a failure.
    pub fn tell(&self) {
        self.gateway.tell();
        self.akkd.tell();
    }
}

/// Our plugin, as it lies in the repository.
fn plugin() -> PathBuf {
    repository().join("packaging/openclaw-plugin")
}
