//! What akkd has of the daemon during a turn, and telling what it learns there.

use super::link::Link;
use super::stream::TurnStream;
use crate::executor::seat::Seat;
use crate::executor::seat::turn::{Break, MAX_ACTIVITIES, OpenTurn};
use crate::sessions::codex::app_server::Incoming;
use akk_core::redact;
use akk_proto::event::Activity;
use akk_proto::session::NativeAttachment;
use serde_json::Value;
use tokio::time::Instant;

/// Longest notice and reason, in characters, as [`Activity::Notice`] promises.
pub(super) const MAX_NOTICE_CHARS: usize = 400;
/// Notices of one turn.
const MAX_NOTICES: u32 = 20;

/// What akkd has of the user's daemon for one turn.
pub(super) struct Visit {
    pub(super) attachment: NativeAttachment,
    /// The id of our message, by which Codex keeps it.
    pub(super) client_id: String,
    pub(super) link: Option<Link>,
    pub(super) stream: TurnStream,
    /// Requests of our turn that a person may answer first.
    pub(super) asked: Vec<Asked>,
    /// Model and effort as the user had them, where they were changed for this turn.
    pub(super) former: Option<(Option<String>, Option<String>)>,
    pub(super) asked_to_stop: bool,
    /// When a turn that was asked to stop is given up.
    pub(super) grace: Option<Instant>,
    pub(super) over: bool,
    pub(super) told: u32,
    pub(super) notices: u32,
}

/// A request that was shown to everybody who joined the thread.
pub(super) struct Asked {
    pub(super) id: Value,
    pub(super) method: String,
    pub(super) params: Value,
    /// When it is answered by the policy.
    pub(super) due: Instant,
}

impl Visit {
    pub(super) fn of(open: &OpenTurn) -> Result<Self, Break> {
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
    pub(super) fn spare(&mut self, open: &mut OpenTurn) {
        if let Some(at) = open.take_next_cancel_step() {
            self.grace = Some(at);
        }
    }

    /// What the daemon says next; nothing while there is no connection.
    pub(super) async fn next(&mut self) -> Incoming {
        match &mut self.link {
            Some(link) => link.next().await,
            None => std::future::pending().await,
        }
    }
}

impl Seat {
    pub(super) async fn app_server_tell(&mut self, open: &OpenTurn, visit: &mut Visit, activity: Activity) {
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

    pub(super) async fn app_server_notice(&mut self, open: &OpenTurn, visit: &mut Visit, text: &str) {
        visit.notices += u32::from(!text.is_empty());
        if visit.notices <= MAX_NOTICES && !text.is_empty() {
            self.app_server_tell(open, visit, notice(text)).await;
        }
    }
}

/// For the history.
pub(super) fn notice(text: &str) -> Activity {
    Activity::Notice { text: redact::preview(text, MAX_NOTICE_CHARS) }
}
