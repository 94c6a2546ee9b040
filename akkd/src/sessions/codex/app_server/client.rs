//! The connection: calls out, answers, notifications and requests in.

use super::message::{CallError, Message, RpcError};
use super::socket::{ConnectError, open};
use super::thread::{Thread, Turn, TurnPage};
use super::{ServerInfo, socket};
use akk_core::redact;
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message as Frame};

/// Messages that are kept while an answer is waited for. Past that the connection is given up.
const MAX_WAITING: usize = 20_000;
/// Threads and turns in a page.
const PAGE: u32 = 50;
/// Pages that are read of any list.
const MAX_PAGES: usize = 40;
/// Longest user agent that is kept, in characters.
const MAX_USER_AGENT_CHARS: usize = 200;
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_millis(500);
/// Notifications that tell nothing which is needed, and can be large or many.
const NOT_WANTED: [&str; 12] = [
    "account/rateLimits/updated",
    "command/exec/outputDelta",
    "fs/changed",
    "item/fileChange/outputDelta",
    "item/fileChange/patchUpdated",
    "item/reasoning/summaryPartAdded",
    "item/reasoning/textDelta",
    "process/outputDelta",
    "thread/realtime/outputAudio/delta",
    "thread/readState/changed",
    "turn/diff/updated",
    "turn/moderationMetadata",
];

/// A connection to a daemon. Dropping it ends it; what runs in the daemon goes on.
#[derive(Debug)]
pub struct AppServer {
    socket: WebSocketStream<UnixStream>,
    info: ServerInfo,
    calls: u64,
    /// What came while an answer was waited for.
    waiting: VecDeque<Incoming>,
    /// Why the connection is over.
    closed: Option<String>,
}

/// Something that the daemon said by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// It tells something.
    Notification {
        /// What.
        method: String,
        /// Its parameters.
        params: Value,
    },
    /// It asks something. Every client of a thread is asked, and the first answer counts.
    Request {
        /// To be given back as it is.
        id: Value,
        /// What.
        method: String,
        /// Its parameters.
        params: Value,
    },
    /// The connection is over: why. From then on nothing else comes.
    Closed(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Greeting {
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    codex_home: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Names {
    data: Vec<String>,
    #[serde(default)]
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct ThreadAnswer {
    thread: Thread,
}

impl AppServer {
    /// Connects to the control socket at `path` and greets the daemon. `limit`: for all of it.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(path: &Path, limit: Duration) -> Result<Self, ConnectError> {
        let late = || ConnectError::Late { path: path.to_owned(), millis: limit.as_millis() as u64 };
        let until = Instant::now() + limit;
        let (socket, pid) = timeout_at(until, open(path)).await.map_err(|_| late())??;
        let info = ServerInfo { version: None, user_agent: String::new(), home: None, pid };
        let mut server = Self { socket, info, calls: 0, waiting: VecDeque::new(), closed: None };
        let params = json!({
            "clientInfo": { "name": "akkd", "title": "Agent Knock Knock", "version": env!("CARGO_PKG_VERSION") },
            // The queue of a thread, without which nothing can be sent safely, counts as experimental.
            "capabilities": { "experimentalApi": true, "optOutNotificationMethods": NOT_WANTED },
        });
        let left = until.saturating_duration_since(Instant::now());
        let greeting: Greeting = server.read("initialize", params, left).await.map_err(|error| match error {
            CallError::Late(_) => late(),
            other => ConnectError::Foreign { path: path.to_owned(), why: other.to_string() },
        })?;
        server.info.version = version(&greeting.user_agent);
        server.info.user_agent = redact::cut(&greeting.user_agent, MAX_USER_AGENT_CHARS);
        server.info.home = greeting.codex_home;
        let initialized = json!({ "method": "initialized" });
        match timeout_at(until, server.send(&initialized)).await {
            Ok(Ok(())) => Ok(server),
            Ok(Err(error)) => Err(ConnectError::Foreign { path: path.to_owned(), why: error.to_string() }),
            Err(_) => Err(late()),
        }
    }

    /// Who answered.
    pub fn info(&self) -> &ServerInfo {
        &self.info
    }

    /// Asks for something and waits for the answer; what comes meanwhile waits for [`next`](Self::next).
    ///
    /// # Errors
    /// After [`CallError::Closed`] and [`CallError::Late`] nobody knows whether it was done.
    pub async fn call(&mut self, method: &'static str, params: Value, limit: Duration) -> Result<Value, CallError> {
        self.calls += 1;
        let id = self.calls;
        let answer = async {
            self.send(&json!({ "id": id, "method": method, "params": params })).await?;
            loop {
                let message = self.receive().await?;
                if message.method.is_none() && message.id.as_ref().and_then(Value::as_u64) == Some(id) {
                    return message.outcome();
                }
                if let Some(incoming) = incoming(message) {
                    if self.waiting.len() >= MAX_WAITING {
                        return Err(self.over("too many messages came while an answer was waited for"));
                    }
                    self.waiting.push_back(incoming);
                }
            }
        };
        match timeout(limit, answer).await {
            Ok(outcome) => outcome,
            Err(_) => Err(CallError::Late(method)),
        }
    }

    /// [`call`](Self::call) with a readable answer.
    ///
    /// # Errors
    /// As there.
    pub async fn read<T: DeserializeOwned>(
        &mut self,
        method: &'static str,
        params: Value,
        limit: Duration,
    ) -> Result<T, CallError> {
        let answer = self.call(method, params, limit).await?;
        serde_json::from_value(answer).map_err(|error| CallError::Unreadable(method, error.to_string()))
    }

    /// What the daemon says next. Nothing is lost when the waiting is given up.
    pub async fn next(&mut self) -> Incoming {
        if let Some(incoming) = self.waiting.pop_front() {
            return incoming;
        }
        loop {
            match self.receive().await {
                // The answer to a call that was given up says nothing any more.
                Ok(message) => {
                    if let Some(incoming) = incoming(message) {
                        return incoming;
                    }
                }
                Err(error) => {
                    return Incoming::Closed(match error {
                        CallError::Closed(why) => why,
                        other => other.to_string(),
                    });
                }
            }
        }
    }

    /// Answers a request of the daemon.
    ///
    /// # Errors
    /// The connection is over.
    pub async fn answer(&mut self, id: &Value, outcome: Result<Value, RpcError>) -> Result<(), CallError> {
        let message = match outcome {
            Ok(result) => json!({ "id": id, "result": result }),
            Err(error) => json!({ "id": id, "error": { "code": error.code, "message": error.message } }),
        };
        self.send(&message).await
    }

    /// The threads that live in the daemon now.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn loaded_threads(&mut self, limit: Duration) -> Result<Vec<String>, CallError> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let page: Names = self.read("thread/loaded/list", json!({ "cursor": cursor }), limit).await?;
            all.extend(page.data);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(all)
    }

    /// A thread as it is now, live or not.
    ///
    /// # Errors
    /// As [`call`](Self::call); [`CallError::Refused`] for one that does not exist.
    pub async fn thread(&mut self, id: &str, limit: Duration) -> Result<Thread, CallError> {
        let params = json!({ "threadId": id, "includeTurns": false });
        self.read::<ThreadAnswer>("thread/read", params, limit).await.map(|a| a.thread)
    }

    /// The newest turn of a thread, live or not, that `fits`. Of each turn the user's messages and the final answer
    /// are told. Looks at the newest 2,000 turns.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn find_turn(
        &mut self,
        thread: &str,
        limit: Duration,
        fits: impl Fn(&Turn) -> bool,
    ) -> Result<Option<Turn>, CallError> {
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let params = json!({
                "threadId": thread, "cursor": cursor, "limit": PAGE, "sortDirection": "desc", "itemsView": "summary",
            });
            let page: TurnPage = self.read("thread/turns/list", params, limit).await?;
            if let Some(found) = page.data.into_iter().find(&fits) {
                return Ok(Some(found));
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(None)
    }

    /// Says goodbye, as far as that is possible within half a second.
    pub async fn close(mut self) {
        // Who does not hear it sees the connection end.
        let _ = timeout(GOODBYE, self.socket.close(None)).await;
    }

    async fn send(&mut self, message: &Value) -> Result<(), CallError> {
        if let Some(why) = &self.closed {
            return Err(CallError::Closed(why.clone()));
        }
        let sent = self.socket.send(Frame::text(message.to_string())).await;
        sent.map_err(|error| self.over(&said(&error)))
    }

    /// The next message that can be read. Cancel safe: a frame that has come in part stays in the socket's buffer.
    async fn receive(&mut self) -> Result<Message, CallError> {
        loop {
            if let Some(why) = &self.closed {
                return Err(CallError::Closed(why.clone()));
            }
            let frame = match self.socket.next().await {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Err(self.over(&said(&error))),
                None => return Err(self.over("the daemon hung up")),
            };
            let message = match &frame {
                Frame::Text(text) => serde_json::from_str(text.as_str()),
                Frame::Binary(bytes) => serde_json::from_slice(bytes),
                Frame::Close(_) => return Err(self.over("the daemon hung up")),
                Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_) => continue,
            };
            match message {
                Ok(message) => return Ok(message),
                // One message that is no message harms nothing else.
                Err(error) => tracing::warn!(%error, bytes = frame.len(), "a message of a Codex daemon was skipped"),
            }
        }
    }

    fn over(&mut self, why: &str) -> CallError {
        CallError::Closed(self.closed.get_or_insert_with(|| why.to_owned()).clone())
    }
}

/// What a message is, unless it is an answer.
fn incoming(message: Message) -> Option<Incoming> {
    let Message { id, method, params, .. } = message;
    let method = method?;
    Some(match id {
        Some(id) => Incoming::Request { id, method, params },
        None => Incoming::Notification { method, params },
    })
}

/// `0.169.0` of `codex-tui/0.169.0 (Debian 12; x86_64) …`.
fn version(user_agent: &str) -> Option<String> {
    let version = user_agent.split_whitespace().next()?.split('/').nth(1)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    (!version.is_empty() && version.len() <= 60 && version.chars().all(plain)).then(|| version.to_owned())
}

fn said(error: &tungstenite::Error) -> String {
    use tungstenite::error::CapacityError;
    match error {
        tungstenite::Error::Capacity(CapacityError::MessageTooLong { size, .. }) => {
            format!("it sent a message of {size} bytes, more than the {} that are taken", socket::MAX_MESSAGE_BYTES)
        }
        other => other.to_string(),
    }
}
