//! The store: SQLite in WAL mode, one writer thread with group commit, readers beside it.

use akk_core::{Conversation, Event};
use akk_proto::delivery::DeliveryBody;
use akk_proto::event::EventRecord;
use akk_proto::{ConversationId, LaunchId, MessageId, RequestId, Timestamp, TurnId};

/// One transaction's worth of change to one conversation.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Whose.
    pub conversation_id: ConversationId,
    /// The `seq` of the newest event that `state` was built on; 0 for a new conversation.
    pub base_seq: u64,
    /// New events, in order.
    pub events: Vec<Event>,
    /// The state after them.
    pub state: Conversation,
    /// Outbox rows: sink and body.
    pub deliveries: Vec<(String, DeliveryBody)>,
    /// Whether every ticket of the conversation is revoked.
    pub revoke_tickets: bool,
    /// How far an agent's output has been read when these events followed from it.
    pub checkpoint: Option<Checkpoint>,
    /// The repeat-safe call that this answers.
    pub request: Option<AnsweredRequest>,
}

/// How far an agent's output has been read, and what the reader must know to go on from there.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Whose output.
    pub launch_id: LaunchId,
    /// Bytes of stdout that need not be read again.
    pub offset: u64,
    /// The reader's own state at that offset.
    pub reader: serde_json::Value,
}

/// A repeat-safe call and what it led to.
#[derive(Debug, Clone, PartialEq)]
pub struct AnsweredRequest {
    /// The client's name for it.
    pub request_id: RequestId,
    /// The method, so that the same name for another call is refused.
    pub method: String,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The message that it recorded, if any.
    pub message_id: Option<MessageId>,
    /// The turn that it opened, if any.
    pub turn_id: Option<TurnId>,
}

/// What a commit became.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The events with their places in the history.
    pub events: Vec<std::sync::Arc<EventRecord>>,
    /// The new `base_seq`.
    pub seq: u64,
}

/// One start of an agent process. Precedes the spawn and ends when its process tree is proven gone.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchRow {
    /// Its id; also the name of its folder below the launches folder.
    pub launch_id: LaunchId,
    /// The conversation that it serves.
    pub conversation_id: ConversationId,
    /// The transport's wire name and further facts that its adoption needs, as the executor wrote them.
    pub facts: serde_json::Value,
    /// Where it stands.
    pub state: LaunchState,
    /// The identity of the process, once it is known, as the executor wrote it.
    pub identity: Option<serde_json::Value>,
    /// Hex digest of its ticket.
    pub ticket_hash: String,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Bytes of stdout that need not be read again.
    pub offset: u64,
    /// The reader's state at that offset; null at the beginning.
    pub reader: serde_json::Value,
}

/// Where a launch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaunchState {
    /// Recorded; the process may or may not exist.
    Starting,
    /// The process is known.
    Live,
    /// Its process tree is proven gone.
    Gone,
}

/// The fate of one prompt (crash-safety 1 and 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptRow {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The turn.
    pub turn_id: TurnId,
    /// From 1: how often this turn's prompt was begun. More than 1 only when an earlier one provably did not arrive.
    pub attempt: u32,
    /// The launch that it is written to.
    pub launch_id: LaunchId,
    /// How far it came.
    pub fate: PromptFate,
}

/// How far a prompt came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptFate {
    /// Recorded; at most all but its last two bytes are written.
    Accepted,
    /// The last two bytes may or may not be written: from here on it is never sent again by itself.
    Finishing,
    /// Written, whole.
    Written,
    /// Its answer, or its process's end, was seen.
    Ended,
}
