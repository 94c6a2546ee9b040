//! The life of the one akkd of a home: its folders, its lock, its sockets, the signals that end it, what systemd is
//! told.
//!
//! In order: [`refuse_inside_agent`], [`Activation::from_env`] (both before any thread exists), [`private_folders`],
//! [`Lock::acquire`]; the one that loses the lock answers an inherited socket with [`turn_away`] and leaves; the
//! winner goes on with [`bind`], [`Bound::keep`], [`Signals::listen`] and [`notify::ready`].
//!
//! Nothing here changes the process's umask: agents would inherit it. The 0700 folder protects what lies in it.

mod activation;
mod folders;
mod inside_agent;
mod listeners;
mod lock;
pub mod notify;
mod signals;

pub use activation::{Activation, turn_away};
pub use folders::{FolderError, private_folder, private_folders, runtime_dir_by_systemd};
pub use inside_agent::refuse_inside_agent;
pub use listeners::{BindError, Bound, Listeners, Socket, bind};
pub use lock::{Lock, LockError};
pub use signals::Signals;
