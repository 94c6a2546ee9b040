//! Answering requests for approval by the policy, once nobody else did. Pure.

use super::stream::command;
use crate::sessions::codex::app_server::RpcError;
use akk_core::redact;
use akk_proto::conversation::PermissionPolicy;
use akk_proto::event::Activity;
use serde_json::{Value, json};

/// Longest title in the record, in characters.
const MAX_TITLE_CHARS: usize = 200;
/// Parts of a command that only look, as Codex parses it.
const READING: [&str; 3] = ["read", "listFiles", "search"];
/// JSON-RPC's code for a method that is not known.
const METHOD_NOT_FOUND: i64 = -32601;

/// What to answer, and how it is recorded.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decision {
    /// The answer.
    pub(super) answer: Result<Value, RpcError>,
    /// For the record.
    pub(super) activity: Activity,
}

/// What a request is about, for people: 200 characters at most, redacted.
pub(super) fn title(method: &str, params: &Value) -> String {
    let text = |key: &str| params.get(key).and_then(Value::as_str).filter(|t| !t.trim().is_empty());
    let title = match method {
        "item/commandExecution/requestApproval" => match command(params) {
            "" => "a command".to_owned(),
            command => command.to_owned(),
        },
        "item/fileChange/requestApproval" => {
            text("grantRoot").map_or_else(|| "change files".to_owned(), |root| format!("change files below {root}"))
        }
        "item/permissions/requestApproval" => {
            text("reason").map_or_else(|| "more permissions".to_owned(), |why| format!("more permissions: {why}"))
        }
        "item/tool/requestUserInput" => "a question to the user".to_owned(),
        "mcpServer/elicitation/request" => text("message").unwrap_or("a question of an MCP server").to_owned(),
        other => other.to_owned(),
    };
    redact::preview(&title, MAX_TITLE_CHARS)
}

/// Decides about a request of the daemon.
pub(super) fn decide(policy: PermissionPolicy, method: &str, params: &Value) -> Decision {
    let all = policy == PermissionPolicy::All;
    let (allow, answer) = match method {
        "item/commandExecution/requestApproval" => {
            let allow = offered(params, "accept") && (all || policy == PermissionPolicy::Reads && only_looks(params));
            (allow, Ok(decision(allow)))
        }
        "item/fileChange/requestApproval" => (all, Ok(decision(all))),
        "item/permissions/requestApproval" => {
            let granted = params.get("permissions").filter(|_| all).cloned();
            let answer = json!({ "permissions": granted.unwrap_or_else(|| json!({})), "scope": "turn" });
            (all, Ok(answer))
        }
        "mcpServer/elicitation/request" => {
            // A form that must be filled in needs a person.
            let allow = all && !has_fields(params);
            let action = if allow { "accept" } else { "decline" };
            (allow, Ok(json!({ "action": action, "content": if allow { json!({}) } else { Value::Null } })))
        }
        // No answer is an answer: the agent is told that nobody chose.
        "item/tool/requestUserInput" => (false, Ok(json!({ "answers": {} }))),
        _ => {
            let message = "akkd does not answer this".to_owned();
            (false, Err(RpcError { code: METHOD_NOT_FOUND, message }))
        }
    };
    let option = answer.as_ref().ok().and_then(|a| a.get("decision").or(a.get("action")));
    let activity = Activity::Permission {
        title: title(method, params),
        decision: if allow { "allowed" } else { "refused" }.to_owned(),
        option: option.and_then(Value::as_str).map(str::to_owned),
    };
    Decision { answer, activity }
}

/// `decline` lets the turn go on; it is taken also where it is not offered (observed on 0.169.0), and the offered
/// `cancel` would end the turn.
fn decision(allow: bool) -> Value {
    json!({ "decision": if allow { "accept" } else { "decline" } })
}

fn offered(params: &Value, decision: &str) -> bool {
    match params.get("availableDecisions").and_then(Value::as_array) {
        Some(list) => list.iter().any(|d| d.as_str() == Some(decision)),
        None => true,
    }
}

/// Whether a command only looks, and asks for nothing else. What does not say so may do anything.
fn only_looks(params: &Value) -> bool {
    let absent = |key: &str| params.get(key).is_none_or(Value::is_null);
    let plain = params.get("kind").is_none_or(|kind| kind == "command");
    let actions = params.get("commandActions").and_then(Value::as_array);
    let reads = |action: &Value| action.get("type").and_then(Value::as_str).is_some_and(|t| READING.contains(&t));
    plain
        && absent("additionalPermissions")
        && absent("networkApprovalContext")
        && actions.is_some_and(|actions| !actions.is_empty() && actions.iter().all(reads))
}

fn has_fields(params: &Value) -> bool {
    let form = params.get("mode").is_none_or(|mode| mode == "form");
    let fields = params.get("requestedSchema").and_then(|s| s.get("properties")).and_then(Value::as_object);
    !form || fields.is_none_or(|fields| !fields.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use PermissionPolicy::{All, Deny, Reads};

    const COMMAND: &str = "item/commandExecution/requestApproval";

    /// As 0.169.0 asks.
    fn command(action: &str) -> Value {
        json!({
            "kind": "command", "threadId": "t", "turnId": "u", "itemId": "i", "command": "cat --token abc123",
            "commandActions": [{ "type": action, "command": "cat --token abc123" }],
            "availableDecisions": ["accept", { "acceptWithExecpolicyAmendment": {} }, "cancel"],
        })
    }

    fn said(policy: PermissionPolicy, method: &str, params: &Value) -> (Value, String) {
        let Decision { answer, activity } = decide(policy, method, params);
        let Activity::Permission { decision, title, .. } = activity else { panic!() };
        assert!(!title.contains("abc123"), "{title}");
        (answer.unwrap(), decision)
    }

    #[test]
    fn a_command_is_answered_by_the_policy() {
        let yes = (json!({ "decision": "accept" }), "allowed".to_owned());
        let no = (json!({ "decision": "decline" }), "refused".to_owned());
        assert_eq!(said(All, COMMAND, &command("unknown")), yes);
        assert_eq!(said(Deny, COMMAND, &command("read")), no);
        assert_eq!(said(Reads, COMMAND, &command("unknown")), no);
        for action in READING {
            assert_eq!(said(Reads, COMMAND, &command(action)), yes);
        }
    }

    #[test]
    fn what_only_looks_and_asks_for_more_does_not_only_look() {
        for (key, value) in [
            ("additionalPermissions", json!({ "network": { "enabled": true } })),
            ("networkApprovalContext", json!({ "host": "example.org" })),
            ("kind", json!("stdin")),
            ("commandActions", json!([])),
            ("commandActions", json!([{ "type": "read" }, { "type": "unknown" }])),
        ] {
            let mut params = command("read");
            params[key] = value;
            assert_eq!(said(Reads, COMMAND, &params).1, "refused", "{key}");
        }
    }

    #[test]
    fn what_is_not_offered_is_not_accepted() {
        let mut params = command("read");
        params["availableDecisions"] = json!(["cancel"]);
        assert_eq!(said(All, COMMAND, &params).1, "refused");
    }

    #[test]
    fn other_requests_are_answered_too() {
        let files = "item/fileChange/requestApproval";
        assert_eq!(said(All, files, &json!({})).0, json!({ "decision": "accept" }));
        assert_eq!(said(Reads, files, &json!({})).0, json!({ "decision": "decline" }));
        let more = "item/permissions/requestApproval";
        let params = json!({ "permissions": { "network": { "enabled": true } } });
        assert_eq!(said(All, more, &params).0["permissions"], params["permissions"]);
        assert_eq!(said(Deny, more, &params).0["permissions"], json!({}));
        let form = "mcpServer/elicitation/request";
        let empty = json!({ "mode": "form", "requestedSchema": { "type": "object", "properties": {} } });
        assert_eq!(said(All, form, &empty).0["action"], "accept");
        assert_eq!(said(Reads, form, &empty).0["action"], "decline");
        let filled = json!({ "requestedSchema": { "properties": { "name": { "type": "string" } } } });
        assert_eq!(said(All, form, &filled).0["action"], "decline");
        assert_eq!(said(All, form, &json!({ "mode": "url", "url": "https://example.org" })).0["action"], "decline");
        assert_eq!(said(All, "item/tool/requestUserInput", &json!({})).0, json!({ "answers": {} }));
        assert_eq!(decide(All, "something/new", &json!({})).answer.unwrap_err().code, METHOD_NOT_FOUND);
    }
}
