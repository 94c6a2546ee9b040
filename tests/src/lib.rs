//! What the end-to-end stories stand on: akkd as a process on a home of its own, akkctl, the scriptable agent, and
//! the real peers.
//!
//! Everything that a [`Daemon`] started is gone when it is dropped, and a story fails that leaves a process behind.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a fixture that cannot do its work fails the story, always by a panic"
)]

pub mod agent;
pub mod binaries;
pub mod codex;
pub mod ctl;
pub mod daemon;
pub mod home;
mod http;
pub mod leash;
pub mod model;
pub mod native;
pub mod openclaw;
pub mod peers;
pub mod processes;
pub mod raw;
pub mod refusal;
mod replay;
pub mod soak;
pub mod terminal;
pub mod user;
pub mod wait;

pub use agent::AgentLog;
pub use codex::Codex;
pub use ctl::{CtlOutput, strs};
pub use daemon::{Daemon, Plan};
pub use home::Home;
pub use native::Native;
pub use refusal::Refusal;
pub use user::User;
pub use wait::{wait_for, wait_within};
