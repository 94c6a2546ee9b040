//! Following a turn that runs: what is told, what is asked, and stopping it.

use super::permission;
use super::stream::Heard;
use super::visit::{Asked, Visit, notice};
use crate::executor::seat::Seat;
use crate::executor::seat::turn::{Break, Met, OpenTurn, Step};
use crate::sessions::codex::app_server::{CallError, Incoming, Turn};
use akk_core::How;
use futures_util::future::Either;
use std::convert::Infallible;
use tokio::time::Instant;

/// Requests that wait for a person at one time; what is asked beyond that is left to the person alone.
const MAX_ASKED: usize = 64;

impl Seat {
    /// Follows the turn to its end.
    pub(super) async fn app_server_follow(&mut self, open: &mut OpenTurn, visit: &mut Visit) -> Step<Infallible> {
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

    pub(super) async fn app_server_hear(
        &mut self,
        open: &mut OpenTurn,
        visit: &mut Visit,
        incoming: Incoming,
    ) -> Step<()> {
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
    pub(super) async fn app_server_answer_due(&mut self, open: &OpenTurn, visit: &mut Visit, now: Instant) {
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
    pub(super) async fn app_server_stop(&mut self, open: &mut OpenTurn, visit: &mut Visit) {
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

    pub(super) async fn app_server_did_not_stop(&mut self, open: &OpenTurn, visit: &mut Visit) -> Break {
        // akkd lets go of it, and must not answer for it any longer.
        visit.over = true;
        let reason = "the turn was asked to stop and has not said that it did; it may go on in the user's Codex daemon, \
                      which akkd never ends: stop it in the terminal";
        self.app_server_tell(open, visit, notice(reason)).await;
        Break::ended(How::Failed { reason: reason.to_owned() })
    }
}
