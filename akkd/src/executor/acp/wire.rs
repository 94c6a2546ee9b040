//! What akkd says to an ACP agent, as lines. Every line is one JSON-RPC message and ends in `}` and a line feed.

use crate::executor::launch::offer::{Offer, SERVER};
use crate::executor::model::Setting;
use agent_client_protocol_schema::ProtocolVersion;
use agent_client_protocol_schema::v1::{
    CancelNotification, ClientCapabilities, ContentBlock, Implementation, InitializeRequest, LoadSessionRequest,
    McpServer, McpServerStdio, NewSessionRequest, PromptRequest, RequestPermissionOutcome, RequestPermissionResponse,
    ResumeSessionRequest, SelectedPermissionOutcome, SessionConfigOptionValue, SetSessionConfigOptionRequest,
    TextContent,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::path::Path;

#[derive(Serialize)]
struct Call<'a, T> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    method: &'a str,
    params: T,
}

fn line<T: Serialize>(id: Option<&str>, method: &str, params: T) -> Vec<u8> {
    end(serde_json::to_vec(&Call { jsonrpc: "2.0", id, method, params }))
}

fn end(json: serde_json::Result<Vec<u8>>) -> Vec<u8> {
    // These types are made of strings and maps with string keys: they always become JSON.
    let mut line = json.unwrap_or_default();
    line.push(b'\n');
    line
}

/// The first word: version 1, no files, no terminals.
pub(super) fn initialize(id: &str) -> Vec<u8> {
    let request = InitializeRequest::new(ProtocolVersion::V1)
        .client_capabilities(ClientCapabilities::new())
        .client_info(Implementation::new("akkd", env!("CARGO_PKG_VERSION")).title("Agent Knock Knock"));
    line(Some(id), "initialize", request)
}

pub(super) fn new_session(id: &str, workspace: &Path, offer: &Offer) -> Vec<u8> {
    line(Some(id), "session/new", NewSessionRequest::new(workspace).mcp_servers(servers(offer)))
}

/// The reporting tools. Every agent takes servers of this kind.
fn servers(offer: &Offer) -> Vec<McpServer> {
    vec![McpServer::Stdio(McpServerStdio::new(SERVER, &offer.command).args(offer.args.clone()))]
}

/// Loads a session: its history is told again.
pub(super) fn load_session(id: &str, session: &str, workspace: &Path, offer: &Offer) -> Vec<u8> {
    let request = LoadSessionRequest::new(session.to_owned(), workspace).mcp_servers(servers(offer));
    line(Some(id), "session/load", request)
}

/// Resumes a session without its history.
pub(super) fn resume_session(id: &str, session: &str, workspace: &Path, offer: &Offer) -> Vec<u8> {
    let request = ResumeSessionRequest::new(session.to_owned(), workspace).mcp_servers(servers(offer));
    line(Some(id), "session/resume", request)
}

/// Sets the model or the reasoning effort.
pub(super) fn set(id: &str, session: &str, setting: &Setting) -> Vec<u8> {
    match setting {
        Setting::Option { config_id, value } => {
            let value = SessionConfigOptionValue::value_id(value.clone());
            let request = SetSessionConfigOptionRequest::new(session.to_owned(), config_id.clone(), value);
            line(Some(id), "session/set_config_option", request)
        }
        // Gone from the protocol's types, still spoken by older agents.
        Setting::Model { model_id } => {
            line(Some(id), "session/set_model", json!({ "sessionId": session, "modelId": model_id }))
        }
    }
}

pub(super) fn prompt(id: &str, session: &str, text: String) -> Vec<u8> {
    let request = PromptRequest::new(session.to_owned(), vec![ContentBlock::Text(TextContent::new(text))]);
    line(Some(id), "session/prompt", request)
}

pub(super) fn cancel(session: &str) -> Vec<u8> {
    line(None, "session/cancel", CancelNotification::new(session.to_owned()))
}

/// The answer to a request for permission: the chosen option, or that the turn is being cancelled.
pub(super) fn permission(id: &Value, option: Option<&str>) -> Vec<u8> {
    let outcome = match option {
        Some(option) => RequestPermissionOutcome::Selected(SelectedPermissionOutcome::new(option.to_owned())),
        None => RequestPermissionOutcome::Cancelled,
    };
    end(serde_json::to_vec(&json!({
        "jsonrpc": "2.0", "id": id, "result": RequestPermissionResponse::new(outcome),
    })))
}

/// The answer to a request that akkd does not serve.
pub(super) fn not_served(id: &Value, method: &str) -> Vec<u8> {
    let message = format!("Method not found: {method}");
    end(serde_json::to_vec(&json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": message } })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[u8]) -> Value {
        assert!(line.ends_with(b"}\n"), "the last two bytes are what a prompt is held back by");
        assert_eq!(line.iter().position(|b| *b == b'\n'), Some(line.len() - 1));
        serde_json::from_slice(line).unwrap()
    }

    #[test]
    fn what_is_said_has_the_protocols_form() {
        let said = read(&initialize("init"));
        assert_eq!((&said["id"], &said["params"]["protocolVersion"]), (&json!("init"), &json!(1)));
        assert_ne!(said["params"]["clientCapabilities"]["fs"]["readTextFile"], json!(true));
        assert_ne!(said["params"]["clientCapabilities"]["terminal"], json!(true));
        let offer = Offer { command: "/a/akkctl".into(), args: vec!["report-server".into()], drop_dir: None };
        let servers = json!([{ "name": "akk", "command": "/a/akkctl", "args": ["report-server"], "env": [] }]);
        let said = read(&new_session("new", Path::new("/w"), &offer));
        assert_eq!(said["params"], json!({ "cwd": "/w", "mcpServers": servers }));
        let said = read(&load_session("load:1", "s", Path::new("/w"), &offer));
        assert_eq!((&said["method"], &said["params"]["sessionId"]), (&json!("session/load"), &json!("s")));
        assert_eq!(said["params"]["mcpServers"], servers);
        let said = read(&resume_session("load:1", "s", Path::new("/w"), &offer));
        assert_eq!(said["params"]["mcpServers"], servers);
        assert_eq!((&said["method"], &said["params"]["cwd"]), (&json!("session/resume"), &json!("/w")));
        let option = Setting::Option { config_id: "model".into(), value: "m".into() };
        let said = read(&set("set:1", "s", &option));
        assert_eq!(said["params"], json!({ "sessionId": "s", "configId": "model", "value": "m" }));
        let said = read(&set("set:1", "s", &Setting::Model { model_id: "m".into() }));
        assert_eq!(said["method"], json!("session/set_model"));
        let said = read(&prompt("prompt:turn-3:2", "s", "one\ntwo".into()));
        assert_eq!(said["id"], json!("prompt:turn-3:2"));
        assert_eq!(said["params"]["prompt"], json!([{ "type": "text", "text": "one\ntwo" }]));
        let said = read(&cancel("s"));
        assert!(said.get("id").is_none() && said["method"] == json!("session/cancel"));
    }

    #[test]
    fn answers_keep_the_id_as_it_came() {
        let said = read(&permission(&json!(0), Some("allow")));
        assert_eq!(said["id"], json!(0));
        assert_eq!(said["result"], json!({ "outcome": { "outcome": "selected", "optionId": "allow" } }));
        let said = read(&permission(&json!("a"), None));
        assert_eq!(said["result"], json!({ "outcome": { "outcome": "cancelled" } }));
        let said = read(&not_served(&json!(7), "fs/read_text_file"));
        assert_eq!((&said["id"], &said["error"]["code"]), (&json!(7), &json!(-32601)));
    }
}
