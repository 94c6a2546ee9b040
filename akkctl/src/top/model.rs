//! What the screen shows, and what a key or news makes of it. Pure: what is to be done is returned.

use crate::output::words::{self, Ball};
use akk_proto::ConversationId;
use akk_proto::api::{GetAnswer, ListAnswer};
use akk_proto::conversation::ConversationSummary;
use akk_proto::event::{EventBody, EventRecord};
use akk_proto::permission::{PermissionView, Permit};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::collections::HashMap;

/// The state of the screen.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// Grouped by who must act; newest activity first in each group, as akkd lists them.
    pub(super) conversations: Vec<ConversationSummary>,
    /// How many there are in all: a page may not hold them.
    pub(super) total: u64,
    /// Stays with its conversation when the list moves.
    pub(super) selected: Option<ConversationId>,
    /// The selected one, once akkd has told it.
    pub(super) detail: Option<Box<GetAnswer>>,
    /// What each agent did last.
    pub(super) doing: HashMap<ConversationId, String>,
    /// What keys mean.
    pub(super) mode: Mode,
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
        text: String,
    },
    /// A permission request is shown and waits for an answer.
    Permit {
        /// Of whom.
        of: ConversationId,
        /// Exactly this one is answered, whatever comes behind it.
        request: Box<PermissionView>,
        /// Lines of its text that are above the screen.
        scrolled: usize,
    },
    /// Whether to do it.
    Confirm(Action),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Ask for the list.
    List,
    /// Ask for one conversation.
    Get(ConversationId),
    /// Say something to the agent.
    Send(ConversationId, String),
    /// Answer the permission request with this nonce.
    Permit(ConversationId, String, Permit),
    /// Stop the turn.
    Cancel(ConversationId),
    /// End the conversation.
    Close(ConversationId),
    /// Leave.
    Quit,
}

/// What akkd tells.
#[derive(Debug)]
pub(super) enum News {
    /// The list.
    Listed(ListAnswer),
    /// One conversation.
    Got(Box<GetAnswer>),
    /// Something happened.
    Event(Box<EventRecord>),
    /// akkd cannot be reached, and why.
    Lost(String),
    /// It can again.
    Back,
    /// What an action came to, in words.
    Told(String),
}

impl Model {
    /// What news make of it.
    pub(super) fn hear(&mut self, news: News) -> Vec<Action> {
        match news {
            News::Listed(answer) => return self.listed(answer),
            News::Got(answer) => {
                // An answer about one that is no longer selected comes too late.
                if self.selected.as_ref() == Some(&answer.conversation.conversation_id) {
                    self.close_settled_request(&answer);
                    self.detail = Some(answer);
                }
            }
            News::Event(record) => {
                if let EventBody::AgentActivity(_) = record.body {
                    self.doing.insert(record.conversation_id.clone(), words::event(&record));
                } else if let EventBody::TurnEnded(_) = record.body {
                    self.doing.remove(&record.conversation_id);
                }
                let mut actions = vec![Action::List];
                if self.selected.as_ref() == Some(&record.conversation_id) {
                    actions.push(Action::Get(record.conversation_id));
                }
                return actions;
            }
            News::Lost(why) => self.lost = Some(why),
            News::Back => {
                self.lost = None;
                return [Action::List].into_iter().chain(self.selected.clone().map(Action::Get)).collect();
            }
            News::Told(what) => self.notice = Some(what),
        }
        Vec::new()
    }

    /// What a key makes of it.
    pub(super) fn press(&mut self, key: KeyEvent) -> Vec<Action> {
        if key.kind == KeyEventKind::Release {
            return Vec::new();
        }
        // In raw mode the terminal sends no signal for it.
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') { vec![Action::Quit] } else { Vec::new() };
        }
        self.notice = None;
        match std::mem::take(&mut self.mode) {
            Mode::Browse => self.browse(key.code),
            Mode::Help => Vec::new(),
            Mode::Write { to, text } => self.write(to, text, key.code),
            Mode::Permit { of, request, scrolled } => self.permit(of, request, scrolled, key.code),
            Mode::Confirm(action) => match key.code {
                KeyCode::Char('y') => vec![action],
                _ => Vec::new(),
            },
        }
    }

    /// Text that was pasted: part of a message, and never keys.
    pub(super) fn paste(&mut self, pasted: &str) {
        if let Mode::Write { text, .. } = &mut self.mode {
            // Terminals send line breaks as the Enter key would.
            text.push_str(&pasted.replace("\r\n", "\n").replace('\r', "\n"));
        }
    }

    fn browse(&mut self, key: KeyCode) -> Vec<Action> {
        match key {
            KeyCode::Char('q') => return vec![Action::Quit],
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            KeyCode::Up | KeyCode::Char('k') => return self.select_by(|at, _| at.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => return self.select_by(|at, last| (at + 1).min(last)),
            KeyCode::Home | KeyCode::Char('g') => return self.select_by(|_, _| 0),
            KeyCode::End | KeyCode::Char('G') => return self.select_by(|_, last| last),
            KeyCode::Char('s') | KeyCode::Enter => {
                if let Some(to) = self.selected.clone() {
                    self.mode = Mode::Write { to, text: String::new() };
                }
            }
            KeyCode::Char('p') => match self.request() {
                Some((of, request)) => self.mode = Mode::Permit { of, request, scrolled: 0 },
                None => self.notice = Some("no permission request waits here".to_owned()),
            },
            KeyCode::Char('c') => self.mode = self.confirm(Action::Cancel),
            KeyCode::Char('x') => self.mode = self.confirm(Action::Close),
            _ => {}
        }
        Vec::new()
    }

    fn confirm(&self, action: impl FnOnce(ConversationId) -> Action) -> Mode {
        self.selected.clone().map_or(Mode::Browse, |id| Mode::Confirm(action(id)))
    }

    fn request(&self) -> Option<(ConversationId, Box<PermissionView>)> {
        let c = &self.detail.as_ref()?.conversation;
        Some((c.conversation_id.clone(), Box::new(c.permission_requests.first()?.clone())))
    }

    fn write(&mut self, to: ConversationId, mut text: String, key: KeyCode) -> Vec<Action> {
        match key {
            KeyCode::Esc => return Vec::new(),
            KeyCode::Enter if !text.trim().is_empty() => return vec![Action::Send(to, text)],
            KeyCode::Backspace => {
                text.pop();
            }
            KeyCode::Char(c) => text.push(c),
            _ => {}
        }
        self.mode = Mode::Write { to, text };
        Vec::new()
    }

    fn permit(
        &mut self,
        of: ConversationId,
        request: Box<PermissionView>,
        scrolled: usize,
        key: KeyCode,
    ) -> Vec<Action> {
        let answer = match key {
            KeyCode::Char('y') => Some(Permit::Allow),
            KeyCode::Char('a') => Some(Permit::AllowAlways),
            KeyCode::Char('n') => Some(Permit::Deny),
            _ => None,
        };
        // Only what can be answered: an agent need not offer everything.
        if let Some(answer) = answer.filter(|a| request.answers.iter().any(|c| c.answer == *a)) {
            return vec![Action::Permit(of, request.nonce, answer)];
        }
        let scrolled = match key {
            KeyCode::Esc | KeyCode::Char('q') => return Vec::new(),
            KeyCode::Down | KeyCode::Char('j') => scrolled + 1,
            KeyCode::Up | KeyCode::Char('k') => scrolled.saturating_sub(1),
            _ => scrolled,
        };
        // The text is 4,000 characters at most, and so are its lines.
        self.mode = Mode::Permit { of, request, scrolled: scrolled.min(4_000) };
        Vec::new()
    }

    /// A request that somebody else answered is no longer asked about.
    fn close_settled_request(&mut self, answer: &GetAnswer) {
        let c = &answer.conversation;
        if let Mode::Permit { of, request, .. } = &self.mode
            && *of == c.conversation_id
            && c.permission_requests.iter().all(|r| r.nonce != request.nonce)
        {
            self.mode = Mode::Browse;
            self.notice = Some("the request was settled meanwhile".to_owned());
        }
    }

    fn listed(&mut self, answer: ListAnswer) -> Vec<Action> {
        self.conversations = answer.conversations;
        self.total = answer.total;
        // Stable: the order of akkd stays within a group.
        self.conversations.sort_by_key(ball);
        let there = |id: &ConversationId| self.conversations.iter().any(|c| c.conversation_id == *id);
        self.doing.retain(|id, _| there(id));
        if self.selected.as_ref().is_some_and(there) {
            return Vec::new();
        }
        self.detail = None;
        self.selected = self.conversations.first().map(|c| c.conversation_id.clone());
        self.selected.clone().map(Action::Get).into_iter().collect()
    }

    fn select_by(&mut self, to: impl FnOnce(usize, usize) -> usize) -> Vec<Action> {
        let Some(last) = self.conversations.len().checked_sub(1) else { return Vec::new() };
        let id = self.conversations[to(self.selected_at(), last).min(last)].conversation_id.clone();
        if self.selected.as_ref() == Some(&id) {
            return Vec::new();
        }
        self.detail = None;
        self.selected = Some(id.clone());
        vec![Action::Get(id)]
    }

    /// Where the selected one stands in the list.
    pub(super) fn selected_at(&self) -> usize {
        let selected = |c: &ConversationSummary| Some(&c.conversation_id) == self.selected.as_ref();
        self.conversations.iter().position(selected).unwrap_or_default()
    }
}

/// Who must act on it.
pub(super) fn ball(c: &ConversationSummary) -> Ball {
    Ball::with(c.status, c.needs)
}
