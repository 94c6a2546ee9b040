//! A turn in the user's daemon: joining, handing over, following, stopping, and finding it again.

use super::hand_over::HandedOver;
use super::link::{Link, Whereabouts};
use super::permission;
use super::stream::{Heard, TurnStream, head};
use super::verdict::judge;
use crate::executor::model::Wanted;
use crate::executor::seat::Seat;
use crate::executor::seat::turn::{Break, MAX_ACTIVITIES, Met, OpenTurn, Step};
use crate::sessions::codex::app_server::{CallError, Incoming, Thread, Turn};
use crate::store::{PromptFate, PromptRow};
use akk_core::{Ended, ExecutorReport, How, redact};
use akk_proto::LaunchId;
use akk_proto::event::{Activity, SessionEnsured, SessionReached};
use akk_proto::limits::MAX_DERIVED_TEXT_BYTES;
use akk_proto::session::NativeAttachment;
use futures_util::future::Either;
use serde_json::Value;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Longest notice, in characters, as [`Activity::Notice`] promises.
const MAX_NOTICE_CHARS: usize = 400;
/// Notices of one turn.
const MAX_NOTICES: u32 = 20;
/// Requests that wait for a person at one time; what is asked beyond that is left to the person alone.
const MAX_ASKED: usize = 64;
/// The first pause before the daemon is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// How long a farewell to a turn may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// What akkd has of the user's daemon for one turn.
struct Visit {
    attachment: NativeAttachment,
    /// The id of our message, by which Codex keeps it.
    client_id: String,
    link: Option<Link>,
    stream: TurnStream,
    /// Requests of our turn that a person may answer first.
    asked: Vec<Asked>,
    /// Model and effort as the user had them, where they were changed for this turn.
    former: Option<(Option<String>, Option<String>)>,
    asked_to_stop: bool,
    /// When a turn that was asked to stop is given up.
    grace: Option<Instant>,
    over: bool,
    told: u32,
    notices: u32,
}

/// A request that was shown to everybody who joined the thread.
struct Asked {
    id: Value,
    method: String,
    params: Value,
    /// When it is answered by the policy.
    due: Instant,
}

impl Visit {
    fn of(open: &OpenTurn) -> Result<Self, Break> {
        let Some(attachment) = open.order.attachment.clone() else {
            return Err(Break::cannot_start("this conversation is attached to no session"));
        };
        let attempt = open.begun.as_ref().map_or(open.attempt, |begun| begun.row.attempt);
        let client_id = format!("akk:{}:{}:{attempt}", open.order.conversation_id, open.id());
        let stream = TurnStream::new(&attachment.session_id, &client_id);
        Ok(Self {
            attachment,
            client_id,
            link: None,
            stream,
            asked: Vec::new(),
            former: None,
            asked_to_stop: false,
            grace: None,
            over: false,
            told: 0,
            notices: 0,
        })
    }

    /// The daemon is the user's: what would follow a cancel that does not help is not done.
    fn spare(&mut self, open: &mut OpenTurn) {
        if let Some(at) = open.take_next_cancel_step() {
            self.grace = Some(at);
        }
    }

    /// What the daemon says next; nothing while there is no connection.
    async fn next(&mut self) -> Incoming {
        match &mut self.link {
            Some(link) => link.next().await,
            None => std::future::pending().await,
        }
    }
}

impl Seat {
    /// Carries a turn out from its beginning. The answer says why it stopped.
    pub(in crate::executor) async fn app_server_turn(&mut self, open: &mut OpenTurn) -> Step<Infallible> {
        self.let_go(Some("the session lives in a daemon of the user".to_owned())).await;
        let mut visit = Visit::of(open)?;
        let Err(stopped) = self.app_server_begin(open, &mut visit).await;
        self.app_server_leave(&mut visit, &stopped).await;
        Err(stopped)
    }

    /// Goes on with a turn that a former akkd began: `open` has its prompt. It runs on in the daemon meanwhile.
    pub(in crate::executor) async fn app_server_go_on(
        &mut self,
        open: &mut OpenTurn,
        cancelling: bool,
    ) -> Step<Infallible> {
        let mut visit = Visit::of(open)?;
        if cancelling {
            open.begin_cancel(self.shared.context.timings.cancel_grace);
        }
        let Err(stopped) = self.app_server_resume(open, &mut visit).await;
        self.app_server_leave(&mut visit, &stopped).await;
        Err(stopped)
    }

    async fn app_server_begin(&mut self, open: &mut OpenTurn, visit: &mut Visit) -> Step<Infallible> {
        let refused = |reason: String| Break::cannot_start(redact::preview(&reason, MAX_NOTICE_CHARS));
        let mut link = Link::connect(&visit.attachment).await.map_err(refused)?;
        let thread = link.join_idle().await.map_err(refused)?;
        visit.link = Some(link);
        let model = self.app_server_model(open, visit, &thread).await?;
        let native_session_id = visit.attachment.session_id.clone();
        let ensured = SessionEnsured { native_session_id, how: SessionReached::Kept, model };
        self.report(ExecutorReport::SessionReady(ensured), false).await;
        match self.app_server_hand_over(open, visit).await? {
            HandedOver::Runs(turn) => self.app_server_began(open, visit, &turn).await,
            HandedOver::Began => {}
            HandedOver::Not(reason) => {
                self.app_server_not_delivered(open).await;
                self.app_server_restore_model(open, visit).await;
                return Err(refused(reason));
            }
            HandedOver::Unknown(reason) => {
                self.app_server_notice(open, visit, &reason).await;
                return self.app_server_resume(open, visit).await;
            }
        }
        self.app_server_follow(open, visit).await
    }

    /// Sets model and effort where another was asked for; gives the model in use. A thread has one model for all its
    /// clients: it holds for the user's later turns too, as `/model` in the terminal would.
    async fn app_server_model(&mut self, open: &OpenTurn, visit: &mut Visit, thread: &Thread) -> Step<Option<String>> {
        let Some(name) = &open.order.model else { return Ok(thread.model.clone()) };
        let wanted = Wanted::parse(name);
        let model = Some(wanted.model).filter(|m| thread.model.as_deref() != Some(m));
        let effort = wanted.effort.filter(|e| thread.reasoning_effort.as_deref() != Some(e));
        let Some(link) = visit.link.as_mut().filter(|_| model.is_some() || effort.is_some()) else {
            return Ok(thread.model.clone());
        };
        link.set_model(model, effort)
            .await
            .map_err(|error| Break::cannot_start(format!("the model could not be set in the session: {error}")))?;
        visit.former = Some((
            thread.model.clone().filter(|_| model.is_some()),
            thread.reasoning_effort.clone().filter(|_| effort.is_some()),
        ));
        self.app_server_notice(
            open,
            visit,
            &format!("the session's model is {name} from now on, also in the terminal"),
        )
        .await;
        Ok(Some(wanted.model.to_owned()))
    }

    /// Records the prompt, then hands it over.
    async fn app_server_hand_over(&mut self, open: &mut OpenTurn, visit: &mut Visit) -> Step<HandedOver> {
        let prompts = &self.shared.context.prompts;
        let text = prompts.prompt(self.conversation.clone(), open.id().clone()).await;
        let text = text.map_err(|error| Break::cannot_start(error.to_string()))?;
        let row = PromptRow {
            conversation_id: self.conversation.clone(),
            turn_id: open.id().clone(),
            attempt: open.attempt,
            // No process is started, so that no launch has this id: the turn is found in the daemon.
            launch_id: LaunchId::new(uuid::Uuid::now_v7()),
            fate: PromptFate::Finishing,
        };
        let recorded = self.shared.context.ledger.prompt_put(row.clone()).await;
        recorded.map_err(|error| Break::cannot_start(error.to_string()))?;
        open.begin(row, text.len() as u64);
        let Some(link) = &mut visit.link else { return Err(Break::cannot_start("the Codex daemon is gone")) };
        Ok(link.hand_over(&visit.client_id, &text).await)
    }

    /// The prompt did not arrive and never will: it may be sent again.
    async fn app_server_not_delivered(&mut self, open: &mut OpenTurn) {
        let Some(begun) = open.begun.take() else { return };
        open.attempt += 1;
        let row = PromptRow { fate: PromptFate::Accepted, ..begun.row };
        if let Err(error) = self.shared.context.ledger.prompt_put(row).await {
            tracing::warn!(%error, "a prompt could not be recorded as not delivered");
        }
    }

    /// Our turn is known: the prompt has arrived.
    async fn app_server_began(&mut self, open: &mut OpenTurn, visit: &mut Visit, turn: &str) {
        visit.stream.is_turn(turn);
        open.touch();
        let Some(begun) = open.begun.as_mut().filter(|begun| begun.row.fate != PromptFate::Written) else { return };
        begun.row.fate = PromptFate::Written;
        let (row, bytes) = (begun.row.clone(), begun.bytes);
        if let Err(error) = self.shared.context.ledger.prompt_put(row).await {
            tracing::warn!(%error, "a prompt could not be recorded as arrived; the daemon knows it");
        }
        self.report(ExecutorReport::PromptSent { turn_id: open.id().clone(), bytes }, false).await;
    }

    /// Finds a turn again whose prompt may have arrived, and follows it.
    async fn app_server_resume(&mut self, open: &mut OpenTurn, visit: &mut Visit) -> Step<Infallible> {
        self.app_server_find(open, visit).await?;
        self.app_server_follow(open, visit).await
    }

    /// Follows the turn to its end.
    async fn app_server_follow(&mut self, open: &mut OpenTurn, visit: &mut Visit) -> Step<Infallible> {
        let shown_by = Instant::now() + self.shared.context.timings.settle_sign;
        loop {
            if open.cancel.is_some() && !visit.asked_to_stop {
                self.app_server_stop(open, visit).await;
            }
            let unseen = Some(shown_by).filter(|_| visit.stream.turn().is_none());
            let unanswered = visit.asked.iter().map(|asked| asked.due).min();
            visit.spare(open);
            let grace = visit.grace;
            let until = [unseen, unanswered, grace].into_iter().flatten().min();
            match self.meet_or(open, until, visit.next()).await? {
                Either::Right(incoming) => self.app_server_hear(open, visit, incoming).await?,
                Either::Left(Met::Late) => {
                    let now = Instant::now();
                    if grace.is_some_and(|at| at <= now) {
                        return Err(self.app_server_did_not_stop(open, visit).await);
                    }
                    self.app_server_answer_due(open, visit, now).await;
                    if unseen.is_some_and(|at| at <= now) {
                        self.app_server_find(open, visit).await?;
                    }
                }
                // The cancel's first step is taken above; there is no process of ours.
                Either::Left(_) => {}
            }
        }
    }

    async fn app_server_hear(&mut self, open: &mut OpenTurn, visit: &mut Visit, incoming: Incoming) -> Step<()> {
        match incoming {
            Incoming::Notification { method, params } => {
                let heard = visit.stream.take(&method, &params);
                if heard != Heard::Nothing {
                    open.touch();
                }
                match heard {
                    Heard::Began(turn) => self.app_server_began(open, visit, &turn).await,
                    Heard::Activity(activity) => self.app_server_tell(open, visit, activity).await,
                    Heard::Notice(text) => self.app_server_notice(open, visit, &text).await,
                    Heard::Answered(id) => visit.asked.retain(|asked| asked.id != id),
                    Heard::Over(turn) => {
                        let turn = serde_json::from_value::<Turn>(turn).map_err(|error| {
                            let reason = format!("the end of the turn cannot be read: {error}");
                            Break::ended(How::Failed { reason })
                        })?;
                        return Err(self.app_server_over(open, visit, turn).await);
                    }
                    Heard::Unloaded => return self.app_server_find(open, visit).await,
                    Heard::Life | Heard::Nothing => {}
                }
            }
            Incoming::Request { id, method, params } => {
                // Requests of the user's own turns, and those about no turn, are the user's.
                let known = visit.asked.iter().any(|asked| asked.id == id);
                if visit.stream.is_ours(&params) && !known && visit.asked.len() < MAX_ASKED {
                    open.touch();
                    let patience = self.shared.context.timings.person;
                    let title = permission::title(&method, &params);
                    let text = format!(
                        "approval asked for: {title}. The terminal shows it; unanswered for {} s, akkd answers by the \
                         conversation's policy",
                        patience.as_secs()
                    );
                    visit.asked.push(Asked { id, method, params, due: Instant::now() + patience });
                    self.app_server_tell(open, visit, notice(&text)).await;
                }
            }
            Incoming::Closed(why) => {
                tracing::info!(conversation = %self.conversation, why, "the connection to a Codex daemon ended");
                return self.app_server_find(open, visit).await;
            }
        }
        Ok(())
    }

    /// Answers what no person has answered in time.
    async fn app_server_answer_due(&mut self, open: &OpenTurn, visit: &mut Visit, now: Instant) {
        let (due, waits): (Vec<_>, Vec<_>) = visit.asked.drain(..).partition(|asked| asked.due <= now);
        visit.asked = waits;
        for asked in due {
            let decision = permission::decide(open.order.permissions, &asked.method, &asked.params);
            let Some(link) = &mut visit.link else { return };
            // Who answers too late is not heard; a connection that is over is noticed next.
            if link.answer(&asked.id, decision.answer).await.is_ok() {
                self.app_server_tell(open, visit, decision.activity).await;
            }
        }
    }

    /// The first and only step of a cancel: the protocol's own.
    async fn app_server_stop(&mut self, open: &mut OpenTurn, visit: &mut Visit) {
        let Some(turn) = visit.stream.turn().map(str::to_owned) else { return };
        let Some(link) = &mut visit.link else { return };
        match link.interrupt(&turn).await {
            // Refused: it is over, and its end is being told.
            Ok(()) | Err(CallError::Refused(_)) => {
                visit.asked_to_stop = true;
                self.cancel_was_asked(open).await;
            }
            Err(error) => {
                tracing::warn!(conversation = %self.conversation, %error, "a turn could not be asked to stop");
                // The next connection asks again, once there is one.
                visit.asked_to_stop = true;
            }
        }
    }

    async fn app_server_did_not_stop(&mut self, open: &OpenTurn, visit: &mut Visit) -> Break {
        // akkd lets go of it, and must not answer for it any longer.
        visit.over = true;
        let reason = "the turn was asked to stop and has not said that it did; it may go on in the user's Codex daemon, \
                      which akkd never ends: stop it in the terminal";
        self.app_server_tell(open, visit, notice(reason)).await;
        Break::ended(How::Failed { reason: reason.to_owned() })
    }

    /// The turn is over, and this is how.
    async fn app_server_over(&mut self, open: &OpenTurn, visit: &mut Visit, turn: Turn) -> Break {
        visit.over = true;
        let mut turn = turn;
        let how = judge(&turn.state(), open.order.model.as_deref()).unwrap_or_else(|| How::Failed {
            reason: "the Codex daemon said that the turn ended and that it runs".to_owned(),
        });
        let completed = matches!(how, How::Normal { .. });
        let heard = visit.stream.final_text();
        if completed && heard.is_none() && turn.last_words().is_none() {
            let (thread, client_id) = (visit.attachment.session_id.clone(), visit.client_id.clone());
            if let Some(link) = &mut visit.link {
                let found = link.server.find_turn(&thread, super::link::CALL, |t| t.began_with(&client_id)).await;
                if let Ok(Some(found)) = found {
                    turn = found;
                }
            }
        }
        if matches!(how, How::ModelRefused { .. }) {
            self.app_server_restore_model(open, visit).await;
        }
        let mut ended = Ended::bare(how);
        let said = turn.last_words().map(|words| {
            let kept = head(words.trim(), MAX_DERIVED_TEXT_BYTES);
            (kept.to_owned(), kept.len() < words.trim().len())
        });
        // A stream that was listened to in part only may lack the beginning of the last words.
        let text = if visit.stream.is_whole() { heard.or(said) } else { said.or(heard) };
        ended.activity_seen = visit.stream.activity_seen() || text.is_some();
        if let Some((text, cut)) = text {
            (ended.text, ended.text_truncated) = (Some(text), cut);
        }
        ended.usage = visit.stream.usage();
        ended.thoughts = visit.stream.thoughts();
        Break::Ended(Box::new(ended))
    }

    /// A model that was refused, or that nothing was said to, must not stay in the user's terminal.
    async fn app_server_restore_model(&mut self, open: &OpenTurn, visit: &mut Visit) {
        let Some((model, effort)) = visit.former.take() else { return };
        let Some(link) = &mut visit.link else { return };
        let text = match link.set_model(model.as_deref(), effort.as_deref()).await {
            Ok(()) => "the session has its former model again".to_owned(),
            Err(error) => format!("the session's former model could not be set again: {error}"),
        };
        self.app_server_notice(open, visit, &text).await;
    }

    /// Connects anew and finds the turn: it is followed from there on, or it is over and this says how.
    async fn app_server_find(&mut self, open: &mut OpenTurn, visit: &mut Visit) -> Step<()> {
        visit.link = None;
        visit.asked.clear();
        visit.stream.missed_some();
        visit.spare(open);
        let until = Instant::now() + self.shared.context.timings.settle_sign;
        let mut pause = FIRST_PAUSE;
        loop {
            let found = match Link::connect(&visit.attachment).await {
                Ok(mut link) => {
                    let found = link.whereabouts(&visit.client_id).await;
                    visit.link = Some(link);
                    found.map_err(|error| error.to_string())
                }
                Err(error) => Err(error),
            };
            let arrived = open.fate() == Some(PromptFate::Written);
            let late = Instant::now() >= until;
            match found {
                Ok(Whereabouts::Running(turn)) => {
                    self.app_server_began(open, visit, &turn).await;
                    // The former connection may have failed to.
                    visit.asked_to_stop = false;
                    return Ok(());
                }
                Ok(Whereabouts::Over(turn)) => {
                    self.app_server_began(open, visit, &turn.id).await;
                    return Err(self.app_server_over(open, visit, turn).await);
                }
                Ok(Whereabouts::Stranded) => {
                    visit.over = true;
                    let reason = "the Codex daemon ended in the middle of the turn".to_owned();
                    return Err(Break::ended(stopped_or(open, How::Failed { reason })));
                }
                Ok(Whereabouts::Queued(submission)) => {
                    if let Some(link) = &mut visit.link
                        && link.take_back(&submission).await.is_ok_and(|deleted| deleted)
                    {
                        self.app_server_not_delivered(open).await;
                        let reason = "the prompt waited behind a turn of the user and was taken back: send it again";
                        return Err(Break::ended(stopped_or(open, How::CannotStart { reason: reason.to_owned() })));
                    }
                }
                Ok(Whereabouts::Nowhere) if late => {
                    visit.over = true;
                    let how = if arrived {
                        How::Failed { reason: "the session does not hold the turn any more".to_owned() }
                    } else {
                        let reason = "the session shows no sign of the prompt, and it may have been handed over";
                        How::Uncertain { reason: reason.to_owned() }
                    };
                    return Err(Break::ended(stopped_or(open, how)));
                }
                Err(why) if late => {
                    visit.over = true;
                    let why = redact::preview(&why, MAX_NOTICE_CHARS);
                    let how = if arrived {
                        How::Failed { reason: format!("the turn cannot be followed any further: {why}") }
                    } else {
                        How::Uncertain { reason: format!("whether the prompt arrived cannot be asked: {why}") }
                    };
                    return Err(Break::ended(how));
                }
                Ok(Whereabouts::Nowhere) | Err(_) => visit.link = None,
            }
            let wake = (Instant::now() + pause).min(until);
            pause *= 2;
            // A cancel is heard meanwhile and carried out once the turn is found.
            while !matches!(self.meet(open, Some(wake)).await?, Met::Late) {
                visit.spare(open);
            }
        }
    }

    /// Leaves the daemon. A turn whose conversation lets its agent go is stopped first, as far as possible.
    async fn app_server_leave(&mut self, visit: &mut Visit, stopped: &Break) {
        let Some(mut link) = visit.link.take() else { return };
        if matches!(stopped, Break::Ended(_)) && !visit.over && self.lets_go() {
            let client_id = visit.client_id.clone();
            let turn = visit.stream.turn().map(str::to_owned);
            let farewell = async {
                match turn {
                    Some(turn) => link.interrupt(&turn).await,
                    None => match link.whereabouts(&client_id).await? {
                        Whereabouts::Running(turn) => link.interrupt(&turn).await,
                        Whereabouts::Queued(submission) => link.take_back(&submission).await.map(drop),
                        _ => Ok(()),
                    },
                }
            };
            if !matches!(timeout(FAREWELL, farewell).await, Ok(Ok(()) | Err(CallError::Refused(_)))) {
                tracing::warn!(conversation = %self.conversation, "a turn may go on in the user's Codex daemon");
            }
        }
        link.server.close().await;
    }

    async fn app_server_tell(&mut self, open: &OpenTurn, visit: &mut Visit, activity: Activity) {
        visit.told += 1;
        let activity = match visit.told {
            told if told > MAX_ACTIVITIES => return,
            MAX_ACTIVITIES => {
                notice(&format!("more than {MAX_ACTIVITIES} activities in this turn: the rest is not recorded"))
            }
            _ => activity,
        };
        self.tell(open, activity).await;
    }

    async fn app_server_notice(&mut self, open: &OpenTurn, visit: &mut Visit, text: &str) {
        visit.notices += 1;
        if visit.notices <= MAX_NOTICES && !text.trim().is_empty() {
            self.app_server_tell(open, visit, notice(text)).await;
        }
    }
}

fn notice(text: &str) -> Activity {
    Activity::Notice { text: redact::preview(text, MAX_NOTICE_CHARS) }
}

/// What was asked to stop and is gone has stopped.
fn stopped_or(open: &OpenTurn, how: How) -> How {
    if open.cancel.is_some() { How::Cancelled } else { how }
}
