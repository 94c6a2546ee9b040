//! What a key, pasted text and a drawn picture make of the [`Model`].

use super::draw::Shown;
use super::editor::Editor;
use super::model::{Action, Asked, Mode, Model, ball};
use crate::output::text::short;
use crate::output::words::Ball;
use akk_proto::ConversationId;
use akk_proto::permission::Permit;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

impl Model {
    /// What a key makes of it.
    pub(super) fn press(&mut self, key: KeyEvent) -> Vec<Action> {
        if key.kind == KeyEventKind::Release {
            return Vec::new();
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        // In raw mode the terminal sends no signals for them.
        match key.code {
            KeyCode::Char('c') if control => return vec![Action::Quit],
            KeyCode::Char('z') if control => return vec![Action::Suspend],
            KeyCode::Char('l') if control => return vec![Action::Redraw],
            _ => {}
        }
        // What a terminal sends for a key that nobody knows begins with Esc as well, and is no answer to anything.
        if key.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SUPER | KeyModifiers::META) {
            return Vec::new();
        }
        if control && !matches!(self.mode, Mode::Write { .. }) {
            return Vec::new();
        }
        // What was typed before the question was on the screen is no answer to it.
        if !self.mode_was_shown && matches!(self.mode, Mode::Permit(_) | Mode::Confirm(_)) {
            return Vec::new();
        }
        self.notice = None;
        let wanted = match std::mem::take(&mut self.mode) {
            Mode::Browse => self.browse(key.code),
            Mode::Help => Vec::new(),
            Mode::Write { to, text } => self.write(to, text, key),
            Mode::Permit(asked) => self.permit(asked, key.code),
            Mode::Confirm(action) => match key.code {
                KeyCode::Char('y') => {
                    if let Action::Close(id) = &action {
                        self.closing.insert(id.clone());
                    }
                    vec![action]
                }
                _ => Vec::new(),
            },
        };
        if self.lost.is_some() { self.without_akkd(wanted) } else { wanted }
    }

    /// Text that was pasted: part of a message, and never keys.
    pub(super) fn paste(&mut self, pasted: &str) {
        if let Mode::Write { text, .. } = &mut self.mode {
            text.insert(pasted);
        }
    }

    /// What was drawn of it: what could be read, and how far there is to scroll. Tells whether the picture is another
    /// one by that.
    pub(super) fn shown(&mut self, shown: &Shown) -> bool {
        self.mode_was_shown = true;
        self.page = shown.page;
        if let Mode::Permit(asked) = &mut self.mode {
            let before = (asked.scrolled, asked.read);
            asked.scrolled = asked.scrolled.min(shown.furthest);
            // Lines are passed one page at a time at most, from the first on: who sees the last one saw all.
            asked.read |= shown.end_in_sight && !asked.waits_for_rest;
            return before != (asked.scrolled, asked.read);
        }
        self.scrolled = self.scrolled.min(shown.furthest);
        false
    }

    /// The terminal has another size: lines are broken elsewhere.
    pub(super) fn resized(&mut self) {
        if let Mode::Permit(asked) = &mut self.mode {
            asked.scrolled = 0;
        }
    }

    fn browse(&mut self, key: KeyCode) -> Vec<Action> {
        let acts = matches!(key, KeyCode::Char('p' | 's' | 'c' | 'x') | KeyCode::Enter);
        if acts
            && std::mem::take(&mut self.unchosen)
            && let Some(selected) = &self.selected
        {
            self.notice = Some(format!("{} is selected now: press the key again for it.", short(selected)));
            return Vec::new();
        }
        match key {
            KeyCode::Char('q') => return vec![Action::Quit],
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            KeyCode::Up | KeyCode::Char('k') => return self.select_by(|at, _| at.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => return self.select_by(|at, last| (at + 1).min(last)),
            KeyCode::Home | KeyCode::Char('g') => return self.select_by(|_, _| 0),
            KeyCode::End | KeyCode::Char('G') => return self.select_by(|_, last| last),
            KeyCode::Tab => return self.select_who_needs_you(),
            KeyCode::PageUp | KeyCode::Char('b') => self.scrolled += self.page.max(1),
            KeyCode::PageDown | KeyCode::Char(' ') => {
                self.scrolled = self.scrolled.saturating_sub(self.page.max(1));
            }
            KeyCode::Char('p') => return self.ask(),
            KeyCode::Enter if self.request().is_some() => return self.ask(),
            KeyCode::Char('s') | KeyCode::Enter => {
                if let Some(to) = self.selected.clone() {
                    let draft = self.drafts.remove(&to).unwrap_or_default();
                    self.mode = Mode::Write { to, text: Editor::new(draft) };
                }
            }
            KeyCode::Char('c') => self.confirm(Action::Cancel),
            KeyCode::Char('x') => self.confirm(Action::Close),
            _ => {}
        }
        Vec::new()
    }

    fn ask(&mut self) -> Vec<Action> {
        let Some((asked, rest)) = self.request() else {
            self.notice = Some("No permission request waits here.".to_owned());
            return Vec::new();
        };
        self.mode = Mode::Permit(Box::new(asked));
        self.mode_was_shown = false;
        rest.into_iter().collect()
    }

    fn confirm(&mut self, action: impl FnOnce(ConversationId) -> Action) {
        if let Some(id) = self.selected.clone() {
            self.mode = Mode::Confirm(action(id));
            self.mode_was_shown = false;
        }
    }

    fn write(&mut self, to: ConversationId, mut text: Editor, key: KeyEvent) -> Vec<Action> {
        match key.code {
            // What was written is there again with the next `s`.
            KeyCode::Esc if text.text().trim().is_empty() => return Vec::new(),
            KeyCode::Esc => {
                self.drafts.insert(to, text.text().to_owned());
                return Vec::new();
            }
            KeyCode::Enter if !text.text().trim().is_empty() => return vec![Action::Send(to, text.text().to_owned())],
            _ => text.press(key),
        }
        self.mode = Mode::Write { to, text };
        Vec::new()
    }

    fn permit(&mut self, mut asked: Box<Asked>, key: KeyCode) -> Vec<Action> {
        let answer = match key {
            KeyCode::Char('y') => Some(Permit::Allow),
            KeyCode::Char('a') => Some(Permit::AllowAlways),
            KeyCode::Char('n') => Some(Permit::Deny),
            _ => None,
        };
        // Only what can be answered: an agent need not offer everything.
        if let Some(answer) = answer.filter(|a| asked.request.answers.iter().any(|c| c.answer == *a)) {
            match asked.why_not(answer) {
                None => return vec![Action::Permit(asked.of, asked.request.nonce, answer)],
                Some(why) => self.notice = Some(why),
            }
        }
        match key {
            KeyCode::Esc | KeyCode::Char('q') => return Vec::new(),
            KeyCode::Down | KeyCode::Char('j') => asked.scrolled += 1,
            KeyCode::Up | KeyCode::Char('k') => asked.scrolled = asked.scrolled.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => asked.scrolled += self.page,
            KeyCode::PageUp | KeyCode::Char('b') => asked.scrolled = asked.scrolled.saturating_sub(self.page),
            _ => {}
        }
        self.mode = Mode::Permit(asked);
        // Keys that come before the next picture must not pass a line that nobody saw.
        self.mode_was_shown = false;
        Vec::new()
    }

    /// akkd hears nothing now: what would have been changed is said to be not, and what was written is kept.
    fn without_akkd(&mut self, wanted: Vec<Action>) -> Vec<Action> {
        let (lost, kept): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|a| !matches!(a, Action::Quit | Action::Suspend | Action::Redraw));
        if lost.iter().any(Action::changes) {
            self.notice = Some("akkd is not reachable: nothing was done.".to_owned());
        }
        for action in lost {
            if let Action::Send(to, text) = action {
                self.drafts.insert(to, text);
            }
        }
        kept
    }

    fn select_by(&mut self, to: impl FnOnce(usize, usize) -> usize) -> Vec<Action> {
        let Some(last) = self.conversations.len().checked_sub(1) else { return Vec::new() };
        let id = self.conversations[to(self.selected_at(), last).min(last)].conversation_id.clone();
        self.select(Some(id)).into_iter().collect()
    }

    /// The next one that needs you, from the first again behind the last.
    fn select_who_needs_you(&mut self) -> Vec<Action> {
        let needing = self.conversations.iter().take_while(|c| ball(c) == Ball::NeedsYou).count();
        if needing == 0 {
            self.notice = Some("Nobody needs you.".to_owned());
            return Vec::new();
        }
        self.select_by(|at, _| if at + 1 < needing { at + 1 } else { 0 })
    }
}

impl Asked {
    /// Why this answer cannot be given now.
    pub(super) fn why_not(&self, answer: Permit) -> Option<String> {
        // A refusal lets nothing happen that was not read.
        if answer == Permit::Deny {
            return None;
        }
        if self.waits_for_rest {
            return Some("The rest of the request is on its way.".to_owned());
        }
        if self.request.truncated {
            let id = short(&self.of);
            let nonce = crate::output::one_line(&self.request.nonce);
            return Some(format!(
                "A part of this request is not known to akkd, so it is not allowed from here: `akkctl permit {id} \
                 {nonce} {answer}` does it unseen.",
            ));
        }
        (!self.read).then(|| "Read it to its end first: space, or ↓.".to_owned())
    }
}
