//! What an agent says, line by line: a pure reader of the JSON-RPC that comes from an agent's stdout or from
//! `acpx --format json`, and of the events of `codex exec --json`.
//!
//! No input or output happens here. The reader's state can be stored at any line and gone on with after a restart,
//! and it stays small whatever the agent writes.

mod codex_exec;
mod raw;
mod reader;
mod refusal;
mod requests;
mod seen;
mod tools;
mod turn;
mod watched;
mod wire;

#[cfg(test)]
mod tests;

pub use codex_exec::{CODEX_THREAD, CODEX_TURN};
pub use reader::{ACPX_RECORD, CUT, MAX_LINE_BYTES, StreamReader};
pub use refusal::{Refusal, refusal_in_error, refusal_in_text};
pub use seen::{RpcError, Seen, Source};
