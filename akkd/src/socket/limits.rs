//! The bounds of a socket and of each of its connections.

use akk_proto::limits::{MAX_CALLBACK_REQUEST_BYTES, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES};
use std::time::Duration;

/// The bounds of a socket and of each of its connections.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at a time; further ones get an error and are closed.
    pub max_connections: usize,
    /// Longest line that is read, in bytes without its newline.
    pub max_request: usize,
    /// Longest line that is sent, in bytes without its newline.
    pub max_response: usize,
    /// Calls of one connection at a time; further lines stay unread.
    pub max_in_flight: usize,
    /// Bytes of the requests of one connection at a time; at least `max_request`.
    pub max_in_flight_bytes: usize,
    /// Bytes of one connection that may wait to be written; a longer message goes alone.
    pub max_outgoing_bytes: usize,
    /// Subscriptions of one connection at a time.
    pub max_subscriptions: usize,
    /// Messages of one subscription that may wait.
    pub subscription_queue: usize,
    /// Entries of one batch.
    pub max_batch: usize,
    /// A begun line must end within this time.
    pub read_timeout: Duration,
    /// A peer that takes no byte of what is written to it for this long is cut off.
    pub write_timeout: Duration,
    /// How long calls in flight may go on when akkd stops.
    pub finish: Duration,
}

impl Limits {
    /// The control socket: a few clients of the user, each with large prompts and histories.
    pub fn control() -> Self {
        Self {
            max_connections: 1024,
            max_request: MAX_REQUEST_BYTES,
            max_response: MAX_RESPONSE_BYTES,
            max_in_flight: 64,
            max_in_flight_bytes: 2 * MAX_REQUEST_BYTES,
            max_outgoing_bytes: 4 << 20,
            max_subscriptions: 16,
            subscription_queue: 16,
            max_batch: 64,
            read_timeout: Duration::from_mins(1),
            write_timeout: Duration::from_secs(30),
            finish: Duration::from_secs(3),
        }
    }

    /// The callback socket: many agents, each with one small report at a time.
    pub fn callback() -> Self {
        Self {
            max_connections: 256,
            max_request: MAX_CALLBACK_REQUEST_BYTES,
            max_response: 64 << 10,
            max_in_flight: 8,
            max_in_flight_bytes: 2 * MAX_CALLBACK_REQUEST_BYTES,
            max_outgoing_bytes: 256 << 10,
            max_subscriptions: 0,
            subscription_queue: 1,
            max_batch: 8,
            ..Self::control()
        }
    }
}
