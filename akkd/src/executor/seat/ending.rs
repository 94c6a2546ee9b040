//! How a turn ends: once, truthfully, and with a decision about its process.

use super::Seat;
use super::turn::{Break, OpenTurn};
use crate::executor::launch::running::Running;
use crate::executor::stream::refusal_in_text;
use crate::store::{PromptFate, PromptRow};
use akk_core::{Ended, ExecutorReport, How, redact};
use akk_proto::event::{CancelStep, Exit};
use tokio::time::Instant;

impl Seat {
    /// Ends a turn whose work stopped, unless akkd goes down.
    pub(in crate::executor) async fn conclude(&mut self, open: OpenTurn, stopped: Break) {
        let ended = match stopped {
            Break::Ended(ended) => *ended,
            Break::Died(exit) => self.judge_death(&open, exit),
            Break::Shutdown => {
                self.going_down = true;
                self.left_open = true;
                return;
            }
        };
        self.finish(open, ended).await;
    }

    /// How a turn ended whose process ended. `open` is the turn, and all of its output was read.
    pub(in crate::executor) fn judge_death(&self, open: &OpenTurn, exit: Option<Exit>) -> Ended {
        let Some(agent) = &self.agent else { return Ended::bare(How::Failed { reason: "the agent is gone".into() }) };
        let stderr = agent.stderr();
        let how = if open.cancel.is_some() {
            How::Cancelled
        } else if let Some(refusal) = agent.reader.stream.model_refusal().or_else(|| refusal_in_text(&stderr)) {
            How::ModelRefused { attempted: refusal.attempted, available: refusal.available, reason: refusal.reason }
        } else {
            let last = stderr.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or_default();
            let last = redact::preview(last, 200);
            let because = if last.is_empty() { String::new() } else { format!(": {last}") };
            let ended = format!("the agent process ended{}", said(exit));
            match open.fate().filter(|_| self.prompt_may_have_arrived(open)) {
                None | Some(PromptFate::Accepted) => {
                    How::CannotStart { reason: format!("{ended} before it took the prompt{because}") }
                }
                Some(PromptFate::Finishing) if !agent.reader.stream.activity_seen() => {
                    How::Uncertain { reason: format!("{ended}, and whether the prompt had reached it cannot be known") }
                }
                Some(_) => How::Failed { reason: format!("{ended} before it answered the prompt{because}") },
            }
        };
        let mut ended = Ended::bare(how);
        ended.exit = exit;
        ended
    }

    /// Whether a dead agent may have read the whole prompt. Its last two bytes were written together: while they lie
    /// unread, it has not. That counts only where nothing was written after them.
    pub(in crate::executor) fn prompt_may_have_arrived(&self, open: &OpenTurn) -> bool {
        let Some(begun) = &open.begun else { return false };
        let written_last = begun.progress.fate() != PromptFate::Accepted && open.cancel.is_none();
        let unread = |agent: &Running| !agent.reader.stream.activity_seen() && agent.left_input_unread();
        open.fate() != Some(PromptFate::Accepted) && !(written_last && self.agent.as_deref().is_some_and(unread))
    }

    /// Ends the turn: exactly once, with everything that its output told, and decides about the process.
    pub(in crate::executor) async fn finish(&mut self, mut open: OpenTurn, mut ended: Ended) {
        if let Some(agent) = &mut self.agent {
            let stream = &agent.reader.stream;
            if open.begun.is_some() {
                (ended.text, ended.text_truncated) = stream.final_text().unzip_text();
                ended.usage = stream.usage();
                ended.thoughts = stream.thoughts();
                ended.activity_seen = stream.activity_seen();
                agent.reader.turns += 1;
            }
            if matches!(ended.how, How::Failed { .. } | How::CannotStart { .. } | How::Uncertain { .. }) {
                ended.trace = agent.trace();
            }
            agent.reader.turn = None;
        }
        let keep = self.keeps_agent(&open, &ended);
        let report = ExecutorReport::TurnEnded { turn_id: open.id().clone(), ended: Box::new(ended) };
        self.report(report, open.begun.is_some()).await;
        if let Some(begun) = open.begun.take() {
            let row = PromptRow { fate: PromptFate::Ended, ..begun.row };
            if let Err(error) = self.shared.context.ledger.prompt_put(row).await {
                tracing::warn!(%error, "a prompt could not be recorded as ended");
            }
        }
        self.idle_since = Instant::now();
        if let Err(reason) = keep {
            self.let_go(reason).await;
        }
    }

    /// Whether the process stays for the next turn; else why not, none where it ended by itself.
    fn keeps_agent(&mut self, open: &OpenTurn, ended: &Ended) -> Result<(), Option<String>> {
        let left = self.leave_agent.take();
        let Some(agent) = &self.agent else { return Ok(()) };
        if left.is_some() {
            return Err(left);
        }
        if agent.process.has_ended() {
            let cancelled = open.cancel.filter(|c| c.step != CancelStep::Cooperative);
            return Err(cancelled.map(|_| "cancelled".to_owned()));
        }
        if open.cancel.is_some_and(|c| c.step != CancelStep::Cooperative) {
            return Err(Some("cancelled".to_owned()));
        }
        match &ended.how {
            How::Normal { .. } | How::Cancelled | How::Failed { .. } | How::ModelRefused { .. }
                if agent.stdin.is_some() && agent.facts.session.is_some() && agent.facts.warm_ms > 0 =>
            {
                Ok(())
            }
            How::Normal { .. } | How::Cancelled => Err(Some("the turn is over".to_owned())),
            _ => Err(Some("the turn failed".to_owned())),
        }
    }
}

/// ` with exit code 3`, ` by signal 9`, or nothing.
fn said(exit: Option<Exit>) -> String {
    match exit {
        Some(Exit::Code(code)) => format!(" with exit code {code}"),
        Some(Exit::Signal(signal)) => format!(" by signal {signal}"),
        None => String::new(),
    }
}

trait UnzipText {
    fn unzip_text(self) -> (Option<String>, bool);
}

impl UnzipText for Option<(String, bool)> {
    fn unzip_text(self) -> (Option<String>, bool) {
        self.map_or((None, false), |(text, cut)| (Some(text), cut))
    }
}
