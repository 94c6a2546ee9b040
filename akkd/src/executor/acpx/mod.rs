//! The transport through the acpx command line (0.19).
//!
//! acpx runs one client process per prompt and one detached *queue owner* per session, which holds the agent. Killing
//! a client does not stop the agent: `cancel` and `sessions close` do, and what is left is ended by identity.

mod answer;
mod command;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod turn;
mod verdict;
