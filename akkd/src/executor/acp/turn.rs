//! A turn over ACP: process, session, model, prompt, answer.

use super::{permission, verdict, wire};
use crate::executor::launch::running::{Happening, Running, SessionFacts, StdinOf, recipe_of};
use crate::executor::launch::stdin::{AgentStdin, Written};
use crate::executor::model::{Setting, Wanted, effort_setting, model_setting};
use crate::executor::seat::Seat;
use crate::executor::seat::turn::{Break, Met, OpenTurn, Step};
use crate::executor::stream::{Refusal, RpcError, Seen};
use crate::store::{PromptFate, PromptRow};
use akk_core::{Ended, ExecutorReport, How, redact};
use akk_proto::conversation::Transport;
use akk_proto::event::{SessionEnsured, SessionReached};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// The version of the protocol that is spoken.
const PROTOCOL_VERSION: u64 = 1;
/// Settings of more JSON bytes than this are not kept over a restart of akkd.
const MAX_SETTINGS_BYTES: usize = 256 << 10;
/// How long the end of a process is waited for after its input broke.
const END_AFTER_BREAK: Duration = Duration::from_millis(500);
/// How long an answer to the agent may take until it is written, before reading goes on without that.
const ANSWER_WRITTEN: Duration = Duration::from_secs(2);

/// What to set of what is asked for, seen what the session offers.
type SettingOf = fn(&Wanted<'_>, &Value) -> Result<Option<Setting>, Refusal>;

/// What an agent can do, as `initialize` told.
#[derive(Debug, Clone, Copy)]
struct Abilities {
    load: bool,
    resume: bool,
}

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
        let (how, answer) = match open.order.native_session.clone() {
            None => {
                let answer = self.call(open, "new", "session/new", wire::new_session("new", &workspace), limit).await?;
                (SessionReached::Created, answer)
            }
            Some(id) if can.resume => {
                let line = wire::resume_session("load:1", &id, &workspace);
                (SessionReached::Resumed, self.call(open, "load:1", "session/resume", line, limit).await?)
            }
            Some(id) if can.load => {
                self.set_replaying(true);
                let line = wire::load_session("load:1", &id, &workspace);
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
        let settle = match open.fate() {
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

    /// Asks the agent something before the prompt and waits for the answer.
    async fn call(
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
    async fn answer(
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
    async fn acp_take(&mut self, open: &OpenTurn, seen: Seen) {
        match seen {
            Seen::Activity(activity) if open.begun.is_some() => self.tell(open, activity).await,
            Seen::Notice(text) => self.notice(open, &text).await,
            Seen::Request { id, method, params } if method == "session/request_permission" => {
                let cancelling = open.cancel.is_some();
                let decision = permission::decide(open.order.permissions, cancelling, &params);
                // Written before it is recorded: a successor that reads the request again answers it again.
                self.write_through(wire::permission(&id, decision.option.as_deref())).await;
                self.tell(open, decision.activity).await;
            }
            Seen::Request { id, method, .. } => self.write_through(wire::not_served(&id, &method)).await,
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

    async fn write_through(&self, line: Vec<u8>) {
        let Some(stdin) = self.agent.as_ref().and_then(|a| a.stdin.as_ref()) else { return };
        let Some(written) = stdin.acknowledged_line(line) else {
            tracing::warn!(conversation = %self.conversation, "an agent that reads nothing gets no answer");
            return;
        };
        // An agent that does not read must not stop the reading of what it writes.
        let _ = timeout(ANSWER_WRITTEN, written).await;
    }

    /// The agent's input broke: it is dying, or it closed it.
    async fn input_broke(&mut self, why: &str) -> Break {
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

/// The parts of an answer that say what can be set.
fn settings(answer: &Value) -> Value {
    let mut settings = serde_json::Map::new();
    for key in ["configOptions", "models"] {
        if let Some(value) = answer.get(key).filter(|v| !v.is_null()) {
            settings.insert(key.to_owned(), value.clone());
        }
    }
    Value::Object(settings)
}

/// What is set after `setting` was answered.
fn take_setting(settings: &mut Value, setting: &Setting, answer: &Value) {
    if let Some(options) = answer.get("configOptions").filter(|o| o.is_array()) {
        settings["configOptions"] = options.clone();
        return;
    }
    match setting {
        Setting::Option { config_id, value } => {
            let options = settings.get_mut("configOptions").and_then(Value::as_array_mut).into_iter().flatten();
            for option in options.filter(|o| o.get("id").and_then(Value::as_str) == Some(config_id)) {
                option["currentValue"] = json!(value);
            }
        }
        Setting::Model { model_id } => settings["models"]["currentModelId"] = json!(model_id),
    }
}

/// The model in use, where the agent says it.
fn current_model(settings: &Value) -> Option<String> {
    let options = settings.get("configOptions").and_then(Value::as_array).into_iter().flatten();
    let is_model = |o: &&Value| o.get("category").or_else(|| o.get("id")).and_then(Value::as_str) == Some("model");
    let option = options.filter(is_model).find_map(|o| o.get("currentValue").and_then(Value::as_str));
    let legacy = || settings.get("models").and_then(|m| m.get("currentModelId")).and_then(Value::as_str);
    option.or_else(legacy).map(|m| redact::cut(m, 200))
}
