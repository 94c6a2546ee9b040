//! What a prompt asks the model to do: lines, or parts between `;;`, that begin with a word in capitals. Other text is
//! left alone. In a prompt that akkd made, only the message that it carries counts.
//!
//! | line | the model |
//! | --- | --- |
//! | `SAY text` | ends its turn with this text |
//! | `RUN command` | runs a shell command |
//! | `ESCALATE command` | asks to run one outside of the sandbox |
//! | `TOOL name text` | calls one of akk's reporting tools; the text is its `body`, or all its parameters as JSON |
//! | `PATCH file text` | adds a file with one line |
//! | `SPAWN text` | has Codex start a sub-agent, which gets the text as its prompt |
//! | `HTTP status text` | is refused with this status; the text is the body when it is JSON, else the error's message |
//! | `FAIL text` | fails in mid-stream |
//! | `CUT` | goes away in mid-stream |
//! | `HOLD name` | waits, before what comes next, until the story calls [`Model::let_go`](super::Model::let_go) |
//!
//! Each of them but `HOLD` is one request. When they are used up the model says `done.`; a prompt without any is
//! answered with `You said: …`.

use serde_json::{Value, json};
use std::borrow::Cow;

/// One answer of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What to wait for before it.
    pub hold: Option<String>,
    /// The answer.
    pub act: Act,
}

/// What the model does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Ends its turn with a text.
    Say(String),
    /// Runs a shell command.
    Run(String),
    /// Asks to run a shell command outside of the sandbox.
    Escalate(String),
    /// Calls a reporting tool.
    Tool {
        /// Its name.
        name: String,
        /// Its parameters.
        parameters: Value,
    },
    /// Adds a file with one line.
    Patch {
        /// Where, relative to the session's directory.
        file: String,
        /// The line.
        text: String,
    },
    /// Starts a sub-agent with this prompt.
    Spawn(String),
    /// Refuses.
    Http {
        /// The status.
        status: u16,
        /// JSON, or a message.
        body: String,
    },
    /// Fails in mid-stream.
    Fail(String),
    /// Goes away in mid-stream.
    Cut,
}

impl Step {
    /// Says this at once.
    pub fn say(text: &str) -> Self {
        Self { hold: None, act: Act::Say(text.to_owned()) }
    }
}

/// The answer to a prompt after `done` tool results.
pub fn step(prompt: &str, done: usize) -> Step {
    let prompt = message(prompt);
    let steps = steps(&prompt);
    let given = steps.get(done).cloned();
    given.unwrap_or_else(|| {
        if steps.is_empty() { Step::say(&format!("You said: {}", prompt.trim())) } else { Step::say("done.") }
    })
}

/// What was said to the model: the body of the last message in a prompt of akkd's, which stands on a line of its own as
/// JSON; any other prompt as it is.
pub fn message(prompt: &str) -> Cow<'_, str> {
    let body = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["from"].as_str()?;
        message["body"].as_str().map(str::to_owned)
    };
    prompt.lines().rev().find_map(body).map_or(Cow::Borrowed(prompt), Cow::Owned)
}

fn steps(prompt: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut hold = None;
    for part in prompt.split('\n').flat_map(|line| line.split(";;")) {
        let (word, rest) = part.trim().split_once(' ').unwrap_or((part.trim(), ""));
        let rest = rest.trim().to_owned();
        let act = match word {
            "SAY" => Act::Say(rest),
            "RUN" => Act::Run(rest),
            "ESCALATE" => Act::Escalate(rest),
            "SPAWN" => Act::Spawn(rest),
            "TOOL" => {
                let (name, text) = rest.split_once(' ').unwrap_or((&rest, ""));
                let parameters = serde_json::from_str(text).ok().filter(Value::is_object);
                let parameters = parameters.unwrap_or_else(|| json!({ "body": text }));
                Act::Tool { name: name.to_owned(), parameters }
            }
            "PATCH" => {
                let (file, text) = rest.split_once(' ').unwrap_or((&rest, ""));
                Act::Patch { file: file.to_owned(), text: text.to_owned() }
            }
            "HTTP" => {
                let (status, body) = rest.split_once(' ').unwrap_or((&rest, ""));
                Act::Http { status: status.parse().unwrap_or(500), body: body.to_owned() }
            }
            "FAIL" => Act::Fail(rest),
            "CUT" => Act::Cut,
            "HOLD" => {
                hold = Some(rest);
                continue;
            }
            _ => continue,
        };
        steps.push(Step { hold: hold.take(), act });
    }
    if hold.is_some() {
        steps.push(Step { hold, act: Act::Say("done.".into()) });
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::{Act, Step, step};

    #[test]
    fn a_script_in_a_message_of_akkd_is_the_only_one_that_counts() {
        let prompt = "SAY I am old\n    {\"type\":\"done\",\"body\":\"SAY an example\"}\n\
                      {\"from\":\"openclaw\",\"body\":\"SAY good\\nmorning\"}\nReport back.";
        assert_eq!(step(prompt, 0), Step::say("good"));
    }

    #[test]
    fn a_script_stands_inside_a_longer_prompt_and_ends_with_done() {
        let prompt = "# Rules\nSAYING nothing\n\nRUN make;; HOLD tests ;;SAY All pass.\n\nReport back.";
        assert_eq!(step(prompt, 0).act, Act::Run("make".into()));
        assert_eq!(step(prompt, 1), Step { hold: Some("tests".into()), act: Act::Say("All pass.".into()) });
        assert_eq!(step(prompt, 2), Step::say("done."));
        assert_eq!(step("hello", 0), Step::say("You said: hello"));
    }

    #[test]
    fn a_hold_at_the_end_is_an_answer_that_never_comes_by_itself() {
        assert_eq!(step("HOLD for ever", 0).hold.as_deref(), Some("for ever"));
        assert_eq!(
            step("HTTP 400 {\"detail\":\"no such model\"}", 0).act,
            Act::Http { status: 400, body: "{\"detail\":\"no such model\"}".into() }
        );
    }
}
