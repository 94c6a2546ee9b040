//! akkd dies at every point that a crash can part, with every kind of agent, and nothing is lost or done twice.
//!
//! `AKK_FAULTS=all` walks every point on every way; without it the slow peers are walked at their critical points only.

#![expect(clippy::unwrap_used, reason = "a story fails loudly")]

mod history;
mod scenario;
mod sinks;
mod soak;
mod table;
mod upgrade;
mod walk;
