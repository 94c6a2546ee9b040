//! The transport of native Codex sessions: one `codex exec … resume` per turn (0.169), with the prompt as a file on its
//! stdin and its events on stdout.
//!
//! The session, its directory, model and sandbox are looked up right before each start, and nothing is started while
//! another process has the session. Codex itself refuses then too (`already has an active writer`), before it takes the
//! prompt; older versions do not (0.60). It would take the caller's directory and the configuration's model and sandbox
//! for a session, so all three are given. Which session it opened is compared, since versions differ in what they do
//! with an id that they do not know: 0.60 begins a new session.

mod command;
mod target;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod turn;
mod verdict;
