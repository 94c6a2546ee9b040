//! The agent's end of the wire: lines out, requests to the client, the log.

use super::options::Options;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// A JSON-RPC error.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RpcError {
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Option<Value>,
}

impl RpcError {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    pub(super) fn with(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }
}

/// Standard output, the log, and the requests that wait for the client's answer.
pub(super) struct Wire {
    log: Option<Mutex<File>>,
    waiting: Mutex<HashMap<String, Sender<Value>>>,
    requests: AtomicU64,
}

/// What a lock protects stays usable when a thread of the script died while it held it.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wire {
    pub(super) fn new(options: &Options) -> Self {
        let log = options.log.as_ref().and_then(|path| {
            OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)
                .inspect_err(|e| super::complain(&format!("demo agent: {}: {e}", path.display())))
                .ok()
        });
        Self { log: log.map(Mutex::new), waiting: Mutex::default(), requests: AtomicU64::new(0) }
    }

    /// Appends `{"ev": event, "pid": …, "t": …, …}` to the log: one write, so that processes can share the file.
    pub(super) fn log(&self, event: &str, mut facts: Value) {
        let Some(log) = &self.log else { return };
        facts["ev"] = json!(event);
        facts["pid"] = json!(std::process::id());
        facts["t"] = json!(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64));
        if let Err(e) = locked(log).write_all(format!("{facts}\n").as_bytes()) {
            super::complain(&format!("demo agent: log: {e}"));
        }
    }

    /// Writes `text` as it is. When nobody reads any more there is nothing left to do here.
    pub(super) fn write(&self, text: &str) {
        let mut out = io::stdout().lock();
        if let Err(e) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            self.log("stdout_failed", json!({"error": e.to_string()}));
            std::process::exit(1);
        }
    }

    /// Writes one message.
    pub(super) fn send(&self, mut message: Value) {
        message["jsonrpc"] = json!("2.0");
        self.write(&format!("{message}\n"));
    }

    /// Writes a message in two pieces, and lets nobody else write in between.
    pub(super) fn send_in_halves(&self, message: &Value, pause: std::time::Duration) {
        let line = format!("{message}\n");
        let (head, tail) = line.split_at(line.floor_char_boundary(line.len() / 2));
        let _alone = io::stdout().lock();
        self.write(head);
        std::thread::sleep(pause);
        self.write(tail);
    }

    /// Tells what happens in a session.
    pub(super) fn update(&self, session: &str, update: &Value) {
        self.send(json!({"method": "session/update", "params": {"sessionId": session, "update": update}}));
    }

    /// Answers a request.
    pub(super) fn answer(&self, id: &Value, outcome: &Result<Value, RpcError>) {
        match outcome {
            Ok(result) => self.send(json!({"id": id, "result": result})),
            Err(e) => {
                let mut error = json!({"code": e.code, "message": e.message});
                if let Some(data) = &e.data {
                    error["data"] = data.clone();
                }
                self.send(json!({"id": id, "error": error}));
            }
        }
    }

    /// Asks the client and waits for its answer, for as long as it takes.
    ///
    /// # Errors
    /// The client's error.
    pub(super) fn ask(&self, method: &str, params: &Value) -> Result<Value, RpcError> {
        let id = format!("ask-{}", self.requests.fetch_add(1, Ordering::Relaxed));
        let (answered, answer) = channel();
        locked(&self.waiting).insert(id.clone(), answered);
        self.send(json!({"id": id, "method": method, "params": params}));
        let gone = || RpcError::new(-32603, format!("{method} was never answered"));
        let answer: Value = answer.recv().map_err(|_| gone())?;
        match answer.get("error") {
            Some(e) => Err(RpcError::new(
                e["code"].as_i64().unwrap_or(-32603),
                e["message"].as_str().unwrap_or("error without a message"),
            )),
            None => Ok(answer["result"].clone()),
        }
    }

    /// Takes the client's answer to one of our requests. One that nobody waits for is logged.
    pub(super) fn answered(&self, message: Value) {
        let waiting = message["id"].as_str().and_then(|id| locked(&self.waiting).remove(id));
        match waiting {
            Some(waiting) => {
                // The thread that asked may be gone with its turn.
                let _ = waiting.send(message);
            }
            None => self.log("stray_answer", json!({"message": message})),
        }
    }
}
