//! The time of day and the time that passes, from one place that tests can turn.
//!
//! Deadlines that outlive akkd are stored as wall time ([`Timestamp`]); the timers of a running akkd are monotonic
//! ([`Instant`], tokio's, so that it can be slept until).

use akk_proto::Timestamp;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Tells the time. Cheap to clone; clones agree.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Turned(Arc<Mutex<Hands>>),
}

#[derive(Debug, Clone, Copy)]
struct Hands {
    wall: Timestamp,
    monotonic: Instant,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `wall` until its hands are moved.
    pub fn standing_at(wall: Timestamp) -> Self {
        Self(Source::Turned(Arc::new(Mutex::new(Hands { wall, monotonic: Instant::now() }))))
    }

    /// The time of day; it can jump either way.
    pub fn wall(&self) -> Timestamp {
        match &self.0 {
            Source::System => jiff::Timestamp::now().into(),
            Source::Turned(hands) => hands.lock().unwrap_or_else(PoisonError::into_inner).wall,
        }
    }

    /// The time that passes; it never goes back, and stands still while the machine sleeps.
    pub fn monotonic(&self) -> Instant {
        match &self.0 {
            Source::System => Instant::now(),
            Source::Turned(hands) => hands.lock().unwrap_or_else(PoisonError::into_inner).monotonic,
        }
    }

    /// Lets `time` pass on a clock that stands; the machine's clock takes no orders.
    pub fn advance(&self, time: Duration) {
        if let Source::Turned(hands) = &self.0 {
            let mut hands = hands.lock().unwrap_or_else(PoisonError::into_inner);
            hands.wall = hands.wall.plus_millis(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
            hands.monotonic += time;
        }
    }

    /// Sets the time of day of a clock that stands, as an administrator or NTP would, without time passing.
    pub fn set_wall(&self, wall: Timestamp) {
        if let Source::Turned(hands) = &self.0 {
            hands.lock().unwrap_or_else(PoisonError::into_inner).wall = wall;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turned_clock_moves_both_hands_and_a_jump_moves_one() {
        let clock = Clock::standing_at(Timestamp(1_000));
        let other = clock.clone();
        let start = clock.monotonic();
        other.advance(Duration::from_secs(2));
        assert_eq!(clock.wall(), Timestamp(3_000));
        assert_eq!(clock.monotonic() - start, Duration::from_secs(2));
        other.set_wall(Timestamp(5));
        assert_eq!(clock.wall(), Timestamp(5));
        assert_eq!(clock.monotonic() - start, Duration::from_secs(2));
    }

    #[test]
    fn the_machines_clock_goes_by_itself() {
        let clock = Clock::system();
        let (wall, monotonic) = (clock.wall(), clock.monotonic());
        clock.advance(Duration::from_hours(1));
        assert!(wall.0 > 1_700_000_000_000);
        assert!(clock.wall().millis_since(wall) < 60_000);
        assert!(clock.monotonic() >= monotonic);
    }
}
