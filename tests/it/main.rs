//! The end-to-end stories: akkd, akkctl and agents as real processes.

#![expect(clippy::unwrap_used, reason = "a story fails loudly")]

mod bad_input;
mod budget;
mod callback;
mod cancel;
mod crowd;
mod delegate;
mod delivery;
mod demo;
mod discovery;
mod layout;
mod operations;
mod private;
mod real_acpx;
mod recovery;
mod restart;
mod supervision;
