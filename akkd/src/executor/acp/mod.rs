//! The Agent Client Protocol, spoken to an agent directly.

mod permission;
mod turn;
mod verdict;
mod wire;
