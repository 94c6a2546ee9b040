//! Codex: what lies in a Codex home, and which process works on it. Facts are of codex 0.169; other versions degrade
//! to what can be read.

pub mod app_server;
mod capabilities;
pub mod context;
mod descent;
mod facts;
mod gather;
pub mod holders;
pub mod home;
#[cfg(test)]
mod house;
mod index;
mod known;
pub mod locks;
mod places;
pub mod processes;
mod provider;
#[cfg(test)]
mod provider_tests;
pub mod resume;
mod roles;
pub mod rollout;
pub mod source;
mod survey;
#[cfg(test)]
mod testing;
pub mod threads;
mod watch;

pub use provider::CodexSessions;

/// The provider's name: the agent's kind.
pub const AGENT: &str = "codex";
