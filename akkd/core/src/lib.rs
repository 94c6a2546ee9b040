//! The pure heart of akkd: what happens to a conversation.
//!
//! [`decide`](decide::decide) turns what is asked of a conversation, or learned about it, into events and applies
//! them one by one; [`apply`](apply::apply) is the only way a conversation changes, for new events and for a replay
//! of old ones alike. Nothing here reads a clock, a file, the environment or the network: times and random ids come
//! in, work goes out as [`Effect`]s. The caller commits events, state and outbox rows in one transaction and only
//! then carries the other effects out.

pub mod apply;
pub mod budget;
pub mod conversation;
pub mod decide;
pub mod effect;
pub mod input;
pub mod intake;
mod notice;
pub mod permission;
pub mod prompt;
pub mod redact;
pub mod tell;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use conversation::Conversation;
pub use effect::{Effect, StartTurn};
pub use input::{Ended, ExecutorReport, How};

use akk_proto::event::EventBody;
use akk_proto::{Timestamp, TurnId};
use serde::{Deserialize, Serialize};

/// One entry of a conversation's history before it has its place in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When it is recorded.
    pub ts: Timestamp,
    /// The turn it belongs to, where there is one.
    pub turn_id: Option<TurnId>,
    /// What happened.
    pub body: EventBody,
}
