//! The events of `codex exec --json` (0.169; those of 0.60 and 0.156 are the same): one session, one turn.
//!
//! `thread.started` names the session, `turn.started` says that the turn began with the prompt, `item.*` is what is done
//! in it, `turn.completed` or `turn.failed` is the last word. An interrupted turn has none. Every item event tells the
//! whole item; ids of items count from 0 in each process.

use super::raw::cut;
use super::reader::{MAX_ID_CHARS, StreamReader};
use super::refusal;
use super::seen::{RpcError, Seen};
use super::tools::{self, Given, MAX_PLAN_ENTRIES, MAX_WORD_CHARS, head, word};
use super::turn::Marks;
use super::wire;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::fmt;

/// The id under which `codex exec` names its session: `{"threadId": …}`.
pub const CODEX_THREAD: &str = "thread";
/// The id under which `codex exec` tells how its turn ended: null, or an error.
pub const CODEX_TURN: &str = "turn";

/// Members of an object that are looked at.
const MAX_MEMBERS: usize = 32;
/// Longest error message, in characters.
const MAX_ERROR_CHARS: usize = 4000;

/// The members of an object, in order. Not a map: codex writes a member twice (`id` of a web search), and the first
/// counts.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, raw)| *raw)
    }

    fn text(&self, name: &str) -> Option<std::borrow::Cow<'a, str>> {
        wire::text(self.get(name))
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    if members.len() < MAX_MEMBERS {
                        members.push((key, map.next_value()?));
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Members(members))
            }
        }
        json.deserialize_map(Object)
    }
}

/// When in its life an item is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Started,
    Updated,
    Completed,
}

impl StreamReader {
    /// Takes an event in.
    pub(super) fn read_event(&mut self, text: &str) -> Vec<Seen> {
        let Ok(event) = serde_json::from_str::<Members<'_>>(text) else {
            return self.notice(&format!("a line that is no event: {}", cut(text, 200)));
        };
        let Some(kind) = event.text("type") else {
            return self.notice(&format!("an event of no kind: {}", cut(text, 200)));
        };
        if self.turn.over {
            // Nothing can change the answer any more.
            return vec![];
        }
        self.turn.over = matches!(kind.as_ref(), "turn.completed" | "turn.failed");
        match kind.as_ref() {
            "thread.started" => {
                let Some(id) = word(event.get("thread_id"), MAX_ID_CHARS) else {
                    return self.notice("a session without an id");
                };
                self.session = Some(id.clone());
                vec![Seen::Response { id: CODEX_THREAD.to_owned(), outcome: Ok(json!({ "threadId": id })) }]
            }
            "turn.started" => {
                self.turn.prompt_sent = true;
                vec![Seen::PromptSent]
            }
            "turn.completed" => {
                self.turn.running_total(event.get("usage"));
                vec![Seen::Response { id: CODEX_TURN.to_owned(), outcome: Ok(Value::Null) }]
            }
            "turn.failed" => {
                let error: Option<Members<'_>> = wire::parse(event.get("error"));
                let message = error.as_ref().and_then(|e| e.text("message")).unwrap_or_default();
                let error = RpcError { code: 0, message: cut(&message, MAX_ERROR_CHARS), data: None };
                self.refused_by(&error);
                vec![Seen::Response { id: CODEX_TURN.to_owned(), outcome: Err(error) }]
            }
            // What comes to nothing is told again as `turn.failed`; what is tried again is not.
            "error" => {
                let message = cut(&event.text("message").unwrap_or_default(), MAX_ERROR_CHARS);
                self.refused_by(&RpcError { code: 0, message: message.clone(), data: None });
                self.notice(&message)
            }
            "item.started" => self.item(Stage::Started, event.get("item")),
            "item.updated" => self.item(Stage::Updated, event.get("item")),
            "item.completed" => self.item(Stage::Completed, event.get("item")),
            // Kinds that came after this was written.
            _ => vec![],
        }
    }

    /// The beginning of an event that was too long to be kept.
    pub(super) fn oversized_event(&mut self, head: &str, total: u64) -> Vec<Seen> {
        if head.contains("\"item.") {
            self.turn.work();
        }
        self.notice(&format!("an event of {total} bytes was skipped: {}", cut(head, 80)))
    }

    fn refused_by(&mut self, error: &RpcError) {
        if self.turn.refused.is_none() {
            self.turn.refused = refusal::refusal_in_error(error, None);
        }
    }

    fn item(&mut self, stage: Stage, item: Option<&RawValue>) -> Vec<Seen> {
        let Some(item) = wire::parse::<Members<'_>>(item) else { return self.notice("an item without content") };
        match item.text("type").unwrap_or_default().as_ref() {
            "agent_message" => {
                let text = item.text("text").unwrap_or_default();
                if stage != Stage::Completed || text.is_empty() {
                    self.turn.work();
                    return vec![];
                }
                let id = item.text("id");
                self.turn.say(&text, &Marks { message_id: id.as_deref(), phase: None });
                vec![Seen::Text]
            }
            "reasoning" => {
                self.turn.work();
                if stage != Stage::Completed {
                    return vec![];
                }
                self.turn.thoughts += 1;
                vec![Seen::Thought]
            }
            // A warning: of the model's name, of the configuration.
            "error" => self.notice(&item.text("message").unwrap_or_default()),
            "todo_list" => {
                self.turn.work();
                let entries = wire::items(item.get("items"), MAX_PLAN_ENTRIES).into_iter().filter_map(entry).collect();
                self.turn.tools.planned(entries).map(Seen::Activity).into_iter().collect()
            }
            kind => {
                self.turn.work();
                let Some(given) = call(kind, stage, &item) else { return vec![] };
                let told = self.turn.tools.note(true, given);
                // A command that goes on in the background may end behind the answer.
                if told.begins {
                    self.turn.forget_text();
                }
                told.activity.map(Seen::Activity).into_iter().collect()
            }
        }
    }
}

/// One line of a plan: status, text.
fn entry(raw: &RawValue) -> Option<(Option<String>, String)> {
    let entry: Members<'_> = wire::parse(Some(raw))?;
    let done = entry.get("completed").is_some_and(|c| c.get() == "true");
    let status = if done { "completed" } else { "pending" };
    Some((Some(status.to_owned()), entry.text("text")?.into_owned()))
}

/// What is done to the world, or asked of it; none of an item that is no such thing.
fn call(kind: &str, stage: Stage, item: &Members<'_>) -> Option<Given> {
    let said = |name: &str| item.text(name).map(|t| head(&t).to_owned()).filter(|t| !t.trim().is_empty());
    let (title, family, preview) = match kind {
        "command_execution" => (said("command"), "execute", output(item)),
        "file_change" => {
            let paths = changes(item);
            (paths.first().cloned(), "edit", (paths.len() > 1).then(|| paths.join(", ")))
        }
        "mcp_tool_call" => {
            let title = [said("server"), said("tool")].into_iter().flatten().collect::<Vec<_>>().join(".");
            (Some(title), "other", answer(stage, item))
        }
        "collab_tool_call" => (said("tool"), "other", said("prompt").filter(|_| stage == Stage::Started)),
        "web_search" => (said("query"), "search", None),
        // Something new that has a course is a call too.
        _ if item.get("status").is_some() => (None, "other", None),
        _ => return None,
    };
    let by_stage = if stage == Stage::Completed { "completed" } else { "in_progress" };
    Some(Given {
        id: word(item.get("id"), tools::MAX_ID_CHARS).unwrap_or_default(),
        title: Some(title.filter(|t| !t.is_empty()).unwrap_or_else(|| cut(kind, MAX_WORD_CHARS))),
        kind: Some(family.to_owned()),
        status: Some(word(item.get("status"), MAX_WORD_CHARS).unwrap_or_else(|| by_stage.to_owned())),
        preview,
    })
}

/// What a command printed, and its exit code where that tells something.
fn output(item: &Members<'_>) -> Option<String> {
    let printed = item.text("aggregated_output").map(|t| head(&t).to_owned()).unwrap_or_default();
    let code = item.get("exit_code").map(RawValue::get).filter(|c| !matches!(*c, "null" | "0"));
    match code {
        Some(code) => Some(format!("exit {}: {printed}", cut(code, 12))),
        None => Some(printed).filter(|p| !p.is_empty()),
    }
}

/// `add path`, for each file that is changed.
fn changes(item: &Members<'_>) -> Vec<String> {
    let changes = wire::items(item.get("changes"), MAX_PLAN_ENTRIES).into_iter();
    let change = |raw| {
        let change: Members<'_> = wire::parse(Some(raw))?;
        let kind = word(change.get("kind"), MAX_WORD_CHARS).unwrap_or_else(|| "change".to_owned());
        Some(format!("{kind} {}", head(&change.text("path")?)))
    };
    changes.filter_map(change).collect()
}

/// What a tool was asked, then what it answered.
fn answer(stage: Stage, item: &Members<'_>) -> Option<String> {
    let shown = |raw: &RawValue| (raw.get() != "null").then(|| head(raw.get()).to_owned());
    if stage == Stage::Started {
        return item.get("arguments").and_then(shown);
    }
    let error: Option<Members<'_>> = wire::parse(item.get("error"));
    let result: Option<Members<'_>> = wire::parse(item.get("result"));
    let said = |m: &Members<'_>, name: &str| m.text(name).map(|t| head(&t).to_owned());
    let first = result.as_ref().and_then(|r| wire::items(r.get("content"), 1).into_iter().next());
    let first: Option<Members<'_>> = wire::parse(first);
    error.and_then(|e| said(&e, "message")).or_else(|| first.and_then(|f| said(&f, "text")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::stream::{MAX_LINE_BYTES, Source};
    use akk_proto::event::Activity;
    use akk_proto::limits::MAX_DERIVED_TEXT_BYTES;
    use proptest::prelude::*;

    const SESSION: &str = "5e551000-0000-4000-8000-000000000001";

    macro_rules! sample {
        ($name:literal) => {
            include_str!(concat!("../../../tests/fixtures/codex/", $name, ".jsonl"))
        };
    }

    /// What was seen, with the reader stored and read again at every line.
    fn read(lines: &str) -> (StreamReader, Vec<Seen>) {
        let mut reader = StreamReader::new(Source::CodexExec);
        let mut seen = Vec::new();
        for line in lines.lines() {
            seen.extend(reader.feed(line.as_bytes()).into_iter().filter(|s| *s != Seen::Nothing));
            reader = serde_json::from_value(serde_json::to_value(&reader).unwrap()).unwrap();
        }
        (reader, seen)
    }

    fn tools(seen: &[Seen]) -> Vec<(String, String, Option<String>)> {
        let tool = |s: &Seen| match s {
            Seen::Activity(Activity::Tool { title, status, preview, .. }) => {
                Some((title.clone(), status.clone(), preview.clone()))
            }
            _ => None,
        };
        seen.iter().filter_map(tool).collect()
    }

    fn message(id: &str, text: &str) -> String {
        json!({"type": "item.completed", "item": {"id": id, "type": "agent_message", "text": text}}).to_string()
    }

    fn text(reader: &StreamReader) -> Option<String> {
        reader.final_text().map(|(text, _)| text)
    }

    #[test]
    fn a_turn_is_told_in_full() {
        let (r, seen) = read(sample!("turn"));
        assert_eq!(r.final_text(), Some(("finished".to_owned(), false)));
        assert_eq!((r.session(), r.thoughts(), r.activity_seen(), r.prompt_sent()), (Some(SESSION), 1, true, true));
        assert_eq!(
            r.usage().unwrap(),
            json!({"runningTotal": {"input_tokens": 3220, "cached_input_tokens": 1610,
            "cache_write_input_tokens": 0, "output_tokens": 60, "reasoning_output_tokens": 15}})
        );
        let thread = Seen::Response { id: CODEX_THREAD.into(), outcome: Ok(json!({"threadId": SESSION})) };
        assert_eq!(seen.first(), Some(&thread));
        assert!(matches!(&seen[1], Seen::Notice(text) if text.starts_with("Model metadata for")), "{seen:?}");
        assert_eq!(seen[2], Seen::PromptSent);
        assert_eq!(seen.last(), Some(&Seen::Response { id: CODEX_TURN.into(), outcome: Ok(Value::Null) }));
        let told = |title: &str, status: &str, preview: Option<&str>| {
            (title.to_owned(), status.to_owned(), preview.map(str::to_owned))
        };
        assert_eq!(
            tools(&seen),
            [
                told("/bin/bash -lc 'echo one; exit 3'", "in_progress", None),
                told("/bin/bash -lc 'echo one; exit 3'", "failed", Some("exit 3: one")),
                told(
                    "add /home/dev/project/f.txt",
                    "in_progress",
                    Some("add /home/dev/project/f.txt, update /home/dev/project/g.txt")
                ),
                told(
                    "add /home/dev/project/f.txt",
                    "completed",
                    Some("add /home/dev/project/f.txt, update /home/dev/project/g.txt")
                ),
                told("tt.echo", "in_progress", Some("{\"a\":\"b\"}")),
                told("tt.echo", "completed", Some("got it")),
                told("rust serde", "in_progress", None),
                told("rust serde", "completed", None),
            ]
        );
    }

    #[test]
    fn the_answer_is_what_was_said_after_the_last_tool_began() {
        let (r, _) = read(sample!("question"));
        assert_eq!(text(&r).as_deref(), Some(r#"{"type":"question","body":"Which of the two?"}"#));
        // A command of the background that ends behind the answer takes nothing from it.
        assert_eq!(text(&read(sample!("background")).0).as_deref(), Some("it goes on"));
        let two = [message("item_1", "first"), message("item_2", "second")].join("\n");
        assert_eq!(text(&read(&two).0).as_deref(), Some("first\n\nsecond"));
    }

    #[test]
    fn what_follows_the_last_word_changes_nothing() {
        let (done, seen) = read(sample!("turn"));
        let (r, all) = read(&[sample!("turn"), sample!("begun"), sample!("demand")].concat());
        assert_eq!(r, done);
        assert_eq!(all, seen);
    }

    #[test]
    fn a_long_answer_is_cut_and_says_so() {
        let (r, _) = read(&message("item_1", &"ä".repeat(MAX_DERIVED_TEXT_BYTES)));
        let (text, cut) = r.final_text().unwrap();
        assert!(cut && text.len() <= MAX_DERIVED_TEXT_BYTES);
    }

    #[test]
    fn a_plan_is_told_when_it_changes() {
        let plan = |stage: &str, done: bool| {
            json!({"type": format!("item.{stage}"), "item": {"id": "item_1", "type": "todo_list",
                "items": [{"text": "one", "completed": true}, {"text": "two", "completed": done}]}})
            .to_string()
        };
        let (_, seen) = read(&[plan("started", false), plan("updated", false), plan("completed", true)].join("\n"));
        let entries =
            |second: &str| Seen::Activity(Activity::Plan { entries: vec!["completed one".into(), second.into()] });
        assert_eq!(seen, [entries("pending two"), entries("completed two")]);
    }

    #[test]
    fn a_refused_model_is_found_in_the_error_and_not_in_what_the_agent_says() {
        for sample in [sample!("model-refused"), sample!("model-unknown")] {
            let (r, seen) = read(sample);
            assert_eq!(r.model_refusal().and_then(|r| r.attempted).as_deref(), Some("gpt-x"));
            assert!(
                matches!(seen.last(), Some(Seen::Response { id, outcome: Err(_) }) if id == CODEX_TURN),
                "{seen:?}"
            );
            assert!(!r.activity_seen());
        }
        assert_eq!(read(sample!("demand")).0.model_refusal(), None);
    }

    #[test]
    fn what_is_new_or_odd_costs_nothing_else() {
        let (r, seen) = read(concat!(
            "not json\n",
            "[1]\n",
            "{\"type\":\"item.completed\"}\n",
            "{\"kind\":\"x\"}\n",
            "{\"type\":\"thread.started\"}\n",
            "{\"type\":\"session.compacted\"}\n",
            "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_0\",\"type\":\"compaction\"}}\n",
            "{\"type\":\"item.started\",\"item\":{\"id\":\"item_1\",\"type\":\"collab_tool_call\",\"tool\":\"spawn_agent\",\"prompt\":\"look\",\"status\":\"in_progress\"}}\n",
            "{\"type\":\"item.started\",\"item\":{\"id\":\"item_2\",\"type\":\"hologram\",\"status\":\"in_progress\"}}\n",
            "{\"type\":\"item.started\",\"item\":{\"id\":7,\"type\":\"command_execution\",\"command\":[\"ls\"],\"exit_code\":\"?\"}}\n",
            "{\"type\":\"turn.completed\",\"usage\":3}\n",
            "{\"type\":\"item.comple",
        ));
        let notices = seen.iter().filter(|s| matches!(s, Seen::Notice(_))).count();
        assert_eq!((notices, r.usage()), (6, None), "{seen:?}");
        let titles: Vec<String> = tools(&seen).into_iter().map(|(title, ..)| title).collect();
        assert_eq!(titles, ["spawn_agent", "hologram", "command_execution"]);
        let mut r = StreamReader::new(Source::CodexExec);
        let huge = format!("{{\"type\":\"item.completed\",\"item\":\"{}\"}}", "x".repeat(MAX_LINE_BYTES));
        assert!(matches!(r.feed(huge.as_bytes()).as_slice(), [Seen::Notice(text)] if text.contains("was skipped")));
        assert!(r.activity_seen());
    }

    #[test]
    fn secrets_are_not_told() {
        let line = json!({"type": "item.started", "item": {"id": "item_1", "type": "command_execution",
            "command": "deploy --token hunter2hunter2", "status": "in_progress"}});
        let (_, seen) = read(&line.to_string());
        assert!(!format!("{seen:?}").contains("hunter2"), "{seen:?}");
    }

    proptest! {
        #[test]
        fn no_line_brings_the_reader_down(lines in prop::collection::vec(prop_oneof![
            any::<Vec<u8>>(),
            "\\{\"type\":\"item\\.(started|completed)\",\"item\":\\{\"type\":\"[a-z_]{0,12}\",\"id\":[0-9\"a{}]{0,6}\\}\\}".prop_map(String::into_bytes),
        ], 0..20)) {
            let mut r = StreamReader::new(Source::CodexExec);
            for line in lines {
                r.feed(&line);
                prop_assert!(serde_json::to_vec(&r).unwrap().len() < 256 << 10);
            }
        }
    }
}
