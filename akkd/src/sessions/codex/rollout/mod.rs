//! Rollouts: the append-only records of a thread, a JSON object per line, gigabytes of them at times. Read in blocks
//! from where the answer lies; never as a whole, never written.

mod compressed;
mod files;
mod head;
mod lines;
mod mark;
mod record;
mod rights;
mod scan;
mod tail;
#[cfg(test)]
mod tests;

pub use files::{RolloutFile, find, list, thread_id_of};
pub use head::{Head, HistoryBase, head};
pub use mark::TurnSettings;
pub use rights::{Rights, Sandbox, Workspace};
pub use scan::{LiveEvent, Scan, scan_from};
pub use tail::{Tail, TurnState, tail};

pub(super) use compressed::{is_compressed, open, stream};
pub(super) use lines::{Backward, Forward, Line};
pub(super) use record::{Record, plain_text};
