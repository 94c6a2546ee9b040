//! The app-server protocol: a turn in a session that lives in the user's own Codex daemon, beside the user's terminal.
//!
//! The daemon and everything in it is the user's: nothing here starts, signals or ends a process, and a turn of the
//! user is never written into. `turn/start` would do just that when a turn runs (observed on codex 0.169.0: the text
//! is added to the running turn), and asking before it leaves a gap. So a prompt goes through the thread's queue, from
//! which Codex makes a turn of its own or none; see [`hand_over`].
//!
//! A prompt carries an id (`clientUserMessageId`) that Codex keeps with the user's message for ever. By it the turn is
//! found again after a crash, by asking the daemon. There is no process of ours, so no launch is recorded.

mod end;
mod follow;
mod hand_over;
mod link;
mod permission;
mod stream;
mod turn;
mod verdict;
mod visit;

#[cfg(test)]
mod tests;
