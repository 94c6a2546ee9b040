//! `akkctl callback`: what a coding agent runs to report. Its messages are read by a language model.
//!
//! It never starts akkd: inside a sandbox a daemon would see other processes, or die with the agent.

use super::Context;
use super::input::Source;
use crate::cli::Callback;
use crate::environment::{self, set};
use crate::error::{Error, Result, exit};
use crate::output;
use crate::report::{Door, Sent, drop_folder, send};
use akk_proto::ConversationId;
use akk_proto::api::{ReportAnswer, ReportParams};
use akk_proto::limits::MAX_CALLBACK_MESSAGE_BYTES;
use akk_proto::message::MessageType;
use serde_json::{Value, json};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

/// Longest ticket that is taken from a file, in bytes.
const MAX_TICKET: usize = 4096;

/// What an agent can always do: its last words reach akkd on their own.
const FALL_BACK: &str = "end your turn with the report as your final text; akkd takes it from there";

pub(super) fn run(args: Callback, context: &Context<'_>) -> Result<u8> {
    let conversation_id = conversation(args.conversation)?;
    let ticket = ticket(args.ticket_file.as_deref())?;
    let message = report(args.text.or(args.message), args.message_file.as_deref())?;
    let kind = report_type(&message);
    let params = ReportParams { conversation_id, ticket, turn_id: args.turn, attempt_id: None, message, waits: false };
    let socket = set(environment::CALLBACK_SOCKET)
        .map_or_else(|| context.surroundings.paths.callback_socket.clone(), PathBuf::from);
    // Nobody would hear of a drop that akkd has to set aside: what is no report is left to akkd's own words.
    let folder = drop_folder(args.drop_dir).filter(|_| kind.is_some_and(MessageType::goes_to_orchestrator));
    let door = Door { socket, folder };
    let sent = send(&door, params).map_err(for_an_agent)?;
    let kind = kind.map_or("report", MessageType::as_str);
    match sent {
        Sent::Recorded(answer) => context.show::<ReportAnswer>(&answer, |a, _| output::reported(a, kind))?,
        Sent::Left(left) if context.json => {
            output::print(&format!("{}\n", json!({ "left": left.file, "in_memory": left.in_memory })))?;
        }
        Sent::Left(left) => output::print(&output::left(kind, left.in_memory))?,
    }
    Ok(exit::OK)
}

fn for_an_agent(e: Error) -> Error {
    let hint = match &e {
        // akkd's own words are written for an agent; a wrong size has its own advice.
        Error::Refused(_) | Error::TooLarge { .. } => return e,
        Error::NotLeft { .. } => {
            "use your reporting tools of akk (report_done, ask_question, report_blocked, report_error), or end your turn with the report as your final text"
        }
        Error::Connect { .. } => {
            "use your reporting tools of akk if you have them, or allow connections to this socket in your sandbox and run the same command again, or end your turn with the report as your final text"
        }
        Error::NotRunning(_) | Error::Broken { .. } | Error::Silent { .. } => {
            "run the same command once more; if it fails again, end your turn with the report as your final text"
        }
        _ => FALL_BACK,
    };
    Error::Report { cause: Box::new(e), hint }
}

fn conversation(given: Option<ConversationId>) -> Result<ConversationId> {
    if let Some(id) = given {
        return Ok(id);
    }
    let hint = "run this inside a turn, where akkd sets AKK_CONVERSATION, or give --conversation ID";
    let id = set(environment::CONVERSATION).ok_or_else(|| Error::usage("no conversation is named", hint))?;
    ConversationId::parse(id.to_string_lossy())
        .map_err(|e| Error::usage(format!("AKK_CONVERSATION is wrong: {e}"), hint))
}

fn ticket(file: Option<&Path>) -> Result<String> {
    let hint = "run this inside a turn, where akkd sets AKK_TICKET, or give --ticket-file FILE";
    let ticket = match file {
        Some(file) => Source::File(file).read("the ticket", MAX_TICKET)?,
        None => set(environment::TICKET)
            .ok_or_else(|| Error::usage("there is no ticket", hint))?
            .into_string()
            .map_err(|_| Error::usage("AKK_TICKET is not text", hint))?,
    };
    Ok(ticket.trim().to_owned())
}

fn report(text: Option<String>, file: Option<&Path>) -> Result<String> {
    let source = match (text, file) {
        (Some(text), _) => Source::of_argument(text),
        (None, Some(file)) => Source::File(file),
        // An agent in a pseudo-terminal would wait for ever for somebody to type.
        (None, None) if io::stdin().is_terminal() => {
            return Err(Error::usage(
                "there is no report",
                "give one JSON object as argument, such as '{\"type\":\"done\",\"body\":\"…\"}', or --message-file FILE",
            ));
        }
        (None, None) => Source::Stdin,
    };
    source.read("the report", MAX_CALLBACK_MESSAGE_BYTES)
}

/// The type that the report seems to have. akkd decides; this is only for the line that the agent reads.
fn report_type(text: &str) -> Option<MessageType> {
    if let Ok(report) = serde_json::from_str::<Value>(text.trim()) {
        return MessageType::parse(report.get("type")?.as_str()?);
    }
    // JSON with text around it: the first `"type": "…"`.
    let (_, rest) = text.split_once("\"type\"")?;
    let value = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    MessageType::parse(value.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_found_in_json_and_in_text_with_json_in_it() {
        assert_eq!(report_type(r#"{"type":"done","body":"\"type\":\"error\""}"#), Some(MessageType::Done));
        assert_eq!(report_type("Here:\n```json\n{ \"type\" : \"blocked\" }\n```"), Some(MessageType::Blocked));
        for none in ["done", "{}", r#"{"type":3}"#, r#"{"type":"nonsense"}"#, "\"type\"", "x \"type\":", ""] {
            assert_eq!(report_type(none), None, "{none}");
        }
    }
}
