//! Wire to domain and back: nothing else.

mod change;
mod delegate;
mod deliveries;
mod import;
mod permit;
mod read;
mod sessions;
mod subscribe;
mod takeover;
#[cfg(test)]
mod tests;
mod wait;

use crate::callback::{Intake, Waits};
use crate::clock::Clock;
use crate::config::ConfigSource;
use crate::conversation::{Conversations, Request, view};
use crate::delivery::Deliveries;
use crate::doctor::{Doctor, Moment};
use crate::sessions::Sessions;
use crate::socket::audit::concerns;
use crate::socket::peer::Peer;
use crate::store::{Store, StoreError};
use crate::takeover::Takeovers;
use akk_core::Conversation;
use akk_proto::api::{
    AwaitAnswer, AwaitParams, CallbackServer, CancelAnswer, CloseParams, ConfirmAnswer, ConfirmParams, ControlServer,
    ConversationParams, DaemonInfo, DelegateAnswer, DelegateParams, DeleteAnswer, DeliveryAnswer, DeliveryFailedParams,
    DeliveryHandedParams, DeliveryListAnswer, DeliveryListParams, DeliveryParams, DeliveryProbedParams,
    DeliverySubscribeParams, DoctorAnswer, Empty, GetAnswer, HistoryAnswer, HistoryParams, ListAnswer, ListParams,
    PermitAnswer, PermitParams, ReportAnswer, ReportParams, ResultAnswer, ResultParams, SearchAnswer, SearchParams,
    SendAnswer, SendParams, StopParams, SubscribeParams, WaitAnswer, WaitParams,
};
use akk_proto::audit::{AuditAnswer, AuditParams};
use akk_proto::conversation::ConversationView;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::import::{ImportAnswer, ImportParams};
use akk_proto::paths::Paths;
use akk_proto::session::{DiscoverAnswer, DiscoverParams, TakeoverAnswer, TakeoverParams, WatchParams};
use akk_proto::{ConversationId, RequestId, Timestamp};
use jsonrpsee::core::{RpcResult, SubscriptionResult, async_trait};
use jsonrpsee::{Extensions, PendingSubscriptionSink, types::ErrorObjectOwned};
use std::sync::Arc;
use tokio::sync::watch;

/// How akkd is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StopAsked {
    /// It is not.
    #[default]
    No,
    /// Running turns are left alone.
    LeaveAgents,
    /// Running agents are ended too.
    EndAgents,
}

/// What the control socket serves.
pub struct Control {
    /// The store, for reading.
    pub store: Store,
    /// The way to every conversation, for changing.
    pub conversations: Conversations,
    /// The sessions that akkd did not start.
    pub sessions: Sessions,
    /// Makes them conversations.
    pub takeovers: Takeovers,
    /// What travels to the orchestrators.
    pub deliveries: Deliveries,
    /// Which agents wait for an answer inside their turn.
    pub waits: Waits,
    /// The owner's configuration.
    pub config: Arc<ConfigSource>,
    /// The wall clock.
    pub clock: Clock,
    /// Where akkd keeps its things.
    pub paths: Paths,
    /// Since when it runs.
    pub started_at: Timestamp,
    /// The same by both clocks.
    pub started: Moment,
    /// Agent processes that akkd owns.
    pub agents: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Where a stop is asked for.
    pub stop: watch::Sender<StopAsked>,
}

/// What the callback socket serves.
pub struct Callback {
    /// The one intake of reports.
    pub intake: Intake,
    /// Told that the agent of a conversation gave a sign of life.
    pub heard: Arc<dyn Fn(ConversationId) + Send + Sync>,
}

impl Control {
    /// The conversation that a client named, or the only open one when it named none.
    async fn resolve(&self, text: &str) -> Result<ConversationId, Failure> {
        let text = text.trim();
        let found = if text.is_empty() { self.store.only_open().await } else { self.store.resolve(text).await };
        let id = found?;
        concerns(&id);
        Ok(id)
    }

    async fn view(&self, state: &Conversation) -> Result<ConversationView, Failure> {
        let waiting = self.store.waiting(&state.settings.conversation_id, self.clock.wall()).await?;
        Ok(view::view(state, waiting))
    }
}

/// The client's name for a call.
fn call(request_id: Option<RequestId>, method: &'static str) -> Option<Request> {
    request_id.map(|request_id| Request { request_id, method })
}

fn limit(asked: Option<u32>, default: u32) -> Result<u32, Failure> {
    match asked {
        None => Ok(default),
        Some(n) if (1..=akk_proto::limits::MAX_PAGE).contains(&n) => Ok(n),
        Some(n) => Err(Failure::new(
            ErrorKind::InvalidParams,
            format!("a limit of {n} is not possible"),
            format!("Choose 1 to {}.", akk_proto::limits::MAX_PAGE),
        )),
    }
}

/// Characters of an error's sentences: they name the offending value, and that can be anything.
const SENTENCE: usize = 2000;

fn wire<T>(result: Result<T, Failure>) -> RpcResult<T> {
    result.map_err(|mut failure| {
        failure.message = akk_core::redact::cut(&failure.message, SENTENCE);
        failure.hint = akk_core::redact::cut(&failure.hint, SENTENCE);
        ErrorObjectOwned::from(failure)
    })
}

#[async_trait]
impl ControlServer for Control {
    async fn daemon_info(&self, _params: Empty) -> RpcResult<DaemonInfo> {
        wire(self.info().await)
    }

    async fn daemon_doctor(&self, _params: Empty) -> RpcResult<DoctorAnswer> {
        let (paths, config) = (&self.paths, self.config.as_ref());
        let (deliveries, clock, started) = (&self.deliveries, &self.clock, self.started);
        wire(Doctor { paths, config, deliveries, clock, started }.look().await)
    }

    async fn daemon_stop(&self, params: StopParams) -> RpcResult<Empty> {
        let asked = if params.agents { StopAsked::EndAgents } else { StopAsked::LeaveAgents };
        self.stop.send_replace(asked);
        Ok(Empty {})
    }

    async fn daemon_audit(&self, params: AuditParams) -> RpcResult<AuditAnswer> {
        wire(self.audit(params).await)
    }

    async fn delegate(&self, params: DelegateParams) -> RpcResult<DelegateAnswer> {
        wire(self.begin(params).await)
    }

    async fn send(&self, params: SendParams) -> RpcResult<SendAnswer> {
        wire(self.say(params).await)
    }

    async fn recover(&self, params: ConversationParams) -> RpcResult<SendAnswer> {
        wire(self.replay(params).await)
    }

    async fn cancel(&self, params: ConversationParams) -> RpcResult<CancelAnswer> {
        wire(self.stop_turn(params).await)
    }

    async fn permit(&self, extensions: &Extensions, params: PermitParams) -> RpcResult<PermitAnswer> {
        wire(Self::permit(self, params, extensions.get::<Peer>().copied()).await)
    }

    async fn close(&self, params: CloseParams) -> RpcResult<CancelAnswer> {
        wire(self.end(params).await)
    }

    async fn list(&self, params: ListParams) -> RpcResult<ListAnswer> {
        wire(self.page(params).await)
    }

    async fn get(&self, params: ConversationParams) -> RpcResult<GetAnswer> {
        wire(self.look_at(params).await)
    }

    async fn result(&self, params: ResultParams) -> RpcResult<ResultAnswer> {
        wire(self.came_to(params).await)
    }

    async fn transcript(&self, params: HistoryParams) -> RpcResult<HistoryAnswer> {
        wire(self.history(params, None).await)
    }

    async fn trace(&self, params: HistoryParams) -> RpcResult<HistoryAnswer> {
        wire(self.history(params, Some(read::TRACE)).await)
    }

    async fn search(&self, params: SearchParams) -> RpcResult<SearchAnswer> {
        wire(self.find(params).await)
    }

    async fn wait(&self, params: WaitParams) -> RpcResult<WaitAnswer> {
        wire(self.wait_for_need(params).await)
    }

    async fn delete(&self, params: ConversationParams) -> RpcResult<DeleteAnswer> {
        wire(self.forget(params).await)
    }

    async fn import(&self, params: ImportParams) -> RpcResult<ImportAnswer> {
        wire(self.bring_in(params).await)
    }

    async fn delivery_list(&self, params: DeliveryListParams) -> RpcResult<DeliveryListAnswer> {
        wire(self.outbox(params).await)
    }

    async fn delivery_retry(&self, params: DeliveryParams) -> RpcResult<DeliveryAnswer> {
        wire(self.deliver_again(params).await)
    }

    async fn delivery_ack(&self, params: DeliveryParams) -> RpcResult<DeliveryAnswer> {
        wire(self.delivered(params).await)
    }

    async fn delivery_handed(&self, params: DeliveryHandedParams) -> RpcResult<DeliveryAnswer> {
        wire(self.accepted(params).await)
    }

    async fn delivery_failed(&self, params: DeliveryFailedParams) -> RpcResult<DeliveryAnswer> {
        wire(self.not_delivered(params).await)
    }

    async fn delivery_probed(&self, params: DeliveryProbedParams) -> RpcResult<Empty> {
        Ok(self.probed(params))
    }

    async fn deliveries(
        &self,
        pending: PendingSubscriptionSink,
        params: DeliverySubscribeParams,
    ) -> SubscriptionResult {
        self.deliver_to(pending, params).await
    }

    async fn discover(&self, params: DiscoverParams) -> RpcResult<DiscoverAnswer> {
        wire(self.look_around(params).await)
    }

    async fn takeover(&self, extensions: &Extensions, params: TakeoverParams) -> RpcResult<TakeoverAnswer> {
        wire(self.take_over(params, extensions.get::<Peer>().copied()).await)
    }

    async fn watch_sessions(&self, pending: PendingSubscriptionSink, params: WatchParams) -> SubscriptionResult {
        self.watch_native(pending, params).await
    }

    async fn events(&self, pending: PendingSubscriptionSink, params: SubscribeParams) -> SubscriptionResult {
        self.follow(pending, params).await
    }
}

#[async_trait]
impl CallbackServer for Callback {
    async fn report(&self, params: ReportParams) -> RpcResult<ReportAnswer> {
        let id = params.conversation_id.clone();
        let answer = wire(self.intake.report(params).await)?;
        // An agent that reports is not silent.
        (self.heard)(id);
        Ok(answer)
    }

    async fn await_answer(&self, params: AwaitParams) -> RpcResult<AwaitAnswer> {
        wire(self.intake.await_answer(params).await)
    }

    async fn confirm_answer(&self, params: ConfirmParams) -> RpcResult<ConfirmAnswer> {
        let id = params.conversation_id.clone();
        let answer = wire(self.intake.confirm_answer(params).await)?;
        (self.heard)(id);
        Ok(answer)
    }
}

/// A store's refusal, told to a client.
impl From<StoreError> for ErrorObjectOwned {
    fn from(error: StoreError) -> Self {
        Failure::from(error).into()
    }
}
