//! A call of a tool that the client offered: the smallest MCP client that real servers understand.

use super::session::Cancel;
use super::wire::locked;
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longer than any tool takes.
const LONGEST: Duration = Duration::from_mins(5);

/// What a tool brought.
#[derive(Debug)]
pub(super) struct Brought {
    /// Whether it did what it was asked to.
    pub(super) ok: bool,
    /// Its text.
    pub(super) text: String,
}

/// Starts `server`, an entry of `mcpServers`, calls one tool of it, and lets it end. A cancel of the turn ends it at once.
///
/// # Errors
/// It cannot be started, breaks off, or speaks something else.
pub(super) fn call(server: &Value, tool: &str, arguments: &Value, cancel: &Arc<Cancel>) -> io::Result<Brought> {
    let words = |name: &str| server[name].as_array().into_iter().flatten().filter_map(Value::as_str);
    let variables = server["env"].as_array().into_iter().flatten();
    let variables = variables.filter_map(|v| Some((v["name"].as_str()?, v["value"].as_str()?)));
    let mut command = Command::new(server["command"].as_str().unwrap_or_default());
    // As agents do it: of their own environment the server gets next to nothing.
    command.args(words("args")).env_clear().envs(variables).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("the server has no streams"));
    };
    let child = Arc::new(Mutex::new(child));
    end_with(Arc::clone(cancel), Arc::clone(&child));
    let mut lines = BufReader::new(output).lines();
    let client = json!({"name": "akk-demo-agent", "version": env!("CARGO_PKG_VERSION")});
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
    let result = (|| {
        ask(&mut input, &mut lines, 1, "initialize", &hello)?;
        writeln!(input, "{}", json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        ask(&mut input, &mut lines, 2, "tools/call", &json!({"name": tool, "arguments": arguments}))
    })();
    drop(input);
    let _ = locked(&child).wait();
    let result = result?;
    let content = result["content"].as_array().into_iter().flatten();
    let text = content.filter_map(|c| c["text"].as_str()).collect::<Vec<_>>().join("\n");
    Ok(Brought { ok: result["isError"] != true, text })
}

/// Ends the server when the turn is cancelled while it is at work.
fn end_with(cancel: Arc<Cancel>, child: Arc<Mutex<Child>>) {
    std::thread::spawn(move || {
        cancel.wait(LONGEST);
        // One that has ended is not signalled any more.
        let _ = locked(&child).kill();
    });
}

fn ask(
    input: &mut impl Write,
    lines: &mut impl Iterator<Item = io::Result<String>>,
    id: u64,
    method: &str,
    params: &Value,
) -> io::Result<Value> {
    writeln!(input, "{}", json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
    for line in lines {
        let answer: Value = serde_json::from_str(&line?)?;
        if answer["id"] != id {
            continue;
        }
        return match answer.get("error") {
            Some(error) => Err(io::Error::other(error["message"].as_str().unwrap_or("an error").to_owned())),
            None => Ok(answer["result"].clone()),
        };
    }
    Err(io::Error::other("the server ended without an answer"))
}
