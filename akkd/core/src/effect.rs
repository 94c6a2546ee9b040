//! Work for the outside, asked for by an event.

use akk_proto::delivery::{DeliveryBody, SinkKind};
use akk_proto::event::PromptKind;
use akk_proto::{MessageId, TurnId};

/// Work for the outside. `StartTurn` is carried out once at most per turn; the others may be repeated.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Hand a prompt to the agent. Once: after a crash the executor finds out how far it came.
    StartTurn(StartTurn),
    /// Stop the open turn: the protocol's cancel, then SIGTERM, then SIGKILL.
    CancelTurn {
        /// The turn.
        turn_id: TurnId,
    },
    /// Let every agent process of the conversation go.
    ReleaseAgent {
        /// Why, for the record.
        reason: String,
    },
    /// Revoke every ticket of the conversation. Part of the transaction.
    RevokeTickets,
    /// Queue a delivery to the orchestrator. Part of the transaction.
    Deliver {
        /// The sink that was fixed when the conversation began.
        sink: SinkKind,
        /// What it carries.
        body: Box<DeliveryBody>,
    },
}

/// A prompt to hand over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartTurn {
    /// The turn.
    pub turn_id: TurnId,
    /// What it holds besides the message.
    pub prompt: PromptKind,
    /// The message.
    pub message_id: MessageId,
    /// Control messages that go with it.
    pub controls: Vec<MessageId>,
}
