//! The store of the predecessor (Agent Knock Knock 0.1 and 0.2, in TypeScript): read, never written.
//!
//! ```text
//! ~/.agent-knock-knock/conversations/<id>/state.json      the conversation as it stands
//!                                         events.ndjson   what happened, one JSON object a line
//! ```
//!
//! Format read from its source, tags v0.1.0 to v0.2.0: `src/protocol.ts`, `src/store.ts`, `src/cli.ts`.

mod events;
mod state;
mod store;

pub(crate) use store::{Found, Store};
