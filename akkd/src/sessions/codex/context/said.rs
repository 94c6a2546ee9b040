//! What a record says that belongs in a summary: a message, a command, how a command ended.

use super::super::rollout::{Record, plain_text};
use super::injected::{is_own_kind, own_words};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    User,
    Assistant,
}

/// What a record says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// Nothing of use.
    Nothing,
    /// Somebody said something.
    Message {
        role: Role,
        text: Cow<'a, str>,
        /// Said in passing, between tool calls.
        in_passing: bool,
        /// Messages stand twice: as what happened, and as what the model is given.
        happened: bool,
        /// The same in both, for the agent's own.
        id: Option<String>,
    },
    /// A command ran, or was asked for.
    Command { id: Option<String>, command: String, end: Option<End<'a>> },
    /// A call of a tool that is no shell.
    OtherCall { id: String },
    /// How a call ended, whichever it was.
    Answer { id: String, end: End<'a> },
}

/// How a command ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct End<'a> {
    pub(super) exit_code: Option<i32>,
    pub(super) output: Option<Cow<'a, str>>,
}

/// The inside of a record, or an item in it. Unread JSON, because the same name has other types in other records.
#[derive(Deserialize)]
struct Inside<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    call_id: Option<&'a RawValue>,
    #[serde(borrow)]
    role: Option<&'a RawValue>,
    #[serde(borrow)]
    phase: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    action: Option<&'a RawValue>,
    #[serde(borrow)]
    command: Option<&'a RawValue>,
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow)]
    exit_code: Option<&'a RawValue>,
    #[serde(borrow, alias = "formatted_output", alias = "stdout")]
    aggregated_output: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow, rename = "internal_chat_message_metadata_passthrough")]
    about: Option<&'a RawValue>,
}

/// What `record` says; none when it cannot be read.
pub(super) fn said<'a>(record: &Record<'a>) -> Option<Said<'a>> {
    match record.kind.as_ref() {
        "response_item" => response(&inside(record.payload)?),
        "event_msg" => {
            let event = inside(record.payload)?;
            match text(event.kind)?.as_ref() {
                "item_completed" => item(&inside(event.item?.get())?),
                "user_message" => Some(message(Role::User, event.message.and_then(plain_text), &event, true)),
                "agent_message" => Some(message(Role::Assistant, event.message.and_then(plain_text), &event, true)),
                "exec_command_end" => Some(command(&event)),
                _ => Some(Said::Nothing),
            }
        }
        _ => Some(Said::Nothing),
    }
}

fn inside(json: &str) -> Option<Inside<'_>> {
    serde_json::from_str(json).ok()
}

/// What the model was given, or gave.
fn response<'a>(payload: &Inside<'a>) -> Option<Said<'a>> {
    let kind = text(payload.kind)?;
    let id = text(payload.call_id).or_else(|| text(payload.id)).map(Cow::into_owned);
    Some(match kind.as_ref() {
        "message" => match text(payload.role)?.as_ref() {
            "user" => message(Role::User, content(payload, Role::User), payload, false),
            "assistant" => message(Role::Assistant, content(payload, Role::Assistant), payload, false),
            _ => Said::Nothing,
        },
        "function_call" => {
            let shell = text(payload.name).filter(|name| is_shell(name)).and_then(|_| asked(&text(payload.arguments)?));
            match (shell, id) {
                (Some(command), id) => Said::Command { id, command, end: None },
                (None, Some(id)) => Said::OtherCall { id },
                (None, None) => Said::Nothing,
            }
        }
        "local_shell_call" => match payload.action.or(payload.command).and_then(|action| asked(action.get())) {
            Some(command) => Said::Command { id, command, end: None },
            None => Said::Nothing,
        },
        "custom_tool_call" => id.map_or(Said::Nothing, |id| Said::OtherCall { id }),
        "function_call_output" | "custom_tool_call_output" | "local_shell_call_output" => match (id, payload.output) {
            (Some(id), Some(output)) => Said::Answer { id, end: answer(output) },
            _ => Said::Nothing,
        },
        _ if payload.command.is_some() => command(payload),
        _ => Said::Nothing,
    })
}

/// What happened.
fn item<'a>(item: &Inside<'a>) -> Option<Said<'a>> {
    Some(match text(item.kind)?.as_ref() {
        "UserMessage" | "userMessage" => message(Role::User, content(item, Role::User), item, true),
        "AgentMessage" | "agentMessage" => message(Role::Assistant, content(item, Role::Assistant), item, true),
        // What is typed into a running command is no command.
        "CommandExecution" | "commandExecution"
            if !text(item.source).is_some_and(|source| source.contains("interaction")) =>
        {
            command(item)
        }
        _ => Said::Nothing,
    })
}

fn message<'a>(role: Role, text_of: Option<Cow<'a, str>>, payload: &Inside<'a>, happened: bool) -> Said<'a> {
    let text_of = match role {
        Role::User => text_of.and_then(own_words),
        Role::Assistant => text_of.filter(|text| !text.trim().is_empty()),
    };
    let Some(said) = text_of else { return Said::Nothing };
    let in_passing = text(payload.phase).is_some_and(|phase| phase == "commentary");
    Said::Message { role, text: said, in_passing, happened, id: text(payload.id).map(Cow::into_owned) }
}

/// The texts of a message's parts that a person or the agent wrote.
fn content<'a>(payload: &Inside<'a>, role: Role) -> Option<Cow<'a, str>> {
    #[derive(Deserialize)]
    struct Part<'a> {
        #[serde(borrow)]
        text: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct About {
        #[serde(default)]
        content_item_kinds: Vec<String>,
    }
    let parts: Vec<Part<'a>> = serde_json::from_str(payload.content?.get()).ok()?;
    let about = payload.about.and_then(|about| serde_json::from_str::<About>(about.get()).ok());
    let kinds = about.map(|about| about.content_item_kinds).filter(|kinds| kinds.len() == parts.len());
    let is_own = |at: usize| kinds.as_ref().is_none_or(|kinds| is_own_kind(&kinds[at]));
    let own = |(at, part): (usize, &Part<'a>)| {
        let said = text(part.text)?;
        match role {
            Role::User => {
                if is_own(at) {
                    own_words(said)
                } else {
                    None
                }
            }
            Role::Assistant => Some(said),
        }
    };
    let own: Vec<_> = parts.iter().enumerate().filter_map(own).collect();
    match <[_; 1]>::try_from(own) {
        Ok([one]) => Some(one),
        Err(own) => Some(Cow::Owned(own.join("\n"))),
    }
}

fn command<'a>(payload: &Inside<'a>) -> Said<'a> {
    let Some(command) = payload.command.and_then(|command| words(command.get())) else { return Said::Nothing };
    let id = text(payload.call_id).or_else(|| text(payload.id)).map(Cow::into_owned);
    let exit_code = payload.exit_code.and_then(|code| serde_json::from_str(code.get()).ok());
    let output = payload.aggregated_output.or(payload.output).and_then(plain_text);
    Said::Command { id, command, end: Some(End { exit_code, output }) }
}

/// The tools that run a command, in the versions so far.
fn is_shell(name: &str) -> bool {
    matches!(
        name,
        "exec_command" | "shell" | "shell_command" | "container.exec" | "local_shell" | "unified_exec" | "bash"
    )
}

/// The command in a call's arguments.
fn asked(arguments: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Arguments<'a> {
        #[serde(borrow, alias = "cmd")]
        command: &'a RawValue,
    }
    words(serde_json::from_str::<Arguments<'_>>(arguments).ok()?.command.get())
}

/// A command line, or the words of one. Of `bash -lc SCRIPT` the script counts.
fn words(json: &str) -> Option<String> {
    if let Ok(line) = serde_json::from_str::<String>(json) {
        return Some(line);
    }
    let words: Vec<String> = serde_json::from_str(json).ok()?;
    if let [shell, flag, script] = words.as_slice()
        && matches!(flag.as_str(), "-lc" | "-c")
        && shell.ends_with("sh")
    {
        return Some(script.clone());
    }
    (!words.is_empty()).then(|| words.join(" "))
}

/// How a call ended, from the text that the model was given: `Process exited with code 0 … Output:`,
/// `Exit code: 0 … Output:`, or JSON with `metadata.exit_code`.
fn answer(output: &RawValue) -> End<'_> {
    #[derive(Deserialize)]
    struct Metadata {
        exit_code: Option<i32>,
    }
    #[derive(Deserialize)]
    struct Answer {
        output: Option<String>,
        metadata: Option<Metadata>,
    }
    let Some(said) = plain_text(output) else { return End::default() };
    if said.starts_with('{')
        && let Ok(answer) = serde_json::from_str::<Answer>(&said)
    {
        return End { exit_code: answer.metadata.and_then(|m| m.exit_code), output: answer.output.map(Cow::Owned) };
    }
    let (exit_code, shown) = without_heading(&said);
    let output = if shown.len() == said.len() { said } else { Cow::Owned(shown.to_owned()) };
    End { exit_code, output: Some(output) }
}

/// The exit code in what Codex writes above an output, and what stands below. Of a patch there are two headings.
fn without_heading(said: &str) -> (Option<i32>, &str) {
    const HEADING: [&str; 4] =
        ["Chunk ID: ", "Wall time: ", "Original token count: ", "Process running with session ID "];
    let mut exit_code = None;
    let mut rest = said;
    while let Some((line, below)) = rest.split_once('\n') {
        let code = line.strip_prefix("Process exited with code ").or_else(|| line.strip_prefix("Exit code: "));
        match code.filter(|_| exit_code.is_none()).and_then(|code| code.trim().parse().ok()) {
            Some(code) => exit_code = Some(code),
            None if line == "Output:" || HEADING.iter().any(|heading| line.starts_with(heading)) => {}
            None => break,
        }
        rest = below;
        if line == "Output:" && exit_code.is_some() {
            break;
        }
    }
    (exit_code, rest)
}

fn text(json: Option<&RawValue>) -> Option<Cow<'_, str>> {
    plain_text(json?)
}
