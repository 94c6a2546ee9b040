//! Stories of the watch.
