//! akkd, the daemon of Agent Knock Knock: owns conversations with coding agents and the agents' processes.
//!
//! [`run()`] is the whole daemon, from the lock to the last answer. Which room may use which, and a message's way
//! through them, stand in `ARCHITECTURE.md`.

pub mod callback;
pub mod clock;
pub mod config;
pub mod conversation;
pub mod delivery;
pub mod doctor;
pub mod effects;
pub mod executor;
pub mod fault;
pub mod lifecycle;
pub mod logging;
pub mod platform;
pub mod run;
pub mod sessions;
pub mod socket;
pub mod store;
pub mod takeover;

pub use run::{Start, run};
