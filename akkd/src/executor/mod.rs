//! Executors: the processes of coding agents, how they are started, spoken to, stopped, and found again.

mod acp;
mod acpx;
mod app_server;
mod codex;
mod context;
mod durable;
mod launch;
mod ledger;
pub mod model;
mod order;
mod seat;
mod shared;
pub mod stream;
mod supervisor;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use context::{AgentEnvironment, Context, PromptError, PromptSource, ReportError, ReportSink, Timings};
pub use ledger::{LaunchLedger, LedgerError, LedgerFuture};
pub use order::{PermissionAnswer, RecoveredTurn, TurnOrder};
pub use supervisor::Executors;
