//! `akkctl top`: one live screen of all conversations.
//!
//! [`model`] is the state and what news make of it, [`keys`] what keys make of it; [`draw`] is a picture of that state,
//! put together from [`list`], [`detail`] and [`request`]. All of that is pure. [`screen`] alone touches the terminal
//! and the clock, [`calls`] alone speaks to akkd.

mod activity;
mod calls;
mod detail;
mod draw;
mod editor;
mod fold;
mod keys;
mod list;
mod model;
mod paint;
mod request;
mod screen;
#[cfg(test)]
mod tests;

pub(crate) use screen::run;
