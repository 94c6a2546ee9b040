//! A stand-in for Telegram: as much of the Bot API as OpenClaw 2026.9 asks for, on loopback. It keeps what stands in
//! each chat as its user sees it: in order, with edits made and deleted messages gone.

use super::wait_for;
use crate::http::{self, Request, Server};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// The longest that a request for updates is kept waiting. Short, so that a new gateway is not served by the queue
/// of the one before it.
const LONGEST_POLL: Duration = Duration::from_secs(10);
/// The bot's own id; also the first part of its token.
const BOT: i64 = 777;
/// Who writes in groups, and may approve.
pub(super) const ANN: i64 = 42;
/// Groups below this one have cards for approvals.
pub(super) const CARDED: i64 = -1_002_000_000_000;

/// Who wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The user.
    User,
    /// OpenClaw.
    Bot,
}

/// A message as it stands in a chat.
#[derive(Debug, Clone)]
pub struct Line {
    /// Who wrote it.
    pub speaker: Speaker,
    /// What it says now.
    pub text: String,
    /// When it was first there.
    pub at: Instant,
    id: i64,
}

/// The running server. Stops when dropped.
pub struct Chat {
    server: Server,
    inner: Arc<Inner>,
}

/// A place where one user talks with OpenClaw: a private chat, a group, or a topic of a group. A story fails at whose
/// end OpenClaw has complained there.
pub struct Room {
    inner: Arc<Inner>,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    chat: i64,
    topic: Option<i64>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    updates: Vec<Value>,
    rooms: HashMap<Place, Vec<Line>>,
    /// How often the next messages to a chat are refused.
    refusals: HashMap<i64, u32>,
    /// Chats whose messages arrive, but whose sender is not answered.
    mute: HashMap<i64, bool>,
    /// Every request but those for updates, for who looks into a failure.
    asked: Vec<String>,
    last: i64,
    over: bool,
}

impl State {
    fn next(&mut self) -> i64 {
        self.last += 1;
        self.last
    }
}

impl Place {
    fn session_key(self) -> String {
        match self {
            Self { chat, .. } if chat > 0 => format!("agent:main:telegram:direct:{chat}"),
            Self { chat, topic: None } => format!("agent:main:telegram:group:{chat}"),
            Self { chat, topic: Some(topic) } => format!("agent:main:telegram:group:{chat}:topic:{topic}"),
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

impl Chat {
    /// Starts it on a port that is free.
    pub fn start() -> Self {
        let inner = Arc::new(Inner::default());
        let serving = Arc::clone(&inner);
        let server = Server::start(move |stream, request| serve(&serving, stream, &request));
        Self { server, inner }
    }

    /// Where it is, for OpenClaw's configuration.
    pub fn root(&self) -> String {
        self.server.url()
    }

    /// The token of the bot.
    pub fn token(&self) -> String {
        format!("{BOT}:AAscripted-token-of-the-stand-in-bot")
    }

    /// A new user's private chat.
    pub fn private(&self) -> Room {
        let id = 10_000 + self.inner.lock().next();
        self.room(id, None)
    }

    /// A new group.
    pub fn group(&self) -> Room {
        let id = -1_001_000_000_000 - self.inner.lock().next();
        self.room(id, None)
    }

    /// A new group in which OpenClaw asks for approvals by card.
    pub fn carded_group(&self) -> Room {
        let id = CARDED - self.inner.lock().next();
        self.room(id, None)
    }

    /// The private chat of whoever may approve. All stories share it.
    pub fn approver(&self) -> Room {
        self.room(ANN, None)
    }

    /// A topic in a new group.
    pub fn topic(&self) -> Room {
        let group = self.group();
        let topic = self.inner.lock().next();
        self.room(group.place.chat, Some(topic))
    }

    fn room(&self, chat: i64, topic: Option<i64>) -> Room {
        Room { inner: Arc::clone(&self.inner), place: Place { chat, topic } }
    }

    /// Every chat as its user sees it.
    pub fn shown(&self) -> String {
        let state = self.inner.lock();
        let rooms = state.rooms.iter().map(|(place, lines)| format!("{}\n{}", place.session_key(), shown(lines)));
        rooms.collect::<Vec<_>>().join("\n")
    }

    /// What was asked of it, oldest first; updates left out.
    pub fn asked(&self) -> Vec<String> {
        self.inner.lock().asked.clone()
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        self.inner.lock().over = true;
        self.inner.changed.notify_all();
    }
}

impl Room {
    /// The user writes something.
    pub fn write(&self, text: &str) {
        self.post(text);
    }

    /// The user writes something: the message's id.
    fn post(&self, text: &str) -> i64 {
        let Place { chat, topic } = self.place;
        let user = if chat > 0 { chat } else { ANN };
        let mut from = json!({"id": user, "is_bot": false, "first_name": "Ann", "username": "ann"});
        let mut state = self.inner.lock();
        let (id, update) = (state.next(), state.next());
        let place = match (chat > 0, topic) {
            (true, _) => json!({"id": chat, "type": "private", "first_name": "Ann", "username": "ann"}),
            (false, None) => json!({"id": chat, "type": "supergroup", "title": "Builders"}),
            (false, Some(_)) => json!({"id": chat, "type": "supergroup", "title": "Builders", "is_forum": true}),
        };
        from["language_code"] = "en".into();
        let mut message = json!({"message_id": id, "date": seconds(), "chat": place, "from": from, "text": text});
        if let Some(topic) = topic {
            message["message_thread_id"] = topic.into();
            message["is_topic_message"] = true.into();
        }
        if text.starts_with('/') {
            let length = text.split_whitespace().next().unwrap_or_default().len();
            message["entities"] = json!([{"type": "bot_command", "offset": 0, "length": length}]);
        }
        state.updates.push(json!({"update_id": update, "message": message}));
        let line = Line { speaker: Speaker::User, text: text.to_owned(), at: Instant::now(), id };
        state.rooms.entry(self.place).or_default().push(line);
        drop(state);
        self.inner.changed.notify_all();
        id
    }

    /// What stands in the chat, oldest first.
    pub fn lines(&self) -> Vec<Line> {
        self.inner.lock().rooms.get(&self.place).cloned().unwrap_or_default()
    }

    /// What OpenClaw said, oldest first.
    pub fn said(&self) -> Vec<String> {
        self.lines().into_iter().filter(|l| l.speaker == Speaker::Bot).map(|l| l.text).collect()
    }

    /// What OpenClaw said after the first message of its that contains this.
    pub fn said_after(&self, text: &str) -> Vec<String> {
        self.said().into_iter().skip_while(|s| !s.contains(text)).skip(1).collect()
    }

    /// How many messages of OpenClaw's contain this.
    pub fn count(&self, text: &str) -> usize {
        self.said().iter().filter(|s| s.contains(text)).count()
    }

    /// Waits until a message of OpenClaw's contains this.
    pub async fn says(&self, text: &str) -> Line {
        let fits = |l: &Line| l.speaker == Speaker::Bot && l.text.contains(text);
        wait_for(&format!("{text:?} in the chat"), async || self.lines().into_iter().find(fits)).await
    }

    /// Waits until OpenClaw's messages are these and no others; what it shows while it works goes away by itself.
    ///
    /// # Panics
    /// When they are others.
    pub async fn comes_to(&self, messages: &[&str]) {
        let what = format!("nothing but {messages:?} in the chat");
        wait_for(&what, async || (self.said() == messages).then_some(())).await;
    }

    /// Writes a command and waits for the next thing that OpenClaw says.
    pub async fn asks(&self, text: &str) -> String {
        let asked = self.post(text);
        let answers = |l: &Line| l.speaker == Speaker::Bot && l.id > asked;
        let answer = async || self.lines().into_iter().find(answers).map(|l| l.text);
        wait_for(&format!("an answer to {text:?}"), answer).await
    }

    /// The key of the session that OpenClaw's agent `main` has here, where private chats have sessions of their own.
    pub fn session_key(&self) -> String {
        self.place.session_key()
    }

    /// The chat's id.
    pub fn id(&self) -> i64 {
        self.place.chat
    }

    /// Refuses the next `times` messages to this chat, as a server in trouble does: nothing arrives.
    pub fn refuse(&self, times: u32) {
        self.inner.lock().refusals.insert(self.place.chat, times);
    }

    /// Messages to this chat arrive, and their sender hears nothing, until [`Self::let_go`].
    pub fn hold(&self) {
        self.inner.lock().mute.insert(self.place.chat, true);
    }

    /// Answers who was kept waiting.
    pub fn let_go(&self) {
        self.inner.lock().mute.remove(&self.place.chat);
        self.inner.changed.notify_all();
    }

    /// The chat as its user sees it.
    pub fn shown(&self) -> String {
        shown(&self.lines())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let complained = self.count("⚠") > 0;
        assert!(std::thread::panicking() || !complained, "OpenClaw complained:\n{}", self.shown());
    }
}

/// A chat as its user sees it.
fn shown(lines: &[Line]) -> String {
    let mut shown = String::new();
    for line in lines {
        let who = if line.speaker == Speaker::User { "Ann" } else { "OpenClaw" };
        // Writing to a string does not fail.
        let _ = writeln!(shown, "{who:>8} │ {}", line.text.replace('\n', "\n         │ "));
    }
    shown
}

/// Answers one request.
fn serve(inner: &Inner, stream: &TcpStream, request: &Request) -> std::io::Result<()> {
    let method = request.path.rsplit('/').next().unwrap_or_default().to_owned();
    let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    if method != "getUpdates" {
        inner.lock().asked.push(format!("{method} {asked}"));
    }
    let number = |name: &str| asked[name].as_i64().or_else(|| asked[name].as_str()?.parse().ok());
    let result = match method.as_str() {
        "getMe" => json!({"id": BOT, "is_bot": true, "first_name": "Claw", "username": "claw_bot",
            "can_join_groups": true, "can_read_all_group_messages": true, "supports_inline_queries": false}),
        "getUpdates" => updates(inner, number("offset").unwrap_or(0), number("timeout").unwrap_or(0)),
        "sendMessage" | "editMessageText" => {
            let Some(chat) = number("chat_id") else { return refuse(stream, 400, "Bad Request: chat_id is empty") };
            let place = Place { chat, topic: number("message_thread_id") };
            let text = plain(&asked);
            match say(inner, place, number("message_id"), &text) {
                Ok(message) => message,
                Err(why) => return refuse(stream, 502, why),
            }
        }
        "deleteMessage" => {
            let id = number("message_id");
            let mut state = inner.lock();
            state.rooms.values_mut().for_each(|lines| lines.retain(|l| Some(l.id) != id));
            json!(true)
        }
        "getWebhookInfo" => json!({"url": "", "has_custom_certificate": false, "pending_update_count": 0}),
        "getChat" => json!({"id": number("chat_id"), "type": "private", "first_name": "Ann"}),
        "getChatMember" => json!({"status": "member", "user": {"id": ANN, "is_bot": false, "first_name": "Ann"}}),
        "getMyCommands" => json!([]),
        "deleteWebhook" | "setMyCommands" | "deleteMyCommands" | "sendChatAction" | "setMessageReaction" => json!(true),
        _ => return refuse(stream, 404, "Not Found"),
    };
    http::answer(stream, 200, &json!({"ok": true, "result": result}).to_string())
}

/// The text of a message as it is shown: without the marks of Telegram's HTML.
fn plain(message: &Value) -> String {
    let text = message["text"].as_str().unwrap_or_default();
    if message["parse_mode"] != "HTML" {
        return text.to_owned();
    }
    let (first, rest) = text.split_once('<').unwrap_or((text, ""));
    let untagged = rest.split('<').filter_map(|tag| Some(tag.split_once('>')?.1));
    let text: String = [first].into_iter().chain(untagged).collect();
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

fn refuse(stream: &TcpStream, status: u16, why: &str) -> std::io::Result<()> {
    http::answer(stream, status, &json!({"ok": false, "error_code": status, "description": why}).to_string())
}

/// The updates from `offset` on; the ones before it are forgotten, as the Bot API promises.
fn updates(inner: &Inner, offset: i64, seconds: i64) -> Value {
    let mut state = inner.lock();
    state.updates.retain(|u| u["update_id"].as_i64().is_some_and(|id| id >= offset));
    let patience = Duration::from_secs(seconds.max(0).unsigned_abs()).min(LONGEST_POLL);
    let waited = inner.changed.wait_timeout_while(state, patience, |s| s.updates.is_empty() && !s.over);
    let (state, _) = waited.expect("no holder panics");
    Value::Array(state.updates.clone())
}

/// A message of the bot's, or a new text for one.
fn say(inner: &Inner, place: Place, edited: Option<i64>, text: &str) -> Result<Value, &'static str> {
    let mut state = inner.lock();
    if let Some(left) = state.refusals.get_mut(&place.chat).filter(|left| **left > 0) {
        *left -= 1;
        return Err("Bad Gateway");
    }
    let id = edited.unwrap_or_else(|| state.next());
    if edited.is_some() {
        // An edit names no topic.
        let old = state.rooms.values_mut().flatten().find(|l| l.id == id);
        text.clone_into(&mut old.ok_or("message to edit not found")?.text);
    } else {
        let line = Line { speaker: Speaker::Bot, text: text.to_owned(), at: Instant::now(), id };
        state.rooms.entry(place).or_default().push(line);
    }
    let held = inner.changed.wait_while(state, |s| !s.over && s.mute.contains_key(&place.chat));
    drop(held.expect("no holder panics"));
    let kind = if place.chat > 0 { "private" } else { "supergroup" };
    let mut message = json!({"message_id": id, "date": seconds(), "text": text, "chat": {"id": place.chat, "type": kind},
        "from": {"id": BOT, "is_bot": true, "first_name": "Claw", "username": "claw_bot"}});
    if let Some(topic) = place.topic {
        message["message_thread_id"] = topic.into();
        message["is_topic_message"] = true.into();
    }
    Ok(message)
}

fn seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

#[cfg(test)]
mod tests {
    use super::plain;
    use serde_json::json;

    #[test]
    fn a_message_is_shown_without_its_marks() {
        let html = "<b>Type</b>: /akk &lt;task&gt; &amp; wait";
        assert_eq!(plain(&json!({"text": html, "parse_mode": "HTML"})), "Type: /akk <task> & wait");
        assert_eq!(plain(&json!({"text": html})), html);
    }
}
