//! A permission request on the whole screen.

use super::fold::broken;
use super::model::{Asked, Model};
use super::paint::{ALERT, BOLD, DIM, PLAIN, Row, WARN, row, rule};
use crate::output::text::lines;
use crate::output::{View, one_line, short};
use akk_proto::permission::Permit;

/// The picture: its rows, how many lines of the request a page has, how far can be scrolled, and whether the end is in
/// sight.
pub(super) struct Page {
    pub(super) rows: Vec<Row>,
    pub(super) page: usize,
    pub(super) furthest: usize,
    pub(super) end_in_sight: bool,
}

/// The request in at most `rows` rows: all of it as far as akkd tells it, and never two lines as one.
pub(super) fn request(asked: &Asked, model: &Model, view: &View, columns: usize, rows: usize) -> Page {
    let c = model.conversations.iter().find(|c| c.conversation_id == asked.of);
    let agent = c.map_or_else(|| "The agent".to_owned(), |c| one_line(&c.agent));
    let (place, of) = asked.place;
    let which = if of > 1 { format!(" ({place} of {of})") } else { String::new() };
    let mut head = broken(&format!("{agent} asks: may it do this?{which}"), columns)
        .into_iter()
        .map(|line| row(line, ALERT))
        .collect::<Vec<_>>();
    let until = asked.request.deadline.map_or_else(String::new, |at| format!(" · refused at {}", view.clock(at)));
    let since = format!("asked {}{until}", view.ago(asked.request.asked_at));
    head.push(row(crate::output::text::cut(&since, columns).into_owned(), DIM));
    head.push(rule(vec![(short(&asked.of).to_owned(), BOLD)], columns));

    let text = body(asked, columns);
    // A line at the end says what is below, and that there is nothing more.
    let room = rows.saturating_sub(head.len() + 1);
    let furthest = text.len().saturating_sub(room);
    let first = asked.scrolled.min(furthest);
    let below = text.len().saturating_sub(first + room);
    let end = match (below, asked.rest_is_asked) {
        (0, true) => rule(vec![("the rest is on its way".to_owned(), WARN)], columns),
        (0, false) if asked.request.truncated => rule(vec![("a part of it is not known".to_owned(), WARN)], columns),
        (0, false) => rule(vec![("that is all".to_owned(), DIM)], columns),
        (n, _) => rule(vec![(format!("▼ {n} more {}", if n == 1 { "line" } else { "lines" }), BOLD)], columns),
    };
    let mut out = head;
    out.extend(text.into_iter().skip(first).take(room));
    out.push(end);
    // Where there is no room for a line of it, nothing was seen.
    Page { rows: out, page: room, furthest, end_in_sight: below == 0 && room > 0 && columns > 1 }
}

fn body(asked: &Asked, columns: usize) -> Vec<Row> {
    let request = &asked.request;
    let text = lines(&request.text);
    let mut out = Vec::new();
    if !text.trim_start().starts_with(one_line(&request.title).as_str()) {
        out.extend(broken(&one_line(&request.title), columns).into_iter().map(|line| row(line, BOLD)));
    }
    out.extend(broken(text.trim_end(), columns).into_iter().map(|line| row(line, PLAIN)));
    out
}

/// The keys that answer it.
pub(super) fn keys(asked: &Asked) -> Vec<(&'static str, &'static str)> {
    let mut keys = Vec::new();
    if !asked.read && !asked.rest_is_asked {
        keys.push(("space", "read on"));
    }
    for choice in &asked.request.answers {
        if asked.why_not(choice.answer).is_some() {
            continue;
        }
        keys.push(match choice.answer {
            Permit::Allow => ("y", "allow, this once"),
            Permit::AllowAlways => ("a", "allow from now on"),
            Permit::Deny => ("n", "refuse"),
        });
    }
    keys.push(("Esc", "decide later"));
    keys
}
