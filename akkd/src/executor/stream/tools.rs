//! Tool calls, remembered while they matter: an update names only what changed.

use super::wire::{self, Block, Update};
use akk_core::redact;
use akk_proto::event::Activity;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::VecDeque;

/// Calls that are remembered, ended ones too; beyond that the oldest is forgotten, ended ones first.
const MAX_CALLS: usize = 48;
/// Longest id of a call, in characters.
pub(super) const MAX_ID_CHARS: usize = 120;
/// Longest title, in characters.
const MAX_TITLE_CHARS: usize = 200;
/// Longest kind or status, in characters.
pub(super) const MAX_WORD_CHARS: usize = 40;
/// Longest preview, in characters.
const MAX_PREVIEW_CHARS: usize = 400;
/// Input or output up to this many bytes is looked into; of more, the beginning is shown as it stands.
const MAX_LOOKED_INTO: usize = 16 << 10;
/// Entries of a plan that are shown, as `Activity::Plan` promises.
pub(super) const MAX_PLAN_ENTRIES: usize = 20;

/// The calls of this turn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tools {
    calls: VecDeque<Call>,
    /// The plan as it was last shown.
    plan: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Call {
    id: String,
    title: String,
    kind: Option<String>,
    status: String,
    /// Whether input or output was shown in this status.
    previewed: bool,
}

/// What is told of a call: nothing is redacted yet, and only what changed is there.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) id: String,
    pub(super) title: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) status: Option<String>,
    /// Input or output.
    pub(super) preview: Option<String>,
}

/// What an update of a tool call means.
pub(super) struct Told {
    /// Whether this is a call that was not known before.
    pub(super) begins: bool,
    /// What to show; none when nothing changed that people see.
    pub(super) activity: Option<Activity>,
}

impl Tools {
    /// Takes a `tool_call` (`created`) or `tool_call_update` in.
    pub(super) fn take(&mut self, created: bool, u: &Update<'_>) -> Told {
        let given = Given {
            id: word(u.tool_call_id, MAX_ID_CHARS).unwrap_or_default(),
            title: wire::text(u.title).map(|t| head(&t).to_owned()),
            kind: word(u.kind, MAX_WORD_CHARS),
            status: word(u.status, MAX_WORD_CHARS),
            preview: input_or_output(u),
        };
        self.note(created, given)
    }

    /// Takes in what is told of a call. `created`: this is said to be its beginning.
    pub(super) fn note(&mut self, created: bool, given: Given) -> Told {
        let Given { id, title, kind, status, preview } = given;
        let title = title.map(|t| redact::preview(&t, MAX_TITLE_CHARS)).filter(|t| !t.is_empty());
        let known = self.calls.iter().position(|c| c.id == id);
        // Some agents never send `tool_call`: their first update with a title begins the call.
        let begins = known.is_none() && (created || title.is_some());
        let at = known.unwrap_or_else(|| self.remember(id));
        let Some(call) = self.calls.get_mut(at) else { return Told { begins, activity: None } };
        let preview = preview.map(|p| redact::preview(&p, MAX_PREVIEW_CHARS)).filter(|p| !p.is_empty());
        let mut changed = begins;
        if let Some(title) = title.filter(|t| *t != call.title) {
            // Titles that grow while input streams in are not worth an event each.
            changed |= call.title.is_empty();
            call.title = title;
        }
        if kind.is_some() {
            call.kind = kind;
        }
        if let Some(status) = status.filter(|s| *s != call.status) {
            call.status = status;
            call.previewed = false;
            changed = true;
        }
        // Output that streams in is shown once per status: its beginning says enough.
        changed |= preview.is_some() && !call.previewed;
        call.previewed |= preview.is_some();
        let activity = changed.then(|| Activity::Tool {
            id: call.id.clone(),
            title: call.title.clone(),
            kind: call.kind.clone(),
            status: call.status.clone(),
            preview,
        });
        Told { begins, activity }
    }

    /// A new plan; none when it is the one that was shown.
    pub(super) fn plan(&mut self, entries: Option<&RawValue>) -> Option<Activity> {
        let entries = wire::items(entries, MAX_PLAN_ENTRIES).into_iter().map(|raw| {
            let entry: Option<Update<'_>> = wire::parse(Some(raw));
            let text = entry.as_ref().and_then(|e| wire::text(e.content)).unwrap_or_default();
            (entry.as_ref().and_then(|e| word(e.status, MAX_WORD_CHARS)), text.into_owned())
        });
        let entries: Vec<_> = entries.collect();
        self.planned(entries)
    }

    /// The same of entries that were read: status, text; 20 are shown.
    pub(super) fn planned(&mut self, entries: Vec<(Option<String>, String)>) -> Option<Activity> {
        let shown = entries.into_iter().take(MAX_PLAN_ENTRIES).map(|(status, text)| {
            let text = redact::preview(&text, MAX_TITLE_CHARS);
            status.map_or(text.clone(), |s| format!("{s} {text}"))
        });
        let shown: Vec<String> = shown.collect();
        if shown == self.plan {
            return None;
        }
        self.plan.clone_from(&shown);
        Some(Activity::Plan { entries: shown })
    }

    fn remember(&mut self, id: String) -> usize {
        if self.calls.len() >= MAX_CALLS {
            let ended = self.calls.iter().position(|c| matches!(c.status.as_str(), "completed" | "failed"));
            self.calls.remove(ended.unwrap_or(0));
        }
        let status = "pending".to_owned();
        self.calls.push_back(Call { id, title: String::new(), kind: None, status, previewed: false });
        self.calls.len() - 1
    }
}

/// The title of a tool call inside a request for permission.
pub(super) fn title_of(tool: &wire::PermissionTool<'_>) -> String {
    let title = wire::text(tool.title).or_else(|| wire::text(tool.kind)).unwrap_or_default();
    redact::preview(&title, MAX_TITLE_CHARS)
}

/// A short word, cut; none when it is no string.
pub(super) fn word(raw: Option<&RawValue>, max_chars: usize) -> Option<String> {
    wire::text(raw).map(|t| t.chars().take(max_chars).collect())
}

/// The most telling of content, output and input, not yet cut and not yet redacted.
fn input_or_output(u: &Update<'_>) -> Option<String> {
    content(u.content).or_else(|| spoken(u.raw_output)).or_else(|| spoken(u.raw_input))
}

/// The first text, or the first path of a changed file, of a tool call's content.
fn content(raw: Option<&RawValue>) -> Option<String> {
    wire::items(raw, 4).into_iter().find_map(|item| {
        let block: Block<'_> = wire::parse(Some(item))?;
        let inner: Option<Block<'_>> = wire::parse(block.content);
        let text = inner.as_ref().and_then(|b| wire::text(b.text)).or_else(|| wire::text(block.text));
        text.or_else(|| wire::text(block.path)).map(|t| head(&t).to_owned()).filter(|t| !t.trim().is_empty())
    })
}

/// Raw input or output as a person would say it: the command, the path, the text; else the JSON.
fn spoken(raw: Option<&RawValue>) -> Option<String> {
    use serde_json::Value;
    let raw = raw?;
    if raw.get().len() > MAX_LOOKED_INTO {
        return Some(head(raw.get()).to_owned());
    }
    let value: Value = serde_json::from_str(raw.get()).ok()?;
    let told = match &value {
        Value::String(s) => Some(s.clone()),
        Value::Object(map) => ["command", "cmd", "file_path", "path", "pattern", "query", "url", "stdout", "output"]
            .into_iter()
            .find_map(|key| match map.get(key)? {
                Value::String(s) => Some(s.clone()),
                Value::Array(words) => {
                    Some(words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")).filter(|s| !s.is_empty())
                }
                _ => None,
            }),
        _ => None,
    };
    told.filter(|t| !t.is_empty()).or_else(|| (!value.is_null()).then(|| value.to_string())).filter(|t| t != "{}")
}

/// The first bytes of `text`, as many as are ever looked into.
pub(super) fn head(text: &str) -> &str {
    let mut end = text.len().min(MAX_LOOKED_INTO);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
