//! The end-to-end stories: akkd, akkctl and agents as real processes.

mod layout;
