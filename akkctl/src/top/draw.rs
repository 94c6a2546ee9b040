//! The picture of a [`Model`]: pure, into a buffer of any size.

use super::fold::{broken, folded};
use super::list::{WIDE, counts};
use super::model::{Action, Mode, Model};
use super::paint::{ALERT, BOLD, DIM, PLAIN, Row, WARN, colour, pieces, row};
use super::{detail, list, request};
use crate::output::View;
use crate::output::text::{counted, cut, lines, width};
use ratatui::buffer::Buffer;
use ratatui::layout::Position;
use ratatui::style::Color;

/// What was on the screen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// Lines that scroll, of those that are there.
    pub(super) page: usize,
    /// How many of them can be scrolled away.
    pub(super) furthest: usize,
    /// Whether the last line of a request was among them.
    pub(super) end_in_sight: bool,
    /// Where what is written goes on.
    pub(super) cursor: Option<Position>,
}

const HELP: [(&str, &str); 12] = [
    ("↑ ↓  j k", "select a conversation"),
    ("g G", "the first, the last"),
    ("Tab", "the next one that needs you"),
    ("PgUp PgDn", "scroll what happened (also b, space)"),
    ("Enter", "what it needs: decide about a permission, answer"),
    ("s", "send: an answer, or what to do next"),
    ("p", "read a permission request and decide"),
    ("c", "cancel the turn; the conversation can be used again"),
    ("x", "close the conversation; its history is kept"),
    ("Ctrl-L", "draw everything again"),
    ("Ctrl-Z", "back to the shell for a while (fg returns)"),
    ("q  Ctrl-C", "quit; agents go on"),
];
/// How many rows a message, a notice may take of the screen.
const BOTTOM: usize = 8;

/// Draws all of it.
pub(super) fn draw(model: &Model, view: &View, to: &mut Buffer) -> Shown {
    let (columns, rows) = (usize::from(to.area.width), usize::from(to.area.height));
    let mut shown = Shown::default();
    if columns == 0 || rows == 0 {
        return shown;
    }
    let mut all = headline(model, columns);
    let (mut bottom, cursor) = bottom(model, columns);
    // What keys do, and what is asked, comes before everything else.
    bottom.drain(..bottom.len().saturating_sub(rows));
    all.truncate(rows - bottom.len());
    let body = rows - all.len() - bottom.len();
    match &model.mode {
        Mode::Help => all.extend(help(columns).into_iter().take(body)),
        Mode::Permit(asked) => {
            let page = request::request(asked, model, view, columns, body);
            shown = Shown { page: page.page, furthest: page.furthest, end_in_sight: page.end_in_sight, cursor: None };
            let fits = page.rows.len() <= body;
            shown.end_in_sight &= fits;
            all.extend(page.rows.into_iter().take(body));
        }
        _ => {
            // The selected one keeps two fifths of the screen, and half of a narrow one, where text needs more rows.
            let keeps = match (&model.selected, columns >= WIDE) {
                (None, _) => 0,
                (_, true) => body * 2 / 5,
                (_, false) => body / 2,
            };
            let upper = list::list(model, view, columns, body - keeps);
            let left = body - upper.len();
            all.extend(upper);
            let mut head = detail::head(model, view, columns, left);
            head.truncate(left);
            let left = left - head.len();
            let (trace, furthest) = detail::trace(model, view, columns, left);
            detail::tell_more(&mut head, model.scrolled.min(furthest), furthest, columns);
            all.extend(head);
            shown = Shown { page: left.saturating_sub(1), furthest, ..shown };
            all.extend(trace);
        }
    }
    all.resize(rows - bottom.len(), Row::default());
    let first = all.len();
    all.extend(bottom);
    for (y, line) in all.iter().enumerate() {
        to.set_line(to.area.x, to.area.y + y as u16, line, to.area.width);
    }
    if !view.colour {
        for cell in &mut to.content {
            (cell.fg, cell.bg) = (Color::Reset, Color::Reset);
        }
    }
    shown.cursor = cursor.and_then(|(x, y)| {
        let y = (first + y).min(rows - 1);
        Some(Position::new(to.area.x + u16::try_from(x.min(columns - 1)).ok()?, to.area.y + u16::try_from(y).ok()?))
    });
    shown
}

fn headline(model: &Model, columns: usize) -> Vec<Row> {
    if model.lost.is_some() {
        return vec![row("akkd is not reachable; trying again", ALERT)];
    }
    let mut left = Vec::new();
    for (text, ball) in counts(model) {
        if !left.is_empty() {
            left.push((" · ".to_owned(), DIM));
        }
        let none = text.starts_with("0 ");
        left.push((text, if none { DIM } else { colour(ball) }));
    }
    let mut right = Vec::new();
    let more = model.total.saturating_sub(model.conversations.len() as u64);
    if more > 0 {
        right.push(format!("{more} more not shown"));
    }
    let (all, late) = model.conversations.iter().fold((0, 0), |(a, l), c| (a + c.undelivered, l + c.overdue));
    if all > 0 {
        right.push(format!("{} not told", counted(all, "report")));
    }
    if late > 0 {
        right.push(format!("{late} late"));
    }
    let right = right.join(", ");
    let room = columns.saturating_sub(left.iter().map(|(text, _)| width(text)).sum::<usize>() + width(&right));
    if right.is_empty() || room >= 2 {
        left.push((" ".repeat(room), PLAIN));
        left.push((right, WARN));
        vec![pieces(left)]
    } else {
        let right = folded(&right, columns).into_iter().map(|line| row(line, WARN));
        [pieces(left)].into_iter().chain(right).collect()
    }
}

fn help(columns: usize) -> Vec<Row> {
    let mut out = vec![row("Keys", BOLD)];
    for (keys, what) in HELP {
        let text = if columns >= 40 { folded(what, columns - 13) } else { vec![what.to_owned()] };
        for (n, line) in text.into_iter().enumerate() {
            let keys = if n == 0 { keys } else { "" };
            out.push(pieces([(format!("  {keys:<10} "), BOLD), (line, PLAIN)]));
        }
    }
    out
}

/// What is said, written or asked, and what keys do; with the cursor in it, where there is one.
fn bottom(model: &Model, columns: usize) -> (Vec<Row>, Option<(usize, usize)>) {
    let mut out = Vec::new();
    let mut cursor = None;
    let lost = model.lost.iter().map(|why| (why, WARN));
    for (text, style) in lost.chain(model.notice.iter().map(|n| (n, BOLD))) {
        let text = lines(text).replace('\t', " ");
        let rows = text.trim().lines().flat_map(|l| folded(l, columns)).take(BOTTOM);
        out.extend(rows.map(|line| row(line, style)));
    }
    match &model.mode {
        Mode::Write { to, text } => {
            out.push(row(cut(&format!("To {}:", detail::agent(model, to)), columns).into_owned(), BOLD));
            let before = broken(&lines(text.before()), columns.saturating_sub(1).max(1));
            let all = broken(&lines(text.text()), columns.saturating_sub(1).max(1));
            let (x, y) = (before.last().map_or(0, |l| width(l)), before.len() - 1);
            // What is being written stays in sight.
            let first = (y + 1).saturating_sub(BOTTOM);
            cursor = Some((x, out.len() + y - first));
            out.extend(all.into_iter().skip(first).take(BOTTOM).map(|line| row(line, PLAIN)));
        }
        Mode::Confirm(action) => {
            let question = match action {
                Action::Close(id) => {
                    format!("Close {}? Its agent is let go; its history is kept.", detail::which(model, id))
                }
                Action::Cancel(id) => format!("Stop the turn of {}?", detail::which(model, id)),
                _ => "Do it?".to_owned(),
            };
            out.extend(folded(&question, columns).into_iter().map(|line| row(line, ALERT)));
        }
        _ => {}
    }
    out.extend(hints(&keys(model), matches!(model.mode, Mode::Browse), columns));
    (out, cursor)
}

/// The keys that mean something now, the most useful first; help and quit are told last and never left out.
fn keys(model: &Model) -> Vec<(&'static str, &'static str)> {
    match &model.mode {
        Mode::Help => vec![("any key", "closes this help")],
        Mode::Write { .. } => vec![("Enter", "send"), ("Esc", "keep for later"), ("Ctrl-J", "new line")],
        Mode::Confirm(_) => vec![("y", "yes"), ("any other key", "no")],
        Mode::Permit(asked) => request::keys(asked),
        Mode::Browse => {
            let mut keys = Vec::new();
            if model.selected.is_some() {
                keys.push(match model.detail.as_deref().map(|d| &d.conversation) {
                    Some(c) if !c.permission_requests.is_empty() => ("p", "decide"),
                    Some(c) if words_wait_for_answer(c) => ("s", "answer"),
                    _ => ("s", "send"),
                });
                keys.extend([("↑↓", "select"), ("c", "cancel"), ("x", "close"), ("PgUp", "scroll")]);
            }
            keys.extend([("?", "help"), ("q", "quit")]);
            keys
        }
    }
}

fn words_wait_for_answer(c: &akk_proto::conversation::ConversationView) -> bool {
    c.status == akk_proto::conversation::Status::WaitingForOpenclaw
}

/// The keys on one row, as many as fit, where some can be left out; else on as many rows as they need.
fn hints(keys: &[(&'static str, &'static str)], some: bool, columns: usize) -> Vec<Row> {
    let gap = if columns >= WIDE { 3 } else { 2 };
    let wide = |keys: &[(&str, &str)]| keys.iter().map(|(k, w)| width(k) + width(w) + 1 + gap).sum::<usize>();
    let mut rows: Vec<Vec<(&str, &str)>> = vec![keys.to_vec()];
    if some {
        // From the middle: the first is what is needed now, the last two lead on and out.
        while wide(&rows[0]) > columns + gap && rows[0].len() > 3 {
            let middle = rows[0].len() - 3;
            rows[0].remove(middle);
        }
    } else {
        rows = Vec::new();
        for key in keys {
            match rows.last_mut() {
                Some(row) if wide(row) + wide(&[*key]) <= columns + gap => row.push(*key),
                _ => rows.push(vec![*key]),
            }
        }
    }
    let row = |keys: Vec<(&str, &str)>| {
        pieces(keys.into_iter().enumerate().flat_map(|(n, (key, what))| {
            let gap = if n == 0 { 0 } else { gap };
            [(" ".repeat(gap), PLAIN), (key.to_owned(), BOLD), (format!(" {what}"), DIM)]
        }))
    };
    rows.into_iter().map(row).collect()
}
