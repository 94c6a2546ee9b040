//! akkd, the daemon of Agent Knock Knock.

pub mod config;
pub mod executor;
pub mod platform;
pub mod store;
