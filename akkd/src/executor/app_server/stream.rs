//! What a thread's notifications say about our turn. Pure; stays small whatever the agent does.

use akk_core::redact;
use akk_proto::event::Activity;
use akk_proto::limits::MAX_DERIVED_TEXT_BYTES;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;

/// Longest title, in characters.
const MAX_TITLE_CHARS: usize = 200;
/// Longest preview, in characters.
const MAX_PREVIEW_CHARS: usize = 400;
/// How much of an output is looked at for a preview, in bytes.
const MAX_LOOKED_INTO: usize = 16 << 10;
/// Longest id of a call, in characters.
const MAX_ID_CHARS: usize = 120;
/// Entries of a plan that are shown, as [`Activity::Plan`] promises.
const MAX_PLAN_ENTRIES: usize = 20;
/// Paths that a title names.
const MAX_PATHS: usize = 5;
/// Commands that are remembered as running; of more, the oldest are forgotten.
const MAX_RUNNING: usize = 64;
/// What a use of tokens consists of.
const TOKENS: [&str; 5] = ["inputTokens", "cachedInputTokens", "outputTokens", "reasoningOutputTokens", "totalTokens"];

/// What a notification meant.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Heard {
    /// Our turn began: its id.
    Began(String),
    /// Something for the history.
    Activity(Activity),
    /// Something odd; not yet redacted.
    Notice(String),
    /// A sign of life of our turn.
    Life,
    /// A request was answered by somebody: its id.
    Answered(Value),
    /// Our turn is over: as the daemon tells it.
    Over(Value),
    /// The thread does not live in the daemon any more.
    Unloaded,
    /// Nothing that is about our turn.
    Nothing,
}

/// Reads the notifications of one thread for one turn.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of a stream, not states")]
pub(super) struct TurnStream {
    thread: String,
    client_id: String,
    turn: Option<String>,
    /// The turn that began last, whosever it is.
    last_began: Option<String>,
    /// The messages since the last tool call.
    text: String,
    truncated: bool,
    commentary: bool,
    tokens: Map<String, Value>,
    /// Whether it was listened to from the beginning: else what was counted is not all.
    whole: bool,
    thoughts: u64,
    activity: bool,
    plan: Vec<String>,
    /// Commands that were begun and have not ended: ids of their items.
    running: VecDeque<String>,
}

impl TurnStream {
    /// Listens to the turn that begins with the message `client_id`.
    pub(super) fn new(thread: &str, client_id: &str) -> Self {
        Self {
            thread: thread.to_owned(),
            client_id: client_id.to_owned(),
            turn: None,
            last_began: None,
            text: String::new(),
            truncated: false,
            commentary: false,
            tokens: Map::new(),
            whole: true,
            thoughts: 0,
            activity: false,
            plan: Vec::new(),
            running: VecDeque::new(),
        }
    }

    /// Our turn is this one.
    pub(super) fn is_turn(&mut self, id: &str) {
        self.turn = Some(id.to_owned());
    }

    /// Something was or may have been missed.
    pub(super) fn missed_some(&mut self) {
        self.whole = false;
    }

    /// Whether it was listened to from the beginning.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// Our turn, once it is known.
    pub(super) fn turn(&self) -> Option<&str> {
        self.turn.as_deref()
    }

    /// Whether a request or notification with these parameters is about our turn.
    pub(super) fn is_ours(&self, params: &Value) -> bool {
        self.turn.is_some() && self.is_thread(params) && text(params, "turnId") == self.turn.as_deref()
    }

    fn is_thread(&self, params: &Value) -> bool {
        text(params, "threadId") == Some(&self.thread)
    }

    /// Whether this is a command of our turn that has not said that it ended.
    pub(super) fn is_running(&self, item: &str) -> bool {
        self.running.iter().any(|id| id == item)
    }

    /// Whether the agent showed any sign of working on the prompt.
    pub(super) fn activity_seen(&self) -> bool {
        self.activity
    }

    /// Pieces of thinking that were seen and not kept.
    pub(super) fn thoughts(&self) -> u64 {
        self.thoughts
    }

    /// What was said after the last tool call, and whether it was cut.
    pub(super) fn final_text(&self) -> Option<(String, bool)> {
        let text = self.text.trim();
        (!text.is_empty()).then(|| (text.to_owned(), self.truncated))
    }

    /// Tokens of this turn; none where some may have been missed.
    pub(super) fn usage(&self) -> Option<Value> {
        (self.whole && !self.tokens.is_empty()).then(|| Value::Object(self.tokens.clone()))
    }

    /// Takes a notification in.
    pub(super) fn take(&mut self, method: &str, params: &Value) -> Heard {
        if !self.is_thread(params) {
            return Heard::Nothing;
        }
        let turn = || params.get("turn");
        let turn_id = || turn().and_then(|t| text(t, "id"));
        match method {
            "turn/started" => {
                self.last_began = turn_id().map(str::to_owned);
                if turn_id().is_some() && turn_id() == self.turn() { Heard::Life } else { Heard::Nothing }
            }
            "turn/completed" if turn_id().is_some() && turn_id() == self.turn() => {
                Heard::Over(turn().cloned().unwrap_or_default())
            }
            "serverRequest/resolved" => Heard::Answered(params.get("requestId").cloned().unwrap_or_default()),
            "thread/closed" | "thread/archived" | "thread/deleted" => Heard::Unloaded,
            "warning" if self.turn.is_some() => Heard::Notice(text(params, "message").unwrap_or_default().to_owned()),
            "item/started" | "item/completed" if self.turn.is_none() => self.look_for_ours(params),
            _ if !self.is_ours(params) => Heard::Nothing,
            "item/started" => self.item(params.get("item"), false),
            "item/completed" => self.item(params.get("item"), true),
            "turn/plan/updated" => self.plan(params),
            "thread/tokenUsage/updated" => {
                self.count(params.get("tokenUsage").and_then(|u| u.get("last")));
                Heard::Life
            }
            "error" => {
                let said = params.get("error").and_then(|e| text(e, "message")).unwrap_or_default();
                // One that is not tried again ends the turn, and is told with its end.
                let again = params.get("willRetry").and_then(Value::as_bool).unwrap_or(false);
                if again { Heard::Notice(format!("Codex tries again: {said}")) } else { Heard::Life }
            }
            "model/rerouted" => {
                let (from, to) = (text(params, "fromModel"), text(params, "toModel"));
                Heard::Notice(format!("Codex took the model {} for {}", to.unwrap_or("?"), from.unwrap_or("?")))
            }
            _ => Heard::Life,
        }
    }

    /// Our message shows which turn is ours, but only where it opened that turn: a person may have put it into
    /// another one by hand.
    fn look_for_ours(&mut self, params: &Value) -> Heard {
        let item = params.get("item");
        let ours = item.is_some_and(|i| kind(i) == "userMessage" && text(i, "clientId") == Some(&self.client_id));
        match text(params, "turnId") {
            Some(turn) if ours && self.last_began.as_deref() == Some(turn) => {
                self.turn = Some(turn.to_owned());
                Heard::Began(turn.to_owned())
            }
            _ => Heard::Nothing,
        }
    }

    fn item(&mut self, item: Option<&Value>, done: bool) -> Heard {
        let Some(item) = item else { return Heard::Nothing };
        match kind(item) {
            "userMessage" => {
                if done && text(item, "clientId") != Some(&self.client_id) {
                    return Heard::Notice("the user added a message to this turn in the terminal".to_owned());
                }
                Heard::Life
            }
            "agentMessage" => {
                self.activity = true;
                if done {
                    self.say(text(item, "text").unwrap_or_default(), text(item, "phase"));
                }
                Heard::Life
            }
            "reasoning" => {
                self.activity = true;
                self.thoughts += u64::from(done);
                Heard::Life
            }
            "contextCompaction" if done => Heard::Notice("the agent compacted its context".to_owned()),
            "hookPrompt" | "plan" | "contextCompaction" | "enteredReviewMode" | "exitedReviewMode" => Heard::Life,
            other => self.tool(other, item, done),
        }
    }

    /// Anything else is something that the agent does.
    fn tool(&mut self, kind: &str, item: &Value, done: bool) -> Heard {
        self.activity = true;
        self.text.clear();
        (self.truncated, self.commentary) = (false, false);
        if kind == "commandExecution" {
            self.keep_running(text(item, "id").unwrap_or_default(), done);
        }
        let (title, word, output) = described(kind, item);
        let status = match (done, text(item, "status")) {
            (_, Some("completed")) => "completed",
            (_, Some("failed" | "declined" | "interrupted")) => "failed",
            (false, _) => "in_progress",
            (true, _) => "completed",
        };
        Heard::Activity(Activity::Tool {
            id: redact::cut(text(item, "id").unwrap_or_default(), MAX_ID_CHARS),
            title: redact::preview(&title, MAX_TITLE_CHARS),
            kind: Some(word.to_owned()),
            status: status.to_owned(),
            preview: output
                .map(|o| redact::preview(head(o, MAX_LOOKED_INTO), MAX_PREVIEW_CHARS))
                .filter(|p| !p.is_empty()),
        })
    }

    fn keep_running(&mut self, id: &str, done: bool) {
        self.running.retain(|known| known != id);
        if !done && id.len() <= MAX_ID_CHARS {
            self.running.push_back(id.to_owned());
        }
        if self.running.len() > MAX_RUNNING {
            self.running.pop_front();
        }
    }

    fn say(&mut self, said: &str, phase: Option<&str>) {
        if phase == Some("final_answer") && self.commentary {
            self.text.clear();
            self.truncated = false;
        }
        self.commentary = phase == Some("commentary");
        if self.truncated || said.is_empty() {
            return;
        }
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
        }
        let kept = head(said, MAX_DERIVED_TEXT_BYTES.saturating_sub(self.text.len()));
        self.truncated = kept.len() < said.len();
        self.text.push_str(kept);
    }

    fn plan(&mut self, params: &Value) -> Heard {
        self.activity = true;
        let steps = params.get("plan").and_then(Value::as_array).into_iter().flatten().take(MAX_PLAN_ENTRIES);
        let shown: Vec<String> = steps
            .map(|step| {
                let status = match text(step, "status").unwrap_or_default() {
                    "inProgress" => "in_progress",
                    other => other,
                };
                redact::preview(&format!("{status} {}", text(step, "step").unwrap_or_default()), MAX_TITLE_CHARS)
            })
            .collect();
        if shown == self.plan {
            return Heard::Life;
        }
        self.plan.clone_from(&shown);
        Heard::Activity(Activity::Plan { entries: shown })
    }

    /// Each update tells what the last request to the model took.
    fn count(&mut self, last: Option<&Value>) {
        for key in TOKENS {
            let Some(more) = last.and_then(|l| l.get(key)).and_then(Value::as_u64) else { continue };
            let so_far = self.tokens.get(key).and_then(Value::as_u64).unwrap_or(0);
            self.tokens.insert(key.to_owned(), json!(so_far.saturating_add(more)));
        }
    }
}

/// Title, kind as ACP names it, and output of something that the agent does.
fn described<'a>(kind: &str, item: &'a Value) -> (String, &'static str, Option<&'a str>) {
    let word = |key: &str| text(item, key).unwrap_or_default();
    match kind {
        "commandExecution" => (command(item).to_owned(), "execute", text(item, "aggregatedOutput")),
        "fileChange" => {
            let changes = item.get("changes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let paths: Vec<&str> = changes.iter().filter_map(|c| text(c, "path")).take(MAX_PATHS).collect();
            let more = if changes.len() > MAX_PATHS { ", …" } else { "" };
            (format!("edit {}{more}", paths.join(", ")), "edit", changes.first().and_then(|c| text(c, "diff")))
        }
        "mcpToolCall" => (format!("{}.{}", word("server"), word("tool")), "other", None),
        "dynamicToolCall" => (word("tool").to_owned(), "other", None),
        "webSearch" => (format!("search the web: {}", word("query")), "search", None),
        "imageView" => (format!("look at {}", word("path")), "read", None),
        "collabAgentToolCall" => (format!("{} (another agent)", word("tool")), "other", text(item, "prompt")),
        "subAgentActivity" => (format!("{} (another agent)", word("kind")), "other", None),
        other => (other.to_owned(), "other", None),
    }
}

/// The command as a person would say it: without the shell that Codex puts around it, where Codex tells it so.
pub(super) fn command(item: &Value) -> &str {
    let actions = item.get("commandActions").and_then(Value::as_array);
    let only = actions.filter(|a| a.len() == 1).and_then(|a| a.first()).and_then(|a| text(a, "command"));
    only.or_else(|| text(item, "command")).unwrap_or_default()
}

fn kind(item: &Value) -> &str {
    text(item, "type").unwrap_or_default()
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// The beginning of `text`, of `max_bytes` at most.
pub(super) fn head(text: &str, max_bytes: usize) -> &str {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(words: &str, phase: &str) -> Value {
        json!({ "type": "agentMessage", "id": "m", "text": words, "phase": phase })
    }

    /// A stream whose turn is known, and a way to let items of it happen.
    fn heard(items: &[Value]) -> TurnStream {
        let mut stream = TurnStream::new("t", "akk:1");
        stream.is_turn("u");
        for item in items {
            stream.take("item/completed", &json!({ "threadId": "t", "turnId": "u", "item": item }));
        }
        stream
    }

    #[test]
    fn the_final_text_is_what_was_said_after_the_last_deed() {
        let tool = json!({ "type": "mcpToolCall", "id": "c", "server": "s", "tool": "t", "status": "completed" });
        let (look, done) = (message("I look", "commentary"), message("done", "final_answer"));
        let text = |items: &[Value]| heard(items).final_text().map(|(text, _)| text);
        assert_eq!(text(&[look.clone(), tool.clone(), done.clone()]).as_deref(), Some("done"));
        assert_eq!(text(&[look.clone(), done.clone()]).as_deref(), Some("done"));
        assert_eq!(text(&[done.clone(), tool.clone()]), None);
        let two = [message("one", "final_answer"), message("two", "final_answer")];
        assert_eq!(text(&two).as_deref(), Some("one\n\ntwo"));
        // Where nothing but remarks came, they are what was said.
        assert_eq!(text(&[look]).as_deref(), Some("I look"));
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let long = "ä".repeat(MAX_DERIVED_TEXT_BYTES);
        let (text, cut) = heard(&[message(&long, "final_answer")]).final_text().unwrap();
        assert_eq!((text.len(), cut), (MAX_DERIVED_TEXT_BYTES, true));
    }

    #[test]
    fn our_turn_is_the_one_that_our_message_opened() {
        let item = json!({ "type": "userMessage", "clientId": "akk:1" });
        let params = |turn: &str| json!({ "threadId": "t", "turnId": turn, "item": item });
        let began = |turn: &str| json!({ "threadId": "t", "turn": { "id": turn } });
        let mut stream = TurnStream::new("t", "akk:1");
        assert_eq!(stream.take("item/started", &params("u")), Heard::Nothing, "added to a turn that ran before");
        stream.take("turn/started", &began("user"));
        assert_eq!(stream.take("item/started", &params("u")), Heard::Nothing, "added to another turn");
        stream.take("turn/started", &began("v"));
        assert_eq!(stream.take("item/started", &params("v")), Heard::Began("v".into()));
        assert_eq!(stream.take("turn/completed", &began("u")), Heard::Nothing);
        assert!(matches!(stream.take("turn/completed", &began("v")), Heard::Over(_)));
    }

    #[test]
    fn other_threads_and_turns_say_nothing() {
        let mut stream = heard(&[]);
        let item = message("not mine", "final_answer");
        for (thread, turn) in [("other", "u"), ("t", "other")] {
            let params = json!({ "threadId": thread, "turnId": turn, "item": item });
            assert_eq!(stream.take("item/completed", &params), Heard::Nothing);
        }
        assert_eq!(stream.take("item/completed", &json!([])), Heard::Nothing);
        assert_eq!(stream.final_text(), None);
        let new = json!({ "threadId": "t", "turnId": "u", "what": { "is": "this" } });
        assert_eq!(stream.take("item/something/new", &new), Heard::Life);
        let odd = json!({ "threadId": "t", "turnId": "u", "item": { "type": "newThing", "id": 7 } });
        assert!(matches!(stream.take("item/started", &odd), Heard::Activity(Activity::Tool { .. })));
    }

    #[test]
    fn a_plan_is_told_when_it_changes() {
        let mut stream = heard(&[]);
        let plan =
            |status: &str| json!({ "threadId": "t", "turnId": "u", "plan": [{ "step": "build", "status": status }] });
        let told = |status: &str| Heard::Activity(Activity::Plan { entries: vec![format!("{status} build")] });
        assert_eq!(stream.take("turn/plan/updated", &plan("inProgress")), told("in_progress"));
        assert_eq!(stream.take("turn/plan/updated", &plan("inProgress")), Heard::Life);
        assert_eq!(stream.take("turn/plan/updated", &plan("completed")), told("completed"));
    }

    #[test]
    fn what_a_stream_remembers_is_bounded() {
        let mut stream = heard(&[]);
        for n in 0..1000 {
            let item = json!({ "type": "commandExecution", "id": format!("c{n}"), "command": "x" });
            stream.take("item/started", &json!({ "threadId": "t", "turnId": "u", "item": item }));
        }
        assert_eq!(stream.running.len(), MAX_RUNNING);
        assert!(stream.is_running("c999") && !stream.is_running("c0"));
    }
}
