//! akkd, the daemon of Agent Knock Knock.

pub mod callback;
pub mod clock;
pub mod config;
pub mod conversation;
pub mod delivery;
pub mod executor;
pub mod logging;
pub mod platform;
pub mod socket;
pub mod store;
