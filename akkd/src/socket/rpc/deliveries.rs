//! What people, and OpenClaw's plugin, say of deliveries; and `delivery.subscribe`, by which the plugin gets them.

use super::{Control, limit};
use crate::conversation::check_name;
use akk_core::redact;
use akk_proto::api::{
    DeliveryAnswer, DeliveryFailedParams, DeliveryHandedParams, DeliveryListAnswer, DeliveryListParams, DeliveryParams,
    DeliveryProbedParams, DeliverySubscribeParams, Empty,
};
use akk_proto::delivery::DeliveryItem;
use akk_proto::error::Failure;
use jsonrpsee::core::{SubscriptionError, SubscriptionResult};
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::{PendingSubscriptionSink, SubscriptionMessage, SubscriptionSink};

/// Characters of a sentence that a plugin says of itself.
const DETAIL: usize = 2000;

impl Control {
    pub(super) async fn outbox(&self, params: DeliveryListParams) -> Result<DeliveryListAnswer, Failure> {
        let id = match &params.conversation_id {
            Some(text) => Some(self.resolve(text).await?),
            None => None,
        };
        let limit = limit(params.limit, 100)?;
        Ok(DeliveryListAnswer { deliveries: self.deliveries.list(id.as_ref(), params.all, limit).await? })
    }

    pub(super) async fn deliver_again(&self, params: DeliveryParams) -> Result<DeliveryAnswer, Failure> {
        Ok(DeliveryAnswer { delivery: self.deliveries.retry(&params.delivery_id).await? })
    }

    pub(super) async fn delivered(&self, params: DeliveryParams) -> Result<DeliveryAnswer, Failure> {
        Ok(DeliveryAnswer { delivery: self.deliveries.told(&params.delivery_id, params.attempt).await? })
    }

    pub(super) async fn accepted(&self, params: DeliveryHandedParams) -> Result<DeliveryAnswer, Failure> {
        for (what, name) in
            [("run id", &params.run_id), ("session id", &params.session_id), ("process", &params.process)]
        {
            check_name(what, name)?;
        }
        Ok(DeliveryAnswer { delivery: self.deliveries.handed(params).await? })
    }

    pub(super) async fn not_delivered(&self, params: DeliveryFailedParams) -> Result<DeliveryAnswer, Failure> {
        Ok(DeliveryAnswer { delivery: self.deliveries.failed(params).await? })
    }

    pub(super) fn probed(&self, params: DeliveryProbedParams) -> Empty {
        let DeliveryProbedParams { nonce, gateway_ready, detail } = params;
        self.deliveries.plugins.probed(&nonce, gateway_ready, redact::preview(&detail, DETAIL));
        Empty {}
    }

    pub(super) async fn deliver_to(
        &self,
        pending: PendingSubscriptionSink,
        params: DeliverySubscribeParams,
    ) -> SubscriptionResult {
        let subscription = match subscriber(&params).and_then(|()| self.deliveries.plugins.subscribe(params)) {
            Ok(subscription) => subscription,
            Err(failure) => {
                pending.reject(ErrorObjectOwned::from(failure)).await;
                return Ok(());
            }
        };
        let sink = pending.accept().await?;
        loop {
            let item = tokio::select! {
                () = sink.closed() => return Ok(()),
                item = subscription.next() => item,
            };
            match item {
                Some(item) => send(&sink, &item).await?,
                None => return Ok(()),
            }
        }
    }
}

fn subscriber(params: &DeliverySubscribeParams) -> Result<(), Failure> {
    let DeliverySubscribeParams { gateway, process, plugin_version, openclaw_version } = params;
    check_name("name of an installation", gateway)?;
    check_name("name of a process", process)?;
    check_name("version of the plugin", plugin_version)?;
    check_name("version of OpenClaw", openclaw_version)
}

async fn send(sink: &SubscriptionSink, item: &DeliveryItem) -> Result<(), SubscriptionError> {
    let message = SubscriptionMessage::new(sink.method_name(), sink.subscription_id(), item)?;
    Ok(sink.send(message).await.map_err(|_| "the client left".to_owned())?)
}
