//! A gateway with our plugin and an akkd of its own: what the stories have.

use super::{Gateway, Setup};
use crate::binaries::repository;
use crate::daemon::{Daemon, Plan};
use crate::home::Home;
use crate::leash::Leash;
use crate::peers::OpenClawPeer;
use serde_json::json;
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
        let akkd = Daemon::start_with(Plan::default(), Home::new()).await;
        let entry = json!({"enabled": true, "config": {"socketPath": akkd.home.control_socket()}});
        let setup = Setup { plugins: vec![plugin()], entries: json!({PLUGIN: entry}), private_chats };
        let mut gateway = Gateway::new(peer, &setup);
        let leash = Leash::on(&[gateway.home.root(), akkd.home.root()]);
        gateway.start().await;
        Self { gateway, akkd, _leash: leash }
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
