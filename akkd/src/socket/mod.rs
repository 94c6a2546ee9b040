//! The two sockets: newline-delimited JSON-RPC 2.0 over Unix streams, on top of jsonrpsee's method tables.
//!
//! One line is one message. `"params": {…}` is the one parameter of a method; the generated tables take positional
//! parameters, so it is wrapped before it is dispatched. Whatever a peer can make grow has a bound in [`Limits`];
//! past it that peer gets a clear error and nobody else notices:
//!
//! * A line is read only when a slot for its call is free, and only while answers are taken, so a flood stops in the
//!   peer's own socket buffer.
//! * Answers and events share one budget of bytes per connection. A subscriber that reads slowly holds up its own
//!   subscription's queue; [`jsonrpsee::SubscriptionSink::send_timeout`] tells its handler so.
//! * A peer that takes nothing for a while, or does not finish a line, is cut off.
//!
//! A handler is dropped when its peer is gone, and must be safe to drop: it hands a command on and waits for the
//! answer. It finds its [`Peer`] in the call's [`jsonrpsee::Extensions`].

mod audit;
mod dispatch;
mod failure;
mod hangup;
mod limits;
mod lines;
mod listen;
mod ndjson;
mod outgoing;
mod peer;
mod request;
pub mod rpc;
#[cfg(test)]
mod tests;

pub use audit::Audit;
pub use limits::Limits;
pub use listen::serve;
pub use peer::Peer;
