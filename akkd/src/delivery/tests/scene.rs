//! A house with an outbox, and a plugin that takes from it.

use super::super::{Deliveries, Plugins, Runner, Subscription};
use super::LONG;
use crate::config::{ConfigSource, Surroundings};
use crate::conversation::testing::{House, created};
use akk_proto::api::{DeliveryFailedParams, DeliveryHandedParams, DeliverySubscribeParams};
use akk_proto::delivery::{DeliveryItem, DeliveryView, FailureReason, Offer, Recipient, SinkKind};
use akk_proto::event::EventBody;
use akk_proto::{ConversationId, DeliveryId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Conversations, and a runner that carries what they report.
pub(super) struct Scene {
    pub(super) house: House,
    pub(super) deliveries: Deliveries,
    pub(super) stop: CancellationToken,
    pub(super) running: Option<JoinHandle<()>>,
}

impl Scene {
    pub(super) fn new() -> Self {
        Self::with(LONG, "")
    }

    /// With the time that a plugin may say nothing, and a piece of shell as the command.
    pub(super) fn with(silence: Duration, script: &str) -> Self {
        let house = House::new();
        let path = house.dir.path().join("config.toml");
        if !script.is_empty() {
            let command = serde_json::json!(["sh", "-c", script]);
            std::fs::write(&path, format!("[delivery]\ncommand = {command}\n")).unwrap();
        }
        let around = Surroundings { akkctl: "akkctl".into(), env: BTreeMap::new() };
        let deliveries = Deliveries {
            store: house.store.clone(),
            conversations: house.conversations.clone(),
            plugins: Plugins::new(house.clock.clone()),
            clock: house.clock.clone(),
        };
        let config = Arc::new(ConfigSource::open(path, around).unwrap());
        let stop = CancellationToken::new();
        let runner = Runner { deliveries: deliveries.clone(), config };
        let running = Some(tokio::spawn(runner.run_with(stop.clone(), silence)));
        Self { house, deliveries, stop, running }
    }

    /// A conversation that reports to a session of OpenClaw, progress included.
    pub(super) async fn begin(&self, n: u32, session_key: &str, gateway: Option<&str>) -> ConversationId {
        let recipient = gateway.map(|g| Recipient { gateway: Some(g.into()), ..Recipient::default() });
        let orchestrator = Some(session_key.to_owned());
        let sink = SinkKind::Plugin;
        self.house
            .begin(akk_proto::event::Created { orchestrator, recipient, sink, deliver_progress: true, ..created(n) })
            .await
    }

    /// Reports, and says which row that made.
    pub(super) async fn says(&self, id: &ConversationId, kind: &str, body: &str) -> DeliveryId {
        self.house.says(id, &serde_json::json!({"type": kind, "body": body}).to_string()).await;
        self.rows(id).await.pop().unwrap().delivery_id
    }

    pub(super) async fn rows(&self, id: &ConversationId) -> Vec<DeliveryView> {
        self.deliveries.list(Some(id), true, 1000).await.unwrap()
    }

    pub(super) fn subscribe(&self, gateway: &str, process: &str) -> Plugin {
        Plugin { subscription: self.deliveries.plugins.subscribe(who(gateway, process)).unwrap() }
    }

    pub(super) async fn handed(&self, offer: &Offer, process: &str) -> DeliveryView {
        let (run_id, session_id, process) = ("run".into(), "session".into(), process.into());
        let (delivery_id, attempt) = (offer.delivery_id.clone(), offer.attempt);
        let said = DeliveryHandedParams { delivery_id, attempt, run_id, session_id, process };
        self.deliveries.handed(said).await.unwrap()
    }

    pub(super) async fn told(&self, offer: &Offer) -> DeliveryView {
        self.deliveries.told(&offer.delivery_id, Some(offer.attempt)).await.unwrap()
    }

    pub(super) async fn failed(&self, offer: &Offer, reason: FailureReason, error: &str) -> DeliveryView {
        let (delivery_id, attempt, error) = (offer.delivery_id.clone(), offer.attempt, error.into());
        self.deliveries.failed(DeliveryFailedParams { delivery_id, attempt, reason, error }).await.unwrap()
    }

    pub(super) async fn history(&self, id: &ConversationId) -> Vec<EventBody> {
        let page = self.house.store.events(id, 0, 1000, 1 << 20).await.unwrap();
        page.events.into_iter().map(|e| e.body).filter(|b| b.name().starts_with("delivery")).collect()
    }

    pub(super) async fn stop(&mut self) {
        self.stop.cancel();
        self.running.take().unwrap().await.unwrap();
    }
}

pub(super) fn who(gateway: &str, process: &str) -> DeliverySubscribeParams {
    DeliverySubscribeParams {
        gateway: gateway.into(),
        process: process.into(),
        plugin_version: "1.0.0".into(),
        openclaw_version: "2026.9.6".into(),
    }
}

/// A plugin that the test plays.
pub(super) struct Plugin {
    pub(super) subscription: Subscription,
}

impl Plugin {
    pub(super) async fn next(&self) -> DeliveryItem {
        let next = tokio::time::timeout(Duration::from_mins(1), self.subscription.next());
        next.await.expect("an item comes").expect("the subscription goes on")
    }

    pub(super) async fn offer(&self) -> Offer {
        match self.next().await {
            DeliveryItem::Offer(offer) => *offer,
            other => panic!("{other:?} is no offer"),
        }
    }
}

pub(super) async fn until<T>(mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = condition().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), found).await.expect("the condition comes true")
}
