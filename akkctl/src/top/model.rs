//! What the screen shows, and what news make of it. Pure: what is to be done is returned.

use super::activity::Doing;
use super::editor::Editor;
use crate::output::View;
use crate::output::text::short;
use crate::output::words::Ball;
use akk_proto::ConversationId;
use akk_proto::api::{GetAnswer, HistoryAnswer, ListAnswer};
use akk_proto::conversation::ConversationSummary;
use akk_proto::event::{EventBody, EventRecord};
use akk_proto::permission::{PermissionView, Permit};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// How many events of the selected conversation are kept for its trace.
pub(super) const TRACE: usize = 200;
/// Of how many conversations is asked what they did before the screen was there.
const FIRST_LOOKS: usize = 50;

/// The state of the screen.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// Grouped by who must act; newest activity first in each group, as akkd lists them.
    pub(super) conversations: Vec<ConversationSummary>,
    /// How many there are in all: a page may not hold them.
    pub(super) total: u64,
    /// Stays with its conversation when the list moves.
    pub(super) selected: Option<ConversationId>,
    /// It was selected because the one before it vanished, which nobody asked for: the next key that would do something
    /// is not meant for it.
    pub(super) unchosen: bool,
    /// Those that are being closed from here.
    pub(super) closing: HashSet<ConversationId>,
    /// The selected one, once akkd has told it.
    pub(super) detail: Option<Box<GetAnswer>>,
    /// Its last events, by `seq`.
    pub(super) trace: BTreeMap<u64, EventRecord>,
    /// Lines of the trace that are below the screen.
    pub(super) scrolled: usize,
    /// What each agent did, asked or said last.
    pub(super) doing: HashMap<ConversationId, Doing>,
    /// Of whom that was asked already.
    pub(super) looked_at: HashSet<ConversationId>,
    /// What keys mean.
    pub(super) mode: Mode,
    /// Whether what keys mean now was on the screen: nothing is answered that nobody could see.
    pub(super) mode_was_shown: bool,
    /// How many lines of a request or of the trace are on the screen: what a page is.
    pub(super) page: usize,
    /// What was written and not sent.
    pub(super) drafts: HashMap<ConversationId, String>,
    /// Why akkd cannot be reached, while it cannot.
    pub(super) lost: Option<String>,
    /// What the last action came to.
    pub(super) notice: Option<String>,
}

/// What keys mean. Whatever is under way names its conversation: the list may move under it.
#[derive(Debug, Default)]
pub(super) enum Mode {
    /// Moving about.
    #[default]
    Browse,
    /// The keys are explained.
    Help,
    /// A message is being written.
    Write {
        /// To whom.
        to: ConversationId,
        /// What so far.
        text: Editor,
    },
    /// A permission request is shown and waits for an answer.
    Permit(Box<Asked>),
    /// Whether to do it.
    Confirm(Action),
}

/// A permission request on the screen.
#[derive(Debug)]
pub(super) struct Asked {
    /// Of whom.
    pub(super) of: ConversationId,
    /// Exactly this one is answered, whatever comes behind it.
    pub(super) request: PermissionView,
    /// Which of how many that wait, from 1.
    pub(super) place: (usize, usize),
    /// Whether the rest of a long text is still being asked for.
    pub(super) waits_for_rest: bool,
    /// Lines of its text that are above the screen.
    pub(super) scrolled: usize,
    /// Whether all of its lines were on the screen.
    pub(super) read: bool,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Ask for the list.
    List,
    /// Ask for one conversation.
    Get(ConversationId),
    /// Ask for its events after this `seq`.
    Past(ConversationId, u64),
    /// Ask for the whole text of the permission request with this nonce.
    Whole(ConversationId, String),
    /// Say something to the agent.
    Send(ConversationId, String),
    /// Answer the permission request with this nonce.
    Permit(ConversationId, String, Permit),
    /// Stop the turn.
    Cancel(ConversationId),
    /// End the conversation.
    Close(ConversationId),
    /// Give the terminal to the shell, until it gives it back.
    Suspend,
    /// Draw everything again.
    Redraw,
    /// Leave.
    Quit,
}

impl Action {
    /// Whether it changes something.
    pub(super) fn changes(&self) -> bool {
        matches!(self, Self::Send(..) | Self::Permit(..) | Self::Cancel(_) | Self::Close(_))
    }
}

/// What akkd tells.
#[derive(Debug)]
pub(super) enum News {
    /// The list.
    Listed(ListAnswer),
    /// One conversation.
    Got(Box<GetAnswer>),
    /// Events of one conversation.
    Past(HistoryAnswer),
    /// The text of the permission request with this nonce, and whether there was more of it.
    Whole(String, Option<(String, bool)>),
    /// Something happened.
    Event(Box<EventRecord>),
    /// Conversations were deleted.
    Deleted,
    /// akkd cannot be reached, and why.
    Lost(String),
    /// It can again.
    Back,
    /// What an action came to, in words.
    Told(String),
    /// A message was not taken, and why.
    NotSent(ConversationId, String, String),
}

impl Model {
    /// What news make of it.
    pub(super) fn hear(&mut self, news: News) -> Vec<Action> {
        match news {
            News::Listed(answer) => return self.listed(answer),
            News::Got(answer) => return self.got(answer),
            News::Past(answer) => {
                if self.selected.as_ref() == Some(&answer.conversation_id) {
                    self.remember(answer.events);
                }
            }
            News::Whole(nonce, text) => self.whole(&nonce, text),
            News::Event(record) => return self.happened(record),
            News::Deleted => return vec![Action::List],
            News::Lost(why) => self.lost = Some(why),
            News::Back => {
                self.lost = None;
                self.looked_at.clear();
                return [Action::List].into_iter().chain(self.selected.clone().map(Action::Get)).collect();
            }
            News::Told(what) => self.notice = Some(what),
            News::NotSent(to, text, why) => {
                self.notice = Some(format!("{why}\nNothing was sent; s brings your text back."));
                self.drafts.insert(to, text);
            }
        }
        Vec::new()
    }

    fn listed(&mut self, answer: ListAnswer) -> Vec<Action> {
        let stood = self.selected_at();
        self.conversations = answer.conversations;
        self.total = answer.total;
        // Stable: the order of akkd stays within a group.
        self.conversations.sort_by_key(ball);
        let there: HashSet<&ConversationId> = self.conversations.iter().map(|c| &c.conversation_id).collect();
        self.doing.retain(|id, _| there.contains(id));
        let mut wanted = Vec::new();
        if self.selected.as_ref().is_none_or(|id| !there.contains(id)) {
            // Whoever closes one after the other goes on with the next one.
            let at = stood.min(self.conversations.len().saturating_sub(1));
            let next = self.conversations.get(at).map(|c| c.conversation_id.clone());
            let gone = self.selected.clone();
            wanted.extend(self.select(next));
            if let (Some(gone), Some(next)) = (gone, &self.selected)
                && !self.closing.remove(&gone)
            {
                self.notice = Some(format!("{} is gone from the list; {} is selected now.", short(&gone), short(next)));
                self.unchosen = true;
            }
        }
        for c in self.conversations.iter().take(FIRST_LOOKS) {
            if !self.doing.contains_key(&c.conversation_id) && self.looked_at.insert(c.conversation_id.clone()) {
                let look = Action::Get(c.conversation_id.clone());
                if !wanted.contains(&look) {
                    wanted.push(look);
                }
            }
        }
        wanted
    }

    fn got(&mut self, mut answer: Box<GetAnswer>) -> Vec<Action> {
        let id = answer.conversation.conversation_id.clone();
        for event in &answer.events {
            self.note(event);
        }
        self.close_settled_request(&answer);
        // An answer about one that is no longer selected comes too late.
        if self.selected.as_ref() != Some(&id) {
            return Vec::new();
        }
        let events = std::mem::take(&mut answer.events);
        self.detail = Some(answer);
        let known = self.trace.last_key_value().map_or(0, |(seq, _)| *seq);
        let gap = events.first().map_or(0, |e| e.seq).saturating_sub(known + 1);
        let newest = events.last().map_or(0, |e| e.seq);
        self.remember(events);
        if gap == 0 {
            return Vec::new();
        }
        vec![Action::Past(id, known.max(newest.saturating_sub(TRACE as u64)))]
    }

    fn happened(&mut self, record: Box<EventRecord>) -> Vec<Action> {
        let id = record.conversation_id.clone();
        self.note(&record);
        let mut wanted = vec![Action::List];
        if self.selected.as_ref() == Some(&id) {
            // Without what came before it is not known whether something is missing between.
            if self.detail.is_some() {
                self.remember(vec![*record]);
            }
            wanted.push(Action::Get(id));
        }
        wanted
    }

    fn note(&mut self, event: &EventRecord) {
        match self.doing.get_mut(&event.conversation_id) {
            Some(doing) => doing.note(event),
            None => self.doing.extend(Doing::of(event).map(|d| (event.conversation_id.clone(), d))),
        }
    }

    fn remember(&mut self, events: Vec<EventRecord>) {
        self.trace.extend(events.into_iter().map(|e| (e.seq, e)));
        while self.trace.len() > TRACE {
            self.trace.pop_first();
        }
    }

    /// A request that somebody else answered is no longer asked about.
    fn close_settled_request(&mut self, answer: &GetAnswer) {
        let c = &answer.conversation;
        if let Mode::Permit(asked) = &self.mode
            && asked.of == c.conversation_id
            && c.permission_requests.iter().all(|r| r.nonce != asked.request.nonce)
        {
            self.mode = Mode::Browse;
            self.notice = Some("The request was settled meanwhile.".to_owned());
        }
    }

    /// The oldest request of the selected one, as much of its text as is known, and how to get the rest.
    pub(super) fn request(&self) -> Option<(Asked, Option<Action>)> {
        let c = &self.detail.as_ref()?.conversation;
        let mut request = c.permission_requests.first()?.clone();
        let mut rest = None;
        if request.truncated {
            let of_it = self.trace.values().rev().find_map(|e| whole_text(e, &request.nonce));
            match of_it {
                Some((text, truncated)) => (request.text, request.truncated) = (text, truncated),
                None => rest = Some(Action::Whole(c.conversation_id.clone(), request.nonce.clone())),
            }
        }
        let asked = Asked {
            of: c.conversation_id.clone(),
            place: (1, c.permission_requests.len()),
            waits_for_rest: rest.is_some(),
            request,
            scrolled: 0,
            read: false,
        };
        Some((asked, rest))
    }

    fn whole(&mut self, nonce: &str, text: Option<(String, bool)>) {
        if let Mode::Permit(asked) = &mut self.mode
            && asked.request.nonce == nonce
        {
            asked.waits_for_rest = false;
            (asked.scrolled, asked.read) = (0, false);
            if let Some((text, truncated)) = text {
                (asked.request.text, asked.request.truncated) = (text, truncated);
            }
        }
    }

    /// Selects another one; tells what to ask for.
    pub(super) fn select(&mut self, id: Option<ConversationId>) -> Option<Action> {
        if self.selected == id {
            return None;
        }
        self.unchosen = false;
        self.detail = None;
        self.trace.clear();
        self.scrolled = 0;
        self.selected.clone_from(&id);
        id.map(Action::Get)
    }

    /// How long a picture of it stays true when nothing happens: until an age in it says something else, a minute at
    /// most, since a machine may sleep. For ever where there are none.
    pub(super) fn stands_for(&self, view: &View) -> Option<Duration> {
        let asked = match &self.mode {
            Mode::Permit(asked) => Some(asked.request.asked_at),
            _ => None,
        };
        let ages = self.conversations.iter().map(|c| c.created_at).chain(asked);
        let lasts = ages.map(|at| view.age_lasts(at)).min()?;
        // The clock counts in whole milliseconds.
        Some(Duration::from_millis(u64::try_from(lasts + 1).unwrap_or(1)).min(Duration::from_mins(1)))
    }

    /// Where the selected one stands in the list.
    pub(super) fn selected_at(&self) -> usize {
        let selected = |c: &ConversationSummary| Some(&c.conversation_id) == self.selected.as_ref();
        self.conversations.iter().position(selected).unwrap_or_default()
    }
}

/// What this event says of the request with this nonce, if it is that request: its text, and whether there was more.
pub(super) fn whole_text(event: &EventRecord, nonce: &str) -> Option<(String, bool)> {
    match &event.body {
        EventBody::PermissionRequested(p) if p.nonce == nonce => Some((p.request.text.clone(), p.request.truncated)),
        _ => None,
    }
}

/// Who must act on it.
pub(super) fn ball(c: &ConversationSummary) -> Ball {
    Ball::with(c.status, c.needs)
}
