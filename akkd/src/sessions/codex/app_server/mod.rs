//! A client of a Codex app-server daemon: WebSocket over its Unix control socket, JSON objects without the member
//! `jsonrpc`. Facts are of codex 0.169.0 and were observed there.
//!
//! What stands here connects, greets and reads. What changes a session goes through [`AppServer::call`] and is the
//! executor's alone.

mod client;
mod look;
mod message;
mod socket;
mod thread;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use client::{AppServer, Incoming};
pub use look::{DaemonThread, look_at_thread};
pub use message::{CallError, RpcError};
pub use socket::ConnectError;
pub use thread::{Thread, ThreadState, Turn, TurnState};

use std::path::PathBuf;

/// A daemon that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    /// Its version, such as `0.169.0`, where its user agent tells it.
    pub version: Option<String>,
    /// Its user agent, 200 characters at most.
    pub user_agent: String,
    /// The home that it works on, where it says it (0.169 does).
    pub home: Option<PathBuf>,
    /// Its process, where the system tells it. For a record, never for a signal.
    pub pid: Option<u32>,
}
