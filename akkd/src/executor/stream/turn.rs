//! What is known of the open turn: its last run of text, its marks, its cost.

use super::refusal::{self, Refusal};
use super::tools::Tools;
use akk_proto::limits::MAX_DERIVED_TEXT_BYTES;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Usage of more JSON bytes than this is not kept.
const MAX_USAGE_BYTES: usize = 2 << 10;
/// Longest message id that is compared, in characters.
const MAX_ID_CHARS: usize = 120;

/// The open turn, as far as its output has been read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of a stream, not states")]
pub(super) struct Turn {
    /// The text since the last tool call began.
    text: String,
    /// Whether there was more of it.
    truncated: bool,
    /// The message that the last piece of text belongs to.
    message: Option<String>,
    /// Whether the last piece was marked as a remark on the way to the answer.
    commentary: bool,
    pub(super) tools: Tools,
    pub(super) thoughts: u64,
    /// Whether text, a thought, a tool call, a plan or a request came.
    pub(super) activity: bool,
    /// Whether acpx handed the prompt to the agent, or `codex exec` began its turn.
    pub(super) prompt_sent: bool,
    /// Whether acpx made a session.
    pub(super) session_made: bool,
    /// Whether anything but text came.
    worked: bool,
    /// Tokens, as the answer to the prompt told them.
    tokens: Option<Map<String, Value>>,
    /// `contextUsed`, `contextSize`, `cost`, as updates told them.
    context: Map<String, Value>,
    /// Codex marked its thread as broken, and has not begun anew since.
    pub(super) system_error: bool,
    /// A refusal in a single piece of text; counts only when the turn is marked as broken.
    refused_in_text: Option<Refusal>,
    /// A refusal as an error.
    pub(super) refused: Option<Refusal>,
    pub(super) notices: u32,
    /// `codex exec` has said how the turn ended.
    #[serde(default)]
    pub(super) over: bool,
}

/// What is known of a piece of text besides its words.
pub(super) struct Marks<'a> {
    /// The id of the message that it belongs to.
    pub(super) message_id: Option<&'a str>,
    /// `commentary` or `final_answer`, where the agent says it.
    pub(super) phase: Option<&'a str>,
}

impl Turn {
    /// A piece of text.
    pub(super) fn say(&mut self, piece: &str, marks: &Marks<'_>) {
        self.activity = true;
        if self.refused_in_text.is_none() && piece.contains("model is not supported") {
            self.refused_in_text = refusal::refusal_in_text(piece);
        }
        if marks.phase == Some("final_answer") && self.commentary {
            self.forget_text();
        }
        self.commentary = marks.phase == Some("commentary");
        let other = marks.message_id.is_some_and(|id| !self.message.as_deref().is_some_and(|m| same(m, id)));
        if other {
            // Another message: its first word must not grow onto the last word of the former.
            if self.message.is_some() && !self.text.is_empty() && !self.text.ends_with('\n') {
                self.push("\n\n");
            }
            self.message = marks.message_id.map(|id| id.chars().take(MAX_ID_CHARS).collect());
        }
        self.push(piece);
    }

    fn push(&mut self, piece: &str) {
        if self.truncated {
            return;
        }
        let mut end = piece.len().min(MAX_DERIVED_TEXT_BYTES - self.text.len());
        self.truncated = end < piece.len();
        while !piece.is_char_boundary(end) {
            end -= 1;
        }
        self.text.push_str(&piece[..end]);
    }

    /// A tool call began: what was said before it was not the answer.
    pub(super) fn forget_text(&mut self) {
        self.text.clear();
        self.truncated = false;
        self.message = None;
    }

    /// Something other than text was done.
    pub(super) fn work(&mut self) {
        self.activity = true;
        self.worked = true;
    }

    /// Tokens, as the answer to the prompt tells them.
    pub(super) fn tokens(&mut self, usage: Option<&RawValue>) {
        let Some(Value::Object(told)) = usage.and_then(small) else { return };
        self.tokens = Some(told.into_iter().filter(|(key, _)| key != "_meta").collect());
    }

    /// Tokens, as `codex exec` tells them: a running total of the session (0.156, 0.169), or of its process (0.60).
    pub(super) fn running_total(&mut self, usage: Option<&RawValue>) {
        let Some(told @ Value::Object(_)) = usage.and_then(small) else { return };
        self.tokens = Some(Map::from_iter([("runningTotal".to_owned(), told)]));
    }

    /// Context and cost, as an update tells them.
    pub(super) fn context(&mut self, used: Option<&RawValue>, size: Option<&RawValue>, cost: Option<&RawValue>) {
        for (key, raw) in [("contextUsed", used), ("contextSize", size), ("cost", cost)] {
            if let Some(value) = raw.and_then(small).filter(|v| !v.is_null()) {
                self.context.insert(key.to_owned(), value);
            }
        }
    }

    pub(super) fn usage(&self) -> Option<Value> {
        let mut all = self.context.clone();
        all.extend(self.tokens.clone().unwrap_or_default());
        (!all.is_empty()).then_some(Value::Object(all))
    }

    pub(super) fn final_text(&self) -> Option<(String, bool)> {
        let text = self.text.trim();
        (!text.is_empty()).then(|| (text.to_owned(), self.truncated))
    }

    pub(super) fn model_refusal(&self) -> Option<Refusal> {
        if self.refused.is_some() {
            return self.refused.clone();
        }
        if self.system_error {
            return self.refused_in_text.clone().or_else(|| refusal::refusal_in_text(&self.text));
        }
        // An adapter that sets no mark: the service's words, alone, and nothing was done.
        if self.worked || self.truncated { None } else { refusal::is_bare_refusal(&self.text) }
    }
}

fn same(kept: &str, id: &str) -> bool {
    kept == id || (id.len() > MAX_ID_CHARS && id.chars().take(MAX_ID_CHARS).eq(kept.chars()))
}

fn small(raw: &RawValue) -> Option<Value> {
    if raw.get().len() > MAX_USAGE_BYTES {
        return None;
    }
    serde_json::from_str(raw.get()).ok()
}
