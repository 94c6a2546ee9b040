//! `akkctl import`: what became of each conversation of the predecessor.

use super::terminal::{DIM, WARN};
use super::text::{counted, one_line};
use super::{View, words};
use akk_proto::conversation::Status;
use serde::Serialize;
use std::fmt::Write as _;

/// What `akkctl import` did.
#[derive(Debug, Serialize)]
pub(crate) struct ImportReport {
    /// Where it read.
    pub(crate) folder: String,
    /// What was there, in the order of the names.
    pub(crate) conversations: Vec<ImportedItem>,
}

/// One conversation of the predecessor.
#[derive(Debug, Serialize)]
pub(crate) struct ImportedItem {
    /// Its folder's name: its id.
    pub(crate) name: String,
    /// What became of it.
    pub(crate) outcome: ImportOutcome,
    /// Its status there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) former_status: Option<Status>,
    /// Its status here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<Status>,
    /// Why it was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// What of it could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
}

/// What became of a conversation of the predecessor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ImportOutcome {
    /// It is akkd's now.
    Imported,
    /// It was there from an earlier import; nothing was changed.
    Already,
    /// It stays where it is.
    Skipped,
}

/// The report in lines.
pub(crate) fn imported(report: &ImportReport, view: &View) -> String {
    let folder = one_line(&view.path(&report.folder));
    if report.conversations.is_empty() {
        return format!("There are no conversations in {folder}.\n");
    }
    let mut out = String::new();
    for item in &report.conversations {
        let (text, style) = match (item.outcome, item.status, item.former_status) {
            (ImportOutcome::Imported, Some(now), Some(before)) if now != before => {
                (format!("imported, {} ({} before)", words::status(now), words::status(before)), None)
            }
            (ImportOutcome::Imported, Some(now), _) => (format!("imported, {}", words::status(now)), None),
            (ImportOutcome::Already, Some(now), _) => (format!("there already, {}", words::status(now)), Some(DIM)),
            (ImportOutcome::Imported, None, _) => ("imported".to_owned(), None),
            (ImportOutcome::Already, None, _) => ("there already".to_owned(), Some(DIM)),
            (ImportOutcome::Skipped, ..) => {
                (format!("skipped: {}", one_line(item.reason.as_deref().unwrap_or("no reason"))), Some(WARN))
            }
        };
        let line = format!("{}  {text}", one_line(&item.name));
        let _ = writeln!(out, "{}", style.map_or_else(|| line.clone(), |style| view.paint(style, &line)));
        for note in &item.notes {
            let _ = writeln!(out, "  {}", view.paint(WARN, &one_line(note)));
        }
    }
    let count = |outcome| report.conversations.iter().filter(|c| c.outcome == outcome).count() as u64;
    let _ = writeln!(
        out,
        "{} imported from {folder}, {} there already, {} skipped; nothing was changed there",
        counted(count(ImportOutcome::Imported), "conversation"),
        count(ImportOutcome::Already),
        count(ImportOutcome::Skipped),
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn the_report_says_what_became_of_each() {
        let item = |n: u32, outcome, former_status, status| ImportedItem {
            name: format!("task-20260620T140525-0000000{n}"),
            outcome,
            former_status,
            status,
            reason: None,
            notes: Vec::new(),
        };
        let mut damaged = item(4, ImportOutcome::Skipped, None, None);
        damaged.reason = Some("state.json cannot be understood: \u{1b}[31mEOF".into());
        let mut torn = item(1, ImportOutcome::Imported, Some(Status::Idle), Some(Status::Idle));
        torn.notes = vec!["line 7 of events.ndjson was left out: EOF".into()];
        let stalled = item(2, ImportOutcome::Imported, Some(Status::WaitingForAgent), Some(Status::Stalled));
        let there = item(3, ImportOutcome::Already, Some(Status::Closed), Some(Status::Closed));
        let conversations = vec![torn, stalled, there, damaged];
        let report = ImportReport { folder: "/home/u/.agent-knock-knock/conversations".into(), conversations };
        let text = imported(&report, &samples::view());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "task-20260620T140525-00000001  imported, idle");
        assert_eq!(lines[1], "  line 7 of events.ndjson was left out: EOF");
        assert_eq!(lines[2], "task-20260620T140525-00000002  imported, stalled (working before)");
        assert_eq!(lines[3], "task-20260620T140525-00000003  there already, closed");
        assert!(
            lines[4].starts_with("task-20260620T140525-00000004  skipped: state.json") && !lines[4].contains('\u{1b}')
        );
        assert!(
            lines[5].starts_with("2 conversations imported from ") && lines[5].contains("1 there already, 1 skipped")
        );
        let none = ImportReport { folder: "/old".into(), conversations: Vec::new() };
        assert_eq!(imported(&none, &samples::view()), "There are no conversations in /old.\n");
    }
}
