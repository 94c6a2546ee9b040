//! Reports of agents: who may report, and the one intake for every way in: the socket, and drops.

mod answers;
mod drops;
mod intake;
#[cfg(test)]
mod tests;

pub use answers::Waits;
pub use drops::DropFolders;
pub use intake::Intake;
