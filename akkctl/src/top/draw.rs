//! The picture of a [`Model`]: pure, into a buffer of any size.

use super::model::{Action, Mode, Model, ball};
use crate::output::text::{cut, cut_front, lines, padded, width};
use crate::output::words::{self, Ball};
use crate::output::{View, event_line_in, one_line, short};
use akk_proto::conversation::ConversationSummary;
use akk_proto::permission::{PermissionView, Permit};
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

const KEYS: &str = "? help  q quit  j/k move  s send  p permit  c cancel  x close";
const HELP: [&str; 9] = [
    "j k ↑ ↓      select a conversation; g G the first, the last",
    "s or Enter   send: an answer when the agent asked, else a further task",
    "p            read a permission request and answer it",
    "c            cancel the turn; the conversation can be used again",
    "x            close the conversation; its history is kept",
    "? or h       this help",
    "q or Ctrl-C  quit; agents go on",
    "",
    "any key closes the help",
];

/// Draws all of it.
pub(super) fn draw(model: &Model, view: &View, to: &mut Buffer) {
    let (columns, rows) = (usize::from(to.area.width), usize::from(to.area.height));
    if columns == 0 || rows == 0 {
        return;
    }
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut lines = vec![(headline(model), bold)];
    let body = rows.saturating_sub(2);
    match &model.mode {
        Mode::Help => lines.extend(HELP.iter().take(body).map(|l| ((*l).to_owned(), Style::new()))),
        Mode::Permit { request, scrolled, .. } => lines.extend(asked(request, *scrolled, columns, body)),
        _ => {
            let (list, at) = list(model, view, columns);
            // The list gets what it needs, and not more than leaves a third for the trace.
            let room = list.len().min(body - body / 3);
            let first = at.saturating_sub(room.saturating_sub(1));
            lines.extend(list.into_iter().skip(first).take(room));
            lines.extend(trace(model, view, columns, body - room));
        }
    }
    lines.resize(rows.saturating_sub(1).max(1), (String::new(), Style::new()));
    if rows > 1 {
        lines.push((footer(model, columns), bold));
    }
    for (y, (text, style)) in lines.iter().enumerate() {
        let style = if view.colour { *style } else { Style { fg: None, ..*style } };
        to.set_stringn(to.area.x, to.area.y + y as u16, cut(text, columns), columns, style);
    }
}

fn headline(model: &Model) -> String {
    if let Some(why) = &model.lost {
        return format!("akkd is not reachable, trying again: {}", one_line(why));
    }
    let count = |b: Ball| model.conversations.iter().filter(|c| ball(c) == b).count();
    let mut text =
        format!("{} need you · {} working · {} done", count(Ball::NeedsYou), count(Ball::Working), count(Ball::Done));
    let undelivered: u64 = model.conversations.iter().map(|c| c.undelivered).sum();
    if undelivered > 0 {
        let overdue = model.conversations.iter().map(|c| c.overdue).sum();
        text = format!("{text} · {}", words::undelivered(undelivered, overdue));
    }
    match model.total.saturating_sub(model.conversations.len() as u64) {
        0 => text,
        more => format!("{text} · {more} more not shown"),
    }
}

/// The lines of the list, and which of them is the selected one.
fn list(model: &Model, view: &View, columns: usize) -> (Vec<(String, Style)>, usize) {
    let mut lines = Vec::new();
    let mut at = 0;
    let mut group = None;
    for c in &model.conversations {
        let ball = ball(c);
        let colour = Style::new().fg(match ball {
            Ball::NeedsYou => Color::Red,
            Ball::Working => Color::Cyan,
            Ball::Done => Color::Green,
        });
        if group.replace(ball) != Some(ball) {
            lines.push((ball.heading().to_owned(), colour.add_modifier(Modifier::BOLD)));
        }
        let selected = model.selected.as_ref() == Some(&c.conversation_id);
        let mut style = if ball == Ball::NeedsYou { colour } else { Style::new() };
        if selected {
            at = lines.len();
            style = style.add_modifier(Modifier::REVERSED);
        }
        lines.push((row(c, selected, model, view, columns), style));
    }
    if lines.is_empty() {
        lines.push(("No open conversations. Begin one with: akkctl delegate \"what to do\"".to_owned(), Style::new()));
    }
    (lines, at)
}

fn row(c: &ConversationSummary, selected: bool, model: &Model, view: &View, columns: usize) -> String {
    let mark = if selected { '>' } else { ' ' };
    let status = c.needs.map_or_else(|| words::status(c.status), words::need);
    let mut text = format!("{mark} {} ", padded(short(&c.conversation_id), 8));
    if columns >= 60 {
        text.push_str(&padded(&cut(&one_line(&c.agent), 10), 11));
    }
    text.push_str(&padded(status, 14));
    if columns >= 60 {
        text.push_str(&padded(&format!("{}/{}", c.response_rounds_used, c.soft_limit), 7));
    }
    text.push_str(&padded(&view.age(c.created_at), 5));
    if c.undelivered > 0 {
        text.push_str(&format!("({} undelivered) ", c.undelivered));
    }
    match (model.doing.get(&c.conversation_id), &c.label) {
        (Some(doing), _) if ball(c) == Ball::Working => text.push_str(&one_line(doing)),
        (_, Some(label)) => text.push_str(&one_line(label)),
        _ => text.push_str(&one_line(&c.user_request)),
    }
    text
}

/// What happened in the selected conversation, the newest at the bottom.
fn trace(model: &Model, view: &View, columns: usize, rows: usize) -> Vec<(String, Style)> {
    let (Some(detail), 1..) = (&model.detail, rows) else { return Vec::new() };
    let c = &detail.conversation;
    let sentence = words::status_sentence(c.status, c.needs, &one_line(&c.agent));
    let head = format!("── {} · {sentence} ", short(&c.conversation_id));
    let rule = "─".repeat(columns.saturating_sub(width(&head)));
    // Colours would come as escape sequences; a line of the trace has none.
    let mut plain = view.clone();
    plain.colour = false;
    let events = &detail.events[detail.events.len().saturating_sub(rows - 1)..];
    let events = events.iter().map(|e| (event_line_in(e, &plain, Some(columns)), Style::new()));
    [(format!("{head}{rule}"), Style::new())].into_iter().chain(events).collect()
}

/// A permission request, in full as far as akkd tells it; says when a part is below.
fn asked(request: &PermissionView, scrolled: usize, columns: usize, rows: usize) -> Vec<(String, Style)> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut text: Vec<String> = Vec::new();
    // Broken anywhere, with every space kept: nothing of what is allowed may hide beyond the edge.
    for line in lines(&request.text).replace('\t', "    ").lines() {
        let mut left = line;
        while width(left) > columns {
            let mut used = 0;
            let beyond = |c: char| {
                used += width(c.encode_utf8(&mut [0; 4]));
                used > columns
            };
            let end = left.find(beyond).filter(|end| *end > 0).unwrap_or(left.len());
            text.push(left[..end].to_owned());
            left = &left[end..];
        }
        text.push(left.to_owned());
    }
    if request.truncated {
        text.push("(a part is left out here)".to_owned());
    }
    let room = rows.saturating_sub(2);
    let first = scrolled.min(text.len().saturating_sub(room));
    let below = text.len().saturating_sub(first + room);
    let mut lines = vec![(format!("MAY IT? {}", one_line(&request.title)), bold)];
    lines.extend(text.into_iter().skip(first).take(room).map(|l| (l, Style::new())));
    if below > 0 {
        lines.push((format!("▼ {below} more lines: j, k"), bold));
    }
    lines.truncate(rows);
    lines
}

fn footer(model: &Model, columns: usize) -> String {
    match &model.mode {
        Mode::Write { to, text } => {
            let head = format!("to {}: ", short(to));
            // The end of what is being written stays in sight.
            let left = columns.saturating_sub(width(&head) + 1);
            format!("{head}{}_", cut_front(&lines(text).replace(['\n', '\t'], " "), left))
        }
        Mode::Permit { request, .. } => {
            let offered = request.answers.iter().map(|c| match c.answer {
                Permit::Allow => "y allow",
                Permit::AllowAlways => "a allow always",
                Permit::Deny => "n deny",
            });
            offered.chain(["Esc back"]).collect::<Vec<_>>().join("  ")
        }
        Mode::Confirm(Action::Close(id)) => format!("close {}? y yes, any other key no", short(id)),
        Mode::Confirm(Action::Cancel(id)) => format!("cancel the turn of {}? y yes, any other key no", short(id)),
        _ => model.notice.as_deref().map_or_else(|| KEYS.to_owned(), one_line),
    }
}
