//! The seat of one conversation: one task that owns its agent process and its open turn, and that hears every order
//! for it in order.

mod client;
mod ending;
mod recovery;
pub(in crate::executor) mod turn;

pub(in crate::executor) use recovery::Found;

use super::launch::running::{Happening, Running};
use super::shared::Shared;
use super::supervisor::Registry;
use super::{PermissionAnswer, TurnOrder};
use crate::store::PromptFate;
use akk_core::{Ended, ExecutorReport, How};
use akk_proto::{ConversationId, TurnId};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use turn::OpenTurn;

/// What a seat is told to do.
#[derive(Debug)]
pub(in crate::executor) enum Order {
    /// Carry a turn out.
    Start(Box<TurnOrder>),
    /// Settle what a former akkd left.
    Recover(Box<Found>),
    /// Stop a turn.
    Cancel { turn: TurnId, grace: Duration },
    /// End every agent process.
    Release { reason: String },
    /// Tell the agent what became of a permission request.
    Permission(PermissionAnswer),
    /// A message counts as activity.
    Touch,
    /// akkd goes down. Idle agents are ended; open turns go on without akkd, unless `end_agents`.
    Shutdown { end_agents: bool },
}

/// The seat of one conversation.
pub(in crate::executor) struct Seat {
    pub(in crate::executor) shared: Arc<Shared>,
    pub(in crate::executor) conversation: ConversationId,
    pub(in crate::executor) agent: Option<Box<Running>>,
    registry: Arc<Registry>,
    inbox: mpsc::UnboundedReceiver<Order>,
    /// Orders that came while a turn was open and are not about it.
    waiting: VecDeque<Order>,
    idle_since: Instant,
    /// Why the agent is to be let go when the turn has ended.
    leave_agent: Option<String>,
    going_down: bool,
    /// A turn was left open for a successor.
    left_open: bool,
}

impl Seat {
    pub(in crate::executor) fn new(
        shared: Arc<Shared>,
        registry: Arc<Registry>,
        conversation: ConversationId,
        inbox: mpsc::UnboundedReceiver<Order>,
    ) -> Self {
        Self {
            shared,
            conversation,
            agent: None,
            registry,
            inbox,
            waiting: VecDeque::new(),
            idle_since: Instant::now(),
            leave_agent: None,
            going_down: false,
            left_open: false,
        }
    }

    /// Whether the agent is to be let go when the open turn has ended.
    pub(in crate::executor) fn lets_go(&self) -> bool {
        self.leave_agent.is_some()
    }

    /// Serves orders until nothing is left to look after.
    pub(in crate::executor) async fn serve(mut self) {
        loop {
            if self.going_down {
                if !self.left_open {
                    self.let_go(Some("akkd was stopped".to_owned())).await;
                }
                return;
            }
            if self.agent.is_none()
                && self.waiting.is_empty()
                && self.registry.leave(&self.conversation, &mut self.inbox)
            {
                return;
            }
            let order = match self.waiting.pop_front() {
                Some(order) => Some(order),
                // Apart from turns this is where a seat spends its life: what waits here must be small.
                None => self.idle().await,
            };
            match order {
                Some(Order::Start(order)) => {
                    let _works = self.shared.works(&self.conversation);
                    Box::pin(self.start(*order)).await;
                }
                Some(Order::Recover(found)) => {
                    let _works = self.shared.works(&self.conversation);
                    Box::pin(self.recover(*found)).await;
                }
                Some(Order::Cancel { turn, .. }) => self.cancel_unstarted(turn).await,
                Some(Order::Release { reason }) => self.let_go(Some(reason)).await,
                // The turn is over; the agent must not wait for ever all the same.
                Some(Order::Permission(answer)) => {
                    self.tell_permission(&answer).await;
                }
                Some(Order::Touch) | None => {}
                Some(Order::Shutdown { .. }) => self.going_down = true,
            }
        }
    }

    /// Waits for an order and looks after an agent that has no turn.
    async fn idle(&mut self) -> Option<Order> {
        let Some(agent) = &mut self.agent else { return self.inbox.recv().await.or_else(|| self.end_of_orders()) };
        let cold_at = self.idle_since + Duration::from_millis(agent.facts.warm_ms);
        tokio::select! {
            order = self.inbox.recv() => return order.or_else(|| self.end_of_orders()),
            happening = agent.next(None) => match happening {
                Happening::Seen(seen) => {
                    self.answer_outside_of_turns(seen);
                    self.checkpoint_if_due().await;
                }
                Happening::Exited(_) => Box::pin(self.let_go(None)).await,
                Happening::Lost(why) => Box::pin(self.let_go(Some(why))).await,
                Happening::Written(_) => {}
            },
            () = sleep_until(cold_at) => Box::pin(self.let_go(Some("not used any more".to_owned()))).await,
        }
        None
    }

    fn end_of_orders(&mut self) -> Option<Order> {
        self.going_down = true;
        None
    }

    async fn start(&mut self, order: TurnOrder) {
        let mut open = OpenTurn::new(order);
        let prompts = self.shared.context.ledger.prompts_of(self.conversation.clone(), open.id().clone()).await;
        match prompts {
            Ok(rows) => {
                if let Some(last) = rows.last() {
                    // A prompt that may have arrived is never sent again by itself, whoever asks.
                    if last.fate != PromptFate::Accepted {
                        let reason = "this turn's prompt was handed over before".to_owned();
                        return self.finish(open, Ended::bare(How::Uncertain { reason })).await;
                    }
                    open.attempt = last.attempt + 1;
                }
                self.carry_out(open).await;
            }
            Err(error) => {
                let reason = error.to_string();
                self.finish(open, Ended::bare(How::CannotStart { reason })).await;
            }
        }
    }

    /// A turn that is not open here is over, or was never started: it was stopped, whatever it was.
    async fn cancel_unstarted(&mut self, turn: TurnId) {
        self.waiting.retain(|order| !matches!(order, Order::Start(start) if start.turn_id == turn));
        let ended = Box::new(Ended::bare(How::Cancelled));
        self.report(ExecutorReport::TurnEnded { turn_id: turn, ended }, false).await;
    }

    /// Ends the agent's process tree, or what is left of it, and records that. `reason`: why akkd ended it; none
    /// where it ended by itself.
    pub(in crate::executor) async fn let_go(&mut self, reason: Option<String>) {
        let Some(mut agent) = self.agent.take() else { return };
        let gone = agent.end(&self.shared).await;
        let exit = if agent.process.has_ended() { agent.process.exited().await } else { None };
        let launch_id = agent.launch_id.clone();
        drop(agent);
        if !self.report(ExecutorReport::Exited { launch_id: launch_id.clone(), exit, reason }, false).await {
            return;
        }
        // What would not end stays recorded as live: the next start of akkd tries again.
        if gone && let Err(error) = self.shared.context.ledger.launch_gone(launch_id).await {
            tracing::warn!(%error, "a launch could not be recorded as gone");
        }
    }
}
