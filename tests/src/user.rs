//! A person at akkd's socket while akkd dies again and again: starts it anew, says again what was not answered, and goes
//! on where the conversation stands.

use crate::daemon::{Daemon, params};
use crate::refusal::Refusal;
use crate::wait::{PATIENCE, wait_for, wait_within};
use akk_proto::api::{
    CloseParams, ControlClient as _, ConversationParams, DelegateParams, DeliveryListParams, HistoryParams,
    PermitParams, SendParams, StopParams,
};
use akk_proto::conversation::{ConversationView, Status};
use akk_proto::delivery::DeliveryView;
use akk_proto::event::EventRecord;
use akk_proto::permission::Permit;
use akk_proto::{ConversationId, RequestId};
use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::Client;
use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

/// The variable that tells akkd where to die.
const DEATH: &str = "AKK_STOP_DEAD";
/// The variable that tells akkd where to write the points that it passes.
const POINTS: &str = "AKK_POINTS_LOG";
/// A person gives up after so many recoveries of one message.
const PATIENT: usize = 5;

/// The person, and the akkd that dies.
pub struct User {
    /// What is started again.
    pub akkd: Daemon,
    /// How often it died.
    pub deaths: usize,
    /// Why the conversation waited for a decision of the person, each time.
    pub asked: Vec<String>,
    /// How long a turn may take. More where real peers need the processor.
    pub patience: Duration,
    to_come: VecDeque<String>,
    calls: u64,
}

impl User {
    /// Starts akkd for the first time. `deaths`: where each akkd dies (`POINT:N`), in order; those after them live.
    pub async fn start(akkd: Daemon, deaths: &[&str]) -> Self {
        let to_come = deaths.iter().map(|d| (*d).to_owned()).collect();
        let mut user = Self { akkd, deaths: 0, asked: Vec::new(), patience: PATIENCE, to_come, calls: 0 };
        let log = user.akkd.home.root().join("points");
        let log = log.to_str().expect("paths under /tmp are UTF-8").to_owned();
        user.akkd.environment().push((POINTS.to_owned(), log));
        user.start_again().await;
        user
    }

    async fn start_again(&mut self) {
        loop {
            let death = self.to_come.pop_front();
            let environment = self.akkd.environment();
            environment.retain(|(name, _)| name != DEATH);
            environment.extend(death.map(|death| (DEATH.to_owned(), death)));
            match self.akkd.try_start().await {
                Ok(()) => return,
                Err(status) => {
                    assert_eq!(status.signal(), Some(9), "akkd died by itself: {status}");
                    self.deaths += 1;
                }
            }
        }
    }

    /// Stops akkd, which may die of it, and starts one that lives.
    pub async fn rest(&mut self) {
        let stopped = self.call(async |rpc| rpc.daemon_stop(StopParams { agents: false }).await).await;
        stopped.unwrap_or_else(|e| panic!("stop: {e}"));
        let status = self.akkd.ended().await;
        self.deaths += usize::from(status.signal().is_some());
        assert!(status.success() || status.signal() == Some(9), "akkd stopped with {status}");
        self.to_come.clear();
        self.start_again().await;
    }

    /// Every point that an akkd passed, in order.
    pub fn points(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.akkd.home.root().join("points")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Kills akkd now, and starts it again.
    pub async fn restart(&mut self) {
        self.akkd.kill9();
        self.deaths += 1;
        self.start_again().await;
    }

    /// Calls until akkd answers, whatever dies meanwhile.
    ///
    /// # Errors
    /// akkd's refusal.
    pub async fn call<T>(&mut self, call: impl AsyncFn(&Client) -> Result<T, ClientError>) -> Result<T, Refusal> {
        loop {
            match call(self.akkd.rpc()).await {
                Ok(answer) => return Ok(answer),
                Err(refused @ ClientError::Call(_)) => return Err(Refusal::of(refused)),
                Err(_) => {
                    let status = self.akkd.ended().await;
                    assert_eq!(status.signal(), Some(9), "akkd died by itself: {status}");
                    self.deaths += 1;
                    self.start_again().await;
                }
            }
        }
    }

    /// The name of the next call: the same however often it is said.
    pub fn request(&mut self) -> RequestId {
        self.calls += 1;
        format!("user-{}", self.calls).parse().expect("letters, a hyphen, digits")
    }

    /// Delegates.
    pub async fn delegate(&mut self, task: DelegateParams) -> ConversationId {
        let params = DelegateParams { request_id: Some(self.request()), ..task };
        let answer = self.call(async |rpc| rpc.delegate(params.clone()).await).await;
        answer.unwrap_or_else(|e| panic!("delegate: {e}")).conversation.conversation_id
    }

    /// Says something to the agent.
    pub async fn send(&mut self, id: &ConversationId, message: &str) {
        let params = SendParams {
            request_id: Some(self.request()),
            conversation_id: id.to_string(),
            message: Some(message.to_owned()),
            ..SendParams::default()
        };
        let answer = self.call(async |rpc| rpc.send(params.clone()).await).await;
        answer.unwrap_or_else(|e| panic!("send {message:?}: {e}"));
    }

    /// Stops the open turn.
    pub async fn cancel(&mut self, id: &ConversationId) {
        let params = ConversationParams { request_id: Some(self.request()), conversation_id: id.to_string() };
        let answer = self.call(async |rpc| rpc.cancel(params.clone()).await).await;
        answer.unwrap_or_else(|e| panic!("cancel: {e}"));
    }

    /// Closes the conversation and waits until it is closed.
    pub async fn close(&mut self, id: &ConversationId) -> ConversationView {
        let params =
            CloseParams { request_id: Some(self.request()), conversation_id: id.to_string(), ..CloseParams::default() };
        let answer = self.call(async |rpc| rpc.close(params.clone()).await).await;
        answer.unwrap_or_else(|e| panic!("close: {e}"));
        wait_for("the conversation's end", async || Some(self.get(id).await).filter(|c| c.status.is_terminal())).await
    }

    /// The conversation.
    pub async fn get(&mut self, id: &ConversationId) -> ConversationView {
        let answer = self.call(async |rpc| rpc.get(params(id)).await).await;
        answer.unwrap_or_else(|e| panic!("get: {e}")).conversation
    }

    /// Gives whatever permission is asked for. A request may have its answer, or be gone, by the time that this arrives.
    async fn permit(&mut self, c: &ConversationView) {
        for asked in &c.permission_requests {
            let params = PermitParams {
                request_id: Some(self.request()),
                conversation_id: c.conversation_id.to_string(),
                nonce: Some(asked.nonce.clone()),
                decision: Permit::Allow,
            };
            let _ = self.call(async |rpc| rpc.permit(params.clone()).await).await;
        }
    }

    /// Waits until nothing goes on in the conversation any more; gives the permissions that are asked for meanwhile.
    pub async fn still(&mut self, id: &ConversationId) -> ConversationView {
        wait_within(self.patience, "the conversation to need somebody", async || {
            let c = self.get(id).await;
            self.permit(&c).await;
            let works =
                matches!(c.status, Status::Created | Status::Running | Status::WaitingForAgent | Status::Cancelling);
            let open = c.turn.as_ref().is_some_and(|t| t.ended_at.is_none());
            let waits = !c.queued.is_empty() && c.status != Status::Stalled;
            (!works && !open && !waits).then_some(c)
        })
        .await
    }

    /// The same; where the conversation waits for a decision whether to go on, the person says yes.
    pub async fn settled(&mut self, id: &ConversationId) -> ConversationView {
        for _ in 0..PATIENT {
            let c = self.still(id).await;
            if !matches!(c.status, Status::Stalled | Status::NeedsRecovery) {
                return c;
            }
            self.recover(id, c.stalled_reason.unwrap_or_default()).await;
        }
        panic!("the conversation stalled {PATIENT} times: {:#?}", self.asked);
    }

    /// Decides that a conversation goes on that has stopped for this reason.
    pub async fn recover(&mut self, id: &ConversationId, reason: String) {
        self.asked.push(reason);
        let params = ConversationParams { request_id: Some(self.request()), conversation_id: id.to_string() };
        let answer = self.call(async |rpc| rpc.recover(params.clone()).await).await;
        answer.unwrap_or_else(|e| panic!("recover: {e}"));
    }

    /// The whole history.
    pub async fn events(&mut self, id: &ConversationId) -> Vec<EventRecord> {
        let mut all = Vec::new();
        let mut after_seq = 0;
        loop {
            let params = HistoryParams { conversation_id: id.to_string(), after_seq, limit: None };
            let page = self.call(async |rpc| rpc.transcript(params.clone()).await).await;
            let page = page.unwrap_or_else(|e| panic!("transcript: {e}"));
            all.extend(page.events);
            match page.next_seq {
                Some(next) => after_seq = next,
                None => return all,
            }
        }
    }

    /// The outbox rows of a conversation.
    pub async fn deliveries(&mut self, id: &ConversationId) -> Vec<DeliveryView> {
        let params = DeliveryListParams { conversation_id: Some(id.to_string()), all: true, limit: None };
        let answer = self.call(async |rpc| rpc.delivery_list(params.clone()).await).await;
        answer.unwrap_or_else(|e| panic!("delivery.list: {e}")).deliveries
    }
}
