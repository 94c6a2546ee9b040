//! The reporting tools, as an agent sees them.

use akk_proto::TurnId;
use akk_proto::message::MessageType;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};
use std::sync::Arc;

/// What an agent can report with a tool.
pub(super) const TOOLS: [(&str, MessageType, &str); 5] = [
    (
        "report_progress",
        MessageType::Progress,
        "Tell the orchestrator about a milestone of long work. It needs no answer: go on working.",
    ),
    (
        "ask_question",
        MessageType::Question,
        "Ask the orchestrator for a decision: everything you need to know in one question, with the choices and your \
         recommendation. Waits up to 50 seconds and returns the answer, if one comes; then go on working. If none came, \
         end your turn: the answer comes as your next message.",
    ),
    (
        "report_blocked",
        MessageType::Blocked,
        "Tell the orchestrator that you cannot go on, and what you need. Then end your turn.",
    ),
    (
        "report_done",
        MessageType::Done,
        "Report that the round is complete: what changed, how it was verified, what remains.",
    ),
    ("report_error", MessageType::Error, "Report that something failed for good, with the cause."),
];

/// The tools with their parameters.
pub(super) fn listed() -> Vec<Tool> {
    let schema = Arc::new(schema());
    let tool = |(name, _, description): (&'static str, MessageType, &'static str)| {
        Tool::new(name, description, Arc::clone(&schema)).with_annotations(harmless())
    };
    TOOLS.map(tool).into()
}

/// Without these a client in its safest mode asks a person before each call, or refuses it (codex 0.169). They are true:
/// nothing of the agent's environment changes.
fn harmless() -> ToolAnnotations {
    ToolAnnotations::from_raw(None, Some(true), Some(false), Some(true), Some(false))
}

fn schema() -> JsonObject {
    let schema = json!({
        "type": "object",
        "properties": {
            "body": { "type": "string", "description": "What to say; not empty. Plain text or Markdown." },
            "turn": { "type": "string", "description": "The turn that your prompt names, such as turn-3." },
            "metadata": { "type": "object", "description": "Anything to keep with it.", "additionalProperties": true }
        },
        "required": ["body"]
    });
    match schema {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    }
}

/// What a call of a tool says.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    pub(super) kind: MessageType,
    pub(super) turn: Option<TurnId>,
    /// The message, as the callback command would get it.
    pub(super) message: String,
}

/// Reads a call; none for a tool that there is not.
pub(super) fn read(name: &str, arguments: JsonObject) -> Option<Result<Said, String>> {
    let kind = TOOLS.iter().find(|(tool, ..)| *tool == name)?.1;
    Some(said(kind, arguments))
}

fn said(kind: MessageType, mut arguments: JsonObject) -> Result<Said, String> {
    let turn = match arguments.remove("turn") {
        None | Some(Value::Null) => None,
        Some(Value::String(turn)) if turn.trim().is_empty() => None,
        Some(turn) => Some(turn.as_str().and_then(|t| TurnId::parse(t.trim()).ok()).ok_or_else(|| {
            "\"turn\" is no turn. Give it as your prompt names it, such as \"turn-3\", or leave it out.".to_owned()
        })?),
    };
    // The tool is the type, whatever else is said.
    arguments.insert("type".to_owned(), kind.as_str().into());
    Ok(Said { kind, turn, message: Value::Object(arguments).to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, arguments: Value) -> Option<Result<Said, String>> {
        read(name, arguments.as_object().unwrap().clone())
    }

    #[test]
    fn every_tool_is_annotated_as_one_that_may_always_be_called() {
        let tools = serde_json::to_value(listed()).unwrap();
        assert_eq!(tools.as_array().unwrap().len(), 5);
        for tool in tools.as_array().unwrap() {
            let hints = &tool["annotations"];
            assert_eq!((&hints["readOnlyHint"], &hints["destructiveHint"]), (&json!(true), &json!(false)), "{tool}");
            assert_eq!(hints["openWorldHint"], false);
            assert_eq!(tool["inputSchema"]["required"], json!(["body"]));
        }
    }

    #[test]
    fn a_call_becomes_a_message_of_its_tools_type() {
        let said =
            call("report_done", json!({"body": "x", "turn": "turn-2", "type": "question", "metadata": {"a": 1}}));
        let said = said.unwrap().unwrap();
        assert_eq!((said.kind, said.turn), (MessageType::Done, Some(TurnId::nth(2))));
        let message: Value = serde_json::from_str(&said.message).unwrap();
        assert_eq!(message, json!({"type": "done", "body": "x", "metadata": {"a": 1}}));
        assert_eq!(call("ask_question", json!({"body": "?", "turn": null})).unwrap().unwrap().turn, None);
    }

    #[test]
    fn no_turn_and_no_tool_are_told() {
        assert!(call("report_done", json!({"body": "x", "turn": "the first"})).unwrap().is_err());
        assert!(call("report_done", json!({"body": "x", "turn": 3})).unwrap().is_err());
        assert_eq!(call("report_everything", json!({"body": "x"})), None);
    }
}
