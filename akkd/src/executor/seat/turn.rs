//! An open turn: what it waits for, how it is cancelled, when it counts as silent, and how it ends.

use super::{Order, Seat};
use crate::executor::launch::running::{Happening, Running};
use crate::executor::launch::stdin::{PromptProgress, Written};
use crate::executor::stream::Seen;
use crate::executor::{PermissionAnswer, ReportError, TurnOrder};
use crate::platform::Signal;
use crate::store::{Checkpoint, PromptFate, PromptRow};
use akk_core::{Ended, ExecutorReport, How, redact};
use akk_proto::TurnId;
use akk_proto::conversation::Transport;
use akk_proto::event::{Activity, CancelStep, Exit};
use futures_util::future::Either;
use serde_json::Value;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Activities of one turn that are recorded.
pub(in crate::executor) const MAX_ACTIVITIES: u32 = 5000;
/// Longest notice, in characters, as [`Activity::Notice`] promises.
const MAX_NOTICE_CHARS: usize = 400;

/// A turn that is open.
pub(in crate::executor) struct OpenTurn {
    pub(in crate::executor) order: TurnOrder,
    /// The prompt, once it was begun.
    pub(in crate::executor) begun: Option<BegunPrompt>,
    /// The attempt that comes next, from 1.
    pub(in crate::executor) attempt: u32,
    /// The cancel that is under way.
    pub(in crate::executor) cancel: Option<Cancel>,
    /// When a message counted as activity, or the turn began.
    touched: Instant,
    inactive_told: bool,
    /// Permission requests that wait for a person, by the agent's ids of them.
    asked: Vec<Value>,
    /// Answers to permission requests that a former akkd may not have passed on.
    pub(in crate::executor) owed: Vec<PermissionAnswer>,
}

/// A prompt that was begun.
#[derive(Debug)]
pub(in crate::executor) struct BegunPrompt {
    pub(in crate::executor) row: PromptRow,
    /// How far it came meanwhile, where it is written by this akkd.
    pub(in crate::executor) progress: PromptProgress,
    /// The name of its request, where it has one.
    pub(in crate::executor) id: String,
    /// Of the text.
    pub(in crate::executor) bytes: u64,
}

/// A cancel that is under way.
#[derive(Debug, Clone, Copy)]
pub(in crate::executor) struct Cancel {
    grace: Duration,
    /// The step that was taken last.
    pub(in crate::executor) step: CancelStep,
    /// When the next one is due; none where there is no other.
    next: Option<Instant>,
}

/// Why the work on a turn stops.
#[derive(Debug)]
pub(in crate::executor) enum Break {
    /// It is over.
    Ended(Box<Ended>),
    /// Its process ended, and all that it said was seen.
    Died(Option<Exit>),
    /// akkd goes down: everything is left as it is.
    Shutdown,
}

/// A step of the work on a turn.
pub(in crate::executor) type Step<T> = Result<T, Break>;

/// Something that happened while a turn waited.
#[derive(Debug)]
pub(in crate::executor) enum Met {
    /// A line of output.
    Seen(Vec<Seen>),
    /// What became of something that was written.
    Written(Written),
    /// The process cannot be followed any further: why.
    Lost(String),
    /// The time that was asked for is over.
    Late,
    /// A cancel was asked for just now; its first step is the transport's.
    CancelAsked,
}

impl Break {
    /// The turn is over, without more to say than how.
    pub(in crate::executor) fn ended(how: How) -> Self {
        Self::Ended(Box::new(Ended::bare(how)))
    }

    /// Nothing was prompted: why.
    pub(in crate::executor) fn cannot_start(reason: impl Into<String>) -> Self {
        Self::ended(How::CannotStart { reason: reason.into() })
    }
}

impl OpenTurn {
    pub(in crate::executor) fn new(order: TurnOrder) -> Self {
        Self {
            order,
            begun: None,
            attempt: 1,
            cancel: None,
            touched: Instant::now(),
            inactive_told: false,
            asked: Vec::new(),
            owed: Vec::new(),
        }
    }

    pub(in crate::executor) fn id(&self) -> &TurnId {
        &self.order.turn_id
    }

    pub(in crate::executor) fn fate(&self) -> Option<PromptFate> {
        self.begun.as_ref().map(|b| match b.row.fate {
            PromptFate::Accepted => b.progress.fate(),
            known => known,
        })
    }

    /// The prompt of `row` is being handed over from here on.
    pub(in crate::executor) fn begin(&mut self, row: PromptRow, bytes: u64) {
        let id = format!("prompt:{}:{}", row.turn_id, row.attempt);
        self.begun = Some(BegunPrompt { row, progress: PromptProgress::default(), id, bytes });
    }

    /// The clock of a cancel starts with the request, whatever can be written when.
    pub(in crate::executor) fn begin_cancel(&mut self, grace: Duration) {
        self.cancel = Some(Cancel { grace, step: CancelStep::Cooperative, next: Some(Instant::now() + grace) });
    }

    /// Takes the steps of a cancel after the cooperative one out of it, for an agent that is not akkd's to end. Gives
    /// when the first of them was due, the first time.
    pub(in crate::executor) fn take_next_cancel_step(&mut self) -> Option<Instant> {
        self.cancel.as_mut()?.next.take()
    }

    /// The agent waits for a person from here on: its silence says nothing.
    pub(in crate::executor) fn waits_for_person(&mut self, request: Value) {
        if !self.asked.contains(&request) {
            self.asked.push(request);
        }
    }

    /// There was a sign of life that no process of akkd gave.
    pub(in crate::executor) fn touch(&mut self) {
        self.touched = Instant::now();
    }

    fn silent_at(&self, agent: Option<&Running>) -> Option<Instant> {
        // Before the prompt other time limits hold, and a person may take any time.
        if self.inactive_told || self.begun.is_none() || !self.asked.is_empty() {
            return None;
        }
        let heard = agent.map_or(self.touched, |a| a.last_output.max(self.touched));
        heard.checked_add(self.order.agent_timeout)
    }
}

impl Seat {
    /// Waits until something happens in an open turn. What every turn has in common is dealt with here: the steps of
    /// a cancel, silence, release, shutdown. `until`: when [`Met::Late`] is the answer.
    pub(in crate::executor) async fn meet(&mut self, open: &mut OpenTurn, until: Option<Instant>) -> Step<Met> {
        match self.meet_or(open, until, std::future::pending::<Infallible>()).await? {
            Either::Left(met) => Ok(met),
            Either::Right(never) => match never {},
        }
    }

    /// [`meet`](Self::meet), or what `other` gives, where an agent is heard by another way than its output.
    pub(in crate::executor) async fn meet_or<T>(
        &mut self,
        open: &mut OpenTurn,
        until: Option<Instant>,
        other: impl Future<Output = T>,
    ) -> Step<Either<Met, T>> {
        let mut other = std::pin::pin!(other);
        loop {
            let silent = open.silent_at(self.agent.as_deref());
            let timer = [until, open.cancel.and_then(|c| c.next), silent].into_iter().flatten().min();
            let scan = self.shared.context.timings.scan;
            tokio::select! {
                given = &mut other => return Ok(Either::Right(given)),
                order = self.inbox.recv() => {
                    // The sender lives in the registry as long as this task does; without one akkd is gone.
                    let Some(order) = order else { return Err(Break::Shutdown) };
                    if self.hear(open, order).await? {
                        return Ok(Either::Left(Met::CancelAsked));
                    }
                }
                happening = next_of(self.agent.as_deref_mut(), scan) => {
                    return match happening {
                        Happening::Seen(seen) => Ok(Either::Left(Met::Seen(seen))),
                        Happening::Exited(exit) => Err(Break::Died(exit)),
                        Happening::Written(written) => Ok(Either::Left(Met::Written(written))),
                        Happening::Lost(why) => Ok(Either::Left(Met::Lost(why))),
                    };
                }
                () = until_then(timer) => {
                    let now = Instant::now();
                    if until.is_some_and(|at| at <= now) {
                        return Ok(Either::Left(Met::Late));
                    }
                    if open.cancel.and_then(|c| c.next).is_some_and(|at| at <= now) {
                        self.cancel_harder(open).await?;
                    }
                    if silent.is_some_and(|at| at <= now) {
                        open.inactive_told = true;
                        let minutes = (open.order.agent_timeout.as_secs() / 60) as u32;
                        let report = ExecutorReport::Inactive { turn_id: open.id().clone(), minutes };
                        self.report(report, false).await;
                    }
                }
            }
        }
    }

    /// Takes in what was ordered while nothing could be heard; true when a cancel of the turn was asked for.
    pub(in crate::executor) async fn cancelled_meanwhile(&mut self, open: &mut OpenTurn) -> Step<bool> {
        let mut cancelled = false;
        while let Ok(order) = self.inbox.try_recv() {
            cancelled |= self.hear(open, order).await?;
        }
        Ok(cancelled)
    }

    /// Takes an order in while a turn is open; true when a cancel of it was asked for.
    async fn hear(&mut self, open: &mut OpenTurn, order: Order) -> Step<bool> {
        match order {
            Order::Touch => open.touched = Instant::now(),
            Order::Start(next) if next.turn_id == open.order.turn_id => {}
            Order::Start(_) | Order::Recover(_) => self.waiting.push_back(order),
            Order::Cancel { turn, grace } if turn == open.order.turn_id => {
                if open.cancel.is_none() {
                    open.begin_cancel(grace);
                    return Ok(true);
                }
            }
            Order::Cancel { turn, .. } => self.cancel_unstarted(turn).await,
            Order::Permission(answer) => self.pass_on(open, &answer).await,
            Order::Release { reason } => {
                tracing::info!(conversation = %self.conversation, reason, "an open turn is ended with its agent");
                let mut ended = Ended::bare(How::Cancelled);
                ended.exit = self.end_process().await;
                self.leave_agent = Some(reason);
                return Err(Break::Ended(Box::new(ended)));
            }
            Order::Shutdown { end_agents: false } => return Err(Break::Shutdown),
            Order::Shutdown { end_agents: true } => {
                let reason = "akkd was stopped together with its agents".to_owned();
                let mut ended = Ended::bare(How::Failed { reason: reason.clone() });
                ended.exit = self.end_process().await;
                self.leave_agent = Some(reason);
                self.going_down = true;
                return Err(Break::Ended(Box::new(ended)));
            }
        }
        Ok(false)
    }

    /// Tells the agent what became of its permission request, and that it was told.
    pub(in crate::executor) async fn pass_on(&mut self, open: &mut OpenTurn, answer: &PermissionAnswer) {
        if self.agent.as_ref().is_none_or(|agent| agent.launch_id != answer.launch_id) {
            return;
        }
        // Nobody decides about it any more, also where the agent does not take the answer: its silence counts again.
        open.asked.retain(|request| *request != answer.request);
        open.touch();
        if !self.tell_permission(answer).await {
            return;
        }
        let report = ExecutorReport::PermissionAnswered {
            turn_id: open.id().clone(),
            launch_id: answer.launch_id.clone(),
            request: answer.request.clone(),
        };
        self.report(report, false).await;
    }

    /// Records that the transport asked the agent to stop.
    pub(in crate::executor) async fn cancel_was_asked(&mut self, open: &OpenTurn) {
        self.report_step(open, CancelStep::Cooperative).await;
    }

    /// The next step of a cancel, now: SIGTERM, then SIGKILL, then the turn ends without its process's end.
    pub(in crate::executor) async fn cancel_harder(&mut self, open: &mut OpenTurn) -> Step<()> {
        let Some(cancel) = &mut open.cancel else { return Ok(()) };
        let Some(agent) = &mut self.agent else { return Err(Break::ended(How::Cancelled)) };
        let (step, signal, pause) = match cancel.step {
            CancelStep::Cooperative => (CancelStep::Terminate, Signal::TERM, cancel.grace),
            CancelStep::Terminate => (CancelStep::Kill, Signal::KILL, self.shared.context.timings.kill_wait),
            CancelStep::Kill => return Err(Break::ended(How::Cancelled)),
        };
        (cancel.step, cancel.next) = (step, Some(Instant::now() + pause));
        if let Err(error) = agent.process.signal_tree(signal).await {
            tracing::error!(launch = %agent.launch_id, %error, "an agent could not be signalled");
        }
        self.report_step(open, step).await;
        Ok(())
    }

    async fn report_step(&mut self, open: &OpenTurn, step: CancelStep) {
        self.report(ExecutorReport::CancelStep { turn_id: open.id().clone(), step }, false).await;
    }

    /// Ends the process tree at once and tells how it ended. Its output is not read any more.
    async fn end_process(&mut self) -> Option<Exit> {
        let agent = self.agent.as_mut()?;
        agent.end(&self.shared).await;
        if agent.process.has_ended() { agent.process.exited().await } else { None }
    }

    /// Records an activity of the turn, with how far output was read; after too many only that there are more.
    pub(in crate::executor) async fn tell(&mut self, open: &OpenTurn, activity: Activity) {
        let mut activity = activity;
        if let Some(agent) = &mut self.agent {
            let told = &mut agent.reader.told;
            *told += 1;
            if *told > MAX_ACTIVITIES {
                return;
            }
            if *told == MAX_ACTIVITIES {
                let text = format!("more than {MAX_ACTIVITIES} activities in this turn: the rest is not recorded");
                activity = Activity::Notice { text };
            }
        }
        let report = ExecutorReport::Activity { turn_id: open.id().clone(), activity };
        // Before the prompt a successor reads from the beginning anyway.
        self.report(report, open.begun.is_some()).await;
    }

    /// Records something odd.
    pub(in crate::executor) async fn notice(&mut self, open: &OpenTurn, text: &str) {
        self.tell(open, Activity::Notice { text: redact::preview(text, MAX_NOTICE_CHARS) }).await;
    }

    /// Stores how far output was read, when much was read and nothing reported.
    pub(in crate::executor) async fn checkpoint_if_due(&mut self) {
        let Some(agent) = &mut self.agent else { return };
        if !agent.checkpoint_due() {
            return;
        }
        let checkpoint = agent.checkpoint();
        let Checkpoint { offset, .. } = checkpoint;
        match self.shared.context.ledger.launch_checkpoint(checkpoint).await {
            Ok(()) => agent.checkpointed(offset),
            Err(error) => tracing::warn!(launch = %agent.launch_id, %error, "a checkpoint could not be stored"),
        }
    }

    /// Tells what was learned until it is durable or refused. `with_checkpoint`: how far output was read goes along.
    /// False when akkd goes down before that: then the successor must find it out again.
    pub(in crate::executor) async fn report(&mut self, report: ExecutorReport, with_checkpoint: bool) -> bool {
        let mut pause = Duration::from_millis(100);
        loop {
            let checkpoint = self.agent.as_ref().filter(|_| with_checkpoint).map(|a| a.checkpoint());
            let offset = checkpoint.as_ref().map(|c| c.offset);
            let told = self.shared.context.reports.report(self.conversation.clone(), report.clone(), checkpoint);
            match told.await {
                Ok(()) => {
                    if let (Some(agent), Some(offset)) = (&mut self.agent, offset) {
                        agent.checkpointed(offset);
                    }
                    return true;
                }
                Err(error @ ReportError::Refused(_)) => {
                    tracing::warn!(conversation = %self.conversation, %error, ?report, "a report was refused");
                    return true;
                }
                Err(error) => tracing::error!(conversation = %self.conversation, %error, "a report waits"),
            }
            // The agent must not fill the disk while nothing of it can be taken.
            if let Some(agent) = &mut self.agent
                && let Err(error) = agent.guard_backlog()
            {
                tracing::warn!(%error, "the backlog of an agent cannot be bounded");
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(30)),
                () = self.shared.stopping.cancelled() => return false,
            }
        }
    }

    /// Carries a turn out, whatever comes, and ends it.
    pub(in crate::executor) async fn carry_out(&mut self, mut open: OpenTurn) {
        let stopped = match open.order.agent.transport {
            Transport::Acp => self.acp_turn(&mut open).await,
            Transport::Acpx => self.acpx_turn(&mut open).await,
            Transport::Codex if open.order.is_attached_live() => self.app_server_turn(&mut open).await,
            Transport::Codex => self.codex_turn(&mut open).await,
        };
        let Err(stopped) = stopped;
        self.conclude(open, stopped).await;
    }
}

async fn next_of(agent: Option<&mut Running>, scan: Duration) -> Happening {
    match agent {
        Some(agent) => agent.next(Some(scan)).await,
        None => std::future::pending().await,
    }
}

async fn until_then(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
