//! Deliveries: a life of their own, from the outbox row that core asked for to the sink's acknowledgement.
//!
//! Per conversation in order, different conversations beside each other; to one session of OpenClaw one at a time. A
//! row ends only when its sink acknowledged it, or a person did; until then it is tried again for ever, 1 s … 5 min
//! apart, with jitter. What was refused for good, or cannot be known, waits for a person and lets the others go.
//!
//! [`Deliveries`] is the desk: what sinks and people say of a row is written down there, and why one waits is told.
//! [`Plugins`] is the switchboard: who takes deliveries for OpenClaw right now. [`Runner`] brings the two together.

mod command;
mod deliveries;
mod overdue;
mod plugin;
mod plugins;
mod runner;
mod sink;
#[cfg(test)]
mod tests;
mod waits;

pub use deliveries::Deliveries;
pub use plugins::{MAX_SUBSCRIBERS, Plugins, Probed, Subscription};
pub use runner::{Runner, back_off};
