//! Asking an agent, and answering what it asks.

use super::{permission, wire};
use crate::executor::PermissionAnswer;
use crate::executor::launch::running::Happening;
use crate::executor::launch::stdin::Written;
use crate::executor::seat::Seat;
use crate::executor::seat::turn::{Break, Met, OpenTurn, Step};
use crate::executor::stream::{RpcError, Seen};
use akk_core::{Ended, ExecutorReport, How};
use akk_proto::conversation::PermissionPolicy;
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long the end of a process is waited for after its input broke.
const END_AFTER_BREAK: Duration = Duration::from_millis(500);
/// How long an answer to the agent may take until it is written, before reading goes on without that.
const ANSWER_WRITTEN: Duration = Duration::from_secs(2);

impl Seat {
    /// Asks the agent something before the prompt and waits for the answer.
    pub(super) async fn call(
        &mut self,
        open: &mut OpenTurn,
        id: &str,
        what: &str,
        line: Vec<u8>,
        limit: Duration,
    ) -> Step<Result<Value, RpcError>> {
        if !self.agent.as_ref().is_some_and(|a| a.write(line)) {
            return Err(self.input_broke("the agent takes no input").await);
        }
        self.answer(open, id, what, limit).await
    }

    /// Waits for the answer to a question before the prompt.
    pub(super) async fn answer(
        &mut self,
        open: &mut OpenTurn,
        id: &str,
        what: &str,
        limit: Duration,
    ) -> Step<Result<Value, RpcError>> {
        let until = Instant::now() + limit;
        loop {
            match self.meet(open, Some(until)).await? {
                Met::Seen(seen) => {
                    for seen in seen {
                        match seen {
                            Seen::Response { id: answered, outcome } if answered == id => return Ok(outcome),
                            other => self.acp_take(open, other).await,
                        }
                    }
                }
                Met::Written(Written::Broken(error)) => return Err(self.input_broke(&error).await),
                Met::Written(_) => {}
                Met::Lost(why) => return Err(Break::cannot_start(format!("the agent cannot be followed: {why}"))),
                Met::CancelAsked => self.cancel_harder(open).await?,
                Met::Late if open.cancel.is_some() => {}
                Met::Late => {
                    let seconds = limit.as_secs();
                    return Err(Break::cannot_start(format!("the agent did not answer {what} within {seconds} s")));
                }
            }
        }
    }

    /// Takes in what is not the answer that is waited for.
    pub(super) async fn acp_take(&mut self, open: &mut OpenTurn, seen: Seen) {
        match seen {
            Seen::Activity(activity) if open.begun.is_some() => self.tell(open, activity).await,
            Seen::Notice(text) => self.notice(open, &text).await,
            Seen::Request { id, method, params } if method == "session/request_permission" => {
                // Whoever asks before it has the prompt, or while it is stopped, is not worth a person's time.
                let may_ask = open.cancel.is_none() && open.begun.is_some();
                let policy = open.order.permissions;
                if policy == PermissionPolicy::Ask
                    && may_ask
                    && let Some(launch) = self.agent.as_ref().map(|a| a.launch_id.clone())
                    && let Some(request) = permission::question(launch, &id, &params)
                {
                    open.waits_for_person(id);
                    let turn_id = open.id().clone();
                    let report = ExecutorReport::PermissionAsked { turn_id, request: Box::new(request) };
                    self.report(report, true).await;
                    return;
                }
                let decision = permission::decide(policy, open.cancel.is_some(), &params);
                // Written before it is recorded: a successor that reads the request again answers it again.
                self.write_through(wire::permission(&id, decision.option.as_deref())).await;
                self.tell(open, decision.activity).await;
            }
            Seen::Request { id, method, .. } => {
                self.write_through(wire::not_served(&id, &method)).await;
            }
            Seen::Withdrawn { id } => {
                let Some(launch_id) = self.agent.as_ref().map(|a| a.launch_id.clone()) else { return };
                let turn_id = open.id().clone();
                let report = ExecutorReport::PermissionWithdrawn { turn_id, launch_id, request: id };
                // What it takes back else is answered already.
                self.report(report, open.begun.is_some()).await;
            }
            Seen::Activity(_)
            | Seen::Text
            | Seen::Thought
            | Seen::PromptSent
            | Seen::Response { .. }
            | Seen::Nothing => {}
        }
    }

    /// What an agent asks while no turn is open is refused.
    pub(in crate::executor) fn answer_outside_of_turns(&self, seen: Vec<Seen>) {
        let Some(agent) = &self.agent else { return };
        for seen in seen {
            if let Seen::Request { id, method, .. } = seen {
                let asks = method == "session/request_permission";
                agent.write(if asks { wire::permission(&id, None) } else { wire::not_served(&id, &method) });
            }
        }
    }

    /// Tells the agent what became of its permission request. False where the process that asked is not there any
    /// more, or does not read.
    pub(in crate::executor) async fn tell_permission(&self, answer: &PermissionAnswer) -> bool {
        if self.agent.as_ref().is_none_or(|agent| agent.launch_id != answer.launch_id) {
            return false;
        }
        self.write_through(wire::permission(&answer.request, answer.option.as_deref())).await
    }

    /// Whether the line was written.
    async fn write_through(&self, line: Vec<u8>) -> bool {
        let Some(stdin) = self.agent.as_ref().and_then(|a| a.stdin.as_ref()) else { return false };
        let Some(written) = stdin.acknowledged_line(line) else {
            tracing::warn!(conversation = %self.conversation, "an agent that reads nothing gets no answer");
            return false;
        };
        // An agent that does not read must not stop the reading of what it writes.
        matches!(timeout(ANSWER_WRITTEN, written).await, Ok(Ok(())))
    }

    /// The agent's input broke: it is dying, or it closed it.
    pub(super) async fn input_broke(&mut self, why: &str) -> Break {
        let Some(agent) = &mut self.agent else { return Break::cannot_start("the agent is gone") };
        agent.stdin = None;
        if agent.process.ends_within(END_AFTER_BREAK).await {
            loop {
                // What it said before it died may tell why.
                match agent.next(None).await {
                    Happening::Exited(exit) => return Break::Died(exit),
                    Happening::Lost(_) => break,
                    _ => {}
                }
            }
        }
        let mut ended = Ended::bare(How::CannotStart { reason: format!("the agent's input is closed: {why}") });
        ended.trace = agent.trace();
        Break::Ended(Box::new(ended))
    }
}
