//! The reader: a line in, what it means out.

use super::raw::{cut, id_text, rpc_error, whole_or_answer, whole_or_needed, withdrawn};
use super::refusal::{self, Refusal};
use super::requests::{self, Requests, Settled};
use super::seen::{Seen, Source};
use super::tools::word;
use super::turn::{Marks, Turn};
use super::watched::LookedFor;
use super::wire::{self, Line, Update, UpdateParams};
use akk_core::redact;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// Longest line that is read, in bytes. Of a longer one only the beginning is looked at.
pub const MAX_LINE_BYTES: usize = 8 << 20;
/// The id under which acpx' own error records are told.
pub const ACPX_RECORD: &str = "acpx";

/// Notices that are told in one turn; the last says that there are more.
const MAX_NOTICES: u32 = 20;
/// Longest notice, in characters.
const MAX_NOTICE_CHARS: usize = 400;
/// Longest id of a request, in characters; a longer one is cut and will match nothing.
pub(super) const MAX_ID_CHARS: usize = 200;
/// A member of a tool call whose details were too much to be kept.
pub const CUT: &str = "akkCut";
/// Options of a request for permission that are looked at.
pub(super) const MAX_OPTIONS: usize = 32;
/// How much of an oversized line is looked at.
const HEAD_BYTES: usize = 1 << 10;

/// Reads what an agent writes. Its serialized form is the state to go on from at the next line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamReader {
    source: Source,
    /// History is being told again: nothing counts.
    replaying: bool,
    /// The session whose text counts; none means any.
    pub(super) session: Option<String>,
    pub(super) turn: Turn,
    /// Requests that wait for an answer; not for source `Agent`.
    requests: Requests,
    /// The turn that is looked for; source `AcpxWatch` only.
    pub(super) looked_for: Option<LookedFor>,
}

impl StreamReader {
    /// A reader at the beginning of a stream.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            replaying: false,
            session: None,
            turn: Turn::default(),
            requests: Requests::default(),
            looked_for: None,
        }
    }

    /// A reader of `acpx … sessions watch` that looks for the turn of `prompt`.
    pub fn watching(prompt: &str) -> Self {
        Self { looked_for: Some(LookedFor::prompt(prompt)), ..Self::new(Source::AcpxWatch) }
    }

    /// Another turn is told from its beginning.
    pub(super) fn forget(&mut self) {
        *self = Self { looked_for: self.looked_for.take(), ..Self::new(self.source) };
    }

    /// A prompt was handed over: what was seen before does not count for it.
    pub fn begin_turn(&mut self) {
        self.turn = Turn::default();
    }

    /// Whether history is being told again, as during `session/load`. Source `Acpx` finds that out by itself.
    pub fn set_replaying(&mut self, replaying: bool) {
        self.replaying = replaying;
    }

    /// The session whose text counts: an agent may tell about sub-agents' sessions too. Source `Acpx` finds it out by
    /// itself. None means any.
    pub fn set_session(&mut self, id: Option<&str>) {
        self.session = id.map(|id| cut(id, MAX_ID_CHARS));
    }

    /// What the agent said after its last tool call, without marked warnings, 64 KiB at most, and whether it was cut.
    pub fn final_text(&self) -> Option<(String, bool)> {
        self.turn.final_text()
    }

    /// Tokens, context and cost of the turn, as the agent told them.
    pub fn usage(&self) -> Option<Value> {
        self.turn.usage()
    }

    /// Pieces of private thinking in this turn.
    pub fn thoughts(&self) -> u64 {
        self.turn.thoughts
    }

    /// Whether the agent showed any sign of working on the prompt: text, thought, tool call, plan, request.
    pub fn activity_seen(&self) -> bool {
        self.turn.activity
    }

    /// The session whose text counts: the one that was set, or that the stream named.
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// Whether acpx handed the prompt to the agent, or `codex exec` began the turn with it. Only for these.
    pub fn prompt_sent(&self) -> bool {
        self.turn.prompt_sent
    }

    /// Whether acpx made a session in this turn, because it could resume none. Only for acpx.
    pub fn session_made(&self) -> bool {
        self.turn.session_made
    }

    /// Whether the agent marked the turn as broken although it may end it with `end_turn` (codex-acp:
    /// `session_info_update._meta.codex.threadStatus.type = "systemError"`). The final text then is the error.
    pub fn broken(&self) -> bool {
        self.turn.system_error
    }

    /// The refusal of the model, if this turn came to one. Text counts only when the agent marked the turn as broken,
    /// or when the service's words are all there is: an agent may quote such a sentence.
    pub fn model_refusal(&self) -> Option<Refusal> {
        self.turn.model_refusal()
    }

    /// Takes one line in, with or without its end. Never fails: what cannot be read becomes a [`Seen::Notice`].
    pub fn feed(&mut self, line: &[u8]) -> Vec<Seen> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return vec![Seen::Nothing];
        }
        if line.len() > MAX_LINE_BYTES {
            return self.feed_oversized(line, line.len() as u64);
        }
        let seen = if let Ok(text) = std::str::from_utf8(line) {
            self.read(text)
        } else {
            // One broken character must not cost a whole answer.
            let mut seen = self.read(&String::from_utf8_lossy(line));
            if !matches!(seen.as_slice(), [Seen::Notice(_)]) {
                seen.extend(self.notice("a line with invalid UTF-8"));
            }
            seen
        };
        or_nothing(seen)
    }

    /// Takes the beginning of a line in that was too long to be kept: `total` bytes. 1 KiB of it is enough.
    pub fn feed_oversized(&mut self, head: &[u8], total: u64) -> Vec<Seen> {
        let head = String::from_utf8_lossy(&head[..head.len().min(HEAD_BYTES)]);
        if self.source == Source::AcpxWatch {
            return vec![Seen::Nothing];
        }
        if self.source == Source::CodexExec {
            return or_nothing(self.oversized_event(&head, total));
        }
        if self.source == Source::Acpx && head.contains("\"method\":\"session/prompt\"") {
            // Our own prompt, told back to us.
            let id = head.split("\"id\":").nth(1).and_then(|rest| rest.split([',', '}']).next());
            self.requests.called(id.unwrap_or_default().trim_matches('"'), "session/prompt", None);
            self.turn.prompt_sent = true;
            return vec![Seen::PromptSent];
        }
        if head.contains("\"session/update\"") && head.contains("agent_") && !self.replaying {
            self.turn.activity = true;
        }
        or_nothing(self.notice(&format!("a line of {total} bytes was skipped: {}", cut(&head, 80))))
    }

    fn read(&mut self, text: &str) -> Vec<Seen> {
        match self.source {
            Source::Agent | Source::Acpx => self.read_message(text),
            Source::AcpxWatch => self.read_watched(text),
            Source::CodexExec => self.read_event(text),
        }
    }

    pub(super) fn read_message(&mut self, text: &str) -> Vec<Seen> {
        let line: Line<'_> = match serde_json::from_str(text) {
            Ok(line) if text.starts_with('{') => line,
            _ => return self.notice(&format!("a line that is no message: {}", cut(text, 200))),
        };
        let method = wire::text(line.method);
        match (method, line.id) {
            (Some(m), None) if m == "session/update" => self.update(line.params),
            (Some(m), None) if m == "$/cancel_request" && self.source == Source::Agent => withdrawn(line.params),
            (Some(_), None) => vec![],
            (Some(m), Some(id)) => self.request(&m, id, line.params),
            (None, id) => match (line.error, line.result, id) {
                (Some(error), _, id) => self.response(id, Err(error)),
                (None, result, Some(id)) => self.response(Some(id), Ok(result)),
                (None, _, None) => self.notice(&format!("a message of no known kind: {}", cut(text, 200))),
            },
        }
    }

    fn request(&mut self, method: &str, id: &RawValue, params: Option<&RawValue>) -> Vec<Seen> {
        let method = cut(method, MAX_ID_CHARS);
        if self.source != Source::Agent && requests::is_called_by_client(&method) {
            let model = requests::model_set(&method, params);
            self.requests.called(&id_text(id), &method, model);
            match method.as_str() {
                "session/load" => self.replaying = true,
                "session/prompt" => {
                    // A queue may tell another prompt's session first; ours is the newest.
                    let to: Option<UpdateParams<'_>> = wire::parse(params);
                    self.session = to.and_then(|p| word(p.session_id, MAX_ID_CHARS));
                    self.replaying = false;
                    self.turn.prompt_sent = true;
                    return vec![Seen::PromptSent];
                }
                _ => {}
            }
            return vec![];
        }
        // A question means that the agent is at work, also when its history is told again.
        self.turn.work();
        if self.source != Source::Agent {
            self.requests.asked(id, &method, params);
            return vec![];
        }
        let Ok(id) = serde_json::from_str::<Value>(id.get()) else {
            return self.notice("a request without a usable id");
        };
        vec![Seen::Request { id, method, params: whole_or_needed(params) }]
    }

    fn response(&mut self, id: Option<&RawValue>, outcome: Result<Option<&RawValue>, &RawValue>) -> Vec<Seen> {
        let name = id.map(id_text);
        let outcome = outcome.map_err(rpc_error);
        let (id, setting) = match (self.source, name) {
            (Source::Agent, None) => ("null".to_owned(), None),
            (Source::Agent, Some(name)) => (name, None),
            // acpx ends its output with a record of its own when the agent gave no answer.
            (_, None) => (ACPX_RECORD.to_owned(), None),
            (_, Some(name)) => match self.requests.settle(&name, &outcome) {
                Settled::Called(c) => (c.method, c.model),
                Settled::Asked(seen) => return seen,
                Settled::Unknown if requests::is_acpx_own(&outcome) => (ACPX_RECORD.to_owned(), None),
                Settled::Unknown if requests::stop_reason(&outcome) => ("session/prompt".to_owned(), None),
                Settled::Unknown => return vec![],
            },
        };
        match id.as_str() {
            "session/load" => self.replaying = false,
            "session/new" if self.source != Source::Agent => self.turn.session_made = outcome.is_ok(),
            _ => {}
        }
        let outcome = match outcome {
            Ok(result) => {
                let answer: Option<wire::Answer<'_>> = wire::parse(result);
                if let Some(a) = answer.filter(|a| a.stop_reason.is_some()) {
                    self.turn.tokens(a.usage);
                }
                Ok(whole_or_answer(result))
            }
            Err(error) => {
                if self.turn.refused.is_none() {
                    self.turn.refused = refusal::refusal_in_error(&error, setting.as_deref());
                }
                Err(error)
            }
        };
        vec![Seen::Response { id, outcome }]
    }

    fn update(&mut self, params: Option<&RawValue>) -> Vec<Seen> {
        let Some(UpdateParams { session_id, update: Some(u) }) = wire::parse(params) else {
            return self.notice("an update without content");
        };
        if self.replaying {
            return vec![];
        }
        let kind = wire::text(u.what).unwrap_or_default();
        let ours = match (&self.session, wire::text(session_id)) {
            (Some(ours), Some(theirs)) => *ours == theirs,
            _ => true,
        };
        match kind.as_ref() {
            "agent_message_chunk" if ours => self.text(&u),
            // What a sub-agent says is a sign of life, not the answer.
            "agent_message_chunk" => {
                self.turn.work();
                vec![]
            }
            "agent_thought_chunk" => {
                self.turn.thoughts += 1;
                self.turn.work();
                vec![Seen::Thought]
            }
            "tool_call" | "tool_call_update" => {
                self.turn.work();
                let told = self.turn.tools.take(kind == "tool_call", &u);
                if told.begins && ours {
                    self.turn.forget_text();
                }
                told.activity.map(Seen::Activity).into_iter().collect()
            }
            "plan" => {
                self.turn.work();
                self.turn.tools.plan(u.entries).map(Seen::Activity).into_iter().collect()
            }
            "usage_update" if ours => {
                self.turn.context(u.used, u.size, u.cost);
                vec![]
            }
            "session_info_update" if ours => {
                self.status(&u);
                vec![]
            }
            "notice" => {
                let title = wire::text(u.title).unwrap_or_default();
                let more = wire::text(u.description).map(|d| format!(": {d}")).unwrap_or_default();
                self.notice(&format!("{title}{more}"))
            }
            // Kinds that came after this was written, and kinds that say nothing of the turn.
            _ => vec![],
        }
    }

    fn text(&mut self, u: &Update<'_>) -> Vec<Seen> {
        let block: Option<wire::Block<'_>> = wire::parse(u.content);
        let Some(text) = block.as_ref().and_then(|b| wire::text(b.text)) else {
            // An image or a link: a sign of work without words.
            self.turn.work();
            return vec![];
        };
        if text.is_empty() {
            return vec![];
        }
        let message_id = wire::text(u.message_id);
        if message_id.is_none() && is_marked_warning(&text) {
            return self.notice(text.trim());
        }
        let codex = u.meta.and_then(|m| wire::parse::<wire::Meta<'_>>(Some(m))).and_then(|m| m.codex);
        let phase = codex.as_ref().and_then(|c| wire::text(c.phase));
        self.turn.say(&text, &Marks { message_id: message_id.as_deref(), phase: phase.as_deref() });
        vec![Seen::Text]
    }

    fn status(&mut self, u: &Update<'_>) {
        let codex = wire::parse::<wire::Meta<'_>>(u.meta).and_then(|m| m.codex);
        let status: Option<wire::Typed<'_>> = codex.and_then(|c| wire::parse(c.thread_status));
        match status.as_ref().and_then(|s| wire::text(s.kind)).as_deref() {
            Some("systemError") => self.turn.system_error = true,
            // The thread stays broken until it takes up work anew.
            Some("active") => self.turn.system_error = false,
            _ => {}
        }
    }

    pub(super) fn notice(&mut self, text: &str) -> Vec<Seen> {
        self.turn.notices = self.turn.notices.saturating_add(1);
        match self.turn.notices {
            n if n < MAX_NOTICES => vec![Seen::Notice(redact::preview(text, MAX_NOTICE_CHARS))],
            MAX_NOTICES => vec![Seen::Notice("further notices of this turn are not shown".to_owned())],
            _ => vec![],
        }
    }
}

fn or_nothing(seen: Vec<Seen>) -> Vec<Seen> {
    if seen.is_empty() { vec![Seen::Nothing] } else { seen }
}

/// codex-acp's remarks of its own stand in one piece each, belong to no message, and begin in one of these ways.
fn is_marked_warning(text: &str) -> bool {
    let begins = ["Warning: ", "Config warning: ", "*Context compacted "].iter().any(|w| text.starts_with(w));
    begins && text.ends_with("\n\n")
}
