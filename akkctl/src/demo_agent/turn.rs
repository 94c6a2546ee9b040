//! One turn: carries out what the prompt asks for.

use super::agent::Agent;
use super::directive::{Call, Directive, Wait, script};
use super::mcp;
use super::prompt::Prompt;
use super::session::{Cancel, Session};
use super::story;
use super::wire::{RpcError, locked};
use nix::sys::signal::{Signal, raise};
use serde_json::{Value, json};
use std::cell::Cell;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How big the pieces of a flood are, in bytes.
const FLOOD_PIECE: usize = 8 << 10;

/// How often the agent looks whether the file is there that it waits for.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

static TOOL_CALLS: AtomicU64 = AtomicU64::new(1);

/// What a turn came to.
pub(super) struct Outcome {
    /// The answer to the prompt.
    pub(super) answer: Result<Value, RpcError>,
    /// Whether it is given twice.
    pub(super) twice: bool,
    /// What comes after it.
    pub(super) late: Vec<(Wait, Directive)>,
}

/// Whether a turn goes on.
pub(super) enum Step {
    Next,
    Stop(String),
}

/// A turn that runs.
pub(super) struct Turn {
    pub(super) agent: Agent,
    pub(super) session: Arc<Session>,
    pub(super) prompt: Prompt,
    cancel: Arc<Cancel>,
    deaf: Cell<bool>,
}

impl Turn {
    pub(super) fn new(agent: Agent, session: Arc<Session>, cancel: Arc<Cancel>, prompt: Prompt) -> Self {
        Self { agent, session, prompt, cancel, deaf: Cell::new(false) }
    }

    /// Carries the prompt out, up to its answer.
    pub(super) fn run(&self) -> Outcome {
        let lines = script(&self.prompt.body);
        let mut late = Vec::new();
        let mut twice = false;
        let mut stop = "end_turn".to_owned();
        let mut failed = None;
        match lines {
            None => story::tell(self),
            Some(lines) => {
                for line in lines {
                    if self.is_cancelled() {
                        break;
                    }
                    match line {
                        Directive::Twice => twice = true,
                        Directive::Late(wait, directive) => late.push((wait, *directive)),
                        line => match self.step(&line) {
                            Ok(Step::Next) => {}
                            Ok(Step::Stop(reason)) => {
                                stop = reason;
                                break;
                            }
                            Err(e) => {
                                failed = Some(e);
                                break;
                            }
                        },
                    }
                }
            }
        }
        if self.is_cancelled() {
            "cancelled".clone_into(&mut stop);
        }
        let usage =
            json!({"inputTokens": self.prompt.bytes / 4, "outputTokens": 5, "totalTokens": self.prompt.bytes / 4 + 5});
        let answer = failed.map_or_else(|| Ok(json!({"stopReason": stop, "usage": usage})), Err);
        Outcome { answer, twice, late }
    }

    /// What the script wants after the answer.
    pub(super) fn after(&self, late: Vec<(Wait, Directive)>) {
        for (wait, directive) in late {
            match wait {
                Wait::Time(time) => std::thread::sleep(time),
                Wait::File(file) => {
                    while !self.path(&file).exists() {
                        std::thread::sleep(LOOK_AGAIN);
                    }
                }
            }
            if let Err(e) = self.step(&directive) {
                super::complain(&format!("demo agent: late: {}", e.message));
            }
        }
    }

    fn step(&self, line: &Directive) -> Result<Step, RpcError> {
        let wire = &self.agent.0.wire;
        match line {
            Directive::Say(text) => self.say(text),
            Directive::Stream { pieces, pause } => {
                for n in 0..*pieces {
                    if self.is_cancelled() {
                        break;
                    }
                    self.say(&format!("piece {n} "));
                    self.pause(*pause);
                }
            }
            Directive::Think(text) => self.think(text),
            Directive::Tool(call) => self.tool(call, "completed", &format!("output of {}", call.title)),
            Directive::ToolFail(call) => self.tool(call, "failed", &format!("{} failed", call.title)),
            Directive::Akkctl(words) => self.say(&format!("{}\n", akkctl(words))),
            Directive::Permission(call) => self.permission(call, json!([
                {"optionId": "yes", "name": "Allow", "kind": "allow_once"},
                {"optionId": "no", "name": "Reject", "kind": "reject_once"},
            ]))?,
            Directive::Permission2(call) => self.permission(call, json!([
                {"optionId": "allow", "name": "Allow nothing", "kind": "reject_once"},
                {"optionId": "reject-always", "name": "Never ask again", "kind": "allow_always"},
                {"optionId": "reject", "name": "Go ahead", "kind": "allow_once"},
                {"optionId": "yes-to-all", "name": "Yes", "kind": "reject_always"},
            ]))?,
            Directive::Plan => self.plan(&[("look around", "completed"), ("do it", "in_progress"), ("check it", "pending")]),
            Directive::Usage => self.update(&json!({
                "sessionUpdate": "usage_update", "used": 1234, "size": 200_000, "cost": {"amount": 0.05, "currency": "USD"},
            })),
            Directive::Update(update) => self.update(update),
            Directive::Callback { kind, text } => {
                self.report(&json!({"type": kind, "body": text}).to_string());
            }
            Directive::CallbackRaw(text) => {
                self.report(text);
            }
            Directive::Mcp { tool, text } => self.call_mcp(tool, text),
            Directive::Ask(text) => {
                self.report(&json!({"type": "question", "body": text}).to_string());
                return Ok(Step::Stop("end_turn".to_owned()));
            }
            Directive::Sleep(time) => self.pause(*time),
            Directive::Until(file) => {
                let path = self.path(file);
                while !path.exists() && !self.is_cancelled() {
                    self.pause(LOOK_AGAIN);
                }
            }
            Directive::Block(time) => {
                let before = self.deaf.get();
                self.turn_deaf();
                std::thread::sleep(*time);
                self.deaf.set(before);
            }
            Directive::Hang => {
                self.turn_deaf();
                loop {
                    std::thread::park();
                }
            }
            Directive::IgnoreCancel => self.turn_deaf(),
            Directive::Stderr(text) => super::complain(text),
            Directive::Junk(text) => wire.write(&format!("this is not JSON {text}\n")),
            Directive::Half(pause) => wire.send_in_halves(&self.chunk("a line in two halves\n"), *pause),
            Directive::Stump => {
                let line = self.chunk("never finished").to_string();
                wire.write(&line[..line.len() / 2]);
            }
            Directive::Big(bytes) => self.say(&"x".repeat(*bytes)),
            Directive::Flood(bytes) => {
                let line = format!("{}\n", self.chunk(&"f".repeat(FLOOD_PIECE)));
                for _ in 0..bytes.div_ceil(FLOOD_PIECE) {
                    wire.write(&line);
                }
            }
            Directive::Len => self.say(&format!("prompt length {}\n", self.prompt.bytes)),
            Directive::Crash(code) => {
                super::complain("demo agent: crashing now");
                std::process::exit(*code);
            }
            Directive::Exit(code) => std::process::exit(*code),
            Directive::Kill9 => raise(Signal::SIGKILL).map_err(|e| RpcError::new(-32603, e.to_string()))?,
            Directive::RpcError { code, message } => return Err(RpcError::new(*code, message)),
            Directive::Stop(reason) => return Ok(Step::Stop(reason.clone())),
            Directive::Spawn { linger, own_session } => self.spawn(*linger, *own_session)?,
            Directive::ModelRefused(only) => {
                let model = self.session.model().unwrap_or_default();
                if only.as_ref().is_none_or(|only| *only == model) {
                    self.refuse_model(&model);
                    return Ok(Step::Stop("end_turn".to_owned()));
                }
            }
            Directive::Write { file, text } => self.write(file, text)?,
            Directive::EnvFile { name, file } => self.write(file, &variable(name))?,
            Directive::Env(name) => self.say(&format!("{name}={}\n", variable(name))),
            Directive::Once(name, directive) => {
                let Some(store) = &self.agent.0.options.store else {
                    return Err(RpcError::new(-32602, "once needs --store"));
                };
                let made = std::fs::create_dir_all(store).and_then(|()| std::fs::File::create_new(store.join(name)));
                if made.is_ok() {
                    return self.step(directive);
                }
            }
            // Handled by the turn itself; a nested one means nothing.
            Directive::Twice | Directive::Late(..) => {}
        }
        Ok(Step::Next)
    }

    /// From here on a cancel is not heard. It stands in the log, so that a test can cancel after it and not before.
    fn turn_deaf(&self) {
        self.deaf.set(true);
        self.agent.0.wire.log("deaf", json!({"session": self.session.id}));
    }

    fn write(&self, file: &str, text: &str) -> Result<(), RpcError> {
        let path = self.path(file);
        std::fs::write(&path, text).map_err(|e| RpcError::new(-32603, format!("{}: {e}", path.display())))
    }

    /// A file of the session's directory.
    fn path(&self, file: &str) -> PathBuf {
        locked(&self.session.kept).cwd.join(file)
    }

    /// Whether the turn ends because it was cancelled.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancel.is_asked() && !self.deaf.get()
    }

    /// Waits, unless the turn is cancelled meanwhile.
    pub(super) fn pause(&self, time: Duration) {
        if self.deaf.get() {
            std::thread::sleep(time);
        } else {
            self.cancel.wait(time);
        }
    }

    pub(super) fn say(&self, text: &str) {
        self.agent.say(&self.session.id, "agent_message_chunk", text);
    }

    pub(super) fn think(&self, text: &str) {
        self.agent.say(&self.session.id, "agent_thought_chunk", text);
    }

    pub(super) fn plan(&self, entries: &[(&str, &str)]) {
        let entries: Vec<_> = entries
            .iter()
            .map(|(content, status)| json!({"content": content, "priority": "medium", "status": status}))
            .collect();
        self.update(&json!({"sessionUpdate": "plan", "entries": entries}));
    }

    /// A tool call from beginning to end.
    pub(super) fn tool(&self, call: &Call, end: &str, output: &str) {
        let id = self.begin_tool(call);
        self.end_tool(&id, end, output);
    }

    fn begin_tool(&self, call: &Call) -> String {
        let id = format!("call-{}", TOOL_CALLS.fetch_add(1, Ordering::Relaxed));
        self.update(&json!({
            "sessionUpdate": "tool_call", "toolCallId": id, "title": call.title, "kind": call.kind,
            "status": "pending", "rawInput": {"command": call.title},
        }));
        self.update(&json!({"sessionUpdate": "tool_call_update", "toolCallId": id, "status": "in_progress"}));
        id
    }

    fn end_tool(&self, id: &str, status: &str, output: &str) {
        self.update(&json!({
            "sessionUpdate": "tool_call_update", "toolCallId": id, "status": status,
            "content": [{"type": "content", "content": {"type": "text", "text": output}}],
        }));
    }

    fn permission(&self, call: &Call, options: Value) -> Result<(), RpcError> {
        let id = format!("call-{}", TOOL_CALLS.fetch_add(1, Ordering::Relaxed));
        let tool = json!({
            "toolCallId": id, "title": call.title, "kind": call.kind, "status": "pending", "rawInput": {"command": call.title},
        });
        let params = json!({"sessionId": self.session.id, "options": options, "toolCall": tool});
        let outcome = self.agent.0.wire.ask("session/request_permission", &params)?["outcome"].clone();
        self.agent.0.wire.log("permission", json!({"outcome": outcome}));
        let chosen = options.as_array().and_then(|o| o.iter().find(|o| o["optionId"] == outcome["optionId"]));
        let kind = chosen.and_then(|o| o["kind"].as_str()).unwrap_or("cancelled");
        if kind.starts_with("allow") {
            self.tool(call, "completed", &format!("output of {}", call.title));
        }
        self.say(&format!("permission: {kind}\n"));
        Ok(())
    }

    /// Reports through `akkctl callback`, as the prompt tells an agent to. Shown as the tool call that it would be.
    /// Says whether the report was taken.
    pub(super) fn report(&self, message: &str) -> bool {
        let call = self.begin_tool(&Call::new("execute", "akkctl callback"));
        let (ok, output) = match self.run_callback(message) {
            Ok(output) => (output.status.success(), outcome(&output)),
            Err(e) => (false, format!("cannot run: {e}")),
        };
        self.agent
            .0
            .wire
            .log("callback", json!({"ok": ok, "message": message, "output": output, "turn": self.prompt.turn}));
        self.end_tool(&call, if ok { "completed" } else { "failed" }, &output);
        ok
    }

    /// Reports with a tool that the client offered.
    fn call_mcp(&self, tool: &str, body: &str) {
        let call = self.begin_tool(&Call::new("other", tool));
        let server = locked(&self.session.servers).first().cloned().unwrap_or_default();
        let arguments = json!({"body": body, "turn": self.prompt.turn});
        let (ok, output) = match mcp::call(&server, tool, &arguments, &self.cancel) {
            Ok(brought) => (brought.ok, brought.text),
            Err(e) => (false, format!("cannot call: {e}")),
        };
        self.agent.0.wire.log("mcp", json!({"ok": ok, "tool": tool, "output": output, "turn": self.prompt.turn}));
        self.end_tool(&call, if ok { "completed" } else { "failed" }, &output);
    }

    fn run_callback(&self, message: &str) -> std::io::Result<Output> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("callback");
        let conversation = std::env::var("AKK_CONVERSATION").ok().or_else(|| self.prompt.conversation.clone());
        if let Some(conversation) = conversation {
            command.args(["--conversation", &conversation]);
        }
        if let Some(turn) = &self.prompt.turn {
            command.args(["--turn", turn]);
        }
        command.arg(message).stdin(Stdio::null()).output()
    }

    fn spawn(&self, linger: Duration, own_session: bool) -> Result<(), RpcError> {
        let failed = |e: std::io::Error| RpcError::new(-32603, format!("spawn: {e}"));
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args(["demo-agent", "--linger", &linger.as_secs_f64().to_string()]);
        if own_session {
            command.arg("--own-session");
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(failed)?;
        self.agent.0.wire.log("spawn", json!({"child": child.id(), "own_session": own_session}));
        Ok(())
    }

    /// Codex claims `end_turn` when the account may not use the model: the error is agent text, and the mark is the
    /// thread's status (seen with codex-acp 1.13.1).
    fn refuse_model(&self, model: &str) {
        self.update(&json!({
            "sessionUpdate": "session_info_update", "_meta": {"codex": {"threadStatus": {"type": "systemError"}}},
        }));
        self.say(&format!("The '{model}' model is not supported when using Codex with a ChatGPT account."));
    }

    fn update(&self, update: &Value) {
        self.agent.0.wire.update(&self.session.id, update);
    }

    fn chunk(&self, text: &str) -> Value {
        json!({"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": self.session.id, "update": {
            "sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text},
        }}})
    }
}

/// What an agent would do that tries to serve itself.
fn akkctl(words: &str) -> String {
    let socket = PathBuf::from(variable("AKK_CALLBACK_SOCKET")).with_file_name("akkd.sock");
    let run =
        |program| Command::new(program).args(words.split(' ')).env("AKK_SOCKET", socket).stdin(Stdio::null()).output();
    match std::env::current_exe().and_then(run) {
        Ok(output) => outcome(&output),
        Err(e) => format!("cannot run: {e}"),
    }
}

/// `exit 0: what it printed`.
fn outcome(output: &Output) -> String {
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let code = output.status.code().map_or("none".to_owned(), |c| c.to_string());
    format!("exit {code}: {}", String::from_utf8_lossy(&said).trim())
}

fn variable(name: &str) -> String {
    std::env::var_os(name).map_or_else(|| "(unset)".to_owned(), |value| value.to_string_lossy().into_owned())
}
