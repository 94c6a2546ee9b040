//! What a sink is to the runner.

use crate::store::{DueDelivery, Lease, Leased};
use akk_proto::delivery::{FailureReason, SinkKind};

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The orchestrator has it.
    Told,
    /// It was not told, or nobody knows.
    Failed {
        /// What it comes to.
        reason: FailureReason,
        /// Why, as a sentence.
        error: String,
    },
    /// It was written down already when it was reported.
    Reported,
    /// Whoever had it left without a word: the attempt goes on when somebody is there again.
    Interrupted,
    /// Whoever has it said nothing for too long: to be offered again, as the same attempt.
    Silent,
}

/// Where deliveries go.
pub(super) trait Sink: Send + Sync {
    /// The means for one attempt.
    type Place: Send;

    /// Which one it is.
    fn kind(&self) -> SinkKind;

    /// Waits until it can take the row; none when it no longer can. Nothing is leased before.
    fn ready(&self, row: &DueDelivery) -> impl Future<Output = Option<Self::Place>> + Send;

    /// How the attempt is written down before the sink sees it.
    fn lease(&self, place: &Self::Place) -> Lease;

    /// Makes the attempt, and waits for its end.
    fn deliver(&self, place: Self::Place, leased: Leased) -> impl Future<Output = Outcome> + Send;
}
