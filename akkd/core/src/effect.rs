//! Work for the outside, asked for by an event.

use akk_proto::delivery::{DeliveryBody, SinkKind};
use akk_proto::event::PromptKind;
use akk_proto::{LaunchId, MessageId, TurnId};
use serde_json::Value;

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
    /// Tell the agent what became of a permission request. For the process that asked only; repeated after a crash,
    /// where the agent has forgotten a request that it has an answer to.
    AnswerPermission {
        /// The start that the request came from.
        launch_id: LaunchId,
        /// The agent's id of the request.
        request: Value,
        /// The agent's name of the chosen option; none where nobody chose.
        option: Option<String>,
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
