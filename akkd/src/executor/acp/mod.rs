//! The Agent Client Protocol, spoken to an agent directly.

mod calls;
mod permission;
mod settings;
mod turn;
pub(super) mod verdict;
mod wire;
