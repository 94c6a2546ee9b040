//! A turn over acpx: session, model, client, last word. Nothing of it stays: queue owner and agent are ended with the
//! turn, and the next one resumes the session.

use super::answer;
use super::command::Commands;
use super::verdict::{self, Facts, LastWord};
use crate::executor::TurnOrder;
use crate::executor::launch::folder::LaunchFolder;
use crate::executor::launch::running::{Happening, Running, StdinOf};
use crate::executor::seat::Seat;
use crate::executor::seat::turn::{Break, Met, OpenTurn, Step};
use crate::executor::shared::Shared;
use crate::executor::stream::{RpcError, Seen, StreamReader};
use crate::platform::Signal;
use akk_core::{Ended, ExecutorReport, How, redact};
use akk_proto::LaunchId;
use akk_proto::event::{CancelStep, Exit, SessionEnsured, SessionReached};
use serde_json::Value;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a short command that starts no agent may take.
const SHORT_COMMAND: Duration = Duration::from_mins(1);
/// How much of a short command's output is looked at, in bytes.
const SHORT_ANSWER: usize = 64 << 10;
/// How long a client may live on after its last word.
const AFTER_LAST_WORD: Duration = Duration::from_secs(10);
/// How long the session's record is looked through for a turn before it counts as not recorded. The record is told
/// from its beginning, about 0.4 s after the start.
const LOOKED_THROUGH: Duration = Duration::from_secs(20);

/// How long a killed queue owner may keep its process id: acpx (0.19.1) takes it for alive as long, and refuses the next turn,
/// whose MCP configuration is another one. An init frees it at once, a busy one later. Where there is none, as in some
/// containers, acpx cannot go on with the session at all, and says so.
const OWNER_REAPED: Duration = Duration::from_secs(10);

/// How a client was left.
struct Left {
    last_word: Option<LastWord>,
    exit: Option<Exit>,
}

impl Seat {
    /// Carries a turn out from its beginning. The answer says why it stopped.
    pub(in crate::executor) async fn acpx_turn(&mut self, open: &mut OpenTurn) -> Step<Infallible> {
        self.let_go(Some("a fresh client is needed".to_owned())).await;
        let commands = Commands::of(&open.order);
        self.acpx_session(open, &commands).await?;
        let order = open.order.clone();
        let launch_id = LaunchId::new(uuid::Uuid::now_v7());
        let tools = LaunchFolder::of(&self.shared.launches, &launch_id).mcp_config();
        self.start_client(open, &order, &commands.prompt(&tools), launch_id).await?;
        let left = self.acpx_follow(open).await?;
        self.acpx_settle(open, left).await
    }

    /// Goes on with a turn that a former akkd began. `adopted`: its client was found, dead or alive.
    pub(in crate::executor) async fn acpx_go_on(
        &mut self,
        open: &mut OpenTurn,
        adopted: bool,
        cancelling: bool,
    ) -> Step<Infallible> {
        if cancelling {
            let grace = self.shared.context.timings.cancel_grace;
            open.begin_cancel(grace);
            self.acpx_cancel(open).await?;
        }
        let left = if adopted { self.acpx_follow(open).await? } else { Left { last_word: None, exit: None } };
        self.acpx_settle(open, left).await
    }

    /// Makes the session, or finds it, and sets the reasoning effort.
    async fn acpx_session(&mut self, open: &mut OpenTurn, commands: &Commands) -> Step<()> {
        let limit = self.shared.context.timings.start;
        let model = open.order.model.clone();
        let refused = |error: RpcError| Break::ended(verdict::before_prompt(&error, model.as_deref()));
        let said = self.acpx_ask(open, &commands.ensure(), "sessions ensure", limit).await?;
        let ensured = answer::ensured(&said).map_err(refused)?;
        if ensured.created && open.order.native_session.is_some() {
            let reason = "acpx does not know the session any more, and made another one".to_owned();
            return Err(Break::ended(How::SessionLost { reason }));
        }
        let how = if ensured.created { SessionReached::Created } else { SessionReached::Resumed };
        let report = SessionEnsured { native_session_id: ensured.native_session_id, how, model: model.clone() };
        self.report(ExecutorReport::SessionReady(report), false).await;
        if let Some(set) = commands.set_effort() {
            let said = self.acpx_ask(open, &set, "set", limit).await?;
            answer::done(&said).map_err(refused)?;
        }
        Ok(())
    }

    /// Follows the client that is there to its end.
    async fn acpx_follow(&mut self, open: &mut OpenTurn) -> Step<Left> {
        let mut last_word = None;
        let mut until = None;
        loop {
            match self.meet(open, until).await {
                Err(Break::Died(exit)) => return Ok(Left { last_word, exit }),
                Err(stopped) => return Err(stopped),
                Ok(Met::Seen(seen)) => {
                    for seen in seen {
                        if let Some(word) = LastWord::of(&seen) {
                            last_word = Some(word);
                            until = Some(Instant::now() + AFTER_LAST_WORD);
                        } else {
                            self.acpx_take(open, seen).await?;
                        }
                    }
                    // What follows the last word must be read again by a successor, with that word.
                    if last_word.is_none() {
                        self.checkpoint_if_due().await;
                    }
                }
                Ok(Met::CancelAsked) => self.acpx_cancel(open).await?,
                Ok(Met::Late) => return Ok(Left { last_word, exit: None }),
                Ok(Met::Lost(why)) => return Err(Break::ended(How::Failed { reason: why })),
                Ok(Met::Written(_)) => {}
            }
        }
    }

    /// Ends the turn of a client that is gone: by its last word, else by what the session's record tells.
    async fn acpx_settle(&mut self, open: &mut OpenTurn, left: Left) -> Step<Infallible> {
        let exit = left.exit;
        let asked_again = open.order.native_session.is_some();
        let mut ended = match self.acpx_judge(open, &left) {
            _ if asked_again && self.agent.as_ref().is_some_and(|c| c.reader.stream.session_made()) => {
                let reason = "acpx could not resume the agent session".to_owned();
                let began = self.agent.as_ref().is_some_and(|c| c.reader.stream.activity_seen());
                Ended::bare(match (open.cancel, began) {
                    (Some(_), _) => How::Cancelled,
                    (None, true) => How::Failed { reason },
                    // acpx prompts the session that it made by itself, and says so after the fact at best (0.19.1):
                    // a replay could be the second prompt. The user chooses.
                    (None, false) => How::Uncertain {
                        reason: format!("{reason} and may have prompted a new one; recover to replay"),
                    },
                })
            }
            Some(how) => Ended::bare(how),
            None => self.acpx_look_up(open, left).await?,
        };
        ended.exit = exit;
        if open.cancel.is_some_and(|c| c.step != CancelStep::Cooperative) {
            // Ours are ended with the client; what then still lives would go on with the turn.
            if let Some(client) = &mut self.agent {
                client.end(&self.shared).await;
                tokio::select! {
                    () = client.process.reaped(OWNER_REAPED) => {}
                    () = self.shared.stopping.cancelled() => {}
                }
            }
            close_if_owned(&self.shared, &open.order).await;
        }
        Err(Break::Ended(Box::new(ended)))
    }

    /// None when only the session's record can tell.
    fn acpx_judge(&self, open: &OpenTurn, left: &Left) -> Option<How> {
        let Some(client) = &self.agent else { return open.cancel.map(|_| How::Cancelled) };
        let facts = Facts {
            reader: &client.reader.stream,
            last_word: left.last_word.as_ref(),
            exit: left.exit,
            stderr: &client.stderr(),
            stopping: open.cancel.is_some(),
        };
        (!verdict::is_unknown(&facts)).then(|| verdict::judge(&facts))
    }

    /// Finds out from the session's record how the turn ended, or follows it there to its end.
    async fn acpx_look_up(&mut self, open: &mut OpenTurn, left: Left) -> Step<Ended> {
        let text = self.shared.context.prompts.prompt(self.conversation.clone(), open.id().clone()).await;
        let Ok(text) = text else {
            return Ok(uncertain("acpx ended without a result, and the prompt is gone"));
        };
        self.notice(open, "acpx ended without a result: the session's record is asked").await;
        // The client is kept aside: ending its tree would end the queue owner, which may be at work.
        let client = self.agent.take();
        let argv = Commands::of(&open.order).watch();
        let found = match Running::launch(&self.shared, &open.order, &argv, StdinOf::Prompt(b"")).await {
            Ok(mut watch) => {
                watch.reader.stream = StreamReader::watching(&text);
                self.agent = Some(Box::new(watch));
                self.acpx_follow_record(open).await
            }
            Err(error) => {
                tracing::error!(conversation = %self.conversation, %error, "a session's record cannot be read");
                Ok(left.last_word)
            }
        };
        if matches!(found, Err(Break::Shutdown)) {
            // The successor asks again; the client's launch is still the one that the turn belongs to.
            return Err(Break::Shutdown);
        }
        let watch = std::mem::replace(&mut self.agent, client);
        let told = watch.as_ref().map(|w| w.reader.stream.clone());
        if let Some(watch) = watch {
            end_quietly(&self.shared, *watch).await;
        }
        let last_word = found?;
        let Some(told) = told else { return Ok(uncertain("acpx ended without a result")) };
        let facts = Facts {
            reader: &told,
            last_word: last_word.as_ref(),
            exit: None,
            stderr: "",
            stopping: open.cancel.is_some(),
        };
        let mut ended = Ended::bare(verdict::judge(&facts));
        if let Some((text, cut)) = told.final_text() {
            (ended.text, ended.text_truncated) = (Some(text), cut);
        }
        (ended.usage, ended.thoughts, ended.activity_seen) = (told.usage(), told.thoughts(), told.activity_seen());
        if let Some(client) = self.agent.as_mut().filter(|_| told.prompt_sent()) {
            client.reader.stream = told;
        }
        Ok(ended)
    }

    /// Follows the session's record until the turn's end; none when it does not tell.
    async fn acpx_follow_record(&mut self, open: &mut OpenTurn) -> Step<Option<LastWord>> {
        let mut until = Some(Instant::now() + LOOKED_THROUGH);
        loop {
            match self.meet(open, until).await {
                Err(Break::Died(_)) | Ok(Met::Late | Met::Lost(_)) => return Ok(None),
                Err(stopped) => return Err(stopped),
                Ok(Met::Seen(seen)) => {
                    for seen in seen {
                        match seen {
                            Seen::PromptSent => until = None,
                            Seen::Activity(_) | Seen::Notice(_) => {}
                            other => {
                                if let Some(word) = LastWord::of(&other) {
                                    return Ok(Some(word));
                                }
                            }
                        }
                    }
                }
                Ok(Met::CancelAsked) => self.acpx_cancel(open).await?,
                Ok(Met::Written(_)) => {}
            }
        }
    }

    /// Takes in what is not the last word.
    async fn acpx_take(&mut self, open: &mut OpenTurn, seen: Seen) -> Step<()> {
        match seen {
            Seen::Activity(activity) => self.tell(open, activity).await,
            Seen::Notice(text) => self.notice(open, &text).await,
            Seen::PromptSent => {
                if self.client_handed_over(open).await {
                    self.acpx_cancel(open).await?;
                }
            }
            Seen::Response { id, outcome: Ok(session) } if id == "session/new" => {
                self.acpx_fresh_session(open, &session).await;
            }
            Seen::Text
            | Seen::Thought
            | Seen::Request { .. }
            | Seen::Withdrawn { .. }
            | Seen::Response { .. }
            | Seen::Nothing => {}
        }
        Ok(())
    }

    /// acpx made a new session without a word, because it could not resume the old one. In a first turn that is as
    /// good; later the agent would take the prompt without knowing the task, so it is stopped before it begins.
    async fn acpx_fresh_session(&mut self, open: &OpenTurn, session: &Value) {
        if open.order.native_session.is_none() {
            let Some(id) = session.get("sessionId").and_then(Value::as_str) else { return };
            let native_session_id = redact::cut(id, 200);
            let model = open.order.model.clone();
            let ensured = SessionEnsured { native_session_id, how: SessionReached::Created, model };
            self.report(ExecutorReport::SessionReady(ensured), true).await;
            return;
        }
        let Some(client) = &mut self.agent else { return };
        if let Err(error) = client.process.signal_tree(Signal::KILL).await {
            tracing::error!(launch = %client.launch_id, %error, "a client in the wrong session could not be ended");
        }
    }

    /// The first step of a cancel: acpx' own. It does not wait until the agent has stopped, so neither does this.
    async fn acpx_cancel(&mut self, open: &mut OpenTurn) -> Step<()> {
        // Before the agent has the prompt there is nothing that it could stop: then it follows the prompt.
        if self.agent.as_ref().is_some_and(|client| !client.reader.stream.prompt_sent()) {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let order = open.order.clone();
        tokio::spawn(async move { cancel(&shared, &order).await });
        self.cancel_was_asked(open).await;
        Ok(())
    }

    /// Runs a short command before the prompt and gives what it said on stdout.
    async fn acpx_ask(&mut self, open: &mut OpenTurn, argv: &[String], name: &str, limit: Duration) -> Step<Vec<u8>> {
        let client = Running::launch(&self.shared, &open.order, argv, StdinOf::Prompt(b"")).await;
        let client = client.map_err(|error| Break::cannot_start(redact::preview(&error.to_string(), 400)))?;
        self.agent = Some(Box::new(client));
        let until = Instant::now() + limit;
        let outcome = loop {
            match self.meet(open, Some(until)).await {
                Err(Break::Died(_)) => break Ok(()),
                Err(Break::Shutdown) => return Err(Break::Shutdown),
                Err(stopped) => break Err(stopped),
                Ok(Met::CancelAsked) => break Err(Break::ended(How::Cancelled)),
                Ok(Met::Late) => {
                    let seconds = limit.as_secs();
                    break Err(Break::cannot_start(format!("acpx did not answer `{name}` within {seconds} s")));
                }
                Ok(Met::Lost(why)) => break Err(Break::cannot_start(format!("acpx cannot be followed: {why}"))),
                Ok(Met::Seen(_) | Met::Written(_)) => {}
            }
        };
        let Some(client) = self.agent.take() else { return Err(Break::cannot_start("acpx is gone")) };
        let said = client.stdout(SHORT_ANSWER);
        end_quietly(&self.shared, *client).await;
        outcome.map(|()| said)
    }
}

fn uncertain(reason: &str) -> Ended {
    Ended::bare(How::Uncertain { reason: reason.to_owned() })
}

/// Asks the agent of this order to stop.
async fn cancel(shared: &Shared, order: &TurnOrder) {
    let Some(said) = run_aside(shared, order, &Commands::of(order).cancel()).await else { return };
    match answer::cancelled(&said) {
        Ok(found) => tracing::debug!(conversation = %order.conversation_id, found, "acpx was asked to cancel"),
        Err(error) => tracing::warn!(conversation = %order.conversation_id, %error, "acpx did not cancel"),
    }
}

/// Closes the session when its queue owner still lives: one that akkd did not start, such as the user's own.
async fn close_if_owned(shared: &Shared, order: &TurnOrder) {
    let commands = Commands::of(order);
    let Some(said) = run_aside(shared, order, &commands.status()).await else { return };
    if answer::owner_lives(&said) != Ok(true) {
        return;
    }
    tracing::info!(conversation = %order.conversation_id, "the session is closed: its queue owner is not akkd's");
    let Some(said) = run_aside(shared, order, &commands.close()).await else { return };
    if let Err(error) = answer::done(&said) {
        tracing::warn!(conversation = %order.conversation_id, %error, "acpx did not close the session");
    }
}

/// Runs a short command beside the turn's client and gives what it said; none when it could not be run.
async fn run_aside(shared: &Shared, order: &TurnOrder, argv: &[String]) -> Option<Vec<u8>> {
    let mut client = match Running::launch(shared, order, argv, StdinOf::Prompt(b"")).await {
        Ok(client) => client,
        Err(error) => {
            tracing::warn!(conversation = %order.conversation_id, %error, "acpx cannot be started");
            return None;
        }
    };
    let over = async { while !matches!(client.next(None).await, Happening::Exited(_) | Happening::Lost(_)) {} };
    tokio::select! {
        late = timeout(SHORT_COMMAND, over) => {
            if late.is_err() {
                tracing::warn!(conversation = %order.conversation_id, "a command of acpx took too long and is ended");
            }
        }
        // The successor ends what is left.
        () = shared.stopping.cancelled() => return None,
    }
    let said = client.stdout(SHORT_ANSWER);
    end_quietly(shared, client).await;
    Some(said)
}

/// Ends what is left of a client that is not the turn's, and records that.
async fn end_quietly(shared: &Shared, mut client: Running) {
    let gone = client.end(shared).await;
    if gone && let Err(error) = shared.context.ledger.launch_gone(client.launch_id.clone()).await {
        tracing::warn!(%error, "a launch could not be recorded as gone");
    }
}
