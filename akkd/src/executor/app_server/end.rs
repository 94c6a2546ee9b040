//! How a turn ended, finding a turn that is not followed any more, and leaving the daemon.

use super::link::{CALL, Link, Whereabouts};
use super::stream::head;
use super::verdict::judge;
use super::visit::{MAX_NOTICE_CHARS, Visit};
use crate::executor::seat::Seat;
use crate::executor::seat::turn::{Break, Met, OpenTurn, Step};
use crate::sessions::codex::app_server::{CallError, Turn};
use crate::store::PromptFate;
use akk_core::{Ended, How, redact};
use akk_proto::limits::MAX_DERIVED_TEXT_BYTES;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// The first pause before the daemon is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// How long a farewell to a turn may take.
const FAREWELL: Duration = Duration::from_secs(2);

impl Seat {
    /// The turn is over, and this is how.
    pub(super) async fn app_server_over(&mut self, open: &OpenTurn, visit: &mut Visit, turn: Turn) -> Break {
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
                let found = link.server.find_turn(&thread, CALL, |t| t.began_with(&client_id)).await;
                if let Ok(Some(found)) = found {
                    turn = found;
                }
            }
        }
        if matches!(how, How::Cancelled) && open.cancel.is_some() {
            self.app_server_end_commands(open, visit).await;
        }
        let mut how = how;
        if let How::ModelRefused { reason, .. } = &how {
            let reason = format!("the turn failed: {reason}");
            self.app_server_restore_model(open, visit).await;
            if visit.stream.activity_seen() || turn.last_words().is_some() {
                // It worked on the message, which another model would get once more.
                how = How::Failed { reason };
            }
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

    /// What a stopped turn has begun is ended with it. Where the user stopped it, the user decides (`/ps`, `/stop`).
    pub(super) async fn app_server_end_commands(&mut self, open: &OpenTurn, visit: &mut Visit) {
        let Some(link) = &mut visit.link else { return };
        let stream = &visit.stream;
        let text = match link.end_commands(|item| stream.is_running(item)).await {
            Ok(0) => String::new(),
            Ok(ended) => format!("{ended} of the turn's commands went on in the background and were ended"),
            Err(error) => format!("commands of the turn may go on in the background: {error}"),
        };
        self.app_server_notice(open, visit, &text).await;
    }

    /// Connects anew and finds the turn: it is followed from there on, or it is over and this says how.
    pub(super) async fn app_server_find(&mut self, open: &mut OpenTurn, visit: &mut Visit) -> Step<()> {
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
    pub(super) async fn app_server_leave(&mut self, visit: &mut Visit, stopped: &Break) {
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
}

/// What was asked to stop and is gone has stopped.
fn stopped_or(open: &OpenTurn, how: How) -> How {
    if open.cancel.is_some() { How::Cancelled } else { how }
}
