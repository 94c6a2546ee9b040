//! A stand-in for the model behind Codex: a scripted server of OpenAI's Responses API on loopback, so that the real
//! `codex` runs without account or network. What it answers is what codex 0.169 asks for: `POST …/responses`, streamed,
//! and `GET …/models`.
//!
//! A prompt says itself what happens, see [`script`]. Everything that is asked is kept, so that a story can count how
//! often a prompt arrived and see what came with it.

mod reply;
pub mod script;

use crate::http::{self, Request, Server};
use crate::wait::wait_for;
use script::Step;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// What Codex puts into a conversation by itself, as messages of the user: how each begins.
const INJECTED: [&str; 8] = [
    "<environment_context>",
    "<user_instructions>",
    "# AGENTS.md",
    "<permissions instructions>",
    "<turn_aborted>",
    "<skills",
    "<collaboration_mode>",
    "<subagent_notification>",
];

/// One request for an answer of the model.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The last message that a user or an orchestrator wrote.
    pub prompt: String,
    /// How many tool results came after it: 0 when the prompt itself is new.
    pub step: usize,
    /// The model.
    pub model: String,
    /// Whether Codex asked for itself: a title, a review.
    pub aside: bool,
    /// Everything that was sent.
    pub body: Value,
}

impl Asked {
    /// Every text of users and models in it, oldest first, with its role.
    pub fn said(&self) -> Vec<(String, String)> {
        messages(&self.body).map(|(_, role, text)| (role.to_owned(), text)).collect()
    }

    /// Whether some message in it contains this.
    pub fn knows(&self, text: &str) -> bool {
        self.said().iter().any(|(_, said)| said.contains(text))
    }
}

/// The running server. Stops when dropped.
pub struct Model {
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
    let_go: HashSet<String>,
    refused_models: HashSet<String>,
    over: bool,
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

impl Model {
    /// Starts it on a port that is free.
    pub fn start() -> Self {
        let inner = Arc::new(Inner::default());
        let serving = Arc::clone(&inner);
        let server = Server::start(move |stream, request| serve(&serving, stream, request));
        Self { server, inner }
    }

    /// Where it is, for Codex's configuration.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.server.url())
    }

    /// Everything that was asked, oldest first.
    pub fn asked(&self) -> Vec<Asked> {
        self.inner.lock().asked.clone()
    }

    /// The times that a prompt which contains this arrived as a new one. It should be once.
    pub fn prompts(&self, text: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|a| a.step == 0 && !a.aside && a.prompt.contains(text)).collect()
    }

    /// Waits until a prompt that contains this arrived.
    pub async fn prompted(&self, text: &str) -> Asked {
        wait_for(&format!("the prompt {text:?} at the model"), async || self.prompts(text).pop()).await
    }

    /// Waits until the model was given the result of the `step`th tool call after a prompt that contains this.
    pub async fn told(&self, text: &str, step: usize) -> Asked {
        let fits = |a: &Asked| a.step == step && !a.aside && a.prompt.contains(text);
        wait_for(&format!("tool result {step} of {text:?}"), async || self.asked().into_iter().find(fits)).await
    }

    /// Refuses every prompt for this model from now on, in the words that Codex gets when an account may not use one.
    pub fn refuse_model(&self, name: &str) {
        self.inner.lock().refused_models.insert(name.to_owned());
    }

    /// Lets every `HOLD name` go on, now and later.
    pub fn let_go(&self, name: &str) {
        self.inner.lock().let_go.insert(name.to_owned());
        self.inner.changed.notify_all();
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.inner.lock().over = true;
        self.inner.changed.notify_all();
    }
}

/// Answers one connection.
fn serve(inner: &Inner, stream: &TcpStream, request: Request) -> std::io::Result<()> {
    let Request { method, path, body } = request;
    match (method.as_str(), path.as_str()) {
        ("GET", path) if path.ends_with("/models") => {
            http::answer(stream, 200, r#"{"object":"list","data":[],"models":[]}"#)
        }
        ("POST", path) if path.ends_with("/responses") => match serde_json::from_slice(&body) {
            Ok(body) => respond(inner, stream, body),
            Err(e) => http::answer(stream, 400, &json!({"error": {"message": e.to_string()}}).to_string()),
        },
        _ => http::answer(stream, 404, &json!({"error": {"message": format!("no route {path}")}}).to_string()),
    }
}

fn respond(inner: &Inner, stream: &TcpStream, body: Value) -> std::io::Result<()> {
    let (asked, step) = read(body);
    let (body, model, aside) = (asked.body.clone(), asked.model.clone(), asked.aside);
    let refused = {
        let mut state = inner.lock();
        state.asked.push(asked);
        !aside && state.refused_models.contains(&model)
    };
    if refused {
        let why = format!("The '{model}' model is not supported when using Codex with a ChatGPT account.");
        return http::answer(stream, 400, &json!({"detail": why}).to_string());
    }
    if let Some(name) = step.hold.as_deref() {
        wait_to_go(inner, name);
    }
    reply::play(stream, &body, &step)
}

/// What is asked, and what to answer.
fn read(body: Value) -> (Asked, Step) {
    let last = messages(&body).filter(|(_, role, text)| *role == "user" && !is_injected(text)).last();
    let (at, prompt) = last.map_or((0, String::new()), |(at, _, text)| (at, text));
    let after = body["input"].as_array().into_iter().flatten().skip(at + 1);
    let step = after.filter(|i| i["type"].as_str().is_some_and(|t| t.ends_with("_output"))).count();
    let aside = aside(&body);
    let play = aside.clone().unwrap_or_else(|| script::step(&prompt, step));
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    (Asked { prompt, step, model, aside: aside.is_some(), body }, play)
}

/// What Codex asks for itself has a JSON schema for the answer: a title for the thread, or a review of a command.
fn aside(body: &Value) -> Option<Step> {
    let wanted = body["text"]["format"]["schema"]["properties"].as_object()?;
    let answer = if wanted.contains_key("title") {
        json!({"title": "A title"})
    } else if wanted.contains_key("outcome") {
        json!({"outcome": "allow"})
    } else {
        return None;
    };
    Some(Step::say(&answer.to_string()))
}

fn is_injected(text: &str) -> bool {
    INJECTED.iter().any(|begin| text.trim_start().starts_with(begin))
}

/// The messages of a request: position in `input`, role, text.
fn messages(body: &Value) -> impl Iterator<Item = (usize, &str, String)> {
    body["input"].as_array().into_iter().flatten().enumerate().filter_map(|(at, item)| {
        let role = item["role"].as_str()?;
        let text = match &item["content"] {
            Value::String(text) => text.clone(),
            parts => parts.as_array()?.iter().filter_map(|p| p["text"].as_str()).collect::<Vec<_>>().join("\n"),
        };
        Some((at, role, text))
    })
}

/// Until [`Model::let_go`], or the server's end.
fn wait_to_go(inner: &Inner, name: &str) {
    let state = inner.lock();
    let held = inner.changed.wait_while(state, |s| !s.over && !s.let_go.contains(name));
    drop(held.expect("no holder panics"));
}
