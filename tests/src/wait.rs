//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// How long a story waits for something that should come soon. Generous: eight stories share two cores.
pub const PATIENCE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(10);

/// Waits until `condition` gives something. `what` is told when it never does.
///
/// # Panics
/// After [`PATIENCE`].
pub async fn wait_for<T>(what: &str, condition: impl AsyncFnMut() -> Option<T>) -> T {
    wait_within(PATIENCE, what, condition).await
}

/// The same with another limit.
///
/// # Panics
/// After `limit`.
pub async fn wait_within<T>(limit: Duration, what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        if let Some(found) = condition().await {
            return found;
        }
        assert!(Instant::now() < end, "waited {limit:?} for {what}");
    }
}

/// The same without a runtime, for clean-up. Says whether it came.
pub(crate) fn came(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !condition() {
        if Instant::now() >= end {
            return false;
        }
        std::thread::park_timeout(LOOK);
    }
    true
}
