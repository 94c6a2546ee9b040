//! Codex: what lies in a Codex home, and which process works on it. Facts are of codex 0.169; other versions degrade
//! to what can be read.

pub mod context;
mod gather;
pub mod holders;
pub mod home;
mod index;
mod known;
pub mod locks;
mod places;
pub mod processes;
pub mod resume;
mod roles;
pub mod rollout;
pub mod source;
mod survey;
pub mod threads;
mod watch;

/// The provider's name: the agent's kind.
pub const AGENT: &str = "codex";
