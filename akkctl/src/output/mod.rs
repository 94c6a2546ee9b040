//! What people see. Every view is a pure function from an answer of akkd and a [`View`] to text.

mod card;
mod daemon;
mod deliveries;
mod history;
mod list;
mod log;
mod report;
mod search;
mod terminal;
mod text;
mod transcript;
mod when;
mod words;

#[cfg(test)]
pub(crate) mod samples;

pub(crate) use card::card;
pub(crate) use daemon::daemon;
pub(crate) use deliveries::{deliveries, delivery};
pub(crate) use history::{event_line, progress_line, trace};
pub(crate) use list::list;
pub(crate) use log::log_line;
pub(crate) use report::{cancelled, delegated, deleted, error, reported, result, sent, waited};
pub(crate) use search::search;
pub(crate) use terminal::{BOLD, BUSY, DIM, View, WARN, print, tell};
pub(crate) use text::{one_line, short};
pub(crate) use transcript::Transcript;
