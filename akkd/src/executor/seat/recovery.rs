//! Settling what a former akkd left: which processes go on, which turns go on, and how the others ended.

use super::Seat;
use super::turn::OpenTurn;
use crate::executor::launch::facts::Reader;
use crate::executor::launch::folder::LaunchFolder;
use crate::executor::launch::process::AgentProcess;
use crate::executor::launch::running::Running;
use crate::executor::{PermissionAnswer, RecoveredTurn};
use crate::fault::{Point, point};
use crate::platform::ProcessIdentity;
use crate::store::{LaunchRow, PromptFate, PromptRow};
use akk_core::{Effect, Ended, ExecutorReport, How};
use akk_proto::conversation::Transport;
use serde_json::Value;

/// What a former akkd left of one conversation.
#[derive(Debug, Default)]
pub(in crate::executor) struct Found {
    /// Launches that are not recorded as gone, oldest first, each with its process where one is known.
    pub(in crate::executor) launches: Vec<(LaunchRow, Option<ProcessIdentity>)>,
    /// The turn that was open.
    pub(in crate::executor) turn: Option<RecoveredTurn>,
}

/// What becomes of a turn that was open.
enum Fate {
    /// Its prompt was begun in this launch, and may have arrived.
    Begun(PromptRow),
    /// No prompt of it arrived. The row of an attempt that was cut short.
    NotBegun(Option<PromptRow>),
}

impl Seat {
    /// Settles it.
    pub(in crate::executor) async fn recover(&mut self, found: Found) {
        let Found { launches, turn } = found;
        let fate = match &turn {
            Some(turn) => self
                .fate_of(turn)
                .await
                .inspect_err(|reason| tracing::error!(conversation = %self.conversation, reason, "no fate of a prompt"))
                .ok(),
            None => None,
        };
        let keep = launches.iter().rposition(|(row, process)| match &fate {
            Some(Fate::Begun(prompt)) => row.launch_id == prompt.launch_id,
            _ => process.as_ref().is_some_and(|p| is_warm(row) && p.is_alive().unwrap_or(false)),
        });
        let mut kept = None;
        for (index, (row, process)) in launches.into_iter().enumerate() {
            if Some(index) == keep {
                kept = process.map(|process| (row, process));
            } else {
                self.end_left_over(&row, process).await;
            }
        }
        let adopted = match kept {
            Some((row, process)) => self.adopt(row, process).await,
            None => false,
        };
        match (turn, fate) {
            (Some(turn), Some(Fate::Begun(prompt))) => self.go_on(turn, prompt, adopted).await,
            (Some(turn), Some(Fate::NotBegun(stump))) => self.begin_again(turn, stump).await,
            (Some(turn), None) => {
                let reason = "akkd could not read how far the prompt came".to_owned();
                self.finish(OpenTurn::new(turn.order), Ended::bare(How::Uncertain { reason })).await;
            }
            (None, _) => {}
        }
    }

    async fn fate_of(&self, turn: &RecoveredTurn) -> Result<Fate, String> {
        let prompts = self.shared.context.ledger.prompts_of(self.conversation.clone(), turn.order.turn_id.clone());
        let last = prompts.await.map_err(|e| e.to_string())?.pop();
        Ok(match last {
            Some(row) if row.fate != PromptFate::Accepted => Fate::Begun(row),
            other => Fate::NotBegun(other),
        })
    }

    /// Takes a launch over as this conversation's agent. False when that cannot be: then it was ended.
    async fn adopt(&mut self, row: LaunchRow, process: ProcessIdentity) -> bool {
        match Running::adopt(&self.shared, &row, process.clone()) {
            Ok(agent) => {
                self.agent = Some(Box::new(agent));
                true
            }
            Err(error) => {
                tracing::error!(launch = %row.launch_id, %error, "a launch cannot be adopted");
                self.end_left_over(&row, Some(process)).await;
                false
            }
        }
    }

    /// Ends a launch that is not adopted, and what descends from it.
    async fn end_left_over(&mut self, row: &LaunchRow, process: Option<ProcessIdentity>) {
        let mut gone = true;
        if let Some(identity) = process {
            let timings = self.shared.context.timings;
            let ended = match AgentProcess::find(&row.launch_id, identity) {
                Ok(mut process) => process.end_tree(timings.end_grace, timings.kill_wait).await,
                Err(error) => Err(error),
            };
            gone = ended.unwrap_or_else(|error| {
                tracing::error!(launch = %row.launch_id, %error, "a process tree could not be ended");
                false
            });
            let reason = Some("akkd was restarted, and no turn needs it".to_owned());
            let report = ExecutorReport::Exited { launch_id: row.launch_id.clone(), exit: None, reason };
            self.report(report, false).await;
        }
        if !gone {
            return;
        }
        LaunchFolder::of(&self.shared.launches, &row.launch_id).remove();
        point(Point::TreeEnded);
        if let Err(error) = self.shared.context.ledger.launch_gone(row.launch_id.clone()).await {
            tracing::warn!(%error, "a launch could not be recorded as gone");
        }
    }

    /// Goes on with a turn whose prompt may have arrived.
    async fn go_on(&mut self, turn: RecoveredTurn, prompt: PromptRow, adopted: bool) {
        let mut open = OpenTurn::new(turn.order);
        let Some(agent) = self.agent.as_mut().filter(|_| adopted) else {
            if open.order.agent.transport == Transport::Acpx {
                open.begin(prompt, 0);
                let Err(stopped) = self.acpx_go_on(&mut open, false, turn.cancelling).await;
                return self.conclude(open, stopped).await;
            }
            if open.order.agent.transport == Transport::Codex && open.order.is_attached_live() {
                open.begin(prompt, 0);
                let Err(stopped) = self.app_server_go_on(&mut open, turn.cancelling).await;
                return self.conclude(open, stopped).await;
            }
            if open.order.agent.transport == Transport::Codex {
                open.begin(prompt, 0);
                let Err(stopped) = self.codex_go_on(&mut open, false, turn.cancelling).await;
                return self.conclude(open, stopped).await;
            }
            let how = match prompt.fate {
                PromptFate::Finishing => How::Uncertain {
                    reason: "akkd went down while it handed the prompt over, and the agent is gone".to_owned(),
                },
                _ => How::Failed { reason: "the agent was gone when akkd came back".to_owned() },
            };
            return self.finish(open, Ended::bare(how)).await;
        };
        if agent.reader.turn.as_ref() != Some(open.id()) {
            agent.reader.begin(open.id());
        }
        if let Some(session) = &agent.facts.session {
            agent.reader.stream.set_session(Some(&session.id));
        }
        let (launch_id, pid, alive) =
            (agent.launch_id.clone(), agent.process.identity().pid, !agent.process.has_ended());
        open.begin(prompt, 0);
        for pending in turn.permissions.iter().filter(|p| p.requested.request.launch_id == launch_id) {
            match pending.answer() {
                Some(Effect::AnswerPermission { launch_id, request, option }) => {
                    open.owed.push(PermissionAnswer { launch_id, request, option });
                }
                _ => open.waits_for_person(pending.requested.request.id.clone()),
            }
        }
        if alive {
            self.report(ExecutorReport::Readopted { launch_id, pid }, false).await;
        }
        let cancelling = turn.cancelling;
        let stopped = match open.order.agent.transport {
            Transport::Acp => self.acp_go_on(&mut open, cancelling).await,
            Transport::Acpx => self.acpx_go_on(&mut open, true, cancelling).await,
            Transport::Codex => self.codex_go_on(&mut open, true, cancelling).await,
        };
        let Err(stopped) = stopped;
        self.conclude(open, stopped).await;
    }

    /// Starts a turn again whose prompt provably did not arrive.
    async fn begin_again(&mut self, turn: RecoveredTurn, stump: Option<PromptRow>) {
        let mut open = OpenTurn::new(turn.order);
        if turn.cancelling {
            return self.finish(open, Ended::bare(How::Cancelled)).await;
        }
        if let Some(stump) = stump {
            open.attempt = stump.attempt + 1;
            if let Some(agent) = self.agent.as_ref().filter(|a| a.launch_id == stump.launch_id) {
                // Ends the half line, should one lie there: the agent calls it broken and goes on.
                agent.write(b"\n".to_vec());
            }
        }
        self.carry_out(open).await;
    }
}

/// Whether a turn ended in this launch and it may serve another one: only such an agent is adopted without a turn.
fn is_warm(row: &LaunchRow) -> bool {
    row.reader != Value::Null
        && serde_json::from_value::<Reader>(row.reader.clone()).is_ok_and(|reader| reader.turns > 0)
        && row.facts.get("transport").and_then(Value::as_str) == Some(Transport::Acp.as_str())
}
