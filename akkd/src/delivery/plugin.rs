//! The `plugin` sink: a delivery is offered to OpenClaw's plugin, which reports what becomes of it.

use super::plugins::{Plugins, Stage, Subscriber};
use super::sink::{Outcome, Sink};
use crate::store::{DueDelivery, Lease, Leased, Store, StoreError};
use akk_core::tell;
use akk_proto::delivery::{DeliveryState, Offer, SinkKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

/// When the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// The sink.
pub(super) struct PluginSink {
    pub(super) plugins: Plugins,
    pub(super) store: Store,
    /// How long one that took an offer may say nothing.
    pub(super) silence: Duration,
}

/// Room in the mailbox of the one who gets it.
pub(super) struct Place {
    subscriber: Arc<Subscriber>,
    room: OwnedSemaphorePermit,
    lane: String,
}

impl Sink for PluginSink {
    type Place = Place;

    fn kind(&self) -> SinkKind {
        SinkKind::Plugin
    }

    async fn ready(&self, row: &DueDelivery) -> Option<Place> {
        let subscriber = self.plugins.for_gateway(row.gateway.as_deref())?;
        let room = subscriber.room().await?;
        Some(Place { subscriber, room, lane: row.lane.clone() })
    }

    fn lease(&self, place: &Place) -> Lease {
        Lease::To(place.subscriber.gateway().to_owned())
    }

    async fn deliver(&self, place: Place, leased: Leased) -> Outcome {
        let Place { subscriber, room, lane } = place;
        let Leased { delivery_id, attempt, look_first, by_person, handed, body } = leased;
        let accepted = handed.as_ref().is_some_and(|h| h.attempt == attempt);
        let mut under_way = self.plugins.begin(&subscriber, &delivery_id, attempt, &lane, accepted);
        let mut outbox = self.store.subscribe_outbox();
        // Whoever settled it between the lease and now found nothing under way.
        match self.store.delivery(&delivery_id, akk_proto::Timestamp(0)).await {
            Ok(row) if matches!(row.view.state, DeliveryState::Leased | DeliveryState::Handed) => {}
            Ok(_) | Err(StoreError::NotFound { .. }) => return Outcome::Reported,
            Err(error) => {
                tracing::warn!(%delivery_id, %error, "a delivery could not be read again");
                tokio::time::sleep(STORE_PAUSE).await;
                return Outcome::Silent;
            }
        }
        let text = tell::text(&body);
        let id = delivery_id.clone();
        let asks = body.kind == "permission";
        let offer = Offer { delivery_id, attempt, look_first, by_person, handed, body, text };
        self.plugins.offer(&subscriber, room, offer);
        let mut taken_at = None;
        loop {
            let stage = *under_way.stage.borrow_and_update();
            if stage == Stage::Offered {
                // Once: what else wakes this up does not make it wait longer.
                taken_at.get_or_insert_with(Instant::now);
            }
            let silent_at = taken_at.map_or_else(Instant::now, |at| at + self.silence);
            let patience = async {
                match stage {
                    Stage::Offered => sleep_until(silent_at).await,
                    // A run may take hours; its plugin follows it.
                    Stage::Waiting | Stage::Handed => std::future::pending().await,
                    Stage::Settled => {}
                }
            };
            tokio::select! {
                biased;
                () = patience => {
                    if stage == Stage::Settled {
                        return Outcome::Reported;
                    }
                    tracing::warn!(%id, attempt, "OpenClaw's plugin said nothing of a delivery; it is offered again");
                    return Outcome::Silent;
                }
                // Answered elsewhere: nobody is to be asked any more.
                Ok(()) = outbox.changed(), if asks => {
                    if matches!(self.store.delivery(&id, akk_proto::Timestamp(0)).await, Err(StoreError::NotFound { .. })) {
                        self.plugins.settled(&id, None);
                        return Outcome::Reported;
                    }
                }
                changed = under_way.stage.changed() => if changed.is_err() && *under_way.stage.borrow() != Stage::Settled {
                    return Outcome::Interrupted;
                },
                () = subscriber.gone().cancelled() => return Outcome::Interrupted,
            }
        }
    }
}
