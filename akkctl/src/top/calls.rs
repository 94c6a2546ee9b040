//! What the screen hears from akkd, and asks of it.

use super::model::{Action, News, TRACE, whole_text};
use super::screen::Wake;
use crate::akkd::new_request_id;
use crate::client::{Answer, Client, PATIENCE};
use crate::environment::Surroundings;
use crate::error::{Error, Result};
use crate::output::{self, View};
use crate::start;
use akk_proto::ConversationId;
use akk_proto::api::{
    CancelAnswer, CloseParams, ConversationParams, GetAnswer, HistoryAnswer, HistoryParams, ListAnswer, ListParams,
    PermitAnswer, PermitParams, SendAnswer, SendParams, StreamItem, SubscribeParams,
};
use akk_proto::error::ErrorKind;
use serde::Serialize;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

/// Between two attempts to reach akkd; doubled up to [`LONGEST_BREATH`].
const BREATH: Duration = Duration::from_millis(100);
const LONGEST_BREATH: Duration = Duration::from_secs(2);
/// The longest page that akkd gives.
const PAGE: u32 = 1_000;
/// How often a call is repeated whose connection broke.
const TRIES: u32 = 2;

/// Tells what happens, and whether akkd can be reached. Ends when nobody listens any more.
pub(super) fn follow(surroundings: &Surroundings, wakes: &Sender<Wake>) {
    let mut params = SubscribeParams::default();
    let mut breath = BREATH;
    let mut lost: Option<String> = None;
    let tell = |news| wakes.send(Wake::News(news)).is_ok();
    loop {
        // An akkd that died is started again. One that was stopped is not: somebody wanted that.
        let subscribed = start::reconnect(surroundings, Duration::ZERO)
            .and_then(|client| client.subscribe("events.subscribe", &params));
        let why = match subscribed {
            Ok(mut subscription) => {
                (breath, lost) = (BREATH, None);
                // What was missed is in the list, which is asked for now.
                let mut listens = tell(News::Back);
                loop {
                    if !listens {
                        return;
                    }
                    match subscription.next(None).and_then(|item| item.read()) {
                        Ok(StreamItem::Event(record)) => {
                            params.since = Some(record.cursor);
                            listens = tell(News::Event(record));
                        }
                        Ok(StreamItem::Live { cursor }) => params.since = Some(cursor),
                        Ok(StreamItem::Gap { to, .. }) => {
                            params.since = Some(to);
                            listens = tell(News::Deleted);
                        }
                        Err(e) => break e.to_string(),
                    }
                }
            }
            Err(e) => e.to_string(),
        };
        if lost.as_ref() != Some(&why) && !tell(News::Lost(why.clone())) {
            return;
        }
        lost = Some(why);
        // Nothing announces on every platform that a socket is served again.
        std::thread::sleep(breath);
        breath = (breath * 2).min(LONGEST_BREATH);
    }
}

/// Does what is asked, in order; of several equal questions that wait only the last is asked.
pub(super) fn serve(surroundings: &Surroundings, asked: &Receiver<Action>, wakes: &Sender<Wake>, view: &View) {
    let mut akkd = Akkd { surroundings, client: None };
    while let Ok(first) = asked.recv() {
        let waiting: Vec<Action> = [first].into_iter().chain(asked.try_iter()).collect();
        for (at, action) in waiting.iter().enumerate() {
            if !action.changes() && waiting[at + 1..].contains(action) {
                continue;
            }
            let news = match akkd.perform(action, view) {
                Ok(news) => Some(news),
                Err(e) => failed(action, &e),
            };
            if news.is_some_and(|news| wakes.send(Wake::News(news)).is_err()) {
                return;
            }
        }
    }
}

/// How a failure is told.
fn failed(action: &Action, e: &Error) -> Option<News> {
    let why = format!("{e}\n{}", e.hint());
    match action {
        Action::Send(to, text) => Some(News::NotSent(to.clone(), text.clone(), why)),
        // A conversation that is deleted meanwhile, and an akkd that cannot be reached, are told elsewhere.
        _ if !action.changes()
            && (e.is_broken_connection()
                || matches!(e, Error::NotRunning(_))
                || matches!(e, Error::Refused(f) if matches!(f.kind, ErrorKind::NotFound | ErrorKind::Stopping))) =>
        {
            None
        }
        _ => Some(News::Told(why)),
    }
}

/// akkd as a screen needs it: asked again when a connection broke, and never started by a question, which would undo
/// that somebody stopped it.
pub(super) struct Akkd<'a> {
    surroundings: &'a Surroundings,
    client: Option<Client>,
}

impl<'a> Akkd<'a> {
    /// With this connection.
    pub(super) fn new(surroundings: &'a Surroundings, client: Client) -> Self {
        Self { surroundings, client: Some(client) }
    }

    /// What there is to show first.
    pub(super) fn list(&mut self) -> Result<ListAnswer> {
        let params = ListParams { limit: Some(PAGE), ..ListParams::default() };
        self.call("conversation.list", &params)?.read()
    }

    fn call(&mut self, method: &'static str, params: &impl Serialize) -> Result<Answer> {
        let mut tries = TRIES;
        loop {
            let mut client = match self.client.take() {
                Some(client) => client,
                None => Client::connect(&self.surroundings.paths.control_socket)?,
            };
            let answer = client.call(method, params, PATIENCE);
            // After anything but an answer the next line may belong to this call.
            if matches!(answer, Ok(_) | Err(Error::Refused(_))) {
                self.client = Some(client);
            }
            match answer {
                // What changes something carries a request id, and is done once.
                Err(e) if e.is_broken_connection() && tries > 0 => tries -= 1,
                other => return other,
            }
        }
    }

    fn perform(&mut self, action: &Action, view: &View) -> Result<News> {
        let told = match action {
            Action::List => return Ok(News::Listed(self.list()?)),
            Action::Get(id) => {
                let params = ConversationParams { request_id: None, conversation_id: id.to_string() };
                return Ok(News::Got(Box::new(self.call("conversation.get", &params)?.read::<GetAnswer>()?)));
            }
            Action::Past(id, after_seq) => return Ok(News::Past(self.history(id, *after_seq, TRACE as u32)?)),
            Action::Whole(id, nonce) => return Ok(News::Whole(nonce.clone(), self.whole(id, nonce)?)),
            Action::Send(id, text) => {
                let params = SendParams {
                    request_id: new_request_id(),
                    conversation_id: id.to_string(),
                    message: Some(text.clone()),
                    ..SendParams::default()
                };
                output::sent(&self.call("conversation.send", &params)?.read::<SendAnswer>()?, view)
            }
            Action::Permit(id, nonce, decision) => {
                let params = PermitParams {
                    request_id: new_request_id(),
                    conversation_id: id.to_string(),
                    nonce: Some(nonce.clone()),
                    decision: *decision,
                };
                let mut answer = self.call("conversation.permit", &params)?.read::<PermitAnswer>()?;
                // Those that wait behind it are on the screen already.
                answer.conversation.permission_requests.clear();
                output::permitted(&answer, view)
            }
            Action::Cancel(id) => {
                let params = ConversationParams { request_id: new_request_id(), conversation_id: id.to_string() };
                output::cancelled(&self.call("conversation.cancel", &params)?.read::<CancelAnswer>()?, false, view)
            }
            Action::Close(id) => {
                let params =
                    CloseParams { request_id: new_request_id(), conversation_id: id.to_string(), reason: None };
                output::cancelled(&self.call("conversation.close", &params)?.read::<CancelAnswer>()?, true, view)
            }
            Action::Suspend | Action::Redraw | Action::Quit => String::new(),
        };
        Ok(News::Told(told))
    }

    fn history(&mut self, id: &ConversationId, after_seq: u64, limit: u32) -> Result<HistoryAnswer> {
        let params = HistoryParams { conversation_id: id.to_string(), after_seq, limit: Some(limit) };
        self.call("conversation.trace", &params)?.read()
    }

    /// The text of a permission request as the history has it.
    fn whole(&mut self, id: &ConversationId, nonce: &str) -> Result<Option<(String, bool)>> {
        let mut after_seq = 0;
        loop {
            let page = self.history(id, after_seq, PAGE)?;
            let found = page.events.iter().find_map(|e| whole_text(e, nonce));
            match (found, page.next_seq) {
                (None, Some(next)) => after_seq = next,
                (found, _) => return Ok(found),
            }
        }
    }
}
