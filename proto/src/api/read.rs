//! Calls that read conversations and their histories.

use crate::conversation::{ConversationSummary, ConversationView, Need, Status, TurnResult};
use crate::delivery::DeliveryView;
use crate::event::EventRecord;
use crate::message::{Message, MessageType};
use crate::{ConversationId, MessageId, Timestamp, TurnId};
use serde::{Deserialize, Serialize};

/// Parameters of `conversation.list`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ListParams {
    /// Terminal ones too.
    pub all: bool,
    /// Only this agent kind or alias.
    pub agent: Option<String>,
    /// Only this status.
    pub status: Option<Status>,
    /// Only this workspace (absolute path).
    pub workspace: Option<String>,
    /// Rows in a page, 1 to 1,000; 100 by default.
    pub limit: Option<u32>,
    /// Where the former page ended.
    pub after: Option<String>,
}

/// Answer of `conversation.list`, newest activity first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListAnswer {
    /// The page.
    pub conversations: Vec<ConversationSummary>,
    /// How many fit in all.
    pub total: u64,
    /// What to give as `after` for the next page; none at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Answer of `conversation.get`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GetAnswer {
    /// The conversation.
    pub conversation: ConversationView,
    /// Its last ten events, oldest first.
    pub events: Vec<EventRecord>,
    /// What waits for the orchestrator, oldest first, 20 at most.
    pub deliveries: Vec<DeliveryView>,
}

/// Parameters of `conversation.transcript` and `conversation.trace`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct HistoryParams {
    /// An id, a unique prefix or suffix of one, or `@last`.
    pub conversation_id: String,
    /// Only events with a higher `seq`.
    pub after_seq: u64,
    /// Events in a page, 1 to 1,000; 1,000 by default. A page also ends at 8 MiB.
    pub limit: Option<u32>,
}

/// Answer of `conversation.transcript` and `conversation.trace`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HistoryAnswer {
    /// The conversation's full id.
    pub conversation_id: ConversationId,
    /// Oldest first.
    pub events: Vec<EventRecord>,
    /// What to give as `after_seq` for the next page; none at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_seq: Option<u64>,
    /// The newest cursor when this was read: where a subscription goes on.
    pub cursor: u64,
}

/// Parameters of `conversation.search`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct SearchParams {
    /// Words; all must occur.
    pub text: String,
    /// Hits at most, 1 to 1,000; 50 by default.
    pub limit: Option<u32>,
}

/// One hit of a search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SearchHit {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Its status now.
    pub status: Status,
    /// The message.
    pub message_id: MessageId,
    /// When it was recorded.
    pub ts: Timestamp,
    /// Who said it.
    pub from: String,
    /// What it was for.
    #[serde(rename = "type")]
    pub kind: MessageType,
    /// The words around the hit, 200 characters at most.
    pub snippet: String,
}

/// Answer of `conversation.search`, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SearchAnswer {
    /// The hits.
    pub hits: Vec<SearchHit>,
}

/// Parameters of `conversation.wait`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct WaitParams {
    /// An id, a unique prefix or suffix of one, or `@last`; left out with `any`.
    pub conversation_id: Option<String>,
    /// Any conversation, for what changes after the call, or after `since`.
    pub any: bool,
    /// With `any`: the `cursor` of the answer before, so that a loop misses nothing that happens between its calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Milliseconds, 0 to 3,600,000; 60,000 by default. At its end the answer says `timed_out`.
    pub timeout_ms: Option<u64>,
}

/// Answer of `conversation.wait`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WaitAnswer {
    /// What the conversation needs; none when the time was over.
    pub need: Option<Need>,
    /// Whether the time was over.
    pub timed_out: bool,
    /// The conversation; none only for `any` and `timed_out`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationView>,
    /// The agent's latest report, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
    /// With `any`: how far the events were looked at, for `since` of the next call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<u64>,
}

/// Parameters of `conversation.result`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ResultParams {
    /// An id, a unique prefix or suffix of one, or `@last`.
    pub conversation_id: String,
    /// Which turn; the last one by default.
    pub turn_id: Option<TurnId>,
}

/// Answer of `conversation.result`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResultAnswer {
    /// The conversation's full id.
    pub conversation_id: ConversationId,
    /// Its status.
    pub status: Status,
    /// What the turn came to.
    pub result: TurnResult,
}

/// Parameters of `events.subscribe`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct SubscribeParams {
    /// Only events with a higher cursor; from now on when left out.
    pub since: Option<u64>,
    /// Only this conversation.
    pub conversation_id: Option<String>,
    /// Only events with these names.
    pub kinds: Vec<String>,
}

/// What a subscription sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "item", rename_all = "snake_case")]
pub enum StreamItem {
    /// One event; cursors rise.
    Event(Box<EventRecord>),
    /// All events up to this cursor were sent; sent once, when the past has been told.
    Live {
        /// The newest cursor.
        cursor: u64,
    },
    /// Events between these cursors (both left out) are gone: their conversation was deleted.
    Gap {
        /// Where the subscription stood.
        from: u64,
        /// Where it goes on.
        to: u64,
    },
}
