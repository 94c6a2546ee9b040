//! A real OpenClaw gateway, offline: its model and its chat are scripted servers on loopback.

mod chat;
mod gateway;
mod mind;
mod sharing;
mod together;
mod ws;

pub use chat::{Chat, Line, Room, Speaker};
pub use gateway::{Gateway, Setup};
pub use mind::{Asked, Mind, Reply, Report};
pub use sharing::{alone, calm, restless};
pub use together::Together;
pub use ws::Ws;

use crate::wait::wait_within;
use std::time::Duration;

/// How long a story waits for what OpenClaw does: a turn takes 0.3 s on a machine that has nothing else to do, and a
/// hundred times that on one that is busy.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// Waits for something that OpenClaw does. `what` is told when it never does.
///
/// # Panics
/// After [`PATIENCE`].
pub async fn wait_for<T>(what: &str, condition: impl AsyncFnMut() -> Option<T>) -> T {
    wait_within(PATIENCE, what, condition).await
}
