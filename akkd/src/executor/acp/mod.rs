//! The Agent Client Protocol, spoken to an agent directly.

mod permission;
mod verdict;
mod wire;
