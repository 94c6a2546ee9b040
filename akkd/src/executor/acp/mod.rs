//! The Agent Client Protocol, spoken to an agent directly.

mod calls;
mod permission;
mod settings;
#[cfg(test)]
mod tests;
mod turn;
pub(super) mod verdict;
mod wire;
