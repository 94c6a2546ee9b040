//! `akkctl top`: one live screen of all conversations.
//!
//! [`model`] is the state and what keys and news make of it; [`draw`] is a picture of that state; [`screen`] is the
//! only file that touches the terminal, the clock and akkd.

mod draw;
mod model;
mod screen;
#[cfg(test)]
mod tests;

pub(crate) use screen::run;
