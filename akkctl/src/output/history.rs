//! Events, one a line: `events`, `status`, the trace, and the progress of `--wait`.

use super::terminal::DIM;
use super::text::{fit, indented, one_line, padded, short};
use super::{View, words};
use akk_proto::api::StreamItem;
use akk_proto::event::{Activity, EventBody, EventRecord};
use std::fmt::Write as _;

/// One item of `akkctl events`; nothing for what only programs care about.
pub(crate) fn event_line(item: &StreamItem, view: &View) -> Option<String> {
    match item {
        StreamItem::Event(record) => {
            let head = format!(
                "{} {} {} ",
                view.clock(record.ts),
                short(&record.conversation_id),
                padded(record.turn_id.as_ref().map_or("-", |t| t.as_str()), 7)
            );
            let left = view.width.map(|w| w.saturating_sub(head.chars().count()));
            let text = words::event(record);
            let text = view.paint(words::event_style(&record.body), &fit(&text, left));
            Some(format!("{}{text}\n", view.paint(DIM, &head)))
        }
        StreamItem::Live { .. } => None,
        StreamItem::Gap { .. } => {
            Some(format!("{}\n", view.paint(DIM, "(events are missing here: their conversation was deleted)")))
        }
    }
}

/// One event of a conversation that the reader knows.
pub(crate) fn progress_line(record: &EventRecord, view: &View) -> String {
    format!("{}\n", event_line_in(record, view, view.width))
}

/// The same in so many columns, without a newline.
pub(crate) fn event_line_in(record: &EventRecord, view: &View, columns: Option<usize>) -> String {
    let clock = view.clock(record.ts);
    let left = columns.map(|w| w.saturating_sub(clock.len() + 2));
    let text = words::event(record);
    let text = view.paint(words::event_style(&record.body), &fit(&text, left));
    format!("{}  {text}", view.paint(DIM, &clock))
}

/// What the agent did, with the previews that the other views leave out.
pub(crate) fn trace(events: &[EventRecord], view: &View) -> String {
    let mut out = String::new();
    for record in events {
        out.push_str(&progress_line(record, view));
        match &record.body {
            EventBody::AgentActivity(Activity::Tool { preview: Some(preview), .. }) => {
                out.push_str(&view.paint(DIM, &indented(&one_line(preview), 10)));
            }
            EventBody::AgentActivity(Activity::Plan { entries }) => {
                for entry in entries {
                    out.push_str(&indented(&one_line(entry), 10));
                }
            }
            EventBody::PermissionRequested(p) => out.push_str(&view.paint(DIM, &indented(&p.request.text, 10))),
            EventBody::NativeSessionAttached(a) => {
                for evidence in &a.evidence {
                    out.push_str(&view.paint(DIM, &indented(&one_line(evidence), 10)));
                }
                for step in &a.steps {
                    out.push_str(&indented(&one_line(&format!("{} {}", step.step, step.detail)), 10));
                }
            }
            EventBody::NativeSessionForked(f) => out.push_str(&view.paint(DIM, &indented(&f.summary, 10))),
            EventBody::TurnEnded(end) => {
                if end.thoughts > 0 {
                    let _ = writeln!(out, "          {} pieces of private thinking, not kept", end.thoughts);
                }
                if let Some(trace) = &end.trace {
                    out.push_str(&indented(trace, 10));
                }
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn every_event_has_its_line() {
        let view = samples::view();
        let text: String = samples::every_event()
            .into_iter()
            .filter_map(|e| event_line(&StreamItem::Event(Box::new(e)), &view))
            .collect();
        insta::assert_snapshot!(text);
        assert!(text.lines().all(|l| crate::output::text::width(l) <= 80), "{text}");
    }

    #[test]
    fn every_event_reads_back_from_its_json() {
        for record in samples::every_event().into_iter().chain(samples::exchange()) {
            let json = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<EventRecord>(&json).unwrap(), record, "{json}");
        }
    }

    #[test]
    fn a_gap_is_said_and_live_is_not() {
        let view = samples::view();
        assert_eq!(event_line(&StreamItem::Live { cursor: 4 }, &view), None);
        insta::assert_snapshot!(event_line(&StreamItem::Gap { from: 1, to: 9 }, &view).unwrap(), @"(events are missing here: their conversation was deleted)");
    }

    #[test]
    fn a_trace_shows_previews_plans_and_what_was_not_kept() {
        insta::assert_snapshot!(trace(&samples::every_event(), &samples::view()));
    }

    #[test]
    fn what_an_agent_wrote_cannot_command_the_terminal() {
        let mut hostile = samples::every_event();
        for record in &mut hostile {
            samples::poison(record);
        }
        let view = samples::view();
        let mut text = trace(&hostile, &view);
        let mut transcript = crate::output::Transcript::new(&view);
        for record in &hostile {
            text.push_str(&transcript.push(record));
            text.extend(event_line(&StreamItem::Event(Box::new(record.clone())), &view));
        }
        assert!(text.contains('␛'), "the poison is in it");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
}
