//! `akkctl list`: who must act, newest activity first.

use super::terminal::{BOLD, DIM, WARN};
use super::text::{column_widths, counted, fit, one_line, padded, short};
use super::{View, words};
use akk_proto::api::{ListAnswer, ListParams};
use akk_proto::conversation::ConversationSummary;
use std::collections::HashMap;

/// The page as a table.
pub(crate) fn list(answer: &ListAnswer, asked: &ListParams, view: &View) -> String {
    let mut out = String::new();
    if answer.conversations.is_empty() {
        let filtered = asked.agent.is_some() || asked.status.is_some() || asked.workspace.is_some();
        out.push_str(match (filtered, asked.all) {
            (true, _) => "No conversation fits.\n",
            (false, true) => "No conversations yet. Begin one with: akkctl delegate \"what to do\"\n",
            (false, false) => "No open conversations. Begin one with: akkctl delegate \"what to do\"\n",
        });
        return out;
    }
    let ids = distinct_ids(&answer.conversations);
    let rows: Vec<Row> = answer.conversations.iter().map(|c| Row::of(c, &ids, view)).collect();
    let widths = column_widths(HEAD, rows.iter().map(|r| &r.cells));
    out.push_str(&view.paint(DIM, &line(&HEAD.map(str::to_owned), &widths, "REQUEST")));
    out.push('\n');
    let left = view.width.map(|w| w.saturating_sub(INDENT + widths.iter().map(|w| w + GAP).sum::<usize>()));
    for ball in words::Ball::ALL {
        let mut rows = answer
            .conversations
            .iter()
            .zip(&rows)
            .filter(|(c, _)| words::Ball::with(c.status, c.needs) == ball)
            .peekable();
        if rows.peek().is_none() {
            continue;
        }
        out.push_str(&view.paint(ball.style().bold(), ball.heading()));
        out.push('\n');
        for (_, row) in rows {
            let mut cells = row.cells.clone();
            for (cell, width) in cells.iter_mut().zip(&widths) {
                *cell = padded(cell, *width);
            }
            cells[STATUS] = view.paint(ball.style(), &cells[STATUS]);
            // Already padded, so that the colours do not count.
            out.push_str(&line(&cells, &[0; COLUMNS], &row.request(left, view)));
            out.push('\n');
        }
    }
    out.push_str(&footer(answer, view));
    out
}

const COLUMNS: usize = 6;
const HEAD: [&str; COLUMNS] = ["ID", "AGENT", "STATUS", "ROUNDS", "AGE", "LAST"];
const STATUS: usize = 2;
const INDENT: usize = 2;
const GAP: usize = 2;

struct Row {
    cells: [String; COLUMNS],
    undelivered: u64,
    overdue: u64,
    label: Option<String>,
    request: String,
}

impl Row {
    fn of(c: &ConversationSummary, ids: &HashMap<&str, usize>, view: &View) -> Self {
        let id = short(&c.conversation_id);
        let id = if ids.get(id) == Some(&1) { id } else { c.conversation_id.as_str() };
        Self {
            cells: [
                id.to_owned(),
                one_line(&c.agent),
                c.needs.map_or_else(|| words::status(c.status), words::need).to_owned(),
                format!("{}/{}", c.response_rounds_used, c.soft_limit),
                view.age(c.created_at),
                view.age(c.updated_at),
            ],
            undelivered: c.undelivered,
            overdue: c.overdue,
            label: c.label.as_deref().map(one_line),
            request: one_line(&c.user_request),
        }
    }

    /// What is left of the line: undelivered reports, label, request.
    fn request(&self, columns: Option<usize>, view: &View) -> String {
        let undelivered = match (self.undelivered, self.overdue) {
            (0, _) => String::new(),
            (n, 0) => format!("({n} undelivered) "),
            (n, _) => format!("({n} undelivered, overdue) "),
        };
        let label = self.label.as_ref().map(|l| format!("{l}: ")).unwrap_or_default();
        let whole = format!("{undelivered}{label}{}", self.request);
        let text = fit(&whole, columns);
        // Painted after the cut, piece by piece, as far as the pieces survived it.
        let Some(rest) = text.strip_prefix(&undelivered) else { return view.paint(WARN, &text) };
        match rest.strip_prefix(&label) {
            Some(request) => format!("{}{}{request}", view.paint(WARN, &undelivered), view.paint(BOLD, &label)),
            None => format!("{}{}", view.paint(WARN, &undelivered), view.paint(BOLD, rest)),
        }
    }
}

/// How often each short id occurs on the page: a short one that occurs twice names nothing.
fn distinct_ids(conversations: &[ConversationSummary]) -> HashMap<&str, usize> {
    let mut ids = HashMap::with_capacity(conversations.len());
    for c in conversations {
        *ids.entry(short(&c.conversation_id)).or_default() += 1;
    }
    ids
}

fn line(cells: &[String; COLUMNS], widths: &[usize; COLUMNS], last: &str) -> String {
    let mut out = " ".repeat(INDENT);
    for (cell, width) in cells.iter().zip(widths) {
        out.push_str(&padded(cell, *width));
        out.push_str("  ");
    }
    out.push_str(last);
    out
}

fn footer(answer: &ListAnswer, view: &View) -> String {
    let shown = answer.conversations.len() as u64;
    let mut out = String::new();
    if let Some(next) = answer.next.as_deref().filter(|_| answer.total > shown) {
        let more = format!(
            "{shown} of {}; the next ones: add --after {}, or --limit up to 1000\n",
            counted(answer.total, "conversation"),
            one_line(next)
        );
        out.push_str(&view.paint(DIM, &more));
    }
    let undelivered: u64 = answer.conversations.iter().map(|c| c.undelivered).sum();
    if undelivered > 0 {
        let overdue = answer.conversations.iter().map(|c| c.overdue).sum();
        let told = format!("{}: akkctl deliveries\n", words::undelivered(undelivered, overdue));
        out.push_str(&view.paint(WARN, &told));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;
    use akk_proto::conversation::Status;

    #[test]
    fn a_list_is_grouped_by_who_must_act() {
        let answer = samples::list();
        insta::assert_snapshot!(list(&answer, &ListParams::default(), &samples::view()));
    }

    #[test]
    fn one_that_waits_for_a_permission_needs_you_whatever_its_status() {
        let mut answer = samples::list();
        answer.conversations.truncate(1);
        answer.conversations[0].needs = Some(akk_proto::conversation::Need::Permission);
        let text = list(&answer, &ListParams::default(), &samples::view());
        assert!(text.contains("NEEDS YOU") && text.contains(" permission ") && !text.contains("WORKING"), "{text}");
    }

    #[test]
    fn a_page_says_what_it_leaves_out() {
        let mut answer = samples::list();
        answer.conversations.truncate(2);
        answer.total = 1234;
        answer.next = Some("c-99".to_owned());
        insta::assert_snapshot!(list(&answer, &ListParams::default(), &samples::view()));
    }

    #[test]
    fn an_empty_list_says_how_to_begin() {
        let empty = ListAnswer { conversations: vec![], total: 0, next: None };
        let texts = [
            ListParams::default(),
            ListParams { all: true, ..ListParams::default() },
            ListParams { status: Some(Status::Idle), ..ListParams::default() },
        ]
        .map(|p| list(&empty, &p, &samples::view()));
        insta::assert_snapshot!(texts.concat());
    }

    #[test]
    fn two_conversations_with_the_same_digits_show_their_whole_ids() {
        let mut answer = samples::list();
        answer.conversations.truncate(1);
        let mut twin = answer.conversations[0].clone();
        twin.conversation_id = "task-20260101T000000-0a1b2c3d".parse().unwrap();
        answer.conversations.push(twin);
        let text = list(&answer, &ListParams::default(), &samples::view());
        assert!(text.contains("task-20260620T120525-0a1b2c3d"), "{text}");
        assert!(text.contains("task-20260101T000000-0a1b2c3d"), "{text}");
    }

    #[test]
    fn colours_do_not_move_the_columns() {
        let answer = samples::list();
        let plain = list(&answer, &ListParams::default(), &samples::view());
        let coloured = list(&answer, &ListParams::default(), &samples::coloured());
        assert_ne!(plain, coloured);
        assert_eq!(plain, anstream::adapter::strip_str(&coloured).to_string());
    }

    #[test]
    fn where_no_terminal_reads_nothing_is_cut() {
        let answer = samples::list();
        let text = list(&answer, &ListParams::default(), &samples::unlimited());
        assert!(text.contains(&answer.conversations[1].user_request), "{text}");
    }
}
