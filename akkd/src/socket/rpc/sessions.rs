//! `sessions.discover` and `sessions.watch`.

use super::Control;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::session::{DiscoverAnswer, DiscoverParams, WatchParams};
use jsonrpsee::PendingSubscriptionSink;
use jsonrpsee::core::SubscriptionResult;
use jsonrpsee::types::ErrorObjectOwned;

impl Control {
    pub(super) async fn look_around(&self, _params: DiscoverParams) -> Result<DiscoverAnswer, Failure> {
        Err(Failure::new(ErrorKind::UnknownMethod, "sessions.discover is being built", "Come back later."))
    }

    pub(super) async fn watch_native(
        &self,
        pending: PendingSubscriptionSink,
        _params: WatchParams,
    ) -> SubscriptionResult {
        let failure = Failure::new(ErrorKind::UnknownMethod, "sessions.watch is being built", "Come back later.");
        pending.reject(ErrorObjectOwned::from(failure)).await;
        Ok(())
    }
}
