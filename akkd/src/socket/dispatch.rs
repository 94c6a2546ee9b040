//! From a message to its answer.

use super::audit::Witness;
use super::failure;
use super::limits::Limits;
use super::outgoing::Outbox;
use super::request::{Call, Message, Request};
use futures_util::FutureExt as _;
use jsonrpsee::core::server::{
    BatchResponseBuilder, MethodCallback, MethodResponse, MethodSink, Methods, SubscriptionState,
};
use jsonrpsee::core::traits::IdProvider;
use jsonrpsee::types::{Id, Params, SubscriptionId};
use jsonrpsee::{ConnectionId, Extensions};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What the calls of one connection share.
pub(super) struct Dispatch {
    pub(super) methods: Methods,
    pub(super) limits: Limits,
    pub(super) connection: ConnectionId,
    /// Given to every handler.
    pub(super) extensions: Extensions,
    /// Notes the calls that are to change something.
    pub(super) witness: Option<Witness>,
    pub(super) outbox: Outbox,
    /// Slots for subscriptions.
    pub(super) subscriptions: Arc<Semaphore>,
    /// The tasks that carry what subscriptions send.
    pub(super) carriers: TaskTracker,
    /// The connection is at its end: carriers stop.
    pub(super) over: CancellationToken,
    /// Calls that are still going are answered with [`failure::stopping`].
    pub(super) cut: CancellationToken,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Single,
    Batch,
}

impl Dispatch {
    /// The answer to `message`; none when it wants none or has had it.
    pub(super) async fn answer(&self, message: Message) -> Option<Box<RawValue>> {
        match message {
            Message::Refused(refusal) | Message::Single(Request::Refused(refusal)) => Some(refusal.into_json()),
            Message::Single(Request::Notification) => None,
            Message::Single(Request::Call(call)) => {
                let answer = self.call(call, Place::Single).await;
                // A subscription has been answered through its sink.
                (!answer.is_subscription()).then(|| answer.into_json())
            }
            Message::Batch(requests) => self.batch(requests).await,
        }
    }

    async fn batch(&self, requests: Vec<Request>) -> Option<Box<RawValue>> {
        let mut answers = BatchResponseBuilder::new_with_limit(self.limits.max_response);
        for request in requests {
            let answer = match request {
                Request::Notification => continue,
                Request::Refused(refusal) => refusal,
                Request::Call(call) => self.call(call, Place::Batch).await,
            };
            if answers.append(answer).is_err() {
                let failure = failure::answer_too_long("the batch", self.limits.max_response);
                return Some(failure::answer(Id::Null, failure).into_json());
            }
        }
        (!answers.is_empty()).then(|| MethodResponse::from_batch(answers.finish()).into_json())
    }

    async fn call(&self, call: Call, place: Place) -> MethodResponse {
        let Some(witness) = &self.witness else { return self.answer_to(call, place).await };
        let Some(witnessed) = witness.begin(&call.method, &call.params).await else {
            return self.answer_to(call, place).await;
        };
        let answer = witnessed.during(self.answer_to(call, place)).await;
        witnessed.end(&answer);
        answer
    }

    async fn answer_to(&self, call: Call, place: Place) -> MethodResponse {
        let Call { id, method, params } = call;
        let answered = AssertUnwindSafe(self.handle(id.clone(), &method, params, place)).catch_unwind();
        let answer = match self.cut.run_until_cancelled(answered).await {
            None => failure::answer(id, failure::stopping()),
            Some(Err(_panic)) => {
                tracing::error!(%method, "a handler panicked");
                failure::answer(id, failure::defect(&method))
            }
            Some(Ok(answer)) => answer,
        };
        if !answer.is_error() || answer.is_subscription() {
            return answer;
        }
        failure::in_our_form(&method, answer.as_json(), self.limits.max_response).unwrap_or(answer)
    }

    async fn handle(&self, id: Id<'static>, method: &str, params: Params<'static>, place: Place) -> MethodResponse {
        let max = self.limits.max_response;
        let extensions = self.extensions.clone();
        match self.methods.method_with_name(method) {
            None => failure::answer(id, failure::unknown_method(method, self.methods.method_names())),
            Some((_, MethodCallback::Sync(f))) => f(id, params, max, extensions),
            Some((_, MethodCallback::Async(f))) => f(id, params, self.connection, max, extensions).await,
            Some((_, MethodCallback::Unsubscription(f))) => {
                let named = named_subscription(&params);
                f(
                    id,
                    named.as_deref().map_or(params.clone(), |p| Params::new(Some(p))),
                    self.connection,
                    max,
                    extensions,
                )
            }
            Some((_, MethodCallback::Subscription(_))) if place == Place::Batch => {
                failure::answer(id, failure::invalid_request(format!("{method} cannot be part of a batch")))
            }
            Some((name, MethodCallback::Subscription(f))) => {
                let Ok(permit) = self.subscriptions.clone().try_acquire_owned() else {
                    return failure::answer(id, failure::too_many_subscriptions(self.limits.max_subscriptions));
                };
                let state =
                    SubscriptionState { conn_id: self.connection, id_provider: &NextId, subscription_permit: permit };
                f(id, params, self.carried(name), state, extensions).await
            }
        }
    }

    /// A sink with a short queue of its own, and the task that carries what it is given to the outbox when there is
    /// room: so a subscription that is read slowly waits for itself.
    fn carried(&self, method: &'static str) -> MethodSink {
        let max = self.limits.max_response;
        let (tx, mut rx) = mpsc::channel::<Box<RawValue>>(self.limits.subscription_queue);
        let (outbox, over) = (self.outbox.clone(), self.over.clone());
        self.carriers.spawn(async move {
            let mut answered = false;
            while let Some(Some(json)) = over.run_until_cancelled(rx.recv()).await {
                // The first message is the answer to the call.
                let replaced = if answered { None } else { failure::in_our_form(method, &json, max) };
                let json = replaced.map_or(json, MethodResponse::into_json);
                answered = true;
                if json.get().len() > max {
                    tracing::error!(%method, bytes = json.get().len(), "a message of a subscription is too long; it ends");
                    return;
                }
                if over.run_until_cancelled(outbox.send(json)).await != Some(true) {
                    return;
                }
            }
        });
        MethodSink::new_with_limit(tx, u32::try_from(max).unwrap_or(u32::MAX))
    }
}

/// `[id]`, when the parameters of an unsubscription say it by name as every other method's do.
fn named_subscription(params: &Params<'_>) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Named<'a> {
        #[serde(borrow)]
        subscription: &'a RawValue,
    }
    let (named,) = serde_json::from_str::<(Named<'_>,)>(params.as_str()?).ok()?;
    Some(format!("[{}]", named.subscription.get()))
}

/// Subscription ids count up: easy to read in a log.
#[derive(Debug)]
struct NextId;

impl IdProvider for NextId {
    fn next_id(&self) -> SubscriptionId<'static> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        SubscriptionId::Num(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
