//! The way of a report from an agent to akkd: over the callback socket, else left in the drop folder.
//!
//! Nothing here ever starts akkd: inside a sandbox a daemon would see other processes, or die with the agent.

mod leave;
mod question;
mod send;
mod server;
mod tools;

pub(crate) use leave::drop_folder;
pub(crate) use send::{Door, Sent, send};
pub(crate) use server::{Reporter, serve};
