//! A message that is being written.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Its text, and where in it the next character goes.
#[derive(Debug, Default, Clone)]
pub(super) struct Editor {
    text: String,
    /// In bytes, between two characters.
    at: usize,
}

impl Editor {
    /// Goes on with this text, at its end.
    pub(super) fn new(text: String) -> Self {
        Self { at: text.len(), text }
    }

    /// The text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the cursor.
    pub(super) fn before(&self) -> &str {
        &self.text[..self.at]
    }

    /// Adds text where the cursor is. Of what a terminal could obey only line breaks and tabs are taken.
    pub(super) fn insert(&mut self, text: &str) {
        // Terminals send pasted line breaks as the Enter key would.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let text: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        self.text.insert_str(self.at, &text);
        self.at += text.len();
    }

    /// A key that is no command of the screen.
    pub(super) fn press(&mut self, key: KeyEvent) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('j') if control => self.insert("\n"),
            KeyCode::Char('a') if control => self.at = 0,
            KeyCode::Char('e') if control => self.at = self.text.len(),
            KeyCode::Char('u') if control => self.take_from(0),
            KeyCode::Char('w') if control => {
                let mut word = self.before().trim_end().char_indices().rev();
                let space = word.find(|(_, c)| c.is_whitespace());
                self.take_from(space.map_or(0, |(at, c)| at + c.len_utf8()));
            }
            KeyCode::Char(c) if !control => self.insert(c.encode_utf8(&mut [0; 4])),
            KeyCode::Backspace => self.take_from(self.left()),
            KeyCode::Delete => {
                let right = self.right();
                self.text.replace_range(self.at..right, "");
            }
            KeyCode::Left => self.at = self.left(),
            KeyCode::Right => self.at = self.right(),
            KeyCode::Home => self.at = 0,
            KeyCode::End => self.at = self.text.len(),
            _ => {}
        }
    }

    /// Takes out what stands between `from` and the cursor.
    fn take_from(&mut self, from: usize) {
        self.text.replace_range(from..self.at, "");
        self.at = from;
    }

    fn left(&self) -> usize {
        self.before().char_indices().next_back().map_or(0, |(at, _)| at)
    }

    fn right(&self) -> usize {
        self.text[self.at..].chars().next().map_or(self.at, |c| self.at + c.len_utf8())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[(KeyCode, KeyModifiers)]) -> Editor {
        let mut editor = Editor::new("an answer".to_owned());
        for (code, modifiers) in keys {
            editor.press(KeyEvent::new(*code, *modifiers));
        }
        editor
    }

    #[test]
    fn a_message_is_corrected_anywhere() {
        let (plain, control) = (KeyModifiers::NONE, KeyModifiers::CONTROL);
        let came_to = |keys: &[(KeyCode, KeyModifiers)]| typed(keys).text().to_owned();
        assert_eq!(came_to(&[(KeyCode::Char('é'), plain), (KeyCode::Backspace, plain)]), "an answer");
        assert_eq!(came_to(&[(KeyCode::Char('w'), control)]), "an ");
        assert_eq!(came_to(&[(KeyCode::Char('u'), control), (KeyCode::Backspace, plain)]), "");
        assert_eq!(came_to(&[(KeyCode::Home, plain), (KeyCode::Delete, plain)]), "n answer");
        assert_eq!(came_to(&[(KeyCode::Left, plain), (KeyCode::Char('x'), plain)]), "an answexr");
        assert_eq!(came_to(&[(KeyCode::Char('j'), control), (KeyCode::Char('q'), plain)]), "an answer\nq");
        assert_eq!(came_to(&[(KeyCode::Right, plain), (KeyCode::Char('x'), control)]), "an answer");
        let mut wide = Editor::new("日本\u{3000}語".to_owned());
        wide.press(KeyEvent::new(KeyCode::Char('w'), control));
        assert_eq!((wide.text(), wide.before()), ("日本\u{3000}", "日本\u{3000}"));
    }

    #[test]
    fn nothing_pasted_is_a_command() {
        let mut editor = Editor::default();
        editor.insert("one\rtwo\r\n\u{1b}[2Jthree");
        assert_eq!(editor.text(), "one\ntwo\n[2Jthree");
    }
}
