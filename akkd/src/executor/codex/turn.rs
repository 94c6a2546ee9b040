//! A turn of a native session: look, client, last word. Nothing of it stays; the next turn resumes the session.

use super::command;
use super::target::{self, ACTIVE_WRITER};
use super::verdict::{self, Facts, LastWord};
use crate::executor::TurnOrder;
use crate::executor::launch::offer::Offer;
use crate::executor::seat::Seat;
use crate::executor::seat::turn::{Break, Met, OpenTurn, Step};
use crate::executor::stream::{CODEX_THREAD, Seen};
use crate::platform::Signal;
use crate::sessions::SessionFacts;
use akk_core::{Ended, ExecutorReport, How};
use akk_proto::LaunchId;
use akk_proto::error::Failure;
use akk_proto::event::{Exit, SessionEnsured, SessionReached};
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// How long a look at a session may take.
const LOOK: Duration = Duration::from_secs(30);
/// How long a client may live on after its last word. Without a network it takes codex 5 s to give its statistics up.
const AFTER_LAST_WORD: Duration = Duration::from_secs(10);
/// How long what is left of a client may take to record that it was interrupted; about 50 ms are usual.
const AFTER_INTERRUPT: Duration = Duration::from_secs(2);

/// How a client was left.
struct Left {
    last_word: Option<LastWord>,
    exit: Option<Exit>,
}

/// What is to be started.
struct Start {
    /// The turn's order, with the session's own home, directory and model.
    order: TurnOrder,
    argv: Vec<String>,
    /// The launch that the command line is for.
    launch_id: LaunchId,
}

impl Seat {
    /// Carries a turn out from its beginning. The answer says why it stopped.
    pub(in crate::executor) async fn codex_turn(&mut self, open: &mut OpenTurn) -> Step<Infallible> {
        self.let_go(Some("a fresh client is needed".to_owned())).await;
        let start = self.codex_prepare(open).await?;
        if self.cancelled_meanwhile(open).await? {
            return Err(Break::ended(How::Cancelled));
        }
        // What is told of the session from here on is what it is resumed with.
        open.order.model.clone_from(&start.order.model);
        self.start_client(open, &start.order, &start.argv, start.launch_id).await?;
        let left = self.codex_follow(open).await?;
        self.codex_settle(open, left).await
    }

    /// Goes on with a turn that a former akkd began. `adopted`: its client was found, dead or alive.
    pub(in crate::executor) async fn codex_go_on(
        &mut self,
        open: &mut OpenTurn,
        adopted: bool,
        cancelling: bool,
    ) -> Step<Infallible> {
        if !adopted {
            let reason = "akkd went down while it handed the prompt over, and no client of codex is left".to_owned();
            return Err(Break::ended(How::Uncertain { reason }));
        }
        if cancelling {
            let grace = self.shared.context.timings.cancel_grace;
            open.begin_cancel(grace);
            self.codex_cancel(open).await?;
        }
        let left = self.codex_follow(open).await?;
        self.codex_settle(open, left).await
    }

    /// Looks at the session and says what is to be started; breaks where nothing may be.
    async fn codex_prepare(&mut self, open: &OpenTurn) -> Step<Start> {
        let order = &open.order;
        let launch_id = LaunchId::new(Uuid::now_v7());
        let offer = Offer::of(&self.shared, order, &launch_id);
        let Some(wanted) = &order.native_session else {
            return Ok(Start { argv: command::fresh(order, &offer), order: order.clone(), launch_id });
        };
        let session = target::session_id(wanted).map_err(Break::cannot_start)?;
        let facts = self.codex_look(session).await?;
        let own = target::resumable(session, facts).map_err(Break::cannot_start)?;
        let argv = command::resume(order, session, &own, &offer);
        let mut order = TurnOrder { model: order.model.clone().or(own.model), workspace: own.cwd, ..order.clone() };
        // The home whose locks were looked at, whatever the configuration says meanwhile.
        if let Ok(home) = own.home.into_os_string().into_string() {
            order.agent.env.insert("CODEX_HOME".to_owned(), home);
        }
        Ok(Start { order, argv, launch_id })
    }

    /// Looks at the session as it is now. Orders wait meanwhile.
    async fn codex_look(&self, session: Uuid) -> Step<Result<SessionFacts, Failure>> {
        let sessions = self.shared.context.sessions.clone();
        let looked = tokio::task::spawn_blocking(move || target::look(&sessions, session));
        tokio::select! {
            looked = timeout(LOOK, looked) => match looked {
                Ok(Ok(facts)) => Ok(facts),
                Ok(Err(error)) => {
                    tracing::error!(conversation = %self.conversation, %session, %error, "a session could not be looked at");
                    Err(Break::cannot_start(format!("the session {session} could not be looked at: see akkd's log")))
                }
                Err(_) => {
                    let seconds = LOOK.as_secs();
                    let reason = format!("{ACTIVE_WRITER}nobody could say within {seconds} s who has the session {session}");
                    Err(Break::cannot_start(reason))
                }
            },
            () = self.shared.stopping.cancelled() => Err(Break::Shutdown),
        }
    }

    /// Follows the client that is there to its end.
    async fn codex_follow(&mut self, open: &mut OpenTurn) -> Step<Left> {
        let mut last_word = None;
        let mut until = None;
        loop {
            match self.meet(open, until).await {
                Err(Break::Died(exit)) => return Ok(Left { last_word, exit }),
                Err(stopped) => return Err(stopped),
                // What follows the last word must be read again by a successor, with that word: nothing of it is told.
                Ok(Met::Seen(seen)) if last_word.is_none() => {
                    for seen in seen {
                        if let Some(word) = LastWord::of(&seen) {
                            last_word = Some(word);
                            until = Some(Instant::now() + AFTER_LAST_WORD);
                        } else {
                            self.codex_take(open, seen).await?;
                        }
                    }
                    if last_word.is_none() {
                        self.checkpoint_if_due().await;
                    }
                }
                Ok(Met::CancelAsked) => self.codex_cancel(open).await?,
                Ok(Met::Late) => return Ok(Left { last_word, exit: None }),
                Ok(Met::Lost(why)) => return Err(Break::ended(How::Failed { reason: why })),
                Ok(Met::Seen(_) | Met::Written(_)) => {}
            }
        }
    }

    /// Takes in what is not the last word.
    async fn codex_take(&mut self, open: &mut OpenTurn, seen: Seen) -> Step<()> {
        match seen {
            Seen::Activity(activity) => self.tell(open, activity).await,
            Seen::Notice(text) => self.notice(open, &text).await,
            Seen::Response { id, outcome: Ok(_) } if id == CODEX_THREAD => self.codex_session(open).await,
            Seen::PromptSent => {
                if self.client_handed_over(open).await {
                    self.codex_cancel(open).await?;
                }
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

    /// The client names its session. Should it be another one, the client is stopped before it begins: the agent would
    /// take the prompt without knowing the task.
    async fn codex_session(&mut self, open: &OpenTurn) {
        let Some(client) = &mut self.agent else { return };
        let wanted = open.order.native_session.as_deref();
        if verdict::strayed(&client.reader.stream, wanted) {
            if let Err(error) = client.process.signal_tree(Signal::KILL).await {
                tracing::error!(launch = %client.launch_id, %error, "a client in the wrong session could not be ended");
            }
            return;
        }
        let Some(id) = client.reader.stream.session() else { return };
        let how = if wanted.is_some() { SessionReached::Resumed } else { SessionReached::Created };
        let ensured = SessionEnsured { native_session_id: id.to_owned(), how, model: open.order.model.clone() };
        self.report(ExecutorReport::SessionReady(ensured), true).await;
    }

    /// The first step of a cancel: an interrupt, as a person's Ctrl-C. codex records that the turn was aborted, and ends
    /// its tools.
    ///
    /// Only once the turn began: until then an interrupt is lost as often as not (about 120 ms of its start, tried with
    /// 0.169), and the turn would run to its end.
    async fn codex_cancel(&mut self, open: &mut OpenTurn) -> Step<()> {
        let Some(client) = self.agent.as_mut().filter(|client| client.reader.stream.prompt_sent()) else {
            return Ok(());
        };
        if let Err(error) = client.process.interrupt() {
            tracing::error!(launch = %client.launch_id, %error, "a client could not be interrupted");
        }
        self.cancel_was_asked(open).await;
        Ok(())
    }

    /// Ends the turn of a client that is gone, or has said its last word.
    async fn codex_settle(&mut self, open: &mut OpenTurn, left: Left) -> Step<Infallible> {
        let wanted = open.order.native_session.clone();
        let Some(client) = &mut self.agent else { return Err(Break::Died(left.exit)) };
        let mut how = verdict::judge(&Facts {
            reader: &client.reader.stream,
            last_word: left.last_word.as_ref(),
            exit: left.exit,
            stderr: &client.stderr(),
            wanted: wanted.as_deref(),
            stopping: open.cancel.is_some(),
        });
        if left.last_word.is_none() && client.process.has_ended() {
            // A wrapper that died alone leaves codex at work.
            if let Err(error) = client.process.interrupt_rest(AFTER_INTERRUPT).await {
                tracing::warn!(launch = %client.launch_id, %error, "what a client left could not be interrupted");
            }
        }
        if let How::CannotStart { reason } = &mut how
            && reason.starts_with(ACTIVE_WRITER)
            && let Some(session) = wanted.and_then(|id| target::session_id(&id).ok())
            && let Ok(facts) = self.codex_look(session).await?
            && let Some(named) = target::holder_of(session, &facts)
        {
            *reason = named;
        }
        let mut ended = Ended::bare(how);
        ended.exit = left.exit;
        Err(Break::Ended(Box::new(ended)))
    }
}
