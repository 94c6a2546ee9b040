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
