//! What a prompt asks for: the message inside the longer text that akkd sends.

use serde::Deserialize;

/// A prompt, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prompt {
    /// What the newest message says, or the whole text where there is no message in it.
    pub(super) body: String,
    /// The type of the newest message.
    pub(super) kind: Option<String>,
    /// The turn that the prompt belongs to, as its way back names it.
    pub(super) turn: Option<String>,
    /// The conversation.
    pub(super) conversation: Option<String>,
    /// Bytes of the whole text.
    pub(super) bytes: usize,
}

/// The parts of a message that matter here. Any other JSON object in the text fails to be one.
#[derive(Debug, Deserialize)]
struct Message {
    #[serde(rename = "type")]
    kind: String,
    body: String,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    turn_id: Option<String>,
    #[serde(default)]
    conversation_id: Option<String>,
}

impl Message {
    /// Work or a decision. The examples of reports in a bootstrap are neither.
    fn is_work(&self) -> bool {
        matches!(self.kind.as_str(), "task" | "answer")
    }

    /// Something else that the orchestrator said.
    fn is_word(&self) -> bool {
        matches!(self.kind.as_str(), "control" | "error") && self.to.as_deref().is_some_and(|to| to != "openclaw")
    }
}

impl Prompt {
    /// Takes the text of a prompt apart.
    pub(super) fn parse(text: &str) -> Self {
        let found = messages(text);
        let newest =
            found.iter().rev().find(|(m, _)| m.is_work()).or_else(|| found.iter().rev().find(|(m, _)| m.is_word()));
        // What a message says about turns is no name of this one.
        let outside = match newest {
            Some((_, span)) => [&text[..span.start], &text[span.end..]].concat(),
            None => String::new(),
        };
        Self {
            body: newest.map_or_else(|| text.to_owned(), |(m, _)| m.body.clone()),
            kind: newest.map(|(m, _)| m.kind.clone()),
            turn: named_turn(&outside).or_else(|| newest.and_then(|(m, _)| m.turn_id.clone())),
            conversation: newest.and_then(|(m, _)| m.conversation_id.clone()),
            bytes: text.len(),
        }
    }
}

/// Every message object in the text, with its place. An object inside another one is none.
fn messages(text: &str) -> Vec<(Message, std::ops::Range<usize>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find('{').map(|i| at + i) {
        let mut objects = serde_json::Deserializer::from_str(&text[open..]).into_iter::<Message>();
        at = match objects.next() {
            Some(Ok(message)) => {
                let end = open + objects.byte_offset();
                found.push((message, open..end));
                end
            }
            _ => open + 1,
        };
    }
    found
}

/// The last `--turn turn-N` of the text.
fn named_turn(text: &str) -> Option<String> {
    let (_, after) = text.rsplit_once("--turn turn-")?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then(|| format!("turn-{digits}"))
}

#[cfg(test)]
mod tests {
    use super::Prompt;

    #[test]
    fn the_newest_message_is_the_script_and_the_way_back_names_the_turn() {
        let text = r#"You are codex. Report like this:
            akkctl callback --conversation task-1 --turn turn-2 '{"type":"question","body":"say no"}'
            {"type":"task","body":"say old","to":"codex"}
            ```json
            {"id":"msg-1","conversation_id":"task-1","to":"codex","type":"answer",
             "body":"say {\"type\":\"task\",\"body\":\"say inner\"} --turn turn-9","metadata":{"a":{"b":1}}}
            ```
            Use {braces} freely."#;
        let p = Prompt::parse(text);
        assert_eq!(p.body, r#"say {"type":"task","body":"say inner"} --turn turn-9"#);
        assert_eq!((p.kind.as_deref(), p.turn.as_deref()), (Some("answer"), Some("turn-2")));
        assert_eq!(p.conversation.as_deref(), Some("task-1"));
    }

    #[test]
    fn a_text_without_a_message_is_itself_the_script() {
        let p = Prompt::parse("say hi\nlen");
        assert_eq!((p.body.as_str(), p.kind, p.bytes), ("say hi\nlen", None, 10));
    }

    #[test]
    fn a_control_message_counts_only_when_nothing_else_was_said_to_the_agent() {
        let control = r#"{"type":"control","to":"codex","body":"say budget"}"#;
        assert_eq!(Prompt::parse(control).body, "say budget");
        let both = format!(r#"{{"type":"task","body":"say work"}} {control}"#);
        assert_eq!(Prompt::parse(&both).body, "say work");
    }
}
