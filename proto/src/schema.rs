//! The contract in a form for machines: OpenRPC, whose parts are JSON Schema (draft 2020-12).
//!
//! A test of akkd compares the methods with those that it serves, one of akkctl the whole with what was kept.

use crate::api::{
    AwaitAnswer, AwaitParams, CancelAnswer, CloseParams, ConfirmAnswer, ConfirmParams, ConversationParams, DaemonInfo,
    DelegateAnswer, DelegateParams, DeleteAnswer, DeliveryAnswer, DeliveryFailedParams, DeliveryHandedParams,
    DeliveryListAnswer, DeliveryListParams, DeliveryParams, DeliveryProbedParams, DeliverySubscribeParams,
    DoctorAnswer, Empty, GetAnswer, HistoryAnswer, HistoryParams, ListAnswer, ListParams, PermitAnswer, PermitParams,
    ReportAnswer, ReportParams, ResultAnswer, ResultParams, SearchAnswer, SearchParams, SendAnswer, SendParams,
    StopParams, StreamItem, SubscribeParams, WaitAnswer, WaitParams,
};
use crate::audit::{AuditAnswer, AuditParams};
use crate::delivery::DeliveryItem;
use crate::error::{ErrorData, ErrorKind};
use crate::import::{ImportAnswer, ImportParams};
use crate::session::{DiscoverAnswer, DiscoverParams, SessionItem, TakeoverAnswer, TakeoverParams, WatchParams};
use crate::version::{PROTOCOL, REVISION};
use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Value, json};

/// The socket for clients.
const CONTROL: &str = "akkd.sock";
/// The socket for agents.
const CALLBACK: &str = "callback.sock";

/// The whole contract.
pub fn openrpc() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
    let mut contract = Contract { schemas: settings.into_generator(), methods: Vec::new() };
    methods(&mut contract);
    let error_data = contract.schemas.subschema_for::<ErrorData>();
    let errors: Vec<Value> =
        ErrorKind::ALL.iter().map(|kind| json!({ "code": kind.code(), "kind": kind.word() })).collect();
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "akkd",
            "version": format!("{PROTOCOL}.{REVISION}"),
            "description": "JSON-RPC 2.0 over Unix sockets, one message a line. Every method takes one parameter object, \
                by name or as the only element of an array.",
        },
        "methods": contract.methods,
        "x-errors": { "data": error_data, "kinds": errors },
        "components": { "schemas": contract.schemas.take_definitions(true) },
    })
}

fn methods(contract: &mut Contract) {
    contract.method::<Empty, DaemonInfo>(CONTROL, "daemon.info", "Version, process, counts.");
    contract.method::<Empty, DoctorAnswer>(
        CONTROL,
        "daemon.doctor",
        "Looks whether everything works, and says what to do where it does not.",
    );
    contract.method::<StopParams, Empty>(CONTROL, "daemon.stop", "Stops akkd.");
    contract.method::<AuditParams, AuditAnswer>(
        CONTROL,
        "daemon.audit",
        "Who asked for which change, and what came of it.",
    );
    contract.method::<DelegateParams, DelegateAnswer>(
        CONTROL,
        "conversation.delegate",
        "Starts a conversation and its first turn.",
    );
    contract.method::<SendParams, SendAnswer>(CONTROL, "conversation.send", "A message to an open conversation.");
    contract.method::<ConversationParams, SendAnswer>(
        CONTROL,
        "conversation.recover",
        "A fresh agent session with a replay of the history.",
    );
    contract.method::<ConversationParams, CancelAnswer>(CONTROL, "conversation.cancel", "Stops the open turn.");
    contract.method::<PermitParams, PermitAnswer>(
        CONTROL,
        "conversation.permit",
        "Answers a permission request of the agent.",
    );
    contract.method::<CloseParams, CancelAnswer>(CONTROL, "conversation.close", "Ends the conversation.");
    contract.method::<ListParams, ListAnswer>(
        CONTROL,
        "conversation.list",
        "Open conversations, newest activity first.",
    );
    contract.method::<ConversationParams, GetAnswer>(
        CONTROL,
        "conversation.get",
        "One conversation with its latest events.",
    );
    contract.method::<ResultParams, ResultAnswer>(CONTROL, "conversation.result", "What a turn came to.");
    contract.method::<HistoryParams, HistoryAnswer>(CONTROL, "conversation.transcript", "The whole history.");
    contract.method::<HistoryParams, HistoryAnswer>(CONTROL, "conversation.trace", "What the agent did.");
    contract.method::<SearchParams, SearchAnswer>(
        CONTROL,
        "conversation.search",
        "Full-text search over requests and messages.",
    );
    contract.method::<WaitParams, WaitAnswer>(
        CONTROL,
        "conversation.wait",
        "Waits until a conversation needs someone.",
    );
    contract.method::<ConversationParams, DeleteAnswer>(
        CONTROL,
        "conversation.delete",
        "Deletes a terminal conversation for good.",
    );
    contract.method::<ImportParams, ImportAnswer>(
        CONTROL,
        "conversation.import",
        "Takes over a conversation of the predecessor, with its history.",
    );
    contract.method::<DeliveryListParams, DeliveryListAnswer>(CONTROL, "delivery.list", "The outbox.");
    contract.method::<DeliveryParams, DeliveryAnswer>(CONTROL, "delivery.retry", "Tries a delivery again now.");
    contract.method::<DeliveryParams, DeliveryAnswer>(CONTROL, "delivery.ack", "Marks a delivery as told.");
    contract.method::<DeliveryHandedParams, DeliveryAnswer>(
        CONTROL,
        "delivery.handed",
        "OpenClaw accepted a delivery.",
    );
    contract.method::<DeliveryFailedParams, DeliveryAnswer>(CONTROL, "delivery.failed", "An attempt did not end well.");
    contract.method::<DeliveryProbedParams, Empty>(CONTROL, "delivery.probed", "The answer to a probe.");
    contract.subscription::<DeliverySubscribeParams, DeliveryItem>(
        "delivery.subscribe",
        "Takes deliveries, one at a time for each session, for as long as the subscription lasts.",
        "delivery.item",
        "delivery.unsubscribe",
    );
    contract.method::<DiscoverParams, DiscoverAnswer>(
        CONTROL,
        "sessions.discover",
        "Native sessions: what there is, which process runs which, what works here.",
    );
    contract.method::<TakeoverParams, TakeoverAnswer>(
        CONTROL,
        "sessions.takeover",
        "Makes a native session a conversation, or says what stands against it.",
    );
    contract.subscription::<WatchParams, SessionItem>(
        "sessions.watch",
        "What happens to native sessions, as it happens.",
        "sessions.item",
        "sessions.unwatch",
    );
    contract.subscription::<SubscribeParams, StreamItem>(
        "events.subscribe",
        "Events as they happen, resumable.",
        "events.item",
        "events.unsubscribe",
    );
    contract.method::<ReportParams, ReportAnswer>(
        CALLBACK,
        "callback.report",
        "A report of an agent. Answered when the message is durable.",
    );
    contract.method::<AwaitParams, AwaitAnswer>(
        CALLBACK,
        "callback.await_answer",
        "Waits for what the orchestrator says to a question, so that it can be told inside the turn that asked.",
    );
    contract.method::<ConfirmParams, ConfirmAnswer>(
        CALLBACK,
        "callback.confirm_answer",
        "The agent is being told that message: it counts as sent. Answered when that is durable.",
    );
}

struct Contract {
    schemas: SchemaGenerator,
    methods: Vec<Value>,
}

impl Contract {
    fn method<P: JsonSchema, A: JsonSchema>(&mut self, socket: &str, name: &str, summary: &str) {
        let params = self.schemas.subschema_for::<P>();
        let answer = self.schemas.subschema_for::<A>();
        self.methods.push(json!({
            "name": name,
            "summary": summary,
            "paramStructure": "by-position",
            "params": [{ "name": "params", "required": true, "schema": params }],
            "result": { "name": "result", "schema": answer },
            "x-socket": socket,
        }));
    }

    fn subscription<P: JsonSchema, I: JsonSchema>(&mut self, name: &str, summary: &str, told: &str, end: &str) {
        let params = self.schemas.subschema_for::<P>();
        let item = self.schemas.subschema_for::<I>();
        self.methods.push(json!({
            "name": name,
            "summary": summary,
            "paramStructure": "by-position",
            "params": [{ "name": "params", "required": true, "schema": params }],
            "result": { "name": "subscription", "schema": { "type": ["string", "integer"] } },
            "x-socket": CONTROL,
            "x-notification": told,
            "x-item": item,
            "x-unsubscribe": end,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::openrpc;
    use serde_json::Value;

    #[test]
    fn every_reference_leads_to_a_schema() {
        let contract = openrpc();
        let mut left = vec![&contract];
        let mut found = 0;
        while let Some(value) = left.pop() {
            match value {
                Value::Object(map) => {
                    if let Some(Value::String(to)) = map.get("$ref") {
                        found += 1;
                        assert!(contract.pointer(to.trim_start_matches('#')).is_some(), "{to}");
                    }
                    left.extend(map.values());
                }
                Value::Array(list) => left.extend(list),
                _ => {}
            }
        }
        assert!(found > 50, "{found}");
    }

    #[test]
    fn a_time_is_a_string_and_an_id_too() {
        let contract = openrpc();
        let schema = |name: &str| contract["components"]["schemas"][name].clone();
        assert_eq!(schema("Timestamp")["type"], "string", "{}", schema("Timestamp"));
        assert_eq!(schema("ConversationId")["type"], "string");
        assert_eq!(schema("SendParams")["additionalProperties"], false);
    }
}
