//! Reports of agents: who may report, and the one intake for every way in.

use crate::conversation::{Conversations, not_found};
use crate::store::{Store, TicketHashes};
use akk_core::decide::{Input, Report};
use akk_core::intake;
use akk_proto::ConversationId;
use akk_proto::api::{ReportAnswer, ReportParams};
use akk_proto::error::{ErrorKind, Failure};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Takes reports in.
#[derive(Clone)]
pub struct Intake {
    store: Store,
    conversations: Conversations,
}

/// What a ticket proves.
enum Ticket {
    /// It belongs to an agent of this conversation.
    Valid,
    /// It did, until it was revoked.
    Revoked,
}

impl Intake {
    /// An intake for these conversations.
    pub fn new(store: Store, conversations: Conversations) -> Self {
        Self { store, conversations }
    }

    /// Records a report. When it answers, the message is durable.
    ///
    /// # Errors
    /// `ticket_refused`, `invalid_message`, `invalid_route`, `too_large`, `conversation_closed` (recorded as late),
    /// `storage`.
    pub async fn report(&self, params: ReportParams) -> Result<ReportAnswer, Failure> {
        let id = &params.conversation_id;
        let ticket = self.check_ticket(id, &params.ticket).await?;
        let state = self.conversations.state(id).await?;
        if matches!(ticket, Ticket::Revoked) && !state.phase.is_terminal() {
            return Err(refused("the ticket of this agent was revoked: another agent session works on the task now"));
        }
        let report = intake::read(&params.message)?;
        let undelivered = self.store.undelivered(id, false).await?;
        let input = Input::Report(Box::new(Report {
            report,
            turn_id: params.turn_id,
            attempt_id: params.attempt_id.map(|a| a.as_str().to_owned()),
            undelivered,
        }));
        let answer = self.conversations.ask(id, input, None).await?;
        if answer.said.was_closed && !answer.said.duplicate {
            return Err(Failure::new(
                ErrorKind::ConversationClosed,
                format!("the conversation is {}; the report was recorded as late", answer.state.status()),
                "Stop working on this task.",
            ));
        }
        let Some(message_id) = answer.said.message_id else {
            return Err(Failure::new(ErrorKind::Internal, "the report left no message", "Report it again."));
        };
        Ok(ReportAnswer {
            message_id,
            duplicate: answer.said.duplicate,
            late: answer.said.late,
            status: answer.state.status(),
            budget_level: answer.state.budget_level(),
        })
    }

    async fn check_ticket(&self, id: &ConversationId, ticket: &str) -> Result<Ticket, Failure> {
        let TicketHashes { valid, revoked } = self.store.ticket_hashes(id).await?;
        if valid.is_empty() && revoked.is_empty() && self.store.load(id).await?.is_none() {
            return Err(not_found(id));
        }
        let hash = hex::encode(Sha256::digest(ticket.as_bytes()));
        let holds = |hashes: &[String]| {
            // Every hash is compared, each in constant time.
            hashes.iter().fold(false, |found, h| found | bool::from(h.as_bytes().ct_eq(hash.as_bytes())))
        };
        if holds(&valid) {
            Ok(Ticket::Valid)
        } else if holds(&revoked) {
            Ok(Ticket::Revoked)
        } else if ticket.is_empty() {
            Err(refused("there is no ticket"))
        } else {
            Err(refused("the ticket does not belong to this conversation"))
        }
    }
}

fn refused(message: &str) -> Failure {
    Failure::new(
        ErrorKind::TicketRefused,
        message,
        "Run the callback command inside the agent that akkd started, with AKK_TICKET from its environment.",
    )
}
