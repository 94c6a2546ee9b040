//! `akkctl transcript`: the exchange, readable; what the agent did in between in a few words.

use super::terminal::DIM;
use super::text::{counted, fit, indented, one_line};
use super::{View, words};
use akk_proto::event::{Activity, EventBody, EventRecord, MessageRecorded, Origin};
use std::collections::BTreeMap;

/// Shows one event after the other.
#[derive(Debug)]
pub(crate) struct Transcript<'a> {
    view: &'a View,
    /// Tool calls since the last thing said: their kind and their latest status, by the agent's id of the call.
    tools: BTreeMap<String, (String, String)>,
    permissions: u64,
    /// Whether every tool call is shown when it begins, instead of a sum afterwards.
    live: bool,
}

impl<'a> Transcript<'a> {
    /// Nothing shown yet.
    pub(crate) fn new(view: &'a View) -> Self {
        Self { view, tools: BTreeMap::new(), permissions: 0, live: false }
    }

    /// From now on a reader watches: tool calls are shown when they begin.
    pub(crate) fn go_live(&mut self) -> String {
        let text = self.finish();
        self.live = true;
        text
    }

    /// What `record` adds.
    pub(crate) fn push(&mut self, record: &EventRecord) -> String {
        let said = match &record.body {
            EventBody::AgentActivity(Activity::Tool { id, kind, status, .. }) => {
                let known = self.tools.contains_key(id);
                let kind = kind.as_deref().map_or_else(|| "other".to_owned(), one_line);
                self.tools.insert(id.clone(), (kind, status.clone()));
                return if self.live && !known { self.note(record) } else { String::new() };
            }
            EventBody::AgentActivity(Activity::Permission { .. }) => {
                self.permissions += 1;
                return if self.live { self.note(record) } else { String::new() };
            }
            EventBody::Message(m) | EventBody::LateCallback(m) => self.message(m, record),
            EventBody::PermissionRequested(p) => {
                let cut = if p.request.truncated { "    (there was more)\n" } else { "" };
                format!("{}{}{cut}", self.note(record), indented(&p.request.text, 4))
            }
            EventBody::PermissionSettled(_)
            | EventBody::TurnEnded(_)
            | EventBody::MessagesDropped { .. }
            | EventBody::CancelRequested { .. }
            | EventBody::ConversationStalled { .. }
            | EventBody::ConversationNeedsRecovery { .. }
            | EventBody::ConversationNeedsModelSelection { .. }
            | EventBody::RecoveryStarted { .. }
            | EventBody::ConversationClosed { .. }
            | EventBody::LimitsChanged { .. }
            | EventBody::ModelSelected { .. }
            | EventBody::DropRefused { .. }
            | EventBody::ConversationImported(_)
            | EventBody::NativeSessionAttached(_)
            | EventBody::NativeSessionForked(_)
            | EventBody::ExecutorReadopted { .. } => self.note(record),
            _ => return String::new(),
        };
        format!("{}{said}", self.finish())
    }

    /// What was held back: the sum of the agent's activity.
    pub(crate) fn finish(&mut self) -> String {
        let tools = std::mem::take(&mut self.tools);
        let permissions = std::mem::take(&mut self.permissions);
        if self.live || (tools.is_empty() && permissions == 0) {
            return String::new();
        }
        let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
        for (kind, _) in tools.values() {
            *kinds.entry(kind).or_default() += 1;
        }
        let mut kinds: Vec<_> = kinds.into_iter().collect();
        kinds.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let mut parts = Vec::new();
        if !tools.is_empty() {
            let by_kind: Vec<String> = kinds.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
            parts.push(format!("{} ({})", counted(tools.len() as u64, "tool call"), by_kind.join(", ")));
        }
        let failed = tools.values().filter(|(_, status)| status == "failed").count();
        if failed > 0 {
            parts.push(format!("{failed} failed"));
        }
        if permissions > 0 {
            parts.push(counted(permissions, "permission request"));
        }
        let text = format!("  · {}", parts.join(", "));
        format!("{}\n", self.view.paint(DIM, &fit(&text, self.view.width)))
    }

    fn message(&self, recorded: &MessageRecorded, record: &EventRecord) -> String {
        let m = &recorded.message;
        let mut facts = vec![m.kind.to_string(), format!("round {}", m.round), self.view.clock(record.ts)];
        match recorded.origin {
            Origin::Queued => facts.push("queued".to_owned()),
            Origin::Derived => facts.push("final text".to_owned()),
            Origin::Daemon => facts.push("from akkd".to_owned()),
            Origin::Sent | Origin::Callback | Origin::Imported => {}
        }
        if matches!(record.body, EventBody::LateCallback(_)) {
            facts.push("late, changes nothing".to_owned());
        }
        let route = format!("{} → {}", one_line(&m.from.0), one_line(&m.to.0));
        let style = words::event_style(&record.body).bold();
        let head =
            format!("{} {}", self.view.paint(style, &route), self.view.paint(DIM, &format!("· {}", facts.join(" · "))));
        format!("\n{head}\n{}", indented(&m.body, 4))
    }

    fn note(&self, record: &EventRecord) -> String {
        let text = format!("  · {}", words::event(record));
        format!("{}\n", self.view.paint(words::event_style(&record.body), &fit(&text, self.view.width)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn a_transcript_reads_as_a_dialogue() {
        let view = samples::view();
        let mut transcript = Transcript::new(&view);
        let mut text: String = samples::exchange().iter().map(|e| transcript.push(e)).collect();
        text.push_str(&transcript.finish());
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_followed_transcript_shows_each_tool_call_once_when_it_begins() {
        let view = samples::view();
        let mut transcript = Transcript::new(&view);
        assert_eq!(transcript.go_live(), "");
        let text: String = samples::exchange().iter().map(|e| transcript.push(e)).collect();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn work_that_is_still_going_on_is_counted_at_the_end() {
        let view = samples::view();
        let mut transcript = Transcript::new(&view);
        let tool = samples::exchange().into_iter().find(|e| matches!(e.body, EventBody::AgentActivity(_))).unwrap();
        assert_eq!(transcript.push(&tool), "");
        assert_eq!(transcript.finish(), "  · 1 tool call (1 read)\n");
        assert_eq!(transcript.finish(), "");
    }
}
