//! What is on the wire between akkd and its clients.
//!
//! Newline-delimited JSON-RPC 2.0 over Unix sockets: one message a line, UTF-8, names in `snake_case`, times as
//! RFC 3339 UTC with milliseconds, ids as strings. Every method takes **one** parameter object, sent either by name
//! (`"params": {"request": "…"}`) or as the only element of an array (`"params": [{"request": "…"}]`).
//!
//! This crate does no input or output, unless the feature `client` is on (the transport of the async client).

pub mod api;
pub mod audit;
#[cfg(feature = "client")]
pub mod client;
pub mod conversation;
pub mod delivery;
pub mod drops;
pub mod error;
pub mod event;
pub mod ids;
pub mod import;
pub mod limits;
pub mod message;
pub mod paths;
pub mod permission;
#[cfg(feature = "schema")]
pub mod schema;
pub mod session;
pub mod time;
pub mod version;

pub use ids::{ConversationId, DeliveryId, LaunchId, MessageId, RequestId, TurnId};
pub use time::Timestamp;
