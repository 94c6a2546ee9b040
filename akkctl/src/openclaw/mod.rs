//! OpenClaw on this machine: the plugin that akkctl carries, where it is kept, and OpenClaw's own command line, which
//! links and configures it.
//!
//! Nothing here reads or writes OpenClaw's files: its command line does, and it hides secrets when it prints settings.

mod call;
mod folder;
mod program;
mod record;
mod settings;
mod tools;

pub(crate) use folder::{Folder, Kept, is_a_copy};
pub(crate) use program::{Changed, Health, Look, OpenClaw, Places};
pub(crate) use record::{Installation, Record};
pub(crate) use settings::{ID, Plugins, Wanted, changes};
pub(crate) use tools::{Hidden, Tools};
