//! The sockets.
pub mod rpc;
