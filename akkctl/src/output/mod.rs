//! What people see. Every view is a pure function from an answer of akkd and a [`View`] to text.

mod audit;
mod card;
mod daemon;
mod deliveries;
mod doctor;
mod history;
mod import;
mod list;
mod log;
mod native;
mod report;
mod search;
mod session_watch;
mod sessions;
mod takeover;
mod terminal;
pub(crate) mod text;
mod transcript;
mod when;
pub(crate) mod words;

#[cfg(test)]
pub(crate) mod samples;

pub(crate) use audit::audit;
pub(crate) use card::card;
pub(crate) use daemon::{daemon, service};
pub(crate) use deliveries::{deliveries, delivery};
pub(crate) use doctor::doctor;
pub(crate) use history::{event_line, progress_line, trace};
pub(crate) use import::{ImportOutcome, ImportReport, ImportedItem, imported};
pub(crate) use list::list;
pub(crate) use log::log_line;
pub(crate) use report::{
    cancelled, delegated, deleted, error, left, not_delivered, permitted, reported, result, sent, waited,
};
pub(crate) use search::search;
pub(crate) use session_watch::session_item;
pub(crate) use sessions::{active_sessions, capabilities, sessions};
pub(crate) use takeover::{as_typed, plan_to_confirm, takeover, takeover_plan, takeover_question};
pub(crate) use terminal::{BOLD, BUSY, DIM, View, WARN, print, tell};
pub(crate) use text::{one_line, short};
pub(crate) use transcript::Transcript;
