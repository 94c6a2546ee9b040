//! What an agent may send, and how forgiving its reading is.
//!
//! Agents are language models: a message arrives as text. Taken are: the whole text as a JSON object, else a JSON
//! object in a fenced code block, else the first balanced `{…}` in the text that parses. Nothing else is guessed.

use akk_proto::ConversationId;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::Fingerprint;
use akk_proto::limits::MAX_CALLBACK_MESSAGE_BYTES;
use akk_proto::message::{Actor, MessageType};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// A report as the agent meant it, checked as far as it can be without its conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// `question`, `blocked`, `progress`, `done`, `error`.
    pub kind: MessageType,
    /// Who says it, if the agent said so.
    pub from: Option<String>,
    /// Who is told, if the agent said so.
    pub to: Option<String>,
    /// Whether it needs an answer.
    pub requires_response: bool,
    /// What it says; not empty.
    pub body: String,
    /// The agent's own id of it.
    pub named: Option<String>,
    /// The conversation that the agent named.
    pub conversation: Option<String>,
    /// The agent's `id`, and every field that is not ours.
    pub metadata: Map<String, Value>,
}

/// Reads a report from what an agent wrote.
///
/// # Errors
/// `too_large` beyond 256 KiB, `invalid_message` with the rule that is broken and the value, `invalid_route` for a
/// type that agents do not send.
pub fn read(text: &str) -> Result<Report, Failure> {
    if text.len() > MAX_CALLBACK_MESSAGE_BYTES {
        return Err(Failure::new(
            ErrorKind::TooLarge,
            format!("the message has {} bytes, {MAX_CALLBACK_MESSAGE_BYTES} are allowed", text.len()),
            "Write long results to a file in the workspace and name the file in a short message.",
        ));
    }
    if text.trim().is_empty() {
        return Err(invalid("the message is empty", EXAMPLE));
    }
    let object = find_object(text).ok_or_else(|| invalid("there is no JSON object in the message", EXAMPLE))?;
    from_object(object)
}

/// Reads a report from the final text of a turn: only when the whole text, or the one fenced block that is the whole
/// text, is a valid report. A JSON example inside a longer answer is not one.
pub fn read_final_text(text: &str) -> Option<Report> {
    let trimmed = text.trim();
    let object = parse_object(trimmed).or_else(|| {
        let inner = trimmed.strip_prefix("```")?.strip_suffix("```")?;
        let (_language, json) = inner.split_once('\n')?;
        if json.contains("```") { None } else { parse_object(json.trim()) }
    })?;
    if trimmed.len() > MAX_CALLBACK_MESSAGE_BYTES {
        return None;
    }
    from_object(object).ok()
}

const EXAMPLE: &str = "Send one JSON object such as {\"type\":\"progress\",\"body\":\"what happened\"}.";

fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Failure {
    Failure::new(ErrorKind::InvalidMessage, message, hint)
}

fn from_object(mut object: Map<String, Value>) -> Result<Report, Failure> {
    let kind = match object.remove("type") {
        Some(Value::String(s)) => MessageType::parse(s.trim()).ok_or_else(|| {
            invalid(
                format!("{:?} is not a message type", shorten(&s)),
                "Use one of question, blocked, progress, done, error.",
            )
        })?,
        Some(other) => {
            return Err(invalid(format!("\"type\" must be a string, not {}", shorten(&other.to_string())), EXAMPLE));
        }
        None => return Err(invalid("\"type\" is missing", EXAMPLE)),
    };
    let body = match object.remove("body") {
        Some(Value::String(s)) => s,
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    };
    if body.trim().is_empty() {
        return Err(invalid("\"body\" is empty", "Say in \"body\" what the receiver must know."));
    }
    let requires_response = match object.remove("requires_response") {
        Some(Value::Bool(b)) => b,
        None | Some(Value::Null) => kind.needs_answer_by_default(),
        Some(other) => {
            return Err(invalid(
                format!("\"requires_response\" must be true or false, not {}", shorten(&other.to_string())),
                "Leave it out: the type decides.",
            ));
        }
    };
    check_round(object.remove("round").as_ref())?;
    object.remove("max_rounds");
    object.remove("ts");
    let from = text_field(&mut object, "from")?;
    let to = text_field(&mut object, "to")?;
    let conversation = text_field(&mut object, "conversation_id")?;
    let mut metadata = match object.remove("metadata") {
        Some(Value::Object(m)) => m,
        Some(Value::Null) | None => Map::new(),
        Some(other) => Map::from_iter([("metadata".to_owned(), other)]),
    };
    let named = match object.get("id") {
        Some(Value::String(s)) if !s.is_empty() => Some(s.clone()),
        Some(Value::Number(n)) => Some(n.to_string()),
        _ => None,
    };
    metadata.extend(object);
    metadata.values_mut().for_each(flatten);
    Ok(Report { kind, from, to, requires_response, body, named, conversation, metadata })
}

/// How deep the values of metadata may be nested. JSON readers stop at some depth (ours at 128), and a report is read
/// again as a part of its event: what could be read once must be readable ever after.
const MAX_DEPTH: usize = 32;

/// Keeps what is nested too deep as JSON text.
fn flatten(value: &mut Value) {
    fn is_deep(value: &Value, left: usize) -> bool {
        match value {
            Value::Array(a) => left == 0 || a.iter().any(|v| is_deep(v, left - 1)),
            Value::Object(o) => left == 0 || o.values().any(|v| is_deep(v, left - 1)),
            _ => false,
        }
    }
    if is_deep(value, MAX_DEPTH) {
        *value = Value::String(value.to_string());
    }
}

fn check_round(round: Option<&Value>) -> Result<(), Failure> {
    match round {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Number(n)) if n.as_u64().is_some() => Ok(()),
        Some(other) => Err(invalid(
            format!("\"round\" must be a whole number of 0 or more, not {}", shorten(&other.to_string())),
            "Leave it out: akkd counts the rounds.",
        )),
    }
}

fn text_field(object: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Failure> {
    match object.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(s)) => Ok(Some(s)),
        Some(other) => {
            Err(invalid(format!("{name:?} must be a string, not {}", shorten(&other.to_string())), "Leave it out."))
        }
    }
}

fn shorten(text: &str) -> String {
    crate::redact::cut(text, 60)
}

fn parse_object(text: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    }
}

fn find_object(text: &str) -> Option<Map<String, Value>> {
    parse_object(text.trim()).or_else(|| in_fence(text)).or_else(|| first_balanced(text))
}

fn in_fence(text: &str) -> Option<Map<String, Value>> {
    // Every second piece between the fences is inside one; its first line may name a language.
    text.split("```").skip(1).step_by(2).find_map(|block| {
        parse_object(block.trim()).or_else(|| block.split_once('\n').and_then(|(_, json)| parse_object(json.trim())))
    })
}

/// Bytes that are read in search of an object: text full of braces must not cost more than some passes.
const SEARCH_BYTES: usize = 16 * MAX_CALLBACK_MESSAGE_BYTES;
/// What one try costs at least.
const TRY_BYTES: usize = 64;

fn first_balanced(text: &str) -> Option<Map<String, Value>> {
    let mut left = SEARCH_BYTES;
    let mut from = 0;
    while left > 0 {
        let start = from + text.get(from..)?.find('{')?;
        let rest = &text[start..];
        // The streaming reader stops where the first value ends: that is the balanced object, strings respected.
        match serde_json::Deserializer::from_str(rest).into_iter::<Map<String, Value>>().next()? {
            Ok(map) => return Some(map),
            Err(error) => left = left.saturating_sub(read_until(rest, &error).max(TRY_BYTES)),
        }
        from = start + 1;
    }
    None
}

/// Bytes of `text` that were read before `error`.
fn read_until(text: &str, error: &serde_json::Error) -> usize {
    if error.is_eof() {
        return text.len();
    }
    text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>() + error.column()
}

/// What identifies a repeat of this report.
pub fn fingerprint(report: &Report, from: &Actor, to: &Actor, attempt_id: Option<&str>) -> Fingerprint {
    let content =
        digest(&[&from.0, &to.0, report.kind.as_str(), if report.requires_response { "1" } else { "0" }, &report.body]);
    let with = |id: &str| digest(&[id, &content]);
    Fingerprint { named: report.named.as_deref().map(with), attempt: attempt_id.map(with), content }
}

/// 128 bits, in hex, of the SHA-256 of the parts, each with its length in front.
fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(&hash.finalize()[..16])
}

/// Checks who speaks to whom.
///
/// # Errors
/// `invalid_route` or `invalid_message`, naming the rule and the value.
pub fn check_report_route(report: &Report, conversation: &ConversationId, agent: &Actor) -> Result<(), Failure> {
    let route = |message: String| {
        Err(Failure::new(
            ErrorKind::InvalidRoute,
            message,
            format!("Leave out \"from\" and \"to\": reports go from {agent} to openclaw."),
        ))
    };
    if let Some(named) = &report.conversation
        && named != conversation.as_str()
    {
        return Err(invalid(
            format!("the message is for conversation {:?}, not for {conversation}", shorten(named)),
            "Leave out \"conversation_id\".",
        ));
    }
    let from = report.from.as_deref().unwrap_or(&agent.0);
    let to = report.to.as_deref().unwrap_or("openclaw");
    if from == to {
        return route(format!("sender and receiver are both {:?}", shorten(from)));
    }
    if from != agent.0 {
        return route(format!("{:?} is not the agent of this conversation", shorten(from)));
    }
    if to != "openclaw" {
        return route(format!("{:?} is not an actor that an agent can report to", shorten(to)));
    }
    if !report.kind.goes_to_orchestrator() {
        return Err(Failure::new(
            ErrorKind::InvalidRoute,
            format!("an agent cannot send {:?}", report.kind.as_str()),
            "Use one of question, blocked, progress, done, error.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent() -> Actor {
        Actor("codex".into())
    }

    #[test]
    fn whole_text_fence_and_first_balanced_object_are_taken() {
        for text in [
            r#"{"type":"done","body":"ok"}"#,
            "  {\"type\":\"done\",\"body\":\"ok\"}\n",
            "Here it is:\n```json\n{\"type\":\"done\",\"body\":\"ok\"}\n```\nbye",
            "Here: ```{\"type\":\"done\",\"body\":\"ok\"}```",
            "I report {\"type\":\"done\",\"body\":\"ok\"} now",
            "a {broken {\"type\":\"done\",\"body\":\"ok\"} b",
        ] {
            let r = read(text).unwrap();
            assert_eq!((r.kind, r.body.as_str()), (MessageType::Done, "ok"), "{text}");
        }
    }

    #[test]
    fn a_brace_inside_a_string_does_not_end_the_object() {
        let r = read(r#"x {"type":"progress","body":"a } b { c \" }"} y"#).unwrap();
        assert_eq!(r.body, "a } b { c \" }");
    }

    #[test]
    fn a_report_behind_much_text_with_braces_is_found() {
        let text = format!("{} {{\"type\":\"done\",\"body\":\"ok\"}}", "fn main() { if x { y() } }\n".repeat(500));
        assert_eq!(read(&text).unwrap().body, "ok");
    }

    #[test]
    fn hostile_text_is_given_up_instead_of_being_read_again_from_each_brace() {
        for piece in ["{", "{\"", "{\"a\":", "{\"a\":[", "{\n", "{\"a\":\"", "```{", "```\n{\"a\":"] {
            let text = piece.repeat(MAX_CALLBACK_MESSAGE_BYTES / piece.len());
            assert!(read(&text).is_err(), "{piece}");
        }
    }

    #[test]
    fn a_report_that_could_be_read_can_be_read_again_from_its_event() {
        let deep = format!("{}1{}", "[".repeat(125), "]".repeat(125));
        for text in [
            format!(r#"{{"type":"done","body":"x","extra":{deep}}}"#),
            format!(r#"{{"type":"done","body":{deep}}}"#),
            format!(r#"{{"type":"done","body":"x","metadata":{{"k":{deep}}}}}"#),
        ] {
            let report = read(&text).unwrap();
            let mut stored = Value::Object(report.metadata.clone());
            for _ in 0..20 {
                stored = serde_json::json!({ "within": stored });
            }
            let back: Value = serde_json::from_str(&stored.to_string()).unwrap();
            assert_eq!(back, stored);
        }
        let kept = read(r#"{"type":"done","body":"x","extra":{"a":[1,{"b":2}]}}"#).unwrap().metadata;
        assert_eq!(kept["extra"], serde_json::json!({"a":[1,{"b":2}]}), "what is not deep stays as it is");
    }

    #[test]
    fn what_cannot_be_a_report_is_refused_with_the_rule() {
        for (text, part) in [
            ("", "is empty"),
            ("no json here", "no JSON object"),
            ("[1,2]", "no JSON object"),
            (r#"{"body":"x"}"#, "\"type\" is missing"),
            (r#"{"type":"shout","body":"x"}"#, "\"shout\" is not a message type"),
            (r#"{"type":1,"body":"x"}"#, "must be a string"),
            (r#"{"type":"done"}"#, "\"body\" is empty"),
            (r#"{"type":"done","body":"  "}"#, "\"body\" is empty"),
            (r#"{"type":"done","body":"x","round":-1}"#, "whole number"),
            (r#"{"type":"done","body":"x","round":1.5}"#, "whole number"),
            (r#"{"type":"done","body":"x","requires_response":"yes"}"#, "true or false"),
            (r#"{"type":"done","body":"x","from":3}"#, "must be a string"),
        ] {
            let e = read(text).unwrap_err();
            assert!(e.message.contains(part), "{text}: {}", e.message);
            assert!(!e.hint.is_empty());
        }
        assert_eq!(read(&"x".repeat(MAX_CALLBACK_MESSAGE_BYTES + 1)).unwrap_err().kind, ErrorKind::TooLarge);
    }

    #[test]
    fn a_body_that_is_no_string_is_kept_as_json_and_unknown_fields_as_metadata() {
        let r = read(r#"{"type":"done","body":{"a":[1]},"id":"m1","extra":2,"metadata":{"k":"v"}}"#).unwrap();
        assert_eq!(r.body, r#"{"a":[1]}"#);
        assert_eq!(r.named.as_deref(), Some("m1"));
        assert_eq!(Value::Object(r.metadata), serde_json::json!({"k":"v","id":"m1","extra":2}));
    }

    #[test]
    fn only_the_conversations_agent_reports_and_only_reports() {
        let id = ConversationId::new(akk_proto::Timestamp(0), 1);
        let check = |text: &str| check_report_route(&read(text).unwrap(), &id, &agent());
        assert!(check(r#"{"type":"done","body":"x"}"#).is_ok());
        assert!(check(r#"{"type":"done","body":"x","from":"codex","to":"openclaw"}"#).is_ok());
        for bad in [
            r#"{"type":"task","body":"x"}"#,
            r#"{"type":"answer","body":"x"}"#,
            r#"{"type":"control","body":"x"}"#,
            r#"{"type":"done","body":"x","from":"openclaw"}"#,
            r#"{"type":"done","body":"x","from":"claude-code"}"#,
            r#"{"type":"done","body":"x","to":"codex"}"#,
            r#"{"type":"done","body":"x","to":"mallory"}"#,
        ] {
            assert_eq!(check(bad).unwrap_err().kind, ErrorKind::InvalidRoute, "{bad}");
        }
        let other = r#"{"type":"done","body":"x","conversation_id":"task-20260620T140525-0a1b2c3d"}"#;
        assert_eq!(check(other).unwrap_err().kind, ErrorKind::InvalidMessage);
    }

    #[test]
    fn a_final_text_counts_as_a_message_only_when_it_is_one_as_a_whole() {
        assert!(read_final_text(r#"{"type":"question","body":"A or B?"}"#).is_some());
        assert!(read_final_text("```json\n{\"type\":\"question\",\"body\":\"A or B?\"}\n```").is_some());
        assert!(read_final_text("I wrote {\"type\":\"error\",\"body\":\"sample\"} into x.json").is_none());
        assert!(read_final_text("All tests pass.").is_none());
    }

    #[test]
    fn the_same_id_with_other_content_has_another_fingerprint() {
        let f = |text: &str, attempt| fingerprint(&read(text).unwrap(), &agent(), &Actor::orchestrator(), attempt);
        let a = f(r#"{"type":"done","body":"x","id":"1"}"#, Some("t1"));
        let b = f(r#"{"type":"done","body":"y","id":"1"}"#, Some("t1"));
        let c = f(r#"{"id":"1","body":"x","type":"done"}"#, Some("t2"));
        assert_ne!(a.named, b.named);
        assert_ne!(a.attempt, b.attempt);
        assert_eq!(a.named, c.named);
        assert_eq!(a.content, c.content);
        assert_ne!(a.attempt, c.attempt);
    }
}
