//! The methods of akkd: the one contract for server and clients.
//!
//! A parameter that an older akkd does not know is left out where it says nothing: until akkd is replaced, a newer client's
//! calls still fit.

mod change;
mod daemon;
mod deliveries;
mod read;
mod report;

pub use change::{
    CancelAnswer, CloseParams, DelegateAnswer, DelegateParams, DeleteAnswer, PermitAnswer, PermitParams, SendAnswer,
    SendParams, SendState,
};
pub use daemon::{Check, CheckLevel, DaemonInfo, DoctorAnswer, StopParams, check};
pub use deliveries::{
    DeliveryAnswer, DeliveryFailedParams, DeliveryHandedParams, DeliveryListAnswer, DeliveryListParams, DeliveryParams,
    DeliveryProbedParams, DeliverySubscribeParams,
};
pub use read::{
    GetAnswer, HistoryAnswer, HistoryParams, ListAnswer, ListParams, ResultAnswer, ResultParams, SearchAnswer,
    SearchHit, SearchParams, StreamItem, SubscribeParams, WaitAnswer, WaitParams,
};
pub use report::{AwaitAnswer, AwaitParams, ConfirmAnswer, ConfirmParams, ReportAnswer, ReportParams};

use crate::RequestId;
use serde::{Deserialize, Serialize};

/// Nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// Parameters of methods that need a conversation only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ConversationParams {
    /// The client's own name for this call, where it changes something.
    pub request_id: Option<RequestId>,
    /// An id, a unique prefix or suffix of one, or `@last`.
    pub conversation_id: String,
}

#[cfg(any(feature = "server", feature = "client"))]
mod rpc {
    #![allow(unused_imports, reason = "which names the macro uses depends on the half that is asked for")]
    use super::{
        AwaitAnswer, AwaitParams, CancelAnswer, CloseParams, ConfirmAnswer, ConfirmParams, ConversationParams,
        DaemonInfo, DelegateAnswer, DelegateParams, DeleteAnswer, DeliveryAnswer, DeliveryFailedParams,
        DeliveryHandedParams, DeliveryListAnswer, DeliveryListParams, DeliveryParams, DeliveryProbedParams,
        DeliverySubscribeParams, DoctorAnswer, Empty, GetAnswer, HistoryAnswer, HistoryParams, ListAnswer, ListParams,
        PermitAnswer, PermitParams, ReportAnswer, ReportParams, ResultAnswer, ResultParams, SearchAnswer, SearchParams,
        SendAnswer, SendParams, StopParams, StreamItem, SubscribeParams, WaitAnswer, WaitParams,
    };
    use crate::audit::{AuditAnswer, AuditParams};
    use crate::delivery::DeliveryItem;
    use crate::import::{ImportAnswer, ImportParams};
    use crate::session::{DiscoverAnswer, DiscoverParams, SessionItem, TakeoverAnswer, TakeoverParams, WatchParams};
    use jsonrpsee::core::{RpcResult, SubscriptionResult};
    use jsonrpsee::proc_macros::rpc;

    /// What the control socket serves.
    #[cfg_attr(all(feature = "server", feature = "client"), rpc(server, client))]
    #[cfg_attr(all(feature = "server", not(feature = "client")), rpc(server))]
    #[cfg_attr(all(feature = "client", not(feature = "server")), rpc(client))]
    pub trait Control {
        /// Version, process, counts.
        #[method(name = "daemon.info")]
        async fn daemon_info(&self, params: Empty) -> RpcResult<DaemonInfo>;
        /// Looks whether everything on the way of a report works.
        #[method(name = "daemon.doctor")]
        async fn daemon_doctor(&self, params: Empty) -> RpcResult<DoctorAnswer>;
        /// Stops akkd.
        #[method(name = "daemon.stop")]
        async fn daemon_stop(&self, params: StopParams) -> RpcResult<Empty>;
        /// Who asked for which change, and what came of it.
        #[method(name = "daemon.audit")]
        async fn daemon_audit(&self, params: AuditParams) -> RpcResult<AuditAnswer>;
        /// Starts a conversation and its first turn.
        #[method(name = "conversation.delegate")]
        async fn delegate(&self, params: DelegateParams) -> RpcResult<DelegateAnswer>;
        /// A message to an open conversation.
        #[method(name = "conversation.send")]
        async fn send(&self, params: SendParams) -> RpcResult<SendAnswer>;
        /// A fresh agent session with a replay of the history.
        #[method(name = "conversation.recover")]
        async fn recover(&self, params: ConversationParams) -> RpcResult<SendAnswer>;
        /// Stops the open turn.
        #[method(name = "conversation.cancel")]
        async fn cancel(&self, params: ConversationParams) -> RpcResult<CancelAnswer>;
        /// Answers a permission request of the agent.
        #[method(name = "conversation.permit", with_extensions)]
        async fn permit(&self, params: PermitParams) -> RpcResult<PermitAnswer>;
        /// Ends the conversation.
        #[method(name = "conversation.close")]
        async fn close(&self, params: CloseParams) -> RpcResult<CancelAnswer>;
        /// Open conversations, newest activity first.
        #[method(name = "conversation.list")]
        async fn list(&self, params: ListParams) -> RpcResult<ListAnswer>;
        /// One conversation with its latest events.
        #[method(name = "conversation.get")]
        async fn get(&self, params: ConversationParams) -> RpcResult<GetAnswer>;
        /// What a turn came to.
        #[method(name = "conversation.result")]
        async fn result(&self, params: ResultParams) -> RpcResult<ResultAnswer>;
        /// The whole history.
        #[method(name = "conversation.transcript")]
        async fn transcript(&self, params: HistoryParams) -> RpcResult<HistoryAnswer>;
        /// What the agent did.
        #[method(name = "conversation.trace")]
        async fn trace(&self, params: HistoryParams) -> RpcResult<HistoryAnswer>;
        /// Full-text search over requests and messages.
        #[method(name = "conversation.search")]
        async fn search(&self, params: SearchParams) -> RpcResult<SearchAnswer>;
        /// Waits until a conversation needs someone.
        #[method(name = "conversation.wait")]
        async fn wait(&self, params: WaitParams) -> RpcResult<WaitAnswer>;
        /// Deletes a terminal conversation for good.
        #[method(name = "conversation.delete")]
        async fn delete(&self, params: ConversationParams) -> RpcResult<DeleteAnswer>;
        /// Takes over a conversation of the predecessor, with its history.
        #[method(name = "conversation.import")]
        async fn import(&self, params: ImportParams) -> RpcResult<ImportAnswer>;
        /// The outbox.
        #[method(name = "delivery.list")]
        async fn delivery_list(&self, params: DeliveryListParams) -> RpcResult<DeliveryListAnswer>;
        /// Tries a delivery again now.
        #[method(name = "delivery.retry")]
        async fn delivery_retry(&self, params: DeliveryParams) -> RpcResult<DeliveryAnswer>;
        /// Marks a delivery as told.
        #[method(name = "delivery.ack")]
        async fn delivery_ack(&self, params: DeliveryParams) -> RpcResult<DeliveryAnswer>;
        /// OpenClaw accepted a delivery.
        #[method(name = "delivery.handed")]
        async fn delivery_handed(&self, params: DeliveryHandedParams) -> RpcResult<DeliveryAnswer>;
        /// An attempt did not end well.
        #[method(name = "delivery.failed")]
        async fn delivery_failed(&self, params: DeliveryFailedParams) -> RpcResult<DeliveryAnswer>;
        /// The answer to a probe.
        #[method(name = "delivery.probed")]
        async fn delivery_probed(&self, params: DeliveryProbedParams) -> RpcResult<Empty>;
        /// Takes deliveries, one at a time for each session, for as long as the subscription lasts.
        #[subscription(name = "delivery.subscribe" => "delivery.item", unsubscribe = "delivery.unsubscribe", item = DeliveryItem)]
        async fn deliveries(&self, params: DeliverySubscribeParams) -> SubscriptionResult;
        /// Native sessions: what there is, which process runs which, what works here.
        #[method(name = "sessions.discover")]
        async fn discover(&self, params: DiscoverParams) -> RpcResult<DiscoverAnswer>;
        /// Makes a native session a conversation, or says what stands against it.
        #[method(name = "sessions.takeover", with_extensions)]
        async fn takeover(&self, params: TakeoverParams) -> RpcResult<TakeoverAnswer>;
        /// What happens to native sessions, as it happens.
        #[subscription(name = "sessions.watch" => "sessions.item", unsubscribe = "sessions.unwatch", item = SessionItem)]
        async fn watch_sessions(&self, params: WatchParams) -> SubscriptionResult;
        /// Events as they happen, resumable.
        #[subscription(name = "events.subscribe" => "events.item", unsubscribe = "events.unsubscribe", item = StreamItem)]
        async fn events(&self, params: SubscribeParams) -> SubscriptionResult;
    }

    /// What the callback socket serves.
    #[cfg_attr(all(feature = "server", feature = "client"), rpc(server, client))]
    #[cfg_attr(all(feature = "server", not(feature = "client")), rpc(server))]
    #[cfg_attr(all(feature = "client", not(feature = "server")), rpc(client))]
    pub trait Callback {
        /// A report of an agent. Answered when the message is durable.
        #[method(name = "callback.report")]
        async fn report(&self, params: ReportParams) -> RpcResult<ReportAnswer>;
        /// Waits for what the orchestrator says to a question, so that it can be told inside the turn that asked.
        #[method(name = "callback.await_answer")]
        async fn await_answer(&self, params: AwaitParams) -> RpcResult<AwaitAnswer>;
        /// The agent is being told that message: it counts as sent. Answered when that is durable.
        #[method(name = "callback.confirm_answer")]
        async fn confirm_answer(&self, params: ConfirmParams) -> RpcResult<ConfirmAnswer>;
    }
}
#[cfg(any(feature = "server", feature = "client"))]
pub use rpc::*;

#[cfg(test)]
mod tests {
    use super::DelegateParams;
    use crate::session::TakeoverParams;

    #[test]
    fn a_call_that_asks_for_nothing_new_fits_an_older_akkd() {
        let calls = [serde_json::to_value(DelegateParams::default()), serde_json::to_value(TakeoverParams::default())];
        for call in calls {
            let call = call.unwrap();
            assert!(call.get("recipient").is_none() && call.get("sink").is_none(), "{call}");
        }
    }
}
