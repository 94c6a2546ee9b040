//! Who may report, and what becomes of a report on whatever way it came.

use super::answers::Waits;
use super::drops::{DropFolders, Lanes};
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
    pub(super) store: Store,
    pub(super) conversations: Conversations,
    pub(super) folders: DropFolders,
    pub(super) lanes: Lanes,
    /// Who waits for an answer.
    pub(super) waits: Waits,
}

/// What a ticket proves.
pub(super) enum Ticket {
    /// It belongs to an agent of this conversation.
    Valid,
    /// It did, until it was revoked.
    Revoked,
}

impl Intake {
    /// An intake for these conversations.
    pub fn new(store: Store, conversations: Conversations, folders: DropFolders) -> Self {
        Self { store, conversations, folders, lanes: Lanes::default(), waits: Waits::default() }
    }

    /// Who waits for an answer.
    pub fn waits(&self) -> Waits {
        self.waits.clone()
    }

    /// Records a report that came over the socket, behind what its conversation had left before. When it answers, the
    /// message is durable.
    ///
    /// # Errors
    /// `ticket_refused`, `invalid_message`, `invalid_route`, `too_large`, `conversation_closed` (recorded as late),
    /// `storage`.
    pub async fn report(&self, params: ReportParams) -> Result<ReportAnswer, Failure> {
        // Only for who may report: a stranger makes no work.
        self.check_ticket(&params.conversation_id, &params.ticket).await?;
        self.take_drops(&params.conversation_id).await;
        if params.waits {
            // Before anybody hears of the question, and answers it.
            self.waits.expect(&params.conversation_id);
        }
        self.record(params).await
    }

    /// Records a report, on whatever way it came.
    ///
    /// # Errors
    /// As [`Self::report`].
    pub(super) async fn record(&self, params: ReportParams) -> Result<ReportAnswer, Failure> {
        let id = &params.conversation_id;
        let (hashes, undelivered) = self.store.before_a_report(id).await?;
        let ticket = self.judge_ticket(id, &params.ticket, hashes).await?;
        if matches!(ticket, Ticket::Revoked) && !self.conversations.state(id).await?.phase.is_terminal() {
            return Err(refused("the ticket of this agent was revoked: another agent session works on the task now"));
        }
        let report = intake::read(&params.message)?;
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

    pub(super) async fn check_ticket(&self, id: &ConversationId, ticket: &str) -> Result<Ticket, Failure> {
        let hashes = self.store.ticket_hashes(id).await?;
        self.judge_ticket(id, ticket, hashes).await
    }

    async fn judge_ticket(&self, id: &ConversationId, ticket: &str, hashes: TicketHashes) -> Result<Ticket, Failure> {
        let TicketHashes { valid, revoked } = hashes;
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
        "Report from inside the agent that akkd started, with its reporting tools or its own AKK_TICKET.",
    )
}
