//! Rollouts: the append-only records of a thread, a JSON object per line, gigabytes of them at times. Read in blocks
//! from where the answer lies; never as a whole, never written.

mod files;
mod head;
mod scan;
mod tail;

pub use files::{RolloutFile, find, list, thread_id_of};
pub use head::{Head, HistoryBase, head};
pub use scan::{LiveEvent, Scan, scan_from};
pub use tail::{Tail, TurnSettings, TurnState, tail};
