//! A scripted daemon: one thread with its turns and its queue, as codex 0.169.0 was seen to behave. It lives in a
//! runtime of its own, so that it survives the akkd of a test.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message as Frame;

/// The only thread.
pub(crate) const THREAD: &str = "01a20994-9a6c-79f1-a18d-480797a93717";
/// How long any condition is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a call comes to instead of what it should.
#[derive(Debug, Clone)]
pub(crate) enum Mishap {
    /// It is refused.
    Refuse(&'static str),
    /// It is not answered.
    Hang,
    /// The connection ends, and nothing was done.
    CutBefore,
    /// It is done, and the connection ends without an answer.
    CutAfter,
    /// A turn of the user begins right before it.
    UserWasFaster,
}

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of a stage, not states")]
pub(crate) struct State {
    pub(crate) loaded: bool,
    pub(crate) model: String,
    /// `(id, clientUserMessageId, input)`.
    pub(crate) queue: Vec<(String, String, Value)>,
    /// As after a turn that was stopped.
    pub(crate) paused: bool,
    /// Newest last; as `thread/turns/list` tells them.
    pub(crate) turns: Vec<Value>,
    /// `thread/read` and `thread/turns/list` disagree with what lives, as after a kill.
    pub(crate) stale: bool,
    /// Whether interrupts are taken and not followed.
    pub(crate) deaf: bool,
    /// Commands that run in the background: `(item, process)`.
    pub(crate) terminals: Vec<(String, String)>,
    /// Requests that wait for an answer.
    pub(crate) asked: Vec<Value>,
    /// Answers to them: `(id, result or error)`.
    pub(crate) answers: Vec<(Value, Value)>,
    /// Every call: its method and parameters.
    pub(crate) calls: Vec<(String, Value)>,
    pub(crate) mishaps: HashMap<&'static str, Mishap>,
    clients: Vec<Client>,
    ids: u32,
}

#[derive(Debug)]
struct Client {
    out: mpsc::UnboundedSender<Option<String>>,
    joined: bool,
}

pub(crate) struct ScriptedDaemon {
    state: Arc<Mutex<State>>,
    runtime: Option<Runtime>,
    home: tempfile::TempDir,
}

impl ScriptedDaemon {
    pub(crate) fn start() -> Self {
        let state = State { loaded: true, model: "gpt-5-fake".to_owned(), ..State::default() };
        let home = tempfile::tempdir().unwrap();
        let mut daemon = Self { state: Arc::new(Mutex::new(state)), runtime: None, home };
        daemon.listen();
        daemon
    }

    /// Listens, as after a start. As Codex does, the well-known name is a link to the socket.
    pub(crate) fn listen(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let real = self.home.path().join("real.sock");
        let _ = std::fs::remove_file(&real);
        let _ = std::fs::remove_file(self.socket());
        std::os::unix::fs::symlink(&real, self.socket()).unwrap();
        let (state, home) = (Arc::clone(&self.state), self.home.path().to_owned());
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(&real).unwrap()
        };
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&state), home.clone()));
            }
        });
        self.runtime = Some(runtime);
    }

    /// Ends, as by SIGKILL: the socket stays behind and nobody listens.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Of a thread of its own: a test may be inside of another runtime.
            std::thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(10))).join().unwrap();
        }
        self.state().clients.clear();
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.home.path().join("app-server-control.sock")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.home.path().to_owned()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Every client loses its connection.
    pub(crate) fn cut_connections(&self) {
        for client in self.state().clients.drain(..) {
            let _ = client.out.send(None);
        }
    }

    /// The user types something: gives the turn.
    pub(crate) fn user_starts(&self, text: &str) -> String {
        self.state().begin("user", &json!([{ "type": "text", "text": text }]))
    }

    /// Tells something about the turn that runs.
    pub(crate) fn tell(&self, method: &str, params: Value) {
        let state = self.state();
        let turn = state.running();
        let mut params = params;
        params["threadId"] = json!(THREAD);
        params["turnId"] = json!(turn);
        state.broadcast(&json!({ "method": method, "params": params }));
    }

    /// An item of the turn that runs, begun and completed.
    pub(crate) fn item(&self, item: Value) {
        self.tell("item/started", json!({ "item": item }));
        self.tell("item/completed", json!({ "item": item }));
    }

    /// The agent says something and the turn is over.
    pub(crate) fn finish(&self, text: &str) {
        let item = json!({ "type": "agentMessage", "id": "m", "text": text, "phase": "final_answer" });
        self.item(item.clone());
        self.state().end("completed", Value::Null, Some(item));
    }

    /// The turn is over without a word.
    pub(crate) fn end(&self, status: &str, error: Value) {
        self.state().end(status, error, None);
    }

    /// Asks everybody who joined: gives the request's id.
    pub(crate) fn ask(&self, method: &str, params: Value) -> Value {
        let mut state = self.state();
        let (turn, mut params) = (state.running(), params);
        params["threadId"] = json!(THREAD);
        params["turnId"] = json!(turn);
        state.ids += 1;
        let id = json!(state.ids);
        let request = json!({ "id": id, "method": method, "params": params });
        state.asked.push(request.clone());
        state.broadcast(&request);
        id
    }

    /// Somebody else answers a request.
    pub(crate) fn person_answers(&self, id: &Value) {
        self.state().resolved(id);
    }

    pub(crate) fn wait_until(&self, what: &str, condition: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(&self.state()) {
            assert!(Instant::now() < deadline, "{what}: {:#?}", self.state());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until a turn of akkd runs: gives its prompt.
    pub(crate) fn wait_for_our_turn(&self) -> String {
        self.wait_until("a turn of akkd", |s| {
            s.turns.last().is_some_and(|t| is_ours(t) && t["status"] == "inProgress")
        });
        let state = self.state();
        state.turns.last().unwrap()["items"][0]["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// How often something was called.
    pub(crate) fn called(&self, method: &str) -> usize {
        self.state().calls.iter().filter(|(m, _)| m == method).count()
    }

    /// Turns that akkd began.
    pub(crate) fn our_turns(&self) -> usize {
        self.state().turns.iter().filter(|t| is_ours(t)).count()
    }
}

impl Drop for ScriptedDaemon {
    fn drop(&mut self) {
        self.kill();
    }
}

fn is_ours(turn: &Value) -> bool {
    turn["items"][0]["clientId"].as_str().is_some_and(|id| id.starts_with("akk:"))
}

impl State {
    fn active(&self) -> bool {
        !self.stale && self.turns.last().is_some_and(|t| t["status"] == "inProgress")
    }

    fn running(&self) -> String {
        assert!(self.active(), "no turn runs: {self:#?}");
        self.turns.last().unwrap()["id"].as_str().unwrap().to_owned()
    }

    fn broadcast(&self, message: &Value) {
        for client in self.clients.iter().filter(|c| c.joined) {
            let _ = client.out.send(Some(message.to_string()));
        }
    }

    fn begin(&mut self, client_id: &str, input: &Value) -> String {
        self.ids += 1;
        let id = format!("turn-of-codex-{}", self.ids);
        let item = json!({ "type": "userMessage", "id": "u", "clientId": client_id, "content": input });
        let turn = json!({ "id": id, "status": "inProgress", "error": null, "items": [item] });
        self.turns.push(turn);
        let bare = json!({ "id": id, "status": "inProgress", "items": [] });
        self.broadcast(&json!({ "method": "turn/started", "params": { "threadId": THREAD, "turn": bare } }));
        for method in ["item/started", "item/completed"] {
            let params = json!({ "threadId": THREAD, "turnId": id, "item": item });
            self.broadcast(&json!({ "method": method, "params": params }));
        }
        id
    }

    fn end(&mut self, status: &str, error: Value, last: Option<Value>) {
        let turn = self.turns.last_mut().unwrap();
        turn["status"] = json!(status);
        turn["error"] = error;
        if let Some(last) = &last {
            turn["items"].as_array_mut().unwrap().push(last.clone());
        }
        let mut told = turn.clone();
        told["items"] = last.map_or(json!([]), |last| json!([last]));
        self.paused = status == "interrupted";
        self.broadcast(&json!({ "method": "turn/completed", "params": { "threadId": THREAD, "turn": told } }));
        self.go_on();
    }

    /// Begins what waits, unless the queue is paused.
    fn go_on(&mut self) {
        if !self.paused && !self.active() && self.loaded && !self.queue.is_empty() {
            let (_, client_id, input) = self.queue.remove(0);
            self.begin(&client_id, &input);
        }
    }

    fn resolved(&mut self, id: &Value) {
        self.asked.retain(|asked| asked["id"] != *id);
        let params = json!({ "threadId": THREAD, "requestId": id });
        self.broadcast(&json!({ "method": "serverRequest/resolved", "params": params }));
    }

    fn thread(&self) -> Value {
        let status = match (self.loaded, self.active()) {
            (false, _) => "notLoaded",
            (true, true) => "active",
            (true, false) => "idle",
        };
        json!({ "id": THREAD, "status": { "type": status }, "model": self.model, "ephemeral": false })
    }

    fn call(&mut self, me: usize, method: &str, params: &Value, home: &std::path::Path) -> Result<Value, String> {
        let client_id = || params["clientUserMessageId"].as_str().unwrap().to_owned();
        let submission = params["queuedSubmissionId"].as_str().unwrap_or_default();
        match method {
            "initialize" => Ok(json!({ "userAgent": "codex-tui/0.169.0 (test) akkd", "codexHome": home })),
            "thread/loaded/list" => Ok(json!({ "data": if self.loaded { vec![THREAD] } else { vec![] } })),
            "thread/read" if params["threadId"] != THREAD => Err("thread not loaded".to_owned()),
            "thread/read" => Ok(json!({ "thread": self.thread() })),
            "thread/resume" => {
                if let Some(client) = self.clients.get_mut(me) {
                    client.joined = true;
                    for asked in &self.asked {
                        let _ = client.out.send(Some(asked.to_string()));
                    }
                }
                Ok(json!({ "thread": self.thread() }))
            }
            "thread/turns/list" => {
                // Two in a page, so that pages are met.
                let skip = params["cursor"].as_str().map_or(0, |c| c.parse::<usize>().unwrap());
                let page: Vec<&Value> = self.turns.iter().rev().skip(skip).take(2).collect();
                let next = (skip + 2 < self.turns.len()).then(|| (skip + 2).to_string());
                Ok(json!({ "data": page, "nextCursor": next }))
            }
            "thread/queue/list" => {
                let data = self.queue.iter().map(|(id, c, _)| json!({ "id": id, "clientUserMessageId": c }));
                Ok(json!({ "data": data.collect::<Vec<_>>(), "nextCursor": null }))
            }
            "thread/queue/add" => {
                self.ids += 1;
                let id = format!("submission-{}", self.ids);
                self.queue.push((id.clone(), client_id(), params["input"].clone()));
                self.go_on();
                Ok(json!({ "queuedSubmission": { "id": id } }))
            }
            "thread/queue/start" => match self.queue.iter().position(|(id, ..)| id == submission) {
                None => Err(format!("queued submission not found: {submission}")),
                Some(_) if self.active() => Err("thread already has an active or pending turn".to_owned()),
                Some(at) => {
                    self.paused = false;
                    let (_, client_id, input) = self.queue.remove(at);
                    Ok(json!({ "turn": { "id": self.begin(&client_id, &input) } }))
                }
            },
            "thread/queue/delete" => {
                let before = self.queue.len();
                self.queue.retain(|(id, ..)| id != submission);
                Ok(json!({ "deleted": self.queue.len() < before }))
            }
            "thread/settings/update" => {
                if let Some(model) = params["model"].as_str() {
                    self.model = model.to_owned();
                }
                Ok(json!({}))
            }
            "turn/interrupt" if !self.active() => Err("no active turn to interrupt".to_owned()),
            "turn/interrupt" => {
                assert_eq!(params["turnId"], json!(self.running()));
                if !self.deaf {
                    self.end("interrupted", Value::Null, None);
                }
                Ok(json!({}))
            }
            "thread/backgroundTerminals/list" => {
                let all = self.terminals.iter().map(|(item, process)| json!({ "itemId": item, "processId": process }));
                Ok(json!({ "data": all.collect::<Vec<_>>() }))
            }
            "thread/backgroundTerminals/terminate" => {
                self.terminals.retain(|(_, process)| params["processId"] != json!(process));
                Ok(json!({ "terminated": true }))
            }
            other => Err(format!("Invalid request: unknown variant `{other}`")),
        }
    }
}

async fn serve(stream: UnixStream, state: Arc<Mutex<State>>, home: PathBuf) {
    let Ok(socket) = accept_async(stream).await else { return };
    let (mut sink, mut source) = socket.split();
    let (out, mut queue) = mpsc::unbounded_channel();
    let me = {
        let mut state = state.lock().unwrap();
        state.clients.push(Client { out: out.clone(), joined: false });
        state.clients.len() - 1
    };
    loop {
        let frame = tokio::select! {
            frame = source.next() => frame,
            line = queue.recv() => {
                match line.flatten() {
                    Some(line) => { let _ = sink.send(Frame::text(line)).await; }
                    None => return,
                }
                continue;
            }
        };
        let Some(Ok(Frame::Text(text))) = frame else { return };
        let message: Value = serde_json::from_str(text.as_str()).unwrap();
        let Some(method) = message["method"].as_str() else {
            let mut state = state.lock().unwrap();
            let answer = message.get("result").or(message.get("error")).cloned().unwrap();
            state.answers.push((message["id"].clone(), answer));
            state.resolved(&message["id"].clone());
            continue;
        };
        let Some(id) = message.get("id") else { continue };
        let reply = {
            let mut state = state.lock().unwrap();
            state.calls.push((method.to_owned(), message["params"].clone()));
            let mishap = state.mishaps.remove(method);
            match mishap {
                Some(Mishap::Refuse(why)) => Some(Err(why.to_owned())),
                Some(Mishap::Hang) => continue,
                Some(Mishap::CutBefore) => None,
                Some(Mishap::CutAfter) => {
                    let _ = state.call(me, method, &message["params"], &home);
                    None
                }
                Some(Mishap::UserWasFaster) => {
                    state.begin("user", &json!([{ "type": "text", "text": "mine first" }]));
                    Some(state.call(me, method, &message["params"], &home))
                }
                None => Some(state.call(me, method, &message["params"], &home)),
            }
        };
        let line = match reply {
            Some(Ok(result)) => json!({ "id": id, "result": result }),
            Some(Err(why)) => json!({ "id": id, "error": { "code": -32600, "message": why } }),
            None => return,
        };
        let _ = out.send(Some(line.to_string()));
    }
}
