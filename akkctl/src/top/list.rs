//! The upper half: all conversations, grouped by who must act.

use super::fold::folded;
use super::model::{Model, ball};
use super::paint::{BOLD, DIM, PLAIN, Row, WARN, cell, colour, pieces, row, spread};
use crate::output::text::width;
use crate::output::words::{self, Ball};
use crate::output::{View, one_line, short};
use akk_proto::conversation::ConversationSummary;
use ratatui::style::Modifier;

/// From so many columns on a conversation has one row, with all of its columns.
pub(super) const WIDE: usize = 64;
const ID: usize = 8;
/// The longest is `model refused`.
const STATUS: usize = 13;
const AGE: usize = 3;
const REPORTS: usize = 7;

/// The rows of it, in at most `rows` rows.
pub(super) fn list(model: &Model, view: &View, columns: usize, rows: usize) -> Vec<Row> {
    if model.conversations.is_empty() {
        return empty(columns, rows).into_iter().take(rows).collect();
    }
    let widths = Widths::of(model, columns);
    let mut all = Vec::new();
    let mut at = 0..0;
    let mut group = None;
    for c in &model.conversations {
        let ball = ball(c);
        if group.replace(ball) != Some(ball) {
            all.push(row(ball.heading(), colour(ball).add_modifier(Modifier::BOLD)));
        }
        let selected = model.selected.as_ref() == Some(&c.conversation_id);
        let mut lines = widths.conversation(c, selected, model, view);
        if selected {
            at = all.len()..all.len() + lines.len();
            for line in &mut lines {
                // Up to the edge, so that it is seen without any colour.
                let missing = columns.saturating_sub(line.width());
                line.push_span(" ".repeat(missing));
                *line = std::mem::take(line).patch_style(PLAIN.add_modifier(Modifier::REVERSED));
            }
        }
        all.extend(lines);
    }
    let head = usize::from(columns >= WIDE && rows > 4);
    let room = rows.saturating_sub(head);
    // The selected one stands in the lower third of a list that is too long, and nothing is scrolled past its end.
    let first = at.end.saturating_sub(room * 2 / 3).min(at.start).min(all.len().saturating_sub(room));
    let below = all.len().saturating_sub(first + room);
    let mut out = Vec::with_capacity(rows);
    if head == 1 {
        let hidden = match (first, below) {
            (0, 0) => String::new(),
            (above, 0) => format!("▲{above}"),
            (0, below) => format!("▼{below}"),
            (above, below) => format!("▲{above} ▼{below}"),
        };
        out.push(spread((widths.heads(), DIM), (hidden, DIM), columns));
    }
    out.extend(all.into_iter().skip(first).take(room));
    out
}

fn empty(columns: usize, rows: usize) -> Vec<Row> {
    let airy = rows >= 6;
    let mut out = Vec::new();
    out.extend(airy.then(Row::default));
    let said = folded("No open conversations. Begin one, in another terminal:", columns);
    out.extend(said.into_iter().map(|line| row(line, PLAIN)));
    out.extend(airy.then(Row::default));
    out.push(row("  akkctl delegate \"what to do\"", BOLD));
    out.extend(airy.then(Row::default));
    let here = folded("It appears here as soon as it has begun.", columns);
    out.extend(here.into_iter().map(|line| row(line, DIM)));
    out
}

/// How wide the columns are that follow what is in them.
struct Widths {
    columns: usize,
    agent: usize,
    rounds: usize,
    /// 0 where every report was told.
    reports: usize,
}

impl Widths {
    fn of(model: &Model, columns: usize) -> Self {
        let widest = |cell: fn(&ConversationSummary) -> String, least: usize| {
            model.conversations.iter().map(|c| width(&cell(c))).max().unwrap_or_default().max(least)
        };
        let most = if columns >= 100 { 20 } else { 10 };
        Self {
            columns,
            agent: widest(|c| one_line(&c.agent), "AGENT".len()).min(most),
            rounds: widest(rounds, "ROUNDS".len()),
            reports: if model.conversations.iter().any(|c| c.undelivered > 0) { REPORTS } else { 0 },
        }
    }

    fn heads(&self) -> String {
        let Self { agent, rounds, .. } = self;
        let reports = if self.reports > 0 { format!("{:REPORTS$} ", "REPORTS") } else { String::new() };
        format!(
            "  {:ID$} {:agent$} {:STATUS$} {:>rounds$} {:>AGE$}  {reports}NOW",
            "ID", "AGENT", "STATUS", "ROUNDS", "AGE"
        )
    }

    fn conversation(&self, c: &ConversationSummary, selected: bool, model: &Model, view: &View) -> Vec<Row> {
        let ball = ball(c);
        let status = c.needs.map_or_else(|| words::status(c.status), words::need);
        let mark = if selected { "▸ " } else { "  " };
        let age = view.age(c.created_at);
        // A dim text in a reversed row can hardly be read.
        let dim = if selected { PLAIN } else { DIM };
        let head = [(mark.to_owned(), BOLD), (format!("{} ", cell(short(&c.conversation_id), ID)), dim)];
        let status = (format!("{} ", cell(status, STATUS)), colour(ball));
        let now = now(c, model);
        if self.columns < WIDE {
            // Two rows: neither who must act nor what it is about is cut off by the other.
            let facts = [(format!("{age:>AGE$}  "), PLAIN), (rounds(c), dim)];
            let second = [Some(one_line(&c.agent)), reports(c), Some(now)].into_iter().flatten().collect::<Vec<_>>();
            let second = (format!("    {}", second.join(" · ")), dim);
            let rows = [pieces(head.into_iter().chain([status]).chain(facts)), pieces([second])];
            return rows.into_iter().map(|r| fit(r, self.columns)).collect();
        }
        let facts = [
            (format!("{} ", cell(&one_line(&c.agent), self.agent)), PLAIN),
            status,
            (format!("{:>w$} ", rounds(c), w = self.rounds), PLAIN),
            (format!("{age:>AGE$}  "), PLAIN),
        ];
        let reports =
            (self.reports > 0).then(|| (format!("{} ", cell(&reports(c).unwrap_or_default(), REPORTS)), WARN));
        let label = c.label.as_deref().map(|l| (format!("{}: ", one_line(l)), BOLD));
        let all = head.into_iter().chain(facts).chain(reports).chain(label).chain([(now, PLAIN)]);
        vec![fit(pieces(all), self.columns)]
    }
}

/// A row that ends at the edge, with a sign where it goes on.
fn fit(row: Row, columns: usize) -> Row {
    if row.width() <= columns {
        return row;
    }
    let mut left = columns;
    let mut out = Vec::new();
    for mut span in row.spans {
        let wide = span.width();
        if wide >= left && left < usize::MAX {
            // One more than there is room for, so that the cut shows itself.
            span.content = crate::output::text::cut(&format!("{} …", span.content), left).into_owned().into();
            out.push(span);
            break;
        }
        left -= wide;
        out.push(span);
    }
    Row::from(out)
}

fn rounds(c: &ConversationSummary) -> String {
    format!("{}/{}", c.response_rounds_used, c.soft_limit)
}

/// Reports that the orchestrator has not got.
fn reports(c: &ConversationSummary) -> Option<String> {
    match (c.undelivered, c.overdue) {
        (0, _) => None,
        (n, 0) => Some(format!("{n} wait")),
        (_, late) => Some(format!("{late} late")),
    }
}

/// What it does now; for the first moment what it was asked for.
fn now(c: &ConversationSummary, model: &Model) -> String {
    model.doing.get(&c.conversation_id).map_or_else(|| one_line(&c.user_request), |d| one_line(d))
}

/// How many conversations are in each group, in the order of the list.
pub(super) fn counts(model: &Model) -> Vec<(String, Ball)> {
    let count = |b: Ball| model.conversations.iter().filter(|c| ball(c) == b).count();
    let word = |b| match b {
        Ball::NeedsYou => "need you",
        Ball::Working => "working",
        Ball::Done => "done",
    };
    Ball::ALL.into_iter().map(|b| (format!("{} {}", count(b), word(b)), b)).collect()
}
