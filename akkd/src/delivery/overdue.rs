//! What waits for too long is said once, in the history of its conversation.

use super::deliveries::Deliveries;
use super::runner::{sleep_for, until};
use akk_core::decide::Input;
use std::collections::HashSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Rows that are told in one go.
const AT_ONCE: u32 = 100;
/// When the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// Runs until `stop`. That a history says it, and that the row need not be told again, is one transaction.
pub(super) async fn tell(deliveries: Deliveries, stop: CancellationToken) {
    let mut outbox = deliveries.store.subscribe_outbox();
    // Those whose conversation cannot be read.
    let mut given_up = HashSet::new();
    loop {
        outbox.mark_unchanged();
        let pause = match look(&deliveries, &mut given_up).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::warn!(%error, "it could not be looked for what is overdue");
                Some(STORE_PAUSE)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            changed = outbox.changed() => if changed.is_err() { return },
            () = sleep_for(pause) => {}
        }
    }
}

/// Tells what is overdue, and says how long to wait for the next.
async fn look(
    deliveries: &Deliveries,
    given_up: &mut HashSet<akk_proto::DeliveryId>,
) -> Result<Option<Duration>, akk_proto::error::Failure> {
    let Deliveries { store, conversations, clock, .. } = deliveries;
    loop {
        let limit = AT_ONCE + u32::try_from(given_up.len()).unwrap_or(u32::MAX - AT_ONCE);
        let mut rows = store.outbox_untold_overdue(clock.wall(), limit).await?;
        rows.retain(|row| !given_up.contains(&row.delivery_id));
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let (delivery_id, waiting_since) = (row.delivery_id.clone(), row.waiting_since);
            let input = Input::DeliveryOverdue { delivery_id, waiting_since };
            if let Err(error) = conversations.ask(&row.conversation_id, input, None).await {
                tracing::warn!(id = %row.delivery_id, %error, "that a delivery is overdue is missing in the history");
                given_up.insert(row.delivery_id);
            }
        }
    }
    Ok(store.outbox_next_overdue(clock.wall()).await?.map(|at| until(at, clock.wall())))
}
