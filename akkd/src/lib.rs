//! akkd, the daemon of Agent Knock Knock.

pub mod clock;
pub mod config;
pub mod executor;
pub mod logging;
pub mod store;
