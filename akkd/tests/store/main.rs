//! Stories of the store, told through its interface. Where a disk must be damaged, another connection does it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "a test that plays a part in a process of its own says how it goes")]

mod auditing;
mod commits;
mod crashes;
mod damage;
mod deleting;
mod launches;
mod opening;
mod outbox;
mod outbox_plugin;
mod plans;
mod reading;
mod samples;
mod searching;
