//! Calls about what waits for the orchestrator.

use crate::DeliveryId;
use crate::delivery::{DeliveryView, FailureReason};
use serde::{Deserialize, Serialize};

/// Parameters of `delivery.list`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryListParams {
    /// Only this conversation.
    pub conversation_id: Option<String>,
    /// Acknowledged ones too.
    pub all: bool,
    /// Rows at most, 1 to 1,000; 100 by default.
    pub limit: Option<u32>,
}

/// Answer of `delivery.list`, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeliveryListAnswer {
    /// The rows.
    pub deliveries: Vec<DeliveryView>,
}

/// Parameters of `delivery.retry` and `delivery.ack`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DeliveryParams {
    /// The row.
    pub delivery_id: DeliveryId,
    /// `ack`: the attempt that arrived, where a sink says so; left out where a person does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
}

/// Parameters of `delivery.subscribe`: OpenClaw's plugin says who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DeliverySubscribeParams {
    /// The installation of OpenClaw, by a name that stays; 500 characters at most.
    pub gateway: String,
    /// The gateway's process, by a name that no other process has.
    pub process: String,
    /// Version of the plugin.
    pub plugin_version: String,
    /// Version of OpenClaw.
    pub openclaw_version: String,
}

/// Parameters of `delivery.handed`: OpenClaw accepted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DeliveryHandedParams {
    /// The row.
    pub delivery_id: DeliveryId,
    /// The attempt of the offer.
    pub attempt: u32,
    /// OpenClaw's name for the run.
    pub run_id: String,
    /// The session that got it.
    pub session_id: String,
    /// The gateway's process.
    pub process: String,
}

/// Parameters of `delivery.failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DeliveryFailedParams {
    /// The row.
    pub delivery_id: DeliveryId,
    /// The attempt of the offer.
    pub attempt: u32,
    /// What it comes to.
    pub reason: FailureReason,
    /// Why, as a sentence; cut at 2,000 characters.
    pub error: String,
}

/// Parameters of `delivery.probed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DeliveryProbedParams {
    /// As it was asked.
    pub nonce: String,
    /// Whether sessions can be reached.
    pub gateway_ready: bool,
    /// What was found, as a sentence; cut at 2,000 characters.
    pub detail: String,
}

/// Answer of `delivery.retry`, `.ack`, `.handed` and `.failed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeliveryAnswer {
    /// The row after it.
    pub delivery: DeliveryView,
}
