//! The Agent Client Protocol, spoken to an agent directly.

mod permission;
mod turn;
pub(super) mod verdict;
mod wire;
