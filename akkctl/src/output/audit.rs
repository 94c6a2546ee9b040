//! `akkctl daemon audit`: who asked for which change, and what came of it.

use super::View;
use super::terminal::{ALERT, DIM, WARN};
use super::text::{column_widths, cut_front, one_line, padded, short};
use akk_proto::audit::{AuditAnswer, AuditPeer, AuditRow, AuditWay, OK, UNANSWERED, UNFINISHED};

const HEAD: [&str; 5] = ["TIME", "METHOD", "CONV", "RESULT", "PID"];

/// The calls as a table, the newest last.
pub(crate) fn audit(answer: &AuditAnswer, view: &View) -> String {
    if answer.rows.is_empty() {
        return "Nobody asked for a change.\n".to_owned();
    }
    let rows: Vec<[String; 5]> = answer.rows.iter().map(|row| cells(row, view)).collect();
    let widths = column_widths(HEAD, rows.iter());
    let head: String = HEAD.iter().zip(&widths).map(|(h, w)| padded(h, w + 2)).collect();
    let mut out = view.paint(DIM, &format!("{head}BY"));
    out.push('\n');
    let left = view.width.map(|w| w.saturating_sub(widths.iter().map(|w| w + 2).sum::<usize>()));
    for (cells, row) in rows.iter().zip(&answer.rows) {
        for (i, (cell, w)) in cells.iter().zip(&widths).enumerate() {
            let cell = padded(cell, w + 2);
            out.push_str(&match row.result.as_str() {
                UNANSWERED | UNFINISHED if i == 3 => view.paint(WARN, &cell),
                result if i == 3 && result != OK => view.paint(ALERT, &cell),
                _ => cell,
            });
        }
        let by = by(row, view);
        // The end of a path says the most.
        out.push_str(&left.map_or_else(|| by.clone(), |left| cut_front(&by, left.max(20)).into_owned()));
        out.push('\n');
    }
    if answer.more {
        out.push_str(&view.paint(DIM, "There are older ones: --limit shows more of them, --since and --json all"));
        out.push('\n');
    }
    out
}

fn cells(row: &AuditRow, view: &View) -> [String; 5] {
    let pid = row.peer.as_ref().and_then(|peer| peer.pid).map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    [
        view.clock(row.at),
        one_line(&row.method),
        row.conversation_id.as_ref().map_or("-", short).to_owned(),
        one_line(&row.result),
        pid,
    ]
}

/// Who asked.
fn by(row: &AuditRow, view: &View) -> String {
    match (&row.peer, row.via) {
        (Some(AuditPeer { executable: Some(path), .. }), _) => view.path(&one_line(path)),
        (Some(_), _) => "a process that was gone".to_owned(),
        (None, AuditWay::Spool) => "left in the drop folder".to_owned(),
        (None, _) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn every_call_has_a_line_that_says_who_asked_and_what_came_of_it() {
        let mut answer = samples::audit();
        let all = audit(&answer, &samples::view());
        answer.rows.clear();
        insta::assert_snapshot!(format!("{all}{}", audit(&answer, &samples::view())));
    }

    #[test]
    fn nothing_in_a_row_reaches_the_terminal_as_an_order() {
        let shown = audit(&samples::spoilt(&samples::audit()), &samples::unlimited());
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{9b}', '\r']), "{shown:?}");
    }
}
