//! Measuring the same several times.

use std::time::{Duration, Instant};

/// Rounds of which the best one counts.
const ROUNDS: usize = 3;

/// One round of measurements, sorted.
#[derive(Debug, Clone)]
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    /// Of these measurements; at least one.
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        assert!(!times.is_empty(), "something was measured");
        times.sort();
        Self(times)
    }

    /// The best of three rounds of `times` measurements each, by their medians.
    pub(crate) fn best(times: usize, mut once: impl FnMut() -> Duration) -> Self {
        let rounds = (0..ROUNDS).map(|_| Self::new((0..times).map(|_| once()).collect()));
        rounds.min_by_key(Self::p50).expect("there are rounds")
    }

    /// The same for something that takes as long as it takes.
    pub(crate) fn best_of(times: usize, mut work: impl FnMut()) -> Self {
        Self::best(times, || time(&mut work))
    }

    /// The middle one.
    pub(crate) fn p50(&self) -> Duration {
        self.0[self.0.len() / 2]
    }

    /// What 99 of 100 are not above.
    pub(crate) fn p99(&self) -> Duration {
        self.0[(self.0.len() * 99).div_ceil(100) - 1]
    }

    /// The longest.
    pub(crate) fn longest(&self) -> Duration {
        self.0[self.0.len() - 1]
    }
}

/// How long something takes.
pub(crate) fn time(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}
