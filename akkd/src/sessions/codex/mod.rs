//! Codex: what lies in a Codex home, and which process works on it. Facts are of codex 0.169; other versions degrade
//! to what can be read.

pub mod context;
pub mod home;
pub mod resume;
pub mod rollout;
pub mod source;
#[cfg(test)]
mod testing;
pub mod threads;
