//! The reporting tools over MCP. The only part of akkctl with an async runtime; what talks to akkd blocks, as everywhere.

use super::question::{LetGo, Outcome, Question};
use super::send::{Door, Sent, send};
use super::tools::{self, Said};
use crate::error::{Error, Result};
use crate::output;
use akk_proto::api::{ReportAnswer, ReportParams};
use akk_proto::limits::{MAX_ANSWER_WAIT_MS, MAX_CALLBACK_MESSAGE_BYTES};
use akk_proto::message::{Message, MessageType};
use akk_proto::version::VERSION;
use akk_proto::{ConversationId, TurnId};
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestMethod, CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::{RequestContext, RoleServer, serve_server};
use rmcp::{ErrorData, transport};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the agent's client is told about these tools as a whole.
const INSTRUCTIONS: &str = "Report to the orchestrator of your task with these tools. Name the turn that your prompt \
                            names. A tool returns when the message is safely recorded.";

/// Longest ticket, in bytes.
const MAX_TICKET: u64 = 4096;

/// For whom tools are served.
#[derive(Debug)]
pub(crate) struct Reporter {
    /// The conversation.
    pub(crate) conversation_id: ConversationId,
    /// The file with the ticket, read for each call: it is gone when the agent's launch is.
    pub(crate) ticket_file: PathBuf,
    /// The turn of reports that name none.
    pub(crate) turn: Option<TurnId>,
    /// Where reports go.
    pub(crate) door: Door,
}

/// Serves the tools on standard input and output until the client leaves.
///
/// # Errors
/// The runtime cannot be made, or the client does not speak MCP.
pub(crate) fn serve(reporter: Reporter) -> Result<()> {
    let failed = |what: &str, e: &dyn std::fmt::Display| Error::Program {
        message: format!("the reporting tools cannot be served: {what}: {e}"),
        hint: "an agent starts this by itself, with MCP on standard input and output".to_owned(),
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| failed("no runtime", &e))?;
    let served = runtime.block_on(async {
        let service = serve_server(Tools(Arc::new(reporter)), transport::stdio()).await;
        let service = service.map_err(|e| failed("no client", &e))?;
        service.waiting().await.map(drop).map_err(|e| failed("it broke off", &e))
    });
    // A thread that reads standard input, or a wait for an answer, is not waited for: nobody is there any more.
    runtime.shutdown_background();
    served
}

struct Tools(Arc<Reporter>);

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("akk", VERSION).with_title("Agent Knock Knock"))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::listed()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let begun = Instant::now();
        let said = match tools::read(&request.name, request.arguments.unwrap_or_default()) {
            Some(Ok(said)) => said,
            Some(Err(why)) => return Ok(CallToolResult::error(vec![ContentBlock::text(why)]).into()),
            None => return Err(ErrorData::method_not_found::<CallToolRequestMethod>()),
        };
        let (reporter, let_go) = (Arc::clone(&self.0), Arc::new(LetGo::default()));
        let waiting = Arc::clone(&let_go);
        let work = tokio::task::spawn_blocking(move || reporter.report(said, begun, &waiting));
        let done = tokio::select! {
            done = work => done,
            () = context.ct.cancelled() => {
                // What was said stays said; only the wait for an answer ends.
                let_go.let_go();
                return Err(ErrorData::internal_error("the call was cancelled", None));
            }
        };
        let result = match done {
            Ok(Ok(text)) => CallToolResult::success(vec![ContentBlock::text(text)]),
            Ok(Err(error)) => CallToolResult::error(vec![ContentBlock::text(refused(&error))]),
            Err(error) => return Err(ErrorData::internal_error(error.to_string(), None)),
        };
        Ok(result.into())
    }
}

impl Reporter {
    /// Reports, and waits for the answer to a question. Gives what the agent is to read.
    fn report(&self, said: Said, begun: Instant, let_go: &LetGo) -> Result<String> {
        let Said { kind, turn, message } = said;
        if message.len() > MAX_CALLBACK_MESSAGE_BYTES {
            return Err(Error::TooLarge { what: "the report", limit: MAX_CALLBACK_MESSAGE_BYTES });
        }
        let ticket = self.ticket()?;
        let params = ReportParams {
            conversation_id: self.conversation_id.clone(),
            ticket: ticket.clone(),
            turn_id: turn.or_else(|| self.turn.clone()),
            attempt_id: None,
            message,
            waits: kind == MessageType::Question,
        };
        let answer: ReportAnswer = match send(&self.door, params)? {
            Sent::Recorded(answer) => answer.read()?,
            Sent::Left(left) => {
                let rest = if kind == MessageType::Question { END_YOUR_TURN } else { "" };
                return Ok(format!("{}{rest}", output::left(kind.as_str(), left.in_memory)));
            }
        };
        let recorded = output::reported(&answer, kind.as_str());
        if kind != MessageType::Question || answer.late {
            return Ok(recorded);
        }
        let question = Question {
            door: &self.door,
            conversation_id: &self.conversation_id,
            ticket: &ticket,
            message_id: &answer.message_id,
        };
        Ok(match question.wait(begun + Duration::from_millis(MAX_ANSWER_WAIT_MS), let_go) {
            Ok(Outcome::Answered(answer)) => told(&answer),
            Ok(Outcome::NothingYet) => format!("{recorded}No answer yet. {END_YOUR_TURN}"),
            Ok(Outcome::Over) => format!("{recorded}{END_YOUR_TURN}"),
            // The question is recorded: the answer reaches the agent as its next message.
            Err(error) => format!("{recorded}The answer could not be waited for: {error}. {END_YOUR_TURN}"),
        })
    }

    fn ticket(&self) -> Result<String> {
        use io::Read as _;
        let mut ticket = String::new();
        let read = std::fs::File::open(&self.ticket_file).and_then(|f| f.take(MAX_TICKET).read_to_string(&mut ticket));
        read.map_err(|e| Error::file("read", &self.ticket_file, e))?;
        Ok(ticket.trim().to_owned())
    }
}

const END_YOUR_TURN: &str = "End your turn now: the answer comes as your next message.\n";

/// A message of the orchestrator, told inside the turn.
fn told(message: &Message) -> String {
    let Message { kind, body, .. } = message;
    format!(
        "The orchestrator says ({kind}):\n\n{body}\n\nThat is the answer to your question: go on with your work in this turn.\n"
    )
}

/// An error, for a language model.
fn refused(error: &Error) -> String {
    let hint = match error {
        Error::Refused(_) | Error::TooLarge { .. } => error.hint(),
        _ => "Call the tool once more; if it fails again, end your turn with the report as your final text.".to_owned(),
    };
    format!("The report was not recorded: {error}\n{hint}")
}
