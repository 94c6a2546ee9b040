//! The Agent Client Protocol, spoken to an agent directly.

mod permission;
pub(super) mod verdict;
mod wire;
