//! A stand-in for the model behind OpenClaw: a scripted server of OpenAI's Chat Completions API on loopback.
//!
//! Stories teach it what to say to what: to a text of the user's, or to a report of an agent's. Everything that is asked is kept, so that a story can count how often the
//! model was told something.

use super::wait_for;
use crate::http::{self, Request, Server};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::SystemTime;

/// How OpenClaw begins what it adds by itself in the user's name.
const INJECTED: &str = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>";

/// One request for an answer of the model.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The last message that was said to the model.
    pub prompt: String,
    /// The report of an agent's in it.
    pub report: Option<Report>,
    /// How many tool results came after it: 0 when the prompt itself is new.
    pub step: usize,
    /// The last of these results.
    pub result: String,
    /// When it came.
    pub at: SystemTime,
    /// Everything that was sent.
    pub body: Value,
}

impl Asked {
    /// The messages of one role, oldest first.
    pub fn said_by(&self, role: &str) -> Vec<String> {
        let messages = self.body["messages"].as_array().into_iter().flatten();
        messages.filter(|m| m["role"] == role).map(|m| text(&m["content"])).collect()
    }

    /// The names of the tools that are offered.
    pub fn tools(&self) -> Vec<&str> {
        let tools = self.body["tools"].as_array().into_iter().flatten();
        tools.filter_map(|t| t["function"]["name"].as_str()).collect()
    }
}

/// A report as the model reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The conversation.
    pub conversation: String,
    /// `question`, `done` …
    pub kind: String,
    /// What stands between the marks.
    pub words: String,
}

impl Report {
    /// The name and the title of the request in a `permission`.
    pub fn request(&self) -> Option<(&str, &str)> {
        self.words.lines().next()?.strip_prefix("Request ")?.split_once(": ")
    }

    /// The report in a prompt.
    fn in_prompt(prompt: &str) -> Option<Self> {
        let line = |name: &str| prompt.lines().find_map(|l| l.strip_prefix(name)).map(str::to_owned);
        let mark = prompt.lines().find(|l| l.starts_with("--- akk "))?;
        Some(Self {
            conversation: line("Conversation: ")?.split(' ').next()?.to_owned(),
            kind: line("Type: ")?,
            words: prompt.split(mark).nth(1)?.trim_matches('\n').to_owned(),
        })
    }
}

/// What the model does.
#[derive(Debug, Clone)]
pub struct Reply {
    act: Act,
    hold: Option<String>,
}

#[derive(Debug, Clone)]
enum Act {
    Say(String),
    Call { tool: String, arguments: Value },
    Fail { status: u16, why: String },
}

impl Reply {
    /// Ends its turn with a text.
    pub fn say(text: impl Into<String>) -> Self {
        Self { act: Act::Say(text.into()), hold: None }
    }

    /// Calls a tool.
    pub fn call(tool: &str, arguments: Value) -> Self {
        Self { act: Act::Call { tool: tool.to_owned(), arguments }, hold: None }
    }

    /// Is refused, or fails, with this status.
    pub fn fail(status: u16, why: &str) -> Self {
        Self { act: Act::Fail { status, why: why.to_owned() }, hold: None }
    }

    /// Waits, before that, until the story calls [`Mind::let_go`].
    pub fn after(mut self, name: &str) -> Self {
        self.hold = Some(name.to_owned());
        self
    }
}

/// What a rule is about.
#[derive(Debug, Clone)]
enum Topic {
    /// A prompt that contains this, and carries no report: a report names the request that it belongs to.
    Said(String),
    /// A report whose words are these.
    Reported(String),
    /// A permission request with this title.
    Requested(String),
}

impl Topic {
    fn fits(&self, asked: &Asked) -> bool {
        match (self, &asked.report) {
            (Self::Said(text), None) => asked.prompt.contains(text.as_str()),
            (Self::Reported(words), Some(report)) => report.words == *words,
            (Self::Requested(title), Some(report)) => report.request().is_some_and(|(_, t)| t == title),
            _ => false,
        }
    }
}

type Rule = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

/// The running server. Stops when dropped.
pub struct Mind {
    server: Server,
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    rules: Vec<(Topic, Rule)>,
    let_go: HashSet<String>,
    over: bool,
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

impl Mind {
    /// Starts it on a port that is free.
    pub fn start() -> Self {
        let inner = Arc::new(Inner::default());
        let serving = Arc::clone(&inner);
        let server = Server::start(move |stream, request| serve(&serving, stream, &request));
        Self { server, inner }
    }

    /// Where it is, for OpenClaw's configuration.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.server.url())
    }

    /// Teaches it what to do when the user says something that contains `text`: once for that, and again after each
    /// tool result. What is taught last counts. Without a rule it says `Noted: …`.
    pub fn on(&self, text: &str, rule: impl Fn(&Asked) -> Reply + Send + Sync + 'static) {
        self.inner.lock().rules.push((Topic::Said(text.to_owned()), Arc::new(rule)));
    }

    /// The same for a report with these words.
    pub fn on_report(&self, words: &str, rule: impl Fn(&Asked, &Report) -> Reply + Send + Sync + 'static) {
        let rule = move |asked: &Asked| rule(asked, asked.report.as_ref().expect("only then it fits"));
        self.inner.lock().rules.push((Topic::Reported(words.to_owned()), Arc::new(rule)));
    }

    /// The same for a permission request with this title.
    pub fn on_request(&self, title: &str, rule: impl Fn(&Asked, &Report) -> Reply + Send + Sync + 'static) {
        let rule = move |asked: &Asked| rule(asked, asked.report.as_ref().expect("only then it fits"));
        self.inner.lock().rules.push((Topic::Requested(title.to_owned()), Arc::new(rule)));
    }

    /// The times that the model was told of a permission request with this title.
    pub fn requests(&self, title: &str) -> Vec<Asked> {
        let topic = Topic::Requested(title.to_owned());
        self.asked().into_iter().filter(|a| a.step == 0 && topic.fits(a)).collect()
    }

    /// Has it call a tool when the user says something that contains `text`, and then say `then`.
    pub fn calls(&self, text: &str, tool: &str, arguments: Value, then: &str) {
        let (tool, then) = (tool.to_owned(), then.to_owned());
        self.on(text, move |asked| match asked.step {
            0 => Reply::call(&tool, arguments.clone()),
            _ => Reply::say(then.as_str()),
        });
    }

    /// Everything that was asked, oldest first.
    pub fn asked(&self) -> Vec<Asked> {
        self.inner.lock().asked.clone()
    }

    /// The times that the user was heard with this.
    pub fn prompts(&self, text: &str) -> Vec<Asked> {
        let topic = Topic::Said(text.to_owned());
        self.asked().into_iter().filter(|a| a.step == 0 && topic.fits(a)).collect()
    }

    /// The times that the model was told a report with these words. It should be once.
    pub fn reports(&self, words: &str) -> Vec<Asked> {
        let topic = Topic::Reported(words.to_owned());
        self.asked().into_iter().filter(|a| a.step == 0 && topic.fits(a)).collect()
    }

    /// Waits until the user was heard with this.
    pub async fn prompted(&self, text: &str) -> Asked {
        wait_for(&format!("{text:?} of the user at the model"), async || self.prompts(text).pop()).await
    }

    /// Waits until the model was told a report with these words.
    pub async fn reported(&self, words: &str) -> Asked {
        wait_for(&format!("the report {words:?} at the model"), async || self.reports(words).pop()).await
    }

    /// Waits until the model was given the result of the `step`th tool call after a prompt that contains this.
    pub async fn told(&self, text: &str, step: usize) -> Asked {
        let fits = |a: &Asked| a.step == step && a.prompt.contains(text);
        wait_for(&format!("tool result {step} of {text:?}"), async || self.asked().into_iter().find(fits)).await
    }

    /// Lets every reply that waits for this go on, now and later.
    pub fn let_go(&self, name: &str) {
        self.inner.lock().let_go.insert(name.to_owned());
        self.inner.changed.notify_all();
    }
}

impl Drop for Mind {
    fn drop(&mut self) {
        self.inner.lock().over = true;
        self.inner.changed.notify_all();
    }
}

/// Answers one request.
fn serve(inner: &Inner, stream: &TcpStream, request: &Request) -> std::io::Result<()> {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", path) if path.ends_with("/models") => {
            http::answer(stream, 200, r#"{"object":"list","data":[{"id":"scripted","object":"model"}]}"#)
        }
        ("POST", path) if path.ends_with("/chat/completions") => match serde_json::from_slice(&request.body) {
            Ok(body) => complete(inner, stream, body),
            Err(e) => http::answer(stream, 400, &json!({"error": {"message": e.to_string()}}).to_string()),
        },
        (_, path) => http::answer(stream, 404, &json!({"error": {"message": format!("no route {path}")}}).to_string()),
    }
}

fn complete(inner: &Inner, stream: &TcpStream, body: Value) -> std::io::Result<()> {
    let asked = read(body);
    let rule = {
        let mut state = inner.lock();
        state.asked.push(asked.clone());
        let fits = |(topic, _): &&(Topic, Rule)| topic.fits(&asked);
        state.rules.iter().rev().find(fits).map(|(_, rule)| Arc::clone(rule))
    };
    let reply = rule.map_or_else(|| noted(&asked), |rule| rule(&asked));
    if let Some(name) = &reply.hold {
        let state = inner.lock();
        let held = inner.changed.wait_while(state, |s| !s.over && !s.let_go.contains(name));
        drop(held.expect("no holder panics"));
    }
    play(stream, &asked.body, &reply.act)
}

/// The answer to what no rule is about.
fn noted(asked: &Asked) -> Reply {
    let report = asked.report.as_ref().map(|r| format!("{}: {}", r.kind, r.words));
    // OpenClaw puts a line about the session behind what was said.
    let said = asked.prompt.split("\n\nRuntime: ").next().and_then(|p| p.lines().last());
    Reply::say(format!("Noted: {}", report.as_deref().or(said).unwrap_or_default()))
}

/// What is asked.
fn read(body: Value) -> Asked {
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let is_prompt = |m: &Value| m["role"] == "user" && !text(&m["content"]).trim_start().starts_with(INJECTED);
    let at = messages.iter().rposition(is_prompt);
    let prompt = at.map_or_else(String::new, |at| text(&messages[at]["content"]));
    let after = messages.iter().skip(at.map_or(0, |at| at + 1));
    let results: Vec<String> = after.filter(|m| m["role"] == "tool").map(|m| text(&m["content"])).collect();
    let (step, result) = (results.len(), results.last().cloned().unwrap_or_default());
    let report = Report::in_prompt(&prompt);
    Asked { prompt, report, step, result, at: SystemTime::now(), body }
}

/// A content, which is a text or a list of parts.
fn text(content: &Value) -> String {
    let parts = content.as_array().into_iter().flatten().filter_map(|p| p["text"].as_str());
    content.as_str().map_or_else(|| parts.collect::<Vec<_>>().join("\n"), str::to_owned)
}

fn play(stream: &TcpStream, body: &Value, act: &Act) -> std::io::Result<()> {
    let (message, finish) = match act {
        Act::Fail { status, why } => {
            let error = json!({"error": {"message": why, "type": "scripted"}});
            return http::answer(stream, *status, &error.to_string());
        }
        Act::Say(text) => (json!({"role": "assistant", "content": text}), "stop"),
        Act::Call { tool, arguments } => {
            let call = json!({"index": 0, "id": format!("call_{:x}", unique()), "type": "function",
                "function": {"name": tool, "arguments": arguments.to_string()}});
            (json!({"role": "assistant", "content": null, "tool_calls": [call]}), "tool_calls")
        }
    };
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15});
    let of = |object: &str, choice: Value| {
        json!({"id": format!("chatcmpl-{:x}", unique()), "object": object, "created": 0, "model": body["model"],
            "choices": [choice], "usage": usage})
    };
    if body["stream"] != json!(true) {
        let choice = json!({"index": 0, "message": message, "finish_reason": finish});
        return http::answer(stream, 200, &of("chat.completion", choice).to_string());
    }
    http::begin_events(stream)?;
    for choice in [
        json!({"index": 0, "delta": message, "finish_reason": null}),
        json!({"index": 0, "delta": {}, "finish_reason": finish}),
    ] {
        http::data(stream, &of("chat.completion.chunk", choice).to_string())?;
    }
    http::data(stream, "[DONE]")
}

fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(1);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::Report;
    use akk_proto::delivery::DeliveryBody;
    use serde_json::json;

    #[test]
    fn a_report_is_read_as_akkd_writes_it() {
        let conversation = "task-20260620T140525-0a1b2c3d";
        let message = "msg-00000000-0000-7000-8000-000000000000";
        let body: DeliveryBody = serde_json::from_value(json!({
            "key": format!("akk:{conversation}:{message}"), "conversation_id": conversation, "message_id": message,
            "kind": "question", "needs_answer": true, "agent": "demo", "title": "ask Which?", "round": 1,
            "ts": "2026-06-20T14:05:25.000Z", "text": "Which?\nOr that?",
        }))
        .expect("it is a body");
        let read = Report::in_prompt(&format!("[Mon] {}\n\nRuntime: x", akk_core::tell::text(&body)));
        let words = "Which?\nOr that?".to_owned();
        assert_eq!(read, Some(Report { conversation: conversation.into(), kind: "question".into(), words }));
        assert_eq!(Report::in_prompt("good morning"), None);
    }
}
