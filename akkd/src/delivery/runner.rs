//! The runner: whose turn it is, and one task for each attempt.

use super::command::CommandSink;
use super::deliveries::Deliveries;
use super::overdue;
use super::plugin::PluginSink;
use super::sink::{Outcome, Sink};
use crate::config::ConfigSource;
use crate::store::{DueDelivery, StoreError};
use akk_proto::Timestamp;
use akk_proto::api::DeliveryFailedParams;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Commands that run at once.
const COMMANDS: usize = 8;
/// Sessions of OpenClaw that something is told to at once.
const LANES: usize = 1024;
/// How long a plugin that took an offer may say nothing before it is offered again.
const SILENCE: Duration = Duration::from_mins(2);
/// How long attempts under way may go on when akkd stops.
const FINISH: Duration = Duration::from_secs(5);
/// The outbox is looked at again at least this often while something waits: the wall clock may have been set back.
const LONGEST: Duration = Duration::from_mins(10);
/// When the store could not be asked what is due.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// Carries deliveries to their sinks.
pub struct Runner {
    /// Where their ends are written down.
    pub deliveries: Deliveries,
    /// The sinks' configuration.
    pub config: Arc<ConfigSource>,
}

/// The pause before the attempt after `attempts` failed ones: doubling from 1 s to 5 min, with up to a quarter of
/// jitter so that many rows do not come at once.
pub fn back_off(attempts: u32, jitter: f64) -> Duration {
    let base = 2f64.powi(attempts.saturating_sub(1).min(16) as i32).min(300.0);
    Duration::from_secs_f64(base * (1.0 + 0.25 * jitter.clamp(0.0, 1.0)))
}

/// What one attempt at a time goes through.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Way {
    /// A conversation whose reports go to the command.
    Command(String),
    /// A session of an installation of OpenClaw.
    Session { gateway: String, lane: String },
}

/// What is under way.
#[derive(Default)]
struct UnderWay {
    attempts: JoinSet<Way>,
    ways: HashSet<Way>,
}

impl UnderWay {
    fn commands(&self) -> usize {
        self.ways.iter().filter(|w| matches!(w, Way::Command(_))).count()
    }
}

impl Runner {
    /// Runs until `stop`. Commands under way may finish then, for some seconds: one that is cut off between its effect
    /// and its exit would be run again by the next akkd. What still runs after that is given up, its row stays.
    pub async fn run(self, stop: CancellationToken) {
        self.run_with(stop, SILENCE).await;
    }

    /// The same, with the time that a plugin may say nothing.
    pub(super) async fn run_with(self, stop: CancellationToken, silence: Duration) {
        let Deliveries { store, plugins, .. } = &self.deliveries;
        let command = Arc::new(CommandSink { config: self.config.clone(), clock: self.deliveries.clock.clone() });
        let plugin = Arc::new(PluginSink { plugins: plugins.clone(), store: store.clone(), silence });
        let mut outbox = store.subscribe_outbox();
        let mut subscribers = plugins.changes();
        let mut under_way = UnderWay::default();
        // What a former akkd had begun by command is not under way any more: it is tried again.
        if let Err(error) = store.outbox_release_leases().await {
            tracing::warn!(%error, "leases of a former akkd could not be released");
        }
        let told = tokio::spawn(overdue::tell(self.deliveries.clone(), stop.clone()));
        loop {
            outbox.mark_unchanged();
            subscribers.mark_unchanged();
            let pause = match self.start_due(&command, &plugin, &mut under_way).await {
                Ok(next) => next.map(|at| until(at, self.deliveries.clock.wall())),
                Err(error) => {
                    tracing::warn!(%error, "the outbox cannot be read");
                    Some(STORE_PAUSE)
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                changed = outbox.changed() => if changed.is_err() { break },
                _ = subscribers.changed() => {}
                Some(done) = under_way.attempts.join_next(), if !under_way.attempts.is_empty() => {
                    if let Ok(way) = done { under_way.ways.remove(&way); }
                }
                () = sleep_for(pause) => {}
            }
        }
        let last = async {
            // What OpenClaw has is looked for by the next akkd.
            while under_way.commands() > 0 {
                let Some(done) = under_way.attempts.join_next().await else { return };
                if let Ok(way) = done {
                    under_way.ways.remove(&way);
                }
            }
        };
        if tokio::time::timeout(FINISH, last).await.is_err() {
            tracing::warn!("a delivery did not finish in time; whether it arrived is not known");
        }
        let _ = told.await;
    }

    /// Starts what is due and has room; says when the next row is due that is not yet.
    async fn start_due(
        &self,
        command: &Arc<CommandSink>,
        plugin: &Arc<PluginSink>,
        under_way: &mut UnderWay,
    ) -> Result<Option<Timestamp>, StoreError> {
        let Deliveries { store, plugins, clock, .. } = &self.deliveries;
        let now = clock.wall();
        let mut room = COMMANDS.saturating_sub(under_way.commands());
        // An attempt that ends wakes the loop.
        if room > 0 {
            for row in store.outbox_due_for_command(now, COMMANDS as u32).await? {
                let way = Way::Command(row.conversation_id.to_string());
                if room > 0 && under_way.ways.insert(way.clone()) {
                    room -= 1;
                    self.start(command, row, way, under_way);
                }
            }
        }
        let gateways = plugins.gateways();
        if !gateways.is_empty() {
            for row in store.outbox_due_for_plugin(now, gateways, LANES as u32).await? {
                let Some(subscriber) = plugins.for_gateway(row.gateway.as_deref()) else { continue };
                let way = Way::Session { gateway: subscriber.gateway().to_owned(), lane: row.lane.clone() };
                if under_way.ways.len() < LANES + COMMANDS && under_way.ways.insert(way.clone()) {
                    self.start(plugin, row, way, under_way);
                }
            }
        }
        store.outbox_next_due(now).await
    }

    fn start<S: Sink + 'static>(&self, sink: &Arc<S>, row: DueDelivery, way: Way, under_way: &mut UnderWay) {
        let (deliveries, sink) = (self.deliveries.clone(), sink.clone());
        under_way.attempts.spawn(async move {
            attempt(&deliveries, &*sink, &row).await;
            way
        });
    }
}

/// One attempt, from the lease to its end.
async fn attempt<S: Sink>(deliveries: &Deliveries, sink: &S, row: &DueDelivery) {
    loop {
        let Some(place) = sink.ready(row).await else { return };
        let leased = match deliveries.store.outbox_lease(&row.delivery_id, sink.lease(&place)).await {
            Ok(Some(leased)) => leased,
            // A person settled it meanwhile.
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(id = %row.delivery_id, sink = %sink.kind(), %error, "a delivery could not be leased");
                tokio::time::sleep(STORE_PAUSE).await;
                return;
            }
        };
        let (id, attempt) = (leased.delivery_id.clone(), leased.attempt);
        let stored = match sink.deliver(place, leased).await {
            Outcome::Silent => continue,
            Outcome::Reported | Outcome::Interrupted => return,
            Outcome::Told => deliveries.told(&id, Some(attempt)).await,
            Outcome::Failed { reason, error } => {
                deliveries.failed(DeliveryFailedParams { delivery_id: id.clone(), attempt, reason, error }).await
            }
        };
        if let Err(error) = stored {
            tracing::error!(%id, %error, "the outcome of a delivery could not be stored");
        }
        return;
    }
}

/// How long to sleep until `at`.
pub(super) fn until(at: Timestamp, now: Timestamp) -> Duration {
    let left = u64::try_from(at.millis_since(now)).unwrap_or(0);
    Duration::from_millis(left.max(20)).min(LONGEST)
}

pub(super) async fn sleep_for(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_one_second_to_five_minutes() {
        let seconds: Vec<u64> = [1, 2, 3, 9, 10, 1000].iter().map(|n| back_off(*n, 0.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 256, 300, 300]);
        assert_eq!(back_off(10, 1.0).as_secs(), 375);
    }

    #[test]
    fn what_is_due_just_now_does_not_spin() {
        let now = Timestamp(1_000_000);
        assert_eq!(until(Timestamp(5), now), Duration::from_millis(20));
        assert_eq!(until(now.plus_millis(3000), now), Duration::from_secs(3));
        assert_eq!(until(now.plus_millis(1 << 40), now), LONGEST, "a clock that was set back");
    }
}
