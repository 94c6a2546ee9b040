//! One answer of the model, in the words of the Responses API.

use super::script::{Act, Step};
use crate::http;
use serde_json::{Value, json};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};

/// Plays a step as the answer to `body`.
pub(super) fn play(stream: &TcpStream, body: &Value, step: &Step) -> std::io::Result<()> {
    if let Act::Http { status, body } = &step.act {
        let is_json = serde_json::from_str::<Value>(body).is_ok();
        let message = json!({"error": {"message": body, "type": "invalid_request_error"}}).to_string();
        return http::answer(stream, *status, if is_json { body } else { &message });
    }
    let response = json!({"id": id("resp"), "object": "response", "model": body["model"], "output": []});
    let of = |status: &str, more: Value| {
        let mut response = response.clone();
        response["status"] = status.into();
        for (name, value) in more.as_object().into_iter().flatten() {
            response[name] = value.clone();
        }
        response
    };
    http::begin_events(stream)?;
    http::event(stream, &json!({"type": "response.created", "response": of("in_progress", json!({}))}))?;
    let item = match &step.act {
        Act::Say(text) => message(text),
        Act::Run(command) => run(body, command),
        Act::Escalate(command) => {
            let why = "the story asks for it";
            let wish = json!({"cmd": command, "sandbox_permissions": "require_escalated", "justification": why});
            call("exec_command", &wish)
        }
        Act::Spawn(prompt) => spawn(prompt),
        Act::Tool { name, parameters } => tool(name, parameters),
        Act::Patch { file, text } => patch(body, file, text),
        Act::Fail(why) => {
            let error = json!({"error": {"code": "server_error", "message": why}});
            return http::event(stream, &json!({"type": "response.failed", "response": of("failed", error)}));
        }
        Act::Cut | Act::Http { .. } => return Ok(()),
    };
    say(stream, &item)?;
    let usage = json!({"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 500}, "output_tokens": 20,
                       "output_tokens_details": {"reasoning_tokens": 5}, "total_tokens": 1020});
    let done = of("completed", json!({"output": [item], "usage": usage}));
    http::event(stream, &json!({"type": "response.completed", "response": done}))
}

/// Streams one item, a text word by word.
fn say(stream: &TcpStream, item: &Value) -> std::io::Result<()> {
    let mut begun = item.clone();
    begun["status"] = "in_progress".into();
    let text = item["content"][0]["text"].as_str();
    if text.is_some() {
        begun["content"] = json!([]);
    }
    http::event(stream, &json!({"type": "response.output_item.added", "output_index": 0, "item": begun}))?;
    for word in text.into_iter().flat_map(|t| t.split_inclusive(' ')) {
        http::event(
            stream,
            &json!({"type": "response.output_text.delta", "item_id": item["id"], "output_index": 0,
                    "content_index": 0, "delta": word}),
        )?;
    }
    http::event(stream, &json!({"type": "response.output_item.done", "output_index": 0, "item": item}))
}

fn message(text: &str) -> Value {
    json!({"type": "message", "id": id("msg"), "role": "assistant", "status": "completed", "phase": "final_answer",
           "content": [{"type": "output_text", "text": text, "annotations": []}]})
}

/// A shell command, through the tool that the request offers: models that Codex does not know get `exec_command`,
/// others the code mode's `exec`, which takes JavaScript.
fn run(body: &Value, command: &str) -> Value {
    if offers(body, "exec_command") {
        call("exec_command", &json!({"cmd": command, "yield_time_ms": 30_000}))
    } else if offers(body, "exec") {
        let arguments = json!({"cmd": command, "yield_time_ms": 30_000});
        code(&format!("text(await tools.exec_command({arguments}));"))
    } else {
        call("shell", &json!({"command": ["bash", "-lc", command]}))
    }
}

/// A sub-agent, through the tool that codex 0.169 offers for it.
fn spawn(prompt: &str) -> Value {
    let mut call = call("spawn_agent", &json!({"message": prompt}));
    call["namespace"] = "multi_agent_v1".into();
    call
}

/// A tool of the MCP server `akk`, as codex 0.169 names it.
fn tool(name: &str, parameters: &Value) -> Value {
    let mut call = call(name, parameters);
    call["namespace"] = "mcp__akk".into();
    call
}

fn patch(body: &Value, file: &str, text: &str) -> Value {
    let patch = format!("*** Begin Patch\n*** Add File: {file}\n+{text}\n*** End Patch\n");
    if offers(body, "apply_patch") {
        custom("apply_patch", &patch)
    } else if offers(body, "exec") {
        code(&format!("text(await tools.apply_patch({}));", json!(patch)))
    } else {
        run(body, &format!("apply_patch <<'EOF'\n{patch}EOF"))
    }
}

fn call(name: &str, arguments: &Value) -> Value {
    json!({"type": "function_call", "id": id("fc"), "call_id": id("call"), "name": name,
           "arguments": arguments.to_string()})
}

fn code(javascript: &str) -> Value {
    custom("exec", javascript)
}

fn custom(name: &str, input: &str) -> Value {
    json!({"type": "custom_tool_call", "id": id("ctc"), "call_id": id("call"), "name": name, "input": input})
}

/// Whether a tool is offered: in `tools`, or in an `additional_tools` item of the input, perhaps in a namespace.
fn offers(body: &Value, name: &str) -> bool {
    let listed = |tools: &Value| {
        let tools = tools.as_array().into_iter().flatten();
        tools
            .flat_map(|t| {
                if t["type"] == "namespace" {
                    t["tools"].as_array().cloned().unwrap_or_default()
                } else {
                    vec![t.clone()]
                }
            })
            .any(|t| t["name"] == name || t["type"] == name)
    };
    let additional = body["input"].as_array().into_iter().flatten().filter(|i| i["type"] == "additional_tools");
    listed(&body["tools"]) || additional.into_iter().any(|i| listed(&i["tools"]))
}

fn id(prefix: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!("{prefix}_{:024x}", COUNT.fetch_add(1, Ordering::Relaxed))
}
