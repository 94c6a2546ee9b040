//! A turn over ACP: process, session, model, prompt, answer.

use super::settings::{current_model, settings, take_setting};
use super::{verdict, wire};
use crate::executor::launch::facts::{SessionFacts, recipe_of};
use crate::executor::launch::offer::Offer;
use crate::executor::launch::running::{Running, StdinOf};
use crate::executor::launch::stdin::{AgentStdin, Written};
use crate::executor::model::{Setting, Wanted, effort_setting, model_setting};
use crate::executor::seat::Seat;
use crate::executor::seat::turn::{Break, Met, OpenTurn, Step};
use crate::executor::stream::{Refusal, RpcError, Seen};
use crate::store::{PromptFate, PromptRow};
use akk_core::{ExecutorReport, How, redact};
use akk_proto::conversation::Transport;
use akk_proto::event::{SessionEnsured, SessionReached};
use serde_json::Value;
use std::convert::Infallible;
use tokio::time::Instant;

/// The version of the protocol that is spoken.
const PROTOCOL_VERSION: u64 = 1;
/// Settings of more JSON bytes than this are not kept over a restart of akkd.
const MAX_SETTINGS_BYTES: usize = 256 << 10;

/// What to set of what is asked for, seen what the session offers.
type SettingOf = fn(&Wanted<'_>, &Value) -> Result<Option<Setting>, Refusal>;

/// What an agent can do, as `initialize` told.
#[derive(Debug, Clone, Copy)]
struct Abilities {
    load: bool,
    resume: bool,
}

/// Longest id of a session that an agent may give.
const MAX_SESSION_ID_BYTES: usize = 1000;

impl Seat {
    /// Carries a turn out from its beginning. The answer says why it stopped.
    pub(in crate::executor) async fn acp_turn(&mut self, open: &mut OpenTurn) -> Step<Infallible> {
        let argv = open.order.agent.command.clone();
        if self.can_go_on_with_agent(open, &argv) {
            match self.acp_prompted(open, None).await {
                // It died between the turns, or in this moment: nothing arrived, so a fresh one is tried.
                Err(Break::Died(_)) if !self.prompt_may_have_arrived(open) && open.cancel.is_none() => {
                    if open.begun.take().is_some() {
                        open.attempt += 1;
                    }
                    self.let_go(None).await;
                }
                other => return other,
            }
        } else {
            self.let_go(Some("a fresh agent process is needed".to_owned())).await;
        }
        let abilities = self.acp_launch(open, &argv).await?;
        self.acp_prompted(open, Some(abilities)).await
    }

    /// Whether the agent that is there has the session that is asked for, and would be started the same now.
    fn can_go_on_with_agent(&self, open: &OpenTurn, argv: &[String]) -> bool {
        let Some(agent) = &self.agent else { return false };
        let Some(session) = &agent.facts.session else { return false };
        open.order.native_session.as_deref() == Some(session.id.as_str())
            && agent.stdin.is_some()
            && !agent.process.has_ended()
            && agent.facts.transport == Transport::Acp
            && agent.facts.recipe == recipe_of(&self.shared, &open.order, argv)
    }

    /// Starts the agent and greets it.
    async fn acp_launch(&mut self, open: &mut OpenTurn, argv: &[String]) -> Step<Abilities> {
        let agent = Running::launch(&self.shared, &open.order, argv, StdinOf::Fifo)
            .await
            .map_err(|error| Break::cannot_start(redact::preview(&error.to_string(), 400)))?;
        let report = ExecutorReport::Launched {
            launch_id: agent.launch_id.clone(),
            transport: Transport::Acp,
            pid: agent.process.identity().pid,
            command: agent.facts.command.clone(),
        };
        // The greeting is under way while the launch is recorded.
        let greeted = agent.write(wire::initialize("init"));
        self.agent = Some(Box::new(agent));
        self.report(report, false).await;
        if !greeted {
            return Err(self.input_broke("the agent takes no input").await);
        }
        let limit = self.shared.context.timings.start;
        let answer = match self.answer(open, "init", "initialize", limit).await? {
            Ok(answer) => answer,
            Err(error) => return Err(Break::ended(verdict::of_session_error(&error, false))),
        };
        let version = answer.get("protocolVersion").and_then(Value::as_u64);
        if version != Some(PROTOCOL_VERSION) {
            let version = version.map_or_else(|| "an unknown version".to_owned(), |v| format!("version {v}"));
            return Err(Break::cannot_start(format!(
                "the agent speaks {version} of the Agent Client Protocol, akkd speaks version {PROTOCOL_VERSION}"
            )));
        }
        let capabilities = answer.get("agentCapabilities");
        let resume = capabilities.and_then(|c| c.get("sessionCapabilities")).and_then(|s| s.get("resume"));
        Ok(Abilities {
            load: capabilities.and_then(|c| c.get("loadSession")).and_then(Value::as_bool).unwrap_or(false),
            resume: resume.is_some_and(|r| !r.is_null() && *r != Value::Bool(false)),
        })
    }

    /// Reaches the session, sets the model, hands the prompt over and follows the turn. `fresh`: what an agent can do
    /// that was started for this turn; none for one that has the session already.
    async fn acp_prompted(&mut self, open: &mut OpenTurn, fresh: Option<Abilities>) -> Step<Infallible> {
        let (mut session, how) = match (fresh, self.agent.as_ref().and_then(|a| a.facts.session.clone())) {
            (None, Some(session)) => (session, SessionReached::Kept),
            (abilities, _) => {
                self.acp_session(open, abilities.unwrap_or(Abilities { load: false, resume: false })).await?
            }
        };
        let model = self.acp_model(open, &mut session).await?;
        let Some(agent) = &mut self.agent else { return Err(Break::cannot_start("the agent is gone")) };
        if agent.facts.session.as_ref() != Some(&session) {
            let mut facts = agent.facts.clone();
            facts.session = Some(session.clone());
            agent.facts = facts.clone();
            if serde_json::to_vec(&session.settings).is_ok_and(|s| s.len() > MAX_SETTINGS_BYTES) {
                facts.session = Some(SessionFacts { settings: Value::Null, ..session.clone() });
            }
            let facts = serde_json::to_value(&facts).unwrap_or_default();
            let stored = self.shared.context.ledger.launch_facts(agent.launch_id.clone(), facts).await;
            stored.map_err(|error| Break::cannot_start(error.to_string()))?;
        }
        agent.reader.stream.set_session(Some(&session.id));
        // From here on what is read belongs to the prompt, also for a successor that reads it again.
        agent.reader.begin(&open.order.turn_id);
        let ensured = SessionEnsured { native_session_id: session.id.clone(), how, model };
        self.report(ExecutorReport::SessionReady(ensured), true).await;
        self.acp_prompt(open, &session.id).await?;
        self.acp_follow(open, None).await
    }

    /// Makes the session, or reaches it again.
    async fn acp_session(&mut self, open: &mut OpenTurn, can: Abilities) -> Step<(SessionFacts, SessionReached)> {
        let limit = self.shared.context.timings.answer;
        let workspace = open.order.workspace.clone();
        let Some(launch) = self.agent.as_ref().map(|agent| agent.launch_id.clone()) else {
            return Err(Break::cannot_start("the agent is gone"));
        };
        let offer = Offer::of(&self.shared, &open.order, &launch);
        let (how, answer) = match open.order.native_session.clone() {
            None => {
                let answer =
                    self.call(open, "new", "session/new", wire::new_session("new", &workspace, &offer), limit).await?;
                (SessionReached::Created, answer)
            }
            Some(id) if can.resume => {
                let line = wire::resume_session("load:1", &id, &workspace, &offer);
                (SessionReached::Resumed, self.call(open, "load:1", "session/resume", line, limit).await?)
            }
            Some(id) if can.load => {
                self.set_replaying(true);
                let line = wire::load_session("load:1", &id, &workspace, &offer);
                let answer = self.call(open, "load:1", "session/load", line, limit).await;
                self.set_replaying(false);
                (SessionReached::Loaded, answer?)
            }
            Some(_) => {
                let reason = "the agent can neither resume nor load a session".to_owned();
                return Err(Break::ended(How::SessionLost { reason }));
            }
        };
        let existing = how != SessionReached::Created;
        let answer = answer.map_err(|error| Break::ended(verdict::of_session_error(&error, existing)))?;
        let named = answer.get("sessionId").and_then(Value::as_str).map(str::to_owned);
        let Some(id) = open.order.native_session.clone().or(named) else {
            return Err(Break::cannot_start("the agent made a session without an id"));
        };
        // It is stored with every state of the conversation, and cannot be cut.
        if id.len() > MAX_SESSION_ID_BYTES {
            return Err(Break::cannot_start("the agent made a session with an id of more than 1,000 bytes"));
        }
        Ok((SessionFacts { id, settings: settings(&answer) }, how))
    }

    /// Sets model and reasoning effort where they are not what was asked for; gives the model in use.
    async fn acp_model(&mut self, open: &mut OpenTurn, session: &mut SessionFacts) -> Step<Option<String>> {
        if let Some(name) = open.order.model.clone() {
            let wanted = Wanted::parse(&name);
            let steps: [SettingOf; 2] = [model_setting, effort_setting];
            for (step, setting_of) in steps.into_iter().enumerate() {
                let setting = setting_of(&wanted, &session.settings);
                let Some(setting) = setting.map_err(|r| Break::ended(verdict::refused(r)))? else { continue };
                let id = format!("set:{}:{}", open.id(), step + 1);
                let line = wire::set(&id, &session.id, &setting);
                let limit = self.shared.context.timings.answer;
                let answer = self.call(open, &id, "the choice of the model", line, limit).await?;
                let answer = answer.map_err(|e| Break::ended(verdict::of_setting_error(&e, &name)))?;
                take_setting(&mut session.settings, &setting, &answer);
            }
        }
        Ok(current_model(&session.settings))
    }

    /// Hands the prompt over in two steps (crash-safety 1).
    async fn acp_prompt(&mut self, open: &mut OpenTurn, session: &str) -> Step<()> {
        let prompts = &self.shared.context.prompts;
        let text = prompts.prompt(self.conversation.clone(), open.id().clone()).await;
        let text = text.map_err(|error| Break::cannot_start(error.to_string()))?;
        let Some(agent) = &self.agent else { return Err(Break::cannot_start("the agent is gone")) };
        let row = PromptRow {
            conversation_id: self.conversation.clone(),
            turn_id: open.id().clone(),
            attempt: open.attempt,
            launch_id: agent.launch_id.clone(),
            fate: PromptFate::Accepted,
        };
        let recorded = self.shared.context.ledger.prompt_put(row.clone()).await;
        recorded.map_err(|error| Break::cannot_start(error.to_string()))?;
        let bytes = text.len() as u64;
        open.begin(row.clone(), bytes);
        let Some(begun) = &open.begun else { return Err(Break::cannot_start("the prompt was not begun")) };
        let line = wire::prompt(&begun.id, session, text);
        let stdin = self.agent.as_ref().and_then(|a| a.stdin.as_ref());
        let queued = stdin.is_some_and(|stdin| stdin.prompt(line, row, begun.progress.clone()));
        if queued { Ok(()) } else { Err(self.input_broke("the agent takes no input").await) }
    }

    /// Goes on with a turn that a former akkd began.
    pub(in crate::executor) async fn acp_go_on(&mut self, open: &mut OpenTurn, cancelling: bool) -> Step<Infallible> {
        if cancelling {
            let grace = self.shared.context.timings.cancel_grace;
            open.begin_cancel(grace);
            self.acp_cancel(open).await?;
        }
        for answer in std::mem::take(&mut open.owed) {
            // Said twice where it had been passed on: the agent has forgotten the request then.
            self.pass_on(open, &answer).await;
        }
        // What was seen already is a sign, too.
        let arrived = self.agent.as_ref().is_some_and(|a| a.reader.stream.activity_seen());
        let settle = match open.fate() {
            Some(PromptFate::Finishing) if arrived => {
                self.prompt_arrived(open).await;
                None
            }
            Some(PromptFate::Finishing) if !cancelling => Some(Settling::Sign),
            _ => None,
        };
        self.acp_follow(open, settle).await
    }

    /// Follows the turn to its end. `settling`: the prompt of a former akkd may or may not have arrived.
    async fn acp_follow(&mut self, open: &mut OpenTurn, mut settling: Option<Settling>) -> Step<Infallible> {
        let timings = self.shared.context.timings;
        let id = open.begun.as_ref().map(|b| b.id.clone()).unwrap_or_default();
        let mut until = settling.map(|_| Instant::now() + timings.settle_sign);
        loop {
            match self.meet(open, until).await? {
                Met::Seen(seen) => {
                    for seen in seen {
                        match seen {
                            Seen::Response { id: answered, outcome } if answered == id => {
                                // A quick agent answers before the writer has said that the prompt is written.
                                self.prompt_sent(open).await;
                                return Err(self.acp_answered(open, &outcome, settling));
                            }
                            other => self.acp_take(open, other).await,
                        }
                    }
                    self.checkpoint_if_due().await;
                    let arrived = self.agent.as_ref().is_some_and(|a| a.reader.stream.activity_seen());
                    if arrived && matches!(settling, Some(Settling::Sign)) {
                        (settling, until) = (None, None);
                        self.prompt_arrived(open).await;
                    }
                }
                Met::Written(Written::Prompt) => self.prompt_sent(open).await,
                Met::Written(Written::NotRecorded(error)) => return Err(Break::cannot_start(error)),
                Met::Written(Written::Broken(error)) => {
                    if open.fate() != Some(PromptFate::Written) && settling.is_none() {
                        return Err(self.input_broke(&error).await);
                    }
                    if let Some(agent) = &mut self.agent {
                        agent.stdin = None;
                    }
                }
                Met::Lost(why) => return Err(Break::ended(How::Failed { reason: why })),
                Met::CancelAsked => {
                    (settling, until) = (None, None);
                    self.acp_cancel(open).await?;
                }
                Met::Late => match settling {
                    Some(Settling::Sign) => {
                        settling = Some(Settling::Answer);
                        until = Some(Instant::now() + timings.settle_answer);
                        self.acp_ask_to_stop(true);
                    }
                    Some(Settling::Answer) | None => {
                        let reason = "akkd went down while it handed the prompt over, and the agent does not say \
                                      whether it has it"
                            .to_owned();
                        return Err(Break::ended(How::Uncertain { reason }));
                    }
                },
            }
        }
    }

    /// How the turn ended, as the answer to its prompt says.
    fn acp_answered(&self, open: &OpenTurn, outcome: &Result<Value, RpcError>, settling: Option<Settling>) -> Break {
        let Some(agent) = &self.agent else { return Break::cannot_start("the agent is gone") };
        let how = verdict::of_answer(outcome, &agent.reader.stream, open.cancel.is_some());
        // Nobody asked for that cancel: it only found out that the prompt had arrived.
        if matches!((&how, settling), (How::Cancelled, Some(Settling::Answer))) {
            let reason = "akkd went down while it handed the prompt over; the agent had it and was stopped before it \
                          showed any activity"
                .to_owned();
            return Break::ended(How::Failed { reason });
        }
        Break::ended(how)
    }

    /// The prompt was handed over, whole. Said once.
    async fn prompt_sent(&mut self, open: &mut OpenTurn) {
        let turn_id = open.id().clone();
        let Some(begun) = open.begun.as_mut().filter(|b| b.row.fate != PromptFate::Written) else { return };
        begun.row.fate = PromptFate::Written;
        let report = ExecutorReport::PromptSent { turn_id, bytes: begun.bytes };
        self.report(report, false).await;
    }

    async fn prompt_arrived(&mut self, open: &mut OpenTurn) {
        let Some(begun) = &mut open.begun else { return };
        begun.row.fate = PromptFate::Written;
        if let Err(error) = self.shared.context.ledger.prompt_put(begun.row.clone()).await {
            tracing::warn!(%error, "a prompt that arrived could not be recorded as written");
        }
    }

    /// The first step of a cancel: the protocol's own, or straight on where there is nothing to cancel by it.
    async fn acp_cancel(&mut self, open: &mut OpenTurn) -> Step<()> {
        let unsure = open.fate() == Some(PromptFate::Finishing);
        if open.begun.is_some() && self.acp_ask_to_stop(unsure) {
            self.cancel_was_asked(open).await;
            Ok(())
        } else {
            self.cancel_harder(open).await
        }
    }

    /// Sends the protocol's cancel. `after_stump`: half a line may lie there, which a line feed ends; where the line
    /// was whole, an empty one follows it, which agents skip.
    fn acp_ask_to_stop(&self, after_stump: bool) -> bool {
        let Some(agent) = &self.agent else { return false };
        let Some(session) = &agent.facts.session else { return false };
        let mut line = if after_stump && self.writer_is_idle() { b"\n".to_vec() } else { Vec::new() };
        line.extend(wire::cancel(&session.id));
        agent.write(line)
    }

    fn writer_is_idle(&self) -> bool {
        self.agent.as_ref().and_then(|a| a.stdin.as_ref()).is_some_and(AgentStdin::is_drained)
    }

    fn set_replaying(&mut self, replaying: bool) {
        if let Some(agent) = &mut self.agent {
            agent.reader.stream.set_replaying(replaying);
        }
    }
}

/// How the fate of a former akkd's prompt is found out (crash-safety 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settling {
    /// Any sign of activity tells that it had arrived.
    Sign,
    /// So does the answer that follows a cancel.
    Answer,
}
