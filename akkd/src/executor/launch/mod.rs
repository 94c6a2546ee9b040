//! One start of an agent process: its folder, its process, its streams.

pub(super) mod facts;
pub(super) mod folder;
pub(super) mod hints;
pub(super) mod offer;
pub(super) mod output;
pub(super) mod process;
pub(super) mod running;
pub(super) mod spawn;
pub(super) mod stdin;
