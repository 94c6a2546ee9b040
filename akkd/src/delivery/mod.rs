//! Deliveries: a life of their own, from the outbox row that core asked for to the sink's acknowledgement.
//!
//! Per conversation in order, different conversations beside each other. A row ends only when its sink acknowledged
//! it; until then it is tried again for ever, 1 s … 5 min apart, with jitter.

mod command;

use crate::clock::Clock;
use crate::config::ConfigSource;
use crate::conversation::Conversations;
use crate::store::{DueDelivery, Store, StoreError};
use akk_core::decide::Input;
use akk_proto::Timestamp;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Attempts under way at once.
const AT_ONCE: usize = 8;
/// A lease outlives the longest attempt by this much; after a crash the row is due again then.
const LEASE_SLACK: Duration = Duration::from_secs(30);
/// How long attempts under way may go on when akkd stops.
const FINISH: Duration = Duration::from_secs(5);
/// When something is due that cannot be tried now: its attempt is about to begin, or its row cannot be read.
const DUE_PAUSE: Duration = Duration::from_secs(1);
/// The outbox is looked at again at least this often while something waits: the wall clock may have been set back.
const LONGEST: Duration = Duration::from_mins(10);
/// When the store could not be asked what is due.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// Carries deliveries to their sinks.
pub struct Runner {
    /// The outbox.
    pub store: Store,
    /// For the history of attempts.
    pub conversations: Conversations,
    /// The sinks' configuration.
    pub config: Arc<ConfigSource>,
    /// For due times.
    pub clock: Clock,
}

/// The pause before the attempt after `attempts` failed ones: doubling from 1 s to 5 min, with up to a quarter of
/// jitter so that many rows do not come at once.
pub fn back_off(attempts: u32, jitter: f64) -> Duration {
    let base = 2f64.powi(attempts.saturating_sub(1).min(16) as i32).min(300.0);
    Duration::from_secs_f64(base * (1.0 + 0.25 * jitter.clamp(0.0, 1.0)))
}

impl Runner {
    /// Runs until `stop`. Attempts under way may finish then, for some seconds: one that is cut off between its effect
    /// and its exit would be made again by the next akkd. What still runs after that is given up, its row stays.
    pub async fn run(self, stop: CancellationToken) {
        let this = Arc::new(self);
        let mut outbox = this.store.subscribe_outbox();
        let mut attempts: JoinSet<String> = JoinSet::new();
        let mut under_way: HashSet<String> = HashSet::new();
        // What a former akkd had begun is not under way any more: with the `command` sink it is tried again.
        if let Err(error) = this.store.outbox_release_leases().await {
            tracing::warn!(%error, "leases of a former akkd could not be released");
        }
        loop {
            outbox.mark_unchanged();
            let pause = match this.start_due(&mut attempts, &mut under_way).await {
                Ok((next, started)) => next.map(|at| until(at, this.clock.wall(), started)),
                Err(error) => {
                    tracing::warn!(%error, "the outbox cannot be read");
                    Some(STORE_PAUSE)
                }
            };
            tokio::select! {
                () = stop.cancelled() => {
                    let last = async { while attempts.join_next().await.is_some() {} };
                    if tokio::time::timeout(FINISH, last).await.is_err() {
                        tracing::warn!("a delivery did not finish in time; whether it arrived is not known");
                    }
                    return;
                }
                changed = outbox.changed() => if changed.is_err() { return },
                Some(done) = attempts.join_next(), if !attempts.is_empty() => {
                    if let Ok(conversation) = done { under_way.remove(&conversation); }
                }
                () = sleep_for(pause) => {}
            }
        }
    }

    /// Starts what is due and has room; says when the next row is due, and whether anything was started.
    async fn start_due(
        self: &Arc<Self>,
        attempts: &mut JoinSet<String>,
        under_way: &mut HashSet<String>,
    ) -> Result<(Option<Timestamp>, bool), StoreError> {
        let room = AT_ONCE.saturating_sub(under_way.len());
        if room == 0 {
            // An attempt that ends wakes the loop.
            return Ok((None, false));
        }
        let mut started = false;
        for row in self.store.outbox_due(self.clock.wall(), AT_ONCE as u32).await? {
            let conversation = row.body.conversation_id.to_string();
            if under_way.len() >= AT_ONCE || !under_way.insert(conversation.clone()) {
                continue;
            }
            started = true;
            let this = self.clone();
            attempts.spawn(async move {
                this.attempt(row).await;
                conversation
            });
        }
        Ok((self.store.outbox_next_due().await?, started))
    }

    async fn attempt(&self, row: DueDelivery) {
        let key = row.body.key.clone();
        let attempt = row.attempts + 1;
        let config = self.config.current();
        let until = self.clock.wall().plus_millis((config.sink_timeout + LEASE_SLACK).as_millis() as i64);
        match self.store.outbox_lease(&key, until).await {
            Ok(true) => {}
            // A person settled it meanwhile.
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%key, %error, "a delivery could not be leased");
                tokio::time::sleep(STORE_PAUSE).await;
                return;
            }
        }
        let result = match (row.sink.as_str(), &config.sink_command) {
            ("command", Some(argv)) => command::deliver(argv, &row.body, config.sink_timeout).await,
            ("command", None) => Err("the configuration has no [delivery] command any more".to_owned()),
            (other, _) => Err(format!("the sink {other} is not there")),
        };
        let stored = match &result {
            Ok(()) => self.store.outbox_done(&key).await.map(|()| true),
            Err(error) => {
                let pause = back_off(attempt, rand::random::<f64>());
                let next = self.clock.wall().plus_millis(pause.as_millis() as i64);
                self.store.outbox_failed(&key, error, next).await
            }
        };
        if let Err(error) = stored {
            tracing::error!(%key, %error, "the outcome of a delivery could not be stored");
        }
        // The history names the success and the 1st, 2nd, 4th, 8th … failure, not each of a thousand equal attempts.
        let error = result.err();
        let news = error.is_none() || attempt.is_power_of_two();
        if news {
            let id = &row.body.conversation_id;
            let input = Input::DeliveryAttempt { delivery_id: key.clone(), attempt, error };
            if let Err(error) = self.conversations.ask(id, input, None).await {
                tracing::warn!(%key, %error, "a delivery attempt is missing in the history");
            }
        }
    }
}

/// How long to sleep until `at`. What is due already was either started just now, or cannot be tried.
fn until(at: Timestamp, now: Timestamp, started: bool) -> Duration {
    let left = at.millis_since(now);
    match u64::try_from(left) {
        Ok(left) if left > 0 => Duration::from_millis(left.max(20)).min(LONGEST),
        _ if started => Duration::from_millis(20),
        _ => DUE_PAUSE,
    }
}

async fn sleep_for(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Surroundings;
    use crate::conversation::testing::{House, created};
    use std::collections::BTreeMap;

    #[test]
    fn pauses_double_from_one_second_to_five_minutes() {
        let seconds: Vec<u64> = [1, 2, 3, 9, 10, 1000].iter().map(|n| back_off(*n, 0.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 256, 300, 300]);
        assert_eq!(back_off(10, 1.0).as_secs(), 375);
    }

    #[test]
    fn what_is_due_and_cannot_be_tried_does_not_spin() {
        let now = Timestamp(1_000_000);
        assert_eq!(until(Timestamp(5), now, true), Duration::from_millis(20));
        assert_eq!(until(Timestamp(5), now, false), Duration::from_secs(1));
        assert_eq!(until(now.plus_millis(3000), now, false), Duration::from_secs(3));
        assert_eq!(until(now.plus_millis(1 << 40), now, false), LONGEST, "a clock that was set back");
    }

    #[tokio::test]
    async fn a_delivery_under_way_may_finish_when_akkd_stops_and_is_not_made_again() {
        let house = House::new();
        let begun = house.dir.path().join("begun");
        let script = format!("cat > /dev/null; echo x >> '{}'; sleep 1", begun.display());
        let path = house.dir.path().join("config.toml");
        std::fs::write(&path, format!("[delivery]\ncommand = [\"sh\", \"-c\", \"{script}\"]\n")).unwrap();
        let around = Surroundings { akkctl: "akkctl".into(), env: BTreeMap::new() };
        let runner = Runner {
            store: house.store.clone(),
            conversations: house.conversations.clone(),
            config: Arc::new(ConfigSource::open(path, around).unwrap()),
            clock: house.clock.clone(),
        };
        let stop = CancellationToken::new();
        let running = tokio::spawn(runner.run(stop.clone()));
        let id = house.begin(created(1)).await;
        house.says(&id, r#"{"type":"done","body":"x"}"#).await;
        while !begun.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.cancel();
        running.await.unwrap();
        assert_eq!(house.store.undelivered(&id, true).await.unwrap(), 0);
    }
}
