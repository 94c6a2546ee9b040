//! The end-to-end stories: akkd, akkctl and agents as real processes.

#![expect(clippy::unwrap_used, reason = "a story fails loudly")]

mod layout;
