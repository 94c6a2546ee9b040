//! Drops: what agents left in the folder of their conversation, because they could not reach the socket.
//!
//! Everything in such a folder is written by others. A name is looked at only through the folder that was opened before,
//! nothing is followed, nothing waited for, and what is no drop is set aside with the reason, never removed.

mod folder;
mod places;
mod take;
mod watch;

pub use places::DropFolders;
pub(super) use take::Lanes;
