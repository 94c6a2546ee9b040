//! `events.subscribe`: the past from the store, then what happens, without a hole between.

use super::Control;
use crate::config::spelling;
use crate::store::{EventFilter, Past};
use akk_proto::api::{StreamItem, SubscribeParams};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::{EventBody, EventRecord};
use akk_proto::limits::MAX_KINDS;
use jsonrpsee::core::{SubscriptionError, SubscriptionResult};
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::{PendingSubscriptionSink, SubscriptionMessage, SubscriptionSink};
use tokio::sync::broadcast::error::RecvError;

/// Events read from the store at once.
const PAGE: u32 = 200;
/// Text in them.
const PAGE_BYTES: usize = 4 << 20;

impl Control {
    pub(super) async fn follow(&self, pending: PendingSubscriptionSink, params: SubscribeParams) -> SubscriptionResult {
        let filter = match self.filter(&params).await {
            Ok(filter) => filter,
            Err(failure) => {
                pending.reject(ErrorObjectOwned::from(failure)).await;
                return Ok(());
            }
        };
        let mut live = self.store.subscribe_events();
        let mut cursor = params.since.unwrap_or_else(|| self.store.newest_cursor());
        let sink = pending.accept().await?;
        cursor = self.tell_past(&sink, cursor, &filter).await?;
        send(&sink, &StreamItem::Live { cursor }).await?;
        loop {
            let event = tokio::select! {
                () = sink.closed() => return Ok(()),
                event = live.recv() => event,
            };
            match event {
                // Told from the store already.
                Ok(event) if event.cursor <= cursor => {}
                Ok(event) => {
                    cursor = event.cursor;
                    if wanted(&event, &filter) {
                        send(&sink, &StreamItem::Event(Box::new((*event).clone()))).await?;
                    }
                }
                // This client was slower than the bus holds: the store has everything.
                Err(RecvError::Lagged(_)) => cursor = self.tell_past(&sink, cursor, &filter).await?,
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    }

    async fn filter(&self, params: &SubscribeParams) -> Result<EventFilter, Failure> {
        if params.kinds.len() > MAX_KINDS {
            return Err(Failure::new(
                ErrorKind::TooLarge,
                format!("{} kinds of events are asked for, {MAX_KINDS} are allowed", params.kinds.len()),
                "Leave `kinds` out for all.",
            ));
        }
        if let Some(unknown) = params.kinds.iter().find(|k| !EventBody::NAMES.contains(&k.as_str())) {
            // Else this subscription would be silent for ever.
            let shown = akk_core::redact::cut(unknown, 80);
            return Err(Failure::new(
                ErrorKind::InvalidParams,
                format!("there is no event {shown:?}"),
                spelling::suggest(unknown, EventBody::NAMES.iter().copied()),
            ));
        }
        if let Some(since) = params.since {
            self.check_cursor(since)?;
        }
        let conversation_id = match &params.conversation_id {
            Some(text) => Some(self.resolve(text).await?),
            None => None,
        };
        Ok(EventFilter { conversation_id, kinds: params.kinds.clone() })
    }

    /// Refuses a cursor of another history: else there would be silence until as much has happened here.
    pub(super) fn check_cursor(&self, since: u64) -> Result<(), Failure> {
        let newest = self.store.newest_cursor();
        if since <= newest {
            return Ok(());
        }
        Err(Failure::new(
            ErrorKind::InvalidParams,
            format!("the cursor {since} is of another history: the newest one here is {newest}"),
            "Read what there is, and go on from the cursor that comes with it.",
        ))
    }

    async fn tell_past(
        &self,
        sink: &SubscriptionSink,
        since: u64,
        filter: &EventFilter,
    ) -> Result<u64, SubscriptionError> {
        let mut cursor = since;
        loop {
            let Past { items, cursor: upto, more } =
                self.store.events_since(cursor, PAGE, PAGE_BYTES, filter.clone()).await.map_err(|e| e.to_string())?;
            for item in &items {
                send(sink, item).await?;
            }
            cursor = upto;
            if !more {
                return Ok(cursor);
            }
        }
    }
}

fn wanted(event: &EventRecord, filter: &EventFilter) -> bool {
    filter.conversation_id.as_ref().is_none_or(|id| *id == event.conversation_id)
        && (filter.kinds.is_empty() || filter.kinds.iter().any(|k| k == event.body.name()))
}

async fn send(sink: &SubscriptionSink, item: &StreamItem) -> Result<(), SubscriptionError> {
    let message = SubscriptionMessage::new(sink.method_name(), sink.subscription_id(), item)?;
    Ok(sink.send(message).await.map_err(|_| "the client left".to_owned())?)
}
