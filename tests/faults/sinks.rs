//! Who is told: what the orchestrator has at the end.

use akk_proto::api::{ControlClient as _, DeliveryHandedParams, DeliveryParams, DeliverySubscribeParams};
use akk_proto::delivery::{DeliveryBody, DeliveryItem, Offer};
use akk_tests::{Home, Plan};
use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::Client;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

/// A command that writes down whatever it is given.
pub(crate) struct Told {
    file: PathBuf,
}

impl Told {
    /// On this home.
    pub(crate) fn on(home: &Home) -> Self {
        Self { file: home.root().join("told") }
    }

    /// A plan with it as the sink.
    pub(crate) fn plan(&self, plan: Plan) -> Plan {
        self.plan_behind(plan, "")
    }

    /// The same, where a piece of shell stands before it.
    pub(crate) fn plan_behind(&self, plan: Plan, first: &str) -> Plan {
        // One write for each: an akkd that dies leaves its command behind, which then writes beside the next one.
        // One that was started and given nothing was told nothing.
        let file = self.file.display();
        let script = format!("{first}line=$(cat); test -n \"$line\" && printf '%s\\n' \"$line\" >> {file}");
        plan.tables(&format!("[delivery]\ncommand = {}\n", json!(["sh", "-c", script])))
    }

    /// How often each delivery came, by its key.
    pub(crate) fn by_key(&self) -> BTreeMap<String, usize> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let mut told = BTreeMap::new();
        for line in text.lines() {
            let body: DeliveryBody = serde_json::from_str(line).unwrap();
            *told.entry(body.key.to_string()).or_default() += 1;
        }
        told
    }
}

/// The session of the chat.
pub(crate) const CHAT: &str = "agent:main:main";

/// A chat of OpenClaw's, with its plugin: takes what it is offered, writes it into its transcript, says so. Outlives akkd.
pub(crate) struct Chat {
    transcript: Arc<Mutex<Vec<Offer>>>,
    serving: JoinHandle<()>,
}

impl Chat {
    /// Opens it, and stays connected to whatever akkd listens there.
    pub(crate) fn open(socket: PathBuf) -> Self {
        let transcript = Arc::default();
        let serving = tokio::spawn(serve(socket, Arc::clone(&transcript)));
        Self { transcript, serving }
    }

    /// What stands in it, in order.
    pub(crate) fn transcript(&self) -> Vec<Offer> {
        self.transcript.lock().unwrap().clone()
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(socket: PathBuf, transcript: Arc<Mutex<Vec<Offer>>>) {
    loop {
        // An akkd that died, or is not there yet. Nobody tells when a socket listens again.
        let _ = subscribe(&socket, &transcript).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn subscribe(socket: &Path, transcript: &Mutex<Vec<Offer>>) -> Result<(), ClientError> {
    let rpc = akk_proto::client::connect(socket).await.map_err(|e| ClientError::Transport(e.into()))?;
    let who = DeliverySubscribeParams {
        gateway: "g".into(),
        process: "p".into(),
        plugin_version: "1.0.0".into(),
        openclaw_version: "2026.9.6".into(),
    };
    let mut items = rpc.deliveries(who).await?;
    while let Some(Ok(item)) = items.next().await {
        if let DeliveryItem::Offer(offer) = item {
            take(&rpc, *offer, transcript).await?;
        }
    }
    Ok(())
}

async fn take(rpc: &Client, offer: Offer, transcript: &Mutex<Vec<Offer>>) -> Result<(), ClientError> {
    let (delivery_id, attempt) = (offer.delivery_id.clone(), offer.attempt);
    let there = offer.look_first && transcript.lock().unwrap().iter().any(|o| o.delivery_id == delivery_id);
    if !there {
        transcript.lock().unwrap().push(offer);
        let handed = DeliveryHandedParams {
            delivery_id: delivery_id.clone(),
            attempt,
            run_id: "run".into(),
            session_id: "session".into(),
            process: "p".into(),
        };
        rpc.delivery_handed(handed).await?;
    }
    rpc.delivery_ack(DeliveryParams { delivery_id, attempt: Some(attempt) }).await?;
    Ok(())
}
